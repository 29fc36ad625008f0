"""Compounds made up for the tests of conductivities: a law that can be learned, and the noise of papers."""

from __future__ import annotations

from typing import Any

import numpy as np

from builders.conductivity.features import NAMES, describe
from builders.conductivity.rows import TrainingRows
from store.crystal import Crystal

ANIONS = ("O", "S", "F", "Cl")


def rock_salt(a: float = 4.0, ion: str = "Li", occupancy: float = 1.0) -> Crystal:
    half = a / 2
    lattice = [[0, half, half], [half, 0, half], [half, half, 0]]
    return Crystal.from_sites(lattice, [{ion: occupancy}, {"F": 1.0}], [[0.5, 0.5, 0.5], [0, 0, 0]])


def made_up(n: int = 120, seed: int = 0, bounded: bool = True) -> TrainingRows:
    """Rows whose conductivity rises with the share of lithium and of sulfur, five to a publication; a third with a structure."""
    rng = np.random.default_rng(seed)
    features, value = np.full((n, len(NAMES)), np.nan), np.zeros(n)
    bare = describe({"Li": 1.0, "F": 1.0}, rock_salt())
    for row in range(n):
        anion = ANIONS[rng.integers(len(ANIONS))]
        amounts = {"Li": 1.0 + 5.0 * rng.random(), "P": 1.0, anion: 4.0, "Ge": float(rng.random())}
        features[row] = describe(amounts)
        if row % 3 == 0:
            sites = np.isnan(features[row])
            features[row][sites] = bare[sites] * (1.0 + 0.1 * rng.random())
        share = amounts["Li"] / sum(amounts.values())
        value[row] = -12.0 + 12.0 * share + 3.0 * (anion == "S") + 0.2 * rng.normal()
    kind = np.where((value < -9.0) & bounded, -1, 0)
    number = np.arange(n)
    return TrainingRows(
        features=features,
        value=np.where(kind == -1, -9.0, value),
        kind=kind,
        formulas=number,
        papers=number // 5,
        families=number % 6,
        ids=[f"row-{k}" for k in range(n)],
        sources=["made up"] * n,
    )


def row_of(crystal: Crystal, **more: Any) -> dict[str, Any]:
    """A record to be predicted, in the layout of the data set."""
    sites = crystal.occupancies or [{symbol: 1.0} for symbol in crystal.species]
    return {
        "id": "made-up",
        "formula": "".join(f"{symbol}{amount:g}" for symbol, amount in crystal.amounts().items()),
        "structure": {
            "lattice": crystal.lattice.tolist(),
            "sites": [
                {"species": dict(site), "frac_coords": place.tolist()}
                for site, place in zip(sites, crystal.frac_coords, strict=True)
            ],
        },
        **more,
    }
