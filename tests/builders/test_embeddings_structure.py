"""Vectors and fingerprints of arrangements: bounds, known crystals, and themselves in another cell."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.embeddings.structure.arrangement import (
    arrangement_distances,
    profile,
)
from builders.embeddings.structure.distances import (
    Distribution,
)
from builders.embeddings.structure.fingerprint import (
    Fingerprint,
    arrangement_distance,
    canonical_order,
    fingerprint,
)
from builders.embeddings.structure.vector import DIMENSION, profile_vectors
from store.crystal import Crystal
from store.errors import CoincidentAtoms

from .arrangement_crystals import (
    caesium_chloride,
    olivine,
    perovskite,
    random_crystal,
    rock_salt,
    supercell,
)

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
