"""How rows become bytes: JSON Lines, CSV, Parquet."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from store.fields import Field

FORMATS: Final = {
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
"""Formats and their MIME types."""

Row = dict[str, Any]


class Writer(Protocol):
    """Turns rows into bytes, in order."""

    def rows(self, rows: Sequence[Row]) -> Iterator[bytes]:
        """Write rows."""

    def end(self, about: dict[str, Any]) -> Iterator[bytes]:
        """Write what comes last; a format that can hold it keeps what the rows are about."""


def make_writer(form: str, fields: Sequence[Field]) -> Writer:
    r"""Make the writer of a format.

    Examples
    --------
    >>> from store.fields import FIELDS
    >>> writer = make_writer("csv", [FIELDS["id"], FIELDS["elements"]])
    >>> b"".join(writer.rows([{"id": "mp-1", "elements": ["Li", "O"]}]))
    b'id,elements\nmp-1,Li O\n'
    """
    makers: dict[str, Callable[[Sequence[Field]], Writer]] = {"jsonl": JsonLines, "csv": Csv, "parquet": Parquet}
    return makers[form](fields)


class JsonLines:
    """One object a line, with the names of the fields; times as ISO 8601."""

    def __init__(self, fields: Sequence[Field]) -> None:
        self._fields = fields

    def rows(self, rows: Sequence[Row]) -> Iterator[bytes]:
        """Write rows."""
        import orjson

        option = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z
        yield b"".join([orjson.dumps(row, default=str, option=option) for row in rows])

    def end(self, about: dict[str, Any]) -> Iterator[bytes]:
        """Write nothing more."""
        yield from ()


class Csv:
    """A line of names, then a line a row: lists with blanks between, nothing where a value is unknown."""

    def __init__(self, fields: Sequence[Field]) -> None:
        self._names = [field.name for field in fields]
        self._begun = False

    def rows(self, rows: Sequence[Row]) -> Iterator[bytes]:
        """Write rows."""
        import csv

        held = io.StringIO()
        writer = csv.writer(held, lineterminator="\n")
        if not self._begun:
            writer.writerow(self._names)
            self._begun = True
        writer.writerows([_cell(row[name]) for name in self._names] for row in rows)
        yield held.getvalue().encode()

    def end(self, about: dict[str, Any]) -> Iterator[bytes]:
        """Write the names if there was no row."""
        if not self._begun:
            yield from self.rows([])


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return " ".join(str(item) for item in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return "" if value is None else value


class _Sink(io.RawIOBase):
    """What the Parquet writer writes to: hands over what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self._held: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        chunk = bytes(data)
        self._held.append(chunk)
        return len(chunk)

    def taken(self) -> bytes:
        held, self._held = b"".join(self._held), []
        return held


class Parquet:
    """Columns with units and meanings in their metadata; licences and filter in the file's."""

    def __init__(self, fields: Sequence[Field]) -> None:
        from pyarrow import parquet

        self._fields = fields
        self._sink = _Sink()
        self._schema = arrow_schema(fields)
        self._writer: Any = parquet.ParquetWriter(self._sink, self._schema, compression="zstd")

    def rows(self, rows: Sequence[Row]) -> Iterator[bytes]:
        """Write rows as one row group."""
        import pyarrow as pa

        columns = {field.name: [row[field.name] for row in rows] for field in self._fields}
        self._writer.write_table(pa.table(columns, schema=self._schema))
        yield self._sink.taken()

    def end(self, about: dict[str, Any]) -> Iterator[bytes]:
        """Write the footer."""
        import orjson

        self._writer.add_key_value_metadata({"ionatlas": orjson.dumps(about).decode()})
        self._writer.close()
        yield self._sink.taken()


def arrow_schema(fields: Sequence[Field]) -> Any:
    """Make a ``pyarrow.Schema``; each column carries its ``unit`` and ``meaning``."""
    import pyarrow as pa

    kinds = {
        "string": pa.string(),
        "integer": pa.int64(),
        "float": pa.float64(),
        "boolean": pa.bool_(),
        "timestamp": pa.timestamp("ms", tz="UTC"),
        "list of string": pa.list_(pa.string()),
    }
    return pa.schema(
        [
            pa.field(field.name, kinds[field.type], metadata={"unit": field.unit or "", "meaning": field.meaning})
            for field in fields
        ]
    )
