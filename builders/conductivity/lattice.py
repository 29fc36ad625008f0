"""What the cell of a crystal says: room per atom, the lattice's system, its axes; and the space group where it can be trusted.

All of it is the same for any cell of the crystal. Atoms that are out of place by a tenth of an Å (as in structures whose
coordinates were blurred) leave the lattice as it is, but hide the space group: a group that is found in the coordinates and
is lower than what the lattice allows counts as unknown, one that is given counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from builders.conductivity.composition import ION, Describer, anions_of
from store.crystal import Crystal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

COLUMNS: Final = (
    Describer("volume_per_atom", "Å^3", "Volume of the cell by its atoms."),
    Describer("volume_per_anion", "Å^3", "Volume of the cell by its anions."),
    Describer("volume_per_framework_atom", "Å^3", "Volume of the cell by its atoms but the lithium."),
    Describer("ion_density", "1/Å^3", "Lithium by volume."),
    Describer("space_group", None, "Number of the space group."),
    Describer(
        "lattice_system", None, "0 triclinic, 1 monoclinic, 2 orthorhombic, 3 tetragonal, 4 rhombohedral, 5 hexagonal, 6 cubic."
    ),
    Describer("axis_short", "Å", "Shortest axis of the conventional cell."),
    Describer("axis_middle", "Å", "Middle one."),
    Describer("axis_long", "Å", "Longest one."),
    Describer("axes_ratio", None, "Longest by shortest."),
    Describer("cell_volume", "Å^3", "Volume of the conventional cell."),
)  # fmt: skip
"""Descriptors of a cell, in their order."""

SYMPREC: Final = 0.05
"""Å; tolerance of the search for symmetry."""

_RHOMBOHEDRAL: Final = frozenset({146, 148, 155, 160, 161, 166, 167})
_SYSTEM_ENDS: Final = np.array([2, 15, 74, 142, 167, 194])


@dataclass(frozen=True)
class Cell:
    """A conventional cell.

    Attributes
    ----------
    lengths, angles : tuple of float
        Å and degrees.
    volume_per_atom : float
        Å^3; nan where the number of atoms is unknown.
    space_group : int or None
    system : int or None
        Lattice system, where it is known by more than the cell: 0 triclinic to 6 cubic.
    """

    lengths: tuple[float, float, float]
    angles: tuple[float, float, float]
    volume_per_atom: float
    space_group: int | None = None
    system: int | None = None

    @property
    def volume(self) -> float:
        """Å^3.

        Examples
        --------
        >>> round(Cell((3.0, 3.0, 5.0), (90.0, 90.0, 120.0), 10.0).volume, 3)
        38.971
        """
        a, b, c = np.cos(np.radians(self.angles))
        root = 1.0 - a * a - b * b - c * c + 2.0 * a * b * c
        return float(np.prod(self.lengths) * np.sqrt(max(root, 0.0)))


def lattice_system(space_group: int) -> int:
    """Number of the lattice system of a space group.

    Examples
    --------
    >>> [lattice_system(number) for number in (1, 62, 137, 167, 164, 227)]
    [0, 2, 3, 4, 5, 6]
    """
    if space_group in _RHOMBOHEDRAL:
        return 4
    crystal_system = int((space_group > _SYSTEM_ENDS).sum())
    return 5 if crystal_system == 4 else crystal_system


def cell_of(crystal: Crystal, space_group: int | None = None) -> Cell:
    """Find the conventional cell of a crystal's lattice.

    Parameters
    ----------
    crystal : Crystal
        Validated; any cell.
    space_group : int, optional
        Where it is known; else it is looked for.

    Examples
    --------
    >>> rock_salt = Crystal.from_lists([[0, 2, 2], [2, 0, 2], [2, 2, 0]], ["Li", "F"], [[0.5, 0.5, 0.5], [0, 0, 0]])
    >>> cell_of(rock_salt)
    Cell(lengths=(4.0, 4.0, 4.0), angles=(90.0, 90.0, 90.0), volume_per_atom=8.0, space_group=225, system=6)
    """
    from builders.structures.symmetry import find_symmetry

    found = find_symmetry(crystal, SYMPREC)
    points = find_symmetry(Crystal(found.primitive.lattice, np.zeros((1, 3)), ("Li",)), SYMPREC)
    lattice = points.standard.lattice
    number, system = space_group, lattice_system(points.number)
    if number is None and lattice_system(found.number) == system:
        number = found.number
    if number is not None:
        system = lattice_system(number)
    lengths = np.linalg.norm(lattice, axis=1)
    angles = [
        np.degrees(np.arccos(np.clip(lattice[i] @ lattice[j] / lengths[i] / lengths[j], -1.0, 1.0)))
        for i, j in ((1, 2), (0, 2), (0, 1))
    ]
    atoms = sum(crystal.amounts().values())
    return Cell(_three(lengths), _three(angles), round(abs(crystal.volume) / atoms, 4), number, system)


def cell_of_row(row: Mapping[str, Any], atoms: float | None) -> Cell | None:
    """Read the cell that a record gives beside, or in place of, its structure.

    Parameters
    ----------
    row : mapping
        ``cell``: a, b, c in Å and alpha, beta, gamma in degrees; ``space_group_number``.
    atoms : float or None
        Atoms in that cell.

    Returns
    -------
    Cell or None
        None where there is no possible cell.

    Examples
    --------
    >>> cell_of_row({"cell": [4.0, 4.0, 4.0, 90, 90, 90], "space_group_number": 225}, 8.0).volume_per_atom
    8.0
    """
    given = row.get("cell")
    if not isinstance(given, list | tuple) or len(given) != 6:
        return None
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in given):
        return None
    lengths, angles = _three(given[:3]), _three(given[3:])
    number = row.get("space_group_number")
    group = int(number) if isinstance(number, int | float) and 1 <= number <= 230 else None
    cell = Cell(lengths, angles, np.nan, group)
    possible = all(0.5 < value < 500 for value in lengths) and all(5 < value < 175 for value in angles)
    if not possible or cell.volume < 1.0:
        return None
    each = round(cell.volume / atoms, 4) if atoms else np.nan
    # An impossible room per atom says that atoms were counted for another cell.
    return Cell(lengths, angles, each if 2.0 < each < 120.0 else np.nan, group)


def describe_cell(cell: Cell | None, shares: Mapping[str, float]) -> NDArray[np.float64]:
    """Describe a cell.

    Parameters
    ----------
    cell : Cell or None
    shares : mapping
        Atomic shares.

    Returns
    -------
    numpy.ndarray
        shape=(len(COLUMNS),), float64; nan where something is unknown.
    """
    row = np.full(len(COLUMNS), np.nan)
    if cell is None:
        return row
    anions = sum(shares[symbol] for symbol in anions_of(shares))
    ions = shares.get(ION, 0.0)
    row[0] = cell.volume_per_atom
    row[1] = cell.volume_per_atom / anions if anions else np.nan
    row[2] = cell.volume_per_atom / (1.0 - ions) if ions < 0.999 else np.nan
    row[3] = ions / cell.volume_per_atom
    row[4] = np.nan if cell.space_group is None else cell.space_group
    row[5] = _system(cell)
    lengths = sorted(cell.lengths)
    row[6:] = *lengths, lengths[2] / lengths[0], cell.volume
    return np.round(row, 4)


def _system(cell: Cell) -> float:
    """What is known, or by the space group, or by the metric of the conventional cell."""
    if cell.system is not None:
        return float(cell.system)
    if cell.space_group is not None:
        return float(lattice_system(cell.space_group))
    right = [abs(angle - 90.0) < 0.3 for angle in cell.angles]
    a, b, c = cell.lengths
    same = [abs(x - y) < 0.004 * (x + y) for x, y in ((a, b), (b, c), (a, c))]
    if all(right):
        return 6.0 if all(same) else 3.0 if any(same) else 2.0
    if sum(right) == 2:
        other = next(angle for angle, yes in zip(cell.angles, right, strict=True) if not yes)
        return 5.0 if abs(other - 120.0) < 0.3 and any(same) else 1.0
    equal = max(cell.angles) - min(cell.angles) < 0.3
    return 4.0 if equal and all(same) else 0.0


def _three(values: Any) -> tuple[float, float, float]:
    a, b, c = (round(float(value), 4) for value in values)
    return a, b, c
