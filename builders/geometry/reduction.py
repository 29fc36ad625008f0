"""Short bases of lattices: neighbours of a cell are few when its vectors are short and nearly orthogonal."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_COMBINATIONS = [np.array(each) for each in product((-1, 0, 1), repeat=2) if any(each)]


def reduced_basis(lattice: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Reduce a basis after Minkowski: each vector is the shortest that completes the ones before it.

    Greedy reduction of Semaev (Lect. Notes Comput. Sci. 2146, 181, 2001), optimal in three dimensions.

    Parameters
    ----------
    lattice : numpy.ndarray
        shape=(3, 3), rows are the vectors, Å.

    Returns
    -------
    basis : numpy.ndarray
        shape=(3, 3), Å; rows by length. ``basis = transform @ lattice``.
    transform : numpy.ndarray
        shape=(3, 3), int, determinant +1 or -1.

    Examples
    --------
    >>> import numpy as np
    >>> basis, transform = reduced_basis(np.array([[3.0, 0, 0], [30.0, 4, 0], [7.0, 8.0, 5]]))
    >>> np.linalg.norm(basis, axis=1).round(3).tolist(), transform.tolist()
    ([3.0, 4.0, 5.099], [[1, 0, 0], [-10, 1, 0], [18, -2, 1]])
    """
    return _reduced(np.ascontiguousarray(lattice, dtype=np.float64).tobytes())


@lru_cache(maxsize=16)
def _reduced(content: bytes) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Reduce a lattice given by its bytes: one analysis asks for the same one several times. The arrays are read-only."""
    lattice = np.frombuffer(content, dtype=np.float64).reshape(3, 3)
    basis, transform = _reduce(lattice)
    basis.setflags(write=False)
    transform.setflags(write=False)
    return basis, transform


def _reduce(lattice: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    basis = np.array(lattice)
    transform = np.eye(3, dtype=np.int64)
    for _ in range(1000):
        order = np.argsort(np.einsum("ij,ij->i", basis, basis), kind="stable")
        basis, transform = basis[order], transform[order]
        step = round(float(basis[0] @ basis[1] / (basis[0] @ basis[0])))
        if step:
            basis[1] = basis[1] - step * basis[0]
            transform[1] = transform[1] - step * transform[0]
            continue
        nearest = _nearest(basis)
        if not nearest.any():
            return transform @ lattice, transform
        basis[2] = basis[2] - nearest @ basis[:2]
        transform[2] = transform[2] - nearest @ transform[:2]
    return transform @ lattice, transform


def _nearest(basis: NDArray[np.float64]) -> NDArray[np.int64]:
    """Combination of the first two vectors that, taken off the third, shortens it most; zeros when none does."""
    gram = basis @ basis.T
    start = np.rint(np.linalg.solve(gram[:2, :2], gram[2, :2])).astype(np.int64)
    best, shortest = np.zeros(2, dtype=np.int64), gram[2, 2] * (1 - 1e-12)
    for step in (np.zeros(2, dtype=np.int64), *_COMBINATIONS):
        tried = start + step
        rest = basis[2] - tried @ basis[:2]
        if rest @ rest < shortest:
            best, shortest = tried, rest @ rest
    return best
