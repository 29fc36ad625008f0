"""Parts that documents of several collections hold; the collections are in :mod:`store.documents`."""

from __future__ import annotations

from mongoengine import (
    DateTimeField,
    DictField,
    EmbeddedDocument,
    FloatField,
    IntField,
    ListField,
    StringField,
)


class StampDocument(EmbeddedDocument):
    """What made a derived document (:class:`store.provenance.Stamp`)."""

    builder = StringField(required=True)
    version = IntField(required=True, min_value=1)
    params = StringField(required=True)
    inputs = StringField(required=True)
    made_at = DateTimeField(required=True)
    seconds = FloatField(required=True, min_value=0.0)
    packages = DictField(required=True)


class ErrorDocument(EmbeddedDocument):
    """Why something failed."""

    type = StringField(required=True)
    message = StringField(required=True)
    traceback = StringField()


class CellDocument(EmbeddedDocument):
    """A crystal: lattice rows in Å, shape (3, 3); fractional coordinates, shape (n_sites, 3)."""

    lattice = ListField(ListField(FloatField()), required=True)
    species = ListField(StringField(), required=True)
    frac_coords = ListField(ListField(FloatField()), required=True)
    occupancies = ListField(DictField())
