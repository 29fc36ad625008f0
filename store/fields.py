"""The registry of fields: one definition each of name, unit, type, shape, meaning and source.

Validators, indexes, the ``candidates`` collection, the filter language, tables and the reference pages all read it.
A room that adds a queryable property adds one :class:`Field` here with ``candidate=True`` and the place it is copied
from; nothing else needs to change. Fields that every working ion has are made by one generator in
:mod:`store.ion_fields`.
"""

from __future__ import annotations

import difflib
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from store.barrier_fields import BARRIER_FIELDS
from store.conductivity_documents import CONDUCTIVITY_FIELDS
from store.field import Field, FieldType, candidate
from store.ion_fields import CHANNEL_FIELDS, IONS, PATTERNS, PREDICTION_FIELDS, ion_fields
from store.synonyms import SYNONYMS
from store.topology_documents import TOPOLOGY_FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FIELDS", "Field", "FieldType", "candidate_fields", "nearest", "shown_fields"]

_CANDIDATE_FIELDS: Final = (
    candidate(
        "id", "string", None, "structures._id", "Identifier of the material, the provider's own where it has one."
    ),
    candidate(
        "name", "string", None, "structures.name", "Mineral or compound name, where the source gives one.", indexed=True
    ),
    candidate(
        "formula", "string", None, "structures.formula", "Reduced formula, elements by electronegativity.", indexed=True
    ),
    candidate(
        "chemical_formula_reduced",
        "string",
        None,
        "structures.chemical_formula_reduced",
        "Reduced formula, elements in alphabetical order (OPTIMADE).",
        indexed=True,
    ),
    candidate(
        "chemical_formula_anonymous",
        "string",
        None,
        "structures.chemical_formula_anonymous",
        "Formula with the elements replaced by A, B, C, ... from the most to the least abundant (OPTIMADE).",
        indexed=True,
    ),
    candidate(
        "chemical_system",
        "string",
        None,
        "structures.chemical_system",
        "Elements in alphabetical order joined by hyphens.",
        indexed=True,
    ),
    candidate(
        "elements", "list of string", None, "structures.elements", "Elements in alphabetical order.", indexed=True
    ),
    candidate("nelements", "integer", None, "structures.nelements", "Number of different elements.", indexed=True),
    candidate("nsites", "integer", None, "structures.nsites", "Number of sites in the cell as given."),
    candidate(
        "nsites_primitive",
        "integer",
        None,
        "structures.nsites_primitive",
        "Number of sites in the primitive cell.",
        indexed=True,
    ),
    candidate(
        "space_group_number",
        "integer",
        None,
        "structures.space_group_number",
        "Space group number, 1 to 230.",
        indexed=True,
    ),
    candidate(
        "space_group_symbol",
        "string",
        None,
        "structures.space_group_symbol",
        "Short international (Hermann-Mauguin) symbol.",
    ),
    candidate(
        "crystal_system",
        "string",
        None,
        "structures.crystal_system",
        "triclinic, monoclinic, orthorhombic, tetragonal, trigonal, hexagonal or cubic.",
        indexed=True,
    ),
    candidate("point_group", "string", None, "structures.point_group", "Crystal class in Hermann-Mauguin notation."),
    candidate(
        "prototype",
        "string",
        None,
        "structures.prototype",
        "Anonymous formula, Pearson symbol, space group and Wyckoff sequence, with the elements.",
        indexed=True,
    ),
    candidate(
        "anonymous_prototype",
        "string",
        None,
        "structures.anonymous_prototype",
        "The prototype without its elements.",
        indexed=True,
    ),
    candidate(
        "volume_per_atom",
        "float",
        "Å^3",
        "structures.volume_per_atom",
        "Cell volume divided by the number of atoms.",
        indexed=True,
    ),
    candidate("density", "float", "g/cm^3", "structures.density", "Mass density.", indexed=True),
    candidate(
        "min_distance", "float", "Å", "structures.min_distance", "Smallest distance between two sites.", indexed=True
    ),
    candidate(
        "is_ordered", "boolean", None, "structures.is_ordered", "Whether every site is fully occupied by one element."
    ),
    candidate(
        "flags",
        "list of string",
        None,
        "structures.flags",
        "Doubts about the structure, in fixed words, such as 'hydrogen not located'.",
    ),
    candidate(
        "formation_energy_per_atom",
        "float",
        "eV/atom",
        "structures.formation_energy_per_atom",
        "Formation energy from the elements, as the source gives it.",
        indexed=True,
    ),
    candidate(
        "energy_above_hull",
        "float",
        "eV/atom",
        "structures.energy_above_hull",
        "Energy above the convex hull, as the source gives it.",
        indexed=True,
    ),
    candidate(
        "band_gap", "float", "eV", "structures.band_gap", "Electronic band gap, as the source gives it.", indexed=True
    ),
    candidate(
        "experimental",
        "boolean",
        None,
        "structures.experimental",
        "Whether the structure was determined by experiment.",
    ),
    candidate(
        "structure_hash",
        "string",
        None,
        "structures.structure_hash",
        "Hash of the crystal's geometry; the same for the same crystal in another cell or origin.",
    ),
    candidate(
        "duplicate_of",
        "string",
        None,
        "duplicates.representative",
        "The material this one repeats; unknown for a structure seen once and for the representative itself.",
        indexed=True,
    ),
    candidate("provider", "string", None, "structures.provider", "Who gave the record.", indexed=True),
    candidate("licence", "string", None, "structures.licence", "Licence of the record, where stated."),
    candidate("created_at", "string", None, "structures.created_at", "Date of the record at its provider (ISO 8601)."),
    candidate(
        "working_ions",
        "list of string",
        None,
        "channels.ion",
        "Ions whose channels in this material were analysed.",
    ),
)

_DOCUMENT_FIELDS: Final = (
    Field(
        "references", "list of string", None, "Publications or links that the record cites.", "structures.references"
    ),
    Field("composition", "dictionary", None, "Atoms of each element in the reduced formula.", "structures.composition"),
    Field(
        "oxidation_states",
        "dictionary",
        None,
        "Guessed oxidation state of each element (average where mixed).",
        "structures.oxidation_states",
    ),
    Field(
        "oxidation_state_method",
        "string",
        None,
        "How the oxidation states were guessed.",
        "structures.oxidation_state_method",
    ),
    Field(
        "hall_number", "integer", None, "Hall number, 1 to 530, of the standardised setting.", "structures.hall_number"
    ),
    Field("symprec", "float", "Å", "Tolerance at which the symmetry was found.", "structures.symprec"),
    Field("pearson_symbol", "string", None, "Pearson symbol.", "structures.pearson_symbol"),
    Field("volume", "float", "Å^3", "Volume of the primitive cell.", "structures.volume"),
    Field(
        "standard",
        "dictionary",
        "Å",
        "Standardised conventional cell: lattice (3, 3) rows in Å, species, frac_coords (n, 3).",
        "structures.standard",
    ),
    Field(
        "primitive",
        "dictionary",
        "Å",
        "Standardised primitive cell: lattice (3, 3) rows in Å, species, frac_coords (n, 3).",
        "structures.primitive",
    ),
    Field(
        "invariants",
        "bytes",
        None,
        "float32: 24 average minimum distances to the nearest neighbours in Å, then 8 sums that see which element sits where.",
        "structures.invariants",
        shape="(32,)",
    ),
    Field(
        "hash_margin",
        "float",
        None,
        "Distance of the structure hash's quantities from the nearest bin boundary, in noise bounds.",
        "structures.hash_margin",
    ),
    Field(
        "properties",
        "dictionary",
        None,
        "Whatever else came along with the record, under its own names.",
        "structures.properties",
    ),
    Field("format", "string", None, "Format of the record's bytes.", "sources.format"),
    Field("content", "bytes", None, "The record's bytes, exactly as given.", "sources.content"),
    Field("sha256", "string", None, "SHA-256 of the content.", "sources.sha256"),
    Field("origins", "list", None, "Where the record was read: path or URL, member, line, time.", "sources.origins"),
    Field("error", "dictionary", None, "Why the bytes could not be split into records.", "sources.error"),
    Field("ingested_at", "timestamp", None, "When the record first came in.", "sources.ingested_at"),
    Field("updated_at", "timestamp", None, "When the record last changed.", "sources.updated_at"),
    Field("source", "string", None, "The record that this version belonged to.", "source_history.source"),
    Field("replaced_at", "timestamp", None, "When this version was replaced.", "source_history.replaced_at"),
    Field(
        "members",
        "list of string",
        None,
        "Materials of one reduced formula that are one crystal.",
        "duplicates.members",
    ),
    Field("clusters", "list", None, "Groups of the same crystal: representative and members.", "duplicates.clusters"),
    Field("material", "string", None, "The material that the document belongs to.", "embeddings.material"),
    Field("model", "string", None, "Name of the model that made the vector.", "embeddings.model"),
    Field("vector", "bytes", None, "float32, little-endian.", "embeddings.vector", shape="(dimension,)"),
    Field("dimension", "integer", None, "Length of the vector.", "embeddings.dimension"),
    Field("hash", "string", None, "Hash of the document's content.", "structures.hash"),
    Field(
        "warnings",
        "list of string",
        None,
        "What the reader of the record noticed, in its words.",
        "structures.warnings",
    ),
    Field(
        "recipe",
        "string",
        None,
        "Version, parameters and inputs of the stamp in one line: what decides whether the document is stale.",
        "structures.recipe",
    ),
    Field(
        "stamp",
        "dictionary",
        None,
        "Builder, version, parameters and inputs that made the document.",
        "structures.stamp",
    ),
)

_PARTS: Final = (
    _CANDIDATE_FIELDS,
    ion_fields(),
    _DOCUMENT_FIELDS,
    CHANNEL_FIELDS,
    PREDICTION_FIELDS,
    BARRIER_FIELDS,
    TOPOLOGY_FIELDS,
    CONDUCTIVITY_FIELDS,
)

FIELDS: Final[Mapping[str, Field]] = MappingProxyType({field.name: field for part in _PARTS for field in part})
"""Every field by name."""


@lru_cache(maxsize=1)
def candidate_fields() -> tuple[Field, ...]:
    """Return the fields of ``candidates`` in the order in which tables show them.

    Examples
    --------
    >>> [field.name for field in candidate_fields()][:3]
    ['id', 'name', 'formula']
    """
    return tuple(field for field in FIELDS.values() if field.candidate)


def shown_fields(ion: str | None = None) -> list[tuple[str, Field, str]]:
    """Name, field and meaning as lists show them: what every ion has once, as a pattern, or the fields of one ion.

    Examples
    --------
    >>> [name for name, _, _ in shown_fields()][-2:]
    ['<ion>_conductivity_upper', '<ion>_conductivity_in_domain']
    >>> shown_fields("Na")[2][0]
    'na_channel_r1'
    """
    if ion is not None:
        return [(field.name, field, field.meaning) for field in candidate_fields() if field.ion == ion]
    shown = [(field.name, field, field.meaning) for field in candidate_fields() if not field.ion]
    first = [field for field in candidate_fields() if field.ion == IONS[0]]
    shown += [
        (field.pattern, field, pattern.meaning.format(ion="the ion"))
        for field, pattern in zip(first, PATTERNS, strict=True)
    ]
    return shown


def nearest(name: str, count: int = 3) -> list[Field]:
    """Return the queryable fields whose names are nearest to a mistyped one.

    Examples
    --------
    >>> [field.label for field in nearest("bandgap", 1)]
    ['band_gap [eV]']
    """
    low = name.lower()
    known, meant = _comparable(low)
    found = [SYNONYMS[low]] if low in SYNONYMS else []
    found += difflib.get_close_matches(low, known, n=count, cutoff=0.6)
    found += [other for other in known if low in other or any(part in other.split("_") for part in low.split("_"))]
    # Far-fetched names only where nothing is near: three candidates of which two are nonsense help nobody.
    found += difflib.get_close_matches(low, known, n=count, cutoff=0.5 if found else 0.35)
    found = list(dict.fromkeys(found))
    return [FIELDS[meant.get(each, each)] for each in (found or known)[:count]]


def _comparable(typed: str) -> tuple[list[str], dict[str, str]]:
    """Names that a mistyped one is compared with, and what those mean that are not names of fields.

    Of the fields that every ion has, only those of one ion count, or the answer would be one field for fourteen ions: the
    ion that the typed name begins with, else the first, without its prefix.
    """
    known = [field.name for field in candidate_fields() if field.queryable and not field.ion]
    ion = next((each.lower() for each in IONS if typed.startswith(f"{each.lower()}_")), "")
    if ion:
        here = [field.name for field in candidate_fields() if field.queryable and field.ion.lower() == ion]
        return [*here, *known], {}
    first = IONS[0].lower()
    return [*known, *(pattern.suffix for pattern in PATTERNS)], {
        pattern.suffix: f"{first}_{pattern.suffix}" for pattern in PATTERNS
    }
