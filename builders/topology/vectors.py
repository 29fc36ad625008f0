"""Diagrams as vectors of fixed length: Betti curves, summary statistics, persistence images, landscapes.

All of them are the same for the primitive cell, the conventional cell and any supercell of a crystal: they are made of the
crystal's bars, counted per point. The torus's bars cannot be: the lithium of LiCoO2 makes three layers in the conventional cell
and three in a supercell along a and b, and per atom that is less; in the infinite crystal a layer is no finite cluster,
whatever the cell. (``endless_k`` among the statistics alone is the torus's.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np

from builders.topology.groups import GROUPS
from builders.topology.images import LEVELS, image_axes, landscape, persistence_image

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from builders.topology.persistence import Diagrams

Kind = Literal["curves", "stats", "images", "landscapes"]
KINDS: Final[tuple[Kind, ...]] = ("curves", "stats", "images", "landscapes")
DEGREES: Final = (0, 1, 2)


def _grid(low: int, high: int) -> NDArray[np.float64]:
    grid = np.arange(low, high + 1) / 10.0
    grid.setflags(write=False)
    return grid


GRID: Final = {0: _grid(5, 40), 1: _grid(10, 60), 2: _grid(10, 80)}
"""Radii, Å, of the Betti curves, by degree: half the distance of neighbours, rings, voids (of sparse ions as well)."""
STEP: Final = 0.1
"""Å; between the radii of the grid. A column of ``curves`` is the mean over so much around its radius."""

_MEASURES: Final = ("sum", "mean", "std", "min", "max")
_OF_BARS: Final = {0: ("death",), 1: ("birth", "death", "length"), 2: ("birth", "death", "length")}
STATISTICS: Final = tuple(
    [
        f"h{degree}_{name}"
        for degree in DEGREES
        for name in (
            "count",
            *(f"{of}_{measure}" for of in _OF_BARS[degree] for measure in _MEASURES),
            "entropy",
            *((f"endless_{k}" for k in (1, 2, 3)) if degree else ()),
        )
    ]
)
"""Names of :func:`statistics`."""


class Column(NamedTuple):
    """What a column of :func:`vectorise` is about.

    Attributes
    ----------
    group : str
    degree : int
    what : str
        Radius in Å (curves), name of the statistic without its degree, or place in the image or landscape.
    """

    group: str
    degree: int
    what: str


def betti_curve(
    diagrams: Diagrams,
    degree: int,
    grid: NDArray[np.float64] | None = None,
    *,
    of: Literal["crystal", "torus"] = "crystal",
    width: float = 0.0,
) -> NDArray[np.float64]:
    """Number of clusters, loops or voids at each radius, per point.

    Parameters
    ----------
    diagrams : Diagrams
    degree : int
        0, 1 or 2.
    grid : numpy.ndarray, optional
        shape=(m,), radii, Å; :data:`GRID` by default.
    of : {"crystal", "torus"}
        Of the infinite crystal: independent of the cell. Of the torus, finite and essential classes counted together: as other
        programs count; it nears the former as the cell grows.
    width : float
        Å; with a width the curve's mean over the interval of so much around each radius. A hole of a symmetric crystal may
        close exactly at a radius of the grid, and rounding alone would decide whether it counts; the mean changes little when
        bars do.

    Returns
    -------
    numpy.ndarray
        shape=(m,), per point of the group.

    Examples
    --------
    >>> from builders.topology.persistence import persistence
    >>> bcc = persistence(np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), 4.0 * np.eye(3))
    >>> betti_curve(bcc, 0, np.array([1.7, 1.8])), betti_curve(bcc, 2, np.array([2.2]))  # contact at 1.732; six voids an atom
    (array([1., 0.]), array([6.]))
    """
    radii = GRID[degree] if grid is None else np.asarray(grid, dtype=np.float64)
    if of == "crystal":
        bars = diagrams.extensive[degree]
        births, deaths = bars[:, 0], bars[:, 1]
    else:
        births = np.concatenate([diagrams.finite[degree][:, 0], diagrams.essential[degree]])
        deaths = diagrams.finite[degree][:, 1]
    curve: NDArray[np.float64] = (_before(births, radii, width) - _before(deaths, radii, width)) / diagrams.n_points
    return curve


def _before(events: NDArray[np.float64], radii: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """Number of events up to each radius, or its mean over an interval around the radius."""
    ordered = np.sort(events)
    if width <= 0.0:
        return np.searchsorted(ordered, radii, "right").astype(np.float64)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    ends = []
    for end in (radii - width / 2.0, radii + width / 2.0):
        count = np.searchsorted(ordered, end, "right")
        ends.append(count * end - sums[count])  # integral of the number of events up to here
    mean: NDArray[np.float64] = (ends[1] - ends[0]) / width
    return mean


def statistics(diagrams: Diagrams) -> dict[str, float]:
    """Summary statistics of the bars of one group.

    ``count`` and ``sum`` are per point; ``mean`` and ``std`` weigh each bar by its length, so that short ones, which come and go
    with the last digits of the coordinates, hardly matter; ``entropy`` is that of the lengths as shares of their sum, less the
    logarithm of the number of points; ``endless_k`` are the births of the torus's essential classes, ascending. What does not
    exist (a mean of no bars) is nan.

    Returns
    -------
    dict
        The names are :data:`STATISTICS`.

    Examples
    --------
    >>> from builders.topology.persistence import persistence
    >>> found = statistics(persistence(np.zeros((1, 3)), 4.0 * np.eye(3)))
    >>> round(found["h0_death_mean"], 3), round(found["h2_birth_mean"], 3), found["h1_count"], len(found) == len(STATISTICS)
    (2.0, 2.828, 2.0, True)
    """
    result: dict[str, float] = {}
    for degree in DEGREES:
        bars = diagrams.extensive[degree]
        length = bars[:, 1] - bars[:, 0]
        total = float(length.sum())
        result[f"h{degree}_count"] = len(bars) / diagrams.n_points
        for of in _OF_BARS[degree]:
            values = {"birth": bars[:, 0], "death": bars[:, 1], "length": length}[of]
            for measure, value in zip(_MEASURES, _measures(values, length, diagrams.n_points), strict=True):
                result[f"h{degree}_{of}_{measure}"] = value
        shares = length / total
        entropy = -float((shares * np.log(shares)).sum()) - float(np.log(diagrams.n_points)) if len(bars) else np.nan
        result[f"h{degree}_entropy"] = entropy
        if degree:
            for k, birth in enumerate(diagrams.essential[degree].tolist(), 1):
                result[f"h{degree}_endless_{k}"] = birth
    return result


def _measures(
    values: NDArray[np.float64], length: NDArray[np.float64], n_points: int
) -> tuple[float, float, float, float, float]:
    if not len(values):
        return 0.0, np.nan, np.nan, np.nan, np.nan
    mean = float(values @ length / length.sum())
    variance = float((values - mean) ** 2 @ length / length.sum())
    return float(values.sum()) / n_points, mean, float(np.sqrt(variance)), float(values.min()), float(values.max())


def vectorise(
    diagrams_by_group: Mapping[str, Diagrams], kind: Kind = "curves", groups: Sequence[str] = GROUPS
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """One row of numbers for a crystal.

    Parameters
    ----------
    diagrams_by_group : mapping
        As :func:`builders.topology.analysis.analyse` returns it.
    kind : {"curves", "stats", "images", "landscapes"}
    groups : sequence of str
        Which groups get columns, in this order.

    Returns
    -------
    names : tuple of str
        ``GROUP_hDEGREE_WHAT``, the same for every crystal; :func:`column` takes them apart.
    values : numpy.ndarray
        shape=(len(names),), float64; nan for groups that the crystal lacks.

    Examples
    --------
    >>> from builders.topology.persistence import persistence
    >>> names, values = vectorise({"all": persistence(np.zeros((1, 3)), 4.0 * np.eye(3))}, "curves", ("all", "ion"))
    >>> names[0], names[-1], len(names), int(np.isnan(values).sum()), column(names[-1])
    ('all_h0_0.5', 'ion_h2_8.0', 316, 158, Column(group='ion', degree=2, what='8.0'))
    """
    if kind not in KINDS:
        raise ValueError(f"Invalid {kind=}, must be one of {', '.join(KINDS)}.")
    labels = LABELS[kind]
    names = tuple(f"{group}_{label}" for group in groups for label in labels)
    missing = np.full(len(labels), np.nan)
    parts = [_MAKERS[kind](diagrams_by_group[g]) if g in diagrams_by_group else missing for g in groups]
    return names, np.concatenate(parts) if parts else np.zeros(0)


def column(name: str) -> Column:
    """Take the name of a column apart.

    Examples
    --------
    >>> column("El:O_h1_death_mean")
    Column(group='El:O', degree=1, what='death_mean')
    """
    group, _, rest = name.partition("_h")
    degree, _, what = rest.partition("_")
    return Column(group, int(degree), what)


def _curves(diagrams: Diagrams) -> NDArray[np.float64]:
    return np.concatenate([betti_curve(diagrams, degree, width=STEP) for degree in DEGREES])


def _stats(diagrams: Diagrams) -> NDArray[np.float64]:
    return np.array(list(statistics(diagrams).values()))


def _images(diagrams: Diagrams) -> NDArray[np.float64]:
    return np.concatenate([persistence_image(diagrams, degree).ravel() for degree in DEGREES])


def _landscapes(diagrams: Diagrams) -> NDArray[np.float64]:
    return np.concatenate([landscape(diagrams, degree, GRID[degree]).ravel() for degree in DEGREES])


_MAKERS: Final[dict[str, Callable[[Diagrams], NDArray[np.float64]]]] = {
    "curves": _curves,
    "stats": _stats,
    "images": _images,
    "landscapes": _landscapes,
}


def _image_labels(degree: int) -> list[str]:
    births, lengths = image_axes(degree)
    return [f"h{degree}_image_{row}_{place}" for row in range(len(births) - 1) for place in range(len(lengths) - 1)]


LABELS: Final[dict[str, tuple[str, ...]]] = {
    "curves": tuple([f"h{degree}_{radius:.1f}" for degree in DEGREES for radius in GRID[degree]]),
    "stats": STATISTICS,
    "images": tuple([label for degree in DEGREES for label in _image_labels(degree)]),
    "landscapes": tuple(
        [f"h{degree}_landscape_{level:g}_{r:.1f}" for degree in DEGREES for level in LEVELS for r in GRID[degree]]
    ),
}
"""Names of the columns of one group, by kind."""
