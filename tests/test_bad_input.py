"""Bad input end to end, by the command line: a clear error or a recorded failure each, the rest goes on, nothing is lost."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

GOOD = """data_NaCl
_cell_length_a 5.64
_cell_length_b 5.64
_cell_length_c 5.64
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'F m -3 m'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Na1 Na 0 0 0 1
Cl1 Cl 0.5 0.5 0.5 1
"""


def poscar(
    lattice: str = "4 0 0\n0 4 0\n0 0 4", sites: str = "0 0 0\n0.5 0.5 0.5", symbols: str = "Cs Cl", counts: str = "1 1"
) -> str:
    return f"test\n1.0\n{lattice}\n{symbols}\n{counts}\nDirect\n{sites}\n"


def uniform(**structure: Any) -> str:
    import json

    given = {
        "lattice": [[4, 0, 0], [0, 4, 0], [0, 0, 4]],
        "species": ["Cs", "Cl"],
        "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]],
    }
    return json.dumps({"id": "bad-1", "formula": "CsCl", "structure": {**given, **structure}}) + "\n"


def ionatlas(*arguments: str, timeout: float = 120, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "api.cli.main", *arguments],
        capture_output=True, text=True, timeout=timeout, check=False, env={**os.environ, **environment},
    )  # fmt: skip


BAD_STRUCTURES = {
    "truncated CIF": ("bad.cif", GOOD[: GOOD.index("Na1")], "SourceError|InvalidCoordinates|EmptySource"),
    "unknown element": ("bad.cif", GOOD.replace("Na1 Na", "Xx1 Xx"), "UnknownElement"),
    "unknown element in a POSCAR": ("POSCAR", poscar(symbols="Qq Cl"), "UnknownElement"),
    "NaN coordinates": (
        "bad.jsonl",
        uniform(frac_coords=[[0, 0, 0], [0.5, 0.5, "nan"]]),
        "InvalidCoordinates|SourceError",
    ),
    "NaN coordinates in a POSCAR": ("POSCAR", poscar(sites="0 0 0\nnan 0.5 0.5"), "InvalidCoordinates|SourceError"),
    "infinite coordinates": ("POSCAR", poscar(sites="0 0 0\ninf 0.5 0.5"), "InvalidCoordinates|SourceError"),
    "zero volume": ("bad.jsonl", uniform(lattice=[[4, 0, 0], [0, 4, 0], [4, 4, 0]]), "InvalidLattice"),
    "coincident atoms": ("bad.jsonl", uniform(frac_coords=[[0, 0, 0], [0.0001, 0, 1.0]]), "CoincidentAtoms"),
    "occupancy above one": (
        "bad.cif",
        GOOD.replace("Cl1 Cl 0.5 0.5 0.5 1", "Cl1 Cl 0.5 0.5 0.5 1.4"),
        "InvalidOccupancy",
    ),
    "no structure": ("bad.jsonl", '{"id": "bad-1", "formula": "Li2O", "structure": null}\n', "SourceError|EmptySource"),
}


@pytest.mark.parametrize("name", BAD_STRUCTURES)
def test_an_impossible_structure_is_recorded_and_the_rest_goes_on(name: str, database: Any, tmp_path: Path) -> None:
    file, text, expected = BAD_STRUCTURES[name]
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / file).write_text(text)
    (tmp_path / "good.cif").write_text(GOOD)
    taken = ionatlas("ingest", str(tmp_path))
    assert taken.returncode == 0, taken.stderr
    built = ionatlas("build", "structures", "--workers", "1")
    assert built.returncode == 5, built.stderr
    assert "1 items failed" in built.stderr
    assert database["sources"].count_documents({}) == 2
    assert [each["formula"] for each in database["structures"].find()] == ["NaCl"]
    failure = database["build_state"].find_one({"builder": "structures"})
    assert re.fullmatch(expected, failure["error"]["type"]), failure["error"]
    assert len(failure["error"]["message"]) > 20
    # What was given is still there to the byte.
    source = database["sources"].find_one({"_id": failure["key"]})
    assert source["content"].strip() == text.encode().strip()
    assert ionatlas("build", "structures").returncode == 0  # nothing changed: left alone
    assert failure["error"]["message"][:30] in ionatlas("status").stdout + ionatlas("status").stderr


def test_a_left_handed_cell_is_converted_and_flagged(database: Any, tmp_path: Path) -> None:
    (tmp_path / "left.jsonl").write_text(uniform(lattice=[[0, 4, 0], [4, 0, 0], [0, 0, 4]]))
    ionatlas("ingest", str(tmp_path))
    assert ionatlas("build", "structures", "--workers", "1").returncode == 0
    structure = database["structures"].find_one()
    assert structure["volume"] == pytest.approx(64.0)
    assert any("left-handed" in flag for flag in structure["flags"])


UNREADABLE = {
    "empty file": ("empty.cif", b"", "EmptySource"),
    "5 MB of random bytes": ("noise.bin", random.Random(0).randbytes(5_000_000), "UnknownFormat"),
    "random bytes called CIF": ("noise.cif", random.Random(1).randbytes(5_000_000), "UnknownFormat|SourceError"),
    "broken zip": ("broken.zip", b"PK\x03\x04" + b"\0" * 100, "SourceError"),
    "truncated gzip": ("cut.jsonl.gz", __import__("gzip").compress(uniform().encode())[:-12], "SourceError"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_bytes_that_are_nothing_are_kept_with_the_reason(name: str, database: Any, tmp_path: Path) -> None:
    file, content, expected = UNREADABLE[name]
    (tmp_path / file).write_bytes(content)
    (tmp_path / "good.cif").write_text(GOOD)
    taken = ionatlas("ingest", str(tmp_path))
    assert taken.returncode == 0, taken.stderr
    source = database["sources"].find_one({"format": "unreadable"})
    assert re.fullmatch(expected, source["error"]["type"]), source["error"]
    assert file in source["origins"][0]["path"]
    assert ionatlas("build", "structures", "--workers", "1").returncode == 0
    assert database["structures"].count_documents({}) == 1


def test_a_zip_bomb_is_not_unpacked(database: Any, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(4):
            archive.writestr(f"{number}.cif", b"\0" * 600_000_000)
    (tmp_path / "good.cif").write_text(GOOD)
    started = time.monotonic()
    taken = ionatlas("ingest", str(tmp_path))
    assert taken.returncode == 0, taken.stderr
    assert time.monotonic() - started < 60
    kinds = {each["error"]["type"] for each in database["sources"].find({"format": "unreadable"})}
    assert "ArchiveBomb" in kinds
    assert database["sources"].count_documents({"format": "cif"}) == 1


def test_a_wrong_encoding_is_read_with_a_warning(database: Any, tmp_path: Path) -> None:
    (tmp_path / "latin.cif").write_bytes(("# Gebr\xfcder M\xfcller, 5 \xc5\n" + GOOD).encode("latin-1"))
    ionatlas("ingest", str(tmp_path))
    assert ionatlas("build", "structures", "--workers", "1").returncode == 0
    assert any("UTF-8" in text for text in database["structures"].find_one()["warnings"])


def test_a_cif_of_ten_thousand_atoms_is_read(database: Any, tmp_path: Path) -> None:
    head = GOOD[: GOOD.index("Na1")].replace("F m -3 m", "P 1").replace("5.64", "80")
    steps = [i / 22 for i in range(22)]
    sites = [
        f"Na{n} Na {x:.5f} {y:.5f} {z:.5f} 1"
        for n, (x, y, z) in enumerate((x, y, z) for x in steps for y in steps for z in steps)
    ]
    rng = random.Random(3)
    moved = [
        re.sub(r"0\.\d{5}", lambda m: f"{float(m[0]) + rng.uniform(0, 0.01):.5f}", line) for line in sites[:10_000]
    ]
    (tmp_path / "large.cif").write_text(head + "\n".join(moved) + "\n")
    ionatlas("ingest", str(tmp_path))
    built = ionatlas("build", "structures", "--workers", "1", timeout=300)
    assert built.returncode == 0, built.stderr
    assert database["structures"].find_one()["nsites"] == 10_000


def test_the_same_file_under_two_names_is_one_record(database: Any, tmp_path: Path) -> None:
    for name in ("one.cif", "two.cif"):
        (tmp_path / name).write_text(GOOD)
    ionatlas("ingest", str(tmp_path))
    ionatlas("ingest", str(tmp_path))
    (source,) = database["sources"].find()
    assert sorted(Path(origin["path"]).name for origin in source["origins"]) == ["one.cif", "two.cif"]


def test_a_uri_that_nobody_answers_is_said_soon() -> None:
    done = ionatlas(
        "query",
        "nelements = 2",
        IONATLAS_MONGODB_URI="mongodb://someone:secret@127.0.0.1:9/",
        IONATLAS_SERVER_TIMEOUT="1",
    )
    assert done.returncode == 3
    assert "127.0.0.1:9" in done.stderr
    assert "To mend it" in done.stderr
    assert "secret" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_is_not_there_is_a_usage_error(database: Any) -> None:
    done = ionatlas("ingest", "no/such/file.cif")
    assert done.returncode == 2
    assert "no/such/file.cif" in done.stderr


def test_a_private_server_that_dies_in_mid_build_is_started_again(private_settings: Any, tmp_path: Path) -> None:
    import json

    from store.connection import connect
    from store.server import ensure_server

    rows = [json.loads(uniform()) for _ in range(3000)]
    for number, row in enumerate(rows):
        row["id"] = f"m-{number}"
        row["structure"]["lattice"][0][0] = 4 + number / 3000
    (tmp_path / "many.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    assert ionatlas("ingest", str(tmp_path)).returncode == 0
    build = subprocess.Popen(
        [sys.executable, "-m", "api.cli.main", "build", "structures", "--workers", "1"],
        stderr=subprocess.PIPE,
        text=True,
    )
    database = connect(private_settings)
    deadline = time.monotonic() + 60
    while not database["structures"].find_one() and time.monotonic() < deadline:
        time.sleep(0.05)
    server = ensure_server(private_settings)
    os.kill(server.pid, signal.SIGKILL)
    _, said = build.communicate(timeout=120)
    assert build.returncode == 0, said
    assert connect(private_settings)["structures"].count_documents({}) == 3000


def test_a_named_server_that_dies_and_stays_away_ends_the_build_with_an_error(
    private_settings: Any, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from store.server import ensure_server

    server = ensure_server(private_settings)
    other = str(tmp_path_factory.mktemp("other-home"))
    named = {"IONATLAS_MONGODB_URI": server.uri, "IONATLAS_HOME": other, "IONATLAS_SERVER_TIMEOUT": "2"}
    (tmp_path / "good.cif").write_text(GOOD)
    assert ionatlas("ingest", str(tmp_path), **named).returncode == 0
    os.kill(server.pid, signal.SIGKILL)
    done = ionatlas("build", **named)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr


def test_a_data_folder_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("not a folder")
    environment = {name: value for name, value in os.environ.items() if name != "IONATLAS_MONGODB_URI"}
    done = subprocess.run(
        [sys.executable, "-m", "api.cli.main", "status"],
        capture_output=True, text=True, timeout=60, check=False, env={**environment, "IONATLAS_HOME": str(tmp_path / "home")},
    )  # fmt: skip
    assert done.returncode == 3
    assert str(tmp_path / "home") in done.stderr
