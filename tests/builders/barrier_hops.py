"""Hops for tests of barriers: crystals by hand and at random, cells turned and multiplied, surroundings made directly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from builders.barriers.chemistry import chemistry_of
from builders.barriers.environment import HopEnvironment
from store.crystal import Crystal
from store.hops import HopRecord

CRYSTALS = Path(__file__).resolve().parent.parent / "crystals"


def turn(seed: int) -> np.ndarray:
    """A random rotation, shape=(3, 3)."""
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else -q


def random_host(seed: int, *, n: int = 14, n_ions: int = 2, ion: str = "Li") -> HopRecord:
    """Ti and O at random places, none near the straight line of the hop; a few more of the ions that move."""
    rng = np.random.default_rng(seed)
    lattice = 7.0 * np.eye(3) + rng.uniform(-1.2, 1.2, (3, 3))
    start = rng.random(3)
    step = rng.normal(size=3)
    end = start + step / np.linalg.norm(step) * rng.uniform(2.2, 3.6) @ np.linalg.inv(lattice)
    line = np.linspace(start, end, 9)
    shifts = np.array(list(np.ndindex(3, 3, 3))) - 1
    places: list[np.ndarray] = []
    while len(places) < n:
        new = rng.random(3)
        others = np.array([*places, *line])
        away = np.where(np.arange(len(others)) < len(places), 1.6, 1.3)
        apart = others - new
        apart -= np.rint(apart)
        nearest = np.linalg.norm((apart[:, None] + shifts) @ lattice, axis=2).min(axis=1)
        if (nearest > away).all():
            places.append(new)
    species = [ion if k < n_ions else "Ti" if k % 3 == 0 else "O" for k in range(n)]
    return HopRecord(ion, Crystal.from_lists(lattice, species, places), start, end)


def rebased(record: HopRecord, matrix: Any) -> HopRecord:
    """The same hop in a cell whose vectors are whole multiples of the old ones (determinant 1)."""
    matrix = np.asarray(matrix, dtype=float)
    back = np.linalg.inv(matrix)
    host = record.host
    made = Crystal(matrix @ host.lattice, host.frac_coords @ back, host.species, host.occupancies)
    return HopRecord(record.working_ion, made, record.start @ back, record.end @ back)


def multiplied(record: HopRecord, copies: tuple[int, int, int]) -> HopRecord:
    """The same hop in a supercell; one ion moves in it, all of its copies in the small cell are there."""
    return HopRecord(
        record.working_ion,
        supercell(record.host, copies),
        record.start / copies,
        record.end / copies,
    )


def supercell(crystal: Crystal, copies: tuple[int, int, int]) -> Crystal:
    shifts = np.array(list(np.ndindex(*copies)))
    places = ((crystal.frac_coords[:, None] + shifts) / copies).reshape(-1, 3)
    species = [symbol for symbol in crystal.species for _ in shifts]
    sites = None if crystal.occupancies is None else [site for site in crystal.occupancies for _ in shifts]
    return Crystal.from_lists(crystal.lattice * np.array(copies)[:, None], species, places, sites)


def turned(record: HopRecord, rotation: np.ndarray) -> HopRecord:
    host = record.host
    made = Crystal(host.lattice @ rotation.T, host.frac_coords, host.species, host.occupancies)
    return HopRecord(record.working_ion, made, record.start, record.end)


def reverse(record: HopRecord) -> HopRecord:
    return HopRecord(record.working_ion, record.host, record.end, record.start)


def by_hand(
    atoms: list[tuple[str, tuple[float, float, float]]], end: tuple[float, float, float], ion: str = "Li"
) -> HopEnvironment:
    """Surroundings of atoms about the middle of a hop, and nothing else."""
    symbols = [symbol for symbol, _ in atoms]
    chemistry = chemistry_of(symbols, ion)
    kinds = np.array([chemistry.symbols.index(symbol) for symbol in symbols])
    places = np.array([place for _, place in atoms], dtype=float)
    return HopEnvironment(chemistry, np.array(end, dtype=float), places, kinds, 20.0)


def without_atom(environment: HopEnvironment, number: int) -> HopEnvironment:
    kept = np.arange(len(environment.positions)) != number
    return HopEnvironment(
        environment.chemistry,
        environment.end,
        environment.positions[kept],
        environment.kinds[kept],
        environment.volume_per_site,
    )


def cubic(species: list[str], places: list[list[float]], a: float) -> Crystal:
    return Crystal.from_lists(a * np.eye(3), species, places)


FCC = [[0.0, 0.0, 0.0], [0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]]


def octahedral_hop(a: float = 4.0) -> HopRecord:
    """Li between two octahedra of cubic closest packed F, by way of the tetrahedron between them."""
    return HopRecord("Li", cubic(["F"] * 4, FCC, a), np.array([0.5, 0.5, 0.5]), np.array([0.5, 1.0, 1.0]))


def hop_row(key: str, record: HopRecord, **more: Any) -> dict[str, Any]:
    """A hop as a line of a JSON Lines file."""
    return {
        "id": key,
        "source": "ours",
        "working_ion": record.working_ion,
        "structure": record.host.to_document(),
        "start_frac": record.start.tolist(),
        "end_frac": record.end.tolist(),
        **more,
    }


def write_lines(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file
