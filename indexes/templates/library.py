"""The template library: all ordered structures as arrays, in memory or mapped from disk."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from builders.embeddings.elements import element_table
from builders.structures.formulas import describe_composition
from builders.templates.query import Query
from indexes.templates.arrays import Arrays, Entry, Table, join, make_table, take
from store.crystal import Crystal
from store.errors import UnknownId

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


class TemplateLibrary:
    """Templates by stoichiometry class.

    A template is named by its *place*, an integer from 0 to ``len(library) - 1``; templates of a class have places in a row.

    Parameters
    ----------
    table : Table
        Use :meth:`from_entries`, :meth:`load` or :func:`indexes.templates.snapshot.open_library` to get one.
    generation : int
        Of the snapshot on disk; 0 for a library that was never written.

    Examples
    --------
    >>> salt = Crystal.from_lists([[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]], ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> library = TemplateLibrary.from_entries([]).with_crystals({"salt": salt})
    >>> len(library), library.ids, library.formula(0), library.space_group(0)
    (1, ['salt'], 'NaCl', 225)
    """

    def __init__(self, table: Table, generation: int = 0) -> None:
        self.table = table
        self.generation = generation
        self._slices = {
            ratio: slice(int(begin), int(end))
            for ratio, begin, end in zip(
                table.arrays.ratios(), table.arrays.class_start[:-1], table.arrays.class_start[1:], strict=True
            )
        }

    # ------------------------------------------------------------------------------------------------------------ making

    @classmethod
    def from_entries(cls, entries: Iterable[Entry]) -> TemplateLibrary:
        """Make a library of entries, in memory."""
        return cls(make_table(entries))

    def with_crystals(self, crystals: Mapping[str, Crystal] | Sequence[Crystal]) -> TemplateLibrary:
        """Return a library that holds more templates: structures the user gives, from outside the store.

        Parameters
        ----------
        crystals : mapping of str to Crystal, or sequence of Crystal
            Named by their keys, or ``user-1``, ``user-2``, ...

        Raises
        ------
        StructureError
            A crystal is impossible.
        FeatureError
            A crystal is disordered.
        """
        from indexes.templates.entries import entry_of

        if isinstance(crystals, Mapping):
            named = dict(crystals)
        else:
            named = {f"user-{place}": crystal for place, crystal in enumerate(crystals, start=1)}
        return self.with_entries([entry_of(name, crystal) for name, crystal in named.items()])

    def with_entries(self, entries: Iterable[Entry]) -> TemplateLibrary:
        """Return a library that holds more templates."""
        return TemplateLibrary(join(self.table, make_table(entries)))

    def subset(self, kept: NDArray[Any]) -> TemplateLibrary:
        """Keep some templates.

        Parameters
        ----------
        kept : numpy.ndarray
            Places, or shape=(n,) of bool.
        """
        places = np.flatnonzero(kept) if kept.dtype == bool else kept
        return TemplateLibrary(take(self.table, places))

    # -------------------------------------------------------------------------------------------------------------- disk

    def save(self, folder: Path) -> None:
        """Write the library to a folder (see :mod:`indexes.templates.files`)."""
        from indexes.templates.files import save_table

        save_table(folder, self.table)

    @classmethod
    def load(cls, folder: Path, *, verify: bool = False) -> TemplateLibrary:
        """Map a library from a folder; nothing is read before it is needed.

        Raises
        ------
        SnapshotMissing, SnapshotDamaged
        """
        from indexes.templates.files import load_table

        return cls(load_table(folder, verify=verify))

    # ----------------------------------------------------------------------------------------------------------- reading

    def __len__(self) -> int:
        return len(self.table.arrays)

    @property
    def arrays(self) -> Arrays:
        """The arrays themselves."""
        return self.table.arrays

    @property
    def ids(self) -> list[str]:
        """Id of each template, shape=(n,)."""
        return self.table.ids

    @cached_property
    def place_of(self) -> dict[str, int]:
        """Place of each id."""
        return {identifier: place for place, identifier in enumerate(self.table.ids)}

    def place(self, identifier: str) -> int:
        """Place of an id.

        Raises
        ------
        UnknownId
        """
        try:
            return self.place_of[identifier]
        except KeyError:
            raise UnknownId(f"No template has the id {identifier!r}.") from None

    def ratios(self) -> dict[tuple[int, ...], int]:
        """Number of templates of each stoichiometry class."""
        return {ratio: part.stop - part.start for ratio, part in self._slices.items()}

    def class_slice(self, ratio: tuple[int, ...]) -> slice:
        """Places of the templates of a ratio; an empty slice where there are none."""
        return self._slices.get(ratio, slice(0, 0))

    def class_elements(self, ratio: tuple[int, ...]) -> NDArray[np.uint8]:
        """Atomic numbers of the templates of a ratio, shape=(n_class, k), canonical order."""
        part = self.class_slice(ratio)
        starts = self.table.arrays.species_start
        return self.table.arrays.element[starts[part.start] : starts[part.stop]].reshape(-1, len(ratio))

    def class_rows(self, ratio: tuple[int, ...]) -> NDArray[np.float32]:
        """Mean neighbour distances of the templates of a ratio, shape=(n_class, k, 40)."""
        part = self.class_slice(ratio)
        starts = self.table.arrays.species_start
        rows: NDArray[np.float32] = self.table.arrays.rows[starts[part.start] : starts[part.stop]]
        return rows.reshape(-1, len(ratio), rows.shape[1])

    def elements(self, place: int) -> tuple[str, ...]:
        """Elements of a template, canonical order."""
        starts, symbols = self.table.arrays.species_start, element_table().symbols
        return tuple(
            [symbols[number - 1] for number in self.table.arrays.element[starts[place] : starts[place + 1]].tolist()]
        )

    def ratio(self, place: int) -> tuple[int, ...]:
        """Stoichiometry class of a template."""
        arrays = self.table.arrays
        number = int(np.searchsorted(arrays.class_start, place, side="right")) - 1
        end = int(arrays.ratio_length[: number + 1].sum())
        return tuple(arrays.ratio_amount[end - int(arrays.ratio_length[number]) : end].tolist())

    def query(self, place: int) -> Query:
        """The formula of a template as a query."""
        return Query(self.elements(place), self.ratio(place))

    def formula(self, place: int) -> str:
        """Reduced formula of a template, as pymatgen writes it."""
        return describe_composition(
            {element: float(n) for element, n in zip(self.elements(place), self.ratio(place), strict=True)}
        ).formula

    def rows(self, place: int) -> NDArray[np.float32]:
        """Mean neighbour distances of each species, shape=(k, 40), over (volume per atom)^(1/3)."""
        starts = self.table.arrays.species_start
        found: NDArray[np.float32] = self.table.arrays.rows[starts[place] : starts[place + 1]]
        return found

    def n_sites(self, place: int) -> int:
        """Atoms in the primitive cell."""
        starts = self.table.arrays.atom_start
        return int(starts[place + 1] - starts[place])

    def species(self, place: int) -> NDArray[np.uint8]:
        """Species of each atom, index into :meth:`elements`, shape=(n_sites,)."""
        starts = self.table.arrays.atom_start
        found: NDArray[np.uint8] = self.table.arrays.species[starts[place] : starts[place + 1]]
        return found

    def frac_coords(self, place: int) -> NDArray[np.float64]:
        """Coordinates, shape=(n_sites, 3)."""
        starts = self.table.arrays.atom_start
        found: NDArray[np.float64] = self.table.arrays.frac_coords[starts[place] : starts[place + 1]].astype(np.float64)
        return found

    def lattice(self, place: int) -> NDArray[np.float64]:
        """Cell vectors in rows, Å, shape=(3, 3)."""
        found: NDArray[np.float64] = self.table.arrays.lattice[place].astype(np.float64)
        return found

    def space_group(self, place: int) -> int:
        """Space-group number."""
        return int(self.table.arrays.space_group[place])

    def prototype(self, place: int) -> str:
        """Anonymous prototype label."""
        return self.table.prototypes[int(self.table.arrays.prototype[place])]

    def crystal(self, place: int) -> Crystal:
        """The template itself: its primitive cell."""
        elements = self.elements(place)
        species = tuple([elements[k] for k in self.species(place).tolist()])
        return Crystal(self.lattice(place), self.frac_coords(place), species)
