"""The documented table of conductivities: a row a measurement, its structure, if known, in a file (docs/conductivity-data.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from store.compositions import parse_formula
from store.conductivities import ConductivityRecord, checked
from store.errors import SourceError
from store.ingest.common import keep_properties, load_object, reference_of, symbol_of
from store.ingest.conductivity_json import temperature_in, value_in
from store.ingest.hop_csv import kept_content, structure_beside
from store.ingest.hop_json import text
from store.ingest.hop_tables import read_row
from store.ingest.json_records import canonical
from store.ingest.readers import read_record
from store.ingest.records import Origin, Record

if TYPE_CHECKING:
    from store.ingest.beside import Beside
    from store.ingest.hop_tables import Row

COLUMNS: Final = {
    "id": "Name of the record; without one it is named by its content.",
    "composition": "Formula of what was measured (needed): Li6.4La3Zr1.4Ta0.6O12, (Li2S)0.7(P2S5)0.3.",
    "structure_file": "CIF, POSCAR, extended XYZ or JSON beside the table or in a folder below it, where the structure is known.",
    "sigma": "Conductivity, or a bound such as <1E-10; empty, as log10_sigma, for one to be predicted.",
    "log10_sigma": "Its decimal logarithm; one of the two columns must be there.",
    "unit": "S/cm, S/m or mS/cm (needed with a value; log10_sigma is the logarithm of so many of it).",
    "temperature": "Temperature; RT is understood.",
    "temperature_unit": "K or C (needed with a number, unless the number carries it: 25 C).",
    "working_ion": "The ion that conducts; Li where nothing is said.",
    "name": "Name of the compound.",
    "family": "Family of conductors, as you name it.",
    "space_group": "As you name it.",
    "doi": "Of the publication.",
    "licence": "Of the data.",
}
"""Columns of the table, in any order; others are kept as properties."""


def conductivity_record(row: Row, beside: Beside | None, origin: Origin) -> Record:
    """Make the record of a row: ``{"header", "row", "delimiter", "structure": {"file", "format", "content"} or null}``.

    Parameters
    ----------
    row : Row
        The row.
    beside : Beside or None
        The files next to the table; needed only where the row names one.
    origin : Origin
        Place of the row.

    Raises
    ------
    SourceError, StructureError
        The row or its structure cannot be read.
    """
    name = row.values.get("structure_file")
    structure = None
    if name is not None:
        if beside is None:
            raise SourceError(
                f"The file {name!r} beside the table cannot be found within a tar archive.",
                mend="unpack the archive, or give it as a zip",
            )
        structure = structure_beside(name, beside)
    content = canonical(
        {"header": row.header, "row": row.line, "delimiter": row.delimiter, "structure": structure},
    )
    read_conductivity_csv(content)  # a broken row is told now, with its line, not when conductivities are built
    own = row.values.get("id")
    licence, references = row.values.get("licence"), tuple(reference_of(row.values.get("doi")))
    identity = own if own and own.isprintable() and len(own) <= 300 else None
    return Record("conductivity-csv", content, identity, origin, licence=licence, references=references)


def read_conductivity_csv(content: bytes) -> ConductivityRecord:
    """Read one row of a table of conductivities.

    Parameters
    ----------
    content : bytes
        As :func:`conductivity_record` writes it.

    Raises
    ------
    SourceError, StructureError
        No composition, a value that is no number or has no unit, or an impossible structure.

    Examples
    --------
    >>> bundle = {"header": "composition,sigma,unit,temperature,temperature_unit", "row": "Li10GeP2S12,12,mS/cm,27,C",
    ...           "delimiter": ",", "structure": None}
    >>> record = read_conductivity_csv(canonical(bundle))
    >>> round(record.log10_sigma, 3), record.temperature, record.warnings
    (-1.921, 300.15, ['The conductivity was converted from mS/cm.'])
    """
    bundle = load_object(content)
    structure = bundle.get("structure")
    if not all(isinstance(bundle.get(key), str) for key in ("header", "row")):
        raise SourceError("The record is no row of a table of conductivities.")
    delimiter = bundle.get("delimiter", ",")
    if not isinstance(delimiter, str) or len(delimiter) != 1:
        raise SourceError("The record does not say what separates its columns.")
    given = read_row(bundle["header"], bundle["row"], delimiter)
    row: dict[str, Any] = dict(given.values)
    formula = text(row, "composition", "formula")
    if formula is None:
        raise SourceError("The row has no composition.")
    if "unit" not in row and ("sigma" in row or "log10_sigma" in row):
        raise SourceError("The row has no unit: S/cm, S/m or mS/cm is needed with a conductivity.")
    warnings: list[str] = []
    crystal = None
    if isinstance(structure, dict):
        read = read_record(str(structure.get("format")), kept_content(structure))
        crystal = read.crystal
        warnings.extend(read.warnings)
    value, bound = value_in(row, warnings)
    ion = text(row, "working_ion")
    others = {key: cell for key, cell in given.cells.items() if key and key.casefold() not in {*COLUMNS, "formula"}}
    return checked(
        ConductivityRecord(
            formula=formula,
            composition=parse_formula(formula),
            crystal=crystal,
            log10_sigma=value,
            temperature=temperature_in(row, warnings),
            censored=bound,
            working_ion=symbol_of(ion, warnings) if ion else "Li",
            id=text(row, "id"),
            name=text(row, "name"),
            references=reference_of(row.get("doi")),
            family=text(row, "family"),
            space_group=text(row, "space_group"),
            licence=text(row, "licence"),
            properties=keep_properties(others),
            warnings=warnings,
        )
    )
