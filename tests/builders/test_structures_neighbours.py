"""Distances against a search over all images, for cells of every shape."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.structures.analysis import analyse
from builders.structures.neighbours import neighbourhood, pairs_within, points_of
from store.crystal import Crystal
from store.errors import InvalidLattice


def brute_force(crystal: Crystal, k: int, reach: int) -> np.ndarray:
    """All distances to images within ``reach`` cells; shape=(n_sites, k)."""
    steps = np.array(list(itertools.product(range(-reach, reach + 1), repeat=3)), dtype=float)
    images = crystal.frac_coords[None] + steps[:, None]
    difference = images.reshape(-1, 1, 3) - crystal.frac_coords[None]
    distances = np.sort(np.linalg.norm(difference @ crystal.lattice, axis=2), axis=0).T
    return distances[:, 1 : k + 1]


@given(
    st.lists(st.floats(2.5, 6.0), min_size=3, max_size=3),
    st.lists(st.floats(-1.2, 1.2), min_size=3, max_size=3),
    st.lists(st.tuples(*[st.integers(0, 9)] * 3), min_size=1, max_size=4, unique=True),
)
@settings(max_examples=60, deadline=None)
def test_neighbours_agree_with_brute_force(
    lengths: list[float], shear: list[float], places: list[tuple[int, int, int]]
) -> None:
    lattice = np.diag(lengths) + np.array([[0, 0, 0], [shear[0], 0, 0], [shear[1], shear[2], 0]])
    crystal = Crystal.from_lists(lattice, ["Li"] * len(places), np.array(places) / 10 + 0.013)
    points = points_of(crystal)
    expected = brute_force(crystal, 24, 5)
    if expected.min() < 0.2:  # coincident atoms are another test
        return
    found = neighbourhood(points, 24)
    assert found.nearest == pytest.approx(expected, abs=1e-9)
    assert found.min_distance == pytest.approx(expected.min(), abs=1e-9)


@pytest.mark.parametrize("skew", [0, 1, 7, 300])
def test_a_skewed_cell_changes_nothing(skew: int) -> None:
    lattice = np.array([[3.0, 0, 0], [3.0 * skew, 3.1, 0], [0, 3.1 * skew, 3.3]])
    found = neighbourhood(points_of(Crystal.from_lists(lattice, ["Po"], [[0.3, 0.2, 0.1]])), 7)
    assert found.nearest[0] == pytest.approx([3, 3, 3.1, 3.1, 3.3, 3.3, np.hypot(3, 3.1)], abs=1e-6)


def test_a_hopelessly_skewed_cell_is_refused() -> None:
    lattice = np.array([[3.0, 0, 0], [3e5, 3.1, 0], [0, 3.1e5, 3.3]])
    with pytest.raises(InvalidLattice):
        analyse(Crystal.from_lists(lattice, ["Po"], [[0.3, 0.2, 0.1]]))


def test_a_chain_in_a_wide_empty_box_needs_a_growing_radius() -> None:
    found = neighbourhood(points_of(Crystal.from_lists(np.diag([2.5, 90, 90]), ["C"], [[0, 0, 0]])), 24)
    assert found.nearest[0] == pytest.approx(np.repeat(np.arange(1, 13) * 2.5, 2))


def test_partial_occupancy_counts_neighbours_by_what_is_there() -> None:
    lattice = np.eye(3) * 3.0
    full = Crystal.from_lists(lattice, ["Po"], [[0, 0, 0]])
    half = Crystal.from_lists(lattice, ["Po0.5"], [[0, 0, 0]], [{"Po": 0.5}])
    plain = neighbourhood(points_of(full), 26).nearest[0]
    shared = neighbourhood(points_of(half), 13).nearest[0]
    # Each unit of occupancy is two half neighbours.
    assert shared == pytest.approx(plain.reshape(13, 2).mean(axis=1))


def test_pairs_are_symmetric_and_leave_out_the_atom_itself() -> None:
    rng = np.random.default_rng(0)
    crystal = Crystal.from_lists(np.eye(3) * 7, ["Li"] * 12, rng.uniform(size=(12, 3)))
    pairs = pairs_within(points_of(crystal), 4.0)
    assert (np.diff(pairs.centre) >= 0).all()
    forward = sorted(zip(pairs.centre, pairs.neighbour, pairs.distance.round(9), strict=True))
    backward = sorted(zip(pairs.neighbour, pairs.centre, pairs.distance.round(9), strict=True))
    assert forward == backward
    assert pairs.distance.min() > 0


def test_ten_thousand_atoms() -> None:
    grid = np.stack(np.meshgrid(*[np.arange(22)] * 3), -1).reshape(-1, 3)[:10_000] / 22
    rng = np.random.default_rng(1)
    crystal = Crystal.from_lists(np.eye(3) * 66, ["Na"] * 10_000, grid + rng.normal(scale=0.003, size=grid.shape))
    found = neighbourhood(points_of(crystal), 24)
    some = rng.integers(0, 10_000, 5)
    difference = crystal.frac_coords[some, None] - crystal.frac_coords[None]
    difference -= difference.round()
    expected = np.sort(np.linalg.norm(difference * 66, axis=2), axis=1)[:, 1:25]
    assert found.nearest[some] == pytest.approx(expected)
