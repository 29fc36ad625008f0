"""Records in ``sources``: verbatim, idempotent, in bulk, nothing lost."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from store.errors import UsageError
from store.ingest.ingest import IngestReport, ingest
from store.ingest.readers import read_record
from store.ingest.records import BadRecord, Origin, Record
from store.schema import migrate
from store.settings import Settings

if TYPE_CHECKING:
    from pymongo.database import Database

    Store = Database[dict[str, Any]]

POSCAR = b"cube\n1.0\n3 0 0\n0 3 0\n0 0 3\nPo\n1\nDirect\n0 0 0\n"


@pytest.fixture
def store(database: Store) -> Store:
    """A database whose validators are in force: every document written here is one that the schema takes."""
    migrate(database)
    return database


def row(name: str, edge: float = 3.0, source: str = "mine") -> bytes:
    structure = {"lattice": [[edge, 0, 0], [0, edge, 0], [0, 0, edge]], "species": ["Po"], "frac_coords": [[0, 0, 0]]}
    return json.dumps({"id": name, "source": source, "structure": structure}, separators=(",", ":")).encode()


def write_rows(path: Path, *rows: bytes) -> Path:
    path.write_bytes(b"\n".join(rows) + b"\n")
    return path


def numbers(report: IngestReport) -> tuple[int, int, int, int]:
    return report.new, report.updated, report.unchanged, report.unreadable


def test_a_record_is_kept_verbatim(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "POSCAR"
    path.write_bytes(POSCAR)
    assert numbers(ingest(store, path, provider="me", licence="CC0-1.0")) == (1, 0, 0, 0)
    (document,) = store["sources"].find()
    sha256 = hashlib.sha256(POSCAR).hexdigest()
    assert document["_id"] == f"poscar-{sha256[:16]}"
    assert bytes(document["content"]) == POSCAR
    assert document["sha256"] == sha256
    assert (document["provider"], document["licence"], document["error"]) == ("me", "CC0-1.0", None)
    assert document["origins"][0]["path"] == str(path)
    assert document["ingested_at"].tzinfo is not None
    assert read_record(document["format"], bytes(document["content"])).crystal.species == ("Po",)


def test_twice_is_once(store: Store, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", *[row(f"m-{number}") for number in range(2_500)])
    assert numbers(ingest(store, path)) == (2_500, 0, 0, 0)
    before = list(store["sources"].find().sort("_id"))
    assert numbers(ingest(store, path)) == (0, 0, 2_500, 0)
    assert list(store["sources"].find().sort("_id")) == before
    assert store["source_history"].count_documents({}) == 0


def test_the_same_bytes_under_two_names_are_one_record_with_two_origins(store: Store, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "POSCAR").write_bytes(POSCAR)
    assert numbers(ingest(store, tmp_path)) == (1, 0, 1, 0)
    (tmp_path / "three.vasp").write_bytes(POSCAR)
    assert numbers(ingest(store, tmp_path / "three.vasp")) == (0, 0, 1, 0)
    (document,) = store["sources"].find()
    assert [Path(origin["path"]).parent.name for origin in document["origins"]] == ["one", "two", tmp_path.name]
    assert document["updated_at"] == document["ingested_at"]


def test_a_changed_record_replaces_and_the_old_version_is_kept(store: Store, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", row("m-1"), row("m-2"))
    ingest(store, path)
    old = store["sources"].find_one("m-1")
    assert old is not None
    write_rows(path, row("m-1", 3.1), row("m-2"))
    assert numbers(ingest(store, path)) == (0, 1, 1, 0)
    new = store["sources"].find_one("m-1")
    assert new is not None
    assert bytes(new["content"]) == row("m-1", 3.1)
    assert new["hash"] != old["hash"]
    assert new["ingested_at"] == old["ingested_at"]
    (version,) = store["source_history"].find()
    assert version["_id"] == f"m-1@{old['sha256'][:16]}"
    assert version["source"] == "m-1"
    assert version["content"] == old["content"]
    write_rows(path, row("m-1"), row("m-2"))
    assert numbers(ingest(store, path)) == (0, 1, 1, 0)
    assert store["source_history"].count_documents({}) == 2


def test_versions_within_one_batch_of_a_provider(store: Store) -> None:
    def answers(*edges: float) -> list[Record]:
        return [Record("uniform-json", row("m-1", edge), "m-1", Origin(url="http://x")) for edge in edges]

    assert numbers(ingest(store, answers(3.0, 3.1, 3.2, 3.2))) == (1, 2, 1, 0)
    assert bytes(store["sources"].find_one("m-1")["content"]) == row("m-1", 3.2)  # type: ignore[index]
    kept = {bytes(version["content"]) for version in store["source_history"].find()}
    assert kept == {row("m-1", 3.0), row("m-1", 3.1)}
    assert numbers(ingest(store, answers(3.3, 3.4))) == (0, 2, 0, 0)
    assert store["source_history"].count_documents({}) == 4


def test_a_table_with_the_same_id_twice_keeps_both(store: Store, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", row("m-1", 3.0), row("m-2"), row("m-1", 3.1), row("m-1", 3.0))
    assert numbers(ingest(store, path, batch=1)) == (3, 0, 1, 0)
    assert sorted(found["_id"] for found in store["sources"].find()) == ["m-1", "m-1#2", "m-2"]
    assert numbers(ingest(store, path)) == (0, 0, 4, 0)
    write_rows(path, row("m-1", 3.0), row("m-2"), row("m-1", 3.2))
    assert numbers(ingest(store, path)) == (0, 1, 2, 0)
    assert bytes(store["sources"].find_one("m-1#2")["content"]) == row("m-1", 3.2)  # type: ignore[index]


def test_the_same_id_of_another_provider_is_another_record(store: Store, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", row("m-1", 3.0, "a"), row("m-1", 3.1, "b"), row("m-2", 3.0, "a"))
    assert numbers(ingest(store, path)) == (3, 0, 0, 0)
    assert {found["_id"]: found["provider"] for found in store["sources"].find()} == {
        "m-1": "a",
        "b:m-1": "b",
        "m-2": "a",
    }
    assert numbers(ingest(store, path)) == (0, 0, 3, 0)
    write_rows(path, row("m-1", 3.2, "b"), row("m-2", 3.3, "c"))
    assert numbers(ingest(store, path)) == (1, 1, 0, 0)
    assert store["sources"].count_documents({}) == 4
    records = [Record("uniform-json", row("m-2", 9.0), "m-2")]
    assert numbers(ingest(store, records)) == (1, 0, 0, 0)
    assert store["sources"].find_one("unnamed:m-2") is not None


def test_licence_and_references_are_content(store: Store) -> None:
    record = Record("poscar", POSCAR, "p-1", provider="me")
    ingest(store, [record])
    assert numbers(ingest(store, [record], licence="MIT")) == (0, 1, 0, 0)
    assert numbers(ingest(store, [Record("poscar", POSCAR, "p-1", provider="me", licence="MIT")])) == (0, 0, 1, 0)
    cited = Record("poscar", POSCAR, "p-1", provider="me", licence="MIT", references=("doi:10.1/1",))
    assert numbers(ingest(store, [cited])) == (0, 1, 0, 0)


def test_what_cannot_be_split_is_stored_with_its_reason_once(store: Store, tmp_path: Path) -> None:
    (tmp_path / "empty.cif").write_bytes(b"")
    (tmp_path / "other.cif").write_bytes(b"")
    (tmp_path / "noise").write_bytes(bytes(range(256)) * 20_000)
    (tmp_path / "POSCAR").write_bytes(POSCAR)
    for _ in range(2):
        report = ingest(store, tmp_path)
        assert report.unreadable == 3
        assert [error["type"] for error in report.errors] == ["EmptySource", "UnknownFormat", "EmptySource"]
        assert str(tmp_path / "noise") == report.errors[1]["origin"]
    found = list(store["sources"].find({"format": "unreadable"}))
    assert len(found) == 3
    assert all(document["error"]["message"] for document in found)
    assert {len(document["content"]) for document in found} == {0, 5_120_000}


def test_a_mended_file_takes_its_note_away(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a.cif").write_bytes(b"")
    (tmp_path / "b.cif").write_bytes(b"")
    ingest(store, tmp_path)
    (tmp_path / "a.cif").write_bytes(POSCAR)
    (tmp_path / "a.cif").rename(tmp_path / "POSCAR")
    (tmp_path / "a.cif").write_bytes((tmp_path / "POSCAR").read_bytes() + b" ")
    report = ingest(store, tmp_path)
    assert report.unreadable == 2  # a.cif is no CIF now, b.cif still empty
    assert store["sources"].count_documents({"format": "unreadable"}) == 2
    assert store["source_history"].count_documents({"format": "unreadable"}) == 1
    assert ingest(store, tmp_path / "POSCAR").unreadable == 0
    assert store["sources"].count_documents({"format": "unreadable"}) == 2


def test_a_record_too_large_for_a_document(store: Store) -> None:
    big = POSCAR + b"\n" * 14_100_000
    report = ingest(store, [Record("poscar", big, "big"), Record("poscar", POSCAR, "small")])
    assert numbers(report) == (1, 0, 0, 1)
    assert report.errors[0]["type"] == "SourceTooLarge"
    note = store["sources"].find_one({"format": "unreadable"})
    assert note is not None
    assert note["sha256"] == hashlib.sha256(big).hexdigest()
    just = Record("poscar", POSCAR + b"\n" * 13_900_000, "just")
    assert numbers(ingest(store, [just])) == (1, 0, 0, 0)
    assert numbers(ingest(store, [Record("poscar", POSCAR + b" " * 13_900_000, "just")])) == (0, 1, 0, 0)


def test_progress_and_reports(store: Store, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", *[row(f"m-{number}") for number in range(25)])
    seen: list[tuple[int, int | None]] = []
    report = ingest(store, path, batch=10, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(10, None), (20, None), (25, None)]
    assert report.total == 25
    assert str(report).startswith("25 new, 0 changed, 0 unchanged, 0 unreadable in")


def test_usage_errors(store: Store) -> None:
    with pytest.raises(UsageError, match="no/such/file"):
        ingest(store, "no/such/file.cif")
    with pytest.raises(UsageError, match="batch"):
        ingest(store, [], batch=0)
    assert numbers(ingest(store, [])) == (0, 0, 0, 0)


def test_ctrl_c_keeps_what_was_read_and_a_second_run_finishes(store: Store) -> None:
    def interrupted() -> Iterator[Record]:
        for number in range(25):
            yield Record("poscar", POSCAR, f"p-{number}")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        ingest(store, interrupted(), batch=10)
    assert caught.value.args[0].new == 25
    assert store["sources"].count_documents({}) == 25


def test_a_source_that_fails_in_the_middle_keeps_what_came_before(store: Store) -> None:
    def failing() -> Iterator[Record | BadRecord]:
        yield Record("poscar", POSCAR, "p-1")
        yield BadRecord(Origin(url="http://x"), UsageError("odd"))
        raise UsageError("the service refused")

    with pytest.raises(UsageError, match="refused"):
        ingest(store, failing())
    assert store["sources"].count_documents({}) == 2


def test_two_ingestions_at_once_give_each_record_once(store: Store, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    path = write_rows(tmp_path / "rows.jsonl", *[row(f"m-{number}") for number in range(3_000)])
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda _: ingest(store, path, batch=200), range(4)))
    assert store["sources"].count_documents({}) == 3_000
    assert all(report.total == 3_000 for report in reports)
    assert all(len(document["origins"]) == 1 for document in store["sources"].find())


def test_an_interrupted_process_leaves_nothing_half_done(settings: Settings, store: Store, tmp_path: Path) -> None:
    """SIGINT and SIGKILL at some moment of a real process; running it again completes the work."""
    path = write_rows(tmp_path / "rows.jsonl", *[row(f"m-{number}", 3 + number * 1e-4) for number in range(30_000)])
    script = textwrap.dedent(
        """
        import sys
        from store.connection import connect
        from store.ingest.ingest import ingest
        print("ready", flush=True)
        ingest(connect(), sys.argv[1], batch=100, progress=lambda done, total: print(done, flush=True))
        """
    )
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}
    for sent in (signal.SIGINT, signal.SIGKILL):
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        assert process.stdout is not None
        for _ in range(12):
            process.stdout.readline()
        process.send_signal(sent)
        process.stdout.close()
        assert process.wait(30) != 0
        time.sleep(0.2)  # the server may still be writing what it had received
        stored = store["sources"].count_documents({})
        assert 0 < stored < 30_000
    report = ingest(store, path)
    assert report.new > 0
    assert (report.new + report.unchanged, report.updated) == (30_000, 0)
    assert store["sources"].count_documents({}) == 30_000
    assert all(len(document["origins"]) == 1 for document in store["sources"].find({}, {"origins": 1}))


def test_a_server_that_dies_and_comes_back_loses_nothing(private_settings: Settings) -> None:
    from store.connection import connect
    from store.server import ensure_server

    database = connect(private_settings)
    migrate(database)

    def die(done: int, total: int | None) -> None:
        if done == 300:
            os.kill(ensure_server(private_settings).pid, signal.SIGKILL)

    records = (Record("poscar", POSCAR + str(number).encode(), f"p-{number}") for number in range(1_000))
    report = ingest(database, records, batch=100, progress=die)
    assert report.total == 1_000
    assert connect(private_settings)["sources"].count_documents({}) == 1_000


def test_a_server_that_stays_away_is_told(private_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from store.connection import connect
    from store.errors import ServerUnavailable
    from store.server import ensure_server

    # A server that only its address is known of: ionatlas can wait for it, and cannot start it.
    settings = Settings(home=private_settings.home, mongodb_uri=ensure_server(private_settings).uri, server_timeout=1.0)
    monkeypatch.setattr("store.ingest.ingest._PATIENCE", 0.5)
    database = connect(settings)

    def die(done: int, total: int | None) -> None:
        if done == 200:
            os.kill(ensure_server(private_settings).pid, signal.SIGKILL)

    records = (Record("poscar", POSCAR + str(number).encode(), f"p-{number}") for number in range(1_000))
    with pytest.raises(ServerUnavailable, match="went away"):
        ingest(database, records, batch=100, progress=die)
    assert connect(private_settings)["sources"].count_documents({}) >= 200


@pytest.mark.data
def test_the_shared_uniform_files(store: Store, data_folder: Path) -> None:
    report = ingest(store, data_folder / "ionic")
    assert report.new == 560 + 1_298
    assert [error["type"] for error in report.errors] == ["UnknownFormat"]  # osipov_tables.json holds tables
    # Hops and conductivities have formats of their own: none is taken for a structure.
    formats = {
        row["_id"]: row["n"] for row in store["sources"].aggregate([{"$group": {"_id": "$format", "n": {"$sum": 1}}}])
    }
    assert formats == {"hop-json": 560, "conductivity-json": 1_298, "unreadable": 1}
