"""Conductivities in the database: stored once, told apart from structures and hops, out of the way of their builders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli.main import app
from api.service import Service
from builders.barriers.builder import BarrierBuilder
from builders.engine.inputs import StampTables
from builders.structures.builder import StructureBuilder
from store.errors import UsageError
from store.ingest.ingest import IngestReport, ingest
from store.ingest.kinds import CONDUCTIVITY_FORMATS, FORMATS
from store.ingest.readers import read_conductivity
from store.schema import migrate
from store.settings import Settings

from .hop_examples import HOST
from .hop_examples import row as hop
from .test_conductivities import lines, row, table

STRUCTURE = {"id": "s-1", "source": "mine", "structure": HOST}


@pytest.fixture
def store(database: Any) -> Any:
    """A database whose validators are in force."""
    migrate(database)
    return database


def numbers(report: IngestReport) -> tuple[int, int, int, int]:
    return report.new, report.updated, report.unchanged, report.unreadable


def tables(store: Any) -> StampTables:
    return StampTables(store, lambda operation: operation())


def test_the_same_file_again_changes_nothing_and_a_repeated_id_is_kept_apart(store: Any, tmp_path: Path) -> None:
    path = lines(
        tmp_path / "c.jsonl", row(), row(id="c-2", structure=None), row(id="c-2", formula="LiF", structure=None)
    )
    assert numbers(ingest(store, path)) == (3, 0, 0, 0)
    before = list(store["sources"].find().sort("_id"))
    assert [each["_id"] for each in before] == ["c-1", "c-2", "c-2#2"]
    assert {each["format"] for each in before} == {"conductivity-json"}
    assert {each["licence"] for each in before} == {"CC0-1.0"}
    assert numbers(ingest(store, path)) == (0, 0, 3, 0)
    assert list(store["sources"].find().sort("_id")) == before
    changed = lines(tmp_path / "c.jsonl", row(log10_sigma=-3.0, sigma_S_cm=None))
    assert numbers(ingest(store, changed)) == (0, 1, 0, 0)
    assert store["source_history"].count_documents({"source": "c-1"}) == 1


@pytest.mark.parametrize("order", [0, 1, 2])
def test_records_of_three_kinds_may_have_one_id(store: Any, tmp_path: Path, order: int) -> None:
    paths = [
        lines(tmp_path / "s.jsonl", {**STRUCTURE, "id": "x"}),
        lines(tmp_path / "h.jsonl", hop(id="x")),
        lines(tmp_path / "c.jsonl", row(id="x")),
    ]
    turned = [*paths[order:], *paths[:order]]
    for _ in range(2):
        for path in turned:
            ingest(store, path)
    assert store["source_history"].count_documents({}) == 0
    names = {each["format"]: each["_id"] for each in store["sources"].find()}
    first = ["uniform-json", "hop-json", "conductivity-json"][order]
    assert names.pop(first) == "x"
    words = {"uniform-json": "structure", "hop-json": "hop", "conductivity-json": "conductivity"}
    assert names == {kind: f"{words[kind]}:mine:x" for kind in words if kind != first}


def test_other_builders_do_not_see_them(store: Any, tmp_path: Path) -> None:
    ingest(store, lines(tmp_path / "all.jsonl", row(), row(id="c-2", structure=None), hop(), STRUCTURE))
    for builder, keys in ((StructureBuilder(), {"s-1"}), (BarrierBuilder(), {"h-1"})):
        builder.bind(store)
        assert set(builder.plan(tables(store)).inputs) == keys
    assert set(tables(store).sources(FORMATS)) == {"s-1"}
    assert set(tables(store).sources(CONDUCTIVITY_FORMATS)) == {"c-1", "c-2"}


def test_show_and_query_make_sense_of_them(store: Any, settings: Settings, tmp_path: Path) -> None:
    ingest(store, lines(tmp_path / "all.jsonl", row(), row(id="c-2", structure=None), hop()))
    service = Service(store, settings)
    assert "hops and measured conductivities only" in (service.query().note or "")
    assert service.structure("c-1", "given").n_sites == 4
    with pytest.raises(UsageError, match="without a structure"):
        service.structure("c-2", "given")
    with pytest.raises(UsageError, match="measured conductivity, not a material"):
        service.structure("c-1")
    shown = CliRunner().invoke(app, ["show", "c-2"])
    assert shown.exit_code == 0, shown.output
    assert "It is a measured conductivity, not a material" in shown.stderr


def test_a_broken_row_of_a_table_is_mended_by_ingesting_again(store: Any, tmp_path: Path) -> None:
    good = "t-1,LiF,,1e-5,S/cm,300,K,,,"
    path = table(tmp_path, good, "t-2,LiF,,1e-5,,300,K,,,")
    assert numbers(ingest(store, path)) == (1, 0, 0, 1)
    path.write_text(path.read_text().replace("1e-5,,300", "1e-5,S/m,300"))
    assert numbers(ingest(store, path)) == (1, 0, 1, 0)
    content = bytes(store["sources"].find_one({"_id": "t-2"})["content"])
    assert read_conductivity("conductivity-csv", content).log10_sigma == pytest.approx(-7.0)
    assert store["sources"].count_documents({"format": "unreadable"}) == 0


def test_the_command_takes_them_without_being_told(store: Any, tmp_path: Path) -> None:
    path = lines(tmp_path / "c.jsonl", row())
    done = CliRunner().invoke(app, ["ingest", str(path), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)[0]["report"]["new"] == 1


@pytest.mark.data
def test_the_real_file(store: Any, data_folder: Path) -> None:
    path = data_folder / "ionic" / "conductivity.jsonl.gz"
    assert numbers(ingest(store, path)) == (1298, 0, 0, 0)
    assert numbers(ingest(store, path)) == (0, 0, 1298, 0)
    assert len(tables(store).sources(CONDUCTIVITY_FORMATS)) == 1298
    assert tables(store).sources(FORMATS) == {}
