"""Names of simplices that do not change under lattice translations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FACTORS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5], dtype=np.uint64)


def simplex_keys(points: NDArray[np.int64], shifts: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Name simplices such that two have the same name exactly when one is a lattice translate of the other.

    For a simplex of m vertices (a_k, s_k) the pairs (a_k, m s_k - sum_l s_l) do not change when all cells are moved alike, and
    they determine the simplex up to such a move. Each pair is mixed to 64 bits and the sum taken, so that the order of
    the vertices does not matter either. Two different names coincide with a probability of 2^-64; the certificate of the
    complex (every triangle between exactly two tetrahedra) would show it.

    Parameters
    ----------
    points : numpy.ndarray
        shape=(n, m), int.
    shifts : numpy.ndarray
        shape=(n, m, 3), int.

    Returns
    -------
    numpy.ndarray
        shape=(n,), uint64.

    Examples
    --------
    >>> here = simplex_keys(np.array([[0, 3]]), np.array([[[0, 0, 0], [1, 0, 0]]]))
    >>> there = simplex_keys(np.array([[3, 0]]), np.array([[[1, 5, 0], [0, 5, 0]]]))
    >>> other = simplex_keys(np.array([[0, 3]]), np.array([[[0, 0, 0], [-1, 0, 0]]]))
    >>> bool(here[0] == there[0]), bool(here[0] == other[0])
    (True, False)
    """
    # Column by column: sums along short last axes are slow.
    count = points.shape[1]
    mixed = points.astype(np.uint64) * _FACTORS[3]
    for axis in range(3):
        cells = shifts[:, :, axis]
        total = cells[:, 0].copy()
        for vertex in range(1, count):
            total += cells[:, vertex]
        mixed += (count * cells - total[:, None]).astype(np.uint64) * _FACTORS[axis]
    # splitmix64: sums of linear terms alone would let different simplices coincide.
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    keys: NDArray[np.uint64] = mixed[:, 0].copy()
    for vertex in range(1, count):
        keys += mixed[:, vertex]
    return keys
