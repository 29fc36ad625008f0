"""Crystal structure prediction from templates: match rates against rivals in the same run, calibration, time split.

    python benchmarks/csp.py [--library FOLDER] [--potential NAME] [--calibration N] [--time-split] [--sample N]

All templates are those of structures/mp.jsonl.gz, metastable ones included; of a query's formula none is left. One ground truth a
formula; pymatgen's StructureMatcher (0.2, 0.3, 5) and the space group at symprec 0.1 are both reported. The 90 formulas of
csp90.jsonl.gz took no part in any choice of a parameter, nor in training. Rows before "with the potential" know no energies
but the hull distances of the templates. A library once made is kept in FOLDER.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import data_folder, report
from csp_common import (
    DEPTHS,
    Asked,
    Judge,
    Judged,
    ask,
    crystal_of,
    held_out,
    nearest,
    network_templates,
    open_mp,
    random_templates,
    ranked,
    read_library,
    shares,
    voted,
)
from csp_energies import energies_of, predicted

from builders.templates.ranker import load_ranker
from indexes.templates.library import TemplateLibrary
from indexes.templates.questions import stable_formulas

BARS = {"ours, without energies": (52, 73, 77), "ours, with the potential": (63, 76, 79)}
PUBLISHED = {"CSPML's shipped answers (specs/csp.md 1.2)": "SM 55.6 / 67.8 / 71.1"}


def line(found: list[Judged]) -> dict[str, list[float]]:
    """Shares of queries answered within each depth, %."""
    return {
        "structure": shares([one.structure for one in found]),
        "group": shares([one.group for one in found]),
        "both": shares([one.both for one in found]),
    }


def written(values: list[float]) -> str:
    """Shares side by side."""
    return " / ".join(f"{value:4.1f}" for value in values)


def ninety(library: TemplateLibrary, data: Path, judge: Judge, potential: str | None) -> dict[str, Any]:
    """The rows on the 90."""
    truths = read_library(data / "csp" / "csp90.jsonl.gz", workers=1)
    known = {truths.formula(k): truths.crystal(k) for k in range(len(truths))}
    asked = [ask(library, formula) for formula in known]
    results: dict[str, Any] = {}

    def add(name: str, answers: Callable[[Asked], list[tuple[Any, Any]]]) -> None:
        started = time.perf_counter()
        results[name] = line([judge.judge(one.formula, known[one.formula], answers(one)) for one in asked])
        values = results[name]
        print(
            f"  {name:<44} SM {written(values['structure'])}   SG {written(values['group'])}   "
            f"both {written(values['both'])}   ({time.perf_counter() - started:.0f} s)",
            flush=True,
        )

    def proposals(order: Callable[[Asked], list[int]]) -> Callable[[Asked], list[tuple[Any, Any]]]:
        return lambda one: [
            (name_of(one, row), crystal_of(library, one.found, row)) for row in order(one)[: DEPTHS[-1]]
        ]

    draw = random_templates(library)
    print(f"csp90, {len(asked)} queries; within the first {', '.join(map(str, DEPTHS))} answers, %")
    add("random template of the stoichiometry", lambda one: [(object(), crystal) for crystal in draw(one.formula)])
    add("nearest elements (XenonPy features)", proposals(nearest))
    add("vote of near templates", proposals(voted))
    network = network_templates(library)
    if network is not None:
        add(
            "CSPML's network as published, retrained",
            lambda one: [(object(), crystal) for crystal in network(one.formula)],
        )
    add("ours, without energies", proposals(ranked(load_ranker())))
    add("ours, derived templates too", lambda one: predicted(library, one.formula, energies=None, derived=None))
    if potential is not None:
        energies = energies_of(potential)
        add("ours, with the potential", lambda one: predicted(library, one.formula, energies=energies, derived=False))
        add(
            "ours, with the potential, derived too",
            lambda one: predicted(library, one.formula, energies=energies, derived=None),
        )
    return results


def name_of(asked: Asked, row: int) -> tuple[int, tuple[int, ...]]:
    """What a proposal is, so that it is judged once."""
    return int(asked.found.templates[row]), tuple(asked.found.mapping[row].tolist())


def calibration(library: TemplateLibrary, judge: Judge, count: int, left_out: set[str]) -> dict[str, Any]:
    """Expected calibration error of the match probability on formulas that nothing was trained on."""
    places = [
        k for k in stable_formulas(library) if held_out(library.formula(k)) and library.formula(k) not in left_out
    ]
    rng = np.random.default_rng(20)
    chosen = [places[k] for k in rng.permutation(len(places))[:count]]
    ranker = load_ranker()
    guessed: list[list[float]] = []
    right: list[list[bool]] = []
    found = []
    for place in chosen:
        one = ask(library, library.formula(place))
        ranking = ranker.rank(one.proposals)
        answers = [(name_of(one, k), crystal_of(library, one.found, k)) for k in ranking.proposal[:10].tolist()]
        outcome = judge.judge(one.formula, library.crystal(place), answers)
        found.append(outcome)
        guessed.append(ranking.probability[: len(outcome.matched)].tolist())
        right.append(list(outcome.matched))
    first = reliability([g[0] for g in guessed if g], [r[0] for r in right if r])
    ten = reliability([p for g in guessed for p in g], [m for r in right for m in r])
    print(f"\nCalibration on {len(chosen)} stable formulas of mp that no model has seen (judged by StructureMatcher)")
    print(f"  match within {DEPTHS[:3]}: {written(line(found)['structure'][:3])} %")
    for name, table in (("first answer", first), ("first ten answers", ten)):
        print(f"  {name}: ECE {table['ece']:.3f} (bar 0.03), Brier {table['brier']:.3f}")
        for low, high, said, true, n in table["bins"]:
            print(f"    said {low:.1f} to {high:.1f}: {said:.3f}   true {true:.3f}   ({n})")
    return {"formulas": len(chosen), "match": line(found), "first": first, "ten": ten}


def reliability(probability: list[float], right: list[bool]) -> dict[str, Any]:
    """Ten bins of equal width: what was said, what was true; ECE is their mean difference, weighted by numbers."""
    said, true = np.array(probability), np.array(right, float)
    place = np.minimum((said * 10).astype(int), 9)
    bins, error = [], 0.0
    for k in range(10):
        inside = place == k
        if inside.any():
            bins.append(
                (k / 10, (k + 1) / 10, float(said[inside].mean()), float(true[inside].mean()), int(inside.sum()))
            )
            error += abs(float(said[inside].sum() - true[inside].sum()))
    return {"ece": error / max(len(said), 1), "brier": float(np.mean((said - true) ** 2)), "bins": bins}


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", type=Path, help="folder of a library made before, or where to keep it")
    parser.add_argument("--potential", help="name of a potential (7net-0, 7net-mf-0, 7net-l3i5) to rank again with")
    parser.add_argument("--calibration", type=int, default=600, help="held-out formulas for the reliability table")
    parser.add_argument(
        "--time-split", action="store_true", help="train on what was known before 2018-08, ask what came after"
    )
    parser.add_argument("--sample", type=int, default=1000, help="queries of the time split")
    options = parser.parse_args()
    data = data_folder()
    library = open_mp(options.library, data)
    judge = Judge()
    values: dict[str, Any] = {"templates": len(library), "published": PUBLISHED}
    if options.time_split:
        from csp_time import time_split

        values["time_split"] = time_split(library, judge, options.sample)
        ceiling = values["time_split"]["all"]["ceiling"]
        rows = [
            (name, written(rates) + " %", f"an arrangement of the kind exists for {ceiling:.1f} %")
            for name, rates in values["time_split"]["all"].items()
            if isinstance(rates, list)
        ]
        report("csp_time", rows, values)
        return
    values["csp90"] = ninety(library, data, judge, options.potential)
    truths = read_library(data / "csp" / "csp90.jsonl.gz", workers=1)
    left_out = {truths.formula(k) for k in range(len(truths))}
    values["calibration"] = calibration(library, judge, options.calibration, left_out)
    rows = [
        (name, written(values["csp90"][name]["structure"][:3]) + " %", f"bar {' / '.join(map(str, bar))} %")
        for name, bar in BARS.items()
        if name in values["csp90"]
    ]
    rows.append(("ECE, first answer", f"{values['calibration']['first']['ece']:.3f}", "bar 0.03"))
    rows.append(("ECE, first ten", f"{values['calibration']['ten']['ece']:.3f}", "bar 0.03"))
    report("csp", rows, values)


if __name__ == "__main__":
    main()
