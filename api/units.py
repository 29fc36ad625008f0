"""Units in filters: a number with a unit becomes a number in the registry's unit of the field.

pint knows the units; what is right for a field is decided here:

* an energy per atom may be given with ``/atom`` or without, and per mole (``kJ/mol``, ``kJ/mol/atom``);
* a plain energy (a band gap, a barrier) may be given per mole too, and not per atom;
* a field that holds a logarithm (``log10(S/cm)``) takes the quantity itself: ``1e-4 S/cm`` becomes -4.

pint is imported, and its registry made, at the first unit (0.5 s).
"""

from __future__ import annotations

import difflib
import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from store.errors import FilterError

if TYPE_CHECKING:
    from store.field import Field

_AVOGADRO: Final = 6.02214076e23
_LONGEST: Final = 60
_LOG: Final = re.compile(r"log10\((.+)\)")
_LARGEST_POWER: Final = 9

_FITTING: Final = {
    "eV": ("eV", "meV", "kJ/mol", "kcal/mol", "J", "hartree", "Ry"),
    "eV/atom": ("eV/atom", "meV/atom", "meV", "kJ/mol", "kcal/mol"),
    "Å": ("Å", "angstrom", "pm", "nm", "bohr"),
    "Å^3": ("Å^3", "nm^3", "pm^3", "bohr^3"),
    "g/cm^3": ("g/cm^3", "kg/m^3", "kg/l"),
    "log10(S/cm)": ("log10(S/cm)", "S/cm", "mS/cm", "S/m"),
    "K": ("K", "degC"),
    "GPa": ("GPa", "MPa", "kbar", "bar"),
    "degrees": ("degrees", "rad"),
}
"""Units that fit a unit of the registry, as messages and completion name them."""

_SPELLINGS: Final = {
    "A": "angstrom",
    "Ang": "angstrom",
    "Angstrom": "angstrom",
    "Angstroms": "angstrom",
    "ev": "eV",
    "EV": "eV",
    "mev": "meV",
    "kj": "kJ",
    "KJ": "kJ",
    "Gpa": "GPa",
    "gpa": "GPa",
    "atoms": "atom",
    "°": "degree",
    "deg": "degree",
    "°C": "degC",
    "ry": "Ry",
    "Ha": "hartree",
    "cc": "cm^3",
}
"""How people write units that pint writes otherwise, or takes for something else (A is an ampere, and EV an exavolt)."""

_SUPERSCRIPTS: Final = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻·×", "0123456789-**")


def fitting(field: Field) -> tuple[str, ...]:
    """Units that a value of a field may be given in, the registry's own first.

    Examples
    --------
    >>> from store.fields import FIELDS
    >>> fitting(FIELDS["density"])
    ('g/cm^3', 'kg/m^3', 'kg/l')
    """
    if field.unit is None:
        return ()
    return _FITTING.get(field.unit, (field.unit,))


def convert(field: Field, value: object, unit: str) -> float | int:
    """Bring a value with a unit to the unit of a field.

    Parameters
    ----------
    field : store.fields.Field
    value : int or float
    unit : str
        As it stands in the filter, e.g. ``kJ/mol``.

    Returns
    -------
    float or int
        To fifteen digits: 300 meV are 0.3 eV and not 0.30000000000000004. In the field's own unit, the value as it is.

    Raises
    ------
    FilterError
        The field has no unit, pint does not know the unit, or it measures something else.

    Examples
    --------
    >>> from store.fields import FIELDS
    >>> convert(FIELDS["band_gap"], 300, "meV"), convert(FIELDS["density"], 3000, "kg/m^3")
    (0.3, 3.0)
    >>> convert(FIELDS["li_conductivity"], 0.1, "mS/cm")
    -4.0
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FilterError(f"A unit stands behind a number, and {value!r} is none.", mend=f"{field.name} > 1")
    if field.unit is None:
        raise FilterError(f"{field.name} has no unit, and {unit} was given.", mend=f"write {value} alone")
    if unit.strip() == field.unit:
        return value
    logarithm = _LOG.fullmatch(field.unit)
    factor, offset = _line(_tidy(unit), logarithm[1] if logarithm else field.unit, _per_atom(field))
    if factor is None:
        raise _unfit(field, unit, known=not math.isnan(offset))
    try:
        found = value * factor + offset
        if logarithm:
            found = _log10(field, found, value, unit)
        return float(f"{found:.15g}")
    except OverflowError:
        raise FilterError(f"The number for {field.label} is not finite.", mend="give a smaller number") from None


def _log10(field: Field, found: float, value: float, unit: str) -> float:
    if found <= 0:
        raise FilterError(
            f"{field.label} is a logarithm, and {value} {unit} has none.", mend=f"give more than 0: 1e-4 {unit}"
        )
    return math.log10(found)


def _per_atom(field: Field) -> bool:
    return field.name.endswith("_per_atom") or str(field.unit).endswith("/atom")


def _tidy(unit: str) -> str:
    text = re.sub(r"(?<=[^\s\d⁰¹²³⁴⁵⁶⁷⁸⁹⁻·×*/^(+-])([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)", r"^\1", unit.strip()).translate(_SUPERSCRIPTS)
    return re.sub(r"°?[^\W\d_]+|°", lambda word: _SPELLINGS.get(word[0], word[0]), text)


@lru_cache(maxsize=1)
def _registry() -> Any:
    import pint

    registry: Any = pint.UnitRegistry()
    registry.define("atom = [atom]")
    return registry


@lru_cache(maxsize=1024)
def _line(unit: str, target: str, per_atom: bool) -> tuple[float | None, float]:
    """Factor and offset from a unit to another; no factor where it does not fit, and then NaN where nobody knows it."""
    registry = _registry()
    try:
        if not _harmless(unit):
            raise ValueError
        given = registry.parse_units(unit)
        wanted = registry.parse_units(_tidy(target))
    except Exception:  # pint raises many kinds, down to the tokenizer's
        return None, math.nan
    try:
        for each in _readings(registry, given, per_atom):
            if each.dimensionality == wanted.dimensionality:
                return _through(registry, given, each, wanted)
    except Exception:  # a number out of range, a unit without a straight line (decibels)
        return None, 0.0
    return None, 0.0


def _harmless(unit: str) -> bool:
    powers = [int(found) for found in re.findall(r"(?:\^|\*\*)\s*[-+]?(\d+)", unit)]
    chained = re.search(r"(\^|\*\*)\s*[-+]?\d+\s*(\^|\*\*)", unit)
    return len(unit) <= _LONGEST and not chained and all(power <= _LARGEST_POWER for power in powers)


def _readings(registry: Any, given: Any, per_atom: bool) -> list[Any]:
    """The unit as it is; what it may stand for: per mole is per particle, and per atom may be said or not."""
    found = [registry.Quantity(1.0, given)]
    if given.dimensionality.get("[substance]", 0) == -1:
        found.append(found[0] * registry.Quantity(1.0, "mol") / _AVOGADRO)
    if per_atom:
        atom = registry.Quantity(1.0, "atom")
        found += [each * atom if each.dimensionality.get("[atom]", 0) else each / atom for each in found]
    return found


def _through(registry: Any, given: Any, reading: Any, wanted: Any) -> tuple[float, float]:
    if reading.units != given:
        return float(reading.to(wanted).magnitude), 0.0
    # Two points make the line, for units with an offset such as degrees Celsius.
    zero = float(registry.Quantity(0.0, given).to(wanted).magnitude)
    one = float(registry.Quantity(1.0, given).to(wanted).magnitude)
    return one - zero, zero


def _unfit(field: Field, unit: str, *, known: bool) -> FilterError:
    units = fitting(field)
    told = ", ".join(units)
    if known:
        return FilterError(
            f"{unit} does not measure what {field.label} holds.",
            mend=f"write the number alone, in {field.unit}, or in one of: {told}",
        )
    close = difflib.get_close_matches(unit.lower(), {each.lower(): each for each in units}, n=1, cutoff=0.5)
    meant = next((each for each in units if close and each.lower() == close[0]), None)
    near = f" Nearest: {meant}." if meant else ""
    return FilterError(
        f"There is no unit {unit!r}.{near} {field.name} takes: {told}.", mend=f"{field.name} > 1 {meant or units[0]}"
    )
