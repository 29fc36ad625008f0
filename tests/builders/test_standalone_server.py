"""A standalone MongoDB has no transactions: a small change of the candidates is a new generation there."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest
from pymongo.errors import PyMongoError

from api.builds import run_builds
from builders.engine.run import Options
from store.connection import StandaloneServerWarning, close_connections, connect
from store.ingest.ingest import ingest
from store.schema import migrate
from store.server import find_mongod
from store.settings import Settings


@pytest.fixture
def standalone(tmp_path: Path, clean_environment: pytest.MonkeyPatch) -> Iterator[Settings]:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = tmp_path / "db"
    data.mkdir()
    program = str(find_mongod(Settings(home=tmp_path)))
    options = [
        "--dbpath",
        str(data),
        "--port",
        str(port),
        "--bind_ip",
        "127.0.0.1",
        "--nounixsocket",
        "--wiredTigerCacheSizeGB",
        "0.25",
    ]
    server = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
    uri = f"mongodb://127.0.0.1:{port}/"
    try:
        deadline = time.monotonic() + 30
        with pymongo.MongoClient(uri, serverSelectionTimeoutMS=500) as client:
            while time.monotonic() < deadline:
                try:
                    client.admin.command("ping")
                    break
                except PyMongoError:
                    time.sleep(0.1)
        yield Settings(mongodb_uri=uri, home=tmp_path / "home", database="alone")
    finally:
        close_connections()
        server.terminate()
        server.wait(timeout=30)


def row(key: str, a: float) -> dict[str, Any]:
    lattice = [[a, 0, 0], [0, a, 0], [0, 0, a]]
    return {
        "id": key,
        "structure": {"lattice": lattice, "species": ["Cs", "Cl"], "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]]},
    }


def test_everything_works_on_a_standalone_server(standalone: Settings, tmp_path: Path) -> None:
    with pytest.warns(StandaloneServerWarning):
        database = connect(standalone)
    migrate(database)
    for a in (4.1, 4.2):
        (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(row(key, a)) for key in ("x-1", "x-2")))
        ingest(database, tmp_path / "rows.jsonl", provider="test")
        runs = run_builds(database, standalone, options=Options(workers=1))
        assert sum(run.failed for run in runs) == 0
        assert database["candidates"].distinct("volume_per_atom") == [pytest.approx(a**3 / 2)]
    assert next(database.list_collections(filter={"name": "candidates"}))["options"]["viewOn"] == "candidates_g000002"
