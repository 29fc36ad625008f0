"""What a composition says of an ion conductor: shares of the elements, and statistics of ions, anions and framework cations.

Everything is a ratio: a formula and its multiple are described alike. Amounts may be fractions, as in solid solutions and
disordered crystals. Charges, radii and electronegativities are those of :mod:`builders.barriers.chemistry`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from builders.barriers.chemistry import STATISTICS, chemistry_of
from builders.structures.elements import element_table
from store.errors import FeatureError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

ION: Final = "Li"
"""The ion whose conductivity is described."""

ELEMENTS: Final = (
    "H", "Li", "Be", "B", "C", "N", "O", "F", "Na", "Mg", "Al", "Si", "P", "S", "Cl", "K", "Ca", "Sc", "Ti", "V", "Cr", "Mn",
    "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Se", "Br", "Rb", "Sr", "Y", "Zr", "Nb", "Mo", "Ag", "Cd", "In", "Sn",
    "Sb", "Te", "I", "Cs", "Ba", "La", "Ce", "Pr", "Nd", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Hf",
    "Ta", "W", "Bi",
)  # fmt: skip
"""Elements whose share is a descriptor of its own; of others there is too little to learn from."""

_ANIONS: Final = {
    "O": 2.0,
    "S": 2.0,
    "Se": 2.0,
    "Te": 2.0,
    "F": 1.0,
    "Cl": 1.0,
    "Br": 1.0,
    "I": 1.0,
    "N": 3.0,
    "H": 1.0,
}
_TOLD_APART: Final = ("O", "S", "Se", "F", "Cl", "Br", "I", "N", "H")
_CHEMISTRY: Final = tuple(
    name for name in STATISTICS if not name.startswith("ion_") and name not in ("dilute", "other_ions_per_anion")
)
"""Statistics that differ between compounds of one ion."""


class Describer(NamedTuple):
    """Name, unit and meaning of a descriptor."""

    name: str
    unit: str | None
    meaning: str


def _columns() -> tuple[Describer, ...]:
    from builders.barriers.features import FEATURES

    known = {each.name: each for each in FEATURES}
    return (
        *(Describer(f"share_{symbol}", None, f"Atomic share of {symbol}.") for symbol in ELEMENTS),
        Describer("ions_per_anion", None, "Lithium by anions (O, S, Se, Te, halides, N, H)."),
        Describer("framework_per_anion", None, "Framework cations by anions."),
        Describer("ions_per_framework", None, "Lithium by framework cations; at most 20."),
        Describer("ion_charge_share", None, "Charge of lithium by that of the anions."),
        Describer("mixing_entropy", None, "Entropy of the atomic shares, per atom."),
        *(Describer(f"anion_share_{symbol}", None, f"Share of {symbol} among the anions.") for symbol in _TOLD_APART),
        *(Describer(f"chemistry_{name}", known[name].unit, known[name].meaning) for name in _CHEMISTRY),
    )


COLUMNS: Final = _columns()
"""Descriptors of a composition, in their order."""


def describe_composition(amounts: Mapping[str, float]) -> NDArray[np.float64]:
    """Describe a composition.

    Parameters
    ----------
    amounts : mapping
        ``{element symbol: amount}``; not negative, any total.

    Returns
    -------
    numpy.ndarray
        shape=(len(COLUMNS),), float64; nan where something is unknown, such as ratios to anions where there are none.

    Raises
    ------
    FeatureError
        An amount that is no number, an unknown element, or no lithium.

    Examples
    --------
    >>> names = [each.name for each in COLUMNS]
    >>> one, two = describe_composition({"Li": 3, "N": 1}), describe_composition({"N": 2.0, "Li": 6.0})
    >>> float(one[names.index("ions_per_anion")]), bool(np.array_equal(one, two, equal_nan=True))
    (3.0, True)
    """
    return _describe(_shares(amounts)).copy()


def _shares(amounts: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    known = element_table()
    found: dict[str, float] = {}
    for symbol, amount in amounts.items():
        element = "H" if symbol in ("D", "T") else symbol
        if element not in known:
            raise FeatureError(f"{symbol!r} is no chemical element.")
        if not 0.0 <= float(amount) < np.inf:
            raise FeatureError(f"The amount of {symbol} must be a number that is not negative; it is {amount!r}.")
        if amount > 0:
            found[element] = found.get(element, 0.0) + float(amount)
    total = sum(found.values())
    # Eight digits: the same composition is the same whatever the unit it was counted in.
    shares = tuple((symbol, round(found[symbol] / total, 8)) for symbol in sorted(found)) if total else ()
    if dict(shares).get(ION, 0.0) <= 0:
        raise FeatureError(f"The composition holds no {ION}; conductivities of {ION} compounds alone can be predicted.")
    return shares


@lru_cache(maxsize=4096)
def _describe(given: tuple[tuple[str, float], ...]) -> NDArray[np.float64]:
    shares = dict(given)
    anions = {symbol: shares[symbol] for symbol in anions_of(shares)}
    n_anions = sum(anions.values()) or np.nan
    charge = sum(amount * _ANIONS[symbol] for symbol, amount in anions.items()) or np.nan
    framework = 1.0 - shares[ION] - float(np.nan_to_num(n_anions))
    values = np.array(list(shares.values()))
    row = [
        *(shares.get(symbol, 0.0) for symbol in ELEMENTS),
        shares[ION] / n_anions,
        framework / n_anions,
        min(shares[ION] / framework, 20.0) if framework > 1e-6 else 20.0,
        shares[ION] / charge,
        -float((values * np.log(values)).sum()),
        *(anions.get(symbol, 0.0) / n_anions for symbol in _TOLD_APART),
        *_chemistry(shares),
    ]
    described: NDArray[np.float64] = np.array([round(float(value), 6) for value in row], dtype=np.float64)
    described.setflags(write=False)
    return described


def anions_of(shares: Mapping[str, float]) -> list[str]:
    """Find the anions among the elements; hydrogen is one only where no O, F, Cl or S is.

    Examples
    --------
    >>> anions_of({"Li": 1.0, "B": 1.0, "H": 4.0}), anions_of({"Li": 2.0, "O": 1.0, "H": 1.0, "Cl": 1.0})
    (['H'], ['O', 'Cl'])
    """
    found = [symbol for symbol in shares if symbol in _ANIONS]
    stronger = any(symbol in found for symbol in ("O", "F", "Cl", "S"))
    return [symbol for symbol in found if symbol != "H" or not stronger]


def _chemistry(shares: Mapping[str, float]) -> list[float]:
    counts = _whole(shares)
    species = [symbol for symbol, count in counts.items() for _ in range(count)]
    if len(set(species)) < 2:
        return [np.nan] * len(_CHEMISTRY)
    found = dict(zip(STATISTICS, chemistry_of(species, ION, counts).statistics.tolist(), strict=True))
    return [found[name] for name in _CHEMISTRY]


_LARGEST: Final = 400


def _whole(shares: Mapping[str, float]) -> dict[str, int]:
    """Whole numbers of atoms in the shares' ratios: the smallest that fit to a tenth of a per cent of the atoms."""
    amounts = np.array(list(shares.values()))
    for total in range(2, _LARGEST + 1):
        counts = np.rint(amounts * total)
        if (counts >= 1).all() and np.abs(counts / total - amounts).max() < 2e-4:
            break
    else:
        counts = np.maximum(np.rint(amounts * _LARGEST), 1)
    return dict(zip(shares, counts.astype(int).tolist(), strict=True))
