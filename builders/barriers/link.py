"""Which structure of the store a hop's host is made from, and which hop of its channels it is.

A host is often a supercell that lacks an ion and was relaxed a little; its framework is still that of the compound. Frameworks
are compared by numbers that no choice of cell changes (:mod:`builders.structures.invariants`), scaled to one volume an atom.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from builders.structures.invariants import N_DISTANCES, crystal_invariants
from builders.structures.neighbours import neighbourhood, points_of
from store.crystal import Crystal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from builders.channels.model import Channels

ALIKE: Final = 0.015
"""Mean relative difference of the average minimum distances up to which frameworks are the same."""
COLOURS: Final = 0.35
"""Difference of the sums that see elements, by their size, up to which they are."""
SAME_LENGTH: Final = 0.06
"""Relative difference of the lengths up to which a hop is the channels' hop."""
SAME_SIZE: Final = 0.15
"""Å; difference of the bottlenecks up to which it is."""


class Link(NamedTuple):
    """A structure that a hop's host is made from.

    Attributes
    ----------
    material : str
    difference : float
        Of the two frameworks: 0 for the same, :data:`ALIKE` at most.
    hop : int or None
        Number of the hop among those of the material's channels; None where none fits or no channels were built.
    """

    material: str
    difference: float
    hop: int | None


class Fingerprint(NamedTuple):
    """Numbers of a framework that no choice of cell changes; scaled to one volume an atom."""

    distances: NDArray[np.float64]
    colours: NDArray[np.float64]


def fingerprint(framework: Crystal) -> Fingerprint:
    """Describe a framework.

    Examples
    --------
    >>> small = Crystal.from_lists([[0, 2, 2], [2, 0, 2], [2, 2, 0]], ["Na", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> large = Crystal.from_lists([[0, 3, 3], [3, 0, 3], [3, 3, 0]], ["Na", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> difference(fingerprint(small), fingerprint(large)) < 1e-6
    True
    """
    points = points_of(framework)
    vector = crystal_invariants(framework, points, neighbourhood(points)).vector.astype(np.float64)
    return Fingerprint(vector[:N_DISTANCES] / points.spacing, vector[N_DISTANCES:])


def difference(one: Fingerprint, other: Fingerprint) -> float:
    """Mean relative difference of the distances; infinite where the elements stand elsewhere."""
    size = max(float(np.abs(one.colours).max()), float(np.abs(other.colours).max()), 1e-9)
    if float(np.abs(one.colours - other.colours).max()) > COLOURS * size:
        return float("inf")
    return float(np.mean(np.abs(one.distances - other.distances) / np.maximum(other.distances, 1e-9)))


def without(crystal: Crystal, ion: str) -> Crystal:
    """A crystal without the sites that hold an ion.

    Examples
    --------
    >>> without(Crystal.from_lists([[4, 0, 0], [0, 4, 0], [0, 0, 4]], ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]]), "Li").species
    ('F',)
    """
    kept = [
        number
        for number, symbol in enumerate(crystal.species)
        if (symbol != ion if crystal.occupancies is None else ion not in crystal.occupancies[number])
    ]
    if len(kept) == crystal.n_sites:
        return crystal
    sites = None if crystal.occupancies is None else [crystal.occupancies[number] for number in kept]
    return Crystal.from_lists(
        crystal.lattice, [crystal.species[number] for number in kept], crystal.frac_coords[kept], sites
    )


def link(
    framework: Crystal, p_length: float, r_bottleneck: float, candidates: Sequence[tuple[str, Crystal, Channels | None]]
) -> list[Link]:
    """Find the structures that a hop's host is made from, the likest first.

    Parameters
    ----------
    framework : Crystal
        The host without any ion of the kind that moves.
    p_length, r_bottleneck : float
        Å; the hop's.
    candidates : sequence of tuple
        Material, its framework, and the analysis of its channels if there is one.
    """
    if not candidates:
        return []
    mine = fingerprint(framework)
    found = []
    for material, other, channels in candidates:
        apart = difference(mine, fingerprint(other))
        if apart <= ALIKE:
            found.append(
                Link(material, apart, None if channels is None else same_hop(p_length, r_bottleneck, channels))
            )
    return sorted(found, key=lambda each: (round(each.difference, 6), each.material))


def same_hop(p_length: float, r_bottleneck: float, channels: Channels) -> int | None:
    """Number of the hop that has this length and this bottleneck; None where none has."""
    best, least = None, np.inf
    for number, hop in enumerate(channels.hops):
        longer, wider = abs(hop.p_length / p_length - 1.0), abs(hop.r_bottleneck - r_bottleneck)
        if longer <= SAME_LENGTH and wider <= SAME_SIZE:
            off = longer / SAME_LENGTH + wider / SAME_SIZE
            if off < least:
                best, least = number, off
    return best
