"""Make a library entry of a crystal."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from builders.embeddings.elements import element_table
from builders.structures.neighbours import neighbourhood, points_of
from indexes.templates.arrays import N_DISTANCES, Entry
from store.errors import FeatureError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from store.crystal import Crystal

SYMPREC = 0.02
"""Å; tolerance of the symmetry search for crystals that the user gives."""


def entry_of(identifier: str, crystal: Crystal) -> Entry:
    """Make an entry of a crystal as given: validate it, find its primitive cell, its symmetry and its distances.

    Raises
    ------
    StructureError
        The crystal is impossible.
    FeatureError
        It is disordered: a template needs one element a site.
    """
    from builders.structures.prototype import prototype_labels
    from builders.structures.symmetry import find_symmetry
    from builders.structures.validation import validate

    if not crystal.is_ordered:
        raise FeatureError(f"{identifier} is disordered; a template needs exactly one element on each site.")
    checked = validate(crystal).crystal
    smallest = neighbourhood(points_of(checked), 1).min_distance
    symmetry = find_symmetry(checked, SYMPREC, min_distance=smallest)
    _, label = prototype_labels(checked.species, symmetry)
    return entry_of_primitive(identifier, symmetry.primitive, symmetry.number, label)


def entry_of_primitive(identifier: str, primitive: Crystal, space_group: int, prototype: str = "") -> Entry:
    """Make an entry of a primitive cell whose symmetry is known.

    Raises
    ------
    FeatureError
        It holds an element beyond plutonium: of these no distances are known.
    """
    counts = Counter(primitive.species)
    unknown = sorted(set(counts) - set(element_table().symbols))
    if unknown:
        raise FeatureError(
            f"{identifier} holds {', '.join(unknown)}; templates hold elements from hydrogen to plutonium."
        )
    units = math.gcd(*counts.values())
    elements = tuple(sorted(counts, key=lambda symbol: (counts[symbol], symbol)))
    number = {symbol: place for place, symbol in enumerate(elements)}
    species = np.array([number[symbol] for symbol in primitive.species], np.uint8)
    return Entry(
        id=identifier,
        elements=elements,
        amounts=tuple([counts[symbol] // units for symbol in elements]),
        formula_units=units,
        space_group=space_group,
        lattice=primitive.lattice,
        frac_coords=primitive.frac_coords,
        species=species,
        rows=distance_rows(primitive, species, len(elements)),
        prototype=prototype,
    )


def distance_rows(primitive: Crystal, species: NDArray[np.uint8], n_species: int) -> NDArray[np.float32]:
    """Mean distance to the j-th neighbour of the atoms of each species, shape=(n_species, 40), over (V/N)^(1/3)."""
    near = neighbourhood(points_of(primitive), N_DISTANCES).nearest[:, :N_DISTANCES]
    scale = (abs(primitive.volume) / primitive.n_sites) ** (1 / 3)
    rows: NDArray[np.float32] = np.stack([near[species == k].mean(axis=0) for k in range(n_species)]) / scale
    return rows.astype(np.float32)
