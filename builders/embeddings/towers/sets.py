"""Sets of species as arrays: crystals or compositions grouped by their number of species, so that nothing is padded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Group:
    """Some sets of ``k`` species each.

    Attributes
    ----------
    tokens : numpy.ndarray
        shape=(n, k, n_token), float32; one row a species.
    weights : numpy.ndarray
        shape=(n, k), float32; atomic fractions.
    whole : numpy.ndarray
        shape=(n, n_whole), float32.
    pairs : numpy.ndarray or None
        shape=(n, k, k, n_pairs), float32.
    token_kind : numpy.ndarray or None
        shape=(n, k), int64; element of each species.
    whole_kind : numpy.ndarray or None
        shape=(n,), int64; space group.
    """

    tokens: NDArray[np.float32]
    weights: NDArray[np.float32]
    whole: NDArray[np.float32]
    pairs: NDArray[np.float32] | None = None
    token_kind: NDArray[np.int64] | None = None
    whole_kind: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    def take(self, rows: NDArray[np.int64]) -> Group:
        """Return some of the sets."""
        return Group(
            self.tokens[rows],
            self.weights[rows],
            self.whole[rows],
            None if self.pairs is None else self.pairs[rows],
            None if self.token_kind is None else self.token_kind[rows],
            None if self.whole_kind is None else self.whole_kind[rows],
        )


@dataclass(frozen=True, eq=False)
class Sets:
    """Sets of any numbers of species, numbered through.

    Attributes
    ----------
    groups : mapping of int to Group
        By number of species.
    members : mapping of int to numpy.ndarray
        shape=(n,), int64; the number of each set of a group.
    """

    groups: Mapping[int, Group]
    members: Mapping[int, NDArray[np.int64]]

    def __len__(self) -> int:
        return sum(len(each) for each in self.members.values())

    def places(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For each set by its number: how many species it has, and its row in that group."""
        size, row = np.zeros(len(self), dtype=np.int64), np.zeros(len(self), dtype=np.int64)
        for k, members in self.members.items():
            size[members], row[members] = k, np.arange(len(members))
        return size, row

    def take(self, numbers: NDArray[np.int64]) -> Sets:
        """Return some of the sets, numbered through anew in the order given."""
        size, row = self.places()
        sizes = size[numbers]
        groups = {int(k): self.groups[int(k)].take(row[numbers[sizes == k]]) for k in np.unique(sizes)}
        return gather(sizes, groups)

    def chunks(self, most: int) -> Iterator[tuple[NDArray[np.int64], Group]]:
        """Walk over all sets, at most so many at a time: numbers and group."""
        for k, group in self.groups.items():
            for start in range(0, len(group), most):
                rows = np.arange(start, min(start + most, len(group)))
                yield self.members[k][rows], group.take(rows)


def gather(sizes: Sequence[int] | NDArray[np.int64], make: Mapping[int, Group]) -> Sets:
    """Number sets through: ``sizes`` has the number of species of each, in order, and a group its sets in that order."""
    counts = np.asarray(sizes, dtype=np.int64)
    return Sets(make, {k: np.flatnonzero(counts == k) for k in make})
