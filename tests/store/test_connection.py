"""The way to the database: durable, never shared across processes, clear about what is wrong, back after a crash."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    DuplicateKeyError,
    InvalidOperation,
    NotPrimaryError,
    OperationFailure,
    ServerSelectionTimeoutError,
)

from store.connection import (
    StandaloneServerWarning,
    close_connections,
    connect,
    database_error,
    is_disconnect,
    redact,
    retry_on_disconnect,
)
from store.errors import DatabaseError, DataFolderError, ServerStartError, ServerUnavailable, UsageError
from store.server import ServerInfo, ensure_server, find_mongod
from store.server.process import alive
from store.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    while alive(pid):
        time.sleep(0.01)


@contextlib.contextmanager
def lone_mongod(folder: Path, *options: str) -> Iterator[int]:
    """Run a mongod outside any replica set; yields its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = find_mongod(Settings(home=folder))
    command = [program, "--dbpath", folder, "--port", str(port), "--bind_ip", "127.0.0.1", "--nounixsocket", *options]
    with subprocess.Popen([*map(str, command)], stdout=subprocess.DEVNULL) as process:
        try:
            with MongoClient("127.0.0.1", port, serverSelectionTimeoutMS=20_000) as client:
                client.admin.command("hello")
            yield port
        finally:
            close_connections()
            process.kill()


def test_writes_are_durable_and_times_have_their_zone(database: Database[dict[str, Any]]) -> None:
    assert database.list_collection_names() == []
    assert database.write_concern.document == {"w": "majority", "j": True}
    now = datetime.now(UTC).replace(microsecond=0)
    database["things"].insert_one({"_id": 1, "at": now})
    assert database["things"].find_one() == {"_id": 1, "at": now}


def test_options_of_the_address_do_not_weaken_writes(settings: Settings) -> None:
    weak = settings.model_copy(update={"mongodb_uri": f"{settings.mongodb_uri}&w=1&journal=false"})
    assert connect(weak).write_concern.document == {"w": "majority", "j": True}


def test_the_client_is_shared_within_the_process(settings: Settings) -> None:
    assert connect(settings).client is connect(settings).client
    other = settings.model_copy(update={"database": "test_other"})
    assert connect(other).client is connect(settings).client
    assert connect(other).name == "test_other"


def test_threads_get_one_client(settings: Settings) -> None:
    close_connections()
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(id(connect(settings).client))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_fork_gets_a_client_of_its_own(settings: Settings) -> None:
    mine = connect(settings).client
    child = os.fork()
    if child == 0:
        ok = connect(settings).client is not mine and connect(settings).command("ping")["ok"] == 1.0
        os._exit(0 if ok else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert mine.admin.command("ping")["ok"] == 1.0


def test_settings_come_from_the_environment_when_not_given(settings: Settings) -> None:
    assert connect().name == settings.database


def test_closed_connections_are_opened_again(settings: Settings) -> None:
    before = connect(settings).client
    close_connections()
    assert connect(settings).client is not before
    assert connect(settings).command("ping")["ok"] == 1.0


def test_a_process_ends_without_a_word_and_at_once(private_settings: Settings) -> None:
    code = (
        "from store.connection import connect; database = connect(); database['a'].insert_one({});"
        "import os, signal; from store.server import ensure_server; os.kill(ensure_server().pid, signal.SIGKILL)"
    )
    environment = {**os.environ, "IONATLAS_HOME": str(private_settings.home)}
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - began < 12


def test_without_leave_to_start_a_private_server_that_is_down_is_told(private_settings: Settings) -> None:
    with pytest.raises(ServerUnavailable, match="does not run") as caught:
        connect(private_settings, start=False)
    assert caught.value.mend == "ionatlas db start"
    assert not (private_settings.home / "db").exists()
    ensure_server(private_settings)
    assert connect(private_settings, start=False).command("ping")["ok"] == 1.0


def test_nobody_answers(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, mongodb_uri="mongodb://ann:s3cret@127.0.0.1:9/?authSource=a", server_timeout=1)
    began = time.monotonic()
    with pytest.raises(ServerUnavailable) as caught:
        connect(settings)
    assert time.monotonic() - began < 3
    text = str(caught.value)
    assert "mongodb://ann:***@127.0.0.1:9/" in text
    assert "refused" in text
    assert "IONATLAS_MONGODB_URI" in text
    assert "s3cret" not in text + repr(caught.value) + repr(caught.value.__cause__)
    assert caught.value.exit_code == 3


def test_someone_listens_and_never_answers(tmp_path: Path) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        uri = f"mongodb://127.0.0.1:{mute.getsockname()[1]}/"
        began = time.monotonic()
        with pytest.raises(ServerUnavailable, match="waited 1 s"):
            connect(Settings(home=tmp_path, mongodb_uri=uri, server_timeout=1))
        assert time.monotonic() - began < 4


@pytest.mark.parametrize(
    "uri",
    [
        "localhost:27017",
        "http://localhost:27017",
        "mongodb://",
        "mongodb://localhost:port",
        "mongodb://localhost:99999",
        "mongodb://ann:s3cret/x@localhost",
        "mongodb://ann:s3@cret@localhost",
        "mongodb://localhost/?tls=perhaps&tlsAllowInvalidCertificates=true&tlsInsecure=true",
        "mongodb+srv://",
        "ann:s3cret@localhost:27017",
    ],
)
def test_an_address_that_is_none(tmp_path: Path, uri: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(UsageError, match="cannot be used") as caught:
            connect(Settings(home=tmp_path, mongodb_uri=uri, server_timeout=1))
    assert caught.value.exit_code == 2
    assert "s3" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("mongodb://ann:s3cret@host/", "mongodb://ann:***@host/"),
        ("mongodb+srv://ann:s3cret@host/?a=1", "mongodb+srv://ann:***@host/?a=1"),
        ("mongodb://ann:s3/cr@et@host/db", "mongodb://ann:***@host/db"),
        ("at mongodb://ann:one@a and 'mongodb://bob:two@b'", "at mongodb://ann:***@a and 'mongodb://bob:***@b'"),
        (
            "mongodb://host/?tlsCertificateKeyFilePassword=abc&w=1",
            "mongodb://host/?tlsCertificateKeyFilePassword=***&w=1",
        ),
        ("ann:s3cret@host:27017", "ann:***@host:27017"),
        ("mongodb://ann@host:27017", "mongodb://ann@host:27017"),
        ("no address at all: a@b", "no address at all: a@b"),
    ],
)
def test_secrets_are_hidden(text: str, hidden: str) -> None:
    assert redact(text) == hidden


def test_a_login_that_is_refused(tmp_path: Path) -> None:
    with lone_mongod(tmp_path, "--auth") as port:
        with MongoClient("127.0.0.1", port) as client:
            client.admin.command("createUser", "ann", pwd="right", roles=["root"])
        settings = Settings(home=tmp_path, mongodb_uri=f"mongodb://ann:wr0ng@127.0.0.1:{port}/", server_timeout=5)
        with pytest.raises(ServerUnavailable, match="refused the login") as caught:
            connect(settings)
        assert "wr0ng" not in str(caught.value)
        right = settings.model_copy(update={"mongodb_uri": f"mongodb://ann:right@127.0.0.1:{port}/"})
        with pytest.warns(StandaloneServerWarning) as told:
            assert connect(right)["things"].insert_one({"_id": 1}).acknowledged
        assert "right" not in str(told[0].message)


def test_a_lone_server_is_warned_of_once_and_works(tmp_path: Path) -> None:
    with lone_mongod(tmp_path) as port:
        settings = Settings(home=tmp_path, mongodb_uri=f"mongodb://127.0.0.1:{port}/")
        with pytest.warns(StandaloneServerWarning, match="replica set") as told:
            connect(settings)
        assert len(told) == 1
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert connect(settings)["things"].insert_one({"_id": 1}).acknowledged


def test_a_private_server_that_is_killed_in_an_operation_is_started_again(private_settings: Settings) -> None:
    first = ensure_server(private_settings)
    began = time.monotonic()
    tries = []

    def count(database: Database[dict[str, Any]]) -> int:
        tries.append(1)
        database["things"].replace_one({"_id": 1}, {"_id": 1}, upsert=True)
        if len(tries) == 1:
            kill(first.pid)
        return database["things"].count_documents({})

    assert retry_on_disconnect(count, private_settings) == 1
    assert len(tries) == 2
    assert time.monotonic() - began < 10
    assert ensure_server(private_settings).pid != first.pid


def test_a_cursor_that_lost_its_server_is_read_from_the_start(private_settings: Settings) -> None:
    info = ensure_server(private_settings)
    connect(private_settings)["things"].insert_many([{"_id": number} for number in range(50)])
    killed = []

    def read(database: Database[dict[str, Any]]) -> list[int]:
        found = []
        for document in database["things"].find(batch_size=5):
            found.append(document["_id"])
            if len(found) == 20 and not killed:
                killed.append(info.pid)
                kill(info.pid)
                ensure_server(private_settings)
        return found

    assert sorted(retry_on_disconnect(read, private_settings)) == list(range(50))


def test_writers_survive_repeated_kills_without_loss(private_settings: Settings) -> None:
    ensure_server(private_settings)
    over = threading.Event()
    acknowledged: list[str] = []
    faults: list[BaseException] = []

    def write(name: int) -> None:
        number = 0
        try:
            while not over.is_set():
                key = f"{name}-{number}"
                retry_on_disconnect(
                    lambda database, key=key: database["things"].replace_one({"_id": key}, {"_id": key}, upsert=True),
                    private_settings,
                )
                acknowledged.append(key)
                number += 1
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(4):
        time.sleep(0.6)
        kill(ensure_server(private_settings).pid)
    over.set()
    for thread in threads:
        thread.join(60)
    assert faults == []
    found = retry_on_disconnect(lambda database: set(database["things"].distinct("_id")), private_settings)
    assert len(acknowledged) > 20
    assert set(acknowledged) <= found


def test_a_named_server_that_comes_back_is_waited_for(private_settings: Settings) -> None:
    info = ensure_server(private_settings)
    named = private_settings.model_copy(update={"mongodb_uri": info.uri, "server_timeout": 1.0})
    assert connect(named).command("ping")["ok"] == 1.0
    kill(info.pid)
    timer = threading.Timer(2.0, ensure_server, [private_settings])
    timer.start()
    assert retry_on_disconnect(lambda database: database.command("ping")["ok"], named) == 1.0
    timer.join()


def test_a_named_server_that_stays_away_is_given_up(private_settings: Settings) -> None:
    info = ensure_server(private_settings)
    named = private_settings.model_copy(update={"mongodb_uri": info.uri, "server_timeout": 0.5})
    connect(named)
    kill(info.pid)
    began = time.monotonic()
    with pytest.raises(ServerUnavailable, match="did not come back within 2 s") as caught:
        retry_on_disconnect(lambda database: database.command("ping"), named, seconds=2)
    assert time.monotonic() - began < 6
    assert "Topology Description" not in str(caught.value)
    assert str(info.port) in str(caught.value)


def test_a_server_that_never_answered_is_not_waited_for_twice(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, mongodb_uri="mongodb://127.0.0.1:9/", server_timeout=0.5)
    began = time.monotonic()
    with pytest.raises(ServerUnavailable):
        retry_on_disconnect(lambda database: database.command("ping"), settings)
    assert time.monotonic() - began < 3


@pytest.mark.slow  # the driver notices after its heartbeat, 10 s and the time limit
def test_a_private_server_that_freezes_in_an_operation_is_told(private_settings: Settings) -> None:
    settings = private_settings.model_copy(update={"server_timeout": 1.0})
    info = ensure_server(settings)

    def freeze_and_write(database: Database[dict[str, Any]]) -> None:
        database["things"].insert_one({})
        os.kill(info.pid, signal.SIGSTOP)
        database["things"].insert_one({})

    try:
        began = time.monotonic()
        with pytest.raises(ServerStartError, match="frozen") as caught:
            retry_on_disconnect(freeze_and_write, settings)
        assert time.monotonic() - began < 30
        assert caught.value.mend == f"kill -CONT {info.pid}"
    finally:
        os.kill(info.pid, signal.SIGCONT)


def test_other_errors_are_not_retried(settings: Settings, database: Database[dict[str, Any]]) -> None:
    tries = []

    def insert_twice(database: Database[dict[str, Any]]) -> None:
        tries.append(1)
        database["things"].insert_one({"_id": 1})
        database["things"].insert_one({"_id": 1})

    with pytest.raises(DuplicateKeyError):
        retry_on_disconnect(insert_twice, settings)
    assert len(tries) == 1
    with pytest.raises(ZeroDivisionError):
        retry_on_disconnect(lambda database: 1 // 0, settings)


def test_a_full_disk_of_the_server_is_told(settings: Settings) -> None:
    def fail(database: Database[dict[str, Any]]) -> None:
        raise OperationFailure("available disk space of 1 bytes is less than required minimum", 14031)

    with pytest.raises(DataFolderError, match="is full"):
        retry_on_disconnect(fail, settings)


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (AutoReconnect("gone"), True),
        (NotPrimaryError("stepped down"), True),
        (ServerSelectionTimeoutError("nobody"), True),
        (OperationFailure("cursor lost", 43), True),
        (OperationFailure("shutdown in progress", 91), True),
        (OperationFailure("interrupted at shutdown", 11600), True),
        (InvalidOperation("Cannot use MongoClient after close"), True),
        (InvalidOperation("something else"), False),
        (DuplicateKeyError("twice", 11000), False),
        (OperationFailure("document failed validation", 121), False),
        (BulkWriteError({"writeErrors": [], "writeConcernErrors": [{"code": 91}]}), True),
        (BulkWriteError({"writeErrors": [{"code": 11000}], "writeConcernErrors": [{"code": 91}]}), False),
        (BulkWriteError({"writeErrors": [], "writeConcernErrors": []}), False),
        (ValueError("no database error"), False),
    ],
)
def test_which_errors_mean_that_the_server_went_away(error: Exception, lost: bool) -> None:
    assert is_disconnect(error) is lost


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (ServerSelectionTimeoutError("nobody"), ServerUnavailable, "was lost"),
        (OperationFailure("not authorized", 13), DatabaseError, "may not do this"),
        (OperationFailure("no space", 14031), DataFolderError, "is full"),
        (OperationFailure("strange", 1), DatabaseError, "strange"),
    ],
)
def test_errors_of_the_driver_are_told_in_ours(
    settings: Settings, error: Exception, kind: type[DatabaseError], told: str
) -> None:
    ours = database_error(error, settings)
    assert type(ours) is kind
    assert told in str(ours)
    assert ours.exit_code == 3


def test_errors_cross_process_borders() -> None:
    error = ServerUnavailable("Nobody.", mend="ionatlas db start")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_call_with_a_client_at_hand_costs_little(private_settings: Settings) -> None:
    connect(private_settings)
    began = time.perf_counter()
    for _ in range(100):
        connect(private_settings)
    assert (time.perf_counter() - began) / 100 < 0.02


def test_the_session_server_is_what_tests_use(server: ServerInfo, settings: Settings) -> None:
    assert settings.mongodb_uri == server.uri
    assert settings.home != server.dbpath.parent
