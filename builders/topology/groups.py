"""Groups of sites whose shape is asked for: all atoms, the working ion, the framework, its anions and cations, single elements.

The split into ion and framework, and of the framework into anions and cations, is that of the channels
(:mod:`builders.channels.framework`), so that both speak of the same points; ``framework`` holds every framework site whatever its
occupancy, as there. In all other groups a site of a disordered crystal counts when at least half of it is taken by members of the
group; where no site of a group is that full, those whose share is largest count (ions spread thinly over many
sites are still somewhere). Of sites nearer to each other than 0.4 Å the fullest counts: they cannot be occupied together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from builders.channels.framework import COINCIDENT, MAJORITY, split
from builders.geometry.images import near_pairs
from builders.structures.elements import element_table
from store.errors import EmptyFramework, UnknownElement

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from store.crystal import Crystal

GROUPS: Final = ("all", "ion", "anions", "cations", "framework")
ELEMENT: Final = "El:"
"""Prefix of the groups of one element."""
_NO_ION: Final = ("He", "Ne", "Ar", "Kr")
_SAME: Final = 1e-6


def groups_of(crystal: Crystal, ion: str | None) -> dict[str, NDArray[np.int64]]:
    """Sites of each group.

    Parameters
    ----------
    crystal : Crystal
        Validated.
    ion : str or None
        Symbol of the working ion. None, or an ion that the crystal does not hold: there is no group ``ion``, and the framework
        is the whole crystal.

    Returns
    -------
    dict
        Name to site indices, ascending; groups without any site are left out.
        ``cations`` are the framework atoms that are no anions: the working ion is not among them.

    Raises
    ------
    UnknownElement
        ``ion`` is no element symbol.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> places = [[0.5, 0.5, 0], [0, 0, 0.5], [0, 0, 0], [0.5, 0.5, 0.5]]
    >>> layers = Crystal.from_lists([[2.9, 0, 0], [0, 2.9, 0], [0, 0, 4.1]], ["Li", "Co", "O", "O"], places)
    >>> {name: sites.tolist() for name, sites in groups_of(layers, "Li").items()}
    ... # doctest: +NORMALIZE_WHITESPACE
    {'all': [0, 1, 2, 3], 'ion': [0], 'anions': [2, 3], 'cations': [1], 'framework': [1, 2, 3],
     'El:Li': [0], 'El:Co': [1], 'El:O': [2, 3]}
    """
    if ion is not None and ion not in element_table():
        raise UnknownElement(f"The ion {ion!r} is no element symbol; one such as 'Li' was expected.")
    elements = crystal.amounts()
    shares = {symbol: _shares(crystal, symbol) for symbol in elements}
    total: NDArray[np.float64] = sum(shares.values(), np.zeros(crystal.n_sites))
    everything = np.arange(crystal.n_sites)
    groups = {"all": _chosen(crystal, everything, total)}
    held = ion is not None and ion in elements
    symbol = ion if ion is not None and held else next(each for each in _NO_ION if each not in elements)
    try:
        parts = split(crystal, symbol)
    except EmptyFramework:
        groups["ion"] = _chosen(crystal, everything, total)
    else:
        kept = parts.kept
        anions = kept[~parts.cations] if parts.anion is not None else kept[:0]  # alloys have neither
        groups["ion"] = _chosen(crystal, parts.site_indices, shares.get(symbol, total))
        groups["anions"] = _chosen(crystal, anions, total)
        groups["cations"] = _chosen(crystal, kept[parts.cations], total)
        groups["framework"] = kept
    for each, share in shares.items():
        groups[ELEMENT + each] = _chosen(crystal, np.flatnonzero(share > 0.0), share)
    return {name: sites for name, sites in groups.items() if len(sites)}


def _shares(crystal: Crystal, symbol: str) -> NDArray[np.float64]:
    if crystal.occupancies is None:
        return np.array([each == symbol for each in crystal.species], dtype=np.float64)
    return np.array([site.get(symbol, 0.0) for site in crystal.occupancies])


def _chosen(crystal: Crystal, sites: NDArray[np.int64], share: NDArray[np.float64]) -> NDArray[np.int64]:
    """The sites that are full enough, no two of them at one place."""
    if crystal.occupancies is None or not len(sites):
        return sites
    most = float(share[sites].max())
    sites = sites[share[sites] >= min(MAJORITY, most) - _SAME]
    if len(sites) < 2:
        return sites
    pairs = near_pairs(crystal.frac_coords[sites], crystal.lattice, COINCIDENT)
    dropped: set[int] = set()
    for one, other in pairs.points[np.argsort(pairs.distances, kind="stable")].tolist():
        if one != other and one not in dropped and other not in dropped:
            dropped.add(min(one, other, key=lambda member: (share[sites[member]], -member)))
    return np.delete(sites, sorted(dropped))
