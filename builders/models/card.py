"""What the cards of all models say alike: means over draws of folds, what a constant would do, versions of packages."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

PACKAGES: Final = ("numpy", "scipy", "scikit-learn", "lightgbm")


def mean_scores(found: Sequence[Any]) -> Any:
    """Mean of the same scores of several draws of folds, wherever in nested dicts and lists they stand.

    Examples
    --------
    >>> mean_scores([{"mae": 0.25, "by_ion": {"Li": [1.0, 50]}}, {"mae": 0.75, "by_ion": {"Li": [0.5, 50]}}])
    {'mae': 0.5, 'by_ion': {'Li': [0.75, 50]}}
    """
    first = next((each for each in found if each is not None), None)
    if isinstance(first, dict):
        return {name: mean_scores([each[name] for each in found]) for name in first}
    if isinstance(first, list):
        return [mean_scores(column) for column in zip(*found, strict=True)]
    if first is None or isinstance(first, int | str):
        return first
    return round(float(np.mean([each for each in found if each is not None])), 4)


def constant(truth: NDArray[np.float64], fold: NDArray[np.int64]) -> NDArray[np.float64]:
    """The median of the rows that were learned from, for each row; shape=(n,).

    Examples
    --------
    >>> constant(np.array([1.0, 2.0, 9.0]), np.array([0, 0, 1])).tolist()
    [9.0, 9.0, 1.5]
    """
    found = np.zeros(len(truth))
    for each in np.unique(fold):
        found[fold == each] = np.median(truth[fold != each])
    return found


def packages(names: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Versions that a model was trained with."""
    from importlib.metadata import version

    return {"python": platform.python_version(), **{name: version(name) for name in names}}
