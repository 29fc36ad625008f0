"""Energies of a potential beside the ranker's shares: a Boltzmann factor, and the chance that the potential is blind.

An unrelaxed cell can lie far above where it would relax to, and a potential can be wrong: so the share of an arrangement
falls with its energy only as far as a floor. Factor and floor were fitted by the likelihood of the right arrangement on 400
formulas of the Materials Project that neither the ranker nor any benchmark knew (single points of SevenNet-0); alloys
and compounds of anions wanted the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.templates.ranker import Ranker, Ranking

FACTOR: Final = 60.0
"""Per eV/atom: by how much the logarithm of a share falls with the energy."""
BLIND: Final = 0.1
"""What is left of a share, however high the energy."""
CLASH: Final = 0.4
"""What is left of the share of an arrangement whose atoms would overlap."""


def energy_shares(
    share: NDArray[np.float64],
    energies: NDArray[np.float64],
    clashes: NDArray[np.bool_] | None = None,
    *,
    factor: float = FACTOR,
    blind: float = BLIND,
) -> NDArray[np.float64]:
    """Shares of arrangements when their energies are known.

    Parameters
    ----------
    share : numpy.ndarray
        shape=(n,), without energies; sums to one.
    energies : numpy.ndarray
        shape=(n,), eV/atom; NaN where unknown. What is known keeps its sum of shares.
    clashes : numpy.ndarray, optional
        shape=(n,), bool: arrangements in which atoms would overlap.
    factor : float
        Per eV/atom.
    blind : float
        From 0 to 1.

    Returns
    -------
    numpy.ndarray
        shape=(n,), sums to one.

    Examples
    --------
    >>> energy_shares(np.array([0.5, 0.3, 0.2]), np.array([-3.0, -3.1, np.nan]), factor=20.0, blind=0.0).round(2).tolist()
    [0.15, 0.65, 0.2]
    """
    found = np.asarray(share, np.float64).copy()
    known = np.isfinite(energies)
    if known.any():
        above = energies[known] - energies[known].min()
        weight = found[known] * (blind + (1.0 - blind) * np.exp(-factor * above))
        if weight.sum() > 0:
            found[known] = weight * (found[known].sum() / weight.sum())
    if clashes is not None:
        found[clashes] *= CLASH
    result: NDArray[np.float64] = found / max(found.sum(), 1e-300)
    return result


def with_energies(
    ranker: Ranker,
    ranking: Ranking,
    energies: NDArray[np.float64],
    clashes: NDArray[np.bool_] | None = None,
) -> Ranking:
    """Rank again with energies.

    Parameters
    ----------
    ranker : Ranker
        Whose calibration holds.
    ranking : Ranking
    energies : numpy.ndarray
        shape=(len(ranking),), eV/atom, in the order of the ranking; NaN where unknown.
    clashes : numpy.ndarray, optional
        shape=(len(ranking),), bool: arrangements in which atoms would overlap.

    Returns
    -------
    Ranking
    """
    if not len(ranking):
        return ranking
    share = energy_shares(ranking.share, energies, clashes)
    order, probability = ranker.judged(share, ranking.similarity)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return replace(
        ranking,
        proposal=ranking.proposal[order],
        probability=probability,
        share=share[order],
        support=ranking.support[order],
        of=rank[ranking.of],
        similarity=ranking.similarity[np.ix_(order, order)],
    )
