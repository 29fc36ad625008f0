"""Put records into ``sources``: verbatim, idempotent, in bulk.

The same bytes twice are one record; the same bytes at two places are one record with two origins; a record whose content
changed replaces the former version, which moves to ``source_history``. All is decided from one read a batch. Every batch
is complete in itself: whatever stops the work, running it again finishes it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from store.connection import connect, is_disconnect, redact, retry_on_disconnect
from store.errors import DatabaseError, DataFolderError, ServerUnavailable, UsageError
from store.ingest.containers import read_records
from store.ingest.plan import UNREADABLE, Occurrences, Plan, Prepared, make_plan, old_version, other_ids, prepare
from store.provenance import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pymongo.database import Database

    from store.ingest.limits import Limits
    from store.ingest.records import BadRecord, Record
    from store.settings import Settings

AMCSD: Final = "amcsd"
"""Source name of the AMCSD set that the package larixite carries."""

_BATCH_BYTES: Final = 32_000_000
_KEPT_ERRORS: Final = 1000
_PATIENCE: Final = 30.0  # s that a server may be away: a restart takes two
_NEEDED: Final = {"hash": 1, "provider": 1, "format": 1, "origins": 1, "ingested_at": 1}
_DISK_FULL: Final = frozenset({14031, 28})


@dataclass
class IngestReport:
    """What an ingestion did.

    Attributes
    ----------
    new : int
        Records stored for the first time.
    updated : int
        Records whose content replaced an earlier version (kept in ``source_history``).
    unchanged : int
        Records that were there already, whether at this place or another.
    unreadable : int
        Files and members that could not be split into records; stored with the reason.
    seconds : float
        Time taken, s.
    errors : list of dict
        ``{origin, type, message}`` of the unreadable ones, the first 1,000.

    Examples
    --------
    >>> IngestReport(new=2, unchanged=1).total
    3
    """

    new: int = 0
    updated: int = 0
    unchanged: int = 0
    unreadable: int = 0
    seconds: float = 0.0
    errors: list[dict[str, str]] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Records seen."""
        return self.new + self.updated + self.unchanged + self.unreadable

    def __str__(self) -> str:
        parts = f"{self.new:,} new, {self.updated:,} changed, {self.unchanged:,} unchanged"
        return f"{parts}, {self.unreadable:,} unreadable in {self.seconds:.1f} s"


def ingest(
    db: Database[dict[str, Any]],
    source: str | Path | Iterable[Record | BadRecord],
    *,
    progress: Callable[[int, int | None], None] | None = None,
    batch: int = 1000,
    provider: str | None = None,
    licence: str | None = None,
    limits: Limits | None = None,
) -> IngestReport:
    """Store what a source holds in the collection ``sources``.

    Parameters
    ----------
    db : pymongo.database.Database
        With majority and journalled writes, as ``store.connection.connect`` gives it.
    source : str, pathlib.Path or iterable of Record
        A file, folder or archive; ``"amcsd"`` for the set of larixite; or records, e.g. of
        :func:`store.ingest.optimade_client.fetch_optimade`.
    progress : callable, optional
        Called after each batch with the number of records done and the total, None where it is not known.
    batch : int
        Records a batch.
    provider, licence : str, optional
        For records that do not carry their own.
    limits : Limits, optional
        What archives may unpack to.

    Returns
    -------
    IngestReport
        Nothing that cannot be split is raised: it is stored with its error and listed here.

    Raises
    ------
    UsageError
        The path does not exist.
    DatabaseError
        MongoDB went away or refused. Running the same call again finishes the work.
    KeyboardInterrupt
        Ctrl-C: the batch at hand is stored first; ``args[0]`` holds the report so far.

    Examples
    --------
    >>> from store.connection import connect            # doctest: +SKIP
    >>> ingest(connect(), "structures.zip").new         # doctest: +SKIP
    12
    """
    if batch < 1:
        raise UsageError(f"A batch holds at least one record; {batch} was given.")
    writer = _Writer(db, progress)
    known = time.monotonic()
    items = source_records(source, limits=limits) if isinstance(source, str | Path) else iter(source)
    names = Occurrences()
    pending: list[Prepared] = []
    held = 0
    try:
        for item in items:
            prepared = names.tell_apart(prepare(item, utc_now(), provider=provider, licence=licence))
            pending.append(prepared)
            held += len(prepared.document["content"])
            if len(pending) >= batch or held >= _BATCH_BYTES:
                writer.write(pending)
                pending, held = [], 0
        writer.write(pending)
        if isinstance(source, str | Path):
            writer.forget_mended()
    except KeyboardInterrupt as interruption:
        writer.write(pending)  # a batch may be written twice: the second time it is unchanged
        writer.report.seconds = time.monotonic() - known
        interruption.args = (writer.report,)
        raise
    except BaseException:
        # A source that breaks in mid-way (a network that fails): what came before is kept.
        if pending and not writer.broken:
            writer.write(pending)
        raise
    writer.report.seconds = time.monotonic() - known
    return writer.report


def source_records(source: str | Path, *, limits: Limits | None = None) -> Iterator[Record | BadRecord]:
    """Split a path, or the set named ``"amcsd"``, into records.

    Raises
    ------
    UsageError
        The path does not exist.

    Examples
    --------
    >>> next(source_records("amcsd")).id        # doctest: +SKIP
    'amcsd-3'
    """
    if str(source) == AMCSD and not Path(source).exists():
        from store.ingest.amcsd import amcsd_records

        return iter(amcsd_records())
    return read_records(source, limits=limits)


class _Writer:
    """Writes batches and counts."""

    def __init__(self, db: Database[dict[str, Any]], progress: Callable[[int, int | None], None] | None) -> None:
        self._use(db)
        self._settings = _settings_of(db)
        self._progress = progress
        self._paths: set[str] = set()
        self._unreadable: set[str] = set()
        self.report = IngestReport()
        self.broken = False

    def write(self, batch: list[Prepared]) -> None:
        from pymongo.errors import PyMongoError

        if not batch:
            return
        try:
            plan = self._patiently(batch)
        except DatabaseError:
            self.broken = True
            raise
        except PyMongoError as error:
            self.broken = True
            raise _translate(error) from error
        self._count(batch, plan)

    def _use(self, db: Database[dict[str, Any]]) -> None:
        self._sources = db["sources"]
        self._history = db["source_history"]

    def _patiently(self, batch: list[Prepared]) -> Plan:
        """Write, and again when the server was away for a moment: a batch bears being written twice."""
        from pymongo.errors import PyMongoError

        def again(db: Database[dict[str, Any]]) -> Plan:
            self._use(db)
            return self._write(batch)

        try:
            return self._write(batch)
        except PyMongoError as error:
            if self._settings is None or not is_disconnect(error):
                raise
        return retry_on_disconnect(again, self._settings, seconds=_PATIENCE)

    def _write(self, batch: list[Prepared]) -> Plan:
        from pymongo.errors import BulkWriteError

        for attempt in range(5):
            plan = self._decide(batch)
            try:
                self._apply(plan)
            except BulkWriteError as error:
                # Another process stored one of them in between: look again and decide anew.
                codes = {fault.get("code") for fault in error.details.get("writeErrors", [])}
                if codes != {11000} or attempt == 4:
                    raise
            else:
                return plan
        raise AssertionError("unreachable")

    def _decide(self, batch: list[Prepared]) -> Plan:
        stored = self._stored([prepared.id for prepared in batch])
        further = other_ids(batch, stored)
        if further:
            stored.update(self._stored(further))
        return make_plan(batch, stored, utc_now())

    def _stored(self, ids: list[str]) -> dict[str, dict[str, Any]]:
        return {found["_id"]: found for found in self._sources.find({"_id": {"$in": ids}}, _NEEDED)}

    def _apply(self, plan: Plan) -> None:
        from pymongo import ReplaceOne, UpdateOne

        now = utc_now()
        old = list(plan.history)
        if plan.updates:
            old += [old_version(found, now) for found in self._sources.find({"_id": {"$in": list(plan.updates)}})]
        if old:  # the former versions first: an interruption then loses none
            self._history.bulk_write([ReplaceOne({"_id": one["_id"]}, one, upsert=True) for one in old], ordered=False)
        if plan.updates:
            # Replaced only while it is still the version that was copied; else the upsert collides and all is decided anew.
            self._sources.bulk_write(
                [
                    ReplaceOne({"_id": name, "hash": plan.replaced[name]}, made, upsert=True)
                    for name, made in plan.updates.items()
                ],
                ordered=False,
            )
        if plan.origins:
            self._sources.bulk_write(
                [
                    UpdateOne({"_id": name}, {"$push": {"origins": {"$each": new}}})
                    for name, new in plan.origins.items()
                ],
                ordered=False,
            )
        if plan.inserts:
            self._sources.insert_many(list(plan.inserts.values()), ordered=False)

    def _count(self, batch: list[Prepared], plan: Plan) -> None:
        report = self.report
        report.new += plan.new
        report.updated += plan.updated
        report.unchanged += plan.unchanged
        report.unreadable += plan.unreadable
        for prepared in batch:
            if prepared.origin.get("path"):
                self._paths.add(prepared.origin["path"])
            if prepared.document["format"] == UNREADABLE:
                self._unreadable.add(prepared.id)
                if len(report.errors) < _KEPT_ERRORS:
                    report.errors.append(_describe(prepared))
        if self._progress is not None:
            self._progress(report.total, None)

    def forget_mended(self) -> None:
        """Move notes of unreadable bytes at the places just read to the history, where those places read well now."""
        from pymongo.errors import PyMongoError

        notes = {"_id": {"$gte": f"{UNREADABLE}-", "$lt": f"{UNREADABLE}."}}
        now = utc_now()
        try:
            for note in self._sources.find(notes):
                paths = [origin.get("path") for origin in note["origins"]]
                if note["_id"] in self._unreadable or not all(path in self._paths for path in paths):
                    continue
                version = old_version(note, now)
                self._history.replace_one({"_id": version["_id"]}, version, upsert=True)
                self._sources.delete_one({"_id": note["_id"], "hash": note["hash"]})
        except PyMongoError as error:
            raise _translate(error) from error


def _settings_of(db: Database[dict[str, Any]]) -> Settings | None:
    """Return the settings that lead to this very database, with which a lost server is found or started again."""
    from store.settings import load_settings

    try:
        settings = load_settings()
        same = connect(settings, start=False)
    except (DatabaseError, UsageError):
        return None
    return settings if same.client is db.client and same.name == db.name else None


def _describe(prepared: Prepared) -> dict[str, str]:
    parts = [str(value) for key, value in prepared.origin.items() if key != "at"]
    return {"origin": "!".join(parts), **prepared.document["error"]}


def _translate(error: Exception) -> DatabaseError:
    """Put an error of pymongo into our tree."""
    from pymongo.errors import BulkWriteError

    mend = "give the same command again once MongoDB answers: it goes on where it stopped"
    if is_disconnect(error):
        return ServerUnavailable(f"MongoDB went away during the ingestion: {redact(str(error))[:300]}.", mend=mend)
    details = getattr(error, "details", None) or {}
    codes = {fault.get("code") for fault in details.get("writeErrors", [])} | {getattr(error, "code", None)}
    message = str(error)
    if isinstance(error, BulkWriteError) and details.get("writeErrors"):
        message = str(details["writeErrors"][0].get("errmsg", message))
    if codes & _DISK_FULL:
        return DataFolderError(f"The disk of the database is full: {message}.", mend="free some space and run it again")
    return DatabaseError(f"MongoDB refused the records: {message[:500]}.")
