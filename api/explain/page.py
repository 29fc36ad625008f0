"""An explanation as a page for a browser: the crystal with its holes to turn, the diagrams, the contributions, the words."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from api.channels import shapes
from api.channels.scene import CELL_EDGES
from api.channels.style import SITE_RADIUS, atom_radius, pale
from api.explain.scene import LOWERS, RAISES, make_scene
from api.explain.words import HOLE_NAMES, about, signed
from api.whole_files import page_file, written_whole

if TYPE_CHECKING:
    from pathlib import Path

    from api.explain.report import ExplanationReport
    from api.explain.scene import DrawnKind, HoleScene
    from builders.explanation.model import CurvePart

_STYLE: Final = """
body{margin:0;overflow-x:hidden;font:15px/1.45 system-ui,sans-serif;color:#22313f;background:#fff}
header,section{padding:10px 24px}h1{font-size:22px;margin:6px 0 2px}p,li{margin:2px 0}
.row{display:flex;flex-wrap:wrap}.row>div{flex:1 1 420px;min-width:0}
"""
_PANELS: Final = 3
_BARS: Final = 10
_LIGHTING: Final = {"ambient": 0.62, "diffuse": 0.52, "specular": 0.08, "roughness": 0.6, "fresnel": 0.0}


def explanation_page(report: ExplanationReport, path: str | Path) -> Path:
    """Write the page: one file that needs no network.

    Raises
    ------
    UsageError
        The file cannot be written, or is not named as a page.
    """
    target = page_file(path)
    from plotly.io import to_html

    options: dict[str, Any] = {"full_html": False, "config": {"displaylogo": False, "responsive": True}}
    crystal = to_html(crystal_figure(report), include_plotlyjs=True, default_height="70vh", **options)
    bars = to_html(contribution_figure(report), include_plotlyjs=False, default_height="420px", **options)
    diagrams = to_html(diagram_figure(report), include_plotlyjs=False, default_height="420px", **options)
    title = escape(report.headline())
    words = "".join(f"<li>{escape(line)}</li>" for line in report.sentences())
    text = (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style></head>\n'
        f"<body><header><h1>{title}</h1><ul>{words}</ul></header>\n{crystal}\n"
        f'<section class="row"><div>{bars}</div><div>{diagrams}</div></section></body></html>\n'
    )
    with written_whole(target) as part:
        part.write_text(text, encoding="utf-8")
    return target


def crystal_figure(report: ExplanationReport) -> Any:
    """The crystal and the holes that matter most, to turn."""
    from plotly.graph_objects import Figure, Scatter3d

    made = make_scene(report)
    scene, traces = made.scene, []
    corners = scene.cell_corners
    segments = np.array([corners[list(edge)] for edge in CELL_EDGES])
    points = np.concatenate([segments, np.full((len(segments), 1, 3), np.nan)], axis=1).reshape(-1, 3)
    line = {"color": "#46535f", "width": 2.5}
    traces.append(Scatter3d(**_xyz(points), mode="lines", line=line, hoverinfo="skip", name="cell"))
    traces += _atoms(made)
    traces += [_holes(each) for each in made.drawn]
    figure = Figure(traces)
    hidden = {"visible": False}
    _, up, towards = scene.view
    figure.update_layout(
        scene={
            "xaxis": hidden,
            "yaxis": hidden,
            "zaxis": hidden,
            "aspectmode": "data",
            "dragmode": "orbit",
            "camera": {
                "projection": {"type": "orthographic"},
                "eye": dict(zip("xyz", (1.5 * towards).tolist(), strict=True)),
                "up": dict(zip("xyz", up.tolist(), strict=True)),
            },
        },
        legend={"x": 0.01, "y": 0.99, "itemsizing": "constant"},
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
    )
    return figure


def contribution_figure(report: ExplanationReport) -> Any:
    """Contributions by species and degree."""
    from plotly.graph_objects import Bar, Figure

    shown = report.parts[:_BARS]
    names = ["the elements", *(about(part.group, part.degree) for part in shown)]
    values = [report.explained.composition, *(part.contribution for part in shown)]
    colours = [_css(RAISES if value > 0 else LOWERS) for value in values]
    figure = Figure(
        Bar(x=values, y=names, orientation="h", marker={"color": colours}, text=[signed(v) for v in values])
    )
    figure.update_yaxes(autorange="reversed", automargin=True)
    figure.update_layout(
        title="what raises (orange) and lowers (violet) the prediction, log10 S/cm", paper_bgcolor="white"
    )
    return figure


def diagram_figure(report: ExplanationReport) -> Any:
    """Diagrams of the curves that matter most, in one plot; a click on the legend hides one."""
    from plotly.graph_objects import Figure, Scatter

    figure, ends = Figure(), [0.0]
    for part in report.parts[:_PANELS]:
        figure.add_trace(_diagram(report, part, ends))
    figure.add_trace(
        Scatter(
            x=[0, max(ends)],
            y=[0, max(ends)],
            mode="lines",
            line={"color": "#aab4bd"},
            showlegend=False,
            hoverinfo="skip",
        )
    )
    figure.update_layout(
        title="persistence diagrams: size by what the holes add", xaxis_title="opens at, Å", yaxis_title="closes at, Å",
        legend={"orientation": "h", "y": -0.25}, paper_bgcolor="white",
    )  # fmt: skip
    return figure


def _diagram(report: ExplanationReport, part: CurvePart, ends: list[float]) -> Any:
    from plotly.graph_objects import Scatter

    kinds, _ = report.kinds[part.group, part.degree]
    ends += [kind.death for kind in kinds]
    largest = max((abs(kind.contribution) for kind in kinds), default=0.0) or 1.0
    words = [f"{k.count} {HOLE_NAMES[part.degree][k.count > 1]}, {signed(k.contribution)}" for k in kinds]
    return Scatter(
        x=[kind.birth for kind in kinds],
        y=[kind.death for kind in kinds],
        mode="markers",
        marker={
            "size": [6 + 18 * abs(kind.contribution) / largest for kind in kinds],
            "color": [_css(RAISES if kind.contribution > 0 else LOWERS) for kind in kinds],
            "symbol": ("circle", "diamond", "square")[part.degree],
        },
        text=words,
        hoverinfo="text+x+y",
        name=f"{about(part.group, part.degree)} {signed(part.contribution)}",
    )


def _atoms(made: HoleScene) -> list[Any]:
    scene = made.scene
    symbols = np.array([made.elements[site] for site in scene.atoms.index.tolist()], dtype=object)
    centred = {made.elements[solid.site] for solid in scene.polyhedra}
    traces = [
        _balls(
            scene.atoms.centres[symbols == symbol],
            atom_radius(symbol, symbol in centred),
            name=symbol,
            color=_css(made.colours[symbol]),
        )
        for symbol in dict.fromkeys(symbols.tolist())
    ]
    for symbol in sorted(centred):
        solids = [solid for solid in scene.polyhedra if made.elements[solid.site] == symbol]
        body = shapes.joined([shapes.Mesh(solid.corners, solid.faces) for solid in solids])
        traces.append(
            _mesh(
                body, color=_css(pale(made.colours[symbol])), opacity=0.12, flatshading=True, name=f"{symbol} polyhedra"
            )
        )
    traces.append(_balls(scene.sites.centres, 0.6 * SITE_RADIUS, name="Li", color=_css(made.colours["Li"])))
    return traces


def _holes(drawn: DrawnKind) -> Any:
    kind = drawn.kind
    holes, among = about(drawn.group, drawn.degree).split(" ", 1)
    name = f"{signed(kind.contribution)}: {kind.count} {holes} {among}, {kind.birth:.2f} to {kind.death:.2f} Å"
    colour = _css(drawn.colour)
    if drawn.degree == 2:
        return _balls(drawn.centres, drawn.radius, name=name, color=colour, opacity=0.45)
    if drawn.degree == 1:
        faces = np.arange(3 * len(drawn.corners)).reshape(-1, 3)
        return _mesh(
            shapes.Mesh(drawn.corners.reshape(-1, 3), faces), color=colour, opacity=0.5, flatshading=True, name=name
        )
    radii = np.full(len(drawn.corners), 0.08)
    return _mesh(shapes.cylinders(drawn.corners, radii)[0], color=colour, name=name)


def _balls(centres: Any, radius: float, **options: Any) -> Any:
    return _mesh(shapes.spheres(centres, np.full(len(centres), radius), 1), **options)


def _mesh(body: shapes.Mesh, **options: Any) -> Any:
    from plotly.graph_objects import Mesh3d

    faces = body.faces.astype(np.int32)
    return Mesh3d(
        **_xyz(body.vertices), i=faces[:, 0], j=faces[:, 1], k=faces[:, 2], lighting=_LIGHTING, showscale=False,
        showlegend=True, hoverinfo="name", **options,
    )  # fmt: skip


def _xyz(points: Any) -> dict[str, Any]:
    found = np.asarray(points, dtype=np.float32)
    return {"x": found[:, 0], "y": found[:, 1], "z": found[:, 2]}


def _css(colour: Any) -> str:
    red, green, blue = (round(255 * float(part)) for part in colour)
    return f"rgb({red},{green},{blue})"
