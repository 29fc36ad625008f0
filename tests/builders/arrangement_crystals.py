"""Crystals for tests of arrangements."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from store.crystal import Crystal
from store.errors import CoincidentAtoms

from .channel_crystals import olivine as olivine_of_channels

FCC = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]


def rock_salt(one: str = "Na", other: str = "Cl", a: float = 5.64) -> Crystal:
    places = np.array(FCC)
    return Crystal.from_lists(
        a * np.eye(3), [one] * 4 + [other] * 4, np.concatenate([places, places + np.array([0.5, 0, 0])])
    )


def caesium_chloride(one: str = "Cs", other: str = "Cl", a: float = 4.12) -> Crystal:
    return Crystal.from_lists(a * np.eye(3), [one, other], [[0, 0, 0], [0.5, 0.5, 0.5]])


def perovskite(a: str = "Ba", b: str = "Ti", x: str = "O", size: float = 4.0) -> Crystal:
    places = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    return Crystal.from_lists(size * np.eye(3), [a, b, x, x, x], places)


def olivine() -> Crystal:
    return Crystal.from_pymatgen(olivine_of_channels())


def random_crystal(seed: int, species: str = "LiLiFeOOO") -> Crystal:
    rng = np.random.default_rng(seed)
    lattice = 4.5 * np.eye(3) + rng.uniform(-0.8, 0.8, (3, 3))
    symbols = [symbol for symbol in ("Li", "Fe", "O") for _ in range(species.count(symbol))]
    while True:
        places = rng.uniform(size=(len(symbols), 3))
        crystal = Crystal.from_lists(lattice, symbols, places)
        try:
            if all_distances(crystal, 1)[:, :, 0].min() > 0.8:
                return crystal
        except CoincidentAtoms:  # pragma: no cover
            continue


def all_distances(crystal: Crystal, reach: int) -> np.ndarray:
    """Distances from each site to all images of each site, itself left out; shape=(n, n, n_images), ascending."""
    steps = np.array(list(itertools.product(range(-reach, reach + 1), repeat=3)), dtype=float)
    apart = crystal.frac_coords[None, :, None] + steps - crystal.frac_coords[:, None, None]
    distances = np.linalg.norm(apart @ crystal.lattice, axis=-1)
    distances[distances < 1e-9] = np.inf
    return np.sort(distances, axis=-1)


def supercell(crystal: Crystal, matrix: Any) -> Crystal:
    structure = crystal.to_pymatgen()
    structure.make_supercell(matrix)
    return Crystal.from_pymatgen(structure)
