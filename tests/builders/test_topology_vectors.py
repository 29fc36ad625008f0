"""Curves, statistics, images and landscapes: known values, fixed names, and independence of the cell."""

from __future__ import annotations

from itertools import pairwise
from math import erf, sqrt
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.topology.analysis import analyse
from builders.topology.groups import GROUPS
from builders.topology.images import BANDWIDTH, LEVELS, image_axes, landscape, persistence_image
from builders.topology.persistence import Diagrams, persistence
from builders.topology.vectors import GRID, KINDS, LABELS, STATISTICS, Kind, betti_curve, column, statistics, vectorise

from .channel_crystals import random_crystal
from .topology_checks import FCC, random_points, supercell

SEEDS = st.integers(0, 2**32 - 1)


def made_of(bars: list[list[float]], n_points: int = 1) -> Diagrams:
    """Diagrams that hold these bars in each degree."""
    array = np.array(bars, dtype=float).reshape(-1, 2)
    births = (np.zeros(1), np.full(3, 1.0), np.full(3, 2.0), np.full(1, 3.0))
    return Diagrams((array,) * 3, births, n_points, 1, (array,) * 3)


def test_betti_curve_by_hand() -> None:
    found = made_of([[1.0, 2.0], [1.5, 3.0], [1.5, 2.0]], n_points=2)
    grid = np.array([0.99, 1.0, 1.5, 1.99, 2.0, 2.99, 3.0])
    assert betti_curve(found, 1, grid).tolist() == [0.0, 0.5, 1.5, 1.5, 0.5, 0.5, 0.0]
    assert betti_curve(found, 1, grid, of="torus").tolist() == [0.0, 2.0, 3.0, 3.0, 2.0, 2.0, 1.5]


def test_means_of_the_curve_by_hand() -> None:
    found = made_of([[1.0, 2.0], [1.5, 3.0], [1.5, 2.0]], n_points=2)
    means = betti_curve(found, 1, np.array([0.5, 1.0, 1.5, 1.9]), width=0.4)
    np.testing.assert_allclose(means, [0.0, 0.25, 1.0, (0.3 * 1.5 + 0.1 * 0.5) / 0.4])
    fine = np.linspace(1.7, 2.1, 200_001)
    assert means[3] == pytest.approx(betti_curve(found, 1, fine).mean(), abs=1e-4)


def test_statistics_by_hand() -> None:
    found = statistics(made_of([[1.0, 2.0], [1.0, 4.0]], n_points=2))
    assert tuple(found) == STATISTICS
    assert found["h1_count"] == 1.0
    assert found["h1_length_sum"] == 2.0
    assert found["h1_death_mean"] == pytest.approx((1 * 2 + 3 * 4) / 4)
    assert found["h1_death_std"] == pytest.approx(sqrt((1 * 1.5**2 + 3 * 0.5**2) / 4))
    assert (found["h2_death_min"], found["h2_death_max"], found["h2_birth_std"]) == (2.0, 4.0, 0.0)
    assert found["h1_entropy"] == pytest.approx(-0.25 * np.log(0.25) - 0.75 * np.log(0.75) - np.log(2))
    assert [found[f"h2_endless_{k}"] for k in (1, 2, 3)] == [2.0] * 3
    nothing = statistics(made_of([]))
    assert nothing["h1_count"] == nothing["h1_death_sum"] == 0.0
    assert np.isnan([nothing["h1_death_mean"], nothing["h1_entropy"]]).all()


def test_image_by_hand() -> None:
    image = persistence_image(made_of([[2.0, 2.7]], n_points=2), 1)
    births, lengths = image_axes(1)

    def share(low: float, high: float, centre: float) -> float:
        return 0.5 * (erf((high - centre) / BANDWIDTH / sqrt(2)) - erf((low - centre) / BANDWIDTH / sqrt(2)))

    expected = [
        [0.35 * share(b0, b1, 2.0) * share(l0, l1, 0.7) for l0, l1 in pairwise(lengths)] for b0, b1 in pairwise(births)
    ]
    np.testing.assert_allclose(image, expected, atol=1e-12)


def test_landscape_by_hand() -> None:
    found = made_of([[1.0, 3.0], [1.0, 2.0], [1.5, 3.5], [2.0, 2.2]], n_points=2)
    grid = np.array([1.5, 2.0, 2.1, 2.75])
    levels = landscape(found, 1, grid)
    assert LEVELS == (0.0, 0.25, 0.5, 1.0, 2.0)  # of two points: the first, first, first, second and fourth bar
    np.testing.assert_allclose(levels[0], [0.5, 1.0, 0.9, 0.75])
    np.testing.assert_allclose(levels[2], levels[0])
    np.testing.assert_allclose(levels[3], [0.5, 0.5, 0.6, 0.25])
    np.testing.assert_allclose(levels[4], [0.0, 0.0, 0.0, 0.0])
    assert not landscape(made_of([]), 1, grid).any()


@pytest.mark.parametrize("kind", KINDS)
def test_names_are_fixed_and_missing_groups_are_nan(kind: Kind) -> None:
    assert get_args(Kind) == KINDS
    found = analyse(random_crystal(2), "Li")
    names, values = vectorise(found, kind)
    assert len(names) == len(set(names)) == len(values) == len(GROUPS) * len(LABELS[kind])
    assert list(dict.fromkeys(column(name).group for name in names)) == list(GROUPS)
    assert {column(name).degree for name in names} == {0, 1, 2}
    without = {name: each for name, each in found.items() if name != "ion"}
    same_names, fewer = vectorise(without, kind)
    assert same_names == names
    missing = np.array([column(name).group == "ion" for name in names])
    assert np.isnan(fewer[missing]).all()
    np.testing.assert_array_equal(fewer[~missing], values[~missing])
    if kind == "curves":
        radii = [float(column(name).what) for name in names if name.startswith("all_h2")]
        np.testing.assert_allclose(radii, GRID[2])
        assert not np.isnan(values).any()


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(ValueError, match="kind='histograms'"):
        vectorise({}, "histograms")  # type: ignore[arg-type]


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.sampled_from([np.diag([2, 1, 1]), np.diag([2, 2, 1]), np.array([[1, 1, 0], [-1, 1, 0], [0, 0, 2]])]))
def test_vectors_do_not_depend_on_the_cell(seed: int, matrix: np.ndarray) -> None:
    points = random_points(seed, most=7)
    one, many = {"all": persistence(*points)}, {"all": persistence(*supercell(points, matrix))}
    for degree in range(3):
        # A birth or death on the grid may fall on either side of it: the points are moved by up to 1e-6 Å.
        grid = GRID[degree]
        events = one["all"].extensive[degree].ravel()
        clear = np.abs(grid[:, None] - events).min(axis=1, initial=1.0) > 1e-5
        curves = [betti_curve(each["all"], degree, grid)[clear] for each in (one, many)]
        np.testing.assert_allclose(*curves, atol=1e-12)
    lengths = np.concatenate([np.diff(bars, axis=1).ravel() for bars in many["all"].extensive])
    assert np.abs(lengths - 0.01).min() > 1e-6  # else a bar may be short in one cell and not in the other
    for kind in KINDS:
        names, mine = vectorise(one, kind, ("all",))
        _, its = vectorise(many, kind, ("all",))
        kept = np.array(["endless" not in name for name in names])
        np.testing.assert_allclose(mine[kept], its[kept], atol=2e-5)


def test_primitive_and_conventional_cells_agree() -> None:
    primitive = persistence(np.zeros((1, 3)), 2.0 * (np.ones((3, 3)) - np.eye(3)))
    conventional = persistence(FCC, 4.0 * np.eye(3))
    eight = persistence(*supercell((FCC, 4.0 * np.eye(3)), 2 * np.eye(3, dtype=int)))
    for kind in KINDS:
        rows = [vectorise({"all": each}, kind, ("all",))[1] for each in (primitive, conventional, eight)]
        np.testing.assert_allclose(rows[0], rows[1], atol=1e-4)
        np.testing.assert_allclose(rows[0], rows[2], atol=1e-4)


def test_curves_tell_layers_from_rows_from_clusters() -> None:
    """Lithium at the corners of boxes: one long axis makes layers, two make rows."""
    layers, rows = (persistence(np.zeros((1, 3)), np.diag(sides)) for sides in ([3.0, 3.0, 7.0], [7.0, 7.0, 3.0]))
    layered, rowed = statistics(layers), statistics(rows)
    assert [round(layered[f"h1_endless_{k}"], 2) for k in (1, 2, 3)] == [1.5, 1.5, 3.5]
    assert [round(rowed[f"h1_endless_{k}"], 2) for k in (1, 2, 3)] == [1.5, 3.5, 3.5]
    # In a layer there are squares of neighbours, one an atom; between rows there are none before the rows meet.
    assert betti_curve(layers, 1, np.array([1.8])) == 1.0
    assert betti_curve(rows, 1, np.array([1.8])) == 0.0
