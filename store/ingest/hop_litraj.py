"""LiTraj's nebDFT2k: an index table and, for each edge, the images before and after the DFT-NEB calculation.

Reference: A. D. Dembitskiy et al., npj Computational Materials 11, 131 (2025), https://doi.org/10.1038/s41524-025-01571-z.
Its barrier is the highest energy of all images minus the lowest, whichever images these are.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from store.errors import SourceError
from store.hops import MAX_MIN, HopRecord, checked, finite
from store.ingest.common import keep_properties, load_object
from store.ingest.hop_paths import path_of
from store.ingest.hop_tables import Row, inner_name, read_row
from store.ingest.json_records import canonical
from store.ingest.limits import Limits
from store.ingest.read_text import read_extxyz
from store.ingest.records import BadRecord, Origin, Record
from store.ingest.text_records import extxyz_records

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from store.crystal import Crystal
    from store.ingest.beside import Beside

PROVIDER: Final = "LiTraj"
LICENCE: Final = "MIT (repository AIRI-Institute/LiTraj); structures of the Materials Project, CC BY 4.0"
REFERENCE: Final = "doi:10.1038/s41524-025-01571-z"
_DIFFER: Final = 0.002
"""eV by which the index may differ from the images: it is written with few digits."""


def files_of(rows: Iterable[Mapping[str, str]], name: str) -> set[str]:
    """Files that an index names: two trajectories an edge, and the centroids of the whole set.

    Examples
    --------
    >>> sorted(files_of([{"edge_id": "e1"}], "nebDFT2k_index.csv"))
    ['e1_init.xyz', 'e1_relaxed.xyz', 'nebDFT2k_centroids.xyz']
    """
    edges = [row["edge_id"] for row in rows if "edge_id" in row]
    stem = PurePosixPath(name.replace("\\", "/")).name.split(".")[0]
    named = {f"{edge}_{state}.xyz" for edge in edges for state in ("init", "relaxed")}
    return named | {f"{stem.removesuffix('_index')}_centroids.xyz"}


def litraj_record(row: Row, beside: Beside, origin: Origin) -> Record:
    """Make the record of an edge: ``{"header", "row", "delimiter", "relaxed", "init"}``, the trajectories verbatim.

    Parameters
    ----------
    row : Row
        Row of the index.
    beside : Beside
        The files next to it.
    origin : Origin
        Place of the row.

    Raises
    ------
    SourceError, StructureError
        The relaxed trajectory is missing, cut off, or holds no hop.
    """
    edge = row.values.get("edge_id")
    if edge is None:
        raise SourceError("The row has no edge_id.")
    bundle = {"header": row.header, "row": row.line, "delimiter": row.delimiter}
    bundle["relaxed"] = _text(beside.read(inner_name(f"{edge}_relaxed.xyz")))
    with contextlib.suppress(SourceError):  # only the relaxed one is needed
        bundle["init"] = _text(beside.read(inner_name(f"{edge}_init.xyz")))
    content = canonical(bundle)
    read_litraj(content)
    identity = edge if edge.isprintable() and len(edge) <= 300 else None
    return Record("litraj-neb", content, identity, origin, PROVIDER, LICENCE, (REFERENCE,))


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SourceError(f"The trajectory is not UTF-8: {error}.") from error


def read_litraj(content: bytes) -> HopRecord:
    """Read one edge: host of the first relaxed image, path of the atom that moves most, barrier max(E) - min(E).

    Parameters
    ----------
    content : bytes
        As :func:`litraj_record` writes it.

    Raises
    ------
    SourceError, StructureError
        The images do not make a path.
    """
    bundle = load_object(content)
    if not all(isinstance(bundle.get(key), str) for key in ("header", "row", "relaxed")):
        raise SourceError("The record is no edge of LiTraj: header, row and relaxed trajectory are needed.")
    row = read_row(bundle["header"], bundle["row"], str(bundle.get("delimiter") or ",")[:1])
    cells = row.values
    warnings: list[str] = []
    images, energies = _images(bundle["relaxed"], warnings)
    path = path_of(images, warnings)
    told = _number(cells.get("em_dft"), "em_dft")
    barrier = told
    if energies is not None:
        barrier = float(energies.max() - energies.min())
        if told is not None and abs(told - barrier) > _DIFFER:
            warnings.append(
                f"barrier_contradicts_index: the images make {barrier:.4f} eV, the index says {told:.4f} eV (em_dft)."
            )
    else:
        warnings.append("The images have no energies; the barrier is that of the index (em_dft).")
    properties = keep_properties({key: _plain(value) for key, value in row.cells.items() if key and key != "edge_id"})
    if "init" not in bundle:
        warnings.append("The initial trajectory (_init.xyz) is missing.")
    return checked(
        HopRecord(
            working_ion=path.ion,
            host=path.host,
            start=path.places[0],
            end=path.places[-1],
            id=cells.get("edge_id"),
            name=cells.get("chemsys"),
            images=path.places,
            images_kind="relaxed",
            energies=energies,
            barrier=barrier,
            barrier_definition=None if barrier is None else MAX_MIN,
            method="DFT-CI-NEB",
            functional="PBE",
            limit="vacancy",
            properties=properties,
            licence=LICENCE,
            references=[REFERENCE],
            warnings=warnings,
        )
    )


def _images(text: str, warnings: list[str]) -> tuple[list[Crystal], np.ndarray[Any, Any] | None]:
    images: list[Crystal] = []
    energies: list[Any] = []
    for frame in extxyz_records(io.BytesIO(text.encode("utf-8", "surrogatepass")), Origin(), Limits()):
        if isinstance(frame, BadRecord):
            raise SourceError(f"Image {len(images) + 1} of the trajectory: {frame.error.message}")
        read = read_extxyz(frame.content)
        warnings.extend(warning for warning in read.warnings if warning not in warnings)
        images.append(read.crystal)
        energies.append(read.properties.get("energy", read.properties.get("free_energy")))
    if any(energy is None for energy in energies):
        if any(energy is not None for energy in energies):
            warnings.append("Some images have no energy.")
        return images, None
    return images, np.array([finite(energy, "energy of an image") for energy in energies])


def _number(value: str | None, what: str) -> float | None:
    if value is None:
        return None
    try:
        return finite(float(value), what)
    except ValueError:
        raise SourceError(f"The cell {what} holds {value[:80]!r}, not a number.") from None


def _plain(value: str) -> Any:
    if value.casefold() in {"true", "false"}:
        return value.casefold() == "true"
    try:
        return float(value) if "." in value or "e" in value.casefold() else int(value)
    except ValueError:
        return value
