"""Intervals that hold what they promise: order statistics by hand, coverage on exchangeable data, in every stratum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.learning.conformal import OTHERS, Calibration, calibrate


def covered(calibration: Calibration, residuals: np.ndarray, difficulty: np.ndarray, strata: list[str]) -> np.ndarray:
    quantiles = calibration.of(strata) * difficulty[:, None]
    return (residuals >= quantiles[:, 0]) & (residuals <= quantiles[:, 1])


def test_quantiles_are_order_statistics() -> None:
    """Of 19 scores each gap between neighbours holds a new one in 5 of 100 cases: 90 % lie between first and last."""
    scores = np.random.default_rng(0).permutation(np.arange(1.0, 20.0))
    found = calibrate(scores, np.ones(19), ["Li"] * 19, level=0.9)
    assert found.quantiles[OTHERS] == pytest.approx((1.0, 19.0))
    assert calibrate(scores, np.ones(19), ["Li"] * 19, level=0.8).quantiles[OTHERS] == pytest.approx((2.0, 18.0))
    assert calibrate(scores, np.ones(19), ["Li"] * 19, level=0.85).quantiles[OTHERS] == pytest.approx((1.5, 18.5))
    # Fewer cannot promise it; their extremes are the best there is.
    assert calibrate(scores[:5], np.ones(5), ["Li"] * 5).quantiles[OTHERS] == (scores[:5].min(), scores[:5].max())


def test_residuals_are_measured_by_their_difficulty() -> None:
    difficulty = np.random.default_rng(1).uniform(0.1, 5.0, 99)
    scores = np.linspace(-2.0, 3.0, 99)
    found = calibrate(scores * difficulty, difficulty, ["Li"] * 99)
    plain = calibrate(scores, np.ones(99), ["Li"] * 99)
    assert found.quantiles["Li"] == pytest.approx(plain.quantiles["Li"])
    assert plain.quantiles["Li"] == pytest.approx((scores[4], scores[94]))


def test_only_strata_with_enough_rows_have_their_own() -> None:
    strata = ["Li"] * 50 + ["Na"] * 49
    residuals = np.concatenate([np.linspace(-1, 1, 50), np.linspace(9, 11, 49)])
    found = calibrate(residuals, np.ones(99), strata)
    assert set(found.quantiles) == {"Li", OTHERS}
    assert found.counts == {"Li": 50, OTHERS: 99}
    assert found.of(["Na", "Xx", "Li"])[:2].tolist() == [list(found.quantiles[OTHERS])] * 2
    assert found.of(["Li"])[0] == pytest.approx(found.quantiles["Li"])
    assert found.of([]).shape == (0, 2)
    assert set(calibrate(residuals, np.ones(99), strata, least=49).quantiles) == {"Li", "Na", OTHERS}


@pytest.mark.parametrize("n", [40, 70, 200])
@pytest.mark.parametrize("level", [0.8, 0.9])
def test_coverage_of_exchangeable_rows_is_the_level(n: int, level: float) -> None:
    """Over many draws; skewed residuals, whose size depends on a difficulty that is known."""
    rng = np.random.default_rng(0)
    hits = []
    for _ in range(300):
        difficulty = rng.uniform(0.2, 3.0, n + 50)
        residuals = difficulty * (rng.exponential(size=n + 50) - 1.0)
        found = calibrate(residuals[:n], difficulty[:n], ["Li"] * n, level=level)
        hits.append(covered(found, residuals[n:], difficulty[n:], ["Li"] * 50).mean())
    # Draws of the calibration are independent; the mean of 300 is known to some 0.004.
    assert np.mean(hits) == pytest.approx(level, abs=0.012)


def test_coverage_holds_in_every_stratum() -> None:
    """Sodium's residuals are three times lithium's, potassium's are shifted: one pair of quantiles would serve none."""
    rng = np.random.default_rng(2)
    n = 4000
    strata = rng.choice(["Li", "Na", "K"], n).tolist()
    scale = np.array([{"Li": 1.0, "Na": 3.0, "K": 1.0}[each] for each in strata])
    shift = np.array([{"Li": 0.0, "Na": 0.0, "K": 2.0}[each] for each in strata])
    residuals = rng.normal(size=n) * scale + shift
    half = n // 2
    found = calibrate(residuals[:half], np.ones(half), strata[:half])
    one = Calibration(0.9, {OTHERS: found.quantiles[OTHERS]}, {})
    for ion in ("Li", "Na", "K"):
        mine = np.flatnonzero(np.array(strata[half:]) == ion) + half
        hit = covered(found, residuals[mine], np.ones(len(mine)), [ion] * len(mine))
        # Binomial error of test rows, and as much of the calibration's.
        assert hit.mean() == pytest.approx(0.9, abs=3 * (2 * 0.09 / len(mine)) ** 0.5)
    sodium = np.flatnonzero(np.array(strata[half:]) == "Na") + half
    assert covered(one, residuals[sodium], np.ones(len(sodium)), ["Na"] * len(sodium)).mean() < 0.85


def test_both_tails_are_equally_heavy() -> None:
    rng = np.random.default_rng(3)
    residuals = rng.exponential(size=6000)
    found = calibrate(residuals[:3000], np.ones(3000), ["Li"] * 3000)
    low, high = found.quantiles["Li"]
    assert (residuals[3000:] < low).mean() == pytest.approx(0.05, abs=0.015)
    assert (residuals[3000:] > high).mean() == pytest.approx(0.05, abs=0.015)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=80), st.floats(0.05, 0.99))
@settings(max_examples=60, deadline=None)
def test_quantiles_lie_between_the_extremes_and_grow_with_the_level(scores: list[float], level: float) -> None:
    residuals, ones = np.array(scores), np.ones(len(scores))
    low, high = calibrate(residuals, ones, ["Li"] * len(scores), level=level).quantiles[OTHERS]
    assert residuals.min() <= low <= high <= residuals.max()
    wide = calibrate(residuals, ones, ["Li"] * len(scores), level=min(level + 0.01, 1.0)).quantiles[OTHERS]
    assert wide[0] <= low
    assert high <= wide[1]
