"""The holes that matter, as bodies in the crystal: the same for the PNG and for the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from api.channels.polyhedra import copies_in, main_element, polyhedra_in
from api.channels.scene import Balls, Scene, Tubes
from api.channels.style import element_colours

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from api.explain.kinds import Kind
    from api.explain.report import ExplanationReport

RAISES: Final = (0.90, 0.52, 0.05)
LOWERS: Final = (0.38, 0.22, 0.62)
"""Orange and violet: told apart by everybody, and of no common element's colour."""
MOST_KINDS: Final = 3
"""Kinds of holes that are drawn in the crystal."""
_VOID_SCALE: Final = 0.3
"""Drawn radius of a void in units of its distance from the atoms."""
_LEAST: Final = 0.5
"""Kinds that add less than this share of what the first one adds are not drawn."""
_EXTENT: Final = 7.0
_MOST_ATOMS: Final = 400


@dataclass(frozen=True, eq=False)
class DrawnKind:
    """A kind of holes in the crystal.

    Attributes
    ----------
    group : str
    degree : int
    kind : Kind
    colour : tuple of float
        Orange raises, violet lowers.
    corners : numpy.ndarray
        shape=(n, degree + 2, 3), Å; of the simplex that ends each hole.
    centres : numpy.ndarray
        shape=(n, 3), Å.
    radius : float
        Å, drawn, of voids.
    """

    group: str
    degree: int
    kind: Kind
    colour: tuple[float, float, float]
    corners: NDArray[np.float64]
    centres: NDArray[np.float64]
    radius: float


@dataclass(frozen=True, eq=False)
class HoleScene:
    """The crystal, its colours, and the holes in it."""

    scene: Scene
    colours: dict[str, tuple[float, float, float]]
    elements: tuple[str, ...]
    drawn: list[DrawnKind]


def make_scene(report: ExplanationReport) -> HoleScene:
    """Collect what the picture shows: framework, lithium, and the kinds of holes that matter most."""
    from builders.channels.framework import split

    crystal = report.crystal
    parts = split(crystal, "Li")
    repeats = _repeats(crystal.lattice, crystal.n_sites)
    block = np.array(repeats, dtype=float)
    framework, lattice = parts.crystal, crystal.lattice
    elements = tuple(main_element(framework, site) for site in range(framework.n_sites))
    polyhedra = polyhedra_in(framework, parts.cations, block) if framework.n_sites < _MOST_ATOMS else []
    index, places = copies_in(framework.frac_coords, block)
    sites, where = copies_in(crystal.frac_coords[report.sites["ion"]], block)
    none = np.zeros(0, dtype=np.int64)
    scene = Scene(
        lattice=lattice,
        repeats=repeats,
        atoms=Balls(places @ lattice, index),
        sites=Balls(where @ lattice, sites),
        voids=Balls(np.zeros((0, 3)), none),
        polyhedra=polyhedra,
        tubes=Tubes(np.zeros((0, 2, 3)), none, none, np.zeros(0), np.zeros(0, dtype=bool)),
        connected=np.zeros(0, dtype=bool),
        view=_view(lattice),
    )
    colours = element_colours(["Li", *dict.fromkeys(elements)], taken=[RAISES, LOWERS])
    return HoleScene(scene, colours, elements, [_drawn(report, *each, block) for each in leading_kinds(report)])


def leading_kinds(report: ExplanationReport, most: int = MOST_KINDS) -> list[tuple[str, int, Kind]]:
    """The kinds of holes that add most, of whatever group and degree, with at least half of what the first adds.

    Sites of different groups are often the same atoms (all framework cations of an oxide are metal); then a hole is drawn for the
    group that it matters for most.
    """
    every = [
        (group, degree, kind)
        for (group, degree), (kinds, _) in report.kinds.items()
        for kind in kinds
        if kind.contribution != 0.0
    ]
    every.sort(key=lambda each: (-abs(each[2].contribution), each[0], each[1]))
    return [each for each in every[:most] if abs(each[2].contribution) >= _LEAST * abs(every[0][2].contribution)]


def _drawn(report: ExplanationReport, group: str, degree: int, kind: Kind, block: NDArray[np.float64]) -> DrawnKind:
    crystal, holes = report.crystal, report.holes[group, degree]
    index, places = copies_in(holes.centres[kind.members], block)
    members = kind.members[index]
    wrapped = holes.centres[members] - np.floor(holes.centres[members] + 1e-3)
    moved = places - wrapped
    points = crystal.frac_coords[report.sites[group]]
    # The corners stand where the simplex was found; it moves as a whole into the copy that is drawn.
    base = np.floor(holes.centres[members] + 1e-3)
    corners = points[holes.points[members]] + holes.cells[members] + (moved - base)[:, None, :]
    return DrawnKind(
        group,
        degree,
        kind,
        RAISES if kind.contribution > 0 else LOWERS,
        corners @ crystal.lattice,
        places @ crystal.lattice,
        _VOID_SCALE * kind.death,
    )


def _repeats(lattice: NDArray[np.float64], n_sites: int) -> tuple[int, int, int]:
    lengths = np.linalg.norm(lattice, axis=1)
    wanted = [max(1, round(_EXTENT / length)) for length in lengths.tolist()]
    while n_sites * int(np.prod(wanted)) > _MOST_ATOMS and max(wanted) > 1:
        wanted[int(np.argmax(wanted))] -= 1
    return wanted[0], wanted[1], wanted[2]


def _view(lattice: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation to picture axes: c points up, a to the right and a little towards the viewer."""
    up = lattice[2] / np.linalg.norm(lattice[2])
    right = lattice[0] - (lattice[0] @ up) * up
    right = right / np.linalg.norm(right)
    frame = np.array([right, up, np.cross(right, up)])
    turn, tilt = np.radians(-24.0), np.radians(15.0)
    about_up = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    about_right = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    view: NDArray[np.float64] = about_right @ about_up @ frame
    return view
