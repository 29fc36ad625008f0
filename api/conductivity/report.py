"""The answer about a crystal: how well it conducts lithium ions, in numbers and words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

_KNOWN: Final = {
    "structure": "from composition and structure",
    "cell": "from composition and cell: its lithium sites could not be described",
    "composition": "from the composition alone",
}


@dataclass(frozen=True)
class ConductivityReport:
    """A predicted conductivity of lithium ions at room temperature.

    Attributes
    ----------
    name : str
        File, id, or formula.
    formula : str
    value, lower, upper : float
        log10 of S/cm; the ends of the 90 % interval.
    in_domain : bool
        Whether the compound is like those that the model was trained on.
    distance : float
        From those, in the model's measure.
    reason : str
        Why it is out of the domain; empty inside.
    known : str
        structure, cell or composition: what the prediction was made from.
    model : str
        The model's id.

    Examples
    --------
    >>> print(ConductivityReport("a.cif", "Li3N", -3.0, -5.0, -2.0, True, 0.5, "", "structure", "conductivity-1"))
    Li3N: 1.0e-03 S/cm at room temperature (log10 -3.0; 90 %: -5.0 to -2.0), predicted by conductivity-1
    from composition and structure; inside the model's domain
    """

    name: str
    formula: str
    value: float
    lower: float
    upper: float
    in_domain: bool
    distance: float
    reason: str
    known: str
    model: str

    def __str__(self) -> str:
        return "\n".join(self.sentences())

    def sentences(self) -> list[str]:
        """The answer in words."""
        inside = "inside the model's domain" if self.in_domain else f"outside the model's domain: {self.reason}"
        return [
            f"{self.formula}: {10.0**self.value:.1e} S/cm at room temperature (log10 {self.value:.1f}; 90 %: "
            f"{self.lower:.1f} to {self.upper:.1f}), predicted by {self.model}",
            f"{_KNOWN[self.known]}; {inside}",
        ]

    def row(self) -> dict[str, Any]:
        """The answer as a row for programs, the same as those of files of compounds."""
        answer: dict[str, Any] = {
            "id": self.name,
            "formula": self.formula,
            "value": self.value,
            "lower": self.lower,
            "upper": self.upper,
            "in_domain": self.in_domain,
            "distance": self.distance,
            "known": self.known,
            "model": self.model,
        }
        if self.reason:
            answer["reason"] = self.reason
        return answer
