"""The Python face: :class:`Atlas`, tables as pandas, crystals as pymatgen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    import pandas as pd
    from pymatgen.core.structure import Structure
    from pymongo.database import Database

    from api.channels.report import ChannelReport
    from api.inverse.report import InverseReport
    from api.migration.report import MigrationReport
    from api.prediction.report import StructurePrediction
    from api.results import Lineage, QueryResult, StoreStatus
    from api.service import Service, StructureKind
    from builders.engine.run import Progress, RunSummary
    from store.crystal import Crystal
    from store.ingest.ingest import IngestReport
    from store.settings import Settings


class Atlas:
    """A store of materials, opened.

    The connection is made at the first question. Without an address and without ``IONATLAS_MONGODB_URI`` that is a
    private server, which is started when it does not run.

    Parameters
    ----------
    uri : str, optional
        Address of a MongoDB server; by default what the settings say.
    database : str, optional
        Name of the database.
    home : str or pathlib.Path, optional
        Folder of the private server and of the indexes.

    Examples
    --------
    >>> with Atlas() as atlas:                                                  # doctest: +SKIP
    ...     table = atlas.query('elements HAS "Li" AND band_gap > 3', sort="energy_above_hull")
    ...     table.attrs["units"]["band_gap"]
    'eV'
    """

    def __init__(self, uri: str | None = None, *, database: str | None = None, home: str | Path | None = None) -> None:
        self._given = {"mongodb_uri": uri, "database": database, "home": home}
        self._settings: Settings | None = None
        self._service: Service | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Atlas(database={self.settings.database!r}, home={str(self.settings.home)!r})"

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        if self._settings is None:
            self._settings = _settings({name: value for name, value in self._given.items() if value is not None})
        return self._settings

    @property
    def service(self) -> Service:
        """The service behind this face; it answers with plain rows."""
        if self._service is None:
            from api.service import Service
            from store.connection import connect

            self._service = Service(connect(self.settings), self.settings)
        return self._service

    @property
    def database(self) -> Database[dict[str, Any]]:
        """The MongoDB database itself."""
        return self.service.database

    def close(self) -> None:
        """Let the connection go; the next question opens it again. The private server runs on."""
        self._service = None

    def query(
        self,
        filter: str | None = None,
        *,
        fields: Sequence[str] | str | None = None,
        sort: str | None = None,
        limit: int | None = 100,
        skip: int = 0,
        include_duplicates: bool = True,
    ) -> pd.DataFrame:
        """Find materials by their properties.

        Parameters are those of :meth:`api.service.Service.query`.

        Returns
        -------
        pandas.DataFrame
            One row a material. ``attrs``: ``units`` and ``meanings`` by column, ``more`` whether further materials match,
            ``total`` their number where it is known.
        """
        return to_frame(
            self.service.query(
                filter, fields=fields, sort=sort, limit=limit, skip=skip, include_duplicates=include_duplicates
            )
        )

    def similar(
        self,
        id_or_formula: str,
        k: int = 10,
        *,
        by: str = "composition",
        filter: str | None = None,
        fields: Sequence[str] | str | None = None,
    ) -> pd.DataFrame:
        """Find the materials most like a material or a formula, nearest first (see :meth:`api.service.Service.similar`)."""
        return to_frame(self.service.similar(id_or_formula, k, by=by, filter=filter, fields=fields))

    def structure(self, id: str, kind: StructureKind = "standard") -> Structure:
        """Return the crystal of a material: its ``standard`` or ``primitive`` cell, or the record as ``given``."""
        return self.service.structure(id, kind).to_pymatgen()

    def channels(
        self, source: str | Path | Crystal | Structure, ion: str | None = None, *, threshold: float | None = None
    ) -> ChannelReport:
        """Find the voids and channels that a material offers an ion (see :func:`api.channels.channels`)."""
        from api.channels import channels

        # A file needs no store: the connection is made where an id is looked up.
        return channels(source, ion, threshold=threshold, service=lambda: self.service)

    def migration_energy(self, source: str | Path | Crystal | Structure, ion: str | None = None) -> MigrationReport:
        """Predict what it costs an ion to cross a material (see :func:`api.migration.migration_energy`)."""
        from api.migration import migration_energy

        return migration_energy(source, ion, service=lambda: self.service)

    def predict_structure(
        self, formula: str | Mapping[str, float], top: int = 10, **options: Any
    ) -> StructurePrediction:
        """Predict which crystal structures a composition may take (see :func:`api.prediction.predict_structure`)."""
        from api.prediction import predict_structure

        return predict_structure(formula, top, **options, service=lambda: self.service)

    def inverse(self, source: str | Path | Crystal | Structure, k: int = 20, **options: Any) -> InverseReport:
        """Find compositions that could take a structure (see :func:`api.inverse.inverse`)."""
        from api.inverse import inverse

        return inverse(source, k, **options, service=lambda: self.service)

    def barriers(
        self,
        ion: str | None = None,
        *,
        material: str | None = None,
        framework: str | None = None,
        below: float | None = None,
        above: float | None = None,
        dft: bool | None = None,
        sort: str = "barrier",
        limit: int | None = None,
    ) -> pd.DataFrame:
        """Find computed migration barriers (see :func:`api.barriers.find_barriers`)."""
        from api.barriers import Wanted, find_barriers

        wanted = Wanted(ion, material, framework, below, above, dft)
        return to_frame(find_barriers(self.service, wanted, sort=sort, limit=limit))

    def show(self, id: str) -> dict[str, Any]:
        """Collect all documents about a material (see :meth:`api.service.Service.show`)."""
        return self.service.show(id)

    def why(self, id: str, field: str) -> Lineage:
        """Tell where a value comes from, back to the file it was read from."""
        return self.service.why(id, field)

    def status(self) -> StoreStatus:
        """Tell what is in the store, how the last builds ended, how the indexes stand."""
        return self.service.status()

    def fields(self) -> pd.DataFrame:
        """List the fields that can be asked for, with unit, type, meaning and source."""
        import pandas as pd

        from store.fields import candidate_fields

        names = ("name", "unit", "type", "meaning", "source", "sortable", "indexed")
        rows = [{name: getattr(field, name) for name in names} for field in candidate_fields()]
        return pd.DataFrame(rows).set_index("name")

    def ingest(
        self,
        source: str | Path,
        *,
        provider: str | None = None,
        licence: str | None = None,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> IngestReport:
        """Take records in, exactly as they are (see :func:`api.work.ingest_source`)."""
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
        """Build what is missing or stale.

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


def to_frame(result: QueryResult) -> pd.DataFrame:
    """Make a DataFrame of an answer; units and meanings stand in ``attrs``.

    Examples
    --------
    >>> from api.results import QueryResult
    >>> from store.fields import FIELDS
    >>> frame = to_frame(QueryResult([{"density": 5.3}], [FIELDS["density"]], 1, False, 0.0))
    >>> frame.attrs["units"]
    {'density': 'g/cm^3'}
    """
    import pandas as pd

    names = [field.name for field in result.fields]
    frame = pd.DataFrame(result.rows, columns=names)
    for field in result.fields:
        # A column of a type of its own even where every value is unknown, or there is no row.
        kind = {"integer": "Int64", "float": "float64", "boolean": "boolean"}.get(field.type)
        if kind is not None:
            frame[field.name] = frame[field.name].astype(kind)
    frame.attrs["units"] = {field.name: field.unit for field in result.fields if field.unit}
    frame.attrs["meanings"] = {field.name: field.meaning for field in result.fields}
    frame.attrs["more"] = result.more
    frame.attrs["total"] = result.total
    if result.note:
        frame.attrs["note"] = result.note
    return frame


def _settings(given: dict[str, Any]) -> Settings:
    from pydantic import ValidationError

    from store.settings import Settings, load_settings

    load_settings()  # the environment's own faults, told by their variables' names
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = {"mongodb_uri": "uri"}.get(str(first["loc"][0]), str(first["loc"][0]))
        raise UsageError(
            f"Atlas cannot use {name}={first.get('input')!r}: {first['msg']}.", mend="give a value that fits"
        ) from None
