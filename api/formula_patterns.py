"""``MATCHES``: formulas and chemical systems with places left open.

==================  =============================================================================================
pattern             finds
==================  =============================================================================================
``Li-*-O``          chemical system: exactly three elements, Li, O and any other one; their order does not matter
``Li-Fe-P-O``       exactly these elements, in any amounts
``Li*O4``           reduced formula: Li, O4 and one other element, once (LiMnO4, not LiFePO4)
``Li**O4``          Li, O4 and two other elements, once each (LiFePO4)
``ABO3``, ``LiMO2``  letters that are no element stand for one element each: A and B, or M, any; O is oxygen
``ABC3``            an anonymous formula: any three elements, 1 : 1 : 3
``FePO4Li``         the formula LiFePO4, whatever the order it is written in
==================  =============================================================================================

A star, or such a letter, is one element that the pattern does not name, with the amount behind it (1 when there is none);
different letters are different elements. A, D, E, G, J, L, M, Q, R, T, X and Z are such letters; where A stands in a
pattern, so are B, C, D, ... as far as they go on without a gap (so ABC3 is anonymous, and MBO3 is a borate). Amounts are
compared as they are in the reduced formula: ``Li2*2O8`` is ``Li*O4``.

The pattern is read into elements and numbers, and only those reach the database: there is nothing in it that a regular
expression could take for its own, and nothing to be slow about.
"""

from __future__ import annotations

import difflib
import math
import re
import string
from collections import Counter
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from api.conditions import NOTHING, SYMBOLS, Condition
from store.errors import FilterError

if TYPE_CHECKING:
    from store.field import Field

Query = dict[str, Any]

FIELDS_MATCHED: Final = (
    "formula",
    "chemical_formula_reduced",
    "chemical_formula_anonymous",
    "chemical_system",
)
"""Fields that may be matched."""

_LONGEST: Final = 100
_TOKEN: Final = re.compile(r"([A-Z][a-z]?|\*)([0-9]*\.?[0-9]*)")
_EXAMPLES: Final = '"Li-*-O", "Li*O4", "ABO3"'
_NO_ELEMENTS: Final = frozenset(string.ascii_uppercase) - set(SYMBOLS)


def matches(field: Field, pattern: object) -> Condition:
    """``field MATCHES pattern``.

    Raises
    ------
    FilterError
        The field holds no formula, or the pattern is none.

    Examples
    --------
    >>> from store.fields import FIELDS
    >>> matches(FIELDS["formula"], "Li-*-O").yes
    {'elements': {'$all': ['Li', 'O']}, 'nelements': 3}
    >>> matches(FIELDS["formula"], "AO2").yes["chemical_formula_anonymous"]
    'A2B'
    """
    if field.name not in FIELDS_MATCHED:
        raise FilterError(
            f"{field.label} holds no formula, and MATCHES is for formulas.", mend='formula MATCHES "Li-*-O"'
        )
    if not isinstance(pattern, str):
        raise FilterError(f"A pattern is a text, and {pattern} was given.", mend=f"{field.name} MATCHES {_EXAMPLES}")
    text = pattern.strip()
    if not text or len(text) > _LONGEST:
        raise FilterError(
            f"A pattern has 1 to {_LONGEST} characters; {len(text)} were given.", mend=f"write one such as {_EXAMPLES}"
        )
    yes = _system(text) if "-" in text or field.name == "chemical_system" else _formula(text)
    return Condition(yes, {"$nor": [yes], "chemical_formula_reduced": {"$ne": None}})


def _system(text: str) -> Query:
    parts = [part.strip() for part in text.split("-")]
    named = [part for part in parts if part != "*"]
    for part in named:
        if part not in SYMBOLS:
            raise _no_element(part)
    twice = [part for part, count in Counter(named).items() if count > 1]
    if twice:
        raise FilterError(f"{twice[0]} stands twice in the chemical system.", mend=f"name {twice[0]} once")
    if len(named) == len(parts):
        return {"chemical_system": "-".join(sorted(named))}
    return {**_elements(named), "nelements": len(parts)}


def _formula(text: str) -> Query:
    tokens = _tokens(text)
    open_letters = _open_letters([symbol for symbol, _ in tokens])
    amounts: dict[str, Fraction] = {}
    for place, (symbol, amount) in enumerate(tokens):
        # Each star is an element of its own; the same letter is the same element.
        name = f"*{place}" if symbol == "*" else (f"*{symbol}" if symbol in open_letters else symbol)
        amounts[name] = amounts.get(name, Fraction(0)) + amount
    whole = _whole(amounts)
    if whole is None:
        return NOTHING
    from builders.structures.formulas import optimade_anonymous, optimade_reduced

    named = sorted(name for name in whole if not name.startswith("*"))
    if len(named) == len(whole):
        return {"chemical_formula_reduced": optimade_reduced(named, [whole[name] for name in named])}
    query: Query = {"chemical_formula_anonymous": optimade_anonymous(list(whole.values())), **_elements(named)}
    if named and len(set(whole.values())) > 1:
        # Letters of the periodic table and whole numbers: nothing of the pattern itself is in these expressions.
        query["$and"] = [
            {"chemical_formula_reduced": {"$regex": f"{name}{whole[name] if whole[name] > 1 else ''}(?![a-z0-9])"}}
            for name in named
        ]
    return query


def _elements(named: list[str]) -> Query:
    if not named:
        return {}
    return {"elements": {"$all": named} if len(named) > 1 else named[0]}


def _tokens(text: str) -> list[tuple[str, Fraction]]:
    found: list[tuple[str, Fraction]] = []
    place = 0
    while place < len(text):
        token = _TOKEN.match(text, place)
        if token is None:
            raise FilterError(
                f"{text[place]!r} does not belong into a pattern of a formula, which has elements, * and numbers.",
                mend=f"write it without brackets and blanks, such as {_EXAMPLES}",
            )
        symbol, end = token[1], token.end()
        if len(symbol) == 2 and symbol not in SYMBOLS:
            raise _no_element(symbol)
        found.append((symbol, _amount(token[2], symbol)))
        place = end
    return found


def _amount(text: str, symbol: str) -> Fraction:
    if not text:
        return Fraction(1)
    try:
        amount = Fraction(text)
    except ValueError:
        amount = Fraction(0)
    if not 0 < amount <= 10_000 or len(text) > 8:
        raise FilterError(f"{text} is no amount of {symbol}.", mend=f"give a number above 0, as in {symbol}2")
    return amount


def _open_letters(symbols: list[str]) -> set[str]:
    """Letters that stand for any element."""
    there = set(symbols)
    letters = there & _NO_ELEMENTS
    if "A" in there:
        for letter in string.ascii_uppercase[1:]:
            if letter not in there:
                break
            letters.add(letter)
    return letters


def _whole(amounts: dict[str, Fraction]) -> dict[str, int] | None:
    """Amounts as the smallest whole numbers; None where no stored formula can have them."""
    scale = math.lcm(*(amount.denominator for amount in amounts.values()))
    numbers = {name: int(amount * scale) for name, amount in amounts.items()}
    divisor = math.gcd(*numbers.values())
    if len(numbers) > len(SYMBOLS):
        return None
    return {name: number // divisor for name, number in numbers.items()}


def _no_element(symbol: str) -> FilterError:
    same = [each for each in SYMBOLS if each.lower() == symbol.lower()]
    close = same or difflib.get_close_matches(symbol, SYMBOLS, n=2, cutoff=0.4)
    mend = f"write {' or '.join(close)}" if close else "write a chemical symbol or *"
    return FilterError(f"{symbol!r} is no chemical element.", mend=mend)
