"""One private server a data folder: shared, found again, and told apart from what is not ours."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from store.connection import connect
from store.errors import ServerStartError
from store.server import ensure_server, find_mongod, recorded_server, running_server, server_status, stop_server
from store.server.folder import ServerFolder, read_state, write_state
from store.server.launch import MAX_LOG_BYTES, choose_ports
from store.server.process import alive, find_process
from store.settings import Settings

from .server_processes import servers_of, start_elsewhere


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
