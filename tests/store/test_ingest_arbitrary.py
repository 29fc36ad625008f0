"""Whatever is given, of any kind: records and bad records come out, or one of our errors. Nothing else, and never a crash."""

from __future__ import annotations

import gzip
import io
import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from store.conductivities import BOUNDS, ConductivityRecord
from store.errors import SourceError, StructureError
from store.hops import DEFINITIONS, HopRecord
from store.ingest.containers import read_records
from store.ingest.kinds import CONDUCTIVITIES, FORMATS, HOPS, KINDS, STRUCTURES, Kind, kind_of
from store.ingest.readers import read_conductivity, read_hop, read_record
from store.ingest.records import BadRecord, Record
from store.ingest.result import ReadResult

from .hop_examples import HEADER, HOST, INDEX, csv_row, encoded, litraj, migration_graph, neb_pathway, row, table

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
STRUCTURES_GIVEN = {
    "cif": CIF,
    "poscar": b"cube\n1.0\n3 0 0\n0 3 0\n0 0 3\nPo\n1\nDirect\n0 0 0\n",
    "extxyz": b'1\nLattice="3 0 0 0 3 0 0 0 3" Properties=species:S:1:pos:R:3 pbc="T T T"\nPo 0 0 0\n',
    "uniform-json": json.dumps({"id": "x", "structure": STRUCTURE}).encode(),
    "pymatgen-json": b'{"lattice":{"matrix":[[3,0,0],[0,3,0],[0,0,3]]},'
    b'"sites":[{"species":[{"element":"Po","occu":1}],"abc":[0,0,0]}]}',
    "ase-json": b'{"numbers":[84],"positions":[[0,0,0]],"cell":[[3,0,0],[0,3,0],[0,0,3]],"pbc":7}',
}
CONDUCTIVITY = {
    "id": "c-1", "formula": "LiCoO3", "working_ion": "Li", "log10_sigma": -4.0, "sigma_S_cm": 1e-4, "temperature_K": 298.15,
    "censored": "upper_bound", "doi": "10.1234/abc", "family": "garnet", "license": "CC0-1.0", "structure": HOST,
}  # fmt: skip
TABLE = b"id,composition,sigma,unit,temperature,temperature_unit\nc-1,Li3N,0.1,mS/cm,25,C\nc-2,LiF,<1e-9,S/cm,300,K\n"
FILES = ["x", "x.cif", "x.json", "x.jsonl", "x.xyz", "POSCAR", "x.zip", "x.tar", "x.gz", "x.db"]


any_bytes = st.binary(max_size=500) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace"))
json_values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def good() -> dict[str, list[tuple[str, bytes]]]:
    """Good records of each kind: format and content."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table(folder / "table", csv_row())
        litraj(folder / "litraj", "e-1")
        (folder / "pathway.json").write_text(json.dumps(neb_pathway()))
        (folder / "graph.json").write_text(json.dumps(migration_graph()))
        (folder / "pair.json").write_text(json.dumps(migration_graph(edges=False)))
        (folder / "rows.jsonl").write_bytes(encoded(row()) + b"\n" + encoded(CONDUCTIVITY))
        (folder / "conductivities.csv").write_bytes(TABLE)
        items = [item for item in read_records(folder) if isinstance(item, Record)]
    found: dict[str, list[tuple[str, bytes]]] = {STRUCTURES.name: list(STRUCTURES_GIVEN.items())}
    for item in items:
        if kind_of(item.format) != STRUCTURES.name:
            found.setdefault(kind_of(item.format), []).append((item.format, item.content))
    return found


GOOD = good()
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def check_structure(read: ReadResult) -> None:
    assert isinstance(read, ReadResult)
    assert read.crystal.n_sites > 0
    assert read.crystal.frac_coords.shape == (read.crystal.n_sites, 3)


def check_hop(read: HopRecord) -> None:
    assert isinstance(read, HopRecord)
    assert read.start.shape == read.end.shape == (3,)
    assert read.length > 0
    assert read.host.n_sites > 0
    assert read.barrier is None or np.isfinite(read.barrier)
    assert (read.barrier is None) == (read.barrier_definition is None)
    assert read.barrier_definition is None or read.barrier_definition in DEFINITIONS


def check_conductivity(read: ConductivityRecord) -> None:
    assert isinstance(read, ConductivityRecord)
    assert read.composition
    assert min(read.composition.values()) > 0
    assert read.log10_sigma is None or np.isfinite(read.log10_sigma)
    assert read.temperature is None or read.temperature > 0
    assert read.censored is None or read.censored in BOUNDS


READERS: dict[str, tuple[Any, Any]] = {
    STRUCTURES.name: (read_record, check_structure),
    HOPS.name: (read_hop, check_hop),
    CONDUCTIVITIES.name: (read_conductivity, check_conductivity),
}


def check_reader(format: str, content: bytes) -> None:
    read, check = READERS[kind_of(format)]
    try:
        found = read(format, content)
    except (SourceError, StructureError) as error:
        assert str(error)
        return
    check(found)


def check_splitter(path: Path) -> None:
    items = list(read_records(path))
    assert items
    for item in items:
        assert isinstance(item, Record | BadRecord)
        if isinstance(item, Record):
            assert any(item.format in kind.formats for kind in KINDS)
            assert item.content
            check_reader(item.format, item.content)
        else:
            assert str(item.error)


# ------------------------------------------------------------------------------------------------------------- readers


def test_the_good_ones_are_read() -> None:
    assert {format for format, _ in GOOD["hop"]} == set(HOPS.formats)
    assert {format for format, _ in GOOD["conductivity"]} == set(CONDUCTIVITIES.formats)
    for kind, records in GOOD.items():
        read, check = READERS[kind]
        for record in records:
            check(read(*record))


@every_kind
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_readers_take_any_bytes(kind: Kind, data: st.DataObject) -> None:
    check_reader(data.draw(st.sampled_from(kind.formats)), data.draw(any_bytes))


@every_kind
@settings(max_examples=250, deadline=None)
@given(data=st.data())
def test_readers_take_good_records_with_damage(kind: Kind, data: st.DataObject) -> None:
    format, whole = data.draw(st.sampled_from(GOOD[kind.name]))
    content = bytearray(whole)
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
    check_reader(format, bytes(content))


def _replaced(value: Any, data: st.DataObject) -> Any:
    """The value with one part of it, at any depth, made something else."""
    if isinstance(value, dict) and value and data.draw(st.integers(0, 4)):
        key = data.draw(st.sampled_from(sorted(value)))
        return {**value, key: _replaced(value[key], data)}
    if isinstance(value, list) and value and data.draw(st.integers(0, 4)):
        place = data.draw(st.integers(0, len(value) - 1))
        return [*value[:place], _replaced(value[place], data), *value[place + 1 :]]
    return data.draw(json_values)


@every_kind
@settings(max_examples=250, deadline=None)
@given(data=st.data())
def test_readers_take_any_value_in_any_place(kind: Kind, data: st.DataObject) -> None:
    format, content = data.draw(st.sampled_from([each for each in GOOD[kind.name] if each[1][:1] == b"{"]))
    value = json.loads(content)
    for _ in range(data.draw(st.integers(1, 3))):
        value = _replaced(value, data)
    check_reader(format, json.dumps(value).encode())


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


# ----------------------------------------------------------------------------------------------------------- splitters


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.data())
def test_documents_are_taken_apart_whatever_is_in_them(tmp_path: Path, value: st.DataObject) -> None:
    document = value.draw(
        st.sampled_from([neb_pathway(), migration_graph(), migration_graph(edges=False), row(), CONDUCTIVITY])
    )
    path = tmp_path / "document.json"
    path.write_text(json.dumps(_replaced(document, value)))
    check_splitter(path)


@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.csv.gz"])
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=any_bytes)
@example(content=HEADER.encode())
@example(content=b"\xff\xfe" + HEADER.encode())
@example(content=HEADER.encode() + b"\n" + b'"' * 500)
@example(content=(HEADER + "\n" + "," * HEADER.count(",")).encode())
@example(content=b"working_ion,structure_file\n" + b"x" * 200_000 + b",\x00\n")
def test_tables_take_any_bytes(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    check_splitter(path)
    check_splitter(tmp_path)


cells = st.text(st.characters(blacklist_categories=("Cs",)), max_size=12) | st.sampled_from(
    [
        "yes",
        "no",
        "host.cif",
        "filled.vasp",
        "cells",
        ".",
        "..",
        "hops.csv",
        "0.5",
        "-1e400",
        "nan",
        "eV",
        "Li",
        '"',
        "٣",
    ]
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(st.sampled_from(HEADER.split(",")), cells, min_size=1, max_size=4))
def test_rows_take_anything_in_any_cell(tmp_path: Path, changes: dict[str, str]) -> None:
    path = table(tmp_path)
    path.write_text("\n".join([HEADER, csv_row(id="first"), csv_row(**changes), csv_row(id="last")]), encoding="utf-8")
    items = list(read_records(path))
    kept = [item.id for item in items if isinstance(item, Record)]
    assert kept[0] == "first"
    assert kept[-1] == "last"
    check_splitter(path)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(line=st.text(max_size=60), damage=any_bytes, place=st.integers(0, 3000))
def test_indexes_and_trajectories_take_anything(tmp_path: Path, line: str, damage: bytes, place: int) -> None:
    index = litraj(tmp_path, "e-1")
    index.write_text(INDEX + "mp-1,e-1,Co-Li-O,True,0.6,0.5,train\n" + line, encoding="utf-8", errors="replace")
    file = tmp_path / "e-1_relaxed.xyz"
    content = file.read_bytes()
    file.write_bytes(content[:place] + damage + content[place + len(damage) :])
    check_splitter(index)


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
        for kind, content in STRUCTURES_GIVEN.items():
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
