"""The published numbers that ours stand beside: tables 1 to 5 of Osipov et al. 2023.

They are facts, copied by hand from the article into ``data/osipov2023.json`` (https://doi.org/10.31857/S2686954323601033).
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

DATA: Final = Path(__file__).parent / "data" / "osipov2023.json"
METRICS: Final = ("mae", "rmse", "r2")
MODELS: Final = ("svr", "ordinal")


class PublishedPath(NamedTuple):
    """A row of the published Table 2: a path that the study's models were tried on.

    Attributes
    ----------
    compound : str
    path : str
        The path's name in the source of the literature value.
    p_length, r_sd, r_chan : float
        Å, as published.
    ordinal : str
        Published range of the ordinal regression, eV: "0.4-0.5", ">1.4".
    svr : float
        Published prediction of the support-vector regression, eV; below zero for two paths.
    literature : str
        Literature value as printed, eV; may be a range or a lower bound.
    reference : int
        Number of its source in the article.
    """

    compound: str
    path: str
    p_length: float
    r_sd: float
    r_chan: float
    ordinal: str
    svr: float
    literature: str
    reference: int

    def descriptors(self) -> tuple[float, ...]:
        """The six descriptors, in the order of ``builders.barriers.study.NAMES``.

        Examples
        --------
        >>> row = load().table2[0]
        >>> row.compound, [round(value, 3) for value in row.descriptors()]
        ('LiFePO4', [1.385, 1.743, 3.003, 3.128, 2.168, 1.723])
        """
        return six(self.r_sd, self.r_chan, self.p_length)


class Boundary(NamedTuple):
    """A row of the published Table 4: the classifier at one boundary of the ordinal regression."""

    boundary: float
    C: float
    degree: int
    coef0: float
    accuracy: float


class Published(NamedTuple):
    """Numbers of the article.

    Attributes
    ----------
    citation, doi : str
    channels : int
        Hops that the study learnt from.
    table1 : dict
        ``{model: {metric: (train, test)}}``; MAE and RMSE in eV.
    table2 : tuple of PublishedPath
    table3 : tuple of (str, int, str)
        Formula, number of channels, space group.
    table4 : tuple of Boundary
    table5 : dict
        C, degree and epsilon (eV) of the SVR.
    """

    citation: str
    doi: str
    channels: int
    table1: dict[str, dict[str, tuple[float, float]]]
    table2: tuple[PublishedPath, ...]
    table3: tuple[tuple[str, int, str], ...]
    table4: tuple[Boundary, ...]
    table5: dict[str, float]

    def in_two_families(self) -> int:
        """Channels of the two families that most of the training set comes from: disordered rock salts and garnets.

        Examples
        --------
        >>> load().in_two_families(), load().channels
        (188, 225)
        """
        return sum(count for _, count, group in self.table3 if group in ("Fm-3m", "Ia-3d", "I4_1/acd"))


@lru_cache(maxsize=1)
def load() -> Published:
    """Read the published numbers.

    Examples
    --------
    >>> load().table1["svr"]["mae"]  # train, test, eV
    (0.1421, 0.1326)
    >>> load().table5
    {'C': 0.1, 'degree': 1, 'epsilon': 0.034}
    """
    held: dict[str, Any] = json.loads(DATA.read_text(encoding="utf-8"))
    rows = {row["metric"].lower(): row for row in held["table1"]}
    return Published(
        citation=held["citation"],
        doi=held["doi"],
        channels=held["protocol"]["channels"],
        table1={
            model: {metric: (rows[metric][f"{model}_train"], rows[metric][f"{model}_test"]) for metric in METRICS}
            for model in MODELS
        },
        table2=tuple(PublishedPath(**row) for row in held["table2"]),
        table3=tuple((row["formula"], row["channels"], row["space_group"]) for row in held["table3"]),
        table4=tuple(Boundary(**row) for row in held["table4"]),
        table5=held["table5"],
    )


def six(r_sd: float, r_chan: float, p_length: float) -> tuple[float, ...]:
    """The study's six descriptors of a hop: R_sd, r_chan, P_length, R_sd + r_chan (Å), P_length/R_sd, P_length/r_chan.

    Examples
    --------
    >>> six(1.5, 2.0, 3.0)
    (1.5, 2.0, 3.0, 3.5, 2.0, 1.5)
    """
    return (r_sd, r_chan, p_length, r_sd + r_chan, p_length / r_sd, p_length / r_chan)
