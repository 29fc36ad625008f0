"""One question of the ordinal regression: does a value lie below a boundary? A tuned SVC, and Platt's probability for it.

The probability. ``SVC(probability=True)`` is deprecated in scikit-learn 1.9 and draws folds of its own. What it does is done
here instead: a sigmoid of the decision value (Platt 1999; the targets and the Newton steps of Lin, Lin and Weng, Machine
Learning 68 (2007) 267) is fitted to the decision values of rows that were kept out. The folds of the tuning supply them, so
no machine is trained twice (``CalibratedClassifierCV`` would train five more a boundary), and nothing is drawn again.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

import numpy as np
from scipy.special import expit, xlog1py, xlogy
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import SVC

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from builders.learning.splits import Fold


class Setting(TypedDict):
    """How the classifier of a boundary was set.

    ``boundary`` in eV, ``C``, ``degree``, ``coef0`` (None where no classifier could be trained), ``accuracy`` over kept-out
    rows, ``below`` and ``above``: training rows on both sides, ``rule``: ``tuned``, or ``constant`` where the probability
    is the same everywhere.
    """

    boundary: float
    C: float | None
    degree: int | None
    coef0: float | None
    accuracy: float
    below: int
    above: int
    rule: str


class Grid(NamedTuple):
    """Settings to choose from, and when a solver is stopped."""

    Cs: Sequence[float]
    degrees: Sequence[int]
    coef0s: Sequence[float]
    max_steps: int
    tol: float


class Found(NamedTuple):
    """The best setting of a boundary so far."""

    hits: int
    C: float
    degree: int
    coef0: float
    decisions: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Boundary:
    """A fitted classifier with its sigmoid: the probability that a value lies below the boundary.

    Attributes
    ----------
    setting : Setting
    machine : sklearn.svm.SVC or None
        None: the probability is ``share`` everywhere.
    slope, offset : float
        Of the sigmoid: ``p = 1 / (1 + exp(-(slope * decision + offset)))``; the slope is never negative.
    share : float
        Share of the training rows that lie below.
    """

    setting: Setting
    machine: Any
    slope: float
    offset: float
    share: float

    def below(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probability, shape=(n,), that the value of each row of standardised inputs lies below the boundary."""
        if self.machine is None:
            return np.full(len(z), self.share)
        found: NDArray[np.float64] = expit(self.slope * self.machine.decision_function(z) + self.offset)
        return found


def fit_boundaries(
    z: NDArray[np.float64],
    y: NDArray[np.float64],
    boundaries: NDArray[np.float64],
    folds: list[Fold],
    grid: Grid,
) -> list[Boundary]:
    """Tune a classifier at each boundary on its own, and calibrate it.

    Parameters
    ----------
    z : numpy.ndarray
        shape=(n, features), standardised.
    y : numpy.ndarray
        shape=(n,), sorted.
    boundaries : numpy.ndarray
        shape=(m,), rising.
    folds : list of Fold
        Shared by all boundaries, level in ``y`` (``splits.level_folds``): so each Gram matrix is made once for all.
    grid : Grid

    Returns
    -------
    list of Boundary
        A side with fewer rows than there are folds allows no tuning: its probability is the share of rows below, everywhere.
        So it is where no solver of the grid converged, and where the kept-out rows are told the wrong way round.
    """
    targets = {k: (y < boundary).astype(np.intp) for k, boundary in enumerate(boundaries)}
    tuned = {k: t for k, t in targets.items() if folds and min(t.sum(), len(t) - t.sum()) >= len(folds)}
    found = search(z, tuned, folds, grid)
    return [
        _calibrated(z, t, float(boundaries[k]), found[k], grid) if k in found else _constant(t, float(boundaries[k]))
        for k, t in targets.items()
    ]


def search(
    z: NDArray[np.float64], targets: dict[int, NDArray[np.intp]], folds: list[Fold], grid: Grid
) -> dict[int, Found]:
    """Find the setting of best accuracy over kept-out rows for each target.

    Of equal settings the first counts: lowest degree, then coef0, then C. A setting whose solver does not converge within
    ``max_steps`` steps is passed over, and so are larger C with the same kernel, which take longer still (a hard margin between
    classes that overlap). At degree 1 coef0 shifts all decision values alike and the intercept takes it back: one is tried.
    """
    best: dict[int, Found] = {}
    if not targets:
        return best
    products = z @ z.T / z.shape[1]
    with config_context(assume_finite=True, skip_parameter_validation=True), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for degree in sorted(grid.degrees):
            for coef0 in sorted(grid.coef0s)[: 1 if degree == 1 else None]:
                gram = (products + coef0) ** degree
                slices = [(gram[np.ix_(f.train, f.train)], gram[np.ix_(f.test, f.train)], f) for f in folds]
                for k, t in targets.items():
                    for c in sorted(grid.Cs):
                        decisions = _kept_out(slices, t, c, grid)
                        if decisions is None:
                            break
                        hits = int(((decisions > 0) == t).sum())
                        if k not in best or hits > best[k].hits:
                            best[k] = Found(hits, c, degree, coef0, decisions)
    return best


def _kept_out(slices: list[Any], t: NDArray[np.intp], c: float, grid: Grid) -> NDArray[np.float64] | None:
    """Decision values of all rows, each from the machine that did not see it; None where one did not converge."""
    decisions = np.empty(len(t))
    for train, test, fold in slices:
        machine = SVC(kernel="precomputed", C=c, tol=grid.tol, max_iter=grid.max_steps).fit(train, t[fold.train])
        if np.max(machine.n_iter_) >= grid.max_steps:
            return None
        decisions[fold.test] = machine.decision_function(test)
    return decisions


def _calibrated(z: NDArray[np.float64], t: NDArray[np.intp], boundary: float, found: Found, grid: Grid) -> Boundary:
    slope, offset = fit_sigmoid(found.decisions, t)
    if slope <= 0.0:
        # What is kept out is told the wrong way round: the machine knows nothing here.
        return _constant(t, boundary)
    machine = SVC(
        kernel="poly",
        gamma=1.0 / z.shape[1],
        C=found.C,
        degree=found.degree,
        coef0=found.coef0,
        tol=grid.tol,
        max_iter=10 * grid.max_steps,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        machine.fit(z, t)
    below = int(t.sum())
    setting = Setting(
        boundary=boundary,
        C=found.C,
        degree=found.degree,
        coef0=found.coef0,
        accuracy=found.hits / len(t),
        below=below,
        above=len(t) - below,
        rule="tuned",
    )
    return Boundary(setting, machine, slope, offset, below / len(t))


def _constant(t: NDArray[np.intp], boundary: float) -> Boundary:
    below = int(t.sum())
    share = below / len(t)
    setting = Setting(
        boundary=boundary,
        C=None,
        degree=None,
        coef0=None,
        accuracy=max(share, 1.0 - share),
        below=below,
        above=len(t) - below,
        rule="constant",
    )
    return Boundary(setting, None, 0.0, 0.0, share)


def fit_sigmoid(decisions: NDArray[np.float64], t: NDArray[np.intp]) -> tuple[float, float]:
    """Fit Platt's sigmoid to decision values: the probability of class 1.

    Parameters
    ----------
    decisions : numpy.ndarray
        shape=(n,), of rows that were kept out.
    t : numpy.ndarray
        shape=(n,), 0 or 1, both present.

    Returns
    -------
    slope, offset : float
        ``p = 1 / (1 + exp(-(slope * decision + offset)))``.

    Examples
    --------
    >>> import numpy as np
    >>> slope, offset = fit_sigmoid(np.array([-2.0, -1.0, 1.0, 2.0]), np.array([0, 0, 1, 1]))
    >>> round(slope, 3), round(offset, 3) + 0.0
    (0.674, 0.0)
    """
    ones = int(t.sum())
    # Platt's targets: a prior of one more row on each side keeps separable classes from an infinite slope.
    goal = np.where(t == 1, (ones + 1.0) / (ones + 2.0), 1.0 / (len(t) - ones + 2.0))
    scale = float(np.abs(decisions).max()) or 1.0
    design = np.column_stack([decisions / scale, np.ones(len(t))])
    theta = np.array([0.0, np.log((ones + 1.0) / (len(t) - ones + 1.0))])

    def loss(at: NDArray[np.float64]) -> float:
        p = expit(design @ at)
        return -float((xlogy(goal, p) + xlog1py(1.0 - goal, -p)).sum())

    value = loss(theta)
    for _ in range(100):
        p = expit(design @ theta)
        slope = design.T @ (p - goal)
        if np.abs(slope).max() < 1e-9 * len(t):
            break
        curvature = design.T @ (design * (p * (1.0 - p))[:, None]) + 1e-12 * np.eye(2)
        step = np.linalg.solve(curvature, slope)
        for _halved in range(40):
            if (new := loss(theta - step)) <= value:
                break
            step *= 0.5
        theta, value = theta - step, new
    return float(theta[0] / scale), float(theta[1])
