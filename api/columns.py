"""Fields of all candidates as arrays in this process: a page counts by six fields, and MongoDB would read everything six times.

The server packs a field of all materials into a document, or some (an index on the field is enough for that), and which
materials match a filter into another. Both are kept until the candidates change (:mod:`api.standing`). :mod:`api.aggregate`
has the way through MongoDB alone, which is the slow twin of this one, and is taken where arrays would be too large.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from api.conditions import column
from api.finding import matching_ids, milliseconds, parts_of
from api.matching import rows_in_arrays
from api.standing import generation_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymongo.database import Database

    from api.service import Service
    from store.fields import Field

MOST: Final = 1_000_000
"""Materials above which MongoDB counts."""

_NUMBERS_PACKED: Final = 200_000
_TEXTS_PACKED: Final = 50_000
"""Materials of which one document holds a field, together with their ids."""


class TooLarge(Exception):
    """There are more materials than are kept in arrays."""


@dataclass(frozen=True, eq=False)
class Column:
    """One field of all materials.

    Attributes
    ----------
    values : list
        The different values, in MongoDB's order; empty for numbers.
    codes : numpy.ndarray
        int32: of each material, or of each item of its list, the place of its value in ``values``; -1 where it is unknown.
    numbers : numpy.ndarray
        float64: the values of a field that holds numbers, NaN where unknown; empty for others.
    starts : numpy.ndarray or None
        int64, shape=(n + 1,): where the items of each material's list begin; None for single values.
    """

    values: list[Any]
    codes: NDArray[np.int32]
    numbers: NDArray[np.float64]
    starts: NDArray[np.int64] | None = None

    def items(self, rows: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Codes of some materials, and for each the place of its material in ``rows``."""
        places = np.arange(len(rows))
        if self.starts is None:
            return self.codes[rows], places
        lengths = self.starts[rows + 1] - self.starts[rows]
        ends = np.cumsum(lengths)
        within = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - lengths, lengths)
        return self.codes[np.repeat(self.starts[rows], lengths) + within], np.repeat(places, lengths)


def rows_of(service: Service, wanted: dict[str, Any]) -> NDArray[np.int32]:
    """Return the places of what matches a query.

    Raises
    ------
    TooLarge
    """
    places = _places(service)

    def find() -> NDArray[np.int32]:
        if not wanted:
            return np.arange(len(places), dtype=np.int32)
        told = rows_in_arrays(service, wanted, len(places))
        if told is not None:
            return told
        ids = matching_ids(service, wanted)
        rows = np.fromiter(map(places.get, ids, repeat(-1)), dtype=np.int32, count=len(ids))
        return np.sort(rows[rows >= 0])  # what was written just now has no place yet

    return service.kept_rows.answer(service, repr(wanted), find)


def column_of(service: Service, field: Field) -> Column:
    """Return a field of all materials.

    Raises
    ------
    TooLarge
    """
    places = _places(service)

    def find() -> Column:
        ids, values = service.call(lambda database: _packed(database, field))
        held: list[Any] = [None] * len(places)
        for id, value in zip(ids, values, strict=True):
            place = places.get(id)
            if place is not None:
                held[place] = value
        return _numbers(held) if field.type == "float" else _coded(held, field)

    return service.kept.answer(service, ("column", field.name), find)


def _places(service: Service) -> dict[str, int]:
    def find() -> dict[str, int]:
        if service.call(lambda database: database[generation_of(database)].estimated_document_count()) > MOST:
            raise TooLarge
        return {id: place for place, id in enumerate(sorted(matching_ids(service, {})))}

    return service.kept.answer(service, "places", find)


def _packed(database: Database[dict[str, Any]], field: Field) -> tuple[list[str], list[Any]]:
    name = column(field)
    collection = database[generation_of(database)]
    more: dict[str, Any] = {}
    # An index that holds field and id answers alone. One on a list does not: it has an entry an item.
    if field.indexed and field.type != "list of string":
        keys = [(name, 1), ("_id", 1)]
        found = [index for index, told in collection.index_information().items() if told["key"][:2] == keys]
        more = {"hint": found[0]} if found else {}
    most = _NUMBERS_PACKED if field.type in ("float", "integer", "boolean") else _TEXTS_PACKED
    packed = {"ids": {"$push": "$_id"}, "values": {"$push": {"$ifNull": [f"${name}", None]}}}
    pipeline: list[dict[str, Any]] = [{"$match": {}}, {"$group": {"_id": parts_of(database, most), **packed}}]
    ids: list[str] = []
    values: list[Any] = []
    for each in collection.aggregate(pipeline, maxTimeMS=milliseconds(), **more):
        ids += each["ids"]
        values += each["values"]
    return ids, values


def _numbers(held: Sequence[Any]) -> Column:
    numbers = np.array([np.nan if value is None else value for value in held], dtype=np.float64)
    return Column([], np.empty(0, dtype=np.int32), numbers)


def _coded(held: Sequence[Any], field: Field) -> Column:
    lists = field.type == "list of string"
    flat = [item for value in held for item in (value or ())] if lists else list(held)
    values = sorted({item for item in flat if item is not None}, key=in_order)
    code = {value: number for number, value in enumerate(values)}
    codes = np.fromiter((-1 if item is None else code[item] for item in flat), dtype=np.int32, count=len(flat))
    numbers = _numbers(held).numbers if field.type == "integer" else np.empty(0)
    if not lists:
        return Column(values, codes, numbers)
    lengths = np.fromiter((len(value or ()) for value in held), dtype=np.int64, count=len(held))
    return Column(values, codes, numbers, np.concatenate([[0], np.cumsum(lengths)]))


def in_order(value: Any) -> Any:
    """Sort as MongoDB does: text by its bytes."""
    return value.encode() if isinstance(value, str) else value
