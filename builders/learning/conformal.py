"""Intervals that hold what they promise on hosts that were not seen: conformal, grouped, by stratum.

Residuals of predictions for rows whose whole group was left out, each divided by how difficult its row is, give the two
quantiles between which a new row's residual lies with the wanted probability (Vovk, Gammerman, Shafer, *Algorithmic
Learning in a Random World*, 2005; normalised as in Papadopoulos et al. 2008). Strata (the ions) with enough rows have
quantiles of their own, so that the promise holds in each of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

OTHERS = "*"
"""Name of the stratum of all rows together."""
HIGHEST: Final = 0.95
"""Up to this level :func:`raised_level` looks."""
_STEP: Final = 0.005


@dataclass(frozen=True)
class Calibration:
    """Two quantiles of the normalised residuals for each stratum.

    Attributes
    ----------
    level : float
        Wanted coverage.
    quantiles : dict
        Stratum to (low, high).
    counts : dict
        Stratum to the number of residuals behind them.
    """

    level: float
    quantiles: Mapping[str, tuple[float, float]]
    counts: Mapping[str, int]

    def of(self, strata: Sequence[str]) -> NDArray[np.float64]:
        """Quantiles of each row, shape=(n, 2)."""
        return np.array([self.quantiles.get(each, self.quantiles[OTHERS]) for each in strata]).reshape(-1, 2)


def calibrate(
    residuals: NDArray[np.float64],
    difficulty: NDArray[np.float64],
    strata: Sequence[str],
    *,
    level: float = 0.9,
    least: int = 50,
) -> Calibration:
    """Find the quantiles.

    Parameters
    ----------
    residuals : numpy.ndarray
        shape=(n,); truth less prediction, on whatever scale they are alike, of rows that were not seen.
    difficulty : numpy.ndarray
        shape=(n,), positive; how large residuals are expected to be.
    strata : sequence of str
        shape=(n,).
    level : float
        Wanted coverage.
    least : int
        Rows that a stratum needs for quantiles of its own.

    Returns
    -------
    Calibration

    Examples
    --------
    >>> residuals = np.linspace(-1.0, 1.0, 201)
    >>> found = calibrate(residuals, np.ones(201), ["Li"] * 201, level=0.9)
    >>> [round(value, 2) for value in found.quantiles["Li"]]
    [-0.91, 0.91]
    """
    scores = np.asarray(residuals, dtype=np.float64) / np.asarray(difficulty, dtype=np.float64)
    names = np.asarray(strata)
    quantiles, counts = {OTHERS: _both(scores, level)}, {OTHERS: len(scores)}
    for name in sorted(set(names.tolist())):
        mine = scores[names == name]
        if len(mine) >= least:
            quantiles[name], counts[name] = _both(mine, level), len(mine)
    return Calibration(level, quantiles, counts)


def raised_level(
    residuals: NDArray[np.float64],
    difficulty: NDArray[np.float64],
    strata: NDArray[np.str_],
    fold: NDArray[np.int64],
    *,
    level: float = 0.9,
    least: int = 50,
) -> float:
    """Find the level whose quantiles, learned on the other folds, cover the share that is promised.

    Residuals of one group resemble each other, so that quantiles of the other groups' residuals cover a little less than their
    level. The level is therefore raised until rows of each fold are covered as promised by quantiles of the other folds.

    Parameters
    ----------
    residuals, difficulty, strata
        As in :func:`calibrate`.
    fold : numpy.ndarray
        shape=(n,), int; in which fold each row was left out.
    level : float
        Wanted coverage.
    least : int
        Rows that a stratum needs for quantiles of its own.

    Returns
    -------
    float
        At least ``level``, at most :data:`HIGHEST`; ``level`` itself where there is one fold only.

    Examples
    --------
    >>> apart = np.tile(np.linspace(-1.0, 1.0, 101), 2)
    >>> raised_level(apart, np.ones(202), np.array(["Li"] * 202), np.repeat([0, 1], 101))
    0.9
    """
    folds = np.unique(fold)
    if len(folds) < 2:
        return level
    for tried in np.arange(level, HIGHEST + 1e-3, _STEP).tolist():
        covered = 0
        for k in folds:
            mine, others = fold == k, fold != k
            found = calibrate(residuals[others], difficulty[others], strata[others].tolist(), level=tried, least=least)
            low, high = found.of(strata[mine].tolist()).T * difficulty[mine]
            covered += int(((residuals[mine] >= low) & (residuals[mine] <= high)).sum())
        if covered >= level * len(residuals):
            return float(tried)
    return HIGHEST


def _both(scores: NDArray[np.float64], level: float) -> tuple[float, float]:
    """The quantiles of both sides: a new score lies with equal probability in each of the n + 1 gaps between the n known ones.

    Between order statistics they are interpolated: rounding outwards, as is usual, covers 92 % with 70 scores instead of 90 %.
    """
    tail = (1.0 - level) / 2.0
    ordered = np.sort(scores)
    places = np.arange(1, len(ordered) + 1) / (len(ordered) + 1)
    low, high = np.interp([tail, 1.0 - tail], places, ordered)
    return float(low), float(high)
