"""Ways to divide rows: the published subsets, level folds, and folds that keep groups whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.dummy import DummyRegressor
from sklearn.model_selection import cross_val_predict

from builders.learning.splits import GroupFolds, canonical_order, group_folds, level_folds, random_folds
from builders.learning.subsets import published_split, subsets


def clusters(sizes: list[int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    label = np.repeat(np.arange(len(sizes)), sizes)
    x = 10.0 * generator.normal(size=(len(sizes), 4))[label] + 0.1 * generator.normal(size=(len(label), 4))
    order = generator.permutation(len(label))
    return x[order], label[order]


# --- the published protocol -------------------------------------------------------------------------------------------


def test_subsets_are_the_families_of_rows() -> None:
    x, label = clusters([60, 50, 40, 35, 25, 15])
    found = subsets(x)
    # One family each, the largest first.
    assert np.array_equal(found, label)


def test_four_fifths_of_every_subset_are_learnt_from() -> None:
    x, label = clusters([60, 50, 40, 35, 25, 15])
    train, test = published_split(x)
    assert np.bincount(label[test]).tolist() == [12, 10, 8, 7, 5, 3]
    assert sorted([*train, *test]) == list(range(225))
    assert (np.diff(train) > 0).all()
    assert (np.diff(test) > 0).all()


def test_the_split_is_seeded() -> None:
    x = np.random.default_rng(1).normal(size=(225, 6))
    first, again, other = published_split(x), published_split(x), published_split(x, random_state=1)
    assert np.array_equal(first.test, again.test)
    assert not np.array_equal(first.test, other.test)
    for fold in (first, other):
        assert len(fold.test) / 225 == pytest.approx(0.2, abs=0.02)


def test_units_do_not_matter() -> None:
    x, _ = clusters([30, 20, 10])
    assert np.array_equal(subsets(x, 3), subsets(x * [1, 1000, 0.001, 1] + 5, 3))


@given(st.integers(1, 12), st.integers(1, 8))
@settings(max_examples=15, deadline=None)
def test_fewer_different_rows_than_subsets(rows: int, n_subsets: int) -> None:
    x = np.repeat(np.arange((rows + 1) // 2), 2)[:rows, None].astype(float)
    found = subsets(x, n_subsets)
    assert found.max() + 1 == min(n_subsets, len(np.unique(x)))
    train, test = published_split(x, n_subsets)
    assert len(train) + len(test) == rows
    assert len(train) > 0


def test_small_subsets_are_learnt_from() -> None:
    x, label = clusters([20, 2, 1])
    assert np.bincount(label[published_split(x, 3).test], minlength=3).tolist() == [4, 0, 0]


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1])
def test_a_share_must_be_one(share: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        published_split(np.zeros((5, 1)), test=share)


# --- folds --------------------------------------------------------------------------------------------------------------


@given(st.integers(2, 100), st.integers(2, 12), st.integers(0, 50))
def test_level_folds_are_level_at_every_boundary(n: int, folds: int, seed: int) -> None:
    found = level_folds(n, folds, seed)
    assert len(found) == min(n, folds)
    below = np.array([np.searchsorted(fold.test, np.arange(n + 1)) for fold in found])
    assert (np.ptp(below, axis=0) <= 1).all()
    assert sorted(np.concatenate([fold.test for fold in found])) == list(range(n))
    for fold in found:
        assert sorted([*fold.train, *fold.test]) == list(range(n))


@given(st.lists(st.integers(0, 8), min_size=2, max_size=80).filter(lambda g: len(set(g)) > 1), st.integers(0, 50))
def test_group_folds_keep_groups_whole(groups: list[int], seed: int) -> None:
    names = np.array([f"Na{each}" for each in groups])
    found = group_folds(names, 4, seed)
    assert len(found) == min(4, len(set(groups)))
    assert sorted(np.concatenate([fold.test for fold in found])) == list(range(len(groups)))
    for train, test in found:
        assert not set(names[train]) & set(names[test])
        assert len(train) + len(test) == len(groups)
        assert len(train)
        assert len(test)
    # The fullest fold holds no more than the emptiest and one group.
    sizes = [len(fold.test) for fold in found]
    assert max(sizes) - min(sizes) <= np.unique(names, return_counts=True)[1].max()


def test_folds_are_seeded_and_differ_between_seeds() -> None:
    groups = np.arange(200) // 3
    tests = [[fold.test.tolist() for fold in group_folds(groups, 5, seed)] for seed in (0, 0, 1)]
    assert tests[0] == tests[1] != tests[2]
    assert [len(fold.test) for fold in random_folds(103)] == [21, 21, 21, 20, 20]
    assert random_folds(103)[0].test.tolist() != random_folds(103, seed=1)[0].test.tolist()


def test_too_little_to_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="At least 2 groups"):
        group_folds(["a", "a"])
    with pytest.raises(ValueError, match="At least 2 rows"):
        level_folds(1, 5)


def test_the_splitter_serves_scikit_learn() -> None:
    groups = np.repeat(["a", "b", "c"], [5, 3, 2])
    y = np.repeat([1.0, 2.0, 3.0], [5, 3, 2])
    splitter = GroupFolds(3)
    found = cross_val_predict(DummyRegressor(), np.zeros((10, 1)), y, groups=groups, cv=splitter)
    # A group kept out is predicted as the mean of the two others.
    assert found == pytest.approx(np.repeat([12 / 5, 11 / 7, 11 / 8], [5, 3, 2]))
    assert splitter.get_n_splits(groups=groups) == 3
    assert GroupFolds(9).get_n_splits(groups=groups) == 3
    assert len(list(GroupFolds(2).split(np.zeros((10, 1))))) == 2


@given(st.integers(0, 1000))
def test_canonical_order_forgets_the_order_of_rows(seed: int) -> None:
    generator = np.random.default_rng(seed)
    x, y = generator.integers(0, 3, size=(20, 2)).astype(float), generator.integers(0, 3, size=20).astype(float)
    shuffled = generator.permutation(20)
    one, two = canonical_order(x, y), canonical_order(x[shuffled], y[shuffled])
    assert np.array_equal(np.c_[y, x][one], np.c_[y, x][shuffled][two])
    assert (np.diff(y[one]) >= 0).all()
