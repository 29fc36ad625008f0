"""Energies of predicted structures from a universal interatomic potential (extra ``potential``).

All models lie in the wheel of ``sevenn``; nothing is downloaded. A single point here asks for the energy alone: without forces
the network runs without the graph that derivatives need, at a quarter of the cost.

==============  ====================================================================================
``7net-0``      SevenNet-0 (MPtrj): the quickest
``7net-mf-0``   SevenNet-MF-0, channel PBE (MPtrj and r2SCAN): the cost of 7net-0
``7net-l3i5``   SevenNet-l3i5 (MPtrj): three times the cost, the most exact
==============  ====================================================================================

Energies of different compositions are not compared here, so totals per atom are enough: candidates of one formula have the
same atoms.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from builders.potential.potentials import Potential, require_potential
from store.crystal import Crystal
from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

DEFAULT: Final = "7net-0"
MODELS: Final[dict[str, tuple[str, str, str | None]]] = {
    "7net-0": ("sevennet-0", "SevenNet-0", None),
    "7net-mf-0": ("sevennet-mf-0", "SevenNet-MF-0 (PBE)", "PBE"),
    "7net-l3i5": ("sevennet-l3i5", "SevenNet-l3i5", None),
}
"""Key, name and channel of each model of the wheel."""

LARGEST: Final = 200
"""Atoms; larger cells get no energy."""


@dataclass(frozen=True, eq=False)
class Relaxed:
    """What a short relaxation gave.

    Attributes
    ----------
    crystal : Crystal
    energy : float
        eV/atom.
    steps : int
    converged : bool
        Whether forces and stress fell below the limit.
    """

    crystal: Crystal
    energy: float
    steps: int
    converged: bool


def load_energy_model(name: str = DEFAULT, threads: int | None = None) -> Potential:
    """Load a potential for ranking; torch is loaded here.

    Parameters
    ----------
    name : {"7net-0", "7net-mf-0", "7net-l3i5"}
    threads : int, optional
        Threads of torch; by default those of :func:`builders.potential.potentials.load_potential`.

    Raises
    ------
    UsageError
        There is no such model.
    MissingExtra
        The extra is not installed.

    Examples
    --------
    >>> load_energy_model("7net-0", threads=1).label                            # doctest: +SKIP
    'SevenNet-0 0.13.0'
    """
    if name not in MODELS:
        raise UsageError(f"There is no potential called {name!r}.", mend=f"choose among {', '.join(MODELS)}")
    require_potential()
    import warnings
    from importlib.metadata import version

    from builders.potential.potentials import _cores

    key, title, modal = MODELS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its packages: accelerators that are absent, functions that will go
        import torch
        from sevenn.calculator import SevenNetCalculator

        torch.set_num_threads(threads or _cores())
        calculator = SevenNetCalculator(name, device="cpu", modal=modal)
    return Potential(
        key=key,
        name=title,
        version=version("sevenn"),
        functional="PBE/PBE+U (MPtrj)",
        trained_on="MPtrj (Materials Project relaxations, 2022)" + (" and MP-r2SCAN" if modal else ""),
        licence="MIT (code and weights of sevenn)",
        reference="Park et al., J. Chem. Theory Comput. 20, 4857 (2024), doi:10.1021/acs.jctc.4c00190",
        calculator=calculator,
    )


def single_points(
    crystals: Sequence[Crystal],
    potential: Potential,
    *,
    scales: Sequence[float] = (1.0,),
    progress: Callable[[int], None] | None = None,
) -> NDArray[np.float64]:
    """Energy of each crystal at one or more volumes, without relaxation.

    Parameters
    ----------
    crystals : sequence of Crystal
        Ordered cells.
    potential : Potential
        From :func:`load_energy_model` or :func:`builders.potential.potentials.load_potential`.
    scales : sequence of float
        Volumes, in units of each crystal's own.
    progress : callable, optional
        Called with the number of crystals done.

    Returns
    -------
    numpy.ndarray
        shape=(n, len(scales)), eV/atom; NaN for a cell of more than 200 atoms or with an element that the potential does not
        know.

    Examples
    --------
    >>> single_points([salt], load_energy_model(threads=1)).round(2).tolist()   # doctest: +SKIP
    [[-3.39]]
    """
    ask = _energy_function(potential)
    energies = np.full((len(crystals), len(scales)), np.nan)
    known = set(potential.calculator.type_map)
    for row, crystal in enumerate(crystals):
        numbers = _numbers(crystal)
        if len(numbers) <= LARGEST and known.issuperset(numbers):
            for column, scale in enumerate(scales):
                energies[row, column] = ask(_atoms(crystal, scale)) / len(numbers)
        if progress is not None:
            progress(row + 1)
    return energies


def least_energies(
    crystals: Sequence[Crystal], potential: Potential, *, scales: Sequence[float] = (0.94, 1.0, 1.06)
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lowest energy of each crystal along its volume, from a few single points.

    Parameters
    ----------
    crystals, potential
        As in :func:`single_points`.
    scales : sequence of float
        At least three volumes, ascending.

    Returns
    -------
    energies : numpy.ndarray
        shape=(n,), eV/atom: the least of the points, or the bottom of the parabola through the lowest three where it lies
        between them.
    best : numpy.ndarray
        shape=(n,), the scale of the volume at which it lies.
    """
    grid = np.asarray(scales, dtype=np.float64)
    points = single_points(crystals, potential, scales=scales)
    energies, best = np.full(len(points), np.nan), np.ones(len(points))
    for row, values in enumerate(points):
        if np.isfinite(values).all():
            energies[row], best[row] = _bottom(grid, values)
    return energies, best


def relax_briefly(
    crystal: Crystal, potential: Potential, *, steps: int = 30, fmax: float = 0.1, cell: bool = True
) -> Relaxed:
    """Relax atoms and cell for some steps, keeping the symmetry.

    Parameters
    ----------
    crystal : Crystal
    potential : Potential
    steps : int
        Most steps of the optimiser.
    fmax : float
        eV/Å; forces (and stress times volume, in the same unit) of a converged structure.
    cell : bool
        Whether the cell relaxes too.

    Returns
    -------
    Relaxed
        As far as it came. A cell that collapses or explodes ends where it began, unconverged.
    """
    import warnings

    from ase.constraints import FixSymmetry
    from ase.filters import FrechetCellFilter
    from ase.optimize import FIRE

    atoms = _atoms(crystal, 1.0)
    atoms.calc = potential.calculator
    start = float(atoms.get_potential_energy()) / len(atoms)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if crystal.n_sites > 1:
            atoms.set_constraint(FixSymmetry(atoms, symprec=0.01))
        optimiser = FIRE(FrechetCellFilter(atoms) if cell else atoms, logfile=None, maxstep=0.1)
        converged = bool(optimiser.run(fmax=fmax, steps=steps))
    energy = float(atoms.get_potential_energy()) / len(atoms)
    volume = abs(float(atoms.get_volume()))
    if not np.isfinite(energy) or energy > start + 1e-6 or not 0.4 < volume / abs(crystal.volume) < 2.5:
        return Relaxed(crystal, start, optimiser.nsteps, converged=False)
    relaxed = Crystal(np.asarray(atoms.cell.array, dtype=np.float64), atoms.get_scaled_positions(), crystal.species)
    return Relaxed(relaxed, energy, optimiser.nsteps, converged)


def _bottom(scales: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[float, float]:
    middle = int(np.clip(values.argmin(), 1, len(values) - 2))
    near = slice(middle - 1, middle + 2)
    curve = np.polyfit(scales[near], values[near], 2)
    if curve[0] > 0:
        place = -curve[1] / (2 * curve[0])
        if scales[near][0] <= place <= scales[near][-1]:
            return float(np.polyval(curve, place)), float(place)
    return float(values.min()), float(scales[values.argmin()])


def _atoms(crystal: Crystal, scale: float) -> Any:
    from ase import Atoms

    lattice = crystal.lattice * scale ** (1 / 3)
    return Atoms(list(crystal.species), cell=lattice, scaled_positions=crystal.frac_coords, pbc=True)


def _numbers(crystal: Crystal) -> list[int]:
    from ase.data import atomic_numbers

    return [int(atomic_numbers[symbol]) for symbol in crystal.species]


def _energy_function(potential: Potential) -> Callable[[Any], float]:
    """Make a function of ASE atoms that gives the total energy, eV, without building a graph for derivatives."""
    import torch
    from sevenn import _keys
    from sevenn.atom_graph_data import AtomGraphData
    from sevenn.train.dataload import unlabeled_atoms_to_graph

    calculator = potential.calculator
    # A shallow copy that shares the weights: the calculator itself keeps its forces.
    network = copy.copy(calculator.model)
    network._modules = {name: part for name, part in calculator.model._modules.items() if name != "force_output"}

    def ask(atoms: Any) -> float:
        data = AtomGraphData.from_numpy_dict(unlabeled_atoms_to_graph(atoms, calculator.cutoff, with_shift=False))
        if calculator.modal:
            data[_keys.DATA_MODALITY] = calculator.modal
        with torch.no_grad():
            return float(network(data)[_keys.PRED_TOTAL_ENERGY].item())

    return ask
