"""Structures as an ``EntryCollection`` of optimade-python-tools: one page of ``candidates`` at a time, nothing copied."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from optimade.exceptions import BadRequest, Forbidden
from optimade.models import StructureResource
from optimade.server.entry_collections import EntryCollection
from optimade.server.mappers import StructureMapper

from api.finding import milliseconds
from api.optimade.entries import read_crystals, resource
from api.optimade.filters import understand
from api.optimade.names import CELL, find_property, properties, standard_names
from api.optimade.structure_filter import MADE_AT, StructureTranslator, columns_of
from api.paging import Key, Pages, digest, read_cursor, write_cursor
from api.service import COUNT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optimade.server.config import ServerConfig
    from pymongo.database import Database

    from api.service import Service

_FARTHEST: Final = 2**31
_COUNTS_KEPT: Final = 512


@dataclass
class Page:
    """One page of entries.

    Attributes
    ----------
    entries : list of dict
    returned : int or None
        Entries that match in all; None where counting took too long.
    available : int or None
        Entries that there are; None where counting took too long.
    following : dict or None
        Query parameters of the next page; None after the last.
    warnings : list of str
        What was asked and not used.
    """

    entries: list[dict[str, Any]]
    returned: int | None
    available: int | None
    following: dict[str, str] | None = None
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Asked:
    """A request, understood: what to find, what to tell of it, in which order, from where."""

    query: dict[str, Any]
    names: tuple[str, ...]
    keys: tuple[Key, ...]
    limit: int
    skip: int = 0
    behind: list[Any] | None = None


class StructureCollection(EntryCollection):  # type: ignore[misc]  # optimade publishes no types
    """The materials of a store.

    Parameters
    ----------
    service : api.service.Service
    config : optimade.server.config.ServerConfig
        Its page limits, provider and prefix.
    """

    def __init__(self, service: Service, config: ServerConfig) -> None:
        super().__init__(StructureResource, StructureMapper(config), None, config)
        self.service = service
        self._counts: dict[tuple[str, str], int] = {}
        self._anonymous: tuple[str, list[str]] | None = None

    def __len__(self) -> int:
        return self.count_matching({}) or 0

    def insert(self, data: list[Any]) -> None:
        """Refuse: entries come in through ``ionatlas ingest`` and ``ionatlas build``."""
        raise NotImplementedError("The store is filled by ionatlas ingest and ionatlas build.")

    def count(self, **kwargs: Any) -> int | None:
        """Count what matches a MongoDB query given as ``filter``."""
        return self.count_matching(kwargs.get("filter") or {})

    def _run_db_query(
        self, criteria: dict[str, Any], single_entry: bool = False
    ) -> tuple[list[dict[str, Any]], int | None, bool]:
        limit = 1 if single_entry else criteria["limit"]
        asked = Asked(criteria["filter"], standard_names(), parse_sort("", []), limit)
        documents = self._read(asked)
        return documents[: asked.limit], self.count_matching(asked.query), len(documents) > asked.limit

    def find(self, params: Any) -> tuple[list[dict[str, Any]] | None, int | None, bool, set[str], set[str]]:
        """Answer as the reference server's routers expect it: resources with the wanted attributes only."""
        page = self.page(params)
        return page.entries or None, page.returned, page.following is not None, set(), set()

    # Questions

    def page(self, params: Any) -> Page:
        """Read one page.

        Parameters
        ----------
        params : optimade.server.query_params.EntryListingQueryParams

        Raises
        ------
        optimade.exceptions.BadRequest
            An unknown property, an order that there is not, a number out of range.
        optimade.exceptions.Forbidden
            ``page_limit`` is larger than allowed.
        store.errors.IonatlasError
            The filter cannot be read, or MongoDB refused the query.
        """
        warnings: list[str] = []
        query = self._filter(params.filter, warnings)
        names = chosen(params.response_fields, warnings)
        keys = parse_sort(params.sort, warnings)
        limit = self._limit(params.page_limit)
        question = digest("optimade", params.filter or "", keys)
        asked = _placed(Asked(query, names, keys, limit), params, question, warnings)
        documents = self._read(asked) if limit and asked.skip < _FARTHEST else []
        page = Page([], self.count_matching(query), self.count_matching({}), None, warnings)
        if not limit:
            page.following = {"page_limit": str(self.config.page_limit)} if page.returned else None
        elif len(documents) > limit:
            page.following = _following(asked, params, question, documents[limit - 1])
        page.entries = self._write(documents[:limit], names)
        return page

    def one(self, entry_id: str, response_fields: str) -> Page:
        """Read one entry; none where there is no such id."""
        warnings: list[str] = []
        names = chosen(response_fields, warnings)
        documents = self._read(Asked({"_id": entry_id}, names, (("_id", 1),), 1))
        return Page(self._write(documents, names), len(documents), self.count_matching({}), None, warnings)

    def count_matching(self, query: dict[str, Any]) -> int | None:
        """Count, unless that takes too long; remembered until the collection is built anew."""
        from pymongo.errors import ExecutionTimeout

        key = (self._generation(), repr(query))
        if key in self._counts:
            return self._counts[key]

        def read(database: Database[dict[str, Any]]) -> int | None:
            try:
                return database["candidates"].count_documents(query, maxTimeMS=int(COUNT_SECONDS * 1000))
            except ExecutionTimeout:
                return None

        found = self.service.call(read)
        if found is not None:
            if len(self._counts) >= _COUNTS_KEPT:
                self._counts.clear()
            self._counts[key] = found
        return found

    def licences(self) -> list[str | None]:
        """Licences of the records; None stands for records that name none."""
        return list(self.service.call(lambda database: database["candidates"].distinct("licence")))

    def _filter(self, text: str | None, warnings: list[str]) -> dict[str, Any]:
        if not text or not text.strip():
            return {}
        translator = StructureTranslator(text, self._anonymous_formulas)
        query: dict[str, Any] = understand(text, translator).yes
        warnings += [f"{name} is not a property of ours: unknown for every structure." for name in translator.foreign]
        return query

    def _limit(self, limit: int) -> int:
        if limit > self.config.page_limit_max:
            raise Forbidden(f"page_limit is at most {self.config.page_limit_max}; {limit} was given.")
        return limit

    def _generation(self) -> str:
        from store.generations import current_generation

        return self.service.call(lambda database: current_generation(database, "candidates")) or ""

    def _anonymous_formulas(self) -> list[str]:
        generation = self._generation()
        if self._anonymous is None or self._anonymous[0] != generation:
            name = "chemical_formula_anonymous"
            found = self.service.call(lambda database: database["candidates"].distinct(name))
            self._anonymous = (generation, [formula for formula in found if formula])
        return self._anonymous[1]

    def _read(self, asked: Asked) -> list[dict[str, Any]]:
        """Read the documents of a page, and one more to tell whether there are more; what has no value comes last."""
        projection = columns_of(asked.names) | {name: 1 for name, _ in asked.keys}

        def read(database: Database[dict[str, Any]]) -> list[dict[str, Any]]:
            pages = Pages(database["candidates"], asked.query, projection, list(asked.keys), milliseconds())
            most = asked.limit + 1
            return pages.first(most, asked.skip) if asked.behind is None else pages.after(asked.behind, most)

        return self.service.call(read)

    def _write(self, documents: Sequence[dict[str, Any]], names: tuple[str, ...]) -> list[dict[str, Any]]:
        crystals = {}
        if CELL & set(names):
            crystals = self.service.call(lambda database: self._cells(database, documents))
        return [resource(document, names, crystals.get(document["_id"])) for document in documents]

    @staticmethod
    def _cells(database: Database[dict[str, Any]], documents: Sequence[dict[str, Any]]) -> dict[str, Any]:
        sites = {document["_id"]: document.get("nsites") for document in documents}
        missing = [key for key, count in sites.items() if count is None]
        if missing:
            found = database["candidates"].find({"_id": {"$in": missing}}, {"nsites": 1})
            sites |= {document["_id"]: document["nsites"] for document in found}
        return read_crystals(database, {key: count for key, count in sites.items() if count is not None})


def chosen(response_fields: str, warnings: list[str]) -> tuple[str, ...]:
    """Read ``response_fields``; those of the specification where it is empty.

    Raises
    ------
    optimade.exceptions.BadRequest
        A property that there is not.

    Examples
    --------
    >>> chosen("nsites,_ionatlas_band_gap", [])
    ('nsites', '_ionatlas_band_gap')
    """
    names = tuple(dict.fromkeys(name.strip() for name in response_fields.split(",") if name.strip()))
    if not names:
        return standard_names()
    for name in names:
        if name in properties() or name in ("links", "relationships"):
            continue
        if "." in name:
            raise BadRequest(f"{name!r} is no property; /info/structures lists all.")
        if find_property(name) is None:
            warnings.append(f"{name} is not a property of ours: unknown for every structure.")
    return tuple(name for name in names if name not in ("links", "relationships"))


def parse_sort(text: str, warnings: list[str]) -> tuple[Key, ...]:
    """Read an order into columns and directions, closed by the id.

    Raises
    ------
    optimade.exceptions.BadRequest
        A property that there is not, or that has no order.

    Examples
    --------
    >>> parse_sort("-nsites,_ionatlas_band_gap", [])
    (('nsites', -1), ('band_gap', 1), ('_id', 1))
    """
    order: dict[str, int] = {}
    for part in text.split(","):
        name = part.strip()
        direction = -1 if name.startswith("-") else 1
        name = name.removeprefix("-")
        if not name:
            continue
        if "." in name:
            raise BadRequest(f"{name!r} cannot be sorted by.")
        found = find_property(name)
        if found is None:
            warnings.append(f"{name} is not a property of ours and was not sorted by.")
        elif not found.sortable or found.column is None:
            raise BadRequest(f"{name} cannot be sorted by; /info/structures marks what can.")
        else:
            order.setdefault(found.column, direction)
    if MADE_AT in order and len(set(order) - {"_id"}) > 1:
        raise BadRequest("last_modified is sorted by alone.")
    keys = list(order.items())
    names = [name for name, _ in keys]
    if "_id" in names:
        return tuple(keys[: names.index("_id") + 1])
    # The indexes end in _id: ties in the direction of the last key let them be walked as they are.
    return (*keys, ("_id", keys[-1][1] if keys else 1))


def _placed(asked: Asked, params: Any, question: str, warnings: list[str]) -> Asked:
    """Read where the page begins: behind a cursor, behind an id, or behind a number of entries."""
    options = {
        name: getattr(params, name, None) for name in ("page_cursor", "page_offset", "page_number", "page_above")
    }
    given = [
        name for name, value in options.items() if value not in (None, "", 0) or (value == 0 and name == "page_number")
    ]
    unused = ["page_below"] if getattr(params, "page_below", None) else []
    warnings += [f"{name} was not used." for name in [*given[1:], *unused]]
    first = given[0] if given else None
    if first == "page_cursor":
        return replace(asked, behind=read_cursor(params.page_cursor, question, len(asked.keys)))
    if first == "page_offset":
        return replace(asked, skip=params.page_offset)
    if first == "page_number":
        if params.page_number < 1:
            warnings.append("page_number begins with 1; the first page is given.")
        return replace(asked, skip=(max(1, params.page_number) - 1) * asked.limit)
    if first == "page_above":
        if asked.keys != (("_id", 1),):
            raise BadRequest("page_above stands for an id and goes with the order by id; leave sort away.")
        return replace(asked, behind=[params.page_above])
    return asked


def _following(asked: Asked, params: Any, question: str, last: dict[str, Any]) -> dict[str, str]:
    """Say how the next page is asked for, in the way that this one was."""
    if params.page_number is not None and not params.page_offset and asked.behind is None:
        return {"page_number": str(max(1, params.page_number) + 1)}
    if asked.skip:
        return {"page_offset": str(asked.skip + asked.limit)}
    # Behind the last row: as quick on the last page as on the first, and stable while others write.
    if asked.keys == (("_id", 1),) and not getattr(params, "page_cursor", None):
        return {"page_above": last["_id"]}
    return {"page_cursor": write_cursor(question, [_value_of(last, name) for name, _ in asked.keys])}


def _value_of(document: dict[str, Any], name: str) -> Any:
    return (document.get("stamp") or {}).get("made_at") if name == MADE_AT else document.get(name)
