"""The one way to the database: a client with durable writes, on the named server or on the private one."""

from __future__ import annotations

import atexit
import os
import re
import time
import warnings
from typing import TYPE_CHECKING, Any, TypeVar

from store.errors import DatabaseError, DataFolderError, ServerUnavailable, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pymongo import MongoClient
    from pymongo.database import Database
    from pymongo.errors import PyMongoError

    from store.settings import Settings

T = TypeVar("T")

_CLIENTS: dict[tuple[int, str, float], MongoClient[dict[str, Any]]] = {}
"""Clients by (process id, address, time limit): a client's threads and sockets must not cross a fork."""

_LOST_CODES = frozenset({6, 7, 43, 89, 91, 136, 189, 237, 9001, 10058, 10107, 11600, 11602, 13435, 13436})
"""MongoDB's error codes of a server that went away, steps down, shuts down, or lost a cursor with its restart."""
_DISK_FULL_CODE = 14031
_NO_RIGHTS_CODES = frozenset({13, 18})
_PRIVATE_SECONDS = 3.0
"""Longest search for the private server, s: it was primary when it was handed out, so it is there or has to be started
again, for which an operation should not wait in vain."""


class StandaloneServerWarning(UserWarning):
    """The server is no member of a replica set: a crash can lose acknowledged writes, transactions do not exist."""


def connect(settings: Settings | None = None, *, start: bool = True) -> Database[dict[str, Any]]:
    """Connect to the database: on ``IONATLAS_MONGODB_URI``, or on the private server.

    Writes wait for the majority and the journal; datetimes come back in UTC with their time zone. Clients are shared
    within a process and never across processes, so call this in each worker instead of handing a database over.

    Parameters
    ----------
    settings : Settings, optional
        Read from the environment when not given.
    start : bool
        Start the private server when it does not run.

    Returns
    -------
    pymongo.database.Database

    Raises
    ------
    UsageError
        The address cannot be understood.
    ServerUnavailable
        Nobody answers within ``settings.server_timeout`` seconds, the login was refused, or `start` is False and the
        private server does not run.
    DataFolderError, ServerStartError
        The private server cannot be started.

    Warns
    -----
    StandaloneServerWarning
        Once a process, when the server is no member of a replica set.

    Examples
    --------
    >>> connect().command("ping")["ok"]
    1.0
    """
    if settings is None:
        from store.settings import load_settings

        settings = load_settings()
    uri = settings.mongodb_uri or _private_uri(settings, start=start)
    key = _key(uri, settings)
    client = _CLIENTS.get(key)
    if client is None:
        fresh = _open(uri, key[2])
        client = _CLIENTS.setdefault(key, fresh)
        if client is not fresh:  # another thread was faster
            fresh.close()
        atexit.unregister(close_connections)
        atexit.register(close_connections)
    return client[settings.database]


def close_connections() -> None:
    """Close all clients of this process; the next `connect` opens a new one.

    Examples
    --------
    >>> close_connections()
    """
    import pymongo

    for key in [key for key in _CLIENTS if key[0] == os.getpid()]:
        client = _CLIENTS.pop(key, None)
        if client is not None:
            with pymongo.timeout(0.3):  # the farewell to a server that is gone would wait for server_timeout
                client.close()


def retry_on_disconnect(
    operation: Callable[[Database[dict[str, Any]]], T],
    settings: Settings | None = None,
    *,
    seconds: float = 30.0,
) -> T:
    """Run an idempotent database operation, again when the server went away in the middle of it.

    A private server that died is started again; any other is waited for, with growing pauses.

    Parameters
    ----------
    operation : callable
        Takes the database and does its work; it must bear being run twice (upserts by key, reads from the start).
    settings : Settings, optional
    seconds : float
        How long to try, from the first failure on, s.

    Returns
    -------
    object
        What `operation` returned.

    Raises
    ------
    ServerUnavailable
        The server did not come back in time.
    DataFolderError
        The disk of the server is full.
    ServerStartError
        The private server cannot be started again.

    Examples
    --------
    >>> retry_on_disconnect(lambda database: database["sources"].count_documents({})) >= 0
    True
    """
    from pymongo.errors import PyMongoError

    if settings is None:
        from store.settings import load_settings

        settings = load_settings()
    deadline: float | None = None
    pause = 0.05
    while True:
        try:
            return operation(connect(settings))
        except ServerUnavailable:
            if deadline is None or time.monotonic() + pause > deadline:
                raise  # at the first try, `connect` has waited already
        except PyMongoError as error:
            now = time.monotonic()
            deadline = now + seconds if deadline is None else deadline
            if not is_disconnect(error):
                if _DISK_FULL_CODE in _codes(error):
                    raise database_error(error, settings) from error
                raise
            if now + pause > deadline:
                told = database_error(error, settings)
                raise ServerUnavailable(
                    f"{told.message[:-1]}; it did not come back within {seconds:g} s.", mend=told.mend
                ) from error
        time.sleep(pause)
        pause = min(2 * pause, 2.0)


def is_disconnect(error: BaseException) -> bool:
    """Whether `error` says that the server went away (and an idempotent operation may be run again).

    Examples
    --------
    >>> from pymongo.errors import AutoReconnect, DuplicateKeyError
    >>> is_disconnect(AutoReconnect("gone")), is_disconnect(DuplicateKeyError("twice"))
    (True, False)
    """
    from pymongo.errors import BulkWriteError, ConnectionFailure, CursorNotFound, InvalidOperation, OperationFailure

    if isinstance(error, (ConnectionFailure, CursorNotFound)):
        return True
    if isinstance(error, InvalidOperation):
        return "after close" in str(error)  # another thread closed the client of a server that is gone
    if isinstance(error, BulkWriteError):
        return _bulk_lost(error.details)
    return isinstance(error, OperationFailure) and (
        error.code in _LOST_CODES or error.has_error_label("RetryableWriteError")
    )


def database_error(error: PyMongoError, settings: Settings) -> DatabaseError:
    """Say in our words what an error of the driver means, for whoever cannot go on.

    Returns
    -------
    DatabaseError
        `DataFolderError` for a full disk, `ServerUnavailable` for a lost server, else the plain class.

    Examples
    --------
    >>> from pymongo.errors import AutoReconnect
    >>> from store.settings import load_settings
    >>> type(database_error(AutoReconnect("connection closed"), load_settings())).__name__
    'ServerUnavailable'
    """
    codes = _codes(error)
    if _DISK_FULL_CODE in codes:
        return DataFolderError(
            f"The disk of the MongoDB server ({_where(settings)}) is full; what was acknowledged is safe.",
            mend="free some space there, then run the same command again",
        )
    if is_disconnect(error):
        return ServerUnavailable(
            f"The connection to {_where(settings)} was lost: {_reason(error)}.",
            mend="ionatlas db status, then run the same command again",
        )
    if codes & _NO_RIGHTS_CODES:
        return DatabaseError(
            f"The user of {_where(settings)} may not do this: {_reason(error)}.",
            mend="give that user the role readWrite on the database, and dbAdmin to create collections",
        )
    return DatabaseError(f"MongoDB refused an operation: {_reason(error)}.")


def _codes(error: PyMongoError) -> set[int | None]:
    details = getattr(error, "details", None) or {}
    return {getattr(error, "code", None), *(entry.get("code") for entry in details.get("writeErrors", []))}


def redact(text: str) -> str:
    """Hide passwords, and secrets among the options, in every MongoDB address inside `text`.

    Examples
    --------
    >>> redact("mongodb://ann:s3cret@host:27017/?authSource=admin")
    'mongodb://ann:***@host:27017/?authSource=admin'
    """
    # Greedy to the last @ before a space or quote: an unescaped @ or / inside the password must not uncover its rest.
    text = re.sub(r"(mongodb(?:\+srv)?://[^:@/\s]*):[^\s'\"]*@", r"\1:***@", text)
    text = re.sub(r"^(?!mongodb(?:\+srv)?:)([^:@/\s]+):\S*@", r"\1:***@", text)  # the scheme was forgotten
    return re.sub(
        r"(?i)\b(tlsCertificateKeyFilePassword|password|authMechanismProperties|proxyPassword)=[^&\s'\"]+",
        r"\1=***",
        text,
    )


def _key(uri: str, settings: Settings) -> tuple[int, str, float]:
    timeout = settings.server_timeout if settings.mongodb_uri else min(settings.server_timeout, _PRIVATE_SECONDS)
    return os.getpid(), uri, timeout


def _private_uri(settings: Settings, *, start: bool) -> str:
    from store.server import ensure_server, recorded_server, running_server

    known = recorded_server(settings)
    if known is not None and _key(known.uri, settings) in _CLIENTS:
        return known.uri  # its client has heard it already, and watches it
    if start:
        return ensure_server(settings).uri
    info = running_server(settings)
    if info is None:
        raise ServerUnavailable(f"The private server of {settings.home} does not run.", mend="ionatlas db start")
    return info.uri


def _open(uri: str, timeout: float) -> MongoClient[dict[str, Any]]:
    """Open a client and hear the server once, so that errors come here and not at the first use."""
    from pymongo.errors import OperationFailure, PyMongoError

    client = _client(uri, timeout)
    try:
        said = client.admin.command("hello")
    except OperationFailure as error:
        client.close()
        raise ServerUnavailable(
            f"The MongoDB server at {redact(uri)} refused the login: {redact(str(error.details or error))}.",
            mend="put the right user, password and authSource into IONATLAS_MONGODB_URI",
        ) from None
    except PyMongoError as error:
        client.close()
        raise _unavailable(uri, timeout, error) from None
    if "setName" not in said and said.get("msg") != "isdbgrid":
        warnings.warn(
            f"The MongoDB server at {redact(uri)} is no member of a replica set: acknowledged writes can be lost when "
            "it crashes, and transactions are missing. Start it with --replSet and run rs.initiate() once.",
            StandaloneServerWarning,
            stacklevel=3,
        )
    return client


def _client(uri: str, timeout: float) -> MongoClient[dict[str, Any]]:
    from pymongo import MongoClient
    from pymongo.errors import PyMongoError

    milliseconds = max(1, int(timeout * 1000))
    try:
        if not uri.startswith(("mongodb://", "mongodb+srv://")):
            raise ValueError("it does not begin with mongodb:// or mongodb+srv://")
        return MongoClient(
            uri,
            tz_aware=True,
            w="majority",
            journal=True,
            uuidRepresentation="standard",
            serverSelectionTimeoutMS=milliseconds,
            connectTimeoutMS=milliseconds,
            appname="ionatlas",
        )
    except (PyMongoError, ValueError, TypeError) as error:
        if uri.startswith("mongodb+srv://") and re.search(
            r"DNS|resolution|lifetime|NoAnswer|does not exist", str(error)
        ):
            raise _unavailable(uri, timeout, error) from None
        raise UsageError(
            f"The MongoDB address {redact(uri)} cannot be used: {redact(str(error))}. "
            "Expected mongodb://[user:password@]host[:port]/[?options], special characters in the password as %XX.",
            mend="put IONATLAS_MONGODB_URI right, or unset it to use the private server",
        ) from None


def _unavailable(uri: str, timeout: float, error: BaseException) -> ServerUnavailable:
    return ServerUnavailable(
        f"No MongoDB server answers at {redact(uri)} (waited {timeout:g} s): {_reason(error)}.",
        mend="start that server, put IONATLAS_MONGODB_URI right, or unset it to use the private server",
    )


def _reason(error: BaseException) -> str:
    """Shorten a driver's message to its cause: without the limits in force and the view of the whole set."""
    text = redact(str(error)).split(", Timeout: ", 1)[0].split(", Topology Description", 1)[0]
    return text.split(" (configured timeouts", 1)[0][:400].rstrip(" .")


def _bulk_lost(details: Any) -> bool:
    entries = [*details.get("writeErrors", []), *details.get("writeConcernErrors", [])]
    return bool(entries) and all(entry.get("code") in _LOST_CODES for entry in entries)


def _where(settings: Settings) -> str:
    return redact(settings.mongodb_uri) if settings.mongodb_uri else f"the private server of {settings.home}"
