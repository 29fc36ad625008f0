"""What the benchmarks of the channels share: real frameworks, perturbed supercells, fair timing on one core."""

from __future__ import annotations

import gc
import gzip
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from common import data_folder
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Row(NamedTuple):
    """A crystal with its ion sites."""

    id: str
    formula: str
    species: tuple[str, ...]
    frac_coords: Floats
    lattice: Floats

    def framework(self, ion: str = "Li") -> Row:
        """The atoms that stay when the ion goes."""
        stay = [number for number, symbol in enumerate(self.species) if symbol != ion]
        return self._replace(species=tuple(self.species[k] for k in stay), frac_coords=self.frac_coords[stay])

    def supercell(self, times: Sequence[int], displacement: float = 0.0, seed: int = 0) -> Row:
        """Repeat the cell; every atom moves by up to ``displacement`` Å (so no copy equals another)."""
        shifts = np.array(list(np.ndindex(*times)), dtype=float)
        places = (self.frac_coords[:, None] + shifts).reshape(-1, 3) / np.asarray(times)
        lattice = self.lattice * np.asarray(times)[:, None]
        species = tuple(np.repeat(self.species, len(shifts)).tolist())
        draw = np.random.default_rng(seed)
        steps = draw.standard_normal(places.shape)
        steps *= (displacement * draw.random(len(places)) / np.linalg.norm(steps, axis=1))[:, None]
        name = f"{self.id} {'x'.join(str(time) for time in times)}"
        return Row(name, self.formula, species, places + steps @ np.linalg.inv(lattice), lattice)


def compounds(element: str, seed: int) -> Iterator[Row]:
    """Compounds of an element from the Materials Project, in a random order that the seed fixes."""
    with gzip.open(data_folder() / "structures" / "mp.jsonl.gz") as source:
        mark = f'"{element}"'.encode()
        lines = [line for line in source if mark in line]
    random.Random(seed).shuffle(lines)
    for line in lines:
        row = json.loads(line)
        structure = row["structure"]
        if element in structure["species"]:
            yield Row(
                row["id"],
                row["formula"],
                tuple(structure["species"]),
                np.array(structure["frac_coords"], dtype=float).reshape(-1, 3),
                np.array(structure["lattice"], dtype=float),
            )


def lithium_iron_phosphate() -> Row:
    """LiFePO4, Pnma, four formula units (coordinates of the issue's table)."""
    sites = {
        "Li": [(0.0, 0.0, 0.0), (0.5, 0.0, 0.5), (0.0, 0.5, 0.0), (0.5, 0.5, 0.5)],
        "Fe": _pnma_mirror(0.28222, 0.97472),
        "P": _pnma_mirror(0.09486, 0.41820),
        "O": [
            *_pnma_mirror(0.09678, 0.74279),
            *_pnma_mirror(0.45710, 0.20602),
            *_pnma_general(0.16558, 0.04646, 0.28478),
        ],
    }
    species = [symbol for symbol, places in sites.items() for _ in places]
    places = np.array([place for some in sites.values() for place in some]) % 1.0
    return Row("LiFePO4", "Li4Fe4P4O16", tuple(species), places, np.diag([10.329, 6.0065, 4.6908]))


def lithium_cobalt_oxide() -> Row:
    """LiCoO2, R-3m in hexagonal axes, three formula units."""
    a, c, z = 2.811, 14.05, 0.26
    centring = np.array([(0, 0, 0), (2 / 3, 1 / 3, 1 / 3), (1 / 3, 2 / 3, 2 / 3)])
    species, places = [], []
    for symbol, height in (("Li", 0.5), ("Co", 0.0), ("O", z), ("O", -z)):
        species += [symbol] * 3
        places.append((centring + np.array([0, 0, height])) % 1.0)
    lattice = np.array([[a, 0, 0], [-a / 2, a * np.sqrt(3) / 2, 0], [0, 0, c]])
    return Row("LiCoO2", "Li3Co3O6", tuple(species), np.concatenate(places), lattice)


def _pnma_mirror(x: float, z: float) -> list[tuple[float, float, float]]:
    return [(x, 0.25, z), (0.5 - x, 0.75, z + 0.5), (-x, 0.75, -z), (x + 0.5, 0.25, 0.5 - z)]


def _pnma_general(x: float, y: float, z: float) -> list[tuple[float, float, float]]:
    half = [(x, y, z), (0.5 - x, -y, z + 0.5), (-x, y + 0.5, -z), (x + 0.5, 0.5 - y, 0.5 - z)]
    return half + [(-a, -b, -c) for a, b, c in half]


def one_core() -> None:
    """Stay on one core with one thread, and let children do so too: ours and the peer never run at the same time.

    Numerical libraries read the number of threads when they are loaded, so the program starts itself once more.
    """
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    if any(os.environ.get(name) != "1" for name in names):
        os.environ.update(dict.fromkeys(names, "1"))
        os.execv(sys.executable, [sys.executable, *sys.argv])
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def least_cpu(call: Callable[[], Any], repeats: int) -> float:
    """Shortest of several runs, ms of CPU time of this process (waiting for the core does not count), after one to warm up."""
    call()
    times = []
    enabled = gc.isenabled()
    gc.disable()
    try:
        for _ in range(repeats):
            started = time.process_time_ns()
            call()
            times.append(time.process_time_ns() - started)
    finally:
        if enabled:
            gc.enable()
    return min(times) / 1e6


def exponent(sizes: Sequence[float], times: Sequence[float]) -> float:
    """Slope of the straight line through log(time) over log(size)."""
    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])


class Ratios(NamedTuple):
    """A peer's times over ours."""

    ours: float
    peer: float
    of_totals: float
    median: float

    @classmethod
    def of(cls, ours: Sequence[float], peer: Sequence[float]) -> Ratios:
        """Means in ms, the ratio of the totals and the median of the ratios."""
        return cls(
            statistics.fmean(ours),
            statistics.fmean(peer),
            sum(peer) / sum(ours),
            statistics.median(theirs / mine for mine, theirs in zip(ours, peer, strict=True)),
        )

    def __str__(self) -> str:
        return f"{self.peer:.2f} ms, ours {self.ours:.2f}: {self.of_totals:.2f}x (median {self.median:.2f}x)"
