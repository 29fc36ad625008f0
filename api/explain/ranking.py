"""The ranking of the holes over all compounds, and training of the model that is explained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from api.explain.words import HOLE_NAMES, about

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from api.service import Service
    from builders.explanation.model import ExplainedModel

    Progress = Callable[[str, int, int], None]

HEADINGS: Final = (
    ("holes", False),
    ("mean |contribution|", True),
    ("95 % interval", False),
    ("more of them", False),
)
_STRONG: Final = 0.2
"""Rank correlation from which a direction is told."""


@dataclass(frozen=True, eq=False)
class GlobalRanking:
    """How much the holes of each kind of atoms matter over all compounds.

    Attributes
    ----------
    card : dict
        Of the model: data, protocol, scores, rankings.
    """

    card: dict[str, Any]

    def headline(self) -> list[str]:
        """Say on what the ranking rests."""
        data, scores = self.card["data"], self.card["scores"]
        told = ", ".join(
            f"{name} {found['mae']:.2f} [{found['mae_interval'][0]:.2f}, {found['mae_interval'][1]:.2f}]"
            for name, found in scores.items()
        )
        return [
            f"{data['compounds']:,} compounds of {data['compositions']:,} compositions; {self.card['protocol']}",
            f"mean error on compositions not seen, log10 S/cm: {told}",
        ]

    def table(self, key: str = "ranking") -> list[list[str]]:
        """Rows: holes, importance, interval, direction."""
        return [
            [
                hole_name(each["name"]),
                f"{each['importance']:.3f}",
                f"{each['lower']:.3f} to {each['upper']:.3f}",
                _direction(each["direction"]),
            ]
            for each in self.card[key]
        ]

    def to_dict(self) -> dict[str, Any]:
        """The card."""
        return dict(self.card)


def hole_name(label: str) -> str:
    """Name what a label of :mod:`builders.explanation.features` stands for.

    Examples
    --------
    >>> hole_name("ion_h1"), hole_name("composition")
    ('loops among the lithium', 'the elements')
    """
    group, _, degree = label.rpartition("_h")
    return about(group, int(degree)) if group and int(degree) < len(HOLE_NAMES) else "the elements"


def _direction(value: float | None) -> str:
    if value is None:
        return "–"
    word = "raise" if value > _STRONG else "lower" if value < -_STRONG else "either way"
    return f"{word} ({value:+.2f})"


def rank_conductivity(
    source: str | Path | None = None,
    *,
    model: Path | None = None,
    seed: int = 0,
    service: Callable[[], Service] | None = None,
    progress: Progress | None = None,
) -> GlobalRanking:
    """Rank the holes of all kinds of atoms by how much they move predictions of conductivities.

    Parameters
    ----------
    source : str or pathlib.Path, optional
        A file of conductivities with structures, to make the ranking anew; by default that of the model's card.
    model : pathlib.Path, optional
        A folder that ``ionatlas train explanation`` wrote.
    seed : int
    service, progress : callable, optional

    Raises
    ------
    UsageError
        No such file, no structures in it, no model.

    Examples
    --------
    >>> rank_conductivity().table()[0][0]
    'the elements'
    """
    if source is None:
        from builders.explanation.model import load_explained

        return GlobalRanking(load_explained(model).card)
    return GlobalRanking(train_explanation(source, seed=seed, service=service, progress=progress).card)


def train_explanation(
    source: str | Path | None,
    folder: Path | None = None,
    *,
    seed: int = 0,
    service: Callable[[], Service] | None = None,
    progress: Progress | None = None,
) -> ExplainedModel:
    """Train the model that is explained, on conductivities with structures.

    Parameters
    ----------
    source : str or pathlib.Path or None
        A file; None for the store.
    folder : pathlib.Path, optional
        Where trees and card are written.
    seed : int
    service, progress : callable, optional

    Raises
    ------
    UsageError
        No such file, too few compounds, or the folder cannot be written.
    """
    from api.explain.rows import gather_compounds
    from builders.explanation.model import save_explained
    from builders.explanation.train import train

    found = gather_compounds(source, service, progress)

    def step(done: int, total: int) -> None:
        if progress is not None:
            progress("training", done, total)

    about_data = {
        "name": found.source,
        "left_out": found.excluded,
        "bounds": "a value below a bound is taken as the bound",
    }
    made = train(found.rows, seed, step, about_data)
    if folder is not None:
        save_explained(made, folder)
    return made
