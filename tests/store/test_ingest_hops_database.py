"""Hops in the database: stored once, never in the place of a structure, and out of the way of the builder of structures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from api.cli.main import app
from api.service import Service
from builders.engine.inputs import KeyedInput, StampTables
from builders.structures.builder import StructureBuilder
from store.errors import UsageError
from store.ingest.ingest import IngestReport, ingest
from store.ingest.kinds import FORMATS, HOP_FORMATS
from store.ingest.plan import make_plan, other_ids, prepare
from store.ingest.readers import read_hop
from store.ingest.records import Origin, Record
from store.provenance import utc_now
from store.schema import migrate
from store.settings import Settings

from .hop_examples import HOST, csv_row, encoded, litraj, migration_graph, neb_pathway, row, table

if TYPE_CHECKING:
    from pymongo.database import Database

    Store = Database[dict[str, Any]]

STRUCTURE = {"id": "s-1", "source": "mine", "structure": HOST}


@pytest.fixture
def store(database: Store) -> Store:
    """A database whose validators are in force."""
    migrate(database)
    return database


def numbers(report: IngestReport) -> tuple[int, int, int, int]:
    return report.new, report.updated, report.unchanged, report.unreadable


def lines(path: Path, *values: Any) -> Path:
    path.write_bytes(b"".join(encoded(value) + b"\n" for value in values))
    return path


def tables(store: Store) -> StampTables:
    return StampTables(store, lambda operation: operation())


def everything(folder: Path) -> Path:
    """A folder with hops in every layout, two of them broken, and one structure."""
    table(folder / "table", csv_row(), csv_row(id="t-2", structure_file="gone.cif"), "broken")
    litraj(folder / "nebDFT2k", "e-1", "e-2")
    lines(folder / "rows.jsonl", row(), row(id="h-2", barrier_eV=None), STRUCTURE)
    (folder / "pathway.json").write_text(json.dumps(neb_pathway()))
    (folder / "graph.json").write_text(json.dumps(migration_graph()))
    for name in ("filled.vasp", "cells/filled.cif"):
        (folder / "table" / name).unlink()
    return folder


def test_every_layout_is_stored_once_and_reads_back(store: Store, tmp_path: Path) -> None:
    folder = everything(tmp_path / "all")
    assert numbers(ingest(store, folder)) == (10, 0, 0, 2)
    before = list(store["sources"].find().sort("_id"))
    assert numbers(ingest(store, folder)) == (0, 0, 10, 2)
    assert list(store["sources"].find().sort("_id")) == before
    assert store["source_history"].count_documents({}) == 0
    formats = {document["_id"]: document["format"] for document in before}
    assert {key: kind for key, kind in formats.items() if kind != "unreadable"} == {
        "t-1": "hop-csv", "e-1": "litraj-neb", "e-2": "litraj-neb", "h-1": "hop-json", "h-2": "hop-json",
        "s-1": "uniform-json", "js-1_Li_hop_0+1": "mp-neb", "js-1_Li_hop_1+2": "mp-neb",
        "js-7_Li_hop_0": "mp-migration-graph", "js-7_Li_hop_1": "mp-migration-graph",
    }  # fmt: skip
    for document in before:
        if document["format"] in HOP_FORMATS:
            hop = read_hop(document["format"], bytes(document["content"]))
            assert hop.id == document["_id"]
            assert (hop.working_ion, hop.length) == ("Li", pytest.approx(3.0, abs=1e-4))


def test_a_mended_row_takes_the_place_of_its_note(store: Store, tmp_path: Path) -> None:
    path = table(tmp_path, csv_row(), csv_row(id="t-2", unit=""))
    assert numbers(ingest(store, path)) == (1, 0, 0, 1)
    assert "has no unit" in store["sources"].find_one({"format": "unreadable"})["error"]["message"]  # type: ignore[index]
    path.write_text(path.read_text().replace(csv_row(id="t-2", unit=""), csv_row(id="t-2")))
    assert numbers(ingest(store, path)) == (1, 0, 1, 0)
    assert store["sources"].count_documents({"format": "unreadable"}) == 0


def test_another_structure_file_makes_another_version(store: Store, tmp_path: Path) -> None:
    path = table(tmp_path, csv_row())
    ingest(store, path)
    (tmp_path / "host.cif").write_text((tmp_path / "host.cif").read_text().replace("Co1 Co", "Ni1 Ni"))
    assert numbers(ingest(store, path)) == (0, 1, 0, 0)
    content = bytes(store["sources"].find_one({"_id": "t-1"})["content"])  # type: ignore[index]
    assert read_hop("hop-csv", content).host.species[0] == "Ni"
    assert store["source_history"].count_documents({"source": "t-1"}) == 1


@pytest.mark.parametrize("order", [0, 1])
def test_a_hop_never_replaces_a_structure_of_the_same_id(store: Store, tmp_path: Path, order: int) -> None:
    structure = lines(tmp_path / "structure.jsonl", {**STRUCTURE, "id": "x"})
    hop = lines(tmp_path / "hop.jsonl", row(id="x"))
    for path in (structure, hop)[:: 1 - 2 * order]:
        assert numbers(ingest(store, path)) == (1, 0, 0, 0)
    for path in (structure, hop):
        assert numbers(ingest(store, path)) == (0, 0, 1, 0)
    names = {document["format"]: document["_id"] for document in store["sources"].find()}
    expected = {"hop-json": "hop:mine:x", "uniform-json": "x"}
    if order:
        expected = {"hop-json": "x", "uniform-json": "structure:mine:x"}
    assert names == expected
    changed = lines(tmp_path / "hop.jsonl", row(id="x", barrier_eV=0.9))
    assert numbers(ingest(store, changed)) == (0, 1, 0, 0)
    assert store["sources"].count_documents({}) == 2


def test_ids_are_looked_up_before_they_are_given() -> None:
    structure = prepare(Record("uniform-json", b"a", "x", Origin(path="a"), "mine"), utc_now())
    hop = prepare(Record("hop-json", b"b", "x", Origin(path="b"), "mine"), utc_now())
    other = prepare(Record("hop-json", b"c", "x", Origin(path="c"), "yours"), utc_now())
    assert other_ids([structure, hop, other], {}) == ["hop:mine:x", "hop:yours:x"]
    plan = make_plan([structure, hop, other], {}, utc_now())
    assert sorted(plan.inserts) == ["hop:mine:x", "hop:yours:x", "x"]


def test_the_builder_of_structures_does_not_see_hops(store: Store, tmp_path: Path) -> None:
    ingest(store, everything(tmp_path / "all"))
    builder = StructureBuilder()
    builder.bind(store)
    assert set(builder.plan(tables(store)).inputs) == {"s-1"}
    found = tables(store)
    assert set(found.sources(FORMATS)) == {"s-1"}
    hops = {document["_id"] for document in store["sources"].find({"format": {"$in": list(HOP_FORMATS)}})}
    assert len(hops) == 9
    assert set(found.sources(HOP_FORMATS)) == hops
    assert set(found.sources()) == hops | {"s-1"}
    barriers = KeyedInput("sources", formats=HOP_FORMATS)
    assert set(barriers.hashes(found)) == hops
    for name, document_hash in barriers.hashes(found).items():
        assert store["sources"].find_one({"_id": name})["hash"] == document_hash  # type: ignore[index]


def test_a_plan_reads_the_index_alone(store: Store, tmp_path: Path) -> None:
    ingest(store, everything(tmp_path / "all"))
    for formats in (FORMATS, HOP_FORMATS):
        query = {"_id": {"$gte": ""}, "format": {"$in": sorted(formats)}}
        told = store["sources"].find(query, {"_id": 1, "hash": 1}).explain()
        assert told["executionStats"]["totalDocsExamined"] == 0


def test_a_second_table_is_read_once_a_run(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest(store, lines(tmp_path / "rows.jsonl", row(), STRUCTURE))
    found = tables(store)
    assert (set(found.sources(FORMATS)), set(found.sources(HOP_FORMATS))) == ({"s-1"}, {"h-1"})
    monkeypatch.setattr(found, "_scan", None)
    assert (set(found.sources(FORMATS)), set(found.sources(HOP_FORMATS))) == ({"s-1"}, {"h-1"})


def test_show_why_and_status_make_sense_of_hops(store: Store, settings: Settings, tmp_path: Path) -> None:
    ingest(store, lines(tmp_path / "rows.jsonl", row(), STRUCTURE))
    service = Service(store, settings)
    found = service.show("h-1")
    assert found["source"]["format"] == "hop-json"
    assert (found["candidate"], found["structure"]) == (None, None)
    assert service.structure("h-1", "given").species == ("Co", "O", "O", "O", "Li")
    assert service.structure("s-1", "given").species == ("Co", "O", "O", "O")
    with pytest.raises(UsageError, match="h-1 is a hop, not a material"):
        service.structure("h-1")
    with pytest.raises(UsageError, match="not built yet"):
        service.structure("s-1")
    assert [step.format for step in service.why("h-1", "band_gap").steps] == ["hop-json"]
    assert "ionatlas build" in (service.query().note or "")
    (sources,) = [each for each in service.status().collections if each.name == "sources"]
    assert (sources.documents, sources.failed) == (2, 0)


def test_a_store_of_hops_alone_says_so(store: Store, settings: Settings, tmp_path: Path) -> None:
    ingest(store, lines(tmp_path / "rows.jsonl", row()))
    assert "holds hops only" in (Service(store, settings).query().note or "")


def test_the_command_takes_every_layout_without_being_told_which(store: Store, tmp_path: Path) -> None:
    folder = everything(tmp_path / "all")
    given = [folder / "table" / "hops.csv", folder / "nebDFT2k", folder / "rows.jsonl", folder / "pathway.json"]
    done = CliRunner().invoke(app, ["ingest", *map(str, given), "--json"])
    assert done.exit_code == 0, done.output
    reports = [each["report"] for each in json.loads(done.stdout)]
    assert [report["new"] for report in reports] == [1, 2, 3, 2]
    assert reports[0]["unreadable"] == 2
    shown = CliRunner().invoke(app, ["show", "e-1"])
    assert shown.exit_code == 0, shown.output
    assert "It is a hop of an ion, not a material" in shown.stderr


@pytest.mark.data
def test_the_real_file_is_stored_and_stays_the_same(store: Store, data_folder: Path) -> None:
    path = data_folder / "ionic" / "barriers.jsonl.gz"
    assert numbers(ingest(store, path)) == (560, 0, 0, 0)
    assert numbers(ingest(store, path)) == (0, 0, 560, 0)
    assert len(tables(store).sources(HOP_FORMATS)) == 560
    assert tables(store).sources(FORMATS) == {}
    for document in store["sources"].find().limit(20):
        assert read_hop(document["format"], bytes(document["content"])).id == document["_id"]
        assert document["licence"]
