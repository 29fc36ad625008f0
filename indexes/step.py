"""Keep a snapshot in step with its MongoDB collection: what changed is found by content hash, and only that is fetched.

The collection is the truth, the snapshot a cache of it that can always be made anew: a missing, damaged or foreign
snapshot is replaced. Whether the two agree is asked in one of two ways:

* :meth:`IndexStep.plan` compares the content hash of every document with that of every row, in bulk;
* :meth:`IndexStep.staleness` compares one number: the engine counts up ``meta`` ``{_id: "revision/<collection>"}`` with
  every write, and the manifest names the revision that the snapshot has seen.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pymongo import ReturnDocument

from indexes.segments import HASH_BYTES, MEND
from store.errors import SnapshotDamaged, SnapshotMissing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from pymongo.database import Database

    from indexes.segments import Manifest
    from indexes.snapshot import SnapshotStore
    from indexes.vector import Metric

_IDENTITY: Final = "identity"
_FETCH: Final = 1000  # documents asked for by id at once
_WHOLE: Final = 0.2  # from this share on, the whole collection is read in one pass and a new base is written


@dataclass(frozen=True)
class IndexPlan:
    """What an index step would do.

    Attributes
    ----------
    missing : list of str
        Materials with a vector in the collection and none in the snapshot.
    stale : list of str
        Materials whose vector in the collection is another one by now.
    removed : list of str
        Materials of the snapshot without a vector in the collection.
    fresh : int
        Rows that agree.
    reason : str or None
        Why the whole snapshot is to be made anew, if it is.
    """

    missing: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    fresh: int = 0
    reason: str | None = None

    @property
    def changes(self) -> int:
        """Rows to be written or taken out."""
        return len(self.missing) + len(self.stale) + len(self.removed)


@dataclass(frozen=True)
class IndexRun(IndexPlan):
    """What an index step did; lists as in :class:`IndexPlan`.

    Attributes
    ----------
    failed : dict of str to str
        Materials whose document in the collection cannot be used, and why. They are not in the snapshot.
    generation : int
        The generation that is current now.
    whole : bool
        Whether a new base was written (otherwise only what changed).
    seconds : float
    """

    failed: dict[str, str] = field(default_factory=dict)
    generation: int = 0
    whole: bool = False
    seconds: float = 0.0


@dataclass(frozen=True)
class Staleness:
    """Whether a snapshot has seen the last write to its collection.

    Attributes
    ----------
    state : {"fresh", "stale", "missing", "damaged"}
    message : str
        In words, with the command that mends it; empty when fresh.
    manifest : Manifest or None
        The current one, where there is a readable one.
    """

    state: str
    message: str = ""
    manifest: Manifest | None = None

    @property
    def fresh(self) -> bool:
        """Whether the snapshot has seen the last write."""
        return self.state == "fresh"


@dataclass(frozen=True)
class _Fetched:
    ids: list[str]
    vectors: NDArray[np.float32]
    hashes: list[bytes]
    failed: dict[str, str]


class IndexStep:
    """The step that brings one index up to date.

    Parameters
    ----------
    name : str
        Name of the index.
    store : SnapshotStore
        Its snapshots.
    model : str
        Name under which the vectors stand in the collection (field ``model``).
    identity : str
        Identity of the model as it is now (name, version, hash of its numbers), for the manifest.
    dimension : int
    metric : {"l2", "cosine", "inner_product"}
    collection : str
    """

    def __init__(
        self,
        name: str,
        store: SnapshotStore,
        *,
        model: str,
        identity: str,
        dimension: int,
        metric: Metric = "l2",
        collection: str = "embeddings",
    ) -> None:
        self.name = name
        self.store = store
        self.model = model
        self.identity = identity
        self.dimension = dimension
        self.metric = metric
        self.collection = collection

    @property
    def prefix(self) -> str:
        """What stands before the material in the ids of the collection's documents."""
        return f"{self.model}/"

    def plan(self, database: Database[Any]) -> IndexPlan:
        """Compare every document with every row, and touch nothing."""
        there, reason = self._rows()
        return _compare(self._documents(database), there, reason)

    def run(self, database: Database[Any], progress: Callable[[int, int], None] | None = None) -> IndexRun:
        """Bring the snapshot up to date.

        Parameters
        ----------
        database : pymongo.database.Database
        progress : callable, optional
            Called with (rows done, rows in all).

        Raises
        ------
        BuildRunning
            Another process writes this index, and did not end in time.
        DataFolderError
            The folder of the index cannot be written.
        """
        started = time.perf_counter()
        with self.store.writing():
            # The revision is read first: a write that comes later makes the snapshot stale again, and is not missed.
            revision = self._revision(database, make=True)
            there, reason = self._rows()
            plan = _compare(self._documents(database), there, reason)
            wanted = [*plan.missing, *plan.stale]
            whole = reason is not None or plan.changes > max(_FETCH, _WHOLE * max(plan.fresh, 1))
            if whole:
                total = plan.fresh + len(wanted)
                fetched = self._fetch(self._scan(database), total, progress)
                manifest = self._publish(fetched, revision)
            else:
                fetched = self._fetch(self._pick(database, wanted), len(wanted), progress)
                manifest = self._apply(plan, fetched, revision)
        return IndexRun(
            plan.missing,
            plan.stale,
            plan.removed,
            plan.fresh,
            reason,
            failed=fetched.failed,
            generation=manifest.generation,
            whole=whole,
            seconds=time.perf_counter() - started,
        )

    def staleness(self, database: Database[Any]) -> Staleness:
        """Ask cheaply (one small read from disk, one from the database) whether the snapshot is up to date."""
        try:
            manifest = self.store.manifest()
        except SnapshotMissing as error:
            return Staleness("missing", str(error))
        except SnapshotDamaged as error:
            return Staleness("damaged", str(error))
        reason = self._foreign(manifest)
        if reason is None and manifest.revision != self._revision(database, make=False):
            reason = f"the collection {self.collection} has changed since"
        if reason is None:
            return Staleness("fresh", manifest=manifest)
        published = manifest.created_at
        return Staleness(
            "stale",
            f"The index {self.name} of {published} is behind: {reason}. To bring it up to date: {MEND}",
            manifest,
        )

    # --------------------------------------------------------------------------------------------------------- internals

    def _rows(self) -> tuple[dict[str, bytes], str | None]:
        """Hashes of the snapshot's rows, or the reason why it is of no use."""
        try:
            manifest, rows = self.store.hashes()
        except (SnapshotMissing, SnapshotDamaged) as error:
            return {}, error.message
        reason = self._foreign(manifest)
        return ({}, reason) if reason else (rows, None)

    def _foreign(self, manifest: Manifest) -> str | None:
        for what, found, expected in (
            ("dimension", manifest.dimension, self.dimension),
            ("metric", manifest.metric, self.metric),
            ("model", manifest.model, self.identity),
        ):
            if found != expected:
                return f"its {what} is {found}, and {expected} is used now"
        return None

    def _documents(self, database: Database[Any]) -> dict[str, bytes | None]:
        """Content hash of every document of the model; answered from the index (model, material, hash) alone."""
        cursor = database[self.collection].find(
            {"model": self.model}, {"_id": 0, "material": 1, "hash": 1}, batch_size=20000
        )
        return {document["material"]: _digest(document["hash"]) for document in cursor}

    def _scan(self, database: Database[Any]) -> Iterator[Mapping[str, Any]]:
        fields = {"_id": 0, "material": 1, "hash": 1, "vector": 1}
        yield from database[self.collection].find({"model": self.model}, fields, batch_size=5000).sort("material", 1)

    def _pick(self, database: Database[Any], materials: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        fields = {"_id": 0, "material": 1, "hash": 1, "vector": 1}
        for begin in range(0, len(materials), _FETCH):
            part = list(materials[begin : begin + _FETCH])
            yield from database[self.collection].find({"model": self.model, "material": {"$in": part}}, fields)

    def _fetch(
        self, documents: Iterable[Mapping[str, Any]], total: int, progress: Callable[[int, int], None] | None
    ) -> _Fetched:
        ids: list[str] = []
        hashes: list[bytes] = []
        failed: dict[str, str] = {}
        # One growing buffer: 147,000 vectors of 290 numbers are 170 MB, and are held once.
        buffer = bytearray()
        for count, document in enumerate(documents, start=1):
            material, vector, digest = document["material"], document["vector"], _digest(document["hash"])
            reason = _unfit(vector, digest, self.dimension)
            if reason or digest is None:
                failed[material] = reason or ""
            else:
                ids.append(material)
                hashes.append(digest)
                buffer += vector
            if progress is not None and count % _FETCH == 0:
                progress(count, max(total, count))
        vectors = np.frombuffer(buffer, dtype="<f4").reshape(-1, self.dimension)
        if progress is not None:
            progress(len(ids) + len(failed), len(ids) + len(failed))
        return _without_non_finite(_Fetched(ids, vectors, hashes, failed))

    def _publish(self, fetched: _Fetched, revision: str) -> Manifest:
        return self.store.publish(
            fetched.ids,
            fetched.vectors,
            fetched.hashes,
            model=self.identity,
            metric=self.metric,
            dimension=self.dimension,
            revision=revision,
        )

    def _apply(self, plan: IndexPlan, fetched: _Fetched, revision: str) -> Manifest:
        rows = zip(fetched.vectors, fetched.hashes, strict=True)
        changes = dict(zip(fetched.ids, rows, strict=True))
        # A stale row whose document went in the meantime, or cannot be used, must not stay with its old vector.
        gone = {*plan.removed, *(set(plan.stale) - set(changes))}
        return self.store.apply(changes, gone, revision=revision, model=self.identity)

    def _revision(self, database: Database[Any], *, make: bool) -> str:
        """Return the database's identity and the number of writes to the collection, as one string.

        The identity tells a database from another one of the same name: on another server, or dropped and made anew.
        """
        meta = database["meta"]
        if make:
            found = meta.find_one_and_update(
                {"_id": _IDENTITY},
                {"$setOnInsert": {"id": uuid.uuid4().hex}},
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        else:
            found = meta.find_one({"_id": _IDENTITY})
        counted = meta.find_one({"_id": f"revision/{self.collection}"}) or {}
        return f"{(found or {}).get('id', '')}:{counted.get('n', 0)}"


def _compare(documents: Mapping[str, bytes | None], rows: Mapping[str, bytes], reason: str | None) -> IndexPlan:
    missing, stale, fresh = [], [], 0
    for material, digest in documents.items():
        row = rows.get(material)
        if row is None:
            missing.append(material)
        elif row == digest:
            fresh += 1
        else:
            stale.append(material)
    removed = sorted(rows.keys() - documents.keys())
    return IndexPlan(missing, stale, removed, fresh, reason)


def _digest(text: Any) -> bytes | None:
    try:
        digest = bytes.fromhex(text)
    except (TypeError, ValueError):
        return None
    return digest if len(digest) == HASH_BYTES else None


def _unfit(vector: Any, digest: bytes | None, dimension: int) -> str | None:
    if not isinstance(vector, bytes) or len(vector) != 4 * dimension:
        size = len(vector) if isinstance(vector, bytes) else type(vector).__name__
        return f"the vector should have {4 * dimension} bytes (float32, dimension {dimension}); it has {size}"
    return None if digest is not None else f"the hash is not {HASH_BYTES} bytes in hexadecimal"


def _without_non_finite(fetched: _Fetched) -> _Fetched:
    # Minimum and maximum are NaN or infinite if anything is: one pass, and nothing is copied in the good case.
    if not fetched.ids or np.isfinite([fetched.vectors.min(), fetched.vectors.max()]).all():
        return fetched
    good: NDArray[np.bool_] = np.asarray(np.isfinite(fetched.vectors).all(axis=1))
    bad = {
        identifier: "the vector is not finite" for identifier, fine in zip(fetched.ids, good, strict=True) if not fine
    }
    ids = [identifier for identifier in fetched.ids if identifier not in bad]
    hashes = [digest for digest, fine in zip(fetched.hashes, good, strict=True) if fine]
    return _Fetched(ids, fetched.vectors[good], hashes, {**fetched.failed, **bad})
