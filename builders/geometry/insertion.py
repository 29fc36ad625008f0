"""Voronoi cells of points put into a periodic point set, each alone with its lattice translates.

How big is the place for an ion at a void? Its Voronoi cell among the framework atoms says so, once the ion is there: at this
place and its lattice translates, and nowhere else.

Construction, for all positions at once
---------------------------------------
1. Cavity (Bowyer, Comput. J. 24, 162; Watson, ibid. 167, 1981): the tetrahedra of the infinite triangulation whose circumsphere
   holds the position.
2. Star: the facets that bound the cavity (those that occur once in it), each seen from the position. Its circumcentres are the
   corners of the position's Voronoi cell among the framework atoms.
3. The translates cut this cell to its part in the Wigner-Seitz cell of the lattice, which has at most seven pairs of faces. A
   translate that takes corners off removes their tetrahedra from the star and is joined to the rim of the hole.
4. Volume: six signed orthoschemes a tetrahedron (:mod:`builders.geometry.measures`).

A result counts when the star proves to cover every direction once and no corner lies further off than an empty sphere can be
wide. Otherwise the cell is cut out of space by planes, one position after the other, which needs no triangulation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from builders.geometry.measures import FACETS, cross, dot, sector_volumes, tetrahedron_volumes
from builders.geometry.planes import COINCIDENT, cell_by_planes, relevant_vectors
from builders.geometry.reduction import reduced_basis
from store.errors import GeometryError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from builders.geometry.complex import PeriodicDelaunay

SHIFT: Final = np.array([0.61803, -0.41421, 0.73205]) * 1e-8
"""Å; all positions are moved by this, so that none lies exactly on a sphere or a plane."""
_RAY = np.array([0.4402, 0.2113, -0.8727])
_EDGES = np.array([[0, 1], [1, 2], [2, 0]])
_MOST_TESTS = 4_000_000
_MOST_IMAGES = 5_000_000
# Odd random numbers: sums of multiples of them name (position, simplex, cell), modulo 2^64.
_POSITION, _ITEM = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
_CELL = np.array([0x165667B19E3779F9, 0x27D4EB2F165667C5, 0xD6E8FEB86659FD93], dtype=np.uint64)


class Insertion(NamedTuple):
    """Voronoi cells of inserted positions.

    Attributes
    ----------
    volumes : numpy.ndarray
        shape=(n_positions,), float64, Å^3.
    far : numpy.ndarray
        shape=(n_positions,), float64, Å; distance of the furthest corner of each cell.
    by_planes : numpy.ndarray
        shape=(n_positions,), bool; whether the star could not be proved and the cell was cut out by planes.
    """

    volumes: NDArray[np.float64]
    far: NDArray[np.float64]
    by_planes: NDArray[np.bool_]


def inserted_volumes(
    complex_: PeriodicDelaunay, positions: NDArray[np.float64], translates: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Volumes of the Voronoi cells of positions, each inserted alone with translates of its own.

    Parameters
    ----------
    complex_ : PeriodicDelaunay
        Of the points that are there.
    positions : numpy.ndarray
        shape=(n_positions, 3), Cartesian, Å; in any cell.
    translates : numpy.ndarray, optional
        shape=(3, 3), rows, Å; lattice of a position's own translates, by default that of the complex.

    Returns
    -------
    numpy.ndarray
        shape=(n_positions,), Å^3.

    Raises
    ------
    GeometryError
        A position stands on a point of the set, or is not finite.

    Notes
    -----
    The translates of a primitive and of a conventional or larger cell are different: the fewer ones of the larger cell
    can leave more room (face-centred cubic, tetrahedral void: 0.31018 a and 0.31609 a) wherever a lattice vector is
    shorter than twice the reach of the Voronoi cell. Whoever compares crystals must choose one kind of cell for all.

    Examples
    --------
    The octahedral void of a face-centred cubic crystal has the cell of an atom of the simple cubic one (a/2)^3:

    >>> import numpy as np
    >>> from builders.geometry.delaunay import periodic_delaunay
    >>> from builders.geometry.measures import equivalent_radius
    >>> atoms = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    >>> volumes = inserted_volumes(periodic_delaunay(atoms, 4.0 * np.eye(3)), np.array([[2.0, 2.0, 2.0]]))
    >>> volumes.round(4), (equivalent_radius(volumes) / 4.0).round(5)
    (array([8.]), array([0.31018]))
    """
    return insert(complex_, positions, translates).volumes


def insert(
    complex_: PeriodicDelaunay, positions: NDArray[np.float64], translates: NDArray[np.float64] | None = None
) -> Insertion:
    """Volumes and reach of the Voronoi cells of positions, each inserted alone with translates of its own.

    Parameters and errors: :func:`inserted_volumes`.

    Examples
    --------
    >>> import numpy as np
    >>> from builders.geometry.delaunay import periodic_delaunay
    >>> simple_cubic = periodic_delaunay(np.zeros((1, 3)), np.eye(3))
    >>> found = insert(simple_cubic, np.array([[0.5, 0.5, 0.5]]))
    >>> found.volumes.round(4), found.far.round(4), found.by_planes  # a truncated octahedron
    (array([0.5]), array([0.559]), array([False]))
    """
    places = np.asarray(positions, dtype=np.float64).reshape(-1, 3)
    if not np.isfinite(places).all():
        raise GeometryError("Positions to insert hold numbers that are not finite.")
    volumes, far, proved = np.zeros(len(places)), np.zeros(len(places)), np.zeros(len(places), dtype=bool)
    if len(places) == 0:
        return Insertion(volumes, far, proved)
    space = _Space.of(complex_, complex_.lattice if translates is None else translates)
    for part, star in space.stars(space.wrapped(places + SHIFT)):
        measured = _measure(_with_translates(star, space.relevant))
        _refuse_coincident(places[part], measured.nearest)
        volumes[part], far[part], proved[part] = measured.volumes, measured.far, measured.proved
    # No sphere without points is larger than the largest circumsphere of the complex.
    proved &= (volumes > 0.0) & (far <= space.largest * (1.0 + 1e-6) + 1e-6)
    for index in np.flatnonzero(~proved):
        volumes[index], far[index] = cell_by_planes(complex_.points, complex_.lattice, places[index], translates)
    return Insertion(volumes, far, ~proved)


def _refuse_coincident(places: NDArray[np.float64], nearest: NDArray[np.float64]) -> None:
    worst = int(nearest.argmin())
    if nearest[worst] < COINCIDENT:
        where = ", ".join(f"{number:.4f}" for number in places[worst])
        raise GeometryError(
            f"The position ({where}) Å stands on a point of the set, {nearest[worst]:.1e} Å from it: "
            "it has no Voronoi cell of its own."
        )


@dataclass(frozen=True, eq=False)
class _Star:
    """Tetrahedra around positions, with their apices in the positions.

    owners (n,): the position of each; corners (n, 3, 3): its other vertices relative to the position, Å, in right-handed
    order; names (n, 3): of these vertices; centres (n, 3): circumcentre relative to the position; dets (n,): six times
    the volume; pierced (n,): whether the ray along a fixed direction goes through; count: number of positions.
    """

    owners: NDArray[np.int64]
    corners: NDArray[np.float64]
    names: NDArray[np.uint64]
    centres: NDArray[np.float64]
    dets: NDArray[np.float64]
    pierced: NDArray[np.bool_]
    count: int

    @classmethod
    def of(
        cls, owners: NDArray[np.int64], corners: NDArray[np.float64], names: NDArray[np.uint64], count: int
    ) -> _Star:
        a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
        normals = cross(b, c), cross(c, a), cross(a, b)
        dets = dot(a, normals[0])
        pierced = np.ones(len(owners), dtype=bool)
        total = np.zeros((len(owners), 3))
        for corner, normal in zip((a, b, c), normals, strict=True):
            pierced &= normal @ _RAY > 0.0
            total += dot(corner, corner)[:, None] * normal
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            centres = total / (2.0 * dets)[:, None]
        return cls(owners, corners, names, centres, dets, pierced, count)

    def replaced(self, gone: NDArray[np.bool_], new: _Star) -> _Star:
        """Without some of the tetrahedra, and with others."""
        kept = ~gone
        return _Star(
            np.concatenate([self.owners[kept], new.owners]),
            np.concatenate([self.corners[kept], new.corners]),
            np.concatenate([self.names[kept], new.names]),
            np.concatenate([self.centres[kept], new.centres]),
            np.concatenate([self.dets[kept], new.dets]),
            np.concatenate([self.pierced[kept], new.pierced]),
            self.count,
        )


@dataclass(frozen=True, eq=False)
class _Space:
    """A complex made ready for insertions.

    basis (3, 3) and inverse: reduced basis; cell_code (3,): names of its vectors; largest: circumradius, Å; relevant (n, 3):
    lattice vectors that can cut a cell of points no further off than that, Å.
    """

    complex_: PeriodicDelaunay
    basis: NDArray[np.float64]
    inverse: NDArray[np.float64]
    cell_code: NDArray[np.uint64]
    largest: float
    relevant: NDArray[np.float64]

    @classmethod
    def of(cls, complex_: PeriodicDelaunay, translates: NDArray[np.float64]) -> _Space:
        basis, transform = reduced_basis(complex_.lattice)
        largest = float(complex_.radii.max())
        relevant = relevant_vectors(translates)
        relevant = relevant[np.sqrt(dot(relevant, relevant)) < 2.0 * largest * (1.0 + 1e-6)]
        inverse = np.linalg.inv(basis).astype(np.float64, copy=False)
        return cls(complex_, basis, inverse, transform.astype(np.uint64) @ _CELL, largest, relevant)

    def wrapped(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        fractions = places @ self.inverse
        homes: NDArray[np.float64] = (fractions - np.floor(fractions)) @ self.basis
        return homes

    def stars(self, homes: NDArray[np.float64]) -> Iterator[tuple[slice, _Star]]:
        """Stars of the positions among the points alone, in slices of bounded memory."""
        of_image, cells = self._images(homes)
        moves = cells @ self.basis
        centres = self.complex_.centres[of_image] + moves
        # 2 v.c - |v|^2 - (|c|^2 - R^2) > 0 inside the circumsphere: one matrix product for all pairs.
        spheres = np.column_stack([centres, self.complex_.radii[of_image] ** 2 - dot(centres, centres)])
        lifted = np.column_stack([2.0 * homes, np.ones(len(homes))])
        squares = dot(homes, homes)
        codes = cells.astype(np.uint64) @ self.cell_code
        step = max(1, _MOST_TESTS // max(1, len(centres)))
        signed = np.sign(tetrahedron_volumes(self.complex_.tetrahedron_vertices))
        for start in range(0, len(homes), step):
            part = slice(start, min(start + step, len(homes)))
            inside = np.flatnonzero(lifted[part] @ spheres.T > squares[part, None])
            owners, images = np.divmod(inside, len(centres))
            rows, facets = self._rim(owners, of_image[images], codes[images])
            owners, images = owners[rows], images[rows]
            tetrahedra = of_image[images]
            order = FACETS[facets]
            order = np.where(signed[tetrahedra, None] > 0, order, order[:, ::-1])
            corners = self.complex_.tetrahedron_vertices[tetrahedra[:, None], order]
            corners = corners + (moves[images] - homes[part][owners])[:, None]
            names = np.zeros((len(rows), 3), dtype=np.uint64)
            if len(self.relevant):
                names = self._vertex_names(tetrahedra, order, codes[images])
            yield part, _Star.of(owners, corners, names, part.stop - part.start)

    def _images(self, homes: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Translates of the tetrahedra whose circumspheres reach the box (in the reduced basis) around the positions."""
        fractions = homes @ self.inverse
        centres = self.complex_.centres @ self.inverse
        reach = self.complex_.radii[:, None] * np.linalg.norm(self.inverse, axis=0)
        first = np.ceil(fractions.min(axis=0) - reach - centres).astype(np.int64)
        counts = np.floor(fractions.max(axis=0) + reach - centres).astype(np.int64) - first + 1
        np.maximum(counts, 0, out=counts)
        many = counts.prod(axis=1)
        if many.sum() > _MOST_IMAGES:
            raise GeometryError(f"Empty spheres of up to {self.largest:.0f} Å have too many images.")
        index = np.repeat(np.arange(len(many)), many)
        rank = np.arange(len(index)) - np.repeat(np.cumsum(many) - many, many)
        cells = np.empty((len(index), 3), dtype=np.int64)
        for axis in (2, 1):
            rank, cells[:, axis] = np.divmod(rank, counts[index, axis])
        cells[:, 0] = rank
        return index, cells + first[index]

    def _rim(
        self, owners: NDArray[np.int64], tetrahedra: NDArray[np.int64], codes: NDArray[np.uint64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Facets that occur once in the cavity of their position: rows of the cavity, and which of the four."""
        triangles = self.complex_.tetrahedron_triangles.astype(np.uint64) * _ITEM
        triangles += self.complex_.tetrahedron_triangle_shifts.astype(np.uint64) @ _CELL
        names = triangles[tetrahedra]
        names += (owners.astype(np.uint64) * _POSITION + codes)[:, None]
        return np.divmod(_single(names.ravel()), 4)

    def _vertex_names(
        self, tetrahedra: NDArray[np.int64], order: NDArray[np.int64], codes: NDArray[np.uint64]
    ) -> NDArray[np.uint64]:
        vertices = self.complex_.tetrahedra.astype(np.uint64) * _ITEM
        vertices += self.complex_.tetrahedron_shifts.astype(np.uint64) @ _CELL
        return _mixed(vertices[tetrahedra[:, None], order] + codes[:, None])


def _single(names: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Places of the names that occur once."""
    order = np.argsort(names)
    ordered = names[order]
    new = np.ones(len(names) + 1, dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:-1])
    found: NDArray[np.int64] = order[new[1:] & new[:-1]]
    return found


def _mixed(names: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scrambled, so that sums of two names tell which two they were (splitmix64)."""
    mixed = names ^ (names >> np.uint64(30))
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def _with_translates(star: _Star, vectors: NDArray[np.float64]) -> _Star:
    """Cut the cells by the planes half way to the lattice translates of their own positions."""
    for number, vector in enumerate(vectors):
        with np.errstate(invalid="ignore"):
            beyond = star.centres @ vector > 0.5 * float(vector @ vector)
        if not beyond.any():
            continue
        owners, corners, names = star.owners[beyond], star.corners[beyond], star.names[beyond]
        edges = names[:, _EDGES].sum(axis=2, dtype=np.uint64)
        edges += (owners.astype(np.uint64) * _POSITION)[:, None]
        row, which = np.divmod(_single(edges.ravel()), 3)
        rim = row[:, None], _EDGES[which]
        translate = np.broadcast_to(vector, (len(row), 1, 3))
        name = np.broadcast_to(_mixed(np.array([number + 1], dtype=np.uint64)), (len(row), 1))
        new = _Star.of(
            owners[row],
            np.concatenate([corners[rim], translate], axis=1),
            np.concatenate([names[rim], name], axis=1),
            star.count,
        )
        star = star.replaced(beyond, new)
    return star


class _Measured(NamedTuple):
    """Volume, furthest corner of the cell, whether the star is proved, and distance of the nearest vertex."""

    volumes: NDArray[np.float64]
    far: NDArray[np.float64]
    proved: NDArray[np.bool_]
    nearest: NDArray[np.float64]


def _measure(star: _Star) -> _Measured:
    """Measure the cells.

    A star is a closed surface of triangles seen from the position. When all of them face outwards it covers the sphere of
    directions evenly, and when one ray goes through one of them only it covers it once.
    """
    far, nearest = np.zeros(star.count), np.full(star.count, np.inf)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        sectors = sector_volumes(star.corners, star.centres)
        np.maximum.at(far, star.owners, np.sqrt(dot(star.centres, star.centres)))
    lengths = np.sqrt(np.einsum("nij,nij->ni", star.corners, star.corners).min(axis=1))
    np.minimum.at(nearest, star.owners, lengths)
    volumes = np.bincount(star.owners, weights=sectors, minlength=star.count).astype(np.float64)
    inward = np.bincount(star.owners[~(star.dets > 0.0)], minlength=star.count)
    covered = np.bincount(star.owners[star.pierced], minlength=star.count)
    return _Measured(volumes, far, (inward == 0) & (covered == 1), nearest)
