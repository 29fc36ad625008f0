"""Files of compounds, told from files of structures: JSON Lines, and tables of conductivities."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from store.ingest.records import BadRecord, Record

_LINES: Final = frozenset({".jsonl", ".ndjson"})
_COMPRESSED: Final = frozenset({".gz", ".bz2", ".xz", ".zst"})


class CompoundRow(NamedTuple):
    """One row of a file: its bytes, or why there are none that can be read."""

    id: str
    format: str
    content: bytes
    error: str = ""


@dataclass(frozen=True, eq=False)
class CompoundFile:
    """A file that holds rows of compounds.

    Attributes
    ----------
    name : str
        The file's name.
    rows : iterator of CompoundRow
        In the order of the file, read as they are asked for.
    """

    name: str
    rows: Iterator[CompoundRow]


def open_file(source: Any) -> CompoundFile | None:
    """Look into a file; None for what is no file, or a file of a structure.

    Raises
    ------
    UsageError
        A folder was given.

    Examples
    --------
    >>> open_file("mp-19017") is None
    True
    """
    if not isinstance(source, Path) and not (isinstance(source, str) and os.path.lexists(source)):
        return None
    path = Path(source)
    if not path.exists():
        return None  # the reader of structures tells what is wrong
    if path.is_dir():
        raise UsageError(f"{str(source)!r} is a folder, and one file is wanted.", mend="name a file in it")
    from store.ingest.conductivity_readers import CONDUCTIVITY_FORMATS
    from store.ingest.containers import read_records
    from store.ingest.records import BadRecord

    records = iter(read_records(path))
    if not _of_lines(path):
        first = next(records, None)
        if first is None or isinstance(first, BadRecord) or first.format not in CONDUCTIVITY_FORMATS:
            return None
        records = itertools.chain([first], records)
    return CompoundFile(path.name, _rows(path.name, records))


def _of_lines(path: Path) -> bool:
    endings = [ending.casefold() for ending in path.suffixes]
    if endings and endings[-1] in _COMPRESSED:
        endings.pop()
    return bool(endings) and endings[-1] in _LINES


def _rows(name: str, records: Iterator[Record | BadRecord]) -> Iterator[CompoundRow]:
    """Whatever a line was taken for, it is read as a compound: a row without a measured value looks like no record of one."""
    from store.ingest.conductivity_readers import CONDUCTIVITY_FORMATS
    from store.ingest.records import BadRecord

    for number, record in enumerate(records, start=1):
        place = record.origin.line or record.origin.member or number
        named = _id_in(record.content) or f"{name}:{place}"
        if isinstance(record, BadRecord):
            readable = record.content[:1] == b"{" and record.content.rstrip()[-1:] == b"}"
            yield CompoundRow(named, "conductivity-json", record.content, "" if readable else record.error.message)
        else:
            format_ = record.format if record.format in CONDUCTIVITY_FORMATS else "conductivity-json"
            yield CompoundRow(record.id or named, format_, record.content)


def _id_in(content: bytes) -> str | None:
    """The id of a row, as far as it can be told without reading it."""
    import re

    found = re.search(rb'"id"\s*:\s*"([^"\\]{1,300})"', content[:4096])
    return found[1].decode("utf-8", "replace") if found else None
