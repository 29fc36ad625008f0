"""One field of the registry: name, unit, type, shape, meaning and source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FieldType = Literal[
    "string", "integer", "float", "boolean", "timestamp", "list of string", "dictionary", "bytes", "list"
]


@dataclass(frozen=True)
class Field:
    """One property of a material or a document.

    Attributes
    ----------
    name : str
        Its name, the same wherever it stands; never with a unit in it.
    type : str
        OPTIMADE's type names, and ``bytes``.
    unit : str or None
        Unit of the stored number; None for what has none.
    meaning : str
        One sentence.
    source : str
        ``collection.path`` of the document it is read from.
    shape : str
        Shape of an array, empty for a scalar.
    candidate : bool
        Whether it is copied into ``candidates`` and so can be asked for.
    sortable : bool
        Whether results may be sorted by it.
    indexed : bool
        Whether ``candidates`` has an index on it.
    ion : str
        The working ion whose channels it tells of; empty for a property of the whole material.
    """

    name: str
    type: FieldType
    unit: str | None
    meaning: str
    source: str
    shape: str = ""
    candidate: bool = False
    sortable: bool = False
    indexed: bool = False
    ion: str = ""

    @property
    def queryable(self) -> bool:
        """Whether a filter may name it."""
        return self.candidate and self.type not in ("dictionary", "bytes", "list")

    @property
    def pattern(self) -> str:
        """Name with ``<ion>`` for the ion, the same for all ions; the name itself where there is no ion.

        Examples
        --------
        >>> candidate("li_channel_r1", "float", "Å", "channels.r1", "A radius.", ion="Li").pattern
        '<ion>_channel_r1'
        """
        return f"<ion>{self.name[len(self.ion) :]}" if self.ion else self.name

    @property
    def label(self) -> str:
        """Name with unit, as table headings and error messages show it."""
        return f"{self.name} [{self.unit}]" if self.unit else self.name


def candidate(
    name: str,
    type_: FieldType,
    unit: str | None,
    source: str,
    meaning: str,
    *,
    indexed: bool = False,
    ion: str = "",
) -> Field:
    """Make a field that can be asked for; single values can be sorted by.

    Examples
    --------
    >>> candidate("density", "float", "g/cm^3", "structures.density", "Mass density.").sortable
    True
    """
    sortable = type_ in ("string", "integer", "float", "timestamp")
    return Field(name, type_, unit, meaning, source, candidate=True, sortable=sortable, indexed=indexed, ion=ion)
