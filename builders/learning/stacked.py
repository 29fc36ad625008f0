"""Several models as one: a mean whose weights are learned on predictions for rows that the models have not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data

if TYPE_CHECKING:
    from collections.abc import Sequence


class StackedRegressor(RegressorMixin, BaseEstimator):
    """A weighted mean of models.

    The weights are not negative and sum to one. They minimise the absolute error of predictions across grouped folds, and
    are pulled towards equal ones: with few groups the best weights are mostly luck.

    Parameters
    ----------
    members : sequence of (str, estimator)
    folds : int
    pull : float
        0 for the best weights, 1 for equal ones (then nothing is learned and nothing but the members is fitted).
    random_state : int

    Attributes
    ----------
    members_ : list of estimator
    weights_ : numpy.ndarray
        shape=(n_members,).

    Examples
    --------
    >>> from sklearn.dummy import DummyRegressor
    >>> from sklearn.linear_model import LinearRegression
    >>> X = np.arange(40.0)[:, None]
    >>> model = StackedRegressor([("mean", DummyRegressor()), ("line", LinearRegression())], pull=0.0).fit(X, X[:, 0])
    >>> model.weights_.round(2).tolist()
    [0.0, 1.0]
    """

    def __init__(
        self, members: Sequence[tuple[str, Any]] = (), folds: int = 5, pull: float = 0.5, random_state: int = 0
    ) -> None:
        self.members = members
        self.folds = folds
        self.pull = pull
        self.random_state = random_state

    def fit(self, X: Any, y: Any, groups: Any = None) -> StackedRegressor:  # noqa: N803  (scikit-learn's names)
        """Fit the members, and the weights across folds that keep groups whole."""
        X, y = validate_data(self, X, y, ensure_all_finite="allow-nan", dtype=np.float64, y_numeric=True)  # noqa: N806
        equal = np.full(len(self.members), 1.0 / len(self.members))
        self.weights_ = equal
        if self.pull < 1.0 and len(self.members) > 1:
            unseen = self.unseen(X, y, groups)
            self.weights_ = (1.0 - self.pull) * best_weights(unseen, y) + self.pull * equal
        self.members_ = [clone(member).fit(X, y) for _, member in self.members]
        return self

    def unseen(self, X: Any, y: Any, groups: Any = None) -> Any:  # noqa: N803
        """Predict every row by members that were fitted without its group; shape=(n_members, n)."""
        from sklearn.model_selection import GroupKFold, KFold

        X, y = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)  # noqa: N806
        folds: Any
        if groups is None or len(set(groups)) < self.folds:
            folds = KFold(self.folds, shuffle=True, random_state=self.random_state).split(X)
        else:
            folds = GroupKFold(self.folds, shuffle=True, random_state=self.random_state).split(X, y, groups)
        found = np.zeros((len(self.members), len(y)))
        for train, test in folds:
            for row, (_, member) in zip(found, self.members, strict=True):
                row[test] = clone(member).fit(X[train], y[train]).predict(X[test])
        return found

    def predict_members(self, X: Any) -> Any:  # noqa: N803
        """Predictions of each member, shape=(n_members, n)."""
        check_is_fitted(self)
        return np.array([member.predict(X) for member in self.members_])

    def predict(self, X: Any) -> Any:  # noqa: N803
        """Predict, shape=(n,)."""
        return self.weights_ @ self.predict_members(X)


def best_weights(predictions: Any, y: Any) -> Any:
    """Weights, not negative and of sum one, whose mean has the smallest mean absolute error: a linear programme.

    Parameters
    ----------
    predictions : array_like
        shape=(n_members, n).
    y : array_like
        shape=(n,).

    Examples
    --------
    >>> best_weights([[0.0, 2.0, 0.0], [2.0, 0.0, 2.0]], [1.0, 1.0, 1.0]).round(2).tolist()
    [0.5, 0.5]
    """
    from scipy.optimize import linprog

    predictions, y = np.asarray(predictions, dtype=np.float64), np.asarray(y, dtype=np.float64)
    k, n = predictions.shape
    # Variables: k weights, n errors; error >= |sum w p - y|.
    cost = np.concatenate([np.zeros(k), np.full(n, 1.0 / n)])
    eye = np.eye(n)
    above = np.hstack([predictions.T, -eye])
    below = np.hstack([-predictions.T, -eye])
    found = linprog(
        cost,
        A_ub=np.vstack([above, below]),
        b_ub=np.concatenate([y, -y]),
        A_eq=np.concatenate([np.ones(k), np.zeros(n)])[None],
        b_eq=[1.0],
        bounds=(0.0, None),
        method="highs",
    )
    if not found.success:
        return np.full(k, 1.0 / k)
    weights = np.maximum(found.x[:k], 0.0)
    return weights / weights.sum()
