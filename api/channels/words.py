"""Names that a chemist uses for directions, planes, sites and the atoms around a channel."""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING

from builders.structures.elements import element_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from builders.channels.model import Channels

_NAMES = {
    "Li": "lithium", "Na": "sodium", "K": "potassium", "Rb": "rubidium", "Cs": "caesium", "Mg": "magnesium",
    "Ca": "calcium", "Sr": "strontium", "Zn": "zinc", "Al": "aluminium", "Ag": "silver", "Cu": "copper",
    "F": "fluoride", "O": "oxide",
}  # fmt: skip


def spelled(ion: str) -> str:
    """Name of an ion with its symbol.

    Examples
    --------
    >>> spelled("Li"), spelled("Pr")
    ('lithium (Li)', 'Pr')
    """
    return f"{_NAMES[ion]} ({ion})" if ion in _NAMES else ion


def direction(vector: Sequence[int]) -> str:
    """Write a lattice direction.

    Examples
    --------
    >>> direction((0, 1, 0)), direction((1, -1, 0)), direction((12, 0, 1))
    ('[010]', '[1-10]', '[12 0 1]')
    """
    return f"[{_indices(vector)}]"


def plane(one: Sequence[int], other: Sequence[int]) -> str:
    """Miller indices of the lattice plane that two directions span.

    Examples
    --------
    >>> plane((1, 0, 0), (0, 1, 0)), plane((1, 1, 0), (0, 0, 2))
    ('(001)', '(1-10)')
    """
    normal = [
        one[1] * other[2] - one[2] * other[1],
        one[2] * other[0] - one[0] * other[2],
        one[0] * other[1] - one[1] * other[0],
    ]
    divisor = gcd(*normal) or 1
    if next((index for index in normal if index), 1) < 0:
        divisor = -divisor
    return f"({_indices([index // divisor for index in normal])})"


def along(basis: Sequence[Sequence[int]]) -> str:
    """Say which way a network goes, from the basis of its translations.

    Examples
    --------
    >>> along([(0, 1, 0)]), along([(1, 0, 0), (0, 1, 0)]), along([(1, 0, 0), (0, 1, 0), (0, 0, 1)]), along([])
    ('along [010]', 'in planes (001)', 'in all directions', '')
    """
    if len(basis) == 1:
        divisor = gcd(*basis[0]) or 1
        return f"along {direction([index // divisor for index in basis[0]])}"
    if len(basis) == 2:
        return f"in planes {plane(basis[0], basis[1])}"
    return "in all directions" if basis else ""


def site_names(channels: Channels) -> list[str]:
    """Names of what hops lead between: ion sites (Li1, Li2, ...), or the voids of a host."""
    if len(channels.sites):
        return [f"{channels.ion}{number}" for number in range(1, len(channels.sites) + 1)]
    return [f"void {number}" for number in range(len(channels.voids.r_void))]


def place(name: str, offset: Sequence[int]) -> str:
    """Write a site in another cell.

    Examples
    --------
    >>> place("Li1", (0, 0, 0)), place("Li1", (0, -1, 2))
    ('Li1', 'Li1 -b+2c')
    """
    steps = ""
    for step, axis in zip(offset, "abc", strict=True):
        if step:
            steps += f"{'+' if step > 0 else '-'}{abs(step) if abs(step) > 1 else ''}{axis}"
    return f"{name} {steps}" if steps else name


def atoms_of(channels: Channels, passage: int) -> str:
    """Elements of the atoms that form a channel, cations first: ``Fe-O-O``."""
    species = channels.framework.species
    table = element_table()

    def order(label: str) -> tuple[float, str]:
        return (table[label].electronegativity if label in table else 0.0, label)

    return "-".join(sorted((species[atom] for atom in channels.passages.atoms[passage].tolist()), key=order))


def plain(directions: Sequence[Sequence[Sequence[int]]]) -> list[list[list[int]]]:
    """Directions as nested lists of integers."""
    return [[[int(step) for step in vector] for vector in basis] for basis in directions]


def _indices(vector: Sequence[int]) -> str:
    separator = " " if any(abs(index) > 9 for index in vector) else ""
    return separator.join(str(index) for index in vector)
