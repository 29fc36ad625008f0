"""Whatever is given as a hop: a record, a bad record, or one of our errors. Nothing else, and never a crash."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from store.errors import SourceError, StructureError
from store.hops import DEFINITIONS, HopRecord, definition_in, shortest_image, to_ev
from store.ingest.containers import read_records
from store.ingest.hop_readers import HOP_FORMATS, read_hop
from store.ingest.readers import FORMATS
from store.ingest.records import BadRecord, Record

from .hop_examples import HEADER, INDEX, csv_row, encoded, litraj, migration_graph, neb_pathway, row, table

any_bytes = st.binary(max_size=400) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))
json_values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


def good() -> dict[str, bytes]:
    """One good record of each format."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table(folder / "table", csv_row())
        litraj(folder / "litraj", "e-1")
        (folder / "pathway.json").write_text(json.dumps(neb_pathway()))
        (folder / "graph.json").write_text(json.dumps(migration_graph()))
        (folder / "pair.json").write_text(json.dumps(migration_graph(edges=False)))
        (folder / "rows.jsonl").write_bytes(encoded(row()))
        found = [item for item in read_records(folder) if isinstance(item, Record) and item.format in HOP_FORMATS]
    return {f"{item.format} {number}": item.content for number, item in enumerate(found)}


GOOD = good()


def check_reader(kind: str, content: bytes) -> None:
    try:
        hop = read_hop(kind, content)
    except (SourceError, StructureError) as error:
        assert str(error)
        return
    assert isinstance(hop, HopRecord)
    assert hop.start.shape == hop.end.shape == (3,)
    assert hop.length > 0
    assert hop.host.n_sites > 0
    assert hop.barrier is None or np.isfinite(hop.barrier)
    assert (hop.barrier is None) == (hop.barrier_definition is None)
    assert hop.barrier_definition is None or hop.barrier_definition in DEFINITIONS


def check_splitter(path: Path) -> None:
    items = list(read_records(path))
    assert items
    for item in items:
        assert isinstance(item, Record | BadRecord)
        if isinstance(item, Record):
            assert item.format in {*HOP_FORMATS, *FORMATS}
            assert item.content
            if item.format in HOP_FORMATS:
                check_reader(item.format, item.content)
        else:
            assert str(item.error)


def test_the_good_ones_are_of_every_format() -> None:
    assert {kind.split()[0] for kind in GOOD} == set(HOP_FORMATS)
    for kind, content in GOOD.items():
        assert read_hop(kind.split()[0], content).working_ion == "Li"


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(HOP_FORMATS), any_bytes)
def test_readers_take_any_bytes(kind: str, content: bytes) -> None:
    check_reader(kind, content)


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(sorted(GOOD)), st.data())
def test_readers_take_good_records_with_damage(kind: str, data: st.DataObject) -> None:
    content = bytearray(GOOD[kind])
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
    check_reader(kind.split()[0], bytes(content))


def _replaced(value: Any, data: st.DataObject) -> Any:
    """The value with one part of it, at any depth, made something else."""
    if isinstance(value, dict) and value and data.draw(st.integers(0, 4)):
        key = data.draw(st.sampled_from(sorted(value)))
        return {**value, key: _replaced(value[key], data)}
    if isinstance(value, list) and value and data.draw(st.integers(0, 4)):
        place = data.draw(st.integers(0, len(value) - 1))
        return [*value[:place], _replaced(value[place], data), *value[place + 1 :]]
    return data.draw(json_values)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(GOOD)), st.data())
def test_readers_take_any_value_in_any_place(kind: str, data: st.DataObject) -> None:
    value = json.loads(GOOD[kind])
    for _ in range(data.draw(st.integers(1, 3))):
        value = _replaced(value, data)
    check_reader(kind.split()[0], json.dumps(value).encode())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.data())
def test_documents_are_taken_apart_whatever_is_in_them(tmp_path: Path, value: st.DataObject) -> None:
    document = value.draw(st.sampled_from([neb_pathway(), migration_graph(), migration_graph(edges=False), row()]))
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


@settings(max_examples=200, deadline=None)
@given(value=st.floats(), unit=st.text(max_size=10) | st.sampled_from(["eV", "meV", "kJ/mol", "kcal/mol", "kJ mol-1"]))
def test_energies_are_finite_or_refused(value: float, unit: str) -> None:
    try:
        assert np.isfinite(to_ev(value, unit))
    except SourceError as error:
        assert str(error)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_definitions_are_known_or_none(text: str) -> None:
    assert definition_in(text) in {*DEFINITIONS, None}


numbers = st.floats(-20, 20, allow_nan=False)


@settings(max_examples=150, deadline=None)
@given(st.lists(numbers, min_size=9, max_size=9), st.lists(numbers, min_size=6, max_size=6))
def test_the_shortest_image_is_an_image_and_no_longer_than_any_near_one(box: list[float], places: list[float]) -> None:
    lattice = np.array(box).reshape(3, 3)
    start, end = np.array(places[:3]), np.array(places[3:])
    if abs(np.linalg.det(lattice)) < 1.0:
        return
    try:
        found = shortest_image(lattice, start, end)
    except StructureError:
        return
    shift = found - end
    assert np.allclose(shift, np.round(shift), atol=1e-9)
    length = np.linalg.norm((found - start) @ lattice)
    around = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3), axis=-1).reshape(-1, 3)
    others = np.linalg.norm((end - start - np.round(end - start) + around) @ lattice, axis=1)
    assert length <= others[others > 1e-3].min() + 1e-5
