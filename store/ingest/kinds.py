"""What the records of ``sources`` are about: structures, hops of ions, measured conductivities; and who reads each format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Kind(NamedTuple):
    """One kind of record.

    Attributes
    ----------
    name : str
    version : int
        Raised by one when the results of any of its readers change, so that builders read the records anew.
    reader : str
        What its readers are called in messages.
    readers : dict
        Format to module of this folder and function in it.
    """

    name: str
    version: int
    reader: str
    readers: Mapping[str, tuple[str, str]]

    @property
    def formats(self) -> tuple[str, ...]:
        """Formats of records in ``sources``, ascending."""
        return tuple(sorted(self.readers))


STRUCTURES: Final = Kind(
    "structure",
    1,
    "reader",
    {
        "cif": ("read_cif", "read_cif"),
        "poscar": ("read_text", "read_poscar"),
        "extxyz": ("read_text", "read_extxyz"),
        "pymatgen-json": ("read_json", "read_pymatgen"),
        "uniform-json": ("read_json", "read_uniform"),
        "mp-json": ("read_json", "read_materials_project"),
        "optimade-json": ("read_json", "read_optimade"),
        "ase-json": ("read_ase", "read_ase"),
        "amcsd-json": ("amcsd", "read_amcsd"),
    },
)
HOPS: Final = Kind(
    "hop",
    1,
    "hop reader",
    {
        "hop-csv": ("hop_csv", "read_hop_csv"),
        "hop-json": ("hop_json", "read_hop_json"),
        "litraj-neb": ("hop_litraj", "read_litraj"),
        "mp-migration-graph": ("hop_documents", "read_migration_graph"),
        "mp-neb": ("hop_documents", "read_neb"),
    },
)
CONDUCTIVITIES: Final = Kind(
    "conductivity",
    1,
    "reader of conductivities",
    {
        "conductivity-csv": ("conductivity_csv", "read_conductivity_csv"),
        "conductivity-json": ("conductivity_json", "read_conductivity_json"),
    },
)
KINDS: Final = (STRUCTURES, HOPS, CONDUCTIVITIES)

FORMATS: Final = STRUCTURES.formats
"""Formats of records that hold a structure; "unreadable" is the one that cannot be read."""
HOP_FORMATS: Final = HOPS.formats
"""Formats of records that hold a hop, not a structure."""
CONDUCTIVITY_FORMATS: Final = CONDUCTIVITIES.formats
"""Formats of records that hold a conductivity, not a structure."""
NOT_MATERIALS: Final = (*HOP_FORMATS, *CONDUCTIVITY_FORMATS)
"""Formats of records that never become a material."""


def kind_of(format: str | None) -> str:
    """Tell what a record is about: "structure", "hop" or "conductivity".

    Examples
    --------
    >>> kind_of("cif"), kind_of("hop-csv"), kind_of("conductivity-json")
    ('structure', 'hop', 'conductivity')
    """
    return next((kind.name for kind in KINDS if format in kind.readers), STRUCTURES.name)
