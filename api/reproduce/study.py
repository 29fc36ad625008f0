"""The study run on the user's hops: what came out, beside what was published."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from api.reproduce.domain import Domain
from api.reproduce.fits import FRAMEWORK, PUBLISHED
from api.reproduce.hops import HIGHEST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from api.reproduce.crystals import Measured
    from api.reproduce.domain import Judgement
    from api.reproduce.fits import Fit
    from api.reproduce.hops import Hops
    from api.reproduce.published import Boundary, Published, PublishedPath

PRIMARY: Final = ("R_sd", "r_chan", "P_length")
"""The first three of the six descriptors as they are written for people; the others are sums and ratios of them."""
TUNED: Final = "tuned"
NO_FINAL_MODEL: Final = (
    "The migration-energy model of ionatlas is not in table 2: it needs the crystal around the path, not six numbers; "
    "ionatlas predict migration-energy takes a CIF."
)


class Prediction(NamedTuple):
    """A row of our Table 2.

    Attributes
    ----------
    published : PublishedPath
        The row it stands beside.
    origin : str
        "published", or the file whose crystal the descriptors were measured in.
    r_sd, r_chan, p_length : float
        Å.
    svr : float
        eV, of the stated seed; never below zero.
    clipped : bool
        Whether the SVR itself said less than zero.
    svr_lowest, svr_highest : float
        eV; smallest and largest of all seeds, never below zero.
    ordinal : str
        Most probable range, eV.
    judged : Judgement
        Whether the path is like those learnt from.
    """

    published: PublishedPath
    origin: str
    r_sd: float
    r_chan: float
    p_length: float
    svr: float
    clipped: bool
    svr_lowest: float
    svr_highest: float
    ordinal: str
    judged: Judgement


class Setting(NamedTuple):
    """A row of our Table 4.

    Attributes
    ----------
    published : Boundary
    C, degree, coef0, accuracy : float or None
        Ours; None where the classifier is a constant: too few hops on one side, or nothing to tell the sides by.
    majority : float
        Accuracy of always naming the side with more training hops.
    """

    published: Boundary
    C: float | None
    degree: int | None
    coef0: float | None
    accuracy: float | None
    majority: float


@dataclass(frozen=True, eq=False)
class Reproduction:
    """The study on the user's hops.

    Attributes
    ----------
    hops : Hops
    published : Published
    seeds : range
        The first is the stated seed: its split gives tables 2, 4, 5 and figure 4.
    fits : dict
        ``{split: fits}``, a fit a seed.
    table2 : tuple of Prediction
    table4 : tuple of Setting
    """

    hops: Hops
    published: Published
    seeds: range
    fits: dict[str, list[Fit]]
    table2: tuple[Prediction, ...]
    table4: tuple[Setting, ...]

    @property
    def reference(self) -> Fit:
        """The fit of the stated seed to the published split."""
        return self.fits[PUBLISHED][0]

    def headline(self) -> str:
        """What it was run on."""
        seeds = f"seeds {self.seeds[0]} to {self.seeds[-1]}" if len(self.seeds) > 1 else f"seed {self.seeds[0]}"
        return (
            f"{len(self.hops)} hops of lithium with 0 < E_m <= {HIGHEST} eV in {len(np.unique(self.hops.groups))} frameworks, "
            f"from {self.hops.source}; {seeds}"
        )

    @property
    def differs(self) -> str:
        """In one sentence, why our numbers cannot be theirs."""
        known, all_ = self.published.in_two_families(), self.published.channels
        return (
            f"The study's {all_} channels ({known} of them in two families, disordered rock salts and garnets) are not public: "
            f"what stands here was learnt from {len(self.hops)} other hops, in {len(np.unique(self.hops.groups))} frameworks."
        )

    def seen(self, split: str) -> float:
        """Mean share of the test hops whose framework is among those learnt from."""
        return float(np.mean([fit.seen for fit in self.fits[split]]))

    def notes(self) -> list[str]:
        """Further sentences that the tables need."""
        told = [
            f"Under the published split {self.seen(PUBLISHED):.0%} of the test hops share their framework with hops learnt from."
        ]
        if not self.fits[FRAMEWORK]:
            told.append("There are too few frameworks to keep some out: the split by framework is left out.")
        outside = [row for row in self.table2 if not row.judged.inside]
        told += [f"{_named(row)}: out of domain: {'; '.join(row.judged.reasons)}." for row in outside]
        if any(row.clipped for row in self.table2):
            told.append("A prediction marked 0* was below zero, which no barrier can be: it says nothing.")
        constant = [f"{row.published.boundary:g}" for row in self.table4 if row.accuracy is None]
        if constant:
            told.append(
                f"No classifier could be tuned at {', '.join(constant)} eV (fewer than five hops on one side, or nothing to tell "
                "the sides by): the share of hops below stands for it."
            )
        told.append(NO_FINAL_MODEL)
        if len(self.hops.methods) > 1 or len(self.hops.definitions) > 1:
            told.append(
                f"The barriers are of several kinds: {_counted(self.hops.methods)}; defined as {_counted(self.hops.definitions)}."
            )
        return told

    @staticmethod
    def svr_setting(fit: Fit) -> dict[str, float]:
        """C, degree and epsilon (eV) that the SVR of a fit chose."""
        return {name: fit.svr.best_params_[name] for name in ("C", "degree", "epsilon")}

    def to_dict(self) -> dict[str, Any]:
        """Everything, for programs; energies in eV, lengths in Å.

        Examples
        --------
        >>> result.to_dict()["table5"]                                          # doctest: +SKIP
        {'published': {'C': 0.1, 'degree': 1, 'epsilon': 0.034}, 'ours': {...}, 'over_seeds': [...]}
        """
        from api.reproduce.plain import as_dict

        return as_dict(self)

    def figures(self, folder: str | Path) -> list[Path]:
        """Draw figures 3 and 4 into a folder.

        Returns
        -------
        list of pathlib.Path
            ``figure3.png`` and ``figure4.png``.

        Raises
        ------
        UsageError
            They cannot be written.
        """
        from api.reproduce.figures import dependence_figure, parity_figure

        return [
            dependence_figure(self.hops, Path(folder) / "figure3.png"),
            parity_figure(self.hops, self.reference, Path(folder) / "figure4.png"),
        ]


def conclude(
    hops: Hops, published: Published, seeds: range, fits: dict[str, list[Fit]], measured: Sequence[Measured]
) -> Reproduction:
    """Make the tables of the fits.

    Parameters
    ----------
    hops : Hops
    published : Published
    seeds : range
    fits : dict
        From :func:`api.reproduce.fits.fit_all`.
    measured : sequence of Measured
        Paths of Table 2 measured in the user's crystals.
    """
    rows = [(path, "published", path.r_sd, path.r_chan, path.p_length) for path in published.table2]
    for each in measured:
        place = 1 + max(number for number, row in enumerate(rows) if row[0] is each.published)
        rows.insert(place, (each.published, each.file, each.r_sd, each.r_chan, each.p_length))
    return Reproduction(
        hops=hops,
        published=published,
        seeds=seeds,
        fits=fits,
        table2=_predictions(hops, fits[PUBLISHED], rows),
        table4=_settings(hops, fits[PUBLISHED][0], published),
    )


def _predictions(
    hops: Hops, fits: list[Fit], rows: list[tuple[PublishedPath, str, float, float, float]]
) -> tuple[Prediction, ...]:
    from api.reproduce.published import six

    descriptors = np.array([six(*row[2:]) for row in rows])
    first = fits[0]
    raw = np.array([np.ravel(fit.svr.predict(descriptors)) for fit in fits], dtype=np.float64)
    energies = np.maximum(raw, 0.0)
    ranges = range_names(first.ordinal.boundaries_)
    likeliest = first.ordinal.predict_range(descriptors)
    judged = Domain.of(hops.descriptors[first.train], PRIMARY).judge(descriptors)
    return tuple(
        Prediction(
            published=path,
            origin=origin,
            r_sd=r_sd,
            r_chan=r_chan,
            p_length=p_length,
            svr=float(energies[0, number]),
            clipped=bool(raw[0, number] < 0),
            svr_lowest=float(energies[:, number].min()),
            svr_highest=float(energies[:, number].max()),
            ordinal=ranges[int(likeliest[number])],
            judged=judged[number],
        )
        for number, (path, origin, r_sd, r_chan, p_length) in enumerate(rows)
    )


def range_names(boundaries: NDArray[np.float64] | Sequence[float]) -> list[str]:
    """Names of the ranges between boundaries, as the study writes them.

    Examples
    --------
    >>> range_names([0.1, 0.2, 0.3])
    ['<0.1', '0.1-0.2', '0.2-0.3', '>0.3']
    """
    told = [f"{float(value):g}" for value in boundaries]
    return [f"<{told[0]}", *(f"{low}-{high}" for low, high in pairwise(told)), f">{told[-1]}"]


def _settings(hops: Hops, fit: Fit, published: Published) -> tuple[Setting, ...]:
    barrier = hops.barrier[fit.train]
    chosen = {round(float(each["boundary"]), 6): each for each in fit.ordinal.settings_}
    rows = []
    for row in published.table4:
        below = float((barrier < row.boundary).mean())
        majority = max(below, 1.0 - below)
        ours = chosen[round(row.boundary, 6)]
        if ours["rule"] == TUNED:
            rows.append(Setting(row, ours["C"], ours["degree"], ours["coef0"], ours["accuracy"], majority))
        else:
            rows.append(Setting(row, None, None, None, None, majority))
    return tuple(rows)


def _named(row: Prediction) -> str:
    where = "" if row.origin == "published" else f", from {row.origin}"
    return f"{row.published.compound} {row.published.path}{where}"


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in counts.items())
