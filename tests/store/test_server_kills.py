"""Servers that are killed, frozen or left behind: no acknowledged write is lost, and the next start is never blocked."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from store.connection import close_connections, connect
from store.errors import ServerStartError
from store.server import ensure_server, find_mongod, recorded_server, running_server, server_status, stop_server
from store.server.folder import ServerFolder, read_state
from store.settings import Settings

from .server_processes import freeze, kill, port_held_by_another_program, servers_of, start_elsewhere, wait_until_dead


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


def test_state_of_a_dead_process_is_ignored(private_settings: Settings) -> None:
    info = ensure_server(private_settings)
    kill(info.pid)
    assert recorded_server(private_settings) is None
    assert ensure_server(private_settings).pid != info.pid


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


def test_a_child_that_outlives_the_killed_parent_of_its_start_is_taken_over(
    private_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mongod detaches itself by forking: a shot at the first process alone leaves a server that holds the folder."""
    from store.server import shared

    real, orphans = shared.launch, []

    def killed_after_the_fork(*arguments: Any) -> int:
        orphans.append(real(*arguments))
        raise shared.Killed

    monkeypatch.setattr(shared, "launch", killed_after_the_fork)
    info = ensure_server(private_settings)
    assert [info.pid] == orphans == servers_of(private_settings)
    connect(private_settings)["things"].insert_one({})


def test_a_folder_locked_by_the_child_of_a_killed_start_is_waited_for(
    private_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The holder of the lock was not seen among the processes yet: the next look finds it, or finds the lock free."""
    from store.server import shared

    real, calls = shared.launch, []

    def locked_once(*arguments: Any) -> int:
        calls.append(arguments)
        if len(calls) == 1:
            raise shared.FolderInUse("Another mongod uses the data folder.", mend="stop that server")
        return real(*arguments)

    monkeypatch.setattr(shared, "launch", locked_once)
    info = ensure_server(private_settings)
    assert len(calls) == 2
    assert servers_of(private_settings) == [info.pid]


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
