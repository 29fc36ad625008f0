"""What is said first of migration energies: that of the first direction, wherever the answer comes from."""

from __future__ import annotations

from typing import Any


class OneDirection:
    """The migration energy in one direction, of answers that have ``energies`` in one, two and three."""

    energies: Any

    @property
    def value(self) -> float | None:
        """Migration energy, eV; None where no path of predicted hops leads through the crystal."""
        return self.energies[0].value if self.energies[0] else None

    @property
    def lower(self) -> float | None:
        """Lower end of its 90 % interval, eV."""
        return self.energies[0].lower if self.energies[0] else None

    @property
    def upper(self) -> float | None:
        """Upper end of its 90 % interval, eV."""
        return self.energies[0].upper if self.energies[0] else None

    @property
    def in_domain(self) -> bool | None:
        """Whether hops like those that the model was trained on make a path of this energy."""
        return self.energies[0].in_domain if self.energies[0] else None
