"""DuplicatesBuilder: the structures of one reduced formula -> ``duplicates``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from builders.engine.builder import IncrementalBuilder
from builders.engine.inputs import GroupInput

if TYPE_CHECKING:
    from builders.engine.inputs import Input


class DuplicatesBuilder(IncrementalBuilder):
    """Link the structures that are one and the same crystal.

    A document stands for a reduced formula with at least two structures. Grouping by formula, and not by hash, means that
    no pair is lost at a boundary of the hash's bins.
    """

    NAME = "duplicates"
    VERSION = 1
    COLLECTION = "duplicates"
    PACKAGES = ("pymatgen", "numpy")
    ITEM_SECONDS = 300.0

    @dataclass(frozen=True)
    class Params:
        """Tolerances of the confirming ``StructureMatcher`` (relative lengths, relative site distance, degrees)."""

        ltol: float = 0.2
        stol: float = 0.3
        angle_tol: float = 5.0

    @classmethod
    def inputs(cls) -> tuple[Input, ...]:
        """Read the structures by formula."""
        projection = {"primitive": 1, "invariants": 1, "structure_hash": 1}
        group = "chemical_formula_reduced"
        return (GroupInput("structures", group=group, smallest=2, projection=projection),)

    def compute(self, key: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """Find the clusters of one formula."""
        import numpy as np

        from builders.structures.duplicates import find_duplicates
        from store.crystal import Crystal

        assert isinstance(self.settings, DuplicatesBuilder.Params)
        members = [
            (
                each["_id"],
                Crystal.from_document(each["primitive"]),
                np.frombuffer(each["invariants"], dtype="<f4"),
                each["structure_hash"],
            )
            for each in inputs["structures"]
        ]
        given = self.settings
        clusters = find_duplicates(members, ltol=given.ltol, stol=given.stol, angle_tol=given.angle_tol)
        return {
            "members": [each[0] for each in members],
            "clusters": [{"representative": names[0], "members": list(names)} for names in clusters],
        }
