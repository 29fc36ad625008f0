"""From a conductivity record's bytes to the record: one function for all formats."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from store.errors import EmptySource, IonatlasError, SourceError, UnknownFormat

if TYPE_CHECKING:
    from collections.abc import Callable

    from store.conductivities import ConductivityRecord

CONDUCTIVITY_READER_VERSION: Final = 1
"""Raised by one when any of these readers' results change, so that builders read the records anew."""

_READERS: Final = {
    "conductivity-csv": ("conductivity_csv", "read_conductivity_csv"),
    "conductivity-json": ("conductivity_json", "read_conductivity_json"),
}

CONDUCTIVITY_FORMATS: Final = tuple(sorted(_READERS))
"""Formats of records in ``sources`` that hold a conductivity, not a structure."""

_loaded: dict[str, Callable[[bytes], ConductivityRecord]] = {}


def read_conductivity(format: str, content: bytes) -> ConductivityRecord:
    """Read the conductivity from one record.

    Parameters
    ----------
    format : str
        One of :data:`CONDUCTIVITY_FORMATS`.
    content : bytes
        The record as it lies in ``sources``; or, of "conductivity-json", a line of a file, with or without a value.

    Returns
    -------
    store.conductivities.ConductivityRecord
        Checked by :func:`store.conductivities.checked`; log10 of S/cm, K.

    Raises
    ------
    SourceError
        The bytes are not what the format says, or the record in them is none.

    Examples
    --------
    >>> row = b'{"id": "x", "formula": "Li7La3Zr2O12", "sigma_S_cm": 1e-4, "temperature_K": 298, "structure": null}'
    >>> read_conductivity("conductivity-json", row).log10_sigma
    -4.0
    """
    reader = _loaded.get(format) or _load(format)
    if not content:
        raise EmptySource("The record is empty.")
    try:
        return reader(content)
    except IonatlasError:
        raise
    except Exception as error:
        # A reader met bytes that it did not foresee: the record is at fault, and is kept with this message.
        raise SourceError(f"The {format} record cannot be read: {type(error).__name__}: {str(error)[:500]}.") from error


def _load(format_: str) -> Callable[[bytes], ConductivityRecord]:
    if format_ not in _READERS:
        raise UnknownFormat(
            f"No reader of conductivities for the format {format_!r}. Known: {', '.join(CONDUCTIVITY_FORMATS)}."
        )
    module, name = _READERS[format_]
    reader: Callable[[bytes], ConductivityRecord] = getattr(import_module(f"store.ingest.{module}"), name)
    _loaded[format_] = reader
    return reader
