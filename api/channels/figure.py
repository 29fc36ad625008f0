"""Channels as a plotly figure: the crystal to turn, numbers under the pointer, a slider for the threshold."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from api.channels import shapes
from api.channels.polyhedra import main_element
from api.channels.scene import CELL_EDGES, SAME_WIDTH
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
from api.channels.words import along, atoms_of, place, site_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from api.channels.report import ChannelReport
    from api.channels.scene import Balls, Scene
    from api.channels.style import Labels

_MOST_STEPS: Final = 40
"""Positions of the slider."""
_SHOWN_BELOW: Final = 0.85
"""Channels narrower than this share of the threshold, and than r3, are left out."""
_LIGHTING: Final = {"ambient": 0.62, "diffuse": 0.52, "specular": 0.08, "roughness": 0.6, "fresnel": 0.0}
_SIZE: Final = (3.0, 1.85)
"""Width and height of the crystal in plotly's units, in which a picture is about 2 high."""
_LIGHT: Final = {"x": -4e4, "y": 6e4, "z": -8e4}
"""From the upper left: plotly counts this to the right, upwards and away from the viewer."""
_INK: Final = "#22313f"


def channel_figure(report: ChannelReport, scene: Scene, labels: Labels) -> Any:
    """Make the figure.

    Returns
    -------
    plotly.graph_objects.Figure
        Words for the pointer stand in ``meta`` of the traces (see ``_hover``).
    """
    from plotly.graph_objects import Figure

    colours = scene_colours(report.channels)
    fixed = [
        *_cell(scene),
        *_polyhedra(report, scene, colours),
        *_atoms(report, scene, colours),
        *_voids(report, scene, labels),
        *_sites(report, scene, colours),
    ]
    tubes, steps, active = _tubes(report, scene, labels, len(fixed))
    figure = Figure([*fixed, *tubes])
    low, high = width_range(scene, labels)
    figure.update_layout(
        coloraxis={
            "cmin": low,
            "cmax": high,
            "colorscale": [[share, _css(channel_colours()(share)[:3])] for share in np.linspace(0, 1, 17).tolist()],
            "colorbar": {"title": {"text": "channel<br>radius, Å"}, "len": 0.55, "thickness": 16, "x": 1.0, "y": 0.45},
        },
        scene={
            **_axes(scene),
            "camera": _camera(scene),
            "dragmode": "orbit",
        },
        legend={
            "x": 0.01,
            "y": 0.99,
            "bgcolor": "rgba(255,255,255,0.75)",
            "itemsizing": "constant",
            "font": {"size": 13},
        },
        margin={"l": 0, "r": 100, "t": 0, "b": 70},
        paper_bgcolor="white",
        font={"family": "system-ui, sans-serif", "color": _INK},
        hoverlabel={"align": "left"},
        sliders=[_slider(steps, active)] if len(steps) > 1 else [],
    )
    return figure


def _slider(steps: list[dict[str, Any]], active: int) -> dict[str, Any]:
    return {
        "active": active,
        "steps": steps,
        "y": 0.0,
        "yanchor": "top",
        "currentvalue": {"prefix": "channels of at least ", "font": {"size": 16, "color": _INK}, "xanchor": "center"},
        "pad": {"t": 0, "b": 0, "l": 60, "r": 20},
        "font": {
            "size": 1,
            "color": "rgba(0,0,0,0)",
        },  # the label is told as the current value; under each tick it is too long
        "ticklen": 3,
        "bgcolor": "#f4f6f8",
    }


def _axes(scene: Scene) -> dict[str, Any]:
    """Axes of equal scale, unseen. Without perspective it is the aspect ratio that says how large the crystal is."""
    points = np.vstack([scene.corners, scene.atoms.centres, scene.tubes.ends.reshape(-1, 3)])
    low, high = points.min(axis=0) - 0.7, points.max(axis=0) + 0.7
    width, height, _ = np.ptp(points @ scene.view.T, axis=0) + 1.4
    sizes = (high - low) * min(_SIZE[0] / width, _SIZE[1] / height)
    axes: dict[str, Any] = {
        f"{axis}axis": {"visible": False, "range": [float(low[k]), float(high[k])]} for k, axis in enumerate("xyz")
    }
    axes["aspectmode"] = "manual"
    axes["aspectratio"] = dict(zip("xyz", sizes.tolist(), strict=True))
    return axes


def _camera(scene: Scene) -> dict[str, Any]:
    _, up, towards = scene.view
    return {
        "projection": {"type": "orthographic"},
        "eye": dict(zip("xyz", (1.5 * towards).tolist(), strict=True)),
        "up": dict(zip("xyz", up.tolist(), strict=True)),
    }


def _css(colour: Any) -> str:
    red, green, blue = (round(255 * float(part)) for part in colour)
    return f"rgb({red},{green},{blue})"


def _mesh(body: shapes.Mesh, **options: Any) -> Any:
    from plotly.graph_objects import Mesh3d

    vertices, faces = body.vertices.astype(np.float32), body.faces.astype(np.int32)
    return Mesh3d(
        x=vertices[:, 0], y=vertices[:, 1], z=vertices[:, 2], i=faces[:, 0], j=faces[:, 1], k=faces[:, 2],
        lighting=_LIGHTING, lightposition=_LIGHT, showscale=False, **options,
    )  # fmt: skip


def _lines(segments: NDArray[np.float64], colour: str, width: float, **options: Any) -> Any:
    from plotly.graph_objects import Scatter3d

    gaps = np.full((len(segments), 1, 3), np.nan)
    points = np.concatenate([segments, gaps], axis=1).reshape(-1, 3).astype(np.float32)
    return Scatter3d(
        x=points[:, 0], y=points[:, 1], z=points[:, 2], mode="lines", line={"color": colour, "width": width},
        hoverinfo="skip", **options,
    )  # fmt: skip


def _cell(scene: Scene) -> list[Any]:
    from plotly.graph_objects import Scatter3d

    traces = []
    if scene.repeats != (1, 1, 1):
        block = scene.corners
        traces.append(_lines(np.array([block[list(edge)] for edge in CELL_EDGES]), "#b4bec8", 1.5, showlegend=False))
    corners = scene.cell_corners
    traces.append(
        _lines(np.array([corners[list(edge)] for edge in CELL_EDGES]), "#46535f", 2.5, name="cell", legendgroup="cell")
    )
    for (name, colour), vector in zip(AXES, scene.lattice, strict=True):
        traces.append(_lines(np.array([[np.zeros(3), vector]]), colour, 6, showlegend=False, legendgroup="cell"))
        tip = vector * (1 + 0.6 / float(np.linalg.norm(vector)))
        traces.append(
            Scatter3d(
                x=[tip[0]], y=[tip[1]], z=[tip[2]], mode="text", text=[f"<b><i>{name}</i></b>"], showlegend=False,
                textfont={"color": colour, "size": 20}, hoverinfo="skip", legendgroup="cell",
            )
        )  # fmt: skip
    return traces


def _polyhedra(report: ChannelReport, scene: Scene, colours: dict[str, Any]) -> list[Any]:
    framework = report.channels.framework
    traces = []
    kinds = dict.fromkeys(main_element(framework, solid.site) for solid in scene.polyhedra)
    for symbol in kinds:
        solids = [solid for solid in scene.polyhedra if main_element(framework, solid.site) == symbol]
        body = shapes.joined([shapes.Mesh(solid.corners, solid.faces) for solid in solids])
        edges = np.concatenate([solid.corners[solid.edges] for solid in solids])
        counts = sorted({len(solid.corners) for solid in solids})
        name = f"{symbol} polyhedra ({'-, '.join(map(str, counts))}-fold)"
        group = {"legendgroup": symbol, "showlegend": False}
        colour = _css(pale(colours[symbol]))
        traces.append(
            _mesh(
                body, color=colour, opacity=0.22, flatshading=True, hoverinfo="skip",
                name=name, legendgroup=symbol, showlegend=True,
            )
        )  # fmt: skip
        traces.append(_lines(edges, colour, 1.5, opacity=0.5, **group))
    return traces


def _balls(
    balls: Balls,
    chosen: NDArray[np.bool_],
    radius: Callable[[int], float],
    text: Callable[[int], str],
    detail: int,
    **options: Any,
) -> Any:
    index = balls.index[chosen].tolist()
    body = shapes.spheres(balls.centres[chosen], np.array([radius(number) for number in index]), detail)
    words = {number: text(number) for number in set(index)}
    return _mesh(body, **_hover([words[number] for number in index], len(body.vertices)), **options)


def _hover(texts: list[str], n_vertices: int) -> dict[str, Any]:
    """Words for each body of a mesh; the page's own script gives them to every vertex, which would triple its size."""
    different = list(dict.fromkeys(texts))
    place_of = {text: number for number, text in enumerate(different)}
    meta = {"words": different, "of": [place_of[text] for text in texts], "each": n_vertices // max(len(texts), 1)}
    return {"meta": meta, "hoverinfo": "text"}


def _atoms(report: ChannelReport, scene: Scene, colours: dict[str, Any]) -> list[Any]:
    framework = report.channels.framework
    symbols = np.array([main_element(framework, site) for site in scene.atoms.index.tolist()])
    centred = {solid.site for solid in scene.polyhedra}
    return [
        _balls(
            scene.atoms, symbols == symbol,
            lambda site, symbol=symbol: atom_radius(symbol, site in centred),  # type: ignore[misc]
            lambda site: f"{framework.species[site]}, framework site {site + 1}",
            1, color=_css(colours[symbol]), name=symbol, showlegend=True,
        )
        for symbol in dict.fromkeys(symbols.tolist())
    ]  # fmt: skip


def _voids(report: ChannelReport, scene: Scene, labels: Labels) -> list[Any]:
    voids, table = report.channels.voids, report.voids
    large = voids.r_sd[scene.voids.index] >= labels.r_sd
    reached = scene.connected[scene.voids.index]

    def text(number: int) -> str:
        row = table.iloc[number]
        near = "" if report.is_host else f"<br>nearest {report.ion} site {row.site_distance:.2f} Å"
        return (
            f"void {number}<br>R_sd {row.r_sd:.3f} Å (threshold {labels.r_sd:.3f})<br>"
            f"distance to the atoms {row.r_void:.3f} Å<br>{row.multiplicity} equivalent in the cell{near}"
        )

    kinds = (
        ("voids large enough", large & reached, 0.5, True),
        ("voids on the network, smaller", ~large & reached, 0.22, True),
        ("voids aside, large enough", large & ~reached, 0.25, True),
        ("voids aside, smaller", ~large & ~reached, 0.15, "legendonly"),
    )
    return [
        _balls(
            scene.voids, chosen, lambda number: VOID_SCALE * float(voids.r_sd[number]), text, 1,
            color=_css(VOID_COLOUR), opacity=opacity, name=name, showlegend=True, visible=visible,
        )
        for name, chosen, opacity, visible in kinds
        if chosen.any()
    ]  # fmt: skip


def _sites(report: ChannelReport, scene: Scene, colours: dict[str, Any]) -> list[Any]:
    found, names = report.channels, site_names(report.channels)
    if report.is_host:
        return []
    holding = {int(site): number for number, site in enumerate(found.voids.site) if site >= 0}

    def text(site: int) -> str:
        void = holding.get(site)
        size = "no void holds it" if void is None else f"in void {void}, R_sd {found.voids.r_sd[void]:.3f} Å"
        return f"{names[site]}, occupancy {found.occupancies[site]:.2f}<br>{size}"

    return [
        _balls(
            scene.sites, np.ones(len(scene.sites.index), dtype=bool),
            lambda site: SITE_RADIUS * max(0.6, float(found.occupancies[site])) ** 0.5, text, 2,
            color=_css(colours[report.ion]), name=f"{report.ion} sites", showlegend=True,
        )
    ]  # fmt: skip


def _tubes(
    report: ChannelReport, scene: Scene, labels: Labels, before: int
) -> tuple[list[Any], list[dict[str, Any]], int]:
    """Tubes in one trace a radius, and the steps of the slider that shows those wide enough."""
    tubes = scene.tubes
    least = min(_SHOWN_BELOW * labels.r_chan, *(radius for radius in (*labels.radii, labels.r_chan) if radius > 0))
    levels = _levels(tubes.width[tubes.width >= least - SAME_WIDTH], labels.r_chan)
    traces = []
    radii = tube_radii(tubes)
    words = {number: _tube_text(report, number) for number in np.unique(tubes.index).tolist()}
    for high, low in zip([np.inf, *levels[:-1]], levels, strict=True):
        chosen = (tubes.width >= low - SAME_WIDTH) & (tubes.width < high - SAME_WIDTH)
        body, owner = shapes.cylinders(tubes.ends[chosen], radii[chosen])
        index = tubes.index[chosen]
        traces.append(
            _mesh(
                body, intensity=tubes.width[chosen][owner].astype(np.float32), coloraxis="coloraxis", flatshading=False,
                **_hover([words[number] for number in index.tolist()], len(body.vertices)),
                visible=bool(low >= labels.r_chan - SAME_WIDTH), showlegend=False,
            )
        )  # fmt: skip
    steps = [
        {
            "method": "restyle",
            "label": _step_label(report, level),
            "args": [{"visible": [k <= number for k in range(len(levels))]}, [before + k for k in range(len(levels))]],
        }
        for number, level in enumerate(levels)
    ]
    active = max((number for number, level in enumerate(levels) if level >= labels.r_chan - SAME_WIDTH), default=0)
    return traces, steps, active


def _levels(widths: NDArray[np.float64], threshold: float) -> list[float]:
    """Radii at which something new appears, the widest first, with the threshold among them; not more than the slider takes."""
    levels: list[float] = []
    for width in sorted([*np.unique(widths.round(4)).tolist(), threshold], reverse=True):
        if not levels or levels[-1] - width > SAME_WIDTH or width == threshold:
            levels.append(float(width))
    while len(levels) > _MOST_STEPS:
        gaps = [one - other for one, other in pairwise(levels)]
        weakest = min((k for k in range(len(gaps)) if levels[k] != threshold), key=lambda k: gaps[k])
        del levels[weakest]
    return levels


def _step_label(report: ChannelReport, level: float) -> str:
    rank = report.dimension(level - SAME_WIDTH)
    where = along(report.channels.percolation.directions[rank - 1]) if rank in (1, 2) else ""
    what = f"{rank}D {where}".strip() if rank else "no percolation"
    mark = " (threshold)" if abs(level - report.threshold) < 1e-9 else ""
    return f"{level:.3f} Å{mark}: {what}"


def _tube_text(report: ChannelReport, number: int) -> str:
    row = report.passages.iloc[number]
    role = {"side": "leads nowhere by itself", "narrow": "below the threshold", "network": "on the percolating network"}
    lines = [
        f"channel {place(f'void {row.start}', (0, 0, 0))} to {place(f'void {row.end}', row.offset)}",
        f"radius {row.r_open:.3f} Å (of its circle {row.r_chan:.3f} Å)",
        f"length {row.length:.2f} Å, between {atoms_of(report.channels, number)}",
        role.get(row.role, f"needed to travel in {row.role}"),
    ]
    return "<br>".join(lines)
