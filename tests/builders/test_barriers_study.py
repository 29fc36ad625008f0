"""The study's six descriptors of a hop: published values, closed forms, the channels' own, and an independent widest way."""

from __future__ import annotations

import itertools
import math

import networkx as nx
import numpy as np
import pytest
from scipy.spatial import ConvexHull, HalfspaceIntersection, Voronoi

from api.channels.source import read_file
from builders.barriers.chemistry import chemistry_of
from builders.barriers.environment import HopEnvironment, environments, of_record
from builders.barriers.study import DETOUR, describe_study, find_route, inserted_radius
from builders.channels.analysis import analyse
from builders.channels.model import Channels
from store.crystal import Crystal
from store.errors import GeometryError
from store.hops import HopRecord

from .barrier_hops import (
    CRYSTALS,
    by_hand,
    cubic,
    octahedral_hop,
    random_host,
    reverse,
    turn,
    turned,
)


def sphere(volume: float) -> float:
    """Radius of a sphere of that volume."""
    return (3 * volume / (4 * math.pi)) ** (1 / 3)


# ------------------------------------------------------------------------------------------- published, and the channels'


@pytest.fixture(scope="module", params=["LiFePO4-relaxed", "LiFePO4", "LiCoO2"])
def channels(request: pytest.FixtureRequest) -> tuple[str, Channels]:
    return request.param, analyse(read_file(CRYSTALS / f"{request.param}.cif"), "Li")


PUBLISHED = {
    "LiFePO4-relaxed": {3.003: (1.385, 1.743), 4.691: (1.231, 1.290)},
    "LiFePO4": {3.003: (1.385, 1.743), 4.691: (1.231, 1.290)},
    "LiCoO2": {2.811: (1.286, 1.721)},
}
"""Osipov et al. 2023, table 2: P_length to R_sd and r_chan, Å."""


def test_published_paths_are_described_as_published(channels: tuple[str, Channels]) -> None:
    name, analysed = channels
    found = {round(each.p_length, 3): describe_study(each) for each in environments(analysed)}
    for length, (r_sd, r_chan) in PUBLISHED[name].items():
        six = found[length]
        assert six["r_sd"] == pytest.approx(r_sd, abs=0.012)
        assert six["r_chan"] == pytest.approx(r_chan, abs=0.012)
        assert six["p_length"] == pytest.approx(length, abs=1e-3)


def test_a_hop_in_its_surroundings_is_the_hop_of_the_channels(channels: tuple[str, Channels]) -> None:
    """The channels see the framework alone where they weigh the path's void: longer hops' voids lie beside other ions."""
    _, analysed = channels
    for hop, environment in zip(analysed.hops, environments(analysed), strict=True):
        six = describe_study(environment)
        assert six["r_bottleneck"] == pytest.approx(hop.r_bottleneck, abs=1e-3)
        assert six["r_chan"] == pytest.approx(hop.r_chan, abs=0.012)
        if hop.p_length < 4.7:
            assert six["r_sd"] == pytest.approx(hop.r_sd, abs=0.012)
        else:
            assert six["r_sd"] < hop.r_sd + 2e-3
            assert six["r_sd"] == pytest.approx(hop.r_sd, abs=0.03)


# --------------------------------------------------------------------------------------------------------- closed forms


@pytest.mark.parametrize("a", [3.6, 4.2, 5.0])
def test_between_two_octahedra_of_closest_packing(a: float) -> None:
    """The path's void is the tetrahedron between them; its four windows are equilateral triangles of side a / sqrt(2)."""
    environment = of_record(octahedral_hop(a))
    six = describe_study(environment)
    assert six["p_length"] == pytest.approx(a / 2**0.5)
    assert six["r_chan"] == pytest.approx(a / 6**0.5, abs=1e-3)
    assert six["r_bottleneck"] == pytest.approx(a / 6**0.5, abs=1e-3)
    route = find_route(environment)
    sizes = sorted(route.sizes)
    assert sizes[0] == pytest.approx(a * 3**0.5 / 4, abs=1e-3)
    assert sizes[-1] == pytest.approx(a / 2, abs=1e-3)
    assert route.voids[0] == pytest.approx(-environment.end, abs=2e-3)
    assert route.voids[-1] == pytest.approx(environment.end, abs=2e-3)
    # A tetrahedron whose corners, towards the next atoms, are cut off.
    nearest = np.array([s for s in itertools.product([-1, 1], repeat=3) if np.prod(s) < 0]) / 4
    further = np.array([s for s in itertools.product([-3, -1, 1, 3], repeat=3) if sorted(map(abs, s)) == [1, 1, 3]]) / 4
    further = further[np.prod(np.sign(further), axis=1) > 0]
    expected = sphere(cell_volume(np.concatenate([nearest, further])))
    assert six["r_sd"] == pytest.approx(a * expected, rel=2e-3)


def test_between_two_cubes_of_a_simple_cubic_lattice() -> None:
    """No void of its own lies on the way: the end's is an octahedron with its corners 3/4 a from the middle of the cube."""
    a = 3.4
    host = cubic(["O"], [[0.0, 0.0, 0.0]], a)
    record = HopRecord("Li", host, np.array([0.5, 0.5, 0.5]), np.array([0.5, 0.5, 1.5]))
    six = describe_study(of_record(record))
    assert six["p_length"] == pytest.approx(a)
    assert six["r_chan"] == pytest.approx(a / 2**0.5, abs=2e-3)
    assert six["r_bottleneck"] == pytest.approx(a / 2**0.5, abs=2e-3)
    assert six["r_sd"] == pytest.approx(a * sphere(4 / 3 * 0.75**3), abs=2e-3)
    assert six["r_sd_plus_r_chan"] == pytest.approx(six["r_sd"] + six["r_chan"])
    assert six["p_over_r_chan"] == pytest.approx(2**0.5, abs=2e-3)


def test_between_two_tetrahedra_of_a_body_centred_lattice() -> None:
    a = 4.4
    host = cubic(["O", "O"], [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]], a)
    record = HopRecord("Li", host, np.array([0.5, 0.25, 0.0]), np.array([0.5, 0.0, 0.25]))
    six = describe_study(of_record(record))
    assert six["p_length"] == pytest.approx(a / 8**0.5)
    # Two sides of the window are a sqrt(3) / 2, one is a.
    assert six["r_bottleneck"] == pytest.approx(a * 0.75 / 2**0.5, abs=2e-3)
    assert find_route(of_record(record)).sizes[[0, -1]] == pytest.approx(a * 5**0.5 / 4, abs=2e-3)


def cell_volume(others: np.ndarray) -> float:
    """Volume of the points nearer to the origin than to the others, from half spaces."""
    planes = np.column_stack([others, -(others**2).sum(axis=1) / 2])
    return float(ConvexHull(HalfspaceIntersection(planes, np.zeros(3)).intersections).volume)


@pytest.mark.parametrize("seed", range(6))
def test_the_size_of_a_void_is_that_of_its_cell_among_all_atoms(seed: int) -> None:
    environment = of_record(random_host(seed))
    place = np.random.default_rng(seed).uniform(-0.5, 0.5, 3)
    expected = sphere(cell_volume(environment.positions - place))
    assert inserted_radius(place, environment) == pytest.approx(expected, rel=1e-9)


def test_an_octahedrons_cell_is_a_cube() -> None:
    environment = of_record(octahedral_hop(4.0))
    assert inserted_radius(environment.end, environment) == pytest.approx(4.0 * sphere(1 / 8), rel=1e-9)


# -------------------------------------------------------------------------------------------------- an independent route


class Network:
    """Voronoi edges as scipy draws them, each as wide as its narrowest point is far from the atoms that form it."""

    def __init__(self, environment: HopEnvironment) -> None:
        chemistry = environment.chemistry
        ions = chemistry.is_ion[environment.kinds]
        self.atoms, self.ions = environment.positions[~ions], environment.positions[ions]
        cells = Voronoi(self.atoms)
        self.voids = cells.vertices
        self.sizes = np.linalg.norm(self.voids[:, None] - self.atoms[None], axis=2).min(axis=1)
        self.graph = nx.Graph()
        end = environment.end
        journey = np.linalg.norm(self.voids - end, axis=1) + np.linalg.norm(self.voids + end, axis=1)
        self.near = journey < environment.p_length + DETOUR
        for (atom, _), corners in zip(cells.ridge_points, cells.ridge_vertices, strict=True):
            for one, other in zip(corners, corners[1:] + corners[:1], strict=True):
                if -1 not in (one, other) and self.near[one] and self.near[other]:
                    self.graph.add_edge(one, other, width=self._width(self.atoms[atom], one, other))
        inside = np.flatnonzero(self.near)
        self.start = int(inside[np.linalg.norm(self.voids[inside] + end, axis=1).argmin()])
        self.end = int(inside[np.linalg.norm(self.voids[inside] - end, axis=1).argmin()])

    def _width(self, atom: np.ndarray, one: int, other: int) -> float:
        a, b = self.voids[one], self.voids[other]
        step = b - a
        share = np.clip(((atom - a) @ step) / max(step @ step, 1e-300), 0.0, 1.0)
        return float(np.linalg.norm(a + share * step - atom))

    def widest(self) -> float:
        """Width of the widest way that keeps clear of other ions' places, or of any where there is none."""
        if self.start == self.end:
            return float(self.sizes[self.start])
        apart = np.linalg.norm(self.voids[:, None] - self.ions[None], axis=2).min(axis=1, initial=np.inf)
        closed = set(np.flatnonzero(apart < 0.75).tolist()) - {self.start, self.end}
        for graph in (self.graph.subgraph(set(self.graph) - closed), self.graph):
            tree = nx.maximum_spanning_tree(graph, weight="width")
            if self.start in tree and self.end in tree and nx.has_path(tree, self.start, self.end):
                path = nx.shortest_path(tree, self.start, self.end)
                return float(min(tree.edges[step]["width"] for step in itertools.pairwise(path)))
        raise AssertionError("no way")


@pytest.mark.parametrize("seed", range(12))
def test_the_route_is_the_widest_that_an_independent_partition_finds(seed: int) -> None:
    environment = of_record(random_host(seed, n=14 - seed % 4, n_ions=seed % 3))
    network = Network(environment)
    route = find_route(environment)
    expected = network.widest()
    found = float(route.r_open.min()) if len(route.r_open) else float(route.sizes[0])
    assert found == pytest.approx(expected, abs=3e-3)
    assert describe_study(environment)["r_bottleneck"] == found
    assert route.voids[0] == pytest.approx(network.voids[network.start], abs=0.02)
    assert route.voids[-1] == pytest.approx(network.voids[network.end], abs=0.02)


@pytest.mark.parametrize("seed", range(6))
def test_every_step_of_a_route_is_an_edge_between_empty_spheres(seed: int) -> None:
    environment = of_record(random_host(seed))
    route = find_route(environment)
    framework = environment.positions[~environment.chemistry.is_ion[environment.kinds]]
    near = np.sort(np.linalg.norm(route.voids[:, None] - framework[None], axis=2), axis=1)
    assert near[:, 0] == pytest.approx(route.sizes, abs=5e-3)
    assert near[:, 3] == pytest.approx(near[:, 0], abs=0.02)  # four atoms on each sphere
    assert len(route.r_chan) == len(route.r_open) == len(route.voids) - 1 == len(route.smallest) - 1
    for k in range(len(route.r_open)):
        assert route.r_open[k] <= min(route.sizes[k], route.sizes[k + 1]) + 1e-6
        assert route.r_chan[k] <= route.r_open[k] + 1e-6
        # Along the edge no place is narrower.
        places = np.linspace(route.voids[k], route.voids[k + 1], 201)
        narrow = np.linalg.norm(places[:, None] - framework[None], axis=2).min()
        assert narrow == pytest.approx(route.r_open[k], abs=0.02)
        if np.linalg.norm(route.voids[k + 1] - route.voids[k]) > 0.5:  # else the two are one void
            assert max(route.smallest[k], route.smallest[k + 1]) <= route.r_chan[k] + 1e-6


@pytest.mark.parametrize("seed", range(6))
def test_neither_turning_nor_going_back_changes_the_six(seed: int) -> None:
    record = random_host(seed)
    six = describe_study(of_record(record))
    assert describe_study(of_record(reverse(record))) == pytest.approx(six, abs=2e-3)
    assert describe_study(of_record(turned(record, turn(seed)))) == pytest.approx(six, abs=2e-3)


# ------------------------------------------------------------------------------------------------- the path's own void


def tetrahedral_void(*ions: tuple[float, float, float]) -> dict[str, float]:
    """Octahedra of closest packing with ions near the tetrahedron that lies between the two ends."""
    a = 4.2
    record = octahedral_hop(a)
    host = record.host
    places = [*host.frac_coords.tolist(), *[list(place) for place in ions]]
    made = Crystal.from_lists(host.lattice, [*host.species, *["Li"] * len(ions)], places)
    return describe_study(of_record(HopRecord("Li", made, record.start, record.end)))


def test_a_void_that_a_third_ion_shares_is_not_the_paths_own() -> None:
    """LiCoO2: next to the tetrahedron lies a third lithium; R_sd is that of the octahedron, r_chan that of the route."""
    a = 4.2
    own, shared = tetrahedral_void(), tetrahedral_void((0.0, 0.5, 0.0), (0.0, 0.0, 0.5))
    for six in (own, shared):
        assert six["r_chan"] == pytest.approx(a / 6**0.5, abs=1e-3)
        assert six["r_bottleneck"] == pytest.approx(a / 6**0.5, abs=1e-3)
    # An octahedron's cell is a cube of a^3 / 8, which the other ions just touch; the tetrahedron's is larger.
    assert shared["r_sd"] == pytest.approx(a * sphere(1 / 8), abs=1e-3)
    assert own["r_sd"] > shared["r_sd"] + 0.02


def test_other_ions_close_the_ways_through_their_places() -> None:
    """The framework lets the ion pass through a void, but another ion sits in it."""
    record = random_host(5, n_ions=0)
    free = of_record(record)
    route = find_route(free)
    inner = route.voids[1:-1]
    assert len(inner) > 0
    widest = inner[route.sizes[1:-1].argmax()]
    symbols = [free.chemistry.symbols[kind] for kind in free.kinds]
    chemistry = chemistry_of([*symbols, "Li"], "Li")
    kinds = np.array([chemistry.symbols.index(symbol) for symbol in [*symbols, "Li"]])
    held = HopEnvironment(chemistry, free.end, np.vstack([free.positions, widest]), kinds, free.volume_per_site)
    around = find_route(held)
    assert np.linalg.norm(around.voids[1:-1] - widest, axis=1).min(initial=np.inf) > 0.75
    assert around.r_open.min() <= route.r_open.min() + 1e-9
    assert Network(held).widest() == pytest.approx(float(around.r_open.min()), abs=3e-3)


# ---------------------------------------------------------------------------------------------------------------- errors


def test_too_few_atoms_are_no_framework() -> None:
    square = [("O", (0.0, 2.0, 0.0)), ("O", (0.0, -2.0, 0.0)), ("O", (0.0, 0.0, 2.0)), ("O", (0.0, 0.0, -2.0))]
    with pytest.raises(GeometryError, match="4 framework atoms"):
        find_route(by_hand(square, (1.5, 0.0, 0.0)))


def test_ions_are_no_framework() -> None:
    ions = [("Li", (float(x), float(y), 3.0)) for x in range(-3, 4) for y in range(-3, 4)]
    with pytest.raises(GeometryError, match="1 framework atoms"):
        find_route(by_hand([("O", (0.0, 2.0, 0.0)), *ions], (1.5, 0.0, 0.0)))


def test_a_void_at_the_rim_has_no_size() -> None:
    corners = [("O", place) for place in itertools.product((-2.0, 2.0), repeat=3)]
    environment = by_hand(corners, (1.0, 0.0, 0.0))
    with pytest.raises(GeometryError, match="open"):
        inserted_radius(np.array([9.0, 0.0, 0.0]), environment)
    with pytest.raises(GeometryError, match="none on it"):
        inserted_radius(np.array([2.0, 2.0, 2.0]), environment)
