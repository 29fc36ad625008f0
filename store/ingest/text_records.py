"""CIF, extended XYZ and POSCAR files, taken apart into records without reading more than one record at a time."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from store.errors import EmptySource, SourceError
from store.ingest.json_records import too_large
from store.ingest.limits import MIB, Limits
from store.ingest.records import BadRecord, Origin, Record
from store.ingest.sniff import UTF16_MARKS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

_DATA: Final = re.compile(rb"\s*data_", re.IGNORECASE)
_COD: Final = re.compile(rb"(?mi)^_cod_database_code\s+['\"]?(\d{7})\b")
_ATOMS: Final = re.compile(rb"(?mi)^\s*_atom_site[_.]")
_LINE: Final = MIB


class _Collector:
    """Gathers the bytes of one record; beyond the limit only their hash."""

    def __init__(self, limit: int, line: int) -> None:
        self.limit = limit
        self.line = line
        self.size = 0
        self._parts: list[bytes] = []
        self._hash = hashlib.sha256()

    def add(self, data: bytes) -> None:
        self.size += len(data)
        self._hash.update(data)
        if self.size <= self.limit:
            self._parts.append(data)
        else:
            self._parts.clear()

    @property
    def content(self) -> bytes:
        return b"".join(self._parts)

    def too_large(self, origin: Origin) -> BadRecord | None:
        if self.size <= self.limit:
            return None
        return too_large(_at(origin, self.line), self.size, self._hash.hexdigest(), self.limit)


def _at(origin: Origin, line: int) -> Origin:
    return Origin(origin.path, origin.url, origin.member, line)


def whole_record(stream: BinaryIO, format_: str, origin: Origin, limits: Limits) -> Iterator[Record | BadRecord]:
    """Yield a stream as one record (POSCAR)."""
    collected = _Collector(limits.record, 1)
    while chunk := stream.read(MIB):
        collected.add(chunk)
    yield collected.too_large(Origin(origin.path, origin.url, origin.member)) or Record(
        format_, collected.content, origin=origin
    )


def cif_records(stream: BinaryIO, origin: Origin, limits: Limits) -> Iterator[Record | BadRecord]:
    """Yield each data block with atoms; a file of one block is one record, comments and all.

    A file without such a block is one bad record.
    """
    found, rest = 0, _Collector(limits.record, 1)
    for block in _cif_blocks(stream, limits):
        bad = block.too_large(origin)
        if bad is not None:
            found += 1
            yield bad
            continue
        content = block.content
        if content.startswith(UTF16_MARKS) or _ATOMS.search(content):
            found += 1
            code = _COD.search(content)
            yield Record(
                "cif",
                content,
                f"cod-{code[1].decode()}" if code else None,
                origin if block.line == 1 else _at(origin, block.line),
                "COD" if code else None,
                "CC0-1.0" if code else None,
            )
        elif not found:
            rest.add(content)
    if not found:
        what = "The CIF holds no data block with atoms" + (": it may have been cut off." if rest.size else ".")
        yield BadRecord(origin, SourceError(what) if rest.size else EmptySource(what), rest.content)


def _cif_blocks(stream: BinaryIO, limits: Limits) -> Iterator[_Collector]:
    """Cut at each ``data_`` line outside of text fields (between lines that begin with a semicolon)."""
    block, started, in_text, number = _Collector(limits.record, 1), False, False, 0
    line_start = True
    while line := stream.readline(_LINE):
        if line_start:
            number += 1
            if line.startswith(b";"):
                in_text = not in_text
            elif not in_text and _DATA.match(line):
                if started:
                    yield block
                    block = _Collector(limits.record, number)
                started = True
        line_start = line.endswith(b"\n")
        block.add(line)
    if block.size:
        yield block


def extxyz_records(stream: BinaryIO, origin: Origin, limits: Limits) -> Iterator[Record | BadRecord]:
    """Yield each frame: a count, a comment line with the lattice, and that many atoms."""
    number, frames = 0, 0
    while line := stream.readline(_LINE):
        number += 1
        if not line.strip():
            continue
        here = _at(origin, number)
        frame = _Collector(limits.record, number)
        frame.add(line)
        try:
            count = int(line)
        except ValueError:
            frame.add(stream.read(limits.record - len(line)))
            message = f"A frame begins with its number of atoms; line {number} is {line[:40]!r}."
            yield BadRecord(here, SourceError(message), frame.content)
            return
        lines = 0
        while lines < count + 1 and (line := stream.readline(_LINE)):
            frame.add(line)
            lines += line.endswith(b"\n")
        lines += not frame.content.endswith(b"\n") if frame.size <= frame.limit else 0
        number += count + 1
        frames += 1
        if count < 1 or lines < count + 1:
            message = f"A frame of {count} atoms ends after {max(lines - 1, 0)} of them."
            yield BadRecord(here, SourceError(message), frame.content)
        else:
            yield frame.too_large(origin) or Record("extxyz", frame.content, origin=here)
    if not frames:
        yield BadRecord(origin, EmptySource("The file holds no frame."))
