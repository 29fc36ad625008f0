"""How well predicted energies fit: errors, rank agreement, decisions at a threshold, and how sure these numbers are.

RMSE is the ordinary one, the root of the mean squared error: equation (4) of Osipov et al. (2023) prints 1/n outside the root,
but the values in its tables have it inside.

Rows of one framework err together. Where ``groups`` are given, a bootstrap draws whole groups: intervals from single rows
would be too narrow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

THRESHOLD: Final = 0.65
"""eV; a barrier below is a good one in the benchmark of Devi et al. (arXiv:2508.06436)."""

LEVEL: Final = 0.95
AT_ONCE: Final = 250
"""Resamples that are scored at a time: bounds the memory."""


class Scores(NamedTuple):
    """Scores of predicted against true energies.

    ``mae``, ``rmse`` in eV; ``r2``: 1 - squared error over the squared error of the mean (nan where all true values are
    equal); ``accuracy``: share of rows on the right side of the threshold; ``spearman``: correlation of the ranks (nan where
    either side is constant).
    """

    mae: float
    rmse: float
    r2: float
    accuracy: float
    spearman: float


class Intervals(NamedTuple):
    """Lower and upper bounds of every score; nan where no resample had a value."""

    lower: Scores
    upper: Scores


class Coverage(NamedTuple):
    """``share`` of rows whose value lies in its interval (ends included), ``width``: mean, eV, and the number of rows."""

    share: float
    width: float
    rows: int


def scores(y: ArrayLike, p: ArrayLike, threshold: float = THRESHOLD) -> Scores:
    """Score predictions.

    Parameters
    ----------
    y, p : array-like
        shape=(n,), true and predicted, eV.
    threshold : float
        eV; "below" is ``value < threshold`` on both sides.

    Returns
    -------
    Scores

    Examples
    --------
    >>> found = scores([0.2, 0.6, 1.0], [0.3, 0.7, 0.8])
    >>> round(found.mae, 3), round(found.rmse, 3), round(found.r2, 3), round(found.accuracy, 3), round(found.spearman, 3)
    (0.133, 0.141, 0.813, 0.667, 1.0)
    """
    true, predicted = _paired(y, p)
    return Scores(*(float(each[0]) for each in _weighted(true, predicted, np.ones((1, len(true))), threshold)))


def bootstrap(
    y: ArrayLike,
    p: ArrayLike,
    n: int = 2000,
    groups: ArrayLike | None = None,
    seed: int = 0,
    threshold: float = THRESHOLD,
) -> Intervals:
    """95 % intervals of the scores by resampling with replacement (percentiles).

    Parameters
    ----------
    y, p : array-like
        shape=(rows,), true and predicted, eV.
    n : int
        Resamples.
    groups : array-like, optional
        shape=(rows,): whole groups are drawn, as many as there are.
    seed : int
    threshold : float
        eV.

    Returns
    -------
    Intervals

    Examples
    --------
    >>> low, high = bootstrap([0.2, 0.6, 1.0, 0.4], [0.3, 0.7, 0.8, 0.4])
    >>> low.mae <= 0.1 <= high.mae
    True
    """
    true, predicted = _paired(y, p)
    numbers = np.arange(len(true)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1].ravel()
    if len(numbers) != len(true):
        raise ValueError(f"A group is needed for each row; got {len(numbers)} groups for {len(true)} rows.")
    count = int(numbers.max()) + 1
    generator = np.random.default_rng(seed)
    found = []
    for start in range(0, n, AT_ONCE):
        draws = min(AT_ONCE, n - start)
        # How often each group was drawn: a row drawn twice is a row of weight two, so nothing is copied.
        weights = generator.multinomial(count, np.full(count, 1.0 / count), size=draws)[:, numbers].astype(np.float64)
        found.append(_weighted(true, predicted, weights, threshold))
    drawn = np.concatenate(found, axis=1)
    tail = (1.0 - LEVEL) / 2.0
    ends = np.array([_quantiles(row, (tail, 1.0 - tail)) for row in drawn])
    return Intervals(Scores(*ends[:, 0].tolist()), Scores(*ends[:, 1].tolist()))


def coverage(y: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> Coverage:
    """Count how many values their intervals hold.

    Parameters
    ----------
    y, lower, upper : array-like
        shape=(n,), eV.

    Returns
    -------
    Coverage

    Examples
    --------
    >>> coverage([0.2, 0.6, 1.0, 0.4], [0.1, 0.5, 0.5, 0.4], [0.3, 0.7, 0.9, 0.6])
    Coverage(share=0.75, width=0.25, rows=4)
    """
    true, low = _paired(y, lower)
    high = _paired(y, upper)[1]
    if (low > high).any():
        raise ValueError(f"{int((low > high).sum())} intervals end before they begin.")
    inside = (low <= true) & (true <= high)
    return Coverage(float(inside.mean()), round(float((high - low).mean()), 12), len(true))


def coverage_by(
    y: ArrayLike, lower: ArrayLike, upper: ArrayLike, labels: ArrayLike, least: int = 50
) -> dict[str, Coverage]:
    """``coverage`` of each label (working ion, crystal class) with at least ``least`` rows, the most frequent first.

    Examples
    --------
    >>> coverage_by([0.2, 0.6, 1.0], [0.1] * 3, [0.9] * 3, ["Li", "Na", "Li"], least=2)
    {'Li': Coverage(share=0.5, width=0.8, rows=2)}
    """
    of = np.asarray(labels)
    true, low, high = (np.asarray(each, dtype=np.float64) for each in (y, lower, upper))
    names, counts = np.unique(of, return_counts=True)
    order = np.lexsort((names, -counts))
    return {
        str(names[k]): coverage(true[of == names[k]], low[of == names[k]], high[of == names[k]])
        for k in order
        if counts[k] >= least
    }


def _paired(y: ArrayLike, p: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    true, predicted = np.asarray(y, dtype=np.float64), np.asarray(p, dtype=np.float64)
    if true.ndim != 1 or true.shape != predicted.shape or not len(true):
        raise ValueError(f"Two lists of equally many values are needed; got shapes {true.shape} and {predicted.shape}.")
    if not (np.isfinite(true).all() and np.isfinite(predicted).all()):
        raise ValueError("Scores need finite values; drop the rows without a prediction, and say how many these are.")
    return true, predicted


def _weighted(
    y: NDArray[np.float64], p: NDArray[np.float64], weights: NDArray[np.float64], threshold: float
) -> NDArray[np.float64]:
    """All five scores, shape=(5, draws), of rows that count as often as their weights, shape=(draws, n), say."""
    total = weights.sum(axis=1)
    error = p - y
    square = weights @ error**2
    # About the plain mean: sums of squares of deviations lose no digits to a large offset.
    centred = y - y.mean()
    spread = weights @ centred**2 - (weights @ centred) ** 2 / total
    # A resample of one value repeated has no spread; what is left is rounding.
    spread = np.where(spread > 1e-12 * (weights @ centred**2), spread, np.nan)
    right = (y < threshold) == (p < threshold)
    return np.array(
        [
            weights @ np.abs(error) / total,
            np.sqrt(square / total),
            1.0 - square / spread,
            weights @ right.astype(np.float64) / total,
            _correlation(_ranks(y, weights), _ranks(p, weights), weights),
        ]
    )


def _ranks(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks (mean of equal values) that the rows have when each stands there as often as its weight says."""
    _, number = np.unique(values, return_inverse=True)
    order = np.argsort(number, kind="stable")
    starts = np.flatnonzero(np.diff(number[order], prepend=-1))
    of_value = np.add.reduceat(weights[:, order], starts, axis=1)
    upto = np.cumsum(of_value, axis=1)
    ranks: NDArray[np.float64] = (upto - (of_value - 1.0) / 2.0)[:, number]
    return ranks


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    total = weights.sum(axis=1, keepdims=True)
    a = a - (weights * a).sum(axis=1, keepdims=True) / total
    b = b - (weights * b).sum(axis=1, keepdims=True) / total
    norm = np.sqrt((weights * a * a).sum(axis=1) * (weights * b * b).sum(axis=1))
    flat = norm <= 1e-9 * total[:, 0]
    found: NDArray[np.float64] = (weights * a * b).sum(axis=1) / np.where(flat, np.nan, norm)
    return np.clip(found, -1.0, 1.0)


def _quantiles(drawn: NDArray[np.float64], at: tuple[float, float]) -> NDArray[np.float64]:
    known = drawn[np.isfinite(drawn)]
    found: NDArray[np.float64] = np.quantile(known, at) if len(known) else np.full(len(at), np.nan)
    return found
