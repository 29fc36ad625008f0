"""Everything about one material: its documents, its crystal, and what to say when it is not there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from api.finding import milliseconds, reduced_formula
from store.errors import UnknownId, UsageError

if TYPE_CHECKING:
    from pymongo.database import Database

    from api.service import Service, StructureKind
    from store.crystal import Crystal

_NO_ARRAYS = {"features": 0, "route": 0, "host": 0}


def show(service: Service, id: str) -> dict[str, Any]:
    """Collect all documents about a material (see :meth:`api.service.Service.show`)."""

    def read(database: Database[dict[str, Any]]) -> dict[str, Any]:
        of = {"material": id}
        measured = {"$or": [{"_id": id}, {"materials.material": id}]}
        return {
            "id": id,
            "candidate": _one(database, "candidates", id),
            "source": _source(database, id),
            "structure": _one(database, "structures", id, {"invariants": 0}),
            "duplicates": next(iter(_many(database, "duplicates", {"clusters.members": id})), None),
            "embeddings": _many(database, "embeddings", _embeddings_of(database, id), {"vector": 0}),
            "channels": _many(database, "channels", of, {"arrays": 0}),
            "predictions": _many(database, "predictions", of),
            "barrier": _one(database, "barriers", id, _NO_ARRAYS),
            "barriers": _many(database, "barriers", {"materials.material": id}, _NO_ARRAYS, "barrier"),
            "topology": _many(database, "topology", of, {"arrays": 0}),
            "conductivity_predictions": _many(database, "conductivity_predictions", of),
            "conductivities": _many(database, "conductivities", measured, {"structure": 0}),
            "failures": _many(database, "build_state", {"_id": {"$in": _failure_ids(database, id)}}),
        }

    found = service.call(read)
    if found["source"] is None and found["candidate"] is None and found["structure"] is None:
        raise unknown_id(service, id)
    return found


def _one(
    database: Database[dict[str, Any]], collection: str, id: str, projection: dict[str, int] | None = None
) -> dict[str, Any] | None:
    return database[collection].find_one({"_id": id}, projection, max_time_ms=milliseconds())


def _many(
    database: Database[dict[str, Any]],
    collection: str,
    wanted: dict[str, Any],
    projection: dict[str, int] | None = None,
    order: str = "_id",
) -> list[dict[str, Any]]:
    return list(database[collection].find(wanted, projection, sort=[(order, 1)], max_time_ms=milliseconds()))


def structure(service: Service, id: str, kind: StructureKind = "standard") -> Crystal:
    """Return a material's crystal (see :meth:`api.service.Service.structure`)."""
    from store.crystal import Crystal

    if kind == "given":
        from store.ingest.kinds import CONDUCTIVITY_FORMATS, HOP_FORMATS
        from store.ingest.readers import read_conductivity, read_hop, read_record

        projection = {"format": 1, "content": 1}
        source = service.call(lambda database: database["sources"].find_one({"_id": id}, projection))
        if source is None:
            raise unknown_id(service, id)
        if source["format"] in HOP_FORMATS:
            return read_hop(source["format"], source["content"]).initial()
        if source["format"] in CONDUCTIVITY_FORMATS:
            crystal = read_conductivity(source["format"], source["content"]).crystal
            if crystal is None:
                raise UsageError(
                    f"{id} is a measured conductivity without a structure.",
                    mend=f"ionatlas show {id} shows what is known of it",
                )
            return crystal
        return read_record(source["format"], source["content"]).crystal
    if kind not in ("standard", "primitive"):
        raise UsageError(f"There is no kind {kind!r} of cell.", mend="ask for standard, primitive or given")
    document = service.call(lambda database: database["structures"].find_one({"_id": id}, {kind: 1}))
    if document is None:
        raise _no_structure(service, id)
    return Crystal.from_document(document[kind])


def unknown_id(service: Service, id: str) -> UnknownId:
    """Make the error for an id that is not there, with near ones."""
    hints = service.call(lambda database: _near_ids(database, id))
    near = f" Near: {', '.join(hints)}." if hints else ""
    return UnknownId(
        f"There is no material {id!r}.{near}", mend="ionatlas query 'formula = \"LiFePO4\"' finds ids by formula"
    )


def _no_structure(service: Service, id: str) -> UsageError:
    from store.ingest.kinds import kind_of

    state = {"_id": f"structures/{id}"}
    failure = service.call(lambda database: database["build_state"].find_one(state, {"error": 1}))
    if failure is not None:
        error = failure["error"]
        return UsageError(
            f"The structure of {id} could not be built: {error['type']}: {error['message']}",
            mend=f"ionatlas show {id} shows the record; once it is mended: ionatlas ingest, ionatlas build",
        )
    source = service.call(lambda database: database["sources"].find_one({"_id": id}, {"format": 1}))
    if source is None:
        return unknown_id(service, id)
    if kind_of(source["format"]) == "conductivity":
        return UsageError(
            f"{id} is a measured conductivity, not a material: it has no standardised cell.",
            mend=f"ionatlas show {id} --cif --cell given prints its structure, if it came with one",
        )
    if kind_of(source["format"]) == "hop":
        return UsageError(
            f"{id} is a hop, not a material: it has no standardised cell.",
            mend=f"ionatlas show {id} --cif --cell given prints its initial end",
        )
    return UsageError(f"The structure of {id} is not built yet.", mend="ionatlas build")


def _source(database: Database[dict[str, Any]], id: str) -> dict[str, Any] | None:
    pipeline: list[dict[str, Any]] = [
        {"$match": {"_id": id}},
        {"$set": {"size": {"$binarySize": "$content"}}},
        {"$unset": "content"},
    ]
    return next(iter(database["sources"].aggregate(pipeline)), None)


def _embeddings_of(database: Database[dict[str, Any]], id: str) -> dict[str, Any]:
    # There is an index on (model, material): with the models named it is of use, and naming them takes a millisecond.
    return {"model": {"$in": database["embeddings"].distinct("model")}, "material": id}


def _failure_ids(database: Database[dict[str, Any]], id: str) -> list[str]:
    """Ids in ``build_state`` under which builders may know a material: itself, with a model's prefix, its formula."""
    from builders.registry import BUILDERS, builder_class
    from store.ion_fields import IONS

    structure = database["structures"].find_one({"_id": id}, {"chemical_formula_reduced": 1})
    keys = [id, structure["chemical_formula_reduced"]] if structure else [id]
    keys += [f"{id}/{ion}" for ion in IONS]
    builders = [builder_class(name) for name in BUILDERS]
    return [f"{builder.NAME}/{builder.PREFIX}{key}" for builder in builders for key in keys]


def _near_ids(database: Database[dict[str, Any]], id: str) -> list[str]:
    sources = database["sources"]
    formula = reduced_formula(id)
    if formula is not None:
        query = {"chemical_formula_reduced": formula}
        found = database["candidates"].find(
            query, {"formula": 1}, sort=[("_id", 1)], limit=3, max_time_ms=milliseconds()
        )
        hints = [f"{row['_id']} ({row['formula']})" for row in found]
        if hints:
            return hints
    if not id.isprintable() or len(id) > 200:
        return []
    for length in range(len(id), max(1, len(id) - 6), -1):
        begins: dict[str, Any] = {"_id": {"$regex": f"^{re.escape(id[:length])}"}}
        hints = [
            row["_id"]
            for row in sources.find(begins, {"_id": 1}, sort=[("_id", 1)], limit=3, max_time_ms=milliseconds())
        ]
        if hints:
            return hints
    return []
