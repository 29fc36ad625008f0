"""Properties under their OPTIMADE names, and where each comes from.

A property of the specification is copied from a field of ``candidates``, the same for every structure, or made by its own
code; every other field of the registry is served as ``_ionatlas_<name>``.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal

from optimade.exceptions import BadRequest, NotImplementedResponse
from optimade.models import StructureResource, StructureResourceAttributes
from optimade.server.schemas import retrieve_queryable_properties

from api.conditions import column
from store.fields import FIELDS, Field, candidate_fields

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX: Final = "ionatlas"
"""Ours, without the underscores."""

Source = Literal["field", "constant", "made"]

_COPIED: Final[Mapping[str, str]] = {
    "id": "id",
    "elements": "elements",
    "nelements": "nelements",
    "nsites": "nsites",
    "chemical_formula_reduced": "chemical_formula_reduced",
    "chemical_formula_anonymous": "chemical_formula_anonymous",
    "chemical_formula_descriptive": "formula",
    "space_group_it_number": "space_group_number",
}
_CONSTANT: Final[Mapping[str, Any]] = {
    "type": "structures",
    "nperiodic_dimensions": 3,
    "dimension_types": [1, 1, 1],
}
_MADE: Final = frozenset(
    {
        "last_modified",
        "elements_ratios",
        "structure_features",
        "lattice_vectors",
        "cartesian_site_positions",
        "species",
        "species_at_sites",
    }
)
CELL: Final = frozenset({"lattice_vectors", "cartesian_site_positions", "species", "species_at_sites"})
"""Properties that are read from the record as it was given."""

REQUIRED: Final = frozenset({"id", "type"})
"""Properties that are in every answer."""

_TYPES: Final = {"list of string": "list"}
_UNITS: Final[Mapping[str, str | None]] = {
    # Units that UCUM can say are said its way; ours stands beside, under _ionatlas_unit.
    "Å^3": "Å3",
    "g/cm^3": "g/cm3",
    "eV/atom": "eV/{atom}",
    "log10(S/cm)": None,
}


@dataclass(frozen=True)
class Property:
    """One property that a filter, an order or ``response_fields`` may name.

    Attributes
    ----------
    name : str
        Under which OPTIMADE knows it.
    source : {"field", "constant", "made"}
    field : store.fields.Field or None
        The field of ``candidates`` that it is copied from.
    value : object
        Of a constant; None is unknown for every structure.
    """

    name: str
    source: Source
    field: Field | None = None
    value: Any = None

    @property
    def column(self) -> str | None:
        """Where ``candidates`` keeps it; None where it does not."""
        if self.name == "last_modified":
            return "stamp.made_at"
        return column(self.field) if self.field is not None else None

    @property
    def sortable(self) -> bool:
        """Whether entries may be sorted by it."""
        return self.name == "last_modified" or (self.field is not None and self.field.sortable)


@lru_cache(maxsize=1)
def properties() -> dict[str, Property]:
    """Return every property of structures by its OPTIMADE name.

    Examples
    --------
    >>> properties()["chemical_formula_descriptive"].column, properties()["_ionatlas_band_gap"].column
    ('formula', 'band_gap')
    """
    found: dict[str, Property] = {}
    for name in ("id", "type", *StructureResourceAttributes.model_fields):
        if name in _COPIED:
            found[name] = Property(name, "field", FIELDS[_COPIED[name]])
        elif name in _MADE:
            found[name] = Property(name, "made")
        else:
            found[name] = Property(name, "constant", value=_CONSTANT.get(name))
    same = {name for name, ours in _COPIED.items() if name == ours}
    for field in candidate_fields():
        if field.name not in same and field.queryable:
            name = f"_{PREFIX}_{field.name}"
            found[name] = Property(name, "field", field)
    return found


def standard_names() -> tuple[str, ...]:
    """Names of the specification's properties: the answer where ``response_fields`` names none."""
    return ("id", "type", *StructureResourceAttributes.model_fields)


def find_property(name: str) -> Property | None:
    """Look a property up as the specification asks.

    Returns
    -------
    Property or None
        None for a property of another provider: unknown for all our structures.

    Raises
    ------
    optimade.exceptions.BadRequest
        No such property in the specification, or none of ours.
    optimade.exceptions.NotImplementedResponse
        A part of a property (``species.name``).

    Examples
    --------
    >>> find_property("_exmpl_colour") is None
    True
    """
    base, _, part = name.partition(".")
    known = properties()
    if base in known and not part:
        return known[base]
    if base in known:
        raise NotImplementedResponse(f"Parts of properties ({name}) are not supported in filters.")
    if base.startswith("_") and not base.startswith(f"_{PREFIX}_"):
        return None
    near = difflib.get_close_matches(base, known, n=3, cutoff=0.6)
    hint = f" Near: {', '.join(near)}." if near else ""
    raise BadRequest(f"There is no property {name!r}.{hint} /info/structures lists all.")


@lru_cache(maxsize=1)
def described() -> dict[str, dict[str, Any]]:
    """Describe every property for ``/info/structures``: description, type, unit, whether it sorts.

    Examples
    --------
    >>> described()["_ionatlas_density"]["unit"], described()["_ionatlas_density"]["_ionatlas_unit"]
    ('g/cm3', 'g/cm^3')
    """
    found: dict[str, dict[str, Any]] = {}
    known = properties()
    for name, about in retrieve_queryable_properties(StructureResource, {"id", "type", "attributes"}).items():
        # optimade takes the type of `type` for a list.
        kind = "string" if name == "type" else about["type"].value
        found[name] = {"description": about["description"], "type": kind, "sortable": known[name].sortable}
        if about.get("unit"):
            found[name]["unit"] = about["unit"]
    for name, each in known.items():
        if each.field is not None and name not in found:
            found[name] = _describe(each.field)
    return found


def _describe(field: Field) -> dict[str, Any]:
    unit = f" Unit: {field.unit}." if field.unit else ""
    about: dict[str, Any] = {
        "description": f"{field.meaning}{unit} From {field.source}.",
        "type": _TYPES.get(field.type, field.type),
        "sortable": field.sortable,
    }
    if field.unit:
        about[f"_{PREFIX}_unit"] = field.unit
        about["unit"] = _UNITS.get(field.unit, field.unit)
    return about
