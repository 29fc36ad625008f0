"""Training of the ranker: nothing sees its own answer, and what is written is read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from builders.templates.train import grouped_softmax, halves, save, train
from builders.templates.train_metric import Settings

from .templates_pools import made_proposals, made_question


def test_halves_hang_on_the_formula_alone() -> None:
    questions = [made_question(seed) for seed in range(60)]
    half = halves(questions)
    assert 15 < half.sum() < 45
    assert halves(questions[::-1]).tolist() == half.tolist()[::-1]


def test_grouped_softmax_sums_to_one_in_each_group() -> None:
    owner = np.array([0, 0, 1, 1, 1, 2])
    share = grouped_softmax(np.array([1.0, 2.0, 800.0, 800.0, -800.0, 5.0]), owner)
    assert np.allclose(np.bincount(owner, share), 1.0)


def test_a_trained_ranker_is_read_back_as_it_was(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("lightgbm")
    pytest.importorskip("sklearn")
    questions = [made_question(seed) for seed in range(120)]
    trained = train(questions, Settings(epochs=2), rounds=20)
    read = save(trained, tmp_path / "ranker", {"what": "a test"})
    proposals = made_proposals(500)
    assert np.allclose(read.rank(proposals).probability, trained.rank(proposals).probability, atol=1e-3)
    assert (np.diff(read.calibrated) >= 0).all()
