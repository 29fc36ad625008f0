"""Percolation radii and essential classes: the same numbers, where one system of channels does all the work.

On the torus the empty space between balls and the balls themselves are complements, and Alexander duality says: of the three
closed surfaces that the torus has, a union of balls holds three less the number of independent directions in which the loops
of the empty space go around, all channels taken together and directions counted modulo two. So the births of the three
essential H2 classes, from the largest down, are the radii at which channels first lead in one, two, three directions.

The percolation radii r1, r2, r3 of :mod:`builders.channels.percolation` ask for one *connected* system of channels, and count
directions over the integers. Two causes tell the two apart, and nothing else does:

- channels that do not meet: rods along a and other rods along b make a second surface already, but no two-dimensional network;
- a loop that closes only after an even number of cells in every direction, which two elements do not see.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from builders.channels.percolation import components

if TYPE_CHECKING:
    from builders.channels.network import VoronoiEdges


def joint_radii(edges: VoronoiEdges, n_vertices: int) -> tuple[float, float, float]:
    """Largest radii at which the channels of a crystal together lead in 1, 2, 3 directions, counted modulo two.

    By bisection over the channels' widths with :func:`builders.channels.percolation.components`: another way to the essential H2
    births than the reduction.

    Parameters
    ----------
    edges : VoronoiEdges
    n_vertices : int
        Tetrahedra of the complex.

    Returns
    -------
    tuple of float
        Å, descending.

    Examples
    --------
    >>> from builders.channels.network import voronoi_edges
    >>> from builders.geometry.delaunay import periodic_delaunay
    >>> complex_ = periodic_delaunay(np.zeros((1, 3)), np.diag([2.0, 2.0, 3.0]))
    >>> [round(radius, 3) for radius in joint_radii(voronoi_edges(complex_), len(complex_.tetrahedra))]
    [1.803, 1.803, 1.414]
    """
    widths = np.unique(edges.r_open)[::-1]
    radii = []
    for rank in (1, 2, 3):
        low, high = 0, len(widths) - 1  # the last one is narrow enough
        while low < high:
            middle = (low + high) // 2
            if _rank(edges, float(widths[middle]), n_vertices) >= rank:
                high = middle
            else:
                low = middle + 1
        radii.append(float(widths[low]))
    return radii[0], radii[1], radii[2]


def _rank(edges: VoronoiEdges, threshold: float, n_vertices: int) -> int:
    span = {0}
    for part in components(edges.vertices, edges.offsets, edges.r_open, threshold, n_vertices):
        for x, y, z in part.directions:
            parity = (x & 1) | (y & 1) << 1 | (z & 1) << 2
            if parity not in span:
                span |= {parity ^ each for each in span}
    return len(span).bit_length() - 1
