"""The diagrams of a crystal: one set a group of its atoms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builders.topology.groups import ELEMENT, GROUPS, groups_of
from builders.topology.persistence import Diagrams, persistence
from store.errors import FeatureError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.crystal import Crystal


def analyse(crystal: Crystal, ion: str | None = "Li", groups: Sequence[str] = GROUPS) -> dict[str, Diagrams]:
    """Persistence diagrams of groups of atoms.

    Parameters
    ----------
    crystal : Crystal
        Validated; any cell, disorder welcome.
    ion : str or None
        Symbol of the working ion.
    groups : sequence of str
        Of ``all``, ``ion``, ``anions``, ``cations``, ``framework`` and ``El:`` with an element symbol, such as ``El:O``;
        see :func:`builders.topology.groups.groups_of`.

    Returns
    -------
    dict
        In the order of ``groups``; without those the crystal has no atoms of.

    Raises
    ------
    FeatureError
        There is no such group.
    StructureError
        The atoms cannot be triangulated.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> rock_salt = Crystal.from_lists([[0, 2, 2], [2, 0, 2], [2, 2, 0]], ["Li", "F"], [[0.5, 0.5, 0.5], [0, 0, 0]])
    >>> diagrams = analyse(rock_salt)
    >>> list(diagrams), diagrams["framework"].essential[2].round(3).tolist()  # a / sqrt(6)
    (['all', 'ion', 'anions', 'framework'], [1.633, 1.633, 1.633])
    """
    for name in groups:
        if name not in GROUPS and not (name.startswith(ELEMENT) and len(name) > len(ELEMENT)):
            raise FeatureError(
                f"There is no group of atoms {name!r}: {', '.join(GROUPS)} or {ELEMENT}ELEMENT was expected."
            )
    sites = groups_of(crystal, ion)
    made: dict[tuple[int, ...], Diagrams] = {}
    result = {}
    for name in groups:
        if name not in sites:
            continue
        key = tuple(sites[name].tolist())  # different groups are often the same atoms
        if key not in made:
            made[key] = persistence(crystal.frac_coords[sites[name]], crystal.lattice)
        result[name] = made[key]
    return result
