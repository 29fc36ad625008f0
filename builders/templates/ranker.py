"""Which arrangement will a formula take? Calibrated probabilities for what retrieval proposes, with NumPy alone."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from builders.models.chosen import trained_folder
from builders.models.files import ARRAYS, read_together, written
from builders.models.portable import Forest, from_arrays
from builders.templates.features import base_cost, feature_names, features
from builders.templates.metric import LearnedMetric, metric_from
from builders.templates.prototypes import Arrangements, collapse
from store.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.templates.candidates import Proposals

FOLDER: Final = Path(__file__).parent / "weights"
MEND: Final = "ionatlas train embeddings --only ranker"
POOL: Final = 120
"""Templates that are worth looking at, at most."""
ALTERNATIVES: Final = 3
"""Mappings of each template that are looked at, at most."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """Arrangements for one query, most promising first.

    Attributes
    ----------
    proposal : numpy.ndarray
        shape=(n,), int; the best proposal of each arrangement: its template is the one to assemble.
    probability : numpy.ndarray
        shape=(n,); calibrated probability that a structure matcher (ltol 0.2, stol 0.3, angle 5) calls it the formula's most
        stable structure.
    share : numpy.ndarray
        shape=(n,); probability to be the very arrangement, if it is among those proposed; the sum is 1.
    support : numpy.ndarray
        shape=(n,), int; proposals of each arrangement.
    of : numpy.ndarray
        shape=(m,), int; rank (from 0) of the arrangement of every proposal.
    similarity : numpy.ndarray
        shape=(n, n), probability that a structure matcher calls two of them the same.
    """

    proposal: NDArray[np.int64]
    probability: NDArray[np.float64]
    share: NDArray[np.float64]
    support: NDArray[np.int64]
    of: NDArray[np.int64]
    similarity: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.proposal)


@dataclass(frozen=True, eq=False)
class Ranker:
    """Learned metrics, trees and calibration.

    Attributes
    ----------
    metrics : tuple of LearnedMetric
        Their scores are averaged.
    forests : tuple of Forest
        What they add to the logarithm of the metrics' vote; their sums are averaged.
    raw, calibrated, calibrated_first : numpy.ndarray
        shape=(knots,), ascending; from the share of an arrangement and its like to the probability of a match, linear between
        knots; of all, and of those that were chosen as the first of a query.
    card : dict
    """

    metrics: tuple[LearnedMetric, ...]
    forests: tuple[Forest, ...]
    raw: NDArray[np.float64]
    calibrated: NDArray[np.float64]
    calibrated_first: NDArray[np.float64]
    card: dict[str, Any]

    def rank(self, proposals: Proposals) -> Ranking:
        """Rank the arrangements of the proposals for one query.

        Returns
        -------
        Ranking
            Empty where there are no proposals.
        """
        if not len(proposals):
            none = np.zeros(0)
            place = np.zeros(0, np.int64)
            return Ranking(place, none, none, place, place, np.zeros((0, 0), np.float32))
        arrangements = collapse(proposals.rows, proposals.formula_units, proposals.space_group)
        base = base_cost(proposals)
        learned = [metric.scores(proposals, base) for metric in self.metrics]
        described = features(proposals, arrangements, learned).astype(np.float32).astype(np.float64)
        score = first_score(described) + np.mean([forest.predict(described) for forest in self.forests], axis=0)
        return self.ordered(arrangements, np.mean(learned, axis=0), softmax(score))

    def ordered(self, arrangements: Arrangements, learned: NDArray[np.float64], share: NDArray[np.float64]) -> Ranking:
        """Order arrangements by what each adds (:func:`covering_order`).

        Parameters
        ----------
        arrangements : Arrangements
        learned : numpy.ndarray
            shape=(m,); the best proposal of an arrangement is the one with the largest.
        share : numpy.ndarray
            shape=(n,), probability of each arrangement among those proposed.
        """
        order, probability = self.judged(share, arrangements.similarity)
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        by_worth = np.lexsort((-learned, arrangements.of))
        best = by_worth[np.r_[True, np.diff(arrangements.of[by_worth]) > 0]]
        return Ranking(
            proposal=best[order],
            probability=probability,
            share=share[order],
            support=np.bincount(arrangements.of, minlength=len(order))[order],
            of=rank[arrangements.of],
            similarity=arrangements.similarity[np.ix_(order, order)],
        )

    def judged(
        self, share: NDArray[np.float64], similarity: NDArray[np.floating]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Order arrangements, and say how likely each is a match.

        Returns
        -------
        order : numpy.ndarray
            shape=(n,), arrangements, the first first.
        probability : numpy.ndarray
            shape=(n,), in that order. What was chosen as the best of many has a curve of its own, and nothing below it is
            said to be likelier.
        """
        order = covering_order(share, similarity)
        match = similarity.astype(np.float64)[order] @ share
        probability = np.interp(match, self.raw, self.calibrated)
        probability[0] = np.interp(match[0], self.raw, self.calibrated_first)
        return order, np.minimum(probability, probability[0])


def first_score(described: NDArray[np.floating]) -> NDArray[np.float64]:
    """Logarithm of the learned metric's vote, which the trees correct; shape=(n, n_features) to (n,)."""
    vote = described[:, feature_names().index("learned vote")]
    return np.log(np.asarray(vote, np.float64) + 1e-6)


def softmax(score: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares that sum to one."""
    weight = np.exp(score - score.max())
    share: NDArray[np.float64] = weight / weight.sum()
    return share


def covering_order(share: NDArray[np.float64], similarity: NDArray[np.floating], places: int = 30) -> NDArray[np.int64]:
    """Order arrangements so that each adds most to the chance that one of the list is right.

    The chance that a list holds a match is the sum over arrangements of their share times the likeness of the nearest one in
    the list. What resembles something above it adds little.

    Parameters
    ----------
    share : numpy.ndarray
        shape=(n,), probability of each to be the arrangement itself.
    similarity : numpy.ndarray
        shape=(n, n), probability that two would be called the same.
    places : int
        After so many the rest follows by share.

    Examples
    --------
    >>> alike = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]])
    >>> covering_order(np.array([0.4, 0.35, 0.25]), alike).tolist()
    [0, 2, 1]
    """
    alike = similarity.astype(np.float64)
    covered = np.zeros(len(share))
    left = np.ones(len(share), bool)
    chosen: list[int] = []
    for _ in range(min(places, len(share))):
        gain = share @ np.maximum(alike - covered[:, None], 0.0) + 1e-9 * share
        best = int(np.argmax(np.where(left, gain, -1.0)))
        chosen.append(best)
        left[best] = False
        covered = np.maximum(covered, alike[:, best])
    rest = np.flatnonzero(left)
    return np.array([*chosen, *rest[np.argsort(-share[rest], kind="stable")].tolist()], np.int64)


def load_ranker(path: Path | None = None) -> Ranker:
    """Read the ranker; one that did not change on disk is read once.

    Parameters
    ----------
    path : pathlib.Path, optional
        Folder of weights and card; by default that of the setting IONATLAS_EMBEDDINGS, else the one that ships.

    Raises
    ------
    UsageError
        There is no ranker in the folder, or its files do not belong together.
    """
    folder = (path or trained_folder("ranker", FOLDER)).resolve()
    return _read(folder, written(folder))


@lru_cache(maxsize=2)
def _read(folder: Path, written: tuple[tuple[int, int], ...]) -> Ranker:
    content, card = read_together(
        folder, ARRAYS, absent="There is no ranker of templates", foreign="The weights", mend=MEND
    )
    if card.get("features") != feature_names():
        raise UsageError(f"The ranker in {folder} was trained with other features than this version's.", mend=MEND)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        forests = tuple([from_arrays(f"forest{k}", arrays) for k in range(int(card["forests"]))])
        metrics = tuple([metric_from(arrays, f"metric{k}.") for k in range(int(card["metrics"]))])
        assert all(isinstance(forest, Forest) for forest in forests)
        return Ranker(metrics, forests, arrays["raw"], arrays["calibrated"], arrays["calibrated_first"], card)  # type: ignore[arg-type]
    except (KeyError, ValueError, TypeError) as error:
        raise UsageError(
            f"The ranker in {folder} cannot be read: {type(error).__name__}: {error}.", mend=MEND
        ) from error
