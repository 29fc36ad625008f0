"""Put a query's elements into a template: a crystal of the right volume, or nothing when atoms would overlap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from builders.templates.clashes import LEAST_CONTACT, closest_contact
from store.crystal import Crystal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from builders.templates.query import Query

LARGEST_STRETCH: Final = 1.25
"""A cell in which atoms touch too closely may be made larger by at most this factor of its volume."""


@dataclass(frozen=True, eq=False)
class Assembled:
    """A structure made of a template.

    Attributes
    ----------
    crystal : Crystal
        The template's primitive cell, scaled, with the query's elements.
    volume_per_atom : float
        Å^3.
    contact : float
        Smallest distance over the sum of covalent radii.
    stretched : bool
        Whether the volume was enlarged to keep atoms apart.
    """

    crystal: Crystal
    volume_per_atom: float
    contact: float
    stretched: bool


def assemble(
    query: Query,
    mapping: Sequence[int] | NDArray[np.integer],
    lattice: NDArray[np.float64],
    frac_coords: NDArray[np.float64],
    species: NDArray[np.integer],
    volume_per_atom: float,
    *,
    least_contact: float = LEAST_CONTACT,
) -> Assembled | None:
    """Make the crystal of a query in a template.

    Parameters
    ----------
    query : Query
    mapping : sequence of int
        shape=(k,): the species of the template that each species of the query replaces.
    lattice, frac_coords : numpy.ndarray
        The template's primitive cell, Å in rows and fractions.
    species : numpy.ndarray
        shape=(n_sites,), species of each atom of the template.
    volume_per_atom : float
        Å^3, wanted.
    least_contact : float
        Contacts closer than this share of the sum of covalent radii are clashes.

    Returns
    -------
    Assembled or None
        None where atoms clash in a cell that cannot be stretched enough.

    Examples
    --------
    >>> from builders.templates.query import read_query
    >>> made = assemble(read_query("NaCl"), [0, 1], np.eye(3) * 2.8 * (1 - np.eye(3)) + 2.8 * (np.ones((3, 3)) - np.eye(3)),
    ...                 np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array([0, 1]), 22.4)
    >>> made.crystal.species, round(made.crystal.volume, 6)
    (('Cl', 'Na'), 44.8)
    """
    symbol = {int(place): element for element, place in zip(query.elements, mapping, strict=True)}
    symbols = tuple([symbol[int(place)] for place in species])
    scale = volume_per_atom * len(symbols) / abs(float(np.linalg.det(lattice)))
    crystal = Crystal(lattice * scale ** (1 / 3), frac_coords, symbols)
    contact = closest_contact(crystal)
    if contact >= least_contact:
        return Assembled(crystal, volume_per_atom, contact, stretched=False)
    # A little beyond the limit, so that rounding does not fall below it again.
    factor = (1.0001 * least_contact / contact) ** 3 if contact > 0 else np.inf
    if factor > LARGEST_STRETCH:
        return None
    stretched = Crystal(crystal.lattice * factor ** (1 / 3), frac_coords, symbols)
    return Assembled(stretched, volume_per_atom * factor, least_contact, stretched=True)
