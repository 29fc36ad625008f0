"""The document of a structure: its fields, their types, and that it survives the way through JSON."""

from __future__ import annotations

import numpy as np
import pytest

from builders.structures.analysis import analyse
from store.crystal import Crystal


def halite() -> Crystal:
    corners = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    places = np.concatenate([corners, corners + 0.5])
    return Crystal.from_lists(np.eye(3) * 5.64, ["Na"] * 4 + ["Cl"] * 4, places)


def test_document_of_halite() -> None:
    document = analyse(halite()).to_document()
    exact = {
        "formula": "NaCl",
        "chemical_formula_reduced": "ClNa",
        "chemical_formula_anonymous": "AB",
        "chemical_system": "Cl-Na",
        "elements": ["Cl", "Na"],
        "nelements": 2,
        "nsites": 8,
        "nsites_primitive": 2,
        "composition": {"Cl": 1.0, "Na": 1.0},
        "space_group_number": 225,
        "space_group_symbol": "Fm-3m",
        "crystal_system": "cubic",
        "point_group": "m-3m",
        "pearson_symbol": "cF8",
        "prototype": "AB_cF8_225_a_b:Cl-Na",
        "anonymous_prototype": "AB_cF8_225_a_b",
        "is_ordered": True,
        "flags": [],
        "oxidation_states": {"Cl": -1.0, "Na": 1.0},
        "oxidation_state_method": "icsd-common",
        "symprec": 0.01,
        "hash_margin": 100.0,
    }
    assert {name: document[name] for name in exact} == exact
    assert document["volume"] == pytest.approx(5.64**3 / 4)
    assert document["volume_per_atom"] == pytest.approx(5.64**3 / 8)
    assert document["density"] == pytest.approx(2.164, abs=1e-3)  # measured: 2.165 g/cm^3
    assert document["min_distance"] == pytest.approx(2.82)
    assert len(document["structure_hash"]) == 32
    assert int(document["structure_hash"], 16) >= 0


def test_document_holds_plain_values_only() -> None:
    def plain(value: object) -> bool:
        if isinstance(value, dict):
            return all(type(name) is str and plain(each) for name, each in value.items())
        if isinstance(value, list):
            return all(plain(each) for each in value)
        return value is None or type(value) in {str, int, float, bool, bytes}

    disordered = Crystal.from_sites(np.eye(3) * 3, [{"Fe": 0.5, "Al": 0.5}], [[0, 0, 0]])
    for crystal in (halite(), disordered):
        assert plain(analyse(crystal).to_document())


def test_cells_of_the_document_read_back() -> None:
    document = analyse(halite()).to_document()
    for name, count in (("standard", 8), ("primitive", 2)):
        cell = Crystal.from_document(document[name])
        assert cell.n_sites == count
        assert analyse(cell).hash.value == document["structure_hash"]


def test_documents_do_not_share_what_is_cached() -> None:
    first = analyse(halite()).to_document()
    first["composition"]["Na"] = 7.0
    first["oxidation_states"]["Na"] = 7.0
    second = analyse(halite()).to_document()
    assert (second["composition"]["Na"], second["oxidation_states"]["Na"]) == (1.0, 1.0)


def test_partial_occupancy_counts_in_density_and_volume() -> None:
    full = Crystal.from_sites(np.eye(3) * 3, [{"Fe": 1.0}], [[0, 0, 0]])
    half = Crystal.from_sites(np.eye(3) * 3, [{"Fe": 0.5}], [[0, 0, 0]])
    one, other = analyse(full), analyse(half)
    assert other.density == pytest.approx(one.density / 2)
    assert other.volume_per_atom == pytest.approx(one.volume_per_atom * 2)


def test_given_crystal_is_not_changed() -> None:
    crystal = Crystal.from_lists(np.diag([3.0, 3, -3]), ["Li", "F"], [[1.5, -0.5, 0.25], [0, 0, 0]])
    lattice, places = crystal.lattice.copy(), crystal.frac_coords.copy()
    analyse(crystal)
    assert (crystal.lattice == lattice).all()
    assert (crystal.frac_coords == places).all()


def test_results_are_the_same_bytes_each_time() -> None:
    first, second = analyse(halite()).to_document(), analyse(halite()).to_document()
    assert first == second
