"""One conductivity as a JSON object (docs/conductivity-data.md)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from store.compositions import difference, parse_formula
from store.conductivities import (
    BOUNDS,
    ROOM,
    ConductivityRecord,
    agree,
    checked,
    is_room,
    log10_of,
    read_amount,
    to_kelvin,
    to_s_cm,
)
from store.errors import IonatlasError, SourceError
from store.ingest.common import keep_properties, load_object, reference_of, symbol_of
from store.ingest.hop_json import text
from store.ingest.read_json import json_structure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from store.crystal import Crystal

VALUES: Final = ("log10_sigma", "sigma_S_cm", "sigma")
"""Keys of a value; a record needs one, unless it is to be predicted."""

_FORMULAS: Final = ("formula", "composition", "reduced_formula", "true_composition")
_TAKEN: Final = frozenset({
    "id", "source", "doi", "references", "name", "formula", "composition", "structure", "log10_sigma", "sigma_S_cm", "sigma",
    "unit", "units", "censored", "temperature_K", "temperature", "temperature_unit", "working_ion", "family", "space_group",
    "license", "licence", "quality_flags", "flags",
})  # fmt: skip
_SAME: Final = 2e-3
_NO_LOGARITHM: Final = 1e-3  # no logarithm is so near to zero but that of 1 S/cm itself
_WITH_UNIT: Final = re.compile(r"\s*([-+]?[\d.]+)\s*([^\d\s].*?)\s*")


def read_conductivity_json(content: bytes) -> ConductivityRecord:
    """Read one conductivity. A record without a value is one to be predicted.

    Parameters
    ----------
    content : bytes
        A JSON object with a formula or a structure.

    Raises
    ------
    SourceError
        No composition, a value that is no number or of an unknown unit, an impossible temperature.

    Examples
    --------
    >>> import json
    >>> row = {"formula": "Li3N", "sigma": "<1", "unit": "S/m", "temperature": 25, "temperature_unit": "C"}
    >>> record = read_conductivity_json(json.dumps(row).encode())
    >>> record.log10_sigma, record.censored, record.temperature
    (-2.0, 'upper_bound', 298.15)
    """
    row = load_object(content)
    warnings: list[str] = []
    crystal = _crystal(row, warnings)
    formula, composition = _composition(row, crystal, warnings)
    value, bound = value_in(row, warnings)
    given = text(row, "censored")
    if given is not None and bound is not None and given != bound:
        raise SourceError(f"The record says {given} and gives a value that is {bound}.")
    if given is not None and given not in BOUNDS:
        raise SourceError(f"A value is censored as {' or '.join(BOUNDS)}; {given[:40]!r} was given.")
    ion = text(row, "working_ion")
    return checked(
        ConductivityRecord(
            formula=formula,
            composition=composition,
            crystal=crystal,
            log10_sigma=value,
            temperature=temperature_in(row, warnings),
            censored=given or bound,
            working_ion=symbol_of(ion, warnings) if ion else "Li",
            id=text(row, "id"),
            name=text(row, "name"),
            source=text(row, "source"),
            references=reference_of([row.get("doi"), row.get("references")]),
            family=text(row, "family"),
            space_group=text(row, "space_group"),
            licence=text(row, "license", "licence"),
            properties=keep_properties(row, _TAKEN),
            warnings=warnings,
            flags=_flags(row),
        )
    )


def _crystal(row: Mapping[str, Any], warnings: list[str]) -> Crystal | None:
    """The structure; a measurement is not lost because its structure cannot be read."""
    structure = row.get("structure")
    if structure is None:
        return None
    if not isinstance(structure, dict):
        warnings.append("structure_unreadable: the structure is no JSON object.")
        return None
    try:
        return json_structure(structure, warnings)
    except IonatlasError as error:
        warnings.append(f"structure_unreadable: {error.message}")
        return None


def _composition(row: Mapping[str, Any], crystal: Crystal | None, warnings: list[str]) -> tuple[str, dict[str, float]]:
    """Formula as given and what it says, by the first formula that can be read; else by the structure."""
    failed: IonatlasError | None = None
    for key in _FORMULAS:
        given = text(row, key)
        if given is None:
            continue
        try:
            found = parse_formula(given)
        except IonatlasError as error:
            failed = failed or error
            continue
        if failed is not None:
            warnings.append(f"formula_unreadable: {failed.message} {key} was read instead.")
        warnings.extend(_other_formulas(row, key, found))
        return given, found
    if failed is not None and crystal is None:
        raise failed
    if crystal is None:
        raise SourceError("The record has neither a formula nor a structure: its composition is not known.")
    if failed is not None:
        warnings.append(f"formula_unreadable: {failed.message} The structure's composition was taken.")
    amounts = crystal.amounts()
    return "".join(f"{symbol}{amount:.6g}" for symbol, amount in amounts.items()), dict(amounts)


def _other_formulas(row: Mapping[str, Any], taken: str, composition: dict[str, float]) -> list[str]:
    found = []
    for key in _FORMULAS:
        given = text(row, key)
        if given is None or key == taken:
            continue
        try:
            apart = difference(composition, parse_formula(given))
        except IonatlasError:
            continue
        if apart > _SAME:
            found.append(f"formulas_differ: {taken} {row[taken]} and {key} {given} are different compositions.")
    return found


def value_in(row: Mapping[str, Any], warnings: list[str]) -> tuple[float | None, str | None]:
    """Read the value of a row: ``log10_sigma`` and ``sigma_S_cm`` in S/cm, ``sigma`` in its ``unit``.

    ``unit`` counts for ``log10_sigma`` too where it is given: log10 of so many of it.

    Returns
    -------
    tuple
        log10 of S/cm or None, and whether it is a bound.

    Raises
    ------
    SourceError
        No number, no unit, or an unknown one.

    Examples
    --------
    >>> value_in({"log10_sigma": -2, "unit": "mS/cm"}, [])
    (-5.0, None)
    """
    unit = text(row, "unit", "units")
    factor = 1.0 if unit is None else to_s_cm(unit)
    found, bound = None, None
    if row.get("log10_sigma") is not None:
        found, bound = read_amount(row["log10_sigma"], "log10_sigma")
        if 0 < abs(found) < _NO_LOGARITHM:
            raise SourceError(
                f"log10_sigma is {row['log10_sigma']!r}, which is a conductivity and no logarithm of one: call it sigma_S_cm."
            )
        if factor != 1.0:
            found += log10_of(factor)
    for key in ("sigma_S_cm", "sigma"):
        if row.get(key) is None:
            continue
        value, sign = read_amount(row[key], key)
        if key == "sigma":
            if unit is None:
                raise SourceError("The conductivity has no unit: give unit (S/cm, S/m, mS/cm), or call it sigma_S_cm.")
            value *= factor
        if found is not None:
            if not agree(found, value):
                raise SourceError(f"The record gives two conductivities: log10 {found:g} and {value:g} S/cm.")
        else:
            found = log10_of(value)
        bound = bound or sign
    if found is not None and factor != 1.0:
        warnings.append(f"The conductivity was converted from {unit}.")
    return found, bound


def temperature_in(row: Mapping[str, Any], warnings: list[str]) -> float | None:
    """Read the temperature of a row in K: ``temperature_K``, or ``temperature`` with ``temperature_unit``, or "RT".

    Raises
    ------
    SourceError
        No number, no unit, or an unknown one.

    Examples
    --------
    >>> [temperature_in(row, []) for row in ({"temperature": "RT"}, {"temperature_K": 300}, {"temperature": "25 °C"})]
    [298.15, 300.0, 298.15]
    """
    if row.get("temperature_K") is not None:
        return read_amount(row["temperature_K"], "temperature_K")[0]
    given = row.get("temperature")
    if given is None:
        return None
    if isinstance(given, str) and is_room(given):
        warnings.append(f"room_temperature: {given.strip()[:40]} was taken for {ROOM} K.")
        return ROOM
    unit = text(row, "temperature_unit")
    if isinstance(given, str) and unit is None and (match := _WITH_UNIT.fullmatch(given)):
        given, unit = match[1], match[2]
    if unit is None:
        raise SourceError("The temperature has no unit: give temperature_unit (K or C), or call it temperature_K.")
    return to_kelvin(read_amount(given, "temperature")[0], unit)


def _flags(row: Mapping[str, Any]) -> list[str]:
    given = row.get("quality_flags") or row.get("flags")
    if isinstance(given, str):
        return [given]
    return [flag for flag in given if isinstance(flag, str)] if isinstance(given, list) else []
