"""A measured conductivity as a document: as given, its composition normalised, linked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from builders.structures.formulas import describe_composition
from store.errors import StructureError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from store.conductivities import ConductivityRecord
    from store.crystal import Crystal

NEAR: Final = 10.0
"""K; repeats whose temperatures differ by no more are compared."""


class Known(NamedTuple):
    """What is known of a structure of the store that has a record's composition."""

    material: str
    structure_hash: str
    space_group_number: int


class Repeat(NamedTuple):
    """Another record of the same composition: log10 S/cm, K, whether it is a bound."""

    id: str
    log10_sigma: float | None
    temperature: float | None
    censored: str | None


class Examined(NamedTuple):
    """A record's own structure after validation; None and "" where there is none or it is impossible."""

    crystal: Crystal | None
    hash: str | None
    space_group_number: int | None
    warnings: tuple[str, ...]


def to_document(
    record: ConductivityRecord, known: Sequence[Known] = (), repeats: Sequence[Repeat] = ()
) -> dict[str, Any]:
    """Write a record as a document.

    Parameters
    ----------
    record : ConductivityRecord
    known : sequence of Known
        Structures of the store with its composition.
    repeats : sequence of Repeat
        Other records with its composition.

    Returns
    -------
    dict
        Fields of :class:`store.conductivity_documents.ConductivitiesDocument` but those of the engine.

    Examples
    --------
    >>> from store.conductivities import ConductivityRecord
    >>> record = ConductivityRecord("Li6N2", {"Li": 6.0, "N": 2.0}, log10_sigma=-3.0, temperature=300.0)
    >>> document = to_document(record, [Known("mp-2251", "0" * 32, 191)])
    >>> document["formula"], document["materials"], document["repeat_spread"]
    ('Li3N', [{'material': 'mp-2251', 'by': 'formula'}], None)
    """
    formulas = describe_composition(dict(record.composition))
    examined = examine(record.crystal)
    links = link(record, examined, known)
    crystal = examined.crystal
    return {
        "name": record.name,
        "working_ion": record.working_ion,
        "formula_given": record.formula,
        "formula": formulas.formula,
        "chemical_formula_reduced": formulas.reduced,
        "chemical_system": formulas.chemical_system,
        "composition": dict(formulas.composition),
        "log10_sigma": record.log10_sigma,
        "censored": record.censored,
        "temperature": record.temperature,
        "at_room_temperature": record.at_room_temperature,
        "family": record.family,
        "space_group": record.space_group,
        "structure": None if crystal is None else crystal.to_document(),
        "structure_hash": examined.hash,
        "is_ordered": None if crystal is None else crystal.is_ordered,
        "material": links[0]["material"] if links else None,
        "materials": links,
        "repeats": [each.id for each in repeats],
        "repeat_spread": spread(record, repeats),
        "flags": list(record.flags),
        "warnings": [*record.warnings, *examined.warnings],
        "properties": dict(record.properties),
        "licence": record.licence,
        "references": list(record.references),
    }


def read_crystal(document: Mapping[str, Any]) -> Crystal | None:
    """The structure of a document; None where the record has none that is possible."""
    from store.crystal import Crystal

    return None if document.get("structure") is None else Crystal.from_document(document["structure"])


def examine(crystal: Crystal | None) -> Examined:
    """Validate a structure and find its hash; an impossible one becomes a warning."""
    from builders.structures.analysis import analyse

    if crystal is None:
        return Examined(None, None, None, ())
    try:
        found = analyse(crystal)
    except StructureError as error:
        told = f"structure_impossible: {type(error).__name__}: {error.message}"
        return Examined(None, None, None, (told,))
    told_of = tuple(f"structure: {flag}." for flag in found.flags)
    return Examined(found.crystal, found.hash.value, found.symmetry.number, told_of)


def link(record: ConductivityRecord, examined: Examined, known: Sequence[Known]) -> list[dict[str, str]]:
    """Link a record to structures of its composition: those that are its own crystal first, then those of its space group."""
    number = examined.space_group_number
    if number is None:
        given = record.properties.get("space_group_number")
        number = given if isinstance(given, int) and not isinstance(given, bool) else None
    found = []
    for each in known:
        if examined.hash is not None and each.structure_hash == examined.hash:
            found.append((0, each.material, "structure"))
        elif number is not None and each.space_group_number == number:
            found.append((1, each.material, "space group"))
        else:
            found.append((2, each.material, "formula"))
    return [{"material": material, "by": by} for _, material, by in sorted(found)]


def spread(record: ConductivityRecord, repeats: Sequence[Repeat]) -> float | None:
    """Standard deviation (n - 1) of log10 of a record and its repeats near its temperature; None with fewer than two values.

    Examples
    --------
    >>> from store.conductivities import ConductivityRecord
    >>> record = ConductivityRecord("LiF", {"Li": 1.0, "F": 1.0}, log10_sigma=-5.0, temperature=298.0)
    >>> spread(record, [Repeat("a", -7.0, 300.0, None), Repeat("b", -10.0, 298.0, "upper_bound"), Repeat("c", -1.0, 500.0, None)])
    1.4142135623730951
    """
    if record.log10_sigma is None or record.temperature is None or record.censored is not None:
        return None
    values = [record.log10_sigma]
    for each in repeats:
        near = each.temperature is not None and abs(each.temperature - record.temperature) <= NEAR
        if near and each.log10_sigma is not None and each.censored is None:
            values.append(each.log10_sigma)
    return float(np.std(values, ddof=1)) if len(values) > 1 else None
