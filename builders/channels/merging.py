"""Near-coincident vertices of the Voronoi partition, merged into voids.

Atoms on one sphere give bundles of vertices at one place, nearly cospherical ones give vertices a few hundredths of an
ångström apart: a chemist calls both one void. Vertices are linked while they are nearer than a distance (single linkage
under the periodic boundary), and a group may not grow beyond a diameter, or chains of vertices would fuse along a channel.
Where a group is too large its longest links are cut, all links of one length together, so that the result depends on the
crystal alone: not on the order of the atoms, the cell or the rounding of equal lengths.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from builders.geometry.images import distinct_rows, near_pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.geometry.images import NearPairs

IDENTITY: Final = 0.02
"""Å; vertices nearer than this are one and the same."""
_SAME_LENGTH = 1e-3
_TOP = 0.01
"""Å; members whose empty sphere is at most this much smaller than the largest one make the centre."""


class Groups(NamedTuple):
    """Vertices gathered into groups.

    Attributes
    ----------
    labels : numpy.ndarray
        shape=(n_vertices,), int; the group of each vertex.
    shifts : numpy.ndarray
        shape=(n_vertices, 3), int; the vertex as given belongs to the copy of its group in this cell.
    centres : numpy.ndarray
        shape=(n_groups, 3), float64, fractional, in [0, 1).
    n_places : numpy.ndarray
        shape=(n_groups,), int; different places (:data:`IDENTITY`) among the vertices of each group.
    """

    labels: NDArray[np.int64]
    shifts: NDArray[np.int64]
    centres: NDArray[np.float64]
    n_places: NDArray[np.int64]


def merge(
    fractions: NDArray[np.float64],
    radii: NDArray[np.float64],
    lattice: NDArray[np.float64],
    *,
    distance: float,
    diameter: float,
) -> Groups:
    """Merge vertices into voids.

    Parameters
    ----------
    fractions : numpy.ndarray
        shape=(n_vertices, 3), any cell.
    radii : numpy.ndarray
        shape=(n_vertices,), Å; empty spheres: the centre of a group is the mean place of its largest ones.
    lattice : numpy.ndarray
        shape=(3, 3), rows, Å.
    distance, diameter : float
        Å; longest link, and largest extent of a group.

    Examples
    --------
    >>> import numpy as np
    >>> three = merge(np.array([[0.1, 0, 0], [0.12, 0, 0], [0.5, 0, 0]]), np.ones(3), 10 * np.eye(3), distance=0.5, diameter=1)
    >>> three.labels.tolist(), three.centres[:, 0].round(3).tolist()
    ([0, 0, 1], [0.11, 0.5])
    """
    pairs = near_pairs(fractions, lattice, max(distance, IDENTITY))
    # First what is the same place: how often a place occurs depends on how ties were broken and must not weigh.
    same = _link(fractions, pairs, pairs.distances < IDENTITY, len(fractions))
    place, place_radii = _centres(fractions, radii, same, np.inf)
    if distance <= IDENTITY or len(place) == 1:
        return _home(same, place, np.ones(len(place), dtype=np.int64))
    wide = _between_groups(pairs, same)
    lengths = np.linalg.norm((place[wide[:, 1]] + wide[:, 2:] - place[wide[:, 0]]) @ lattice, axis=1)
    joined = _capped(place, wide, lengths, lattice, diameter)
    centres, _ = _centres(place, place_radii, joined, _TOP)
    labels = joined.labels[same.labels]
    shifts = same.shifts + joined.shifts[same.labels]
    return _home(_Links(labels, shifts), centres, np.bincount(joined.labels))


class _Links(NamedTuple):
    """Group of each item and the cell of the item's copy of it."""

    labels: NDArray[np.int64]
    shifts: NDArray[np.int64]


def _home(links: _Links, centres: NDArray[np.float64], n_places: NDArray[np.int64]) -> Groups:
    wraps = np.floor(centres + 1e-9).astype(np.int64)
    return Groups(links.labels, links.shifts + wraps[links.labels], centres - wraps, n_places)


def _link(fractions: NDArray[np.float64], pairs: NearPairs, kept: NDArray[np.bool_], count: int) -> _Links:
    edges = np.column_stack([pairs.points[kept], pairs.offsets[kept]])
    return _components(edges, count) or _Links(np.arange(count), np.zeros((count, 3), dtype=np.int64))


def _components(edges: NDArray[np.int64], count: int) -> _Links | None:
    """Connected components; None when nothing is linked.

    An item stands at its own place in the cell that the links lead to, seen from the first item of its component.
    """
    edges = edges[(edges[:, 0] != edges[:, 1])]
    if len(edges) == 0:
        return None
    both = np.concatenate([edges, np.column_stack([edges[:, 1], edges[:, 0], -edges[:, 2:]])])
    lowest = np.arange(count)  # the smallest item known to be in each one's component
    while True:
        spread = lowest.copy()
        np.minimum.at(spread, both[:, 1], lowest[both[:, 0]])
        spread = spread[spread]
        if (spread == lowest).all():
            break
        lowest = spread
    roots = np.flatnonzero(lowest == np.arange(count))
    labels = np.searchsorted(roots, lowest)
    shifts = np.zeros((count, 3), dtype=np.int64)
    known = np.zeros(count, dtype=bool)
    known[roots] = True
    while not known.all():
        new = known[both[:, 0]] & ~known[both[:, 1]]
        # The copy of the group that the item as given belongs to: minus the cell it takes in the group's own frame.
        shifts[both[new, 1]] = shifts[both[new, 0]] - both[new, 2:]
        known[both[new, 1]] = True
    return _Links(labels, shifts)


def _centres(
    fractions: NDArray[np.float64], radii: NDArray[np.float64], links: _Links, top: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean place of the largest members, and the largest radius, of each group, in the group's frame."""
    count = int(links.labels.max()) + 1
    largest = np.zeros(count)
    np.maximum.at(largest, links.labels, radii)
    kept = radii >= largest[links.labels] - top
    places = (fractions - links.shifts)[kept]
    labels = links.labels[kept]
    number = np.bincount(labels, minlength=count)[:, None]
    total = np.stack([np.bincount(labels, weights=places[:, axis], minlength=count) for axis in range(3)], axis=1)
    return total / number, largest


def _between_groups(pairs: NearPairs, links: _Links) -> NDArray[np.int64]:
    """Pairs of different groups: rows (i, j, n1, n2, n3), each once."""
    first, second = pairs.points.T
    offsets = pairs.offsets + links.shifts[second] - links.shifts[first]
    rows = np.column_stack([links.labels[first], links.labels[second], offsets])
    rows = rows[(rows[:, 0] != rows[:, 1])]
    turned = rows[:, 0] > rows[:, 1]
    rows[turned] = np.column_stack([rows[turned, 1], rows[turned, 0], -rows[turned, 2:]])
    different: NDArray[np.int64] = rows[distinct_rows(rows[:, :2], rows[:, 2:])]
    return different


def _capped(
    places: NDArray[np.float64],
    edges: NDArray[np.int64],
    lengths: NDArray[np.float64],
    lattice: NDArray[np.float64],
    diameter: float,
) -> _Links:
    """Components of the links, too large ones split at their longest links until all fit."""
    count = len(places)
    kept: list[NDArray[np.int64]] = []  # links of components that fit
    while len(edges):
        links = _components(edges, count)
        if links is None:
            break
        large = _too_large(places, edges, links, lattice, diameter)
        mine = links.labels[edges[:, 0]]
        split = large[mine]
        kept.append(edges[~split])
        edges, lengths, mine = edges[split], lengths[split], mine[split]
        longest = np.zeros(len(large))
        np.maximum.at(longest, mine, lengths)
        shorter = lengths < longest[mine] - _SAME_LENGTH
        edges, lengths = edges[shorter], lengths[shorter]
    none = _Links(np.arange(count), np.zeros((count, 3), dtype=np.int64))
    return (_components(np.concatenate(kept), count) or none) if kept else none


def _too_large(
    places: NDArray[np.float64],
    edges: NDArray[np.int64],
    links: _Links,
    lattice: NDArray[np.float64],
    diameter: float,
) -> NDArray[np.bool_]:
    """Which components extend beyond the diameter, or run through the crystal without end."""
    count = int(links.labels.max()) + 1
    large = np.zeros(count, dtype=bool)
    closed = (links.shifts[edges[:, 0]] - edges[:, 2:] == links.shifts[edges[:, 1]]).all(axis=1)
    large[links.labels[edges[~closed, 0]]] = True
    order = np.argsort(links.labels, kind="stable")
    sizes = np.bincount(links.labels, minlength=count)
    starts = np.cumsum(sizes) - sizes
    cartesian = ((places - links.shifts) @ lattice)[order]
    box = np.maximum.reduceat(cartesian, starts) - np.minimum.reduceat(cartesian, starts)
    # A box with a short diagonal holds nothing long; the few others are measured.
    for label in np.flatnonzero((np.einsum("ij,ij->i", box, box) > diameter * diameter) & ~large):
        members = cartesian[starts[label] : starts[label] + sizes[label]]
        large[label] = np.linalg.norm(members[:, None] - members[None], axis=2).max() > diameter
    return large
