"""The templates as flat arrays: what is written to disk, mapped into memory and searched.

Templates of one stoichiometry class stand together, so that the elements of a class are one contiguous matrix. What differs
in length from template to template (atoms, species) is one long array with the places where each template begins.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from builders.embeddings.elements import element_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

N_DISTANCES: Final = 40
"""Neighbour distances kept of each species."""
HASH_BYTES: Final = 16


@dataclass(frozen=True, eq=False)
class Entry:
    """One template before it is stored.

    Attributes
    ----------
    id : str
    elements : tuple of str
        shape=(k,), canonical order: by ascending reduced amount, then by symbol.
    amounts : tuple of int
        shape=(k,), reduced, ascending.
    formula_units : int
        In the primitive cell.
    space_group : int
    lattice : numpy.ndarray
        shape=(3, 3), Å, of the primitive cell.
    frac_coords : numpy.ndarray
        shape=(n_sites, 3).
    species : numpy.ndarray
        shape=(n_sites,), index into ``elements``.
    rows : numpy.ndarray
        shape=(k, 40); mean distance to the j-th neighbour of the atoms of each species, over (volume per atom)^(1/3).
    energy_above_hull, formation_energy_per_atom : float
        eV/atom, NaN where unknown.
    prototype : str
        Anonymous prototype label.
    created : int
        Day as 20180801; 0 where unknown.
    experimental : bool or None
    hash : bytes
        Content hash of the document it was made of, 16 bytes.
    """

    id: str
    elements: tuple[str, ...]
    amounts: tuple[int, ...]
    formula_units: int
    space_group: int
    lattice: NDArray[np.floating]
    frac_coords: NDArray[np.floating]
    species: NDArray[np.integer]
    rows: NDArray[np.floating]
    energy_above_hull: float = float("nan")
    formation_energy_per_atom: float = float("nan")
    prototype: str = ""
    created: int = 0
    experimental: bool | None = None
    hash: bytes = bytes(HASH_BYTES)


@dataclass(frozen=True, eq=False)
class Arrays:
    """All templates; n templates, s species in all, a atoms in all.

    Attributes
    ----------
    ratio_length, ratio_amount : numpy.ndarray
        shape=(classes,) and (sum,): the ratio of each class, in ascending order of the ratios.
    class_start : numpy.ndarray
        shape=(classes + 1,), int64: templates of class c are rows ``class_start[c]:class_start[c + 1]``.
    species_start, atom_start : numpy.ndarray
        shape=(n + 1,), int64.
    element : numpy.ndarray
        shape=(s,), uint8, atomic numbers.
    rows : numpy.ndarray
        shape=(s, 40), float32.
    frac_coords : numpy.ndarray
        shape=(a, 3), float32.
    species : numpy.ndarray
        shape=(a,), uint8, index into the template's elements.
    lattice : numpy.ndarray
        shape=(n, 3, 3), float32, Å.
    volume_per_atom : numpy.ndarray
        shape=(n,), float32, Å^3.
    space_group, formula_units : numpy.ndarray
        shape=(n,), uint8 and uint16.
    energy_above_hull, formation_energy : numpy.ndarray
        shape=(n,), float32, eV/atom, NaN where unknown.
    prototype : numpy.ndarray
        shape=(n,), int32, index into the list of labels.
    created : numpy.ndarray
        shape=(n,), int32, 20180801.
    experimental : numpy.ndarray
        shape=(n,), int8, -1 where unknown.
    hashes : numpy.ndarray
        shape=(n, 16), uint8.
    """

    ratio_length: NDArray[np.int64]
    ratio_amount: NDArray[np.int64]
    class_start: NDArray[np.int64]
    species_start: NDArray[np.int64]
    atom_start: NDArray[np.int64]
    element: NDArray[np.uint8]
    rows: NDArray[np.float32]
    frac_coords: NDArray[np.float32]
    species: NDArray[np.uint8]
    lattice: NDArray[np.float32]
    volume_per_atom: NDArray[np.float32]
    space_group: NDArray[np.uint8]
    formula_units: NDArray[np.uint16]
    energy_above_hull: NDArray[np.float32]
    formation_energy: NDArray[np.float32]
    prototype: NDArray[np.int32]
    created: NDArray[np.int32]
    experimental: NDArray[np.int8]
    hashes: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.lattice)

    def ratios(self) -> list[tuple[int, ...]]:
        """Ratio of each class."""
        ends = np.cumsum(self.ratio_length)
        amounts = self.ratio_amount.tolist()
        return [
            tuple(amounts[end - size : end])
            for end, size in zip(ends.tolist(), self.ratio_length.tolist(), strict=True)
        ]


ARRAYS: Final = tuple(field.name for field in fields(Arrays))

_PER_TEMPLATE: Final = (
    "lattice",
    "volume_per_atom",
    "space_group",
    "formula_units",
    "energy_above_hull",
    "formation_energy",
    "prototype",
    "created",
    "experimental",
    "hashes",
)


@dataclass(frozen=True, eq=False)
class Table:
    """Arrays with the texts that belong to them.

    Attributes
    ----------
    arrays : Arrays
    ids : list of str
        shape=(n,).
    prototypes : list of str
        The labels that ``arrays.prototype`` counts.
    """

    arrays: Arrays
    ids: list[str]
    prototypes: list[str]


def make_table(entries: Iterable[Entry]) -> Table:
    """Lay entries out as arrays, class by class; within a class in the order given.

    Examples
    --------
    >>> entry = Entry("t", ("Na", "Cl"), (1, 1), 1, 225, np.eye(3), np.zeros((2, 3)), np.array([0, 1]), np.zeros((2, 40)))
    >>> make_table([entry]).arrays.ratios()
    [(1, 1)]
    """
    given = list(entries)
    order = sorted(range(len(given)), key=lambda k: (len(given[k].amounts), given[k].amounts))
    given = [given[k] for k in order]
    labels = {label: place for place, label in enumerate(dict.fromkeys(entry.prototype for entry in given))}
    number = {symbol: row + 1 for symbol, row in element_table().row.items()}
    n_species = [len(entry.elements) for entry in given]
    n_atoms = [len(entry.species) for entry in given]
    arrays = Arrays(
        **_classes([entry.amounts for entry in given]),
        species_start=_starts(n_species),
        atom_start=_starts(n_atoms),
        element=np.array([number[symbol] for entry in given for symbol in entry.elements], np.uint8),
        rows=_joined([entry.rows for entry in given], (0, N_DISTANCES), np.float32),
        frac_coords=_joined([entry.frac_coords for entry in given], (0, 3), np.float32),
        species=_joined([entry.species for entry in given], (0,), np.uint8),
        lattice=np.array([entry.lattice for entry in given], np.float32).reshape(-1, 3, 3),
        volume_per_atom=np.array(
            [abs(np.linalg.det(entry.lattice)) / len(entry.species) for entry in given], np.float32
        ),
        space_group=np.array([entry.space_group for entry in given], np.uint8),
        formula_units=np.array([entry.formula_units for entry in given], np.uint16),
        energy_above_hull=np.array([entry.energy_above_hull for entry in given], np.float32),
        formation_energy=np.array([entry.formation_energy_per_atom for entry in given], np.float32),
        prototype=np.array([labels[entry.prototype] for entry in given], np.int32),
        created=np.array([entry.created for entry in given], np.int32),
        experimental=np.array([-1 if e.experimental is None else int(e.experimental) for e in given], np.int8),
        hashes=np.frombuffer(b"".join([entry.hash for entry in given]), np.uint8).reshape(-1, HASH_BYTES),
    )
    return Table(arrays, [entry.id for entry in given], list(labels))


def take(table: Table, chosen: NDArray[Any]) -> Table:
    """Keep some templates, in ascending order of their places."""
    arrays = table.arrays
    chosen = np.sort(np.asarray(chosen, dtype=np.int64))
    ratios = arrays.ratios()
    class_of = np.searchsorted(arrays.class_start, chosen, side="right") - 1
    species, species_start = _ragged(arrays.species_start, chosen)
    atoms, atom_start = _ragged(arrays.atom_start, chosen)
    kept = Arrays(
        **_classes([ratios[k] for k in class_of.tolist()]),
        species_start=species_start,
        atom_start=atom_start,
        element=arrays.element[species],
        rows=arrays.rows[species],
        frac_coords=arrays.frac_coords[atoms],
        species=arrays.species[atoms],
        **{name: getattr(arrays, name)[chosen] for name in _PER_TEMPLATE},
    )
    return Table(kept, [table.ids[k] for k in chosen.tolist()], table.prototypes)


def join(one: Table, other: Table) -> Table:
    """Put two tables together; within a class the templates of the first stand first."""
    if not one.ids or not other.ids:
        return one if one.ids else other
    labels = {label: place for place, label in enumerate(dict.fromkeys([*one.prototypes, *other.prototypes]))}
    relabel = np.array([labels[label] for label in other.prototypes], np.int32)
    first, second = one.arrays, other.arrays
    ratio_of = [*_ratio_of_rows(first), *_ratio_of_rows(second)]
    order = np.array(sorted(range(len(ratio_of)), key=lambda k: (len(ratio_of[k]), ratio_of[k])), np.int64)
    both = {name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in _PER_TEMPLATE}
    both["prototype"] = np.concatenate([first.prototype, relabel[second.prototype]])
    species, species_start = _ragged(_chained(first.species_start, second.species_start), order)
    atoms, atom_start = _ragged(_chained(first.atom_start, second.atom_start), order)
    arrays = Arrays(
        **_classes([ratio_of[k] for k in order.tolist()]),
        species_start=species_start,
        atom_start=atom_start,
        element=np.concatenate([first.element, second.element])[species],
        rows=np.concatenate([first.rows, second.rows])[species],
        frac_coords=np.concatenate([first.frac_coords, second.frac_coords])[atoms],
        species=np.concatenate([first.species, second.species])[atoms],
        **{name: values[order] for name, values in both.items()},
    )
    ids = [*one.ids, *other.ids]
    return Table(arrays, [ids[k] for k in order.tolist()], list(labels))


def _ratio_of_rows(arrays: Arrays) -> list[tuple[int, ...]]:
    sizes = np.diff(arrays.class_start).tolist()
    return [ratio for ratio, size in zip(arrays.ratios(), sizes, strict=True) for _ in range(size)]


def _chained(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([first, second[1:] + first[-1]])


def _ragged(start: NDArray[np.int64], chosen: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of the parts of some rows in a long array, and where each row begins among them."""
    sizes = start[chosen + 1] - start[chosen]
    begins = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    places = np.arange(begins[-1]) + np.repeat(start[chosen] - begins[:-1], sizes)
    return places, begins


def _starts(sizes: Sequence[int]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(np.array(sizes, np.int64))])


def _joined(parts: Sequence[NDArray[Any]], empty: tuple[int, ...], kind: type) -> NDArray[Any]:
    return np.concatenate([np.asarray(part, kind) for part in parts]) if parts else np.zeros(empty, kind)


def _classes(ratio_of: Sequence[tuple[int, ...]]) -> dict[str, NDArray[Any]]:
    """Class arrays of templates that stand class by class."""
    ratios: dict[tuple[int, ...], int] = {}
    for ratio in ratio_of:
        ratios[ratio] = ratios.get(ratio, 0) + 1
    return {
        "ratio_length": np.array([len(ratio) for ratio in ratios], np.int64),
        "ratio_amount": np.array([amount for ratio in ratios for amount in ratio], np.int64),
        "class_start": _starts(list(ratios.values())),
    }
