"""Pages in a fixed order: what has no value comes last, in both directions, and a cursor goes on behind a row.

MongoDB counts null as the smallest value, and has an index for few orders by several fields. So an order is read in parts,
each of which an index on one field can walk: the rows that have the first field, then those that lack it, by the rest of
the order. Behind a row, three parts follow each other: the rows with its value in the first field (by the rest of the
order), those with a later value, those without one. No part asks for rows by their number, so rows that come or go
elsewhere move nothing: each row that stays is met exactly once.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from api.conditions import column
from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymongo.collection import Collection

    from store.fields import Field

Key = tuple[str, int]
Document = dict[str, Any]

_VERSION: Final = 1
_LONGEST: Final = 20_000
_INT64: Final = 2**63


def order_keys(order: Sequence[tuple[Field, int]]) -> list[Key]:
    """Write an order as MongoDB's keys, closed by ``_id``.

    Examples
    --------
    >>> from store.fields import FIELDS
    >>> order_keys([(FIELDS["density"], -1)])
    [('density', -1), ('_id', -1)]
    """
    keys = [(column(field), direction) for field, direction in order]
    names = [name for name, _ in keys]
    if "_id" in names:
        return keys[: names.index("_id") + 1]
    # The indexes end in _id: ties in the direction of the last key let them be walked as they are.
    return [*keys, ("_id", keys[-1][1] if keys else 1)]


@dataclass(frozen=True)
class Pages:
    """Rows of one query in one order.

    Attributes
    ----------
    collection : pymongo.collection.Collection
    wanted : dict
        MongoDB query.
    projection : dict
        What is read of a document; the keys have to be in it.
    keys : list of (str, int)
        From :func:`order_keys`.
    milliseconds : int
        Time that MongoDB may spend on one part.
    """

    collection: Collection[Document]
    wanted: Document
    projection: dict[str, int]
    keys: list[Key]
    milliseconds: int

    def first(self, most: int | None, skip: int = 0) -> list[Document]:
        """Read from the start.

        Parameters
        ----------
        most : int or None
            Most rows; None for all.
        skip : int
            Rows to leave out.
        """
        if not skip:
            return self._begin([], self.keys, most)
        name = self.keys[0][0]
        if name == "_id":
            return self._find([], self.keys, most, skip)
        if len(self.keys) > 2:
            return self._begin([], self.keys, None if most is None else most + skip)[skip:]
        known: list[Document] = [{name: {"$ne": None}}]
        rows = self._find(known, self.keys, most, skip)
        if most is not None and len(rows) >= most:
            return rows
        before = (
            skip if rows else self.collection.count_documents(_all(self.wanted, known), maxTimeMS=self.milliseconds)
        )
        left = None if most is None else most - len(rows)
        return rows + self._find([{name: None}], self.keys[1:], left, max(0, skip - before))

    def after(self, values: Sequence[Any], most: int | None) -> list[Document]:
        """Read on behind a row.

        Parameters
        ----------
        values : sequence
            The row's values of the keys.
        most : int or None
        """
        return self._behind([], self.keys, values, most)

    def _begin(self, where: list[Document], keys: list[Key], most: int | None) -> list[Document]:
        name = keys[0][0]
        if name == "_id" or (len(keys) == 2 and keys[0][1] < 0):
            return self._find(where, keys, most)  # descending, null is last anyway
        rows = self._known([*where, {name: {"$ne": None}}], keys, most)
        if most is None or len(rows) < most:
            rows += self._begin([*where, {name: None}], keys[1:], _left(most, rows))
        return rows

    def _behind(
        self, where: list[Document], keys: list[Key], values: Sequence[Any], most: int | None
    ) -> list[Document]:
        (name, direction), rest = keys[0], keys[1:]
        value, later = values[0], "$gt" if direction > 0 else "$lt"
        if name == "_id":
            return self._find([*where, {"_id": {later: value}}], keys, most)
        if value is None:
            return self._behind([*where, {name: None}], rest, values[1:], most)
        rows = self._behind([*where, {name: {"$eq": value}}], rest, values[1:], most)
        if most is None or len(rows) < most:
            # Order comparisons see values of the same type only: null does not answer.
            rows += self._known([*where, {name: {later: value}}], keys, _left(most, rows))
        if most is None or len(rows) < most:
            rows += self._begin([*where, {name: None}], rest, _left(most, rows))
        return rows

    def _known(self, where: list[Document], keys: list[Key], most: int | None) -> list[Document]:
        """Rows that have the first field. An index walks them by that field; what is equal in it is put in order here."""
        if len(keys) == 2:
            return self._find(where, keys, most)
        (first, direction), rest = keys[0], keys[1:]
        rows = self._find(where, [(first, direction), ("_id", direction)], most)
        groups = [(value, list(same)) for value, same in itertools.groupby(rows, key=lambda row: row[first])]
        cut = most is not None and len(rows) == most
        ordered = [row for _, same in (groups[:-1] if cut else groups) for row in _sorted(same, rest)]
        if cut and groups:
            # Of the last group only a part is here, and perhaps the wrong one.
            value, same = groups[-1]
            ordered += self._begin([*where, {first: {"$eq": value}}], rest, len(same))
        return ordered

    def _find(self, where: list[Document], keys: list[Key], most: int | None, skip: int = 0) -> list[Document]:
        cursor = self.collection.find(_all(self.wanted, where), self.projection).sort(keys).skip(skip)
        cursor = cursor.max_time_ms(self.milliseconds).allow_disk_use(True)
        if most is not None:
            cursor = cursor.limit(most).batch_size(min(most, 10_000))
        return list(cursor)


def _left(most: int | None, rows: list[Document]) -> int | None:
    return None if most is None else most - len(rows)


def _all(wanted: Document, where: list[Document]) -> Document:
    parts = [each for each in (wanted, *where) if each]
    return {"$and": parts} if len(parts) > 1 else (parts[0] if parts else {})


def _sorted(rows: list[Document], keys: list[Key]) -> list[Document]:
    for name, direction in reversed(keys):
        known = [row for row in rows if row.get(name) is not None]
        known.sort(key=lambda row: _as_mongodb(row[name]), reverse=direction < 0)
        rows = known + [row for row in rows if row.get(name) is None]
    return rows


def _as_mongodb(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else value


# ---------------------------------------------------------------------------------------------------------- cursors


def digest(*question: Any) -> str:
    """Name a question: a cursor goes on with the question that it came from and with no other."""
    text = json.dumps(question, default=str, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_cursor(question: str, values: Sequence[Any]) -> str:
    """Write the place behind a row.

    Examples
    --------
    >>> read_cursor(write_cursor("q", [1.5, None, "mp-1"]), "q", 3)
    [1.5, None, 'mp-1']
    """
    plain = [{"t": value.isoformat()} if isinstance(value, datetime) else value for value in values]
    text = json.dumps([_VERSION, question, *plain], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(cursor: str, question: str, count: int) -> list[Any]:
    """Read the values of a place.

    Raises
    ------
    UsageError
        The cursor is broken, or belongs to another question.
    """
    try:
        held = _unpacked(cursor)
        values = [_value(each) for each in held[2:]]
        broken = held[0] != _VERSION or len(values) != count or not isinstance(values[-1], str)
    except (ValueError, TypeError, LookupError, RecursionError):  # of base64, of UTF-8, of JSON, of what is in it
        broken, held, values = True, [], []
    if not broken and held[1] != question:
        raise UsageError(
            "The cursor belongs to another filter or order.",
            mend="go on with the question that it came from, unchanged",
        )
    if broken:
        raise UsageError(f"The cursor {cursor[:24]!r} cannot be read.", mend="leave it away to begin at the first page")
    return values


def _unpacked(cursor: str) -> list[Any]:
    if len(cursor) > _LONGEST or not cursor.isascii():
        raise ValueError
    raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    held = json.loads(raw)
    if not isinstance(held, list) or len(held) < 3:
        raise ValueError
    return held


def _value(held: Any) -> Any:
    if isinstance(held, dict):
        moment = datetime.fromisoformat(held["t"])
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if isinstance(held, int) and not -_INT64 <= held < _INT64:
        raise ValueError
    if held is not None and not isinstance(held, str | int | float):
        raise TypeError
    if isinstance(held, str):
        held.encode()  # half a surrogate pair is no text
    return held
