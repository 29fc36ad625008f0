"""The trained networks in NumPy: what :mod:`builders.learning.pair_modules` computes in torch, without dropout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from builders.embeddings.pairs.compositions import NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from builders.embeddings.pairs.compositions import Sets

    Arrays = Mapping[str, NDArray[np.float32]]

FAR: Final = np.float32(1e4)
_NORM_EPS: Final = np.float32(1e-5)
_BATCH_EPS: Final = 1e-3
_CHUNK: Final = 2048  # sets at a time: bounds the memory


def encode(sets: Sets, arrays: Arrays) -> NDArray[np.float32]:
    """Embed sets with the encoder.

    Parameters
    ----------
    sets : Sets
    arrays : mapping
        ``vectors`` and the parameters of ``SetEncoder``; the number of heads is the length of ``layers.0.share``.

    Returns
    -------
    numpy.ndarray
        shape=(n, dimension + 1), float32. The logit of a pair is the member's ``offset`` less the squared distance of the first
        columns and less the squares of both in the last one (their doubts); see :func:`separation`.

    Examples
    --------
    >>> from builders.embeddings.pairs.compositions import read_sets
    >>> from builders.embeddings.pairs.model import load_pairs
    >>> pairs = load_pairs()
    >>> bool(np.isfinite(encode(read_sets([{"Li": 2, "O": 1}], pairs.scale), pairs.members[0])).all())
    True
    """
    widths = (sets.elements != NOTHING).sum(axis=1)
    found = np.empty((len(widths), len(arrays["out.bias"]) + 1), dtype=np.float32)
    for width in np.unique(widths):
        rows = np.flatnonzero(widths == width)
        for begin in range(0, len(rows), _CHUNK):
            part = rows[begin : begin + _CHUNK]
            found[part] = _encode_full(sets.at(part), arrays)
    return found


def _encode_full(sets: Sets, arrays: Arrays) -> NDArray[np.float32]:
    """Sets of equally many elements, so that nothing is filled up."""
    x = np.concatenate(
        [arrays["vectors"][sets.elements], arrays["learned.weight"][sets.elements], sets.amounts], axis=2
    )
    x = _dense(x, arrays, "enter")
    log_fraction = np.log(np.maximum(sets.fractions, np.float32(1e-9)))
    layer = 0
    while f"layers.{layer}.share" in arrays:
        x = _attention(x, log_fraction, arrays, f"layers.{layer}.")
        layer += 1
    pooled = [
        (x * sets.fractions[..., None]).sum(axis=1),
        x.mean(axis=1),
        x.max(axis=1),
        np.clip(sets.statistics, -6, 6),
    ]
    y = _silu(_normed(_dense(np.concatenate(pooled, axis=1), arrays, "first"), arrays, "first_norm"))
    y = y + _silu(_normed(_dense(y, arrays, "second"), arrays, "second_norm"))
    size = np.sqrt(max(float(arrays["scale"]), 0.0) / len(arrays["out.bias"]))
    doubt = np.logaddexp(0, _dense(y, arrays, "doubt"))
    return np.concatenate([_dense(y, arrays, "out") * np.float32(size), np.sqrt(doubt)], axis=1)


def separation(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a pair's logit loses against the offset: squared distance and both doubts.

    Parameters
    ----------
    first, second : numpy.ndarray
        shape=(..., dimension + 1), rows of :func:`encode`; broadcast.

    Returns
    -------
    numpy.ndarray
        shape=(...).

    Examples
    --------
    >>> separation(np.array([3.0, 1.0]), np.array([[1.0, 2.0], [3.0, 0.0]])).tolist()
    [9.0, 1.0]
    """
    apart = first[..., :-1] - second[..., :-1]
    found: NDArray[np.float32] = (apart * apart).sum(axis=-1) + first[..., -1] ** 2 + second[..., -1] ** 2
    return found


def _attention(
    x: NDArray[np.float32], log_fraction: NDArray[np.float32], arrays: Arrays, at: str
) -> NDArray[np.float32]:
    n, k, d = x.shape
    share = arrays[at + "share"]
    heads = len(share)
    asked = _dense(_normed(x, arrays, at + "norm"), arrays, at + "ask").reshape(n, k, 3, heads, d // heads)
    query, key, value = np.moveaxis(asked, (2, 3), (0, 2))
    weight = query @ np.swapaxes(key, -1, -2) * np.float32((d // heads) ** -0.5)
    weight = weight + share[None, :, None, None] * log_fraction[:, None, None]
    weight = np.exp(weight - weight.max(axis=-1, keepdims=True))
    weight /= weight.sum(axis=-1, keepdims=True)
    heard = np.swapaxes(weight @ value, 1, 2).reshape(n, k, d)
    x = x + _dense(heard, arrays, at + "join")
    inner = _silu(_dense(_normed(x, arrays, at + "second_norm"), arrays, at + "widen"))
    return x + _dense(inner, arrays, at + "narrow")


def difference_logit(x: NDArray[np.float32], arrays: Arrays) -> NDArray[np.float32]:
    """Run the difference classifier.

    Parameters
    ----------
    x : numpy.ndarray
        shape=(n, features), absolute differences.
    arrays : mapping
        ``dense.K`` and ``out`` with the batch normalisation folded in (:func:`folded`).

    Returns
    -------
    numpy.ndarray
        shape=(n,), float32; log odds that the pair is alike.
    """
    layer = 0
    while f"dense.{layer}.weight" in arrays:
        x = np.maximum(_dense(x, arrays, f"dense.{layer}"), 0)
        layer += 1
    return _dense(x, arrays, "out")[:, 0]


def folded(arrays: Arrays) -> dict[str, NDArray[np.float32]]:
    """Fold the batch normalisation of the difference classifier into its layers, and its two outputs into one.

    Examples
    --------
    >>> one = np.ones(1, dtype=np.float32)
    >>> trained = {"dense.0.weight": one[:, None], "dense.0.bias": one, "norms.0.weight": one, "norms.0.bias": one,
    ...            "norms.0.running_mean": one, "norms.0.running_var": one - 1e-3,
    ...            "out.weight": np.array([[1.0], [3.0]], dtype=np.float32), "out.bias": np.zeros(2, dtype=np.float32)}
    >>> found = folded(trained)  # (x + 1 - 1) * 1 + 1, then times 3 - 1
    >>> difference_logit(np.array([[4.0]], dtype=np.float32), found).tolist()
    [10.0]
    """
    found = {}
    layer = 0
    while f"dense.{layer}.weight" in arrays:
        dense, norm = f"dense.{layer}.", f"norms.{layer}."
        factor = arrays[norm + "weight"] / np.sqrt(arrays[norm + "running_var"] + _BATCH_EPS)
        found[dense + "weight"] = (arrays[dense + "weight"] * factor[:, None]).astype(np.float32)
        shifted = (arrays[dense + "bias"] - arrays[norm + "running_mean"]) * factor + arrays[norm + "bias"]
        found[dense + "bias"] = shifted.astype(np.float32)
        layer += 1
    found["out.weight"] = arrays["out.weight"][1:] - arrays["out.weight"][:1]
    found["out.bias"] = arrays["out.bias"][1:] - arrays["out.bias"][:1]
    return found


def _dense(x: NDArray[np.float32], arrays: Arrays, name: str) -> NDArray[np.float32]:
    found: NDArray[np.float32] = x @ arrays[name + ".weight"].T + arrays[name + ".bias"]
    return found


def _normed(x: NDArray[np.float32], arrays: Arrays, name: str) -> NDArray[np.float32]:
    x = x - x.mean(axis=-1, keepdims=True)
    x /= np.sqrt((x * x).mean(axis=-1, keepdims=True) + _NORM_EPS)
    found: NDArray[np.float32] = x * arrays[name + ".weight"] + arrays[name + ".bias"]
    return found


def _silu(x: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = x / (1 + np.exp(-np.clip(x, -60, 60)))
    return found
