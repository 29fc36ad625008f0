"""Tables of hops and the files beside them: the documented CSV and LiTraj's nebDFT2k, in folders and archives."""

from __future__ import annotations

import bz2
import gzip
import json
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from store.errors import EmptySource, SourceError, SourceTooLarge, UnknownFormat
from store.hops import HopRecord
from store.ingest.containers import read_records
from store.ingest.hop_csv import COLUMNS
from store.ingest.hop_tables import named_files, table_kind
from store.ingest.limits import Limits
from store.ingest.readers import read_hop
from store.ingest.records import BadRecord, Record

from .hop_examples import END, HEADER, INDEX, PROFILE, START, cif, csv_row, images, litraj, table, trajectory, with_ion


def split(path: Path) -> tuple[list[Record], list[BadRecord]]:
    found = list(read_records(path))
    return [one for one in found if isinstance(one, Record)], [one for one in found if isinstance(one, BadRecord)]


def one(path: Path) -> HopRecord:
    (record,), bad = split(path)
    assert not bad
    return read_hop(record.format, record.content)


def problem(path: Path) -> str:
    good, (bad,) = split(path)
    assert not good
    assert bad.content
    return str(bad.error)


# ------------------------------------------------------------------------------------------------------------------ CSV


def test_a_row_of_the_table_with_the_host_in_a_cif(tmp_path: Path) -> None:
    path = table(tmp_path, csv_row())
    (record,), bad = split(path)
    assert not bad
    assert (record.format, record.id, record.references) == ("hop-csv", "t-1", ("doi:10.1234/abc",))
    assert (record.origin.path, record.origin.line) == (str(path), 2)
    hop = read_hop(record.format, record.content)
    assert (hop.id, hop.name, hop.working_ion, hop.host.species) == ("t-1", "LiCoO3", "Li", ("Co", "O", "O", "O"))
    assert hop.length == pytest.approx(3.0)
    assert (hop.barrier, hop.barrier_definition) == (0.5, "max-min")
    assert hop.warnings[-1] == "The barrier was converted from 500 meV."
    assert (hop.method, hop.functional, hop.charge_state, hop.limit) == ("DFT-NEB", "PBE", 1.0, "dilute")
    assert (hop.crystal_class, hop.properties) == ("perovskite", {"colour": "blue"})


def test_the_record_holds_all_it_needs(tmp_path: Path) -> None:
    path = table(tmp_path, csv_row())
    (record,), _ = split(path)
    before = read_hop(record.format, record.content)
    shutil.rmtree(tmp_path / "cells")
    for file in tmp_path.iterdir():
        file.unlink()
    again = read_hop(record.format, record.content)
    assert again.host.frac_coords.tolist() == before.host.frac_coords.tolist()
    assert b"data_made" in record.content


@pytest.mark.parametrize("name", ["filled.vasp", "cells/filled.cif", "./filled.vasp", "cells\\filled.cif"])
def test_the_moving_ion_is_taken_out_where_the_file_holds_it(tmp_path: Path, name: str) -> None:
    hop = one(table(tmp_path, csv_row(structure_file=name, moving_ion_included="yes")))
    assert hop.host.species == ("Co", "O", "O", "O")
    assert hop.start.tolist() == START


def test_the_end_is_taken_as_given_or_as_the_nearest_image(tmp_path: Path) -> None:
    changes = {"start_z": "0.9", "end_z": "0.2"}
    assert one(table(tmp_path / "a", csv_row(**changes))).end.round(9).tolist() == [0.5, 0.5, 1.2]
    for word in ("", "given"):
        assert one(table(tmp_path / "b", csv_row(**changes, image=word))).end.tolist() == [0.5, 0.5, 0.2]
    assert "neither given nor shortest" in problem(table(tmp_path / "c", csv_row(image="nearest")))


def test_a_hop_to_be_predicted_has_no_barrier(tmp_path: Path) -> None:
    hop = one(table(tmp_path, csv_row(barrier="", unit="", barrier_definition="")))
    assert (hop.barrier, hop.barrier_definition) == (None, None)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"working_ion": ""}, "no working_ion"),
        ({"working_ion": "Qq"}, "no chemical element"),
        ({"structure_file": ""}, "no structure_file"),
        ({"structure_file": "gone.cif"}, "no file 'gone.cif' beside the table"),
        ({"structure_file": "cells"}, "no file 'cells' beside the table"),
        ({"structure_file": "../host.cif"}, "must lie beside the table"),
        ({"structure_file": "/etc/hostname"}, "must lie beside the table"),
        ({"structure_file": "C:\\host.cif"}, "must lie beside the table"),
        ({"structure_file": "hops.csv"}, "cannot be read: The table 'hops.csv' names files"),
        ({"moving_ion_included": ""}, "no moving_ion_included"),
        ({"moving_ion_included": "perhaps"}, "must be yes or no"),
        ({"moving_ion_included": "yes"}, "holds no Li"),
        ({"moving_ion_included": "yes", "structure_file": "filled.vasp", "start_z": "0.2"}, "within 1.5"),
        ({"start_x": ""}, "no start_x"),
        ({"start_x": "half"}, "start_x holds 'half', not a number"),
        ({"end_y": "nan"}, "finite number was expected"),
        ({"end_z": "0.75"}, None),
        ({"end_z": "0.75", "image": "given"}, "ends where it starts"),
        ({"barrier": "0,5"}, "cells and the header"),
        ({"barrier": "high"}, "not a number"),
        ({"barrier": "inf"}, "finite number"),
        ({"unit": ""}, "has no unit"),
        ({"unit": "Ry"}, "is not known"),
        ({"charge_state": "+-1"}, "charge_state holds"),
        ({"id": '"a'}, "quotes of the row are broken"),
    ],
)
def test_a_broken_row_is_told_and_the_others_go_on(tmp_path: Path, changes: dict[str, str], match: str | None) -> None:
    path = table(tmp_path, csv_row(id="before"), csv_row(**changes), csv_row(id="after"))
    good, bad = split(path)
    if match is None:  # the start itself, shortest: a hop by a lattice vector
        assert [record.id for record in good] == ["before", "t-1", "after"]
        assert read_hop("hop-csv", good[1].content).length == pytest.approx(6.0)
        return
    assert [record.id for record in good] == ["before", "after"]
    assert len(bad) == 1
    assert match in str(bad[0].error)
    assert bad[0].origin.line == 3
    assert bad[0].content == csv_row(**changes).encode()


def test_a_structure_file_that_cannot_be_read(tmp_path: Path) -> None:
    path = table(tmp_path, csv_row(), csv_row(id="t-2", structure_file="filled.vasp", moving_ion_included="yes"))
    (tmp_path / "host.cif").write_bytes(b"no structure at all")
    good, (bad,) = split(path)
    assert [record.id for record in good] == ["t-2"]
    assert "The structure file 'host.cif' cannot be read" in str(bad.error)
    (tmp_path / "host.cif").write_bytes(b"")
    assert "The file is empty" in str(split(path)[1][0].error)
    (tmp_path / "host.cif").write_bytes(b"x" * 2000)
    bad = next(item for item in read_records(path, limits=Limits(record=1000)) if isinstance(item, BadRecord))
    assert isinstance(bad.error, SourceTooLarge)


def test_a_structure_file_of_two_structures_is_refused(tmp_path: Path) -> None:
    path = table(tmp_path, csv_row())
    text = (tmp_path / "host.cif").read_text()
    (tmp_path / "host.cif").write_text(text + text.replace("data_made", "data_again"))
    assert "more than one structure" in problem(path)


def test_spellings_of_tables(tmp_path: Path) -> None:
    path = table(tmp_path)
    mixed = (
        "\ufeff# made by hand\r\n"
        + HEADER.replace("working_ion", "Working_Ion").replace("colour", "Colour").replace(",", ";")
        + "\r\n\r\n"
    )
    path.write_bytes((mixed + csv_row(name='"Å; a name"').replace(",", ";") + "\r\n").encode())
    hop = one(path)
    assert (hop.name, hop.barrier, hop.properties) == ("Å; a name", 0.5, {"Colour": "blue"})
    path.write_bytes((HEADER + "\n" + csv_row(name="Å")).encode("latin-1"))
    assert one(path).name == "Å"
    path.write_bytes((HEADER + "\n" + csv_row(name="Å")).encode("utf-16"))
    assert one(path).name == "Å"
    tabs = path.with_suffix(".tsv")
    tabs.write_text((HEADER + "\n" + csv_row()).replace(",", "\t"))
    assert one(tabs).id == "t-1"
    (tmp_path / "host.cif").write_bytes(cif(with_ion(START)).replace("Li1 Li ", "# Å\nNa1 Na ").encode("latin-1"))
    latin = one(tabs)
    assert latin.host.species[0] == "Na"
    assert any("Latin-1" in note for note in latin.warnings)


def test_compressed_tables_and_structures(tmp_path: Path) -> None:
    path = table(tmp_path, csv_row(structure_file="host.cif.bz2"))
    (tmp_path / "host.cif.bz2").write_bytes(bz2.compress((tmp_path / "host.cif").read_bytes()))
    packed = tmp_path / "hops.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert one(packed).host.n_sites == 4
    path.unlink()
    good, bad = split(tmp_path)
    assert not bad
    assert sorted(record.format for record in good) == ["cif", "cif", "hop-csv", "poscar"]


def test_tables_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2\n")
    _, (bad,) = split(path)
    assert isinstance(bad.error, UnknownFormat)
    assert "needs the columns working_ion and structure_file" in str(bad.error)
    for content in (HEADER + "\n", "\n\n", "# nothing\n"):
        path.write_text(content)
        _, (bad,) = split(path)
        assert isinstance(bad.error, EmptySource)
    path.write_text(HEADER + "\n" + csv_row() * 50)
    (big,) = read_records(path, limits=Limits(document=100))
    assert isinstance(big, BadRecord)
    assert isinstance(big.error, SourceTooLarge)


def test_every_column_is_documented_and_read() -> None:
    assert set(HEADER.split(",")) - {"colour"} <= set(COLUMNS)
    assert {"space_group", "licence", "framework_formula"} <= set(COLUMNS)
    assert table_kind("a,b") is None
    assert named_files(b"a,b\n1,2\n", "x.csv") == set()
    assert named_files(b"", "x.csv") == set()


# -------------------------------------------------------------------------------------------------- folders and archives


def test_files_that_a_table_names_belong_to_its_hops(tmp_path: Path) -> None:
    table(
        tmp_path, csv_row(), csv_row(id="t-2", structure_file="cells/filled.cif", moving_ion_included="yes"), "broken"
    )
    (tmp_path / "cells" / "other.cif").write_text(cif(with_ion(END)))
    good, (bad,) = split(tmp_path)
    told = sorted((record.format, Path(record.origin.path or "").name) for record in good)
    assert told == [("cif", "other.cif"), ("hop-csv", "hops.csv"), ("hop-csv", "hops.csv"), ("poscar", "filled.vasp")]
    assert "1 cells and the header 22" in str(bad.error)
    # A file that is given by its own name is wanted as a structure, table or not.
    assert [record.format for record in split(tmp_path / "host.cif")[0]] == ["cif"]


def zipped(folder: Path, path: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, prefix + str(file.relative_to(folder)))
    return path


def test_a_table_in_a_zip_finds_its_files(tmp_path: Path) -> None:
    table(tmp_path / "set", csv_row(), csv_row(id="t-2", structure_file="gone.cif"))
    for prefix in ("", "deep/down/"):
        good, (bad,) = split(zipped(tmp_path / "set", tmp_path / "set.zip", prefix))
        assert sorted(record.format for record in good) == ["cif", "hop-csv", "poscar"]
        assert "no file 'gone.cif' beside the table in the archive" in str(bad.error)
        (hop,) = [record for record in good if record.format == "hop-csv"]
        assert hop.origin.member == f"{prefix}hops.csv"
        assert hop.origin.line == 2
        assert read_hop(hop.format, hop.content).barrier == 0.5


def test_a_table_in_a_tar_cannot_find_its_files_and_says_so(tmp_path: Path) -> None:
    path = table(tmp_path, csv_row())
    with tarfile.open(tmp_path / "set.tar.gz", "w:gz") as archive:
        archive.add(path, "hops.csv")
    message = problem(tmp_path / "set.tar.gz")
    assert "cannot be found within a tar archive" in message
    assert "give it as a zip" in message


# --------------------------------------------------------------------------------------------------------------- LiTraj


def test_an_edge_of_nebdft2k(tmp_path: Path) -> None:
    good, bad = split(litraj(tmp_path, "mp-1_0_1_0_0_1"))
    assert not bad
    (record,) = good
    assert (record.format, record.id, record.provider) == ("litraj-neb", "mp-1_0_1_0_0_1", "LiTraj")
    assert record.references == ("doi:10.1038/s41524-025-01571-z",)
    hop = read_hop(record.format, record.content)
    assert (hop.working_ion, hop.host.species) == ("Li", ("Co", "O", "O", "O"))
    assert np.allclose(hop.start, START, atol=1e-6)
    assert np.allclose(hop.end, END, atol=1e-6)
    assert hop.images is not None
    assert hop.images.shape == (5, 3)
    assert hop.energies is not None
    assert hop.energies.tolist() == PROFILE
    assert hop.barrier == pytest.approx(max(PROFILE) - min(PROFILE))
    assert (hop.barrier_definition, hop.method, hop.functional, hop.limit) == (
        "max-min",
        "DFT-CI-NEB",
        "PBE",
        "vacancy",
    )
    assert hop.properties == {
        "material_id": "mp-1", "chemsys": "Co-Li-O", "has_specific_TM": True, "em_bvse": 0.61, "em_dft": 0.5,
        "_split": "train",
    }  # fmt: skip
    assert hop.warnings == []


def test_trajectories_as_ase_writes_them(tmp_path: Path) -> None:
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.io import write

    index = litraj(tmp_path, "e-1")
    frames = []
    for image, energy in zip(images(), PROFILE, strict=True):
        atoms = Atoms(image.species, scaled_positions=image.frac_coords, cell=image.lattice, pbc=True)
        forces = np.full((image.n_sites, 3), 0.01)
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces, stress=np.zeros(6))  # type: ignore[no-untyped-call]
        atoms.info["edge_id"] = "e-1"
        frames.append(atoms)
    write(tmp_path / "e-1_relaxed.xyz", frames, format="extxyz")
    hop = one(index)
    assert (hop.barrier, hop.working_ion, hop.warnings) == (pytest.approx(0.5), "Li", [])
    assert hop.energies is not None
    assert hop.energies.tolist() == PROFILE
    assert np.allclose(hop.end, END, atol=1e-6)


def test_a_folder_of_nebdft2k_is_hops_and_nothing_else(tmp_path: Path) -> None:
    litraj(tmp_path, "mp-1_0_1_0_0_1", "mp-2_0_1_0_0_0")
    good, bad = split(tmp_path)
    assert [record.format for record in good] == ["litraj-neb", "litraj-neb"]
    assert not bad
    good, bad = split(zipped(tmp_path, tmp_path.with_suffix(".zip"), "nebDFT2k/"))
    assert [record.id for record in good] == ["mp-1_0_1_0_0_1", "mp-2_0_1_0_0_0"]
    assert not bad


def test_edges_with_something_missing(tmp_path: Path) -> None:
    index = litraj(tmp_path, "e-1", "e-2", "e-3", "e-4", "e-5", "e-6")
    (tmp_path / "e-1_init.xyz").unlink()
    (tmp_path / "e-2_relaxed.xyz").unlink()
    whole = (tmp_path / "e-3_relaxed.xyz").read_text()
    (tmp_path / "e-3_relaxed.xyz").write_text(whole[: len(whole) // 2 + 40])
    (tmp_path / "e-4_relaxed.xyz").write_text(trajectory(None))
    (tmp_path / "e-5_relaxed.xyz").write_text(trajectory([-10.0, -9.2, -9.5, -9.8, -9.9]))
    (tmp_path / "e-6_relaxed.xyz").write_bytes(b"\xff\xff")
    good, bad = split(index)
    read = {record.id: read_hop(record.format, record.content) for record in good}
    assert read["e-1"].warnings == ["The initial trajectory (_init.xyz) is missing."]
    assert (read["e-4"].barrier, read["e-4"].energies) == (0.5, None)
    assert read["e-4"].warnings == ["The images have no energies; the barrier is that of the index (em_dft)."]
    assert read["e-5"].barrier == pytest.approx(0.8)
    assert (
        read["e-5"]
        .warnings[0]
        .startswith("barrier_contradicts_index: the images make 0.8000 eV, the index says 0.5000")
    )
    told = [str(item.error) for item in bad]
    assert "no file 'e-2_relaxed.xyz' beside the table" in told[0]
    assert "of the trajectory" in told[1]
    assert "not UTF-8" in told[2]
    assert sorted(read) == ["e-1", "e-4", "e-5"]
    index.write_text(INDEX + "mp-1,,Co-Li-O,True,1,1,train\nmp-1,../e-1,x,True,1,1,train\n")
    told = [str(item.error) for item in split(index)[1]]
    assert "no edge_id" in told[0]
    assert "must lie beside the table" in told[1]


def test_litraj_records_that_are_damaged() -> None:
    with pytest.raises(SourceError, match="no edge of LiTraj"):
        read_hop("litraj-neb", b"{}")
    bundle = {"header": "edge_id,em_dft", "row": "e,high", "relaxed": trajectory()}
    with pytest.raises(SourceError, match="em_dft holds"):
        read_hop("litraj-neb", json.dumps(bundle).encode())
