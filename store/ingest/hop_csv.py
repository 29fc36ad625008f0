"""The documented table of hops: a row a hop, the structure of each in a file beside it (docs/hops.md)."""

from __future__ import annotations

import base64
import binascii
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from store.errors import SourceError
from store.hops import HopRecord, checked, shortest_image
from store.ingest.common import keep_properties, load_object, reference_of, symbol_of
from store.ingest.hop_json import barrier_in, definition_of, limit_of, method_name, text
from store.ingest.hop_paths import take_ion
from store.ingest.hop_tables import Row, inner_name, read_row
from store.ingest.json_records import canonical
from store.ingest.readers import read_record
from store.ingest.records import BadRecord, Origin, Record

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from store.ingest.beside import Beside

COLUMNS: Final = {
    "id": "Name of the hop; without one the record is named by its content.",
    "working_ion": "Symbol of the moving element (needed).",
    "structure_file": "CIF, POSCAR, extended XYZ or JSON beside the table or in a folder below it (needed).",
    "moving_ion_included": "yes: the file holds the moving ion, which is taken out at the start; no: it does not (needed).",
    "start_x": "Fractional coordinates of the start (start_x, start_y, start_z: needed).",
    "start_y": "",
    "start_z": "",
    "end_x": "Fractional coordinates of the end (end_x, end_y, end_z: needed).",
    "end_y": "",
    "end_z": "",
    "image": "given (the default): the end is unwrapped; shortest: its nearest periodic image is meant.",
    "barrier": "Barrier; empty for a hop to be predicted.",
    "unit": "Of the barrier: eV, meV, kJ/mol or kcal/mol (needed with a barrier).",
    "barrier_definition": "forward, reverse, larger of forward and reverse, max-min, or unstated (the default).",
    "method": "DFT-NEB, DFT-CI-NEB, ApproxNEB ...",
    "functional": "PBE, GGA+U, SCAN ...",
    "charge_state": "Total charge of the cell.",
    "limit": "dilute, vacancy or intermediate.",
    "name": "Name of the system.",
    "doi": "Of the publication.",
    "crystal_class": "As you name it.",
    "space_group": "As you name it.",
    "framework_formula": "Formula of the host without any working ion.",
    "licence": "Of the data.",
}
"""Columns of the table, in any order; others are kept as properties."""

_NEEDED: Final = ("working_ion", "structure_file", "moving_ion_included")
_ANSWERS: Final = {"yes": True, "y": True, "true": True, "1": True, "no": False, "n": False, "false": False, "0": False}


def csv_record(row: Row, beside: Beside, origin: Origin) -> Record:
    """Make the record of a row: ``{"header", "row", "delimiter", "structure": {"file", "format", "content"}}``.

    Parameters
    ----------
    row : Row
        The row.
    beside : Beside
        The files next to the table.
    origin : Origin
        Place of the row.

    Raises
    ------
    SourceError, StructureError
        The row or its structure cannot be read as a hop.
    """
    for column in _NEEDED:
        if column not in row.values:
            raise SourceError(f"The row has no {column}.")
    content = canonical({
        "header": row.header,
        "row": row.line,
        "delimiter": row.delimiter,
        "structure": structure_beside(row.values["structure_file"], beside),
    })  # fmt: skip
    read_hop_csv(content)  # a broken row is told now, with its line, not when barriers are built
    own = row.values.get("id")
    licence, references = row.values.get("licence"), tuple(reference_of(row.values.get("doi")))
    identity = own if own and own.isprintable() and len(own) <= 300 else None
    return Record("hop-csv", content, identity, origin, licence=licence, references=references)


def structure_beside(name: str, beside: Beside) -> dict[str, str]:
    """Take the one structure of a file that a row names, to be kept with the row: ``{"file", "format", "content"}``.

    Raises
    ------
    SourceError
        The file is missing, unreadable, elsewhere, or holds several structures.
    """
    name = inner_name(name)
    found = list(islice(beside.split(name, beside.read(name)), 2))
    structure = found[0]
    if isinstance(structure, BadRecord):
        raise SourceError(f"The structure file {name!r} cannot be read: {structure.error.message}")
    if len(found) > 1:
        raise SourceError(f"The structure file {name!r} holds more than one structure: which is meant cannot be told.")
    return {"file": name, "format": structure.format, **_packed(structure.content)}


def _packed(content: bytes) -> dict[str, str]:
    try:
        return {"content": content.decode("utf-8")}
    except UnicodeDecodeError:
        return {"content_base64": base64.b64encode(content).decode("ascii")}


def read_hop_csv(content: bytes) -> HopRecord:
    r"""Read one row of a hop table with its structure.

    Parameters
    ----------
    content : bytes
        As :func:`csv_record` writes it.

    Raises
    ------
    SourceError, StructureError
        A needed cell is missing or no number, the unit is unknown, or the structure impossible.

    Examples
    --------
    >>> poscar = "cube\n1.0\n3 0 0\n0 3 0\n0 0 3\nLi O\n1 1\nDirect\n0.5 0.5 0.9\n0 0 0\n"
    >>> bundle = {"header": "working_ion,structure_file,moving_ion_included,start_x,start_y,start_z,end_x,end_y,end_z,image",
    ...           "row": "Li,a.vasp,yes,.5,.5,.9,.5,.5,.2,shortest", "delimiter": ",",
    ...           "structure": {"file": "a.vasp", "format": "poscar", "content": poscar}}
    >>> hop = read_hop_csv(canonical(bundle))
    >>> hop.host.species, hop.end.round(3).tolist(), hop.barrier
    (('O',), [0.5, 0.5, 1.2], None)
    """
    bundle = load_object(content)
    structure = bundle.get("structure")
    if not isinstance(structure, dict) or not all(isinstance(bundle.get(key), str) for key in ("header", "row")):
        raise SourceError("The record is no row of a hop table with its structure.")
    delimiter = bundle.get("delimiter", ",")
    if not isinstance(delimiter, str) or len(delimiter) != 1:
        raise SourceError("The record does not say what separates its columns.")
    given = read_row(bundle["header"], bundle["row"], delimiter)
    row: dict[str, Any] = dict(given.values)
    for key in ("barrier", "charge_state"):
        if key in row:
            row[key] = _number(row, key)
    warnings: list[str] = []
    if "working_ion" not in row:
        raise SourceError("The row has no working_ion.")
    ion = symbol_of(row["working_ion"], warnings)
    host, start, end = _places(row, structure, ion, warnings)
    barrier = barrier_in(row, warnings)
    others = {key: _plain(value) for key, value in given.cells.items() if key and key.casefold() not in COLUMNS}
    properties = keep_properties(others)
    if row.get("method") and method_name(row["method"]) != row["method"]:
        properties["method_reported"] = row["method"]
    return checked(
        HopRecord(
            working_ion=ion,
            host=host,
            start=start,
            end=end,
            id=text(row, "id"),
            name=text(row, "name"),
            barrier=barrier,
            barrier_definition=None if barrier is None else definition_of(row, warnings),
            method=method_name(text(row, "method")),
            functional=text(row, "functional"),
            charge_state=row.get("charge_state"),
            limit=limit_of(text(row, "limit")),
            framework_formula=text(row, "framework_formula"),
            crystal_class=text(row, "crystal_class"),
            space_group=text(row, "space_group"),
            properties=properties,
            licence=text(row, "licence"),
            references=reference_of(row.get("doi")),
            warnings=warnings,
        )
    )


def _places(
    row: dict[str, Any], structure: dict[str, Any], ion: str, warnings: list[str]
) -> tuple[Any, NDArray[np.float64], NDArray[np.float64]]:
    start = np.array([_number(row, f"start_{axis}") for axis in "xyz"])
    end = np.array([_number(row, f"end_{axis}") for axis in "xyz"])
    read = read_record(str(structure.get("format")), kept_content(structure))
    warnings.extend(read.warnings)
    image = str(row.get("image", "given")).casefold()
    if image == "shortest":
        end = shortest_image(read.crystal.lattice, start, end)
    elif image not in {"given", "unwrapped"}:
        raise SourceError(f"The image {row['image']!r} is neither given nor shortest.")
    included = _ANSWERS.get(str(row.get("moving_ion_included", "")).casefold())
    if included is None:
        raise SourceError("moving_ion_included must be yes or no: whether the structure file holds the moving ion.")
    host = take_ion(read.crystal, ion, start, warnings) if included else read.crystal
    return host, start, end


def kept_content(structure: dict[str, Any]) -> bytes:
    """Bytes of a structure as :func:`structure_beside` keeps it.

    Raises
    ------
    SourceError
        They are damaged.
    """
    if isinstance(structure.get("content"), str):
        return str(structure["content"]).encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(structure.get("content_base64", ""), validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise SourceError("The structure of the record is damaged.") from None


def _number(row: dict[str, Any], key: str) -> float:
    value = row.get(key)
    if value is None:
        raise SourceError(f"The row has no {key}.")
    try:
        number = float(value)
    except ValueError:
        raise SourceError(f"The cell {key} holds {value[:80]!r}, not a number.") from None
    if not np.isfinite(number):
        raise SourceError(f"The cell {key} holds {value[:80]!r}; a finite number was expected.")
    return number


def _plain(value: str) -> Any:
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value
