"""The periodic table as a grid."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

_LONG: Final = {6: (57, 71), 7: (89, 103)}
"""Periods whose f elements stand below the table."""


@lru_cache(maxsize=1)
def cells() -> list[dict[str, Any]]:
    """Elements with row and column, from 1; lanthanides and actinides in rows 9 and 10.

    Examples
    --------
    >>> [(each["symbol"], each["row"], each["column"]) for each in cells()][:4]
    [('H', 1, 1), ('He', 1, 18), ('Li', 2, 1), ('Be', 2, 2)]
    """
    from ase.data import atomic_names, chemical_symbols

    noble = (0, 2, 10, 18, 36, 54, 86, 118)
    found = []
    for period in range(1, 8):
        first, last = noble[period - 1] + 1, noble[period]
        for number in range(first, last + 1):
            row, column = _place(number, period, first, last)
            found.append(
                {
                    "symbol": chemical_symbols[number],
                    "name": atomic_names[number],
                    "number": number,
                    "row": row,
                    "column": column,
                }
            )
    return found


def _place(number: int, period: int, first: int, last: int) -> tuple[int, int]:
    begin, end = _LONG.get(period, (0, -1))
    if begin <= number <= end:
        return period + 3, 3 + number - begin
    if number - first < 2 and not (period == 1 and number == 2):
        return period, 1 + number - first
    return period, 18 - (last - number)
