"""Similarity as a condition of a filter: equal to brute force, and how long it takes.

    python benchmarks/similarity_filter.py [--cases 200] [--least 100000]

The store is the one that the settings name (``IONATLAS_HOME``, ``IONATLAS_MONGODB_URI``, ``IONATLAS_DATABASE``). Each case is a random
material and a random filter: very selective (under 50 hits), medium, or broad (over half of the store). The service is asked for the 10
nearest as a user asks it (parsing, search, rows); brute force lets MongoDB apply the filter, computes every distance with
NumPy in float64, and sorts by distance and id. Ids and their order must be the same, distances equal to 1e-9. Both for
composition and structure; prints a table, writes ``benchmarks/results/similarity_filter.json``.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from common import report

GOAL = 0.100
"""p95 of one question, s."""

K = 10
ELEMENTS = (
    "Li",
    "Na",
    "K",
    "Mg",
    "Ca",
    "Zn",
    "Al",
    "Fe",
    "Mn",
    "Ti",
    "P",
    "S",
    "Si",
    "F",
    "Cl",
    "N",
    "O",
    "Co",
    "Ni",
    "U",
)


def a_filter(rng: random.Random, kind: str) -> str:
    """Write a random filter of a kind."""
    element, other = rng.sample(ELEMENTS, 2)
    selective = (
        f'elements HAS ALL "{element}","{other}" AND band_gap > {rng.uniform(4, 6):.3f} eV AND energy_above_hull < {rng.uniform(1, 20):.2f} meV',
        f"nelements = 2 AND space_group_number = {rng.choice((225, 62, 14, 194))} AND band_gap > {rng.uniform(3, 5):.3f}",
        f'formula MATCHES "{element}*{other}3"',
        f'chemical_system = "{"-".join(sorted((element, other)))}"',
        f"density > {rng.uniform(19000, 21000):.0f} kg/m^3 AND nelements < 3",
    )
    medium = (
        f'elements HAS "{element}" AND band_gap > {rng.uniform(0.5, 3):.3f} eV',
        f'crystal_system = "{rng.choice(("cubic", "trigonal", "monoclinic"))}" AND energy_above_hull < {rng.uniform(10, 50):.2f} meV',
        f'elements HAS ALL "{element}","O" AND density < {rng.uniform(2.5, 5):.3f}',
        f'formula MATCHES "{element}-*-*"',
        f"band_gap > {rng.uniform(1, 4):.3f} AND nsites_primitive < {rng.randint(8, 40)}",
    )
    broad = (
        f"energy_above_hull < {rng.uniform(80, 500):.2f} meV",
        f'NOT elements HAS "{element}"',
        f"density > {rng.uniform(2, 4):.3f} g/cm^3",
        f"nelements >= {rng.choice((2, 3))} AND NOT density > {rng.uniform(9, 15):.2f}",
        f"band_gap < {rng.uniform(2, 5):.3f} OR nelements < 4",
    )
    return rng.choice({"selective": selective, "medium": medium, "broad": broad}[kind])


class Brute:
    """The slow twin: every vector, every distance."""

    def __init__(self, service: Any, by: str) -> None:
        from indexes.registry import snapshot_store

        snapshot = snapshot_store(by, service.settings).load()
        self.service = service
        self.ids = np.array(snapshot.ids)
        self.vectors = np.asarray(snapshot.vectors)
        self.row = {id: number for number, id in enumerate(snapshot.ids)}

    def nearest(self, id: str, filter_text: str, k: int) -> tuple[list[tuple[str, float]], int]:
        """The k nearest that match, and how many match."""
        from api.filters import compile_filter

        query = compile_filter(filter_text).query
        rows = [
            self.row[found["_id"]]
            for found in self.service.database["candidates"].find(query, {"_id": 1}, batch_size=100_000)
            if found["_id"] in self.row and found["_id"] != id
        ]
        if not rows:
            return [], 0
        picked = np.array(rows)
        query_vector = self.vectors[self.row[id]].astype(np.float64)
        squares = np.empty(len(picked))
        for begin in range(0, len(picked), 4096):
            part = self.vectors[picked[begin : begin + 4096]].astype(np.float64) - query_vector
            squares[begin : begin + 4096] = np.einsum("ij,ij->i", part, part)
        distances = np.sqrt(squares)
        order = np.lexsort((self.ids[picked], distances))[:k]
        return [(str(self.ids[picked[each]]), float(distances[each])) for each in order], len(rows)


def measure(service: Any, by: str, cases: int) -> dict[str, Any]:
    """Ask all cases; times in s."""
    rng = random.Random(7)
    brute = Brute(service, by)
    kinds = [("selective", "medium", "broad")[number % 3] for number in range(cases)]
    for _ in range(10):  # connection, index, caches of the server
        service.query(f'SIMILAR TO "{rng.choice(brute.ids)}" BY {by} AND {a_filter(rng, "medium")}', limit=K)
    told: list[dict[str, Any]] = []
    for kind in kinds:
        id, text = str(rng.choice(brute.ids)), a_filter(rng, kind)
        started, cpu = time.perf_counter(), time.process_time()
        answer = service.query(f'SIMILAR TO "{id}" BY {by} AND ({text})', limit=K)
        taken, worked = time.perf_counter() - started, time.process_time() - cpu
        expected, matches = brute.nearest(id, text, K)
        found = [(row["id"], row["distance"]) for row in answer.rows]
        same = [each for each, _ in found] == [each for each, _ in expected]
        close = same and all(abs(a - b) <= 1e-9 for (_, a), (_, b) in zip(found, expected, strict=True))
        told.append(
            {"id": id, "filter": text, "kind": kind, "matches": matches, "s": taken, "cpu_s": worked, "equal": close}
        )
    return {"cases": told, **summary([each["s"] for each in told])}


def summary(times: list[float]) -> dict[str, float]:
    """Median, 95th percentile, largest."""
    return {"p50": statistics.median(times), "p95": statistics.quantiles(times, n=20)[-1], "largest": max(times)}


def main() -> int:
    """Measure and report; exit code 1 when an answer differs or the goal is missed, 2 when the store is too small."""
    from api.service import Service
    from store.connection import connect
    from store.settings import load_settings

    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--cases", type=int, default=200)
    options.add_argument("--least", type=int, default=100_000, help="candidates below which nothing is measured")
    chosen = options.parse_args()
    settings = load_settings()
    service = Service(connect(settings), settings)
    count = service.aggregate().total
    if count < chosen.least:
        print(f"The store has {count:,} candidates; at least {chosen.least:,} are needed (--least).", file=sys.stderr)
        return 2
    values: dict[str, Any] = {"candidates": count, "k": K, "goal_p95": GOAL, "load_before": os.getloadavg()[0]}
    rows: list[tuple[str, str, str]] = []
    for by in ("composition", "structure"):
        values[by] = found = measure(service, by, chosen.cases)
        equal = sum(each["equal"] for each in found["cases"])
        rows.append((f"{by}: equal to brute force", f"{equal} of {len(found['cases'])}", "all"))
        rows.append((f"{by}: time of one question", _told(found), f"p95 under {1e3 * GOAL:.0f} ms"))
        for kind in ("selective", "medium", "broad"):
            part = [each for each in found["cases"] if each["kind"] == kind]
            matches = statistics.median(each["matches"] for each in part)
            rows.append((f"  {kind} (median {matches:,.0f} matches)", _told(summary([each["s"] for each in part])), ""))
    values["met"] = all(
        all(each["equal"] for each in values[by]["cases"]) and values[by]["p95"] < GOAL
        for by in ("composition", "structure")
    )
    report("similarity_filter", rows, values)
    return 0 if values["met"] else 1


def _told(times: dict[str, float]) -> str:
    return f"p50 {1e3 * times['p50']:.1f} ms, p95 {1e3 * times['p95']:.1f} ms, largest {1e3 * times['largest']:.0f} ms"


if __name__ == "__main__":
    raise SystemExit(main())
