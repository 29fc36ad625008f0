"""Compounds, their labels, and what known compounds add by voting."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.embeddings.pairs.compositions import bucket, formula_key, one_unit, ratio_of, read_sets, scale_of
from builders.embeddings.pairs.compounds import load_compounds, read_compounds, read_formula_keys, save_compounds
from builders.embeddings.pairs.labels import distance_matrix, make_labels
from builders.embeddings.pairs.votes import agreements, fit_votes, vote_weights
from builders.embeddings.structure.arrangement import arrangement_distances

ROCK_SALT = [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
MIDDLE = [[0, 0, 0], [0.5, 0.5, 0.5]]


def binary(name, species, lattice, energy=-1.0):
    return {
        "id": name,
        "structure": {"lattice": lattice, "species": species, "frac_coords": MIDDLE},
        "formation_energy_per_atom": energy,
    }


def rows():
    salt, caesium = np.array(ROCK_SALT), np.eye(3)
    return [
        binary("salt", ["Na", "Cl"], (salt * 5.6).tolist()),
        binary("high", ["Na", "Cl"], (caesium * 3.5).tolist(), -0.5),
        binary("oxide", ["Mg", "O"], (salt * 4.2).tolist()),
        binary("caesium", ["Cl", "Cs"], (caesium * 4.1).tolist()),
        binary("alloy", ["Ni", "Al"], (caesium * 2.9).tolist(), None),
    ]


def written(path, told):
    with gzip.open(path, "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in told)
    return path


@pytest.fixture
def compounds(tmp_path):
    return read_compounds(written(tmp_path / "structures.jsonl.gz", rows()))


def test_the_lowest_entry_of_a_formula_counts(compounds):
    assert compounds.ids == ("salt", "oxide", "caesium", "alloy")


def test_excluded_formulas_are_left_out_whatever_their_cell(tmp_path):
    double = rows()[2]
    double["structure"]["species"] *= 2
    double["structure"]["frac_coords"] = [[x, y, z / 2 + s] for s in (0, 0.5) for x, y, z in MIDDLE]
    keys = read_formula_keys(written(tmp_path / "benchmark.jsonl.gz", [double]))
    found = read_compounds(written(tmp_path / "structures.jsonl.gz", rows()), keys)
    assert "oxide" not in found.ids
    assert len(found) == 3


def test_the_same_arrangement_is_alike_and_another_is_not(compounds):
    labels = make_labels(compounds.profiles, compounds.ratios)
    assert labels.matrix["1:1"].astype(int).tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]
    assert labels(np.array([0, 0]), np.array([1, 2])).tolist() == [True, False]


def test_compounds_are_read_back_as_they_were(compounds, tmp_path):
    save_compounds(compounds, tmp_path / "kept.npz")
    found = load_compounds(tmp_path / "kept.npz")
    assert (found.ids, found.keys, found.ratios) == (compounds.ids, compounds.keys, compounds.ratios)
    assert found.compositions == compounds.compositions
    for one, other in zip(found.profiles, compounds.profiles, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("amounts", [(1,), (1, 2), (1, 1), (1, 1, 2), (1, 1, 1), (2, 2, 3, 3)])
def test_matrices_hold_the_distances_of_single_pairs(amounts):
    random = np.random.default_rng(len(amounts))
    size = len(amounts)
    profiles = random.random((7, size, size, 2, 5)).astype(np.float32)
    one, other = np.triu_indices(7, 1)
    found = distance_matrix(profiles, amounts)
    np.testing.assert_allclose(
        found[one, other], arrangement_distances(profiles[one], profiles[other], amounts), rtol=1e-5
    )
    np.testing.assert_allclose(found, found.T, rtol=1e-5)


def test_many_equal_elements_are_compared_by_search():
    profiles = np.random.default_rng(0).random((3, 7, 7, 2, 2)).astype(np.float32)
    found = distance_matrix(profiles, (1,) * 7)
    assert found[0, 0] == 0
    assert found[0, 1] == found[1, 0] > 0


@given(st.dictionaries(st.sampled_from(["H", "Li", "O", "Fe", "U"]), st.integers(1, 30), min_size=1), st.integers(1, 9))
def test_a_multiple_of_a_formula_is_the_same_formula(composition, factor):
    multiple = {symbol: amount * factor for symbol, amount in reversed(composition.items())}
    assert formula_key(multiple) == formula_key(composition)
    assert ratio_of(multiple) == ratio_of(composition)


def test_deuterium_is_hydrogen():
    assert one_unit({"D": 2, "H": 2, "O": 2}) == {"H": 2, "O": 1}


def test_broken_amounts_are_kept_as_given():
    assert one_unit({"Li": 0.5, "Co": 1.0, "O": 2.0}) == {"Li": 0.5, "Co": 1.0, "O": 2.0}


def test_drawing_by_formula_never_changes():
    assert [bucket(key, 0, 1000) for key in ("Cl1Na1", "Li2O1")] == [
        bucket(key, 0, 1000) for key in ("Cl1Na1", "Li2O1")
    ]
    assert bucket("Li2O1", 0, 100) == 57  # as shipped weights were trained


def test_rows_of_sets_do_not_depend_on_what_stands_beside_them():
    scale = scale_of(np.random.default_rng(0).random((5, 290)))
    alone = read_sets([{"Na": 1, "Cl": 1}], scale)
    beside = read_sets([{"Na": 1, "Cl": 1}, {"Li": 1, "Fe": 1, "P": 1, "O": 4}], scale).at(np.array([0]))
    for one, other in zip(alone, beside, strict=True):
        np.testing.assert_array_equal(one, other)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.floats(0.05, 5.0), st.integers(0, 99))
def test_agreements_are_probabilities(n, known, temperature, seed):
    random = np.random.default_rng(seed)
    kind = random.integers(0, 3, known)
    weights = vote_weights(random.normal(0, 3, (n, known)), temperature)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    found = agreements(weights, kind[:, None] == kind)
    assert ((found >= 0) & (found <= 1)).all()
    np.testing.assert_allclose(found, found.T, rtol=1e-5)


def test_equal_arrangements_of_all_voters_agree_for_sure():
    weights = vote_weights(np.random.default_rng(0).normal(size=(3, 5)), 0.5)
    np.testing.assert_allclose(agreements(weights, np.ones((5, 5), dtype=bool)), 1, rtol=1e-6)


def test_votes_are_used_as_far_as_they_tell():
    random = np.random.default_rng(0)
    alike = random.random(2000) < 0.5
    told = np.clip(np.where(alike, 0.8, 0.2) + random.normal(0, 0.25, 2000), 0, 1)
    votes = fit_votes(random.normal(size=2000), lambda temperature: told, alike)
    assert abs(votes.weights[0]) < 0.3  # the logit is noise here
    assert ((votes.probability(np.zeros(2000), told) > 0.5) == alike).mean() > 0.85


@pytest.mark.data
def test_the_compounds_of_the_protocol_leave_the_benchmark_out(data_folder):
    benchmark = read_formula_keys(data_folder / "csp" / "csp90.jsonl.gz")
    assert len(benchmark) == 90
    everything = read_formula_keys(data_folder / "structures" / "mp_stable52.jsonl.gz")
    assert len(everything - benchmark) == 30198
