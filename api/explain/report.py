"""The answer why a conductivity is predicted: numbers, sentences, pictures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from api.explain.kinds import kinds_of, window_of
from api.explain.words import about, sentence, signed
from store.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from api.explain.kinds import Kind
    from builders.explanation.holes import Holes
    from builders.explanation.model import CurvePart, Explained, ExplainedModel
    from builders.topology.persistence import Diagrams
    from store.crystal import Crystal

SHOWN: Final = 6
"""Curves that are told in words."""


@dataclass(frozen=True, eq=False)
class ExplanationReport:
    """A predicted conductivity taken apart.

    Attributes
    ----------
    name : str
        File, id, or formula.
    formula : str
    crystal : store.crystal.Crystal
    sites : dict
        Group of atoms to site indices.
    diagrams : dict
        Group of atoms to :class:`builders.topology.persistence.Diagrams`.
    explained : builders.explanation.model.Explained
    model : builders.explanation.model.ExplainedModel
    """

    name: str
    formula: str
    crystal: Crystal
    sites: dict[str, NDArray[np.int64]]
    diagrams: dict[str, Diagrams]
    explained: Explained
    model: ExplainedModel

    def __repr__(self) -> str:
        return "\n".join([self.headline(), *self.sentences()])

    @property
    def value(self) -> float:
        """The prediction, log10 S/cm."""
        return self.explained.value

    @cached_property
    def parts(self) -> list[CurvePart]:
        """What the curves add, the most first."""
        return sorted(self.explained.parts, key=lambda part: (-abs(part.contribution), part.group, part.degree))

    @cached_property
    def holes(self) -> dict[tuple[str, int], Holes]:
        """Where the holes of each group and degree are."""
        from builders.explanation.holes import find_holes

        found: dict[tuple[str, int], Holes] = {}
        for group in self.diagrams:
            holes = find_holes(self.crystal.frac_coords[self.sites[group]], self.crystal.lattice)
            found |= {(group, degree): holes[degree] for degree in range(3)}
        return found

    @cached_property
    def kinds(self) -> dict[tuple[str, int], tuple[list[Kind], float]]:
        """Kinds of holes of each group and degree, and what there being none adds."""
        return {
            (part.group, part.degree): kinds_of(part, self.holes.get((part.group, part.degree))) for part in self.parts
        }

    def headline(self) -> str:
        """Say the prediction."""
        return f"{self.formula}: log10 of the conductivity {self.value:.2f} (S/cm, room temperature)"

    def sums(self) -> str:
        """Say how the prediction is made up."""
        found = self.explained
        shape = sum(part.contribution for part in found.parts)
        return (
            f"{self.value:.2f} = {found.expected:.2f} (a compound of which nothing is known) {signed(found.composition)} "
            f"(its elements) {signed(shape)} (its holes)"
        )

    def trust(self) -> str:
        """Say how good the explained model is."""
        scores = self.model.card["scores"]
        own, constant = scores["curves and composition"], scores["constant"]
        return (
            f"explained is {self.model.id}: mean error {own['mae']:.2f} on compositions it has not seen "
            f"(a constant: {constant['mae']:.2f}); what it says is a correlation, no cause"
        )

    def sentences(self, most: int = SHOWN) -> list[str]:
        """Say what raises and lowers the prediction, the most important first."""
        told = [sentence(part, *self.kinds[part.group, part.degree]) for part in self.parts[:most]]
        rest = sum(part.contribution for part in self.parts[most:])
        return [self.sums(), *told, f"all other holes together: {signed(rest)}", self.trust()]

    def table(self) -> list[list[str]]:
        """All curves: holes, contribution, radii."""
        rows = []
        for part in self.parts:
            window = window_of(part)
            known = window.holes == window.holes
            rows.append(
                [
                    about(part.group, part.degree),
                    signed(part.contribution),
                    f"{window.low:.1f} to {window.high:.1f}",
                    f"{window.holes:.2f}" if known else "–",
                    f"{window.usual:.2f}",
                ]
            )
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Everything, in keys that stay: numbers, text, lists and dictionaries only."""
        return {
            "name": self.name,
            "formula": self.formula,
            "model": self.model.id,
            "unit": "log10 S/cm",
            "value": self.value,
            "expected": self.explained.expected,
            "composition": self.explained.composition,
            "scores": self.model.card["scores"],
            "curves": [self._part(part) for part in self.parts],
            "sentences": self.sentences(),
        }

    def _part(self, part: CurvePart) -> dict[str, Any]:
        kinds, absence = self.kinds[part.group, part.degree]
        holes, sites = self.holes.get((part.group, part.degree)), self.sites.get(part.group)
        window = window_of(part)
        return {
            "group": part.group,
            "degree": part.degree,
            "contribution": part.contribution,
            "window": {
                "low": window.low,
                "high": window.high,
                "contribution": window.contribution,
                "peak": window.peak,
                "holes_per_atom": window.holes if window.holes == window.holes else None,
                "usual": window.usual,
            },
            "radii": part.grid.tolist(),
            "by_radius": part.columns.tolist(),
            "absence": absence,
            "holes": [
                {
                    "birth": kind.birth,
                    "death": kind.death,
                    "count": kind.count,
                    "contribution": kind.contribution,
                    "centres": [] if holes is None else holes.centres[kind.members].tolist(),
                    "sites": [] if holes is None or sites is None else sites[holes.points[kind.members]].tolist(),
                }
                for kind in kinds
            ],
        }

    def png(self, path: str | Path) -> Path:
        """Draw diagrams, contributions and the holes in the crystal as a PNG file.

        Raises
        ------
        UsageError
            The file cannot be written.
        """
        from api.explain.pictures import explanation_picture

        return explanation_picture(self, path)

    def html(self, path: str | Path) -> Path:
        """Write a page that shows the same in any browser, without a network.

        Raises
        ------
        UsageError
            The file cannot be written.
        """
        from api.explain.page import explanation_page

        return explanation_page(self, path)


def make_report(name: str | None, crystal: Crystal, model: ExplainedModel) -> ExplanationReport:
    """Analyse a crystal and take its prediction apart.

    Raises
    ------
    UsageError
        There is no lithium in it.
    FeatureError, StructureError
        It cannot be analysed.
    """
    from builders.explanation.features import ION
    from builders.structures.formulas import describe_composition, formula_units
    from builders.topology.analysis import analyse
    from builders.topology.groups import groups_of

    formula = describe_composition(crystal.amounts(), formula_units(crystal.species)).formula
    if ION not in crystal.amounts():
        raise UsageError(
            f"{name or formula} holds no lithium: conductivities of lithium are what is explained.",
            mend="name a crystal that holds Li",
        )
    diagrams = analyse(crystal, ION)
    sites = {group: found for group, found in groups_of(crystal, ION).items() if group in diagrams}
    return ExplanationReport(
        name or formula, formula, crystal, sites, diagrams, model.explain(crystal.amounts(), diagrams), model
    )
