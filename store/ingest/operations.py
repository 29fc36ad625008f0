"""Symmetry operations as CIF writes them, read into matrices. Parsed ones are cached: a data set uses few groups."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from store.errors import SourceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TERM: Final = re.compile(r"([+-]{0,2})(\d+(?:\.\d*)?(?:/\d+(?:\.\d*)?)?|\.\d+)?\*?([xyzXYZ]?)")
_MAX_OPERATIONS: Final = 10_000


@dataclass(frozen=True)
class Operations:
    """Symmetry operations ``x' = W x + w`` in fractional coordinates.

    Attributes
    ----------
    rotations : numpy.ndarray
        shape=(n_operations, 3, 3), float64; the matrices W, acting on column vectors.
    translations : numpy.ndarray
        shape=(n_operations, 3), float64; the vectors w, in units of the cell vectors.
    """

    rotations: NDArray[np.float64]
    translations: NDArray[np.float64]


@lru_cache(maxsize=4096)
def parse_operation(text: str) -> tuple[tuple[tuple[float, ...], ...], tuple[float, ...]]:
    """Read one symmetry operation in the notation of CIF.

    Parameters
    ----------
    text : str
        Three comma-separated expressions in x, y, z, e.g. ``"1/2-x, y, z+1/4"``.

    Returns
    -------
    tuple
        Rows of the matrix W, shape (3, 3), and the translation w, shape (3,).

    Raises
    ------
    SourceError
        The text is no such operation.

    Examples
    --------
    >>> parse_operation("1/2+x,-y,z")
    (((1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, 1.0)), (0.5, 0.0, 0.0))
    """
    parts = text.replace(" ", "").strip("'\"").split(",")
    if len(parts) != 3:
        raise SourceError(f"A symmetry operation has three parts, like 'x,y,z'. This one was {text[:80]!r}.")
    rows, shifts = [], []
    for part in parts:
        row, shift = _parse_expression(part, text)
        rows.append(tuple(row))
        shifts.append(shift)
    return tuple(rows), tuple(shifts)


def _parse_expression(part: str, whole: str) -> tuple[list[float], float]:
    row, shift, position = [0.0, 0.0, 0.0], Fraction(0), 0
    while position < len(part):
        match = _TERM.match(part, position)
        if match is None or match.end() == position or not (match[2] or match[3]) or (position and not match[1]):
            raise SourceError(f"The symmetry operation {whole[:80]!r} cannot be read at {part[position:][:20]!r}.")
        value = _fraction(match[2], whole) * (-1) ** match[1].count("-")
        if match[3]:
            row["xyz".index(match[3].lower())] += float(value)
        else:
            shift += value
        position = match.end()
    if not part:
        raise SourceError(f"The symmetry operation {whole[:80]!r} has an empty part.")
    return row, float(shift)


def _fraction(text: str | None, whole: str) -> Fraction:
    if text is None:
        return Fraction(1)
    top, _, bottom = text.partition("/")
    if bottom and Fraction(bottom) == 0:
        raise SourceError(f"The symmetry operation {whole[:80]!r} divides by zero.")
    value = Fraction(top) / Fraction(bottom or 1)
    # Some files print 0.3333: the nearest twelfth is what was meant.
    twelfth = Fraction(round(value * 12), 12)
    return twelfth if abs(value - twelfth) < Fraction(1, 2000) else value


@lru_cache(maxsize=1024)
def parse_operations(texts: tuple[str, ...]) -> Operations:
    """Read a list of symmetry operations (cached); the identity is added where it is missing.

    Examples
    --------
    >>> parse_operations(("x,y,z", "-x,-y,-z")).rotations.shape
    (2, 3, 3)
    """
    if len(texts) > _MAX_OPERATIONS:
        raise SourceError(f"There are {len(texts):,} symmetry operations; no group has more than {_MAX_OPERATIONS:,}.")
    parsed = [parse_operation(text) for text in texts]
    identity = parse_operation("x,y,z")
    if identity not in parsed:
        parsed.insert(0, identity)
    operations = Operations(np.array([rows for rows, _ in parsed]), np.array([shift for _, shift in parsed]))
    operations.rotations.setflags(write=False)
    operations.translations.setflags(write=False)
    return operations
