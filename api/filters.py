"""Filters: text in the OPTIMADE language in, a MongoDB query on ``candidates`` out.

    elements HAS ALL "Li","O" AND band_gap > 3 AND NOT (nelements > 4 OR energy_above_hull IS UNKNOWN)

The grammar is optimade-python-tools', and three things more: units behind numbers (:mod:`api.units`), ``MATCHES`` with
formulas that have open places (:mod:`api.formula_patterns`), and ``SIMILAR TO`` (:mod:`api.nearness`). The fields are those
of :mod:`store.fields` and no others. A comparison with a
value that a material lacks is neither true nor false, so neither it nor its NOT finds that material; IS UNKNOWN does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from store.errors import FilterError

if TYPE_CHECKING:
    from api.conditions import Condition
    from api.grammar import CandidateTransformer

LONGEST: Final = 8_192
"""Characters that a filter may have."""

DEEPEST: Final = 32
"""Brackets that may be open at once."""


PARSING = Lock()

_TEXT: Final = r'"(?:\\.|[^"\\])*"'
_VALUES: Final = re.compile(
    rf"(?P<text>{_TEXT})|(?<![\w.+-])(?P<number>[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)", re.DOTALL
)
_OF_ONE_USE: Final = re.compile(r"[*^⁻]|SIMILAR")
"""Where numbers and words may be something else than values: powers of units, ids without quotes."""


@dataclass(frozen=True)
class SimilarTo:
    """``SIMILAR TO asked BY by WITHIN within``, as it stands in a filter.

    Attributes
    ----------
    asked : str
        Id of a material, or a formula.
    by : str
        Name of an index.
    within : float or None
        Largest distance; None for any.
    start, end : int
        Its place in the text.
    """

    asked: str
    by: str
    within: float | None
    start: int
    end: int


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
    similar : SimilarTo or None
        The condition of similarity, which is no part of the query.
    any_ion : frozenset of str
        Of the fields, those that a name without an ion stands for.
    """

    text: str
    query: dict[str, Any]
    fields: tuple[str, ...]
    similar: SimilarTo | None = None
    any_ion: frozenset[str] = frozenset()


@lru_cache(maxsize=512)
def compile_filter(text: str | None, *, similar: bool = False) -> CompiledFilter:
    r"""Translate a filter.

    Parameters
    ----------
    text : str or None
        A filter in the OPTIMADE language; None or blank asks for everything.
    similar : bool
        Whether ``SIMILAR TO`` may stand in it.

    Returns
    -------
    CompiledFilter

    Raises
    ------
    UnknownField
        A name that is no queryable field; the message shows the place and the nearest fields with their units.
    FilterError
        It cannot be read (place and what was expected), compares a field with a value of another type or unit, is too
        long or too deep, or asks for similarity where that cannot be.

    Examples
    --------
    >>> compile_filter('elements HAS "Li" AND NOT band_gap < 3').query
    {'$and': [{'elements': {'$in': ['Li']}}, {'band_gap': {'$gte': 3}}]}
    """
    text = text or ""
    if not text.strip():
        return CompiledFilter(text, {}, ())
    from lark.exceptions import LarkError, VisitError

    from api.conditions import EVERYTHING
    from api.filter_errors import check_text, lark_error, with_picture
    from api.grammar import CandidateTransformer

    check_text(text, LONGEST, DEEPEST)
    understood = _by_shape(text)
    if understood is None:
        transformer = CandidateTransformer(text)
        try:
            condition = transformer.transform(_tree(text))
        except VisitError as error:
            if isinstance(error.orig_exc, FilterError):
                raise error.orig_exc from None
            raise
        except LarkError as error:
            raise lark_error(text, error) from None
    else:
        transformer, condition = understood
    near = transformer.similar_in(condition)
    if near is not None and not similar:
        refusal = FilterError("SIMILAR TO is not taken here.", mend="ionatlas query takes it; leave it out here")
        raise with_picture(refusal, text, near.start, near.end)
    query = {} if condition.yes is EVERYTHING else condition.yes
    return CompiledFilter(text, query, tuple(transformer.used), near, frozenset(transformer.any_ion))


def _tree(text: str) -> Any:
    from api.grammar import parser

    with PARSING:  # one parser for all threads
        return parser().lark.parse(text)


@lru_cache(maxsize=512)
def _tree_of_shape(shape: str) -> Any:
    return _tree(shape)


def _by_shape(text: str) -> tuple[CandidateTransformer, Condition] | None:
    """Translate a filter by the tree of one of the same shape: people change the values and ask again.

    Parsing takes ten times as long as everything else. None where anything is wrong: the filter's own tree has the places.
    """
    from lark.exceptions import LarkError

    from api.grammar import CandidateTransformer

    if _OF_ONE_USE.search(re.sub(_TEXT, "", text, flags=re.DOTALL)):
        return None
    parts: list[str] = []
    given: dict[int, str] = {}
    place = end = 0
    for found in _VALUES.finditer(text):
        between, value = text[end : found.start()], found[0]
        stands_for = '"s"' if found["text"] else ("0.5" if re.search("[.eE]", value) else "0")
        place += len(between)
        given[place] = value
        parts += [between, stands_for]
        place += len(stands_for)
        end = found.end()
    shape = "".join([*parts, text[end:]])
    transformer = CandidateTransformer(shape, given)
    try:
        return transformer, transformer.transform(_tree_of_shape(shape))
    except (LarkError, FilterError):
        return None
