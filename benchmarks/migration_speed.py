"""How long it takes: every computed hop linked and described, one CIF from the command line, 10,000 stored hops predicted.

    python benchmarks/migration_speed.py [--hops 10000]

The stored hops are those of random compounds of the Materials Project with Li, Na, K or Mg, whose channels are built first (and timed
apart). Two workers.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import ROOT, command, data_folder, own_store, report

sys.path.insert(0, str(ROOT))

IONS = ("Li", "Na", "K", "Mg")
BAR_DESCRIBED, BAR_CIF, BAR_PREDICTED = 180.0, 3.0, 20.0


def sample(count: int, seed: int = 3) -> list[str]:
    """Random records with one of the ions and an anion."""
    chosen = []
    with gzip.open(data_folder() / "structures" / "mp.jsonl.gz", "rt") as lines:
        for line in lines:
            row = json.loads(line)
            elements = set(row["structure"].get("species") or ())
            if elements & set(IONS) and elements & {"O", "F", "S", "Cl"}:
                chosen.append(line)
    random.Random(seed).shuffle(chosen)
    return chosen[:count]


def built(database: Any, settings: Any, name: str, ions: tuple[str, ...] | None = None) -> tuple[float, int, int]:
    """Seconds, documents built and failed of one builder."""
    from api.builds import run_builds
    from builders.engine.run import Options

    selections = {} if ions is None else {name: {"ions": ions}}
    started = time.perf_counter()
    (run,) = run_builds(database, settings, [name], options=Options(workers=2, selections=selections))
    return time.perf_counter() - started, run.built, run.failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hops", type=int, default=10_000)
    options = parser.parse_args()
    with own_store(), tempfile.TemporaryDirectory() as folder:
        from store.connection import connect
        from store.ingest.ingest import ingest
        from store.settings import load_settings

        settings = load_settings()
        database = connect(settings)
        # 1. Computed hops, with the structures that they may belong to in the store.
        file = Path(folder) / "structures.jsonl"
        file.write_text("".join(sample(max(options.hops // 4, 200))))
        ingest(database, file, provider="mp")
        taken = ingest(database, data_folder() / "ionic" / "barriers.jsonl.gz")
        built(database, settings, "structures")
        described = built(database, settings, "barriers")
        linked = database["barriers"].count_documents({"material": {"$ne": None}})
        # 2. A CIF from the command line, three times.
        cif = ROOT / "tests" / "crystals" / "LiFePO4.cif"
        times = []
        for _ in range(3):
            seconds, done = command("predict", "migration-energy", str(cif), "--ion", "Li", "--json")
            if done.returncode:
                sys.exit(f"ionatlas predict ended with {done.returncode}:\n{done.stderr}")
            times.append(seconds)
        # 3. Stored hops.
        channels = built(database, settings, "channels", IONS)
        predicted = built(database, settings, "predictions")
        hops = sum(row["n_hops"] for row in database["predictions"].find({}, {"n_hops": 1}))
        scaled = predicted[0] * 10_000 / max(hops, 1)
    values = {
        "described": {"hops": described[1], "failed": described[2], "seconds": described[0], "linked": linked},
        "ingested": taken.new,
        "cif_seconds": times,
        "channels": {"documents": channels[1], "seconds": channels[0]},
        "predicted": {"documents": predicted[1], "hops": hops, "seconds": predicted[0], "seconds_10000": scaled},
    }
    report(
        "migration_speed",
        [
            (
                f"{described[1]} computed hops linked and described ({described[2]} failed)",
                f"{described[0]:.1f} s",
                f"bar {BAR_DESCRIBED:.0f}",
            ),
            ("of these with a structure in this store", str(linked), ""),
            ("a CIF from the command line, median of three", f"{statistics.median(times):.2f} s", f"bar {BAR_CIF:.0f}"),
            (f"channels of {channels[1]} compounds, for comparison", f"{channels[0]:.1f} s", ""),
            (f"{hops:,} stored hops described and predicted", f"{predicted[0]:.1f} s", ""),
            ("that is, for 10,000", f"{scaled:.1f} s", f"bar {BAR_PREDICTED:.0f}"),
        ],
        values,
    )


if __name__ == "__main__":
    main()
