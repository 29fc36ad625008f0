"""Support vector regression with a polynomial kernel, tuned as in the study of migration energies.

Osipov et al., Doklady RAN. Mat. Inf. Proc. Upr. 514 (2023) 355, doi:10.31857/S2686954323601033: C, epsilon and the degree of
the kernel are chosen from a grid by ten-fold cross-validation; Table 5 gives C 0.1, degree 1, epsilon 0.034 eV.

A polynomial knows no bounds: far from what it was trained on it says anything (the study's own says -3.33 eV for a path of
Li2FeSiO4). This estimator reproduces the study and answers as it answers; no number of it may reach a user unchecked.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sklearn import config_context
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

from builders.learning.splits import canonical_order, level_folds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

PUBLISHED: Final = {"C": 0.1, "degree": 1, "epsilon": 0.034}
"""Table 5 of the study; epsilon in eV."""


class PolynomialSVR(RegressorMixin, BaseEstimator):
    """Polynomial SVR on standardised inputs, with C, epsilon and degree chosen by cross-validation.

    The kernel is ``(x . x' / features + coef0) ** degree``. Each setting of the grid is scored by the mean absolute error over
    the rows that its folds kept out: the study names no score, the loss of the SVR is an absolute one, and a squared score
    would let a few barriers above 2 eV decide. Of equal settings the simplest wins (lowest degree, then C, then widest
    epsilon). A setting whose solver does not converge within ``max_steps`` steps is passed over.

    The folds are level in the target and do not depend on the order of the rows. With fewer rows than ``folds`` each row is
    kept out once; a single row gives a constant.

    Parameters
    ----------
    Cs : sequence of float
        Penalties of errors beyond epsilon, per unit of the target.
    epsilons : sequence of float
        Half-widths of the band without penalty, in the unit of the target (eV).
    degrees : sequence of int
        Degrees of the kernel.
    coef0 : float
        Constant of the kernel.
    folds : int
        Folds of the search; published: 10.
    max_steps : int
        Steps after which a solver is stopped.
    random_state : int, RandomState or None
        Seed of the folds.

    Attributes
    ----------
    best_params_ : dict
        ``C``, ``epsilon``, ``degree``; empty where a single row allowed no choice.
    best_score_ : float
        Mean absolute error of the best setting over the kept-out rows; nan where there was no choice.
    best_estimator_ : sklearn.pipeline.Pipeline
        Scaler and SVR with these settings, fitted to all rows.
    n_features_in_ : int

    Examples
    --------
    >>> import numpy as np
    >>> x = np.linspace(1.0, 3.0, 40)[:, None]
    >>> model = PolynomialSVR(degrees=(1,)).fit(x, 2.0 - 0.5 * x[:, 0])
    >>> model.predict([[2.0]]).round(2)
    array([1.])
    """

    def __init__(
        self,
        Cs: Sequence[float] = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0),  # noqa: N803
        epsilons: Sequence[float] = (0.01, 0.034, 0.1),
        degrees: Sequence[int] = (1, 2, 3),
        *,
        coef0: float = 1.0,
        folds: int = 10,
        max_steps: int = 50_000,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.Cs = Cs
        self.epsilons = epsilons
        self.degrees = degrees
        self.coef0 = coef0
        self.folds = folds
        self.max_steps = max_steps
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> PolynomialSVR:  # noqa: N803
        """Choose the settings and fit them to all rows.

        Parameters
        ----------
        X : array-like
            shape=(n, features), any units: inputs are standardised.
        y : array-like
            shape=(n,), eV.
        """
        x, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=1)
        _check_grid(self)
        order = canonical_order(x, np.asarray(y, dtype=np.float64))
        x, y = x[order], np.asarray(y, dtype=np.float64)[order]
        self.best_params_: dict[str, float] = {}
        self.best_score_ = np.nan
        if len(y) < 2:
            self.best_estimator_ = DummyRegressor().fit(x, y)
            return self
        self.best_params_, self.best_score_ = self._search(x, y)
        machine = SVR(
            kernel="poly", gamma=1.0 / x.shape[1], coef0=self.coef0, max_iter=10 * self.max_steps, **self.best_params_
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.best_estimator_ = make_pipeline(StandardScaler(), machine).fit(x, y)
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:  # noqa: N803
        """Predict the target.

        Returns
        -------
        numpy.ndarray
            shape=(n,), eV; unbounded, also below zero.
        """
        check_is_fitted(self)
        x = validate_data(self, X, dtype=np.float64, reset=False)
        found: NDArray[np.float64] = self.best_estimator_.predict(x)
        return found

    def _search(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[dict[str, float], float]:
        """Score every setting; the products of all rows are made once and shared by all settings and folds."""
        z = StandardScaler().fit_transform(x)
        products = z @ z.T / z.shape[1]
        folds = level_folds(len(y), self.folds, check_random_state(self.random_state))
        best: tuple[float, dict[str, float]] = (np.inf, {})
        with config_context(assume_finite=True, skip_parameter_validation=True), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            for degree in sorted(self.degrees):
                gram = (products + self.coef0) ** degree
                slices = [(gram[np.ix_(f.train, f.train)], gram[np.ix_(f.test, f.train)], f) for f in folds]
                for epsilon in sorted(self.epsilons, reverse=True):
                    for c in sorted(self.Cs):
                        error = self._error(slices, y, c, epsilon)
                        if not np.isfinite(error):
                            break  # a larger C takes longer still
                        if error < best[0] * (1.0 - 1e-9):
                            best = error, {"C": c, "epsilon": epsilon, "degree": degree}
        if best[1]:
            return best[1], best[0]
        # Nothing converged (inputs of absurd scale): the mildest setting, as far as it came.
        return {"C": min(self.Cs), "epsilon": max(self.epsilons), "degree": min(self.degrees)}, np.nan

    def _error(self, slices: list[Any], y: NDArray[np.float64], c: float, epsilon: float) -> float:
        total = 0.0
        for train, test, fold in slices:
            machine = SVR(kernel="precomputed", C=c, epsilon=epsilon, max_iter=self.max_steps).fit(train, y[fold.train])
            if np.max(machine.n_iter_) >= self.max_steps:
                return np.inf
            total += float(np.abs(machine.predict(test) - y[fold.test]).sum())
        return total / len(y)


def _check_grid(model: PolynomialSVR) -> None:
    for name in ("Cs", "epsilons", "degrees"):
        values = np.asarray(getattr(model, name), dtype=np.float64)
        if values.ndim != 1 or not len(values) or not np.isfinite(values).all() or (values < 0).any():
            raise ValueError(f"{name!r} of PolynomialSVR must be a list of numbers, none negative; got {values!r}.")
    if model.folds < 2:
        raise ValueError(f"'folds' of PolynomialSVR must be at least 2; got {model.folds!r}.")
