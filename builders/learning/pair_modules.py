"""The two networks for pairs in torch, for training; :mod:`builders.embeddings.pairs.network` computes the same in NumPy."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from builders.learning.pair_classifier import ClassifierSettings
    from builders.learning.pair_metric import MetricSettings

FAR = 1e4
"""Taken off what is said about elements that are not there, before a softmax or a maximum."""


class Difference(nn.Module):
    """CSPML's classifier of the absolute difference of two descriptors: dense layers with batch normalisation.

    Starting values, the constants of the normalisation and the place of the dropout are those of Keras, in which it was written.
    """

    def __init__(self, n_features: int, told: ClassifierSettings) -> None:
        super().__init__()
        widths = [n_features, *[told.units] * told.layers]
        self.dense = nn.ModuleList([nn.Linear(a, b) for a, b in pairwise(widths)])
        self.norms = nn.ModuleList([nn.BatchNorm1d(told.units, eps=1e-3, momentum=0.01) for _ in self.dense])
        self.out = nn.Linear(told.units, 2)
        self.dropout = told.dropout
        for layer in (*self.dense, self.out):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, features) to (n, 2): logits of "unlike" and "alike"."""
        for place, (dense, norm) in enumerate(zip(self.dense, self.norms, strict=True)):
            if place:
                x = functional.dropout(x, self.dropout, self.training)
            x = functional.relu(norm(dense(x)))
        logits: Tensor = self.out(x)
        return logits


class Attention(nn.Module):
    """Each element looks at all of its composition, the more the more there is of one, then changes by itself."""

    def __init__(self, told: MetricSettings) -> None:
        super().__init__()
        d = told.width
        self.heads, self.dropout = told.heads, told.dropout
        self.norm, self.second_norm = nn.LayerNorm(d), nn.LayerNorm(d)
        self.ask = nn.Linear(d, 3 * d)
        self.join, self.widen, self.narrow = nn.Linear(d, d), nn.Linear(d, 2 * d), nn.Linear(2 * d, d)
        self.share = nn.Parameter(torch.ones(told.heads))

    def forward(self, x: Tensor, there: Tensor, log_fraction: Tensor) -> Tensor:
        """Shapes (n, k, d), (n, k), (n, k)."""
        n, k, d = x.shape
        query, key, value = self.ask(self.norm(x)).reshape(n, k, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        weight = (query @ key.transpose(-1, -2)) * (d // self.heads) ** -0.5
        weight = weight + self.share[None, :, None, None] * log_fraction[:, None, None]
        weight = torch.softmax(weight - FAR * (1 - there[:, None, None]), dim=-1)
        heard = self.join((weight @ value).transpose(1, 2).reshape(n, k, d))
        x = x + functional.dropout(heard, self.dropout, self.training)
        inner = functional.silu(self.widen(self.second_norm(x)))
        return x + functional.dropout(self.narrow(inner), self.dropout, self.training)


class SetEncoder(nn.Module):
    """A composition's embedding: attention among its elements, pooled in three ways, and beside it the 290 statistics.

    Beside the embedding stands a doubt: how little the composition says of its arrangement. Two compositions of which
    either could take one of two arrangements are near each other and yet alike in half of the cases only.
    """

    def __init__(self, vectors: Tensor, n_amounts: int, n_statistics: int, told: MetricSettings) -> None:
        super().__init__()
        self.register_buffer("vectors", vectors)
        self.learned = nn.Embedding(len(vectors), told.learned)
        nn.init.normal_(self.learned.weight, std=0.3)
        d = told.width
        self.enter = nn.Linear(vectors.shape[1] + told.learned + n_amounts, d)
        self.layers = nn.ModuleList([Attention(told) for _ in range(told.layers)])
        self.first, self.first_norm = nn.Linear(3 * d + n_statistics, told.hidden), nn.LayerNorm(told.hidden)
        self.second, self.second_norm = nn.Linear(told.hidden, told.hidden), nn.LayerNorm(told.hidden)
        self.out, self.doubt = nn.Linear(told.hidden, told.dimension), nn.Linear(told.hidden, 1)
        nn.init.constant_(self.doubt.bias, -2.0)
        # logit = offset - scale * squared distance / dimension - doubt of the one - doubt of the other
        self.offset, self.scale = nn.Parameter(torch.tensor(4.0)), nn.Parameter(torch.tensor(2.0))
        self.dropout = told.dropout

    def forward(
        self, elements: Tensor, amounts: Tensor, fractions: Tensor, statistics: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Shapes (n, k), (n, k, 6), (n, k), (n, 290) to embeddings, (n, dimension), and doubts, (n,)."""
        there = (elements < len(self.vectors) - 1).to(fractions.dtype)
        known = self._dropped(self.vectors[elements])
        x = self.enter(torch.cat([known, self.learned(elements), amounts], dim=2))
        log_fraction = torch.log(fractions.clamp_min(1e-9)) * there
        for layer in self.layers:
            x = layer(x, there, log_fraction)
        x = x * there[..., None]
        pooled = [
            (x * fractions[..., None]).sum(dim=1),
            x.sum(dim=1) / there.sum(dim=1, keepdim=True),
            (x - FAR * (1 - there[..., None])).amax(dim=1),
            self._dropped(statistics.clamp(-6, 6)),
        ]
        y = self._dropped(functional.silu(self.first_norm(self.first(torch.cat(pooled, dim=1)))))
        y = self._dropped(y + functional.silu(self.second_norm(self.second(y))))
        return self.out(y), functional.softplus(self.doubt(y))[:, 0]

    def logits(self, embedded: Tensor, doubt: Tensor) -> Tensor:
        """Logits that compositions are alike, of all pairs; shapes (n, dimension) and (n,) to (n, n)."""
        norms = (embedded * embedded).sum(dim=1)
        squared = (norms[:, None] + norms[None] - 2 * embedded @ embedded.T).clamp_min(0)
        return self.offset - self.scale * squared / self.out.out_features - doubt[:, None] - doubt[None]

    def _dropped(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout, self.training)
