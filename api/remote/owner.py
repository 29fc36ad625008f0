"""What :class:`api.client.Atlas` can do with a store of this machine only: fill it, build it, open its database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pymongo.database import Database

    from api.remote.local import LocalBackend
    from api.remote.protocol import Backend
    from api.service import Service
    from builders.engine.run import Progress, RunSummary
    from store.ingest.ingest import IngestReport
    from store.settings import Settings


class Owner:
    """The part of an Atlas that owns its store."""

    _backend: Backend

    @property
    def settings(self) -> Settings:
        """The settings in force (of this machine's store)."""
        return self._local("settings").settings

    @property
    def service(self) -> Service:
        """The service behind this face (of this machine's store); it answers with plain rows."""
        return self._local("service").service

    @property
    def database(self) -> Database[dict[str, Any]]:
        """The MongoDB database itself (of this machine's store)."""
        return self.service.database

    def ingest(
        self,
        source: str | Path,
        *,
        provider: str | None = None,
        licence: str | None = None,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> IngestReport:
        """Take records in, exactly as they are (see :func:`api.work.ingest_source`); into this machine's store."""
        from api.work import ingest_source

        return ingest_source(self.database, source, provider=provider, licence=licence, progress=progress)

    def build(
        self,
        names: Sequence[str] | None = None,
        *,
        workers: int | None = None,
        cluster: str | None = None,
        retry_failed: bool = False,
        allow_orphans: bool = False,
        limit: int | None = None,
        wait: float = 0.0,
        query: str | None = None,
        ions: Sequence[str] | None = None,
        insert: Sequence[str] | None = None,
        progress: Progress | None = None,
    ) -> list[RunSummary]:
        """Build what is missing or stale in this machine's store.

        Worker processes are spawned: in a script, call this below ``if __name__ == "__main__":``.

        Parameters
        ----------
        names : list of str, optional
            Builders and indexes; all by default.
        workers : int, optional
            Processes; one a core by default.
        cluster : str, optional
            Address of a dask scheduler, or ``local:N``.
        retry_failed, allow_orphans : bool
        limit : int, optional
            Most documents a builder.
        wait : float
            Seconds to wait for another build.
        query : str, optional
            Only what depends on the structures that match this filter.
        ions : list of str, optional
            Only the channels of these ions.
        insert : list of str, optional
            Channels of these ions in what ``query`` names, as hosts that hold none of them.
        progress : builders.engine.run.Progress, optional

        Returns
        -------
        list of builders.engine.run.RunSummary
            Look at ``failed`` and ``refused``: failed items are recorded and raise nothing here.
        """
        from api.builds import matching_materials, run_builds
        from api.work import build_options

        materials = None if query is None else matching_materials(self.database, query)
        options = build_options(
            self.settings,
            workers=workers,
            cluster=cluster,
            retry_failed=retry_failed,
            allow_orphans=allow_orphans,
            limit=limit,
            wait=wait,
            ions=ions,
            insert=insert,
            materials=materials,
        )
        return run_builds(self.database, self.settings, names, options, progress)

    def _local(self, what: str) -> LocalBackend:
        from api.remote.local import LocalBackend

        if not isinstance(self._backend, LocalBackend):
            raise UsageError(
                f"{what} is for a store of this machine, and {self!r} is a server.",
                mend="Atlas() opens this machine's store",
            )
        return self._backend
