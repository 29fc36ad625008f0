"""``ionatlas predict conductivity`` and ``train conductivity``: crystals, rows of compounds, bad rows, no store; exit codes."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli.main import app
from api.conductivity import conductivities, conductivity
from api.conductivity.train import train_conductivity
from store.errors import FeatureError, UsageError

from ..builders.conductivity_rows import rock_salt, row_of

CRYSTALS = Path(__file__).resolve().parent.parent / "crystals"
DATA = (
    Path(os.environ.get("IONATLAS_DATA", Path(__file__).parents[3] / "shared" / "data"))
    / "ionic"
    / "conductivity.jsonl.gz"
)
KEYS = {"id", "value", "lower", "upper", "in_domain", "model"}
MEASURED = (
    "log10_sigma",
    "sigma_S_cm",
    "censored",
    "obelix_benchmark_log10_sigma",
    "sigma_total",
    "sigma_bulk",
    "temperature_K",
)


@pytest.fixture(autouse=True)
def no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a store was asked for")

    monkeypatch.setattr("store.connection.connect", refuse)
    monkeypatch.delenv("IONATLAS_CONDUCTIVITY_MODEL", raising=False)


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["predict", "conductivity", *arguments])


def lines(result: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def write(path: Path, rows: list[Any]) -> Path:
    text = "".join((each if isinstance(each, str) else json.dumps(each)) + "\n" for each in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def check(answer: dict[str, Any]) -> None:
    assert set(answer) >= KEYS
    assert -20 <= answer["lower"] <= answer["value"] <= answer["upper"] <= 1
    assert isinstance(answer["in_domain"], bool)


class TestCrystal:
    def test_a_file_is_answered_in_words(self) -> None:
        result = run(str(CRYSTALS / "LiFePO4.cif"))
        assert result.exit_code == 0, result.stderr
        first, second, *_ = result.stdout.splitlines()
        assert first.startswith("LiFePO4: ")
        assert "S/cm at room temperature (log10 -" in first
        assert "from composition and structure" in second

    def test_json_is_one_line(self) -> None:
        (answer,) = lines(run(str(CRYSTALS / "LiCoO2.cif"), "--json"))
        check(answer)
        assert (answer["id"], answer["known"]) == ("LiCoO2.cif", "structure")

    def test_a_crystal_without_lithium_is_refused(self) -> None:
        with pytest.raises(FeatureError, match="no Li"):
            conductivity(rock_salt(ion="Na"))
        with pytest.raises(UsageError):
            conductivity("no-such-file.cif")

    def test_disorder_is_welcome(self) -> None:
        report = conductivity(rock_salt(occupancy=0.5))
        assert report.known == "structure"
        assert report.lower < report.value < report.upper


class TestRows:
    def test_rows_are_answered_in_their_order(self, tmp_path: Path) -> None:
        salt = row_of(rock_salt(), id="salt", working_ion="Li")
        rows = [salt, {"id": "bare", "formula": "Li7La3Zr2O12", "structure": None}, {**salt, "id": "again"}]
        result = run(str(write(tmp_path / "rows.jsonl.gz", rows)), "--json")
        assert result.exit_code == 0, result.stderr
        found = lines(result)
        assert [each["id"] for each in found] == ["salt", "bare", "again"]
        assert [each["known"] for each in found] == ["structure", "composition", "structure"]
        for each in found:
            check(each)
        assert found[0]["value"] == pytest.approx(found[2]["value"])

    def test_a_bad_row_costs_the_others_nothing(self, tmp_path: Path) -> None:
        good = {"id": "good", "formula": "Li3PS4"}
        broken = row_of(rock_salt(), id="broken structure")
        broken["structure"]["lattice"] = "none"
        bad = [
            '{"id": "cut", "formula": "Li',
            {"id": "no-formula"},
            {"id": "no-element", "formula": "LiXx"},
            {"id": "no-lithium", "formula": "NaCl"},
            {"id": "number", "formula": 7},
            [1, 2],
            "nonsense",
        ]
        result = run(str(write(tmp_path / "rows.jsonl", [good, *bad, broken, good])), "--json")
        assert result.exit_code == 5
        assert "7 of 10 rows" in result.stderr
        first, *wrong, kept, last = lines(result)
        for each in (first, kept, last):
            check(each)
        assert kept["known"] == "composition"
        assert "structure_unreadable" in kept["warning"]
        assert [each["id"] for each in wrong[:5]] == ["cut", "no-formula", "no-element", "no-lithium", "number"]
        for each in wrong:
            assert each["error"]
            assert all(each[key] is None for key in KEYS - {"id"})

    def test_what_was_measured_does_not_matter(self, tmp_path: Path) -> None:
        rows = [
            {"id": "a", "formula": "Li3PS4"},
            {"id": "b", "formula": "Li3PS4", "log10_sigma": -3.0, "temperature_K": 298, "working_ion": "Li"},
            {"id": "c", "formula": "Li3PS4", "log10_sigma": "unknown", "temperature_K": "cold", "censored": "perhaps"},
        ]
        found = list(conductivities(write(tmp_path / "rows.jsonl", rows)))
        assert [each["value"] for each in found] == pytest.approx([found[0]["value"]] * 3, abs=1e-9)

    def test_less_known_is_less_sure(self, tmp_path: Path) -> None:
        salt = row_of(rock_salt(5.0), formula="Li6PS5Cl")
        found = list(conductivities(write(tmp_path / "rows.jsonl", [salt, {**salt, "structure": None}])))
        one, other = (each["upper"] - each["lower"] for each in found)
        assert one < other

    def test_a_cell_is_used_where_there_is_no_structure(self, tmp_path: Path) -> None:
        bare = {"id": "x", "formula": "Li7La3Zr2O12", "structure": None}
        cell = {"cell": [12.97, 12.97, 12.97, 90, 90, 90], "space_group_number": 230, "Z": 8.0}
        found = list(conductivities(write(tmp_path / "rows.jsonl", [bare, {**bare, **cell}])))
        assert [each["known"] for each in found] == ["composition", "cell"]
        assert found[0]["value"] != found[1]["value"]

    def test_a_table_for_people(self, tmp_path: Path) -> None:
        path = write(tmp_path / "rows.jsonl", [{"id": "one", "formula": "Li3N"}, {"id": "two", "formula": "Xx"}])
        result = run(str(path))
        assert result.exit_code == 5
        assert "log10 S/cm" in result.stdout
        assert "error: " in result.stdout

    def test_an_empty_file_has_no_rows(self, tmp_path: Path) -> None:
        result = run(str(write(tmp_path / "rows.jsonl", [])), "--json")
        assert [each for each in lines(result) if "error" not in each] == []

    def test_files_are_told_apart(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="rows of compounds"):
            conductivity(write(tmp_path / "rows.jsonl", [{"formula": "Li3N"}]))
        with pytest.raises(UsageError, match="no rows"):
            conductivities(CRYSTALS / "LiFePO4.cif")
        assert run(str(CRYSTALS / "LiFePO4.cif"), "--model", str(tmp_path / "none")).exit_code == 2


class TestTrain:
    def test_too_few_are_refused(self, tmp_path: Path) -> None:
        row = {"formula": "Li3N", "log10_sigma": -3.0, "temperature_K": 300, "working_ion": "Li"}
        path = write(tmp_path / "rows.jsonl", [{**row, "id": str(number)} for number in range(10)])
        with pytest.raises(UsageError, match="at least 60"):
            train_conductivity(path, tmp_path / "model")
        assert not (tmp_path / "model").exists()

    @pytest.mark.slow
    def test_a_model_of_ones_own_predicts(self, tmp_path: Path) -> None:
        rows = [
            {
                "id": f"row-{number}",
                "formula": f"Li{1 + number % 12}{'PS4' if number % 2 else 'PO4'}Cl{number // 12 + 1}",
                "log10_sigma": -11.0 + 0.3 * (number % 12) + 3.0 * (number % 2),
                "temperature_K": 298.15,
                "working_ion": "Li",
                "doi": f"10.1/{number // 4}",
            }
            for number in range(72)
        ]
        path = write(tmp_path / "rows.jsonl", [*rows, '{"id": "cut"'])
        result = CliRunner().invoke(app, ["train", "conductivity", str(path), "-o", str(tmp_path / "model"), "--json"])
        assert result.exit_code == 0, result.stderr
        card = json.loads(result.stdout)
        assert card["data"]["rows"] == 72
        assert card["data"]["left_out"] == {"that cannot be read": 1}
        found = card["scores"]["publication left out"]
        assert found["mae"] < 0.5 * found["constant"]["mae"]
        (answer,) = conductivities(write(tmp_path / "ask.jsonl", [{"formula": "Li6PS4Cl3"}]), model=tmp_path / "model")
        assert answer["value"] == pytest.approx(-11.0 + 0.3 * 5 + 3.0, abs=1.0)


@pytest.mark.data
@pytest.mark.skipif(not DATA.exists(), reason=f"needs {DATA.name}")
def test_rows_of_the_data_set_without_their_values(tmp_path: Path) -> None:
    with gzip.open(DATA) as file:
        rows = [json.loads(line) for line in file][::20]
    truth = {row["id"]: row["log10_sigma"] for row in rows}
    for row in rows:
        for key in MEASURED:
            row.pop(key, None)
    found = list(conductivities(write(tmp_path / "rows.jsonl", rows)))
    assert [each["id"] for each in found] == [row["id"] for row in rows]
    for each in found:
        check(each)
    assert {each["known"] for each in found} == {"structure", "cell", "composition"}
    obelix = [each for each in found if each["id"].startswith("obelix")]
    assert (
        sum(abs(each["value"] - truth[each["id"]]) for each in obelix) / len(obelix) < 0.6
    )  # it has learned from these
