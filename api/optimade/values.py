"""Tests of a filter on values that are at hand: true, false, or None where a value is unknown.

What every structure has alike (three periodic directions), what follows from a few classes of structures (disorder) and the
few links are answered so; everything else becomes a MongoDB query (:mod:`api.optimade.structure_filter`).
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from optimade.exceptions import NotImplementedResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Scalar = str | int | float | bool
Kind = Literal["compare", "known", "text", "has", "length"]

_ORDER: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_LARGEST: Final = 1.7e308


@dataclass(frozen=True)
class Test:
    """The right-hand side of a comparison.

    Attributes
    ----------
    kind : str
        ``compare`` (``= 3``), ``known``, ``text`` (``CONTAINS "x"``), ``has`` (``HAS ALL "a","b"``) or ``length``.
    operator : str
        The comparison, ``KNOWN`` or ``UNKNOWN``, ``CONTAINS``, ``STARTS`` or ``ENDS``, or ``ALL``, ``ANY`` or ``ONLY``.
    values : tuple
        What is compared with.
    """

    __test__ = False  # not one of pytest's

    kind: Kind
    operator: str
    values: tuple[Scalar, ...] = ()


def bounded(number: float) -> float:
    """Bring a number that no document can hold to the edge of those that one can; comparisons stay right.

    Examples
    --------
    >>> bounded(10**20), bounded(3), bounded(10**400)
    (1e+20, 3, 1.7e+308)
    """
    if isinstance(number, int) and -(2**63) <= number < 2**63:
        return number
    try:
        value = float(number)
    except OverflowError:
        value = math.inf if number > 0 else -math.inf
    return max(-_LARGEST, min(_LARGEST, value))


def same_type(value: object, given: Scalar) -> bool:
    """Whether a value and one from a filter are of one type; whole and other numbers are."""
    if isinstance(value, bool) or isinstance(given, bool):
        return isinstance(value, bool) and isinstance(given, bool)
    if isinstance(value, str) or isinstance(given, str):
        return isinstance(value, str) and isinstance(given, str)
    return True


def mismatch(name: str, what: str) -> NotImplementedResponse:
    """Make the error that the specification asks for where types do not match (section on type handling)."""
    return NotImplementedResponse(f"{name} is {what}: types are not converted in comparisons.")


def examine(name: str, value: Any, test: Test) -> bool | None:
    """Apply a test to a value.

    Parameters
    ----------
    name : str
        Of the property, for messages.
    value : str, number, bool, list or None
        None is unknown.

    Returns
    -------
    bool or None
        None where the value is unknown and the test does not ask for that.

    Raises
    ------
    optimade.exceptions.NotImplementedResponse
        The test does not fit the type of the value.

    Examples
    --------
    >>> examine("nperiodic_dimensions", 3, Test("compare", ">=", (2,)))
    True
    >>> examine("structure_features", ["disorder"], Test("has", "ANY", ("assemblies",)))
    False
    >>> examine("immutable_id", None, Test("compare", "!=", ("x",))) is None
    True
    """
    if test.kind == "known":
        return (value is not None) == (test.operator == "KNOWN")
    if value is None:
        return None
    if isinstance(value, list):
        return _examine_list(name, value, test)
    if test.kind == "compare":
        return _compare(name, value, test.operator, test.values[0])
    if test.kind == "text":
        return _find(name, value, test.operator, test.values[0])
    raise mismatch(name, "a single value and no list")


def _examine_list(name: str, value: Sequence[Any], test: Test) -> bool:
    if test.kind == "length":
        return _compare(name, len(value), test.operator, test.values[0])
    if test.kind != "has":
        raise mismatch(name, "a list")
    if value and not all(same_type(value[0], given) for given in test.values):
        raise mismatch(name, "a list of " + ("texts" if isinstance(value[0], str) else "numbers"))
    found = [[_equal(item, given) for given in test.values] for item in value]
    if test.operator == "ONLY":
        return bool(value) and all(any(row) for row in found)
    hits = [any(column) for column in zip(*found, strict=True)] if found else [False]
    return all(hits) if test.operator == "ALL" else any(hits)


def _compare(name: str, value: Any, sign: str, given: Scalar) -> bool:
    if not same_type(value, given):
        raise mismatch(name, "a text" if isinstance(value, str) else "a number or a truth value")
    if sign in ("=", "!="):
        return _equal(value, given) == (sign == "=")
    if isinstance(value, bool):
        raise mismatch(name, "TRUE or FALSE and has no order")
    return _ORDER[sign](value, given)


def _find(name: str, value: Any, keyword: str, given: Scalar) -> bool:
    if not isinstance(value, str) or not isinstance(given, str):
        raise mismatch(name, "no text" if not isinstance(value, str) else "a text")
    found: dict[str, Callable[[], bool]] = {
        "CONTAINS": lambda: given in value,
        "STARTS": lambda: value.startswith(given),
        "ENDS": lambda: value.endswith(given),
    }
    return found[keyword]()


def _equal(value: Any, given: Scalar) -> bool:
    if isinstance(value, float) and isinstance(given, int | float) and not isinstance(given, bool):
        return math.isclose(value, bounded(given), rel_tol=1e-9, abs_tol=0.0)
    return bool(value == given)
