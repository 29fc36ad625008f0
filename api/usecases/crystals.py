"""Crystals in what is asked and answered: JSON, CIF, POSCAR; from the store, or from a file that somebody sent."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from pydantic import Field

from api.usecases.replies import Reply
from store.errors import UsageError

if TYPE_CHECKING:
    from api.service import Service
    from api.usecases.registry import Upload
    from store.crystal import Crystal


class CrystalReply(Reply):
    """A crystal."""

    id: str | None = Field(description="Id of the material.")
    lattice: list[list[float]] = Field(description="Rows are the cell's vectors, Å, shape (3, 3).")
    species: list[str] = Field(description="Element of each site; of a disordered one its label.")
    frac_coords: list[list[float]] = Field(description="Fractional coordinates, shape (sites, 3).")
    occupancies: list[dict[str, float]] | None = Field(
        description="Occupancy by element, of each site; null for an ordered crystal."
    )
    volume: float = Field(description="Of the cell, Å^3.")


def crystal_data(crystal: Crystal, id: str | None) -> dict[str, Any]:
    """Write a crystal as plain data.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> crystal = Crystal.from_lists([[4, 0, 0], [0, 4, 0], [0, 0, 4]], ["Po"], [[0, 0, 0]])
    >>> crystal_data(crystal, "x")["species"]
    ['Po']
    """
    return {"id": id, "occupancies": None, **crystal.to_document(), "volume": abs(crystal.volume)}


def cif_text(crystal: Crystal) -> str:
    """Write a crystal as CIF."""
    from pymatgen.io.cif import CifWriter

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen warns of elements without an electronegativity
        return str(CifWriter(crystal.to_pymatgen(), significant_figures=8))


def poscar_text(crystal: Crystal, name: str) -> str:
    """Write an ordered crystal as POSCAR.

    Raises
    ------
    UsageError
        A site is shared by several elements or partly empty, which a POSCAR cannot say.
    """
    from pymatgen.io.vasp.inputs import Poscar

    if not crystal.is_ordered:
        raise UsageError(f"{name} is disordered, which a POSCAR cannot say.", mend="ask for format=cif or format=json")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return str(Poscar(crystal.to_pymatgen(), comment=name.splitlines()[0][:60]).get_str(significant_figures=10))


def asked_crystal(service: Service, id: str | None, upload: Upload | None) -> tuple[str, Crystal]:
    """Get the crystal that a question is about, with its name; never a file of this machine.

    Raises
    ------
    UsageError
        Neither an id nor a file, or both.
    """
    if (id is None) == (upload is None):
        raise UsageError(
            "A crystal is wanted: the id of a material, or a file.", mend="give id, or send a file, not both"
        )
    if upload is not None:
        from api.sandbox import crystal_of, safe_name

        return safe_name(upload.name), crystal_of(upload.name, upload.content)
    assert id is not None
    return id, service.structure(id)
