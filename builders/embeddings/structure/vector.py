"""A vector of fixed length for nearest-neighbour search, made from the profile of an arrangement.

The profile (:mod:`builders.embeddings.structure.arrangement`) has an entry for each pair of elements, and comparing two
takes the best of all assignments of elements. The vector needs none: each element has a slot, slots stand from the most
abundant element down, and within elements of one amount each column is sorted by itself. So it does not depend on what the
elements are called and changes continuously when atoms move.

Within a stoichiometry the Euclidean distance of two vectors is never above the distance of the arrangements (sorting, and
the smallest and largest of several numbers, bring sets of numbers no further apart): a search for all vectors within a
radius misses no arrangement within that radius.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from builders.embeddings.structure.arrangement import sorted_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MODEL: Final = "structure-distances"
"""Name under which the vectors stand in the collection ``embeddings``."""
VERSION: Final = 1
"""Raised by hand when the same crystal gets another vector."""
N_SLOTS: Final = 6
"""Elements that have columns of their own; further ones are averaged into the last."""
N_COLUMNS: Final = 8
"""Neighbours that a vector reaches to."""
DIMENSION: Final = N_SLOTS * (4 * N_COLUMNS + 1)


def model_identity() -> str:
    """Identity of the model, for stamps and manifests.

    Examples
    --------
    >>> model_identity()
    'structure-distances/1'
    """
    return f"{MODEL}/{VERSION}"


def profile_vectors(profiles: NDArray[np.floating[Any]], amounts: Sequence[float]) -> NDArray[np.float32]:
    """Write profiles of one stoichiometry as vectors.

    Parameters
    ----------
    profiles : numpy.ndarray
        shape=(n, n_elements, n_elements, 2, k) with k of at least 8; from
        :func:`builders.embeddings.structure.arrangement.profile`, elements by ascending amount.
    amounts : sequence of float
        shape=(n_elements,), ascending.

    Returns
    -------
    numpy.ndarray
        shape=(n, 198), float32. For each of six slots: the share of the atoms; then, in units of the cube root of the volume per
        atom and divided by the root of the number of such columns, the mean distances to the eight nearest of the same element,
        their standard deviations, and the smallest and the largest mean distance to the j-th neighbour of any other element.
        Empty slots hold 0.

    Examples
    --------
    >>> two = np.arange(2.0 * 2 * 2 * 8).reshape(1, 2, 2, 2, 8)
    >>> swapped = two[:, ::-1, ::-1]
    >>> profile_vectors(two, (1, 1)).shape
    (1, 198)
    >>> bool((profile_vectors(two, (1, 1)) == profile_vectors(swapped, (1, 1))).all())
    True
    """
    blocks = sorted_columns(np.asarray(profiles[..., :N_COLUMNS], dtype=np.float64), amounts)
    blocks = blocks.reshape(*blocks.shape[:2], 4 * N_COLUMNS)
    shares = np.array(amounts, dtype=np.float64) / sum(amounts)
    blocks, shares = blocks[:, ::-1], shares[::-1]
    if len(shares) > N_SLOTS:
        last = blocks[:, N_SLOTS - 1 :].mean(axis=1, keepdims=True)
        blocks = np.concatenate([blocks[:, : N_SLOTS - 1], last], axis=1)
        shares = np.append(shares[: N_SLOTS - 1], shares[N_SLOTS - 1 :].sum())
    result = np.zeros((len(blocks), N_SLOTS, 4 * N_COLUMNS + 1), dtype=np.float32)
    result[:, : len(shares), 0] = shares
    result[:, : len(shares), 1:] = blocks / np.sqrt(blocks.shape[1] * blocks.shape[2])
    return result.reshape(len(blocks), DIMENSION)
