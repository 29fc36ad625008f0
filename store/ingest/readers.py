"""From a record's bytes to its crystal: one function for all formats."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from store.errors import EmptySource, IonatlasError, SourceError, UnknownFormat
from store.ingest.result import ReadResult

if TYPE_CHECKING:
    from collections.abc import Callable

READER_VERSION: Final = 1
"""Raised by one when any reader's results change, so that builders read the records anew."""

_READERS: Final = {
    "cif": ("read_cif", "read_cif"),
    "poscar": ("read_text", "read_poscar"),
    "extxyz": ("read_text", "read_extxyz"),
    "pymatgen-json": ("read_json", "read_pymatgen"),
    "uniform-json": ("read_json", "read_uniform"),
    "mp-json": ("read_json", "read_materials_project"),
    "optimade-json": ("read_json", "read_optimade"),
    "ase-json": ("read_ase", "read_ase"),
    "amcsd-json": ("amcsd", "read_amcsd"),
}

FORMATS: Final = tuple(sorted(_READERS))
"""Formats of records in ``sources`` that can be read; "unreadable" is the one that cannot."""

_loaded: dict[str, Callable[[bytes], ReadResult]] = {}


def read_record(format: str, content: bytes) -> ReadResult:
    r"""Read the crystal, and what came with it, from one record.

    Parameters
    ----------
    format : str
        One of :data:`FORMATS`.
    content : bytes
        The record as it was given.

    Returns
    -------
    ReadResult

    Raises
    ------
    SourceError
        The bytes are not what the format says.
    StructureError
        The bytes were read, but no such crystal can be.

    Examples
    --------
    >>> read_record("poscar", b"cube\n1.0\n3 0 0\n0 3 0\n0 0 3\nPo\n1\nDirect\n0 0 0\n").crystal.volume
    27.0
    """
    reader = _loaded.get(format)
    if reader is None:
        reader = _load(format)
    if not content:
        raise EmptySource("The record is empty.")
    try:
        return reader(content)
    except IonatlasError:
        raise
    except Exception as error:
        # A reader met bytes that it did not foresee: the record is at fault, and is kept with this message.
        raise SourceError(f"The {format} record cannot be read: {type(error).__name__}: {str(error)[:500]}.") from error


def _load(format_: str) -> Callable[[bytes], ReadResult]:
    if format_ not in _READERS:
        raise UnknownFormat(f"No reader for the format {format_!r}. Known: {', '.join(FORMATS)}.")
    module, name = _READERS[format_]
    reader: Callable[[bytes], ReadResult] = getattr(import_module(f"store.ingest.{module}"), name)
    _loaded[format_] = reader
    return reader


__all__ = ["FORMATS", "READER_VERSION", "ReadResult", "read_record"]
