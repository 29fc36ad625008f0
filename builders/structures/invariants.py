"""Numbers that depend on the crystal alone: not on cell, origin, orientation or order of the atoms.

The vector holds 24 average minimum distances (AMD; Widdowson et al. 2022, doi:10.46793/match.87-3.529W; written anew here)
and 8 sums that also see which element sits where. All of them change continuously when atoms move.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from builders.structures.elements import element_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.structures.neighbours import Neighbourhood, Points
    from store.crystal import Crystal

N_DISTANCES = 24
"""AMD columns: the mean distance of an atom to its 1st, 2nd, ... 24th neighbour."""
N_WAVES = 4
"""Radial functions of the coloured sums."""
SIZE = N_DISTANCES + 2 * N_WAVES


@dataclass(frozen=True)
class Invariants:
    """What :func:`crystal_invariants` computes.

    Attributes
    ----------
    vector : numpy.ndarray
        shape=(32,), float32. Columns 0-23: AMD, Å. Columns 24-27: mean over atoms of the sum over neighbours of
        ``z_i z_j w(d) cos(m pi d / R)``, m = 0..3. Columns 28-31: the same with ``z_i`` alone.
    coordination : float
        Mean over atoms of the sum over neighbours of ``(1 + z_i z_j) w(d)``, in full precision; what the structure hash
        counts in.
    site_sums : numpy.ndarray
        shape=(n_sites,), sum over a site's neighbours of ``w(d)``: tells sites apart without naming a cell.
    """

    vector: NDArray[np.float32]
    coordination: float
    site_sums: NDArray[np.float64]


def crystal_invariants(crystal: Crystal, points: Points, around: Neighbourhood) -> Invariants:
    """Compute the invariants of a crystal.

    The weight is ``w(d) = (1 - (d/R)^2)^3`` with the radius R of the neighbourhood, which scales with the crystal. The
    colour ``z`` of an element is its rank in electronegativity, shifted and scaled to mean 0 and variance 1 over the
    atoms (0 for an element alone). A shared site has the mean colour of its occupants, and each site counts as much as
    it is occupied.

    Parameters
    ----------
    crystal : Crystal
        Validated.
    points, around
        From :func:`builders.structures.neighbours.points_of` and
        :func:`~builders.structures.neighbours.neighbourhood` of the same crystal, with k = 24.

    Returns
    -------
    Invariants
        Equal for all cells and settings of one crystal, to rounding.

    Examples
    --------
    >>> from builders.structures.neighbours import neighbourhood, points_of
    >>> from store.crystal import Crystal
    >>> polonium = Crystal.from_lists([[3.35, 0, 0], [0, 3.35, 0], [0, 0, 3.35]], ["Po"], [[0, 0, 0]])
    >>> points = points_of(polonium)
    >>> vector = crystal_invariants(polonium, points, neighbourhood(points)).vector
    >>> [f"{distance:.2f}" for distance in vector[[0, 5, 6, 17, 18]]]
    ['3.35', '3.35', '4.74', '4.74', '5.80']
    """
    colours = site_colours(crystal)
    pairs, weights = around.pairs, points.weights
    scaled = pairs.distance / around.radius
    window = (1.0 - scaled * scaled) ** 3
    first, second = colours[pairs.centre], colours[pairs.neighbour]
    if weights is None:
        distances = around.nearest.mean(axis=0)
        atoms = float(crystal.n_sites)
    else:
        distances = weights @ around.nearest / weights.sum()
        window = window * weights[pairs.centre] * weights[pairs.neighbour]
        atoms = float(weights.sum())
    # cos(m x) by the recurrence of Chebyshev: one cosine instead of four.
    step = 2.0 * np.cos(np.pi * scaled)
    waves = np.empty((N_WAVES, len(scaled)))
    waves[0] = window
    waves[1] = window * step / 2.0
    for order in range(2, N_WAVES):
        waves[order] = step * waves[order - 1] - waves[order - 2]
    sums = waves @ np.stack([first * second, first, np.ones_like(first)], axis=1) / atoms
    vector = np.concatenate([distances, sums[:, 0], sums[:, 1]]).astype(np.float32)
    site_sums = np.bincount(pairs.centre, window, minlength=crystal.n_sites).astype(np.float64)
    return Invariants(vector, float(sums[0, 2] + sums[0, 0]), site_sums)


def site_colours(crystal: Crystal) -> NDArray[np.float64]:
    """Give each site a number that tells its element from the others of the crystal.

    Returns
    -------
    numpy.ndarray
        shape=(n_sites,); mean 0 and variance 1 over the atoms, or all 0 for one element.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> site_colours(Crystal.from_lists([[4, 0, 0], [0, 4, 0], [0, 0, 4]], ["Cl", "Cs"], [[0, 0, 0], [.5, .5, .5]]))
    array([ 1., -1.])
    """
    table = element_table()
    amounts = crystal.amounts()
    if len(amounts) == 1:
        return np.zeros(crystal.n_sites)
    ranked = sorted(amounts, key=lambda symbol: (table[symbol].electronegativity, symbol))
    total = sum(amounts.values())
    mean = sum([rank * amounts[symbol] for rank, symbol in enumerate(ranked)]) / total
    variance = sum([(rank - mean) ** 2 * amounts[symbol] for rank, symbol in enumerate(ranked)]) / total
    colour = {symbol: (rank - mean) / variance**0.5 for rank, symbol in enumerate(ranked)}
    if crystal.occupancies is None:
        return np.array([colour[symbol] for symbol in crystal.species])
    return np.array(
        [
            sum([amount * colour[symbol] for symbol, amount in site.items()]) / sum(site.values())
            for site in crystal.occupancies
        ]
    )
