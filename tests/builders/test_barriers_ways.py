"""Site energies, and the ways through them: against exhaustive search on the same grid, turned, reversed, with atoms gone."""

from __future__ import annotations

import itertools
import math

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.barriers import ways
from builders.barriers.chemistry import bond_length
from builders.barriers.describe import NAMES, describe
from builders.barriers.environment import HopEnvironment, of_record
from builders.barriers.landscape import (
    COULOMB,
    HIGHEST,
    NEIGHBOURS,
    SCREENING,
    SOFTNESS,
    STRENGTH,
    Terms,
    site_energy,
    terms_of,
)
from builders.barriers.ways import NEAR, SPACING, TEMPERATURE, WIDEST, Way, find_way
from store.hops import HopRecord

from .barrier_hops import (
    by_hand,
    cubic,
    octahedral_hop,
    random_host,
    reverse,
    turn,
    turned,
    without_atom,
)

SQUARE = [("O", (0.0, 2.0, 0.0)), ("O", (0.0, -2.0, 0.0)), ("O", (0.0, 0.0, 2.0)), ("O", (0.0, 0.0, -2.0))]


# ----------------------------------------------------------------------------------------------------------- landscape


@pytest.mark.parametrize(("symbol", "ion", "charge"), [("O", "Li", 1), ("S", "Li", 1), ("O", "Mg", 2), ("F", "Ca", 2)])
def test_the_energy_of_an_anion_is_lowest_where_six_of_them_bind_the_ion(symbol: str, ion: str, charge: int) -> None:
    environment = by_hand([(symbol, (0.0, 3.0, 0.0)), ("Sc", (9.0, 9.0, 9.0))], (1.0, 0.0, 0.0), ion)
    terms = terms_of(environment)
    best = float(terms.best[0])
    assert NEIGHBOURS * math.exp((bond_length(ion, symbol) - best) / SOFTNESS) == pytest.approx(charge, rel=1e-5)
    one = Terms(*(each[:1] for each in terms))
    distances = np.linspace(1.0, 6.0, 5001, dtype=np.float32)
    energy = site_energy(distances[None], one)
    assert distances[energy.argmin()] == pytest.approx(best, abs=2e-3)
    anion = {"O": -2, "S": -2, "F": -1}[symbol]
    assert energy.min() == pytest.approx(-0.5 * math.sqrt(charge * -anion), rel=1e-4)
    assert energy[-1] == pytest.approx(0.0, abs=1e-2)


def test_cations_repel_by_the_screened_coulomb_law() -> None:
    environment = by_hand([("O", (0.0, 9.0, 0.0)), ("O", (9.0, 0, 0)), ("Ti", (0.0, 3.0, 0.0))], (1.0, 0.0, 0.0))
    charge = float(environment.chemistry.charge[environment.chemistry.symbols.index("Ti")])
    terms = Terms(*(each[2:] for each in terms_of(environment)))
    for distance in (1.5, 2.0, 3.5):
        expected = COULOMB * STRENGTH * charge * math.exp(-distance / SCREENING) / distance
        assert site_energy(np.array([[distance]], dtype=np.float32), terms)[0] == pytest.approx(expected, rel=1e-5)


def test_an_anion_is_repelled_by_anions_and_drawn_by_cations() -> None:
    environment = by_hand([("Ca", (0.0, 3.0, 0.0)), ("F", (0.0, -3.0, 0.0))], (1.0, 0.0, 0.0), "F")
    terms = terms_of(environment)
    assert (terms.depth > 0).tolist() == [True, False]
    assert (terms.repulsion > 0).tolist() == [False, True]


def test_neutral_atoms_do_nothing_and_nothing_costs_more_than_the_limit() -> None:
    alloy = by_hand([("He", (0.0, 0.5, 0.0))], (1.0, 0.0, 0.0))
    assert site_energy(np.array([[0.5, 5.0]], dtype=np.float32), terms_of(alloy)).tolist() == [0.0, 0.0]
    oxide = by_hand(SQUARE, (1.0, 0.0, 0.0))
    assert site_energy(np.full((4, 1), 0.01, dtype=np.float32), terms_of(oxide)) == pytest.approx(HIGHEST)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_energies_add_up(seed: int) -> None:
    """The energy of all atoms is the sum of that of each alone, where nothing is cut off."""
    environment = of_record(random_host(seed))
    terms = terms_of(environment)
    order = np.argsort(terms.depth == 0, kind="stable")  # anions come first
    terms = Terms(*(each[order] for each in terms))
    places = np.random.default_rng(seed).uniform(-1, 1, (5, 3))
    apart = environment.positions[order][:, None] - places[None]
    distances = np.linalg.norm(apart, axis=2).astype(np.float32)
    alone = [site_energy(distances[[k]], Terms(*(each[[k]] for each in terms))) for k in range(len(distances))]
    whole = site_energy(distances, terms)
    free = (whole < HIGHEST) & (np.max(alone, axis=0) < HIGHEST)
    assert whole[free] == pytest.approx(np.sum(alone, axis=0)[free], rel=1e-4, abs=1e-3)


# ------------------------------------------------------------------------------------- the best ways, by trying them all


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_the_best_ways_are_the_best_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    disc = ways._disc(2.01 * SPACING)
    assert not disc.near.all()
    layers = rng.normal(size=(3, len(disc.points)))
    first, last = rng.normal(size=2)
    apart = np.linalg.norm(disc.points[:, None] - disc.points[None], axis=2)
    cheapest, widest = np.inf, -np.inf
    for way in itertools.product(range(len(disc.points)), repeat=3):
        steps = [disc.centre, *way, disc.centre]
        if all(apart[a, b] <= 2.01 * SPACING for a, b in itertools.pairwise(steps)):
            values = layers[range(3), way]
            cheapest = min(cheapest, float(np.exp(values / TEMPERATURE).sum()))
            widest = max(widest, min(first, *values, last))
    path = ways._lowest(first, layers, last, disc)
    assert np.exp(layers[range(3), path] / TEMPERATURE).sum() == pytest.approx(cheapest)
    assert apart[disc.centre, path[0]] <= 2.01 * SPACING >= apart[disc.centre, path[-1]]
    assert ways._widest(first, layers, last, disc) == pytest.approx(widest)


def test_the_grid_is_triangular_with_mirror_planes() -> None:
    for radius in (1.2, 1.7, WIDEST):
        disc = ways._disc(radius)
        assert disc.points[disc.centre].tolist() == [0.0, 0.0]
        apart = np.linalg.norm(disc.points[:, None] - disc.points[None], axis=2) + 9 * np.eye(len(disc.points))
        assert apart.min(axis=1) == pytest.approx(SPACING, abs=1e-9)
        assert len(disc.points) * SPACING**2 * 0.75**0.5 == pytest.approx(np.pi * radius**2, rel=0.15)
        for mirror in ([-1, 1], [1, -1]):
            twin = np.linalg.norm(disc.points[:, None] * mirror - disc.points[None], axis=2).min(axis=1)
            assert twin.max() < 1e-9
        assert (np.linalg.norm(disc.points, axis=1) <= radius + 1e-9).all()
        assert np.array_equal(disc.near, disc.near.T)
        for row, near in enumerate(disc.near):
            assert set(disc.neighbours[row]) == set(np.flatnonzero(near))


class Grid:
    """The tube of a hop as a graph: points of neighbouring discs within one step are joined."""

    def __init__(self, environment: HopEnvironment, way: Way) -> None:
        length = environment.p_length
        self.disc = ways._disc(round(min(WIDEST, max(1.2, 0.55 * length)), 1))
        along = environment.end / np.linalg.norm(environment.end)
        across = ways._across(along, environment.positions)
        self.layers = len(way.points) - 1
        assert length / self.layers <= SPACING + 1e-9
        middle = np.linspace(-1, 1, self.layers + 1)[:, None] * environment.end
        self.points = middle[:, None] + self.disc.points @ across
        self.graph = nx.Graph()
        step = np.linalg.norm(self.disc.points[:, None] - self.disc.points[None], axis=2) <= 2.01 * SPACING
        pairs = np.argwhere(step).tolist()
        nodes = [
            [self.disc.centre] if k in (0, self.layers) else list(range(len(self.disc.points)))
            for k in range(self.layers + 1)
        ]
        for k in range(self.layers):
            there, here = set(nodes[k]), set(nodes[k + 1])
            self.graph.add_edges_from(((k, a), (k + 1, b)) for a, b in pairs if a in there and b in here)

    @property
    def ends(self) -> tuple[tuple[int, int], tuple[int, int]]:
        return (0, self.disc.centre), (self.layers, self.disc.centre)

    def widest(self, values: np.ndarray) -> float:
        """Largest smallest value along a way, by trying all levels: which let the ends hang together?"""
        levels = np.unique(values)
        low, high = 0, len(levels) - 1
        while low < high:
            middle = (low + high + 1) // 2
            wide = [node for node in self.graph if values[node] >= levels[middle]]
            open_ = self.graph.subgraph(wide)
            start, end = self.ends
            if start in open_ and end in open_ and nx.has_path(open_, start, end):
                low = middle
            else:
                high = middle - 1
        return float(levels[low])

    def cheapest(self, weights: np.ndarray) -> float:
        cost = nx.dijkstra_path_length(self.graph, *self.ends, weight=lambda a, b, _: weights[b])
        return float(cost)


def energies(environment: HopEnvironment, points: np.ndarray) -> np.ndarray:
    """The definition, in double precision and atom by atom; those far from the tube are left out."""
    chemistry = environment.chemistry
    half = np.linalg.norm(environment.end)
    along = environment.end / half
    radius = min(WIDEST, max(1.2, 1.1 * half))
    found = np.zeros(points.shape[:-1])
    for place, kind in zip(environment.positions, environment.kinds, strict=True):
        aside = np.linalg.norm(place - (place @ along) * along)
        if aside > radius + NEAR or abs(place @ along) > half + NEAR:
            continue
        distance = np.linalg.norm(points - place, axis=-1)
        charge = chemistry.charge[kind]
        if chemistry.is_anion[kind]:
            best = chemistry.r0[kind] + SOFTNESS * math.log(NEIGHBOURS / abs(chemistry.ion_charge))
            x = np.exp(np.minimum((best - distance) / SOFTNESS, 20))
            found += 0.5 * math.sqrt(abs(chemistry.ion_charge * charge)) * x * (x - 2)
        elif charge * chemistry.ion_charge > 0:
            found += COULOMB * STRENGTH * chemistry.ion_charge * charge * np.exp(-distance / SCREENING) / distance
    return np.minimum(found, HIGHEST)


@pytest.mark.parametrize("seed", range(4))
def test_the_way_of_a_hop_is_the_best_of_its_tube(seed: int) -> None:
    environment = of_record(random_host(seed, n=12))
    way = find_way(environment)
    grid = Grid(environment, way)
    chemistry, kinds = environment.chemistry, environment.kinds
    distances = np.linalg.norm(grid.points[:, :, None] - environment.positions, axis=-1)
    framework = ~chemistry.is_ion[kinds]
    reach = chemistry.radius[kinds] + chemistry.ion_radius
    assert way.neck == pytest.approx(grid.widest(distances[:, :, framework].min(axis=2)), abs=1e-4)
    assert way.neck_all == pytest.approx(grid.widest(distances.min(axis=2)), abs=1e-4)
    assert way.contact == pytest.approx(grid.widest((distances / reach)[:, :, framework].min(axis=2)), abs=1e-4)
    energy = energies(environment, grid.points)
    centre = grid.disc.centre
    assert way.straight == pytest.approx(energy[:, centre], rel=1e-3, abs=2e-3)
    own = energies(environment, way.points)
    assert way.energy == pytest.approx(own, rel=1e-3, abs=2e-3)
    cost = np.exp((own[1:] - own.min()) / TEMPERATURE).sum()
    best = grid.cheapest(np.exp((energy - own.min()) / TEMPERATURE))
    assert best <= cost * (1 + 1e-9)
    assert cost == pytest.approx(best, rel=5e-3)


@pytest.mark.parametrize("seed", range(4))
def test_a_way_leads_from_end_to_end_in_small_steps(seed: int) -> None:
    environment = of_record(random_host(seed))
    way = find_way(environment)
    assert way.points[0] == pytest.approx(-environment.end)
    assert way.points[-1] == pytest.approx(environment.end)
    assert len(way.points) == len(way.energy) == len(way.straight)
    along = environment.end / np.linalg.norm(environment.end)
    assert (np.diff(way.points @ along) > 0).all()
    steps = np.linalg.norm(np.diff(way.points, axis=0), axis=1)
    assert steps.max() <= math.hypot(2.01 * SPACING, SPACING) + 1e-9
    aside = np.linalg.norm(way.points - np.outer(way.points @ along, along), axis=1)
    assert way.aside == pytest.approx(aside.max(), abs=1e-9)
    assert way.neck_all <= way.neck + 1e-6


# ---------------------------------------------------------------------------------------------------- known geometries


def test_a_square_of_anions_is_crossed_in_its_middle() -> None:
    way = find_way(by_hand(SQUARE, (1.5, 0.0, 0.0)))
    assert way.neck == pytest.approx(2.0, abs=1e-5)
    assert way.contact == pytest.approx(2.0 / (1.26 + 0.90), abs=1e-5)
    assert way.aside == 0.0


def test_the_way_between_octahedra_leads_through_the_tetrahedron() -> None:
    """Straight ahead the ion would pass between two anions, a / (2 sqrt 2) from each; the triangles are a / sqrt(6) wide."""
    a = 4.2
    environment = of_record(octahedral_hop(a))
    way = find_way(environment)
    straight = np.linalg.norm(environment.positions, axis=1).min()
    assert straight == pytest.approx(a / 8**0.5)
    assert a / 6**0.5 - 0.1 < way.neck <= a / 6**0.5 + 1e-4
    assert way.aside > 0.4
    assert way.energy.max() < way.straight.max() - 1.0


def test_ions_on_the_way_close_it_to_others_only() -> None:
    open_ = find_way(by_hand(SQUARE, (1.5, 0.0, 0.0)))
    held = find_way(by_hand([*SQUARE, ("Li", (0.1, 0.0, 0.0))], (1.5, 0.0, 0.0)))
    assert held.neck == pytest.approx(open_.neck, abs=1e-5)
    assert held.neck_all < 1.5


def test_where_nothing_is_near_the_way_is_straight_and_wide() -> None:
    host = cubic(["O", "Ti"], [[0.0, 0.0, 0.0], [0.05, 0.0, 0.0]], 40.0)
    record = HopRecord("Li", host, np.array([0.5, 0.5, 0.46]), np.array([0.5, 0.5, 0.54]))
    environment = of_record(record)
    assert len(environment.positions) == 0
    way = find_way(environment)
    assert way.energy.tolist() == [0.0] * len(way.points)
    assert way.neck == way.neck_all == 9.0
    found = describe(environment, study=False)
    assert np.isfinite(
        found[[NAMES.index(name) for name in ("neck", "path_length", "line_anion_min", "end_anion_1")]]
    ).all()


# ---------------------------------------------------------------------------------------------------------- symmetries


def compared(one: Way, other: Way) -> None:
    assert other.neck == pytest.approx(one.neck, abs=1e-4)
    assert other.neck_all == pytest.approx(one.neck_all, abs=1e-4)
    assert other.contact == pytest.approx(one.contact, abs=1e-4)
    assert other.aside == pytest.approx(one.aside, abs=1e-6)
    assert other.energy == pytest.approx(one.energy, abs=0.01)
    assert other.straight == pytest.approx(one.straight, abs=0.01)


@pytest.mark.parametrize("seed", range(8))
def test_ways_turn_with_the_crystal(seed: int) -> None:
    record, rotation = random_host(seed), turn(seed + 100)
    one, other = find_way(of_record(record)), find_way(of_record(turned(record, rotation)))
    compared(one, other)
    assert other.points == pytest.approx(one.points @ rotation.T, abs=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_the_way_back_is_the_way(seed: int) -> None:
    record = random_host(seed)
    one, back = find_way(of_record(record)), find_way(of_record(reverse(record)))
    compared(one, back._replace(energy=back.energy[::-1], straight=back.straight[::-1]))
    assert back.points[::-1] == pytest.approx(one.points, abs=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_a_mirror_image_has_the_mirrored_way(seed: int) -> None:
    environment = of_record(random_host(seed))
    mirror = np.array([1.0, -1.0, 1.0])
    image = HopEnvironment(
        environment.chemistry, environment.end * mirror, environment.positions * mirror, environment.kinds, 20.0
    )
    one, other = find_way(environment), find_way(image)
    compared(one, other)
    assert other.points == pytest.approx(one.points * mirror, abs=1e-6)


# ---------------------------------------------------------------------------------------------------------- monotonous


@pytest.mark.parametrize("seed", range(6))
def test_with_an_atom_gone_no_neck_is_narrower(seed: int) -> None:
    environment = of_record(random_host(seed, n=12))
    whole = find_way(environment)
    along = environment.end / np.linalg.norm(environment.end)
    across = ways._across(along, environment.positions)
    aside = environment.positions - np.outer(environment.positions @ along, along)
    near = np.argsort(np.linalg.norm(aside, axis=1) + np.maximum(np.abs(environment.positions @ along) - 2, 0))
    wider = 0
    for number in near[:10]:
        left = without_atom(environment, int(number))
        way = find_way(left)
        # Without the atom that the grid is turned to, the grid is another: necks are as exact as it is.
        same = np.allclose(ways._across(along, left.positions), across)
        slack = 1e-5 if same else 0.12
        assert way.neck >= whole.neck - slack
        assert way.neck_all >= whole.neck_all - slack
        assert way.contact >= whole.contact - slack / 2
        wider += way.neck > whole.neck + 1e-3
    assert wider
