"""Answers of structure prediction: for people, for programs, as files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from store.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from pymatgen.core.structure import Structure

    from builders.templates.candidates import Candidate
    from indexes.templates.predict import Prediction

HEADINGS = [
    ("rank", True),
    ("probability", True),
    ("space group", False),
    ("template", False),
    ("elements replaced", False),
    ("atoms", True),
    ("volume [Å^3/atom]", True),
]
ENERGY_HEADING = ("energy [eV/atom]", True)


@dataclass(frozen=True, eq=False)
class StructurePrediction:
    """Predicted structures of one formula.

    Attributes
    ----------
    formula : str
        Reduced.
    candidates : list of Candidate
        The likeliest first (:class:`builders.templates.candidates.Candidate`).
    n_templates : int
        Templates of the stoichiometry.
    notes : tuple of str
        What must be known beside the numbers.
    seconds : float
    """

    formula: str
    candidates: list[Candidate]
    n_templates: int
    notes: tuple[str, ...]
    seconds: float

    @classmethod
    def of(cls, found: Prediction, notes: tuple[str, ...] = ()) -> StructurePrediction:
        """Make the answer of what the index found."""
        return cls(found.query.formula, found.candidates, found.n_class, (*notes, *found.notes), found.seconds)

    def structure(self, rank: int = 1) -> Structure:
        """Return a candidate as pymatgen ``Structure``: its primitive cell.

        Raises
        ------
        UsageError
            There is no candidate of this rank.
        """
        return self._candidate(rank).crystal.to_pymatgen()

    def cif(self, rank: int = 1) -> str:
        """Write a candidate as CIF, with template, mapping, score, energy and method among its data items."""
        from builders.templates.cif import write_cif

        each = self._candidate(rank)
        about = {
            "template_id": each.template_id,
            "template_formula": each.template_formula,
            "template_derived": "yes" if each.derived else None,
            "element_mapping": each.mapping,
            "rank": each.rank,
            "probability": float(f"{each.probability:.4g}"),
            "score": float(f"{each.score:.6g}"),
            "energy_per_atom": each.energy,
            "energy_method": each.method,
        }
        return write_cif(each.crystal, about, name=f"{self.formula}_{rank}")

    def _candidate(self, rank: int) -> Candidate:
        if not 1 <= rank <= len(self.candidates):
            raise UsageError(f"There is no candidate {rank} of {self.formula}: {len(self.candidates)} were found.")
        return self.candidates[rank - 1]

    def rows(self) -> list[dict[str, Any]]:
        """One plain row a candidate, with its CIF."""
        return [
            {
                "formula": self.formula,
                "rank": each.rank,
                "probability": each.probability,
                "space_group": each.space_group_number,
                "space_group_symbol": each.space_group_symbol,
                "template": each.template_id,
                "template_formula": each.template_formula,
                "derived": each.derived,
                "mapping": each.mapping,
                "volume_per_atom": each.volume_per_atom,
                "energy": each.energy,
                "method": each.method,
                "warnings": list(each.warnings),
                "cif": self.cif(each.rank),
            }
            for each in self.candidates
        ]

    def headline(self) -> str:
        """Say in a line what was found."""
        count = len(self.candidates)
        what = "no structure" if not count else f"{count} structure{'s' if count > 1 else ''}"
        return (
            f"{self.formula}: {what}, from {self.n_templates:,} templates of its stoichiometry, in {self.seconds:.2f} s"
        )

    def table(self) -> tuple[list[tuple[str, bool]], list[list[str]]]:
        """Headings and cells for a screen."""
        energies = any(each.energy is not None for each in self.candidates)
        rows = []
        for each in self.candidates:
            replaced = ", ".join(f"{ours} for {theirs}" for ours, theirs in each.mapping.items() if ours != theirs)
            cells = [
                str(each.rank),
                f"{each.probability:.2f}",
                f"{each.space_group_symbol} ({each.space_group_number})",
                f"{each.template_id} {each.template_formula}{', derived' if each.derived else ''}",
                replaced or "none",
                str(each.crystal.n_sites),
                f"{each.volume_per_atom:.2f}",
            ]
            rows.append([*cells, "–" if each.energy is None else f"{each.energy:.3f}"] if energies else cells)
        return [*HEADINGS, ENERGY_HEADING] if energies else list(HEADINGS), rows

    def write(self, folder: Path) -> list[Path]:
        """Write every candidate as ``FORMULA_RANK.cif`` into a folder, each whole or not at all."""
        from api.whole_files import written_whole

        folder.mkdir(parents=True, exist_ok=True)
        name = "".join(c for c in self.formula if c.isalnum() or c == ".")
        width = len(str(len(self.candidates)))
        made = []
        for each in self.candidates:
            path = folder / f"{name}_{each.rank:0{width}d}.cif"
            with written_whole(path) as part:
                part.write_text(self.cif(each.rank), encoding="utf-8")
            made.append(path)
        return made
