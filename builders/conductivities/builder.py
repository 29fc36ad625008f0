"""ConductivityBuilder: conductivity records in ``sources`` -> ``conductivities``, one document a record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import bson

from builders.conductivities.lookup import compounds, find_compounds, members_of
from builders.conductivities.lookup import repeats as find_repeats
from builders.engine.builder import IncrementalBuilder
from builders.engine.inputs import KeyedInput
from store.ingest.kinds import CONDUCTIVITIES, CONDUCTIVITY_FORMATS
from store.provenance import content_hash

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pymongo.database import Database

    from builders.engine.inputs import Fetched, Input, StampTables

MOST: Final = 100
"""Structures of one composition that a record is compared with, in the order of their ids."""


@dataclass(frozen=True)
class StructuresInput:
    """The structures of a record's composition.

    The hash is that of their ids and contents: a new, a changed and a removed structure make just the records stale that it may
    belong to.
    """

    collection: str = "structures"
    role: str = "structures"
    required: bool = False
    group: str = "chemical_formula_reduced"

    def hashes(self, tables: StampTables) -> Mapping[str, str]:
        """Map each record to the hash of the structures of its composition."""
        records = compounds(tables)
        if not records:
            return {}
        rows = tables.derived(self.collection, group=self.group)
        members = members_of(((key, row.group) for key, row in rows.items()), records.values())
        hashes = {each: content_hash([(key, rows[key].hash) for key in keys[:MOST]]) for each, keys in members.items()}
        return {key: hashes[each] for key, each in records.items() if each in hashes}

    def fetch(self, database: Database[Any], keys: Sequence[str]) -> dict[str, Fetched]:
        """Read what is compared of the structures of some records' compositions."""
        records = find_compounds(database, keys)
        systems = sorted({"-".join(each.symbols) for each in records.values()})
        projection = {self.group: 1, "structure_hash": 1, "space_group_number": 1}
        rows = {
            row["_id"]: row for row in database[self.collection].find({"chemical_system": {"$in": systems}}, projection)
        }
        members = members_of(((key, row[self.group]) for key, row in rows.items()), records.values())
        read = {each: [bson.encode(rows[key]) for key in found[:MOST]] for each, found in members.items()}
        return {key: list(read[each]) for key, each in records.items() if each in read}

    def targets(self, materials: Iterable[str], tables: StampTables) -> set[str]:
        """Return the records that may belong to some structures."""
        wanted = set(materials)
        records = compounds(tables)
        rows = tables.derived(self.collection, group=self.group)
        members = members_of(((key, rows[key].group) for key in wanted if key in rows), records.values())
        return {key for key, each in records.items() if each in members}

    def places(self, database: Database[Any], key: str) -> list[str]:
        """Return the structures that a record was linked to."""
        found = database["conductivities"].find_one({"_id": key}, {"materials.material": 1})
        return [each["material"] for each in (found or {}).get("materials", ())]


@dataclass(frozen=True)
class RepeatsInput:
    """The other records of a record's composition: a new one makes just these stale."""

    collection: str = "sources"
    role: str = "repeats"
    required: bool = False

    def hashes(self, tables: StampTables) -> Mapping[str, str]:
        """Map each record that has repeats to the hash of them."""
        rows = tables.sources(CONDUCTIVITY_FORMATS)
        found = find_repeats(compounds(tables))
        return {
            key: content_hash([(other, rows[other].hash) for other in others if other in rows])
            for key, others in found.items()
            if others
        }

    def fetch(self, database: Database[Any], keys: Sequence[str]) -> dict[str, Fetched]:
        """Read the repeats of some records."""
        wanted = find_compounds(database, keys)
        found = find_repeats(find_compounds(database)) if wanted else {}
        needed = sorted({other for key in wanted for other in found.get(key, ())})
        rows = {
            row["_id"]: bson.encode(row)
            for row in database["sources"].find({"_id": {"$in": needed}}, {"format": 1, "content": 1})
        }
        return {key: [rows[other] for other in found[key] if other in rows] for key in wanted if found.get(key)}

    def targets(self, materials: Iterable[str], tables: StampTables) -> set[str]:
        """Return the records themselves and their repeats."""
        found = find_repeats(compounds(tables))
        wanted = set(materials)
        return wanted | {other for key in wanted for other in found.get(key, ())}

    def places(self, database: Database[Any], key: str) -> list[str]:
        """Return the repeats of a record."""
        found = database["conductivities"].find_one({"_id": key}, {"repeats": 1})
        return list((found or {}).get("repeats", ()))


class ConductivityBuilder(IncrementalBuilder):
    """Read each conductivity, normalise its composition, link it to structures and to its repeats.

    Examples
    --------
    >>> ConductivityBuilder().COLLECTION
    'conductivities'
    """

    NAME = "conductivities"
    VERSION = 1
    COLLECTION = "conductivities"
    PACKAGES = ("moyopy", "numpy", "pymatgen")
    ITEM_SECONDS = 120.0
    BATCH = 16

    @dataclass(frozen=True)
    class Params:
        """Version of the readers: a new reader reads again."""

        reader_version: int = field(default=CONDUCTIVITIES.version)

    @classmethod
    def inputs(cls) -> tuple[Input, ...]:
        """Read the verbatim records, the structures of their compositions, and their repeats."""
        projection = {"format": 1, "content": 1, "provider": 1, "licence": 1, "references": 1}
        return (
            KeyedInput("sources", formats=CONDUCTIVITY_FORMATS, projection=projection),
            StructuresInput(),
            RepeatsInput(),
        )

    def compute(self, key: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """Make the document of one record."""
        from builders.conductivities.document import Known, Repeat, to_document
        from store.ingest.readers import read_conductivity

        source = inputs["sources"]
        record = read_conductivity(source["format"], source["content"])
        known = [
            Known(row["_id"], row["structure_hash"], row["space_group_number"])
            for row in inputs.get("structures") or ()
        ]
        repeats = []
        for row in inputs.get("repeats") or ():
            other = read_conductivity(row["format"], row["content"])
            repeats.append(Repeat(row["_id"], other.log10_sigma, other.temperature, other.censored))
        made = to_document(record, known, repeats)
        references = [*(source.get("references") or []), *made["references"]]
        return {
            **made,
            "provider": source.get("provider"),
            "licence": source.get("licence") or made["licence"],
            "references": list(dict.fromkeys(references)),
        }
