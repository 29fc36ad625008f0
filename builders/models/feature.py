"""What is said of each descriptor of a model, for pages and messages."""

from __future__ import annotations

from typing import NamedTuple


class Feature(NamedTuple):
    """One descriptor.

    Attributes
    ----------
    name : str
    unit : str or None
        None for a number.
    meaning : str
    group : str
        What it is a descriptor of, such as "geometry" of a hop or "sites" of a compound.
    """

    name: str
    unit: str | None
    meaning: str
    group: str
