"""Distances in a periodic crystal: pairs within a radius, the smallest distance, the k nearest neighbours.

The pair search is pymatgen's compiled cell list. A skewed cell is reduced first: the search walks over periodic images,
and a cell with long diagonals would need thousands of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from builders.structures.symmetry import minkowski_reduced
from store.errors import CoincidentAtoms, InvalidLattice

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from store.crystal import Crystal

COINCIDENT = 0.1
"""Å; two atoms nearer than this are one atom given twice."""
CLOSE = 0.6
"""Å; no two atoms that are both there come nearer (the shortest bond, H-H, has 0.74 Å)."""
FLAG_CLOSE = "atoms closer than 0.6 Å"
FLAG_SPLIT = "partially occupied sites closer than 0.6 Å"

_START = 2.2  # first radius in units of (volume per atom)^(1/3): 45 neighbours on average, enough for 24 nearly always
_START_LIMIT = 10.0  # Å; in a cell that is mostly vacuum the first radius would otherwise swallow the whole cluster
_GROWTH = 1.4
_REACH = 0.78  # first radius for k neighbours of one kind, in units of (k volume / atoms of it)^(1/3): 2 k on average
_SKEWED = 0.35  # volume / (a b c); 0.5 for the primitive cell of an fcc lattice
_MANY = 1500  # sites; above it, coincident atoms are looked for in slices so that n^2 pairs are never held


@dataclass(frozen=True)
class Pairs:
    """Ordered pairs of sites: each pair is listed from both ends, an atom never with itself.

    Attributes
    ----------
    centre, neighbour : numpy.ndarray
        shape=(n_pairs,), int64; site numbers, ``centre`` ascending.
    distance : numpy.ndarray
        shape=(n_pairs,), float64, Å.
    """

    centre: NDArray[np.int64]
    neighbour: NDArray[np.int64]
    distance: NDArray[np.float64]


@dataclass(frozen=True)
class Points:
    """A crystal's sites as Cartesian points in a cell that is not skewed.

    Attributes
    ----------
    lattice : numpy.ndarray
        shape=(3, 3), Å, rows.
    positions : numpy.ndarray
        shape=(n_sites, 3), Å.
    weights : numpy.ndarray or None
        shape=(n_sites,), total occupancy of each site; None when all are one.
    spacing : float
        Å, the cube root of the volume per atom.
    """

    lattice: NDArray[np.float64]
    positions: NDArray[np.float64]
    weights: NDArray[np.float64] | None
    spacing: float


def points_of(crystal: Crystal) -> Points:
    """Prepare a validated crystal for distance searches.

    Raises
    ------
    InvalidLattice
        Rounding leaves a cell with million-fold diagonals skewed.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> polonium = Crystal.from_lists([[3.35, 0, 0], [33.5, 3.35, 0], [0, 0, 3.35]], ["Po"], [[0, 0, 0]])
    >>> sorted(float(np.linalg.norm(vector).round(2)) for vector in points_of(polonium).lattice)
    [3.35, 3.35, 3.35]
    """
    lattice, coordinates = crystal.lattice, crystal.frac_coords
    volume = abs(float(np.linalg.det(lattice)))
    if _skewed(lattice, volume):
        positions = coordinates @ lattice
        lattice = minkowski_reduced(lattice)
        if _skewed(lattice, volume):
            raise InvalidLattice(f"The cell is too skewed to be reduced: its vectors are {crystal.lattice.tolist()}.")
        coordinates = positions @ np.linalg.inv(lattice)
        coordinates -= np.floor(coordinates)
    weights = None
    if crystal.occupancies is not None:
        weights = np.array([sum(site.values()) for site in crystal.occupancies])
    atoms = float(crystal.n_sites if weights is None else weights.sum())
    return Points(
        np.ascontiguousarray(lattice),
        np.ascontiguousarray(coordinates @ lattice),
        weights,
        (volume / atoms) ** (1 / 3),
    )


def _skewed(lattice: NDArray[np.float64], volume: float) -> bool:
    return volume < _SKEWED * float(np.sqrt((lattice * lattice).sum(axis=1)).prod())


def pairs_within(points: Points, radius: float, centres: NDArray[np.int64] | None = None) -> Pairs:
    """List all ordered pairs with a distance of at most ``radius``.

    Parameters
    ----------
    points : Points
        From :func:`points_of`.
    radius : float
        Å.
    centres : numpy.ndarray, optional
        Site numbers to look around; all by default.

    Returns
    -------
    Pairs
        Periodic images of an atom are its neighbours, the atom itself is not.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> polonium = Crystal.from_lists([[3.35, 0, 0], [0, 3.35, 0], [0, 0, 3.35]], ["Po"], [[0, 0, 0]])
    >>> pairs_within(points_of(polonium), 3.5).distance.round(2).tolist()
    [3.35, 3.35, 3.35, 3.35, 3.35, 3.35]
    """
    from pymatgen.optimization.neighbors import find_points_in_spheres

    around = points.positions if centres is None else np.ascontiguousarray(points.positions[centres])
    centre, neighbour, _, distance = find_points_in_spheres(
        points.positions, around, float(radius), np.ones(3, dtype=np.int64), points.lattice, 1e-8
    )
    if centres is not None:
        centre = centres[centre]
    # Only an atom itself lies at distance 0 from itself: its images are a lattice vector away.
    other = (distance > 1e-6) | (centre != neighbour)
    return Pairs(centre[other], neighbour[other], distance[other])


@dataclass(frozen=True)
class Neighbourhood:
    """What :func:`neighbourhood` finds.

    Attributes
    ----------
    min_distance : float
        Å, between any two sites, or a site and its image.
    nearest : numpy.ndarray
        shape=(n_sites, k), Å, ascending along each row.
    pairs : Pairs
        All pairs within ``radius``.
    radius : float
        Å; 2.2 times the cube root of the volume per atom, at most 10 Å: it scales with the crystal.
    flags : tuple of str
        About atoms that are too close.
    """

    min_distance: float
    nearest: NDArray[np.float64]
    pairs: Pairs
    radius: float
    flags: tuple[str, ...]


def neighbourhood(points: Points, k: int = 24) -> Neighbourhood:
    """Find the smallest distance and the k nearest neighbour distances of each site.

    With partial occupancies a neighbour counts as much as it is there: column ``m`` holds the mean distance of the
    occupancy between ``m`` and ``m + 1``, counted outwards. For full sites this is the plain ``m + 1``-th distance, and
    it changes continuously with the occupancies.

    Parameters
    ----------
    points : Points
        From :func:`points_of`.
    k : int
        Number of neighbours.

    Returns
    -------
    Neighbourhood
        Exact: the radius grows for the sites that need it.

    Raises
    ------
    CoincidentAtoms
        Two sites are nearer than 0.1 Å and not alternatives of one partly occupied place.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> polonium = Crystal.from_lists([[3.35, 0, 0], [0, 3.35, 0], [0, 0, 3.35]], ["Po"], [[0, 0, 0]])
    >>> around = neighbourhood(points_of(polonium), k=7)
    >>> round(around.min_distance, 2), around.nearest.round(2).tolist()
    (3.35, [[3.35, 3.35, 3.35, 3.35, 3.35, 3.35, 4.74]])
    """
    n_sites = len(points.positions)
    if n_sites > _MANY:
        for first in range(0, n_sites, 256):
            some = np.arange(first, min(first + 256, n_sites))
            _refuse_coincident(pairs_within(points, COINCIDENT, some), points.weights)
    start = radius = min(_START * points.spacing, _START_LIMIT)
    pairs = pairs_within(points, radius)
    flags = _refuse_coincident(pairs, points.weights)
    nearest, full = _rows(pairs, n_sites, k, points.weights)
    smallest = float(pairs.distance.min()) if len(pairs.distance) else np.inf
    missing = np.flatnonzero(~full)
    while len(missing):
        radius *= _GROWTH
        more = pairs_within(points, radius, missing)
        rows, full = _rows(more, n_sites, k, points.weights)
        if len(more.distance):
            smallest = min(smallest, float(more.distance.min()))
        done = missing[full[missing]]
        nearest[done] = rows[done]
        missing = missing[~full[missing]]
    return Neighbourhood(smallest, nearest, pairs, start, flags)


def nearest_of_kinds(points: Points, shares: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Find the k nearest neighbours of each site among the atoms of each kind.

    Parameters
    ----------
    points : Points
        From :func:`points_of`.
    shares : numpy.ndarray
        shape=(n_kinds, n_sites); how much of each kind is on each site, somewhere more than 0. A neighbour counts as much as
        it is there, as in :func:`neighbourhood`.
    k : int
        Number of neighbours of each kind.

    Returns
    -------
    numpy.ndarray
        shape=(n_sites, n_kinds, k), float64, Å, ascending along the last axis. An atom is not its own neighbour, its images are.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> salt = Crystal.from_lists([[4, 0, 0], [0, 4, 0], [0, 0, 4]], ["Cs", "Cl"], [[0, 0, 0], [.5, .5, .5]])
    >>> nearest_of_kinds(points_of(salt), np.eye(2), 2).round(2).tolist()
    [[[4.0, 4.0], [3.46, 3.46]], [[3.46, 3.46], [4.0, 4.0]]]
    """
    from pymatgen.optimization.neighbors import find_points_in_spheres

    n_sites = len(points.positions)
    nearest = np.empty((n_sites, len(shares), k))
    volume = abs(float(np.linalg.det(points.lattice)))
    for kind, share in enumerate(shares):
        members = np.flatnonzero(share > 0)
        places = np.ascontiguousarray(points.positions[members])
        weights = share[members] if (share[members] < 1.0).any() else None
        missing = np.arange(n_sites)
        radius = _REACH * (k * volume / float(share.sum())) ** (1 / 3)
        while len(missing):
            around = np.ascontiguousarray(points.positions[missing])
            row, member, _, distance = find_points_in_spheres(
                places, around, radius, np.ones(3, dtype=np.int64), points.lattice, 1e-8
            )
            other = (distance > 1e-6) | (missing[row] != members[member])
            pairs = Pairs(row[other], member[other], distance[other])
            rows, full = _rows(pairs, len(missing), k, weights)
            nearest[missing[full], kind] = rows[full]
            missing = missing[~full]
            radius *= _GROWTH
    return nearest


def _refuse_coincident(pairs: Pairs, weights: NDArray[np.float64] | None) -> tuple[str, ...]:
    """Raise for coincident atoms; return flags about atoms that are merely too close."""
    if not len(pairs.distance) or float(pairs.distance.min()) >= CLOSE:
        return ()
    close = np.flatnonzero(pairs.distance < CLOSE)
    flags = []
    if weights is not None:
        # Sites that share one atom are never both occupied: a split site is no mistake.
        shared = weights[pairs.centre[close]] + weights[pairs.neighbour[close]] <= 1.0 + 1e-3
        if shared.any():
            flags.append(FLAG_SPLIT)
        close = close[~shared]
    if len(close):
        first = close[int(pairs.distance[close].argmin())]
        if pairs.distance[first] < COINCIDENT:
            one, other = sorted((int(pairs.centre[first]) + 1, int(pairs.neighbour[first]) + 1))
            raise CoincidentAtoms(
                f"Sites {one} and {other} are {pairs.distance[first]:.4f} Å apart; at least {COINCIDENT} Å was expected."
            )
        flags.append(FLAG_CLOSE)
    return tuple(flags)


def _rows(pairs: Pairs, n_sites: int, k: int, weights: NDArray[np.float64] | None) -> tuple[NDArray[Any], NDArray[Any]]:
    """Arrange distances in one ascending row a site; ``full`` says which rows hold all k."""
    counts = np.bincount(pairs.centre, minlength=n_sites)
    width = max(int(counts.max(initial=0)), k)
    starts = np.cumsum(counts) - counts
    column = np.arange(len(pairs.centre)) - np.repeat(starts, counts)
    table = np.full((n_sites, width), np.inf)
    table[pairs.centre, column] = pairs.distance
    if weights is None:
        table.sort(axis=1)
        return table[:, :k], counts >= k
    share = np.zeros((n_sites, width))
    share[pairs.centre, column] = weights[pairs.neighbour]
    order = np.argsort(table, axis=1)
    table, share = np.take_along_axis(table, order, 1), np.take_along_axis(share, order, 1)
    return _weighted_rows(table, share, counts, k)


def _weighted_rows(
    table: NDArray[np.float64], share: NDArray[np.float64], counts: NDArray[np.int64], k: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Integrate the distance over each unit of occupancy (see :func:`neighbourhood`)."""
    total = np.cumsum(share, axis=1)
    # A rounding error below a whole number must not send the search one shell further.
    full = total[:, -1] >= k - 1e-9
    nearest = np.full((len(table), k), np.inf)
    marks = np.arange(k + 1, dtype=np.float64)
    for row in np.flatnonzero(full):
        size = counts[row]
        occupancy = np.concatenate(([0.0], total[row, :size]))
        moment = np.concatenate(([0.0], np.cumsum(table[row, :size] * share[row, :size])))
        nearest[row] = np.diff(np.interp(marks, occupancy, moment))
    return nearest, full
