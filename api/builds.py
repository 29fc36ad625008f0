"""Builds as a user asks for them: names, plans in words and numbers, runs in order, indexes included."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from pymongo.database import Database

    from builders.engine.builder import IncrementalBuilder
    from builders.engine.plan import Plan
    from builders.engine.run import Options, Progress, RunSummary, Session
    from store.settings import Settings


@dataclass
class PlanSummary:
    """What a build of one collection or index would do.

    Attributes
    ----------
    name, collection : str
    total : int
        Documents there now.
    missing, failed, orphaned, fresh : int
        ``failed`` counts items that failed as they are and are left alone; ``orphaned`` lost their source.
    stale : dict of str to int
        By cause: ``version``, ``parameters``, ``input <role>``.
    pending : int
        Fresh as yet, but something they are made from is about to be rebuilt.
    remarks : list of str
        What the numbers leave open.
    """

    name: str
    collection: str
    total: int = 0
    missing: int = 0
    stale: dict[str, int] = field(default_factory=dict)
    failed: int = 0
    orphaned: int = 0
    fresh: int = 0
    pending: int = 0
    remarks: list[str] = field(default_factory=list)

    @property
    def todo(self) -> int:
        """Documents that a build would make, as far as is known before it."""
        return self.missing + sum(self.stale.values()) + self.pending


def known_names() -> list[str]:
    """Names that ``ionatlas build`` takes: the builders, then the indexes.

    Examples
    --------
    >>> known_names()[:2]
    ['structures', 'duplicates']
    """
    from builders.registry import BUILDERS
    from indexes.registry import NAMES

    return [*BUILDERS, *(f"index/{name}" for name in NAMES)]


def chosen(names: Sequence[str] | None) -> tuple[list[type[IncrementalBuilder]], list[str]]:
    """Translate names into builders, in the order of their inputs, and indexes. ``None`` means all but those on request.

    Raises
    ------
    UsageError
        A name is unknown; the known ones are listed.
    """
    from builders.engine.run import in_order
    from builders.registry import ON_REQUEST, builder_class

    known = known_names()
    asked = list(names or [name for name in known if name not in ON_REQUEST])
    for name in asked:
        if name not in known:
            raise UsageError(f"There is nothing to build called {name!r}. There are: {', '.join(known)}.")
    builders = in_order([builder_class(name) for name in known if name in asked and not name.startswith("index/")])
    return builders, [name.removeprefix("index/") for name in known if name in asked and name.startswith("index/")]


def matching_materials(database: Database[Any], text: str) -> set[str]:
    """Ids of the structures that match a filter; the field names are those of ``ionatlas query``.

    A filter on what only candidates have (``duplicate_of``) is asked there.
    """
    from api.filters import compile_filter
    from store.fields import FIELDS

    compiled = compile_filter(text)
    structural = all(FIELDS[name].source.startswith("structures.") for name in compiled.fields)
    found = database["structures" if structural else "candidates"].find(compiled.query, {"_id": 1})
    return {document["_id"] for document in found}


@contextlib.contextmanager
def _session(
    database: Database[Any],
    settings: Settings,
    builders: Sequence[type[IncrementalBuilder]],
    options: Options,
    progress: Progress | None = None,
) -> Iterator[Session]:
    from builders.engine.run import Session, grouping_fields
    from store.connection import retry_on_disconnect
    from store.schema import migrate

    def call(operation: Any) -> Any:
        return retry_on_disconnect(lambda _: operation(), settings)

    call(lambda: migrate(database))
    with Session(database, options, call, progress, grouping_fields(builders)) as session:
        yield session


def explain_builds(
    database: Database[Any], settings: Settings, names: Sequence[str] | None = None, options: Options | None = None
) -> list[PlanSummary]:
    """Say what a build would do, and touch nothing.

    A document whose input is about to be rebuilt counts as ``pending``: whether it is rebuilt is only known once the
    input is, because an input that comes out the same leaves it fresh.
    """
    from builders.engine.run import Options, plan_builder

    options = options or Options()
    builders, indexes = chosen(names)
    changed: dict[str, set[str]] = {}
    summaries = []
    with _session(database, settings, builders, options) as session:
        for kind in builders:
            builder = _make(kind, options)
            plan = plan_builder(builder, session)
            pending = _pending(builder, plan, changed, session)
            changed.setdefault(builder.COLLECTION, set()).update({*plan.inputs, *pending, *plan.orphans})
            summaries.append(_summary(builder, plan, pending))
        summaries += [_index_summary(database, settings, name, changed) for name in indexes]
    return summaries


def _summary(builder: IncrementalBuilder, plan: Plan, pending: set[str]) -> PlanSummary:
    missing = set(plan.missing)
    were_fresh = sum(1 for key in pending if key in plan.all_keys)
    return PlanSummary(
        name=builder.NAME,
        collection=builder.COLLECTION,
        total=plan.targets,
        missing=sum(1 for key in plan.inputs if key in missing),
        stale={cause: len(keys) for cause, keys in plan.stale.items()},
        failed=len(plan.failed),
        orphaned=len(plan.orphans),
        fresh=plan.fresh - were_fresh,
        pending=len(pending),
        remarks=builder.remarks(plan),
    )


def _make(kind: type[IncrementalBuilder], options: Options) -> IncrementalBuilder:
    return kind(selection=dict(options.selections.get(kind.NAME, {})))


def _pending(builder: IncrementalBuilder, plan: Plan, changed: dict[str, set[str]], session: Session) -> set[str]:
    first, *others = builder.roles()
    found: set[str] = set()
    upstream: Collection[str] = changed.get(first.collection, ())
    if upstream:
        # New materials count too: their documents will be missing once the input exists.
        found |= first.targets(upstream, session.tables)
    for role in others:
        if changed.get(role.collection):
            found |= {key for key in role.targets(changed[role.collection], session.tables) if key in plan.all_keys}
    return found - set(plan.inputs) - set(plan.failed)


def _index_summary(database: Database[Any], settings: Settings, name: str, changed: dict[str, set[str]]) -> PlanSummary:
    from indexes.registry import index_step

    step = index_step(name, settings)
    plan = step.plan(database)
    known = {*plan.missing, *plan.stale, *plan.removed}
    prefix = step.prefix
    upstream = {key.removeprefix(prefix) for key in changed.get(step.collection, ()) if key.startswith(prefix)}
    pending = len(upstream - known)
    there = plan.fresh + len(plan.stale) + len(plan.removed)
    return PlanSummary(
        name=f"index/{name}",
        collection=step.collection,
        total=there,
        missing=len(plan.missing),
        stale={f"input {step.collection}": len(plan.stale)} if plan.stale else {},
        orphaned=len(plan.removed),
        fresh=plan.fresh - min(pending, plan.fresh),
        pending=pending,
    )


def run_builds(
    database: Database[Any],
    settings: Settings,
    names: Sequence[str] | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
) -> list[RunSummary]:
    """Build what is missing or stale, in the order of the inputs, then bring the indexes up to date.

    A failed item does not stop the others, nor the builders after it. Look at ``failed`` and ``refused`` of the answer, or
    let :func:`raise_for` do it.

    Raises
    ------
    BuildRunning
        Another build holds a lease.
    ServerUnavailable
        The database went away and did not come back.
    KeyboardInterrupt
        After what was finished has been written.
    """
    from builders.engine.run import Options, run_builder

    options = options or Options()
    builders, indexes = chosen(names)
    summaries: list[RunSummary] = []
    with _session(database, settings, builders, options, progress) as session:
        summaries += [run_builder(_make(kind, options), session) for kind in builders]
        summaries += [_run_index(session, settings, name) for name in indexes]
    return summaries


def _run_index(session: Session, settings: Settings, name: str) -> RunSummary:
    import time
    from collections import Counter

    from builders.engine.run import RunSummary
    from indexes.registry import index_step

    started = time.perf_counter()
    step = index_step(name, settings)
    label = f"index/{name}"
    told = 0

    def tell(done: int, total: int) -> None:
        nonlocal told
        if told == 0:
            session.progress.start(label, total)
        session.progress.advance(label, done - told, 0)
        told = done

    run = session.call(lambda: step.run(session.database, tell))
    session.progress.stop(label)
    return RunSummary(
        label,
        step.collection,
        built=len(run.missing) + len(run.stale) - len(run.failed),
        unchanged=run.fresh,
        failed=len(run.failed),
        removed=len(run.removed),
        seconds=time.perf_counter() - started,
        reasons=dict(Counter(run.failed.values()).most_common(5)),
    )


def raise_for(summaries: Sequence[RunSummary]) -> None:
    """Raise if a run refused to remove orphans, or if items failed.

    Raises
    ------
    OrphanGuard, ItemsFailed
    """
    from store.errors import ItemsFailed, OrphanGuard

    for summary in summaries:
        if summary.refused:
            text, _, mend = summary.refused.partition(" To mend it: ")
            raise OrphanGuard(text, mend=mend or None)
    failed = {summary.name: summary.failed for summary in summaries if summary.failed}
    if failed:
        total = sum(failed.values())
        parts = ", ".join(f"{count} of {name}" for name, count in failed.items())
        raise ItemsFailed(
            f"{total} items failed ({parts}); each is recorded with its reason, and the last good documents are kept.",
            mend="ionatlas status shows the reasons; ionatlas build --retry-failed tries them again",
        )
