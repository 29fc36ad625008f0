"""What is ranked and what comes out: proposals of templates for one query, and finished candidates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from store.crystal import Crystal


@dataclass(frozen=True, eq=False)
class Proposals:
    """Templates for one query, each with a way to put the query's elements in; cheapest first.

    Attributes
    ----------
    numbers, amounts : numpy.ndarray
        shape=(k,), atomic numbers and reduced amounts of the query; canonical order.
    replaced : numpy.ndarray
        shape=(m, k), atomic number of the element that each of them replaces.
    rows : numpy.ndarray
        shape=(m, k, 40), float32; neighbour distances of the replaced species, over (volume per atom)^(1/3).
    formula_units, space_group : numpy.ndarray
        shape=(m,), of the template's primitive cell.
    hull : numpy.ndarray
        shape=(m,), eV/atom, energy above hull of the template; NaN where unknown.
    volume : numpy.ndarray
        shape=(m,), Å^3 per atom, of the template.
    n_class : int
        Templates of the query's ratio.
    """

    numbers: NDArray[np.integer]
    amounts: NDArray[np.integer]
    replaced: NDArray[np.integer]
    rows: NDArray[np.float32]
    formula_units: NDArray[np.integer]
    space_group: NDArray[np.integer]
    hull: NDArray[np.floating]
    volume: NDArray[np.floating]
    n_class: int

    def __len__(self) -> int:
        return len(self.replaced)

    @property
    def fractions(self) -> NDArray[np.float64]:
        """Atomic fractions of the query, shape=(k,)."""
        amounts = np.asarray(self.amounts, np.float64)
        fractions: NDArray[np.float64] = amounts / amounts.sum()
        return fractions

    def formulas(self) -> NDArray[np.int64]:
        """Number of the formula of each template, shape=(m,): polymorphs share it."""
        digits = np.sort(np.asarray(self.replaced, np.int64) + 100 * np.asarray(self.amounts, np.int64), axis=1)
        return np.unique(digits, axis=0, return_inverse=True)[1].ravel()

    def lowest(self) -> NDArray[np.bool_]:
        """Whether no known polymorph of a template is lower in energy, shape=(m,)."""
        formula, hull = self.formulas(), np.where(np.isnan(self.hull), np.inf, self.hull)
        least = np.full(int(formula.max(initial=-1)) + 1, np.inf)
        np.minimum.at(least, formula, hull)
        lowest: NDArray[np.bool_] = np.isfinite(hull) & (hull <= least[formula])
        return lowest


@dataclass(frozen=True, eq=False)
class Candidate:
    """A predicted crystal.

    Attributes
    ----------
    rank : int
        1 for the first.
    probability : float
        That a structure matcher calls it the most stable structure of its formula; calibrated on unseen formulas.
    score : float
        Natural logarithm by which candidates were ordered.
    template_id, template_formula : str
    mapping : dict of str to str
        ``{element of the query: element of the template it replaces}``.
    space_group_number : int
    space_group_symbol : str
    crystal : Crystal
        Primitive cell, scaled.
    volume_per_atom : float
        Å^3.
    derived : bool
        Whether the template was derived from one of another stoichiometry.
    energy : float or None
        eV/atom by ``method``.
    method : str or None
        Name of the potential.
    warnings : tuple of str
    """

    rank: int
    probability: float
    score: float
    template_id: str
    template_formula: str
    mapping: dict[str, str]
    space_group_number: int
    space_group_symbol: str
    crystal: Crystal
    volume_per_atom: float
    derived: bool = False
    energy: float | None = None
    method: str | None = None
    warnings: tuple[str, ...] = ()
