"""The remote client's kept answers and exports: nothing stale, nothing of others, nothing half."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from api.client import Atlas
from api.remote.session import OfflineAnswer
from store.errors import (
    ServerUnavailable,
    UsageError,
)

from .remote_answers import ADDRESS, KEY, ROW, Handler, atlas_of, in_turn, problem

# The cache


def tagged(answer: dict[str, Any], etag: str) -> Handler:
    def handle(request: httpx.Request) -> httpx.Response:
        if request.headers.get("if-none-match") == etag:
            return httpx.Response(304, headers={"ETag": etag})
        return httpx.Response(200, json=answer, headers={"ETag": etag})

    return handle


def test_what_did_not_change_is_not_sent_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    statuses = []

    def handle(request: httpx.Request) -> httpx.Response:
        answer = tagged(ROW, '"a"')(request)
        statuses.append(answer.status_code)
        return answer

    first = atlas_of(handle, monkeypatch, cache=tmp_path).query()
    again = atlas_of(handle, monkeypatch, cache=tmp_path).query()
    assert statuses == [200, 304]
    assert first.equals(again)
    newer = {**ROW, "data": [{"id": "mp-2"}]}
    assert atlas_of(tagged(newer, '"b"'), monkeypatch, cache=tmp_path).query()["id"][0] == "mp-2"
    assert atlas_of(handle, monkeypatch, cache=tmp_path).query(limit=1)["id"][0] == "mp-1"
    assert statuses == [200, 304, 200]


def test_without_a_network_kept_answers_are_given_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    atlas_of(tagged(ROW, '"a"'), monkeypatch, cache=tmp_path).query("nelements = 2")
    for trouble in (httpx.ConnectError("no network"), httpx.Response(503, text="down"), httpx.ReadTimeout("slow")):
        handler, seen = in_turn(trouble)
        atlas = atlas_of(handler, monkeypatch, cache=tmp_path)
        with pytest.warns(OfflineAnswer, match="Given is its answer of 20"):
            table = atlas.query("nelements = 2")
        assert table["id"][0] == "mp-1"
        assert len(seen) == 1
        with pytest.raises(ServerUnavailable):
            atlas.query("nelements = 3")


def test_errors_of_the_question_are_not_hidden_by_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    atlas_of(tagged(ROW, '"a"'), monkeypatch, cache=tmp_path).query()
    handler, _ = in_turn(problem(401, detail="The key has expired."))
    with pytest.raises(UsageError, match="expired"):
        atlas_of(handler, monkeypatch, cache=tmp_path).query()


def test_answers_to_one_key_are_not_given_to_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    atlas_of(tagged(ROW, '"a"'), monkeypatch, cache=tmp_path, api_key=KEY).query()
    handler, _ = in_turn(httpx.ConnectError("no network"))
    with pytest.raises(ServerUnavailable):
        atlas_of(handler, monkeypatch, cache=tmp_path).query()
    with pytest.raises(ServerUnavailable):
        atlas_of(handler, monkeypatch, cache=tmp_path, api_key="ia_other").query()


def test_damaged_and_private_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    atlas_of(tagged(ROW, '"a"'), monkeypatch, cache=folder).query()
    (file,) = folder.iterdir()
    assert file.stat().st_mode & 0o077 == 0
    assert folder.stat().st_mode & 0o077 == 0
    whole = file.read_bytes()
    for broken in (b"", whole[:-3], b"{}\n{}", whole.replace(b"mp-1", b"mp-9"), b"\xff\n"):
        file.write_bytes(broken)
        assert atlas_of(tagged(ROW, '"a"'), monkeypatch, cache=folder).query()["id"][0] == "mp-1"
    with pytest.raises(UsageError, match="cache"):
        Atlas(ADDRESS, cache=file)


def test_a_folder_that_went_away_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    atlas = atlas_of(tagged(ROW, '"a"'), monkeypatch, cache=folder)
    folder.rmdir()
    assert atlas.query()["id"][0] == "mp-1"


# Streams


def test_an_export_that_breaks_off_is_an_error_and_leaves_no_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Broken(httpx.SyncByteStream):
        def __iter__(self) -> Any:
            yield b"half"
            raise httpx.RemoteProtocolError("peer closed connection")

    handler, _ = in_turn(httpx.Response(200, stream=Broken()))
    with pytest.raises(ServerUnavailable, match="middle"):
        atlas_of(handler, monkeypatch).export(to=tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []


def test_an_export_is_asked_for_as_the_name_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    handler, seen = in_turn(httpx.Response(200, content=b"id\nmp-1\n"))
    atlas_of(handler, monkeypatch).export('elements HAS "Li"', to=tmp_path / "a.csv", fields=["id", "density"], limit=3)
    assert dict(seen[0].url.params) == {
        "filter": 'elements HAS "Li"',
        "fields": "id,density",
        "format": "csv",
        "limit": "3",
    }
    assert (tmp_path / "a.csv").read_bytes() == b"id\nmp-1\n"


def test_importing_the_client_loads_no_http() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from ionatlas import Atlas; print([n for n in ('httpx', 'pandas', 'fastapi') if n in sys.modules])"
    )
    root = Path(__file__).resolve().parents[2]
    made = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, timeout=60, check=True
    )
    assert made.stdout.strip() == "[]"
