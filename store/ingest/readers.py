"""From a record's bytes to what is in it: one function for all formats of structures, of hops, and of conductivities."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from store.errors import EmptySource, IonatlasError, SourceError, UnknownFormat
from store.ingest.kinds import CONDUCTIVITIES, HOPS, STRUCTURES

if TYPE_CHECKING:
    from collections.abc import Callable

    from store.conductivities import ConductivityRecord
    from store.hops import HopRecord
    from store.ingest.kinds import Kind
    from store.ingest.result import ReadResult


def read_record(format: str, content: bytes) -> ReadResult:
    r"""Read the crystal, and what came with it, from one record.

    Parameters
    ----------
    format : str
        One of :data:`store.ingest.kinds.FORMATS`.
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
    found: ReadResult = _read(STRUCTURES, format, content)
    return found


def read_hop(format: str, content: bytes) -> HopRecord:
    """Read the hop from one record.

    Parameters
    ----------
    format : str
        One of :data:`store.ingest.kinds.HOP_FORMATS`.
    content : bytes
        The record as it lies in ``sources``.

    Returns
    -------
    store.hops.HopRecord
        Checked by :func:`store.hops.checked`; energies in eV.

    Raises
    ------
    SourceError
        The bytes are not what the format says, or the hop in them is none.
    StructureError
        The bytes were read, but no such crystal can be.

    Examples
    --------
    >>> import json
    >>> row = {"working_ion": "Li", "start_frac": [0.5, 0.5, 0], "end_frac": [0.5, 0.5, 1], "barrier_eV": 0.3,
    ...        "structure": {"lattice": [[3, 0, 0], [0, 3, 0], [0, 0, 3]], "species": ["O"], "frac_coords": [[0, 0, 0]]}}
    >>> read_hop("hop-json", json.dumps(row).encode()).barrier
    0.3
    """
    found: HopRecord = _read(HOPS, format, content)
    return found


def read_conductivity(format: str, content: bytes) -> ConductivityRecord:
    """Read the conductivity from one record.

    Parameters
    ----------
    format : str
        One of :data:`store.ingest.kinds.CONDUCTIVITY_FORMATS`.
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
    found: ConductivityRecord = _read(CONDUCTIVITIES, format, content)
    return found


def _read(kind: Kind, format_: str, content: bytes) -> Any:
    if format_ not in kind.readers:
        raise UnknownFormat(f"No {kind.reader} for the format {format_!r}. Known: {', '.join(kind.formats)}.")
    reader = _load(*kind.readers[format_])
    if not content:
        raise EmptySource("The record is empty.")
    try:
        return reader(content)
    except IonatlasError:
        raise
    except Exception as error:
        # A reader met bytes that it did not foresee: the record is at fault, and is kept with this message.
        raise SourceError(
            f"The {format_} record cannot be read: {type(error).__name__}: {str(error)[:500]}."
        ) from error


@cache
def _load(module: str, name: str) -> Callable[[bytes], Any]:
    found: Callable[[bytes], Any] = getattr(import_module(f"store.ingest.{module}"), name)
    return found
