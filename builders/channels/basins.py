"""Which place each void belongs to: basins of a periodic network of voids.

A void belongs to the place that the widest way leads to (the largest narrowest passage; of equally wide ways the shortest; to
several places where both are equal, as symmetry makes them). Basins grow from the places like water that rises: an
image foresting transform with the max-min cost (Falcão, Stolfi, Lotufo, IEEE Trans. Pattern Anal. Mach. Intell. 26, 19, 2004).

Passages between basins join the places as widely as the whole network does: two places that some way connects are
connected by a chain of such passages that is no narrower (a watershed keeps the maximum spanning tree: Cousty, Bertrand,
Najman, Couprie, ibid. 31, 1362, 2009).
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.channels.model import Passages

EQUAL: Final = 1e-4
"""Å; passages whose widths differ by less are equally wide: atoms are moved by up to 1e-6 Å to triangulate them."""
SAME_WAY: Final = 1e-3
"""Å; ways whose lengths differ by less are equally long."""
BITS: Final = 20
"""Of each component of a packed cell: ways never lead half a million cells away."""

Neighbours = list[list[tuple[int, int, float, int, int]]]
"""For each void: (other void, rank, length, passage, packed cell of the other void seen from this one); passage n taken against
its direction is -1 - n."""


class Basins(NamedTuple):
    """Places that voids belong to, one row for each void and place.

    Attributes
    ----------
    void, place : numpy.ndarray
        shape=(n,), int.
    cell : numpy.ndarray
        shape=(n, 3), int; cell of the place's void, seen from the void in the home cell.
    level : numpy.ndarray
        shape=(n,), int; rank of the narrowest passage on the way there.
    """

    void: NDArray[np.int64]
    place: NDArray[np.int64]
    cell: NDArray[np.int64]
    level: NDArray[np.int64]


def levels(widths: NDArray[np.float64], equal: float = EQUAL) -> NDArray[np.int64]:
    """Rank widths; those that differ by less than ``equal`` share a rank.

    Examples
    --------
    >>> levels(np.array([1.7, 1.2, 1.70000001])).tolist()
    [1, 0, 1]
    """
    order = np.argsort(widths, kind="stable")
    ranks = np.zeros(len(widths), dtype=np.int64)
    ranks[order[1:]] = np.cumsum(np.diff(widths[order]) > equal)
    return ranks


def neighbours_of(n_voids: int, passages: Passages, ranks: NDArray[np.int64]) -> Neighbours:
    """Adjacency of the voids, every passage from both its ends.

    Examples
    --------
    >>> from builders.channels.model import Passages
    >>> one = np.ones(1)
    >>> loop = Passages(np.zeros((1, 2), int), np.array([[0, 0, 1]]), one, one, one, *[one] * 4)
    >>> neighbours_of(1, loop, np.array([5]))
    [[(0, 5, 1.0, 0, 1), (0, 5, 1.0, -1, -1)]]
    """
    neighbours: Neighbours = [[] for _ in range(n_voids)]
    ahead, behind = passages.voids.T.tolist()
    rows = zip(ahead, behind, ranks.tolist(), passages.length.tolist(), pack(passages.offsets).tolist(), strict=True)
    for number, (first, second, rank, length, offset) in enumerate(rows):
        neighbours[first].append((second, rank, length, number, offset))
        neighbours[second].append((first, rank, length, -1 - number, -offset))
    return neighbours


def flood(neighbours: Neighbours, roots: NDArray[np.int64]) -> Basins:
    """Let every void join the place that the widest way leads to.

    Parameters
    ----------
    neighbours : list
        Of :func:`neighbours_of`.
    roots : numpy.ndarray
        shape=(n_places,), int; the void of each place, all different. It belongs to that place alone.

    Examples
    --------
    Three voids in a row, places in the first and the last:

    >>> row = [[(1, 0, 1.5, 0, 0)], [(0, 0, 1.5, 0, 0), (2, 0, 1.5, 1, 0)], [(1, 0, 1.5, 1, 0)]]
    >>> basins = flood(row, np.array([0, 2]))
    >>> list(zip(basins.void.tolist(), basins.place.tolist()))
    [(0, 0), (2, 1), (1, 0), (1, 1)]
    """
    held: list[set[tuple[int, int]]] = [set() for _ in neighbours]
    best: list[tuple[int, float] | None] = [None] * len(neighbours)
    top = 1 + max((step[1] for steps in neighbours for step in steps), default=0)
    found: list[tuple[int, int, int, int]] = []
    # Lowest first: minus the rank of the narrowest passage, then the length, then whatever tells them apart.
    heap = [(-top, 0.0, void, place, 0) for place, void in enumerate(roots.tolist())]
    heapify(heap)
    while heap:
        narrowest, far, void, place, cell = heappop(heap)
        first = best[void]
        if first is None:
            best[void] = (narrowest, far)
        elif narrowest > first[0] or far > first[1] + SAME_WAY or (place, cell) in held[void]:
            continue
        held[void].add((place, cell))
        found.append((void, place, cell, -narrowest))
        for other, rank, length, _, step in neighbours[void]:
            narrow = narrowest if narrowest > -rank else -rank
            seen = best[other]
            if seen is None or (narrow == seen[0] and far + length <= seen[1] + SAME_WAY):
                heappush(heap, (narrow, far + length, other, place, cell - step))
    table = np.array(found, dtype=np.int64).reshape(-1, 4)
    return Basins(table[:, 0], table[:, 1], unpack(table[:, 2]), table[:, 3])


def pack(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """One integer for each cell; sums and differences of integers are those of the cells.

    Examples
    --------
    >>> one, other = pack(np.array([[1, -2, 3], [0, 5, -4]]))
    >>> unpack(np.array([one + other, one - other])).tolist()
    [[1, 3, -1], [1, -7, 7]]
    """
    packed: NDArray[np.int64] = cells @ np.array([1 << 2 * BITS, 1 << BITS, 1])
    return packed


def unpack(packed: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cells of packed integers, shape=(n, 3)."""
    half, mask = 1 << (BITS - 1), (1 << BITS) - 1
    third = ((packed + half) & mask) - half
    rest = (packed - third) >> BITS
    second = ((rest + half) & mask) - half
    return np.stack([(rest - second) >> BITS, second, third], axis=1)
