"""Why the conductivity of a crystal is predicted as it is: which holes of which atoms raise or lower it.

from api.explain import explain_conductivity

report = explain_conductivity("Li7La3Zr2O12.cif")
print(report)
report.png("why.png")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pymatgen.core.structure import Structure

    from api.explain.report import ExplanationReport
    from api.service import Service
    from store.crystal import Crystal


def explain_conductivity(
    source: str | Path | Crystal | Structure,
    *,
    model: Path | None = None,
    service: Callable[[], Service] | None = None,
) -> ExplanationReport:
    """Take the predicted conductivity of a crystal apart into what the holes of its atoms add.

    Parameters
    ----------
    source : str, pathlib.Path, pymatgen Structure or store.crystal.Crystal
        A file with one structure, a structure, or an id of the store.
    model : pathlib.Path, optional
        A folder that ``ionatlas train explanation`` wrote.
    service : callable, optional
        Opens the store that holds the id.

    Returns
    -------
    ExplanationReport

    Raises
    ------
    UsageError
        No such file, several structures in it, a crystal without lithium, no model in the folder.
    UnknownId
        Neither a file nor an id.
    SourceError, StructureError
        The file cannot be read, or holds an impossible crystal.

    Examples
    --------
    >>> explain_conductivity("Li7La3Zr2O12.cif").value                          # doctest: +SKIP
    -4.6
    """
    from api.channels.source import read_source
    from api.explain.report import make_report
    from builders.explanation.model import load_explained
    from builders.structures.validation import validate

    loaded = load_explained(model)
    name, read = read_source(source, service)
    return make_report(name, validate(read).crystal, loaded)


__all__ = ["explain_conductivity"]
