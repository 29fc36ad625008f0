"""Space group, Wyckoff positions, standardised cells: moyopy on plain arrays, and never an exception.

moyopy is spglib's algorithm in Rust (https://github.com/spglib/moyo). A disordered crystal is searched by its site
labels: sites with the same occupancies are one kind.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from builders.structures.elements import element_table
from store.crystal import Crystal, Occupancy

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

FLAG_TOLERANCE = "symmetry found at another tolerance"
FLAG_NOT_FOUND = "symmetry not found"
FALLBACK_FACTORS = (0.3, 3.0, 0.1, 10.0, 0.01)
"""Tolerances that are tried, in units of the wanted one, when the search fails at that."""
LARGEST_SHARE = 0.25
"""Largest tolerance as a share of the smallest distance."""


class GroupType(NamedTuple):
    """Facts about a space-group type."""

    symbol: str
    """international short symbol without spaces, e.g. ``Fm-3m``"""
    point_group: str
    """international symbol, e.g. ``m-3m``"""
    crystal_system: str
    """triclinic to cubic, lower case"""


@dataclass(frozen=True)
class Symmetry:
    """What the symmetry search found.

    Attributes
    ----------
    number : int
        Space group, 1 to 230.
    hall_number : int
        Setting, 1 to 530.
    pearson_symbol : str
        E.g. ``cF8``.
    wyckoffs : tuple of str
        shape=(n_sites,), Wyckoff letter of each given site.
    orbits : tuple of int
        shape=(n_sites,), the first site equivalent to each given site.
    standard, primitive : Crystal
        Conventional and primitive standardised cell, with symmetrised coordinates.
    primitive_sites : tuple of int
        For each site of ``primitive``, a given site that it stands for.
    symprec : float
        Å, the tolerance at which this was found.
    flags : tuple of str
        Empty, or how the search had to be helped.
    """

    number: int
    hall_number: int
    pearson_symbol: str
    wyckoffs: tuple[str, ...]
    orbits: tuple[int, ...]
    standard: Crystal
    primitive: Crystal
    primitive_sites: tuple[int, ...]
    symprec: float
    flags: tuple[str, ...] = ()


@lru_cache(maxsize=1)
def _moyopy() -> ModuleType:
    import moyopy

    # It warns through Python's logging about operations that a supercell cannot show; nothing here uses these.
    logging.getLogger("moyo").setLevel(logging.ERROR)
    return moyopy


@lru_cache(maxsize=230)
def group_type(number: int) -> GroupType:
    """Name a space-group type.

    Examples
    --------
    >>> group_type(225)
    GroupType(symbol='Fm-3m', point_group='m-3m', crystal_system='cubic')
    """
    kind = _moyopy().SpaceGroupType(number)
    return GroupType(kind.hm_short.replace(" ", ""), kind.geometric_crystal_class, kind.crystal_system.lower())


def minkowski_reduced(lattice: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shortest right-handed basis of a lattice; only integer combinations of the given vectors.

    Parameters
    ----------
    lattice : numpy.ndarray
        shape=(3, 3), Å, rows; not singular.

    Returns
    -------
    numpy.ndarray
        shape=(3, 3), Å, rows; the same orientation in space.

    Examples
    --------
    >>> minkowski_reduced(np.array([[3.0, 0, 0], [30, 3, 0], [0, 0, 4]])).tolist()
    [[3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 4.0]]
    """
    _, transformation = _moyopy().minkowski_reduce(lattice.tolist())
    reduced: NDArray[np.float64] = np.asarray(transformation, dtype=np.float64).T @ lattice
    return reduced


def find_symmetry(
    crystal: Crystal,
    symprec: float = 0.01,
    angle_tolerance: float | None = None,
    *,
    min_distance: float = math.inf,
) -> Symmetry:
    """Find the space group and the standardised cells of a validated crystal.

    Parameters
    ----------
    crystal : Crystal
        Validated: right-handed, finite, known elements.
    symprec : float
        Å, how far an atom may lie from where symmetry wants it.
    angle_tolerance : float, optional
        Degrees, how far cell angles may be off; by default moyopy judges lengths only.
    min_distance : float
        Å, smallest distance in the crystal where known. No tolerance above a quarter of it is used: the search never ends
        when it cannot tell neighbours apart.

    Returns
    -------
    Symmetry
        Should the search fail at this tolerance, others are tried and a flag says so; the last resort is P1.

    Examples
    --------
    >>> rock_salt = Crystal.from_lists([[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]], ["Na", "Cl"],
    ...                                [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> found = find_symmetry(rock_salt)
    >>> found.number, found.pearson_symbol, found.wyckoffs, found.standard.n_sites, found.primitive.n_sites
    (225, 'cF8', ('a', 'b'), 8, 2)
    """
    numbers, kinds = _pseudo_numbers(crystal)
    moyopy = _moyopy()
    cell = moyopy.Cell(crystal.lattice.tolist(), crystal.frac_coords.tolist(), numbers)
    angle = None if angle_tolerance is None else math.radians(angle_tolerance)
    largest = LARGEST_SHARE * min_distance
    for factor in (1.0, *FALLBACK_FACTORS):
        tolerance = min(symprec * factor, largest)
        try:
            data = moyopy.MoyoDataset(cell, symprec=tolerance, angle_tolerance=angle)
        except BaseException as error:  # a panic in Rust is a BaseException
            if isinstance(error, (KeyboardInterrupt, SystemExit, MemoryError)):
                raise
            continue
        flags = () if tolerance == symprec else (FLAG_TOLERANCE,)
        return _translate(data, kinds, tolerance, flags)
    return _without_symmetry(crystal, symprec)


def _pseudo_numbers(crystal: Crystal) -> tuple[list[int], dict[int, tuple[str, Occupancy | None]]]:
    """Give each kind of site a number: the atomic number, or for a disordered crystal the rank of its label."""
    if crystal.occupancies is None:
        table = element_table()
        numbers = {symbol: table[symbol].number for symbol in set(crystal.species)}
        kinds: dict[int, tuple[str, Occupancy | None]] = {number: (symbol, None) for symbol, number in numbers.items()}
    else:
        contents = dict(zip(crystal.species, crystal.occupancies, strict=True))
        numbers = {label: rank for rank, label in enumerate(sorted(contents), start=1)}
        kinds = {number: (label, contents[label]) for label, number in numbers.items()}
    return [numbers[label] for label in crystal.species], kinds


def _translate(
    data: Any, kinds: dict[int, tuple[str, Occupancy | None]], symprec: float, flags: tuple[str, ...]
) -> Symmetry:
    return Symmetry(
        number=data.number,
        hall_number=data.hall_number,
        pearson_symbol=data.pearson_symbol,
        wyckoffs=tuple(data.wyckoffs),
        orbits=tuple(data.orbits),
        standard=_crystal(data.std_cell, kinds),
        primitive=_crystal(data.prim_std_cell, kinds),
        primitive_sites=_first_sites(data.mapping_std_prim),
        symprec=symprec,
        flags=flags,
    )


def _first_sites(mapping: list[int]) -> tuple[int, ...]:
    """Invert the mapping of given sites to primitive ones; of several the first is taken."""
    first: dict[int, int] = {}
    for given, primitive in enumerate(mapping):
        first.setdefault(primitive, given)
    return tuple([first[primitive] for primitive in range(len(first))])


def _crystal(cell: Any, kinds: dict[int, tuple[str, Occupancy | None]]) -> Crystal:
    numbers = cell.numbers
    coordinates = np.array(cell.positions, dtype=np.float64).reshape(-1, 3)
    coordinates -= np.floor(coordinates)
    coordinates[coordinates >= 1.0 - 1e-12] = 0.0
    species = tuple([kinds[number][0] for number in numbers])
    if next(iter(kinds.values()))[1] is None:
        return Crystal(np.array(cell.basis, dtype=np.float64), coordinates, species)
    occupancies = tuple([dict(kinds[number][1] or {}) for number in numbers])
    return Crystal(np.array(cell.basis, dtype=np.float64), coordinates, species, occupancies)


def _without_symmetry(crystal: Crystal, symprec: float) -> Symmetry:
    return Symmetry(
        number=1,
        hall_number=1,
        pearson_symbol=f"aP{crystal.n_sites}",
        wyckoffs=("a",) * crystal.n_sites,
        orbits=tuple(range(crystal.n_sites)),
        standard=crystal,
        primitive=crystal,
        primitive_sites=tuple(range(crystal.n_sites)),
        symprec=symprec,
        flags=(FLAG_NOT_FOUND,),
    )
