"""Supercells in which the periodic images of a moving ion stay apart."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Final

import numpy as np

from builders.geometry.reduction import reduced_basis
from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

APART: Final = 8.0
"""Å; distance of an ion from its own images, from which their elastic and electric fields no longer change a barrier much."""
MOST_ATOMS: Final = 200
"""Atoms in a supercell that is chosen here; a potential on two cores takes seconds for a step with so many."""
_TIE: Final = 1e-6


@dataclass(frozen=True, eq=False)
class Supercell:
    """A supercell of a lattice.

    Attributes
    ----------
    matrix : numpy.ndarray
        shape=(3, 3), int; rows are the supercell's vectors in units of the cell's. Its determinant is positive.
    lattice : numpy.ndarray
        shape=(3, 3), float64, Å; ``matrix @ cell``.
    cells : numpy.ndarray
        shape=(n, 3), int; the cells inside, n the determinant of ``matrix``.
    apart : float
        Å; distance of an atom from its nearest image.
    """

    matrix: NDArray[np.int64]
    lattice: NDArray[np.float64]
    cells: NDArray[np.int64]
    apart: float

    @property
    def label(self) -> str:
        """The matrix in short: ``1x2x2`` where it is diagonal."""
        rows = self.matrix.tolist()
        if all(rows[i][j] == 0 for i in range(3) for j in range(3) if i != j):
            return "x".join(str(rows[i][i]) for i in range(3))
        return " / ".join(" ".join(str(step) for step in row) for row in rows)

    def home(self, cells: NDArray[np.int64]) -> NDArray[np.int64]:
        """The cell inside that each cell repeats; shapes (n, 3).

        Examples
        --------
        >>> supercell(np.eye(3), np.diag([2, 1, 1])).home(np.array([[3, -1, 0]])).tolist()
        [[1, 0, 0]]
        """
        return _home(cells, self.matrix)


def supercell(lattice: NDArray[np.float64], matrix: NDArray[np.int64]) -> Supercell:
    """Make the supercell of a matrix.

    Parameters
    ----------
    lattice : numpy.ndarray
        shape=(3, 3), rows, Å.
    matrix : numpy.ndarray
        shape=(3, 3), int, of non-zero determinant; a negative one is turned round.

    Raises
    ------
    UsageError
        The matrix is singular.

    Examples
    --------
    >>> import numpy as np
    >>> found = supercell(4.0 * np.eye(3), np.diag([2, 2, 1]))
    >>> found.label, len(found.cells), found.apart
    ('2x2x1', 4, 4.0)
    """
    determinant = round(float(np.linalg.det(matrix)))
    if determinant == 0:
        raise UsageError(f"The supercell {matrix.tolist()} has no volume.", mend="--supercell 2,2,1, for example")
    matrix = matrix if determinant > 0 else -matrix
    low = np.minimum(matrix, 0).sum(axis=0)
    high = np.maximum(matrix, 0).sum(axis=0)
    steps = np.array(list(product(*(range(a, b + 1) for a, b in zip(low.tolist(), high.tolist(), strict=True)))))
    cells = steps[(_home(steps, matrix) == steps).all(axis=1)]
    assert len(cells) == abs(determinant)
    return Supercell(matrix, matrix @ lattice, cells, _apart(matrix @ lattice))


def repeated(lattice: NDArray[np.float64], repeats: Sequence[int]) -> Supercell:
    """Repeat the cell along its own vectors.

    Raises
    ------
    UsageError
        Not three positive numbers.

    Examples
    --------
    >>> import numpy as np
    >>> repeated(3.0 * np.eye(3), (1, 2, 3)).apart
    3.0
    """
    if len(repeats) != 3 or min(repeats) < 1:
        raise UsageError(
            f"A supercell is three positive numbers, along a, b and c; {list(repeats)} was given.",
            mend="--supercell 2,2,1, for example, or --supercell auto",
        )
    return supercell(lattice, np.diag(repeats))


def choose(
    lattice: NDArray[np.float64], n_atoms: int, *, apart: float = APART, most: int = MOST_ATOMS
) -> tuple[Supercell, str | None]:
    """Choose the smallest supercell, along the vectors of the reduced cell, whose atoms are far from their images.

    Parameters
    ----------
    lattice : numpy.ndarray
        shape=(3, 3), rows, Å.
    n_atoms : int
        Atoms in the cell.
    apart : float
        Å; wanted distance of an atom from its images.
    most : int
        Atoms that the supercell may hold.

    Returns
    -------
    supercell : Supercell
        Of as many atoms as are needed; where ``most`` does not allow that, the one whose images are farthest apart.
    note : str or None
        Says so in the latter case.

    Examples
    --------
    >>> import numpy as np
    >>> cell = np.array([[10.3, 0, 0], [0, 6.0, 0], [0, 0, 4.7]])
    >>> choose(cell, 28)[0].label
    '1x2x2'
    >>> choose(cell, 28, most=60)[1]
    'Images of the ion are 6.0 Å apart, and 8 Å were wanted: a supercell of at most 60 atoms allows no more.'
    """
    basis, transform = reduced_basis(lattice)
    lengths = np.linalg.norm(basis, axis=1)
    counts = [range(1, int(np.ceil(apart / length)) + 2) for length in lengths.tolist()]
    best: tuple[tuple[float, ...], tuple[int, ...]] | None = None
    for repeats in product(*counts):
        size = int(np.prod(repeats))
        if size * n_atoms > most and size > 1:
            continue
        reach = _apart(np.diag(repeats) @ basis)
        enough = reach >= apart - _TIE
        rank = (0.0, size, -round(reach, 6)) if enough else (1.0, -round(reach, 6), size)
        if best is None or (rank, repeats) < best:
            best = (rank, repeats)
    assert best is not None  # the cell itself is always allowed
    found = supercell(lattice, _along_given(np.array(best[1]), transform))
    if found.apart >= apart - _TIE:
        return found, None
    note = (
        f"Images of the ion are {found.apart:.1f} Å apart, and {apart:g} Å were wanted: a supercell of at most {most} atoms "
        "allows no more."
    )
    return found, note


def _along_given(repeats: NDArray[np.int64], transform: NDArray[np.int64]) -> NDArray[np.int64]:
    """Matrix of a supercell along the reduced vectors; diagonal where these are the given ones in another order."""
    if (np.abs(transform).sum(axis=0) == 1).all() and (np.abs(transform).sum(axis=1) == 1).all():
        return np.diag(np.abs(transform).T @ repeats)
    matrix: NDArray[np.int64] = np.diag(repeats) @ transform
    return matrix


def _home(cells: NDArray[np.int64], matrix: NDArray[np.int64]) -> NDArray[np.int64]:
    places = cells @ np.linalg.inv(matrix)
    inside = places - np.floor(places + 1e-9)
    return np.rint(inside @ matrix).astype(np.int64)


def _apart(lattice: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(reduced_basis(lattice)[0][0]))
