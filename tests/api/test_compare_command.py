"""``ionatlas compare conductivity``: the table, its shape, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from api.cli.main import app
from api.compare import compare_conductivity
from api.compare.features import SETS, matrix
from api.compare.processes import peak_memory, run
from api.compare.report import HEADINGS, table
from api.compare.rows import gather, group_of
from builders.learning.comparison import QUICK, Line, Task
from store.errors import UsageError

from .conductivity_rows import rows, write_rows

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    more: list[dict[str, Any]] = [
        {"id": "hot", "formula": "Li3N", "log10_sigma": -3.0, "temperature_K": 600.0},
        {"id": "sodium", "formula": "Na3PS4", "working_ion": "Na", "log10_sigma": -3.0, "temperature_K": 300.0},
        {"id": "none", "formula": "Li3P", "temperature_K": 300.0},
        {"id": "bad", "formula": "Xx9", "log10_sigma": -3.0, "temperature_K": 300.0},
    ]
    return write_rows(tmp_path_factory.mktemp("rows") / "rows.jsonl.gz", more=more)


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["compare", "conductivity", *arguments])


def test_the_table_has_a_line_a_model_and_says_what_was_compared(file: Path) -> None:
    result = invoke(
        str(file), "--quick", "--models", "constant,ridge,knn", "--features", "composition,lattice", "--workers", "1"
    )
    assert result.exit_code == 0, result.stderr
    assert (
        "80 conductivities at room temperature of 40 compositions (60 with a structure), from rows.jsonl.gz"
        in result.stdout
    )
    for reason in ("1 not at room temperature", "1 of another ion", "2 that cannot be read"):
        assert reason in result.stdout
    for heading, _ in HEADINGS:
        assert heading in result.stdout
    names = [
        line.split()[0] for line in result.stdout.splitlines() if line.strip().startswith(("constant", "ridge", "knn"))
    ]
    assert sorted(names) == ["constant", "knn", "ridge"]
    assert names[-1] == "constant"
    assert "best: " in result.stdout


def test_json_has_everything_and_the_same_seed_gives_the_same(file: Path) -> None:
    options = (
        "--quick",
        "--models",
        "constant,ridge,lightgbm",
        "--features",
        "composition",
        "--features",
        "topology-stats",
        "--json",
    )
    one, two = (json.loads(invoke(str(file), *options).stdout) for _ in range(2))
    assert one["rows"] == 80
    assert one["upper_bounds"] == 4
    assert [tuple(each["features"]) for each in one["results"]] == [("composition",)] * 3 + [("topology-stats",)] * 3
    for first, second in zip(one["results"], two["results"], strict=True):
        for key in ("name", "columns", "scores", "spread", "intervals", "chosen", "error"):
            assert first[key] == second[key]
        assert first["memory"] >= 0
        assert first["seconds"] >= 0
    scores = {(tuple(each["features"]), each["name"]): each["scores"]["mae"] for each in one["results"]}
    assert scores[("composition",), "ridge"] < scores[("composition",), "constant"]


def test_what_stands_for_a_bound_is_a_choice(file: Path) -> None:
    kept, dropped, benchmark = (gather(file, rule) for rule in ("keep", "drop", "benchmark"))
    assert (len(kept), len(dropped), len(benchmark)) == (80, 76, 80)
    bounds = np.array([record.censored is not None for record in benchmark.records])
    assert (benchmark.target[bounds] == -15.0).all()
    assert (benchmark.target[~bounds] == kept.target[~bounds]).all()
    assert (kept.target[bounds] > -15.0).all()


def test_rows_of_one_composition_are_one_group_however_they_are_written() -> None:
    assert group_of({"Li": 1.0, "O": 2.0}) == group_of({"O": 4.0, "Li": 2.0})
    assert group_of({"Li": 1.0, "O": 2.0}) != group_of({"Li": 1.1, "O": 2.0})


def test_only_structures(file: Path) -> None:
    found = gather(file, structures_only=True)
    assert len(found) == found.n_structures == 60
    assert found.excluded["without a structure"] == 20


def test_sets_of_features_stand_side_by_side_with_gaps_where_nothing_is_known(file: Path) -> None:
    records = gather(file).records[:4]
    widths = {name: matrix(records, [name]).shape[1] for name in SETS}
    every = matrix(records, SETS)
    assert every.shape == (4, sum(widths.values()))
    curves = matrix(records, ["topology"])
    assert np.isnan(curves[3]).all()  # no structure
    assert not np.isnan(curves[:3]).all(axis=1).any()
    assert not np.isnan(matrix(records, ["composition"])).all(axis=1).any()


def test_a_model_that_fails_has_its_reason_and_the_others_their_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    task = Task.of(np.random.default_rng(0).normal(size=(40, 3)), np.arange(40.0), np.arange(40))
    lines: list[Line] = []
    run(["constant", "no-such-model"], task, QUICK, 0, lines.append, workers=2)
    told = {line.name: line.error for line in lines}
    assert told["constant"] is None
    assert "no-such-model" in str(told["no-such-model"])
    assert any(cell.startswith("failed") for row in table(lines) for cell in row)


def test_memory_is_that_of_the_model(tmp_path: Path) -> None:
    code = (
        "from api.compare.processes import peak_memory\n"
        "before = peak_memory(reset=True)\n"
        "block = bytearray(200 * 2**20)\n"
        "del block\n"
        "print(peak_memory() - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60, check=True
    )
    assert 190 < float(done.stdout) < 230
    assert peak_memory() > 10


@pytest.mark.parametrize(
    ("arguments", "said", "mend"),
    [
        (("nothing.jsonl",), "no file 'nothing.jsonl'", "leave it out to use the store"),
        (("{file}", "--models", "oracle"), "no model 'oracle'", "lightgbm"),
        (("{file}", "--features", "smell"), "no set of features 'smell'", "topology-stats"),
        (("{file}", "--features", ","), "No set of features was named", "composition"),
        (("{file}", "--bounds", "guess"), "no rule 'guess'", "benchmark"),
        (("{folder}",), "is a folder", "name a file"),
        (("{empty}",), "holds no conductivities", "conductivity-data.md"),
        (("{few}",), "too few", None),
    ],
)
def test_what_cannot_be_compared_is_told(
    file: Path, tmp_path: Path, arguments: tuple[str, ...], said: str, mend: str | None
) -> None:
    empty, few = tmp_path / "empty.jsonl", write_rows(tmp_path / "few.jsonl.gz", 10)
    empty.write_text(
        '{"id": "a", "structure": {"lattice": [[3,0,0],[0,3,0],[0,0,3]], "species": ["Li"], "frac_coords": [[0,0,0]]}}\n'
    )
    names = {"file": file, "folder": tmp_path, "empty": empty, "few": few}
    result = invoke(*(each.format(**names) for each in arguments))
    assert result.exit_code == 2, result.stderr
    assert said in result.stderr
    if mend:
        assert mend in result.stderr


def test_ctrl_c_ends_all_processes_and_tells_what_was_finished(file: Path) -> None:
    command = [sys.executable, "-c", "from api.cli.main import main; main()", "compare", "conductivity", str(file)]
    command += ["--models", "constant,forest", "--features", "composition", "--workers", "1"]
    started = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
        env=dict(os.environ),
    )
    import psutil

    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:  # the forest is at work when the constant's process is gone
        children = psutil.Process(started.pid).children(recursive=True)
        working = [each for each in children if each.cpu_times().user > 4.0]
        if working:
            break
        time.sleep(0.1)
    started.send_signal(signal.SIGINT)
    output, errors = started.communicate(timeout=60)
    assert started.returncode == 130, errors
    assert "constant" in output
    gone, alive = psutil.wait_procs(children, timeout=20)
    assert not [each.cmdline() for each in alive]
    assert gone


def test_the_store_s_conductivities_serve_too(settings: Any, database: Any, tmp_path: Path) -> None:
    from api.builds import run_builds
    from api.cli.output import open_service
    from api.work import build_options, ingest_source

    given = write_rows(tmp_path / "rows.jsonl.gz")
    with pytest.raises(UsageError, match="no conductivities"):
        gather(None, service=open_service)
    ingest_source(database, given)
    run_builds(database, settings, ["conductivities"], build_options(settings, workers=1))
    stored, read = gather(None, service=open_service), gather(given)
    assert len(stored) == len(read)
    assert sorted(stored.groups.tolist()) == sorted(read.groups.tolist())
    assert sorted(stored.target.round(6).tolist()) == sorted(read.target.round(6).tolist())
    assert stored.n_structures == read.n_structures


def test_python_gives_the_same_as_the_command(file: Path) -> None:
    found = compare_conductivity(file, features=[("composition",)], models=["constant", "ridge"], quick=True, workers=1)
    told = json.loads(
        invoke(str(file), "--quick", "--models", "constant,ridge", "--features", "composition", "--json").stdout
    )
    assert [line.scores for line in found.lines] == [each["scores"] for each in told["results"]]
    assert len(rows()) == len(found.rows)
