"""The energy profile of a hop as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from api.whole_files import written_whole
from store.errors import UsageError

if TYPE_CHECKING:
    from api.neb.report import NebReport

_LINE = "#1f5a8a"
_MARK = "#c0392b"


def check_name(path: str | Path) -> Path:
    """Refuse a file name that is none of a PNG, before hours are spent.

    Raises
    ------
    UsageError

    Examples
    --------
    >>> check_name("profile.png").name
    'profile.png'
    """
    target = Path(path)
    if target.suffix.lower() != ".png":
        raise UsageError(f"The profile is written as PNG; {target.name!r} was given.", mend="--png profile.png")
    if not target.parent.is_dir():
        raise UsageError(
            f"{target} cannot be written: there is no folder {str(target.parent)!r}.", mend="make the folder"
        )
    return target


def profile_picture(report: NebReport, path: str | Path) -> Path:
    """Draw energies over the way of the ion.

    Parameters
    ----------
    report : NebReport
    path : str or pathlib.Path
        Ends with ``.png``.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    UsageError
        Another ending, or the file cannot be written.

    Examples
    --------
    >>> profile_picture(report, "profile.png")                                  # doctest: +SKIP
    PosixPath('profile.png')
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from scipy.interpolate import PchipInterpolator

    target = check_name(path)
    way, energies = report.distances(), report.result.energies
    figure = Figure(figsize=(6.0, 4.0), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    if (np.diff(way) > 1e-6).all():
        # Without overshoot: the curve between two images is a guide for the eye and must not look like a higher saddle.
        fine = np.linspace(way[0], way[-1], 200)
        axes.plot(fine, PchipInterpolator(way, energies)(fine), color=_LINE, linewidth=1.5)
    axes.plot(way, energies, "o", color=_LINE, markersize=6)
    top = int(energies.argmax())
    axes.plot(way[top], energies[top], "o", color=_MARK, markersize=8)
    axes.annotate(f"{energies[top]:.3f} eV", (way[top], energies[top]), (0, 8), textcoords="offset points", ha="center")
    axes.axhline(0.0, color="0.75", linewidth=0.8, zorder=0)
    low, high = float(energies.min()), float(energies.max())
    axes.set_ylim(low - 0.08 * max(high - low, 0.05), high + 0.18 * max(high - low, 0.05))
    axes.set_xlabel("way of the ion [Å]")
    axes.set_ylabel("energy above the start [eV]")
    state = "" if report.result.usable else ": not a converged barrier"
    axes.set_title(f"{report.formula}, {report.hop_name()}, {report.endpoints.limit} limit{state}", fontsize=10)
    axes.text(0.99, 0.02, report.potential.label, transform=axes.transAxes, ha="right", fontsize=8, color="0.4")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    with written_whole(target) as part, part.open("wb") as stream:
        figure.set_dpi(150)
        canvas.print_png(stream)  # type: ignore[no-untyped-call]
    return target
