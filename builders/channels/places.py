"""Places between which ions hop: ion sites in their voids, or the voids of a host, and how symmetry moves them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from builders.geometry.images import images_around
from builders.geometry.reduction import reduced_basis

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.channels.model import Passages, Voids

_NEAR = 1.0  # Å; first guess of how far a site is from its void
_SAME_SIZE = 1e-3  # Å
_MATCH = 0.3  # Å; two places are never so near (voids nearer than 0.5 Å are merged)


class Frame(NamedTuple):
    """A cell and its reduced form, in which near places have near coordinates.

    Attributes
    ----------
    lattice : numpy.ndarray
        shape=(3, 3), rows, Å; the given cell. Fractional coordinates and cells refer to it.
    basis : numpy.ndarray
        shape=(3, 3), rows, Å; the reduced cell, ``transform @ lattice``.
    transform, inverse : numpy.ndarray
        shape=(3, 3), int, and its inverse: reduced coordinates are ``fractions @ inverse``.
    """

    lattice: NDArray[np.float64]
    basis: NDArray[np.float64]
    transform: NDArray[np.int64]
    inverse: NDArray[np.int64]

    @classmethod
    def of(cls, lattice: NDArray[np.float64]) -> Frame:
        """Reduce a cell.

        Examples
        --------
        >>> Frame.of(np.array([[3.0, 0, 0], [30.0, 4, 0], [0, 0, 5]])).transform.tolist()
        [[1, 0, 0], [-10, 1, 0], [0, 0, 1]]
        """
        basis, transform = reduced_basis(lattice)
        return cls(lattice, basis, transform, np.rint(np.linalg.inv(transform)).astype(np.int64))


class Places(NamedTuple):
    """Where ions rest, each in a void of its own.

    Attributes
    ----------
    numbers : numpy.ndarray
        shape=(n_places,), int; the ion site (the first, if several share the void), in a host the void; ascending.
    voids : numpy.ndarray
        shape=(n_places,), int; all different.
    cells : numpy.ndarray
        shape=(n_places, 3), int; cell of the void that the ion site of the home cell stands in.
    centres : numpy.ndarray
        shape=(n_places, 3), float64, fractional; position of the ion site whose void is in the home cell.
    """

    numbers: NDArray[np.int64]
    voids: NDArray[np.int64]
    cells: NDArray[np.int64]
    centres: NDArray[np.float64]


def find_places(
    sites: NDArray[np.float64],
    voids: Voids,
    passages: Passages,
    frame: Frame,
    r_sd: float | None = None,
) -> Places:
    """Places of the ion sites; where there are none, the significant voids.

    Parameters
    ----------
    sites : numpy.ndarray
        shape=(n_sites, 3), fractional.
    voids : Voids
    passages : Passages
    frame : Frame
    r_sd : float, optional
        Å; see :func:`builders.channels.paths.hop_network`.

    Returns
    -------
    Places

    Examples
    --------
    >>> from builders.channels.model import Passages, Voids
    >>> size, number, nothing = np.array([1.4, 1.3]), np.arange(2), np.zeros((0, 2), dtype=int)
    >>> voids = Voids(np.array([[0, 0, 0], [0.5, 0, 0]]), size, size, number, number, number, size)
    >>> places = find_places(np.array([[-0.52, 0, 0]]), voids, Passages(*[nothing] * 9), Frame.of(4 * np.eye(3)))
    >>> places.voids.tolist(), places.cells.tolist(), places.centres.round(2).tolist()
    ([1], [[-1, 0, 0]], [[0.48, 0.0, 0.0]])
    """
    if len(sites) == 0:
        chosen = _largest(voids, passages) if r_sd is None else np.flatnonzero(voids.r_sd >= r_sd)
        return Places(chosen, chosen, np.zeros((len(chosen), 3), dtype=np.int64), voids.frac_coords[chosen])
    nearest, cells = nearest_images(sites, voids.frac_coords, frame)
    held, first, place = np.unique(nearest, return_index=True, return_inverse=True)
    counts = np.bincount(place)[:, None]
    centres = np.stack([np.bincount(place, weights=column) for column in (sites - cells).T], axis=1) / counts
    order = np.argsort(first)
    return Places(first[order], held[order], cells[first[order]], centres[order])


def _largest(voids: Voids, passages: Passages) -> NDArray[np.int64]:
    """Voids no smaller than any they have a channel to, and those equivalent to them."""
    first, second = passages.voids.T
    largest = np.ones(len(voids.r_void), dtype=bool)
    largest[first[voids.r_void[second] > voids.r_void[first] + _SAME_SIZE]] = False
    largest[second[voids.r_void[first] > voids.r_void[second] + _SAME_SIZE]] = False
    return np.flatnonzero(np.isin(voids.orbit, voids.orbit[largest]))


def nearest_images(
    points: NDArray[np.float64], others: NDArray[np.float64], frame: Frame
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each point the nearest image of the other points: (which point, its cell).

    Parameters
    ----------
    points, others : numpy.ndarray
        shape=(n, 3) and (m, 3), fractional, any cell.
    frame : Frame

    Examples
    --------
    >>> cube = Frame.of(4 * np.eye(3))
    >>> which, cell = nearest_images(np.array([[0.9, 0, 0]]), np.array([[0.1, 0, 0], [0.6, 0, 0]]), cube)
    >>> which.tolist(), cell.tolist()
    ([0], [[1, 0, 0]])
    """
    start, end = points @ frame.inverse, others @ frame.inverse
    wraps, end_wraps = np.floor(start), np.floor(end)
    reach = _NEAR
    while True:
        images = images_around(end - end_wraps, frame.basis, reach, np.zeros(3))
        distance, found = cKDTree(images.places).query((start - wraps) @ frame.basis)
        if len(images.points) and (distance <= reach).all():
            break
        reach *= 2.0
    which = images.points[found]
    cells = images.shifts[found] + wraps - end_wraps[which]
    return which, np.rint(cells @ frame.transform).astype(np.int64)


def nearest_places(points: NDArray[np.float64], places: Places, frame: Frame, reach: float) -> NDArray[np.float64]:
    """Distances of the three nearest images of places, shape=(n, 3), Å; inf beyond ``reach``.

    Parameters
    ----------
    points : numpy.ndarray
        shape=(n, 3), fractional, any cell.
    places : Places
    frame : Frame
    reach : float
        Å.

    Examples
    --------
    >>> origin = Places(np.zeros(1, int), np.zeros(1, int), np.zeros((1, 3), int), np.zeros((1, 3)))
    >>> nearest_places(np.array([[0.25, 0, 0]]), origin, Frame.of(np.diag([4.0, 9, 9])), 4.0).tolist()
    [[1.0, 3.0, inf]]
    """
    centres, start = places.centres @ frame.inverse, points @ frame.inverse
    images = images_around(centres - np.floor(centres), frame.basis, reach, np.zeros(3))
    distance: NDArray[np.float64]
    distance, _ = cKDTree(images.places).query((start - np.floor(start)) @ frame.basis, k=3, distance_upper_bound=reach)
    return distance


def permutations(
    centres: NDArray[np.float64],
    rotations: NDArray[np.int64],
    translations: NDArray[np.float64],
    frame: Frame,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """What symmetry operations make of places.

    Parameters
    ----------
    centres : numpy.ndarray
        shape=(n, 3), fractional.
    rotations, translations : numpy.ndarray
        shape=(n_operations, 3, 3) and (n_operations, 3); R x + t for a column x.
    frame : Frame

    Returns
    -------
    rotations : numpy.ndarray
        shape=(m, 3, 3), int; those operations that carry the places onto themselves.
    images : numpy.ndarray
        shape=(m, n), int; the place each place goes to.
    cells : numpy.ndarray
        shape=(m, n, 3), int; and in which cell.

    Examples
    --------
    >>> turned, images, cells = permutations(np.array([[0.2, 0, 0], [0.8, 0, 0]]), -np.eye(3, dtype=int)[None],
    ...                                      np.zeros((1, 3)), Frame.of(5 * np.eye(3)))
    >>> images.tolist(), cells[0, :, 0].tolist()
    ([[1, 0]], [-1, -1])
    """
    moved = (centres @ rotations.transpose(0, 2, 1) + translations[:, None, :]) @ frame.inverse
    reduced = centres @ frame.inverse
    # In a reduced basis the lengths along the vectors tell near places from far ones.
    box = np.linalg.norm(frame.basis, axis=1)
    tree = cKDTree(_inside(reduced, box), boxsize=box)
    _, images = tree.query(_inside(moved, box))
    apart = moved - reduced[images]
    cells = np.rint(apart)
    wrong = np.linalg.norm((apart - cells) @ frame.basis, axis=2).max(axis=1, initial=0.0) > _MATCH
    kept = ~wrong
    kept &= (np.sort(images, axis=1) == np.arange(len(centres))).all(axis=1)
    return rotations[kept], images[kept], np.rint(cells[kept] @ frame.transform).astype(np.int64)


def _inside(fractions: NDArray[np.float64], box: NDArray[np.float64]) -> NDArray[np.float64]:
    scaled = (fractions - np.floor(fractions)) * box
    return np.where(scaled >= box, 0.0, scaled)
