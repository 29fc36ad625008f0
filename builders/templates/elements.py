"""How unlike two elements are: published scales and feature tables as matrices of distances.

======================  =============================================================================================
``xenonpy``             standardised Euclidean distance of the 58 XenonPy features (CSPML's element dissimilarity)
``periodic``            difference of periodic numbers: elements counted down the groups, group by group
``pettifor``            difference on Pettifor's chemical scale (Solid State Commun. 51, 31, 1984)
``modified_pettifor``   difference on the scale of Glawe et al. (New J. Phys. 18, 093011, 2016), found from the ICSD
``mat2vec``             cosine distance of word vectors of abstracts (Tshitoyan et al., Nature 571, 95, 2019)
``substitution``        learned: which elements take each other's place (:mod:`builders.templates.substitution`)
======================  =============================================================================================

Each published one is divided by its mean over all pairs of different elements, so that 1 means "as unlike as two random
elements"; the learned one is in units of a log-likelihood. None of them saw an energy of an interatomic potential.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from builders.embeddings.elements import N_ELEMENTS, element_table
from store.errors import FeatureError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

PUBLISHED: Final = ("xenonpy", "periodic", "pettifor", "modified_pettifor", "mat2vec")
"""Metrics made of published tables."""
METRICS: Final = (*PUBLISHED, "substitution")
"""Names of all metrics, in the order of :attr:`ElementDistances.values`."""

SIZE: Final = N_ELEMENTS + 1
"""Matrices are indexed by atomic number; row and column 0 stand for no element."""


@dataclass(frozen=True, eq=False)
class ElementDistances:
    """Element distances under several metrics.

    Attributes
    ----------
    names : tuple of str
        shape=(metrics,).
    values : numpy.ndarray
        shape=(metrics, 95, 95), float32, symmetric, zero diagonals; indexed by atomic numbers, read-only. Row 0: NaN.
    """

    names: tuple[str, ...]
    values: NDArray[np.float32]

    def of(self, name: str) -> NDArray[np.float32]:
        """One metric, shape=(95, 95)."""
        matrix: NDArray[np.float32] = self.values[self.names.index(name)]
        return matrix

    def combined(self, weights: dict[str, float]) -> NDArray[np.float32]:
        """Weighted sum of metrics, shape=(95, 95)."""
        total = np.zeros((SIZE, SIZE), np.float32)
        for name, weight in weights.items():
            total += np.float32(weight) * self.of(name)
        return total


@lru_cache(maxsize=1)
def element_distances() -> ElementDistances:
    """All metrics, computed once a process (about 20 ms).

    Raises
    ------
    FeatureError
        A table of the package elementembeddings is absent.

    Examples
    --------
    >>> from builders.embeddings.elements import element_table
    >>> row = element_table().row
    >>> matrix = element_distances().of("xenonpy")
    >>> bool(matrix[row["Na"] + 1, row["K"] + 1] < matrix[row["Na"] + 1, row["Cl"] + 1])
    True
    """
    from builders.templates.substitution import substitution_distance

    published = published_distances()
    values = np.concatenate([published.values, substitution_distance()[None]])
    values.flags.writeable = False
    return ElementDistances(METRICS, values)


@lru_cache(maxsize=1)
def published_distances() -> ElementDistances:
    """The metrics that are no work of this project: the prior of the learned one.

    Raises
    ------
    FeatureError
        A table of the package elementembeddings is absent.
    """
    makers: dict[str, Callable[[], NDArray[np.float64]]] = {
        "xenonpy": _xenonpy,
        "periodic": lambda: _scale(_periodic_numbers()),
        "pettifor": lambda: _scale(_pettifor()),
        "modified_pettifor": lambda: _scale(_modified_pettifor()),
        "mat2vec": _mat2vec,
    }
    values = np.full((len(PUBLISHED), SIZE, SIZE), np.nan, np.float32)
    above = np.triu_indices(N_ELEMENTS, 1)
    for place, name in enumerate(PUBLISHED):
        matrix = makers[name]()
        values[place, 1:, 1:] = matrix / matrix[above].mean()
    values.flags.writeable = False
    return ElementDistances(PUBLISHED, values)


def _xenonpy() -> NDArray[np.float64]:
    features = element_table().values
    scaled = features / features.std(axis=0, ddof=1)
    return _euclidean(scaled)


def _euclidean(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    distance: NDArray[np.float64] = np.sqrt(((rows[:, None, :] - rows[None, :, :]) ** 2).sum(axis=2))
    return distance


def _scale(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.abs(numbers[:, None] - numbers[None, :])


def _periodic_numbers() -> NDArray[np.float64]:
    """Count the elements down each group, groups 1 to 18; lanthanides and actinides belong to group 3."""
    from pymatgen.core.periodic_table import Element

    def place(symbol: str) -> tuple[int, int, int]:
        element = Element(symbol)
        rare_earth = element.is_lanthanoid or element.is_actinoid
        return (3 if rare_earth else element.group, element.row, element.Z)

    symbols = element_table().symbols
    order = sorted(symbols, key=place)
    return np.array([order.index(symbol) for symbol in symbols], dtype=np.float64)


def _pettifor() -> NDArray[np.float64]:
    from pymatgen.core.periodic_table import Element

    return np.array([float(Element(symbol).mendeleev_no) for symbol in element_table().symbols])


def _modified_pettifor() -> NDArray[np.float64]:
    scale: dict[str, Any] = json.loads(_file("mod_petti.json").read_text(encoding="utf-8"))
    return np.array([float(scale[symbol]) for symbol in element_table().symbols])


def _mat2vec() -> NDArray[np.float64]:
    with _file("mat2vec.csv").open(newline="", encoding="utf-8") as file:
        _, *lines = list(csv.reader(file))
    table = {line[0]: [float(cell) for cell in line[1:]] for line in lines}
    rows = np.array([table[symbol] for symbol in element_table().symbols])
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    distance: NDArray[np.float64] = np.clip(1.0 - unit @ unit.T, 0.0, None)
    np.fill_diagonal(distance, 0.0)
    return distance


def _file(name: str) -> Path:
    spec = find_spec("elementembeddings")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "data" / "element_representations" / name
        if path.is_file():
            return path
    raise FeatureError(
        f"The table {name} of the package elementembeddings is absent.",
        mend="pip install --force-reinstall 'elementembeddings>=0.8,<0.9'",
    )
