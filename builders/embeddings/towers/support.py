"""How likely a composition takes a structure: the towers' score, and what its chemical relatives do.

The relatives of a composition are the known compositions of the same stoichiometry whose vectors are nearest to its own. A
composition most of whose relatives have the prototype has it too, more often than not; the score says more where they
disagree or where there are none. A logistic model of both, fitted on compositions that the towers never saw
(:mod:`builders.embeddings.towers.calibration`), gives a probability. There are two: that the composition takes the prototype
at any volume (``arrangement``), and that it does so at about the given volume (``structure``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCALES: Final = (0.93, 0.95, 0.97, 0.985, 1.0, 1.015, 1.03, 1.05, 1.07)
"""Factors of all lengths that are tried when the volume is free: 0.80 to 1.23 of the volume."""
GIVEN: Final = SCALES.index(1.0)
NEAREST: Final = 10
"""Relatives that vote."""
LOOKED_AT: Final = 50
"""Relatives among which the nearest with the prototype, and without it, are looked for."""
N_FEATURES: Final = 7
SAME_VOLUME: Final = 1.15
"""Largest ratio of two volumes per atom that count as about the same."""
_SOFTNESS: Final = 0.1
_ROWS: Final = 1024  # candidates compared with all known compositions at a time
_NOBODY: Final = -2.0


class Relatives(NamedTuple):
    """The known compositions nearest to some candidates.

    Attributes
    ----------
    number : numpy.ndarray
        shape=(n, j), int64; numbers of the known ones, nearest first.
    likeness : numpy.ndarray
        shape=(n, j), float32; inner products of the vectors; -2 where there is nobody.
    """

    number: NDArray[np.int64]
    likeness: NDArray[np.float32]

    def take(self, rows: NDArray[np.int64]) -> Relatives:
        """Those of some of the candidates."""
        return Relatives(self.number[rows], self.likeness[rows])


@dataclass(frozen=True, eq=False)
class Support:
    """The fitted model.

    Attributes
    ----------
    mean, std, weight : numpy.ndarray
        shape=(n_terms,).
    bias : float
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    weight: NDArray[np.float64]
    bias: float

    def probability(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities of rows of :func:`support_features`, shape=(n, 7) to (n,)."""
        z = ((terms(features) - self.mean) / self.std) @ self.weight + self.bias
        found: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-np.clip(z, -30.0, 30.0)))
        return found

    def to_array(self) -> NDArray[np.float64]:
        """One array for the weights file, shape=(3, n_terms + 1)."""
        return np.stack([np.append(self.mean, 0.0), np.append(self.std, 1.0), np.append(self.weight, self.bias)])

    @classmethod
    def from_array(cls, array: NDArray[np.float64]) -> Support:
        """Read back what :meth:`to_array` wrote."""
        return cls(array[0, :-1], array[1, :-1], array[2, :-1], float(array[2, -1]))


def relatives_of(
    candidates: NDArray[np.float32], known: NDArray[np.float32], own: NDArray[np.int64] | None = None
) -> Relatives:
    """Find the relatives of candidates.

    Parameters
    ----------
    candidates : numpy.ndarray
        shape=(n, d); vectors of their compositions.
    known : numpy.ndarray
        shape=(m, d); vectors of the known compositions of the stoichiometry.
    own : numpy.ndarray, optional
        shape=(n,); which known composition each candidate is, -1 for none: nobody is a relative of itself.

    Examples
    --------
    >>> known = np.array([[1, 0], [0.6, 0.8], [0, 1]], dtype=np.float32)
    >>> relatives_of(known[:1], known, np.array([0])).number[:, :2].tolist()
    [[1, 2]]
    """
    n, j = len(candidates), min(LOOKED_AT, len(known))
    number, likeness = np.zeros((n, j), dtype=np.int64), np.full((n, j), _NOBODY, dtype=np.float32)
    for start in range(0, n if j else 0, _ROWS):
        part = slice(start, min(start + _ROWS, n))
        all_of_them = candidates[part] @ known.T
        if own is not None:
            itself = np.flatnonzero(own[part] >= 0)
            all_of_them[itself, own[part][itself]] = _NOBODY
        nearest = np.argpartition(-all_of_them, j - 1, axis=1)[:, :j]
        values = np.take_along_axis(all_of_them, nearest, axis=1)
        order = np.lexsort((nearest, -values), axis=1)
        number[part] = np.take_along_axis(nearest, order, axis=1)
        likeness[part] = np.take_along_axis(values, order, axis=1)
    return Relatives(number, likeness)


def support_features(scores: NDArray[np.float32], relatives: Relatives, has: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Describe what is known of candidates.

    Parameters
    ----------
    scores : numpy.ndarray
        shape=(n, len(SCALES)); of each candidate with the structure at each volume.
    relatives : Relatives
        Of the candidates.
    has : numpy.ndarray
        shape=(m,); of the known compositions, whether one of its structures has the prototype.

    Returns
    -------
    numpy.ndarray
        shape=(n, 7): best score over volumes; score at the given volume; log odds of the prototype among the known ones;
        share of the ten nearest relatives that have it, by likeness; likeness of the nearest that has it and of the
        nearest that has not (-1: none among the fifty nearest); logarithm of the number of known ones.

    Examples
    --------
    >>> vectors = np.eye(3, dtype=np.float32)
    >>> has = np.array([True, False, False])
    >>> told = support_features(np.zeros((1, 9), np.float32), relatives_of(vectors[:1], vectors), has)
    >>> told[0, 4:6].tolist()
    [1.0, 0.0]
    """
    m, with_it = len(has), int(has.sum())
    found = np.empty((len(scores), N_FEATURES))
    found[:, 0], found[:, 1] = scores.max(axis=1), scores[:, GIVEN]
    found[:, 2] = np.log((with_it + 0.5) / (m - with_it + 1.0))
    found[:, 3:6] = (0.0, -1.0, -1.0)
    found[:, 6] = np.log(m + 1.0)
    there = relatives.likeness > _NOBODY
    if not there.size:
        return found
    likeness, share = relatives.likeness.astype(np.float64), has[relatives.number] & there
    weight = np.exp((likeness - likeness[:, :1]) / _SOFTNESS)[:, :NEAREST] * there[:, :NEAREST]
    found[:, 3] = (weight * share[:, :NEAREST]).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-12)
    found[:, 4] = np.where(share, likeness, -1.0).max(axis=1)
    found[:, 5] = np.where(there & ~share, likeness, -1.0).max(axis=1)
    return found


def terms(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """The features, the log odds of the share, and products; shape=(n, 19)."""
    best, given, share, odds, likeness = (features[:, column] for column in (0, 1, 3, 2, 4))
    logit = np.log((share + 0.02) / (1.02 - share))
    squares = [each * each for each in (best, given, likeness, odds)]
    products = [
        best * odds,
        best * logit,
        logit * odds,
        likeness * logit,
        given * logit,
        given * odds,
        given**3,
        *squares,
    ]
    return np.column_stack([features, logit, *products])


def fit(features: NDArray[np.float64], positive: NDArray[np.bool_], query: NDArray[np.int64]) -> Support:
    """Fit the model; each structure's pairs count together as the root of their number, lest the largest classes decide."""
    from sklearn.linear_model import LogisticRegression

    x = terms(features)
    mean, std = x.mean(axis=0), x.std(axis=0) + 1e-9
    weight = 1.0 / np.sqrt(np.bincount(query)[query])
    model = LogisticRegression(C=1.0, max_iter=1000).fit((x - mean) / std, positive, sample_weight=weight)
    return Support(mean, std, model.coef_[0].astype(np.float64), float(model.intercept_[0]))
