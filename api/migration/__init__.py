"""Barriers of hops and migration energies, predicted: from a file, an id of the store, a structure, or rows of hops.

from ionatlas import hop_barriers, migration_energy

report = migration_energy("LiFePO4.cif", ion="Li")
report.value, report.lower, report.upper, report.in_domain, report.hops
for answer in hop_barriers("hops.jsonl.gz"):
    print(answer["id"], answer["value"])
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.migration.report import MigrationReport
from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pymatgen.core.structure import Structure

    from api.migration.rows import Answer
    from api.service import Service
    from builders.predictions.hops import Model
    from store.crystal import Crystal


def migration_energy(
    source: str | Path | Crystal | Structure,
    ion: str | None = None,
    *,
    model: str | Path | Model | None = None,
    service: Callable[[], Service] | None = None,
) -> MigrationReport:
    """Predict the barriers of an ion's hops in a crystal, and what it costs the ion to cross it.

    Parameters
    ----------
    source : str, pathlib.Path, pymatgen Structure or store.crystal.Crystal
        A file with one structure, a structure, or an id of the store (its standardised cell).
    ion : str, optional
        Element symbol. By default the working ion of the crystal, if there is just one. A crystal without the ion is
        taken as a host for insertion.
    model : str, pathlib.Path or model, optional
        A folder that ``ionatlas train`` wrote; by default the setting IONATLAS_MIGRATION_MODEL, else the shipped weights.
    service : callable, optional
        Opens the store (:class:`api.service.Service`) that holds the id; by default the one the settings name.

    Returns
    -------
    MigrationReport
        The migration energy is the smallest, over paths that lead through the crystal, of the largest barrier on the
        path (:mod:`builders.predictions.energies`).

    Raises
    ------
    UsageError
        No such file, several structures or hops in it, no ion given where several could be meant, no such model.
    UnknownId
        Neither a file nor an id.
    SourceError, StructureError
        The file cannot be read, or holds an impossible crystal.

    Examples
    --------
    >>> report = migration_energy("LiFePO4.cif", ion="Li")                        # doctest: +SKIP
    >>> f"{report.value:.2f} eV, {report.lower:.2f} to {report.upper:.2f}"        # doctest: +SKIP
    '0.35 eV, 0.11 to 0.74'
    """
    from api.channels.source import choose_ion, read_source
    from api.models import get_model
    from api.row_files import open_hops
    from builders.channels.analysis import analyse
    from builders.migration.model import MigrationModel
    from builders.predictions.hops import predict_crystals
    from builders.structures.formulas import describe_composition, formula_units
    from builders.structures.validation import validate

    given = open_hops(source)
    if given is not None:
        raise UsageError(
            f"{given.name} holds hops, and a crystal is wanted.", mend=f"hop_barriers({given.name!r}) predicts hops"
        )
    name, read = read_source(source, service)
    crystal = validate(read).crystal
    formula = describe_composition(crystal.amounts(), formula_units(crystal.species)).formula
    chosen = choose_ion(crystal, ion, name or formula, "predict migration-energy")
    loaded = get_model(MigrationModel, model)
    found = analyse(crystal, chosen)
    (barriers,) = predict_crystals(loaded, [found])
    return MigrationReport(name or formula, formula, found, barriers, loaded.id)


def hop_barriers(
    source: str | Path,
    ion: str | None = None,
    *,
    model: str | Path | None = None,
    workers: int | None = None,
) -> Iterator[Answer]:
    """Predict the barriers of the hops in a file, row by row, in the file's order and in constant memory.

    Parameters
    ----------
    source : str or pathlib.Path
        Hops in one of the layouts that ``ionatlas ingest`` reads, such as JSON Lines; compressed or not.
    ion : str, optional
        For rows that name no ``working_ion``.
    model : str or pathlib.Path, optional
        A folder that ``ionatlas train`` wrote; by default the setting IONATLAS_MIGRATION_MODEL, else the shipped weights.
    workers : int, optional
        Processes for large files; one a core by default.

    Yields
    ------
    dict
        ``id``, ``ion``, ``value``, ``lower``, ``upper`` (eV), ``in_domain``, ``model``; ``reason`` out of the domain,
        and ``error`` with None for numbers where a row cannot be predicted.

    Raises
    ------
    UsageError
        No such file, or one of structures; no such model.
    SourceError
        Nothing in it can be read.

    Examples
    --------
    >>> [answer["value"] for answer in hop_barriers("hops.jsonl")]              # doctest: +SKIP
    [0.41, 0.87]
    """
    from api.migration.rows import answers
    from api.row_files import open_hops

    given = open_hops(source)
    if given is None:
        raise UsageError(
            f"{source} holds no hops.", mend=f"migration_energy({str(source)!r}) predicts those of a crystal"
        )
    return answers(given, ion, model, workers)


__all__ = ["MigrationReport", "hop_barriers", "migration_energy"]
