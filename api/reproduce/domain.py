"""Whether a path is like those that a model learnt from.

A polynomial through a cloud of points says nothing outside it: the study's SVR gives the two paths of Li2FeSiO4 -3.33 and
-2.89 eV.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

NEIGHBOURS: Final = 5
QUANTILE: Final = 0.99
"""Share of the training hops that are as near to the others as a new one must be."""


class Judgement(NamedTuple):
    """What the check says about one path.

    Attributes
    ----------
    inside : bool
    distance : float
        Mean distance from the five nearest training hops, in standard deviations of the descriptors.
    reasons : tuple of str
        What is outside; empty for a path inside.
    """

    inside: bool
    distance: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Domain:
    """The region of the training hops.

    Attributes
    ----------
    names : tuple of str
        Of the first descriptors: those whose range is checked. The others follow from them.
    rows : numpy.ndarray
        shape=(n, k), standardised descriptors of the training hops.
    mean, scale : numpy.ndarray
        shape=(k,).
    low, high : numpy.ndarray
        shape=(k,); range of each descriptor.
    limit : float
        Largest distance that counts as inside.
    """

    names: tuple[str, ...]
    rows: NDArray[np.float64]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    limit: float

    @classmethod
    def of(cls, descriptors: NDArray[np.float64], names: Sequence[str]) -> Domain:
        """Take the region of training descriptors, shape=(n, k).

        Examples
        --------
        >>> grid = np.array([[x, y] for x in range(10) for y in range(10)], dtype=float)
        >>> domain = Domain.of(grid, ("x", "y"))
        >>> [judged.inside for judged in domain.judge(np.array([[4.5, 4.5], [4.5, 12.0]]))]
        [True, False]
        >>> domain.judge(np.array([[4.5, 12.0]]))[0].reasons[0]
        'y 12 is above 9, the largest learnt from'
        """
        mean, spread = descriptors.mean(axis=0), descriptors.std(axis=0)
        scale = np.where(spread > 0, spread, 1.0)
        rows = (descriptors - mean) / scale
        # The nearest row to a training row is itself.
        own = np.sort(_apart(rows, rows), axis=1)[:, 1 : NEIGHBOURS + 1].mean(axis=1)
        return cls(
            names=tuple(names),
            rows=rows,
            mean=mean,
            scale=scale,
            low=descriptors.min(axis=0),
            high=descriptors.max(axis=0),
            limit=float(np.quantile(own, QUANTILE)),
        )

    def judge(self, descriptors: NDArray[np.float64]) -> list[Judgement]:
        """Judge paths by their descriptors, shape=(m, k)."""
        apart = _apart((descriptors - self.mean) / self.scale, self.rows)
        distances = np.sort(apart, axis=1)[:, :NEIGHBOURS].mean(axis=1)
        judged = []
        for row, distance in zip(descriptors, distances.tolist(), strict=True):
            reasons = [
                f"{name} {value:.4g} is {word} {bound:.4g}, the {most} learnt from"
                for name, value, low, high in zip(self.names, row, self.low, self.high, strict=False)
                for word, most, bound, beyond in (
                    ("below", "smallest", low, value < low),
                    ("above", "largest", high, value > high),
                )
                if beyond
            ]
            if distance > self.limit:
                reasons.append(
                    f"{distance:.2f} standard deviations from the nearest hops learnt from, above {self.limit:.2f}"
                )
            judged.append(Judgement(not reasons, distance, tuple(reasons)))
        return judged


def _apart(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distances, shape=(n, m)."""
    distances: NDArray[np.float64] = np.linalg.norm(one[:, None] - other[None], axis=2)
    return distances
