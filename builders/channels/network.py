"""The network of voids and channels of a framework, from its periodic Delaunay complex.

A void is a vertex of the Voronoi partition of the framework atoms (a circumcentre of the complex), a channel an edge of it (a
triangle of the complex); the working ion is not there, and the atoms have no radii (Osipov et al. 2023,
https://doi.org/10.31857/S2686954323601033, after Blatov et al. 2006, https://doi.org/10.1107/S0108767306005591).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from builders.channels.merging import merge
from builders.channels.model import Passages
from builders.geometry.images import canonical_turns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.channels.merging import Groups
    from builders.geometry.complex import PeriodicDelaunay

MERGE_DISTANCE: Final = 0.5
"""Å; vertices nearer than this are linked into one void."""
MERGE_DIAMETER: Final = 1.0
"""Å; largest extent of a void's vertices."""
_SAME_RADIUS = 1e-3
_HEART = 0.01  # Å


class Network(NamedTuple):
    """Voids and channels before symmetry, sizes and ions are looked at.

    Attributes
    ----------
    frac_coords : numpy.ndarray
        shape=(n_voids, 3), float64, in [0, 1).
    r_void : numpy.ndarray
        shape=(n_voids,), float64, Å.
    n_members : numpy.ndarray
        shape=(n_voids,), int; distinct Voronoi vertices of each void.
    passages : Passages
    """

    frac_coords: NDArray[np.float64]
    r_void: NDArray[np.float64]
    n_members: NDArray[np.int64]
    passages: Passages


class VoronoiEdges(NamedTuple):
    """Edges of the Voronoi partition as they are, nothing merged: one a triangle of the complex.

    Attributes
    ----------
    vertices : numpy.ndarray
        shape=(n_edges, 2), int; tetrahedra of the complex.
    offsets : numpy.ndarray
        shape=(n_edges, 3), int; cell of the second, relative to the representatives' own cells.
    r_open : numpy.ndarray
        shape=(n_edges,), float64, Å; radius of the largest sphere that can pass along the edge.
    inside : numpy.ndarray
        shape=(n_edges,), bool; whether the narrowest place is the triangle's own circle.
    """

    vertices: NDArray[np.int64]
    offsets: NDArray[np.int64]
    r_open: NDArray[np.float64]
    inside: NDArray[np.bool_]


def voronoi_edges(complex_: PeriodicDelaunay) -> VoronoiEdges:
    """Edges of the Voronoi partition with their bottlenecks.

    Along an edge the distance to the forming atoms is smallest at the circle's centre. Where that centre lies outside the
    edge, the narrowest place is the nearer end.

    Examples
    --------
    >>> import numpy as np
    >>> from builders.geometry.delaunay import periodic_delaunay
    >>> simple_cubic = periodic_delaunay(np.zeros((1, 3)), np.eye(3))
    >>> voronoi_edges(simple_cubic).r_open.min().round(4)  # 1 / sqrt(2)
    np.float64(0.7071)
    """
    first, second = complex_.triangle_tetrahedra.T
    start = complex_.centres[first]
    along = complex_.centres[second] + complex_.triangle_offsets @ complex_.lattice - start
    place = np.einsum("ij,ij->i", complex_.triangle_centres - start, along)
    inside = (place >= 0.0) & (place <= np.einsum("ij,ij->i", along, along))
    ends = np.minimum(complex_.radii[first], complex_.radii[second])
    r_open = np.where(inside, np.minimum(complex_.triangle_radii, ends), ends)
    return VoronoiEdges(complex_.triangle_tetrahedra, complex_.triangle_offsets, r_open, inside)


def build_network(
    complex_: PeriodicDelaunay,
    edges: VoronoiEdges,
    cations: NDArray[np.bool_],
    *,
    distance: float = MERGE_DISTANCE,
    diameter: float = MERGE_DIAMETER,
) -> Network:
    """Merge the vertices into voids and keep the edges between different voids as channels.

    Edges inside a void vanish; an edge from a void to its own image stays (it carries the periodicity); of several edges
    between the same two voids those of the same radius are one channel (a circle with four atoms is two triangles).

    Parameters
    ----------
    complex_ : PeriodicDelaunay
        Of the framework atoms.
    edges : VoronoiEdges
        Of the same complex.
    cations : numpy.ndarray
        shape=(n_points,), bool; which framework atoms are cations.
    distance, diameter : float
        Å; see :func:`builders.channels.merging.merge`.

    Examples
    --------
    >>> import numpy as np
    >>> from builders.geometry.delaunay import periodic_delaunay
    >>> rock_salt = periodic_delaunay(np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]), 4.0 * np.eye(3))
    >>> network = build_network(rock_salt, voronoi_edges(rock_salt), np.zeros(4, bool))
    >>> np.unique(network.r_void.round(3), return_counts=True)  # octahedral 1/2, tetrahedral sqrt(3)/4
    (array([1.732, 2.   ]), array([8, 4]))
    >>> len(network.passages.r_chan), network.passages.r_chan.min().round(3)  # 1/sqrt(6)
    (32, np.float64(1.633))
    """
    fractions = complex_.centres @ np.linalg.inv(complex_.lattice)
    groups = merge(fractions, complex_.radii, complex_.lattice, distance=distance, diameter=diameter)
    count = len(groups.centres)
    r_void = np.zeros(count)
    np.maximum.at(r_void, groups.labels, complex_.radii)
    necks = _necks(edges, groups, complex_.radii, distance)
    return Network(groups.centres, r_void, groups.n_places, _passages(complex_, edges, groups, cations, necks))


def _necks(edges: VoronoiEdges, groups: Groups, radii: NDArray[np.float64], distance: float) -> NDArray[np.float64]:
    """Narrowest place between each vertex and the heart of its void, along the void's own edges; shape=(n_vertices,), Å.

    The heart are the vertices with the largest empty spheres; with one such vertex it has no neck (inf). Wide open crystals
    have voids with vertices of different sizes, and who enters such a void at a small one passes its neck.
    """
    first, second = edges.vertices.T
    labels = groups.labels
    largest = np.zeros(len(groups.centres))
    np.maximum.at(largest, labels, radii)
    heart = radii >= largest[labels] - _HEART
    within = labels[first] == labels[second]
    within &= (edges.offsets + groups.shifts[second] == groups.shifts[first]).all(axis=1)
    inner = np.flatnonzero(within)
    inner = inner[np.argsort(-edges.r_open[inner], kind="stable")]
    # Widest first: a vertex meets the heart along its widest way. One list a part of a void, the heart's own number first.
    part = [[vertex] for vertex in range(len(labels))]
    hearts = heart.tolist()
    necks: NDArray[np.float64] = np.full(len(labels), np.inf)
    inside = np.full(len(groups.centres), np.inf)  # between the vertices of each heart
    for one, other, width in zip(
        first[inner].tolist(), second[inner].tolist(), edges.r_open[inner].tolist(), strict=True
    ):
        mine, its = part[one], part[other]
        if mine is its:
            continue
        if hearts[mine[0]] and hearts[its[0]]:
            inside[labels[one]] = width  # the last one is the narrowest
        elif hearts[mine[0]] or hearts[its[0]]:
            necks[its if hearts[mine[0]] else mine] = width
        if hearts[its[0]] or (len(its) > len(mine) and not hearts[mine[0]]):
            mine, its = its, mine
        mine += its
        for vertex in its:
            part[vertex] = mine
    necks = np.minimum(necks, inside[labels])
    whole = np.bincount(labels)
    loose = np.array([len(members) for members in part]) < whole[labels]
    if loose.any():
        # Near in space and not joined by short edges: the straight line between two vertices is at most so much narrower.
        smallest = np.full(len(largest), np.inf)
        np.minimum.at(smallest, labels, radii)
        necks = np.where(loose, np.minimum(necks, smallest[labels] - distance / 2.0), necks)
    return necks


def _passages(
    complex_: PeriodicDelaunay,
    edges: VoronoiEdges,
    groups: Groups,
    cations: NDArray[np.bool_],
    necks: NDArray[np.float64],
) -> Passages:
    first, second = edges.vertices.T
    voids = groups.labels[edges.vertices]
    offsets = edges.offsets + groups.shifts[second] - groups.shifts[first]
    atom_shifts = complex_.triangle_shifts - groups.shifts[first][:, None, :]
    outer = (voids[:, 0] != voids[:, 1]) | offsets.any(axis=1)
    turned = canonical_turns(voids, offsets)
    atom_shifts = np.where(turned[:, None, None], atom_shifts - offsets[:, None, :], atom_shifts)
    voids = np.where(turned[:, None], voids[:, ::-1], voids)
    offsets = np.where(turned[:, None], -offsets, offsets)

    kept = np.flatnonzero(outer)
    # Widest first among edges of the same two voids; those as wide as the one before are the same channel.
    order = kept[np.lexsort((-complex_.triangle_radii[kept], *offsets[kept].T[::-1], voids[kept, 1], voids[kept, 0]))]
    radii = complex_.triangle_radii[order]
    same = (voids[order[1:]] == voids[order[:-1]]).all(axis=1) & (offsets[order[1:]] == offsets[order[:-1]]).all(axis=1)
    same &= radii[:-1] - radii[1:] < _SAME_RADIUS
    group = np.concatenate([[True], ~same]) if len(order) else np.zeros(0, dtype=bool)
    rows = order[group]
    number = np.cumsum(group) - 1
    r_open, inside = np.zeros(len(rows)), np.zeros(len(rows), dtype=bool)
    blocked = np.zeros(len(rows), dtype=bool)
    passable = np.minimum(edges.r_open, necks[edges.vertices].min(axis=1))
    np.maximum.at(r_open, number, passable[order])
    np.logical_or.at(inside, number, edges.inside[order])
    np.logical_or.at(blocked, number, cations[complex_.triangles[order]].any(axis=1))
    ends = groups.centres[voids[rows]]
    length = np.linalg.norm((ends[:, 1] + offsets[rows] - ends[:, 0]) @ complex_.lattice, axis=1)
    return Passages(
        voids=voids[rows],
        offsets=offsets[rows],
        r_chan=complex_.triangle_radii[rows],
        r_open=r_open,
        length=length,
        atoms=complex_.triangles[rows],
        atom_shifts=atom_shifts[rows],
        inside=inside,
        blocked=blocked,
    )
