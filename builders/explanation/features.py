"""The columns of the model that is explained: Betti curves of five groups of atoms, and the composition beside them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from builders.topology.groups import GROUPS
from builders.topology.vectors import DEGREES, GRID, vectorise

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from builders.topology.persistence import Diagrams

ION: Final = "Li"
COMPOSITION: Final = "composition"
"""Label of all columns that say of which elements a compound is."""


def label(group: str, degree: int) -> str:
    """Label of the columns of one curve.

    Examples
    --------
    >>> label("ion", 1)
    'ion_h1'
    """
    return f"{group}_h{degree}"


CURVES: Final = tuple((group, degree) for group in GROUPS for degree in DEGREES)
"""Group and degree of each curve, in the order of the columns."""


@lru_cache(maxsize=1)
def columns() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and labels of the columns.

    Returns
    -------
    names : tuple of str
        As of :func:`builders.topology.vectors.vectorise` and of the composition's statistics.
    labels : tuple of str
        Which curve a column belongs to, or ``composition``: contributions are summed over equal ones.

    Examples
    --------
    >>> names, labels = columns()
    >>> len(names) == len(labels), names[0], labels[0], labels[-1]
    (True, 'all_h0_0.5', 'all_h0', 'composition')
    """
    from builders.embeddings.composition import feature_names

    shape, _ = vectorise({}, "curves")
    elements = tuple(feature_names())
    labels = [label(group, degree) for group, degree in CURVES for _ in GRID[degree]]
    return shape + elements, tuple(labels) + (COMPOSITION,) * len(elements)


def per_atom(composition: Mapping[str, float]) -> dict[str, float]:
    """Atomic fractions, rounded: however a formula is written, it is the same.

    Examples
    --------
    >>> per_atom({"Li": 4, "O": 2}) == per_atom({"Li": 2, "O": 1})
    True
    """
    total = float(sum(composition.values()))
    shares = {symbol: round(amount / total, 6) for symbol, amount in composition.items()}
    return {symbol: share for symbol, share in shares.items() if share > 0}


def describe(composition: Mapping[str, float], diagrams: Mapping[str, Diagrams]) -> NDArray[np.float64]:
    """One row of the model's input.

    Parameters
    ----------
    composition : mapping
        ``{element symbol: amount}``.
    diagrams : mapping
        As :func:`builders.topology.analysis.analyse` returns it.

    Returns
    -------
    numpy.ndarray
        shape=(n_columns,); nan for groups that the crystal lacks.

    Raises
    ------
    FeatureError
        An element without data.
    """
    from builders.embeddings.composition import embed

    _, shape = vectorise(diagrams, "curves")
    return np.concatenate([shape, embed([per_atom(composition)])[0].astype(np.float64)])
