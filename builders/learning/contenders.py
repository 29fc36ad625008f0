"""The models that a comparison tries: scikit-learn's and LightGBM's, each with the settings that a search draws from.

Every setting is listed, so that a search with the same seed draws the same ones. Models that need numbers without gaps and of
one scale get :class:`builders.learning.scaling.BoundedScaler` in front; forests and boosted trees take gaps as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from store.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

CONSTANT: Final = "constant"
"""The median of the rows learnt from: what a model has to beat."""
EXTRA: Final = "flaml"
"""A search for model and settings of its own, by the optional package FLAML."""


@dataclass(frozen=True)
class Contender:
    """A model to try.

    Attributes
    ----------
    name : str
    make : callable
        Seed to estimator.
    space : dict
        Parameter to the list of its values; empty where nothing is searched.
    grouped : bool
        Whether ``fit`` takes ``groups`` (it searches by itself).
    """

    name: str
    make: Callable[[int], Any]
    space: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    grouped: bool = False


def contenders() -> dict[str, Contender]:
    """All models by name, the constant first, then from the simplest; FLAML is not among them.

    Examples
    --------
    >>> list(contenders())
    ['constant', 'ridge', 'svr', 'knn', 'gp', 'forest', 'extra-trees', 'hist-boosting', 'lightgbm']
    """
    alphas = [10.0**power for power in range(-1, 6)]
    listed = (
        Contender(CONSTANT, _constant),
        Contender("ridge", _ridge, {"model__alpha": alphas}),
        Contender(
            "svr",
            _svr,
            {
                "model__C": [0.3, 1.0, 3.0, 10.0, 30.0],
                "model__epsilon": [0.05, 0.2, 0.5],
                "model__scale": [0.1, 0.3, 1.0, 3.0],
            },
        ),
        Contender(
            "knn",
            _knn,
            {
                "model__n_neighbors": [2, 3, 5, 8, 13, 21],
                "model__weights": ["uniform", "distance"],
                "model__p": [1, 2],
            },
        ),
        Contender("gp", _gp, {"model__smoothness": [0.5, 1.5, 2.5], "model__noise": [0.05, 0.3]}),
        Contender("forest", _forest, _FOREST),
        Contender("extra-trees", _extra_trees, _FOREST),
        Contender(
            "hist-boosting",
            _hist,
            {
                "learning_rate": [0.03, 0.06, 0.12],
                "max_leaf_nodes": [6, 12, 24],
                "min_samples_leaf": [5, 10, 20],
                "l2_regularization": [0.0, 1.0, 10.0],
                "max_features": [0.1, 0.3, 1.0],
            },
        ),
        Contender(
            "lightgbm",
            _lightgbm,
            {
                "num_leaves": [6, 12, 24],
                "learning_rate": [0.03, 0.06],
                "min_child_samples": [4, 8, 16],
                "colsample_bytree": [0.1, 0.3, 0.6],
                "reg_lambda": [0.0, 1.0, 10.0],
                "objective": ["l2", "huber"],
            },
        ),
    )
    return {each.name: each for each in listed}


def contender(name: str) -> Contender:
    """Give a model by its name.

    Raises
    ------
    UsageError
        There is no such model.
    MissingExtra
        FLAML is wanted and not installed.
    """
    if name == EXTRA:
        from importlib.util import find_spec

        # FLAML can be installed without its AutoML part, which imports xgboost.
        absent = [package for package in ("flaml", "xgboost") if find_spec(package) is None]
        if absent:
            raise MissingExtra(
                f"The model 'flaml' needs packages that are not installed: {', '.join(absent)}.",
                mend="pip install 'ionatlas[automl]'",
            )
        from builders.learning.automl import FlamlRegressor

        return Contender(EXTRA, lambda seed: FlamlRegressor(random_state=seed), grouped=True)
    known = contenders()
    if name not in known:
        raise UsageError(f"There is no model {name!r} to compare.", mend=f"choose of {', '.join([*known, EXTRA])}")
    return known[name]


_FOREST: Final[dict[str, list[Any]]] = {
    "max_features": ["sqrt", 0.1, 0.3, 0.6],
    "min_samples_leaf": [1, 2, 4],
}


def _constant(seed: int) -> Any:
    from sklearn.dummy import DummyRegressor

    return DummyRegressor(strategy="median")


def _scaled(model: Any) -> Any:
    from sklearn.pipeline import Pipeline

    from builders.learning.scaling import BoundedScaler

    return Pipeline([("scale", BoundedScaler()), ("model", model)])


def _ridge(seed: int) -> Any:
    from sklearn.linear_model import Ridge

    return _scaled(Ridge(solver="cholesky"))


def _svr(seed: int) -> Any:
    from builders.learning.kernels import ScaledSVR

    return _scaled(ScaledSVR())


def _knn(seed: int) -> Any:
    from sklearn.neighbors import KNeighborsRegressor

    return _scaled(KNeighborsRegressor(n_jobs=1))


def _gp(seed: int) -> Any:
    from builders.learning.kernels import MaternProcess

    return _scaled(MaternProcess())


def _forest(seed: int) -> Any:
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(n_estimators=200, n_jobs=1, random_state=seed)


def _extra_trees(seed: int) -> Any:
    from sklearn.ensemble import ExtraTreesRegressor

    return ExtraTreesRegressor(n_estimators=200, n_jobs=1, random_state=seed)


def _hist(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(max_iter=200, early_stopping=False, random_state=seed)


def _lightgbm(seed: int) -> Any:
    from builders.learning.boosting import MonotoneBoosting

    return MonotoneBoosting(n_estimators=250, random_state=seed)
