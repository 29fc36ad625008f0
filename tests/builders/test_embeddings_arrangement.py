"""Distances of neighbours, profiles and distances of arrangements: against definitions and known lattices."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.embeddings.structure.arrangement import (
    SAME_ARRANGEMENT,
    SPREAD_WEIGHT,
    arrangement_distances,
    best_assignments,
    profile,
    same_arrangements,
)
from builders.embeddings.structure.distances import (
    average_minimum_distances,
    distribution,
    earth_mover,
    neighbour_distances,
    pair_distances,
    pdd_distance,
)
from builders.embeddings.structure.fingerprint import (
    arrangement_distance,
    fingerprint,
    same_arrangement,
)
from store.crystal import Crystal
from store.errors import FeatureError

from .arrangement_crystals import (
    FCC,
    all_distances,
    caesium_chloride,
    perovskite,
    random_crystal,
    rock_salt,
)

# --------------------------------------------------------------------------------------------------------------- rows


@pytest.mark.parametrize("seed", range(5))
def test_rows_are_the_sorted_distances_over_the_spacing(seed: int) -> None:
    crystal = random_crystal(seed)
    every = np.sort(all_distances(crystal, 4).reshape(crystal.n_sites, -1), axis=1)[:, :40]
    spacing = (abs(crystal.volume) / crystal.n_sites) ** (1 / 3)
    np.testing.assert_allclose(neighbour_distances(crystal), every / spacing, atol=1e-9)


def test_equal_rows_become_one_and_the_mean_is_the_amd() -> None:
    crystal = rock_salt()
    found = distribution(neighbour_distances(crystal))
    assert found.weights.tolist() == [1.0]
    np.testing.assert_allclose(found.mean, average_minimum_distances(crystal))
    assert found.mean[[0, 5, 6, 17, 18]].round(4).tolist() == [1, 1, 1.4142, 1.4142, 1.7321]


@pytest.mark.parametrize("bad", [[1.0, 0.0], [1.0, np.nan], [1.0]])
def test_weights_must_be_positive_and_as_many_as_rows(bad: list[float]) -> None:
    with pytest.raises(FeatureError, match="positive weight"):
        distribution(np.ones((2, 3)), bad)


def test_no_rows_are_refused() -> None:
    with pytest.raises(FeatureError, match="at least one row"):
        distribution(np.empty((0, 3)))


# -------------------------------------------------------------------------------------------------- earth mover's distance

shares = st.lists(st.integers(1, 9), min_size=1, max_size=5)


def transport(cost: np.ndarray, supply: np.ndarray, demand: np.ndarray) -> float:
    """The definition, as a dense linear programme."""
    from scipy.optimize import linprog

    n, m = cost.shape
    equations = np.concatenate([np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))])
    return float(linprog(cost.ravel(), A_eq=equations[:-1], b_eq=np.concatenate([supply, demand])[:-1]).fun)


@given(shares, shares, st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_the_earth_movers_distance_solves_the_transport_problem(a: list[int], b: list[int], seed: int) -> None:
    supply, demand = np.array(a) / sum(a), np.array(b) / sum(b)
    cost = np.random.default_rng(seed).uniform(size=(len(a), len(b)))
    assert earth_mover(cost, supply, demand) == pytest.approx(transport(cost, supply, demand), abs=1e-9)


@pytest.mark.parametrize("size", [3, 6])
def test_shares_of_no_whole_atoms_are_moved_too(size: int) -> None:
    rng = np.random.default_rng(size)
    supply, demand = rng.dirichlet(np.ones(size)), rng.dirichlet(np.ones(size + 1))
    cost = rng.uniform(size=(size, size + 1))
    assert earth_mover(cost, supply, demand) == pytest.approx(transport(cost, supply, demand), abs=1e-9)


def test_the_distance_of_distributions_is_a_metric() -> None:
    one, two, three = (distribution(neighbour_distances(random_crystal(seed))) for seed in (1, 2, 3))
    assert pdd_distance(one, one) == pytest.approx(0, abs=1e-12)
    assert pdd_distance(one, two) == pytest.approx(pdd_distance(two, one))
    assert pdd_distance(one, three) <= pdd_distance(one, two) + pdd_distance(two, three) + 1e-12
    assert pdd_distance(one, two) > 0.01


def test_moving_atoms_moves_the_distribution_no_further_than_twice() -> None:
    """Widdowson and Kurlin 2022: each distance changes by at most twice the largest displacement."""
    crystal = random_crystal(4)
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(crystal.n_sites, 3))
    steps *= 0.05 / np.linalg.norm(steps, axis=1, keepdims=True)
    moved = Crystal(crystal.lattice, crystal.frac_coords + steps @ np.linalg.inv(crystal.lattice), crystal.species)
    spacing = (abs(crystal.volume) / crystal.n_sites) ** (1 / 3)
    apart = pdd_distance(distribution(neighbour_distances(crystal)), distribution(neighbour_distances(moved)))
    assert 0 < apart <= 2 * 0.05 / spacing


# ------------------------------------------------------------------------------------------------------------- profiles


@pytest.mark.parametrize("seed", range(4))
def test_a_profile_is_mean_and_deviation_of_distances_by_element(seed: int) -> None:
    crystal = random_crystal(seed)
    distances = all_distances(crystal, 4)
    spacing = (abs(crystal.volume) / crystal.n_sites) ** (1 / 3)
    species = np.array(crystal.species)
    found = profile(crystal, ["Fe", "Li", "O"])
    for a, one in enumerate(["Fe", "Li", "O"]):
        for b, other in enumerate(["Fe", "Li", "O"]):
            near = distances[species == one][:, species == other].reshape(sum(species == one), -1)
            near = np.sort(near, axis=1)[:, :16] / spacing
            np.testing.assert_allclose(found[a, b, 0], near.mean(axis=0), atol=1e-5)
            np.testing.assert_allclose(found[a, b, 1], near.std(axis=0), atol=1e-5)


def test_the_shells_of_rock_salt() -> None:
    found = profile(rock_salt(), ["Cl", "Na"])
    np.testing.assert_allclose(found[0, 1, 0, [0, 5, 6, 13]], [1, 1, 3**0.5, 3**0.5], rtol=1e-6)
    np.testing.assert_allclose(found[0, 0, 0, [0, 11, 12]], [2**0.5, 2**0.5, 2], rtol=1e-6)
    assert found[:, :, 1].max() < 1e-6


def test_a_kind_that_is_far_away_needs_a_growing_radius() -> None:
    """A chain of four atoms in a wide empty box, one of another kind."""
    from builders.structures.neighbours import nearest_of_kinds, points_of

    places = [[(place + 0.5) / 4, 0.5, 0.5] for place in range(4)]
    chain = Crystal.from_lists(np.diag([10, 70, 70]), ["C", "C", "C", "O"], places)
    found = nearest_of_kinds(points_of(chain), np.array([[1.0, 1, 1, 0], [0, 0, 0, 1.0]]), 4)
    assert found[3].round(6).tolist() == [[2.5, 2.5, 5.0, 5.0], [10.0, 10.0, 20.0, 20.0]]
    assert found[0].round(6).tolist() == [[2.5, 5.0, 5.0, 7.5], [2.5, 7.5, 12.5, 17.5]]


def test_half_an_atom_counts_half() -> None:
    from builders.structures.neighbours import nearest_of_kinds, points_of

    full, half = (Crystal.from_sites(3 * np.eye(3), [{"Po": share}], [[0, 0, 0]]) for share in (1.0, 0.5))
    plain = nearest_of_kinds(points_of(full), np.array([[1.0]]), 26)[0, 0]
    shared = nearest_of_kinds(points_of(half), np.array([[0.5]]), 13)[0, 0]
    np.testing.assert_allclose(shared, plain.reshape(13, 2).mean(axis=1))


def test_elements_of_one_amount_may_change_places() -> None:
    barium, swapped = (fingerprint(perovskite(*names)) for names in (("Ba", "Ti"), ("Ti", "Ba")))
    assert barium.elements == swapped.elements == ("Ba", "Ti", "O")
    distances, assignment = best_assignments(barium.profile, swapped.profile, barium.amounts)
    assert distances[0] == pytest.approx(0, abs=1e-6)
    assert assignment.tolist() == [[1, 0, 2]]


def test_arrangements_are_told_apart_whatever_the_elements() -> None:
    salt, other_salt, caesium = fingerprint(rock_salt()), fingerprint(rock_salt("Mg", "O", 4.2)), fingerprint(
        caesium_chloride()
    )  # fmt: skip
    assert arrangement_distance(salt, other_salt) < 1e-5
    assert same_arrangement(salt, other_salt)
    assert arrangement_distance(salt, caesium) > 2 * SAME_ARRANGEMENT
    assert arrangement_distance(salt, fingerprint(perovskite())) == np.inf


def test_orders_of_one_lattice_differ_though_their_rows_do_not() -> None:
    """Both are fcc lattices of atoms with a row of its own only by element: layers along [001], and along [111]."""
    layers = Crystal.from_lists(4 * np.eye(3), ["Cu", "Au", "Au", "Cu"], FCC)
    primitive = 2 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    doubled = primitive.copy()
    doubled[2] *= 2
    along = Crystal.from_lists(doubled, ["Cu", "Pt"], [[0, 0, 0], [0, 0, 0.5]])
    one, other = fingerprint(layers), fingerprint(along)
    assert pair_distances(one.rows[None], other.rows[None], (1, 1))[0] < 1e-5
    assert arrangement_distance(one, other) > SAME_ARRANGEMENT


@given(st.integers(0, 10**6), st.sampled_from([(1, 1), (1, 1, 1), (1, 2), (1, 1, 3, 3), (2, 2, 2, 5)]))
@settings(max_examples=40, deadline=None)
def test_many_pairs_at_once_are_the_slow_twin(seed: int, amounts: tuple[int, ...]) -> None:
    rng = np.random.default_rng(seed)
    size = len(amounts)
    a, b = rng.uniform(size=(2, 3, size, size, 2, 4))
    found = arrangement_distances(a, b, amounts)
    for pair in range(3):
        best = np.inf
        for order in itertools.permutations(range(size)):
            if [amounts[place] for place in order] == list(amounts):
                apart = np.abs(a[pair] - b[pair][np.ix_(order, order)])
                best = min(best, apart[:, :, 0].max() + SPREAD_WEIGHT * apart[:, :, 1].max())
        assert found[pair] == pytest.approx(best)
    for threshold in (0.3, 0.6, 0.9, 1.2):
        assert (same_arrangements(a, b, amounts, threshold) == (found < threshold)).all()


@pytest.mark.parametrize("size", [7, 8])
def test_seven_elements_of_one_amount_find_their_places(size: int) -> None:
    rng = np.random.default_rng(size)
    one = rng.uniform(size=(size, size, 2, 16))
    order = rng.permutation(size)
    distances, assignment = best_assignments(one, one[np.ix_(order, order)], (1,) * size)
    assert distances[0] == 0
    assert order[assignment[0]].tolist() == list(range(size))


@pytest.mark.parametrize("amounts", [(1,), (1, 1, 2), (1,) * 6])
@pytest.mark.parametrize("metric", ["max", "rms"])
def test_rows_of_many_pairs_are_the_slow_twin(amounts: tuple[int, ...], metric: Any) -> None:
    rng = np.random.default_rng(0)
    size = len(amounts)
    a, b = rng.uniform(size=(2, 20, size, 5))
    best = np.full(20, np.inf)
    weights = np.array(amounts) / sum(amounts)
    for order in itertools.permutations(range(size)):
        if [amounts[place] for place in order] != list(amounts):
            continue
        apart = a - b[:, order]
        value = np.abs(apart).max((1, 2)) if metric == "max" else np.sqrt((apart**2).mean(2) @ weights)
        best = np.minimum(best, value)
    found = pair_distances(a, b, amounts, metric)
    if size <= 5 or metric == "rms":
        np.testing.assert_allclose(found, best)
    else:
        assert (found >= best - 1e-12).all()
