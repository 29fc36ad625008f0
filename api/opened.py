"""What a service holds open: the database, and the indexes that were asked for, loaded once and kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from api.standing import Kept
from store.errors import DatabaseError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pymongo.database import Database

    from indexes.inverse.space import CompositionSpace
    from indexes.similarity import SimilarityIndex
    from indexes.templates.library import TemplateLibrary
    from indexes.templates.snapshot import OpenLibrary
    from store.settings import Settings

T = TypeVar("T")

SECONDS: Final = 30.0
"""Time that MongoDB may spend on one query, s."""


class Opened:
    """A store, opened.

    Parameters
    ----------
    database : pymongo.database.Database
    settings : store.settings.Settings
        Whose ``home`` holds the index snapshots.

    Attributes
    ----------
    kept, kept_rows : api.standing.Kept
        What was worked out about the candidates, and which of them match a filter, until they change.
    """

    def __init__(self, database: Database[dict[str, Any]], settings: Settings) -> None:
        self.database = database
        self.settings = settings
        self._indexes: dict[str, SimilarityIndex] = {}
        self._library: OpenLibrary | None = None
        self._compositions: CompositionSpace | None = None
        self.kept = Kept()
        self.kept_rows = Kept(64)

    def call(self, operation: Callable[[Database[dict[str, Any]]], T]) -> T:
        """Run a read, again if the connection was lost, and put MongoDB's refusals into words."""
        from pymongo.errors import ExecutionTimeout, PyMongoError

        from store.connection import is_disconnect, retry_on_disconnect

        try:
            try:
                return operation(self.database)
            except PyMongoError as error:
                if not is_disconnect(error):
                    raise
                return retry_on_disconnect(operation, self.settings)
        except ExecutionTimeout:
            raise DatabaseError(
                f"The query took longer than {SECONDS:.0f} s and was stopped.",
                mend="narrow the filter, or filter and sort by fields with an index (ionatlas fields shows them)",
            ) from None
        except UnicodeEncodeError:
            raise UsageError("A broken character was given.", mend="write it in UTF-8") from None
        except PyMongoError as error:
            raise DatabaseError(f"MongoDB refused the query: {error}.", mend="ionatlas db status") from error

    def index(self, name: str) -> SimilarityIndex:
        """Return an index, loaded at its first question and kept.

        Raises
        ------
        UsageError
            There is no such index.
        """
        if name not in self._indexes:
            from indexes.registry import similarity_index

            # Two threads may both get here; either object serves, and setdefault keeps one.
            self._indexes.setdefault(name, similarity_index(name, self.settings))
        return self._indexes[name]

    def templates(self) -> TemplateLibrary:
        """Return the template library, opened at the first question and anew when another was published.

        Raises
        ------
        SnapshotMissing
            It was not built yet.
        """
        if self._library is None:
            from indexes.templates.snapshot import open_library

            self._library = open_library(self.settings)
        return self._library.current()

    def compositions(self) -> CompositionSpace:
        """Return the compositions of the template library, for inverse retrieval.

        Raises
        ------
        SnapshotMissing
            The library was not built yet.
        """
        library = self.templates()
        if self._compositions is None or self._compositions.library is not library:
            from indexes.inverse.space import CompositionSpace

            self._compositions = CompositionSpace(library)
        return self._compositions
