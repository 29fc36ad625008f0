"""The documents: one mongoengine class a collection, the one definition of its shape.

From these classes :mod:`store.schema` generates the server-side validators and the indexes, and the reference pages are
generated too. Hot paths read and write through pymongo (hydration through mongoengine is 28 times slower); the database
enforces the same schema for every writer. Units and meanings stand in :mod:`store.fields`.
"""

from __future__ import annotations

from typing import Any, Final

from mongoengine import (
    BinaryField,
    BooleanField,
    DateTimeField,
    DictField,
    Document,
    EmbeddedDocumentField,
    FloatField,
    IntField,
    ListField,
    StringField,
)

from store.barrier_documents import BarriersDocument
from store.conductivity_documents import ConductivitiesDocument, ConductivityPredictionsDocument
from store.document_parts import CellDocument, ErrorDocument, StampDocument
from store.fields import Field, candidate_fields
from store.ion_documents import ChannelsDocument, PredictionsDocument
from store.key_documents import KeyDocument
from store.provenance import HASH_LENGTH
from store.topology_documents import TopologyDocument

CRYSTAL_SYSTEMS: Final = ("triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic")


class SourceDocument(Document):
    """A record verbatim, with where it came from."""

    id = StringField(primary_key=True)
    format = StringField(required=True)
    content = BinaryField(required=True)
    sha256 = StringField(required=True, regex=r"^[0-9a-f]{64}$")
    hash = StringField(required=True, min_length=HASH_LENGTH, max_length=HASH_LENGTH)
    origins = ListField(DictField(), required=True)
    provider = StringField()
    licence = StringField()
    references = ListField(StringField())
    error = EmbeddedDocumentField(ErrorDocument)
    ingested_at = DateTimeField(required=True)
    updated_at = DateTimeField(required=True)

    meta = {  # noqa: RUF012  (mongoengine reads it so)
        "collection": "sources",
        "indexes": [("_id", "hash", "format"), "sha256", "origins.path"],
    }


class SourceHistoryDocument(Document):
    """An earlier version of a record that was given again with other content."""

    id = StringField(primary_key=True)
    source = StringField(required=True)
    format = StringField(required=True)
    content = BinaryField(required=True)
    sha256 = StringField(required=True)
    hash = StringField(required=True)
    origins = ListField(DictField(), required=True)
    provider = StringField()
    licence = StringField()
    references = ListField(StringField())
    error = EmbeddedDocumentField(ErrorDocument)
    ingested_at = DateTimeField(required=True)
    updated_at = DateTimeField(required=True)
    replaced_at = DateTimeField(required=True)

    meta = {"collection": "source_history", "indexes": ["source"]}  # noqa: RUF012


class StructureDocument(Document):
    """A validated, standardised crystal with its symmetry."""

    id = StringField(primary_key=True)
    name = StringField()
    formula = StringField(required=True)
    chemical_formula_reduced = StringField(required=True)
    chemical_formula_anonymous = StringField(required=True)
    chemical_system = StringField(required=True)
    elements = ListField(StringField(), required=True)
    nelements = IntField(required=True, min_value=1)
    nsites = IntField(required=True, min_value=1)
    nsites_primitive = IntField(required=True, min_value=1)
    composition = DictField(required=True)
    standard = EmbeddedDocumentField(CellDocument, required=True)
    primitive = EmbeddedDocumentField(CellDocument, required=True)
    space_group_number = IntField(required=True, min_value=1, max_value=230)
    space_group_symbol = StringField(required=True)
    hall_number = IntField(required=True, min_value=1, max_value=530)
    symprec = FloatField(required=True, min_value=0.0)
    crystal_system = StringField(required=True, choices=CRYSTAL_SYSTEMS)
    point_group = StringField(required=True)
    pearson_symbol = StringField(required=True)
    prototype = StringField()
    anonymous_prototype = StringField()
    volume = FloatField(required=True, min_value=0.0)
    volume_per_atom = FloatField(required=True, min_value=0.0)
    density = FloatField(required=True, min_value=0.0)
    min_distance = FloatField(required=True, min_value=0.0)
    is_ordered = BooleanField(required=True)
    flags = ListField(StringField(), required=True)
    warnings = ListField(StringField())
    oxidation_states = DictField()
    oxidation_state_method = StringField()
    structure_hash = StringField(required=True, min_length=HASH_LENGTH, max_length=HASH_LENGTH)
    hash_margin = FloatField()
    invariants = BinaryField(required=True)
    properties = DictField()
    formation_energy_per_atom = FloatField()
    energy_above_hull = FloatField()
    band_gap = FloatField(min_value=0.0)
    experimental = BooleanField()
    created_at = StringField()
    provider = StringField()
    licence = StringField()
    references = ListField(StringField())
    hash = StringField(required=True, min_length=HASH_LENGTH, max_length=HASH_LENGTH)
    recipe = StringField(required=True)
    stamp = EmbeddedDocumentField(StampDocument, required=True)

    meta = {  # noqa: RUF012
        "collection": "structures",
        "indexes": [
            ("_id", "hash", "recipe", "chemical_formula_reduced"),
            "structure_hash",
            "chemical_formula_reduced",
        ],
    }


class DuplicatesDocument(Document):
    """The structures of one reduced formula that are one and the same crystal."""

    id = StringField(primary_key=True)
    members = ListField(StringField(), required=True)
    clusters = ListField(DictField(), required=True)
    hash = StringField(required=True, min_length=HASH_LENGTH, max_length=HASH_LENGTH)
    recipe = StringField(required=True)
    stamp = EmbeddedDocumentField(StampDocument, required=True)

    meta = {  # noqa: RUF012
        "collection": "duplicates",
        "indexes": [("_id", "hash", "recipe"), "clusters.members"],
    }


class EmbeddingDocument(Document):
    """A vector of one material by one model."""

    id = StringField(primary_key=True)
    model = StringField(required=True)
    material = StringField(required=True)
    vector = BinaryField(required=True)
    dimension = IntField(required=True, min_value=1)
    hash = StringField(required=True, min_length=HASH_LENGTH, max_length=HASH_LENGTH)
    recipe = StringField(required=True)
    stamp = EmbeddedDocumentField(StampDocument, required=True)

    meta = {  # noqa: RUF012
        "collection": "embeddings",
        "indexes": [
            ("_id", "hash", "recipe"),
            {"fields": ("model", "material", "hash"), "unique": True},
        ],
    }


class BuildStateDocument(Document):
    """A failure of one item, kept until it succeeds; the last good document stays where it is."""

    id = StringField(primary_key=True)
    builder = StringField(required=True)
    key = StringField(required=True)
    status = StringField(required=True, choices=("failed",))
    attempts = IntField(required=True, min_value=1)
    error = EmbeddedDocumentField(ErrorDocument, required=True)
    version = IntField(required=True)
    params = StringField(required=True)
    inputs = StringField(required=True)
    seconds = FloatField(required=True)
    first_at = DateTimeField(required=True)
    last_at = DateTimeField(required=True)

    meta = {"collection": "build_state", "indexes": [("builder", "key"), ("builder", "error.type")]}  # noqa: RUF012


class BuildDocument(Document):
    """The record of one run of one builder."""

    id = StringField(primary_key=True)
    builder = StringField(required=True)
    collection = StringField(required=True)
    state = StringField(required=True, choices=("running", "done", "interrupted", "broken"))
    started_at = DateTimeField(required=True)
    ended_at = DateTimeField()
    host = StringField(required=True)
    pid = IntField(required=True)
    version = IntField(required=True)
    params = DictField(required=True)
    summary = DictField()

    meta = {"collection": "builds", "indexes": [("builder", "-started_at")]}  # noqa: RUF012


class LeaseDocument(Document):
    """Who builds a collection now."""

    id = StringField(primary_key=True)
    owner = StringField(required=True)
    host = StringField(required=True)
    pid = IntField(required=True)
    process_started = FloatField(required=True)
    acquired_at = DateTimeField(required=True)
    expires_at = DateTimeField(required=True)

    meta = {"collection": "leases", "indexes": []}  # noqa: RUF012


def _candidate_attribute(field: Field) -> Any:
    by_type = {
        "string": StringField,
        "integer": IntField,
        "float": FloatField,
        "boolean": BooleanField,
        "timestamp": DateTimeField,
        "dictionary": DictField,
    }
    if field.name == "id":
        return StringField(primary_key=True)
    if field.type == "list of string":
        return ListField(StringField())
    return by_type[field.type]()


def _candidate_indexes() -> list[Any]:
    # `_id` closes each index, so that a sorted page is stable and needs no sort in memory.
    found: list[Any] = [("_id", "hash", "recipe")]
    found += [(field.name, "_id") for field in candidate_fields() if field.indexed and not field.ion]
    # Channels are asked for together with stability, which stands behind `_id`: it narrows what is read, not the order.
    found += [(field.name, "_id", "energy_above_hull") for field in candidate_fields() if field.indexed and field.ion]
    # What is asked for together: elements with stability or band gap, symmetry with size (benchmarks/query.py). `_id` stands
    # right behind the field that pages are sorted by, and what only narrows them behind it (benchmarks/rest_load.py).
    found += [
        ("elements", "energy_above_hull", "_id", "band_gap", "nelements"),
        ("elements", "band_gap", "_id", "energy_above_hull", "nelements"),
        ("nelements", "density", "_id"),
        ("space_group_number", "nelements", "nsites_primitive", "density", "_id"),
    ]
    return found


CandidateDocument: Final = type(
    "CandidateDocument",
    (Document,),
    {
        "__doc__": "One flat document a material: all that can be asked for. Made from the registry of fields.",
        "__module__": __name__,
        **{field.name: _candidate_attribute(field) for field in candidate_fields()},
        "hash": StringField(required=True, min_length=HASH_LENGTH, max_length=HASH_LENGTH),
        "recipe": StringField(required=True),
        "stamp": EmbeddedDocumentField(StampDocument, required=True),
        "meta": {"collection": "candidates", "indexes": _candidate_indexes()},
    },
)

DOCUMENTS: Final[tuple[Any, ...]] = (
    SourceDocument,
    SourceHistoryDocument,
    StructureDocument,
    DuplicatesDocument,
    EmbeddingDocument,
    ChannelsDocument,
    BarriersDocument,
    PredictionsDocument,
    TopologyDocument,
    ConductivitiesDocument,
    ConductivityPredictionsDocument,
    CandidateDocument,
    BuildStateDocument,
    BuildDocument,
    LeaseDocument,
    KeyDocument,
)
"""Every document class; a room adds its own here."""

GENERATIONS: Final = frozenset({"candidates"})
"""Collections that are views over a generation, switched in one step (:mod:`store.generations`)."""
