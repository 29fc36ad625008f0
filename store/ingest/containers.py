"""Files, folders and archives, split lazily into records. Nothing is unpacked to disk under a name of the archive's.

What cannot be split becomes a :class:`~store.ingest.records.BadRecord`, and the rest goes on.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import tempfile
import zipfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

from store.errors import ArchiveBomb, EmptySource, IonatlasError, SourceError, UnknownFormat, UsageError
from store.ingest.beside import (
    COMPRESSED,
    HIDDEN,
    beside_in_folder,
    beside_in_zip,
    decompressor,
    is_hidden,
    named_in_folder,
    named_in_zip,
    zip_refusal,
)
from store.ingest.databases import sqlite_records
from store.ingest.hop_tables import table_records
from store.ingest.json_records import json_records, jsonl_records, place
from store.ingest.limits import MIB, Budget, CountedStream, Limits
from store.ingest.records import BadRecord, Origin, Record
from store.ingest.sniff import HEAD, container_of, text_kind
from store.ingest.text_records import cif_records, extxyz_records, whole_record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from store.ingest.beside import Beside


def read_records(source: str | Path, *, limits: Limits | None = None) -> Iterator[Record | BadRecord]:
    """Split a file, folder or archive into records, lazily.

    Parameters
    ----------
    source : str or pathlib.Path
        Folders are read recursively in sorted order; hidden files are left out, and so are files that a table of hops in
        the folder names: they belong to its hops.
    limits : Limits, optional
        What archives may unpack to.

    Yields
    ------
    Record or BadRecord
        In the order of the files.

    Raises
    ------
    UsageError
        The path does not exist.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "empty.cif").write_bytes(b"")
    ...     [type(record).__name__ for record in read_records(folder)]
    ['BadRecord']
    """
    path = Path(source)
    if not path.exists():
        raise UsageError(f"There is no file or folder {str(source)!r}.", mend="check the path")
    return _walk(path, limits or Limits())


def _walk(path: Path, limits: Limits) -> Iterator[Record | BadRecord]:
    if not path.is_dir():
        yield from _file(path, limits)
        return
    found = False
    named: set[Path] = set()
    # Links to folders are not followed: they may lead in circles.
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith(HIDDEN))
        files = [Path(folder) / name for name in sorted(names) if not name.startswith(HIDDEN)]
        named |= named_in_folder(files, limits)
        for file in files:
            if file.is_file():
                found = True
                if file not in named:
                    yield from _file(file, limits)
    if not found:
        yield BadRecord(Origin(path=str(path)), EmptySource("The folder holds no files."))


def _file(path: Path, limits: Limits) -> Iterator[Record | BadRecord]:
    origin = Origin(path=str(path))
    try:
        if not path.is_file():
            raise SourceError("Not a regular file.")  # opening a pipe would wait for ever
        with path.open("rb") as stream:
            budget = Budget(os.fstat(stream.fileno()).st_size, limits)
            for item in _stream(stream, path.name, origin, budget, 0, beside_in_folder(path.parent, limits, _inner)):
                # What could not be split is kept whole, so that a later version may read it.
                if isinstance(item, BadRecord) and not item.content and not item.sha256 and item.origin == origin:
                    yield _with_content(item, path, limits)
                else:
                    yield item
    except (OSError, IonatlasError) as error:
        yield BadRecord(
            origin, error if isinstance(error, IonatlasError) else SourceError(f"The file cannot be read: {error}.")
        )


def _with_content(item: BadRecord, path: Path, limits: Limits) -> BadRecord:
    if path.stat().st_size <= limits.record:
        return BadRecord(item.origin, item.error, path.read_bytes())
    with path.open("rb") as stream:
        return BadRecord(item.origin, item.error, sha256=hashlib.file_digest(stream, "sha256").hexdigest())


def _inner(name: str, content: bytes, limits: Limits) -> Iterator[Record | BadRecord]:
    """Split the bytes of a file that a table names; a table in turn names none."""
    yield from _stream(io.BytesIO(content), name, Origin(), Budget(len(content), limits), 0)


def _stream(
    stream: Any, name: str, origin: Origin, budget: Budget, depth: int, beside: Beside | None = None
) -> Iterator[Record | BadRecord]:
    """Split one stream; all that can go wrong with its bytes ends as a bad record."""
    try:
        head = stream.peek(HEAD)[:HEAD] if hasattr(stream, "peek") else _look(stream)
        if not head:
            yield BadRecord(origin, EmptySource("The file is empty."))
            return
        empty = True
        for item in _split(stream, head, name, origin, budget, depth, beside):
            empty = False
            yield item
        if empty:
            yield BadRecord(origin, EmptySource("The file holds no records."))
    except ArchiveBomb as error:
        if depth and budget.exhausted:  # the whole given file is left, not only this member
            raise
        yield BadRecord(origin, error)
    except IonatlasError as error:
        yield BadRecord(origin, error)
    except Exception as error:
        # Damaged bytes make zipfile, tarfile and the decompressors raise nearly anything, IndexError included.
        yield BadRecord(origin, SourceError(f"The file is damaged or cut off: {_tell(error)}."))


def _tell(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _look(stream: BinaryIO) -> bytes:
    head = stream.read(HEAD)
    stream.seek(0)
    return head


def _split(
    stream: Any, head: bytes, name: str, origin: Origin, budget: Budget, depth: int, beside: Beside | None
) -> Iterator[Record | BadRecord]:
    kind = container_of(head)
    if kind in {"gz", "bz2", "xz"}:
        inner = io.BufferedReader(CountedStream(decompressor(kind, stream), budget), MIB)
        stem = PurePosixPath(name)
        plain = stem.stem if stem.suffix.lower() in COMPRESSED else name
        yield from _stream(inner, plain, origin, budget, budget.go_deeper(depth), beside)
    elif kind == "zip":
        inner_depth = budget.go_deeper(depth)
        with _seekable(stream) as archive:
            yield from _zip(archive, origin, budget, inner_depth)
    elif kind == "tar":
        yield from _tar(stream, origin, budget, budget.go_deeper(depth))
    elif kind == "sqlite":
        yield from _sqlite(stream, origin)
    else:
        yield from _text(stream, head, name, origin, budget.limits, beside)


def _text(
    stream: BinaryIO, head: bytes, name: str, origin: Origin, limits: Limits, beside: Beside | None
) -> Iterator[Record | BadRecord]:
    kind = text_kind(name, head)
    if kind == "cif":
        yield from cif_records(stream, origin, limits)
    elif kind == "jsonl":
        yield from jsonl_records(stream, origin, limits)
    elif kind == "json":
        yield from json_records(stream, origin, limits)
    elif kind == "extxyz":
        yield from extxyz_records(stream, origin, limits)
    elif kind == "poscar":
        yield from whole_record(stream, "poscar", origin, limits)
    elif kind == "csv":
        yield from table_records(stream, name, origin, limits, beside)
    else:
        raise UnknownFormat(
            f"{PurePosixPath(name).name!r} is in none of the formats that are read: CIF, POSCAR, extended XYZ, JSON, "
            "JSON Lines, ASE database, AMCSD, a table of hops or conductivities (CSV), or an archive of these."
        )


def _seekable(stream: Any) -> AbstractContextManager[BinaryIO]:
    """Return the stream, or a copy where it cannot jump (zip needs it): the copy is closed on leaving."""
    if isinstance(stream, tempfile.SpooledTemporaryFile) or not isinstance(getattr(stream, "raw", None), CountedStream):
        return nullcontext(stream)
    return _spool(stream)


def _spool(stream: BinaryIO) -> BinaryIO:
    """Copy to memory, or to a nameless temporary file when large. Bytes were counted where they were unpacked."""
    spool: Any = tempfile.SpooledTemporaryFile(max_size=16 * MIB)  # noqa: SIM115  (the caller closes it)
    try:
        while chunk := stream.read(MIB):
            spool.write(chunk)
    except BaseException:
        spool.close()
        raise
    spool.seek(0)
    return cast("BinaryIO", spool)


def _members(
    stream: IO[bytes], name: str, origin: Origin, budget: Budget, depth: int, beside: Beside | None = None
) -> Iterator[Record | BadRecord]:
    """Split one member; its bytes are kept where they could not be."""
    here = place(origin, member=name)
    with _spool(cast("BinaryIO", stream)) as spool:
        for item in _stream(spool, name, here, budget, depth, beside):
            if isinstance(item, BadRecord) and not item.content and not item.sha256 and item.origin == here:
                spool.seek(0)
                yield BadRecord(here, item.error, _all_or_nothing(spool, budget.limits.record))
            else:
                yield item


def _all_or_nothing(stream: BinaryIO, limit: int) -> bytes:
    content = stream.read(limit + 1)
    return content if len(content) <= limit else b""


def _zip(stream: BinaryIO, origin: Origin, budget: Budget, depth: int) -> Iterator[Record | BadRecord]:
    with zipfile.ZipFile(stream) as archive:
        named = named_in_zip(archive, budget)
        for info in archive.infolist():
            budget.count_member()
            if info.is_dir() or is_hidden(info.filename) or info.filename in named:
                continue
            refusal = zip_refusal(info)
            if refusal:
                yield BadRecord(place(origin, member=info.filename), SourceError(refusal))
                continue
            try:
                with archive.open(info) as member:
                    counted = io.BufferedReader(CountedStream(cast("BinaryIO", member), budget), MIB)
                    beside = beside_in_zip(archive, info.filename, budget, _inner)
                    yield from _members(counted, info.filename, origin, budget, depth, beside)
            except IonatlasError:
                raise
            except Exception as error:  # see `_stream`
                yield BadRecord(
                    place(origin, member=info.filename), SourceError(f"The member is damaged: {_tell(error)}.")
                )


def _tar(stream: BinaryIO, origin: Origin, budget: Budget, depth: int) -> Iterator[Record | BadRecord]:
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for info in archive:
            archive.members = []  # type: ignore[attr-defined]  # or it keeps every header it has seen
            budget.count_member()
            if info.isdir() or is_hidden(info.name):
                continue
            member = archive.extractfile(info) if info.isreg() else None
            if member is None:
                error = SourceError("The member is a link or a device; only files are read.")
                yield BadRecord(place(origin, member=info.name), error)
                continue
            with member:
                yield from _members(member, info.name, origin, budget, depth)


def _sqlite(stream: Any, origin: Origin) -> Iterator[Record | BadRecord]:
    name = None if isinstance(stream, tempfile.SpooledTemporaryFile) else getattr(stream, "name", None)
    if isinstance(name, str | Path):
        yield from sqlite_records(Path(name), origin)
        return
    # SQLite reads files only: the member goes to a temporary file under a name of ours.
    with tempfile.NamedTemporaryFile(prefix="ionatlas-", suffix=".db") as copy:
        while chunk := stream.read(MIB):
            copy.write(chunk)
        copy.flush()
        yield from sqlite_records(Path(copy.name), origin)
