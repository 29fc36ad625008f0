"""The holes behind the bars of a diagram: where in the crystal each cluster, loop or void is.

A hole is shown by what ends it. A cluster (degree 0) ends at the edge that joins it to the next atoms, a loop (degree 1) at the
triangle that fills its last opening, a void (degree 2) at the tetrahedron around its centre, the place farthest from all atoms.
These simplices are unique for points in general position; in a symmetric crystal equivalent holes differ by the jitter only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from builders.geometry.delaunay import periodic_delaunay
from builders.topology.filtration import alpha_filtration
from builders.topology.reduction import crystal_pairs, forests

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAMES: Final = ("clusters", "loops", "voids")
"""What the bars of degrees 0, 1, 2 are."""
_BORDER: Final = 1e-5
"""Fraction of a cell: what is so near to its end belongs to its beginning."""


@dataclass(frozen=True, eq=False)
class Holes:
    """The holes of one degree among some points, one row each.

    Attributes
    ----------
    degree : int
        0 clusters, 1 loops, 2 voids.
    bars : numpy.ndarray
        shape=(n, 2), float64, Å; birth and death radius.
    centres : numpy.ndarray
        shape=(n, 3), float64, in units of the cell vectors, within the home cell; of the simplex that ends the hole.
    points : numpy.ndarray
        shape=(n, degree + 2), int; corners of that simplex, indices of the points given.
    cells : numpy.ndarray
        shape=(n, degree + 2, 3), int; the cell of each corner.
    """

    degree: int
    bars: NDArray[np.float64]
    centres: NDArray[np.float64]
    points: NDArray[np.int64]
    cells: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.bars)


def find_holes(
    frac_coords: NDArray[np.float64], lattice: NDArray[np.float64], min_length: float = 0.01
) -> tuple[Holes, Holes, Holes]:
    """Find the holes of degrees 0, 1, 2 of a periodic point set, per cell, with their places.

    Parameters
    ----------
    frac_coords : numpy.ndarray
        shape=(n_points, 3), in units of the cell vectors.
    lattice : numpy.ndarray
        shape=(3, 3), rows are the cell vectors, Å.
    min_length : float
        Å; holes of shorter bars are left out.

    Returns
    -------
    tuple of Holes
        Their bars are those of :attr:`builders.topology.persistence.Diagrams.extensive`.

    Examples
    --------
    The octahedral void of a face-centred cubic lattice (a = 4 Å) lies half a cell from an atom, a/2 away from it.

    >>> fcc = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    >>> voids = find_holes(fcc, 4.0 * np.eye(3))[2]
    >>> large = voids.bars[:, 1] > 1.9
    >>> int(large.sum()), bool(np.allclose((2 * voids.centres[large]).round(2).sum(axis=1) % 2, 1))
    (4, True)
    """
    complex_ = periodic_delaunay(frac_coords, lattice)
    filtration = alpha_filtration(complex_)
    bars = crystal_pairs(complex_, filtration, forests(complex_, filtration))
    edges = complex_.edges
    simplices = (
        (filtration.edges, edges.points, edges.shifts, None),
        (filtration.triangles, complex_.triangles, complex_.triangle_shifts, None),
        (filtration.tetrahedra, complex_.tetrahedra, complex_.tetrahedron_shifts, complex_.centres),
    )
    to_fractions = np.linalg.inv(complex_.lattice)
    found = []
    for degree, (values, points, cells, middles) in enumerate(simplices):
        long = bars[degree][bars[degree][:, 1] - bars[degree][:, 0] >= min_length]
        long = long[np.lexsort((long[:, 1], long[:, 0]))]
        which = _ending(long[:, 1], values)
        if middles is None:
            places = complex_.points[points[which]] + cells[which] @ complex_.lattice
            centres = places.mean(axis=1) @ to_fractions
        else:
            centres = middles[which] @ to_fractions
        home = np.floor(centres + _BORDER).astype(np.int64)
        moved = cells[which] - home[:, None, :]
        found.append(Holes(degree, long, centres - home, points[which], moved))
    return found[0], found[1], found[2]


def _ending(deaths: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The simplex that enters at each death; of equal ones, one after the other."""
    order = np.argsort(values, kind="stable")
    place = np.searchsorted(values[order], deaths)
    # Deaths are values themselves; rounding of the last digit must not lead past the end.
    place = np.minimum(place, max(len(values) - 1, 0))
    taken: dict[int, int] = {}
    for number in np.argsort(deaths, kind="stable").tolist():
        first = int(place[number])
        step = taken.get(first, 0)
        taken[first] = step + 1
        if first + step < len(order) and values[order[first + step]] == deaths[number]:
            place[number] = first + step
    found: NDArray[np.int64] = order[place]
    return found
