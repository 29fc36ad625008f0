"""Validation: what is mended, what is refused, and with which words."""

from __future__ import annotations

import numpy as np
import pytest

from builders.structures.analysis import analyse
from builders.structures.validation import validate
from store.crystal import Crystal
from store.errors import CoincidentAtoms, InvalidCoordinates, InvalidLattice, InvalidOccupancy, UnknownElement

CUBE = np.eye(3) * 4.0


def site(occupancies: dict[str, float], lattice: np.ndarray = CUBE) -> Crystal:
    return Crystal.from_lists(lattice, ["site"], [[0, 0, 0]], [occupancies])


def test_left_handed_cell_keeps_every_atom_where_it_is() -> None:
    lattice = np.array([[4.0, 0, 0], [1, 5, 0], [0.5, 1, -6]])
    given = Crystal.from_lists(lattice, ["Li", "F"], [[0.1, 0.2, 0.3], [0.6, 0.7, 0.9]])
    result = validate(given)
    assert result.flags == ("left-handed cell",)
    assert result.crystal.volume == pytest.approx(120)
    # Each atom is moved by a lattice vector only.
    moved = (result.crystal.frac_coords @ result.crystal.lattice - given.frac_coords @ lattice) @ np.linalg.inv(lattice)
    assert np.allclose(moved, moved.round())


def test_coordinates_are_wrapped_and_minus_epsilon_becomes_zero() -> None:
    coordinates = validate(Crystal.from_lists(CUBE, ["Li"], [[-1e-17, 1.0, -0.25]])).crystal.frac_coords
    assert coordinates.tolist() == [[0.0, 0.0, 0.75]]


def test_isotopes_are_hydrogen() -> None:
    result = validate(Crystal.from_lists(CUBE, ["D", "O", "T"], [[0, 0, 0], [0.3, 0, 0], [0.6, 0, 0]]))
    assert result.crystal.species == ("H", "O", "H")
    assert result.flags == ("hydrogen isotope read as H",)


def test_occupancies_a_rounding_error_above_one_are_one() -> None:
    result = validate(site({"Fe": 0.6004, "Mg": 0.4003}))
    assert result.crystal.occupancies is not None
    assert sum(result.crystal.occupancies[0].values()) == pytest.approx(1.0, abs=1e-12)
    assert result.flags == ("occupancy rounded down to 1",)
    assert validate(site({"Fe": 0.9999999999})).crystal.is_ordered


@pytest.mark.parametrize(
    ("lattice", "error", "words"),
    [
        (np.diag([4.0, 4.0, np.nan]), InvalidLattice, "not finite"),
        (np.diag([4.0, np.inf, 4.0]), InvalidLattice, "not finite"),
        (np.array([[4.0, 0, 0], [8, 0, 0], [0, 0, 4]]), InvalidLattice, "volume"),
        (np.zeros((3, 3)), InvalidLattice, "volume"),
        (np.eye(2), InvalidLattice, "shape"),
        (np.array([[10, 0, 0], [9.99, 0.1, 0], [0, 0, 10]]), InvalidLattice, "repeats every 0.100 Å"),
    ],
)
def test_impossible_lattices(lattice: np.ndarray, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        analyse(Crystal(lattice, np.zeros((1, 3)), ("Li",)))


@pytest.mark.parametrize(
    ("coordinates", "species", "words"),
    [
        (np.zeros((0, 3)), (), "no site"),
        (np.array([[0, np.nan, 0]]), ("Li",), "site 1"),
        (np.array([[0, 0, 0], [0, np.inf, 0]]), ("Li", "F"), "site 2"),
        (np.zeros((2, 3)), ("Li",), "shape"),
        (np.zeros((1, 2)), ("Li",), "shape"),
    ],
)
def test_impossible_coordinates(coordinates: np.ndarray, species: tuple[str, ...], words: str) -> None:
    with pytest.raises(InvalidCoordinates, match=words):
        validate(Crystal(CUBE, coordinates, species))


@pytest.mark.parametrize("symbol", ["Wat", "W1", "", "li", "X", "M"])
def test_unknown_elements(symbol: str) -> None:
    with pytest.raises(UnknownElement, match="no chemical element"):
        validate(Crystal.from_lists(CUBE, ["Li", symbol], [[0, 0, 0], [0.5, 0.5, 0.5]]))
    with pytest.raises(UnknownElement, match="no chemical element"):
        validate(site({symbol: 0.5}))


@pytest.mark.parametrize(
    "occupancies", [{}, {"Fe": 0.0}, {"Fe": -0.2}, {"Fe": 1.2}, {"Fe": 0.7, "Mg": 0.4}, {"Fe": float("nan")}]
)
def test_impossible_occupancies(occupancies: dict[str, float]) -> None:
    with pytest.raises(InvalidOccupancy, match="Site 1"):
        validate(site(occupancies))


@pytest.mark.parametrize("count", [2, 2000])
def test_coincident_atoms(count: int) -> None:
    """Also in a large cell with all atoms at one place, where all pairs would be millions."""
    with pytest.raises(CoincidentAtoms, match="Sites 1 and"):
        analyse(Crystal(np.eye(3) * 40, np.zeros((count, 3)), ("Li",) * count))


def test_atom_that_coincides_across_the_cell_boundary() -> None:
    with pytest.raises(CoincidentAtoms, match="Sites 1 and 2"):
        analyse(Crystal.from_lists(CUBE, ["Li", "Li"], [[0.001, 0, 0], [0.999, 0, 0]]))


def test_close_atoms_are_flagged() -> None:
    assert analyse(Crystal.from_lists(CUBE, ["H", "H"], [[0, 0, 0], [0.1, 0, 0]])).flags == ("atoms closer than 0.6 Å",)


def test_split_sites_are_no_coincidence() -> None:
    sites = [{"Li": 0.5}, {"Li": 0.5}]
    for place in (0.1, 0.02):
        found = analyse(Crystal.from_lists(CUBE, ["a", "b"], [[0, 0, 0], [place, 0, 0]], sites))
        assert found.flags == ("partially occupied sites closer than 0.6 Å",)
    with pytest.raises(CoincidentAtoms):
        analyse(Crystal.from_lists(CUBE, ["a", "b"], [[0, 0, 0], [0.02, 0, 0]], [{"Li": 0.5}, {"Li": 0.6}]))


def test_density_flags() -> None:
    assert analyse(Crystal.from_lists(np.eye(3) * 1.2, ["H"], [[0, 0, 0]])).flags == ("very dense cell",)
    assert analyse(Crystal.from_lists(np.eye(3) * 6.0, ["Xe"], [[0, 0, 0]])).flags == ("very empty cell",)
