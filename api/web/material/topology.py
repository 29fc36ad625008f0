"""Persistence diagrams and Betti curves as plain numbers for the figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_BARS: Final = 600
"""Points of one degree; the longest ones."""
_STEPS: Final = 90


def figures(document: Mapping[str, Any]) -> dict[str, Any]:
    """Make the numbers of one ion's figures.

    Returns
    -------
    dict
        By group of atoms: ``bars`` (for H0, H1, H2 birth and death, Å, of the infinite crystal, equal ones once with their
        ``count``), ``essential`` (births), ``radii`` and ``curves`` (Betti numbers per point).
    """
    from builders.topology.document import from_document
    from builders.topology.vectors import betti_curve

    found: dict[str, Any] = {}
    for name, diagrams in from_document(document).items():
        ends = [float(bars[:, 1].max()) for bars in diagrams.extensive if len(bars)]
        radii = np.linspace(0.0, 1.08 * max(ends, default=1.0), _STEPS)
        width = float(radii[1])
        found[name] = {
            "points": diagrams.n_points,
            "bars": [_bars(bars) for bars in diagrams.extensive],
            "essential": [np.round(births, 3).tolist() for births in diagrams.essential],
            "radii": np.round(radii, 3).tolist(),
            "curves": [np.round(betti_curve(diagrams, degree, radii, width=width), 4).tolist() for degree in (0, 1, 2)],
        }
    return found


def _bars(bars: Any) -> list[list[float]]:
    rows, counts = np.unique(np.round(bars, 3).reshape(-1, 2), axis=0, return_counts=True)
    order = np.argsort(rows[:, 0] - rows[:, 1], kind="stable")[:_MOST_BARS]
    return [[float(rows[k, 0]), float(rows[k, 1]), int(counts[k])] for k in order.tolist()]
