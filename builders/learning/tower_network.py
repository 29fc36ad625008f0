"""One tower in torch, for training; :mod:`builders.embeddings.towers.network` is its twin in NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from builders.embeddings.towers.sets import Sets
    from builders.learning.two_towers import Settings


class Layer(nn.Module):
    """Each species looks at all, then changes by itself."""

    def __init__(self, n_pairs: int, told: Settings) -> None:
        super().__init__()
        d, h = told.width, told.hidden
        self.norm, self.second_norm = nn.LayerNorm(d), nn.LayerNorm(d)
        self.here, self.there = nn.Linear(d, h), nn.Linear(d, h, bias=False)
        self.between = nn.Linear(2 * n_pairs, h, bias=False) if n_pairs else None
        self.message = nn.Linear(2 * h, d)
        self.widen, self.narrow = nn.Linear(d, 2 * d), nn.Linear(2 * d, d)

    def forward(self, x: Tensor, pairs: Tensor | None, shares: Tensor) -> Tensor:
        """Shapes: (n, k, d), (n, k, k, 2 p), (n, 2, k)."""
        seen = self.norm(x)
        edge = self.here(seen)[:, :, None] + self.there(seen)[:, None]
        if self.between is not None:
            assert pairs is not None
            edge = edge + self.between(pairs)
        edge = functional.silu(edge)
        message = torch.einsum("nsj,nijh->nish", shares.to(edge.dtype), edge).flatten(2)
        x = x + self.message(message)
        inner = functional.silu(self.widen(self.second_norm(x)))
        found: Tensor = x + self.narrow(inner)
        return found


class Head(nn.Module):
    """From what is pooled to the embedding."""

    def __init__(self, n: int, told: Settings) -> None:
        super().__init__()
        self.first, self.first_norm = nn.Linear(n, told.head), nn.LayerNorm(told.head)
        self.second, self.second_norm = nn.Linear(told.head, told.head), nn.LayerNorm(told.head)
        self.out = nn.Linear(told.head, told.dimension)
        self.dropout = told.dropout

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, features) to (n, dimension), rows of length 1."""
        y = functional.silu(self.first_norm(self.first(x)))
        y = functional.dropout(y, self.dropout, self.training)
        y = y + functional.silu(self.second_norm(self.second(y)))
        y = functional.dropout(y, self.dropout, self.training)
        return functional.normalize(self.out(y), dim=1)


class Tower(nn.Module):
    """A set of species in, a unit vector out."""

    def __init__(self, n_token: int, n_whole: int, n_pairs: int, kinds: int, groups: int, told: Settings) -> None:
        super().__init__()
        for name, n in (("tokens", n_token), ("whole", n_whole), ("pairs", n_pairs)):
            if n:
                self.register_buffer(f"{name}_mean", torch.zeros(n))
                self.register_buffer(f"{name}_std", torch.ones(n))
        self.kinds = nn.Embedding(kinds, told.kinds) if kinds else None
        self.groups = nn.Embedding(groups, told.kinds) if groups else None
        d = told.width
        self.enter = nn.Linear(n_token + (told.kinds if kinds else 0), d)
        self.layers = nn.ModuleList([Layer(n_pairs, told) for _ in range(told.layers)])
        self.head = Head(3 * d + n_whole + (told.kinds if groups else 0), told)

    def standardise(self, sets: Sets) -> None:
        """Learn mean and standard deviation of the inputs."""
        for name in ("tokens", "whole", "pairs"):
            arrays: list[Any] = [getattr(group, name) for group in sets.groups.values()]
            if any(array is None for array in arrays):
                continue
            rows = np.concatenate([array.reshape(-1, array.shape[-1]) for array in arrays]).astype(np.float64)
            getattr(self, f"{name}_mean").copy_(torch.as_tensor(rows.mean(axis=0)))
            getattr(self, f"{name}_std").copy_(torch.as_tensor(rows.std(axis=0) + 1e-6))

    def forward(
        self,
        tokens: Tensor,
        weights: Tensor,
        whole: Tensor,
        pairs: Tensor | None,
        kind: Tensor | None,
        group: Tensor | None,
    ) -> Tensor:
        """Arrays as in :class:`builders.embeddings.towers.sets.Group`."""
        parts = [self._scaled("tokens", tokens)]
        if self.kinds is not None:
            parts.append(self.kinds(kind))
        x = self.enter(torch.cat(parts, dim=2))
        if pairs is not None:
            pairs = self._scaled("pairs", pairs)
            pairs = torch.cat([pairs, pairs.transpose(1, 2)], dim=3)
        shares = torch.stack([weights, torch.full_like(weights, 1.0 / tokens.shape[1])], dim=1)
        for layer in self.layers:
            x = layer(x, pairs, shares)
        pooled = [(shares.to(x.dtype) @ x).flatten(1), x.amax(dim=1), self._scaled("whole", whole)]
        if self.groups is not None:
            pooled.append(self.groups(group))
        found: Tensor = self.head(torch.cat(pooled, dim=1))
        return found

    def _scaled(self, name: str, values: Tensor) -> Tensor:
        mean, std = getattr(self, f"{name}_mean"), getattr(self, f"{name}_std")
        found: Tensor = ((values - mean) / std).clamp(-6.0, 6.0)
        return found
