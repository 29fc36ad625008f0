"""Train the networks for pairs: ``python -m builders.embeddings.pairs.train STRUCTURES [--exclude FILE]``.

STRUCTURES is a file of stable structures (gzip'ed JSON Lines). Our metric is an ensemble of five, each of which
leaves out a fifth of the formulas (drawn by the hash of the formula) and all of which leave out 6 % more, by which they are
calibrated. CSPML's network is an ensemble of five as published: each is trained on the 60 % of one split and stopped by its 20 %.

Training is seeded and goes on from its checkpoints in ``--work``.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from builders.embeddings.pairs.compositions import element_vectors, read_sets, read_statistics, scale_of
from builders.embeddings.pairs.compounds import (
    load_compounds,
    read_compounds,
    read_formula_keys,
    save_compounds,
)
from builders.embeddings.pairs.labels import Labels, make_labels
from builders.embeddings.pairs.model import (
    BUCKETS,
    FOLDER,
    HELD_BUCKETS,
    DifferenceModel,
    Line,
    PairModel,
    save_model,
)
from builders.embeddings.pairs.network import folded
from builders.embeddings.pairs.protocol import SPLITS, Pairs, make_pairs, split_pairs, thinned
from builders.embeddings.structure.arrangement import SAME_ARRANGEMENT
from builders.learning.calibration import expected_calibration_error, fit_platt
from builders.learning.course import need_torch
from builders.learning.pair_classifier import ClassifierSettings, PairClassifier
from builders.learning.pair_metric import Class, MetricSettings, SetMetric
from builders.models.card import packages

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from builders.embeddings.pairs.compositions import Sets
    from builders.embeddings.pairs.compounds import Compounds

MEMBERS: Final = 5
BY_FORMULA: Final = (
    f"sha256(formula:seed) modulo {BUCKETS}; below {HELD_BUCKETS}: held out by all, "
    f"else modulo {MEMBERS}: held out by one member"
)
BY_PROTOCOL: Final = "60 / 20 / 20 inside each ratio, one member a split; the second part stops it"
MOST_HELD: Final = 40
"""Held-out compounds of one ratio that calibrate: else the few largest ratios would say it all."""
Progress = "Callable[[dict[str, Any]], None]"


def classes_among(labels: Labels, rows: NDArray[np.int64]) -> dict[str, Class]:
    """Classes of some rows, to learn from.

    Examples
    --------
    >>> labels = Labels({"1": np.arange(3)}, {"1": np.eye(3, dtype=bool)}, ["1"] * 3)
    >>> classes_among(labels, np.array([0, 2]))["1"].alike.shape
    (2, 2)
    """
    wanted = np.zeros(len(labels.ratios), dtype=np.bool_)
    wanted[rows] = True
    found = {}
    for ratio, members in labels.rows.items():
        mine = wanted[members]
        if mine.sum() > 1:
            found[ratio] = Class(members[mine], labels.matrix[ratio][np.ix_(mine, mine)])
    return found


def train_metric(
    sets: Sets,
    labels: Labels,
    rows: NDArray[np.int64],
    settings: MetricSettings,
    checkpoint: Path | None = None,
    progress: Callable[[dict[str, Any]], None] | None = None,
    device: str = "cpu",
) -> dict[str, NDArray[np.float32]]:
    """Train one encoder on some rows; its arrays."""
    learner = SetMetric(settings, element_vectors(), checkpoint, device, progress)
    return learner.fit(sets, classes_among(labels, rows)).weights_


def train_pairs(
    compounds: Compounds,
    labels: Labels,
    settings: MetricSettings,
    *,
    seed: int = 0,
    members: int = MEMBERS,
    work: Path | None = None,
    progress: Callable[[dict[str, Any]], None] | None = None,
    device: str = "cpu",
) -> PairModel:
    """Train and calibrate the ensemble that ships."""
    scale = scale_of(read_statistics(compounds.compositions))
    sets = read_sets(compounds.compositions, scale)
    empty = PairModel(tuple([{}] * members), scale, seed)
    folds = np.array([empty.fold_of(each) for each in compounds.compositions])
    made = []
    for member in range(members):
        rows = np.flatnonzero((folds != member) & (folds >= 0))
        told = replace(settings, seed=settings.seed + member)
        checkpoint = None if work is None else work / f"pairs-{member}.pt"
        made.append(train_metric(sets, labels, rows, told, checkpoint, _named(progress, "pairs", member), device))
    model = PairModel(tuple(made), scale, seed)
    return calibrated(model, compounds, labels, np.flatnonzero(folds < 0))


def calibrated(model: PairModel, compounds: Compounds, labels: Labels, held: NDArray[np.int64]) -> PairModel:
    """Fit the lines on pairs of compounds that no member has seen."""
    embedded = model.embed([compounds.compositions[row] for row in held])
    pairs = _pairs_among(labels, held)
    one, other = (embedded[np.searchsorted(held, rows)] for rows in (pairs.first, pairs.second))
    single = [model.logit(one, other, [member]) for member in range(len(model.members))]
    mean = np.mean(single, axis=0)
    repeated = np.tile(pairs.alike, len(single))
    lines = Line(*fit_platt(mean, pairs.alike)), Line(*fit_platt(np.concatenate(single), repeated))
    scores = {
        "pairs": len(pairs.alike),
        "accuracy": float(((mean > 0) == pairs.alike).mean()),
        "expected_calibration_error": expected_calibration_error(lines[0].probability(mean), pairs.alike),
    }
    return replace(model, ensemble=lines[0], single=lines[1], card={"held_out": scores})


def _pairs_among(labels: Labels, rows: NDArray[np.int64], seed: int = 0) -> Pairs:
    generator = np.random.default_rng(seed)
    return make_pairs(thinned(rows, labels.ratios, generator, MOST_HELD), labels, generator)


def train_cspml(
    compounds: Compounds,
    labels: Labels,
    settings: ClassifierSettings,
    *,
    work: Path | None = None,
    progress: Callable[[dict[str, Any]], None] | None = None,
    device: str = "cpu",
) -> DifferenceModel:
    """Train CSPML's ensemble: one member a split of the protocol."""
    statistics = read_statistics(compounds.compositions)
    scale = scale_of(statistics)
    x = ((statistics - scale.mean) / scale.std).astype(np.float32)
    made = []
    for split in range(SPLITS):
        _, (train, validation, _) = split_pairs(compounds.ratios, labels, split)
        checkpoint = None if work is None else work / f"cspml-{split}.pt"
        told = replace(settings, seed=settings.seed + split)
        learner = PairClassifier(told, checkpoint, device, _named(progress, "cspml", split))
        made.append(folded(learner.fit(x, train, validation).weights_))
    return DifferenceModel(tuple(made), scale)


def _named(
    progress: Callable[[dict[str, Any]], None] | None, model: str, member: int
) -> Callable[[dict[str, Any]], None] | None:
    return None if progress is None else lambda told: progress({"model": model, "member": member, **told})


def make_card(compounds: Compounds, labels: Labels, settings: Any, about: dict[str, Any], split: str) -> dict[str, Any]:
    """Say what a model is and what it was made from."""
    alike = sum((int(matrix.sum()) - len(matrix)) // 2 for matrix in labels.matrix.values())
    return {
        "what": "Probability that the stable structures of two compositions of one ratio are the same arrangement of atoms.",
        "label": f"arrangement distance below {SAME_ARRANGEMENT} (builders.embeddings.structure.arrangement)",
        "data": {**about, "compounds": len(compounds), "ratios": len(labels.rows), "alike_pairs": alike},
        "settings": asdict(settings),
        "split": split,
        "packages": packages(("numpy", "torch", "elementembeddings", "pymatgen")),
        "licence": "BSD-3-Clause",
        "script": "python -m builders.embeddings.pairs.train",
        "date": datetime.now(UTC).date().isoformat(),
    }


def main(arguments: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Train the networks for pairs of compositions.")
    parser.add_argument("structures", type=Path, help="stable structures, gzip'ed JSON Lines")
    parser.add_argument("--exclude", type=Path, help="structures whose formulas are kept out of training")
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder to write to (the package's own weights)")
    parser.add_argument("--work", type=Path, help="folder for checkpoints and profiles, to go on after an interruption")
    parser.add_argument("--only", choices=("pairs", "cspml"), help="train one of the two models")
    parser.add_argument("--epochs", type=int, help="epochs of the metric")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument(
        "--source", default="Materials Project 2025.02, entries on the convex hull with at most 52 atoms (CC-BY-4.0)"
    )
    given = parser.parse_args(arguments)
    need_torch().set_num_threads(given.threads)
    compounds = _compounds(given)
    labels = make_labels(compounds.profiles, compounds.ratios)
    about = {"source": given.source, "excluded": None if given.exclude is None else given.exclude.name}
    if given.only != "cspml":
        settings = MetricSettings() if given.epochs is None else MetricSettings(epochs=given.epochs)
        model = train_pairs(compounds, labels, settings, work=given.work, progress=print, device=given.device)
        card = {**make_card(compounds, labels, settings, about, BY_FORMULA), **model.card}
        save_model(replace(model, card=card), given.output)
    if given.only != "pairs":
        told = ClassifierSettings()
        network = train_cspml(compounds, labels, told, work=given.work, progress=print, device=given.device)
        save_model(replace(network, card=make_card(compounds, labels, told, about, BY_PROTOCOL)), given.output)


def _compounds(given: argparse.Namespace) -> Compounds:
    kept = None if given.work is None else given.work / "compounds.npz"
    if kept is not None and kept.exists():
        return load_compounds(kept)
    unwanted = set() if given.exclude is None else read_formula_keys(given.exclude)
    compounds = read_compounds(given.structures, unwanted, lambda count: print(f"{count} profiles", flush=True))
    if kept is not None:
        save_compounds(compounds, kept)
    return compounds


if __name__ == "__main__":
    main()
