"""The examples of docs/hops.md run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from store.hops import DEFINITIONS
from store.ingest.containers import read_records
from store.ingest.hop_csv import COLUMNS
from store.ingest.readers import read_hop
from store.ingest.records import Record

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "hops.md").read_text(encoding="utf-8")


def test_the_files_of_the_page_are_hops(tmp_path: Path) -> None:
    files = re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", PAGE, flags=re.DOTALL)
    assert [name for name, _ in files] == ["hops.jsonl", "hops.csv", "cell.vasp"]
    for name, text in files:
        (tmp_path / name).write_text(text, encoding="utf-8")
    found = list(read_records(tmp_path))
    hops = {item.id: read_hop(item.format, item.content) for item in found if isinstance(item, Record)}
    assert sorted(hops) == ["c-1", "c-2", "h-1", "h-2"]
    assert {hop.host.species for hop in hops.values()} == {("Co", "O", "O", "O")}
    told = {
        key: (hop.barrier, hop.barrier_definition, round(hop.length, 6)) for key, hop in hops.items() if hop.barrier
    }
    assert told == {"h-1": (0.41, "forward", 4.0), "c-1": (pytest.approx(0.41043, abs=1e-5), "forward", 1.5)}
    assert (hops["c-2"].barrier, hops["c-2"].length) == (None, pytest.approx(5.0))
    assert (hops["h-1"].method, hops["h-1"].functional) == ("DFT-CI-NEB", "PBE")


def test_every_column_and_definition_stands_on_the_page() -> None:
    for name in (*COLUMNS, *DEFINITIONS):
        base = "start_x" if name.startswith("start_") else "end_z" if name.startswith("end_") else name
        assert f"`{base}`" in PAGE, name
