"""A server's JSON, made into the dataclasses that the service of this machine answers with.

A newer server may tell more, and of fields that this version does not know: what is not known is kept where it has a place
(columns, documents) and left out where it has none, and never an error.
"""

from __future__ import annotations

from dataclasses import fields as dataclass_fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

from api.results import Aggregation, Bucket, CollectionStatus, IndexStatus, Lineage, QueryResult, Step, StoreStatus
from store.crystal import Crystal
from store.errors import UsageError
from store.fields import FIELDS, Field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from store.field import FieldType

T = TypeVar("T")
Json = dict[str, Any]


def part(answer: Any, name: str, kind: type[T]) -> T:
    """Take a part out of an answer.

    Raises
    ------
    UsageError
        It is not there, or of another kind: whoever answers is no ionatlas server.
    """
    value = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(value, kind):
        raise UsageError(f"The answer has no {name}: it is not that of an ionatlas server.", mend="check the address")
    return value


def field_of(name: str, told: Mapping[str, Any]) -> Field:
    """Make a field of what a server tells of it, with what we know of it ourselves.

    Examples
    --------
    >>> field_of("glow", {"unit": "cd", "type": "list of colour", "meaning": "Its glow."}).label
    'glow [cd]'
    """
    known = FIELDS.get(name)
    type_ = str(told.get("type") or (known.type if known else "string"))
    return Field(
        name,
        cast("FieldType", type_),
        told.get("unit", known.unit if known else None),
        str(told.get("meaning") or (known.meaning if known else "")),
        str(told.get("source") or (known.source if known else "")),
        candidate=True,
        sortable=bool(told.get("sortable", known.sortable if known else False)),
        indexed=bool(told.get("indexed", known.indexed if known else False)),
        ion=str(told.get("ion") or (known.ion if known else "")),
    )


def query_result(answer: Any) -> QueryResult:
    """Make rows with their fields."""
    meta = part(answer, "meta", dict)
    rows = [row for row in part(answer, "data", list) if isinstance(row, dict)]
    told = meta.get("fields") or {}
    names = list(told) or list(dict.fromkeys(name for row in rows for name in row))
    columns = [field_of(name, told.get(name) or {}) for name in names]
    return QueryResult(
        rows=[{name: row.get(name) for name in names} for row in rows],
        fields=columns,
        total=meta.get("total"),
        more=bool(meta.get("more")),
        seconds=float(meta.get("seconds") or 0.0),
        note=meta.get("note"),
        next=meta.get("next"),
        missing=[str(each) for each in meta.get("missing") or ()],
    )


def aggregation(answer: Any) -> Aggregation:
    """Make counts, groups or a histogram."""
    meta, data = part(answer, "meta", dict), part(answer, "data", dict)
    told = meta.get("fields") or {}
    value = data.get("value")
    return Aggregation(
        kind=str(data.get("kind")),
        fields=[field_of(name, told.get(name) or {}) for name in data.get("fields") or ()],
        value=None if value is None else field_of(value, told.get(value) or {}),
        buckets=[_made(Bucket, each) for each in part(data, "buckets", list)],
        total=int(data.get("total") or 0),
        unknown=int(data.get("unknown") or 0),
        groups=int(data.get("groups") or len(data["buckets"])),
        below=int(data.get("below") or 0),
        above=int(data.get("above") or 0),
        seconds=float(meta.get("seconds") or 0.0),
    )


def crystal(answer: Any) -> Crystal:
    """Make a crystal."""
    data = part(answer, "data", dict)
    return Crystal.from_lists(
        part(data, "lattice", list),
        part(data, "species", list),
        part(data, "frac_coords", list),
        data.get("occupancies"),
    )


def lineage(answer: Any) -> Lineage:
    """Make the way of a value."""
    data = part(answer, "data", dict)
    name = str(data.get("field"))
    told = (part(answer, "meta", dict).get("fields") or {}).get(name)
    if told is None:
        told = {"unit": data["unit"]} if "unit" in data else {}
    steps = [step(each) for each in part(data, "steps", list)]
    return Lineage(str(data.get("id")), field_of(name, told), data.get("value"), str(data.get("copied_from")), steps)


def step(told: Json) -> Step:
    """Make one step of a way."""
    dated = moments(told)
    return _made(Step, {**dated, "inputs": [step(each) for each in told.get("inputs") or ()]})


def status(answer: Any, address: str) -> StoreStatus:
    """Make the state of a store; its home is the server's address."""
    data = moments(part(answer, "data", dict))
    return StoreStatus(
        str(data.get("database")),
        address,
        [_made(CollectionStatus, each) for each in data.get("collections") or ()],
        [_made(IndexStatus, each) for each in data.get("indexes") or ()],
    )


def moments(value: Any, name: str = "") -> Any:
    """Turn times of documents (under ``at``, ``made_at``, ``last_build``, ...) back into times.

    Examples
    --------
    >>> moments({"made_at": "2026-05-31T12:00:00Z", "name": "2026-05-31T12:00:00Z"})["made_at"].hour
    12
    """
    if isinstance(value, dict):
        return {key: moments(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [moments(each, name) for each in value]
    timed = name == "at" or name.endswith("_at") or name == "last_build"
    if timed and name != "created_at" and isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return value
    return value


def _made(kind: type[T], told: Mapping[str, Any]) -> T:
    """Make a dataclass of what it knows; what a newer server adds is left out, what an older one lacks is empty."""
    known = dataclass_fields(kind)  # type: ignore[arg-type]
    empty = {"dict[str, int]": dict, "list[str]": list}
    values = {
        each.name: told[each.name] if each.name in told else empty[str(each.type)]()
        for each in known
        if each.name in told or str(each.type) in empty
    }
    missing = _required(kind) - set(values)
    return kind(**values, **dict.fromkeys(missing))


def _required(kind: type[Any]) -> set[str]:
    from dataclasses import MISSING

    return {each.name for each in dataclass_fields(kind) if each.default is MISSING and each.default_factory is MISSING}
