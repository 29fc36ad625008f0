"""Validators and indexes come from the classes and are enforced by the server; generations switch in one step."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from pymongo.errors import WriteError

from store import generations, schema
from store.documents import DOCUMENTS, EmbeddingDocument
from store.provenance import utc_now

STAMP = {
    "builder": "x", "version": 1, "params": "p", "inputs": "i", "made_at": utc_now(), "seconds": 0.1, "packages": {},
}  # fmt: skip


def embedding(**changes: Any) -> dict[str, Any]:
    document = {
        "_id": "m/a", "model": "m", "material": "a", "vector": b"\0" * 8, "dimension": 2, "hash": "0" * 32, "recipe": "1|p|i", "stamp": STAMP,
    }  # fmt: skip
    document.update(changes)
    return {name: value for name, value in document.items() if value != "absent"}


@pytest.fixture
def migrated(database: Any) -> Any:
    assert schema.migrate(database)
    return database


def test_migration_is_done_once(migrated: Any) -> None:
    assert not schema.migrate(migrated)


def test_a_changed_class_changes_the_database(migrated: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    meta = {**EmbeddingDocument._meta, "indexes": ["dimension"]}
    monkeypatch.setattr(EmbeddingDocument, "_meta", meta)
    schema.schema_hash.cache_clear()
    try:
        assert schema.migrate(migrated)
        names = {name for name in migrated["embeddings"].index_information() if name.startswith(schema.NAME_PREFIX)}
        assert names == {"ionatlas_dimension"}
    finally:
        schema.schema_hash.cache_clear()


def test_every_class_is_a_collection_with_a_validator(migrated: Any) -> None:
    described = {each["name"]: each for each in migrated.list_collections()}
    for document in DOCUMENTS:
        name = document._meta["collection"]
        if name not in schema.GENERATIONS:
            assert described[name]["options"]["validator"] == {"$jsonSchema": schema.json_schema(document)}


def test_a_good_document_is_taken_whoever_writes(migrated: Any) -> None:
    migrated["embeddings"].insert_one(embedding())


@pytest.mark.parametrize(
    "changes",
    [
        {"dimension": "two"},
        {"dimension": 0},
        {"hash": "short"},
        {"vector": "text"},
        {"stamp": {}},
        {"material": "absent"},
        {"extra": 1},
    ],
)
def test_a_bad_document_is_refused_by_the_server(migrated: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(WriteError, match="validation"):
        migrated["embeddings"].insert_one(embedding(**changes))


def candidate(key: str, density: float) -> dict[str, Any]:
    return {"_id": key, "density": density, "hash": "0" * 32, "recipe": "1|p|i", "stamp": STAMP}


def publish(database: Any, *documents: dict[str, Any]) -> str:
    name = generations.open_staging(database, "candidates")
    for document in documents:
        database[name].replace_one({"_id": document["_id"]}, document, upsert=True)
    generations.switch(database, "candidates", name)
    return name


def test_a_generation_is_seen_only_when_switched(migrated: Any) -> None:
    publish(migrated, candidate("a", 1.0))
    staged = generations.open_staging(migrated, "candidates")
    migrated[staged].insert_one(candidate("b", 2.0))
    assert migrated["candidates"].distinct("_id") == ["a"]
    generations.switch(migrated, "candidates", staged)
    assert sorted(migrated["candidates"].distinct("_id")) == ["a", "b"]


def test_an_interrupted_staging_is_taken_up(migrated: Any) -> None:
    publish(migrated, candidate("a", 1.0))
    staged = generations.open_staging(migrated, "candidates")
    assert generations.open_staging(migrated, "candidates") == staged


def test_strays_of_a_crash_are_dropped_and_one_old_generation_is_kept(migrated: Any) -> None:
    names = [publish(migrated, candidate(key, 1.0)) for key in "abc"]
    migrated["candidates_g000009"].insert_one({"stray": True})
    generations.discard_strays(migrated, "candidates")
    left = sorted(name for name in migrated.list_collection_names() if name.startswith("candidates_g"))
    assert left == names[1:]


def test_readers_never_see_half_a_generation(migrated: Any) -> None:
    publish(migrated, *(candidate(str(i), 0.0) for i in range(50)))
    seen: set[tuple[float, int]] = set()
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            found = list(migrated["candidates"].find({}, {"density": 1}))
            seen.add((sum(each["density"] for each in found), len(found)))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for generation in range(1, 8):
        publish(migrated, *(candidate(str(i), float(generation)) for i in range(50)))
    over.set()
    for reader in readers:
        reader.join()
    assert len(seen) > 1
    assert seen <= {(50.0 * generation, 50) for generation in range(8)}


def test_the_indexes_of_a_generation_are_those_of_the_class(migrated: Any) -> None:
    name = publish(migrated, candidate("a", 1.0))
    plan = migrated["candidates"].find({"density": {"$gt": 0.5}}).explain()
    assert "IXSCAN" in str(plan)
    assert "ionatlas_density__id" in migrated[name].index_information()
