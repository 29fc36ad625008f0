"""Betti numbers of a quotient complex: the proof that it is a 3-torus and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.geometry.complex import PeriodicDelaunay


def betti_numbers(complex_: PeriodicDelaunay) -> tuple[int, int, int, int]:
    """Count components, independent loops, independent closed surfaces and closed solids, over the field of two elements.

    Boundary matrices are reduced column by column (Edelsbrunner and Harer, Computational Topology, 2010, chapter IV). The
    tetrahedra are first collapsed along a spanning tree of their adjacency, which takes half of the triangles
    away and leaves loops and components as they are.

    Returns
    -------
    tuple of int
        (b0, b1, b2, b3); (1, 3, 3, 1) for the 3-torus.

    Examples
    --------
    >>> import numpy as np
    >>> from builders.geometry.delaunay import periodic_delaunay
    >>> betti_numbers(periodic_delaunay(np.zeros((1, 3)), np.eye(3)))
    (1, 3, 3, 1)
    """
    edges = complex_.edges
    n_points, n_edges = complex_.n_points, len(edges.points)
    n_triangles, n_tetrahedra = len(complex_.triangles), len(complex_.tetrahedra)
    rank_1 = len(_spanning(edges.points, n_points))
    tree = _spanning(complex_.triangle_tetrahedra, n_tetrahedra)
    # A set of tetrahedra without boundary is a union of components of their adjacency: each gives one closed solid.
    rank_3 = len(tree)
    left = np.ones(n_triangles, dtype=bool)
    left[tree] = False
    rank_2 = _rank(edges.of_triangles[left])
    return (
        n_points - rank_1,
        n_edges - rank_1 - rank_2,
        n_triangles - rank_2 - rank_3,
        n_tetrahedra - rank_3,
    )


def _spanning(ends: NDArray[np.int64], count: int) -> list[int]:
    """Rows (first, second) that make a spanning forest."""
    parent = list(range(count))
    chosen = []
    for row, (first, second) in enumerate(ends.tolist()):
        while parent[first] != first:
            parent[first] = first = parent[parent[first]]
        while parent[second] != second:
            parent[second] = second = parent[parent[second]]
        if first != second:
            parent[second] = first
            chosen.append(row)
    return chosen


def _rank(columns: NDArray[np.int64]) -> int:
    """Rank over two elements of a matrix whose columns name the rows that hold a one (a row named twice holds a zero)."""
    reduced: dict[int, int] = {}
    for rows in columns.tolist():
        column = 0
        for row in rows:
            column ^= 1 << row
        while column:
            low = column.bit_length()
            other = reduced.get(low)
            if other is None:
                reduced[low] = column
                break
            column ^= other
    return len(reduced)
