"""What bytes claim to be: by name first, then by their beginning."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any, Final, NamedTuple

MAGIC: Final = (
    (b"\x1f\x8b", "gz"),
    (b"BZh", "bz2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"SQLite format 3\x00", "sqlite"),
)
HEAD: Final = 8192
UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
UTF8_MARK: Final = b"\xef\xbb\xbf"

_SUFFIXES: Final = {
    ".cif": "cif",
    ".mcif": "cif",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".vasp": "poscar",
    ".poscar": "poscar",
    ".xyz": "extxyz",
    ".extxyz": "extxyz",
    ".csv": "csv",
    ".tsv": "csv",
}
_NEB: Final = frozenset({"forward_barrier", "barrier_analysis", "neb_method", "energies"})
_CONDUCTIVITIES: Final = frozenset({"log10_sigma", "sigma_S_cm"})
_UNITS: Final = frozenset({"unit", "units"})
_COMPOSITIONS: Final = frozenset({"formula", "composition", "reduced_formula"})
_CIF: Final = re.compile(rb"(?mi)^\s*data_\S*\s")
_NUMBERS: Final = rb"[ \t]*[-+.\d][-+.\deE]*(?:[ \t]+[-+.\d][-+.\deE]*)"
_POSCAR: Final = re.compile(
    rb"\A[^\n]*\n" + _NUMBERS + rb"{0,2}[ \t]*\r?\n(?:" + _NUMBERS + rb"{2}[ \t]*\r?\n){3}[^\n]*\S"
)
_XYZ: Final = re.compile(rb"\A\s*\d+[ \t]*\r?\n[^\n]*Lattice[ \t]*=", re.IGNORECASE)


def container_of(head: bytes) -> str | None:
    """Recognise archives, compressed files and databases by their first bytes.

    Parameters
    ----------
    head : bytes
        The first 512 bytes or more.

    Returns
    -------
    str or None
        "gz", "bz2", "xz", "zip", "tar" or "sqlite".

    Examples
    --------
    >>> container_of(b"PK" + bytes([3, 4]))
    'zip'
    """
    for magic, kind in MAGIC:
        if head.startswith(magic):
            return kind
    return "tar" if head[257:262] == b"ustar" else None


def text_kind(name: str, head: bytes) -> str | None:
    r"""Recognise a text format.

    Parameters
    ----------
    name : str
        File name; its ending counts most.
    head : bytes
        The first bytes.

    Returns
    -------
    str or None
        "cif", "jsonl", "json", "poscar", "extxyz" or "csv"; None when nothing fits.

    Examples
    --------
    >>> text_kind("CONTCAR", b""), text_kind("x", b"data_x\n_cell_length_a 3"), text_kind("x.txt", b"Hello")
    ('poscar', 'cif', None)
    """
    path = PurePosixPath(name.replace("\\", "/"))
    kind = _SUFFIXES.get(path.suffix.lower())
    if head.startswith(UTF16_MARKS):
        return kind if kind in {"cif", "poscar", "csv"} else None
    if b"\x00" in head and kind != "csv":  # a broken cell is told with its row
        return None
    text = head.removeprefix(UTF8_MARK)
    if kind in {"json", "jsonl"} or (kind is None and text.lstrip()[:1] in {b"{", b"["}):
        return _json_kind(text, kind)
    if kind is not None:
        return kind
    if path.stem.upper().startswith(("POSCAR", "CONTCAR")):
        return "poscar"
    if _XYZ.match(text):
        return "extxyz"
    if _CIF.search(text):
        return "cif"
    return "poscar" if _POSCAR.match(text) else None


def _json_kind(text: bytes, named: str | None) -> str:
    stripped = text.lstrip()
    if stripped.startswith(b"["):
        return "json"
    # A line that is an object of its own, or one longer than what was looked at: JSON Lines. Pretty JSON starts "{\n".
    first, _, rest = stripped.partition(b"\n")
    whole = len(first) > 1 and first.rstrip().endswith(b"}")
    if named == "json":  # one document, unless further lines show otherwise
        return "jsonl" if whole and rest.strip() else "json"
    if named == "jsonl" and len(first.rstrip()) > 1:  # a first line that is cut off spoils the others no more than any
        return "jsonl"
    return "jsonl" if whole or b"\n" not in stripped else "json"


class Claim(NamedTuple):
    """What a JSON object claims to be: its format and its own id, provider, licence and references."""

    format: str
    id: str | None = None
    provider: str | None = None
    licence: str | None = None


def classify(value: Any) -> Claim | None:
    """Recognise a JSON object that holds one structure, hops, or a conductivity.

    Examples
    --------
    >>> classify({"id": "a-1", "source": "a", "structure": {"lattice": [], "species": [], "frac_coords": []}})
    Claim(format='uniform-json', id='a-1', provider='a', licence=None)
    >>> classify({"answer": 42}) is None
    True
    """
    if not isinstance(value, dict):
        return None
    structure = value.get("structure")
    if "start_frac" in value or "end_frac" in value:  # before all that has a structure: this one is of a host only
        terms = value.get("licence") or value.get("license")
        return Claim("hop-json", _text(value.get("id")), _text(value.get("source")), _text(terms))
    hops = hop_document(value)
    if hops is not None:
        return Claim(hops)
    if is_conductivity(value):  # with or without a structure, which is then that of what was measured
        terms = value.get("licence") or value.get("license")
        return Claim("conductivity-json", _text(value.get("id")), _text(value.get("source")), _text(terms))
    if value.get("type") == "structures" and isinstance(value.get("attributes"), dict):
        return Claim("optimade-json", _text(value.get("id")))
    if "material_id" in value and "structure" in value:
        return Claim("mp-json", _text(value["material_id"]), "mp")
    if "@class" in value or ("lattice" in value and "sites" in value):
        entry = value.get("entry_id")
        return Claim("pymatgen-json", _text(entry)) if "sites" in value or isinstance(structure, dict) else None
    if "numbers" in value and "positions" in value and "cell" in value:
        unique = _text(value.get("unique_id"))
        return Claim("ase-json", f"ase-{unique}" if unique else None)
    if "structure" in value and (structure is None or (isinstance(structure, dict) and "lattice" in structure)):
        terms = value.get("licence") or value.get("license")
        return Claim("uniform-json", _text(value.get("id")), _text(value.get("source")), _text(terms))
    return None


def is_conductivity(value: dict[str, Any]) -> bool:
    """Recognise a measured conductivity, or one that is asked for: by its value, or by temperature and ion.

    Examples
    --------
    >>> is_conductivity({"formula": "Li3N", "log10_sigma": -3.2}), is_conductivity({"formula": "Li3N", "sigma": 1})
    (True, False)
    >>> is_conductivity({"formula": "Li3N", "working_ion": "Li", "temperature_K": 300, "structure": None})
    True
    """
    if not _CONDUCTIVITIES.isdisjoint(value) or ("sigma" in value and not _UNITS.isdisjoint(value)):
        return True
    return "temperature_K" in value and "working_ion" in value and not _COMPOSITIONS.isdisjoint(value)


def hop_document(value: dict[str, Any]) -> str | None:
    """Recognise the documents of the Materials Project that hold hops.

    Returns
    -------
    str or None
        "mp-migration-graph" (a MigrationGraphDoc), "mp-neb-pathway" (several hops) or "mp-neb" (one).

    Examples
    --------
    >>> hop_document({"hops": {"0+1": {"images": [], "forward_barrier": None}}})
    'mp-neb-pathway'
    """
    name = value.get("@class")
    if name == "MigrationGraphDoc" or ("migration_graph" in value and ("hop_cutoff" in value or "battery_id" in value)):
        return "mp-migration-graph"
    hops = value.get("hops")
    if isinstance(hops, dict) and (name == "NebPathwayResult" or any(_is_neb(hop) for hop in hops.values())):
        return "mp-neb-pathway"
    return "mp-neb" if name in {"NebResult", "NebTaskDoc"} or _is_neb(value) else None


def _is_neb(value: Any) -> bool:
    return isinstance(value, dict) and ("images" in value or "initial_images" in value) and not _NEB.isdisjoint(value)


def _text(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value).strip()
    return text if 0 < len(text) <= 300 else None
