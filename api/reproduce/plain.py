"""Everything that a reproduction says, as plain numbers for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from api.reproduce.fits import METRICS, MODELS, SPLITS, SUBSETS, TEST, summary
from api.reproduce.hops import HIGHEST, ION, NEEDED

if TYPE_CHECKING:
    from api.reproduce.fits import Fit, Score
    from api.reproduce.study import Prediction, Reproduction, Setting


def as_dict(result: Reproduction) -> dict[str, Any]:
    """Write a reproduction as a dict of plain values; energies in eV, lengths in Å.

    Examples
    --------
    >>> sorted(as_dict(result))                                                 # doctest: +SKIP
    ['differs', 'figure3', 'figure4', 'hops', 'notes', 'protocol', 'study', 'table1', 'table2', 'table4', 'table5', 'units']
    """
    return {
        "study": {
            "citation": result.published.citation,
            "doi": result.published.doi,
            "channels": result.published.channels,
        },
        "units": {"energy": "eV", "length": "Å"},
        "hops": _hops(result),
        "protocol": {
            "seed": result.seeds[0],
            "seeds": list(result.seeds),
            "subsets": SUBSETS,
            "test_share": TEST,
            "descriptors": list(NEEDED),
            "test_hops_with_known_framework": {
                split: result.seen(split) if result.fits[split] else None for split in SPLITS
            },
        },
        "differs": result.differs,
        "notes": result.notes(),
        "table1": _table1(result),
        "table2": [_prediction(row) for row in result.table2],
        "table4": [_setting(row) for row in result.table4],
        "table5": {
            "published": dict(result.published.table5),
            "ours": result.svr_setting(result.reference),
            "over_seeds": [{"seed": fit.seed, **result.svr_setting(fit)} for fit in result.fits[SPLITS[0]]],
        },
        "figure3": _figure3(result),
        "figure4": {"seed": result.reference.seed, **{model: _points(result, model) for model in ("svr", "ordinal")}},
    }


def _hops(result: Reproduction) -> dict[str, Any]:
    hops = result.hops
    return {
        "source": hops.source,
        "ion": ION,
        "count": len(hops),
        "frameworks": len(np.unique(hops.groups)),
        "above": 0.0,
        "up_to": HIGHEST,
        "excluded": hops.excluded,
        "methods": hops.methods,
        "definitions": hops.definitions,
    }


def _table1(result: Reproduction) -> dict[str, Any]:
    ours = {split: summary(fits) if fits else None for split, fits in result.fits.items()}
    table: dict[str, Any] = {}
    for model in MODELS:
        table[model] = {}
        for metric in METRICS:
            printed = result.published.table1.get(model, {}).get(metric)
            row: dict[str, Any] = {
                "printed": None if printed is None else dict(zip(("train", "test"), printed, strict=True))
            }
            for split, scores in ours.items():
                row[split] = None if scores is None else _pair(scores[model][metric])
            table[model][metric] = row
    return table


def _pair(scores: tuple[Score, Score]) -> dict[str, Any]:
    """Both sides; R² of barriers that are all the same is no number."""
    return {
        side: {name: value if np.isfinite(value) else None for name, value in score._asdict().items()}
        for side, score in zip(("train", "test"), scores, strict=True)
    }


def _prediction(row: Prediction) -> dict[str, Any]:
    return {
        "compound": row.published.compound,
        "path": row.published.path,
        "descriptors_from": row.origin,
        "p_length": row.p_length,
        "r_sd": row.r_sd,
        "r_chan": row.r_chan,
        "svr": row.svr,
        "svr_clipped": row.clipped,
        "svr_over_seeds": [row.svr_lowest, row.svr_highest],
        "ordinal": row.ordinal,
        "in_domain": row.judged.inside,
        "distance": row.judged.distance,
        "reasons": list(row.judged.reasons),
        "printed": {"svr": row.published.svr, "ordinal": row.published.ordinal},
        "literature": row.published.literature,
    }


def _setting(row: Setting) -> dict[str, Any]:
    return {
        "boundary": row.published.boundary,
        "published": {name: getattr(row.published, name) for name in ("C", "degree", "coef0", "accuracy")},
        "ours": None
        if row.accuracy is None
        else {"C": row.C, "degree": row.degree, "coef0": row.coef0, "accuracy": row.accuracy},
        "majority": row.majority,
    }


def _figure3(result: Reproduction) -> dict[str, Any]:
    from api.reproduce.figures import DEPENDENCES, binned

    hops = result.hops
    return {
        NEEDED[column]: [each._asdict() for each in binned(hops.descriptors[:, column], hops.barrier)]
        for column, _ in DEPENDENCES
    }


def _points(result: Reproduction, model: str) -> dict[str, Any]:
    """Points of a parity plot; what a model put below zero stands at zero, as in the plot."""
    fit: Fit = result.reference
    return {
        name: [
            {
                "id": result.hops.ids[row],
                "computed": float(result.hops.barrier[row]),
                "predicted": max(0.0, float(value)),
            }
            for row, value in zip(rows.tolist(), fit.predicted[model][side], strict=True)
        ]
        for name, rows, side in (("train", fit.train, 0), ("test", fit.test, 1))
    }
