"""Ways between two places that meet no third place: the widest near by, and the shortest of a given width."""

from __future__ import annotations

from heapq import heappop, heappush
from math import dist, inf
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from builders.channels.basins import unpack

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.channels.basins import Neighbours

Point = tuple[float, float, float]

_ORIGIN: Point = (0.0, 0.0, 0.0)
_WIDE = 1 << 60  # above every rank


class Route(NamedTuple):
    """A way from void to void.

    Attributes
    ----------
    voids : list of int
    cells : numpy.ndarray
        shape=(n_voids, 3), int; as seen from the first void in the home cell.
    passages : list of int
        One fewer than voids.
    """

    voids: list[int]
    cells: NDArray[np.int64]
    passages: list[int]


class Map(NamedTuple):
    """The network in which ways are looked for.

    Attributes
    ----------
    neighbours : list
        Of :func:`builders.channels.basins.neighbours_of`.
    vectors : list of tuple of float
        shape=(n_channels, 3), Å; from the first void of each passage to the second.
    closed : list of bool
        shape=(n_voids,); the voids of places: ways begin and end there, and lead through none.
    """

    neighbours: Neighbours
    vectors: list[Point]
    closed: list[bool]


def widest_level(network: Map, start: int, goal: tuple[int, int], apart: Point, extra: float, floor: int = 0) -> int:
    """Rank of the narrowest passage of the widest way from void to void near by.

    Parameters
    ----------
    network : Map
    start : int
        A void in the home cell.
    goal : tuple
        A void and its packed cell.
    apart : tuple of float
        Å; vector from start to goal.
    extra : float
        Å; the way stays where the distances from start and goal exceed the one between them by no more than this in sum.
    floor : int
        Passages of lower rank are not looked at.

    Returns
    -------
    int
        -1 where no such way is.

    Examples
    --------
    >>> row = [[(1, 5, 1.5, 0, 0)], [(0, 5, 1.5, -1, 0), (0, 4, 1.5, -2, 1)]]
    >>> chain = Map(row, [(1.5, 0, 0), (-1.5, 0, 0)], [True, False])
    >>> widest_level(chain, 0, (0, 1), (3.0, 0, 0), 1.0), widest_level(chain, 0, (0, 2), (6.0, 0, 0), 9.0)
    (4, -1)
    """
    neighbours, vectors, closed = network
    limit = dist(_ORIGIN, apart) + extra
    begin = (start, 0)
    done: set[tuple[int, int]] = set()
    heap: list[tuple[int, int, int, Point]] = [(-_WIDE, start, 0, _ORIGIN)]
    while heap:
        narrowest, void, cell, place = heappop(heap)
        state = (void, cell)
        if state in done:
            continue
        if state == goal:
            return -narrowest
        done.add(state)
        if closed[void] and state != begin:
            continue
        x, y, z = place
        for other, rank, _, number, step in neighbours[void]:
            if rank < floor or (other, cell + step) in done:
                continue
            u, v, w = vectors[number] if number >= 0 else vectors[-1 - number]
            there = (x + u, y + v, z + w) if number >= 0 else (x - u, y - v, z - w)
            if dist(_ORIGIN, there) + dist(there, apart) <= limit:
                heappush(heap, (max(narrowest, -rank), other, cell + step, there))
    return -1


def shortest_route(
    network: Map, start: int, goal: tuple[int, int], apart: Point, level: int, extra: float = inf
) -> Route | None:
    """Shortest way from void to void that takes no passage below a level (A* search).

    Parameters
    ----------
    network : Map
    start, goal, apart, extra
        As for :func:`widest_level`; by default the way may lead anywhere.
    level : int

    Returns
    -------
    Route or None
        None where no such way is. In a crystal in which wide channels lead nowhere near the goal the search does not end:
        ask only for what is there.

    Examples
    --------
    >>> row = [[(1, 5, 1.5, 0, 0)], [(0, 5, 1.5, -1, 0), (0, 4, 1.5, -2, 1)]]
    >>> chain = Map(row, [(1.5, 0, 0), (-1.5, 0, 0)], [True, False])
    >>> found = shortest_route(chain, 0, (0, 1), (3.0, 0, 0), 4)
    >>> found.voids, found.cells[:, 2].tolist(), found.passages
    ([0, 1, 0], [0, 0, 1], [0, 1])
    """
    neighbours, vectors, closed = network
    limit = dist(_ORIGIN, apart) + extra
    heap: list[tuple[float, float, int, int, Point, int, int]] = [(0.0, 0.0, start, 0, _ORIGIN, -1, 0)]
    done: set[tuple[int, int]] = set()
    trail: list[tuple[int, int, int, int]] = []  # void, cell, the row before, passage from there
    while heap:
        _, far, void, cell, place, source, passage = heappop(heap)
        if (void, cell) in done:
            continue
        done.add((void, cell))
        row = len(trail)
        trail.append((void, cell, source, passage))
        if (void, cell) == goal:
            return _traced(trail)
        if closed[void] and source >= 0:
            continue
        x, y, z = place
        for other, rank, length, number, step in neighbours[void]:
            if rank < level or (other, cell + step) in done:
                continue
            u, v, w = vectors[number] if number >= 0 else vectors[-1 - number]
            there = (x + u, y + v, z + w) if number >= 0 else (x - u, y - v, z - w)
            left = dist(there, apart)
            if dist(_ORIGIN, there) + left <= limit:
                heappush(heap, (far + length + left, far + length, other, cell + step, there, row, number))
    return None


def _traced(trail: list[tuple[int, int, int, int]]) -> Route:
    voids, cells, passages = [], [], []
    row = len(trail) - 1
    while row >= 0:
        void, cell, source, passage = trail[row]
        voids.append(void)
        cells.append(cell)
        if source >= 0:
            passages.append(passage if passage >= 0 else -1 - passage)
        row = source
    return Route(voids[::-1], unpack(np.array(cells[::-1])), passages[::-1])
