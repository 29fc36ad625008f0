"""Which element a site label means.

Data sets name sites, not elements: "FeM1" is iron on the site M1, "Wat" a water molecule's oxygen, "W1" tungsten, "O-H" a
hydroxyl's oxygen, "D" deuterium, "Oab" an oxygen. The formula that comes with the sites tells most of them apart.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from store.errors import UnknownElement

_SYMBOLS: Final = """
    H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr
    Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir
    Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh
    Fl Mc Lv Ts Og
"""
SYMBOLS: Final = frozenset(_SYMBOLS.split())
"""Symbols of the 118 elements; deuterium (D) and tritium (T) are read as hydrogen."""

_WATER: Final = re.compile(r"^(Wat|wat|WAT|H2O|OH2|Ow(?![a-z])|OW(?![a-z]))")
_HYDROXYL: Final = re.compile(r"^(O-H|OH(?![a-z0-9]*[2])|Oh(?![a-z]))")
_FORMULA_PART: Final = re.compile(r"([A-Z][a-z]?)")


class SiteElement(NamedTuple):
    """What a label means.

    Attributes
    ----------
    symbol : str
        Element symbol; deuterium is "H".
    hidden_hydrogens : int
        Hydrogens that the label implies and that have no coordinates: 2 for water, 1 for hydroxyl.
    note : str or None
        What had to be assumed.
    """

    symbol: str
    hidden_hydrogens: int = 0
    note: str | None = None


def formula_elements(formula: str | None) -> frozenset[str]:
    """Elements named in a formula; deuterium counts as hydrogen.

    Examples
    --------
    >>> sorted(formula_elements("K Al2 Si4 O12 D2"))
    ['Al', 'H', 'K', 'O', 'Si']
    """
    found = set(_FORMULA_PART.findall(formula or ""))
    return frozenset("H" if symbol == "D" else symbol for symbol in found) & SYMBOLS


@lru_cache(maxsize=16384)
def element_of_label(label: str, elements: frozenset[str] = frozenset()) -> SiteElement:
    """Find the element of a site label.

    Parameters
    ----------
    label : str
        The label, e.g. "FeM1", "Wat2", "O-H", "D1", "Si", "O2-".
    elements : frozenset of str
        Elements of the formula, empty when unknown: they decide between "Ca" and the carbon "Ca".

    Raises
    ------
    UnknownElement
        No element fits.

    Examples
    --------
    >>> element_of_label("FeM1").symbol, element_of_label("W1").symbol, element_of_label("Oab").symbol
    ('Fe', 'W', 'O')
    >>> element_of_label("Wat")[:2], element_of_label("D2").symbol
    (('O', 2), 'H')
    """
    text = label.strip()
    if _WATER.match(text):
        return SiteElement("O", 2, f"{label} is read as the oxygen of a water molecule.")
    if _HYDROXYL.match(text):
        return SiteElement("O", 1, f"{label} is read as the oxygen of a hydroxyl group.")
    letters = re.match(r"[A-Za-z]+", text)
    if letters is None:
        raise UnknownElement(f"The site label {label!r} names no chemical element.")
    return _choose(label, letters[0], elements)


def _choose(label: str, letters: str, elements: frozenset[str]) -> SiteElement:
    one = "H" if letters[0] in "Dd" else letters[0].upper()
    two = letters[:2].title()
    # A capital second letter names a site of a one-letter element ("OA"); where no formula can tell, "CL" is chlorine.
    order = [one, two] if letters[1:2].isupper() and elements else [two, one]
    candidates = [symbol for symbol in order if symbol in SYMBOLS]
    in_formula = [symbol for symbol in candidates if symbol in elements]
    if in_formula:
        return SiteElement(in_formula[0], 0, _hydrogen_note(label, letters, in_formula[0]))
    if not candidates:
        raise UnknownElement(f"The site label {label!r} names no chemical element.")
    if elements:
        return SiteElement(candidates[0], 0, f"{label} is read as {candidates[0]}, which the formula does not name.")
    return SiteElement(candidates[0], 0, _hydrogen_note(label, letters, candidates[0]))


def _hydrogen_note(label: str, letters: str, symbol: str) -> str | None:
    if symbol == "H" and letters[0] in "Dd":
        return f"{label} is deuterium; it is kept as hydrogen."
    return None


def element_of_symbol(text: str) -> SiteElement:
    """Find the element of a type symbol, which is stricter than a label: "Fe3+", "O2-", "D", "Wat".

    Raises
    ------
    UnknownElement
        The symbol is no element.

    Examples
    --------
    >>> element_of_symbol("Fe3+").symbol, element_of_symbol("O2-").symbol
    ('Fe', 'O')
    """
    stripped = text.strip()
    if _WATER.match(stripped) or _HYDROXYL.match(stripped):
        return element_of_label(stripped)
    match = re.match(r"([A-Za-z]{1,2})(?![A-Za-z])", stripped)
    symbol = match[1].title() if match else ""
    if symbol in {"D", "T"}:
        return SiteElement("H", 0, f"{stripped} is kept as hydrogen.")
    if symbol not in SYMBOLS:
        raise UnknownElement(f"{text!r} is no chemical element.")
    return SiteElement(symbol)
