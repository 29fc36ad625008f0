"""The AMCSD of larixite: all rows, the traps of its labels, and pymatgen as a slow twin."""

from __future__ import annotations

import base64
import re
import sqlite3
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from store.errors import IonatlasError, MissingExtra, SourceError
from store.ingest.amcsd import FILE_NAME, amcsd_file, amcsd_records, read_amcsd
from store.ingest.ingest import ingest
from store.ingest.readers import read_record
from store.ingest.records import Record


@pytest.fixture(scope="module")
def rows() -> list[Record]:
    try:
        return list(amcsd_records())
    except MissingExtra as absent:
        pytest.skip(str(absent))


@pytest.fixture(scope="module")
def read_rows(rows: list[Record]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for row in rows:
        try:
            found[row.id or ""] = read_amcsd(row.content)
        except IonatlasError as error:
            found[row.id or ""] = error
    return found


def encode(*values: float) -> str:
    return base64.b64encode((4e6 * np.array(values)).round().astype("<i4").tobytes()).decode()


def made(**changes: Any) -> bytes:
    """A row of our own in larixite's layout: scheelite with water on a site of its own."""
    row = {
        "id": 1, "formula": "Ca W O4", "compound": "<missing>", "pub_title": " Of scheelite\n Sample: A",
        "formula_title": "<missing>",
        "a": "5.243", "b": "5.243", "c": "11.376", "alpha": "90", "beta": "90", "gamma": "90", "crystal_density": "6.1",
        "atoms_sites": '["Ca", "W1", "O"]', "atoms_x": encode(0, 0, 0.1504), "atoms_y": encode(0.25, 0.25, 0.0085),
        "atoms_z": encode(0.625, 0.125, 0.2111), "atoms_occupancy": "0",
        "spacegroup": {"hm_notation": "I 41/a %var2%", "symmetry_xyz": orjson.dumps(SCHEELITE).decode()},
        "mineral": "Scheelite",
        "publication": {"journalname": "J", "volume": "1", "year": 1950, "page_first": "2", "page_last": "3",
                        "authors": ["A B", "C D"]},
    }  # fmt: skip
    return orjson.dumps({**row, **changes})


HALF = (
    "x,y,z",
    "-x,1/2-y,z",
    "3/4-y,1/4+x,1/4+z",
    "3/4+y,3/4-x,3/4+z",
    "-x,-y,-z",
    "x,1/2+y,-z",
    "1/4+y,3/4-x,3/4-z",
    "1/4-y,1/4+x,1/4-z",
)


def _centre(operation: str) -> str:
    return ",".join(f"1/2+{part}" for part in operation.split(","))


SCHEELITE = [*HALF, *(_centre(operation) for operation in HALF)]


def test_a_row_of_our_own() -> None:
    read = read_record("amcsd-json", made())
    assert read.crystal.amounts() == {"Ca": 4.0, "W": 4.0, "O": 16.0}
    assert read.crystal.volume == pytest.approx(5.243**2 * 11.376)
    assert read.name == "Scheelite"
    assert read.properties["experimental"] is True
    assert read.properties["space_group_reported"] == "I 41/a"
    assert read.references[0] == "A B, C D. Of scheelite. J 1, 2-3 (1950)"
    assert read.warnings == []


def test_numbers_as_some_rows_write_them() -> None:
    crystal = read_amcsd(made(a="5,243", b="5.243,", c="11.376(2)")).crystal
    np.testing.assert_allclose(np.linalg.norm(crystal.lattice, axis=1), [5.243, 5.243, 11.376])


def test_unknown_occupancies_are_full_and_unknown_places_refused() -> None:
    assert read_amcsd(made(atoms_occupancy=encode(2, 1, 3))).crystal.is_ordered
    with pytest.raises(SourceError, match="no coordinate for site 2"):
        read_amcsd(made(atoms_x=encode(0, 2, 0.15)))


@pytest.mark.parametrize(
    "changes",
    [
        {"a": "x"}, {"a": None}, {"gamma": "0"}, {"atoms_sites": "[]"}, {"atoms_sites": "{"}, {"atoms_sites": None},
        {"atoms_x": "0"}, {"atoms_x": "not base64"}, {"atoms_x": encode(0, 0)}, {"atoms_x": encode(0, 0, 0.1)[:-2]},
        {"spacegroup": None}, {"spacegroup": {"symmetry_xyz": "[]"}}, {"spacegroup": {"symmetry_xyz": '["x,y"]'}},
        {"atoms_sites": '["Ca", "Qq", "O"]'}, {"atoms_occupancy": encode(1, 1.2, 1)}, {"atoms_occupancy": encode(0, 0, 0)},
    ],
)  # fmt: skip
def test_damaged_rows_are_refused_with_a_reason(changes: dict[str, Any]) -> None:
    with pytest.raises(IonatlasError) as caught:
        read_record("amcsd-json", made(**changes))
    assert len(str(caught.value)) > 10


def test_the_package_is_found_without_importing_it() -> None:
    already = "larixite" in sys.modules
    try:
        path = amcsd_file()
    except MissingExtra as absent:
        pytest.skip(str(absent))
    assert path.name == FILE_NAME
    assert ("larixite" in sys.modules) == already


def test_a_missing_package_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="pip install"):
        list(amcsd_records())


def test_at_least_9000_rows_give_a_structure_and_the_others_a_reason(read_rows: dict[str, Any]) -> None:
    failed = {name: read for name, read in read_rows.items() if isinstance(read, IonatlasError)}
    assert len(read_rows) >= 9_136
    assert len(read_rows) - len(failed) >= 9_000
    assert {type(error).__name__ for error in failed.values()} == {"InvalidOccupancy"}
    assert all("occupanc" in str(error).lower() for error in failed.values())


def test_known_minerals(rows: list[Record], read_rows: dict[str, Any]) -> None:
    galena = read_rows["amcsd-3"]
    assert galena.name == "Galena"
    assert galena.crystal.amounts() == {"Pb": 4.0, "S": 4.0}
    assert galena.crystal.volume == pytest.approx(208.528, abs=1e-3)
    named = [read for read in read_rows.values() if not isinstance(read, IonatlasError)]
    for name, formula in (
        ("Quartz", {"Si": 1, "O": 2}),
        ("Gypsum", {"Ca": 1, "S": 1, "O": 6}),
        ("Scheelite", {"Ca": 1, "W": 1, "O": 4}),
    ):
        found = [read for read in named if read.name == name]
        assert found, name
        for read in found:
            heavy = {symbol: amount for symbol, amount in read.crystal.amounts().items() if symbol != "H"}
            least = min(heavy.values())
            assert {symbol: amount / least for symbol, amount in heavy.items()} == pytest.approx(formula), name


def formula_amounts(text: str) -> dict[str, float]:
    amounts: dict[str, float] = {}
    for group, times in [*re.findall(r"\(([^()]*)\)([\d.]*)", text), (re.sub(r"\([^()]*\)[\d.]*", "", text), "")]:
        for symbol, count in re.findall(r"([A-Z][a-z]?)([\d.]*)", group):
            element = "H" if symbol == "D" else symbol
            amounts[element] = amounts.get(element, 0.0) + float(count or 1) * float(times or 1)
    return amounts


def test_the_sites_add_up_to_the_published_formula(rows: list[Record], read_rows: dict[str, Any]) -> None:
    """Labels, occupancies, symmetry and multiplicities must all be right for this; hydrogen is often not located."""
    wrong = []
    for row in rows:
        read = read_rows[row.id or ""]
        if isinstance(read, IonatlasError):
            continue
        wanted = formula_amounts(orjson.loads(row.content)["formula"])
        have = read.crystal.amounts()
        heavy = [symbol for symbol in wanted if symbol != "H"]
        if not heavy:
            continue
        all_wanted = sum(wanted[symbol] for symbol in heavy)
        all_have = sum(amount for symbol, amount in have.items() if symbol != "H")
        if max(abs(wanted[symbol] / all_wanted - have.get(symbol, 0) / all_have) for symbol in heavy) > 0.02:
            wrong.append(row.id)
    # The rest are rows whose formula counts a site twice that the data list twice, or contradicts their own sites.
    assert len(wrong) <= 15


def test_volumes_are_the_published_ones(rows: list[Record], read_rows: dict[str, Any]) -> None:
    off = 0
    for row in rows:
        read = read_rows[row.id or ""]
        if not isinstance(read, IonatlasError):
            published = float(orjson.loads(row.content)["cell_volume"])
            off += abs(read.crystal.volume - published) > 2e-3 * published
    assert off <= 20


def test_water_and_deuterium_are_told(rows: list[Record], read_rows: dict[str, Any]) -> None:
    water = [row for row in rows if b'\\"Wat' in row.content]
    assert len(water) > 100
    for row in water:
        read = read_rows[row.id or ""]
        if not isinstance(read, IonatlasError):
            assert any(note.startswith("hydrogen_not_located") for note in read.warnings)
            assert ("W" in read.crystal.amounts()) == ("W" in formula_amounts(orjson.loads(row.content)["formula"]))


def ciftext(row: dict[str, Any]) -> str:
    """Write the row as the CIF that it was made from."""
    labels = orjson.loads(row["atoms_sites"])

    def column(key: str) -> list[str]:
        if row[key] == "0":
            return ["1"] * len(labels)
        return [f"{value:f}" for value in np.frombuffer(base64.b64decode(row[key]), "<i4") / 4e6]

    cell = {"length": "abc", "angle": ("alpha", "beta", "gamma")}
    lines = [
        "data_x",
        *(f"_cell_{kind}_{name} {row[name].strip(',').replace(',', '.')}" for kind in cell for name in cell[kind]),
    ]
    lines += [f"_chemical_formula_sum '{row['formula']}'"]
    lines += [
        "loop_",
        "_space_group_symop_operation_xyz",
        *(f"'{xyz}'" for xyz in orjson.loads(row["spacegroup"]["symmetry_xyz"])),
    ]
    names = ("label", "fract_x", "fract_y", "fract_z", "occupancy")
    lines += ["loop_", *(f"_atom_site_{name}" for name in names)]
    columns = [column(f"atoms_{key}") for key in ("x", "y", "z", "occupancy")]
    lines += [" ".join(values) for values in zip(labels, *columns, strict=True)]
    return "\n".join(lines) + "\n"


def test_pymatgen_reads_the_same(rows: list[Record], read_rows: dict[str, Any]) -> None:
    """A hundred rows through pymatgen's CifParser, and through our CIF reader."""
    from pymatgen.io.cif import CifParser

    sample = [row for row in rows[:: len(rows) // 110] if not isinstance(read_rows[row.id or ""], IonatlasError)]
    differing = []
    for row in sample:
        crystal = read_rows[row.id or ""].crystal
        text = ciftext(orjson.loads(row.content))
        ours = read_record("cif", text.encode()).crystal
        assert ours.n_sites == crystal.n_sites, row.id
        assert ours.amounts() == pytest.approx(crystal.amounts()), row.id
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = CifParser.from_str(text, occupancy_tolerance=10, site_tolerance=5e-3).parse_structures(
                primitive=False
            )[0]
        assert theirs.volume == pytest.approx(crystal.volume, rel=1e-6), row.id
        amounts: dict[str, float] = {}
        for specie, amount in theirs.composition.items():
            symbol = "H" if specie.symbol == "D" else specie.symbol
            amounts[symbol] = amounts.get(symbol, 0.0) + amount
        same = len(theirs) == crystal.n_sites and amounts == pytest.approx(crystal.amounts(), rel=0.02, abs=0.02)
        if not same:
            differing.append(row.id)
    assert len(sample) >= 100
    assert len(differing) <= 4  # where pymatgen miscounts: shared O-H/F sites, rounded special positions


def test_it_is_fast(rows: list[Record]) -> None:
    sample = rows[::10]
    start = time.perf_counter()
    for row in sample:
        try:
            read_amcsd(row.content)
        except IonatlasError:
            continue
    assert (time.perf_counter() - start) / len(sample) < 3e-3


def test_the_whole_set_is_ingested_once(rows: list[Record], database: Any) -> None:
    from store.schema import migrate

    migrate(database)
    report = ingest(database, "amcsd")
    assert (report.new, report.unreadable) == (len(rows), 0)
    again = ingest(database, amcsd_file())
    assert (again.new, again.updated, again.unchanged) == (0, 0, len(rows))
    galena = database["sources"].find_one("amcsd-3")
    assert galena["provider"] == "AMCSD"
    assert "larixite" in galena["licence"]
    assert bytes(galena["content"]) == rows[0].content
    assert galena["origins"][0]["member"] == "cif/3"
    assert len(galena["origins"]) == 1


def test_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    with sqlite3.connect(path) as database:
        for table in ("cif", "spacegroups", "minerals"):
            database.execute(f"CREATE TABLE {table} (id INTEGER)")
    database.close()
    with pytest.raises(SourceError, match="cannot be read"):
        list(amcsd_records(path))
