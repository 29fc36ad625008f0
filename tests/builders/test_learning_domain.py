"""The domain: distances to training rows against brute force, ranges, limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.learning import domain as module
from builders.learning.domain import Domain


def made(seed: int = 0, n: int = 40, k: int = 6) -> tuple[Domain, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, k)) * 3.0 + 7.0
    scores = (features - features.mean(axis=0)) / features.std(axis=0)
    return Domain.of(features, scores, rng.uniform(0.0, 2.0, k)), features, scores


@given(st.integers(0, 2**32 - 1), st.integers(1, 9))
@settings(max_examples=25, deadline=None)
def test_distances_are_means_over_the_nearest_rows(seed: int, k: int) -> None:
    domain, _, scores = made(seed)
    domain = replace(domain, k=k)
    new = np.random.default_rng(seed).normal(size=(11, scores.shape[1])) * 2
    apart = np.sqrt((domain.weights * (new[:, None] - scores[None]) ** 2).sum(axis=2))
    expected = np.sort(apart, axis=1)[:, :k].mean(axis=1)
    assert domain.distance(new) == pytest.approx(expected, abs=1e-6)


def test_weights_count_relatively_and_never_negatively() -> None:
    _, features, scores = made()
    weights = np.array([1.0, 2.0, 0.0, 1.0, -3.0, 4.0])
    one, other = Domain.of(features, scores, weights), Domain.of(features, scores, 10 * np.maximum(weights, 0))
    assert one.weights == pytest.approx(other.weights)
    assert one.weights.sum() == pytest.approx(1.0)
    far = scores.copy()
    far[:, [2, 4]] += 100.0
    assert one.distance(far) == pytest.approx(one.distance(scores), abs=1e-6)


def test_a_training_row_is_near_itself_and_more_rows_are_no_farther() -> None:
    domain, features, scores = made()
    assert replace(domain, k=1).distance(scores) == pytest.approx(0.0, abs=1e-6)
    fewer = replace(domain, points=domain.points[:20])
    assert (domain.distance(scores) <= fewer.distance(scores) + 1e-9).all()
    assert domain.distance(scores + 5.0).min() > domain.distance(scores).max()
    # Fewer training rows than neighbours are asked for.
    two = Domain.of(features[:2], scores[:2], np.ones(6))
    assert two.distance(scores[:1])[0] == pytest.approx(np.linalg.norm(scores[0] - scores[1]) / 6**0.5 / 2)


def test_many_rows_are_done_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    domain, _, scores = made()
    whole = domain.distance(scores)
    monkeypatch.setattr(module, "_CHUNK", 7)
    assert domain.distance(scores) == pytest.approx(whole)
    assert domain.distance(np.zeros((0, 6))).shape == (0,)


def test_excess_is_told_in_shares_of_the_range() -> None:
    features = np.array([[0.0, 10.0, 5.0], [4.0, 30.0, 5.0], [np.nan, 20.0, 5.0]])
    domain = Domain.of(features, np.zeros((3, 3)), np.ones(3))
    new = np.array([[-1.0, 35.0, 5.0], [2.0, 20.0, np.nan], [6.0, 5.0, 5.0]])
    assert domain.excess(new) == pytest.approx(np.array([[0.25, 0.25, 0.0], [0.0, 0.0, 0.0], [0.5, 0.25, 0.0]]))
    # A descriptor that was always the same is left by any other value.
    assert domain.excess(np.array([[2.0, 20.0, 5.1]]))[0, 2] > 1e6


def test_inside_needs_a_near_row_and_all_ranges() -> None:
    domain, features, scores = made()
    limited = replace(domain, limit=float(np.quantile(domain.distance(scores), 0.8)), slack=0.1)
    near = limited.distance(scores) <= limited.limit
    assert limited.inside(features, scores).tolist() == near.tolist()
    assert 0 < near.sum() < len(near)
    moved = features.copy()
    moved[:, 1] = features[:, 1].max() + 0.11 * np.ptp(features[:, 1])
    assert not limited.inside(moved, scores).any()
    moved[:, 1] = features[:, 1].max() + 0.09 * np.ptp(features[:, 1])
    assert limited.inside(moved, scores).tolist() == near.tolist()
    # Without a limit of its own a domain has no end, but for the ranges.
    assert domain.inside(features, scores + 50.0).all()


@pytest.mark.parametrize("value", [1e300, -1e300, 1e9])
def test_a_huge_value_is_outside(value: float) -> None:
    domain, features, scores = made()
    far = features[:1].copy()
    far[0, 0] = value
    assert domain.excess(far)[0, 0] > 1e3
    assert not domain.inside(far, scores[:1])[0]
