"""The documents of measured and of predicted conductivities. Part of :mod:`store.documents`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mongoengine import (
    BooleanField,
    DictField,
    Document,
    EmbeddedDocument,
    EmbeddedDocumentField,
    FloatField,
    ListField,
    StringField,
)

from store.conductivities import BOUNDS
from store.document_parts import CellDocument, StampDocument
from store.field import Field
from store.provenance import HASH_LENGTH

if TYPE_CHECKING:
    from store.field import FieldType

LOG_UNIT: Final = "log10(S/cm)"
"""Unit of conductivities: their decimal logarithm in S/cm."""

LINKS: Final = ("structure", "space group", "formula")
"""How a record belongs to a structure of the store: the same crystal; the same composition and space group; composition alone."""


class MaterialLinkDocument(EmbeddedDocument):
    """A structure of the store that has a record's composition, and what more they have in common."""

    material = StringField(required=True)
    by = StringField(required=True, choices=LINKS)


class ConductivitiesDocument(Document):
    """One measured conductivity as given, with its structures of the store and its repeats; the identifier is the record's."""

    id = StringField(primary_key=True)
    name = StringField()
    working_ion = StringField(required=True)
    formula_given = StringField(required=True)
    formula = StringField(required=True)
    chemical_formula_reduced = StringField(required=True)
    chemical_system = StringField(required=True)
    composition = DictField(required=True)
    log10_sigma = FloatField()
    censored = StringField(choices=BOUNDS)
    temperature = FloatField(min_value=0.0)
    at_room_temperature = BooleanField()
    family = StringField()
    space_group = StringField()
    structure = EmbeddedDocumentField(CellDocument)
    structure_hash = StringField(min_length=HASH_LENGTH, max_length=HASH_LENGTH)
    is_ordered = BooleanField()
    material = StringField()
    materials = ListField(EmbeddedDocumentField(MaterialLinkDocument), required=True)
    repeats = ListField(StringField(), required=True)
    repeat_spread = FloatField(min_value=0.0)
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
        "collection": "conductivities",
        "indexes": [
            ("_id", "hash", "recipe"),
            "chemical_formula_reduced",
            ("chemical_system", "log10_sigma"),
            "materials.material",
        ],
    }


class ConductivityPredictionsDocument(Document):
    """The predicted conductivity of an ion in one structure at 298 K; the identifier is material/ion."""

    id = StringField(primary_key=True)
    material = StringField(required=True)
    ion = StringField(required=True)
    model = StringField(required=True)
    conductivity = FloatField()
    conductivity_lower = FloatField()
    conductivity_upper = FloatField()
    conductivity_in_domain = BooleanField(required=True)
    conductivity_distance = FloatField(min_value=0.0)
    conductivity_reason = StringField()
    hash = StringField(required=True, min_length=HASH_LENGTH, max_length=HASH_LENGTH)
    recipe = StringField(required=True)
    stamp = EmbeddedDocumentField(StampDocument, required=True)

    meta = {  # noqa: RUF012
        "collection": "conductivity_predictions",
        "indexes": [("_id", "hash", "recipe"), "material", ("ion", "conductivity")],
    }


def _field(name: str, type_: FieldType, unit: str | None, meaning: str, shape: str = "") -> Field:
    return Field(name, type_, unit, meaning, f"conductivities.{name}", shape=shape)


def _predicted(name: str, type_: FieldType, unit: str | None, meaning: str) -> Field:
    return Field(name, type_, unit, meaning, f"conductivity_predictions.{name}")


CONDUCTIVITY_FIELDS: Final = (
    _field("formula_given", "string", None, "Formula as the source writes it."),
    _field("log10_sigma", "float", LOG_UNIT, "Measured conductivity, or its bound where it is censored."),
    _field("censored", "string", None, "upper_bound or lower_bound where only a bound is known."),
    _field("temperature", "float", "K", "Temperature of the measurement."),
    _field("at_room_temperature", "boolean", None, "Whether the temperature is between 288 and 308 K."),
    _field("family", "string", None, "Family of conductors as the source names it, such as garnet."),
    _field("structure", "dictionary", "Å", "The record's own structure, validated, in the cell that was given."),
    _field(
        "repeats",
        "list of string",
        None,
        "Other records of the same composition and ion, at whatever temperature, in the order of their ids.",
    ),
    _field(
        "repeat_spread",
        "float",
        LOG_UNIT,
        "Standard deviation of this and its repeats within 10 K, bounds left out; none with fewer than two values.",
    ),
    _predicted("conductivity", "float", LOG_UNIT, "Predicted conductivity at 298 K."),
    _predicted("conductivity_lower", "float", LOG_UNIT, "Lower end of its 90 % interval."),
    _predicted("conductivity_upper", "float", LOG_UNIT, "Upper end of its 90 % interval."),
    _predicted("conductivity_in_domain", "boolean", None, "Whether the model was trained on compounds like this one."),
    _predicted("conductivity_distance", "float", None, "Distance from the training set, in the model's measure."),
    _predicted("conductivity_reason", "string", None, "Why it is out of the domain."),
)
"""Fields of the documents in ``conductivities`` and ``conductivity_predictions``."""
