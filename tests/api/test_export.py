"""Exports: every row once in every format, a manifest that tells what they are, and never half a file."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from api import exporting
from api.cli.main import app
from api.service import Service
from store.errors import FilterError, UnknownField, UsageError

from .candidate_rows import filled


@pytest.fixture
def materials(database: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Service, list[dict[str, Any]]]:
    monkeypatch.setattr(exporting, "PAGE", 50)
    return filled(database, settings, 230)


def test_json_lines_hold_every_row_once(materials: Any) -> None:
    service, documents = materials
    export = service.export(None)
    data = b"".join(export)
    rows = [json.loads(line) for line in data.decode().splitlines()]
    assert [row["id"] for row in rows] == sorted(each["_id"] for each in documents)
    assert export.total == export.rows == len(documents)
    assert export.bytes == len(data)
    assert rows[3]["elements"] == documents[3]["elements"]
    assert rows[3]["density"] == documents[3]["density"]
    assert not [name for name in rows[0] if name.startswith(("li_", "na_"))]


def test_csv_and_parquet_tell_the_same(materials: Any) -> None:
    service, _ = materials
    names = "id,formula,elements,band_gap,is_ordered,density"
    asked = {"fields": names, "sort": "-band_gap,density"}
    lines = b"".join(service.export("density > 3000 kg/m^3", format="csv", **asked)).decode()
    rows = list(csv.DictReader(io.StringIO(lines)))
    export = service.export("density > 3000 kg/m^3", format="parquet", **asked)
    data = b"".join(export)
    table = parquet.read_table(io.BytesIO(data))
    assert table.column_names == names.split(",")
    assert table["id"].to_pylist() == [row["id"] for row in rows]
    assert [" ".join(each) for each in table["elements"].to_pylist()] == [row["elements"] for row in rows]
    assert [None if row["band_gap"] == "" else float(row["band_gap"]) for row in rows] == table["band_gap"].to_pylist()
    assert table.schema.field("density").metadata[b"unit"] == b"g/cm^3"
    about = json.loads(parquet.read_metadata(io.BytesIO(data)).metadata[b"ionatlas"])
    assert about["licences"] == export.manifest["licences"]


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_the_manifest_tells_what_the_bytes_are(materials: Any, form: str) -> None:
    service, documents = materials
    text = 'elements HAS "Li"'
    export = service.export(text, format=form, fields="id,density")
    assert export.manifest["sha256"] is None
    data = b"".join(export)
    told = export.manifest
    assert told["sha256"] == hashlib.sha256(data).hexdigest()
    matching = [each for each in documents if "Li" in each["elements"]]
    assert (told["rows"], told["bytes"], told["filter"], told["format"]) == (len(matching), len(data), text, form)
    assert [field["name"] for field in told["fields"]] == ["id", "density"]
    assert told["fields"][1]["unit"] == "g/cm^3"
    assert told["fields"][1]["meaning"]
    assert sum(each["rows"] for each in told["licences"]) == len(matching)
    here = [each for each in told["licences"] if (each["provider"], each["licence"]) == ("mp", "CC-BY-4.0")]
    assert here[0]["rows"] == sum(1 for each in matching if (each["provider"], each["licence"]) == ("mp", "CC-BY-4.0"))
    with pytest.raises(UsageError, match="once"):
        list(export)


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_nothing_matches(materials: Any, form: str) -> None:
    service, _ = materials
    export = service.export("density > 99", format=form, fields="id,density")
    data = b"".join(export)
    assert export.manifest["rows"] == 0
    assert data == {"jsonl": b"", "csv": b"id,density\n"}.get(form, data)
    if form == "parquet":
        assert parquet.read_table(io.BytesIO(data)).num_rows == 0


def test_limits_go_over_pages(materials: Any) -> None:
    service, documents = materials
    for limit in (1, 50, 120, 1000):
        export = service.export(None, limit=limit, fields="id")
        assert len(b"".join(export).splitlines()) == export.total == min(limit, len(documents))


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        ({"filter": "bandgap > 1"}, UnknownField),
        ({"filter": "band_gap > 1 K"}, FilterError),
        ({"fields": "nothing"}, UnknownField),
        ({"sort": "elements"}, UsageError),
        ({"format": "xlsx"}, UsageError),
        ({"limit": 0}, UsageError),
    ],
)
def test_what_is_wrong_is_told_before_the_first_byte(materials: Any, asked: dict[str, Any], kind: type) -> None:
    service, _ = materials
    with pytest.raises(kind):
        service.export(**asked)


def test_an_export_by_similarity(built: Any) -> None:
    service = Service(built.database, built.settings)
    export = service.export("SIMILAR TO t-1 BY composition AND band_gap > 2 eV", fields="formula", format="csv")
    rows = list(csv.DictReader(io.StringIO(b"".join(export).decode())))
    distances = [float(row["distance"]) for row in rows]
    assert distances == sorted(distances)
    assert "t-1" not in {row["id"] for row in rows}
    assert export.manifest["licences"] == [{"provider": "test", "licence": "CC0-1.0", "rows": len(rows)}]


class TestCommand:
    @pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
    def test_a_file_and_its_manifest(self, at_built: Any, tmp_path: Path, ending: str) -> None:
        target = tmp_path / f"wide.{ending}"
        done = CliRunner().invoke(app, ["export", "band_gap > 2 eV", "-o", str(target)])
        assert done.exit_code == 0, done.output
        told = json.loads((tmp_path / f"wide.{ending}.manifest.json").read_text())
        assert told["file"] == target.name
        assert told["sha256"] == hashlib.sha256(target.read_bytes()).hexdigest()
        assert told["licences"][0]["licence"] == "CC0-1.0"
        assert "CC0-1.0" in done.stderr
        assert sorted(each.name for each in tmp_path.iterdir()) == [target.name, f"{target.name}.manifest.json"]

    @pytest.mark.parametrize(
        ("arguments", "code"),
        [(["bandgap > 1", "-o", "x.csv"], 2), (["", "-o", "x.xlsx"], 2), (["", "-o", "none/x.csv"], 2), ([""], 2)],
    )
    def test_wrong_use_leaves_nothing(
        self, at_built: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert CliRunner().invoke(app, ["export", *arguments]).exit_code == code
        assert list(tmp_path.iterdir()) == []

    def test_interrupted_it_leaves_the_old_file(self, at_built: Any, tmp_path: Path) -> None:
        target = tmp_path / "all.jsonl"
        target.write_text("old\n")
        slow = (
            "import time, api.exporting as e\n"
            "first = e.Export.__iter__\n"
            "def slowly(self):\n"
            "    for chunk in first(self):\n"
            "        yield chunk\n"
            "        print('begun', flush=True)\n"
            "        time.sleep(60)\n"
            "e.Export.__iter__ = slowly\n"
            "from api.cli.main import main\n"
            "main()\n"
        )
        environment = {**os.environ, **at_built.environment()}
        running = subprocess.Popen(
            [sys.executable, "-c", slow, "export", "", "-o", str(target)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        )
        try:
            assert running.stdout is not None
            assert running.stdout.readline() == "begun\n"
            running.send_signal(signal.SIGINT)
            assert running.wait(timeout=60) == 130
        finally:
            running.kill()
            running.communicate()
        deadline = time.monotonic() + 5
        while len(list(tmp_path.iterdir())) > 1 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert [each.name for each in tmp_path.iterdir()] == ["all.jsonl"]
        assert target.read_text() == "old\n"
