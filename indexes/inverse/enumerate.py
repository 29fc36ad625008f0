"""All compositions of a stoichiometry that a list of elements can form, charge-balanced if asked for."""

from __future__ import annotations

from itertools import combinations, groupby
from math import comb, gcd, log
from typing import TYPE_CHECKING, Final

from builders.embeddings.towers.composition import Composition
from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MOST: Final = 2_000_000
"""Compositions that are looked at; beyond, elements or stoichiometry have to be narrowed."""
RARE: Final = log(0.01)
"""Log frequency below which an oxidation state of an element is not reckoned with."""


def read_ratio(given: str | Sequence[int]) -> tuple[int, ...]:
    """Read a stoichiometry.

    Raises
    ------
    UsageError
        It is not one.

    Examples
    --------
    >>> read_ratio("4:1:1:1"), read_ratio((2, 2, 4))
    ((1, 1, 1, 4), (1, 1, 2))
    """
    parts: Sequence[object] = given.split(":") if isinstance(given, str) else given
    try:
        amounts = sorted(int(str(part)) for part in parts)
    except ValueError:
        amounts = []
    if not amounts or amounts[0] < 1 or amounts[-1] > 10_000:
        raise UsageError(f"A stoichiometry is written like 1:1:1:4, whole numbers above zero; it was {given!r}.")
    divisor = gcd(*amounts)
    return tuple(amount // divisor for amount in amounts)


def count(n_elements: int, ratio: Sequence[int], n_required: int = 0) -> int:
    """At most how many compositions of a stoichiometry there are.

    Examples
    --------
    >>> count(4, (1, 1, 1, 4)), count(3, (1, 2))
    (4, 6)
    """
    found, left = 1, n_elements
    for _, group in groupby(ratio):
        size = len(list(group))
        found *= comb(left, size) if left >= size else 0
        left -= size
    return found if n_required <= len(ratio) else 0


def enumerate_compositions(
    elements: Iterable[str],
    ratio: Sequence[int],
    *,
    charge_balanced: bool = False,
    required: Iterable[str] = (),
) -> list[Composition]:
    """List the compositions of a stoichiometry over some elements, each once, in canonical order.

    Parameters
    ----------
    elements : iterable of str
        At most these occur.
    ratio : sequence of int
        Ascending amounts.
    charge_balanced : bool
        Only those that are neutral with one oxidation state of each element, of which the most electronegative element
        that forms anions is negative (see :func:`builders.structures.oxidation.guess_oxidation_states`).
    required : iterable of str
        These all occur.

    Raises
    ------
    UsageError
        An unknown element, or more than two million compositions.

    Examples
    --------
    >>> [each.formula for each in enumerate_compositions(["Li", "Na", "Mg", "O", "Cl"], (1, 1), charge_balanced=True)]
    ['LiCl', 'NaCl', 'MgO']
    """
    symbols, wanted = _checked(elements), frozenset(_checked(required))
    symbols = sorted({*symbols, *wanted})
    if count(len(symbols), ratio) > MOST:
        raise UsageError(
            f"{len(symbols)} elements form {count(len(symbols), ratio):,} compositions of the stoichiometry "
            f"{':'.join(map(str, ratio))}; at most {MOST:,} are looked at.",
            mend="name fewer elements",
        )
    found = [
        Composition(chosen, tuple(ratio))
        for chosen in _choices(symbols, list(ratio), charge_balanced)
        if wanted <= set(chosen)
    ]
    if charge_balanced:
        found = [each for each in found if oxidation_states(each) is not None]
    return sorted(found, key=lambda each: each.elements)


def oxidation_states(composition: Composition) -> dict[str, float] | None:
    """One oxidation state of each element that together are neutral, the likeliest; None where there are none.

    Examples
    --------
    >>> from builders.embeddings.towers.composition import composition_of
    >>> oxidation_states(composition_of("LiFePO4")), oxidation_states(composition_of("Fe3O4"))
    ({'Fe': 2.0, 'Li': 1.0, 'O': -2.0, 'P': 5.0}, None)
    """
    from builders.structures.oxidation import COMMON, guess_oxidation_states

    pairs = sorted(zip(composition.elements, composition.amounts, strict=True))
    guess = guess_oxidation_states(tuple(symbol for symbol, _ in pairs), tuple(amount for _, amount in pairs))
    return dict(guess.states) if guess.method == COMMON and guess.states is not None else None


def _checked(elements: Iterable[str]) -> list[str]:
    from builders.embeddings.elements import element_table

    given = [elements] if isinstance(elements, str) else list(elements)
    for symbol in given:
        if symbol not in element_table().row or symbol in {"D", "T"}:
            raise UsageError(f"{symbol!r} is none of the elements from H to Pu.")
    return list(dict.fromkeys(given))


def _choices(symbols: Sequence[str], ratio: list[int], balanced: bool) -> Iterator[tuple[str, ...]]:
    """Choose elements for groups of equal amounts in turn; unbalanced ones are dropped when the last is chosen."""
    states = _states(symbols) if balanced else {}
    middle = sum(ratio) * 8  # bit of charge zero
    sizes = [(amount, len(list(group))) for amount, group in groupby(ratio)]

    def choose(place: int, chosen: tuple[str, ...], reach: int) -> Iterator[tuple[str, ...]]:
        if place == len(sizes):
            if not balanced or reach >> middle & 1:
                yield chosen
            return
        amount, size = sizes[place]
        left = [symbol for symbol in symbols if symbol not in chosen]
        for some in combinations(left, size):
            charge = reach
            for symbol in some if balanced else ():
                charge = _shifted(charge, amount, states[symbol])
            if charge or not balanced:
                yield from choose(place + 1, chosen + some, charge)

    yield from choose(0, (), 1 << middle)


def _shifted(reach: int, amount: int, states: tuple[int, ...]) -> int:
    """Charges that can be reached, as bits, after so many atoms of one state more."""
    found = 0
    for state in states:
        found |= reach << (amount * state) if state > 0 else reach >> (-amount * state)
    return found


def _states(symbols: Iterable[str]) -> dict[str, tuple[int, ...]]:
    from builders.structures.elements import state_log_probabilities

    table = state_log_probabilities()
    return {
        symbol: tuple(state for state, frequency in table[symbol].items() if frequency > RARE) for symbol in symbols
    }
