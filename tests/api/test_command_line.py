"""The command line: what it prints where, and its exit codes."""

from __future__ import annotations

import csv
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
from typer.testing import CliRunner

from api.cli.main import app
from store.provenance import utc_now
from store.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-c", "from api.cli.main import main; main()"]
COMMANDS = (
    "ingest",
    "build",
    "status",
    "query",
    "similar",
    "aggregate",
    "export",
    "show",
    "barriers",
    "why",
    "channels",
    "predict",
    "train",
    "compare",
    "explain",
    "neb",
    "predict-structure",
    "inverse",
    "fields",
    "picture",
    "reproduce",
    "db",
    "serve",
    "key",
    "demo",
)


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def process(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False, **options
    )


# --------------------------------------------------------------------------------------------------------------- help


def test_help_names_every_command_and_the_exit_codes() -> None:
    result = run("--help")
    assert result.exit_code == 0
    for name in COMMANDS:
        assert f"  {name}" in result.stdout
    assert "Exit codes" in result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.stdout


def test_help_loads_nothing_heavy() -> None:
    """What takes long to import stands inside the functions that need it: help comes at once."""
    heavy = (
        "pymatgen pandas pymongo mongoengine faiss matplotlib optimade maggma numpy rich scipy sklearn torch fastapi starlette "
        "uvicorn httpx pint pyarrow plotly lightgbm"
    )
    code = (
        "import sys, contextlib\n"
        "from api.cli.main import app\n"
        "with contextlib.suppress(SystemExit):\n"
        "    app(['--help'])\n"
        f"print('loaded:', [name for name in {heavy.split()} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60, check=True
    )
    assert done.stdout.strip().endswith("loaded: []"), done.stdout


def test_version() -> None:
    from importlib.metadata import version

    assert run("--version").stdout.strip() == version("ionatlas")


# ------------------------------------------------------------------------------------------------------------ queries


@pytest.mark.usefixtures("at_built")
class TestQuery:
    def test_a_table_has_units_in_its_headings_and_messages_go_to_stderr(self) -> None:
        result = run("query", 'elements HAS "Li"', "--sort=-band_gap")
        assert result.exit_code == 0
        assert "band_gap [eV]" in result.stdout
        assert "8.800" in result.stdout
        assert result.stdout.index("t-3") < result.stdout.index("t-2")
        assert "2 of 2" in result.stderr
        assert "2 of 2" not in result.stdout

    def test_json_is_lines_of_json_and_nothing_else(self) -> None:
        result = run("query", "band_gap > 5", "--format", "json", "--fields", "id,band_gap,elements", "--limit", "2")
        rows = [json.loads(line) for line in result.stdout.splitlines()]
        assert rows == [
            {"id": "t-2", "band_gap": 6.3, "elements": ["Cl", "Li"]},
            {"id": "t-3", "band_gap": 8.8, "elements": ["F", "Li"]},
        ]
        assert "there are more" in result.stderr

    def test_csv(self) -> None:
        result = run("query", 'id = "t-6"', "--format", "csv", "--fields", "id,band_gap,elements,is_ordered")
        assert list(csv.reader(io.StringIO(result.stdout))) == [
            ["id", "band_gap", "elements", "is_ordered"],
            ["t-6", "", "Co O", "true"],
        ]

    def test_parquet_carries_units(self, tmp_path: Path) -> None:
        from pyarrow import parquet

        file = tmp_path / "rows.parquet"
        result = run("query", "", "--fields", "all", "-o", str(file))
        assert result.exit_code == 0
        assert result.stdout == ""
        table = parquet.read_table(file)
        assert table.num_rows == 11
        assert table.schema.field("density").metadata[b"unit"] == b"g/cm^3"
        assert table.column("elements").to_pylist()[0] == ["Cl", "Na"]

    def test_the_ending_of_the_file_chooses_the_format(self, tmp_path: Path) -> None:
        for name, first in (("a.csv", "id,"), ("a.jsonl", '{"id"'), ("a.txt", " ")):
            file = tmp_path / name
            assert run("query", "", "--fields", "id,formula", "-o", str(file)).exit_code == 0
            assert file.read_text().lstrip("\n").startswith(first)

    def test_limit_0_gives_all_and_skip_leaves_out(self) -> None:
        everything = run("query", "", "--limit", "0", "--format", "json").stdout.splitlines()
        rest = run("query", "", "--limit", "0", "--skip", "9", "--format", "json").stdout.splitlines()
        assert len(everything) == 11
        assert rest == everything[9:]

    def test_unique_leaves_duplicates_out(self) -> None:
        assert "t-11" not in run("query", 'formula = "NaCl"', "--unique").stdout

    def test_an_unknown_field_ends_with_2_and_the_nearest(self) -> None:
        result = run("query", "bandgap > 3")
        assert result.exit_code == 2
        assert result.stdout == ""
        assert "^^^^^^^" in result.stderr
        assert "band_gap [eV]" in result.stderr
        assert "To mend it: ionatlas fields" in result.stderr

    @pytest.mark.parametrize(
        "arguments",
        [("query", ""), ("query", "", "--format", "csv"), ("similar", "t-1")],
    )
    def test_a_file_that_cannot_be_written_ends_with_2(self, arguments: tuple[str, ...], tmp_path: Path) -> None:
        result = run(*arguments, "-o", str(tmp_path / "no" / "such" / "folder.csv"))
        assert result.exit_code == 2
        assert "cannot be written" in result.stderr
        assert list(tmp_path.iterdir()) == []

    def test_similar_by_id_and_by_formula(self) -> None:
        result = run("similar", "t-1", "-k", "2", "--format", "json")
        assert json.loads(result.stdout.splitlines()[0])["id"] == "t-11"
        assert result.exit_code == 0
        assert run("similar", "LiBr", "-k", "2").exit_code == 0
        assert run("similar", "quartz").exit_code == 2

    def test_similar_with_a_filter(self) -> None:
        rows = run("similar", "t-1", "--filter", 'elements HAS "O"', "--format", "json").stdout.splitlines()
        assert {json.loads(row)["id"] for row in rows} == {"t-4", "t-5", "t-6", "t-9"}

    def test_show(self) -> None:
        result = run("show", "t-1")
        assert result.exit_code == 0
        assert "NaCl" in result.stdout
        assert "density" in result.stdout
        assert "g/cm^3" in result.stdout
        assert json.loads(run("show", "t-1", "--json").stdout)["candidate"]["formula"] == "NaCl"
        assert "CoincidentAtoms" in run("show", "t-12").stdout
        assert run("show", "t-99").exit_code == 2
        assert run("show", "\udcff").exit_code == 2

    @pytest.mark.parametrize(("cell", "atoms"), [("standard", 8), ("primitive", 2), ("given", 2)])
    def test_cif_can_be_read_again(self, cell: str, atoms: int) -> None:
        from pymatgen.core import Structure

        result = run("show", "t-1", "--cif", "--cell", cell)
        assert len(Structure.from_str(result.stdout, fmt="cif")) == atoms
        assert run("show", "t-1", "--cif", "--cell", "odd").exit_code == 2

    def test_why_goes_back_to_the_line_of_the_file(self, built: Any) -> None:
        result = run("why", "t-3", "band_gap")
        assert result.exit_code == 0
        assert "8.8 eV" in result.stdout
        assert f"{built.file}, line 3" in result.stdout
        assert "symprec 0.01" in result.stdout
        told = json.loads(run("why", "t-3", "band_gap", "--json").stdout)
        assert told["steps"][0]["inputs"][0]["inputs"][0]["origins"][0]["line"] == 3
        assert run("why", "t-3", "bandgap").exit_code == 2

    def test_status(self) -> None:
        result = run("status")
        assert result.exit_code == 0
        assert "candidates" in result.stdout
        assert "CoincidentAtoms" in result.stdout
        told = json.loads(run("status", "--json").stdout)
        assert {each["name"]: each["documents"] for each in told["collections"]}["sources"] == 12

    def test_explain_of_a_finished_build_finds_nothing_to_do(self) -> None:
        result = run("build", "--explain")
        assert result.exit_code == 0
        assert "Everything is up to date." in result.stderr
        plans = json.loads(run("build", "--explain", "--json").stdout)
        assert {plan["name"]: plan["fresh"] for plan in plans}["structures"] == 11
        assert {plan["name"]: plan["failed"] for plan in plans}["structures"] == 1

    def test_pictures(self, tmp_path: Path) -> None:
        for arguments in ((), ("t-9",)):
            file = tmp_path / f"picture{len(arguments)}.png"
            result = run("picture", *arguments, "-o", str(file))
            assert result.exit_code == 0
            assert result.stdout.strip() == str(file)
            assert file.read_bytes().startswith(b"\x89PNG")


def test_long_tables_say_the_same_as_short_ones() -> None:
    from api.cli.output import print_table

    def words(count: int) -> list[list[str]]:
        held = io.StringIO()
        print_table([("id", False), ("gap [eV]", True)], [(f"m-{n}", f"{n / 7:.3f}") for n in range(count)], file=held)
        return [line.split() for line in held.getvalue().splitlines() if line.strip()]

    short, long = words(2000), words(2001)
    assert len(long) == 2003
    assert long[2:2002] == short[2:]
    assert long[0] == short[0]


def test_fields_lists_names_units_and_meanings() -> None:
    result = run("fields")
    assert result.exit_code == 0
    assert "energy_above_hull" in result.stdout
    assert "eV/atom" in result.stdout
    assert {field["name"] for field in json.loads(run("fields", "--json").stdout)} >= {"id", "band_gap"}


# ------------------------------------------------------------------------------------------------ work and exit codes

SALT = (
    '{"id":"s-1","source":"test","structure":{"lattice":[[0,2.82,2.82],[2.82,0,2.82],[2.82,2.82,0]],'
    '"species":["Na","Cl"],"frac_coords":[[0,0,0],[0.5,0.5,0.5]]}}\n'
)


def test_ingest_build_and_ask(database: Any, tmp_path: Path) -> None:
    file = tmp_path / "salt.jsonl"
    file.write_text(SALT)
    first = run("ingest", str(file))
    assert first.exit_code == 0
    assert "1 new" in first.stdout
    assert "1 unchanged" in run("ingest", str(file)).stdout
    assert json.loads(run("ingest", str(file), "--json").stdout)[0]["report"]["unchanged"] == 1
    done = run("build", "--workers", "1")
    assert done.exit_code == 0
    assert "structures: 1 of 1" in done.stderr
    assert json.loads(run("query", "", "--format", "json").stdout)["formula"] == "NaCl"
    again = json.loads(run("build", "--json").stdout)
    assert {summary["built"] for summary in again} == {0}


def test_failed_items_end_with_5(database: Any, tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text(SALT.replace("[0.5,0.5,0.5]", "[0,0,0]"))
    run("ingest", str(file))
    done = run("build", "structures", "--workers", "1")
    assert done.exit_code == 5
    assert "CoincidentAtoms" in done.stderr
    assert "To mend it: " in done.stderr


def test_a_missing_file_ends_with_2(database: Any) -> None:
    result = run("ingest", "no-such-file.cif")
    assert result.exit_code == 2
    assert "no-such-file.cif" in result.stderr


@pytest.mark.parametrize("source", ["mp:!!", "mp:", "optimade:"])
def test_sources_that_cannot_be_understood_end_with_2(database: Any, source: str) -> None:
    assert run("ingest", source).exit_code == 2


def test_an_unknown_builder_ends_with_2(database: Any) -> None:
    result = run("build", "structure")
    assert result.exit_code == 2
    assert "structures" in result.stderr


def test_an_unknown_option_ends_with_2() -> None:
    assert run("query").exit_code == 2
    assert run("query", "x", "--limit", "-3").exit_code == 2
    assert run("nonsense").exit_code == 2


def test_an_address_where_nobody_answers_ends_with_3(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IONATLAS_MONGODB_URI", "mongodb://127.0.0.1:1/?connectTimeoutMS=200")
    monkeypatch.setenv("IONATLAS_SERVER_TIMEOUT", "0.3")
    result = run("query", "")
    assert result.exit_code == 3
    assert "To mend it" in result.stderr


def test_a_running_build_ends_with_4(database: Any, tmp_path: Path) -> None:
    file = tmp_path / "salt.jsonl"
    file.write_text(SALT)
    run("ingest", str(file))
    hold_lease(database)
    result = run("build", "structures", "--workers", "1")
    assert result.exit_code == 4
    assert "elsewhere" in result.stderr


def test_likeness_without_an_index_ends_with_7(database: Any) -> None:
    assert run("similar", "NaCl").exit_code == 7


def test_ctrl_c_ends_with_130(database: Any, tmp_path: Path) -> None:
    file = tmp_path / "salt.jsonl"
    file.write_text(SALT)
    run("ingest", str(file))
    hold_lease(database)
    # It waits for the lease, which is the place to interrupt it.
    child = subprocess.Popen(
        [*COMMAND, "build", "structures", "--wait", "50"], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    time.sleep(4)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "interrupted; what was finished is kept" in said


def test_a_fault_of_ours_ends_with_1_and_shows_its_place_only_when_asked(
    database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a wheel came off")

    monkeypatch.setattr("api.finding.query", broken)
    result = run("query", "")
    assert result.exit_code == 1
    assert "fault of ionatlas: RuntimeError: a wheel came off" in result.stderr
    assert "Traceback" not in result.stderr
    monkeypatch.setenv("IONATLAS_DEBUG", "1")
    assert isinstance(run("query", "").exception, RuntimeError)


@pytest.mark.usefixtures("at_built")
def test_a_pipe_that_closes_early_is_no_fault() -> None:
    command = " ".join(["query", "''", "--limit", "0", "--format", "json", "--fields", "all"])
    shell = f"{sys.executable} -c 'from api.cli.main import main; main()' {command} | head -n 1"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert len(done.stdout.splitlines()) == 1
    assert "fault" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("at_built")
def test_a_terminal_in_ascii_gets_its_answer() -> None:
    done = process("fields", env={**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"})
    assert done.returncode == 0
    assert "volume_per_atom" in done.stdout


def hold_lease(database: Any) -> None:
    """Let another host hold the lease of the structures."""
    from datetime import timedelta

    now = utc_now()
    lease = {
        "_id": "structures",
        "owner": "f" * 32,
        "host": "elsewhere",
        "pid": 1,
        "process_started": 0.0,
        "acquired_at": now,
        "expires_at": now + timedelta(minutes=5),
    }
    database["leases"].insert_one(lease)
