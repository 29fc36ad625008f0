"""The universal interatomic potential of the extra ``potential``, as an ASE calculator.

SevenNet-0 (Park, Kim, Hwang, Han, J. Chem. Theory Comput. 20, 4857, 2024, https://doi.org/10.1021/acs.jctc.4c00190), trained on
MPtrj: relaxations of the Materials Project in PBE, and PBE+U for the oxides and fluorides of Co, Cr, Fe, Mn, Mo, Ni, V and W.
Its weights lie in the wheel of ``sevenn``. Why this one: ``docs/neb.md``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from store.errors import MissingExtra

_PACKAGES: Final = ("sevenn", "torch")
_MODEL: Final = "7net-0"


@dataclass(frozen=True, eq=False)
class Potential:
    """A potential and what must be known about it.

    Attributes
    ----------
    key : str
        Short name for ids.
    name : str
    version : str
        Of the package that holds it.
    functional : str
        Of the calculations it imitates.
    trained_on : str
    licence : str
        Of code and weights.
    reference : str
    calculator : ase.calculators.calculator.Calculator
        Energies and forces of a neutral cell.
    """

    key: str
    name: str
    version: str
    functional: str
    trained_on: str
    licence: str
    reference: str
    calculator: Any = field(repr=False)

    @property
    def label(self) -> str:
        """Name and version."""
        return f"{self.name} {self.version}"

    @property
    def method(self) -> str:
        """How the store names what comes from it."""
        return f"MLIP-NEB ({self.label})"

    def to_dict(self) -> dict[str, str]:
        """All but the calculator."""
        return {
            "name": self.name,
            "version": self.version,
            "functional": self.functional,
            "trained_on": self.trained_on,
            "licence": self.licence,
            "reference": self.reference,
        }


def require_potential() -> None:
    """Check that the extra is there, without loading it.

    Raises
    ------
    MissingExtra
        With the pip command.
    """
    from importlib.util import find_spec

    absent = [package for package in _PACKAGES if find_spec(package) is None]
    if absent:
        raise MissingExtra(
            f"Barriers from an interatomic potential need {' and '.join(absent)}, which is not installed.",
            mend='pip install "ionatlas[potential]"',
        )


def load_potential(threads: int | None = None) -> Potential:
    """Load the potential; torch is loaded here and nowhere else, and a process that did must not fork.

    Parameters
    ----------
    threads : int, optional
        Threads of torch; by default OMP_NUM_THREADS, else as many as the cores that this process may use.

    Returns
    -------
    Potential

    Raises
    ------
    MissingExtra
        The extra is not installed.

    Examples
    --------
    >>> load_potential().method                                                 # doctest: +SKIP
    'MLIP-NEB (SevenNet-0 0.13.0)'
    """
    require_potential()
    import warnings
    from importlib.metadata import version

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its packages: accelerators that are absent, functions that will go
        import torch
        from sevenn.calculator import SevenNetCalculator

        torch.set_num_threads(threads or _cores())
        calculator = SevenNetCalculator(_MODEL, device="cpu")
    return Potential(
        key="sevennet-0",
        name="SevenNet-0",
        version=version("sevenn"),
        functional="PBE/PBE+U (MPtrj)",
        trained_on="MPtrj (Materials Project relaxations, 2022)",
        licence="MIT (code and weights of sevenn)",
        reference="Park et al., J. Chem. Theory Comput. 20, 4857 (2024), doi:10.1021/acs.jctc.4c00190",
        calculator=calculator,
    )


def _cores() -> int:
    """Threads that the user asked for, or the cores of this process (fewer than the machine's under taskset)."""
    import os

    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
