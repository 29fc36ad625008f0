"""Energies beside shares."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from builders.templates.candidates import Proposals
from builders.templates.fusion import BLIND, energy_shares, with_energies
from builders.templates.ranker import load_ranker

from .templates_pools import made_proposals


@given(
    arrays(np.float64, 6, elements=st.floats(0.01, 1.0)),
    arrays(np.float64, 6, elements=st.floats(-10.0, 0.0)),
    arrays(np.bool_, 6),
)
@settings(max_examples=80, deadline=None)
def test_what_has_energies_keeps_its_sum_of_shares(share: np.ndarray, energy: np.ndarray, known: np.ndarray) -> None:
    share = share / share.sum()
    found = energy_shares(share, np.where(known, energy, np.nan))
    assert np.isclose(found.sum(), 1.0)
    assert np.isclose(found[known].sum(), share[known].sum())


def test_equal_energies_change_nothing() -> None:
    share = np.array([0.5, 0.3, 0.2])
    assert np.allclose(energy_shares(share, np.full(3, -4.0)), share)


def test_no_energies_change_nothing() -> None:
    share = np.array([0.5, 0.3, 0.2])
    assert np.allclose(energy_shares(share, np.full(3, np.nan)), share)


def test_a_high_energy_leaves_a_share() -> None:
    found = energy_shares(np.array([0.5, 0.5]), np.array([0.0, 100.0]))
    assert np.isclose(found[1] / found[0], BLIND)


def test_an_arrangement_that_clashes_falls() -> None:
    share = np.array([0.5, 0.5])
    found = energy_shares(share, np.full(2, np.nan), np.array([True, False]))
    assert found[0] < found[1]


def test_ranking_again_keeps_every_arrangement_and_its_proposals() -> None:
    ranker = load_ranker()
    ranking = ranker.rank(made_proposals(4))
    energies = np.full(len(ranking), np.nan)
    energies[:2] = (0.0, -1.0)
    again = with_energies(ranker, ranking, energies)
    assert sorted(again.proposal.tolist()) == sorted(ranking.proposal.tolist())
    assert again.of[again.proposal].tolist() == list(range(len(again)))
    assert again.support.sum() == ranking.support.sum()


def test_an_empty_ranking_stays_empty() -> None:
    ranker = load_ranker()
    full = made_proposals()
    none = Proposals(full.numbers, full.amounts, full.replaced[:0], full.rows[:0], *([np.zeros(0)] * 4), n_class=0)
    assert len(with_energies(ranker, ranker.rank(none), np.zeros(0))) == 0


def test_ranking_again_without_energies_is_the_same_ranking() -> None:
    ranker = load_ranker()
    ranking = ranker.rank(made_proposals(4))
    again = with_energies(ranker, ranking, np.full(len(ranking), np.nan))
    assert again.proposal.tolist() == ranking.proposal.tolist()
    assert np.allclose(again.probability, ranking.probability)
