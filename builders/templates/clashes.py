"""Atoms that would overlap: contacts of a crystal in units of the sum of covalent radii."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from builders.embeddings.elements import element_table
from builders.structures.neighbours import pairs_within, points_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from store.crystal import Crystal

LEAST_CONTACT: Final = 0.65
"""Contacts closer than this share of the sum of covalent radii are clashes."""


LOOSE: Final = 1.2
"""Contacts beyond this are not told apart."""


@lru_cache(maxsize=1)
def covalent_radii() -> NDArray[np.float64]:
    """Covalent radii by atomic number, Å, shape=(95,) (Cordero et al., Dalton Trans. 2832, 2008).

    Examples
    --------
    >>> covalent_radii()[[1, 8, 55]].tolist()
    [0.31, 0.66, 2.44]
    """
    table = element_table()
    radii = np.full(len(table.symbols) + 1, np.nan)
    radii[1:] = table.values[:, table.names.index("covalent_radius_cordero")] / 100
    return radii


def closest_contact(crystal: Crystal) -> float:
    """Smallest distance between two atoms over the sum of their covalent radii.

    Parameters
    ----------
    crystal : Crystal
        Ordered.

    Returns
    -------
    float
        No unit; contacts looser than 1.2 are not looked for, and 1.2 is returned.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> salt = Crystal.from_lists([[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]], ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> round(closest_contact(salt), 2)
    1.04
    """
    row = element_table().row
    radii = covalent_radii()[[row[symbol] + 1 for symbol in crystal.species]]
    points = points_of(crystal)
    # With a radius beyond 2.2 spacings some pair is always found, and a looser one cannot be the closest.
    pairs = pairs_within(points, min(LOOSE * 2 * float(radii.max()), 2.2 * points.spacing))
    contacts = pairs.distance / (radii[pairs.centre] + radii[pairs.neighbour])
    return float(contacts.min(initial=LOOSE))
