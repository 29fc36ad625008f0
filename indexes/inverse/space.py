"""The compositions that inverse retrieval looks among: those of a template library, with their tower vectors."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from builders.embeddings.elements import element_table
from builders.embeddings.towers.composition import Composition
from builders.embeddings.towers.model import load_towers
from builders.embeddings.towers.support import Relatives, relatives_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from builders.embeddings.towers.model import Towers
    from indexes.templates.library import TemplateLibrary

_KEEP: Final = 64
"""Stoichiometries whose vectors are held; the largest, 2:1:1, is 8 MB."""


@dataclass(frozen=True, eq=False)
class ClassOfCompositions:
    """The known compositions of one stoichiometry.

    Attributes
    ----------
    compositions : tuple of Composition
        shape=(m,), each once.
    vectors : numpy.ndarray
        shape=(m, d), float32.
    places : tuple of numpy.ndarray
        Places in the library of the structures of each.
    """

    compositions: tuple[Composition, ...]
    vectors: NDArray[np.float32]
    places: tuple[NDArray[np.int64], ...]

    @cached_property
    def relatives(self) -> Relatives:
        """The relatives of each, itself left out."""
        return relatives_of(self.vectors, self.vectors, np.arange(len(self.vectors)))


class CompositionSpace:
    """Known compositions by stoichiometry; a class is embedded when it is first asked for, and kept.

    Parameters
    ----------
    library : TemplateLibrary
        The structures that are known.
    towers : Towers, optional
        By default those that ship.
    vectors : callable, optional
        Gives the stored vector of the composition of a structure by its id, or None (``SimilarityIndex.vector`` of the index
        ``tower_composition``, say). It must be of the same towers. What it does not give is embedded here.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> from indexes.templates.library import TemplateLibrary
    >>> salt = Crystal.from_lists([[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]], ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> space = CompositionSpace(TemplateLibrary.from_entries([]).with_crystals({"salt": salt}))
    >>> [each.formula for each in space.of((1, 1)).compositions]
    ['NaCl']
    """

    def __init__(
        self,
        library: TemplateLibrary,
        towers: Towers | None = None,
        vectors: Callable[[str], NDArray[np.float32] | None] | None = None,
    ) -> None:
        self.library = library
        self.towers = load_towers() if towers is None else towers
        self._stored = vectors
        self._held: OrderedDict[tuple[int, ...], ClassOfCompositions] = OrderedDict()

    def of(self, ratio: tuple[int, ...]) -> ClassOfCompositions:
        """The known compositions of a stoichiometry; none where the library has none."""
        found = self._held.get(ratio)
        if found is None:
            found = self._made(ratio)
            self._held[ratio] = found
            while len(self._held) > _KEEP:
                self._held.popitem(last=False)
        return found

    def _made(self, ratio: tuple[int, ...]) -> ClassOfCompositions:
        part = self.library.class_slice(ratio)
        numbers = np.asarray(self.library.class_elements(ratio)).reshape(-1, len(ratio))
        unique, inverse = np.unique(numbers, axis=0, return_inverse=True)
        symbols = element_table().symbols
        compositions = tuple(Composition(tuple(symbols[z - 1] for z in row), ratio) for row in unique.tolist())
        order = np.argsort(inverse.ravel(), kind="stable")
        ends = np.cumsum(np.bincount(inverse.ravel(), minlength=len(unique)))
        places = tuple(np.split(order + part.start, ends[:-1])) if len(unique) else ()
        return ClassOfCompositions(compositions, self._vectors(compositions, places), places)

    def _vectors(
        self, compositions: tuple[Composition, ...], places: tuple[NDArray[np.int64], ...]
    ) -> NDArray[np.float32]:
        if self._stored is None:
            return self.towers.embed_compositions(compositions)
        found = np.empty((len(compositions), self.towers.dimension), dtype=np.float32)
        missing = []
        for number, some in enumerate(places):
            vector = self._stored(self.library.ids[int(some[0])])
            if vector is None:
                missing.append(number)
            else:
                found[number] = vector
        found[missing] = self.towers.embed_compositions([compositions[number] for number in missing])
        return found
