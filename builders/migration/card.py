"""The model's card: what it was trained on, how it was judged, and how well it did beside a constant."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from builders.models.card import constant, mean_scores, packages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from builders.migration.train import TrainingRows
    from builders.models.training import Unseen

THRESHOLD: Final = 0.65
"""eV; below it a hop counts as fast: the accuracy of this call is one of the scores."""
DEFINITION: Final = (
    "Barrier of one hop as computed by DFT-NEB in the literature (mostly GGA; which of forward, reverse, larger or "
    "highest-minus-lowest is mostly unstated), eV."
)


def make_card(
    rows: TrainingRows, schemes: Mapping[str, Sequence[Unseen]], seed: int, about: dict[str, Any]
) -> dict[str, Any]:
    """Write the card, JSON types only."""
    return {
        "what": DEFINITION,
        "data": {
            **about,
            "hops": len(rows),
            "frameworks": len(set(rows.groups)),
            "ions": dict(Counter(rows.ions).most_common()),
            "barrier_range": [float(rows.barrier.min()), float(rows.barrier.max())],
            "barrier_median": float(np.median(rows.barrier)),
        },
        "seed": seed,
        "scores": {
            name: {**mean_scores([scores_of(rows, each) for each in unseen]), "repeats": len(unseen)}
            for name, unseen in schemes.items()
        },
        "packages": packages(),
    }


def scores_of(rows: TrainingRows, unseen: Unseen) -> dict[str, Any]:
    """Scores of predictions for unseen hops: errors, coverage, domain, and the constant's."""
    from builders.learning.scores import scores
    from builders.migration.train import judge

    judged = judge(rows, unseen)
    error = np.abs(unseen.value - rows.barrier)
    covered = (rows.barrier >= judged.lower) & (rows.barrier <= judged.upper)
    ions = np.asarray(rows.ions)
    inside, outside = error[judged.in_domain], error[~judged.in_domain]
    return {
        **_plain(scores(rows.barrier, unseen.value, THRESHOLD)),
        "median_error": float(np.median(error)),
        "constant": _plain(scores(rows.barrier, constant(rows.barrier, unseen.fold), THRESHOLD)),
        "coverage": float(covered.mean()),
        "coverage_by_ion": {
            ion: [float(covered[ions == ion].mean()), int((ions == ion).sum())]
            for ion, count in Counter(rows.ions).most_common()
            if count >= 50
        },
        "interval_width_median": float(np.median(judged.upper - judged.lower)),
        "mae_by_ion": {ion: float(error[ions == ion].mean()) for ion, _ in Counter(rows.ions).most_common()},
        "in_domain_share": float(judged.in_domain.mean()),
        "mae_in_domain": float(inside.mean()) if len(inside) else None,
        "mae_out_of_domain": float(outside.mean()) if len(outside) else None,
    }


def _plain(found: Any) -> dict[str, float | None]:
    values = found._asdict() if hasattr(found, "_asdict") else vars(found)
    return {
        name: None if value is None or not np.isfinite(value) else round(float(value), 4)
        for name, value in values.items()
    }
