"""Symmetry of a framework: its operations, and which of its voids they make equivalent."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

    from store.crystal import Crystal

_LOG = logging.getLogger(__name__)

SYMPREC: Final = 0.01
"""Å; tolerance of the symmetry search."""
PLACE: Final = 0.05
"""Å; an operation carries one place to another when it ends that near."""
_SAME_SIZE = 5e-3
_SHRINK = (1.0, 0.1, 0.01)


@lru_cache(maxsize=1)
def _moyopy() -> ModuleType:
    import moyopy

    # It warns through Python's logging about operations that a supercell cannot show; nothing here uses these.
    logging.getLogger("moyo").setLevel(logging.ERROR)
    return moyopy


class Operations(NamedTuple):
    """Symmetry operations: the place x (a column of fractional coordinates) goes to R x + t.

    Attributes
    ----------
    rotations : numpy.ndarray
        shape=(n_operations, 3, 3), int.
    translations : numpy.ndarray
        shape=(n_operations, 3), float64.
    """

    rotations: NDArray[np.int64]
    translations: NDArray[np.float64]

    def apply(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Images of places under every operation, shape=(n_operations, n_places, 3)."""
        moved: NDArray[np.float64] = places @ self.rotations.transpose(0, 2, 1) + self.translations[:, None, :]
        return moved


IDENTITY: Final = Operations(np.eye(3, dtype=np.int64)[None], np.zeros((1, 3)))


class Symmetry(NamedTuple):
    """What the symmetry search found.

    Attributes
    ----------
    operations : Operations
        In the given cell.
    conventional : numpy.ndarray
        shape=(3, 3), float64, Å; rows are the vectors of the standardised conventional cell, in the given orientation. The
        same lattice for the same crystal, whatever cell it is given in.
    """

    operations: Operations
    conventional: NDArray[np.float64]


def find_symmetry(crystal: Crystal, symprec: float = SYMPREC) -> Symmetry | None:
    """Find the symmetry of a crystal; None where the search fails.

    Sites are told apart by their contents. The search is repeated with smaller tolerances before it is given up.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> found = find_symmetry(Crystal.from_lists([[0, 2, 2], [2, 0, 2], [2, 2, 0]], ["Cu"], [[0, 0, 0]]))
    >>> len(found.operations.rotations), np.linalg.norm(found.conventional, axis=1).round(3).tolist()
    (48, [4.0, 4.0, 4.0])
    """
    moyopy = _moyopy()
    kinds = {label: number + 1 for number, label in enumerate(dict.fromkeys(crystal.species))}
    numbers = [kinds[label] for label in crystal.species]
    cell = moyopy.Cell(crystal.lattice.tolist(), crystal.frac_coords.tolist(), numbers)
    for factor in _SHRINK:
        try:
            found = moyopy.MoyoDataset(cell, symprec=symprec * factor)
        except Exception as error:  # moyopy raises a plain Exception
            _LOG.debug("no symmetry at %g Å: %s", symprec * factor, error)
            continue
        operations = Operations(np.array(found.operations.rotations), np.array(found.operations.translations))
        return Symmetry(operations, np.array(found.std_linear).T @ crystal.lattice)
    return None


def orbits(
    places: NDArray[np.float64], sizes: NDArray[np.float64], operations: Operations, lattice: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Number places so that equivalent ones have the same number: that of the first of them, made consecutive.

    Parameters
    ----------
    places : numpy.ndarray
        shape=(n, 3), fractional.
    sizes : numpy.ndarray
        shape=(n,), Å; something that equivalent places share, such as the radius of their empty sphere.
    operations : Operations
    lattice : numpy.ndarray
        shape=(3, 3), rows, Å.

    Returns
    -------
    numpy.ndarray
        shape=(n,), int, 0, 1, 2, ... in the order of first appearance.

    Examples
    --------
    >>> import numpy as np
    >>> mirror = Operations(np.array([np.eye(3), np.diag([-1, 1, 1])], dtype=int), np.zeros((2, 3)))
    >>> orbits(np.array([[0.1, 0, 0], [0.3, 0, 0], [0.9, 0, 0]]), np.ones(3), mirror, 5 * np.eye(3)).tolist()
    [0, 1, 0]
    """
    count = len(places)
    leader = np.full(count, -1, dtype=np.int64)
    order = np.argsort(sizes, kind="stable")
    gaps = np.diff(sizes[order]) > _SAME_SIZE
    families = np.empty(count, dtype=np.int64)
    families[order] = np.concatenate([[0], np.cumsum(gaps)])
    if len(operations.rotations) == 1 or count == 1:
        return np.arange(count)
    while (left := np.flatnonzero(leader < 0)).size:
        # The first place of each family that has no orbit yet begins one.
        _, first = np.unique(families[left], return_index=True)
        heads = left[first]
        leader[heads] = heads
        others = left[leader[left] < 0]
        if not len(others):
            break
        head_of_family = np.zeros(families.max() + 1, dtype=np.int64)
        head_of_family[families[heads]] = heads
        mine = head_of_family[families[others]]
        reached = _reach(places[mine], places[others], operations, lattice)
        leader[others[reached]] = mine[reached]
    _, first, number = np.unique(leader, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[number.ravel()]


def _reach(
    start: NDArray[np.float64], end: NDArray[np.float64], operations: Operations, lattice: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Whether some operation carries each start to its end, modulo the lattice."""
    apart = operations.apply(start) - end[None]
    apart -= np.rint(apart)
    cartesian = apart @ lattice
    close: NDArray[np.bool_] = (np.einsum("oij,oij->oi", cartesian, cartesian) < PLACE * PLACE).any(axis=0)
    return close


def stabiliser(operations: Operations, sites: NDArray[np.float64], lattice: NDArray[np.float64]) -> Operations:
    """Those operations that carry a set of sites onto itself.

    Examples
    --------
    >>> import numpy as np
    >>> turns = Operations(np.array([np.eye(3), -np.eye(3)], dtype=int), np.zeros((2, 3)))
    >>> len(stabiliser(turns, np.array([[0.2, 0.0, 0.0]]), 5 * np.eye(3)).rotations)
    1
    """
    if len(sites) == 0:
        return operations
    apart = operations.apply(sites)[:, :, None, :] - sites
    apart -= np.rint(apart)
    cartesian = apart @ lattice
    close = np.einsum("oijk,oijk->oij", cartesian, cartesian) < PLACE * PLACE
    kept = close.any(axis=2).all(axis=1)
    return Operations(operations.rotations[kept], operations.translations[kept])
