"""What surrounds a hop: the atoms within reach of the ion's way, as points about the middle of the hop.

Hops come from two places: records with a host of their own (:func:`of_record`), often a supercell, and analyses of
channels (:func:`environments`), whose crystal is the whole compound. Both give the same picture: every atom but the ion
that moves, and, in a compound, but the ion on the site that it moves to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from builders.barriers.chemistry import chemistry_of
from builders.geometry.reduction import reduced_basis
from store.errors import FeatureError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from builders.barriers.chemistry import Chemistry
    from builders.channels.model import Channels
    from store.crystal import Crystal
    from store.hops import HopRecord

REACH: Final = 6.5
"""Å; atoms so far from the hop's ends are described."""
LONGEST: Final = 15.0
"""Å; longest hop that is described."""
_SAME: Final = 0.3  # Å; an atom of the ion's kind so near to an end is the ion that moves
_FULL: Final = 0.5  # occupancy from which another ion counts as being there
_MOST: Final = 20_000  # atoms


@dataclass(frozen=True, eq=False)
class HopEnvironment:
    """A hop and the atoms around it.

    Attributes
    ----------
    chemistry : Chemistry
        Of the host; ``kinds`` index into it.
    end : numpy.ndarray
        shape=(3,), float64, Å; the hop leads from ``-end`` to ``end``: the origin is its middle.
    positions : numpy.ndarray
        shape=(n, 3), float64, Å; atoms within ``|end| + REACH`` of the origin.
    kinds : numpy.ndarray
        shape=(n,), int.
    volume_per_site : float
        Å^3; volume of the host by its sites but those of the ion.
    """

    chemistry: Chemistry
    end: NDArray[np.float64]
    positions: NDArray[np.float64]
    kinds: NDArray[np.int64]
    volume_per_site: float

    @property
    def ion(self) -> str:
        """The working ion."""
        return self.chemistry.ion

    @property
    def p_length(self) -> float:
        """Distance of the two ends, Å."""
        return 2.0 * float(np.linalg.norm(self.end))


class Lattice(NamedTuple):
    """A periodic set of atoms, prepared for many hops in it.

    Attributes
    ----------
    basis, inverse : numpy.ndarray
        shape=(3, 3), reduced cell (rows, Å) and its inverse.
    places : numpy.ndarray
        shape=(n, 3), Cartesian, Å.
    kinds : numpy.ndarray
        shape=(n,), int.
    chemistry : Chemistry
    volume_per_site : float
    """

    basis: NDArray[np.float64]
    inverse: NDArray[np.float64]
    places: NDArray[np.float64]
    kinds: NDArray[np.int64]
    chemistry: Chemistry
    volume_per_site: float


def of_record(record: HopRecord) -> HopEnvironment:
    """Surroundings of a hop that was given with its host.

    Raises
    ------
    FeatureError
        The host is nothing but the ion, or the hop is longer than :data:`LONGEST`.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> from store.hops import HopRecord
    >>> rock_salt = Crystal.from_lists([[0, 2, 2], [2, 0, 2], [2, 2, 0]], ["F"], [[0.5, 0.5, 0.5]])
    >>> around = of_record(HopRecord("Li", rock_salt, np.zeros(3), np.array([1.0, 0, 0])))
    >>> round(around.p_length, 3), around.chemistry.symbols, len(around.positions)
    (2.828, ('F',), 134)
    """
    host = record.host
    chemistry = chemistry_of(elements_of(host), record.working_ion, _composition(host, record.working_ion))
    lattice = _lattice(host, host.frac_coords, elements_of(host), chemistry)
    ends = np.array([record.start, record.end]) @ host.lattice
    return _around(lattice, ends[0], ends[1])


def environments(channels: Channels) -> list[HopEnvironment]:
    """Surroundings of every hop of an analysis, in its order: all other ion sites hold their ions, the hop's end is vacant.

    Sites that are less than half occupied count as empty. In a host for insertion there are no other ions.

    Raises
    ------
    FeatureError
        The host is nothing but the ion.
    """
    framework, sites = channels.framework, channels.sites
    there = sites[channels.occupancies >= _FULL]
    symbols = [*elements_of(framework), *[channels.ion] * len(there)]
    amounts = framework.amounts()
    amounts[channels.ion] = amounts.get(channels.ion, 0.0) + float(channels.occupancies.sum() or 1.0)
    chemistry = chemistry_of(symbols, channels.ion, amounts)
    lattice = _lattice(framework, np.concatenate([framework.frac_coords, there]), symbols, chemistry)
    places = sites if len(sites) else channels.voids.frac_coords
    found = []
    for hop in channels.hops:
        ends = np.array([places[hop.start], places[hop.end] + hop.offset]) @ framework.lattice
        found.append(_around(lattice, ends[0], ends[1]))
    return found


def of_hop(channels: Channels, number: int) -> HopEnvironment:
    """Surroundings of one hop of an analysis; :func:`environments` does all at once."""
    from dataclasses import replace

    return environments(replace(channels, hops=(channels.hops[number],)))[0]


def elements_of(crystal: Crystal) -> list[str]:
    """Element of each site; of a shared one the most abundant."""
    if crystal.occupancies is None:
        return list(crystal.species)
    return [max(sorted(site), key=lambda symbol: site[symbol]) for site in crystal.occupancies]


def _composition(host: Crystal, ion: str) -> dict[str, float] | None:
    if host.occupancies is None:
        return None
    amounts = host.amounts()
    amounts[ion] = amounts.get(ion, 0.0) + 1.0
    return amounts


def _lattice(crystal: Crystal, fractions: NDArray[np.float64], symbols: Sequence[str], chemistry: Chemistry) -> Lattice:
    if not (~chemistry.is_ion).any():
        raise FeatureError(f"Nothing but {chemistry.ion} is there: a hop needs a framework.")
    number = {symbol: index for index, symbol in enumerate(chemistry.symbols)}
    kinds = np.array([number[symbol] for symbol in symbols], dtype=np.int64)
    basis, _ = reduced_basis(crystal.lattice)
    n_framework = int((~chemistry.is_ion[kinds]).sum())
    return Lattice(
        basis,
        np.asarray(np.linalg.inv(basis), dtype=np.float64),
        fractions @ crystal.lattice,
        kinds,
        chemistry,
        abs(crystal.volume) / max(n_framework, 1),
    )


def _around(lattice: Lattice, start: NDArray[np.float64], end: NDArray[np.float64]) -> HopEnvironment:
    """Cut the ball out of the crystal; the ion that moves is not in it, neither at the start nor at the end."""
    half = (end - start) / 2
    length = 2.0 * float(np.linalg.norm(half))
    if not length > 1e-3:
        raise FeatureError("The hop leads nowhere: its two ends are the same point.")
    if length > LONGEST:
        raise FeatureError(f"The hop is {length:.1f} Å long; beyond {LONGEST:.0f} Å no ion moves in one step.")
    radius = length / 2 + REACH
    fractions = (lattice.places - (start + half)) @ lattice.inverse
    fractions -= np.rint(fractions)
    steps = np.floor(radius * np.linalg.norm(lattice.inverse, axis=0) + 0.5).astype(int)
    if len(fractions) * float(np.prod(2.0 * steps + 1)) > 400 * _MOST:
        raise FeatureError("The cell is too thin or too crowded to look around the hop.")
    axes = [np.arange(-step, step + 1) for step in steps]
    shifts = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3) @ lattice.basis
    home = fractions @ lattice.basis
    # |home + shift|^2 by parts, so that only what is near is formed.
    squares = (home * home).sum(1)[:, None] + (shifts * shifts).sum(1) + 2.0 * home @ shifts.T
    atom, shift = np.nonzero(squares < radius * radius)
    if len(atom) > _MOST:
        raise FeatureError(f"{len(atom):,} atoms within {radius:.1f} Å: no crystal is so dense.")
    positions, kinds = home[atom] + shifts[shift], lattice.kinds[atom]
    moving = lattice.chemistry.is_ion[kinds]
    if moving.any():
        for place in (-half, half):
            moving_here = moving & (((positions - place) ** 2).sum(1) < _SAME**2)
            positions, kinds, moving = positions[~moving_here], kinds[~moving_here], moving[~moving_here]
    return HopEnvironment(lattice.chemistry, half, positions, kinds, lattice.volume_per_site)
