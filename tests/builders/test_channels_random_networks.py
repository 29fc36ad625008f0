"""Hops, basins and places of random periodic networks, against brute force."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.channels.basins import flood, levels, neighbours_of, pack, unpack
from builders.channels.model import Passages, Voids
from builders.channels.paths import WORTH, HopNetwork, hop_network, hop_percolation
from builders.channels.percolation import components
from builders.channels.places import Frame, find_places, nearest_images, nearest_places, permutations
from builders.channels.widest import Map, shortest_route, widest_level

from .hop_checks import check_route

ONLY_IDENTITY = (np.eye(3, dtype=int)[None], np.zeros((1, 3)))


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
