"""Which materials match a query, told from arrays that are held already: a millisecond where reading their ids takes a hundred.

Only what is certain is answered here. A query with a field whose column is not held, or with an operator that is not
understood, is MongoDB's. The meaning is MongoDB's in either case: unknown values satisfy ``$eq: null``, ``$nin``, ``$ne`` and
``$not``, and no comparison (tests/api/test_matching.py has both ways answer the same questions).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from api.columns import Column
    from api.service import Service

_EXACT: Final = 2**53
"""Integers beyond are not told apart in float64."""
_ALWAYS_KNOWN: Final = "elements"
"""The list that every material has: of others, an empty one and a missing one are not told apart in a column."""


class _MongoDBs(Exception):
    """The question is one for MongoDB."""


def rows_in_arrays(service: Service, wanted: dict[str, Any], count: int) -> NDArray[np.int32] | None:
    """Return the places of what matches a query, ascending; None where MongoDB has to tell.

    Parameters
    ----------
    service : Service
    wanted : dict
        A query on ``candidates`` as :mod:`api.conditions` writes them.
    count : int
        Number of materials.
    """

    def held(name: str) -> Column:
        column: Column | None = service.kept.peek(service, ("column", name))
        if column is None:
            raise _MongoDBs
        return column

    try:
        mask = _mask(wanted, held, count)
    except _MongoDBs:
        return None
    return np.flatnonzero(mask).astype(np.int32)


def _mask(wanted: dict[str, Any], held: Callable[[str], Column], count: int) -> NDArray[np.bool_]:
    mask = np.ones(count, dtype=bool)
    for name, rule in wanted.items():
        if name in ("$and", "$or", "$nor"):
            parts = [_mask(each, held, count) for each in rule]
            joined = np.logical_and.reduce(parts) if name == "$and" else np.logical_or.reduce(parts)
            mask &= ~joined if name == "$nor" else joined
        elif name.startswith("$") or "." in name:
            raise _MongoDBs
        else:
            mask &= _of_field(name, held(name), rule)
    return mask


def _of_field(name: str, column: Column, rule: Any) -> NDArray[np.bool_]:
    if not isinstance(rule, dict):
        rule = {"$eq": rule}
    if column.starts is not None:
        if name != _ALWAYS_KNOWN:
            raise _MongoDBs
        test: Callable[[Column, str, Any], NDArray[np.bool_]] = _of_list
    else:
        test = _of_numbers if len(column.numbers) else _of_values
    masks = []
    for operator, value in rule.items():
        if operator == "$not":
            masks.append(~_of_field(name, column, value))
        elif operator in ("$ne", "$nin"):
            masks.append(~test(column, "$in", [value] if operator == "$ne" else value))
        else:
            masks.append(test(column, *(("$in", [value]) if operator == "$eq" else (operator, value))))
    if not masks:
        raise _MongoDBs
    found: NDArray[np.bool_] = np.logical_and.reduce(masks)
    return found


def _of_numbers(column: Column, operator: str, value: Any) -> NDArray[np.bool_]:
    numbers = column.numbers
    if operator == "$in":
        mask = np.zeros(len(numbers), dtype=bool)
        for each in value:
            mask |= np.isnan(numbers) if each is None else numbers == _number(each)
        return mask
    compared = {"$lt": np.less, "$lte": np.less_equal, "$gt": np.greater, "$gte": np.greater_equal}.get(operator)
    if compared is None:
        raise _MongoDBs
    found: NDArray[np.bool_] = compared(numbers, _number(value))
    return found


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _EXACT:
        raise _MongoDBs
    return float(value)


def _of_values(column: Column, operator: str, value: Any) -> NDArray[np.bool_]:
    if operator == "$in":
        kinds = {type(each) for each in value if each is not None}
        if not kinds <= {type(each) for each in column.values[:1]}:  # of other types, MongoDB's rules are its own
            raise _MongoDBs
        codes = [-1 if each is None else _code(column, each) for each in value]
        return np.isin(column.codes, np.array([code for code in codes if code is not None], dtype=np.int32))
    if operator == "$regex" and all(isinstance(each, str) for each in column.values[:1]):
        pattern = re.compile(value.replace("\\z", "\\Z"))
        fits = np.array([pattern.search(each) is not None for each in column.values] + [False])
        found: NDArray[np.bool_] = fits[column.codes]  # -1, the unknown, is the last
        return found
    raise _MongoDBs


def _of_list(column: Column, operator: str, value: Any) -> NDArray[np.bool_]:
    assert column.starts is not None
    lengths = np.diff(column.starts)
    if operator == "$in":
        mask = np.zeros(len(lengths), dtype=bool)
        for each in value:
            mask |= lengths == 0 if each is None else _holds(column, each)
        return mask
    if operator == "$all" and value:
        found: NDArray[np.bool_] = np.logical_and.reduce([_holds(column, each) for each in value])
        return found
    raise _MongoDBs


def _holds(column: Column, item: Any) -> NDArray[np.bool_]:
    """Which lists hold an item."""
    assert column.starts is not None
    mask = np.zeros(len(column.starts) - 1, dtype=bool)
    code = _code(column, item)
    if code is not None:
        at = np.flatnonzero(column.codes == code)
        mask[np.searchsorted(column.starts, at, side="right") - 1] = True
    return mask


def _code(column: Column, value: Any) -> int | None:
    try:
        return column.values.index(value)
    except ValueError:
        return None
