"""Talking to one ``mongod`` directly: does it answer, and making it the primary of a replica set of one.

A replica set, because only there transactions, change streams and durable majority writes exist.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from store.errors import ServerStartError
from store.server.launch import REPLICA_SET
from store.server.process import alive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymongo import MongoClient
    from pymongo.errors import OperationFailure

PRIMARY_SECONDS = 120.0
"""Longest wait for a server that has opened its data to become primary. Usually 0.1 s; when the port it had before is
held by a program that accepts connections and says nothing, mongod itself waits 30 s for an answer from there."""

_SELECTION_SECONDS = 1.0
"""How long one question looks for the server: one that was killed meanwhile should be noticed, not waited for."""

_NOT_INITIALISED, _ALREADY_INITIALISED, _NO_REPLICATION = 94, 23, 76


def server_uri(port: int) -> str:
    """Return the address of the private server at `port`.

    Examples
    --------
    >>> server_uri(27100)
    'mongodb://127.0.0.1:27100/?replicaSet=rs0'
    """
    return f"mongodb://127.0.0.1:{port}/?replicaSet={REPLICA_SET}"


def ask(port: int, seconds: float) -> dict[str, Any] | None:
    """Ask the server at `port` who it is; None when it does not answer within `seconds`.

    Returns
    -------
    dict or None
        Its answer to ``hello``, with its ``version`` and its ``pid`` added.

    Examples
    --------
    >>> ask(1, 0.1) is None
    True
    """
    from pymongo.errors import PyMongoError

    try:
        with _direct(port, seconds) as client:
            said = dict(client.admin.command("hello"))
            # All sections off: only the head of the answer, which names the process, is wanted.
            status = client.admin.command({"serverStatus": 1, "none": 1})
            version = str(client.admin.command("buildInfo")["version"])
            return {**said, "version": version, "pid": int(status["pid"])}
    except PyMongoError:
        return None


def is_primary(said: dict[str, Any] | None) -> bool:
    """Whether an answer to ``hello`` comes from the primary of our replica set (a lone server calls itself primary too).

    Examples
    --------
    >>> is_primary({"isWritablePrimary": True, "setName": "rs0"}), is_primary({"isWritablePrimary": True})
    (True, False)
    """
    return said is not None and bool(said.get("isWritablePrimary")) and said.get("setName") == REPLICA_SET


def rotate_running_log(port: int, seconds: float) -> None:
    """Let the server at `port` set its log aside and begin a new one; a server that does not answer is left alone."""
    from pymongo.errors import PyMongoError

    with contextlib.suppress(PyMongoError), _direct(port, seconds) as client:
        client.admin.command("logRotate", "server")


def make_primary(pid: int, port: int) -> None:
    """Make the server at `port` the primary of its own replica set, whatever an interrupted start left.

    Raises
    ------
    ServerStartError
        It ended, is no member of a replica set, or did not become primary within `PRIMARY_SECONDS`.
    """
    from pymongo.errors import ConnectionFailure, OperationFailure

    deadline = time.monotonic() + PRIMARY_SECONDS
    pause = 0.01
    with _direct(port, PRIMARY_SECONDS, _SELECTION_SECONDS) as client:
        while time.monotonic() < deadline:
            try:
                if is_primary(client.admin.command("hello")):
                    return
                _configure(client, f"127.0.0.1:{port}")
            except ConnectionFailure as error:
                # A server closes its connections when its role in the set changes; only a dead one matters.
                if not alive(pid):
                    raise ServerStartError(f"The private server (process {pid}) ended while it started.") from error
            except OperationFailure as error:
                raise _refused(port, error) from error
            time.sleep(pause)
            pause = min(2 * pause, 0.2)
    raise ServerStartError(
        f"The private server on port {port} did not become primary within {PRIMARY_SECONDS:.0f} s.",
        mend="ionatlas db stop, then ionatlas db start",
    )


def _refused(port: int, error: OperationFailure) -> ServerStartError:
    if error.code != _NO_REPLICATION:
        return ServerStartError(f"The private server on port {port} refused its configuration: {error}.")
    return ServerStartError(
        f"The mongod on port {port} uses our data folder and was not started by ionatlas: "
        "it is no member of a replica set.",
        mend="stop that mongod, then: ionatlas db start",
    )


def _configure(client: MongoClient[dict[str, Any]], host: str) -> None:
    """Give the set its one member; after a start on another port, the stored member is put right by force.

    While the server still loads its stored configuration it says that it has none, and refuses to be initialised
    afterwards: the caller comes back until it is primary.
    """
    from pymongo.errors import OperationFailure

    try:
        config = client.admin.command("replSetGetConfig")["config"]
        if [member["host"] for member in config["members"]] == [host]:
            return
        config["members"] = [{**config["members"][0], "host": host}]
        config["version"] += 1
        client.admin.command("replSetReconfig", config, force=True)
    except OperationFailure as error:
        if error.code != _NOT_INITIALISED:
            raise
    else:
        return
    try:
        client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [{"_id": 0, "host": host}]})
    except OperationFailure as error:
        if error.code != _ALREADY_INITIALISED:
            raise


@contextlib.contextmanager
def _direct(port: int, seconds: float, selection: float | None = None) -> Iterator[MongoClient[dict[str, Any]]]:
    from pymongo import MongoClient

    milliseconds = max(1, int(seconds * 1000))
    selection_ms = milliseconds if selection is None else max(1, int(selection * 1000))
    client: MongoClient[dict[str, Any]] = MongoClient(
        "127.0.0.1",
        port,
        directConnection=True,
        serverSelectionTimeoutMS=selection_ms,
        connectTimeoutMS=milliseconds,
        socketTimeoutMS=milliseconds,
        appname="ionatlas-start",
    )
    try:
        yield client
    finally:
        client.close()
