"""Inverse retrieval: compositions that could take a structure.

from ionatlas import inverse

found = inverse("argyrodite.cif", elements=["Li", "P", "S", "Se", "Cl", "Br", "I"], charge_balanced=True)
found.candidates[0].formula, found.candidates[0].probability
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.inverse.report import InverseReport
from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from pymatgen.core.structure import Structure

    from api.service import Service
    from indexes.inverse.space import CompositionSpace
    from store.crystal import Crystal


def inverse(
    source: str | Path | Crystal | Structure,
    k: int = 20,
    *,
    elements: str | Iterable[str] | None = None,
    required: str | Iterable[str] | None = None,
    charge_balanced: bool = False,
    new: bool = False,
    ratios: Sequence[str] | None = None,
    any_volume: bool = True,
    space: CompositionSpace | None = None,
    service: Callable[[], Service] | None = None,
) -> InverseReport:
    """Find compositions that could take a structure, the likeliest first.

    Parameters
    ----------
    source : str, pathlib.Path, pymatgen Structure or store.crystal.Crystal
        A file with one structure, a structure, or an id of the store. It need not be known.
    k : int
        How many; fewer come back where fewer are there.
    elements : str or iterable of str, optional
        At most these; compositions of them that nobody has made are looked at too. ``"Li,P,S"`` or a list.
    required : str or iterable of str, optional
        Elements that must be there.
    charge_balanced : bool
        Only compositions that are neutral with usual oxidation states.
    new : bool
        Leave out compositions that the store has; needs ``elements``.
    ratios : sequence of str, optional
        Other stoichiometries, such as ``"1:2:4"``.
    any_volume : bool
        Compare at the best of several volumes, not at the structure's own alone.
    space : CompositionSpace, optional
        The known compositions; by default those of the store's template library.
    service : callable, optional
        Opens the store (:class:`api.service.Service`); by default the one that the settings name.

    Returns
    -------
    InverseReport

    Raises
    ------
    UsageError
        No such file, a disordered crystal, unknown elements, too many compositions, or nothing to look among.
    SnapshotMissing
        The template library of the store is not built.
    UnknownId, SourceError, StructureError

    Examples
    --------
    >>> inverse("LiFePO4.cif", 5).candidates[0].formula                           # doctest: +SKIP
    'LiFePO4'
    """
    from api.channels.source import read_source
    from builders.structures.formulas import describe_composition
    from builders.structures.validation import validate
    from indexes.inverse.search import inverse as search

    if new and elements is None:
        raise UsageError("New compositions are made of elements that are named.", mend="--elements Li,P,S, for example")
    opened = _once(service)
    name, read = read_source(source, opened)
    crystal = validate(read).crystal
    if not crystal.is_ordered:
        raise UsageError(
            f"{name or 'The crystal'} is disordered: compositions are found for structures with one element on each site.",
            mend="take an ordered entry of it: ionatlas query 'is_ordered = TRUE AND formula = \"...\"'",
        )
    known = opened().compositions() if space is None else space
    found = search(
        crystal,
        known,
        k,
        elements=elements,
        required=required or (),
        charge_balanced=charge_balanced,
        stored=not new,
        ratios=ratios,
        any_volume=any_volume,
    )
    formula = describe_composition(crystal.amounts()).formula
    return InverseReport(name or formula, formula, found, len(known.library))


def _once(service: Callable[[], Service] | None) -> Callable[[], Service]:
    """Open the store at the first question and keep it."""
    from functools import cache

    if service is None:
        from api.cli.output import open_service

        service = open_service
    return cache(service)


__all__ = ["InverseReport", "inverse"]
