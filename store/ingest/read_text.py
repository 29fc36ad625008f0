"""Readers of POSCAR and extended XYZ."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from store.errors import InvalidLattice, SourceError, UnknownElement
from store.ingest.common import cell, decode, keep_properties, matrix, ordered_crystal
from store.ingest.labels import SYMBOLS
from store.ingest.result import ReadResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_MOST_ATOMS: Final = 1_000_000
_PAIR: Final = re.compile(r"""([^\s=,"']+)\s*=\s*("(?:[^"\\]|\\.)*"|'[^']*'|\{[^}]*\}|\[[^\]]*\]|[^\s,"']+)""")


def read_poscar(content: bytes) -> ReadResult:
    r"""Read a POSCAR or CONTCAR of VASP 5 or 6, or of VASP 4 with the symbols in its comment line.

    Parameters
    ----------
    content : bytes
        The file.

    Raises
    ------
    SourceError, StructureError
        The file is cut off or damaged, names no elements, or its cell is impossible.

    Examples
    --------
    >>> read_poscar(b"cube\n1.0\n3 0 0\n0 3 0\n0 0 3\nPo\n1\nDirect\n0 0 0\n").crystal.species
    ('Po',)
    """
    warnings: list[str] = []
    lines = decode(content, warnings).splitlines()
    if len(lines) < 7:
        raise SourceError(f"A POSCAR has at least 8 lines; this one ends after {len(lines)}.")
    lattice = _poscar_cell(lines)
    symbols, counts, at = _poscar_species(lines, warnings)
    total = sum(counts)
    if not 0 < total <= _MOST_ATOMS:
        raise SourceError(f"The POSCAR names {total:,} atoms; between 1 and {_MOST_ATOMS:,} can be read.")
    if _line(lines, at)[:1] in {"s", "S"}:  # selective dynamics
        at += 1
    cartesian = _line(lines, at)[:1] in {"c", "C", "k", "K"}
    rows = [line.split()[:3] for line in lines[at + 1 : at + 1 + total]]
    if len(rows) < total or any(len(row) < 3 for row in rows):
        raise SourceError(f"The POSCAR is cut off: {total} positions were announced.")
    coords = matrix(_floats(rows), "positions")
    if cartesian:
        scale = _scale(lines[1], np.array(_floats([line.split()[:3] for line in lines[2:5]])))
        coords = (coords * scale) @ np.linalg.inv(lattice)
    species = [symbol for symbol, count in zip(symbols, counts, strict=True) for _ in range(count)]
    crystal = ordered_crystal(lattice, species, coords, warnings)
    comment = lines[0].strip()
    return ReadResult(crystal, {"comment": comment} if comment else {}, warnings=warnings)


def _line(lines: list[str], at: int) -> str:
    if at >= len(lines) or not lines[at].strip():
        raise SourceError(f"The POSCAR is cut off at line {at + 1}.")
    return lines[at].strip()


def _floats(rows: list[list[str]]) -> list[list[float]]:
    try:
        return [[float(part) for part in row] for row in rows]
    except ValueError as error:
        raise SourceError(f"A number was expected: {error}.") from None


def _scale(line: str, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    parts = _floats([line.split()[:3]])[0]
    if len(parts) == 3 and all(part > 0 for part in parts):
        return np.array(parts)
    if not parts or not np.isfinite(parts[0]) or parts[0] == 0:
        raise InvalidLattice(f"The scale factor of the POSCAR is {line.strip()!r}.")
    volume = abs(np.linalg.det(vectors))
    if parts[0] < 0 and volume == 0:
        raise InvalidLattice("The cell of the POSCAR has no volume.")
    # A negative scale is the volume of the cell.
    return np.full(3, parts[0] if parts[0] > 0 else (-parts[0] / volume) ** (1 / 3))


def _poscar_cell(lines: list[str]) -> NDArray[np.float64]:
    vectors = matrix(_floats([line.split()[:3] for line in lines[2:5]]), "cell vectors")
    return cell(vectors * _scale(lines[1], vectors))


def _poscar_species(lines: list[str], warnings: list[str]) -> tuple[list[str], list[int], int]:
    """Read symbols and counts, each of which VASP may break over several lines; return the line after them."""
    at = 5
    words: list[str] = []
    while at < len(lines) and lines[at].split() and not lines[at].split()[0].isdigit():
        words += lines[at].split()
        at += 1
        if at > 50:
            raise SourceError("The POSCAR has no line of atom counts.")
    counts: list[int] = []
    while at < len(lines) and lines[at].split() and all(word.isdigit() and len(word) < 9 for word in lines[at].split()):
        counts += [int(word) for word in lines[at].split()]
        at += 1
    if not counts:
        raise SourceError("The POSCAR has no line of atom counts.")
    # VASP 6 writes "Mg_pv/f474ac0d"
    symbols = [re.split(r"[_/]", word)[0] for word in words]
    if not symbols:
        symbols = [re.split(r"[_/\d]", word)[0] for word in lines[0].split()]
        if len(symbols) != len(counts) or not SYMBOLS.issuperset(symbols):
            raise UnknownElement(
                "The POSCAR (VASP 4 format) does not name its elements: add a line with their symbols."
            )
        warnings.append("Elements were taken from the comment line (VASP 4 format).")
    if len(symbols) != len(counts):
        raise SourceError(f"The POSCAR has {len(symbols)} symbols and {len(counts)} counts.")
    return symbols, counts, at


def read_extxyz(content: bytes) -> ReadResult:
    r"""Read one frame of an extended XYZ file: ``Lattice="..."`` (rows of cell vectors, Å) and Cartesian positions, Å.

    Examples
    --------
    >>> read_extxyz(b'1\nLattice="3 0 0 0 3 0 0 0 3" energy=-1.5\nPo 0 0 0\n').properties
    {'energy': -1.5}
    """
    warnings: list[str] = []
    lines = decode(content, warnings).splitlines()
    if len(lines) < 3 or not lines[0].strip().isdigit() or len(lines[0].strip()) > 8:
        raise SourceError("A frame has its number of atoms, a comment line, and a line for each atom.")
    count = int(lines[0])
    info = {key: value.strip("\"'{}[]") for key, value in _PAIR.findall(lines[1])}
    lower = {key.lower(): key for key in info}
    if "lattice" not in lower:
        raise SourceError("The frame has no Lattice: a molecule is no crystal.")
    numbers = _floats([info[lower["lattice"]].replace(",", " ").split()])[0]
    if len(numbers) != 9:
        raise InvalidLattice(f"Lattice must hold nine numbers; it holds {len(numbers)}.")
    lattice = cell(np.array(numbers).reshape(3, 3))
    _check_periodic(info.get(lower.get("pbc", "pbc"), "T T T"), warnings)
    rows = [line.split() for line in lines[2 : 2 + count]]
    symbols, positions = _columns(info.get(lower.get("properties", ""), "species:S:1:pos:R:3"), rows, count)
    coords = matrix(positions, "positions") @ np.linalg.inv(lattice)
    given = {key: _value(value) for key, value in info.items() if key.lower() not in {"lattice", "properties", "pbc"}}
    return ReadResult(ordered_crystal(lattice, symbols, coords, warnings), keep_properties(given), warnings=warnings)


def _check_periodic(text: str, warnings: list[str]) -> None:
    flags = [word[:1].upper() in {"T", "1"} for word in text.replace(",", " ").split()]
    if flags and not any(flags):
        raise SourceError("The frame is not periodic (pbc F F F).")
    if flags and not all(flags):
        warnings.append(f"The frame is periodic in some directions only (pbc {text}); its cell was taken as given.")


def _columns(layout: str, rows: Sequence[list[str]], count: int) -> tuple[list[str], list[list[float]]]:
    fields = layout.split(":")
    if len(fields) % 3 or not all(width.isdigit() and 0 < int(width) < 1000 for width in fields[2::3]):
        raise SourceError(f"Properties={layout!r} is no list of name:type:count.")
    starts: dict[str, int] = {}
    at = 0
    for name, width in zip(fields[::3], fields[2::3], strict=True):
        starts[name.lower()] = at
        at += int(width)
    if "pos" not in starts or not starts.keys() & {"species", "z"}:
        raise SourceError(f"Properties={layout!r} names no species and positions.")
    if len(rows) < count or any(len(row) < at for row in rows):
        raise SourceError(f"The frame is cut off: {count} atoms of {at} columns were announced.")
    place = starts["pos"]
    positions = _floats([row[place : place + 3] for row in rows])
    if "species" in starts:
        return [row[starts["species"]] for row in rows], positions
    return [symbol_of_number(row[starts["z"]]) for row in rows], positions


def symbol_of_number(value: Any) -> str:
    """Find the symbol of an atomic number.

    Raises
    ------
    UnknownElement
        No element has it.

    Examples
    --------
    >>> symbol_of_number(84)
    'Po'
    """
    from ase.data import chemical_symbols

    try:
        number = int(value)
    except (TypeError, ValueError):
        number = 0
    if not 0 < number < len(chemical_symbols):
        raise UnknownElement(f"No element has the atomic number {value!r}.")
    return str(chemical_symbols[number])


def _value(text: str) -> Any:
    if text.upper() in {"T", "F", "TRUE", "FALSE"}:
        return text.upper().startswith("T")
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
