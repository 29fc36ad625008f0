"""A cheap lower bound of Euclidean distances: vectors projected on the few directions in which they differ most.

An orthogonal projection never lengthens a difference. So whatever lies farther than r from a query in the projection lies
farther than r in the full space too, and only the few others need their full distance: the answer stays exact, and a search
reads a tenth of the memory, which is what a flat search spends its time on. (Principal axes as a filter of exact
nearest-neighbour search: R. F. Sproull, Algorithmica 6, 579 (1991), DOI 10.1007/BF01759061.)

The largest inner products are the smallest distances once each row x is given one more coordinate, sqrt(M^2 - |x|^2) with M the
largest length, and the query a zero: |q - x|^2 is then |q|^2 + M^2 - 2 q x. (Y. Bachrach et al., RecSys 2014, DOI
10.1145/2645710.2645741.)
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS: Final = 16_384
"""Fewer rows are searched as they are."""

SHARE: Final = 0.95
"""Part of the variance that the kept directions hold at least; with less, too many candidates would be left."""

_STEP: Final = 8
_SAMPLE: Final = 16_384
_BLOCK: Final = 8_192
_UNIT: Final = 2.0**-24  # unit round-off of float32


class Projection:
    """Vectors on their leading principal axes, in a FAISS index of their own.

    Parameters
    ----------
    rows : numpy.ndarray
        shape=(n, d), float32.
    axes : numpy.ndarray
        shape=(d, m), float64, orthonormal columns; shape=(d + 1, m) for inner products.
    centre : numpy.ndarray
        shape=(d,), float64; or (d + 1,).
    lift : float, optional
        For inner products: square of the largest length of a row.

    Attributes
    ----------
    index : faiss.IndexFlatL2
        The projected rows, in the same order.
    """

    def __init__(
        self,
        rows: NDArray[np.float32],
        axes: NDArray[np.float64],
        centre: NDArray[np.float64],
        lift: float | None = None,
    ) -> None:
        import faiss

        self._axes, self._centre, self._lift = axes, centre, lift
        self.index: Any = faiss.IndexFlatL2(axes.shape[1])
        largest = 0.0
        for begin in range(0, len(rows), _BLOCK):
            part = self._project(_wide(rows[begin : begin + _BLOCK], lift))
            largest = max(largest, float(np.einsum("ij,ij->i", part, part).max()))
            self.index.add(part.astype(np.float32))
        self._largest_norm: float = math.sqrt(largest)

    def query(self, query: NDArray[np.float32]) -> NDArray[np.float32]:
        """Project one query, shape=(1, m), float32."""
        wide = query[None, :].astype(np.float64)
        if self._lift is not None:
            wide = np.append(wide, [[0.0]], axis=1)
        return self._project(wide).astype(np.float32)

    def reach(self, score: float, query: NDArray[np.float32], projected: NDArray[np.float32]) -> float:
        """Largest float32 score that FAISS can give here to a row of at most this exact score.

        The projected rows and the query are rounded to float32, which moves each by at most the unit round-off of its length
        (the added coordinate is exact to less than that); then FAISS sums m rounded terms (see
        :meth:`indexes.faiss_flat.FaissFlat._reach`).

        Parameters
        ----------
        score : float
            Squared distance; for inner products, minus the product.
        query : numpy.ndarray
            shape=(d,), float32.
        projected : numpy.ndarray
            shape=(1, m), float32: :meth:`query` of it.
        """
        if self._lift is not None:
            wide = query.astype(np.float64)
            score = max(0.0, float(wide @ wide) + self._lift + 2.0 * score)
        length = float(np.linalg.norm(projected.astype(np.float64)))
        distance = math.sqrt(score) + 2.0 * _UNIT * (length + self._largest_norm)
        relative: float = 1.01 * (self.index.d + 8) * _UNIT
        largest = 2 * length + distance
        return distance * distance + relative * largest * largest + 1e-30

    def _project(self, wide: NDArray[np.float64]) -> NDArray[np.float64]:
        projected: NDArray[np.float64] = (wide - self._centre) @ self._axes
        return projected


def make_projection(rows: NDArray[np.float32], *, inner_product: bool = False) -> Projection | None:
    """Project rows on their leading principal axes; None where that would not pay.

    Parameters
    ----------
    rows : numpy.ndarray
        shape=(n, d), float32.
    inner_product : bool
        The score is minus the inner product, not the distance.

    Returns
    -------
    Projection or None
        None for few rows, and for rows of which a third of the directions holds less than `SHARE` of the variance.

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((20_000, 48), dtype=np.float32)
    >>> make_projection(rows) is None  # they differ in all directions alike
    True
    >>> rows[:, 8:] *= 0.01
    >>> make_projection(rows).index.d
    8
    """
    if len(rows) < ROWS:
        return None
    lift = float(np.einsum("ij,ij->i", rows, rows, dtype=np.float64).max()) if inner_product else None
    chosen = np.random.default_rng(0).choice(len(rows), min(_SAMPLE, len(rows)), replace=False)
    sample = _wide(rows[np.sort(chosen)], lift)
    centre = sample.mean(axis=0)
    sample -= centre
    variances, axes = np.linalg.eigh(sample.T @ sample)
    held = np.cumsum(variances[::-1])
    if not held[-1] > 0:
        return None
    needed = int(np.searchsorted(held, SHARE * held[-1])) + 1
    kept = -(-needed // _STEP) * _STEP
    if kept > rows.shape[1] // 3:
        return None
    return Projection(rows, np.ascontiguousarray(axes[:, ::-1][:, :kept]), centre, lift)


def _wide(rows: NDArray[np.float32], lift: float | None) -> NDArray[np.float64]:
    """Rows in float64, with the coordinate that makes distances of inner products."""
    wide = rows.astype(np.float64)
    if lift is None:
        return wide
    rest = np.maximum(lift - np.einsum("ij,ij->i", wide, wide), 0.0)
    return np.concatenate([wide, np.sqrt(rest)[:, None]], axis=1)
