"""Crystals for tests of channels, by hand: coordinates from the literature, rows as a JSON Lines file holds them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from pymatgen.core import Lattice, Structure

from store.crystal import Crystal


def _row(structure: Structure) -> dict[str, Any]:
    crystal = Crystal.from_pymatgen(structure)
    return crystal.to_document()


@lru_cache(maxsize=1)
def olivine() -> Structure:
    """LiFePO4, Pnma."""
    lattice = Lattice.orthorhombic(10.329, 6.0065, 4.6908)
    sites = {
        "Li": [0, 0, 0],
        "Fe": [0.28222, 0.25, 0.97472],
        "P": [0.09486, 0.25, 0.41820],
    }
    oxygens = [[0.09678, 0.25, 0.74279], [0.45710, 0.25, 0.20602], [0.16558, 0.04646, 0.28478]]
    return Structure.from_spacegroup("Pnma", lattice, [*sites, "O", "O", "O"], [*sites.values(), *oxygens])


def layered(cation: str | None = "Li", metal: str = "Co") -> Structure:
    """LiCoO2, R-3m; without the cation the host that is left of it."""
    lattice = Lattice.hexagonal(2.811, 14.05)
    species, places = [metal, "O"], [[0, 0, 0], [0, 0, 0.26]]
    if cation is not None:
        species, places = [cation, *species], [[0, 0, 0.5], *places]
    return Structure.from_spacegroup("R-3m", lattice, species, places)


def rock_salt(cation: str, anion: str, a: float) -> Structure:
    """A binary salt, Fm-3m."""
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])


def caesium_chloride(first: str, second: str, a: float) -> Structure:
    """Two kinds of atoms on a body-centred lattice, Pm-3m."""
    return Structure(Lattice.cubic(a), [first, second], [[0, 0, 0], [0.5, 0.5, 0.5]])


def mixed_salt() -> Structure:
    """Li and Na in alternate layers of a rock salt, P4/mmm."""
    lattice = Lattice.tetragonal(3.8, 5.4)
    places = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0, 0, 0.5]]
    return Structure(lattice, ["Li", "Na", "Cl", "Cl"], places)


def rows() -> dict[str, Structure]:
    """The crystals of the tests by id."""
    return {
        "olivine": olivine(),
        "layered": layered(),
        "host": layered(None),
        "halite": rock_salt("Na", "Cl", 5.64),
        "mixed": mixed_salt(),
        "alloy": caesium_chloride("Li", "Mg", 3.3),
        "fluorite": Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.46), ["Ca", "F"], [[0, 0, 0], [0.25] * 3]),
        "iron": Structure(Lattice.cubic(2.87), ["Fe", "Fe"], [[0, 0, 0], [0.5] * 3]),
    }


def record(key: str, structure: Structure) -> dict[str, Any]:
    """A crystal as a line of a JSON Lines file."""
    return {"id": key, "structure": _row(structure)}


def random_crystal(seed: int, n: int = 12) -> Crystal:
    """Li, a metal and O at random places of a random cell, no two nearer than 1.2 Å."""
    rng = np.random.default_rng(seed)
    lattice = 6.0 * np.eye(3) + rng.uniform(-1.0, 1.0, (3, 3))
    places: list[np.ndarray] = []
    shifts = np.array(list(np.ndindex(3, 3, 3))) - 1
    while len(places) < n:
        new = rng.random(3)
        apart = [np.linalg.norm((new - old + shifts) @ lattice, axis=1).min() for old in places]
        if not apart or min(apart) > 1.2:
            places.append(new)
    species = ["Li" if i % 4 == 0 else "Ti" if i % 4 == 1 else "O" for i in range(n)]
    return Crystal.from_lists(lattice, species, places)
