"""Executors: where chunks of work are done. Spawned local processes (pebble), or a dask.distributed cluster.

Both keep the same promises: one builder a process, a killable time limit and a memory limit, a dead worker costs its
chunk a second try and nothing else.
"""

from __future__ import annotations

import concurrent.futures as futures
import contextlib
import logging
import multiprocessing
import os
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any, Final, Protocol

from builders.engine.work import SOFT_SECONDS, BuilderSpec, Outcome, WorkItem, prepare_worker, run_chunk
from store.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Future = futures.Future[list[Outcome]]
log = logging.getLogger(__name__)

THREADS: Final = {
    # One process a core does the work: threads inside would fight for the same cores. Waiting OpenMP threads must sleep.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
}


class WorkerDied(Exception):
    """The process that worked on an item ended (killed, crashed in native code, or over its memory limit)."""


class TimeLimit(Exception):
    """An item took longer than its limit and was stopped."""


class Executor(Protocol):
    """Run chunks somewhere else."""

    workers: int

    def submit(self, spec: BuilderSpec, items: Sequence[WorkItem], limit: float) -> Future:
        """Start a chunk; the future gives outcomes, or raises :class:`WorkerDied` or :class:`TimeLimit`."""

    def check(self) -> None:
        """Give up on futures that can never finish, because what should finish them broke."""

    def close(self, *, at_once: bool) -> None:
        """End the workers; ``at_once`` does not wait for what is running."""


@contextlib.contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Set some variables of the environment for a while: for processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


_BROKEN = "The pool of workers broke: a worker was killed while it held the channel that all share."


def _settle(outer: Future, result: list[Outcome] | None, error: BaseException | None) -> None:
    """Finish a future, unless somebody else just did."""
    with contextlib.suppress(futures.InvalidStateError):
        if error is None and result is not None:
            outer.set_result(result)
        else:
            outer.set_exception(error or WorkerDied("The work was cancelled."))


def _translate(error: BaseException, limit: float) -> BaseException:
    """Turn an error of the pool into one of ours; what the work itself raised stays."""
    import pebble

    if isinstance(error, futures.TimeoutError | TimeoutError):
        return TimeLimit(f"It took longer than {limit:g} s and was stopped.")
    if isinstance(error, pebble.ProcessExpired):
        return WorkerDied(f"The worker process ended with exit code {error.exitcode} (negative: a signal).")
    if isinstance(error, BrokenProcessPool):
        return WorkerDied(_BROKEN)
    return error


class LocalPool:
    """Spawned processes on this machine, never forked (a fork after OpenMP was used hangs).

    A worker that dies is replaced; a pool that breaks, because a worker was killed while it held the channel that all
    share, is replaced as a whole.

    Parameters
    ----------
    workers : int
    memory_bytes : int
        Data each worker may allocate, bytes; then allocations fail and are recorded as ``MemoryError``.
    """

    def __init__(self, workers: int, memory_bytes: int) -> None:
        self.workers = workers
        self._memory_bytes = memory_bytes
        self._open: set[Future] = set()
        self._exit = contextlib.ExitStack()
        # Workers are started, and restarted after a death, during the pool's whole life: so long the environment stands.
        self._exit.enter_context(environment(dict(THREADS)))
        self._pool = self._make()

    def _make(self) -> Any:
        import pebble

        return pebble.ProcessPool(
            max_workers=self.workers,
            initializer=prepare_worker,
            initargs=(self._memory_bytes, os.getpid()),
            context=multiprocessing.get_context("spawn"),
        )

    def submit(self, spec: BuilderSpec, items: Sequence[WorkItem], limit: float) -> Future:
        """Start a chunk."""
        hard = limit + SOFT_SECONDS
        try:
            inner = self._pool.schedule(run_chunk, args=(spec, list(items)), timeout=hard)
        except RuntimeError:  # the pool broke since the last look
            self._renew()
            inner = self._pool.schedule(run_chunk, args=(spec, list(items)), timeout=hard)
        outer: Future = futures.Future()
        outer.set_running_or_notify_cancel()
        self._open.add(outer)

        def pass_on(done: futures.Future[Any]) -> None:
            self._open.discard(outer)
            error = WorkerDied("The work was cancelled.") if done.cancelled() else done.exception()
            _settle(outer, None if error else done.result(), error and _translate(error, limit))

        inner.add_done_callback(pass_on)
        return outer

    def check(self) -> None:
        """Replace a pool that broke; its chunks are reported as lost and will be sent again."""
        if not self._pool.active:
            self._renew()

    def _renew(self) -> None:
        log.warning("%s It is replaced, and its work done again.", _BROKEN)
        self._end(at_once=True)
        self._pool = self._make()
        for outer in list(self._open):
            self._open.discard(outer)
            _settle(outer, None, WorkerDied(_BROKEN))

    def _end(self, *, at_once: bool) -> None:
        # A broken pool may refuse to be joined; its workers end by themselves when they see that nobody listens.
        with contextlib.suppress(RuntimeError, futures.TimeoutError, TimeoutError):
            if at_once:
                self._pool.stop()
            else:
                self._pool.close()
            self._pool.join(timeout=10)

    def close(self, *, at_once: bool) -> None:
        """End the workers."""
        self._end(at_once=at_once)
        self._exit.close()


_CLUSTER_POOL: list[LocalPool] = []


def _run_in_cluster(spec: BuilderSpec, items: Sequence[WorkItem], limit: float, memory_bytes: int) -> list[Outcome]:
    """Run on a dask worker, in a killable process of its own, so that limits mean the same everywhere."""
    if not _CLUSTER_POOL:
        _CLUSTER_POOL.append(LocalPool(1, memory_bytes))
    return _CLUSTER_POOL[0].submit(spec, items, limit).result()


class DaskCluster:
    """Workers of a dask.distributed cluster.

    Parameters
    ----------
    address : str
        Scheduler, e.g. ``tcp://node1:8786``; ``local:2`` starts a cluster of two workers on this machine.
    memory_bytes : int

    Raises
    ------
    MissingExtra
        ``distributed`` is not installed.
    """

    def __init__(self, address: str, memory_bytes: int) -> None:
        try:
            import dask
            import distributed
        except ImportError:
            raise MissingExtra(
                f"The cluster {address!r} needs dask.distributed, which is not installed.",
                mend="pip install 'ionatlas[cluster]'",
            ) from None
        self._exit = contextlib.ExitStack()
        if address.startswith("local:"):
            count = int(address.removeprefix("local:"))
            # Our worker starts a process of its own, which a daemonic process may not.
            self._exit.enter_context(dask.config.set({"distributed.worker.daemon": False}))
            cluster = distributed.LocalCluster(
                n_workers=count, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, processes=True
            )
            self._exit.callback(cluster.close)
            self._client = distributed.Client(cluster)
        else:
            self._client = distributed.Client(address, timeout="20s")
        self._exit.callback(self._client.close)
        self._memory_bytes = memory_bytes
        self.workers = max(1, len(self._client.scheduler_info(n_workers=-1)["workers"]))
        # pure=False: the same chunk sent again after a death is new work.
        self._executor = self._client.get_executor(pure=False, retries=0)

    def submit(self, spec: BuilderSpec, items: Sequence[WorkItem], limit: float) -> Future:
        """Start a chunk."""
        inner = self._executor.submit(_run_in_cluster, spec, list(items), limit, self._memory_bytes)
        outer: Future = futures.Future()
        outer.set_running_or_notify_cancel()

        def pass_on(done: futures.Future[Any]) -> None:
            error = None if done.cancelled() else done.exception()
            if done.cancelled():
                outer.set_exception(WorkerDied("The work was cancelled."))
            elif error is None:
                outer.set_result(done.result())
            elif type(error).__name__ in ("KilledWorker", "CancelledError", "CommClosedError"):
                outer.set_exception(WorkerDied(f"The cluster lost the worker: {error}"))
            else:
                outer.set_exception(error)

        inner.add_done_callback(pass_on)
        return outer

    def check(self) -> None:
        """Nothing to do: dask itself reports what it lost."""

    def close(self, *, at_once: bool) -> None:
        """Leave the cluster (and end it, if it was started here)."""
        with contextlib.suppress(Exception):
            self._executor.shutdown(wait=False)
        self._exit.close()
