"""The loop of a build: keep the workers busy, write what they finish, find out who is to blame when one dies."""

from __future__ import annotations

import concurrent.futures as futures
import logging
import time
from collections import Counter, deque
from typing import TYPE_CHECKING

from builders.engine.executors import TimeLimit, WorkerDied
from builders.engine.work import Outcome, SetupFailed
from store.provenance import count_reasons, describe_error

if TYPE_CHECKING:
    from builders.engine.builder import IncrementalBuilder
    from builders.engine.executors import Executor
    from builders.engine.lease import Lease
    from builders.engine.plan import Plan
    from builders.engine.run import RunSummary, Session
    from builders.engine.work import WorkItem

log = logging.getLogger(__name__)

TARGET_SECONDS = 0.4
"""Chunks are cut so that one takes about so long, s."""

LARGEST_CHUNK = 400
MOST_REASONS = 20
"""A summary names so many different reasons; all are in ``build_state``."""

DEATHS = 3
"""An item whose worker died is tried so often: the first deaths may be another's fault."""


class Loop:
    """Keep the workers busy and write what they finish."""

    def __init__(self, builder: IncrementalBuilder, session: Session, lease: Lease, summary: RunSummary) -> None:
        self._builder = builder
        self._session = session
        self._lease = lease
        self._summary = summary
        self._reasons: list[str] = []
        self._limit = session.options.item_seconds or builder.ITEM_SECONDS
        self._chunk = max(4, builder.BATCH)
        self._again: deque[list[WorkItem]] = deque()
        self._deaths: Counter[str] = Counter()
        self._running: dict[futures.Future[list[Outcome]], tuple[list[WorkItem], float]] = {}
        self._done: list[Outcome] = []
        self._written_at = time.monotonic()

    def run(self, plan: Plan) -> None:
        """Work through a plan; what is finished is written also when this is interrupted."""
        todo = deque(plan.todo)
        if not todo:
            return
        executor = self._session.executor
        try:
            while todo or self._again or self._running:
                while len(self._running) < 2 * executor.workers and (todo or self._again):
                    self._submit(executor, todo, plan)
                self._collect()
                self._write(least=500)
        finally:
            # Also on Ctrl-C: what is finished is written before the process goes.
            self._take_finished()
            self._write(least=1)
            self._summary.reasons = count_reasons(self._reasons, MOST_REASONS)

    def _submit(self, executor: Executor, todo: deque[str], plan: Plan) -> None:
        if self._again:
            items = self._again.popleft()
        else:
            keys = [todo.popleft() for _ in range(min(self._chunk, len(todo)))]
            items = self._builder.fetch(keys, plan.inputs)
            if not items:
                return
        future = executor.submit(self._builder.spec(), items, self._limit)
        self._running[future] = (items, time.perf_counter())

    def _collect(self) -> None:
        if self._running:
            done, _ = futures.wait(self._running, timeout=1.0, return_when=futures.FIRST_COMPLETED)
            if not done:
                self._session.executor.check()
        self._take_finished()
        self._lease.check()

    def _take_finished(self) -> None:
        for future in [future for future in self._running if future.done()]:
            items, submitted = self._running.pop(future)
            error = future.exception()
            if error is None:
                self._accept(items, future.result(), time.perf_counter() - submitted)
            elif isinstance(error, WorkerDied | TimeLimit):
                self._blame(items, error)
            elif isinstance(error, SetupFailed):
                raise error
            elif len(items) > 1:
                self._again.extend([item] for item in items)
            else:  # an answer that could not be sent, or an item that could not be read
                self._fail(items[0], error)

    def _accept(self, items: list[WorkItem], outcomes: list[Outcome], seconds: float) -> None:
        self._done += outcomes
        rest = items[len(outcomes) :]
        if rest:
            self._again.append(rest)
        if len(items) == self._chunk or rest:
            work = sum(outcome.seconds for outcome in outcomes)
            each = max(work / len(outcomes), 1e-6)
            grown = min(LARGEST_CHUNK, int(TARGET_SECONDS / each) + 1, 4 * self._chunk)
            self._chunk = max(self._builder.BATCH, grown)
        log.debug("chunk of %d took %.2f s", len(items), seconds)

    def _blame(self, items: list[WorkItem], error: WorkerDied | TimeLimit) -> None:
        if len(items) > 1:
            # One of them is to blame: each gets a process to itself.
            self._again.extend([item] for item in items)
            return
        item = items[0]
        self._deaths[item.key] += 1
        if isinstance(error, WorkerDied) and self._deaths[item.key] < DEATHS:
            self._again.append([item])
        else:
            self._fail(item, error)

    def _fail(self, item: WorkItem, error: BaseException) -> None:
        self._done.append(Outcome(item.key, item.joined, 0.0, error=describe_error(error)))

    def _write(self, least: int) -> None:
        overdue = self._done and time.monotonic() - self._written_at > 1.0
        if len(self._done) < least and not overdue:
            return
        outcomes, self._done = self._done, []
        failed = self._builder.target.write(outcomes)
        self._written_at = time.monotonic()
        self._summary.built += len(outcomes) - len(failed)
        self._summary.failed += len(failed)
        for outcome in failed:
            assert outcome.error is not None
            self._reasons.append(f"{outcome.error['type']}: {outcome.error['message'].replace(outcome.key, '…')}")
        self._session.progress.advance(self._builder.NAME, len(outcomes), len(failed))
