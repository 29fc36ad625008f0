"""Aggregations: how the materials that match a filter spread over values.

They are counted in arrays of this process (:mod:`api.counting`), or, where those would be too large or do not serve, by
MongoDB in one or two passes over what matches; where nothing is filtered, an index on the field is walked instead of the
documents. Both give the same answer, which stays in this process until the candidates change (:mod:`api.standing`).
"""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from api.any_ion import query_of
from api.conditions import column
from api.filter_errors import unknown_name
from api.filters import compile_filter
from api.finding import conjunction, milliseconds
from api.results import Aggregation, Bucket
from store.errors import UsageError
from store.fields import FIELDS, Field, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymongo.database import Database

    from api.service import Service

Document = dict[str, Any]

BINS: Final = 20
"""Intervals of a histogram when none are named."""

_MOST_BINS: Final = 1000
_MOST_GROUPS: Final = 100_000
_MOST_FIELDS: Final = 4
_GROUPED: Final = ("string", "integer", "boolean", "list of string")
_NUMBERS: Final = ("integer", "float")


@dataclass(frozen=True)
class Asked:
    """An aggregation as it was asked for (see :meth:`api.service.Service.aggregate`)."""

    filter: str | None = None
    group_by: str | Sequence[str] | None = None
    histogram: str | None = None
    bins: int | Sequence[float] | None = None
    value: str | None = None
    top: int = 50
    include_duplicates: bool = True


def aggregate(service: Service, asked: Asked) -> Aggregation:
    """Answer an aggregation."""
    started = time.perf_counter()
    plan = Plan.of(service, asked)
    question = ("aggregate", repr(plan.wanted), plan.names, plan.edges, plan.bins, asked.value, asked.top)
    found = service.kept.answer(service, question, lambda: _find(service, plan))
    return replace(found, seconds=time.perf_counter() - started)


def _find(service: Service, plan: Plan) -> Aggregation:
    from api.columns import TooLarge
    from api.counting import count_in_memory

    try:
        found = count_in_memory(service, plan)
    except TooLarge:
        found = None
    return service.call(plan.read) if found is None else found


@dataclass(frozen=True)
class Plan:
    """What is to be counted, checked; :meth:`read` has MongoDB count it."""

    kind: str
    wanted: Document
    fields: tuple[Field, ...]
    value: Field | None
    bins: int
    edges: tuple[float, ...] | None
    top: int

    @classmethod
    def of(cls, service: Service, asked: Asked) -> Plan:
        """Check what was asked for."""
        from api.nearness import within_ids

        compiled = compile_filter(asked.filter, similar=True)
        if asked.group_by is not None and asked.histogram is not None:
            raise UsageError("Groups and a histogram were both asked for.", mend="ask for one of the two")
        if not 1 <= asked.top <= _MOST_GROUPS:
            raise UsageError(f"{asked.top} groups cannot be given.", mend=f"ask for 1 to {_MOST_GROUPS:,}")
        if asked.bins is not None and asked.histogram is None:
            raise UsageError("Bins belong to a histogram, and none was asked for.", mend="name its field")
        value = None if asked.value is None else _number_field(asked.value, "to sum up")
        near = [] if compiled.similar is None else [{"_id": {"$in": within_ids(service, compiled.similar)}}]
        wanted = conjunction(query_of(service, compiled), asked.include_duplicates, *near)
        if asked.histogram is not None:
            bins, edges = _check_bins(asked.bins)
            return cls("histogram", wanted, (_number_field(asked.histogram, "for a histogram"),), value, bins, edges, 0)
        fields = _group_fields(asked.group_by)
        return cls("groups" if fields else "count", wanted, fields, value, 0, None, asked.top)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the fields."""
        return tuple(field.name for field in self.fields)

    def read(self, database: Database[Document]) -> Aggregation:
        """Have MongoDB count."""
        if self.kind == "count":
            return self._count(database)
        return self._groups(database) if self.kind == "groups" else self._histogram(database)

    # One answer each

    def _count(self, database: Database[Document]) -> Aggregation:
        if self.value is None:
            total = _total(database, self.wanted)
            return self.answer([Bucket(total)], total, 0, 1)
        group = {"_id": None, "count": {"$sum": 1}, **self._sums()}
        found = _run(database, [{"$match": self.wanted}, {"$group": group}])
        buckets = [self._bucket(each) for each in found] or [Bucket(0, known=0)]
        return self.answer(buckets, buckets[0].count, 0, 1)

    def _groups(self, database: Database[Document]) -> Aggregation:
        columns = [column(field) for field in self.fields]
        known = {"$and": [{name: {"$ne": None}} for name in columns]}
        unwound = [{"$unwind": f"${column(field)}"} for field in self.fields if field.type == "list of string"]
        key = {f"k{number}": f"${name}" for number, name in enumerate(columns)}
        pipeline: list[Document] = [
            {"$match": conjunction(self.wanted, True, known)},
            *unwound,
            {"$group": {"_id": f"${columns[0]}" if len(columns) == 1 else key, "count": {"$sum": 1}, **self._sums()}},
            {
                "$facet": {
                    "top": [{"$sort": {"count": -1, "_id": 1}}, {"$limit": self.top}],
                    "all": [{"$group": {"_id": None, "groups": {"$sum": 1}, "documents": {"$sum": "$count"}}}],
                }
            },
        ]
        found = _run(database, pipeline, self._hint(database))[0]
        everything = (found["all"] or [{"groups": 0, "documents": 0}])[0]
        total = _total(database, self.wanted)
        unknown = total - everything["documents"]
        if unwound:  # one material counts in several groups
            nothing: tuple[Any, ...] = (None, [])
            empty = {"$or": [{name: each} for name in columns for each in nothing]}
            unknown = _total(database, conjunction(self.wanted, True, empty))
        return self.answer([self._group(each) for each in found["top"]], total, unknown, everything["groups"])

    def _histogram(self, database: Database[Document]) -> Aggregation:
        name = column(self.fields[0])
        known = conjunction(self.wanted, True, {name: {"$ne": None}})
        total = _total(database, self.wanted)
        edges = self.edges or equal_edges(_ends(database, known, name, self._hint(database)), self.bins)
        inside, below, above = self._intervals(database, name, edges)
        counted = sum(bucket.count for bucket in inside)
        return replace(
            self.answer(inside, total, total - counted - below - above, len(inside)), below=below, above=above
        )

    def _intervals(
        self, database: Database[Document], name: str, edges: tuple[float, ...]
    ) -> tuple[list[Bucket], int, int]:
        if not edges:
            return [], 0, 0
        # The last interval has its upper end.
        bounds = [*edges[:-1], math.nextafter(edges[-1], math.inf)]
        pipeline: list[Document] = [
            {"$match": conjunction(self.wanted, True, {name: {"$ne": None}})},
            {"$group": {"_id": _interval(f"${name}", bounds, 0, len(bounds)), "count": {"$sum": 1}, **self._sums()}},
        ]
        held = {each["_id"]: each for each in _run(database, pipeline, self._hint(database))}
        nothing = {"count": 0, "known": 0}
        buckets = [
            replace(self._bucket(held.get(number, nothing)), low=low, high=high)
            for number, (low, high) in enumerate(itertools.pairwise(edges), start=1)
        ]
        return buckets, held.get(0, nothing)["count"], held.get(len(bounds), nothing)["count"]

    # Parts

    def _sums(self) -> Document:
        if self.value is None:
            return {}
        name = f"${column(self.value)}"
        return {
            "known": {"$sum": {"$cond": [{"$gt": [name, None]}, 1, 0]}},
            "minimum": {"$min": name},
            "maximum": {"$max": name},
            "mean": {"$avg": name},
        }

    def _bucket(self, found: Document) -> Bucket:
        if self.value is None:
            return Bucket(found["count"])
        sums = {name: found.get(name) for name in ("minimum", "maximum", "mean")}
        return Bucket(found["count"], known=found["known"], **sums)

    def _group(self, found: Document) -> Bucket:
        key = found["_id"]
        value = [key[f"k{number}"] for number in range(len(self.fields))] if len(self.fields) > 1 else key
        return replace(self._bucket(found), value=value)

    def answer(self, buckets: list[Bucket], total: int, unknown: int, groups: int) -> Aggregation:
        """Put an answer together."""
        return Aggregation(self.kind, list(self.fields), self.value, buckets, total, unknown, groups, 0, 0, 0.0)

    def _hint(self, database: Database[Document]) -> str | None:
        """Name the index that holds the one field: walking it is several times faster than reading documents."""
        from api.standing import generation_of

        if self.wanted or self.value or len(self.fields) != 1 or not self.fields[0].indexed:
            return None
        name = column(self.fields[0])
        keys = database[generation_of(database)].index_information()
        found = [index for index, told in keys.items() if told["key"][0][0] == name]
        return min(found, key=lambda index: len(keys[index]["key"])) if found else None


def _run(database: Database[Document], pipeline: list[Document], hint: str | None = None) -> list[Document]:
    more: Document = {} if hint is None else {"hint": hint}
    return list(database["candidates"].aggregate(pipeline, maxTimeMS=milliseconds(), allowDiskUse=True, **more))


def _total(database: Database[Document], wanted: Document) -> int:
    if not wanted:
        from api.standing import generation_of

        return database[generation_of(database)].estimated_document_count()
    return database["candidates"].count_documents(wanted, maxTimeMS=milliseconds())


def _ends(database: Database[Document], known: Document, name: str, hint: str | None) -> tuple[float, float] | None:
    group = {"_id": None, "low": {"$min": f"${name}"}, "high": {"$max": f"${name}"}}
    found = _run(database, [{"$match": known}, {"$group": group}], hint)
    return (found[0]["low"], found[0]["high"]) if found else None


def _interval(value: str, bounds: Sequence[float], first: int, last: int) -> Any:
    """Number of bounds at or below a value: halving takes a fifth of the time of MongoDB's ``$bucket``.

    Examples
    --------
    >>> _interval("$x", [0, 1], 0, 2)
    {'$cond': [{'$lt': ['$x', 1]}, {'$cond': [{'$lt': ['$x', 0]}, 0, 1]}, 2]}
    """
    if first == last:
        return first
    middle = (first + last) // 2
    below, above = _interval(value, bounds, first, middle), _interval(value, bounds, middle + 1, last)
    return {"$cond": [{"$lt": [value, bounds[middle]]}, below, above]}


def equal_edges(ends: tuple[float, float] | None, bins: int) -> tuple[float, ...]:
    """Divide a range into equal intervals, as NumPy does.

    Examples
    --------
    >>> equal_edges((0.0, 2.0), 4), equal_edges((3, 3), 1)
    ((0.0, 0.5, 1.0, 1.5, 2.0), (2.5, 3.5))
    """
    if ends is None:
        return ()
    import numpy as np

    edges: list[float] = np.histogram_bin_edges([], bins=bins, range=ends).tolist()
    return tuple(edges)


def _check_bins(bins: int | Sequence[float] | None) -> tuple[int, tuple[float, ...] | None]:
    if bins is None:
        return BINS, None
    if isinstance(bins, bool) or not isinstance(bins, int | list | tuple):
        raise UsageError(f"Bins are a number of intervals or a list of edges; {bins!r} was given.", mend="bins=20")
    if isinstance(bins, int):
        if not 1 <= bins <= _MOST_BINS:
            raise UsageError(f"{bins} bins cannot be made.", mend=f"ask for 1 to {_MOST_BINS}")
        return bins, None
    edges = tuple(float(each) for each in bins)
    ascending = all(low < high for low, high in itertools.pairwise(edges))
    if not 2 <= len(edges) <= _MOST_BINS + 1 or not ascending or not all(math.isfinite(each) for each in edges):
        raise UsageError("The edges of bins are two or more numbers, each above the one before.", mend="bins=[0, 1, 2]")
    return len(edges) - 1, edges


def _group_fields(names: str | Sequence[str] | None) -> tuple[Field, ...]:
    listed = (
        [name.strip() for name in names.split(",") if name.strip()] if isinstance(names, str) else list(names or ())
    )
    fields = tuple(_known_field(name, "to group by") for name in dict.fromkeys(listed))
    if names is not None and not fields:
        raise UsageError("No field to group by is named.", mend="group_by='crystal_system'")
    if len(fields) > _MOST_FIELDS:
        raise UsageError(f"{len(fields)} fields cannot group at once.", mend=f"name at most {_MOST_FIELDS}")
    for field in fields:
        if field.type not in _GROUPED:
            raise UsageError(
                f"{field.label} takes too many values to group by ({field.type}).",
                mend=f"ask for its histogram: {field.name}",
            )
    return fields


def _number_field(name: str, use: str) -> Field:
    field = _known_field(name, use)
    if field.type not in _NUMBERS:
        close = [each.name for each in nearest(name, 50) if each.type in _NUMBERS][:3]
        raise UsageError(
            f"{field.name} holds no numbers ({field.type}), and numbers are needed {use}.",
            mend=f"name a field that does, such as {' or '.join(close or ['band_gap'])}",
        )
    return field


def _known_field(name: str, use: str) -> Field:
    field = FIELDS.get(name) if isinstance(name, str) else None
    if field is None or not field.queryable:
        raise unknown_name(str(name), use)
    return field
