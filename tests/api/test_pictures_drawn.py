"""Pictures: every element has a place of its own, any crystal can be drawn, files are whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from api.conditions import SYMBOLS
from api.pictures import periodic_table, structure_picture, table_place
from store.crystal import Crystal
from store.errors import UsageError

CUBE = [[4.0, 0, 0], [0, 4.0, 0], [0, 0, 4.0]]


def test_the_symbols_are_those_of_the_elements() -> None:
    from pymatgen.core import Element

    assert [Element(symbol).Z for symbol in SYMBOLS] == list(range(1, 119))


def test_places_are_those_of_the_periodic_table() -> None:
    from pymatgen.core import Element

    places = [table_place(number) for number in range(1, 119)]
    assert len(set(places)) == 118
    for number, (row, column) in enumerate(places, start=1):
        element = Element.from_Z(number)
        if row < 8:
            assert (row + 1, column + 1) == (element.row, element.group)
        else:
            assert element.is_lanthanoid or element.is_actinoid or number in (57, 71, 89, 103)


@pytest.mark.parametrize("counts", [{}, {"Li": 1}, {"O": 10**6, "H": 3}])
def test_a_periodic_table_is_drawn(counts: dict[str, int], tmp_path: Path) -> None:
    file = periodic_table(counts, tmp_path / "table.png")
    assert file.read_bytes().startswith(b"\x89PNG")
    assert [each.name for each in tmp_path.iterdir()] == ["table.png"]


@pytest.mark.parametrize(
    "crystal",
    [
        Crystal.from_lists(CUBE, ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
        Crystal.from_lists([[3, 0, 0], [-1.5, 2.6, 0], [0, 0, 12]], ["C"], [[1 / 3, 2 / 3, 0.9999]]),
        Crystal.from_sites(CUBE, [{"Li": 0.5}, {"Mg": 0.4, "Fe": 0.6}], [[0, 0, 0], [0.5, 0.5, 0.5]]),
        Crystal.from_lists(CUBE, ["Og"], [[-0.2, 1.7, 0.3]]),
    ],
)
def test_a_crystal_is_drawn(crystal: Crystal, tmp_path: Path) -> None:
    file = structure_picture(crystal, tmp_path / "crystal.png", title="a title")
    assert file.read_bytes().startswith(b"\x89PNG")


def test_atoms_on_the_border_are_drawn_on_every_side() -> None:
    from api.pictures import _scene

    corner = _scene(Crystal.from_lists(CUBE, ["Na"], [[0, 0, 0]]))
    assert len(corner.places) == 8
    face = _scene(Crystal.from_lists(CUBE, ["Na"], [[0.5, 0.5, 0.9999]]))
    assert len(face.places) == 2
    np.testing.assert_allclose(np.ptp(face.cartesian, axis=0), [0, 0, 4.0], atol=1e-3)


def test_what_cannot_be_drawn_or_written_is_said(tmp_path: Path) -> None:
    many = np.random.default_rng(0).uniform(0.1, 0.9, (3001, 3))
    with pytest.raises(UsageError, match="3001 atoms"):
        structure_picture(Crystal.from_lists(CUBE, ["Na"] * 3001, many), tmp_path / "a.png")
    with pytest.raises(UsageError, match="no sites"):
        structure_picture(Crystal.from_lists(CUBE, [], []), tmp_path / "a.png")
    with pytest.raises(UsageError, match="PNG"):
        periodic_table({}, tmp_path / "a.pdf")
    with pytest.raises(UsageError, match="cannot be written"):
        periodic_table({}, tmp_path / "no" / "a.png")
    assert list(tmp_path.iterdir()) == []
