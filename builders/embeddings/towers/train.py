"""Train the towers and write weights and card: ``python -m builders.embeddings.towers.train STRUCTURES.jsonl.gz``.

Kept out of training, with all their structures: 3,000 formulas to judge by and 2,000 to choose and calibrate by (both drawn
by name with fixed seeds), and every formula of the file given with ``--exclude`` (the formulas of a benchmark of structure
prediction). Stable and metastable structures count alike. Training goes on from the checkpoints in ``--work``.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson

from builders.embeddings.towers.composition import composition_of
from builders.embeddings.towers.model import FOLDER, Towers, save_towers
from builders.embeddings.towers.rows import Rows, held_out, read_rows
from builders.learning.retrieval import backward_ranks, forward_ranks, mean_recall, members_of
from builders.learning.two_towers import Pairing, Settings, TwoTowers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from builders.embeddings.towers.sets import Sets


N_TEST: Final = 3000
TEST_SEED: Final = 20251
N_DEVELOPMENT: Final = 2000
DEVELOPMENT_SEED: Final = 20252
AT: Final = (1, 10, 100)
SEEDS: Final = (0, 1)
"""One member of the ensemble each."""


@dataclass(frozen=True, eq=False)
class Split:
    """Compositions kept out of training, by number.

    Attributes
    ----------
    test, development, excluded : numpy.ndarray
    """

    test: NDArray[np.int64]
    development: NDArray[np.int64]
    excluded: NDArray[np.int64]

    def train(self, rows: Rows) -> NDArray[np.int64]:
        """Structures to train on."""
        return np.flatnonzero(~np.isin(rows.owner, np.concatenate([self.test, self.development, self.excluded])))


def split(rows: Rows, excluded: Sequence[str] = (), *, test: int = N_TEST, development: int = N_DEVELOPMENT) -> Split:
    """Draw what is kept out: the same formulas for the same file."""
    unwanted = {composition_of(formula) for formula in excluded}
    numbers = np.array([n for n, each in enumerate(rows.compositions) if each in unwanted], dtype=np.int64)
    first = held_out(rows, test, seed=TEST_SEED, avoid=numbers.tolist())
    second = held_out(rows, development, seed=DEVELOPMENT_SEED, avoid=[*numbers.tolist(), *first.tolist()])
    return Split(first, second, numbers)


def read_formulas(path: Path) -> list[str]:
    """Formulas of a gzip'ed JSON Lines file, from its field ``formula``."""
    with gzip.open(path, "rb") as lines:
        return [str(orjson.loads(line)["formula"]) for line in lines]


def train(
    rows: Rows,
    kept_out: Split,
    *,
    settings: Settings | None = None,
    seeds: Sequence[int] = SEEDS,
    work: Path | None = None,
    device: str = "cpu",
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> Towers:
    """Train an ensemble and calibrate its scores.

    Parameters
    ----------
    rows : Rows
    kept_out : Split
    settings : Settings, optional
    seeds : sequence of int
        One member each.
    work : pathlib.Path, optional
        Folder for checkpoints; training that was interrupted goes on from there.
    device : str
    progress : callable, optional
        Called with a dict after each epoch.

    Returns
    -------
    Towers
        With a card that has no hash yet: :func:`save_towers` writes it.
    """
    from builders.embeddings.towers.calibration import calibrate

    told = settings or Settings()
    left = rows.composition_sets()
    data = Pairing(left, rows.structures, rows.owner, rows.label, kept_out.train(rows))
    members = []
    for seed in seeds:
        model = TwoTowers(
            replace(told, seed=seed),
            checkpoint=None if work is None else work / f"member-{seed}",
            device=device,
            progress=progress,
        ).fit(data)
        members.append((model.left_, model.right_))
    halved = [tuple({k: _half(k, v) for k, v in tower.items()} for tower in member) for member in members]
    card = {
        "what": "Two towers: compositions and structures in one space; a composition and its structures are near.",
        "settings": {**asdict(told), "seeds": list(seeds)},
        "data": {
            "structures": len(rows.ids),
            "compositions": len(rows.compositions),
            "trained_on": len(data.train),
            "kept_out": {
                "test": len(kept_out.test),
                "development": len(kept_out.development),
                "excluded": len(kept_out.excluded),
            },
            "test_seed": TEST_SEED,
            "development_seed": DEVELOPMENT_SEED,
        },
    }
    towers = Towers(tuple(m[0] for m in halved), tuple(m[1] for m in halved), {}, {}, card)
    knots, support, scores = calibrate(towers, rows, left, kept_out)
    found = {"retrieval": recalls(towers, rows, left, kept_out.test), "calibration": scores}
    return replace(towers, knots=knots, support=support, card={**card, **found})


def recalls(towers: Towers, rows: Rows, left: Sets, numbers: NDArray[np.int64]) -> dict[str, dict[str, float]]:
    """How often compositions find their structures, and structures their composition, among all of the stoichiometry."""
    u, v = towers.embed_sets("left", left), towers.embed_sets("right", rows.structures)
    asking = np.flatnonzero(np.isin(rows.owner, numbers))
    forth = forward_ranks(u, v, rows.owner, numbers, members_of(rows.label), rows.composition_label)
    back = backward_ranks(v[asking], u, rows.owner[asking], members_of(rows.composition_label), rows.composition_label)
    ways = {"composition to structure": forth, "structure to composition": back}
    return {way: {k: round(share, 4) for k, share in mean_recall(each, AT).items()} for way, each in ways.items()}


def _half(name: str, value: NDArray[np.float32]) -> NDArray[np.float32]:
    # What is calibrated and judged is what ships.
    return value if name.endswith(("_mean", "_std")) else value.astype(np.float16).astype(np.float32)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Train the towers of compositions and structures.")
    parser.add_argument("structures", type=Path, help="gzip'ed JSON Lines, one structure a line")
    parser.add_argument("--exclude", type=Path, help="gzip'ed JSON Lines; no formula of it is trained on")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write to (the package's own)")
    parser.add_argument("--work", type=Path, help="folder for descriptors and checkpoints")
    parser.add_argument("--epochs", type=int, default=Settings().epochs)
    parser.add_argument("--members", type=int, default=len(SEEDS))
    parser.add_argument("--processes", type=int, default=1, help="to describe structures with")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument(
        "--source",
        default="Materials Project 2025.02, stable and metastable entries "
        "(Jain et al., APL Mater. 1, 011002, 2013, https://doi.org/10.1063/1.4812323)",
        help="what the data is, for the card",
    )
    parser.add_argument("--licence", default="CC-BY-4.0", help="licence of the data, for the card")
    given = parser.parse_args(arguments)
    rows = read_rows(given.structures, given.work, processes=given.processes, progress=_told)
    kept_out = split(rows, [] if given.exclude is None else read_formulas(given.exclude))
    towers = train(
        rows,
        kept_out,
        settings=Settings(epochs=given.epochs),
        seeds=range(given.members),
        work=given.work,
        device=given.device,
        progress=lambda told: print(told, file=sys.stderr, flush=True),
    )
    card = {
        **towers.card,
        "data": {
            "name": given.source,
            "licence": given.licence,
            "file": given.structures.name,
            "sha256": hashlib.sha256(given.structures.read_bytes()).hexdigest(),
            "excluded_file": None if given.exclude is None else given.exclude.name,
            **towers.card["data"],
        },
        "licence": "BSD-3-Clause",
        "script": "python -m builders.embeddings.towers.train",
        "packages": _packages(),
    }
    save_towers(replace(towers, card=card), given.out)
    print(f"Towers written to {given.out}.")


def _packages() -> dict[str, str]:
    from builders.models.card import packages

    return packages(("numpy", "torch", "scikit-learn", "elementembeddings", "moyopy", "pymatgen"))


def _told(number: int) -> None:
    if number % 10_000 == 0:
        print(f"{number:,} structures described", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
