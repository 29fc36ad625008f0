"""Kernel machines whose settings do not depend on how many columns there are, for comparisons over feature sets."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class ScaledSVR(RegressorMixin, BaseEstimator):
    """Support vector regression with a Gaussian kernel, ``gamma = scale / n_features``.

    Parameters
    ----------
    C, epsilon : float
        As ``sklearn.svm.SVR``.
    scale : float

    Examples
    --------
    >>> X = np.linspace(-1, 1, 50)[:, None]
    >>> bool(abs(ScaledSVR(C=10.0, epsilon=0.01).fit(X, X[:, 0] ** 2).predict([[0.5]])[0] - 0.25) < 0.05)
    True
    """

    def __init__(self, C: float = 1.0, epsilon: float = 0.1, scale: float = 1.0) -> None:  # noqa: N803
        self.C = C
        self.epsilon = epsilon
        self.scale = scale

    def fit(self, X: ArrayLike, y: ArrayLike) -> ScaledSVR:  # noqa: N803  (scikit-learn's names)
        """Train the machine."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.svm import SVR

        x, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        machine = SVR(C=self.C, epsilon=self.epsilon, gamma=self.scale / x.shape[1], max_iter=200_000)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.machine_ = machine.fit(x, y)
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:  # noqa: N803
        """Predict, shape=(n,)."""
        check_is_fitted(self)
        x = validate_data(self, X, dtype=np.float64, reset=False)
        found: NDArray[np.float64] = self.machine_.predict(x)
        return found


class MaternProcess(RegressorMixin, BaseEstimator):
    """Gaussian process with one length for all columns; length, height and noise by maximum likelihood.

    The target is standardised within (``normalize_y``), and the length starts at the root of the number of columns, the usual
    distance of standardised rows.

    Parameters
    ----------
    smoothness : float
        ``nu`` of the Matérn kernel: 0.5, 1.5 or 2.5.
    noise : float
        Where the search for the noise starts, in variances of the target.

    Examples
    --------
    >>> X = np.linspace(-1, 1, 30)[:, None]
    >>> bool(abs(MaternProcess(2.5).fit(X, X[:, 0] ** 2).predict([[0.5]])[0] - 0.25) < 0.02)
    True
    """

    def __init__(self, smoothness: float = 1.5, noise: float = 0.3) -> None:
        self.smoothness = smoothness
        self.noise = noise

    def fit(self, X: ArrayLike, y: ArrayLike) -> MaternProcess:  # noqa: N803  (scikit-learn's names)
        """Fit the process."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

        x, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        length = float(np.sqrt(x.shape[1]))
        smooth = Matern(length_scale=length, length_scale_bounds=(0.05 * length, 50 * length), nu=self.smoothness)
        kernel = ConstantKernel(1.0, (1e-2, 1e2)) * smooth + WhiteKernel(self.noise, (1e-3, 1e1))
        process = GaussianProcessRegressor(kernel, alpha=1e-8, normalize_y=True)
        with warnings.catch_warnings():
            # A setting at its bound is a fact about the data, not a fault.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.process_ = process.fit(x, y)
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:  # noqa: N803
        """Predict, shape=(n,)."""
        check_is_fitted(self)
        x = validate_data(self, X, dtype=np.float64, reset=False)
        found: NDArray[np.float64] = self.process_.predict(x)
        return found
