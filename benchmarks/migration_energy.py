"""Migration energies of hops: what a constant, the study's models and ours know about hops they have not seen.

    python benchmarks/migration_energy.py [--repeats 5] [--study-repeats 1]

Data: the DFT-NEB barriers of ``ionic/barriers.jsonl.gz`` (Devi et al. 2025), rows flagged ``host_sites_overlap`` dropped.
Folds: five, at random, frameworks whole, crystal classes whole; drawn anew for each repeat; all models see the same ones.
Scores are means over the repeats; the 95 % intervals are bootstraps that draw whole frameworks, on the first repeat. The study's
SVR and ordinal regression take long to tune and are run on the first ``--study-repeats`` draws only.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy: folds run side by side

import argparse
import gzip
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from common import data_folder, report
from joblib import Parallel, delayed

from builders.barriers.describe import NAMES, STUDY, describe
from builders.barriers.environment import of_record
from builders.learning.boosting import MonotoneBoosting
from builders.learning.ordinal import OrdinalSVC
from builders.learning.scores import bootstrap, scores
from builders.learning.splits import Fold, group_folds, random_folds
from builders.learning.svr import PolynomialSVR
from builders.migration.card import THRESHOLD, scores_of
from builders.migration.train import TrainingRows, fit, used
from builders.models.card import mean_scores
from builders.models.training import Unseen
from store.ingest.readers import read_hop

FOLDS = 5
MERGED = {"SPINELS": "SPINEL", "TAVORITE-type": "TAVORITE"}
"""Labels of the data that name one class twice."""
BARS = {("grouped", "mae"): 0.32, ("grouped", "r2"): 0.47, ("class out", "mae"): 0.41}


def load() -> TrainingRows:
    """Describe the hops of the data set."""
    features, barrier, ions, groups, classes, ids = [], [], [], [], [], []
    with gzip.open(data_folder() / "ionic" / "barriers.jsonl.gz") as lines:
        for line in lines:
            hop = read_hop("hop-json", line.strip())
            if "host_sites_overlap" in hop.flags:
                continue
            features.append(hop)
            barrier.append(hop.barrier)
            ions.append(hop.working_ion)
            groups.append(hop.framework_formula)
            classes.append(MERGED.get(str(hop.crystal_class), str(hop.crystal_class)))
            ids.append(hop.id)
    described = Parallel(2)(delayed(_describe)(hop) for hop in features)
    return TrainingRows(np.array(described), np.array(barrier), ions, groups, classes, ids)


def _describe(hop: Any) -> Any:
    return describe(of_record(hop))


# ---------------------------------------------------------------------------------------------------------- the models


def constant(rows: TrainingRows, fold: Fold) -> Any:
    return np.full(len(fold.test), np.median(rows.barrier[fold.train]))


def _six(rows: TrainingRows) -> Any:
    return rows.features[:, [NAMES.index(name) for name in STUDY]]


def svr(rows: TrainingRows, fold: Fold) -> Any:
    model = PolynomialSVR().fit(_six(rows)[fold.train], rows.barrier[fold.train])
    return model.predict(_six(rows)[fold.test])


def ordinal(rows: TrainingRows, fold: Fold) -> Any:
    from builders.learning.ordinal import PUBLISHED_BOUNDARIES

    model = OrdinalSVC(boundaries=PUBLISHED_BOUNDARIES).fit(_six(rows)[fold.train], rows.barrier[fold.train])
    return model.predict(_six(rows)[fold.test])


def boosted_six(rows: TrainingRows, fold: Fold) -> Any:
    model = MonotoneBoosting(n_estimators=150, num_leaves=15, colsample_bytree=0.8)
    return model.fit(_six(rows)[fold.train], rows.barrier[fold.train]).predict(_six(rows)[fold.test])


def boosted(rows: TrainingRows, fold: Fold) -> Any:
    x = used(rows.features)
    return MonotoneBoosting().fit(x[fold.train], rows.barrier[fold.train]).predict(x[fold.test])


MODELS: dict[str, Callable[[TrainingRows, Fold], Any]] = {
    "constant (median)": constant,
    "SVR, the study's six": svr,
    "ordinal SVC, the study's six": ordinal,
    "LightGBM, the study's six": boosted_six,
    "LightGBM, all descriptors": boosted,
}
STUDIED = ("SVR, the study's six", "ordinal SVC, the study's six")
OURS = "ours"


def predict(model: Callable[[TrainingRows, Fold], Any], rows: TrainingRows, folds: Sequence[Fold]) -> Any:
    """Predictions of one model for every hop, each by a fit without its fold."""
    found = np.zeros(len(rows))
    for fold, part in zip(folds, Parallel(2)(delayed(model)(rows, fold) for fold in folds), strict=True):
        found[fold.test] = part
    return found


def ours(rows: TrainingRows, folds: Sequence[Fold]) -> Unseen:
    """Predictions of the model that ships, with what its intervals and domain are made from."""
    n = len(rows)
    parts = [np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n, dtype=np.int64)]
    for number, (fold, found) in enumerate(
        zip(folds, Parallel(2)(delayed(_ours)(rows, fold) for fold in folds), strict=True)
    ):
        for part, values in zip(parts, (*found, np.full(len(fold.test), number)), strict=True):
            part[fold.test] = values
    return Unseen(*parts)


def _ours(rows: TrainingRows, fold: Fold) -> tuple[Any, Any, Any]:
    fitted = fit(rows.subset(fold.train), 0)
    x = used(rows.features[fold.test])
    return (
        fitted.predict(rows.features[fold.test]),
        fitted.domain.distance(fitted.scaler.transform(x)),
        fitted.domain.excess(x).max(axis=1),
    )


# ------------------------------------------------------------------------------------------------------------- the run


def draw(scheme: str, rows: TrainingRows, seed: int) -> list[Fold]:
    """Folds of one scheme."""
    if scheme == "random":
        return random_folds(len(rows), FOLDS, seed)
    return group_folds(rows.groups if scheme == "grouped" else rows.classes, FOLDS, seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--study-repeats", type=int, default=1, choices=range(1, 21), metavar="N")
    options = parser.parse_args()
    started = time.perf_counter()
    rows = load()
    print(f"{len(rows)} hops in {len(set(rows.groups))} frameworks and {len(set(rows.classes))} classes described")
    values: dict[str, Any] = {"hops": len(rows), "repeats": options.repeats, "study_repeats": options.study_repeats}
    table: list[tuple[str, str, str]] = []
    for scheme in ("random", "grouped", "class out"):
        draws = [draw(scheme, rows, seed) for seed in range(options.repeats)]
        values[scheme] = {}
        for name, model in MODELS.items():
            used_draws = draws[: options.study_repeats] if name in STUDIED else draws
            predictions = [predict(model, rows, folds) for folds in used_draws]
            values[scheme][name] = judged(rows, predictions)
            table.append(line(scheme, name, values[scheme][name]))
            print(*table[-1], sep="  ", flush=True)
        unseen = [ours(rows, folds) for folds in draws]
        found = judged(rows, [each.value for each in unseen])
        found |= {"details": mean_scores([scores_of(rows, each) for each in unseen])}
        values[scheme][OURS] = found
        table.append(line(scheme, OURS, found))
        print(*table[-1], sep="  ", flush=True)
        table += details(scheme, found["details"])
    table.append(("seconds", f"{time.perf_counter() - started:.0f}", ""))
    report("migration_energy", table, values)


def judged(rows: TrainingRows, predictions: Sequence[Any]) -> dict[str, Any]:
    """Mean scores over the repeats, the scores of each, and the bootstrap intervals of the first."""
    each = [scores(rows.barrier, values, THRESHOLD)._asdict() for values in predictions]
    low, high = bootstrap(rows.barrier, predictions[0], n=2000, groups=rows.groups, seed=0)
    return {
        **{name: float(np.mean([one[name] for one in each])) for name in each[0]},
        "repeats": each,
        "interval": {name: [getattr(low, name), getattr(high, name)] for name in each[0]},
    }


def line(scheme: str, name: str, found: dict[str, Any]) -> tuple[str, str, str]:
    interval = found["interval"]
    parts = [
        f"{label} {found[key]:.3f} [{interval[key][0]:.3f}, {interval[key][1]:.3f}]"
        for key, label in (("mae", "MAE"), ("rmse", "RMSE"), ("r2", "R2"), ("accuracy", f"below {THRESHOLD}"))
    ]
    bars = [f"{label} {bar}" for (of, label), bar in BARS.items() if of == scheme and name == OURS]
    return f"{scheme}: {name}", "  ".join(parts), f"bar: {', '.join(bars)}" if bars else ""


def details(scheme: str, found: dict[str, Any]) -> list[tuple[str, str, str]]:
    by_ion = ", ".join(f"{ion} {100 * share:.1f} ({n})" for ion, (share, n) in found["coverage_by_ion"].items())
    outside, inside = found["mae_out_of_domain"], found["mae_in_domain"]
    bar = scheme == "grouped"
    return [
        (
            f"{scheme}: 90 % intervals cover",
            f"{100 * found['coverage']:.1f} %; {by_ion}; median width {found['interval_width_median']:.2f} eV",
            "bar: 87 to 93, also for ions with at least 50 rows" if bar else "",
        ),
        (
            f"{scheme}: error outside / inside the domain",
            f"{outside:.3f} / {inside:.3f} = {outside / inside:.2f}; {100 * found['in_domain_share']:.0f} % inside",
            "bar: 1.5" if bar else "",
        ),
    ]


if __name__ == "__main__":
    main()
