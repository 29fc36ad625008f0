"""A template table on disk: one ``.npy`` file an array, texts as JSON, a manifest with the sha256 of each file.

Arrays are mapped into memory when read: opening a library of 147,000 templates reads a few megabytes, and what is
searched stays in the system's page cache, shared by all processes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson

from indexes.segments import (
    MANIFEST,
    Manifest,
    Segment,
    damaged,
    sync_folder,
    verify_segment,
    write_array,
    write_file,
)
from indexes.templates.arrays import ARRAYS, N_DISTANCES, Arrays, Table
from store.errors import SnapshotMissing

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

NAME: Final = "templates"
MEND: Final = "ionatlas build"

_SHAPES: Final = "shapes.json"


def write_table(folder: Path, name: str, table: Table) -> Segment:
    """Write a table's files into an existing folder that will be called ``name`` in the end."""
    files = {}
    shapes: dict[str, list[Any]] = {}
    for each in ARRAYS:
        array = np.ascontiguousarray(getattr(table.arrays, each))
        files[f"{each}.npy"] = write_array(folder / f"{each}.npy", array)
        shapes[each] = [array.dtype.str, *array.shape]
    for text, content in (("ids.json", table.ids), ("prototypes.json", table.prototypes), (_SHAPES, shapes)):
        files[text] = write_file(folder / text, [orjson.dumps(content)])
    return Segment(name, "base", len(table.ids), 0, files)


def read_table(root: Path, segment: Segment, *, verify: bool = False) -> Table:
    """Map a table from its folder.

    Parameters
    ----------
    root : pathlib.Path
        Folder in which the segment's folder lies.
    segment : Segment
    verify : bool
        Compare every file with its sha256 (0.2 s for 160 MB); sizes are always compared.

    Raises
    ------
    SnapshotDamaged
        A file is not what was written; names it and the command that mends it.
    """
    verify_segment(root, segment, contents=verify)
    folder = root / segment.folder
    shapes = _read(folder / _SHAPES)
    try:
        arrays = Arrays(**{name: _map(folder / f"{name}.npy", shapes[name]) for name in ARRAYS})
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(folder / _SHAPES, f"it does not describe all arrays ({error})") from error
    ids, prototypes = _read(folder / "ids.json"), _read(folder / "prototypes.json")
    if not len(arrays) == len(ids) == segment.rows:
        raise damaged(folder / "ids.json", f"{len(ids)} ids and {len(arrays)} templates, and {segment.rows} are named")
    return Table(arrays, ids, prototypes)


def save_table(folder: Path, table: Table) -> None:
    """Write a table into a folder of its own (made when absent), the manifest last."""
    folder.mkdir(parents=True, exist_ok=True)
    segment = write_table(folder, ".", table)
    manifest = Manifest(NAME, 1, "", "l2", N_DISTANCES, len(table.ids), None, "", (segment,))
    write_file(folder / MANIFEST, [manifest.encode()])
    sync_folder(folder)


def load_table(folder: Path, *, verify: bool = False) -> Table:
    """Map what :func:`save_table` wrote.

    Raises
    ------
    SnapshotMissing, SnapshotDamaged
    """
    path = folder / MANIFEST
    try:
        manifest = Manifest.decode(path.read_bytes())
        (segment,) = manifest.segments
    except FileNotFoundError:
        raise SnapshotMissing(f"There is no template library in {folder}.", mend=MEND) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(path, str(error)) from error
    return read_table(folder, segment, verify=verify)


def _map(path: Path, described: list[Any]) -> NDArray[Any]:
    dtype, shape = np.dtype(described[0]), tuple([int(size) for size in described[1:]])
    size = dtype.itemsize * int(np.prod(shape))
    if size == 0:  # nothing cannot be mapped
        return np.empty(shape, dtype)
    # Shape and type are known: the header, which numpy.load reads as Python source, is stepped over (see indexes.segments).
    try:
        offset = path.stat().st_size - size
        if offset < 0:
            raise damaged(path, f"it is too short for an array of {shape}")
        return np.asarray(np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape))
    except (OSError, ValueError) as error:
        raise damaged(path, str(error)) from error


def _read(path: Path) -> Any:
    try:
        return orjson.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise damaged(path, str(error)) from error
