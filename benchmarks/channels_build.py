"""Channels of every Li, Na, K and Mg compound of the Materials Project, two workers; then nothing to do; then the query.

    python benchmarks/channels_build.py [--limit N] [--keep FOLDER]

``--limit`` takes only the first records, ``--keep`` leaves the store behind and uses what it finds there already.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from common import ROOT, Memory, command, data_folder, own_store, report
from rebuild import first_rows

sys.path.insert(0, str(ROOT))

IONS = ("Li", "Na", "K", "Mg")
RARE_EARTHS = ("Sc", "Y", "La", "Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu")
BAR_BUILD = 25 * 60
ROUNDS = 50


def question(threshold: float) -> str:
    """Li, no rare earths, r2 above the Li-O threshold, near the hull."""
    rare = ",".join(f'"{symbol}"' for symbol in RARE_EARTHS)
    return f'elements HAS "Li" AND NOT elements HAS ANY {rare} AND li_channel_r2 > {threshold:.4f} AND energy_above_hull < 0.03'


def fill(database: Any, settings: Any, file: Path) -> dict[str, float]:
    """Ingest and build what the channels are made from, unless it is there."""
    from api.builds import run_builds
    from builders.engine.run import Options
    from store.ingest.ingest import ingest

    started = time.perf_counter()
    taken = ingest(database, file, provider="mp")
    ingested = time.perf_counter()
    print(f"ingested {taken.new:,} in {ingested - started:.1f} s", flush=True)
    for run in run_builds(database, settings, ["structures", "duplicates"], options=Options(workers=2)):
        print(f"  {run.name}: {run.built:,} built, {run.failed} failed, {run.seconds:.1f} s", flush=True)
    return {"ingest": ingested - started, "structures": time.perf_counter() - ingested}


def build_channels(limit: int | None) -> tuple[float, str]:
    """The command as a user gives it."""
    ions = [word for ion in IONS for word in ("--ion", ion)]
    # exit code 5: some items failed; they are recorded, counted below, and do not stop the others
    seconds, done = command("build", "channels", *ions, "--workers", "2", timeout=3 * BAR_BUILD)
    if done.returncode not in (0, 5):
        sys.exit(f"ionatlas build channels ended with {done.returncode}:\n{done.stderr}\n{done.stdout}")
    return seconds, done.stdout + done.stderr


def asked(database: Any, settings: Any) -> dict[str, Any]:
    """The question, many times with changing numbers, then once for the rows to print."""
    from api.service import Service
    from builders.channels.thresholds import threshold

    service = Service(database, settings)
    least = threshold("Li", "O").r_chan
    times = []
    for round_ in range(-5, ROUNDS):
        text = question(least + 0.001 * (round_ % 10))
        started = time.perf_counter()
        service.query(text, sort="-li_channel_r2", limit=100)
        if round_ >= 0:
            times.append(time.perf_counter() - started)
    return {
        "filter": question(least),
        "p50_s": statistics.median(times),
        "p95_s": statistics.quantiles(times, n=20)[-1],
        **top(service, question(least)),
        "oxides": top(service, f'{question(least)} AND elements HAS "O" AND band_gap > 1'),
    }


def top(service: Any, text: str) -> dict[str, Any]:
    """Number of matches, and the ten widest, each crystal once."""
    fields = [
        *("id", "formula", "space_group_symbol", "li_channel_r1", "li_channel_r2", "li_channel_r3"),
        *("li_path_r1", "li_channel_dimension", "energy_above_hull", "band_gap"),
    ]
    answer = service.query(text, fields=fields, sort="-li_channel_r2", limit=10, include_duplicates=False, count=True)
    rows = [
        {name: round(value, 3) if isinstance(value, float) else value for name, value in row.items()}
        for row in answer.rows
    ]
    return {"matches": answer.total, "rows": rows}


def flags(database: Any) -> tuple[int, Counter[str]]:
    """Documents, and how many carry each flag."""
    told: Counter[str] = Counter()
    documents = 0
    for document in database["channels"].find({}, {"channel_flags.code": 1}):
        documents += 1
        told.update(flag["code"] for flag in document["channel_flags"])
    return documents, told


def measure(file: Path) -> None:
    from api.builds import run_builds
    from builders.engine.run import Options
    from store.connection import connect
    from store.server import ensure_server
    from store.settings import load_settings

    settings = load_settings()
    server = ensure_server(settings)
    database = connect(settings)
    values: dict[str, Any] = fill(database, settings, file)
    with Memory(server.pid) as memory:
        values["channels"], said = build_channels(None)
    print(said)
    values["peak_memory_gb"] = memory.peak / 2**30
    values["no-op"], _ = build_channels(None)
    values["no-op again"], _ = build_channels(None)
    started = time.perf_counter()
    run_builds(database, settings, ["candidates"], options=Options(workers=2))
    values["candidates"] = time.perf_counter() - started
    documents, told = flags(database)
    failed = list(
        database["build_state"].aggregate(
            [{"$match": {"builder": "channels", "error": {"$ne": None}}}, {"$sortByCount": "$error.type"}]
        )
    )
    size = database.command("collStats", "channels")
    values |= {
        "documents": documents,
        "failed": failed,
        "flags": told,
        "bytes": size["size"],
        "stored bytes": size["storageSize"],
    }
    values["query"] = asked(database, settings)
    query = values["query"]
    for title, rows in ((query["filter"], query["rows"]), ("of these, oxides with a gap", query["oxides"]["rows"])):
        print(f"\n{title}")
        for row in rows:
            print("  " + "  ".join(f"{name}={value}" for name, value in row.items()))
    report(
        "channels_build",
        [
            (
                "channels of Li, Na, K, Mg compounds, 2 workers (whole command)",
                f"{values['channels']:.0f} s",
                f"{documents:,} documents; bar {BAR_BUILD} s",
            ),
            *((f"    failed: {kind['_id']}", f"{kind['count']:,}", "") for kind in failed),
            *(
                (f"    flagged: {code}", f"{number:,}", f"{100 * number / max(1, documents):.2f} %")
                for code, number in told.most_common()
            ),
            ("    size", f"{values['bytes'] / 2**20:.0f} MiB", f"stored {values['stored bytes'] / 2**20:.0f} MiB"),
            ("peak memory, all processes and the server", f"{values['peak_memory_gb']:.2f} GB", ""),
            (
                "nothing to do (whole command)",
                f"{values['no-op']:.1f} s, {values['no-op again']:.1f} s",
                "bar: seconds",
            ),
            ("candidates", f"{values['candidates']:.1f} s", ""),
            (
                "the query, p50 and p95",
                f"{1e3 * query['p50_s']:.1f} ms, {1e3 * query['p95_s']:.1f} ms",
                f"{query['matches']} matches; bar: milliseconds",
            ),
        ],
        values,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, help="only the first records")
    parser.add_argument("--keep", help="folder of the store; left behind, and used again if it is there")
    arguments = parser.parse_args()
    file = first_rows(data_folder() / "structures" / "mp.jsonl.gz", arguments.limit)
    with own_store(arguments.keep):
        measure(file)


if __name__ == "__main__":
    main()
