"""Derived templates: orderings counted by Pólya's theorem, structure types that follow from others."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.templates.derive import _different, _hermite, _hermite_forms, _symmetry, merge, orderings, to_primitive
from store.crystal import Crystal

FCC = 0.5 * (np.ones((3, 3)) - np.eye(3))


def groups(found: list, names: list[str]) -> list[tuple[int, int]]:
    """Space group and atoms in the primitive cell of each ordering."""
    told = []
    for each in found:
        crystal = Crystal(each.lattice, each.frac_coords, tuple(names[k] for k in each.species))
        primitive, number = to_primitive(crystal)
        told.append((number, primitive.n_sites))
    return told


def test_ordering_body_centred_iron_gives_caesium_chloride() -> None:
    found = orderings(
        2.87 * np.eye(3), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array([0, 0]), 0, (1, 1), largest_multiple=1
    )
    assert groups(found, ["Fe", "Al"]) == [(221, 2)]


def test_ordering_fluorite_s_anions_gives_the_half_heusler_structure() -> None:
    found = orderings(
        5.46 * FCC, np.array([[0, 0, 0], [0.25] * 3, [0.75] * 3]), np.array([0, 1, 1]), 1, (1, 1), largest_multiple=1
    )
    assert groups(found, ["Ni", "Ti", "Sn"]) == [(216, 3)]


def test_ordering_the_b_sites_of_perovskite_in_two_cells_gives_elpasolite() -> None:
    frac = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    found = orderings(3.9 * np.eye(3), frac, np.array([0, 1, 2, 2, 2]), 1, (1, 1), most=20, largest_multiple=2)
    # Rock salt (Fm-3m), columns (P4/mmm on the face diagonals) and layers (P4/mmm): the three ways in doubled cells.
    assert {group for group, sites in groups(found, ["Sr", "Fe", "O", "Mo"]) if sites == 10} == {225, 123}


def test_ordering_the_metals_of_rock_salt_in_two_cells_finds_the_known_types() -> None:
    found = orderings(
        4.2 * FCC, np.array([[0, 0, 0], [0.5] * 3]), np.array([0, 1]), 0, (1, 1), most=20, largest_multiple=2
    )
    # Layers along [111] (the order of alpha-NaFeO2, R-3m) and along [001] (the order of L1_0, P4/mmm).
    assert {group for group, _ in groups(found, ["Na", "O", "Fe"])} == {166, 123}


@pytest.mark.parametrize(("sites", "second"), [(4, 1), (4, 2), (6, 3)])
def test_divisions_of_a_ring_are_the_necklaces_of_polya(sites: int, second: int) -> None:
    """Atoms on a chain with one translation: classes of subsets under rotations and reflections."""
    frac = np.zeros((sites, 3))
    frac[:, 2] = np.arange(sites) / sites
    lattice = np.diag([3.0, 4.0, 2.0 * sites])
    found = orderings(lattice, frac, np.zeros(sites, int), 0, (sites - second, second), most=100, largest_multiple=1)
    bracelets = set()
    for chosen in range(1 << sites):
        if bin(chosen).count("1") != second:
            continue
        bits = [(chosen >> k) & 1 for k in range(sites)]
        turned = [bits[k:] + bits[:k] for k in range(sites)]
        bracelets.add(max(tuple(each) for ring in turned for each in (ring, ring[::-1])))
    assert len(found) == len(bracelets)


def test_parts_keep_the_wanted_amounts() -> None:
    found = orderings(4.2 * FCC, np.array([[0, 0, 0], [0.5] * 3]), np.array([0, 1]), 0, (1, 3), most=50)
    assert found
    for each in found:
        counts = np.bincount(each.species)
        assert counts[0] * 3 == counts[2]
        assert counts[1] == counts[0] + counts[2]


def test_small_and_symmetric_orderings_stand_first() -> None:
    frac = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    found = orderings(3.9 * np.eye(3), frac, np.array([0, 1, 2, 2, 2]), 2, (1, 2), most=20)
    keys = [(each.multiple, -each.symmetry) for each in found]
    assert keys == sorted(keys)


def test_the_cell_of_an_ordering_has_the_parent_s_density() -> None:
    frac = np.array([[0, 0, 0], [0.5] * 3])
    for each in orderings(4.2 * FCC, frac, np.array([0, 1]), 0, (1, 2), most=20):
        volume = abs(float(np.linalg.det(each.lattice))) / len(each.species)
        assert volume == pytest.approx(4.2**3 / 8)


def test_merging_zinc_blende_gives_diamond() -> None:
    species = merge(np.array([0, 1]), 0, 1)
    primitive, group = to_primitive(
        Crystal(5.4 * FCC, np.array([[0, 0, 0], [0.25] * 3]), tuple(["Si", "?"][k] for k in species))
    )
    assert (group, primitive.n_sites) == (227, 2)


def test_a_wide_tolerance_undoes_a_small_distortion() -> None:
    lattice = np.diag([4.10, 4.10, 4.16])
    crystal = Crystal(lattice, np.array([[0, 0, 0], [0.5] * 3]), ("Cs", "Cl"))
    assert to_primitive(crystal)[1] == 123
    assert to_primitive(crystal, 0.2)[1] == 221


def test_many_atoms_are_divided_by_whole_orbits_only() -> None:
    rng = np.random.default_rng(0)
    frac = rng.random((30, 3))
    found = orderings(12 * np.eye(3), frac, np.zeros(30, int), 0, (29, 1), most=5, largest_multiple=1)
    assert math.comb(30, 15) > 3000
    assert all(np.bincount(each.species).tolist() == [29, 1] for each in found)


@pytest.mark.parametrize(("index", "count"), [(1, 1), (2, 7), (3, 13), (4, 35)])
def test_there_are_as_many_sublattices_as_divisors_say(index: int, count: int) -> None:
    # The sum over d1 d2 d3 = index of d2 d3^2.
    assert len(set(_hermite_forms(index))) == count


@pytest.mark.parametrize(("index", "count"), [(2, 3), (3, 3), (4, 9)])
def test_sublattices_of_a_cubic_lattice_that_differ(index: int, count: int) -> None:
    # Derivative superlattices of the simple cubic lattice: Hart and Forcade, Phys. Rev. B 77, 224115 (2008), table IV.
    rotations, _ = _symmetry(np.eye(3), np.zeros((1, 3)), np.zeros(1, np.int64))
    assert len(list(_different(_hermite_forms(index), rotations))) == count


@given(st.lists(st.integers(-3, 3), min_size=9, max_size=9), st.integers(0, 2), st.integers(0, 2), st.integers(-2, 2))
def test_the_normal_form_does_not_depend_on_the_basis(numbers: list[int], one: int, other: int, factor: int) -> None:
    matrix = np.array(numbers, np.int64).reshape(3, 3)
    if round(np.linalg.det(matrix)) == 0 or one == other:
        return
    changed = matrix.copy()
    changed[one] += factor * changed[other]
    assert _hermite(changed) == _hermite(matrix)
    assert round(np.linalg.det(np.array(_hermite(matrix)))) == abs(round(np.linalg.det(matrix)))
