"""FLAML's search for a model and its settings, with the conventions of scikit-learn (optional extra ``automl``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class FlamlRegressor(RegressorMixin, BaseEstimator):
    """FLAML (Wang et al., MLSys 2021) with a budget of trials, not of seconds, over folds that keep groups whole.

    Parameters
    ----------
    trials : int
        Settings that are tried.
    folds : int
    learners : tuple of str
        FLAML's names; each gets its turn. (By default FLAML gives turns by how long learners take, and then no two runs agree.)
    random_state : int

    Attributes
    ----------
    chosen_ : dict
        ``learner`` and its settings.
    """

    def __init__(
        self,
        trials: int = 120,
        folds: int = 3,
        learners: tuple[str, ...] = ("lgbm", "rf", "extra_tree", "kneighbor"),
        random_state: int = 0,
    ) -> None:
        self.trials = trials
        self.folds = folds
        self.learners = learners
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> FlamlRegressor:  # noqa: N803
        """Search, and fit the best on all rows."""
        from flaml import AutoML
        from sklearn.model_selection import GroupKFold

        x, y = validate_data(self, X, y, ensure_all_finite="allow-nan", dtype=np.float64, y_numeric=True)
        self.median_ = np.nan_to_num(np.nanmedian(np.vstack([x, np.zeros(x.shape[1])]), axis=0))
        number = np.arange(len(x)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1].ravel()
        search = AutoML()
        search.fit(
            self._filled(x),
            y,
            task="regression",
            metric="mae",
            max_iter=self.trials,
            time_budget=-1,
            estimator_list=list(self.learners),
            learner_selector="roundrobin",
            eval_method="cv",
            split_type=GroupKFold(self.folds),
            groups=number,
            seed=self.random_state,
            n_jobs=1,
            verbose=0,
        )
        self.search_ = search
        self.chosen_ = {"learner": str(search.best_estimator), **(search.best_config or {})}
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:  # noqa: N803
        """Predict, shape=(n,)."""
        check_is_fitted(self)
        x = validate_data(self, X, ensure_all_finite="allow-nan", dtype=np.float64, reset=False)
        return np.asarray(self.search_.predict(self._filled(x)), dtype=np.float64)

    def _filled(self, x: Any) -> Any:
        return np.where(np.isfinite(x), x, self.median_)
