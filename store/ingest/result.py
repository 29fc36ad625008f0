"""What a reader returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from store.crystal import Crystal


@dataclass(frozen=True)
class ReadResult:
    """A crystal and what came along with it.

    Attributes
    ----------
    crystal : Crystal
        The cell as given (not standardised).
    properties : dict
        Known names have the units of :mod:`store.fields` (formation_energy_per_atom, energy_above_hull, band_gap,
        experimental, created_at ...); everything else is kept under its own name.
    name : str or None
        Mineral or compound.
    licence : str or None
        Licence of the data, where the record says it.
    references : list of str
        Publications.
    warnings : list of str
        What had to be mended or assumed.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> ReadResult(Crystal.from_lists([[3, 0, 0], [0, 3, 0], [0, 0, 3]], ["Po"], [[0, 0, 0]])).crystal.species
    ('Po',)
    """

    crystal: Crystal
    properties: dict[str, Any] = field(default_factory=dict)
    name: str | None = None
    licence: str | None = None
    references: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
