"""One private server shared by all local processes: find it, start it, stop it, describe it."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from typing import TYPE_CHECKING, Any

from store.errors import ServerStartError
from store.server.folder import (
    ServerFolder,
    check_free_space,
    prepare_folder,
    read_state,
    size_on_disk,
    unusable,
    write_state,
)
from store.server.info import ServerInfo, ServerStatus, describe
from store.server.launch import (
    START_SECONDS,
    FolderInUse,
    Killed,
    PortTaken,
    choose_ports,
    launch,
    log_is_long,
    prune_logs,
    telling_lines,
)
from store.server.process import ServerProcess, alive, await_last_breath, find_process, inspect_process
from store.server.program import find_mongod
from store.server.replica import ask, is_primary, make_primary, rotate_running_log

if TYPE_CHECKING:
    from collections.abc import Iterator

    from store.settings import Settings

STOP_SECONDS = 60.0
"""Longest wait for a clean shutdown."""

_KILLED_AT_MOST = 3
_QUICK_SECONDS = 2.0

_LOG = logging.getLogger(__name__)


def ensure_server(settings: Settings | None = None) -> ServerInfo:
    """Return the running private server of ``settings.home``; start it when there is none.

    Several processes may call this at once: they share one server. A server or a starting process that was killed
    at any moment does not block the next call.

    Parameters
    ----------
    settings : Settings, optional
        Read from the environment when not given.

    Returns
    -------
    ServerInfo

    Raises
    ------
    DataFolderError
        The folder is read-only, full, or not ours.
    ServerStartError
        No ``mongod`` was found, it did not start, or the one that runs does not answer.

    Examples
    --------
    >>> ensure_server().uri.startswith("mongodb://127.0.0.1:")
    True
    """
    settings = settings or _load()
    folder = ServerFolder.of(settings.home)
    quick = _quick(folder, settings)
    if quick is not None:
        return quick
    prepare_folder(folder)
    with _exclusive(folder):
        return _adopt(folder, settings) or _start(folder, settings)


def running_server(settings: Settings | None = None) -> ServerInfo | None:
    """Return the private server if it runs and answers; never start it.

    Examples
    --------
    >>> server = running_server()
    >>> server is None or server.port > 0
    True
    """
    settings = settings or _load()
    status = server_status(settings)
    return status.info if status.answers else None


def recorded_server(settings: Settings) -> ServerInfo | None:
    """Return the server of the state file if its process lives, without asking it anything (0.3 ms).

    Examples
    --------
    >>> from store.settings import load_settings
    >>> recorded_server(load_settings()) is None or recorded_server(load_settings()).port > 0
    True
    """
    folder = ServerFolder.of(settings.home)
    state = read_state(folder)
    process = None if state is None else inspect_process(state["pid"], folder)
    if state is None or process is None or process.port != state["port"] or process.stopped:
        return None
    return describe(process, folder, str(state.get("version", "unknown")))


def stop_server(settings: Settings | None = None) -> bool:
    """Shut the private server down cleanly and wait until it has ended.

    Returns
    -------
    bool
        False when none was running.

    Raises
    ------
    ServerStartError
        It did not end within `STOP_SECONDS`.

    Examples
    --------
    >>> stop_server() in (True, False)
    True
    """
    import signal

    settings = settings or _load()
    folder = ServerFolder.of(settings.home)
    if not os.access(folder.home, os.W_OK) and find_process(folder, read_state(folder)) is None:
        return False  # absent or read-only, and nothing runs there
    with _exclusive(folder):
        process = find_process(folder, read_state(folder))
        if process is None:
            folder.state.unlink(missing_ok=True)
            return False
        if process.stopped:
            raise _silent(process, folder)
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)
        if not _wait_for_end(process.pid, STOP_SECONDS):
            raise ServerStartError(
                f"The private server (process {process.pid}) did not shut down within {STOP_SECONDS:.0f} s.",
                mend=f"kill -9 {process.pid} (its journal keeps all acknowledged writes)",
            )
        folder.state.unlink(missing_ok=True)
        return True


def server_status(settings: Settings | None = None) -> ServerStatus:
    """Describe the private server; touches nothing.

    Examples
    --------
    >>> server_status().size_on_disk >= 0
    True
    """
    settings = settings or _load()
    folder = ServerFolder.of(settings.home)
    process = find_process(folder, read_state(folder))
    info, answers, uptime = None, False, None
    if process is not None:
        said = None
        if process.port is not None and not process.stopped:
            said = ask(process.port, min(settings.server_timeout, 5.0))
        answers = is_primary(said)
        info = describe(process, folder, said["version"] if said else "unknown")
        uptime = max(0.0, time.time() - process.create_time)
    return ServerStatus(info, answers, folder.dbpath, folder.log, size_on_disk(folder), uptime)


def server_folder(settings: Settings | None = None) -> ServerFolder:
    """Return the paths of the private server (data, log, state and lock file), whether they exist or not.

    Examples
    --------
    >>> server_folder().dbpath.name
    'db'
    """
    return ServerFolder.of((settings or _load()).home)


def _load() -> Settings:
    from store.settings import load_settings

    return load_settings()


def _quick(folder: ServerFolder, settings: Settings) -> ServerInfo | None:
    """Take the common case without the lock: the state file is right and the server answers."""
    info = recorded_server(settings)
    said = None if info is None else ask(info.port, _QUICK_SECONDS)
    if info is None or not is_primary(said):
        return None
    if log_is_long(folder):
        rotate_running_log(info.port, settings.server_timeout)
        prune_logs(folder)
    return info


def _adopt(folder: ServerFolder, settings: Settings) -> ServerInfo | None:
    """Take over a server that runs on our folder, whoever started it; None once none runs (any more)."""
    deadline = time.monotonic() + max(settings.server_timeout, 1.0)
    while (process := find_process(folder, read_state(folder))) is not None:
        if process.stopped:
            raise _silent(process, folder)
        # Short questions: a server that is shutting down should be noticed as soon as it has ended.
        said = None if process.port is None else ask(process.port, 1.0)
        if said is not None and process.port is not None:
            try:
                with _unless_killed(said["pid"]):
                    make_primary(said["pid"], process.port)
                # While mongod detaches itself three processes have its command line; the one that answers is the server.
                return _record(inspect_process(said["pid"], folder) or process, folder, said["version"])
            except Killed:
                continue  # look again: another one may serve by now, or none
        elif _recovering(process):
            deadline = max(deadline, time.monotonic() + 1.0)
        if time.monotonic() > deadline:
            raise _silent(process, folder)
        time.sleep(0.05)
    return None


@contextlib.contextmanager
def _unless_killed(pid: int) -> Iterator[None]:
    """Turn any error of talking to a server that is gone into `Killed`."""
    try:
        yield
    except ServerStartError:
        if alive(pid):
            raise
        raise Killed from None


def _recovering(process: ServerProcess) -> bool:
    """Whether the process is young enough to be still opening its data after a crash."""
    return time.time() - process.create_time < START_SECONDS


def _start(folder: ServerFolder, settings: Settings) -> ServerInfo:
    check_free_space(folder)
    program = find_mongod(settings)
    state = read_state(folder)
    await_last_breath(folder, state)
    killed = 0
    for port in choose_ports(folder, state["port"] if state else None):
        try:
            pid = launch(program, folder, port, settings)
            with _unless_killed(pid):
                return _welcome(pid, port, folder, settings)
        except PortTaken:
            continue
        except (Killed, FolderInUse) as error:
            # mongod detaches itself through three processes: when only a parent was killed, its child serves on.
            if (orphan := _adopt(folder, settings)) is not None:
                return orphan
            killed += 1
            time.sleep(0.1)  # a process that was just killed lets go of the folder when the system has cleared it away
            if killed == _KILLED_AT_MOST:
                if isinstance(error, FolderInUse):
                    raise
                told = " | ".join(telling_lines(folder)) or "nothing"
                raise ServerStartError(
                    f"The private server was ended {killed} times while it started (from outside, or for want of "
                    f"memory). Its log says: {told}. The whole log: {folder.log}.",
                    mend="free some memory (or set IONATLAS_CACHE_GB lower), then: ionatlas db start",
                ) from None
    raise ServerStartError("No free port was found on 127.0.0.1 for the private server.", mend="ionatlas db start")


def _welcome(pid: int, port: int, folder: ServerFolder, settings: Settings) -> ServerInfo:
    make_primary(pid, port)
    process, said = inspect_process(pid, folder), ask(port, settings.server_timeout)
    if process is None or said is None:
        raise ServerStartError(
            f"The private server (process {pid}) stopped answering right after its start. Its log: {folder.log}.",
            mend="ionatlas db status",
        )
    return _record(process, folder, said["version"])


def _record(process: ServerProcess, folder: ServerFolder, version: str) -> ServerInfo:
    info = describe(process, folder, version)
    state: dict[str, Any] = {
        "pid": info.pid,
        "port": info.port,
        "uri": info.uri,
        "dbpath": str(info.dbpath),
        "version": info.version,
        "started_at": info.started_at.isoformat(),
        "create_time": process.create_time,
        "host": socket.gethostname(),
    }
    try:
        write_state(folder, state)
    except OSError as error:
        # Only a short cut is lost: the next process finds the server by its command line.
        _LOG.warning("could not write %s: %s", folder.state, error)
    return info


def _silent(process: ServerProcess, folder: ServerFolder) -> ServerStartError:
    if process.stopped:
        return ServerStartError(
            f"The private server (process {process.pid}) is frozen by a stop signal and cannot answer.",
            mend=f"kill -CONT {process.pid}",
        )
    return ServerStartError(
        f"The private server (process {process.pid}) runs on {folder.dbpath} and does not answer "
        f"on port {process.port}. Its log: {folder.log}.",
        mend=f"kill {process.pid} (or kill -9 {process.pid}), then: ionatlas db start",
    )


def _wait_for_end(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    pause = 0.01
    while alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
        pause = min(2 * pause, 0.2)
    return True


@contextlib.contextmanager
def _exclusive(folder: ServerFolder) -> Iterator[None]:
    """Hold the folder's lock; the system releases it when the holder dies, so a leftover lock file means nothing."""
    from filelock import FileLock, Timeout

    patience = START_SECONDS + 60.0
    lock = FileLock(folder.lock, timeout=patience)
    try:
        lock.acquire()
    except OSError as error:
        if not isinstance(error, Timeout):
            raise unusable(folder.lock, error) from error
        raise ServerStartError(
            f"Another ionatlas process has been starting or stopping the private server for {patience:.0f} s "
            f"(lock file {folder.lock}).",
            mend="end that process, then: ionatlas db start",
        ) from None
    try:
        yield
    finally:
        lock.release()
