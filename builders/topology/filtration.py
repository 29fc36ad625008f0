"""The alpha filtration of a crystal: at which radius each simplex of its periodic Delaunay complex enters.

Balls of one radius grow around the points. A simplex is there as soon as its corners' balls meet in a point that is at least
as near to those corners as to any other point. Where the smallest sphere through the corners is empty (Gabriel's condition) that
is the radius of this sphere; otherwise it enters together with the first simplex that it is a face of (Edelsbrunner, Kirkpatrick
and Seidel, IEEE Trans. Inf. Theory 29, 551, 1983; Edelsbrunner and Mücke, ACM Trans. Graph. 13, 43, 1994). At every radius the
simplices that are there have the shape (the homotopy type) of the union of the balls in the torus.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from builders.channels.network import voronoi_edges
from builders.geometry.regular import signed_root

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.geometry.complex import PeriodicDelaunay
    from builders.geometry.regular import Regular


class Filtration(NamedTuple):
    """Radius, Å, at which each simplex enters; no simplex enters before its faces.

    With weights the balls have the radii sqrt(weight + r |r|) at the radius r, which has a sign: at 0 they are as large as the
    weights say.

    Attributes
    ----------
    vertices : numpy.ndarray
        shape=(n_points,), float64; 0 without weights.
    edges : numpy.ndarray
        shape=(n_edges,), float64.
    triangles : numpy.ndarray
        shape=(n_triangles,), float64.
    tetrahedra : numpy.ndarray
        shape=(n_tetrahedra,), float64.
    """

    vertices: NDArray[np.float64]
    edges: NDArray[np.float64]
    triangles: NDArray[np.float64]
    tetrahedra: NDArray[np.float64]


def alpha_filtration(complex_: PeriodicDelaunay) -> Filtration:
    """Radii at which the simplices of a periodic Delaunay complex enter.

    Two facts spare every search for points in spheres. The smallest sphere through a triangle is empty when its centre lies on
    the Voronoi edge that is dual to the triangle; the radius at which it enters is then the narrowest place of that edge in every
    case (:func:`builders.channels.network.voronoi_edges`). The sphere on an edge holds the third corner of a triangle when the
    triangle's angle there is obtuse, and it is empty when no triangle at the edge has such an angle.

    Parameters
    ----------
    complex_ : PeriodicDelaunay

    Returns
    -------
    Filtration

    Examples
    --------
    >>> import numpy as np
    >>> from builders.geometry.delaunay import periodic_delaunay
    >>> simple_cubic = alpha_filtration(periodic_delaunay(np.zeros((1, 3)), 2.0 * np.eye(3)))
    >>> [np.unique(values.round(4)).tolist() for values in simple_cubic]  # 0, a/2, a/sqrt(2), a sqrt(3)/2
    [[0.0], [1.0, 1.4142, 1.7321], [1.4142, 1.7321], [1.7321]]
    """
    triangles = voronoi_edges(complex_).r_open
    squares = _squares(complex_)
    obtuse = 2.0 * squares > squares.sum(axis=1)[:, None]
    of_triangles = complex_.edges.of_triangles
    edges = np.empty(len(complex_.edges.points))
    edges[of_triangles] = 0.5 * np.sqrt(squares)  # translates of one edge are equally long up to rounding
    edges = _entering(edges, obtuse, of_triangles, triangles)
    return Filtration(np.zeros(complex_.n_points), edges, triangles, complex_.radii)


def weighted_filtration(regular: Regular) -> Filtration:
    """Radii, with a sign, at which the simplices of a regular triangulation enter.

    As :func:`alpha_filtration`, with powers in the place of squared distances; a vertex enters late when its centre lies in
    another ball's cell.

    Examples
    --------
    >>> import numpy as np
    >>> from builders.geometry.regular import periodic_regular
    >>> balls = periodic_regular(np.zeros((1, 3)), 2.0 * np.eye(3), np.array([0.19]))
    >>> weighted_filtration(balls).edges.min().round(3), balls.complex.radii[0].round(3)  # sqrt(1 - 0.19), sqrt(3 - 0.19)
    (np.float64(0.9), np.float64(1.676))
    """
    complex_ = regular.complex
    triangles = voronoi_edges(complex_).r_open
    squares, weights = _squares(complex_), regular.weights[complex_.triangles]
    corners = complex_.triangle_vertices
    powers, blocked = np.empty(squares.shape), np.empty(squares.shape, dtype=bool)
    for corner in range(3):
        first, second = (corner + 1) % 3, (corner + 2) % 3
        square = squares[:, corner]
        share = 0.5 + (weights[:, first] - weights[:, second]) / (2.0 * square)
        powers[:, corner] = share**2 * square - weights[:, first]
        centre = corners[:, first] + share[:, None] * (corners[:, second] - corners[:, first])
        apart = corners[:, corner] - centre
        blocked[:, corner] = np.einsum("ij,ij->i", apart, apart) - weights[:, corner] < powers[:, corner]
    of_triangles = complex_.edges.of_triangles
    edges = np.empty(len(complex_.edges.points))
    edges[of_triangles] = signed_root(powers)
    edges = _entering(edges, blocked, of_triangles, triangles)
    ends = complex_.edges.points
    lengths = np.empty(len(ends))
    lengths[of_triangles] = squares
    others = regular.weights[ends]
    covered = lengths[:, None] - others[:, ::-1] < -others
    vertices = _entering(signed_root(-regular.weights), covered, ends, edges)
    return Filtration(vertices, edges, triangles, complex_.radii)


def _squares(complex_: PeriodicDelaunay) -> NDArray[np.float64]:
    """Squared lengths of the sides of the triangles, the k-th opposite corner k, Å^2."""
    corners = complex_.triangle_vertices
    squares = np.empty((len(corners), 3))
    for corner in range(3):
        side = corners[:, (corner + 1) % 3] - corners[:, (corner + 2) % 3]
        squares[:, corner] = np.einsum("ij,ij->i", side, side)
    return squares


def _entering(
    own: NDArray[np.float64], blocked: NDArray[np.bool_], faces: NDArray[np.int64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Values of the faces of simplices: their own where no simplex blocks them, else that of their first simplex."""
    first = np.full(len(own), np.inf)
    for place in range(faces.shape[1]):
        np.minimum.at(first, faces[:, place], values)
    late = np.zeros(len(own), dtype=bool)
    late[faces[blocked]] = True
    entering: NDArray[np.float64] = np.where(late, first, np.minimum(own, first))
    return entering
