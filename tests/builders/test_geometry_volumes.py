"""Volumes of Voronoi cells against closed forms, an independent construction, voro++ (freud) and each other."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from builders.geometry import insertion
from builders.geometry.complex import PeriodicDelaunay
from builders.geometry.delaunay import periodic_delaunay
from builders.geometry.insertion import insert, inserted_volumes
from builders.geometry.measures import (
    circumcentres_of_tetrahedra,
    circumcentres_of_triangles,
    equivalent_radius,
    tetrahedron_volumes,
    voronoi_volumes,
)
from builders.geometry.planes import cell_by_planes, relevant_vectors
from builders.geometry.reduction import reduced_basis
from store.errors import GeometryError

Array = NDArray[np.float64]

CUBIC_PRIMITIVE: list[list[float]] = [[0, 0, 0]]
BODY_CENTRED: list[list[float]] = [[0, 0, 0], [0.5, 0.5, 0.5]]
FACE_CENTRED: list[list[float]] = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
DIAMOND = FACE_CENTRED + [[x + 0.25 for x in place] for place in FACE_CENTRED]
HEXAGONAL = np.array([[1, 0, 0], [-0.5, np.sqrt(0.75), 0], [0, 0, 1.0]])
FREUD_TOLERANCE = 5e-6  # freud keeps places as 32-bit numbers


def supercell(fractions: Array, lattice: Array, repeats: tuple[int, int, int]) -> tuple[Array, Array]:
    steps = np.array(list(np.ndindex(*repeats)))
    return (
        (fractions[:, None] + steps).reshape(-1, 3) / np.array(repeats),
        lattice * np.array(repeats)[:, None],
    )


def freud_volumes(points: Array, lattice: Array) -> Array:
    freud = pytest.importorskip("freud", reason="freud-analysis (the dev extra) is the oracle of volumes")
    basis, _ = reduced_basis(lattice)
    basis = basis if np.linalg.det(basis) > 0 else -basis
    rotation, upper = np.linalg.qr(basis.T)
    signs = np.sign(np.diag(upper))
    box = freud.box.Box.from_matrix(upper * signs[:, None])
    voronoi = freud.locality.Voronoi()
    voronoi.compute((box, box.wrap(points @ (rotation * signs))))
    volumes: Array = np.asarray(voronoi.volumes)
    assert volumes.sum() == pytest.approx(abs(np.linalg.det(lattice)), rel=1e-6)
    return volumes


def equal_to_the_twin(complex_: PeriodicDelaunay, positions: Array, tolerance: float = 3e-7) -> None:
    found = insert(complex_, positions)
    assert not found.by_planes.any()
    for place, volume, far in zip(positions, found.volumes, found.far, strict=True):
        expected, reach = cell_by_planes(complex_.points, complex_.lattice, place)
        assert volume == pytest.approx(expected, rel=tolerance)
        assert far == pytest.approx(reach, abs=1e-4)


def some_crystal(seed: int, most: int = 12) -> tuple[Array, Array]:
    """Random atoms, not too near each other, in a random cell of an ordinary shape and 12 Å^3 an atom."""
    random = np.random.default_rng(seed)
    count = int(random.integers(1, most + 1))
    lattice = np.eye(3) + random.uniform(-0.45, 0.45, (3, 3))
    lattice *= np.cbrt(12.0 * count / abs(np.linalg.det(lattice)))
    basis, transform = reduced_basis(lattice)
    places: list[Array] = []
    for place in random.random((4000, 3)):
        differences = np.array([place - other for other in places]).reshape(-1, 3)
        differences -= np.rint(differences)
        if (np.linalg.norm(differences @ basis, axis=1) > 1.5).all():
            places.append(place)
        if len(places) == count:
            break
    return np.array(places) @ transform, lattice


# -- simplices ------------------------------------------------------------------------------------------------------


@given(st.integers(0, 10**6), st.floats(0.01, 100.0))
@settings(max_examples=40, deadline=None)
def test_circumcentres_are_as_far_from_every_corner_as_the_radius_says(seed: int, size: float) -> None:
    vertices = np.random.default_rng(seed).uniform(-size, size, (20, 4, 3)) + 30.0
    for corners, centres_of in ((vertices, circumcentres_of_tetrahedra), (vertices[:, :3], circumcentres_of_triangles)):
        centres, radii = centres_of(corners)
        distances = np.linalg.norm(corners - centres[:, None], axis=2)
        assert np.allclose(distances, radii[:, None], rtol=1e-6, atol=1e-6)
    centres, _ = circumcentres_of_triangles(vertices[:, :3])
    normals = np.cross(vertices[:, 1] - vertices[:, 0], vertices[:, 2] - vertices[:, 0])
    assert (
        np.abs(((centres - vertices[:, 0]) * normals).sum(axis=1)).max() <= 1e-7 * size * np.abs(normals).max() + 1e-9
    )


def test_a_flat_tetrahedron_and_a_flat_triangle_have_no_finite_centre_and_spoil_no_other() -> None:
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1.0, 0]])
    corner = np.array([[0, 0, 0], [2.0, 0, 0], [0, 2.0, 0], [0, 0, 2.0]])
    centres, radii = circumcentres_of_tetrahedra(np.array([square, corner]))
    assert not np.isfinite(radii[0])
    assert np.allclose(centres[1], 1.0)
    line = np.array([[0, 0, 0], [1, 0, 0], [2.0, 0, 0]])
    _, radii = circumcentres_of_triangles(np.array([line, corner[1:]]))
    assert not np.isfinite(radii[0])
    assert radii[1] == pytest.approx(np.sqrt(8 / 3))


def test_a_sliver_keeps_its_centre() -> None:
    lifted = 1e-6
    sliver = np.array([[[1, 0, lifted], [0, 1, -lifted], [-1, 0, lifted], [0, -1.0, -lifted]]])
    centres, radii = circumcentres_of_tetrahedra(sliver)
    assert np.allclose(centres, 0.0, atol=1e-8)
    assert radii == pytest.approx(1.0)


def test_mirroring_a_tetrahedron_turns_the_sign_of_its_volume() -> None:
    vertices = np.random.default_rng(3).random((5, 4, 3))
    assert np.allclose(tetrahedron_volumes(vertices), -tetrahedron_volumes(vertices[:, [1, 0, 2, 3]]))
    assert np.allclose(tetrahedron_volumes(vertices), np.linalg.det(vertices[:, 1:] - vertices[:, :1]) / 6)


# -- cells of the points ------------------------------------------------------------------------------------------------


@given(st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_the_cells_of_the_points_fill_the_crystal(seed: int) -> None:
    complex_ = periodic_delaunay(*some_crystal(seed, 30))
    volumes = voronoi_volumes(complex_)
    assert volumes.min() > 0
    assert volumes.sum() == pytest.approx(complex_.volume, rel=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_the_cells_of_the_points_are_those_of_freud(seed: int) -> None:
    complex_ = periodic_delaunay(*some_crystal(seed, 30))
    expected = freud_volumes(complex_.points, complex_.lattice)
    assert voronoi_volumes(complex_) == pytest.approx(expected, rel=FREUD_TOLERANCE)


@pytest.mark.parametrize("places", [CUBIC_PRIMITIVE, BODY_CENTRED, FACE_CENTRED, DIAMOND])
@pytest.mark.parametrize("repeats", [1, 2])
def test_equal_atoms_of_a_symmetric_crystal_have_equal_cells(places: list[list[float]], repeats: int) -> None:
    fractions, lattice = supercell(np.array(places), 3.6 * np.eye(3), (repeats,) * 3)
    volumes = voronoi_volumes(periodic_delaunay(fractions, lattice))
    assert volumes == pytest.approx(3.6**3 / len(places), rel=1e-5)


# -- cells of inserted positions: closed forms ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("places", "void", "r_sd"),
    [
        (FACE_CENTRED, [0.5, 0.5, 0.5], 0.5 * (3 / 4 / np.pi) ** (1 / 3)),
        (FACE_CENTRED, [0.25, 0.25, 0.25], 0.31609),
        (BODY_CENTRED, [0.5, 0.25, 0], 0.39349),
        (CUBIC_PRIMITIVE, [0.5, 0.5, 0.5], (3 / 8 / np.pi) ** (1 / 3)),
    ],
    ids=["fcc octahedral", "fcc tetrahedral", "bcc tetrahedral", "sc"],
)
@pytest.mark.parametrize("parameter", [2.5, 4.05])
@pytest.mark.parametrize(
    "transform",
    [np.eye(3), [[1, 0, 0], [1, 1, 0], [0, 3, -1]], [[1, 5, 0], [0, 1, 40], [0, 0, 1]]],
    ids=["cube", "skewed and left-handed", "very skewed"],
)
def test_sizes_of_voids_of_cubic_crystals(
    places: list[list[float]], void: list[float], r_sd: float, parameter: float, transform: list[list[float]]
) -> None:
    lattice = np.array(transform) @ (parameter * np.eye(3))
    complex_ = periodic_delaunay(np.array(places) @ np.linalg.inv(transform), lattice)
    found = insert(complex_, np.array([void]) * parameter + 7 * lattice[0])
    assert not found.by_planes.any()
    assert equivalent_radius(found.volumes) / parameter == pytest.approx(r_sd, abs=5e-6)


@pytest.mark.parametrize(
    ("vectors", "share"),
    [([[-1, 1, 1], [1, -1, 1], [1, 1, -1]], 0.5), ([[0, 1, 1], [1, 0, 1], [1, 1, 0]], 0.5)],
    ids=["bcc", "fcc"],
)
def test_a_primitive_cell_of_one_atom_is_no_special_case(vectors: list[list[float]], share: float) -> None:
    lattice = np.array(vectors) * 1.45
    complex_ = periodic_delaunay(np.zeros((1, 3)), lattice)
    half_way = lattice.sum(axis=0) / 2
    equal_to_the_twin(complex_, np.vstack([half_way, complex_.centres, lattice[0] / 2, [0.3, 0.4, 0.2]]))
    # Two equal interpenetrating lattices: each has half of space.
    assert inserted_volumes(complex_, half_way) == pytest.approx(share * complex_.volume, rel=1e-6)


LICOO2 = np.array([[0, 0, 0], [2 / 3, 1 / 3, 1 / 3], [1 / 3, 2 / 3, 2 / 3]])


@pytest.mark.parametrize(
    ("repeats", "r_sd"), [((1, 1, 1), 1.289), ((3, 3, 1), 1.299)], ids=["with its translates", "alone"]
)
def test_the_lithium_place_of_licoo2_is_smaller_with_its_translates(repeats: tuple[int, int, int], r_sd: float) -> None:
    lattice = HEXAGONAL * np.array([[2.811], [2.811], [14.05]])
    oxygen = np.array([0, 0, 0.26])
    framework = np.vstack([LICOO2, LICOO2 + oxygen, LICOO2 - oxygen])
    complex_ = periodic_delaunay(*supercell(framework, lattice, repeats))
    found = equivalent_radius(inserted_volumes(complex_, np.array([[0, 0, 0.5 * 14.05]])))
    assert found == pytest.approx(r_sd, abs=1e-3)


def test_a_larger_cell_has_fewer_translates_and_may_leave_more_room() -> None:
    void = np.array([[1.0, 1.0, 1.0]])  # tetrahedral, a = 4
    primitive = periodic_delaunay(np.zeros((1, 3)), np.array([[0, 2, 2], [2, 0, 2], [2, 2, 0.0]]))
    cube = periodic_delaunay(np.array(FACE_CENTRED), 4.0 * np.eye(3))
    assert equivalent_radius(inserted_volumes(primitive, void)) / 4 == pytest.approx(0.31018, abs=5e-6)
    assert equivalent_radius(inserted_volumes(cube, void)) / 4 == pytest.approx(0.31609, abs=5e-6)


# -- cells of inserted positions: oracles ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(25))
def test_inserted_cells_are_those_of_the_twin_and_of_freud(seed: int) -> None:
    complex_ = periodic_delaunay(*some_crystal(seed, 24))
    random = np.random.default_rng(seed)
    positions = np.vstack([random.choice(complex_.centres, 6), random.random((3, 3)) @ complex_.lattice])
    equal_to_the_twin(complex_, positions)
    for position, volume in zip(positions[::3], inserted_volumes(complex_, positions)[::3], strict=True):
        assert volume == pytest.approx(
            freud_volumes(np.vstack([position, complex_.points]), complex_.lattice)[0], rel=FREUD_TOLERANCE
        )


@pytest.mark.parametrize("places", [CUBIC_PRIMITIVE, BODY_CENTRED, FACE_CENTRED, DIAMOND])
@pytest.mark.parametrize("repeats", [1, 2])
def test_highly_symmetric_crystals_need_no_fallback(places: list[list[float]], repeats: int) -> None:
    complex_ = periodic_delaunay(*supercell(np.array(places), 3.0 * np.eye(3), (repeats,) * 3))
    halves = np.array(list(np.ndindex(2, 2, 2)))[1:] @ complex_.lattice / 2 / repeats
    free = [half for half in halves if np.linalg.norm(fold(half - complex_.points, complex_), axis=1).min() > 0.1]
    equal_to_the_twin(complex_, np.vstack([complex_.centres[:20], *free]))


def fold(differences: Array, complex_: PeriodicDelaunay) -> Array:
    fractions = differences @ np.linalg.inv(complex_.lattice)
    folded: Array = (fractions - np.rint(fractions)) @ complex_.lattice
    return folded


@pytest.mark.parametrize(
    ("places", "lattice"),
    [
        ([[1 / 3, 2 / 3, 0.5], [2 / 3, 1 / 3, 0.5]], HEXAGONAL * np.array([[2.46], [2.46], [22.0]])),
        ([[0, 0, 0]], np.diag([2.5, 2.5, 20.0])),
        ([[0, 0, 0]], np.array([[2.5, 0, 0], [1.2, 10, 0], [0.7, 3, 11.0]])),
        ([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0.03]], 13.0 * np.eye(3)),
    ],
    ids=["layer in vacuum", "one-atom layer", "chain", "molecule"],
)
def test_vacuum_is_no_special_case(places: list[list[float]], lattice: Array) -> None:
    complex_ = periodic_delaunay(np.array(places), lattice)
    random = np.random.default_rng(1).random((4, 3)) @ lattice
    equal_to_the_twin(complex_, np.vstack([complex_.centres, random]))


@given(st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_an_atom_taken_out_and_put_back_has_its_cell_again(seed: int) -> None:
    fractions, lattice = some_crystal(seed)
    if len(fractions) < 2:
        return
    volumes = voronoi_volumes(periodic_delaunay(fractions, lattice))
    without = periodic_delaunay(fractions[1:], lattice)
    assert inserted_volumes(without, fractions[:1] @ lattice) == pytest.approx(volumes[:1], rel=1e-5)


# -- invariances ----------------------------------------------------------------------------------------------------------


def chosen(seed: int, complex_: PeriodicDelaunay) -> Array:
    random = np.random.default_rng(seed)
    return np.vstack([random.choice(complex_.centres, 5), random.random((2, 3)) @ complex_.lattice])


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_rotation_and_origin_and_scale_change_nothing(seed: int) -> None:
    fractions, lattice = some_crystal(seed)
    complex_ = periodic_delaunay(fractions, lattice)
    positions = chosen(seed, complex_)
    expected = inserted_volumes(complex_, positions)
    random = np.random.default_rng(seed + 1)
    turn, _ = np.linalg.qr(random.normal(size=(3, 3)))  # mirrored as often as not
    move, scale = random.uniform(-2, 2, 3), random.uniform(0.7, 1.5)
    moved = periodic_delaunay(fractions + move, scale * lattice @ turn)
    found = inserted_volumes(moved, scale * (positions + move @ lattice) @ turn)
    assert found == pytest.approx(scale**3 * expected, rel=1e-5)


@given(st.integers(0, 10**6), st.lists(st.integers(-3, 3), min_size=6, max_size=6))
@settings(max_examples=25, deadline=None)
def test_the_choice_of_the_cell_and_the_order_of_the_atoms_change_nothing(seed: int, steps: list[int]) -> None:
    fractions, lattice = some_crystal(seed)
    complex_ = periodic_delaunay(fractions, lattice)
    positions = chosen(seed, complex_)
    transform = np.array([[1, steps[0], steps[1]], [0, 1, steps[2]], [0, 0, 1]])
    transform = transform @ np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]]) + 0.0
    transform[0] += steps[3] * transform[1] + steps[4] * transform[2]
    random = np.random.default_rng(seed)
    cells = random.integers(-2, 3, fractions.shape)
    other = periodic_delaunay(
        random.permutation(fractions @ np.linalg.inv(transform) + cells), transform @ lattice, seed=5
    )
    moved = positions + random.integers(-4, 5, positions.shape) @ lattice
    assert inserted_volumes(other, moved) == pytest.approx(inserted_volumes(complex_, positions), rel=1e-5)


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_fewer_atoms_leave_more_room(seed: int) -> None:
    fractions, lattice = some_crystal(seed)
    if len(fractions) < 2:
        return
    complex_ = periodic_delaunay(fractions, lattice)
    positions = chosen(seed, complex_)
    emptier = inserted_volumes(periodic_delaunay(fractions[1:], lattice), positions)
    volumes = inserted_volumes(complex_, positions)
    assert (emptier >= volumes * (1 - 1e-5)).all()
    assert (emptier <= complex_.volume * (1 + 1e-5)).all()


def test_positions_do_not_see_each_other() -> None:
    complex_ = periodic_delaunay(*some_crystal(4, 20))
    positions = np.random.default_rng(4).random((30, 3)) @ complex_.lattice
    together = inserted_volumes(complex_, np.vstack([positions, positions[:3]]))
    alone = [float(inserted_volumes(complex_, position)[0]) for position in positions]
    assert together == pytest.approx([*alone, *alone[:3]], rel=1e-12)


def test_many_positions_are_done_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    complex_ = periodic_delaunay(*some_crystal(4, 20))
    positions = np.random.default_rng(4).random((30, 3)) @ complex_.lattice
    whole = inserted_volumes(complex_, positions)
    monkeypatch.setattr(insertion, "_MOST_TESTS", 1)
    assert inserted_volumes(complex_, positions) == pytest.approx(whole, rel=1e-12)


# -- refusals and doubt -----------------------------------------------------------------------------------------------------


def test_a_star_that_is_not_proved_is_replaced_by_planes() -> None:
    complex_ = periodic_delaunay(*some_crystal(8, 20))
    positions = chosen(8, complex_)
    expected = inserted_volumes(complex_, positions)
    spoiled = dataclasses.replace(complex_, tetrahedron_triangles=complex_.tetrahedron_triangles[:, ::-1])
    found = insert(spoiled, positions)  # facets under wrong names: no star is closed
    assert found.by_planes.all()
    assert found.volumes == pytest.approx(expected, rel=1e-6)
    shrunk = dataclasses.replace(complex_, radii=np.full(len(complex_.radii), 1e-3))  # no cavity at all
    found = insert(shrunk, positions)
    assert found.by_planes.all()
    assert found.volumes == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("away", [0.0, 5e-4])
def test_a_position_on_an_atom_is_refused(away: float) -> None:
    complex_ = periodic_delaunay(np.array(BODY_CENTRED), 3.0 * np.eye(3))
    with pytest.raises(GeometryError, match=r"\(4\.50.*stands on a point"):
        inserted_volumes(complex_, np.array([[1.0, 0, 0], [4.5 + away, 1.5, -1.5]]))
    with pytest.raises(GeometryError, match="stands on a point"):
        cell_by_planes(complex_.points, complex_.lattice, np.array([4.5 + away, 1.5, -1.5]))


def test_a_position_near_an_atom_is_not() -> None:
    complex_ = periodic_delaunay(np.array(BODY_CENTRED), 3.0 * np.eye(3), jitter=1e-9)
    equal_to_the_twin(complex_, np.array([[0.01, 0, 0], [1.5, 1.52, 1.5]]), 1e-5)


def test_positions_must_be_finite_and_may_be_none() -> None:
    complex_ = periodic_delaunay(np.array(BODY_CENTRED), 3.0 * np.eye(3))
    with pytest.raises(GeometryError, match="not finite"):
        inserted_volumes(complex_, np.array([[np.nan, 0, 0]]))
    assert inserted_volumes(complex_, np.zeros((0, 3))).shape == (0,)


@pytest.mark.parametrize(
    ("lattice", "count"),
    [
        (np.eye(3), 6),
        (HEXAGONAL, 8),
        ([[0, 1, 1], [1, 0, 1], [1, 1, 0]], 12),
        ([[-1, 1, 1], [1, -1, 1], [1, 1, -1]], 14),
        ([[1, 0, 0], [50, 1, 0], [0, 30, 1]], 6),
    ],
    ids=["cubic", "hexagonal", "fcc", "bcc", "skewed cubic"],
)
def test_a_wigner_seitz_cell_has_the_faces_of_its_bravais_lattice(lattice: list[list[float]], count: int) -> None:
    vectors = relevant_vectors(np.array(lattice, dtype=float))
    assert len(vectors) == count
    lengths = np.linalg.norm(vectors, axis=1)
    assert (np.diff(lengths) >= -1e-9).all()


@given(st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_planes_to_relevant_vectors_alone_make_the_wigner_seitz_cell(seed: int) -> None:
    from scipy.spatial import ConvexHull

    lattice = np.random.default_rng(seed).normal(size=(3, 3))
    if abs(np.linalg.det(lattice)) < 0.1:
        return
    vectors = relevant_vectors(lattice)
    assert len(vectors) in (6, 8, 10, 12, 14)
    equations = ConvexHull(2.0 * vectors / (vectors**2).sum(axis=1)[:, None]).equations
    assert ConvexHull(-equations[:, :3] / equations[:, 3:]).volume == pytest.approx(abs(np.linalg.det(lattice)))


def test_a_star_that_covers_the_directions_twice_or_not_at_all_is_not_proved() -> None:
    complex_ = periodic_delaunay(*some_crystal(8, 20))
    space = insertion._Space.of(complex_, complex_.lattice)
    [(_, star)] = space.stars(space.wrapped(chosen(8, complex_)))
    nothing = np.zeros(len(star.owners), dtype=bool)
    assert insertion._measure(star).proved.all()
    assert not insertion._measure(star.replaced(nothing, star)).proved.any()
    first = star.owners == 0
    none = insertion._Star.of(star.owners[:0], star.corners[:0], star.names[:0], star.count)
    assert insertion._measure(star.replaced(first, none)).proved.tolist() == [False, *[True] * (star.count - 1)]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_translates_of_another_lattice_are_the_positions_own(seed: int) -> None:
    """A superlattice's translates: as planes cut it, and as the supercell with its own lattice has it."""
    random = np.random.default_rng(seed)
    points, lattice = some_crystal(seed, int(random.integers(1, 6)))
    times = random.integers(1, 4, 3)
    larger = lattice * times[:, None]
    complex_ = periodic_delaunay(points, lattice)
    cells = np.array(list(np.ndindex(*times)))
    supercell = periodic_delaunay(((points[None] + cells[:, None]) / times).reshape(-1, 3), larger)
    voids = complex_.centres[random.permutation(len(complex_.centres))[:5]]
    volumes = inserted_volumes(complex_, voids, larger)
    np.testing.assert_allclose(volumes, inserted_volumes(supercell, voids), rtol=3e-6)
    by_planes = [cell_by_planes(complex_.points, complex_.lattice, void, larger)[0] for void in voids]
    np.testing.assert_allclose(volumes, by_planes, rtol=3e-6)
