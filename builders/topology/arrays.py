"""Diagrams as plain arrays and back: what a document packs, a few kB a crystal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from builders.topology.persistence import Bars, Diagrams

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


def to_arrays(diagrams: Mapping[str, Diagrams]) -> dict[str, NDArray[Any]]:
    """Diagrams of named groups as arrays for :func:`store.arrays.pack`; radii as float32.

    Three arrays a group: ``GROUP/counts`` (points, copies, finite bars of degrees 0 to 2, extensive bars of degrees 0 to 2,
    essential classes of degrees 0 to 3), ``GROUP/bars`` (finite and then extensive, degrees ascending) and ``GROUP/essential``.

    Examples
    --------
    >>> from builders.topology.persistence import persistence
    >>> arrays = to_arrays({"all": persistence(np.zeros((1, 3)), np.eye(3))})
    >>> {name: values.shape for name, values in arrays.items()}
    {'all/counts': (12,), 'all/bars': (4, 2), 'all/essential': (8,)}
    """
    arrays: dict[str, NDArray[Any]] = {}
    for name, each in diagrams.items():
        bars = (*each.finite, *each.extensive)
        counts = [each.n_points, each.copies, *map(len, bars), *map(len, each.essential)]
        arrays[f"{name}/counts"] = np.array(counts, dtype=np.int32)
        arrays[f"{name}/bars"] = np.concatenate(bars).astype(np.float32)
        arrays[f"{name}/essential"] = np.concatenate(each.essential).astype(np.float32)
    return arrays


def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Diagrams]:
    """Read back what :func:`to_arrays` wrote.

    Examples
    --------
    >>> from builders.topology.persistence import persistence
    >>> given = {"El:Po": persistence(np.zeros((1, 3)), np.eye(3))}
    >>> from_arrays(to_arrays(given))["El:Po"].extensive[2].round(3).tolist()
    [[0.707, 0.866]]
    """
    result = {}
    for key, counts in arrays.items():
        name, _, kind = key.rpartition("/")
        if kind != "counts":
            continue
        numbers = counts.tolist()
        bars = np.split(arrays[f"{name}/bars"].astype(np.float64), np.cumsum(numbers[2:8])[:-1])
        essential = np.split(arrays[f"{name}/essential"].astype(np.float64), np.cumsum(numbers[8:])[:-1])
        finite: Bars = (bars[0], bars[1], bars[2])
        extensive: Bars = (bars[3], bars[4], bars[5])
        result[name] = Diagrams(finite, tuple(essential), numbers[0], numbers[1], extensive)
    return result
