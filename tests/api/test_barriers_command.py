"""``ionatlas barriers``, ``Atlas.barriers`` and what ``ionatlas show`` says of hops and of the materials they belong to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli.main import app
from ionatlas import Atlas
from store.errors import UnknownId, UsageError
from store.ingest.ingest import ingest
from store.settings import Settings

A = 4.03
FCC = [[0.0, A / 2, A / 2], [A / 2, 0.0, A / 2], [A / 2, A / 2, 0.0]]


def hop(number: int, barrier: float | None, **more: Any) -> dict[str, Any]:
    """A vacancy hop of lithium in 2x2x2 cells of LiF."""
    shifts = [(i, j, k) for i in range(2) for j in range(2) for k in range(2)]
    lithium = [[i / 2, j / 2, k / 2] for i, j, k in shifts if (i, j, k) not in ((0, 0, 0), (1, 0, 0))]
    fluorine = [[(i + 0.5) / 2, (j + 0.5) / 2, (k + 0.5) / 2] for i, j, k in shifts]
    return {
        "id": f"hop-{number}",
        "source": "test",
        "sys_name": f"LiF_{number}",
        "working_ion": "Li",
        "structure": {
            "lattice": [[2 * x for x in row] for row in FCC],
            "species": ["Li"] * len(lithium) + ["F"] * len(fluorine),
            "frac_coords": lithium + fluorine,
        },
        "start_frac": [0, 0, 0],
        "end_frac": [0.5, 0, 0],
        "barrier_eV": barrier,
        "method": "DFT-NEB",
        "xc": "GGA",
        **more,
    }


@pytest.fixture
def atlas(settings: Settings, database: Any, tmp_path: Path) -> Atlas:
    """A store with LiF, three computed hops in it and one without a barrier."""
    rows: list[dict[str, Any]] = [
        {"id": "lif", "source": "test", "formula": "LiF", "structure": {"lattice": FCC, "species": ["Li", "F"], "frac_coords": [[0, 0, 0], [0.5] * 3]}},
        hop(1, 0.7, doi="10.1/one"),
        hop(2, 0.5),
        hop(3, 0.6, method="MLIP-NEB (a potential)"),
        hop(4, None),
    ]  # fmt: skip
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ingest(database, file)
    found = Atlas()
    found.build(["structures", "channels", "barriers"], ions=["Li"])
    return found


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def test_python_gives_a_table_with_units_the_lowest_barrier_first(atlas: Atlas) -> None:
    frame = atlas.barriers("Li")
    assert frame["id"].tolist() == ["hop-2", "hop-3", "hop-1"]
    assert frame.attrs["units"]["barrier"] == "eV"
    assert set(frame["material"]) == {"lif"}
    assert set(frame["hop"]) == {0}
    assert frame["r_chan"].iloc[0] == pytest.approx(A / 6**0.5, abs=0.01)  # the triangle of F in rock salt


def test_each_condition_narrows(atlas: Atlas) -> None:
    assert atlas.barriers(below=0.6)["id"].tolist() == ["hop-2"]
    assert atlas.barriers(above=0.6, sort="-barrier")["id"].tolist() == ["hop-1", "hop-3"]
    assert atlas.barriers(dft=True)["id"].tolist() == ["hop-2", "hop-1"]
    assert atlas.barriers(dft=False)["id"].tolist() == ["hop-3"]
    assert atlas.barriers("Na").empty
    assert len(atlas.barriers(material="lif")) == 3
    assert len(atlas.barriers(framework="F")) == 3
    assert atlas.barriers(framework="O").empty


def test_what_cannot_be_asked_is_told(atlas: Atlas) -> None:
    with pytest.raises(UsageError, match="cannot be sorted by 'colour'"):
        atlas.barriers(sort="colour")
    with pytest.raises(UnknownId, match="no structure 'lix'"):
        atlas.barriers(material="lix")
    with pytest.raises(UsageError, match="is no formula"):
        atlas.barriers(framework="not a formula")


@pytest.mark.usefixtures("atlas")
def test_the_command_writes_a_table_and_json_lines() -> None:
    table = run("barriers", "--ion", "Li")
    assert table.exit_code == 0
    assert "3 of 3 barriers" in table.stderr
    assert "hop-2" in table.stdout
    lines = run("barriers", "--limit", "1", "--format", "json")
    (row,) = [json.loads(line) for line in lines.stdout.splitlines()]
    assert (row["id"], row["barrier"], row["barrier_definition"]) == ("hop-2", 0.5, "unstated")
    assert "there are more" in lines.stderr
    assert run("barriers", "--sort", "colour").exit_code == 2


@pytest.mark.usefixtures("atlas")
def test_show_tells_of_a_hop_and_of_its_material() -> None:
    shown = run("show", "hop-1").stdout
    assert "0.700 eV (unstated; DFT-NEB, GGA)" in shown
    assert "lif, its hop 0" in shown
    assert "10.1/one" in shown
    assert "3 computed, 0.5 to 0.7 eV" in run("show", "lif").stdout


def test_an_empty_store_says_how_to_fill_it(settings: Settings, database: Any) -> None:
    result = run("barriers")
    assert result.exit_code == 0
    assert "The store holds no barriers" in result.stderr
