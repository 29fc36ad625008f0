"""Write a predicted structure as CIF: standardised cell, symmetry operations, one atom an orbit, and where it came from.

Provenance stands in data items whose names begin with ``_ionatlas_``; readers that do not know them (pymatgen, ASE) skip them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from builders.structures.formulas import describe_composition
from builders.structures.symmetry import Symmetry, find_symmetry, group_type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from store.crystal import Crystal

SYMPREC: Final = 0.01
"""Å; templates come as symmetrised cells, so that little is needed."""


def write_cif(
    crystal: Crystal,
    provenance: Mapping[str, object] | None = None,
    *,
    symprec: float = SYMPREC,
    name: str | None = None,
) -> str:
    """Write a crystal as CIF.

    Parameters
    ----------
    crystal : Crystal
        Ordered.
    provenance : mapping, optional
        Written as ``_ionatlas_<key> <value>``; None values are left out, mappings are written as ``Ni:Fe O:O``.
    symprec : float
        Å.
    name : str, optional
        Of the data block; the formula by default.

    Returns
    -------
    str

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> salt = Crystal.from_lists([[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]], ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> text = write_cif(salt, {"template_id": "mp-23251"})
    >>> "_space_group_IT_number            225" in text, "_ionatlas_template_id             mp-23251" in text
    (True, True)
    """
    symmetry = find_symmetry(crystal, symprec)
    cell = symmetry.standard
    rotations, shifts = operations(symmetry)
    amounts = cell.amounts()
    formulas = describe_composition(amounts)
    units = round(sum(amounts.values()) / sum(formulas.composition.values()))
    group = group_type(symmetry.number)
    block = re.sub(r"[^A-Za-z0-9._+-]", "_", name or formulas.formula)[:70]
    lines = [
        f"data_{block}",
        *[_item(f"_ionatlas_{key}", _words(value)) for key, value in (provenance or {}).items() if value is not None],
        _item("_chemical_formula_structural", formulas.formula),
        _item("_chemical_formula_sum", _words({e: f"{n:g}" for e, n in sorted(amounts.items())}, glue="")),
        _item("_cell_formula_units_Z", str(units)),
        *[_item(f"_cell_{key}", f"{value:.6f}") for key, value in _cell(cell.lattice).items()],
        _item("_cell_volume", f"{abs(cell.volume):.6f}"),
        _item("_space_group_name_H-M_alt", group.symbol),
        _item("_space_group_IT_number", str(symmetry.number)),
        "loop_",
        " _space_group_symop_id",
        " _space_group_symop_operation_xyz",
        *[f"  {k}  '{xyz(r, t)}'" for k, (r, t) in enumerate(zip(rotations, shifts, strict=True), start=1)],
        "loop_",
        " _atom_site_label",
        " _atom_site_type_symbol",
        " _atom_site_symmetry_multiplicity",
        " _atom_site_fract_x",
        " _atom_site_fract_y",
        " _atom_site_fract_z",
        " _atom_site_occupancy",
        *_atoms(cell, rotations, shifts),
    ]
    return "\n".join(lines) + "\n"


def operations(symmetry: Symmetry) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Symmetry operations of the standardised conventional cell.

    Returns
    -------
    rotations : numpy.ndarray
        shape=(n, 3, 3).
    shifts : numpy.ndarray
        shape=(n, 3), in [0, 1).
    """
    import moyopy

    found = moyopy.operations_from_number(
        symmetry.number, setting=moyopy.Setting.hall_number(symmetry.hall_number), primitive=False
    )
    shifts = np.array(found.translations, np.float64)
    shifts -= np.floor(shifts + 1e-9)
    return np.array(found.rotations, np.int64), shifts


def xyz(rotation: NDArray[np.int64], shift: NDArray[np.float64]) -> str:
    """Write an operation.

    Examples
    --------
    >>> xyz(np.array([[0, -1, 0], [1, -1, 0], [0, 0, 1]]), np.array([0, 0, 1 / 3]))
    '-y,x-y,z+1/3'
    """
    parts = []
    for row, number in zip(rotation.tolist(), shift.tolist(), strict=True):
        text = "".join([("+" if factor > 0 else "-") + axis for factor, axis in zip(row, "xyz", strict=True) if factor])
        twelfths = round(number * 24)
        if twelfths % 24:
            common = int(np.gcd(twelfths, 24))
            text += f"+{twelfths // common}/{24 // common}"
        parts.append(text.removeprefix("+"))
    return ",".join(parts)


def _cell(lattice: NDArray[np.float64]) -> dict[str, float]:
    lengths = np.sqrt((lattice * lattice).sum(axis=1))
    unit = lattice / lengths[:, None]
    angles = np.degrees(np.arccos(np.clip([unit[1] @ unit[2], unit[0] @ unit[2], unit[0] @ unit[1]], -1, 1)))
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    return dict(zip(names, [*lengths.tolist(), *angles.tolist()], strict=True))


def _atoms(cell: Crystal, rotations: NDArray[np.int64], shifts: NDArray[np.float64]) -> list[str]:
    """One line an orbit: the first atom of each stands for all its images."""
    left = np.ones(cell.n_sites, bool)
    counted: dict[str, int] = {}
    lines = []
    for site in range(cell.n_sites):
        if not left[site]:
            continue
        symbol = cell.species[site]
        images = rotations @ cell.frac_coords[site] + shifts
        apart = images[:, None, :] - cell.frac_coords[None, :, :]
        apart -= np.round(apart)
        near = (np.sqrt(((apart @ cell.lattice) ** 2).sum(axis=2)) < _IMAGE).any(axis=0)
        orbit = left & near & (np.array(cell.species) == symbol)
        left &= ~orbit
        left[site] = False
        counted[symbol] = counted.get(symbol, 0) + 1
        x, y, z = cell.frac_coords[site].tolist()
        label = f"{symbol}{counted[symbol]}"
        lines.append(f"  {label}  {symbol}  {int(orbit.sum())}  {x:.8f}  {y:.8f}  {z:.8f}  1")
    return lines


_IMAGE: Final = 0.05  # Å, how far an image may lie from its atom in a symmetrised cell


def _item(key: str, value: str) -> str:
    return f"{key:<33} {value}" if re.fullmatch(r"[A-Za-z0-9+.:/-][^\s'\"]*", value) else f"{key:<33} {_quoted(value)}"


def _quoted(value: str) -> str:
    plain = " ".join(value.split()).replace("'", "’")
    return f"'{plain}'"


def _words(value: object, glue: str = ":") -> str:
    if isinstance(value, dict):
        return " ".join([f"{key}{glue}{part}" for key, part in value.items()])
    return f"{value:.6g}" if isinstance(value, float) else str(value)
