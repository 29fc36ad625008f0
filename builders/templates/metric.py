"""A learned distance of compositions: how far a template's species are from those that shall replace them.

Every species of a composition is a vector that depends on its element, its share and its company. The dissimilarity of a
query and a template under a mapping is the sum of the squared distances of the paired vectors, plus the published element
distances. The vectors were trained so that templates near a query have its arrangement (neighbourhood components analysis,
Goldberger et al., NIPS 17, 2004, with a softmax over the templates of the stoichiometry class).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from builders.templates.candidates import Proposals

PRIOR_FEATURES = 5


@dataclass(frozen=True, eq=False)
class LearnedMetric:
    """Weights of one trained metric, evaluated with NumPy.

    Attributes
    ----------
    element : numpy.ndarray
        shape=(95, c), hidden vector of each element; indexed by atomic numbers.
    first_weight, first_bias : numpy.ndarray
        shape=(3 c + 4, h) and (h,): the hidden layer that sees a species, the mean and the maximum of its company, and shares.
    second_weight, second_bias : numpy.ndarray
        shape=(h, d) and (d,).
    direct_weight, direct_bias : numpy.ndarray
        shape=(c, d) and (d,): linear path past the hidden layer.
    prior_weight, prior_bias, prior_out, prior_offset : numpy.ndarray
        shape=(5, p), (p,), (p,) and (): what a template's own stability and size say.
    base_factor : float
        Weight of the published element distances.
    """

    element: NDArray[np.float64]
    first_weight: NDArray[np.float64]
    first_bias: NDArray[np.float64]
    second_weight: NDArray[np.float64]
    second_bias: NDArray[np.float64]
    direct_weight: NDArray[np.float64]
    direct_bias: NDArray[np.float64]
    prior_weight: NDArray[np.float64]
    prior_bias: NDArray[np.float64]
    prior_out: NDArray[np.float64]
    prior_offset: NDArray[np.float64]
    base_factor: float

    def encode(self, numbers: NDArray[np.integer], fractions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Vectors of the species of compositions of one ratio.

        Parameters
        ----------
        numbers : numpy.ndarray
            shape=(n, k), atomic numbers.
        fractions : numpy.ndarray
            shape=(k,), atomic fractions.

        Returns
        -------
        numpy.ndarray
            shape=(n, k, d). Permuting species of equal amount permutes their vectors.
        """
        own = self.element[np.asarray(numbers, np.int64)]
        mean = np.broadcast_to((own * fractions[:, None]).sum(1, keepdims=True), own.shape)
        most = np.broadcast_to(own.max(1, keepdims=True), own.shape)
        k = len(fractions)
        shares = np.stack([fractions, np.log(fractions), np.full(k, k / 5.0), np.full(k, fractions.max())], axis=1)
        given = np.concatenate([own, mean, most, np.broadcast_to(shares, (len(own), k, 4))], axis=2)
        hidden = _silu(given @ self.first_weight + self.first_bias) @ self.second_weight + self.second_bias
        vectors: NDArray[np.float64] = own @ self.direct_weight + self.direct_bias + hidden
        return vectors

    def prior(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """What :func:`prior_features` of templates say, shape=(m, 5) to (m,)."""
        hidden = _silu(features @ self.prior_weight + self.prior_bias)
        said: NDArray[np.float64] = hidden @ self.prior_out + self.prior_offset
        return said

    def scores(self, proposals: Proposals, base: NDArray[np.floating]) -> NDArray[np.float64]:
        """Logarithmic weight of every proposal; their softmax is the share of each in the vote.

        Parameters
        ----------
        proposals : Proposals
        base : numpy.ndarray
            shape=(m,), summed published distances.

        Returns
        -------
        numpy.ndarray
            shape=(m,).
        """
        replaced = np.asarray(proposals.replaced, np.int64)
        asked = np.asarray(proposals.numbers, np.int64)[None, :]
        vectors = self.encode(np.concatenate([asked, replaced]), proposals.fractions)
        apart = ((vectors[0] - vectors[1:]) ** 2).sum(axis=(1, 2))
        scores: NDArray[np.float64] = self.prior(prior_features(proposals)) - apart - self.base_factor * base
        return scores


def prior_features(proposals: Proposals) -> NDArray[np.float64]:
    """Stability and size of templates as the metric sees them, shape=(m, 5)."""
    unknown = np.isnan(proposals.hull)
    hull = np.where(unknown, 0.1, np.clip(proposals.hull, 0.0, 0.5))
    atoms = np.asarray(proposals.formula_units, np.float64) * np.asarray(proposals.amounts).sum()
    return np.stack([4.0 * hull, np.exp(-hull / 0.02), proposals.lowest(), unknown, np.log(atoms) / 3.0], axis=1)


def metric_from(arrays: Mapping[str, NDArray[np.float64]], prefix: str) -> LearnedMetric:
    """Read a metric from the arrays of a weights file, whose names begin with ``prefix``."""
    from dataclasses import fields

    found = {field.name: np.asarray(arrays[f"{prefix}{field.name}"], np.float64) for field in fields(LearnedMetric)}
    return LearnedMetric(**{**found, "base_factor": float(found["base_factor"])})  # type: ignore[arg-type]


def _silu(x: NDArray[np.float64]) -> NDArray[np.float64]:
    silu: NDArray[np.float64] = x / (1.0 + np.exp(-x))
    return silu
