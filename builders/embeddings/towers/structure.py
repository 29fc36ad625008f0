"""What the structure tower sees of a crystal: geometry alone, never which elements stand where.

A crystal is described species by species. Species are tokens without an order: what is known of one (its share, its
neighbour distances, its orbits) is a row of ``tokens``, what is known of one around another (distances, coordination) an
entry of ``pairs``, and what belongs to the whole crystal ``whole``. Lengths come twice: in units of the spacing
(V/N)^(1/3), which says how the atoms are arranged, and in Å, which says how large they are. The second kind can be scaled
(:meth:`StructureFeatures.scaled`) to ask about the same arrangement at another volume.

Sources: average minimum distances, Widdowson et al., MATCH 87, 529 (2022), doi:10.46793/match.87-3.529W; the weight of a
neighbour by its distance, Hoppe, Z. Kristallogr. 150, 23 (1979), doi:10.1524/zkri.1979.150.14.23 (effective coordination
numbers, here against the shortest distance).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.structures.neighbours import Neighbourhood
    from builders.structures.symmetry import Symmetry
    from store.crystal import Crystal

VERSION: Final = 1
"""Raised by hand when the same crystal gets other features."""

SYMPREC: Final = 0.02
"""Å; tolerance of the symmetry search. Fixed: the vectors of one model must be comparable."""

N_NEAREST: Final = 24
N_PAIR: Final = 8
SPREAD_AT: Final = (0, 3, 7, 11)
ABSOLUTE_AT: Final = (0, 1, 3, 5, 7, 11)
PAIR_ABSOLUTE: Final = 4

N_TOKEN: Final = 6 + 2 + len(SPREAD_AT) + N_NEAREST + len(ABSOLUTE_AT)
N_PAIRS: Final = 1 + 2 + N_PAIR + PAIR_ABSOLUTE
N_WHOLE: Final = 8 + 1
TOKEN_LENGTHS: Final = slice(N_TOKEN - len(ABSOLUTE_AT), N_TOKEN)
"""Columns of ``tokens`` that are in Å."""
PAIR_LENGTHS: Final = slice(N_PAIRS - PAIR_ABSOLUTE, N_PAIRS)
WHOLE_LENGTHS: Final = slice(N_WHOLE - 1, N_WHOLE)


@dataclass(frozen=True, eq=False)
class StructureFeatures:
    """A crystal as the structure tower sees it.

    Attributes
    ----------
    elements : tuple of str
        shape=(k,); ascending amount, then symbol. The tower does not see them.
    amounts : tuple of int
        shape=(k,); of the reduced formula.
    tokens : numpy.ndarray
        shape=(k, 42), float32.
    pairs : numpy.ndarray
        shape=(k, k, 15), float32; entry (a, b) tells of the atoms b around the atoms a.
    whole : numpy.ndarray
        shape=(9,), float32.
    space_group : int
        1 to 230.
    """

    elements: tuple[str, ...]
    amounts: tuple[int, ...]
    tokens: NDArray[np.float32]
    pairs: NDArray[np.float32]
    whole: NDArray[np.float32]
    space_group: int

    def scaled(self, factor: float) -> StructureFeatures:
        """Return the same arrangement with all lengths times ``factor`` (the volume times its cube)."""
        tokens, pairs, whole = self.tokens.copy(), self.pairs.copy(), self.whole.copy()
        tokens[:, TOKEN_LENGTHS] *= factor
        pairs[:, :, PAIR_LENGTHS] *= factor
        whole[WHOLE_LENGTHS] *= factor
        return replace(self, tokens=tokens, pairs=pairs, whole=whole)


def structure_features(crystal: Crystal) -> StructureFeatures:
    """Describe a crystal for the structure tower; any cell of it gives the same.

    Parameters
    ----------
    crystal : Crystal
        As read. A disordered site counts for each of its elements as much as it is occupied by it.

    Returns
    -------
    StructureFeatures

    Raises
    ------
    StructureError
        The crystal is impossible (:func:`builders.structures.validation.validate`).

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> rock_salt = Crystal.from_lists([[0, 2.82, 2.82], [2.82, 0, 2.82], [2.82, 2.82, 0]], ["Na", "Cl"],
    ...                                [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> found = structure_features(rock_salt)
    >>> found.elements, found.amounts, found.space_group
    (('Cl', 'Na'), (1, 1), 225)
    >>> found.tokens[0, TOKEN_LENGTHS].round(2).tolist()  # six neighbours at 2.82 Å, twelve at 3.99 Å
    [2.819999933242798, 2.819999933242798, 2.819999933242798, 2.819999933242798, 3.990000009536743, 3.990000009536743]
    """
    _, symmetry = _searched(crystal)
    orbits = np.array([symmetry.orbits[site] for site in symmetry.primitive_sites])
    return _describe(symmetry.primitive, orbits, symmetry.number)


def described(crystal: Crystal) -> tuple[StructureFeatures, str]:
    """Describe a crystal as :func:`structure_features` does, and name its anonymous prototype (``AB_cF8_225_a_b``)."""
    from builders.structures.prototype import prototype_labels

    given, symmetry = _searched(crystal)
    orbits = np.array([symmetry.orbits[site] for site in symmetry.primitive_sites])
    features = _describe(symmetry.primitive, orbits, symmetry.number)
    return features, prototype_labels(given.species, symmetry)[1]


def _searched(crystal: Crystal) -> tuple[Crystal, Symmetry]:
    """The crystal, validated, and its symmetry."""
    from builders.structures.neighbours import neighbourhood, points_of
    from builders.structures.symmetry import find_symmetry
    from builders.structures.validation import validate

    given = validate(crystal).crystal
    nearest = neighbourhood(points_of(given), 1).min_distance
    return given, find_symmetry(given, SYMPREC, min_distance=nearest)


def _describe(crystal: Crystal, orbits: NDArray[np.int64], space_group: int) -> StructureFeatures:
    from builders.structures.neighbours import neighbourhood, points_of

    elements, amounts, cell_amounts = _canonical(crystal)
    points = points_of(crystal)
    around = neighbourhood(points, N_NEAREST)
    share = _shares(crystal, elements)
    econ, by_species = _coordination(around, share)
    pair_table = _pair_distances(around, share)
    mean = share / share.sum(axis=0)  # columns: weights of the sites of each species
    tokens = np.concatenate(
        [
            _species(share, orbits, np.array(amounts, dtype=np.float64), cell_amounts),
            (mean.T @ econ)[:, None],
            _deviation(econ[:, None], mean),
            _deviation(around.nearest[:, SPREAD_AT], mean) / points.spacing,
            mean.T @ around.nearest / points.spacing,
            mean.T @ around.nearest[:, ABSOLUTE_AT],
        ],
        axis=1,
    )
    averaged = np.einsum("sa,sbm->abm", mean, pair_table)
    coordination = mean.T @ by_species  # (k, k)
    lowest = np.where(share.T[:, :, None] > 0, pair_table[None, :, :, 0], np.inf).min(axis=1)
    pairs = np.concatenate(
        [
            coordination[:, :, None],
            (coordination / coordination.sum(axis=1, keepdims=True))[:, :, None],
            lowest[:, :, None] / points.spacing,
            averaged / points.spacing,
            averaged[:, :, :PAIR_ABSOLUTE],
        ],
        axis=2,
    )
    return StructureFeatures(
        elements,
        amounts,
        tokens.astype(np.float32),
        pairs.astype(np.float32),
        _whole(crystal, orbits, amounts, cell_amounts, around.min_distance, points.spacing),
        space_group,
    )


def _canonical(crystal: Crystal) -> tuple[tuple[str, ...], tuple[int, ...], NDArray[np.float64]]:
    from builders.structures.formulas import describe_composition, formula_units

    found = crystal.amounts()
    formulas = describe_composition(found, 1 if crystal.is_ordered else formula_units(crystal.species))
    whole = dict(zip(formulas.elements, formulas.whole, strict=True))
    elements = tuple(sorted(whole, key=lambda symbol: (whole[symbol], symbol)))
    return elements, tuple(whole[each] for each in elements), np.array([found[each] for each in elements])


def _shares(crystal: Crystal, elements: tuple[str, ...]) -> NDArray[np.float64]:
    """How much of each species is on each site; shape=(n_sites, k)."""
    column = {symbol: place for place, symbol in enumerate(elements)}
    share = np.zeros((crystal.n_sites, len(elements)))
    if crystal.occupancies is None:
        share[np.arange(crystal.n_sites), [column[symbol] for symbol in crystal.species]] = 1.0
        return share
    for site, contents in enumerate(crystal.occupancies):
        for symbol, amount in contents.items():
            share[site, column[symbol]] = amount
    return share


def _coordination(around: Neighbourhood, share: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Effective coordination number of each site, shape=(n,), and by species of the neighbours, shape=(n, k)."""
    pairs = around.pairs
    shortest = around.nearest[:, 0][pairs.centre]
    weight = np.exp(1.0 - np.clip(pairs.distance / shortest, 0.0, 4.0) ** 6)
    k = share.shape[1]
    by_species = np.empty((len(share), k))
    for species in range(k):
        by_species[:, species] = np.bincount(
            pairs.centre, weights=weight * share[pairs.neighbour, species], minlength=len(share)
        )
    by_species += 1e-6
    return by_species.sum(axis=1), by_species


def _pair_distances(around: Neighbourhood, share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distances of the nearest atoms of each species around each site, Å, never beyond the radius; shape=(n, k, 8)."""
    n_sites, k = share.shape
    table = np.full((n_sites, k, N_PAIR), around.radius)
    pairs = around.pairs
    if ((share == 0.0) | (share == 1.0)).all():
        species = share.argmax(axis=1)[pairs.neighbour]
        row = pairs.centre * k + species
        order = np.lexsort((pairs.distance, row))
        row, distance = row[order], pairs.distance[order]
        counts = np.bincount(row, minlength=n_sites * k)
        rank = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        near = rank < N_PAIR
        table.reshape(n_sites * k, N_PAIR)[row[near], rank[near]] = distance[near]
        found: NDArray[np.float64] = np.minimum(table, around.radius)
        return found
    marks = np.arange(N_PAIR + 1, dtype=np.float64)
    order = np.lexsort((pairs.distance, pairs.centre))
    ends = np.cumsum(np.bincount(pairs.centre, minlength=n_sites))
    for site in range(n_sites):
        mine = order[(ends[site - 1] if site else 0) : ends[site]]
        distance = np.append(pairs.distance[mine], around.radius)
        for species in range(k):
            # Beyond the radius there is always more: the integral then needs no end of its own.
            weight = np.append(share[pairs.neighbour[mine], species], N_PAIR)
            total = np.concatenate(([0.0], np.cumsum(weight)))
            moment = np.concatenate(([0.0], np.cumsum(weight * distance)))
            table[site, species] = np.diff(np.interp(marks, total, moment))
    return table


def _species(
    share: NDArray[np.float64], orbits: NDArray[np.int64], amounts: NDArray[np.float64], cell: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Shares, amounts and orbits of each species, shape=(k, 6)."""
    rows = []
    for species in range(len(amounts)):
        mine = share[:, species] > 0
        _, sizes = np.unique(orbits[mine], return_counts=True)
        rows.append(
            [
                amounts[species] / amounts.sum(),
                np.log(amounts[species]),
                np.log(cell[species]),
                np.log(len(sizes)),
                np.log(sizes).mean(),
                np.log(sizes.max()),
            ]
        )
    return np.array(rows)


def _deviation(values: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviation over the sites of each species; shape=(k, columns)."""
    centre = mean.T @ values
    square = mean.T @ (values * values) - centre * centre
    return np.sqrt(np.maximum(square, 0.0))


def _whole(
    crystal: Crystal,
    orbits: NDArray[np.int64],
    amounts: tuple[int, ...],
    cell: NDArray[np.float64],
    min_distance: float,
    spacing: float,
) -> NDArray[np.float32]:
    from builders.structures.symmetry import minkowski_reduced

    lengths = np.sort(np.linalg.norm(minkowski_reduced(crystal.lattice), axis=1))
    atoms = float(cell.sum())
    values = [
        np.log(atoms),
        np.log(sum(amounts)),
        len(amounts),
        np.log(len(np.unique(orbits))),
        *(lengths / abs(crystal.volume) ** (1 / 3)),
        min_distance / spacing,
        spacing,
    ]
    return np.array(values, dtype=np.float32)
