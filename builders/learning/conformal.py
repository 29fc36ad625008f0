"""Intervals that hold what they promise on hosts that were not seen: conformal, grouped, by stratum.

Residuals of predictions for rows whose whole group was left out, each divided by how difficult its row is, give the two
quantiles between which a new row's residual lies with the wanted probability (Vovk, Gammerman, Shafer, *Algorithmic
Learning in a Random World*, 2005; normalised as in Papadopoulos et al. 2008). Strata (the ions) with enough rows have
quantiles of their own, so that the promise holds in each of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

OTHERS = "*"
"""Name of the stratum of all rows together."""


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


def _both(scores: NDArray[np.float64], level: float) -> tuple[float, float]:
    """The quantiles of both sides: a new score lies with equal probability in each of the n + 1 gaps between the n known ones.

    Between order statistics they are interpolated: rounding outwards, as is usual, covers 92 % with 70 scores instead of 90 %.
    """
    tail = (1.0 - level) / 2.0
    ordered = np.sort(scores)
    places = np.arange(1, len(ordered) + 1) / (len(ordered) + 1)
    low, high = np.interp([tail, 1.0 - tail], places, ordered)
    return float(low), float(high)
