"""Scores of a retrieval in both directions: where among all candidates the right one stands."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_ROWS: Final = 64  # queries compared with all candidates at a time


class Ranks(NamedTuple):
    """Where the right answers of some queries stand.

    Attributes
    ----------
    rank : numpy.ndarray
        shape=(n,), int64; how many wrong candidates score above the (best) right one.
    candidates : numpy.ndarray
        shape=(n,), int64; how many there are, the right ones included.
    right : numpy.ndarray
        shape=(n,), int64; how many are right.
    """

    rank: NDArray[np.int64]
    candidates: NDArray[np.int64]
    right: NDArray[np.int64]

    def recall(self, k: int) -> float:
        """Share of the queries with a right answer among the first k."""
        return float((self.rank < k).mean())

    def chance(self, k: int) -> float:
        """The same, were the order drawn by lot."""
        # 1 - C(n - r, k) / C(n, k), the chance that none of the r right ones is drawn.
        missed = np.ones(len(self.rank))
        for step in range(k):
            left = np.maximum(self.candidates - self.right - step, 0)
            missed *= left / np.maximum(self.candidates - step, 1)
        return float(1.0 - missed.mean())


def forward_ranks(
    queries: NDArray[np.float32],
    vectors: NDArray[np.float32],
    owner: NDArray[np.int64],
    numbers: NDArray[np.int64],
    candidates: Mapping[int, NDArray[np.int64]] | None,
    label: NDArray[np.int64],
) -> Ranks:
    """Rank the vectors that a query owns among all (of its class).

    Parameters
    ----------
    queries : numpy.ndarray
        shape=(m, d); all left things.
    vectors : numpy.ndarray
        shape=(n, d); all right things.
    owner : numpy.ndarray
        shape=(n,); the left thing of each right one.
    numbers : numpy.ndarray
        Left things that ask.
    candidates : mapping or None
        Right things of each class; None: all are candidates.
    label : numpy.ndarray
        shape=(m,); class of each left thing.
    """
    found = np.zeros((len(numbers), 3), dtype=np.int64)
    for name, some in _asking(label[numbers], candidates).items():
        places = slice(None) if candidates is None else candidates[name]
        found[some] = _placed(queries[numbers[some]], numbers[some], vectors[places], owner[places])
    return Ranks(*found.T)


def backward_ranks(
    queries: NDArray[np.float32],
    vectors: NDArray[np.float32],
    right: NDArray[np.int64],
    candidates: Mapping[int, NDArray[np.int64]] | None,
    label: NDArray[np.int64],
) -> Ranks:
    """Rank the one vector that belongs to each query, among all (of its class).

    Parameters
    ----------
    queries : numpy.ndarray
        shape=(n, d); the right things that ask.
    vectors : numpy.ndarray
        shape=(m, d); all left things.
    right : numpy.ndarray
        shape=(n,); the left thing that each query belongs to.
    candidates : mapping or None
        Left things of each class; None: all.
    label : numpy.ndarray
        shape=(m,); class of each left thing.
    """
    found = np.zeros((len(queries), 3), dtype=np.int64)
    names = np.arange(len(vectors))
    for name, some in _asking(label[right], candidates).items():
        places = slice(None) if candidates is None else candidates[name]
        found[some] = _placed(queries[some], right[some], vectors[places], names[places])
    return Ranks(*found.T)


def _asking(
    label: NDArray[np.int64], candidates: Mapping[int, NDArray[np.int64]] | None
) -> dict[int, NDArray[np.int64]]:
    """Which queries have the same candidates."""
    return members_of(np.zeros_like(label) if candidates is None else label)


def _placed(
    queries: NDArray[np.float32], wanted: NDArray[np.int64], vectors: NDArray[np.float32], owner: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Rank, number of candidates and number of right ones of each query, shape=(n, 3)."""
    found = np.empty((len(queries), 3), dtype=np.int64)
    for start in range(0, len(queries), _ROWS):
        part = slice(start, start + _ROWS)
        # All from one product: a row's rounding may differ between products of different shapes.
        scores = queries[part] @ vectors.T
        mine = owner[None] == wanted[part, None]
        best = np.where(mine, scores, -np.inf).max(axis=1, keepdims=True)
        above = (scores > best) & ~mine
        found[part] = np.stack([above.sum(axis=1), np.full(len(scores), len(vectors)), mine.sum(axis=1)], axis=1)
    return found


def members_of(label: NDArray[np.int64]) -> dict[int, NDArray[np.int64]]:
    """Numbers of the things of each class.

    Examples
    --------
    >>> members_of(np.array([1, 0, 1]))[1].tolist()
    [0, 2]
    """
    order = np.argsort(label, kind="stable")
    names, starts = np.unique(label[order], return_index=True)
    return dict(zip(names.tolist(), np.split(order, starts[1:]), strict=True))


def recovered(order: NDArray[np.int64], own: NDArray[np.int64], kind: Mapping[int, int], k: int) -> tuple[int, int]:
    """Count the different kinds among what is a query's own, and how many of them stand among the first k.

    Parameters
    ----------
    order : numpy.ndarray
        Candidates, best first.
    own : numpy.ndarray
        The query's own.
    kind : mapping
        Kind (arrangement) of each of its own.

    Examples
    --------
    >>> recovered(np.array([5, 1, 9, 2]), np.array([1, 2, 3]), {1: 0, 2: 0, 3: 1}, 2)
    (1, 2)
    """
    first = set(order[:k].tolist())
    seen: dict[int, bool] = defaultdict(bool)
    for each in own.tolist():
        seen[kind[each]] |= each in first
    return sum(seen.values()), len(seen)


def mean_recall(ranks: Ranks, at: Sequence[int]) -> dict[str, float]:
    """Recall at several depths, with that of chance."""
    found = {f"R@{k}": ranks.recall(k) for k in at}
    return {**found, **{f"chance R@{k}": ranks.chance(k) for k in at}}
