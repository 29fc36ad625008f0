"""Train the ranker of templates: learned metrics, then trees on the features of arrangements, then calibration.

Nothing sees its own answer. The questions fall into two halves; each half's features come from the metric trained on the other
half, and a new formula's from the mean of both. The calibration is fitted to the predictions for folds that the trees were
not trained on.
"""

from __future__ import annotations

import io
import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from builders.models.files import ARRAYS, CARD, write_whole
from builders.models.portable import Forest, of_lightgbm, to_arrays
from builders.templates.features import base_cost, feature_names, features
from builders.templates.ranker import Ranker, first_score, load_ranker, softmax
from builders.templates.train_metric import Settings, train_metric
from store.provenance import content_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from builders.templates.metric import LearnedMetric
    from builders.templates.questions import Question

FOLDS: Final = 3
ROUNDS: Final = 200
SEEDS: Final = (0, 1)
MOST_QUESTIONS: Final = 12000
TREES: Final[dict[str, Any]] = {
    "learning_rate": 0.06,
    "num_leaves": 24,
    "min_data_in_leaf": 80,
    "feature_fraction": 0.4,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 3.0,
    "max_bin": 127,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
"""Settings of LightGBM, chosen on development formulas."""
LEAST_ANSWER: Final = 1e-4


def halves(questions: Sequence[Question], seed: int = 0) -> NDArray[np.int64]:
    """Half (0 or 1) of each question, shape=(n,), by its formula."""
    return np.array([content_hash(f"{seed}:{q.formula}".encode())[-1] in "13579bdf" for q in questions], np.int64)


def train_metrics(
    questions: Sequence[Question],
    settings: Settings = Settings(),  # noqa: B008  (frozen)
    *,
    seed: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[LearnedMetric, LearnedMetric]:
    """Train the metric of each half."""
    half = halves(questions)
    first, second = (
        train_metric(
            [q for q, h in zip(questions, half, strict=True) if h == side],
            settings,
            seed=seed + side,
            progress=lambda epoch, loss, side=side: progress(f"metric {side + 1} of 2, pass {epoch}: {loss:.4f}"),  # type: ignore[misc]
        )
        for side in (0, 1)
    )
    return first, second


def crossed_features(
    questions: Sequence[Question], metrics: tuple[LearnedMetric, LearnedMetric]
) -> list[NDArray[np.float32]]:
    """Features of each question from the metric that has not seen it."""
    half = halves(questions)
    return [described(q, [metrics[1 - h]]) for q, h in zip(questions, half.tolist(), strict=True)]


def described(question: Question, metrics: Sequence[LearnedMetric]) -> NDArray[np.float32]:
    """Features of a question's arrangements, shape=(n, n_features)."""
    base = base_cost(question.proposals)
    scores = [metric.scores(question.proposals, base) for metric in metrics]
    return features(question.proposals, question.arrangements, scores).astype(np.float32)


def train_trees(
    described: Sequence[NDArray[np.float32]], answers: Sequence[NDArray[np.float32]], *, seed: int, rounds: int = ROUNDS
) -> Forest:
    """Boost trees that correct the metrics' vote: the softmax over a question's arrangements is what learns."""
    import lightgbm

    rows = np.concatenate(described)
    owner = np.repeat(np.arange(len(described)), [len(each) for each in described])
    start = first_score(rows)
    answer = np.clip(np.concatenate(answers).astype(np.float64), LEAST_ANSWER, 1.0)

    def objective(raised: NDArray[np.float64], _: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        share = grouped_softmax(raised + start, owner)
        right = share * answer
        target = right / np.bincount(owner, right)[owner]
        return share - target, np.maximum(share * (1.0 - share), 1e-3)

    data = lightgbm.Dataset(rows, np.concatenate(answers))
    booster = lightgbm.train({**TREES, "objective": objective, "seed": seed}, data, rounds)
    return of_lightgbm(booster)


def grouped_softmax(score: NDArray[np.float64], owner: NDArray[np.int64]) -> NDArray[np.float64]:
    """Softmax within groups, shape=(n,); groups are counted from 0 and each has members."""
    most = np.full(int(owner[-1]) + 1, -np.inf)
    np.maximum.at(most, owner, score)
    weight = np.exp(score - most[owner])
    share: NDArray[np.float64] = weight / np.bincount(owner, weight)[owner]
    return share


def shares(forests: Sequence[Forest], described: NDArray[np.float32]) -> NDArray[np.float64]:
    """Share of each arrangement of a question, shape=(n,)."""
    rows = described.astype(np.float64)
    return softmax(first_score(rows) + np.mean([forest.predict(rows) for forest in forests], axis=0))


def calibration(
    questions: Sequence[Question], described: Sequence[NDArray[np.float32]], rounds: int = ROUNDS
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Fit isotonic curves to predictions for questions that the trees have not seen.

    Returns
    -------
    raw, calibrated, calibrated_first : numpy.ndarray
        shape=(knots,) each; see :class:`builders.templates.ranker.Ranker`.
    """
    match, true, best = [], [], []
    for fold in range(FOLDS):
        kept = [k for k in range(len(questions)) if k % FOLDS != fold]
        forest = train_trees(
            [described[k] for k in kept], [questions[k].answer for k in kept], seed=fold, rounds=rounds
        )
        for k in range(fold, len(questions), FOLDS):
            share = shares([forest], described[k])
            match.append(questions[k].arrangements.similarity.astype(np.float64) @ share)
            true.append(questions[k].answer)
            best.append(np.arange(len(share)) == match[-1].argmax())
    said, right, first = np.concatenate(match), np.concatenate(true), np.concatenate(best)
    knots = np.r_[0.0, np.geomspace(1e-3, 0.02, 8), np.linspace(0.03, 0.97, 32), 0.985, 0.995, 1.0]
    return knots, _curve(knots, said, right), _curve(knots, said[first], right[first])


def _curve(knots: NDArray[np.float64], said: NDArray[np.float64], right: NDArray[np.floating]) -> NDArray[np.float64]:
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(said, right)
    # Steps of few rows would be noise: the curve is averaged around knots, and these are joined by lines.
    around = np.minimum(np.diff(knots, prepend=-1e-3), np.diff(knots, append=1.001))[:, None] / 2
    curve = fitted.predict(np.clip(knots[:, None] + np.linspace(-1, 1, 21) * around, 0, 1).ravel())
    rising: NDArray[np.float64] = np.maximum.accumulate(curve.reshape(len(knots), -1).mean(axis=1))
    return rising


def train(
    questions: Sequence[Question],
    settings: Settings = Settings(),  # noqa: B008  (frozen)
    *,
    more: Sequence[Question] = (),
    seed: int = 0,
    rounds: int = ROUNDS,
    most: int = MOST_QUESTIONS,
    progress: Callable[[str], None] = lambda _: None,
) -> Ranker:
    """Train everything.

    Parameters
    ----------
    questions : sequence of Question
        At random order; a formula at most once.
    settings : Settings
        Of the metrics.
    more : sequence of Question
        Questions for the metrics alone: formulas whose most stable structure is not quite stable.
    seed : int
    rounds : int
        Trees.
    most : int
        Questions that the trees and the calibration learn from.
    progress : callable, optional
        Called with a line of text now and then.

    Returns
    -------
    Ranker
        Its card has no data section yet (:func:`save`).
    """
    metrics = train_metrics([*questions, *more], settings, seed=seed, progress=progress)
    return train_on_top(questions[:most], metrics, seed=seed, rounds=rounds, progress=progress)


def train_on_top(
    questions: Sequence[Question],
    metrics: tuple[LearnedMetric, LearnedMetric],
    *,
    seed: int = 0,
    rounds: int = ROUNDS,
    progress: Callable[[str], None] = lambda _: None,
) -> Ranker:
    """Train the trees and the calibration for metrics of :func:`train_metrics`."""
    progress("features")
    rows = crossed_features(questions, metrics)
    answers = [q.answer for q in questions]
    progress("trees")
    forests = tuple([train_trees(rows, answers, seed=seed + each, rounds=rounds) for each in SEEDS])
    progress("calibration")
    return Ranker(metrics, forests, *calibration(questions, rows, rounds), {})


def save(ranker: Ranker, folder: Path, about: Mapping[str, Any]) -> Ranker:
    """Write weights and card; returns what was written, read back.

    Parameters
    ----------
    ranker : Ranker
    folder : pathlib.Path
    about : mapping
        What the card says of data, split, figures, licence and seed.
    """
    arrays: dict[str, Any] = {
        "raw": ranker.raw,
        "calibrated": ranker.calibrated,
        "calibrated_first": ranker.calibrated_first,
    }
    for k, metric in enumerate(ranker.metrics):
        for field in fields(metric):
            arrays[f"metric{k}.{field.name}"] = np.asarray(getattr(metric, field.name), np.float32)
    for k, forest in enumerate(ranker.forests):
        for name, value in to_arrays(f"forest{k}", forest).items():
            small = name.endswith((".value", ".threshold"))
            arrays[name] = value.astype(np.float32) if small else value
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    content = buffer.getvalue()
    card = {
        **about,
        "features": feature_names(),
        "metrics": len(ranker.metrics),
        "forests": len(ranker.forests),
        "weights_hash": content_hash(content),
    }
    write_whole(folder, {ARRAYS: content, CARD: (json.dumps(card, indent=1, ensure_ascii=False) + "\n").encode()})
    return load_ranker(folder)
