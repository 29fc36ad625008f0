"""Files of hops, told from files of structures by what is in them."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from store.errors import SourceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from store.ingest.records import BadRecord, Record

_MOST_BAD = 1000
"""Records that cannot be read before one that can: then the file is taken for neither."""


class HopRow(NamedTuple):
    """One hop of a file: its bytes, or why there are none that can be read."""

    id: str
    format: str
    content: bytes
    error: str = ""


@dataclass(frozen=True, eq=False)
class HopFile:
    """A file that holds hops.

    Attributes
    ----------
    name : str
        The file's name.
    size : int
        Bytes.
    rows : iterator of HopRow
        In the order of the file, read as they are asked for.
    """

    name: str
    size: int
    rows: Iterator[HopRow]


def open_file(source: Any) -> HopFile | None:
    """Look into a file; None for what is no file, or a file of structures.

    Raises
    ------
    UsageError
        A folder was given.
    SourceError
        Nothing in the file can be read.

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
    from store.ingest.containers import read_records
    from store.ingest.hop_readers import HOP_FORMATS
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
    return HopFile(path.name, path.stat().st_size, _rows(path.name, itertools.chain(looked_at, records)))


def _rows(name: str, records: Iterator[Record | BadRecord]) -> Iterator[HopRow]:
    from store.ingest.hop_readers import HOP_FORMATS
    from store.ingest.records import BadRecord

    for number, record in enumerate(records, start=1):
        place = record.origin.line or record.origin.member or number
        if isinstance(record, BadRecord):
            yield HopRow(_id_in(record.content) or f"{name}:{place}", "", b"", record.error.message)
        elif record.format not in HOP_FORMATS:
            error = "The row holds no hop: start_frac and end_frac are missing."
            yield HopRow(record.id or f"{name}:{place}", "", b"", error)
        else:
            yield HopRow(record.id or f"{name}:{place}", record.format, record.content)


def _id_in(content: bytes) -> str | None:
    """The id of a row that could not be read, if that much of it can."""
    import re

    found = re.search(rb'"id"\s*:\s*"([^"\\]{1,300})"', content[:4096])
    return found[1].decode("utf-8", "replace") if found else None
