"""Is this crystal possible? Bring it into one form, say what was mended, refuse what cannot be mended."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from builders.structures.elements import element_table
from builders.structures.symmetry import minkowski_reduced
from store.crystal import Crystal, Occupancy, site_label
from store.errors import InvalidCoordinates, InvalidLattice, InvalidOccupancy, UnknownElement

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_OCCUPANCY = 1.0 + 1e-3
"""Largest total occupancy of a site: rounding of thirds and sixths is forgiven, nothing more."""
MIN_CELL_VOLUME = 0.1
"""Å^3; a smaller cell holds no atom."""
SHORTEST_VECTOR = 0.6
"""Å; each atom has an image of itself that far away, and no atom is so small."""
DENSE, EMPTY = 3.0, 150.0
"""Å^3 an atom; diamond has 5.7, a close packing of caesium 116, metal-organic frameworks up to about 100."""
_ISOTOPES = {"D": "H", "T": "H"}

FLAG_LEFT_HANDED = "left-handed cell"
FLAG_ISOTOPE = "hydrogen isotope read as H"
FLAG_OCCUPANCY = "occupancy rounded down to 1"
FLAG_DENSE = "very dense cell"
FLAG_EMPTY = "very empty cell"


@dataclass(frozen=True)
class Validated:
    """A crystal that can be worked with, and the flags raised on the way.

    Attributes
    ----------
    crystal : Crystal
        Right-handed cell, fractional coordinates in [0, 1), known elements, occupancies in (0, 1].
    flags : tuple of str
        What was mended or looks odd, in a fixed order.
    """

    crystal: Crystal
    flags: tuple[str, ...]


def validate(crystal: Crystal) -> Validated:
    """Check a crystal and bring it into one form.

    A left-handed cell is inverted (all three vectors change sign, which leaves every atom where it was), coordinates
    are wrapped into [0, 1), D and T become H, and occupancies a rounding error above one become one. Distances are
    checked elsewhere (:func:`builders.structures.neighbours.check_distances`).

    Parameters
    ----------
    crystal : Crystal
        As read; nothing is assumed about it.

    Returns
    -------
    Validated
        The same sites in the same order.

    Raises
    ------
    InvalidLattice
        A cell vector is not finite, the volume is zero, or the crystal repeats within 0.6 Å.
    InvalidCoordinates
        No site, the wrong shape, or a coordinate that is not finite.
    UnknownElement
        A symbol that is no element.
    InvalidOccupancy
        An occupancy that is zero, negative, not finite or above 1.001.

    Examples
    --------
    >>> upside_down = Crystal.from_lists([[3, 0, 0], [0, 3, 0], [0, 0, -3]], ["Po"], [[1.25, -0.25, 0]])
    >>> result = validate(upside_down)
    >>> result.flags, result.crystal.volume > 0, result.crystal.frac_coords.tolist()
    (('left-handed cell',), True, [[0.75, 0.25, 0.0]])
    """
    flags: list[str] = []
    lattice = _check_lattice(crystal.lattice)
    coordinates = _check_coordinates(crystal.frac_coords, len(crystal.species))
    if float(np.linalg.det(lattice)) < 0:
        lattice, coordinates = -lattice, -coordinates
        flags.append(FLAG_LEFT_HANDED)
    coordinates = coordinates - np.floor(coordinates)
    coordinates[coordinates >= 1.0] = 0.0  # -1e-17 wraps to exactly 1
    species, occupancies = _check_sites(crystal, flags)
    atoms = float(len(species)) if occupancies is None else sum(sum(site.values()) for site in occupancies)
    per_atom = float(np.linalg.det(lattice)) / atoms
    if per_atom < DENSE:
        flags.append(FLAG_DENSE)
    elif per_atom > EMPTY:
        flags.append(FLAG_EMPTY)
    return Validated(Crystal(lattice, coordinates, species, occupancies), tuple(flags))


def _check_lattice(given: NDArray[np.float64]) -> NDArray[np.float64]:
    lattice = np.ascontiguousarray(given, dtype=np.float64)
    if lattice.shape != (3, 3):
        raise InvalidLattice(f"A lattice has three vectors of three numbers; this one has the shape {lattice.shape}.")
    if not np.isfinite(lattice).all():
        raise InvalidLattice(f"A cell vector is not finite: {lattice.tolist()}.")
    volume = abs(float(np.linalg.det(lattice)))
    lengths = np.sqrt((lattice * lattice).sum(axis=1))
    # Relative to the box of its edges, a cell flatter than 1e-6 is a plane with rounding noise.
    if volume < MIN_CELL_VOLUME or volume < 1e-6 * float(lengths.prod()):
        raise InvalidLattice(
            f"The cell's volume is {volume:.3g} Å^3; more than {MIN_CELL_VOLUME} Å^3 was expected. "
            f"Its vectors are {lattice.tolist()}."
        )
    # No lattice vector is shorter than the smallest height of the cell: nearly always the cheap test is enough.
    steepest = float((np.linalg.inv(lattice) ** 2).sum(axis=0).max())
    if steepest * SHORTEST_VECTOR**2 > 1.0:
        shortest = float(np.sqrt((minkowski_reduced(lattice) ** 2).sum(axis=1)).min())
        if shortest < SHORTEST_VECTOR:
            raise InvalidLattice(
                f"The crystal repeats every {shortest:.3f} Å; at least {SHORTEST_VECTOR} Å was expected. "
                f"Its cell vectors are {lattice.tolist()}."
            )
    return lattice


def _check_coordinates(given: NDArray[np.float64], n_sites: int) -> NDArray[np.float64]:
    coordinates = np.ascontiguousarray(given, dtype=np.float64)
    if n_sites == 0:
        raise InvalidCoordinates("The structure has no site.")
    if coordinates.shape != (n_sites, 3):
        raise InvalidCoordinates(
            f"{n_sites} sites need coordinates of the shape ({n_sites}, 3); given was {coordinates.shape}."
        )
    finite = np.isfinite(coordinates).all(axis=1)
    if not finite.all():
        site = int(np.flatnonzero(~finite)[0])
        raise InvalidCoordinates(f"The coordinates of site {site + 1} are not finite: {coordinates[site].tolist()}.")
    return coordinates


def _check_sites(crystal: Crystal, flags: list[str]) -> tuple[tuple[str, ...], tuple[Occupancy, ...] | None]:
    table = element_table()
    if crystal.occupancies is None:
        kinds = set(crystal.species)
        if not kinds <= table.keys():
            for symbol in sorted(kinds - table.keys()):
                _element(symbol)
            flags.append(FLAG_ISOTOPE)
            return tuple(_ISOTOPES.get(symbol, symbol) for symbol in crystal.species), None
        return crystal.species, None
    if len(crystal.occupancies) != len(crystal.species):
        raise InvalidOccupancy(
            f"{len(crystal.species)} sites need as many occupancies; given were {len(crystal.occupancies)}."
        )
    sites = [_check_site(number, site, flags) for number, site in enumerate(crystal.occupancies, start=1)]
    if all(len(site) == 1 and next(iter(site.values())) == 1.0 for site in sites):
        return tuple(next(iter(site)) for site in sites), None
    return tuple(site_label(site) for site in sites), tuple(sites)


def _check_site(number: int, site: Occupancy, flags: list[str]) -> Occupancy:
    checked: Occupancy = {}
    for symbol, occupancy in site.items():
        amount = float(occupancy)
        if not (math.isfinite(amount) and 0.0 < amount <= MAX_OCCUPANCY):
            raise InvalidOccupancy(f"Site {number}: the occupancy of {symbol} is {amount}; it must lie in (0, 1].")
        name = _element(symbol)
        if name != symbol:
            _add_flag(flags, FLAG_ISOTOPE)
        checked[name] = checked.get(name, 0.0) + amount
    total = sum(checked.values())
    if total == 0.0:
        raise InvalidOccupancy(f"Site {number} holds nothing; at least one element was expected.")
    if total > MAX_OCCUPANCY:
        raise InvalidOccupancy(
            f"Site {number}: the occupancies {checked} add up to {total:.6g}; at most 1 is possible."
        )
    if total > 1.0 or (total != 1.0 and abs(total - 1.0) < 1e-8):
        if total > 1.0 + 1e-8:
            _add_flag(flags, FLAG_OCCUPANCY)
        checked = {name: amount / total for name, amount in checked.items()}
    return dict(sorted(checked.items()))


def _element(symbol: str) -> str:
    name = _ISOTOPES.get(symbol, symbol)
    if name not in element_table():
        raise UnknownElement(f"{symbol!r} is no chemical element; a symbol such as 'Li' was expected.")
    return name


def _add_flag(flags: list[str], flag: str) -> None:
    if flag not in flags:
        flags.append(flag)
