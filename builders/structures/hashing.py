"""The structure hash: one short key for one crystal, whatever its cell, origin, orientation, order, scale or rounding.

Decision page with the measured rates: docs/decisions/0002-structure-hash.md. The key is made of

* the prototype label with its elements, found at the loose tolerance of 0.1 Å: noise a hundred times smaller hardly ever
  changes it, and it tells most polymorphs apart;
* in crystals of low symmetry, where many structures share one label, the bin of one averaged number (the coloured
  coordination number of :mod:`builders.structures.invariants`).
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from builders.structures.prototype import prototype_labels
from builders.structures.symmetry import find_symmetry
from store.crystal import Crystal, site_label

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.structures.symmetry import Symmetry
    from store.crystal import Occupancy

SCHEME = "ionatlas-structure-1"
"""Part of each hash; changes when the recipe does."""
PRIMITIVE_SYMPREC = 0.01
"""Å, tolerance of the cell from which the label search starts, whatever tolerance the rest of the analysis uses."""
LABEL_SYMPREC = 0.1
"""Å, tolerance of the label in the hash."""
LARGEST_LABELLED = 2000
"""Sites in a primitive cell; beyond, the second symmetry search costs seconds and the contents of the cell stand in."""
BIN_WIDTHS = ((2, 0.06), (15, 0.09), (74, 0.16))
"""(last space group, width of a bin of the coordination number); above the last no bin: the label says enough."""
NOISE_BOUND = 1e-3
"""Change of the coordination number under noise of 1e-3 Å on atoms and cell vectors that 99.9 % of structures stay below."""
LARGEST_MARGIN = 100.0

# Mirror images have the same energies and distances, and StructureMatcher equates them: one hash for both.
_MIRRORED = {78: 76, 95: 91, 96: 92, 145: 144, 153: 151, 154: 152, 170: 169, 172: 171, 179: 178, 181: 180, 213: 212}
_OCCUPANCY_BIN, _OCCUPANCY_SHIFT = 0.02, 0.0037  # no common fraction (n/12, n/10, 0.33, 0.67) lies near a boundary


@dataclass(frozen=True)
class StructureHash:
    """A hash and how safe it is.

    Attributes
    ----------
    value : str
        32 hexadecimal digits.
    margin : float
        Distance of the binned number from the nearest boundary, in units of the noise bound: below 1, noise of 1e-3 Å
        may give another hash. 100 where nothing is binned or the boundary is farther.
    """

    value: str
    margin: float


def structure_hash(
    primitive: Crystal,
    coordination: float,
    site_sums: NDArray[np.float64] | None = None,
    min_distance: float = math.inf,
) -> StructureHash:
    """Hash a crystal.

    Parameters
    ----------
    primitive : Crystal
        Primitive cell found at ``PRIMITIVE_SYMPREC``.
    coordination : float
        The coloured coordination number of the crystal as given (not of a symmetrised cell).
    site_sums : numpy.ndarray, optional
        shape=(n_sites,), a number for each site of ``primitive`` that does not depend on the cell (``site_sums`` of
        :class:`builders.structures.invariants.Invariants`); gives the sites one order and the cell one origin.
    min_distance : float
        Å, smallest distance in the crystal: see :func:`builders.structures.symmetry.find_symmetry`.

    Returns
    -------
    StructureHash
        See there.

    Examples
    --------
    >>> rock_salt = Crystal.from_lists([[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]], ["Na", "Cl"],
    ...                                [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> expanded = Crystal.from_lists([[0, 2.9, 2.9], [2.9, 0, 2.9], [2.9, 2.9, 0]], ["Cl", "Na"],
    ...                               [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> structure_hash(rock_salt, 5.0) == structure_hash(expanded, 5.0)
    True
    """
    crystal = _coarse(primitive)
    if site_sums is not None:
        crystal = _settled(crystal, site_sums)
    if crystal.n_sites > LARGEST_LABELLED:
        number, label = 1, _contents(crystal)
    else:
        symmetry = find_symmetry(crystal, LABEL_SYMPREC, min_distance=min_distance)
        number, label = symmetry.number, _label(crystal, symmetry)
    width = next((width for last, width in BIN_WIDTHS if number <= last), None)
    if width is None:
        key, margin = label, LARGEST_MARGIN
    else:
        position = coordination / width
        key = f"{label}|{math.floor(position)}"
        margin = min(abs(position - round(position)) * width / NOISE_BOUND, LARGEST_MARGIN)
    digest = hashlib.blake2b(f"{SCHEME}|{key}".encode(), digest_size=16)
    return StructureHash(digest.hexdigest(), margin)


def _label(crystal: Crystal, symmetry: Symmetry) -> str:
    """Write the label, a space group and its mirror image under one number."""
    label, _ = prototype_labels(crystal.species, symmetry)
    number = _MIRRORED.get(symmetry.number)
    if number is None:
        return label
    return label.replace(f"_{symmetry.number}_", f"_{number}_", 1)


def _settled(crystal: Crystal, site_sums: NDArray[np.float64]) -> Crystal:
    """Put the sites in one order and the first of them at the origin.

    Where a symmetry holds within a hair of the tolerance, moyopy's answer depends on both.
    """
    order = sorted(range(crystal.n_sites), key=lambda site: (crystal.species[site], -site_sums[site]))
    places = crystal.frac_coords[order]
    places = places - places[0]
    # A coordinate a rounding error below a whole number must wrap as one above it does.
    places -= np.floor(places + 1e-6)
    species = tuple([crystal.species[site] for site in order])
    if crystal.occupancies is None:
        return Crystal(crystal.lattice, places, species)
    return Crystal(crystal.lattice, places, species, tuple([crystal.occupancies[site] for site in order]))


def _contents(crystal: Crystal) -> str:
    """Write what a primitive cell holds."""
    return "-".join([f"{kind}:{count}" for kind, count in sorted(Counter(crystal.species).items())])


def _coarse(crystal: Crystal) -> Crystal:
    """Round occupancies, so that 0.333 and 0.3333 are one kind of site."""
    if crystal.occupancies is None:
        return crystal
    sites: list[Occupancy] = [
        {
            symbol: (math.floor((amount + _OCCUPANCY_SHIFT) / _OCCUPANCY_BIN) + 0.5) * _OCCUPANCY_BIN
            for symbol, amount in site.items()
        }
        for site in crystal.occupancies
    ]
    return Crystal(crystal.lattice, crystal.frac_coords, tuple([site_label(site) for site in sites]), tuple(sites))
