"""Time split: learn and look among what was known before August 2018, ask for what came after."""

from __future__ import annotations

from typing import Any

import numpy as np
from csp_common import (
    DEPTHS,
    MATCHER_LIKELY,
    Asked,
    Judge,
    Judged,
    crystal_of,
    nearest,
    published_distance,
    shares,
    voted,
)

from builders.templates.assignment import assign
from builders.templates.prototypes import sameness
from builders.templates.ranker import ALTERNATIVES, POOL
from builders.templates.train import train
from indexes.templates.library import TemplateLibrary
from indexes.templates.questions import proposals_of, questions, stable_formulas
from indexes.templates.retrieve import retrieve

DAY = 20180801
QUESTIONS = 6000
SIZES = ((1, 10), (11, 20), (21, 40), (41, 10**6))


def time_split(library: TemplateLibrary, judge: Judge, count: int, seed: int = 7) -> dict[str, Any]:
    """Hit rates on formulas that were unknown before the day, by size and by novelty of the arrangement."""
    created = np.asarray(library.arrays.created)
    before = library.subset((created > 0) & (created < DAY))
    known = {before.formula(k) for k in range(len(before))}
    new = [k for k in stable_formulas(library) if created[k] >= DAY and library.formula(k) not in known]
    rng = np.random.default_rng(seed)
    chosen = [new[k] for k in rng.permutation(len(new))[:count]]
    print(
        f"Time split at {DAY}: {len(before):,} templates before, {len(new):,} new stable formulas, {len(chosen)} asked"
    )
    ranker = _ranker(before, rng)
    orders = {
        "nearest elements (XenonPy features)": nearest,
        "vote of near templates": voted,
        "ours, without energies": lambda one: ranker.rank(one.proposals).proposal.tolist(),
    }
    found: dict[str, list[Judged]] = {name: [] for name in orders}
    ceiling, sizes = [], []
    for place in chosen:
        pool = retrieve(
            before, library.formula(place), top=POOL, alternatives=ALTERNATIVES, distance=published_distance()
        )
        one = Asked(library.formula(place), pool, proposals_of(before, pool))
        truth = library.crystal(place)
        ceiling.append(exists(before, library, place))
        sizes.append(library.n_sites(place))
        for name, order in orders.items():
            rows = order(one)[: DEPTHS[-1]]
            # Cells of another size never match; the matcher need not look at them.
            same = [row for row in rows if before.n_sites(int(pool.templates[row])) == library.n_sites(place)]
            outcome = judge.judge(one.formula, truth, [((row,), crystal_of(before, pool, row)) for row in same])
            found[name].append(_spread(outcome, rows, same))
    return _table(found, np.array(ceiling), np.array(sizes))


def _ranker(before: TemplateLibrary, rng: np.random.Generator) -> Any:
    """Train ours on the earlier library alone; its retrieval uses published element distances only."""
    places = stable_formulas(before)
    drawn = [places[k] for k in rng.permutation(len(places))[:QUESTIONS]]
    posed = list(questions(before, drawn, distance=published_distance()))
    return train(posed, progress=lambda text: print(f"  {text}", flush=True))


def _spread(outcome: Judged, rows: list[int], same: list[int]) -> Judged:
    """Ranks among all answers from ranks among those that were judged."""
    place = {k + 1: rows.index(row) + 1 for k, row in enumerate(same)}
    return Judged(
        place.get(outcome.structure, outcome.structure),
        place.get(outcome.group, outcome.group),
        place.get(outcome.both, outcome.both),
        outcome.matched,
    )


def exists(before: TemplateLibrary, library: TemplateLibrary, place: int) -> bool:
    """Whether any earlier template of the stoichiometry has the arrangement, under any mapping."""
    ratio = library.ratio(place)
    if ratio not in before.ratios():
        return False
    part = before.class_slice(ratio)
    same = np.flatnonzero(before.arrays.formula_units[part] == library.arrays.formula_units[place])
    rows = before.class_rows(ratio)[same]
    group = before.arrays.space_group[part][same] == library.arrays.space_group[place]
    truth = library.rows(place)
    # Every mapping counts: the assignment's cost is the largest difference of the rows it would pair.
    for template, equal in zip(rows, group.tolist(), strict=True):
        pairs = np.abs(truth[:, None, :] - template[None, :, :]).max(axis=2).astype(np.float32)
        k = len(ratio)
        best = assign(range(k), np.arange(k)[None, :], ratio, pairs**8, 1).mapping[0, 0]
        apart = pairs[np.arange(k), best].max()
        if float(sameness(np.array([apart]), np.array([equal]))[0]) > MATCHER_LIKELY:
            return True
    return False


def _table(found: dict[str, list[Judged]], ceiling: np.ndarray, sizes: np.ndarray) -> dict[str, Any]:
    groups: dict[str, np.ndarray] = {"all": np.ones(len(sizes), bool)}
    for low, high in SIZES:
        groups[f"{low} to {high} atoms" if high < 10**6 else f"more than {low - 1} atoms"] = (low <= sizes) & (
            sizes <= high
        )
    groups["arrangement known before"] = ceiling
    groups["arrangement new"] = ~ceiling
    values: dict[str, Any] = {}
    for group, member in groups.items():
        if not member.any():
            continue
        values[group] = {"queries": int(member.sum()), "ceiling": 100 * float(ceiling[member].mean())}
        print(f"  {group} ({member.sum()}): an arrangement of the kind exists for {100 * ceiling[member].mean():.1f} %")
        for name, outcomes in found.items():
            rates = shares([one.structure for one, inside in zip(outcomes, member, strict=True) if inside])
            values[group][name] = rates
            print(f"    {name:<40} SM within {DEPTHS}: " + " / ".join(f"{rate:.1f}" for rate in rates))
    return values
