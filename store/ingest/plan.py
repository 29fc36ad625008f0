"""What a batch of records means for the database: pure decisions, made before anything is written."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from store.errors import SourceTooLarge
from store.ingest.kinds import kind_of
from store.ingest.limits import RECORD_LIMIT
from store.ingest.records import BadRecord, Record
from store.provenance import content_hash, describe_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

UNREADABLE: Final = "unreadable"
MAX_ORIGINS: Final = 100
"""Places that are remembered of one record: enough to find it again, and a document stays small."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A record ready to be compared with what is stored.

    Attributes
    ----------
    id : str
        The record's own id, or one made of its content.
    document : dict
        The document of ``sources``, without its times.
    own_id : bool
        Whether the id came with the record.
    """

    id: str
    document: dict[str, Any]
    own_id: bool

    @property
    def origin(self) -> dict[str, Any]:
        """Where the record was read."""
        origin: dict[str, Any] = self.document["origins"][0]
        return origin


def prepare(
    item: Record | BadRecord, now: datetime, *, provider: str | None = None, licence: str | None = None
) -> Prepared:
    """Make the document of a record; one that is too large becomes a note of that.

    Parameters
    ----------
    item : Record or BadRecord
        What was split off.
    now : datetime.datetime
        Time of reading, UTC.
    provider, licence : str, optional
        Where the record itself says nothing.

    Examples
    --------
    >>> from store.provenance import utc_now
    >>> prepare(Record("cif", b"data_x"), utc_now()).id
    'cif-32ec6063c6386c28'
    """
    if isinstance(item, Record) and len(item.content) > RECORD_LIMIT:
        error = SourceTooLarge(f"The record has {len(item.content):,} bytes; at most {RECORD_LIMIT:,} can be stored.")
        item = BadRecord(item.origin, error, sha256=hashlib.sha256(item.content).hexdigest())
    if isinstance(item, BadRecord):
        return _prepare_bad(item, now, provider, licence)
    sha256 = hashlib.sha256(item.content).hexdigest()
    terms = item.licence or licence
    name = item.id or f"{item.format}-{sha256[:16]}"
    document = {
        "_id": name,
        "format": item.format,
        "content": item.content,
        "sha256": sha256,
        "hash": content_hash([item.format, sha256, terms, item.references]),
        "origins": [{**item.origin.to_document(), "at": now}],
        "provider": item.provider or provider,
        "licence": terms,
        "references": list(item.references),
        "error": None,
    }
    return Prepared(name, document, item.id is not None)


def _prepare_bad(item: BadRecord, now: datetime, provider: str | None, licence: str | None) -> Prepared:
    kept = item.content if len(item.content) <= RECORD_LIMIT else b""
    sha256 = item.sha256 or hashlib.sha256(item.content).hexdigest()
    problem = describe_error(item.error)
    problem.pop("traceback", None)
    # Empty and unkept bytes are told apart by where they lie.
    named = sha256 if kept else hashlib.sha256(f"{sha256} {item.origin}".encode(errors="replace")).hexdigest()
    name = f"{UNREADABLE}-{named[:16]}"
    document = {
        "_id": name,
        "format": UNREADABLE,
        "content": kept,
        "sha256": sha256,
        "hash": content_hash([UNREADABLE, sha256, problem["type"], problem["message"]]),
        "origins": [{**item.origin.to_document(), "at": now}],
        "provider": provider,
        "licence": licence,
        "references": [],
        "error": problem,
    }
    return Prepared(name, document, own_id=False)


class Occurrences:
    """Tells records of one source apart that carry the same id with different content.

    A table with two rows "x" holds two records: the second is "x#2", in this run and in every later one, so that
    neither is lost and reading the table again changes nothing. What comes without a path (answers of a provider) is
    left alone: there a later version replaces the earlier one.

    Examples
    --------
    >>> from store.ingest.records import Origin
    >>> from store.provenance import utc_now
    >>> rows = [Record("cif", text, "x", Origin(path="t")) for text in (b"data_1", b"data_2", b"data_1")]
    >>> names = Occurrences()
    >>> [names.tell_apart(prepare(row, utc_now())).id for row in rows]
    ['x', 'x#2', 'x']
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[str | None, str], str | list[str]] = {}

    def tell_apart(self, prepared: Prepared) -> Prepared:
        """Return the record under the id that is its own."""
        if not prepared.own_id or "path" not in prepared.origin:
            return prepared
        digest: str = prepared.document["hash"]
        key = (prepared.document["provider"], prepared.id)
        known = self._seen.setdefault(key, digest)
        if known == digest:  # the usual case costs one string, not a list
            return prepared
        hashes = known if isinstance(known, list) else [known]
        if digest not in hashes:
            hashes.append(digest)
            self._seen[key] = hashes
        place = hashes.index(digest)
        if place == 0:
            return prepared
        name = f"{prepared.id}#{place + 1}"
        return Prepared(name, {**prepared.document, "_id": name}, own_id=True)


@dataclass
class Plan:
    """What is to be written for one batch.

    Attributes
    ----------
    inserts : dict
        New documents by id.
    updates : dict
        Documents whose content replaces what is stored, by id.
    replaced : dict
        Hash of the stored version that an update replaces, by id.
    origins : dict
        Further places of stored documents, by id.
    history : list of dict
        Versions that were replaced within the batch itself.
    new, updated, unchanged, unreadable : int
        How many records of each kind.
    """

    inserts: dict[str, dict[str, Any]] = field(default_factory=dict)
    updates: dict[str, dict[str, Any]] = field(default_factory=dict)
    replaced: dict[str, str] = field(default_factory=dict)
    origins: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    new: int = 0
    updated: int = 0
    unchanged: int = 0
    unreadable: int = 0


def _kind(document: Mapping[str, Any]) -> str:
    return kind_of(document.get("format"))


def other_ids(batch: Iterable[Prepared], stored: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Ids that records take when theirs belongs to another provider, or another kind of record: to be looked up besides.

    Parameters
    ----------
    batch : iterable of Prepared
        The records.
    stored : mapping
        Stored documents by id, with at least ``hash``, ``provider`` and ``format``.
    """
    first: dict[str, Mapping[str, Any]] = dict(stored)
    wanted = []
    for prepared in batch:
        there = first.setdefault(prepared.id, prepared.document)
        if _clashes(prepared, there):
            wanted.append(_other_id(prepared, there))
    return list(dict.fromkeys(wanted))


def _clashes(prepared: Prepared, there: Mapping[str, Any]) -> bool:
    """Whether the id belongs to something else: a record of another provider or kind."""
    return (
        prepared.own_id
        and (there.get("provider") != prepared.document["provider"] or _kind(there) != _kind(prepared.document))
        and there["hash"] != prepared.document["hash"]
    )


def _other_id(prepared: Prepared, there: Mapping[str, Any]) -> str:
    name = f"{prepared.document['provider'] or 'unnamed'}:{prepared.id}"
    return name if _kind(there) == _kind(prepared.document) else f"{_kind(prepared.document)}:{name}"


def make_plan(batch: Iterable[Prepared], stored: Mapping[str, Mapping[str, Any]], now: datetime) -> Plan:
    """Decide for each record, in order, whether it is new, changed, known, or known from a further place.

    Parameters
    ----------
    batch : iterable of Prepared
        The records.
    stored : mapping
        Stored documents by id (``hash``, ``provider``, ``format``, ``origins``, ``ingested_at``), of the batch's ids and of
        :func:`other_ids`.
    now : datetime.datetime
        UTC.

    Examples
    --------
    >>> from store.provenance import utc_now
    >>> once = prepare(Record("cif", b"data_x"), utc_now())
    >>> plan = make_plan([once, once], {}, utc_now())
    >>> plan.new, plan.unchanged
    (1, 1)
    """
    plan = Plan()
    state: dict[str, dict[str, Any]] = {key: dict(value) for key, value in stored.items()}
    for prepared in batch:
        document = prepared.document
        name = prepared.id
        if name in state and _clashes(prepared, state[name]):
            name = _other_id(prepared, state[name])
        there = state.get(name)
        plan.unreadable += document["format"] == UNREADABLE
        if there is None:
            _insert(plan, state, name, document, now)
        elif there["hash"] == document["hash"]:
            plan.unchanged += document["format"] != UNREADABLE
            _add_origin(plan, there, name, document["origins"][0])
        else:
            _update(plan, state, name, document, now)
    return plan


def _insert(plan: Plan, state: dict[str, dict[str, Any]], name: str, document: dict[str, Any], now: datetime) -> None:
    made = {**document, "_id": name, "origins": list(document["origins"]), "ingested_at": now, "updated_at": now}
    plan.inserts[name] = state[name] = made
    plan.new += document["format"] != UNREADABLE


def _update(plan: Plan, state: dict[str, dict[str, Any]], name: str, document: dict[str, Any], now: datetime) -> None:
    there = state[name]
    made = {
        **document,
        "_id": name,
        "origins": list(document["origins"]),
        "ingested_at": there.get("ingested_at") or now,
        "updated_at": now,
    }
    if name in plan.inserts:
        plan.history.append(old_version(plan.inserts[name], now))
        plan.inserts[name] = made
    else:
        if name in plan.updates:
            plan.history.append(old_version(plan.updates[name], now))
        else:
            plan.replaced[name] = there["hash"]
            plan.origins.pop(name, None)
        plan.updates[name] = made
    state[name] = made
    plan.updated += document["format"] != UNREADABLE


def _add_origin(plan: Plan, there: dict[str, Any], name: str, origin: dict[str, Any]) -> None:
    known = there.setdefault("origins", [])
    where = {key: value for key, value in origin.items() if key != "at"}
    if len(known) >= MAX_ORIGINS or any({k: v for k, v in old.items() if k != "at"} == where for old in known):
        return
    if name in plan.inserts or name in plan.updates:
        known.append(origin)  # the very list that will be written
        return
    there["origins"] = [*known, origin]
    plan.origins.setdefault(name, []).append(origin)


def old_version(document: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Make the document of ``source_history`` from a version that is being replaced."""
    version = {**document, "_id": f"{document['_id']}@{document['sha256'][:16]}"}
    return {**version, "source": document["_id"], "replaced_at": now}
