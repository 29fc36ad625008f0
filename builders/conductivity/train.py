"""Training: the model on all rows, its intervals and domain from rows whose whole publication was left out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from builders.conductivity.members import (
    ALL,
    BASE,
    COMPOSITION,
    MEMBERS,
    SETTINGS,
    blend,
    columns,
    make_process,
    make_trees,
    portable_process,
    portable_trees,
)
from builders.conductivity.model import LARGEST, SMALLEST, ConductivityModel, bounded, interval, single
from builders.conductivity.rows import STRATA
from builders.learning.censored import errors, imputed
from builders.learning.domain import Domain
from builders.learning.splits import group_folds
from builders.models.training import (
    FEWEST,
    FOLDS,
    SLACK,
    Judged,
    Limits,
    OfFold,
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

    from builders.conductivity.rows import TrainingRows
    from builders.learning.scaling import BoundedScaler
    from builders.learning.splits import Fold

MODEL: Final = "conductivity-1"
FEWEST_STRUCTURES: Final = 40
"""Rows with a structure from which structures have a member of their own."""
REPEATS: Final = 2
"""Times that the folds are drawn anew for intervals and domain."""
_INNER: Final = 3


class Fitted(NamedTuple):
    """A model without intervals and without a limit of its domain.

    Attributes
    ----------
    scaler : BoundedScaler
    trees, process, sites : estimators
        ``sites`` is None where there were too few structures.
    domain : Domain
    setting : (float, float)
        Length and noise of the process.
    """

    scaler: BoundedScaler
    trees: Any
    process: Any
    sites: Any
    domain: Domain
    setting: tuple[float, float]

    def members(self, features: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Predictions of each member, log10 S/cm, shape=(n,)."""
        scores = single(self.scaler.transform(features))
        base = scores[:, columns(BASE)]
        found = {"trees": self.trees.predict(base), "process": self.process.predict(base)}
        found["sites"] = self.sites.predict(scores) if self.sites is not None else np.mean(list(found.values()), axis=0)
        return found

    def predict(self, features: NDArray[np.float64], structure: NDArray[np.bool_]) -> NDArray[np.float64]:
        """log10 S/cm, shape=(n,)."""
        if not len(features):
            return np.zeros(0)
        return bounded(blend(**self.members(features), structure=structure))


def fit(rows: TrainingRows, seed: int = 0, setting: tuple[float, float] | None = None) -> Fitted:
    """Fit scaler and members, and remember the rows for the domain.

    Bounds are replaced by expected values (:func:`builders.learning.censored.imputed`).

    Parameters
    ----------
    rows : TrainingRows
    seed : int
    setting : (float, float), optional
        Length and noise of the process; by default chosen by :func:`choose` on these rows.
    """
    from builders.learning.scaling import BoundedScaler

    scaler = BoundedScaler().fit(rows.features)
    scores = single(scaler.transform(rows.features))
    base = scores[:, columns(BASE)]
    target = imputed(base, rows.value, rows.kind, make_process, (SMALLEST, LARGEST))
    chosen = setting or choose(base, target, rows, seed)
    trees = make_trees(seed).fit(base, target)
    structure = rows.has_structure
    sites = None
    if structure.sum() >= FEWEST_STRUCTURES:
        sites = make_trees(seed).fit(scores[structure], target[structure])
    # The distance is that of compositions, so that it is the same whatever else is known of a compound.
    importance = np.where(np.isin(BASE, COMPOSITION), trees.feature_importances_, 0.0)
    domain = _domain(rows.features[:, columns(BASE)], base, importance)
    return Fitted(scaler, trees, make_process(*chosen).fit(base, target), sites, domain, chosen)


def _domain(features: NDArray[np.float64], scores: NDArray[np.float64], importance: NDArray[np.float64]) -> Domain:
    """The domain; a descriptor that no row has (cells, where all that is known is formulas) has no range to leave."""
    unknown = ~np.isfinite(features).any(axis=0)
    found = Domain.of(np.where(unknown, 0.0, features), scores, importance)
    return replace(found, low=np.where(unknown, -np.inf, found.low), high=np.where(unknown, np.inf, found.high))


def choose(
    base: NDArray[np.float64], target: NDArray[np.float64], rows: TrainingRows, seed: int = 0
) -> tuple[float, float]:
    """Choose length and noise of the process by cross-validation that keeps publications whole.

    Parameters
    ----------
    base : numpy.ndarray
        shape=(n, len(BASE)), scores.
    target : numpy.ndarray
        shape=(n,).
    rows : TrainingRows
        For bounds and groups.
    seed : int
    """
    if len(set(rows.papers.tolist())) < 2:
        return SETTINGS[1]
    folds = group_folds(rows.papers, _INNER, seed)
    worst = [
        sum(
            float(np.abs(errors(rows.value[test], found, rows.kind[test])).sum())
            for train, test in folds
            for found in (make_process(*setting).fit(base[train], target[train]).predict(base[test]),)
        )
        for setting in SETTINGS
    ]
    return SETTINGS[int(np.argmin(worst))]


def predict_unseen(
    rows: TrainingRows,
    folds: Sequence[Fold],
    seed: int = 0,
    progress: Callable[[], None] | None = None,
    asked: TrainingRows | None = None,
) -> Unseen:
    """Predict every row by a model that was fitted, and whose setting was chosen, without its fold.

    Parameters
    ----------
    rows : TrainingRows
        To learn from.
    folds : sequence of Fold
        Of these rows.
    seed : int
    progress : callable, optional
        Called after each fold.
    asked : TrainingRows, optional
        What is asked instead of the rows themselves: whole copies of them, one behind the other (:func:`as_less_known`).
    """
    asked = rows if asked is None else asked
    n, structure, places = len(asked), asked.has_structure, columns(BASE)

    def without(fold: Fold) -> OfFold:
        fitted = fit(rows.subset(fold.train), seed)
        mine = np.concatenate([fold.test + copy for copy in range(0, n, len(rows))])
        features = asked.features[mine]
        distance = fitted.domain.distance(single(fitted.scaler.transform(features))[:, places])
        excess = fitted.domain.excess(features[:, places])
        return OfFold(mine, fitted.predict(features, structure[mine]), distance, excess)

    return unseen_by(n, folds, without, progress)


def as_less_known(rows: TrainingRows) -> TrainingRows:
    """The rows, behind them the same without structures, and behind these without cells: three copies.

    What is known differs between data sets that differ in more than that. Intervals for compounds of which less is known are
    learned from the same compounds.
    """
    without_sites, without_cell = (np.isin(ALL, names) for names in (BASE, COMPOSITION))
    copies = [rows.features] + [np.where(kept, rows.features, np.nan) for kept in (without_sites, without_cell)]
    return replace(rows.subset(np.tile(np.arange(len(rows)), len(copies))), features=np.concatenate(copies))


def learn_limits(rows: TrainingRows, unseen: Unseen, repeats: int = 1) -> Limits:
    """Calibrate domain and intervals on predictions for rows of unseen publications.

    A bound that a prediction keeps to has the residual zero, one that it does not keep to the distance to the bound. Where
    less is known of a compound its interval is never the narrower one.

    Parameters
    ----------
    rows : TrainingRows
    unseen : Unseen
    repeats : int
        How often each row is among them.
    """
    limits = limits_of(unseen, errors(rows.value, unseen.value, rows.kind), np.asarray(rows.strata), repeats)
    quantiles, low, high = dict(limits.calibration.quantiles), 0.0, 0.0
    for name in STRATA:
        if name in quantiles:
            low, high = min(low, quantiles[name][0]), max(high, quantiles[name][1])
            quantiles[name] = (low, high)
    return limits._replace(calibration=replace(limits.calibration, quantiles=quantiles))


def judge(rows: TrainingRows, unseen: Unseen) -> Judged:
    """Give each fold's rows intervals and domain flags from the residuals of the other folds only."""
    return judged_by(rows, unseen, np.asarray(rows.strata), learn_limits, interval)


def train(
    rows: TrainingRows,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    about: dict[str, Any] | None = None,
) -> ConductivityModel:
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
    ConductivityModel
        With its card: scores on unseen publications, compositions and families, each beside a constant.

    Raises
    ------
    UsageError
        There are too few rows or publications.
    """
    from builders.conductivity.card import make_card

    papers = len(set(rows.papers.tolist()))
    if len(rows) < FEWEST or papers < FEWEST // 10:
        raise UsageError(
            f"Training needs at least {FEWEST} conductivities of Li compounds at room temperature from {FEWEST // 10} "
            f"publications; there are {len(rows)} from {papers}.",
            mend="ionatlas train conductivity CONDUCTIVITIES.jsonl.gz",
        )
    step = Steps(FOLDS * (REPEATS + 2) + 1, progress)
    asked = as_less_known(rows)
    by_paper = [
        predict_unseen(rows, group_folds(rows.papers, FOLDS, seed + k), seed, step, asked) for k in range(REPEATS)
    ]
    schemes = {"publication left out": by_paper}
    for name, groups in (("composition left out", rows.formulas), ("family left out", rows.families)):
        if len(set(groups.tolist())) >= FOLDS:
            schemes[name] = [predict_unseen(rows, group_folds(groups, FOLDS, seed), seed, step, asked)]
    together = asked.subset(np.tile(np.arange(len(asked)), REPEATS))
    limits = learn_limits(together, Unseen.joined(by_paper), REPEATS)
    fitted = fit(rows, seed)
    step()
    members: dict[str, Any] = {"trees": portable_trees(fitted.trees), "process": portable_process(fitted.process)}
    if fitted.sites is not None:
        members["sites"] = portable_trees(fitted.sites)
    return ConductivityModel(
        id=MODEL,
        names=ALL,
        median=fitted.scaler.median_,
        mean=fitted.scaler.mean_,
        scale=fitted.scaler.scale_,
        bound=fitted.scaler.bound,
        members=members,
        descriptors={name: MEMBERS[name] for name in members},
        domain=replace(fitted.domain, limit=limits.limit, slack=SLACK),
        calibration=limits.calibration,
        floor=limits.floor,
        card=make_card(rows, asked, schemes, seed, {**(about or {}), "process": list(fitted.setting)}),
    )
