"""Gradient-boosted trees by LightGBM, monotone where physics says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

if TYPE_CHECKING:
    from collections.abc import Sequence


class MonotoneBoosting(RegressorMixin, BaseEstimator):
    """LightGBM with the settings that suit some hundred to some thousand rows, and monotone constraints.

    Parameters
    ----------
    trends : sequence of int or None
        shape=(n_features,); 1 where the prediction may only rise with a feature, -1 where it may only fall, 0 where it is
        free. None: free everywhere.
    n_estimators, learning_rate, num_leaves, min_child_samples, colsample_bytree, reg_lambda
        As LightGBM's.
    objective : str
        "huber" weighs outliers less, "l2" predicts means.
    random_state : int

    Attributes
    ----------
    booster_ : lightgbm.Booster

    Examples
    --------
    >>> X, noise = np.linspace(0, 1, 200)[:, None], np.random.default_rng(0).normal(0, 0.3, 200)
    >>> model = MonotoneBoosting(trends=[1]).fit(X, X[:, 0] + noise)
    >>> bool((np.diff(model.predict(X)) >= -1e-12).all())
    True
    """

    def __init__(
        self,
        trends: Sequence[int] | None = None,
        n_estimators: int = 300,
        learning_rate: float = 0.04,
        num_leaves: int = 12,
        min_child_samples: int = 8,
        colsample_bytree: float = 0.4,
        reg_lambda: float = 1.0,
        objective: str = "huber",
        random_state: int = 0,
    ) -> None:
        self.trends = trends
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.num_leaves = num_leaves
        self.min_child_samples = min_child_samples
        self.colsample_bytree = colsample_bytree
        self.reg_lambda = reg_lambda
        self.objective = objective
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> MonotoneBoosting:  # noqa: N803  (scikit-learn's names)
        """Train the trees."""
        import lightgbm

        X, y = validate_data(self, X, y, ensure_all_finite="allow-nan", dtype=np.float64, y_numeric=True)  # noqa: N806
        settings: dict[str, Any] = {
            "objective": self.objective,
            "alpha": 0.5,
            "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves,
            "min_data_in_leaf": self.min_child_samples,
            "feature_fraction": self.colsample_bytree,
            "bagging_fraction": 0.7,
            "bagging_freq": 1,
            "lambda_l2": self.reg_lambda,
            "seed": self.random_state,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": 1,
            "verbosity": -1,
        }
        if self.trends is not None:
            settings["monotone_constraints"] = list(self.trends)
        data = lightgbm.Dataset(X, y, free_raw_data=True)
        self.booster_ = lightgbm.train(settings, data, num_boost_round=self.n_estimators)
        return self

    def predict(self, X: Any) -> Any:  # noqa: N803
        """Predict, shape=(n,)."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, ensure_all_finite="allow-nan", dtype=np.float64)  # noqa: N806
        return np.asarray(self.booster_.predict(X, num_threads=1))

    @property
    def feature_importances_(self) -> Any:
        """Gain of each feature, normalised to one; shape=(n_features,)."""
        gain = np.asarray(self.booster_.feature_importance("gain"), dtype=np.float64)
        return gain / max(gain.sum(), 1e-12)
