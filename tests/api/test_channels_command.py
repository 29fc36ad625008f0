"""``ionatlas channels``: from a file without a store, or by id; words, JSON, pictures and exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli.main import app
from ionatlas import Atlas, channels

LITHIUM_IRON_PHOSPHATE = (Path(__file__).resolve().parent.parent / "crystals" / "LiFePO4.cif").read_text(
    encoding="utf-8"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "LiFePO4.cif"
    made.write_text(LITHIUM_IRON_PHOSPHATE, encoding="utf-8")
    return made


@pytest.fixture
def no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a store was asked for")

    monkeypatch.setattr("store.connection.connect", refuse)


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["channels", *arguments])


@pytest.mark.usefixtures("no_store")
class TestFile:
    def test_the_answer_is_in_words_and_two_tables(self, file: Path) -> None:
        result = run(str(file), "--ion", "Li")
        assert result.exit_code == 0, result.stderr
        first, second, third, *tables = result.stdout.splitlines()
        assert first == "LiFePO4: channels for lithium (Li)"
        assert "r1 1.877 Å along [010]" in second
        assert third.startswith("at ")
        assert "Li-O, measured on" in third
        text = "\n".join(tables)
        for heading in ("P_length [Å]", "R_sd [Å]", "r_chan [Å]", "bottleneck [Å]", "r_void [Å]"):
            assert heading in text
        assert "3.003" in text
        assert "4.691" in text
        assert "O-O-O" in text
        assert "percolates 1D along [010]" in text

    def test_the_only_working_ion_is_taken(self, file: Path) -> None:
        assert run(str(file)).stdout == run(str(file), "--ion", "Li").stdout

    def test_a_threshold_changes_the_dimension(self, file: Path) -> None:
        answers = {
            radius: run(str(file), "--threshold", radius).stdout.splitlines()[2] for radius in ("1.8", "1.7", "2.0")
        }
        assert answers["1.8"].startswith("at 1.800 Å: 1D along [010]")
        assert answers["1.7"].startswith("at 1.700 Å: 2D")
        assert answers["2.0"].startswith("at 2.000 Å: no percolation")

    def test_json_is_json_and_nothing_else(self, file: Path) -> None:
        result = run(str(file), "--json")
        told = json.loads(result.stdout)
        assert told["name"] == "LiFePO4.cif"
        assert told["r1"] == pytest.approx(1.877, abs=0.01)
        assert told["hops"][0]["directions"] == [[0, 1, 0]]
        assert told["units"]["r1"] == "Å"

    def test_pictures_are_written_and_told_on_stderr(self, file: Path, tmp_path: Path) -> None:
        png, html = tmp_path / "out.png", tmp_path / "out.html"
        result = run(str(file), "--png", str(png), "--html", str(html), "--json")
        assert result.exit_code == 0, result.stderr
        json.loads(result.stdout)
        assert png.read_bytes().startswith(b"\x89PNG")
        assert "plotly" in html.read_text()
        assert str(png) in result.stderr
        assert str(html) in result.stderr

    def test_a_host_is_taken_for_insertion(self, tmp_path: Path) -> None:
        file = tmp_path / "FePO4.cif"
        file.write_text(LITHIUM_IRON_PHOSPHATE.replace("Li1 Li 0 0 0\n", ""))
        result = run(str(file), "--ion", "Li")
        assert "insertion: the crystal holds no Li" in result.stdout
        assert "void" in result.stdout
        refused = run(str(file))
        assert refused.exit_code == 2
        assert "--ion Li" in refused.stderr

    @pytest.mark.parametrize(
        ("arguments", "code", "words"),
        [
            (["none.cif"], 2, "There is no file 'none.cif'"),
            (["{file}", "--ion", "Xx"], 2, "no element 'Xx'"),
            (["{file}", "--threshold", "0"], 2, "between 0 and 10"),
            (["{file}", "--threshold", "wide"], 2, "'--threshold'"),
            (["{file}", "--png", "a.gif"], 2, "written as PNG"),
            (["{file}", "--html", "a.gif"], 2, "written as HTML"),
            (["{folder}"], 2, "folder"),
            (["{broken}"], 5, ""),
        ],
    )
    def test_errors_have_exit_codes(
        self, arguments: list[str], code: int, words: str, file: Path, tmp_path: Path
    ) -> None:
        broken = tmp_path / "broken.cif"
        broken.write_text("data_x\n_cell_length_a ?\n")
        names = {"file": str(file), "folder": str(tmp_path), "broken": str(broken)}
        result = run(*[argument.format(**names) for argument in arguments])
        assert result.exit_code == code, result.stderr
        assert words in result.stderr
        assert "fault of ionatlas" not in result.stderr
        assert result.stdout == ""

    def test_a_disordered_structure_is_flagged(self, tmp_path: Path) -> None:
        file = tmp_path / "mixed.cif"
        mixed = LITHIUM_IRON_PHOSPHATE.replace("_fract_z\n", "_fract_z\n_atom_site_occupancy\n")
        for line in LITHIUM_IRON_PHOSPHATE.splitlines()[-6:]:
            mixed = mixed.replace(line, f"{line} {0.7 if line.startswith('Fe') else 1}")
        file.write_text(mixed)
        result = run(str(file), "--ion", "Li")
        assert result.exit_code == 0, result.stderr
        assert "flag: disordered framework" in result.stdout


def test_help_names_the_definitions() -> None:
    result = run("--help")
    assert result.exit_code == 0
    for word in ("FILE|ID", "--ion", "--threshold", "--html", "--png", "--json", "P_length", "insertion"):
        assert word in result.stdout


@pytest.mark.usefixtures("at_built")
class TestId:
    def test_a_material_of_the_store(self) -> None:
        result = run("t-2", "--ion", "Li")
        assert result.exit_code == 0, result.stderr
        assert result.stdout.startswith("LiCl: channels for lithium (Li)")

    def test_an_id_that_is_not_there(self) -> None:
        result = run("t-99", "--ion", "Li")
        assert result.exit_code == 2
        assert "There is no material 't-99'" in result.stderr

    def test_a_material_without_a_structure(self) -> None:
        result = run("t-12", "--ion", "Na")
        assert result.exit_code == 2
        assert "could not be built" in result.stderr

    def test_python_gives_the_same(self) -> None:
        report = Atlas().channels("t-2", "Li")
        told = json.loads(run("t-2", "--json").stdout)
        assert report.name == "t-2"
        assert told["r3"] == report.r3 == channels("t-2").r3
        assert report.r3 == pytest.approx(5.13 / 6**0.5, abs=1e-3)


@pytest.mark.usefixtures("no_store")
def test_atlas_reads_a_file_without_a_connection(file: Path) -> None:
    assert Atlas().channels(file).formula == "LiFePO4"


def test_the_store_is_told_by_its_own_settings(at_built: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = at_built.settings
    atlas = Atlas(settings.mongodb_uri, database=settings.database, home=settings.home)
    monkeypatch.setenv("IONATLAS_DATABASE", "test_of_nobody")
    assert atlas.channels("t-3", "Li").formula == "LiF"
