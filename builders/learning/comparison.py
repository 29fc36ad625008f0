"""Models compared fairly: nested cross-validation that never divides a group, settings found by successive halving.

Outside, whole groups are kept out (:func:`builders.learning.splits.group_folds`); every row is predicted once by a model that
saw no row of its group. Inside, a search that sees the rows learnt from and nothing else draws settings at random, scores them
on folds that keep groups whole too, first on a part of the rows, and carries the better third on to three times as many
(successive halving: Jamieson and Talwalkar, AISTATS 2016). Scores of the outer folds are therefore not flattered by the search.

The same rows, seed and versions give the same table: settings are drawn from lists, nothing runs in threads, and no decision
depends on how long something took.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from builders.learning.scores import bootstrap, scores
from builders.learning.splits import GroupFolds, group_folds
from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from builders.learning.contenders import Contender
    from builders.learning.splits import Fold

FACTOR: Final = 3
FEWEST: Final = 60
"""Rows that the first round of a search has at least."""
_ROUNDS: Final = 3


@dataclass(frozen=True, eq=False)
class Task:
    """What models are compared on.

    Attributes
    ----------
    features : numpy.ndarray
        shape=(n, n_features); nan where unknown.
    target : numpy.ndarray
        shape=(n,).
    groups : numpy.ndarray
        shape=(n,), int; rows of one group stay together.
    """

    features: NDArray[np.float64]
    target: NDArray[np.float64]
    groups: NDArray[np.int64]

    @classmethod
    def of(cls, features: ArrayLike, target: ArrayLike, groups: ArrayLike) -> Task:
        """Check and put together.

        Raises
        ------
        UsageError
            Lengths differ, a target is not finite, no column says anything, or there are fewer than 4 groups.
        """
        x = np.asarray(features, dtype=np.float64)
        y = np.asarray(target, dtype=np.float64)
        number = np.unique(np.asarray(groups), return_inverse=True)[1].ravel().astype(np.int64)
        if x.ndim != 2 or y.ndim != 1 or not len(x) == len(y) == len(number):
            raise UsageError(f"Rows do not fit: features {x.shape}, target {y.shape}, groups ({len(number)},).")
        if not np.isfinite(y).all():
            raise UsageError(f"{int((~np.isfinite(y)).sum())} rows have no finite target.", mend="leave them out")
        if len(np.unique(number)) < 4:
            raise UsageError(
                f"At least 4 groups are needed to keep some out twice; there are {len(np.unique(number))}."
            )
        x = np.where(np.isfinite(x), x, np.nan)
        with np.errstate(invalid="ignore"):
            known = np.isfinite(x)
            low, high = np.where(known, x, np.inf).min(axis=0), np.where(known, x, -np.inf).max(axis=0)
            telling = (high > low) | (known.any(axis=0) & ~known.all(axis=0))
        if not telling.any():
            raise UsageError("No feature differs between the rows.", mend="choose other features")
        return cls(x[:, telling], y, number)

    def __len__(self) -> int:
        return len(self.target)


@dataclass(frozen=True)
class Effort:
    """How hard a comparison tries.

    Attributes
    ----------
    folds, inner_folds : int
        Outside, and inside for the search.
    candidates : int
        Settings that a search draws.
    """

    folds: int = 5
    inner_folds: int = 3
    candidates: int = 18


QUICK: Final = Effort(folds=3, inner_folds=2, candidates=6)
FULL: Final = Effort()


class Trial(NamedTuple):
    """One model on one outer fold.

    Attributes
    ----------
    test : numpy.ndarray
        Rows kept out.
    predicted : numpy.ndarray
        shape=(len(test),).
    chosen : dict
        Settings that the search found.
    seconds : float
        Search, training and prediction, processor time of this process.
    """

    test: NDArray[np.intp]
    predicted: NDArray[np.float64]
    chosen: dict[str, Any]
    seconds: float


@dataclass(frozen=True)
class Line:
    """A row of the table.

    Attributes
    ----------
    name : str
    scores : dict
        ``mae``, ``r2``, ``spearman`` over all rows, each predicted while its group was kept out.
    spread : dict
        Their standard deviations over the folds.
    intervals : dict
        95 % bootstrap intervals over groups.
    seconds : float
        All folds, processor time.
    memory : float or None
        MB; by how much the process grew, where it was measured.
    chosen : list of dict
        Settings found, one a fold.
    error : str or None
        Why there are no scores.
    """

    name: str
    scores: dict[str, float | None] = field(default_factory=dict)
    spread: dict[str, float | None] = field(default_factory=dict)
    intervals: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)
    seconds: float = 0.0
    memory: float | None = None
    chosen: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None


SCORES: Final = ("mae", "r2", "spearman")


def try_model(model: Contender, task: Task, effort: Effort = FULL, seed: int = 0) -> Iterator[Trial]:
    """Search, train and predict on each outer fold.

    Parameters
    ----------
    model : Contender
    task : Task
    effort : Effort
    seed : int

    Yields
    ------
    Trial

    Examples
    --------
    >>> from builders.learning.contenders import contender
    >>> x = np.linspace(0, 1, 90)[:, None]
    >>> task = Task.of(x, 3 * x[:, 0], np.arange(90) // 2)
    >>> line = summarise("ridge", task, list(try_model(contender("ridge"), task, QUICK)))
    >>> line.scores["mae"] < 0.1, line.chosen[0]
    (True, {'model__alpha': 0.1})
    """
    for number, fold in enumerate(group_folds(task.groups, effort.folds, seed)):
        began = time.process_time()
        with _one_thread():
            fitted, chosen = _fit(model, task, fold, effort, seed + 1000 * number)
            predicted = np.asarray(fitted.predict(task.features[fold.test]), dtype=np.float64)
        yield Trial(fold.test, predicted, chosen, time.process_time() - began)


def _fit(model: Contender, task: Task, fold: Fold, effort: Effort, seed: int) -> tuple[Any, dict[str, Any]]:
    """Fit on the rows learnt from; what is kept out is not even handed over."""
    x, y, groups = task.features[fold.train], task.target[fold.train], task.groups[fold.train]
    estimator = model.make(seed)
    if model.grouped:
        estimator.fit(x, y, groups=groups)
        return estimator, {name: _plain(value) for name, value in getattr(estimator, "chosen_", {}).items()}
    if not model.space:
        return estimator.fit(x, y), {}
    search = halving_search(estimator, model.space, len(y), effort, seed)
    search.fit(x, y, groups=groups)
    return search.best_estimator_, {name: _plain(value) for name, value in search.best_params_.items()}


def halving_search(
    estimator: Any, space: Mapping[str, Sequence[Any]], n_rows: int, effort: Effort = FULL, seed: int = 0
) -> Any:
    """Make a search by successive halving that ends on all rows.

    Returns
    -------
    sklearn.model_selection.HalvingRandomSearchCV
        To be fitted with ``groups``.
    """
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import HalvingRandomSearchCV

    possible = int(np.prod([len(values) for values in space.values()]))
    candidates = min(effort.candidates, possible)
    rounds = 1
    while rounds < _ROUNDS and n_rows // FACTOR**rounds >= FEWEST and candidates >= FACTOR**rounds:
        rounds += 1
    return HalvingRandomSearchCV(
        estimator,
        {name: list(values) for name, values in space.items()},
        n_candidates=candidates,
        factor=FACTOR,
        min_resources=n_rows // FACTOR ** (rounds - 1),
        cv=GroupFolds(effort.inner_folds, seed),
        scoring="neg_mean_absolute_error",
        random_state=seed,
        n_jobs=1,
        error_score="raise",
    )


def summarise(
    name: str, task: Task, trials: Sequence[Trial], memory: float | None = None, resamples: int = 1000
) -> Line:
    """Score a model over all its folds.

    Parameters
    ----------
    name : str
    task : Task
    trials : sequence of Trial
        All outer folds.
    memory : float, optional
        MB.
    resamples : int
        Of the bootstrap over groups.
    """
    predicted = np.full(len(task), np.nan)
    for trial in trials:
        predicted[trial.test] = trial.predicted
    if not np.isfinite(predicted).all():
        return Line(name, error="it predicted no finite value for some rows")
    whole = scores(task.target, predicted)
    each = [scores(task.target[trial.test], trial.predicted) for trial in trials]
    low, high = bootstrap(task.target, predicted, resamples, task.groups)
    # Ranks between constants of different folds mean nothing.
    flat = all(not np.isfinite(one.spearman) for one in each)
    return Line(
        name,
        scores={key: None if flat and key == "spearman" else _number(getattr(whole, key)) for key in SCORES},
        spread={key: _number(np.std([getattr(one, key) for one in each])) for key in SCORES},
        intervals={
            key: (None, None)
            if flat and key == "spearman"
            else (_number(getattr(low, key)), _number(getattr(high, key)))
            for key in SCORES
        },
        seconds=sum(trial.seconds for trial in trials),
        memory=memory,
        chosen=[trial.chosen for trial in trials],
    )


def compare(
    models: Sequence[Contender],
    task: Task,
    effort: Effort = FULL,
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Line]:
    """Compare models in this process (memory is not measured; :mod:`api.compare` does so in processes of their own).

    Returns
    -------
    list of Line
        Best MAE first, those that failed last.
    """
    lines = []
    for model in models:
        trials = []
        for trial in try_model(model, task, effort, seed):
            trials.append(trial)
            if progress is not None:
                progress(model.name, len(trials), effort.folds)
        lines.append(summarise(model.name, task, trials))
    return ranked(lines)


def ranked(lines: Sequence[Line]) -> list[Line]:
    """Order by MAE; equal ones by name, failures last.

    Examples
    --------
    >>> [line.name for line in ranked([Line("b", error="no"), Line("c", {"mae": 1.0}), Line("a", {"mae": 2.0})])]
    ['c', 'a', 'b']
    """
    return sorted(lines, key=lambda line: (line.error is not None, line.scores.get("mae") or 0.0, line.name))


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Keep BLAS and OpenMP to one thread: sums then have one order, and a table is the same on every machine."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield
