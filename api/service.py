"""The service: every use of the store once, so that Python, the command line and HTTP stay thin faces.

Reads only. Every query has a time limit and an order that is the same each time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from api.opened import SECONDS, Opened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.completion import Suggestion
    from api.exporting import Export
    from api.results import Aggregation, Lineage, QueryResult, StoreStatus
    from store.crystal import Crystal
    from store.errors import UnknownId

__all__ = ["COUNT_SECONDS", "DEFAULT_FIELDS", "SECONDS", "Service", "StructureKind"]

StructureKind = Literal["standard", "primitive", "given"]

COUNT_SECONDS: Final = 2.0
"""Time that MongoDB may spend on counting, s; after that the number is left unsaid."""

DEFAULT_FIELDS: Final = (
    "id",
    "name",
    "formula",
    "space_group_symbol",
    "energy_above_hull",
    "band_gap",
    "density",
)
"""Columns when none are named; those that the filter and the order mention come along."""


class Service(Opened):
    """Questions to one store.

    Parameters
    ----------
    database : pymongo.database.Database
    settings : store.settings.Settings
        Whose ``home`` holds the index snapshots.

    Examples
    --------
    >>> from store.connection import connect                                    # doctest: +SKIP
    >>> from store.settings import load_settings                                # doctest: +SKIP
    >>> settings = load_settings()                                              # doctest: +SKIP
    >>> Service(connect(settings), settings).query("band_gap > 5").rows[0]      # doctest: +SKIP
    {'id': 'mp-1009', ...}
    """

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
    ) -> QueryResult:
        """Find the materials that match a filter.

        Parameters
        ----------
        filter : str, optional
            In the OPTIMADE language and a little more (docs/query.md), e.g. ``elements HAS "Li" AND band_gap > 3``; None for
            all materials. With ``SIMILAR TO`` in it, rows carry ``distance`` and stand nearest first unless ordered
            otherwise; the answer is exact.
        fields : list of str, or str with commas, or "all", optional
            Columns; by default a few common ones and those that the filter and the order mention. ``li_*`` stands for all
            fields that begin so; ``all`` leaves out those of ions that no row has.
        sort : str, optional
            Fields with commas, ``-`` before a descending one: ``-density,formula``. Ties, and everything when nothing is
            named, stand in the order of ids. Materials without a value come last, whatever the direction.
        limit : int or None
            Most rows; None for all.
        skip : int
            Rows to leave out at the beginning.
        include_duplicates : bool
            Whether to list materials that repeat another one's crystal.
        count : bool
            Count all matches, unless that takes over 2 s.
        after : str, optional
            The ``next`` of the page before, with the same filter and order: its rows follow, whatever was written in between.

        Returns
        -------
        QueryResult

        Raises
        ------
        FilterError, UnknownField
            The filter, a column or the order cannot be understood.
        UsageError
            A negative limit or skip; a cursor that is broken or belongs to another question.
        DatabaseError
            The query took over 30 s, or MongoDB refused it.
        """
        from api import finding

        return finding.query(
            self,
            finding.Question(filter, fields, sort, limit, skip, include_duplicates, count, after),
        )

    def get(self, id: str, fields: Sequence[str] | str | None = None) -> dict[str, Any]:
        """Return one material's row.

        Parameters
        ----------
        id : str
        fields : optional
            As in :meth:`query`; by default all, but for those of ions whose channels are not known here.

        Raises
        ------
        UnknownId
            There is no such material, or it is not built.
        """
        from api import finding

        return finding.get(self, id, fields)

    def get_many(self, ids: Sequence[str], fields: Sequence[str] | str | None = None) -> QueryResult:
        """Return the rows of some materials in the order of their ids; ``missing`` names the ids that are not there.

        Raises
        ------
        UsageError
            Over 100,000 ids.
        """
        from api import finding

        return finding.get_many(self, ids, fields)

    def aggregate(
        self,
        filter: str | None = None,
        *,
        group_by: str | Sequence[str] | None = None,
        histogram: str | None = None,
        bins: int | Sequence[float] | None = None,
        value: str | None = None,
        top: int = 50,
        include_duplicates: bool = True,
    ) -> Aggregation:
        """Count the materials that match a filter: all, by the values of fields, or by intervals of a number.

        Parameters
        ----------
        filter : str, optional
            As in :meth:`query`. ``SIMILAR TO`` needs its ``WITHIN`` here.
        group_by : str or list of str, optional
            Fields that hold text, whole numbers, TRUE or FALSE, or lists, of which each item counts.
        histogram : str, optional
            A field that holds numbers.
        bins : int or list of float, optional
            How many intervals of equal width from the smallest to the largest value (20), or the edges.
        value : str, optional
            A field that holds numbers, of which each bucket tells the smallest, the largest and the mean.
        top : int
            Most groups, the largest first.
        include_duplicates : bool

        Returns
        -------
        Aggregation
            Kept until the candidates change: asked again, it is there at once.

        Raises
        ------
        FilterError, UnknownField, UsageError
        """
        from api import aggregate

        asked = aggregate.Asked(filter, group_by, histogram, bins, value, top, include_duplicates)
        return aggregate.aggregate(self, asked)

    def export(
        self,
        filter: str | None = None,
        *,
        fields: Sequence[str] | str | None = "all",
        format: str = "jsonl",
        sort: str | None = None,
        limit: int | None = None,
        include_duplicates: bool = True,
    ) -> Export:
        """Stream all materials that match a filter as JSON Lines, CSV or Parquet.

        Parameters
        ----------
        filter, fields, sort, include_duplicates
            As in :meth:`query`; by default all fields, in the order of ids.
        format : {"jsonl", "csv", "parquet"}
        limit : int, optional
            Most rows.

        Returns
        -------
        Export
            Gives bytes when iterated, once. ``total`` is known before; ``rows`` counts along; ``manifest`` (filter, time,
            fields with units and meanings, licences of the records, count, SHA-256) is whole when all was read.

        Raises
        ------
        FilterError, UnknownField, UsageError
            Here, before the first byte.
        """
        from api.exporting import Export, Wanted

        return Export(self, Wanted(filter, fields, format, sort, limit, include_duplicates))

    def complete(self, text: str) -> list[Suggestion]:
        """Suggest how a filter may go on behind its last word: fields, operators, values, units, with what they mean.

        Parameters
        ----------
        text : str
            The filter up to the cursor.
        """
        from api.completion import complete

        return complete(text)

    def similar(
        self,
        id_or_formula: str,
        k: int = 10,
        *,
        by: str = "composition",
        filter: str | None = None,
        fields: Sequence[str] | str | None = None,
        files: bool = True,
    ) -> QueryResult:
        """Find the materials most like a material or a formula.

        Parameters
        ----------
        id_or_formula : str
            An id of the store, a formula, which need not be in it, or a file with a structure.
        k : int
            How many.
        by : str
            ``composition``: Euclidean distance of the composition statistics. ``structure``: of the arrangement of atoms,
            whatever the elements and the volume.
        filter : str, optional
            Only among the materials that match it; the answer is exact (the filter is applied before the search).
        fields : optional
            Further columns, as in :meth:`query`.
        files : bool
            Whether a file of this machine may be named; what answers other machines says no.

        Returns
        -------
        QueryResult
            Rows with ``distance``, nearest first. The material itself is left out.

        Raises
        ------
        UnknownId
            Neither an id nor a formula.
        SnapshotMissing
            The index was not built yet.
        """
        from api import likeness

        return likeness.similar(self, id_or_formula, k, by=by, filter_text=filter, fields=fields, files=files)

    def show(self, id: str) -> dict[str, Any]:
        """Collect all documents about a material.

        Returns
        -------
        dict
            ``id``, ``candidate``, ``source`` (without the bytes, with their ``size``), ``structure``, ``duplicates``,
            ``embeddings`` (without the vectors), ``channels`` and ``topology`` (without the arrays), ``predictions``,
            ``barrier`` (of a hop), ``barriers`` (of a material's hops; without the arrays), ``conductivity_predictions``,
            ``conductivities`` (of this record, or measured on this material, without the structures), ``failures``; None or
            empty for what there is not.

        Raises
        ------
        UnknownId
            No collection has it; the message names near ids.
        """
        from api.records import show

        return show(self, id)

    def structure(self, id: str, kind: StructureKind = "standard") -> Crystal:
        """Return the crystal of a material.

        Parameters
        ----------
        id : str
        kind : {"standard", "primitive", "given"}
            The standardised conventional cell, the standardised primitive cell, or the record as it was given (of a hop:
            its initial end).

        Returns
        -------
        store.crystal.Crystal

        Raises
        ------
        UnknownId
            There is no such record.
        UsageError
            Its structure was not built, or could not be; the message tells why.
        """
        from api.records import structure

        return structure(self, id, kind)

    def why(self, id: str, field: str) -> Lineage:
        """Tell where a value comes from, back to the record and the place it was read from.

        Raises
        ------
        UnknownField, UnknownId
        """
        from api.lineage import trace

        return trace(self, id, field)

    def status(self) -> StoreStatus:
        """Tell what is in the store: collections, last builds, failures, indexes."""
        from api.overview import status

        return status(self)

    def stats(self) -> dict[str, int]:
        """Count the materials that hold each element.

        Returns
        -------
        dict of str to int
            By element symbol, elements that occur.
        """
        from api.overview import element_counts

        return element_counts(self)

    def unknown_id(self, id: str) -> UnknownId:
        """Make the error for an id that is not there, with near ones."""
        from api.records import unknown_id

        return unknown_id(self, id)

    def warm(self) -> None:
        """Load what the first questions would wait for: fields that pages count by, indexes. Takes seconds; for a thread."""
        from api.warming import warm

        warm(self)
