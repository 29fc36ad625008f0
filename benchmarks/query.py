"""Latency of queries: five realistic filters, a warm client, p50 and p95.

    python benchmarks/query.py [--rounds 40] [--least 100000]

The store is the one that the settings name (``IONATLAS_HOME``, ``IONATLAS_MONGODB_URI``, ``IONATLAS_DATABASE``). The claim is
for 147,000 candidates: fill it with ``ionatlas ingest mp.jsonl.gz`` and ``ionatlas build`` first. Every filter is asked as
a user asks it, through the service (parsing, query, rows); the numbers in it change from round to round, so that neither
the filter cache nor one lucky plan answers. Prints a table, writes ``benchmarks/results/query.json``.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

GOAL = 0.050
"""p95 of filters on indexed fields, s."""

ELEMENTS = ("Li", "Na", "K", "Mg", "Ca", "Zn", "Al", "Fe", "Mn", "Ti", "P", "S", "Si", "F", "Cl", "N")

FILTERS: dict[str, tuple[str, str | None]] = {
    "stable Li/Na/... oxides": ('elements HAS ALL "{element}","O" AND energy_above_hull < {hull:.4f}', None),
    "wide gap, best first": (
        'elements HAS "{element}" AND band_gap > {gap:.3f} AND energy_above_hull < {hull:.4f}',
        "energy_above_hull",
    ),
    "by formula": ('chemical_formula_reduced = "{formula}"', None),
    "by prototype and size": (
        "space_group_number = {group} AND nsites_primitive <= {sites} AND nelements = 3 AND density < {density:.3f}",
        "-density",
    ),
    "without cobalt, negated": (
        'elements HAS "{element}" AND NOT elements HAS ANY "Co","Ni" AND NOT band_gap < {gap:.3f} AND nelements >= 3',
        "-band_gap",
    ),
}
"""Name, filter and order; what stands in braces changes."""


def values(round_: int, formulas: list[str]) -> dict[str, Any]:
    """Choose the values of one round, the same in every run."""
    return {
        "element": ELEMENTS[round_ % len(ELEMENTS)],
        "hull": 0.01 + 0.002 * (round_ % 45),
        "gap": 0.5 + 0.11 * (round_ % 37),
        "formula": formulas[round_ % len(formulas)],
        "group": (225, 62, 14, 2, 167, 12, 139, 227, 166, 194, 15, 63)[round_ % 12],
        "sites": 4 + round_ % 40,
        "density": 3.0 + 0.13 * (round_ % 31),
    }


def measure(service: Any, rounds: int) -> dict[str, dict[str, float]]:
    """Ask every filter in every round; times in s."""
    sample = service.database["candidates"].aggregate(
        [{"$sample": {"size": 200}}, {"$project": {"chemical_formula_reduced": 1}}]
    )
    formulas = sorted(row["chemical_formula_reduced"] for row in sample)
    times: dict[str, list[float]] = {name: [] for name in FILTERS}
    rows: dict[str, list[int]] = {name: [] for name in FILTERS}
    for round_ in range(-8, rounds):  # the rounds before 0 warm connection and caches
        for name, (text, order) in FILTERS.items():
            asked = text.format(**values(round_, formulas))
            started = time.perf_counter()
            answer = service.query(asked, sort=order, limit=100)
            if round_ >= 0:
                times[name].append(time.perf_counter() - started)
                rows[name].append(len(answer.rows))
    return {
        name: {
            "p50": statistics.median(taken),
            "p95": statistics.quantiles(taken, n=20)[-1],
            "largest": max(taken),
            "rows": statistics.fmean(rows[name]),
        }
        for name, taken in times.items()
    }


def main() -> int:
    """Measure and report; exit code 1 when the goal is missed, 2 when the store is too small."""
    from api.service import Service
    from store.connection import connect
    from store.settings import load_settings

    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--rounds", type=int, default=40)
    options.add_argument("--least", type=int, default=100_000, help="candidates below which nothing is measured")
    chosen = options.parse_args()
    settings = load_settings()
    service = Service(connect(settings), settings)
    count = service.database["candidates"].count_documents({})
    if count < chosen.least:
        print(
            f"The store has {count:,} candidates; the claim is for 147,000, and at least {chosen.least:,} are needed here.\n"
            "Fill it: ionatlas ingest mp.jsonl.gz, then ionatlas build (or lower --least).",
            file=sys.stderr,
        )
        return 2
    results = measure(service, chosen.rounds)
    print(f"{count:,} candidates, {chosen.rounds} rounds, limit 100; milliseconds")
    print(f"{'filter':<26}{'p50':>8}{'p95':>8}{'largest':>9}{'rows':>7}")
    for name, told in results.items():
        p50, p95, largest = (1000 * told[key] for key in ("p50", "p95", "largest"))
        print(f"{name:<26}{p50:>8.1f}{p95:>8.1f}{largest:>9.1f}{told['rows']:>7.0f}")
    worst = max(told["p95"] for told in results.values())
    met = worst < GOAL
    print(f"largest p95 {1000 * worst:.1f} ms, goal {1000 * GOAL:.0f} ms: {'met' if met else 'missed'}")
    folder = Path(__file__).resolve().parent / "results"
    folder.mkdir(exist_ok=True)
    report = {
        "candidates": count,
        "rounds": chosen.rounds,
        "goal_p95": GOAL,
        "met": met,
        "unit": "s",
        "filters": {
            name: {"filter": FILTERS[name][0], "sort": FILTERS[name][1], **told} for name, told in results.items()
        },
        "machine": {
            "python": platform.python_version(),
            "system": platform.platform(),
            "processor": platform.machine(),
        },
    }
    (folder / "query.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
