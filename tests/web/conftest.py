"""A store with everything built, an application that serves it, and a browser that looks at it."""

from __future__ import annotations

import json
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from store.server import ServerInfo
from store.settings import Settings

from .crystals import HOSTILE_NAME, conductivity_records, hop_records, records

CRYSTALS = Path(__file__).parents[1] / "crystals"


@dataclass
class Site:
    """The application as it runs.

    Attributes
    ----------
    url : str
    settings : Settings
    """

    url: str
    settings: Settings


@pytest.fixture(scope="session")
def web_settings(server: ServerInfo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A store of a few dozen crystals, built whole."""
    from api.builds import run_builds
    from api.work import build_options, ingest_source
    from store.connection import connect
    from store.generations import current_generation

    folder = tmp_path_factory.mktemp("web")
    settings = Settings(home=folder, mongodb_uri=server.uri, database=f"test_{uuid.uuid4().hex[:16]}")
    database = connect(settings)
    for name, rows in (("crystals", records()), ("hops", hop_records()), ("conductivities", conductivity_records())):
        file = folder / f"{name}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        ingest_source(database, file, licence="CC0-1.0")
    run_builds(database, settings, options=build_options(settings, workers=1, ions=["Li", "Na"]))
    for collection in (current_generation(database, "candidates"), "structures"):
        assert collection is not None
        database[collection].update_one({"_id": "w-hostile"}, {"$set": {"name": HOSTILE_NAME}})
    yield settings
    connect(settings).client.drop_database(settings.database)


@pytest.fixture(scope="session")
def app(web_settings: Settings) -> Iterator[Any]:
    """The application, as ``ionatlas serve`` makes it."""
    from api.rest.app import create_app

    made = create_app(web_settings)
    yield made
    made.state.sandbox.close()


@pytest.fixture(scope="session")
def client(app: Any) -> Any:
    """A client without a browser."""
    from starlette.testclient import TestClient

    # Not as a context manager: the server below runs the same application's beginning and end.
    return TestClient(app, raise_server_exceptions=False, headers={"accept": "text/html"})


@pytest.fixture(scope="session")
def site(app: Any, web_settings: Settings) -> Iterator[Site]:
    """The application on a port of its own."""
    import uvicorn

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", ws="none")
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not running.started and time.monotonic() < deadline:
        time.sleep(0.05)
    yield Site(f"http://127.0.0.1:{port}", web_settings)
    running.should_exit = True
    thread.join(timeout=15)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's Chromium without a screen."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed (pip install playwright)"
    )
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("there is no chromium on PATH (apt-get install chromium)")
    drawing = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=program, args=["--no-sandbox", *drawing])
        yield opened
        opened.close()


@dataclass
class Watch:
    """What went on while a page was open.

    Attributes
    ----------
    errors : list of str
        What the console said, without the browser's remarks on statuses that a test asked for.
    foreign : list of str
        Requests to other hosts.
    received : int
        Bytes that came over the wire.
    """

    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    received: int = 0


@pytest.fixture
def page(browser: Any, site: Site, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A fresh page; when the test ends it must have been without errors and must have stayed on its host."""
    options: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}, "base_url": site.url}
    context = browser.new_context(**options | getattr(request, "param", {}))
    opened = context.new_page()
    opened.set_default_timeout(30_000)
    watch = opened.watch = Watch()

    def told(message: Any) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            watch.errors.append(message.text)

    opened.on("console", told)
    opened.on("pageerror", lambda error: watch.errors.append(str(error)))
    opened.on("request", lambda each: _note(each.url, site.url, watch))
    yield opened
    context.close()
    assert watch.errors == []
    assert watch.foreign == []


def _note(url: str, home: str, watch: Watch) -> None:
    if not url.startswith((home, "data:", "blob:", "about:")):
        watch.foreign.append(url)
