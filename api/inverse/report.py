"""Answers of inverse retrieval: for people and for programs."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from indexes.inverse.search import InverseCandidate

HEADINGS = [
    ("rank", True),
    ("composition", False),
    ("probability", True),
    ("score", True),
    ("known", False),
    ("oxidation states", False),
    ("nearest compounds with this prototype", False),
]


@dataclass(frozen=True, eq=False)
class InverseReport:
    """Compositions that could take a structure.

    Attributes
    ----------
    name : str
        File or id of the structure.
    formula : str
        What it is made of.
    candidates : list of InverseCandidate
        :class:`indexes.inverse.search.InverseCandidate`, the likeliest first.
    n_known : int
        Structures whose compositions were looked among.
    """

    name: str
    formula: str
    candidates: list[InverseCandidate]
    n_known: int

    @property
    def notes(self) -> tuple[str, ...]:
        """What must be known beside the numbers."""
        told = []
        if not self.candidates:
            told.append(
                "No composition fits: the store holds none of this stoichiometry. --elements names elements to make new ones of."
            )
        elif any(not each.known for each in self.candidates):
            told.append(
                "Probabilities are calibrated on compounds that exist: of new compositions they say which would take the "
                "structure, not whether the compound can be made."
            )
        return tuple(told)

    def headline(self) -> str:
        """Say in a line what was found."""
        count = len(self.candidates)
        what = "no composition" if not count else f"{count} composition{'s' if count > 1 else ''}"
        return f"{self.name} ({self.formula}): {what} that could take this structure"

    def rows(self) -> list[dict[str, Any]]:
        """One plain row a candidate."""
        rows = []
        for each in self.candidates:
            row = asdict(each)
            row["probability"] = None if math.isnan(each.probability) else each.probability
            row["nearest_known"] = [known._asdict() for known in each.nearest_known]
            rows.append(row)
        return rows

    def table(self) -> tuple[list[tuple[str, bool]], list[list[str]]]:
        """Headings and cells for a screen."""
        rows = []
        for each in self.candidates:
            states = each.oxidation_states
            known = "no"
            if each.known:
                known = f"{'this structure' if each.has_prototype else 'another structure'}, {each.known_ids[0]}"
            rows.append(
                [
                    str(each.rank),
                    each.formula,
                    "–" if math.isnan(each.probability) else f"{each.probability:.2f}",
                    f"{each.score:.3f}",
                    known,
                    "–" if states is None else " ".join(f"{symbol}{state:+g}" for symbol, state in states.items()),
                    ", ".join(f"{near.formula} ({near.id})" for near in each.nearest_known) or "–",
                ]
            )
        return HEADINGS, rows
