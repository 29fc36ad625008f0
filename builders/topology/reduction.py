"""Persistent homology of a filtered complex on the 3-torus: which simplex begins each hole, and which one fills it.

Two kinds of coefficients are used, on the same complex.

**The field of two elements** (:func:`torus_pairs`) sees the torus itself: besides the finite bars there are 1, 3, 3, 1 essential
classes that never end, because the cell is glued to itself.

**A generic character of the lattice** (:func:`crystal_pairs`) sees the infinite crystal: a lattice translation multiplies by a
number drawn at random, so that a chain and its translated copies do not cancel. The homology of the whole torus vanishes, every
bar is finite, and a cell n times as large has every bar exactly n times (its homology is the sum over those characters of the
lattice that agree on the sublattice, and all of them are generic). At every radius the number of bars is the L2-Betti number of
the crystal, the limit of the torus's Betti number per cell for large supercells (Lück, Geom. Funct. Anal. 4, 455, 1994). A bar
of degree 0 is a finite cluster of atoms: it ends where the cluster meets another one or becomes endless. A bar of degree 2
is a closed void: it begins where the void is cut off from others or from the endless rest.

Degrees 0 and 2 need no matrix. Components of the edges are followed by union-find from the smallest radius up, and components
of the empty space, by Alexander duality, through the triangles between tetrahedra from the largest radius down, each with the
cell of every node relative to one of them: a link inside a component then tells the translation of the loop that it closes. That
says of every edge and every triangle whether it begins or ends something. What is left is one matrix, of the edges that begin a
loop and the triangles that fill one, in which no column vanishes (Edelsbrunner and Harer, Computational Topology, 2010,
chapter VII; clearing: Chen and Kerber, EuroCG 2011).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from builders.topology.clusters import Forest, closed_voids, clusters

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.geometry.complex import PeriodicDelaunay
    from builders.topology.filtration import Filtration

Bars = tuple["NDArray[np.float64]", "NDArray[np.float64]", "NDArray[np.float64]"]

PRIME: Final = 2**31 - 1
"""Of the finite field that the characters' values are in; a wrong pairing needs a coincidence of one in so many."""
_VALUES: Final = (1_352_906_011, 774_513_627, 1_989_330_217)  # drawn once; any will do


class Loops(NamedTuple):
    """The matrix that is left for degree 1.

    Attributes
    ----------
    edges : numpy.ndarray
        shape=(n_edges,), int; number of each edge among those that begin a loop, in the order of the filtration; -1 for the
        others.
    births : numpy.ndarray
        shape=(n,), float64, Å; radii of those edges.
    triangles : numpy.ndarray
        shape=(n,), int; the triangles that fill a loop, in the order of the filtration.
    """

    edges: NDArray[np.int64]
    births: NDArray[np.float64]
    triangles: NDArray[np.int64]


class Forests(NamedTuple):
    """Components of the balls and of the empty space, with what every edge and triangle does to them."""

    edges: Forest
    triangles: Forest


def forests(complex_: PeriodicDelaunay, filtration: Filtration) -> Forests:
    """Follow the components of the balls and of the empty space."""
    return Forests(clusters(complex_, filtration), closed_voids(complex_, filtration))


def torus_pairs(
    complex_: PeriodicDelaunay, filtration: Filtration, found: Forests
) -> tuple[Bars, tuple[NDArray[np.float64], ...]]:
    """Bars over the field of two elements.

    Returns
    -------
    bars : tuple of numpy.ndarray
        H0, H1, H2; shape=(n, 2), birth and death, Å; bars of no length included.
    essential : tuple of numpy.ndarray
        Births of the classes that never end, H0 to H3, ascending; lengths 1, 3, 3, 1 for a 3-torus.

    Examples
    --------
    >>> import numpy as np
    >>> from builders.geometry.delaunay import periodic_delaunay
    >>> from builders.topology.filtration import alpha_filtration
    >>> complex_ = periodic_delaunay(np.zeros((1, 3)), 2.0 * np.eye(3))
    >>> filtration = alpha_filtration(complex_)
    >>> _, essential = torus_pairs(complex_, filtration, forests(complex_, filtration))
    >>> [births.round(4).tolist() for births in essential]
    [[0.0], [1.0, 1.0, 1.0], [1.4142, 1.4142, 1.4142], [1.7321]]
    """
    joining, around = found.edges.torus, found.triangles.torus
    positive = np.ones(len(filtration.edges), dtype=bool)
    positive[joining.ends] = False
    negative = np.ones(len(filtration.triangles), dtype=bool)
    negative[around.ends] = False
    essential_edges, essential_triangles = joining.essential, around.essential
    positive[essential_edges] = False
    negative[essential_triangles] = False
    loops = _loops(filtration, positive, negative)
    deaths = filtration.triangles[loops.triangles]
    bars = (
        np.column_stack([joining.values, filtration.edges[joining.ends]]),
        np.column_stack([loops.births[_pair_two(loops, complex_)], deaths]),
        np.column_stack([filtration.triangles[around.ends], around.values]),
    )
    essential = (
        np.sort(joining.left),
        np.sort(filtration.edges[essential_edges]),
        np.sort(filtration.triangles[essential_triangles]),
        np.sort(around.left),
    )
    return bars, essential


def crystal_pairs(complex_: PeriodicDelaunay, filtration: Filtration, found: Forests) -> Bars:
    """Bars of the infinite crystal, per cell: over a generic character, all of them finite.

    Returns
    -------
    tuple of numpy.ndarray
        H0, H1, H2; shape=(n, 2), birth and death, Å; as many of degree 0 as points, of degrees 1 and 2 as tetrahedra.

    Examples
    --------
    One point a cell: it is a cluster until it meets its own images, and the cell has one void.

    >>> import numpy as np
    >>> from builders.geometry.delaunay import periodic_delaunay
    >>> from builders.topology.filtration import alpha_filtration
    >>> complex_ = periodic_delaunay(np.zeros((1, 3)), 2.0 * np.eye(3))
    >>> filtration = alpha_filtration(complex_)
    >>> bars = crystal_pairs(complex_, filtration, forests(complex_, filtration))
    >>> [each[each[:, 1] - each[:, 0] > 0.01].round(4).tolist() for each in bars]
    [[[0.0, 1.0]], [[1.0, 1.4142], [1.0, 1.4142]], [[1.4142, 1.7321]]]
    """
    joining, around = found.edges.crystal, found.triangles.crystal
    positive = np.ones(len(filtration.edges), dtype=bool)
    positive[joining.ends] = False
    negative = np.ones(len(filtration.triangles), dtype=bool)
    negative[around.ends] = False
    loops = _loops(filtration, positive, negative)
    deaths = filtration.triangles[loops.triangles]
    births = loops.births[_pair_generic(loops, complex_)]
    return (
        np.column_stack([joining.values, filtration.edges[joining.ends]]),
        np.column_stack([births, deaths]),
        np.column_stack([filtration.triangles[around.ends], around.values]),
    )


def _loops(filtration: Filtration, positive: NDArray[np.bool_], negative: NDArray[np.bool_]) -> Loops:
    order = np.argsort(filtration.edges, kind="stable")
    order = order[positive[order]]
    numbers = np.full(len(positive), -1, dtype=np.int64)
    numbers[order] = np.arange(len(order))
    triangles = np.argsort(filtration.triangles, kind="stable")
    triangles = triangles[negative[triangles]]
    return Loops(numbers, filtration.edges[order], triangles)


def _pair_two(loops: Loops, complex_: PeriodicDelaunay) -> list[int]:
    """The edge that each triangle is paired with, over two elements; columns are the bits of integers."""
    columns = loops.edges[complex_.edges.of_triangles[loops.triangles]]
    reduced: dict[int, int] = {}
    pairs = []
    for rows in columns.tolist():
        column = 0
        for row in rows:
            if row >= 0:
                column ^= 1 << row
        low = column.bit_length()
        while low in reduced:
            column ^= reduced[low]
            low = column.bit_length()
        reduced[low] = column
        pairs.append(low - 1)
    return pairs


def _pair_generic(loops: Loops, complex_: PeriodicDelaunay) -> list[int]:
    """The edge that each triangle is paired with, over a generic character."""
    rows = loops.edges[complex_.edges.of_triangles[loops.triangles]]
    values = _coefficients(complex_, loops.triangles)
    reduced: dict[int, list[tuple[int, int]]] = {}
    scaled: set[int] = set()
    pairs = []
    for places, numbers in zip(rows.tolist(), values.tolist(), strict=True):
        low = max(places)
        if low not in reduced and places.count(low) == 1:  # half of them, and most are never looked at again
            reduced[low] = [pair for pair in zip(places, numbers, strict=True) if pair[0] >= 0]
            pairs.append(low)
            continue
        column: dict[int, int] = {}
        for row, number in zip(places, numbers, strict=True):
            if row >= 0:
                column[row] = column.get(row, 0) + number
        while True:
            factor = column[low] % PRIME
            if factor:
                other = reduced.get(low)
                if other is None:
                    break
                if low not in scaled:
                    scaled.add(low)
                    other = reduced[low] = _scaled(other, low)
                for row, number in other:
                    column[row] = (column.get(row, 0) - factor * number) % PRIME
            del column[low]
            low = max(column)
        reduced[low] = [pair for pair in column.items() if pair[1]]
        pairs.append(low)
    return pairs


def _scaled(column: list[tuple[int, int]], low: int) -> list[tuple[int, int]]:
    """The column divided by its entry in row ``low``, without that entry."""
    inverse = pow(dict(column)[low], -1, PRIME)
    return [(row, number * inverse % PRIME) for row, number in column if row != low]


def _coefficients(complex_: PeriodicDelaunay, triangles: NDArray[np.int64]) -> NDArray[np.int64]:
    """Entries of the boundary matrix over the character, shape=(n, 3): sign and translation of each side of each triangle."""
    sides = [[1, 2], [2, 0], [0, 1]]
    edges = complex_.edges
    which = edges.of_triangles[triangles]
    points, shifts = complex_.triangles[triangles][:, sides], complex_.triangle_shifts[triangles][:, sides]
    own_points, own_shifts = edges.points[which], edges.shifts[which]
    same = (points == own_points).all(axis=2)
    same &= (shifts[:, :, 1] - shifts[:, :, 0] == own_shifts[:, :, 1] - own_shifts[:, :, 0]).all(axis=2)
    moved = shifts[:, :, 0] - np.where(same[:, :, None], own_shifts[:, :, 0], own_shifts[:, :, 1])
    result: NDArray[np.int64] = np.where(same, 1, PRIME - 1)
    for axis, value in enumerate(_VALUES):
        steps = moved[:, :, axis]
        low, high = int(steps.min(initial=0)), int(steps.max(initial=0))
        powers = np.array([pow(value, step, PRIME) for step in range(low, high + 1)], dtype=np.int64)
        result = result * powers[steps - low] % PRIME
    return result
