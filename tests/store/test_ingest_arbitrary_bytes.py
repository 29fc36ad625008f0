"""Whatever bytes are given: records and bad records come out, or one of our errors. Nothing else, and never a crash."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from store.errors import SourceError, StructureError
from store.ingest.containers import read_records
from store.ingest.readers import FORMATS, ReadResult, read_record
from store.ingest.records import BadRecord, Record

CIF = b"""data_x
_cell_length_a 4
_cell_length_b 4
_cell_length_c 4
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P m -3 m'
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Po1 0 0 0 1
Po2 0.5 0.5 0.5 0.5
"""
STRUCTURE = {"lattice": [[3, 0, 0], [0, 3, 0], [0, 0, 3]], "species": ["Po"], "frac_coords": [[0, 0, 0]]}
GIVEN = {
    "cif": CIF,
    "poscar": b"cube\n1.0\n3 0 0\n0 3 0\n0 0 3\nPo\n1\nDirect\n0 0 0\n",
    "extxyz": b'1\nLattice="3 0 0 0 3 0 0 0 3" Properties=species:S:1:pos:R:3 pbc="T T T"\nPo 0 0 0\n',
    "uniform-json": json.dumps({"id": "x", "structure": STRUCTURE}).encode(),
    "pymatgen-json": b'{"lattice":{"matrix":[[3,0,0],[0,3,0],[0,0,3]]},'
    b'"sites":[{"species":[{"element":"Po","occu":1}],"abc":[0,0,0]}]}',
    "ase-json": b'{"numbers":[84],"positions":[[0,0,0]],"cell":[[3,0,0],[0,3,0],[0,0,3]],"pbc":7}',
}
FILES = ["x", "x.cif", "x.json", "x.jsonl", "x.xyz", "POSCAR", "x.zip", "x.tar", "x.gz", "x.db"]

any_bytes = st.binary(max_size=500) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace"))
json_values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def check_reader(kind: str, content: bytes) -> None:
    try:
        result = read_record(kind, content)
    except (SourceError, StructureError):
        return
    assert isinstance(result, ReadResult)
    assert result.crystal.n_sites > 0
    assert result.crystal.frac_coords.shape == (result.crystal.n_sites, 3)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(FORMATS),
    any_bytes,
)
def test_readers_take_any_bytes(kind: str, content: bytes) -> None:
    check_reader(kind, content)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(GIVEN)), st.data())
def test_readers_take_good_records_with_damage(kind: str, data: st.DataObject) -> None:
    content = bytearray(GIVEN[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, max(len(content) - 1, 0)))
        match data.draw(st.sampled_from(["cut", "change", "insert", "remove"])):
            case "cut":
                del content[place:]
            case "change" if content:
                content[place] = data.draw(st.integers(0, 255))
            case "insert":
                content[place:place] = data.draw(st.binary(max_size=6))
            case _:
                del content[place : place + 3]
    check_reader(kind, bytes(content))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([kind for kind in FORMATS if kind.endswith("json")]), st.data())
def test_json_readers_take_any_values_in_known_places(kind: str, data: st.DataObject) -> None:
    keys = (
        "structure", "lattice", "sites", "species", "frac_coords", "attributes", "lattice_vectors", "cartesian_site_positions",
        "species_at_sites", "numbers", "positions", "cell", "pbc", "key_value_pairs", "atoms_sites", "atoms_x", "spacegroup",
        "builder_meta", "data", "properties", "relationships", "publication", "doi", "name", "icsd",
    )  # fmt: skip
    inner = st.dictionaries(st.sampled_from(keys), json_values, max_size=6)
    value = data.draw(st.dictionaries(st.sampled_from(keys), json_values | inner, max_size=10))
    check_reader(kind, json.dumps(value).encode())


def check_splitter(path: Path) -> None:
    items = list(read_records(path))
    assert items
    for item in items:
        assert isinstance(item, Record | BadRecord)
        if isinstance(item, Record):
            assert item.format in FORMATS
            assert item.content
        else:
            assert str(item.error)


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=any_bytes)
@example(content=b"[")
@example(content=b"[]")
@example(content=b" \n")
@example(content=b"{")
@example(content=b"\xff\xfe")
@example(content=b"SQLite format 3\x00")
@example(content=b"PK\x03\x04")
@example(content=b"9" * 5000 + b"\nx\n")
@example(content=b"[" * 50_000)
def test_the_splitter_takes_any_bytes(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    check_splitter(path)


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
        for kind, content in GIVEN.items():
            opened.writestr(f"{kind}.gz", gzip.compress(content, mtime=0))
    return buffer.getvalue()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, len(archive()) - 1), value=st.integers(0, 255), cut=st.booleans())
def test_the_splitter_takes_damaged_archives(tmp_path: Path, place: int, value: int, cut: bool) -> None:
    content = bytearray(archive())
    if cut:
        del content[place:]
    else:
        content[place] = value
    path = tmp_path / "x.zip"
    path.write_bytes(content)
    check_splitter(path)
