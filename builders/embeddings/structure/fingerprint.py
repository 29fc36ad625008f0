"""The fingerprint of a structure: which arrangement its atoms have, whatever elements they are.

It is made from the primitive cell. The elements stand in canonical order: by ascending amount in the reduced formula, then
by symbol. For each element the distribution of the rows of its atoms (:mod:`builders.embeddings.structure.distances`) and
the mean of these rows are kept; beside them what symmetry says.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from builders.embeddings.structure.arrangement import SAME_ARRANGEMENT, arrangement_distances, profile
from builders.embeddings.structure.distances import Distribution, distribution, neighbour_distances
from builders.embeddings.structure.vector import profile_vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.structures.symmetry import Symmetry
    from store.crystal import Crystal

SYMPREC: Final = 0.02
"""Å, tolerance of the symmetry search."""


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """What :func:`fingerprint` finds.

    Attributes
    ----------
    elements : tuple of str
        Canonical order: by ascending amount, then by symbol.
    amounts : tuple of int
        shape=(n_elements,), of one formula unit, ascending, without a common divisor. For a disordered crystal the whole
        numbers of its reduced formula.
    z : float
        Formula units in the primitive cell; whole for an ordered crystal.
    n_sites : int
        Sites of the primitive cell.
    space_group : int
        1 to 230.
    volume_per_atom : float
        Å^3.
    rows : numpy.ndarray
        shape=(n_elements, 40), float32; mean over the atoms of an element of the distance to the j-th neighbour, in units
        of the cube root of the volume per atom.
    profile : numpy.ndarray
        shape=(n_elements, n_elements, 2, 16), float32; mean and standard deviation of the distance from the atoms of one element
        to the j-th neighbour of another, in the same units (:mod:`builders.embeddings.structure.arrangement`).
    parts : tuple of Distribution
        shape=(n_elements,); how the rows are distributed over the atoms of each element.
    prototype, anonymous_prototype : str
        Labels as AFLOW writes them, with and without elements (:mod:`builders.structures.prototype`).
    """

    elements: tuple[str, ...]
    amounts: tuple[int, ...]
    z: float
    n_sites: int
    space_group: int
    volume_per_atom: float
    rows: NDArray[np.float32]
    profile: NDArray[np.float32]
    parts: tuple[Distribution, ...]
    prototype: str
    anonymous_prototype: str

    @property
    def ratio(self) -> str:
        """The stoichiometry class, e.g. ``1:1:1:4``."""
        return ":".join(map(str, self.amounts))

    def vector(self) -> NDArray[np.float32]:
        """Write the fingerprint as one vector for nearest-neighbour search with the ordinary Euclidean distance.

        Returns
        -------
        numpy.ndarray
            shape=(198,), float32; see :func:`builders.embeddings.structure.vector.profile_vectors`.

        Examples
        --------
        >>> from store.crystal import Crystal
        >>> polonium = Crystal.from_lists([[3.35, 0, 0], [0, 3.35, 0], [0, 0, 3.35]], ["Po"], [[0, 0, 0]])
        >>> fingerprint(polonium).vector().shape
        (198,)
        """
        vectors = profile_vectors(self.profile[None], self.amounts)
        return np.asarray(vectors[0])


def fingerprint(crystal: Crystal, *, primitive: bool = False, symprec: float = SYMPREC) -> Fingerprint:
    """Make the fingerprint of a crystal.

    Parameters
    ----------
    crystal : Crystal
        Any cell, ordered or disordered; validated here. An occupied site counts for each of its elements as much as the element
        is there.
    primitive : bool
        The cell is primitive: its own sites are used, not those of the standardised cell that the symmetry search makes.
    symprec : float
        Å, tolerance of the symmetry search.

    Returns
    -------
    Fingerprint
        The same, up to the symmetry search's tolerance, for all cells of one crystal.

    Raises
    ------
    StructureError
        The crystal is impossible (:func:`builders.structures.validation.validate`).

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> rock_salt = Crystal.from_lists([[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]], ["Na", "Cl"],
    ...                                [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> found = fingerprint(rock_salt)
    >>> found.elements, found.ratio, found.z, found.space_group, found.rows.shape
    (('Cl', 'Na'), '1:1', 1, 225, (2, 40))
    >>> found.anonymous_prototype
    'AB_cF8_225_a_b'
    """
    from builders.structures.neighbours import neighbourhood, points_of
    from builders.structures.prototype import prototype_labels
    from builders.structures.symmetry import find_symmetry
    from builders.structures.validation import validate

    given = validate(crystal).crystal
    smallest = neighbourhood(points_of(given), 1).min_distance
    symmetry = find_symmetry(given, symprec, min_distance=smallest)
    labels = prototype_labels(given.species, symmetry)
    return _of_cell(given if primitive else symmetry.primitive, symmetry, labels)


def _of_cell(cell: Crystal, symmetry: Symmetry, labels: tuple[str, str]) -> Fingerprint:
    elements, amounts, z = canonical_order(cell)
    distances = neighbour_distances(cell)
    parts = tuple([_part(distances, cell, element) for element in elements])
    atoms = sum(cell.amounts().values())
    return Fingerprint(
        elements=elements,
        amounts=amounts,
        z=z,
        n_sites=cell.n_sites,
        space_group=symmetry.number,
        volume_per_atom=abs(cell.volume) / atoms,
        rows=np.array([part.mean for part in parts], dtype=np.float32),
        profile=profile(cell, elements),
        parts=parts,
        prototype=labels[0],
        anonymous_prototype=labels[1],
    )


def _part(distances: NDArray[np.float64], cell: Crystal, element: str) -> Distribution:
    if cell.occupancies is None:
        return distribution(distances[[species == element for species in cell.species]])
    shares = np.array([site.get(element, 0.0) for site in cell.occupancies])
    there = shares > 0
    return distribution(distances[there], shares[there])


def canonical_order(cell: Crystal) -> tuple[tuple[str, ...], tuple[int, ...], float]:
    """Order the elements of a cell by ascending amount, then by symbol.

    Returns
    -------
    tuple
        Elements, their amounts in one formula unit, and the number of formula units in the cell.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> canonical_order(Crystal.from_lists(np.eye(3), ["O", "Ti", "O", "O", "Ti", "O"], np.zeros((6, 3))))
    (('Ti', 'O'), (1, 2), 2)
    """
    if cell.occupancies is None:
        counts = Counter(cell.species)
        units = math.gcd(*counts.values())
        order = sorted(counts, key=lambda element: (counts[element], element))
        return tuple(order), tuple([counts[element] // units for element in order]), units
    from builders.structures.formulas import describe_composition, formula_units

    total = cell.amounts()
    formulas = describe_composition(total, formula_units(cell.species))
    whole = dict(zip(formulas.elements, formulas.whole, strict=True))
    order = sorted(whole, key=lambda element: (whole[element], element))
    return tuple(order), tuple([whole[element] for element in order]), sum(total.values()) / sum(whole.values())


def arrangement_distance(a: Fingerprint, b: Fingerprint) -> float:
    """Compare two arrangements (:func:`builders.embeddings.structure.arrangement.arrangement_distances`).

    Returns
    -------
    float
        At least 0, in units of the cube root of the volume per atom; infinite for different stoichiometries.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> cells = [Crystal.from_lists(a * np.eye(3), pair, [[0, 0, 0], [0.5, 0.5, 0.5]])
    ...          for a, pair in ((4.12, ["Cs", "Cl"]), (2.89, ["Ni", "Al"]))]
    >>> round(arrangement_distance(fingerprint(cells[0]), fingerprint(cells[1])), 6)
    0.0
    """
    if a.amounts != b.amounts:
        return math.inf
    return float(arrangement_distances(a.profile, b.profile, a.amounts)[0])


def same_arrangement(a: Fingerprint, b: Fingerprint, threshold: float = SAME_ARRANGEMENT) -> bool:
    """Tell whether two structures are one arrangement, whatever their elements and sizes.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> polonium, iron = (Crystal.from_lists(a * np.eye(3), [element] * n, [[0, 0, 0], [0.5, 0.5, 0.5]][:n])
    ...                   for a, element, n in ((3.35, "Po", 1), (2.87, "Fe", 2)))
    >>> same_arrangement(fingerprint(polonium), fingerprint(iron))
    False
    """
    return arrangement_distance(a, b) < threshold
