"""The periodic Delaunay complex: certificates, closed forms and invariances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from builders.geometry.complex import PeriodicDelaunay
from builders.geometry.delaunay import periodic_delaunay
from builders.geometry.homology import betti_numbers
from builders.geometry.images import images_around, near_pairs
from builders.geometry.keys import simplex_keys
from builders.geometry.reduction import reduced_basis
from store.errors import GeometryError

Array = NDArray[np.float64]

CUBE = np.eye(3)
LATTICES = {
    "sc": (np.zeros((1, 3)), CUBE),
    "bcc": (np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), CUBE),
    "fcc": (np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]), CUBE),
    "bcc primitive": (np.zeros((1, 3)), np.array([[-0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.5, 0.5, -0.5]])),
    "fcc primitive": (np.zeros((1, 3)), np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])),
    "hexagonal": (np.zeros((1, 3)), np.array([[1, 0, 0], [-0.5, np.sqrt(0.75), 0], [0, 0, 1.6]])),
}


def random_crystal(seed: int) -> tuple[Array, Array]:
    """Atoms in a triclinic cell, mild or very oblique, few or many, sparse along one axis at times."""
    random = np.random.default_rng(seed)
    count = int(random.integers(1, 25))
    lattice = np.diag(random.uniform(0.8, 1.6, 3)) + random.normal(0, random.choice([0.05, 0.5]), (3, 3))
    volume = abs(np.linalg.det(lattice))
    if volume < 0.2:
        lattice += 2 * np.eye(3)
        volume = abs(np.linalg.det(lattice))
    lattice *= np.cbrt(count * random.uniform(8.0, 20.0) / volume)
    places: list[Array] = []
    while len(places) < count:
        tried = random.uniform(0, 1, 3)
        if not places or len(near_pairs(np.array([*places, tried]), lattice, 0.5).distances) == 0:
            places.append(tried)
    return np.array(places), lattice


def spectrum(complex_: PeriodicDelaunay) -> tuple[Array, Array]:
    return np.sort(complex_.radii), np.sort(complex_.triangle_radii)


def assert_same_shapes(one: PeriodicDelaunay, other: PeriodicDelaunay, times: int = 1, scale: float = 1.0) -> None:
    for mine, its in zip(spectrum(one), spectrum(other), strict=True):
        np.testing.assert_allclose(np.repeat(mine * scale, times), its, rtol=0, atol=2e-4 * scale)


@pytest.mark.parametrize("name", LATTICES)
@pytest.mark.parametrize("edge", [1.0, 3.0])
def test_a_lattice_of_ties_is_a_torus(name: str, edge: float) -> None:
    points, lattice = LATTICES[name]
    complex_ = periodic_delaunay(points, edge * lattice)
    assert betti_numbers(complex_) == (1, 3, 3, 1)
    assert complex_.volume_error < 1e-9
    counts = complex_.n_points, len(complex_.edges.points), len(complex_.triangles), len(complex_.tetrahedra)
    assert counts[0] - counts[1] + counts[2] - counts[3] == 0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_every_crystal_gives_a_torus_of_empty_spheres(seed: int) -> None:
    points, lattice = random_crystal(seed)
    complex_ = periodic_delaunay(points, lattice)
    assert betti_numbers(complex_) == (1, 3, 3, 1)
    # Nothing lies inside a circumsphere, and the corners lie on it: the definition, by brute force over images.
    from scipy.spatial import cKDTree

    basis, _ = reduced_basis(complex_.lattice)
    fractions = complex_.points @ np.linalg.inv(basis)
    fractions -= np.floor(fractions)
    centres = complex_.centres @ np.linalg.inv(basis)
    homes = (centres - np.floor(centres)) @ basis
    cloud = images_around(fractions, basis, float(complex_.radii.max()) + 0.1, np.zeros(3)).places
    nearest, _ = cKDTree(cloud).query(homes, k=4)
    np.testing.assert_allclose(nearest, np.repeat(complex_.radii[:, None], 4, axis=1), atol=1e-6)
    corners = np.linalg.norm(complex_.tetrahedron_vertices - complex_.centres[:, None], axis=2)
    np.testing.assert_allclose(corners, np.repeat(complex_.radii[:, None], 4, axis=1), atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_triangles_and_tetrahedra_fit_together(seed: int) -> None:
    complex_ = periodic_delaunay(*random_crystal(seed))
    lattice = complex_.lattice
    for side in (0, 1):
        owner = complex_.triangle_tetrahedra[:, side]
        moved = complex_.tetrahedron_vertices[owner]
        if side:
            moved = moved + (complex_.triangle_offsets @ lattice)[:, None]
        # each vertex of the triangle is one of the (moved) tetrahedron
        apart = np.linalg.norm(complex_.triangle_vertices[:, :, None] - moved[:, None], axis=3).min(axis=2)
        assert apart.max() < 1e-9
    facets = complex_.triangle_vertices[complex_.tetrahedron_triangles]
    facets = facets + (complex_.tetrahedron_triangle_shifts @ lattice)[:, :, None]
    for vertex in range(4):
        others = complex_.tetrahedron_vertices[:, [k for k in range(4) if k != vertex]]
        apart = np.linalg.norm(facets[:, vertex, :, None] - others[:, None], axis=3).min(axis=2)
        assert apart.max() < 1e-9
    ends = complex_.points[complex_.edges.points] + complex_.edges.shifts @ lattice
    lengths = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)[complex_.edges.of_triangles]
    corners = complex_.triangle_vertices
    for vertex, (first, second) in enumerate([(1, 2), (2, 0), (0, 1)]):
        np.testing.assert_allclose(
            lengths[:, vertex], np.linalg.norm(corners[:, first] - corners[:, second], axis=1), atol=1e-9
        )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_cell_origin_order_and_orientation_do_not_matter(seed: int) -> None:
    from scipy.stats import special_ortho_group

    points, lattice = random_crystal(seed)
    random = np.random.default_rng(seed)
    one = periodic_delaunay(points, lattice)
    change = np.eye(3, dtype=int)
    for _ in range(3):
        row, other = random.choice(3, 2, replace=False)
        change[row] += random.integers(-2, 3) * change[other]
    turned = lattice @ special_ortho_group.rvs(3, random_state=random)
    if random.random() < 0.5:
        turned = turned * [1, 1, -1]
    moved = (points + random.uniform(-3, 3, 3) + random.integers(-2, 3, points.shape)) @ np.linalg.inv(change)
    other_one = periodic_delaunay(moved[random.permutation(len(points))], change @ turned)
    assert_same_shapes(one, other_one)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(2, 1, 1), (1, 2, 1), (1, 1, 3), (2, 2, 1)]))
def test_a_supercell_holds_everything_so_many_times(seed: int, times: tuple[int, int, int]) -> None:
    points, lattice = random_crystal(seed)
    cells = np.array(list(np.ndindex(*times)))
    larger = ((points[None] + cells[:, None]) / times).reshape(-1, 3)
    supercell = periodic_delaunay(larger, lattice * np.array(times)[:, None])
    assert_same_shapes(periodic_delaunay(points, lattice), supercell, times=len(cells))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.5, 4.0))
def test_all_lengths_scale(seed: int, scale: float) -> None:
    points, lattice = random_crystal(seed)
    assert_same_shapes(periodic_delaunay(points, lattice), periodic_delaunay(points, scale * lattice), scale=scale)


def test_a_slab_in_vacuum_is_triangulated() -> None:
    points = np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.05]])
    complex_ = periodic_delaunay(points, np.diag([4.0, 4.0, 40.0]))
    assert betti_numbers(complex_) == (1, 3, 3, 1)
    assert complex_.radii.max() > 15.0


@pytest.mark.parametrize(
    ("points", "lattice", "words"),
    [
        (np.zeros((0, 3)), np.eye(3), "no atom"),
        (np.full((1, 3), np.nan), np.eye(3), "not finite"),
        (np.zeros((1, 3)), np.diag([3.0, 3.0, 0.0]), "flat"),
        (np.zeros((1, 3)), np.array([[3.0, 0, 0], [3.0, 1e-6, 0], [0, 0, 3.0]]), "flat"),
        (np.zeros((1, 3)), np.diag([2.0, 2.0, 5e4]), "vacuum"),
    ],
)
def test_what_cannot_be_triangulated_is_refused_with_its_reason(points: Array, lattice: Array, words: str) -> None:
    with pytest.raises(GeometryError, match=words):
        periodic_delaunay(points, lattice)


def test_coincident_atoms_are_refused_and_not_dropped() -> None:
    with pytest.raises(GeometryError, match="same place"):
        periodic_delaunay(np.array([[0.1, 0.1, 0.1], [0.1, 0.1, 0.1], [0.6, 0.5, 0.4]]), 4 * np.eye(3), jitter=0.0)


def test_names_tell_translates_from_others() -> None:
    random = np.random.default_rng(0)
    points = random.integers(0, 5, (4000, 3))
    shifts = random.integers(-2, 3, (4000, 3, 3))
    order = random.permutation(3)
    moved = shifts + random.integers(-9, 10, (4000, 1, 3))
    names = simplex_keys(points, shifts)
    assert (names == simplex_keys(points[:, order], moved[:, order])).all()

    def slow(one: NDArray[np.int64], cells: NDArray[np.int64]) -> tuple[tuple[int, ...], ...]:
        return min(
            tuple(sorted((int(a), *map(int, s - base)) for a, s in zip(one, cells, strict=True))) for base in cells
        )

    classes = {slow(one, cells) for one, cells in zip(points, shifts, strict=True)}
    assert len(np.unique(names)) == len(classes)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_reduced_basis_spans_the_same_lattice_with_short_vectors(seed: int) -> None:
    random = np.random.default_rng(seed)
    lattice = random.normal(0, 3, (3, 3)) + random.integers(-20, 21, (3, 3)) * (random.random() < 0.5)
    if abs(np.linalg.det(lattice)) < 0.1:
        lattice += 10 * np.eye(3)
    basis, transform = reduced_basis(lattice)
    assert abs(round(np.linalg.det(transform))) == 1
    np.testing.assert_allclose(transform @ lattice, basis, atol=1e-9)
    # Minkowski's conditions: no combination with coefficients -1, 0, 1 that holds a vector is shorter than it.
    for step in np.ndindex(3, 3, 3):
        combination = np.array(step) - 1
        for which in np.flatnonzero(combination):
            if not combination[which + 1 :].any():
                assert np.linalg.norm(combination @ basis) >= np.linalg.norm(basis[which]) - 1e-9


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.3, 4.0))
def test_near_pairs_are_all_pairs(seed: int, distance: float) -> None:
    points, lattice = random_crystal(seed)
    found = near_pairs(points, lattice, distance)
    basis, _ = reduced_basis(lattice)
    reach = int(np.ceil(distance * np.linalg.norm(np.linalg.inv(basis), axis=0).max())) + 2
    transform = np.rint(basis @ np.linalg.inv(lattice)).astype(int)
    cells = (np.array(list(np.ndindex(*(2 * reach + 1,) * 3))) - reach) @ transform
    fractions = points @ lattice @ np.linalg.inv(basis)
    wraps = np.floor(fractions).astype(int) @ transform
    count = 0
    for i in range(len(points)):
        for j in range(i, len(points)):
            apart = (points[j] - wraps[j] - points[i] + wraps[i] + cells) @ lattice
            near = (np.linalg.norm(apart, axis=1) < distance).sum()
            count += (near - 1) // 2 if i == j else near
    assert len(found.distances) == count
    ends = (points[found.points[:, 1]] + found.offsets - points[found.points[:, 0]]) @ lattice
    np.testing.assert_allclose(np.linalg.norm(ends, axis=1), found.distances, atol=1e-9)
