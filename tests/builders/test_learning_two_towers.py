"""Towers learn which left things belong to which right things; NumPy computes what torch trained."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from builders.embeddings.towers.network import embed_sets
from builders.embeddings.towers.sets import Group, Sets
from builders.learning.retrieval import backward_ranks, forward_ranks, mean_recall, members_of, recovered
from builders.learning.two_towers import Pairing, Settings, TwoTowers, batches
from store.errors import UsageError

torch = pytest.importorskip("torch")

SMALL = Settings(width=16, hidden=8, head=32, dimension=16, kinds=4, epochs=12, batch=64, rate=5e-3, layers=1)
N = 360


def toy(seed: int = 0) -> Pairing:
    """Left sets of numbers, right sets of the same numbers disguised; two and three species."""
    random = np.random.default_rng(seed)
    left, right, members = {}, {}, {}
    for k, numbers in ((2, np.arange(0, N, 2)), (3, np.arange(1, N, 2))):
        n = len(numbers)
        secret = random.normal(size=(n, k, 2)).astype(np.float32)
        weights = random.dirichlet(np.ones(k), n).astype(np.float32)
        pairs = (secret[:, :, None] - secret[:, None]).astype(np.float32)
        shuffled = np.stack([random.permutation(k) for _ in range(n)])
        turned = np.take_along_axis(secret, shuffled[:, :, None], axis=1)
        left[k] = Group(
            turned,
            np.take_along_axis(weights, shuffled, 1),
            turned.sum(axis=1),
            token_kind=random.integers(0, 3, (n, k)),
        )
        right[k] = Group(
            secret * 2 + 1, weights, np.zeros((n, 1), np.float32), pairs, whole_kind=random.integers(1, 4, n)
        )
        members[k] = numbers
    owner = np.arange(N)
    return Pairing(Sets(left, members), Sets(right, members), owner, owner % 2, owner)


@pytest.fixture(scope="module")
def data() -> Pairing:
    return toy()


@pytest.fixture(scope="module")
def trained(data: Pairing) -> TwoTowers:
    torch.set_num_threads(1)
    return TwoTowers(SMALL).fit(data)


def test_each_finds_its_own(data: Pairing, trained: TwoTowers) -> None:
    u, v = embed_sets(trained.left_, data.left), embed_sets(trained.right_, data.right)
    found = (u @ v.T).argmax(axis=1) == np.arange(N)
    assert found.mean() > 0.2  # chance: 1 of 360


def test_numpy_computes_what_torch_computes(data: Pairing, trained: TwoTowers) -> None:
    from builders.learning.two_towers import _Feed, _run, _tower

    for sets, arrays in ((data.left, trained.left_), (data.right, trained.right_)):
        tower = _tower(sets, SMALL)
        tower.load_state_dict({name: torch.as_tensor(value) for name, value in arrays.items()})
        tower.eval()
        with torch.no_grad():
            expected = _run(tower, _Feed(sets, "cpu"), np.arange(N)).numpy()
        assert np.abs(embed_sets(arrays, sets) - expected).max() < 1e-5


@limits(max_examples=6, deadline=None)
@given(st.sampled_from(list(permutations(range(3)))))
def test_the_order_of_species_does_not_matter(order: tuple[int, ...]) -> None:
    data = toy(1)
    towers = TwoTowers(replace(SMALL, epochs=0)).fit(data)
    group = data.right.groups[3]
    assert group.pairs is not None
    places = list(order)
    turned = replace(
        group,
        tokens=group.tokens[:, places],
        weights=group.weights[:, places],
        pairs=group.pairs[:, places][:, :, places],
    )
    one, two = (embed_sets(towers.right_, Sets({3: each}, {3: np.arange(len(each))})) for each in (group, turned))
    assert np.abs(one - two).max() < 1e-5


def test_training_goes_on_where_it_was_interrupted(data: Pairing, tmp_path: Path) -> None:
    told = replace(SMALL, epochs=3)
    whole = TwoTowers(told).fit(data)

    def stop(progress: dict[str, object]) -> None:
        if progress["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        TwoTowers(told, checkpoint=tmp_path, progress=stop).fit(data)
    again = TwoTowers(told, checkpoint=tmp_path).fit(data)
    for name, value in whole.right_.items():
        assert np.allclose(value, again.right_[name], atol=1e-6), name


def test_a_checkpoint_of_other_settings_is_refused(data: Pairing, tmp_path: Path) -> None:
    TwoTowers(replace(SMALL, epochs=1), checkpoint=tmp_path).fit(data)
    with pytest.raises(UsageError, match="other settings"):
        TwoTowers(replace(SMALL, epochs=2), checkpoint=tmp_path).fit(data)


def test_batches_hold_one_class_or_a_mixture(data: Pairing) -> None:
    told = replace(SMALL, batch=30, mixed=0.25)
    found = list(batches(data, told, 0))
    pure = sum(len(set(data.label[each].tolist())) == 1 for each in found)
    assert pure >= len(found) // 2
    assert all(len(set(each.tolist())) == 30 for each in found)
    assert [each.tolist() for each in found] == [each.tolist() for each in batches(data, told, 0)]
    assert [each.tolist() for each in found] != [each.tolist() for each in batches(data, told, 1)]


@given(st.integers(0, 1000))
@limits(max_examples=25, deadline=None)
def test_ranks_are_those_of_sorting(seed: int) -> None:
    random = np.random.default_rng(seed)
    u, v = random.normal(size=(8, 3)).astype(np.float32), random.normal(size=(20, 3)).astype(np.float32)
    owner = np.concatenate([np.arange(8), random.integers(0, 8, 12)])
    left_class = random.integers(0, 2, 8)
    right_class = left_class[owner]
    forth = forward_ranks(u, v, owner, np.arange(8), members_of(right_class), left_class)
    for query in range(8):
        places = np.flatnonzero(right_class == left_class[query])
        order = places[np.argsort(-(v[places] @ u[query]))]
        assert forth.rank[query] == next(r for r, place in enumerate(order) if owner[place] == query)
        assert forth.candidates[query] == len(places)
    back = backward_ranks(v, u, owner, members_of(left_class), left_class)
    for query in range(20):
        places = np.flatnonzero(left_class == right_class[query])
        order = places[np.argsort(-(u[places] @ v[query]))]
        assert order[back.rank[query]] == owner[query]
    everywhere = backward_ranks(v, u, owner, None, left_class)
    assert (everywhere.rank >= back.rank).all()


def test_chance_is_what_lots_give() -> None:
    from builders.learning.retrieval import Ranks

    ranks = Ranks(np.array([0, 5]), np.array([10, 4]), np.array([2, 1]))
    # One of two among three drawn of ten: 1 - 8/10 7/9 6/8; one of four among three: 3/4.
    assert ranks.chance(3) == pytest.approx(((1 - 8 / 10 * 7 / 9 * 6 / 8) + 3 / 4) / 2)
    assert mean_recall(ranks, (1, 10)) == pytest.approx(
        {"R@1": 0.5, "R@10": 1.0, "chance R@1": (0.2 + 0.25) / 2, "chance R@10": 1.0}
    )


def test_kinds_are_counted_once() -> None:
    order = np.array([4, 0, 9, 1, 2])
    assert recovered(order, np.array([0, 1, 2]), {0: 7, 1: 7, 2: 8}, 4) == (1, 2)
