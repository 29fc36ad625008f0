"""Ranking: order, shares, probabilities, and the files they are read from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.templates.candidates import Proposals
from builders.templates.ranker import FOLDER, covering_order, load_ranker
from store.errors import UsageError

from .templates_pools import made_proposals


def _empty() -> Proposals:
    full = made_proposals()
    return Proposals(
        full.numbers, full.amounts, full.replaced[:0], full.rows[:0], *([np.zeros(0)] * 4), n_class=0
    )  # fmt: skip


def test_probabilities_are_probabilities_and_shares_sum_to_one() -> None:
    ranking = load_ranker().rank(made_proposals())
    assert ((ranking.probability >= 0) & (ranking.probability <= 1)).all()
    assert np.isclose(ranking.share.sum(), 1.0)


def test_every_arrangement_is_ranked_once_by_a_proposal_of_its_own() -> None:
    proposals = made_proposals(1)
    ranking = load_ranker().rank(proposals)
    assert sorted(set(ranking.of.tolist())) == list(range(len(ranking)))
    assert ranking.of[ranking.proposal].tolist() == list(range(len(ranking)))
    assert ranking.support.sum() == len(proposals)


def test_no_proposals_are_an_empty_ranking() -> None:
    assert len(load_ranker().rank(_empty())) == 0


def test_the_first_is_the_one_with_most_probability() -> None:
    ranking = load_ranker().rank(made_proposals(2))
    assert ranking.probability[0] == ranking.probability.max()


@given(st.integers(1, 12), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_the_covering_order_is_a_permutation_that_greedily_covers(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    share = rng.random(n)
    share /= share.sum()
    alike = np.maximum(np.eye(n), np.triu(rng.random((n, n)), 1) + np.triu(rng.random((n, n)), 1).T)
    alike = np.maximum(alike, alike.T)
    order = covering_order(share, alike)
    assert sorted(order.tolist()) == list(range(n))
    # Slow twin: the first two steps by trying everything.
    best = max(share @ alike[:, k] for k in range(n))
    assert np.isclose(share @ alike[:, order[0]], best, atol=1e-6)
    if n > 1:
        second = max(share @ np.maximum(alike[:, order[0]], alike[:, k]) for k in range(n))
        assert np.isclose(share @ np.maximum(alike[:, order[0]], alike[:, order[1]]), second, atol=1e-6)


def test_a_folder_without_a_ranker_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no ranker") as caught:
        load_ranker(tmp_path)
    assert "train" in str(caught.value.mend)


def test_weights_that_do_not_belong_to_their_card_are_refused(tmp_path: Path) -> None:
    card = json.loads((FOLDER / "card.json").read_text())
    (tmp_path / "card.json").write_text(json.dumps(card))
    (tmp_path / "weights.npz").write_bytes(b"other")
    with pytest.raises(UsageError, match="do not belong"):
        load_ranker(tmp_path)


def test_a_ranker_of_other_features_is_refused(tmp_path: Path) -> None:
    card = json.loads((FOLDER / "card.json").read_text())
    card["features"] = card["features"][1:]
    (tmp_path / "card.json").write_text(json.dumps(card))
    (tmp_path / "weights.npz").write_bytes((FOLDER / "weights.npz").read_bytes())
    with pytest.raises(UsageError, match="other features"):
        load_ranker(tmp_path)
