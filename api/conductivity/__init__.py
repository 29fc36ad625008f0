"""Ionic conductivity at room temperature, predicted: from a file, an id of the store, a structure, or rows of compounds.

from api.conductivity import conductivities, conductivity

report = conductivity("Li7La3Zr2O12.cif")
report.value, report.lower, report.upper, report.in_domain      # log10 of S/cm
for answer in conductivities("rows.jsonl.gz"):
    print(answer["id"], answer["value"])
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.conductivity.report import ConductivityReport
from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pymatgen.core.structure import Structure

    from api.conductivity.rows import Answer
    from api.service import Service
    from builders.conductivity.model import ConductivityModel
    from store.crystal import Crystal


def conductivity(
    source: str | Path | Crystal | Structure,
    *,
    model: str | Path | ConductivityModel | None = None,
    service: Callable[[], Service] | None = None,
) -> ConductivityReport:
    """Predict how well a crystal conducts lithium ions at room temperature.

    Parameters
    ----------
    source : str, pathlib.Path, pymatgen Structure or store.crystal.Crystal
        A file with one structure, a structure, or an id of the store.
    model : str, pathlib.Path or model, optional
        A folder that ``ionatlas train`` wrote; by default the setting IONATLAS_CONDUCTIVITY_MODEL, else the shipped weights.
    service : callable, optional
        Opens the store (:class:`api.service.Service`) that holds the id; by default the one the settings name.

    Returns
    -------
    ConductivityReport

    Raises
    ------
    UsageError
        No such file, several structures or rows of compounds in it, no such model.
    UnknownId
        Neither a file nor an id.
    SourceError, StructureError
        The file cannot be read, or holds an impossible crystal.
    FeatureError
        The crystal holds no lithium.

    Examples
    --------
    >>> report = conductivity("LiFePO4.cif")                                      # doctest: +SKIP
    >>> f"{report.value:.1f}, {report.lower:.1f} to {report.upper:.1f}"           # doctest: +SKIP
    '-7.2, -11.0 to -3.9'
    """
    import numpy as np

    from api.channels.source import read_source
    from api.models import get_model
    from api.row_files import open_compounds
    from builders.conductivity.features import describe, has_structure
    from builders.conductivity.model import ConductivityModel
    from builders.conductivity.rows import strata
    from builders.structures.formulas import describe_composition, formula_units
    from builders.structures.validation import validate

    given = open_compounds(source)
    if given is not None:
        raise UsageError(
            f"{given.name} holds rows of compounds, and a crystal is wanted.",
            mend=f"conductivities({given.name!r}) predicts rows",
        )
    name, read = read_source(source, service)
    crystal = validate(read).crystal
    loaded = get_model(ConductivityModel, model)
    row = describe(crystal.amounts(), crystal)[None]
    known = has_structure(row)
    told = loaded.predict(row, known)
    formula = describe_composition(crystal.amounts(), formula_units(crystal.species)).formula
    return ConductivityReport(
        name=name or formula,
        formula=formula,
        value=float(told.value[0]),
        lower=float(told.lower[0]),
        upper=float(told.upper[0]),
        in_domain=bool(np.asarray(told.in_domain)[0]),
        distance=float(told.distance[0]),
        reason=told.reasons[0],
        known=strata(row, known)[0],
        model=loaded.id,
    )


def conductivities(source: str | Path, *, model: str | Path | ConductivityModel | None = None) -> Iterator[Answer]:
    """Predict the conductivities of the compounds in a file, row by row, in the file's order and in constant memory.

    Parameters
    ----------
    source : str or pathlib.Path
        Compounds in the layout of conductivity records without their values (docs/conductivity.md), such as JSON Lines;
        compressed or not. The structure may be null.
    model : str, pathlib.Path or model, optional
        As in :func:`conductivity`.

    Yields
    ------
    dict
        ``id``, ``value``, ``lower``, ``upper`` (log10 of S/cm), ``in_domain``, ``known`` (structure, cell or composition),
        ``model``; ``reason`` out of the domain, and ``error`` with None for numbers where a row cannot be predicted.

    Raises
    ------
    UsageError
        No such file, or one of a single structure; no such model.

    Examples
    --------
    >>> [answer["value"] for answer in conductivities("rows.jsonl")]              # doctest: +SKIP
    [-3.3, -6.1]
    """
    from api.conductivity.rows import answers
    from api.models import get_model
    from api.row_files import open_compounds
    from builders.conductivity.model import ConductivityModel

    given = open_compounds(source)
    if given is None:
        raise UsageError(
            f"{source} holds no rows of compounds.", mend=f"conductivity({str(source)!r}) predicts a crystal"
        )
    return answers(given.rows, get_model(ConductivityModel, model))


__all__ = ["ConductivityReport", "conductivities", "conductivity"]
