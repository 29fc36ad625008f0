"""What known compounds add: those nearest to a composition vote for the arrangements they have.

The metric says which known compounds a composition resembles; each of them has an arrangement that is known. With weights ``w_i``
(a softmax of the logits over the known compounds of the ratio) a composition takes the arrangement of compound ``i`` with
probability ``w_i``, and two compositions take one and the same with probability ``sum_ij w_i S_ij v_j``, where ``S_ij`` says
whether ``i`` and ``j`` are alike. Together with the logit of the pair itself this is sharper than the logit alone: two
compositions may resemble each other and yet lie where two arrangements meet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

TEMPERATURES: Final = (0.1, 0.15, 0.2, 0.3, 0.5, 1.0)
"""Tried by :func:`fit_votes`."""
_LEAST: Final = 3e-3  # keeps logarithms of an agreement finite


def vote_weights(logits: NDArray[np.floating], temperature: float) -> NDArray[np.float32]:
    """Weigh known compounds by how much compositions resemble them.

    Parameters
    ----------
    logits : numpy.ndarray
        shape=(n, known), of each composition beside each known compound of its ratio.
    temperature : float
        The smaller, the more the nearest ones decide.

    Returns
    -------
    numpy.ndarray
        shape=(n, known), float32; rows sum to 1.

    Examples
    --------
    >>> vote_weights(np.array([[0.0, np.log(3.0)]]), 1.0).round(2).tolist()
    [[0.25, 0.75]]
    """
    scaled = np.asarray(logits, dtype=np.float32) / np.float32(temperature)
    scaled -= scaled.max(axis=1, keepdims=True)
    weights = np.exp(scaled)
    found: NDArray[np.float32] = weights / weights.sum(axis=1, keepdims=True)
    return found


def agreements(weights: NDArray[np.float32], alike: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Probability of each pair of compositions that their voters have one arrangement.

    Parameters
    ----------
    weights : numpy.ndarray
        shape=(n, known).
    alike : numpy.ndarray
        shape=(known, known), symmetric.

    Returns
    -------
    numpy.ndarray
        shape=(n, n), float32.

    Examples
    --------
    >>> sure, torn = [1.0, 0.0], [0.5, 0.5]
    >>> agreements(np.array([sure, sure, torn], dtype=np.float32), np.eye(2, dtype=bool))[0].tolist()
    [1.0, 1.0, 0.5]
    """
    found: NDArray[np.float32] = (weights @ alike.astype(np.float32)) @ weights.T
    return np.clip(found, 0, 1)


@dataclass(frozen=True)
class Votes:
    """How a pair's logit and its agreement make a probability (logistic regression).

    ``temperature`` of the votes; ``weights`` of the logit, of the logarithm of the agreement, and of that of its opposite;
    ``offset``.
    """

    temperature: float
    weights: tuple[float, float, float]
    offset: float

    def probability(self, logit: NDArray[np.floating], agreement: NDArray[np.floating]) -> NDArray[np.float64]:
        """Join logits and agreements, shape=(n,) each.

        Examples
        --------
        >>> Votes(0.2, (0.5, 0.5, -0.5), 0.0).probability(np.zeros(3), np.array([0.1, 0.5, 0.9])).round(2).tolist()
        [0.25, 0.5, 0.75]
        """
        odds = np.clip(_terms(logit, agreement) @ np.array(self.weights) + self.offset, -60, 60)
        found: NDArray[np.float64] = 1 / (1 + np.exp(-odds))
        return found


def fit_votes(logit: NDArray[np.floating], agreement: Any, alike: NDArray[np.bool_]) -> Votes:
    """Choose the temperature and the weights on pairs of compounds that are not among the voters.

    Parameters
    ----------
    logit : numpy.ndarray
        shape=(n_pairs,).
    agreement : callable
        Temperature to shape=(n_pairs,).
    alike : numpy.ndarray
        shape=(n_pairs,), bool.

    Returns
    -------
    Votes
        Those with the least log loss, each judged on folds that it was not fitted on.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score

    regression = LogisticRegression(C=100.0, max_iter=1000)
    terms = {temperature: _terms(logit, agreement(temperature)) for temperature in TEMPERATURES}
    scores = {
        temperature: float(cross_val_score(regression, x, alike, scoring="neg_log_loss").mean())
        for temperature, x in terms.items()
    }
    best = max(scores, key=lambda temperature: scores[temperature])
    fitted = regression.fit(terms[best], alike)
    first, second, third = (float(each) for each in fitted.coef_[0])
    return Votes(best, (first, second, third), float(fitted.intercept_[0]))


def _terms(logit: NDArray[np.floating], agreement: NDArray[np.floating]) -> NDArray[np.float64]:
    known = np.asarray(agreement, dtype=np.float64)
    return np.stack([np.asarray(logit, dtype=np.float64), np.log(known + _LEAST), np.log(1 + _LEAST - known)], axis=1)
