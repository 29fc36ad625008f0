"""Train the learned metric of :mod:`builders.templates.metric` (needs torch).

Neighbourhood components analysis: for each question the softmax of the proposals' scores is the vote, and the logarithm of the
vote for what is right is maximised. Questions of one stoichiometry class go through the network together.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from builders.embeddings.elements import element_table
from builders.templates.features import base_cost
from builders.templates.metric import LearnedMetric, prior_features

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from builders.templates.questions import Question

BATCH: Final = 64
"""Questions of one class that go through the network together."""
STEP: Final = 192
"""Questions between two updates."""
LEAST_LABEL: Final = 0.4
"""Questions teach only where something is right and something is wrong, told apart here."""


@dataclass(frozen=True)
class Settings:
    """How a metric is trained; chosen on development formulas."""

    epochs: int = 5
    rate: float = 2e-3
    decay: float = 0.01
    embedding: int = 32
    channels: int = 64
    hidden: int = 128
    size: int = 48
    dropout: float = 0.1


def train_metric(
    questions: Sequence[Question],
    settings: Settings = Settings(),
    *,
    seed: int = 0,
    progress: Callable[[int, float], None] | None = None,
) -> LearnedMetric:
    """Train one metric.

    Parameters
    ----------
    questions : sequence of Question
    settings : Settings
    seed : int
    progress : callable, optional
        Called after each pass with its number and the mean loss.

    Returns
    -------
    LearnedMetric
    """
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    useful = [q for q in questions if q.label.max() > LEAST_LABEL > q.label.min()]
    network = _network(settings)
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.rate, weight_decay=settings.decay)
    steps = settings.epochs * (len(useful) // STEP + 1) + 2
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.rate, total_steps=steps, pct_start=0.15)
    bases = {id(q): base_cost(q.proposals).astype(np.float32) for q in useful}
    waiting = 0
    for epoch in range(settings.epochs):
        total = 0.0
        for group in batches(useful, rng):
            loss = _loss(network, group, [bases[id(q)] for q in group])
            (loss / STEP).backward()
            total += float(loss.detach())
            waiting += len(group)
            if waiting >= STEP:
                torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
                optimiser.step()
                optimiser.zero_grad()
                waiting = 0
                if schedule.last_epoch < steps - 1:
                    schedule.step()
        if progress is not None:
            progress(epoch + 1, total / max(len(useful), 1))
    return _export(network)


def batches(questions: Sequence[Question], rng: np.random.Generator) -> list[list[Question]]:
    """Groups of questions of one class, in random order."""
    classes: dict[tuple[int, ...], list[Question]] = defaultdict(list)
    for question in questions:
        classes[tuple(np.asarray(question.proposals.amounts).tolist())].append(question)
    groups = []
    for members in classes.values():
        shuffled = [members[k] for k in rng.permutation(len(members))]
        groups += [shuffled[k : k + BATCH] for k in range(0, len(shuffled), BATCH)]
    return [groups[k] for k in rng.permutation(len(groups))]


def _network(settings: Settings) -> Any:
    import torch
    from torch import nn

    values = element_table().values
    spread = values.std(axis=0)
    known = np.clip((values - values.mean(axis=0))[:, spread > 0] / spread[spread > 0], -4.0, 4.0)
    c = settings.channels

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.known = torch.tensor(np.concatenate([np.zeros((1, known.shape[1])), known]), dtype=torch.float32)
            self.own = nn.Embedding(len(self.known), settings.embedding)
            nn.init.normal_(self.own.weight, 0.0, 0.1)
            self.element = nn.Linear(settings.embedding + known.shape[1], c)
            self.first = nn.Linear(3 * c + 4, settings.hidden)
            self.second = nn.Linear(settings.hidden, settings.size)
            self.direct = nn.Linear(c, settings.size)
            self.prior_in, self.prior_out = nn.Linear(5, 16), nn.Linear(16, 1)
            self.base_factor = nn.Parameter(torch.tensor(1.0))
            self.dropout = nn.Dropout(settings.dropout)

        def encode(self, numbers: Any, fractions: Any) -> Any:
            own = nn.functional.silu(self.element(torch.cat([self.own(numbers), self.known[numbers]], -1)))
            mean = (own * fractions[:, None]).sum(1, keepdim=True).expand_as(own)
            most = own.max(1, keepdim=True).values.expand_as(own)
            k = len(fractions)
            columns = [fractions, fractions.log(), torch.full_like(fractions, k / 5.0), fractions.max().expand(k)]
            shares = torch.stack(columns, -1)[None].expand(len(own), k, 4)
            given = self.dropout(torch.cat([own, mean, most, shares], -1))
            return self.direct(own) + self.second(nn.functional.silu(self.first(given)))

        def prior(self, features: Any) -> Any:
            return self.prior_out(nn.functional.silu(self.prior_in(features)))[:, 0]

    return Network()


def _loss(network: Any, group: Sequence[Question], bases: Sequence[NDArray[np.float32]]) -> Any:
    import torch

    asked = np.stack([np.asarray(q.proposals.numbers, np.int64) for q in group])
    replaced = np.concatenate([np.asarray(q.proposals.replaced, np.int64) for q in group])
    sizes = [len(q.proposals) for q in group]
    owner = np.repeat(np.arange(len(group)), sizes)
    distinct, place = np.unique(np.concatenate([asked, replaced]), axis=0, return_inverse=True)
    place = place.ravel()
    fractions = torch.tensor(group[0].proposals.fractions, dtype=torch.float32)
    vectors = network.encode(torch.tensor(distinct), fractions)
    apart = ((vectors[place[: len(group)]][owner] - vectors[place[len(group) :]]) ** 2).sum((1, 2))
    prior = network.prior(
        torch.tensor(np.concatenate([prior_features(q.proposals) for q in group]), dtype=torch.float32)
    )
    scores = prior - apart - network.base_factor.abs() * torch.tensor(np.concatenate(bases))
    labels = torch.tensor(np.concatenate([q.label for q in group])).clamp(1e-4).log()
    total = torch.zeros(())
    for score, label in zip(scores.split(sizes), labels.split(sizes), strict=True):
        total = total + torch.logsumexp(score, 0) - torch.logsumexp(score + label, 0)
    return total


def _export(network: Any) -> LearnedMetric:
    def array(tensor: Any) -> NDArray[np.float64]:
        found: NDArray[np.float64] = tensor.detach().double().numpy()
        return found

    given = np.concatenate([array(network.own.weight), array(network.known)], axis=1)
    hidden = given @ array(network.element.weight).T + array(network.element.bias)
    return LearnedMetric(
        element=hidden / (1.0 + np.exp(-hidden)),
        first_weight=array(network.first.weight).T,
        first_bias=array(network.first.bias),
        second_weight=array(network.second.weight).T,
        second_bias=array(network.second.bias),
        direct_weight=array(network.direct.weight).T,
        direct_bias=array(network.direct.bias),
        prior_weight=array(network.prior_in.weight).T,
        prior_bias=array(network.prior_in.bias),
        prior_out=array(network.prior_out.weight)[0],
        prior_offset=array(network.prior_out.bias)[0],
        base_factor=abs(float(network.base_factor.detach())),
    )
