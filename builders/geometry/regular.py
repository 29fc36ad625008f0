"""The periodic regular triangulation: a Delaunay triangulation of balls of different sizes.

The distance of a place x from a ball of radius r around p is its power |x - p|^2 - r^2. The cells of places nearest to each ball
divide space; their dual is the projection of the lower convex hull of the points (p, |p|^2 - r^2) in four dimensions
(Aurenhammer, SIAM J. Comput. 16, 78, 1987), found by Qhull. The construction modulo translations and its certificate are those of
:mod:`builders.geometry.delaunay`. A ball whose cell is empty, deep inside a larger one, is hidden: it is no vertex.

Powers are given as radii with a sign, ``sign(power) sqrt(|power|)``: a sphere that meets the balls of the corners at right
angles has that radius, and where the balls already overlap there is no such sphere and the sign is negative.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from builders.geometry.delaunay import ORIGIN, VOLUME_TOLERANCE, NotCertified, certified
from builders.geometry.images import images_around
from builders.geometry.measures import cross, dot, tetrahedron_volumes
from store.errors import GeometryError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.geometry.complex import PeriodicDelaunay
    from builders.geometry.delaunay import Found

_MOST_PADS = 16
_SLACK = 1e-7


class Regular(NamedTuple):
    """A periodic regular triangulation.

    Attributes
    ----------
    complex : PeriodicDelaunay
        ``centres`` and ``radii`` (with a sign, Å) are those of powers, for tetrahedra and triangles.
    weights : numpy.ndarray
        shape=(n_points,), Å^2; of the complex's points.
    visible : numpy.ndarray
        shape=(n_points,), int; which of the given points they are, ascending.
    """

    complex: PeriodicDelaunay
    weights: NDArray[np.float64]
    visible: NDArray[np.int64]


def periodic_regular(
    frac_coords: NDArray[np.float64], lattice: NDArray[np.float64], weights: NDArray[np.float64]
) -> Regular:
    """Triangulate a periodic set of balls.

    Parameters
    ----------
    frac_coords, lattice
        As for :func:`builders.geometry.delaunay.periodic_delaunay`.
    weights : numpy.ndarray
        shape=(n_points,), Å^2; squared radii. Only their differences decide the triangulation.

    Returns
    -------
    Regular

    Raises
    ------
    GeometryError
        As for points, or weights that are no numbers.

    Examples
    --------
    A small ball inside a large one is hidden:

    >>> places = np.array([[0, 0, 0], [0.1, 0, 0]])
    >>> periodic_regular(places, 4.0 * np.eye(3), np.array([4.0, 0.01])).visible.tolist()
    [0]
    >>> periodic_regular(places, 4.0 * np.eye(3), np.array([0.04, 0.01])).visible.tolist()
    [0, 1]
    """
    fractions = np.asarray(frac_coords, dtype=np.float64).reshape(-1, 3)
    given = np.asarray(weights, dtype=np.float64).reshape(-1)
    if len(given) != len(fractions) or not np.isfinite(given).all():
        raise GeometryError(f"{len(fractions)} finite weights were expected, one a point; got {len(given)}.")
    visible = np.arange(len(fractions))
    while True:
        here = given[visible]

        def search(
            homes: NDArray[np.float64],
            basis: NDArray[np.float64],
            inverse: NDArray[np.float64],
            here: NDArray[np.float64] = here,
        ) -> Found:
            return _tetrahedra(homes, basis, inverse, here)

        complex_ = certified(fractions[visible], lattice, search)
        seen = np.unique(complex_.tetrahedra)
        if len(seen) == len(visible):
            break
        visible = visible[seen]  # hidden balls change nothing: the others are triangulated without them
    centres, radii = _of_triangles(complex_.triangle_vertices, here[complex_.triangles])
    return Regular(replace(complex_, triangle_centres=centres, triangle_radii=radii), here, visible)


def signed_root(powers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Radii with a sign, Å, of powers, Å^2.

    Examples
    --------
    >>> signed_root(np.array([4.0, -9.0]))
    array([ 2., -3.])
    """
    return np.copysign(np.sqrt(np.abs(powers)), powers)


def _tetrahedra(
    homes: NDArray[np.float64], basis: NDArray[np.float64], inverse: NDArray[np.float64], weights: NDArray[np.float64]
) -> Found:
    """One representative of each tetrahedron; see the search of :func:`builders.geometry.delaunay.certified`."""
    from scipy.spatial import ConvexHull, QhullError

    whole = abs(float(np.linalg.det(basis)))
    largest = float(weights.max())
    pad = 1.2 * np.cbrt(whole / len(homes)) + float(np.sqrt(largest - weights.min()))
    middle = (ORIGIN + 0.5) @ basis  # lifted coordinates are smallest around the domain's middle
    said = "no hull was found"
    for _ in range(_MOST_PADS):
        index, shifts, cartesian = images_around(homes, basis, pad, ORIGIN)
        around = cartesian - middle
        lifted = np.column_stack([around, dot(around, around) - (weights - largest)[index]])
        if len(index) < 6:
            pad *= 1.5
            continue
        try:
            hull = ConvexHull(lifted, qhull_options="Qt Q12")
        except QhullError as error:
            said = f"Qhull: {str(error).splitlines()[0]}"
            pad *= 1.5
            continue
        found = hull.simplices[hull.equations[:, 3] < 0.0].astype(np.int64)
        centres, powers = _of_tetrahedra(cartesian[found], weights[index[found]])
        with np.errstate(invalid="ignore"):
            places = centres @ inverse - ORIGIN
            inside = ((places >= 0.0) & (places < 1.0)).all(axis=1)
        found = found[inside]
        # A point that a sphere might have missed is nearer to its centre than this.
        reach = float(np.sqrt(max(0.0, float((powers[inside] + largest).max(initial=0.0)))))
        if reach > pad:
            pad = min(reach * (1 + _SLACK) + _SLACK, 4 * pad)
            continue
        filled = float(np.abs(tetrahedron_volumes(cartesian[found])).sum()) / whole
        if abs(filled - 1.0) <= VOLUME_TOLERANCE:
            return index[found], shifts[found], centres[inside], signed_root(powers[inside]), abs(filled - 1.0)
        said = f"the tetrahedra fill {filled:.9f} cells"
        if filled > 1.0 - 1e-6:
            break
        pad *= 2.0
    raise NotCertified(said)


def _of_tetrahedra(
    vertices: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places of equal power to four balls, and that power, Å^2."""
    sides = vertices[:, 1:] - vertices[:, :1]
    a, b, c = sides[:, 0], sides[:, 1], sides[:, 2]
    squares = np.einsum("nij,nij->ni", sides, sides) - weights[:, 1:] + weights[:, :1]
    bc = cross(b, c)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        total = squares[:, :1] * bc + squares[:, 1:2] * cross(c, a) + squares[:, 2:] * cross(a, b)
        centres = total / (2.0 * dot(a, bc))[:, None]
        return vertices[:, 0] + centres, dot(centres, centres) - weights[:, 0]


def _of_triangles(
    vertices: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places in the planes of triangles of equal power to the three balls, and the radii with a sign, Å."""
    a, b = vertices[:, 1] - vertices[:, 0], vertices[:, 2] - vertices[:, 0]
    normal = cross(a, b)
    first = dot(a, a) - weights[:, 1] + weights[:, 0]
    second = dot(b, b) - weights[:, 2] + weights[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        centres = cross(first[:, None] * b - second[:, None] * a, normal) / (2.0 * dot(normal, normal))[:, None]
        return vertices[:, 0] + centres, signed_root(dot(centres, centres) - weights[:, 0])
