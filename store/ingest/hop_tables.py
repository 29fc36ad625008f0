"""Tables of hops and of conductivities (CSV) and the files beside them that they name.

Three layouts are known by their header: the documented tables (:mod:`store.ingest.hop_csv`,
:mod:`store.ingest.conductivity_csv`) and the index of LiTraj's nebDFT2k (:mod:`store.ingest.hop_litraj`). A row and what it
names become one record that can be read on its own. A file that a table names belongs to the record: :func:`named_files` tells
the walk through a folder not to take it in again as a structure.
"""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from store.errors import EmptySource, IonatlasError, SourceError, UnknownFormat
from store.ingest.common import decode
from store.ingest.json_records import place, too_large
from store.ingest.records import BadRecord, Origin, Record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from store.ingest.beside import Beside
    from store.ingest.limits import Limits

DELIMITERS: Final = ",;\t"
_HEAD: Final = 65_536


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes
    ----------
    header, line : str
        The two lines as given, without their ends.
    delimiter : str
        What separates the columns.
    cells : dict
        Text by column as its header is written, stripped; empty cells are left out.
    """

    header: str
    line: str
    delimiter: str
    cells: dict[str, str]

    @property
    def values(self) -> dict[str, str]:
        """Text by column in small letters: a known column may be written in any case."""
        return {name.casefold(): cell for name, cell in self.cells.items()}


def table_kind(header: str) -> tuple[str, str] | None:
    """Recognise a table by its header.

    Returns
    -------
    tuple of str or None
        Format of its records and delimiter.

    Examples
    --------
    >>> table_kind("id;working_ion;structure_file;start_x;start_y;start_z;end_x;end_y;end_z")
    ('hop-csv', ';')
    >>> table_kind("material_id,edge_id,chemsys,em_dft")
    ('litraj-neb', ',')
    >>> table_kind("id,composition,sigma,unit")
    ('conductivity-csv', ',')
    """
    for delimiter in DELIMITERS:
        columns = {name.casefold() for name in _cells(header, delimiter) or []}
        if columns & {"composition", "formula"} and columns & {"sigma", "log10_sigma"}:
            return "conductivity-csv", delimiter
        if {"working_ion", "structure_file"} <= columns:
            return "hop-csv", delimiter
        if {"edge_id", "em_dft"} <= columns:
            return "litraj-neb", delimiter
    return None


def table_records(
    stream: BinaryIO, name: str, origin: Origin, limits: Limits, beside: Beside | None
) -> Iterator[Record | BadRecord]:
    """Yield the records of a table; a broken row, or one whose file is missing or unreadable, is a bad record.

    Parameters
    ----------
    stream : file
        The table.
    name : str
        Its name.
    origin : Origin
        Its place.
    limits : Limits
        What may be read.
    beside : Beside or None
        The files next to it; None where they cannot be reached (within a tar archive).

    Raises
    ------
    UnknownFormat
        The header is of no table that is known.
    """
    from store.ingest.conductivity_csv import conductivity_record
    from store.ingest.hop_csv import csv_record
    from store.ingest.hop_litraj import litraj_record

    content = stream.read(limits.document + 1)
    if len(content) > limits.document:
        yield too_large(origin, len(content), hashlib.sha256(content).hexdigest(), limits.document)
        return
    kind, rows = _rows(content, name)
    if beside is None and kind != "conductivity-csv":
        raise SourceError(
            f"The table {PurePosixPath(name).name!r} names files beside it, which cannot be found within a tar archive.",
            mend="unpack the archive, or give it as a zip",
        )
    makers: dict[str, Any] = {
        "hop-csv": csv_record,
        "litraj-neb": litraj_record,
        "conductivity-csv": conductivity_record,
    }
    make = makers[kind]
    found = False
    for number, row, problem in rows:
        found = True
        here = place(origin, number)
        line = row.line.encode("utf-8", "surrogatepass")
        if problem is not None:
            yield BadRecord(here, problem, line)
            continue
        try:
            yield make(row, beside, here)
        except IonatlasError as error:
            yield BadRecord(here, error, line)
    if not found:
        raise EmptySource("The table has a header and no rows.")


def named_files(content: bytes, name: str) -> set[str]:
    r"""Names of the files that a table names, relative to it; empty where it is no table that is known.

    Parameters
    ----------
    content : bytes
        The table.
    name : str
        Its name.

    Examples
    --------
    >>> sorted(named_files(b"working_ion,structure_file\nLi,a.cif\nLi,cells/b.cif\n", "hops.csv"))
    ['a.cif', 'cells/b.cif']
    """
    from store.ingest.hop_litraj import files_of

    try:
        kind, rows = _rows(content, name)
    except IonatlasError:
        return set()
    values = [row.values for _, row, problem in rows if problem is None]
    if kind == "litraj-neb":
        return files_of(values, name)
    return {plain_name(row["structure_file"]) for row in values if "structure_file" in row}


def plain_name(name: str) -> str:
    r"""Write a relative name with forward slashes and without ``./``.

    Examples
    --------
    >>> plain_name(".\\cells\\a.cif")
    'cells/a.cif'
    """
    return str(PurePosixPath(name.replace("\\", "/")))


def inner_name(name: str) -> str:
    """Check that a named file lies beside the table or below.

    Raises
    ------
    SourceError
        The name is absolute, climbs out of the folder, or is none.
    """
    plain = plain_name(name)
    path = PurePosixPath(plain)
    if path.is_absolute() or ".." in path.parts or not path.name or "\x00" in plain or plain[1:2] == ":":
        raise SourceError(f"The file {name[:200]!r} must lie beside the table or in a folder below it.")
    return plain


def read_row(header: str, line: str, delimiter: str) -> Row:
    """Read one row of a table, as its record keeps it.

    Raises
    ------
    SourceError
        Quotes are broken, or the row has other columns than the header.

    Examples
    --------
    >>> read_row("id,Name", 'x,"a, b"', ",").values
    {'id': 'x', 'name': 'a, b'}
    """
    names, cells = _cells(header, delimiter), _cells(line, delimiter)
    if names is None or cells is None:
        raise SourceError("The quotes of the row are broken; a row must lie on one line.")
    if len(cells) != len(names):
        raise SourceError(f"The row has {len(cells)} cells and the header {len(names)}.")
    return Row(header, line, delimiter, {name: cell for name, cell in zip(names, cells, strict=True) if cell})


def _rows(content: bytes, name: str) -> tuple[str, Iterator[tuple[int, Row, SourceError | None]]]:
    text = decode(content, [])
    # Not splitlines(), which takes a form feed or a Unicode separator within a cell for the end of a line.
    lines = [(number, line.rstrip("\r\n")) for number, line in enumerate(io.StringIO(text, newline=""), start=1)]
    filled = [(number, line) for number, line in lines if line.strip() and not line.startswith("#")]
    if not filled:
        raise EmptySource("The table is empty.")
    header = filled[0][1]
    kind = table_kind(header[:_HEAD])
    if kind is None:
        raise UnknownFormat(
            f"The table {PurePosixPath(name).name!r} is none of hops: its header needs the columns working_ion and "
            f"structure_file (docs/hops.md), or edge_id and em_dft (LiTraj). Nor is it one of conductivities: composition and "
            f"sigma or log10_sigma (docs/conductivity-data.md). It begins {header[:120]!r}."
        )
    return kind[0], _each(header, filled[1:], kind[1])


def _each(header: str, lines: list[tuple[int, str]], delimiter: str) -> Iterator[tuple[int, Row, SourceError | None]]:
    for number, line in lines:
        try:
            yield number, read_row(header, line, delimiter), None
        except SourceError as error:
            yield number, Row(header, line, delimiter, {}), error


def _cells(line: str, delimiter: str) -> list[str] | None:
    try:
        rows = list(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    return [cell.strip() for cell in rows[0]] if rows else []
