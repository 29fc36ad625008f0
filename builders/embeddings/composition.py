"""Composition statistics: 290 numbers that say what a material is made of.

For each of the 58 element features of :func:`builders.embeddings.elements.element_table`, five statistics over the
elements of a composition. With atomic fractions ``w_i`` and feature values ``x_i``:

=====  ==========================  =======================================================
``ave``  weighted average          m = sum_i w_i x_i
``sum``  weighted sum              m times the number of atoms in the formula
``var``  weighted variance         sum_i w_i (x_i - m)^2
``max``  largest value             max_i x_i
``min``  smallest value            min_i x_i
=====  ==========================  =======================================================

The columns stand statistic by statistic (58 averages, 58 sums, ...), in the order of the table above; see
:func:`feature_names`. Definitions: XenonPy's ``Compositions``; "sum" follows the descriptor of CSPML's 2024 code, where
it is the average times the number of atoms in the formula (the same number, since fractions are amounts over their
total). So all but "sum" depend on the fractions alone, and "sum" depends on what is taken as one formula unit:
:func:`embed` takes the smallest integral one (Li2O, not Li4O2).

The embedding is these statistics, z-scored by a fixed scaler that ships with the package (its card:
``data/composition_scaler.json``; it is made by :mod:`builders.embeddings.fit_scaler`).

Sources: Kusaba, Liu, Yoshida, Comput. Mater. Sci. 211, 111496 (2022), https://doi.org/10.1016/j.commatsci.2022.111496
(CSPML); Liu et al., npj Comput. Mater. (2024), https://doi.org/10.1038/s41524-024-01471-8 (ShotgunCSP).
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import numpy as np

from builders.embeddings.elements import ISOTOPES, N_FEATURES, element_table
from store.errors import FeatureError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

MODEL: Final = "composition-statistics"
"""Name under which the vectors stand in the collection ``embeddings``."""

VERSION: Final = 1
"""Raised by hand when the same composition gets another vector."""

STATISTICS: Final = ("ave", "sum", "var", "max", "min")
DIMENSION: Final = len(STATISTICS) * N_FEATURES

_LARGEST_AMOUNT: Final = 1e9
_INTEGRAL: Final = 1e-6
_CHUNK: Final = 2048  # rows at a time: the working arrays stay in the processor's cache


@dataclass(frozen=True, eq=False)
class Scaler:
    """Mean and standard deviation of each statistic over a stated set of materials.

    Attributes
    ----------
    mean, std : numpy.ndarray
        shape=(290,), float64; ``std`` with one degree of freedom taken off, and 1 where a statistic does not vary.
    table_sha256 : str
        The element table it was made with.
    sha256 : str
        Hash of mean, std and ``table_sha256``.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    table_sha256: str
    sha256: str


@dataclass(frozen=True)
class _Flat:
    """Compositions as one list of (row, element, amount), sorted by row and element."""

    element: NDArray[np.int64]  # shape=(n_entries,), rows of the element table
    amount: NDArray[np.float64]  # shape=(n_entries,)
    length: NDArray[np.int64]  # shape=(n_compositions,), elements of each composition
    start: NDArray[np.int64]  # shape=(n_compositions,), where each begins


def feature_names() -> tuple[str, ...]:
    """Names of the 290 columns, as XenonPy writes them.

    Examples
    --------
    >>> names = feature_names()
    >>> len(names), names[0], names[58], names[289]
    (290, 'ave:atomic_number', 'sum:atomic_number', 'min:Polarizability')
    """
    return tuple(f"{statistic}:{name}" for statistic in STATISTICS for name in element_table().names)


def composition_statistics(compositions: Sequence[Mapping[str, float]]) -> NDArray[np.float64]:
    """Compute the 290 statistics of each composition, amounts as given.

    Parameters
    ----------
    compositions : sequence of mappings
        ``{element symbol: amount in the formula}``; amounts positive and finite, zeros are left out. D and T count as H.

    Returns
    -------
    numpy.ndarray
        shape=(n, 290), float64, C order; columns as :func:`feature_names`, each in the unit of its element feature
        (variances: its square). A row does not depend on the other rows nor on the order of its elements, bit by bit.

    Raises
    ------
    FeatureError
        An element outside the table (H to Pu), an amount that is negative or not finite, an empty composition.

    Examples
    --------
    >>> row = composition_statistics([{"Fe": 2, "O": 3}])[0]
    >>> dict(zip(feature_names(), row.round(3).tolist()))["ave:atomic_number"]  # (2*26 + 3*8) / 5
    15.2
    """
    return _statistics(_flatten(compositions))


def embed(compositions: Sequence[Mapping[str, float]]) -> NDArray[np.float32]:
    """Embed compositions: z-scored statistics of one formula unit.

    Integral amounts are divided by their greatest common divisor first, so that Li4O2 is Li2O; amounts of a disordered
    formula (Li0.5CoO2) are taken as given.

    Parameters
    ----------
    compositions : sequence of mappings
        ``{element symbol: amount}``, as in :func:`composition_statistics`.

    Returns
    -------
    numpy.ndarray
        shape=(n, 290), float32, C order, no unit. Equal compositions get equal rows, bit by bit.

    Raises
    ------
    FeatureError
        As :func:`composition_statistics`, and when the scaler was made with another element table.

    Examples
    --------
    >>> one, two = embed([{"Li": 2, "O": 1}, {"O": 2, "Li": 4}])
    >>> one.shape, bool((one == two).all())
    ((290,), True)
    """
    scaler = load_scaler()
    statistics = _statistics(_one_formula_unit(_flatten(compositions)))
    statistics -= scaler.mean
    statistics /= scaler.std
    return statistics.astype(np.float32)


@lru_cache(maxsize=1)
def load_scaler() -> Scaler:
    """Read the shipped scaler, once a process.

    Raises
    ------
    FeatureError
        The file is damaged, or was made with another element table than the one installed.

    Examples
    --------
    >>> scaler = load_scaler()
    >>> scaler.mean.shape, bool((scaler.std > 0).all())
    ((290,), True)
    """
    try:
        content = files("builders.embeddings").joinpath("data", "composition_scaler.npz").read_bytes()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            mean, std = (_numbers_at_end(archive.read(f"{name}.npy")) for name in ("mean", "std"))
            table = archive.read("table_sha256.npy")[-4 * 64 :].decode("utf-32-le")
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise FeatureError(f"The scaler of {MODEL} cannot be read: {error}.", mend="install ionatlas again") from error
    if table != element_table().sha256:
        raise FeatureError(
            f"The scaler of {MODEL} belongs to another element table ({table[:12]}) than the installed one "
            f"({element_table().sha256[:12]}); vectors made so would not compare with stored ones.",
            mend="pip install 'elementembeddings==0.8.0'",
        )
    return Scaler(mean, std, table, scaler_hash(mean, std, table))


def _numbers_at_end(content: bytes) -> NDArray[np.float64]:
    # Not numpy.load: it parses headers as Python source, and in Python 3.11 that fails now and then when several threads do
    # so (SystemError, see gh-106905). The array is what stands at the end.
    return np.frombuffer(content[-8 * DIMENSION :], dtype="<f8", count=DIMENSION)


def scaler_hash(mean: NDArray[np.float64], std: NDArray[np.float64], table_sha256: str) -> str:
    """Hash a scaler by its numbers (sha256 of mean, std as little-endian float64, and the table's hash)."""
    digest = hashlib.sha256(mean.astype("<f8").tobytes() + std.astype("<f8").tobytes())
    digest.update(table_sha256.encode())
    return digest.hexdigest()


def model_identity() -> str:
    """Identity of the model, for stamps and manifests: name, version, and the hash of scaler and element table.

    Examples
    --------
    >>> model_identity().startswith("composition-statistics/1/")
    True
    """
    return f"{MODEL}/{VERSION}/{load_scaler().sha256[:16]}"


def _flatten(compositions: Sequence[Mapping[str, float]]) -> _Flat:
    row_of = element_table().row
    element: list[int] = []
    amount: list[float] = []
    length: list[int] = []
    for composition in compositions:
        before = len(element)
        try:
            for symbol, value in _without_isotopes(composition).items():
                if value == 0:
                    continue
                element.append(row_of[symbol])
                amount.append(value)
        except KeyError as error:
            raise _unknown_element(error.args[0], composition) from None
        if len(element) == before:
            raise FeatureError(f"The composition {dict(composition)!r} holds no atoms; at least one is needed.")
        length.append(len(element) - before)
    lengths = np.array(length, dtype=np.int64)
    elements = np.array(element, dtype=np.int64)
    amounts = _numbers(amount)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    _check_amounts(amounts, rows, compositions)
    # One order of elements for one composition: floating-point sums then agree bit by bit.
    order = np.lexsort((elements, rows))
    return _Flat(elements[order], amounts[order], lengths, np.cumsum(lengths) - lengths)


def _without_isotopes(composition: Mapping[str, float]) -> Mapping[str, float]:
    if ISOTOPES.isdisjoint(composition):
        return composition
    merged: dict[str, float] = {}
    for symbol, value in composition.items():
        name = "H" if symbol in ISOTOPES else symbol
        merged[name] = merged.get(name, 0.0) + value
    return merged


def _unknown_element(symbol: str, composition: Mapping[str, float]) -> FeatureError:
    table = element_table()
    return FeatureError(
        f"There are no features for {symbol!r} in the composition {dict(composition)!r}: the table holds the "
        f"{len(table.symbols)} elements from {table.symbols[0]} to {table.symbols[-1]}."
    )


def _numbers(amount: list[float]) -> NDArray[np.float64]:
    # NumPy would read None as NaN and a string of digits as a number.
    kinds = set(map(type, amount)) - {int, float}
    if any(not issubclass(kind, int | float | np.number) for kind in kinds):
        wrong = next(value for value in amount if not isinstance(value, int | float | np.number))
        raise FeatureError(f"The amount of an element should be a number; it was {wrong!r}.")
    return np.array(amount, dtype=np.float64)


def _check_amounts(
    amounts: NDArray[np.float64], rows: NDArray[np.int64], compositions: Sequence[Mapping[str, float]]
) -> None:
    bad = np.flatnonzero(~((amounts > 0) & (amounts <= _LARGEST_AMOUNT)))
    if len(bad):
        composition = dict(compositions[int(rows[bad[0]])])
        raise FeatureError(
            f"The composition {composition!r} has the amount {amounts[bad[0]]}; amounts lie between 0 and {_LARGEST_AMOUNT:g}."
        )


def _one_formula_unit(flat: _Flat) -> _Flat:
    if not len(flat.length):
        return flat
    rounded = np.rint(flat.amount)
    integral = np.logical_and.reduceat((np.abs(flat.amount - rounded) < _INTEGRAL) & (rounded > 0), flat.start)
    divisor = np.gcd.reduceat(np.maximum(rounded, 1).astype(np.int64), flat.start)
    amount = np.where(np.repeat(integral, flat.length), rounded / np.repeat(divisor, flat.length), flat.amount)
    return _Flat(flat.element, amount, flat.length, flat.start)


def _statistics(flat: _Flat) -> NDArray[np.float64]:
    features = element_table().values
    result = np.empty((len(flat.length), DIMENSION))
    # Compositions of equally many elements form dense blocks. Plain loops over the few elements of a composition, and no
    # matrix product: a row is then the same whatever stands beside it, and the variance of one element is exactly 0.
    for count in np.unique(flat.length):
        rows = np.flatnonzero(flat.length == count)
        for begin in range(0, len(rows), _CHUNK):
            part = rows[begin : begin + _CHUNK]
            places = flat.start[part, None] + np.arange(count)
            result[part] = _block(features, flat.element[places], flat.amount[places])
    return result


def _block(
    features: NDArray[np.float64], element: NDArray[np.int64], amount: NDArray[np.float64]
) -> NDArray[np.float64]:
    count = element.shape[1]
    atoms = amount[:, 0].copy()
    for place in range(1, count):
        atoms += amount[:, place]
    columns = [features[element[:, place]] for place in range(count)]
    fractions = [(amount[:, place] / atoms)[:, None] for place in range(count)]
    block = np.empty((len(element), len(STATISTICS), N_FEATURES))
    average, total, variance, largest, smallest = (block[:, place] for place in range(len(STATISTICS)))
    average[:] = 0.0
    variance[:] = 0.0
    largest[:] = columns[0]
    smallest[:] = columns[0]
    for column, fraction in zip(columns, fractions, strict=True):
        average += fraction * column
        np.maximum(largest, column, out=largest)
        np.minimum(smallest, column, out=smallest)
    for column, fraction in zip(columns, fractions, strict=True):
        variance += fraction * (column - average) ** 2
    np.multiply(average, atoms[:, None], out=total)
    return block.reshape(len(element), DIMENSION)
