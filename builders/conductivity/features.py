"""The descriptors of an ion conductor by name, and how they are made: composition, cell, ion sites and channels.

Three blocks, each of which may be unknown (nan) but the first:

========== ============================================================================ =========================================
block      needs                                                                        describes
========== ============================================================================ =========================================
composition a formula                                                                   :mod:`builders.conductivity.composition`
lattice    a structure, or a cell with the number of atoms in it                        :mod:`builders.conductivity.lattice`
sites      a structure with lithium in it                                               :mod:`builders.conductivity.sites`
========== ============================================================================ =========================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from builders.conductivity import composition, lattice, sites
from builders.conductivity.lattice import Cell, cell_of, cell_of_row
from builders.models.feature import Feature
from store.errors import IonatlasError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from store.conductivities import ConductivityRecord
    from store.crystal import Crystal


FEATURES: Final = tuple(
    Feature(*each, group)
    for group, columns in (("composition", composition.COLUMNS), ("lattice", lattice.COLUMNS), ("sites", sites.COLUMNS))
    for each in columns
)
"""All descriptors in their order."""

NAMES: Final = tuple(feature.name for feature in FEATURES)
"""Their names, the order of every array of descriptors."""

_LATTICE: Final = len(composition.COLUMNS)
_SITES: Final = _LATTICE + len(lattice.COLUMNS)


def describe(
    amounts: Mapping[str, float], crystal: Crystal | None = None, cell: Cell | None = None
) -> NDArray[np.float64]:
    """Describe a compound.

    Parameters
    ----------
    amounts : mapping
        Composition: ``{element symbol: amount}``, whatever the total.
    crystal : Crystal, optional
        Validated; any cell, disorder welcome.
    cell : Cell, optional
        The conventional cell where it is known apart from the structure: its axes and space group are believed. By default
        that of the crystal.

    Returns
    -------
    numpy.ndarray
        shape=(len(NAMES),), float64; nan where something is unknown.

    Raises
    ------
    FeatureError
        The composition is none, or holds no lithium.

    Examples
    --------
    >>> row = describe({"Li": 7, "La": 3, "Zr": 2, "O": 12})
    >>> row.shape == (len(NAMES),), bool(np.isfinite(row[:5]).all()), bool(np.isnan(row[-1]))
    (True, True, True)
    """
    row = np.full(len(NAMES), np.nan)
    row[:_LATTICE] = composition.describe_composition(amounts)
    total = sum(amounts.values())
    shares = {symbol: amount / total for symbol, amount in amounts.items() if amount > 0}
    if crystal is not None:
        cell = _joined(crystal, cell)
        row[_SITES:] = sites.describe_sites(crystal)
    row[_LATTICE:_SITES] = lattice.describe_cell(cell, shares)
    return row


def has_structure(features: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell whose ion sites are described, shape=(n, len(NAMES)) to (n,)."""
    return np.asarray(np.isfinite(features[:, _SITES:]).any(axis=1), dtype=np.bool_)


def has_cell(features: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell whose cell is described, shape=(n, len(NAMES)) to (n,)."""
    return np.asarray(np.isfinite(features[:, _LATTICE:_SITES]).any(axis=1), dtype=np.bool_)


def _joined(crystal: Crystal, cell: Cell | None) -> Cell:
    """Axes and space group as given, room per atom as in the crystal."""
    try:
        found = cell_of(crystal, cell.space_group if cell else None)
    except (ValueError, ArithmeticError, IonatlasError):
        found = Cell((np.nan,) * 3, (np.nan,) * 3, abs(crystal.volume) / sum(crystal.amounts().values()))
        return cell or found
    if cell is None:
        return found
    return Cell(cell.lengths, cell.angles, found.volume_per_atom, cell.space_group, found.system)


def describe_record(record: ConductivityRecord) -> NDArray[np.float64]:
    """Describe what a record of a conductivity holds, its value apart.

    A structure that is impossible is left out; one that holds no lithium says nothing of sites.

    Parameters
    ----------
    record : ConductivityRecord

    Returns
    -------
    numpy.ndarray
        shape=(len(NAMES),).

    Raises
    ------
    FeatureError
        The composition holds no lithium.
    """
    from builders.structures.validation import validate
    from store.errors import StructureError

    crystal = record.crystal
    if crystal is not None:
        try:
            crystal = validate(crystal).crystal
        except StructureError:
            crystal = None
    return describe(record.composition, crystal, cell_of_row(record.properties, _atoms_in_cell(record)))


def _atoms_in_cell(record: ConductivityRecord) -> float | None:
    """Atoms in the conventional cell that a record gives: by what it says the cell holds, else by its formula units."""
    from store.compositions import parse_formula

    whole, units = record.properties.get("true_composition"), record.properties.get("Z")
    if isinstance(whole, str):
        try:
            return sum(parse_formula(whole).values())
        except IonatlasError:
            pass
    if isinstance(units, int | float) and not isinstance(units, bool) and 0 < units < 1000:
        return float(units) * sum(record.composition.values())
    return None
