"""Two towers: compositions find their structures and structures their compositions, on formulas the towers never saw.

    python benchmarks/towers.py [--work FOLDER] [--weights FOLDER]

Data: ``structures/mp.jsonl.gz``, stable and metastable entries alike. 3,000 formulas, drawn by name with a fixed seed, are kept out
of training with all their structures; so are 2,000 more for choices and calibration, and the 90 of ``csp/csp90.jsonl.gz``.
Candidates are *all* structures (or compositions) of the query's stoichiometry, trained ones included, or all of the data set.

Directions: a composition looks for its structures (found when any of them stands high enough); a structure looks for its composition.
Rows: chance; volume alone (atoms' volumes fitted by least squares against the structure's volume); linear canonical correlation of
pooled descriptors (128 dimensions, ridge chosen on the development formulas); the towers.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import data_folder, report

from builders.embeddings.towers.calibration import scored_pairs, scores_of, volumes
from builders.embeddings.towers.model import Towers, load_towers
from builders.embeddings.towers.rows import Rows, read_rows
from builders.embeddings.towers.sets import Sets
from builders.embeddings.towers.train import Split, read_formulas, split
from builders.learning.retrieval import Ranks, backward_ranks, forward_ranks, members_of, recovered

AT = (1, 5, 10, 20, 100)
BARS = {"composition -> structure": 65.0, "structure -> composition": 65.0}
DIMENSION = 128
Vectors = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Task:
    """What is judged on."""

    rows: Rows
    kept_out: Split
    left: Sets


# ---------------------------------------------------------------------------------------------------------- the rivals


def pooled(sets: Sets) -> np.ndarray:
    """One row a set: means, spreads and extremes over its species, and what is known of the whole."""
    rows: np.ndarray | None = None
    for k, group in sets.groups.items():
        mean = np.einsum("nk,nkt->nt", group.weights, group.tokens)
        spread = np.einsum("nk,nkt->nt", group.weights, (group.tokens - mean[:, None]) ** 2)
        parts = [mean, np.sqrt(spread), group.tokens.max(axis=1), group.tokens.min(axis=1), group.whole]
        if group.pairs is not None:
            flat = group.pairs.reshape(len(group), -1, group.pairs.shape[3])
            parts += [flat.mean(axis=1), flat.min(axis=1), flat.max(axis=1)]
        if group.whole_kind is not None:
            parts.append(np.eye(231, dtype=np.float32)[group.whole_kind])
        if group.token_kind is not None:
            fractions = np.zeros((len(group), 94), dtype=np.float32)
            np.put_along_axis(fractions, group.token_kind, np.sqrt(group.weights), axis=1)
            parts.append(fractions)
        block = np.concatenate(parts, axis=1)
        rows = np.zeros((len(sets), block.shape[1]), dtype=np.float32) if rows is None else rows
        rows[sets.members[k]] = block
    assert rows is not None
    return rows


def standardised(x: np.ndarray, train: np.ndarray) -> np.ndarray:
    mean, std = x[train].mean(axis=0), x[train].std(axis=0)
    return np.clip((x - mean) / np.where(std > 1e-6, std, 1.0), -6, 6)


def correlated(task: Task) -> Vectors:
    """Linear canonical correlation: the two descriptions projected on directions that go together."""
    train = task.kept_out.train(task.rows)
    y = standardised(pooled(task.rows.structures), train)
    owners = task.rows.owner
    x = standardised(pooled(task.left), np.unique(owners[train]))
    a, b = x[owners[train]].astype(np.float64), y[train].astype(np.float64)
    n = len(train)
    best: tuple[float, Vectors] | None = None
    for ridge in (1e-3, 1e-2, 1e-1):
        left, right = (whitener(each.T @ each / n, ridge) for each in (a, b))
        u, s, v = np.linalg.svd(left @ (a.T @ b / n) @ right)
        weight = np.sqrt(s[:DIMENSION])
        vectors = unit(x @ (left @ u[:, :DIMENSION] * weight)), unit(y @ (right @ v[:DIMENSION].T * weight))
        score = within(task, vectors, task.kept_out.development)[0].recall(10)
        if best is None or score > best[0]:
            best = score, vectors
    assert best is not None
    return best[1]


def whitener(covariance: np.ndarray, ridge: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance + ridge * np.eye(len(covariance)))
    return (vectors / np.sqrt(values)) @ vectors.T


def unit(x: np.ndarray) -> np.ndarray:
    return (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)).astype(np.float32)


def by_volume(task: Task) -> Vectors:
    """The volume that a formula should have, fitted as a sum over its atoms, against that of the structure."""
    from scipy.optimize import nnls

    rows = task.rows
    volume = volumes(rows)
    fractions = np.zeros((len(rows.compositions), 94))
    for k, group in task.left.groups.items():
        block = np.zeros((len(group), 94))
        assert group.token_kind is not None
        np.put_along_axis(block, group.token_kind, group.weights.astype(float), axis=1)
        fractions[task.left.members[k]] = block
    train = task.kept_out.train(rows)
    size, _ = nnls(fractions[rows.owner[train]], volume[train])
    wanted = fractions @ size
    # On a circle an inner product falls as two angles, here logarithms of volumes, move apart.
    angles = np.log(np.maximum(wanted, 1.0)) / 4, np.log(volume) / 4
    left, right = (np.stack([np.cos(each), np.sin(each)], axis=1) for each in angles)
    return left, right


def ours(task: Task, towers: Towers) -> Vectors:
    return towers.embed_sets("left", task.left), towers.embed_sets("right", task.rows.structures)


# ---------------------------------------------------------------------------------------------------------- the scores


def within(task: Task, vectors: Vectors, numbers: np.ndarray, everywhere: bool = False) -> tuple[Ranks, Ranks]:
    """Ranks in both directions, among the query's stoichiometry or among all."""
    rows, (u, v) = task.rows, vectors
    asking = np.flatnonzero(np.isin(rows.owner, numbers))
    forth = None if everywhere else members_of(rows.label)
    back = None if everywhere else members_of(rows.composition_label)
    return (
        forward_ranks(u, v, rows.owner, numbers, forth, rows.composition_label),
        backward_ranks(v[asking], u, rows.owner[asking], back, rows.composition_label),
    )


def polymorphs(task: Task, vectors: Vectors, k: int = 20) -> dict[str, float]:
    """Of formulas with several known arrangements, the share of these among the first k structures of the stoichiometry."""
    rows, (u, v) = task.rows, vectors
    own = members_of(rows.owner)
    candidates = members_of(rows.label)
    shares, several, chances = [], 0, []
    for number in task.kept_out.test.tolist():
        names: dict[str, int] = {}
        kind = {place: names.setdefault(rows.prototypes[place], len(names)) for place in own[number].tolist()}
        if len(names) < 2:
            continue
        several += 1
        places = candidates[int(rows.composition_label[number])]
        order = places[np.argsort(-(v[places] @ u[number]), kind="stable")]
        found, total = recovered(order, own[number], kind, k)
        shares.append(found / total)
        chances.append(min(1.0, k / len(places)))
    return {"formulas": several, "share": float(np.mean(shares)), "chance": float(np.mean(chances))}


def figures(ranks: tuple[Ranks, Ranks]) -> dict[str, Any]:
    return {
        way: {
            **{f"R@{k}": round(100 * each.recall(k), 2) for k in AT},
            "median_rank": float(np.median(each.rank)) + 1,
            "median_candidates": float(np.median(each.candidates)),
            "queries": len(each.rank),
        }
        for way, each in zip(BARS, ranks, strict=True)
    }


def latency(task: Task, towers: Towers) -> dict[str, float]:
    """Seconds to embed, NumPy on one thread."""
    some = task.left.take(task.kept_out.test[:1000])
    started = time.perf_counter()
    towers.embed_sets("left", some)
    left = time.perf_counter() - started
    chosen = task.rows.structures.take(np.flatnonzero(np.isin(task.rows.owner, task.kept_out.test))[:1000])
    started = time.perf_counter()
    towers.embed_sets("right", chosen)
    return {"composition_ms": left, "structure_ms": time.perf_counter() - started}  # of a thousand: ms each


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, help="folder in which the descriptions of the structures are kept")
    parser.add_argument("--weights", type=Path, help="folder of the towers; those that ship by default")
    parser.add_argument("--processes", type=int, default=2, help="to describe structures with")
    given = parser.parse_args()
    data = data_folder()
    rows = read_rows(data / "structures" / "mp.jsonl.gz", given.work, processes=given.processes)
    kept_out = split(rows, read_formulas(data / "csp" / "csp90.jsonl.gz"))
    task = Task(rows, kept_out, rows.composition_sets())
    towers = load_towers(given.weights)
    methods = {"volume alone": by_volume(task), "linear correlation": correlated(task), "towers": ours(task, towers)}
    ranks = {name: within(task, vectors, kept_out.test) for name, vectors in methods.items()}
    table: list[tuple[str, str, str]] = []
    for number, (way, bar) in enumerate(BARS.items()):
        chance = ranks["towers"][number]
        table.append((f"{way}: chance", line([chance.chance(k) for k in AT]), ""))
        for name, found in ranks.items():
            told = f"bar R@10 {bar:.0f} %" if name == "towers" else ""
            table.append((f"{way}: {name}", line([found[number].recall(k) for k in AT]), told))
    everywhere = {name: within(task, methods[name], kept_out.test, everywhere=True) for name in methods}
    for number, way in enumerate(BARS):
        for name, found in everywhere.items():
            each = found[number]
            told = f"median rank {np.median(each.rank) + 1:.0f} of {int(each.candidates[0]):,}"
            table.append((f"{way}, all stoichiometries: {name}", line([each.recall(k) for k in AT]), told))
    several = {name: polymorphs(task, vectors) for name, vectors in methods.items()}
    for name, found in several.items():
        told = f"of {found['formulas']} formulas; chance {100 * found['chance']:.1f} %"
        table.append((f"polymorphs among the first 20: {name}", f"{100 * found['share']:.1f} %", told))
    known = np.unique(rows.owner[kept_out.train(rows)])
    pairs = scored_pairs(towers, rows, task.left, kept_out.test, known)
    calibration = scores_of(towers.knots, towers.support, pairs)
    for kind, judged in calibration.items():
        for which, one in judged.items():
            table.append(
                (
                    f"{kind}, {which}",
                    f"ECE {one['ece']:.4f}  Brier {one['brier']:.4f}  AP {one['average_precision']:.3f}",
                    f"bar ECE 0.03; constant Brier {one['brier_constant']:.4f}; {one['pairs']:,} pairs",
                )
            )
    times = latency(task, towers)
    table.append(
        ("embedding one composition, structure", f"{times['composition_ms']:.2f}, {times['structure_ms']:.2f} ms", "")
    )
    report(
        "towers",
        [("", "  ".join(f"R@{k:<5}" for k in AT), ""), *table],
        {
            "identity": towers.identity,
            "within": {name: figures(each) for name, each in ranks.items()},
            "everywhere": {name: figures(each) for name, each in everywhere.items()},
            "chance": {
                way: {f"R@{k}": each.chance(k) for k in AT} for way, each in zip(BARS, ranks["towers"], strict=True)
            },
            "polymorphs": several,
            "calibration": calibration,
            "latency": times,
        },
    )


def line(values: list[float]) -> str:
    return "  ".join(f"{100 * value:5.1f} %" for value in values)


if __name__ == "__main__":
    main()
