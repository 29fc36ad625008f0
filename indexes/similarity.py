"""Similarity: an index loaded once, kept warm, and loaded again when a new snapshot was published."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from indexes.faiss_flat import FaissFlat
    from indexes.segments import Manifest
    from indexes.snapshot import SnapshotStore
    from indexes.vector import Neighbours


class Neighbour(NamedTuple):
    """One answer of a similarity search.

    Attributes
    ----------
    id : str
    distance : float
        In the index's metric; for ``composition`` Euclidean, in standard deviations of the statistics.
    """

    id: str
    distance: float


@dataclass(frozen=True, eq=False)
class _Loaded:
    token: bytes | None
    manifest: Manifest
    index: FaissFlat


class SimilarityIndex:
    """Similarity searches over the current snapshot. May be used from several threads.

    Nothing is loaded before the first question. Each question looks whether another snapshot became current (20 µs); the
    thread that finds one loads it, while the others go on with the one they have.

    Parameters
    ----------
    store : SnapshotStore
    threads : int
        Threads of a search for several vectors at once.
    verify : bool
        Check the files against their sha256 when loading.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from indexes.snapshot import SnapshotStore
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = SnapshotStore(Path(folder), "try")
    ...     _ = store.publish(["a", "b", "c"], [[0, 0], [3, 4], [0, 1]], [bytes(16)] * 3, model="m")
    ...     SimilarityIndex(store).similar("a", 2)
    [Neighbour(id='c', distance=1.0), Neighbour(id='b', distance=5.0)]
    """

    def __init__(self, store: SnapshotStore, *, threads: int = 1, verify: bool = True) -> None:
        self._store = store
        self._threads = threads
        self._verify = verify
        self._loaded: _Loaded | None = None
        self._loading = threading.Lock()

    @property
    def manifest(self) -> Manifest:
        """Manifest of the snapshot that answers. Raises SnapshotMissing, SnapshotDamaged."""
        return self._current().manifest

    def __len__(self) -> int:
        return len(self._current().index)

    def __contains__(self, identifier: object) -> bool:
        return identifier in self._current().index

    def vector(self, identifier: str) -> NDArray[np.float32]:
        """Return the vector of an id, shape=(dimension,), float32. Raises UnknownId."""
        return self._current().index.vector(identifier)

    def similar(
        self,
        query: str | ArrayLike,
        k: int = 10,
        *,
        allowed_ids: Collection[str] | None = None,
        exclude_self: bool = True,
    ) -> list[Neighbour]:
        """Find what is most like an id or a vector: exact, nearest first, equal distances in the order of ids.

        Materials of equal composition have equal vectors, so several answers may be at distance 0.

        Parameters
        ----------
        query : str or array_like
            An id of the index, or a vector of shape (dimension,).
        k : int
            How many; fewer come back where fewer are there.
        allowed_ids : collection of str, optional
            Only these may be found.
        exclude_self : bool
            Leave the id that was asked about out of the answer.

        Raises
        ------
        UnknownId
            The index does not hold the id.
        UsageError
            A vector of the wrong dimension or with NaN, or k below 1.
        SnapshotMissing, SnapshotDamaged
        """
        index = self._current().index
        if not isinstance(query, str):
            return _first(index.search(query, k, allowed_ids=allowed_ids))
        extra = 1 if exclude_self and k >= 1 else 0
        found = _first(index.search(index.vector(query), k + extra, allowed_ids=allowed_ids))
        return [each for each in found if not (exclude_self and each.id == query)][: max(k, 0)]

    def search(self, queries: ArrayLike, k: int, *, allowed_ids: Collection[str] | None = None) -> Neighbours:
        """Search for many vectors at once, shape=(n_queries, dimension)."""
        return self._current().index.search(queries, k, allowed_ids=allowed_ids)

    def prepare(self) -> None:
        """Load the vectors and what makes searches quick, so that the first questions do not wait for it.

        Raises
        ------
        SnapshotMissing, SnapshotDamaged
        """
        self._current().index.prepare()

    def refresh(self) -> bool:
        """Load the current snapshot if it is another one than the loaded; return whether it was.

        Raises
        ------
        SnapshotMissing, SnapshotDamaged
        """
        before = self._loaded
        with self._loading:
            self._load()
        return self._loaded is not before

    def _current(self) -> _Loaded:
        loaded = self._loaded
        if loaded is not None and loaded.token == self._store.token():
            return loaded
        # With something to answer from, only one thread loads; without, all wait for it.
        if self._loading.acquire(blocking=loaded is None):
            try:
                return self._load()
            finally:
                self._loading.release()
        assert loaded is not None
        return loaded

    def _load(self) -> _Loaded:
        token = self._store.token()
        loaded = self._loaded
        if loaded is not None and loaded.token == token:
            return loaded
        if token is None:
            self._loaded = None
            self._store.manifest()  # raises SnapshotMissing, unless the first publication ended just now
            return self._load()
        # The token was read first: a snapshot published while we load is found by the next question.
        manifest = self._store.manifest()
        if loaded is not None and manifest.segments == loaded.manifest.segments:
            self._loaded = _Loaded(token, manifest, loaded.index)  # the same rows under a newer manifest
        else:
            self._loaded = self._read(token)
        return self._loaded

    def _read(self, token: bytes) -> _Loaded:
        from indexes.faiss_flat import FaissFlat

        snapshot = self._store.load(verify=self._verify)
        index = FaissFlat(snapshot.manifest.dimension, snapshot.manifest.metric, threads=self._threads)
        index.add(snapshot.ids, snapshot.vectors)
        return _Loaded(token, snapshot.manifest, index)


def _first(found: Neighbours) -> list[Neighbour]:
    return [Neighbour(str(identifier), float(distance)) for identifier, distance in zip(*_row(found), strict=True)]


def _row(found: Neighbours) -> tuple[list[str], list[float]]:
    return found.ids[0].tolist(), found.distances[0].tolist()
