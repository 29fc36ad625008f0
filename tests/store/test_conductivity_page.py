"""The examples of docs/conductivity-data.md run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from store.conductivities import BOUNDS
from store.conductivity_documents import LINKS
from store.ingest.conductivity_csv import COLUMNS
from store.ingest.containers import read_records
from store.ingest.readers import read_conductivity
from store.ingest.records import Record

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "conductivity-data.md").read_text(encoding="utf-8")


def test_the_files_of_the_page_are_conductivities(tmp_path: Path) -> None:
    files = re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", PAGE, flags=re.DOTALL)
    assert [name for name, _ in files] == ["measured.jsonl", "measured.csv", "cell.vasp"]
    for name, text in files:
        (tmp_path / name).write_text(text, encoding="utf-8")
    found = list(read_records(tmp_path))
    records = {item.id: read_conductivity(item.format, item.content) for item in found if isinstance(item, Record)}
    assert len(found) == len(records) == 5
    told = {key: (each.log10_sigma, each.censored, each.temperature) for key, each in records.items()}
    assert told == {
        "m-1": (-3.1, None, 298.15),
        "m-2": (pytest.approx(-10.0), "upper_bound", 298.15),
        "m-3": (None, None, 300.0),
        "t-1": (pytest.approx(-1.9208, abs=1e-4), None, 300.15),
        "t-2": (-10.0, "upper_bound", 298.15),
    }
    assert [key for key, each in records.items() if each.crystal is not None] == ["t-2", "m-2"]


def test_every_column_bound_link_and_warning_stands_on_the_page() -> None:
    sources = [
        Path(__file__).resolve().parents[2] / "store" / name
        for name in ("conductivities.py", "ingest/conductivity_json.py")
    ]
    code = "".join(path.read_text(encoding="utf-8") for path in sources)
    warnings = set(re.findall(r'f?"([a-z]+(?:_[a-z]+)+): ', code))
    assert len(warnings) >= 8
    for name in (*COLUMNS, *BOUNDS, *LINKS, *warnings):
        assert f"`{name}`" in PAGE, name
