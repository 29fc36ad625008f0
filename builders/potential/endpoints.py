"""The two end structures of a hop: the same atoms in the same order, before and after the ion moved.

Two limits:

vacancy
    Every ion site is occupied but one, the end of the hop: what happens in the charged material, where few ions are missing.
dilute
    The moving ion is the only one; all others are taken out: what happens in the host that is nearly empty.

Both cells are neutral. An interatomic potential knows no charges: it answers for the neutral cell, in which the framework
has given up an electron for each ion that is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from builders.channels.model import Flag
from builders.potential.supercell import choose, repeated
from store.errors import StructureError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from builders.channels.model import Channels, Hop
    from builders.potential.supercell import Supercell

Limit = Literal["vacancy", "dilute"]

FLAG_SMALL_CELL: Final = "small supercell"
FLAG_DRAINED: Final = "other ions taken out"
_FULL: Final = 0.999


@dataclass(frozen=True, eq=False)
class Endpoints:
    """Both ends of a hop in a supercell; the moving ion is the last atom.

    Attributes
    ----------
    ion : str
        Element of the moving ion.
    symbols : tuple of str
        shape=(n_atoms,); first the framework, then the ions that stay, last the moving one.
    lattice : numpy.ndarray
        shape=(3, 3), float64, Å; of the supercell, rows.
    start, end : numpy.ndarray
        shape=(n_atoms, 3), float64, Å. Only the last atom differs: ``end[-1] - start[-1]`` is the hop.
    route : numpy.ndarray
        shape=(m, 3), float64, Å; corners of the way through the voids, from ``start[-1]`` to ``end[-1]``.
    limit : str
        "vacancy" or "dilute".
    n_other_ions : int
        Ions that stay.
    supercell : Supercell
    flags : tuple of Flag
        What was decided and may be doubted.
    """

    ion: str
    symbols: tuple[str, ...]
    lattice: NDArray[np.float64]
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    route: NDArray[np.float64]
    limit: Limit
    n_other_ions: int
    supercell: Supercell
    flags: tuple[Flag, ...]

    @property
    def hop_length(self) -> float:
        """Distance of the two ends, Å."""
        return float(np.linalg.norm(self.end[-1] - self.start[-1]))


def make_endpoints(
    channels: Channels, number: int, *, limit: Limit | None = None, repeats: Sequence[int] | None = None
) -> Endpoints:
    """Build both ends of a hop.

    Parameters
    ----------
    channels : Channels
        Analysis of the crystal.
    number : int
        Which of ``channels.hops``.
    limit : str, optional
        "vacancy" or "dilute"; by default "vacancy", for a host without the ion "dilute".
    repeats : sequence of int, optional
        Supercell along the cell's own vectors; by default :func:`builders.potential.supercell.choose` chooses.

    Returns
    -------
    Endpoints

    Raises
    ------
    UsageError
        No such hop, a vacancy where sites are partly empty or the ion is absent, a supercell too small for the hop.
    StructureError
        The framework is disordered: there are no atoms to put on its sites.

    Examples
    --------
    >>> from builders.channels.analysis import analyse
    >>> from store.crystal import Crystal
    >>> salt = Crystal.from_lists([[0, 2, 2], [2, 0, 2], [2, 2, 0]], ["Li", "F"], [[0.5, 0.5, 0.5], [0, 0, 0]])
    >>> found = make_endpoints(analyse(salt, "Li"), 0)
    >>> found.limit, len(found.symbols), found.symbols[-1], round(found.hop_length, 3), round(found.supercell.apart, 2)
    ('vacancy', 53, 'Li', 2.828, 8.49)
    """
    hop = _hop(channels, number)
    chosen = _limit(channels, limit)
    cell, flags = _supercell(channels, repeats)
    lattice = channels.framework.lattice
    places = channels.sites if len(channels.sites) else channels.voids.frac_coords
    start, end = places[hop.start] @ lattice, (places[hop.end] + np.array(hop.offset)) @ lattice
    _check_reach(hop, cell, channels)
    symbols = [symbol for symbol in channels.framework.species for _ in cell.cells]
    atoms = [_copies(channels.framework.frac_coords, cell, lattice)]
    others = np.zeros((0, 3))
    if chosen == "vacancy":
        others = _other_ions(channels, hop, cell)
    elif len(channels.sites):
        removed = len(channels.sites) * len(cell.cells) - 1
        flags.append(
            Flag(
                FLAG_DRAINED,
                f"{removed} other {channels.ion} of the supercell were taken out; the neutral framework gives up their charge.",
            )
        )
    atoms.append(others)
    symbols += [channels.ion] * (len(others) + 1)
    fixed = np.concatenate(atoms)
    return Endpoints(
        ion=channels.ion,
        symbols=tuple(symbols),
        lattice=cell.lattice,
        start=np.concatenate([fixed, start[None]]),
        end=np.concatenate([fixed, end[None]]),
        route=_route(channels, hop, start, end),
        limit=chosen,
        n_other_ions=len(others),
        supercell=cell,
        flags=tuple(flags),
    )


def _hop(channels: Channels, number: int) -> Hop:
    if not 0 <= number < len(channels.hops):
        there = f"0 to {len(channels.hops) - 1}" if channels.hops else "none"
        raise UsageError(
            f"There is no hop {number}; the hops of {channels.ion} in this crystal: {there}.",
            mend="ionatlas channels lists them, the first one is --hop 0",
        )
    if not channels.framework.is_ordered:
        raise StructureError(
            "The framework is disordered: a potential needs one atom on each site.",
            mend="give one ordered arrangement of it (pymatgen's OrderDisorderedStructureTransformation makes them)",
        )
    return channels.hops[number]


def _limit(channels: Channels, limit: Limit | None) -> Limit:
    if not len(channels.sites):
        if limit == "vacancy":
            raise UsageError(
                f"The crystal holds no {channels.ion}, so there is none to leave out.", mend="leave --vacancy out"
            )
        return "dilute"
    if limit == "dilute":
        return "dilute"
    if (channels.occupancies < _FULL).any():
        raise UsageError(
            f"The {channels.ion} sites are partly empty: which of them are occupied beside the vacancy is not known.",
            mend="--dilute, or give an ordered arrangement",
        )
    return "vacancy"


def _supercell(channels: Channels, repeats: Sequence[int] | None) -> tuple[Supercell, list[Flag]]:
    lattice = channels.framework.lattice
    if repeats is not None:
        return repeated(lattice, repeats), []
    found, note = choose(lattice, channels.framework.n_sites + len(channels.sites))
    return found, [] if note is None else [Flag(FLAG_SMALL_CELL, note)]


def _check_reach(hop: Hop, cell: Supercell, channels: Channels) -> None:
    """Refuse a supercell in which the end of the hop is an image of its start."""
    if hop.start == hop.end and not cell.home(np.array([hop.offset])).any():
        raise UsageError(
            f"In the supercell {cell.label} this hop leads to an image of its own start ({hop.p_length:.2f} Å away).",
            mend=f"a larger one: --supercell auto, or of more than {cell.label}",
        )
    if not len(channels.sites) and cell.apart < hop.p_length:
        raise UsageError(
            f"In the supercell {cell.label} images of the ion are nearer ({cell.apart:.2f} Å) than the hop is long.",
            mend="a larger one, or --supercell auto",
        )


def _copies(frac_coords: NDArray[np.float64], cell: Supercell, lattice: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positions of every site in every cell, the cells of a site together."""
    places: NDArray[np.float64] = (frac_coords[:, None] + cell.cells[None]) @ lattice
    return places.reshape(-1, 3)


def _other_ions(channels: Channels, hop: Hop, cell: Supercell) -> NDArray[np.float64]:
    """Ions on all sites but the two of the hop."""
    count = len(cell.cells)
    stay = np.ones((len(channels.sites), count), dtype=bool)
    for site, offset in ((hop.start, (0, 0, 0)), (hop.end, hop.offset)):
        home = cell.home(np.array([offset]))
        stay[site, np.flatnonzero((cell.cells == home).all(axis=1))] = False
    return _copies(channels.sites, cell, channels.framework.lattice)[stay.ravel()]


def _route(channels: Channels, hop: Hop, start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corners of the way: the two ends, and between them the voids other than those the ends stand in."""
    inner = hop.route[1:-1]
    if not inner:
        return np.stack([start, end])
    voids = np.array([void for void, _ in inner])
    cells = np.array([step for _, step in inner])
    between = (channels.voids.frac_coords[voids] + cells) @ channels.framework.lattice
    return np.concatenate([start[None], between, end[None]])
