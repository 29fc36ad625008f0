"""What a score is worth as a probability: lines (Platt) and steps (isotonic) that say it, and how far it can be trusted.

A model is calibrated when of the pairs that it gives 0.7, seven of ten are alike. The reliability table shows it bin by
bin; the expected calibration error sums it up (Naeini et al., AAAI 2015; Guo et al., arXiv:1706.04599).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

BINS: Final = 15
_STEPS: Final = 100
_ENOUGH: Final = 1e-10


class Reliability(NamedTuple):
    """One row a bin that holds anything.

    Attributes
    ----------
    lower, upper : numpy.ndarray
        shape=(bins,), ends of each bin.
    mean : numpy.ndarray
        Mean probability given.
    share : numpy.ndarray
        Share that came true.
    weight : numpy.ndarray
        Weight in the bin (the number of rows, without weights).
    """

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    mean: NDArray[np.float64]
    share: NDArray[np.float64]
    weight: NDArray[np.float64]


def reliability(
    probability: ArrayLike, true: ArrayLike, bins: int = BINS, weights: ArrayLike | None = None
) -> Reliability:
    """Compare probabilities with what came true, in bins of equal width.

    Parameters
    ----------
    probability : array-like
        shape=(n,), 0 to 1.
    true : array-like
        shape=(n,), bool or 0 and 1.
    bins : int
    weights : array-like, optional
        shape=(n,).

    Returns
    -------
    Reliability

    Examples
    --------
    >>> table = reliability([0.1, 0.2, 0.9, 0.7], [0, 1, 1, 1], bins=2)
    >>> table.mean.round(2).tolist(), table.share.tolist(), table.weight.tolist()
    ([0.15, 0.8], [0.5, 1.0], [2.0, 2.0])
    """
    given, truth = _checked(probability, true)
    weight = np.ones(len(given)) if weights is None else np.asarray(weights, dtype=np.float64)
    place = np.minimum((given * bins).astype(np.int64), bins - 1)
    count = np.bincount(place, weight, bins).astype(np.float64)
    held = count > 0
    edges = np.linspace(0.0, 1.0, bins + 1)
    return Reliability(
        edges[:-1][held],
        edges[1:][held],
        np.bincount(place, weight * given, bins)[held] / count[held],
        np.bincount(place, weight * truth, bins)[held] / count[held],
        count[held],
    )


def expected_calibration_error(
    probability: ArrayLike, true: ArrayLike, bins: int = BINS, weights: ArrayLike | None = None
) -> float:
    """Mean gap between probability and share that came true, over bins of equal width, weighted by what is in them.

    Examples
    --------
    >>> round(expected_calibration_error([0.1, 0.2, 0.9, 0.7], [0, 1, 1, 1], bins=2), 3)
    0.275
    """
    table = reliability(probability, true, bins, weights)
    return float((np.abs(table.mean - table.share) * table.weight).sum() / table.weight.sum())


def brier_score(probability: ArrayLike, true: ArrayLike) -> float:
    """Mean squared difference of probability and truth.

    Examples
    --------
    >>> brier_score([0.5, 1.0], [0, 1])
    0.125
    """
    given, truth = _checked(probability, true)
    return float(np.mean((given - truth) ** 2))


def fit_platt(logit: ArrayLike, true: ArrayLike, weights: ArrayLike | None = None) -> tuple[float, float]:
    """Fit slope and offset that turn a logit into log odds (Platt scaling: logistic regression by Newton's method).

    The targets are Platt's: not 0 and 1 but what a uniform prior leaves of them, so that separable data give a finite slope.

    Parameters
    ----------
    logit : array-like
        shape=(n,), scores; higher is more probable.
    true : array-like
        shape=(n,); both kinds must be there.
    weights : array-like, optional
        shape=(n,).

    Returns
    -------
    tuple of float
        Slope and offset.

    Examples
    --------
    >>> slope, offset = fit_platt([-1.0, -1.0, -1.0, 1.0, 1.0, 1.0] * 500, [0, 0, 1, 1, 1, 0] * 500)
    >>> round(slope, 2), round(abs(offset), 2)  # odds 2 at 1
    (0.69, 0.0)
    """
    x, y = np.asarray(logit, dtype=np.float64), np.asarray(true, dtype=np.float64)
    w = np.ones(len(x)) if weights is None else np.asarray(weights, dtype=np.float64)
    positive, negative = float((w * y).sum()), float((w * (1 - y)).sum())
    if positive <= 0 or negative <= 0:
        raise ValueError(f"Calibration needs rows of both kinds; got weights {positive:g} true and {negative:g} false.")
    target = np.where(y > 0.5, (positive + 1) / (positive + 2), 1 / (negative + 2))
    design = np.stack([x, np.ones_like(x)])
    found = np.zeros(2)
    loss = np.inf
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(found @ design, -60, 60)))
        gradient = design @ (w * (p - target))
        hessian = (design * (w * p * (1 - p))) @ design.T + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        now = _log_loss(found @ design, target, w)
        # Newton's step may be too long where the curve is flat: shorten it until it helps.
        while _log_loss((found - step) @ design, target, w) > now and np.abs(step).max() > _ENOUGH:
            step /= 2
        found -= step
        if abs(loss - now) <= _ENOUGH * max(1.0, abs(now)):
            break
        loss = now
    return float(found[0]), float(found[1])


def fit_isotonic(
    score: ArrayLike, true: ArrayLike, weights: ArrayLike | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit the non-decreasing curve from score to probability that fits best (pool adjacent violators).

    Returns
    -------
    tuple of numpy.ndarray
        Knots: scores, ascending, and the probability at each, for :func:`numpy.interp`.

    Examples
    --------
    >>> at, probability = fit_isotonic([1.0, 2.0, 3.0, 4.0], [0, 1, 0, 1])
    >>> np.interp([1.0, 2.5, 4.0], at, probability).tolist()
    [0.0, 0.5, 1.0]
    """
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(
        np.asarray(score, dtype=np.float64), np.asarray(true, dtype=np.float64), sample_weight=weights
    )
    return np.asarray(fitted.X_thresholds_, dtype=np.float64), np.asarray(fitted.y_thresholds_, dtype=np.float64)


def _log_loss(odds: NDArray[np.float64], target: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    return float((weights * (np.logaddexp(0, odds) - target * odds)).sum())


def _checked(probability: ArrayLike, true: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    given, truth = np.asarray(probability, dtype=np.float64), np.asarray(true, dtype=np.float64)
    if given.ndim != 1 or given.shape != truth.shape or not len(given):
        raise ValueError(f"Two lists of equally many values are needed; got shapes {given.shape} and {truth.shape}.")
    if not ((given >= 0) & (given <= 1)).all():
        raise ValueError("Probabilities lie between 0 and 1.")
    return given, truth
