"""Completion of filters: what may follow, from the grammar itself, with what each thing means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from store.fields import FIELDS, candidate_fields, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from store.fields import Field

MOST: Final = 30
"""Suggestions at most."""

_OPERATORS: Final = ("=", "!=", "<", "<=", ">", ">=")
_ORDERED: Final = ("integer", "float", "timestamp", "string")
_WORDS: Final = {
    "_AND": ("AND", "both conditions"),
    "_OR": ("OR", "one of the conditions"),
    "NOT": ("NOT", "the opposite; what is unknown stays out"),
    "SIMILAR": ("SIMILAR TO", "nearest to a material first"),
    "TO": ("TO", "a material or a formula"),
    "BY": ("BY", "what is compared"),
    "WITHIN": ("WITHIN", "largest distance"),
    "KNOWN": ("KNOWN", "has a value"),
    "UNKNOWN": ("UNKNOWN", "has no value"),
}
_OF_FIELDS: Final = {
    "HAS": ("HAS", "holds this", ("list of string",)),
    "ALL": ("ALL", "all of these", ("list of string",)),
    "ANY": ("ANY", "one of these", ("list of string",)),
    "ONLY": ("ONLY", "nothing but these", ("list of string",)),
    "LENGTH": ("LENGTH", "number of items", ("list of string",)),
    "CONTAINS": ("CONTAINS", "has this text in it", ("string",)),
    "STARTS": ("STARTS WITH", "begins with this text", ("string",)),
    "ENDS": ("ENDS WITH", "ends with this text", ("string",)),
    "IS": ("IS KNOWN", "has a value", ()),
    "TRUE": ("TRUE", "it is so", ("boolean",)),
    "FALSE": ("FALSE", "it is not so", ("boolean",)),
}
_USUAL: Final = (
    "elements",
    "formula",
    "chemical_system",
    "nelements",
    "energy_above_hull",
    "band_gap",
    "density",
    "crystal_system",
    "space_group_number",
    "li_channel_dimension",
    "li_migration_energy",
    "li_conductivity",
)


@dataclass(frozen=True)
class Suggestion:
    """One way to go on.

    Attributes
    ----------
    text : str
        What to write.
    kind : {"field", "operator", "value", "unit", "keyword"}
    detail : str
        What it means, with the unit of a field.
    start : int
        Where in the filter it begins; what stands from there to the cursor is replaced.
    """

    text: str
    kind: str
    detail: str
    start: int


def complete(text: str) -> list[Suggestion]:
    """Suggest how a filter may go on (see :meth:`api.service.Service.complete`).

    Examples
    --------
    >>> [each.text for each in complete("band_g")]
    ['band_gap']
    >>> [each.text for each in complete("band_gap > 1 m")]
    ['meV']
    >>> [each.text for each in complete('elements HAS "L')][:3]
    ['"Li"', '"La"', '"Lu"']
    """
    from api.filters import LONGEST

    if len(text) > LONGEST or not text.isprintable():
        return []
    before, typed = _divide(text)
    field = _field_before(before)
    if typed.startswith('"'):
        made = _values(field, before, len(before))
    else:
        made = [each for name in sorted(_expected(before)) for each in _of_terminal(name, before, field, typed)]
    low = typed.lower()
    fitting = [each for each in made if each.text.lower().startswith(low) and each.text != typed]
    if not fitting and low and any(each.kind == "field" for each in made):
        fitting = [_of_field(each, len(before)) for each in nearest(typed, 5)]
    order = {"field": 0, "unit": 1, "operator": 2, "value": 3, "keyword": 4}
    return sorted(dict.fromkeys(fitting), key=lambda each: order[each.kind])[:MOST]


def _divide(text: str) -> tuple[str, str]:
    """What is finished, and the word that is being typed."""
    quoted = list(re.finditer(r'"(?:\\.|[^"\\])*("?)', text))
    if quoted and quoted[-1].end() == len(text) and not quoted[-1][1]:
        return text[: quoted[-1].start()], text[quoted[-1].start() :]
    found = re.search(r"[\w°/^.-]+$|[<>=!]+$", text)
    if found is None or re.fullmatch(r"[-+]?[\d.]+(?:[eE][-+]?\d*)?", found[0]):
        return text, ""
    return text[: found.start()], found[0]


def _expected(before: str) -> set[str]:
    """Names of the grammar's terminals that may follow."""
    from lark.exceptions import LarkError, UnexpectedEOF, UnexpectedInput

    from api.filters import PARSING
    from api.grammar import parser

    try:
        with PARSING:
            parser().lark.parse(before)
    except UnexpectedEOF as error:
        return set(error.expected)
    except UnexpectedInput:
        return set()
    except LarkError:
        return set()
    ends = {"_AND", "_OR"}
    if re.search(r"\d\s*$", before):
        ends.add("UNIT")
    if re.search(r"SIMILAR\s+TO\s+\S+\s*$", before):
        ends |= {"BY", "WITHIN"}
    elif re.search(r"SIMILAR\s+TO\s+\S+\s+BY\s+\w+\s*$", before):
        ends.add("WITHIN")
    return ends


def _of_terminal(name: str, before: str, field: Field | None, typed: str) -> Iterable[Suggestion]:
    place = len(before)
    if name == "IDENTIFIER":
        if re.search(r"\bBY\s*$", before):
            return _indexes(place)
        # A field on the right of a comparison is no condition.
        return [] if field is not None else _fields(place, typed)
    if name == "OPERATOR":
        return _operators(field, place)
    if name == "UNIT":
        from api.units import fitting

        return [Suggestion(unit, "unit", f"of {field.name}", place) for unit in fitting(field)] if field else []
    if name == "ESCAPED_STRING" and field is not None:
        return _values(field, before, place)
    if name in _OF_FIELDS and field is not None:
        word, meaning, types = _OF_FIELDS[name]
        return [Suggestion(word, "operator", meaning, place)] if not types or field.type in types else []
    if name == "MATCHES":
        return _matching(field, place)
    if name in _WORDS and not (name in ("KNOWN", "UNKNOWN") and field is None):
        word, meaning = _WORDS[name]
        return [Suggestion(word, "keyword", meaning, place)]
    return []


def _operators(field: Field | None, place: int) -> list[Suggestion]:
    if field is None or field.type == "list of string":
        return []
    signs = _OPERATORS if field.type in _ORDERED else _OPERATORS[:2]
    return [Suggestion(sign, "operator", f"compare {field.label}", place) for sign in signs]


def _matching(field: Field | None, place: int) -> list[Suggestion]:
    from api.formula_patterns import FIELDS_MATCHED

    if field is None or field.name not in FIELDS_MATCHED:
        return []
    return [Suggestion("MATCHES", "operator", 'a formula with open places: "Li-*-O", "Li*O4", "ABO3"', place)]


def _fields(place: int, typed: str) -> list[Suggestion]:
    usual = [FIELDS[name] for name in _USUAL]
    if not typed:
        return [_of_field(field, place) for field in usual]
    rest = [field for field in candidate_fields() if field.queryable and field not in usual]
    return [_of_field(field, place) for field in [*usual, *rest]]


def _of_field(field: Field, place: int) -> Suggestion:
    unit = f" [{field.unit}]" if field.unit else ""
    return Suggestion(field.name, "field", f"{field.meaning}{unit}", place)


def _values(field: Field | None, before: str, place: int) -> list[Suggestion]:
    if re.search(r"\bTO\s*$", before) or field is None:
        return []
    return [Suggestion(f'"{value}"', "value", f"a value of {field.name}", place) for value in _choices(field)]


def _choices(field: Field) -> Sequence[str]:
    if field.name == "elements":
        from api.conditions import SYMBOLS

        return SYMBOLS
    if field.name == "working_ions":
        from store.ion_fields import IONS

        return IONS
    if field.name == "crystal_system":
        from store.documents import CRYSTAL_SYSTEMS

        return CRYSTAL_SYSTEMS
    return ()


def _indexes(place: int) -> list[Suggestion]:
    from indexes.registry import DISTANCES

    told: dict[str, Any] = dict(DISTANCES)
    return [Suggestion(name, "value", str(meaning), place) for name, meaning in told.items()]


def _field_before(before: str) -> Field | None:
    """The field of the condition that is being written."""
    last = re.split(r"\b(?:AND|OR|NOT)\b|\(", re.sub(r'"(?:\\.|[^"\\])*"', '""', before))[-1]
    for word in re.findall(r"[a-z_][a-z0-9_]*", last):
        field = FIELDS.get(word)
        if field is not None and field.queryable:
            return field
    return None
