"""CandidateBuilder: everything that can be asked for -> ``candidates``, one flat document a material.

There is one registration point: a field of :mod:`store.fields` with ``candidate=True`` names the place it is copied from,
and this builder reads that place. A collection that is new here needs an input in :data:`INPUTS` as well.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import bson

from builders.engine.builder import IncrementalBuilder
from builders.engine.inputs import RAW, KeyedInput
from store.fields import candidate_fields
from store.provenance import content_hash

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pymongo.database import Database

    from builders.engine.inputs import Fetched, Input, StampTables


@dataclass(frozen=True)
class ClusterInput:
    """The cluster of duplicates that a material belongs to, if any.

    The hash is that of the cluster and not of the whole ``duplicates`` document: a change elsewhere in the formula leaves
    the material fresh.
    """

    collection: str = "duplicates"
    role: str = "duplicates"
    required: bool = False

    def hashes(self, tables: StampTables) -> Mapping[str, str]:
        """Map each member of a cluster to the hash of the cluster."""
        found = {}
        # Formulas without a cluster are most of the collection and are not even read.
        query = {"clusters.members": {"$gte": ""}}
        for document in tables.rows(self.collection, "clusters", query, {"clusters": 1}):
            for cluster in document["clusters"]:
                value = content_hash(cluster)
                found.update(dict.fromkeys(cluster["members"], value))
        return found

    def fetch(self, database: Database[Any], keys: Sequence[str]) -> dict[str, Fetched]:
        """Read the clusters of some materials."""
        wanted = set(keys)
        query = {"clusters.members": {"$in": list(keys)}}
        found: dict[str, Fetched] = {}
        for document in database[self.collection].find(query, {"clusters": 1}):
            for cluster in document["clusters"]:
                encoded = bson.encode(cluster)
                found.update({member: encoded for member in cluster["members"] if member in wanted})
        return found

    def targets(self, materials: Iterable[str], tables: StampTables) -> set[str]:
        """Return the materials themselves."""
        return set(materials)


@dataclass(frozen=True)
class IonsInput:
    """All documents of a collection that belong to a material, one an ion.

    The hash is that of their keys and contents: a changed, a new and a removed document make just their material stale.
    """

    collection: str
    required: bool = False

    @property
    def role(self) -> str:
        """Named like the collection."""
        return self.collection

    def hashes(self, tables: StampTables) -> Mapping[str, str]:
        """Map each material to the hash of its documents."""
        groups: dict[str, list[str]] = {}
        for key, row in tables.derived(self.collection).items():
            material, _, ion = key.rpartition("/")
            groups.setdefault(material, []).append(f"{ion}={row.hash}")
        return {material: content_hash(sorted(members)) for material, members in groups.items()}

    def fetch(self, database: Database[Any], keys: Sequence[str]) -> dict[str, Fetched]:
        """Read what is copied from the documents of some materials."""
        by_ion = ion_paths()[self.collection]
        projection = {"material": 1, **{path: 1 for pairs in by_ion.values() for _, path in pairs}}
        found = database[self.collection].with_options(codec_options=RAW)
        groups: dict[str, Fetched] = {}
        for document in found.find({"material": {"$in": list(keys)}}, {**projection, "ion": 1}, sort=[("_id", 1)]):
            members = groups.setdefault(document["material"], [])
            assert isinstance(members, list)
            members.append(bytes(document.raw))
        return groups

    def targets(self, materials: Iterable[str], tables: StampTables) -> set[str]:
        """Return the materials of some documents."""
        return {key.rpartition("/")[0] for key in materials}

    def places(self, database: Database[Any], key: str) -> list[str]:
        """Return the documents of a material."""
        return [row["_id"] for row in database[self.collection].find({"material": key}, {"_id": 1}, sort=[("_id", 1)])]


@lru_cache(maxsize=1)
def copied_paths() -> dict[str, tuple[tuple[str, str], ...]]:
    """Where each candidate field is copied from: collection -> pairs of field name and path."""
    paths: dict[str, list[tuple[str, str]]] = {}
    for each in candidate_fields():
        collection, path = each.source.split(".", 1)
        if each.name != "id" and not each.ion:
            paths.setdefault(collection, []).append((each.name, path))
    return {collection: tuple(pairs) for collection, pairs in paths.items()}


@lru_cache(maxsize=1)
def ion_paths() -> dict[str, dict[str, tuple[tuple[str, str], ...]]]:
    """Where the fields of each ion are copied from: collection -> ion -> pairs of field name and path."""
    paths: dict[str, dict[str, list[tuple[str, str]]]] = {}
    for each in candidate_fields():
        if each.ion:
            collection, path = each.source.split(".", 1)
            paths.setdefault(collection, {}).setdefault(each.ion, []).append((each.name, path))
    return {collection: {ion: tuple(pairs) for ion, pairs in by_ion.items()} for collection, by_ion in paths.items()}


def _structures() -> KeyedInput:
    return KeyedInput("structures", projection={path: 1 for _, path in copied_paths()["structures"]})


def _of_ions() -> list[IonsInput]:
    return [IonsInput(collection) for collection in ion_paths()]


INPUTS: Final = (_structures, ClusterInput)
"""Makers of the inputs of one document a material; the first gives the materials. Those of each ion follow from the fields."""


class CandidateBuilder(IncrementalBuilder):
    """Join the derived documents of each material into one flat document."""

    NAME = "candidates"
    VERSION = 1
    COLLECTION = "candidates"
    PUBLISH = "generation"
    ITEM_SECONDS = 30.0

    @dataclass(frozen=True)
    class Params:
        """Which fields are copied from where: a new field makes the candidates stale."""

        layout: str = field(default_factory=lambda: content_hash([copied_paths(), ion_paths()]))

    @classmethod
    def inputs(cls) -> tuple[Input, ...]:
        """Read what the registry of fields names."""
        return (*(make() for make in INPUTS), *_of_ions())

    def compute(self, key: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """Copy each field from its place."""
        document = {
            name: _follow(inputs.get(collection), path)
            for collection, pairs in copied_paths().items()
            for name, path in pairs
        }
        if document.get("duplicate_of") == key:  # the representative repeats nothing
            document["duplicate_of"] = None
        for collection, by_ion in ion_paths().items():
            for each in inputs.get(collection) or ():
                # Only what is known is written: most materials have channels of one ion of fourteen.
                for name, path in by_ion.get(each["ion"], ()):
                    value = _follow(each, path)
                    if value is not None:
                        document[name] = value
        return document


def _follow(document: Any, path: str) -> Any:
    for part in path.split("."):
        if isinstance(document, list):
            document = [_follow(each, part) for each in document]
        elif isinstance(document, dict):
            document = document.get(part)
        else:
            return None
    return document
