"""The towers' network in NumPy: what runs where nothing is trained. Its twin in torch is ``builders.learning.two_towers``.

A set of species goes in, a unit vector comes out. Each layer lets every species look at every other (with what is known
of the pair), then changes each by itself; the answer is made from the means over the species and from what is known of
the whole. No step depends on the order of the species.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from builders.embeddings.towers.sets import Group, Sets

CHUNK: Final = 512
_EPSILON: Final = 1e-5


def embed_sets(weights: Mapping[str, NDArray[np.float32]], sets: Sets) -> NDArray[np.float32]:
    """Embed sets of species.

    Parameters
    ----------
    weights : mapping
        Arrays of one tower, by the names that the twin's ``state_dict`` gives them.
    sets : Sets

    Returns
    -------
    numpy.ndarray
        shape=(n, d), float32, rows of length 1.
    """
    found = np.empty((len(sets), len(weights["head.out.bias"])), dtype=np.float32)
    for numbers, group in sets.chunks(CHUNK):
        found[numbers] = _forward(weights, group)
    return found


def _forward(weights: Mapping[str, NDArray[np.float32]], group: Group) -> NDArray[np.float32]:
    k = group.tokens.shape[1]
    parts = [_scaled(weights, "tokens", group.tokens)]
    if group.token_kind is not None:
        parts.append(weights["kinds.weight"][group.token_kind])
    x = _linear(weights, "enter", np.concatenate(parts, axis=2))
    pairs = None
    if group.pairs is not None:
        pairs = _scaled(weights, "pairs", group.pairs)
        pairs = np.concatenate([pairs, pairs.transpose(0, 2, 1, 3)], axis=3)
    shares = np.stack([group.weights, np.full_like(group.weights, 1.0 / k)], axis=1)  # (n, 2, k)
    layer = 0
    while f"layers.{layer}.here.weight" in weights:
        x = _layer(weights, f"layers.{layer}", x, pairs, shares)
        layer += 1
    pooled = (shares @ x).reshape(len(x), -1)
    whole = [pooled, x.max(axis=1), _scaled(weights, "whole", group.whole)]
    if group.whole_kind is not None:
        whole.append(weights["groups.weight"][group.whole_kind])
    y = _silu(_normal(weights, "head.first_norm", _linear(weights, "head.first", np.concatenate(whole, axis=1))))
    y = y + _silu(_normal(weights, "head.second_norm", _linear(weights, "head.second", y)))
    y = _linear(weights, "head.out", y)
    found: NDArray[np.float32] = y / np.maximum(np.linalg.norm(y, axis=1, keepdims=True), 1e-12)
    return found


def _layer(
    weights: Mapping[str, NDArray[np.float32]],
    name: str,
    x: NDArray[np.float32],
    pairs: NDArray[np.float32] | None,
    shares: NDArray[np.float32],
) -> NDArray[np.float32]:
    n, k, _ = x.shape
    seen = _normal(weights, f"{name}.norm", x)
    edge = _linear(weights, f"{name}.here", seen)[:, :, None, :] + (seen @ weights[f"{name}.there.weight"].T)[:, None]
    if pairs is not None:
        edge = edge + pairs @ weights[f"{name}.between.weight"].T
    edge = _silu(edge)  # (n, k, k, h)
    message = np.einsum("nsj,nijh->nish", shares, edge).reshape(n, k, -1)
    x = x + _linear(weights, f"{name}.message", message)
    inner = _silu(_linear(weights, f"{name}.widen", _normal(weights, f"{name}.second_norm", x)))
    found: NDArray[np.float32] = x + _linear(weights, f"{name}.narrow", inner)
    return found


def _scaled(weights: Mapping[str, NDArray[np.float32]], name: str, values: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = np.clip((values - weights[f"{name}_mean"]) / weights[f"{name}_std"], -6.0, 6.0)
    return found


def _linear(weights: Mapping[str, NDArray[np.float32]], name: str, x: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
    return found


def _normal(weights: Mapping[str, NDArray[np.float32]], name: str, x: NDArray[np.float32]) -> NDArray[np.float32]:
    centred: NDArray[np.float32] = x - x.mean(axis=-1, keepdims=True)
    spread: NDArray[Any] = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + np.float32(_EPSILON))
    found: NDArray[np.float32] = centred / spread * weights[f"{name}.weight"] + weights[f"{name}.bias"]
    return found


def _silu(x: NDArray[np.float32]) -> NDArray[np.float32]:
    # exp of -88 and less leaves float32; the result is 0 there either way.
    bounded: NDArray[Any] = np.maximum(x, np.float32(-80.0))
    found: NDArray[np.float32] = x / (1 + np.exp(-bounded))
    return found
