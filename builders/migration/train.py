"""Training: the model on all hops, its intervals and domain from hops whose whole framework was left out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from builders.barriers.features import NAMES
from builders.learning.conformal import Calibration, calibrate, raised_level
from builders.learning.domain import Domain
from builders.migration.members import USED, make_stack, to_portable
from builders.migration.model import MigrationModel, interval
from builders.migration.scale import to_log
from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from builders.learning.scaling import BoundedScaler
    from builders.learning.splits import Fold
    from builders.learning.stacked import StackedRegressor

MODEL: Final = "migration-energy-1"
LEVEL: Final = 0.9
"""Coverage that the intervals are made for."""
INSIDE: Final = 0.85
"""Share of hops of unseen frameworks that count as inside the domain."""
SLACK: Final = 0.25
"""By this share of its range in training a descriptor may leave it."""
FEWEST: Final = 60
"""Hops, and a tenth of it frameworks, that training needs."""
REPEATS: Final = 3
"""Times that the folds are drawn anew for intervals and domain."""
FEWEST_OF_AN_ION: Final = 50
"""Hops from which an ion has intervals of its own."""
_FOLDS: Final = 5

Progress = "Callable[[int, int], None]"


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """Hops to learn from, or to be judged by.

    Attributes
    ----------
    features : numpy.ndarray
        shape=(n, len(NAMES)).
    barrier : numpy.ndarray
        shape=(n,), eV.
    ions, groups, classes, ids : sequence of str
        shape=(n,) each: the working ion; the framework formula, which stays in one fold; the crystal class; the hop's id.
    """

    features: NDArray[np.float64]
    barrier: NDArray[np.float64]
    ions: Sequence[str]
    groups: Sequence[str]
    classes: Sequence[str]
    ids: Sequence[str]

    def __len__(self) -> int:
        return len(self.barrier)

    def subset(self, rows: NDArray[Any]) -> TrainingRows:
        """Some of the rows."""
        chosen = np.arange(len(self))[rows]
        texts = {name: [getattr(self, name)[k] for k in chosen] for name in ("ions", "groups", "classes", "ids")}
        return TrainingRows(self.features[chosen], self.barrier[chosen], **texts)


class Fitted(NamedTuple):
    """A model without intervals and without a limit of its domain."""

    scaler: BoundedScaler
    stack: StackedRegressor
    domain: Domain

    def predict(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Barriers, eV, shape=(n,)."""
        found: NDArray[np.float64] = np.maximum(self.stack.predict(self.scaler.transform(used(features))), 0.0)
        return found


class Unseen(NamedTuple):
    """Predictions of hops whose fold was left out, shape=(n,) each.

    Attributes
    ----------
    value : numpy.ndarray
        eV.
    distance : numpy.ndarray
        To the rows that were learned from.
    excess : numpy.ndarray
        Largest share of its range by which a descriptor left it.
    fold : numpy.ndarray
        int.
    """

    value: NDArray[np.float64]
    distance: NDArray[np.float64]
    excess: NDArray[np.float64]
    fold: NDArray[np.int64]


def used(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """The columns that the model uses, shape=(n, len(USED))."""
    return features[:, [NAMES.index(name) for name in USED]]


def fit(rows: TrainingRows, seed: int = 0) -> Fitted:
    """Fit scaler, members and their weights, and remember the rows for the domain."""
    from builders.learning.scaling import BoundedScaler

    features = used(rows.features)
    scaler = BoundedScaler().fit(features)
    scores = scaler.transform(features)
    stack = make_stack(USED, seed).fit(scores, rows.barrier, np.asarray(rows.groups))
    importance = stack.members_[0].feature_importances_
    return Fitted(scaler, stack, Domain.of(features, scores, importance))


def predict_unseen(
    rows: TrainingRows, folds: Sequence[Fold], seed: int = 0, progress: Callable[[], None] | None = None
) -> Unseen:
    """Predict every hop by a model that was fitted without its fold."""
    n = len(rows)
    value, distance, excess, number = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n, dtype=np.int64)
    for k, (train, test) in enumerate(folds):
        fitted = fit(rows.subset(train), seed)
        features = used(rows.features[test])
        value[test] = fitted.predict(rows.features[test])
        distance[test] = fitted.domain.distance(fitted.scaler.transform(features))
        excess[test] = fitted.domain.excess(features).max(axis=1)
        number[test] = k
        if progress is not None:
            progress()
    return Unseen(value, distance, excess, number)


class Limits(NamedTuple):
    """What predictions for unseen hops teach: the domain's limit, the floor of difficulty, and the intervals."""

    limit: float
    floor: float
    calibration: Calibration


def learn_limits(rows: TrainingRows, unseen: Unseen, repeats: int = 1) -> Limits:
    """Calibrate domain and intervals on predictions for hops of unseen frameworks.

    The level is raised until hops of each fold are covered as promised by quantiles of the other folds
    (:func:`builders.learning.conformal.raised_level`).

    Parameters
    ----------
    rows : TrainingRows
    unseen : Unseen
    repeats : int
        How often each hop is among the rows.
    """
    floor = max(float(np.median(unseen.distance)), 1e-6)
    residuals, difficulty = to_log(rows.barrier) - to_log(unseen.value), unseen.distance + floor
    ions, least = np.asarray(rows.ions), FEWEST_OF_AN_ION * repeats
    level = raised_level(residuals, difficulty, ions, unseen.fold, level=LEVEL, least=least)
    made = calibrate(residuals, difficulty, ions.tolist(), level=level, least=least)
    calibration = replace(made, level=LEVEL)
    return Limits(float(np.quantile(unseen.distance, INSIDE)), floor, calibration)


class Judged(NamedTuple):
    """Intervals and domain of unseen hops, from limits that were learned on the other folds."""

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    in_domain: NDArray[np.bool_]


def judge(rows: TrainingRows, unseen: Unseen) -> Judged:
    """Give each fold's hops intervals and domain flags from the residuals of the other folds only."""
    n = len(rows)
    lower, upper, inside = np.zeros(n), np.zeros(n), np.zeros(n, dtype=bool)
    for k in np.unique(unseen.fold):
        mine, others = unseen.fold == k, unseen.fold != k
        limits = learn_limits(rows.subset(others), Unseen(*(each[others] for each in unseen)))
        ions = [rows.ions[index] for index in np.flatnonzero(mine).tolist()]
        lower[mine], upper[mine] = interval(
            unseen.value[mine], unseen.distance[mine] + limits.floor, limits.calibration, ions
        )
        inside[mine] = (unseen.distance[mine] <= limits.limit) & (unseen.excess[mine] <= SLACK)
    return Judged(lower, upper, inside)


def train(
    rows: TrainingRows,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    about: dict[str, Any] | None = None,
) -> MigrationModel:
    """Train the model.

    Parameters
    ----------
    rows : TrainingRows
    seed : int
    progress : callable, optional
        Called with steps done and steps in all.
    about : dict, optional
        What the card says of the data (name, licence, references).

    Returns
    -------
    MigrationModel
        With its card: scores on unseen frameworks, at random, and on unseen crystal classes, each beside a constant.

    Raises
    ------
    UsageError
        There are too few hops or frameworks.
    """
    from builders.learning.splits import group_folds, random_folds
    from builders.migration.card import make_card

    if len(rows) < FEWEST or len(set(rows.groups)) < FEWEST // 10:
        raise UsageError(
            f"Training needs at least {FEWEST} hops with barriers in {FEWEST // 10} frameworks; "
            f"there are {len(rows)} in {len(set(rows.groups))}.",
            mend="ionatlas ingest HOPS.jsonl, then ionatlas build barriers",
        )
    total, done = _FOLDS * (REPEATS + 2) + 1, 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    grouped = [predict_unseen(rows, group_folds(rows.groups, _FOLDS, seed + k), seed, step) for k in range(REPEATS)]
    schemes = {
        "grouped by framework": grouped,
        "random": [predict_unseen(rows, random_folds(len(rows), _FOLDS, seed), seed, step)],
    }
    if len(set(rows.classes)) >= _FOLDS:
        schemes["crystal class left out"] = [predict_unseen(rows, group_folds(rows.classes, _FOLDS, seed), seed, step)]
    together = _repeated(rows, REPEATS)
    joined = Unseen(*(np.concatenate(each) for each in zip(*grouped, strict=True)))
    limits = learn_limits(together, joined, REPEATS)
    fitted = fit(rows, seed)
    step()
    return MigrationModel(
        id=MODEL,
        names=USED,
        median=fitted.scaler.median_,
        mean=fitted.scaler.mean_,
        scale=fitted.scaler.scale_,
        bound=fitted.scaler.bound,
        members=to_portable(fitted.stack),
        weights=np.asarray(fitted.stack.weights_),
        domain=replace(fitted.domain, limit=limits.limit, slack=SLACK),
        calibration=limits.calibration,
        floor=limits.floor,
        ions=tuple(sorted(set(rows.ions))),
        card=make_card(rows, schemes, seed, about or {}),
    )


def _repeated(rows: TrainingRows, times: int) -> TrainingRows:
    return rows.subset(np.tile(np.arange(len(rows)), times))
