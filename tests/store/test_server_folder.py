"""A data folder that cannot be used: what, why, and how to mend it; never a traceback, never a half start."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pymongo.errors import PyMongoError

from store.connection import close_connections, connect, retry_on_disconnect
from store.errors import DatabaseError, DataFolderError, ServerStartError
from store.server import ensure_server, launch, running_server, server_status, stop_server
from store.server.folder import ServerFolder
from store.server.launch import telling_lines
from store.settings import Settings

Mount = Callable[[str], Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mount a small file system in memory; skipped where that is not allowed."""
    mounted: list[Path] = []

    def do(options: str) -> Path:
        place = tmp_path / f"mount{len(mounted)}"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except FileNotFoundError:
            pytest.skip("there is no mount command here")
        if done.returncode != 0:
            pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
        mounted.append(place)
        return place

    yield do
    close_connections()
    for place in mounted:
        stop_server(Settings(home=place))
        subprocess.run(["umount", "-l", str(place)], check=True)


def small(home: Path) -> Settings:
    return Settings(home=home, cache_gb=0.25)


def test_a_read_only_file_system(mount: Mount) -> None:
    place = mount("size=10m,ro")
    with pytest.raises(DataFolderError, match="read-only file system") as caught:
        connect(small(place / "home"))
    assert "IONATLAS_HOME" in str(caught.value)
    assert str(place) in str(caught.value)
    assert caught.value.exit_code == 3


def test_a_folder_that_became_read_only_under_existing_data(mount: Mount) -> None:
    place = mount("size=1g")
    ensure_server(small(place))
    stop_server(small(place))
    subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
    try:
        with pytest.raises(DataFolderError, match="read-only"):
            ensure_server(small(place))
        assert server_status(small(place)).info is None
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(place)], check=True)
    assert ensure_server(small(place)).port > 0


@pytest.mark.skipif(os.geteuid() == 0, reason="permission bits do not bind root")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(DataFolderError, match="may not write"):
            ensure_server(small(tmp_path / "home"))
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_folder_without_permission_for_an_ordinary_user(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    code = (
        f"import os, sys; sys.path.insert(0, {str(root)!r})\n"
        "from store.settings import Settings; from store.server import ensure_server; from store.errors import *\n"
        f"import psutil, pymongo, filelock, pathlib; os.setuid(65534)\n"
        "try: ensure_server(Settings(home=pathlib.Path('/ionatlas-test-home')))\n"
        "except DataFolderError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "you may not write there" in done.stdout, done.stderr


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("hello")
    with pytest.raises(DataFolderError, match="it is a file, not a folder"):
        ensure_server(small(tmp_path / "file"))
    with pytest.raises(DataFolderError, match="a part of the path is a file"):
        ensure_server(small(tmp_path / "file" / "home"))
    assert (tmp_path / "file").read_text() == "hello"


def test_a_disk_that_is_nearly_full(mount: Mount) -> None:
    place = mount("size=200m")
    with pytest.raises(DataFolderError, match=r"full: the server needs at least 524 MB free, 2\d\d MB are left"):
        ensure_server(small(place))
    assert running_server(small(place)) is None


def test_a_disk_that_is_full_to_the_last_byte(mount: Mount) -> None:
    place = mount("size=1m")
    (place / "ballast").write_bytes(b"x" * 2**20)
    with pytest.raises(DataFolderError, match="disk is full"):
        ensure_server(small(place))


@pytest.mark.slow  # mongod itself hesitates for 15 s before it gives up a full disk
def test_a_disk_that_fills_up_while_writing_loses_nothing_acknowledged(mount: Mount) -> None:
    place = mount("size=900m")
    settings = small(place)
    ensure_server(settings)
    free = shutil.disk_usage(place).free
    ballast = place / "ballast"
    with ballast.open("wb") as file:
        for _ in range(free // 2**20 - 40):
            file.write(b"x" * 2**20)
    acknowledged: list[int] = []

    def write_until_full() -> None:
        for number in range(400):
            document = {"_id": number, "blob": os.urandom(2**20)}
            retry_on_disconnect(
                lambda database, one=document: database["things"].replace_one({"_id": one["_id"]}, one, upsert=True),
                settings,
            )
            acknowledged.append(number)

    with pytest.raises(DataFolderError, match="full") as caught:
        write_until_full()
    assert "free some space" in str(caught.value)
    assert 0 < len(acknowledged) < 400
    ballast.unlink()
    found = retry_on_disconnect(lambda database: database["things"].distinct("_id"), settings)
    assert set(acknowledged) <= set(found)


@pytest.mark.parametrize(
    ("told", "kind", "hint"),
    [
        ("WiredTiger error: No space left on device", DataFolderError, "is full"),
        ("Failed to unlink: Permission denied", DataFolderError, "cannot be written"),
        ("DBPathInUse: Unable to lock the lock file", launch.FolderInUse, "Another mongod uses"),
        ("UPGRADE PROBLEM: Found an invalid featureCompatibilityVersion", DataFolderError, "another version"),
        ("something else", ServerStartError, "did not start"),
    ],
)
def test_what_the_log_says_is_understood(tmp_path: Path, told: str, kind: type[DatabaseError], hint: str) -> None:
    found, text, mend = launch._diagnose(told, ServerFolder.of(tmp_path))
    assert found is kind
    assert hint in text
    assert "{" not in text + mend


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_data_of_another_user(private_settings: Settings) -> None:
    ensure_server(private_settings)
    stop_server(private_settings)
    data = ServerFolder.of(private_settings.home).dbpath / "WiredTiger"
    os.chown(data, 65534, 65534)
    with pytest.raises(DataFolderError, match=r"belongs to the user (nobody|65534)") as caught:
        ensure_server(private_settings)
    assert "chown -R" in str(caught.value)
    os.chown(data, 0, 0)
    assert ensure_server(private_settings).port > 0


def test_data_of_another_kind_of_server(private_settings: Settings) -> None:
    place = ServerFolder.of(private_settings.home)
    ensure_server(private_settings)
    stop_server(private_settings)
    marker = place.dbpath / "storage.bson"
    kept = marker.read_bytes()
    marker.write_bytes(kept.replace(b"wiredTiger", b"mmapv1____"))
    with pytest.raises(DataFolderError, match="another version or kind of MongoDB server"):
        ensure_server(private_settings)
    marker.write_bytes(kept)
    assert ensure_server(private_settings).port > 0


def test_data_of_a_newer_version(private_settings: Settings) -> None:
    place = ServerFolder.of(private_settings.home)
    ensure_server(private_settings)
    stop_server(private_settings)
    turtle = place.dbpath / "WiredTiger.turtle"
    kept = turtle.read_text()
    turtle.write_text(kept.replace("major=1", "major=9"))
    with pytest.raises(DataFolderError) as caught:
        ensure_server(private_settings)
    assert str(place.log) in str(caught.value)
    turtle.write_text(kept)
    assert ensure_server(private_settings).port > 0


def test_damaged_data_is_told_with_the_telling_lines_of_the_log(private_settings: Settings) -> None:
    place = ServerFolder.of(private_settings.home)
    ensure_server(private_settings)
    stop_server(private_settings)
    (place.dbpath / "_mdb_catalog.wt").write_bytes(os.urandom(36864))
    with pytest.raises(DatabaseError, match="Its log says: ") as caught:
        ensure_server(private_settings)
    assert isinstance(caught.value, DataFolderError)
    assert "damaged" in str(caught.value)
    assert len(str(caught.value)) < 4000


def test_wrong_options_are_told(private_settings: Settings, tmp_path: Path) -> None:
    program = tmp_path / "mongod"
    program.write_text('#!/bin/sh\n[ "$1" = --version ] && echo db version v9 && exit 0\necho bad option >&2\nexit 2\n')
    program.chmod(0o755)
    with pytest.raises(ServerStartError, match=r"code 2\).*bad option"):
        ensure_server(private_settings.model_copy(update={"mongod": program}))


def test_lines_that_are_no_json_and_a_missing_log_tell_nothing(tmp_path: Path) -> None:
    place = ServerFolder.of(tmp_path)
    assert telling_lines(place) == []
    place.log.parent.mkdir()
    place.log.write_bytes(
        b'\xff\xfe nonsense\n[]\n{"s":"I","msg":"fine"}\n{"s":"E","msg":"Bad","attr":{"error":"thing"}}\n'
    )
    assert telling_lines(place) == ["Bad: thing"]


def test_files_are_for_their_owner_only(private_settings: Settings) -> None:
    info = ensure_server(private_settings)
    assert info.dbpath.stat().st_mode & 0o077 == 0


def test_errors_are_ours_and_not_the_drivers(tmp_path: Path) -> None:
    assert not issubclass(DataFolderError, PyMongoError)
