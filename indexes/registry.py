"""The indexes by name, in one place: a room that adds an index adds its entry here.

What an index needs is imported when it is asked for, so that listing names costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from store.errors import UsageError

if TYPE_CHECKING:
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
    dimension : int or str
        A number, or where the function stands that returns it.
    identity : str
        Where the function stands that returns the model's identity: ``module:function``.
    metric : {"l2", "cosine", "inner_product"}
    collection : str
    """

    model: str
    dimension: int | str
    identity: str
    metric: Metric = "l2"
    collection: str = "embeddings"


INDEXES: Final[dict[str, IndexEntry]] = {
    "composition": IndexEntry("composition-statistics", 290, "builders.embeddings.composition:model_identity"),
    "structure": IndexEntry("structure-distances", 198, "builders.embeddings.structure.vector:model_identity"),
    "learned": IndexEntry(
        "tower-structure",
        "builders.embeddings.towers.model:dimension",
        "builders.embeddings.towers.model:identity",
        "inner_product",
    ),
    "learned_composition": IndexEntry(
        "tower-composition",
        "builders.embeddings.towers.model:dimension",
        "builders.embeddings.towers.model:identity",
        "inner_product",
    ),
}
"""Indexes over vectors, by name."""

TEMPLATES: Final = "templates"
"""The library of templates, which is made of structures and not of vectors."""

NAMES: Final = (*INDEXES, TEMPLATES)
"""Everything that is kept in step with the store."""


DISTANCES: Final = {
    "composition": "Euclidean distance of the composition statistics, in standard deviations.",
    "structure": "Euclidean distance of the neighbour distances of each element, in (volume per atom)^(1/3).",
    "learned_composition": "The same, to the compositions of the materials.",
    "learned": "Minus the inner product in the learned space of compositions and structures; -1 is nearest.",
}
"""What a distance in each index is."""


def index_step(name: str, settings: Settings) -> IndexStep:
    """Open the step that keeps an index up to date.

    Raises
    ------
    UsageError
        There is no index of this name; the known ones are listed.
    """
    from indexes.step import IndexStep

    if name == TEMPLATES:
        from indexes.templates.snapshot import template_store
        from indexes.templates.step import TemplateStep

        return TemplateStep(template_store(settings))
    entry = _entry(name)
    return IndexStep(
        name,
        snapshot_store(name, settings),
        model=entry.model,
        identity=_ask(entry.identity),
        dimension=_ask(entry.dimension) if isinstance(entry.dimension, str) else entry.dimension,
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


def _ask(place: str) -> Any:
    """Call the function that a place ``module:function`` names."""
    module, function = place.split(":")
    return getattr(import_module(module), function)()


def _entry(name: str) -> IndexEntry:
    if name not in INDEXES:
        raise UsageError(f"There is no index {name!r}. There are: {', '.join(INDEXES)}.", mend="ionatlas status")
    return INDEXES[name]
