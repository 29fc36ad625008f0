"""The fingerprint of an arrangement: against definitions, known lattices, and itself in another cell."""

from __future__ import annotations

import itertools
from pathlib import Path
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
    Distribution,
    average_minimum_distances,
    distribution,
    earth_mover,
    neighbour_distances,
    pair_distances,
    pdd_distance,
)
from builders.embeddings.structure.fingerprint import (
    Fingerprint,
    arrangement_distance,
    canonical_order,
    fingerprint,
    same_arrangement,
)
from builders.embeddings.structure.vector import DIMENSION, profile_vectors
from store.crystal import Crystal
from store.errors import CoincidentAtoms, FeatureError

from .channel_crystals import olivine as olivine_of_channels

FCC = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]


def rock_salt(one: str = "Na", other: str = "Cl", a: float = 5.64) -> Crystal:
    places = np.array(FCC)
    return Crystal.from_lists(
        a * np.eye(3), [one] * 4 + [other] * 4, np.concatenate([places, places + np.array([0.5, 0, 0])])
    )


def caesium_chloride(one: str = "Cs", other: str = "Cl", a: float = 4.12) -> Crystal:
    return Crystal.from_lists(a * np.eye(3), [one, other], [[0, 0, 0], [0.5, 0.5, 0.5]])


def perovskite(a: str = "Ba", b: str = "Ti", x: str = "O", size: float = 4.0) -> Crystal:
    places = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    return Crystal.from_lists(size * np.eye(3), [a, b, x, x, x], places)


def olivine() -> Crystal:
    return Crystal.from_pymatgen(olivine_of_channels())


def random_crystal(seed: int, species: str = "LiLiFeOOO") -> Crystal:
    rng = np.random.default_rng(seed)
    lattice = 4.5 * np.eye(3) + rng.uniform(-0.8, 0.8, (3, 3))
    symbols = [symbol for symbol in ("Li", "Fe", "O") for _ in range(species.count(symbol))]
    while True:
        places = rng.uniform(size=(len(symbols), 3))
        crystal = Crystal.from_lists(lattice, symbols, places)
        try:
            if all_distances(crystal, 1)[:, :, 0].min() > 0.8:
                return crystal
        except CoincidentAtoms:  # pragma: no cover
            continue


def all_distances(crystal: Crystal, reach: int) -> np.ndarray:
    """Distances from each site to all images of each site, itself left out; shape=(n, n, n_images), ascending."""
    steps = np.array(list(itertools.product(range(-reach, reach + 1), repeat=3)), dtype=float)
    apart = crystal.frac_coords[None, :, None] + steps - crystal.frac_coords[:, None, None]
    distances = np.linalg.norm(apart @ crystal.lattice, axis=-1)
    distances[distances < 1e-9] = np.inf
    return np.sort(distances, axis=-1)


def supercell(crystal: Crystal, matrix: Any) -> Crystal:
    structure = crystal.to_pymatgen()
    structure.make_supercell(matrix)
    return Crystal.from_pymatgen(structure)


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


# -------------------------------------------------------------------------------------------------------------- vectors


@given(st.integers(0, 10**6), st.sampled_from([(1,), (1, 1), (1, 2), (1, 1, 3, 3), (1, 1, 1, 1, 2, 2, 3)]))
@settings(max_examples=60, deadline=None)
def test_vectors_are_never_further_apart_than_arrangements(seed: int, amounts: tuple[int, ...]) -> None:
    size = len(amounts)
    a, b = np.random.default_rng(seed).uniform(size=(2, 1, size, size, 2, 16))
    vectors = [profile_vectors(each, amounts)[0].astype(float) for each in (a, b)]
    assert np.linalg.norm(vectors[0] - vectors[1]) <= arrangement_distances(a, b, amounts)[0] + 1e-5


def test_a_vector_does_not_depend_on_names_or_cells() -> None:
    one = fingerprint(perovskite("Ba", "Ti")).vector()
    assert one.shape == (DIMENSION,)
    assert one.dtype == np.float32
    for other in (perovskite("Ti", "Ba"), perovskite("K", "Ta", "F", 3.7), supercell(perovskite(), [2, 1, 1])):
        np.testing.assert_allclose(fingerprint(other).vector(), one, atol=1e-5)


def test_the_nearest_vector_is_the_same_arrangement() -> None:
    kept = [rock_salt(), caesium_chloride(), perovskite(), olivine()]
    vectors = np.array([fingerprint(crystal).vector() for crystal in kept])
    query = fingerprint(caesium_chloride("Ni", "Al", 2.88)).vector()
    assert np.linalg.norm(vectors - query, axis=1).argmin() == 1


def test_more_elements_than_slots_still_give_a_vector() -> None:
    symbols = ["Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Al", "V"]
    lattice = 2.9 * np.array([[2, 0, 0], [0, 2, 0], [0, 0, 2]])
    crystal = Crystal.from_lists(lattice, symbols, np.array(list(itertools.product([0, 0.5], repeat=3))))
    vector = fingerprint(crystal).vector()
    assert vector.shape == (DIMENSION,)
    assert vector.reshape(6, -1)[:, 0].sum() == pytest.approx(1)


# --------------------------------------------------------------------------------------------------------- fingerprints


def assert_equal(one: Fingerprint, other: Fingerprint) -> None:
    for name in ("elements", "amounts", "z", "n_sites", "space_group", "prototype", "anonymous_prototype"):
        assert getattr(one, name) == getattr(other, name), name
    assert one.volume_per_atom == pytest.approx(other.volume_per_atom)
    np.testing.assert_allclose(one.rows, other.rows, atol=1e-4)
    np.testing.assert_allclose(one.profile, other.profile, atol=1e-3)


def test_olivine() -> None:
    found = fingerprint(olivine())
    assert found.elements == ("Fe", "Li", "P", "O")
    assert (found.amounts, found.ratio, found.z, found.n_sites, found.space_group) == (
        (1, 1, 1, 4),
        "1:1:1:4",
        4,
        28,
        62,
    )
    assert found.rows.shape == (4, 40)
    assert found.profile.shape == (4, 4, 2, 16)
    assert [len(part.weights) for part in found.parts] == [1, 1, 1, 3]  # O on three kinds of sites
    np.testing.assert_allclose(found.parts[3].weights, [0.25, 0.25, 0.5])


@pytest.mark.parametrize("matrix", [[2, 1, 1], [[1, 1, 0], [0, 1, 0], [0, 0, 2]]])
def test_a_supercell_has_the_same_fingerprint(matrix: Any) -> None:
    assert_equal(fingerprint(supercell(rock_salt(), matrix)), fingerprint(rock_salt()))


def test_turning_shifting_and_reordering_change_nothing() -> None:
    from scipy.spatial.transform import Rotation

    crystal = olivine()
    order = np.random.default_rng(0).permutation(crystal.n_sites)
    turned = Crystal(
        crystal.lattice @ Rotation.from_euler("xyz", [0.3, 1.1, -0.6]).as_matrix().T,
        (crystal.frac_coords + np.array([0.13, 0.71, 0.4]))[order],
        tuple(crystal.species[place] for place in order),
    )
    assert_equal(fingerprint(turned), fingerprint(crystal))


def test_a_cell_said_to_be_primitive_is_taken_as_it_is() -> None:
    twice = supercell(caesium_chloride(), [2, 1, 1])
    assert fingerprint(twice).n_sites == 2
    kept = fingerprint(twice, primitive=True)
    assert (kept.n_sites, kept.z) == (4, 2)
    np.testing.assert_allclose(kept.rows, fingerprint(twice).rows, atol=1e-5)


def test_full_sites_written_as_occupancies_are_ordered() -> None:
    crystal = rock_salt()
    sites = [{symbol: 1.0} for symbol in crystal.species]
    given_so = Crystal(crystal.lattice, crystal.frac_coords, crystal.species, tuple(sites))
    assert_equal(fingerprint(given_so), fingerprint(crystal))


def test_a_mixed_site_counts_for_both_elements() -> None:
    crystal = rock_salt()
    sites = [{"Na": 0.75, "K": 0.25} if symbol == "Na" else {"Cl": 1.0} for symbol in crystal.species]
    mixed = fingerprint(Crystal.from_sites(crystal.lattice, sites, crystal.frac_coords))
    assert (mixed.elements, mixed.amounts, mixed.z) == (("K", "Na", "Cl"), (1, 3, 4), 0.25)
    plain = fingerprint(crystal)
    np.testing.assert_allclose(mixed.rows[[0, 1, 2]], plain.rows[[1, 1, 0]], atol=1e-5)
    # Four sites a quarter full hold one potassium: its 1st neighbour of its kind is spread over the first four sites.
    assert mixed.profile[2, 1, 0, 0] == pytest.approx(1.0)
    assert mixed.profile[2, 0, 0, 0] == pytest.approx(1.0)
    assert mixed.profile[2, 0, 0, 1] > 1.0
    assert mixed.vector().shape == (DIMENSION,)


def test_vacancies_change_the_fingerprint_continuously() -> None:
    crystal = rock_salt()

    def lithiated(amount: float) -> np.ndarray:
        sites = [{"Na": amount} if symbol == "Na" else {"Cl": 1.0} for symbol in crystal.species]
        return profile(Crystal.from_sites(crystal.lattice, sites, crystal.frac_coords), ["Na", "Cl"])

    assert np.abs(lithiated(0.999) - lithiated(1.0)).max() < 0.01
    assert np.abs(lithiated(0.5) - lithiated(1.0)).max() > 0.1


def test_amounts_are_those_of_one_formula_unit() -> None:
    crystal = Crystal.from_lists(np.eye(3), ["O"] * 6 + ["Fe"] * 4, np.zeros((10, 3)))
    assert canonical_order(crystal) == (("Fe", "O"), (2, 3), 2)


def test_atoms_on_one_place_are_refused() -> None:
    with pytest.raises(CoincidentAtoms):
        fingerprint(Crystal.from_lists(4 * np.eye(3), ["Na", "Cl"], [[0, 0, 0], [0, 0, 0.001]]))


def test_distributions_of_the_elements_are_those_of_their_atoms() -> None:
    found = fingerprint(random_crystal(3))
    for rows, part in zip(found.rows, found.parts, strict=True):
        assert isinstance(part, Distribution)
        np.testing.assert_allclose(part.mean, rows, atol=1e-6)


@pytest.mark.data
def test_substituted_structures_are_judged_as_anonymous_matching_does(data_folder: Path) -> None:
    """A small form of benchmarks/fingerprints.py: 60 random pairs."""
    import gzip
    import json
    import random
    from collections import Counter, defaultdict

    from pymatgen.analysis.structure_matcher import StructureMatcher
    from sklearn.metrics import roc_auc_score

    classes: dict[Any, list[Any]] = defaultdict(list)
    with gzip.open(data_folder / "structures" / "wbm_val10k.jsonl.gz") as source:
        for line in itertools.islice(source, 1500):
            kept = json.loads(line)["structure"]
            if len(kept["species"]) <= 10:
                amounts = tuple(sorted(Counter(kept["species"]).values()))
                classes[amounts].append(Crystal.from_lists(kept["lattice"], kept["species"], kept["frac_coords"]))
    draw = random.Random(0)
    large = [members for members in classes.values() if len(members) >= 20]
    pairs = [draw.sample(draw.choice(large), 2) for _ in range(60)]
    truth = [bool(StructureMatcher().fit_anonymous(*(each.to_pymatgen() for each in pair))) for pair in pairs]
    apart = [min(arrangement_distance(*(fingerprint(each) for each in pair)), 9.0) for pair in pairs]
    assert 5 < sum(truth) < 55
    assert roc_auc_score(truth, -np.array(apart)) > 0.97
