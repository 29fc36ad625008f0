"""Which compounds of one ratio are alike, for all pairs at once.

The distance is that of :func:`builders.embeddings.structure.arrangement.arrangement_distances`; here it is computed for whole
ratios, a block of rows against all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations, product
from typing import TYPE_CHECKING, Final

import numpy as np

from builders.embeddings.structure.arrangement import SAME_ARRANGEMENT, SPREAD_WEIGHT, arrangement_distances
from builders.embeddings.structure.distances import equal_amounts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_MOST_ORDERS: Final = 720  # as in arrangement: beyond, orders are searched for instead of tried
_BLOCK: Final = 512


@dataclass(frozen=True, eq=False)
class Labels:
    """Pairs that are alike, by ratio.

    Attributes
    ----------
    rows : mapping of str to numpy.ndarray
        Ratio to the rows that have it, ascending.
    matrix : mapping of str to numpy.ndarray
        Ratio to shape=(n, n) bool, symmetric.
    ratios : sequence of str
        Ratio of each row.
    """

    rows: Mapping[str, NDArray[np.int64]]
    matrix: Mapping[str, NDArray[np.bool_]]
    ratios: Sequence[str]

    def __call__(self, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Look pairs of one ratio up; shapes=(n_pairs,)."""
        ratio = self.ratios[int(first[0])]
        rows = self.rows[ratio]
        found: NDArray[np.bool_] = self.matrix[ratio][np.searchsorted(rows, first), np.searchsorted(rows, second)]
        return found

    def among(self, ratio: str, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """The matrix of some rows of a ratio, shape=(n, n)."""
        places = np.searchsorted(self.rows[ratio], rows)
        found: NDArray[np.bool_] = self.matrix[ratio][np.ix_(places, places)]
        return found


def make_labels(
    profiles: Sequence[NDArray[np.floating]], ratios: Sequence[str], tau: float = SAME_ARRANGEMENT
) -> Labels:
    """Compare all compounds of each ratio.

    Parameters
    ----------
    profiles : sequence of numpy.ndarray
        One a compound, shape=(n_elements, n_elements, 2, k), elements in canonical order
        (:attr:`builders.embeddings.structure.fingerprint.Fingerprint.profile`).
    ratios : sequence of str
    tau : float
        Two arrangements are alike when their distance is below.

    Examples
    --------
    >>> flat = np.ones((1, 1, 2, 3))
    >>> make_labels([flat, flat * 1.01, flat * 2], ["1"] * 3).matrix["1"].astype(int).tolist()
    [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    """
    names = np.asarray(ratios)
    rows = {str(ratio): np.flatnonzero(names == ratio) for ratio in np.unique(names)}
    matrix = {}
    for ratio, members in rows.items():
        amounts = [int(part) for part in ratio.split(":")]
        stack = np.stack([np.asarray(profiles[int(row)], dtype=np.float32) for row in members])
        matrix[ratio] = distance_matrix(stack, amounts) < tau
    return Labels(rows, matrix, ratios)


def distance_matrix(profiles: NDArray[np.float32], amounts: Sequence[int]) -> NDArray[np.float32]:
    """Distances of all arrangements of one ratio to all.

    Parameters
    ----------
    profiles : numpy.ndarray
        shape=(n, n_elements, n_elements, 2, k).
    amounts : sequence of int

    Returns
    -------
    numpy.ndarray
        shape=(n, n), float32; what ``arrangement_distances`` gives for each pair.

    Examples
    --------
    >>> distance_matrix(np.stack([np.ones((1, 1, 2, 3)), np.ones((1, 1, 2, 3)) * 1.5]), [1]).round(2).tolist()
    [[0.0, 0.75], [0.75, 0.0]]
    """
    n, groups = len(profiles), equal_amounts(amounts)
    if math.prod(math.factorial(len(places)) for places in groups) > _MOST_ORDERS:
        one, other = np.triu_indices(n, 1)
        found = np.zeros((n, n), dtype=np.float32)
        found[one, other] = found[other, one] = arrangement_distances(profiles[one], profiles[other], amounts)
        return found
    best = np.full((n, n), np.inf, dtype=np.float32)
    for parts in product(*[permutations(places) for places in groups]):
        order = [place for part in parts for place in part]
        _take_nearer(best, profiles, profiles[:, order][:, :, order])
    return best


def _take_nearer(best: NDArray[np.float32], here: NDArray[np.float32], there: NDArray[np.float32]) -> None:
    from scipy.spatial.distance import cdist

    n = len(here)
    mean, spread = (np.ascontiguousarray(here[:, :, :, part]).reshape(n, -1) for part in (0, 1))
    other_mean, other_spread = (np.ascontiguousarray(there[:, :, :, part]).reshape(n, -1) for part in (0, 1))
    for begin in range(0, n, _BLOCK):
        part = slice(begin, begin + _BLOCK)
        found = cdist(mean[part], other_mean, "chebyshev")
        found += SPREAD_WEIGHT * cdist(spread[part], other_spread, "chebyshev")
        np.minimum(best[part], found, out=best[part], casting="same_kind")
