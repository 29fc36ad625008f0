"""The Python face: :class:`Atlas`, tables as pandas, crystals as pymatgen, from this machine's store or a server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from api.remote.frames import bucket_frame, to_frame
from api.remote.owner import Owner
from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    import pandas as pd
    from pymatgen.core.structure import Structure

    from api.channels.report import ChannelReport
    from api.inverse.report import InverseReport
    from api.migration.report import MigrationReport
    from api.prediction.report import StructurePrediction
    from api.remote.protocol import Backend
    from api.remote.reports import RemoteChannels, RemoteInverse, RemoteMigration, RemotePrediction
    from api.results import Lineage, QueryResult, StoreStatus
    from api.service import StructureKind
    from store.crystal import Crystal

__all__ = ["Atlas", "to_frame"]

PAGE: Final = 1000
"""Rows of a page where none are named."""


class Atlas(Owner):
    """A store of materials: this machine's, or one that a server offers.

    The connection is made at the first question. Without an address and without ``IONATLAS_MONGODB_URI`` the store is that of
    a private MongoDB server, which is started when it does not run.

    Parameters
    ----------
    uri : str, optional
        Address of an ionatlas server (``https://host``), or of a MongoDB server (``mongodb://host``); by default what the
        settings say.
    database : str, optional
        Name of the MongoDB database.
    home : str or pathlib.Path, optional
        Folder of the private MongoDB server and of the indexes.
    api_key : str, optional
        For an ionatlas server; by default the variable ``IONATLAS_API_KEY``. It is sent to that server alone and stands in no
        message.
    cache : str or pathlib.Path, optional
        For an ionatlas server: a folder in which its answers are kept. They are asked for again only if they changed, and
        given with a warning where the server cannot be reached.

    Examples
    --------
    >>> with Atlas() as atlas:                                                  # doctest: +SKIP
    ...     table = atlas.query('elements HAS "Li" AND band_gap > 3', sort="energy_above_hull")
    ...     table.attrs["units"]["band_gap"]
    'eV'
    >>> Atlas("https://atlas.example.org", api_key="ia_...")                    # doctest: +SKIP
    Atlas('https://atlas.example.org')
    """

    def __init__(
        self,
        uri: str | None = None,
        *,
        database: str | None = None,
        home: str | Path | None = None,
        api_key: str | None = None,
        cache: str | Path | None = None,
    ) -> None:
        if uri is not None and uri.lower().startswith(("http://", "https://")):
            _none_of(uri, database=database, home=home)
            from api.remote.server import ServerBackend

            self._backend: Backend = ServerBackend(uri, api_key=api_key, cache=cache)
        else:
            if api_key is not None or cache is not None:
                raise UsageError(
                    "api_key and cache are for an ionatlas server.",
                    mend='Atlas("https://host", api_key=..., cache=...)',
                )
            from api.remote.local import LocalBackend

            self._backend = LocalBackend({"mongodb_uri": uri, "database": database, "home": home})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Atlas({self._backend.describe()})"

    def close(self) -> None:
        """Let connections go; the next question opens them again. A private MongoDB server runs on."""
        self._backend.close()

    def query(
        self,
        filter: str | None = None,
        *,
        fields: Sequence[str] | str | None = None,
        sort: str | None = None,
        limit: int | None = 100,
        skip: int = 0,
        include_duplicates: bool = True,
        count: bool = False,
        after: str | None = None,
    ) -> pd.DataFrame:
        """Find materials by their properties.

        Parameters are those of :meth:`api.service.Service.query`.

        Returns
        -------
        pandas.DataFrame
            One row a material. ``attrs``: ``units`` and ``meanings`` by column, ``more`` whether further materials match,
            ``total`` their number where it is known, ``next`` what to give as ``after`` for the rows behind these.
        """
        return to_frame(self._query(filter, fields, sort, limit, skip, include_duplicates, count, after))

    def pages(
        self,
        filter: str | None = None,
        *,
        fields: Sequence[str] | str | None = None,
        sort: str | None = None,
        size: int = PAGE,
        include_duplicates: bool = True,
    ) -> Iterator[pd.DataFrame]:
        """Yield all materials that match a filter, page by page; a page is asked for when it is reached.

        Pages go on behind the last row of the one before: what is written in between moves no row from page to page.

        Parameters
        ----------
        filter, fields, sort, include_duplicates
            As in :meth:`query`.
        size : int
            Rows a page.

        Yields
        ------
        pandas.DataFrame
        """
        for result in self._pages(filter, fields, sort, size, include_duplicates):
            yield to_frame(result)

    def rows(
        self,
        filter: str | None = None,
        *,
        fields: Sequence[str] | str | None = None,
        sort: str | None = None,
        include_duplicates: bool = True,
    ) -> Iterator[dict[str, Any]]:
        """Yield all materials that match a filter, one dictionary each, as :meth:`pages` reads them."""
        for result in self._pages(filter, fields, sort, PAGE, include_duplicates):
            yield from result.rows

    def get(self, id: str, fields: Sequence[str] | str | None = None) -> dict[str, Any]:
        """Return one material: what is known of it, or the fields that are named (None where unknown).

        Raises
        ------
        UnknownId
            There is no such material; the message names near ids.
        """
        row = self._backend.get(id, fields)
        return row if fields is not None else {name: value for name, value in row.items() if value not in (None, [])}

    def get_many(self, ids: Sequence[str], fields: Sequence[str] | str | None = None) -> pd.DataFrame:
        """Return some materials in the order of their ids; ``attrs["missing"]`` names those that are not there."""
        found = self._backend.get_many(list(ids), fields)
        frame = to_frame(found)
        frame.attrs["missing"] = list(found.missing)
        return frame

    def aggregate(
        self,
        filter: str | None = None,
        *,
        group_by: str | Sequence[str] | None = None,
        histogram: str | None = None,
        bins: int | Sequence[float] | None = None,
        value: str | None = None,
        top: int = 50,
    ) -> pd.DataFrame:
        """Count the materials that match a filter: all, by the values of fields, or by intervals of a number.

        Parameters are those of :meth:`api.service.Service.aggregate`.

        Returns
        -------
        pandas.DataFrame
            One row a group (a column a field) or an interval (``low``, ``high``), with ``count``, and with ``value`` its
            ``minimum``, ``maximum`` and ``mean``. ``attrs``: ``kind``, ``total`` of all that match, ``unknown`` of them without
            the field, ``units``.
        """
        options = {"group_by": group_by, "histogram": histogram, "bins": bins, "value": value, "top": top}
        return bucket_frame(self._backend.aggregate(filter, **options))

    def export(
        self,
        filter: str | None = None,
        *,
        to: str | Path | None = None,
        fields: Sequence[str] | str | None = "all",
        format: str | None = None,
        limit: int | None = None,
    ) -> Path | Iterable[bytes]:
        """Write all materials that match a filter to a file, or stream them.

        Parameters
        ----------
        filter, fields
            As in :meth:`query`; all fields by default.
        to : str or pathlib.Path, optional
            The file, which is there whole or not at all; without it the bytes are given one piece after another.
        format : {"jsonl", "csv", "parquet"}, optional
            By default what the file's name ends with, or JSON Lines.
        limit : int, optional
            Most rows.

        Returns
        -------
        pathlib.Path or iterable of bytes
        """
        ending = "" if to is None else Path(to).suffix.lstrip(".").lower()
        chosen = format or (ending if ending in ("jsonl", "csv", "parquet") else "jsonl")
        stream = self._backend.export(filter, fields=fields, format=chosen, limit=limit)
        if to is None:
            return stream
        from api.whole_files import written_whole

        with written_whole(Path(to)) as part, part.open("wb") as file:
            file.writelines(stream)
        return Path(to)

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
        return to_frame(self._backend.similar(id_or_formula, k, by, filter, fields))

    def structure(self, id: str, kind: StructureKind = "standard") -> Structure:
        """Return the crystal of a material: its ``standard`` or ``primitive`` cell, or the record as ``given``."""
        return self._backend.structure(id, kind).to_pymatgen()

    def channels(
        self, source: str | Path | Crystal | Structure, ion: str | None = None, *, threshold: float | None = None
    ) -> ChannelReport | RemoteChannels:
        """Find the voids and channels that a material offers an ion (see :func:`api.channels.channels`)."""
        return self._backend.channels(source, ion, threshold)

    def migration_energy(
        self, source: str | Path | Crystal | Structure, ion: str | None = None
    ) -> MigrationReport | RemoteMigration:
        """Predict what it costs an ion to cross a material (see :func:`api.migration.migration_energy`)."""
        return self._backend.migration_energy(source, ion)

    def predict_structure(
        self, formula: str | Mapping[str, float], top: int = 10, **options: Any
    ) -> StructurePrediction | RemotePrediction:
        """Predict which crystal structures a composition may take (see :func:`api.prediction.predict_structure`)."""
        return self._backend.predict_structure(formula, top, **options)

    def inverse(
        self, source: str | Path | Crystal | Structure, k: int = 20, **options: Any
    ) -> InverseReport | RemoteInverse:
        """Find compositions that could take a structure (see :func:`api.inverse.inverse`)."""
        return self._backend.inverse(source, k, **options)

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
        """Find computed migration barriers (see :func:`api.barriers.find_barriers`); of this machine's store."""
        from api.barriers import Wanted

        return to_frame(self._backend.barriers(Wanted(ion, material, framework, below, above, dft), sort, limit))

    def show(self, id: str) -> dict[str, Any]:
        """Collect all documents about a material (see :meth:`api.service.Service.show`)."""
        return self._backend.show(id)

    def why(self, id: str, field: str) -> Lineage:
        """Tell where a value comes from, back to the file it was read from."""
        return self._backend.why(id, field)

    def status(self) -> StoreStatus:
        """Tell what is in the store, how the last builds ended, how the indexes stand."""
        return self._backend.status()

    def fields(self) -> pd.DataFrame:
        """List the fields that can be asked for, with unit, type, meaning and source."""
        import pandas as pd

        names = ("name", "unit", "type", "meaning", "source", "sortable", "indexed")
        rows = [{name: getattr(field, name) for name in names} for field in self._backend.fields()]
        return pd.DataFrame(rows, columns=list(names)).set_index("name")

    def _query(
        self,
        filter: str | None,
        fields: Sequence[str] | str | None,
        sort: str | None,
        limit: int | None,
        skip: int,
        include_duplicates: bool,
        count: bool,
        after: str | None,
    ) -> QueryResult:
        from api.remote.protocol import Query

        return self._backend.query(Query(filter, fields, sort, limit, skip, include_duplicates, count, after))

    def _pages(
        self,
        filter: str | None,
        fields: Sequence[str] | str | None,
        sort: str | None,
        size: int,
        include_duplicates: bool,
    ) -> Iterator[QueryResult]:
        after: str | None = None
        while True:
            result = self._query(filter, fields, sort, size, 0, include_duplicates, False, after)
            if result.rows or after is None:
                yield result
            after = result.next
            if after is None:
                return


def _none_of(uri: str, **given: object) -> None:
    named = [name for name, value in given.items() if value is not None]
    if named:
        raise UsageError(f"{uri} is a server, which has its own {' and '.join(named)}.", mend="leave them out")
