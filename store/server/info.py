"""What is told of a private server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from store.server.replica import server_uri

if TYPE_CHECKING:
    from pathlib import Path

    from store.server.folder import ServerFolder
    from store.server.process import ServerProcess


@dataclass(frozen=True)
class ServerInfo:
    """The running private server.

    Attributes
    ----------
    pid : int
    port : int
        On 127.0.0.1.
    uri : str
        Address for any MongoDB client on this machine.
    dbpath : Path
        Folder of its data.
    version : str
        Of MongoDB, e.g. ``"6.0.5"``.
    started_at : datetime
        UTC.
    """

    pid: int
    port: int
    uri: str
    dbpath: Path
    version: str
    started_at: datetime


@dataclass(frozen=True)
class ServerStatus:
    """What can be said about the private server without touching it.

    Attributes
    ----------
    info : ServerInfo or None
        None when it does not run.
    answers : bool
        Whether it answered as primary.
    dbpath, log : Path
    size_on_disk : int
        Bytes.
    uptime : float or None
        Seconds.
    """

    info: ServerInfo | None
    answers: bool
    dbpath: Path
    log: Path
    size_on_disk: int
    uptime: float | None


def describe(process: ServerProcess, folder: ServerFolder, version: str) -> ServerInfo:
    """Put together what is known of `process`.

    Examples
    --------
    >>> from pathlib import Path
    >>> from store.server.folder import ServerFolder
    >>> from store.server.process import ServerProcess
    >>> describe(ServerProcess(7, 27100, 0.0, False), ServerFolder.of(Path("/srv")), "6.0.5").uri
    'mongodb://127.0.0.1:27100/?replicaSet=rs0'
    """
    port = process.port or 0
    started = datetime.fromtimestamp(process.create_time, UTC)
    return ServerInfo(process.pid, port, server_uri(port), folder.dbpath, version, started)
