"""What the networks read of a composition: its elements, their amounts in one formula unit, and the 290 statistics."""

from __future__ import annotations

import csv
import hashlib
import math
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from builders.embeddings.composition import composition_statistics
from builders.embeddings.elements import ISOTOPES, N_ELEMENTS, element_table
from store.errors import FeatureError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

NOTHING: Final = N_ELEMENTS
"""Row of the element vectors that stands for no element."""

AMOUNT_FEATURES: Final = 6

_TABLES: Final = {"mat2vec.csv": 24, "skipatom_20201009_induced.csv": 24}
_INTEGRAL: Final = 1e-6
_LARGEST_UNIT: Final = 1e6


class Sets(NamedTuple):
    """Compositions as sets of elements.

    Attributes
    ----------
    elements : numpy.ndarray
        shape=(n, k), int64; rows of the element table, filled up with :data:`NOTHING`.
    amounts : numpy.ndarray
        shape=(n, k), float32; features of the amount of each element, see :func:`read_sets`; shape=(n, k, 6).
    fractions : numpy.ndarray
        shape=(n, k), float32; atomic fractions, 0 where nothing is.
    statistics : numpy.ndarray
        shape=(n, 290), float32.
    """

    elements: NDArray[np.int64]
    amounts: NDArray[np.float32]
    fractions: NDArray[np.float32]
    statistics: NDArray[np.float32]

    def at(self, rows: NDArray[np.int64]) -> Sets:
        """Some of the rows, without the columns that are empty in all of them."""
        elements = self.elements[rows]
        width = int((elements != NOTHING).sum(axis=1).max(initial=1))
        return Sets(
            elements[:, :width], self.amounts[rows, :width], self.fractions[rows, :width], self.statistics[rows]
        )


class Scale(NamedTuple):
    """Mean and standard deviation of the statistics, shape=(290,) each."""

    mean: NDArray[np.float64]
    std: NDArray[np.float64]


def one_unit(composition: Mapping[str, float]) -> dict[str, float]:
    """Bring a composition to one formula unit; deuterium and tritium count as hydrogen, zeros are left out.

    Examples
    --------
    >>> one_unit({"Li": 4, "O": 2}), one_unit({"Li": 0.5, "Co": 1, "O": 2})
    ({'Li': 2, 'O': 1}, {'Li': 0.5, 'Co': 1, 'O': 2})
    """
    found: dict[str, float] = {}
    for symbol, amount in composition.items():
        if amount != 0:
            name = "H" if symbol in ISOTOPES else symbol
            found[name] = found.get(name, 0) + amount
    whole = [round(amount) for amount in found.values() if 0 < amount < _LARGEST_UNIT]
    if len(whole) < len(found) or any(
        number == 0 or abs(amount - number) > _INTEGRAL for amount, number in zip(found.values(), whole, strict=True)
    ):
        return found
    divisor = math.gcd(*whole)
    return {symbol: number // divisor for symbol, number in zip(found, whole, strict=True)}


def ratio_of(composition: Mapping[str, float]) -> str:
    """Name the ratio of a composition: ascending amounts of one formula unit.

    Examples
    --------
    >>> ratio_of({"Li": 2, "Ni": 2, "P": 2, "O": 8})
    '1:1:1:4'
    """
    return ":".join(f"{amount:g}" for amount in sorted(one_unit(composition).values()))


def formula_key(composition: Mapping[str, float]) -> str:
    """Write a composition so that equal ones are equal: symbols ascending, amounts of one formula unit.

    Examples
    --------
    >>> formula_key({"O": 2, "Li": 4})
    'Li2O1'
    """
    return "".join(f"{symbol}{amount:g}" for symbol, amount in sorted(one_unit(composition).items()))


def bucket(key: str, seed: int, count: int) -> int:
    """Draw a number below ``count`` from a formula (:func:`formula_key`) and a seed, the same for ever.

    Examples
    --------
    >>> bucket("Li2O1", 0, 100)
    57
    """
    return int(hashlib.sha256(f"{key}:{seed}".encode()).hexdigest(), 16) % count


def read_statistics(compositions: Sequence[Mapping[str, float]]) -> NDArray[np.float64]:
    """Compute the 290 statistics of one formula unit of each composition, shape=(n, 290)."""
    return composition_statistics([one_unit(composition) for composition in compositions])


def scale_of(statistics: NDArray[np.float64]) -> Scale:
    """Mean and standard deviation (ddof=1; 1 where nothing varies).

    Examples
    --------
    >>> scale_of(np.array([[1.0, 5.0], [3.0, 5.0]])).std.round(3).tolist()
    [1.414, 1.0]
    """
    std = statistics.std(axis=0, ddof=1)
    constant = std <= 1e-12 * np.abs(statistics).max(axis=0)
    return Scale(statistics.mean(axis=0), np.where(constant, 1.0, std))


def read_sets(compositions: Sequence[Mapping[str, float]], scale: Scale) -> Sets:
    """Read compositions.

    The features of an amount: atomic fraction and its root, logarithms of the amount in the formula unit, of the largest one and
    of the number of atoms (halved), and a quarter of the number of elements.

    Raises
    ------
    FeatureError
        As :func:`builders.embeddings.composition.composition_statistics`.

    Examples
    --------
    >>> scale = Scale(np.zeros(290), np.ones(290))
    >>> sets = read_sets([{"Li": 2, "O": 1}, {"Cu": 4}], scale)
    >>> sets.elements.tolist(), sets.fractions[1].tolist()
    ([[2, 7], [28, 94]], [1.0, 0.0])
    """
    units = [one_unit(composition) for composition in compositions]
    statistics = ((composition_statistics(units) - scale.mean) / scale.std).astype(np.float32)
    width = max((len(unit) for unit in units), default=1)
    elements = np.full((len(units), width), NOTHING, dtype=np.int64)
    amount = np.zeros((len(units), width), dtype=np.float32)
    row_of = element_table().row
    for row, unit in enumerate(units):
        # In the order of atomic numbers: equal compositions give equal rows.
        pairs = sorted((row_of[symbol], value) for symbol, value in unit.items())
        elements[row, : len(pairs)] = [number for number, _ in pairs]
        amount[row, : len(pairs)] = [value for _, value in pairs]
    there = (elements != NOTHING).astype(np.float32)
    total = amount.sum(axis=1, keepdims=True)
    fractions = amount / np.maximum(total, 1e-30)
    logs = np.log(np.maximum(amount, 1e-3), where=there > 0, out=np.zeros_like(amount))
    largest = np.where(there > 0, logs, -np.inf).max(axis=1, keepdims=True, initial=-10.0)
    features = np.stack(
        [
            fractions,
            np.sqrt(fractions),
            logs,
            there * largest,
            there * there.sum(axis=1, keepdims=True) / 4,
            there * np.log1p(total) / 2,
        ],
        axis=2,
    )
    return Sets(elements, features.astype(np.float32), fractions, statistics)


def element_vectors() -> NDArray[np.float32]:
    """Gather what is published of the elements: only training reads it, the weights carry it on.

    The 58 XenonPy features, standardised; word vectors of abstracts (mat2vec: Tshitoyan et al., Nature 571, 95, 2019) and of
    neighbours in crystals (SkipAtom: Antunes et al., npj Comput. Mater. 8, 44, 2022), 24 principal components each. No
    energy of an interatomic potential is in them.

    Returns
    -------
    numpy.ndarray
        shape=(95, 106), float32; the last row (no element) is 0.
    """
    table = element_table()
    std = table.values.std(axis=0)
    parts = [(table.values - table.values.mean(axis=0)) / np.where(std > 0, std, 1.0)]
    parts += [_components(_read_table(name, table.symbols), count) for name, count in _TABLES.items()]
    found = np.concatenate(parts, axis=1)
    return np.concatenate([found, np.zeros((1, found.shape[1]))]).astype(np.float32)


def _read_table(name: str, symbols: tuple[str, ...]) -> NDArray[np.float64]:
    spec = find_spec("elementembeddings")
    folders = list(spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        path = Path(folder, "data", "element_representations", name)
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                rows = {row[0]: [float(cell or 0) for cell in row[1:]] for row in list(csv.reader(file))[1:]}
            width = len(next(iter(rows.values())))
            return np.array([rows.get(symbol, [0.0] * width) for symbol in symbols])
    raise FeatureError(
        f"The element table {name} of the package elementembeddings is absent.",
        mend="pip install --force-reinstall 'elementembeddings>=0.8,<0.9'",
    )


def _components(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    std = values.std(axis=0)
    scaled = (values - values.mean(axis=0)) / np.where(std > 1e-9, std, 1.0)
    left, size, right = np.linalg.svd(scaled, full_matrices=False)
    # A component's sign is arbitrary; this choice does not depend on the library.
    sign = np.sign(right[np.arange(count), np.abs(right[:count]).argmax(axis=1)])
    return np.asarray(left[:, :count] * sign * np.sqrt(len(values) * size[:count] / size[0]))
