"""The indexes by name, in one place: a room that adds an index adds its entry here.

What an index needs is imported when it is asked for, so that listing names costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final

from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from indexes.similarity import SimilarityIndex
    from indexes.snapshot import SnapshotStore
    from indexes.step import IndexStep
    from indexes.vector import Metric
    from store.settings import Settings


@dataclass(frozen=True)
class IndexEntry:
    """What an index is made from.

    Attributes
    ----------
    model : str
        Name of the model in the collection (field ``model``).
    dimension : int
    identity : str
        Where the function stands that returns the model's identity: ``module:function``.
    metric : {"l2", "cosine", "inner_product"}
    collection : str
    """

    model: str
    dimension: int
    identity: str
    metric: Metric = "l2"
    collection: str = "embeddings"


INDEXES: Final[dict[str, IndexEntry]] = {
    "composition": IndexEntry("composition-statistics", 290, "builders.embeddings.composition:model_identity"),
}
"""Indexes by name."""


def index_step(name: str, settings: Settings) -> IndexStep:
    """Open the step that keeps an index up to date.

    Raises
    ------
    UsageError
        There is no index of this name; the known ones are listed.
    """
    from indexes.step import IndexStep

    entry = _entry(name)
    module, function = entry.identity.split(":")
    identity: Callable[[], str] = getattr(import_module(module), function)
    return IndexStep(
        name,
        snapshot_store(name, settings),
        model=entry.model,
        identity=identity(),
        dimension=entry.dimension,
        metric=entry.metric,
        collection=entry.collection,
    )


def snapshot_store(name: str, settings: Settings) -> SnapshotStore:
    """Open the snapshots of an index: the folder ``indexes/<database>/<name>`` of the settings' home."""
    from indexes.snapshot import SnapshotStore

    _entry(name)
    return SnapshotStore(settings.home / "indexes" / settings.database, name)


def similarity_index(name: str, settings: Settings, *, threads: int = 1) -> SimilarityIndex:
    """Open an index for searching (keep what is returned: it holds the loaded vectors).

    Raises
    ------
    UsageError
        There is no index of this name; the known ones are listed.
    """
    from indexes.similarity import SimilarityIndex

    return SimilarityIndex(snapshot_store(name, settings), threads=threads)


def _entry(name: str) -> IndexEntry:
    if name not in INDEXES:
        raise UsageError(f"There is no index {name!r}. There are: {', '.join(INDEXES)}.", mend="ionatlas status")
    return INDEXES[name]
