"""Which process, if any, is the server of a folder.

A process id alone proves nothing: the process may be dead (or dead and not yet collected by its parent), and its number
may have gone to another program. A server counts as ours when its command line names our data folder.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from store.server.folder import ServerFolder

_CLOCK_SLACK = 2.0  # seconds; start times are computed from the boot time, which moves when the clock is set


@dataclass(frozen=True)
class ServerProcess:
    """A living ``mongod`` on our data folder.

    Attributes
    ----------
    pid : int
    port : int or None
        None while it cannot be told.
    create_time : float
        Start, seconds since 1970.
    stopped : bool
        Frozen by a signal (SIGSTOP, Ctrl-Z): alive, and never answers.
    """

    pid: int
    port: int | None
    create_time: float
    stopped: bool


def find_process(folder: ServerFolder, state: dict[str, Any] | None = None) -> ServerProcess | None:
    """Find the process that serves `folder`: by the state file, by MongoDB's own lock file, then among all processes.

    Parameters
    ----------
    folder : ServerFolder
    state : dict, optional
        Content of the state file.

    Returns
    -------
    ServerProcess or None
        None when nothing serves this folder.

    Examples
    --------
    >>> from pathlib import Path
    >>> from store.server.folder import ServerFolder
    >>> find_process(ServerFolder.of(Path("/nowhere"))) is None
    True
    """
    if state is not None:
        found = inspect_process(state["pid"], folder)
        if found is not None and abs(found.create_time - float(state.get("create_time", 0.0))) < _CLOCK_SLACK:
            return found
    holder = _lock_holder(folder)
    if holder is not None:
        found = inspect_process(holder, folder, any_command=True)
        if found is not None:
            return found
    return _scan(folder)


def inspect_process(pid: int, folder: ServerFolder, *, any_command: bool = False) -> ServerProcess | None:
    """Return what is known of process `pid` when it is a living server of `folder`.

    Parameters
    ----------
    pid : int
    folder : ServerFolder
    any_command : bool
        Accept a ``mongod`` whose command line does not name the folder (started from a configuration file).

    Examples
    --------
    >>> import os
    >>> from pathlib import Path
    >>> from store.server.folder import ServerFolder
    >>> inspect_process(os.getpid(), ServerFolder.of(Path("/nowhere"))) is None
    True
    """
    import psutil

    try:
        process = psutil.Process(pid)
        with process.oneshot():
            status, command, created = process.status(), process.cmdline(), process.create_time()
            name = process.name()
    except psutil.Error:
        return None
    if status in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}:
        return None
    if not _serves(command, folder.dbpath):
        by_file = any_command and name.startswith("mongod") and _option(command, "--dbpath") is None
        if not (by_file and _has_open(process, folder)):
            return None
    text = _option(command, "--port")
    port = int(text) if text and text.isdigit() else _listening_port(process)
    return ServerProcess(pid, port, created, status == psutil.STATUS_STOPPED)


def alive(pid: int) -> bool:
    """Whether process `pid` lives; one that ended and was not collected by its parent does not.

    Examples
    --------
    >>> import os
    >>> alive(os.getpid())
    True
    """
    import psutil

    try:
        process = psutil.Process(pid)
        return process.status() not in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD} or _still_dying(process)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def await_last_breath(folder: ServerFolder, state: dict[str, Any] | None, seconds: float = 30.0) -> None:
    """Wait while a killed server is still being taken apart: until then it holds its port and the lock on its data.

    Examples
    --------
    >>> from pathlib import Path
    >>> from store.server.folder import ServerFolder
    >>> await_last_breath(ServerFolder.of(Path("/nowhere")), None)
    """
    import psutil

    deadline = time.monotonic() + seconds
    for pid in {state["pid"] if state else None, _lock_holder(folder)} - {None}:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            while process.status() == psutil.STATUS_ZOMBIE and _still_dying(process) and time.monotonic() < deadline:
                time.sleep(0.01)


def _still_dying(process: Any) -> bool:
    """Whether a process whose first thread has ended has other threads left, which keep files and ports open."""
    return int(process.num_threads()) > 1


def _scan(folder: ServerFolder) -> ServerProcess | None:
    """Look at all processes; while ``mongod`` goes to the background there are several, and the youngest stays."""
    import psutil

    found = []
    for process in psutil.process_iter(["cmdline"]):
        if _serves(process.info["cmdline"] or [], folder.dbpath):
            one = inspect_process(process.pid, folder)
            if one is not None:
                found.append(one)
    return max(found, key=lambda one: (one.create_time, one.pid), default=None)


def _lock_holder(folder: ServerFolder) -> int | None:
    try:
        text = folder.mongod_lock.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return int(text) if text.isdigit() else None


def _serves(command: list[str], dbpath: Path) -> bool:
    given = _option(command, "--dbpath")
    return given is not None and os.path.realpath(given) == str(dbpath)


def _option(command: list[str], name: str) -> str | None:
    for place, word in enumerate(command):
        if word == name and place + 1 < len(command):
            return command[place + 1]
        if word.startswith(name + "="):
            return word.partition("=")[2]
    return None


def _has_open(process: Any, folder: ServerFolder) -> bool:
    import psutil

    try:
        return any(os.path.dirname(file.path) == str(folder.dbpath) for file in process.open_files())  # noqa: PTH120
    except psutil.Error:
        return False


def _listening_port(process: Any) -> int | None:
    import psutil

    try:
        connections = process.net_connections(kind="tcp")
    except psutil.Error:
        return None
    ports = sorted(one.laddr.port for one in connections if one.status == psutil.CONN_LISTEN)
    return ports[0] if ports else None
