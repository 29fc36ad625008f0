"""Where a crystal for the analysis of channels comes from, and which ion is meant."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from store.crystal import Crystal
from store.errors import SourceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pymatgen.core.structure import Structure

    from api.service import Service


def read_source(
    source: str | Path | Crystal | Structure, service: Callable[[], Service] | None = None
) -> tuple[str | None, Crystal]:
    """Get a crystal from wherever it is.

    Parameters
    ----------
    source : str, pathlib.Path, Structure or Crystal
        A file, an id of the store, or the crystal itself.
    service : callable, optional
        Opens the store where ids are looked up; by default the one that the settings name.

    Returns
    -------
    name : str or None
        The file's name or the id.
    crystal : store.crystal.Crystal
        As the file holds it; of the store, the standardised cell.

    Raises
    ------
    UsageError
        No such file, or several structures in it.
    UnknownId, SourceError, StructureError
        From the store, and from the readers.
    """
    if isinstance(source, Crystal):
        return None, source
    if isinstance(source, Path) or (isinstance(source, str) and os.path.lexists(source)):
        return Path(source).name, read_file(Path(source))
    if isinstance(source, str):
        if looks_like_a_path(source):
            raise UsageError(f"There is no file {source!r}.", mend="check the path, or name a material by its id")
        return source, (service or _service)().structure(source)
    if hasattr(source, "lattice") and hasattr(source, "species_and_occu"):
        return None, Crystal.from_pymatgen(source)
    raise UsageError(
        f"Channels are found in a file, an id, a pymatgen Structure or a Crystal; a {type(source).__name__} was given.",
        mend='channels("LiFePO4.cif", ion="Li"), for example',
    )


def read_file(path: Path) -> Crystal:
    """Read the one structure of a file, by the readers of ``ionatlas ingest``.

    Raises
    ------
    UsageError
        There is no such file, or several structures in it.
    SourceError, StructureError
        It cannot be read.
    """
    from store.ingest.containers import read_records
    from store.ingest.readers import read_record
    from store.ingest.records import BadRecord

    if path.is_dir():
        raise UsageError(f"{str(path)!r} is a folder, and one structure is wanted.", mend="name a file in it")
    records = iter(read_records(path))
    first = next(records, None)
    if first is None:
        raise SourceError(f"{path.name} holds no structure.")
    if isinstance(first, BadRecord):
        raise first.error
    if next(records, None) is not None:
        raise UsageError(
            f"{path.name} holds more than one structure, and one is wanted.",
            mend=f"ionatlas ingest {path}; then name one by its id",
        )
    return read_record(first.format, first.content).crystal


def choose_ion(crystal: Crystal, ion: str | None, name: str, command: str = "channels") -> str:
    """Check the ion, or take the crystal's only working ion; the mending names a command.

    Raises
    ------
    UsageError
        No element, or not just one working ion in the crystal; the message names the choices.

    Examples
    --------
    >>> choose_ion(Crystal.from_lists([[4, 0, 0], [0, 4, 0], [0, 0, 4]], ["Li", "O"], [[0, 0, 0], [0.5] * 3]), None, "x")
    'Li'
    """
    from builders.structures.elements import element_table
    from store.ion_fields import ANIONS, WORKING_IONS

    if ion is not None:
        symbol = ion.strip().rstrip("+-0123456789")
        if symbol not in element_table():
            raise UsageError(f"There is no element {ion!r}.", mend="--ion Li, for example")
        return symbol
    amounts = crystal.amounts()
    there = [symbol for symbol in WORKING_IONS if symbol in amounts]
    if len(there) == 1:
        return there[0]
    if there:
        raise UsageError(
            f"{name} holds several ions that may travel: {', '.join(there)}.",
            mend=" or ".join(f"--ion {symbol}" for symbol in there) + _commands(command, name, there[0]),
        )
    raise UsageError(
        f"{name} holds none of the usual ions ({', '.join(WORKING_IONS)}; on request {', '.join(ANIONS)}).",
        mend=f"to look for room to insert one: --ion Li{_commands(command, name, 'Li')}",
    )


def _commands(command: str, name: str, symbol: str) -> str:
    return f" (ionatlas {command} {name} --ion {symbol}; in Python ion={symbol!r})"


def looks_like_a_path(text: str) -> bool:
    """Tell a name that was meant as a file from an id.

    Examples
    --------
    >>> looks_like_a_path("LiFePO4.cif"), looks_like_a_path("mp-19017")
    (True, False)
    """
    from store.ingest.sniff import text_kind

    return os.sep in text or text.startswith(("~", ".")) or text_kind(text, b"") is not None


def _service() -> Any:
    from api.service import Service
    from store.connection import connect
    from store.settings import load_settings

    settings = load_settings()
    return Service(connect(settings), settings)
