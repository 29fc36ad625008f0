"""Pictures: the store as a periodic table, and crystals. Numbers in, PNG out; drawn with matplotlib, without a display."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from api.conditions import SYMBOLS
from api.whole_files import written_whole
from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from store.crystal import Crystal

_NOBLE: Final = (2, 10, 18, 36, 54, 86, 118)
_DARK = "#22313f"
_EMPTY = "#eef1f4"
_MOST_DRAWN: Final = 3000
"""Atoms beyond which a picture shows nothing but a blot."""

_SHOWN_RADIUS = 0.42
_BOND_SLACK = 1.18
"""A bond is drawn where two atoms are nearer than this times the sum of their covalent radii."""
_ANIONS: Final = frozenset({"H", "C", "N", "O", "F", "S", "Se", "Te", "Cl", "Br", "I"})
"""In a compound that holds one of these a bond has one of them at an end."""


def table_place(number: int) -> tuple[int, int]:
    """Row and column, from 0, of an element in the 18-column periodic table; the f block stands in rows 8 and 9.

    Examples
    --------
    >>> table_place(1), table_place(26), table_place(60)
    ((0, 0), (3, 7), (8, 6))
    """
    row = next(period for period, last in enumerate(_NOBLE) if number <= last)
    first = 1 if row == 0 else _NOBLE[row - 1] + 1
    step, width = number - first, _NOBLE[row] - first + 1
    if width == 32:
        if 2 <= step <= 16:
            return row + 3, step + 1
        step -= 14 if step > 16 else 0
        return row, step
    return row, step if step < min(2, width - 1) else 18 - (width - step)


def periodic_table(counts: Mapping[str, int], path: str | Path, *, title: str | None = None) -> Path:
    """Draw how many materials hold each element.

    Parameters
    ----------
    counts : mapping
        ``{element symbol: number of materials}``.
    path : str or pathlib.Path
        PNG file to write.
    title : str, optional

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    UsageError
        The file cannot be written.

    Examples
    --------
    >>> periodic_table({"Li": 120, "O": 3400}, "elements.png").name     # doctest: +SKIP
    'elements.png'
    """
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch

    most = max([*counts.values(), 10])
    norm = LogNorm(1, most)
    colours = colormaps["YlGnBu"]
    figure = Figure(figsize=(12.6, 7.2), dpi=150, facecolor="white")
    axes = figure.add_axes((0.02, 0.02, 0.96, 0.9))
    for number, symbol in enumerate(SYMBOLS, start=1):
        row, place = table_place(number)
        down = row - (0.6 if row > 7 else 0.0)
        count = counts.get(symbol, 0)
        face = colours(norm(count)) if count else _EMPTY
        light = count > 0 and _is_dark(face)
        ink = "white" if light else (_DARK if count else "#9aa7b2")
        axes.add_patch(
            FancyBboxPatch(
                (place + 0.06, down + 0.06), 0.88, 0.88, boxstyle="round,pad=0,rounding_size=0.08", fc=face, ec="none"
            )
        )
        axes.text(place + 0.14, down + 0.25, str(number), size=6, color=ink, va="center")
        axes.text(place + 0.5, down + 0.5, symbol, size=14, color=ink, ha="center", va="center", weight="bold")
        axes.text(place + 0.5, down + 0.81, _short(count) if count else "", size=7, color=ink, ha="center", va="center")
    axes.set_xlim(-0.1, 18.1)
    axes.set_ylim(9.55, -0.15)
    axes.set_axis_off()
    bar = figure.add_axes((0.21, 0.845, 0.38, 0.022))
    figure.colorbar(ScalarMappable(norm, colours), cax=bar, orientation="horizontal")
    bar.set_title("materials that hold the element", size=9, color=_DARK, pad=4)
    bar.tick_params(labelsize=8, color=_DARK, labelcolor=_DARK)
    bar.minorticks_off()
    bar.xaxis.set_major_formatter("{x:,.0f}")
    held = sum(1 for count in counts.values() if count)
    figure.text(0.5, 0.955, title or f"{held} elements in the store", size=15, color=_DARK, ha="center", weight="bold")
    return save_figure(figure, path)


def structure_picture(crystal: Crystal, path: str | Path, *, title: str | None = None) -> Path:
    """Draw a crystal: atoms, bonds, cell edges and a legend of its elements.

    Atoms on the border of the cell are drawn on every side of it. A site shared by several species is a pie; what is
    missing to full occupancy is white.

    Parameters
    ----------
    crystal : store.crystal.Crystal
        At most 3,000 atoms drawn.
    path : str or pathlib.Path
        PNG file to write.
    title : str, optional

    Returns
    -------
    pathlib.Path

    Raises
    ------
    UsageError
        Too many atoms, or the file cannot be written.

    Examples
    --------
    >>> salt = Crystal.from_lists([[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]], ["Na", "Cl"],
    ...                           [[0, 0, 0], [0.5, 0.5, 0.5]])         # doctest: +SKIP
    >>> structure_picture(salt, "salt.png").name                        # doctest: +SKIP
    'salt.png'
    """
    from matplotlib.figure import Figure

    scene = _scene(crystal)
    figure = Figure(figsize=(7.4, 7.4), dpi=150, facecolor="white")
    axes = figure.add_axes((0.03, 0.1, 0.94, 0.82))
    _draw_cell(axes, scene)
    _draw_bonds(axes, scene)
    _draw_atoms(axes, scene)
    axes.set_aspect("equal")
    axes.set_axis_off()
    low, high = scene.extent
    pad = 0.04 * float((high - low).max()) + 0.1
    axes.set_xlim(low[0] - pad, high[0] + pad)
    axes.set_ylim(low[1] - pad, high[1] + pad)
    _legend(figure, scene)
    figure.text(0.5, 0.945, title or "", size=13, color=_DARK, ha="center", weight="bold")
    return save_figure(figure, path)


@dataclass(frozen=True)
class _Scene:
    """What is drawn: places on the picture, depth towards the viewer, contents of each site."""

    places: NDArray[np.float64]  # shape=(n, 3), Å; the last column is the depth, larger is nearer
    cartesian: NDArray[np.float64]  # shape=(n, 3), Å
    contents: list[dict[str, float]]
    radii: NDArray[np.float64]  # shape=(n,), covalent, Å
    corners: NDArray[np.float64]  # shape=(8, 3)

    @property
    def extent(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        size = self.radii[:, None] * _SHOWN_RADIUS
        low = np.vstack([self.places[:, :2] - size, self.corners[:, :2]]).min(axis=0)
        high = np.vstack([self.places[:, :2] + size, self.corners[:, :2]]).max(axis=0)
        return low, high

    def fog(self, depth: Any) -> Any:
        """How much of the background shows through at a depth, 0 in front to 0.55 at the back."""
        low, high = self.corners[:, 2].min(), self.corners[:, 2].max()
        return 0.55 * np.clip((high - depth) / max(high - low, 1e-9), 0.0, 1.0)


def _scene(crystal: Crystal) -> _Scene:
    sites = crystal.occupancies or tuple({name: 1.0} for name in crystal.species)
    wrapped = crystal.frac_coords - np.floor(crystal.frac_coords)
    wrapped[wrapped > 1 - 1e-3] = 0.0
    fractions: list[NDArray[np.float64]] = []
    contents: list[dict[str, float]] = []
    for position, site in zip(wrapped, sites, strict=True):
        on_border = [(0.0, 1.0) if value < 1e-3 else (0.0,) for value in position]
        for shift in np.array(np.meshgrid(*on_border)).T.reshape(-1, 3):
            fractions.append(position + shift)
            contents.append(dict(site))
    if not fractions:
        raise UsageError("There is nothing to draw: the crystal has no sites.")
    if len(fractions) > _MOST_DRAWN:
        raise UsageError(f"The crystal has {len(fractions)} atoms to draw; pictures are made of at most {_MOST_DRAWN}.")
    cartesian = np.array(fractions) @ crystal.lattice
    corners = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)], dtype=float) @ crystal.lattice
    view = _view(crystal.lattice)
    radii = np.array([_radius(site) for site in contents])
    return _Scene(cartesian @ view.T, cartesian, contents, radii, corners @ view.T)


def _view(lattice: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation (3, 3) to picture axes: c points up, and one looks at the ac face, a little from the right and above."""
    up = lattice[2] / np.linalg.norm(lattice[2])
    right = lattice[0] - (lattice[0] @ up) * up
    right /= np.linalg.norm(right)
    frame = np.array([right, up, np.cross(right, up)])
    turn, tilt = np.radians(-24.0), np.radians(14.0)
    about_up = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    about_right = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    view: NDArray[np.float64] = about_right @ about_up @ frame
    return view


def _radius(site: Mapping[str, float]) -> float:
    from ase.data import atomic_numbers, covalent_radii

    total = sum(site.values()) or 1.0
    return float(sum(covalent_radii[atomic_numbers[symbol]] * amount for symbol, amount in site.items()) / total)


def _colour(symbol: str) -> NDArray[np.float64]:
    from ase.data import atomic_numbers
    from ase.data.colors import jmol_colors

    number = atomic_numbers[symbol]  # the table ends with meitnerium
    colour: NDArray[np.float64] = np.asarray(jmol_colors[min(number, len(jmol_colors) - 1)], dtype=float)
    return colour


def _mix(colour: Any, other: Any, share: float) -> NDArray[np.float64]:
    mixed: NDArray[np.float64] = np.asarray(colour) * (1 - share) + np.asarray(other) * share
    return mixed


_WHITE = np.ones(3)
_BLACK = np.zeros(3)


def _draw_cell(axes: Any, scene: _Scene) -> None:
    order = [(i, j) for i in range(8) for j in range(i + 1, 8) if bin(i ^ j).count("1") == 1]
    back = int(scene.corners[:, 2].argmin())
    shares = np.linspace(0.0, 1.0, 25)[:, None]
    for i, j in order:
        hidden = back in (i, j)
        points = scene.corners[i] * (1 - shares) + scene.corners[j] * shares
        # In short pieces, each at its own depth: an edge passes behind one atom and before another.
        for start in range(0, len(points) - 1, 2 if hidden else 1):
            depth = float(points[start : start + 2, 2].mean())
            colour = _mix((0.35, 0.42, 0.5), _WHITE, float(scene.fog(depth)))
            axes.plot(*points[start : start + 2, :2].T, color=colour, lw=0.9, zorder=depth, solid_capstyle="round")


def _draw_bonds(axes: Any, scene: _Scene) -> None:
    from scipy.spatial import cKDTree

    anions = any(_is_anion(site) for site in scene.contents)
    tree = cKDTree(scene.cartesian)
    pairs = tree.query_pairs(2 * float(scene.radii.max()) * _BOND_SLACK, output_type="ndarray")
    for i, j in pairs:
        distance = float(np.linalg.norm(scene.cartesian[i] - scene.cartesian[j]))
        if distance < 0.5 or distance > _BOND_SLACK * (scene.radii[i] + scene.radii[j]):
            continue
        if not _may_bond(scene.contents[i], scene.contents[j], anions):
            continue
        middle = 0.5 * (scene.places[i] + scene.places[j])
        for end in (i, j):
            _draw_half_bond(axes, scene, int(end), middle, distance)


def _is_anion(site: Mapping[str, float]) -> bool:
    """Whether the main element of a site is one that other elements form bonds to in a salt."""
    return max(site, key=lambda name: site[name]) in _ANIONS


def _may_bond(one: Mapping[str, float], other: Mapping[str, float], anions: bool) -> bool:
    """Near cations are no bond in a compound with anions; in metals and elements whatever is near is."""
    return not anions or _is_anion(one) or _is_anion(other)


def _draw_half_bond(axes: Any, scene: _Scene, end: int, middle: NDArray[np.float64], distance: float) -> None:
    """Draw from the surface of an atom to the middle of the bond, in short pieces, each at its own depth."""
    begin = min(scene.radii[end] * _SHOWN_RADIUS / (0.5 * distance), 1.0)
    shares = np.linspace(begin, 1.0, 5)[:, None]
    points = scene.places[end] * (1 - shares) + middle * shares
    colour = _mix(_main_colour(scene.contents[end]), _BLACK, 0.12)
    for start in range(len(points) - 1):
        piece = points[start : start + 2]
        depth = float(piece[:, 2].mean())
        shade = _mix(colour, _WHITE, float(scene.fog(depth)))
        axes.plot(*piece[:, :2].T, color=shade, lw=3.0, zorder=depth, solid_capstyle="butt")


def _main_colour(site: Mapping[str, float]) -> NDArray[np.float64]:
    return _colour(max(site, key=lambda symbol: site[symbol]))


def _draw_atoms(axes: Any, scene: _Scene) -> None:
    from matplotlib.patches import Circle, Wedge

    for place, site, covalent in zip(scene.places, scene.contents, scene.radii, strict=True):
        radius, fog = covalent * _SHOWN_RADIUS, float(scene.fog(place[2]))
        depth = place[2] + radius
        centre = place[:2]
        edge = _mix((0.15, 0.2, 0.25), _WHITE, fog)
        mixed = len(site) > 1 or sum(site.values()) < 0.995
        if mixed:
            axes.add_patch(Circle(centre, radius, fc="white", ec=edge, lw=0.6, zorder=depth))
            start = 90.0
            for symbol, amount in site.items():
                end = start - 360.0 * min(amount, 1.0)
                face = _mix(_colour(symbol), _WHITE, fog)
                axes.add_patch(Wedge(centre, radius, end, start, fc=face, ec="none", zorder=depth))
                start = end
            axes.add_patch(Circle(centre, radius, fc="none", ec=edge, lw=0.6, zorder=depth))
            continue
        colour = _main_colour(site)
        # A ball: discs that shrink towards the light at the upper left.
        for share in np.linspace(0.0, 1.0, 7):
            shade = _mix(_mix(colour, _BLACK, 0.28 * (1 - share)), _WHITE, 0.5 * share**2)
            axes.add_patch(
                Circle(
                    (centre[0] - 0.3 * radius * share, centre[1] + 0.3 * radius * share),
                    radius * (1 - 0.82 * share),
                    fc=_mix(shade, _WHITE, fog),
                    ec=edge if share == 0 else "none",
                    lw=0.6,
                    zorder=depth,
                )
            )


def _legend(figure: Any, scene: _Scene) -> None:
    from matplotlib.lines import Line2D

    symbols = dict.fromkeys(symbol for site in scene.contents for symbol in site)
    handles = [
        Line2D([], [], marker="o", ls="", ms=10, mfc=_colour(symbol), mec="#33414d", mew=0.6, label=symbol)
        for symbol in symbols
    ]
    figure.legend(
        handles=handles,
        loc="lower center",
        ncols=min(len(handles), 10),
        frameon=False,
        fontsize=11,
        labelcolor=_DARK,
        handletextpad=0.1,
        columnspacing=1.2,
        bbox_to_anchor=(0.5, 0.01),
    )


def _is_dark(colour: Any) -> bool:
    red, green, blue = colour[:3]
    return bool(0.299 * red + 0.587 * green + 0.114 * blue < 0.55)


def _short(count: int) -> str:
    return f"{count:,}" if count < 100_000 else f"{count / 1000:,.0f}k"


def save_figure(figure: Any, path: str | Path) -> Path:
    """Write a figure as PNG, whole or not at all.

    Raises
    ------
    UsageError
        The file is not named as PNG, or cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    target = Path(path)
    if target.suffix.lower() != ".png":
        raise UsageError(
            f"Pictures are written as PNG, and {target.name} is named otherwise.", mend=f"-o {target.stem}.png"
        )
    FigureCanvasAgg(figure)
    with written_whole(target) as part:
        figure.savefig(part, format="png")
    return target
