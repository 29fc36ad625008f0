"""Supercells: how far atoms are from their images, and which cells are inside."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.potential.supercell import choose, repeated, supercell
from store.errors import UsageError

RHOMBOHEDRAL = np.array(
    [[1.4055, 0.8115, 4.65], [-1.4055, 0.8115, 4.65], [0.0, -1.623, 4.65]]
)  # LiCoO2, one formula unit
OLIVINE = np.diag([10.329, 6.0065, 4.6908])


def shortest(lattice: np.ndarray) -> float:
    """Shortest vector of a lattice by looking at many."""
    steps = np.array([step for step in product(range(-6, 7), repeat=3) if any(step)])
    return float(np.linalg.norm(steps @ lattice, axis=1).min())


def test_the_olivine_cell_is_doubled_along_its_short_axes() -> None:
    found, note = choose(OLIVINE, 28)
    assert (found.label, note) == ("1x2x2", None)
    assert found.apart == pytest.approx(2 * 4.6908)


def test_the_order_of_the_axes_is_kept() -> None:
    assert choose(OLIVINE[[2, 0, 1]], 28)[0].label == "2x1x2"


def test_a_skewed_primitive_cell_gets_a_compact_supercell() -> None:
    found, note = choose(RHOMBOHEDRAL, 4)
    assert note is None
    assert 8.0 <= found.apart == pytest.approx(shortest(found.lattice))
    assert len(found.cells) * 4 <= 150  # the hexagonal 3x3x1 has 108 atoms
    np.testing.assert_allclose(found.lattice, found.matrix @ RHOMBOHEDRAL)


def test_too_many_atoms_are_not_taken_and_that_is_said() -> None:
    found, note = choose(OLIVINE, 28, most=60)
    assert len(found.cells) * 28 <= 60
    assert note is not None
    assert f"{found.apart:.1f} Å apart" in note


def test_a_cell_larger_than_the_limit_is_taken_as_it_is() -> None:
    found, note = choose(np.eye(3) * 7.0, 400)
    assert found.label == "1x1x1"
    assert note is not None


@pytest.mark.parametrize("repeats", [(0, 1, 1), (1, 1), (-1, 2, 2)])
def test_repeats_that_cannot_be(repeats: tuple[int, ...]) -> None:
    with pytest.raises(UsageError):
        repeated(OLIVINE, repeats)


def test_a_singular_matrix_is_refused() -> None:
    with pytest.raises(UsageError):
        supercell(OLIVINE, np.array([[1, 0, 0], [2, 0, 0], [0, 0, 1]]))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(-3, 3), min_size=3, max_size=3), min_size=3, max_size=3))
def test_every_cell_has_just_one_home(rows: list[list[int]]) -> None:
    matrix = np.array(rows)
    size = abs(round(float(np.linalg.det(matrix))))
    if size == 0:
        return
    found = supercell(RHOMBOHEDRAL, matrix)
    assert len(found.cells) == size == len({tuple(cell) for cell in found.cells.tolist()})
    assert float(np.linalg.det(found.lattice)) > 0
    steps = np.array(list(product(range(-2, 3), repeat=3)))
    home = found.home(steps)
    assert {tuple(cell) for cell in home.tolist()} <= {tuple(cell) for cell in found.cells.tolist()}
    whole = (steps - home) @ np.linalg.inv(found.matrix)
    np.testing.assert_allclose(whole, np.rint(whole), atol=1e-6)
