"""Persistence diagrams of periodic point sets: which clusters, loops and voids there are between which radii."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from builders.geometry.delaunay import periodic_delaunay
from builders.geometry.regular import periodic_regular
from builders.topology.filtration import alpha_filtration, weighted_filtration
from builders.topology.reduction import crystal_pairs, forests, torus_pairs
from store.errors import GeometryError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.geometry.complex import PeriodicDelaunay
    from builders.topology.filtration import Filtration

MIN_LENGTH: Final = 0.01
"""Å; shorter bars are dropped: coordinates are not known better, and symmetric places differ by their last digits."""
TORUS: Final = (1, 3, 3, 1)

Bars = tuple["NDArray[np.float64]", "NDArray[np.float64]", "NDArray[np.float64]"]


@dataclass(frozen=True, eq=False)
class Diagrams:
    """Persistence diagrams of the points of one cell, degrees 0, 1, 2.

    The diagrams of the torus (``finite`` and ``essential``) are what other programs compute; they depend on the cell chosen.
    Those of the crystal (``extensive``) do not: a cell k times as large has each of their bars k times.

    Attributes
    ----------
    finite : tuple of numpy.ndarray
        H0, H1, H2 of the torus over the field of two elements: shape=(n, 2), float64, Å; birth and death radii, rows ascending.
        Bars shorter than the least length are left out.
    essential : tuple of numpy.ndarray
        Births, Å, ascending, of the classes H0 to H3 that never end: lengths 1, 3, 3, 1.
    n_points : int
        Points in the cell that was filtered.
    copies : int
        How many copies of the given cell that cell is: 1, for no cell is too small.
    extensive : tuple of numpy.ndarray
        H0, H1, H2 of the infinite crystal, bars per cell: shape=(n, 2), as ``finite``. Their number at a radius, divided by
        ``n_points``, is the Betti number per point of an infinitely large supercell.
    """

    finite: Bars
    essential: tuple[NDArray[np.float64], ...]
    n_points: int
    copies: int
    extensive: Bars

    @property
    def betti(self) -> tuple[int, ...]:
        """Numbers of essential classes: (1, 3, 3, 1)."""
        return tuple(len(births) for births in self.essential)


def persistence(
    frac_coords: NDArray[np.float64],
    lattice: NDArray[np.float64],
    weights: NDArray[np.float64] | None = None,
    *,
    min_length: float = MIN_LENGTH,
) -> Diagrams:
    """Persistence diagrams of the periodic alpha filtration of a point set: exact in any cell.

    Parameters
    ----------
    frac_coords : numpy.ndarray
        shape=(n_points, 3), in units of the cell vectors; at least one point, no two at one place.
    lattice : numpy.ndarray
        shape=(3, 3), rows are the cell vectors, Å; any cell.
    weights : numpy.ndarray, optional
        shape=(n_points,), Å^2; squared radii of the atoms, 0 for points. At the radius r of the diagrams the balls have the radii
        sqrt(weight + r |r|): r is negative as long as they are smaller than the atoms. Atoms deep inside others have no ball
        of their own and count in ``n_points`` only.
    min_length : float
        Å; shorter bars are dropped.

    Returns
    -------
    Diagrams

    Raises
    ------
    GeometryError
        The points cannot be triangulated, or the Betti numbers are not those of a torus.

    Examples
    --------
    Rock salt without its cations (face-centred cubic, a = 4 Å): octahedral voids (a/2) and tetrahedral ones (a sqrt(3)/4), all
    entered through triangles (a/sqrt(6)).

    >>> import numpy as np
    >>> anions = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    >>> diagrams = persistence(anions, 4.0 * np.eye(3))
    >>> diagrams.betti, diagrams.essential[2].round(3).tolist()
    ((1, 3, 3, 1), [1.633, 1.633, 1.633])
    >>> voids = diagrams.extensive[2].round(3)
    >>> [[*bar.tolist(), int((voids == bar).all(axis=1).sum())] for bar in np.unique(voids, axis=0)]
    [[1.633, 1.732, 8], [1.633, 2.0, 4]]
    """
    if weights is not None:
        balls = periodic_regular(frac_coords, lattice, weights)
        return _diagrams(balls.complex, weighted_filtration(balls), len(weights), min_length)
    return diagrams_of(periodic_delaunay(frac_coords, lattice), min_length=min_length)


def diagrams_of(complex_: PeriodicDelaunay, *, min_length: float = MIN_LENGTH) -> Diagrams:
    """Persistence diagrams from a complex that is there already; see :func:`persistence`.

    Examples
    --------
    >>> diagrams_of(periodic_delaunay(np.zeros((1, 3)), np.eye(3))).essential[3].round(4).tolist()  # sqrt(3)/2
    [0.866]
    """
    return _diagrams(complex_, alpha_filtration(complex_), complex_.n_points, min_length)


def _diagrams(complex_: PeriodicDelaunay, filtration: Filtration, n_points: int, min_length: float) -> Diagrams:
    found = forests(complex_, filtration)
    finite, essential = torus_pairs(complex_, filtration, found)
    betti = tuple(len(births) for births in essential)
    if betti != TORUS:
        raise GeometryError(f"The filtration has the Betti numbers {betti}, not those of a crystal, {TORUS}.")
    extensive = crystal_pairs(complex_, filtration, found)
    return Diagrams(_long(finite, min_length), essential, n_points, 1, _long(extensive, min_length))


def _long(bars: Bars, min_length: float) -> Bars:
    return _sorted(bars[0], min_length), _sorted(bars[1], min_length), _sorted(bars[2], min_length)


def _sorted(bars: NDArray[np.float64], min_length: float) -> NDArray[np.float64]:
    kept = bars[bars[:, 1] - bars[:, 0] >= min_length]
    ordered: NDArray[np.float64] = kept[np.lexsort((kept[:, 1], kept[:, 0]))]
    return ordered
