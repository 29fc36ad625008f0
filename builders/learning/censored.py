"""Targets of which only a bound is known: how errors count, and what to learn from instead.

A measurement "below 1e-10" says that the truth is no higher. A prediction of 1e-12 does not contradict it, one of 1e-8 does,
by two decades at least. So the error of a prediction that keeps to a bound is zero, that of one beyond it the distance to the
bound.

To learn from a bound, a number has to stand for it. The bound itself is too close (the truth lies beyond it), any fixed number
is arbitrary. Here it is the expected value given that it lies beyond the bound (as in Tobin's model, Econometrica 26, 24,
1958, and its solution by expectation): mean and deviation come from a Gaussian process that was not shown this row, in closed
form (Rasmussen, Williams, *Gaussian Processes for Machine Learning*, 2006, eq. 5.12), and the procedure is repeated a few
times.

The kind of each row is a number: -1 for an upper bound (the truth is below), 1 for a lower bound, 0 for a value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

UPPER: Final = -1
LOWER: Final = 1
_ROUNDS: Final = 4


class BoundedScores(NamedTuple):
    """Scores of predictions for values and bounds.

    ``mae``: mean absolute error; ``r2``: 1 - squared error over that of the mean, bounds as they stand; ``spearman``:
    correlation of the ranks, bounds as they stand (nan for equal predictions); ``median_error``: median of the absolute
    errors.
    """

    mae: float
    r2: float
    spearman: float
    median_error: float


def errors(y: NDArray[np.float64], p: NDArray[np.float64], kind: NDArray[np.int64]) -> NDArray[np.float64]:
    """Truth less prediction; 0 where a prediction keeps to a bound.

    Parameters
    ----------
    y, p : numpy.ndarray
        shape=(n,), values or bounds, and predictions.
    kind : numpy.ndarray
        shape=(n,), -1 for an upper bound, 1 for a lower bound, 0 for a value.

    Returns
    -------
    numpy.ndarray
        shape=(n,).

    Examples
    --------
    >>> errors(np.array([-10.0, -10.0, -4.0]), np.array([-12.0, -8.0, -5.0]), np.array([-1, -1, 0])).tolist()
    [0.0, -2.0, 1.0]
    """
    apart = np.asarray(y, dtype=np.float64) - np.asarray(p, dtype=np.float64)
    apart = np.where(kind == UPPER, np.minimum(apart, 0.0), apart)
    found: NDArray[np.float64] = np.where(kind == LOWER, np.maximum(apart, 0.0), apart)
    return found


def bounded_scores(y: NDArray[np.float64], p: NDArray[np.float64], kind: NDArray[np.int64]) -> BoundedScores:
    """Score predictions for values and bounds.

    Examples
    --------
    >>> found = bounded_scores(np.array([-10.0, -6.0, -2.0]), np.array([-13.0, -6.0, -3.0]), np.array([-1, 0, 0]))
    >>> round(found.mae, 3), round(found.spearman, 3)
    (0.333, 1.0)
    """
    from scipy.stats import rankdata

    apart = errors(y, p, kind)
    spread = float(((y - y.mean()) ** 2).sum())
    ranks = [rankdata(values) - (len(y) + 1) / 2 for values in (y, p)]
    norm = float(np.sqrt((ranks[0] ** 2).sum() * (ranks[1] ** 2).sum()))
    return BoundedScores(
        float(np.abs(apart).mean()),
        1.0 - float((apart**2).sum()) / spread if spread else float("nan"),
        float(ranks[0] @ ranks[1]) / norm if norm else float("nan"),
        float(np.median(np.abs(apart))),
    )


def expected_below(
    bound: NDArray[np.float64], mean: NDArray[np.float64], deviation: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean of normal distributions cut off above bounds.

    Examples
    --------
    >>> expected_below(np.array([0.0, 3.0]), np.zeros(2), np.ones(2)).round(3).tolist()
    [-0.798, -0.004]
    """
    from scipy.special import log_ndtr

    z = (np.asarray(bound) - mean) / deviation
    density = -0.5 * z * z - 0.5 * np.log(2.0 * np.pi)
    found: NDArray[np.float64] = mean - deviation * np.exp(density - log_ndtr(z))
    return found


def imputed(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    kind: NDArray[np.int64],
    make_process: Callable[[], Any],
    limits: tuple[float, float] = (-np.inf, np.inf),
) -> NDArray[np.float64]:
    """Put expected values in the place of bounds.

    Parameters
    ----------
    x : numpy.ndarray
        shape=(n, n_features), no gaps.
    y : numpy.ndarray
        shape=(n,), values and bounds.
    kind : numpy.ndarray
        shape=(n,), see :func:`errors`.
    make_process : callable
        Makes a ``sklearn.gaussian_process.GaussianProcessRegressor`` with ``normalize_y`` and a kernel that holds the noise.
    limits : (float, float)
        Within these an expected value stays.

    Returns
    -------
    numpy.ndarray
        shape=(n,); y where it is a value, beyond the bound where it is one.

    Examples
    --------
    >>> from sklearn.gaussian_process import GaussianProcessRegressor
    >>> from sklearn.gaussian_process.kernels import RBF, WhiteKernel
    >>> def make():
    ...     return GaussianProcessRegressor(RBF(1.0) + WhiteKernel(0.1), optimizer=None, normalize_y=True)
    >>> x, y = np.linspace(0, 5, 21)[:, None], np.linspace(0.0, 5.0, 21)
    >>> found = imputed(x, y, np.where(y > 4.9, -1, 0), make)  # the last is at most 5
    >>> bool(4.0 < found[-1] < 5.0), bool((found[:-1] == y[:-1]).all())
    (True, True)
    """
    from scipy.linalg import cho_solve

    bounded = np.flatnonzero(kind != 0)
    targets = np.array(y, dtype=np.float64)
    if not len(bounded):
        return targets
    sign = np.where(kind[bounded] == UPPER, 1.0, -1.0)  # lower bounds are upper ones in the mirror
    for _ in range(_ROUNDS):
        process = make_process().fit(x, targets)
        inverse = np.diag(cho_solve((process.L_, True), np.eye(len(targets))))[bounded]
        scale = float(np.ravel(process._y_train_std)[0])
        left_out = targets[bounded] - scale * np.ravel(process.alpha_)[bounded] / inverse
        deviation = scale / np.sqrt(inverse)
        expected = sign * expected_below(sign * y[bounded], sign * left_out, deviation)
        targets[bounded] = np.clip(expected, *limits)
    return targets
