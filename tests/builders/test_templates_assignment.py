"""Optimal assignment of all templates of a class at once, against plain enumeration and scipy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from builders.templates.assignment import assign, costs_of, equal_groups

AMOUNTS = [(1,), (1, 1), (1, 2), (1, 1, 1, 4), (1, 1, 2, 2), (2, 2, 3, 3, 3), (1, 1, 1, 1, 3)]


def distances(size: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    matrix = rng.random((size, size)).astype(np.float32)
    return matrix + matrix.T


def all_mappings(amounts: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Every mapping that respects the amounts, by brute force over all permutations."""
    places = range(len(amounts))
    return [p for p in itertools.permutations(places) if all(amounts[i] == amounts[j] for i, j in enumerate(p))]


@settings(deadline=None)
@given(st.sampled_from(AMOUNTS), st.integers(0, 2**16), st.integers(1, 4))
def test_the_best_few_are_those_of_plain_enumeration(amounts: tuple[int, ...], seed: int, alternatives: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = distances(20, seed)
    query = rng.integers(0, 20, len(amounts))
    templates = rng.integers(0, 20, (5, len(amounts)))
    found = assign(query, templates, amounts, matrix, alternatives)
    mappings = all_mappings(amounts)
    for row, template in enumerate(templates):
        costs = sorted(sum(matrix[query[i], template[j]] for i, j in enumerate(p)) for p in mappings)[:alternatives]
        there = found.cost[row][np.isfinite(found.cost[row])]
        assert there == pytest.approx(costs, rel=1e-5)
        for cost, mapping in zip(there, found.mapping[row], strict=False):
            assert tuple(mapping) in mappings
            assert cost == pytest.approx(sum(matrix[query[i], template[j]] for i, j in enumerate(mapping)), rel=1e-5)


def test_alternatives_of_a_template_differ() -> None:
    found = assign([1, 2, 3], np.array([[4, 5, 6]]), (1, 1, 1), distances(10, 0), 6)
    assert len({tuple(mapping) for mapping in found.mapping[0].tolist()}) == 6
    assert (np.diff(found.cost[0]) >= 0).all()


def test_what_has_one_mapping_only_has_no_alternative() -> None:
    found = assign([1, 2], np.array([[3, 4]]), (1, 2), distances(10, 0), 3)
    assert np.isfinite(found.cost[0]).tolist() == [True, False, False]


def test_large_groups_agree_with_linear_assignment() -> None:
    amounts = (1,) * 8 + (3,)
    rng = np.random.default_rng(0)
    query, templates, matrix = rng.integers(0, 30, 9), rng.integers(0, 30, (4, 9)), distances(30, 3)
    found = assign(query, templates, amounts, matrix, 3)
    for row, template in enumerate(templates):
        pairs = matrix[query[:8]][:, template[:8]]
        best = pairs[linear_sum_assignment(pairs)].sum() + matrix[query[8], template[8]]
        assert found.cost[row, 0] == pytest.approx(best, rel=1e-5)
        assert (np.diff(found.cost[row]) >= 0).all()


def test_a_template_of_the_query_s_own_elements_costs_nothing() -> None:
    matrix = np.abs(np.subtract.outer(np.arange(10.0), np.arange(10.0))).astype(np.float32)
    found = assign([7, 2, 5], np.array([[2, 7, 5]]), (1, 1, 3), matrix)
    assert found.cost.tolist() == [[0.0]]
    assert found.mapping.tolist() == [[[1, 0, 2]]]


def test_no_templates_give_no_assignments() -> None:
    found = assign([1, 2], np.empty((0, 2), np.int64), (1, 1), distances(5, 0), 2)
    assert found.cost.shape == (0, 2)
    assert found.mapping.shape == (0, 2, 2)


def test_groups_are_runs_of_equal_amount() -> None:
    assert [list(group) for group in equal_groups((1, 1, 2, 4, 4))] == [[0, 1], [2], [3, 4]]


def test_costs_under_several_metrics_are_looked_up_pair_by_pair() -> None:
    several = np.stack([distances(10, seed) for seed in range(3)])
    found = costs_of([1, 2], np.array([[3, 4], [5, 6]]), several)
    assert found.shape == (2, 3, 2)
    assert found[1, 2, 0] == several[2, 1, 5]
