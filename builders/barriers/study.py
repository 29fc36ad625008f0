"""The six descriptors of the study: R_sd, r_chan, P_length, their sum and two quotients, for one hop in its surroundings.

Osipov et al., Doklady RAN Mat. Inf. Proc. Upr. 514, 355 (2023), https://doi.org/10.31857/S2686954323601033. The rules are
those of :mod:`builders.channels.paths`, applied to the atoms around the hop alone:

- Voids are the vertices of the Voronoi partition of the framework's atoms, channels its edges. The route from the void
  nearest to the start to the one nearest to the end is the widest near by.
- The path's void is the void of the route, its two end voids left out, that is nearest to the hop's middle and to which no
  other ion is as near as the nearer end (within 15 %). r_chan is its smallest channel.
- Where there is none, the path's void is the end void with the smaller R_sd, and r_chan the smallest channel of the route.
- R_sd is the radius of the sphere as large as the Voronoi cell of a point in the path's void among all atoms, the other ions
  too ("all atoms of the structure"), the moving one left out.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from builders.geometry.measures import equivalent_radius
from store.errors import GeometryError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.barriers.environment import HopEnvironment

NAMES: Final = ("r_sd", "r_chan", "p_length", "r_sd_plus_r_chan", "p_over_r_sd", "p_over_r_chan")
"""Names of the descriptors, in the order of the study."""

SHARED: Final = 1.15
"""Another ion this many times farther from a void than the nearer end, or less, shares it."""
DETOUR: Final = 4.0
"""Å; on a route the distances from the two ends exceed the one between them by no more than this, in sum."""
_HELD: Final = 0.75  # Å; voids so near to another ion are its place, and no way leads through it
_MERGED: Final = 0.5  # Å; voids so near to each other are one
_SHIFT: Final = 1e-4  # Å; atoms are moved by so much, so that no five lie on one sphere
_NEIGHBOURS: Final = 80  # atoms that can shape the Voronoi cell of a void
_WIDE: Final = 60.0  # Å; tetrahedra with wider spheres lie at the rim


class Route(NamedTuple):
    """The widest route of voids for a hop.

    Attributes
    ----------
    voids : numpy.ndarray
        shape=(m, 3), Å, about the hop's middle; from start to end.
    sizes : numpy.ndarray
        shape=(m,), Å; distance of each to its nearest atoms.
    r_chan : numpy.ndarray
        shape=(m - 1,), Å; channels between them.
    r_open : numpy.ndarray
        shape=(m - 1,), Å; their true bottlenecks.
    smallest : numpy.ndarray
        shape=(m,), Å; the smallest channel of each void.
    """

    voids: NDArray[np.float64]
    sizes: NDArray[np.float64]
    r_chan: NDArray[np.float64]
    r_open: NDArray[np.float64]
    smallest: NDArray[np.float64]


def describe_study(environment: HopEnvironment) -> dict[str, float]:
    """Find the six descriptors, Å (the quotients are numbers), and the bottleneck of the route.

    Raises
    ------
    GeometryError
        There are too few atoms for a Voronoi partition.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> from store.hops import HopRecord
    >>> from builders.barriers.environment import of_record
    >>> rock_salt = Crystal.from_lists([[0, 2, 2], [2, 0, 2], [2, 2, 0]], ["F"], [[0, 0, 0]])
    >>> hop = HopRecord("Li", rock_salt, np.array([0.5, 0.5, 0.5]), np.array([0.5, 0.5, -0.5]))
    >>> six = describe_study(of_record(hop))
    >>> round(six["p_length"], 3), round(six["r_chan"], 3), round(six["r_bottleneck"], 3)  # a / sqrt(6)
    (2.828, 1.633, 1.633)
    """
    route = find_route(environment)
    length = environment.p_length
    own = _own_void(route, environment)
    if own is None:
        sizes = [inserted_radius(route.voids[each], environment) for each in (0, -1)]
        r_sd = min(sizes)
        r_chan = float(route.r_chan.min()) if len(route.r_chan) else float(route.smallest[0])
    else:
        r_sd = inserted_radius(route.voids[own], environment)
        r_chan = float(route.smallest[own])
    return {
        "r_sd": r_sd,
        "r_chan": r_chan,
        "p_length": length,
        "r_sd_plus_r_chan": r_sd + r_chan,
        "p_over_r_sd": length / r_sd,
        "p_over_r_chan": length / r_chan,
        "r_bottleneck": float(route.r_open.min()) if len(route.r_open) else float(route.sizes[0]),
    }


def find_route(environment: HopEnvironment) -> Route:
    """Find the widest route of voids near a hop, of the framework's atoms alone.

    Raises
    ------
    GeometryError
        There are too few atoms.
    """
    from scipy.spatial import Delaunay, QhullError

    framework = ~environment.chemistry.is_ion[environment.kinds]
    atoms = environment.positions[framework]
    if len(atoms) < 8:
        raise GeometryError(f"{len(atoms)} framework atoms around the hop are too few for voids.")
    # Symmetric crystals are full of cospherical atoms; the same small shifts for everyone keep the answer reproducible.
    atoms = atoms + np.random.default_rng(0).normal(0.0, _SHIFT, atoms.shape)
    try:
        mesh = Delaunay(atoms)
    except QhullError as error:
        raise GeometryError(f"The atoms around the hop cannot be triangulated: {str(error)[:100]}.") from None
    centres, sizes = _spheres(atoms[mesh.simplices])
    journey = np.linalg.norm(centres - environment.end, axis=1) + np.linalg.norm(centres + environment.end, axis=1)
    inside = np.isfinite(sizes) & (sizes < _WIDE) & (journey < environment.p_length + DETOUR)
    if not inside.any():
        raise GeometryError("There is no void near the hop.")
    edges = _channels(atoms, mesh, centres, sizes)
    number = np.full(len(centres), -1)
    number[inside] = np.arange(int(inside.sum()))
    kept = inside[edges.voids].all(axis=1)
    pairs, r_open, r_chan = number[edges.voids[kept]], edges.r_open[kept], edges.r_chan[kept]
    whole, centres, sizes = centres, centres[inside], sizes[inside]
    start, end = (_nearest(centres, place) for place in (-environment.end, environment.end))
    ions = environment.positions[~framework]
    held = np.zeros(len(centres), dtype=bool)
    if len(ions):
        held = np.linalg.norm(centres[:, None] - ions[None], axis=2).min(axis=1) < _HELD
    closed = set(np.flatnonzero(held).tolist()) - {start, end}
    path = _widest(pairs, r_open, centres, start, end, closed)
    if path is None:  # every way meets another ion's void
        path = _widest(pairs, r_open, centres, start, end, set())
    if path is None:
        raise GeometryError("No channels lead from one end of the hop to the other near by.")
    widths = {
        (*sorted(pair),): (opening, channel)
        for pair, opening, channel in zip(pairs.tolist(), r_open, r_chan, strict=True)
    }
    steps = [widths[(*sorted(pair),)] for pair in itertools.pairwise(path)]
    return Route(
        voids=centres[path],
        sizes=sizes[path],
        r_chan=np.array([step[1] for step in steps], dtype=np.float64),
        r_open=np.array([step[0] for step in steps], dtype=np.float64),
        smallest=np.array([_smallest(centres[void], whole, edges) for void in path]),
    )


def _smallest(void: NDArray[np.float64], centres: NDArray[np.float64], edges: _Channels) -> float:
    """The smallest channel that leads out of a void, which nearly coincident ones are part of."""
    member = np.linalg.norm(centres - void, axis=1) < _MERGED
    out = member[edges.voids].sum(axis=1) == 1
    return float(edges.r_chan[out].min(initial=np.inf))


def _nearest(places: NDArray[np.float64], point: NDArray[np.float64]) -> int:
    return int(((places - point) ** 2).sum(1).argmin())


def _widest(
    pairs: NDArray[np.int64],
    r_open: NDArray[np.float64],
    centres: NDArray[np.float64],
    start: int,
    end: int,
    closed: set[int],
) -> list[int] | None:
    """Voids of the widest way, of equally wide ones the shortest; None where there is none."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import breadth_first_order, dijkstra, minimum_spanning_tree

    if start == end:
        return [start]
    free = ~np.isin(pairs, list(closed)).any(axis=1)
    pairs, r_open = pairs[free], r_open[free]
    shape = (len(centres), len(centres))
    # The widest way lies in the tree of widest channels. Costs must be positive: wide is cheap.
    cost = 1.0 + (r_open.max(initial=0.0) - r_open)
    tree = minimum_spanning_tree(coo_matrix((cost, (pairs[:, 0], pairs[:, 1])), shape=shape).tocsr())
    _, before = breadth_first_order(tree, start, directed=False)
    if before[end] < 0:
        return None
    widths = {frozenset(pair): width for pair, width in zip(pairs.tolist(), r_open.tolist(), strict=True)}
    way = _backwards(before, start, end)
    narrowest = min(widths[frozenset(step)] for step in itertools.pairwise(way))
    wide = r_open >= narrowest - 1e-9
    length = np.linalg.norm(centres[pairs[wide, 0]] - centres[pairs[wide, 1]], axis=1) + 1e-6
    graph = coo_matrix((length, (pairs[wide, 0], pairs[wide, 1])), shape=shape).tocsr()
    _, back = dijkstra(graph, directed=False, indices=start, return_predecessors=True)
    return _backwards(back, start, end)


def _backwards(before: NDArray[np.int64], start: int, end: int) -> list[int]:
    path = [end]
    while path[-1] != start:
        path.append(int(before[path[-1]]))
    return path[::-1]


def inserted_radius(place: NDArray[np.float64], environment: HopEnvironment) -> float:
    """Radius of the sphere as large as the Voronoi cell of a point among all atoms around a hop, Å."""
    from scipy.spatial import ConvexHull, QhullError, Voronoi

    apart = environment.positions - place
    distance = np.linalg.norm(apart, axis=1)
    near = apart[np.argsort(distance)[:_NEIGHBOURS]]
    if len(near) < 8 or distance.min() < 1e-3:
        raise GeometryError("A void's Voronoi cell needs atoms around it, and none on it.")
    try:
        cells = Voronoi(np.concatenate([np.zeros((1, 3)), near]))
        region = cells.regions[cells.point_region[0]]
        if -1 in region:
            raise GeometryError("A void's Voronoi cell is open: there are too few atoms around it.")
        volume = ConvexHull(cells.vertices[region]).volume
    except QhullError as error:
        raise GeometryError(f"A void's Voronoi cell cannot be formed: {str(error)[:100]}.") from None
    return float(equivalent_radius(np.array([volume]))[0])


def _own_void(route: Route, environment: HopEnvironment) -> int | None:
    """The path's void, if the route has one of its own; the voids of the two ends are none."""
    inner = route.voids[1:-1]
    if len(inner) == 0:
        return None
    ions = environment.positions[environment.chemistry.is_ion[environment.kinds]]
    from_ends = np.minimum(
        np.linalg.norm(inner + environment.end, axis=1), np.linalg.norm(inner - environment.end, axis=1)
    )
    own = np.ones(len(inner), dtype=bool)
    if len(ions):
        own = np.linalg.norm(inner[:, None] - ions[None], axis=2).min(axis=1) > SHARED * from_ends
    # A void as near to an end as the end's own is a part of the place where the ion rests.
    own &= from_ends > 0.5
    if not own.any():
        return None
    middle = np.where(own, np.linalg.norm(inner, axis=1), np.inf)
    return int(middle.argmin()) + 1


class _Channels(NamedTuple):
    voids: NDArray[np.int64]
    r_chan: NDArray[np.float64]
    r_open: NDArray[np.float64]


def _spheres(corners: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centres and radii of the circumspheres of tetrahedra, shape=(n, 4, 3); infinite radii for flat ones."""
    edges = corners[:, 1:] - corners[:, :1]
    flat = np.abs(np.linalg.det(edges)) < 1e-9
    safe = np.where(flat[:, None, None], np.eye(3), edges)
    middle = np.linalg.solve(2.0 * safe, (safe * safe).sum(2)[:, :, None])[:, :, 0]
    radius = np.where(flat, np.inf, np.linalg.norm(middle, axis=1))
    return corners[:, 0] + middle, radius


def _channels(
    atoms: NDArray[np.float64], mesh: object, centres: NDArray[np.float64], sizes: NDArray[np.float64]
) -> _Channels:
    """Triangles that two tetrahedra share: channels between their voids."""
    simplices, neighbours = np.asarray(mesh.simplices), np.asarray(mesh.neighbors)  # type: ignore[attr-defined]
    first, corner = np.nonzero(neighbours > np.arange(len(neighbours))[:, None])
    second = neighbours[first, corner]
    rest = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])[corner]
    triangle = atoms[np.take_along_axis(simplices[first], rest, axis=1)]
    u, v = triangle[:, 1] - triangle[:, 0], triangle[:, 2] - triangle[:, 0]
    normal = np.cross(u, v)
    area = np.linalg.norm(normal, axis=1)
    sides = np.linalg.norm(u, axis=1) * np.linalg.norm(v, axis=1) * np.linalg.norm(u - v, axis=1)
    r_chan = sides / np.maximum(2.0 * area, 1e-9)
    above = ((centres[first] - triangle[:, 0]) * normal).sum(1)
    below = ((centres[second] - triangle[:, 0]) * normal).sum(1)
    inside = above * below < 0
    r_open = np.where(inside, r_chan, np.minimum(sizes[first], sizes[second]))
    return _Channels(np.stack([first, second], axis=1), r_chan, r_open)
