"""kill -9 at random moments: the build, one of its workers, the database server; then the same build again.

    python benchmarks/crash.py [--trials 20] [--records 2500]

Each trial has a database of its own. What must hold: no acknowledged write is lost, nothing hangs, and after the next
build every derived document equals that of an undisturbed run (times apart). The records are experimental structures of
the AMCSD, so no data folder is needed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from typing import Any

from common import ROOT, own_store, report

COLLECTIONS = ("structures", "duplicates", "embeddings", "channels", "candidates", "build_state")
MOMENTS = {"made_at", "seconds", "first_at", "last_at", "attempts", "traceback"}


def without_times(document: Any) -> Any:
    if isinstance(document, dict):
        return {name: without_times(value) for name, value in document.items() if name not in MOMENTS}
    return [without_times(value) for value in document] if isinstance(document, list) else document


def contents(database: Any) -> dict[str, dict[str, Any]]:
    return {name: {each["_id"]: without_times(each) for each in database[name].find()} for name in COLLECTIONS}


def index_contents(settings: Any) -> dict[str, bytes]:
    from indexes.registry import index_step

    snapshot = index_step("composition", settings).store.load()
    return dict(zip(snapshot.ids, (bytes(each) for each in snapshot.hashes), strict=True))


class Writer(threading.Thread):
    """Write and remember what was acknowledged."""

    def __init__(self, database: Any) -> None:
        super().__init__(daemon=True)
        self._collection = database["acknowledged"]
        self._over = threading.Event()
        self.acknowledged: list[int] = []

    def run(self) -> None:
        from pymongo.errors import PyMongoError

        number = 0
        while not self._over.is_set():
            number += 1
            with contextlib.suppress(PyMongoError):
                self._collection.insert_one({"_id": number})
                self.acknowledged.append(number)
            time.sleep(0.02)

    def stop(self) -> None:
        self._over.set()
        self.join(timeout=60)

    def lost(self) -> list[int]:
        there = {each["_id"] for each in self._collection.find()}
        return [number for number in self.acknowledged if number not in there]


def start_build() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "api.cli.main", "build", "--workers", "2", "--ion", "Li", "--ion", "Na"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def victim(kind: str, build: subprocess.Popen[str], settings: Any) -> int | None:
    import psutil

    from store.server import ensure_server

    if kind == "builder":
        return build.pid
    if kind == "mongod":
        return ensure_server(settings).pid
    with contextlib.suppress(psutil.Error):
        workers = [each for each in psutil.Process(build.pid).children() if "spawn_main" in " ".join(each.cmdline())]
        if workers:
            return int(random.choice(workers).pid)
    return None


def prepare(name: str, records: list[Any]) -> tuple[Any, Any]:
    from store.connection import connect
    from store.ingest.ingest import ingest
    from store.settings import load_settings

    os.environ["IONATLAS_DATABASE"] = name
    settings = load_settings()
    database = connect(settings)
    ingest(database, records)
    return settings, database


def finish(build: subprocess.Popen[str], seconds: float) -> tuple[int | None, str]:
    try:
        _, said = build.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        build.kill()
        return None, "it hung"
    return build.returncode, said


def trial(
    kind: str, number: int, records: list[Any], duration: float, expected: Any, expected_index: Any
) -> dict[str, Any]:
    from store.connection import connect

    settings, database = prepare(f"crash_{kind}_{number}", records)
    writer = Writer(database)
    writer.start()
    build = start_build()
    moment = random.uniform(0.2, 0.95 * duration)
    time.sleep(moment)
    killed = None
    deadline = time.monotonic() + 2
    while killed is None and build.poll() is None and time.monotonic() < deadline:
        killed = victim(kind, build, settings)
    before = {name: set(database[name].distinct("_id")) for name in ("structures", "embeddings")} if killed else {}
    if killed is not None:
        os.kill(killed, signal.SIGKILL)
    code, said = finish(build, 180)
    again, said_again = finish(start_build(), 180)
    database = connect(settings)
    writer.stop()
    lost = writer.lost() + [key for name, keys in before.items() for key in keys - set(database[name].distinct("_id"))]
    now, now_index = contents(database), index_contents(settings)
    different = [
        f"{name}/{key}"
        for name in COLLECTIONS
        for key in expected[name].keys() | now[name].keys()
        if expected[name].get(key) != now[name].get(key)
    ]
    different += [
        f"index/{key}"
        for key in expected_index.keys() | now_index.keys()
        if expected_index.get(key) != now_index.get(key)
    ]
    database.client.drop_database(database.name)
    found = {
        "kind": kind,
        "moment": round(moment, 2),
        "killed": killed is not None,
        "first exit": code,
        "second exit": again,
        "acknowledged": len(writer.acknowledged),
        "lost": len(lost),
        "hung": code is None or again is None,
        "different": different[:5],
        "said": "" if not (different or lost or code is None) else (said + said_again)[-1500:],
    }
    print(f"  {found}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=20, help="kills of each kind")
    parser.add_argument("--records", type=int, default=2500)
    parser.add_argument("--kinds", default="builder,worker,mongod")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    from store.ingest.amcsd import amcsd_records

    with own_store():
        import itertools

        records = list(itertools.islice(amcsd_records(), arguments.records))
        settings, database = prepare("crash_reference", records)
        started = time.perf_counter()
        code, said = finish(start_build(), 600)
        duration = time.perf_counter() - started
        assert code in (0, 5), said
        expected, expected_index = contents(database), index_contents(settings)
        print(
            f"undisturbed: {duration:.1f} s, " + ", ".join(f"{len(expected[name])} {name}" for name in COLLECTIONS),
            flush=True,
        )
        trials: list[dict[str, Any]] = []
        for kind in arguments.kinds.split(","):
            hits = 0
            # A build may end before its moment comes: such a trial does not count.
            for number in range(2 * arguments.trials):
                trials.append(trial(kind, number, records, duration, expected, expected_index))
                hits += trials[-1]["killed"]
                if hits == arguments.trials:
                    break
    rows = []
    for kind in arguments.kinds.split(","):
        ours = [each for each in trials if each["kind"] == kind]
        hit = [each for each in ours if each["killed"]]
        rows.append(
            (
                f"{kind} killed {len(hit)} times",
                f"{sum(each['lost'] for each in ours)} lost, {sum(each['hung'] for each in ours)} hung, {sum(bool(each['different']) for each in ours)} different",
                f"{sum(each['acknowledged'] for each in ours)} acknowledged writes beside the build's",
            )
        )
    report("crash", rows, {"undisturbed seconds": duration, "trials": trials})


if __name__ == "__main__":
    main()
