"""Files of a snapshot: a segment is a folder with vectors, ids and hashes; a manifest says what belongs together.

A segment is written once and never changed. A *base* holds a whole index; a *delta* holds what came, changed and went
since the segments before it.

=================  ==========================================================================================
``vectors.npy``    shape=(rows, dimension), float32, little-endian; NumPy's format, so it can be memory-mapped
``hashes.npy``     shape=(rows, 16), uint8: the content hash of the document each row came from
``ids.json``       the ids of the rows, in their order (a JSON array)
``removed.json``   delta only: ids that went
=================  ==========================================================================================
"""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import orjson

from indexes.vector import check_ids, prepare_vectors
from store.errors import DataFolderError, SnapshotDamaged, SnapshotMissing, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from indexes.vector import Metric

FORMAT_VERSION: Final = 1
HASH_BYTES: Final = 16
MANIFEST: Final = "manifest.json"
CURRENT: Final = "CURRENT"
TEMPORARY: Final = ".tmp-"
MEND: Final = "ionatlas build"


@dataclass(frozen=True)
class FileRecord:
    """Size (bytes) and sha256 of a file, as written."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Segment:
    """A folder of rows.

    Attributes
    ----------
    folder : str
        Name beside the manifest's own folder.
    kind : {"base", "delta"}
    rows, removed : int
        Rows written, ids removed.
    files : dict of str to FileRecord
    """

    folder: str
    kind: Literal["base", "delta"]
    rows: int
    removed: int
    files: dict[str, FileRecord]


@dataclass(frozen=True)
class Manifest:
    """What a published snapshot is.

    Attributes
    ----------
    name : str
        Name of the index.
    generation : int
        Counts up with each publication.
    model : str
        Identity of the model whose vectors these are.
    metric : str
    dimension : int
    count : int
        Vectors, all segments taken together.
    revision : str or None
        Revision of the collection that the snapshot has seen (:mod:`indexes.similarity`).
    created_at : str
        UTC, ISO 8601.
    segments : tuple of Segment
        A base, then deltas in the order in which they apply.
    format_version : int
    """

    name: str
    generation: int
    model: str
    metric: Metric
    dimension: int
    count: int
    revision: str | None
    created_at: str
    segments: tuple[Segment, ...]
    format_version: int = FORMAT_VERSION

    def encode(self) -> bytes:
        """Write as JSON, keys sorted."""
        return orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"

    @classmethod
    def decode(cls, content: bytes) -> Manifest:
        """Read what :meth:`encode` wrote. Raises ValueError, TypeError or KeyError on anything else."""
        raw: dict[str, Any] = orjson.loads(content)
        if raw["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format version {raw['format_version']}, and {FORMAT_VERSION} is read here")
        segments = []
        for each in raw.pop("segments"):
            files = {name: FileRecord(**record) for name, record in each.pop("files").items()}
            segments.append(Segment(files=files, **each))
        return cls(segments=tuple(segments), **raw)


@dataclass(frozen=True, eq=False)
class Rows:
    """Vectors with their ids and content hashes.

    Attributes
    ----------
    ids : list of str
    vectors : numpy.ndarray
        shape=(n, dimension), float32.
    hashes : numpy.ndarray
        shape=(n, 16), uint8.
    """

    ids: list[str]
    vectors: NDArray[np.float32]
    hashes: NDArray[np.uint8]


class _HashingFile:
    """A file that knows its size and sha256 as it is written."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._size = 0

    def write(self, content: Any) -> int:
        self._digest.update(content)
        self._size += memoryview(content).nbytes
        self._file.write(content)
        return memoryview(content).nbytes

    def record(self) -> FileRecord:
        return FileRecord(self._size, self._digest.hexdigest())


@contextmanager
def explain_disk_errors(folder: Path) -> Iterator[None]:
    """Turn a full or read-only disk into a DataFolderError that names the folder."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataFolderError(
            f"The index folder {folder} cannot be written: {reason}. The last published snapshot is untouched.",
            mend="make room in the folder or make it writable (or set IONATLAS_HOME to another one), then: ionatlas build",
        ) from error


def sync_folder(folder: Path) -> None:
    """Make names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_file(path: Path, content: Iterable[Any]) -> FileRecord:
    """Write parts of bytes, through to the disk."""
    with path.open("wb") as file:
        hashing = _HashingFile(file)
        for part in content:
            hashing.write(part)
        file.flush()
        os.fsync(file.fileno())
    return hashing.record()


def write_array(path: Path, array: NDArray[Any]) -> FileRecord:
    """Write an array in NumPy's format, through to the disk."""
    with path.open("wb") as file:
        hashing = _HashingFile(file)
        np.lib.format.write_array_header_1_0(hashing, np.lib.format.header_data_from_array_1_0(array))
        for begin in range(0, len(array), 8192):
            hashing.write(np.ascontiguousarray(array[begin : begin + 8192]).data)
        file.flush()
        os.fsync(file.fileno())
    return hashing.record()


def write_segment(folder: Path, name: str, rows: Rows, removed: Sequence[str] | None = None) -> Segment:
    """Write a segment's files into an existing folder that will be called ``name`` in the end.

    Parameters
    ----------
    folder : pathlib.Path
    name : str
    rows : Rows
    removed : sequence of str, optional
        Given for a delta: the ids that went.
    """
    files = {
        "vectors.npy": write_array(folder / "vectors.npy", rows.vectors.astype("<f4", copy=False)),
        "hashes.npy": write_array(folder / "hashes.npy", rows.hashes),
        "ids.json": write_file(folder / "ids.json", [orjson.dumps(rows.ids)]),
    }
    if removed is not None:
        files["removed.json"] = write_file(folder / "removed.json", [orjson.dumps(list(removed))])
    return Segment(name, "base" if removed is None else "delta", len(rows.ids), len(removed or ()), files)


def verify_segment(root: Path, segment: Segment, *, contents: bool) -> None:
    """Check that a segment's files have the recorded sizes and, if asked, contents.

    Raises
    ------
    SnapshotDamaged
        Naming the file.
    """
    for name, expected in segment.files.items():
        path = root / segment.folder / name
        try:
            size = path.stat().st_size
            if size != expected.size:
                raise damaged(path, f"it has {size} bytes and should have {expected.size}")
            if contents:
                with path.open("rb") as file:
                    found = hashlib.file_digest(file, "sha256").hexdigest()
                if found != expected.sha256:
                    raise damaged(path, "its content is not what was written (sha256 differs)")
        except OSError as error:
            raise damaged(path, error.strerror or str(error)) from error


def damaged(path: Path, reason: str) -> SnapshotDamaged:
    """Make the error for a damaged file."""
    return SnapshotDamaged(f"The index file {path} is damaged: {reason}.", mend=MEND)


def read_json(root: Path, segment: Segment, name: str) -> list[str]:
    """Read a list of ids of a segment."""
    path = root / segment.folder / name
    try:
        found: list[str] = orjson.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise damaged(path, str(error)) from error
    return found


def map_vectors(root: Path, segment: Segment, dimension: int) -> NDArray[np.float32]:
    """Memory-map the vectors of a segment, shape=(rows, dimension), copy-on-write: changes never reach the file."""
    return _map(root, segment, "vectors.npy", np.dtype("<f4"), dimension)


def map_hashes(root: Path, segment: Segment) -> NDArray[np.uint8]:
    """Memory-map the hashes of a segment, shape=(rows, 16), copy-on-write."""
    return _map(root, segment, "hashes.npy", np.dtype("u1"), HASH_BYTES)


def _map(root: Path, segment: Segment, name: str, dtype: np.dtype[Any], width: int) -> NDArray[Any]:
    path = root / segment.folder / name
    if segment.rows == 0:  # nothing cannot be mapped
        return np.empty((0, width), dtype=dtype)
    # Not numpy.load: it parses the header as Python source, and in Python 3.11 that fails now and then when several threads
    # do so (SystemError, see gh-106905). Shape and type are known, and the data is what stands at the end of the file.
    size = segment.rows * width * dtype.itemsize
    try:
        offset = path.stat().st_size - size
        if offset < 0:
            raise damaged(path, f"it is too short for {segment.rows} rows of {width}")
        return np.memmap(path, dtype=dtype, mode="c", offset=offset, shape=(segment.rows, width))
    except (OSError, ValueError) as error:
        raise damaged(path, str(error)) from error


def overlay(base: Rows, layers: list[tuple[Sequence[str], Rows]]) -> Rows:
    """Lay deltas over rows: removals first, then changes in place (of ``base`` itself) and additions at the end."""
    ids, place = list(base.ids), {identifier: row for row, identifier in enumerate(base.ids)}
    dead: set[int] = set()
    later: dict[int, tuple[NDArray[np.float32], NDArray[np.uint8]]] = {}
    for removed, rows in layers:
        dead.update(place.pop(identifier) for identifier in removed if identifier in place)
        for identifier, vector, digest in zip(rows.ids, rows.vectors, rows.hashes, strict=True):
            if identifier not in place:
                place[identifier] = len(ids)
                ids.append(identifier)
            later[place[identifier]] = (vector, digest)
    vectors, hashes = base.vectors, base.hashes
    added = range(len(base.ids), len(ids))
    if added:
        vectors = np.concatenate([base.vectors, np.stack([later[row][0] for row in added])])
        hashes = np.concatenate([base.hashes, np.stack([later[row][1] for row in added])])
    for row, (vector, digest) in later.items():
        if row < len(base.ids):
            vectors[row], hashes[row] = vector, digest
    if dead:
        alive = np.ones(len(ids), dtype=bool)
        alive[list(dead)] = False
        ids = [identifier for identifier, lives in zip(ids, alive, strict=True) if lives]
        vectors, hashes = vectors[alive], hashes[alive]
    return Rows(ids, vectors, hashes)


def make_rows(
    ids: Sequence[str], vectors: NDArray[np.float32], hashes: Sequence[bytes] | NDArray[np.uint8], dimension: int
) -> Rows:
    """Check rows that a caller gives. Raises UsageError."""
    # Stored as given: it is the index that normalises, if its metric asks for it.
    checked = prepare_vectors(vectors, dimension, "l2")
    check_ids(ids, len(checked))
    if isinstance(hashes, np.ndarray):
        digests = np.ascontiguousarray(hashes, dtype=np.uint8)
    else:
        digests = np.frombuffer(b"".join(hashes), dtype=np.uint8)
        digests = digests.reshape(-1, HASH_BYTES) if digests.size % HASH_BYTES == 0 else digests
    if digests.shape != (len(checked), HASH_BYTES):
        raise UsageError(f"There should be one hash of {HASH_BYTES} bytes a vector; the shape was {digests.shape}.")
    return Rows(list(ids), checked, digests)


def stack(vectors: list[NDArray[np.float32]], dimension: int) -> NDArray[np.float32]:
    """Stack vectors of a stated dimension. Raises UsageError."""
    wrong = next((vector.shape for vector in vectors if vector.shape != (dimension,)), None)
    if wrong is not None:
        raise UsageError(f"Vectors of this index have {dimension} components; one has the shape {wrong}.")
    return np.stack(vectors) if vectors else np.empty((0, dimension), dtype=np.float32)


def read_current(root: Path, name: str) -> Manifest:
    """Read the manifest that CURRENT names.

    Raises
    ------
    SnapshotMissing, SnapshotDamaged
    """
    pointer = root / CURRENT
    try:
        content = pointer.read_bytes()
    except FileNotFoundError:
        raise SnapshotMissing(f"The index {name} was not built yet ({root}).", mend=MEND) from None
    except OSError as error:
        raise damaged(pointer, str(error)) from error
    try:
        pointed = orjson.loads(content)
        path = root / str(pointed["generation"]) / MANIFEST
        expected = str(pointed["manifest_sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(pointer, f"it does not name a generation ({error})") from error
    try:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != expected:
            raise damaged(path, "its content is not what was written (sha256 differs)")
        return Manifest.decode(content)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(path, str(error)) from error


def write_current(root: Path, generation: str, sha256: str) -> None:
    """Point CURRENT at a generation, in one step."""
    pointer = root / f"{TEMPORARY}{CURRENT}"
    write_file(pointer, [orjson.dumps({"generation": generation, "manifest_sha256": sha256}) + b"\n"])
    pointer.replace(root / CURRENT)
    sync_folder(root)
