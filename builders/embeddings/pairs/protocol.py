"""The de-biased protocol of CSPML's 2024 code: which compounds are split how, and which pairs are asked about.

The pairs of the 2022 paper came mostly from a few ratios, and most of them had two different ratios, which says all. Since then:

1. One compound a formula (the lowest in energy); those of the benchmark for prediction are taken out.
2. A class is a ratio with at least 10 compounds; all others form one class. Each class is divided 60 / 20 / 20 at random into
   training, validation and test; five such splits.
3. Inside a part, no ratio keeps more compounds than 1 % of the part (drawn at random).
4. Pairs are made inside a ratio and inside a part: all that are alike, and as many drawn from the others (all of them, if
   there are fewer). Ratios without a pair that is alike give none.

What "alike" means is asked of the caller: CSPML compares CrystalNN fingerprints, ionatlas its arrangements
(:mod:`builders.embeddings.structure.arrangement`).

Source: the notebooks of https://github.com/Minoru938/CSPML (2024), which Liu et al., npj Comput. Mater. (2024),
https://doi.org/10.1038/s41524-024-01471-8, describes in its supplement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SEED: Final = 1122
SPLITS: Final = 5
SHARES: Final = (0.6, 0.2, 0.2)
SMALLEST_CLASS: Final = 10
LARGEST_SHARE: Final = 0.01
TRAIN, VALIDATION, TEST = 0, 1, 2


class Alike(Protocol):
    """Tells which compounds of one ratio are alike."""

    def __call__(self, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Two lists of rows, shape=(n_pairs,) each, all of one ratio, to shape=(n_pairs,)."""


class Pairs(NamedTuple):
    """Pairs of compounds of one ratio.

    Attributes
    ----------
    first, second : numpy.ndarray
        shape=(n_pairs,), int64; rows.
    alike : numpy.ndarray
        shape=(n_pairs,), bool.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    alike: NDArray[np.bool_]


class PairScores(NamedTuple):
    """How well probabilities tell pairs apart.

    ``accuracy`` at 0.5 and ``average_precision`` over all pairs; ``ratio_accuracy`` and ``ratio_average_precision``: the means of
    the same over ratios; ``pairs`` and ``ratios``: how many there were.
    """

    accuracy: float
    average_precision: float
    ratio_accuracy: float
    ratio_average_precision: float
    pairs: int
    ratios: int


def split_parts(ratios: Sequence[str], split: int, seed: int = SEED) -> NDArray[np.int64]:
    """Divide compounds into training (0), validation (1) and test (2).

    Parameters
    ----------
    ratios : sequence of str
        shape=(n,), ratio of each compound, such as ``1:1:4``.
    split : int
        Number of the split: 0 to 4 in the protocol.
    seed : int

    Returns
    -------
    numpy.ndarray
        shape=(n,), int64.

    Examples
    --------
    >>> parts = split_parts(["1:2"] * 20 + ["1:1"] * 10, 0)
    >>> np.bincount(parts[:20]).tolist(), np.bincount(parts[20:]).tolist()
    ([12, 4, 4], [6, 2, 2])
    """
    generator = np.random.default_rng([seed, split])
    names = np.asarray(ratios)
    found, number, count = np.unique(names, return_inverse=True, return_counts=True)
    label = np.where(count[number] >= SMALLEST_CLASS, number, len(found))
    parts = np.empty(len(names), dtype=np.int64)
    for each in np.unique(label):
        rows = generator.permutation(np.flatnonzero(label == each))
        ends = np.rint(np.cumsum(SHARES)[:2] * len(rows)).astype(np.int64)
        for part, members in enumerate(np.split(rows, ends)):
            parts[members] = part
    return parts


def thinned(
    rows: NDArray[np.int64], ratios: Sequence[str], generator: np.random.Generator, most: int | None = None
) -> dict[str, NDArray[np.int64]]:
    """Keep of each ratio at most 1 % of the rows, or ``most``.

    Returns
    -------
    dict
        Ratio to its rows, ascending.

    Examples
    --------
    >>> kept = thinned(np.arange(300), ["1:2"] * 200 + ["1:1"] * 99 + ["1:3"], np.random.default_rng(0))
    >>> {ratio: len(rows) for ratio, rows in kept.items()}
    {'1:1': 3, '1:2': 3, '1:3': 1}
    """
    most = max(1, int(LARGEST_SHARE * len(rows))) if most is None else most
    of = np.asarray(ratios)[rows]
    kept = {}
    for ratio in np.unique(of):
        members = rows[of == ratio]
        if len(members) > most:
            members = generator.choice(members, most, replace=False)
        kept[str(ratio)] = np.sort(members)
    return kept


def make_pairs(groups: dict[str, NDArray[np.int64]], alike: Alike, generator: np.random.Generator) -> Pairs:
    """Pair the rows of each ratio: all pairs that are alike, and as many of the others.

    Examples
    --------
    >>> parity = lambda first, second: (first - second) % 2 == 0
    >>> pairs = make_pairs({"1:2": np.arange(5), "1:1": np.array([7, 8])}, parity, np.random.default_rng(0))
    >>> int(pairs.alike.sum()), int((~pairs.alike).sum()), len(pairs.first)
    (4, 4, 8)
    """
    parts = []
    for rows in groups.values():
        one, other = np.triu_indices(len(rows), 1)
        if not len(one):
            continue
        same = alike(rows[one], rows[other])
        yes, no = np.flatnonzero(same), np.flatnonzero(~same)
        if not len(yes):
            continue
        if len(no) > len(yes):
            no = np.sort(generator.choice(no, len(yes), replace=False))
        chosen = np.concatenate([yes, no])
        parts.append((rows[one[chosen]], rows[other[chosen]], same[chosen]))
    if not parts:
        nothing = np.zeros(0, dtype=np.int64)
        return Pairs(nothing, nothing, np.zeros(0, dtype=np.bool_))
    return Pairs(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def split_pairs(
    ratios: Sequence[str], alike: Alike, split: int, seed: int = SEED
) -> tuple[NDArray[np.int64], tuple[Pairs, Pairs, Pairs]]:
    """Make one split of the protocol: the part of each compound, and the pairs of each part."""
    parts = split_parts(ratios, split, seed)
    generator = np.random.default_rng([seed, split, 1])
    made = [
        make_pairs(thinned(np.flatnonzero(parts == part), ratios, generator), alike, generator)
        for part in (TRAIN, VALIDATION, TEST)
    ]
    return parts, (made[0], made[1], made[2])


def score_pairs(pairs: Pairs, probability: NDArray[np.floating], ratios: Sequence[str]) -> PairScores:
    """Score probabilities that pairs are alike.

    Parameters
    ----------
    pairs : Pairs
    probability : numpy.ndarray
        shape=(n_pairs,).
    ratios : sequence of str
        Ratio of each compound.

    Returns
    -------
    PairScores

    Examples
    --------
    >>> pairs = Pairs(np.array([0, 0, 1, 3]), np.array([1, 2, 2, 4]), np.array([True, False, False, True]))
    >>> scores = score_pairs(pairs, np.array([0.9, 0.6, 0.2, 0.7]), ["1:2"] * 3 + ["1:1"] * 2)
    >>> scores.accuracy, scores.average_precision, round(scores.ratio_accuracy, 3), scores.ratios
    (0.75, 1.0, 0.833, 2)
    """
    from sklearn.metrics import average_precision_score

    right = (probability > 0.5) == pairs.alike
    of = np.asarray(ratios)[pairs.first]
    accuracies, precisions = [], []
    for ratio in np.unique(of):
        mine = of == ratio
        accuracies.append(right[mine].mean())
        precisions.append(average_precision_score(pairs.alike[mine], probability[mine]))
    return PairScores(
        float(right.mean()),
        float(average_precision_score(pairs.alike, probability)),
        float(np.mean(accuracies)),
        float(np.mean(precisions)),
        len(pairs.alike),
        len(accuracies),
    )
