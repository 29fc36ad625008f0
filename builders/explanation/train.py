"""Training of the model that is explained, and the ranking of its curves on compounds that it has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from builders.explanation.features import COMPOSITION, columns
from builders.explanation.model import ExplainedModel
from builders.learning.attribution import grouped, ranking, tree_contributions
from builders.learning.boosting import MonotoneBoosting
from builders.learning.scores import bootstrap, scores
from builders.learning.splits import group_folds
from builders.models.card import packages
from builders.models.training import FEWEST, FOLDS, Rows, Steps
from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

MODEL: Final = "conductivity-explained-1"
REPEATS: Final = 3
SETTINGS: Final[dict[str, Any]] = {
    "n_estimators": 250,
    "learning_rate": 0.04,
    "num_leaves": 10,
    "min_child_samples": 6,
    "colsample_bytree": 0.3,
    "objective": "l2",
}


@dataclass(frozen=True, eq=False)
class Measured(Rows):
    """Compounds with a structure and a conductivity.

    Attributes
    ----------
    features : numpy.ndarray
        shape=(n, n_columns), of :func:`builders.explanation.features.describe`.
    target : numpy.ndarray
        shape=(n,), log10 S/cm; a bound stands for a value below it.
    groups : sequence of str
        shape=(n,); the composition.
    """

    features: NDArray[np.float64]
    target: NDArray[np.float64]
    groups: Sequence[str]


@dataclass(frozen=True, eq=False)
class Unseen:
    """Predictions and contributions of compounds whose composition was kept out, means over draws of folds.

    Attributes
    ----------
    value : numpy.ndarray
        shape=(n,).
    sums : numpy.ndarray
        shape=(n, n_labels); summed contributions.
    names : list of str
        The labels.
    """

    value: NDArray[np.float64]
    sums: NDArray[np.float64]
    names: list[str]


def fit(features: NDArray[np.float64], target: NDArray[np.float64], seed: int = 0) -> Any:
    """Fit the trees; returns a ``lightgbm.Booster``."""
    return MonotoneBoosting(**SETTINGS, random_state=seed).fit(features, target).booster_


def unseen(
    rows: Measured,
    chosen: Sequence[str] | None = None,
    seed: int = 0,
    repeats: int = REPEATS,
    step: Callable[[], None] | None = None,
) -> Unseen:
    """Predict and explain every compound by models that were fitted without its composition.

    Parameters
    ----------
    rows : Measured
    chosen : sequence of str, optional
        Labels of the columns to use (:func:`builders.explanation.features.columns`); by default all.
    seed, repeats : int
    step : callable, optional
        Called after each fold.
    """
    labels = np.array(columns()[1])
    used = np.ones(len(labels), dtype=bool) if chosen is None else np.isin(labels, list(chosen))
    features, kept = rows.features[:, used], labels[used].tolist()
    value, names = np.zeros(len(rows)), list(dict.fromkeys(kept))
    sums = np.zeros((len(rows), len(names)))
    for repeat in range(repeats):
        for train, test in group_folds(rows.groups, FOLDS, seed + repeat):
            booster = fit(features[train], rows.target[train], seed + repeat)
            contributions = tree_contributions(booster, features[test])
            sums[test] += grouped(contributions.values, kept)[1] / repeats
            value[test] += (contributions.expected + contributions.values.sum(axis=1)) / repeats
            if step is not None:
                step()
    return Unseen(value, sums, names)


def amounts(rows: Measured, names: Sequence[str]) -> NDArray[np.float64]:
    """How many holes a compound has, per label: the mean of its curve over the radii; shape=(n, n_labels), nan for others."""
    labels = np.array(columns()[1])
    found = np.full((len(rows), len(names)), np.nan)
    for place, name in enumerate(names):
        if name != COMPOSITION:
            found[:, place] = rows.features[:, labels == name].mean(axis=1)
    return found


def rank(rows: Measured, seen: Unseen, seed: int = 0) -> list[dict[str, Any]]:
    """Rank the curves over all compounds, with intervals by composition and the direction in which more holes lead."""
    from scipy.stats import spearmanr

    holes = amounts(rows, seen.names)
    found = []
    for each in ranking(seen.names, seen.sums, np.asarray(rows.groups), seed=seed):
        place = seen.names.index(each.name)
        x, y = holes[:, place], seen.sums[:, place]
        known = np.isfinite(x)
        direction = None
        if known.sum() > 3 and np.ptp(x[known]) > 0 and np.ptp(y[known]) > 0:
            direction = round(float(spearmanr(x[known], y[known]).statistic), 3)
        found.append(
            {**{k: v if isinstance(v, str) else round(v, 4) for k, v in each._asdict().items()}, "direction": direction}
        )
    return found


def train(
    rows: Measured,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    about: dict[str, Any] | None = None,
) -> ExplainedModel:
    """Train the model, judge it on compositions that were kept out, and rank its curves there.

    Parameters
    ----------
    rows : Measured
    seed : int
    progress : callable, optional
        Called with steps done and steps in all.
    about : dict, optional
        What the card says of the data.

    Raises
    ------
    UsageError
        Too few compounds.
    """
    if len(rows) < FEWEST or len(set(rows.groups)) < 2 * FOLDS:
        raise UsageError(
            f"An explanation needs at least {FEWEST} conductivities with structures to learn from; there are {len(rows)}.",
            mend="name a file with structures, or ingest more",
        )
    labels = list(dict.fromkeys(columns()[1]))
    shapes = [name for name in labels if name != COMPOSITION]
    step = Steps(3 * FOLDS * REPEATS + 1, progress)
    whole = unseen(rows, None, seed, step=step)
    alone = {
        "curves alone": unseen(rows, shapes, seed, step=step),
        "composition alone": unseen(rows, [COMPOSITION], seed, step=step),
    }
    booster = fit(rows.features, rows.target, seed)
    step()
    card = {
        "id": MODEL,
        "what": "log10 of the ionic conductivity of Li at room temperature, S/cm, from Betti curves and composition; made to be "
        "taken apart, not to predict best",
        "data": {
            **(about or {}),
            "compounds": len(rows),
            "compositions": len(set(rows.groups)),
            "range": [float(rows.target.min()), float(rows.target.max())],
        },
        "protocol": f"{FOLDS} folds that keep a composition whole, means of {REPEATS} draws",
        "seed": seed,
        "settings": SETTINGS,
        "scores": {
            "constant": _scores(rows, _constant(rows, seed)),
            "curves and composition": _scores(rows, whole.value),
            **{name: _scores(rows, each.value) for name, each in alone.items()},
        },
        "ranking": rank(rows, whole, seed),
        "ranking_of_curves_alone": rank(rows, alone["curves alone"], seed),
        "packages": packages(("numpy", "scipy", "lightgbm")),
    }
    with np.errstate(all="ignore"):
        usual = np.nan_to_num(np.nanmedian(rows.features, axis=0))
    return ExplainedModel(booster, usual, card)


def _constant(rows: Measured, seed: int) -> NDArray[np.float64]:
    found = np.zeros(len(rows))
    for train_, test in group_folds(rows.groups, FOLDS, seed):
        found[test] = np.median(rows.target[train_])
    return found


def _scores(rows: Measured, value: NDArray[np.float64]) -> dict[str, Any]:
    found = scores(rows.target, value)
    low, high = bootstrap(rows.target, value, 1000, np.asarray(rows.groups))
    return {
        "mae": round(found.mae, 4),
        "mae_interval": [round(low.mae, 4), round(high.mae, 4)],
        "r2": round(found.r2, 4),
        "spearman": round(found.spearman, 4),
    }
