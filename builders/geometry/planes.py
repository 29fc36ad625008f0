"""Voronoi cells cut out of space by planes, one at a time: no triangulation, no jitter, and as exact as a convex hull.

Slow, and independent of everything else here: what is fast is checked against it, and falls back on it.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final

import numpy as np

from builders.geometry.measures import dot
from builders.geometry.reduction import reduced_basis
from store.errors import GeometryError

if TYPE_CHECKING:
    from numpy.typing import NDArray

COINCIDENT: Final = 1e-3
"""Å; a position nearer than this to a point of the set has no cell of its own."""
_TIE = 1e-6
_MOST_PLANES = 4_000_000


def cell_by_planes(
    points: NDArray[np.float64],
    lattice: NDArray[np.float64],
    position: NDArray[np.float64],
    translates: NDArray[np.float64] | None = None,
) -> tuple[float, float]:
    """Volume and furthest corner of the Voronoi cell of one position, inserted with translates of its own.

    The cell is what the planes half way to all points leave. The points y = 2 q / |q|^2 (q relative to the position) have a
    convex hull whose faces are the corners of the cell. Points further off than twice the furthest corner cannot matter, so
    that a finite search is exact. Nothing here is shared with the triangulation: slow, and the twin that checks it.

    Parameters
    ----------
    points : numpy.ndarray
        shape=(n_points, 3), Cartesian, Å.
    lattice : numpy.ndarray
        shape=(3, 3), rows, Å.
    position : numpy.ndarray
        shape=(3,), Cartesian, Å.
    translates : numpy.ndarray, optional
        shape=(3, 3), rows, Å; lattice of the position's own translates, by default that of the points.

    Returns
    -------
    tuple of float
        Å^3, Å.

    Raises
    ------
    GeometryError
        The position stands on a point, or the cell reaches too far to be cut out.

    Examples
    --------
    >>> import numpy as np
    >>> volume, far = cell_by_planes(np.zeros((1, 3)), np.eye(3), np.array([0.5, 0.5, 0.5]))
    >>> round(volume, 6), round(far, 6)  # half the cell; truncated octahedron
    (0.5, 0.559017)
    """
    from scipy.spatial import ConvexHull, QhullError

    basis, _ = reduced_basis(lattice)
    own, _ = reduced_basis(lattice if translates is None else translates)
    relative = (points - position) @ np.linalg.inv(basis)
    relative -= np.rint(relative)
    reach = 2.0 * np.cbrt(abs(np.linalg.det(basis)) / (len(relative) + 1))
    while True:
        itself = _around(np.zeros((1, 3)), own, reach)
        near = np.vstack([_around(relative, basis, reach), itself[itself.any(axis=1)]])
        squares = dot(near, near)
        if len(near) and squares.min() < COINCIDENT**2:
            raise GeometryError("A position stands on a point of the set and has no Voronoi cell of its own.")
        far = np.inf
        if len(near) >= 4:
            try:
                equations = ConvexHull(2.0 * near / squares[:, None]).equations
            except QhullError:  # all in a plane: more are needed
                equations = np.zeros((1, 4))
            if (equations[:, 3] < 0).all():  # the position is inside the hull: the cell is bounded
                corners = -equations[:, :3] / equations[:, 3:]
                far = float(np.linalg.norm(corners, axis=1).max())
        if 2.0 * far <= reach:
            return float(ConvexHull(corners).volume), far
        reach = min(max(1.2 * reach, 2.0 * far * (1 + 1e-9)), 2.0 * reach)


def _around(relative: NDArray[np.float64], basis: NDArray[np.float64], reach: float) -> NDArray[np.float64]:
    """All images within a distance of the origin."""
    steps = np.floor(reach * np.linalg.norm(np.linalg.inv(basis), axis=0) + 0.5).astype(int)
    if len(relative) * np.prod(2.0 * steps + 1) > _MOST_PLANES:
        raise GeometryError(f"The Voronoi cell of a position reaches further than {reach / 2.0:.0f} Å.")
    cells = np.stack(np.meshgrid(*(np.arange(-step, step + 1) for step in steps), indexing="ij"), axis=-1).reshape(
        -1, 3
    )
    images = (relative[:, None] + cells).reshape(-1, 3) @ basis
    kept: NDArray[np.float64] = images[dot(images, images) <= reach * reach]
    return kept


def relevant_vectors(lattice: NDArray[np.float64]) -> NDArray[np.float64]:
    """The lattice vectors that make faces of the Wigner-Seitz cell, at most 14, shortest first.

    Voronoi's theorem: t makes a face exactly when t and -t are the only shortest vectors of t + 2 lattice. Vectors of
    equal length there (rectangles) touch the cell in an edge only and are left out.

    Parameters
    ----------
    lattice : numpy.ndarray
        shape=(3, 3), rows, Å.

    Returns
    -------
    numpy.ndarray
        shape=(n, 3), Cartesian, Å.

    Examples
    --------
    >>> import numpy as np
    >>> len(relevant_vectors(np.eye(3))), len(relevant_vectors(np.eye(3) - 0.5 + 1e-9))  # cubic; body-centred cubic
    (6, 14)
    """
    basis, _ = reduced_basis(lattice)
    vectors = _HALF @ basis  # (7 classes, members, 3)
    squares = np.einsum("cmi,cmi->cm", vectors, vectors)
    best = squares.argmin(axis=1)
    classes = np.arange(len(squares))
    shortest = squares[classes, best]
    alone = (squares <= shortest[:, None] * (1.0 + _TIE)).sum(axis=1) == 1
    chosen = vectors[classes, best][alone][np.argsort(shortest[alone], kind="stable")]
    both: NDArray[np.float64] = np.stack([chosen, -chosen], axis=1).reshape(-1, 3)
    return both


def _classes() -> NDArray[np.int64]:
    """Small integer vectors by their parities, one of each pair t, -t; shape=(7, n, 3), filled up with long ones."""
    steps = [np.array(each) for each in product(range(-2, 3), repeat=3) if each > (0, 0, 0)]
    groups = [
        [step for step in steps if tuple(step % 2) == parity] for parity in product((0, 1), repeat=3) if any(parity)
    ]
    longest = max(len(group) for group in groups)
    return np.array([[*group, *(group[0] + 100 * (1 + k) for k in range(longest - len(group)))] for group in groups])


_HALF: Final = _classes()
