"""The examples of the README and the docs, and a desk with the files and the store that they speak of."""

from __future__ import annotations

import gzip
import json
import re
import shlex
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .builders import channel_crystals as crystals_by_hand

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

HOST = {
    "lattice": [[4, 0, 0], [0, 4, 0], [0, 0, 4]],
    "species": ["Co", "O", "O", "O"],
    "frac_coords": [[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]],
}


@dataclass(frozen=True)
class Example:
    """A command or a block of code, with the place where it stands.

    ``fails`` says that the page shows an error as the answer.
    """

    page: str
    line: int
    text: str
    fails: bool = False

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text, comments=True)


def blocks(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Line number of the first line, language, and lines of every fenced block."""
    lines = path.read_text(encoding="utf-8").splitlines()
    begin, language = None, ""
    for number, line in enumerate(lines, start=1):
        if not line.startswith("```"):
            continue
        if begin is None:
            begin, language = number, line.strip("`").strip()
        else:
            yield begin + 1, language, lines[begin : number - 1]
            begin = None
    assert begin is None, f"{path}: a block is not closed"


def commands(path: Path) -> Iterator[Example]:
    """What stands behind a ``$`` in blocks of the console; a command goes on while its quotes are open or its line ends in \\."""
    for begin, language, lines in blocks(path):
        if language != "console":
            continue
        at = 0
        while at < len(lines):
            if not lines[at].startswith("$ "):
                at += 1
                continue
            start, text = at, lines[at][2:]
            while (text.endswith("\\") or not _complete(text)) and at + 1 < len(lines):
                at += 1
                text = text.removesuffix("\\").rstrip() + " " + lines[at].strip()
            at += 1
            shown = lines[at] if at < len(lines) else ""
            yield Example(path.relative_to(ROOT).as_posix(), begin + start, text, shown.startswith("Error:"))


def programs(path: Path) -> Iterator[Example]:
    """Blocks of Python."""
    for begin, language, lines in blocks(path):
        if language == "python":
            yield Example(path.relative_to(ROOT).as_posix(), begin, "\n".join(lines))


def _complete(text: str) -> bool:
    try:
        shlex.split(text, comments=True)
    except ValueError:
        return False
    return True


# -------------------------------------------------------------------------------------------------------------- the desk


def crystals() -> dict[str, Any]:
    """Crystals with the ids that the pages name; coordinates from the literature, rounded."""
    from pymatgen.core import Lattice, Structure

    def salt(cation: str, anion: str, a: float) -> Any:
        return Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), [cation, anion], [[0, 0, 0], [0.5] * 3])

    olivine = crystals_by_hand.olivine()
    return {
        "mp-19017": olivine,
        "mp-18767": olivine.copy().replace_species({"Fe": "Mn"}),
        "mp-22526": crystals_by_hand.layered(),
        "amcsd-11109": olivine.copy().replace_species({"Fe": "Mg"}),
        "mp-1009": salt("Li", "F", 4.03),
        "mp-22862": salt("Na", "Cl", 5.64),
        "mp-1265": salt("Mg", "O", 4.21),
        "mp-22905": salt("Li", "Cl", 5.13),
        "mp-5229": Structure.from_spacegroup(
            "Pm-3m", Lattice.cubic(3.905), ["Sr", "Ti", "O"], [[0, 0, 0], [0.5] * 3, [0.5, 0.5, 0]]
        ),
        "amcsd-1": Structure.from_spacegroup(
            "P3_221",
            Lattice.hexagonal(4.913, 5.405),
            ["Si", "O"],
            [[0.4697, 0, 0], [0.4133, 0.2672, 0.1188]],
        ),
    }


def argyrodite() -> Any:
    """Li6PS5Cl, lithium on one ordered site of six (F-43m in one setting, as a P1 cell)."""
    from pymatgen.core import Lattice, Structure

    return Structure.from_spacegroup(
        "F-43m",
        Lattice.cubic(9.85),
        ["Li", "P", "S", "S", "Cl"],
        [[0.25, 0.25, 0.0], [0.5, 0.5, 0.5], [0.1195, 0.1195, 0.6195], [0.25, 0.25, 0.25], [0, 0, 0]],
    )


def record(key: str, structure: Any, **properties: Any) -> dict[str, Any]:
    """A line of a JSON Lines file."""
    from store.crystal import Crystal

    return {"id": key, "structure": Crystal.from_pymatgen(structure).to_document(), **properties}


def hop(key: str, **more: Any) -> dict[str, Any]:
    """A hop of the uniform layout."""
    places = {"start_frac": [0.5, 0.5, 0.5], "end_frac": [0.5, 0.5, 1.5]}
    return {"id": key, "source": "mine", "working_ion": "Li", "structure": HOST, **places, **more}


def lay_out(folder: Path) -> None:
    """Put the files on the desk that the examples read."""
    found = crystals()
    olivine = found["mp-19017"]
    for name in ("LiFePO4.cif", "my.cif", "mine.cif", "disordered.cif"):
        olivine.to(str(folder / name), fmt="cif")
    argyrodite().to(str(folder / "argyrodite.cif"), fmt="cif")
    argyrodite().to(str(folder / "Li10GeP2S12.cif"), fmt="cif")  # a thiophosphate will do
    (folder / "structures").mkdir()
    found["mp-1009"].to(str(folder / "structures" / "LiF.cif"), fmt="cif")
    with zipfile.ZipFile(folder / "more.zip", "w") as bundle:
        bundle.write(folder / "LiFePO4.cif", "LiFePO4.cif")
    rows = [record(key, structure, band_gap=2.0, energy_above_hull=0.0) for key, structure in found.items()]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "mp.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (folder / "formulas.csv").write_text("formula\nLiNiPO4\nLiBr\n")
    barriers = [hop(f"h-{number}", barrier_eV=0.3 + 0.1 * number, method="DFT-NEB", xc="PBE") for number in range(3)]
    (folder / "barriers.jsonl.gz").write_bytes(gzip.compress("".join(json.dumps(b) + "\n" for b in barriers).encode()))
    (folder / "hops.jsonl").write_text(json.dumps(hop("a")) + "\n")
    _tables(folder)


def _tables(folder: Path) -> None:
    """Tables as the pages of barriers and conductivities show them, with the cell that they name."""
    pages = {"hops.md": ("hops.csv", "my-barriers.csv"), "conductivity-data.md": ("measured.csv",)}
    for page, names in pages.items():
        shown = {language: lines for _, language, lines in blocks(ROOT / "docs" / page) if language in ("csv", "text")}
        for name in names:
            (folder / name).write_text("\n".join(shown["csv"]) + "\n")
        (folder / "cell.vasp").write_text("\n".join(["of " + page, *shown["text"][1:]]) + "\n")
    rows = [
        {"id": "obelix-jqc", "source": "obelix", "formula": "Li6PS5Cl", "log10_sigma": -2.7, "temperature_K": 298.0},
        {"id": "obelix-abc", "source": "obelix", "formula": "LiFePO4", "log10_sigma": -9.0, "temperature_K": 298.0},
    ]
    lines = "".join(json.dumps({**row, "structure": None}) + "\n" for row in rows)
    (folder / "conductivity.jsonl.gz").write_bytes(gzip.compress(lines.encode()))


def mentioned(pattern: str) -> set[str]:
    """What matches a pattern anywhere in the pages."""
    return {found for page in PAGES for found in re.findall(pattern, page.read_text(encoding="utf-8"))}
