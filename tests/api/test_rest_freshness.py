"""What was answered before is not told again once the data, or an index behind the answer, has changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.rest import caching
from api.rest.app import create_app
from store.settings import Settings

from .conftest import records


def ingest_and_build(database: Any, settings: Settings, file: Path, rows: list[dict[str, Any]], *names: str) -> None:
    from api.builds import run_builds
    from api.work import build_options, ingest_source

    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ingest_source(database, file)
    run_builds(database, settings, names or None, options=build_options(settings, workers=1))


def test_one_changed_record_and_one_new_index_change_the_answers(
    settings: Settings, database: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caching, "SECONDS", 0.0)  # look each time, and do not wait for a second to pass
    rows = records()[:6]
    foundation = ("structures", "composition", "candidates")
    ingest_and_build(database, settings, tmp_path / "rows.jsonl", rows, *foundation, "index/composition")
    page = "/v1/materials?filter=band_gap > 6 eV&fields=id,band_gap"
    alike = '/v1/materials?filter=SIMILAR TO "t-1" BY composition&fields=id'
    with TestClient(create_app(settings)) as client:
        before, near = client.get(page), client.get(alike)
        assert before.json()["data"] == [{"id": "t-2", "band_gap": 6.3}, {"id": "t-3", "band_gap": 8.8}]
        assert client.get(page, headers={"If-None-Match": before.headers["ETag"]}).status_code == 304
        rows[1]["band_gap"] = 6.5
        # One of six: the change goes into the generation that is being read.
        ingest_and_build(database, settings, tmp_path / "rows.jsonl", rows, *foundation)
        after = client.get(page, headers={"If-None-Match": before.headers["ETag"]})
        assert after.status_code == 200
        assert after.json()["data"][0] == {"id": "t-2", "band_gap": 6.5}
        assert after.headers["ETag"] != before.headers["ETag"]
        new = {**records()[0], "id": "t-new"}
        ingest_and_build(database, settings, tmp_path / "new.jsonl", [*rows, new], *foundation)
        assert [each["id"] for each in client.get(alike).json()["data"]] == [each["id"] for each in near.json()["data"]]
        ingest_and_build(database, settings, tmp_path / "new.jsonl", [*rows, new], "index/composition")
        assert client.get(alike).json()["data"][0]["id"] == "t-new"  # the index alone was published anew
