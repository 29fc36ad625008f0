"""Derived templates for a query: parents of other stoichiometry classes, ordered or merged into the query's."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from builders.templates.assignment import assign
from builders.templates.derive import SYMPREC, WIDE_SYMPREC, canonical, merge, orderings, to_primitive
from builders.templates.elements import SIZE
from builders.templates.volumes import exchange_volumes
from indexes.templates.entries import entry_of_primitive
from indexes.templates.retrieve import base_distance, cheapest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from builders.templates.query import Query
    from indexes.templates.arrays import Entry
    from indexes.templates.library import TemplateLibrary

SAME: Final = 0.03
"""Derived templates whose neighbour distances differ by less are one."""


@dataclass(frozen=True, eq=False)
class Derived:
    """A derived template, its species already those of the query.

    Attributes
    ----------
    entry : Entry
        Elements are the query's, in canonical order: the mapping is the identity.
    parent : int
        Place of the parent in the library.
    kind : {"ordered", "merged"}
    replaced : tuple of str
        For each species of the query the element of the parent it replaces, of merged ones both (``"K+Rb"``).
    cost : float
        Of the exchange of elements, in the unit of the base distance.
    multiple : int
        Primitive cells of the parent in the cell before it was reduced.
    symmetry : int
        Operations of the point group that an ordering leaves (0 for merged ones, which are as symmetric as found).
    finer : tuple of tuple
        ``(atomic number of the query, atomic number replaced, amount)`` of each exchange, for volumes.
    """

    entry: Entry
    parent: int
    kind: str
    replaced: tuple[str, ...]
    cost: float
    multiple: int
    symmetry: int
    finer: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class _Plan:
    """A parent and what is to be done with it."""

    cost: float
    parent: int
    kind: str
    mapping: tuple[int, ...]  # species of the parent for each species of the coarser (ordered) or finer (merged) query
    numbers: tuple[
        int, ...
    ]  # species of the query that each of these stands for; the ordered one is named by its first
    second: int = -1  # ordered: the query species that gets the second part


def derive(
    library: TemplateLibrary,
    query: Query,
    *,
    allowed: NDArray[np.bool_] | None = None,
    top: int = 40,
    parents: int = 12,
) -> list[Derived]:
    """Make templates of a query's stoichiometry from those of others.

    Parameters
    ----------
    library : TemplateLibrary
    query : Query
    allowed : numpy.ndarray, optional
        shape=(len(library),), bool: which templates may be parents.
    top : int
        Derived templates that are kept, cheapest first; of one parent the most symmetric first.
    parents : int
        Parents looked at for each way of ordering or merging.

    Returns
    -------
    list of Derived
        All different.
    """
    plans = [*_ordering_plans(library, query, allowed, parents), *_merging_plans(library, query, allowed, parents)]
    plans.sort(key=lambda plan: plan.cost)
    found: list[Derived] = []
    for plan in _distinct_parents(library, plans, 2 * top):
        made = _ordered(library, query, plan) if plan.kind == "ordered" else _merged(library, query, plan)
        for each in made:
            if not any(_same(each.entry, other.entry) for other in found):
                found.append(each)
        if len(found) >= top:  # what comes later costs more
            break
    found.sort(key=lambda each: (each.cost, -each.symmetry))
    return found[:top]


# ------------------------------------------------------------------------------------------------------------- ordering


def _ordering_plans(
    library: TemplateLibrary, query: Query, allowed: NDArray[np.bool_] | None, parents: int
) -> Iterator[_Plan]:
    for one, other in itertools.combinations(range(len(query.amounts)), 2):
        coarse = [k for k in range(len(query.amounts)) if k != other]
        amounts = [query.amounts[k] + (query.amounts[other] if k == one else 0) for k in coarse]
        divisor = math.gcd(*amounts)
        order = sorted(range(len(coarse)), key=lambda k: amounts[k])
        ratio = tuple([amounts[k] // divisor for k in order])
        places = _places(library, ratio, allowed)
        if not len(places):
            continue
        distance = _with_mixture(query, one, other)
        numbers = [SIZE if coarse[k] == one else query.numbers[coarse[k]] for k in order]
        found = assign(numbers, library.arrays.element[_species(library, places, len(ratio))], ratio, distance, 1)
        for row in cheapest(found.cost[:, 0], parents).tolist():
            yield _Plan(
                float(found.cost[row, 0]),
                int(places[row]),
                "ordered",
                tuple(found.mapping[row, 0].tolist()),
                tuple([coarse[k] for k in order]),
                other,
            )


def _with_mixture(query: Query, one: int, other: int) -> NDArray[np.float32]:
    """Distances with one more element: the mixture of two species of the query."""
    known = base_distance()
    share = query.amounts[one] / (query.amounts[one] + query.amounts[other])
    mixed = share * known[query.numbers[one]] + (1 - share) * known[query.numbers[other]]
    distance = np.zeros((SIZE + 1, SIZE + 1), np.float32)
    distance[:SIZE, :SIZE] = known
    # Both of the two are exchanged: the cost is that of two species.
    distance[SIZE, :SIZE] = distance[:SIZE, SIZE] = 2 * mixed
    return distance


def _ordered(library: TemplateLibrary, query: Query, plan: _Plan) -> Iterator[Derived]:
    place = dict(zip(plan.numbers, plan.mapping, strict=True))  # query species -> parent species
    first = next(k for k in plan.numbers if _is_mixed(query, plan, k, library))
    parts = (query.amounts[first], query.amounts[plan.second])
    divided = place[first]
    n_species = len(library.elements(plan.parent))
    name = {parent: query.elements[k] for k, parent in place.items()}
    name[n_species] = query.elements[plan.second]
    elements = [name[k] for k in range(n_species + 1)]
    replaced_of = {**place, plan.second: divided}
    symbols = library.elements(plan.parent)
    starts = library.arrays.species_start[plan.parent]
    finer = tuple(
        [
            (query.numbers[k], int(library.arrays.element[starts + replaced_of[k]]), query.amounts[k])
            for k in range(len(query.amounts))
        ]
    )
    for ordering in orderings(
        library.lattice(plan.parent), library.frac_coords(plan.parent), library.species(plan.parent), divided, parts
    ):
        crystal = canonical(elements, ordering.lattice, ordering.frac_coords, _renumbered(ordering.species, n_species))
        primitive, group = to_primitive(crystal)
        yield Derived(
            entry=entry_of_primitive(library.ids[plan.parent], primitive, group),
            parent=plan.parent,
            kind="ordered",
            replaced=tuple([symbols[replaced_of[k]] for k in range(len(query.elements))]),
            cost=plan.cost,
            multiple=ordering.multiple,
            symmetry=ordering.symmetry,
            finer=finer,
        )


def _is_mixed(query: Query, plan: _Plan, k: int, library: TemplateLibrary) -> bool:
    """Whether a species of the coarser query is the one that stands for two."""
    ratio = library.ratio(plan.parent)
    scale = query.n_atoms / sum(ratio)
    parent = plan.mapping[plan.numbers.index(k)]
    return round(ratio[parent] * scale) == query.amounts[k] + query.amounts[plan.second]


def _renumbered(species: NDArray[np.int64], n_species: int) -> NDArray[np.int64]:
    # `orderings` numbers the new species after the largest one there, which is the last of the parent's.
    return np.where(species >= n_species, n_species, species)


# -------------------------------------------------------------------------------------------------------------- merging


def _merging_plans(
    library: TemplateLibrary, query: Query, allowed: NDArray[np.bool_] | None, parents: int
) -> Iterator[_Plan]:
    size = len(query.amounts)
    for ratio in library.ratios():
        total = sum(ratio)
        if len(ratio) != size + 1 or total % query.n_atoms:
            continue
        scale = total // query.n_atoms
        for shared, finer in _divisions(query, ratio, scale):
            places = _places(library, ratio, allowed)
            if not len(places):
                continue
            numbers = [query.numbers[k] for k in finer]
            elements = library.arrays.element[_species(library, places, len(ratio))]
            found = assign(numbers, elements, ratio, base_distance(), 1)
            for row in cheapest(found.cost[:, 0], parents).tolist():
                mapping = tuple(found.mapping[row, 0].tolist())
                yield _Plan(float(found.cost[row, 0]), int(places[row]), "merged", mapping, tuple(finer), shared)


def _divisions(query: Query, ratio: tuple[int, ...], scale: int) -> Iterator[tuple[int, list[int]]]:
    """Which species of the query can stand for two species of a ratio, and the query species of each place of it."""
    wanted = [amount * scale for amount in query.amounts]
    for shared, amount in enumerate(wanted):
        for part in range(1, amount // 2 + 1):
            pieces = [(n, k) for k, n in enumerate(wanted) if k != shared] + [(part, shared), (amount - part, shared)]
            pieces.sort()
            if tuple([n for n, _ in pieces]) == ratio:
                yield shared, [k for _, k in pieces]


def _merged(library: TemplateLibrary, query: Query, plan: _Plan) -> Iterator[Derived]:
    parents_of: dict[int, list[int]] = {}
    for k, parent in zip(plan.numbers, plan.mapping, strict=True):
        parents_of.setdefault(k, []).append(parent)
    kept, absorbed = sorted(parents_of[plan.second])
    species = merge(library.species(plan.parent), kept, absorbed)
    moved = {k: min(parent) - (1 if min(parent) > absorbed else 0) for k, parent in parents_of.items()}
    elements = [query.elements[k] for k in sorted(moved, key=lambda k: moved[k])]
    crystal = canonical(elements, library.lattice(plan.parent), library.frac_coords(plan.parent), species)
    symbols, ratio = library.elements(plan.parent), library.ratio(plan.parent)
    starts = library.arrays.species_start[plan.parent]
    pairs = zip(plan.numbers, plan.mapping, strict=True)
    finer = tuple([(query.numbers[k], int(library.arrays.element[starts + p]), ratio[p]) for k, p in pairs])
    replaced = tuple(["+".join([symbols[p] for p in parents_of[k]]) for k in range(len(query.elements))])
    groups = set()
    for symprec in (SYMPREC, WIDE_SYMPREC):
        primitive, group = to_primitive(crystal, symprec)
        if group not in groups:
            entry = entry_of_primitive(library.ids[plan.parent], primitive, group)
            if entry.amounts == query.amounts and entry.elements == query.elements:
                yield Derived(entry, plan.parent, "merged", replaced, plan.cost, 1, 0, finer)
        groups.add(group)


# --------------------------------------------------------------------------------------------------------------- common


def _places(library: TemplateLibrary, ratio: tuple[int, ...], allowed: NDArray[np.bool_] | None) -> NDArray[np.int64]:
    part = library.class_slice(ratio)
    places = np.arange(part.start, part.stop)
    return places if allowed is None else places[allowed[part]]


def _species(library: TemplateLibrary, places: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    return library.arrays.species_start[places][:, None] + np.arange(size)


def _distinct_parents(library: TemplateLibrary, plans: list[_Plan], most: int) -> Iterator[_Plan]:
    """Plans whose parents differ in arrangement or in what is done with them: the cheapest of each."""
    seen: list[tuple[tuple[object, ...], NDArray[np.float32]]] = []
    for plan in plans:
        key = (
            plan.kind,
            plan.numbers,
            plan.second,
            library.space_group(plan.parent),
            int(library.arrays.formula_units[plan.parent]),
        )
        rows = library.rows(plan.parent)[list(plan.mapping)]
        if any(key == other and float(np.abs(rows - known).max()) < SAME for other, known in seen):
            continue
        seen.append((key, rows))
        yield plan
        if len(seen) >= most:
            return


def _same(one: Entry, other: Entry) -> bool:
    return (
        one.space_group == other.space_group
        and one.formula_units == other.formula_units
        and float(np.abs(np.asarray(one.rows) - np.asarray(other.rows)).max()) < SAME
    )


def derived_volume(library: TemplateLibrary, derived: Derived) -> float:
    """Volume per atom that a query has in a derived template, from that of the parent, Å^3/atom."""
    numbers, replaced, amounts = (list(part) for part in zip(*derived.finer, strict=True))
    parent = library.arrays.volume_per_atom[[derived.parent]].astype(np.float64)
    return float(exchange_volumes(numbers, amounts, np.array([replaced]), parent)[0])
