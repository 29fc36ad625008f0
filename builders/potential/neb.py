"""Climbing-image nudged elastic band with any ASE calculator.

Henkelman, Uberuaga, Jónsson, J. Chem. Phys. 113, 9901 (2000), https://doi.org/10.1063/1.1329672 (climbing image);
Henkelman, Jónsson, J. Chem. Phys. 113, 9978 (2000), https://doi.org/10.1063/1.1323224 (tangents).

In a fixed cell: relax both ends; lay images along the route of voids (:mod:`builders.potential.first_path`); relax the band until
its forces are small, then let the highest image climb. Nothing is drawn at random: the same input on the same machine gives
the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from builders.channels.model import Flag
from builders.potential.first_path import first_path
from builders.potential.result import (
    FLAG_COLLAPSED,
    FLAG_INTERRUPTED,
    FLAG_NOT_CONVERGED,
    Convergence,
    NebResult,
    doubts,
)
from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from builders.potential.calls import Tally
    from builders.potential.endpoints import Endpoints
    from builders.potential.result import Stage

SPRING: Final = 1.0
"""eV/Å^2; only the spacing of the images depends on it."""
LOOSE: Final = 4.0
"""The highest image begins to climb when the band's forces are below so many times ``fmax``."""
LONGEST: Final = 0.1
"""Å; an atom moves no farther in an iteration of the band."""
STIFFNESS: Final = 30.0
"""eV/Å^2; first guess of the curvature."""
PATIENCE: Final = 20
"""Iterations without smaller forces after which another optimiser takes over."""


@dataclass(frozen=True)
class Options:
    """What may be chosen about a band.

    Attributes
    ----------
    images : int
        Images between the ends.
    fmax : float
        eV/Å; largest force at which ends and band count as converged.
    steps : int
        Most iterations of each end, and of the band.
    """

    images: int = 5
    fmax: float = 0.05
    steps: int = 300

    def check(self) -> None:
        """Refuse what cannot be.

        Raises
        ------
        UsageError
        """
        if not 1 <= self.images <= 25:
            raise UsageError(f"A band has 1 to 25 images; {self.images} was given.", mend="--images 5")
        if not 1e-4 <= self.fmax <= 1.0:
            raise UsageError(f"fmax is between 0.0001 and 1 eV/Å; {self.fmax:g} was given.", mend="--fmax 0.05")
        if self.steps < 1:
            raise UsageError(f"At least one iteration is needed; {self.steps} was given.", mend="--steps 300")


DEFAULTS: Final = Options()


def run_neb(
    endpoints: Endpoints,
    calculator: Any,
    options: Options = DEFAULTS,
    progress: Callable[[Convergence], None] | None = None,
) -> NebResult:
    """Find the barrier of a hop.

    Parameters
    ----------
    endpoints : Endpoints
    calculator : ase.calculators.calculator.Calculator
        The potential; one for all images.
    options : Options, optional
    progress : callable, optional
        Called after each iteration.

    Returns
    -------
    NebResult
        Also after Ctrl-C: then with the flag "interrupted", and not converged.

    Raises
    ------
    UsageError
        Options that cannot be.

    Examples
    --------
    Silver in Cu3Ag hops into a vacancy:

    >>> from ase.calculators.emt import EMT
    >>> from builders.channels.analysis import analyse
    >>> from builders.potential.endpoints import make_endpoints
    >>> from store.crystal import Crystal
    >>> places = [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    >>> alloy = Crystal.from_lists(np.eye(3) * 3.7, ["Ag", "Cu", "Cu", "Cu"], places)
    >>> ends = make_endpoints(analyse(alloy, "Ag"), 0, repeats=(2, 2, 2))
    >>> result = run_neb(ends, EMT(), Options(images=1, fmax=0.1))
    >>> result.converged, abs(result.forward - result.reverse) < 1e-3
    (True, True)
    """
    options.check()
    return _Run(endpoints, calculator, options, progress).result()


class _Run:
    """One calculation: what it has reached so far is always at hand, for when it is interrupted."""

    def __init__(
        self,
        endpoints: Endpoints,
        calculator: Any,
        options: Options,
        progress: Callable[[Convergence], None] | None,
    ) -> None:
        from builders.potential.calls import Tally

        self._endpoints = endpoints
        self._calculator = calculator
        self._options = options
        self._progress = progress
        self._tally: Tally = Tally()
        self._history: list[Convergence] = []
        self._flags: list[Flag] = []
        self._positions = np.stack([endpoints.start, endpoints.end])
        self._energies = np.zeros(0)
        self._kind = ""

    def result(self) -> NebResult:
        converged = False
        try:
            converged = self._work()
        except KeyboardInterrupt:
            stage = self._history[-1].stage if self._history else "start"
            self._flags.append(Flag(FLAG_INTERRUPTED, f"Stopped in the stage {stage!r}, before it was done."))
        energies = self._energies
        return NebResult(
            positions=self._positions,
            energies=energies - energies[0] if len(energies) else energies,
            start_energy=float(energies[0]) if len(energies) else float("nan"),
            converged=converged,
            fmax=self._options.fmax,
            history=tuple(self._history),
            calls=self._tally.calls,
            first_path=self._kind,
            flags=(*self._flags, *doubts(self._endpoints, self._positions, energies)),
        )

    def _work(self) -> bool:
        ends, done = [], True
        for stage, positions in (("start", self._endpoints.start), ("end", self._endpoints.end)):
            relaxed, energy, converged = self._relax(stage, positions)  # type: ignore[arg-type]
            ends.append((relaxed, energy))
            self._positions[0 if stage == "start" else 1] = relaxed
            done &= converged
        if any(flag.code == FLAG_COLLAPSED for flag in doubts(self._endpoints, self._positions, np.zeros(0))):
            return False
        path = first_path(self._endpoints, ends[0][0], ends[1][0], self._options.images)
        self._kind = path.kind
        return self._band(path.positions, (ends[0][1], ends[1][1])) and done

    def _atoms(self, positions: NDArray[np.float64]) -> Any:
        from ase import Atoms

        from builders.potential.calls import Remembering

        made = Atoms(list(self._endpoints.symbols), positions, cell=self._endpoints.lattice, pbc=True)
        made.calc = Remembering(self._calculator, self._tally)
        return made

    def _relax(self, stage: Stage, positions: NDArray[np.float64]) -> tuple[NDArray[np.float64], float, bool]:
        from ase.optimize import LBFGS

        atoms = self._atoms(positions)
        first: float | None = None
        converged = False
        steps = LBFGS(atoms, logfile=None).irun(fmax=self._options.fmax, steps=self._options.steps)
        for iteration, reached in enumerate(steps):
            energy = float(atoms.get_potential_energy())
            first = energy if first is None else first
            self._tell(Convergence(stage, iteration, _largest(atoms.get_forces()), energy - first))
            converged = bool(reached)
        if not converged:
            self._flags.append(self._late(f"The {stage} of the hop", self._history[-1].fmax))
        return atoms.get_positions(), float(atoms.get_potential_energy()), converged

    def _band(self, positions: NDArray[np.float64], ends: tuple[float, float]) -> bool:
        from ase.calculators.singlepoint import SinglePointCalculator
        from ase.mep.neb import NEB

        images = [self._atoms(each) for each in positions]
        for image, energy in ((images[0], ends[0]), (images[-1], ends[1])):
            image.calc = SinglePointCalculator(image, energy=energy, forces=np.zeros((len(image), 3)))
        band = NEB(images, k=SPRING, climb=False, method="improvedtangent", allow_shared_calculator=False)
        options = self._options
        used = self._settle("band", band, options.fmax * LOOSE, options.steps)
        band.climb = True
        self._settle("climb", band, options.fmax, options.steps - used)
        if self._history[-1].fmax > options.fmax:
            self._flags.append(self._late("The band", self._history[-1].fmax))
            return False
        return True

    def _settle(self, stage: Stage, band: Any, fmax: float, most: int) -> int:
        """Relax the band, and count the iterations.

        L-BFGS needs half as many as FIRE (Sheppard, Terrell, Henkelman, J. Chem. Phys. 128, 134106, 2008,
        https://doi.org/10.1063/1.2841941), but a band's forces have no energy that bounds them: where it gets nowhere,
        FIRE takes over.
        """
        from ase.optimize import FIRE, LBFGS

        quick = LBFGS(band, logfile=None, maxstep=LONGEST, alpha=STIFFNESS, memory=30)
        used = self._drive(stage, band, quick.irun(fmax=fmax, steps=most), patience=PATIENCE)
        if self._history[-1].fmax > fmax and used < most:
            safe = FIRE(band, logfile=None, dt=0.25, maxstep=LONGEST)
            used = self._drive(stage, band, safe.irun(fmax=fmax, steps=most - used), first=used)
        return used

    def _drive(
        self, stage: Stage, band: Any, steps: Iterator[bool], first: int = 0, patience: int | None = None
    ) -> int:
        """Move the band; every iteration leaves its state behind. Ends early when forces have not shrunk for so long."""
        iteration, best, at = first, np.inf, first
        for iteration, _ in enumerate(steps, start=first):
            fmax = _largest(band.get_forces())
            self._positions = np.stack([image.get_positions() for image in band.images])
            self._energies = band.energies.copy()
            self._tell(Convergence(stage, iteration, fmax, float(self._energies.max() - self._energies[0])))
            if fmax < best:
                best, at = fmax, iteration
            elif patience is not None and iteration - at >= patience:
                break
        return iteration

    def _tell(self, state: Convergence) -> None:
        self._history.append(state)
        if self._progress is not None:
            self._progress(state)

    def _late(self, what: str, fmax: float) -> Flag:
        reason = (
            f"{what} still has forces of {fmax:.3f} eV/Å after {self._options.steps} iterations; {self._options.fmax:g} was "
            "asked for."
        )
        return Flag(FLAG_NOT_CONVERGED, reason)


def _largest(forces: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(forces.reshape(-1, 3), axis=1).max())
