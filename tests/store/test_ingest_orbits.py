"""Symmetry operations, orbits and shared sites, against pymatgen's and the Tables' numbers."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.errors import InvalidCoordinates, InvalidLattice, InvalidOccupancy, SourceError, StructureError
from store.ingest.operations import Operations, parse_operation, parse_operations
from store.ingest.orbits import cell_matrix, expand, fill_cell, wrap

SPINEL = 8.083


@lru_cache
def group(number: int) -> Operations:
    from pymatgen.symmetry.groups import SpaceGroup

    matrices = np.array([operation.affine_matrix for operation in SpaceGroup.from_int_number(number).symmetry_ops])
    return Operations(matrices[:, :3, :3], matrices[:, :3, 3])


@pytest.mark.parametrize("number", [1, 2, 14, 62, 136, 148, 166, 194, 221, 225, 227, 230])
def test_operations_read_from_text_are_those_of_pymatgen(number: int) -> None:
    from pymatgen.symmetry.groups import SpaceGroup

    known = SpaceGroup.from_int_number(number).symmetry_ops
    parsed = parse_operations(tuple(operation.as_xyz_str() for operation in known))
    expected = np.array([operation.affine_matrix for operation in known])
    assert len(parsed.rotations) == len(known)
    np.testing.assert_array_equal(parsed.rotations, expected[:, :3, :3])
    difference = parsed.translations - expected[:, :3, 3]
    np.testing.assert_allclose(difference - np.round(difference), 0, atol=1e-12)


@pytest.mark.parametrize(
    ("text", "shift", "first_row"),
    [
        ("x,y,z", 0.0, (1, 0, 0)),
        (" X , -Y , Z+1/2 ", 0.0, (1, 0, 0)),
        ("-x+y+0.3333,-x,z", 1 / 3, (-1, 1, 0)),
        ("1/2+x,y,z", 0.5, (1, 0, 0)),
        ("x-y-.25,y,z", -0.25, (1, -1, 0)),
        ("2*x,y,z", 0.0, (2, 0, 0)),
    ],
)
def test_notations(text: str, shift: float, first_row: tuple[int, ...]) -> None:
    rows, shifts = parse_operation(text)
    assert rows[0] == first_row
    assert shifts[0] == pytest.approx(shift, abs=1e-12)


@pytest.mark.parametrize("text", ["", "x,y", "x,y,z,w", "x,y,q", "x,,z", "x y,y,z", "1/0+x,y,z", "x,y,2z3"])
def test_what_is_no_operation(text: str) -> None:
    with pytest.raises(SourceError):
        parse_operation(text)


@given(st.text(max_size=40))
def test_any_text_is_an_operation_or_an_error(text: str) -> None:
    try:
        rows, shifts = parse_operation(text)
    except SourceError:
        return
    assert np.isfinite(np.array(rows)).all()
    assert np.isfinite(np.array(shifts)).all()


@pytest.mark.parametrize(
    ("number", "place", "multiplicity"),
    [
        (225, (0, 0, 0), 4),  # Fm-3m 4a
        (225, (0.25, 0.25, 0.25), 8),  # 8c
        (225, (0.2501, 0.2499, 0.25), 8),  # as printed with four digits
        (225, (0.11, 0.23, 0.37), 192),
        (194, (0.3333, 0.6667, 0.25), 2),  # P6_3/mmc 2c
        (194, (0.3333, 0.6667, 0.0620), 4),  # 4f
        (62, (0.1, 0.25, 0.9), 4),  # Pnma 4c
        (230, (0.125, 0.0, 0.25), 24),  # Ia-3d 24c
        (166, (0.0, 0.0, 0.25), 6),  # R-3m (hexagonal axes) 6c
    ],
)
def test_multiplicities_of_the_international_tables(number: int, place: tuple[float, ...], multiplicity: int) -> None:
    lattice = cell_matrix([9, 9, 9], [90, 90, 120 if number in {166, 194} else 90])
    (orbit,) = expand(lattice, np.array([place]), group(number))
    assert len(orbit) == multiplicity
    assert ((orbit >= 0) & (orbit < 1)).all()


def test_rounded_positions_are_put_right() -> None:
    lattice = cell_matrix([5, 5, 8], [90, 90, 120])
    (orbit,) = expand(lattice, np.array([[0.333, 0.667, 0.25]]), group(194))
    np.testing.assert_allclose(np.sort(orbit[:, 0]), [1 / 3, 2 / 3], atol=1e-9)


def test_spinel() -> None:
    lattice = cell_matrix([SPINEL] * 3, [90] * 3)
    sites = [{"Mg": 1.0}, {"Al": 1.0}, {"O": 1.0}]
    coords = np.array([[0, 0, 0], [0.625] * 3, [0.3874] * 3])  # origin choice 1
    crystal = fill_cell(lattice, sites, coords, group(227))
    assert crystal.amounts() == {"Mg": 8.0, "Al": 16.0, "O": 32.0}
    assert crystal.is_ordered
    distances = crystal.to_pymatgen().distance_matrix
    assert distances[distances > 0].min() == pytest.approx(1.92, abs=0.01)


def test_species_that_share_a_place_are_one_site() -> None:
    lattice = np.eye(3) * 4
    sites = [{"Mg": 0.4}, {"Fe": 0.6}, {"O": 1.0}]
    coords = np.array([[0, 0, 0], [0.001, 0, 0.999], [0.5, 0.5, 0.5]])
    crystal = fill_cell(lattice, sites, coords, parse_operations(()))
    assert crystal.n_sites == 2
    assert crystal.occupancies is not None
    assert crystal.occupancies[0] == pytest.approx({"Mg": 0.4, "Fe": 0.6})


def test_a_site_listed_with_its_own_image_counts_once() -> None:
    notes: list[str] = []
    coords = np.array([[0.1, 0.2, 0.3], [0.9, 0.8, 0.7]])
    crystal = fill_cell(
        np.eye(3) * 5, [{"O": 1.0}, {"O": 1.0}], coords, parse_operations(("x,y,z", "-x,-y,-z")), warnings=notes
    )
    assert crystal.amounts() == {"O": 2.0}
    assert notes == ["A site was listed more than once; it was counted once."]


def test_occupancies() -> None:
    lattice, one = np.eye(3) * 4, np.zeros((1, 3))
    notes: list[str] = []
    crystal = fill_cell(lattice, [{"Ti": 1.01}], one, parse_operations(()), warnings=notes)
    assert crystal.is_ordered
    assert len(notes) == 1
    for bad in (1.1, -0.1, 0.0, float("nan"), float("inf")):
        with pytest.raises(InvalidOccupancy):
            fill_cell(lattice, [{"Ti": bad}], one, parse_operations(()))
    with pytest.raises(InvalidOccupancy, match=r"sum to 1\.5"):
        fill_cell(lattice, [{"Ti": 0.7}, {"Al": 0.8}], np.zeros((2, 3)), parse_operations(()))


def test_impossible_cells_and_places() -> None:
    for lengths, angles in (
        ([0, 1, 1], [90, 90, 90]),
        ([1, 1, 1], [90, 90, 180]),
        ([1, 1, 1], [10, 10, 120]),
        ([float("nan"), 1, 1], [90, 90, 90]),
        ([1, 1, -1], [90, 90, 90]),
    ):
        with pytest.raises(InvalidLattice):
            cell_matrix(lengths, angles)
    with pytest.raises(InvalidCoordinates, match="Site 2"):
        fill_cell(
            np.eye(3) * 4, [{"O": 1.0}] * 2, np.array([[0, 0, 0], [0.5, np.nan, 0]]), parse_operations(("x,y,z",))
        )


lengths = st.floats(2, 30)
angles = st.floats(40, 140)


@given(st.tuples(lengths, lengths, lengths), st.tuples(angles, angles, angles))
def test_cell_vectors_have_the_lengths_and_angles_given(abc: tuple[float, ...], degrees: tuple[float, ...]) -> None:
    try:
        lattice = cell_matrix(abc, degrees)
    except InvalidLattice:
        return
    norms = np.linalg.norm(lattice, axis=1)
    np.testing.assert_allclose(norms, abc, rtol=1e-9)
    cosines = [lattice[i] @ lattice[j] / norms[i] / norms[j] for i, j in ((1, 2), (0, 2), (0, 1))]
    np.testing.assert_allclose(cosines, np.cos(np.radians(degrees)), atol=1e-7)
    assert np.linalg.det(lattice) > 0


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(*[st.floats(-2, 2, width=32)] * 3), min_size=1, max_size=6),
    st.sampled_from([1, 2, 14, 62, 148, 166, 194, 225, 230]),
)
def test_orbits_are_closed_and_have_no_double(places: list[tuple[float, ...]], number: int) -> None:
    lattice = cell_matrix([7, 7, 11], [90, 90, 120 if 143 <= number <= 194 else 90])
    operations = group(number)
    for orbit in expand(lattice, np.array(places), operations):
        images = wrap(np.einsum("oij,sj->osi", operations.rotations, orbit) + operations.translations[:, None, :])
        gaps = images.reshape(-1, 1, 3) - orbit[None, :, :]
        gaps -= np.round(gaps)
        distances = np.linalg.norm(gaps @ lattice, axis=2)
        assert distances.min(axis=1).max() < 0.11  # every image of the orbit is in the orbit
        own = orbit[:, None, :] - orbit[None, :, :]
        own -= np.round(own)
        apart = np.linalg.norm(own @ lattice, axis=2) + np.eye(len(orbit)) * 9
        assert apart.min() > 1e-6


def test_too_many_images_are_refused() -> None:
    operations = Operations(np.repeat(np.eye(3)[None], 5000, axis=0), np.zeros((5000, 3)))
    with pytest.raises(SourceError, match="too large a cell"):
        expand(np.eye(3), np.zeros((2000, 3)), operations)
    with pytest.raises((SourceError, StructureError)):
        parse_operations(tuple(f"x,y,z+1/{number}" for number in range(1, 10_010)))
