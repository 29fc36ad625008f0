"""The readers of POSCAR, extended XYZ, ASE rows and the JSON layouts."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from store.errors import (
    InvalidCoordinates,
    InvalidLattice,
    InvalidOccupancy,
    SourceError,
    StructureError,
    UnknownElement,
    UnknownFormat,
)
from store.ingest.containers import read_records
from store.ingest.kinds import FORMATS, STRUCTURES
from store.ingest.readers import read_record

CUBE = [[4.2, 0, 0], [0, 4.2, 0], [0, 0, 4.2]]
CESIUM_CHLORIDE = {"lattice": CUBE, "species": ["Cs", "Cl"], "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]]}
POSCAR = "CsCl\n1.0\n4.2 0 0\n0 4.2 0\n0 0 4.2\nCs Cl\n1 1\nDirect\n0 0 0\n0.5 0.5 0.5\n"


def uniform(structure: Any = None, **more: Any) -> bytes:
    return json.dumps({"id": "x", "structure": structure or CESIUM_CHLORIDE, **more}).encode()


def test_formats_and_version() -> None:
    assert set(FORMATS) == {
        "amcsd-json", "ase-json", "cif", "extxyz", "mp-json", "optimade-json", "poscar", "pymatgen-json", "uniform-json",
    }  # fmt: skip
    assert STRUCTURES.version >= 1
    with pytest.raises(UnknownFormat, match="unreadable"):
        read_record("unreadable", b"x")


def test_uniform_with_properties() -> None:
    content = uniform(
        source="mp", formula="CsCl", band_gap=5.0, energy_above_hull=0.0, formation_energy_per_atom=None, icsd=True,
        created_at="2011-05-12", doi="10.1000/1", spacegroup=221,
    )  # fmt: skip
    read = read_record("uniform-json", content)
    assert read.crystal.species == ("Cs", "Cl")
    assert read.properties == {
        "band_gap": 5.0, "energy_above_hull": 0.0, "icsd": True, "experimental": True, "created_at": "2011-05-12",
        "doi": "10.1000/1", "spacegroup": 221, "formula_reported": "CsCl",
    }  # fmt: skip
    assert read.references == ["doi:10.1000/1"]


def test_uniform_with_occupancies() -> None:
    sites = [
        {"species": {"Li": 0.875}, "frac_coords": [0, 0, 0]},
        {"species": {"O": 1.0}, "frac_coords": [0.5, 0.5, 0.5]},
    ]
    read = read_record("uniform-json", uniform({"lattice": CUBE, "sites": sites}))
    assert read.crystal.species == ("Li0.875", "O")


def changed(**more: Any) -> bytes:
    return uniform({**CESIUM_CHLORIDE, **more})


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (json.dumps({"id": "x", "structure": None}).encode(), SourceError, "no structure"),
        (b'{"id": "x", "structure": {"lattice"', SourceError, "no JSON"),
        (b"[1, 2]", SourceError, "object"),
        (changed(species=["Cs", "Xx"]), UnknownElement, "Xx"),
        (changed(species=["Cs", 17]), UnknownElement, "17"),
        (changed(species=["Cs"]), InvalidCoordinates, "1 species and 2 positions"),
        (changed(species=[]), SourceError, "no atoms"),
        (changed(frac_coords=[[0, 0, 0], [0, 0, math.nan]]), InvalidCoordinates, "finite"),
        (changed(frac_coords=[[0, 0, 0], [0, 0, None]]), InvalidCoordinates, "finite"),
        (changed(frac_coords=[[0, 0, 0], [0, 0, math.inf]]), InvalidCoordinates, "finite"),
        (changed(frac_coords=[[0, 0, 0], [0, 0]]), InvalidCoordinates, "rows of 3"),
        (changed(frac_coords="none"), InvalidCoordinates, "rows of 3"),
        (changed(lattice=[[1, 0, 0], [2, 0, 0], [0, 0, 1]]), InvalidLattice, "no volume"),
        (changed(lattice=[[0, 0, 0]] * 3), InvalidLattice, "no volume"),
        (changed(lattice=[[1, 0], [0, 1]]), InvalidLattice, "rows of 3"),
        (changed(lattice=None), SourceError, "no lattice"),
        (uniform({"lattice": CUBE, "sites": [{"species": {"Li": 1.2}, "frac_coords": [0, 0, 0]}]}), InvalidOccupancy, "1.2"),
        (uniform({"lattice": CUBE, "sites": [{"species": {"Li": -1}, "frac_coords": [0, 0, 0]}]}), InvalidOccupancy, "-1"),
        (uniform({"lattice": CUBE, "sites": [{"species": {}, "frac_coords": [0, 0, 0]}]}), InvalidOccupancy, "nothing"),
        (uniform({"lattice": CUBE, "sites": [{"species": {"Li": "a"}, "frac_coords": [0, 0, 0]}]}), SourceError, "number"),
    ],
)  # fmt: skip
def test_uniform_bad_input(content: bytes, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        read_record("uniform-json", content)


def test_pymatgen_structures_and_entries() -> None:
    from pymatgen.core import Lattice, Structure
    from pymatgen.entries.computed_entries import ComputedStructureEntry

    structure = Structure(Lattice.cubic(4.2), [{"Cs+": 0.9, "Rb+": 0.1}, "Cl-"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    read = read_record("pymatgen-json", json.dumps(structure.as_dict()).encode())
    assert read.crystal.species == ("Cs0.9Rb0.1", "Cl")
    entry = ComputedStructureEntry(structure, -6.5, entry_id="e-1", data={"e_above_hull": 0.02})
    read = read_record("pymatgen-json", json.dumps(entry.as_dict()).encode())
    assert read.properties["energy_above_hull"] == 0.02
    assert read.properties["energy"] == -6.5
    bare = structure.as_dict()
    for site in bare["sites"]:
        del site["abc"]
    np.testing.assert_allclose(
        read_record("pymatgen-json", json.dumps(bare).encode()).crystal.frac_coords, structure.frac_coords, atol=1e-9
    )
    with pytest.raises(SourceError, match="molecule"):
        read_record("pymatgen-json", b'{"@class": "Molecule", "sites": []}')


def test_poscar_of_every_kind() -> None:
    plain = read_record("poscar", POSCAR.encode()).crystal
    assert plain.species == ("Cs", "Cl")
    variants = {
        "Cartesian": POSCAR.replace("Direct\n0 0 0\n0.5 0.5 0.5", "Cartesian\n0 0 0\n2.1 2.1 2.1"),
        "scaled": POSCAR.replace("1.0\n4.2 0 0\n0 4.2 0\n0 0 4.2", "4.2\n1 0 0\n0 1 0\n0 0 1"),
        "volume": POSCAR.replace("1.0\n4.2 0 0\n0 4.2 0\n0 0 4.2", f"-{4.2**3}\n1 0 0\n0 1 0\n0 0 1"),
        "three scales": POSCAR.replace("1.0\n4.2 0 0\n0 4.2 0\n0 0 4.2", "4.2 2.1 8.4\n1 0 0\n0 2 0\n0 0 0.5"),
        "selective": POSCAR.replace("Direct\n0 0 0\n0.5 0.5 0.5", "Selective\nDirect\n0 0 0 T T T\n.5 .5 .5 F F F"),
        "VASP 6": POSCAR.replace("Cs Cl\n", "Cs_sv/f474ac0d Cl/79d9987a\n"),
        "VASP 4": POSCAR.replace("CsCl\n", "Cs Cl\n", 1).replace("4.2\nCs Cl\n", "4.2\n"),
        "velocities": POSCAR + "\n0 0 0\n0 0 0\n",
        "Windows": POSCAR.replace("\n", "\r\n"),
        "two lines": POSCAR.replace("Cs Cl\n1 1\n", "Cs\nCl\n1\n1\n"),
    }
    for name, text in variants.items():
        crystal = read_record("poscar", text.encode()).crystal
        assert crystal.species == plain.species, name
        np.testing.assert_allclose(crystal.frac_coords, plain.frac_coords, atol=1e-9, err_msg=name)
        np.testing.assert_allclose(crystal.lattice, plain.lattice, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (POSCAR[:40], SourceError),
        (POSCAR[:-5], SourceError),
        (POSCAR.replace("Cs Cl\n1", "Cs Xx\n1"), UnknownElement),
        (POSCAR.replace("4.2\nCs Cl\n", "4.2\n"), UnknownElement),
        (POSCAR.replace("1 1\n", "1 99999999\n"), SourceError),
        (POSCAR.replace("1 1\n", "1 1 1\n"), SourceError),
        (POSCAR.replace("0.5 0.5 0.5", "0.5 nan 0.5"), InvalidCoordinates),
        (POSCAR.replace("1.0\n", "0\n"), InvalidLattice),
        (POSCAR.replace("0 0 4.2\n", "0 4.2 0\n"), InvalidLattice),
        (POSCAR.replace("0.5 0.5 0.5", "0.5 a 0.5"), SourceError),
    ],
)
def test_poscar_bad_input(text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_record("poscar", text.encode())


def test_extended_xyz_as_ase_writes_it(tmp_path: Path) -> None:
    import ase.io
    from ase import Atoms

    atoms = Atoms(
        "CsCl", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], cell=[[4, 0.1, 0], [0, 4.2, 0.3], [0, 0, 5]], pbc=True
    )
    atoms.info = {"energy": -6.25, "name": "a b", "converged": True}
    atoms.arrays["forces_x"] = np.zeros((2, 3))
    frames = [atoms, atoms.repeat((2, 1, 1))]
    ase.io.write(tmp_path / "two.extxyz", frames, format="extxyz")
    records = list(read_records(tmp_path / "two.extxyz"))
    assert [record.origin.line for record in records] == [1, 5]
    for record, frame in zip(records, frames, strict=True):
        read = read_record(record.format, record.content)
        np.testing.assert_allclose(read.crystal.lattice, frame.cell.array, atol=1e-8)
        np.testing.assert_allclose(read.crystal.frac_coords, frame.get_scaled_positions(wrap=False), atol=1e-7)
        assert read.properties == {"energy": -6.25, "name": "a b", "converged": True}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("1\nno cell\nPo 0 0 0\n", SourceError),
        ('1\nLattice="3 0 0 0 3 0 0 0"\nPo 0 0 0\n', InvalidLattice),
        ('1\nLattice="3 0 0 0 3 0 0 0 3" pbc="F F F"\nPo 0 0 0\n', SourceError),
        ('2\nLattice="3 0 0 0 3 0 0 0 3"\nPo 0 0 0\n', SourceError),
        ('1\nLattice="3 0 0 0 3 0 0 0 3"\nXx 0 0 0\n', UnknownElement),
        ('1\nLattice="3 0 0 0 3 0 0 0 3" Properties=pos:R:3\nPo 0 0 0\n', SourceError),
        ('1\nLattice="3 0 0 0 3 0 0 0 3" Properties=species:S:99999999999\nPo 0 0 0\n', SourceError),
        ('1\nLattice="3 0 0 0 3 0 0 0 3"\nPo nan 0 0\n', InvalidCoordinates),
    ],
)
def test_extended_xyz_bad_input(text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_record("extxyz", text.encode())


@pytest.mark.parametrize("name", ["rows.db", "rows.json"])
def test_ase_databases(tmp_path: Path, name: str) -> None:
    import ase.db
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator

    atoms = Atoms("CsCl", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], cell=[4.2] * 3, pbc=True)
    atoms.calc = SinglePointCalculator(atoms, energy=-6.25, forces=np.zeros((2, 3)))
    with ase.db.connect(tmp_path / name) as database:
        database.write(atoms, band_gap=5.1, name="caesium chloride", data={"big": list(range(10))})
        database.write(Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.74]]))
    crystal_row, molecule_row = read_records(tmp_path / name)
    assert crystal_row.format == "ase-json"
    assert crystal_row.id.startswith("ase-")
    read = read_record(crystal_row.format, crystal_row.content)
    assert read.crystal.species == ("Cs", "Cl")
    np.testing.assert_allclose(read.crystal.frac_coords[1], 0.5)
    assert read.properties["band_gap"] == 5.1
    assert read.properties["energy"] == -6.25
    assert read.name == "caesium chloride"
    with pytest.raises((SourceError, StructureError)):
        read_record(molecule_row.format, molecule_row.content)
    assert [record.content for record in read_records(tmp_path / name)] == [crystal_row.content, molecule_row.content]


def test_optimade_disorder_and_what_is_missing() -> None:
    attributes: dict[str, Any] = {
        "lattice_vectors": CUBE,
        "cartesian_site_positions": [[0, 0, 0], [2.1, 2.1, 2.1]],
        "species": [
            {"name": "Cs1", "chemical_symbols": ["Cs", "vacancy"], "concentration": [0.8, 0.2]},
            {"name": "Cl", "chemical_symbols": ["Cl"], "concentration": [1.0]},
        ],
        "species_at_sites": ["Cs1", "Cl"],
        "_mp_stability": {"gga_gga+u": {"energy_above_hull": 0.03, "formation_energy_per_atom": -1.0}},
    }

    def read(**more: Any) -> Any:
        content = json.dumps({"type": "structures", "id": "1", "attributes": {**attributes, **more}}).encode()
        return read_record("optimade-json", content)

    result = read()
    assert result.crystal.species == ("Cs0.8", "Cl")
    np.testing.assert_allclose(result.crystal.frac_coords[1], 0.5)
    assert result.properties["energy_above_hull"] == 0.03
    for more, error in (
        ({"lattice_vectors": None}, SourceError),
        ({"species_at_sites": ["Cs1", "Br"]}, SourceError),
        ({"dimension_types": [1, 1, 0]}, SourceError),
        ({"species": [{"name": "Cl", "chemical_symbols": ["X"], "concentration": [1]}]}, UnknownElement),
        ({"cartesian_site_positions": [[0, 0, 0], [0, 0, None]]}, InvalidCoordinates),
    ):
        with pytest.raises(error):
            read(**more)


def test_properties_that_mongodb_cannot_hold_are_made_safe() -> None:
    content = uniform(
        **{"a.b": 1, "$c": {"$d": 2**70, "e": [math.nan, 1]}, "long": "x" * 10_000, "deep": [[[[[[[[1]]]]]]]]}
    )
    import bson

    properties = read_record("uniform-json", content).properties
    assert properties["a_b"] == 1
    assert properties["c"] == {"d": float(2**70), "e": [None, 1]}
    assert "long" not in properties
    bson.encode(properties)
