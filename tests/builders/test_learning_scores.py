"""Scores against scikit-learn and SciPy, bootstrap intervals against plain resampling, coverage of intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import accuracy_score, mean_absolute_error, r2_score, root_mean_squared_error

from builders.learning.scores import Coverage, Scores, _weighted, bootstrap, coverage, coverage_by, scores


def energies(n: int = 200, seed: int = 0, step: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Barriers and predictions on a coarse scale: equal values happen."""
    generator = np.random.default_rng(seed)
    y = generator.lognormal(-0.4, 0.6, size=n)
    return (y / step).round() * step, ((y * generator.lognormal(0, 0.3, size=n)) / step).round() * step


@given(st.integers(0, 10_000), st.integers(3, 60), st.sampled_from([0.01, 0.1, 0.5]))
@settings(max_examples=60)
def test_scores_are_those_of_scikit_learn_and_scipy(seed: int, n: int, step: float) -> None:
    y, p = energies(n, seed, step)
    found = scores(y, p)
    assert found.mae == pytest.approx(mean_absolute_error(y, p))
    assert found.rmse == pytest.approx(root_mean_squared_error(y, p))
    assert found.accuracy == pytest.approx(accuracy_score(y < 0.65, p < 0.65))
    if len(np.unique(y)) > 1:
        assert found.r2 == pytest.approx(r2_score(y, p))
    if len(np.unique(y)) > 1 and len(np.unique(p)) > 1:
        assert found.spearman == pytest.approx(spearmanr(y, p).statistic)


def test_rmse_is_the_ordinary_one_and_not_the_misprint() -> None:
    # Errors 0.3 and 0.4: root of the mean square is sqrt(0.25 / 2); with 1/n outside it would be sqrt(0.25) / 2 = 0.25.
    found = scores([1.0, 1.0], [1.3, 0.6])
    assert found.rmse == pytest.approx(np.sqrt(0.125))
    assert found.mae == pytest.approx(0.35)


def test_the_threshold_belongs_to_the_upper_side() -> None:
    assert scores([0.65, 0.1], [0.7, 0.2]).accuracy == 1.0
    assert scores([0.65, 0.1], [0.6, 0.2]).accuracy == 0.5
    assert scores([0.65, 0.1], [0.6, 0.2], threshold=0.3).accuracy == 1.0


def test_what_has_no_value_is_nan() -> None:
    equal = scores([0.4, 0.4, 0.4], [0.3, 0.4, 0.5])
    assert np.isnan(equal.r2)
    assert np.isnan(equal.spearman)
    constant = scores([0.3, 0.4, 0.5], [0.4, 0.4, 0.4])
    assert constant.r2 == pytest.approx(0.0)
    assert np.isnan(constant.spearman)


def test_a_large_offset_costs_no_digits() -> None:
    y, p = energies()
    assert scores(y + 1e6, p + 1e6).r2 == pytest.approx(scores(y, p).r2, abs=1e-6)


@given(st.integers(0, 10_000))
@settings(max_examples=40)
def test_a_weight_is_a_number_of_copies(seed: int) -> None:
    y, p = energies(30, seed)
    weights = np.random.default_rng(seed).integers(0, 4, size=(3, 30))
    found = _weighted(y, p, weights.astype(float), 0.65)
    for row, weight in enumerate(weights):
        copies = scores(np.repeat(y, weight), np.repeat(p, weight))
        assert found[:, row] == pytest.approx(list(copies), nan_ok=True)


def test_bootstrap_is_plain_resampling() -> None:
    y, p = energies(80)
    low, high = bootstrap(y, p, n=4000, seed=1)
    generator = np.random.default_rng(2)
    plain = np.array([scores(y[rows], p[rows]) for rows in generator.integers(0, 80, size=(4000, 80))])
    expected = np.quantile(plain, [0.025, 0.975], axis=0)
    # Accuracy moves in steps of one row in 80.
    allowed = 0.06 * (expected[1] - expected[0]) + [0, 0, 0, 1 / 80, 0]
    assert (np.abs(np.array(low) - expected[0]) < allowed).all()
    assert (np.abs(np.array(high) - expected[1]) < allowed).all()
    point = scores(y, p)
    assert all(a < b < c for a, b, c in zip(low, point, high, strict=True))


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    generator = np.random.default_rng(0)
    true = np.sqrt(2 / np.pi) * 0.2  # mean absolute error of a normal error of 0.2
    inside = 0
    for seed in range(200):
        error = 0.2 * generator.normal(size=60)
        low, high = bootstrap(np.zeros(60), error, n=400, seed=seed)
        inside += low.mae <= true <= high.mae
    assert 0.89 <= inside / 200 <= 0.99


def test_whole_groups_are_drawn() -> None:
    generator = np.random.default_rng(3)
    groups = np.repeat(np.arange(20), 10)
    y = generator.normal(1.0, 0.3, size=200)
    p = y + np.repeat(generator.normal(0, 0.3, size=20), 10)  # one error a group
    rows, whole = bootstrap(y, p), bootstrap(y, p, groups=groups.astype(str))
    # Ten times fewer independent errors: intervals about three times as wide.
    ratio = (whole.upper.mae - whole.lower.mae) / (rows.upper.mae - rows.lower.mae)
    assert 2.2 < ratio < 4.2
    # A group a row is no grouping.
    assert bootstrap(y, p, groups=np.arange(200)) == rows


def test_seeds_and_resamples() -> None:
    y, p = energies(50)
    assert bootstrap(y, p, n=300) == bootstrap(y, p, n=300)
    assert bootstrap(y, p, n=300) != bootstrap(y, p, n=300, seed=1)
    assert bootstrap([1.0], [1.5], n=10).lower.mae == 0.5
    assert np.isnan(bootstrap([1.0], [1.5], n=10).upper.r2)


def test_coverage_counts_ends_as_inside() -> None:
    found = coverage([0.1, 0.5, 0.9, 0.31], [0.1, 0.2, 0.2, 0.2], [0.3, 0.5, 0.8, 0.3])
    assert found == Coverage(share=0.5, width=0.3, rows=4)


def test_coverage_of_each_ion_with_enough_rows() -> None:
    ions = np.array(["Li"] * 60 + ["Na"] * 80 + ["Rb"] * 5)
    y = np.linspace(0, 1, 145)
    found = coverage_by(y, np.zeros(145), np.where(ions == "Li", 1.0, 0.5), ions)
    assert list(found) == ["Na", "Li"]
    assert found["Li"] == Coverage(1.0, 1.0, 60)
    assert found["Na"].share == pytest.approx(((y <= 0.5) & (ions == "Na")).sum() / 80)
    assert list(coverage_by(y, y, y, ions, least=1)) == ["Na", "Li", "Rb"]


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(ValueError, match="equally many"):
        scores([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="equally many"):
        scores([], [])
    with pytest.raises(ValueError, match="finite"):
        scores([1.0, np.nan], [1.0, 2.0])
    with pytest.raises(ValueError, match="group is needed for each row"):
        bootstrap([1.0, 2.0], [1.0, 2.0], groups=["a"])
    with pytest.raises(ValueError, match="1 intervals end"):
        coverage([1.0], [2.0], [0.0])
    assert isinstance(scores([1.0], [2.0]), Scores)
