"""Voids and channels of an ion in a crystal: from a file, an id of the store or a structure, to tables and pictures.

from ionatlas import channels

report = channels("LiFePO4.cif", ion="Li")
report.r1, report.hops, report.voids, report.dimension(1.7)
report.png("LiFePO4.png")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.channels.report import ChannelReport, checked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pymatgen.core.structure import Structure

    from api.service import Service
    from store.crystal import Crystal


def channels(
    source: str | Path | Crystal | Structure,
    ion: str | None = None,
    *,
    threshold: float | None = None,
    service: Callable[[], Service] | None = None,
) -> ChannelReport:
    """Find the voids and channels that a crystal offers an ion.

    Parameters
    ----------
    source : str, pathlib.Path, pymatgen Structure or store.crystal.Crystal
        A file with one structure (CIF, POSCAR, JSON, extended XYZ; compressed or not), a structure, or an id of the store
        (its standardised cell).
    ion : str, optional
        Element symbol. By default the working ion of the crystal, if there is just one. A crystal without the ion is
        taken as a host for insertion.
    threshold : float, optional
        Channel radius that the ion needs, Å; by default that of ion and anion in the table of thresholds.
    service : callable, optional
        Opens the store (:class:`api.service.Service`) that holds the id; by default the one the settings name.

    Returns
    -------
    ChannelReport

    Raises
    ------
    UsageError
        No such file, several structures in it, no ion given where several could be meant, an impossible threshold.
    UnknownId
        Neither a file nor an id.
    SourceError, StructureError
        The file cannot be read, or holds an impossible crystal.

    Examples
    --------
    >>> report = channels("LiFePO4.cif", ion="Li")                              # doctest: +SKIP
    >>> report.r1, report.dimension(1.8), len(report.hops)                      # doctest: +SKIP
    (1.877, 1, 3)
    """
    from api.channels.source import choose_ion, read_source
    from builders.channels.analysis import analyse
    from builders.channels.framework import split
    from builders.channels.thresholds import threshold as default_threshold
    from builders.structures.formulas import describe_composition, formula_units
    from builders.structures.validation import validate

    given = None if threshold is None else checked(threshold)
    name, read = read_source(source, service)
    crystal = validate(read).crystal
    formula = describe_composition(crystal.amounts(), formula_units(crystal.species)).formula
    chosen = choose_ion(crystal, ion, name or formula)
    found = analyse(crystal, chosen)
    return ChannelReport(
        name=name or formula,
        formula=formula,
        crystal=crystal,
        channels=found,
        cations=split(crystal, chosen).cations,
        limits=default_threshold(chosen, found.anion),
        given=given,
    )


__all__ = ["ChannelReport", "channels"]
