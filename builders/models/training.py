"""How training judges a model: by predictions for rows whose fold was left out, which also teach its intervals and domain."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import numpy as np

from builders.learning.conformal import Calibration, calibrate, raised_level

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from builders.learning.splits import Fold

    Interval = Callable[
        [NDArray[np.float64], NDArray[np.float64], Calibration, Sequence[str]],
        tuple[NDArray[np.float64], NDArray[np.float64]],
    ]

LEVEL: Final = 0.9
"""Coverage that the intervals are made for."""
INSIDE: Final = 0.85
"""Share of rows of unseen groups that count as inside the domain."""
SLACK: Final = 0.25
"""By this share of its range in training a descriptor may leave it."""
FEWEST: Final = 60
"""Rows, and a tenth of it groups, that training needs."""
FEWEST_OF_A_STRATUM: Final = 50
"""Rows from which a stratum (an ion, what is known of a compound) has intervals of its own."""
FOLDS: Final = 5

AnyRows = TypeVar("AnyRows", bound="Rows")


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows to learn from; the fields of a subclass have one element a row: arrays, or sequences of text."""

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def subset(self: AnyRows, rows: NDArray[Any]) -> AnyRows:
        """Some of the rows, by a mask or by numbers, which may repeat."""
        chosen = np.arange(len(self))[rows]
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        found = {
            name: value[chosen] if isinstance(value, np.ndarray) else [value[k] for k in chosen]
            for name, value in given.items()
        }
        return replace(self, **found)


class Unseen(NamedTuple):
    """Predictions for rows whose fold was left out, shape=(n,) each.

    Attributes
    ----------
    value : numpy.ndarray
        In the unit of the model.
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

    def subset(self, rows: NDArray[Any]) -> Unseen:
        """Those of some rows."""
        return Unseen(*(each[rows] for each in self))

    @classmethod
    def joined(cls, parts: Iterable[Unseen]) -> Unseen:
        """Predictions of several draws of folds, one behind the other."""
        return cls(*(np.concatenate(each) for each in zip(*parts, strict=True)))


class OfFold(NamedTuple):
    """What a model that was fitted without a fold says of its rows.

    Attributes
    ----------
    rows : numpy.ndarray
        shape=(n_test,), int; the rows that it says it of.
    value, distance : numpy.ndarray
        shape=(n_test,).
    excess : numpy.ndarray
        shape=(n_test, n_names); of each descriptor.
    """

    rows: NDArray[np.int64]
    value: NDArray[np.float64]
    distance: NDArray[np.float64]
    excess: NDArray[np.float64]


def unseen_by(
    n: int, folds: Sequence[Fold], predict: Callable[[Fold], OfFold], progress: Callable[[], None] | None = None
) -> Unseen:
    """Collect the predictions for ``n`` rows, fold by fold; ``progress`` is called after each."""
    found = Unseen(np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n, dtype=np.int64))
    for number, fold in enumerate(folds):
        told = predict(fold)
        found.value[told.rows], found.distance[told.rows] = told.value, told.distance
        found.excess[told.rows] = told.excess.max(axis=1)
        found.fold[told.rows] = number
        if progress is not None:
            progress()
    return found


class Limits(NamedTuple):
    """What predictions for unseen rows teach: the domain's limit, the floor of difficulty, and the intervals."""

    limit: float
    floor: float
    calibration: Calibration


def limits_of(unseen: Unseen, residuals: NDArray[np.float64], strata: NDArray[np.str_], repeats: int = 1) -> Limits:
    """Calibrate domain and intervals on predictions for rows of unseen groups.

    The level is raised until rows of each fold are covered as promised by quantiles of the other folds
    (:func:`builders.learning.conformal.raised_level`).

    Parameters
    ----------
    unseen : Unseen
    residuals : numpy.ndarray
        shape=(n,); truth less prediction, on the scale of the intervals.
    strata : numpy.ndarray
        shape=(n,), str.
    repeats : int
        How often each row is among them.
    """
    floor, least = max(float(np.median(unseen.distance)), 1e-6), FEWEST_OF_A_STRATUM * repeats
    difficulty = unseen.distance + floor
    level = raised_level(residuals, difficulty, strata, unseen.fold, level=LEVEL, least=least)
    made = calibrate(residuals, difficulty, strata.tolist(), level=level, least=least)
    return Limits(float(np.quantile(unseen.distance, INSIDE)), floor, replace(made, level=LEVEL))


class Judged(NamedTuple):
    """Intervals and domain of unseen rows, from limits that were learned on the other folds; shape=(n,) each."""

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    in_domain: NDArray[np.bool_]


def judged_by(
    rows: AnyRows,
    unseen: Unseen,
    strata: NDArray[np.str_],
    learn: Callable[[AnyRows, Unseen], Limits],
    interval: Interval,
) -> Judged:
    """Give each fold's rows intervals and domain flags from the residuals of the other folds only.

    Parameters
    ----------
    rows : Rows
    unseen : Unseen
    strata : numpy.ndarray
        shape=(n,), str.
    learn : callable
        Gives the limits that some of the rows teach.
    interval : callable
        Gives lower and upper ends from values, difficulties, the calibration and strata.
    """
    n = len(unseen.value)
    found = Judged(np.zeros(n), np.zeros(n), np.zeros(n, dtype=bool))
    for k in np.unique(unseen.fold):
        mine = unseen.fold == k
        limits, told = learn(rows.subset(~mine), unseen.subset(~mine)), unseen.subset(mine)
        ends = interval(told.value, told.distance + limits.floor, limits.calibration, strata[mine].tolist())
        found.lower[mine], found.upper[mine] = ends
        found.in_domain[mine] = (told.distance <= limits.limit) & (told.excess <= SLACK)
    return found


class Steps:
    """Counts what is done of a known number of steps, and tells it.

    Examples
    --------
    >>> step = Steps(3, lambda done, total: print(f"{done} of {total}"))
    >>> step()
    1 of 3
    """

    def __init__(self, total: int, progress: Callable[[int, int], None] | None = None) -> None:
        self.total, self.done = total, 0
        self._progress = progress

    def __call__(self) -> None:
        """One more is done."""
        self.done += 1
        if self._progress is not None:
            self._progress(self.done, self.total)
