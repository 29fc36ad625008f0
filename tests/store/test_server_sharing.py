"""One private server a data folder: shared, found again, and never blocked by what a crash left behind."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from store.connection import close_connections, connect
from store.errors import ServerStartError
from store.server import ensure_server, find_mongod, recorded_server, running_server, server_status, stop_server
from store.server.folder import ServerFolder, read_state, write_state
from store.server.launch import MAX_LOG_BYTES, choose_ports
from store.server.process import alive, find_process, inspect_process
from store.settings import Settings

STARTER = "from store.server import ensure_server; info = ensure_server(); print(info.pid, info.port, flush=True)"


def start_elsewhere(settings: Settings) -> subprocess.Popen[str]:
    """Start the server from another process, as a second terminal would."""
    environment = {**os.environ, "IONATLAS_HOME": str(settings.home), "IONATLAS_CACHE_GB": "0.25"}
    root = Path(__file__).resolve().parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", STARTER], env=environment, cwd=root, stdout=subprocess.PIPE, text=True
    )


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    os.kill(pid, number)
    if number == signal.SIGKILL:
        wait_until_dead(pid)


@contextlib.contextmanager
def port_held_by_another_program(port: int) -> Iterator[None]:
    """Listen at `port` and hang up on everyone."""
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind(("127.0.0.1", port))
        thief.listen()
        thief.settimeout(0.1)
        over = threading.Event()

        def hang_up() -> None:
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    thief.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def freeze(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    while psutil.Process(pid).status() != psutil.STATUS_STOPPED:
        time.sleep(0.01)


def wait_until_dead(pid: int) -> None:
    deadline = time.monotonic() + 20
    while alive(pid):
        assert time.monotonic() < deadline, f"process {pid} does not end"
        time.sleep(0.02)


def servers_of(settings: Settings) -> list[int]:
    folder = ServerFolder.of(settings.home)
    return [pid for pid in psutil.pids() if inspect_process(pid, folder) is not None]


def test_starts_as_primary_on_the_loopback_only(private_settings: Settings) -> None:
    began = time.monotonic()
    info = ensure_server(private_settings)
    assert time.monotonic() - began < 15
    assert info.uri == f"mongodb://127.0.0.1:{info.port}/?replicaSet=rs0"
    assert info.dbpath == private_settings.home.resolve() / "db"
    assert info.started_at.tzinfo is not None
    said = connect(private_settings).client.admin.command("hello")
    assert said["isWritablePrimary"]
    assert said["me"] == f"127.0.0.1:{info.port}"
    listening = {one.laddr.ip for one in psutil.Process(info.pid).net_connections() if one.status == "LISTEN"}
    assert listening == {"127.0.0.1"}
    assert not list(Path("/tmp").glob(f"mongodb-{info.port}.sock"))


def test_is_found_and_not_started_twice(private_settings: Settings) -> None:
    first = ensure_server(private_settings)
    assert ensure_server(private_settings) == first
    assert running_server(private_settings) == first
    assert recorded_server(private_settings) == first
    assert servers_of(private_settings) == [first.pid]


def test_runs_in_a_session_of_its_own(private_settings: Settings) -> None:
    info = ensure_server(private_settings)
    assert os.getsid(info.pid) != os.getsid(0)
    assert os.getpgid(info.pid) != os.getpgid(0)


def test_may_open_as_many_files_as_allowed_and_gives_the_limit_back(private_settings: Settings) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    info = ensure_server(private_settings)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before
    soft, hard = psutil.Process(info.pid).rlimit(psutil.RLIMIT_NOFILE)
    assert soft == hard


def test_starts_under_a_locale_that_does_not_exist(private_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "xx_YY.nonsense")
    monkeypatch.setenv("LANG", "xx_YY.nonsense")
    assert ensure_server(private_settings).pid > 0


def test_home_may_be_relative_and_hold_spaces(private_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(private_settings.home)
    settings = Settings(home=Path("my data ü"), cache_gb=0.25)
    info = ensure_server(settings)
    try:
        assert info.dbpath == private_settings.home.resolve() / "my data ü" / "db"
        monkeypatch.chdir("/")
        assert ensure_server(Settings(home=private_settings.home / "my data ü")).pid == info.pid
    finally:
        stop_server(Settings(home=private_settings.home / "my data ü"))


def test_six_processes_at_once_share_one_server(private_settings: Settings) -> None:
    starters = [start_elsewhere(private_settings) for _ in range(6)]
    said = [starter.communicate(timeout=60)[0].split() for starter in starters]
    assert [starter.returncode for starter in starters] == [0] * 6
    assert len({tuple(words) for words in said}) == 1
    assert servers_of(private_settings) == [int(said[0][0])]


def test_outlives_the_process_that_started_it(private_settings: Settings) -> None:
    pid, port = (int(word) for word in start_elsewhere(private_settings).communicate(timeout=60)[0].split())
    assert alive(pid)
    info = ensure_server(private_settings)
    assert (info.pid, info.port) == (pid, port)


def test_stop_is_clean_and_the_next_start_keeps_the_data(private_settings: Settings) -> None:
    info = ensure_server(private_settings)
    connect(private_settings)["things"].insert_one({"_id": 1, "value": 2})
    assert stop_server(private_settings)
    assert not alive(info.pid)
    assert not stop_server(private_settings)
    assert running_server(private_settings) is None
    assert "shut" in ServerFolder.of(private_settings.home).log.read_text().lower()
    assert connect(private_settings)["things"].find_one() == {"_id": 1, "value": 2}


def test_stop_touches_nothing_where_nothing_is(tmp_path: Path) -> None:
    assert not stop_server(Settings(home=tmp_path / "absent"))
    assert not (tmp_path / "absent").exists()


def test_status_tells_and_touches_nothing(private_settings: Settings) -> None:
    before = server_status(private_settings)
    assert (before.info, before.answers, before.uptime, before.size_on_disk) == (None, False, None, 0)
    assert not ServerFolder.of(private_settings.home).dbpath.exists()
    info = ensure_server(private_settings)
    status = server_status(private_settings)
    assert status.info == info
    assert status.answers
    assert status.uptime is not None
    assert status.uptime < 60
    assert 1e8 < status.size_on_disk < 1e9


def test_after_kill_9_it_returns_on_the_same_port_with_all_acknowledged_writes(private_settings: Settings) -> None:
    first = ensure_server(private_settings)
    things = connect(private_settings)["things"]
    for number in range(20):
        things.insert_one({"_id": number})
    kill(first.pid)
    second = ensure_server(private_settings)
    assert second.pid != first.pid
    assert second.port == first.port
    assert things.count_documents({}) == 20  # the client of before finds it again


def test_another_port_after_a_crash_becomes_primary_as_well(private_settings: Settings) -> None:
    first = ensure_server(private_settings)
    connect(private_settings)["things"].insert_one({"_id": 1})
    kill(first.pid)
    with port_held_by_another_program(first.port):
        second = ensure_server(private_settings)
        assert second.port != first.port
        database = connect(private_settings)
        assert database.client.admin.command("hello")["me"] == f"127.0.0.1:{second.port}"
        assert database["things"].find_one() == {"_id": 1}
        with database.client.start_session() as session, session.start_transaction():
            database["things"].insert_one({"_id": 2}, session=session)
    assert database["things"].count_documents({}) == 2


def test_a_port_that_went_to_the_server_of_another_folder_mixes_nothing_up(
    private_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from store.server import shared

    first = ensure_server(private_settings)
    connect(private_settings)["things"].insert_one({"_id": "ours"})
    kill(first.pid)
    other_settings = Settings(home=tmp_path, cache_gb=0.25)
    with monkeypatch.context() as patch:
        patch.setattr(shared, "choose_ports", lambda folder, preferred: iter([first.port]))
        other = ensure_server(other_settings)
    try:
        assert other.port == first.port
        connect(other_settings)["things"].insert_one({"_id": "theirs"})
        second = ensure_server(private_settings)
        assert second.port != other.port
        assert connect(private_settings)["things"].distinct("_id") == ["ours"]
        assert connect(other_settings)["things"].distinct("_id") == ["theirs"]
    finally:
        close_connections()
        kill(other.pid)


def test_ports_are_loopback_ports_nobody_holds(tmp_path: Path) -> None:
    folder = ServerFolder.of(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        offered = list(choose_ports(folder, port))
    assert port not in offered
    assert len(offered) > 8
    assert next(iter(choose_ports(folder, port))) == port  # free again: the previous one comes first


def test_a_port_taken_between_look_and_start_is_replaced(
    private_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from store.server import shared

    with socket.socket() as thief:
        thief.bind(("127.0.0.1", 0))
        thief.listen()
        taken = thief.getsockname()[1]

        def unlucky(folder: ServerFolder, preferred: int | None) -> object:
            yield taken
            yield from choose_ports(folder, preferred)

        monkeypatch.setattr(shared, "choose_ports", unlucky)
        assert ensure_server(private_settings).port != taken


def test_state_of_a_dead_process_is_ignored(private_settings: Settings) -> None:
    info = ensure_server(private_settings)
    kill(info.pid)
    assert recorded_server(private_settings) is None
    assert ensure_server(private_settings).pid != info.pid


def test_state_whose_process_number_went_to_another_program_is_ignored(private_settings: Settings) -> None:
    folder = ServerFolder.of(private_settings.home)
    with subprocess.Popen(["sleep", "60"]) as other:
        try:
            write_state(
                folder, {"pid": other.pid, "port": 27999, "create_time": psutil.Process(other.pid).create_time()}
            )
            assert recorded_server(private_settings) is None
            info = ensure_server(private_settings)
            assert info.pid != other.pid
            stop_server(private_settings)
            assert other.poll() is None  # and never shot at
        finally:
            other.kill()


def test_state_that_is_half_written_is_ignored(private_settings: Settings) -> None:
    folder = ServerFolder.of(private_settings.home)
    for content in (b"", b'{"pid": 12', b"[]", b'{"pid": "x", "port": 1}', os.urandom(100)):
        folder.state.write_bytes(content)
        assert read_state(folder) is None
    assert ensure_server(private_settings).port == read_state(folder)["port"]


@pytest.mark.parametrize("remove", ["state", "state and mongod.lock"])
def test_an_orphan_is_adopted(private_settings: Settings, remove: str) -> None:
    folder = ServerFolder.of(private_settings.home)
    info = ensure_server(private_settings)
    folder.state.unlink()
    if "mongod.lock" in remove:
        folder.mongod_lock.write_text("")
    assert ensure_server(private_settings) == info
    assert read_state(folder)["pid"] == info.pid


def test_a_server_that_was_started_and_never_configured_is_adopted(private_settings: Settings) -> None:
    folder = ServerFolder.of(private_settings.home)
    folder.dbpath.mkdir(parents=True)
    program = find_mongod(private_settings)
    with subprocess.Popen(
        [
            *(program, "--dbpath", folder.dbpath, "--port", "28391", "--bind_ip", "127.0.0.1"),
            *("--replSet", "rs0", "--oplogSize", "64", "--nounixsocket"),
        ],
        stdout=subprocess.DEVNULL,
    ) as orphan:
        try:
            info = ensure_server(private_settings)
            assert (info.pid, info.port) == (orphan.pid, 28391)
            assert connect(private_settings)["things"].insert_one({}).acknowledged
        finally:
            close_connections()
            orphan.kill()


def test_a_foreign_server_on_our_data_is_named(private_settings: Settings) -> None:
    folder = ServerFolder.of(private_settings.home)
    folder.dbpath.mkdir(parents=True)
    program = find_mongod(private_settings)
    with subprocess.Popen(
        [program, "--dbpath", folder.dbpath, "--port", "28392", "--bind_ip", "127.0.0.1", "--nounixsocket"],
        stdout=subprocess.DEVNULL,
    ) as foreign:
        try:
            with pytest.raises(ServerStartError, match="not started by ionatlas"):
                ensure_server(private_settings)
        finally:
            foreign.kill()


def test_a_frozen_server_is_told_with_the_command_that_wakes_it(private_settings: Settings) -> None:
    info = ensure_server(private_settings)
    freeze(info.pid)
    try:
        began = time.monotonic()
        for act in (ensure_server, stop_server):
            with pytest.raises(ServerStartError, match="frozen") as caught:
                act(private_settings)
            assert caught.value.mend == f"kill -CONT {info.pid}"
        assert time.monotonic() - began < 5
        status = server_status(private_settings)
        assert status.info is not None
        assert not status.answers
    finally:
        kill(info.pid, signal.SIGCONT)
    assert ensure_server(private_settings) == info


def test_a_server_that_is_shutting_down_is_waited_for_and_started_again(private_settings: Settings) -> None:
    info = ensure_server(private_settings)
    kill(info.pid, signal.SIGTERM)
    again = ensure_server(private_settings)
    if again.pid == info.pid:  # it still answered; then the next call must find it gone
        wait_until_dead(info.pid)
        again = ensure_server(private_settings)
    assert again.pid != info.pid


def test_kill_9_of_the_starting_process_at_any_moment_does_not_block_the_next_start(private_settings: Settings) -> None:
    chance = random.Random(20)
    for round_ in range(5):
        starter = start_elsewhere(private_settings)
        time.sleep(chance.uniform(0.05, 0.6))
        starter.kill()
        starter.communicate()
        info = ensure_server(private_settings)
        assert servers_of(private_settings) == [info.pid]
        things = connect(private_settings)["things"]
        assert things.count_documents({}) == round_
        things.insert_one({"_id": round_})
        kill(info.pid)


def test_a_server_killed_while_it_is_adopted_is_started_again_at_once(
    private_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look found it alive and the next question found it dead: no minutes of waiting for an answer from the dead."""
    from store.server import shared

    first = ensure_server(private_settings)
    ServerFolder.of(private_settings.home).state.unlink()
    real, asked = shared.make_primary, []

    def killed_first(pid: int, port: int) -> None:
        asked.append(pid)
        if pid == first.pid:
            kill(pid)
        real(pid, port)

    monkeypatch.setattr(shared, "make_primary", killed_first)
    began = time.monotonic()
    second = ensure_server(private_settings)
    assert asked[0] == first.pid != second.pid
    assert running_server(private_settings) is not None
    assert time.monotonic() - began < 60


def test_kill_9_of_mongod_at_any_moment_of_its_start_does_not_block_the_next_start(private_settings: Settings) -> None:
    chance = random.Random(21)
    for _ in range(5):
        starter = start_elsewhere(private_settings)
        time.sleep(chance.uniform(0.05, 0.6))
        for pid in servers_of(private_settings):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        words = starter.communicate(timeout=60)[0].split()
        assert starter.returncode == 0  # a start that was shot down is tried again
        assert len(words) == 2
        info = ensure_server(private_settings)
        connect(private_settings)["things"].insert_one({})
        kill(info.pid)


def test_a_long_log_is_set_aside_by_the_running_server_and_before_a_start(private_settings: Settings) -> None:
    folder = ServerFolder.of(private_settings.home)
    ensure_server(private_settings)
    with folder.log.open("ab") as file:
        file.truncate(MAX_LOG_BYTES + 1)
    ensure_server(private_settings)
    assert folder.log.stat().st_size < 1e6
    stop_server(private_settings)
    for number in range(6):
        folder.log.with_name(f"mongod.log.{number}").write_text("old")
    with folder.log.open("ab") as file:
        file.truncate(MAX_LOG_BYTES + 1)
    ensure_server(private_settings)
    assert folder.log.stat().st_size < 1e6
    assert len(list(folder.log.parent.glob("mongod.log.*"))) == 3


def test_no_process_of_another_folder_is_mistaken_for_ours(private_settings: Settings, tmp_path: Path) -> None:
    ensure_server(private_settings)
    assert find_process(ServerFolder.of(tmp_path)) is None
    assert find_process(ServerFolder.of(private_settings.home.parent)) is None


def test_state_file_tells_what_a_person_needs(private_settings: Settings) -> None:
    info = ensure_server(private_settings)
    state = json.loads(ServerFolder.of(private_settings.home).state.read_text())
    assert state["uri"] == info.uri
    assert state["version"] == info.version
    assert state["host"] == socket.gethostname()
