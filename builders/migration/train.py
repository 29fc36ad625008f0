"""Training: the model on all hops, its intervals and domain from hops whose whole framework was left out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from builders.barriers.features import NAMES
from builders.learning.domain import Domain
from builders.migration.members import USED, make_stack, to_portable
from builders.migration.model import MigrationModel, interval
from builders.models.scale import to_log
from builders.models.training import (
    FEWEST,
    FOLDS,
    SLACK,
    Judged,
    Limits,
    OfFold,
    Rows,
    Steps,
    Unseen,
    judged_by,
    limits_of,
    unseen_by,
)
from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from builders.learning.scaling import BoundedScaler
    from builders.learning.splits import Fold
    from builders.learning.stacked import StackedRegressor

MODEL: Final = "migration-energy-1"
REPEATS: Final = 3
"""Times that the folds are drawn anew for intervals and domain."""


@dataclass(frozen=True, eq=False)
class TrainingRows(Rows):
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


class Fitted(NamedTuple):
    """A model without intervals and without a limit of its domain."""

    scaler: BoundedScaler
    stack: StackedRegressor
    domain: Domain

    def predict(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Barriers, eV, shape=(n,)."""
        found: NDArray[np.float64] = np.maximum(self.stack.predict(self.scaler.transform(used(features))), 0.0)
        return found


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

    def without(fold: Fold) -> OfFold:
        fitted, test = fit(rows.subset(fold.train), seed), fold.test
        features = used(rows.features[test])
        distance = fitted.domain.distance(fitted.scaler.transform(features))
        return OfFold(test, fitted.predict(rows.features[test]), distance, fitted.domain.excess(features))

    return unseen_by(len(rows), folds, without, progress)


def learn_limits(rows: TrainingRows, unseen: Unseen, repeats: int = 1) -> Limits:
    """Calibrate domain and intervals on predictions for hops of unseen frameworks; errors are compared as logarithms.

    Parameters
    ----------
    rows : TrainingRows
    unseen : Unseen
    repeats : int
        How often each hop is among the rows.
    """
    return limits_of(unseen, to_log(rows.barrier) - to_log(unseen.value), np.asarray(rows.ions), repeats)


def judge(rows: TrainingRows, unseen: Unseen) -> Judged:
    """Give each fold's hops intervals and domain flags from the residuals of the other folds only."""
    return judged_by(rows, unseen, np.asarray(rows.ions), learn_limits, interval)


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
    step = Steps(FOLDS * (REPEATS + 2) + 1, progress)
    grouped = [predict_unseen(rows, group_folds(rows.groups, FOLDS, seed + k), seed, step) for k in range(REPEATS)]
    schemes = {
        "grouped by framework": grouped,
        "random": [predict_unseen(rows, random_folds(len(rows), FOLDS, seed), seed, step)],
    }
    if len(set(rows.classes)) >= FOLDS:
        schemes["crystal class left out"] = [predict_unseen(rows, group_folds(rows.classes, FOLDS, seed), seed, step)]
    together = _repeated(rows, REPEATS)
    limits = learn_limits(together, Unseen.joined(grouped), REPEATS)
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
