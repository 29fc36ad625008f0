"""How far a row is from all that a model was trained on, and whether that is too far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CHUNK = 2048


@dataclass(frozen=True, eq=False)
class Domain:
    """Training rows in a standardised and weighted descriptor space, and the ranges of their descriptors.

    Attributes
    ----------
    points : numpy.ndarray
        shape=(n_train, n_features); bounded standard scores times the square roots of the weights.
    weights : numpy.ndarray
        shape=(n_features,), sum one: how much each descriptor counts.
    low, high : numpy.ndarray
        shape=(n_features,); ranges of the descriptors in training, in their own units.
    limit : float
        Distance beyond which a row is outside.
    slack : float
        Share of a range by which a descriptor may leave it.
    k : int
        The distance is the mean of those to so many nearest training rows.
    """

    points: NDArray[np.float64]
    weights: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    limit: float = np.inf
    slack: float = 0.25
    k: int = 5

    @classmethod
    def of(cls, features: NDArray[np.float64], scores: NDArray[np.float64], weights: NDArray[np.float64]) -> Domain:
        """Remember training rows: descriptors in their own units, and their bounded standard scores."""
        weights = np.maximum(np.asarray(weights, dtype=np.float64), 0.0)
        total = weights.sum()
        weights = weights / total if total > 0 else np.full(len(weights), 1.0 / len(weights))
        low, high = np.nanmin(features, axis=0), np.nanmax(features, axis=0)
        return cls(scores * np.sqrt(weights), weights, low, high)

    def distance(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean distance to the nearest training rows, in standard deviations; shape=(n,).

        Examples
        --------
        >>> known = np.array([[0.0], [1.0], [2.0]])
        >>> Domain.of(known, known, np.ones(1)).distance(np.array([[5.0]])).tolist()
        [4.0]
        """
        k = min(self.k, len(self.points))
        found = []
        squares = (self.points * self.points).sum(1)
        for start in range(0, len(scores), _CHUNK):
            rows = scores[start : start + _CHUNK] * np.sqrt(self.weights)
            apart = (rows * rows).sum(1)[:, None] + squares - 2.0 * rows @ self.points.T
            nearest = np.partition(np.maximum(apart, 0.0), k - 1, axis=1)[:, :k]
            found.append(np.sqrt(nearest).mean(axis=1))
        return np.concatenate(found) if found else np.zeros(0)

    def excess(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """By how much of its range in training each descriptor leaves it; shape=(n, n_features), 0 inside."""
        span = np.maximum(self.high - self.low, 1e-9)
        beyond = np.maximum(np.maximum(self.low - features, features - self.high), 0.0) / span
        return np.where(np.isfinite(beyond), beyond, 0.0)

    def inside(self, features: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether rows are near enough, with every descriptor in or near its range; shape=(n,)."""
        near = self.distance(scores) <= self.limit
        inside: NDArray[np.bool_] = near & (self.excess(features).max(axis=1, initial=0.0) <= self.slack)
        return inside
