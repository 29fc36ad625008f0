"""Does the fingerprint see what anonymous structure matching sees, and what the label of CSPML sees?

    python benchmarks/fingerprints.py [--pairs 5000] [--crystalnn 300] [--labelled 1200] [--keep FILE.npz]

First part: random pairs of one anonymous formula from mp (at most 80 sites and six elements), the truth is
``StructureMatcher().fit_anonymous``: area under the ROC curve of several distances, CPU time a structure. The order parameters of
CrystalNN are computed for the first ``--crystalnn`` pairs. Second part: stable structures, all pairs inside ratio classes,
classes sampled as the 2024 protocol of CSPML caps them: does "our distance is below tau" agree with "the order parameters differ by
less than 0.3"? tau is chosen on a random half of the pairs, the agreement is that of the other half. Of the pairs on which the two labels differ,
structure matching says who is right. ``--keep`` holds the order parameters between runs. No formula of csp90 is used in the second part.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import math
import os
import random
import signal
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
from common import data_folder, report

SEED = 2024
MOST_SITES, MOST_ELEMENTS, MATCHER_SECONDS = 80, 6, 30
BAR_AUC, BAR_MS = 0.975, 5.0
CLASS_SIZE, CLASS_CAP = 30, 198
TAUS = np.arange(0.01, 0.5, 0.005)


class Row(NamedTuple):
    """A structure of the data set."""

    id: str
    formula: str
    amounts: tuple[int, ...]
    crystal: Any


def rows(name: str) -> Iterator[Row]:
    from store.crystal import Crystal

    with gzip.open(data_folder() / "structures" / name) as source:
        for line in source:
            row = orjson.loads(line)
            kept = row["structure"]
            counts = Counter(kept["species"])
            units = math.gcd(*counts.values())
            amounts = tuple(sorted(count // units for count in counts.values()))
            crystal = Crystal.from_lists(kept["lattice"], kept["species"], kept["frac_coords"])
            yield Row(row["id"], row["formula"], amounts, crystal)


def random_pairs(count: int) -> list[tuple[Row, Row]]:
    """A random structure, and another of the same anonymous formula."""
    small = [r for r in rows("mp.jsonl.gz") if r.crystal.n_sites <= MOST_SITES and len(r.amounts) <= MOST_ELEMENTS]
    classes = defaultdict(list)
    for row in small:
        classes[row.amounts].append(row)
    draw = random.Random(SEED)
    pairs: list[tuple[Row, Row]] = []
    while len(pairs) < count:
        one = draw.choice(small)
        other = draw.choice(classes[one.amounts])
        if one.id != other.id:
            pairs.append((one, other))
    return pairs


def _late(*_: object) -> None:
    raise TimeoutError


def match(one: Row, other: Row) -> bool | None:
    """Anonymous structure matching; None where it takes too long."""
    from pymatgen.analysis.structure_matcher import StructureMatcher

    signal.signal(signal.SIGALRM, _late)
    signal.alarm(MATCHER_SECONDS)
    try:
        return bool(StructureMatcher().fit_anonymous(one.crystal.to_pymatgen(), other.crystal.to_pymatgen()))
    except TimeoutError:
        return None
    finally:
        signal.alarm(0)


def auc(distance: Any, truth: Any) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth, -np.asarray(distance)))


def best_f1(distance: Any, truth: Any) -> tuple[float, float]:
    """Largest F1, and the threshold that gives it."""
    from sklearn.metrics import precision_recall_curve

    precision, recall, edges = precision_recall_curve(truth, -np.asarray(distance))
    score = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    place = int(score[:-1].argmax())
    return float(score[place]), float(-edges[place])


def cpu(call: Callable[[Any], Any], each: list[Any]) -> tuple[list[Any], float]:
    """Results, and mean CPU time of one, ms."""
    started = time.process_time()
    found = [call(one) for one in each]
    return found, 1e3 * (time.process_time() - started) / max(1, len(each))


def whole(found: Any) -> Any:
    """The distribution of all atoms' rows, whatever their element (PDD as published)."""
    from builders.embeddings.structure.distances import Distribution

    shares = np.array(found.amounts, dtype=float) / sum(found.amounts)
    weights = [share * part.weights for share, part in zip(shares, found.parts, strict=True)]
    return Distribution(np.concatenate([part.rows for part in found.parts]), np.concatenate(weights))


def against_matching(pairs: list[tuple[Row, Row]], crystalnn: int) -> dict[str, Any]:
    from builders.embeddings.structure.distances import pair_distances, pdd_distance
    from builders.embeddings.structure.fingerprint import arrangement_distance, fingerprint
    from builders.embeddings.structure.order_parameters import order_parameters

    started = time.process_time()
    truth = [match(*pair) for pair in pairs]
    matcher_ms = 1e3 * (time.process_time() - started) / len(pairs)
    judged = [(pair, same) for pair, same in zip(pairs, truth, strict=True) if same is not None]
    pairs, label = [pair for pair, _ in judged], np.array([same for _, same in judged])
    unique = {row.id: row for pair in pairs for row in pair}
    fingerprint(pairs[0][0].crystal)
    made, ms = cpu(lambda row: fingerprint(row.crystal), list(unique.values()))
    prints = dict(zip(unique, made, strict=True))
    both = [(prints[one.id], prints[other.id]) for one, other in pairs]
    # A few mp cells are not primitive: amounts agree all the same, they are those of one formula unit.
    scores: dict[str, Callable[[Any], float]] = {
        "arrangement (profiles)": lambda p: arrangement_distance(*p),
        "vector, Euclidean": lambda p: float(np.linalg.norm(p[0].vector() - p[1].vector())),
        "PDD, earth mover's": lambda p: pdd_distance(whole(p[0]), whole(p[1])),
        "rows by element (AMD)": lambda p: float(pair_distances(p[0].rows[None], p[1].rows[None], p[0].amounts)[0]),
        "AMD": lambda p: float(np.abs(whole(p[0]).mean - whole(p[1]).mean).max()),
        "anonymous prototype": lambda p: float(p[0].anonymous_prototype != p[1].anonymous_prototype),
        "space group": lambda p: float(p[0].space_group != p[1].space_group),
    }
    result: dict[str, Any] = {
        "pairs": len(pairs),
        "too slow to match": len(truth) - len(pairs),
        "same": float(label.mean()),
        "matcher ms a pair": matcher_ms,
        "structures": len(unique),
        "sites": float(np.mean([row.crystal.n_sites for row in unique.values()])),
        "ms a structure": ms,
        "distances": {},
    }
    values = {}
    for name, score in scores.items():
        values[name], pair_ms = cpu(score, both)
        f1, threshold = best_f1(values[name], label)
        result["distances"][name] = {
            "auc": auc(values[name], label), "best F1": f1, "at": threshold, "ms a pair": pair_ms
        }  # fmt: skip
    few = {row.id: row for pair in pairs[:crystalnn] for row in pair}
    if few:
        vectors, slow = cpu(lambda row: _or_nan(order_parameters, row.crystal), list(few.values()))
        kept = dict(zip(few, vectors, strict=True))
        apart = np.array([np.linalg.norm(kept[one.id] - kept[other.id]) for one, other in pairs[:crystalnn]])
        fine = np.isfinite(apart)
        part = label[:crystalnn][fine]
        result["crystalnn"] = {
            "pairs": int(fine.sum()),
            "ms a structure": slow,
            "auc": auc(apart[fine], part),
            "ours on the same pairs": auc(np.array(values["arrangement (profiles)"])[:crystalnn][fine], part),
        }
    return result


def _or_nan(call: Callable[[Any], Any], crystal: Any) -> Any:
    try:
        return call(crystal)
    except Exception:
        return np.full(244, np.nan)


def sample(count: int) -> list[Row]:
    """Stable structures of some ratio classes; a class weighs as the protocol's cap lets it (1 % of a split)."""
    from pymatgen.core import Composition

    with gzip.open(data_folder() / "csp" / "csp90.jsonl.gz") as source:
        kept_out = {Composition(orjson.loads(line)["formula"]).reduced_formula for line in source}
    classes = defaultdict(list)
    for row in rows("mp_stable52.jsonl.gz"):
        if Composition(row.formula).reduced_formula not in kept_out:
            classes[row.amounts].append(row)
    draw = random.Random(6)
    weight = {amounts: min(len(found), CLASS_CAP) for amounts, found in classes.items() if len(found) >= 10}
    order = sorted(weight, key=lambda amounts: draw.random() ** (1 / weight[amounts]), reverse=True)
    chosen: list[Row] = []
    for amounts in order:
        size = max(6, round(CLASS_SIZE * weight[amounts] / CLASS_CAP))
        chosen += draw.sample(classes[amounts], min(size, len(classes[amounts])))
        if len(chosen) >= count:
            break
    return chosen


def label_agreement(count: int, keep: Path | None) -> dict[str, Any]:
    from builders.embeddings.structure.arrangement import SAME_ARRANGEMENT, arrangement_distances
    from builders.embeddings.structure.distances import pair_distances
    from builders.embeddings.structure.fingerprint import fingerprint
    from builders.embeddings.structure.order_parameters import SIMILAR

    chosen = sample(count)
    vectors = _vectors(chosen, keep)
    classes = defaultdict(list)
    for row in chosen:
        if np.isfinite(vectors[row.id]).all():
            classes[row.amounts].append((row, fingerprint(row.crystal), vectors[row.id]))
    parts: list[dict[str, Any]] = []
    for amounts, members in classes.items():
        if len(members) < 2:
            continue
        one, other = np.triu_indices(len(members), 1)
        profiles, means = (np.stack([getattr(m[1], name) for m in members]) for name in ("profile", "rows"))
        theirs = np.stack([m[2] for m in members])
        parts.append({
            "theirs": np.linalg.norm(theirs[one] - theirs[other], axis=1),
            "arrangement": arrangement_distances(profiles[one], profiles[other], amounts),
            "rows by element": pair_distances(means[one], means[other], amounts),
            "pairs": [(members[a][0], members[b][0]) for a, b in zip(one, other, strict=True)],
        })  # fmt: skip
    theirs = np.concatenate([part["theirs"] for part in parts])
    similar = theirs < SIMILAR
    half = np.random.default_rng(SEED).random(len(similar)) < 0.5
    result: dict[str, Any] = {
        "structures": sum(map(len, classes.values())), "classes": len(parts), "pairs": len(similar),
        "similar by CrystalNN": float(similar.mean()), "always no": float(1 - similar[~half].mean()),
    }  # fmt: skip
    for name in ("arrangement", "rows by element"):
        ours = np.concatenate([part[name] for part in parts])
        right = [float(((ours[half] < tau) == similar[half]).mean()) for tau in TAUS]
        tau = float(TAUS[int(np.argmax(right))])
        result[name] = {"auc": auc(ours, similar), "tau": tau, **_agreement(ours[~half], similar[~half], tau)}
        if name == "arrangement":
            result["shipped tau"] = {
                "tau": SAME_ARRANGEMENT, **_agreement(ours[~half], similar[~half], SAME_ARRANGEMENT)
            }  # fmt: skip
            every = list(itertools.chain.from_iterable(part["pairs"] for part in parts))
            result["who is right"] = _judge(every, ours < SAME_ARRANGEMENT, similar)
    return result


def _agreement(ours: Any, similar: Any, tau: float) -> dict[str, float]:
    same = ours < tau
    return {
        "agreement": float((same == similar).mean()),
        "balanced": float((same[similar].mean() + (~same[~similar]).mean()) / 2),
        "precision": float(similar[same].mean()),
        "recall": float(same[similar].mean()),
        "share": float(same.mean()),
    }


def _judge(pairs: list[tuple[Row, Row]], ours: Any, similar: Any, most: int = 300) -> dict[str, Any]:
    """Of pairs on which the labels differ: what structure matching says."""
    result = {}
    for name, where in (("ours alone", ours & ~similar), ("CrystalNN alone", similar & ~ours)):
        places = np.flatnonzero(where)
        places = np.random.default_rng(SEED).permutation(places)[:most]
        said = [match(*pairs[place]) for place in places]
        result[name] = {
            "pairs": int(where.sum()),
            "asked": len(said),
            "matched": sum(answer is True for answer in said) / max(1, len(said)),
        }
    return result


def _vectors(chosen: list[Row], keep: Path | None) -> dict[str, Any]:
    from builders.embeddings.structure.order_parameters import order_parameters

    known: dict[str, Any] = {}
    if keep is not None and keep.exists():
        with np.load(keep) as stored:
            known = {name: stored[name] for name in stored.files}
    for row in chosen:
        if row.id not in known:
            known[row.id] = _or_nan(order_parameters, row.crystal)
    if keep is not None:
        np.savez(keep, **known)
    return known


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5000)
    parser.add_argument("--crystalnn", type=int, default=300)
    parser.add_argument("--labelled", type=int, default=1200)
    parser.add_argument("--keep", type=Path)
    chosen = parser.parse_args()
    warnings.filterwarnings("ignore")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    started = time.perf_counter()
    matching = against_matching(random_pairs(chosen.pairs), chosen.crystalnn)
    table = [
        (f"{matching['pairs']:,} pairs of one anonymous formula", f"{matching['same']:.1%} match", ""),
        (f"fingerprint, {matching['sites']:.0f} sites", f"{matching['ms a structure']:.2f} ms", f"< {BAR_MS:g} ms"),
    ]
    for name, found in matching["distances"].items():
        bar = f">= {BAR_AUC}" if name == "arrangement (profiles)" else ""
        table.append((f"AUC, {name}", f"{found['auc']:.4f} ({found['ms a pair']:.2f} ms a pair)", bar))
    if "crystalnn" in matching:
        peer = matching["crystalnn"]
        table.append(
            (
                f"AUC, CrystalNN order parameters ({peer['pairs']} pairs)",
                f"{peer['auc']:.4f} ({peer['ms a structure']:.0f} ms a structure)",
                f"ours {peer['ours on the same pairs']:.4f}",
            )
        )
    labels: dict[str, Any] = {}
    if chosen.labelled:
        labels = label_agreement(chosen.labelled, chosen.keep)
        table.append(
            (
                f"label of CrystalNN: {labels['pairs']:,} pairs, {labels['structures']:,} structures",
                f"{labels['similar by CrystalNN']:.1%} similar",
                f"always no: {labels['always no']:.1%}",
            )
        )
        for name in ("arrangement", "rows by element", "shipped tau"):
            found = labels[name]
            told = f"{found['agreement']:.1%} agree, balanced {found['balanced']:.1%}"
            table.append((f"... {name} < {found['tau']:.3f}, other half", told, f"{found['share']:.1%} same"))
        for name, found in labels["who is right"].items():
            table.append((f"... same by {name}", f"{found['pairs']} pairs", f"{found['matched']:.0%} match"))
    bars = {"auc": BAR_AUC, "ms": BAR_MS}
    seconds = time.perf_counter() - started
    report("fingerprints", table, {"matching": matching, "labels": labels, "bars": bars, "seconds": seconds})


if __name__ == "__main__":
    main()
