"""Answers on the screen and in files: tables for people, JSON Lines, CSV and Parquet for programs.

What a program reads goes to stdout and nothing else does; messages go to stderr.
"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import typer

from api.whole_files import written_whole
from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from rich.console import Console

    from api.results import QueryResult
    from api.service import Service
    from store.fields import Field


class Format(StrEnum):
    """How rows are written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"


_LONG = 2000
"""Rows from which a table is printed plainly."""

_ENDINGS = {
    ".json": Format.JSON,
    ".jsonl": Format.JSON,
    ".ndjson": Format.JSON,
    ".csv": Format.CSV,
    ".parquet": Format.PARQUET,
    ".txt": Format.TABLE,
}


def open_service() -> Service:
    """Connect to the store that the settings name."""
    from api.service import Service
    from store.connection import connect
    from store.settings import load_settings

    settings = load_settings()
    return Service(connect(settings), settings)


def console(*, stderr: bool = False, file: Any = None) -> Console:
    """Make a console; what does not go to a terminal is as wide as it needs to be."""
    from rich.console import Console

    made = Console(stderr=stderr, file=file, highlight=False)
    if not made.is_terminal:
        made = Console(stderr=stderr, file=file, highlight=False, width=400)
    return made


def message(text: str) -> None:
    """Say something that is no part of the answer."""
    typer.echo(text, err=True)


def to_json(value: Any, *, indent: bool = False) -> str:
    """Write JSON: times as ISO 8601, bytes by their number, NumPy as lists."""
    import orjson

    option = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z
    return orjson.dumps(value, default=_plain, option=option | (orjson.OPT_INDENT_2 if indent else 0)).decode()


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return f"{len(value)} bytes"
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)


def sensible(value: Any) -> str:
    """Write a value for a table: as many digits as mean something.

    Examples
    --------
    >>> [sensible(value) for value in (5.26749, 0.00012, 1234.567, None, ["Li", "O"], True)]
    ['5.267', '1.2e-04', '1234.6', '–', 'Li O', 'yes']
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        size = abs(value)
        if value == 0.0 or 1e-3 <= size < 1000:
            return f"{value:.3f}"
        return f"{value:.1f}" if 1000 <= size < 1e6 else f"{value:.1e}"
    if isinstance(value, list):
        return " ".join(str(item) for item in value)
    return str(value)


def print_table(headings: Sequence[tuple[str, bool]], rows: Iterable[Sequence[str]], *, file: Any = None) -> None:
    """Print a table.

    Parameters
    ----------
    headings : sequence of (str, bool)
        Heading, and whether the column holds numbers (which stand to the right).
    rows : iterable of sequence of str
    file : optional
        Instead of stdout.
    """
    listed = list(rows)
    if len(listed) > _LONG:
        _print_plain(headings, listed, file or sys.stdout)
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for heading, number in headings:
        table.add_column(Text(heading), justify="right" if number else "left", overflow="fold")
    for row in listed:
        table.add_row(*(Text(cell) for cell in row))
    console(file=file).print(table)


def _print_plain(headings: Sequence[tuple[str, bool]], rows: Sequence[Sequence[str]], stream: Any) -> None:
    """Print a long table without rich, which takes a millisecond a row."""
    columns = list(zip(*([heading for heading, _ in headings], *rows), strict=True))
    widths = [max(map(len, column)) for column in columns]

    def line(cells: Sequence[str]) -> str:
        placed = zip(cells, widths, headings, strict=True)
        text = "   ".join(cell.rjust(width) if number else cell.ljust(width) for cell, width, (_, number) in placed)
        return f" {text.rstrip()}\n"

    stream.write(line([heading for heading, _ in headings]))
    stream.write(f" {'─' * (sum(widths) + 3 * len(widths) - 3)}\n")
    stream.writelines(line([cell.replace("\n", " ") for cell in row]) for row in rows)


def is_number(field: Field) -> bool:
    """Whether a column of this field stands to the right."""
    return field.type in ("integer", "float")


def format_for(given: Format | None, output: Path | None) -> Format:
    """Take the format that was named, or the one that the file's name says."""
    if given is not None:
        return given
    if output is None:
        return Format.TABLE
    return _ENDINGS.get(output.suffix.lower(), Format.JSON)


@contextlib.contextmanager
def replaced(output: Path, *, binary: bool = False) -> Iterator[Any]:
    """Open a stream to a file that is written whole or not at all (:func:`api.whole_files.written_whole`)."""
    with (
        written_whole(output) as part,
        part.open("wb") if binary else part.open("w", encoding="utf-8", newline="") as stream,
    ):
        yield stream


def write_result(result: QueryResult, form: Format, output: Path | None, *, hide_empty: bool = False) -> None:
    """Write an answer to stdout or to a file, in a format; a table may leave out columns without any value."""
    if hide_empty and form is Format.TABLE and result.rows:
        shown = [field for field in result.fields if any(row[field.name] is not None for row in result.rows)]
        result = replace(result, fields=shown)
    if form is Format.PARQUET:
        _write_parquet(result, output)
        return
    writer = {Format.TABLE: _as_table, Format.JSON: _as_json, Format.CSV: _as_csv}[form]
    if output is None:
        writer(result, sys.stdout)
    else:
        with replaced(output) as stream:
            writer(result, stream)


def _as_table(result: QueryResult, stream: Any) -> None:
    headings = [(field.label, is_number(field)) for field in result.fields]
    names = [field.name for field in result.fields]
    rows = ([sensible(row[name]) for name in names] for row in result.rows)
    print_table(headings, rows, file=stream)


def _as_json(result: QueryResult, stream: Any) -> None:
    for row in result.rows:
        stream.write(to_json(row) + "\n")


def _as_csv(result: QueryResult, stream: Any) -> None:
    import csv

    names = [field.name for field in result.fields]
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    for row in result.rows:
        writer.writerow([_cell(row[name]) for name in names])


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return " ".join(str(item) for item in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value


def _write_parquet(result: QueryResult, output: Path | None) -> None:
    import io

    from pyarrow import parquet

    if output is None and sys.stdout.isatty():
        raise UsageError("Parquet is for files and not for a screen.", mend="add -o FILE.parquet")
    table = arrow_table(result)
    if output is not None:
        with replaced(output, binary=True) as stream:
            parquet.write_table(table, stream)
        return
    held = io.BytesIO()
    parquet.write_table(table, held)
    sys.stdout.buffer.write(held.getvalue())


def tell_why_empty() -> None:
    """Say on stderr why nothing matches, where the store is the reason."""
    from api.finding import why_empty

    note = why_empty(open_service())
    if note:
        message(note)


def arrow_table(result: QueryResult) -> Any:
    """Make a ``pyarrow.Table``; each column carries its ``unit`` and ``meaning``."""
    import pyarrow as pa

    from api.exporting.formats import arrow_schema

    columns = {field.name: [row[field.name] for row in result.rows] for field in result.fields}
    return pa.table(columns, schema=arrow_schema(result.fields))
