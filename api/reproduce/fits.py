"""The study's two models, fitted again and again: the published split beside one that keeps frameworks apart.

Published: the hops are put into six subsets by k-means, and in each of them four fifths are learnt from. Hops of one compound,
often equal by all but noise, so stand on both sides. By framework: a fifth of the frameworks is kept out with all its hops.
Both times the models tune themselves on the training part alone, as published (SVR: ten folds; the ordinal regression's
classifiers: five folds each, by accuracy).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from api.reproduce.hops import Hops, Progress

PUBLISHED: Final = "published"
FRAMEWORK: Final = "framework"
SPLITS: Final = (PUBLISHED, FRAMEWORK)
MODELS: Final = ("svr", "ordinal", "constant")
METRICS: Final = ("mae", "rmse", "r2")
SUBSETS: Final = 6
TEST: Final = 0.2
FEWEST_FRAMEWORKS: Final = 5
"""Frameworks below which a fifth of them cannot be kept out."""


@dataclass(frozen=True, eq=False)
class Fit:
    """Both models and the constant, fitted to one split.

    Attributes
    ----------
    split : str
        ``published`` or ``framework``.
    seed : int
    train, test : numpy.ndarray
        Numbers of the hops on both sides.
    svr, ordinal : estimators
        ``builders.learning.svr.PolynomialSVR`` and ``builders.learning.ordinal.OrdinalSVC``.
    predicted : dict
        ``{model: (train, test)}``, eV; as the models say, negative values too.
    scores : dict
        ``{model: {metric: (train, test)}}``; MAE and RMSE in eV.
    seen : float
        Share of the test hops whose framework has hops in the training part.
    """

    split: str
    seed: int
    train: NDArray[np.int64]
    test: NDArray[np.int64]
    svr: Any
    ordinal: Any
    predicted: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
    scores: dict[str, dict[str, tuple[float, float]]]
    seen: float


class Score(NamedTuple):
    """A score over several seeds: mean and standard deviation."""

    mean: float
    spread: float


def fit_all(hops: Hops, seeds: range, progress: Progress | None = None) -> dict[str, list[Fit]]:
    """Fit the models to both kinds of split, once a seed.

    Parameters
    ----------
    hops : Hops
    seeds : range
    progress : callable, optional

    Returns
    -------
    dict
        ``{split: fits}``, a fit a seed; no fits by framework where there are too few frameworks.

    Examples
    --------
    >>> fits = fit_all(hops, range(10))                                         # doctest: +SKIP
    >>> summary(fits["published"])["svr"]["mae"][1]                             # doctest: +SKIP
    Score(mean=0.19, spread=0.02)
    """
    splits = SPLITS if len(np.unique(hops.groups)) >= FEWEST_FRAMEWORKS else (PUBLISHED,)
    fits: dict[str, list[Fit]] = {split: [] for split in SPLITS}
    total, done = len(splits) * len(seeds), 0
    for seed in seeds:
        for split in splits:
            if progress is not None:
                progress("models fitted", done, total)
            fits[split].append(fit(hops, split, seed))
            done += 1
    if progress is not None:
        progress("models fitted", total, total)
    return fits


def fit(hops: Hops, split: str, seed: int) -> Fit:
    """Fit the models to one split of the hops."""
    from builders.learning.ordinal import OrdinalSVC
    from builders.learning.svr import PolynomialSVR

    train, test = _split(hops, split, seed)
    x, y = hops.descriptors, hops.barrier
    svr = PolynomialSVR(random_state=seed).fit(x[train], y[train])
    ordinal = OrdinalSVC(random_state=seed).fit(x[train], y[train])
    constant = float(np.median(y[train]))
    predicted = {
        "svr": (_flat(svr.predict(x[train])), _flat(svr.predict(x[test]))),
        "ordinal": (_flat(ordinal.predict(x[train])), _flat(ordinal.predict(x[test]))),
        "constant": (np.full(len(train), constant), np.full(len(test), constant)),
    }
    scores = {
        model: {
            metric: (on_train[metric], on_test[metric])
            for metric in METRICS
            for on_train, on_test in ((_scores(y[train], predicted[model][0]), _scores(y[test], predicted[model][1])),)
        }
        for model in MODELS
    }
    seen = float(np.isin(hops.groups[test], hops.groups[train]).mean())
    return Fit(split, seed, train, test, svr, ordinal, predicted, scores, seen)


def summary(fits: list[Fit]) -> dict[str, dict[str, tuple[Score, Score]]]:
    """Mean and standard deviation of the scores over the seeds: ``{model: {metric: (train, test)}}``."""
    return {
        model: {
            metric: (
                _over([each.scores[model][metric][0] for each in fits]),
                _over([each.scores[model][metric][1] for each in fits]),
            )
            for metric in METRICS
        }
        for model in MODELS
    }


def _split(hops: Hops, split: str, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if split == PUBLISHED:
        from builders.learning.subsets import published_split

        train, test = published_split(hops.descriptors, n_subsets=SUBSETS, test=TEST, random_state=seed)
    else:
        from builders.learning.splits import group_folds

        # The largest frameworks fill the first folds: another fold each time, so that every place is kept out in turn.
        folds = group_folds(hops.groups, round(1 / TEST), seed)
        train, test = folds[seed % len(folds)]
    return np.asarray(train, dtype=np.int64), np.asarray(test, dtype=np.int64)


def _scores(y: NDArray[np.float64], p: NDArray[np.float64]) -> dict[str, float]:
    from builders.learning.scores import scores

    found = scores(y, p)
    return {metric: float(getattr(found, metric)) for metric in METRICS}


def _flat(values: Any) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64).ravel()


def _over(values: list[float]) -> Score:
    return Score(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0)
