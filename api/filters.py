"""Filters: text in the OPTIMADE language in, a MongoDB query on ``candidates`` out.

    elements HAS ALL "Li","O" AND band_gap > 3 AND NOT (nelements > 4 OR energy_above_hull IS UNKNOWN)

The grammar is optimade-python-tools'; the fields are those of :mod:`store.fields` and no others. A comparison with a
value that a material lacks is neither true nor false, so neither it nor its NOT finds that material; IS UNKNOWN does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from store.errors import FilterError

LONGEST: Final = 8_192
"""Characters that a filter may have."""

DEEPEST: Final = 32
"""Brackets that may be open at once."""


@dataclass(frozen=True)
class CompiledFilter:
    """A filter, understood.

    Attributes
    ----------
    text : str
    query : dict
        MongoDB query on ``candidates``; empty when everything is asked for. Do not change it: it is shared.
    fields : tuple of str
        Names of the fields it mentions, in order.
    """

    text: str
    query: dict[str, Any]
    fields: tuple[str, ...]


@lru_cache(maxsize=512)
def compile_filter(text: str | None) -> CompiledFilter:
    r"""Translate a filter.

    Parameters
    ----------
    text : str or None
        A filter in the OPTIMADE language; None or blank asks for everything.

    Returns
    -------
    CompiledFilter

    Raises
    ------
    UnknownField
        A name that is no queryable field; the message shows the place and the nearest fields with their units.
    FilterError
        It cannot be read (place and what was expected), compares a field with a value of another type, or is too long
        or too deep.

    Examples
    --------
    >>> compile_filter('elements HAS "Li" AND NOT band_gap < 3').query
    {'$and': [{'elements': {'$in': ['Li']}}, {'band_gap': {'$gte': 3}}]}
    """
    text = text or ""
    if not text.strip():
        return CompiledFilter(text, {}, ())
    from lark.exceptions import LarkError, VisitError

    from api.filter_errors import check_text, lark_error
    from api.grammar import CandidateTransformer, parser

    check_text(text, LONGEST, DEEPEST)
    try:
        tree = parser().lark.parse(text)
    except LarkError as error:
        raise lark_error(text, error) from None
    transformer = CandidateTransformer(text)
    try:
        condition = transformer.transform(tree)
    except VisitError as error:
        if isinstance(error.orig_exc, FilterError):
            raise error.orig_exc from None
        raise
    return CompiledFilter(text, condition.yes, tuple(transformer.used))
