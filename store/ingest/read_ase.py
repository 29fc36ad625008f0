"""Reader of one row of an ASE database, SQLite or JSON."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

import numpy as np

from store.errors import SourceError
from store.ingest.common import cell, keep_properties, load_object, matrix, ordered_crystal
from store.ingest.read_text import symbol_of_number
from store.ingest.result import ReadResult

_KEPT: Final = ("energy", "free_energy", "magmom", "charge", "calculator", "username", "fmax", "smax")


def read_ase(content: bytes) -> ReadResult:
    """Read one row of an ASE database; its key-value pairs become properties.

    Parameters
    ----------
    content : bytes
        JSON of the row: arrays in base64 (from SQLite; little-endian), or as lists (from ASE's JSON).

    Raises
    ------
    SourceError, StructureError
        The row is damaged, not periodic, or its crystal impossible.

    Examples
    --------
    >>> text = b'{"numbers":[84],"positions":[[0,0,0]],"cell":[[3,0,0],[0,3,0],[0,0,3]],"pbc":[true,true,true]}'
    >>> read_ase(text).crystal.species
    ('Po',)
    """
    row = load_object(content)
    warnings: list[str] = []
    _check_periodic(row.get("pbc"), warnings)
    numbers = _array(row.get("numbers"), "<i4")
    lattice = cell(np.asarray(_array(row.get("cell"), "<f8"), dtype=float).reshape(-1, 3))
    positions = matrix(np.asarray(_array(row.get("positions"), "<f8"), dtype=float).reshape(-1, 3), "positions")
    species = [symbol_of_number(number) for number in np.asarray(numbers).ravel().tolist()]
    crystal = ordered_crystal(lattice, species, positions @ np.linalg.inv(lattice), warnings)
    pairs = row.get("key_value_pairs")
    given = (
        load_object(pairs.encode()) if isinstance(pairs, str) and pairs else pairs if isinstance(pairs, dict) else {}
    )
    given = {**{key: row.get(key) for key in _KEPT}, **given}
    name = given.get("name")
    return ReadResult(crystal, keep_properties(given), name if isinstance(name, str) else None, warnings=warnings)


def _check_periodic(value: Any, warnings: list[str]) -> None:
    flags = [bool(value & bit) for bit in (1, 2, 4)] if isinstance(value, int) else value
    if isinstance(flags, dict):
        flags = np.asarray(_array(flags, "<i4")).ravel().tolist()
    if not isinstance(flags, list):
        return
    if not any(flags):
        raise SourceError("The row is not periodic: a molecule is no crystal.")
    if not all(flags):
        warnings.append(f"The row is periodic in some directions only ({flags}); its cell was taken as given.")


def _array(value: Any, kind: str) -> Any:
    if isinstance(value, dict) and "base64" in value:
        try:
            return np.frombuffer(base64.b64decode(value["base64"], validate=True), dtype=kind)
        except (binascii.Error, ValueError, TypeError) as error:
            raise SourceError(f"An array of the row is damaged: {error}.") from None
    if isinstance(value, dict) and "array" in value:  # ase.cell.Cell
        return _array(value["array"], kind)
    if isinstance(value, dict) and isinstance(value.get("__ndarray__"), list) and len(value["__ndarray__"]) == 3:
        return value["__ndarray__"][2]
    if isinstance(value, list):
        return value
    raise SourceError("The row lacks numbers, positions or cell.")
