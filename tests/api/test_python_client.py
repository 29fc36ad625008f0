"""The Python face: tables with units, crystals of pymatgen, nothing loaded before it is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import ionatlas
from ionatlas import Atlas
from store.errors import FilterError, ServerUnavailable, UsageError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def atlas(built: Any) -> Atlas:
    return Atlas(built.settings.mongodb_uri, database=built.settings.database, home=built.settings.home)


def test_the_public_names_are_these() -> None:
    assert ionatlas.__all__ == [
        "Atlas",
        "__version__",
        "channels",
        "hop_barriers",
        "inverse",
        "migration_energy",
        "predict_structure",
    ]
    assert dir(ionatlas) == sorted(ionatlas.__all__)
    assert ionatlas.__version__
    with pytest.raises(AttributeError, match="nonsense"):
        _ = ionatlas.nonsense


def test_importing_costs_nothing() -> None:
    code = (
        "import sys, ionatlas; ionatlas.Atlas\n"
        "print([n for n in ('pandas', 'pymatgen', 'pymongo', 'faiss', 'optimade', 'numpy') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_query_is_a_table_with_units(atlas: Atlas) -> None:
    table = atlas.query('elements HAS "Li"', sort="-band_gap")
    assert list(table["id"]) == ["t-3", "t-2"]
    assert table.attrs["units"]["band_gap"] == "eV"
    assert table.attrs["meanings"]["density"].startswith("Mass density")
    assert table.attrs["total"] == 2
    assert not table.attrs["more"]


def test_columns_keep_their_types_whatever_is_in_them(atlas: Atlas) -> None:
    fields = "id,band_gap,nsites,is_ordered,experimental,elements"
    for filter_text in (None, 'formula = "CoO"', 'formula = "none such"'):
        types = atlas.query(filter_text, fields=fields).dtypes.astype(str).to_dict()
        assert (types["band_gap"], types["nsites"], types["is_ordered"]) == ("float64", "Int64", "boolean")
        assert types["experimental"] == "boolean"


def test_similar_structure_show_why_and_status(atlas: Atlas) -> None:
    from pymatgen.core import Structure

    near = atlas.similar("t-1", k=3, filter='elements HAS "Cl"')
    assert near["id"].iloc[0] == "t-11"
    assert near["distance"].is_monotonic_increasing
    crystal = atlas.structure("t-1")
    assert isinstance(crystal, Structure)
    assert len(crystal) == 8
    assert len(atlas.structure("t-1", "primitive")) == 2
    assert atlas.show("t-1")["candidate"]["formula"] == "NaCl"
    assert atlas.why("t-1", "density").field.unit == "g/cm^3"
    assert atlas.status().collections[0].documents == 12


def test_fields_are_a_table(atlas: Atlas) -> None:
    assert atlas.fields().loc["band_gap", "unit"] == "eV"


def test_ingest_and_build(settings: Any, database: Any, tmp_path: Path) -> None:
    file = tmp_path / "POSCAR"
    file.write_text("NaCl\n1.0\n0 2.82 2.82\n2.82 0 2.82\n2.82 2.82 0\nNa Cl\n1 1\nDirect\n0 0 0\n0.5 0.5 0.5\n")
    with Atlas() as atlas:
        assert atlas.ingest(file, provider="me").new == 1
        summaries = {summary.name: summary for summary in atlas.build(workers=1)}
        assert summaries["candidates"].built == 1
        assert atlas.query('formula = "NaCl"', fields="provider").iloc[0, 0] == "me"


def test_it_may_be_closed_and_used_again(atlas: Atlas) -> None:
    with atlas:
        assert len(atlas.query()) == 11
    assert len(atlas.query(limit=3)) == 3


def test_errors_are_those_of_the_tree(atlas: Atlas) -> None:
    with pytest.raises(FilterError, match=r"band_gap \[eV\]"):
        atlas.query("bandgap > 1")
    with pytest.raises(UsageError, match="database"):
        Atlas(database="not a name!").query()
    with pytest.raises(UsageError):
        atlas.build(workers=0)


def test_nothing_is_opened_before_the_first_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IONATLAS_SERVER_TIMEOUT", "0.3")
    atlas = Atlas("mongodb://127.0.0.1:1/")
    with pytest.raises(ServerUnavailable):
        atlas.query()
