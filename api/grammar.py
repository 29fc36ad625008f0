"""The OPTIMADE grammar and its translation: parser and transformer of optimade-python-tools, with our rules.

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

from api.conditions import Condition, both, compare, either, example, has, has_length, known, match_text
from api.filter_errors import unknown_field, with_picture
from store.errors import FilterError
from store.fields import FIELDS

if TYPE_CHECKING:
    from store.fields import Field

F = TypeVar("F")
Scalar = str | int | float | bool

GRAMMAR = (1, 2, 0)
_LENGTHS = {"elements": "nelements"}
_MOST_DIGITS = 400


class PlaceParser(LarkParser):  # type: ignore[misc]  # optimade publishes no types
    """optimade's parser, keeping places, and starting at one whole expression.

    The grammar's own start takes several expressions in a row, of which the transformer would silently use the first.
    """

    def __init__(self) -> None:
        self.version = GRAMMAR
        self.variant = "default"
        grammar = AVAILABLE_PARSERS[GRAMMAR]["default"].read_text(encoding="utf-8")
        self.lark = Lark(grammar, start="expression", propagate_positions=True, maybe_placeholders=False)
        self.tree = None
        self.filter = None


@lru_cache(maxsize=1)
def parser() -> PlaceParser:
    """Return the parser, made once (30 ms)."""
    return PlaceParser()


@dataclass(frozen=True)
class Constant:
    """A value in the filter's text and its place."""

    value: Scalar
    start: int
    end: int


@dataclass(frozen=True)
class Reference:
    """A name in the filter's text and its place."""

    name: str
    start: int
    end: int


def _placed(rule: F) -> F:
    """Give a rule the place of its text as well."""
    return cast("F", v_args(meta=True)(rule))


class CandidateTransformer(MongoTransformer):  # type: ignore[misc]  # optimade publishes no types
    """Translate the tree of one filter into a :class:`~api.conditions.Condition` on ``candidates``.

    Parameters
    ----------
    text : str
        The filter, for the messages.

    Attributes
    ----------
    used : list of str
        Names of the fields in the order in which they appear.
    """

    def __init__(self, text: str) -> None:
        super().__init__(mapper=None)
        self.text = text
        self.used: list[str] = []

    def postprocess(self, query: Condition) -> Condition:
        """Nothing is left to repair: conditions are right where they are made."""
        return query

    # Expressions

    def expression(self, arg: list[Condition]) -> Condition:
        """expression: expression_clause ( OR expression_clause )*."""
        return either(arg)

    def expression_clause(self, arg: list[Condition]) -> Condition:
        """expression_clause: expression_phrase ( AND expression_phrase )*."""
        return both(arg)

    def expression_phrase(self, arg: list[Any]) -> Condition:
        """expression_phrase: [ NOT ] ( comparison | "(" expression ")" )."""
        condition: Condition = arg[-1]
        return condition.inverse() if len(arg) > 1 else condition

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
        return self._apply(reference, lambda field: compare(field, turned, constant.value), meta)

    # Right-hand sides: each gives what is still to be told the field

    def value_op_rhs(self, arg: list[Any]) -> Any:
        """value_op_rhs: OPERATOR value."""
        operator, constant = arg
        return lambda field: compare(field, str(operator), self._value(constant, field))

    def known_op_rhs(self, arg: list[Any]) -> Any:
        """known_op_rhs: IS ( KNOWN | UNKNOWN )."""
        wanted = str(arg[1]) == "KNOWN"
        return lambda field: known(field) if wanted else known(field).inverse()

    def fuzzy_string_op_rhs(self, arg: list[Any]) -> Any:
        """fuzzy_string_op_rhs: CONTAINS value | STARTS [ WITH ] value | ENDS [ WITH ] value."""
        return lambda field: match_text(field, str(arg[0]), self._value(arg[-1], field))

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
        return Constant(re.sub(r"\\(.)", r"\1", str(arg[0])[1:-1], flags=re.DOTALL), meta.start_pos, meta.end_pos)

    @_placed
    def number(self, meta: Any, arg: list[Any]) -> Constant:
        """Read a number: SIGNED_INT | SIGNED_FLOAT."""
        token = arg[0]
        if len(token) > _MOST_DIGITS:
            raise self._fail("The number has too many digits.", meta.start_pos, meta.end_pos, "give at most 17 digits")
        value = int(token) if token.type == "SIGNED_INT" else float(token)
        return Constant(value, meta.start_pos, meta.end_pos)

    signed_int = number

    # Helpers

    def _fail(self, message: str, start: int, end: int, mend: str | None) -> FilterError:
        return with_picture(FilterError(message, mend=mend), self.text, start, end)

    def _value(self, constant: Constant | Reference, field: Field) -> Scalar:
        if isinstance(constant, Constant):
            return constant.value
        if constant.name in FIELDS:
            message, mend = "Two fields are compared; a field is compared with a value.", example(field)
        else:
            message, mend = f"{constant.name} stands without quotes.", f'write "{constant.name}"'
        raise self._fail(message, constant.start, constant.end, mend)

    def _apply(self, reference: Reference, rest: Any, meta: Any) -> Condition:
        field = FIELDS.get(reference.name)
        if field is None or not field.queryable:
            raise unknown_field(self.text, reference.name, reference.start, reference.end)
        if field.name not in self.used:
            self.used.append(field.name)
        try:
            condition: Condition = rest(field)
        except FilterError as error:
            if "\n" in error.message:  # it has its picture already
                raise
            raise with_picture(error, self.text, meta.start_pos, meta.end_pos) from None
        return condition
