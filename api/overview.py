"""Overview: what the store holds, how its last builds went, how the indexes stand, which elements occur."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from api.results import CollectionStatus, IndexStatus, StoreStatus
from store.provenance import count_reasons

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pymongo.database import Database

    from api.service import Service

_REASONS: Final = 5
"""Reasons of failure that are told, the most common first."""


def status(service: Service) -> StoreStatus:
    """Describe the store (see :meth:`api.service.Service.status`)."""

    def read(database: Database[dict[str, Any]]) -> list[CollectionStatus]:
        return [_records(database), *_derived(service, database)]

    collections = service.call(read)
    home = str(service.settings.home)
    return StoreStatus(service.database.name, home, collections, _indexes(service))


def element_counts(service: Service) -> dict[str, int]:
    """Count materials by element (see :meth:`api.service.Service.stats`)."""
    pipeline: list[dict[str, Any]] = [
        {"$unwind": "$elements"},
        {"$group": {"_id": "$elements", "count": {"$sum": 1}}},
        {"$sort": {"_id": 1}},
    ]
    found = service.call(lambda database: list(database["candidates"].aggregate(pipeline, maxTimeMS=30_000)))
    return {row["_id"]: row["count"] for row in found}


def _records(database: Database[dict[str, Any]]) -> CollectionStatus:
    sources = database["sources"]
    reasons = sources.aggregate(
        [
            {"$match": {"format": "unreadable"}},
            {"$group": {"_id": "$error.type", "count": {"$sum": 1}}},
            {"$sort": {"count": -1, "_id": 1}},
        ]
    )
    told = {str(row["_id"]): int(row["count"]) for row in reasons}
    newest = sources.find_one({}, {"updated_at": 1}, sort=[("_id", -1)])
    at = newest["updated_at"] if newest else None
    return CollectionStatus(
        "sources", sources.estimated_document_count(), None, at, None, sum(told.values()), _first(told)
    )


def _derived(service: Service, database: Database[dict[str, Any]]) -> Iterable[CollectionStatus]:
    from builders.registry import BUILDERS, builder_class

    for name in BUILDERS:
        builder = builder_class(name)
        build = database["builds"].find_one({"builder": builder.NAME}, sort=[("started_at", -1)])
        reasons = _failures(database, builder.NAME)
        yield CollectionStatus(
            builder.COLLECTION,
            _size(service, database, builder.COLLECTION, builder.PREFIX),
            builder.NAME,
            (build.get("ended_at") or build["started_at"]) if build else None,
            _build_state(database, build),
            sum(reasons.values()),
            _first(reasons),
        )


def _build_state(database: Database[dict[str, Any]], build: dict[str, Any] | None) -> str | None:
    """Tell a build that runs from one that was killed: the latter has no lease."""
    if build is None:
        return None
    state = str(build["state"])
    if state == "running" and database["leases"].find_one({"_id": build["builder"]}, {"_id": 1}) is None:
        return "broken"
    return state


def _size(service: Service, database: Database[dict[str, Any]], collection: str, prefix: str) -> int:
    if prefix:
        # One of several kinds in a collection is counted document by document: once for each of its states.
        revision = database["meta"].find_one({"_id": f"revision/{collection}"}) or {}
        state = ("size", prefix, revision.get("n"), database[collection].estimated_document_count())
        wanted = {"_id": {"$gte": prefix, "$lt": prefix[:-1] + "0"}}
        return service.kept.answer(service, state, lambda: database[collection].count_documents(wanted))
    from store.documents import GENERATIONS

    if collection in GENERATIONS:
        from store.generations import current_generation

        current = current_generation(database, collection)
        return database[current].estimated_document_count() if current else 0
    return database[collection].estimated_document_count()


def _failures(database: Database[dict[str, Any]], builder: str) -> dict[str, int]:
    entries = database["build_state"].find({"builder": builder}, {"error.type": 1, "error.message": 1})
    return count_reasons(f"{entry['error']['type']}: {entry['error']['message']}" for entry in entries)


def _first(reasons: dict[str, int]) -> dict[str, int]:
    return dict(list(reasons.items())[:_REASONS])


def _indexes(service: Service) -> list[IndexStatus]:
    from api.likeness import index_status
    from indexes.registry import NAMES

    return [index_status(service, name) for name in NAMES]
