"""Barriers that were computed, found among the store's: by ion, material, framework, method and height."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from api.results import QueryResult
from store.errors import UnknownId, UsageError

if TYPE_CHECKING:
    from pymongo.database import Database

    from api.service import Service

COLUMNS: Final = (
    "id", "name", "working_ion", "framework_formula", "crystal_class", "barrier", "barrier_definition", "method",
    "functional", "p_length", "r_sd", "r_chan", "r_bottleneck", "material", "hop", "flags", "references",
)  # fmt: skip
"""Columns of an answer. ``r_sd`` and ``r_chan`` are the study's; ``hop`` is the number of the material's hop."""

SORTS: Final = {
    "barrier": "barrier",
    "p_length": "p_length",
    "id": "_id",
    "r_sd": "study.r_sd",
    "r_chan": "study.r_chan",
}
"""What answers can be sorted by."""


@dataclass(frozen=True)
class Wanted:
    """Which barriers are asked for; what is None is not asked.

    Attributes
    ----------
    ion : str or None
        The ion that moves.
    material : str or None
        A structure of the store whose framework is the hop's.
    framework : str or None
        Reduced formula of the host without the ion that moves, as "FePO4".
    below, above : float or None
        eV.
    dft : bool or None
        Only those computed with DFT, or only the others.
    """

    ion: str | None = None
    material: str | None = None
    framework: str | None = None
    below: float | None = None
    above: float | None = None
    dft: bool | None = None

    def query(self) -> dict[str, Any]:
        """Write it as a query of MongoDB.

        Examples
        --------
        >>> Wanted(ion="Li", below=0.3, dft=True).query()
        {'working_ion': 'Li', 'dft': True, 'barrier': {'$ne': None, '$lt': 0.3}}
        """
        found: dict[str, Any] = {}
        if self.ion is not None:
            found["working_ion"] = self.ion.strip().rstrip("+-0123456789")
        if self.material is not None:
            found["materials.material"] = self.material
        if self.framework is not None:
            # Sources write "Fe(PO4)" and "FePO4": brackets and order are not meant.
            found["framework_formula"] = {"$in": _spellings(self.framework)}
        if self.dft is not None:
            found["dft"] = self.dft
        found["barrier"] = {"$ne": None}
        if self.below is not None:
            found["barrier"]["$lt"] = self.below
        if self.above is not None:
            found["barrier"]["$gte"] = self.above
        return found


def find_barriers(
    service: Service, wanted: Wanted, *, sort: str = "barrier", limit: int | None = 50, skip: int = 0
) -> QueryResult:
    """Find computed barriers.

    Parameters
    ----------
    service : Service
    wanted : Wanted
    sort : str
        One of :data:`SORTS`, with ``-`` before it for descending.
    limit : int, optional
        Most rows; None for all.
    skip : int
        Rows left out at the beginning.

    Raises
    ------
    UsageError
        There is no such order.
    UnknownId
        No structure of the store has the id.

    Examples
    --------
    >>> from api.cli.output import open_service                                  # doctest: +SKIP
    >>> find_barriers(open_service(), Wanted(ion="Li", below=0.3)).rows[0]["id"]  # doctest: +SKIP
    'devi2025-train-17'
    """
    started = time.perf_counter()
    name = sort.removeprefix("-")
    if name not in SORTS:
        raise UsageError(
            f"Barriers cannot be sorted by {name!r}.", mend=f"--sort {', '.join(SORTS)}; - before it turns it round"
        )
    if wanted.material is not None:
        _check_material(service, wanted.material)
    order = [(SORTS[name], -1 if sort.startswith("-") else 1), *([] if name == "id" else [("_id", 1)])]
    query = wanted.query()
    most = 0 if limit is None else limit + 1

    def read(database: Database[dict[str, Any]]) -> tuple[list[dict[str, Any]], int, int]:
        collection = database["barriers"]
        projection = {"features": 0, "route": 0, "host": 0, "properties": 0, "stamp": 0}
        rows = list(collection.find(query, projection, sort=order, skip=skip, limit=most))
        return rows, collection.count_documents(query), collection.estimated_document_count()

    rows, total, stored = service.call(read)
    more = limit is not None and len(rows) > limit
    note = (
        None if stored else "The store holds no barriers. To fill it: ionatlas ingest HOPS.jsonl, then ionatlas build"
    )
    found = [_row(document, wanted.material) for document in (rows[:limit] if more else rows)]
    return QueryResult(found, _fields(), total, more, time.perf_counter() - started, note)


def _row(document: dict[str, Any], material: str | None) -> dict[str, Any]:
    links = document["materials"]
    link = next((each for each in links if each["material"] == material), links[0] if links else {})
    values = {
        **document,
        **document["study"],
        "id": document["_id"],
        "material": link.get("material"),
        "hop": link.get("hop"),
    }
    return {name: values.get(name) for name in COLUMNS}


def _fields() -> list[Any]:
    from store.field import Field
    from store.fields import FIELDS

    known = {
        "id": Field("id", "string", None, "Identifier of the record.", "barriers._id"),
        "name": Field("name", "string", None, "System, as the source names it.", "barriers.name"),
        "r_sd": Field("r_sd", "float", "Å", "R_sd of the path's void.", "barriers.study.r_sd"),
        "r_chan": Field("r_chan", "float", "Å", "Smallest channel of the path's void.", "barriers.study.r_chan"),
        "material": Field(
            "material", "string", None, "Structure of the store with this framework.", "barriers.materials"
        ),
        "hop": Field(
            "hop", "integer", None, "Number of the hop among the material's (ionatlas channels).", "barriers.materials"
        ),
        "flags": Field("flags", "list of string", None, "Doubts of the source.", "barriers.flags"),
        "references": Field("references", "list of string", None, "Publications.", "barriers.references"),
    }
    return [known[name] if name in known else FIELDS[name] for name in COLUMNS]


def _check_material(service: Service, material: str) -> None:
    if service.call(lambda database: database["structures"].find_one({"_id": material}, {"_id": 1})) is None:
        raise UnknownId(
            f"There is no structure {material!r}.", mend="ionatlas query finds ids; --framework FePO4 needs none"
        )


def _spellings(formula: str) -> list[str]:
    """The formula as given, and as the store reduces it."""
    from pymatgen.core.composition import Composition

    from builders.structures.formulas import describe_composition

    given = re.sub(r"\s", "", formula)
    try:
        amounts = {str(element): float(amount) for element, amount in Composition(given).items()}
        reduced = describe_composition(amounts, 1).formula
        by_pymatgen = Composition(given).reduced_formula
    except (ValueError, KeyError) as error:
        raise UsageError(f"{formula!r} is no formula: {error}.", mend="--framework FePO4, for example") from None
    return sorted({given, reduced, by_pymatgen})
