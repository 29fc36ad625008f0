"""Reader of the uniform hop layout: one JSON object a hop, with the structure of its host."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from store.errors import InvalidCoordinates, SourceError
from store.hops import UNSTATED, HopRecord, checked, definition_in, finite, to_ev
from store.ingest.common import keep_properties, load_object, matrix, reference_of, symbol_of
from store.ingest.read_json import json_structure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_TAKEN: Final = frozenset({
    "id", "source", "doi", "references", "sys_name", "name", "working_ion", "structure", "start_frac", "end_frac",
    "images_frac", "images_kind", "images_energy_eV", "barrier_eV", "barrier", "barrier_definition", "unit", "units",
    "method", "xc", "functional", "charge_state", "limit", "framework_formula", "crystal_class", "space_group",
    "license", "licence", "quality_flags",
})  # fmt: skip


def read_hop_json(content: bytes) -> HopRecord:
    """Read one hop of the uniform layout (its fields: docs/hops.md). A hop without a barrier is one to be predicted.

    Parameters
    ----------
    content : bytes
        A JSON object with at least ``working_ion``, ``start_frac``, ``end_frac`` and ``structure``.

    Raises
    ------
    SourceError, StructureError
        The object holds no hop, an energy of an unknown unit, or an impossible host.

    Examples
    --------
    >>> import json
    >>> row = {"working_ion": "Li", "start_frac": [0.5, 0.5, 0], "end_frac": [0.5, 0.5, 1], "barrier": 30, "unit": "kJ/mol",
    ...        "structure": {"lattice": [[3, 0, 0], [0, 3, 0], [0, 0, 3]], "species": ["O"], "frac_coords": [[0, 0, 0]]}}
    >>> hop = read_hop_json(json.dumps(row).encode())
    >>> round(hop.barrier, 4), hop.barrier_definition, hop.warnings
    (0.3109, 'unstated', ['The barrier was converted from 30 kJ/mol.'])
    """
    row = load_object(content)
    warnings: list[str] = []
    structure = row.get("structure")
    if not isinstance(structure, dict):
        raise SourceError(
            "The hop has no structure: lattice, species and fractional coordinates of its host are needed."
        )
    for key in ("working_ion", "start_frac", "end_frac"):
        if row.get(key) is None:
            raise SourceError(f"The hop has no {key}.")
    barrier = barrier_in(row, warnings)
    method = text(row, "method")
    properties = keep_properties(row, _TAKEN)
    _keep_reported(row, properties, method)
    return checked(
        HopRecord(
            working_ion=symbol_of(row["working_ion"], warnings),
            host=json_structure(structure, warnings),
            start=place(row["start_frac"], "start_frac"),
            end=place(row["end_frac"], "end_frac"),
            id=text(row, "id"),
            name=text(row, "sys_name", "name"),
            images=None if row.get("images_frac") is None else matrix(row["images_frac"], "images"),
            images_kind=text(row, "images_kind"),
            energies=_energies(row.get("images_energy_eV")),
            barrier=barrier,
            barrier_definition=None if barrier is None else definition_of(row, warnings),
            method=method_name(method),
            functional=text(row, "xc", "functional"),
            charge_state=None if row.get("charge_state") is None else finite(row["charge_state"], "charge state"),
            limit=limit_of(text(row, "limit")),
            framework_formula=text(row, "framework_formula"),
            crystal_class=text(row, "crystal_class"),
            space_group=text(row, "space_group"),
            properties=properties,
            licence=text(row, "license", "licence"),
            references=reference_of([row.get("doi"), row.get("references")]),
            warnings=warnings,
            flags=_flags(row.get("quality_flags")),
        )
    )


def text(row: Mapping[str, Any], *keys: str) -> str | None:
    """Return the first of some values that is text and not empty.

    Examples
    --------
    >>> text({"a": "", "b": " x "}, "a", "b")
    'x'
    """
    for key in keys:
        value = row.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and value.strip():
            return value.strip().encode("utf-8", "replace").decode("utf-8")
    return None


def place(value: Any, what: str) -> NDArray[np.float64]:
    """Read a place in the cell, shape (3,), fractional.

    Raises
    ------
    InvalidCoordinates
        Not three finite numbers.

    Examples
    --------
    >>> place([0, 0.5, 1], "start_frac").tolist()
    [0.0, 0.5, 1.0]
    """
    row: NDArray[np.float64] = matrix([value], what)[0]
    if any(isinstance(part, str | bool) for part in value):
        raise InvalidCoordinates(f"The {what} must be three numbers; {value!r} was given.")
    return row


def barrier_in(row: Mapping[str, Any], warnings: list[str]) -> float | None:
    """Read ``barrier_eV``, or ``barrier`` with its ``unit`` (``units``), in eV.

    Raises
    ------
    SourceError
        A barrier without a unit, of an unknown unit, or two that differ.

    Examples
    --------
    >>> barrier_in({"barrier": 250, "unit": "meV"}, [])
    0.25
    """
    unit = text(row, "unit", "units")
    found = None
    if row.get("barrier_eV") is not None:
        if unit is not None and to_ev(1.0, unit) != 1.0:
            raise SourceError(f"The barrier is called barrier_eV and its unit {unit!r}: one of the two is wrong.")
        found = finite(row["barrier_eV"], "barrier_eV")
    if row.get("barrier") is not None:
        if unit is None:
            raise SourceError(
                "The barrier has no unit: give unit (eV, meV, kJ/mol or kcal/mol), or call it barrier_eV."
            )
        value = to_ev(finite(row["barrier"], "barrier"), unit)
        if found is not None and abs(found - value) > 1e-6 * max(1.0, abs(value)):
            raise SourceError(f"The record gives two barriers, {found:g} eV and {row['barrier']} {unit}.")
        if to_ev(1.0, unit) != 1.0:
            warnings.append(f"The barrier was converted from {row['barrier']:g} {unit}.")
        found = value
    return found


def definition_of(row: Mapping[str, Any], warnings: list[str]) -> str:
    """Tell what the barrier of a row means: as ``barrier_definition`` says, else as ``method`` says, else "unstated".

    Examples
    --------
    >>> definition_of({"method": "DFT-NEB (literature value)"}, [])
    'unstated'
    """
    given = text(row, "barrier_definition")
    if given is None:
        return definition_in(text(row, "method")) or UNSTATED
    found = definition_in(given)
    if found is None:
        warnings.append(f"The definition {given[:200]!r} of the barrier is not known; it counts as unstated.")
    return found or UNSTATED


def method_name(given: str | None) -> str | None:
    """Shorten what is given as the method to its name; what is not known stays as it is.

    Examples
    --------
    >>> method_name("DFT-NEB, GGA+U (literature value)"), method_name("VASP NEB, climbing image"), method_name("BVSE")
    ('DFT-NEB', 'DFT-CI-NEB', 'BVSE')
    """
    if given is None:
        return None
    words = given.casefold()
    if re.match(r"(dft|vasp)\b", words) and re.search(r"\bneb\b", words):
        climbing = "climbing" in words or re.search(r"\bci\b", words)
        return "DFT-CI-NEB" if climbing else "DFT-NEB"
    return given


def limit_of(given: str | None) -> str | None:
    """Tell how many further ions are there, in the words of :data:`store.hops.LIMITS`.

    Examples
    --------
    >>> limit_of("dilute ion (charged host empty of other working ions)"), limit_of("single vacancy")
    ('dilute', 'vacancy')
    """
    if given is None:
        return None
    words = given.casefold()
    if words.startswith("dilute"):
        return "dilute"
    named = [name for name in ("vacancy", "intermediate") if name in words]
    return " or ".join(named) or given


def _keep_reported(row: Mapping[str, Any], properties: dict[str, Any], method: str | None) -> None:
    """Keep in full what was shortened."""
    pairs = (
        ("method_reported", method, method_name(method)),
        ("limit_reported", text(row, "limit"), limit_of(text(row, "limit"))),
        (
            "barrier_definition_reported",
            text(row, "barrier_definition"),
            definition_in(text(row, "barrier_definition")),
        ),
    )
    properties |= {key: given for key, given, kept in pairs if given is not None and given != kept}
    if text(row, "source"):
        properties["source"] = text(row, "source")


def _energies(value: Any) -> NDArray[np.float64] | None:
    if value is None:
        return None
    if not isinstance(value, list):
        raise SourceError("images_energy_eV must be a list of numbers.")
    return np.array([finite(number, "energy of an image") for number in value], dtype=np.float64)


def _flags(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [flag for flag in value if isinstance(flag, str)] if isinstance(value, list) else []
