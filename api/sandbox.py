"""The sandbox: files and crystals of strangers are read and worked on in a process that can be killed.

A worker is spawned, may take so long and allocate so much, and is replaced when it hangs or dies; the server it works for
goes on.
"""

from __future__ import annotations

import concurrent.futures as futures
import contextlib
import logging
import multiprocessing
import os
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from store.errors import IonatlasError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.service import Service
    from store.crystal import Crystal
    from store.settings import Settings

T = TypeVar("T")
log = logging.getLogger(__name__)

_SPACE_FOR_LIBRARIES: Final = 8.0
"""Address space beside what may be allocated: libraries and mapped indexes take it without taking memory, GB."""
_LARGEST_FILE: Final = 64 * 2**20
"""Bytes of the largest file that a worker may write."""
_NAME: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._- ()+")


class SandboxLimit(UsageError):
    """What was given takes too long, too much memory, or brings the worker down."""


class SandboxBusy(UsageError):
    """All workers are busy and enough wait already.

    Attributes
    ----------
    retry_after : int
        Seconds after which it is worth trying again.
    """

    retry_after: int = 5


class Sandbox:
    """Spawned, killable processes for what strangers give.

    Parameters
    ----------
    workers : int
    seconds : float
        Time that one call may take, s.
    memory_gb : float
        Memory that a worker may allocate, GB.
    waiting : int
        Calls that may wait for a worker; more are refused.
    upload_mb : float
        Largest file, MB.
    settings : store.settings.Settings, optional
        Of the store that the workers may ask (:func:`worker_service`).

    Examples
    --------
    >>> with Sandbox(seconds=20) as sandbox:                                    # doctest: +SKIP
    ...     crystal = sandbox.crystal("LiF.cif", Path("LiF.cif").read_bytes())
    """

    def __init__(
        self,
        workers: int = 1,
        seconds: float = 20.0,
        memory_gb: float = 2.0,
        *,
        waiting: int = 4,
        upload_mb: float = 2.0,
        settings: Settings | None = None,
    ) -> None:
        self.workers, self.seconds, self.memory_gb, self.upload_mb = workers, seconds, memory_gb, upload_mb
        self._places = threading.BoundedSemaphore(workers + waiting)
        self._settings = settings
        self._lock = threading.Lock()
        self._pool: Any = None

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, function: Callable[..., T], *args: Any, seconds: float | None = None) -> T:
        """Call a function of a module in a worker, and wait for what it returns.

        Parameters
        ----------
        function : callable
            Of a module's top level; it and its arguments travel to another process.
        seconds : float, optional
            Time limit, s; the sandbox's own by default.

        Raises
        ------
        SandboxLimit
            It took too long or too much memory, crashed the worker, or raised what is no error of ours.
        SandboxBusy
            Too many calls wait already.
        IonatlasError
            What the function raised.
        """
        limit = self.seconds if seconds is None else seconds
        if not self._places.acquire(blocking=False):
            raise SandboxBusy("All workers are busy and others wait for them.", mend="try again in a few seconds")
        try:
            result: T = self._schedule(function, args, limit).result()
            return result
        except IonatlasError:
            raise
        except BaseException as error:
            raise self._told(error, limit) from None
        finally:
            self._places.release()

    def crystal(self, name: str, content: bytes) -> Crystal:
        """Read the one structure of a file that somebody sent.

        Parameters
        ----------
        name : str
            The file's name, of which the ending tells the format; it is never used as a path.
        content : bytes

        Raises
        ------
        UsageError
            It is too large, or holds several structures.
        SourceError, StructureError
            It cannot be read.
        """
        self.check_size(name, content)
        return self.run(crystal_of, name, content)

    def check_size(self, name: str, content: bytes) -> None:
        """Refuse a file that is too large or empty.

        Raises
        ------
        UsageError
        """
        if len(content) > self.upload_mb * 1e6:
            raise UsageError(
                f"{safe_name(name)} has {len(content) / 1e6:.1f} MB; at most {self.upload_mb:g} MB are taken.",
                mend="send one crystal; for many, ionatlas ingest FILE",
            )
        if not content:
            raise UsageError(f"{safe_name(name)} is empty.", mend="choose a file that holds one structure")

    def warm(self) -> None:
        """Start a worker and load what most questions need, so that the first does not wait for it."""
        with contextlib.suppress(IonatlasError):
            self.run(_warm, seconds=120.0)

    def close(self) -> None:
        """End the workers."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            with contextlib.suppress(RuntimeError, futures.TimeoutError, TimeoutError):
                pool.stop()
                pool.join(timeout=10)

    def _schedule(self, function: Callable[..., Any], args: tuple[Any, ...], limit: float) -> Any:
        with self._lock:
            if self._pool is None or not self._pool.active:
                self._pool = self._make()
            try:
                return self._pool.schedule(function, args=args, timeout=limit)
            except RuntimeError:  # it broke between the look and the call
                self._pool = self._make()
                return self._pool.schedule(function, args=args, timeout=limit)

    def _make(self) -> Any:
        import pebble

        return pebble.ProcessPool(
            max_workers=self.workers,
            initializer=_prepare,
            initargs=(self.memory_gb, os.getpid(), self._settings),
            context=multiprocessing.get_context("spawn"),
        )

    def _told(self, error: BaseException, limit: float) -> BaseException:
        import pebble

        if isinstance(error, KeyboardInterrupt | SystemExit):
            return error
        if isinstance(error, futures.TimeoutError | TimeoutError):
            message = f"It took longer than {limit:g} s and was stopped."
            return SandboxLimit(
                message, mend="send a smaller crystal, or compute it on your own machine: ionatlas channels FILE"
            )
        if isinstance(error, MemoryError):
            message = f"It needs more than {self.memory_gb:g} GB of memory and was stopped."
            return SandboxLimit(message, mend="send a smaller crystal, or compute it on your own machine")
        if isinstance(error, pebble.ProcessExpired):
            return SandboxLimit(
                "The process that worked on it ended, most likely for want of memory.", mend="send a smaller crystal"
            )
        log.error("A call in the sandbox failed: %s: %s", type(error).__name__, getattr(error, "traceback", error))
        return SandboxLimit(
            f"It could not be worked on: {type(error).__name__}.",
            mend="check the file with another program, or report it with the file",
        )


def safe_name(name: str) -> str:
    r"""Make a file's name that leads nowhere and breaks no line.

    Examples
    --------
    >>> safe_name("../../etc/passwd"), safe_name("a\r\nb.cif"), safe_name("")
    ('passwd', 'a__b.cif', 'file')
    """
    last = name.replace("\\", "/").rsplit("/", 1)[-1][-100:]
    clean = "".join(letter if letter in _NAME else "_" for letter in last).lstrip(". ")
    return clean or "file"


# ---------------------------------------------------------------------------------------------- in a worker process

_SETTINGS: list[Settings | None] = [None]
_SERVICES: list[Service] = []


def crystal_of(name: str, content: bytes) -> Crystal:
    """Read the one structure in a file's bytes, by the readers of ``ionatlas ingest``; for workers."""
    from api.channels.source import read_file
    from builders.structures.validation import validate

    with tempfile.TemporaryDirectory(prefix="ionatlas-") as folder:
        path = Path(folder) / safe_name(name)
        path.write_bytes(content)
        return validate(read_file(path)).crystal


def worker_service() -> Service:
    """The store, opened once a worker."""
    if not _SERVICES:
        from api.service import Service
        from store.connection import connect
        from store.settings import load_settings

        settings = _SETTINGS[0] or load_settings()
        _SERVICES.append(Service(connect(settings, start=False), settings))
    return _SERVICES[0]


def _warm() -> None:
    from importlib import import_module

    for name in (
        "builders.channels.analysis",
        "builders.structures.validation",
        "store.ingest.readers",
        "api.usecases",
    ):
        import_module(name)


def _prepare(memory_gb: float, parent: int, settings: Settings | None) -> None:
    """Make a fresh worker behave: limits, one thread, no life after the parent's death."""
    import resource

    from builders.engine.executors import THREADS
    from builders.engine.work import prepare_worker

    os.environ.update(THREADS)
    prepare_worker(int(memory_gb * 2**30), parent)
    _limit(resource.RLIMIT_AS, int((memory_gb + _SPACE_FOR_LIBRARIES) * 2**30))
    _limit(resource.RLIMIT_FSIZE, _LARGEST_FILE)
    _limit(resource.RLIMIT_CORE, 0)
    _SETTINGS[0] = settings


def _limit(what: int, wanted: int) -> None:
    import resource

    _, hard = resource.getrlimit(what)
    resource.setrlimit(what, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
