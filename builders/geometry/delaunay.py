"""The periodic Delaunay triangulation of a crystal's atoms, from one Qhull call, as a complex modulo translations.

Construction
------------
1. The points and the cell are moved by a random amount below ``jitter``: symmetric crystals have many points on one
   sphere, where the triangulation is not unique. All images of a point move alike, and the cell is strained too (the images
   of one point can lie on one sphere), so that the moved set is in general position and exactly periodic.
2. Images of the points within ``pad`` of a fundamental domain are triangulated by Qhull (Barber, Dobkin, Huhdanpaa, ACM
   Trans. Math. Softw. 22, 469, 1996). A tetrahedron with its circumcentre in the domain and a circumradius of at most
   ``pad`` is one of the infinite periodic triangulation, and all of those are found: their circumspheres lie in the padded
   region. Where a radius exceeds ``pad`` the next try takes it as ``pad``.
3. Each tetrahedron of the quotient has exactly one translate with its circumcentre in the (half-open) domain. Its facets are
   named independently of translations (:mod:`builders.geometry.keys`); facets of the same name are one triangle.
4. Certificate: every triangle lies between exactly two tetrahedra, and the tetrahedra fill the cell once. Then the complex is
   a triangulation of the 3-torus. Otherwise another jitter is tried.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from builders.geometry.complex import PeriodicDelaunay
from builders.geometry.images import images_around
from builders.geometry.keys import simplex_keys
from builders.geometry.measures import (
    circumcentres_of_tetrahedra,
    circumcentres_of_triangles,
    tetrahedron_volumes,
)
from builders.geometry.reduction import reduced_basis
from store.errors import GeometryError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Found = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], float]
    Search = Callable[[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]], Found]

JITTERS: Final = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)
"""Å; tried one after the other until the certificate holds."""
VOLUME_TOLERANCE: Final = 1e-9
_FIRST_PAD, _PAD_GROWTH, _PAD_POINTS = 1.05, 0.07, 24
"""First guess of the largest circumradius, in units of (volume per point)^(1/3): so much, and so much more with every
doubling of the points beyond so many. Nine of ten crystals are smaller; a guess too small costs a second triangulation."""
_MOST_PADS = 16
_SLACK = 1e-7
_SLIVER = 1e-6  # a smaller part that is missing is a sliver lost to rounding and no region without atoms
# The domain's origin lies where no symmetry puts a circumcentre.
ORIGIN: Final = np.array([-0.4637, -0.4391, -0.4817])
_FACETS = np.array([[1, 2, 3], [0, 3, 2], [0, 1, 3], [0, 2, 1]])


def periodic_delaunay(
    frac_coords: NDArray[np.float64], lattice: NDArray[np.float64], *, jitter: float | None = None, seed: int = 0
) -> PeriodicDelaunay:
    """Triangulate a periodic point set.

    Parameters
    ----------
    frac_coords : numpy.ndarray
        shape=(n_points, 3), in units of the cell vectors; at least one point, no two at one place.
    lattice : numpy.ndarray
        shape=(3, 3), rows are the cell vectors, Å; any cell, right- or left-handed.
    jitter : float, optional
        Largest displacement of a point, Å; by default the smallest of :data:`JITTERS` with which the certificate holds.
    seed : int
        Of the displacements.

    Returns
    -------
    PeriodicDelaunay

    Raises
    ------
    GeometryError
        No point, a flat cell, coincident points, too many images, or no certificate.

    Examples
    --------
    >>> import numpy as np
    >>> body_centred = periodic_delaunay(np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), 3.0 * np.eye(3))
    >>> len(body_centred.tetrahedra), np.unique((body_centred.radii / 3.0).round(4)).tolist()  # sqrt(5)/4
    (12, [0.559])
    """
    return certified(frac_coords, lattice, _tetrahedra, jitter=jitter, seed=seed)


def certified(
    frac_coords: NDArray[np.float64],
    lattice: NDArray[np.float64],
    search: Search,
    *,
    jitter: float | None = None,
    seed: int = 0,
) -> PeriodicDelaunay:
    """Triangulate with one jitter after the other until the certificate holds.

    Parameters
    ----------
    frac_coords, lattice, jitter, seed
        As for :func:`periodic_delaunay`.
    search : callable
        Finds the tetrahedra of the moved points: from their places in units of a reduced basis, the basis and its inverse,
        to points, cells of the vertices, centres, radii and the volume error; :class:`NotCertified` where it cannot.

    Returns
    -------
    PeriodicDelaunay
        Of all triangles with the smallest circles through their corners, whatever the tetrahedra's centres are.

    Examples
    --------
    >>> import numpy as np
    >>> certified(np.zeros((1, 3)), np.eye(3), _tetrahedra).attempts
    1
    """
    fractions = np.asarray(frac_coords, dtype=np.float64).reshape(-1, 3)
    cell = np.asarray(lattice, dtype=np.float64).reshape(3, 3)
    _check(fractions, cell)
    basis, transform = reduced_basis(cell)
    said = "nothing was tried"
    for attempt, size in enumerate(JITTERS if jitter is None else (jitter,) * 3):
        try:
            random = np.random.default_rng([seed, attempt])
            return _triangulate(fractions, search, basis, transform, size, random, attempt)
        except NotCertified as error:
            said = str(error)
    raise GeometryError(
        f"The triangulation of {len(fractions)} atoms could not be certified with any jitter: {said}.",
        mend="check the structure for atoms at (nearly) the same place",
    )


class NotCertified(Exception):
    """The certificate failed; another jitter may help."""


def _check(fractions: NDArray[np.float64], cell: NDArray[np.float64]) -> None:
    if len(fractions) == 0:
        raise GeometryError("There is no atom to triangulate.")
    if not (np.isfinite(fractions).all() and np.isfinite(cell).all()):
        raise GeometryError("The coordinates or the cell hold numbers that are not finite.")
    lengths = np.linalg.norm(cell, axis=1)
    if lengths.min() < 1e-3 or abs(np.linalg.det(cell / lengths[:, None])) < 1e-4:
        raise GeometryError(
            f"The cell is flat: its vectors have the lengths {', '.join(f'{length:.4g}' for length in lengths)} Å "
            f"and span {abs(np.linalg.det(cell)):.4g} Å^3."
        )


def _triangulate(
    fractions: NDArray[np.float64],
    search: Search,
    basis: NDArray[np.float64],
    transform: NDArray[np.int64],
    jitter: float,
    random: np.random.Generator,
    attempt: int,
) -> PeriodicDelaunay:
    """One try; everything here is in the reduced basis until the result is put together."""
    strained: NDArray[np.float64] = basis @ (np.eye(3) + random.uniform(-jitter, jitter, (3, 3)) / 10.0)
    to_reduced = np.linalg.inv(transform)  # fractions of the given cell -> fractions of the reduced one
    inverse = np.asarray(np.linalg.inv(strained), dtype=np.float64)
    places = fractions @ to_reduced + random.uniform(-jitter, jitter, fractions.shape) / np.sqrt(3.0) @ inverse
    wraps = np.floor(places - ORIGIN).astype(np.int64)
    homes = places - wraps

    tetrahedra, shifts, centres, radii, volume_error = search(homes, strained, inverse)
    shifts = shifts - wraps[tetrahedra]
    points = places @ strained
    vertices = points[tetrahedra] + shifts @ strained

    triangles = tetrahedra[:, _FACETS].reshape(-1, 3)
    triangle_shifts = shifts[:, _FACETS].reshape(-1, 3, 3)
    first, second = _pairs(simplex_keys(triangles, triangle_shifts))
    difference = sum(triangle_shifts[first, corner] - triangle_shifts[second, corner] for corner in range(3))
    if (difference % 3).any():
        raise NotCertified("two facets of one name are no translates of each other")
    offsets = difference // 3
    count = len(first)
    owner = np.empty(len(triangles), dtype=np.int64)
    owner[first] = owner[second] = np.arange(count)
    facet_shifts = np.zeros((len(triangles), 3), dtype=np.int64)
    facet_shifts[second] = -offsets
    corners = vertices[:, _FACETS].reshape(-1, 3, 3)[first]
    triangle_centres, triangle_radii = circumcentres_of_triangles(corners)
    return PeriodicDelaunay(
        lattice=to_reduced @ strained,
        points=points,
        tetrahedra=tetrahedra,
        tetrahedron_shifts=shifts @ transform,
        centres=centres,
        radii=radii,
        triangles=triangles[first],
        triangle_shifts=triangle_shifts[first] @ transform,
        triangle_tetrahedra=np.column_stack([first // 4, second // 4]),
        triangle_offsets=offsets @ transform,
        tetrahedron_triangles=owner.reshape(-1, 4),
        tetrahedron_triangle_shifts=(facet_shifts @ transform).reshape(-1, 4, 3),
        triangle_centres=triangle_centres,
        triangle_radii=triangle_radii,
        jitter=jitter,
        attempts=attempt + 1,
        volume_error=volume_error,
    )


def _tetrahedra(
    homes: NDArray[np.float64], basis: NDArray[np.float64], inverse: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], float]:
    """One representative of each tetrahedron: points, cells of the vertices, circumcentres, circumradii; volume error."""
    from scipy.spatial import Delaunay, QhullError

    whole = abs(float(np.linalg.det(basis)))
    doublings = np.log2(max(1.0, len(homes) / _PAD_POINTS))
    pad = (_FIRST_PAD + _PAD_GROWTH * doublings) * np.cbrt(whole / len(homes))
    said = ""
    for _ in range(_MOST_PADS):
        index, shifts, cartesian = images_around(homes, basis, pad, ORIGIN)
        if len(index) < 5:
            pad *= 1.5
            continue
        try:
            found = Delaunay(cartesian, qhull_options="Qbb Q12").simplices
        except QhullError as error:
            said = f"Qhull: {str(error).splitlines()[0]}"  # the few images may all lie on one sphere or plane
            pad *= 1.5
            continue
        centres, radii = circumcentres_of_tetrahedra(cartesian[found])
        with np.errstate(invalid="ignore"):
            x, y, z = (centres @ inverse - ORIGIN).T
            inside = (x >= 0) & (x < 1) & (y >= 0) & (y < 1) & (z >= 0) & (z < 1)
        found = found[inside].astype(np.int64)
        largest = float(radii[inside].max(initial=0.0))
        if largest > pad:
            # Points beyond the padded region can only shrink the empty spheres: the next try is the last as a rule.
            pad = min(largest * (1 + _SLACK) + _SLACK, 4 * pad)
            continue
        filled = _volume(cartesian[found]) / whole
        if abs(filled - 1.0) <= VOLUME_TOLERANCE:
            return index[found], shifts[found], centres[inside], radii[inside], abs(filled - 1.0)
        said = f"the tetrahedra fill {filled:.9f} cells"
        if filled > 1.0 or filled > 1.0 - _SLIVER:
            break
        pad *= 2.0  # empty spheres so large that no image around them was there: layers with vacuum between
    raise NotCertified(said)


def _volume(vertices: NDArray[np.float64]) -> float:
    return float(np.abs(tetrahedron_volumes(vertices)).sum())


def _pairs(names: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Match the facets: every name must occur exactly twice."""
    order = np.argsort(names, kind="stable")
    ordered = names[order]
    first, second = order[0::2], order[1::2]
    if len(first) != len(second) or (ordered[0::2] != ordered[1::2]).any() or (ordered[1:-1:2] == ordered[2::2]).any():
        raise NotCertified("a triangle does not lie between exactly two tetrahedra")
    by_owner = np.argsort(first, kind="stable")  # triangles in the order of their first tetrahedra
    return first[by_owner], second[by_owner]
