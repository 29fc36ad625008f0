"""Fit what the templates room ships from a library: volumes and substitution distances.

::

    python -m indexes.templates.fit LIBRARY OUT [--exclude FORMULAS.txt]

Both are learned from pairs of crystals that have one arrangement: a random formula is asked, its own templates are left out,
and a retrieved template counts as the same arrangement when formula units, space group and the neighbour distances of each
species agree. Formulas whose sha256 begins with a byte below 26 (a tenth of them) are never asked nor used as templates: they
are for testing. The same holds for the formulas that ``--exclude`` names.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from builders.templates.substitution import Choice
from builders.templates.volumes import VolumePair
from indexes.templates.retrieve import retrieve

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from numpy.typing import NDArray

    from builders.templates.query import Query
    from indexes.templates.library import TemplateLibrary
    from indexes.templates.retrieve import Retrieved

TEST_BYTE: Final = 26
SAME: Final = 0.06
"""Largest difference of neighbour distances, in (volume per atom)^(1/3), within one arrangement."""
LARGEST_CELL: Final = 80


@dataclass(frozen=True, eq=False)
class Example:
    """A formula that was asked, and which of what was retrieved has its arrangement.

    Attributes
    ----------
    query : Query
    place : int
        Its own structure of the least hull distance.
    found : Retrieved
    same : numpy.ndarray
        shape=(len(found),), bool.
    """

    query: Query
    place: int
    found: Retrieved
    same: NDArray[np.bool_]


def for_testing(query: Query) -> bool:
    """Whether a formula is kept for testing.

    Examples
    --------
    >>> from builders.templates.query import read_query
    >>> for_testing(read_query("NaCl")), for_testing(read_query("LiCoO2"))
    (False, False)
    """
    return hashlib.sha256(query.formula.encode()).digest()[0] < TEST_BYTE


def formulas(library: TemplateLibrary) -> dict[Query, list[int]]:
    """Places of the templates of each formula."""
    found: dict[Query, list[int]] = {}
    for place in range(len(library)):
        found.setdefault(library.query(place), []).append(place)
    return found


def training_mask(library: TemplateLibrary, excluded: Collection[Query]) -> NDArray[np.bool_]:
    """Which templates may be used in training, shape=(n,)."""
    kept = np.ones(len(library), bool)
    for query, places in formulas(library).items():
        if for_testing(query) or query in excluded:
            kept[places] = False
    return kept


def examples(
    library: TemplateLibrary,
    count: int,
    *,
    seed: int = 0,
    top: int = 60,
    distance: NDArray[np.float32] | None = None,
) -> Iterator[Example]:
    """Ask random formulas of a library, each without its own templates.

    Parameters
    ----------
    library : TemplateLibrary
        Holds training templates only.
    count : int
        Most formulas.
    seed : int
    top : int
        Templates retrieved for each.
    distance : numpy.ndarray, optional
        shape=(95, 95), by which they are retrieved; the shipped one by default.
    """
    by_formula = formulas(library)
    names = sorted(by_formula, key=lambda query: (query.amounts, query.elements))
    asked = 0
    for number in np.random.default_rng(seed).permutation(len(names)).tolist():
        query = names[number]
        place = _most_stable(library, by_formula[query])
        if len(query.elements) < 2 or library.n_sites(place) > LARGEST_CELL:
            continue
        if asked == count:
            return
        asked += 1
        found = retrieve(library, query, exclude_own=True, top=top, alternatives=1, distance=distance)
        if len(found):
            yield Example(query, place, found, same_arrangement(library, place, found))


def same_arrangement(library: TemplateLibrary, place: int, found: Retrieved) -> NDArray[np.bool_]:
    """Which retrieved templates have the arrangement of a structure, shape=(len(found),)."""
    arrays = library.arrays
    same = arrays.formula_units[found.templates] == arrays.formula_units[place]
    same &= arrays.space_group[found.templates] == arrays.space_group[place]
    near: NDArray[np.bool_] = np.abs(found.rows(library) - library.rows(place)).max(axis=(1, 2)) < SAME
    both: NDArray[np.bool_] = same & near
    return both


def volume_pairs(library: TemplateLibrary, asked: Iterator[Example], most: int = 8) -> list[VolumePair]:
    """Pairs for :func:`builders.templates.volumes.fit`: templates of the right arrangement of each formula, near and far."""
    pairs = []
    for example in asked:
        rows = np.flatnonzero(example.same)
        if not len(rows):
            continue
        spread = np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(np.int64)
        rows = rows[np.unique(spread)]
        found = example.found
        pairs.append(
            VolumePair(
                np.array(example.query.numbers),
                np.array(example.query.amounts),
                float(library.arrays.volume_per_atom[example.place]),
                found.elements(library)[rows].astype(np.int64),
                library.arrays.volume_per_atom[found.templates[rows]].astype(np.float64),
                found.base[rows].astype(np.float64),
            )
        )
    return pairs


def compositions(library: TemplateLibrary) -> list[tuple[NDArray[np.int64], NDArray[np.int64], float]]:
    """Numbers, amounts and volume per atom of the most stable structure of each formula."""
    found = []
    for query, places in formulas(library).items():
        volume = float(library.arrays.volume_per_atom[_most_stable(library, places)])
        found.append((np.array(query.numbers), np.array(query.amounts), volume))
    return found


def _most_stable(library: TemplateLibrary, places: list[int]) -> int:
    hull = library.arrays.energy_above_hull[places]
    # An unknown hull distance stands between stable and unstable.
    return places[int(np.argmin(np.where(np.isnan(hull), 0.05, hull)))]


def substitution_choices(library: TemplateLibrary, asked: Iterator[Example]) -> list[Choice]:
    """What :func:`builders.templates.substitution.fit` learns from."""
    return [
        Choice(np.array(each.query.numbers), each.found.elements(library).astype(np.int64), each.same) for each in asked
    ]


def run(
    library: TemplateLibrary, excluded: Collection[Query], folder: Path, *, count: int = 40_000, seed: int = 0
) -> None:
    """Fit volumes and substitution distances and write ``volumes.npz`` and ``substitution.npz``, each with its card.

    Parameters
    ----------
    library : TemplateLibrary
        All of it; formulas kept for testing are left out here.
    excluded : collection of Query
        Formulas that must not be seen either.
    folder : pathlib.Path
    count : int
        Formulas asked; 40,000 take ten minutes and 1.5 GB.
    seed : int
    """
    from builders.templates import substitution, volumes
    from builders.templates.elements import published_distances

    training = library.subset(training_mask(library, excluded))
    published = published_distances()
    prior = published.of("xenonpy") + published.of("periodic")
    about = {
        "trained_on": f"{len(training)} templates; {count} formulas asked, seed {seed}",
        "left_out": f"formulas whose sha256 begins below {TEST_BYTE}, and {len(excluded)} named ones",
    }
    # Twice: the templates that are retrieved depend on the distance.
    distance = prior
    for part, asked in ((seed, count // 4), (seed + 1, count)):
        choices = substitution_choices(training, examples(training, asked, seed=part, distance=distance))
        upper = substitution.fit(choices, prior)
        distance = substitution.square(upper).astype(np.float32)
    np.savez_compressed(folder / substitution.FILE, distance=upper.astype(np.float32))
    _card(folder, "substitution", {"model": "pairwise substitution distance", "shrink": substitution.SHRINK, **about})
    pairs = volume_pairs(training, examples(training, count // 2, seed=seed, distance=distance))
    model = volumes.fit(pairs, compositions(training))
    np.savez_compressed(
        folder / volumes.FILE,
        exchange=model.exchange.astype(np.float32),
        absolute=model.absolute.astype(np.float32),
        offset=np.float32(model.offset),
    )
    _card(folder, "volumes", {"model": "log-linear volume per atom", "pairs": len(pairs), **about})


def volume_errors(library: TemplateLibrary, asked: Iterator[Example]) -> dict[str, float]:
    """Errors of the foretold volume where a template of the right arrangement is known.

    Returns
    -------
    dict
        ``pairs``, ``mae`` (Å^3/atom) and ``median`` (share of the volume) of the mean over the templates of the arrangement.
    """
    from builders.templates.volumes import exchange_volumes, mean_volume

    errors = []
    for pair in volume_pairs(library, asked):
        found = exchange_volumes(pair.numbers.tolist(), pair.amounts.tolist(), pair.replaced, pair.volumes)
        errors.append((mean_volume(found, pair.costs) - pair.volume, pair.volume))
    table = np.abs(np.array(errors).reshape(-1, 2))
    return {
        "pairs": float(len(table)),
        "mae": float(table[:, 0].mean()),
        "median": float(np.median(table[:, 0] / table[:, 1])),
    }


def _card(folder: Path, name: str, card: dict[str, object]) -> None:
    import json

    (folder / f"{name}.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit from the command line."""
    import argparse

    from builders.templates.query import read_query
    from indexes.templates.library import TemplateLibrary

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("library", type=Path, help="folder written by TemplateLibrary.save")
    parser.add_argument("out", type=Path)
    parser.add_argument("--exclude", type=Path, help="file with one formula a line")
    parser.add_argument("--count", type=int, default=40_000)
    given = parser.parse_args(arguments)
    names = given.exclude.read_text(encoding="utf-8").split() if given.exclude else []
    given.out.mkdir(parents=True, exist_ok=True)
    run(TemplateLibrary.load(given.library), {read_query(name) for name in names}, given.out, count=given.count)


if __name__ == "__main__":
    main()
