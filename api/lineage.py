"""Lineage: where a value comes from, step by step back to the record and the place it was read from.

Whether a step is fresh is decided by the engine's own plan, on the few documents that matter.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from api.filter_errors import unknown_name
from api.results import Lineage, Step
from store.fields import FIELDS, Field

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pymongo.database import Database

    from api.service import Service
    from builders.engine.builder import IncrementalBuilder
    from builders.engine.inputs import Input

_MOST_INPUTS: Final = 5
"""Members of a group that are followed; of the others only the number is told."""

_RECORDS: Final = frozenset({"sources", "source_history"})


def trace(service: Service, id: str, name: str) -> Lineage:
    """Trace the value of a field of a material (see :meth:`api.service.Service.why`)."""
    field = FIELDS.get(name)
    if field is None:
        raise unknown_name(name, "to trace")
    collection, path = ("candidates", name) if field.candidate else field.source.split(".", 1)
    return service.call(lambda database: _trace(service, database, id, field, collection, path))


def _trace(
    service: Service,
    database: Database[dict[str, Any]],
    id: str,
    field: Field,
    collection: str,
    path: str,
) -> Lineage:
    keys = _documents(database, collection, id)
    if not keys:
        if database["sources"].find_one({"_id": id}, {"_id": 1}) is None:
            raise service.unknown_id(id)
        return Lineage(id, field, None, field.source, [_record(database, "sources", id)])
    document = database[collection].find_one({"_id": keys[0]}, {path: 1}) or {}
    value = keys[0] if field.name == "id" else _follow(document, path)
    tracer = _Tracer(database, id, field.source.split(".", 1)[0], field.ion)
    return Lineage(id, field, value, field.source, [tracer.step(collection, key) for key in keys])


def _documents(database: Database[dict[str, Any]], collection: str, id: str) -> list[str]:
    query: dict[str, Any] = {"_id": id}
    if collection == "duplicates":
        query = {"clusters.members": id}
    elif collection in ("embeddings", "channels", "predictions", "topology", "conductivity_predictions"):
        query = {"material": id}
    elif collection == "source_history":
        query = {"source": id}
    return [row["_id"] for row in database[collection].find(query, {"_id": 1}, sort=[("_id", 1)], limit=_MOST_INPUTS)]


def _follow(document: Any, path: str) -> Any:
    for part in path.split("."):
        document = document.get(part) if isinstance(document, dict) else None
    return document


def _record(database: Database[dict[str, Any]], collection: str, key: str) -> Step:
    source = database[collection].find_one({"_id": key}, {"content": 0})
    if source is None:
        return Step(collection, key, None, "gone")
    return Step(
        collection,
        key,
        source.get("hash"),
        "given",
        origins=list(source.get("origins", [])),
        sha256=source.get("sha256"),
        format=source.get("format"),
        licence=source.get("licence"),
        references=list(source.get("references") or []),
        made_at=source.get("ingested_at"),
    )


class _Tracer:
    """Follows the documents that one value was made from."""

    def __init__(self, database: Database[dict[str, Any]], material: str, copied_from: str, ion: str) -> None:
        self._database = database
        self._material = material
        self._copied_from = copied_from
        self._ion = ion
        self._makers = _makers()
        self._done: dict[tuple[str, str], Step] = {}

    def step(self, collection: str, key: str) -> Step:
        """Describe a document and all before it."""
        if (collection, key) not in self._done:
            self._done[collection, key] = self._make(collection, key)
        return self._done[collection, key]

    def _make(self, collection: str, key: str) -> Step:
        if collection in _RECORDS:
            return _record(self._database, collection, key)
        document = self._database[collection].find_one({"_id": key}, {"hash": 1, "recipe": 1, "stamp": 1})
        if document is None:
            return Step(collection, key, None, "gone")
        stamp = document["stamp"]
        maker = self._makers.get(stamp["builder"])
        told: dict[str, Any] = {
            "builder": stamp["builder"],
            "version": stamp["version"],
            "made_at": stamp["made_at"],
            "seconds": stamp["seconds"],
            "packages": dict(stamp["packages"]),
        }
        if maker is None:
            return Step(collection, key, document["hash"], "of a builder that is not known here", **told)
        builder = maker()
        places = {role.role: _places(self._database, role, key) for role in builder.inputs()}
        # A candidate is a row of copies: what its other columns were copied from says nothing about this one.
        roles = [
            role for role in builder.inputs() if collection != "candidates" or role.collection == self._copied_from
        ]
        followed = places
        if collection == "candidates" and self._ion:
            # Of the documents of all ions, that of the field's own.
            followed = {role: [each for each in ids if each == f"{key}/{self._ion}"] for role, ids in places.items()}
        inputs, more = self._inputs(roles, followed)
        return Step(
            collection,
            key,
            document["hash"],
            _state(self._database, builder, key, document, places),
            params=_params(self._database, builder, stamp),
            inputs=inputs,
            more_inputs=more,
            **told,
        )

    def _inputs(self, roles: Sequence[Input], places: Mapping[str, list[str]]) -> tuple[list[Step], int]:
        steps: list[Step] = []
        more = 0
        for role in roles:
            keys = places[role.role]
            # The material's own document first; of a large group the others are only counted.
            followed = sorted(keys, key=lambda each: each != self._material)[:_MOST_INPUTS]
            steps += [self.step(role.collection, each) for each in followed]
            more += len(keys) - len(followed)
        return steps, more


def _makers() -> dict[str, type[IncrementalBuilder]]:
    from builders.registry import BUILDERS, builder_class

    return {builder_class(name).NAME: builder_class(name) for name in BUILDERS}


def _places(database: Database[dict[str, Any]], role: Input, key: str) -> list[str]:
    """Ids of the documents that play a role for a target."""
    if hasattr(role, "places"):
        found: list[str] = role.places(database, key)
        return found
    group = getattr(role, "group", None)
    if group is not None:
        query: dict[str, Any] = {group: key}
    elif hasattr(role, "prefix"):
        query = {"_id": key.removeprefix(role.prefix)}
    else:
        query = {"clusters.members": key}
    return [row["_id"] for row in database[role.collection].find(query, {"_id": 1}, sort=[("_id", 1)])]


def _state(
    database: Database[dict[str, Any]],
    builder: IncrementalBuilder,
    key: str,
    document: dict[str, Any],
    places: Mapping[str, list[str]],
) -> str:
    """Ask the engine's plan about one document."""
    from builders.engine.inputs import StampRow, StampTables
    from builders.engine.plan import join_inputs, make_plan

    shown: dict[str, list[str]] = {builder.COLLECTION: [key]}
    for role in builder.inputs():  # several may read one collection
        shown[role.collection] = [*shown.get(role.collection, ()), *places[role.role]]
    few: Any = _Few(database, shown)
    expected = join_inputs(builder.inputs(), StampTables(few, lambda operation: operation()))
    row = StampRow(document["hash"], document["recipe"])
    plan = make_plan(
        expected, {key: row}, {}, version=builder.VERSION, params=builder.params_hash, only={key}, retry_failed=True
    )
    if key not in expected:
        return "stale (its input is gone)"
    return f"stale ({next(iter(plan.stale))})" if plan.stale else "fresh"


def _params(
    database: Database[dict[str, Any]], builder: IncrementalBuilder, stamp: Mapping[str, Any]
) -> dict[str, Any] | None:
    from store.provenance import content_hash

    if stamp["params"] == builder.params_hash:
        return asdict(builder.settings)
    builds = database["builds"].find({"builder": builder.NAME}, {"params": 1}, sort=[("started_at", -1)], limit=100)
    for build in builds:
        params: dict[str, Any] = build["params"]
        if content_hash(params) == stamp["params"]:
            return params
    return None


class _Few:
    """A database of which only some documents are seen, so that a plan about one document reads few."""

    def __init__(self, database: Database[dict[str, Any]], shown: Mapping[str, Sequence[str]]) -> None:
        self._database = database
        self._shown = shown

    def __getitem__(self, collection: str) -> _FewDocuments:
        return _FewDocuments(self._database[collection], list(self._shown.get(collection, ())))


class _FewDocuments:
    def __init__(self, collection: Any, ids: list[str]) -> None:
        self._collection = collection
        self._ids = ids

    def find(self, query: dict[str, Any], *args: Any, **options: Any) -> Iterator[dict[str, Any]]:
        return iter(self._collection.find(self._narrowed(query), *args, **options))

    def find_raw_batches(self, query: dict[str, Any], *args: Any, **options: Any) -> Iterator[bytes]:
        return iter(self._collection.find_raw_batches(self._narrowed(query), *args, **options))

    def _narrowed(self, query: dict[str, Any]) -> dict[str, Any]:
        return {"$and": [{"_id": {"$in": self._ids}}, query]}
