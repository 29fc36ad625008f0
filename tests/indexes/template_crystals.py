"""Small crystals that the tests of templates share."""

from __future__ import annotations

from collections.abc import Sequence

from store.crystal import Crystal

FCC = [[0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]]


def rock_salt(cation: str, anion: str, edge: float) -> Crystal:
    lattice = [[edge * x for x in row] for row in FCC]
    return Crystal.from_lists(lattice, [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])


def caesium_chloride(cation: str, anion: str, edge: float) -> Crystal:
    return Crystal.from_lists([[edge, 0, 0], [0, edge, 0], [0, 0, edge]], [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])


def perovskite(a: str, b: str, x: str, edge: float) -> Crystal:
    return Crystal.from_lists(
        [[edge, 0, 0], [0, edge, 0], [0, 0, edge]],
        [a, b, x, x, x],
        [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]],
    )


def double_perovskite(a: str, b: str, other: str, x: str, edge: float) -> Crystal:
    """Elpasolite, Fm-3m, primitive cell of ten atoms; ``edge`` of the cubic cell (two perovskite cells)."""
    lattice = [[edge * value for value in row] for row in FCC]
    near = 0.25
    anions = [[near, near, -near], [near, -near, near], [-near, near, near]]
    anions += [[-value for value in row] for row in anions]
    sites: list[Sequence[float]] = [[0, 0, 0], [0.5, 0.5, 0.5], [0.25] * 3, [0.75] * 3, *anions]
    return Crystal.from_lists(lattice, [b, other, a, a, *[x] * 6], sites)


def fluorite(cation: str, anion: str, edge: float) -> Crystal:
    lattice = [[edge * x for x in row] for row in FCC]
    return Crystal.from_lists(lattice, [cation, anion, anion], [[0, 0, 0], [0.25] * 3, [0.75] * 3])


def half_heusler(one: str, two: str, three: str, edge: float) -> Crystal:
    lattice = [[edge * x for x in row] for row in FCC]
    return Crystal.from_lists(lattice, [one, two, three], [[0, 0, 0], [0.25] * 3, [0.75] * 3])


def templates() -> dict[str, Crystal]:
    """Eight templates of four stoichiometry classes."""
    return {
        "NaCl": rock_salt("Na", "Cl", 5.64),
        "KBr": rock_salt("K", "Br", 6.60),
        "CsCl": caesium_chloride("Cs", "Cl", 4.12),
        "TlBr": caesium_chloride("Tl", "Br", 3.99),
        "SrTiO3": perovskite("Sr", "Ti", "O", 3.905),
        "CsPbBr3": perovskite("Cs", "Pb", "Br", 5.87),
        "CaF2": fluorite("Ca", "F", 5.46),
        "Cs2AgBiBr6": double_perovskite("Cs", "Ag", "Bi", "Br", 11.27),
    }
