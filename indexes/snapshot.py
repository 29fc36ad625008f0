"""Snapshots of an index on disk: published atomically, changed incrementally, loadable after a crash at any instant.

::

    indexes/<database>/<name>/
        CURRENT            names the generation that readers take, with the sha256 of its manifest
        g00000007/         a base segment and the manifest of generation 7
        g00000008/         a delta segment and the manifest of generation 8, which names g00000007 as its base
        lock               held by the one writer

A publication writes a new folder under a temporary name, flushes files and folders to the disk, gives it its name, and
replaces CURRENT in one step. Before that step readers see the old generation, after it the new one. What the current
generation and the one before it need is kept; the rest is removed.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from filelock import FileLock, Timeout

from indexes.segments import (
    CURRENT,
    HASH_BYTES,
    MANIFEST,
    TEMPORARY,
    Manifest,
    Rows,
    Segment,
    damaged,
    explain_disk_errors,
    make_rows,
    map_hashes,
    map_vectors,
    overlay,
    read_current,
    read_json,
    stack,
    sync_folder,
    verify_segment,
    write_current,
    write_file,
    write_segment,
)
from indexes.vector import Metric, check_metric
from store.errors import BuildRunning, SnapshotDamaged, SnapshotMissing, UsageError
from store.provenance import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from typing import TypeVar

    from numpy.typing import ArrayLike, NDArray

    Read = TypeVar("Read")

MOST_DELTAS: Final = 8
"""Beyond so many deltas they are written as one."""

LARGEST_SHARE: Final = 0.2
"""When deltas hold more than this share of the base's rows, a new base is written."""

_PREFIX: Final = "g"


@dataclass(frozen=True, eq=False)
class Snapshot:
    """An index as loaded from disk.

    Attributes
    ----------
    manifest : Manifest
    ids : list of str
        shape=(n,).
    vectors : numpy.ndarray
        shape=(n, dimension), float32; memory-mapped copy-on-write as far as it comes from the base.
    hashes : numpy.ndarray
        shape=(n, 16), uint8.
    """

    manifest: Manifest
    ids: list[str]
    vectors: NDArray[np.float32]
    hashes: NDArray[np.uint8]


class SnapshotStore:
    """The snapshots of one index in a folder.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the indexes of one database; made when first written to.
    name : str
        Name of the index.
    lock_seconds : float
        How long a writer waits for another one.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = SnapshotStore(Path(folder), "try")
    ...     _ = store.publish(["a", "b"], [[0, 1], [2, 3]], [bytes(16), bytes(16)], model="m")
    ...     _ = store.apply({"c": ([4, 5], bytes(16))}, removed=["a"])
    ...     store.load().ids
    ['b', 'c']
    """

    def __init__(self, folder: Path, name: str, *, lock_seconds: float = 60.0) -> None:
        if not name or name in (".", "..") or "/" in name or "\0" in name:
            raise UsageError(f"The name of an index names a folder; {name!r} cannot.")
        self.root = folder / name
        self.name = name
        self._lock = FileLock(self.root / "lock", timeout=lock_seconds)

    # ---------------------------------------------------------------------------------------------------------- reading

    def token(self) -> bytes | None:
        """Tell publications apart cheaply (20 µs): another value means that another one is current; None: nothing is."""
        try:
            return (self.root / CURRENT).read_bytes()
        except OSError:
            return None

    def manifest(self) -> Manifest:
        """Read the manifest of the current generation.

        Raises
        ------
        SnapshotMissing
            Nothing was published yet.
        SnapshotDamaged
        """
        return self._stable(lambda manifest: manifest)

    def load(self, *, verify: bool = True) -> Snapshot:
        """Load the current snapshot.

        Parameters
        ----------
        verify : bool
            Compare every file with its sha256 (0.15 s for 170 MB); sizes are always compared.

        Raises
        ------
        SnapshotMissing
            Nothing was published yet.
        SnapshotDamaged
            A file is not what was written; names it and the command that mends it.
        """
        return self._stable(lambda manifest: self._load(manifest, verify=verify))

    def hashes(self, *, verify: bool = True) -> tuple[Manifest, dict[str, bytes]]:
        """Read the content hash of every row, without the vectors (which are verified all the same).

        Raises
        ------
        SnapshotMissing, SnapshotDamaged
        """

        def read(manifest: Manifest) -> tuple[Manifest, dict[str, bytes]]:
            rows: dict[str, bytes] = {}
            for segment in manifest.segments:
                verify_segment(self.root, segment, contents=verify)
                for identifier in self._removed(segment):
                    rows.pop(identifier, None)
                flat = map_hashes(self.root, segment).tobytes()
                pieces = (flat[begin : begin + HASH_BYTES] for begin in range(0, len(flat), HASH_BYTES))
                rows.update(zip(read_json(self.root, segment, "ids.json"), pieces, strict=True))
            return manifest, rows

        return self._stable(read)

    # ---------------------------------------------------------------------------------------------------------- writing

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only writer (every writing method takes this by itself; take it around several that belong together).

        Raises
        ------
        BuildRunning
            Another process writes, and did not end in time.
        DataFolderError
            The folder cannot be made.
        """
        with explain_disk_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire()
            except Timeout:
                raise BuildRunning(
                    f"Another process has been writing the index {self.name} for over {self._lock.timeout:g} s.",
                    mend="wait for it to end, or end it; the lock goes with it",
                ) from None
        try:
            yield
        finally:
            self._lock.release()

    def publish(
        self,
        ids: Sequence[str],
        vectors: ArrayLike,
        hashes: Sequence[bytes] | NDArray[np.uint8],
        *,
        model: str,
        metric: Metric = "l2",
        dimension: int | None = None,
        revision: str | None = None,
    ) -> Manifest:
        """Publish a whole index.

        Parameters
        ----------
        ids : sequence of str
            shape=(n,), all different.
        vectors : array_like
            shape=(n, dimension), float32.
        hashes : sequence of bytes or numpy.ndarray
            shape=(n, 16): the content hash of each row's document.
        model : str
            Identity of the model.
        metric : {"l2", "cosine", "inner_product"}
        dimension : int, optional
            Needed only for an empty index.
        revision : str, optional
            Revision of the collection that has been seen.

        Raises
        ------
        UsageError
            Ids given twice, vectors of the wrong shape or not finite.
        BuildRunning, DataFolderError
        """
        array = np.asarray(vectors, dtype=np.float32)
        width = dimension if dimension is not None else (array.shape[1] if array.ndim == 2 else 0)
        check_metric(metric, width)
        rows = make_rows(ids, array, hashes, width)
        with self.writing():
            return self._publish(rows, model=model, metric=metric, revision=revision)

    def apply(
        self,
        changes: Mapping[str, tuple[ArrayLike, bytes]],
        removed: Collection[str] = (),
        *,
        revision: str | None = None,
        model: str | None = None,
    ) -> Manifest:
        """Publish the current index with some rows added, changed or removed: a few kilobytes a row are written.

        Parameters
        ----------
        changes : mapping of str to (vector, hash)
            Rows that came or changed.
        removed : collection of str
            Ids that went; ids that are not there are passed over.
        revision, model : str, optional
            As in :meth:`publish`; the current ones by default.

        Raises
        ------
        SnapshotMissing, SnapshotDamaged
            There is nothing (sound) to apply changes to.
        UsageError, BuildRunning, DataFolderError
        """
        both = sorted(set(changes) & set(removed))
        if both:
            raise UsageError(f"The id {both[0]!r} was given both as changed and as removed.")
        with self.writing():
            current = self.manifest()
            manifest = replace(current, revision=revision or current.revision, model=model or current.model)
            if not changes and not removed and manifest == current:
                return current
            vectors = [np.asarray(vector, dtype=np.float32) for vector, _ in changes.values()]
            hashes = [digest for _, digest in changes.values()]
            stacked = stack(vectors, manifest.dimension)
            return self._apply(manifest, make_rows(list(changes), stacked, hashes, manifest.dimension), removed)

    def discard(self) -> None:
        """Remove every snapshot of this index."""
        with self.writing(), explain_disk_errors(self.root):
            (self.root / CURRENT).unlink(missing_ok=True)
            sync_folder(self.root)
            self._prune(set())

    # --------------------------------------------------------------------------------------------------------- internals

    def _apply(self, manifest: Manifest, rows: Rows, removed: Collection[str]) -> Manifest:
        """Append a delta, or fold deltas into one, or write a new base: whichever keeps reading and writing cheap."""
        for segment in manifest.segments:
            verify_segment(self.root, segment, contents=False)
        live = self._live(manifest)
        gone = sorted(live.intersection(removed))
        if not rows.ids and not gone:
            return self._write(manifest, list(manifest.segments), None, manifest.count)
        count = len(live.union(rows.ids)) - len(gone)
        base, *deltas = manifest.segments
        changed = len(rows.ids) + len(gone) + sum(segment.rows + segment.removed for segment in deltas)
        if changed > LARGEST_SHARE * base.rows:
            merged = self._merge(manifest, rows, gone)
            return self._publish(merged, model=manifest.model, metric=manifest.metric, revision=manifest.revision)
        kept = list(manifest.segments)
        if len(deltas) >= MOST_DELTAS:
            rows, gone = self._fold(base, deltas, rows, gone)
            kept = [base]
        return self._write(manifest, kept, lambda folder, name: write_segment(folder, name, rows, gone), count)

    def _publish(self, rows: Rows, *, model: str, metric: Metric, revision: str | None) -> Manifest:
        count, dimension = rows.vectors.shape
        plan = Manifest(self.name, 0, model, metric, dimension, count, revision, _now(), ())
        return self._write(plan, [], lambda folder, name: write_segment(folder, name, rows, None), count)

    def _write(
        self, plan: Manifest, kept: list[Segment], new: Callable[[Path, str], Segment] | None, count: int
    ) -> Manifest:
        """Write a generation, its new segment by ``new(folder, name of the generation)``, and point CURRENT at it."""
        with explain_disk_errors(self.root):
            before = self._references()
            generation = max((int(path.name[1:]) for path in self._generations()), default=0) + 1
            name = f"{_PREFIX}{generation:08d}"
            temporary = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=self.root))
            try:
                segments = [*kept, new(temporary, name)] if new else kept
                manifest = replace(
                    plan, generation=generation, count=count, segments=tuple(segments), created_at=_now()
                )
                record = write_file(temporary / MANIFEST, [manifest.encode()])
                temporary.chmod(0o755)
                sync_folder(temporary)
                temporary.rename(self.root / name)
            except BaseException:
                shutil.rmtree(temporary, ignore_errors=True)
                raise
            sync_folder(self.root)
            write_current(self.root, name, record.sha256)
            self._prune({name, *before, *(segment.folder for segment in segments)})
        return manifest

    def _references(self) -> set[str]:
        """Folders that the present snapshot needs: it is kept as the previous one."""
        try:
            manifest = read_current(self.root, self.name)
        except (SnapshotMissing, SnapshotDamaged):
            return set()
        return {f"{_PREFIX}{manifest.generation:08d}", *(segment.folder for segment in manifest.segments)}

    def _generations(self) -> list[Path]:
        return [path for path in self.root.glob(f"{_PREFIX}*") if path.name[1:].isdecimal()]

    def _prune(self, kept: set[str]) -> None:
        # Only the holder of the lock comes here, so a temporary folder is a stray that a crash left.
        for path in [*self._generations(), *self.root.glob(f"{TEMPORARY}*")]:
            if path.name not in kept:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)

    def _stable(self, read: Callable[[Manifest], Read]) -> Read:
        """Read what CURRENT names; again, if it was replaced and pruned twice over while we read."""
        while True:
            before = self.token()
            try:
                return read(read_current(self.root, self.name))
            except SnapshotDamaged:
                if self.token() == before:
                    raise

    def _removed(self, segment: Segment) -> list[str]:
        return read_json(self.root, segment, "removed.json") if segment.kind == "delta" else []

    def _live(self, manifest: Manifest) -> set[str]:
        live: set[str] = set()
        for segment in manifest.segments:
            live.difference_update(self._removed(segment))
            live.update(read_json(self.root, segment, "ids.json"))
        return live

    def _segment_rows(self, segment: Segment, dimension: int) -> Rows:
        ids = read_json(self.root, segment, "ids.json")
        return Rows(ids, map_vectors(self.root, segment, dimension), map_hashes(self.root, segment))

    def _load(self, manifest: Manifest, *, verify: bool) -> Snapshot:
        for segment in manifest.segments:
            verify_segment(self.root, segment, contents=verify)
        base, *deltas = manifest.segments
        rows = self._segment_rows(base, manifest.dimension)
        if deltas:
            rows = overlay(
                rows, [(self._removed(delta), self._segment_rows(delta, manifest.dimension)) for delta in deltas]
            )
        if len(rows.ids) != manifest.count or rows.vectors.shape != (manifest.count, manifest.dimension):
            raise damaged(self.root / base.folder / MANIFEST, f"{len(rows.ids)} rows, and {manifest.count} are named")
        return Snapshot(manifest, rows.ids, rows.vectors, rows.hashes)

    def _merge(self, manifest: Manifest, rows: Rows, gone: list[str]) -> Rows:
        # Verified: a damaged base must not be written anew with a sound checksum.
        current = self._load(manifest, verify=True)
        return overlay(Rows(current.ids, current.vectors, current.hashes), [(gone, rows)])

    def _fold(self, base: Segment, deltas: list[Segment], rows: Rows, gone: list[str]) -> tuple[Rows, list[str]]:
        """Write several deltas as one: the last row of each id, and the base's ids that went."""
        for delta in deltas:
            verify_segment(self.root, delta, contents=True)
        width = rows.vectors.shape[1]
        layers = [(self._removed(delta), self._segment_rows(delta, width)) for delta in deltas]
        nothing = Rows([], np.empty((0, width), np.float32), np.empty((0, HASH_BYTES), np.uint8))
        folded = overlay(nothing, [*layers, (gone, rows)])
        ever_removed = set(gone).union(*(removed for removed, _ in layers))
        there = set(read_json(self.root, base, "ids.json"))
        return folded, sorted((ever_removed & there) - set(folded.ids))


def _now() -> str:
    return utc_now().isoformat(timespec="milliseconds")
