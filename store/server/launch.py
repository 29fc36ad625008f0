"""Starting ``mongod`` in the background: options, port, log, and what its log says when it does not start."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import zlib
from typing import TYPE_CHECKING

from store.errors import DatabaseError, DataFolderError, ServerStartError
from store.server.program import explain_exit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from store.server.folder import ServerFolder
    from store.settings import Settings

REPLICA_SET = "rs0"
OPLOG_MB = 256
START_SECONDS = 300.0
"""Longest wait for ``mongod`` to open its data: recovery after a crash of a large store takes its time."""
MAX_LOG_BYTES = 16 * 1024**2
KEPT_LOGS = 3

_FIRST_PORT, _PORTS = 27100, 4900  # above the registered MongoDB ports, below the range of outgoing connections
_EXIT_ADDRESS_IN_USE = 48
_KILLED = {-9, -15, 128 + 9, 128 + 15}  # of the waiting parent, and as it reports its child


class PortTaken(Exception):
    """Another program took the port between our look and the start."""


class Killed(Exception):
    """The server was killed from outside while it started."""


class FolderInUse(DataFolderError):
    """Another mongod holds the lock of the data folder; it may be a child of a start that was killed."""


def launch(program: Path, folder: ServerFolder, port: int, settings: Settings) -> int:
    """Start ``mongod`` on `folder` and return its process id once it accepts connections.

    It runs in a session of its own (Ctrl-C in the terminal does not reach it) and outlives this process.

    Raises
    ------
    PortTaken, Killed
        Try again.
    FolderInUse
        Try again when the holder can be taken over or ends; tell it otherwise.
    DataFolderError, ServerStartError
        It ended or did not come up; the message carries the telling lines of its log.
    """
    rotate_logs(folder)
    offset = folder.log.stat().st_size if folder.log.exists() else 0
    try:
        with folder.start_output.open("wb") as output, _many_open_files():
            done = subprocess.run(
                _command(program, folder, port, settings),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=_environment(),
                start_new_session=True,
                timeout=START_SECONDS,
            )
    except subprocess.TimeoutExpired:
        raise ServerStartError(
            f"The private server did not come up within {START_SECONDS:.0f} s; it may still be recovering its data. "
            f"Its log: {folder.log}",
            mend="wait, and run the same command again",
        ) from None
    except OSError as error:
        raise ServerStartError(f"The MongoDB program {program} could not be started: {error}.") from error
    printed = folder.start_output.read_text(encoding="utf-8", errors="replace")
    if done.returncode == _EXIT_ADDRESS_IN_USE:
        raise PortTaken(port)
    if done.returncode in _KILLED:
        raise Killed
    if done.returncode != 0:
        raise _start_error(program, folder, done.returncode, printed, offset)
    forked = re.search(r"forked process: (\d+)", printed)
    if forked is None:
        raise ServerStartError(f"{program} did not go to the background. It printed: {printed.strip()[-500:]}")
    return int(forked.group(1))


def choose_ports(folder: ServerFolder, preferred: int | None) -> Iterator[int]:
    """Yield free loopback ports, the previous one first so that living clients find the server again.

    The next ones follow from the folder's path, so that a folder keeps its port as a rule; at last any free one.
    """
    first = zlib.crc32(str(folder.dbpath).encode()) % _PORTS
    wished = [_FIRST_PORT + (first + step) % _PORTS for step in range(8)]
    for port in [preferred, *wished] if preferred else wished:
        if _port_is_free(port):
            yield port
    for _ in range(8):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        yield port


def log_is_long(folder: ServerFolder) -> bool:
    """Whether the log should be set aside."""
    try:
        return folder.log.stat().st_size > MAX_LOG_BYTES
    except OSError:
        return False


def rotate_logs(folder: ServerFolder) -> None:
    """Set a long log aside and remove all but the last `KEPT_LOGS` (the server must be down)."""
    if log_is_long(folder):
        with contextlib.suppress(OSError):
            stamp = int(folder.log.stat().st_mtime)
            folder.log.replace(folder.log.with_name(f"{folder.log.name}.{stamp}"))
    prune_logs(folder)


def prune_logs(folder: ServerFolder) -> None:
    """Remove all but the last `KEPT_LOGS` logs that were set aside."""
    with contextlib.suppress(OSError):
        old = sorted(folder.log.parent.glob(folder.log.name + ".*"), key=lambda path: path.stat().st_mtime)
        for path in old[:-KEPT_LOGS]:
            path.unlink(missing_ok=True)


def telling_lines(folder: ServerFolder, offset: int = 0, most: int = 6) -> list[str]:
    """Return the errors in the log after byte `offset`, in plain words.

    Returns
    -------
    list of str
        "message: cause", the last `most` of them; empty when the log tells nothing.
    """
    try:
        with folder.log.open("rb") as file:
            file.seek(offset)
            raw = file.read(4 * 1024**2)
    except OSError:
        return []
    lines: list[str] = []
    for line in raw.decode("utf-8", errors="replace").splitlines():
        told = _tell(line)
        if told and told not in lines:
            lines.append(told)
    return lines[-most:]


def _tell(line: str) -> str | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    if not isinstance(entry, dict) or entry.get("s") not in {"E", "F"}:
        return None
    attributes = entry.get("attr", {})
    cause = attributes.get("error") or attributes.get("message") or attributes.get("reason") or ""
    if isinstance(cause, dict):
        cause = cause.get("errmsg") or cause.get("msg") or json.dumps(cause)
    text = str(entry.get("msg", "")).strip().rstrip(":")
    return f"{text}: {cause}"[:400] if cause else text[:400]


def _start_error(program: Path, folder: ServerFolder, code: int, printed: str, offset: int) -> DatabaseError:
    lines = telling_lines(folder, offset)
    if not lines and (code in {126, 127} or "shared libraries" in printed):
        return explain_exit(program, code, printed)
    told = " | ".join(lines) or printed.strip()[-500:] or "nothing"
    kind, hint, mend = _diagnose(told, folder)
    return kind(f"{hint} (mongod ended with code {code}) Its log says: {told}. The whole log: {folder.log}.", mend=mend)


_DIAGNOSES: tuple[tuple[str, type[DatabaseError], str, str], ...] = (
    (
        r"No space left|ENOSPC|OutOfDiskSpace",
        DataFolderError,
        "The disk of the data folder {dbpath} is full.",
        "free some space there, or set IONATLAS_HOME to a folder on another disk",
    ),
    (
        r"featureCompatibilityVersion|UPGRADE PROBLEM|unsupported WiredTiger|WiredTiger version|newer version|"
        r"storage engine|BSON in metadata|downgrade",
        DataFolderError,
        "The data in {dbpath} was written by another version or kind of MongoDB server.",
        "set IONATLAS_MONGOD to a mongod of the version that wrote it, or IONATLAS_HOME to a new folder",
    ),
    (
        r"Unable to lock|lock file|DBPathInUse|Resource temporarily unavailable|already running",
        FolderInUse,
        "Another mongod uses the data folder {dbpath}, perhaps in another container or on another machine.",
        "stop that server, or set IONATLAS_HOME to a folder of your own",
    ),
    (
        r"Permission denied|Read-only file system|Operation not permitted|EACCES|EROFS",
        DataFolderError,
        "The data folder {dbpath} cannot be written.",
        "set IONATLAS_HOME to a folder that you can write to",
    ),
    (
        r"corrupt|WT_PANIC|checksum|WT_TRY_SALVAGE|missing|No such file",
        DataFolderError,
        "The data in {dbpath} is damaged.",
        "run mongod --repair --dbpath {dbpath}, or set IONATLAS_HOME to a new folder and ingest again",
    ),
)


def _diagnose(told: str, folder: ServerFolder) -> tuple[type[DatabaseError], str, str]:
    for pattern, kind, hint, mend in _DIAGNOSES:
        if re.search(pattern, told, re.IGNORECASE):
            return kind, hint.format(dbpath=folder.dbpath), mend.format(dbpath=folder.dbpath)
    return ServerStartError, "The private server did not start.", "read the log, then: ionatlas db start"


def _command(program: Path, folder: ServerFolder, port: int, settings: Settings) -> list[str]:
    return [
        str(program),
        *("--dbpath", str(folder.dbpath)),
        *("--bind_ip", "127.0.0.1"),
        *("--port", str(port)),
        *("--replSet", REPLICA_SET),
        *("--oplogSize", str(OPLOG_MB)),
        *("--wiredTigerCacheSizeGB", f"{settings.cache_gb:g}"),
        *("--logpath", str(folder.log)),
        "--logappend",
        "--quiet",  # no line a connection: they would be most of the log
        "--nounixsocket",
        "--fork",
        # Its diagnostics take up to 200 MB, and only MongoDB's support can read them.
        *("--setParameter", "diagnosticDataCollectionEnabled=false"),
    ]


def _environment() -> dict[str, str]:
    # mongod refuses to start when LANG or LC_ALL names a locale that this machine lacks.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LC_") and name != "LANG"}
    return {**kept, "LC_ALL": "C"}


@contextlib.contextmanager
def _many_open_files() -> Iterator[None]:
    """Lend the child the highest number of open files that we may: WiredTiger keeps two a collection and index."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    raised = False
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        raised = True
    try:
        yield
    finally:
        if raised:
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As mongod does: connections of the last server that linger for a minute do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
