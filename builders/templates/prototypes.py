"""Arrangements: which retrieved templates would give the same crystal once the query's elements stand in them.

A template with a mapping is one proposal. Proposals of the same number of atoms, the same space group and the same
neighbour distances of every species are one *arrangement*; near ones, of whatever space group, are likely to be called
the same by a structure matcher, and how likely is fitted (:func:`sameness`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOLERANCE: Final = 0.05
"""Largest difference of neighbour distances, in (volume per atom)^(1/3), within one arrangement."""

# Logistic regression on 2,444 pairs of a held-out formula's own structure and a proposal for it, primitive cells of equal
# size: whether pymatgen's StructureMatcher (ltol 0.2, stol 0.3, angle 5) calls them the same.
_WEIGHTS: Final = np.array([-11.09, -7.83, 6.06, -16.51])
_OFFSET: Final = 3.17


@dataclass(frozen=True, eq=False)
class Arrangements:
    """Proposals by arrangement.

    Attributes
    ----------
    of : numpy.ndarray
        shape=(m,), int; arrangement of each proposal, counted in the order of first appearance.
    first : numpy.ndarray
        shape=(n,), int; the first proposal of each arrangement, which is its leader.
    similarity : numpy.ndarray
        shape=(n, n), float32; probability that a structure matcher calls the leaders the same.
    """

    of: NDArray[np.int64]
    first: NDArray[np.int64]
    similarity: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.first)


def sameness(distance: NDArray[np.floating], same_group: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Probability that a structure matcher calls two crystals of equally many atoms the same.

    Parameters
    ----------
    distance : numpy.ndarray
        Largest difference of their neighbour distances, species by species, in (volume per atom)^(1/3).
    same_group : numpy.ndarray
        Whether their space groups are equal.

    Examples
    --------
    >>> sameness(np.array([0.0, 0.1, 0.1, 0.4]), np.array([True, True, False, True])).round(2).tolist()
    [1.0, 0.98, 0.4, 0.0]
    """
    group = same_group.astype(np.float64)
    given = np.asarray(distance, np.float64)
    logit = _WEIGHTS[0] * given + _WEIGHTS[1] * np.sqrt(given) + (_WEIGHTS[2] + _WEIGHTS[3] * given) * group + _OFFSET
    probability: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-logit))
    return probability


def collapse(
    rows: NDArray[np.float32], formula_units: NDArray[np.integer], space_group: NDArray[np.integer]
) -> Arrangements:
    """Put proposals together that are one arrangement.

    Parameters
    ----------
    rows : numpy.ndarray
        shape=(m, k, 40), neighbour distances in the order of the query's species; best proposals first.
    formula_units, space_group : numpy.ndarray
        shape=(m,).

    Returns
    -------
    Arrangements
        Each proposal belongs to the first leader within :data:`TOLERANCE`.

    Examples
    --------
    >>> rows = np.ones((3, 2, 40), np.float32) * np.array([1.0, 1.01, 1.5], np.float32)[:, None, None]
    >>> collapse(rows, np.array([1, 1, 1]), np.array([225, 225, 225])).of.tolist()
    [0, 0, 1]
    """
    flat = rows.reshape(len(rows), rows.shape[1] * rows.shape[2])
    leader = np.full(len(flat), -1)
    _, kinds = np.unique(np.stack([formula_units, space_group], 1).astype(np.int64), axis=0, return_inverse=True)
    kinds = kinds.ravel()
    for kind in range(int(kinds.max(initial=-1)) + 1):
        left = np.flatnonzero(kinds == kind)
        while len(left):
            near = np.abs(flat[left] - flat[left[0]]).max(axis=1) < TOLERANCE
            leader[left[near]] = left[0]
            left = left[~near]
    first, of = np.unique(leader, return_inverse=True)
    return Arrangements(of.ravel(), first, _similarity(flat[first], formula_units[first], space_group[first]))


def _similarity(
    flat: NDArray[np.float32], formula_units: NDArray[np.integer], space_group: NDArray[np.integer]
) -> NDArray[np.float32]:
    found = np.eye(len(flat), dtype=np.float32)
    one, other = np.nonzero(np.triu(formula_units[:, None] == formula_units[None, :], 1))
    apart = np.empty(len(one), np.float32)
    for begin in range(0, len(one), 4096):
        part = slice(begin, begin + 4096)
        apart[part] = np.abs(flat[one[part]] - flat[other[part]]).max(axis=1)
    found[one, other] = found[other, one] = sameness(apart, space_group[one] == space_group[other])
    return found
