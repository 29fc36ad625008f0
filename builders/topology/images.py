"""Persistence images and landscapes of a crystal's diagrams, the same for every choice of its cell.

Both are made of the crystal's bars (:attr:`builders.topology.persistence.Diagrams.extensive`). Images add up over bars, so that
dividing by the number of points is enough. A landscape is a rank among bars; its levels are given in bars per point here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.topology.persistence import Diagrams

BANDWIDTH: Final = 0.15
"""Å; width of the Gaussian that stands for a bar."""
PIXELS: Final = 12
BIRTHS: Final = {0: (0.0, 0.0), 1: (0.5, 4.5), 2: (0.5, 6.5)}
"""Å; range of births, by degree. All clusters begin at 0: their image has one row."""
LENGTHS: Final = {0: (0.0, 4.0), 1: (0.0, 2.0), 2: (0.0, 3.0)}
"""Å; range of lengths."""
LEVELS: Final = (0.0, 0.25, 0.5, 1.0, 2.0)
"""Levels of the landscape, bars per point; 0 is the highest bar."""


def image_axes(degree: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Borders of the pixels in birth and in length, Å.

    Examples
    --------
    >>> [len(axis) for axis in image_axes(0)], [len(axis) for axis in image_axes(2)]
    ([2, 13], [13, 13])
    """
    low, high = BIRTHS[degree]
    births = np.array([-np.inf, np.inf]) if degree == 0 else np.linspace(low, high, PIXELS + 1)
    return births, np.linspace(*LENGTHS[degree], PIXELS + 1)


def persistence_image(diagrams: Diagrams, degree: int) -> NDArray[np.float64]:
    """Persistence image: every bar a Gaussian at (birth, length), weighted by its length, integrated over pixels.

    Adams et al., J. Mach. Learn. Res. 18, 1 (2017). Stable: the weight vanishes with the length.

    Returns
    -------
    numpy.ndarray
        shape=(12, 12), or (1, 12) for degree 0: rows are births, columns lengths; Å per point.

    Examples
    --------
    >>> from builders.topology.persistence import persistence
    >>> fcc = persistence(np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]), 4.0 * np.eye(3))
    >>> image = persistence_image(fcc, 2)
    >>> image.shape, image.sum().round(2)  # 0.367 Å an octahedral void, 2 x 0.099 Å tetrahedral ones, less what lies below 0
    ((12, 12), np.float64(0.51))
    """
    from scipy.special import ndtr

    bars = diagrams.extensive[degree]
    length = bars[:, 1] - bars[:, 0]
    births, lengths = image_axes(degree)
    in_birth = np.diff(ndtr((births[None] - bars[:, :1]) / BANDWIDTH), axis=1)
    in_length = np.diff(ndtr((lengths[None] - length[:, None]) / BANDWIDTH), axis=1)
    image: NDArray[np.float64] = (in_birth * length[:, None]).T @ in_length / diagrams.n_points
    return image


def landscape(diagrams: Diagrams, degree: int, grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Persistence landscape at levels given in bars per point.

    A bar is a tent over the radii between birth and death; the landscape of level k is the k-th highest tent at each radius
    (Bubenik, J. Mach. Learn. Res. 16, 77 (2015)). Here k is the number of points times each of :data:`LEVELS`, at least 1.

    Parameters
    ----------
    diagrams : Diagrams
    degree : int
    grid : numpy.ndarray
        shape=(m,), radii, Å.

    Returns
    -------
    numpy.ndarray
        shape=(5, m), Å.

    Examples
    --------
    >>> from builders.topology.persistence import persistence
    >>> simple_cubic = persistence(np.zeros((1, 3)), 4.0 * np.eye(3))  # one void an atom, from 2.828 to 3.464
    >>> landscape(simple_cubic, 2, np.array([3.0, 3.4])).round(3).tolist()
    [[0.172, 0.064], [0.172, 0.064], [0.172, 0.064], [0.172, 0.064], [0.0, 0.0]]
    """
    bars = diagrams.extensive[degree]
    ranks = [max(1, int(np.ceil(level * diagrams.n_points - 1e-9))) for level in LEVELS]
    result = np.zeros((len(LEVELS), len(grid)))
    if not len(bars):
        return result
    tents = np.minimum(grid[None] - bars[:, :1], bars[:, 1:] - grid[None])
    tents = -np.sort(-np.maximum(tents, 0.0), axis=0)
    for row, rank in enumerate(ranks):
        if rank <= len(tents):
            result[row] = tents[rank - 1]
    return result
