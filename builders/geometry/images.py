"""Images of periodic points around a fundamental domain, and pairs of points that are near each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from store.errors import GeometryError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_IMAGES: Final = 400_000
"""Images beyond which a crystal (a slab in kilometres of vacuum) is refused."""

_SLACK = 1e-7


class Images(NamedTuple):
    """Images of points.

    Attributes
    ----------
    points : numpy.ndarray
        shape=(n_images,), int; the point each is an image of.
    shifts : numpy.ndarray
        shape=(n_images, 3), int; its cell.
    places : numpy.ndarray
        shape=(n_images, 3), float64, Å; Cartesian.
    """

    points: NDArray[np.int64]
    shifts: NDArray[np.int64]
    places: NDArray[np.float64]


class NearPairs(NamedTuple):
    """Pairs of points nearer than a distance, each once.

    Attributes
    ----------
    points : numpy.ndarray
        shape=(n_pairs, 2), int.
    offsets : numpy.ndarray
        shape=(n_pairs, 3), int; the second point stands in this cell when the first stands in the home cell.
    distances : numpy.ndarray
        shape=(n_pairs,), float64, Å.
    """

    points: NDArray[np.int64]
    offsets: NDArray[np.int64]
    distances: NDArray[np.float64]


def images_around(
    fractions: NDArray[np.float64], basis: NDArray[np.float64], reach: float, origin: NDArray[np.float64]
) -> Images:
    """All images of points within a distance of the cell [origin, origin + 1).

    Parameters
    ----------
    fractions : numpy.ndarray
        shape=(n_points, 3), each in [origin, origin + 1).
    basis : numpy.ndarray
        shape=(3, 3), rows, Å; a reduced basis needs fewest images.
    reach : float
        Å. Images up to somewhat beyond it may be among the result.
    origin : numpy.ndarray
        shape=(3,), fractional.

    Raises
    ------
    GeometryError
        There would be more than :data:`MOST_IMAGES`.

    Examples
    --------
    >>> import numpy as np
    >>> len(images_around(np.zeros((1, 3)), 2.0 * np.eye(3), 2.0, np.zeros(3)).points)  # the cell's corners, and 24 more
    32
    """
    inverse = np.linalg.inv(basis)
    lengths = np.linalg.norm(inverse, axis=0)  # 1 / spacing of the lattice planes
    far = reach * lengths + _SLACK
    steps = np.floor(far + 1.0).astype(int)
    if len(fractions) * np.prod(2.0 * steps + 1) > 4 * MOST_IMAGES:
        raise GeometryError(
            f"Empty spheres of up to {reach:.1f} Å in a cell of {len(fractions)} points need more than "
            f"{MOST_IMAGES:,} images: the crystal is mostly vacuum."
        )
    ranges = [np.arange(-step, step + 1) for step in steps]
    along = [fractions[:, axis, None] + ranges[axis] - origin[axis] for axis in range(3)]
    beyond = [np.maximum(np.maximum(-each, each - 1.0), 0.0) for each in along]
    near = [each <= limit for each, limit in zip(beyond, far, strict=True)]
    index, *cells = np.nonzero(near[0][:, :, None, None] & near[1][:, None, :, None] & near[2][:, None, None, :])
    # A point beyond several faces, by e_k along their unit normals n_k, is at least |e|^2 / |sum e_k n_k| from the cell.
    excess = np.stack([beyond[axis][index, cells[axis]] / lengths[axis] for axis in range(3)], axis=1)
    sides = np.stack([np.where(along[axis][index, cells[axis]] < 0.0, -1.0, 1.0) for axis in range(3)], axis=1)
    across = np.linalg.norm((excess * sides) @ (inverse / lengths).T, axis=1)
    close: NDArray[np.bool_] = (excess * excess).sum(axis=1) <= (reach + _SLACK) * across + _SLACK
    index = index[close]
    shifts = np.stack([ranges[axis][cells[axis][close]] for axis in range(3)], axis=1)
    return Images(index, shifts, (fractions[index] + shifts) @ basis)


def near_pairs(fractions: NDArray[np.float64], lattice: NDArray[np.float64], distance: float) -> NearPairs:
    """Pairs of points (and of a point with its own images) nearer than a distance.

    Parameters
    ----------
    fractions : numpy.ndarray
        shape=(n_points, 3), any cell.
    lattice : numpy.ndarray
        shape=(3, 3), rows, Å.
    distance : float
        Å.

    Examples
    --------
    >>> import numpy as np
    >>> pairs = near_pairs(np.array([[0.05, 0, 0], [0.95, 0, 0]]), 4.0 * np.eye(3), 0.5)
    >>> pairs.points.tolist(), pairs.offsets.tolist(), pairs.distances.round(6).tolist()
    ([[0, 1]], [[-1, 0, 0]], [0.4])
    """
    from scipy.spatial import cKDTree

    from builders.geometry.reduction import reduced_basis

    basis, transform = reduced_basis(lattice)
    reduced = fractions @ np.linalg.inv(transform)
    wraps = np.floor(reduced).astype(np.int64)
    images = images_around(reduced - wraps, basis, distance, np.zeros(3))
    pairs = cKDTree(images.places).query_pairs(distance, output_type="ndarray")
    home = (images.shifts == 0).all(axis=1)
    first, second = pairs[:, 0], pairs[:, 1]
    kept = home[first] | home[second]
    first, second = first[kept], second[kept]
    points = np.stack([images.points[first], images.points[second]], axis=1)
    offsets = images.shifts[second] - images.shifts[first] + wraps[points[:, 0]] - wraps[points[:, 1]]
    turned = canonical_turns(points, offsets)
    points = np.where(turned[:, None], points[:, ::-1], points)
    offsets = np.where(turned[:, None], -offsets, offsets)
    once = distinct_rows(points, offsets)
    distances = np.linalg.norm(images.places[first[once]] - images.places[second[once]], axis=1)
    return NearPairs(points[once], offsets[once] @ transform, distances)


def distinct_rows(points: NDArray[np.int64], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """First row of each different periodic pair (i, j, n), ascending.

    Examples
    --------
    >>> import numpy as np
    >>> distinct_rows(np.array([[0, 1], [0, 1], [0, 1]]), np.array([[0, 0, 0], [1, 0, 0], [0, 0, 0]])).tolist()
    [0, 1]
    """
    if len(points) == 0:
        return np.zeros(0, dtype=np.int64)
    # One number a row: a third of the time of sorting rows.
    low, span = offsets.min(axis=0), np.ptp(offsets, axis=0) + 1
    code = points[:, 0] * (points[:, 1].max() + 1) + points[:, 1]
    for axis in range(3):
        code = code * span[axis] + (offsets[:, axis] - low[axis])
    _, once = np.unique(code, return_index=True)
    return np.sort(once)


def canonical_turns(points: NDArray[np.int64], offsets: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which undirected periodic pairs (i, j, n) must be turned into (j, i, -n) to have i < j, or i = j and n > 0.

    n > 0 means that its first component that is not zero is positive.

    Examples
    --------
    >>> import numpy as np
    >>> canonical_turns(np.array([[0, 1], [1, 0], [2, 2]]), np.array([[0, 0, -1], [0, 0, 1], [0, -1, 1]])).tolist()
    [False, True, True]
    """
    x, y, z = offsets.T
    negative = (x < 0) | ((x == 0) & ((y < 0) | ((y == 0) & (z < 0))))
    turned: NDArray[np.bool_] = (points[:, 0] > points[:, 1]) | ((points[:, 0] == points[:, 1]) & negative)
    return turned
