"""Inputs: which documents a derived document is made from, and the hashes of their contents, read in bulk.

No round trip a document: a plan reads one covered index a collection (:class:`StampTables` keeps what was read for the
other builders of the same run).
"""

from __future__ import annotations

import contextlib
import gc
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

from store.provenance import content_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pymongo.database import Database

RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
Fetched = bytes | list[bytes] | None
"""One document as BSON, several (of a group), or none."""


REFRESH_LIMIT = 2000
"""Up to so many written documents are read again by their keys; beyond, the collection is read anew."""


class StampRow(NamedTuple):
    """What a plan needs to know of one stored document: its content, what it was made with, its group."""

    hash: str
    recipe: str = ""
    group: str = ""


class StampTables:
    """Hashes and stamps of whole collections, each read at most once between two writes.

    Parameters
    ----------
    database : pymongo.database.Database
    call : callable
        Runs a database operation and repeats it after a lost connection.
    groups : mapping, optional
        Grouping field of a collection, if some builder of this run needs it: then one read serves all.
    """

    def __init__(
        self,
        database: Database[Any],
        call: Callable[[Callable[[], Any]], Any],
        groups: Mapping[str, str] | None = None,
    ) -> None:
        self._database = database
        self._call = call
        self._groups = dict(groups or {})
        self._kept: dict[tuple[str, str, str], dict[str, StampRow]] = {}
        self._other: dict[tuple[str, str, str], list[dict[str, Any]]] = {}

    def sources(self, formats: Iterable[str] | None = None) -> dict[str, StampRow]:
        """Hashes of the records of some formats; from the covered index ``(_id, hash, format)``.

        Parameters
        ----------
        formats : iterable of str, optional
            Formats of records, such as those of structures or those of hops; default: all that could be split off
            (unreadable ones stay where they are, with their reason).
        """
        wanted: dict[str, Any] = {"$ne": "unreadable"} if formats is None else {"$in": sorted(formats)}
        # The formats stand where derived collections have their prefix: other formats are another table.
        name = "" if formats is None else ",".join(wanted["$in"])
        return self._read("sources", name, "", {"format": wanted}, {"_id": 1, "hash": 1})

    def derived(self, collection: str, *, prefix: str = "", group: str = "") -> dict[str, StampRow]:
        """Hashes and recipes of a derived collection, of keys with a prefix, with a grouping field."""
        group = group or self._groups.get(collection, "")
        # Top-level fields only: the server answers from the index alone, three times as fast as for parts of the stamp.
        projection = {"_id": 1, "hash": 1, "recipe": 1}
        if group:
            projection[group] = 1
        # "0" follows "/" in Unicode: the range holds exactly the keys that begin with "prefix".
        query: dict[str, Any] = {"_id": {"$gte": prefix, "$lt": prefix[:-1] + "0"}} if prefix else {}
        return self._read(collection, prefix, group, query, projection)

    def rows(
        self, collection: str, name: str, query: dict[str, Any], projection: dict[str, int]
    ) -> list[dict[str, Any]]:
        """Read documents that an input of a special kind needs whole, once a run; ``name`` tells such reads apart."""
        key = (collection, "rows", name)
        if key not in self._other:
            found = self._call(lambda: list(self._database[collection].find(query, projection, sort=[("_id", 1)])))
            self._other[key] = found
        return self._other[key]

    def forget(self, collection: str) -> None:
        """Forget a collection that was written to."""
        for kept in (self._kept, self._other):
            for name in [name for name in kept if name[0] == collection]:
                del kept[name]

    def refresh(self, collection: str, keys: Sequence[str]) -> None:
        """Read again only what was written, if that is little; a large write is forgotten whole."""
        if len(keys) > REFRESH_LIMIT:
            self.forget(collection)
            return
        for name in [name for name in self._other if name[0] == collection]:
            del self._other[name]
        for (kept, prefix, group), rows in self._kept.items():
            if kept != collection:
                continue
            mine = [key for key in keys if key.startswith(prefix)]
            projection = {"_id": 1, "hash": 1, "recipe": 1, **({group: 1} if group else {})}
            query = {"_id": {"$in": mine}}
            found = self._call(partial(self._scan, collection, group, query, projection))
            for key in mine:
                rows.pop(key, None)
            rows.update(found)

    def _read(
        self, collection: str, prefix: str, group: str, query: dict[str, Any], projection: dict[str, int]
    ) -> dict[str, StampRow]:
        name = (collection, prefix, group)
        if name not in self._kept:
            self._kept[name] = self._call(lambda: self._scan(collection, group, query, projection))
        return self._kept[name]

    def _scan(
        self, collection: str, group: str, query: dict[str, Any], projection: dict[str, int]
    ) -> dict[str, StampRow]:
        # The range makes the planner walk the covered index instead of the documents; whole batches are decoded at once,
        # without pymongo's step for each document.
        batches = self._database[collection].find_raw_batches(
            {"_id": {"$gte": ""}} | query, projection, batch_size=50_000
        )
        rows: dict[str, StampRow] = {}
        with without_garbage_collection():
            for batch in batches:
                documents = bson.decode_all(batch)
                if group:
                    rows.update(
                        (each["_id"], StampRow(each["hash"], each.get("recipe", ""), each[group])) for each in documents
                    )
                elif "recipe" in projection:
                    rows.update((each["_id"], StampRow(each["hash"], each.get("recipe", ""))) for each in documents)
                else:
                    rows.update((each["_id"], StampRow(each["hash"])) for each in documents)
        return rows


@contextlib.contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Hold the collector off while hundreds of thousands of rows come in that all stay: it would walk them again and again."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


@runtime_checkable
class Input(Protocol):
    """One role that documents play for a builder.

    An input of a special kind may have two things more: ``group``, the field of its collection that it reads along with the
    hashes, and ``places(database, key)``, the ids of the documents that a target is made from (lineage asks for them).
    """

    @property
    def role(self) -> str:
        """Name of the part that the documents play."""

    @property
    def collection(self) -> str:
        """Where the documents are."""

    @property
    def required(self) -> bool:
        """Whether nothing can be built without one."""

    def hashes(self, tables: StampTables) -> Mapping[str, str]:
        """Map each target key to the hash of what it would read."""

    def fetch(self, database: Database[Any], keys: Sequence[str]) -> dict[str, Fetched]:
        """Read the documents of some target keys, as BSON."""

    def targets(self, materials: Iterable[str], tables: StampTables) -> set[str]:
        """Return the target keys that depend on some documents of the input's collection."""


@dataclass(frozen=True)
class KeyedInput:
    """The document of the same key: one source, one derived document.

    Attributes
    ----------
    collection, role : str
    required : bool
        Without it there is nothing to build.
    prefix : str
        The target's key is this prefix and the input's key.
    projection : dict or None
        The part of the document that is read.
    formats : tuple of str or None
        Of ``sources`` only: formats of the records that count; the others are not there for this input.
    """

    collection: str
    role: str = ""
    required: bool = True
    prefix: str = ""
    projection: Mapping[str, int] | None = None
    formats: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not self.role:
            object.__setattr__(self, "role", self.collection)

    def hashes(self, tables: StampTables) -> Mapping[str, str]:
        """Map each target key to the hash of its document."""
        rows = tables.sources(self.formats) if self.collection == "sources" else tables.derived(self.collection)
        return {self.prefix + key: row.hash for key, row in rows.items()}

    def fetch(self, database: Database[Any], keys: Sequence[str]) -> dict[str, Fetched]:
        """Read the documents of some target keys."""
        ids = [key.removeprefix(self.prefix) for key in keys]
        found = database[self.collection].with_options(codec_options=RAW).find({"_id": {"$in": ids}}, self.projection)
        return {self.prefix + document["_id"]: bytes(document.raw) for document in found}

    def targets(self, materials: Iterable[str], tables: StampTables) -> set[str]:
        """Return the target keys of some input keys."""
        return {self.prefix + key for key in materials}


@dataclass(frozen=True)
class GroupInput:
    """All documents that share the value of a field; the target's key is that value.

    An updated, a new and a removed member all change the group's hash, so each makes the group stale.

    Attributes
    ----------
    collection : str
    group : str
        The field whose value is the key.
    smallest : int
        Groups with fewer members have no document.
    """

    collection: str
    group: str
    role: str = ""
    required: bool = True
    smallest: int = 1
    projection: Mapping[str, int] | None = None

    def __post_init__(self) -> None:
        if not self.role:
            object.__setattr__(self, "role", self.collection)

    def hashes(self, tables: StampTables) -> Mapping[str, str]:
        """Map each group to the hash of its members' ids and contents."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for key, row in tables.derived(self.collection, group=self.group).items():
            if row.group:
                groups.setdefault(row.group, []).append((key, row.hash))
        return {
            name: content_hash(sorted(members)) for name, members in groups.items() if len(members) >= self.smallest
        }

    def fetch(self, database: Database[Any], keys: Sequence[str]) -> dict[str, Fetched]:
        """Read all members of some groups, each group in the order of its keys."""
        projection = None if self.projection is None else {**self.projection, self.group: 1}
        found = database[self.collection].with_options(codec_options=RAW)
        groups: dict[str, Fetched] = {}
        for document in found.find({self.group: {"$in": list(keys)}}, projection, sort=[("_id", 1)]):
            members = groups.setdefault(document[self.group], [])
            assert isinstance(members, list)
            members.append(bytes(document.raw))
        return groups

    def targets(self, materials: Iterable[str], tables: StampTables) -> set[str]:
        """Return the groups of some members."""
        rows = tables.derived(self.collection, group=self.group)
        wanted = {rows[key].group for key in materials if key in rows}
        if self.smallest > 1:
            wanted &= set(self.hashes(tables))
        return wanted
