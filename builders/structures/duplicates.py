"""Which entries of one formula are the same structure? Cheap numbers propose, pymatgen's StructureMatcher confirms.

Two entries are proposed when their invariants nearly agree, or when their structure hashes do and their invariants are not
far apart. The limits were set on the Materials Project, see docs/decisions/0002-structure-hash.md.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from builders.structures.invariants import N_DISTANCES, SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from pymatgen.core.structure import Structure

    from store.crystal import Crystal

LENGTH_TOLERANCE, SITE_TOLERANCE, ANGLE_TOLERANCE = 0.2, 0.3, 5.0
"""StructureMatcher's ltol, stol and angle_tol (its defaults), applied to moyopy's primitive cells."""
NEAR_DISTANCES, NEAR_COLOURS = 0.02, 0.1
"""Largest difference of any AMD over the cube root of the volume per atom, and of any coloured sum, of a proposed pair."""
FAR_DISTANCES = 0.04
"""With equal hashes the AMDs may differ by this much."""
MAX_TRIALS = 2
"""Proposals that are tried for one entry, nearest first: bounds the work for formulas with hundreds of entries."""


class Member(NamedTuple):
    """One entry of a formula."""

    id: str
    primitive: Crystal
    invariants: NDArray[np.float32]
    """shape=(32,)"""
    structure_hash: str


def find_duplicates(
    members: Iterable[Member | tuple[Any, ...]],
    *,
    ltol: float = LENGTH_TOLERANCE,
    stol: float = SITE_TOLERANCE,
    angle_tol: float = ANGLE_TOLERANCE,
) -> list[tuple[str, ...]]:
    """Group the entries of one reduced formula that are the same structure.

    Entries are taken in the natural order of their ids and compared with the first entry of each group so far, the
    nearest in invariants first; one that matches none opens a group. As with StructureMatcher, crystals that differ in
    scale only are the same, and so are mirror images.

    Parameters
    ----------
    members : iterable of Member
        ``(id, primitive cell, invariants, structure hash)``, all of one reduced formula.
    ltol, stol, angle_tol : float
        StructureMatcher's tolerances: relative lengths, distances over the cube root of the volume per atom, degrees.

    Returns
    -------
    list of tuple of str
        Groups of at least two ids, each in natural order with its representative first; the same for any order of
        ``members``.

    Examples
    --------
    >>> from builders.structures.analysis import analyse
    >>> from store.crystal import Crystal
    >>> def entry(id_, a, spot):
    ...     crystal = Crystal.from_lists([[a, 0, 0], [0, a, 0], [0, 0, a]], ["Cs", "Cl"], [[0, 0, 0], spot])
    ...     found = analyse(crystal)
    ...     return id_, found.symmetry.primitive, found.invariants, found.hash.value
    >>> find_duplicates([entry("b-10", 4.11, [.5, .5, .5]), entry("b-9", 4.12, [.5, .5, .5]), entry("b-1", 4, [.5, 0, 0])])
    [('b-9', 'b-10')]
    """
    ordered = sorted([Member(*member) for member in members], key=lambda member: natural_order(member.id))
    if len(ordered) < 2:
        return []
    vectors = np.stack([_scaled(member) for member in ordered])
    sizes = [member.primitive.n_sites for member in ordered]
    hashes = [member.structure_hash for member in ordered]
    matcher = _Matcher([member.primitive for member in ordered], ltol, stol, angle_tol)
    heads: list[int] = []
    groups: dict[int, list[str]] = {}
    for number, member in enumerate(ordered):
        same_size = [head for head in heads if sizes[head] == sizes[number]]
        proposed = _proposals(number, same_size, vectors, hashes)
        head = next((head for head in proposed if matcher.same(head, number)), None)
        if head is None:
            heads.append(number)
            groups[number] = [member.id]
        else:
            groups[head].append(member.id)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def natural_order(identifier: str) -> tuple[tuple[str, int], ...]:
    """Sort key under which ``mp-9`` comes before ``mp-10``.

    Examples
    --------
    >>> sorted(["mp-10", "mp-9", "icsd-3"], key=natural_order)
    ['icsd-3', 'mp-9', 'mp-10']
    """
    parts = re.findall(r"(\D*)(\d*)", identifier)
    return (*[(text, int(digits) if digits else -1) for text, digits in parts], (identifier, 0))


def _scaled(member: Member) -> NDArray[np.float64]:
    """Divide the distances by the cube root of the volume per atom; the coloured sums have no unit."""
    vector = np.asarray(member.invariants, dtype=np.float64).copy()
    assert vector.shape == (SIZE,)
    atoms = sum(member.primitive.amounts().values())
    vector[:N_DISTANCES] /= (abs(member.primitive.volume) / atoms) ** (1 / 3)
    return vector


def _proposals(number: int, heads: list[int], vectors: NDArray[np.float64], hashes: list[str]) -> list[int]:
    """Pick the heads worth comparing with, nearest first."""
    if not heads:
        return []
    difference = np.abs(vectors[heads] - vectors[number])
    distance = difference[:, :N_DISTANCES].max(axis=1)
    colour = difference[:, N_DISTANCES:].max(axis=1)
    near = (distance < NEAR_DISTANCES) & (colour < NEAR_COLOURS)
    equal = np.array([hashes[head] == hashes[number] for head in heads]) & (distance < FAR_DISTANCES)
    chosen = np.flatnonzero(near | equal)
    nearest = sorted(chosen, key=lambda place: (round(float(distance[place]), 6), heads[place]))
    return [heads[place] for place in nearest[:MAX_TRIALS]]


class _Matcher:
    """StructureMatcher that converts and reduces each crystal once, and only if it is needed."""

    def __init__(self, crystals: list[Crystal], ltol: float, stol: float, angle_tol: float) -> None:
        self._crystals = crystals
        self._tolerances = (ltol, stol, angle_tol)
        self._reduced: dict[int, Structure] = {}
        self._matcher: Any = None

    def same(self, one: int, other: int) -> bool:
        if self._matcher is None:
            from pymatgen.analysis.structure_matcher import StructureMatcher

            self._matcher = StructureMatcher(*self._tolerances, primitive_cell=False)
        return bool(self._matcher.fit(self._structure(one), self._structure(other), skip_structure_reduction=True))

    def _structure(self, number: int) -> Structure:
        if number not in self._reduced:
            self._reduced[number] = self._crystals[number].to_pymatgen().get_reduced_structure("niggli")
        return self._reduced[number]
