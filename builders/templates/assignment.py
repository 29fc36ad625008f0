"""Which element of a query takes the place of which element of a template: optimal assignment, all templates at once.

Only species of equal amount can change places, so the problem falls apart into groups of equal amount. The cost of a mapping
is the sum over the species of an element distance; the best mappings of the groups are found among all permutations
(groups of up to six) or by linear assignment (larger ones), and combined into the best few of the whole.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LARGEST_GROUP: Final = 6
"""Groups of more species of equal amount are solved by linear assignment: 7! permutations are too many to look at."""

_CHUNK: Final = 1 << 22  # numbers in a working array


@dataclass(frozen=True, eq=False)
class Assignments:
    """The best few mappings of each template.

    Attributes
    ----------
    cost : numpy.ndarray
        shape=(n, a), float32, ascending along each row; infinite where there are fewer than ``a`` mappings.
    mapping : numpy.ndarray
        shape=(n, a, k), int8; for each species of the query the species of the template that it replaces.
    """

    cost: NDArray[np.float32]
    mapping: NDArray[np.int8]


def equal_groups(amounts: Sequence[int]) -> list[range]:
    """Split canonical positions into runs of equal amount.

    Examples
    --------
    >>> equal_groups((1, 1, 1, 4))
    [range(0, 3), range(3, 4)]
    """
    groups, start = [], 0
    for place in range(1, len(amounts) + 1):
        if place == len(amounts) or amounts[place] != amounts[start]:
            groups.append(range(start, place))
            start = place
    return groups


def assign(
    query: Sequence[int] | NDArray[np.integer],
    templates: NDArray[np.integer],
    amounts: Sequence[int],
    distances: NDArray[np.float32],
    alternatives: int = 1,
) -> Assignments:
    """Assign the elements of a query to those of each template.

    Parameters
    ----------
    query : sequence of int
        shape=(k,), index of each element into ``distances``; canonical order.
    templates : numpy.ndarray
        shape=(n, k), the same of each template.
    amounts : sequence of int
        shape=(k,), ascending; the same for all.
    distances : numpy.ndarray
        shape=(m, m); not negative, any unit.
    alternatives : int
        How many mappings of each template are kept.

    Returns
    -------
    Assignments
        Exact for groups of up to six species. In larger ones the best mapping is exact, and its alternatives are
        the mappings that differ from it by one exchange.

    Examples
    --------
    >>> distances = np.abs(np.subtract.outer(np.arange(10.0), np.arange(10.0))).astype(np.float32)
    >>> found = assign([2, 7, 5], np.array([[8, 3, 5]]), (1, 1, 3), distances, alternatives=2)
    >>> found.cost.tolist(), found.mapping.tolist()
    ([[2.0, 10.0]], [[[1, 0, 2], [0, 1, 2]]])
    """
    asked = np.asarray(query, dtype=np.int64)
    n, k = templates.shape
    cost = np.zeros((n, 1), np.float32)
    mapping = np.zeros((n, 1, k), np.int8)
    for group in equal_groups(amounts):
        places = slice(group.start, group.stop)
        pairs = distances[asked[places][None, :, None], templates[:, None, places]]
        group_cost, group_mapping = _solve(pairs, alternatives)
        cost, mapping = _combine(cost, mapping, group_cost, group_mapping, group, alternatives)
    return _padded(cost, mapping, alternatives)


def costs_of(
    query: Sequence[int] | NDArray[np.integer], templates: NDArray[np.integer], distances: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Distance of each element of a query from the element it replaces, under several metrics.

    Parameters
    ----------
    query : sequence of int
        shape=(k,).
    templates : numpy.ndarray
        shape=(n, k), elements already in the order of the query's (mapped).
    distances : numpy.ndarray
        shape=(metrics, m, m).

    Returns
    -------
    numpy.ndarray
        shape=(n, metrics, k), float32.
    """
    asked = np.asarray(query, dtype=np.int64)
    return np.ascontiguousarray(distances[:, asked[None, :], templates].transpose(1, 0, 2))


@lru_cache(maxsize=8)
def _permutations(size: int) -> NDArray[np.int8]:
    return np.array(list(itertools.permutations(range(size))), dtype=np.int8)


def _solve(pairs: NDArray[np.float32], alternatives: int) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """Best mappings within one group; ``pairs`` has shape (n, s, s): query species by template species."""
    n, size, _ = pairs.shape
    if size > LARGEST_GROUP:
        return _solve_large(pairs, alternatives)
    permutations = _permutations(size)
    kept = min(alternatives, len(permutations))
    cost = np.empty((n, kept), np.float32)
    mapping = np.empty((n, kept, size), np.int8)
    step = max(1, _CHUNK // len(permutations))
    for begin in range(0, n, step):
        part = slice(begin, min(begin + step, n))
        total = pairs[part, 0][:, permutations[:, 0]]
        for place in range(1, size):
            total = total + pairs[part, place][:, permutations[:, place]]
        best = _smallest(total, kept)
        cost[part] = np.take_along_axis(total, best, 1)
        mapping[part] = permutations[best]
    return cost, mapping


def _solve_large(pairs: NDArray[np.float32], alternatives: int) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    from scipy.optimize import linear_sum_assignment

    n, size, _ = pairs.shape
    swaps = list(itertools.combinations(range(size), 2))
    every = np.tile(np.arange(size), (1 + len(swaps), 1))
    for row, (one, other) in enumerate(swaps, start=1):
        every[row, [one, other]] = every[row, [other, one]]
    kept = min(alternatives, len(every))
    cost = np.empty((n, kept), np.float32)
    mapping = np.empty((n, kept, size), np.int8)
    for row in range(n):
        _, best = linear_sum_assignment(pairs[row])
        tried = best[every]
        total = pairs[row][np.arange(size), tried].sum(axis=1)
        order = np.argsort(total, kind="stable")[:kept]
        cost[row], mapping[row] = total[order], tried[order]
    return cost, mapping


def _combine(
    cost: NDArray[np.float32],
    mapping: NDArray[np.int8],
    group_cost: NDArray[np.float32],
    group_mapping: NDArray[np.int8],
    group: range,
    alternatives: int,
) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """Best sums of what was found so far and one more group: the best few of each are enough for the best few sums."""
    before, more = cost.shape[1], group_cost.shape[1]
    total = (cost[:, :, None] + group_cost[:, None, :]).reshape(len(cost), before * more)
    best = _smallest(total, min(alternatives, before * more))
    first, second = best // more, best % more
    joined = np.take_along_axis(mapping, first[:, :, None], 1)
    joined[:, :, group.start : group.stop] = np.take_along_axis(group_mapping, second[:, :, None], 1) + np.int8(
        group.start
    )
    return np.take_along_axis(total, best, 1), joined


def _smallest(total: NDArray[np.float32], kept: int) -> NDArray[np.int64]:
    """Columns of the smallest numbers of each row, ascending."""
    if total.shape[1] == 1:
        return np.zeros((len(total), 1), np.int64)
    if kept == 1:
        lowest: NDArray[np.int64] = total.argmin(axis=1)[:, None]
        return lowest
    if kept < total.shape[1] // 2:
        some = np.argpartition(total, kept - 1, axis=1)[:, :kept]
        order = np.argsort(np.take_along_axis(total, some, 1), axis=1, kind="stable")
        return np.take_along_axis(some, order, 1)
    return np.argsort(total, axis=1, kind="stable")[:, :kept]


def _padded(cost: NDArray[np.float32], mapping: NDArray[np.int8], alternatives: int) -> Assignments:
    missing = alternatives - cost.shape[1]
    if missing > 0:
        cost = np.pad(cost, ((0, 0), (0, missing)), constant_values=np.inf)
        mapping = np.concatenate([mapping, np.repeat(mapping[:, :1], missing, axis=1)], axis=1)
    return Assignments(cost, mapping)
