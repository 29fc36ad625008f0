"""The formula that a structure is wanted for: read once, in one form, with clear errors.

Species stand in *canonical order* everywhere in this room: by ascending reduced amount, then by symbol. The *ratio* of a
formula is the tuple of its ascending reduced amounts; structures of one ratio form a *stoichiometry class*.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from builders.embeddings.elements import element_table
from builders.structures.formulas import describe_composition, reduced_counts, whole_numbers
from store.compositions import parse_formula
from store.errors import SourceError, UnknownElement, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST_ELEMENTS: Final = 10
"""No known crystal of the Materials Project holds more than nine."""
MOST_ATOMS: Final = 300
"""Atoms in the reduced formula."""
MOST_ATOMS_FROM_FRACTIONS: Final = 60
"""Atoms in the reduced formula when the amounts were given as fractions: more is a doped crystal, not an ordered one."""

_MEND: Final = "give a formula with whole amounts, such as LiNiPO4"
_TOLERANCE: Final = 2e-4


@dataclass(frozen=True)
class Query:
    """A reduced formula in canonical order.

    Attributes
    ----------
    elements : tuple of str
        shape=(k,); by ascending amount, then by symbol.
    amounts : tuple of int
        shape=(k,); ascending, without a common divisor: the ratio.
    """

    elements: tuple[str, ...]
    amounts: tuple[int, ...]

    @property
    def ratio(self) -> tuple[int, ...]:
        """The stoichiometry class."""
        return self.amounts

    @property
    def n_atoms(self) -> int:
        """Atoms in one formula unit."""
        return sum(self.amounts)

    @property
    def formula(self) -> str:
        """As pymatgen writes it."""
        return describe_composition({e: float(n) for e, n in zip(self.elements, self.amounts, strict=True)}).formula

    @property
    def numbers(self) -> tuple[int, ...]:
        """Atomic numbers of the elements."""
        row = element_table().row
        return tuple([row[element] + 1 for element in self.elements])

    def composition(self) -> dict[str, int]:
        """``{element: amount}``, canonical order."""
        return dict(zip(self.elements, self.amounts, strict=True))


def ratio_text(ratio: Iterable[int]) -> str:
    """Write a ratio.

    Examples
    --------
    >>> ratio_text((1, 1, 1, 4))
    '1:1:1:4'
    """
    return ":".join(map(str, ratio))


def read_query(formula: str | Mapping[str, float]) -> Query:
    """Read what a structure is wanted for.

    Parameters
    ----------
    formula : str or mapping
        A formula as people write it (brackets and hydrates are read), or ``{element: amount}``.

    Returns
    -------
    Query
        Reduced to the smallest whole amounts.

    Raises
    ------
    UsageError
        Nothing is there, a symbol is no element or has no features, an amount is zero or below, there are too many
        elements or atoms, or the amounts are no small whole numbers; the message names which, ``mend`` what to do.

    Examples
    --------
    >>> read_query("Li3N"), read_query("Ca(OH)2").ratio, read_query({"Li": 0.5, "Co": 1.0, "O": 2.0}).formula
    (Query(elements=('N', 'Li'), amounts=(1, 3)), (1, 2, 2), 'Li(CoO2)2')
    """
    given = _parse(formula) if isinstance(formula, str) else _checked(formula)
    name = repr(formula[:80]) if isinstance(formula, str) else repr(dict(formula))[:160]
    _refuse_unknown(given, name)
    if len(given) > MOST_ELEMENTS:
        raise UsageError(
            f"The formula {name} holds {len(given)} elements; templates are known for at most {MOST_ELEMENTS}.",
            mend="give a formula with fewer elements",
        )
    elements = tuple(given)
    whole = _whole(tuple(given.values()), name)
    if sum(whole) > MOST_ATOMS:
        raise UsageError(
            f"The formula {name} holds {sum(whole)} atoms in its smallest whole-number form; at most {MOST_ATOMS} are allowed.",
            mend="give a smaller formula unit",
        )
    order = sorted(range(len(whole)), key=lambda k: (whole[k], elements[k]))
    return Query(tuple([elements[k] for k in order]), tuple([whole[k] for k in order]))


def _parse(text: str) -> dict[str, float]:
    if not text.strip():
        raise UsageError("No formula was given.", mend=_MEND)
    try:
        found = parse_formula(text)
    except UnknownElement as error:
        raise UsageError(error.message, mend="check the symbols: elements are written like Li, Ni, P, O") from None
    except SourceError as error:
        if any(character.isdigit() for character in text) and _mentions_only_zero(text):
            raise UsageError(
                f"The formula {text[:80]!r} has an amount of zero; amounts are above zero.", mend=_MEND
            ) from None
        raise UsageError(error.message, mend=_MEND) from None
    dropped = _symbols(text) - set(found)
    if dropped:
        symbols = " and ".join(sorted(dropped))
        raise UsageError(
            f"The formula {text[:80]!r} has an amount of zero for {symbols}; amounts are above zero.",
            mend=f"leave {symbols} out",
        )
    return found


def _symbols(text: str) -> set[str]:
    import re

    return {"H" if symbol in {"D", "T"} else symbol for symbol in re.findall(r"[A-Z][a-z]?", text)}


def _mentions_only_zero(text: str) -> bool:
    import re

    return bool(_symbols(text)) and re.search(r"(?<![\d.])0+(\.0*)?(?![\d.])", text) is not None


def _checked(given: Mapping[str, float]) -> dict[str, float]:
    if not given:
        raise UsageError("No composition was given.", mend=_MEND)
    found: dict[str, float] = {}
    for symbol, amount in given.items():
        try:
            number = float(amount)
        except (TypeError, ValueError):
            number = math.nan
        if not (math.isfinite(number) and 0 < number < 1e12):
            raise UsageError(f"The amount of {symbol} is {amount!r}; amounts are finite and above zero.", mend=_MEND)
        name = "H" if symbol in {"D", "T"} else str(symbol)
        found[name] = found.get(name, 0.0) + number
    return found


def _refuse_unknown(given: Mapping[str, float], name: str) -> None:
    table = element_table()
    unknown = [symbol for symbol in given if symbol not in table.row]
    if unknown:
        first, last = table.symbols[0], table.symbols[-1]
        raise UsageError(
            f"{' and '.join(map(repr, unknown[:5]))} in {name} is no element with known features ({first} to {last}).",
            mend="check the symbols; elements beyond plutonium have no templates",
        )


def _whole(amounts: tuple[float, ...], name: str) -> tuple[int, ...]:
    """Smallest whole numbers of the same ratio."""
    if all(amount == int(amount) for amount in amounts):
        return reduced_counts(tuple([int(amount) for amount in amounts]))
    total = sum(amounts)
    found = whole_numbers([amount / total for amount in amounts], MOST_ATOMS_FROM_FRACTIONS, _TOLERANCE)
    if found is None:
        raise UsageError(
            f"The amounts of {name} are no ratio of small whole numbers (at most {MOST_ATOMS_FROM_FRACTIONS} atoms): a "
            f"template is an ordered crystal.",
            mend="give the nearest ordered composition with whole amounts, such as Li7La3Zr2O12 for Li6.9La3Zr2O12",
        )
    return found
