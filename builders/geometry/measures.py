"""Measures of simplices and of the Voronoi partition dual to a Delaunay complex: closed forms over whole arrays.

Volumes of Voronoi cells need no polyhedra. A cell is the sum of the orthoschemes (point, middle of an edge, circumcentre of a
triangle, circumcentre of a tetrahedron) over all flags that begin at the point, each with the sign of its orientation
(Rogers, Packing and Covering, 1964, chapter 7): pieces outside the tetrahedron are taken off where others added too much.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.geometry.complex import PeriodicDelaunay

FACETS: Final = np.array([[1, 2, 3], [0, 3, 2], [0, 1, 3], [0, 2, 1]])
"""The vertices opposite each vertex of a positive tetrahedron, anticlockwise seen from outside: positive with that vertex."""


def circumcentres_of_triangles(vertices: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centres and radii of the circles through the corners of triangles.

    Parameters
    ----------
    vertices : numpy.ndarray
        shape=(n, 3, 3), Cartesian, Å.

    Returns
    -------
    centres : numpy.ndarray
        shape=(n, 3), Å; not finite where the corners lie exactly on a line.
    radii : numpy.ndarray
        shape=(n,), Å.

    Examples
    --------
    >>> import numpy as np
    >>> circumcentres_of_triangles(np.array([[[0, 0, 0], [6.0, 0, 0], [0, 8.0, 0]]]))
    (array([[3., 4., 0.]]), array([5.]))
    """
    origins = vertices[:, 0]
    a, b = vertices[:, 1] - origins, vertices[:, 2] - origins
    normal = cross(a, b)
    with np.errstate(divide="ignore", invalid="ignore"):
        weighted = dot(a, a)[:, None] * b - dot(b, b)[:, None] * a
        centres = cross(weighted, normal) / (2.0 * dot(normal, normal))[:, None]
        return origins + centres, np.sqrt(dot(centres, centres))


def circumcentres_of_tetrahedra(vertices: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centres and radii of the spheres through the corners of tetrahedra.

    Parameters
    ----------
    vertices : numpy.ndarray
        shape=(n, 4, 3), Cartesian, Å; of any orientation.

    Returns
    -------
    centres : numpy.ndarray
        shape=(n, 3), Å; not finite where the corners lie exactly in a plane.
    radii : numpy.ndarray
        shape=(n,), Å.

    Examples
    --------
    >>> import numpy as np
    >>> circumcentres_of_tetrahedra(np.array([[[0, 0, 0], [2.0, 0, 0], [0, 4.0, 0], [0, 0, 4.0]]]))
    (array([[1., 2., 2.]]), array([3.]))
    """
    origins = vertices[:, 0]
    centres = star_centres(vertices[:, 1:] - origins[:, None])
    return origins + centres, np.sqrt(dot(centres, centres))


def star_centres(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Circumcentres of tetrahedra with their apex in the origin.

    Parameters
    ----------
    corners : numpy.ndarray
        shape=(n, 3, 3), the other three vertices relative to the apex, Å.

    Returns
    -------
    numpy.ndarray
        shape=(n, 3), relative to the apex, Å; not finite for flat tetrahedra.

    Examples
    --------
    >>> import numpy as np
    >>> star_centres(2.0 * np.eye(3)[None])
    array([[1., 1., 1.]])
    """
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    bc = cross(b, c)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        total = dot(a, a)[:, None] * bc
        total += dot(b, b)[:, None] * cross(c, a)
        total += dot(c, c)[:, None] * cross(a, b)
        centres: NDArray[np.float64] = total / (2.0 * dot(a, bc))[:, None]
        return centres


def tetrahedron_volumes(vertices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Volumes of tetrahedra, negative where the vertices are in left-handed order.

    Parameters
    ----------
    vertices : numpy.ndarray
        shape=(n, 4, 3), Cartesian, Å.

    Returns
    -------
    numpy.ndarray
        shape=(n,), Å^3.

    Examples
    --------
    >>> import numpy as np
    >>> tetrahedron_volumes(np.array([[[0, 0, 0], [1.0, 0, 0], [0, 2.0, 0], [0, 0, 3.0]]]))
    array([1.])
    """
    sides = vertices[:, 1:] - vertices[:, :1]
    return dot(sides[:, 0], cross(sides[:, 1], sides[:, 2])) / 6.0


def voronoi_volumes(complex_: PeriodicDelaunay) -> NDArray[np.float64]:
    """Volumes of the Voronoi cells of the points.

    Returns
    -------
    numpy.ndarray
        shape=(n_points,), Å^3; their sum is the volume of the cell.

    Examples
    --------
    >>> import numpy as np
    >>> from builders.geometry.delaunay import periodic_delaunay
    >>> body_centred = periodic_delaunay(np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), 2.0 * np.eye(3))
    >>> voronoi_volumes(body_centred).round(4).tolist()
    [4.0, 4.0]
    """
    vertices = complex_.tetrahedron_vertices
    corners = (vertices[:, FACETS] - vertices[:, :, None]).reshape(-1, 3, 3)
    centres = (complex_.centres[:, None] - vertices).reshape(-1, 3)
    signs = np.repeat(np.sign(tetrahedron_volumes(vertices)), 4)
    shares = signs * sector_volumes(corners, centres)
    volumes = np.bincount(complex_.tetrahedra.ravel(), weights=shares, minlength=complex_.n_points)
    return volumes.astype(np.float64, copy=False)


def sector_volumes(corners: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share that the apices of tetrahedra have in them: sums of six signed orthoschemes.

    The two orthoschemes at the triangle (apex, q, r) share its circumcentre t = x q + y r and the circumcentre o of the
    tetrahedron, and are together (q - r) x t . o / 12 = (x + y) (q x r) . o / 12.

    Parameters
    ----------
    corners : numpy.ndarray
        shape=(n, 3, 3), the other three vertices relative to the apex, Å, in right-handed order.
    centres : numpy.ndarray
        shape=(n, 3), circumcentres relative to the apex, Å.

    Returns
    -------
    numpy.ndarray
        shape=(n,), Å^3; negative shares occur where circumcentres lie outside.

    Examples
    --------
    >>> import numpy as np
    >>> sector_volumes(2.0 * np.eye(3)[None], np.ones((1, 3)))  # an eighth of the cube of edge 2
    array([1.])
    """
    squares = np.einsum("nij,nij->ni", corners, corners)
    total = np.zeros(len(corners))
    for first, second in ((0, 1), (1, 2), (2, 0)):
        q, r, qq, rr = corners[:, first], corners[:, second], squares[:, first], squares[:, second]
        normal = cross(q, r)
        total += (2.0 * qq * rr - dot(q, r) * (qq + rr)) / dot(normal, normal) * dot(normal, centres)
    return total / 24.0


def equivalent_radius(volumes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Radii of spheres of the given volumes, Å; the R_sd of a Voronoi cell.

    Examples
    --------
    >>> import numpy as np
    >>> equivalent_radius(np.array([4.0 * np.pi / 3.0]))
    array([1.])
    """
    return np.cbrt(0.75 / np.pi * np.asarray(volumes, dtype=np.float64))


def cross(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cross products of rows; for short arrays several times faster than :func:`numpy.cross`.

    Examples
    --------
    >>> import numpy as np
    >>> cross(np.array([[1.0, 0, 0]]), np.array([[0, 1.0, 0]]))
    array([[0., 0., 1.]])
    """
    result = np.empty(a.shape)
    (ax, ay, az), (bx, by, bz) = a.T, b.T
    result[:, 0] = ay * bz - az * by
    result[:, 1] = az * bx - ax * bz
    result[:, 2] = ax * by - ay * bx
    return result


def dot(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scalar products of rows.

    Examples
    --------
    >>> import numpy as np
    >>> dot(np.array([[1.0, 2, 3]]), np.array([[1.0, 1, 1]]))
    array([6.])
    """
    products: NDArray[np.float64] = np.einsum("ij,ij->i", a, b)
    return products
