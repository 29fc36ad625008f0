"""Features of an arrangement for a query: what its proposals cost, how they vote, how stable they are, what competes."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from builders.embeddings.elements import element_table
from builders.templates.elements import element_distances

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from builders.templates.candidates import Proposals
    from builders.templates.prototypes import Arrangements

PUBLISHED: Final = ("xenonpy", "periodic", "pettifor", "modified_pettifor", "mat2vec")
"""Metrics whose costs are features, in order."""
TEMPERATURES: Final = (0.1, 0.25)
"""Of the votes under published metrics: a proposal has weight exp(-cost / T)."""
BASE: Final = ("xenonpy", "modified_pettifor")
"""Metrics whose sum orders proposals and is the learned metric's base."""

_TABLE: Final = ("en_pauling", "covalent_radius_cordero", "gs_volume_per", "atomic_radius_rahm")


def base_cost(proposals: Proposals) -> NDArray[np.float64]:
    """Summed distance of the replaced pairs under :data:`BASE`, shape=(m,)."""
    return sum((costs(proposals)[:, PUBLISHED.index(name)] for name in BASE), start=np.zeros(len(proposals)))


def costs(proposals: Proposals) -> NDArray[np.float64]:
    """Summed distance under every published metric, shape=(m, metrics)."""
    pairs = _published()[:, np.asarray(proposals.numbers, np.int64)[None, :], np.asarray(proposals.replaced, np.int64)]
    total: NDArray[np.float64] = pairs.sum(axis=2, dtype=np.float64).T
    return total


@lru_cache(maxsize=1)
def _published() -> NDArray[np.float32]:
    distances = element_distances()
    return np.stack([distances.of(name) for name in PUBLISHED])


def feature_names() -> list[str]:
    """Names of the columns of :func:`features`, in order."""
    names: list[str] = []
    for name in PUBLISHED:
        names += [f"{name} cost", f"{name} cost above least", *[f"{name} vote T={t}" for t in TEMPERATURES]]
    names += ["learned vote", "learned vote with like", "learned best above next", "learned best"]
    names += ["stable vote", "lowest vote", "mean hull", "least hull", "hull known"]
    names += ["rank", "proposals", "formulas", "arrangements", "class size", "largest other vote", "like votes"]
    names += ["atoms", "formula units", "space group", "elements", "largest amount", "smallest amount"]
    for name in _TABLE:
        names += [f"{name} largest difference", f"{name} mean difference"]
    return [*names, "volume mismatch", "same elements", "largest single distance", "nearest distance spread"]


def features(
    proposals: Proposals, arrangements: Arrangements, learned: Sequence[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Describe each arrangement of a query.

    Parameters
    ----------
    proposals : Proposals
    arrangements : Arrangements
    learned : sequence of numpy.ndarray
        Logarithmic weights of the proposals under each learned metric, shape=(m,) each.

    Returns
    -------
    numpy.ndarray
        shape=(n_arrangements, n_features), as :func:`feature_names`.
    """
    of, n = arrangements.of, len(arrangements)
    columns: list[NDArray[np.float64]] = []
    for cost in costs(proposals).T:
        least = _extreme(of, n, -cost)
        columns += [-least, -least - cost.min(), *[_share(of, n, -cost / t) for t in TEMPERATURES]]
    mean = np.mean(np.stack(learned), axis=0)
    vote, best = _share(of, n, mean), _extreme(of, n, mean)
    columns += [vote, arrangements.similarity @ vote, best - _next_best(best), best]
    return np.stack(
        [
            *columns,
            *_stability(proposals, of, n, mean),
            *_counts(proposals, arrangements, mean),
            *_chemistry(proposals, of, n, mean),
        ],
        axis=1,
    )


def _stability(
    proposals: Proposals, of: NDArray[np.int64], n: int, score: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    weight = np.exp(score - score.max())
    total = np.maximum(np.bincount(of, weight, n), 1e-300)
    known = ~np.isnan(proposals.hull)
    hull = np.where(known, proposals.hull, 0.0)
    stable = known & (hull < 1e-3)
    known_weight = np.bincount(of, weight * known, n)
    mean_hull = np.where(known_weight > 0, np.bincount(of, weight * hull, n) / np.maximum(known_weight, 1e-300), 0.1)
    least = -_extreme(of, n, -np.where(known, proposals.hull, 0.1))
    return [
        np.bincount(of, weight * stable, n) / weight.sum(),
        np.bincount(of, weight * proposals.lowest(), n) / weight.sum(),
        mean_hull,
        least,
        known_weight / total,
    ]


def _counts(proposals: Proposals, arrangements: Arrangements, score: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    of, n = arrangements.of, len(arrangements)
    vote = _share(of, n, score)
    rank = np.empty(n)
    rank[np.argsort(-vote, kind="stable")] = np.arange(n)
    pairs = np.unique(np.stack([of, proposals.formulas()]), axis=1)
    first, amounts = arrangements.first, np.asarray(proposals.amounts)
    units = np.asarray(proposals.formula_units, np.float64)[first]
    every = np.ones(n)
    return [
        rank,
        np.bincount(of, minlength=n).astype(np.float64),
        np.bincount(pairs[0], minlength=n).astype(np.float64),
        every * n,
        every * np.log1p(proposals.n_class),
        _next_best(vote),
        arrangements.similarity.sum(axis=1) - 1.0,
        units * amounts.sum(),
        units,
        np.asarray(proposals.space_group, np.float64)[first],
        every * len(amounts),
        every * amounts.max(),
        every * amounts.min(),
    ]


def _chemistry(
    proposals: Proposals, of: NDArray[np.int64], n: int, score: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    """Differences of the query from the best proposal of each arrangement."""
    order = np.lexsort((-score, of))
    best = order[np.r_[True, np.diff(of[order]) > 0]]
    asked = np.asarray(proposals.numbers, np.int64)
    replaced = np.asarray(proposals.replaced, np.int64)[best]
    table, fractions = element_table(), proposals.fractions
    columns = []
    for name in _TABLE:
        value = np.r_[np.nan, table.values[:, table.names.index(name)]]
        apart = value[asked] - value[replaced]
        columns += [np.abs(apart).max(axis=1), np.abs(apart @ fractions)]
    volume = np.r_[np.nan, table.values[:, table.names.index("gs_volume_per")]]
    mismatch = np.log((volume[asked] @ fractions) / (volume[replaced] @ fractions))
    pairs = element_distances().of("xenonpy")[asked, replaced]
    nearest = np.asarray(proposals.rows)[best][:, :, 0]
    return [
        *columns,
        mismatch,
        (asked == replaced).sum(axis=1).astype(np.float64),
        pairs.max(axis=1).astype(np.float64),
        (nearest.max(axis=1) - nearest.min(axis=1)).astype(np.float64),
    ]


def _share(of: NDArray[np.int64], n: int, score: NDArray[np.float64]) -> NDArray[np.float64]:
    weight = np.exp(score - score.max())
    share: NDArray[np.float64] = np.bincount(of, weight, n) / weight.sum()
    return share


def _extreme(of: NDArray[np.int64], n: int, score: NDArray[np.float64]) -> NDArray[np.float64]:
    found = np.full(n, -np.inf)
    np.maximum.at(found, of, score)
    return found


def _next_best(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each the largest of the others (itself where it is alone)."""
    if len(values) < 2:
        return values.copy()
    order = np.argsort(-values, kind="stable")
    found = np.full(len(values), values[order[0]])
    found[order[0]] = values[order[1]]
    return found
