"""The crystal as it travels between rooms: plain arrays, no symmetry, no database.

A :class:`Crystal` is what readers return and what kernels take. It is a tenth of the cost of a pymatgen ``Structure``
and converts to and from one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from pymatgen.core.structure import Structure

Occupancy = dict[str, float]


@dataclass(frozen=True, eq=False)
class Crystal:
    """Atoms in a periodic cell.

    Attributes
    ----------
    lattice : numpy.ndarray
        shape=(3, 3), float64, Å; rows are the cell vectors a, b, c.
    frac_coords : numpy.ndarray
        shape=(n_sites, 3), float64, in units of the cell vectors.
    species : tuple of str
        shape=(n_sites,); an element symbol, or for a disordered site its label as :func:`site_label` writes it.
    occupancies : tuple of dict or None
        shape=(n_sites,) of ``{element symbol: occupancy}``; None when every site is fully occupied by its species.

    Examples
    --------
    >>> rock_salt = Crystal.from_lists([[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]], ["Na", "Cl"],
    ...                                [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> rock_salt.n_sites, round(rock_salt.volume, 3), rock_salt.amounts()
    (2, 43.904, {'Na': 1.0, 'Cl': 1.0})
    """

    lattice: NDArray[np.float64]
    frac_coords: NDArray[np.float64]
    species: tuple[str, ...]
    occupancies: tuple[Occupancy, ...] | None = None

    @classmethod
    def from_lists(
        cls,
        lattice: Any,
        species: Any,
        frac_coords: Any,
        occupancies: Any = None,
    ) -> Crystal:
        """Make a crystal from nested lists (JSON, BSON). Nothing is validated here: ``builders.structures`` does."""
        return cls(
            np.asarray(lattice, dtype=np.float64),
            np.asarray(frac_coords, dtype=np.float64).reshape(-1, 3),
            tuple(species),
            None if occupancies is None else tuple(dict(site) for site in occupancies),
        )

    @classmethod
    def from_sites(cls, lattice: Any, sites: Sequence[Mapping[str, float]], frac_coords: Any) -> Crystal:
        """Make a crystal whose sites are given as ``{symbol: occupancy}``; ordered if every site is full and pure."""
        ordered = all(len(site) == 1 and abs(next(iter(site.values())) - 1.0) < 1e-8 for site in sites)
        if ordered:
            return cls.from_lists(lattice, [next(iter(site)) for site in sites], frac_coords)
        return cls.from_lists(lattice, [site_label(site) for site in sites], frac_coords, sites)

    @classmethod
    def from_pymatgen(cls, structure: Structure) -> Crystal:
        """Convert from pymatgen; oxidation states and site properties are dropped, deuterium becomes hydrogen."""
        sites = []
        for site in structure:
            amounts: Occupancy = {}
            for specie, amount in site.species.items():
                symbol = str(getattr(specie, "symbol", specie))
                amounts[symbol] = amounts.get(symbol, 0.0) + float(amount)
            sites.append(amounts)
        return cls.from_sites(structure.lattice.matrix, sites, structure.frac_coords)

    def to_pymatgen(self) -> Structure:
        """Convert to a pymatgen ``Structure`` (sites in the same order)."""
        from pymatgen.core.lattice import Lattice
        from pymatgen.core.structure import Structure

        sites: Any = list(self.species) if self.occupancies is None else [dict(site) for site in self.occupancies]
        return Structure(Lattice(self.lattice), sites, self.frac_coords)

    @property
    def n_sites(self) -> int:
        """Number of sites in the cell (a site shared by several species counts once)."""
        return len(self.species)

    @property
    def volume(self) -> float:
        """Cell volume, Å^3; negative for a left-handed cell."""
        return float(np.linalg.det(self.lattice))

    @property
    def is_ordered(self) -> bool:
        """Whether every site is fully occupied by one species."""
        return self.occupancies is None

    def amounts(self) -> Occupancy:
        """Atoms of each element in the cell, in order of first appearance."""
        total: Occupancy = {}
        if self.occupancies is None:
            for symbol in self.species:
                total[symbol] = total.get(symbol, 0.0) + 1.0
            return total
        for site in self.occupancies:
            for symbol, amount in site.items():
                total[symbol] = total.get(symbol, 0.0) + amount
        return total

    def to_document(self) -> dict[str, Any]:
        """Nested lists for BSON: ``lattice``, ``species``, ``frac_coords`` and, when disordered, ``occupancies``."""
        document: dict[str, Any] = {
            "lattice": self.lattice.tolist(),
            "species": list(self.species),
            "frac_coords": self.frac_coords.tolist(),
        }
        if self.occupancies is not None:
            document["occupancies"] = [dict(site) for site in self.occupancies]
        return document

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Crystal:
        """Read back what :meth:`to_document` wrote."""
        return cls.from_lists(
            document["lattice"], document["species"], document["frac_coords"], document.get("occupancies")
        )


def site_label(site: Mapping[str, float]) -> str:
    """Name a site by its contents, the same for the same contents whatever their order.

    Examples
    --------
    >>> site_label({"Mg": 0.4, "Fe": 0.6}), site_label({"Li": 1.0}), site_label({"Li": 0.5})
    ('Fe0.6Mg0.4', 'Li', 'Li0.5')
    """
    if len(site) == 1:
        symbol, amount = next(iter(site.items()))
        return symbol if abs(amount - 1.0) < 1e-8 else f"{symbol}{amount:.4g}"
    return "".join(f"{symbol}{site[symbol]:.4g}" for symbol in sorted(site))
