"""Who sits how far from whom: the profile of an arrangement, and the distance of two arrangements.

The profile holds, for each ordered pair of elements (a, b), the distances from an atom of ``a`` to its first, second,
... 16th neighbour among the atoms of ``b``: mean and standard deviation over the atoms of ``a``, in units of the cube root
of the volume per atom. Rows of neighbour distances that do not look at the neighbour's element
(:mod:`builders.embeddings.structure.distances`) tell sites apart; the profile also tells how the elements share them, such
as the many orders of two elements on one lattice.

Two arrangements of one stoichiometry are compared under every assignment of the elements of one onto those of the other
that keeps amounts (a permutation within each group of equal amounts), and the nearest one counts.
"""

from __future__ import annotations

import math
from itertools import combinations, permutations, product
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from builders.embeddings.structure.distances import equal_amounts, row_differences
from builders.structures.neighbours import nearest_of_kinds, points_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from store.crystal import Crystal

N_BETWEEN: Final = 16
"""Neighbours of each element that a profile reaches to."""
SPREAD_WEIGHT: Final = 0.5
"""How much the difference of the standard deviations counts beside that of the means."""
SAME_ARRANGEMENT: Final = 0.1
"""Distance below which two structures are taken as one arrangement; see ``benchmarks/fingerprints.py``."""

_MANY_ORDERS: Final = 720  # beyond, not all are tried: seven elements of one amount have 5,040
_CHUNK_NUMBERS: Final = 1 << 18  # numbers in a working array: they stay in the processor's cache


def profile(crystal: Crystal, elements: Sequence[str], k: int = N_BETWEEN) -> NDArray[np.float32]:
    """Find how far the atoms of each element are from those of each element.

    Parameters
    ----------
    crystal : Crystal
        Validated. A shared site counts for each of its elements as much as the element is there, as a centre and as a
        neighbour.
    elements : sequence of str
        All elements of the crystal, in the order wanted.
    k : int
        Number of neighbours.

    Returns
    -------
    numpy.ndarray
        shape=(n_elements, n_elements, 2, k), float32, in units of the cube root of the volume per atom; ``[a, b, 0]`` the mean
        distances of atoms of ``a`` to their neighbours of ``b``, ``[a, b, 1]`` their standard deviations.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> caesium_chloride = Crystal.from_lists(4.12 * np.eye(3), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> found = profile(caesium_chloride, ["Cl", "Cs"])
    >>> [f"{distance:.2f}" for distance in found[0, 1, 0, [0, 7, 8]]]  # eight corners of the cube, then others
    ['1.09', '1.09', '2.09']
    """
    points = points_of(crystal)
    shares = _shares(crystal, elements)
    nearest = nearest_of_kinds(points, shares, k) / points.spacing
    weights = shares / shares.sum(axis=1, keepdims=True)
    mean = np.einsum("as,sbk->abk", weights, nearest)
    # Not mean(x^2) - mean(x)^2: equal rows must give exactly nothing.
    apart = nearest[None] - mean[:, None]
    variance = np.einsum("as,asbk->abk", weights, apart * apart)
    return np.stack([mean, np.sqrt(variance)], axis=2).astype(np.float32)


def _shares(crystal: Crystal, elements: Sequence[str]) -> NDArray[np.float64]:
    """How much of each element is on each site, shape=(n_elements, n_sites)."""
    if crystal.occupancies is None:
        return np.array([[float(species == element) for species in crystal.species] for element in elements])
    return np.array([[site.get(element, 0.0) for site in crystal.occupancies] for element in elements])


def arrangement_distances(
    a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]], amounts: Sequence[float]
) -> NDArray[np.float64]:
    """Compare many pairs of structures of one stoichiometry, for labels by the million.

    Parameters
    ----------
    a, b : numpy.ndarray
        shape=(n_pairs, n_elements, n_elements, 2, k), or without the first axis for one structure beside many; profiles with
        the elements in canonical order.
    amounts : sequence of float
        shape=(n_elements,), amounts of the elements, the same for all.

    Returns
    -------
    numpy.ndarray
        shape=(n_pairs,), float64, in units of the cube root of the volume per atom: the largest difference of any mean
        distance plus half the largest difference of any standard deviation, for the best assignment of elements. Where
        more than 720 are possible (seven elements of one amount), for a good one.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> cell, middle = 4.12 * np.eye(3), [[0, 0, 0], [0.5, 0.5, 0.5]]
    >>> one = profile(Crystal.from_lists(cell, ["Cs", "Cl"], middle), ["Cl", "Cs"])
    >>> other = profile(Crystal.from_lists(cell * 0.8, ["Ni", "Al"], middle), ["Al", "Ni"])
    >>> arrangement_distances(one[None], other, (1, 1)).round(3).tolist()
    [0.0]
    """
    return best_assignments(a, b, amounts)[0]


def same_arrangements(
    a: NDArray[np.floating[Any]],
    b: NDArray[np.floating[Any]],
    amounts: Sequence[float],
    threshold: float = SAME_ARRANGEMENT,
) -> NDArray[np.bool_]:
    """Tell which pairs of structures of one stoichiometry are one arrangement; faster than their distances.

    Parameters
    ----------
    a, b, amounts
        As for :func:`arrangement_distances`.
    threshold : float
        Distance below which two structures are one arrangement.

    Returns
    -------
    numpy.ndarray
        shape=(n_pairs,), bool; exactly ``arrangement_distances(a, b, amounts) < threshold``. Pairs that a bound from below puts
        too far apart are not looked at any closer.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> cell, middle = 4.12 * np.eye(3), [[0, 0, 0], [0.5, 0.5, 0.5]]
    >>> one = profile(Crystal.from_lists(cell, ["Cs", "Cl"], middle), ["Cl", "Cs"])
    >>> same_arrangements(np.stack([one, 1.1 * one]), one, (1, 1)).tolist()
    [True, False]
    """
    a = a if a.ndim == 5 else a[None]
    b = b if b.ndim == 5 else b[None]
    same = np.empty(max(len(a), len(b)), dtype=np.bool_)
    for part in _parts(a, b):
        one, other = (each if len(each) == 1 else each[part] for each in (a, b))
        near = np.abs(sorted_columns(one, amounts) - sorted_columns(other, amounts)).max(axis=(1, 3))
        bound = near[:, [0, 2, 3]].max(axis=1) + SPREAD_WEIGHT * near[:, 1]
        close = np.flatnonzero(bound < threshold)
        one, other = (each if len(each) == 1 else each[close] for each in (one, other))
        same[part] = False
        if len(close):
            same[part.start + close] = _chunk(one, other, amounts)[0] < threshold
    return same


def sorted_columns(profiles: NDArray[np.floating[Any]], amounts: Sequence[float]) -> NDArray[np.floating[Any]]:
    """Describe each element by columns that need no assignment of elements.

    Parameters
    ----------
    profiles : numpy.ndarray
        shape=(n, n_elements, n_elements, 2, k).
    amounts : sequence of float
        shape=(n_elements,).

    Returns
    -------
    numpy.ndarray
        shape=(n, n_elements, 4, k): means and standard deviations of the distances to the element's own kind; the smallest
        and the largest of the means to the other elements (0 where there are none). Within elements of one amount each
        column is sorted by itself. None of it differs more between two structures than their profiles do under any
        assignment.

    Examples
    --------
    >>> two = np.arange(2.0 * 2 * 2 * 1).reshape(1, 2, 2, 2, 1)
    >>> sorted_columns(two, (1, 1))[0, :, :, 0].tolist()
    [[0.0, 1.0, 2.0, 2.0], [6.0, 7.0, 4.0, 4.0]]
    """
    n, size, _, _, k = profiles.shape
    columns = np.zeros((n, size, 4, k), dtype=profiles.dtype)
    columns[:, :, :2] = profiles[:, range(size), range(size)]
    if size > 1:
        others = np.array([[b for b in range(size) if b != a] for a in range(size)])
        means = profiles[:, np.arange(size)[:, None], others, 0]
        columns[:, :, 2], columns[:, :, 3] = means.min(axis=2), means.max(axis=2)
    for places in equal_amounts(amounts):
        if len(places) > 1:
            columns[:, places] = np.sort(columns[:, places], axis=1)
    return columns


def _parts(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]]) -> Iterator[slice]:
    n, step = max(len(a), len(b)), max(1, _CHUNK_NUMBERS // math.prod(a.shape[1:]))
    for begin in range(0, n, step):
        yield slice(begin, min(begin + step, n))


def best_assignments(
    a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]], amounts: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Compare as :func:`arrangement_distances` and tell which elements took each other's places.

    Returns
    -------
    tuple of numpy.ndarray
        Distances, shape=(n_pairs,); and shape=(n_pairs, n_elements), int64: for each element of ``a``, its place in ``b``.
    """
    a = a if a.ndim == 5 else a[None]
    b = b if b.ndim == 5 else b[None]
    n = max(len(a), len(b))
    distances = np.empty(n)
    chosen = np.empty((n, len(amounts)), dtype=np.int64)
    for part in _parts(a, b):
        one, other = (each if len(each) == 1 else each[part] for each in (a, b))
        distances[part], chosen[part] = _chunk(one, other, amounts)
    return distances, chosen


def _chunk(
    a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]], amounts: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    n = max(len(a), len(b))
    best = np.full(n, np.inf)
    chosen = np.zeros((n, len(amounts)), dtype=np.int64)
    groups = equal_amounts(amounts)
    if math.prod(math.factorial(len(places)) for places in groups) > _MANY_ORDERS:
        for pair in range(n):
            one, other = (each[min(pair, len(each) - 1)] for each in (a, b))
            best[pair], chosen[pair] = _search(one, other, groups)
        return best, chosen
    for parts in product(*[permutations(places) for places in groups]):
        order = [place for part in parts for place in part]
        total = _difference(a, b, order)
        better = total < best
        best[better] = total[better]
        chosen[better] = order
    return best, chosen


def _difference(
    a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]], order: Sequence[int]
) -> NDArray[np.float64]:
    found = np.abs(a - b[..., order, :, :, :][..., :, order, :, :]).max(axis=(-4, -3, -1))
    return np.asarray(found[..., 0] + SPREAD_WEIGHT * found[..., 1], dtype=np.float64)


def _search(
    a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]], groups: list[list[int]]
) -> tuple[float, list[int]]:
    """Look for a good order of very many: match elements by their distances to their own kind, then swap while that helps."""
    from scipy.optimize import linear_sum_assignment

    order = list(range(len(a)))
    for places in groups:
        own = [each[places, places].reshape(len(places), -1) for each in (a, b)]
        _, taken = linear_sum_assignment(row_differences(own[0], own[1]))
        for place, other in zip(places, taken, strict=True):
            order[place] = places[other]
    best = float(_difference(a, b, order))
    improved = True
    while improved:
        improved = False
        for places in groups:
            for first, second in combinations(places, 2):
                order[first], order[second] = order[second], order[first]
                found = float(_difference(a, b, order))
                if found < best:
                    best, improved = found, True
                else:
                    order[first], order[second] = order[second], order[first]
    return best, order
