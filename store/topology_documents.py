"""The document of one structure's persistence diagrams. Part of :mod:`store.documents`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mongoengine import (
    BinaryField,
    BooleanField,
    Document,
    EmbeddedDocument,
    EmbeddedDocumentField,
    FloatField,
    IntField,
    ListField,
    StringField,
)

from store.document_parts import StampDocument
from store.field import Field
from store.provenance import HASH_LENGTH

if TYPE_CHECKING:
    from store.field import FieldType


class AtomGroupDocument(EmbeddedDocument):
    """Numbers of the diagrams of one group of atoms; lists by degree (H0, H1, H2; essential: H0 to H3), lengths in Å."""

    name = StringField(required=True)
    n_points = IntField(required=True, min_value=1)
    bars = ListField(IntField(min_value=0), required=True)
    persistence = ListField(FloatField(), required=True)
    longest = ListField(FloatField(), required=True)
    entropy = ListField(FloatField(), required=True)
    essential = ListField(ListField(FloatField()), required=True)


class TopologyDocument(Document):
    """Persistence diagrams of the groups of atoms of one structure, by one ion; the identifier is material/ion."""

    id = StringField(primary_key=True)
    material = StringField(required=True)
    ion = StringField(required=True)
    ion_r1 = FloatField(min_value=0.0)
    ion_r2 = FloatField(min_value=0.0)
    ion_r3 = FloatField(min_value=0.0)
    ion_layers = FloatField(min_value=0.0)
    framework_r1 = FloatField(min_value=0.0)
    framework_r2 = FloatField(min_value=0.0)
    framework_r3 = FloatField(min_value=0.0)
    framework_void = FloatField(min_value=0.0)
    channels_difference = FloatField(min_value=0.0)
    channels_meet = BooleanField()
    channels_agree = BooleanField()
    groups = ListField(EmbeddedDocumentField(AtomGroupDocument), required=True)
    arrays = BinaryField(required=True)
    hash = StringField(required=True, min_length=HASH_LENGTH, max_length=HASH_LENGTH)
    recipe = StringField(required=True)
    stamp = EmbeddedDocumentField(StampDocument, required=True)

    meta = {  # noqa: RUF012
        "collection": "topology",
        "indexes": [("_id", "hash", "recipe"), "material", ("ion", "ion_layers"), "channels_agree"],
    }


def _field(name: str, type_: FieldType, unit: str | None, meaning: str, shape: str = "") -> Field:
    return Field(name, type_, unit, meaning, f"topology.{name}", shape=shape)


TOPOLOGY_FIELDS: Final = (
    _field("ion_r1", "float", "Å", "Radius at which balls around the ion's sites first make a row without end."),
    _field("ion_r2", "float", "Å", "Radius at which they make a layer."),
    _field("ion_r3", "float", "Å", "Radius at which they make a network in three directions."),
    _field(
        "ion_layers", "float", "Å", "ion_r3 minus ion_r2: how much farther layers of the ion are than its sites within."
    ),
    _field(
        "framework_r1", "float", "Å", "Largest essential birth of H2 of the framework: percolation in one direction."
    ),
    _field("framework_r2", "float", "Å", "The second: percolation in two directions."),
    _field("framework_r3", "float", "Å", "The smallest: percolation in three directions."),
    _field("framework_void", "float", "Å", "Essential birth of H3 of the framework: radius of its largest void."),
    _field(
        "channels_difference",
        "float",
        "Å",
        "Largest difference of framework_r1, r2, r3 from the channels' r1, r2, r3; none without channels.",
    ),
    _field(
        "channels_meet",
        "boolean",
        None,
        "Whether one connected system of channels has these radii; false where channels in several directions never meet.",
    ),
    _field(
        "channels_agree",
        "boolean",
        None,
        "Whether framework_r1, r2, r3 are the channels', all channels counted together, within 0.002 Å; none without channels.",
    ),
    _field(
        "groups",
        "list",
        "Å",
        "For all, ion, anions, cations, framework: points and, by degree, number of bars in a cell, their total and largest "
        "length, entropy, and births of the essential classes.",
        "(n_groups,)",
    ),
)
"""Fields of the documents in ``topology``."""
