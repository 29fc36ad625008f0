"""StructureBuilder: ``sources`` -> ``structures``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from builders.engine.builder import IncrementalBuilder
from builders.engine.inputs import KeyedInput
from store.ingest.kinds import FORMATS, STRUCTURES

if TYPE_CHECKING:
    from builders.engine.inputs import Input
    from store.ingest.result import ReadResult

KNOWN_PROPERTIES: Final = ("formation_energy_per_atom", "energy_above_hull", "band_gap", "experimental", "created_at")
"""Properties with a field of their own; the others are kept under ``properties``."""


class StructureBuilder(IncrementalBuilder):
    """Read each record, validate and standardise its crystal, find its symmetry and describe it.

    Examples
    --------
    >>> StructureBuilder().settings.symprec
    0.01
    """

    NAME = "structures"
    VERSION = 1
    COLLECTION = "structures"
    PACKAGES = ("moyopy", "numpy", "pymatgen")
    ITEM_SECONDS = 120.0

    @dataclass(frozen=True)
    class Params:
        """Tolerance of the symmetry search in Å, and the version of the readers (a new reader reads again)."""

        symprec: float = 0.01
        reader_version: int = field(default=STRUCTURES.version)

    @classmethod
    def inputs(cls) -> tuple[Input, ...]:
        """Read the verbatim records of structures; those of hops are the barriers' (store.ingest.kinds)."""
        projection = {"format": 1, "content": 1, "provider": 1, "licence": 1, "references": 1}
        return (KeyedInput("sources", projection=projection, formats=FORMATS),)

    def compute(self, key: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """Make the structure document of one record."""
        from builders.structures.analysis import analyse
        from store.ingest.readers import read_record

        assert isinstance(self.settings, StructureBuilder.Params)
        source = inputs["sources"]
        read = read_record(source["format"], source["content"])
        analysis = analyse(read.crystal, symprec=self.settings.symprec)
        return {**analysis.to_document(), **_about(read, source, analysis.flags)}


def _words(warnings: list[str]) -> list[str]:
    """The flags among a reader's warnings: ``hydrogen_not_located: ...`` is the flag ``hydrogen not located``."""
    found = [re.match(r"([a-z_]+): ", warning) for warning in warnings]
    return list(dict.fromkeys(match[1].replace("_", " ") for match in found if match))


def _about(read: ReadResult, source: dict[str, Any], flags: Any) -> dict[str, Any]:
    """What the record says beside its crystal."""
    known = {name: read.properties.get(name) for name in KNOWN_PROPERTIES}
    if known["experimental"] is None and isinstance(read.properties.get("icsd"), bool):
        known["experimental"] = read.properties["icsd"]
    for name in ("formation_energy_per_atom", "energy_above_hull", "band_gap"):
        value = known[name]
        known[name] = None if value is None else float(value)
    references = [*(source.get("references") or []), *read.references]
    return {
        **known,
        "name": read.name,
        "properties": {name: value for name, value in read.properties.items() if name not in KNOWN_PROPERTIES},
        "licence": source.get("licence") or read.licence,
        "references": list(dict.fromkeys(references)),
        "provider": source.get("provider"),
        "flags": [*flags, *_words(read.warnings)],
        "warnings": list(read.warnings),
    }
