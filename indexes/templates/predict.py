"""Template-based structure prediction: a formula in, distinct crystals out, the likeliest first.

Templates of the formula's stoichiometry are retrieved, the query's elements put in by optimal assignment, arrangements that are
the same collapsed and ranked by calibrated probability, cells scaled, overlapping atoms rejected (:mod:`builders.templates`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from builders.structures.symmetry import group_type
from builders.templates.assemble import assemble
from builders.templates.candidates import Candidate
from builders.templates.fusion import with_energies
from builders.templates.query import Query, ratio_text, read_query
from builders.templates.ranker import ALTERNATIVES, POOL, Ranker, load_ranker
from builders.templates.volumes import exchange_volumes, mean_volume
from indexes.templates.offers import FEW as FEW_TO_DERIVE
from indexes.templates.offers import derived_candidates
from indexes.templates.questions import proposals_of
from indexes.templates.retrieve import excluded_rows, retrieve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from builders.templates.assemble import Assembled
    from builders.templates.ranker import Ranking
    from indexes.templates.library import TemplateLibrary
    from indexes.templates.retrieve import Retrieved
    from store.crystal import Crystal

    EnergiesOf = Callable[[Sequence[Crystal]], NDArray[np.float64]]

MOST: Final = 100
"""Candidates that may be asked for."""
FEW: Final = 20
"""Templates of a stoichiometry below which a note says so: probabilities were learned where there are more."""
LOOKED_AT: Final = 10
"""Arrangements that get an energy, where energies are asked for."""
LEFT_TO_DERIVE: Final = 0.3
"""Probability that no arrangement of the own stoichiometry is right, from which on templates are derived too."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """Candidates for one formula.

    Attributes
    ----------
    query : Query
    candidates : list of Candidate
        The likeliest first; fewer than asked for, or none, where there are no more distinct ones.
    n_class : int
        Templates of the formula's stoichiometry that were looked among.
    n_arrangements : int
        Distinct arrangements among those worth looking at.
    notes : tuple of str
        What the reader must know: no template, few templates, clashes.
    seconds : float
    """

    query: Query
    candidates: list[Candidate]
    n_class: int
    n_arrangements: int
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


def predict(
    library: TemplateLibrary,
    formula: str | Mapping[str, float] | Query,
    top: int = 10,
    *,
    exclude_formulas: Iterable[str | Mapping[str, float] | Query] = (),
    exclude_own: bool = False,
    allowed: NDArray[np.bool_] | None = None,
    space_group: int | None = None,
    derived: bool | None = None,
    energies: EnergiesOf | None = None,
    ranker: Ranker | None = None,
) -> Prediction:
    """Predict which crystal structures a composition may take.

    Parameters
    ----------
    library : TemplateLibrary
    formula : str, mapping or Query
        Formula units are found by the templates: Li2O and Li4O2 are the same question.
    top : int
        Most candidates, 1 to 100.
    exclude_formulas : iterable
        Templates of these formulas are not used.
    exclude_own : bool
        Nor those of the formula itself.
    allowed : numpy.ndarray, optional
        shape=(len(library),), bool: templates that may be used.
    space_group : int, optional
        Only candidates of this space group; probabilities stay those among all.
    derived : bool, optional
        Whether templates are derived from those of other stoichiometries too; by default where the formula's own has few, or
        where what it has is likely all wrong.
    energies : callable, optional
        From crystals to eV/atom (NaN where unknown); asked once, for the first :data:`LOOKED_AT` candidates, which it then
        helps to order (:mod:`builders.templates.fusion`).
    ranker : Ranker, optional
        By default the one that ships.

    Returns
    -------
    Prediction

    Raises
    ------
    UsageError
        The formula cannot be read, or ``top`` or ``space_group`` cannot be.

    Examples
    --------
    >>> from indexes.templates.library import TemplateLibrary
    >>> from store.crystal import Crystal
    >>> salt = Crystal.from_lists([[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]], ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> found = predict(TemplateLibrary.from_entries([]).with_crystals({"salt": salt}), "KBr")
    >>> [(each.template_id, each.mapping, each.space_group_symbol) for each in found.candidates]
    [('salt', {'Br': 'Cl', 'K': 'Na'}, 'Fm-3m')]
    """
    _check(top, space_group)
    started = time.perf_counter()
    query = formula if isinstance(formula, Query) else read_query(formula)
    exclude_formulas = list(exclude_formulas)
    found = retrieve(
        library, query, exclude_formulas=exclude_formulas, exclude_own=exclude_own, allowed=allowed, top=POOL,
        alternatives=ALTERNATIVES,
    )  # fmt: skip
    judge = ranker or load_ranker()
    maker = _Maker(library, found, judge.rank(proposals_of(library, found)))
    if energies is not None:
        maker.weigh(judge, energies)
    ranking = maker.ranking
    candidates: list[Candidate] = []
    for place in range(len(ranking)):
        if len(candidates) == top:
            break
        made = maker.candidate(place, len(candidates) + 1)
        if made is not None and space_group in (None, made.space_group_number):
            candidates.append(made)
    left = max(0.0, 1.0 - float(ranking.probability.sum()))
    if derived or (derived is None and (found.n_class < FEW_TO_DERIVE or left > LEFT_TO_DERIVE)):
        usable = _usable(library, query, exclude_formulas, exclude_own, allowed)
        others = derived_candidates(library, query, top, allowed=usable, left=left)
        fitting = [each for each in others if space_group in (None, each.space_group_number)]
        candidates = _merged(candidates, fitting)[:top]
    notes = _notes(library, query, found.n_class, maker.clashes, candidates, space_group)
    return Prediction(query, candidates, found.n_class, len(ranking), notes, time.perf_counter() - started)


class _Maker:
    """Makes crystals of ranked arrangements, each once."""

    def __init__(self, library: TemplateLibrary, found: Retrieved, ranking: Ranking) -> None:
        self.library = library
        self.found = found
        self.ranking = ranking
        self.clashes = 0
        given = library.arrays.volume_per_atom[found.templates]
        self._volumes = exchange_volumes(found.query.numbers, found.query.amounts, found.elements(library), given)
        self._made: dict[int, Assembled | None] = {}
        self._energies: dict[int, float] = {}

    def weigh(self, ranker: Ranker, energies: EnergiesOf) -> None:
        """Ask for the energies of the first arrangements and rank again."""
        count = min(LOOKED_AT, len(self.ranking))
        made = [self.assembled(place) for place in range(count)]
        places = [place for place, each in enumerate(made) if each is not None]
        values, clashes = np.full(len(self.ranking), np.nan), np.zeros(len(self.ranking), bool)
        clashes[[place for place in range(count) if made[place] is None]] = True
        if places:
            values[places] = energies([each.crystal for each in made if each is not None])
        for place in places:
            if np.isfinite(values[place]):
                self._energies[int(self.ranking.proposal[place])] = float(values[place])
        self.ranking = with_energies(ranker, self.ranking, values, clashes)

    def assembled(self, place: int) -> Assembled | None:
        """The crystal of an arrangement at the volume that its members foretell; None where atoms clash."""
        row = int(self.ranking.proposal[place])
        if row not in self._made:
            found, library, template = self.found, self.library, int(self.found.templates[row])
            members = np.flatnonzero(self.ranking.of == place)
            self._made[row] = assemble(
                found.query,
                found.mapping[row],
                library.lattice(template),
                library.frac_coords(template),
                library.species(template),
                mean_volume(self._volumes[members], found.base[members]),
            )
        return self._made[row]

    def candidate(self, place: int, rank: int) -> Candidate | None:
        """The finished candidate of an arrangement; clashes are counted."""
        made = self.assembled(place)
        if made is None:
            self.clashes += 1
            return None
        row = int(self.ranking.proposal[place])
        template = int(self.found.templates[row])
        number = self.library.space_group(template)
        return Candidate(
            rank=rank,
            probability=float(self.ranking.probability[place]),
            score=float(np.log(max(float(self.ranking.share[place]), 1e-12))),
            template_id=self.library.ids[template],
            template_formula=self.library.formula(template),
            mapping=self.found.pairs(self.library, row),
            space_group_number=number,
            space_group_symbol=group_type(number).symbol,
            crystal=made.crystal,
            volume_per_atom=made.volume_per_atom,
            energy=self._energies.get(row),
            warnings=("the cell was stretched to keep atoms apart",) if made.stretched else (),
        )


def _merged(own: list[Candidate], derived: list[Candidate]) -> list[Candidate]:
    """Let derived candidates in before the first whose probability is smaller; the ranker's order stays."""
    merged: list[Candidate] = []
    waiting = list(derived)
    for each in own:
        while waiting and waiting[0].probability > each.probability:
            merged.append(waiting.pop(0))
        merged.append(each)
    merged += waiting
    return [replace(each, rank=rank) for rank, each in enumerate(merged, start=1)]


def _usable(
    library: TemplateLibrary,
    query: Query,
    formulas: Iterable[str | Mapping[str, float] | Query],
    exclude_own: bool,
    allowed: NDArray[np.bool_] | None,
) -> NDArray[np.bool_]:
    """Which templates may be parents of derived ones."""
    usable = np.ones(len(library), bool) if allowed is None else allowed.copy()
    excluded = [each if isinstance(each, Query) else read_query(each) for each in formulas]
    for each in [*excluded, query] if exclude_own else excluded:
        part = library.class_slice(each.ratio)
        usable[part] &= ~excluded_rows(library, each.ratio, [each])
    return usable


def _check(top: int, space_group: int | None) -> None:
    from store.errors import UsageError

    if not 1 <= top <= MOST:
        raise UsageError(f"{top} candidates cannot be given.", mend=f"ask for 1 to {MOST}")
    if space_group is not None and not 1 <= space_group <= 230:
        raise UsageError(f"There is no space group {space_group}.", mend="give its number, 1 to 230")


def _notes(
    library: TemplateLibrary,
    query: Query,
    n_class: int,
    clashes: int,
    candidates: list[Candidate],
    space_group: int | None,
) -> tuple[str, ...]:
    told = []
    ratio = ratio_text(query.ratio)
    if not n_class:
        told.append(
            f"The library of {len(library):,} templates holds none of the stoichiometry {ratio}{_near(library, query)}."
        )
    elif n_class < FEW:
        told.append(
            f"Only {n_class} template{'s' if n_class > 1 else ''} of the stoichiometry {ratio}: probabilities were learned where "
            "there are more, and say little here."
        )
    if clashes:
        many = clashes > 1
        told.append(
            f"{clashes} arrangement{'s were' if many else ' was'} left out: atoms would overlap in {'them' if many else 'it'}."
        )
    if space_group is not None and n_class and not candidates:
        told.append(f"None of the candidates has the space group {space_group}.")
    return tuple(told)


def _near(library: TemplateLibrary, query: Query) -> str:
    """Name the stoichiometries of as many elements that are nearest to the query's, with how many templates they have."""
    share = np.array(query.ratio) / sum(query.ratio)
    near: list[tuple[float, Any]] = []
    for ratio, count in library.ratios().items():
        if len(ratio) == len(share):
            apart = float(np.abs(np.array(ratio) / sum(ratio) - share).sum())
            near.append((apart - 0.01 * float(np.log(count)), (ratio, count)))
    if not near:
        return ""
    told = ", ".join(f"{ratio_text(ratio)} ({count:,})" for _, (ratio, count) in sorted(near)[:3])
    return f"; the nearest with templates are {told}"
