"""Queries on ``candidates``: columns, order, pages, counts."""

from __future__ import annotations

import fnmatch
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from api.conditions import column
from api.filter_errors import unknown_name
from api.filters import CompiledFilter, compile_filter
from api.results import QueryResult
from store.errors import UsageError
from store.fields import FIELDS, Field, candidate_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pymongo.database import Database

    from api.service import Service

Order = list[tuple[Field, int]]


@dataclass(frozen=True)
class Question:
    """A query as it was asked (see :meth:`api.service.Service.query`)."""

    filter: str | None = None
    fields: Sequence[str] | str | None = None
    sort: str | None = None
    limit: int | None = 100
    skip: int = 0
    include_duplicates: bool = True
    count: bool = False


def query(service: Service, question: Question) -> QueryResult:
    """Answer a question."""
    started = time.perf_counter()
    compiled = compile_filter(question.filter)
    order = parse_sort(question.sort)
    chosen = choose_fields(question.fields, [*compiled.fields, *(field.name for field, _ in order)])
    _check_page(question.limit, question.skip)
    wanted = _conjunction(compiled, question.include_duplicates)
    # One row more than asked tells whether there are more, and costs nothing.
    most = None if question.limit is None else question.limit + 1
    rows = service.call(lambda database: _page(database, wanted, order, chosen, question.skip, most))
    more = question.limit is not None and len(rows) > question.limit
    rows = rows[: question.limit] if more else rows
    if question.fields == "all":
        rows, chosen = without_unknown_ions(rows, chosen)
    total = question.skip + len(rows) if not more and (rows or not question.skip) else None
    if total is None and question.count:
        total = service.call(lambda database: _count(database, wanted))
    note = None if rows or question.skip else service.call(_why_empty)
    return QueryResult(rows, chosen, total, more, time.perf_counter() - started, note)


def matching_ids(service: Service, filter_text: str | None) -> set[str] | None:
    """Return the ids of all materials that match a filter; None stands for all of them."""
    compiled = compile_filter(filter_text)
    if not compiled.query:
        return None

    def read(database: Database[dict[str, Any]]) -> set[str]:
        found = database["candidates"].find(compiled.query, {"_id": 1}, max_time_ms=_milliseconds(), batch_size=50_000)
        return {row["_id"] for row in found}

    return service.call(read)


def rows_by_id(service: Service, ids: Sequence[str], chosen: Sequence[Field]) -> dict[str, dict[str, Any]]:
    """Read some materials."""

    def read(database: Database[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        found = database["candidates"].find(
            {"_id": {"$in": list(ids)}}, _projection(chosen), max_time_ms=_milliseconds()
        )
        return {document["_id"]: _row(document, chosen) for document in found}

    return service.call(read)


def choose_fields(given: Sequence[str] | str | None, mentioned: Iterable[str] = ()) -> list[Field]:
    """Resolve column names.

    Parameters
    ----------
    given : list of str, or str with commas, optional
        A ``*`` in a name stands for any letters; ``all`` stands for all fields, None for the usual ones and those that were
        mentioned.
    mentioned : iterable of str

    Raises
    ------
    UnknownField

    Examples
    --------
    >>> [field.label for field in choose_fields("id,density")]
    ['id', 'density [g/cm^3]']
    >>> [field.name for field in choose_fields("id,li_path_r?")]
    ['id', 'li_path_r1', 'li_path_r2', 'li_path_r3']
    """
    from api.service import DEFAULT_FIELDS

    if given is None:
        names = [*DEFAULT_FIELDS, *mentioned]
    elif isinstance(given, str):
        names = [name.strip() for name in given.split(",") if name.strip()]
    else:
        names = list(given)
    if names == ["all"]:
        return list(candidate_fields())
    chosen: dict[str, Field] = {}
    for name in names:
        found = fnmatch.filter((field.name for field in candidate_fields()), name)
        if not found:
            raise unknown_name(name, "to show")
        chosen |= {each: FIELDS[each] for each in found}
    if not chosen:
        raise UsageError("No columns are named.", mend="--fields id,formula,density")
    return list(chosen.values())


def without_unknown_ions(rows: list[dict[str, Any]], chosen: list[Field]) -> tuple[list[dict[str, Any]], list[Field]]:
    """Leave out the columns of ions whose channels are known in no row: of two hundred, most are empty."""
    held = {ion for row in rows for ion in row.get("working_ions") or ()}
    kept = [field for field in chosen if not field.ion or field.ion in held]
    return [{field.name: row[field.name] for field in kept} for row in rows], kept


def parse_sort(text: str | None) -> Order:
    """Read an order such as ``-density,formula``.

    Raises
    ------
    UnknownField
        A name that is no field.
    UsageError
        A field that has no order (a list, TRUE or FALSE).

    Examples
    --------
    >>> [(field.name, direction) for field, direction in parse_sort("-density,formula")]
    [('density', -1), ('formula', 1)]
    """
    order: Order = []
    for part in (text or "").split(","):
        name = part.strip()
        if not name:
            continue
        direction = -1 if name.startswith("-") else 1
        name = name.lstrip("+-")
        field = FIELDS.get(name)
        if field is None or not field.candidate:
            raise unknown_name(name, "to sort by")
        if not field.sortable:
            raise UsageError(f"{name} has no order ({field.type}).", mend="--sort -density,formula")
        if field.name not in [known.name for known, _ in order]:
            order.append((field, direction))
    return order


def reduced_formula(text: str) -> str | None:
    """Read a formula and write it in OPTIMADE's reduced form; None if it is no formula.

    Examples
    --------
    >>> reduced_formula("LiFePO4"), reduced_formula("mp-19017")
    ('FeLiO4P', None)
    """
    composition = read_formula(text)
    if composition is None:
        return None
    from builders.structures.formulas import describe_composition

    try:
        return describe_composition(composition).reduced
    except Exception:  # a hint or a look-up: what has no reduced form has no match
        return None


def read_formula(text: str) -> dict[str, float] | None:
    """Read a chemical formula into amounts by element; None if it is none.

    Examples
    --------
    >>> read_formula("Ca(OH)2"), read_formula("quartz")
    ({'Ca': 1.0, 'O': 2.0, 'H': 2.0}, None)
    """
    if len(text) > 200 or not re.fullmatch(r"[A-Za-z0-9().\[\]\s]+", text) or not re.match(r"\s*[\[(]*[A-Z]", text):
        return None
    from pymatgen.core.composition import Composition

    try:
        amounts = {str(element): float(amount) for element, amount in Composition(text).get_el_amt_dict().items()}
    except Exception:  # pymatgen raises many kinds on what is no formula
        return None
    from api.conditions import SYMBOLS

    good = amounts and all(element in SYMBOLS and amount > 0 for element, amount in amounts.items())
    return amounts if good else None


def _check_page(limit: int | None, skip: int) -> None:
    if limit is not None and not 1 <= limit < 2**31 - 1:
        raise UsageError(f"The limit is at least 1; {limit} was given.", mend="give a number, or none for all rows")
    if not 0 <= skip < 2**31:
        raise UsageError(f"The number of rows to skip is at least 0; {skip} was given.", mend="skip 0 or more")


def _conjunction(compiled: CompiledFilter, include_duplicates: bool) -> dict[str, Any]:
    if include_duplicates:
        return compiled.query
    unique = {"duplicate_of": None}
    return {"$and": [compiled.query, unique]} if compiled.query else unique


def _projection(chosen: Sequence[Field]) -> dict[str, int]:
    return {"_id": 1, **{column(field): 1 for field in chosen}}


def _row(document: dict[str, Any], chosen: Sequence[Field]) -> dict[str, Any]:
    return {field.name: document.get(column(field)) for field in chosen}


def _milliseconds() -> int:
    from api.service import SECONDS

    return int(SECONDS * 1000)


def _page(
    database: Database[dict[str, Any]],
    wanted: dict[str, Any],
    order: Order,
    chosen: Sequence[Field],
    skip: int,
    most: int | None,
) -> list[dict[str, Any]]:
    """Read a page. MongoDB puts null before everything; ascending orders are read in two parts to have it last."""
    if not order or order[0][1] < 0 or order[0][0].name == "id":
        return _read(database, wanted, order, chosen, skip, most)
    first = column(order[0][0])
    known = {"$and": [wanted, {first: {"$ne": None}}]} if wanted else {first: {"$ne": None}}
    rows = _read(database, known, order, chosen, skip, most)
    if most is not None and len(rows) >= most:
        return rows
    before = database["candidates"].count_documents(known, maxTimeMS=_milliseconds()) if skip and not rows else skip
    skip = max(0, skip - before)
    unknown = {"$and": [wanted, {first: None}]} if wanted else {first: None}
    return rows + _read(database, unknown, order[1:], chosen, skip, None if most is None else most - len(rows))


def _read(
    database: Database[dict[str, Any]],
    wanted: dict[str, Any],
    order: Order,
    chosen: Sequence[Field],
    skip: int,
    most: int | None,
) -> list[dict[str, Any]]:
    keys = [(column(field), direction) for field, direction in order]
    if "_id" not in [name for name, _ in keys]:
        # The indexes end in _id: ties in the direction of the last key let them be walked as they are.
        keys.append(("_id", keys[-1][1] if keys else 1))
    cursor = database["candidates"].find(wanted, _projection(chosen)).sort(keys).skip(skip)
    cursor = cursor.max_time_ms(_milliseconds()).allow_disk_use(True)
    if most is not None:
        cursor = cursor.limit(most).batch_size(min(most, 10_000))
    return [_row(document, chosen) for document in cursor]


def _count(database: Database[dict[str, Any]], wanted: dict[str, Any]) -> int | None:
    from pymongo.errors import ExecutionTimeout

    from api.service import COUNT_SECONDS

    try:
        return database["candidates"].count_documents(wanted, maxTimeMS=int(COUNT_SECONDS * 1000))
    except ExecutionTimeout:
        return None


_PLURALS: Final = {"hop": "hops", "conductivity": "measured conductivities"}


def _why_empty(database: Database[dict[str, Any]]) -> str | None:
    """Tell an empty store from a filter that nothing matches."""
    from store.ingest.kinds import NOT_MATERIALS, kind_of

    if database["candidates"].find_one({}, {"_id": 1}) is not None:
        return None
    if database["sources"].find_one({}, {"_id": 1}) is None:
        return "The store is empty. To fill it: ionatlas ingest FILE, then ionatlas build"
    if database["sources"].find_one({"format": {"$nin": list(NOT_MATERIALS)}}, {"_id": 1}) is None:
        kinds = {kind_of(each) for each in database["sources"].distinct("format")}
        held = " and ".join(name for kind, name in _PLURALS.items() if kind in kinds)
        return f"The store holds {held} only, which are no materials. To add some: ionatlas ingest FILE, then ionatlas build"
    return "Nothing is built yet. To build: ionatlas build"
