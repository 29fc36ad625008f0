"""Templates made of templates of another stoichiometry: ordering one species into two, or letting two become one.

*Ordering*: the atoms of one species of a parent are divided among two species of the query (AB2 to ABC). They may be divided
wherever they stand on several orbits, and on one orbit when the symmetry is lowered to a subgroup, in the parent's primitive
cell or a supercell of it. All divisions of the wanted amounts are listed once up to symmetry, the most symmetric ones first.

*Merging*: two species of a parent become one of the query (ABC to AB2).

A derived template has the parent's geometry, unrelaxed.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from builders.structures.symmetry import _moyopy as quiet_moyopy
from store.crystal import Crystal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

MOST_SITES: Final = 48
"""Atoms of the largest derived cell."""
LARGEST_MULTIPLE: Final = 4
"""Largest supercell, in primitive cells of the parent."""
MOST_COLOURINGS: Final = 3000
"""Divisions of the atoms of one cell that are looked at; where there are more, only whole orbits are divided."""

SYMPREC: Final = 0.02
"""Å, for the symmetry of parents and orderings."""
WIDE_SYMPREC: Final = 0.2
"""Å, to find the more symmetric arrangement near a merged one."""


_Form = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, eq=False)
class Ordering:
    """One way to divide the atoms of a species in two.

    Attributes
    ----------
    lattice, frac_coords : numpy.ndarray
        The cell: the parent's or a supercell of it; Å in rows, shape=(3, 3), and shape=(n, 3).
    species : numpy.ndarray
        shape=(n,), species of the parent; atoms that went to the second part have ``n_species``, a new number.
    multiple : int
        Primitive cells of the parent in the cell.
    symmetry : int
        Operations of the point group that are left.
    """

    lattice: NDArray[np.float64]
    frac_coords: NDArray[np.float64]
    species: NDArray[np.int64]
    multiple: int
    symmetry: int


def orderings(
    lattice: NDArray[np.float64],
    frac_coords: NDArray[np.float64],
    species: NDArray[np.integer],
    divided: int,
    parts: tuple[int, int],
    *,
    most: int = 6,
    largest_multiple: int = LARGEST_MULTIPLE,
) -> list[Ordering]:
    """Divide the atoms of one species in two parts, in all ways that differ by more than symmetry.

    Parameters
    ----------
    lattice, frac_coords, species : numpy.ndarray
        The parent's primitive cell.
    divided : int
        Which species.
    parts : tuple of int
        Ratio of the parts, e.g. (1, 1) or (1, 3).
    most : int
        Orderings that are kept: those of the smallest cells, and among these the most symmetric.
    largest_multiple : int
        Largest supercell that is tried; larger ones only where smaller ones allow no division.

    Returns
    -------
    list of Ordering

    Examples
    --------
    >>> iron = np.eye(3) * 2.87
    >>> (found,) = orderings(iron, np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array([0, 0]), 0, (1, 1), largest_multiple=1)
    >>> sorted(found.species.tolist()), found.multiple, found.symmetry   # the structure of CsCl
    ([0, 1], 1, 48)
    """
    count = int((np.asarray(species) == divided).sum())
    share = sum(parts) // math.gcd(*parts)
    rotations, _ = _symmetry(lattice, frac_coords, np.asarray(species, np.int64))
    found: list[Ordering] = []
    for multiple in range(1, largest_multiple + 1):
        if multiple * len(species) > MOST_SITES or (found and multiple > 2):
            break
        if (count * multiple) % share:
            continue
        second = count * multiple * parts[1] // sum(parts)
        for matrix in _different(_hermite_forms(multiple), rotations):
            found += _in_cell(*_supercell(lattice, frac_coords, species, matrix), divided, second, multiple)
    # Divisions in small cells are more often found in nature; so are symmetric ones.
    found.sort(key=lambda each: (each.multiple, -each.symmetry))
    return found[:most]


def merge(species: NDArray[np.integer], kept: int, absorbed: int) -> NDArray[np.int64]:
    """Let one species take another's atoms; species above the absorbed one move down by one.

    Examples
    --------
    >>> merge(np.array([0, 1, 2, 2]), 0, 1).tolist()
    [0, 0, 1, 1]
    """
    merged = np.where(np.asarray(species) == absorbed, kept, species)
    return np.where(merged > absorbed, merged - 1, merged).astype(np.int64)


def to_primitive(crystal: Crystal, symprec: float = SYMPREC) -> tuple[Crystal, int]:
    """Primitive standardised cell and space group of a derived crystal.

    With a wide tolerance the small distortions that two different species forced on a parent are undone when they became one.
    """
    from builders.structures.neighbours import neighbourhood, points_of
    from builders.structures.symmetry import find_symmetry

    smallest = neighbourhood(points_of(crystal), 1).min_distance
    symmetry = find_symmetry(crystal, symprec, min_distance=smallest)
    return symmetry.primitive, symmetry.number


def _hermite_forms(index: int) -> Iterator[_Form]:
    """All sublattices of an index, each as its Hermite normal form: rows are the new cell vectors."""
    for a in range(1, index + 1):
        if index % a:
            continue
        for c in range(1, index // a + 1):
            if (index // a) % c:
                continue
            for b, d, e in itertools.product(range(a), range(a), range(c)):
                yield ((a, 0, 0), (b, c, 0), (d, e, index // (a * c)))


def _different(forms: Iterator[_Form], rotations: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """One sublattice of each set that the rotations carry into each other."""
    seen: set[_Form] = set()
    for form in forms:
        if form not in seen:
            matrix = np.array(form, np.int64)
            seen.update(_hermite(matrix @ rotation.T) for rotation in rotations)
            yield matrix


def _hermite(matrix: NDArray[np.int64]) -> _Form:
    """Hermite normal form of a 3 by 3 matrix, of its rows.

    Examples
    --------
    >>> _hermite(np.array([[1, 1, 0], [1, 0, 1], [0, 1, 1]]))
    ((2, 0, 0), (1, 1, 0), (1, 0, 1))
    """
    rows = matrix.tolist()
    for column in (2, 1, 0):
        # Euclid's algorithm among the rows that are still free, until one of them holds the column's divisor.
        free = rows[: column + 1]
        while sum(1 for row in free if row[column]) > 1:
            free.sort(key=lambda row: abs(row[column]) or math.inf)
            pivot = free[0]
            for row in free[1:]:
                factor = row[column] // pivot[column]
                row[:] = [x - factor * y for x, y in zip(row, pivot, strict=True)]
        free.sort(key=lambda row: abs(row[column]))
        if free[-1][column] < 0:
            free[-1] = [-x for x in free[-1]]
        rows[: column + 1] = free
    for place in (1, 2):
        for column in range(place - 1, -1, -1):
            factor = rows[place][column] // rows[column][column]
            rows[place] = [x - factor * y for x, y in zip(rows[place], rows[column], strict=True)]
    return tuple([tuple(row) for row in rows])


def _supercell(
    lattice: NDArray[np.float64], frac: NDArray[np.float64], species: NDArray[np.integer], matrix: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    index = round(abs(float(np.linalg.det(matrix))))
    kinds = np.asarray(species, np.int64)
    if index == 1:
        return lattice, frac, kinds
    inverse = np.linalg.inv(matrix)
    reach = range(index)
    shifts = np.array(list(itertools.product(reach, reach, reach)), np.float64) @ inverse
    shifts -= np.floor(shifts + 1e-9)
    shifts = np.unique(np.round(shifts, 9), axis=0)
    coords = (frac @ inverse)[None, :, :] + shifts[:, None, :]
    coords -= np.floor(coords)
    return matrix @ lattice, coords.reshape(-1, 3), np.tile(kinds, len(shifts))


def _in_cell(
    lattice: NDArray[np.float64],
    frac: NDArray[np.float64],
    species: NDArray[np.int64],
    divided: int,
    second: int,
    multiple: int,
) -> list[Ordering]:
    """Divisions within one cell, one of each set that symmetry makes equal."""
    sites = np.flatnonzero(species == divided)
    permutations, times = _permutations(lattice, frac, species, sites)
    if math.comb(len(sites), second) <= MOST_COLOURINGS and len(sites) <= _BITS:
        chosen = np.zeros((math.comb(len(sites), second), len(sites)), bool)
        for row, places in enumerate(itertools.combinations(range(len(sites)), second)):
            chosen[row, list(places)] = True
    else:
        chosen = _whole_orbits(permutations, second)
    if not len(chosen):
        return []
    if len(sites) <= _BITS:
        weight = 1 << np.arange(len(sites), dtype=np.int64)
        codes = np.stack([chosen[:, permutation] @ weight for permutation in permutations])
        own = chosen @ weight
        first = np.flatnonzero(codes.min(axis=0) == own)
        left = times @ (codes[:, first] == own[first])
    else:
        first, left = np.arange(len(chosen)), np.full(len(chosen), times.sum())
    number = int(species.max()) + 1
    found = []
    for row, symmetry in zip(first.tolist(), left.tolist(), strict=True):
        divided_species = species.copy()
        divided_species[sites[chosen[row]]] = number
        found.append(Ordering(lattice, frac, divided_species, multiple, int(symmetry)))
    return found


_BITS: Final = 24


def _symmetry(
    lattice: NDArray[np.float64], frac: NDArray[np.float64], species: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Operations of a cell in its own basis; the identity alone where the search fails."""
    moyopy = quiet_moyopy()
    try:
        cell = moyopy.Cell(lattice.tolist(), frac.tolist(), (species + 1).tolist())
        found = moyopy.MoyoDataset(cell, symprec=SYMPREC).operations
    except BaseException as error:  # a panic in Rust is a BaseException
        if isinstance(error, (KeyboardInterrupt, SystemExit, MemoryError)):
            raise
        return np.eye(3, dtype=np.int64)[None], np.zeros((1, 3))
    return np.array(found.rotations, np.int64), np.array(found.translations, np.float64)


def _permutations(
    lattice: NDArray[np.float64], frac: NDArray[np.float64], species: NDArray[np.int64], sites: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How the symmetry of a cell permutes some of its sites, shape=(different ones, n), and by how many operations each."""
    rotations, shifts = _symmetry(lattice, frac, species)
    images = np.einsum("oij,nj->oni", rotations.astype(np.float64), frac[sites]) + shifts[:, None, :]
    apart = images[:, :, None, :] - frac[sites][None, None, :, :]
    apart -= np.round(apart)
    nearest = ((apart @ lattice) ** 2).sum(axis=3).argmin(axis=2)
    proper = (np.sort(nearest, axis=1) == np.arange(len(sites))).all(axis=1)
    permutations, times = np.unique(nearest[proper], axis=0, return_counts=True)
    return permutations, times


def _whole_orbits(permutations: NDArray[np.int64], second: int) -> NDArray[np.bool_]:
    """Divisions that cut no orbit."""
    size = permutations.shape[1]
    label = permutations.min(axis=0)
    orbits = [label == each for each in np.unique(label)]
    tried = itertools.chain.from_iterable(
        itertools.combinations(range(len(orbits)), count) for count in range(1, min(len(orbits), 6))
    )
    found = []
    for some in itertools.islice(tried, MOST_COLOURINGS):
        chosen = np.any([orbits[k] for k in some], axis=0)
        if chosen.sum() == second:
            found.append(chosen)
    return np.array(found, bool).reshape(-1, size)


def canonical(
    elements: Sequence[str], lattice: NDArray[np.float64], frac: NDArray[np.float64], species: NDArray[np.integer]
) -> Crystal:
    """Name the atoms of a derived cell by the elements of its species."""
    return Crystal(lattice, frac, tuple([elements[int(k)] for k in species]))
