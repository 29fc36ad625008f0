"""Percolation radii against thresholding with an unfolded supercell, and what must not change them."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from builders.channels.model import Percolation
from builders.channels.percolation import components, dimension, percolate, translation_basis

PRIMES = (
    7,
    11,
    13,
)  # supercells whose size shares no divisor with any minor of small translations, one of them at least


@dataclass
class Graph:
    nodes: np.ndarray
    offsets: np.ndarray
    widths: np.ndarray
    n_nodes: int

    def percolation(self) -> Percolation:
        return percolate(self.nodes, self.offsets, self.widths, self.n_nodes)


@st.composite
def graphs(draw: st.DrawFn, largest: int = 2) -> Graph:
    """Loops, multi-edges, several components, equal widths: all of it is common in crystals."""
    n_nodes = draw(st.integers(1, 6))
    node, step = st.integers(0, n_nodes - 1), st.integers(-largest, largest)
    width = st.sampled_from([1.0, 1.25, 1.5, 1.75, 2.0]) | st.floats(0.5, 2.5)
    edges = draw(st.lists(st.tuples(node, node, step, step, step, width), max_size=14))
    table = np.array(edges, dtype=float).reshape(-1, 6)
    return Graph(table[:, :2].astype(int), table[:, 2:5].astype(int), table[:, 5].copy(), n_nodes)


def unimodular(seed: int) -> np.ndarray:
    """A random change of basis of Z^3."""
    rng = np.random.default_rng(seed)
    matrix = np.eye(3, dtype=int)
    for _ in range(4):
        first, second = rng.permutation(3)[:2]
        matrix[first] += int(rng.integers(-2, 3)) * matrix[second]
    return matrix[rng.permutation(3)] * rng.choice([-1, 1], size=(3, 1))


# --- the slow twin: threshold, unfold, count --------------------------------------------------------------------------
def parts_of(graph: Graph, threshold: float) -> list[tuple[int, list[tuple[int, ...]], list[int]]]:
    """(rank, all cycle translations, nodes) of each component by breadth-first search; the rank by counting the
    components of supercells: p^3 copies fall apart into p^(3 - rank)."""
    keep = graph.widths >= threshold
    edges = [
        (int(i), int(j), tuple(map(int, n))) for (i, j), n in zip(graph.nodes[keep], graph.offsets[keep], strict=True)
    ]
    parts, left = [], set(range(graph.n_nodes))
    while left:
        start = min(left)
        cell, queue = {start: np.zeros(3, int)}, [start]
        for node in queue:
            for i, j, n in edges:
                for a, b, step in ((i, j, np.array(n)), (j, i, -np.array(n))):
                    if a == node and b not in cell:
                        cell[b] = cell[a] + step
                        queue.append(b)
        inner = [(i, j, n) for i, j, n in edges if i in cell]
        cycles = [tuple((cell[i] + n - cell[j]).tolist()) for i, j, n in inner]
        copies = [unfolded_copies(sorted(cell), inner, prime) for prime in PRIMES]
        rank = max(3 - round(math.log(number, prime)) for number, prime in zip(copies, PRIMES, strict=True))
        parts.append((rank, cycles, sorted(cell)))
        left -= set(cell)
    return parts


def unfolded_copies(nodes: list[int], edges: list[tuple[int, int, tuple[int, ...]]], size: int) -> int:
    """Components of a size x size x size supercell (a torus) of one component."""
    cells = np.array(list(itertools.product(range(size), repeat=3)))
    number = lambda node, cell: nodes.index(node) * size**3 + (cell % size) @ np.array([size**2, size, 1])  # noqa: E731
    rows = [number(i, cells) for i, _, _ in edges] or [np.zeros(0, int)]
    columns = [number(j, cells + np.array(n)) for _, j, n in edges] or [np.zeros(0, int)]
    row, column = np.concatenate(rows), np.concatenate(columns)
    shape = (len(nodes) * size**3,) * 2
    return int(connected_components(coo_matrix((np.ones(len(row)), (row, column)), shape=shape), directed=False)[0])


def divisor(vectors: Any, rank: int) -> int:
    """Greatest common divisor of the minors of order ``rank``; with the rank, it tells a lattice from its sublattices."""
    rows = [tuple(map(int, vector)) for vector in vectors]
    minors = [
        round(float(np.linalg.det(np.array(chosen)[:, columns])))
        for chosen in itertools.combinations(rows, rank)
        for columns in map(list, itertools.combinations(range(3), rank))
    ]
    return math.gcd(*minors)


def same_lattice(first: Any, second: Any, rank: int) -> bool:
    both = list(dict.fromkeys([*map(tuple, first), *map(tuple, second)]))
    of_first, of_second = list(dict.fromkeys(map(tuple, first))), list(dict.fromkeys(map(tuple, second)))
    if int(np.linalg.matrix_rank(np.array(both))) != rank:
        return False
    return divisor(of_first, rank) == divisor(of_second, rank) == divisor(both, rank) != 0


@given(graphs())
@settings(max_examples=80, deadline=None)
def test_radii_and_directions_agree_with_an_unfolded_supercell(graph: Graph) -> None:
    found = graph.percolation()
    levels = sorted(set(graph.widths.tolist()), reverse=True)
    highest = {level: max(rank for rank, _, _ in parts_of(graph, level)) for level in levels}
    for k in (1, 2, 3):
        expected = next((level for level in levels if highest[level] >= k), 0.0)
        assert found.radii[k - 1] == expected
        basis = found.directions[k - 1]
        if not expected:
            assert basis == ()
            continue
        parts = parts_of(graph, expected - 1e-6)
        rank = max(rank for rank, _, _ in parts)
        assert len(basis) == rank >= k
        lattices = [cycles for part_rank, cycles, _ in parts if part_rank == rank]
        assert any(same_lattice(basis, cycles, rank) for cycles in lattices)


@given(graphs(), st.sampled_from([0.4, 1.0, 1.3, 1.75, 3.0]))
@settings(max_examples=60, deadline=None)
def test_components_agree_with_an_unfolded_supercell(graph: Graph, threshold: float) -> None:
    found = components(graph.nodes, graph.offsets, graph.widths, threshold, graph.n_nodes)
    expected = {tuple(nodes): (rank, cycles) for rank, cycles, nodes in parts_of(graph, threshold)}
    assert {tuple(part.nodes.tolist()) for part in found} == set(expected)
    for part in found:
        rank, cycles = expected[tuple(part.nodes.tolist())]
        assert part.rank == len(part.directions) == rank
        assert rank == 0 or same_lattice(part.directions, cycles, rank)
    assert [(-p.rank, -len(p.nodes)) for p in found] == sorted((-p.rank, -len(p.nodes)) for p in found)


@given(graphs(), st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_order_of_nodes_and_edges_and_their_direction_change_nothing(graph: Graph, seed: int) -> None:
    rng = np.random.default_rng(seed)
    name, order = rng.permutation(graph.n_nodes), rng.permutation(len(graph.widths))
    nodes, offsets = name[graph.nodes[order]], graph.offsets[order].copy()
    turned = rng.random(len(order)) < 0.5
    nodes[turned] = nodes[turned][:, ::-1]
    offsets[turned] *= -1
    assert percolate(nodes, offsets, graph.widths[order], graph.n_nodes) == graph.percolation()


@given(graphs(), st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_choice_of_the_nodes_cells_changes_nothing(graph: Graph, seed: int) -> None:
    moves = np.random.default_rng(seed).integers(-5, 6, (graph.n_nodes, 3))
    offsets = graph.offsets + moves[graph.nodes[:, 1]] - moves[graph.nodes[:, 0]]
    assert percolate(graph.nodes, offsets, graph.widths, graph.n_nodes) == graph.percolation()


@given(graphs(), st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_directions_follow_a_change_of_the_cell(graph: Graph, seed: int) -> None:
    change = unimodular(seed)
    before = graph.percolation()
    after = percolate(graph.nodes, graph.offsets @ change, graph.widths, graph.n_nodes)
    assert after.radii == before.radii
    for k in range(3):
        if not before.radii[k]:
            assert after.directions[k] == ()
            continue
        parts = components(graph.nodes, graph.offsets, graph.widths, before.radii[k] - 1e-6, graph.n_nodes)
        candidates = {part.directions for part in parts if part.rank == len(before.directions[k])}
        moved = {translation_basis(map(tuple, (np.array(basis) @ change).tolist())) for basis in candidates}
        assert after.directions[k] in moved  # of several equal components, the cell decides which is told
        if len(candidates) == 1:
            assert {after.directions[k]} == moved


@given(graphs(), st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_removing_an_edge_never_raises_a_radius(graph: Graph, seed: int) -> None:
    if not len(graph.widths):
        return
    keep = np.arange(len(graph.widths)) != seed % len(graph.widths)
    less = percolate(graph.nodes[keep], graph.offsets[keep], graph.widths[keep], graph.n_nodes)
    assert all(small <= large for small, large in zip(less.radii, graph.percolation().radii, strict=True))
    assert less.radii[0] >= less.radii[1] >= less.radii[2] >= 0.0


@given(graphs(), st.lists(st.integers(1, 3), min_size=3, max_size=3))
@settings(max_examples=60, deadline=None)
def test_a_supercell_has_the_same_radii(graph: Graph, size: list[int]) -> None:
    cells = np.array(list(itertools.product(*map(range, size))))
    number = lambda cell: np.ravel_multi_index(tuple((cell % size).T), size)  # noqa: E731
    nodes, offsets = [], []
    for (i, j), n in zip(graph.nodes, graph.offsets, strict=True):
        end = cells + n
        nodes.append(np.column_stack([i * len(cells) + number(cells), j * len(cells) + number(end)]))
        offsets.append(end // size)
    widths = np.repeat(graph.widths, len(cells))
    large = percolate(
        np.concatenate(nodes or [np.zeros((0, 2), int)]),
        np.concatenate(offsets or [np.zeros((0, 3), int)]),
        widths,
        graph.n_nodes * len(cells),
    )
    assert large.radii == graph.percolation().radii


@given(st.lists(st.tuples(*[st.integers(-6, 6)] * 3), max_size=6), st.randoms(use_true_random=False))
def test_a_lattice_has_one_basis_whatever_spans_it(vectors: list[tuple[int, int, int]], random: Any) -> None:
    basis = translation_basis(vectors)
    shuffled = [tuple(-x for x in vector) for vector in vectors]
    random.shuffle(shuffled)
    sums = [tuple(a + 3 * b for a, b in zip(u, v, strict=True)) for u, v in itertools.pairwise(vectors)]
    assert translation_basis([*shuffled, *sums]) == basis  # type: ignore[list-item]
    rank = int(np.linalg.matrix_rank(np.array(vectors))) if vectors else 0
    assert len(basis) == rank
    assert rank == 0 or same_lattice(basis, vectors, rank)
    pivots = [next(k for k in range(3) if row[k]) for row in basis]
    assert pivots == sorted(set(pivots))
    for k, pivot in enumerate(pivots):
        assert basis[k][pivot] > 0
        assert all(0 <= basis[above][pivot] < basis[k][pivot] for above in range(k))


def test_rods_that_never_meet_are_one_dimensional() -> None:
    nodes = np.array([[0, 0], [1, 1], [2, 2]])
    found = percolate(nodes, np.eye(3, dtype=int), np.array([1.8, 1.7, 1.6]), 3)
    assert found == Percolation((1.8, 0.0, 0.0), (((1, 0, 0),), (), ()))
    parts = components(nodes, np.eye(3, dtype=int), np.array([1.8, 1.7, 1.6]), 1.65, 3)
    assert [(part.rank, part.directions) for part in parts] == [(1, ((1, 0, 0),)), (1, ((0, 1, 0),)), (0, ())]


def test_the_narrowest_channel_of_a_rod_is_its_radius() -> None:
    nodes = np.array([[0, 1], [1, 2], [2, 0], [0, 2]])
    offsets = np.array([[0, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 0]])
    assert percolate(nodes, offsets, np.array([2.0, 1.9, 1.5, 1.7]), 3).radii == (1.5, 0.0, 0.0)


def test_two_nets_through_each_other_keep_the_translation_of_each() -> None:
    # A bcc-like pair of diamond nets: one net's copies by (1, 0, 0) belong to the other.
    found = percolate(np.zeros((3, 2), int), np.array([[1, 1, 0], [1, -1, 0], [0, 0, 1]]), np.array([1.0, 1.0, 0.9]), 1)
    assert found.directions == (((1, 1, 0), (0, 2, 0)), ((1, 1, 0), (0, 2, 0)), ((1, 1, 0), (0, 2, 0), (0, 0, 1)))


def test_widths_within_the_tie_are_equal_for_directions_and_exact_for_radii() -> None:
    nodes, offsets = np.zeros((3, 2), int), np.eye(3, dtype=int)
    widths = np.array([1.5 - 4e-7, 1.5, 1.2])
    found = percolate(nodes, offsets, widths, 1)
    assert found.radii == (1.5, 1.5 - 4e-7, 1.2)
    assert found.directions[0] == found.directions[1] == ((1, 0, 0), (0, 1, 0))
    assert percolate(nodes, offsets, widths, 1, tie=1e-8).directions[0] == ((0, 1, 0),)


def test_large_offsets_are_exact() -> None:
    far = 3_000_000_019
    found = percolate(np.array([[0, 1], [1, 0]]), np.array([[far, -far, 2], [far, far, -5]]), np.array([1.0, 0.9]), 2)
    assert found.directions[0] == ((2 * far, 0, -3),)


@pytest.mark.parametrize("n_nodes", [0, 3])
def test_a_graph_without_edges_percolates_nowhere(n_nodes: int) -> None:
    nothing = (np.zeros((0, 2), int), np.zeros((0, 3), int), np.zeros(0))
    assert percolate(*nothing, n_nodes) == Percolation((0.0, 0.0, 0.0), ((), (), ()))
    parts = components(*nothing, 1.0, n_nodes)
    assert [(part.rank, part.nodes.tolist()) for part in parts] == [(0, [node]) for node in range(n_nodes)]


def test_dimension_counts_radii_and_zero_is_none() -> None:
    percolation = Percolation((1.8, 1.6, 0.0), ((), (), ()))
    assert [dimension(percolation, threshold) for threshold in (1.9, 1.8, 1.7, 1.6, 0.1, 0.0)] == [0, 1, 1, 2, 2, 2]


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"given \(1, 2\), \(2, 3\) and \(1,\)"):
        percolate(np.zeros((1, 2), int), np.zeros((2, 3), int), np.ones(1), 1)
    with pytest.raises(ValueError, match="numbered 0 to 0; given 0 to 1"):
        percolate(np.array([[0, 1]]), np.zeros((1, 3), int), np.ones(1), 1)
    with pytest.raises(ValueError, match="1 of 1 are not"):
        percolate(np.zeros((1, 2), int), np.zeros((1, 3), int), np.array([np.nan]), 1)
