"""Conductivities as they are given: formulas, units, bounds, structures, tables; and what they must never become."""

from __future__ import annotations

import gzip
import json
import math
import tarfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest

from store.compositions import difference, parse_formula
from store.conductivities import ConductivityRecord, to_kelvin, to_s_cm
from store.errors import EmptySource, IonatlasError, SourceError, UnknownElement, UnknownFormat
from store.ingest.conductivity_csv import COLUMNS
from store.ingest.containers import read_records
from store.ingest.hop_tables import table_kind
from store.ingest.kinds import CONDUCTIVITY_FORMATS, kind_of
from store.ingest.readers import read_conductivity
from store.ingest.records import BadRecord, Record
from store.ingest.sniff import classify

from .hop_examples import CUBE, HOST, cif
from .hop_examples import row as hop_row

HALF = {
    "lattice": CUBE,
    "sites": [
        {"species": {"Li": 0.5}, "frac_coords": [0, 0, 0]},
        {"species": {"Ti": 0.9, "Al": 0.1}, "frac_coords": [0.5, 0.5, 0.5]},
        {"species": {"O": 1.0}, "frac_coords": [0.5, 0, 0]},
        {"species": {"O": 1.0}, "frac_coords": [0, 0.5, 0]},
    ],
}


def row(**changes: Any) -> dict[str, Any]:
    """One line of the file; a change to None takes the key out."""
    made = {
        "id": "c-1",
        "source": "mine",
        "formula": "Li0.5Ti0.9Al0.1O2",
        "working_ion": "Li",
        "log10_sigma": -4.0,
        "sigma_S_cm": 1e-4,
        "censored": None,
        "temperature_K": 298.15,
        "doi": "10.1234/abc",
        "family": "garnet",
        "structure": HALF,
        "license": "CC0-1.0",
        "quality_flags": ["odd"],
        "colour": "blue",
    } | changes
    return {key: value for key, value in made.items() if value is not None}


def read(**changes: Any) -> ConductivityRecord:
    return read_conductivity("conductivity-json", json.dumps(row(**changes)).encode())


def split(path: Path) -> tuple[list[Record], list[BadRecord]]:
    found = list(read_records(path))
    return [one for one in found if isinstance(one, Record)], [one for one in found if isinstance(one, BadRecord)]


def lines(path: Path, *values: Any) -> Path:
    path.write_bytes(b"".join(json.dumps(value, separators=(",", ":")).encode() + b"\n" for value in values))
    return path


# ------------------------------------------------------------------------------------------------------------- formulas


@pytest.mark.parametrize(
    ("text", "amounts"),
    [
        ("Li1.3Al0.3Ti1.7(PO4)3", {"Li": 1.3, "Al": 0.3, "Ti": 1.7, "P": 3, "O": 12}),
        (" Li0.6[Li0.2Sn0.8S2] ", {"Li": 0.8, "Sn": 0.8, "S": 2}),
        ('"(Li2S)0.5 ((P2S5)0.4 (Sb2S3)0.6)0.5"', {"Li": 1.0, "S": 2.4, "P": 0.4, "Sb": 0.6}),
        ("LiOH·H2O", {"Li": 1, "O": 2, "H": 3}),
        ("0.75Li2S-0.25P2S5", {"Li": 1.5, "S": 2.0, "P": 0.5}),
        ("Li₇La₃Zr₂O₁₂", {"Li": 7, "La": 3, "Zr": 2, "O": 12}),
        ("LiD", {"Li": 1, "H": 1}),
        ("Li2.0O", {"Li": 2, "O": 1}),
        ("Li.5O", {"Li": 0.5, "O": 1}),
    ],
)
def test_formulas_as_people_write_them(text: str, amounts: dict[str, float]) -> None:
    found = parse_formula(text)
    assert found == pytest.approx(amounts)


@pytest.mark.parametrize(
    "text", ["", "Li1-xCoO2", "Li(PO4", "LiPO4)", "li2o", "Li-Fe-O", "1.2.3", "Li0", "(2)", "Li" + "(" * 30]
)
def test_what_is_no_formula_is_refused(text: str) -> None:
    with pytest.raises(SourceError):
        parse_formula(text)


def test_an_unknown_element_is_named() -> None:
    with pytest.raises(UnknownElement, match="'Xx'"):
        parse_formula("LiXx2")


# --------------------------------------------------------------------------------------------------------------- values


def test_a_record_is_read_whole() -> None:
    record = read()
    assert (record.id, record.source, record.log10_sigma, record.temperature) == ("c-1", "mine", -4.0, 298.15)
    assert record.composition == {"Li": 0.5, "Ti": 0.9, "Al": 0.1, "O": 2.0}
    assert record.crystal is not None
    assert not record.crystal.is_ordered
    assert (record.family, record.licence, record.flags) == ("garnet", "CC0-1.0", ["odd"])
    assert record.references == ["doi:10.1234/abc"]
    assert record.properties == {"colour": "blue"}
    assert record.warnings == []
    assert record.at_room_temperature


@pytest.mark.parametrize(
    ("changes", "value", "bound"),
    [
        ({"log10_sigma": None, "sigma_S_cm": "<1E-10"}, -10.0, "upper_bound"),
        ({"log10_sigma": None, "sigma_S_cm": None, "sigma": ">= 2", "unit": "mS/cm"}, math.log10(2e-3), "lower_bound"),
        ({"log10_sigma": -10, "sigma_S_cm": 1e-10, "censored": "upper_bound"}, -10.0, "upper_bound"),
        ({"sigma_S_cm": None}, -4.0, None),
        ({"sigma_S_cm": None, "log10_sigma": -2, "unit": "S/m"}, -4.0, None),
        ({"log10_sigma": None, "sigma_S_cm": None}, None, None),
    ],
)
def test_bounds_stay_bounds_and_units_are_converted(changes: dict[str, Any], value: float, bound: str | None) -> None:
    record = read(**changes)
    assert record.log10_sigma == (None if value is None else pytest.approx(value))
    assert record.censored == bound


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("S/cm", 1), ("S cm-1", 1), ("S·cm⁻¹", 1), ("S m^-1", 0.01), ("mS/cm", 1e-3), ("mScm-1", 1e-3), ("µS/cm", 1e-6)],
)
def test_units_as_people_write_them(unit: str, factor: float) -> None:
    assert to_s_cm(unit) == pytest.approx(factor)


def test_temperatures() -> None:
    assert to_kelvin(25, "C") == 298.15
    for changes, kelvin in (
        ({"temperature": 25, "temperature_unit": "°C"}, 298.15),
        ({"temperature": "30 C"}, 303.15),
        ({"temperature": "RT"}, 298.15),
    ):
        assert read(temperature_K=None, **changes).temperature == pytest.approx(kelvin)
    assert read(temperature_K=None).warnings == ["no_temperature: the temperature is not given."]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sigma_S_cm": 1e-3}, "two conductivities"),
        ({"sigma_S_cm": None, "log10_sigma": "<1E-10"}, "no logarithm"),
        ({"sigma_S_cm": 0.0, "log10_sigma": None}, "must be above zero"),
        ({"sigma_S_cm": -1.0, "log10_sigma": None}, "must be above zero"),
        ({"sigma_S_cm": "little", "log10_sigma": None}, "a number or a bound"),
        ({"log10_sigma": float("nan")}, "finite"),
        ({"sigma_S_cm": None, "log10_sigma": None, "sigma": 1.0}, "no unit"),
        ({"sigma_S_cm": None, "log10_sigma": None, "sigma": 1.0, "unit": "ohm"}, "unit 'ohm'"),
        ({"temperature_K": -5}, "above 0 K"),
        ({"temperature_K": None, "temperature": 25}, "no unit"),
        ({"censored": "sort of"}, "censored as"),
        ({"formula": None, "structure": None}, "composition is not known"),
        ({"formula": "Li1-xCoO2", "structure": None}, "cannot be read"),
        ({"working_ion": "Qq"}, "no chemical element"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(IonatlasError, match=said):
        read(**changes)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"formula": "Li7La3Zr2O12"}, "structure_composition_differs"),
        ({"structure": {**HALF, "sites": HALF["sites"][1:]}}, "no_Li_in_structure"),
        (
            {"structure": {"lattice": CUBE, "sites": [{"species": {"Qq": 1}, "frac_coords": [0, 0, 0]}]}},
            "structure_unreadable",
        ),
        ({"structure": "see above"}, "structure_unreadable"),
        ({"log10_sigma": 5, "sigma_S_cm": None}, "implausible_conductivity"),
        ({"temperature_K": 25}, "implausible_temperature"),
        ({"reduced_formula": "LiF"}, "formulas_differ"),
        ({"formula": "Li1-xO"}, "formula_unreadable"),
        ({"formula": "NaF", "structure": None}, "no_Li_in_composition"),
    ],
)
def test_doubts_are_warnings_and_lose_no_measurement(changes: dict[str, Any], word: str) -> None:
    record = read(**changes)
    assert [warning for warning in record.warnings if warning.startswith(word)]
    assert record.log10_sigma is not None


def test_the_composition_may_come_from_the_structure_alone() -> None:
    record = read(formula=None)
    assert difference(record.composition, {"Li": 0.5, "Ti": 0.9, "Al": 0.1, "O": 2}) < 1e-12


def test_unknown_formats_and_empty_records() -> None:
    with pytest.raises(UnknownFormat):
        read_conductivity("cif", b"data_x")
    with pytest.raises(EmptySource):
        read_conductivity("conductivity-json", b"")
    with pytest.raises(SourceError):
        read_conductivity("conductivity-json", b"[1]")


# ------------------------------------------------------------------------------------------- never taken for a structure


@pytest.mark.parametrize("structure", [HALF, HOST, None])
@pytest.mark.parametrize("value", [{}, {"log10_sigma": None, "sigma_S_cm": None}, {"log10_sigma": None}])
def test_neither_with_a_structure_nor_without_one(tmp_path: Path, structure: Any, value: dict[str, Any]) -> None:
    made = {**row(**value), "structure": structure}
    for name, text in (
        ("a.jsonl", json.dumps(made)),
        ("a.json", json.dumps([made], indent=1)),
        ("b.json", json.dumps(made)),
    ):
        (tmp_path / name).write_text(text)
        (record,), bad = split(tmp_path / name)
        assert not bad
        assert (record.format, record.id, record.provider, record.licence) == (
            "conductivity-json",
            "c-1",
            "mine",
            "CC0-1.0",
        )
        assert (read_conductivity(record.format, record.content).crystal is None) == (structure is None)


def test_structures_and_hops_stay_what_they_are(tmp_path: Path) -> None:
    structure = {"id": "s-1", "source": "mine", "structure": HOST}
    phase = {"id": "s-2", "source": "mine", "structure": HOST, "name": "sigma phase", "sigma": 3}
    warm = {"id": "s-3", "source": "mine", "structure": HOST, "temperature_K": 300}
    path = lines(
        tmp_path / "all.jsonl", structure, phase, warm, hop_row(), {**hop_row(id="h-2"), "temperature_K": 300}, row()
    )
    found, bad = split(path)
    assert not bad
    assert [record.format for record in found] == [*["uniform-json"] * 3, "hop-json", "hop-json", "conductivity-json"]
    assert [kind_of(record.format) for record in found] == [*["structure"] * 3, "hop", "hop", "conductivity"]
    assert found[0].provider == "mine"


def test_claims() -> None:
    assert classify({"id": "x", "formula": "LiF", "log10_sigma": None}).format == "conductivity-json"  # type: ignore[union-attr]
    assert classify({"formula": "LiF", "structure": None}).format == "uniform-json"  # type: ignore[union-attr]
    assert set(CONDUCTIVITY_FORMATS) == {"conductivity-csv", "conductivity-json"}


# --------------------------------------------------------------------------------------------------------------- tables

HEADER = "id,composition,structure_file,sigma,unit,temperature,temperature_unit,doi,family,colour"


def table(folder: Path, *rows: str, header: str = HEADER) -> Path:
    from store.crystal import Crystal

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "host.cif").write_text(cif(Crystal.from_lists(HOST["lattice"], HOST["species"], HOST["frac_coords"])))
    path = folder / "measured.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_a_table_with_and_without_structures(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "t-1,CoO3,host.cif,<1E-10,S/cm,25,C,10.1234/abc,none,blue",
        "t-2,Li10GeP2S12,,12,mS/cm,300,K,,,",
        "t-3,LiF,,,,,,,,",
    )
    records, bad = split(path)
    assert not bad
    assert [(record.format, record.id) for record in records] == [("conductivity-csv", f"t-{k}") for k in (1, 2, 3)]
    assert records[0].references == ("doi:10.1234/abc",)
    one, two, three = (read_conductivity(record.format, record.content) for record in records)
    assert (one.log10_sigma, one.censored, one.temperature, one.family) == (-10.0, "upper_bound", 298.15, "none")
    assert one.crystal is not None
    assert one.crystal.species == ("Co", "O", "O", "O")
    assert one.properties == {"colour": "blue"}
    assert two.log10_sigma == pytest.approx(math.log10(0.012))
    assert two.crystal is None
    assert three.log10_sigma is None


def test_a_folder_takes_named_structures_once_and_only_with_their_row(tmp_path: Path) -> None:
    table(tmp_path / "set", "t-1,CoO3,host.cif,1e-5,S/cm,RT,,,,")
    records, bad = split(tmp_path / "set")
    assert not bad
    assert [record.format for record in records] == ["conductivity-csv"]
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for file in (tmp_path / "set").iterdir():
            archive.write(file, file.name)
    assert [record.content for record in split(tmp_path / "set.zip")[0]] == [records[0].content]


def test_a_table_in_a_tar_needs_no_files_where_it_names_none(tmp_path: Path) -> None:
    path = table(tmp_path, "t-1,CoO3,host.cif,1e-5,S/cm,RT,,,,", "t-2,LiF,,1e-5,S/cm,RT,,,,")
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        archive.add(path, "measured.csv")
    (record,), (bad,) = split(tmp_path / "set.tar")
    assert record.id == "t-2"
    assert "within a tar archive" in str(bad.error)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ("x,LiF,,1e-5,,300,K,,,", "no unit"),
        ("x,LiF,,1e-5,ohm,300,K,,,", "unit 'ohm'"),
        ("x,LiF,,zero,S/cm,300,K,,,", "a number or a bound"),
        ("x,LiF,,0,S/cm,300,K,,,", "above zero"),
        ("x,,,1e-5,S/cm,300,K,,,", "no composition"),
        ("x,Li1-xF,,1e-5,S/cm,300,K,,,", "cannot be read"),
        ("x,LiF,gone.cif,1e-5,S/cm,300,K,,,", "no file 'gone.cif'"),
        ("x,LiF,../host.cif,1e-5,S/cm,300,K,,,", "beside the table"),
        ("x,LiF,,1e-5,S/cm,300,,,,", "temperature has no unit"),
        ("x,LiF,,1e-5", "10"),
    ],
)
def test_a_broken_row_is_kept_with_its_reason_and_the_rest_goes_on(tmp_path: Path, cells: str, said: str) -> None:
    path = table(tmp_path, cells, "t-2,LiF,,1e-5,S/cm,300,K,,,")
    (good,), (bad,) = split(path)
    assert good.id == "t-2"
    assert said in str(bad.error)
    assert bad.content == cells.encode()


def test_tables_are_told_apart_by_their_header() -> None:
    assert table_kind("formula;log10_sigma;unit") == ("conductivity-csv", ";")
    assert table_kind("composition,barrier") is None
    assert table_kind(",".join(COLUMNS)) == ("conductivity-csv", ",")


# ---------------------------------------------------------------------------------------------------------- the real file


@pytest.mark.data
def test_every_row_of_the_real_file(data_folder: Path) -> None:
    from pymatgen.core.composition import Composition

    path = data_folder / "ionic" / "conductivity.jsonl.gz"
    records, bad = split(path)
    assert not bad
    assert {record.format for record in records} == {"conductivity-json"}
    found = [read_conductivity(record.format, record.content) for record in records]
    with gzip.open(path, "rt") as file:
        given = [json.loads(line) for line in file]
    assert len(found) == len(given) == 1298
    for record, original in zip(found, given, strict=True):
        assert record.log10_sigma == original["log10_sigma"]
        assert record.temperature == original["temperature_K"]
        assert record.censored == original["censored"]
        assert (record.crystal is not None) == (original["structure"] is not None)
        assert record.flags == original["quality_flags"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pymatgen warns of elements without an electronegativity
            slow = {str(symbol): amount for symbol, amount in Composition(record.formula.replace('"', "")).items()}
        assert difference(record.composition, slow) < 1e-12
    assert sum(record.censored is not None for record in found) == 29
    assert sum(record.crystal is not None for record in found) == 254
    told = {record.id for record in found if any(each.startswith("no_Li_in_structure") for each in record.warnings)}
    assert told == {record.id for record in found if "no_Li_in_structure" in record.flags}
