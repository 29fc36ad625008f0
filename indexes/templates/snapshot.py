"""The template library of a store: a snapshot on disk, brought up to date with the collection ``structures`` by content hash.

The collection is the truth, the snapshot a cache of it that can always be made anew. Ordered structures become templates;
what changed is found by comparing the content hash of every document with that of every template, and only that is fetched
and computed again. The files are written anew each time (150 MB for 147,000 templates, a second).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from indexes.segments import (
    Manifest,
)
from indexes.snapshot import SnapshotStore
from indexes.templates.arrays import N_DISTANCES, Table
from indexes.templates.files import NAME, read_table, write_table
from indexes.templates.library import TemplateLibrary
from store.errors import SnapshotDamaged

if TYPE_CHECKING:
    from pathlib import Path

    from store.settings import Settings

IDENTITY: Final = "templates/1"
"""How templates are made of documents; raised by hand when the same document gives another template."""


class TemplateStore(SnapshotStore):
    """Snapshots of a template library: generations, lock and CURRENT as in :class:`indexes.snapshot.SnapshotStore`.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the indexes of one database.
    """

    def __init__(self, folder: Path, *, lock_seconds: float = 60.0) -> None:
        super().__init__(folder, NAME, lock_seconds=lock_seconds)

    def table(self, *, verify: bool = False) -> tuple[Manifest, Table]:
        """Map the current generation.

        Raises
        ------
        SnapshotMissing, SnapshotDamaged
        """

        def read(manifest: Manifest) -> tuple[Manifest, Table]:
            try:
                (segment,) = manifest.segments
            except ValueError:
                raise SnapshotDamaged(
                    f"The template library {self.root} is not in one piece.", mend="ionatlas build"
                ) from None
            return manifest, read_table(self.root, segment, verify=verify)

        return self._stable(read)

    def library(self, *, verify: bool = False) -> TemplateLibrary:
        """Open the current generation.

        Raises
        ------
        SnapshotMissing, SnapshotDamaged
        """
        manifest, table = self.table(verify=verify)
        return TemplateLibrary(table, manifest.generation)

    def publish_table(self, table: Table, *, revision: str | None = None) -> Manifest:
        """Write a new generation and make it current in one step; the one before it is kept.

        Raises
        ------
        BuildRunning, DataFolderError
        """
        count = len(table.ids)
        plan = Manifest(NAME, 0, IDENTITY, "l2", N_DISTANCES, count, revision, "", ())
        with self.writing():
            return self._write(plan, [], lambda folder, name: write_table(folder, name, table), count)


class OpenLibrary:
    """The library of a store, kept open, and opened again when another generation became current.

    May be used from several threads.

    Parameters
    ----------
    store : TemplateStore
    """

    def __init__(self, store: TemplateStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._open: tuple[bytes | None, TemplateLibrary] | None = None

    def current(self) -> TemplateLibrary:
        """The library as it is now.

        Raises
        ------
        SnapshotMissing, SnapshotDamaged
        """
        with self._lock:
            token = self._store.token()
            if self._open is None or self._open[0] != token:
                # The token was read first: what is published while we read is found by the next question.
                self._open = (token, self._store.library())
            return self._open[1]


def template_store(settings: Settings) -> TemplateStore:
    """The snapshots of a store's templates: ``indexes/<database>/templates`` of the settings' home."""
    return TemplateStore(settings.home / "indexes" / settings.database)


def open_library(settings: Settings) -> OpenLibrary:
    """Open the template library of a store (keep what is returned).

    Examples
    --------
    >>> open_library(load_settings()).current().ids                             # doctest: +SKIP
    ['mp-19017', ...]
    """
    return OpenLibrary(template_store(settings))
