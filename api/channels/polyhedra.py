"""Coordination polyhedra of a crystal, and what lies in a block of its cells."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from store.crystal import Crystal

BORDER: Final = 1e-3
"""Fraction of a cell; what is that near to the border is drawn on every side."""
_SHELL: Final = 1.3
"""Anions up to this multiple of the nearest one's distance are around a cation."""
_BOND_SLACK: Final = 1.25
_MOST_CORNERS: Final = 7
"""Larger polyhedra (La, Ba, Sr ...) fill a picture and say little: such cations are drawn as balls."""
_FLAT: Final = 0.02
"""Two triangles of a hull are one face where the normals' cosine differs from one by less than this."""


@dataclass(frozen=True, eq=False)
class Polyhedron:
    """A cation with the anions around it.

    Attributes
    ----------
    site : int
        Framework site of the cation.
    corners : numpy.ndarray
        shape=(n, 3), Cartesian, Å.
    anions : numpy.ndarray
        shape=(n,), int; framework site at each corner.
    faces : numpy.ndarray
        shape=(n_faces, 3), int; triangles of the hull, by corners.
    edges : numpy.ndarray
        shape=(n_edges, 2), int; those between two faces (not across a flat one).
    """

    site: int
    corners: NDArray[np.float64]
    anions: NDArray[np.int64]
    faces: NDArray[np.int64]
    edges: NDArray[np.int64]


def polyhedra_in(framework: Crystal, cations: NDArray[np.bool_], block: NDArray[np.float64]) -> list[Polyhedron]:
    """Polyhedra around the cations in a block of cells.

    Parameters
    ----------
    framework : store.crystal.Crystal
    cations : numpy.ndarray
        shape=(n_sites,), bool.
    block : numpy.ndarray
        shape=(3,); cells along each vector.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> salt = Crystal.from_lists([[0, 2.1, 2.1], [2.1, 0, 2.1], [2.1, 2.1, 0]], ["Mg", "O"], [[0, 0, 0], [0.5] * 3])
    >>> found = polyhedra_in(salt, np.array([True, False]), np.ones(3))
    >>> len(found), found[0].corners.shape, len(found[0].edges)  # an octahedron at each corner of the cell
    (8, (6, 3), 12)
    """
    found = []
    index, places = copies_in(framework.frac_coords[cations], block)
    shapes = {site: _shape(framework, site, cations) for site in np.flatnonzero(cations).tolist()}
    for site, place in zip(np.flatnonzero(cations)[index].tolist(), places @ framework.lattice, strict=True):
        shape = shapes[site]
        if shape is not None:
            found.append(replace(shape, corners=shape.corners + place))
    return found


def _shape(framework: Crystal, site: int, cations: NDArray[np.bool_]) -> Polyhedron | None:
    """Polyhedron around a cation, corners relative to it; None where its anions make none."""
    around, anions = _anions_around(framework, site, cations)
    if not 3 <= len(around) <= _MOST_CORNERS:
        return None
    if len(around) == 3:
        # A triangle (carbonate, borate) is drawn flat; three corners of something larger are not.
        normal = np.cross(around[1] - around[0], around[2] - around[0])
        if abs(float(normal @ around[0])) > 0.35 * float(np.linalg.norm(normal)):
            return None
        return Polyhedron(site, around, anions, np.array([[0, 1, 2]]), np.array([[0, 1], [1, 2], [0, 2]]))
    return _hull(site, around, anions)


def _anions_around(
    framework: Crystal, site: int, cations: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Vectors from a cation to the anions of its first shell, shape=(n, 3), Å, and their sites."""
    from ase.data import atomic_numbers, covalent_radii

    lattice, reach = framework.lattice, 3.6
    heights = 1.0 / np.linalg.norm(np.linalg.inv(lattice), axis=0)
    counts = np.ceil(reach / heights).astype(int)
    cells = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in counts], indexing="ij"), axis=-1).reshape(-1, 3)
    anions = np.flatnonzero(~cations)
    apart = framework.frac_coords[anions] - framework.frac_coords[site]
    apart -= np.rint(apart)
    vectors = (apart[:, None, :] + cells).reshape(-1, 3) @ lattice
    lengths = np.linalg.norm(vectors, axis=1)
    radii = np.array([covalent_radii[atomic_numbers[main_element(framework, number)]] for number in [site, *anions]])
    limits = np.repeat(_BOND_SLACK * (radii[0] + radii[1:]), len(cells))
    near = (lengths > 0.6) & (lengths < np.minimum(limits, reach))
    if not near.any():
        return np.zeros((0, 3)), np.zeros(0, dtype=np.int64)
    near &= lengths <= _SHELL * lengths[near].min()
    return vectors[near], np.repeat(anions, len(cells))[near]


def _hull(site: int, corners: NDArray[np.float64], anions: NDArray[np.int64]) -> Polyhedron:
    from scipy.spatial import ConvexHull, QhullError

    try:
        hull = ConvexHull(corners)
    except QhullError:  # all in one plane: square-planar Cu, Pt
        centre = corners.mean(axis=0)
        normal = np.linalg.svd(corners - centre)[2]
        flat = (corners - centre) @ normal[:2].T
        order = np.argsort(np.arctan2(flat[:, 1], flat[:, 0]))
        ring = list(zip(order.tolist(), np.roll(order, -1).tolist(), strict=True))
        faces = [[int(order[0]), one, other] for one, other in ring[1:-1]]
        return Polyhedron(site, corners, anions, np.array(faces), np.array(ring))
    sides: dict[tuple[int, int], list[NDArray[np.float64]]] = {}
    for face, equation in zip(hull.simplices.tolist(), hull.equations, strict=True):
        for one, other in ((0, 1), (1, 2), (0, 2)):
            key = (min(face[one], face[other]), max(face[one], face[other]))
            sides.setdefault(key, []).append(equation[:3])
    edges = [key for key, normals in sides.items() if len(normals) < 2 or float(normals[0] @ normals[1]) < 1 - _FLAT]
    return Polyhedron(site, corners, anions, np.asarray(hull.simplices, dtype=np.int64), np.array(edges))


def copies_in(
    fractions: NDArray[np.float64], block: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """All translates of points in the block, border included on both sides: which point, and where."""
    if not len(fractions):
        return np.zeros(0, dtype=np.int64), np.zeros((0, 3))
    wrapped = fractions - np.floor(fractions + BORDER)
    cells = np.stack(np.meshgrid(*[np.arange(int(n) + 1) for n in block], indexing="ij"), axis=-1).reshape(-1, 3)
    places = wrapped[:, None, :] + cells
    inside = (places <= block + BORDER).all(axis=2)
    index, _ = np.nonzero(inside)
    return index, places[inside]


def main_element(crystal: Crystal, site: int) -> str:
    """Element of which there is most on a site."""
    if crystal.occupancies is None:
        return crystal.species[site]
    contents: Mapping[str, float] = crystal.occupancies[site]
    return max(contents, key=lambda symbol: contents[symbol])
