"""Distances to the nearest neighbours as a fingerprint of a periodic arrangement of points.

The row of an atom holds the distances to its first, second, ... k-th neighbour in the infinite crystal, divided by the
cube root of the volume per atom, so that a crystal and its image blown up have the same rows. The distribution of the
rows over the atoms of a cell (the pointwise distance distribution, PDD) does not depend on the choice of the cell, changes
continuously when atoms move, and tells nearly all known crystals apart; its mean over the atoms is the average minimum
distance (AMD). Two distributions are compared by the earth mover's distance: how far rows have to be moved on average to turn one
into the other.

Written anew from the definitions. Sources: Widdowson, Mosca, Pulido, Cooper, Kurlin, MATCH 87, 529 (2022),
doi:10.46793/match.87-3.529W (AMD); Widdowson, Kurlin, NeurIPS 2022, arXiv:2108.04798 (PDD).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from builders.structures.neighbours import neighbourhood, points_of
from store.errors import FeatureError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from store.crystal import Crystal

N_NEIGHBOURS: Final = 40
"""Length of a row."""
SAME_ROW: Final = 1e-3
"""Rows nearer than this (largest difference, in units of the spacing) are one row of a distribution."""

Metric = Literal["max", "rms"]
"""How two rows are compared: by their largest difference (as published), or by the root of the mean squared one."""

_LARGEST_ASSIGNMENT: Final = 256  # rows; above it, unequal weights go to linear programming
_LARGEST_GROUP: Final = 5  # elements of one amount whose orders are all tried at once
_CHUNK: Final = 1 << 15  # pairs whose working arrays are held at a time


def neighbour_distances(crystal: Crystal, k: int = N_NEIGHBOURS) -> NDArray[np.float64]:
    """Find the distances of each site to its k nearest neighbours, in units of the spacing of the crystal.

    Parameters
    ----------
    crystal : Crystal
        Validated. With partial occupancies a neighbour counts as much as it is there
        (:func:`builders.structures.neighbours.neighbourhood`).
    k : int
        Number of neighbours.

    Returns
    -------
    numpy.ndarray
        shape=(n_sites, k), float64, ascending along each row; units of the cube root of the volume per atom.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> polonium = Crystal.from_lists([[3.35, 0, 0], [0, 3.35, 0], [0, 0, 3.35]], ["Po"], [[0, 0, 0]])
    >>> neighbour_distances(polonium, 7).round(3).tolist()
    [[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.414]]
    """
    points = points_of(crystal)
    distances: NDArray[np.float64] = neighbourhood(points, k).nearest[:, :k] / points.spacing
    return distances


@dataclass(frozen=True, eq=False)
class Distribution:
    """Rows of neighbour distances with the share of atoms that have them (PDD).

    Attributes
    ----------
    rows : numpy.ndarray
        shape=(n_rows, k), float64, in units of the spacing; sorted from the first column on.
    weights : numpy.ndarray
        shape=(n_rows,), float64, shares of the atoms; sum 1.
    """

    rows: NDArray[np.float64]
    weights: NDArray[np.float64]

    @property
    def mean(self) -> NDArray[np.float64]:
        """The average minimum distances (AMD), shape=(k,)."""
        average: NDArray[np.float64] = self.weights @ self.rows
        return average


def distribution(rows: NDArray[np.float64], weights: ArrayLike | None = None, same: float = SAME_ROW) -> Distribution:
    """Gather the rows of atoms into a distribution; rows that are the same become one.

    Parameters
    ----------
    rows : numpy.ndarray
        shape=(n_atoms, k), from :func:`neighbour_distances`.
    weights : array_like, optional
        shape=(n_atoms,), positive; how much each atom counts (occupancies). All the same by default.
    same : float
        Largest difference of two rows that are taken as one (their weighted mean).

    Returns
    -------
    Distribution

    Raises
    ------
    FeatureError
        No rows, or weights that are not positive.

    Examples
    --------
    >>> found = distribution(np.array([[2.0, 3.0], [1.0, 1.0], [2.0, 3.0]]))
    >>> found.rows.tolist(), found.weights.round(3).tolist(), found.mean.round(3).tolist()
    ([[1.0, 1.0], [2.0, 3.0]], [0.333, 0.667], [1.667, 2.333])
    """
    share = np.ones(len(rows)) if weights is None else np.asarray(weights, dtype=np.float64)
    if not len(rows) or len(share) != len(rows) or not (share > 0).all():
        raise FeatureError(
            f"A distribution is made of at least one row, each with a positive weight; there were {len(rows)} rows "
            f"and the weights {share.tolist()}."
        )
    order = np.lexsort(rows.T[::-1])
    group = _groups_of_equal(rows, order, same)
    n_groups = int(group.max()) + 1
    total = np.bincount(group, share, n_groups)
    merged = np.zeros((n_groups, rows.shape[1]))
    np.add.at(merged, group, rows * share[:, None])
    merged /= total[:, None]
    order = np.lexsort(merged.T[::-1])
    return Distribution(merged[order], total[order] / share.sum())


def _groups_of_equal(rows: NDArray[np.float64], order: NDArray[np.int64], same: float) -> NDArray[np.int64]:
    """Number the groups of equal rows; each row joins the first group whose founder it equals."""
    group = np.full(len(rows), -1, dtype=np.int64)
    found = 0
    for row in order:
        if group[row] < 0:
            near = (group < 0) & (np.abs(rows - rows[row]).max(axis=1) <= same)
            group[near] = found
            found += 1
    return group


def average_minimum_distances(crystal: Crystal, k: int = N_NEIGHBOURS) -> NDArray[np.float64]:
    """Average the rows of all atoms (AMD), in units of the spacing.

    Returns
    -------
    numpy.ndarray
        shape=(k,), float64, ascending.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> polonium = Crystal.from_lists([[3.35, 0, 0], [0, 3.35, 0], [0, 0, 3.35]], ["Po"], [[0, 0, 0]])
    >>> average_minimum_distances(polonium, 7).round(3).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.414]
    """
    rows = neighbour_distances(crystal, k)
    return np.average(rows, axis=0, weights=site_weights(crystal))


def site_weights(crystal: Crystal) -> NDArray[np.float64]:
    """Count the atoms on each site: one, or the total occupancy.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> half = Crystal.from_sites([[3, 0, 0], [0, 3, 0], [0, 0, 3]], [{"Li": 0.5, "Na": 0.25}], [[0, 0, 0]])
    >>> site_weights(half).tolist()
    [0.75]
    """
    if crystal.occupancies is None:
        return np.ones(crystal.n_sites)
    return np.array([sum(site.values()) for site in crystal.occupancies])


def pdd_distance(a: Distribution, b: Distribution, metric: Metric = "max") -> float:
    """Earth mover's distance of two distributions of rows.

    Parameters
    ----------
    a, b : Distribution
        With rows of one length.
    metric : {"max", "rms"}
        How two rows are compared.

    Returns
    -------
    float
        At least 0, in units of the spacing; 0 for the same arrangement of points.

    Examples
    --------
    >>> one = distribution(np.array([[1.0, 1.0], [2.0, 2.0]]))
    >>> other = distribution(np.array([[1.0, 1.5]]))
    >>> pdd_distance(one, other)  # (0.5 + 1.0) / 2
    0.75
    """
    return earth_mover(row_differences(a.rows, b.rows, metric), a.weights, b.weights)


def row_differences(
    a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]], metric: Metric = "max"
) -> NDArray[np.float64]:
    """Compare each row of one set with each of another.

    Returns
    -------
    numpy.ndarray
        shape=(..., n_a, n_b), float64; leading axes of ``a`` and ``b`` are broadcast.

    Examples
    --------
    >>> row_differences(np.array([[1.0, 2.0]]), np.array([[1.0, 2.5], [4.0, 6.0]])).tolist()
    [[0.5, 4.0]]
    """
    apart = a[..., :, None, :] - b[..., None, :, :]
    if metric == "max":
        np.abs(apart, out=apart)
        return np.asarray(apart.max(axis=-1), dtype=np.float64)
    return np.asarray(np.sqrt(np.einsum("...k,...k->...", apart, apart) / apart.shape[-1]), dtype=np.float64)


def earth_mover(cost: NDArray[np.float64], supply: NDArray[np.float64], demand: NDArray[np.float64]) -> float:
    """Solve the transport problem: the least total cost of moving all of a supply onto a demand of the same sum.

    Parameters
    ----------
    cost : numpy.ndarray
        shape=(n, m), cost of moving one unit.
    supply, demand : numpy.ndarray
        shape=(n,) and (m,), positive, with equal sums.

    Returns
    -------
    float
        Exact to rounding. Shares of whole atoms become an assignment of atoms; others a linear programme.

    Examples
    --------
    >>> earth_mover(np.array([[0.0, 1.0], [2.0, 5.0]]), np.array([0.5, 0.5]), np.array([0.5, 0.5]))
    1.5
    """
    if len(supply) == 1 or len(demand) == 1:
        return float(supply @ cost @ demand) / float(supply.sum())
    whole = _whole_shares(supply / supply.sum(), demand / demand.sum())
    if whole is None:
        return _linear_programme(cost, supply, demand)
    from scipy.optimize import linear_sum_assignment

    expanded = np.repeat(np.repeat(cost, whole[0], axis=0), whole[1], axis=1)
    taken = linear_sum_assignment(expanded)
    return float(expanded[taken].mean()) * float(supply.sum())


def _whole_shares(
    supply: NDArray[np.float64], demand: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Write both sides as whole numbers with one sum, if a small sum does."""
    sizes = [_denominator(supply), _denominator(demand)]
    if None in sizes:
        return None
    total = math.lcm(*[size for size in sizes if size is not None])
    if total > _LARGEST_ASSIGNMENT:
        return None
    return np.rint(supply * total).astype(np.int64), np.rint(demand * total).astype(np.int64)


def _denominator(shares: NDArray[np.float64]) -> int | None:
    sizes = np.arange(len(shares), _LARGEST_ASSIGNMENT + 1)
    numbers = shares[None, :] * sizes[:, None]
    fits = np.flatnonzero(np.abs(numbers - np.rint(numbers)).max(axis=1) < 1e-6)
    return int(sizes[fits[0]]) if len(fits) else None


def _linear_programme(cost: NDArray[np.float64], supply: NDArray[np.float64], demand: NDArray[np.float64]) -> float:
    from scipy.optimize import linprog
    from scipy.sparse import eye, kron, vstack

    n, m = cost.shape
    rows = kron(eye(n), np.ones((1, m)))
    columns = kron(np.ones((1, n)), eye(m))
    # Rounding of the sums must not make the equations contradict each other: one of them follows from the others.
    equations = vstack([rows, columns]).tocsr()[:-1]
    sums = np.concatenate([supply, demand * (supply.sum() / demand.sum())])[:-1]
    found = linprog(cost.ravel(), A_eq=equations, b_eq=sums, bounds=(0, None), method="highs")
    if not found.success:
        raise FeatureError(f"The earth mover's distance of {n} and {m} rows was not found: {found.message}")
    return float(found.fun)


def equal_amounts(amounts: Sequence[float]) -> list[list[int]]:
    """Gather the places of equal amounts.

    Examples
    --------
    >>> equal_amounts((1, 1, 1, 4))
    [[0, 1, 2], [3]]
    """
    places: dict[float, list[int]] = {}
    for place, amount in enumerate(amounts):
        places.setdefault(amount, []).append(place)
    return list(places.values())


def pair_distances(
    a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]], amounts: Sequence[float], metric: Metric = "max"
) -> NDArray[np.float64]:
    """Compare many pairs of structures of one stoichiometry by the mean rows of their elements: fast, for screening.

    The elements of one amount may take each other's places: of their orders the one with the least distance is taken.

    Parameters
    ----------
    a, b : numpy.ndarray
        shape=(n_pairs, n_elements, k), or (n_elements, k) for one structure beside many: mean rows of the elements, in
        canonical order (``Fingerprint.rows``).
    amounts : sequence of float
        shape=(n_elements,), amounts of the elements, the same for all.
    metric : {"max", "rms"}
        "max": the largest difference of any element and column. "rms": the root of the mean square over atoms and columns.

    Returns
    -------
    numpy.ndarray
        shape=(n_pairs,), float64, in units of the spacing.

    Examples
    --------
    >>> one = np.array([[[1.0, 2.0], [3.0, 4.0]]])
    >>> pair_distances(one, one[:, ::-1], (1, 1)).tolist(), pair_distances(one, one[:, ::-1], (1, 2)).tolist()
    ([0.0], [2.0])
    """
    a, b = np.broadcast_arrays(np.atleast_3d(a) if a.ndim == 3 else a[None], b if b.ndim == 3 else b[None])
    result = np.empty(len(a))
    for begin in range(0, len(a), _CHUNK):
        part = slice(begin, begin + _CHUNK)
        result[part] = _chunk_distances(a[part], b[part], amounts, metric)
    return result


def _chunk_distances(
    a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]], amounts: Sequence[float], metric: Metric
) -> NDArray[np.float64]:
    total = np.zeros(len(a))
    shares = np.asarray(amounts, dtype=np.float64) / sum(amounts)
    for places in equal_amounts(amounts):
        cost = row_differences(a[:, places], b[:, places], metric)
        if metric == "rms":
            total += shares[places[0]] * _least(cost * cost, np.add)
        else:
            np.maximum(total, _least(cost, np.maximum), out=total)
    return np.sqrt(total) if metric == "rms" else total


def _least(cost: NDArray[np.float64], combine: np.ufunc) -> NDArray[np.float64]:
    """Smallest sum (or maximum) of one entry a row and column; cost has shape (n, m, m)."""
    size = cost.shape[1]
    if size == 1:
        return cost[:, 0, 0]
    if size > _LARGEST_GROUP:
        return _least_one_by_one(cost, combine)
    here = list(range(size))
    best = np.full(len(cost), np.inf)
    for order in permutations(here):
        np.minimum(best, combine.reduce(cost[:, here, list(order)], axis=1), out=best)
    return best


def _least_one_by_one(cost: NDArray[np.float64], combine: np.ufunc) -> NDArray[np.float64]:
    from scipy.optimize import linear_sum_assignment

    # A high power makes the sum of the assignment follow its largest term.
    powered = cost if combine is np.add else cost**8
    return np.array([combine.reduce(one[linear_sum_assignment(p)]) for one, p in zip(cost, powered, strict=True)])
