"""BarrierBuilder: hops in ``sources``, and the structures they belong to -> ``barriers``, one document a hop."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import bson

from builders.channels.pairs import amounts_of, key_of, split_key
from builders.engine.builder import IncrementalBuilder
from builders.engine.inputs import KeyedInput
from store.ingest.kinds import HOP_FORMATS, HOPS
from store.provenance import content_hash

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pymongo.database import Database

    from builders.engine.inputs import Fetched, Input, StampTables
    from store.hops import HopRecord

MOST: Final = 60
"""Structures of one framework formula that a hop is compared with, in the order of their ids."""

Composition = tuple[tuple[str, int], ...]


class Host(NamedTuple):
    """What a hop's structure is looked up by: the ion, and the framework's reduced composition."""

    ion: str
    framework: Composition


@dataclass(frozen=True)
class StructuresInput:
    """The structures whose framework has the composition of a hop's.

    The hash is that of their keys and contents: a new structure and another version of one make just the hops stale that
    could belong to it.
    """

    collection: str = "structures"
    role: str = "structures"
    required: bool = False
    group: str = "chemical_formula_reduced"

    def hashes(self, tables: StampTables) -> Mapping[str, str]:
        """Map each hop to the hash of the structures it may belong to."""
        hosts = _hosts(tables)
        if not hosts:
            return {}
        structures = tables.derived(self.collection, group=self.group)
        found = {
            host: content_hash([(material, structures[material].hash) for material in members])
            for host, members in _members(tables, set(hosts.values())).items()
        }
        return {key: found[host] for key, host in hosts.items() if host in found}

    def fetch(self, database: Database[Any], keys: Sequence[str]) -> dict[str, Fetched]:
        """Read the structures that hops may belong to, each with its channels."""
        hosts = _find_hosts(database, keys)
        members = _find_members(database, set(hosts.values()))
        read: dict[Host, list[bytes]] = {}
        for host, materials in members.items():
            projection = {"primitive": 1}
            structures = {
                row["_id"]: row for row in database[self.collection].find({"_id": {"$in": materials}}, projection)
            }
            wanted = [key_of(material, host.ion) for material in materials]
            channels = {row["material"]: row for row in database["channels"].find({"_id": {"$in": wanted}})}
            read[host] = [
                bson.encode(
                    {
                        "material": material,
                        "primitive": structures[material]["primitive"],
                        "channels": channels.get(material),
                    }
                )
                for material in materials
                if material in structures
            ]
        return {key: list(read[host]) for key, host in hosts.items() if host in read}

    def targets(self, materials: Iterable[str], tables: StampTables) -> set[str]:
        """Return the hops that may belong to some structures."""
        wanted = set(materials)
        hosts = _hosts(tables)
        members = _members(tables, set(hosts.values()))
        return {key for key, host in hosts.items() if wanted & set(members.get(host, ()))}

    def places(self, database: Database[Any], key: str) -> list[str]:
        """Return the structures that a hop was compared with, those it was linked to first."""
        host = _find_hosts(database, [key]).get(key)
        members = [] if host is None else _find_members(database, {host}).get(host, [])
        document = database["barriers"].find_one({"_id": key}, {"materials.material": 1}) or {}
        linked = [each["material"] for each in document.get("materials", ())]
        return sorted(members, key=lambda each: linked.index(each) if each in linked else len(linked))


@dataclass(frozen=True)
class ChannelsInput:
    """The channels of those structures for the hop's ion: which of their hops it is. They are read with the structures."""

    collection: str = "channels"
    role: str = "channels"
    required: bool = False

    def hashes(self, tables: StampTables) -> Mapping[str, str]:
        """Map each hop to the hash of the channels of the structures it may belong to."""
        hosts = _hosts(tables)
        if not hosts:
            return {}
        channels = tables.derived(self.collection)
        found: dict[Host, str] = {}
        for host, members in _members(tables, set(hosts.values())).items():
            there = [
                (key, channels[key].hash) for key in (key_of(each, host.ion) for each in members) if key in channels
            ]
            if there:
                found[host] = content_hash(there)
        return {key: found[host] for key, host in hosts.items() if host in found}

    def fetch(self, database: Database[Any], keys: Sequence[str]) -> dict[str, Fetched]:
        """Read nothing: the structures bring them along."""
        return {}

    def targets(self, keys: Iterable[str], tables: StampTables) -> set[str]:
        """Return the hops of the ions of some channels that may belong to their structures."""
        wanted: dict[str, set[str]] = {}
        for material, ion in map(split_key, keys):
            wanted.setdefault(ion, set()).add(material)
        hosts = _hosts(tables)
        members = _members(tables, set(hosts.values()))
        return {key for key, host in hosts.items() if wanted.get(host.ion, set()) & set(members.get(host, ()))}

    def places(self, database: Database[Any], key: str) -> list[str]:
        """Return the channels of the structures that a hop was compared with, of those it was linked to first."""
        host = _find_hosts(database, [key]).get(key)
        if host is None:
            return []
        wanted = [key_of(material, host.ion) for material in StructuresInput().places(database, key)]
        there = {row["_id"] for row in database[self.collection].find({"_id": {"$in": wanted}}, {"_id": 1})}
        return [each for each in wanted if each in there]


def _find_hosts(database: Database[Any], keys: Sequence[str]) -> dict[str, Host]:
    hosts = {}
    for row in database["sources"].find({"_id": {"$in": list(keys)}}, {"content": 1, "format": 1, "hash": 1}):
        host = host_of(row["hash"], row["format"], row["content"])
        if host is not None:
            hosts[row["_id"]] = host
    return hosts


def host_of(hash_: str, format_: str, content: bytes) -> Host | None:
    """Tell by what the structure of a hop is looked up; None for a record that cannot be read.

    Parameters
    ----------
    hash_ : str
        Of the record: the answer is remembered by it.
    format_ : str
        One of :data:`store.ingest.kinds.HOP_FORMATS`.
    content : bytes
    """
    if hash_ not in _known:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[hash_] = _read_host(format_, content)
    return _known[hash_]


_known: dict[str, Host | None] = {}
_MOST_KNOWN = 500_000


def _read_host(format_: str, content: bytes) -> Host | None:
    from store.errors import IonatlasError
    from store.ingest.readers import read_hop

    try:
        record = read_hop(format_, content)
    except IonatlasError:
        return None
    host, ion = record.host, record.working_ion
    amounts = {symbol: amount for symbol, amount in host.amounts().items() if symbol != ion and amount > 0}
    if all(amount == int(amount) for amount in amounts.values()):
        return Host(ion, _reduced({symbol: int(amount) for symbol, amount in amounts.items()}))
    from builders.structures.formulas import describe_composition, formula_units

    # Shared and partly empty sites: as the structures of the store write their formulas.
    return Host(ion, _stripped(describe_composition(amounts, formula_units(host.species)).reduced, ion))


def _reduced(amounts: Mapping[str, int]) -> Composition:
    from math import gcd

    divisor = gcd(*amounts.values()) or 1
    return tuple(sorted((symbol, amount // divisor) for symbol, amount in amounts.items() if amount))


@lru_cache(maxsize=262144)
def _stripped(formula: str, ion: str) -> Composition:
    amounts = {symbol: amount for symbol, amount in amounts_of(formula).items() if symbol != ion}
    return _reduced(amounts) if amounts else ()


def _hosts(tables: StampTables) -> dict[str, Host]:
    """Hosts of all hops in the store."""
    projection = {"content": 1, "format": 1, "hash": 1}
    rows = tables.rows("sources", "hops", {"format": {"$in": list(HOP_FORMATS)}}, projection)
    found = {row["_id"]: host_of(row["hash"], row["format"], row["content"]) for row in rows}
    return {key: host for key, host in found.items() if host is not None}


def _members(tables: StampTables, hosts: set[Host]) -> dict[Host, list[str]]:
    """Structures of each host, the first ones by their ids."""
    rows = tables.derived("structures", group="chemical_formula_reduced")
    return _sort_in(((material, row.group) for material, row in rows.items()), hosts)


def _find_members(database: Database[Any], hosts: set[Host]) -> dict[Host, list[str]]:
    """The same from the database: only formulas that are made of the right elements are looked at."""
    systems = {
        "-".join(sorted({symbol for symbol, _ in host.framework} | extra))
        for host in hosts
        for extra in ({host.ion}, set())
    }
    rows = database["structures"].find({"chemical_system": {"$in": sorted(systems)}}, {"chemical_formula_reduced": 1})
    return _sort_in(((row["_id"], row["chemical_formula_reduced"]) for row in rows), hosts)


def _sort_in(rows: Iterable[tuple[str, str]], hosts: set[Host]) -> dict[Host, list[str]]:
    ions = sorted({host.ion for host in hosts})
    frameworks: dict[str, set[Composition]] = {
        ion: {host.framework for host in hosts if host.ion == ion} for ion in ions
    }
    elements = {ion: {frozenset(symbol for symbol, _ in each) for each in frameworks[ion]} for ion in ions}
    found: dict[Host, list[str]] = {}
    for material, formula in rows:
        there = frozenset(amounts_of(formula))
        for ion in ions:
            if there - {ion} in elements[ion]:
                framework = _stripped(formula, ion)
                if framework in frameworks[ion]:
                    found.setdefault(Host(ion, framework), []).append(material)
    return {host: sorted(members)[:MOST] for host, members in found.items()}


class BarrierBuilder(IncrementalBuilder):
    """Read each hop, link it to its structure and its channel path, and describe it.

    Examples
    --------
    >>> BarrierBuilder().COLLECTION
    'barriers'
    """

    NAME = "barriers"
    VERSION = 1
    COLLECTION = "barriers"
    PACKAGES = ("numpy", "scipy")
    ITEM_SECONDS = 120.0
    BATCH = 8

    @dataclass(frozen=True)
    class Params:
        """Version of the readers (a new reader reads again), and the descriptors that are made."""

        reader_version: int = field(default=HOPS.version)
        descriptors: str = field(default_factory=lambda: _descriptors())

    @classmethod
    def inputs(cls) -> tuple[Input, ...]:
        """Read the verbatim hops, and the structures that they may belong to."""
        projection = {"format": 1, "content": 1, "provider": 1, "licence": 1, "references": 1}
        hops = KeyedInput("sources", formats=HOP_FORMATS, projection=projection)
        return (hops, StructuresInput(), ChannelsInput())

    def compute(self, key: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """Make the document of one hop."""
        from builders.barriers.document import to_document
        from store.ingest.readers import read_hop

        source = inputs["sources"]
        record = read_hop(source["format"], source["content"])
        made = to_document(record, _candidates(record, inputs.get("structures") or ()))
        references = [*(source.get("references") or []), *made["references"]]
        return {
            **made,
            "provider": source.get("provider"),
            "licence": source.get("licence") or made["licence"],
            "references": list(dict.fromkeys(references)),
        }


def _candidates(record: HopRecord, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    from builders.barriers.link import without
    from builders.channels.document import from_document
    from store.crystal import Crystal

    found = []
    for row in rows:
        channels = None if row.get("channels") is None else from_document(row["channels"])
        framework = without(Crystal.from_document(row["primitive"]), record.working_ion)
        found.append((row["material"], framework, channels))
    return found


def _descriptors() -> str:
    from builders.barriers.features import NAMES

    return content_hash(list(NAMES))
