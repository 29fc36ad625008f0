"""What a score is worth: calibrated on pairs of structures and compositions that the towers never saw.

A pair is a structure of one kept-out formula and another kept-out formula of the same stoichiometry. It is positive if a
structure of that formula has the same anonymous prototype; for the question after the very structure, only if besides the
volumes per atom differ by at most 15 %. Fitted are probabilities by the score alone (isotonic regression), and by the score
and the composition's relatives (:mod:`builders.embeddings.towers.support`). All are probabilities *given that the compound
exists*: formulas that nobody has made are not among the pairs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from builders.embeddings.towers.sets import Sets
from builders.embeddings.towers.structure import PAIR_LENGTHS, TOKEN_LENGTHS, WHOLE_LENGTHS
from builders.embeddings.towers.support import SAME_VOLUME, SCALES, Support, fit, relatives_of, support_features
from builders.learning.retrieval import members_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from builders.embeddings.towers.model import Towers
    from builders.embeddings.towers.rows import Rows
    from builders.embeddings.towers.sets import Group
    from builders.embeddings.towers.train import Split

KINDS: Final = ("structure", "arrangement")
"""Questions: at about the given volume, and at any."""
TOP: Final = 10
_BINS: Final = 15
_NONE: Final = np.zeros(0, dtype=np.int64)
_KNOTS: Final = 60


class Pairs(NamedTuple):
    """Scored pairs.

    Attributes
    ----------
    score, positive : dict of str to numpy.ndarray
        shape=(n,), by kind of question; ``positive`` of bool.
    query : numpy.ndarray
        shape=(n,), int64; pairs of one structure stand together.
    features : numpy.ndarray or None
        shape=(n, 7), of :func:`support_features`.
    """

    score: dict[str, NDArray[Any]]
    positive: dict[str, NDArray[np.bool_]]
    query: NDArray[np.int64]
    features: NDArray[np.float64] | None = None

    def first(self, kind: str, k: int) -> Pairs:
        """The k best pairs of each structure: what a user sees."""
        order = np.lexsort((-self.score[kind], self.query))
        query = self.query[order]
        starts = np.concatenate([[True], query[1:] != query[:-1]])
        rank = np.arange(len(query)) - np.flatnonzero(starts)[np.cumsum(starts) - 1]
        kept = order[rank < k]
        score, positive = ({name: each[kept] for name, each in some.items()} for some in (self.score, self.positive))
        return Pairs(score, positive, self.query[kept])


def scaled_sets(sets: Sets, factor: float) -> Sets:
    """The same arrangements with all lengths times a factor."""

    def scaled(group: Group) -> Group:
        assert group.pairs is not None
        tokens, pairs, whole = group.tokens.copy(), group.pairs.copy(), group.whole.copy()
        tokens[..., TOKEN_LENGTHS] *= factor
        pairs[..., PAIR_LENGTHS] *= factor
        whole[..., WHOLE_LENGTHS] *= factor
        return replace(group, tokens=tokens, pairs=pairs, whole=whole)

    return Sets({k: scaled(group) for k, group in sets.groups.items()}, sets.members)


def scored_pairs(towers: Towers, rows: Rows, left: Sets, numbers: NDArray[np.int64], known: NDArray[np.int64]) -> Pairs:
    """Score the structures of some compositions against the others of the same stoichiometry.

    Parameters
    ----------
    towers : Towers
    rows : Rows
    left : Sets
        All compositions of the rows.
    numbers : numpy.ndarray
        Compositions that are asked about.
    known : numpy.ndarray
        Compositions whose structures are known: the relatives.
    """
    structures = np.flatnonzero(np.isin(rows.owner, numbers))
    asked = rows.structures.take(structures)
    vectors = np.stack([towers.embed_sets("right", scaled_sets(asked, factor)) for factor in SCALES], axis=1)
    candidates = towers.embed_sets("left", left.take(numbers))
    relatives = towers.embed_sets("left", left.take(known))
    prototypes = _prototypes(rows)
    size = volumes(rows)
    mine, theirs = members_of(rows.composition_label[numbers]), members_of(rows.composition_label[known])
    near = {label: relatives_of(candidates[some], relatives[theirs.get(label, _NONE)]) for label, some in mine.items()}
    features, arrangement, structure, asking = [], [], [], []
    for query, place in enumerate(structures.tolist()):
        label, wanted = int(rows.label[place]), rows.prototypes[place]
        others = np.flatnonzero(numbers[mine[label]] != rows.owner[place])
        if not len(others):
            continue
        around, asked_of = known[theirs.get(label, _NONE)].tolist(), mine[label][others]
        has = np.array([wanted in prototypes[number] for number in around], dtype=np.bool_)
        features.append(support_features(candidates[asked_of] @ vectors[query].T, near[label].take(others), has))
        found = [prototypes[number].get(wanted, []) for number in numbers[asked_of].tolist()]
        arrangement.append(np.array([bool(each) for each in found]))
        structure.append(np.array([_same_volume(size[place], size[each]) for each in found]))
        asking.append(np.full(len(others), query))
    together = np.concatenate(features)
    return Pairs(
        {"arrangement": together[:, 0], "structure": together[:, 1]},
        {"arrangement": np.concatenate(arrangement), "structure": np.concatenate(structure)},
        np.concatenate(asking),
        together,
    )


def volumes(rows: Rows) -> NDArray[np.float64]:
    """Volume per atom of each structure, Å^3, shape=(n,)."""
    found = np.zeros(len(rows.ids))
    for k, group in rows.structures.groups.items():
        found[rows.structures.members[k]] = group.whole[:, WHOLE_LENGTHS][:, 0].astype(np.float64) ** 3
    return found


def _same_volume(one: float, others: NDArray[np.float64]) -> bool:
    return bool((np.abs(np.log(others / one)) <= np.log(SAME_VOLUME)).any())


def _prototypes(rows: Rows) -> dict[int, dict[str, list[int]]]:
    """Structures of each composition by prototype."""
    found: dict[int, dict[str, list[int]]] = {}
    for place, (owner, prototype) in enumerate(zip(rows.owner.tolist(), rows.prototypes, strict=True)):
        found.setdefault(owner, {}).setdefault(prototype, []).append(place)
    return found


def calibrate(
    towers: Towers, rows: Rows, left: Sets, kept_out: Split
) -> tuple[dict[str, NDArray[np.float64]], dict[str, Support], dict[str, Any]]:
    """Learn probabilities on the development formulas, judge them on the test formulas.

    Returns
    -------
    dict of str to numpy.ndarray
        shape=(2, n): scores and probabilities, by kind of question.
    dict of str to Support
        The models that know of relatives, by kind of question.
    dict
        Of the test formulas, of all pairs and of the ten best of each structure: expected calibration error, Brier score,
        average precision, and how many pairs.
    """
    known = np.unique(rows.owner[kept_out.train(rows)])
    learned = scored_pairs(towers, rows, left, kept_out.development, known)
    assert learned.features is not None
    knots = {kind: isotonic(learned.score[kind], learned.positive[kind]) for kind in KINDS}
    support = {kind: fit(learned.features, learned.positive[kind], learned.query) for kind in KINDS}
    return knots, support, scores_of(knots, support, scored_pairs(towers, rows, left, kept_out.test, known))


def scores_of(knots: Mapping[str, NDArray[np.float64]], support: Mapping[str, Support], pairs: Pairs) -> dict[str, Any]:
    """Judge the probabilities of pairs, of all and of the ten best of each structure."""
    assert pairs.features is not None
    told = {
        **{f"{kind} by score": np.interp(pairs.score[kind], *knots[kind]) for kind in KINDS},
        **{f"{kind} by score and relatives": support[kind].probability(pairs.features) for kind in KINDS},
    }
    ranked = pairs._replace(score=told, features=None)
    found = {}
    for name, probability in told.items():
        top, kind = ranked.first(name, TOP), name.split()[0]
        found[name] = {
            "all": judge(probability, pairs.positive[kind]),
            f"first {TOP}": judge(top.score[name], top.positive[kind]),
        }
    return found


def isotonic(score: NDArray[Any], positive: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Rising probability of a score as a line through few points, shape=(2, n)."""
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(out_of_bounds="clip").fit(score, positive.astype(np.float64))
    # Quantiles crowd where most scores are; the top, where the likely ones are, needs points too.
    share = np.concatenate([np.linspace(0, 0.9, _KNOTS // 3), 1 - np.geomspace(0.1, 1e-4, _KNOTS)[1:], [1.0]])
    x = np.unique(np.quantile(score, share))
    y = np.maximum.accumulate(_smoothed(fitted.predict(x)))
    # Never certain: no number of pairs shows that something cannot be.
    return np.stack([x, np.clip(y, 0.5 / len(score), 1 - 0.5 / max(int(positive.sum()), 1))])


def _smoothed(y: NDArray[Any]) -> NDArray[np.float64]:
    kernel = np.array([1.0, 2.0, 1.0]) / 4.0
    padded = np.concatenate([y[:1], y, y[-1:]])
    return np.convolve(padded, kernel, mode="valid")


def judge(probability: NDArray[np.float64], positive: NDArray[np.bool_]) -> dict[str, float | int]:
    """Scores of probabilities.

    Examples
    --------
    >>> judge(np.array([0.0, 1.0]), np.array([False, True]))["ece"]
    0.0
    """
    from sklearn.metrics import average_precision_score

    return {
        "pairs": len(positive),
        "positive": float(positive.mean()),
        "ece": expected_calibration_error(probability, positive),
        "brier": float(((probability - positive) ** 2).mean()),
        "brier_constant": float(positive.mean() * (1 - positive.mean())),
        "average_precision": float(average_precision_score(positive, probability)),
    }


def expected_calibration_error(probability: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Mean difference of what was said and what came true, over bins of equal width, weighted by their pairs.

    Examples
    --------
    >>> expected_calibration_error(np.full(4, 0.5), np.array([True, True, False, False]))
    0.0
    """
    place = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    total = 0.0
    for each in np.unique(place):
        mine = place == each
        total += mine.sum() * abs(float(probability[mine].mean()) - float(positive[mine].mean()))
    return float(total / len(positive))
