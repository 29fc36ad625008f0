"""Candidates from derived templates: what a formula is offered when its own stoichiometry has few templates or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from builders.structures.symmetry import group_type
from builders.templates.assemble import assemble
from builders.templates.candidates import Candidate
from indexes.templates.derived import derive, derived_volume

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from builders.templates.query import Query
    from indexes.templates.derived import Derived
    from indexes.templates.library import TemplateLibrary

FEW: Final = 5
"""Templates of a stoichiometry below which derived ones are offered too."""

TOTAL: Final = 0.17
"""How often one of the first ten derived templates is right where none of the query's own stoichiometry is: 11 of 66 formulas
(``benchmarks/csp_derived.py``)."""
TEMPERATURE: Final = 3.0
"""How fast the probability of derived templates falls with their cost."""
SPARE: Final = 3
"""Derived templates beyond those wanted: in some of them atoms overlap."""


def derived_candidates(
    library: TemplateLibrary,
    query: Query,
    top: int = 10,
    *,
    allowed: NDArray[np.bool_] | None = None,
    left: float = 1.0,
    first_rank: int = 1,
) -> list[Candidate]:
    """Predict structures of a formula from templates of other stoichiometries.

    Parameters
    ----------
    library : TemplateLibrary
    query : Query
    top : int
        Most candidates.
    allowed : numpy.ndarray, optional
        shape=(len(library),), bool: which templates may be parents.
    left : float
        Probability that no template of the query's own stoichiometry is right; what the derived ones share.
    first_rank : int
        Rank of the first of them.

    Returns
    -------
    list of Candidate
        Likeliest first, ``derived`` set, each with a warning that names what was done. Their probabilities are estimates
        from how often derivation succeeds at all; they are no calibrated scores.

    Examples
    --------
    >>> from builders.templates.query import read_query
    >>> from indexes.templates.library import TemplateLibrary
    >>> from store.crystal import Crystal
    >>> lattice = 5.5 * (np.ones((3, 3)) - np.eye(3)) / 2
    >>> fluorite = Crystal.from_lists(lattice, ["Ca", "F", "F"], [[0, 0, 0], [0.25] * 3, [0.75] * 3])
    >>> library = TemplateLibrary.from_entries([]).with_crystals({"fluorite": fluorite})
    >>> found = derived_candidates(library, read_query("NiTiSn"))
    >>> found[0].template_id, found[0].space_group_symbol, found[0].derived
    ('fluorite', 'F-43m', True)
    """
    made: list[tuple[Derived, Candidate]] = []
    for each in derive(library, query, allowed=allowed, top=top + SPARE):
        candidate = _candidate(library, query, each)
        if candidate is not None:
            made.append((each, candidate))
        if len(made) == top:
            break
    shares = _shares([each.cost for each, _ in made])
    return [
        _ranked(candidate, first_rank + place, left * TOTAL * share)
        for place, ((_, candidate), share) in enumerate(zip(made, shares, strict=True))
    ]


def _candidate(library: TemplateLibrary, query: Query, derived: Derived) -> Candidate | None:
    entry = derived.entry
    identity = list(range(len(query.elements)))
    volume = derived_volume(library, derived)
    made = assemble(
        query,
        identity,
        np.asarray(entry.lattice, np.float64),
        np.asarray(entry.frac_coords, np.float64),
        np.asarray(entry.species),
        volume,
    )
    if made is None:
        return None
    parent = library.formula(derived.parent)
    done = "by ordering one species into two" if derived.kind == "ordered" else "by letting two species become one"
    warnings = [f"derived from {parent}, which has another stoichiometry, {done}; its probability is an estimate"]
    if made.stretched:
        warnings.append("the cell was stretched to keep atoms apart")
    return Candidate(
        rank=0,
        probability=0.0,
        score=-derived.cost,
        template_id=library.ids[derived.parent],
        template_formula=parent,
        mapping=dict(zip(query.elements, derived.replaced, strict=True)),
        space_group_number=entry.space_group,
        space_group_symbol=group_type(entry.space_group).symbol,
        crystal=made.crystal,
        volume_per_atom=made.volume_per_atom,
        derived=True,
        warnings=tuple(warnings),
    )


def _shares(costs: Sequence[float]) -> list[float]:
    if not costs:
        return []
    weight = np.exp(-(np.array(costs) - min(costs)) / TEMPERATURE)
    shares: list[float] = (weight / weight.sum()).tolist()
    return shares


def _ranked(candidate: Candidate, rank: int, probability: float) -> Candidate:
    from dataclasses import replace

    return replace(candidate, rank=rank, probability=probability, score=float(np.log(max(probability, 1e-12))))
