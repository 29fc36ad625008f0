"""What the composition tower sees of a formula: its elements as a set, each with its amount and its chemistry."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from math import gcd
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from builders.embeddings.towers.sets import Group, Sets, gather
from store.errors import FeatureError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

VERSION: Final = 1
"""Raised by hand when the same composition gets other features."""

STATES: Final = tuple(range(-4, 9))
"""Oxidation states of the table of radii."""
N_TABLE: Final = 58
N_TOKEN: Final = N_TABLE + 8
N_WHOLE: Final = 290 + 4
LARGEST: Final = 10_000
"""Atoms in a formula unit."""


@dataclass(frozen=True)
class Composition:
    """A formula unit in canonical order.

    Attributes
    ----------
    elements : tuple of str
        Ascending amount, then symbol.
    amounts : tuple of int
        Without a common divisor.
    """

    elements: tuple[str, ...]
    amounts: tuple[int, ...]

    @property
    def ratio(self) -> tuple[int, ...]:
        """The stoichiometry: the amounts alone, ascending."""
        return self.amounts

    @property
    def formula(self) -> str:
        """Pymatgen's reduced formula."""
        from builders.structures.formulas import describe_composition

        return describe_composition({e: float(n) for e, n in zip(self.elements, self.amounts, strict=True)}).formula

    def as_dict(self) -> dict[str, int]:
        """Amount by element."""
        return dict(zip(self.elements, self.amounts, strict=True))


def composition_of(given: str | Mapping[str, float]) -> Composition:
    """Read a formula or amounts.

    Parameters
    ----------
    given : str or mapping
        A formula, or ``{element: amount}``; amounts may be fractions of a small whole-number formula.

    Raises
    ------
    FeatureError
        No formula, an element beyond plutonium, or amounts that no whole-number formula of at most 10,000 atoms has.

    Examples
    --------
    >>> composition_of("Li2Ni2P2O8")
    Composition(elements=('Li', 'Ni', 'P', 'O'), amounts=(1, 1, 1, 4))
    """
    from builders.embeddings.elements import ISOTOPES, element_table

    amounts = _parse(given) if isinstance(given, str) else dict(given)
    known: dict[str, float] = {}
    for symbol, amount in amounts.items():
        name = "H" if symbol in ISOTOPES else symbol
        if name not in element_table().row:
            raise FeatureError(f"The tower knows the elements from H to Pu; {symbol!r} in {given!r} is none of them.")
        if not 0 < amount < LARGEST:
            raise FeatureError(f"Amounts lie between 0 and {LARGEST}; in {given!r} that of {symbol} is {amount}.")
        known[name] = known.get(name, 0.0) + float(amount)
    if not known:
        raise FeatureError(f"{given!r} holds no atoms; a formula such as LiFePO4 was expected.")
    whole = _whole(known, given)
    elements = tuple(sorted(whole, key=lambda symbol: (whole[symbol], symbol)))
    return Composition(elements, tuple(whole[each] for each in elements))


def _parse(text: str) -> dict[str, float]:
    from pymatgen.core.composition import Composition as Parsed

    try:
        return {str(symbol): float(amount) for symbol, amount in Parsed(text).get_el_amt_dict().items()}
    except (ValueError, KeyError) as error:
        raise FeatureError(f"{text!r} is no chemical formula: {error}.") from None


def _whole(amounts: Mapping[str, float], given: object) -> dict[str, int]:
    from builders.structures.formulas import describe_composition

    if all(abs(value - round(value)) < 1e-6 and round(value) > 0 for value in amounts.values()):
        counts = {symbol: round(value) for symbol, value in amounts.items()}
    else:
        found = describe_composition(amounts)
        counts = dict(zip(found.elements, found.whole, strict=True))
    if sum(counts.values()) > LARGEST:
        raise FeatureError(f"{given!r} has no formula unit of at most {LARGEST} atoms.")
    divisor = gcd(*counts.values())
    return {symbol: count // divisor for symbol, count in counts.items()}


@lru_cache(maxsize=1)
def table() -> NDArray[np.float64]:
    """Element features, z-scored over the 94 elements; shape=(94, 58)."""
    from builders.embeddings.elements import element_table

    values = element_table().values
    found: NDArray[np.float64] = (values - values.mean(axis=0)) / (values.std(axis=0) + 1e-12)
    return np.clip(found, -4, 4)


@lru_cache(maxsize=1)
def radii() -> NDArray[np.float64]:
    """Ionic radius of each element in each of ``STATES``, Å; shape=(94, 13).

    Shannon's radii as pymatgen carries them, interpolated between states; where an element has none, its atomic radius.
    """
    from pymatgen.core.periodic_table import Element

    from builders.embeddings.elements import element_table

    found = np.empty((len(element_table().symbols), len(STATES)))
    for row, symbol in enumerate(element_table().symbols):
        element = Element(symbol)
        known = sorted((float(state), float(radius)) for state, radius in element.ionic_radii.items())
        own: Any = element.atomic_radius
        neutral = float(own) if own is not None else 1.5
        if not known:
            found[row] = neutral
            continue
        found[row] = np.interp(STATES, [state for state, _ in known], [radius for _, radius in known])
    return found


def composition_sets(compositions: Sequence[Composition]) -> Sets:
    """Describe compositions for the composition tower.

    Examples
    --------
    >>> sets = composition_sets([composition_of("NaCl"), composition_of("LiFePO4")])
    >>> sorted(sets.groups), sets.groups[4].tokens.shape
    ([2, 4], (1, 4, 66))
    """
    from builders.embeddings.composition import embed

    statistics = np.clip(embed([each.as_dict() for each in compositions]), -6, 6)
    by_size: dict[int, list[int]] = defaultdict(list)
    for number, each in enumerate(compositions):
        by_size[len(each.elements)].append(number)
    groups = {
        k: _group([compositions[number] for number in numbers], statistics[numbers])
        for k, numbers in sorted(by_size.items())
    }
    return gather([len(each.elements) for each in compositions], groups)


def _group(compositions: Sequence[Composition], statistics: NDArray[np.float32]) -> Group:
    from builders.embeddings.elements import element_table

    row = element_table().row
    kind = np.array([[row[symbol] for symbol in each.elements] for each in compositions], dtype=np.int64)
    amounts = np.array([each.amounts for each in compositions], dtype=np.float64)
    weights = amounts / amounts.sum(axis=1, keepdims=True)
    charge, whole = _charges(compositions)
    radius = _radius(kind, charge[..., 0])
    tokens = np.concatenate(
        [table()[kind], weights[:, :, None], np.log(amounts)[:, :, None], charge, radius[:, :, None]], axis=2
    )
    total = np.log(amounts.sum(axis=1, keepdims=True))
    sizes = np.concatenate([total, np.full_like(total, amounts.shape[1]), whole], axis=1)
    return Group(
        tokens.astype(np.float32),
        weights.astype(np.float32),
        np.concatenate([statistics, sizes], axis=1).astype(np.float32),
        token_kind=kind,
    )


def _radius(element: NDArray[np.int64], state: NDArray[np.float64]) -> NDArray[np.float64]:
    """Radius of each element in its state, between whole states interpolated; the shape of both."""
    place = np.clip(state, STATES[0], STATES[-1]) - STATES[0]
    below = np.minimum(place.astype(np.int64), len(STATES) - 2)
    share = place - below
    found: NDArray[np.float64] = (1 - share) * radii()[element, below] + share * radii()[element, below + 1]
    return found


def _charges(compositions: Sequence[Composition]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What a guess of oxidation states says: of each element, shape=(n, k, 5), and of the whole, shape=(n, 2)."""
    from builders.structures.oxidation import MIXED, guess_oxidation_states

    k = len(compositions[0].elements)
    found, whole = np.zeros((len(compositions), k, 5)), np.zeros((len(compositions), 2))
    for number, each in enumerate(compositions):
        order = sorted(range(k), key=lambda place: each.elements[place])
        guess = guess_oxidation_states(
            tuple(each.elements[place] for place in order), tuple(each.amounts[place] for place in order)
        )
        if guess.states is None:
            continue
        whole[number] = 1.0, float(guess.method == MIXED)
        for place, symbol in enumerate(each.elements):
            state = guess.states[symbol]
            found[number, place] = state, 1.0, max(state, 0.0), max(-state, 0.0), each.amounts[place] * state / 10.0
    return found, whole


def charge_note(composition: Composition) -> dict[str, float] | None:
    """Guessed oxidation states of a composition; None where no neutral assignment was found.

    Examples
    --------
    >>> charge_note(composition_of("NaCl"))
    {'Cl': -1.0, 'Na': 1.0}
    """
    from builders.structures.oxidation import guess_oxidation_states

    pairs = sorted(zip(composition.elements, composition.amounts, strict=True))
    guess = guess_oxidation_states(tuple(symbol for symbol, _ in pairs), tuple(count for _, count in pairs))
    return None if guess.states is None else dict(guess.states)
