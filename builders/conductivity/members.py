"""The models behind the prediction: trees and a Gaussian process on composition and cell, and trees on structures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from builders.conductivity.features import FEATURES, NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from builders.models.portable import Forest, Kernel

COMPOSITION: Final = tuple(feature.name for feature in FEATURES if feature.group == "composition")
"""Descriptors that every compound has."""
BASE: Final = tuple(feature.name for feature in FEATURES if feature.group != "sites")
"""Those of the members that every compound is asked: composition and cell."""
ALL: Final = NAMES
"""Those of the member that learns from structures alone."""
MEMBERS: Final = {"trees": BASE, "process": BASE, "sites": ALL}
"""Members and their descriptors."""
SITES_SHARE: Final = 0.15
"""Share of the member ``sites`` in the prediction for a compound with a structure; the other two share the rest evenly."""
SETTINGS: Final = ((6.0, 0.05), (8.0, 0.05), (8.0, 0.15), (12.0, 0.05))
"""Length and noise of the process that may be chosen among: by grouped cross-validation inside the training rows."""

_TREES: Final = 120


def make_trees(seed: int) -> Any:
    """Randomised trees; unpruned, since a neighbour in composition mostly conducts alike."""
    from sklearn.ensemble import ExtraTreesRegressor

    return ExtraTreesRegressor(_TREES, max_features=0.33, random_state=seed, n_jobs=1)


def make_process(length: float = SETTINGS[1][0], noise: float = SETTINGS[1][1]) -> Any:
    """Gaussian process with a Matérn kernel of order 3/2 on standard scores."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    kernel = ConstantKernel(1.0) * Matern(length, nu=1.5) + WhiteKernel(noise)
    return GaussianProcessRegressor(kernel, optimizer=None, normalize_y=True)


def columns(names: Sequence[str]) -> NDArray[np.int64]:
    """Places of descriptors among :data:`builders.conductivity.features.NAMES`."""
    place = {name: number for number, name in enumerate(NAMES)}
    return np.array([place[name] for name in names], dtype=np.int64)


def blend(
    trees: NDArray[np.float64], process: NDArray[np.float64], sites: NDArray[np.float64], structure: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """One prediction of the members', shape=(n,) each.

    Examples
    --------
    >>> one = np.ones(2)
    >>> blend(-2.0 * one, -4.0 * one, -13.0 * one, np.array([False, True])).round(3).tolist()
    [-3.0, -4.5]
    """
    base = 0.5 * (trees + process)
    found: NDArray[np.float64] = np.where(structure, (1.0 - SITES_SHARE) * base + SITES_SHARE * sites, base)
    return found


def portable_trees(forest: Any) -> Forest:
    """Convert trained trees, in single precision where nothing changes by it.

    Scores are compared in single precision anyway, so a threshold may be rounded down to the next such number.
    """
    from dataclasses import replace

    from builders.models.portable import of_scikit_forest

    made = of_scikit_forest(forest)
    threshold = made.threshold.astype(np.float32)
    threshold = np.where(threshold > made.threshold, np.nextafter(threshold, np.float32(-np.inf)), threshold)
    value = made.value.astype(np.float32).astype(np.float64)
    return replace(made, threshold=threshold.astype(np.float64), value=value)


def portable_process(process: Any) -> Kernel:
    """Convert a trained process."""
    from builders.models.portable import of_gaussian_process

    return of_gaussian_process(process)
