"""``ionatlas predict migration-energy``: files of crystals and of hops, without a store; ids; words, JSON, exit codes."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from api.cli.main import app
from api.migration import rows as streaming
from builders.models import chosen
from builders.predictions import hops
from ionatlas import Atlas, hop_barriers, migration_energy
from store.errors import UsageError

from ..builders.prediction_models import HandModel

CRYSTALS = Path(__file__).resolve().parent.parent / "crystals"
NUMBERS = ("value", "lower", "upper")


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Iterator[HandModel]:
    """Hops described by their length alone, and the model that reads it: barriers are a tenth of the length, in eV."""
    model = HandModel()

    def by_length(make: Any) -> Any:
        from store.errors import IonatlasError

        try:
            return np.array([2.0 * float(np.linalg.norm(make().end))])
        except IonatlasError as error:
            return error

    monkeypatch.setattr(hops, "describe_hop", by_length)
    monkeypatch.setattr(chosen, "load", lambda kind, folder=None: model)
    streaming._model.cache_clear()
    yield model
    streaming._model.cache_clear()  # or the next test would ask the hand's


@pytest.fixture
def no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a store was asked for")

    monkeypatch.setattr("store.connection.connect", refuse)


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["predict", "migration-energy", *arguments])


def lines(result: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def hop_row(name: str, end: float = 0.5, **changed: Any) -> dict[str, Any]:
    """A hop along a cell of 8 Å by ``8 * end``."""
    host = {
        "lattice": [[8, 0, 0], [0, 8, 0], [0, 0, 8]],
        "species": ["O", "O", "Ti"],
        "frac_coords": [[0.25, 0.25, 0], [0.75, 0.75, 0.5], [0.5, 0, 0.5]],
    }
    row = {"id": name, "working_ion": "Li", "start_frac": [0, 0, 0], "end_frac": [0, 0, end], "structure": host}
    return {key: value for key, value in {**row, **changed}.items() if value is not None}


def write(path: Path, rows: list[Any]) -> Path:
    text = "".join((each if isinstance(each, str) else json.dumps(each)) + "\n" for each in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


@pytest.mark.usefixtures("no_store", "hand")
class TestCrystal:
    def test_the_answer_is_a_table_and_words(self) -> None:
        result = run(str(CRYSTALS / "LiFePO4.cif"), "--ion", "Li")
        assert result.exit_code == 0, result.stderr
        text = result.stdout
        assert text.startswith("LiFePO4: migration of lithium (Li), predicted by hand-1")
        for heading in ("from → to", "length [Å]", "bottleneck [Å]", "barrier [eV]", "90 % interval", "in domain"):
            assert heading in text
        assert "0.20 to 0.40" in text
        assert "no: 4.7 is more than 4.0" in text
        assert "the smallest, over the ways through the crystal, of the highest barrier on the way" in text
        assert "in one direction: 0.30 eV (90 %: 0.20 to 0.40) along [010], limited by hop 0" in text
        assert "in two directions: 0.47 eV" in text
        assert "outside the model's domain" in text.splitlines()[-1]

    def test_json_is_one_line_a_hop_and_a_last_one_for_the_crystal(self) -> None:
        result = run(str(CRYSTALS / "LiFePO4.cif"), "--json")
        *found, whole = lines(result)
        assert result.stderr == ""
        assert [row["id"] for row in found] == [f"LiFePO4.cif/Li/{number}" for number in range(3)]
        for row in [*found, whole]:
            assert {"id", "ion", *NUMBERS, "in_domain", "model"} <= set(row)
            assert (row["ion"], row["model"]) == ("Li", "hand-1")
            assert 0 <= row["lower"] <= row["value"] <= row["upper"]
        assert [row["in_domain"] for row in found] == [True, False, False]
        assert found[1]["reason"] == "4.7 is more than 4.0"
        assert whole["id"] == "LiFePO4.cif/Li"
        assert whole["value"] == found[0]["value"]
        assert whole["limiting_hop"] == "LiFePO4.cif/Li/0"
        assert whole["directions"] == [[0, 1, 0]]
        assert whole["two_directions"]["value"] == found[1]["value"]
        assert not whole["two_directions"]["in_domain"]

    def test_the_only_working_ion_is_taken_and_several_are_named(self, tmp_path: Path) -> None:
        assert run(str(CRYSTALS / "LiCoO2.cif")).stdout.startswith("LiCoO2: migration of lithium")
        two = tmp_path / "two.cif"
        two.write_text((CRYSTALS / "LiCoO2.cif").read_text().replace("Co", "Na"))
        result = run(str(two))
        assert result.exit_code == 2
        assert "ionatlas predict migration-energy two.cif --ion Li" in result.stderr

    def test_a_host_is_taken_for_insertion(self, tmp_path: Path) -> None:
        file = tmp_path / "FePO4.cif"
        file.write_text((CRYSTALS / "LiFePO4.cif").read_text().replace("Li1 Li 0 0 0\n", ""))
        assert "insertion: the crystal holds no Li" in run(str(file), "--ion", "Li").stdout

    @pytest.mark.parametrize(
        ("arguments", "code", "words"),
        [
            (["none.cif"], 2, "There is no file 'none.cif'"),
            (["{file}", "--ion", "Xx"], 2, "no element 'Xx'"),
            (["{file}", "--model", "nowhere"], 2, "no folder 'nowhere'"),
            (["{folder}"], 2, "folder"),
            (["{broken}"], 5, ""),
            (["{empty}"], 5, "empty"),
        ],
    )
    def test_errors_have_exit_codes(self, arguments: list[str], code: int, words: str, tmp_path: Path) -> None:
        broken, empty = tmp_path / "broken.cif", tmp_path / "empty.jsonl"
        broken.write_text("data_x\n_cell_length_a ?\n")
        empty.write_text("")
        names = {"file": CRYSTALS / "LiFePO4.cif", "folder": tmp_path, "broken": broken, "empty": empty}
        result = run(*[argument.format(**names) for argument in arguments])
        assert result.exit_code == code, result.stderr
        assert words in result.stderr
        assert "fault of ionatlas" not in result.stderr
        assert result.stdout == ""

    def test_a_hop_without_a_prediction_is_told_and_ends_with_five(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from store.errors import FeatureError

        calls = iter([FeatureError("no data for Fe"), np.array([4.7]), np.array([5.7])])
        monkeypatch.setattr(hops, "describe_hop", lambda make: next(calls))
        result = run(str(CRYSTALS / "LiFePO4.cif"), "--json")
        first, second, _, whole = lines(result)
        assert result.exit_code == 5
        assert "1 of 3 hops could not be predicted" in result.stderr
        assert first["error"] == "no data for Fe"
        assert [first[name] for name in NUMBERS] == [None, None, None]
        assert second["value"] == pytest.approx(0.47)
        assert whole["value"] == pytest.approx(0.47)

    def test_python_gives_a_report(self) -> None:
        report = migration_energy(CRYSTALS / "LiFePO4.cif", "Li")
        assert report.value == pytest.approx(0.3003, abs=1e-3)
        assert (report.lower, report.upper) == pytest.approx((0.2003, 0.4003), abs=1e-3)
        assert report.in_domain
        assert report.hops["value"].tolist() == pytest.approx([0.300, 0.469, 0.567], abs=1e-3)
        assert report.hops.attrs["units"]["value"] == "eV"
        assert "in one direction: 0.30 eV" in repr(report)
        assert Atlas().migration_energy(CRYSTALS / "LiFePO4.cif").value == report.value

    def test_python_takes_a_model_object(self) -> None:
        report = migration_energy(CRYSTALS / "LiFePO4.cif", model=HandModel(limit=1.0))
        assert report.in_domain is False


@pytest.mark.usefixtures("no_store", "hand")
class TestHops:
    def test_rows_are_answered_in_their_order(self, tmp_path: Path) -> None:
        ends = [0.5, 0.25, 0.75, 0.4]
        file = write(tmp_path / "hops.jsonl", [hop_row(f"h-{k}", end) for k, end in enumerate(ends)])
        found = lines(run(str(file), "--json"))
        assert [row["id"] for row in found] == ["h-0", "h-1", "h-2", "h-3"]
        assert [row["value"] for row in found] == pytest.approx([0.8 * end for end in ends])
        assert [row["length"] for row in found] == pytest.approx([8 * end for end in ends])
        assert [row["in_domain"] for row in found] == [True, True, False, True]
        assert found[2]["reason"] == "6.0 is more than 4.0"
        assert {row["model"] for row in found} == {"hand-1"}

    def test_a_hop_file_is_told_by_its_content(self, tmp_path: Path) -> None:
        row = [hop_row("h")]
        expected = lines(run(str(write(tmp_path / "hops.jsonl", row)), "--json"))
        assert lines(run(str(write(tmp_path / "hops.jsonl.gz", row)), "--json")) == expected
        assert lines(run(str(write(tmp_path / "rows.dat", row)), "--json")) == expected
        array = tmp_path / "hops.json"
        array.write_text(json.dumps(row))
        assert lines(run(str(array), "--json")) == expected

    def test_bad_rows_are_told_and_the_others_go_on(self, tmp_path: Path) -> None:
        rows = [
            '{"id": "cut off", "working_ion": "Li"',
            hop_row("good-1"),
            hop_row("no-end", end_frac=None),
            hop_row("nan", start_frac=[0, 0, float("nan")]),
            hop_row("far", end=2.5),
            {"id": "crystal", "structure": hop_row("x")["structure"]},
            hop_row("no-structure", structure=None),
            hop_row("Xx", working_ion="Xx"),
            hop_row("good-2"),
        ]
        result = run(str(write(tmp_path / "hops.jsonl", rows)), "--json")
        found = {row["id"]: row for row in lines(result)}
        assert list(found) == [
            "cut off", "good-1", "no-end", "nan", "far", "crystal", "no-structure", "Xx", "good-2"
        ]  # fmt: skip
        assert result.exit_code == 5
        assert "7 of 9 hops could not be predicted" in result.stderr
        for name, row in found.items():
            if name.startswith("good"):
                assert row["value"] == pytest.approx(0.4)
                assert "error" not in row
            else:
                assert [row[key] for key in (*NUMBERS, "in_domain")] == [None] * 4
                assert len(row["error"]) > 10
        assert "holds no hop" in found["crystal"]["error"]
        assert "20.0 Å" in found["far"]["error"]

    def test_people_get_a_table(self, tmp_path: Path) -> None:
        file = write(tmp_path / "hops.jsonl", [hop_row("h-1"), hop_row("h-2", 0.75), hop_row("h-3", start_frac=None)])
        result = run(str(file))
        assert result.exit_code == 5
        for part in ("barrier [eV]", "h-1", "0.40", "0.30 to 0.50", "no: 6.0 is more than 4.0", "error: "):
            assert part in result.stdout

    def test_the_ion_of_a_row_counts_and_the_option_stands_in(self, tmp_path: Path) -> None:
        file = write(tmp_path / "hops.jsonl", [hop_row("Na", working_ion="Na"), hop_row("none", working_ion=None)])
        assert [row["ion"] for row in lines(run(str(file), "--ion", "Mg", "--json"))] == ["Na", "Mg"]
        result = run(str(file), "--json")
        assert result.exit_code == 5
        assert "working_ion" in lines(result)[1]["error"]

    def test_a_row_without_a_name_is_named_by_its_place(self, tmp_path: Path) -> None:
        file = write(tmp_path / "hops.jsonl", [hop_row("h"), hop_row("x", id=None)])
        assert [row["id"] for row in lines(run(str(file), "--json"))] == ["h", "hops.jsonl:2"]

    def test_labels_in_a_row_change_nothing(self, tmp_path: Path) -> None:
        labelled = hop_row("h", barrier_eV=9.0, method="DFT-NEB", quality_flags=[])
        one, other = lines(run(str(write(tmp_path / "hops.jsonl", [hop_row("h"), labelled])), "--json"))
        assert one == other

    def test_the_model_is_asked_in_chunks(self, tmp_path: Path, hand: HandModel) -> None:
        file = write(tmp_path / "hops.jsonl", [hop_row(str(k)) for k in range(2 * streaming.CHUNK + 1)])
        assert [row["id"] for row in hop_barriers(file, workers=1)] == [str(k) for k in range(2 * streaming.CHUNK + 1)]
        assert hand.calls == [streaming.CHUNK, streaming.CHUNK, 1]

    def test_python_tells_crystals_from_hops(self, tmp_path: Path) -> None:
        file = write(tmp_path / "hops.jsonl", [hop_row("h")])
        assert [row["id"] for row in hop_barriers(file)] == ["h"]
        with pytest.raises(UsageError, match="hop_barriers"):
            migration_energy(file)
        with pytest.raises(UsageError, match="migration_energy"):
            hop_barriers(CRYSTALS / "LiFePO4.cif")


# ------------------------------------------------------------------------------------------------- the model that ships


@pytest.mark.usefixtures("no_store")
class TestShipped:
    def test_known_cathodes_are_predicted_and_no_training_package_is_loaded(self) -> None:
        code = (
            "import sys\nfrom api.cli.main import app\n"
            f"app(['predict', 'migration-energy', {str(CRYSTALS / 'LiFePO4.cif')!r}, '--json'], standalone_mode=False)\n"
            "print([name for name in ('sklearn', 'lightgbm', 'pandas', 'pymongo', 'torch') if name in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
        *rows, loaded = done.stdout.splitlines()
        assert loaded == "[]"
        whole = json.loads(rows[-1])
        assert whole["model"] == "migration-energy-1"
        assert 0.0 <= whole["lower"] <= whole["value"] <= whole["upper"] < 2.0
        assert whole["directions"] == [[0, 1, 0]]

    def test_other_processes_give_the_same_in_the_same_order(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows: list[Any] = [hop_row(f"h-{k}", 0.3 + 0.002 * k) for k in range(150)]
        rows[40] = hop_row("bad", start_frac=None)
        file = write(tmp_path / "hops.jsonl", rows)
        alone = list(hop_barriers(file, workers=1))
        monkeypatch.setattr(streaming, "ALONE_SECONDS", 0.0)
        monkeypatch.setattr(streaming, "CHUNK", 16)
        together = list(hop_barriers(file, workers=2))
        assert [row["id"] for row in together] == [row["id"] for row in rows]
        assert together[40]["error"] == alone[40]["error"]
        for one, other in zip(alone, together, strict=True):
            if "error" not in one:
                assert one["value"] == pytest.approx(other["value"], rel=1e-9)
                assert 0.0 <= one["lower"] <= one["value"] <= one["upper"]

    def test_leaving_early_ends_the_processes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = write(tmp_path / "hops.jsonl", [hop_row(f"h-{k}") for k in range(200)])
        monkeypatch.setattr(streaming, "ALONE_SECONDS", 0.0)
        monkeypatch.setattr(streaming, "CHUNK", 8)
        stream = hop_barriers(file, workers=2)
        assert [next(stream)["id"] for _ in range(20)] == [f"h-{k}" for k in range(20)]
        stream.close()
        assert multiprocessing.active_children() == []

    def test_a_folder_without_a_model_is_told(self, tmp_path: Path) -> None:
        result = run(str(CRYSTALS / "LiFePO4.cif"), "--model", str(tmp_path))
        assert result.exit_code == 2
        assert "no model" in result.stderr


@pytest.mark.usefixtures("at_built")
class TestId:
    def test_a_material_of_the_store_is_predicted_as_it_was_built(self) -> None:
        report = Atlas().migration_energy("t-2")
        assert report.name == "t-2"
        row = Atlas().query('id = "t-2"', fields="id,li_migration_energy,li_migration_energy_upper").iloc[0]
        # The command analyses the standardised cell, the build the primitive one.
        assert report.value == pytest.approx(row["li_migration_energy"], rel=0.02)
        assert report.upper == pytest.approx(row["li_migration_energy_upper"], rel=0.02)
        told = lines(run("t-2", "--json"))
        assert told[-1]["id"] == "t-2/Li"
        assert told[-1]["value"] == report.value

    def test_show_tells_it_in_a_line(self) -> None:
        shown = CliRunner().invoke(app, ["show", "t-2"]).stdout
        (line,) = [line for line in shown.splitlines() if line.startswith("Li migration energy")]
        assert "1D " in line
        assert "migration-energy-1" in line

    def test_an_id_that_is_not_there(self) -> None:
        result = run("t-99", "--ion", "Li")
        assert result.exit_code == 2
        assert "There is no material 't-99'" in result.stderr


def test_help_names_what_is_taken() -> None:
    result = run("--help")
    assert result.exit_code == 0
    for word in ("FILE|ID|HOPS", "--ion", "--json", "--model", "working_ion", "smallest"):
        assert word in result.stdout
