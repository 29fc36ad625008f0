"""A distance between elements learned from which elements take each other's place in one arrangement.

A query is asked, and of the templates of its stoichiometry some have its arrangement. The model says that a template ``t`` has
it with a probability proportional to ``exp(-sum_s D[q_s, t_s])``, the sum over the species of the mapping. ``D`` is a
prior metric, scaled, times a factor for each pair of elements; scale and factors maximise the likelihood of the right templates
over all queries, with a ridge on the logarithms of the factors. So D is positive, its unit is that of a log-likelihood,
and pairs of elements of which little is known keep the prior's word.

No energy and no relaxation enters: only which crystals exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from builders.templates.elements import SIZE
from builders.templates.weights import read_arrays

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FILE: Final = "substitution.npz"

SHRINK: Final = 2.0
"""Ridge penalty of the logarithms of the factors."""


@dataclass(frozen=True, eq=False)
class Choice:
    """One query and its templates.

    Attributes
    ----------
    numbers : numpy.ndarray
        shape=(k,), atomic numbers of the query.
    replaced : numpy.ndarray
        shape=(m, k), of the templates, in the order of the query's species.
    same : numpy.ndarray
        shape=(m,), bool: which have the arrangement of the query.
    """

    numbers: NDArray[np.int64]
    replaced: NDArray[np.int64]
    same: NDArray[np.bool_]


@lru_cache(maxsize=1)
def substitution_distance() -> NDArray[np.float32]:
    """The shipped distance, shape=(95, 95), by atomic numbers; row and column 0 are NaN.

    Raises
    ------
    FeatureError
        The file is damaged.

    Examples
    --------
    >>> distance = substitution_distance()
    >>> bool(distance[39, 67] < distance[39, 8])  # yttrium is nearer to holmium than to oxygen
    True
    """
    upper = read_arrays(FILE, {"distance": (SIZE * (SIZE - 1) // 2,)})["distance"]
    found = square(upper).astype(np.float32)
    found[0] = found[:, 0] = np.nan
    found.flags.writeable = False
    return found


def fit(choices: Sequence[Choice], prior: NDArray[np.floating], shrink: float = SHRINK) -> NDArray[np.float64]:
    """Fit the distance.

    Parameters
    ----------
    choices : sequence of Choice
        Those without a right template, or with nothing else, say nothing and are left out.
    prior : numpy.ndarray
        shape=(95, 95), symmetric, positive off the diagonal; NaN where unknown.
    shrink : float

    Returns
    -------
    numpy.ndarray
        shape=(4465,), the upper triangle row by row.
    """
    from scipy.optimize import minimize

    told = [choice for choice in choices if choice.same.any() and not choice.same.all()]
    likelihood = _Likelihood(told, np.nan_to_num(prior[_UPPER].astype(np.float64)), shrink)
    start = np.zeros(1 + len(_UPPER[0]))
    start[0] = 1.0
    found = minimize(likelihood, start, jac=True, method="L-BFGS-B", options={"maxiter": 120})
    return likelihood.distance(found.x)


def upper_triangle(distance: NDArray[np.floating]) -> NDArray[np.float64]:
    """Numbers of a symmetric matrix above its diagonal, row by row, shape=(4465,)."""
    return distance[_UPPER].astype(np.float64)


_UPPER: Final = np.triu_indices(SIZE, 1)


def square(upper: NDArray[np.float64]) -> NDArray[np.float64]:
    """The symmetric matrix of an upper triangle, shape=(95, 95)."""
    matrix = np.zeros((SIZE, SIZE))
    matrix[_UPPER] = upper
    return matrix + matrix.T


class _Likelihood:
    """Negative log-likelihood and its gradient."""

    def __init__(self, choices: Sequence[Choice], prior: NDArray[np.float64], shrink: float) -> None:
        sizes = np.array([len(choice.same) for choice in choices])
        self.sizes = sizes
        self.start = np.cumsum(sizes) - sizes
        self.same = np.concatenate([choice.same for choice in choices])
        self.design = _design(choices)
        self.prior = prior
        self.shrink = shrink

    def distance(self, parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.exp(parameters[0]) * self.prior * np.exp(parameters[1:])
        return found

    def __call__(self, parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        distance = self.distance(parameters)
        score = -(self.design @ distance)
        every, share_of_every = self._softmax(score)
        right, share_of_right = self._softmax(np.where(self.same, score, -np.inf))
        slope = (self.design.T @ (share_of_right - share_of_every)) * distance
        factors = parameters[1:]
        value = float((every - right).sum() + self.shrink * (factors**2).sum())
        return value, np.concatenate([[slope.sum()], slope + 2 * self.shrink * factors])

    def _softmax(self, score: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Log of the sum of exponentials of each query, and the share of each template in it."""
        top = np.maximum.reduceat(score, self.start)
        part = np.exp(score - np.repeat(top, self.sizes))
        total = np.add.reduceat(part, self.start)
        return top + np.log(total), part / np.repeat(total, self.sizes)


def _design(choices: Sequence[Choice]) -> Any:
    """How often each pair of elements is exchanged in each template: sparse, shape=(templates, 4465)."""
    from scipy import sparse

    place = np.zeros((SIZE, SIZE), np.int64)
    place[_UPPER] = np.arange(len(_UPPER[0]))
    place += place.T
    columns, counts = [], []
    for choice in choices:
        asked = np.broadcast_to(choice.numbers, choice.replaced.shape)
        changed = asked != choice.replaced
        columns.append(place[asked[changed], choice.replaced[changed]])
        counts.append(changed.sum(axis=1))
    column = np.concatenate(columns)
    pointer = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
    return sparse.csr_matrix((np.ones(len(column)), column, pointer), shape=(len(pointer) - 1, len(_UPPER[0])))
