"""Predictions of one ion in one material as a document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from builders.predictions.energies import migration_energies, percolating_hops

if TYPE_CHECKING:
    from builders.channels.model import Channels
    from builders.predictions.energies import HopBarriers, MigrationEnergy

SUFFIXES = ("", "_2", "_3")
"""Ends of the names of what is told for one, two and three directions."""


def to_document(channels: Channels, barriers: HopBarriers, model: str) -> dict[str, Any]:
    """Write predictions as a document.

    Parameters
    ----------
    channels : Channels
    barriers : HopBarriers
        Of its hops.
    model : str
        The model's id.

    Returns
    -------
    dict
        Fields of :class:`store.documents.PredictionsDocument` but ``material`` and those of the engine. Energies in eV; None
        where there is no prediction, and no migration energy where no path leads in so many directions.

    Examples
    --------
    >>> from builders.channels.analysis import analyse
    >>> from builders.predictions.energies import HopBarriers
    >>> from store.crystal import Crystal
    >>> rock_salt = Crystal.from_lists([[0, 2, 2], [2, 0, 2], [2, 2, 0]], ["Li", "F"], [[0.5, 0.5, 0.5], [0, 0, 0]])
    >>> value = np.array([0.5])
    >>> barriers = HopBarriers(value, value - 0.2, value + 0.3, np.array([True]), np.array([1.0]), ("",))
    >>> document = to_document(analyse(rock_salt, "Li"), barriers, "one-1")
    >>> document["migration_energy"], document["migration_energy_3"], document["hops"][0]["percolates"]
    (0.5, 0.5, True)
    """
    energies = migration_energies(channels.links, barriers, channels.n_places)
    percolates = percolating_hops(channels.links, len(channels.hops), channels.n_places)
    document: dict[str, Any] = {
        "ion": channels.ion,
        "model": model,
        "n_hops": len(channels.hops),
        "n_predicted": int(np.isfinite(barriers.value).sum()),
        "hops": [_hop(barriers, number, bool(percolates[number])) for number in range(len(channels.hops))],
    }
    for suffix, energy in zip(SUFFIXES, energies, strict=True):
        document.update(_energy(f"migration_energy{suffix}", energy))
    return document


def _hop(barriers: HopBarriers, number: int, percolates: bool) -> dict[str, Any]:
    told: dict[str, Any] = {
        "hop": number,
        "value": _number(barriers.value[number]),
        "lower": _number(barriers.lower[number]),
        "upper": _number(barriers.upper[number]),
        "in_domain": bool(barriers.in_domain[number]),
        "distance": _number(barriers.distance[number]),
        "percolates": percolates,
    }
    if barriers.reasons[number]:
        told["reason"] = barriers.reasons[number]
    return told


def _energy(name: str, energy: MigrationEnergy | None) -> dict[str, Any]:
    return {
        name: None if energy is None else energy.value,
        f"{name}_lower": None if energy is None else energy.lower,
        f"{name}_upper": None if energy is None else energy.upper,
        f"{name}_in_domain": None if energy is None else energy.in_domain,
        f"{name}_hop": None if energy is None else energy.hop,
        f"{name}_directions": [] if energy is None else [list(vector) for vector in energy.directions],
    }


def _number(value: np.float64) -> float | None:
    return float(value) if np.isfinite(value) else None
