"""``ionatlas serve``: it comes up, answers, warns, ends; ports that are taken; options that make no sense."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli.main import app
from api.cli.serve import warnings_of
from api.rest.options import ServeOptions

BuiltStore = Any


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("workers", [1, 2])
def test_it_serves_until_it_is_told_to_end(built: BuiltStore, workers: int) -> None:
    port = free_port()
    command = [sys.executable, "-m", "api.cli.main", "serve", "--port", str(port), "--workers", str(workers)]
    environment = {**os.environ, **built.environment()}
    server = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        told = answer(f"http://127.0.0.1:{port}/v1/materials?limit=1&filter=band_gap%3E1")
        assert told["data"]
    finally:
        server.send_signal(signal.SIGINT)
        _, written = server.communicate(timeout=30)
    assert server.returncode in (0, 130, -2)
    assert f"http://127.0.0.1:{port}" in written
    assert re.search(r"127\.0\.0\.1 - GET /v1/materials 200", written), written
    assert "band_gap" not in written, "no query string in the log"
    assert "Traceback" not in written, written


def answer(address: str) -> Any:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(address, timeout=10) as reply:
                return json.load(reply)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@pytest.mark.usefixtures("at_built")
def test_a_port_that_is_taken_is_told_before_anything_starts() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = CliRunner().invoke(app, ["serve", "--port", str(taken.getsockname()[1])])
    assert done.exit_code == 2
    assert "cannot listen" in done.output


@pytest.mark.usefixtures("at_built")
@pytest.mark.parametrize(
    "options",
    [
        ["--rate-limit", "much"],
        ["--anonymous", "some"],
        ["--public-url", "ftp://x"],
        ["--host", "no.such.host.invalid"],
    ],
)
def test_options_that_make_no_sense(options: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RATE_LIMIT", "ANONYMOUS", "PUBLIC_URL", "SERVE_HOST"):
        monkeypatch.setenv(f"IONATLAS_{name}", "")  # put back afterwards, since the command writes there
        monkeypatch.delenv(f"IONATLAS_{name}")
    done = CliRunner().invoke(app, ["serve", *options])
    assert done.exit_code == 2, done.output
    assert "To mend it" in done.output


def test_it_warns_in_plain_words_when_others_can_reach_it() -> None:
    assert warnings_of(ServeOptions(), 0) == []
    open_wide = warnings_of(ServeOptions(host="0.0.0.0", anonymous="all"), 0)
    assert "Everybody" in open_wide[0]
    assert any("rate limit" in line for line in open_wide)
    assert any("unencrypted" in line for line in open_wide)
    no_key = warnings_of(
        ServeOptions(host="0.0.0.0", anonymous="none", rate_limit="1/second", compute_limit="1/second"), 0
    )
    assert "ionatlas key create" in no_key[0]
    safe = ServeOptions(public_url="https://a.b", anonymous="none", rate_limit="1/second", compute_limit="1/second")
    assert warnings_of(safe, 1) == []
