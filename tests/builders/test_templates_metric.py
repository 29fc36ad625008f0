"""The learned metric: NumPy against torch, symmetries, and that training learns."""

from __future__ import annotations

import numpy as np
import pytest

from builders.templates.features import base_cost
from builders.templates.ranker import load_ranker

from .templates_pools import made_proposals, made_question


def test_species_of_equal_amount_may_stand_in_any_order() -> None:
    metric = load_ranker().metrics[0]
    fractions = np.array([0.25, 0.25, 0.5])
    one = metric.encode(np.array([[3, 28, 8]]), fractions)
    other = metric.encode(np.array([[28, 3, 8]]), fractions)
    assert np.allclose(one[:, [1, 0, 2]], other)


def test_a_composition_lies_at_no_distance_from_itself() -> None:
    metric = load_ranker().metrics[0]
    proposals = made_proposals()
    vectors = metric.encode(np.stack([proposals.numbers, proposals.numbers]), proposals.fractions)
    assert np.allclose(vectors[0], vectors[1])


def test_the_metric_in_numpy_is_the_network_in_torch() -> None:
    torch = pytest.importorskip("torch")
    from builders.templates.train_metric import Settings, _export, _network

    torch.manual_seed(0)
    network = _network(Settings()).eval()
    metric = _export(network)
    numbers, fractions = np.array([[3, 28, 8], [11, 27, 16]]), np.array([0.25, 0.25, 0.5])
    with torch.no_grad():
        expected = network.encode(torch.tensor(numbers), torch.tensor(fractions, dtype=torch.float32)).numpy()
        prior = network.prior(torch.ones((1, 5))).numpy()
    assert np.allclose(metric.encode(numbers, fractions), expected, atol=1e-4)
    assert np.allclose(metric.prior(np.ones((1, 5))), prior, atol=1e-5)


def test_training_finds_that_the_heavy_element_decides() -> None:
    pytest.importorskip("torch")
    from builders.templates.train_metric import Settings, train_metric

    questions = [made_question(seed) for seed in range(240)]
    losses: list[float] = []
    metric = train_metric(questions[:200], Settings(epochs=6, rate=1e-2), progress=lambda _, loss: losses.append(loss))
    assert losses[-1] < losses[0]

    def hits(score: str) -> float:
        right = []
        for question in questions[200:]:
            base = base_cost(question.proposals)
            given = metric.scores(question.proposals, base) if score == "learned" else -base
            vote = np.bincount(question.arrangements.of, np.exp(given - given.max()))
            right.append(question.answer[int(vote.argmax())] > 0.5)
        return float(np.mean(right))

    assert hits("learned") >= hits("published")


def test_training_is_repeatable() -> None:
    pytest.importorskip("torch")
    from builders.templates.train_metric import Settings, train_metric

    questions = [made_question(seed) for seed in range(40)]
    one, other = (train_metric(questions, Settings(epochs=1), seed=3) for _ in range(2))
    assert np.array_equal(one.element, other.element)
