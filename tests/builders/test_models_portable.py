"""Trained models as arrays: the same predictions as the libraries give, back from a file the same, smallest types."""

from __future__ import annotations

import io
from typing import Any

import lightgbm
import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from builders.models.portable import (
    Forest,
    Kernel,
    Portable,
    from_arrays,
    of_gaussian_process,
    of_lightgbm,
    of_scikit_forest,
    to_arrays,
)
from builders.models.scale import SHIFT, from_log, to_log


def data(n: int = 200, k: int = 7, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = np.clip(rng.normal(size=(n, k)), -4, 4)
    return x, np.abs(x[:, 0] * x[:, 1] + np.sin(3 * x[:, 2])) + 0.1 * rng.random(n)


def probes(x: np.ndarray) -> np.ndarray:
    """New rows, training rows, and rows exactly on the thresholds of splits (half way between training rows)."""
    rng = np.random.default_rng(5)
    between = (x[rng.integers(0, len(x), 300)] + x[rng.integers(0, len(x), 300)]) / 2
    return np.concatenate(
        [np.clip(rng.normal(size=(700, x.shape[1])) * 2, -4, 4), x, between, np.zeros((1, x.shape[1]))]
    )


def process(y_scale: float = 1.0) -> tuple[Any, np.ndarray]:
    x, y = data()
    kernel = ConstantKernel(1.7) * Matern(2.5, nu=1.5) + WhiteKernel(0.1)
    return GaussianProcessRegressor(kernel, optimizer=None, normalize_y=True).fit(x, y * y_scale + 3.0), x


def test_lightgbm_as_arrays() -> None:
    x, y = data()
    settings = {"verbosity": -1, "num_leaves": 9, "min_data_in_leaf": 3, "num_threads": 1, "seed": 1}
    for more in ({}, {"monotone_constraints": [1, -1, 0, 0, 0, 0, 0]}, {"objective": "huber", "alpha": 0.5}):
        booster = lightgbm.train({**settings, **more}, lightgbm.Dataset(x, y), num_boost_round=60)
        forest = of_lightgbm(booster)
        new = probes(x)
        assert forest.predict(new) == pytest.approx(booster.predict(new, num_threads=1), abs=1e-9)
        assert len(forest.roots) == 60


def test_trees_of_lightgbm_that_never_split() -> None:
    x, _ = data(50)
    booster = lightgbm.train(
        {"verbosity": -1, "num_threads": 1}, lightgbm.Dataset(x, np.full(50, 0.7)), num_boost_round=3
    )
    assert of_lightgbm(booster).predict(x[:4]) == pytest.approx(booster.predict(x[:4]), abs=1e-12)


@pytest.mark.parametrize("kind", [ExtraTreesRegressor, RandomForestRegressor])
def test_scikit_learns_forests_as_arrays(kind: Any) -> None:
    x, y = data()
    forest = kind(15, min_samples_leaf=2, random_state=0, max_features=0.5).fit(x, y)
    new = probes(x)
    assert of_scikit_forest(forest).predict(new) == pytest.approx(forest.predict(new), abs=1e-9)
    logs = of_scikit_forest(forest, log=True).predict(new)
    assert logs == pytest.approx(np.maximum(np.exp(forest.predict(new)) - SHIFT, 0.0), abs=1e-9)


def test_single_precision_is_kept_where_scikit_learn_compares_in_it() -> None:
    """A threshold between two numbers that are one in single precision."""
    x = np.array([[0.1], [0.1 + 1e-9], [0.9]])
    tree = RandomForestRegressor(1, bootstrap=False, random_state=0).fit(x, [0.0, 0.0, 1.0])
    threshold = float(tree.estimators_[0].tree_.threshold[0])
    near = np.array([[threshold * (1 + step)] for step in (-3e-8, -1e-9, 0.0, 1e-9, 3e-8)])
    assert of_scikit_forest(tree).predict(near).tolist() == tree.predict(near).tolist()


@pytest.mark.parametrize("scale", [1.0, 0.01])
def test_a_gaussian_process_as_arrays(scale: float) -> None:
    model, x = process(scale)
    new = probes(x)
    kernel = of_gaussian_process(model)
    assert kernel.predict(new) == pytest.approx(model.predict(new), abs=1e-6 * scale)
    assert of_gaussian_process(model, log=True).predict(new) == pytest.approx(from_log(model.predict(new)), rel=1e-5)


def test_another_kernel_is_refused() -> None:
    x, y = data(30)
    kernel = ConstantKernel(1.0) * Matern(2.0, nu=2.5) + WhiteKernel(0.1)
    with pytest.raises(ValueError, match="3/2"):
        of_gaussian_process(GaussianProcessRegressor(kernel, optimizer=None).fit(x, y))


def models() -> list[Portable]:
    x, y = data()
    booster = lightgbm.train({"verbosity": -1, "num_threads": 1}, lightgbm.Dataset(x, y), num_boost_round=5)
    trees = ExtraTreesRegressor(4, random_state=0).fit(x, to_log(y))
    return [of_lightgbm(booster), of_scikit_forest(trees, log=True), of_gaussian_process(process()[0])]


@pytest.mark.parametrize("number", range(3))
def test_arrays_come_back_from_a_file(number: int) -> None:
    model = models()[number]
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **to_arrays("member", model))
    buffer.seek(0)
    with np.load(buffer, allow_pickle=False) as arrays:
        again = from_arrays("member", arrays)
    assert type(again) is type(model)
    x, _ = data(seed=3)
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    assert isinstance(again.log, bool)
    stored = to_arrays("member", model)
    assert all(
        np.asarray(value).dtype.itemsize <= 4 for value in stored.values() if np.asarray(value).dtype.kind == "i"
    )


def test_no_rows_make_no_predictions_and_many_are_done_in_parts() -> None:
    x, _ = data(1500)
    for model in models():
        assert model.predict(np.zeros((0, 7))).shape == (0,)
        whole = model.predict(x)
        assert whole == pytest.approx(np.concatenate([model.predict(x[:601]), model.predict(x[601:])]), abs=1e-12)


def test_a_forest_by_hand() -> None:
    """One tree: x0 <= 1 gives 2, else x1 <= 0 gives 4, else 8; and one leaf of 0.5."""
    forest = Forest(
        feature=np.array([0, -1, 1, -1, -1, -1]),
        threshold=np.array([1.0, 0, 0.0, 0, 0, 0]),
        left=np.array([1, -1, 3, -1, -1, -1]),
        right=np.array([2, -1, 4, -1, -1, -1]),
        value=np.array([0, 2.0, 0, 4.0, 8.0, 0.5]),
        roots=np.array([0, 5]),
        offset=0.25,
        factor=0.5,
        single=False,
        log=False,
    )
    x = np.array([[1.0, 9.0], [1.0001, 0.0], [2.0, 0.1], [-5.0, -5.0]])
    assert forest.predict(x).tolist() == [0.25 + 0.5 * (value + 0.5) for value in (2, 4, 8, 2)]


def test_a_kernel_by_hand() -> None:
    kernel = Kernel(np.zeros((1, 2)), np.array([2.0]), length=3.0, variance=0.5, mean=1.0, scale=4.0, log=False)
    r = 3**0.5 * 5.0 / 3.0
    expected = 1.0 + 4.0 * 0.5 * (1 + r) * np.exp(-r) * 2.0
    assert kernel.predict(np.array([[3.0, 4.0]]))[0] == pytest.approx(expected)
    assert kernel.predict(np.zeros((1, 2)))[0] == pytest.approx(5.0)


def test_the_scale_is_a_logarithm_that_ends_at_zero() -> None:
    barriers = np.array([0.0, 0.01, 0.3, 1.0, 8.8, 100.0])
    assert from_log(to_log(barriers)) == pytest.approx(barriers)
    assert to_log(np.array([-3.0])) == to_log(np.array([0.0]))
    assert from_log(np.array([-1e300, -9.0, 1e300])) == pytest.approx([0.0, 0.0, np.exp(5.0) - SHIFT])
    steps = from_log(np.linspace(-5, 6, 1000))
    assert (np.diff(steps) >= 0).all()
