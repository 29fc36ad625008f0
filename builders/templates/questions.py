"""Questions whose answer is known: formulas, what retrieval proposes for them, and which proposals are right."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from builders.templates.prototypes import Arrangements, collapse, sameness

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.templates.candidates import Proposals


@dataclass(frozen=True, eq=False)
class Truth:
    """The most stable known structure of a formula.

    Attributes
    ----------
    rows : numpy.ndarray
        shape=(k, 40), neighbour distances in the order of the query's species.
    formula_units, space_group : int
        Of its primitive cell.
    """

    rows: NDArray[np.float32]
    formula_units: int
    space_group: int


@dataclass(frozen=True, eq=False)
class Question:
    """One formula to learn from, or to be judged by.

    Attributes
    ----------
    formula : str
    proposals : Proposals
        Only the nearest neighbour's distance is kept of their rows: tens of thousands of questions stand in memory.
    arrangements : Arrangements
    label : numpy.ndarray
        shape=(m,), float32; probability that a structure matcher calls a proposal the truth.
    answer : numpy.ndarray
        shape=(n,), float32; the same of each arrangement's leader.
    """

    formula: str
    proposals: Proposals
    arrangements: Arrangements
    label: NDArray[np.float32]
    answer: NDArray[np.float32]


def pose(formula: str, proposals: Proposals, truth: Truth) -> Question:
    """Make a question of what was proposed for a formula and of the truth."""
    arrangements = collapse(proposals.rows, proposals.formula_units, proposals.space_group)
    apart = np.abs(proposals.rows - truth.rows).reshape(len(proposals), -1).max(axis=1)
    likely = sameness(apart, np.asarray(proposals.space_group) == truth.space_group)
    label = np.where(np.asarray(proposals.formula_units) == truth.formula_units, likely, 0.0).astype(np.float32)
    slim = replace(proposals, rows=proposals.rows[:, :, :1].copy())
    light = replace(arrangements, similarity=arrangements.similarity.astype(np.float16))
    return Question(formula, slim, light, label, label[arrangements.first])
