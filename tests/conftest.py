"""What all tests share: a clean environment, one private server for the whole run, an empty database a test."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from store.connection import close_connections, connect
from store.server import ServerInfo, ensure_server, stop_server
from store.server.process import alive
from store.settings import Settings

if TYPE_CHECKING:
    from pymongo.database import Database

KEPT = {"IONATLAS_MONGOD", "IONATLAS_DATA"}  # how a test run is told which server program and which data to use
PROXIES = {"http_proxy", "https_proxy", "all_proxy", "ftp_proxy", "no_proxy"}


@pytest.fixture(scope="session", autouse=True)
def clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pytest.MonkeyPatch]:
    """Hide the user's own settings and proxies; a test that asks for nothing still cannot touch the user's data."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if (name.startswith("IONATLAS_") and name not in KEPT) or name.lower() in PROXIES:
                patch.delenv(name)
        patch.setenv("IONATLAS_HOME", str(tmp_path_factory.mktemp("ionatlas-home")))
        patch.setenv("IONATLAS_CACHE_GB", "0.25")
        yield patch


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_reaches_children() -> None:
    """Undo what a shell does to background jobs: a SIGINT that is ignored here is ignored by every child too."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def server(clean_environment: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerInfo]:
    """The private server of this test run."""
    _end_leftovers(tmp_path_factory.getbasetemp().parent)
    home = Path(os.environ["IONATLAS_HOME"])
    _mark_owner(home)
    settings = Settings(home=home, cache_gb=0.25)
    try:
        yield ensure_server(settings)
    finally:
        close_connections()
        stop_server(settings)


@pytest.fixture
def settings(server: ServerInfo, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with a home and a database of this test's own, on the shared server; in the environment as well."""
    home = tmp_path_factory.mktemp("home")
    values = {
        "IONATLAS_HOME": str(home),
        "IONATLAS_MONGODB_URI": server.uri,
        "IONATLAS_DATABASE": f"test_{uuid.uuid4().hex[:16]}",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    from store.settings import load_settings

    return load_settings()


@pytest.fixture
def database(settings: Settings) -> Iterator[Database[dict[str, Any]]]:
    """An empty database, dropped after the test."""
    opened = connect(settings)
    yield opened
    connect(settings).client.drop_database(opened.name)


@pytest.fixture
def private_settings(
    clean_environment: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    """Settings of a private server of this test's own (not started yet), for tests that kill it."""
    home = tmp_path_factory.mktemp("private-home")
    _mark_owner(home)
    monkeypatch.setenv("IONATLAS_HOME", str(home))
    settings = Settings(home=home, cache_gb=0.25)
    yield settings
    close_connections()
    _end_server_below(home)  # not cleanly: nobody needs its data


@pytest.fixture(scope="session")
def data_folder(request: pytest.FixtureRequest) -> Path:
    """The folder of real data sets: IONATLAS_DATA, or shared/data beside the repository."""
    named = os.environ.get("IONATLAS_DATA")
    folder = Path(named) if named else request.config.rootpath.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the data folder {folder} is absent; set IONATLAS_DATA to it")
    return folder


def _mark_owner(home: Path) -> None:
    this = psutil.Process()
    (home / "owner.json").write_text(json.dumps([this.pid, this.create_time()]))


def _end_leftovers(temporary: Path) -> None:
    """End servers of test runs that were killed: below our temporary folder, and their test process is gone."""
    for home in _served_homes():
        if temporary in home.parents and not _owner_lives(home):
            _end_server_below(home)


def _served_homes() -> set[Path]:
    homes = set()
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if "--dbpath" in command[:-1]:
            homes.add(Path(command[command.index("--dbpath") + 1]).parent)
    return homes


def _owner_lives(home: Path) -> bool:
    try:
        pid, created = json.loads((home / "owner.json").read_text())
        return bool(abs(psutil.Process(pid).create_time() - created) < 2.0)
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False
    except (psutil.Error, OSError, ValueError):
        return True  # not ours to judge


def _end_server_below(home: Path) -> None:
    for process in psutil.process_iter(["cmdline"]):
        if str(home.resolve() / "db") in (process.info["cmdline"] or []):
            with contextlib.suppress(psutil.Error):
                process.kill()
            # Not process.wait(): in a container without an init process, nobody collects what has ended.
            deadline = time.monotonic() + 10
            while alive(process.pid) and time.monotonic() < deadline:
                time.sleep(0.01)
