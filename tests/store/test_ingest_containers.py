"""Files, folders and archives are split lazily; what is broken or hostile becomes one bad record and the rest goes on."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import random
import sqlite3
import stat
import tarfile
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest

from store.errors import ArchiveBomb, EmptySource, SourceError, SourceTooLarge, UnknownFormat, UsageError
from store.ingest.containers import read_records
from store.ingest.limits import MIB, Limits
from store.ingest.records import BadRecord, Record

CIF = b"""data_%s
_cell_length_a 4
_cell_length_b 4
_cell_length_c 4
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Po1 0 0 0
"""
POSCAR = b"cube\n1.0\n3 0 0\n0 3 0\n0 0 3\nPo\n1\nDirect\n0 0 0\n"
FRAME = b'1\nLattice="3 0 0 0 3 0 0 0 3"\nPo 0 0 0\n'
LINE = b'{"id":"%s","source":"mine","structure":{"lattice":[[3,0,0],[0,3,0],[0,0,3]],"species":["Po"],"frac_coords":[[0,0,0]]}}'


def cif(name: str) -> bytes:
    return CIF % name.encode()


def line(name: str) -> bytes:
    return LINE % name.encode()


def split(path: Path, **limits: Any) -> tuple[list[Record], list[BadRecord]]:
    items = list(read_records(path, limits=Limits(**limits) if limits else None))
    return [i for i in items if isinstance(i, Record)], [i for i in items if isinstance(i, BadRecord)]


def kinds(bad: list[BadRecord]) -> list[str]:
    return [type(item.error).__name__ for item in bad]


def zipped(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(*members: tuple[str, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def test_every_single_format_by_name_and_by_content(tmp_path: Path) -> None:
    files = {
        "a.cif": (cif("a"), "cif"),
        "b": (cif("b"), "cif"),
        "POSCAR": (POSCAR, "poscar"),
        "CONTCAR.relaxed": (POSCAR, "poscar"),
        "c.vasp": (POSCAR, "poscar"),
        "d": (POSCAR, "poscar"),
        "e.xyz": (FRAME, "extxyz"),
        "f": (FRAME, "extxyz"),
        "g.jsonl": (line("g"), "uniform-json"),
        "h": (line("h"), "uniform-json"),
        "i.json": (line("i"), "uniform-json"),
        "j.json": (json.dumps(json.loads(line("j")), indent=1).encode(), "uniform-json"),
    }
    for name, (content, _) in files.items():
        (tmp_path / name).write_bytes(content)
    good, bad = split(tmp_path)
    assert bad == []
    assert {Path(record.origin.path or "").name: record.format for record in good} == {
        name: kind for name, (_, kind) in files.items()
    }
    assert all(record.content == files[Path(record.origin.path or "").name][0] for record in good)


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
def test_compressed_singles(tmp_path: Path, suffix: str, pack: Any) -> None:
    (tmp_path / f"rows.jsonl{suffix}").write_bytes(pack(line("a") + b"\n\n" + line("b")))
    (tmp_path / f"x.cif{suffix}").write_bytes(pack(cif("x")))
    good, bad = split(tmp_path)
    assert bad == []
    assert [record.id for record in good] == ["a", "b", None]
    assert [record.origin.line for record in good] == [1, 3, None]
    assert good[0].provider == "mine"


@pytest.mark.parametrize("name", ["all.zip", "all.tar", "all.tar.gz", "all.tgz", "all.tar.bz2", "all.tar.xz"])
def test_archives_within_archives(tmp_path: Path, name: str) -> None:
    inner = zipped(("deep/b.cif", cif("b")), ("rows.jsonl.gz", gzip.compress(line("r"))))
    members = [
        ("a.cif", cif("a")),
        ("folder/inner.zip", inner),
        ("POSCAR", POSCAR),
        ("__MACOSX/._a.cif", b"junk"),
        (".hidden", b"x"),
    ]
    mode = {".gz": "w:gz", ".tgz": "w:gz", ".bz2": "w:bz2", ".xz": "w:xz"}.get(Path(name).suffix, "w")
    (tmp_path / name).write_bytes(zipped(*members) if name == "all.zip" else tarred(*members, mode=mode))
    good, bad = split(tmp_path / name)
    assert bad == []
    assert [record.origin.member for record in good] == [
        "a.cif", "folder/inner.zip!deep/b.cif", "folder/inner.zip!rows.jsonl.gz", "POSCAR",
    ]  # fmt: skip
    assert [record.format for record in good] == ["cif", "cif", "uniform-json", "poscar"]
    assert {record.origin.path for record in good} == {str(tmp_path / name)}


def test_multi_block_cif(tmp_path: Path) -> None:
    text = (
        b"# a comment\n"
        + cif("one").replace(b"loop_", b"_title\n;\ndata_not_a_block\n;\nloop_")
        + b"data_empty\n_x 1\n"
        + cif("two")
    )
    (tmp_path / "many.cif").write_bytes(text)
    good, bad = split(tmp_path / "many.cif")
    assert bad == []
    assert [record.content.splitlines()[0] for record in good] == [b"# a comment", b"data_two"]
    assert [record.origin.line for record in good] == [None, 21]
    assert text.splitlines()[20] == b"data_two"
    assert b"data_not_a_block" in good[0].content


def test_cod_files_carry_their_id(tmp_path: Path) -> None:
    (tmp_path / "1000041.cif").write_bytes(cif("1000041") + b"_cod_database_code 1000041\n")
    (record,), _ = split(tmp_path)
    assert (record.id, record.provider, record.licence) == ("cod-1000041", "COD", "CC0-1.0")


def test_json_arrays_keep_each_element_verbatim(tmp_path: Path) -> None:
    first = b'{ "id": "\xc3\x85",  "structure": null }'
    (tmp_path / "list.json").write_bytes(b"[\n" + first + b" , " + line("b") + b"]\n")
    good, bad = split(tmp_path)
    assert bad == []
    assert [record.content for record in good] == [first, line("b")]
    assert good[0].id == "Å"
    assert [record.origin.member for record in good] == ["[0]", "[1]"]


@pytest.mark.parametrize("tail", [b"", b", {", b", {}", b"] trailing is ignored"])
def test_a_broken_array_gives_what_can_be_read(tmp_path: Path, tail: bytes) -> None:
    (tmp_path / "list.json").write_bytes(b"[" + line("a") + tail)
    good, bad = split(tmp_path)
    assert [record.id for record in good] == ["a"]
    assert bool(bad) == (not tail.startswith(b"]"))


def test_optimade_pages_and_json_lines_as_files(tmp_path: Path) -> None:
    resource = {"type": "structures", "id": "7", "attributes": {}}
    (tmp_path / "page.json").write_text(json.dumps({"data": [resource], "links": {}}))
    (tmp_path / "dump.jsonl").write_text(
        "\n".join(json.dumps(item) for item in ({"x-optimade": {}}, {"type": "info", "id": "structures"}, resource))
    )
    good, bad = split(tmp_path)
    assert bad == []
    assert [(record.format, record.id) for record in good] == [("optimade-json", "7")] * 2


def test_a_bad_line_does_not_spoil_the_others(tmp_path: Path) -> None:
    rows = [
        line("a"),
        b"{ not json",
        b'{"answer": 42}',
        b"[1]",
        b'{"id": "n", "structure": null, "x": NaN}',
        line("b")[:-40],
        line("c"),
    ]
    (tmp_path / "rows.jsonl").write_bytes(b"\n".join(rows))
    good, bad = split(tmp_path)
    assert [record.id for record in good] == ["a", "n", "c"]
    assert [item.origin.line for item in bad] == [2, 3, 4, 6]
    assert kinds(bad) == ["SourceError", "UnknownFormat", "UnknownFormat", "SourceError"]
    assert bad[0].content == rows[1]


def test_one_bad_file_of_each_kind(tmp_path: Path) -> None:
    noise = random.Random(7).randbytes(5_000_000)
    files: dict[str, tuple[bytes, type[SourceError]]] = {
        "empty.cif": (b"", EmptySource),
        "cut.cif": (cif("cut")[:90], SourceError),
        "random.bin": (noise, UnknownFormat),
        "random.cif": (b"x" + noise[:100_000].replace(b"\0", b"\1"), SourceError),
        "readme.txt": (b"Hello", UnknownFormat),
        "cut.json": (b'{"id": ', SourceError),
        "cut.zip": (zipped(("a.cif", cif("a")))[:60], SourceError),
        "cut.gz": (gzip.compress(random.Random(1).randbytes(500))[:200], SourceError),
        "no.db": (b"SQLite format 3\x00" + noise[:4000], SourceError),
        "cut.tar": (tarred(("a.cif", cif("a") * 50))[:1500], SourceError),
        "utf16.json": ("{}".encode("utf-16"), UnknownFormat),
        "molecule.xyz": (b"x\n", SourceError),
    }
    for name, (content, _) in files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "z.cif").write_bytes(cif("z"))
    good, bad = split(tmp_path)
    assert [Path(record.origin.path or "").name for record in good] == ["z.cif"]
    found = {Path(item.origin.path or "").name: item for item in bad}
    assert set(found) == set(files)
    for name, (content, error) in files.items():
        assert isinstance(found[name].error, error), (name, found[name].error)
        if name not in {"cut.tar", "cut.zip"}:
            assert found[name].content == content, name


def test_a_cut_json_lines_archive_gives_the_lines_before_the_cut(tmp_path: Path) -> None:
    lines = b"\n".join(line(f"{number}-{random.Random(number).random()}") for number in range(20_000))
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(lines)[:-20_000])
    good, bad = split(tmp_path)
    assert len(good) > 5_000
    assert len(bad) == 1
    assert "damaged or cut off" in str(bad[0].error)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.zip", zipped()),
        ("x.tar", tarred((".hidden", b"x"))),
        ("x.json", b"[]"),
        ("x.jsonl", b"\n\n"),
        ("x.gz", gzip.compress(b"")),
    ],
)
def test_a_file_without_records_is_told(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    good, bad = split(tmp_path / name)
    assert (good, kinds(bad)) == ([], ["EmptySource"])
    assert bad[0].content == content


def test_bombs(tmp_path: Path) -> None:
    zeros = bytes(40 * MIB)
    (tmp_path / "1.zip").write_bytes(
        zipped(("good.cif", cif("good")), ("zeros.cif", zeros), ("after.cif", cif("after")))
    )
    (tmp_path / "2.json.gz").write_bytes(gzip.compress(b"[" + zeros.replace(b"\0", b" ")))
    (tmp_path / "3.tar.xz").write_bytes(lzma.compress(tarred(("zeros.cif", zeros))))
    (tmp_path / "4.zip").write_bytes(zipped(("inner.zip", zipped(("zeros.cif", zeros)))))
    (tmp_path / "5.cif").write_bytes(cif("later"))
    tracemalloc.start()
    try:
        good, bad = split(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 150 * MIB
    finally:
        tracemalloc.stop()
    assert kinds(bad) == ["ArchiveBomb"] * 4
    assert [item.origin.path for item in bad] == [
        str(tmp_path / n) for n in ("1.zip", "2.json.gz", "3.tar.xz", "4.zip")
    ]
    assert [record.origin.member or Path(record.origin.path or "").name for record in good] == ["good.cif", "5.cif"]


def test_limits_on_total_members_and_depth(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(zipped(("a.cif", cif("a")), ("b.cif", cif("b")), ("c.cif", cif("c"))))
    good, bad = split(path, members=2)
    assert (len(good), kinds(bad)) == (2, ["ArchiveBomb"])
    good, bad = split(path, total=len(cif("a")) + 10)
    assert (len(good), kinds(bad)) == (1, ["ArchiveBomb"])
    nested = cif("core")
    for _ in range(6):
        nested = zipped(("inner", nested), ("side.cif", cif("side")))
    path.write_bytes(nested)
    good, bad = split(path)
    assert len(good) == 4  # one beside each of the four levels that are entered
    assert kinds(bad) == ["ArchiveBomb"]
    assert isinstance(bad[0].error, ArchiveBomb)
    assert "nested" in str(bad[0].error)


def test_hostile_members(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("link.cif")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("../../escape.cif", cif("escape"))
        archive.writestr("/abs.cif", cif("abs"))
    secret = bytearray(zipped(("secret.cif", cif("secret"))))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        secret[secret.index(signature) + offset] |= 1  # the flag that says: encrypted
    (tmp_path / "secret.zip").write_bytes(secret)
    with tarfile.open(tmp_path / "y.tar", "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo(f"odd{kind!r}.cif")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        info = tarfile.TarInfo("fine.cif")
        info.size = len(cif("fine"))
        archive.addfile(info, io.BytesIO(cif("fine")))
    before = {entry.name for entry in tmp_path.parent.iterdir()}
    good, bad = split(tmp_path)
    assert {record.origin.member for record in good} == {"../../escape.cif", "/abs.cif", "fine.cif"}
    assert len(bad) == 6
    assert any("encrypted" in str(item.error) for item in bad)
    assert sum("link" in str(item.error) for item in bad) == 5
    assert {entry.name for entry in tmp_path.parent.iterdir()} == before


def test_a_damaged_member_does_not_spoil_the_others(tmp_path: Path) -> None:
    content = bytearray(zipped(("a.cif", cif("a") * 20), ("b.cif", cif("b"))))
    content[60] ^= 0xFF
    (tmp_path / "x.zip").write_bytes(content)
    good, bad = split(tmp_path)
    assert [record.origin.member for record in good] == ["b.cif"]
    assert [item.origin.member for item in bad] == ["a.cif"]


def test_records_over_the_limit_are_noted_and_the_rest_goes_on(tmp_path: Path) -> None:
    long = line("long")[:-2] + b',"pad":"' + b"x" * 5_000_000 + b'"}}'
    (tmp_path / "rows.jsonl").write_bytes(b"\n".join([line("a"), long, line("b")]))
    (tmp_path / "big.cif").write_bytes(cif("small") + cif("big") + b"# pad\n" * 500_000 + cif("last"))
    (tmp_path / "big.vasp").write_bytes(POSCAR + b"\n" * 3_000_000)
    (tmp_path / "big.xyz").write_bytes(FRAME + FRAME.replace(b"Po", b"Po" + b" " * 3_000_000) + FRAME)
    good, bad = split(tmp_path, record=2_000_000)
    assert sorted(record.id or record.format for record in good) == ["a", "b", "cif", "cif", "extxyz", "extxyz"]
    assert kinds(bad) == ["SourceTooLarge"] * 4
    assert all(isinstance(item.error, SourceTooLarge) and item.sha256 and not item.content for item in bad)


def test_memory_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as stream:
        for number in range(100_000):
            stream.write(line(str(number)) + b"\n")
    with (tmp_path / "frames.xyz").open("wb") as plain:
        for _ in range(50_000):
            plain.write(FRAME)
    tracemalloc.start()
    try:
        count = sum(1 for _ in read_records(tmp_path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 150_000
    assert peak < 20 * MIB


def test_sqlite_files_of_others(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.db") as database:
        database.execute("CREATE TABLE people (name TEXT)")
    database.close()
    _, bad = split(tmp_path)
    assert kinds(bad) == ["UnknownFormat"]
    assert "people" in str(bad[0].error)


def test_a_database_inside_an_archive(tmp_path: Path) -> None:
    import ase.db
    from ase import Atoms

    with ase.db.connect(tmp_path / "rows.db") as database:
        database.write(Atoms("Po", positions=[[0, 0, 0]], cell=[3] * 3, pbc=True))
    content = (tmp_path / "rows.db").read_bytes()
    (tmp_path / "x.zip").write_bytes(zipped(("folder/rows.db", content)))
    (tmp_path / "x.db.gz").write_bytes(gzip.compress(content))
    (tmp_path / "rows.db").unlink()
    good, bad = split(tmp_path)
    assert bad == []
    assert [record.origin.member for record in good] == ["systems/1", "folder/rows.db!systems/1"]


def test_folders_are_sorted_and_links_to_folders_not_followed(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "2.cif").write_bytes(cif("2"))
    (tmp_path / "a.cif").write_bytes(cif("a"))
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.cif").write_bytes(cif("x"))
    os.mkfifo(tmp_path / "pipe.cif")
    good, bad = split(tmp_path)
    assert [record.origin.path for record in good] == [str(tmp_path / "a.cif"), str(tmp_path / "b" / "2.cif")]
    assert bad == []
    empty = tmp_path / "empty"
    empty.mkdir()
    assert kinds(split(empty)[1]) == ["EmptySource"]


def test_a_path_that_does_not_exist_is_named() -> None:
    with pytest.raises(UsageError, match="no-such-place"):
        read_records("no-such-place")
