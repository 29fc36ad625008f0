"""The answer of a comparison: tables, words, plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from builders.learning.comparison import ranked
from builders.learning.contenders import CONSTANT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.compare.rows import Rows
    from builders.learning.comparison import Effort, Line

HEADINGS: Final = (
    ("model", False),
    ("MAE [log10 S/cm]", True),
    ("95 % interval", False),
    ("R2", True),
    ("Spearman", True),
    ("time [s]", True),
    ("memory [MB]", True),
)
_RULES: Final = {
    "keep": "a value below a bound is taken as the bound",
    "drop": "values of which only a bound is known are left out",
    "benchmark": "a value below a bound is taken as 1e-15 S/cm (rule of the OBELiX benchmark)",
}


@dataclass(eq=False)
class Part:
    """The models on one combination of feature sets.

    Attributes
    ----------
    features : tuple of str
    n_columns : int
        Columns that say something.
    lines : list of Line
        As they were finished.
    """

    features: tuple[str, ...]
    n_columns: int
    lines: list[Line] = field(default_factory=list)

    @property
    def ranked(self) -> list[Line]:
        """Best MAE first."""
        return ranked(self.lines)


@dataclass(eq=False)
class Comparison:
    """Models compared on conductivities.

    Attributes
    ----------
    rows : Rows
    seed : int
    quick : bool
    effort : Effort
    bounds : str
        Rule for values of which only a bound is known.
    parts : list of Part
        One a combination of feature sets.
    """

    rows: Rows
    seed: int
    quick: bool
    effort: Effort
    bounds: str
    parts: list[Part] = field(default_factory=list)

    @property
    def lines(self) -> list[Line]:
        """All lines of all feature sets, best MAE first."""
        return ranked([line for part in self.parts for line in part.lines])

    def headline(self) -> list[str]:
        """Say what was compared, in a few sentences."""
        rows, effort = self.rows, self.effort
        search = f"{effort.candidates} settings by successive halving over {effort.inner_folds} folds inside"
        sentences = [
            f"{len(rows):,} conductivities at room temperature of {len(set(rows.groups)):,} compositions "
            f"({rows.n_structures:,} with a structure), from {rows.source}",
            f"{effort.folds} folds that keep a composition whole; {search}; seed {self.seed}",
            f"{rows.n_bounds:,} upper bounds: {_RULES[self.bounds]}",
        ]
        if rows.excluded:
            told = "; ".join(f"{number:,} {why}" for why, number in rows.excluded.items())
            sentences.append(f"left out: {told}")
        return sentences

    def verdict(self) -> str:
        """Say which model is best, and by how much it beats the constant."""
        fit = [(line, part) for part in self.parts for line in part.ranked if line.error is None]
        if not fit:
            return "no model was finished"
        best, part = min(fit, key=lambda pair: pair[0].scores["mae"] or 0.0)
        constants = [line for line, _ in fit if line.name == CONSTANT]
        words = f"best: {best.name} on {'+'.join(part.features)}, MAE {best.scores['mae']:.3f}"
        return words + (f"; the constant {constants[0].scores['mae']:.3f}" if constants else "")

    def to_dict(self) -> dict[str, Any]:
        """Everything, in keys that stay: numbers, text, lists and dictionaries only."""
        return {
            "target": "log10 of the ionic conductivity in S/cm at room temperature",
            "source": self.rows.source,
            "rows": len(self.rows),
            "compositions": len(set(self.rows.groups)),
            "structures": self.rows.n_structures,
            "upper_bounds": self.rows.n_bounds,
            "bounds_rule": self.bounds,
            "excluded": self.rows.excluded,
            "seed": self.seed,
            "effort": asdict(self.effort),
            "results": [
                {"features": list(part.features), "columns": part.n_columns, **asdict(line)}
                for part in self.parts
                for line in part.ranked
            ],
        }


def table(lines: Sequence[Line]) -> list[list[str]]:
    """Cells of a table with :data:`HEADINGS`; behind ± stands the spread over the folds."""
    found = []
    for line in lines:
        if line.error is not None:
            found.append([line.name, "–", f"failed: {line.error}", "–", "–", f"{line.seconds:.1f}", "–"])
            continue
        low, high = line.intervals["mae"]
        found.append(
            [
                line.name,
                _spread(line, "mae", 3),
                f"{low:.3f} to {high:.3f}",
                _spread(line, "r2", 2),
                _spread(line, "spearman", 2),
                f"{line.seconds:.1f}",
                "–" if line.memory is None else f"{line.memory:.0f}",
            ]
        )
    return found


def _spread(line: Line, key: str, digits: int) -> str:
    value, spread = line.scores[key], line.spread[key]
    if value is None:
        return "–"
    return f"{value:.{digits}f}" + ("" if spread is None else f" ± {spread:.{digits}f}")
