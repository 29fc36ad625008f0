"""Calculators for tests of elastic bands: one whose barrier is known exactly, one that works for any crystal."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from ase.calculators.calculator import Calculator, all_changes

from builders.potential.potentials import Potential


class Valley(Calculator):
    """All atoms but the last are held by springs; the last one is in a double well along a line, held across it.

    Along the line U(x) = height (1 - (2 x - 1)^2)^2 + tilt x, x from 0 at ``start`` to 1 at ``end``.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(self, start: Any, end: Any, held: Any, height: float = 0.5, tilt: float = 0.0) -> None:
        super().__init__()
        self.start, self.held, self.height, self.tilt = np.array(start), np.array(held), height, tilt
        self.length = float(np.linalg.norm(np.array(end) - self.start))
        self.axis = (np.array(end) - self.start) / self.length
        self.calls = 0

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        self.calls += 1
        places = atoms.get_positions()
        off = places[:-1] - self.held
        way = (places[-1] - self.start) @ self.axis
        across = places[-1] - self.start - way * self.axis
        x, u = way / self.length, 1 - (2 * way / self.length - 1) ** 2
        slope = (self.height * 2 * u * -4 * (2 * x - 1) + self.tilt) / self.length
        energy = self.height * u**2 + self.tilt * x + 2 * (off**2).sum() + 2 * (across**2).sum()
        self.results = {
            "energy": float(energy),
            "forces": np.concatenate([-4 * off, (-slope * self.axis - 4 * across)[None]]),
        }

    def exact(self) -> tuple[float, float]:
        """Forward and reverse barrier, from the stationary points of the polynomial."""
        poly = np.polynomial.Polynomial
        well = poly([-1, 2])
        energy = self.height * (1 - well**2) ** 2 + poly([0, self.tilt])
        low, top, high = sorted(energy.deriv().roots().real)
        return float(energy(top) - energy(low)), float(energy(top) - energy(high))


class Hedgehogs(Calculator):
    """Framework atoms are held where they were first seen; they repel the moving ion, and so do the other ions a little."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]
    reach = 0.35

    def __init__(self, stop_after: int | None = None) -> None:
        super().__init__()
        self.held: Any = None
        self.calls = 0
        self.stop_after = stop_after

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        self.calls += 1
        if self.stop_after is not None and self.calls > self.stop_after:
            raise KeyboardInterrupt
        places, cell = atoms.get_positions(), np.array(atoms.cell)
        if self.held is None:
            self.held = places[:-1].copy()
        off = places[:-1] - self.held
        forces = np.zeros_like(places)
        forces[:-1] = -8.0 * off
        energy = 4.0 * float((off**2).sum())
        shifts = np.array(np.meshgrid(*[[-1, 0, 1]] * 3)).reshape(3, -1).T @ cell
        apart = places[-1] - places[:-1, None] - shifts
        distance = np.linalg.norm(apart, axis=2)
        push = 400.0 * np.exp(-distance / self.reach)
        push[np.array(atoms.get_chemical_symbols()[:-1]) == atoms.get_chemical_symbols()[-1]] *= 0.01
        energy += float(push.sum())
        pull = (push / self.reach / distance)[..., None] * apart
        forces[-1] += pull.sum(axis=(0, 1))
        forces[:-1] -= pull.sum(axis=1)
        self.results = {"energy": energy, "forces": forces}


def potential(calculator: Any) -> Potential:
    """A potential that is none."""
    return Potential("toy", "Toy", "1.0", "none", "nothing", "BSD-3-Clause", "none", calculator)
