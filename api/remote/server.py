"""An ionatlas server behind :class:`api.client.Atlas`: the same questions over HTTP."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from api.remote import rebuild
from api.remote.cache import ResponseCache
from api.remote.reports import RemoteChannels, RemoteInverse, RemoteMigration, RemotePrediction
from api.remote.session import Patience, Session
from api.results import QueryResult
from store.errors import UsageError
from store.fields import FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import httpx
    from pymatgen.core.structure import Structure

    from api.barriers import Wanted
    from api.remote.protocol import Query
    from api.results import Aggregation, Lineage, StoreStatus
    from api.service import StructureKind
    from store.crystal import Crystal
    from store.fields import Field

LARGEST_PAGE: Final = 1000
"""Rows that a server gives at once."""

_MOST_IDS: Final = 10_000
_PREDICTION: Final = frozenset({"exclude_formula", "space_group"})
_INVERSE: Final = frozenset({"elements", "required", "charge_balanced", "new"})
_AGGREGATE: Final = frozenset({"group_by", "histogram", "bins", "value", "top"})
_EXPORT: Final = frozenset({"fields", "format", "limit"})


class ServerBackend:
    """Answers from a server.

    Parameters
    ----------
    address : str
        ``https://host``.
    api_key : str, optional
        By default the variable ``IONATLAS_API_KEY``.
    cache : str or pathlib.Path, optional
        Folder in which answers are kept.
    patience : Patience, optional
    transport : httpx.BaseTransport, optional
        Used instead of the network.
    """

    def __init__(
        self,
        address: str,
        *,
        api_key: str | None = None,
        cache: str | Path | None = None,
        patience: Patience | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        kept = None if cache is None else ResponseCache(cache)
        key = api_key if api_key is not None else (os.environ.get("IONATLAS_API_KEY") or None)
        self.session = Session(address, key, kept, patience or Patience(), transport)

    def describe(self) -> str:
        """The address; the key stays unsaid."""
        return repr(self.session.address)

    def close(self) -> None:
        """Let the connections go."""
        self.session.close()

    # Materials

    def query(self, asked: Query) -> QueryResult:
        """Find materials by their properties, in as many requests as the limit takes."""
        if asked.limit is not None and asked.limit < 1:
            raise UsageError(
                f"The limit is at least 1; {asked.limit} was given.", mend="give a number, or none for all rows"
            )
        left, after, skip = asked.limit, asked.after, asked.skip
        pages: list[QueryResult] = []
        while True:
            page = self._page(asked, LARGEST_PAGE if left is None else min(left, LARGEST_PAGE), after, skip)
            pages.append(page)
            left = None if left is None else left - len(page.rows)
            after, skip = page.next, 0
            if after is None or left == 0:
                return _joined(pages)

    def _page(self, asked: Query, limit: int, after: str | None, skip: int) -> QueryResult:
        params = {
            "filter": asked.filter,
            "fields": _names(asked.fields),
            "sort": asked.sort,
            "limit": limit,
            "after": after,
            "skip": skip or None,
            "include_duplicates": None if asked.include_duplicates else False,
            "count": True if asked.count else None,
        }
        return rebuild.query_result(self._materials(params))

    def _materials(self, params: dict[str, Any]) -> Any:
        given = {name: value for name, value in params.items() if value is not None}
        if sum(len(str(value)) for value in given.values()) > 3000:  # longer than addresses may be on the way
            return self.session.post("/v1/materials", json=given)
        return self.session.get("/v1/materials", given)

    def get(self, id: str, fields: Sequence[str] | str | None) -> dict[str, Any]:
        """Return one material's row."""
        answer = self.session.get(f"/v1/materials/{quote(id, safe='')}", {"fields": _names(fields)})
        return rebuild.part(answer, "data", dict)

    def get_many(self, ids: Sequence[str], fields: Sequence[str] | str | None) -> QueryResult:
        """Return rows in the order of their ids."""
        pages = []
        for start in range(0, max(1, len(ids)), _MOST_IDS):
            body = {"ids": list(ids[start : start + _MOST_IDS]), "fields": _names(fields)}
            given = {name: value for name, value in body.items() if value is not None}
            pages.append(rebuild.query_result(self.session.post("/v1/materials", json=given)))
        found = _joined(pages)
        present = {row.get("id") for row in found.rows}
        missing = found.missing or ([key for key in ids if key not in present] if "id" in _columns(found) else [])
        return QueryResult(found.rows, found.fields, len(found.rows), False, found.seconds, found.note, None, missing)

    def aggregate(self, filter: str | None, **options: Any) -> Aggregation:
        """Count materials."""
        bins = options.get("bins")
        if bins is not None and not isinstance(bins, int):
            raise UsageError("A server cuts into intervals of equal width.", mend="give bins as a number")
        if options.pop("include_duplicates", True) is not True:
            raise UsageError("A server counts duplicates too.", mend="put duplicate_of IS UNKNOWN into the filter")
        return rebuild.aggregation(
            self.session.get("/v1/aggregate", {"filter": filter, **_allowed("aggregate", options, _AGGREGATE)})
        )

    def export(self, filter: str | None, **options: Any) -> Iterator[bytes]:
        """Stream materials as a file."""
        given = {name: value for name, value in options.items() if name in _EXPORT or value not in (None, True)}
        given = _allowed("export", given, _EXPORT)
        given["fields"] = _names(given.get("fields"))
        return self.session.stream("/v1/export", {"filter": filter, **given})

    def similar(
        self, source: str, k: int, by: str, filter: str | None, fields: Sequence[str] | str | None
    ) -> QueryResult:
        """Find the materials most like one."""
        if _is_file(source):
            raise UsageError(
                "A file is not sent to a server to look for what is like it.",
                mend='give an id or a formula; or ingest it there and ask for SIMILAR TO "its id"',
            )
        params = {"to": source, "k": k, "by": by, "filter": filter, "fields": _names(fields)}
        return rebuild.query_result(self.session.get("/v1/similar", params))

    def structure(self, id: str, kind: StructureKind) -> Crystal:
        """Return a crystal."""
        if kind not in ("standard", "primitive", "given"):
            raise UsageError(f"There is no kind {kind!r} of cell.", mend="ask for standard, primitive or given")
        return rebuild.crystal(self.session.get(f"/v1/materials/{quote(id, safe='')}/structure", {"cell": kind}))

    def show(self, id: str) -> dict[str, Any]:
        """Collect all documents about a material, without what tells of the server's machine."""
        answer = self.session.get(f"/v1/materials/{quote(id, safe='')}/documents")
        found: dict[str, Any] = rebuild.moments(rebuild.part(answer, "data", dict))
        return found

    def why(self, id: str, field: str) -> Lineage:
        """Tell where a value comes from."""
        return rebuild.lineage(self.session.get(f"/v1/materials/{quote(id, safe='')}/lineage/{quote(field, safe='')}"))

    def status(self) -> StoreStatus:
        """Tell what is in the store."""
        return rebuild.status(self.session.get("/v1/status"), self.session.address)

    def fields(self) -> Sequence[Field]:
        """List the fields of materials, as the server has them."""
        told = rebuild.part(self.session.get("/v1/fields"), "data", list)
        return [rebuild.field_of(str(each["name"]), each) for each in told if isinstance(each, dict) and "name" in each]

    # Computations

    def channels(
        self, source: str | Path | Crystal | Structure, ion: str | None, threshold: float | None
    ) -> RemoteChannels:
        """Find voids and channels."""
        return RemoteChannels(self._computed("/v1/channels", source, {"ion": ion, "threshold": threshold})[0])

    def migration_energy(self, source: str | Path | Crystal | Structure, ion: str | None) -> RemoteMigration:
        """Predict barriers and migration energies."""
        return RemoteMigration(self._computed("/v1/predict/migration-energy", source, {"ion": ion})[0])

    def predict_structure(self, formula: str | Mapping[str, float], top: int, **options: Any) -> RemotePrediction:
        """Predict structures of a composition."""
        given = _allowed("predict_structure", options, _PREDICTION)
        text = formula if isinstance(formula, str) else "".join(f"{name}{amount:g}" for name, amount in formula.items())
        answer = self.session.get("/v1/predict-structure", {"formula": text, "top": top, **given})
        seconds = rebuild.part(answer, "meta", dict).get("seconds")
        return RemotePrediction(rebuild.part(answer, "data", dict), float(seconds or 0.0))

    def inverse(self, source: str | Path | Crystal | Structure, k: int, **options: Any) -> RemoteInverse:
        """Find compositions for a structure."""
        given = _allowed("inverse", options, _INVERSE)
        for name in ("elements", "required"):
            if given.get(name) is not None:
                given[name] = _names(given[name])
        return RemoteInverse(self._computed("/v1/inverse", source, {"k": k, **given})[0])

    def barriers(self, wanted: Wanted, sort: str, limit: int | None) -> QueryResult:
        """Refuse: servers have no such question yet."""
        raise UsageError(
            "Computed barriers are not asked for over HTTP yet.",
            mend='ask on the machine of the store, or take show("ID")["barriers"] of a material',
        )

    def _computed(
        self, path: str, source: str | Path | Crystal | Structure, form: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        if isinstance(source, str) and not _is_file(source):
            answer = self.session.get(path, {"id": source, **form})
        else:
            answer = self.session.post(path, file=_file(source), form=form)
        return rebuild.part(answer, "data", dict), rebuild.part(answer, "meta", dict)


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # no name that a file can have
        return False


def _file(source: Any) -> tuple[str, bytes]:
    """Name and bytes of what is sent: the file itself, or a crystal in a form that keeps every digit."""
    if isinstance(source, str | Path):
        path = Path(source)
        try:
            return path.name, path.read_bytes()
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror or error}.", mend="check the name") from None
    structure = source.to_pymatgen() if hasattr(source, "to_pymatgen") else source
    if not hasattr(structure, "as_dict"):
        raise UsageError(
            f"A {type(source).__name__} is no crystal.", mend="give an id, a file, a Structure of pymatgen or a Crystal"
        )
    return "structure.json", json.dumps(structure.as_dict()).encode()


def _names(given: Any) -> str | None:
    if given is None or isinstance(given, str):
        return given
    return ",".join(str(name) for name in given)


def _allowed(method: str, options: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    unknown = sorted(name for name, value in options.items() if name not in names and value not in (None, False, ()))
    if unknown:
        raise UsageError(
            f"{method} over HTTP knows no {', '.join(unknown)}.",
            mend=f"leave it out (there are {', '.join(sorted(names))}), or ask on the machine of the store",
        )
    return {name: value for name, value in options.items() if name in names}


def _columns(found: QueryResult) -> list[str]:
    return [field.name for field in found.fields]


def _joined(pages: Sequence[QueryResult]) -> QueryResult:
    """Put pages together; where pages have different columns (fields="all"), these stand in the registry's order."""
    if len(pages) == 1:
        return pages[0]
    columns = {field.name: field for page in pages for field in page.fields}
    if any(len(page.fields) < len(columns) for page in pages):
        places = {name: place for place, name in enumerate(FIELDS)}
        columns = dict(sorted(columns.items(), key=lambda item: places.get(item[0], len(places))))
    last = pages[-1]
    rows = [{name: row.get(name) for name in columns} for page in pages for row in page.rows]
    total = pages[0].total
    if total is None and not last.more:
        total = len(rows)
    return QueryResult(
        rows,
        list(columns.values()),
        total,
        last.more,
        sum(page.seconds for page in pages),
        next((page.note for page in pages if page.note), None),
        last.next,
        [key for page in pages for key in page.missing],
    )
