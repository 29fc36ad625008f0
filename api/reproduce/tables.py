"""Tables 1, 2, 4 and 5 as rows of text, ours beside the published numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from api.reproduce.fits import FRAMEWORK, METRICS, MODELS, PUBLISHED, summary

if TYPE_CHECKING:
    from api.reproduce.fits import Score
    from api.reproduce.study import Prediction, Reproduction

NOTHING = "–"
_NAMES = {"svr": "SVR", "ordinal": "ordinal", "constant": "constant"}
_METRICS = {"mae": "MAE [eV]", "rmse": "RMSE [eV]", "r2": "R²"}


class Table(NamedTuple):
    """A table to print.

    Attributes
    ----------
    title : str
    headings : tuple of (str, bool)
        Heading, and whether the column holds numbers.
    rows : tuple
    """

    title: str
    headings: tuple[tuple[str, bool], ...]
    rows: tuple[tuple[str, ...], ...]


def tables(result: Reproduction) -> list[Table]:
    """Make the tables of a reproduction.

    Examples
    --------
    >>> [table.title.split(":")[0] for table in tables(result)]                 # doctest: +SKIP
    ['Table 1', 'Table 2', 'Table 4', 'Table 5']
    """
    return [_table1(result), _table2(result), _table4(result), _table5(result)]


def _table1(result: Reproduction) -> Table:
    count = len(result.seeds)
    over = f"mean ± standard deviation over {count} seeds" if count > 1 else f"seed {result.seeds[0]}"
    headings = ["published: train", "test", "ours, same split: train", "test", "by framework: train", "test"]
    same, grouped = (summary(fits) if (fits := result.fits[split]) else None for split in (PUBLISHED, FRAMEWORK))
    rows = []
    for model in MODELS:
        for metric in METRICS:
            printed = result.published.table1.get(model, {}).get(metric)
            cells = [NOTHING, NOTHING] if printed is None else [f"{value:.3f}" for value in printed]
            for scores in (same, grouped):
                cells += (
                    [NOTHING, NOTHING] if scores is None else [_score(each, count) for each in scores[model][metric]]
                )
            rows.append((_NAMES[model], _METRICS[metric], *cells))
    return Table(
        f"Table 1: errors of the models; ours are {over}",
        (("model", False), ("", False), *((heading, True) for heading in headings)),
        tuple(rows),
    )


def _score(score: Score, count: int) -> str:
    if not math.isfinite(score.mean):  # R² of barriers that are all the same
        return NOTHING
    return f"{score.mean:.3f} ± {score.spread:.3f}" if count > 1 else f"{score.mean:.3f}"


def _table2(result: Reproduction) -> Table:
    headings = (
        ("compound", False), ("path", False), ("P_length", True), ("R_sd", True), ("r_chan", True), ("published SVR", True),
        ("ordinal", True), ("our SVR", True), ("our ordinal", True), ("literature", True), ("domain", False),
    )  # fmt: skip
    many = len(result.seeds) > 1
    seeds = f"; in brackets the range of {len(result.seeds)} seeds" if many else ""
    return Table(
        f"Table 2: barriers in eV from the published descriptors in Å{seeds}",
        headings,
        tuple(
            (
                row.published.compound if row.origin == "published" else f"  {row.origin}",
                row.published.path,
                f"{row.p_length:.3f}",
                f"{row.r_sd:.3f}",
                f"{row.r_chan:.3f}",
                f"{row.published.svr:.2f}",
                row.published.ordinal,
                _energy(row, many),
                row.ordinal,
                row.published.literature,
                "inside" if row.judged.inside else "OUTSIDE",
            )
            for row in result.table2
        ),
    )


def _energy(row: Prediction, many: bool) -> str:
    told = "0*" if row.clipped else f"{row.svr:.2f}"
    return f"{told} ({row.svr_lowest:.2f}-{row.svr_highest:.2f})" if many else told


def _table4(result: Reproduction) -> Table:
    headings = (
        ("boundary [eV]", True), ("published C", True), ("degree", True), ("coef0", True), ("accuracy", True), ("our C", True),
        ("degree", True), ("coef0", True), ("accuracy", True), ("majority", True),
    )  # fmt: skip
    rows = []
    for row in result.table4:
        theirs = row.published
        ours = [NOTHING] * 4
        if row.accuracy is not None:
            ours = [f"{row.C:g}", f"{row.degree}", f"{row.coef0:g}", f"{row.accuracy:.3f}"]
        rows.append(
            (
                f"{theirs.boundary:g}",
                f"{theirs.C:g}",
                f"{theirs.degree}",
                f"{theirs.coef0:g}",
                f"{theirs.accuracy:.3f}",
                *ours,
                f"{row.majority:.3f}",
            )
        )
    return Table(
        f"Table 4: classifiers of the ordinal regression, seed {result.seeds[0]}; accuracy in five folds, beside that of always "
        "naming the larger side",
        headings,
        tuple(rows),
    )


def _table5(result: Reproduction) -> Table:
    theirs, ours = result.published.table5, result.svr_setting(result.reference)
    return Table(
        f"Table 5: hyperparameters of the SVR, seed {result.seeds[0]}",
        (("", False), ("C", True), ("degree", True), ("epsilon [eV]", True)),
        tuple(
            (name, f"{each['C']:g}", f"{each['degree']:g}", f"{each['epsilon']:g}")
            for name, each in (("published", theirs), ("ours", ours))
        ),
    )
