"""The files beside a table of hops, in a folder or in a zip archive, and which of them such tables name."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from store.errors import ArchiveBomb, SourceError
from store.ingest.limits import MIB, Budget, CountedStream, Limits
from store.ingest.records import BadRecord, Record
from store.ingest.sniff import container_of

if TYPE_CHECKING:
    import zipfile

HIDDEN: Final = ("__MACOSX", ".")
"""Beginnings of names that are left out."""

COMPRESSED: Final = {".gz", ".bz2", ".xz", ".tgz", ".tbz2", ".txz"}
"""Endings of compressed files."""

Split = Callable[[str, bytes, Limits], Iterator[Record | BadRecord]]


@dataclass(frozen=True)
class Beside:
    """The files next to a table.

    Attributes
    ----------
    read : callable
        Bytes of a file by its name relative to the table; raises SourceError where it is missing or too large.
    split : callable
        Records in the bytes of a file of some name.
    """

    read: Callable[[str], bytes]
    split: Callable[[str, bytes], Iterator[Record | BadRecord]]


def beside_in_folder(folder: Path, limits: Limits, split: Split) -> Beside:
    """Reach the files in a folder and below.

    Parameters
    ----------
    folder : pathlib.Path
        Where the table lies.
    limits : Limits
        What may be read.
    split : callable
        Splits the bytes of a file into records.
    """

    def read(name: str) -> bytes:
        file = folder / name
        try:
            if not file.is_file():
                raise SourceError(f"There is no file {name!r} beside the table.")
            check_size(file.stat().st_size, name, limits.record)
            return file.read_bytes()
        except (OSError, ValueError) as error:
            raise SourceError(f"The file {name!r} cannot be read: {error}.") from error

    return Beside(read, lambda name, content: split(name, content, limits))


def beside_in_zip(archive: zipfile.ZipFile, table: str, budget: Budget, split: Split) -> Beside:
    """Reach the members beside a member of an archive and below.

    Parameters
    ----------
    archive : zipfile.ZipFile
        The open archive.
    table : str
        Name of the table in it.
    budget : Budget
        Counts what is unpacked.
    split : callable
        Splits the bytes of a file into records.
    """

    def read(name: str) -> bytes:
        member = str(PurePosixPath(table).parent / name)
        try:
            info = archive.getinfo(member)
        except KeyError:
            raise SourceError(f"There is no file {name!r} beside the table in the archive.") from None
        refusal = zip_refusal(info)
        if refusal:
            raise SourceError(f"The file {name!r} beside the table cannot be read. {refusal}")
        check_size(info.file_size, name, budget.limits.record)
        with archive.open(info) as opened:
            counted = io.BufferedReader(CountedStream(cast("BinaryIO", opened), budget), MIB)
            content = counted.read(budget.limits.record + 1)
        check_size(len(content), name, budget.limits.record)
        return content

    return Beside(read, lambda name, content: split(name, content, budget.limits))


def check_size(size: int, name: str, limit: int) -> None:
    """Refuse a file that no record can hold.

    Raises
    ------
    SourceTooLarge
        It is larger than the limit, bytes.
    """
    from store.errors import SourceTooLarge

    if size > limit:
        raise SourceTooLarge(f"The file {name!r} has over {limit:,} bytes: no record can hold it.")


def named_in_folder(files: list[Path], limits: Limits) -> set[Path]:
    """Find the files that tables of hops among some files name.

    Parameters
    ----------
    files : list of pathlib.Path
        Files of one folder.
    limits : Limits
        What may be read.
    """
    from store.ingest.hop_tables import named_files

    named: set[Path] = set()
    for file in files:
        if _is_table(file.name) and file.is_file():
            # Whatever is wrong with the table is told when it is read; damaged bytes raise nearly anything.
            with contextlib.suppress(Exception), file.open("rb") as stream:
                content = _unpacked(stream, Budget(os.fstat(stream.fileno()).st_size, limits))
                named |= {file.parent / name for name in named_files(content, file.name)}
    return named


def named_in_zip(archive: zipfile.ZipFile, budget: Budget) -> set[str]:
    """Find the members that tables of hops in an archive name.

    Parameters
    ----------
    archive : zipfile.ZipFile
        The open archive.
    budget : Budget
        Counts what is unpacked.

    Raises
    ------
    ArchiveBomb
        More came out than is allowed.
    """
    from store.ingest.hop_tables import named_files

    named: set[str] = set()
    for info in archive.infolist():
        if not _is_table(info.filename) or info.is_dir() or is_hidden(info.filename) or zip_refusal(info):
            continue
        folder = PurePosixPath(info.filename).parent
        with contextlib.suppress(Exception), archive.open(info) as member:  # as in a folder
            counted = CountedStream(cast("BinaryIO", member), budget)
            content = io.BufferedReader(counted, MIB).read(budget.limits.document)
            content = _unpacked(io.BytesIO(content), budget)
            named |= {str(folder / name) for name in named_files(content, info.filename)}
        if budget.exhausted:
            raise ArchiveBomb("The archive unpacks to more than is allowed; its tables were read up to there.")
    return named


def is_hidden(name: str) -> bool:
    """Whether a member of an archive is hidden, or in a hidden folder.

    Examples
    --------
    >>> is_hidden("__MACOSX/a.cif"), is_hidden("./a.cif")
    (True, False)
    """
    return any(part.startswith(HIDDEN) and part not in {".", ".."} for part in PurePosixPath(name).parts)


def zip_refusal(info: zipfile.ZipInfo) -> str | None:
    """Tell why a member of a zip archive is not read, if it is not."""
    if info.flag_bits & 0x1:
        return "The member is encrypted."
    if stat.S_ISLNK(info.external_attr >> 16):
        return "The member is a link; links are not followed."
    return None


def decompressor(kind: str, stream: BinaryIO) -> BinaryIO:
    """Open a compressed stream: "gz", "bz2" or "xz"."""
    if kind == "gz":
        return cast("BinaryIO", gzip.GzipFile(fileobj=stream, mode="rb"))
    return cast("BinaryIO", bz2.BZ2File(stream) if kind == "bz2" else lzma.LZMAFile(stream))


def _is_table(name: str) -> bool:
    path = PurePosixPath(name.lower())
    return (path.with_suffix("") if path.suffix in COMPRESSED else path).suffix in {".csv", ".tsv"}


def _unpacked(stream: Any, budget: Budget) -> bytes:
    head = stream.read(512)
    stream.seek(0)
    kind = container_of(head)
    if kind in {"gz", "bz2", "xz"}:
        stream = io.BufferedReader(CountedStream(decompressor(kind, stream), budget), MIB)
    content: bytes = stream.read(budget.limits.document)
    return content
