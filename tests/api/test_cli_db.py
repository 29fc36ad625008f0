"""``ionatlas db``: what a person and a program see."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli.db import _plain, app
from store.errors import ServerUnavailable, UsageError
from store.server import ServerInfo, ensure_server
from store.settings import Settings


def run(*words: str) -> Any:
    return CliRunner().invoke(app, list(words))


def test_the_whole_life_of_a_server(private_settings: Settings) -> None:
    before = run("status")
    assert before.exit_code == 3
    assert "not running" in before.stdout
    assert "ionatlas db start" in before.stdout
    assert not (private_settings.home / "db").exists()

    started = run("start")
    assert started.exit_code == 0
    info = ensure_server(private_settings)
    for told in (str(info.pid), str(info.port), info.uri, info.version, str(info.dbpath), "MB", "up for"):
        assert told in started.stdout.replace("\n", "") or told in started.stdout

    again = run("start", "--json")
    assert json.loads(again.stdout)["pid"] == info.pid

    status = run("status", "--json")
    assert status.exit_code == 0
    facts = json.loads(status.stdout)
    assert facts["running"] is facts["answers"] is True
    assert (facts["pid"], facts["port"], facts["uri"], facts["version"]) == (
        info.pid,
        info.port,
        info.uri,
        info.version,
    )
    assert facts["data_folder"] == str(info.dbpath)
    assert facts["size_on_disk"] > 1e8
    assert facts["uptime"] >= 0
    assert Path(facts["log"]).is_file()

    assert run("path").stdout.strip() == str(info.dbpath)
    assert "is stopped" in run("stop").stdout
    last = run("stop")
    assert (last.exit_code, last.stdout.strip()) == (0, "The private server was not running.")
    facts = json.loads(run("status", "--json").stdout)
    assert (facts["running"], facts["pid"], facts["uptime"]) == (False, None, None)


def test_status_of_a_named_server(settings: Settings, server: ServerInfo) -> None:
    facts = json.loads(run("status", "--json").stdout)
    assert facts["answers"]
    assert facts["uri"] == server.uri
    assert facts["version"] == server.version
    assert facts["replica_set"] == "rs0"
    assert facts["database"] == settings.database
    assert "replica set" in run("status").stdout


def test_a_named_server_is_not_started_by_us(settings: Settings) -> None:
    result = run("start")
    assert isinstance(result.exception, UsageError)
    assert "unset IONATLAS_MONGODB_URI" in str(result.exception)


def test_a_named_server_that_is_away(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IONATLAS_MONGODB_URI", "mongodb://ann:s3cret@127.0.0.1:9")
    monkeypatch.setenv("IONATLAS_SERVER_TIMEOUT", "0.5")
    result = run("status")
    assert isinstance(result.exception, ServerUnavailable)
    assert "s3cret" not in str(result.exception) + result.output


def test_paths_are_not_wrapped(private_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    home = private_settings.home / ("a folder with a very long name and [brackets] " * 3).strip()
    monkeypatch.setenv("IONATLAS_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "40")
    assert f"data folder  {home}/db\n" in run("status").stdout


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("uptime", 0.4, "0 s"),
        ("uptime", 61.0, "1 min 1 s"),
        ("uptime", 90_000.0, "1 d 1 h"),
        ("size_on_disk", 315_000_000, "315 MB"),
        ("size_on_disk", 2_340_000_000, "2.34 GB"),
        ("port", 27100, "27100"),
    ],
)
def test_numbers_are_for_people(name: str, value: float, told: str) -> None:
    assert _plain(name, value) == told


def test_help_imports_no_driver() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from api.cli.db import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "print(sorted({'pymongo', 'psutil', 'pydantic', 'numpy'} & set(sys.modules)))"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=dict(os.environ), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
