"""Channels as a PNG: an orthographic picture, painted with matplotlib, without a display."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from api.channels.canvas import BLACK, WHITE, Canvas, mix
from api.channels.polyhedra import main_element
from api.channels.scene import BELOW, CELL_EDGES, CLOSED, SAME_WIDTH, SIDE, widest_directions
from api.channels.style import (
    AXES,
    SITE_RADIUS,
    VOID_COLOUR,
    VOID_SCALE,
    atom_radius,
    channel_colours,
    pale,
    scene_colours,
    tube_radii,
    width_range,
)
from api.channels.words import along
from api.pictures import save_figure

if TYPE_CHECKING:
    from pathlib import Path

    from api.channels.scene import Scene
    from api.channels.style import Labels
    from builders.channels.model import Channels

_DARK: Final = "#22313f"


def channel_picture(channels: Channels, scene: Scene, labels: Labels, path: str | Path) -> Path:
    """Draw voids and channels in the crystal.

    Parameters
    ----------
    channels : builders.channels.model.Channels
    scene : Scene
        From :func:`api.channels.scene.make_scene`.
    labels : Labels
    path : str or pathlib.Path
        PNG file to write.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    UsageError
        The file cannot be written.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    norm, colours = Normalize(*width_range(scene, labels)), channel_colours()
    canvas = Canvas(scene, scene_colours(channels))
    _cell(canvas, scene)
    _add_polyhedra(canvas, channels, scene)
    _add_atoms(canvas, channels, scene)
    _add_voids(canvas, channels, scene, labels)
    _add_tubes(canvas, scene, lambda width: colours(norm(width))[:3])
    _add_sites(canvas, channels, scene)

    figure = Figure(figsize=(10.0, 8.2), dpi=150, facecolor="white")
    axes = figure.add_axes((0.02, 0.125, 0.82, 0.755))
    canvas.paint(axes)
    _axis_names(axes, scene)
    _arrow(axes, channels, scene)
    figure.text(0.5, 0.955, labels.title, size=17, color=_DARK, ha="center", weight="bold")
    for number, line in enumerate(labels.lines):
        figure.text(0.5, 0.922 - 0.028 * number, line, size=11.5, color=_DARK, ha="center")
    bar = figure.add_axes((0.875, 0.2, 0.02, 0.5))
    figure.colorbar(ScalarMappable(norm, colours), cax=bar)
    _mark_bar(bar, norm, labels)
    _legend(figure, channels, scene, canvas.colours)
    return save_figure(figure, path)


def _cell(canvas: Canvas, scene: Scene) -> None:
    if scene.repeats != (1, 1, 1):
        corners = canvas.project(scene.corners)
        for one, other in CELL_EDGES:
            canvas.line(corners[one], corners[other], (0.6, 0.66, 0.72), 0.6, 0.8)
    corners = canvas.project(scene.cell_corners)
    for one, other in CELL_EDGES:
        axis = {4: 0, 2: 1, 1: 2}[one ^ other] if one == 0 else None
        colour = (0.2, 0.27, 0.33) if axis is None else _rgb(AXES[axis][1])
        canvas.line(corners[one], corners[other], colour, 1.1 if axis is None else 2.2)


def _rgb(colour: str) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(colour)
    return red, green, blue


def _add_polyhedra(canvas: Canvas, channels: Channels, scene: Scene) -> None:
    for solid in scene.polyhedra:
        colour = canvas.colours[main_element(channels.framework, solid.site)]
        light_colour = pale(colour)
        corners = canvas.project(solid.corners)
        middle = float(corners[:, 2].mean())
        for face in solid.faces:
            triangle = corners[face]
            normal = np.cross(triangle[1] - triangle[0], triangle[2] - triangle[0])
            light = abs(float(normal @ _LIGHT)) / max(float(np.linalg.norm(normal)), 1e-9)
            canvas.add(
                triangle[:, :2], float(triangle[:, 2].mean()), mix(light_colour, BLACK, 0.22 * (1 - light)), 0.26
            )
        for one, other in solid.edges:
            hidden = 0.5 * (corners[one][2] + corners[other][2]) < middle - 0.15
            canvas.line(corners[one], corners[other], mix(light_colour, BLACK, 0.25), 0.7, 0.12 if hidden else 0.6)


_LIGHT: Final = np.array([-0.4, 0.55, 0.73])


def _add_atoms(canvas: Canvas, channels: Channels, scene: Scene) -> None:
    centred = {solid.site for solid in scene.polyhedra}
    for place, site in zip(canvas.project(scene.atoms.centres), scene.atoms.index.tolist(), strict=True):
        symbol = main_element(channels.framework, site)
        canvas.disc(place, atom_radius(symbol, site in centred), canvas.colours[symbol])


def _add_voids(canvas: Canvas, channels: Channels, scene: Scene, labels: Labels) -> None:
    sizes = channels.voids.r_sd
    for place, number in zip(canvas.project(scene.voids.centres), scene.voids.index.tolist(), strict=True):
        wide, reached = sizes[number] >= labels.r_sd, scene.connected[number]
        if not wide and not reached:
            continue
        alpha = 0.55 if wide and reached else 0.3 if reached else 0.2
        canvas.disc(place, VOID_SCALE * float(sizes[number]), VOID_COLOUR, alpha)


def _add_sites(canvas: Canvas, channels: Channels, scene: Scene) -> None:
    colour = canvas.colours[channels.ion]
    for place, number in zip(canvas.project(scene.sites.centres), scene.sites.index.tolist(), strict=True):
        share = float(channels.occupancies[number])
        canvas.disc(place, SITE_RADIUS * max(0.6, share) ** 0.5, colour)


def _add_tubes(canvas: Canvas, scene: Scene, colour_of: Any) -> None:
    tubes = scene.tubes
    starts, ends = canvas.project(tubes.ends[:, 0]), canvas.project(tubes.ends[:, 1])
    radii = tube_radii(tubes)
    for number in np.flatnonzero(tubes.tier != BELOW).tolist():
        start, end, radius = starts[number], ends[number], float(radii[number])
        colour = np.asarray(colour_of(tubes.width[number]))
        if tubes.tier[number] == SIDE or not tubes.on_route[number]:
            canvas.line(start, end, mix(colour, WHITE, 0.45), 1.3, 0.55)
            continue
        if tubes.tier[number] == CLOSED:
            colour = mix(colour, WHITE, 0.65)
        canvas.stroke(start, end, radius, colour)
        for place in (start, end):
            canvas.disc(place, radius, colour)


def _arrow(axes: Any, channels: Channels, scene: Scene) -> None:
    """Where the widest channels run in one direction: an arrow that way, below the crystal."""
    basis = widest_directions(channels)
    if len(basis) != 1:
        return
    way = (np.array(basis[0]) @ scene.lattice @ scene.view.T)[:2]
    way /= np.linalg.norm(way)
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    half = 0.16 * (right - left) * way
    middle = np.array([0.5 * (left + right), low - 0.01 * (high - low) - abs(float(half[1]))])
    style = {"arrowstyle": "-|>,head_width=0.45,head_length=0.8", "lw": 3.5, "color": _DARK, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", xy=middle + half, xytext=middle - half, arrowprops=style, annotation_clip=False)
    text = f"{along(basis).removeprefix('along ')}  1D, {channels.percolation.radii[0]:.3f} Å"
    axes.text(
        middle[0] + half[0] + 0.02 * (right - left), middle[1] + half[1], text, size=12, color=_DARK, weight="bold",
        va="center", ha="left", clip_on=False,
    )  # fmt: skip


def _axis_names(axes: Any, scene: Scene) -> None:
    origin = np.zeros(3)
    for (name, colour), vector in zip(AXES, scene.lattice, strict=True):
        length = float(np.linalg.norm(vector))
        place = (origin + vector * (1 + 0.5 / length)) @ scene.view.T
        axes.text(
            place[0], place[1], name, color=colour, size=15, weight="bold", style="italic", ha="center", va="center",
            bbox={"boxstyle": "circle,pad=0.12", "fc": "white", "ec": "none", "alpha": 0.75},
        )  # fmt: skip


def _mark_bar(bar: Any, norm: Any, labels: Labels) -> None:
    bar.set_title("channel\nradius, Å", size=10, color=_DARK, pad=10)
    bar.tick_params(labelsize=9, labelcolor=_DARK, color=_DARK)
    marks: dict[float, list[str]] = {}
    for name, value in (("threshold", labels.r_chan), *zip(("r1", "r2", "r3"), labels.radii, strict=True)):
        if norm.vmin - 1e-9 <= value <= norm.vmax + 1e-9:
            key = next((other for other in marks if abs(other - value) < 0.025 * (norm.vmax - norm.vmin)), value)
            marks.setdefault(key, []).append(name)
    for value, names in marks.items():
        bar.axhline(value, color="white" if "threshold" not in names else "black", lw=1.6)
        bar.text(
            -0.35,
            value,
            " ".join(names),
            size=9,
            color=_DARK,
            ha="right",
            va="center",
            transform=bar.get_yaxis_transform(),
        )


def _legend(figure: Any, channels: Channels, scene: Scene, colours: dict[str, tuple[float, float, float]]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    centred = dict.fromkeys(main_element(channels.framework, solid.site) for solid in scene.polyhedra)
    corners = {main_element(channels.framework, solid.site): len(solid.corners) for solid in scene.polyhedra}
    others = dict.fromkeys(main_element(channels.framework, site) for site in scene.atoms.index.tolist())
    handles: list[Any] = []
    if len(channels.sites):
        handles.append(_dot(Line2D, f"{channels.ion} site", colours[channels.ion], 11))
    for symbol in centred:
        colour = colours[symbol]
        handles.append(
            Patch(fc=(*colour, 0.35), ec=mix(colour, BLACK, 0.15), label=f"{symbol} ({corners[symbol]}-fold)")
        )
    handles += [_dot(Line2D, symbol, colours[symbol], 7) for symbol in others if symbol not in centred]
    handles.append(_dot(Line2D, "void (size: R_sd)", VOID_COLOUR, 9, 0.6))
    radii = channels.percolation.radii
    same = " = ".join(f"r{k}" for k, radius in enumerate(radii, start=1) if radii[0] - radius < SAME_WIDTH)
    ways = [
        _line(Line2D, tier, words.replace("r1", same), width)
        for tier, words, width in _TUBE_LEGEND
        if _is_there(scene, tier)
    ]
    for row, height in ((ways, 0.035), (handles, 0.005)):
        figure.legend(
            handles=row, loc="lower center", ncols=min(max(len(row), 1), 8), frameon=False, fontsize=10.5,
            labelcolor=_DARK, handletextpad=0.5, columnspacing=1.6, bbox_to_anchor=(0.5, height),
        )  # fmt: skip


_TUBE_LEGEND: Final = (
    (1, "widest way through (r1)", 6.0),
    (2, "second direction (r2)", 3.6),
    (3, "third direction (r3)", 2.6),
    (4, "joined to them", 1.9),
    (CLOSED, "widest way through (r1): below the threshold", 4.6),
    (SIDE, "wide enough, on no open hop", 1.0),
)


def _is_there(scene: Scene, tier: int) -> bool:
    tubes = scene.tubes
    if tier == SIDE:
        return bool(((tubes.tier == SIDE) | ((tubes.tier != BELOW) & ~tubes.on_route)).any())
    return bool(((tubes.tier == tier) & tubes.on_route).any())


def _line(kind: Any, tier: int, label: str, width: float) -> Any:
    return kind(
        [],
        [],
        lw=width,
        color={SIDE: "#9aa4ae", CLOSED: "#dcb9cc"}.get(tier, "#a23a78"),
        label=label,
        solid_capstyle="round",
    )


def _dot(kind: Any, label: str, colour: Any, size: float, alpha: float = 1.0) -> Any:
    return kind([], [], marker="o", ls="", ms=size, mfc=(*colour, alpha), mec="#33414d", mew=0.6, label=label)
