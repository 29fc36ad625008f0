"""Derived templates: how often the right arrangement appears only by ordering or merging templates of another stoichiometry.

::

    python benchmarks/csp_derived.py LIBRARY [--queries 400] [--csp90 LIBRARY90]

LIBRARY is a folder written by ``TemplateLibrary.save``. Asked are formulas that no shipped model has seen (sha256 below 26), stable, of at
most 40 atoms; templates of the formula itself are left out everywhere. Success: StructureMatcher (0.2, 0.3, 5) on primitive cells against
the most stable structure, at its volume.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
from common import report
from pymatgen.analysis.structure_matcher import StructureMatcher

from builders.templates.query import Query
from indexes.templates.derived import derive
from indexes.templates.fit import for_testing, formulas
from indexes.templates.library import TemplateLibrary
from indexes.templates.retrieve import retrieve
from store.crystal import Crystal

MATCHER = StructureMatcher(0.2, 0.3, 5, primitive_cell=False)
LARGEST = 40
WORTH = 0.5  # neighbour distances that differ by more are never one arrangement


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("library", type=Path)
    parser.add_argument("--queries", type=int, default=400)
    parser.add_argument("--seed", type=int, default=21)
    parser.add_argument("--csp90", type=Path)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    library = TemplateLibrary.load(given.library)
    by_formula = formulas(library)
    if given.csp90:
        truths = TemplateLibrary.load(given.csp90)
        asked = [(truths.query(place), truths, place) for place in range(len(truths))]
    else:
        asked = [(query, library, place) for query, place in _held_out(library, by_formula, given.queries, given.seed)]
    known, ranks, seconds = 0, [], []
    for query, holder, place in asked:
        if _known(library, query, holder, place):
            known += 1
            continue
        allowed = np.ones(len(library), bool)
        allowed[by_formula.get(query, [])] = False
        started = time.perf_counter()
        found = derive(library, query, allowed=allowed, top=60)
        seconds.append(time.perf_counter() - started)
        ranks.append(_rank([each.entry for each in found], holder, place))
    hits = {top: sum(rank < top for rank in ranks) for top in (1, 5, 10, 20, 60)}
    rows = [
        ("formulas", str(len(asked)), ""),
        ("right arrangement in their own class", f"{known} ({100 * known / len(asked):.1f} %)", ""),
        ("without", str(len(ranks)), ""),
        *[(f"  right among the first {top} derived", str(count), "") for top, count in hits.items()],
        ("in the class or derived", f"{100 * (known + hits[60]) / len(asked):.1f} %", ""),
        ("seconds a query (median)", f"{np.median(seconds or [0]):.2f}", ""),
    ]
    name = "csp_derived_90" if given.csp90 else "csp_derived"
    report(name, rows, {"asked": len(asked), "known": known, "without": len(ranks), "hits": hits, "seconds": seconds})


def _held_out(
    library: TemplateLibrary, by_formula: dict[Query, list[int]], count: int, seed: int
) -> list[tuple[Query, int]]:
    hull = library.arrays.energy_above_hull
    names = sorted(by_formula, key=lambda query: (query.amounts, query.elements))
    found = []
    for number in np.random.default_rng(seed).permutation(len(names)).tolist():
        query = names[number]
        places = by_formula[query]
        place = places[int(np.nanargmin(np.where(np.isnan(hull[places]), np.inf, hull[places])))]
        if len(query.elements) < 2 or not hull[place] <= 0.01 or library.n_sites(place) > LARGEST:
            continue
        if for_testing(query):
            found.append((query, place))
        if len(found) == count:
            break
    return found


def _known(library: TemplateLibrary, query: Query, holder: TemplateLibrary, place: int) -> bool:
    """Whether some template of the query's own class has its arrangement."""
    found = retrieve(library, query, exclude_own=True, top=10**6, alternatives=2)
    if not len(found):
        return False
    near = np.abs(found.rows(library) - holder.rows(place)).max(axis=(1, 2))
    same = near < 0.1
    same &= library.arrays.formula_units[found.templates] == holder.arrays.formula_units[place]
    same &= library.arrays.space_group[found.templates] == holder.space_group(place)
    return bool(same.any())


def _rank(entries: list, holder: TemplateLibrary, place: int) -> int:
    true = holder.crystal(place).to_pymatgen()
    for rank, entry in enumerate(entries):
        if len(entry.species) != holder.n_sites(place):
            continue
        if np.abs(np.asarray(entry.rows) - holder.rows(place)).max() > WORTH:
            continue
        symbols = tuple(entry.elements[k] for k in entry.species)
        made = Crystal(np.asarray(entry.lattice), np.asarray(entry.frac_coords), symbols).to_pymatgen()
        made.scale_lattice(true.volume)
        if MATCHER.fit(made, true):
            return rank
    return 10**6


if __name__ == "__main__":
    main()
