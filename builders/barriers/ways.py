"""The way of a hop: from its start to its end where the energy landscape is lowest, in a tube around the straight line.

The tube is a stack of discs across the line; a way takes one point of each disc, and neighbouring points lie near each
other. Dynamic programming finds the best of all such ways: the one with the smallest sum of Boltzmann-like weights
exp(E / T) (low and short), and the one whose narrowest place is widest.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from builders.barriers.landscape import Terms, site_energy, terms_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.barriers.environment import HopEnvironment

SPACING: Final = 0.4
"""Å; of points on a disc, and at most of discs. Necks are as exact as this allows: some 0.05 Å too narrow."""
WIDEST: Final = 2.0
"""Å; largest radius of the tube."""
TEMPERATURE: Final = 0.7
"""eV; a point so much higher than another costs e times as much."""
NEAR: Final = 4.2
"""Å; atoms so far from the tube matter to the landscape."""
_FEWEST: Final = 10
_FAR: Final = np.float32(9.0)  # Å, and sums of radii; where there is nothing near
_ASIDE: Final = 0.3  # Å; an atom nearer to the axis shows no direction across it


class Way(NamedTuple):
    """The way of a hop.

    Attributes
    ----------
    points : numpy.ndarray
        shape=(m, 3), float64, Å, about the middle of the hop; the first and the last are its ends.
    energy : numpy.ndarray
        shape=(m,), float64, eV; site energies along it.
    straight : numpy.ndarray
        shape=(m,), float64, eV; site energies along the straight line.
    neck : float
        Å; distance of the framework's nearest atom in the narrowest place of the widest way.
    neck_all : float
        Å; the same among all atoms, the other ions too.
    contact : float
        The narrowest place of the way that is widest in units of the sum of the crystal radii.
    aside : float
        Å; how far the way leaves the straight line.
    """

    points: NDArray[np.float64]
    energy: NDArray[np.float64]
    straight: NDArray[np.float64]
    neck: float
    neck_all: float
    contact: float
    aside: float


def find_way(environment: HopEnvironment) -> Way:
    """Find the way of a hop.

    Examples
    --------
    Between two opposite corners of a square of four anions the way is straight and narrowest in the middle:

    >>> from builders.barriers.chemistry import chemistry_of
    >>> from builders.barriers.environment import HopEnvironment
    >>> square = np.array([[0, 2.0, 0], [0, -2.0, 0], [0, 0, 2.0], [0, 0, -2.0]])
    >>> hop = HopEnvironment(chemistry_of(["O"] * 4, "Li"), np.array([1.5, 0, 0]), square, np.zeros(4, dtype=int), 20.0)
    >>> way = find_way(hop)
    >>> round(way.neck, 2), round(way.aside, 2)
    (2.0, 0.0)
    """
    end = environment.end
    length = 2.0 * float(np.linalg.norm(end))
    radius = min(WIDEST, max(1.2, 0.55 * length))
    disc = _disc(round(radius, 1))
    layers = max(_FEWEST, 2 * int(np.ceil(length / SPACING / 2)))  # even: one disc stands in the middle
    along = end / np.linalg.norm(end)
    across = _across(along, environment.positions)
    middle = np.linspace(-1.0, 1.0, layers + 1)[:, None] * end
    points = middle[:, None] + disc.points @ across
    near = _near(environment.positions, along, length / 2, radius)
    chemistry = environment.chemistry
    kinds = environment.kinds[near]
    # Anions, then cations, then the other ions: what belongs together lies together, and nothing is copied below.
    order = np.argsort(np.where(chemistry.is_anion, 0, np.where(chemistry.is_ion, 2, 1))[kinds], kind="stable")
    near, kinds = near[order], kinds[order]
    framework = int((~chemistry.is_ion[kinds]).sum())
    atoms = environment.positions[near].astype(np.float32)
    # The ends stand alone: all other points of the first and the last disc are out of the question.
    flat = np.concatenate([middle[:1], points[1:-1].reshape(-1, 3), middle[-1:]]).astype(np.float32)
    distances = atoms @ flat.T
    distances *= np.float32(-2.0)
    distances += (atoms * atoms).sum(1)[:, None]
    distances += (flat * flat).sum(1)
    np.sqrt(np.maximum(distances, np.float32(1e-4), out=distances), out=distances)
    terms = Terms(*(each[near] for each in terms_of(environment)))
    shape = (layers - 1, len(disc.points))

    def stacked(values: NDArray[np.float32]) -> tuple[float, NDArray[np.float64], float]:
        return float(values[0]), values[1:-1].reshape(shape).astype(np.float64), float(values[-1])

    energy = stacked(site_energy(distances, terms))
    # Of two equally good ways one is taken; from the lower end it is the same one there and back.
    first_end, inner, last_end = energy
    path = (
        _lowest(first_end, inner, last_end, disc)
        if first_end <= last_end
        else _lowest(last_end, inner[::-1], first_end, disc)[::-1]
    )
    nearest = distances[:framework].min(axis=0, initial=_FAR)
    nearest_all = np.minimum(nearest, distances[framework:].min(axis=0, initial=_FAR))
    reach = (1.0 / (chemistry.radius + chemistry.ion_radius)).astype(np.float32)[kinds[:framework]]
    k = np.arange(layers - 1)
    centre = disc.centre
    return Way(
        points=np.concatenate([middle[:1], points[1:-1][k, path], middle[-1:]]),
        energy=np.array([energy[0], *energy[1][k, path], energy[2]]),
        straight=np.array([energy[0], *energy[1][:, centre], energy[2]]),
        neck=_widest(*stacked(nearest), disc),
        neck_all=_widest(*stacked(nearest_all), disc),
        contact=_widest(*stacked((distances[:framework] * reach[:, None]).min(axis=0, initial=_FAR)), disc),
        aside=float(np.linalg.norm(disc.points[path], axis=1).max(initial=0.0)),
    )


def _across(along: NDArray[np.float64], positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Two unit vectors across the hop, turned with the crystal: the first points to the atom nearest to the hop's middle.

    Discs have mirror planes along both, so that a hop, its reverse and its mirror image have the same way.
    """
    aside = positions - (positions @ along)[:, None] * along
    square = (aside * aside).sum(axis=1)
    away = np.flatnonzero(square > _ASIDE**2)
    if len(away):
        first = aside[away[np.round((positions[away] ** 2).sum(axis=1), 6).argmin()]]
    else:
        first = np.cross(along, np.eye(3)[np.abs(along).argmin()])
    first = first / np.linalg.norm(first)
    return np.stack([first, np.cross(along, first)])


class _Disc(NamedTuple):
    """Points of a disc, shape=(m, 2); the one in the centre; which are one step from each other, shape=(m, m)."""

    points: NDArray[np.float64]
    centre: int
    near: NDArray[np.bool_]
    neighbours: NDArray[np.int64]
    """shape=(m, 19): numbers of the points within one step, the point itself repeated where there are fewer"""


@lru_cache(maxsize=32)
def _disc(radius: float) -> _Disc:
    n = int(radius / SPACING) + 2
    rows = np.array(
        [
            (i * SPACING + (j % 2) * SPACING / 2, j * SPACING * np.sqrt(0.75))
            for j in range(-n, n + 1)
            for i in range(-n, n)
        ]
    )
    points = rows[np.linalg.norm(rows, axis=1) <= radius + 1e-9]
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    near = apart <= 2.01 * SPACING
    neighbours = np.tile(np.arange(len(points))[:, None], (1, int(near.sum(1).max())))
    for row, each in enumerate(near):
        found = np.flatnonzero(each)
        neighbours[row, : len(found)] = found
    return _Disc(points, int(np.linalg.norm(points, axis=1).argmin()), near, neighbours)


def _near(positions: NDArray[np.float64], along: NDArray[np.float64], half: float, radius: float) -> NDArray[np.int64]:
    height = positions @ along
    square = (positions * positions).sum(1) - height * height
    return np.flatnonzero((square < (radius + NEAR) ** 2) & (np.abs(height) < half + NEAR))


def _lowest(first: float, layers: NDArray[np.float64], last: float, disc: _Disc) -> NDArray[np.int64]:
    """Points of the way with the smallest sum of weights, shape=(n_layers,)."""
    low = min(first, last, float(layers.min()))
    weights = np.exp((layers - low) / TEMPERATURE)  # energies are cut off: no overflow
    start = disc.near[disc.centre]
    cost = np.where(start, weights[0], np.inf)
    back = np.zeros(layers.shape, dtype=np.int64)
    rows = np.arange(layers.shape[1])
    for k in range(1, len(layers)):
        before = cost[disc.neighbours]
        best = before.argmin(axis=1)
        back[k] = disc.neighbours[rows, best]
        cost = weights[k] + before[rows, best]
    at = int(np.where(start, cost, np.inf).argmin())
    path = [at]
    for k in range(len(layers) - 1, 0, -1):
        at = int(back[k, at])
        path.append(at)
    return np.array(path[::-1])


def _widest(first: float, layers: NDArray[np.float64], last: float, disc: _Disc) -> float:
    """Largest width that some way keeps everywhere."""
    start = disc.near[disc.centre]
    width = np.where(start, np.minimum(layers[0], first), -np.inf)
    for layer in layers[1:]:
        width = np.minimum(layer, width[disc.neighbours].max(axis=1))
    return float(min(np.where(start, width, -np.inf).max(), last))
