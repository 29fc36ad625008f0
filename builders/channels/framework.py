"""What stays and what travels: a crystal split into its framework and the sites of the working ion.

Rules, in this order:

1. A site that holds the ion is an ion site, whatever its occupancy; every other site is framework, cations included and
   whatever its occupancy.
2. A site shared by the ion and other atoms is an ion site where at least half of its atoms are the ion's; its other atoms
   are left out. Elsewhere it is framework and the ion on it is not counted: two per cent of Li on an Fe site do not open the
   Fe sublattice. If that leaves the ion no site at all (Li0.34La0.55TiO3), the shared sites where its share is largest
   become ion sites, provided it is at least a tenth.
3. Of framework sites nearer than 0.4 Å the fullest stays: a triangulation needs distinct points. A framework site that
   near an ion site shares its place, and the fuller of the two stays.

Everything but plain rule 1 on full sites leaves a flag.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from builders.channels.model import Flag
from builders.structures.elements import element_table
from builders.structures.neighbours import pairs_within, points_of
from store.crystal import Crystal
from store.errors import EmptyFramework, UnknownElement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from builders.structures.neighbours import Pairs, Points

FLAG_DISORDERED: Final = "disordered framework"
FLAG_PARTIAL_IONS: Final = "partially occupied ion sites"
FLAG_MIXED: Final = "mixed site"
FLAG_COINCIDENT: Final = "coincident framework sites"
FLAG_ALTERNATIVE: Final = "alternative framework positions"
FLAG_SPLIT_IONS: Final = "split ion sites"
FLAG_OVERLAP: Final = "ion site overlaps framework"

COINCIDENT: Final = 0.4
"""Å; framework sites nearer than this become one point."""
SPLIT: Final = 0.5
"""Å; ion sites nearer than this are one split site."""
ALTERNATIVE: Final = 1.2
"""Å; no bond without hydrogen is shorter in an inorganic crystal but that of CO, N2 and their kin."""
MAJORITY: Final = 0.5
LEAST_SHARE: Final = 0.1

# Covalent radii in Å: Cordero et al., Dalton Trans. 2008, 2832, https://doi.org/10.1039/b801115j
# fmt: off
_ANION_FORMERS: Final = {
    "H": 0.31, "C": 0.76, "N": 0.71, "O": 0.66, "F": 0.57, "P": 1.07, "S": 1.05, "Cl": 1.02,
    "As": 1.19, "Se": 1.20, "Br": 1.20, "Sb": 1.39, "Te": 1.38, "I": 1.39, "Bi": 1.48,
}
# Anions of Zintl phases and borides; asked only where nothing above is there.
_ZINTL: Final = {
    "B": 0.84, "Al": 1.21, "Si": 1.11, "Ga": 1.22, "Ge": 1.20, "In": 1.42, "Sn": 1.39, "Tl": 1.45, "Pb": 1.46,
}
# fmt: on
_BOND: Final = (0.6, 1.25)  # a bond is between these multiples of the sum of covalent radii
_SHELL: Final = 1.25  # neighbours up to this multiple of the nearest distance are one shell
_SHELL_START: Final = 3.2  # Å; holds the shell of Li-O and Mg-O nearly always
_SHELL_LIMIT: Final = 12.0  # Å; an ion without an anion that near has none
_FULL: Final = 1.0 - 1e-3


@dataclass(frozen=True, eq=False)
class Framework:
    """A crystal split into framework and ion sites.

    Attributes
    ----------
    crystal : Crystal
        The framework, in the given cell; its sites are as given.
    kept : numpy.ndarray
        shape=(crystal.n_sites,), int64; which of the given sites they are, ascending.
    sites : numpy.ndarray
        shape=(n_ions, 3), float64, fractional; positions of the ion. Empty for a host that holds none.
    occupancies : numpy.ndarray
        shape=(n_ions,), float64; share of the ion on each.
    site_indices : numpy.ndarray
        shape=(n_ions,), int64; which of the given sites they are, ascending.
    cations : numpy.ndarray
        shape=(crystal.n_sites,), bool; framework sites that are no anions. All False where there are no anions at all (metals).
    anion : str or None
        The anion of which most of the ion's nearest neighbours are; in a host without the ion the most abundant anion.
        None where there are no anions.
    flags : tuple of Flag
    """

    crystal: Crystal
    kept: NDArray[np.int64]
    sites: NDArray[np.float64]
    occupancies: NDArray[np.float64]
    site_indices: NDArray[np.int64]
    cations: NDArray[np.bool_]
    anion: str | None
    flags: tuple[Flag, ...]


class _Contents(NamedTuple):
    """What is on the given sites; each shape=(n_sites,)."""

    symbols: tuple[str, ...]
    """majority element"""
    ion: NDArray[np.float64]
    """atoms of the ion"""
    total: NDArray[np.float64]
    """atoms of all kinds"""
    is_mixed: NDArray[np.bool_]
    """several elements share the site"""


def split(crystal: Crystal, ion: str) -> Framework:
    """Split a crystal into its framework and the sites of an ion; see the rules in the module's description.

    Parameters
    ----------
    crystal : Crystal
        Validated (:func:`builders.structures.validation.validate`).
    ion : str
        Symbol of the working ion, such as "Li". A crystal that holds none of it is all framework (insertion).

    Returns
    -------
    Framework

    Raises
    ------
    UnknownElement
        ``ion`` is no element symbol.
    EmptyFramework
        Nothing but the ion is there.

    Examples
    --------
    >>> rock_salt = Crystal.from_lists([[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]], ["Na", "Cl"],
    ...                                [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> parts = split(rock_salt, "Na")
    >>> parts.crystal.species, parts.sites.tolist(), parts.anion, parts.flags
    (('Cl',), [[0.0, 0.0, 0.0]], 'Cl', ())
    >>> split(rock_salt, "Li").cations.tolist()
    [True, False]
    """
    if ion not in element_table():
        raise UnknownElement(f"The ion {ion!r} is no element symbol; one such as 'Li' was expected.")
    contents = _contents(crystal, ion)
    is_ion, flags = _ion_sites(contents, ion)
    points = points_of(Crystal(crystal.lattice, crystal.frac_coords % 1.0, crystal.species, crystal.occupancies))
    pairs = pairs_within(points, _radius(contents.symbols, is_ion))
    dropped, more = _distinct(contents, is_ion, pairs, ion)
    is_ion, is_framework = is_ion & ~dropped, ~(is_ion | dropped)
    kept, ions = np.flatnonzero(is_framework), np.flatnonzero(is_ion)
    if not len(kept):
        raise EmptyFramework(
            f"Nothing is left of the crystal when {ion} is taken out: there is no framework to analyse."
        )
    flags += more + _occupancy_flags(contents, kept, ions, ion)
    anions = _anions(contents.symbols, is_framework, pairs)
    cations = ~anions[kept] if anions.any() else np.zeros(len(kept), dtype=bool)
    return Framework(
        _subset(crystal, kept),
        kept,
        crystal.frac_coords[ions],
        contents.ion[ions],
        ions,
        cations,
        _anion(contents, anions, ions, points, pairs),
        tuple(flags),
    )


def _contents(crystal: Crystal, ion: str) -> _Contents:
    if crystal.occupancies is None:
        ion_atoms = np.array([symbol == ion for symbol in crystal.species], dtype=np.float64)
        count = crystal.n_sites
        return _Contents(crystal.species, ion_atoms, np.ones(count), np.zeros(count, dtype=bool))
    sites = crystal.occupancies
    return _Contents(
        tuple(max(site, key=lambda symbol: (site[symbol], symbol)) for site in sites),
        np.array([site.get(ion, 0.0) for site in sites]),
        np.array([sum(site.values()) for site in sites]),
        np.array([len(site) > 1 for site in sites]),
    )


def _ion_sites(contents: _Contents, ion: str) -> tuple[NDArray[np.bool_], list[Flag]]:
    """Decide which sites are the ion's (rules 1 and 2)."""
    share = contents.ion / contents.total
    is_ion = share >= MAJORITY - 1e-6
    shared = contents.is_mixed & (share > 0.0)
    if not shared.any():
        return is_ion, []
    largest = float(share.max())
    if not is_ion.any() and largest >= LEAST_SHARE:
        is_ion = share >= largest - 1e-6
    flags = []
    for chosen, treatment in (
        (shared & is_ion, "taken as ion sites, their other atoms left out"),
        (shared & ~is_ion, f"taken as framework, their {ion} not counted"),
    ):
        if chosen.any():
            low, high = share[chosen].min(), share[chosen].max()
            reason = (
                f"{_sites(chosen)} shared by {ion} and other atoms ({ion} is {_range(low, high)} of them): {treatment}."
            )
            flags.append(Flag(FLAG_MIXED, reason))
    return is_ion, flags


def _radius(symbols: Sequence[str], is_ion: NDArray[np.bool_]) -> float:
    """How far pairs must be searched: overlaps, bonds between anion formers, and the ions' nearest shell at a first try."""
    present = set(symbols)
    radii = sorted(radius for symbol, radius in (_ANION_FORMERS | _ZINTL).items() if symbol in present)
    bond = _BOND[1] * sum(radii[-2:]) if len(radii) > 1 else 0.0
    return max(ALTERNATIVE, bond, _SHELL_START if is_ion.any() else 0.0)


def _distinct(
    contents: _Contents, is_ion: NDArray[np.bool_], pairs: Pairs, ion: str
) -> tuple[NDArray[np.bool_], list[Flag]]:
    """Find sites too near to each other: those to drop (rule 3), and flags about all."""
    dropped = np.zeros(len(is_ion), dtype=bool)
    once = np.flatnonzero((pairs.distance < ALTERNATIVE) & (pairs.centre < pairs.neighbour))
    if not len(once):
        return dropped, []
    once = once[np.argsort(pairs.distance[once], kind="stable")]
    found: dict[str, list[tuple[int, int, float]]] = {}
    for one, other, distance in zip(
        pairs.centre[once].tolist(), pairs.neighbour[once].tolist(), pairs.distance[once].tolist(), strict=True
    ):
        code = _nearness(contents, is_ion, one, other, distance)
        if not code or dropped[one] or dropped[other]:
            continue
        found.setdefault(code, []).append((one, other, distance))
        if distance < COINCIDENT and code != FLAG_SPLIT_IONS:
            dropped[min(one, other, key=lambda site: (contents.total[site], is_ion[site], -site))] = True
    treatments = {
        FLAG_COINCIDENT: "the fullest of each was kept",
        FLAG_ALTERNATIVE: "all of them stay in the framework",
        FLAG_MIXED: f"{ion} and another atom share the place, the fuller site was kept",
        FLAG_OVERLAP: "the ion cannot be there while the atom is",
        FLAG_SPLIT_IONS: "each is an ion site of its own",
    }
    return dropped, [Flag(code, _near_reason(found[code], treatments[code])) for code in treatments if code in found]


def _nearness(contents: _Contents, is_ion: NDArray[np.bool_], one: int, other: int, distance: float) -> str:
    """Name what two sites nearer than ``ALTERNATIVE`` are to each other; nothing where that is no trouble."""
    if is_ion[one] and is_ion[other]:
        return FLAG_SPLIT_IONS if distance < SPLIT else ""
    if is_ion[one] or is_ion[other]:
        return FLAG_MIXED if distance < COINCIDENT else FLAG_OVERLAP
    if distance < COINCIDENT:
        return FLAG_COINCIDENT
    with_hydrogen = "H" in (contents.symbols[one], contents.symbols[other])
    partial = min(contents.total[one], contents.total[other]) < _FULL
    return FLAG_ALTERNATIVE if partial and not with_hydrogen else ""


def _near_reason(found: list[tuple[int, int, float]], treatment: str) -> str:
    one, other, distance = found[0]
    pairs = "1 pair of sites is" if len(found) == 1 else f"{len(found)} pairs of sites are"
    closest = f"sites {one + 1} and {other + 1}, {distance:.3f} Å"
    return f"{pairs} too near to each other to be both occupied (nearest: {closest}): {treatment}."


def _occupancy_flags(contents: _Contents, kept: NDArray[np.int64], ions: NDArray[np.int64], ion: str) -> list[Flag]:
    flags = []
    partial = (contents.total < _FULL) | contents.is_mixed
    here = kept[partial[kept]]
    if len(here):
        low, high = contents.total[here].min(), contents.total[here].max()
        reason = (
            f"{len(here)} of {len(kept)} framework sites are shared or partly empty (occupancy {_range(low, high)}): each "
            "counts as one atom."
        )
        flags.append(Flag(FLAG_DISORDERED, reason))
    here = ions[contents.ion[ions] < _FULL]
    if len(here):
        low, high = contents.ion[here].min(), contents.ion[here].max()
        reason = f"{len(here)} of {len(ions)} ion sites are only partly occupied by {ion} ({_range(low, high)})."
        flags.append(Flag(FLAG_PARTIAL_IONS, reason))
    return flags


def _anions(symbols: Sequence[str], is_framework: NDArray[np.bool_], pairs: Pairs) -> NDArray[np.bool_]:
    """Tell the anions among all given sites, shape=(n_sites,).

    An anion former bonded to a more electronegative one is a cation, as P is in a phosphate and C in a carbonate. The N of
    ammonium passes for an anion.
    """
    for radii in (_ANION_FORMERS, _ZINTL):
        radius = np.array([radii.get(symbol, 0.0) for symbol in symbols])
        anions: NDArray[np.bool_] = is_framework & (radius > 0.0)
        if not anions.any():
            continue
        if len({symbol for symbol in symbols if symbol in radii}) > 1:
            table = element_table()
            chi = np.array([table[symbol].electronegativity if symbol in radii else -np.inf for symbol in symbols])
            one, other, reach = pairs.centre, pairs.neighbour, radius[pairs.centre] + radius[pairs.neighbour]
            bonded = (pairs.distance < _BOND[1] * reach) & (pairs.distance > _BOND[0] * reach)
            bonded &= (chi[one] < chi[other]) & anions[one] & anions[other]
            anions[one[bonded]] = False
        return anions
    return np.zeros(len(symbols), dtype=bool)


def _anion(
    contents: _Contents, anions: NDArray[np.bool_], ions: NDArray[np.int64], points: Points, pairs: Pairs
) -> str | None:
    """Name the anion around the ion sites, or the most abundant one."""
    where = np.flatnonzero(anions)
    weights = contents.total[where]
    if not len(where):
        return None
    if len(ions):
        around = _first_shells(contents, anions, ions, points, pairs)
        if around[where].any():
            weights = around[where]
    amounts: dict[str, float] = {}
    for site, weight in zip(where.tolist(), weights.tolist(), strict=True):
        symbol = contents.symbols[site]
        amounts[symbol] = amounts.get(symbol, 0.0) + weight
    # Rounded, so that the order in which equal neighbours are summed decides nothing.
    return max(amounts, key=lambda symbol: (round(amounts[symbol], 6), element_table()[symbol].electronegativity))


def _first_shells(
    contents: _Contents, anions: NDArray[np.bool_], ions: NDArray[np.int64], points: Points, pairs: Pairs
) -> NDArray[np.float64]:
    """How often each site is a nearest neighbour of the ions, weighted by both occupancies; shape=(n_sites,)."""
    is_ion = np.zeros(len(anions), dtype=bool)
    is_ion[ions] = True
    radius = _SHELL_START
    while True:
        # Overlapping alternatives are not neighbours.
        used = is_ion[pairs.centre] & anions[pairs.neighbour] & (pairs.distance > ALTERNATIVE)
        centre, neighbour, distance = pairs.centre[used], pairs.neighbour[used], pairs.distance[used]
        nearest = np.full(len(anions), np.inf)
        np.minimum.at(nearest, centre, distance)
        if radius >= _SHELL_LIMIT or float(nearest[ions].max()) * _SHELL <= radius:
            break
        radius = min(radius * 1.4, _SHELL_LIMIT)
        pairs = pairs_within(points, radius, ions)
    first = distance <= _SHELL * nearest[centre]
    centre, neighbour = centre[first], neighbour[first]
    weights = contents.ion[centre] * contents.total[neighbour]
    return np.bincount(neighbour, weights=weights, minlength=len(anions)).astype(np.float64)


def _subset(crystal: Crystal, kept: NDArray[np.int64]) -> Crystal:
    chosen = kept.tolist()
    sites = crystal.occupancies
    if sites is not None:
        rest = [sites[site] for site in chosen]
        return Crystal.from_sites(crystal.lattice, rest, crystal.frac_coords[kept])
    return Crystal(crystal.lattice, crystal.frac_coords[kept], tuple(crystal.species[site] for site in chosen))


def _range(low: float, high: float) -> str:
    return f"{low:.2f}" if f"{low:.2f}" == f"{high:.2f}" else f"{low:.2f} to {high:.2f}"


def _sites(chosen: NDArray[np.bool_]) -> str:
    count, first = int(chosen.sum()), int(np.flatnonzero(chosen)[0]) + 1
    return f"Site {first} is" if count == 1 else f"{count} sites (the first is {first}) are"
