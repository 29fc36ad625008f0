"""A first guess of the path: images along the route of voids, smoothed by the image-dependent pair potential.

The straight line between two sites may run through an atom, and an interpolation that begins there finds its own way round.
The route of the channels already keeps as far from all atoms as possible; the image-dependent pair potential (Smidstrup et al.,
J. Chem. Phys. 140, 214106, 2014, https://doi.org/10.1063/1.4878664) rounds its corners, and is taken only where it brings the
ion no nearer to an atom. In it only the ion moves, among the atoms near the route.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.potential.endpoints import Endpoints

NEAR: Final = 4.0
"""Å; atoms this near to the route take part in the interpolation."""
_NEARER: Final = 0.95


class FirstPath(NamedTuple):
    """Images of all atoms.

    Attributes
    ----------
    positions : numpy.ndarray
        shape=(n_images + 2, n_atoms, 3), float64, Å; both ends included.
    kind : str
        "IDPP along the route", "route".
    closest : float
        Å; distance of the ion from the nearest atom in any inner image.
    """

    positions: NDArray[np.float64]
    kind: str
    closest: float


def first_path(endpoints: Endpoints, start: NDArray[np.float64], end: NDArray[np.float64], n_images: int) -> FirstPath:
    """Place images between two ends.

    Parameters
    ----------
    endpoints : Endpoints
    start, end : numpy.ndarray
        shape=(n_atoms, 3), Å; the ends, relaxed or not.
    n_images : int
        Images between them.

    Returns
    -------
    FirstPath
        All atoms but the moving one go straight from the one end to the other.

    Examples
    --------
    >>> from builders.channels.analysis import analyse
    >>> from builders.potential.endpoints import make_endpoints
    >>> from store.crystal import Crystal
    >>> salt = Crystal.from_lists([[0, 2, 2], [2, 0, 2], [2, 2, 0]], ["Li", "F"], [[0.5, 0.5, 0.5], [0, 0, 0]])
    >>> ends = make_endpoints(analyse(salt, "Li"), 0)
    >>> path = first_path(ends, ends.start, ends.end, 3)
    >>> path.positions.shape, path.closest > 1.6  # the straight line between the sites: 1.41
    ((5, 53, 3), True)
    """
    shares = np.linspace(0.0, 1.0, n_images + 2)
    corners = _moved(endpoints, start, end)
    positions = start + shares[:, None, None] * (end - start)
    positions[:, -1] = along(corners, shares)
    near = _surroundings(positions[:, :-1], endpoints.lattice, corners)
    straight = positions[:, -1].copy()
    smooth = _smoothed(straight, near)
    by_route, by_pairs = _closest(straight, near), _closest(smooth, near)
    if by_pairs < _NEARER * by_route:
        return FirstPath(positions, "route", by_route)
    positions[:, -1] = smooth
    return FirstPath(positions, "IDPP along the route", by_pairs)


def along(corners: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points at given shares of the length of a polygon line; shapes (m, 3) and (n,) to (n, 3).

    Examples
    --------
    >>> import numpy as np
    >>> along(np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0]]), np.array([0, 0.25, 1])).tolist()
    [[0.0, 0.0, 0.0], [0.5, 0.0, 0.0], [1.0, 1.0, 0.0]]
    """
    steps = np.linalg.norm(np.diff(corners, axis=0), axis=1)
    places = np.concatenate([[0.0], np.cumsum(steps)])
    return np.stack([np.interp(shares * places[-1], places, corners[:, k]) for k in range(3)], axis=1)


def _moved(endpoints: Endpoints, start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    """The route with its ends where the relaxed ion is; corners between follow by their share of the way."""
    route = endpoints.route
    steps = np.linalg.norm(np.diff(route, axis=0), axis=1)
    share = np.concatenate([[0.0], np.cumsum(steps)]) / steps.sum()
    first, last = start[-1] - route[0], end[-1] - route[-1]
    moved: NDArray[np.float64] = route + (1 - share)[:, None] * first + share[:, None] * last
    return moved


def _surroundings(
    positions: NDArray[np.float64], lattice: NDArray[np.float64], corners: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Atoms near the route with their periodic images, shape=(n_images, k, 3)."""
    fine = along(corners, np.linspace(0.0, 1.0, 25))
    low, high = fine.min(axis=0) - NEAR - 1.0, fine.max(axis=0) + NEAR + 1.0
    box = np.array(list(product(*zip(low.tolist(), high.tolist(), strict=True)))) @ np.linalg.inv(lattice)
    where = positions[0] @ np.linalg.inv(lattice)
    first = np.floor(box.min(axis=0) - where.max(axis=0)).astype(int)
    last = np.ceil(box.max(axis=0) - where.min(axis=0)).astype(int)
    found = []
    for step in product(*(range(a, b + 1) for a, b in zip(first.tolist(), last.tolist(), strict=True))):
        moved = positions + np.array(step) @ lattice
        apart = np.linalg.norm(moved[0][:, None] - fine[None], axis=2).min(axis=1)
        found.append(moved[:, apart < NEAR])
    return np.concatenate(found, axis=1)


def _closest(ion: NDArray[np.float64], near: NDArray[np.float64]) -> float:
    inner = np.linalg.norm(near[1:-1] - ion[1:-1, None], axis=2)
    return float(inner.min(initial=np.inf))


def _smoothed(ion: NDArray[np.float64], near: NDArray[np.float64]) -> NDArray[np.float64]:
    """The ion's way after ASE's interpolation among fixed atoms."""
    from ase import Atoms
    from ase.constraints import FixAtoms
    from ase.mep.neb import NEB, idpp_interpolate

    count = near.shape[1]
    images = [
        Atoms(f"X{count + 1}", np.concatenate([atoms, place[None]]), constraint=FixAtoms(range(count)))
        for atoms, place in zip(near, ion, strict=True)
    ]
    idpp_interpolate(NEB(images, method="improvedtangent"), traj=None, log=None, fmax=0.05, mic=False, steps=60)
    return np.stack([image.positions[-1] for image in images])
