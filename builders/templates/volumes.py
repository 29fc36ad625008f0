"""The volume that a composition takes in an arrangement: the template's volume, times what the exchange of elements does to it.

Two models of one form. The logarithm of the volume per atom changes with the composition as ::

    g = sum over elements e of  x_e (a[e] + b[c, e]),

with atomic fractions x_e and the class c of the composition's main anion (a cation is larger in a fluoride than in an alloy).
The *exchange* model is fitted to pairs of crystals of one arrangement: ``log V(query) = log V(template) + g(query) -
g(template)``. The *absolute* model is fitted to all crystals, and is used where no template says a volume.

Coefficients and their card are in ``data/volumes.npz`` and ``data/volumes.json``; :func:`fit` makes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from builders.templates.elements import SIZE
from builders.templates.weights import read_arrays

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FILE: Final = "volumes.npz"

ANIONS: Final[tuple[tuple[str, tuple[int, ...]], ...]] = (
    ("fluorine", (9,)),
    ("oxygen", (8,)),
    ("nitrogen", (7,)),
    ("heavy halogen", (17, 35, 53)),
    ("chalcogen", (16, 34, 52)),
    ("hydrogen", (1,)),
    ("carbon or pnictogen", (6, 15, 33)),
)
"""Classes of main anions, most electronegative first; what holds none of them belongs to a last class."""
N_CLASSES: Final = len(ANIONS) + 1
LEAST_SHARE: Final = 0.15
"""Atomic fraction from which on a class of anions counts."""

_COLUMNS: Final = SIZE * (1 + N_CLASSES)


@dataclass(frozen=True, eq=False)
class VolumeModel:
    """Coefficients.

    Attributes
    ----------
    exchange, absolute : numpy.ndarray
        shape=(1 + classes, 95), float64: row 0 is a, the others b; columns are atomic numbers.
    offset : float
        Of the absolute model: mean of log(Å^3/atom).
    """

    exchange: NDArray[np.float64]
    absolute: NDArray[np.float64]
    offset: float


@lru_cache(maxsize=1)
def load_volume_model() -> VolumeModel:
    """Read the shipped coefficients, once a process.

    Raises
    ------
    FeatureError
        The file is damaged.
    """
    arrays = read_arrays(FILE, {"exchange": (1 + N_CLASSES, SIZE), "absolute": (1 + N_CLASSES, SIZE), "offset": ()})
    return VolumeModel(arrays["exchange"], arrays["absolute"], float(arrays["offset"]))


def exchange_volumes(
    numbers: Sequence[int],
    amounts: Sequence[int],
    replaced: NDArray[np.integer],
    volumes: NDArray[np.floating],
    model: VolumeModel | None = None,
) -> NDArray[np.float64]:
    """Volume per atom of a query in each of several templates.

    Parameters
    ----------
    numbers, amounts : sequence of int
        shape=(k,), atomic numbers and amounts of the query.
    replaced : numpy.ndarray
        shape=(m, k), atomic numbers of the template's species, in the order of the query's.
    volumes : numpy.ndarray
        shape=(m,), Å^3/atom, of the templates.
    model : VolumeModel, optional
        The shipped one by default.

    Returns
    -------
    numpy.ndarray
        shape=(m,), Å^3/atom.

    Examples
    --------
    >>> found = exchange_volumes([11, 17], [1, 1], np.array([[19, 17], [11, 17]]), np.array([31.0, 22.0]))
    >>> bool(found[0] < 31.0), round(float(found[1]), 6)
    (True, 22.0)
    """
    table = (model or load_volume_model()).exchange
    asked = log_sizes(np.asarray(numbers)[None, :], amounts, table)
    return np.asarray(volumes, np.float64) * np.exp(asked - log_sizes(replaced, amounts, table))


def composition_volume(numbers: Sequence[int], amounts: Sequence[int], model: VolumeModel | None = None) -> float:
    """Volume per atom of a composition, whatever its arrangement, Å^3/atom.

    Examples
    --------
    >>> composition_volume([11, 17], [1, 1]) > composition_volume([3, 9], [1, 1])
    True
    """
    known = model or load_volume_model()
    return float(np.exp(known.offset + log_sizes(np.asarray(numbers)[None, :], amounts, known.absolute)[0]))


def mean_volume(volumes: NDArray[np.float64], costs: NDArray[np.floating], temperature: float = 1.0) -> float:
    """Mean of the volumes that templates of one arrangement foretell, the nearest templates weighing most.

    Parameters
    ----------
    volumes : numpy.ndarray
        shape=(m,), Å^3/atom.
    costs : numpy.ndarray
        shape=(m,), cost of each mapping.
    temperature : float
        Weights are ``exp(-cost / temperature)``; the mean is that of logarithms.

    Examples
    --------
    >>> round(mean_volume(np.array([10.0, 1000.0]), np.array([0.0, 50.0])), 6)
    10.0
    """
    weight = np.exp(-(np.asarray(costs, np.float64) - np.min(costs)) / temperature)
    return float(np.exp((weight * np.log(volumes)).sum() / weight.sum()))


def log_sizes(numbers: NDArray[np.integer], amounts: Sequence[int], table: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum g of each composition.

    Parameters
    ----------
    numbers : numpy.ndarray
        shape=(m, k), atomic numbers.
    amounts : sequence of int
        shape=(k,).
    table : numpy.ndarray
        shape=(1 + classes, 95).

    Returns
    -------
    numpy.ndarray
        shape=(m,).
    """
    rows = np.asarray(numbers, np.int64)
    share = np.asarray(amounts, np.float64) / np.sum(amounts)
    kind = anion_classes(rows, amounts)
    size: NDArray[np.float64] = ((table[0][rows] + table[1 + kind[:, None], rows]) * share).sum(axis=1)
    return size


def anion_classes(numbers: NDArray[np.integer], amounts: Sequence[int]) -> NDArray[np.int64]:
    """Class of the main anion of each composition, shape=(m,); the last class holds those without one.

    Examples
    --------
    >>> anion_classes(np.array([[11, 17], [26, 8], [29, 30]]), [1, 1]).tolist()
    [3, 1, 7]
    """
    rows = np.asarray(numbers, np.int64)
    share = np.asarray(amounts, np.float64) / np.sum(amounts)
    kind = np.full(len(rows), N_CLASSES - 1, np.int64)
    for place in range(len(ANIONS) - 1, -1, -1):
        there = (np.isin(rows, ANIONS[place][1]) * share).sum(axis=1) >= LEAST_SHARE
        kind[there] = place
    return kind


@dataclass(frozen=True, eq=False)
class VolumePair:
    """Crystals of one arrangement: a query and the templates that have it.

    Attributes
    ----------
    numbers, amounts : numpy.ndarray
        shape=(k,), of the query.
    volume : float
        Å^3/atom.
    replaced : numpy.ndarray
        shape=(m, k), in the order of the query's species.
    volumes, costs : numpy.ndarray
        shape=(m,).
    """

    numbers: NDArray[np.int64]
    amounts: NDArray[np.int64]
    volume: float
    replaced: NDArray[np.int64]
    volumes: NDArray[np.float64]
    costs: NDArray[np.float64]


def fit(
    pairs: Sequence[VolumePair],
    compositions: Sequence[tuple[NDArray[np.int64], NDArray[np.int64], float]],
    shrink: tuple[float, float] = (0.01, 0.03),
) -> VolumeModel:
    """Fit both models by ridge regression.

    Parameters
    ----------
    pairs : sequence of VolumePair
    compositions : sequence of (numbers, amounts, volume per atom)
        One a formula.
    shrink : tuple of float
        Ridge penalties of a and b.

    Returns
    -------
    VolumeModel
    """
    rows, target, weight = [], [], []
    for pair in pairs:
        for replaced, volume, cost in zip(pair.replaced, pair.volumes, pair.costs, strict=True):
            change = float(np.log(pair.volume / volume))
            if abs(change) < _LARGEST_CHANGE:
                rows.append(_row(pair.numbers, pair.amounts, 1.0) + _row(replaced, pair.amounts, -1.0))
                target.append(change)
                weight.append(np.exp(-_FADING * cost) / len(pair.volumes))
    exchange = _ridge(rows, np.array(target), np.array(weight), shrink)
    usual = [each for each in compositions if _LEAST_VOLUME < each[2] < _LARGEST_VOLUME]
    logs = np.log([each[2] for each in usual])
    offset = float(logs.mean())
    absolute = _ridge([_row(each[0], each[1], 1.0) for each in usual], logs - offset, np.ones(len(usual)), shrink)
    return VolumeModel(exchange, absolute, offset)


_FADING: Final = 0.1  # distant exchanges weigh less, in units of the cost
_LARGEST_CHANGE: Final = 0.7
_LEAST_VOLUME, _LARGEST_VOLUME = 2.0, 60.0  # Å^3/atom: outside lie layers and molecules far apart

_Terms = list[tuple[int, float]]


def _row(numbers: NDArray[np.int64], amounts: NDArray[np.int64], sign: float) -> _Terms:
    share = np.asarray(amounts, np.float64) / np.sum(amounts)
    kind = int(anion_classes(np.asarray(numbers)[None, :], list(amounts))[0])
    terms: _Terms = []
    for number, part in zip(np.asarray(numbers).tolist(), share.tolist(), strict=True):
        terms += [(number, sign * part), (SIZE * (1 + kind) + number, sign * part)]
    return terms


def _ridge(
    rows: list[_Terms], target: NDArray[np.float64], weight: NDArray[np.float64], shrink: tuple[float, float]
) -> NDArray[np.float64]:
    from scipy import sparse
    from scipy.sparse.linalg import lsqr

    entries = [(row, column, value) for row, terms in enumerate(rows) for column, value in terms]
    row, column, value = (np.array(part) for part in zip(*entries, strict=True))
    design = sparse.csr_matrix((value, (row, column)), shape=(len(rows), _COLUMNS))
    root = np.sqrt(weight)
    penalty = np.sqrt(np.concatenate([np.full(SIZE, shrink[0]), np.full(_COLUMNS - SIZE, shrink[1])]))
    stacked = sparse.vstack([sparse.diags(root) @ design, sparse.diags(penalty)])
    solution = lsqr(stacked, np.concatenate([root * target, np.zeros(_COLUMNS)]), iter_lim=3000)[0]
    found: NDArray[np.float64] = solution.reshape(1 + N_CLASSES, SIZE)
    return found
