"""Percolation of a field on a periodic grid, exactly: what a grid method would say if it made no further error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from channels_common import Floats
from numpy.typing import NDArray

FINE = 0.005
"""Å; to which percolation radii of a grid are found here."""


def label(open_points: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Components of a periodic grid: pairs that meet across the cell's faces, the cell of the second, and how many.

    Neighbours are the 26 around a point, as BVlain takes them.
    """
    from scipy.ndimage import generate_binary_structure
    from scipy.ndimage import label as connect

    labels, count = connect(open_points, structure=generate_binary_structure(3, 3))
    pairs, offsets = [], []
    for step in ((1, 0, 0), (0, 1, 0), (0, 0, 1), *_diagonals()):
        there = np.roll(labels, [-n for n in step], axis=(0, 1, 2))
        for cell in np.ndindex(3, 3, 3):
            offset = np.array(cell) - 1
            # From a point in the cell's outermost layer the step leads into the next cell.
            if not offset.any() or any(o not in (0, s) for o, s in zip(offset, step, strict=True)):
                continue
            face = tuple(
                (slice(-1, None) if s > 0 else slice(0, 1)) if o else _inner(s)
                for o, s in zip(offset, step, strict=True)
            )
            both = np.stack([labels[face].ravel(), there[face].ravel()], axis=1)
            both = np.unique(both[(both > 0).all(axis=1)], axis=0)
            pairs.append(both - 1)
            offsets.append(np.broadcast_to(offset, (len(both), 3)))
    return np.concatenate(pairs).astype(np.int64), np.concatenate(offsets).astype(np.int64), int(count)


def _inner(step: int) -> slice:
    return slice(0, -1) if step > 0 else (slice(1, None) if step < 0 else slice(None))


def _diagonals() -> list[tuple[int, int, int]]:
    steps = [tuple(int(n) - 1 for n in cell) for cell in np.ndindex(3, 3, 3)]
    return [(a, b, c) for a, b, c in steps if (a, b, c) > (0, 0, 0) and abs(a) + abs(b) + abs(c) > 1]


def grid_dimension(field: Floats, probe: float) -> tuple[int, int]:
    """Directions in which points above the probe connect, exactly; and how many of them remain modulo 2.

    The second is what a 2x2x2 supercell can tell: translations that differ by two cells are one there.
    """
    from builders.channels.percolation import components

    pairs, offsets, count = label(field[:-1, :-1, :-1] > probe)  # BVlain's last planes repeat the first ones
    if count == 0 or len(pairs) == 0:
        return 0, 0
    found = components(pairs, offsets, np.ones(len(pairs)), 0.5, count)
    return max(each.rank for each in found), max(_rank_modulo_2(each.directions) for each in found)


def _rank_modulo_2(directions: Sequence[Sequence[int]]) -> int:
    rows = [sum((n % 2) << k for k, n in enumerate(vector)) for vector in directions]
    rank = 0
    while rows:
        pivot = rows.pop()
        if pivot:
            rank += 1
            low = pivot & -pivot
            rows = [row ^ pivot if row & low else row for row in rows]
    return rank


def grid_radii(field: Floats) -> tuple[float, float, float]:
    """Largest probes that percolate in 1, 2, 3 directions."""
    radii = []
    for wanted in (1, 2, 3):
        low, high = 0.0, float(field.max())
        while high - low > FINE:
            probe = (low + high) / 2
            low, high = (probe, high) if grid_dimension(field, probe)[0] >= wanted else (low, probe)
        radii.append(low)
    return radii[0], radii[1], radii[2]
