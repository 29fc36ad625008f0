"""Hops: how an ion gets from one of its sites to the next, and how wide the way is.

Which pairs of sites
--------------------
Every void belongs to the site that the widest way leads to (:mod:`builders.channels.basins`). Two sites whose voids touch are
a pair. Its route is the widest near by that meets no third site (of equally wide ones the shortest), or the one that crosses
from the voids of the one to those of the other wherever that leads, if it is wider by more than 0.02 Å. Near by is where the
distances from the two sites exceed the one between them by no more than 4 Å in sum.

A pair is left out when it is farther than the cutoff, or when shorter hops near by, none narrower, lead from the one to the
other: such a journey is composite. Wider hops that are longer do not make a hop composite: in LiFePO4 the 4.69 Å hop along c
stays one even where the 5.67 Å hops between the rows of lithium are wider.

Without a cutoff, hops percolate as the channels do in the parts of the network that hold a site, within 0.02 Å: pairs of touching
basins join the sites as widely as the whole network, and a composite journey is no wider than the hops it is made of.

The path's void, R_sd and r_chan
--------------------------------
The study (Osipov et al. 2023, https://doi.org/10.31857/S2686954323601033) describes a hop by one void and the smallest of that
void's channels. It chose void and channel partly by hand. The rule here:

1. A void of the route, other than the two sites' voids, is the hop's own when no third site is as near to it as the nearer of
   the hop's two sites (within 15 %). The path's void is the own void nearest to the hop's midpoint, and r_chan its smallest
   channel, on the route or not. LiFePO4, path 1: the tetrahedral void half way, its Fe-O-O face; path 2: the void beside the
   midpoint, its O-O-P face.
2. A void that a third site shares is no place of this hop: while the third site is occupied the ion keeps away from it, as in
   the oxygen dumbbell hop of layered oxides (Van der Ven, Ceder, Electrochem. Solid-State Lett. 3, 301, 2000). A hop without
   own voids leads straight from void to void of its sites. The path's void is then the one of the two with the smaller
   R_sd, and r_chan the smallest channel of the route, because the other channels of a site's void lead elsewhere. LiCoO2:
   the octahedral void of lithium, its O-O-O face to the tetrahedron.

Hops with a computed barrier (Devi et al. 2025, https://doi.org/10.48550/arXiv.2508.06459; 126 hops of Li, 61 of Na, 87 of Mg,
128 of Ca) decided which of several own voids is taken: with the one nearest to the midpoint the rank correlations of R_sd and
r_chan with the barrier are at least as strong for each of these ions as with the largest one.

Limits: of the study's LiFe0.5Mn0.5PO4, path A agrees (1.39-1.40 and 1.75-1.77 Å). B does not (1.24 for 1.256 Å, 1.29 for
1.687 Å), nor does C (1.27 for 1.346 Å, 1.50 for 1.822 Å): there the study took a larger void on the way and a channel that is
not its smallest. And r_chan, a property of a void, can be far narrower than any passage of the route (LiFePO4, path 2:
1.29 Å, the route 1.72 Å): the bottleneck stands beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from builders.channels.basins import flood, levels, neighbours_of, pack
from builders.channels.crossings import DETOUR, classify, elementary, find_pairs
from builders.channels.model import Hop
from builders.channels.percolation import percolate
from builders.channels.places import Frame, find_places, nearest_places
from builders.channels.widest import Map, shortest_route, widest_level

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.channels.basins import Neighbours
    from builders.channels.model import Passages, Percolation, Voids
    from builders.channels.places import Places

CUTOFF: Final = 8.0
"""Å; longest hop."""
WORTH: Final = 0.02
"""Å; a way that leads far from a pair counts only where it is wider than all near by, by more than this."""
SHARED: Final = 1.15
"""A third site this many times farther from a void than the nearer end of a hop, or less, shares it."""


@dataclass(frozen=True, eq=False)
class HopNetwork:
    """Hops between ion sites, one of each symmetry class, and all of them in the cell.

    Attributes
    ----------
    hops : tuple of Hop
        The widest bottleneck first.
    sites : numpy.ndarray
        shape=(n, 2), int; start and end of every hop in the cell (voids in a host without ion sites).
    offsets : numpy.ndarray
        shape=(n, 3), int; cell of the end.
    of_hop : numpy.ndarray
        shape=(n,), int; the class of each.
    n_sites : int
        Sites of the crystal, voids of a host.
    """

    hops: tuple[Hop, ...]
    sites: NDArray[np.int64]
    offsets: NDArray[np.int64]
    of_hop: NDArray[np.int64]
    n_sites: int


def find_hops(
    lattice: NDArray[np.float64],
    sites: NDArray[np.float64],
    voids: Voids,
    passages: Passages,
    rotations: NDArray[np.int64],
    translations: NDArray[np.float64],
    *,
    cutoff: float = CUTOFF,
    r_sd: float | None = None,
) -> tuple[tuple[Hop, ...], Percolation]:
    """Find the hops of the ion, and how they percolate.

    Parameters
    ----------
    lattice, sites, voids, passages, rotations, translations, cutoff, r_sd
        As for :func:`hop_network`.

    Returns
    -------
    hops : tuple of Hop
        One of each symmetry class, the widest bottleneck first.
    percolation : Percolation
        Of all of them: :func:`hop_percolation`.

    Examples
    --------
    See :func:`hop_network`.
    """
    network = hop_network(lattice, sites, voids, passages, rotations, translations, cutoff=cutoff, r_sd=r_sd)
    return network.hops, hop_percolation(network)


def hop_network(
    lattice: NDArray[np.float64],
    sites: NDArray[np.float64],
    voids: Voids,
    passages: Passages,
    rotations: NDArray[np.int64],
    translations: NDArray[np.float64],
    *,
    cutoff: float = CUTOFF,
    r_sd: float | None = None,
) -> HopNetwork:
    """Find the hops between ion sites, or between voids of a host that holds no ion.

    Parameters
    ----------
    lattice : numpy.ndarray
        shape=(3, 3), rows, Å.
    sites : numpy.ndarray
        shape=(n_sites, 3), fractional; empty for a host. A site stands for the void nearest to it, however far; sites of one
        void (split positions) are one place in their mean position, named by the first of them.
    voids : Voids
    passages : Passages
    rotations, translations : numpy.ndarray
        shape=(n_operations, 3, 3), int, and (n_operations, 3): the group of operations, R x + t for a column x of
        fractional coordinates, that carry framework and sites onto themselves. Without symmetry: the identity.
    cutoff : float
        Å; longest hop, from site to site.
    r_sd : float, optional
        Å; in a host, voids with at least this R_sd are what hops lead between; by default those no smaller (by ``r_void``) than
        any void they have a channel to.

    Returns
    -------
    HopNetwork

    Examples
    --------
    Two voids on a line that repeats every 4 Å, one of them an ion site:

    >>> from builders.channels.model import Passages, Voids
    >>> whole, number = np.array([1.4, 1.3]), np.arange(2)
    >>> voids = Voids(np.array([[0, 0, 0], [0.5, 0, 0]]), whole, whole, number, number, number, whole)
    >>> ways = Passages(np.array([[0, 1], [0, 1]]), np.array([[0, 0, 0], [-1, 0, 0]]), np.array([1.2, 1.1]),
    ...                 np.array([1.2, 1.1]), np.array([2.0, 2.0]), *[np.zeros(0)] * 4)
    >>> one = hop_network(4 * np.eye(3), np.zeros((1, 3)), voids, ways, np.eye(3, dtype=int)[None], np.zeros((1, 3)))
    >>> hop = one.hops[0]
    >>> hop.p_length, hop.r_bottleneck, hop.void, hop.r_sd, [void for void, _ in hop.route], hop.offset
    (4.0, 1.1, 1, 1.3, [0, 1, 0], (1, 0, 0))
    """
    frame = Frame.of(lattice)
    places = find_places(sites, voids, passages, frame, r_sd)
    n_sites = len(sites) or len(voids.r_void)
    if len(places.voids) == 0 or len(passages.voids) == 0:
        return _no_hops(n_sites)
    ranks = levels(passages.r_open)
    neighbours = neighbours_of(len(voids.r_void), passages, ranks)
    rows, level = find_pairs(places, flood(neighbours, places.voids), passages, ranks, lattice, cutoff)
    if len(rows) == 0:
        return _no_hops(n_sites)
    classes = classify(rows, level, places, rotations, translations, frame)
    ways = _Ways(classes.rows[classes.first], places, voids, passages, neighbours, lattice)
    floor = np.searchsorted(widths := _widths(passages.r_open, ranks), widths[classes.level] - WORTH)
    near = np.array([ways.widest(number, least) for number, least in enumerate(floor.tolist())])
    level = np.where(near >= 0, near, classes.level)
    kept = elementary(classes, level, places, lattice)
    found = [(number, ways.route(number, int(level[number]), bool(near[number] >= 0))) for number in kept]
    found.sort(key=lambda each: -ranks[each[1].passages].min())  # stable: of equally wide ones the shortest first
    kept, routes = [number for number, _ in found], [route for _, route in found]
    numbers = np.full(len(classes.first), -1)
    numbers[kept] = np.arange(len(kept))
    of_hop = numbers[classes.number]
    rows, of_hop = classes.rows[of_hop >= 0], of_hop[of_hop >= 0]
    return HopNetwork(
        hops=_describe(routes, np.bincount(of_hop), places, voids, passages, frame),
        sites=places.numbers[rows[:, :2]],
        offsets=rows[:, 2:] + places.cells[rows[:, 0]] - places.cells[rows[:, 1]],
        of_hop=of_hop,
        n_sites=n_sites,
    )


def hop_percolation(network: HopNetwork) -> Percolation:
    """Percolation of the hops: the widest bottlenecks with which they carry an ion in one, two and three directions.

    Examples
    --------
    >>> nothing = HopNetwork((), np.zeros((0, 2), int), np.zeros((0, 3), int), np.zeros(0, int), 1)
    >>> hop_percolation(nothing).radii
    (0.0, 0.0, 0.0)
    """
    widths = np.array([hop.r_bottleneck for hop in network.hops])[network.of_hop]
    return percolate(network.sites, network.offsets, widths, network.n_sites)


def _widths(widths: NDArray[np.float64], ranks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Smallest width of each rank."""
    order = np.argsort(widths, kind="stable")
    _, first = np.unique(ranks[order], return_index=True)
    return widths[order[first]]


def _no_hops(n_sites: int) -> HopNetwork:
    empty = np.zeros(0, dtype=np.int64)
    return HopNetwork((), empty.reshape(0, 2), empty.reshape(0, 3), empty, n_sites)


class _Route(NamedTuple):
    """A way from one place to another; cells as seen from the first place's void in the home cell."""

    ends: tuple[int, int]
    voids: list[int]
    cells: NDArray[np.int64]
    passages: list[int]


class _Ways:
    """Ways between the two places of each pair."""

    def __init__(
        self,
        rows: NDArray[np.int64],
        places: Places,
        voids: Voids,
        passages: Passages,
        neighbours: Neighbours,
        lattice: NDArray[np.float64],
    ) -> None:
        closed = np.zeros(len(voids.r_void), dtype=bool)
        closed[places.voids] = True
        first, second = passages.voids.T
        vectors = (voids.frac_coords[second] + passages.offsets - voids.frac_coords[first]) @ lattice
        self._map = Map(neighbours, list(map(tuple, vectors.tolist())), closed.tolist())
        start, end = places.voids[rows[:, 0]], places.voids[rows[:, 1]]
        apart = (voids.frac_coords[end] + rows[:, 2:] - voids.frac_coords[start]) @ lattice
        self._ends = rows[:, :2].tolist()
        self._start = start.tolist()
        self._goal = list(zip(end.tolist(), pack(rows[:, 2:]).tolist(), strict=True))
        self._apart = list(map(tuple, apart.tolist()))

    def widest(self, pair: int, floor: int) -> int:
        """Rank of the narrowest passage of the widest way near by; -1 where none is of rank ``floor`` or higher."""
        return widest_level(self._map, self._start[pair], self._goal[pair], self._apart[pair], DETOUR, floor)

    def route(self, pair: int, level: int, near: bool) -> _Route:
        """The shortest way of this width, near by or wherever it leads."""
        extra = DETOUR if near else np.inf
        found = shortest_route(self._map, self._start[pair], self._goal[pair], self._apart[pair], level, extra)
        assert found is not None  # a way as wide as this was found before
        first, second = self._ends[pair]
        return _Route((first, second), *found)


def _describe(
    routes: list[_Route],
    counts: NDArray[np.int64],
    places: Places,
    voids: Voids,
    passages: Passages,
    frame: Frame,
) -> tuple[Hop, ...]:
    smallest = np.full(len(voids.r_void), np.inf)
    np.minimum.at(smallest, passages.voids.ravel(), np.repeat(passages.r_chan, 2))
    own_voids = _own_voids(routes, places, voids, frame)
    hops = []
    for route, own, count in zip(routes, own_voids, counts.tolist(), strict=True):
        start, end = route.ends
        if own is None:
            void = min(route.voids[0], route.voids[-1], key=lambda each: round(float(voids.r_sd[each]), 3))
            r_chan = float(passages.r_chan[route.passages].min())
        else:
            void, r_chan = own, float(smallest[own])
        last, shift = route.cells[-1], places.cells[start]
        hops.append(
            Hop(
                start=int(places.numbers[start]),
                end=int(places.numbers[end]),
                offset=_cells((last + shift - places.cells[end])[None])[0],
                multiplicity=count,
                p_length=float(np.linalg.norm((places.centres[end] + last - places.centres[start]) @ frame.lattice)),
                r_sd=float(voids.r_sd[void]),
                r_chan=r_chan,
                r_bottleneck=float(passages.r_open[route.passages].min()),
                void=void,
                route=tuple(zip(route.voids, _cells(route.cells + shift), strict=True)),
                passages=tuple(route.passages),
                route_length=float(passages.length[route.passages].sum()),
            )
        )
    return tuple(hops)


def _cells(vectors: NDArray[np.int64]) -> list[tuple[int, int, int]]:
    return [(x, y, z) for x, y, z in vectors.tolist()]


def _own_voids(routes: list[_Route], places: Places, voids: Voids, frame: Frame) -> list[int | None]:
    """The path's void of each route that has voids of its own, None for the others."""
    number = np.repeat(np.arange(len(routes)), [len(route.voids) - 2 for route in routes])
    found: list[int | None] = [None] * len(routes)
    if len(number) == 0:
        return found
    void = np.concatenate([route.voids[1:-1] for route in routes]).astype(np.int64)
    cells = np.concatenate([route.cells[1:-1] for route in routes])
    position = (voids.frac_coords[void] + cells) @ frame.lattice
    ends = np.array([route.ends for route in routes])[number]
    last = np.array([route.cells[-1] for route in routes])[number]
    start, end = places.centres[ends[:, 0]] @ frame.lattice, (places.centres[ends[:, 1]] + last) @ frame.lattice
    from_ends = np.stack([_lengths(position - start), _lengths(position - end)], axis=1)
    limit = SHARED * from_ends.min(axis=1) + 1e-6
    nearest = nearest_places(voids.frac_coords[void], places, frame, float(limit.max()))
    own = (nearest <= limit[:, None]).sum(axis=1) <= (from_ends <= limit[:, None]).sum(axis=1)
    middle = np.round(_lengths(position - (start + end) / 2), 3)
    for k in np.lexsort((-np.round(voids.r_sd[void], 3), middle)).tolist():
        if own[k] and found[number[k]] is None:
            found[number[k]] = int(void[k])
    return found


def _lengths(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths: NDArray[np.float64] = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    return lengths
