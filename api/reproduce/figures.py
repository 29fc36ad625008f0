"""Figures 3 and 4 of the study, from our hops: what the barrier depends on, and parity plots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from api.channels.style import AXES
from api.pictures import save_figure

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from api.reproduce.fits import Fit
    from api.reproduce.hops import Hops

_DARK: Final = "#22313f"
_PALE: Final = "#9aa7b2"
_TRAIN, _TEST = AXES[2][1], AXES[0][1]
DEPENDENCES: Final = (
    (1, r"$r_\mathrm{chan}$"),
    (2, r"$P_\mathrm{length}$"),
    (0, r"$R_\mathrm{sd}$"),
)
"""Columns of the six descriptors that Fig. 3 shows, in its order, with their names."""
_ENERGY: Final = r"$E_\mathrm{m}$, eV"
_STEPS: Final = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_MOST_BINS: Final = 12
_FEW: Final = 3
"""Hops in a bin below which its mean has no error bar."""
_TITLES: Final = {"svr": "SVR, polynomial kernel", "ordinal": "ordinal regression, 14 SVCs"}


class Bin(NamedTuple):
    """Hops of similar size.

    Attributes
    ----------
    low, high : float
        Å; from ``low``, and to below ``high``.
    n : int
        Hops in it.
    centre : float
        Å; mean of the descriptor.
    mean : float
        eV; mean barrier.
    error : float or None
        eV; standard error of the mean, None for fewer than three hops.
    """

    low: float
    high: float
    n: int
    centre: float
    mean: float
    error: float | None


def binned(sizes: NDArray[np.float64], barrier: NDArray[np.float64]) -> list[Bin]:
    """Mean barrier in bins of a descriptor, empty ones left out.

    The bins begin at round numbers and are as wide as makes at most twelve of them for the middle 96 % of the hops.

    Examples
    --------
    >>> bins = binned(np.array([1.0, 1.1, 1.1, 1.9]), np.array([0.2, 0.4, 0.6, 1.0]))
    >>> [(each.low, each.n, round(each.mean, 3)) for each in bins]
    [(1.0, 1, 0.2), (1.1, 2, 0.5), (1.9, 1, 1.0)]
    """
    low, high = _middle(sizes)
    step = next((each for each in _STEPS if (high - low) / each <= _MOST_BINS), _STEPS[-1])
    # Rounded first: 1.1 / 0.1 is a hair below 11.
    number = np.floor(np.round(sizes / step, 9)).astype(np.int64)
    bins = []
    for each in np.unique(number).tolist():
        inside = number == each
        count, held = int(inside.sum()), barrier[inside]
        error = float(held.std(ddof=1) / np.sqrt(count)) if count >= _FEW else None
        bins.append(
            Bin(
                round(each * step, 6),
                round((each + 1) * step, 6),
                count,
                float(sizes[inside].mean()),
                float(held.mean()),
                error,
            )
        )
    return bins


def _middle(sizes: NDArray[np.float64]) -> tuple[float, float]:
    """Range of the middle 96 %, between sizes that occur: a mean with an outlier would be one itself."""
    return float(np.quantile(sizes, 0.02, method="higher")), float(np.quantile(sizes, 0.98, method="lower"))


def dependence_figure(hops: Hops, path: str | Path) -> Path:
    """Draw Fig. 3: the mean barrier in bins of r_chan, P_length and R_sd, with the hops behind.

    Parameters
    ----------
    hops : Hops
    path : str or pathlib.Path
        PNG file to write.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    UsageError
        The file cannot be written.

    Examples
    --------
    >>> dependence_figure(hops, "figure3.png").name                             # doctest: +SKIP
    'figure3.png'
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13.2, 5.0), dpi=150, facecolor="white")
    top = 1.12 * float(hops.barrier.max())
    for place, (column, name) in enumerate(DEPENDENCES):
        axes = figure.add_axes((0.055 + 0.318 * place, 0.135, 0.283, 0.7))
        _dependence(axes, hops.descriptors[:, column], hops.barrier, top)
        _dress(axes, f"{name}, Å", _ENERGY if place == 0 else "")
    names = [name for _, name in DEPENDENCES]
    figure.text(
        0.5, 0.93, f"Migration barrier of {len(hops)} lithium hops against {names[0]}, {names[1]} and {names[2]}", size=14,
        color=_DARK, ha="center", weight="bold",
    )  # fmt: skip
    figure.text(
        0.5, 0.88, "blue: mean of a bin, its standard error (open: fewer than three hops), above it the number of hops; "
        "grey: single hops", size=10.5, color=_DARK, ha="center",
    )  # fmt: skip
    return save_figure(figure, path)


def _dependence(axes: Any, sizes: NDArray[np.float64], barrier: NDArray[np.float64], top: float) -> None:
    bins = binned(sizes, barrier)
    axes.scatter(sizes, barrier, s=12, color=_PALE, alpha=0.55, lw=0, zorder=1)
    sure = [each for each in bins if each.error is not None]
    axes.plot([each.centre for each in sure], [each.mean for each in sure], color=_TRAIN, lw=1.2, alpha=0.6, zorder=2)
    for each in bins:
        enough = each.error is not None
        axes.errorbar(
            each.centre, each.mean, yerr=each.error, fmt="o", ms=7, color=_TRAIN, mfc=_TRAIN if enough else "white", capsize=3,
            lw=1.6, zorder=3,
        )  # fmt: skip
    # In two rows by turns: the numbers of narrow bins would touch.
    for number, each in enumerate(bins):
        axes.text(
            each.centre,
            top * (0.985 - 0.045 * (number % 2)),
            str(each.n),
            size=8.5,
            color=_TRAIN,
            ha="center",
            va="top",
        )
    low, high = float(sizes.min()), float(sizes.max())
    # The middle fills the panel: one hop of a strange cell must not press all others into a corner.
    middle_low, middle_high = _middle(sizes)
    spread = max(middle_high - middle_low, 0.1)
    left, right = max(low, middle_low - 0.5 * spread), min(high, middle_high + 0.5 * spread)
    axes.set_xlim(left - 0.04 * spread, right + 0.04 * spread)
    axes.set_ylim(0.0, top)
    outside = int(((sizes < left) | (sizes > right)).sum())
    if outside:
        axes.text(
            0.985, 0.02, f"{outside} outside the axis", size=8.5, color=_DARK, ha="right", va="bottom", transform=axes.transAxes
        )  # fmt: skip


def parity_figure(hops: Hops, fit: Fit, path: str | Path) -> Path:
    """Draw Fig. 4: predicted against computed barriers, SVR and ordinal regression, training and test hops.

    Parameters
    ----------
    hops : Hops
    fit : Fit
        Of the published split.
    path : str or pathlib.Path
        PNG file to write.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    UsageError
        The file cannot be written.

    Examples
    --------
    >>> parity_figure(hops, fit, "figure4.png").name                            # doctest: +SKIP
    'figure4.png'
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.4, 6.0), dpi=150, facecolor="white")
    for place, model in enumerate(_TITLES):
        axes = figure.add_axes((0.07 + 0.485 * place, 0.11, 0.425, 0.75))
        _parity(axes, hops, fit, model)
        _dress(axes, f"computed {_ENERGY}", f"predicted {_ENERGY}" if place == 0 else "")
        axes.set_title(_TITLES[model], size=12.5, color=_DARK, pad=8)
    figure.text(
        0.5, 0.945, f"Published split of {len(hops)} lithium hops, seed {fit.seed}", size=14, color=_DARK, ha="center",
        weight="bold",
    )  # fmt: skip
    return save_figure(figure, path)


def _parity(axes: Any, hops: Hops, fit: Fit, model: str) -> None:
    top = 1.05 * float(hops.barrier.max())
    axes.plot([0, top], [0, top], color=_DARK, lw=1.0, ls=(0, (4, 3)), zorder=1)
    sides = (("training", fit.train, 0, "o", _TRAIN), ("test", fit.test, 1, "^", _TEST))
    beyond = 0
    for name, rows, side, marker, colour in sides:
        predicted = fit.predicted[model][side]
        shown = np.clip(predicted, 0.0, top)
        beyond += int((shown != predicted).sum())
        mae, r2 = (fit.scores[model][metric][side] for metric in ("mae", "r2"))
        axes.scatter(
            hops.barrier[rows], shown, s=34 if side else 22, marker=marker, color=colour, alpha=0.75 if side else 0.45, lw=0.4,
            edgecolor="white", zorder=2 + side, clip_on=False, label=f"{name} ({len(rows)}): MAE {mae:.3f} eV, R² {r2:.2f}",
        )  # fmt: skip
    axes.set_xlim(0, top)
    axes.set_ylim(0, top)
    axes.set_aspect("equal")
    axes.legend(loc="upper left", frameon=True, framealpha=0.85, edgecolor="none", fontsize=9.5, labelcolor=_DARK)
    if beyond:
        axes.text(
            0.985,
            0.02,
            f"{beyond} beyond the axis, drawn at its end",
            size=8.5,
            color=_DARK,
            ha="right",
            transform=axes.transAxes,
        )


def _dress(axes: Any, across: str, up: str) -> None:
    axes.set_xlabel(across, size=12, color=_DARK)
    axes.set_ylabel(up, size=12, color=_DARK)
    axes.tick_params(labelsize=10, color=_DARK, labelcolor=_DARK)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(_DARK)
    axes.grid(color="#e6eaee", lw=0.7, zorder=0)
    axes.set_axisbelow(True)
