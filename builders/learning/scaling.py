"""Standardised descriptors without gaps and without extremes."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data


class BoundedScaler(TransformerMixin, BaseEstimator):
    """Fill gaps with medians, standardise, and cut off beyond some standard deviations.

    A descriptor far beyond all that was trained on then weighs no more than one at the rim.

    Parameters
    ----------
    bound : float
        Standard deviations.

    Attributes
    ----------
    median_, mean_, scale_ : numpy.ndarray
        shape=(n_features,).

    Examples
    --------
    >>> BoundedScaler(bound=1.0).fit_transform([[0.0], [np.nan], [1.0], [9.0]]).round(2).ravel().tolist()
    [-0.76, -0.48, -0.48, 1.0]
    """

    def __init__(self, bound: float = 4.0) -> None:
        self.bound = bound

    def fit(self, X: Any, y: Any = None) -> BoundedScaler:  # noqa: N803  (scikit-learn's names)
        """Learn medians, means and deviations."""
        X = validate_data(self, X, ensure_all_finite="allow-nan", dtype=np.float64)  # noqa: N806
        known = np.isfinite(X)
        self.median_ = np.array(
            [np.median(column[mask]) if mask.any() else 0.0 for column, mask in zip(X.T, known.T, strict=True)]
        )
        filled = np.where(known, X, self.median_)
        self.mean_ = filled.mean(axis=0)
        scale = filled.std(axis=0)
        # Rounding leaves a constant column of large numbers with a deviation that means nothing.
        self.scale_ = np.where(scale > 1e-12 * (1.0 + np.abs(self.mean_)), scale, 1.0)
        return self

    def transform(self, X: Any) -> Any:  # noqa: N803
        """Return bounded standard scores, shape=(n, n_features)."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, ensure_all_finite="allow-nan", dtype=np.float64)  # noqa: N806
        filled = np.where(np.isfinite(X), X, self.median_)
        return np.clip((filled - self.mean_) / self.scale_, -self.bound, self.bound)
