"""The 2024 protocol of pairs: shares, classes, thinning, balance, scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.embeddings.pairs.protocol import (
    SMALLEST_CLASS,
    TEST,
    TRAIN,
    VALIDATION,
    Pairs,
    make_pairs,
    score_pairs,
    split_pairs,
    split_parts,
    thinned,
)

RATIOS = ["1:1"] * 50 + ["1:2"] * 40 + ["1:3"] * 3 + ["2:3"] * 4 + ["1:1:4"] * 3


def by_last_digit(first, second):
    return first % 5 == second % 5


def test_each_large_ratio_is_divided_60_20_20():
    parts = split_parts(RATIOS, 0)
    assert np.bincount(parts[:50]).tolist() == [30, 10, 10]
    assert np.bincount(parts[50:90]).tolist() == [24, 8, 8]


def test_small_ratios_are_divided_together():
    assert all(RATIOS.count(ratio) < SMALLEST_CLASS for ratio in set(RATIOS[90:]))
    assert np.bincount(split_parts(RATIOS, 0)[90:]).tolist() == [6, 2, 2]


def test_splits_differ_and_repeat():
    assert (split_parts(RATIOS, 1) == split_parts(RATIOS, 1)).all()
    assert (split_parts(RATIOS, 0) != split_parts(RATIOS, 1)).any()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["1:1", "1:2", "1:3"]), min_size=100, max_size=400), st.integers(0, 9))
def test_no_ratio_keeps_more_than_a_hundredth(ratios, seed):
    kept = thinned(np.arange(len(ratios)), ratios, np.random.default_rng(seed))
    for ratio, rows in kept.items():
        assert len(rows) == min(len(ratios) // 100, ratios.count(ratio))
        assert {ratios[row] for row in rows} == {ratio}


def test_alike_pairs_are_all_there_and_as_many_others():
    pairs = make_pairs({"1:1": np.arange(20)}, by_last_digit, np.random.default_rng(0))
    assert pairs.alike.sum() == 5 * 6  # five kinds of four rows, six pairs each
    assert (~pairs.alike).sum() == 30
    assert (by_last_digit(pairs.first, pairs.second) == pairs.alike).all()
    assert len({*zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)}) == 60


def test_all_others_are_taken_where_there_are_few():
    pairs = make_pairs({"1:1": np.array([0, 5, 10, 1])}, by_last_digit, np.random.default_rng(0))
    assert (pairs.alike.sum(), (~pairs.alike).sum()) == (3, 3)


def test_a_ratio_without_an_alike_pair_gives_none():
    assert len(make_pairs({"1:1": np.arange(4)}, by_last_digit, np.random.default_rng(0)).alike) == 0


def test_pairs_stay_inside_their_part_and_ratio():
    ratios = RATIOS * 40
    parts, made = split_pairs(ratios, by_last_digit, 2)
    for part, pairs in zip((TRAIN, VALIDATION, TEST), made, strict=True):
        assert len(pairs.alike) > 0
        assert (parts[pairs.first] == part).all()
        assert (parts[pairs.second] == part).all()
        assert all(ratios[a] == ratios[b] for a, b in zip(pairs.first, pairs.second, strict=True))


def test_scores_of_a_constant_are_the_balance():
    rows = np.arange(8)
    pairs = Pairs(rows, rows, rows % 2 == 0)
    scores = score_pairs(pairs, np.full(8, 0.3), ["1:1"] * 8)
    assert scores.accuracy == scores.average_precision == 0.5


def test_a_ratio_counts_once_whatever_its_size():
    pairs = Pairs(np.array([0] * 8 + [1] * 2), np.arange(10), np.array([True, False] * 5))
    probability = np.array([0.9, 0.1] * 4 + [0.1, 0.9])  # the large ratio right, the small one wrong
    scores = score_pairs(pairs, probability, ["1:1", "1:2"])
    assert (scores.accuracy, scores.ratio_accuracy) == (0.8, 0.5)
    assert scores.ratio_average_precision == pytest.approx(0.75)
