"""Formula fields: pymatgen's reduced formula, and the reduced and anonymous formulas of OPTIMADE.

Compositions of disordered crystals are brought to whole numbers where a formula of at most a hundred atoms says them;
else they keep three decimals in the formula unit of the sites. Either way a crystal and its supercell have one formula.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import TYPE_CHECKING

from builders.structures.elements import element_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

LARGEST_FORMULA = 100
"""Atoms in a whole-number formula made from partial occupancies."""
FRACTION_TOLERANCE = 2e-4
"""How far an atomic fraction may be moved to reach whole numbers: enough for thirds given as 0.333."""
_DECIMALS = 3


@dataclass(frozen=True)
class Formulas:
    """The formula fields of one composition.

    Attributes
    ----------
    formula : str
        As pymatgen writes it, ordered by electronegativity, e.g. ``LiFePO4``.
    reduced : str
        As OPTIMADE writes it, alphabetical, e.g. ``FeLiO4P``.
    anonymous : str
        As OPTIMADE writes it, by descending amount, e.g. ``A4BCD``.
    chemical_system : str
        E.g. ``Fe-Li-O-P``.
    elements : tuple of str
        Alphabetical.
    composition : dict
        ``{element: amount}`` in ``formula``.
    whole : tuple of int
        Amounts in ``reduced``, in the order of ``elements``.
    """

    formula: str
    reduced: str
    anonymous: str
    chemical_system: str
    elements: tuple[str, ...]
    composition: dict[str, float]
    whole: tuple[int, ...]


def describe_composition(amounts: Mapping[str, float], units: int = 1) -> Formulas:
    """Write the formulas of a composition.

    Parameters
    ----------
    amounts : mapping
        ``{element symbol: atoms in the cell}``, each above zero.
    units : int
        Formula units in the cell, for amounts that stay fractional: the greatest common divisor of the numbers of sites
        of each kind (see :func:`formula_units`).

    Returns
    -------
    Formulas
        Shared between calls with the same composition: do not change ``composition``.

    Examples
    --------
    >>> olivine = describe_composition({"Li": 4.0, "Fe": 4.0, "P": 4.0, "O": 16.0})
    >>> olivine.formula, olivine.reduced, olivine.anonymous
    ('LiFePO4', 'FeLiO4P', 'A4BCD')
    >>> describe_composition({"Li": 1.5, "Co": 3.0, "O": 6.0}).formula
    'Li(CoO2)2'
    >>> enstatite = describe_composition({"Mg": 3.492, "Fe": 0.508, "Si": 4.0, "O": 12.0}, units=4)
    >>> enstatite.formula, enstatite.reduced
    ('Mg0.873Fe0.127Si1O3', 'Fe127Mg873O3000Si1000')
    """
    elements = tuple(sorted(amounts))
    values = [amounts[element] for element in elements]
    if all(value == int(value) for value in values):
        return _describe(elements, reduced_counts(tuple([int(value) for value in values])), None)
    # Rounded: a cell and its supercell must give one key in spite of rounding errors.
    return _describe_fractional(elements, tuple([round(value / units, 6) for value in values]))


def formula_units(species: Iterable[str]) -> int:
    """Count the formula units of a cell by its kinds of sites.

    Examples
    --------
    >>> formula_units(["Fe0.127Mg0.873"] * 4 + ["Si"] * 4 + ["O"] * 12)
    4
    """
    return math.gcd(*Counter(species).values())


@lru_cache(maxsize=65536)
def _describe(elements: tuple[str, ...], whole: tuple[int, ...], decimal: tuple[float, ...] | None) -> Formulas:
    from pymatgen.core.composition import Composition

    # Reads each electronegativity once, without pymatgen's warnings for elements that have none.
    element_table()
    amounts: Sequence[float] = whole if decimal is None else decimal
    given = Composition(dict(zip(elements, amounts, strict=True)))
    formula, factor = given.get_reduced_formula_and_factor()
    return Formulas(
        formula=formula,
        reduced=optimade_reduced(elements, whole),
        anonymous=optimade_anonymous(whole),
        chemical_system="-".join(elements),
        elements=elements,
        # pymatgen does not halve some formulas (O2, Li2O2): there the factor is one half.
        composition={element: float(amount / factor) for element, amount in zip(elements, amounts, strict=True)},
        whole=whole,
    )


@lru_cache(maxsize=16384)
def _describe_fractional(elements: tuple[str, ...], amounts: tuple[float, ...]) -> Formulas:
    total = sum(amounts)
    small = whole_numbers([amount / total for amount in amounts], LARGEST_FORMULA, FRACTION_TOLERANCE)
    if small is not None:
        return _describe(elements, small, None)
    parts = tuple([max(1, round(amount * 10**_DECIMALS)) for amount in amounts])
    return _describe(elements, reduced_counts(parts), tuple([part / 10**_DECIMALS for part in parts]))


def reduced_counts(counts: tuple[int, ...]) -> tuple[int, ...]:
    """Divide whole numbers by their greatest common divisor.

    Examples
    --------
    >>> reduced_counts((4, 4, 4, 16))
    (1, 1, 1, 4)
    """
    divisor = reduce(math.gcd, counts)
    return counts if divisor == 1 else tuple([count // divisor for count in counts])


def whole_numbers(fractions: Sequence[float], largest: int, tolerance: float) -> tuple[int, ...] | None:
    """Find the smallest whole numbers, at most ``largest`` in sum, whose fractions are the given ones.

    Returns
    -------
    tuple of int or None
        None where no such numbers lie within ``tolerance`` of each fraction.

    Examples
    --------
    >>> whole_numbers([1 / 7, 2 / 7, 4 / 7], 100, 1e-3), whole_numbers([0.3141, 0.6859], 10, 1e-4)
    ((1, 2, 4), None)
    """
    for size in range(len(fractions), largest + 1):
        numbers = [round(fraction * size) for fraction in fractions]
        if sum(numbers) == size and all(
            number > 0 and abs(number / size - fraction) <= min(tolerance, 0.05 * fraction)
            for number, fraction in zip(numbers, fractions, strict=True)
        ):
            return tuple(numbers)
    return None


def optimade_reduced(elements: Sequence[str], whole: Sequence[int]) -> str:
    """Write the reduced formula of OPTIMADE: alphabetical, whole numbers, no 1.

    Examples
    --------
    >>> optimade_reduced(["Fe", "Li", "O", "P"], [1, 1, 4, 1])
    'FeLiO4P'
    """
    return "".join([f"{element}{count if count != 1 else ''}" for element, count in zip(elements, whole, strict=True)])


def optimade_anonymous(whole: Sequence[int]) -> str:
    """Write the anonymous formula of OPTIMADE: amounts descending, A to Z, then Aa, Ba ...

    Examples
    --------
    >>> optimade_anonymous([1, 1, 4, 1])
    'A4BCD'
    """
    return "".join(
        [
            f"{chr(65 + rank % 26)}{'' if rank < 26 else chr(96 + rank // 26)}{count if count != 1 else ''}"
            for rank, count in enumerate(sorted(whole, reverse=True))
        ]
    )
