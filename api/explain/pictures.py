"""An explanation as a PNG: contributions, the diagrams with the bars that matter, and the holes in the crystal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from api.channels.canvas import BLACK, WHITE, Canvas, mix
from api.channels.scene import CELL_EDGES
from api.channels.style import AXES, SITE_RADIUS, atom_radius, pale
from api.explain.scene import LOWERS, RAISES, leading_kinds, make_scene
from api.explain.words import HOLE_NAMES, about, signed
from api.pictures import save_figure

if TYPE_CHECKING:
    from pathlib import Path

    from api.explain.report import ExplanationReport
    from api.explain.scene import DrawnKind, HoleScene
    from builders.explanation.model import CurvePart

_DARK: Final = "#22313f"
_PALE: Final = "#aab4bd"
_BARS: Final = 10
_PANELS: Final = 3


def explanation_picture(report: ExplanationReport, path: str | Path) -> Path:
    """Draw an explanation.

    Parameters
    ----------
    report : api.explain.report.ExplanationReport
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
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15.0, 9.2), dpi=130, facecolor="white")
    draw(figure, report)
    return save_figure(figure, path)


def draw(figure: Any, report: ExplanationReport) -> None:
    """Draw on a figure of 15 by 9.2 inches."""
    figure.text(0.5, 0.962, report.headline(), size=17, color=_DARK, ha="center", weight="bold")
    figure.text(0.5, 0.932, report.sums(), size=11.5, color=_DARK, ha="center")
    figure.text(0.5, 0.012, report.trust(), size=10, color=_DARK, ha="center")
    _contributions(figure.add_axes((0.215, 0.52, 0.25, 0.36)), report)
    for number, part in enumerate(report.parts[:_PANELS]):
        axes = figure.add_axes((0.05 + 0.15 * number, 0.1, 0.112, 0.27))
        _diagram(axes, report, part)
    _crystal(figure, report)


def _contributions(axes: Any, report: ExplanationReport) -> None:
    """Contributions by species and degree, signed; the elements first."""
    shown = report.parts[:_BARS]
    rest = sum(part.contribution for part in report.parts[_BARS:])
    names = ["the elements", *(about(part.group, part.degree) for part in shown), "all other holes"]
    values = [report.explained.composition, *(part.contribution for part in shown), rest]
    places = np.arange(len(names))[::-1]
    axes.barh(places, values, color=[RAISES if value > 0 else LOWERS for value in values], height=0.68)
    axes.axvline(0, color=_DARK, lw=0.8)
    span = max(abs(value) for value in values) or 1.0
    for place, value in zip(places.tolist(), values, strict=True):
        axes.text(
            value + 0.02 * span * (1 if value >= 0 else -1), place, signed(value), size=9, color=_DARK, va="center",
            ha="left" if value >= 0 else "right",
        )  # fmt: skip
    axes.set_xlim(min(0.0, *values) - 0.22 * span, max(0.0, *values) + 0.22 * span)
    axes.set_yticks(places, names)
    axes.tick_params(labelsize=10, colors=_DARK, length=0)
    axes.set_title("what raises (orange) and lowers (violet) the prediction, log10 S/cm", size=11, color=_DARK)
    _plain(axes, "left")


def _diagram(axes: Any, report: ExplanationReport, part: CurvePart) -> None:
    """Birth and death of the holes of one group and degree; what matters is large and coloured."""
    kinds, _ = report.kinds[part.group, part.degree]
    holes, among = about(part.group, part.degree).split(" ", 1)
    axes.set_title(f"{holes} {signed(part.contribution)}\n{among}", size=9.5, color=_DARK)
    births, deaths = [kind.birth for kind in kinds], [kind.death for kind in kinds]
    low, high = min([*births, *deaths], default=0.0), max([*births, *deaths], default=1.0)
    pad = 0.15 * max(high - low, 0.3)
    span = (low - pad, high + pad)
    axes.plot(span, span, color=_PALE, lw=1)
    largest = max((abs(kind.contribution) for kind in kinds), default=0.0) or 1.0
    # Small ones last: they are not hidden by large ones.
    for kind in kinds:
        share = abs(kind.contribution) / largest
        colour = RAISES if kind.contribution > 0 else LOWERS
        face = mix(np.asarray(colour), WHITE, 0.75 * (1 - share)) if share > 0.03 else np.full(3, 0.8)
        axes.scatter(
            kind.birth,
            kind.death,
            s=18 + 190 * share,
            color=[face],
            edgecolors=[mix(face, BLACK, 0.45)],
            linewidths=0.8,
        )
    for kind in kinds[:2]:
        if abs(kind.contribution) > 0.1 * abs(part.contribution):
            left = kind.birth > 0.5 * (span[0] + span[1])
            axes.annotate(
                f"{kind.count}: {signed(kind.contribution)}", (kind.birth, kind.death), xytext=(-8 if left else 8, 7),
                textcoords="offset points", size=8.5, color=_DARK, ha="right" if left else "left",
            )  # fmt: skip
    if not kinds:
        axes.text(0.5, 0.5, "none in this crystal", transform=axes.transAxes, ha="center", size=10, color=_DARK)
    axes.set_xlim(span)
    axes.set_ylim(span)
    axes.set_xlabel("opens at, Å" if part.degree else "begins at, Å", size=10, color=_DARK)
    axes.set_ylabel("closes at, Å" if part.degree else "joins at, Å", size=10, color=_DARK)
    axes.tick_params(labelsize=9, colors=_DARK)
    _plain(axes)


def _plain(axes: Any, *more: str) -> None:
    for side in ("top", "right", *more):
        axes.spines[side].set_visible(False)


def _crystal(figure: Any, report: ExplanationReport) -> None:
    made = make_scene(report)
    scene = made.scene
    canvas = Canvas(scene, made.colours)
    _cell(canvas)
    _polyhedra(canvas, made)
    centred = {solid.site for solid in scene.polyhedra}
    for place, site in zip(canvas.project(scene.atoms.centres), scene.atoms.index.tolist(), strict=True):
        symbol = made.elements[site]
        canvas.disc(place, atom_radius(symbol, site in centred), made.colours[symbol])
    for place in canvas.project(scene.sites.centres):
        canvas.disc(place, 0.6 * SITE_RADIUS, made.colours["Li"])
    for each in made.drawn:
        _holes(canvas, each)
    axes = figure.add_axes((0.485, 0.175, 0.51, 0.72))
    canvas.paint(axes)
    for (name, colour), vector in zip(AXES, scene.lattice, strict=True):
        place = vector * (1 + 0.5 / float(np.linalg.norm(vector))) @ scene.view.T
        axes.text(
            place[0], place[1], name, color=colour, size=14, weight="bold", style="italic", ha="center", va="center"
        )
    _legend(figure, report, made)


def _cell(canvas: Canvas) -> None:
    for corners, colour, width in (
        (canvas.scene.corners, (0.6, 0.66, 0.72), 0.6),
        (canvas.scene.cell_corners, (0.2, 0.27, 0.33), 1.1),
    ):
        places = canvas.project(corners)
        for one, other in CELL_EDGES:
            canvas.line(places[one], places[other], colour, width, 0.8)


def _polyhedra(canvas: Canvas, made: HoleScene) -> None:
    for solid in made.scene.polyhedra:
        colour = pale(made.colours[made.elements[solid.site]])
        corners = canvas.project(solid.corners)
        for face in solid.faces:
            canvas.add(corners[face][:, :2], float(corners[face][:, 2].mean()), colour, 0.13)
        for one, other in solid.edges:
            canvas.line(corners[one], corners[other], mix(colour, BLACK, 0.15), 0.5, 0.35)


def _holes(canvas: Canvas, drawn: DrawnKind) -> None:
    colour = np.asarray(drawn.colour)
    if drawn.degree == 2:
        for place in canvas.project(drawn.centres):
            canvas.disc(place, drawn.radius, colour, 0.5)
        return
    for corners in canvas.project(drawn.corners):
        if drawn.degree == 1:
            canvas.add(corners[:, :2], float(corners[:, 2].mean()), colour, 0.25)
        for one in range(len(corners)):
            canvas.stroke(corners[one], corners[(one + 1) % len(corners)], 0.035 if drawn.degree else 0.08, colour)


def _legend(figure: Any, report: ExplanationReport, made: HoleScene) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = []
    for group, degree, kind in leading_kinds(report):
        colour = RAISES if kind.contribution > 0 else LOWERS
        name = HOLE_NAMES[degree][kind.count > 1]
        among = about(group, degree).split(" ", 1)[1]
        radii = f"{kind.birth:.2f} to {kind.death:.2f} Å" if degree else f"up to {kind.death:.2f} Å"
        text = f"{signed(kind.contribution)}: {kind.count} {name} {among}, {radii}"
        handles.append(Patch(fc=(*colour, 0.5), ec=colour, label=text))
    figure.legend(
        handles=handles, loc="lower center", ncols=1, frameon=False, fontsize=10, labelcolor=_DARK,
        bbox_to_anchor=(0.735, 0.075),
    )  # fmt: skip
    symbols = ["Li", *dict.fromkeys(made.elements)]
    dots = [
        Line2D([], [], marker="o", ls="", ms=8, mfc=made.colours[symbol], mec=_DARK, mew=0.6, label=symbol)
        for symbol in symbols
    ]
    figure.legend(
        handles=dots, loc="lower center", ncols=min(len(dots), 10), frameon=False, fontsize=10, labelcolor=_DARK,
        handletextpad=0.2, bbox_to_anchor=(0.735, 0.045),
    )  # fmt: skip


__all__ = ["explanation_picture"]
