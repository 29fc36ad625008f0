"""Holes of one kind: equivalent ones, born and filled at the same radii, counted together with what they add."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from builders.learning.attribution import share_among_bars
from builders.topology.vectors import STEP

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.explanation.holes import Holes
    from builders.explanation.model import CurvePart

SAME: Final = 0.03
"""Å; holes whose births, and whose deaths, differ by less are of one kind: coordinates are known that well."""


@dataclass(frozen=True, eq=False)
class Kind:
    """Holes of one kind.

    Attributes
    ----------
    birth, death : float
        Å, means.
    contribution : float
        log10 S/cm; of all of them together.
    members : numpy.ndarray
        int; which holes.
    """

    birth: float
    death: float
    contribution: float
    members: NDArray[np.int64]

    @property
    def count(self) -> int:
        """How many there are in the cell."""
        return len(self.members)


class Window(NamedTuple):
    """Radii at which most of a contribution is made.

    Attributes
    ----------
    low, high : float
        Å.
    contribution : float
        log10 S/cm, there.
    peak : float
        Å; the radius that matters most.
    holes, usual : float
        Per atom of the group, there; usual is the median of the compounds learnt from.
    """

    low: float
    high: float
    contribution: float
    peak: float
    holes: float
    usual: float


def kinds_of(part: CurvePart, holes: Holes | None) -> tuple[list[Kind], float]:
    """Share a curve's contribution among kinds of holes, the most important first.

    Parameters
    ----------
    part : builders.explanation.model.CurvePart
    holes : builders.explanation.holes.Holes or None
        Of the part's group and degree; None where the crystal lacks the group.

    Returns
    -------
    kinds : list of Kind
    of_absence : float
        What radii add at which there are no holes. With the kinds it sums to ``part.contribution``.
    """
    if holes is None:
        return [], part.contribution
    of_bars, of_absence = share_among_bars(part.columns, part.grid, holes.bars, STEP)
    found = [
        Kind(
            float(holes.bars[members, 0].mean()),
            float(holes.bars[members, 1].mean()),
            float(of_bars[members].sum()),
            members,
        )
        for members in alike(holes.bars)
    ]
    return sorted(found, key=lambda kind: (-abs(kind.contribution), kind.birth)), of_absence


def alike(bars: NDArray[np.float64], same: float = SAME) -> list[NDArray[np.int64]]:
    """Put bars together whose births and deaths differ by less than ``same`` from the first of them.

    Examples
    --------
    >>> [members.tolist() for members in alike(np.array([[1.0, 2.0], [1.5, 2.0], [1.01, 2.0]]))]
    [[0, 2], [1]]
    """
    left, found = np.arange(len(bars)), []
    while len(left):
        near = (np.abs(bars[left] - bars[left[0]]) < same).all(axis=1)
        found.append(left[near])
        left = left[~near]
    return found


def window_of(part: CurvePart) -> Window:
    """Find the run of radii that makes most of a contribution: the one with the largest sum of its sign."""
    sign = 1.0 if part.contribution >= 0 else -1.0
    gains = sign * part.columns
    best, low, high, running, start = -np.inf, 0, 0, 0.0, 0
    for place, gain in enumerate(gains.tolist()):
        if running <= 0.0:
            running, start = 0.0, place
        running += gain
        if running > best + 1e-12:
            best, low, high = running, start, place
    # Radii at the ends that add nothing are no part of it.
    while low < high and gains[low] <= 0.02 * best:
        low += 1
    while high > low and gains[high] <= 0.02 * best:
        high -= 1
    peak = low + int(np.argmax(gains[low : high + 1]))
    inside = float(part.columns[low : high + 1].sum())
    at = (part.grid[low], part.grid[high], inside, part.grid[peak], part.curve[peak], part.usual[peak])
    return Window(*(float(each) for each in at))
