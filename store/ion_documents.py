"""The documents of one ion in one structure: its channels, and what is predicted of it. Part of :mod:`store.documents`."""

from __future__ import annotations

from typing import Any, Final

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
from store.provenance import HASH_LENGTH


class ChannelFlagDocument(EmbeddedDocument):
    """A doubt about an analysis of channels: fixed words, and one sentence with the numbers of this case."""

    code = StringField(required=True)
    reason = StringField(required=True)


class ChannelsDocument(Document):
    """Voids, channels, percolation and hops of one ion in one structure; the identifier is material/ion."""

    id = StringField(primary_key=True)
    material = StringField(required=True)
    ion = StringField(required=True)
    anion = StringField()
    insertion = BooleanField(required=True)
    r1 = FloatField(required=True, min_value=0.0)
    r2 = FloatField(required=True, min_value=0.0)
    r3 = FloatField(required=True, min_value=0.0)
    directions = ListField(ListField(ListField(IntField())), required=True)
    channel_dimension = IntField(min_value=0, max_value=3)
    threshold = FloatField(min_value=0.0)
    threshold_source = StringField()
    n_voids = IntField(required=True, min_value=1)
    n_channels = IntField(required=True, min_value=1)
    n_hops = IntField(required=True, min_value=0)
    r_sd_min = FloatField(min_value=0.0)
    r_sd_max = FloatField(min_value=0.0)
    path_r1 = FloatField(required=True, min_value=0.0)
    path_r2 = FloatField(required=True, min_value=0.0)
    path_r3 = FloatField(required=True, min_value=0.0)
    path_r_chan1 = FloatField(min_value=0.0)
    path_r_chan2 = FloatField(min_value=0.0)
    path_r_chan3 = FloatField(min_value=0.0)
    path_directions = ListField(ListField(ListField(IntField())), required=True)
    channel_flags = ListField(EmbeddedDocumentField(ChannelFlagDocument), required=True)
    certificate = DictField(required=True)
    cell = DictField(required=True)
    arrays = BinaryField(required=True)
    hash = StringField(required=True, min_length=HASH_LENGTH, max_length=HASH_LENGTH)
    recipe = StringField(required=True)
    stamp = EmbeddedDocumentField(StampDocument, required=True)

    meta = {  # noqa: RUF012
        "collection": "channels",
        "indexes": [("_id", "hash", "recipe"), "material", ("ion", "channel_dimension", "r1")],
    }


class HopPredictionDocument(EmbeddedDocument):
    """The predicted barrier of one hop, eV; without a prediction only why there is none."""

    hop = IntField(required=True, min_value=0)
    value = FloatField(min_value=0.0)
    lower = FloatField(min_value=0.0)
    upper = FloatField(min_value=0.0)
    in_domain = BooleanField(required=True)
    distance = FloatField(min_value=0.0)
    percolates = BooleanField(required=True)
    reason = StringField()


def _energy_attributes(name: str) -> dict[str, Any]:
    return {
        name: FloatField(min_value=0.0),
        f"{name}_lower": FloatField(min_value=0.0),
        f"{name}_upper": FloatField(min_value=0.0),
        f"{name}_in_domain": BooleanField(),
        f"{name}_hop": IntField(min_value=0),
        f"{name}_directions": ListField(ListField(IntField()), required=True),
    }


PredictionsDocument: Final = type(
    "PredictionsDocument",
    (Document,),
    {
        "__doc__": "Predicted barriers of one ion's hops in one structure, its migration energy; the identifier is material/ion.",
        "__module__": __name__,
        "id": StringField(primary_key=True),
        "material": StringField(required=True),
        "ion": StringField(required=True),
        "model": StringField(required=True),
        "n_hops": IntField(required=True, min_value=0),
        "n_predicted": IntField(required=True, min_value=0),
        "hops": ListField(EmbeddedDocumentField(HopPredictionDocument), required=True),
        **_energy_attributes("migration_energy"),
        **_energy_attributes("migration_energy_2"),
        **_energy_attributes("migration_energy_3"),
        "hash": StringField(required=True, min_length=HASH_LENGTH, max_length=HASH_LENGTH),
        "recipe": StringField(required=True),
        "stamp": EmbeddedDocumentField(StampDocument, required=True),
        "meta": {
            "collection": "predictions",
            "indexes": [("_id", "hash", "recipe"), "material", ("ion", "migration_energy")],
        },
    },
)
