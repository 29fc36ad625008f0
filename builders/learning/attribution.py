"""What each group of columns adds to a prediction: exact Shapley values of boosted trees, summed before anything is made of them.

LightGBM computes Shapley values of its trees exactly (TreeSHAP: Lundberg et al., Nature Machine Intelligence 2 (2020) 56; the
path-dependent form). They are additive, and so is a group: what a Betti curve contributes is the sum over its columns. Of
neighbouring radii one often raises and the next lowers; taking absolute values column by column would count that as
importance. Here the sum comes first, the absolute value after.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray


class Contributions(NamedTuple):
    """Shapley values of columns.

    Attributes
    ----------
    values : numpy.ndarray
        shape=(n, n_columns), in the unit of the prediction.
    expected : numpy.ndarray
        shape=(n,); the prediction where nothing is known. ``expected + values.sum(axis=1)`` is the prediction.
    """

    values: NDArray[np.float64]
    expected: NDArray[np.float64]


class Ranked(NamedTuple):
    """How much a group of columns matters over all rows.

    Attributes
    ----------
    name : str
    importance : float
        Mean over the rows of the absolute value of the group's summed contribution.
    lower, upper : float
        95 % interval, whole groups of rows resampled.
    """

    name: str
    importance: float
    lower: float
    upper: float


def tree_contributions(booster: Any, features: ArrayLike) -> Contributions:
    """Compute exact Shapley values of a LightGBM model.

    Parameters
    ----------
    booster : lightgbm.Booster
    features : array-like
        shape=(n, n_columns).

    Returns
    -------
    Contributions
    """
    found = np.asarray(booster.predict(np.asarray(features, dtype=np.float64), pred_contrib=True, num_threads=1))
    return Contributions(found[:, :-1], found[:, -1])


def grouped(values: NDArray[np.float64], labels: Sequence[str]) -> tuple[list[str], NDArray[np.float64]]:
    """Sum contributions over the columns of each group.

    Parameters
    ----------
    values : numpy.ndarray
        shape=(n, n_columns).
    labels : sequence of str
        shape=(n_columns,), the group of each column.

    Returns
    -------
    names : list of str
        Groups, in order of first appearance.
    sums : numpy.ndarray
        shape=(n, n_groups), signed.

    Examples
    --------
    >>> names, sums = grouped(np.array([[0.5, -0.4, 0.2]]), ["a", "a", "b"])  # by columns 'a' would weigh 0.9
    >>> names, sums.round(3).tolist()
    (['a', 'b'], [[0.1, 0.2]])
    """
    if values.ndim != 2 or values.shape[1] != len(labels):
        raise ValueError(f"A label is needed for each column; got {len(labels)} for shape {values.shape}.")
    names = list(dict.fromkeys(labels))
    place = {name: number for number, name in enumerate(names)}
    sums = np.zeros((len(names), len(values)))
    np.add.at(sums, np.array([place[label] for label in labels], dtype=np.intp), values.T)
    return names, np.ascontiguousarray(sums.T)


def ranking(
    names: Sequence[str], sums: NDArray[np.float64], groups: ArrayLike, resamples: int = 1000, seed: int = 0
) -> list[Ranked]:
    """Rank groups of columns by the mean absolute value of their summed contributions.

    Parameters
    ----------
    names, sums
        From :func:`grouped`.
    groups : array-like
        shape=(n,); rows of one group (a formula measured several times) are resampled together.
    resamples : int
    seed : int

    Returns
    -------
    list of Ranked
        The most important first.

    Examples
    --------
    >>> [each.name for each in ranking(["a", "b"], np.array([[0.1, -3.0], [-0.1, 2.0]]), [0, 1])]
    ['b', 'a']
    """
    number = np.unique(np.asarray(groups), return_inverse=True)[1].ravel()
    if len(number) != len(sums):
        raise ValueError(f"A group is needed for each row; got {len(number)} for {len(sums)} rows.")
    sizes = np.abs(sums)
    count = int(number.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1.0 / count), size=resamples)[:, number]
    means = drawn @ sizes / drawn.sum(axis=1, keepdims=True)
    low, high = np.quantile(means, (0.025, 0.975), axis=0)
    whole = sizes.mean(axis=0)
    found = [Ranked(name, *map(float, row)) for name, *row in zip(names, whole, low, high, strict=True)]
    return sorted(found, key=lambda each: (-each.importance, each.name))


def share_among_bars(
    contributions: NDArray[np.float64], grid: NDArray[np.float64], bars: NDArray[np.float64], width: float = 0.0
) -> tuple[NDArray[np.float64], float]:
    """Share what a Betti curve contributes among the bars that make it.

    The bars that make a column share its contribution as they make it: equally where it counts those alive at its radius,
    by the time that each is alive where it is the mean over an interval. The curve cannot tell them apart otherwise. Where no bar
    is alive the contribution is due to there being none.

    Parameters
    ----------
    contributions : numpy.ndarray
        shape=(n_grid,), of the columns of one curve.
    grid : numpy.ndarray
        shape=(n_grid,), radii, Å.
    bars : numpy.ndarray
        shape=(n_bars, 2); birth and death, Å (inf for one that never dies).
    width : float
        Å; of the interval around each radius over which a column is the mean.

    Returns
    -------
    of_bars : numpy.ndarray
        shape=(n_bars,).
    of_absence : float
        The two sum to the contribution of the curve.

    Examples
    --------
    >>> grid = np.array([0.0, 1.0, 2.0, 3.0])
    >>> bars = np.array([[0.5, 2.5], [1.5, np.inf]])
    >>> of_bars, of_absence = share_among_bars(np.array([0.1, 1.0, 0.6, -0.2]), grid, bars)
    >>> of_bars.round(3).tolist(), round(of_absence, 3)
    ([1.3, 0.1], 0.1)
    """
    if not len(bars):
        return np.zeros(0), float(contributions.sum())
    births, deaths = bars[:, :1], bars[:, 1:]
    if width > 0.0:
        low, high = grid - width / 2.0, grid + width / 2.0
        alive = np.maximum(np.minimum(deaths, high) - np.maximum(births, low), 0.0) / width
        # What is alive for less than rounding is not alive.
        alive = np.where(alive > 1e-9, alive, 0.0)
    else:
        alive = ((births <= grid) & (grid < deaths)).astype(np.float64)
    total = alive.sum(axis=0)
    each = np.where(total > 0.0, contributions / np.where(total > 0.0, total, 1.0), 0.0)
    return alive @ each, float(contributions[total <= 0.0].sum())
