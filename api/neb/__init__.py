"""The barrier of one hop from a universal interatomic potential (extra ``potential``): from a crystal to numbers and a record.

from api.neb import neb

report = neb("LiFePO4.cif", ion="Li", hop=0)
report.forward, report.reverse, report.result.flags
report.png("profile.png")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.neb.report import NebReport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pymatgen.core.structure import Structure

    from api.service import Service
    from builders.potential.endpoints import Limit
    from builders.potential.neb import Options
    from builders.potential.potentials import Potential
    from builders.potential.result import Convergence
    from store.crystal import Crystal


def neb(
    source: str | Path | Crystal | Structure,
    ion: str | None = None,
    hop: int = 0,
    *,
    limit: Limit | None = None,
    supercell: Sequence[int] | None = None,
    options: Options | None = None,
    potential: Potential | None = None,
    progress: Callable[[Convergence], None] | None = None,
    announce: Callable[[str], None] | None = None,
    service: Callable[[], Service] | None = None,
) -> NebReport:
    """Compute the barrier of a hop with a climbing-image nudged elastic band.

    Parameters
    ----------
    source : str, pathlib.Path, pymatgen Structure or store.crystal.Crystal
        A file with one structure, a structure, or an id of the store (its standardised cell).
    ion : str, optional
        Element symbol. By default the working ion of the crystal, if there is just one.
    hop : int
        Which of the ion's hops, counted from 0 as ``ionatlas channels`` lists them.
    limit : str, optional
        "vacancy" (default: one ion is missing, at the end of the hop) or "dilute" (the moving ion is the only one).
    supercell : sequence of int, optional
        Repeats along the cell's vectors; by default the images of the ion are at least 8 Å apart, with at most 200 atoms.
    options : builders.potential.neb.Options, optional
    potential : builders.potential.potentials.Potential, optional
        By default the one of the extra ``potential``.
    progress : callable, optional
        Called after each iteration.
    announce : callable, optional
        Called with a line of words before the work begins: what is to be computed.
    service : callable, optional
        Opens the store that holds the id; by default the one the settings name.

    Returns
    -------
    NebReport
        Also after Ctrl-C: then not converged.

    Raises
    ------
    MissingExtra
        The extra ``potential`` is not installed.
    UsageError
        No such file, ion, hop or supercell; a vacancy where the sites are partly empty.
    StructureError
        An impossible crystal, or a disordered framework.

    Examples
    --------
    >>> report = neb("LiFePO4.cif", ion="Li", hop=0)                            # doctest: +SKIP
    >>> report.result.converged, report.hop.p_length                            # doctest: +SKIP
    (True, 3.003)
    """
    from api.channels.source import choose_ion, read_source
    from builders.channels.analysis import analyse
    from builders.potential.endpoints import make_endpoints
    from builders.potential.neb import DEFAULTS, run_neb
    from builders.potential.potentials import load_potential, require_potential
    from builders.structures.formulas import describe_composition, formula_units
    from builders.structures.validation import validate

    chosen_options = options or DEFAULTS
    chosen_options.check()
    if potential is None:
        require_potential()
    name, read = read_source(source, service)
    crystal = validate(read).crystal
    formula = describe_composition(crystal.amounts(), formula_units(crystal.species)).formula
    chosen = choose_ion(crystal, ion, name or formula, "neb")
    found = analyse(crystal, chosen)
    endpoints = make_endpoints(found, hop, limit=limit, repeats=supercell)
    used = load_potential() if potential is None else potential
    report = NebReport(name or formula, formula, found, hop, endpoints, used, None)
    if announce is not None:
        announce(report.task())
    return report.with_result(run_neb(endpoints, used.calculator, chosen_options, progress))


__all__ = ["NebReport", "neb"]
