"""Components of a growing union of balls and of the empty space between them, with the translations that carry them on.

Union-find with offsets: every node knows its component and its cell relative to the component's first node. The smaller of
two components is renumbered when they meet. Cells are packed into one integer each, of which sums and differences are those of
the vectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.geometry.complex import PeriodicDelaunay
    from builders.topology.filtration import Filtration


class Ends(NamedTuple):
    """Where components end.

    Attributes
    ----------
    ends : numpy.ndarray
        shape=(n,), int; links with which a component ends.
    values : numpy.ndarray
        shape=(n,), float64, Å; the radius at which that component had begun.
    essential : numpy.ndarray
        shape=(m,), int; links that close the first loop around the torus in a new direction, modulo two: rank 3 at most.
    left : numpy.ndarray
        float64, Å; where the components began that never end.
    """

    ends: NDArray[np.int64]
    values: NDArray[np.float64]
    essential: NDArray[np.int64]
    left: NDArray[np.float64]


class Forest(NamedTuple):
    """Components in the torus, where they end at each other, and in the crystal, where they also end on becoming endless."""

    torus: Ends
    crystal: Ends


def clusters(complex_: PeriodicDelaunay, filtration: Filtration) -> Forest:
    """Components of the balls: points linked by edges, from the smallest radius up.

    Examples
    --------
    >>> from builders.geometry.delaunay import periodic_delaunay
    >>> from builders.topology.filtration import alpha_filtration
    >>> complex_ = periodic_delaunay(np.array([[0, 0, 0], [0.2, 0, 0]]), 4.0 * np.eye(3))
    >>> filtration = alpha_filtration(complex_)
    >>> found = clusters(complex_, filtration)
    >>> filtration.edges[found.torus.ends].round(3).tolist(), filtration.edges[found.crystal.ends].round(3).tolist()
    ([0.4], [0.4, 1.6])
    """
    edges = complex_.edges
    order = np.argsort(filtration.edges, kind="stable")
    offsets = edges.shifts[:, 1] - edges.shifts[:, 0]
    return _follow(edges.points, offsets, order, filtration.vertices)


def closed_voids(complex_: PeriodicDelaunay, filtration: Filtration) -> Forest:
    """Components of the empty space: tetrahedra linked through triangles, from the largest radius down.

    Examples
    --------
    >>> from builders.geometry.delaunay import periodic_delaunay
    >>> from builders.topology.filtration import alpha_filtration
    >>> complex_ = periodic_delaunay(np.zeros((1, 3)), 2.0 * np.eye(3))
    >>> closed_voids(complex_, alpha_filtration(complex_)).torus.left.round(4).tolist()
    [1.7321]
    """
    # The reverse of the order in which triangles enter, ties included: both sides must agree on it.
    order = np.argsort(filtration.triangles, kind="stable")[::-1]
    return _follow(complex_.triangle_tetrahedra, complex_.triangle_offsets, order, -filtration.tetrahedra, -1.0)


def _follow(
    nodes: NDArray[np.int64],
    offsets: NDArray[np.int64],
    order: NDArray[np.int64],
    begins: NDArray[np.float64],
    sign: float = 1.0,
) -> Forest:
    """Add links in the given order; of two components that meet the one that began later ends.

    Parameters
    ----------
    nodes, offsets
        Node i of the home cell is linked to node j of cell n.
    order : numpy.ndarray
        int; the order of the links.
    begins : numpy.ndarray
        shape=(n_nodes,); smaller is earlier.
    sign : float
        Of what is returned as ``values`` and ``left``, relative to ``begins``.
    """
    # No cell is farther away than every link together: the packed parts never run into each other.
    bits = int(4 * max(1, len(begins)) * max(1, int(np.abs(offsets).max(initial=0)))).bit_length()
    step = 1 << bits
    packed = (offsets[order] @ np.array([1, step, step * step])).tolist()
    bias = (step >> 1) * (1 + step + step * step)  # even, and makes every part positive
    count = len(begins)
    label, cell = list(range(count)), [0] * count
    members = [[node] for node in range(count)]
    start = begins.tolist()
    endless = [False] * count
    torus_ends, torus_values = [], []
    crystal_ends, crystal_values = [], []
    essential: list[int] = []
    span = {0}  # translations modulo two of the loops closed so far
    for link, (first, second), offset in zip(order.tolist(), nodes[order].tolist(), packed, strict=True):
        one, other = label[first], label[second]
        moved = cell[first] + offset - cell[second]  # of the other component, or the translation of the loop closed
        if one == other:
            if not moved:
                continue
            if not endless[one]:
                endless[one] = True
                crystal_ends.append(link)
                crystal_values.append(start[one])
            if len(span) < _ALL:
                code = moved + bias
                parity = (code & 1) | (code >> bits & 1) << 1 | (code >> 2 * bits & 1) << 2
                if parity not in span:
                    span |= {parity ^ each for each in span}
                    essential.append(link)
            continue
        later = one if start[one] > start[other] else other
        torus_ends.append(link)
        torus_values.append(start[later])
        if not (endless[one] and endless[other]):
            ended = one if endless[other] else other if endless[one] else later
            crystal_ends.append(link)
            crystal_values.append(start[ended])
        if len(members[one]) < len(members[other]):
            one, other, moved = other, one, -moved
        for node in members[other]:
            label[node] = one
            cell[node] += moved
        members[one] += members[other]
        members[other] = []
        start[one] = min(start[one], start[other])
        endless[one] = endless[one] or endless[other]
    whole = [number for number in range(count) if members[number]]
    return Forest(
        Ends(_ints(torus_ends), sign * np.array(torus_values), _ints(essential), sign * _begins(whole, start)),
        Ends(
            _ints(crystal_ends),
            sign * np.array(crystal_values),
            _ints([]),
            sign * _begins([number for number in whole if not endless[number]], start),
        ),
    )


_ALL = 8  # elements of the translations modulo two


def _begins(components: list[int], start: list[float]) -> NDArray[np.float64]:
    """Where the given components began."""
    return np.array([start[number] for number in components], dtype=np.float64)


def _ints(numbers: list[int]) -> NDArray[np.int64]:
    return np.array(numbers, dtype=np.int64)
