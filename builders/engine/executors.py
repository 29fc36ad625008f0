"""Executors: where chunks of work are done. Spawned local processes (pebble), or a dask.distributed cluster.

Both keep the same promises: one builder a process, a killable time limit and a memory limit, a dead worker costs its
chunk a second try and nothing else.
"""

from __future__ import annotations

import concurrent.futures as futures
import contextlib
import multiprocessing
import os
from typing import TYPE_CHECKING, Any, Final, Protocol

from builders.engine.work import SOFT_SECONDS, BuilderSpec, Outcome, WorkItem, prepare_worker, run_chunk
from store.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Future = futures.Future[list[Outcome]]

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

    def close(self, *, at_once: bool) -> None:
        """End the workers; ``at_once`` does not wait for what is running."""


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
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


def _translated(inner: futures.Future[Any], limit: float) -> Future:
    """Give a future whose errors are ours."""
    import pebble

    outer: Future = futures.Future()
    outer.set_running_or_notify_cancel()

    def pass_on(done: futures.Future[Any]) -> None:
        if done.cancelled():
            outer.set_exception(WorkerDied("The work was cancelled."))
            return
        error = done.exception()
        if error is None:
            outer.set_result(done.result())
        elif isinstance(error, futures.TimeoutError | TimeoutError):
            outer.set_exception(TimeLimit(f"It took longer than {limit:g} s and was stopped."))
        elif isinstance(error, pebble.ProcessExpired):
            outer.set_exception(
                WorkerDied(f"The worker process ended with exit code {error.exitcode} (negative: a signal).")
            )
        else:
            outer.set_exception(error)

    inner.add_done_callback(pass_on)
    return outer


class LocalPool:
    """Spawned processes on this machine, never forked (a fork after OpenMP was used hangs).

    Parameters
    ----------
    workers : int
    memory_bytes : int
        Data each worker may allocate, bytes; then allocations fail and are recorded as ``MemoryError``.
    """

    def __init__(self, workers: int, memory_bytes: int) -> None:
        import pebble

        self.workers = workers
        self._exit = contextlib.ExitStack()
        # Workers are started, and restarted after a death, during the pool's whole life: so long the environment stands.
        self._exit.enter_context(_environment(dict(THREADS)))
        self._pool = pebble.ProcessPool(
            max_workers=workers,
            initializer=prepare_worker,
            initargs=(memory_bytes, os.getpid()),
            context=multiprocessing.get_context("spawn"),
        )

    def submit(self, spec: BuilderSpec, items: Sequence[WorkItem], limit: float) -> Future:
        """Start a chunk."""
        hard = limit + SOFT_SECONDS
        return _translated(self._pool.schedule(run_chunk, args=(spec, list(items)), timeout=hard), limit)

    def close(self, *, at_once: bool) -> None:
        """End the workers."""
        if at_once:
            self._pool.stop()
        else:
            self._pool.close()
        self._pool.join(timeout=10)
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

    def close(self, *, at_once: bool) -> None:
        """Leave the cluster (and end it, if it was started here)."""
        with contextlib.suppress(Exception):
            self._executor.shutdown(wait=False)
        self._exit.close()
