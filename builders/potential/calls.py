"""One potential for many structures: each remembers its own last answer, and the calls are counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ase.calculators.calculator import Calculator, all_changes


@dataclass
class Tally:
    """How often the potential was asked."""

    calls: int = 0


class Remembering(Calculator):
    """Asks another calculator, once for every geometry.

    An elastic band asks each of its images several times a step. A calculator that they share remembers only the last image,
    so it would compute all of them again.

    Parameters
    ----------
    inner : ase.calculators.calculator.Calculator
        The potential.
    tally : Tally
        Counts its calls.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from ase.calculators.emt import EMT
    >>> tally, inner = Tally(), EMT()
    >>> one, other = molecule("N2"), molecule("CO")
    >>> one.calc, other.calc = Remembering(inner, tally), Remembering(inner, tally)
    >>> _ = [each.get_potential_energy() for each in (one, other, one, other)]
    >>> tally.calls
    2
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(self, inner: Any, tally: Tally) -> None:
        super().__init__()
        self._inner = inner
        self._tally = tally

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        """Compute energy and forces."""
        super().calculate(atoms, properties, system_changes)
        self._tally.calls += 1
        asked = self.atoms.copy()
        self.results = {
            "energy": float(self._inner.get_property("energy", asked)),
            "forces": self._inner.get_property("forces", asked).copy(),
        }
