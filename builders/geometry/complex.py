"""The Delaunay complex of a periodic point set modulo lattice translations: what it is, and how it proves itself.

The quotient of the periodic Delaunay triangulation by the lattice is a triangulation of the 3-torus: a finite complex in
which nothing has a boundary and nothing is an image of anything else. Edges may be loops and several edges may join the
same two points, so it is no simplicial complex (Delta-complex: Hatcher, Algebraic Topology, 2002, section 2.1).
:func:`builders.geometry.delaunay.periodic_delaunay` makes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from builders.geometry.keys import simplex_keys

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Edges(NamedTuple):
    """Edges of the complex.

    Attributes
    ----------
    points : numpy.ndarray
        shape=(n_edges, 2), int; the two points, equal for a loop.
    shifts : numpy.ndarray
        shape=(n_edges, 2, 3), int; cell of each end.
    of_triangles : numpy.ndarray
        shape=(n_triangles, 3), int; the edges of each triangle, the k-th opposite its vertex k.
    """

    points: NDArray[np.int64]
    shifts: NDArray[np.int64]
    of_triangles: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PeriodicDelaunay:
    """Delaunay complex of a periodic point set modulo lattice translations.

    A vertex of a cell is a pair (point, shift): it stands at ``points[point] + shift @ lattice``.

    Attributes
    ----------
    lattice : numpy.ndarray
        shape=(3, 3), float64, Å; rows are the cell vectors, strained by at most ``jitter`` / 10 Å per Å.
    points : numpy.ndarray
        shape=(n_points, 3), float64, Å; Cartesian, moved by at most ``jitter`` into general position. The complex is the
        exact one of these points.
    tetrahedra : numpy.ndarray
        shape=(n_tetrahedra, 4), int; points of each tetrahedron, one representative of its translates.
    tetrahedron_shifts : numpy.ndarray
        shape=(n_tetrahedra, 4, 3), int; cell of each vertex.
    centres : numpy.ndarray
        shape=(n_tetrahedra, 3), float64, Å; circumcentre of the representative: a vertex of the Voronoi partition.
    radii : numpy.ndarray
        shape=(n_tetrahedra,), float64, Å; circumradius: distance of that vertex from its nearest points.
    triangles : numpy.ndarray
        shape=(n_triangles, 3), int; ``n_triangles = 2 n_tetrahedra``.
    triangle_shifts : numpy.ndarray
        shape=(n_triangles, 3, 3), int; cell of each vertex of the representative.
    triangle_tetrahedra : numpy.ndarray
        shape=(n_triangles, 2), int; the two tetrahedra that share it.
    triangle_offsets : numpy.ndarray
        shape=(n_triangles, 3), int; the second tetrahedron's representative, moved by this many cell vectors, shares the
        representative triangle with the first one's.
    tetrahedron_triangles : numpy.ndarray
        shape=(n_tetrahedra, 4), int; the triangle opposite each vertex.
    tetrahedron_triangle_shifts : numpy.ndarray
        shape=(n_tetrahedra, 4, 3), int; moves the representative triangle onto the facet of the representative
        tetrahedron.
    triangle_centres : numpy.ndarray
        shape=(n_triangles, 3), float64, Å; circumcentre of the representative.
    triangle_radii : numpy.ndarray
        shape=(n_triangles,), float64, Å; circumradius.
    jitter : float
        Å.
    attempts : int
        Triangulations tried until the certificate held.
    volume_error : float
        |volume of the tetrahedra / cell volume - 1|.
    """

    lattice: NDArray[np.float64]
    points: NDArray[np.float64]
    tetrahedra: NDArray[np.int64]
    tetrahedron_shifts: NDArray[np.int64]
    centres: NDArray[np.float64]
    radii: NDArray[np.float64]
    triangles: NDArray[np.int64]
    triangle_shifts: NDArray[np.int64]
    triangle_tetrahedra: NDArray[np.int64]
    triangle_offsets: NDArray[np.int64]
    tetrahedron_triangles: NDArray[np.int64]
    tetrahedron_triangle_shifts: NDArray[np.int64]
    triangle_centres: NDArray[np.float64]
    triangle_radii: NDArray[np.float64]
    jitter: float
    attempts: int
    volume_error: float

    @property
    def n_points(self) -> int:
        """Number of points in the cell."""
        return len(self.points)

    @property
    def volume(self) -> float:
        """Cell volume, Å^3."""
        return abs(float(np.linalg.det(self.lattice)))

    @cached_property
    def tetrahedron_vertices(self) -> NDArray[np.float64]:
        """Cartesian vertices of the representatives, shape=(n_tetrahedra, 4, 3), Å."""
        return self.points[self.tetrahedra] + self.tetrahedron_shifts @ self.lattice

    @cached_property
    def triangle_vertices(self) -> NDArray[np.float64]:
        """Cartesian vertices of the representatives, shape=(n_triangles, 3, 3), Å."""
        return self.points[self.triangles] + self.triangle_shifts @ self.lattice

    @cached_property
    def edges(self) -> Edges:
        """The edges, made when first asked for; there are ``n_points + n_tetrahedra`` of them."""
        ends = [[1, 2], [2, 0], [0, 1]]
        points = self.triangles[:, ends].reshape(-1, 2)
        shifts = self.triangle_shifts[:, ends].reshape(-1, 2, 3)
        _, first, place = np.unique(simplex_keys(points, shifts), return_index=True, return_inverse=True)
        return Edges(points[first], shifts[first], place.reshape(-1, 3))
