"""A crystal with its channels as plain numbers for the viewer: the conventional cell, filled up to its borders.

Channels are kept in the primitive cell; here they are shown in the conventional one, which people know.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from api.channels.polyhedra import BORDER, copies_in, main_element, polyhedra_in
from api.channels.scene import BELOW, CLOSED, SIDE, Tubes, hop_passages, tiers, widest_directions
from api.channels.style import SITE_RADIUS, VOID_COLOUR, VOID_SCALE, atom_radius, element_colours, tube_radii

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.channels.model import Channels
    from store.crystal import Crystal

_LEAST_EXTENT: Final = 6.5
"""Å; shorter cells are repeated."""
_MOST_ATOMS: Final = 500
_MOST_TUBES: Final = 1200
_SAME_PLACE: Final = 0.05
"""Å; framework atoms of the two cells that are farther apart show that the cells do not belong together."""
_RAMP: Final = ((253, 198, 39), (243, 135, 73), (212, 82, 112), (167, 33, 151), (106, 0, 168))
"""Red, green and blue of narrow to wide channels."""


def scene(crystal: Crystal, channels: Channels | None = None, threshold: float | None = None) -> dict[str, Any]:
    """Collect what the viewer shows.

    Parameters
    ----------
    crystal : store.crystal.Crystal
        Its conventional cell.
    channels : builders.channels.model.Channels, optional
        Of the same crystal, in the same or the primitive cell.
    threshold : float, optional
        Å; channel radius that the ion needs.

    Returns
    -------
    dict
        ``lattice``, ``repeats``, ``atoms``, ``polyhedra``, ``sites``, ``voids``, ``tubes``, ``widths``, ``view``; lengths in Å.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> salt = Crystal.from_lists([[0, 2, 2], [2, 0, 2], [2, 2, 0]], ["Li", "F"], [[0.5, 0.5, 0.5], [0, 0, 0]])
    >>> shown = scene(salt)
    >>> shown["repeats"], [each["symbol"] for each in shown["atoms"]]
    ([3, 3, 3], ['Li', 'F'])
    """
    if channels is not None and not _belong_together(crystal, channels):
        crystal = _whole(channels)
    framework, sites, cations = _split(crystal, None if channels is None else channels.ion)
    repeats = _repeats(crystal)
    block = np.array(repeats, dtype=float)
    symbols = list(dict.fromkeys(main_element(framework, number) for number in range(framework.n_sites)))
    ion = None if channels is None else channels.ion
    colours = element_colours([*([ion] if ion else []), *symbols], taken=[VOID_COLOUR])
    solids = polyhedra_in(framework, cations, block)
    shown: dict[str, Any] = {
        "lattice": _rounded(crystal.lattice),
        "repeats": list(repeats),
        "atoms": _atoms(framework, block, solids, colours),
        "polyhedra": _polyhedra(framework, solids, colours),
        "ion": ion,
        "sites": None,
        "voids": [],
        "tubes": [],
        "widths": None,
        "view": _view(crystal.lattice, None),
    }
    if channels is not None:
        places = copies_in(sites, block)[1] @ crystal.lattice
        if len(places):
            shown["sites"] = {"colour": _css(colours[channels.ion]), "radius": SITE_RADIUS, "places": _rounded(places)}
        shown |= _network(channels, crystal.lattice, block, threshold)
        shown["view"] = _view(crystal.lattice, channels)
    return shown


def _split(crystal: Crystal, ion: str | None) -> tuple[Crystal, NDArray[np.float64], NDArray[np.bool_]]:
    from builders.channels.framework import split
    from store.errors import IonatlasError

    try:
        found = split(crystal, ion or "He")  # helium is in nothing: all is framework
    except IonatlasError:
        return crystal, np.zeros((0, 3)), np.zeros(crystal.n_sites, dtype=bool)
    return found.crystal, found.sites, found.cations


def _belong_together(crystal: Crystal, channels: Channels) -> bool:
    """Whether the framework of the channels lies on atoms of the cell that is to be shown."""
    fractions = channels.framework.frac_coords @ channels.framework.lattice @ np.linalg.inv(crystal.lattice)
    apart = fractions[:, None, :] - crystal.frac_coords[None, :, :]
    apart -= np.rint(apart)
    nearest = np.linalg.norm(apart @ crystal.lattice, axis=2).min(axis=1)
    return bool(nearest.max(initial=0.0) < _SAME_PLACE)


def _whole(channels: Channels) -> Crystal:
    """The cell of the channels with its ions back in."""
    from store.crystal import Crystal

    framework = channels.framework
    places = np.vstack([framework.frac_coords, channels.sites])
    return Crystal.from_lists(framework.lattice, [*framework.species, *[channels.ion] * len(channels.sites)], places)


def _repeats(crystal: Crystal) -> tuple[int, int, int]:
    lengths = np.linalg.norm(crystal.lattice, axis=1)
    wanted = [max(1, ceil(_LEAST_EXTENT / float(length) - 0.2)) for length in lengths]
    while crystal.n_sites * int(np.prod(wanted)) > _MOST_ATOMS and max(wanted) > 1:
        wanted[int(np.argmax(wanted))] -= 1
    return wanted[0], wanted[1], wanted[2]


def _atoms(
    framework: Crystal, block: NDArray[np.float64], solids: list[Any], colours: dict[str, Any]
) -> list[dict[str, Any]]:
    index, fractions = copies_in(framework.frac_coords, block)
    places = fractions @ framework.lattice
    if solids:
        corners, owners = _corners(places, solids)
        places, index = np.vstack([places, corners]), np.concatenate([index, owners])
    symbols = np.array([main_element(framework, number) for number in range(framework.n_sites)], dtype=object)
    centred = {solid.site for solid in solids}
    found = []
    for symbol in dict.fromkeys(symbols.tolist()):
        chosen = symbols[index] == symbol
        inside = any(symbols[site] == symbol for site in centred)
        radius = 1.35 * atom_radius(symbol, inside)
        found.append(
            {
                "symbol": symbol,
                "colour": _css(colours[symbol]),
                "radius": round(radius, 3),
                "places": _rounded(places[chosen]),
            }
        )
    return found


def _corners(places: NDArray[np.float64], solids: list[Any]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Anions outside the block that belong to a polyhedron inside, each once."""
    from scipy.spatial import cKDTree

    corners = np.vstack([solid.corners for solid in solids])
    owners = np.concatenate([solid.anions for solid in solids])
    _, first = np.unique(np.rint(corners * 50.0), axis=0, return_index=True)
    corners, owners = corners[first], owners[first]
    away = np.asarray(cKDTree(places).query(corners)[0]) > 0.02
    return corners[away], owners[away]


def _polyhedra(framework: Crystal, solids: list[Any], colours: dict[str, Any]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for solid in solids:
        symbol = main_element(framework, solid.site)
        body = found.setdefault(symbol, {"symbol": symbol, "colour": _css(colours[symbol]), "solids": []})
        body["solids"].append(
            {"corners": _rounded(solid.corners), "faces": solid.faces.tolist(), "edges": solid.edges.tolist()}
        )
    return list(found.values())


def _network(
    channels: Channels, lattice: NDArray[np.float64], block: NDArray[np.float64], threshold: float | None
) -> dict[str, Any]:
    """Voids and channels in the block."""
    limit = threshold or 0.0
    tier = tiers(channels, limit)
    # The ion's own widest way is shown even where it is a little narrower than the threshold.
    own = channels.hop_percolation.radii[0]
    on_route = hop_passages(channels, min(limit, channels.percolation.radii[0], own if own > 0.0 else limit))
    tier[(tier == BELOW) & on_route] = CLOSED
    into = channels.framework.lattice @ np.linalg.inv(lattice)
    centring = _centring(into)
    voids, passages = channels.voids, channels.passages
    reached = np.zeros(len(voids.r_void), dtype=bool)
    reached[passages.voids[on_route].ravel()] = True
    free = np.flatnonzero(voids.site < 0)
    places = (voids.frac_coords[free] @ into)[:, None, :] + centring
    index, fractions = copies_in(places.reshape(-1, 3), block)
    owner = free[index // len(centring)]
    spheres = [
        [*_rounded(place), round(VOID_SCALE * float(voids.r_sd[k]), 3), round(float(voids.r_sd[k]), 3), int(reached[k])]
        for place, k in zip(fractions @ lattice, owner.tolist(), strict=True)
    ]
    kept = np.flatnonzero(on_route | ((tier != BELOW) & (tier != SIDE)))
    tubes = _tubes(channels, kept, tier, on_route, _Cells(into, centring, lattice, block))
    return {"voids": spheres, **tubes, "threshold": threshold}


class _Cells:
    """How the primitive cell lies in the block of conventional cells."""

    def __init__(
        self,
        into: NDArray[np.float64],
        centring: NDArray[np.float64],
        lattice: NDArray[np.float64],
        block: NDArray[np.float64],
    ) -> None:
        self.into = into
        self.centring = centring
        self.lattice = lattice
        self.block = block

    def holds(self, places: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether points lie in the block."""
        inside: NDArray[np.bool_] = np.all((places >= -BORDER) & (places <= self.block + BORDER), axis=-1)
        return inside


def _tubes(
    channels: Channels,
    kept: NDArray[np.int64],
    tier: NDArray[np.int64],
    on_route: NDArray[np.bool_],
    cells: _Cells,
) -> dict[str, Any]:
    passages, voids = channels.passages, channels.voids.frac_coords
    order = np.lexsort((-passages.r_open[kept], tier[kept]))
    keys = np.hstack([passages.voids[kept], passages.offsets[kept]])[order]
    _, unique = np.unique(keys, axis=0, return_index=True)
    kept = kept[order][np.sort(unique)][:_MOST_TUBES]
    if not len(kept):
        return {"tubes": [], "widths": None}
    start = voids[passages.voids[kept, 0]] @ cells.into
    along = (voids[passages.voids[kept, 1]] + passages.offsets[kept]) @ cells.into - start
    steps = np.stack(np.meshgrid(*[np.arange(-2, int(n) + 2) for n in cells.block], indexing="ij"), axis=-1).reshape(
        -1, 1, 3
    )
    shifts = (steps + cells.centring).reshape(-1, 3)
    starts = (start - np.floor(start + BORDER))[:, None, :] + shifts
    ends = starts + along[:, None, :]
    number, place = np.nonzero(cells.holds(starts) | cells.holds(ends))
    both = np.stack([starts[number, place], ends[number, place]], axis=1) @ cells.lattice
    both, first = np.unique(np.round(both, 3).reshape(-1, 6), axis=0, return_index=True)
    number = number[first][:_MOST_TUBES]
    both = both[:_MOST_TUBES]
    index = kept[number]
    widths = passages.r_open[index]
    # As thick as in the pictures of ionatlas channels.
    radii = tube_radii(Tubes(both.reshape(-1, 2, 3), index, tier[index], widths, on_route[index]))
    ways = widths[on_route[index]] if on_route[index].any() else widths
    low, high = float(ways.min()), float(ways.max())
    low = min(low, high - 0.25)
    rows = [
        [
            *place,
            round(float(radius), 3),
            round(float(width), 3),
            _colour((float(width) - low) / (high - low)),
            int(way),
        ]
        for place, radius, width, way in zip(both.tolist(), radii, widths, on_route[index], strict=True)
    ]
    return {"tubes": rows, "widths": [round(low, 3), round(high, 3)]}


def _centring(into: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lattice points of the primitive cell in one conventional cell, fractional, shape=(m, 3)."""
    count = max(1, round(1.0 / abs(float(np.linalg.det(into)))))
    steps = np.stack(np.meshgrid(*[np.arange(-count, count + 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    points = steps @ into
    points -= np.floor(points + 1e-4)
    _, first = np.unique(np.rint(points * 1000.0) % 1000, axis=0, return_index=True)
    found: NDArray[np.float64] = points[first]
    return found


def _view(lattice: NDArray[np.float64], channels: Channels | None) -> list[float]:
    """Quaternion that turns the crystal: a single channel lies across the picture, else c points up."""
    from scipy.spatial.transform import Rotation

    right, up = lattice[0], lattice[2]
    if channels is not None:
        basis = widest_directions(channels)
        if len(basis) == 1:
            right = np.array(basis[0], dtype=float) @ channels.framework.lattice
            up = max(lattice, key=lambda row: float(np.linalg.norm(np.cross(row, right))))
    x = right / np.linalg.norm(right)
    y = up - (up @ x) * x
    y /= np.linalg.norm(y)
    frame = Rotation.from_matrix(np.array([x, y, np.cross(x, y)]))
    turned = Rotation.from_euler("x", 14, degrees=True) * Rotation.from_euler("y", -22, degrees=True) * frame
    return [round(float(each), 5) for each in turned.as_quat()]


def _colour(share: float) -> str:
    place = min(max(share, 0.0), 1.0) * (len(_RAMP) - 1)
    low = min(int(place), len(_RAMP) - 2)
    mixed = [round(a + (b - a) * (place - low)) for a, b in zip(_RAMP[low], _RAMP[low + 1], strict=True)]
    return "#{:02x}{:02x}{:02x}".format(*mixed)


def _css(colour: Any) -> str:
    return "#{:02x}{:02x}{:02x}".format(*(round(255 * float(part)) for part in colour))


def _rounded(numbers: NDArray[np.float64]) -> Any:
    return np.round(numbers, 3).tolist()
