"""Energies of candidates from an interatomic potential: to order them by, and to relax those that are kept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from builders.templates.candidates import Candidate
    from indexes.templates.predict import Prediction
    from store.crystal import Crystal


class Energies:
    """Single points of the potential of the extra ``potential``; it is loaded at the first question and kept.

    Parameters
    ----------
    relax : bool
        Whether candidates are relaxed briefly in the end, symmetry kept.

    Raises
    ------
    MissingExtra
        The extra is not installed.
    """

    def __init__(self, relax: bool = False) -> None:
        from builders.potential.potentials import require_potential

        require_potential()
        self._relax = relax
        self._potential: Any = None

    @property
    def potential(self) -> Any:
        """The potential."""
        if self._potential is None:
            from builders.templates.energies import load_energy_model

            self._potential = load_energy_model()
        return self._potential

    def of(self, crystals: Sequence[Crystal]) -> NDArray[np.float64]:
        """Energy of each crystal as it is, shape=(n,), eV/atom; NaN for large cells and unknown elements."""
        from builders.templates.energies import single_points

        energies: NDArray[np.float64] = single_points(crystals, self.potential)[:, 0]
        return energies

    def finished(self, found: Prediction) -> Prediction:
        """Name the method beside each energy; relax the candidates where that was wanted.

        What cannot be relaxed stays as it is, with a warning. The order stays that of the unrelaxed structures: on known
        compounds short relaxations did not improve it.
        """
        candidates = [self._finished(each) for each in found.candidates]
        notes = found.notes
        if found.candidates and all(each.energy is None for each in candidates):
            notes = (*notes, "No candidate has an energy: cells are large, or the potential does not know an element.")
        return replace(found, candidates=candidates, notes=notes)

    def _finished(self, candidate: Candidate) -> Candidate:
        if self._relax:
            return self._relaxed(candidate)
        if candidate.energy is None:
            return candidate
        return replace(candidate, method=f"{self.potential.label}, single point")

    def _relaxed(self, candidate: Candidate) -> Candidate:
        from builders.templates.energies import relax_briefly

        energy = self.of([candidate.crystal])[0] if candidate.energy is None else candidate.energy
        if energy != energy:  # NaN: there is no energy of such a crystal
            return candidate
        try:
            made = relax_briefly(candidate.crystal, self.potential)
        except (ValueError, ArithmeticError, RuntimeError, KeyError) as error:
            told = (*candidate.warnings, f"not relaxed: {type(error).__name__}: {error}")
            return replace(
                candidate, energy=float(energy), method=f"{self.potential.label}, single point", warnings=told
            )
        how = "relaxed" if made.converged else f"{made.steps} steps of relaxation, not converged"
        volume = abs(made.crystal.volume) / made.crystal.n_sites
        method = f"{self.potential.label}, {how}"
        return replace(candidate, crystal=made.crystal, volume_per_atom=volume, energy=made.energy, method=method)
