"""Rebuilding 147,033 materials: first build, nothing to do, one changed source, a changed parameter; beside plain maggma.

    python benchmarks/rebuild.py [--rows N] [--keep FOLDER]

maggma's ``MapBuilder`` runs on the same records in the same MongoDB and the same run. Its function is trivial (the number
of atoms): what is compared is the price of finding out that nothing changed, and what each of the two notices.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from common import Memory, command, data_folder, own_store, report

FOUNDATION = ("structures", "duplicates", "composition", "candidates", "index/composition")
"""What this measures; channels have a benchmark of their own (channels_build.py)."""


def first_rows(path: Path, count: int | None) -> Path:
    """The file itself, or a shorter copy."""
    if count is None:
        return path
    short = Path(tempfile.mkdtemp()) / "short.jsonl.gz"
    with gzip.open(path) as source, gzip.open(short, "wb", compresslevel=1) as target:
        target.writelines(itertools.islice(source, count))
    return short


def changed_row(path: Path, place: int = 1000) -> Path:
    """One record again, its cell one per cent larger in one direction."""
    with gzip.open(path) as source:
        row = json.loads(next(itertools.islice(source, place, None)))
    row["structure"]["lattice"][0] = [1.01 * x for x in row["structure"]["lattice"][0]]
    file = Path(tempfile.mkdtemp()) / "changed.jsonl"
    file.write_text(json.dumps(row) + "\n")
    return file


def explained(plans: list[Any]) -> dict[str, dict[str, Any]]:
    return {
        plan.name: {"missing": plan.missing, "stale": plan.stale, "pending": plan.pending, "fresh": plan.fresh}
        for plan in plans
    }


def with_changed_builders(database: Any, settings: Any) -> dict[str, Any]:
    """What explain says after a change of a version and of a parameter, without building."""
    from api.builds import explain_builds
    from builders.embeddings.builder import CompositionBuilder
    from builders.structures.builder import StructureBuilder

    found = {}
    CompositionBuilder.VERSION += 1
    found["version of composition"] = explained(explain_builds(database, settings, FOUNDATION))
    CompositionBuilder.VERSION -= 1
    before = StructureBuilder.Params.__init__.__defaults__
    StructureBuilder.Params.__init__.__defaults__ = (0.02, *before[1:])
    found["parameter symprec of structures"] = explained(explain_builds(database, settings, FOUNDATION))
    StructureBuilder.Params.__init__.__defaults__ = before
    return found


def plain_maggma(database: Any, uri: str) -> dict[str, float]:
    """The same records through maggma's MapBuilder."""
    import orjson
    from maggma.builders import MapBuilder
    from maggma.cli.serial import serial
    from maggma.stores import MongoStore

    database["maggma_source"].drop()
    database["maggma_target"].drop()
    database["sources"].aggregate([{"$set": {"key": "$_id", "last_updated": "$updated_at"}}, {"$out": "maggma_source"}])

    class Counter(MapBuilder):
        """Number of atoms, times a parameter."""

        factor = 1

        def __init__(self, source: Any, target: Any) -> None:
            super().__init__(source=source, target=target, delete_orphans=False)

        def unary_function(self, item: dict[str, Any]) -> dict[str, Any]:
            return {"n": self.factor * len(orjson.loads(item["content"])["structure"]["species"])}

    def run() -> float:
        stores = [
            MongoStore.from_uri(uri, name, database=database.name, key="key")
            for name in ("maggma_source", "maggma_target")
        ]
        started = time.perf_counter()
        serial(Counter(*stores), no_bars=True)
        return time.perf_counter() - started

    seconds = {"first": run(), "no-op": run()}
    Counter.factor = 2
    before = database["maggma_target"].aggregate([{"$group": {"_id": None, "n": {"$sum": "$n"}}}]).next()["n"]
    seconds["after a changed parameter"] = run()
    after = database["maggma_target"].aggregate([{"$group": {"_id": None, "n": {"$sum": "$n"}}}]).next()["n"]
    seconds["noticed the parameter"] = float(before != after)
    database["maggma_source"].drop()
    database["maggma_target"].drop()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--keep", help="folder of a store to leave behind (for benchmarks/query.py)")
    arguments = parser.parse_args()
    file = first_rows(data_folder() / "structures" / "mp.jsonl.gz", arguments.rows)
    with own_store(arguments.keep):
        measure(file)


def measure(file: Path) -> None:
    from api.builds import explain_builds, run_builds
    from builders.engine.run import Options
    from store.connection import connect
    from store.ingest.ingest import ingest
    from store.server import ensure_server
    from store.settings import load_settings

    settings = load_settings()
    server = ensure_server(settings)
    database = connect(settings)
    values: dict[str, Any] = {}
    with Memory(server.pid) as memory:
        started = time.perf_counter()
        taken = ingest(database, file, provider="mp")
        values["ingest"] = time.perf_counter() - started
        print(f"ingested {taken.new} in {values['ingest']:.1f} s", flush=True)
        runs = run_builds(database, settings, FOUNDATION, options=Options(workers=2))
        values["total"] = time.perf_counter() - started
        for run in runs:
            print(
                f"  {run.name}: {run.built} built, {run.failed} failed, {run.seconds:.1f} s {run.reasons}", flush=True
            )
    values["stages"] = {run.name: {"built": run.built, "failed": run.failed, "seconds": run.seconds} for run in runs}
    values["peak_memory_gb"] = memory.peak / 2**30
    values["peak_memory_server_gb"] = memory.peak_server / 2**30

    values["no-op"], done = command("build", *FOUNDATION)
    assert done.returncode in (0, 5), done.stderr
    values["no-op again"], _ = command("build", *FOUNDATION)
    started = time.perf_counter()
    run_builds(database, settings, FOUNDATION, options=Options(workers=2))
    values["no-op in process"] = time.perf_counter() - started

    ingest(database, changed_row(file), provider="mp")
    values["explain after one changed source"] = explained(explain_builds(database, settings, FOUNDATION))
    values["build of one changed source"], _ = command("build", *FOUNDATION)
    started = time.perf_counter()
    values["explain after changed builders"] = with_changed_builders(database, settings)
    values["maggma"] = plain_maggma(database, server.uri)

    count = taken.new
    one = values["explain after one changed source"]
    version = values["explain after changed builders"]["version of composition"]
    parameter = values["explain after changed builders"]["parameter symprec of structures"]
    stale = {name: plan["missing"] + sum(plan["stale"].values()) + plan["pending"] for name, plan in one.items()}
    rows = [
        (f"ingest and build of {count:,} structures, 2 workers", f"{values['total']:.0f} s", "bar 600 s"),
        *(
            (f"    {name}", f"{stage['seconds']:.1f} s", f"{stage['built']:,} built, {stage['failed']} failed")
            for name, stage in values["stages"].items()
        ),
        ("peak memory, all processes and the server", f"{values['peak_memory_gb']:.2f} GB", "bar 6 GB"),
        ("ionatlas build, nothing to do (whole command)", f"{values['no-op']:.2f} s", "bar 5 s"),
        (
            "    of which in the process",
            f"{values['no-op in process']:.2f} s",
            f"{len(values['stages'])} collections and indexes, contents compared",
        ),
        (
            "plain maggma MapBuilder, nothing to do (in the process)",
            f"{values['maggma']['no-op']:.2f} s",
            "one collection, timestamps compared; ours a collection / maggma's = "
            f"{values['no-op in process'] / len(values['stages']) / values['maggma']['no-op']:.2f}",
        ),
        (
            "plain maggma MapBuilder, first build of a trivial function",
            f"{values['maggma']['first']:.1f} s",
            "",
        ),
        ("stale after one changed source", json.dumps(stale), "bar 1 in each derived collection"),
        ("build of it (whole command)", f"{values['build of one changed source']:.2f} s", ""),
        (
            "stale after a changed VERSION of composition",
            str(version["composition"]["stale"]),
            f"structures {version['structures']['stale']}, candidates {version['candidates']['stale']}, index pending {version['index/composition']['pending']:,}",
        ),
        (
            "stale after a changed parameter of structures",
            str(parameter["structures"]["stale"]),
            f"pending: composition {parameter['composition']['pending']:,}, candidates {parameter['candidates']['pending']:,}",
        ),
        (
            "plain maggma notices the changed parameter",
            "yes" if values["maggma"]["noticed the parameter"] else "no",
            "0 documents rebuilt",
        ),
    ]
    report("rebuild", rows, values)


if __name__ == "__main__":
    main()
