"""The engine on a real server: what is stale and why, what a failure costs, who may build. One maggma trap a test."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from typing import Any

import bson
import pytest

from builders.engine.builder import IncrementalBuilder
from builders.engine.lease import Lease
from builders.engine.run import Options, RunSummary, Session, in_order, plan_builder, run_builder
from builders.engine.testing import Broken, Doubler, Grouper, Summer
from store.errors import BuildRunning, OrphanGuard
from store.provenance import content_hash

MRUN = [sys.executable, "-c", "from maggma.cli import run; run()"]


def number(key: str, n: float, **more: Any) -> dict[str, Any]:
    content = {"n": n, **more}
    return {"_id": key, **content, "hash": content_hash(content)}


def put(database: Any, *documents: dict[str, Any]) -> None:
    for document in documents:
        database["numbers"].replace_one({"_id": document["_id"]}, document, upsert=True)


def build(database: Any, builder: IncrementalBuilder | None = None, **options: Any) -> RunSummary:
    with Session(database, Options(**{"workers": 1, **options})) as session:
        return run_builder(builder or Doubler(), session)


def explain(database: Any, builder: IncrementalBuilder | None = None, **options: Any) -> Any:
    with Session(database, Options(**options)) as session:
        return plan_builder(builder or Doubler(), session)


@pytest.fixture
def numbers(database: Any) -> Any:
    put(database, *(number(f"n{i}", float(i)) for i in range(10)))
    return database


def values(database: Any, name: str = "doubles") -> dict[str, Any]:
    return {document["_id"]: document.get("value") for document in database[name].find()}


def test_builds_what_is_missing_and_then_nothing(numbers: Any) -> None:
    first = build(numbers)
    assert (first.built, first.failed) == (10, 0)
    assert values(numbers) == {f"n{i}": 2.0 * i for i in range(10)}
    second = build(numbers)
    assert (second.built, second.unchanged) == (0, 10)


def test_trap_1_content_decides_and_not_the_time(numbers: Any) -> None:
    build(numbers)
    numbers["numbers"].update_one({"_id": "n1"}, {"$set": {"last_updated": "2099-01-01"}})
    assert explain(numbers).todo == []
    put(numbers, number("n3", 33.0))  # no last_updated anywhere
    plan = explain(numbers)
    assert plan.stale == {"input numbers": ["n3"]}
    assert build(numbers).built == 1
    assert values(numbers)["n3"] == 66.0


def test_trap_1_a_changed_parameter_makes_all_stale(numbers: Any) -> None:
    build(numbers)
    changed = Doubler(params={"factor": 3.0})
    assert set(explain(numbers, changed).stale) == {"parameters"}
    assert build(numbers, changed).built == 10
    assert values(numbers)["n2"] == 6.0


def test_trap_1_a_changed_version_makes_all_stale(numbers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    build(numbers)
    monkeypatch.setattr(Doubler, "VERSION", 2)
    assert {cause: len(keys) for cause, keys in explain(numbers).stale.items()} == {"version": 10}


def test_trap_2_a_failed_rebuild_keeps_the_last_good_document(numbers: Any) -> None:
    build(numbers)
    good = numbers["doubles"].find_one({"_id": "n4"})
    put(numbers, number("n4", 44.0, mode="fail"))
    summary = build(numbers)
    assert summary.failed == 1
    assert list(summary.reasons) == ["ValueError: … was asked to fail"]
    assert numbers["doubles"].find_one({"_id": "n4"}) == good
    state = numbers["build_state"].find_one({"_id": "doubler/n4"})
    assert state["attempts"] == 1
    assert state["error"]["type"] == "ValueError"
    assert "misbehave" in state["error"]["traceback"]


def test_trap_2_failures_are_left_alone_until_something_changes_or_retry_is_asked(numbers: Any) -> None:
    put(numbers, number("n4", 44.0, mode="fail"))
    build(numbers)
    again = build(numbers)
    assert (again.built, again.failed, again.known_failures) == (0, 0, 1)
    assert build(numbers, retry_failed=True).failed == 1
    assert numbers["build_state"].find_one({"_id": "doubler/n4"})["attempts"] == 2
    # With a restriction to some records too (maggma applies it to the wrong collection and retries nothing).
    assert build(numbers, retry_failed=True, materials={"n4"}).failed == 1
    put(numbers, number("n4", 44.0))
    assert build(numbers).built == 1
    assert numbers["build_state"].count_documents({}) == 0


def test_trap_3_an_empty_source_removes_nothing(numbers: Any) -> None:
    build(numbers)
    numbers["numbers"].drop()
    summary = build(numbers)
    assert summary.removed == 0
    assert summary.refused is not None
    assert "source is empty" in summary.refused
    assert numbers["doubles"].count_documents({}) == 10


def test_trap_3_too_many_orphans_are_refused_few_are_removed_and_all_on_insistence(numbers: Any) -> None:
    build(numbers)
    numbers["numbers"].delete_many({"_id": {"$in": ["n0", "n1", "n2"]}})
    summary = build(numbers)
    assert summary.refused is not None
    assert "--allow-orphans" in summary.refused
    assert build(numbers, allow_orphans=True).removed == 3
    numbers["numbers"].delete_one({"_id": "n9"})
    assert build(numbers).removed == 1
    assert sorted(values(numbers)) == ["n3", "n4", "n5", "n6", "n7", "n8"]


def test_trap_3_a_restricted_build_removes_nothing(numbers: Any) -> None:
    build(numbers)
    numbers["numbers"].delete_one({"_id": "n0"})
    assert build(numbers, materials={"n1"}).removed == 0


def test_trap_4_a_hanging_item_is_killed_with_a_reason_and_the_rest_goes_on(numbers: Any) -> None:
    put(numbers, number("n5", 5.0, mode="hang"))
    started = time.monotonic()
    summary = build(numbers, item_seconds=1.0)
    assert time.monotonic() - started < 30
    assert (summary.built, summary.failed) == (9, 1)
    error = numbers["build_state"].find_one({"_id": "doubler/n5"})["error"]
    assert error["type"] == "TimeLimit"
    assert "1 s" in error["message"]


def test_trap_5_a_group_sees_updates_additions_and_removals(database: Any) -> None:
    put(database, *(number(f"n{i}", float(i), group="even" if i % 2 == 0 else "odd") for i in range(6)))

    def both() -> dict[str, float]:
        build(database, Grouper())
        build(database, Summer())
        return {each["_id"]: each["total"] for each in database["sums"].find()}

    assert both() == {"even": 6.0, "odd": 9.0}
    put(database, number("n2", 20.0, group="even"))
    assert explain(database, Summer()).todo == []  # not yet: its own input has not been rebuilt
    assert both() == {"even": 24.0, "odd": 9.0}
    put(database, number("n7", 7.0, group="odd"))
    assert both() == {"even": 24.0, "odd": 16.0}
    database["numbers"].delete_one({"_id": "n7"})
    assert both() == {"even": 24.0, "odd": 9.0}


def test_trap_6_a_restriction_is_applied_to_the_source(numbers: Any) -> None:
    assert sorted(explain(numbers, materials={"n1", "n2"}).todo) == ["n1", "n2"]
    assert build(numbers, materials={"n1", "n2"}).built == 2


def test_trap_7_an_oversize_document_costs_only_itself(numbers: Any) -> None:
    put(numbers, number("n6", 6.0, mode="large"))
    summary = build(numbers)
    assert (summary.built, summary.failed) == (9, 1)
    assert "16 MiB" in next(iter(summary.reasons))


def test_trap_8_nan_is_refused_and_recorded(numbers: Any) -> None:
    put(numbers, number("n6", 6.0, mode="nan"))
    assert build(numbers).failed == 1
    assert "only finite numbers" in numbers["build_state"].find_one({"_id": "doubler/n6"})["error"]["message"]


def test_trap_8_a_document_that_breaks_the_schema_is_recorded_with_the_rule(numbers: Any) -> None:
    rule = {"$jsonSchema": {"properties": {"value": {"maximum": 10}}}}
    numbers.create_collection("doubles", validator=rule)
    summary = build(numbers)
    assert (summary.built, summary.failed) == (6, 4)
    error = numbers["build_state"].find_one({"_id": "doubler/n9"})["error"]
    assert error["type"] == "SchemaError"
    assert "maximum" in error["message"]


def test_trap_9_two_builds_at_once_do_not_fight(numbers: Any) -> None:
    with Lease(numbers, "doubler"), pytest.raises(BuildRunning, match=f"process {os.getpid()}"):
        build(numbers)
    assert build(numbers).built == 10
    assert numbers["doubles"].count_documents({}) == 10


def test_trap_9_the_lease_of_a_dead_process_is_taken_at_once(numbers: Any) -> None:
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    dead.wait()
    with Lease(numbers, "doubler") as lease:
        lease._stop.set()
        numbers["leases"].update_one({"_id": "doubler"}, {"$set": {"pid": dead.pid}})
        assert build(numbers).built == 10


def test_trap_9_the_lease_of_a_silent_process_elsewhere_runs_out(numbers: Any) -> None:
    with Lease(numbers, "doubler", seconds=0.5) as lease:
        lease._stop.set()
        numbers["leases"].update_one({"_id": "doubler"}, {"$set": {"host": "elsewhere"}})
        with pytest.raises(BuildRunning):
            build(numbers)
        assert build(numbers, wait=5.0).built == 10


def test_trap_10_every_item_is_accounted_for(numbers: Any) -> None:
    put(numbers, *(number(f"n{i}", float(i), mode="fail") for i in range(5)))
    summary = build(numbers, workers=2)
    assert summary.built + summary.failed == 10
    assert summary.failed == 5


def test_trap_11_a_dead_worker_does_not_hang_the_build(numbers: Any) -> None:
    put(numbers, number("n5", 5.0, mode="die"))
    summary = build(numbers, workers=2)
    assert (summary.built, summary.failed) == (9, 1)
    error = numbers["build_state"].find_one({"_id": "doubler/n5"})["error"]
    assert error["type"] == "WorkerDied"
    assert "exit code 9" in error["message"]


def test_workers_that_are_killed_all_the_time_cost_no_item(numbers: Any) -> None:
    """Also at the moments in which a dying worker takes the channel of the whole pool with it."""
    import threading

    import psutil

    put(numbers, *(number(f"m{i}", float(i)) for i in range(300)))
    over = threading.Event()
    killed = []

    def kill() -> None:
        while not over.wait(0.4) and len(killed) < 8:
            for child in psutil.Process().children():
                with contextlib.suppress(psutil.Error):
                    if "spawn_main" in " ".join(child.cmdline()):
                        child.kill()
                        killed.append(child.pid)
                        break

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        summary = build(numbers, Doubler(params={"pause": 0.01}), workers=2)
    finally:
        over.set()
        killer.join()
    assert len(killed) > 2
    assert summary.built + summary.failed == 310
    assert all(reason.startswith("WorkerDied") for reason in summary.reasons)
    assert build(numbers, Doubler(params={"pause": 0.01})).failed == 0
    assert numbers["doubles"].count_documents({}) == 310


def test_a_pool_that_breaks_is_replaced(numbers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from pebble.pool.base_pool import PoolStatus

    from builders.engine.executors import LocalPool

    submit = LocalPool.submit
    broken = []

    def break_once(self: LocalPool, *args: Any) -> Any:
        future = submit(self, *args)
        if not broken:
            broken.append(self._pool)
            self._pool._context.status = PoolStatus.ERROR
        return future

    monkeypatch.setattr(LocalPool, "submit", break_once)
    assert build(numbers).built == 10
    assert broken


def test_a_failure_that_may_be_the_machines_is_tried_again_three_times(numbers: Any) -> None:
    put(numbers, number("n5", 5.0, mode="die"))
    assert [build(numbers).failed for _ in range(4)] == [1, 1, 1, 0]


def test_an_item_over_its_memory_limit_fails_alone(numbers: Any) -> None:
    put(numbers, number("n5", 5.0, mode="memory"))
    summary = build(numbers, memory_bytes=2**31)
    assert (summary.built, summary.failed) == (9, 1)
    assert next(iter(summary.reasons)).startswith("MemoryError")


def test_a_builder_that_cannot_be_made_ready_blames_no_item(numbers: Any) -> None:
    with pytest.raises(Exception, match="its model file is missing"):
        build(numbers, Broken())
    assert numbers["build_state"].count_documents({}) == 0
    assert numbers["builds"].find_one({"builder": "broken"})["state"] == "broken"


def test_trap_12_the_builder_is_set_up_once_a_process_and_not_once_an_item(numbers: Any) -> None:
    import pickle

    from builders.engine import builder as module

    calls = []
    original = Doubler.setup
    try:
        Doubler.setup = lambda self: calls.append(1) or "tools"  # type: ignore[method-assign,assignment,func-returns-value]
        module._TOOLS.clear()
        for _ in range(5):  # what mrun -n does to a builder for every item
            assert pickle.loads(pickle.dumps(Doubler())).tools() == "tools"
    finally:
        Doubler.setup = original  # type: ignore[method-assign]
        module._TOOLS.clear()
    assert len(calls) == 1


def test_trap_13_workers_are_spawned_after_openmp_was_used(numbers: Any) -> None:
    import faiss
    import numpy as np

    index = faiss.IndexFlatL2(64)
    index.add(np.ones((5000, 64), dtype=np.float32))
    index.search(np.ones((50, 64), dtype=np.float32), 5)
    assert build(numbers, workers=2).built == 10


def test_trap_14_ctrl_c_keeps_what_was_finished_and_the_next_build_goes_on(numbers: Any) -> None:
    class Interrupt:
        def start(self, name: str, total: int) -> None: ...
        def stop(self, name: str) -> None: ...
        def advance(self, name: str, done: int, failed: int) -> None:
            raise KeyboardInterrupt

    put(numbers, *(number(f"m{i}", float(i)) for i in range(1500)))
    with pytest.raises(KeyboardInterrupt), Session(numbers, Options(workers=1), progress=Interrupt()) as session:
        run_builder(Doubler(), session)
    kept = numbers["doubles"].count_documents({})
    assert kept > 0
    assert numbers["builds"].find_one({"builder": "doubler"})["state"] == "interrupted"
    assert numbers["leases"].count_documents({}) == 0
    summary = build(numbers)
    assert summary.built == 1510 - kept
    assert numbers["doubles"].count_documents({}) == 1510


def test_trap_15_builders_run_in_the_order_of_their_inputs() -> None:
    assert in_order([Summer, Grouper]) == [Grouper, Summer]


def test_a_limit_builds_so_many(numbers: Any) -> None:
    assert build(numbers, limit=3).built == 3
    assert build(numbers).built == 7


def test_documents_carry_a_stamp_that_says_what_made_them(numbers: Any) -> None:
    build(numbers)
    document = numbers["doubles"].find_one({"_id": "n3"})
    stamp = document["stamp"]
    assert (stamp["builder"], stamp["version"]) == ("doubler", 1)
    assert stamp["inputs"] == "numbers=" + numbers["numbers"].find_one({"_id": "n3"})["hash"]
    assert stamp["params"] == Doubler().params_hash
    assert stamp["packages"]["pymongo"]
    assert document["hash"] == content_hash({"value": 6.0})
    bson.encode(document)


def test_the_build_is_recorded(numbers: Any) -> None:
    build(numbers)
    record = numbers["builds"].find_one({"builder": "doubler"})
    assert (record["state"], record["summary"]["built"]) == ("done", 10)
    assert record["params"] == {"factor": 2.0, "pause": 0.0}


def test_mrun_runs_the_same_builder(numbers: Any, settings: Any, tmp_path: Any) -> None:
    import json

    put(numbers, number("n4", 4.0, mode="fail"))
    described = {**Doubler(uri=settings.mongodb_uri, database=settings.database).as_dict()}
    file = tmp_path / "doubler.json"
    file.write_text(json.dumps(described))
    for extra in ([], ["-n", "2"]):
        ran = subprocess.run([*MRUN, *extra, str(file)], capture_output=True, text=True, timeout=120, check=False)
        assert numbers["doubles"].count_documents({}) == 9, ran.stderr
        assert numbers["build_state"].count_documents({}) == 1
    put(numbers, number("n4", 4.0))
    ran = subprocess.run([*MRUN, str(file)], capture_output=True, timeout=120, check=False)
    assert ran.returncode == 0
    assert values(numbers)["n4"] == 8.0


def test_mrun_does_not_look_well_when_items_failed(numbers: Any, settings: Any, tmp_path: Any) -> None:
    import json

    put(numbers, number("n4", 4.0, mode="fail"))
    file = tmp_path / "doubler.json"
    file.write_text(json.dumps(Doubler(uri=settings.mongodb_uri, database=settings.database).as_dict()))
    ran = subprocess.run([*MRUN, str(file)], capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode != 0
    assert "recorded in build_state" in ran.stderr


def test_distributed_parts_cover_the_work_once(numbers: Any, settings: Any) -> None:
    builder = Doubler(uri=settings.mongodb_uri, database=settings.database)
    parts = list(builder.prechunk(3))
    builder.disconnect()
    assert sorted(key for part in parts for key in part["keys"]) == sorted(f"n{i}" for i in range(10))
    for part in parts:
        one = Doubler(uri=settings.mongodb_uri, database=settings.database, **part)
        one.connect()
        one.update_targets([one.process_item(item) for item in one.get_items()])
        one.finalize()
    assert numbers["doubles"].count_documents({}) == 10


def test_dask_workers_keep_the_same_promises(numbers: Any) -> None:
    pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")
    put(numbers, number("n5", 5.0, mode="die"), number("n6", 6.0, mode="fail"), number("n7", 7.0, mode="hang"))
    summary = build(numbers, cluster="local:2", item_seconds=2.0)
    assert (summary.built, summary.failed) == (7, 3)
    kinds = {state["key"]: state["error"]["type"] for state in numbers["build_state"].find()}
    assert kinds == {"n5": "WorkerDied", "n6": "ValueError", "n7": "TimeLimit"}


def test_the_guard_is_an_error_under_mrun(numbers: Any, settings: Any) -> None:
    build(numbers)
    numbers["numbers"].drop()
    builder = Doubler(uri=settings.mongodb_uri, database=settings.database)
    builder.connect()
    list(builder.get_items())
    with pytest.raises(OrphanGuard):
        builder.finalize()
    builder.disconnect()
