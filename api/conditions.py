"""Conditions on one field as MongoDB queries, with what MongoDB would get wrong put right.

A filter has three answers: true, false, and unknown where the document lacks the value. Only true is a hit, and NOT turns
true into false and leaves unknown as it is (Kleene's logic, as SQL has it and the OPTIMADE specification asks). So every
condition carries two queries, one for the documents where it is true and one for those where it is false, and NOT swaps
them. MongoDB's own ``$not`` and ``$ne`` would also bring in what lacks the field.

Every query written here can use an index on its field; strings in ``CONTAINS``, ``STARTS`` and ``ENDS`` are escaped.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from store.errors import FilterError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from store.fields import Field

Query = dict[str, Any]

NOTHING: Final[Query] = {"_id": {"$in": []}}
"""Matches no document; MongoDB answers it without looking."""

EVERYTHING: Final[Query] = {}
"""Matches every document."""

# fmt: off
SYMBOLS: Final = (
    "H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne", "Na", "Mg", "Al", "Si", "P", "S", "Cl", "Ar", "K", "Ca", "Sc",
    "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Se", "Br", "Kr", "Rb", "Sr", "Y", "Zr", "Nb",
    "Mo", "Tc", "Ru", "Rh", "Pd", "Ag", "Cd", "In", "Sn", "Sb", "Te", "I", "Xe", "Cs", "Ba", "La", "Ce", "Pr", "Nd", "Pm",
    "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Hf", "Ta", "W", "Re", "Os", "Ir", "Pt", "Au", "Hg", "Tl",
    "Pb", "Bi", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Th", "Pa", "U", "Np", "Pu", "Am", "Cm", "Bk", "Cf", "Es", "Fm", "Md",
    "No", "Lr", "Rf", "Db", "Sg", "Bh", "Hs", "Mt", "Ds", "Rg", "Cn", "Nh", "Fl", "Mc", "Lv", "Ts", "Og",
)
# fmt: on
"""The chemical elements in the order of their atomic numbers."""

_OPERATORS: Final = {"<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}
_OPPOSITES: Final = {"<": "$gte", "<=": "$gt", ">": "$lte", ">=": "$lt"}
_INT64: Final = 2**63
_LONGEST_TEXT: Final = 1000


@dataclass(frozen=True)
class Condition:
    """Where something is true and where it is false; elsewhere it is unknown.

    Attributes
    ----------
    yes, no : dict
        MongoDB queries. No document matches both.
    """

    yes: Query
    no: Query

    def inverse(self) -> Condition:
        """NOT."""
        return Condition(self.no, self.yes)


def _join(operator: str, queries: Sequence[Query]) -> Query:
    flat: list[Query] = []
    for query in queries:
        inner = query.get(operator) if len(query) == 1 else None
        flat.extend(inner if inner is not None else [query])
    return flat[0] if len(flat) == 1 else {operator: flat}


def both(conditions: Sequence[Condition]) -> Condition:
    """AND: true where all are, false where one is."""
    return Condition(_join("$and", [c.yes for c in conditions]), _join("$or", [c.no for c in conditions]))


def either(conditions: Sequence[Condition]) -> Condition:
    """OR: true where one is, false where all are."""
    return Condition(_join("$or", [c.yes for c in conditions]), _join("$and", [c.no for c in conditions]))


def column(field: Field) -> str:
    """Name of a field in the documents of ``candidates``."""
    return "_id" if field.name == "id" else field.name


def known(field: Field) -> Condition:
    """IS KNOWN: never unknown itself."""
    # Equal to null means null or missing.
    return Condition({column(field): {"$ne": None}}, {column(field): {"$eq": None}})


def unknown(field: Field) -> Condition:
    """IS UNKNOWN."""
    return known(field).inverse()


def example(field: Field) -> str:
    """Write a condition that fits the field's type.

    Examples
    --------
    >>> from store.fields import FIELDS
    >>> [example(FIELDS[name]) for name in ("band_gap", "formula", "is_ordered")]
    ['band_gap > 1', 'formula = "..."', 'is_ordered = TRUE']
    """
    rest = {"string": '= "..."', "list of string": 'HAS "..."', "boolean": "= TRUE", "timestamp": '> "2024-05-31"'}
    return f"{field.name} {rest.get(field.type, '> 1')}"


def _describe(value: object) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _needs(field: Field, what: str, value: object, mend: str) -> FilterError:
    return FilterError(f"{field.label} is compared with {what}, and {_describe(value)} was given.", mend=mend)


def _number(field: Field, value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _needs(field, "a number", value, f"write the number without quotes: {field.name} > 1")
    if isinstance(value, int) and not -_INT64 <= value < _INT64:
        raise FilterError(f"The integer for {field.label} is beyond 64 bits.", mend="give a number below 9.2e18")
    if not math.isfinite(value):
        raise FilterError(f"The number for {field.label} is not finite.", mend="give a number below 1.8e308")
    return value


def _text(field: Field, value: object) -> str:
    if not isinstance(value, str):
        raise _needs(field, "text", value, f'write the text in double quotes: {field.name} = "{_describe(value)}"')
    if len(value) > _LONGEST_TEXT:
        raise FilterError(
            f"The text for {field.label} has {len(value)} characters; at most {_LONGEST_TEXT} are taken.",
            mend="shorten the text",
        )
    if "\0" in value:
        raise FilterError(
            f"The text for {field.label} holds a NUL character, which no document does.", mend="leave it out"
        )
    return value


def _moment(field: Field, value: object) -> datetime:
    try:
        moment = datetime.fromisoformat(_text(field, value))
    except ValueError:
        raise _needs(field, "a time (ISO 8601)", value, f'write it so: {field.name} > "2024-05-31T12:00:00Z"') from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _check_choice(field: Field, value: str) -> None:
    """Refuse values that no document can have: an empty answer would read as if there were no such material."""
    choices: Sequence[str]
    if field.name == "elements":
        choices, kind = SYMBOLS, "chemical element"
    elif field.name == "crystal_system":
        from store.documents import CRYSTAL_SYSTEMS

        choices, kind = CRYSTAL_SYSTEMS, "crystal system"
    else:
        return
    if value in choices:
        return
    same = [choice for choice in choices if choice.lower() == value.lower()]
    close = same or difflib.get_close_matches(value, choices, n=2, cutoff=0.4)
    also = " Deuterium is kept as H." if field.name == "elements" and value in ("D", "T") else ""
    mend = (
        f"write {' or '.join(_describe(choice) for choice in close)}" if close else f"give one of {', '.join(choices)}"
    )
    raise FilterError(f"{_describe(value)} is no {kind}.{also}", mend=mend)


def compare(field: Field, operator: str, value: object) -> Condition:
    """``field OPERATOR value`` for a field that holds one value.

    Parameters
    ----------
    field : store.fields.Field
    operator : str
        ``=``, ``!=``, ``<``, ``<=``, ``>`` or ``>=``.
    value : str, int, float or bool

    Raises
    ------
    FilterError
        The field is a list, or the value is of another type.

    Examples
    --------
    >>> from store.fields import FIELDS
    >>> compare(FIELDS["band_gap"], "!=", 1.5)
    Condition(yes={'band_gap': {'$nin': [1.5, None]}}, no={'band_gap': {'$eq': 1.5}})
    """
    given: Any
    if field.type == "list of string":
        raise FilterError(
            f"{field.name} is a list, and a list is not compared with {operator}.",
            mend=f"{field.name} HAS {_describe(value)}, HAS ALL, HAS ANY, HAS ONLY, or {field.name} LENGTH {operator} 2",
        )
    if field.type in ("integer", "float"):
        given = _number(field, value)
    elif field.type == "boolean":
        if not isinstance(value, bool):
            raise _needs(field, "TRUE or FALSE", value, f"{field.name} = TRUE")
        if operator not in ("=", "!="):
            raise FilterError(f"{field.name} is TRUE or FALSE and has no order.", mend=f"{field.name} = TRUE")
        given = value
    elif field.type == "timestamp":
        given = _moment(field, value)
    else:
        given = _text(field, value)
        if operator in ("=", "!="):
            _check_choice(field, given)
    name = column(field)
    if operator in ("=", "!="):
        same = Condition({name: {"$eq": given}}, {name: {"$nin": [given, None]}})
        return same if operator == "=" else same.inverse()
    # Order comparisons in MongoDB see values of the same type only, so null and missing answer neither.
    return Condition({name: {_OPERATORS[operator]: given}}, {name: {_OPPOSITES[operator]: given}})


def match_text(field: Field, keyword: str, value: object) -> Condition:
    r"""``field CONTAINS | STARTS | ENDS value``; every character stands for itself.

    Examples
    --------
    >>> from store.fields import FIELDS
    >>> match_text(FIELDS["formula"], "STARTS", "Li2.5(").yes
    {'formula': {'$regex': '^Li2\\.5\\('}}
    """
    if field.type == "list of string":
        raise FilterError(
            f"{field.name} is a list, and {keyword} looks into text.", mend=f"{field.name} HAS {_describe(value)}"
        )
    if field.type != "string":
        raise FilterError(
            f"{field.label} is no text, and {keyword} looks into text.", mend=f"compare it: {example(field)}"
        )
    escaped = re.escape(_text(field, value))
    # \z and not $: the latter also matches before a line break at the end.
    pattern = {"CONTAINS": escaped, "STARTS": f"^{escaped}", "ENDS": f"{escaped}\\z"}[keyword]
    name = column(field)
    return Condition({name: {"$regex": pattern}}, {name: {"$not": {"$regex": pattern}, "$ne": None}})


def has(field: Field, quantifier: str, values: Sequence[object]) -> Condition:
    """``field HAS [ALL | ANY | ONLY] values`` for a list.

    ``HAS ONLY`` asks for at least one item: an empty list has nothing only.

    Parameters
    ----------
    quantifier : str
        ``ALL``, ``ANY`` or ``ONLY``.

    Examples
    --------
    >>> from store.fields import FIELDS
    >>> has(FIELDS["elements"], "ALL", ["Li", "O"]).yes
    {'elements': {'$all': ['Li', 'O']}}
    """
    if field.type != "list of string":
        raise FilterError(f"{field.label} holds one value and no list; HAS is for lists.", mend=example(field))
    items = list(dict.fromkeys(_text(field, value) for value in values))
    for item in items:
        _check_choice(field, item)
    name = column(field)
    if quantifier == "ONLY":
        other = {"$elemMatch": {"$nin": items}}
        # $in lets an index find the few that have any, and leaves empty lists out.
        return Condition({name: {"$in": items, "$not": other}}, {"$or": [{name: other}, {name: {"$size": 0}}]})
    if quantifier == "ALL" and len(items) > 1:
        return Condition({name: {"$all": items}}, {name: {"$not": {"$all": items}, "$ne": None}})
    return Condition({name: {"$in": items}}, {name: {"$nin": [*items, None]}})


def has_length(field: Field, operator: str, length: int, counted: Field | None = None) -> Condition:
    """``field LENGTH OPERATOR length`` for a list.

    Parameters
    ----------
    counted : store.fields.Field, optional
        The field that holds this list's length, if there is one: it may have an index, a length has none.

    Examples
    --------
    >>> from store.fields import FIELDS
    >>> has_length(FIELDS["flags"], ">", 1).yes
    {'flags.1': {'$exists': True}}
    """
    if field.type != "list of string":
        raise FilterError(
            f"{field.label} holds one value and no list; LENGTH is for lists.", mend=f"compare it: {example(field)}"
        )
    if counted is not None:
        return compare(counted, operator, length)
    _number(field, length)
    makers: dict[str, Callable[[], Condition]] = {
        "=": lambda: _size(field, length),
        "!=": lambda: _size(field, length).inverse(),
        ">=": lambda: _at_least(field, length),
        ">": lambda: _at_least(field, length + 1),
        "<": lambda: _at_least(field, length).inverse(),
        "<=": lambda: _at_least(field, length + 1).inverse(),
    }
    return makers[operator]()


def _size(field: Field, length: int) -> Condition:
    name = column(field)
    if length < 0 or length >= 2**31:  # MongoDB refuses such sizes, and no list has them
        return Condition(NOTHING, known(field).yes)
    return Condition({name: {"$size": length}}, {name: {"$not": {"$size": length}, "$ne": None}})


def _at_least(field: Field, length: int) -> Condition:
    name = column(field)
    if length <= 0:
        return Condition(known(field).yes, NOTHING)
    if length >= 2**31:
        return Condition(NOTHING, known(field).yes)
    # MongoDB has no $size with a range; the last item of a list so long exists.
    last = f"{name}.{length - 1}"
    return Condition({last: {"$exists": True}}, {last: {"$exists": False}, name: {"$ne": None}})
