"""Hops: the published descriptors, what must not change them, and their percolation against that of the whole network."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.channels.analysis import analyse
from builders.channels.basins import flood, levels, neighbours_of, pack, unpack
from builders.channels.model import Channels, Hop, Passages, Voids
from builders.channels.paths import WORTH, HopNetwork, find_hops, hop_network, hop_percolation
from builders.channels.percolation import components, percolate
from builders.channels.places import Frame, find_places, nearest_images, nearest_places, permutations
from builders.channels.widest import Map, shortest_route, widest_level
from store.crystal import Crystal

ONLY_IDENTITY = (np.eye(3, dtype=int)[None], np.zeros((1, 3)))


# --- crystals of the study --------------------------------------------------------------------------------------------
def crystal(space_group: str, cell: tuple[float, ...], sites: list[tuple[str, tuple[float, float, float]]]) -> Crystal:
    from pymatgen.core.lattice import Lattice
    from pymatgen.core.structure import Structure

    species, places = zip(*sites, strict=True)
    lattice = Lattice.from_parameters(*cell)
    return Crystal.from_pymatgen(Structure.from_spacegroup(space_group, lattice, species, places))


OLIVINE = crystal(
    "Pnma",
    (10.329, 6.0065, 4.6908, 90, 90, 90),
    [
        ("Li", (0, 0, 0)),
        ("Fe", (0.28222, 0.25, 0.97472)),
        ("P", (0.09486, 0.25, 0.41820)),
        ("O", (0.09678, 0.25, 0.74279)),
        ("O", (0.45710, 0.25, 0.20602)),
        ("O", (0.16558, 0.04646, 0.28478)),
    ],
)
LAYERED = crystal(
    "R-3m", (2.811, 2.811, 13.95, 90, 90, 120), [("Li", (0, 0, 0.5)), ("Co", (0, 0, 0)), ("O", (0, 0, 0.26))]
)
SPINEL = crystal(
    "Fd-3m", (8.24, 8.24, 8.24, 90, 90, 90), [("Li", (0, 0, 0)), ("Mn", (0.625,) * 3), ("O", (0.3883,) * 3)]
)


@pytest.fixture(scope="module")
def olivine() -> Channels:
    return analyse(OLIVINE, "Li")


@pytest.fixture(scope="module")
def layered() -> Channels:
    return analyse(LAYERED, "Li")


def hop_of(channels: Channels, p_length: float) -> Hop:
    (hop,) = [hop for hop in channels.hops if abs(hop.p_length - p_length) < 0.005]
    return hop


def summary(hops: tuple[Hop, ...], copies: int = 1) -> dict[tuple[float, ...], float]:
    """How many hops of a kind ``copies`` cells hold; a kind is what symmetry and the choice of the cell cannot change."""
    counts: dict[tuple[float, ...], float] = {}
    for hop in hops:
        sizes = (hop.p_length, hop.r_bottleneck, hop.r_sd, hop.r_chan, hop.route_length)
        kind = tuple(round(size, 2) for size in sizes)
        counts[kind] = counts.get(kind, 0) + hop.multiplicity / copies
    return counts


# Osipov et al. 2023, table 2; the textbook coordinates used here move R_sd by up to 0.007 and r_chan by up to 0.010 Å.
@pytest.mark.parametrize(
    ("p_length", "r_sd", "r_chan", "bottleneck", "multiplicity"),
    [(3.003, 1.385, 1.743, 1.877, 4), (4.691, 1.231, 1.290, 1.717, 4)],
)
def test_the_two_published_paths_of_lithium_iron_phosphate(
    olivine: Channels, p_length: float, r_sd: float, r_chan: float, bottleneck: float, multiplicity: int
) -> None:
    hop = hop_of(olivine, p_length)
    assert hop.r_sd == pytest.approx(r_sd, abs=0.01)
    assert hop.r_chan == pytest.approx(r_chan, abs=0.0105)
    assert hop.r_bottleneck == pytest.approx(bottleneck, abs=0.002)
    assert hop.multiplicity == multiplicity
    assert olivine.voids.site[hop.void] == -1  # a void between the sites


def test_the_path_of_lithium_cobalt_oxide_is_told_by_the_octahedron(layered: Channels) -> None:
    hop = hop_of(layered, 2.811)
    assert hop.r_sd == pytest.approx(1.286, abs=0.01)
    assert hop.r_chan == pytest.approx(1.721, abs=0.01)
    assert hop.r_bottleneck == pytest.approx(1.726, abs=0.002)
    assert hop.multiplicity == 9  # three sites, each with six neighbours
    assert layered.voids.site[hop.void] >= 0
    (middle, _) = hop.route[1]
    assert layered.voids.site[middle] == -1  # by way of the tetrahedron


def test_spinel_hops_lead_over_the_octahedron_between_two_tetrahedra() -> None:
    (hop, *_) = analyse(SPINEL, "Li").hops
    assert hop.p_length == pytest.approx(8.24 * 3**0.5 / 4, abs=1e-3)
    assert hop.multiplicity == 16
    assert len(hop.route) == 3


def test_only_the_hops_that_are_no_chain_of_others_are_told(olivine: Channels) -> None:
    assert [round(hop.p_length, 3) for hop in olivine.hops] == [3.003, 4.691, 5.672]
    assert [hop.multiplicity for hop in olivine.hops] == [4, 4, 8]


def test_hops_percolate_as_the_channels_do(olivine: Channels, layered: Channels) -> None:
    for channels in (olivine, layered):
        assert channels.hop_percolation.radii == pytest.approx(channels.percolation.radii, abs=1e-3)
        assert channels.hop_percolation.directions == channels.percolation.directions


def check_route(hop: Hop, lattice: np.ndarray, voids: Voids, passages: Passages, closed: set[int]) -> None:
    for ((one, cell), (other, next_cell)), number in zip(itertools.pairwise(hop.route), hop.passages, strict=True):
        step = np.array(next_cell) - cell
        forward = passages.voids[number].tolist() == [one, other] and (passages.offsets[number] == step).all()
        backward = passages.voids[number].tolist() == [other, one] and (passages.offsets[number] == -step).all()
        assert forward or backward
    chosen = list(hop.passages)
    assert hop.r_bottleneck == passages.r_open[chosen].min()
    assert hop.route_length == pytest.approx(passages.length[chosen].sum())
    ends = np.array([voids.frac_coords[void] + cell for void, cell in (hop.route[0], hop.route[-1])]) @ lattice
    assert hop.route_length >= np.linalg.norm(ends[1] - ends[0]) - 1e-9
    assert len(set(hop.route)) == len(hop.route)
    assert {hop.route[0][0], hop.route[-1][0]} <= closed
    assert not closed & {void for void, _ in hop.route[1:-1]}


def check_hops(channels: Channels) -> None:
    """Every route leads from site to site."""
    voids, lattice = channels.voids, channels.framework.lattice
    assert channels.hops
    for hop in channels.hops:
        check_route(hop, lattice, voids, channels.passages, set(np.flatnonzero(voids.site >= 0).tolist()))
        ends = np.array([channels.sites[hop.start], channels.sites[hop.end] + hop.offset]) @ lattice
        assert hop.p_length == pytest.approx(np.linalg.norm(ends[1] - ends[0]))
        for place, (void, cell) in zip(ends, (hop.route[0], hop.route[-1]), strict=True):
            assert np.linalg.norm((voids.frac_coords[void] + cell) @ lattice - place) < 0.3


def test_routes_lead_from_site_to_site_along_passages_and_meet_no_third_site(
    olivine: Channels, layered: Channels
) -> None:
    check_hops(olivine)
    check_hops(layered)


@pytest.mark.parametrize("name", ["olivine", "layered"])
@pytest.mark.parametrize(
    "change",
    [
        np.diag([1, 2, 1]),
        np.diag([1, 1, 2]),
        np.array([[1, 0, 0], [1, 1, 0], [0, -2, 1]]),
        np.array([[0, 0, 1], [-1, 0, 0], [0, 1, 0]]),
    ],
    ids=["two cells along b", "two cells along c", "a skewed cell", "left-handed, axes turned"],
)
def test_the_choice_of_the_cell_changes_no_hop(name: str, change: np.ndarray, request: pytest.FixtureRequest) -> None:
    given_crystal = {"olivine": OLIVINE, "layered": LAYERED}[name]
    structure = given_crystal.to_pymatgen()
    structure.make_supercell(change)
    changed = analyse(Crystal.from_pymatgen(structure), "Li")
    copies = abs(round(float(np.linalg.det(change))))
    assert summary(changed.hops, copies) == summary(request.getfixturevalue(name).hops)
    check_hops(changed)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=8, deadline=None)
def test_order_of_atoms_and_origin_change_no_hop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    order, shift = rng.permutation(OLIVINE.n_sites), rng.random(3)
    species = [OLIVINE.species[k] for k in order]
    moved = Crystal.from_lists(OLIVINE.lattice, species, OLIVINE.frac_coords[order] + shift)
    found = analyse(moved, "Li")
    assert [round(hop.r_bottleneck, 3) for hop in found.hops] == [1.877, 1.717, 1.664]
    assert [(round(hop.r_sd, 3), round(hop.r_chan, 3)) for hop in found.hops[:2]] == [(1.392, 1.753), (1.233, 1.291)]
    assert [hop.multiplicity for hop in found.hops] == [4, 4, 8]


def test_without_symmetry_the_same_hops_are_found_one_by_one(olivine: Channels) -> None:
    one_by_one, percolation = find_hops(
        olivine.framework.lattice, olivine.sites, olivine.voids, olivine.passages, *ONLY_IDENTITY
    )
    assert all(hop.multiplicity == 1 for hop in one_by_one)
    assert summary(one_by_one) == summary(olivine.hops)
    assert percolation.radii == pytest.approx(olivine.hop_percolation.radii, abs=1e-4)


def test_all_hops_of_the_cell_are_as_long_as_their_class(layered: Channels) -> None:
    channels = layered
    network = hop_network(channels.framework.lattice, channels.sites, channels.voids, channels.passages, *ONLY_IDENTITY)
    assert len(network.of_hop) == sum(hop.multiplicity for hop in channels.hops)
    start, end = network.sites.T
    apart = (channels.sites[end] + network.offsets - channels.sites[start]) @ channels.framework.lattice
    expected = np.array([hop.p_length for hop in network.hops])[network.of_hop]
    assert np.linalg.norm(apart, axis=1) == pytest.approx(expected)
    assert len({(*a.tolist(), *n.tolist()) for a, n in zip(network.sites, network.offsets, strict=True)}) == len(apart)


def test_the_cutoff_leaves_out_longer_hops(olivine: Channels) -> None:
    def lengths(cutoff: float) -> list[float]:
        hops, _ = find_hops(
            olivine.framework.lattice, olivine.sites, olivine.voids, olivine.passages, *ONLY_IDENTITY, cutoff=cutoff
        )
        return sorted({round(hop.p_length, 3) for hop in hops})

    assert lengths(5.0) == [3.003, 4.691]
    assert lengths(4.0) == [3.003]
    assert lengths(2.0) == []


def test_a_host_without_ions_has_hops_between_its_largest_voids() -> None:
    host = OLIVINE.to_pymatgen()
    host.remove_species(["Li"])
    found = analyse(Crystal.from_pymatgen(host), "Li")
    voids = found.voids
    ends = {void for hop in found.hops for void in (hop.start, hop.end)}
    first, second = found.passages.voids.T
    for one, other in ((first, second), (second, first)):
        for void in ends:
            assert (voids.r_void[other[one == void]] <= voids.r_void[void] + 2e-3).all()
    # The voids that lithium fills in LiFePO4 are among them.
    lithium = OLIVINE.frac_coords[[k for k, symbol in enumerate(OLIVINE.species) if symbol == "Li"]]
    for site in lithium:
        apart = voids.frac_coords - site
        apart -= np.rint(apart)
        assert int(np.linalg.norm(apart @ OLIVINE.lattice, axis=1).argmin()) in {*ends, *network_voids(found, None)}
    assert found.hop_percolation.radii[0] == pytest.approx(1.877, abs=2e-3)


def network_voids(found: Channels, r_sd: float | None) -> set[int]:
    network = hop_network(
        found.framework.lattice, np.zeros((0, 3)), found.voids, found.passages, *ONLY_IDENTITY, r_sd=r_sd
    )
    return set(network.sites.ravel().tolist())


def test_the_voids_of_a_host_may_be_chosen_by_their_size() -> None:
    host = LAYERED.to_pymatgen()
    host.remove_species(["Li"])
    found = analyse(Crystal.from_pymatgen(host), "Li")
    octahedra = set(np.flatnonzero(found.voids.r_sd > 1.27).tolist())
    with_tetrahedra = set(np.flatnonzero(found.voids.r_sd > 1.2).tolist())
    assert len(octahedra) == 3
    assert len(with_tetrahedra) == 9
    assert network_voids(found, 1.27) == octahedra
    assert network_voids(found, 1.2) == with_tetrahedra
    assert network_voids(found, 9.0) == set()


# --- random networks --------------------------------------------------------------------------------------------------
@dataclass
class Network:
    lattice: np.ndarray
    voids: Voids
    passages: Passages
    sites: np.ndarray

    def hops(self, **options: Any) -> HopNetwork:
        return hop_network(self.lattice, self.sites, self.voids, self.passages, *ONLY_IDENTITY, **options)


def voids_at(places: np.ndarray, sizes: np.ndarray | None = None) -> Voids:
    count = len(places)
    sizes = np.linspace(1.5, 1.2, count) if sizes is None else sizes
    none = np.full(count, -1)
    return Voids(places, sizes, sizes, np.arange(count), np.ones(count, int), none, np.full(count, np.inf))


def passages_of(
    lattice: np.ndarray, places: np.ndarray, ends: np.ndarray, offsets: np.ndarray, widths: np.ndarray
) -> Passages:
    length = np.linalg.norm((places[ends[:, 1]] + offsets - places[ends[:, 0]]) @ lattice, axis=1)
    rest: list[Any] = [np.zeros(0)] * 4
    return Passages(ends, offsets, widths, widths, length, *rest)


def random_network(seed: int) -> Network:
    """Voids at random places, each joined to its nearest neighbours; a few of them hold an ion site."""
    rng = np.random.default_rng(seed)
    lattice = np.diag(rng.uniform(4.0, 9.0, 3)) + rng.uniform(-2.0, 2.0, (3, 3)) * [[0, 0, 0], [1, 0, 0], [1, 1, 0]]
    count = int(rng.integers(3, 16))
    places = rng.random((count, 3))
    cells = np.array(list(itertools.product((-1, 0, 1), repeat=3)))
    rows = set()
    for void in range(count):
        distance = np.linalg.norm((places[None] + cells[:, None] - places[void]) @ lattice, axis=2)
        for flat in np.argsort(distance, axis=None)[1:5].tolist():
            cell, other = divmod(flat, count)
            turned = (other, *(-cells[cell]).tolist()) < (void, *cells[cell].tolist())
            rows.add((other, void, *(-cells[cell]).tolist()) if turned else (void, other, *cells[cell].tolist()))
    table = np.array(sorted(rows))
    widths = rng.choice([rng.uniform(1.0, 2.0, len(table)), rng.choice([1.2, 1.4, 1.6, 1.8], len(table))])
    held = rng.permutation(count)[: int(rng.integers(1, 5))]
    sites = places[held] + rng.uniform(-0.01, 0.01, (len(held), 3)) + rng.integers(-2, 3, (len(held), 3))
    passages = passages_of(lattice, places, table[:, :2], table[:, 2:], widths)
    return Network(lattice, voids_at(places), passages, sites)


seeds = st.integers(0, 2**32 - 1)


@given(seeds)
@settings(max_examples=120, deadline=None)
def test_hops_percolate_as_the_parts_of_the_network_that_hold_a_site(seed: int) -> None:
    network = random_network(seed)
    passages, n_voids = network.passages, len(network.voids.r_void)
    held = find_places(network.sites, network.voids, passages, Frame.of(network.lattice)).voids
    expected = [0.0, 0.0, 0.0]
    for width in sorted(set(passages.r_open.tolist())):
        for part in components(passages.voids, passages.offsets, passages.r_open, width, n_voids):
            if np.isin(held, part.nodes).any():
                for k in range(part.rank):
                    expected[k] = max(expected[k], width)
    found = hop_percolation(network.hops(cutoff=np.inf)).radii
    for radius, most in zip(found, expected, strict=True):
        assert most - WORTH - 1e-4 <= radius <= most


@given(seeds)
@settings(max_examples=100, deadline=None)
def test_routes_in_any_network_lead_from_place_to_place(seed: int) -> None:
    network = random_network(seed)
    closed = set(find_places(network.sites, network.voids, network.passages, Frame.of(network.lattice)).voids.tolist())
    found = network.hops()
    for hop in found.hops:
        check_route(hop, network.lattice, network.voids, network.passages, closed)
        ends = np.array([network.sites[hop.start], network.sites[hop.end] + hop.offset]) @ network.lattice
        assert len(closed) < len(network.sites) or hop.p_length == pytest.approx(np.linalg.norm(ends[1] - ends[0]))
        assert hop.p_length <= 8.0
    told = [(levels(network.passages.r_open)[list(hop.passages)].min(), -hop.p_length) for hop in found.hops]
    assert told == sorted(told, reverse=True)  # the widest first, of equally wide ones the shortest


def lifted_bottleneck(network: Network, start: int, goal: tuple[int, tuple[int, ...]], extra: float) -> float:
    """Slow twin: join the passages of a block of cells one by one until the two places are connected near by."""
    voids, passages, lattice = network.voids.frac_coords, network.passages, network.lattice
    closed = set(find_places(network.sites, network.voids, passages, Frame.of(lattice)).voids.tolist())
    end = (voids[goal[0]] + goal[1]) @ lattice
    begin = voids[start] @ lattice
    limit = np.linalg.norm(end - begin) + extra

    def usable(void: int, cell: tuple[int, ...]) -> bool:
        if (void, cell) in ((start, (0, 0, 0)), goal):
            return True
        place = (voids[void] + cell) @ lattice
        return void not in closed and np.linalg.norm(place - begin) + np.linalg.norm(place - end) <= limit

    label: dict[tuple[int, tuple[int, ...]], int] = {}
    edges = []
    for number, ((one, other), offset) in enumerate(zip(passages.voids.tolist(), passages.offsets, strict=True)):
        for cell in itertools.product(range(-4, 5), repeat=3):
            there = tuple((np.array(cell) + offset).tolist())
            if usable(one, cell) and usable(other, there):
                edges.append((float(passages.r_open[number]), (one, cell), (other, there)))
    for width, one, other in sorted(edges, reverse=True):
        first, second = label.setdefault(one, len(label)), label.setdefault(other, len(label))
        label = {state: first if name == second else name for state, name in label.items()}
        if label.get((start, (0, 0, 0)), -1) == label.get(goal, -2):
            return width
    return 0.0


@given(seeds)
@settings(max_examples=12, deadline=None)
def test_the_widest_way_near_by_agrees_with_joining_a_block_of_cells(seed: int) -> None:
    network = random_network(seed)
    voids, passages, lattice = network.voids, network.passages, network.lattice
    places = find_places(network.sites, voids, passages, Frame.of(lattice)).voids
    ranks = levels(passages.r_open, equal=0.0)
    vectors = (
        voids.frac_coords[passages.voids[:, 1]] + passages.offsets - voids.frac_coords[passages.voids[:, 0]]
    ) @ lattice
    closed = np.isin(np.arange(len(voids.r_void)), places).tolist()
    ways = Map(neighbours_of(len(closed), passages, ranks), list(map(tuple, vectors.tolist())), closed)
    start, goal, cell = int(places[0]), int(places[-1]), (0, 1, 0)
    apart: Any = tuple(((voids.frac_coords[goal] + cell - voids.frac_coords[start]) @ lattice).tolist())
    packed = int(pack(np.array([cell]))[0])
    level = widest_level(ways, start, (goal, packed), apart, 4.0)
    expected = lifted_bottleneck(network, start, (goal, cell), 4.0)
    assert (passages.r_open[ranks == level].min() if level >= 0 else 0.0) == expected
    if level >= 0:
        assert widest_level(ways, start, (goal, packed), apart, 4.0, level) == level
        assert widest_level(ways, start, (goal, packed), apart, 4.0, level + 1) == -1
        route = shortest_route(ways, start, (goal, packed), apart, level, 4.0)
        assert route is not None
        assert passages.r_open[route.passages].min() == expected
        assert shortest_route(ways, start, (goal, packed), apart, level + 1, 4.0) is None


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_numbering_of_voids_and_passages_changes_no_hop(seed: int) -> None:
    network = random_network(seed)
    rng = np.random.default_rng(seed)
    passages = network.passages
    name, order = rng.permutation(len(network.voids.r_void)), rng.permutation(len(passages.r_open))
    back = np.argsort(name)
    renamed = voids_at(network.voids.frac_coords[back], network.voids.r_void[back])
    rows = passages_of(
        network.lattice,
        renamed.frac_coords,
        name[passages.voids[order]],
        passages.offsets[order],
        passages.r_open[order],
    )
    again = dataclasses.replace(network, voids=renamed, passages=rows, sites=network.sites[::-1])
    first, second = network.hops(), again.hops()

    def told(found: HopNetwork) -> list[tuple[float, ...]]:
        return sorted((round(h.p_length, 6), h.r_bottleneck, round(h.route_length, 6)) for h in found.hops)

    assert told(first) == told(second)
    assert hop_percolation(first).radii == hop_percolation(second).radii


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_basins_follow_the_widest_way_and_then_the_shortest(seed: int) -> None:
    network = random_network(seed)
    passages, n_voids = network.passages, len(network.voids.r_void)
    roots = find_places(network.sites, network.voids, passages, Frame.of(network.lattice)).voids
    ranks = levels(passages.r_open)
    basins = flood(neighbours_of(n_voids, passages, ranks), roots)
    # Slow twin: the widest level at which a void is in one part with a place.
    for void in set(range(n_voids)) - set(roots.tolist()):
        reached = -1
        for rank in range(int(ranks.max()) + 1):
            parts = components(passages.voids, passages.offsets, ranks.astype(float), rank, n_voids)
            (mine,) = [part.nodes for part in parts if void in part.nodes]
            if np.isin(roots, mine).any():
                reached = rank
        assert set(basins.level[basins.void == void].tolist()) == ({reached} if reached >= 0 else set())
    for place, root in enumerate(roots.tolist()):
        assert basins.place[basins.void == root].tolist() == [place]


def test_two_sites_in_one_void_are_one_place() -> None:
    lattice, places = 4.0 * np.eye(3), np.array([[0.0, 0, 0], [0.5, 0, 0]])
    rows = passages_of(
        lattice, places, np.array([[0, 1], [1, 0]]), np.array([[0, 0, 0], [1, 0, 0]]), np.array([1.5, 1.4])
    )
    split = np.array([[0.05, 0, 0], [0.95, 0, 0]])
    found = Network(lattice, voids_at(places), rows, split).hops()
    (hop,) = found.hops
    assert (hop.start, hop.end, hop.p_length, hop.r_bottleneck) == (0, 0, 4.0, 1.4)
    assert hop_percolation(found).radii == (1.4, 0.0, 0.0)


def test_a_site_far_from_every_void_stands_for_the_nearest() -> None:
    lattice, places = 6.0 * np.eye(3), np.array([[0.0, 0, 0], [0.5, 0, 0]])
    rows = passages_of(
        lattice, places, np.array([[0, 1], [1, 0]]), np.array([[0, 0, 0], [1, 0, 0]]), np.array([1.5, 1.4])
    )
    found = Network(lattice, voids_at(places), rows, np.array([[-0.1, 0.3, 0.2]])).hops()
    (hop,) = found.hops
    assert hop.route == ((0, (0, 0, 0)), (1, (0, 0, 0)), (0, (1, 0, 0)))
    assert hop.p_length == 6.0


def test_a_void_shared_by_three_sites_is_no_hops_own() -> None:
    """A void amid a triangle of sites; another between the first two alone, a little off their middle and narrower."""
    lattice = 20.0 * np.eye(3)
    triangle = np.array([[0, 0, 0], [3, 0, 0], [1.5, 2.6, 0], [1.5, 0.87, 0], [1.5, -1.2, 0]]) / 20.0
    ends = np.array([[0, 3], [1, 3], [2, 3], [0, 4], [1, 4]])
    rows = passages_of(lattice, triangle, ends, np.zeros((5, 3), int), np.array([1.8, 1.8, 1.8, 1.7, 1.7]))
    network = Network(lattice, voids_at(triangle), rows, triangle[:3])
    hops = network.hops().hops
    assert [hop.r_bottleneck for hop in hops] == [1.8, 1.8, 1.8]
    for hop in hops:
        assert hop.void in (hop.start, hop.end)
        assert hop.r_sd == min(network.voids.r_sd[[hop.start, hop.end]])
        assert hop.r_chan == 1.8
    without_centre = passages_of(lattice, triangle, ends[3:], np.zeros((2, 3), int), np.array([1.7, 1.6]))
    (alone,) = dataclasses.replace(network, passages=without_centre).hops().hops
    assert (alone.void, alone.r_bottleneck) == (4, 1.6)


def test_a_journey_of_shorter_hops_is_no_hop() -> None:
    """Sites on a line 3 Å apart, with ways past each site to the one after the next."""
    lattice = np.diag([6.0, 15.0, 15.0])
    places = np.array([[0, 0, 0], [0.5, 0, 0], [0.25, 0, 0], [0.75, 0, 0], [0.5, 0.1, 0]])
    ends = np.array([[0, 2], [2, 1], [1, 3], [3, 0], [0, 4], [4, 0]])
    offsets = np.array([[0, 0, 0], [0, 0, 0], [0, 0, 0], [1, 0, 0], [0, 0, 0], [1, 0, 0]])

    def lengths(past: float) -> list[float]:
        widths = np.array([1.6, 1.6, 1.6, 1.6, past, past])
        found = Network(lattice, voids_at(places), passages_of(lattice, places, ends, offsets, widths), places[:2])
        return sorted(hop.p_length for hop in found.hops().hops)

    assert lengths(1.5) == [3.0, 3.0]
    assert lengths(1.6) == [3.0, 3.0]
    assert lengths(1.7) == [3.0, 3.0, 6.0]


def test_no_channels_or_no_places_are_no_hops() -> None:
    lattice, places = 4.0 * np.eye(3), np.zeros((1, 3))
    nothing = passages_of(lattice, places, np.zeros((0, 2), int), np.zeros((0, 3), int), np.zeros(0))
    for sites in (np.zeros((1, 3)), np.zeros((0, 3))):
        found = Network(lattice, voids_at(places), nothing, sites).hops()
        assert found.hops == ()
        assert hop_percolation(found).radii == (0.0, 0.0, 0.0)


# --- places -----------------------------------------------------------------------------------------------------------
@given(seeds)
@settings(max_examples=40, deadline=None)
def test_nearest_images_agree_with_brute_force_in_skewed_cells(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lattice = np.diag(rng.uniform(3.0, 8.0, 3)) + np.tril(rng.uniform(-9.0, 9.0, (3, 3)), -1)
    points, others = rng.uniform(-3, 3, (4, 3)), rng.uniform(-3, 3, (5, 3))
    frame = Frame.of(lattice)
    which, cells = nearest_images(points, others, frame)
    found = np.linalg.norm((others[which] + cells - points) @ lattice, axis=1)
    far = np.array(list(itertools.product(range(-3, 4), repeat=3))) @ frame.basis
    apart = (others[None] - points[:, None]) @ lattice
    apart = apart - np.rint(apart @ np.linalg.inv(frame.basis)) @ frame.basis
    distances = np.sort(np.linalg.norm(apart[:, :, None] + far, axis=3).reshape(len(points), -1), axis=1)
    assert found == pytest.approx(distances[:, 0])
    here = voids_at(others - np.floor(others))
    places = find_places(
        others, here, passages_of(lattice, others, np.zeros((0, 2), int), np.zeros((0, 3), int), np.zeros(0)), frame
    )
    if len(places.voids) == len(others):  # none within a hair of another
        assert nearest_places(points, places, frame, 50.0) == pytest.approx(distances[:, :3])


def test_operations_that_do_not_carry_places_onto_themselves_are_left_out() -> None:
    frame = Frame.of(5.0 * np.eye(3))
    rotations = np.array([np.eye(3), -np.eye(3), [[0, -1, 0], [1, 0, 0], [0, 0, 1]]], dtype=int)
    kept, images, cells = permutations(np.array([[0.2, 0, 0.1], [0.8, 0, 0.9]]), rotations, np.zeros((3, 3)), frame)
    assert (kept == rotations[:2]).all()
    assert images.tolist() == [[0, 1], [1, 0]]
    assert cells[1].tolist() == [[-1, 0, -1], [-1, 0, -1]]


@given(st.lists(st.tuples(*[st.integers(-(2**18), 2**18)] * 3), min_size=1))
def test_packed_cells_unpack(cells: list[tuple[int, int, int]]) -> None:
    assert unpack(pack(np.array(cells))).tolist() == [list(cell) for cell in cells]
    assert len(set(pack(np.array(cells)).tolist())) == len(set(cells))


def test_percolation_of_all_channels_bounds_that_of_the_hops(olivine: Channels) -> None:
    passages = olivine.passages
    whole = percolate(passages.voids, passages.offsets, passages.r_open, len(olivine.voids.r_void))
    assert all(hop <= every + 1e-9 for hop, every in zip(olivine.hop_percolation.radii, whole.radii, strict=True))
