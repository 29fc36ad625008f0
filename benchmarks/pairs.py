"""Which pairs of compositions take the same arrangement? The 2024 protocol of CSPML, five splits, with CSPML's network beside ours.

    python benchmarks/pairs.py [--splits 5] [--members 3] [--work FOLDER] [--order-parameters N]

Data: mp_stable52.jsonl.gz without the formulas of csp90.jsonl.gz, one compound a formula. Label: arrangement distance below 0.1. With
``--order-parameters N`` the same predictions are also scored by CSPML's own label (CrystalNN order parameters, distance below 0.3)
on pairs among N test compounds; a vector costs half a second, and those in ``--work`` are kept.

Training goes on from what ``--work`` holds; all of it is seeded.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from common import ROOT, data_folder, report

from builders.embeddings.elements import element_table
from builders.embeddings.pairs.compositions import read_sets, read_statistics, scale_of
from builders.embeddings.pairs.compounds import (
    Compounds,
    load_compounds,
    read_compounds,
    read_formula_keys,
    save_compounds,
)
from builders.embeddings.pairs.labels import Labels, make_labels
from builders.embeddings.pairs.model import Line
from builders.embeddings.pairs.network import difference_logit, encode, folded, separation
from builders.embeddings.pairs.protocol import (
    TEST,
    TRAIN,
    Pairs,
    PairScores,
    make_pairs,
    score_pairs,
    split_pairs,
)
from builders.embeddings.pairs.train import train_metric
from builders.embeddings.pairs.votes import agreements, fit_votes, vote_weights
from builders.embeddings.structure.distances import equal_amounts
from builders.learning.calibration import Reliability, expected_calibration_error, fit_platt, reliability
from builders.learning.pair_classifier import ClassifierSettings, PairClassifier
from builders.learning.pair_metric import MetricSettings

TAU = 0.3  # CSPML's label: CrystalNN order parameters nearer than this
AT_ONCE = 8192
PUBLISHED = "published: 0.864 / 0.913 / 0.890 / 0.941"
Predict = Callable[[Pairs], np.ndarray]


def compounds_of(work: Path) -> Compounds:
    """The compounds of the protocol."""
    kept = work / "compounds.npz"
    if not kept.exists():
        data = data_folder()
        unwanted = read_formula_keys(data / "csp" / "csp90.jsonl.gz")
        path = data / "structures" / "mp_stable52.jsonl.gz"
        save_compounds(read_compounds(path, unwanted, lambda count: print(f"  {count} profiles", flush=True)), kept)
    return load_compounds(kept)


def said(name: str) -> Callable[[dict[str, Any]], None]:
    """Progress, now and then."""

    def say(told: dict[str, Any]) -> None:
        if told["epoch"] % 10 == 0:
            print(f"  {name}: {told}", flush=True)

    return say


def by_chunks(pairs: Pairs, score: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """Scores of pairs, some at a time."""
    steps = range(0, len(pairs.first), AT_ONCE)
    return np.concatenate([score(pairs.first[s : s + AT_ONCE], pairs.second[s : s + AT_ONCE]) for s in steps])


class Metric:
    """Our network on one split: logits of pairs, and what the known compounds of the training part add."""

    def __init__(self, rows: Sequence[np.ndarray], offsets: Sequence[float], labels: Labels, known: np.ndarray) -> None:
        self.rows, self.offsets, self.labels, self.known = rows, offsets, labels, known

    def among(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Mean logits of the members; shapes as broadcast."""
        each = [
            offset - separation(rows[first], rows[second]) for rows, offset in zip(self.rows, self.offsets, strict=True)
        ]
        return np.mean(each, axis=0)

    def __call__(self, pairs: Pairs) -> np.ndarray:
        """Logits of pairs."""
        return by_chunks(pairs, self.among)

    def agreement(self, pairs: Pairs, temperature: float) -> np.ndarray:
        """Do the voters of both have one arrangement?"""
        found = np.zeros(len(pairs.first))
        ratios = np.array([self.labels.ratios[place] for place in pairs.first])
        for ratio in np.unique(ratios):
            mine = np.flatnonzero(ratios == ratio)
            voters = np.intersect1d(self.labels.rows[str(ratio)], self.known)
            if len(voters):
                asked = np.unique(np.concatenate([pairs.first[mine], pairs.second[mine]]))
                weights = vote_weights(self.among(asked[:, None], voters[None]), temperature)
                joint = agreements(weights, self.labels.among(str(ratio), voters))
                one, other = (np.searchsorted(asked, rows[mine]) for rows in (pairs.first, pairs.second))
                found[mine] = joint[one, other]
        return found


def ours(sets: Any, labels: Labels, split: int, parts: np.ndarray, members: int, work: Path) -> list[Metric]:
    """The first member alone, and all, trained on the training part of a split."""
    known = np.flatnonzero(parts == TRAIN)
    rows, offsets = [], []
    for member in range(members):
        told = replace(MetricSettings(), seed=100 * split + member)
        checkpoint = work / f"metric-{split}-{member}.pt"
        arrays = train_metric(sets, labels, known, told, checkpoint, said(f"ours {split}.{member}"))
        rows.append(encode(sets, arrays))
        offsets.append(float(arrays["offset"]))
    return [Metric(rows[:1], offsets[:1], labels, known), Metric(rows, offsets, labels, known)]


def cspml(x: np.ndarray, train: Pairs, validation: Pairs, split: int, work: Path) -> Predict:
    """CSPML's network as published, trained on a split."""
    told = ClassifierSettings(seed=split)
    learner = PairClassifier(told, work / f"cspml-{split}.pt", "cpu", said(f"CSPML {split}")).fit(x, train, validation)
    arrays = folded(learner.weights_)
    return lambda pairs: by_chunks(pairs, lambda one, other: difference_logit(np.abs(x[one] - x[other]), arrays))


def element_costs(compounds: Compounds, matrix: np.ndarray) -> Predict:
    """Less the smallest sum of element distances over the assignments inside equal amounts."""
    row = element_table().row

    def predict(pairs: Pairs) -> np.ndarray:
        cost = np.zeros(len(pairs.first))
        ratios = np.array([compounds.ratios[place] for place in pairs.first])
        for ratio in np.unique(ratios):
            mine = np.flatnonzero(ratios == ratio)
            one, other = (
                np.array([[row[symbol] for symbol in compounds.compositions[place]] for place in rows[mine]])
                for rows in (pairs.first, pairs.second)
            )
            cost[mine] = least_cost(one, other, [float(part) for part in ratio.split(":")], matrix)
        return -cost

    return predict


def least_cost(one: np.ndarray, other: np.ndarray, amounts: Sequence[float], matrix: np.ndarray) -> np.ndarray:
    """Smallest sum of distances, elements in canonical order; shape=(n,)."""
    total = np.zeros(len(one))
    for places in equal_amounts(amounts):
        orders = [list(order) for order in permutations(places)] if len(places) < 6 else [places]
        total += np.min([matrix[one[:, places], other[:, order]].sum(axis=1) for order in orders], axis=0)
    return total


def distances() -> dict[str, np.ndarray]:
    """Element distances, shape=(94, 94), rows as in the element table."""
    from builders.templates.elements import published_distances

    found = published_distances()
    return {name: found.of(name)[1:, 1:] for name in ("xenonpy", "periodic")}


def order_parameters_of(compounds: Compounds, parts: np.ndarray, count: int, work: Path) -> dict[int, np.ndarray]:
    """CrystalNN order parameters of test compounds, row to vector: all that are kept, and so many more where they are not."""
    from builders.embeddings.structure.order_parameters import order_parameters
    from builders.structures.symmetry import find_symmetry
    from builders.structures.validation import validate
    from store.crystal import Crystal

    kept = work / "order_parameters.npz"
    known = dict(np.load(kept)) if kept.exists() else {}
    wanted = {compounds.ids[place] for place in sample_of(compounds, parts, count)} - set(known)
    if wanted:
        with gzip.open(data_folder() / "structures" / "mp_stable52.jsonl.gz") as lines:
            for line in lines:
                row = json.loads(line)
                if row["id"] in wanted:
                    given = row["structure"]
                    crystal = Crystal.from_lists(given["lattice"], given["species"], given["frac_coords"])
                    primitive = find_symmetry(validate(crystal).crystal, 0.02).primitive
                    known[row["id"]] = order_parameters(primitive)
                    if len(known) % 25 == 0:
                        np.savez(kept, **known)
        np.savez(kept, **known)
    test = np.flatnonzero(parts == TEST)
    return {int(place): known[compounds.ids[place]] for place in test if compounds.ids[place] in known}


def sample_of(compounds: Compounds, parts: np.ndarray, count: int, each: int = 25) -> list[int]:
    """Test compounds: at most so many of each ratio, of ratios drawn at random among those with at least so many."""
    generator = np.random.default_rng(0)
    test = np.flatnonzero(parts == TEST)
    ratios = np.array(compounds.ratios)[test]
    names, counts = np.unique(ratios, return_counts=True)
    found: list[int] = []
    for name in generator.permutation(names[counts >= each]):
        found += generator.permutation(test[ratios == name])[:each].tolist()
    return found[:count]


def pairs_by_order_parameters(compounds: Compounds, vectors: dict[int, np.ndarray]) -> Pairs:
    """Balanced pairs among compounds with vectors, labelled as CSPML labels them."""
    rows = np.array(sorted(vectors))
    ratios = np.array(compounds.ratios)[rows]

    def alike(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        apart = [vectors[int(a)] - vectors[int(b)] for a, b in zip(first, second, strict=True)]
        return np.linalg.norm(apart, axis=1) < TAU

    groups = {str(name): rows[ratios == name] for name in np.unique(ratios)}
    return make_pairs(groups, alike, np.random.default_rng(0))


def calibrated(predict: Predict, fitted_on: Pairs) -> Predict:
    """Logits to probabilities, fitted on other pairs."""
    line = Line(*fit_platt(predict(fitted_on), fitted_on.alike))
    return lambda pairs: line.probability(predict(pairs))


def as_it_is(predict: Predict) -> Predict:
    """Logits to probabilities without calibration, as the published code takes them."""
    return lambda pairs: Line().probability(predict(pairs))


def with_votes(metric: Metric, fitted_on: Pairs) -> Predict:
    """Logits and votes to probabilities, fitted on other pairs."""
    votes = fit_votes(metric(fitted_on), lambda t: metric.agreement(fitted_on, t), fitted_on.alike)
    return lambda pairs: votes.probability(metric(pairs), metric.agreement(pairs, votes.temperature))


class Judged(NamedTuple):
    """Scores of one split, and the probabilities that they are of."""

    scores: PairScores
    probability: np.ndarray
    alike: np.ndarray

    @property
    def calibration_error(self) -> float:
        """Expected calibration error."""
        return expected_calibration_error(self.probability, self.alike)


def judged(predict: Predict, asked: Pairs, ratios: Sequence[str]) -> Judged:
    """Score the probabilities of pairs."""
    probability = predict(asked)
    return Judged(score_pairs(asked, probability, ratios), probability, asked.alike)


def pooled(found: Sequence[Judged]) -> Reliability:
    """Reliability of all splits together."""
    return reliability(
        np.concatenate([each.probability for each in found]), np.concatenate([each.alike for each in found]), bins=10
    )


def draw(tables: dict[str, Reliability], path: Path) -> None:
    """Draw what came true against what was said."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(5, 5), layout="constrained")
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--")
    for name, table in tables.items():
        axes.plot(table.mean, table.share, marker="o", label=name)
    axes.set(
        xlabel="probability given", ylabel="share alike", title="Pairs of test compounds, all splits", aspect="equal"
    )
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)
    print(f"  drawn in {path}")


def one_split(compounds: Compounds, labels: Labels, split: int, given: argparse.Namespace) -> dict[str, list[Judged]]:
    """All rows of the table for one split: scores by our label and, where asked for, by CSPML's."""
    parts, (train, validation, test) = split_pairs(compounds.ratios, labels, split)
    statistics = read_statistics(compounds.compositions)
    scale = scale_of(statistics)
    x = ((statistics - scale.mean) / scale.std).astype(np.float32)
    sets = read_sets(compounds.compositions, scale)
    alone, together = ours(sets, labels, split, parts, given.members, given.work)
    logits: dict[str, Predict] = {
        **{f"element distance: {name}": element_costs(compounds, each) for name, each in distances().items()},
        "ours, one member": alone,
        f"ours, {given.members} members": together,
    }
    rows: dict[str, Predict] = {
        "constant": lambda pairs: np.full(len(pairs.first), 0.5),
        **{name: calibrated(predict, validation) for name, predict in logits.items()},
        "CSPML's network as published": as_it_is(cspml(x, train, validation, split, given.work)),
        f"ours, {given.members} members, training compounds vote": with_votes(together, validation),
    }
    asked = [test]
    if given.order_parameters:
        vectors = order_parameters_of(compounds, parts, given.order_parameters // given.splits, given.work)
        asked.append(pairs_by_order_parameters(compounds, vectors))
    return {name: [judged(predict, pairs, compounds.ratios) for pairs in asked] for name, predict in rows.items()}


def summary(found: Sequence[Judged]) -> dict[str, Any]:
    """Means and standard deviations over splits."""
    scores = np.array([[*each.scores[:4], each.calibration_error] for each in found])
    names = ("accuracy", "average_precision", "ratio_accuracy", "ratio_average_precision", "calibration_error")
    spread = scores.std(axis=0, ddof=1) if len(scores) > 1 else np.zeros(5)
    return {
        **{
            name: [round(float(m), 4), round(float(s), 4)]
            for name, m, s in zip(names, scores.mean(axis=0), spread, strict=True)
        },
        "pairs": sum(each.scores.pairs for each in found),
        "ratios": sum(each.scores.ratios for each in found) / len(found),
        "reliability": {name: values.round(4).tolist() for name, values in pooled(found)._asdict().items()},
    }


def main() -> None:
    """Run from the command line."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--members", type=int, default=3, help="members of our ensemble a split")
    parser.add_argument("--work", type=Path, default=ROOT / ".ionatlas" / "pairs")
    parser.add_argument(
        "--order-parameters", type=int, default=0, help="test compounds with CSPML's own label, over all splits"
    )
    parser.add_argument("--plot", type=Path, help="where to draw the reliability")
    given = parser.parse_args()
    torch.set_num_threads(1)
    started = time.perf_counter()
    compounds = compounds_of(given.work)
    labels = make_labels(compounds.profiles, compounds.ratios)
    found: dict[str, list[list[Judged]]] = {}
    for split in range(given.splits):
        for name, scores in one_split(compounds, labels, split, given).items():
            found.setdefault(name, []).append(scores)
        print(f"  split {split}: " + str({n: round(f[-1][0].scores.accuracy, 4) for n, f in found.items()}), flush=True)
    tables, lines = {}, []
    for place, label in enumerate(["arrangement"] + ["CrystalNN 0.3"] * bool(given.order_parameters)):
        for name, each in found.items():
            told = summary([scores[place] for scores in each])
            tables[f"{label}: {name}"] = told
            text = " / ".join(f"{told[key][0]:.3f}" for key in list(told)[:4])
            bar = "bar 0.88 / 0.93" if name.startswith("ours") and not place else PUBLISHED if "CSPML" in name else ""
            lines.append((f"{label}: {name}", f"{text}  ECE {told['calibration_error'][0]:.3f}", bar))
    lines.append(("", "accuracy / AP / per-ratio accuracy / per-ratio AP", f"means of {given.splits} splits"))
    if given.plot is not None:
        shown = [name for name in found if "members" in name or "CSPML" in name]
        draw({name: pooled([scores[0] for scores in found[name]]) for name in shown}, given.plot)
    report(
        "pairs", lines, {"rows": tables, "compounds": len(compounds), "seconds": round(time.perf_counter() - started)}
    )


if __name__ == "__main__":
    main()
