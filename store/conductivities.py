"""One measured ionic conductivity as it was given: of which composition, in which structure if that is known, how large.

The quantity is log10 of the conductivity in S/cm at a temperature in K. A value that was only bounded ("below 1e-10 S/cm")
keeps its bound and says so (``censored``); nothing here puts a number in its place. A record without a value is one to be
predicted.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from store.compositions import difference
from store.errors import SourceError
from store.ingest.labels import SYMBOLS

if TYPE_CHECKING:
    from store.crystal import Crystal

UPPER: Final = "upper_bound"
LOWER: Final = "lower_bound"
BOUNDS: Final = (UPPER, LOWER)
"""What a value can be that was not measured itself: the conductivity is at most, or at least, what is given."""

ROOM: Final = 298.15
"""K; room temperature where a source says no more than that."""
ROOM_RANGE: Final = (288.0, 308.0)
"""K; temperatures that count as room temperature."""

_PER_S_CM: Final = {
    "s/cm": 1.0, "s/m": 1e-2, "ms/cm": 1e-3, "ms/m": 1e-5, "μs/cm": 1e-6, "us/cm": 1e-6, "1/(ohmcm)": 1.0, "1/ohm/cm": 1.0,
}  # fmt: skip
"""S/cm in one of each."""
_KELVIN: Final = {"k": 0.0, "kelvin": 0.0, "c": 273.15, "°c": 273.15, "degc": 273.15, "celsius": 273.15}
_ROOM_WORDS: Final = frozenset({"rt", "r.t.", "room temperature", "roomtemperature", "ambient"})
_COMPOSITIONS_DIFFER: Final = 0.03
_TALLEST: Final = 2.5
"""log10 S/cm; no ion conducts better (a metal does)."""
_SMALLEST: Final = -30.0
_DISAGREE: Final = 0.02


@dataclass(frozen=True, eq=False)
class ConductivityRecord:
    """One conductivity as it was given.

    Attributes
    ----------
    formula : str
        As given, or made of the structure where none is given.
    composition : dict
        ``{element symbol: amount}`` that the formula says.
    crystal : Crystal or None
        The structure, often disordered, where it is known.
    log10_sigma : float or None
        log10 of S/cm: the value, or the bound where it is censored; None for a record to be predicted.
    temperature : float or None
        K; None where it is not given.
    censored : str or None
        "upper_bound" or "lower_bound" where only a bound is known.
    working_ion : str
        Symbol of the ion that conducts.
    id : str or None
        The source's own name of the record.
    name : str or None
        Name of the compound, as given.
    source : str or None
        Who gives it.
    references : list of str
        Publications.
    family : str or None
        Family of conductors, as given, such as "garnet".
    space_group : str or None
        As given.
    licence : str or None
        Where the record says it.
    properties : dict
        All else that came along.
    warnings : list of str
        What was converted or assumed, and what contradicts itself; each begins with a word to search for.
    flags : list of str
        Quality flags, as given.

    Examples
    --------
    >>> record = ConductivityRecord("LiF", {"Li": 1.0, "F": 1.0}, log10_sigma=-12.0, temperature=300.0)
    >>> record.at_room_temperature, record.sigma
    (True, 1e-12)
    """

    formula: str
    composition: dict[str, float]
    crystal: Crystal | None = None
    log10_sigma: float | None = None
    temperature: float | None = None
    censored: str | None = None
    working_ion: str = "Li"
    id: str | None = None
    name: str | None = None
    source: str | None = None
    references: list[str] = field(default_factory=list)
    family: str | None = None
    space_group: str | None = None
    licence: str | None = None
    properties: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)

    @property
    def sigma(self) -> float | None:
        """Conductivity (or its bound), S/cm."""
        return None if self.log10_sigma is None else 10.0**self.log10_sigma

    @property
    def at_room_temperature(self) -> bool | None:
        """Whether the temperature lies within :data:`ROOM_RANGE`; None where it is not given."""
        if self.temperature is None:
            return None
        return ROOM_RANGE[0] <= self.temperature <= ROOM_RANGE[1]


def to_s_cm(unit: str) -> float:
    """S/cm in one of a unit.

    Raises
    ------
    SourceError
        The unit is not known.

    Examples
    --------
    >>> to_s_cm("mS/cm"), to_s_cm("S m-1"), to_s_cm("S·cm⁻¹")
    (0.001, 0.01, 1.0)
    """
    plain = unit.strip().replace("⁻¹", "-1").replace("µ", "μ")
    plain = re.sub(r"[\s·*.]*(c?m)\s*\^?[-\u2212]1$", r"/\1", plain)
    plain = re.sub(r"\s+", "", plain).replace("Ω", "ohm").casefold().replace("siemens", "s")
    if plain not in _PER_S_CM:
        raise SourceError(f"The unit {unit[:40]!r} of the conductivity is not known: S/cm, S/m or mS/cm were expected.")
    return _PER_S_CM[plain]


def to_kelvin(value: float, unit: str) -> float:
    """Convert a temperature to K.

    Raises
    ------
    SourceError
        The unit is not known.

    Examples
    --------
    >>> to_kelvin(25.0, "°C"), to_kelvin(300, "K")
    (298.15, 300.0)
    """
    offset = _KELVIN.get(unit.strip().casefold())
    if offset is None:
        raise SourceError(f"The unit {unit[:40]!r} of the temperature is not known: K or C was expected.")
    return float(value) + offset


def is_room(text: str) -> bool:
    """Whether a text says "room temperature".

    Examples
    --------
    >>> is_room("RT"), is_room("25")
    (True, False)
    """
    return text.strip().casefold() in _ROOM_WORDS


def read_amount(value: Any, what: str) -> tuple[float, str | None]:
    """Read a number that may be a bound: ``1e-4``, ``"<1E-10"``, ``">= 0.01"``.

    Returns
    -------
    tuple
        The number, and "upper_bound", "lower_bound" or None.

    Raises
    ------
    SourceError
        It is no finite number.

    Examples
    --------
    >>> read_amount("<1E-10", "sigma"), read_amount(2, "sigma")
    ((1e-10, 'upper_bound'), (2.0, None))
    """
    bound = None
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(<=?|>=?|≤|≥|~)?\s*([-+]?[\d.][\d.eE+-]*)\s*", value.replace("−", "-"))
        if match is None:
            raise SourceError(f"The {what} must be a number or a bound such as '<1E-10'; {value[:80]!r} was given.")
        sign = match[1] or ""
        bound = {"<": UPPER, "≤": UPPER, ">": LOWER, "≥": LOWER}.get(sign[:1])
        try:
            value = float(match[2])
        except ValueError:
            raise SourceError(f"The {what} must be a number; {match[2]!r} was given.") from None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300:
        raise SourceError(f"The {what} must be a finite number; {str(value)[:80]!r} was given.")
    return float(value), bound


def log10_of(value: float) -> float:
    """log10 of a conductivity.

    Raises
    ------
    SourceError
        It is not above zero: what was too small to measure is given as a bound.

    Examples
    --------
    >>> log10_of(1e-3)
    -3.0
    """
    if not value > 0:
        raise SourceError(
            f"The conductivity must be above zero; {value:g} was given. What was too small to measure is a bound: '<1E-10'."
        )
    return math.log10(value)


def checked(record: ConductivityRecord) -> ConductivityRecord:
    """Check a record and add what it has to be warned of.

    Parameters
    ----------
    record : ConductivityRecord
        As a reader makes it.

    Returns
    -------
    ConductivityRecord
        With further warnings: a structure of another composition or without the ion, an implausible value or temperature, a
        bound without a value.

    Raises
    ------
    SourceError
        The ion is no element; the composition does not hold it; value or temperature are no possible numbers.

    Examples
    --------
    >>> checked(ConductivityRecord("LiF", {"Li": 1.0, "F": 1.0}, log10_sigma=4.0, temperature=298.0)).warnings
    ['implausible_conductivity: log10 of the conductivity is 4; no ion conducts so well.']
    """
    if record.working_ion not in SYMBOLS:
        raise SourceError(f"The working ion {record.working_ion!r} is no chemical element.")
    if record.censored not in (None, *BOUNDS):
        raise SourceError(f"A value is a bound as {' or '.join(BOUNDS)}; {str(record.censored)[:40]!r} was given.")
    found = [*_of_value(record), *_of_structure(record)]
    if record.working_ion not in record.composition:
        found.append(f"no_{record.working_ion}_in_composition: {record.formula} holds none of the ion that conducts.")
    return replace(record, warnings=list(dict.fromkeys([*record.warnings, *found])))


def _of_value(record: ConductivityRecord) -> list[str]:
    found = []
    value, temperature = record.log10_sigma, record.temperature
    if value is not None and not math.isfinite(value):
        raise SourceError(f"log10 of the conductivity must be a finite number; it is {value}.")
    if temperature is not None and not 0 < temperature < 1e5:
        raise SourceError(f"The temperature must be above 0 K; it is {temperature:g} K.")
    if value is not None and value > _TALLEST:
        found.append(f"implausible_conductivity: log10 of the conductivity is {value:g}; no ion conducts so well.")
    if value is not None and value < _SMALLEST:
        found.append(f"implausible_conductivity: log10 of the conductivity is {value:g}; nobody can measure that.")
    if temperature is not None and not 50 <= temperature <= 2000:
        found.append(f"implausible_temperature: {temperature:g} K; was it given in another unit?")
    if value is not None and temperature is None:
        found.append("no_temperature: the temperature is not given.")
    if value is None and record.censored is not None:
        found.append("bound_without_value: a bound is announced and none is given.")
    return found


def _of_structure(record: ConductivityRecord) -> list[str]:
    if record.crystal is None:
        return []
    found = []
    amounts = record.crystal.amounts()
    if record.working_ion not in amounts and record.working_ion in record.composition:
        found.append(f"no_{record.working_ion}_in_structure: the structure holds none of the ion that conducts.")
    apart = difference(amounts, record.composition)
    if apart > _COMPOSITIONS_DIFFER:
        found.append(f"structure_composition_differs: an atomic fraction of the structure is off by {apart:.3f}.")
    return found


def agree(log10_sigma: float, sigma: float) -> bool:
    """Whether two statements of one conductivity agree, as far as they are rounded.

    Examples
    --------
    >>> agree(-5.8, 1.58489e-06), agree(-5.8, 1e-5)
    (True, False)
    """
    return abs(log10_sigma - log10_of(sigma)) <= _DISAGREE
