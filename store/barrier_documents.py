"""The document of one hop with its barrier. Part of :mod:`store.documents`."""

from __future__ import annotations

from mongoengine import (
    BinaryField,
    BooleanField,
    DictField,
    Document,
    EmbeddedDocument,
    EmbeddedDocumentField,
    FloatField,
    IntField,
    ListField,
    StringField,
)

from store.document_parts import StampDocument
from store.hops import DEFINITIONS
from store.provenance import HASH_LENGTH


class HopLinkDocument(EmbeddedDocument):
    """A structure of the store that a hop's host is made from."""

    material = StringField(required=True)
    difference = FloatField(required=True, min_value=0.0)
    hop = IntField(min_value=0)


class BarriersDocument(Document):
    """One hop as given, with its barrier if one was computed, its route and its descriptors; the identifier is the record's."""

    id = StringField(primary_key=True)
    name = StringField()
    working_ion = StringField(required=True)
    formula = StringField(required=True)
    framework_formula = StringField(required=True)
    crystal_class = StringField()
    space_group = StringField()
    nsites = IntField(required=True, min_value=1)
    other_ions = IntField(required=True, min_value=0)
    barrier = FloatField()
    barrier_definition = StringField(choices=tuple(DEFINITIONS))
    method = StringField()
    functional = StringField()
    charge_state = FloatField()
    limit = StringField()
    material = StringField()
    materials = ListField(EmbeddedDocumentField(HopLinkDocument), required=True)
    p_length = FloatField(required=True, min_value=0.0)
    study = DictField(required=True)
    r_bottleneck = FloatField(min_value=0.0)
    features = BinaryField(required=True)
    route = BinaryField(required=True)
    host = BinaryField(required=True)
    host_kinds = ListField(StringField(), required=True)
    images_kind = StringField()
    dft = BooleanField(required=True)
    flags = ListField(StringField(), required=True)
    warnings = ListField(StringField(), required=True)
    properties = DictField(required=True)
    provider = StringField()
    licence = StringField()
    references = ListField(StringField(), required=True)
    hash = StringField(required=True, min_length=HASH_LENGTH, max_length=HASH_LENGTH)
    recipe = StringField(required=True)
    stamp = EmbeddedDocumentField(StampDocument, required=True)

    meta = {  # noqa: RUF012
        "collection": "barriers",
        "indexes": [
            ("_id", "hash", "recipe"),
            ("working_ion", "framework_formula"),
            "material",
            "materials.material",
        ],
    }
