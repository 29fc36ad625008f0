"""Run builders: one from plan to record, many in the order in which they depend on each other."""

from __future__ import annotations

import logging
import os
import socket
import time
import uuid
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from builders.engine.executors import DaskCluster, Executor, LocalPool
from builders.engine.inputs import StampTables, without_garbage_collection
from builders.engine.lease import Lease
from builders.engine.loop import Loop
from store.errors import OrphanGuard
from store.provenance import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from pymongo.database import Database

    from builders.engine.builder import IncrementalBuilder
    from builders.engine.plan import Plan

log = logging.getLogger(__name__)


class Progress(Protocol):
    """Where a build reports how far it is."""

    def start(self, name: str, total: int) -> None:
        """Announce a builder and the number of its items."""

    def advance(self, name: str, done: int, failed: int) -> None:
        """Report finished items."""

    def stop(self, name: str) -> None:
        """Say that a builder ended."""


class Silent:
    """Report nothing."""

    def start(self, name: str, total: int) -> None:
        """Ignore."""

    def advance(self, name: str, done: int, failed: int) -> None:
        """Ignore."""

    def stop(self, name: str) -> None:
        """Ignore."""


@dataclass
class Options:
    """How to build.

    Attributes
    ----------
    workers : int
    cluster : str or None
        Address of a dask scheduler, or ``local:N``.
    retry_failed, allow_orphans : bool
    limit : int or None
        Build at most so many documents a builder.
    materials : set of str or None
        Only what depends on these records.
    wait : float
        Seconds to wait for another build's lease.
    item_seconds : float or None
        Overrides the builders' time limits.
    memory_bytes : int
    orphan_share : float
    selections : mapping
        Selection of a builder by its name (:class:`~builders.engine.builder.IncrementalBuilder`).
    """

    workers: int = 1
    cluster: str | None = None
    retry_failed: bool = False
    allow_orphans: bool = False
    limit: int | None = None
    materials: Collection[str] | None = None
    wait: float = 0.0
    item_seconds: float | None = None
    memory_bytes: int = 4 * 2**30
    orphan_share: float = 0.2
    selections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass
class RunSummary:
    """What a run of one builder did."""

    name: str
    collection: str
    built: int = 0
    unchanged: int = 0
    failed: int = 0
    known_failures: int = 0
    removed: int = 0
    seconds: float = 0.0
    interrupted: bool = False
    refused: str | None = None
    reasons: dict[str, int] = field(default_factory=dict)


class Session:
    """What the builders of one run share: the database, what was read of it, the workers.

    Use as a context: the workers end with it.
    """

    def __init__(
        self,
        database: Database[Any],
        options: Options,
        call: Callable[[Callable[[], Any]], Any] | None = None,
        progress: Progress | None = None,
        groups: Mapping[str, str] | None = None,
    ) -> None:
        self.database = database
        self.options = options
        self.call = call or (lambda operation: operation())
        self.progress = progress or Silent()
        self.tables = StampTables(database, self.call, groups)
        self._executor: Executor | None = None

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._executor is not None:
            self._executor.close(at_once=kind is not None)
            self._executor = None

    def revision(self, collection: str) -> int:
        """Number of writes that builds have made to a collection."""
        found = self.call(lambda: self.database["meta"].find_one({"_id": f"revision/{collection}"}))
        return int(found["n"]) if found else 0

    @property
    def executor(self) -> Executor:
        """The workers, started at the first item."""
        if self._executor is None:
            if self.options.cluster:
                self._executor = DaskCluster(self.options.cluster, self.options.memory_bytes)
            else:
                self._executor = LocalPool(self.options.workers, self.options.memory_bytes)
        return self._executor


def only_keys(builder: IncrementalBuilder, session: Session) -> set[str] | None:
    """Translate the materials of the options into keys of this builder."""
    materials = session.options.materials
    if materials is None:
        return None
    return builder.roles()[0].targets(materials, session.tables)


def plan_builder(builder: IncrementalBuilder, session: Session) -> Plan:
    """Plan one builder within a session."""
    builder.bind(session.database, session.call)
    with without_garbage_collection():
        plan = builder.plan(session.tables, only=only_keys(builder, session), retry_failed=session.options.retry_failed)
    limit = session.options.limit
    if limit is not None and len(plan.inputs) > limit:
        plan.inputs = dict(list(plan.inputs.items())[:limit])
    return plan


def run_builder(builder: IncrementalBuilder, session: Session) -> RunSummary:
    """Build one collection: lease, plan, work, orphans, publish, record.

    Raises
    ------
    BuildRunning
        Another build holds the lease.
    KeyboardInterrupt
        After what was finished has been written.
    """
    summary = RunSummary(builder.NAME, builder.COLLECTION)
    started = time.perf_counter()
    revision = session.revision(builder.COLLECTION)
    plan = plan_builder(builder, session)
    summary.unchanged, summary.known_failures = plan.fresh, len(plan.failed)
    if _nothing_to_do(builder, plan, session):
        summary.seconds = time.perf_counter() - started
        return summary
    with Lease(session.database, builder.NAME, wait=session.options.wait) as lease:
        if session.revision(builder.COLLECTION) != revision:
            # Another build wrote between the plan and the lease: what it did counts.
            session.tables.forget(builder.COLLECTION)
            session.tables.forget(builder.target.readable() or "")
            plan = plan_builder(builder, session)
            summary.unchanged, summary.known_failures = plan.fresh, len(plan.failed)
        record = _Record(builder, session)
        state = "broken"
        try:
            builder.target.begin(plan)
            session.progress.start(builder.NAME, len(plan.inputs))
            Loop(builder, session, lease, summary).run(plan)
            _tidy(builder, session, plan, summary)
            state = "done"
        except KeyboardInterrupt:
            summary.interrupted = True
            state = "interrupted"
            raise
        finally:
            written = [*plan.inputs, *plan.orphans]
            for name in {builder.COLLECTION, builder.target.readable() or builder.COLLECTION}:
                session.tables.refresh(name, written)
            session.progress.stop(builder.NAME)
            summary.seconds = time.perf_counter() - started
            record.close(summary, state)
    return summary


def _nothing_to_do(builder: IncrementalBuilder, plan: Plan, session: Session) -> bool:
    if plan.inputs or plan.orphans or any(key not in plan.all_keys for key in plan.known_failures):
        return False
    if builder.PUBLISH == "generation":
        from store.generations import staged_generation

        return session.call(lambda: staged_generation(session.database, builder.COLLECTION)) is None
    return True


def _tidy(builder: IncrementalBuilder, session: Session, plan: Plan, summary: RunSummary) -> None:
    target = builder.target
    if not plan.restricted:
        try:
            summary.removed = target.remove_orphans(
                plan, share=session.options.orphan_share, insist=session.options.allow_orphans
            )
        except OrphanGuard as error:
            # What was built is good and is published; the refusal is reported with its own exit code.
            summary.refused = str(error)
    target.publish(plan)


class _Record:
    """The entry of this run in ``builds``."""

    def __init__(self, builder: IncrementalBuilder, session: Session) -> None:
        self._session = session
        self._id = uuid.uuid4().hex
        document = {
            "_id": self._id,
            "builder": builder.NAME,
            "collection": builder.COLLECTION,
            "state": "running",
            "started_at": utc_now(),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "version": builder.VERSION,
            "params": asdict(builder.settings),
        }
        builds = session.database["builds"]
        # We hold the lease: whatever says that it runs was killed.
        killed = {"builder": builder.NAME, "state": "running"}
        session.call(lambda: builds.update_many(killed, {"$set": {"state": "interrupted"}}))
        session.call(lambda: builds.replace_one({"_id": self._id}, document, upsert=True))

    def close(self, summary: RunSummary, state: str) -> None:
        change = {"$set": {"state": state, "ended_at": utc_now(), "summary": asdict(summary)}}
        try:
            self._session.database["builds"].update_one({"_id": self._id}, change)
        except Exception as error:
            log.warning("the record of this build could not be closed: %s", error)


def grouping_fields(builders: Sequence[type[IncrementalBuilder]]) -> dict[str, str]:
    """Which collections are read by group, and by which field."""
    roles: list[Any] = [role for builder in builders for role in builder.inputs()]
    return {role.collection: role.group for role in roles if getattr(role, "group", "")}


def in_order(builders: Sequence[type[IncrementalBuilder]]) -> list[type[IncrementalBuilder]]:
    """Sort builders so that each stands after those that make its inputs.

    Raises
    ------
    ValueError
        They depend on each other in a circle.
    """
    from graphlib import CycleError, TopologicalSorter

    makers: dict[str, list[type[IncrementalBuilder]]] = {}
    for builder in builders:
        makers.setdefault(builder.COLLECTION, []).append(builder)
    graph = {
        builder: [
            maker for role in builder.inputs() for maker in makers.get(role.collection, []) if maker is not builder
        ]
        for builder in builders
    }
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise ValueError(f"The builders depend on each other in a circle: {error.args[1]}") from None
