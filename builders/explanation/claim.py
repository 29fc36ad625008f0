"""A test of a published claim: layers of lithium mark good conductors (Takeuchi: Betti curves, LightGBM, Shapley values).

"Layers" is made measurable first (:mod:`builders.explanation.layers`); then four statements are tested, from the claim as it
is put to what a model of curves may have meant by it. One row is one composition; measurements of the same one are averaged.

1. Of compounds alike in lithium content, volume, anions and disorder, those with lithium in layers conduct better.
2. A model gives compounds with lithium in layers more for the holes among their lithium.
3. Of compounds alike, those with more holes among their lithium conduct better.
4. Without the curves of lithium the model is worse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from builders.explanation.features import COMPOSITION, ION, columns, label
from builders.explanation.layers import Association, association
from builders.explanation.train import amounts, unseen
from builders.topology.vectors import DEGREES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from builders.explanation.train import Measured
    from store.crystal import Crystal

FAMILIES: Final = (("O",), ("S", "Se", "Te"), ("F", "Cl", "Br", "I"), ("N", "P", "H", "B"))
"""Elements whose shares stand for the kind of compound."""
FAMILY_NAMES: Final = ("oxides", "sulfides and selenides", "halides", "nitrides, phosphides, hydrides")
_FULL: Final = 0.99
_FEWEST: Final = 40
"""Compositions that a family needs to be tested by itself."""
LAYERED: Final = 0.25
"""log2: steps across layers a fifth longer than within; beyond it a compound is called layered in the counts."""


class Finding(NamedTuple):
    """One tested statement.

    Attributes
    ----------
    statement : int
        1 to 4, see above.
    what : str
    found : Association
    """

    statement: int
    what: str
    found: Association


class Difference(NamedTuple):
    """By how much an error changes when columns are left out.

    Attributes
    ----------
    what : str
    without, with_ : float
        Mean absolute errors, log10 S/cm.
    lower, upper : float
        95 % bootstrap interval of ``without - with_``, compositions resampled.
    """

    what: str
    without: float
    with_: float
    lower: float
    upper: float


def controls(crystal: Crystal) -> NDArray[np.float64]:
    """What compounds are compared at equal, shape=(8,).

    Lithium a volume, share of lithium, volume an atom, share of lithium sites that are not full, shares of anions. Disorder has
    to be among them: good conductors are disordered and seldom layered, and without it ordered poor ones speak against layers.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> salt = Crystal.from_lists([[0, 2, 2], [2, 0, 2], [2, 2, 0]], ["Li", "F"], [[0.5] * 3, [0] * 3])
    >>> controls(salt).round(6).tolist()
    [0.0625, 0.5, 8.0, 0.0, 0.0, 0.0, 0.5, 0.0]
    """
    content, volume = crystal.amounts(), abs(crystal.volume)
    total = sum(content.values())
    shares = [sum(content.get(symbol, 0.0) for symbol in family) / total for family in FAMILIES]
    lithium = content.get(ION, 0.0)
    sites = [site[ION] for site in crystal.occupancies or () if site.get(ION, 0.0) > 0.0]
    partly = float(np.mean([amount < _FULL for amount in sites])) if sites else 0.0
    return np.array([lithium / volume, lithium / total, volume / total, partly, *shares])


def by_composition(values: NDArray[np.float64], groups: Sequence[str]) -> NDArray[np.float64]:
    """Average rows of one composition; shape=(n_compositions, ...).

    Examples
    --------
    >>> by_composition(np.array([1.0, 2.0, 6.0]), ["b", "a", "a"]).tolist()
    [4.0, 1.0]
    """
    number = np.unique(np.asarray(groups), return_inverse=True)[1].ravel()
    count = np.bincount(number).astype(np.float64)
    sums = np.zeros((len(count), *values.shape[1:]))
    np.add.at(sums, number, values)
    found: NDArray[np.float64] = sums / count.reshape(-1, *([1] * (values.ndim - 1)))
    return found


def examine(
    rows: Measured,
    layering: NDArray[np.float64],
    alike: NDArray[np.float64],
    permutations: int = 5000,
    seed: int = 0,
    step: Callable[[], None] | None = None,
) -> tuple[list[Finding], list[Difference]]:
    """Test the four statements.

    Parameters
    ----------
    rows : Measured
    layering : numpy.ndarray
        shape=(n, 3): layers, chains, step of :func:`builders.explanation.layers.layering`.
    alike : numpy.ndarray
        shape=(n, n_controls), of :func:`controls`: the last ones tell the family.
    permutations, seed : int
    step : callable, optional
        Called after each fold of a model.

    Returns
    -------
    findings : list of Finding
        Statements 1 to 3, and the same without controls.
    differences : list of Difference
        Statement 4.
    """
    groups = rows.groups
    target, layers, control = (by_composition(each, groups) for each in (rows.target, layering, alike))
    none = np.zeros((len(target), 0))

    def tested(statement: int, what: str, x: NDArray[np.float64], y: NDArray[np.float64], c: Any) -> None:
        findings.append(Finding(statement, what, association(x, y, c, permutations, seed)))

    findings: list[Finding] = []
    for place, name in enumerate(("layers", "chains", "longest step")):
        tested(1, f"{name}: conductivity, compounds alike", layers[:, place], target, control)
        tested(1, f"{name}: conductivity, all compounds", layers[:, place], target, none)
    if control.shape[1] >= len(FAMILIES):
        family = control[:, -len(FAMILIES) :].argmax(axis=1)
        for number, name in enumerate(FAMILY_NAMES):
            mine = family == number
            if mine.sum() >= _FEWEST:
                tested(1, f"layers: conductivity, {name} alike", layers[mine, 0], target[mine], control[mine])
    every = list(dict.fromkeys(columns()[1]))
    shapes = [name for name in every if name != COMPOSITION]
    lithium = [label("ion", degree) for degree in DEGREES]
    models = {"curves and composition": every, "curves alone": shapes}
    differences = []
    for name, chosen in models.items():
        whole = unseen(rows, chosen, seed, step=step)
        for each in lithium[1:]:
            given = by_composition(whole.sums[:, whole.names.index(each)], groups)
            tested(2, f"layers: contribution of {each}, {name}", layers[:, 0], given, none)
        less = unseen(rows, [each for each in chosen if each not in lithium], seed, step=step)
        differences.append(_difference(f"{name}, without lithium's curves", rows, less.value, whole.value, seed))
    holes = by_composition(amounts(rows, lithium), groups)
    for place, each in enumerate(lithium):
        tested(3, f"number of {each}: conductivity, compounds alike", holes[:, place], target, control)
    return findings, differences


def _difference(
    what: str, rows: Measured, without: NDArray[np.float64], with_: NDArray[np.float64], seed: int
) -> Difference:
    one, other = np.abs(without - rows.target), np.abs(with_ - rows.target)
    number = np.unique(np.asarray(rows.groups), return_inverse=True)[1].ravel()
    count = int(number.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1.0 / count), size=2000)[:, number]
    low, high = np.quantile(drawn @ (one - other) / drawn.sum(axis=1), (0.025, 0.975))
    return Difference(what, float(one.mean()), float(other.mean()), float(low), float(high))
