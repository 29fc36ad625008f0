"""Arrangements: what counts as the same crystal, and in which order distinct ones are listed."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.templates.prototypes import TOLERANCE, collapse, sameness


def _rows(*values: float) -> np.ndarray:
    return np.ones((len(values), 2, 40), np.float32) * np.array(values, np.float32)[:, None, None]


def test_proposals_within_the_tolerance_of_a_leader_are_one_arrangement() -> None:
    found = collapse(_rows(1.0, 1.0 + 0.9 * TOLERANCE, 1.0 + 1.1 * TOLERANCE), np.ones(3, int), np.full(3, 225))
    assert found.of.tolist() == [0, 0, 1]
    assert found.first.tolist() == [0, 2]


def test_another_space_group_is_another_arrangement() -> None:
    assert len(collapse(_rows(1.0, 1.0), np.ones(2, int), np.array([225, 227]))) == 2


def test_another_number_of_formula_units_is_another_arrangement_and_nothing_like_it() -> None:
    found = collapse(_rows(1.0, 1.0), np.array([1, 2]), np.array([225, 225]))
    assert len(found) == 2
    assert found.similarity[0, 1] == 0.0


def test_arrangements_are_counted_in_the_order_of_the_proposals() -> None:
    found = collapse(_rows(3.0, 1.0, 2.0, 1.0), np.ones(4, int), np.full(4, 1))
    assert found.of.tolist() == [0, 1, 2, 1]


def test_no_proposals_are_no_arrangements() -> None:
    found = collapse(np.zeros((0, 3, 40), np.float32), np.zeros(0, int), np.zeros(0, int))
    assert len(found) == 0
    assert found.similarity.shape == (0, 0)


@given(st.lists(st.floats(0.5, 3.0), min_size=1, max_size=30), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_every_proposal_lies_within_the_tolerance_of_its_leader(values: list[float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, groups = _rows(*values), rng.integers(1, 3, len(values))
    found = collapse(rows, np.ones(len(values), int), groups)
    leader = found.first[found.of]
    assert np.abs(rows - rows[leader]).max() < TOLERANCE
    assert (groups == groups[leader]).all()
    assert np.allclose(found.similarity, found.similarity.T)
    assert np.allclose(np.diag(found.similarity), 1.0)


def test_sameness_falls_with_the_distance() -> None:
    apart = np.linspace(0.0, 0.6, 50)
    for group in (True, False):
        assert (np.diff(sameness(apart, np.full(50, group))) < 0).all()
