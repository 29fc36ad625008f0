"""Ordinal regression by binary support vector machines, as in the study of migration energies.

Osipov et al., Doklady RAN. Mat. Inf. Proc. Upr. 514 (2023) 355, doi:10.31857/S2686954323601033. m boundaries b_1 < ... < b_m
cut the energies into m + 1 ranges. At each boundary stands a soft-margin SVC with a polynomial kernel, tuned on its own:

(1)  p_k = P(E < b_k), the probability of classifier k that the energy lies below its boundary;
(2)  P(range j) ~ (1/m) [ sum of p_k over boundaries at or above the range + sum of (1 - p_k) over those at or below it ]:
     the mean over all classifiers of the probability that agrees with range j.

The answer is the middle of the most probable range.

Equation (2) ranks ranges well, but it is no distribution over them, even when made to sum to one: if all classifiers are
certain, the true range gets weight 1, its neighbours 1 - 1/m, and the range farthest off still a share. A mean under it is
drawn to the middle of the span. ``predict_expectation`` therefore takes the mean under the classifiers themselves:
``middle_0 + sum_k (1 - p_k) (middle_k - middle_{k-1})``, the mean of the distribution whose cumulative values are the p_k.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

from builders.learning.boundary import Boundary, Grid, Setting, fit_boundaries
from builders.learning.splits import canonical_order, level_folds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

PUBLISHED_BOUNDARIES: Final = tuple(k / 10 for k in range(1, 15))
"""Boundaries of the study, eV: 0.1 to 1.4."""

QUANTILES: Final = 14
"""Boundaries that are spread over the quantiles of the target where none are given: as many as the study's."""

ANSWERS: Final = ("middle", "expectation")


def range_weights(below: NDArray[np.float64]) -> NDArray[np.float64]:
    """Equation (2): the mean over the classifiers of the probability that agrees with each range.

    Parameters
    ----------
    below : numpy.ndarray
        shape=(n, m), p_k of equation (1); boundaries rise along the last axis.

    Returns
    -------
    numpy.ndarray
        shape=(n, m + 1), from 0 to 1; rows do not sum to one. Ones where there is no boundary.

    Examples
    --------
    >>> import numpy as np
    >>> range_weights(np.array([[0.2, 0.7, 0.9]])).round(3)
    array([[0.6  , 0.8  , 0.667, 0.4  ]])
    """
    n, m = below.shape
    if m == 0:
        return np.ones((n, 1))
    none = np.zeros((n, 1))
    over = np.concatenate([np.cumsum(below[:, ::-1], axis=1)[:, ::-1], none], axis=1)
    under = np.concatenate([none, np.cumsum(1.0 - below, axis=1)], axis=1)
    weights: NDArray[np.float64] = (over + under) / m
    return weights


def expectation(below: NDArray[np.float64], middles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of the middles under the distribution whose cumulative values are the p_k of equation (1).

    Parameters
    ----------
    below : numpy.ndarray
        shape=(n, m).
    middles : numpy.ndarray
        shape=(m + 1,), eV.

    Returns
    -------
    numpy.ndarray
        shape=(n,), eV, between the first and the last middle whether or not the p_k rise with k.

    Examples
    --------
    >>> import numpy as np
    >>> expectation(np.array([[0.2, 0.7, 0.9]]), np.array([0.05, 0.15, 0.25, 0.35])).round(3)
    array([0.17])
    """
    found: NDArray[np.float64] = middles[0] + (1.0 - below) @ np.diff(middles)
    return found


def range_middles(boundaries: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Middles of the ranges; the two open ends are taken to be as wide as their neighbours.

    Parameters
    ----------
    boundaries : numpy.ndarray
        shape=(m,), rising, eV.
    y : numpy.ndarray
        shape=(n,), the training values, eV: asked only where no neighbour has a width. With one boundary the open ends are so
        wide that their middles lie at the mean distance of the values from it; with none the middle is the mean value.

    Returns
    -------
    numpy.ndarray
        shape=(m + 1,), eV.

    Examples
    --------
    >>> import numpy as np
    >>> range_middles(np.array([0.1, 0.2, 0.4]), np.array([0.3]))
    array([0.05, 0.15, 0.3 , 0.5 ])
    """
    if len(boundaries) == 0:
        return np.array([y.mean()])
    if len(boundaries) == 1:
        half = float(np.abs(y - boundaries[0]).mean())
        return np.array([boundaries[0] - half, boundaries[0] + half])
    widths = np.diff(boundaries)
    ends = [boundaries[0] - widths[0] / 2], [boundaries[-1] + widths[-1] / 2]
    return np.concatenate([ends[0], boundaries[:-1] + widths / 2, ends[1]])


def quantile_boundaries(y: NDArray[np.float64], m: int = QUANTILES) -> NDArray[np.float64]:
    """At most m boundaries with about equally many values between them, none of them on a value.

    Examples
    --------
    >>> import numpy as np
    >>> quantile_boundaries(np.array([0.0, 0.0, 1.0, 1.0, 4.0, 4.0]))
    array([0.5, 2.5])
    """
    values, counts = np.unique(y, return_counts=True)
    if len(values) < 2:
        return np.empty(0)
    # A cut after each value but the last; for each quantile the one with the nearest number of rows below.
    below = np.cumsum(counts)[:-1]
    wanted = len(y) * np.arange(1, m + 1) / (m + 1)
    cut = np.unique(np.abs(below[None, :] - wanted[:, None]).argmin(axis=1))
    found: NDArray[np.float64] = (values[cut] + values[cut + 1]) / 2.0
    return found


class OrdinalSVC(RegressorMixin, BaseEstimator):
    """Ordinal regression with a polynomial SVC at each boundary; predicts the middle of the most probable range.

    Inputs are standardised; the kernel is ``(x . x' / features + coef0) ** degree``. Each classifier chooses (C, degree, coef0)
    by its accuracy in ``folds``-fold cross-validation: folds are level at every boundary, shared by all, and do not depend on
    the order of the rows. Scaler and Gram matrices are made once from all rows (without their targets).

    A boundary with fewer than ``folds`` training rows on one side cannot be tuned: its probability is the share of training
    rows below it, everywhere (0 or 1 where a side is empty). The same holds where no solver of the grid converged, and where
    the kept-out rows are told the wrong way round. ``settings_`` says so with the rule ``constant``.

    Parameters
    ----------
    boundaries : sequence of float or None
        Rising, eV; published: 0.1 to 1.4 in steps of 0.1. None spreads 14 over the quantiles of the target.
    Cs, degrees, coef0s : sequences
        The grid. The defaults are the values that Table 4 of the study names; its grid is not printed.
    folds : int
        Folds of the tuning; published: 5.
    answer : {"middle", "expectation"}
        What ``predict`` returns: the middle of the most probable range (published; the lower of equally probable ones), or the
        expectation.
    max_steps, tol : int, float
        Steps after which, and precision at which, a solver stops. A setting that needs more steps is passed over.
    random_state : int, RandomState or None
        Seed of the folds.

    Attributes
    ----------
    boundaries_ : numpy.ndarray
        shape=(m,), eV.
    ranges_ : numpy.ndarray
        shape=(m + 1, 2), eV: lower end (belongs to the range) and upper end (does not); infinite at the open ends.
    middles_ : numpy.ndarray
        shape=(m + 1,), eV; open ends are taken to be as wide as their neighbours (published boundaries: 0.05 and 1.45).
    settings_ : list of Setting
        Per boundary: boundary, C, degree, coef0, accuracy, training rows below and above, rule.
    n_features_in_ : int

    Examples
    --------
    >>> import numpy as np
    >>> x = np.linspace(1.0, 2.5, 60)[:, None]
    >>> model = OrdinalSVC(degrees=(1,)).fit(x, 2.5 - x[:, 0])
    >>> model.predict([[1.85]])
    array([0.65])
    >>> int(model.predict_range_proba([[1.85]]).argmax()), model.ranges_[6].tolist()
    (6, [0.6, 0.7])
    """

    def __init__(
        self,
        boundaries: Sequence[float] | None = PUBLISHED_BOUNDARIES,
        Cs: Sequence[float] = (1.0, 2.0, 3.0, 8.0, 10.0),  # noqa: N803
        degrees: Sequence[int] = (1, 2, 3, 4),
        coef0s: Sequence[float] = (1.0, 7.0),
        *,
        folds: int = 5,
        answer: str = "middle",
        max_steps: int = 20_000,
        tol: float = 1e-2,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.boundaries = boundaries
        self.Cs = Cs
        self.degrees = degrees
        self.coef0s = coef0s
        self.folds = folds
        self.answer = answer
        self.max_steps = max_steps
        self.tol = tol
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> OrdinalSVC:  # noqa: N803
        """Tune and fit the classifiers.

        Parameters
        ----------
        X : array-like
            shape=(n, features), any units: inputs are standardised.
        y : array-like
            shape=(n,), eV.
        """
        x, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=1)
        energies = np.asarray(y, dtype=np.float64)
        self._check()
        order = canonical_order(x, energies)
        x, energies = x[order], energies[order]
        self.boundaries_ = self._boundaries(energies)
        ends = np.concatenate([[-np.inf], self.boundaries_, [np.inf]])
        self.ranges_ = np.column_stack([ends[:-1], ends[1:]])
        self.middles_ = range_middles(self.boundaries_, energies)
        self.scaler_ = StandardScaler().fit(x)
        generator = check_random_state(self.random_state)
        folds = level_folds(len(x), self.folds, generator) if len(x) > 1 else []
        grid = Grid(self.Cs, self.degrees, self.coef0s, self.max_steps, self.tol)
        self.classifiers_: list[Boundary] = fit_boundaries(
            self.scaler_.transform(x), energies, self.boundaries_, folds, grid
        )
        self.settings_: list[Setting] = [each.setting for each in self.classifiers_]
        return self

    def predict_below(self, X: ArrayLike) -> NDArray[np.float64]:  # noqa: N803
        """Equation (1): the probability that the energy lies below each boundary.

        Returns
        -------
        numpy.ndarray
            shape=(n, m). Each classifier stands alone: values need not rise from boundary to boundary.
        """
        check_is_fitted(self)
        z = self.scaler_.transform(validate_data(self, X, dtype=np.float64, reset=False))
        return np.array([each.below(z) for each in self.classifiers_]).reshape(len(self.classifiers_), len(z)).T

    def predict_range_proba(self, X: ArrayLike) -> NDArray[np.float64]:  # noqa: N803
        """Equation (2), made to sum to one over the ranges.

        Not called ``predict_proba``: scikit-learn forbids regressors to have one.

        Returns
        -------
        numpy.ndarray
            shape=(n, m + 1).
        """
        weights = range_weights(self.predict_below(X))
        found: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
        return found

    def predict_range(self, X: ArrayLike) -> NDArray[np.intp]:  # noqa: N803
        """Number of the most probable range (row of ``ranges_``), shape=(n,); the lower of equally probable ones."""
        # Rounded: ranges whose weights differ by noise of summation are equally probable.
        found: NDArray[np.intp] = range_weights(self.predict_below(X)).round(12).argmax(axis=1)
        return found

    def predict_expectation(self, X: ArrayLike) -> NDArray[np.float64]:  # noqa: N803
        """Mean under the classifiers' probabilities (see the module), shape=(n,), eV."""
        return expectation(self.predict_below(X), self.middles_)

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:  # noqa: N803
        """Predict energies.

        Returns
        -------
        numpy.ndarray
            shape=(n,), eV, between the first and the last middle.
        """
        if self.answer == "expectation":
            return self.predict_expectation(X)
        most_probable = self.predict_range(X)
        found: NDArray[np.float64] = self.middles_[most_probable]
        return found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # Boundaries in eV answer between their ends whatever the target is: checks that use other targets must know.
        tags.regressor_tags.poor_score = self.boundaries is not None
        return tags

    def _check(self) -> None:
        if self.answer not in ANSWERS:
            raise ValueError(f"'answer' of OrdinalSVC must be one of {ANSWERS}; got {self.answer!r}.")
        if self.folds < 2:
            raise ValueError(f"'folds' of OrdinalSVC must be at least 2; got {self.folds!r}.")
        for name in ("Cs", "degrees", "coef0s"):
            values = np.asarray(getattr(self, name), dtype=np.float64)
            if values.ndim != 1 or not len(values) or not np.isfinite(values).all() or (values < 0).any():
                raise ValueError(f"{name!r} of OrdinalSVC must be a list of numbers, none negative; got {values!r}.")

    def _boundaries(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.boundaries is None:
            return quantile_boundaries(y)
        found = np.asarray(self.boundaries, dtype=np.float64)
        if found.ndim != 1 or not np.isfinite(found).all() or (np.diff(found) <= 0).any():
            raise ValueError(f"'boundaries' of OrdinalSVC must be finite and rise; got {self.boundaries!r}.")
        return found
