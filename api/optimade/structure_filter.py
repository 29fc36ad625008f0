"""Filters on structures as MongoDB queries on ``candidates``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from optimade.exceptions import BadRequest, NotImplementedResponse

from api.conditions import NOTHING, SYMBOLS, Condition, column, compare, has, has_length, known, match_text
from api.optimade.filters import Translator
from api.optimade.names import Property, find_property
from api.optimade.values import Test, bounded, examine, mismatch, same_type
from store.fields import FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from store.fields import Field

ALL: Final[dict[str, Any]] = {}
"""Matches every document."""

MADE_AT: Final = "stamp.made_at"
NO_HYDROGEN: Final = "hydrogen not located"
"""The flag of structures whose formula has hydrogen that no site holds."""

_LISTS: Final = {
    # Lists whose length another field holds; the second says whether values of the list can be asked for.
    "elements_ratios": "nelements",
    "cartesian_site_positions": "nsites",
    "species_at_sites": "nsites",
}
_SAMPLE: Final = {"string": "", "integer": 0, "float": 0.0, "boolean": False, "list of string": [""]}
_RFC3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)",
)


def features(document: Mapping[str, Any]) -> list[str]:
    """Tell the ``structure_features`` of a material.

    Examples
    --------
    >>> features({"is_ordered": False, "flags": ["hydrogen not located"]})
    ['disorder', 'implicit_atoms']
    """
    disorder = ["disorder"] if document.get("is_ordered") is False else []
    return [*disorder, *(["implicit_atoms"] if NO_HYDROGEN in (document.get("flags") or ()) else [])]


def ratios(formula: str) -> list[float]:
    """Read the shares of the elements from a reduced or anonymous formula, in its order.

    Examples
    --------
    >>> ratios("FeLiO4P")[2]
    0.5714285714285714
    """
    amounts = [int(amount or 1) for amount in re.findall(r"[A-Z][a-z]?(\d*)", formula)]
    return [amount / sum(amounts) for amount in amounts]


class StructureTranslator(Translator):
    """Translate a filter on structures.

    Parameters
    ----------
    text : str
    anonymous : callable
        Gives the anonymous formulas in the store; asked only where the filter names ``elements_ratios``.
    """

    def __init__(self, text: str, anonymous: Callable[[], Sequence[str]]) -> None:
        super().__init__(text)
        self.anonymous = anonymous

    def judge(self, name: str, test: Test) -> Condition:
        """Translate a test of one property."""
        found = find_property(name)
        if found is None:
            self.foreign.append(name)
            return _everywhere(examine(name, None, test))
        if found.source == "constant":
            return _everywhere(examine(name, found.value, test))
        if found.field is not None:
            return _stored(name, found.field, test)
        return self._made(found, test)

    def _made(self, found: Property, test: Test) -> Condition:
        name = found.name
        if test.kind == "known":
            return _everywhere(test.operator == "KNOWN")
        if name == "last_modified":
            return _modified(test)
        if name == "structure_features":
            return _featured(test)
        if name in _LISTS and test.kind == "length":
            return _stored("nelements", FIELDS[_LISTS[name]], Test("compare", test.operator, test.values))
        if name == "lattice_vectors" and test.kind == "length":
            return _everywhere(examine(name, [0, 0, 0], test))
        if name == "elements_ratios":
            return self._shares(test)
        raise NotImplementedResponse(f"Filters on the items of {name} are not supported.")

    def _shares(self, test: Test) -> Condition:
        # The set of shares is told by the anonymous formula, of which there are some thousand.
        answers: dict[bool, list[str]] = {True: [], False: []}
        examine("elements_ratios", [0.5], test)  # even where the store is empty, a wrong type is an error
        for formula in self.anonymous():
            verdict = examine("elements_ratios", ratios(formula), test)
            answers[bool(verdict)].append(formula)
        name = "chemical_formula_anonymous"
        return Condition({name: {"$in": answers[True]}}, {name: {"$in": answers[False]}})


def _everywhere(answer: bool | None) -> Condition:
    if answer is None:
        return Condition(NOTHING, NOTHING)
    return Condition(ALL, NOTHING) if answer else Condition(NOTHING, ALL)


def _stored(name: str, field: Field, test: Test) -> Condition:
    """A test of a field of ``candidates``, by :mod:`api.conditions`, which is right for missing values."""
    if test.kind == "known":
        condition = known(field)
        return condition if test.operator == "KNOWN" else condition.inverse()
    # Raises where types do not match: in our own language that is a mistake, here the specification names the answer.
    examine(name, _SAMPLE.get(field.type, ""), test)
    values = [
        bounded(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
        for value in test.values
    ]
    if test.kind == "length":
        return _length(field, test.operator, values[0])
    if test.kind == "has":
        return (
            _elements(field, test.operator, values) if field.name == "elements" else has(field, test.operator, values)
        )
    if test.kind == "text":
        return match_text(field, test.operator, values[0])
    return compare(field, test.operator, values[0])


def _length(field: Field, operator: str, length: Any) -> Condition:
    counted = FIELDS["nelements"] if field.name == "elements" else None
    if not isinstance(length, int):  # beyond 64 bits: no list is so long, or so short
        length = 2**31 if length > 0 else -1
    return has_length(field, operator, length, counted)


def _elements(field: Field, quantifier: str, values: Sequence[Any]) -> Condition:
    """A test of ``elements`` in which what is no element is in no structure (our own language calls it a mistake)."""
    real = [value for value in values if value in SYMBOLS]
    if quantifier == "ALL" and len(real) < len(values):
        real = []
    return has(field, quantifier, real) if real else Condition(NOTHING, known(field).yes)


def _modified(test: Test) -> Condition:
    """A test of ``last_modified``, which is told in whole seconds and kept in milliseconds."""
    if test.kind != "compare":
        raise mismatch("last_modified", "a time")
    given = test.values[0]
    if not same_type("", given):
        raise mismatch("last_modified", "a time")
    moment = _moment(str(given))
    second = timedelta(seconds=1)
    floor = moment.replace(microsecond=0)
    whole = floor == moment
    after = floor + second
    bounds = {
        "<": {"$lt": floor if whole else after},
        "<=": {"$lt": after},
        ">": {"$gte": after},
        ">=": {"$gte": floor if whole else after},
    }
    if test.operator in bounds:
        opposite = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}[test.operator]
        return Condition({MADE_AT: bounds[test.operator]}, {MADE_AT: bounds[opposite]})
    same = Condition(
        {MADE_AT: {"$gte": floor, "$lt": after}}, {"$or": [{MADE_AT: {"$lt": floor}}, {MADE_AT: {"$gte": after}}]}
    )
    if not whole:
        same = Condition(NOTHING, ALL)
    return same if test.operator == "=" else same.inverse()


def _moment(text: str) -> datetime:
    if not _RFC3339.fullmatch(text):
        raise BadRequest(f"{text!r} is no time of RFC 3339: write 2024-05-31T12:00:00Z.")
    try:
        moment = datetime.fromisoformat(text.upper().replace(" ", "T")).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadRequest(f"{text!r} is no time of RFC 3339: write 2024-05-31T12:00:00Z.") from None
    # A leap of one second must stay in the range of Python and MongoDB.
    return min(max(moment, datetime(1, 1, 2, tzinfo=UTC)), datetime(9999, 12, 30, tzinfo=UTC))


def _featured(test: Test) -> Condition:
    """A test of ``structure_features``: there are four classes of structures."""
    yes: list[dict[str, Any]] = []
    no: list[dict[str, Any]] = []
    for ordered in (True, False):
        for flagged in (False, True):
            query = {"is_ordered": ordered, "flags": NO_HYDROGEN if flagged else {"$ne": NO_HYDROGEN}}
            found = features({"is_ordered": ordered, "flags": [NO_HYDROGEN] if flagged else []})
            answer = examine("structure_features", found or [], _worded(test))
            (yes if answer else no).append(query)
    return Condition(_any_of(yes), _any_of(no))


def _worded(test: Test) -> Test:
    if test.kind == "has" and not all(isinstance(value, str) for value in test.values):
        raise mismatch("structure_features", "a list of texts")
    return test


def _any_of(queries: list[dict[str, Any]]) -> dict[str, Any]:
    if not queries:
        return NOTHING
    return ALL if len(queries) == 4 else {"$or": queries}


def columns_of(names: Sequence[str]) -> dict[str, int]:
    """Write the projection that some properties need."""
    wanted = {"_id": 1}
    for name in names:
        found = find_property(name)
        if found is not None and found.column is not None:
            wanted[found.column] = 1
    extra = {
        "elements_ratios": ["chemical_formula_reduced"],
        "structure_features": ["is_ordered", "flags"],
        "species": ["is_ordered", "flags"],
        "cartesian_site_positions": [column(FIELDS["nsites"])],
    }
    for name in names:
        for each in extra.get(name, []):
            wanted[each] = 1
    return wanted
