"""The service: every use of the store once, so that Python, the command line and HTTP stay thin faces.

Reads only. Every query has a time limit and an order that is the same each time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from store.errors import DatabaseError, UnknownId, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pymongo.database import Database

    from api.results import Lineage, QueryResult, StoreStatus
    from indexes.inverse.space import CompositionSpace
    from indexes.similarity import SimilarityIndex
    from indexes.templates.library import TemplateLibrary
    from indexes.templates.snapshot import OpenLibrary
    from store.crystal import Crystal
    from store.settings import Settings

T = TypeVar("T")
StructureKind = Literal["standard", "primitive", "given"]

SECONDS: Final = 30.0
"""Time that MongoDB may spend on one query, s."""

COUNT_SECONDS: Final = 2.0
"""Time that it may spend on counting, s; after that the number is left unsaid."""

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


class Service:
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

    def __init__(self, database: Database[dict[str, Any]], settings: Settings) -> None:
        self.database = database
        self.settings = settings
        self._indexes: dict[str, SimilarityIndex] = {}
        self._library: OpenLibrary | None = None
        self._compositions: CompositionSpace | None = None

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
    ) -> QueryResult:
        """Find the materials that match a filter.

        Parameters
        ----------
        filter : str, optional
            In the OPTIMADE language, e.g. ``elements HAS "Li" AND band_gap > 3``; None for all materials.
        fields : list of str, or str with commas, or "all", optional
            Columns; by default a few common ones and those that the filter and the order mention. ``li_*`` stands for all
            fields that begin so; ``all`` leaves out those of ions that no row has.
        sort : str, optional
            Fields with commas, ``-`` before a descending one: ``-density,formula``. Ties, and everything when nothing is
            named, stand in the order of ids. Materials without a value for the first field come last.
        limit : int or None
            Most rows; None for all.
        skip : int
            Rows to leave out at the beginning.
        include_duplicates : bool
            Whether to list materials that repeat another one's crystal.
        count : bool
            Count all matches, unless that takes over 2 s.

        Returns
        -------
        QueryResult

        Raises
        ------
        FilterError, UnknownField
            The filter, a column or the order cannot be understood.
        UsageError
            A negative limit or skip.
        DatabaseError
            The query took over 30 s, or MongoDB refused it.
        """
        from api import finding

        return finding.query(
            self,
            finding.Question(filter, fields, sort, limit, skip, include_duplicates, count),
        )

    def similar(
        self,
        id_or_formula: str,
        k: int = 10,
        *,
        by: str = "composition",
        filter: str | None = None,
        fields: Sequence[str] | str | None = None,
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

        return likeness.similar(self, id_or_formula, k, by=by, filter_text=filter, fields=fields)

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

        def read(database: Database[dict[str, Any]]) -> dict[str, Any]:
            return {
                "id": id,
                "candidate": database["candidates"].find_one({"_id": id}),
                "source": _source(database, id),
                "structure": database["structures"].find_one({"_id": id}, {"invariants": 0}),
                "duplicates": database["duplicates"].find_one({"clusters.members": id}),
                "embeddings": list(database["embeddings"].find({"material": id}, {"vector": 0}, sort=[("_id", 1)])),
                "channels": list(database["channels"].find({"material": id}, {"arrays": 0}, sort=[("_id", 1)])),
                "predictions": list(database["predictions"].find({"material": id}, sort=[("_id", 1)])),
                "barrier": database["barriers"].find_one({"_id": id}, _NO_ARRAYS),
                "barriers": list(
                    database["barriers"].find({"materials.material": id}, _NO_ARRAYS, sort=[("barrier", 1)])
                ),
                "topology": list(database["topology"].find({"material": id}, {"arrays": 0}, sort=[("_id", 1)])),
                "conductivity_predictions": list(
                    database["conductivity_predictions"].find({"material": id}, sort=[("_id", 1)])
                ),
                "conductivities": list(
                    database["conductivities"].find(
                        {"$or": [{"_id": id}, {"materials.material": id}]}, {"structure": 0}, sort=[("_id", 1)]
                    )
                ),
                "failures": list(
                    database["build_state"].find({"_id": {"$in": _failure_ids(database, id)}}, sort=[("_id", 1)])
                ),
            }

        found = self.call(read)
        if found["source"] is None and found["candidate"] is None and found["structure"] is None:
            raise self.unknown_id(id)
        return found

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
        from store.crystal import Crystal

        if kind == "given":
            from store.ingest.kinds import CONDUCTIVITY_FORMATS, HOP_FORMATS
            from store.ingest.readers import read_conductivity, read_hop, read_record

            projection = {"format": 1, "content": 1}
            source = self.call(lambda database: database["sources"].find_one({"_id": id}, projection))
            if source is None:
                raise self.unknown_id(id)
            if source["format"] in HOP_FORMATS:
                return read_hop(source["format"], source["content"]).initial()
            if source["format"] in CONDUCTIVITY_FORMATS:
                crystal = read_conductivity(source["format"], source["content"]).crystal
                if crystal is None:
                    raise UsageError(
                        f"{id} is a measured conductivity without a structure.",
                        mend=f"ionatlas show {id} shows what is known of it",
                    )
                return crystal
            return read_record(source["format"], source["content"]).crystal
        if kind not in ("standard", "primitive"):
            raise UsageError(f"There is no kind {kind!r} of cell.", mend="ask for standard, primitive or given")
        document = self.call(lambda database: database["structures"].find_one({"_id": id}, {kind: 1}))
        if document is None:
            raise self._no_structure(id)
        return Crystal.from_document(document[kind])

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

    def unknown_id(self, id: str) -> UnknownId:
        """Make the error for an id that is not there, with near ones."""
        hints = self.call(lambda database: _near_ids(database, id))
        near = f" Near: {', '.join(hints)}." if hints else ""
        return UnknownId(
            f"There is no material {id!r}.{near}", mend="ionatlas query 'formula = \"LiFePO4\"' finds ids by formula"
        )

    def _no_structure(self, id: str) -> UsageError:
        from store.ingest.kinds import kind_of

        state = {"_id": f"structures/{id}"}
        failure = self.call(lambda database: database["build_state"].find_one(state, {"error": 1}))
        if failure is not None:
            error = failure["error"]
            return UsageError(
                f"The structure of {id} could not be built: {error['type']}: {error['message']}",
                mend=f"ionatlas show {id} shows the record; once it is mended: ionatlas ingest, ionatlas build",
            )
        source = self.call(lambda database: database["sources"].find_one({"_id": id}, {"format": 1}))
        if source is None:
            return self.unknown_id(id)
        if kind_of(source["format"]) == "conductivity":
            return UsageError(
                f"{id} is a measured conductivity, not a material: it has no standardised cell.",
                mend=f"ionatlas show {id} --cif --cell given prints its structure, if it came with one",
            )
        if kind_of(source["format"]) == "hop":
            return UsageError(
                f"{id} is a hop, not a material: it has no standardised cell.",
                mend=f"ionatlas show {id} --cif --cell given prints its initial end",
            )
        return UsageError(f"The structure of {id} is not built yet.", mend="ionatlas build")


_NO_ARRAYS = {"features": 0, "route": 0, "host": 0}


def _source(database: Database[dict[str, Any]], id: str) -> dict[str, Any] | None:
    pipeline: list[dict[str, Any]] = [
        {"$match": {"_id": id}},
        {"$set": {"size": {"$binarySize": "$content"}}},
        {"$unset": "content"},
    ]
    return next(iter(database["sources"].aggregate(pipeline)), None)


def _failure_ids(database: Database[dict[str, Any]], id: str) -> list[str]:
    """Ids in ``build_state`` under which builders may know a material: itself, with a model's prefix, its formula."""
    from builders.registry import BUILDERS, builder_class
    from store.ion_fields import IONS

    structure = database["structures"].find_one({"_id": id}, {"chemical_formula_reduced": 1})
    keys = [id, structure["chemical_formula_reduced"]] if structure else [id]
    keys += [f"{id}/{ion}" for ion in IONS]
    builders = [builder_class(name) for name in BUILDERS]
    return [f"{builder.NAME}/{builder.PREFIX}{key}" for builder in builders for key in keys]


def _near_ids(database: Database[dict[str, Any]], id: str) -> list[str]:
    import re

    from api.finding import reduced_formula

    sources = database["sources"]
    formula = reduced_formula(id)
    if formula is not None:
        query = {"chemical_formula_reduced": formula}
        found = database["candidates"].find(query, {"formula": 1}, sort=[("_id", 1)], limit=3)
        hints = [f"{row['_id']} ({row['formula']})" for row in found]
        if hints:
            return hints
    if not id.isprintable() or len(id) > 200:
        return []
    for length in range(len(id), max(1, len(id) - 6), -1):
        begins: dict[str, Any] = {"_id": {"$regex": f"^{re.escape(id[:length])}"}}
        hints = [row["_id"] for row in sources.find(begins, {"_id": 1}, sort=[("_id", 1)], limit=3)]
        if hints:
            return hints
    return []
