"""How values, units and formulas are written in pages: the same digits and signs everywhere."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from store.fields import Field

NONE: Final = "–"

_DIGITS: Final = {
    "Å": 3,
    "eV": 2,
    "eV/atom": 3,
    "g/cm^3": 3,
    "Å^3": 2,
    "log10(S/cm)": 1,
    "K": 0,
}
"""Decimals that carry meaning, by unit."""

_POWERS: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_FORMULA_NAMES: Final = frozenset({"formula", "chemical_formula_reduced", "chemical_formula_anonymous"})


def unit(text: str | None) -> str:
    """Write a unit with real powers.

    Examples
    --------
    >>> unit("g/cm^3"), unit("log10(S/cm)"), unit(None)
    ('g/cm³', 'log₁₀(S/cm)', '')
    """
    told = re.sub(r"\^(-?\d+)", lambda found: found.group(1).translate(_POWERS), text or "")
    return told.replace("log10", "log₁₀")


def formula(text: Any) -> Markup:
    """Write a chemical formula with its amounts as subscripts; what is no formula stays as it is.

    Examples
    --------
    >>> formula("LiFe0.5P2O7"), formula("<b>")
    (Markup('LiFe<sub>0.5</sub>P<sub>2</sub>O<sub>7</sub>'), Markup('&lt;b&gt;'))
    """
    safe = str(escape("" if text is None else text))
    if not re.fullmatch(r"[A-Za-z0-9.()\[\]+\- ]*", safe):
        return Markup(safe)  # noqa: S704  (escaped above)
    return Markup(re.sub(r"(?<=[A-Za-z)\]])(\d+(?:\.\d+)?)", r"<sub>\1</sub>", safe))  # noqa: S704


def space_group(symbol: Any) -> Markup:
    """Write a Hermann-Mauguin symbol: screw axes as subscripts, bars over numbers.

    Examples
    --------
    >>> space_group("P2_1/c"), space_group("Fm-3m")
    (Markup('P2<sub>1</sub>/c'), Markup('Fm<span class="over">3</span>m'))
    """
    safe = str(escape("" if symbol is None else symbol))
    safe = re.sub(r"_(\d)", r"<sub>\1</sub>", safe)
    return Markup(re.sub(r"-(\d)", r'<span class="over">\1</span>', safe))  # noqa: S704


def number(value: Any, unit_: str | None = None, digits: int | None = None) -> str:
    """Write a number with sensible digits.

    Examples
    --------
    >>> number(3.14159, "eV"), number(147033), number(0.0001234), number(None), number(-1.0)
    ('3.14', '147,033', '1.23e-4', '–', '−1')
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace("-", "−")
    decimals = _DIGITS.get(unit_ or "") if digits is None else digits
    if decimals is not None:
        told = f"{value:,.{decimals}f}"
        return "0" if told.strip("-0.") == "" and value == 0 else told.replace("-", "−")
    if value and (abs(value) < 1e-3 or abs(value) >= 1e7):
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa}e{int(exponent)}".replace("-", "−") if exponent[0] != "-" else f"{mantissa}e{int(exponent)}"
    return f"{value:,.4g}".replace("-", "−")


def value(given: Any, field: Field) -> str | Markup:
    """Write a value of a field.

    Examples
    --------
    >>> from store.fields import FIELDS
    >>> value(5.0112, FIELDS["band_gap"]), value(["Li", "O"], FIELDS["elements"]), value(None, FIELDS["name"])
    ('5.01', 'Li, O', '–')
    """
    if given is None or given == []:
        return NONE
    if field.name in _FORMULA_NAMES:
        return formula(given)
    if field.name == "space_group_symbol":
        return space_group(given)
    if field.type in ("float", "integer", "boolean"):
        return number(given, field.unit)
    if isinstance(given, datetime):
        return when(given)
    if isinstance(given, list | tuple):
        return ", ".join(str(each) for each in given)
    return str(given)


def scientific(value: float) -> Markup:
    """Write a number of whatever size with a power of ten.

    Examples
    --------
    >>> scientific(1.5e-10), scientific(0.0)
    (Markup('1.5 × 10<sup>−10</sup>'), Markup('0'))
    """
    if not value or not math.isfinite(value):
        return Markup("0")
    mantissa, exponent = f"{value:.1e}".split("e")
    return Markup(f"{mantissa} × 10<sup>{int(exponent)}</sup>".replace("-", "−"))  # noqa: S704  (digits only)


def is_number(field: Field) -> bool:
    """Whether values of a field stand right-aligned."""
    return field.type in ("float", "integer")


def when(time: Any) -> str:
    """Write a time to the minute, UTC."""
    return time.strftime("%Y-%m-%d %H:%M UTC") if isinstance(time, datetime) else NONE


def interval(lower: Any, upper: Any, unit_: str | None = None) -> str:
    """Write an interval."""
    return NONE if lower is None or upper is None else f"{number(lower, unit_)} to {number(upper, unit_)}"


def material_url(id: Any, *more: str) -> str:
    """Address of a material's page, or of one below it; any id is quoted.

    Examples
    --------
    >>> material_url("mp-1"), material_url("a/b?<c>", "lineage", "density")
    ('/materials/mp-1', '/materials/a%2Fb%3F%3Cc%3E/lineage/density')
    """
    return "/".join(["/materials", quote(str(id), safe=""), *(quote(each, safe="") for each in more)])


def along(basis: Iterable[Iterable[int]]) -> str:
    """Write directions of travel, such as ``along [0 1 0]``."""
    rows = [[int(step) for step in vector] for vector in basis]
    return "" if not rows else "along " + " and ".join(f"[{' '.join(map(str, row))}]".replace("-", "−") for row in rows)


def sentence(text: Any) -> str:
    """First letter large, a full stop at the end."""
    told = str(text or "").strip()
    if not told:
        return ""
    return told[0].upper() + told[1:] + ("" if told[-1] in ".!?:" else ".")


FILTERS: Final[Mapping[str, Any]] = {
    "unit": unit,
    "formula": formula,
    "space_group": space_group,
    "number": number,
    "scientific": scientific,
    "value": value,
    "when": when,
    "material_url": material_url,
    "along": along,
    "sentence": sentence,
}
"""What templates may call on values."""
