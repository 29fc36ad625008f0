"""Contributions: additive, grouped before the absolute value, shared among bars without a rest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.learning.attribution import grouped, ranking, share_among_bars, tree_contributions
from builders.learning.boosting import MonotoneBoosting


def model(gaps: bool = True) -> tuple[MonotoneBoosting, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(200, 8))
    y = x[:, 0] + x[:, 1] * x[:, 2] + 0.1 * generator.normal(size=200)
    if gaps:
        x[generator.random(x.shape) < 0.1] = np.nan
    return MonotoneBoosting(n_estimators=80, objective="l2").fit(x, y), x, y


@pytest.mark.parametrize("gaps", [False, True])
def test_contributions_and_expected_value_sum_to_the_prediction(gaps: bool) -> None:
    made, x, _ = model(gaps)
    values, expected = tree_contributions(made.booster_, x)
    assert values.shape == x.shape
    assert expected + values.sum(axis=1) == pytest.approx(made.predict(x), abs=1e-9)
    assert len(set(expected.tolist())) == 1


def test_they_are_the_shapley_values_of_the_tree_s_own_conditional_expectation() -> None:
    # By the definition: a mean over all orders of what a column adds, unknown columns averaged over the tree's training rows.
    generator = np.random.default_rng(1)
    x = generator.integers(0, 2, size=(80, 3)).astype(float)
    y = x[:, 0] + 2 * x[:, 1] * x[:, 2]
    made = MonotoneBoosting(
        n_estimators=1,
        num_leaves=8,
        min_child_samples=1,
        learning_rate=1.0,
        reg_lambda=0.0,
        colsample_bytree=1.0,
        objective="l2",
    ).fit(x, y)
    tree = made.booster_.dump_model()["tree_info"][0]["tree_structure"]

    def expectation(node: dict, row: np.ndarray, known: frozenset[int]) -> float:
        if "leaf_value" in node:
            return float(node["leaf_value"])
        column = int(node["split_feature"])
        if column in known:
            side = "left_child" if row[column] <= node["threshold"] else "right_child"
            return expectation(node[side], row, known)
        counts = [_count(node[side]) for side in ("left_child", "right_child")]
        both = [expectation(node[side], row, known) for side in ("left_child", "right_child")]
        return float(np.average(both, weights=counts))

    from itertools import permutations

    values, expected = tree_contributions(made.booster_, x[:10])
    for row, found in zip(x[:10], values, strict=True):
        wanted = np.zeros(3)
        for order in permutations(range(3)):
            known: frozenset[int] = frozenset()
            for column in order:
                wanted[column] += (expectation(tree, row, known | {column}) - expectation(tree, row, known)) / 6
                known |= {column}
        assert found == pytest.approx(wanted, abs=1e-9)
    assert expected[0] == pytest.approx(expectation(tree, x[0], frozenset()), abs=1e-9)


def _count(node: dict) -> int:
    return int(node.get("leaf_count", node.get("internal_count")))


def test_groups_are_summed_before_the_absolute_value() -> None:
    # Curve a: two neighbouring radii cancel. Column by column it would weigh 1.8 and come first.
    values = np.array([[0.9, -0.9, 0.2], [-0.9, 0.9, -0.2]])
    names, sums = grouped(values, ["a", "a", "b"])
    assert names == ["a", "b"]
    assert sums == pytest.approx(np.array([[0.0, 0.2], [0.0, -0.2]]))
    first, second = ranking(names, sums, [0, 1])
    assert (first.name, first.importance) == ("b", pytest.approx(0.2))
    assert second.importance == pytest.approx(0.0)
    assert np.abs(values).mean(axis=0)[:2].sum() == pytest.approx(1.8)


def test_groups_keep_the_sum_wherever_their_columns_stand() -> None:
    values = np.random.default_rng(2).normal(size=(7, 12))
    labels = ["a", "b", "c"] * 4
    _, sums = grouped(values, labels)
    assert sums.sum(axis=1) == pytest.approx(values.sum(axis=1))
    assert sums[:, 1] == pytest.approx(values[:, 1::3].sum(axis=1))
    with pytest.raises(ValueError, match="label"):
        grouped(values, labels[:-1])


def test_intervals_hold_the_importance_and_are_wider_where_rows_of_a_group_agree() -> None:
    generator = np.random.default_rng(3)
    value = np.repeat(generator.exponential(size=30), 10)[:, None]
    alone = ranking(["a"], value, np.arange(300))[0]
    together = ranking(["a"], value, np.arange(300) // 10)[0]
    assert alone.lower < alone.importance < alone.upper
    assert together.upper - together.lower > 2 * (alone.upper - alone.lower)
    assert ranking(["a"], value, np.arange(300))[0] == alone


def test_bars_alive_at_a_radius_share_equally() -> None:
    grid = np.array([1.0, 2.0, 3.0])
    bars = np.array([[0.5, 2.0], [1.5, 3.5], [0.9, 3.5]])
    of_bars, of_absence = share_among_bars(np.array([1.0, 1.0, -0.4]), grid, bars)
    assert of_bars == pytest.approx([0.5, 0.5 - 0.2, 0.5 + 0.5 - 0.2])
    assert of_absence == 0.0


def test_over_an_interval_bars_share_by_how_long_they_live_in_it() -> None:
    of_bars, of_absence = share_among_bars(
        np.array([0.9, 0.3]), np.array([1.0, 3.0]), np.array([[0.9, 1.1], [1.0, 2.0]]), 0.2
    )
    assert of_bars == pytest.approx([0.6, 0.3])
    assert of_absence == pytest.approx(0.3)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10), st.integers(0, 10_000), st.sampled_from([0.0, 0.1, 0.5]))
def test_nothing_is_lost_in_sharing(n_bars: int, seed: int, width: float) -> None:
    generator = np.random.default_rng(seed)
    bars = np.sort(generator.uniform(0, 4, size=(n_bars, 2)), axis=1)
    grid, values = np.arange(0, 4, 0.1), generator.normal(size=40)
    of_bars, of_absence = share_among_bars(values, grid, bars, width)
    assert of_bars.sum() + of_absence == pytest.approx(values.sum(), abs=1e-9)
    assert len(of_bars) == n_bars
