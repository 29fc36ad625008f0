"""Files of rows to be predicted, told from files of structures by what is in them: hops, or compounds."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from store.errors import SourceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from store.ingest.records import BadRecord, Record

_MOST_BAD: Final = 1000
"""Records that cannot be read before one that can: then the file is taken for neither."""
_LINES: Final = frozenset({".jsonl", ".ndjson"})
_COMPRESSED: Final = frozenset({".gz", ".bz2", ".xz", ".zst"})
_COMPOUND: Final = "conductivity-json"


class FileRow(NamedTuple):
    """One row of a file: its bytes, or why there are none that can be read."""

    id: str
    format: str
    content: bytes
    error: str = ""


@dataclass(frozen=True, eq=False)
class RowFile:
    """A file that holds rows.

    Attributes
    ----------
    name : str
        The file's name.
    rows : iterator of FileRow
        In the order of the file, read as they are asked for.
    """

    name: str
    rows: Iterator[FileRow]


def open_hops(source: Any) -> RowFile | None:
    """Look into a file; None for what is no file, or a file of structures.

    Raises
    ------
    UsageError
        A folder was given.
    SourceError
        Nothing in the file can be read.

    Examples
    --------
    >>> open_hops("mp-19017") is None
    True
    """
    path = _path_of(source)
    if path is None:
        return None
    from store.ingest.containers import read_records
    from store.ingest.kinds import HOP_FORMATS
    from store.ingest.records import BadRecord

    records = iter(read_records(path))
    looked_at: list[Record | BadRecord] = []
    for record in records:
        looked_at.append(record)
        if not isinstance(record, BadRecord):
            break
        if len(looked_at) >= _MOST_BAD:
            raise SourceError(f"{path.name} holds nothing that can be read: {record.error.message}")
    last = looked_at[-1] if looked_at else None
    if last is None or isinstance(last, BadRecord) or last.format not in HOP_FORMATS:
        return None
    return RowFile(path.name, _hops(path.name, itertools.chain(looked_at, records)))


def open_compounds(source: Any) -> RowFile | None:
    """Look into a file, JSON Lines or a table of conductivities; None for what is no file, or a file of a structure.

    Raises
    ------
    UsageError
        A folder was given.

    Examples
    --------
    >>> open_compounds("mp-19017") is None
    True
    """
    path = _path_of(source)
    if path is None:
        return None
    from store.ingest.containers import read_records
    from store.ingest.kinds import CONDUCTIVITY_FORMATS
    from store.ingest.records import BadRecord

    records = iter(read_records(path))
    if not _of_lines(path):
        first = next(records, None)
        if first is None or isinstance(first, BadRecord) or first.format not in CONDUCTIVITY_FORMATS:
            return None
        records = itertools.chain([first], records)
    return RowFile(path.name, _compounds(path.name, records))


def _path_of(source: Any) -> Path | None:
    """The file that is named; None where none is, or none is there: the reader of structures tells what is wrong."""
    if not isinstance(source, Path) and not (isinstance(source, str) and os.path.lexists(source)):
        return None
    path = Path(source)
    if path.is_dir():
        raise UsageError(f"{str(source)!r} is a folder, and one file is wanted.", mend="name a file in it")
    return path if path.exists() else None


def _of_lines(path: Path) -> bool:
    endings = [ending.casefold() for ending in path.suffixes]
    if endings and endings[-1] in _COMPRESSED:
        endings.pop()
    return bool(endings) and endings[-1] in _LINES


def _hops(name: str, records: Iterator[Record | BadRecord]) -> Iterator[FileRow]:
    from store.ingest.kinds import HOP_FORMATS
    from store.ingest.records import BadRecord

    for place, record in _placed(name, records):
        if isinstance(record, BadRecord):
            yield FileRow(_id_in(record.content) or place, "", b"", record.error.message)
        elif record.format not in HOP_FORMATS:
            yield FileRow(record.id or place, "", b"", "The row holds no hop: start_frac and end_frac are missing.")
        else:
            yield FileRow(record.id or place, record.format, record.content)


def _compounds(name: str, records: Iterator[Record | BadRecord]) -> Iterator[FileRow]:
    """Whatever a line was taken for, it is read as a compound: a row without a measured value looks like no record of one."""
    from store.ingest.kinds import CONDUCTIVITY_FORMATS
    from store.ingest.records import BadRecord

    for place, record in _placed(name, records):
        named = _id_in(record.content) or place
        if isinstance(record, BadRecord):
            readable = record.content[:1] == b"{" and record.content.rstrip()[-1:] == b"}"
            yield FileRow(named, _COMPOUND, record.content, "" if readable else record.error.message)
        else:
            format_ = record.format if record.format in CONDUCTIVITY_FORMATS else _COMPOUND
            yield FileRow(record.id or named, format_, record.content)


def _placed(name: str, records: Iterator[Record | BadRecord]) -> Iterator[tuple[str, Record | BadRecord]]:
    """Each record with its place in the file, by which a row without an id is named."""
    for number, record in enumerate(records, start=1):
        yield f"{name}:{record.origin.line or record.origin.member or number}", record


def _id_in(content: bytes) -> str | None:
    """The id of a row, as far as it can be told without reading it."""
    import re

    found = re.search(rb'"id"\s*:\s*"([^"\\]{1,300})"', content[:4096])
    return found[1].decode("utf-8", "replace") if found else None
