"""Hops of made-up crystals in every layout that is read, written by ourselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from store.crystal import Crystal
from store.hops import HopRecord
from store.ingest.containers import read_records
from store.ingest.readers import read_hop
from store.ingest.records import Record

A = 6.0
CUBE = [[A, 0, 0], [0, A, 0], [0, 0, A]]
HOST = {
    "lattice": CUBE,
    "species": ["Co", "O", "O", "O"],
    "frac_coords": [[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]],
}
START, END = [0.5, 0.5, 0.75], [0.5, 0.5, 1.25]
PROFILE = [-10.0, -9.7, -9.5, -9.8, -9.9]
"""Energies of five images, eV: forward 0.5, reverse 0.4, max-min 0.5."""

INDEX = "material_id,edge_id,chemsys,has_specific_TM,em_bvse,em_dft,_split\n"
HEADER = (
    "id,working_ion,structure_file,moving_ion_included,start_x,start_y,start_z,end_x,end_y,end_z,image,barrier,unit,"
    "barrier_definition,method,functional,charge_state,limit,name,doi,crystal_class,colour"
)


def row(**changes: Any) -> dict[str, Any]:
    """One hop of the uniform layout; a change to None takes the key out."""
    made = {
        "id": "h-1",
        "source": "mine",
        "doi": "10.1234/abc",
        "sys_name": "LiCoO3",
        "working_ion": "Li",
        "structure": HOST,
        "start_frac": START,
        "end_frac": END,
        "barrier_eV": 0.5,
        "units": "eV",
        "method": "DFT-NEB, GGA+U (literature value)",
        "xc": "GGA+U",
        "limit": "dilute ion (charged host)",
        "framework_formula": "CoO3",
        "crystal_class": "PEROVSKITE",
        "space_group": "Pm-3m",
        "quality_flags": ["odd"],
        "license": "CC0-1.0",
        "colour": "blue",
    } | changes
    return {key: value for key, value in made.items() if value is not None}


def encoded(value: Any) -> bytes:
    """JSON as it stands in the uniform files: no blanks."""
    return json.dumps(value, separators=(",", ":")).encode()


def with_ion(place: list[float]) -> Crystal:
    """The host and lithium at a place, which is wrapped into the cell."""
    wrapped = (np.array(place) % 1.0).tolist()
    return Crystal.from_lists(CUBE, ["Li", *HOST["species"]], [wrapped, *HOST["frac_coords"]])


def images(count: int = 5) -> list[Crystal]:
    """The path from start to end, the ion wrapped; the host trembles a little."""
    path = np.linspace(START, END, count)
    shaken = []
    for number, place in enumerate(path):
        crystal = with_ion(place.tolist())
        coords = crystal.frac_coords.copy()
        coords[1:] += 0.003 * np.sin(number + np.arange(12).reshape(4, 3))
        shaken.append(Crystal(crystal.lattice, coords, crystal.species))
    return shaken


def poscar(crystal: Crystal) -> str:
    """VASP 5, one line of symbols for each atom."""
    lines = ["made up", "1.0", *(" ".join(map(repr, vector)) for vector in crystal.lattice.tolist())]
    lines += [" ".join(crystal.species), " ".join("1" for _ in crystal.species), "Direct"]
    lines += [" ".join(map(repr, place)) for place in crystal.frac_coords.tolist()]
    return "\n".join(lines) + "\n"


def cif(crystal: Crystal) -> str:
    """A CIF in P1."""
    lines = ["data_made", *(f"_cell_length_{axis} {A}" for axis in "abc")]
    lines += [f"_cell_angle_{angle} 90" for angle in ("alpha", "beta", "gamma")]
    lines += ["_symmetry_space_group_name_H-M 'P 1'", "loop_", "_atom_site_label", "_atom_site_type_symbol"]
    lines += [f"_atom_site_fract_{axis}" for axis in "xyz"]
    places = zip(crystal.species, crystal.frac_coords.tolist(), strict=True)
    lines += [f"{symbol}1 {symbol} {' '.join(f'{x:.6f}' for x in place)}" for symbol, place in places]
    return "\n".join(lines) + "\n"


def csv_row(**changes: str) -> str:
    """One row of the table; every cell can be changed."""
    cells = {
        "id": "t-1", "working_ion": "Li", "structure_file": "host.cif", "moving_ion_included": "no",
        "start_x": "0.5", "start_y": "0.5", "start_z": "0.75", "end_x": "0.5", "end_y": "0.5", "end_z": "0.25",
        "image": "shortest", "barrier": "500", "unit": "meV", "barrier_definition": "max-min", "method": "DFT-NEB",
        "functional": "PBE", "charge_state": "1", "limit": "dilute", "name": "LiCoO3", "doi": "10.1234/abc",
        "crystal_class": "perovskite", "colour": "blue",
    } | changes  # fmt: skip
    return ",".join(cells[column] for column in HEADER.split(","))


def table(folder: Path, *rows: str) -> Path:
    """A table with the files that its rows may name: host.cif, filled.vasp, cells/filled.cif."""
    (folder / "cells").mkdir(parents=True, exist_ok=True)
    (folder / "host.cif").write_text(cif(Crystal.from_lists(HOST["lattice"], HOST["species"], HOST["frac_coords"])))
    (folder / "filled.vasp").write_text(poscar(with_ion(START)))
    (folder / "cells" / "filled.cif").write_text(cif(with_ion(START)))
    path = folder / "hops.csv"
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


def trajectory(energies: list[float] | None = PROFILE, count: int = 5) -> str:
    """Extended XYZ as ASE writes it."""
    frames = []
    for number, image in enumerate(images(count)):
        energy = "" if energies is None else f" energy={energies[number]}"
        box = " ".join(str(value) for value in image.lattice.ravel())
        frames.append(f'{image.n_sites}\nLattice="{box}" Properties=species:S:1:pos:R:3{energy} pbc="T T T"\n')
        for symbol, place in zip(image.species, (image.frac_coords @ image.lattice).tolist(), strict=True):
            frames.append(f"{symbol} " + " ".join(f"{x:.8f}" for x in place) + "\n")
    return "".join(frames)


def litraj(folder: Path, *edges: str, name: str = "nebDFT2k") -> Path:
    """A folder in the layout of nebDFT2k."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for edge in edges:
        lines.append(f"mp-1,{edge},Co-Li-O,True,0.61,0.5,train\n")
        (folder / f"{edge}_init.xyz").write_text(trajectory(None))
        (folder / f"{edge}_relaxed.xyz").write_text(trajectory())
    index = folder / f"{name}_index.csv"
    index.write_text(INDEX + "".join(lines))
    centroid = trajectory(None, 1).replace("Li ", "X ", 1)
    (folder / f"{name}_centroids.xyz").write_text(centroid * len(edges))
    return index


def structure_dict(crystal: Crystal) -> dict[str, Any]:
    """A crystal as pymatgen's Structure.as_dict() has it."""
    sites = [
        {"species": [{"element": symbol, "occu": 1}], "abc": place, "label": symbol, "properties": {}}
        for symbol, place in zip(crystal.species, crystal.frac_coords.tolist(), strict=True)
    ]
    lattice = {"matrix": crystal.lattice.tolist(), "pbc": [True, True, True]}
    return {
        "@module": "pymatgen.core.structure",
        "@class": "Structure",
        "charge": 0,
        "lattice": lattice,
        "sites": sites,
    }


def neb_result(**changes: Any) -> dict[str, Any]:
    """An emmet NebResult; a change to None takes the key out."""
    made = {
        "images": [structure_dict(image) for image in images()],
        "energies": PROFILE,
        "state": "successful",
        "neb_method": "climbing_image",
        "forward_barrier": 0.51,
        "reverse_barrier": 0.41,
        "failure_reasons": None,
    } | changes
    return {key: value for key, value in made.items() if value is not None}


def neb_pathway(**hops: Any) -> dict[str, Any]:
    """An emmet NebPathwayResult."""
    return {
        "hops": hops or {"0+1": neb_result(), "1+2": neb_result(state="failed")},
        "identifier": "js-1_Li",
        "active_species": "Li",
        "host_formula_reduced": "CoO3",
        "@module": "emmet.core.neb",
        "@class": "NebPathwayResult",
    }


def migration_graph(*, edges: bool = True) -> dict[str, Any]:
    """An emmet MigrationGraphDoc of two lithium sites in the cube."""
    ions = Crystal.from_lists(CUBE, ["Li", "Li"], [[0.5, 0.5, 0.75], [0.5, 0.5, 0.25]])
    whole = Crystal.from_lists(CUBE, ["Li", "Li", *HOST["species"]], [*ions.frac_coords.tolist(), *HOST["frac_coords"]])
    first = {
        "to_jimage": [0, 0, 1],
        "ipos": {"@module": "numpy", "@class": "array", "dtype": "float64", "data": START},
        "epos": {"@module": "numpy", "@class": "array", "dtype": "float64", "data": END},
        "hop": {"symm_structure": "a long repetition"},
        "hop_label": 0, "hop_distance": 3.0, "cost": 3.0, "id": 1, "key": 0,
    }  # fmt: skip
    second = {"to_jimage": [0, 0, 0], "hop_label": 1, "hop_distance": 3.0, "cost": 3.0, "id": 1, "key": 1}
    again = {**second, "hop_label": 0, "key": 2}
    graph = {
        "@class": "MigrationGraph",
        "structure": structure_dict(whole),
        "m_graph": {
            "@class": "StructureGraph",
            "structure": structure_dict(ions),
            "graphs": {"directed": True, "multigraph": True, "adjacency": [[first, second, again], []]},
        },
        "symprec": 0.1,
    }
    supercell = structure_dict(Crystal.from_lists(HOST["lattice"], HOST["species"], HOST["frac_coords"]))
    places = [{"uc_site_type": str(number), "site_frac_coords": [0.5, 0.5, z]} for number, z in enumerate((0.75, 0.25))]
    return {
        "battery_id": "js-7_Li",
        "hop_cutoff": 4.0,
        "warnings": ["Fully charged entry contains working ion."],
        "deprecated": False,
        "working_ion_entry": {"composition": {"Li": 1.0}, "energy": -1.9},
        "migration_graph": graph if edges else None,
        "matrix_supercell_structure": supercell,
        "inserted_ion_coords": places,
        "insert_coords_combo": ["0+1"],
    }


def uniform(**changes: Any) -> HopRecord:
    """A hop of the uniform layout, read."""
    return read_hop("hop-json", encoded(row(**changes)))


def split(path: Path) -> list[Record]:
    """The records of a file, none of which is bad."""
    found = list(read_records(path))
    assert all(isinstance(item, Record) for item in found), found
    return [item for item in found if isinstance(item, Record)]
