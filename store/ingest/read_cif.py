"""Reader of CIF: pymatgen takes the text apart and knows the space groups; sites are expanded here.

pymatgen's own expansion compares each atom with all others in Python (minutes for 10,000 atoms), drops labels such as
"OH1", and reports what it mended as Python warnings; those are collected.
"""

from __future__ import annotations

import re
import warnings as python_warnings
from typing import Any, Final

import numpy as np

from store.errors import InvalidCoordinates, InvalidLattice, InvalidOccupancy, SourceError, UnknownElement
from store.ingest.common import decode, reference_of
from store.ingest.labels import SiteElement, element_of_label, element_of_symbol, formula_elements
from store.ingest.operations import Operations, parse_operations
from store.ingest.orbits import cell_matrix, fill_cell
from store.ingest.result import ReadResult

_OPERATION_KEYS: Final = (
    "_symmetry_equiv_pos_as_xyz",
    "_space_group_symop_operation_xyz",
    "_symmetry_equiv_pos_as_xyz_",
    "_space_group_symop_operation_xyz_",
)
_NAME_KEYS: Final = ("_chemical_name_mineral", "_chemical_name_common", "_chemical_name_systematic")
_UNKNOWN: Final = frozenset({"", "?", "."})
_NUMBER: Final = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_FOREIGN: Final = re.compile(r"[^\x00-\x7f]")
_ESCAPED: Final = re.compile(r"\\x\{([0-9a-f]{2,5})\}")

Block = dict[str, Any]


def read_cif(content: bytes) -> ReadResult:
    """Read the first data block with atoms of a CIF.

    Parameters
    ----------
    content : bytes
        The CIF, of one data block with atoms.

    Returns
    -------
    ReadResult
        The whole cell as given; what was mended or assumed is in ``warnings``.

    Raises
    ------
    SourceError
        The text is cut off or no CIF.
    StructureError
        Its cell, positions, elements or occupancies are impossible.

    Examples
    --------
    >>> text = '''data_po
    ... _cell_length_a 3.35
    ... _cell_length_b 3.35
    ... _cell_length_c 3.35
    ... _cell_angle_alpha 90
    ... _cell_angle_beta 90
    ... _cell_angle_gamma 90
    ... loop_
    ... _atom_site_label
    ... _atom_site_fract_x
    ... _atom_site_fract_y
    ... _atom_site_fract_z
    ... Po1 0 0 0
    ... '''
    >>> read_cif(text.encode()).crystal.species
    ('Po',)
    """
    notes: list[str] = []
    text = decode(content, notes)
    if "\x00" in text[:4096]:
        raise SourceError("The CIF holds binary data.")
    with python_warnings.catch_warnings(record=True) as caught:
        python_warnings.simplefilter("always")
        parser, block = _parse(text)
        operations = _operations(parser, block)
    notes += dict.fromkeys(str(one.message) for one in caught)
    lattice = cell_matrix(
        [_cell_number(block, f"_cell_length_{axis}") for axis in "abc"],
        [_cell_number(block, f"_cell_angle_{angle}") for angle in ("alpha", "beta", "gamma")],
    )
    elements = formula_elements(_one(block, "_chemical_formula_sum"))
    sites, contents, coords = _sites(block, elements, notes)
    crystal = fill_cell(lattice, contents, coords, operations, warnings=notes)
    _compare(sites, crystal.amounts(), elements, notes)
    return ReadResult(crystal, _properties(block), _name(block), None, _references(block), notes)


def _parse(text: str) -> tuple[Any, Block]:
    from pymatgen.io.cif import CifParser

    try:
        parser = CifParser.from_str(_escape(text), check_cif=False)
        blocks = parser.as_dict()
    except Exception as error:  # its tokeniser raises whatever comes
        raise SourceError(f"The CIF cannot be read; it may be cut off: {error or type(error).__name__}.") from error
    for block in blocks.values():
        if any(key.startswith("_atom_site_") for key in block):
            return parser, block
    raise SourceError("The CIF holds no atoms; it may have been cut off.")


def _column(block: Block, key: str) -> list[str] | None:
    value = block.get(key)
    if value is None:
        return None
    return [_unescape(str(item)) for item in (value if isinstance(value, list) else [value])]


def _escape(text: str) -> str:
    """Write what is not ASCII in ASCII: pymatgen would drop it, and "Wüstite" become "Wstite"."""
    if text.isascii():
        return text
    return _FOREIGN.sub(lambda found: f"\\x{{{ord(found[0]):x}}}", text.replace("\u00a0", " "))


def _unescape(text: str) -> str:
    if "\\x{" not in text:
        return text
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text).encode("utf-8", "replace").decode("utf-8")


def _one(block: Block, key: str) -> str | None:
    column = _column(block, key)
    return column[0].strip() if column and column[0].strip() not in _UNKNOWN else None


def _number(text: str) -> float | None:
    """Read a CIF number, with its uncertainty in brackets; None for unknown ones, NaN for "nan"."""
    stripped = text.strip()
    if stripped in _UNKNOWN:
        return None
    bare = stripped.split("(")[0]
    if _NUMBER.fullmatch(bare):
        return float(bare)
    if bare.lower().lstrip("+-") in {"nan", "inf", "infinity"}:
        return float("nan")
    raise SourceError(f"{text[:40]!r} is no number.")


def _cell_number(block: Block, key: str) -> float:
    text = _one(block, key)
    if text is None:
        raise InvalidLattice(f"The CIF gives no {key}.")
    try:
        value = _number(text)
    except SourceError:
        value = None
    if value is None:
        raise InvalidLattice(f"{key} is {text[:40]!r}, not a number.")
    return value


def _operations(parser: Any, block: Block) -> Operations:
    for key in _OPERATION_KEYS:
        texts = _column(block, key)
        if texts and texts[0].strip() not in _UNKNOWN:
            return parse_operations(tuple(texts))
    from pymatgen.io.cif import CifBlock

    wrapped = CifBlock(block, [], "block")
    try:
        found = parser.get_magsymops(wrapped) if parser.feature_flags["magcif"] else parser.get_symops(wrapped)
        matrices = np.array([operation.affine_matrix for operation in found], dtype=np.float64)
    except Exception as error:  # unknown groups raise whatever comes
        raise SourceError(f"The symmetry of the CIF cannot be read: {error or type(error).__name__}.") from error
    return Operations(matrices[:, :3, :3], matrices[:, :3, 3])


def _sites(
    block: Block, elements: frozenset[str], notes: list[str]
) -> tuple[list[SiteElement], list[dict[str, float]], np.ndarray[Any, np.dtype[np.float64]]]:
    labels, types = _column(block, "_atom_site_label"), _column(block, "_atom_site_type_symbol")
    names = types or labels
    if not names:
        raise SourceError("The CIF names no atom sites; it may be cut off.")
    coords = np.stack([_coordinates(block, axis, len(names)) for axis in "xyz"], axis=1)
    amounts = _amounts(block, len(names))
    flags = _column(block, "_atom_site_calc_flag") or []
    dummies = {index for index, flag in enumerate(flags) if flag.strip() == "dum"}
    keep = [index for index in range(len(names)) if index not in dummies and amounts[index] != 0]
    if len(keep) < len(names):
        notes.append(f"{len(names) - len(keep)} dummy sites or sites of zero occupancy were left out.")
    if not keep:
        raise SourceError("The CIF has no occupied site.")
    sites = [_element(index, types, labels, elements) for index in keep]
    contents = [{site.symbol: amounts[index]} for site, index in zip(sites, keep, strict=True)]
    return sites, contents, coords[keep]


def _element(index: int, types: list[str] | None, labels: list[str] | None, elements: frozenset[str]) -> SiteElement:
    kind = types[index].strip() if types else ""
    if kind in _UNKNOWN and labels and index < len(labels):
        return element_of_label(labels[index], elements)
    found = element_of_symbol(kind) if types else None
    if found is None:
        raise UnknownElement(f"Site {index + 1} names no element.")
    return found


def _coordinates(block: Block, axis: str, count: int) -> list[float]:
    column = _column(block, f"_atom_site_fract_{axis}")
    if column is None:
        raise SourceError(f"The CIF gives no fractional coordinates {axis}; Cartesian ones are not read.")
    if len(column) != count:
        raise SourceError(f"The CIF has {count} sites and {len(column)} coordinates {axis}; it may be cut off.")
    values = [_number(text) for text in column]
    if None in values:
        raise InvalidCoordinates(
            f"Site {values.index(None) + 1} has no coordinate {axis} ({column[values.index(None)]!r})."
        )
    return [value for value in values if value is not None]


def _amounts(block: Block, count: int) -> list[float]:
    column = _column(block, "_atom_site_occupancy")
    if column is None:
        return [1.0] * count
    if len(column) != count:
        raise SourceError(f"The CIF has {count} sites and {len(column)} occupancies; it may be cut off.")
    values = [_number(text) for text in column]
    amounts = [1.0 if value is None else value for value in values]
    for index, amount in enumerate(amounts):
        if not np.isfinite(amount) or amount < 0:
            raise InvalidOccupancy(f"Occupancies lie between 0 and 1. Site {index + 1} has {column[index]!r}.")
    return amounts


def _compare(sites: list[SiteElement], amounts: dict[str, float], elements: frozenset[str], notes: list[str]) -> None:
    notes.extend(dict.fromkeys(site.note for site in sites if site.note))
    hidden = any(site.hidden_hydrogens for site in sites)
    if hidden or ("H" in elements and "H" not in amounts):
        notes.append("hydrogen_not_located: the formula has hydrogen that the sites do not.")
    lost = sorted(elements - set(amounts) - {"H"})
    if lost:
        notes.append(f"The formula names {', '.join(lost)}, which no site holds.")


def _properties(block: Block) -> dict[str, Any]:
    given = {
        "formula_reported": _one(block, "_chemical_formula_sum"),
        "space_group_reported": _one(block, "_symmetry_space_group_name_H-M")
        or _one(block, "_space_group_name_H-M_alt"),
        "title": _one(block, "_publ_section_title"),
    }
    properties: dict[str, Any] = {key: value for key, value in given.items() if value}
    for key, name in (
        ("_cell_measurement_temperature", "temperature"),
        ("_diffrn_ambient_pressure", "ambient_pressure"),
    ):
        text = _one(block, key)
        if text is not None:
            try:
                value = _number(text)
            except SourceError:
                value = None
            if value is not None and np.isfinite(value):
                properties[name] = value
    if any(key.startswith(("_diffrn_", "_refln", "_refine_", "_pd_meas", "_cell_measurement_")) for key in block):
        properties["experimental"] = True
    return properties


def _name(block: Block) -> str | None:
    return next((found for key in _NAME_KEYS if (found := _one(block, key))), None)


def _references(block: Block) -> list[str]:
    doi = _one(block, "_journal_paper_doi") or _one(block, "_citation_doi")
    authors = [name.strip() for name in _column(block, "_publ_author_name") or [] if name.strip() not in _UNKNOWN]
    journal, year = _one(block, "_journal_name_full"), _one(block, "_journal_year")
    volume, page = _one(block, "_journal_volume"), _one(block, "_journal_page_first")
    references = reference_of(doi)
    if journal:
        tail = " ".join(part for part in (journal, volume and f"{volume},", page, year and f"({year})") if part)
        references.append(". ".join(part for part in (", ".join(authors), tail) if part))
    return references
