"""Conductivity of lithium compounds: what a constant, the composition forest, shape alone and our model know of what they have not seen.

    python benchmarks/conductivity.py [--repeats 2]

Data: ``ionic/conductivity.jsonl.gz``. Learned from are all rows at room temperature (OBELiX and Liverpool; rows that Liverpool has
from OBELiX left out), judged are those of OBELiX. Five folds that keep whole compositions out, or whole publications; drawn anew
for each repeat; all models see the same ones. What is tuned is tuned inside the training folds.

Two rules for the 29 conductivities of which only an upper bound is known:
``bound``: a prediction below the bound is right, one above is off by its distance to it. To learn from, forests take the bound as a
value, ours the expected value below it. ``benchmark``: OBELiX's rule, 1e-15 S/cm stands for every bound, in training and judging.

Scores are means over the repeats; differences to the forest come with 95 % bootstrap intervals over the groups left out, first repeat.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy

import argparse
import gzip
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from common import data_folder, report

from builders.conductivity.card import spread_of_repeats
from builders.conductivity.features import FEATURES, NAMES
from builders.conductivity.members import SITES_SHARE, blend, make_trees
from builders.conductivity.model import bounded, single
from builders.conductivity.rows import TrainingRows, gather
from builders.conductivity.train import as_less_known, fit, judge, predict_unseen
from builders.learning.censored import bounded_scores, errors
from builders.learning.scaling import BoundedScaler
from builders.learning.splits import Fold, group_folds
from store.conductivities import ConductivityRecord

FOLDS = 5
OURS = "ours: composition, cell, sites and channels"
FOREST = "composition forest"
GROUPS = {
    name: [k for k, each in enumerate(FEATURES) if each.group == name] for name in ("composition", "lattice", "sites")
}
SHARES = [k for k, name in enumerate(NAMES) if name.startswith("share_")]
CELL = [NAMES.index(name) for name in ("space_group", "axis_short", "axis_middle", "axis_long", "cell_volume")]


@dataclass(frozen=True)
class Task:
    """Rows to learn from, which of them are judged, and what only this benchmark knows of them."""

    rows: TrainingRows
    judged: np.ndarray
    topology: np.ndarray


def load() -> Task:
    from store.ingest.readers import read_conductivity

    with gzip.open(data_folder() / "ionic" / "conductivity.jsonl.gz") as lines:
        records = [read_conductivity("conductivity-json", line.strip()) for line in lines]
    found = gather(records)
    crystals = {str(record.id): record for record in records}
    rows = found.rows
    shapes = [shape(crystals[id_]) for id_ in rows.ids]
    width = max(len(each) for each in shapes if each is not None)
    topology = np.array([np.full(width, np.nan) if each is None else each for each in shapes])
    return Task(rows, np.array([source.startswith("OBELiX") for source in rows.sources]), topology)


def shape(record: ConductivityRecord) -> Any:
    """Statistics and Betti curves of the five groups of atoms; None without a structure that can be analysed."""
    from builders.structures.validation import validate
    from builders.topology.analysis import analyse
    from builders.topology.vectors import vectorise
    from store.errors import IonatlasError

    if record.crystal is None:
        return None
    try:
        diagrams = analyse(validate(record.crystal).crystal)
    except IonatlasError:
        return None
    return np.concatenate([vectorise(diagrams, kind)[1] for kind in ("stats", "curves")])


# ---------------------------------------------------------------------------------------------------------- the models

Model = Callable[[Task, Fold], Any]


def constant(task: Task, fold: Fold) -> Any:
    return np.full(len(fold.test), np.median(task.rows.value[fold.train]))


def forest(columns: list[int], judged_only: bool = False) -> Model:
    """Scikit-learn's forest with its own settings, on some descriptors."""

    def predict(task: Task, fold: Fold) -> Any:
        from sklearn.ensemble import RandomForestRegressor

        train = fold.train[task.judged[fold.train]] if judged_only else fold.train
        x = np.nan_to_num(task.rows.features[:, columns], nan=-1.0)
        made = RandomForestRegressor(200, random_state=0, n_jobs=1).fit(x[train], task.rows.value[train])
        return made.predict(x[fold.test])

    return predict


def trees(make: Callable[[Task], Any], structures_only: bool = False) -> Model:
    """The randomised trees of our model on some descriptors; without structure the median where only structures are learned from."""

    def predict(task: Task, fold: Fold) -> Any:
        x, known = make(task), task.rows.has_structure
        train = fold.train[known[fold.train]] if structures_only else fold.train
        scaler = BoundedScaler().fit(x[train])
        made = make_trees(0).fit(scaler.transform(x[train]), task.rows.value[train])
        found = made.predict(scaler.transform(x[fold.test]))
        return np.where(known[fold.test], found, np.median(task.rows.value[fold.train])) if structures_only else found

    return predict


def ours(structure: bool = True, topology: bool = False) -> Model:
    """The model that ships; without its member for structures, or with diagrams added to what that member learns from."""

    def predict(task: Task, fold: Fold) -> Any:
        rows = task.rows.subset(fold.train)
        made = fit(rows)
        features, known = task.rows.features[fold.test], task.rows.has_structure[fold.test]
        if not topology:
            return made.predict(features, known & structure)
        shapes = BoundedScaler().fit(task.topology[fold.train])
        with_shapes = [
            np.hstack([single(made.scaler.transform(x)), shapes.transform(task.topology[places])])
            for x, places in ((rows.features, fold.train), (features, fold.test))
        ]
        mine = rows.has_structure
        third = make_trees(0).fit(with_shapes[0][mine], rows.value[mine]).predict(with_shapes[1])
        members = made.members(features)
        return bounded(blend(members["trees"], members["process"], third, known))

    return predict


MODELS: dict[str, Model] = {
    "constant (median)": constant,
    f"{FOREST}, OBELiX rows alone": forest(SHARES, judged_only=True),
    FOREST: forest(SHARES),
    "composition forest with space group and axes": forest(SHARES + CELL),
    "topology alone (rows with a structure)": trees(lambda task: task.topology, structures_only=True),
    "channels and sites alone (rows with a structure)": trees(
        lambda task: task.rows.features[:, GROUPS["sites"]], structures_only=True
    ),
    "composition, trees": trees(lambda task: task.rows.features[:, GROUPS["composition"]]),
    "composition, sites and channels, trees": trees(
        lambda task: task.rows.features[:, GROUPS["composition"] + GROUPS["sites"]]
    ),
    "composition and topology, trees": trees(
        lambda task: np.hstack([task.rows.features[:, GROUPS["composition"]], task.topology])
    ),
    "ours without structures: composition and cell": ours(structure=False),
    OURS: ours(),
    "ours and topology": ours(topology=True),
}


# ------------------------------------------------------------------------------------------------------------- the run


def folds_of(task: Task, groups: Any, seed: int) -> list[Fold]:
    """Folds of the judged rows; nothing of a group that is judged is learned from."""
    judged = np.flatnonzero(task.judged)
    others = np.flatnonzero(~task.judged)
    made = []
    for fold in group_folds(groups[judged], FOLDS, seed):
        test = judged[fold.test]
        free = others[~np.isin(groups[others], groups[test])]
        made.append(Fold(np.concatenate([judged[fold.train], free]), test))
    return made


def predict(model: Model, task: Task, folds: list[Fold]) -> Any:
    found = np.full(len(task.rows), np.nan)
    for fold in folds:
        found[fold.test] = model(task, fold)
    return found[task.judged]


def difference(task: Task, one: Any, other: Any, groups: Any, draws: int = 2000) -> dict[str, list[float]]:
    """MAE and R2 of one prediction less those of another, with the bootstrap's 2.5 and 97.5 % quantiles."""
    rows = task.rows.subset(task.judged)
    _, number = np.unique(groups[task.judged], return_inverse=True)
    apart = [errors(rows.value, each, rows.kind) for each in (one, other)]
    centred = (rows.value - rows.value.mean()) ** 2
    sums = np.array([np.bincount(number, each) for each in (np.abs(apart[0]) - np.abs(apart[1]), np.ones(len(rows)))])
    squares = np.array([np.bincount(number, each) for each in (apart[1] ** 2 - apart[0] ** 2, centred)])
    weights = np.random.default_rng(0).multinomial(
        number.max() + 1, np.full(number.max() + 1, 1 / (number.max() + 1)), draws
    )
    mae, r2 = ((weights @ each[0]) / (weights @ each[1]) for each in (sums, squares))
    return {
        "mae": [float(sums[0].sum() / sums[1].sum()), *np.quantile(mae, (0.025, 0.975)).tolist()],
        "r2": [float(squares[0].sum() / squares[1].sum()), *np.quantile(r2, (0.025, 0.975)).tolist()],
    }


def score(task: Task, predictions: list[Any]) -> dict[str, Any]:
    rows = task.rows.subset(task.judged)
    known = rows.has_structure
    parts = {"all": np.ones(len(rows), bool), "with structure": known, "without": ~known}
    return {
        name: {
            key: float(
                np.mean([getattr(bounded_scores(rows.value[mask], p[mask], rows.kind[mask]), key) for p in predictions])
            )
            for key in ("mae", "r2", "spearman")
        }
        for name, mask in parts.items()
    }


def intervals(task: Task, groups: Any) -> dict[str, Any]:
    """Coverage of the 90 % intervals, each made from the other folds, over all rows that are learned from."""
    from builders.conductivity.card import scores_of

    rows, asked = task.rows, as_less_known(task.rows)
    unseen = predict_unseen(rows, group_folds(groups, FOLDS, 0), 0, None, asked)
    found = scores_of(rows, asked, unseen)
    bounds = rows.kind != 0
    lower = judge(asked, unseen).lower[: len(rows)]
    found["bounds_met"] = float((lower <= rows.value)[bounds].mean())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    started = time.perf_counter()
    whole = load()
    judged = whole.rows.subset(whole.judged)
    noise = spread_of_repeats(judged)
    print(
        f"{len(whole.rows)} rows described, {len(judged)} judged, {int(judged.has_structure.sum())} of these with a structure"
    )
    values: dict[str, Any] = {
        "rows": len(whole.rows),
        "judged": len(judged),
        "repeats": options.repeats,
        "sites_share": SITES_SHARE,
        "label_noise": noise,
    }
    table = [
        (
            "label noise: spread of repeats",
            f"median {noise['median']:.2f}, mean {noise['mean']:.2f}",
            "known: 0.27, 0.44",
        )
    ]
    for rule, task in (("bound", whole), ("benchmark", replace(whole, rows=whole.rows.benchmark()))):
        for scheme, groups in (("composition", task.rows.formulas), ("publication", task.rows.papers)):
            draws = [folds_of(task, groups, seed) for seed in range(options.repeats)]
            found: dict[str, Any] = {}
            first: dict[str, Any] = {}
            for name, model in MODELS.items():
                predictions = [predict(model, task, folds) for folds in draws]
                first[name], found[name] = predictions[0], score(task, predictions)
                table.append(line(rule, scheme, name, found[name]))
                print(*table[-1], sep="  ", flush=True)
            for name, other in ((OURS, FOREST), (OURS, f"{FOREST}, OBELiX rows alone"), ("ours and topology", OURS)):
                apart = difference(task, first[name], first[other], groups)
                found[f"{name} - {other}"] = apart
                text = "  ".join(f"{key} {v[0]:+.3f} [{v[1]:+.3f}, {v[2]:+.3f}]" for key, v in apart.items())
                bar = "bar: below 0, interval too" if other.startswith(FOREST) else ""
                table.append((f"{rule}, {scheme}: {name.split(':')[0]} less {other.split(':')[0]}", text, bar))
                print(*table[-1], sep="  ", flush=True)
            values[f"{rule}, {scheme}"] = found
    for scheme, groups in (
        ("composition", whole.rows.formulas),
        ("publication", whole.rows.papers),
        ("family", whole.rows.families),
    ):
        found = intervals(whole, groups)
        values[f"intervals, {scheme}"] = found
        table += [
            (
                f"{scheme} left out: 90 % intervals hold",
                ", ".join(
                    f"{name} {100 * each['coverage']:.0f} % (width {each['interval_width_median']:.1f})"
                    for name, each in {"all": found, **found["known"]}.items()
                )
                + f"; bounds {100 * found['bounds_met']:.0f} %",
                "",
            ),
            (
                f"{scheme} left out: were less known, widths",
                ", ".join(f"{name} {each['interval_width_median']:.1f}" for name, each in found["if_only"].items()),
                "",
            ),
            (
                f"{scheme} left out: MAE inside, outside the domain; of the constant",
                f"{found['mae_in_domain']:.2f}, {found['mae_out_of_domain']:.2f}; {found['constant']['mae']:.2f}",
                "",
            ),
        ]
    table.append(("seconds", f"{time.perf_counter() - started:.0f}", ""))
    report("conductivity", table, values)


def line(rule: str, scheme: str, name: str, found: dict[str, Any]) -> tuple[str, str, str]:
    whole, known = found["all"], found["with structure"]
    text = f"MAE {whole['mae']:.3f}  R2 {whole['r2']:+.3f}  Spearman {whole['spearman']:+.3f}"
    return f"{rule}, {scheme}: {name}", text, f"with a structure: MAE {known['mae']:.3f}  R2 {known['r2']:+.3f}"


if __name__ == "__main__":
    main()
