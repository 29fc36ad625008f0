"""Retrieve templates for a formula: the stoichiometry class, without what is excluded, by the cost of the best assignment."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from builders.templates.assignment import assign, costs_of
from builders.templates.elements import METRICS, element_distances
from builders.templates.query import Query, read_query

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from numpy.typing import NDArray

    from indexes.templates.library import TemplateLibrary

WEIGHTS: Final[dict[str, float]] = {"substitution": 1.0}
"""Metrics whose weighted sum chooses templates and assignments."""


@dataclass(frozen=True, eq=False)
class Retrieved:
    """Templates for one query, each with a way to put the query's elements in; cheapest first.

    Attributes
    ----------
    query : Query
    templates : numpy.ndarray
        shape=(m,), int64, places in the library; a template stands there once a mapping that is kept of it.
    mapping : numpy.ndarray
        shape=(m, k), int8; for each species of the query, in canonical order, the species of the template it replaces.
    alternative : numpy.ndarray
        shape=(m,), int8; 0 for the best mapping of a template, 1 for its second best, ...
    base : numpy.ndarray
        shape=(m,), float32; the cost by which they were chosen.
    costs : numpy.ndarray
        shape=(m, metrics, k), float32; distance of each replaced pair under each metric (sum over the last axis for totals).
    metrics : tuple of str
        shape=(metrics,).
    n_class : int
        Templates of the query's ratio that were not excluded.
    """

    query: Query
    templates: NDArray[np.int64]
    mapping: NDArray[np.int8]
    alternative: NDArray[np.int8]
    base: NDArray[np.float32]
    costs: NDArray[np.float32]
    metrics: tuple[str, ...]
    n_class: int

    def __len__(self) -> int:
        return len(self.templates)

    def elements(self, library: TemplateLibrary) -> NDArray[np.uint8]:
        """Atomic numbers of the replaced elements, in the order of the query's, shape=(m, k)."""
        starts = library.arrays.species_start[self.templates]
        replaced: NDArray[np.uint8] = library.arrays.element[starts[:, None] + self.mapping]
        return replaced

    def rows(self, library: TemplateLibrary) -> NDArray[np.float32]:
        """Neighbour distances in the order of the query's species, shape=(m, k, 40)."""
        starts = library.arrays.species_start[self.templates]
        rows: NDArray[np.float32] = library.arrays.rows[starts[:, None] + self.mapping]
        return rows

    def pairs(self, library: TemplateLibrary, row: int) -> dict[str, str]:
        """``{element of the query: element of the template it replaces}``."""
        elements = library.elements(int(self.templates[row]))
        return {e: elements[k] for e, k in zip(self.query.elements, self.mapping[row].tolist(), strict=True)}


def retrieve(
    library: TemplateLibrary,
    formula: str | Mapping[str, float] | Query,
    *,
    exclude_formulas: Iterable[str | Mapping[str, float] | Query] = (),
    exclude_own: bool = False,
    allowed: NDArray[np.bool_] | None = None,
    top: int = 120,
    alternatives: int = 2,
    distance: NDArray[np.float32] | None = None,
) -> Retrieved:
    """Find the templates of a formula's stoichiometry class that are cheapest to turn into it.

    Parameters
    ----------
    library : TemplateLibrary
    formula : str, mapping or Query
    exclude_formulas : iterable
        Templates of these formulas are left out.
    exclude_own : bool
        Leave out templates of the query's own formula too.
    allowed : numpy.ndarray, optional
        shape=(len(library),), bool: which templates may be used.
    top : int
        Templates that are kept.
    alternatives : int
        Most mappings of each template.
    distance : numpy.ndarray, optional
        shape=(95, 95), the element distance by atomic numbers that chooses; by default the learned one.

    Returns
    -------
    Retrieved
        Empty where the class has no templates.

    Raises
    ------
    UsageError
        The formula cannot be read (:func:`builders.templates.query.read_query`).
    """
    query = formula if isinstance(formula, Query) else read_query(formula)
    kept = _kept(library, query, exclude_formulas, exclude_own, allowed)
    elements = library.class_elements(query.ratio)[kept]
    measure = base_distance() if distance is None else distance
    best = assign(query.numbers, elements, query.amounts, measure, 1).cost[:, 0]
    first = cheapest(best, top)
    found = assign(query.numbers, elements[first], query.amounts, measure, alternatives)
    row, alternative = np.nonzero(_worth(found.cost))
    base = found.cost[row, alternative]
    order = np.argsort(base, kind="stable")
    row, alternative, base = row[order], alternative[order], base[order]
    mapping = found.mapping[row, alternative]
    replaced = np.take_along_axis(elements[first[row]], mapping.astype(np.int64), 1)
    distances = element_distances()
    return Retrieved(
        query=query,
        templates=(kept[first[row]] + library.class_slice(query.ratio).start).astype(np.int64),
        mapping=mapping,
        alternative=alternative.astype(np.int8),
        base=base,
        costs=costs_of(query.numbers, replaced, distances.values),
        metrics=METRICS,
        n_class=len(kept),
    )


@lru_cache(maxsize=1)
def base_distance() -> NDArray[np.float32]:
    """The element distance that chooses assignments, shape=(95, 95)."""
    return element_distances().combined(WEIGHTS)


def excluded_rows(library: TemplateLibrary, ratio: tuple[int, ...], formulas: Collection[Query]) -> NDArray[np.bool_]:
    """Which templates of a class have one of these formulas, shape=(n_class,)."""
    elements = library.class_elements(ratio)
    found = np.zeros(len(elements), bool)
    for formula in formulas:
        if formula.ratio == ratio:
            found |= (elements == np.array(formula.numbers, np.uint8)).all(axis=1)
    return found


def _kept(
    library: TemplateLibrary,
    query: Query,
    exclude_formulas: Iterable[str | Mapping[str, float] | Query],
    exclude_own: bool,
    allowed: NDArray[np.bool_] | None,
) -> NDArray[np.int64]:
    """Rows of the class that may be used."""
    excluded = [each if isinstance(each, Query) else read_query(each) for each in exclude_formulas]
    out = excluded_rows(library, query.ratio, [*excluded, query] if exclude_own else excluded)
    if allowed is not None:
        out |= ~allowed[library.class_slice(query.ratio)]
    return np.flatnonzero(~out)


def _worth(cost: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which mappings are kept: the best of each template, and others that cost no more than the dearest of these."""
    worth: NDArray[np.bool_] = np.isfinite(cost) & (cost <= cost[:, 0].max(initial=0.0))
    return worth


def cheapest(cost: NDArray[np.float32], top: int) -> NDArray[np.int64]:
    """Places of the smallest costs, ascending; ties keep their order."""
    if top < len(cost):
        # All ties of the last place are looked at, so that which is kept does not depend on the partition's whims.
        limit = np.partition(cost, top - 1)[top - 1]
        some = np.flatnonzero(cost <= limit)
    else:
        some = np.arange(len(cost))
    return some[np.argsort(cost[some], kind="stable")][:top]
