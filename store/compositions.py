"""Chemical formulas as people write them, read into amounts: brackets, fractions, mixtures, hydrates.

Read are ``Li6.4La3Zr1.4Ta0.6O12``, ``Li1.3Al0.3Ti1.7(PO4)3``, ``Li0.6[Li0.2Sn0.8S2]``, mixtures of glasses such as
``"(Li2S)0.7 (P2S5)0.3"`` (quotes and spaces count for nothing), ``LiOH·H2O``, ``0.7Li2S-0.3P2S5`` and subscripts. A formula
with an unknown amount (``Li1-xCoO2``) says no composition and is refused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from store.errors import SourceError, UnknownElement
from store.ingest.labels import SYMBOLS

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST: Final = 2000
"""Characters of the longest formula that is read."""
DEEPEST: Final = 20

_PLAIN: Final = str.maketrans("₀₁₂₃₄₅₆₇₈₉[]{}⋅•∙*−–—", "0123456789()()····---")
_IGNORED: Final = re.compile(r"[\s\"'_$^]+")
_PARTS: Final = re.compile(r"·|(?<=[\w)])-(?=[\d.]+[A-Z(])")
_LEADING: Final = re.compile(r"\d+\.?\d*|\.\d+")
_TOKEN: Final = re.compile(r"([A-Z][a-z]?)|(\()|(\))|(\d+\.?\d*|\.\d+)")
_HYDROGEN: Final = frozenset({"D", "T"})


def parse_formula(text: str) -> dict[str, float]:
    """Read a formula.

    Parameters
    ----------
    text : str

    Returns
    -------
    dict
        ``{element symbol: amount}`` as the formula counts them, each above zero, in order of first appearance; deuterium
        is hydrogen.

    Raises
    ------
    UnknownElement
        A symbol is no element.
    SourceError
        Brackets do not match, a number stands where none can, or nothing is there.

    Examples
    --------
    >>> parse_formula('"(Li2S)0.75 (P2S5)0.25"')
    {'Li': 1.5, 'S': 2.0, 'P': 0.5}
    >>> parse_formula("LiOH·H2O"), parse_formula("0.5Li2S-0.5GeS2")
    ({'Li': 1.0, 'O': 2.0, 'H': 3.0}, {'Li': 1.0, 'S': 1.5, 'Ge': 0.5})
    """
    if not isinstance(text, str) or len(text) > MOST:
        raise SourceError(f"A formula is text of at most {MOST} characters.")
    plain = _IGNORED.sub("", text.translate(_PLAIN))
    total: dict[str, float] = {}
    for part in _PARTS.split(plain):
        number = _LEADING.match(part)
        factor = float(number[0]) if number else 1.0
        _add(total, _read(part[number.end() :] if number else part, text), factor)
    found = {symbol: amount for symbol, amount in total.items() if amount > 0}
    if not found or not all(amount < 1e12 for amount in found.values()):
        raise SourceError(f"The formula {text[:80]!r} says no composition.")
    return found


def _read(part: str, text: str) -> dict[str, float]:
    """One part of a formula, which holds nothing but elements, brackets and numbers."""
    stack: list[dict[str, float]] = [{}]
    last: dict[str, float] = {}
    place = 0
    while place < len(part):
        token = _TOKEN.match(part, place)
        if token is None:
            raise SourceError(f"The formula {text[:80]!r} cannot be read from {part[place : place + 20]!r} on.")
        place = token.end()
        symbol, opens, closes, number = token.groups()
        if number:
            raise SourceError(f"In the formula {text[:80]!r} the number {number} belongs to nothing.")
        if opens:
            stack.append({})
            if len(stack) > DEEPEST:
                raise SourceError(f"The brackets of the formula {text[:80]!r} are too deep.")
            continue
        if closes:
            if len(stack) == 1:
                raise SourceError(f"The brackets of the formula {text[:80]!r} do not match.")
            last = stack.pop()
        else:
            last = {_element(symbol, text): 1.0}
        amount = _LEADING.match(part, place)
        place = amount.end() if amount else place
        _add(stack[-1], last, float(amount[0]) if amount else 1.0)
    if len(stack) != 1:
        raise SourceError(f"The brackets of the formula {text[:80]!r} do not match.")
    return stack[0]


def _element(symbol: str, text: str) -> str:
    if symbol in _HYDROGEN:
        return "H"
    if symbol not in SYMBOLS:
        raise UnknownElement(f"{symbol!r} in the formula {text[:80]!r} is no chemical element.")
    return symbol


def _add(total: dict[str, float], more: Mapping[str, float], factor: float) -> None:
    for symbol, amount in more.items():
        total[symbol] = total.get(symbol, 0.0) + factor * amount


def fractions(amounts: Mapping[str, float]) -> dict[str, float]:
    """Atomic fractions, which sum to one.

    Examples
    --------
    >>> fractions({"Li": 2.0, "O": 1.0})["Li"] == 2 / 3
    True
    """
    total = sum(amounts.values())
    return {symbol: amount / total for symbol, amount in amounts.items()}


def difference(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """Largest difference of the atomic fractions of two compositions.

    Examples
    --------
    >>> difference({"Li": 1.0, "F": 1.0}, {"Li": 4.0, "F": 4.0}), difference({"Li": 1.0}, {"Na": 1.0})
    (0.0, 1.0)
    """
    first, second = fractions(one), fractions(other)
    return max(abs(first.get(symbol, 0.0) - second.get(symbol, 0.0)) for symbol in {*first, *second})
