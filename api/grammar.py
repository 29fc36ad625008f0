"""The OPTIMADE grammar and its translation: parser and transformer of optimade-python-tools, with our rules.

Ours are units behind numbers, ``MATCHES`` and ``SIMILAR TO``; they are written into the grammar's text when it is read.

What differs from the transformer we stand on: fields come from :mod:`store.fields` and nothing else is let through;
booleans work; text is unescaped as the grammar says, and escaped where it becomes a pattern; NOT, ``!=`` and LENGTH are
right for missing values and for every number (:mod:`api.conditions`); types are checked; places in the text are kept for
the messages. Import it inside functions: optimade takes a quarter of a second.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

from lark import Lark, v_args
from optimade.filterparser.lark_parser import AVAILABLE_PARSERS, LarkParser
from optimade.filtertransformers.mongo import MongoTransformer

from api.any_ion import for_any, of_any_ion
from api.conditions import (
    EVERYTHING,
    NOTHING,
    Condition,
    both,
    compare,
    either,
    example,
    has,
    has_length,
    known,
    match_text,
    unknown,
)
from api.filter_errors import no_such_index, unknown_field, with_picture
from api.filters import SimilarTo
from api.formula_patterns import matches
from api.units import convert
from store.errors import FilterError
from store.fields import FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from store.fields import Field

F = TypeVar("F")
Scalar = str | int | float | bool

GRAMMAR = (1, 2, 0)
_LENGTHS = {"elements": "nelements"}
_MOST_DIGITS = 400


_WORD = r"(?:°?[^\W\d_]\w*|°|%)"
_POWER = r"(?:\s*(?:\^|\*\*)\s*[-+]?\d{1,2}|⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹])?"
_TIMES = r"\s*(?:\*|\/|·)\s*"
_BRACKETS = rf"\(\s*{_WORD}{_POWER}(?:{_TIMES}{_WORD}{_POWER})*\s*\)"
_KEYWORD = r"(?!(?i:AND|OR|NOT|IS|HAS|KNOWN|UNKNOWN|CONTAINS|STARTS|ENDS|WITH|LENGTH|ALL|ANY|ONLY|MATCHES|SIMILAR)\b)"
_UNIT = (
    rf"(?![eE][-+]?\d){_KEYWORD}{_WORD}(?:{_BRACKETS})?{_POWER}"
    rf"(?:{_TIMES}(?:{_WORD}|{_BRACKETS}){_POWER}|[ \t]+{_KEYWORD}{_WORD}{_POWER})*"
)
"""Units as people write them: kJ/mol, kg/m^3, g cm^-3, log10(S/cm). Powers have two digits: pint would work 9^9^9 out."""

_RULES = rf"""
similar_to: SIMILAR TO ( string | MATERIAL ) [ BY IDENTIFIER ] [ WITHIN number ]
matches_op_rhs: MATCHES value
quantity: number UNIT
quantity_first: number UNIT_FIRST

SIMILAR:  "SIMILAR"
TO:       "TO"
BY:       "BY"
WITHIN:   "WITHIN"
MATCHES:  "MATCHES"
MATERIAL: /(?!BY\b|WITHIN\b|AND\b|OR\b)[A-Za-z0-9][^\s"()<>=!,]*/
UNIT:       /{_UNIT}(?=\s*(?:\Z|[),:]|(?i:and|or)\b))/
UNIT_FIRST: /{_UNIT}(?=\s*[<>=!])/
"""
"""What is added to the grammar. A unit is one only where a value may end: ``nelements = 1 nelements = 2`` has none."""

_CHANGES = (
    ("| property_first_comparison\n", "| property_first_comparison | similar_to\n"),
    ("| length_op_rhs )", "| length_op_rhs | matches_op_rhs )"),
    ("constant: string | number\n", "constant: string | number | quantity_first\n"),
    ("value: string | bool | number | property\n", "value: string | bool | number | quantity | property\n"),
)
"""Where the added rules are hung into those that are there."""


def grammar_text() -> str:
    """Return the grammar: optimade-python-tools' text with our rules."""
    text: str = AVAILABLE_PARSERS[GRAMMAR]["default"].read_text(encoding="utf-8")
    for there, instead in _CHANGES:
        if text.count(there) < 1:  # another release may write it otherwise
            raise RuntimeError(f"optimade's grammar has no {there.strip()!r} any more")
        text = text.replace(there, instead, 1)
    return text + _RULES


class PlaceParser(LarkParser):  # type: ignore[misc]  # optimade publishes no types
    """optimade's parser, keeping places, and starting at one whole expression.

    The grammar's own start takes several expressions in a row, of which the transformer would silently use the first.
    """

    def __init__(self) -> None:
        self.version = GRAMMAR
        self.variant = "default"
        self.lark = Lark(grammar_text(), start="expression", propagate_positions=True, maybe_placeholders=False)
        self.tree = None
        self.filter = None


@lru_cache(maxsize=1)
def parser() -> PlaceParser:
    """Return the parser, made once (30 ms)."""
    return PlaceParser()


@dataclass(frozen=True)
class Constant:
    """A value in the filter's text, its place and its unit."""

    value: Scalar
    start: int
    end: int
    unit: str = ""


@dataclass(frozen=True)
class Reference:
    """A name in the filter's text and its place."""

    name: str
    start: int
    end: int


@dataclass(frozen=True)
class Likened(Condition):
    """A condition that is joined to a similarity by AND."""

    like: SimilarTo


def _placed(rule: F) -> F:
    """Give a rule the place of its text as well."""
    return cast("F", v_args(meta=True)(rule))


class CandidateTransformer(MongoTransformer):  # type: ignore[misc]  # optimade publishes no types
    """Translate the tree of one filter into a :class:`~api.conditions.Condition` on ``candidates``.

    Parameters
    ----------
    text : str
        The filter, for the messages.
    given : dict of int to str, optional
        Numbers and texts by their places, where those in the tree only stand for them.

    Attributes
    ----------
    used : list of str
        Names of the fields in the order in which they appear.
    any_ion : set of str
        Of them, those that a name without an ion stands for.
    """

    def __init__(self, text: str, given: Mapping[int, str] | None = None) -> None:
        super().__init__(mapper=None)
        self.text = text
        self.given = given or {}
        self.used: list[str] = []
        self.any_ion: set[str] = set()

    def postprocess(self, query: Condition) -> Condition:
        """Nothing is left to repair: conditions are right where they are made."""
        return query

    # Expressions

    def expression(self, arg: list[Condition]) -> Condition:
        """expression: expression_clause ( OR expression_clause )*."""
        if len(arg) > 1:
            self._no_similarity(arg, "OR")
            return either(arg)
        return arg[0]

    def expression_clause(self, arg: list[Condition]) -> Condition:
        """expression_clause: expression_phrase ( AND expression_phrase )*."""
        alike = [each for each in arg if isinstance(each, Likened)]
        if not alike:
            return both(arg)
        if len(alike) > 1:
            second = alike[1].like
            raise self._fail("A filter asks for one similarity.", second.start, second.end, "leave one of them out")
        rest = [each for each in arg if each.yes is not EVERYTHING]
        joined = both(rest) if rest else Condition(EVERYTHING, NOTHING)
        return Likened(joined.yes, joined.no, alike[0].like)

    def expression_phrase(self, arg: list[Any]) -> Condition:
        """expression_phrase: [ NOT ] ( comparison | "(" expression ")" )."""
        condition: Condition = arg[-1]
        if len(arg) > 1:
            self._no_similarity([condition], "NOT")
            return condition.inverse()
        return condition

    def similar_in(self, condition: Condition) -> SimilarTo | None:
        """Return the similarity that the whole filter asks for."""
        return condition.like if isinstance(condition, Likened) else None

    def _no_similarity(self, conditions: list[Condition], word: str) -> None:
        for each in conditions:
            if isinstance(each, Likened):
                raise self._fail(
                    f"SIMILAR TO cannot stand under {word}: it puts all rows into an order.",
                    each.like.start,
                    each.like.end,
                    "join it to the other conditions by AND",
                )

    @_placed
    def similar_to(self, meta: Any, arg: list[Any]) -> Condition:
        """similar_to: SIMILAR TO ( string | MATERIAL ) [ BY IDENTIFIER ] [ WITHIN number ]."""
        words = {getattr(each, "type", "number"): each for each in arg[3:]}
        asked = str(arg[2].value if isinstance(arg[2], Constant) else arg[2])
        by = str(words.get("IDENTIFIER", "composition"))
        if "IDENTIFIER" in words:
            start = words["IDENTIFIER"].start_pos
            no_such_index(self.text, by, start, start + len(by))
        within = words["number"].value if "number" in words else None
        if within is not None and abs(within) > 1e300:
            raise self._fail("The distance is too large.", words["number"].start, words["number"].end, "WITHIN 0.3")
        like = SimilarTo(asked, by, None if within is None else float(within), meta.start_pos, meta.end_pos)
        return Likened(EVERYTHING, NOTHING, like)

    @_placed
    def property_first_comparison(self, meta: Any, arg: list[Any]) -> Condition:
        """property_first_comparison: property ( value_op_rhs | known_op_rhs | ... )."""
        reference, rest = arg
        return self._apply(reference, rest, meta)

    @_placed
    def constant_first_comparison(self, meta: Any, arg: list[Any]) -> Condition:
        """constant_first_comparison: constant OPERATOR ( non_string_value | not_implemented_string )."""
        constant, operator, reference = arg
        if not isinstance(reference, Reference):
            raise self._fail("Two values are compared, and no field.", meta.start_pos, meta.end_pos, "band_gap > 1")
        turned = self._reversed_operator_map[str(operator)]
        return self._apply(reference, lambda field: compare(field, turned, self._value(constant, field)), meta)

    # Right-hand sides: each gives what is still to be told the field

    def value_op_rhs(self, arg: list[Any]) -> Any:
        """value_op_rhs: OPERATOR value."""
        operator, constant = arg
        return lambda field: compare(field, str(operator), self._value(constant, field))

    def known_op_rhs(self, arg: list[Any]) -> Any:
        """known_op_rhs: IS ( KNOWN | UNKNOWN )."""
        return known if str(arg[1]) == "KNOWN" else unknown

    def fuzzy_string_op_rhs(self, arg: list[Any]) -> Any:
        """fuzzy_string_op_rhs: CONTAINS value | STARTS [ WITH ] value | ENDS [ WITH ] value."""
        return lambda field: match_text(field, str(arg[0]), self._value(arg[-1], field))

    def matches_op_rhs(self, arg: list[Any]) -> Any:
        """matches_op_rhs: MATCHES value."""
        return lambda field: matches(field, self._value(arg[-1], field))

    @_placed
    def set_op_rhs(self, meta: Any, arg: list[Any]) -> Any:
        """set_op_rhs: HAS ( [ OPERATOR ] value | ALL value_list | ANY value_list | ONLY value_list )."""
        quantifier = "ANY" if len(arg) == 2 else str(arg[1])
        if quantifier not in ("ALL", "ANY", "ONLY"):
            raise self._fail(
                "HAS with a comparison is not supported.", meta.start_pos, meta.end_pos, 'write HAS "Li" without it'
            )
        values = arg[2] if isinstance(arg[-1], list) else [arg[-1]]
        return lambda field: has(field, quantifier, [self._value(value, field) for value in values])

    def length_op_rhs(self, arg: list[Any]) -> Any:
        """length_op_rhs: LENGTH [ OPERATOR ] value."""
        operator = str(arg[1]) if len(arg) == 3 else "="
        return lambda field: has_length(field, operator, arg[-1].value, FIELDS.get(_LENGTHS.get(field.name, "")))

    @_placed
    def value_list(self, meta: Any, arg: list[Any]) -> list[Constant]:
        """value_list: [ OPERATOR ] value ( "," [ OPERATOR ] value )*."""
        if any(not isinstance(value, Constant | Reference) for value in arg):
            raise self._fail("Comparisons inside a list are not supported.", meta.start_pos, meta.end_pos, '"Li","O"')
        return arg

    @_placed
    def value_zip(self, meta: Any, arg: list[Any]) -> None:
        """value_zip: correlated lists."""
        raise self._fail("Correlated lists (a:b HAS x:y) are not supported.", meta.start_pos, meta.end_pos, None)

    value_zip_list = value_zip
    property_zip_addon = value_zip
    set_zip_op_rhs = value_zip

    # Values

    def not_implemented_string(self, arg: list[Constant]) -> Constant:
        """not_implemented_string: string, where a field should stand."""
        return arg[0]

    @_placed
    def property(self, meta: Any, arg: list[Any]) -> Reference:
        """property: IDENTIFIER ( "." NESTED_IDENTIFIER )*."""
        return Reference(".".join(str(part) for part in arg), meta.start_pos, meta.end_pos)

    @_placed
    def bool(self, meta: Any, arg: list[Any]) -> Constant:
        """bool: "TRUE" | "FALSE"; the tree keeps neither word, the text does."""
        return Constant(self.text[meta.start_pos : meta.end_pos] == "TRUE", meta.start_pos, meta.end_pos)

    @_placed
    def string(self, meta: Any, arg: list[Any]) -> Constant:
        r"""Read a string, in which ``\"`` stands for ``"`` and ``\\`` for ``\``."""
        written = self.given.get(meta.start_pos, str(arg[0]))
        return Constant(re.sub(r"\\(.)", r"\1", written[1:-1], flags=re.DOTALL), meta.start_pos, meta.end_pos)

    @_placed
    def number(self, meta: Any, arg: list[Any]) -> Constant:
        """Read a number: SIGNED_INT | SIGNED_FLOAT."""
        written = self.given.get(meta.start_pos, str(arg[0]))
        if len(written) > _MOST_DIGITS:
            raise self._fail("The number has too many digits.", meta.start_pos, meta.end_pos, "give at most 17 digits")
        value = int(written) if arg[0].type == "SIGNED_INT" else float(written)
        return Constant(value, meta.start_pos, meta.end_pos)

    signed_int = number

    @_placed
    def quantity(self, meta: Any, arg: list[Any]) -> Constant:
        """quantity: number UNIT."""
        number, unit = arg
        return Constant(number.value, meta.start_pos, meta.end_pos, str(unit))

    quantity_first = quantity

    # Helpers

    def _fail(self, message: str, start: int, end: int, mend: str | None) -> FilterError:
        return with_picture(FilterError(message, mend=mend), self.text, start, end)

    def _value(self, constant: Constant | Reference, field: Field) -> Scalar:
        if isinstance(constant, Constant):
            if not constant.unit:
                return constant.value
            try:
                return convert(field, constant.value, constant.unit)
            except FilterError as error:
                raise with_picture(error, self.text, constant.end - len(constant.unit), constant.end) from None
        if constant.name in FIELDS:
            message, mend = "Two fields are compared; a field is compared with a value.", example(field)
        else:
            message, mend = f"{constant.name} stands without quotes.", f'write "{constant.name}"'
        raise self._fail(message, constant.start, constant.end, mend)

    def _apply(self, reference: Reference, rest: Any, meta: Any) -> Condition:
        field = FIELDS.get(reference.name)
        fields = [field] if field is not None and field.queryable else of_any_ion(reference.name)
        if not fields:
            raise unknown_field(self.text, reference.name, reference.start, reference.end)
        self.used += [each.name for each in fields if each.name not in self.used]
        try:
            if len(fields) == 1:
                condition: Condition = rest(fields[0])
                return condition
            self.any_ion.update(each.name for each in fields)
            return for_any(fields, rest)
        except FilterError as error:
            if "\n" in error.message:  # it has its picture already
                raise
            raise with_picture(error, self.text, meta.start_pos, meta.end_pos) from None
