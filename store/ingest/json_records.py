"""JSON Lines and JSON files, taken apart into records without reading more than one record at a time."""

from __future__ import annotations

import hashlib
import io
import json
import re
from typing import TYPE_CHECKING, Any, Final

import orjson

from store.errors import SourceError, SourceTooLarge, UnknownFormat
from store.ingest.limits import MIB, Limits
from store.ingest.records import BadRecord, Origin, Record
from store.ingest.sniff import UTF8_MARK, classify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

_CHUNK: Final = MIB
# The uniform layout as it is written: id and source first. Anything else takes the slow way through a JSON parser.
_UNIFORM: Final = re.compile(rb'\{"id":"([^"\\]{1,300})","source":"([^"\\]{1,300})",')
_UNIFORM_STRUCTURE: Final = re.compile(rb'"structure":(?:\{"lattice":|null)')
# A host with the ends of a hop begins just so; it is no structure.
_HOP: Final = re.compile(rb'"(?:start|end)_frac"')
_BLANKS: Final = re.compile(r"[ \t\r\n,]*")
# A measured conductivity, or one asked for, may have a structure, and is none.
_CONDUCTIVITY: Final = re.compile(rb'"(?:log10_sigma|sigma_S_cm|sigma|temperature_K)"')
# Documents that hold several hops, and the format of one.
_DOCUMENTS: Final = {"mp-migration-graph": "mp-migration-graph", "mp-neb-pathway": "mp-neb", "mp-neb": "mp-neb"}
_OPTIMADE_LINES: Final = frozenset({"info", "links", "references"})


def place(origin: Origin, line: int | None = None, member: str | None = None) -> Origin:
    """Return an origin at a line or further member of another."""
    joined = "!".join(part for part in (origin.member, member) if part) or None
    return Origin(origin.path, origin.url, joined, line)


def too_large(origin: Origin, size: int, digest: str, limit: int) -> BadRecord:
    """Make the note of a record that no document can hold."""
    error = SourceTooLarge(f"The record has {size:,} bytes; at most {limit:,} can be stored.")
    return BadRecord(origin, error, sha256=digest)


def split_lines(stream: BinaryIO, limit: int) -> Iterator[tuple[int, bytes | tuple[int, str]]]:
    r"""Split a stream into lines in constant memory.

    Parameters
    ----------
    stream : file
        Readable, binary.
    limit : int
        Longest line that is returned, bytes.

    Yields
    ------
    tuple
        Line number from one, and the line without its end; for a longer line its size and SHA-256 instead.

    Examples
    --------
    >>> import io
    >>> list(split_lines(io.BytesIO(b"a\r\n\nb"), 9))
    [(1, b'a'), (2, b''), (3, b'b')]
    """
    number, kept, digest, size = 1, bytearray(), None, 0
    while chunk := stream.read(_CHUNK):
        *whole, rest = chunk.split(b"\n")
        for part in whole:
            if digest is not None:
                digest.update(part)
                yield number, (size + len(part), digest.hexdigest())
                digest, size = None, 0
            else:
                line = bytes(kept) + part if kept else part
                kept.clear()
                yield number, line.removesuffix(b"\r")
            number += 1
        if digest is None:
            kept += rest
            if len(kept) > limit:
                digest, size = hashlib.sha256(kept), len(kept)
                kept.clear()
        else:
            digest.update(rest)
            size += len(rest)
    if digest is not None:
        yield number, (size, digest.hexdigest())
    elif kept:
        yield number, bytes(kept).removesuffix(b"\r")


def jsonl_records(stream: BinaryIO, origin: Origin, limits: Limits) -> Iterator[Record | BadRecord]:
    """Yield the records of a JSON Lines file: any mixture of the JSON layouts that are read."""
    for number, line in split_lines(stream, limits.record):
        here = Origin(origin.path, origin.url, origin.member, number)
        if isinstance(line, tuple):
            yield too_large(here, *line, limits.record)
            continue
        if number == 1:
            line = line.removeprefix(UTF8_MARK)
        match = _UNIFORM.match(line)
        if match and line.endswith(b"}") and _UNIFORM_STRUCTURE.search(line) and not _is_no_structure(line):
            try:
                name, provider = match[1].decode(), match[2].decode()
            except UnicodeDecodeError as error:
                yield BadRecord(here, SourceError(f"The line is not UTF-8: {error}."), line)
                continue
            yield Record("uniform-json", line, name, here, provider)
        elif line.strip():
            yield from _line(line, here)


def _is_no_structure(line: bytes) -> bool:
    # The plain searches cost next to nothing.
    if b'_frac"' in line and _HOP.search(line) is not None:
        return True
    return (b"sigma" in line or b"temperature_K" in line) and _CONDUCTIVITY.search(line) is not None


def _line(line: bytes, here: Origin) -> Iterator[Record | BadRecord]:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        try:
            value = json.loads(line)  # NaN and Infinity are no JSON, but Python writes them
        except (ValueError, RecursionError):
            yield BadRecord(here, SourceError(f"The line is no JSON: {error}."), line)
            return
    if isinstance(value, dict) and ("x-optimade" in value or value.get("type") in _OPTIMADE_LINES):
        return
    yield from _object(value, line, here)


def _one(value: Any, content: bytes, here: Origin) -> Iterator[Record | BadRecord]:
    claim = classify(value)
    if claim is not None and claim.format in _DOCUMENTS:
        yield from _hops(claim.format, value, content, here)
        return
    if claim is not None:
        yield Record(claim.format, content, claim.id, here, claim.provider, claim.licence)
        return
    what = (
        f"an object with the keys {', '.join(sorted(map(str, value))[:8])}" if isinstance(value, dict) else "no object"
    )
    yield BadRecord(here, UnknownFormat(f"The JSON is in none of the layouts that are read: {what}."), content)


def _hops(kind: str, value: dict[str, Any], content: bytes, here: Origin) -> Iterator[Record | BadRecord]:
    """Take a document of several hops apart."""
    from store.ingest import hop_documents

    split = hop_documents.graph_records if kind == "mp-migration-graph" else hop_documents.neb_records
    try:
        for key, name, part in split(value):
            where = place(here, here.line, f"hops/{key}" if key else None)
            yield Record(_DOCUMENTS[kind], part, name, where)
    except SourceError as error:
        yield BadRecord(here, error, content)


def json_records(stream: BinaryIO, origin: Origin, limits: Limits) -> Iterator[Record | BadRecord]:
    """Yield the records of a JSON file: one object, an array of objects, an OPTIMADE page or an ASE database."""
    start = stream.read(_CHUNK).removeprefix(UTF8_MARK)
    if start.lstrip().startswith(b"["):
        yield from _array(stream, start, origin, limits)
        return
    parts, size = [start], len(start)
    while chunk := stream.read(_CHUNK):
        parts.append(chunk)
        size += len(chunk)
        if size > limits.document:
            digest = hashlib.sha256(b"".join(parts))
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
            yield too_large(origin, size, digest.hexdigest(), limits.document)
            return
    content = b"".join(parts)
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        if "Extra data" in str(error):  # several objects: JSON Lines under another name
            yield from jsonl_records(io.BytesIO(content), origin, limits)
            return
        yield BadRecord(origin, SourceError(f"The file is no JSON: {error}."), content[: limits.record])
        return
    yield from _object(value, content, origin)


def _object(value: Any, content: bytes, origin: Origin) -> Iterator[Record | BadRecord]:
    data = value.get("data") if isinstance(value, dict) else None
    if isinstance(data, list) and any(isinstance(item, dict) and "attributes" in item for item in data):
        for index, item in enumerate(data):
            yield from _one(item, canonical(item), place(origin, member=f"data/{index}"))
    elif isinstance(value, dict) and "ids" in value and "nextid" in value:
        for key in value["ids"] if isinstance(value["ids"], list) else []:
            row = value.get(str(key))
            yield from _one(row, canonical(row), place(origin, member=f"row/{key}"))
    else:
        yield from _one(value, content, origin)


def canonical(value: Any) -> bytes:
    """Write JSON in one way only: keys sorted, no spaces, UTF-8; NaN as Python writes it.

    Examples
    --------
    >>> canonical({"b": 1, "a": [0.5]})
    b'{"a":[0.5],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def _array(stream: BinaryIO, start: bytes, origin: Origin, limits: Limits) -> Iterator[Record | BadRecord]:
    """Take an array apart element by element, each as its own bytes; only one element is in memory."""
    scanner = json.JSONDecoder()
    window = _Window(stream, start)
    window.position = window.text.index("[") + 1
    index = 0
    while True:
        window.skip()
        if window.peek() in {"]", ""}:
            break
        here = place(origin, member=f"[{index}]")
        while True:
            try:
                value, end = scanner.raw_decode(window.text, window.position)
            except (ValueError, RecursionError) as error:
                if len(window.text) - window.position > limits.record or not window.grow():
                    rest = window.text[window.position :].encode()[: limits.record]
                    yield BadRecord(
                        here, SourceError(f"The array cannot be read from element {index} on: {error}."), rest
                    )
                    return
            else:
                break
        yield from _one(value, window.text[window.position : end].encode("utf-8", "surrogatepass"), here)
        window.position = end
        index += 1
    if window.peek() != "]":
        yield BadRecord(origin, SourceError(f"The array ends after element {index} without its closing bracket."))


class _Window:
    """A sliding piece of decoded text."""

    def __init__(self, stream: BinaryIO, start: bytes) -> None:
        import codecs

        self._stream = stream
        # Bytes that are no UTF-8 pass through unharmed as surrogates; the reader will say what is wrong.
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self.text = self._decoder.decode(start)
        self.position = 0

    def grow(self) -> bool:
        """Read on, at least as much as is held, so that long elements do not cost quadratic time."""
        chunk = self._stream.read(max(_CHUNK, len(self.text) - self.position))
        if not chunk:
            return False
        self.text = self.text[self.position :] + self._decoder.decode(chunk)
        self.position = 0
        return True

    def skip(self) -> None:
        """Go past blanks and commas."""
        while True:
            self.position = _BLANKS.match(self.text, self.position).end()  # type: ignore[union-attr]  # it always matches
            if self.position < len(self.text) or not self.grow():
                return

    def peek(self) -> str:
        return self.text[self.position : self.position + 1]
