"""Queries on ``candidates``: columns, order, pages, counts."""

from __future__ import annotations

import fnmatch
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from api.any_ion import held_somewhere, query_of
from api.conditions import column
from api.filter_errors import unknown_name
from api.filters import CompiledFilter, compile_filter
from api.paging import Pages, digest, order_keys, read_cursor, write_cursor
from api.results import QueryResult
from store.errors import UsageError
from store.fields import FIELDS, Field, candidate_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pymongo.database import Database

    from api.service import Service

Order = list[tuple[Field, int]]

_IDS: Final = 10_000
"""Ids that are looked up at once."""

_MOST_IDS: Final = 100_000
_IDS_PACKED: Final = 200_000
"""Ids that are packed into one document."""


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
    after: str | None = None


def query(service: Service, question: Question) -> QueryResult:
    """Answer a question."""
    started = time.perf_counter()
    compiled = compile_filter(question.filter, similar=True)
    if compiled.similar is not None:
        from api.nearness import query_similar

        return query_similar(service, question, compiled)
    order = parse_sort(question.sort)
    chosen = choose_fields(question.fields, [*compiled.fields, *(field.name for field, _ in order)])
    check_page(question)
    wanted = conjunction(query_of(service, compiled), question.include_duplicates)
    documents, more, cursor = page(service, question, wanted, order, chosen)
    rows = [row_of(document, chosen) for document in documents]
    rows, chosen = trimmed(question, compiled, rows, chosen)
    start = None if question.after is not None else question.skip
    total = start + len(rows) if start is not None and not more and (rows or not start) else None
    if total is None and question.count:
        total = count(service, wanted)
    note = None if rows or question.skip or question.after else why_empty(service)
    return QueryResult(rows, chosen, total, more, time.perf_counter() - started, note, cursor)


def trimmed(
    question: Question, compiled: CompiledFilter, rows: list[dict[str, Any]], chosen: list[Field]
) -> tuple[list[dict[str, Any]], list[Field]]:
    """Leave out columns of ions about which no row knows anything, where they were not asked for by name."""
    if question.fields == "all":
        return without_unknown_ions(rows, chosen)
    if question.fields is not None or not compiled.any_ion:
        return rows, chosen
    chosen = held_somewhere(rows, chosen, compiled.any_ion)
    return [{field.name: row[field.name] for field in chosen} for row in rows], chosen


def get(service: Service, id: str, fields: Sequence[str] | str | None = None) -> dict[str, Any]:
    """Read one row (see :meth:`api.service.Service.get`)."""
    found = get_many(service, [id], "all" if fields is None else fields)
    if found.missing:
        raise service.unknown_id(id)
    return found.rows[0]


def get_many(service: Service, ids: Sequence[str], fields: Sequence[str] | str | None = None) -> QueryResult:
    """Read rows by their ids (see :meth:`api.service.Service.get_many`)."""
    started = time.perf_counter()
    _check_ids(ids)
    chosen = choose_fields(fields)
    known: dict[str, dict[str, Any]] = {}
    for part in range(0, len(ids), _IDS):
        known |= rows_by_id(service, list(dict.fromkeys(ids[part : part + _IDS])), chosen)
    rows = [known[id] for id in ids if id in known]
    missing = [id for id in dict.fromkeys(ids) if id not in known]
    if fields == "all":
        rows, chosen = without_unknown_ions(rows, chosen)
    told = ", ".join(missing[:5]) + (" ..." if len(missing) > 5 else "")
    note = f"{len(missing):,} of {len(ids):,} ids are not there: {told}" if missing else None
    return QueryResult(rows, chosen, len(rows), False, time.perf_counter() - started, note, missing=missing)


def _check_ids(ids: Sequence[str]) -> None:
    if isinstance(ids, str) or not all(isinstance(id, str) for id in ids):
        raise UsageError("Ids are a list of texts.", mend='get_many(["mp-1", "mp-2"])')
    if len(ids) > _MOST_IDS:
        raise UsageError(f"{len(ids):,} ids were given; at most {_MOST_IDS:,} are taken at once.", mend="ask in parts")


def matching_ids(service: Service, wanted: dict[str, Any]) -> set[str]:
    """Return the ids of all materials that match a query.

    The server packs them into one document, or some: a third of the time of one document each.
    """

    def read(database: Database[dict[str, Any]]) -> set[str]:
        group = {"_id": parts_of(database, _IDS_PACKED), "ids": {"$push": "$_id"}}
        pipeline: list[dict[str, Any]] = [{"$match": wanted}, {"$group": group}]
        found = database["candidates"].aggregate(pipeline, maxTimeMS=milliseconds())
        return {id for each in found for id in each["ids"]}

    return service.call(read)


def parts_of(database: Database[dict[str, Any]], most: int) -> dict[str, Any] | None:
    """How to divide all candidates so that what is packed of them fits into documents of 16 MB; None for no need.

    MongoDB ends the connection on a larger one, as if it had gone away. Ids are divided by their last two letters.
    """
    from api.standing import generation_of

    if database[generation_of(database)].estimated_document_count() <= most:
        return None
    length = {"$strLenCP": "$_id"}
    return {"$substrCP": ["$_id", {"$max": [0, {"$subtract": [length, 2]}]}, 2]}


def rows_by_id(service: Service, ids: Sequence[str], chosen: Sequence[Field]) -> dict[str, dict[str, Any]]:
    """Read some materials."""

    def read(database: Database[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        found = database["candidates"].find(
            {"_id": {"$in": list(ids)}}, projection_of(chosen), max_time_ms=milliseconds()
        )
        return {document["_id"]: row_of(document, chosen) for document in found}

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
        if name in FIELDS and FIELDS[name].candidate:
            chosen[name] = FIELDS[name]
            continue
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


def check_page(question: Question) -> None:
    """Refuse pages that cannot be."""
    limit, skip = question.limit, question.skip
    if limit is not None and not 1 <= limit < 2**31 - 1:
        raise UsageError(f"The limit is at least 1; {limit} was given.", mend="give a number, or none for all rows")
    if not 0 <= skip < 2**31:
        raise UsageError(f"The number of rows to skip is at least 0; {skip} was given.", mend="skip 0 or more")
    if question.after is not None and skip:
        raise UsageError("A cursor and rows to skip were both given.", mend="give one of the two")


def conjunction(wanted: dict[str, Any], include_duplicates: bool, *more: dict[str, Any]) -> dict[str, Any]:
    """Join a filter's query, the wish for each crystal once, and further queries."""
    parts = [wanted, *([] if include_duplicates else [{"duplicate_of": None}]), *more]
    parts = [each for each in parts if each]
    return {"$and": parts} if len(parts) > 1 else (parts[0] if parts else {})


def projection_of(chosen: Sequence[Field]) -> dict[str, int]:
    """Name what is to be read of a document."""
    return {"_id": 1, **{column(field): 1 for field in chosen}}


def row_of(document: dict[str, Any], chosen: Sequence[Field]) -> dict[str, Any]:
    """Take the chosen fields of a document."""
    return {field.name: document.get(column(field)) for field in chosen}


def milliseconds() -> int:
    """Time that MongoDB may spend on one read, ms."""
    from api.opened import SECONDS

    return int(SECONDS * 1000)


def page(
    service: Service, question: Question, wanted: dict[str, Any], order: Order, chosen: Sequence[Field]
) -> tuple[list[dict[str, Any]], bool, str | None]:
    """Read a page: its documents, whether more follow, and the cursor of what follows."""
    keys = order_keys(order)
    names = [name for name, _ in keys]
    asked = digest("query", question.filter or "", keys, question.include_duplicates)
    behind = None if question.after is None else read_cursor(question.after, asked, len(keys))
    # One row more than asked tells whether there are more, and costs nothing.
    most = None if question.limit is None else question.limit + 1

    def read(database: Database[dict[str, Any]]) -> list[dict[str, Any]]:
        projection = projection_of(chosen) | dict.fromkeys(names, 1)
        pages = Pages(database["candidates"], wanted, projection, keys, milliseconds())
        return pages.first(most, question.skip) if behind is None else pages.after(behind, most)

    documents = service.call(read)
    if question.limit is None or len(documents) <= question.limit:
        return documents, False, None
    documents = documents[: question.limit]
    return documents, True, write_cursor(asked, [documents[-1].get(name) for name in names])


def count(service: Service, wanted: dict[str, Any]) -> int | None:
    """Count what matches a query; None where that takes too long. Kept until the candidates change."""

    def find() -> int | None:
        return service.call(lambda database: _count(database, wanted))

    return service.kept.answer(service, ("count", repr(wanted)), find)


def _count(database: Database[dict[str, Any]], wanted: dict[str, Any]) -> int | None:
    from pymongo.errors import ExecutionTimeout

    from api.service import COUNT_SECONDS

    try:
        return database["candidates"].count_documents(wanted, maxTimeMS=int(COUNT_SECONDS * 1000))
    except ExecutionTimeout:
        return None


_PLURALS: Final = {"hop": "hops", "conductivity": "measured conductivities"}


def why_empty(service: Service) -> str | None:
    """Tell why nothing matches, where that is not the question's doing."""
    return service.call(_why_empty)


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
