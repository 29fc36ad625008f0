"""Training anew from the barriers of the store."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from api.training import save_trained
from store.errors import ArraysDamaged, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pymongo.database import Database

    from api.training import Trained
    from builders.migration.train import TrainingRows

DROPPED_FLAG: Final = "host_sites_overlap"
"""Quality flag of hops whose host is impossible: two atoms in one place."""


class Gathered(NamedTuple):
    """What the store holds to train on.

    Attributes
    ----------
    rows : TrainingRows
    dropped : dict of str to int
        Documents left out, by why.
    definitions : dict of str to int
        Rows by what their source means by barrier.
    """

    rows: TrainingRows
    dropped: dict[str, int]
    definitions: dict[str, int]


def gather(database: Database[dict[str, Any]]) -> Gathered:
    """Read the barriers to train on: computed with DFT along a path of images, in a possible host, described.

    Raises
    ------
    UsageError
        There are none.
    """
    from builders.barriers.describe import NAMES
    from builders.migration.train import TrainingRows

    dropped: Counter[str] = Counter()
    definitions: Counter[str] = Counter()
    kept: list[Mapping[str, Any]] = []
    features: list[Any] = []
    names = ("barrier", "method", "flags", "features", "working_ion", "framework_formula", "crystal_class")
    projection = {**dict.fromkeys(names, 1), "barrier_definition": 1}
    for document in database["barriers"].find({}, projection, sort=[("_id", 1)]):
        row = _features(document.get("features"), len(NAMES))
        why = _unfit(document, row is not None)
        if why:
            dropped[why] += 1
            continue
        kept.append(document)
        features.append(row)
        definitions[document.get("barrier_definition") or "unstated"] += 1
    if not kept:
        told = ", ".join(f"{count:,} {why}" for why, count in dropped.items())
        raise UsageError(
            f"The store holds no barriers to train on{f' ({told})' if told else ''}.",
            mend="ionatlas ingest HOPS.jsonl with their barriers, then ionatlas build",
        )
    rows = TrainingRows(
        features=np.array(features, dtype=np.float64),
        barrier=np.array([row["barrier"] for row in kept], dtype=np.float64),
        ions=[str(row["working_ion"]) for row in kept],
        groups=[str(row.get("framework_formula") or row["_id"]) for row in kept],
        classes=[str(row.get("crystal_class") or "unknown") for row in kept],
        ids=[str(row["_id"]) for row in kept],
    )
    return Gathered(rows, dict(dropped), dict(definitions))


def _unfit(document: Mapping[str, Any], described: bool) -> str:
    """Why a barrier is not trained on; empty if it is."""
    if document.get("barrier") is None:
        return "without a barrier"
    if not str(document.get("method") or "").startswith("DFT"):
        return "not computed with DFT along images"
    if DROPPED_FLAG in (document.get("flags") or ()):
        return f"flagged {DROPPED_FLAG}"
    return "" if described else "not described"


def _features(packed: bytes | None, count: int) -> Any:
    """Descriptors of a document; None where there are none, or of other descriptors than today's."""
    from store.arrays import unpack

    if not packed:
        return None
    try:
        row = next(iter(unpack(packed).values()), np.zeros(0))
    except ArraysDamaged:
        return None
    return row if row.shape == (count,) else None


def train_migration_energy(
    database: Database[dict[str, Any]],
    folder: Path,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Trained[Gathered]:
    """Train the model of migration barriers from the store and write its weights and card.

    Parameters
    ----------
    database : pymongo.database.Database
    folder : pathlib.Path
        Made if need be; a model in it is replaced.
    seed : int
        The same seed and barriers give the same weights.
    progress : callable, optional
        Called with steps done and their number.

    Raises
    ------
    UsageError
        Too few barriers, or the folder cannot be written.

    Examples
    --------
    >>> from store.connection import connect                                              # doctest: +SKIP
    >>> train_migration_energy(connect(), Path("models")).card["scores"]                  # doctest: +SKIP
    """
    from builders.migration.train import train

    gathered = gather(database)
    about = {"source": "barriers of a store", "left_out": gathered.dropped, "definitions": gathered.definitions}
    made = train(gathered.rows, seed=seed, progress=progress, about=about)
    return save_trained(made, folder, gathered)
