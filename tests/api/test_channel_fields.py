"""The command line about channels: fields listed once for all ions, choices of a build, what show tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli.main import app


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def test_fields_stay_readable_with_many_ions() -> None:
    result = run("fields")
    assert result.exit_code == 0
    assert "<ion>_channel_r1" in result.stdout
    assert "li_channel_r1" not in result.stdout
    assert len(result.stdout.splitlines()) < 80
    assert "ionatlas fields --ion Li" in result.stderr


def test_fields_of_one_ion_are_listed_by_name() -> None:
    result = run("fields", "--ion", "na")
    assert "na_channel_r1" in result.stdout
    assert "formula" not in result.stdout
    rows = json.loads(run("fields", "--ion", "Na", "--json").stdout)
    assert {row["ion"] for row in rows} == {"Na"}
    assert {row["name"] for row in json.loads(run("fields", "--json").stdout)} > {row["name"] for row in rows}
    assert run("fields", "--ion", "Xx").exit_code == 2


@pytest.mark.usefixtures("at_built")
class TestBuilt:
    def test_show_tells_the_channels_in_a_line(self) -> None:
        (line,) = [line for line in run("show", "t-2").stdout.splitlines() if line.startswith("Li channels ")]
        assert "D at the threshold of" in line
        assert "among Cl; r1 r2 r3 = 2.094 2.094 2.094 Å" in line
        assert "li_channel_r1" not in run("show", "t-2").stdout

    def test_a_mistyped_field_of_an_ion_is_told_its_nearest(self) -> None:
        result = run("query", "li_chanel_r2 > 1.7")
        assert result.exit_code == 2
        assert "Nearest: li_channel_r2 [Å]" in result.stderr

    def test_columns_are_chosen_by_pattern(self) -> None:
        result = run("query", "li_channel_r1 > 1", "--fields", "id,li_path_r?", "--format", "csv")
        assert result.stdout.splitlines()[0] == "id,li_path_r1,li_path_r2,li_path_r3"
        assert len(result.stdout.splitlines()) == 3

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("--ion", "Xx"), "no ion whose channels are analysed"),
            (("--insert", "Li"), "--insert Li --query"),
            (("structures", "--ion", "Li"), "ionatlas build channels --ion Li"),
        ],
    )
    def test_a_choice_that_cannot_be_is_told(self, arguments: tuple[str, ...], said: str) -> None:
        result = run("build", "--explain", *arguments)
        assert result.exit_code == 2
        assert said in result.stderr

    def test_explain_tells_which_hosts_would_take_an_ion(self) -> None:
        result = run("build", "channels", "--explain", "--insert", "Li", "--query", 'elements HAS "O"', "--json")
        (plan,) = json.loads(result.stdout)
        assert plan["missing"] == 4  # MgO, NiO, CoO, SrTiO3
        assert plan["remarks"] == ["channels to make: Li 4"]
        told = run("build", "channels", "--explain", "--ion", "Li")
        assert "only those of Li are looked at" in told.stderr


def test_python_builds_the_channels_of_chosen_ions(database: Any, tmp_path: Path) -> None:
    from api.client import Atlas

    from .conftest import records

    file = tmp_path / "given.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in records()[:4]))
    atlas = Atlas()
    atlas.ingest(file)
    names = ["structures", "channels", "candidates"]
    atlas.build(names, workers=1, ions=["Li"])
    assert set(database["channels"].distinct("_id")) == {"t-2/Li", "t-3/Li"}
    atlas.build(names, workers=1, ions=["Li"], insert=["Li"], query='formula = "NaCl"')
    assert set(database["channels"].distinct("_id")) == {"t-1/Li", "t-2/Li", "t-3/Li"}
    assert atlas.query("li_channel_insertion = TRUE")["id"].tolist() == ["t-1"]
