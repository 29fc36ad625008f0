"""The model's card: what it was trained on, how it was judged, and how well it did beside a constant."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from builders.conductivity.rows import STRATA
from builders.learning.censored import bounded_scores, errors
from builders.models.card import constant, mean_scores, packages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from builders.conductivity.rows import TrainingRows
    from builders.models.training import Judged, Unseen

DEFINITION: Final = (
    "log10 of the ionic conductivity (S/cm) of a lithium compound at room temperature (288 to 308 K), as measured and published; "
    "of a pellet or a crystal, total or bulk, as the source chose."
)
BOUNDS: Final = (
    "A conductivity of which only an upper bound is known counts as met by any prediction below the bound, and its error is the "
    "distance to the bound otherwise; to learn from, the expected value below the bound stands for it."
)


def make_card(
    rows: TrainingRows, asked: TrainingRows, schemes: Mapping[str, Sequence[Unseen]], seed: int, about: dict[str, Any]
) -> dict[str, Any]:
    """Write the card, JSON types only.

    Parameters
    ----------
    rows : TrainingRows
    asked : TrainingRows
        The rows, and behind them copies of which less is known (:func:`builders.conductivity.train.as_less_known`).
    schemes : mapping
        Name to predictions for ``asked``, one a draw of folds.
    seed : int
    about : dict
        Of the data.
    """
    found = np.asarray(rows.strata)
    return {
        "what": DEFINITION,
        "bounds": BOUNDS,
        "data": {
            **about,
            "rows": len(rows),
            "compositions": len(set(rows.formulas.tolist())),
            "publications": len(set(rows.papers.tolist())),
            "bounded": int((rows.kind != 0).sum()),
            "known": {name: int((found == name).sum()) for name in STRATA},
            "sources": dict(Counter(rows.sources).most_common()),
            "range": [float(rows.value.min()), float(rows.value.max())],
            "median": float(np.median(rows.value)),
            "repeats": spread_of_repeats(rows),
        },
        "seed": seed,
        "scores": {
            name: {**mean_scores([scores_of(rows, asked, each) for each in unseen]), "repeats": len(unseen)}
            for name, unseen in schemes.items()
        },
        "packages": packages(),
    }


def scores_of(rows: TrainingRows, asked: TrainingRows, unseen: Unseen) -> dict[str, Any]:
    """Scores of predictions for unseen rows: errors, coverage, domain, and the constant's.

    ``known`` has those of the rows of which that much is known, ``if_only`` those of all rows, were only so much known of them.
    """
    from builders.conductivity.train import judge

    judged, n = judge(asked, unseen), len(rows)
    error = np.abs(errors(asked.value, unseen.value, asked.kind))[:n]
    inside = judged.in_domain[:n]
    named, own = np.asarray(asked.strata), np.arange(len(asked)) < n
    masks = {name: own & (named == name) for name in STRATA if (own & (named == name)).sum() >= 20}
    less = {name: (named == name) & _last_of(len(asked), n, name) for name in STRATA[1:]}
    return {
        **_part(asked, unseen.value, judged, own),
        "constant": bounded_scores(rows.value, constant(rows.value, unseen.fold[:n]), rows.kind)._asdict(),
        "in_domain_share": float(inside.mean()),
        "mae_in_domain": float(error[inside].mean()) if inside.any() else None,
        "mae_out_of_domain": float(error[~inside].mean()) if not inside.all() else None,
        "known": {name: _part(asked, unseen.value, judged, mask) for name, mask in masks.items()},
        "if_only": {name: _part(asked, unseen.value, judged, mask) for name, mask in less.items() if mask.sum() >= 20},
    }


def _last_of(count: int, n: int, name: str) -> NDArray[np.bool_]:
    """The copy of the rows of which no more than this is known."""
    found: NDArray[np.bool_] = np.arange(count) // n == STRATA.index(name)
    return found


def _part(
    rows: TrainingRows, value: NDArray[np.float64], judged: Judged, mask: NDArray[np.bool_]
) -> dict[str, float | int | None]:
    found = bounded_scores(rows.value[mask], value[mask], rows.kind[mask])._asdict()
    met = covered(rows, judged)[mask]
    return {
        "rows": int(mask.sum()),
        **{name: each if np.isfinite(each) else None for name, each in found.items()},
        "coverage": float(met.mean()),
        "interval_width_median": float(np.median((judged.upper - judged.lower)[mask])),
    }


def covered(rows: TrainingRows, judged: Judged) -> NDArray[np.bool_]:
    """Whether an interval holds each value; one that reaches below an upper bound may hold the truth, and counts so."""
    low = np.where(rows.kind == 1, True, judged.lower <= rows.value)
    high = np.where(rows.kind == -1, True, judged.upper >= rows.value)
    found: NDArray[np.bool_] = low & high
    return found


def spread_of_repeats(rows: TrainingRows) -> dict[str, float | int]:
    """How much measurements of one composition differ: the noise that no model can predict.

    Standard deviations of the values of each composition that one data set has more than once (bounds left out).
    """
    sources = np.asarray(rows.sources)
    spreads = []
    for source in sorted(set(rows.sources)):
        mine = (sources == source) & (rows.kind == 0)
        for formula in np.unique(rows.formulas[mine]):
            values = rows.value[mine & (rows.formulas == formula)]
            if len(values) > 1:
                spreads.append(float(values.std()))
    if not spreads:
        return {"compositions": 0}
    return {
        "compositions": len(spreads),
        "median": round(float(np.median(spreads)), 3),
        "mean": round(float(np.mean(spreads)), 3),
    }
