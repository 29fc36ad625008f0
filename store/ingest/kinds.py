"""What the records of ``sources`` are about: structures, hops of ions, measured conductivities."""

from __future__ import annotations

from typing import Final

from store.ingest.conductivity_readers import CONDUCTIVITY_FORMATS
from store.ingest.hop_readers import HOP_FORMATS

NOT_MATERIALS: Final = (*HOP_FORMATS, *CONDUCTIVITY_FORMATS)
"""Formats of records that never become a material."""


def kind_of(format: str | None) -> str:
    """Tell what a record is about: "structure", "hop" or "conductivity".

    Examples
    --------
    >>> kind_of("cif"), kind_of("hop-csv"), kind_of("conductivity-json")
    ('structure', 'hop', 'conductivity')
    """
    if format in HOP_FORMATS:
        return "hop"
    return "conductivity" if format in CONDUCTIVITY_FORMATS else "structure"
