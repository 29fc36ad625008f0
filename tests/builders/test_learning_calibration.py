"""Probabilities: reliability, its summary, Platt's line and the isotonic steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.learning.calibration import (
    brier_score,
    expected_calibration_error,
    fit_isotonic,
    fit_platt,
    reliability,
)


def drawn(n=20_000, slope=1.0, offset=0.0, seed=0):
    random = np.random.default_rng(seed)
    logit = random.normal(0, 2, n)
    return logit, random.random(n) < 1 / (1 + np.exp(-(slope * logit + offset)))


def test_probabilities_that_come_true_have_no_calibration_error():
    random = np.random.default_rng(0)
    given = random.random(200_000)
    assert expected_calibration_error(given, random.random(200_000) < given) < 0.01


def test_a_constant_that_is_wrong_errs_by_its_gap():
    assert expected_calibration_error(np.full(10, 0.9), np.arange(10) < 3) == pytest.approx(0.6)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60), st.integers(1, 20))
def test_the_table_holds_all_rows(rows, bins):
    given, true = zip(*rows, strict=True)
    table = reliability(given, true, bins)
    assert table.weight.sum() == len(rows)
    assert (table.weight * table.mean).sum() == pytest.approx(sum(given))
    assert (table.weight * table.share).sum() == pytest.approx(sum(true))
    assert ((table.lower - 1e-12 <= table.mean) & (table.mean <= table.upper + 1e-12)).all()


def test_weights_count_as_repetitions():
    given, true, weights = np.array([0.1, 0.8, 0.8]), np.array([0, 1, 0]), np.array([1, 3, 2])
    assert expected_calibration_error(given, true, weights=weights) == pytest.approx(
        expected_calibration_error(given.repeat(weights), true.repeat(weights))
    )


def test_brier_score_of_a_coin():
    assert brier_score([0.5, 0.5], [0, 1]) == 0.25


def test_platt_finds_the_line_that_the_data_came_from():
    slope, offset = fit_platt(*drawn(slope=0.7, offset=-0.4))
    assert (slope, offset) == (pytest.approx(0.7, abs=0.04), pytest.approx(-0.4, abs=0.06))


def test_platt_agrees_with_logistic_regression():
    from sklearn.linear_model import LogisticRegression

    logit, true = drawn(3000, 1.4, 0.3)
    fitted = LogisticRegression(C=np.inf).fit(logit[:, None], true)
    assert fit_platt(logit, true) == pytest.approx((fitted.coef_[0, 0], fitted.intercept_[0]), rel=0.01, abs=0.01)


def test_platt_of_separable_data_is_finite():
    slope, offset = fit_platt([-2.0, -1.0, 1.0, 2.0], [0, 0, 1, 1])
    assert np.isfinite([slope, offset]).all()
    assert 0 < slope < 20


def test_platt_needs_both_kinds():
    with pytest.raises(ValueError, match="both kinds"):
        fit_platt([0.0, 1.0], [1, 1])


def test_isotonic_steps_never_fall_and_calibrate():
    logit, true = drawn(slope=2.0, offset=1.0)
    at, probability = fit_isotonic(logit, true)
    assert (np.diff(probability) >= 0).all()
    assert expected_calibration_error(np.interp(logit, at, probability), true) < 0.01


def test_probabilities_beyond_one_are_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        reliability([1.2], [1])
