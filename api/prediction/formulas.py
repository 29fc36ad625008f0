"""Formulas from a file: one a line, or the column ``formula`` of a table."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Final

from store.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS: Final = ("formula", "reduced_formula", "chemical_formula_reduced", "formula_pretty", "composition")
"""Headings under which formulas stand, the first that is there."""
_LARGEST: Final = 64 * 2**20


def read_formulas(path: Path) -> list[str]:
    """Read the formulas of a file, in its order, empty lines left out.

    Parameters
    ----------
    path : pathlib.Path
        CSV or TSV with a column ``formula`` (or one column without a heading), JSON Lines with a key ``formula``, or plain
        text; lines that begin with # are comments.

    Raises
    ------
    UsageError
        There is no such file, it is too large or not text, or it has several columns and none of formulas.
    """
    if not path.is_file():
        raise UsageError(f"There is no file {str(path)!r}.", mend="check the path of --from")
    if path.stat().st_size > _LARGEST:
        raise UsageError(f"{path.name} is larger than {_LARGEST // 2**20} MB.", mend="divide it")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{path.name} is no text file in UTF-8.", mend="save it as CSV in UTF-8") from None
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        raise UsageError(f"{path.name} holds no formulas.", mend="one formula a line, or a column 'formula'")
    if path.suffix.lower() in (".jsonl", ".ndjson", ".json") or lines[0].lstrip().startswith("{"):
        return _json_lines(path.name, lines)
    return _table(path.name, lines)


def _json_lines(name: str, lines: list[str]) -> list[str]:
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
        except ValueError:
            raise UsageError(
                f"Line {number} of {name} is no JSON.", mend='lines such as {"formula": "LiNiPO4"}'
            ) from None
        value = next((row[key] for key in COLUMNS if key in row), None) if isinstance(row, dict) else row
        if not isinstance(value, str):
            raise UsageError(
                f"Line {number} of {name} has no formula.", mend='lines such as {"formula": "LiNiPO4"} are read'
            )
        found.append(value.strip())
    return found


def _table(name: str, lines: list[str]) -> list[str]:
    first = lines[0]
    separator = next((each for each in "\t;," if each in first), ",")
    rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO("\n".join(lines)), delimiter=separator)]
    headings = [cell.lower() for cell in rows[0]]
    column = next((headings.index(key) for key in COLUMNS if key in headings), None)
    if column is not None:
        return [row[column] for row in rows[1:] if len(row) > column and row[column]]
    if max(len(row) for row in rows) > 1:
        raise UsageError(
            f"{name} has the columns {', '.join(rows[0][:6])} and none named formula.", mend="name the column 'formula'"
        )
    return [row[0] for row in rows]
