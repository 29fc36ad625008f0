"""The migration energy of an ion in a crystal: what its easiest way through the crystal costs.

Hops are the edges of a periodic graph of ion sites, each with a barrier. A path percolates when it leads from a site to a
translated copy of that site: repeated, it carries the ion through the crystal without end.

    The migration energy is the smallest, over percolating paths, of the largest barrier on the path.

The hop with that barrier limits the path. In two and in three directions: the smallest barrier such that the hops with no
higher one carry an ion in so many independent directions. A hop has one barrier, there and back: models predict one number.

The interval
------------
Its lower end is the migration energy with the lower ends of all hops for barriers, its upper end that with the upper ends. A
smallest largest barrier never falls when a barrier rises, so the lower end is at most the value, the upper end at least, and
wherever all barriers lie in their intervals the migration energy lies in its own. The interval of the limiting hop alone
would not do: where another way costs hardly more, the upper end of the limiting hop is no upper end of the crystal's.

The domain
----------
A migration energy is in the domain where the hops that are in the domain make a path with this very energy; then no
extrapolated barrier was needed for it, and the limiting hop is in the domain too.

Hops without a prediction (which could not be described) are taken for impassable: the value is then what the other hops cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from builders.channels.percolation import components, percolate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.channels.model import HopLinks

Directions = tuple[tuple[int, int, int], ...]


class MigrationEnergy(NamedTuple):
    """What the easiest percolating paths cost, in a number of directions.

    Attributes
    ----------
    value, lower, upper : float
        eV; the ends of the interval.
    in_domain : bool
        Whether hops inside the model's domain make a path of this energy.
    hop : int
        The limiting hop (its number in ``Channels.hops``).
    directions : tuple
        Where these paths lead: a basis of the translations, in cell vectors.
    """

    value: float
    lower: float
    upper: float
    in_domain: bool
    hop: int
    directions: Directions


@dataclass(frozen=True, eq=False)
class HopBarriers:
    """Predicted barriers of the hops of one crystal, one row each; nan where there is none.

    Attributes
    ----------
    value, lower, upper : numpy.ndarray
        shape=(n_hops,), float64, eV.
    in_domain : numpy.ndarray
        shape=(n_hops,), bool; False where there is no prediction.
    distance : numpy.ndarray
        shape=(n_hops,), float64; from the training set, in the model's measure.
    reasons : tuple of str
        Why a hop is out of the domain or has no prediction; "" in the domain.
    """

    value: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    in_domain: NDArray[np.bool_]
    distance: NDArray[np.float64]
    reasons: tuple[str, ...]


def percolating_hops(links: HopLinks, n_hops: int, n_places: int) -> NDArray[np.bool_]:
    """Tell which hops belong to a network that goes on without end.

    Parameters
    ----------
    links : HopLinks
    n_hops : int
        Classes of hops.
    n_places : int
        Sites that the hops lead between.

    Returns
    -------
    numpy.ndarray
        shape=(n_hops,), bool; whether hops of the class lie in a component of rank 1 or more of the graph of all hops.

    Examples
    --------
    >>> from builders.channels.model import HopLinks
    >>> links = HopLinks(np.array([[0, 0], [1, 2]]), np.array([[1, 0, 0], [0, 0, 0]]), np.array([0, 1]))
    >>> percolating_hops(links, 2, 3).tolist()
    [True, False]
    """
    reached = np.zeros(n_places, dtype=bool)
    for part in components(links.sites, links.offsets, np.ones(len(links.of_hop)), 0.5, n_places):
        if part.rank:
            reached[part.nodes] = True
    found = np.zeros(n_hops, dtype=bool)
    found[links.of_hop[reached[links.sites[:, 0]]]] = True
    return found


def migration_energies(
    links: HopLinks, barriers: HopBarriers, n_places: int
) -> tuple[MigrationEnergy | None, MigrationEnergy | None, MigrationEnergy | None]:
    """Find what it costs an ion to travel in one, two and three directions.

    Parameters
    ----------
    links : HopLinks
        All hops of the cell.
    barriers : HopBarriers
        Of each class of hops.
    n_places : int
        Sites that the hops lead between.

    Returns
    -------
    tuple
        For one, two and three directions; None where no path of hops that have a prediction leads so.

    Examples
    --------
    A chain along a whose sites are joined by hops of 0.3 and 0.5 eV:

    >>> from builders.channels.model import HopLinks
    >>> links = HopLinks(np.array([[0, 1], [1, 0]]), np.array([[0, 0, 0], [1, 0, 0]]), np.array([0, 1]))
    >>> value = np.array([0.3, 0.5])
    >>> barriers = HopBarriers(value, value - 0.1, value + 0.3, np.array([True, True]), np.zeros(2), ("", ""))
    >>> one, two, three = migration_energies(links, barriers, 2)
    >>> one.value, one.upper, one.hop, one.directions, two
    (0.5, 0.8, 1, ((1, 0, 0),), None)
    """
    known: dict[tuple[int, ...], list[_Way | None]] = {}  # mostly one order serves for all four
    values, lower, upper, inside = (
        _opened(links, _from_the_lowest(each), n_places, known)
        for each in (
            barriers.value,
            barriers.lower,
            barriers.upper,
            np.where(barriers.in_domain, barriers.value, np.nan),
        )
    )
    found: list[MigrationEnergy | None] = []
    for way, low, high, sure in zip(values, lower, upper, inside, strict=True):
        if way is None or low is None or high is None:
            found.append(None)
            continue
        value = float(barriers.value[way.hop])
        found.append(
            MigrationEnergy(
                value=value,
                lower=float(barriers.lower[low.hop]),
                upper=float(barriers.upper[high.hop]),
                in_domain=sure is not None and float(barriers.value[sure.hop]) == value,
                hop=_tied(way.hop, sure, barriers.value),
                directions=way.directions,
            )
        )
    return found[0], found[1], found[2]


class _Way(NamedTuple):
    """The hop whose coming opens a direction when hops are let in from the lowest barrier to the highest."""

    hop: int
    directions: Directions


def _from_the_lowest(barriers: NDArray[np.float64]) -> tuple[int, ...]:
    """Hops with a prediction from the lowest barrier to the highest; of equal ones the first in the list first."""
    order = np.argsort(barriers, kind="stable").tolist()  # nan last
    return tuple(order[: int(np.isfinite(barriers).sum())])


def _opened(
    links: HopLinks, order: tuple[int, ...], n_places: int, known: dict[tuple[int, ...], list[_Way | None]]
) -> list[_Way | None]:
    """Let hops in one class after the other; what opens the first, the second and the third direction.

    Each class has a rank of its own, so that the rank at which a direction opens names its hop exactly.
    """
    if order in known:
        return known[order]
    widths = np.zeros(max(int(links.of_hop.max(initial=-1)), *order, -1) + 1)
    widths[list(order)] = np.arange(len(order), 0, -1)
    width = widths[links.of_hop]
    there = width > 0
    found = percolate(links.sites[there], links.offsets[there], width[there], n_places)
    known[order] = [
        _Way(order[len(order) - round(radius)], basis) if radius > 0 else None
        for radius, basis in zip(found.radii, found.directions, strict=True)
    ]
    return known[order]


def _tied(hop: int, sure: _Way | None, values: NDArray[np.float64]) -> int:
    """Of hops with one and the same barrier, the limiting one that is in the domain."""
    return sure.hop if sure is not None and values[sure.hop] == values[hop] else hop
