"""The step that brings the template library up to date with the collection ``structures``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from indexes.step import IndexPlan, IndexRun, IndexStep
from indexes.templates.arrays import HASH_BYTES, N_DISTANCES, Entry, Table, join, make_table, take
from indexes.templates.entries import entry_of_primitive
from indexes.templates.files import NAME
from indexes.templates.snapshot import IDENTITY, TemplateStore
from store.crystal import Crystal
from store.errors import IonatlasError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pymongo.database import Database

_FETCH: Final = 500
_FIELDS: Final = {
    "primitive": 1,
    "space_group_number": 1,
    "anonymous_prototype": 1,
    "energy_above_hull": 1,
    "formation_energy_per_atom": 1,
    "created_at": 1,
    "experimental": 1,
    "hash": 1,
}


class TemplateStep(IndexStep):
    """Bring a template library up to date; ``plan``, ``run`` and ``staleness`` as those of every index.

    Parameters
    ----------
    store : TemplateStore
    """

    def __init__(self, store: TemplateStore) -> None:
        super().__init__(NAME, store, model=NAME, identity=IDENTITY, dimension=N_DISTANCES, collection="structures")
        self._templates = store

    @property
    def prefix(self) -> str:
        """Nothing: structures have the materials' own ids."""
        return ""

    def run(self, database: Database[Any], progress: Callable[[int, int], None] | None = None) -> IndexRun:
        """Make the templates that are missing or stale, take out those whose structure went, and publish.

        Parameters
        ----------
        database : pymongo.database.Database
        progress : callable, optional
            Called with (structures done, structures in all).

        Raises
        ------
        BuildRunning, DataFolderError
        """
        started = time.perf_counter()
        with self.store.writing():
            # The revision is read first: a write that comes later makes the library stale again, and is not missed.
            revision = self._revision(database, make=True)
            plan = self.plan(database)
            wanted = [*plan.missing, *plan.stale]
            made, failed = _entries(_documents(database, wanted), len(wanted), progress)
            table = make_table(made)
            if plan.fresh:
                table = join(self._kept(plan), table)
            manifest = self._templates.publish_table(table, revision=revision)
        return IndexRun(
            plan.missing,
            plan.stale,
            plan.removed,
            plan.fresh,
            plan.reason,
            failed=failed,
            generation=manifest.generation,
            whole=not plan.fresh,
            seconds=time.perf_counter() - started,
        )

    def _kept(self, plan: IndexPlan) -> Table:
        _, table = self._templates.table(verify=True)
        gone = {*plan.stale, *plan.removed}
        return take(table, np.array([k for k, name in enumerate(table.ids) if name not in gone], np.int64))

    def _documents(self, database: Database[Any]) -> dict[str, bytes | None]:
        found = database[self.collection].find({"is_ordered": True}, {"_id": 1, "hash": 1}, batch_size=20000)
        return {document["_id"]: _digest(document["hash"]) for document in found}


def _documents(database: Database[Any], wanted: list[str]) -> Iterator[Mapping[str, Any]]:
    for begin in range(0, len(wanted), _FETCH):
        part = wanted[begin : begin + _FETCH]
        yield from database["structures"].find({"_id": {"$in": part}}, _FIELDS)


def _entries(
    documents: Iterable[Mapping[str, Any]], total: int, progress: Callable[[int, int], None] | None
) -> tuple[list[Entry], dict[str, str]]:
    made: list[Entry] = []
    failed: dict[str, str] = {}
    for count, document in enumerate(documents, start=1):
        try:
            made.append(entry_of_document(document))
        except (IonatlasError, KeyError, ValueError, TypeError) as error:
            failed[str(document.get("_id"))] = f"{type(error).__name__}: {error}"
        if progress is not None and (count % 100 == 0 or count == total):
            progress(count, total)
    return made, failed


def entry_of_document(document: Mapping[str, Any]) -> Entry:
    """Make a template of a ``structures`` document.

    Raises
    ------
    FeatureError
        An element beyond plutonium.
    StructureError
        The primitive cell cannot be searched for neighbours.
    """
    entry = entry_of_primitive(
        document["_id"],
        Crystal.from_document(document["primitive"]),
        int(document["space_group_number"]),
        document.get("anonymous_prototype") or "",
    )
    experimental = document.get("experimental")
    return Entry(
        **{
            **vars(entry),
            "energy_above_hull": _number(document.get("energy_above_hull")),
            "formation_energy_per_atom": _number(document.get("formation_energy_per_atom")),
            "created": _day(document.get("created_at")),
            "experimental": None if experimental is None else bool(experimental),
            "hash": _digest(document["hash"]) or bytes(HASH_BYTES),
        }
    )


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _day(text: Any) -> int:
    """``2018-08-01T...`` as 20180801; 0 where it says no day."""
    digits = str(text or "")[:10].replace("-", "")
    return int(digits) if len(digits) == 8 and digits.isdecimal() else 0


def _digest(text: Any) -> bytes | None:
    try:
        digest = bytes.fromhex(text)
    except (TypeError, ValueError):
        return None
    return digest if len(digest) == HASH_BYTES else None
