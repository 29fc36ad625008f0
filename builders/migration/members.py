"""The models behind the prediction: four that err in different ways, as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from builders.barriers.features import FEATURES
from builders.models.scale import from_log, to_log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from builders.learning.stacked import StackedRegressor

USED: Final = tuple(
    feature.name
    for feature in FEATURES
    if (feature.group != "study" or feature.name == "p_length") and feature.name != "r_bottleneck"
)
"""Descriptors that the model uses: all but those that need the Voronoi partition, which add nothing and take the most time."""

TRENDS: Final = {
    "neck": -1,
    "neck_contact": -1,
    "path_framework_min": -1,
    "contact_cation_min": -1,
    "path_cation_min": -1,
    "bvse_barrier": 1,
}
"""Wider ways have no higher barriers, higher site energies no lower ones."""


def make_stack(names: Sequence[str] = USED, seed: int = 0, pull: float = 1.0) -> StackedRegressor:
    """Make the untrained model; it takes standard scores (:class:`builders.learning.scaling.BoundedScaler`).

    Parameters
    ----------
    names : sequence of str
        Descriptors, in the order of the columns.
    seed : int
    pull : float
        See :class:`builders.learning.stacked.StackedRegressor`.
    """
    from builders.learning.boosting import MonotoneBoosting
    from builders.learning.stacked import StackedRegressor

    boosting = MonotoneBoosting(trends=[TRENDS.get(name, 0) for name in names], random_state=seed)
    return StackedRegressor(
        [
            ("boosting", boosting),
            ("trees", _log(_trees(seed))),
            ("process_log", _log(_process(noise=0.1))),
            ("process", _process(noise=0.2)),
        ],
        pull=pull,
        random_state=seed,
    )


def _trees(seed: int) -> Any:
    from sklearn.ensemble import ExtraTreesRegressor

    return ExtraTreesRegressor(150, max_features=0.4, min_samples_leaf=2, random_state=seed, n_jobs=1)


def _process(noise: float) -> Any:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    kernel = ConstantKernel(1.0) * Matern(12.0, nu=1.5) + WhiteKernel(noise)
    return GaussianProcessRegressor(kernel, optimizer=None, normalize_y=True)


def _log(estimator: Any) -> Any:
    from sklearn.compose import TransformedTargetRegressor

    return TransformedTargetRegressor(estimator, func=to_log, inverse_func=from_log, check_inverse=False)


def to_portable(stack: StackedRegressor) -> dict[str, Any]:
    """Convert the trained members, by name (:mod:`builders.models.portable`)."""
    from builders.models.portable import of_gaussian_process, of_lightgbm, of_scikit_forest

    boosting, trees, process_log, process = stack.members_
    return {
        "boosting": of_lightgbm(boosting.booster_),
        "trees": of_scikit_forest(trees.regressor_, log=True),
        "process_log": of_gaussian_process(process_log.regressor_, log=True),
        "process": of_gaussian_process(process),
    }
