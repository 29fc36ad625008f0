"""Inverse retrieval: a structure in, compositions that could take it out, the likeliest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from builders.embeddings.towers.composition import Composition, charge_note
from builders.embeddings.towers.support import GIVEN, SCALES, Relatives, relatives_of, support_features
from indexes.inverse.enumerate import enumerate_compositions, oxidation_states, read_ratio
from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from indexes.inverse.space import CompositionSpace
    from store.crystal import Crystal

NEAREST: Final = 3
MOST_SCORED: Final = 50_000


class KnownMember(NamedTuple):
    """A known compound with the structure's prototype.

    Attributes
    ----------
    formula, id : str
    similarity : float
        Cosine of the compositions' vectors, at most 1.
    """

    formula: str
    id: str
    similarity: float


@dataclass(frozen=True)
class InverseCandidate:
    """A composition that could take the structure.

    Attributes
    ----------
    rank : int
        From 1.
    formula : str
    composition : dict
        ``{element: amount}``.
    score : float
        Inner product of the vectors, -1 to 1; the best over volumes where the volume is free.
    probability : float
        Calibrated, of compounds that exist and are not in the library: how often one with this score and these relatives
        has the prototype at about the given volume (within 15 % an atom), or with ``any_volume`` at any. A composition that
        nobody has made may not exist at all. NaN for other stoichiometries.
    known : bool
        Whether the library has a structure of this composition.
    known_ids : tuple of str
        Its structures.
    has_prototype : bool
        Whether one of them has the prototype already.
    nearest_known : tuple of KnownMember
        Other compounds with the prototype, most alike first.
    mapping : dict
        Which element of the structure each element stands for; empty for other stoichiometries.
    oxidation_states : dict or None
        A guess; None where no neutral assignment was found.
    scale : float
        Factor of the structure's lengths at which the score was found.
    """

    rank: int
    formula: str
    composition: dict[str, int]
    score: float
    probability: float
    known: bool
    known_ids: tuple[str, ...]
    has_prototype: bool
    nearest_known: tuple[KnownMember, ...]
    mapping: dict[str, str]
    oxidation_states: dict[str, float] | None
    scale: float


class _Pool(NamedTuple):
    """Candidates of one stoichiometry."""

    compositions: list[Composition]
    vectors: NDArray[np.float32]
    known: NDArray[np.int64]
    """number in the class; -1 for new ones"""
    relatives: Relatives | None
    """None for another stoichiometry than the structure's"""


class _Query(NamedTuple):
    elements: tuple[str, ...]
    ratio: tuple[int, ...]
    vectors: NDArray[np.float32]
    """one a volume"""
    members: NDArray[np.int64]
    """places of the library's structures with the query's prototype"""
    has: NDArray[np.bool_]
    """of the known compositions of the ratio: whether one of these is theirs"""


class _Scored(NamedTuple):
    composition: Composition
    formula: str
    number: int
    score: float
    probability: float
    scale: float


def inverse(
    structure: Crystal | str,
    space: CompositionSpace,
    k: int = 20,
    *,
    elements: Iterable[str] | None = None,
    required: Iterable[str] = (),
    charge_balanced: bool = False,
    stored: bool = True,
    ratios: Sequence[str | Sequence[int]] | None = None,
    any_volume: bool = False,
    exclude: Iterable[str] = (),
) -> list[InverseCandidate]:
    """Find compositions that could take a structure.

    Parameters
    ----------
    structure : Crystal or str
        Any crystal, known or not, or the id of one in the library.
    space : CompositionSpace
        The compositions that are known.
    k : int
        How many; fewer come back where fewer are there.
    elements : iterable of str, optional
        At most these occur; and with them, compositions are made up that are not known.
    required : iterable of str
        These all occur.
    charge_balanced : bool
        Only compositions that are neutral with one oxidation state of each element.
    stored : bool
        Look among the known compositions too.
    ratios : sequence, optional
        Other stoichiometries, such as ``"1:2:4"``, to look among instead of the structure's own.
    any_volume : bool
        Ask who could take this arrangement at whatever volume, instead of at about the volume it has. The score is then the
        best of several volumes (0.80 to 1.23 of the given one).
    exclude : iterable of str
        Formulas to leave out.

    Returns
    -------
    list of InverseCandidate
        Best first: by probability, then score. With ``ratios`` by score, which alone compares across stoichiometries.

    Raises
    ------
    StructureError
        The crystal is impossible.
    UsageError
        k below 1, unknown elements, or too many compositions; there is nothing to look among.
    UnknownId
        The library does not have the id.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> from indexes.inverse.space import CompositionSpace
    >>> from indexes.templates.library import TemplateLibrary
    >>> salt = Crystal.from_lists([[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]], ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> space = CompositionSpace(TemplateLibrary.from_entries([]).with_crystals({"salt": salt}))
    >>> found = inverse(salt, space, 2, elements=["Na", "K", "Cl", "O"], charge_balanced=True)
    >>> sorted((each.formula, each.known) for each in found)
    [('KCl', False), ('NaCl', True)]
    """
    if k < 1:
        raise UsageError(f"k, the number of compositions, is at least 1; it was {k}.")
    allowed = None if elements is None else frozenset([*_several(elements), *_several(required)])
    wanted = frozenset(_several(required))
    if not stored and allowed is None:
        raise UsageError(
            "Without known compositions there is nothing to look among.", mend="name elements, e.g. --elements Li,P,S"
        )
    query = _ask(structure, space)
    left_out = _excluded(exclude)
    scored: list[_Scored] = []
    for ratio in [query.ratio] if ratios is None else list(dict.fromkeys(map(read_ratio, ratios))):
        pool = _pool(space, ratio, allowed, wanted, charge_balanced, stored, ratio == query.ratio)
        if pool.compositions:
            # A few more than asked for, so that what is left out does not leave gaps.
            scored += _best(pool, query, space, k + len(left_out), any_volume, ratios is None)
    scored = [each for each in scored if each.composition not in left_out]
    scored.sort(key=lambda each: (-each.probability if ratios is None else 0.0, -each.score, each.formula))
    return [_candidate(rank, each, query, space) for rank, each in enumerate(scored[:k], start=1)]


def _best(
    pool: _Pool, query: _Query, space: CompositionSpace, k: int, any_volume: bool, by_probability: bool
) -> list[_Scored]:
    """The best candidates of a stoichiometry."""
    scores = pool.vectors @ query.vectors.T
    probability = np.full(len(scores), np.nan)
    if pool.relatives is not None:
        support = space.towers.support["arrangement" if any_volume else "structure"]
        probability = support.probability(support_features(scores, pool.relatives, query.has))
    chosen = scores.argmax(axis=1) if any_volume else np.full(len(scores), GIVEN)
    values = scores[np.arange(len(scores)), chosen]
    order = np.lexsort((-values, -probability)) if by_probability else np.argsort(-values, kind="stable")
    return [
        _Scored(
            pool.compositions[place],
            pool.compositions[place].formula,
            int(pool.known[place]),
            float(values[place]),
            float(probability[place]),
            SCALES[int(chosen[place])],
        )
        for place in order[:k].tolist()
    ]


def _several(given: Iterable[str]) -> list[str]:
    return [part.strip() for part in given.split(",") if part.strip()] if isinstance(given, str) else list(given)


def _excluded(formulas: Iterable[str]) -> set[Composition]:
    from builders.embeddings.towers.composition import composition_of

    return {composition_of(each) for each in _several(formulas)}


def _ask(structure: Crystal | str, space: CompositionSpace) -> _Query:
    from builders.embeddings.towers.structure import described

    crystal = space.library.crystal(space.library.place(structure)) if isinstance(structure, str) else structure
    features, prototype = described(crystal)
    part = space.library.class_slice(features.amounts)
    members = np.array(
        [place for place in range(part.start, part.stop) if space.library.prototype(place) == prototype], dtype=np.int64
    )
    return _Query(
        features.elements,
        features.amounts,
        space.towers.embed_features([features.scaled(scale) for scale in SCALES]),
        members,
        np.array(
            [bool(np.isin(places, members).any()) for places in space.of(features.amounts).places], dtype=np.bool_
        ),
    )


def _pool(
    space: CompositionSpace,
    ratio: tuple[int, ...],
    allowed: frozenset[str] | None,
    wanted: frozenset[str],
    charge_balanced: bool,
    stored: bool,
    own_ratio: bool,
) -> _Pool:
    """Known compositions, and with named elements the unknown ones too."""
    known = space.of(ratio)
    kept = [
        number
        for number, each in enumerate(known.compositions if stored else ())
        if (allowed is None or allowed.issuperset(each.elements))
        and wanted.issubset(each.elements)
        and (not charge_balanced or oxidation_states(each) is not None)
    ]
    numbers = np.array(kept, dtype=np.int64)
    new = [] if allowed is None else _new(set(known.compositions), ratio, allowed, wanted, charge_balanced)
    vectors = space.towers.embed_compositions(new)
    relatives = None
    if own_ratio:
        mine, theirs = known.relatives.take(numbers), relatives_of(vectors, known.vectors)
        relatives = Relatives(
            np.concatenate([mine.number, theirs.number]), np.concatenate([mine.likeness, theirs.likeness])
        )
    return _Pool(
        [known.compositions[number] for number in kept] + new,
        np.concatenate([known.vectors[numbers], vectors]),
        np.concatenate([numbers, np.full(len(new), -1, dtype=np.int64)]),
        relatives,
    )


def _new(
    there: set[Composition],
    ratio: tuple[int, ...],
    allowed: frozenset[str],
    wanted: frozenset[str],
    charge_balanced: bool,
) -> list[Composition]:
    """Compositions of some elements that are not known."""
    listed = enumerate_compositions(allowed, ratio, charge_balanced=charge_balanced, required=wanted)
    new = [each for each in listed if each not in there]
    if len(new) > MOST_SCORED:
        raise UsageError(
            f"{len(new):,} new compositions of the stoichiometry {':'.join(map(str, ratio))} are possible; at most "
            f"{MOST_SCORED:,} are compared.",
            mend="name fewer elements, or ask for charge-balanced ones only (--charge-balanced)",
        )
    return new


def _candidate(rank: int, each: _Scored, query: _Query, space: CompositionSpace) -> InverseCandidate:
    composition = each.composition
    known = space.of(composition.amounts)
    own = known.places[each.number] if each.number >= 0 else np.zeros(0, dtype=np.int64)
    return InverseCandidate(
        rank=rank,
        formula=each.formula,
        composition=composition.as_dict(),
        score=each.score,
        probability=each.probability,
        known=each.number >= 0,
        known_ids=tuple(space.library.ids[place] for place in own.tolist()),
        has_prototype=bool(np.isin(own, query.members).any()),
        nearest_known=_nearest(composition, query, space),
        mapping=_mapping(composition, query.elements) if composition.amounts == query.ratio else {},
        oxidation_states=charge_note(composition),
        scale=each.scale,
    )


def _nearest(composition: Composition, query: _Query, space: CompositionSpace) -> tuple[KnownMember, ...]:
    """The compounds with the query's prototype that are most like a composition, itself left out."""
    if not len(query.members):
        return ()
    known = space.of(query.ratio)
    members, numbers = set(query.members.tolist()), np.flatnonzero(query.has)
    own = space.towers.embed_compositions([composition])[0]
    likeness = known.vectors[numbers] @ own
    found = []
    for place in np.argsort(-likeness, kind="stable").tolist():
        each = known.compositions[numbers[place]]
        if each != composition:
            which = next(p for p in known.places[numbers[place]].tolist() if p in members)
            found.append(KnownMember(each.formula, space.library.ids[which], min(float(likeness[place]), 1.0)))
        if len(found) == NEAREST:
            break
    return tuple(found)


def _mapping(composition: Composition, elements: tuple[str, ...]) -> dict[str, str]:
    """Which element of the structure each element stands for: of equal amounts, the most alike."""
    from scipy.optimize import linear_sum_assignment

    from builders.embeddings.elements import element_table
    from builders.embeddings.towers.composition import table

    row, amounts = element_table().row, np.array(composition.amounts)
    if not row.keys() >= set(elements):
        return {}  # the structure may hold elements beyond plutonium
    mine = table()[[row[symbol] for symbol in composition.elements]]
    theirs = table()[[row[symbol] for symbol in elements]]
    cost = np.sqrt(((mine[:, None] - theirs[None]) ** 2).sum(axis=2))
    # Only species of the same amount can stand for each other.
    cost = np.where(amounts[:, None] == amounts[None], cost, 1e6)
    first, second = linear_sum_assignment(cost)
    return {composition.elements[a]: elements[b] for a, b in zip(first.tolist(), second.tolist(), strict=True)}
