"""Everything the ``structures`` collection wants to know about one crystal, in one call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from builders.structures.elements import element_table
from builders.structures.formulas import Formulas, describe_composition, formula_units
from builders.structures.hashing import PRIMITIVE_SYMPREC, StructureHash, structure_hash
from builders.structures.invariants import N_DISTANCES, crystal_invariants
from builders.structures.neighbours import neighbourhood, points_of
from builders.structures.oxidation import OxidationStates, guess_oxidation_states
from builders.structures.prototype import prototype_labels
from builders.structures.symmetry import Symmetry, find_symmetry, group_type
from builders.structures.validation import validate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from store.crystal import Crystal

GRAMS_PER_DALTON_VOLUME = 1.66053906660
"""g/cm^3 for one Dalton an Å^3 (CODATA 2018)."""


@dataclass(frozen=True)
class StructureAnalysis:
    """A crystal and what was found out about it.

    Attributes
    ----------
    crystal : Crystal
        As given, validated: right-handed, wrapped, known elements.
    formulas : Formulas
        Reduced and anonymous formulas, elements, composition.
    symmetry : Symmetry
        Space group, standardised conventional and primitive cell, and the tolerance.
    prototype, anonymous_prototype : str
        E.g. ``AB_cF8_225_a_b:Cl-Na`` and ``AB_cF8_225_a_b``.
    volume : float
        Å^3, of the primitive cell.
    volume_per_atom : float
        Å^3; a partially occupied site counts as much as it is occupied.
    density : float
        g/cm^3.
    min_distance : float
        Å, between any two sites.
    oxidation : OxidationStates
        A guess from the composition.
    invariants : numpy.ndarray
        shape=(32,), float32; see :class:`builders.structures.invariants.Invariants`.
    hash : StructureHash
        32 hexadecimal digits and its margin.
    flags : tuple of str
        What was mended or looks odd.
    """

    crystal: Crystal
    formulas: Formulas
    symmetry: Symmetry
    prototype: str
    anonymous_prototype: str
    volume: float
    volume_per_atom: float
    density: float
    min_distance: float
    oxidation: OxidationStates
    invariants: NDArray[np.float32]
    hash: StructureHash
    flags: tuple[str, ...]

    def to_document(self) -> dict[str, Any]:
        """Write the fields of a ``structures`` document that follow from the crystal alone."""
        group = group_type(self.symmetry.number)
        formulas, symmetry = self.formulas, self.symmetry
        return {
            "formula": formulas.formula,
            "chemical_formula_reduced": formulas.reduced,
            "chemical_formula_anonymous": formulas.anonymous,
            "chemical_system": formulas.chemical_system,
            "elements": list(formulas.elements),
            "nelements": len(formulas.elements),
            "nsites": self.crystal.n_sites,
            "composition": dict(formulas.composition),
            "standard": symmetry.standard.to_document(),
            "primitive": symmetry.primitive.to_document(),
            "nsites_primitive": symmetry.primitive.n_sites,
            "space_group_number": symmetry.number,
            "space_group_symbol": group.symbol,
            "hall_number": symmetry.hall_number,
            "crystal_system": group.crystal_system,
            "point_group": group.point_group,
            "pearson_symbol": symmetry.pearson_symbol,
            "symprec": symmetry.symprec,
            "prototype": self.prototype,
            "anonymous_prototype": self.anonymous_prototype,
            "volume": self.volume,
            "volume_per_atom": self.volume_per_atom,
            "density": self.density,
            "min_distance": self.min_distance,
            "is_ordered": self.crystal.is_ordered,
            "flags": list(self.flags),
            "oxidation_states": None if self.oxidation.states is None else dict(self.oxidation.states),
            "oxidation_state_method": self.oxidation.method,
            "structure_hash": self.hash.value,
            "hash_margin": self.hash.margin,
            "invariants": self.invariants.astype("<f4").tobytes(),
        }


def analyse(crystal: Crystal, *, symprec: float = 0.01, angle_tolerance: float | None = None) -> StructureAnalysis:
    """Validate a crystal and compute everything that the ``structures`` collection keeps of it.

    Parameters
    ----------
    crystal : Crystal
        As read; nothing is assumed about it.
    symprec : float
        Å, tolerance of the symmetry search; stored with the result.
    angle_tolerance : float, optional
        Degrees.

    Returns
    -------
    StructureAnalysis
        :meth:`StructureAnalysis.to_document` gives the document's fields.

    Raises
    ------
    StructureError
        The crystal is impossible: see :func:`builders.structures.validation.validate` and ``CoincidentAtoms``. Symmetry
        never raises: what has none is P1, with a flag.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> rock_salt = Crystal.from_lists([[0, 2.82, 2.82], [2.82, 0, 2.82], [2.82, 2.82, 0]], ["Na", "Cl"],
    ...                                [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> found = analyse(rock_salt)
    >>> found.formulas.formula, found.symmetry.number, found.prototype, round(found.min_distance, 2)
    ('NaCl', 225, 'AB_cF8_225_a_b:Cl-Na', 2.82)
    >>> round(found.density, 2), found.oxidation.states
    (2.16, {'Cl': -1.0, 'Na': 1.0})
    """
    validated = validate(crystal)
    given = validated.crystal
    points = points_of(given)
    around = neighbourhood(points, N_DISTANCES)
    symmetry = find_symmetry(given, symprec, angle_tolerance, min_distance=around.min_distance)
    amounts = given.amounts()
    formulas = describe_composition(amounts, 1 if given.is_ordered else formula_units(given.species))
    prototype, anonymous = prototype_labels(given.species, symmetry)
    invariants = crystal_invariants(given, points, around)
    table = element_table()
    found = symmetry
    if symmetry.symprec != PRIMITIVE_SYMPREC or angle_tolerance is not None:
        # Builds with other tolerances must give the same hashes.
        found = find_symmetry(given, PRIMITIVE_SYMPREC, min_distance=around.min_distance)
    site_sums = invariants.site_sums[list(found.primitive_sites)]
    mass = sum([table[symbol].mass * amount for symbol, amount in amounts.items()])
    volume = given.volume
    return StructureAnalysis(
        crystal=given,
        formulas=formulas,
        symmetry=symmetry,
        prototype=prototype,
        anonymous_prototype=anonymous,
        volume=abs(symmetry.primitive.volume),
        volume_per_atom=volume / sum(amounts.values()),
        density=GRAMS_PER_DALTON_VOLUME * mass / volume,
        min_distance=around.min_distance,
        oxidation=guess_oxidation_states(formulas.elements, formulas.whole),
        invariants=invariants.vector,
        hash=structure_hash(found.primitive, invariants.coordination, site_sums, around.min_distance),
        flags=(*validated.flags, *around.flags, *symmetry.flags),
    )
