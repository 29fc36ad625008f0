"""Oxidation-state guess: the likeliest neutral assignment of one state to each element.

Decision page: docs/decisions/0003-oxidation-states.md. The likelihood is the product over atoms of the ICSD frequency of
the state among those of its element; a search over all combinations is exact and takes some 50 microseconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from builders.structures.elements import element_table, state_log_probabilities

if TYPE_CHECKING:
    from numpy.typing import NDArray

ELEMENTAL, COMMON, MIXED, NONE = "elemental", "icsd-common", "icsd-mixed-valence", "none"
_KEEP = 2048  # combinations held at once; beyond, of those with the same charge only the best goes on
_MOST_ATOMS = 20_000  # charges stay exact, and the work inside some milliseconds
_TIE = 1e-9
_INVERSION = (
    3.0  # log probability that each atom loses which is negative beside a positive, more electronegative element
)


@dataclass(frozen=True)
class OxidationStates:
    """A guess.

    Attributes
    ----------
    states : dict or None
        ``{element: mean oxidation state}``; None where no neutral assignment was found.
    method : str
        ``elemental`` (one element, state 0), ``icsd-common`` (one state an element), ``icsd-mixed-valence`` (two states
        on one element, the mean is given) or ``none``.
    """

    states: dict[str, float] | None
    method: str


class _Options(NamedTuple):
    """The states that one element may take."""

    values: NDArray[np.float64]
    logs: NDArray[np.float64]
    """log probability of each"""


class _Choices(NamedTuple):
    """All assignments to the elements seen so far."""

    charge: NDArray[np.float64]
    score: NDArray[np.float64]
    code: NDArray[np.int64]
    """which state of each element: digits in a number of mixed radix, the last element's last"""


def guess_oxidation_states(elements: tuple[str, ...], amounts: tuple[int, ...]) -> OxidationStates:
    """Guess the oxidation state of each element of a compound.

    Of the elements that occur as anions the most electronegative takes negative states only; every other element takes
    any of its ICSD states. A combination in which a less electronegative element is negative beside a positive one loses
    a factor of twenty for each such atom. If no combination is neutral, one element may hold two neighbouring states of one
    sign.

    Parameters
    ----------
    elements : tuple of str
        Alphabetical element symbols.
    amounts : tuple of int
        Atoms in the reduced formula, one for each element.

    Returns
    -------
    OxidationStates
        Shared between calls with the same arguments: do not change ``states``.

    Examples
    --------
    >>> guess_oxidation_states(("Fe", "Li", "O", "P"), (1, 1, 4, 1)).states
    {'Fe': 2.0, 'Li': 1.0, 'O': -2.0, 'P': 5.0}
    >>> magnetite = guess_oxidation_states(("Fe", "O"), (3, 4))
    >>> magnetite.method, round(magnetite.states["Fe"], 3)
    ('icsd-mixed-valence', 2.667)
    >>> guess_oxidation_states(("Al", "Ni"), (1, 1))
    OxidationStates(states=None, method='none')
    """
    return _guess(elements, amounts)


@lru_cache(maxsize=65536)
def _guess(elements: tuple[str, ...], amounts: tuple[int, ...]) -> OxidationStates:
    if len(elements) == 1:
        return OxidationStates({elements[0]: 0.0}, ELEMENTAL)
    states = _allowed_states(elements)
    if sum(amounts) > _MOST_ATOMS or not all(len(options.values) for options in states):
        return OxidationStates(None, NONE)
    table = element_table()
    chi = np.array([_finite(table[symbol].electronegativity) for symbol in elements])
    whole = _one_state_each(amounts, states, chi)
    if whole is not None:
        return OxidationStates(dict(zip(elements, whole, strict=True)), COMMON)
    mixed = _two_states_on_one(amounts, states, chi)
    if mixed is not None:
        return OxidationStates(dict(zip(elements, mixed, strict=True)), MIXED)
    return OxidationStates(None, NONE)


def _allowed_states(elements: tuple[str, ...]) -> list[_Options]:
    """List the states of each element; the anion keeps its negative states only."""
    table, logs = element_table(), state_log_probabilities()
    # Not simply the most electronegative element: lead (2.33) is above tellurium (2.1), platinum above hydrogen.
    anions = [symbol for symbol in elements if min(logs[symbol], default=0) < 0]
    anion = max(anions, key=lambda symbol: (_finite(table[symbol].electronegativity), symbol), default=None)
    return [_options(symbol, symbol == anion) for symbol in elements]


@lru_cache(maxsize=256)
def _options(symbol: str, anion: bool) -> _Options:
    kept = {state: log for state, log in state_log_probabilities()[symbol].items() if state < 0 or not anion}
    return _Options(np.array(list(kept), dtype=np.float64), np.array(list(kept.values()), dtype=np.float64))


def _finite(electronegativity: float) -> float:
    return electronegativity if math.isfinite(electronegativity) else -1.0


def _combine(amounts: tuple[int, ...], states: list[_Options], skip: int = -1) -> _Choices:
    """Form all assignments; those of equal charge are thinned to the best when there are too many to hold."""
    choices = _Choices(np.zeros(1), np.zeros(1), np.zeros(1, dtype=np.int64))
    for column, (amount, options) in enumerate(zip(amounts, states, strict=True)):
        if column == skip:
            continue
        size = len(options.values)
        if len(choices.charge) * size > _KEEP:
            choices = _best_of_each_charge(choices)
        choices = _Choices(
            (choices.charge[:, None] + options.values * amount).ravel(),
            (choices.score[:, None] + options.logs * amount).ravel(),
            (choices.code[:, None] * size + np.arange(size)).ravel(),
        )
    return choices


def _best_of_each_charge(choices: _Choices) -> _Choices:
    order = np.lexsort((-choices.score, choices.charge))
    first = np.ones(len(order), dtype=bool)
    first[1:] = np.diff(choices.charge[order]) != 0
    kept = order[first]
    return _Choices(choices.charge[kept], choices.score[kept], choices.code[kept])


def _values(code: NDArray[np.int64], states: list[_Options], skip: int = -1) -> NDArray[np.float64]:
    """Look the picked states up; shape=(n, n_elements), zero in the column ``skip``."""
    values = np.zeros((len(code), len(states)))
    for column in range(len(states) - 1, -1, -1):
        if column != skip:
            size = len(states[column].values)
            values[:, column] = states[column].values[code % size]
            code = code // size
    return values


def _inversions(values: NDArray[np.float64], amounts: tuple[int, ...], chi: NDArray[np.float64]) -> NDArray[np.float64]:
    """Count the atoms that are negative although a more electronegative element is positive; shape=(n,)."""
    highest = np.where(values > 0, chi, -np.inf).max(axis=1)
    inverted: NDArray[np.float64] = ((values < 0) & (chi < highest[:, None])) @ np.array(amounts, dtype=np.float64)
    return inverted


def _one_state_each(amounts: tuple[int, ...], states: list[_Options], chi: NDArray[np.float64]) -> list[float] | None:
    choices = _combine(amounts, states)
    neutral = np.flatnonzero(choices.charge == 0)
    if not len(neutral):
        return None
    values = _values(choices.code[neutral], states)
    score = choices.score[neutral]
    if len(neutral) > 1:
        score = score - _INVERSION * _inversions(values, amounts, chi)
    best: list[float] = values[int(score.argmax())].tolist()
    return best


def _two_states_on_one(
    amounts: tuple[int, ...], states: list[_Options], chi: NDArray[np.float64]
) -> list[float] | None:
    """Let one element after the other hold two neighbouring states; the rest hold one each."""
    best_score, best = -math.inf, None
    for column, (amount, options) in enumerate(zip(amounts, states, strict=True)):
        if len(options.values) < 2:
            continue
        choices = _combine(amounts, states, skip=column)
        mean = -choices.charge / amount
        share = _between(mean, options)
        possible = np.flatnonzero(share > -np.inf)
        if not len(possible):
            continue
        values = _values(choices.code[possible], states, skip=column)
        values[:, column] = mean[possible]
        score = choices.score[possible] + amount * share[possible] - _INVERSION * _inversions(values, amounts, chi)
        winner = int(score.argmax())
        if score[winner] > best_score + _TIE:
            best_score = float(score[winner])
            best = values[winner].tolist()
    return best


def _between(mean: NDArray[np.float64], options: _Options) -> NDArray[np.float64]:
    """Log probability an atom of a mean state that two neighbouring states of one sign make up; -inf elsewhere."""
    values = options.values
    # Between neighbouring states the mean fixes the two shares, so the log probability is linear there.
    result: NDArray[np.float64] = np.interp(mean, values, options.logs, left=-np.inf, right=-np.inf)
    # From -3 to +3 there is no valence in between: boron at 0 is no mixture of borides and borates.
    negative, positive = values[values < 0], values[values > 0]
    if len(negative) and len(positive):
        result[(mean > negative[-1]) & (mean < positive[0])] = -np.inf
    return result
