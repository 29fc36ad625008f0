"""Which structures are analysed for which ions, told from the formula alone.

A structure is analysed for a working ion that it holds, if it holds anions enough to be a salt of it: in a metal or an
intermetallic compound (LiMg2, LaMg6Sb, Cs11O3) atoms diffuse by vacancies through a close packing, and channels between
voids tell nothing about it. Enough means that the elements that form anions, each with its largest negative charge, carry at
least three quarters of the charge of all working ions, each with its smallest positive one; three quarters, because
vacancies and subvalent salts stand a little below one (Ca5Sb3) and alloys far (LaMg6Sb a quarter). For the anions F and O,
analysed on request, any second element will do.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from store.errors import UsageError
from store.ion_fields import ANIONS, IONS, WORKING_IONS

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

# fmt: off
ANION_CHARGES: Final = {
    "H": 1, "C": 4, "N": 3, "O": 2, "F": 1, "P": 3, "S": 2, "Cl": 1,
    "As": 3, "Se": 2, "Br": 1, "Sb": 3, "Te": 2, "I": 1, "Bi": 3,
}
"""Elements that form anions beside a working ion, those of :mod:`builders.channels.framework`: largest negative charge."""

ION_CHARGES: Final = {
    "Li": 1, "Na": 1, "K": 1, "Rb": 1, "Cs": 1, "Mg": 2, "Ca": 2, "Sr": 2, "Zn": 2, "Al": 3, "Ag": 1, "Cu": 1,
}
"""Smallest positive charge of the working ions in salts."""
# fmt: on

LEAST_SHARE: Final = 0.75
"""Share of the working ions' charge that the anions must be able to carry."""


def key_of(material: str, ion: str) -> str:
    """Write the identifier of a document of ``channels``.

    Examples
    --------
    >>> key_of("mp-19017", "Li"), split_key("mp-19017/Li")
    ('mp-19017/Li', ('mp-19017', 'Li'))
    """
    return f"{material}/{ion}"


def split_key(key: str) -> tuple[str, str]:
    """Read an identifier of ``channels``: material (which may hold slashes itself) and ion."""
    material, _, ion = key.rpartition("/")
    return material, ion


@lru_cache(maxsize=65536)
def amounts_of(formula: str) -> Mapping[str, int]:
    """Read a reduced formula (OPTIMADE's: whole numbers, no brackets).

    Examples
    --------
    >>> amounts_of("FeLiO4P")
    {'Fe': 1, 'Li': 1, 'O': 4, 'P': 1}
    """
    return {symbol: int(count or 1) for symbol, count in re.findall(r"([A-Z][a-z]?)(\d*)", formula)}


def is_analysed(formula: str, ion: str) -> bool:
    """Tell whether a structure of this formula is analysed for an ion, of its own or inserted.

    Examples
    --------
    >>> [is_analysed(formula, "Li") for formula in ("FeLiO4P", "LiMg2", "LaLiMg5Sb", "FeO4P", "Li")]
    [True, False, False, True, False]
    >>> is_analysed("CaF2", "F"), is_analysed("CaF2", "Ca")
    (True, True)
    """
    amounts = amounts_of(formula)
    if ion in ANIONS:
        return len(amounts) > (ion in amounts)
    anions = sum(ANION_CHARGES.get(symbol, 0) * count for symbol, count in amounts.items())
    ions = sum(ION_CHARGES.get(symbol, 0) * count for symbol, count in amounts.items())
    return anions > 0 and anions >= LEAST_SHARE * ions


def read_ions(given: str | Iterable[str]) -> tuple[str, ...]:
    """Read a choice of ions: symbols, or one text with commas or spaces between them.

    Raises
    ------
    UsageError
        A symbol is none of the ions that can be analysed; they are listed.

    Examples
    --------
    >>> read_ions("Na, Li"), read_ions(["li", "F"])
    (('Li', 'Na'), ('Li', 'F'))
    """
    parts = re.split(r"[,\s]+", given) if isinstance(given, str) else given
    asked = {part.strip().capitalize() for part in parts if part.strip()}
    unknown = sorted(asked.difference(IONS))
    if unknown or not asked:
        said = f"{unknown[0]!r} is no ion whose channels are analysed" if unknown else "No ion is named"
        raise UsageError(
            f"{said}. There are: {' '.join(WORKING_IONS)}, and the anions {' '.join(ANIONS)}.", mend="--ion Li --ion Na"
        )
    return tuple(ion for ion in IONS if ion in asked)


def wanted_ions(named: Iterable[str] | None) -> tuple[str, ...]:
    """Ions that are named, else those of the setting IONATLAS_CHANNEL_IONS, else all working ions.

    Examples
    --------
    >>> wanted_ions(["Na", "Li"])
    ('Li', 'Na')
    """
    if named is not None:
        return read_ions(named)
    from store.settings import load_settings

    chosen = load_settings().channel_ions
    return WORKING_IONS if chosen is None else read_ions(chosen)


class KeysOfIons:
    """The keys of some ions, among some keys or all.

    Examples
    --------
    >>> few = KeysOfIons(["Li"], {"a/Li", "a/Na"})
    >>> "a/Li" in few, "a/Na" in few, "b/Li" in few, "b/Li" in KeysOfIons(["Li"])
    (True, False, False, True)
    """

    def __init__(self, ions: Iterable[str], keys: Container[str] | None = None) -> None:
        self._ions = frozenset(ions)
        self._keys = keys

    def __contains__(self, key: object) -> bool:
        return split_key(str(key))[1] in self._ions and (self._keys is None or key in self._keys)
