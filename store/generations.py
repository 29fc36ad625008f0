"""Generations: a collection rebuilt aside and switched in one step.

The name that readers use (``candidates``) is a MongoDB view without a pipeline. A build writes into a collection of its
own (``candidates_g000002``), the result is validated, and one ``collMod`` points the view at it: a reader sees the old
generation or the new one, never a half. The generation before the present one is kept until the next switch, so that
queries in flight end well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from store.schema import apply_schema, document_class

if TYPE_CHECKING:
    from pymongo.database import Database


def _name(collection: str, number: int) -> str:
    return f"{collection}_g{number:06d}"


def _numbers(database: Database[Any], collection: str) -> list[int]:
    prefix = f"{collection}_g"
    found = database.list_collection_names(filter={"name": {"$regex": f"^{prefix}[0-9]+$"}})
    return sorted(int(name.removeprefix(prefix)) for name in found)


def current_generation(database: Database[Any], collection: str) -> str | None:
    """Name of the collection that the view shows; None before the first switch."""
    described = next(iter(database.list_collections(filter={"name": collection})), None)
    if described is None:
        return None
    target: str = described["options"]["viewOn"]
    return target


def staged_generation(database: Database[Any], collection: str) -> str | None:
    """Name of a generation that an earlier, interrupted build left half-filled; None if there is none."""
    note = database["meta"].find_one({"_id": f"staging/{collection}"})
    if note is None:
        return None
    staged: str = note["name"]
    # Without its collection the note says nothing: the crash came between the two.
    return staged if staged in database.list_collection_names() else None


def open_staging(database: Database[Any], collection: str) -> str:
    """Make the next generation as a copy of the current one, or take up the one that was interrupted.

    The copy is made by the server (``$out``). The note in ``meta`` is written after the copy is whole, so that a crash in
    between leaves a nameless collection, which :func:`discard_strays` removes.
    """
    staged = staged_generation(database, collection)
    if staged is not None:
        return staged
    discard_strays(database, collection)
    numbers = _numbers(database, collection)
    name = _name(collection, (numbers[-1] if numbers else 0) + 1)
    current = current_generation(database, collection)
    if current is not None:
        database[current].aggregate([{"$match": {}}, {"$out": name}])
    # Indexes come at the switch: one pass over the finished collection is cheaper than one update a document.
    apply_schema(database, name, document_class(collection), indexes=False)
    database["meta"].replace_one(
        {"_id": f"staging/{collection}"}, {"_id": f"staging/{collection}", "name": name}, upsert=True
    )
    return name


def switch(database: Database[Any], collection: str, generation: str) -> None:
    """Index a generation, point the view at it in one step, and drop all but it and the one before."""
    apply_schema(database, generation, document_class(collection))
    before = current_generation(database, collection)
    if before is None:
        database.command("create", collection, viewOn=generation, pipeline=[])
    elif before != generation:
        database.command("collMod", collection, viewOn=generation, pipeline=[])
    database["meta"].delete_one({"_id": f"staging/{collection}"})
    for number in _numbers(database, collection):
        name = _name(collection, number)
        if name not in (generation, before):
            database.drop_collection(name)


def discard_strays(database: Database[Any], collection: str) -> None:
    """Drop generations newer than the current one that no note names (left by a crash)."""
    current = current_generation(database, collection)
    staged = staged_generation(database, collection)
    newest = int(current.rsplit("_g", 1)[1]) if current else 0
    for number in _numbers(database, collection):
        name = _name(collection, number)
        if number > newest and name != staged:
            database.drop_collection(name)
