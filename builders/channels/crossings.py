"""Pairs of places that an ion can hop between: where basins touch, by symmetry classes, without composite journeys."""

from __future__ import annotations

from math import dist
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from builders.channels.basins import pack
from builders.channels.places import Frame, Places, permutations
from builders.geometry.images import canonical_turns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.channels.basins import Basins
    from builders.channels.model import Passages

DETOUR: Final = 4.0
"""Å; near a pair is where the distances from its two ends exceed the one between them by no more than this in sum."""
SAME_LENGTH: Final = 0.01
"""Å; hops whose lengths differ by less are equally long."""

Leg = tuple[int, int, float, int, float, float, float]


class Classes(NamedTuple):
    """Pairs of places by symmetry.

    Attributes
    ----------
    rows : numpy.ndarray
        shape=(n, 5), int; place, place, cell of the second's void when the first's is in the home cell; each pair of the
        crystal once in the cell, canonical as :func:`builders.geometry.images.canonical_turns` says.
    number : numpy.ndarray
        shape=(n,), int; the class of each.
    first : numpy.ndarray
        shape=(n_classes,), int; the row that speaks for each class.
    level : numpy.ndarray
        shape=(n_classes,), int; rank of the narrowest passage of the widest way within the basins of the pairs.
    """

    rows: NDArray[np.int64]
    number: NDArray[np.int64]
    first: NDArray[np.int64]
    level: NDArray[np.int64]


def find_pairs(
    places: Places,
    basins: Basins,
    passages: Passages,
    ranks: NDArray[np.int64],
    lattice: NDArray[np.float64],
    cutoff: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of places, up to a distance of ``cutoff``, whose basins touch.

    Parameters
    ----------
    places : Places
    basins : Basins
        Of these places.
    passages : Passages
    ranks : numpy.ndarray
        shape=(n_channels,), int; of the passages' widths.
    lattice : numpy.ndarray
        shape=(3, 3), rows, Å.
    cutoff : float
        Å.

    Returns
    -------
    rows : numpy.ndarray
        shape=(n, 5), int; as in :class:`Classes`.
    level : numpy.ndarray
        shape=(n,), int; rank of the narrowest passage of the widest way within the two basins.

    Examples
    --------
    >>> from builders.channels.basins import flood, neighbours_of
    >>> from builders.channels.model import Passages
    >>> one, zero = np.ones(2), np.zeros((2, 2), dtype=int)
    >>> ways = Passages(zero, np.array([[0, 0, 1], [0, 1, 0]]), one, one, one, *[one] * 4)
    >>> site = Places(zero[0, :1], zero[0, :1], np.zeros((1, 3), int), np.zeros((1, 3)))
    >>> basins = flood(neighbours_of(1, ways, np.array([7, 8])), site.voids)
    >>> rows, level = find_pairs(site, basins, ways, np.array([7, 8]), 4 * np.eye(3), 8.0)
    >>> rows.tolist(), level.tolist()
    ([[0, 0, 0, 0, 1], [0, 0, 0, 1, 0]], [7, 8])
    """
    passage, first, second = _sides(basins, passages)
    offsets = passages.offsets[passage] + basins.cell[second] - basins.cell[first]
    level = np.minimum(ranks[passage], np.minimum(basins.level[first], basins.level[second]))
    rows = _canonical(np.column_stack([basins.place[first], basins.place[second], offsets]))
    near = ((rows[:, 0] != rows[:, 1]) | rows[:, 2:].any(axis=1)) & (lengths(places, rows, lattice) <= cutoff)
    rows, level = rows[near], level[near]
    keys = _keys(rows, len(places.voids))
    order = np.lexsort((-level, keys))
    best = order[np.diff(keys[order], prepend=-1) > 0]
    return rows[best], level[best]


def lengths(places: Places, rows: NDArray[np.int64], lattice: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distances of pairs of places, shape=(n,), Å.

    Examples
    --------
    >>> none = np.zeros(2, dtype=int)
    >>> two = Places(none, none, np.zeros((2, 3), int), np.array([[0, 0, 0], [0.5, 0, 0]]))
    >>> lengths(two, np.array([[0, 1, 0, 0, 0], [0, 1, 1, 0, 0]]), 4 * np.eye(3)).tolist()
    [2.0, 6.0]
    """
    apart = (places.centres[rows[:, 1]] + rows[:, 2:] - places.centres[rows[:, 0]]) @ lattice
    distances: NDArray[np.float64] = np.sqrt(np.einsum("ij,ij->i", apart, apart))
    return distances


def _sides(basins: Basins, passages: Passages) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Every passage with every place of the void before it and every one of the void behind it (rows of the basins)."""
    order = np.argsort(basins.void, kind="stable")
    counts = np.bincount(basins.void, minlength=int(passages.voids.max()) + 1)
    starts = np.cumsum(counts) - counts
    ahead, behind = passages.voids.T
    combinations = counts[ahead] * counts[behind]
    passage = np.repeat(np.arange(len(ahead)), combinations)
    number = np.arange(len(passage)) - np.repeat(np.cumsum(combinations) - combinations, combinations)
    width = counts[behind[passage]]
    return passage, order[starts[ahead[passage]] + number // width], order[starts[behind[passage]] + number % width]


def classify(
    rows: NDArray[np.int64],
    level: NDArray[np.int64],
    places: Places,
    rotations: NDArray[np.int64],
    translations: NDArray[np.float64],
    frame: Frame,
) -> Classes:
    """Gather pairs into symmetry classes, and complete the classes.

    Parameters
    ----------
    rows, level : numpy.ndarray
        Of :func:`find_pairs`.
    places : Places
    rotations, translations : numpy.ndarray
        shape=(n_operations, 3, 3) and (n_operations, 3), a group of operations R x + t for a column x of fractions.
    frame : Frame

    Returns
    -------
    Classes

    Examples
    --------
    >>> one = np.zeros(1, dtype=int)
    >>> site = Places(one, one, np.zeros((1, 3), int), np.zeros((1, 3)))
    >>> turns = np.array([np.eye(3), [[0, 1, 0], [1, 0, 0], [0, 0, 1]]], dtype=int)
    >>> found = classify(np.array([[0, 0, 1, 0, 0]]), np.array([7]), site, turns, np.zeros((2, 3)), Frame.of(4 * np.eye(3)))
    >>> found.rows.tolist(), found.number.tolist(), found.level.tolist()
    ([[0, 0, 0, 1, 0], [0, 0, 1, 0, 0]], [0, 0], [7])
    """
    rotations, images, cells = permutations(places.centres, rotations, translations, frame)
    first, second, offsets = rows[:, 0], rows[:, 1], rows[:, 2:]
    moved = offsets @ rotations.transpose(0, 2, 1) + cells[:, second] - cells[:, first]
    ends = np.stack([images[:, first], images[:, second]], axis=2)
    all_rows = _canonical(np.concatenate([ends, moved], axis=2).reshape(-1, 5))
    reach = _reach(all_rows)
    keys = _keys(all_rows, len(places.voids), reach)
    # Of an orbit the lowest key is the same from wherever one starts.
    lowest, number = np.unique(keys.reshape(len(images), -1).min(axis=0), return_inverse=True)
    kept, once = np.unique(keys, return_index=True)
    # A pair that was found speaks for its class: symmetry holds within a tolerance only.
    own = _keys(rows, len(places.voids), reach)
    order = np.lexsort((own, -level, number))
    best = order[np.searchsorted(number[order], np.arange(len(lowest)))]
    return Classes(all_rows[once], number[once % len(rows)], np.searchsorted(kept, own[best]), level[best])


def _canonical(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    turned = canonical_turns(rows[:, :2], rows[:, 2:])
    rows[turned] = np.column_stack([rows[turned, 1::-1], -rows[turned, 2:]])
    return rows


def _keys(rows: NDArray[np.int64], n_places: int, reach: int | None = None) -> NDArray[np.int64]:
    """One integer for each row, not negative: the same for the same row, in the order of the rows."""
    if reach is None:
        reach = _reach(rows)
    span = 2 * reach + 1
    factors = np.array([n_places * span**3, span**3, span * span, span, 1])
    keys: NDArray[np.int64] = (rows + np.array([0, 0, reach, reach, reach])) @ factors
    return keys


def _reach(rows: NDArray[np.int64]) -> int:
    return int(np.abs(rows[:, 2:]).max(initial=0))


def elementary(classes: Classes, level: NDArray[np.int64], places: Places, lattice: NDArray[np.float64]) -> list[int]:
    """Classes that no chain of shorter hops near by, none narrower, replaces; the shortest first.

    Parameters
    ----------
    classes : Classes
    level : numpy.ndarray
        shape=(n_classes,), int; rank of the narrowest passage of each.
    places : Places
    lattice : numpy.ndarray
        shape=(3, 3), rows, Å.

    Examples
    --------
    Sites on a line: two steps, no narrower than a double step, replace it.

    >>> one = np.zeros(1, dtype=int)
    >>> site = Places(one, one, np.zeros((1, 3), int), np.zeros((1, 3)))
    >>> line = Classes(np.array([[0, 0, 1, 0, 0], [0, 0, 2, 0, 0]]), np.arange(2), np.arange(2), np.array([7, 7]))
    >>> elementary(line, np.array([7, 7]), site, 4 * np.eye(3)), elementary(line, np.array([7, 8]), site, 4 * np.eye(3))
    ([0], [0, 1])
    """
    members: list[list[int]] = [[] for _ in classes.first]
    for row, number in enumerate(classes.number.tolist()):
        members[number].append(row)
    first, second = classes.rows[:, :2].T.tolist()
    packed = pack(classes.rows[:, 2:]).tolist()
    along = (places.centres[second] + classes.rows[:, 2:] - places.centres[first]) @ lattice
    steps = along.tolist()
    length = lengths(places, classes.rows[classes.first], lattice).tolist()
    legs: list[list[Leg]] = [[] for _ in places.voids]  # of each place, the shortest first
    kept = []
    order = sorted(range(len(members)), key=lambda each: (length[each], each))
    for number, width in zip(order, level[order].tolist(), strict=True):
        row = int(classes.first[number])
        goal = (second[row], packed[row])
        if _chain(first[row], goal, steps[row], length[number] - SAME_LENGTH, width, legs):
            continue
        kept.append(number)
        for row in members[number]:
            x, y, z = steps[row]
            legs[first[row]].append((second[row], packed[row], length[number], width, x, y, z))
            legs[second[row]].append((first[row], -packed[row], length[number], width, -x, -y, -z))
    return kept


def _chain(
    start: int, goal: tuple[int, int], end: list[float], longest: float, level: int, legs: list[list[Leg]]
) -> bool:
    """Whether hops no longer than ``longest``, none narrower than ``level``, lead to the goal at ``end``, near by."""
    limit = dist((0.0, 0.0, 0.0), end) + DETOUR
    seen = {(start, 0)}
    stack = [(start, 0, 0.0, 0.0, 0.0)]
    while stack:
        place, cell, x, y, z = stack.pop()
        for other, step, leg, width, dx, dy, dz in legs[place]:
            if leg > longest:
                break
            if width < level:
                continue
            state = (other, cell + step)
            if state in seen:
                continue
            if state == goal:
                return True
            seen.add(state)
            there = (x + dx, y + dy, z + dz)
            if dist((0.0, 0.0, 0.0), there) + dist(there, end) <= limit:
                stack.append((*state, *there))
    return False
