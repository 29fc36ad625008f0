"""Reading CIF: what it must take, what it must mend, and what it must refuse with a clear reason."""

from __future__ import annotations

import time
import warnings

import numpy as np
import pytest

from store.errors import (
    EmptySource,
    InvalidCoordinates,
    InvalidLattice,
    InvalidOccupancy,
    SourceError,
    UnknownElement,
)
from store.ingest.readers import read_record

CELL = {
    "length_a": "4.2",
    "length_b": "4.2",
    "length_c": "4.2",
    "angle_alpha": "90",
    "angle_beta": "90",
    "angle_gamma": "90",
}
INVERSION = ("x,y,z", "-x,-y,-z")


def cif(
    *sites: str,
    columns: tuple[str, ...] = ("label", "fract_x", "fract_y", "fract_z"),
    operations: tuple[str, ...] = ("x,y,z",),
    cell: dict[str, str] | None = None,
    extra: str = "",
) -> bytes:
    lines = ["data_test"]
    lines += [f"_cell_{key} {value}" for key, value in {**CELL, **(cell or {})}.items()]
    if operations:
        lines += ["loop_", "_symmetry_equiv_pos_as_xyz", *(f"'{operation}'" for operation in operations)]
    lines += [extra, "loop_", *(f"_atom_site_{column}" for column in columns), *sites, ""]
    return "\n".join(lines).encode()


def test_rock_salt_from_its_group_name() -> None:
    content = cif("Mg1 0 0 0", "O1 0.5 0.5 0.5", operations=(), extra="_symmetry_space_group_name_H-M 'F m -3 m'")
    read = read_record("cif", content)
    assert read.crystal.amounts() == {"Mg": 4.0, "O": 4.0}
    assert any("Spacegroup from" in note for note in read.warnings)


def test_centring_and_uncertainties() -> None:
    content = cif(
        "Fe1 Fe3+ 0.0000(2) 0 0 1.00(1)",
        columns=("label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy"),
        operations=("x,y,z", "x+1/2,y+1/2,z+1/2"),
        cell={"length_a": "2.8665(3)", "length_b": "2.8665", "length_c": "2.8665"},
    )
    crystal = read_record("cif", content).crystal
    assert crystal.amounts() == {"Fe": 2.0}
    assert crystal.volume == pytest.approx(2.8665**3)


def test_mixed_and_partial_sites_keep_their_occupancies() -> None:
    content = cif(
        "Mg1 0 0 0 0.9", "Fe1 0 0 0 0.1", "O1 0.5 0.5 0.5 1", "Li1 0.25 0.25 0.25 0.5",
        columns=("label", "fract_x", "fract_y", "fract_z", "occupancy"),
    )  # fmt: skip
    crystal = read_record("cif", content).crystal
    assert crystal.species == ("Fe0.1Mg0.9", "O", "Li0.5")


def test_water_and_missing_hydrogen_are_told() -> None:
    content = cif("Ca1 0 0 0", "Wat 0.5 0.5 0.5", extra="_chemical_formula_sum 'Ca O H2'")
    read = read_record("cif", content)
    assert read.crystal.amounts() == {"Ca": 1.0, "O": 1.0}
    assert any(note.startswith("hydrogen_not_located") for note in read.warnings)


def test_labels_that_pymatgen_drops_are_kept() -> None:
    assert read_record("cif", cif("Al1 0 0 0", "OH1 0.5 0.5 0.5")).crystal.amounts() == {"Al": 1.0, "O": 1.0}


def test_what_comes_along_is_kept() -> None:
    extra = "\n".join(
        [
            "_chemical_name_mineral Periclase",
            "_chemical_formula_sum 'Mg O'",
            "_cell_measurement_temperature 293(2)",
            "_journal_name_full 'Some Journal'",
            "_journal_year 1999",
            "_journal_paper_doi 10.1000/xyz",
            "loop_",
            "_publ_author_name",
            "'Doe, J.'",
        ]
    )
    read = read_record("cif", cif("Mg1 0 0 0", "O1 0.5 0.5 0.5", extra=extra))
    assert read.name == "Periclase"
    assert read.properties["temperature"] == 293.0
    assert read.properties["experimental"] is True
    assert read.references == ["doi:10.1000/xyz", "Doe, J.. Some Journal (1999)"]


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (b"", EmptySource, "empty"),
        (cif("Mg1 0 0 0")[:120], SourceError, "cut off"),
        (cif("Mg1 0 0 0", "O1 0.5"), SourceError, "cut off"),
        (cif("Xx1 0 0 0"), UnknownElement, "Xx1"),
        (cif("A Qq 0 0 0", columns=("label", "type_symbol", "fract_x", "fract_y", "fract_z")), UnknownElement, "Qq"),
        (cif("Mg1 nan 0 0"), InvalidCoordinates, "finite"),
        (cif("Mg1 inf 0 0"), InvalidCoordinates, "finite"),
        (cif("Mg1 ? 0 0"), InvalidCoordinates, "no coordinate x"),
        (cif("Mg1 zero 0 0"), SourceError, "no number"),
        (cif("Mg1 0 0 0", cell={"length_a": "0"}), InvalidLattice, "positive"),
        (cif("Mg1 0 0 0", cell={"length_a": "-4"}), InvalidLattice, "positive"),
        (cif("Mg1 0 0 0", cell={"length_a": "nan"}), InvalidLattice, "positive"),
        (cif("Mg1 0 0 0", cell={"length_a": "?"}), InvalidLattice, "_cell_length_a"),
        (cif("Mg1 0 0 0", cell={"angle_gamma": "180"}), InvalidLattice, "volume"),
        (cif("Mg1 0 0 0", operations=("x,y",)), SourceError, "three parts"),
        (cif("Mg1 0 0 0 1.2", columns=("label", "fract_x", "fract_y", "fract_z", "occupancy")), InvalidOccupancy, "1.2"),
        (cif("Mg1 0 0 0 -1", columns=("label", "fract_x", "fract_y", "fract_z", "occupancy")), InvalidOccupancy, "-1"),
        (cif("Mg1 0 0 0", "Fe1 0 0 0"), InvalidOccupancy, "sum to 2"),
        (b"data_x\n_cell_length_a 4\n", SourceError, "no atoms"),
        (b"\x00\x01" * 500, SourceError, "binary"),
        (bytes(range(128, 256)) * 40, SourceError, "CIF"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(content: bytes, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        read_record("cif", content)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_encodings(encoding: str) -> None:
    text = cif("Mg1 0 0 0", extra="_publ_section_title 'Gröbner Å'").decode()
    read = read_record("cif", text.encode(encoding))
    assert read.properties["title"] == "Gröbner Å"
    assert bool([note for note in read.warnings if "Latin-1" in note]) == (encoding == "latin-1")


def test_reading_warns_nobody() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = read_record("cif", cif("Wat1 0 0 0", "Mg1 0.5 0 0", operations=()))
    assert read.warnings


def test_ten_thousand_atoms() -> None:
    places = np.stack(np.meshgrid(*[np.arange(22)] * 3), -1).reshape(-1, 3)[:10_000] / 22
    sites = [f"Si{row} {x:.6f} {y:.6f} {z:.6f}" for row, (x, y, z) in enumerate(places)]
    content = cif(*sites, cell={"length_a": "66", "length_b": "66", "length_c": "66"})
    start = time.monotonic()
    crystal = read_record("cif", content).crystal
    assert time.monotonic() - start < 20
    assert crystal.amounts() == {"Si": 10_000.0}


@pytest.mark.parametrize(
    ("symbol", "lattice", "species", "coords"),
    [
        ("Fd-3m", 5.43, ["Si"], [[0, 0, 0]]),
        ("P6_3/mmc", None, ["Zn"], [[1 / 3, 2 / 3, 0.25]]),
        ("Pnma", (10.3, 6.0, 4.7), ["Li", "Fe", "P"], [[0, 0, 0], [0.28, 0.25, 0.97], [0.09, 0.25, 0.42]]),
    ],
)  # fmt: skip
def test_what_pymatgen_writes_comes_back(
    symbol: str, lattice: object, species: list[str], coords: list[object]
) -> None:
    from pymatgen.core import Lattice, Structure
    from pymatgen.io.cif import CifWriter

    if lattice is None:
        box = Lattice.hexagonal(2.66, 4.95)
    else:
        box = Lattice.cubic(lattice) if isinstance(lattice, float) else Lattice.orthorhombic(*lattice)  # type: ignore[misc]
    structure = Structure.from_spacegroup(symbol, box, species, coords)
    for options in ({}, {"symprec": 0.01}):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # spglib's own, from the writer
            written = str(CifWriter(structure, **options)).encode()
        crystal = read_record("cif", written).crystal
        assert crystal.amounts() == structure.composition.as_dict()
        assert crystal.volume == pytest.approx(structure.volume, rel=1e-6)
        assert crystal.to_pymatgen().matches(structure)


def test_magnetic_cif_gives_the_nuclear_cell() -> None:
    content = cif(
        "Mn1 0 0 0", "O1 0.5 0.5 0.5", operations=(),
        extra="loop_\n_space_group_symop_magn_operation.xyz\n'x,y,z,+1'\n'-x,-y,-z,+1'\n",
    )  # fmt: skip
    assert read_record("cif", content).crystal.amounts() == {"Mn": 1.0, "O": 1.0}
