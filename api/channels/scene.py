"""What a picture of channels shows, as bodies in space: the same for the PNG and for the page in a browser.

Nothing is drawn here. A block of whole cells is filled with what lies in it or on its border, so that a channel that leaves
on one side is seen to come in on the other; channels go on one step beyond the border.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Final

import numpy as np

from api.channels.polyhedra import BORDER, copies_in, polyhedra_in
from builders.channels.percolation import components

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from api.channels.polyhedra import Polyhedron
    from builders.channels.model import Channels, Hop
    from store.crystal import Crystal

_LEAST_EXTENT: Final = 8.0
"""Å; shorter cells are repeated: a channel is only seen where it goes on."""
_LEAST_SHARE: Final = 0.4
"""Of the longest cell vector: a thin needle shows no layer."""
_MOST_ATOMS: Final = 420
SAME_WIDTH: Final = 2e-3
"""Å; radii that differ by less are the same one: symmetry made them so, and the network's jitter told them apart."""
_SAME_LENGTH: Final = 0.02
SIDE, BELOW, CLOSED = 5, 6, 7
"""Tiers of channels that do not carry the ion through the crystal, of those that are too narrow for it, and of the widest
way through where that is too narrow."""


@dataclass(frozen=True, eq=False)
class Balls:
    """Spheres.

    Attributes
    ----------
    centres : numpy.ndarray
        shape=(n, 3), Cartesian, Å.
    index : numpy.ndarray
        shape=(n,), int; of what: framework site, ion site or void.
    """

    centres: NDArray[np.float64]
    index: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Tubes:
    """Channels.

    Attributes
    ----------
    ends : numpy.ndarray
        shape=(n, 2, 3), Cartesian, Å.
    index : numpy.ndarray
        shape=(n,), int; of which passage.
    tier : numpy.ndarray
        shape=(n,), int; 1, 2, 3: needed to travel in so many directions; 4: a further part of the percolating network;
        :data:`SIDE`: wide enough, leads nowhere; :data:`BELOW`: narrower than the threshold;
        :data:`CLOSED`: on the widest way through, of which some part is narrower than the threshold.
    width : numpy.ndarray
        shape=(n,), float64, Å; radius of the bottleneck.
    on_route : numpy.ndarray
        shape=(n,), bool; whether a hop of the ion goes through. The rest of the network are detours.
    """

    ends: NDArray[np.float64]
    index: NDArray[np.int64]
    tier: NDArray[np.int64]
    width: NDArray[np.float64]
    on_route: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Scene:
    """All that a picture of channels shows.

    Attributes
    ----------
    lattice : numpy.ndarray
        shape=(3, 3), Å.
    repeats : tuple of int
        Cells along each vector.
    atoms : Balls
        Of the framework.
    sites : Balls
        Of the ion.
    voids : Balls
        Without those that hold an ion site.
    polyhedra : list of Polyhedron
    tubes : Tubes
        The widest one between two voids.
    connected : numpy.ndarray
        shape=(n_voids,), bool; whether a hop's channel of tier 1 to 4 ends there.
    view : numpy.ndarray
        shape=(3, 3); rows are right, up and towards the viewer.
    """

    lattice: NDArray[np.float64]
    repeats: tuple[int, int, int]
    atoms: Balls
    sites: Balls
    voids: Balls
    polyhedra: list[Polyhedron]
    tubes: Tubes
    connected: NDArray[np.bool_]
    view: NDArray[np.float64]

    @property
    def corners(self) -> NDArray[np.float64]:
        """Corners of the block, shape=(8, 3), Å."""
        return _UNIT @ (np.array(self.repeats)[:, None] * self.lattice)

    @property
    def cell_corners(self) -> NDArray[np.float64]:
        """Corners of the first cell, shape=(8, 3), Å."""
        return _UNIT @ self.lattice


_UNIT: Final = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)], dtype=float)
CELL_EDGES: Final = tuple((i, j) for i in range(8) for j in range(i + 1, 8) if bin(i ^ j).count("1") == 1)
"""Pairs of corners that an edge of the cell joins."""


def make_scene(channels: Channels, cations: NDArray[np.bool_], threshold: float) -> Scene:
    """Collect what a picture of channels shows.

    Parameters
    ----------
    channels : builders.channels.model.Channels
    cations : numpy.ndarray
        shape=(n_framework_sites,), bool; around which polyhedra are drawn.
    threshold : float
        Å; narrower channels do not count.

    Returns
    -------
    Scene

    Examples
    --------
    >>> from builders.channels.analysis import analyse
    >>> from store.crystal import Crystal
    >>> salt = Crystal.from_lists([[0, 2, 2], [2, 0, 2], [2, 2, 0]], ["Li", "F"], [[0.5, 0.5, 0.5], [0, 0, 0]])
    >>> scene = make_scene(analyse(salt, "Li"), np.zeros(1, dtype=bool), 1.5)
    >>> scene.repeats, sorted(set(scene.tubes.tier.tolist()))
    ((3, 3, 3), [1])
    """
    framework, voids = channels.framework, channels.voids
    repeats = _repeats(framework)
    block = np.array(repeats, dtype=float)
    lattice = framework.lattice
    tier = tiers(channels, threshold)
    first = channels.percolation.radii[0]
    if 0.0 < first < threshold - SAME_WIDTH:
        tier[_backbone(channels, first - SAME_WIDTH, 1)] = CLOSED
    on_route = hop_passages(channels, min(threshold, first))
    reached = np.zeros(len(voids.r_void), dtype=bool)
    reached[channels.passages.voids[(tier <= 4) & on_route].ravel()] = True
    polyhedra = polyhedra_in(framework, cations, block)
    return Scene(
        lattice=lattice,
        repeats=repeats,
        atoms=_with_corners(_balls(framework.frac_coords, block, lattice), polyhedra),
        sites=_balls(channels.sites, block, lattice),
        voids=_balls(voids.frac_coords, block, lattice, np.flatnonzero(voids.site < 0)),
        polyhedra=polyhedra,
        tubes=_tubes(channels, tier, on_route, block),
        connected=reached,
        view=_view(channels),
    )


def tiers(channels: Channels, threshold: float) -> NDArray[np.int64]:
    """Say what each channel is good for at a threshold, shape=(n_channels,); see :class:`Tubes`.

    A channel belongs to a network that percolates only where it lies on a way through: dead ends are cut back.
    """
    passages = channels.passages
    widths = passages.r_open
    tier = np.full(len(widths), BELOW, dtype=np.int64)
    wide = widths >= threshold - SAME_WIDTH
    tier[wide] = SIDE
    for k, radius in reversed([*enumerate(channels.percolation.radii, start=1), (4, threshold)]):
        if radius <= 0.0 or radius < threshold - SAME_WIDTH:
            continue
        through = _backbone(channels, radius - SAME_WIDTH, min(k, 3) if k < 4 else 1)
        tier[through] = k
    return tier


def network_of(channels: Channels, hop: Hop) -> tuple[tuple[int, int, int], ...]:
    """Directions in which an ion travels without end by ways like a hop's: no narrower, and this one among them.

    Returns
    -------
    tuple
        Basis of the translations; () where the hop leads nowhere, or lies off the way.
    """
    passages = channels.passages
    limit = hop.r_bottleneck - SAME_WIDTH
    if not hop.passages or not np.isin(hop.passages, _backbone(channels, limit, 1)).all():
        return ()
    parts = components(passages.voids, passages.offsets, passages.r_open, limit, len(channels.voids.r_void))
    start = passages.voids[hop.passages[0], 0]
    return next(part.directions for part in parts if start in part.nodes)


def _backbone(channels: Channels, threshold: float, rank: int) -> NDArray[np.int64]:
    """Channels at least so wide in components of at least this rank, without dead ends."""
    passages = channels.passages
    n_voids = len(channels.voids.r_void)
    parts = components(passages.voids, passages.offsets, passages.r_open, threshold, n_voids)
    among = np.zeros(n_voids, dtype=bool)
    for part in parts:
        if part.rank >= rank:
            among[part.nodes] = True
    kept = np.flatnonzero((passages.r_open >= threshold) & among[passages.voids[:, 0]])
    while len(kept):
        # A loop counts twice at its void, as it should: it goes on from there.
        degree = np.bincount(passages.voids[kept].ravel(), minlength=n_voids)
        inner: NDArray[np.bool_] = np.all(degree[passages.voids[kept]] >= 2, axis=1)
        if inner.all():
            break
        kept = kept[inner]
    return kept


def _repeats(framework: Crystal) -> tuple[int, int, int]:
    lengths = np.linalg.norm(framework.lattice, axis=1)
    extent = max(_LEAST_EXTENT, _LEAST_SHARE * float(lengths.max()))
    wanted = [max(1, ceil(extent / length - 0.2)) for length in lengths]
    while framework.n_sites * int(np.prod(wanted)) > _MOST_ATOMS and max(wanted) > 1:
        wanted[int(np.argmax(wanted))] -= 1
    return wanted[0], wanted[1], wanted[2]


def _balls(
    fractions: NDArray[np.float64],
    block: NDArray[np.float64],
    lattice: NDArray[np.float64],
    chosen: NDArray[np.int64] | None = None,
) -> Balls:
    chosen = np.arange(len(fractions)) if chosen is None else chosen
    index, places = copies_in(fractions[chosen], block)
    return Balls(places @ lattice, chosen[index])


def _tubes(
    channels: Channels, tier: NDArray[np.int64], on_route: NDArray[np.bool_], block: NDArray[np.float64]
) -> Tubes:
    """Translates of the channels with at least one end in the block; the widest one between the same two voids."""
    passages, places = channels.passages, channels.voids.frac_coords
    order = np.lexsort((-passages.r_open, tier))
    keys = np.hstack([passages.voids, passages.offsets])[order]
    _, first = np.unique(keys, axis=0, return_index=True)
    kept = order[first]
    cells = np.stack(np.meshgrid(*[np.arange(-2, int(n) + 2) for n in block], indexing="ij"), axis=-1).reshape(-1, 3)
    start = places[passages.voids[kept, 0]]
    along = places[passages.voids[kept, 1]] + passages.offsets[kept] - start
    starts = start[:, None, :] + cells
    ends = starts + along[:, None, :]
    drawn = _in_block(starts, block) | _in_block(ends, block)
    index = kept[np.nonzero(drawn)[0]]
    both = np.stack([starts[drawn], ends[drawn]], axis=1) @ channels.framework.lattice
    return Tubes(both, index, tier[index], passages.r_open[index], on_route[index])


def hop_passages(channels: Channels, threshold: float) -> NDArray[np.bool_]:
    """Tell the channels that hops with a bottleneck of at least ``threshold`` go through, shape=(n_channels,).

    Hops are listed once a symmetry class: channels between the same kinds of voids, with the same radius and length, are taken
    to be of the same class.
    """
    passages, orbit = channels.passages, channels.voids.orbit
    kinds = np.sort(orbit[passages.voids], axis=1)
    open_hops = (hop for hop in channels.hops if hop.r_bottleneck >= threshold - SAME_WIDTH)
    found = np.zeros(len(kinds), dtype=bool)
    for number in {number for hop in open_hops for number in hop.passages}:
        found |= (
            (kinds == kinds[number]).all(axis=1)
            & (np.abs(passages.r_open - passages.r_open[number]) < SAME_WIDTH)
            & (np.abs(passages.length - passages.length[number]) < _SAME_LENGTH)
        )
    return found


def _in_block(places: NDArray[np.float64], block: NDArray[np.float64]) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = np.all((places >= -BORDER) & (places <= block + BORDER), axis=-1)
    return inside


def widest_directions(channels: Channels) -> tuple[tuple[int, int, int], ...]:
    """Directions of the widest way through: several where r2, or r3 too, equal r1; () where there is no way."""
    radii, directions = channels.percolation
    return directions[sum(radius > max(0.0, radii[0] - SAME_WIDTH) for radius in radii) - 1] if radii[0] > 0.0 else ()


def _view(channels: Channels) -> NDArray[np.float64]:
    """Rotation to picture axes: a channel lies across the picture, planes are seen nearly edge-on, else c points up."""
    lattice = channels.framework.lattice
    first = widest_directions(channels)
    vectors = [np.array(vector) @ lattice for vector in first]
    if len(first) == 1:
        right = vectors[0]
        up = max(lattice, key=lambda row: float(np.linalg.norm(np.cross(row, right))))
        turn, tilt = -20.0, 17.0
    elif len(first) == 2:
        up = np.cross(vectors[0], vectors[1])
        up = up if up @ lattice[int(np.argmax(np.abs(lattice @ up)))] > 0 else -up
        right = max(vectors, key=lambda row: float(np.linalg.norm(row)))
        turn, tilt = -22.0, 13.0
    else:
        up, right = lattice[2], lattice[0]
        turn, tilt = -24.0, 15.0
    return _turned(_frame(right, up, keep_up=len(first) != 1), turn, tilt)


def _frame(right: NDArray[np.float64], up: NDArray[np.float64], *, keep_up: bool) -> NDArray[np.float64]:
    if keep_up:
        up = up / np.linalg.norm(up)
        right = right - (right @ up) * up
        right = right / np.linalg.norm(right)
    else:
        right = right / np.linalg.norm(right)
        up = up - (up @ right) * right
        up = up / np.linalg.norm(up)
    return np.array([right, up, np.cross(right, up)])


def _turned(frame: NDArray[np.float64], turn: float, tilt: float) -> NDArray[np.float64]:
    one, other = np.radians(turn), np.radians(tilt)
    about_up = np.array([[np.cos(one), 0, np.sin(one)], [0, 1, 0], [-np.sin(one), 0, np.cos(one)]])
    about_right = np.array([[1, 0, 0], [0, np.cos(other), -np.sin(other)], [0, np.sin(other), np.cos(other)]])
    view: NDArray[np.float64] = about_right @ about_up @ frame
    return view


def _with_corners(atoms: Balls, polyhedra: list[Polyhedron]) -> Balls:
    """Add the anions outside the block that belong to a polyhedron inside."""
    from scipy.spatial import cKDTree

    centres, index = [atoms.centres], [atoms.index]
    for solid in polyhedra:
        away = np.asarray(cKDTree(np.vstack(centres)).query(solid.corners)[0]) > 0.01
        if away.any():
            centres.append(solid.corners[away])
            index.append(solid.anions[away])
    return Balls(np.vstack(centres), np.concatenate(index))
