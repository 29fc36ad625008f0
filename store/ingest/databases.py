"""SQLite files: ASE databases, and the AMCSD of larixite. Rows are read with the standard library, verbatim."""

from __future__ import annotations

import base64
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from store.errors import SourceError, UnknownFormat
from store.ingest.amcsd import amcsd_records
from store.ingest.json_records import canonical, place
from store.ingest.records import BadRecord, Origin, Record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def sqlite_records(path: Path, origin: Origin) -> Iterator[Record | BadRecord]:
    """Yield the rows of an SQLite file, whichever of the known databases it is.

    Parameters
    ----------
    path : pathlib.Path
        Where the file lies.
    origin : Origin
        What to record as its place.
    """
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as database:
            database.row_factory = sqlite3.Row
            tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if {"systems", "species"} <= tables:
                yield from _ase_rows(database, origin)
                return
    except (sqlite3.Error, UnicodeDecodeError) as error:
        yield BadRecord(origin, SourceError(f"The SQLite file cannot be read: {error}."))
        return
    if {"cif", "spacegroups", "minerals"} <= tables:
        yield from _amcsd_rows(path, origin)
        return
    names = ", ".join(sorted(tables)[:8]) or "none"
    yield BadRecord(origin, UnknownFormat(f"The SQLite file is no ASE database and no AMCSD; its tables: {names}."))


def _amcsd_rows(path: Path, origin: Origin) -> Iterator[Record | BadRecord]:
    try:
        yield from amcsd_records(path, origin=origin.path)
    except SourceError as error:
        yield BadRecord(origin, error)


def _ase_rows(database: sqlite3.Connection, origin: Origin) -> Iterator[Record | BadRecord]:
    for row in database.execute("SELECT * FROM systems ORDER BY id"):
        content = {key: _plain(row[key]) for key in row.keys()}  # noqa: SIM118  (a Row iterates over its values)
        here = place(origin, member=f"systems/{content.get('id')}")
        unique = content.get("unique_id")
        yield Record("ase-json", canonical(content), f"ase-{unique}" if unique else None, here)


def _plain(value: Any) -> Any:
    # ASE packs arrays as little-endian bytes; JSON keeps them in base64, unopened.
    return {"base64": base64.b64encode(value).decode("ascii")} if isinstance(value, bytes) else value
