"""Train the ranker on the formulas of a library, and measure it on formulas it has not seen.

::

    python -m indexes.templates.train_ranker LIBRARY OUT [--exclude FORMULAS.txt] [--questions N]

A tenth of the formulas (:func:`indexes.templates.fit.for_testing`) are neither questions nor templates of questions: they are for
development and for the figures on the card. The same holds for the formulas that ``--exclude`` names. About an hour on one core.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from builders.templates.query import Query, read_query
from builders.templates.ranker import FOLDER, Ranker
from builders.templates.train import described, save, shares, train
from indexes.templates.fit import for_testing
from indexes.templates.library import TemplateLibrary
from indexes.templates.questions import STABLE, questions, stable_formulas

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from builders.templates.questions import Question

NEARLY_STABLE: Final = 0.05
"""eV/atom; formulas up to here teach the metrics too."""
MOST_NEARLY: Final = 20000
DEVELOPMENT: Final = 1500
DEPTHS: Final = (1, 5, 10, 20)


def splits(
    library: TemplateLibrary, left_out: Collection[Query], seed: int = 2
) -> tuple[list[int], list[int], list[int], NDArray[np.bool_], NDArray[np.bool_]]:
    """Divide a library.

    Returns
    -------
    train, nearly, development : list of int
        Places of the truths, in random order.
    for_train, for_development : numpy.ndarray
        shape=(len(library),), bool: templates that may be proposed.
    """
    names = {query.formula for query in left_out}
    formulas = [library.formula(place) for place in range(len(library))]
    outside = np.array([formula in names for formula in formulas])
    testing = np.array([for_testing(library.query(place)) for place in range(len(library))])
    rng = np.random.default_rng(seed)
    stable = [place for place in stable_formulas(library) if not outside[place]]
    known = set(stable)
    nearly = [
        place
        for place in stable_formulas(library, NEARLY_STABLE)
        if place not in known and not outside[place] and not testing[place]
    ]
    learnt = [place for place in stable if not testing[place]]
    held = [place for place in stable if testing[place]]
    return (
        [learnt[k] for k in rng.permutation(len(learnt))],
        [nearly[k] for k in rng.permutation(len(nearly))][:MOST_NEARLY],
        [held[k] for k in rng.permutation(len(held))][:DEVELOPMENT],
        ~outside & ~testing,
        ~outside,
    )


def figures(ranker: Ranker, asked: Sequence[Question]) -> dict[str, Any]:
    """Expected match within depths, and calibration, where the judge is the probability of a match that was fitted to one."""
    hits, said, right, first_said, first_right = [], [], [], [], []
    for question in asked:
        share = shares(ranker.forests, described(question, ranker.metrics))
        order, probability = ranker.judged(share, question.arrangements.similarity)
        answer = question.answer[order]
        hits.append([float(answer[:depth].max()) for depth in DEPTHS])
        said.append(probability[:10])
        right.append(answer[:10])
        first_said.append(probability[0])
        first_right.append(answer[0])
    return {
        "formulas": len(asked),
        "a match is among the proposals": float(np.mean([question.answer.max() for question in asked])),
        "match within": dict(zip(map(str, DEPTHS), np.mean(hits, axis=0).round(4).tolist(), strict=True)),
        "calibration error, first": _calibration_error(np.array(first_said), np.array(first_right)),
        "calibration error, first ten": _calibration_error(np.concatenate(said), np.concatenate(right)),
    }


def _calibration_error(said: NDArray[np.float64], right: NDArray[np.floating]) -> float:
    place = np.minimum((said * 10).astype(int), 9)
    return round(sum(abs(float((said - right)[place == k].sum())) for k in range(10)) / max(len(said), 1), 4)


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", type=Path)
    parser.add_argument("output", type=Path, nargs="?", default=FOLDER)
    parser.add_argument("--exclude", type=Path, help="file of formulas, one a line, that nothing may learn from")
    parser.add_argument("--questions", type=int, default=1 << 30, help="most formulas to learn from")
    given = parser.parse_args(arguments)
    left_out = given.exclude.read_text().split() if given.exclude else []
    train_from(TemplateLibrary.load(given.library), given.output, left_out, most=given.questions)


def train_from(library: TemplateLibrary, output: Path, left_out: Sequence[str] = (), *, most: int = 1 << 30) -> Ranker:
    """Train a ranker on the formulas of a library, write it and return it.

    Parameters
    ----------
    library : TemplateLibrary
        With energies above hull: the most stable structure of a formula is its truth.
    output : pathlib.Path
        Folder.
    left_out : sequence of str
        Formulas that nothing may learn from.
    most : int
        Most formulas to learn from.
    """
    unwanted = [read_query(formula) for formula in left_out]
    train_on, nearly, held, for_train, for_held = splits(library, unwanted)
    posed = list(questions(library, train_on[:most], allowed=for_train))
    more = list(questions(library, nearly[:most], allowed=for_train))
    print(f"{len(posed)} stable and {len(more)} nearly stable formulas", flush=True)
    ranker = train(posed, more=more, progress=lambda text: print(text, flush=True))
    asked = list(questions(library, held, allowed=for_held))
    made = save(ranker, output, about(library, posed, more, unwanted, figures(ranker, asked)))
    print(made.card)
    return made


def about(
    library: TemplateLibrary,
    posed: Sequence[Question],
    more: Sequence[Question],
    left_out: Collection[Query],
    measured: dict[str, Any],
) -> dict[str, Any]:
    """What the card says."""
    return {
        "what": "Probability that the arrangement of a template, with a query's elements put in, is the most stable structure "
        "of the query's formula; as pymatgen's StructureMatcher (ltol 0.2, stol 0.3, angle 5) judges.",
        "data": {
            "templates": len(library),
            "source": "Materials Project, CC BY 4.0 (Jain et al., APL Mater. 1, 011002, 2013)",
            "stable formulas": len(posed),
            "nearly stable formulas, for the metrics alone": len(more),
            "stable up to": STABLE,
            "nearly stable up to": NEARLY_STABLE,
            "formulas left out everywhere": len(left_out),
        },
        "split": "by formula; a tenth held out by hash; metrics are trained on halves and used on the other one",
        "labels": "the probability that a matcher calls two crystals the same, fitted to 2,444 of its verdicts",
        "on held-out formulas": measured,
        "energies": "none but the hull distances of the templates",
        "seed": 0,
        "licence": "as the code",
    }


if __name__ == "__main__":
    main()
