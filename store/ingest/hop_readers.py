"""From a hop record's bytes to the hop: one function for all formats."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from store.errors import EmptySource, IonatlasError, SourceError, UnknownFormat

if TYPE_CHECKING:
    from collections.abc import Callable

    from store.hops import HopRecord

HOP_READER_VERSION: Final = 1
"""Raised by one when any hop reader's results change, so that builders read the records anew."""

_READERS: Final = {
    "hop-csv": ("hop_csv", "read_hop_csv"),
    "hop-json": ("hop_json", "read_hop_json"),
    "litraj-neb": ("hop_litraj", "read_litraj"),
    "mp-migration-graph": ("hop_documents", "read_migration_graph"),
    "mp-neb": ("hop_documents", "read_neb"),
}

HOP_FORMATS: Final = tuple(sorted(_READERS))
"""Formats of records in ``sources`` that hold a hop, not a structure."""

_loaded: dict[str, Callable[[bytes], HopRecord]] = {}


def read_hop(format: str, content: bytes) -> HopRecord:
    """Read the hop from one record.

    Parameters
    ----------
    format : str
        One of :data:`HOP_FORMATS`.
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


def _load(format_: str) -> Callable[[bytes], HopRecord]:
    if format_ not in _READERS:
        raise UnknownFormat(f"No hop reader for the format {format_!r}. Known: {', '.join(HOP_FORMATS)}.")
    module, name = _READERS[format_]
    reader: Callable[[bytes], HopRecord] = getattr(import_module(f"store.ingest.{module}"), name)
    _loaded[format_] = reader
    return reader
