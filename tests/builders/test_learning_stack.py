"""Scaling, monotone boosting and stacking: bounds, gaps, trends, weights that are best, no group on both sides."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.utils.estimator_checks import estimator_checks_generator

from builders.learning.boosting import MonotoneBoosting
from builders.learning.scaling import BoundedScaler
from builders.learning.stacked import StackedRegressor, best_weights


def data(n: int = 120, k: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, k))
    return x, x @ np.arange(1.0, k + 1) / 10 + rng.normal(0.0, 0.05, n), rng.integers(0, 12, n)


# ------------------------------------------------------------------------------------------------------------- scaling


def checks(estimator: Any) -> list[Any]:
    """scikit-learn's own, but for the one that wants gaps refused: they are filled."""
    found = [(each, check, check.func.__name__) for each, check in estimator_checks_generator(estimator)]
    chosen = [each for each in found if each[2] not in ("check_estimators_nan_inf", "check_array_api_input")]
    assert len(chosen) > 30
    return [pytest.param(each, check, id=name) for each, check, name in chosen]


@pytest.mark.parametrize(("estimator", "check"), checks(BoundedScaler()))
def test_the_scaler_keeps_scikit_learns_contract(estimator: Any, check: Any) -> None:
    check(estimator)


@given(arrays(np.float64, (7, 3), elements=st.one_of(st.floats(-1e3, 1e3), st.just(float("nan")))))
@settings(max_examples=60, deadline=None)
def test_scores_are_bounded_whatever_is_given(x: np.ndarray) -> None:
    for bound in (1.0, 4.0):
        scores = BoundedScaler(bound).fit(x).transform(np.vstack([x, np.full((1, 3), 1e290), np.full((1, 3), -1e290)]))
        assert np.isfinite(scores).all()
        assert np.abs(scores).max() <= bound


def test_gaps_are_no_errors_infinite_values_are() -> None:
    BoundedScaler().fit([[np.nan, 1.0], [2.0, np.nan]])
    with pytest.raises(ValueError, match="infinity"):
        BoundedScaler().fit([[np.inf, 1.0], [2.0, 3.0]])


def test_gaps_are_filled_with_medians_and_constants_stay() -> None:
    x = np.array([[1.0, 5.0, np.nan], [2.0, 5.0, np.nan], [np.nan, 5.0, np.nan], [9.0, 5.0, np.nan]])
    scaler = BoundedScaler().fit(x)
    assert scaler.median_.tolist() == [2.0, 5.0, 0.0]
    assert scaler.mean_[0] == pytest.approx((1 + 2 + 2 + 9) / 4)
    assert scaler.transform([[np.nan, np.nan, np.nan]])[0] == pytest.approx([(2 - 3.5) / scaler.scale_[0], 0.0, 0.0])
    assert scaler.scale_[1:].tolist() == [1.0, 1.0]


# ------------------------------------------------------------------------------------------------------------ boosting


@pytest.mark.parametrize("seed", range(3))
def test_a_trend_is_kept_whatever_the_data_say(seed: int) -> None:
    """The data rise with the first feature and fall with the second; told otherwise, the model goes level."""
    x, _, _ = data(200, 3, seed)
    y = x[:, 0] - x[:, 1] + 0.2 * x[:, 2]
    free = MonotoneBoosting(n_estimators=40).fit(x, y)
    kept = MonotoneBoosting(trends=[-1, 1, 0], n_estimators=40).fit(x, y)
    rng = np.random.default_rng(seed)
    against, along = 0.0, 0.0
    for row in rng.normal(size=(20, 3)):
        line = np.repeat(row[None], 60, axis=0)
        for column, trend in ((0, -1), (1, 1)):
            line[:, column] = np.linspace(-3, 3, 60)
            assert (trend * np.diff(kept.predict(line)) >= -1e-12).all()
            against = max(against, float(-(trend * np.diff(free.predict(line))).min()))
            line[:, column] = row[column]
        line[:, 2] = np.linspace(-3, 3, 60)
        along = max(along, float(np.ptp(kept.predict(line))))
    assert against > 0.1  # without constraints they would be broken
    assert along > 0.0


def test_one_seed_gives_one_model() -> None:
    x, y, _ = data()
    one, again = (MonotoneBoosting(n_estimators=15, random_state=3).fit(x, y) for _ in range(2))
    other = MonotoneBoosting(n_estimators=15, random_state=4).fit(x, y)
    assert one.booster_.model_to_string() == again.booster_.model_to_string()
    assert np.abs(one.predict(x) - other.predict(x)).max() > 0
    assert one.feature_importances_.sum() == pytest.approx(1.0)
    assert one.feature_importances_.argmax() == 3


def test_boosting_learns() -> None:
    x, y, _ = data(300)
    fresh, truth, _ = data(300, seed=9)
    error = np.abs(MonotoneBoosting(n_estimators=100).fit(x, y).predict(fresh) - truth).mean()
    assert error < 0.5 * np.abs(truth - np.median(y)).mean()


def test_a_boosted_model_can_be_cloned_with_its_settings() -> None:
    model = MonotoneBoosting(trends=[1, 0], n_estimators=7, learning_rate=0.5)
    assert clone(model).get_params() == model.get_params()


# ------------------------------------------------------------------------------------------------------------ stacking


@given(st.integers(0, 2**32 - 1), st.integers(2, 3))
@settings(max_examples=15, deadline=None)
def test_the_best_weights_are_best_of_a_grid(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.normal(size=25)
    predictions = y + rng.normal(size=(k, 25)) * rng.uniform(0.2, 2.0, (k, 1)) + rng.normal(size=(k, 1)) * 0.3
    weights = best_weights(predictions, y)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1.0)
    mine = np.abs(weights @ predictions - y).mean()
    steps = np.linspace(0.0, 1.0, 21)
    for others in itertools.product(steps, repeat=k - 1):
        if sum(others) <= 1.0 + 1e-12:
            row = np.array([*others, 1.0 - sum(others)])
            assert mine <= np.abs(row @ predictions - y).mean() + 1e-9


class Recorder(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn publishes no types
    """Remembers which rows it learned from; each row's first feature is its number."""

    def __init__(self, log: Any = None) -> None:
        self.log = log

    def fit(self, X: Any, y: Any) -> Recorder:
        self.rows_ = set(X[:, 0].astype(int).tolist())
        return self

    def predict(self, X: Any) -> Any:
        LOG.append((self.rows_, set(X[:, 0].astype(int).tolist())))
        return np.zeros(len(X))


LOG: list[tuple[set[int], set[int]]] = []


@pytest.mark.parametrize("grouped", [True, False])
def test_weights_are_learned_on_rows_that_no_member_has_seen(grouped: bool) -> None:
    LOG.clear()
    x, y, groups = data(60)
    x[:, 0] = np.arange(60)
    model = StackedRegressor([("a", Recorder()), ("b", Recorder())], pull=0.5)
    model.fit(x, y, groups if grouped else None)
    assert len(LOG) == 2 * 5
    assert set().union(*(test for _, test in LOG)) == set(range(60))
    for train, test in LOG:
        assert not train & test
        if grouped:
            assert not {groups[k] for k in train} & {groups[k] for k in test}


def test_with_the_full_pull_weights_are_equal_and_nothing_else_is_fitted() -> None:
    LOG.clear()
    x, y, groups = data(60)
    model = StackedRegressor([("a", Recorder()), ("b", Recorder())], pull=1.0).fit(x, y, groups)
    assert LOG == []
    assert model.weights_.tolist() == [0.5, 0.5]
    assert all(member.rows_ for member in model.members_)


def test_a_stack_is_the_weighted_mean_of_its_members() -> None:
    x, y, groups = data()
    members = [("mean", DummyRegressor()), ("line", LinearRegression()), ("ridge", Ridge(50.0))]
    for pull in (0.0, 0.3, 1.0):
        model = StackedRegressor(members, pull=pull).fit(x, y, groups)
        assert model.weights_.sum() == pytest.approx(1.0)
        assert model.weights_.min() >= pull / 3 - 1e-12
        each = model.predict_members(x)
        assert model.predict(x) == pytest.approx(model.weights_ @ each)
        assert each[1] == pytest.approx(LinearRegression().fit(x, y).predict(x))
    assert StackedRegressor(members, pull=0.0).fit(x, y, groups).weights_[0] == pytest.approx(0.0, abs=1e-9)


def test_too_few_groups_are_divided_by_rows() -> None:
    x, y, _ = data(40)
    unseen = StackedRegressor([("line", LinearRegression())]).unseen(x, y, np.zeros(40))
    assert np.isfinite(unseen).all()
    assert np.corrcoef(unseen[0], y)[0, 1] > 0.9
