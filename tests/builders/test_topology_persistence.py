"""Persistence diagrams: closed forms, and invariance under every way of writing a crystal."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.geometry.delaunay import periodic_delaunay
from builders.topology import reduction
from builders.topology.arrays import from_arrays, to_arrays
from builders.topology.filtration import alpha_filtration
from builders.topology.persistence import MIN_LENGTH, persistence
from store.arrays import pack, unpack
from store.errors import GeometryError

from .topology_checks import (
    CUBE,
    FCC,
    HEXAGONAL,
    assert_same,
    assert_same_bars,
    counted,
    long_bars,
    random_points,
    supercell,
)

SEEDS = st.integers(0, 2**32 - 1)


# --- closed forms -----------------------------------------------------------------------------------------------------
def test_simple_cubic() -> None:
    found = persistence(np.zeros((1, 3)), CUBE)
    assert [each.round(4).tolist() for each in found.essential] == [[0.0], [0.5] * 3, [0.7071] * 3, [0.866]]
    assert [counted(bars) for bars in found.finite] == [{}, {}, {}]  # one atom, nothing but the torus
    assert counted(found.extensive[0]) == {(0.0, 0.5): 1}
    assert counted(found.extensive[1]) == {(0.5, 0.7071): 2}  # three edges an atom, less the one that joins it
    assert counted(found.extensive[2]) == {(0.7071, 0.866): 1}  # the cube's centre


def test_body_centred_cubic() -> None:
    found = persistence(np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), CUBE)
    touch, face, void = sqrt(3) / 4, 3 / sqrt(32), sqrt(5) / 4
    assert counted(found.extensive[0]) == {(0.0, round(touch, 4)): 2}
    # Every void is a tetrahedron, six an atom, and all its faces are alike.
    assert counted(found.extensive[2]) == {(round(face, 4), round(void, 4)): 12}
    # Four contacts an atom, less one, and the three second neighbours: all these loops are filled by the faces.
    assert counted(found.extensive[1]) == {(round(touch, 4), round(face, 4)): 6, (0.5, round(face, 4)): 6}
    np.testing.assert_allclose(found.essential[2], face, atol=1e-4)
    np.testing.assert_allclose(found.essential[3], void, atol=1e-4)
    np.testing.assert_allclose(found.essential[1], touch, atol=1e-4)


def test_face_centred_cubic() -> None:
    found = persistence(FCC, CUBE)
    touch, face, tetrahedral, octahedral = sqrt(2) / 4, 1 / sqrt(6), sqrt(3) / 4, 0.5
    assert counted(found.extensive[0]) == {(0.0, round(touch, 4)): 4}
    assert counted(found.extensive[1]) == {(round(touch, 4), round(face, 4)): 4 * (6 - 1)}
    bars = found.extensive[2]  # the tetrahedral bar is 0.025 cells long
    rounded, counts = np.unique(bars.round(4), axis=0, return_counts=True)
    assert rounded.tolist() == [[round(face, 4), round(tetrahedral, 4)], [round(face, 4), octahedral]]
    assert counts.tolist() == [8, 4]
    np.testing.assert_allclose(found.essential[2], face, atol=1e-4)


def test_honeycomb_layers() -> None:
    """Graphite-like layers, bonds of length 1, 3 apart and aligned: hexagons, columns between them, one void a hexagon."""
    lattice = HEXAGONAL * np.array([[sqrt(3)], [sqrt(3)], [3.0]])
    found = persistence(np.array([[1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0]]), lattice)
    # An atom is a cluster until it meets its neighbour; the pair ends with the layer, which has no end.
    assert counted(found.extensive[0]) == {(0.0, 0.5): 2}
    np.testing.assert_allclose(found.essential[1], [0.5, 0.5, 1.5], atol=1e-4)
    # One hexagon a cell, filled when the balls at its corners meet in its centre.
    assert counted(found.extensive[1])[(0.5, 1.0)] == 1
    # Above each hexagon's centre, half way between the layers: the void.
    assert found.extensive[2][:, 1].max() == pytest.approx(sqrt(1.0 + 1.5**2), abs=1e-4)
    np.testing.assert_allclose(found.essential[3], sqrt(1.0 + 1.5**2), atol=1e-4)


def test_rows_and_layers_are_endless_and_no_clusters() -> None:
    """A row of atoms along c far from others: a cluster until it is endless, in any cell."""
    lattice = np.diag([6.0, 7.0, 2.0])
    found = persistence(np.zeros((1, 3)), lattice)
    np.testing.assert_allclose(found.essential[1], [1.0, 3.0, 3.5], atol=1e-4)
    assert counted(found.extensive[0]) == {(0.0, 1.0): 1}
    double = persistence(*supercell((np.zeros((1, 3)), lattice), np.diag([2, 2, 2])))
    assert counted(double.extensive[0]) == {(0.0, 1.0): 8}
    assert counted(double.finite[0]) == {(0.0, 1.0): 4, (0.0, 3.0): 2, (0.0, 3.5): 1}  # the torus counts rows


def test_torus_counts_voids_of_supercells_less_one() -> None:
    for k in (2, 3):
        found = persistence(*supercell((np.zeros((1, 3)), CUBE), k * np.eye(3, dtype=int)))
        assert counted(found.finite[2]) == {(0.7071, 0.866): k**3 - 1}
        assert counted(found.extensive[2]) == {(0.7071, 0.866): k**3}


# --- what always holds ------------------------------------------------------------------------------------------------
@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_every_filtration_is_a_torus_and_its_bars_are_complete(seed: int) -> None:
    complex_ = periodic_delaunay(*random_points(seed))
    filtration = alpha_filtration(complex_)
    # No simplex enters before its faces.
    triangles = filtration.triangles
    assert (filtration.edges[complex_.edges.of_triangles] <= triangles[:, None]).all()
    assert (triangles[complex_.tetrahedron_triangles] <= filtration.tetrahedra[:, None]).all()
    found = reduction.forests(complex_, filtration)
    finite, essential = reduction.torus_pairs(complex_, filtration, found)
    extensive = reduction.crystal_pairs(complex_, filtration, found)
    assert [len(births) for births in essential] == [1, 3, 3, 1]
    n, tetrahedra = complex_.n_points, len(complex_.tetrahedra)
    assert [len(bars) for bars in finite] == [n - 1, tetrahedra - 2, tetrahedra - 1]
    assert [len(bars) for bars in extensive] == [n, tetrahedra, tetrahedra]
    for bars in (*finite, *extensive):
        assert (bars[:, 1] >= bars[:, 0]).all()
    # The same simplices begin and end something in every field: births and deaths together are the filtration's values.
    every = np.sort(np.concatenate(filtration))
    torus = np.concatenate([*(bars.ravel() for bars in finite), *essential])
    np.testing.assert_array_equal(np.sort(torus), every)
    np.testing.assert_array_equal(np.sort(np.concatenate([bars.ravel() for bars in extensive])), every)


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_the_values_of_the_character_do_not_matter(seed: int) -> None:
    complex_ = periodic_delaunay(*random_points(seed))
    filtration = alpha_filtration(complex_)
    found = reduction.forests(complex_, filtration)
    before = reduction.crystal_pairs(complex_, filtration, found)
    values = tuple(int(each) for each in np.random.default_rng(seed).integers(2, reduction.PRIME - 1, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reduction, "_VALUES", values)
        after = reduction.crystal_pairs(complex_, filtration, found)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_a_trivial_character_is_the_torus(seed: int) -> None:
    """With every translation worth 1, the same matrix is the torus's over a prime field: its loops are those over two elements
    (a torus has no torsion, and parts of the union of balls in it seldom any)."""
    complex_ = periodic_delaunay(*random_points(seed))
    filtration = alpha_filtration(complex_)
    found = reduction.forests(complex_, filtration)
    finite, _ = reduction.torus_pairs(complex_, filtration, found)
    positive = np.ones(len(filtration.edges), dtype=bool)
    positive[found.edges.torus.ends] = positive[found.edges.torus.essential] = False
    negative = np.ones(len(filtration.triangles), dtype=bool)
    negative[found.triangles.torus.ends] = negative[found.triangles.torus.essential] = False
    loops = reduction._loops(filtration, positive, negative)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reduction, "_VALUES", (1, 1, 1))
        births = loops.births[reduction._pair_generic(loops, complex_)]
    np.testing.assert_array_equal(np.column_stack([births, filtration.triangles[loops.triangles]]), finite[1])


# --- invariance -------------------------------------------------------------------------------------------------------
@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_choice_of_cell_origin_order_and_orientation_changes_nothing(seed: int) -> None:
    fractions, lattice = random_points(seed)
    random = np.random.default_rng(seed)
    before = persistence(fractions, lattice)
    change = np.eye(3, dtype=int)
    for _ in range(3):
        first, second = random.permutation(3)[:2]
        change[first] += int(random.integers(-2, 3)) * change[second]
    moved = (fractions + random.uniform(-3, 3, 3)) @ np.linalg.inv(change)
    moved = (moved + random.integers(-4, 5, moved.shape))[random.permutation(len(moved))]
    turn, _ = np.linalg.qr(random.normal(size=(3, 3)))  # a rotation, or one with a mirror
    assert_same(before, persistence(moved, change @ lattice @ turn))
    mirrored = persistence(fractions, lattice * np.array([1.0, 1.0, -1.0]))
    assert_same(before, mirrored)


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.sampled_from([[[2, 0, 0], [0, 1, 0], [0, 0, 1]], [[1, 1, 0], [-1, 1, 0], [0, 0, 1]], [[2, 0, 0], [0, 2, 0], [0, 0, 2]], [[0, 1, 1], [1, 0, 1], [1, 1, 0]], [[3, 0, 0], [1, 1, 0], [0, 1, 1]]]))  # fmt: skip
def test_a_supercell_has_every_bar_of_the_crystal_as_often(seed: int, matrix: list[list[int]]) -> None:
    points = random_points(seed, most=6)
    times = round(abs(np.linalg.det(np.array(matrix))))
    one, many = persistence(*points, min_length=0.0), persistence(*supercell(points, matrix), min_length=0.0)
    assert many.n_points == times * one.n_points
    for degree in range(3):
        mine, its = long_bars(one.extensive[degree], 1e-3), long_bars(many.extensive[degree], 1e-3)
        assert_same_bars(mine, its, times=times)


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.floats(1e-4, 0.2))
def test_small_displacements_move_bars_little(seed: int, size: float) -> None:
    """Stability (Cohen-Steiner, Edelsbrunner, Harer 2007): no birth or death of a matched bar moves by more than the points
    do. So the k-th longest bar changes by at most twice that, and an essential birth by at most once."""
    fractions, lattice = random_points(seed)
    random = np.random.default_rng(seed)
    steps = random.normal(size=fractions.shape)
    steps *= size / np.linalg.norm(steps, axis=1).max()
    before = persistence(fractions, lattice, min_length=0.0)
    after = persistence(fractions + steps @ np.linalg.inv(lattice), lattice, min_length=0.0)
    bound = size + 1e-6
    for one, other in zip(before.essential, after.essential, strict=True):
        assert np.abs(one - other).max() <= bound
    for one, other in zip((*before.finite, *before.extensive), (*after.finite, *after.extensive), strict=True):
        lengths = [np.sort(bars[:, 1] - bars[:, 0])[::-1] for bars in (one, other)]
        count = max(map(len, lengths))
        first, second = (np.pad(each, (0, count - len(each))) for each in lengths)
        assert np.abs(first - second).max(initial=0.0) <= 2 * bound


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.floats(0.2, 5.0))
def test_scaling_the_crystal_scales_the_bars(seed: int, factor: float) -> None:
    fractions, lattice = random_points(seed)
    one, other = (
        persistence(fractions, lattice, min_length=0.0),
        persistence(fractions, factor * lattice, min_length=0.0),
    )
    for mine, its in zip((*one.finite, *one.extensive), (*other.finite, *other.extensive), strict=True):
        assert_same_bars(long_bars(mine, 1e-3) * factor, long_bars(its, 1e-3 * factor), 1e-4 * factor)


# --- balls of different sizes -----------------------------------------------------------------------------------------
@settings(max_examples=20, deadline=None)
@given(SEEDS, st.floats(0.0, 1.5))
def test_equal_balls_are_points_that_began_earlier(seed: int, radius: float) -> None:
    points = random_points(seed)
    plain = persistence(*points, min_length=0.0)
    balls = persistence(*points, np.full(len(points[0]), radius**2), min_length=0.0)
    for mine, its in zip((*plain.finite, *plain.extensive), (*balls.finite, *balls.extensive), strict=True):
        powers = its * np.abs(its) + radius**2
        assert_same_bars(long_bars(mine**2, 1e-3), long_bars(powers, 1e-3))
    for mine, its in zip(plain.essential, balls.essential, strict=True):
        np.testing.assert_allclose(mine**2, its * np.abs(its) + radius**2, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.floats(0.1, 2.0))
def test_balls_of_any_sizes_make_a_torus_whatever_the_cell(seed: int, size: float) -> None:
    points = random_points(seed, most=7)
    weights = np.random.default_rng(seed).uniform(0.0, size, len(points[0])) ** 2
    one = persistence(*points, weights, min_length=0.0)
    assert one.betti == (1, 3, 3, 1)
    many = persistence(*supercell(points, [[1, 1, 0], [-1, 1, 0], [0, 0, 1]]), np.repeat(weights, 2), min_length=0.0)
    assert many.n_points == 2 * one.n_points
    for mine, its in zip(one.extensive, many.extensive, strict=True):
        assert_same_bars(long_bars(mine, 1e-2), long_bars(its, 1e-2), 1e-4, times=2)


def test_rock_salt_with_ionic_radii() -> None:
    """Large anions cover the small cations' share: contact along the edge, at the power of both."""
    a, cation, anion = 4.0, 0.5, 1.4
    places = np.concatenate([FCC, FCC + 0.5])
    weights = np.repeat([cation**2, anion**2], 4)
    found = persistence(places, a * CUBE, weights)
    assert found.essential[0].round(4).tolist() == [-anion]
    centre = 2.0 / 2 + (cation**2 - anion**2) / (2 * 2.0)  # from the cation, on a line of length a / 2
    contact = sqrt(centre**2 - cation**2)
    assert counted(found.extensive[0])[(-cation, round(contact, 4))] == 4


def test_hidden_balls_leave_the_others_alone() -> None:
    places, weights = np.array([[0, 0, 0], [0.02, 0, 0], [0.5, 0.5, 0.5]]), np.array([1.0, 0.01, 0.5])
    seen = persistence(places[[0, 2]], 4.0 * CUBE, weights[[0, 2]])
    found = persistence(places, 4.0 * CUBE, weights)
    assert (found.n_points, seen.n_points) == (3, 2)
    for one, other in zip((*seen.finite, *seen.extensive), (*found.finite, *found.extensive), strict=True):
        assert_same_bars(one, other)


def test_weights_must_fit_the_points() -> None:
    with pytest.raises(GeometryError, match="2 finite weights"):
        persistence(np.array([[0, 0, 0], [0.5, 0, 0]]), CUBE, np.ones(1))
    with pytest.raises(GeometryError, match="finite"):
        persistence(np.zeros((1, 3)), CUBE, np.array([np.nan]))


# --- edges ------------------------------------------------------------------------------------------------------------
def test_short_bars_are_left_out() -> None:
    fractions, lattice = random_points(3, least=8)
    everything, some = persistence(fractions, lattice, min_length=0.0), persistence(fractions, lattice)
    for every, kept in zip(everything.finite, some.finite, strict=True):
        np.testing.assert_array_equal(kept, every[every[:, 1] - every[:, 0] >= MIN_LENGTH])
    assert any(len(every) > len(kept) for every, kept in zip(everything.finite, some.finite, strict=True))


def test_nothing_is_no_crystal() -> None:
    with pytest.raises(GeometryError, match="no atom"):
        persistence(np.zeros((0, 3)), CUBE)


def test_the_same_crystal_gives_the_same_bytes() -> None:
    fractions, lattice = random_points(11)
    one, other = (pack(to_arrays({"all": persistence(fractions, lattice)})) for _ in range(2))
    assert one == other


def test_arrays_and_back() -> None:
    given_ = {"all": persistence(*random_points(5)), "El:O": persistence(np.zeros((1, 3)), 3 * CUBE)}
    back = from_arrays(unpack(pack(to_arrays(given_))))
    assert list(back) == list(given_)
    for name, diagrams in given_.items():
        assert (back[name].copies, back[name].betti) == (1, (1, 3, 3, 1))
        assert_same(diagrams, back[name], 1e-6)
