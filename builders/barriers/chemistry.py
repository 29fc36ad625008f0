"""What a hop's descriptors need to know about the elements of a host: radii, charges, bond-valence parameters, statistics.

Charges are oxidation states: those of the whole composition with the ion that moves (:mod:`builders.structures.oxidation`),
or, where these leave the ion another charge than its usual one (dilute ions in charged hosts), those of the framework
alone. An element with a negative charge is an anion. Radii are Shannon's crystal radii of the state nearest to the charge
(Acta Cryst. A 32, 751, 1976). Bond valences follow O'Keeffe and Brese (J. Am. Chem. Soc. 113, 3226, 1991): the length of a
bond of valence one between any two elements from two numbers for each.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from builders.structures.elements import element_table
from builders.structures.oxidation import guess_oxidation_states

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

USUAL_CHARGE: Final = {
    "Li": 1.0, "Na": 1.0, "K": 1.0, "Rb": 1.0, "Cs": 1.0, "Ag": 1.0, "Cu": 1.0,
    "Mg": 2.0, "Ca": 2.0, "Sr": 2.0, "Ba": 2.0, "Zn": 2.0, "Al": 3.0, "Y": 3.0,
    "F": -1.0, "Cl": -1.0, "Br": -1.0, "I": -1.0, "O": -2.0, "S": -2.0,
}  # fmt: skip
"""Charge of an ion that travels, e."""

MOBILE: Final = frozenset({"Li", "Na", "K", "Rb", "Cs", "Mg", "Ca", "Sr", "Ba", "Zn", "Ag"})
"""Cations of the framework that may be mobile themselves."""

STATISTICS: Final = (
    "ion_charge", "ion_radius", "ion_electronegativity", "ion_mass", "ion_period", "ion_softness",
    "anion_electronegativity", "anion_radius", "anion_charge", "anion_period", "anion_polarisability",
    "anion_electronegativity_spread", "fluorine_share", "oxygen_share",
    "cation_electronegativity", "cation_electronegativity_max", "cation_electronegativity_min", "cation_charge",
    "cation_charge_max", "cation_radius", "cations_per_anion", "transition_metal_share", "p_block_share", "n_elements",
    "other_ions_per_anion", "dilute", "other_mobile_per_anion",
)  # fmt: skip
"""Names of :attr:`Chemistry.statistics`."""

_ANION_FORMERS: Final = ("F", "O", "N", "Cl", "Br", "S", "I", "Se", "Te", "P", "As", "Sb", "C", "H")


@dataclass(frozen=True, eq=False)
class Chemistry:
    """Parameters of each element around a hop, and statistics of the host's composition.

    Attributes
    ----------
    ion : str
        The working ion.
    ion_charge, ion_radius : float
        e, Å.
    symbols : tuple of str
        shape=(k,), elements of the host; the ion, where other ones of it are there, among them.
    charge : numpy.ndarray
        shape=(k,), e.
    radius : numpy.ndarray
        shape=(k,), Å.
    r0 : numpy.ndarray
        shape=(k,), Å; length of a bond of valence one to the ion.
    electronegativity : numpy.ndarray
        shape=(k,), Pauling; nan where unknown.
    is_anion, is_ion : numpy.ndarray
        shape=(k,), bool.
    statistics : numpy.ndarray
        shape=(len(STATISTICS),); nan where unknown.
    """

    ion: str
    ion_charge: float
    ion_radius: float
    symbols: tuple[str, ...]
    charge: NDArray[np.float64]
    radius: NDArray[np.float64]
    r0: NDArray[np.float64]
    electronegativity: NDArray[np.float64]
    is_anion: NDArray[np.bool_]
    is_ion: NDArray[np.bool_]
    statistics: NDArray[np.float64]


def chemistry_of(species: Sequence[str], ion: str, amounts: Mapping[str, float] | None = None) -> Chemistry:
    """Look up what a host's elements are to an ion.

    Parameters
    ----------
    species : sequence of str
        Elements of the host's sites without the ion that moves; other ions of its kind may be among them.
    ion : str
        Element symbol of the ion that moves.
    amounts : mapping, optional
        Composition with the moving ion, where sites are shared or partly empty; by default the sites and one ion.

    Returns
    -------
    Chemistry

    Examples
    --------
    >>> host = chemistry_of(["Fe"] * 4 + ["P"] * 4 + ["O"] * 16 + ["Li"] * 3, "Li")
    >>> host.symbols, host.charge.tolist(), host.is_anion.tolist()
    (('Fe', 'Li', 'O', 'P'), [2.0, 1.0, -2.0, 5.0], [False, False, True, False])
    >>> round(float(host.r0[2]), 2)  # Li-O; 1.47 in the tables that are made for this pair alone
    1.5
    """
    counts: dict[str, int] = {}
    for symbol in species:
        counts[symbol] = counts.get(symbol, 0) + 1
    whole: dict[str, float] = dict(counts) if amounts is None else dict(amounts)
    if amounts is None:
        whole[ion] = whole.get(ion, 0) + 1
    return _chemistry(tuple(sorted(counts.items())), tuple(sorted(whole.items())), ion)


@lru_cache(maxsize=1024)
def _chemistry(counts: tuple[tuple[str, int], ...], whole: tuple[tuple[str, float], ...], ion: str) -> Chemistry:
    states = _states(dict(whole), ion)
    ion_charge = USUAL_CHARGE.get(ion) or states.get(ion) or 1.0
    symbols = tuple(symbol for symbol, _ in counts)
    charge = np.array([ion_charge if symbol == ion else states.get(symbol, 0.0) for symbol in symbols])
    is_ion = np.array([symbol == ion for symbol in symbols], dtype=bool)
    is_anion = ~is_ion & ((charge < 0) if ion_charge > 0 else (charge > 0))
    chi = np.array([_electronegativity(symbol) for symbol in symbols])
    made = Chemistry(
        ion=ion,
        ion_charge=ion_charge,
        ion_radius=crystal_radius(ion, ion_charge),
        symbols=symbols,
        charge=charge,
        radius=np.array([crystal_radius(symbol, q) for symbol, q in zip(symbols, charge, strict=True)]),
        r0=np.array([bond_length(ion, symbol) for symbol in symbols]),
        electronegativity=chi,
        is_anion=is_anion,
        is_ion=is_ion,
        statistics=np.zeros(0),
    )
    object.__setattr__(made, "statistics", _statistics(made, np.array([count for _, count in counts], dtype=float)))
    return made


def _states(amounts: dict[str, float], ion: str) -> dict[str, float]:
    """Oxidation states of the elements; see the module's description."""
    usual = USUAL_CHARGE.get(ion)
    states = _guess(amounts)
    if states is None or (usual is not None and abs(states.get(ion, usual) - usual) > 0.01):
        rest = _guess({symbol: amount for symbol, amount in amounts.items() if symbol != ion})
        states = rest if rest is not None else states
    if states is not None and any(value < 0 for value in states.values()):
        return states
    former = next((symbol for symbol in _ANION_FORMERS if symbol in amounts and symbol != ion), None)
    logs = element_table()
    found = {}
    for symbol in amounts:
        known = logs[symbol].states
        picked = [state for state in known if (state < 0) == (symbol == former)]
        found[symbol] = float((min(picked) if symbol == former else max(picked)) if picked else 0.0)
    return found


def _guess(amounts: dict[str, float]) -> dict[str, float] | None:
    if len(amounts) < 2:
        return None
    whole = all(abs(amount - round(amount)) < 1e-6 for amount in amounts.values())
    scale = 1 if whole else 24  # shares of shared sites, near enough
    numbers = {symbol: round(amount * scale) for symbol, amount in sorted(amounts.items()) if round(amount * scale) > 0}
    divisor = int(np.gcd.reduce(list(numbers.values())))
    return guess_oxidation_states(tuple(numbers), tuple(number // divisor for number in numbers.values())).states


def _statistics(made: Chemistry, counts: NDArray[np.float64]) -> NDArray[np.float64]:
    anions, cations = made.is_anion, ~made.is_anion & ~made.is_ion
    # Without anions what is counted by them is unknown: any number would depend on the cell.
    n_anions = float(counts[anions].sum()) or float("nan")
    n_cations = float(counts[cations].sum()) or float("inf")
    table = element_table()
    numbers = np.array([table[symbol].number for symbol in made.symbols])
    periods = np.array([_period(number) for number in numbers])
    chi_a, chi_c = made.electronegativity[anions], made.electronegativity[cations]
    values = {
        "ion_charge": made.ion_charge,
        "ion_radius": made.ion_radius,
        "ion_electronegativity": _electronegativity(made.ion),
        "ion_mass": table[made.ion].mass,
        "ion_period": float(_period(table[made.ion].number)),
        "ion_softness": made.ion_radius**3 / abs(made.ion_charge),
        "anion_electronegativity": _mean(chi_a, counts[anions]),
        "anion_radius": _mean(made.radius[anions], counts[anions]),
        "anion_charge": _mean(made.charge[anions], counts[anions]),
        "anion_period": _mean(periods[anions], counts[anions]),
        "anion_polarisability": _mean(made.radius[anions] ** 3, counts[anions]),
        "anion_electronegativity_spread": float(np.ptp(chi_a)) if anions.any() else np.nan,
        "fluorine_share": _share(made, counts, "F") / n_anions,
        "oxygen_share": _share(made, counts, "O") / n_anions,
        "cation_electronegativity": _mean(chi_c, counts[cations]),
        "cation_electronegativity_max": float(chi_c.max()) if cations.any() else np.nan,
        "cation_electronegativity_min": float(chi_c.min()) if cations.any() else np.nan,
        "cation_charge": _mean(made.charge[cations], counts[cations]),
        "cation_charge_max": float(made.charge[cations].max()) if cations.any() else np.nan,
        "cation_radius": _mean(made.radius[cations], counts[cations]),
        "cations_per_anion": float(counts[cations].sum()) / n_anions,
        "transition_metal_share": float(counts[cations & _transition(numbers)].sum()) / n_cations,
        "p_block_share": float(counts[cations & _p_block(numbers)].sum()) / n_cations,
        "n_elements": float((~made.is_ion).sum()),
        "other_ions_per_anion": float(counts[made.is_ion].sum()) / n_anions,
        "dilute": float(not made.is_ion.any()),
        "other_mobile_per_anion": sum(_share(made, counts, symbol) for symbol in MOBILE if symbol != made.ion)
        / n_anions,
    }
    return np.array([values[name] for name in STATISTICS])


def _share(made: Chemistry, counts: NDArray[np.float64], symbol: str) -> float:
    return float(counts[made.symbols.index(symbol)]) if symbol in made.symbols else 0.0


def _mean(values: NDArray[Any], weights: NDArray[np.float64]) -> float:
    known = np.isfinite(values)
    return float(np.average(values[known], weights=weights[known])) if known.any() else float("nan")


_PROTON: Final = 0.1  # Å
_PERIOD_ENDS: Final = np.array([2, 10, 18, 36, 54, 86])


def _period(number: int) -> int:
    return int((number > _PERIOD_ENDS).sum()) + 1


def _transition(numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = np.zeros(len(numbers), dtype=bool)
    for first, last in ((21, 30), (39, 48), (57, 80)):
        found |= (numbers >= first) & (numbers <= last)
    return found


def _p_block(numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = np.zeros(len(numbers), dtype=bool)
    for first, last in ((5, 10), (13, 18), (31, 36), (49, 54), (81, 86)):
        found |= (numbers >= first) & (numbers <= last)
    return found


def _electronegativity(symbol: str) -> float:
    chi = element_table()[symbol].electronegativity
    return chi if np.isfinite(chi) else float("nan")


def crystal_radius(symbol: str, charge: float) -> float:
    """Shannon's crystal radius of the oxidation state nearest to a charge, Å; 1.4 for elements without any.

    Examples
    --------
    >>> crystal_radius("Li", 1), crystal_radius("O", -2)
    (0.9, 1.26)
    """
    radii = _tables()["radii"].get(symbol)
    if not radii:
        return 1.4
    nearest = min(radii, key=lambda state: (abs(int(state) - charge), int(state)))
    return max(float(radii[nearest]), _PROTON)  # Shannon's proton is smaller than nothing


def bond_length(first: str, second: str) -> float:
    """Length of a bond of valence one, Å, by O'Keeffe and Brese (1991); elements without parameters take middling ones.

    Examples
    --------
    >>> round(bond_length("Na", "Cl"), 2)
    2.21
    """
    (r_1, c_1), (r_2, c_2) = (_tables()["bond_valence"].get(symbol, (1.4, 1.5)) for symbol in (first, second))
    return float(r_1 + r_2 - r_1 * r_2 * (np.sqrt(c_1) - np.sqrt(c_2)) ** 2 / (c_1 * r_1 + c_2 * r_2))


@lru_cache(maxsize=1)
def _tables() -> Any:
    return json.loads(files("builders.barriers").joinpath("data", "elements.json").read_text(encoding="utf-8"))
