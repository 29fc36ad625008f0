"""The moving ion among all atoms of the images of a path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from store.crystal import Crystal
from store.errors import InvalidCoordinates, SourceError
from store.hops import shortest_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_SHORTEST: Final = 0.05
_TOGETHER: Final = 0.5
_SAME_CELL: Final = 1e-3


class Path(NamedTuple):
    """A path through images of a whole cell.

    Attributes
    ----------
    ion : str
        Element of the moving atom.
    host : Crystal
        All other atoms, of the first image.
    places : numpy.ndarray
        shape=(n_images, 3), fractional, unwrapped, of the moving atom.
    """

    ion: str
    host: Crystal
    places: NDArray[np.float64]


def path_of(images: Sequence[Crystal], warnings: list[str], element: str | None = None) -> Path:
    """Find the atom that moves most between the first and the last image, and follow it.

    Parameters
    ----------
    images : sequence of Crystal
        At least two, with the same atoms in the same order.
    warnings : list of str
        Another atom that moves nearly as far, or a cell that changes, is told here.
    element : str, optional
        The moving element, where it is known.

    Raises
    ------
    SourceError
        The images do not belong together, or no atom moves.

    Examples
    --------
    >>> cell, atoms = [[5, 0, 0], [0, 5, 0], [0, 0, 5]], ["O", "Li"]
    >>> ends = [Crystal.from_lists(cell, atoms, [[0, 0, 0], [0.5, 0.5, z]]) for z in (0.9, 0.2)]
    >>> path = path_of(ends, [])
    >>> path.ion, path.host.species, path.places.round(3).tolist()
    ('Li', ('O',), [[0.5, 0.5, 0.9], [0.5, 0.5, 1.2]])
    """
    if len(images) < 2:
        raise SourceError(f"A path has two images at least; there is {len(images)}.")
    first = images[0]
    for number, image in enumerate(images[1:], start=2):
        if image.species != first.species:
            raise SourceError(f"Image {number} does not hold the same atoms in the same order as the first.")
    if not first.is_ordered:
        raise SourceError("The images have shared or partly occupied sites: no single atom moves.")
    bend = max(float(np.abs(image.lattice - first.lattice).max()) for image in images)
    if bend > _SAME_CELL:
        warnings.append(f"The cell changes along the path, by up to {bend:.3f} Å; that of the first image was taken.")
    steps = np.diff(np.stack([image.frac_coords for image in images]), axis=0)
    steps -= np.round(steps)
    moved = np.linalg.norm(steps.sum(axis=0) @ first.lattice, axis=1)
    index = _mover(first.species, moved, element, warnings)
    places = first.frac_coords[index] + np.concatenate([np.zeros((1, 3)), np.cumsum(steps[:, index], axis=0)])
    if len(images) == 2:  # in a skew cell the rounded step need not be the shortest
        places = np.stack([places[0], shortest_image(first.lattice, places[0], places[1])])
    return Path(first.species[index], without(first, index), places)


def _mover(species: tuple[str, ...], moved: NDArray[np.float64], element: str | None, warnings: list[str]) -> int:
    mine = np.array([element is None or symbol == element for symbol in species])
    if not mine.any():
        raise SourceError(f"The images hold no {element}, which is named as the moving ion.")
    index = int(np.argmax(np.where(mine, moved, -1.0)))
    if moved[index] < _SHORTEST:
        raise SourceError(f"No atom moves by more than {_SHORTEST} Å between the first image and the last.")
    others = np.delete(moved, index)
    if others.size and float(others.max()) > _TOGETHER * moved[index]:
        warnings.append(
            f"concerted_motion: {species[index]} moves by {moved[index]:.2f} Å and another atom by {others.max():.2f} Å."
        )
    return index


def without(crystal: Crystal, index: int) -> Crystal:
    """Leave out one site.

    Examples
    --------
    >>> pair = Crystal.from_lists([[3, 0, 0], [0, 3, 0], [0, 0, 3]], ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> without(pair, 0).species
    ('Cl',)
    """
    kept: list[Any] = [number for number in range(crystal.n_sites) if number != index]
    return Crystal(
        crystal.lattice,
        crystal.frac_coords[kept],
        tuple(crystal.species[number] for number in kept),
        None if crystal.occupancies is None else tuple(crystal.occupancies[number] for number in kept),
    )


def take_ion(
    crystal: Crystal, ion: str, start: NDArray[np.float64], warnings: list[str], reach: float = 1.5
) -> Crystal:
    """Take the atom of the ion that is nearest to the start out of a crystal that still holds it.

    A site that the ion shares with others loses the ion only.

    Parameters
    ----------
    crystal : Crystal
        With the moving ion.
    ion : str
        Its element.
    start : numpy.ndarray
        shape=(3,), fractional.
    warnings : list of str
        A site further than 0.1 Å away, or a shared one, is told here.
    reach : float
        Further away than this, in Å, is no such atom.

    Raises
    ------
    SourceError
        No atom of the ion is near the start.

    Examples
    --------
    >>> pair = Crystal.from_lists([[3, 0, 0], [0, 3, 0], [0, 0, 3]], ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> take_ion(pair, "Li", np.array([0.0, 0.0, 1.0]), []).species
    ('Cl',)
    """
    sites: list[dict[str, float]] = (
        [{symbol: 1.0} for symbol in crystal.species]
        if crystal.occupancies is None
        else [dict(site) for site in crystal.occupancies]
    )
    holders = [number for number, site in enumerate(sites) if ion in site]
    if not holders:
        raise SourceError(f"The structure holds no {ion}, and is said to hold the moving ion.")
    if not np.isfinite(start).all():
        raise InvalidCoordinates("The start of the hop must be three finite numbers.")
    near = [_distance(crystal, number, start) for number in holders]
    index, distance = holders[int(np.argmin(near))], min(near)
    if distance > reach:
        raise SourceError(
            f"The nearest {ion} is {distance:.2f} Å from the start; the moving ion must be within {reach} Å."
        )
    if distance > 0.1:
        warnings.append(f"The {ion} atom that was taken out lies {distance:.2f} Å from the start of the hop.")
    if len(sites[index]) == 1:
        if sites[index][ion] < 1.0:
            warnings.append(f"The {ion} site that was taken out was occupied by {sites[index][ion]:g} only.")
        return without(crystal, index)
    del sites[index][ion]
    warnings.append(f"The moving {ion} shares its site with {', '.join(sites[index])}, which stays.")
    return Crystal.from_sites(crystal.lattice, sites, crystal.frac_coords)


def _distance(crystal: Crystal, number: int, start: NDArray[np.float64]) -> float:
    step = crystal.frac_coords[number] - start
    return float(np.linalg.norm((step - np.round(step)) @ crystal.lattice))
