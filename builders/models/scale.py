"""The scale on which barriers are learned and their intervals hold: a logarithm, shifted so that nothing blows up at zero.

It stands here and not with the model of migration energies because members that are kept as arrays may predict on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHIFT: Final = 0.15
"""eV; errors of barriers well below it count as absolute, well above it as relative."""


def to_log(barrier: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithm of a shifted barrier; negative barriers count as zero.

    Examples
    --------
    >>> to_log(np.array([0.85])).tolist()
    [0.0]
    """
    found: NDArray[np.float64] = np.log(np.maximum(barrier, 0.0) + SHIFT)
    return found


def from_log(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Barrier, eV, never negative.

    Examples
    --------
    >>> from_log(np.array([0.0, -9.0])).round(2).tolist()
    [0.85, 0.0]
    """
    found: NDArray[np.float64] = np.maximum(np.exp(np.minimum(value, 5.0)) - SHIFT, 0.0)
    return found
