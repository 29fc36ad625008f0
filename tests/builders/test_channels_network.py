"""Voids and channels of lattices with closed forms, and what must not depend on how a crystal is written down."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from builders.channels.analysis import analyse_network
from builders.channels.merging import merge
from builders.channels.network import Network, build_network, voronoi_edges
from builders.channels.percolation import percolate
from builders.geometry.delaunay import periodic_delaunay

Array = NDArray[np.float64]

FCC = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
DIAMOND = np.concatenate([FCC, FCC + 0.25])
# name: (points, {void radius: number}, {channel radius: number}, percolation radii), all in units of the cubic cell
CUBIC = {
    "sc": (np.zeros((1, 3)), {0.8660: 1}, {0.7071: 3}, (0.7071, 0.7071, 0.7071)),
    "bcc": (np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), {0.5590: 12}, {0.5303: 24}, (0.5303, 0.5303, 0.5303)),
    "fcc": (FCC, {0.5: 4, 0.4330: 8}, {0.4082: 32}, (0.4082, 0.4082, 0.4082)),
    "diamond": (DIAMOND, {0.4330: 8, 0.4146: 16}, {0.4082: 32, 0.375: 48}, (0.4082, 0.4082, 0.4082)),
}


def exact_network(points: Array, lattice: Array) -> Network:
    """Merge only what is one place."""
    complex_ = periodic_delaunay(points, lattice)
    cations = np.zeros(len(points), dtype=bool)
    return build_network(complex_, voronoi_edges(complex_), cations, distance=0.02, diameter=0.1)


def tally(values: Array) -> dict[float, int]:
    return dict(Counter(values.round(4).tolist()))


@pytest.mark.parametrize("name", CUBIC)
@pytest.mark.parametrize("edge", [1.0, 4.05])
def test_closed_forms(name: str, edge: float) -> None:
    points, voids, channels, percolation = CUBIC[name]
    lattice = edge * np.eye(3)
    network = exact_network(points, lattice)
    if edge > 1:
        assert tally(network.r_void / edge) == voids
        assert tally(network.passages.r_chan / edge) == channels
    core = analyse_network(points, lattice, np.zeros(len(points), dtype=bool))
    np.testing.assert_allclose(np.array(core.percolation.radii) / edge, percolation, atol=6e-5)


@pytest.mark.parametrize("name", CUBIC)
def test_the_partition_of_a_lattice_obeys_euler(name: str) -> None:
    """V - E + F - C = 0 for the Voronoi partition of a torus: faces are pairs of neighbouring atoms."""
    points = CUBIC[name][0]
    lattice = 4.0 * np.eye(3)
    network = exact_network(points, lattice)
    # A face is a set of channels around one pair of atoms: counted by Euler's formula on each atom's polyhedron instead.
    vertices, edges = len(network.r_void), len(network.passages.r_chan)
    faces = {"sc": 3, "bcc": 14, "fcc": 24, "diamond": 16 + 48}[name]
    assert vertices - edges + faces - len(points) == 0


def random_framework(seed: int) -> tuple[Array, Array, NDArray[np.bool_]]:
    random = np.random.default_rng(seed)
    count = int(random.integers(2, 16))
    lattice = np.diag(random.uniform(0.8, 1.5, 3)) + random.normal(0, 0.15, (3, 3))
    lattice *= np.cbrt(count * random.uniform(10.0, 16.0) / abs(np.linalg.det(lattice)))
    # Symmetric frameworks have the ties, random ones the near-ties.
    if seed % 2:
        points = np.array([[k / 2 for k in step] for step in np.ndindex(2, 2, 2)])[: max(2, count // 2)]
        points = points + random.choice([0.0, 1e-3], points.shape)
    else:
        grid = np.array(list(np.ndindex(3, 3, 3)))[random.permutation(27)[:count]]
        points = (grid + random.uniform(-0.2, 0.2, grid.shape)) / 3.0
    return points, lattice, random.random(len(points)) < 0.4


def signature(network: Network) -> tuple[Array, Array, Array, int]:
    return (
        np.sort(network.r_void),
        np.sort(network.passages.r_open),
        np.sort(network.passages.length),
        int(network.passages.blocked.sum()),
    )


def assert_same(one: Network, other: Network, times: int = 1, scale: float = 1.0) -> None:
    for mine, its in zip(signature(one)[:3], signature(other)[:3], strict=True):
        assert len(its) == times * len(mine)
        np.testing.assert_allclose(np.repeat(mine, times) * scale, its, atol=5e-4 * scale)
    assert signature(other)[3] == times * signature(one)[3]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_cell_origin_order_and_rotation_do_not_matter(seed: int) -> None:
    from scipy.stats import special_ortho_group

    points, lattice, cations = random_framework(seed)
    random = np.random.default_rng(seed)
    order = random.permutation(len(points))
    change = np.eye(3, dtype=int)
    change[0] += random.integers(-2, 3) * change[1]
    change[2] += random.integers(-2, 3) * change[0]
    turned = change @ lattice @ special_ortho_group.rvs(3, random_state=random)
    moved = (points + random.uniform(-2, 2, 3)) @ np.linalg.inv(change)
    one = analyse_network(points, lattice, cations)
    other = analyse_network(moved[order], turned, cations[order])
    assert_same(one.network, other.network)
    np.testing.assert_allclose(one.percolation.radii, other.percolation.radii, atol=5e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(2, 1, 1), (1, 3, 1), (2, 1, 2)]))
def test_a_supercell_changes_nothing_but_counts(seed: int, times: tuple[int, int, int]) -> None:
    points, lattice, cations = random_framework(seed)
    cells = np.array(list(np.ndindex(*times)))
    larger = ((points[None] + cells[:, None]) / times).reshape(-1, 3)
    one = analyse_network(points, lattice, cations)
    other = analyse_network(larger, lattice * np.array(times)[:, None], np.tile(cations, len(cells)))
    assert_same(one.network, other.network, times=len(cells))
    np.testing.assert_allclose(one.percolation.radii, other.percolation.radii, atol=5e-5)
    lengths = np.array(times)
    for mine, its in zip(one.percolation.directions, other.percolation.directions, strict=True):
        assert len(mine) == len(its)
        # directions of the supercell, written in the small cell, are directions of the small cell
        joined = np.array([*mine, *(np.array(its) * lengths)])
        assert np.linalg.matrix_rank(joined) == len(mine)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_radii_are_ordered_and_a_vacancy_never_narrows(seed: int) -> None:
    points, lattice, cations = random_framework(seed)
    core = analyse_network(points, lattice, cations)
    r1, r2, r3 = core.percolation.radii
    assert r1 >= r2 >= r3 > 0
    passages = core.network.passages
    ends = np.minimum(*core.network.r_void[passages.voids].T)
    assert (passages.r_open <= ends + 1e-9).all()
    complex_ = periodic_delaunay(points, lattice)
    edges = voronoi_edges(complex_)
    assert (complex_.triangle_radii <= edges.r_open + 1e-9).all()
    assert (edges.r_open <= complex_.radii[edges.vertices].min(axis=1) + 1e-9).all()
    if len(points) > 1:
        fewer = analyse_network(points[1:], lattice, cations[1:])
        assert all(np.array(fewer.percolation.radii) >= np.array(core.percolation.radii) - 5e-5)
        assert fewer.network.r_void.max() >= core.network.r_void.max() - 5e-5


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_channels_join_the_voids_that_they_name(seed: int) -> None:
    """The circle's centre lies in space where the offsets say: as far from its atoms as the radius, and no atom nearer."""
    points, lattice, cations = random_framework(seed)
    network = analyse_network(points, lattice, cations).network
    passages = network.passages
    atoms = (points[passages.atoms] + passages.atom_shifts) @ lattice
    start = network.frac_coords[passages.voids[:, 0]] @ lattice
    end = (network.frac_coords[passages.voids[:, 1]] + passages.offsets) @ lattice
    np.testing.assert_allclose(np.linalg.norm(end - start, axis=1), passages.length, atol=1e-4)
    # The forming atoms are among the nearest of both ends: at r_void of the unmerged vertices, at most 1 Å further here.
    for place, void in ((start, passages.voids[:, 0]), (end, passages.voids[:, 1])):
        apart = np.linalg.norm(atoms - place[:, None], axis=2)
        assert (apart <= network.r_void[void][:, None] + 1.0).all()
        assert (apart >= network.r_void[void][:, None] - 1.0).all()
    sides = np.linalg.norm(atoms - np.roll(atoms, 1, axis=1), axis=2)
    a, b, c = sides.T
    area = np.sqrt(np.maximum((a + b + c) * (b + c - a) * (c + a - b) * (a + b - c), 0)) / 4
    np.testing.assert_allclose(a * b * c / (4 * area), passages.r_chan, rtol=1e-3)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(1.0, 2.5))
def test_merging_opens_no_way_that_is_not_there(seed: int, scale: float) -> None:
    """A void's own neck counts for who passes it: the merged network percolates no wider than the partition itself."""
    points, lattice, cations = random_framework(seed)
    core = analyse_network(points, scale * lattice, cations)
    passages = core.network.passages
    merged = percolate(passages.voids, passages.offsets, passages.r_open, len(core.network.r_void))
    for joined, true in zip(merged.radii, core.percolation.radii, strict=True):
        assert joined <= true + 1e-6


def test_a_chain_of_vertices_is_not_one_void() -> None:
    chain = np.array([[0.05 * k, 0, 0] for k in range(9)])  # 0.4 Å apart, 3.2 Å long
    groups = merge(chain, np.ones(9), 8.0 * np.eye(3), distance=0.5, diameter=1.0)
    assert len(groups.centres) == 9  # all links are equal: cut together, not where the order of the atoms says
    uneven = np.array([[x, 0, 0] for x in (0.0, 0.04, 0.08, 0.14, 0.18, 0.22)])
    labels = merge(uneven, np.ones(6), 8.0 * np.eye(3), distance=0.5, diameter=1.0).labels
    assert labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_a_chain_through_the_cell_is_cut() -> None:
    ring = np.array([[k / 5, 0, 0] for k in range(5)])  # 0.4 Å apart and closed through the cell's face
    groups = merge(ring, np.ones(5), np.diag([2.0, 6.0, 6.0]), distance=0.5, diameter=9.0)
    assert len(groups.centres) == 5


def test_a_voids_centre_does_not_depend_on_how_often_a_place_is_counted() -> None:
    lattice = 10.0 * np.eye(3)
    places = np.array([[0.99, 0, 0], [0.02, 0, 0]])
    once = merge(places, np.ones(2), lattice, distance=0.5, diameter=1.0)
    often = merge(places[[0, 1, 1, 1]], np.ones(4), lattice, distance=0.5, diameter=1.0)
    np.testing.assert_allclose(once.centres, [[0.005, 0, 0]], atol=1e-12)
    np.testing.assert_allclose(often.centres, once.centres, atol=1e-12)
    assert once.n_places.tolist() == often.n_places.tolist() == [2]
    assert once.shifts.tolist() == [[1, 0, 0], [0, 0, 0]] or once.shifts.tolist() == [[0, 0, 0], [-1, 0, 0]]


def test_the_largest_sphere_makes_the_centre() -> None:
    groups = merge(
        np.array([[0.1, 0, 0], [0.13, 0, 0]]), np.array([1.5, 1.8]), 10.0 * np.eye(3), distance=0.5, diameter=1.0
    )
    np.testing.assert_allclose(groups.centres, [[0.13, 0, 0]])
