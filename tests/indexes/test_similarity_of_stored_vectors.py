"""From documents in MongoDB to neighbours: the step that keeps a snapshot up to date, and searches over it."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from builders.embeddings.composition import MODEL, embed, model_identity
from indexes import step as step_module
from indexes.registry import INDEXES, index_step, similarity_index, snapshot_store
from indexes.similarity import Neighbour, SimilarityIndex
from indexes.snapshot import SnapshotStore
from indexes.step import IndexStep
from store.errors import SnapshotDamaged, SnapshotMissing, UnknownId, UsageError
from store.provenance import utc_now
from store.schema import migrate

if TYPE_CHECKING:
    from pymongo.database import Database

    from store.settings import Settings


FORMULAS: dict[str, dict[str, float]] = {
    "LiCl": {"Li": 1, "Cl": 1},
    "NaCl": {"Na": 1, "Cl": 1},
    "NaCl high pressure": {"Na": 2, "Cl": 2},
    "KCl": {"K": 1, "Cl": 1},
    "Fe2O3": {"Fe": 2, "O": 3},
    "Cr2O3": {"Cr": 2, "O": 3},
}


def put(database: Any, material: str, composition: dict[str, float], model: str = MODEL) -> None:
    """Write an embedding as the builder does, and count up the revision as the engine does."""
    vector = embed([composition])[0].tobytes()
    put_raw(database, material, vector, hashlib.blake2b(vector, digest_size=16).hexdigest(), model)


def put_raw(database: Any, material: str, vector: bytes, digest: str, model: str = MODEL) -> None:
    stamp = {
        "builder": "composition",
        "version": 1,
        "params": "p",
        "inputs": "i",
        "made_at": utc_now(),
        "seconds": 0.0,
        "packages": {},
    }
    document = {
        "_id": f"{model}/{material}",
        "model": model,
        "material": material,
        "vector": vector,
        "dimension": 290,
        "hash": digest,
        "recipe": "1|p|structures=0",
        "stamp": stamp,
    }
    database["embeddings"].replace_one({"_id": document["_id"]}, document, upsert=True)
    revise(database)


def remove(database: Any, material: str) -> None:
    database["embeddings"].delete_one({"_id": f"{MODEL}/{material}"})
    revise(database)


def revise(database: Any) -> None:
    database["meta"].update_one({"_id": "revision/embeddings"}, {"$inc": {"n": 1}}, upsert=True)


@pytest.fixture
def filled(database: Database[dict[str, Any]]) -> Database[dict[str, Any]]:
    migrate(database)
    for material, composition in FORMULAS.items():
        put(database, material, composition)
    put(database, "Fe2O3", {"H": 1}, model="another-model")
    return database


@pytest.fixture
def step(settings: Settings) -> IndexStep:
    return index_step("composition", settings)


def test_the_registry_agrees_with_the_model(settings: Settings) -> None:
    entry = INDEXES["composition"]
    assert entry.model == MODEL
    assert entry.dimension == embed([{"Li": 1}]).shape[1]
    step = index_step("composition", settings)
    assert step.identity == model_identity()
    assert step.store.root == settings.home / "indexes" / settings.database / "composition"
    for call in (index_step, similarity_index, snapshot_store):
        with pytest.raises(UsageError, match="There are: composition"):
            call("magic", settings)


def test_from_documents_to_neighbours(filled: Any, step: IndexStep, settings: Settings) -> None:
    assert step.staleness(filled).state == "missing"
    planned = step.plan(filled)
    assert sorted(planned.missing) == sorted(FORMULAS)
    assert planned.reason is not None
    seen: list[tuple[int, int]] = []
    done = step.run(filled, lambda count, total: seen.append((count, total)))
    assert (sorted(done.missing), done.stale, done.removed, done.fresh) == (sorted(FORMULAS), [], [], 0)
    assert (done.whole, done.failed, done.generation) == (True, {}, 1)
    assert seen[-1] == (6, 6)
    assert step.staleness(filled).fresh

    index = similarity_index("composition", settings)
    assert len(index) == 6
    assert index.manifest.model == model_identity()
    found = index.similar("NaCl", 3)
    assert found[0] == Neighbour("NaCl high pressure", 0.0)
    assert {each.id for each in found[1:]} == {"KCl", "LiCl"}
    expected = np.linalg.norm(embed([FORMULAS["NaCl"]])[0].astype(float) - embed([FORMULAS["KCl"]])[0].astype(float))
    assert next(each.distance for each in found if each.id == "KCl") == pytest.approx(expected, rel=1e-12)
    # By a formula that is not stored.
    by_vector = index.similar(embed([{"Al": 2, "O": 3}])[0], 2)
    assert {each.id for each in by_vector} == {"Fe2O3", "Cr2O3"}
    assert index.similar(embed([FORMULAS["NaCl"]])[0], 2) == [
        Neighbour("NaCl", 0.0),
        Neighbour("NaCl high pressure", 0.0),
    ]


def test_similar_with_options(filled: Any, step: IndexStep, settings: Settings) -> None:
    step.run(filled)
    index = similarity_index("composition", settings, threads=2)
    assert [each.id for each in index.similar("NaCl", 2, exclude_self=False)] == ["NaCl", "NaCl high pressure"]
    assert [each.id for each in index.similar("NaCl", 5, allowed_ids={"Fe2O3", "NaCl", "not stored"})] == ["Fe2O3"]
    assert len(index.similar("NaCl", 100)) == 5
    assert index.similar("NaCl", 3, allowed_ids=[]) == []
    assert "NaCl" in index
    assert index.vector("NaCl").tobytes() == embed([{"Na": 1, "Cl": 1}])[0].tobytes()
    assert index.search(embed(list(FORMULAS.values())), 1).distances.tolist() == [[0.0]] * 6
    with pytest.raises(UnknownId, match="not stored"):
        index.similar("not stored", 3)
    with pytest.raises(UsageError, match="at least 1"):
        index.similar("NaCl", 0)
    with pytest.raises(UsageError, match="shape"):
        index.similar([1.0, 2.0], 3)
    with pytest.raises(UsageError, match="finite"):
        index.similar(np.full(290, np.nan), 3)


def test_only_what_changed_is_fetched_and_written(filled: Any, step: IndexStep, settings: Settings) -> None:
    many = [f"m{number}" for number in range(200)]
    for number, material in enumerate(many, start=1):
        put(filled, material, {"Cs": number, "I": 1})
    step.run(filled)
    index = similarity_index("composition", settings)
    assert index.similar("Fe2O3", 1)[0].id == "Cr2O3"

    put(filled, "Cr2O3", {"Cs": 1, "I": 1})
    put(filled, "Al2O3", {"Al": 2, "O": 3})
    remove(filled, "KCl")
    behind = step.staleness(filled)
    assert behind.state == "stale"
    assert "embeddings has changed" in behind.message
    assert "ionatlas build" in behind.message
    planned = step.plan(filled)
    assert (planned.missing, planned.stale, planned.removed, planned.fresh) == (["Al2O3"], ["Cr2O3"], ["KCl"], 204)
    assert planned.reason is None

    fetched: list[Any] = []
    real = step._pick
    step._pick = lambda database, materials: (fetched.extend(materials), real(database, materials))[1]  # type: ignore[method-assign]
    done = step.run(filled)
    assert sorted(fetched) == ["Al2O3", "Cr2O3"]
    assert not done.whole
    assert step.staleness(filled).fresh
    assert [segment.kind for segment in step.store.manifest().segments] == ["base", "delta"]
    # The warm index finds the new snapshot by itself.
    assert index.similar("Fe2O3", 1)[0].id == "Al2O3"
    assert "KCl" not in index
    again = step.run(filled)
    assert (again.changes, again.fresh, again.generation) == (0, 206, done.generation)


def test_a_write_that_changes_nothing_here_updates_the_revision_alone(
    filled: Any, step: IndexStep, settings: Settings
) -> None:
    step.run(filled)
    index = similarity_index("composition", settings)
    assert len(index) == 6
    loaded = index._current().index
    put(filled, "NaCl", {"Li": 1}, model="another-model")
    assert not step.staleness(filled).fresh
    done = step.run(filled)
    assert done.changes == 0
    assert step.staleness(filled).fresh
    assert index.manifest.generation == done.generation
    assert index._current().index is loaded, "the same rows are not loaded again"


def test_the_plan_is_answered_from_the_index_alone(filled: Any) -> None:
    query = {"find": "embeddings", "filter": {"model": MODEL}, "projection": {"_id": 0, "material": 1, "hash": 1}}
    explained = filled.command("explain", query, verbosity="executionStats")
    assert explained["executionStats"]["totalDocsExamined"] == 0
    assert explained["executionStats"]["nReturned"] == 6


def test_a_damaged_snapshot_is_made_anew(filled: Any, step: IndexStep, settings: Settings) -> None:
    step.run(filled)
    path = next(step.store.root.glob("g*/vectors.npy"))
    kept = path.read_bytes()
    path.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    with pytest.raises(SnapshotDamaged, match=r"vectors\.npy.*ionatlas build"):
        similarity_index("composition", settings).similar("NaCl", 1)
    done = step.run(filled)
    assert done.whole
    assert done.reason is not None
    assert "damaged" in done.reason
    assert similarity_index("composition", settings).similar("NaCl", 1)[0].distance == 0
    (step.store.root / "CURRENT").write_text("{}")
    assert step.staleness(filled).state == "damaged"
    step.run(filled)
    assert step.staleness(filled).fresh


@pytest.mark.parametrize("what", ["model", "metric", "dimension"])
def test_a_snapshot_of_another_kind_is_made_anew(filled: Any, step: IndexStep, what: str) -> None:
    rows, options = np.ones((1, 290), dtype=np.float32), {"model": model_identity(), "metric": "l2"}
    if what == "dimension":
        rows = rows[:, :5]
    else:
        options[what] = {"model": "composition-statistics/0/old", "metric": "cosine"}[what]
    step.store.publish(["old"], rows, [bytes(16)], **options)  # type: ignore[arg-type]
    state = step.staleness(filled)
    assert state.state == "stale"
    assert what in state.message
    assert what in str(step.plan(filled).reason)
    assert step.run(filled).whole
    assert sorted(step.store.load().ids) == sorted(FORMULAS)
    assert step.staleness(filled).fresh


def test_another_database_of_the_same_name_is_noticed(filled: Any, step: IndexStep) -> None:
    step.run(filled)
    count = filled["meta"].find_one({"_id": "revision/embeddings"})["n"]
    filled.client.drop_database(filled.name)
    for _ in range(count):
        revise(filled)
    assert step.staleness(filled).state == "stale"
    done = step.run(filled)
    assert sorted(done.removed) == sorted(FORMULAS)
    assert len(step.store.load().ids) == 0
    assert step.staleness(filled).fresh


def test_a_write_during_a_run_is_not_missed(filled: Any, step: IndexStep) -> None:
    real = step._documents

    def and_then_a_write(database: Any) -> Any:
        found = real(database)
        put(filled, "LiCl", {"Li": 5, "Cl": 1})
        return found

    step._documents = and_then_a_write  # type: ignore[method-assign]
    step.run(filled)
    step._documents = real  # type: ignore[method-assign]
    assert step.staleness(filled).state == "stale"
    # The row and its hash come from one document, whichever version was read.
    step.run(filled)
    assert step.plan(filled).changes == 0
    loaded = step.store.load()
    assert loaded.vectors[loaded.ids.index("LiCl")].tobytes() == embed([{"Li": 5, "Cl": 1}])[0].tobytes()


def test_documents_that_cannot_be_used_are_named_and_left_out(
    filled: Any, step: IndexStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    step.run(filled)
    nan = np.full(290, np.nan, dtype=np.float32).tobytes()
    put_raw(filled, "NaCl", b"short", "0" * 32)
    put_raw(filled, "odd hash", embed([{"Li": 1}])[0].tobytes(), "x" * 32)
    put_raw(filled, "nan", nan, "1" * 32)
    put(filled, "good", {"Rb": 1, "I": 1})
    for whole in (False, True):
        if whole:
            monkeypatch.setattr(step_module, "_FETCH", 0)
            step.store.discard()
        done = step.run(filled)
        assert done.whole is whole
        assert set(done.failed) == {"NaCl", "odd hash", "nan"}
        assert "1160 bytes" in done.failed["NaCl"]
        assert "hexadecimal" in done.failed["odd hash"]
        assert "finite" in done.failed["nan"]
        assert sorted(step.store.load().ids) == sorted((FORMULAS.keys() - {"NaCl"}) | {"good"})
    put(filled, "NaCl", FORMULAS["NaCl"])
    step.run(filled)
    assert "NaCl" in step.store.load().ids


def test_an_empty_collection_gives_an_empty_index(database: Any, step: IndexStep, settings: Settings) -> None:
    done = step.run(database)
    assert done.changes == 0
    index = similarity_index("composition", settings)
    assert len(index) == 0
    assert index.similar(np.zeros(290), 5) == []


def test_missing_then_there_then_gone(filled: Any, step: IndexStep, settings: Settings) -> None:
    index = similarity_index("composition", settings)
    with pytest.raises(SnapshotMissing, match="ionatlas build"):
        index.similar("NaCl", 1)
    step.run(filled)
    assert index.similar("NaCl", 1)
    assert not index.refresh()
    step.store.discard()
    with pytest.raises(SnapshotMissing):
        index.similar("NaCl", 1)
    step.run(filled)
    assert index.refresh()
    assert index.similar("NaCl", 1)


def test_many_threads_ask_while_snapshots_are_published(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path, "try")
    store.publish(["a", "b"], [[0, 0], [1, 0]], [bytes(16)] * 2, model="m")
    index = SimilarityIndex(store)
    stop = threading.Event()
    problems: list[BaseException] = []
    answers: list[int] = []

    def ask() -> None:
        while not stop.is_set():
            try:
                found = index.similar("a", 1000)
                assert [each.distance for each in found] == [float(place) for place in range(1, len(found) + 1)]
                answers.append(len(found))
            except BaseException as error:
                problems.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(2, 30):
        store.apply({f"m{number:02d}": ([number, 0], bytes(16))})
    stop.set()
    for thread in threads:
        thread.join()
    assert not problems
    assert answers
    assert len(index.similar("a", 1000)) == 29
