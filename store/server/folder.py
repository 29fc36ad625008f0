"""The private server's folder: where things lie, whether it can be used, and the state file."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from store.errors import DataFolderError

MIN_FREE_BYTES = 500 * 1024**2
"""Least free space to start with: an empty server takes 300 MB (journal, operation log), and a full disk kills it."""


@dataclass(frozen=True)
class ServerFolder:
    """Paths of everything that belongs to one private server.

    Attributes
    ----------
    home : Path
        The user's data folder, absolute (``mongod`` leaves the current folder when it goes to the background).

    Examples
    --------
    >>> ServerFolder.of(Path("/srv/ionatlas")).dbpath.as_posix()
    '/srv/ionatlas/db'
    """

    home: Path

    @classmethod
    def of(cls, home: Path) -> ServerFolder:
        """Return the folder at `home`, made absolute."""
        return cls(Path(os.path.realpath(home.expanduser())))

    @property
    def dbpath(self) -> Path:
        """MongoDB's own files."""
        return self.home / "db"

    @property
    def log(self) -> Path:
        """The log that ``mongod`` writes."""
        return self.home / "logs" / "mongod.log"

    @property
    def start_output(self) -> Path:
        """What ``mongod`` prints before its log is open (wrong options, missing libraries)."""
        return self.home / "logs" / "mongod.start"

    @property
    def state(self) -> Path:
        """Process id, port and version of the running server."""
        return self.home / "server.json"

    @property
    def lock(self) -> Path:
        """Held by the process that starts or stops the server."""
        return self.home / "server.lock"

    @property
    def mongod_lock(self) -> Path:
        """MongoDB's own lock: holds the process id of the server that uses `dbpath`."""
        return self.dbpath / "mongod.lock"


def prepare_folder(folder: ServerFolder) -> None:
    """Make the folders and show that they can be written.

    Raises
    ------
    DataFolderError
        Read-only, not a folder, on a full disk, or the data in it belongs to another user.

    Examples
    --------
    >>> import tempfile
    >>> place = ServerFolder.of(Path(tempfile.mkdtemp()))
    >>> prepare_folder(place)
    >>> place.dbpath.is_dir()
    True
    """
    for path in (folder.home, folder.dbpath, folder.log.parent):
        try:
            # Nobody else: the server on the loopback has no password, so its files are all that others could read.
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path) as probe:
                probe.write(b"x" * 4096)
                probe.flush()
        except OSError as error:
            raise unusable(path, error) from error
    _check_owner(folder)


def check_free_space(folder: ServerFolder) -> None:
    """Refuse to start on a disk that is nearly full.

    Raises
    ------
    DataFolderError
        Less than `MIN_FREE_BYTES` are free.

    Examples
    --------
    >>> check_free_space(ServerFolder.of(Path("/tmp")))
    """
    at = folder.dbpath
    while not at.exists():
        at = at.parent
    free = shutil.disk_usage(at).free
    if free < MIN_FREE_BYTES:
        raise DataFolderError(
            f"The disk of the data folder {folder.dbpath} is full: the server needs at least "
            f"{MIN_FREE_BYTES / 1e6:.0f} MB free, {free / 1e6:.0f} MB are left. Nothing was lost.",
            mend=f"free some space there, or set IONATLAS_HOME to a folder on another disk (now {folder.home})",
        )


def size_on_disk(folder: ServerFolder) -> int:
    """Bytes taken by MongoDB's files (0 when there are none).

    Examples
    --------
    >>> size_on_disk(ServerFolder.of(Path("/nowhere")))
    0
    """
    total = 0
    for base, _, names in os.walk(folder.dbpath):
        for name in names:
            try:
                total += (Path(base) / name).stat().st_blocks * 512
            except OSError:  # the server removes files of its own while we count
                continue
    return total


def read_state(folder: ServerFolder) -> dict[str, Any] | None:
    """Return the state file's content, or None when there is none or it cannot be understood.

    Examples
    --------
    >>> read_state(ServerFolder.of(Path("/nowhere"))) is None
    True
    """
    try:
        state = json.loads(folder.state.read_bytes())
    except (OSError, ValueError):
        return None
    good = isinstance(state, dict) and isinstance(state.get("pid"), int) and isinstance(state.get("port"), int)
    return state if good else None


def write_state(folder: ServerFolder, state: dict[str, Any]) -> None:
    """Write the state file in one step, so that a reader never sees half of it.

    Examples
    --------
    >>> import tempfile
    >>> place = ServerFolder.of(Path(tempfile.mkdtemp()))
    >>> write_state(place, {"pid": 1, "port": 27017})
    >>> read_state(place)
    {'pid': 1, 'port': 27017}
    """
    handle, name = tempfile.mkstemp(dir=folder.home, prefix=".server-", suffix=".json")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(state, file)
        Path(name).replace(folder.state)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _check_owner(folder: ServerFolder) -> None:
    """Refuse data of another user: files that we would add could not be read by that user's server again."""
    for name in ("WiredTiger", "storage.bson"):
        try:
            owner = (folder.dbpath / name).stat().st_uid
        except OSError:
            continue
        if owner != os.geteuid():
            raise DataFolderError(
                f"The data in {folder.dbpath} belongs to the user {_user_name(owner)}, and you are "
                f"{_user_name(os.geteuid())}.",
                mend=f"run as {_user_name(owner)}, set IONATLAS_HOME to a folder of your own, "
                f"or, if no server uses it: chown -R {_user_name(os.geteuid())} {folder.home}",
            )


def _user_name(number: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def unusable(path: Path, error: OSError) -> DataFolderError:
    """Say in plain words why `path` cannot be written.

    Examples
    --------
    >>> unusable(Path("/srv"), OSError(30, "Read-only file system")).message[:63]
    'The data folder /srv cannot be used: it lies on a read-only fil'
    """
    import errno

    why = {
        errno.EROFS: "it lies on a read-only file system",
        errno.EACCES: "you may not write there",
        errno.EPERM: "you may not write there",
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "your quota on this disk is used up",
        errno.ENOTDIR: "a part of the path is a file, not a folder",
        errno.EEXIST: "it is a file, not a folder",
    }.get(error.errno or 0, str(error))
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        mend = "free some space there, then run the same command again; what was acknowledged is safe"
    else:
        mend = "set IONATLAS_HOME to a folder that you can write to, e.g. export IONATLAS_HOME=$HOME/ionatlas-data"
    return DataFolderError(
        f"The data folder {path} cannot be used: {why}. ionatlas keeps its database there and must be able to write.",
        mend=mend,
    )
