"""Speed and memory of structure prediction on two cores: one formula, ten single points, a thousand formulas in one call.

::

    python benchmarks/csp_speed.py LIBRARY [--formulas 1000] [--no-energies]

LIBRARY is a folder written by ``TemplateLibrary.save``: all of mp.jsonl.gz, 147,033 templates. "Warm": the library is mapped, weights are
loaded, and one formula was predicted before. Formulas are held-out ones of at most 40 atoms a cell; their own templates are left out.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from pathlib import Path

import numpy as np
from common import report

THREADS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("library", type=Path)
    parser.add_argument("--formulas", type=int, default=1000)
    parser.add_argument("--no-energies", action="store_true")
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", str(THREADS))
    from builders.templates.cif import write_cif
    from indexes.templates.fit import for_testing
    from indexes.templates.library import TemplateLibrary
    from indexes.templates.offers import derived_candidates
    from indexes.templates.predict import predict
    from indexes.templates.retrieve import retrieve

    started = time.perf_counter()
    library = TemplateLibrary.load(given.library)
    opened = time.perf_counter() - started
    queries = []
    for place in np.random.default_rng(5).permutation(len(library)).tolist():
        query = library.query(place)
        if len(query.elements) > 1 and library.n_sites(place) <= 40 and for_testing(query):
            queries.append(query)
        if len(queries) == given.formulas:
            break
    started = time.perf_counter()
    predict(library, queries[0], exclude_own=True)
    first = time.perf_counter() - started
    searches = [_timed(lambda q=query: retrieve(library, q, exclude_own=True)) for query in queries[:200]]
    singles = [_timed(lambda q=query: predict(library, q, 10, exclude_own=True)) for query in queries[1:201]]
    found: list = []
    batch = _timed(lambda: found.extend([predict(library, query, 10, exclude_own=True) for query in queries]))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    candidates = [each for prediction in found[:50] for each in prediction.candidates]
    cifs = [_timed(lambda c=each: write_cif(c.crystal)) for each in candidates[:200]]
    derived = [_timed(lambda q=query: derived_candidates(library, q)) for query in queries[:15]]
    rows = [
        ("templates", f"{len(library):,}", ""),
        ("opening the library", f"{opened:.2f} s", ""),
        ("first formula (weights, imports)", f"{first:.2f} s", ""),
        ("retrieval alone, p50 / p95", _both(searches), ""),
        ("top-10 with structures, p50 / p95", _both(singles), "p50 below 0.3 s"),
        (f"{len(queries)} formulas in one call", f"{batch[0]:.1f} s (processor {batch[1]:.1f} s)", "1,000 below 180 s"),
        ("one CIF, p50 / p95", _both(cifs), ""),
        ("ten derived candidates, p50 / p95", _both(derived), ""),
        ("peak memory without a potential", f"{memory:.2f} GB", "below 2 GB"),
    ]
    values = {
        "templates": len(library), "opened": opened, "first": first, "searches": searches, "singles": singles, "batch": batch,
        "formulas": len(queries), "memory_gb": memory, "cifs": cifs, "derived": derived,
    }  # fmt: skip
    if not given.no_energies:
        rows += _energies(found, values)
    report("csp_speed", rows, values)


def _energies(found: list, values: dict) -> list[tuple[str, str, str]]:
    """Ten single points of the candidates of one formula, weights loaded."""
    from builders.templates.energies import load_energy_model, single_points

    rows = []
    chosen = [prediction for prediction in found if len(prediction.candidates) == 10][:12]
    for name in ("7net-0", "7net-l3i5"):
        potential = load_energy_model(name, THREADS)
        single_points([chosen[0].candidates[0].crystal], potential)
        seconds = []
        for prediction in chosen:
            crystals = [each.crystal for each in prediction.candidates]
            wall, used = _timed(lambda cells=crystals, model=potential: single_points(cells, model))
            seconds.append((prediction.seconds + wall, prediction.seconds + used))
        atoms = [sum(c.crystal.n_sites for c in prediction.candidates) for prediction in chosen]
        rows.append((f"top-10 with ten single points ({name}), p50 / p95", _both(seconds), "p50 below 3 s"))
        values[f"single_points_{name}"] = seconds
        values["atoms_in_ten_cells"] = atoms
    values["memory_with_potential_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    rows.append(("atoms in the ten cells, median", f"{np.median(atoms):.0f}", ""))
    rows.append(("peak memory with a potential", f"{values['memory_with_potential_gb']:.2f} GB", "below 2 GB"))
    return rows


def _timed(work) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    """Wall and processor seconds: the second one says what the first would be on an idle machine."""
    started, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started, time.process_time() - used


def _both(seconds: list[tuple[float, float]]) -> str:
    walls, used = np.array(seconds or [(np.nan, np.nan)]).T
    return f"{_said(np.percentile(walls, 50))} / {_said(np.percentile(walls, 95))} (processor {_said(np.median(used))})"


def _said(seconds: float) -> str:
    return f"{1000 * seconds:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


if __name__ == "__main__":
    main()
