"""What the tests of persistence share: crystals, ways to write one crystal differently, comparison of bars as multisets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from builders.geometry.complex import PeriodicDelaunay
from builders.geometry.images import near_pairs
from builders.topology.persistence import Diagrams

Floats = NDArray[np.float64]
Points = tuple[Floats, Floats]
"""Fractional coordinates and lattice."""

CUBE = np.eye(3)
HEXAGONAL = np.array([[1.0, 0, 0], [-0.5, np.sqrt(0.75), 0], [0, 0, 1.0]])
FCC = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
SQUINT = np.array([[1.0, 0, 0], [0.31, 0.13, 1.7], [0.7, 2.1, -0.4], [1.3, -0.9, 0.2]])
"""Directions in which a multiset of bars is looked at; a one-dimensional projection sorts stably."""


def random_points(seed: int, least: int = 1, most: int = 10, apart: float = 1.0) -> Points:
    """Points in a random triclinic cell of 12 Å^3 a point or so."""
    random = np.random.default_rng(seed)
    count = int(random.integers(least, most + 1))
    lattice = np.eye(3) + random.uniform(-0.35, 0.35, (3, 3))
    lattice *= np.cbrt(count * random.uniform(9.0, 16.0) / abs(np.linalg.det(lattice)))
    places: list[Floats] = []
    while len(places) < count:
        tried = random.uniform(0, 1, 3)
        if len(near_pairs(np.array([*places, tried]), lattice, apart).distances) == 0 or not places:
            places.append(tried)
    return np.array(places), lattice


def supercell(points: Points, matrix: Any) -> Points:
    """The same crystal in the cell ``matrix @ lattice``, for any integer matrix that is not singular."""
    fractions, lattice = points
    change = np.array(matrix, dtype=np.int64)
    reach = np.abs(change).sum(axis=0)
    cells = np.array(list(np.ndindex(*(2 * reach + 1)))) - reach
    moved = cells @ np.linalg.inv(change)
    moved = moved[((moved > -1e-9) & (moved < 1 - 1e-9)).all(axis=1)]
    assert len(moved) == round(abs(np.linalg.det(change)))
    inside = fractions @ np.linalg.inv(change)
    return (inside[:, None] + moved[None]).reshape(-1, 3), change @ lattice


def block(complex_: PeriodicDelaunay, copies: int, margin: int) -> tuple[Floats, NDArray[np.int64]]:
    """An open block of the complex's own points: places, and (point, cell) of each; cells from -margin to copies + margin - 1."""
    cells = np.array(list(np.ndindex(*([copies + 2 * margin] * 3)))) - margin
    names = np.concatenate([np.insert(cells, 0, point, axis=1) for point in range(complex_.n_points)])
    return complex_.points[names[:, 0]] + names[:, 1:] @ complex_.lattice, names


def assert_same_bars(one: Floats, other: Floats, tolerance: float = 1e-5, times: int = 1) -> None:
    """The second multiset holds every bar of the first so many times."""
    assert len(one) * times == len(other)
    for direction in SQUINT[:, :2]:
        mine, its = np.sort(one @ direction), np.sort(other @ direction)
        np.testing.assert_allclose(np.repeat(mine, times), its, rtol=0, atol=3 * tolerance)


def assert_same(one: Diagrams, other: Diagrams, tolerance: float = 1e-5) -> None:
    """Two diagrams of one cell are equal, torus and crystal."""
    assert one.n_points == other.n_points
    for degree in range(3):
        assert_same_bars(one.finite[degree], other.finite[degree], tolerance)
        assert_same_bars(one.extensive[degree], other.extensive[degree], tolerance)
    for mine, its in zip(one.essential, other.essential, strict=True):
        np.testing.assert_allclose(mine, its, rtol=0, atol=tolerance)


def long_bars(bars: Floats, least: float = 0.02) -> Floats:
    """Bars that are no rounding."""
    return bars[bars[:, 1] - bars[:, 0] > least]


def counted(bars: Floats, digits: int = 4) -> dict[tuple[float, ...], int]:
    """Long bars, rounded, with their number."""
    rounded, counts = np.unique(long_bars(bars).round(digits), axis=0, return_counts=True)
    return {tuple(bar): int(count) for bar, count in zip(rounded.tolist(), counts, strict=True)}
