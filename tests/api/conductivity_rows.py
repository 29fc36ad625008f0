"""Rows in the layout of conductivity.jsonl.gz, made for tests: what conducts well is told by composition and by the cell."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np

ANIONS = {"O": (2, 4.2), "S": (2, 5.2), "F": (1, 4.0), "Cl": (1, 5.1), "Br": (1, 5.5)}
METALS = ("Mg", "Zn", "Zr", "Ti", "Al", "Ge", "P", "Sn")


def rows(n: int = 80, seed: int = 0) -> list[dict[str, Any]]:
    """Layered or cubic cells of lithium, a metal and an anion; every composition is measured twice."""
    generator = np.random.default_rng(seed)
    made = []
    for number in range(n):
        kind = number // 2
        anion = list(ANIONS)[kind % 5]
        metal = METALS[kind // 5 % len(METALS)]
        stretch = 1.0 + 0.6 * (kind % 3)
        a = ANIONS[anion][1] * (1 + 0.01 * (kind % 7))
        structure = None
        if number % 4 != 3:
            structure = {
                "lattice": [[a, 0, 0], [0, a, 0], [0, 0, a * stretch]],
                "sites": [
                    {"species": {"Li": 1.0}, "frac_coords": [0.5, 0.5, 0.0]},
                    {"species": {metal: 1.0}, "frac_coords": [0.0, 0.0, 0.5]},
                    {"species": {anion: 1.0}, "frac_coords": [0.0, 0.0, 0.0]},
                    {"species": {anion: 1.0}, "frac_coords": [0.5, 0.5, 0.5]},
                ],
            }
        value = -6.0 + 1.5 * (kind % 5) - 2.0 * (stretch - 1.0) + 0.05 * float(generator.normal())
        made.append(
            {
                "id": f"row-{number}",
                "source": "made for tests",
                "formula": f"Li{metal}{anion}2",
                "working_ion": "Li",
                "log10_sigma": value,
                "temperature_K": 298.15,
                "censored": "upper_bound" if number % 20 == 19 else None,
                "structure": structure,
            }
        )
    return made


def write_rows(path: Path, n: int = 80, more: list[dict[str, Any]] | None = None) -> Path:
    """Write them as compressed JSON Lines."""
    with gzip.open(path, "wt", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in [*rows(n), *(more or [])])
    return path
