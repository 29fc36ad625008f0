"""Keep the database in step with :mod:`store.documents`: validators and indexes, generated, never written by hand.

:func:`migrate` is the migration step. It compares the hash of the generated schema with the one kept in ``meta`` and does
nothing when they agree, so it may be called at every start. Changes are additive: a field may be added, none is renamed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.errors import CollectionInvalid, OperationFailure

from store.documents import DOCUMENTS, GENERATIONS
from store.provenance import content_hash, utc_now

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pymongo.database import Database

NAME_PREFIX = "ionatlas_"
"""Indexes whose name begins so are ours: made, and removed when the schema no longer names them."""


def _scalar(field: Any) -> dict[str, Any]:
    from mongoengine import fields as kinds

    if isinstance(field, kinds.IntField):
        rule: dict[str, Any] = {"bsonType": ["int", "long"]}
    elif isinstance(field, kinds.FloatField):
        rule = {"bsonType": ["double", "int", "long"]}
    elif isinstance(field, kinds.BooleanField):
        rule = {"bsonType": ["bool"]}
    elif isinstance(field, kinds.DateTimeField):
        rule = {"bsonType": ["date"]}
    elif isinstance(field, kinds.BinaryField):
        rule = {"bsonType": ["binData"]}
    elif isinstance(field, kinds.StringField):
        rule = {"bsonType": ["string"]}
    else:
        raise TypeError(f"No validator is known for the field type {type(field).__name__}; add it to store/schema.py.")
    for ours, theirs in (
        ("min_value", "minimum"),
        ("max_value", "maximum"),
        ("min_length", "minLength"),
        ("max_length", "maxLength"),
    ):
        limit = getattr(field, ours, None)
        if limit is not None:
            rule[theirs] = limit
    if getattr(field, "regex", None) is not None:
        rule["pattern"] = field.regex.pattern
    return rule


def _rule(field: Any) -> dict[str, Any]:
    """Write the ``$jsonSchema`` of one mongoengine field."""
    from mongoengine import fields as kinds

    if isinstance(field, kinds.EmbeddedDocumentField):
        rule = {"bsonType": ["object"], **_object(field.document_type)}
    elif isinstance(field, kinds.ListField):
        rule = {"bsonType": ["array"]}
        # The contents of inner lists (coordinates) are left to the kernels: checking each number costs more than it finds.
        if field.field is not None and not isinstance(field.field, kinds.ListField):
            rule["items"] = _rule(field.field)
            rule["items"]["bsonType"] = [kind for kind in rule["items"]["bsonType"] if kind != "null"]
    elif isinstance(field, kinds.DictField):
        rule = {"bsonType": ["object"]}
    else:
        rule = _scalar(field)
    if field.choices:
        rule["enum"] = list(field.choices)
    if not (field.required or field.primary_key):
        rule["bsonType"] = [*rule["bsonType"], "null"]
        if "enum" in rule:
            rule["enum"].append(None)
    return rule


def _object(document: Any) -> dict[str, Any]:
    properties = {}
    required = []
    for field in document._fields.values():
        properties[field.db_field] = _rule(field)
        if field.required or field.primary_key:
            required.append(field.db_field)
    return {"required": sorted(required), "properties": properties, "additionalProperties": False}


def json_schema(document: Any) -> dict[str, Any]:
    """Generate the server-side validator of a document class.

    Parameters
    ----------
    document : type
        A mongoengine document class of :mod:`store.documents`.

    Returns
    -------
    dict
        What goes under ``$jsonSchema``.

    Examples
    --------
    >>> from store.documents import EmbeddingDocument
    >>> json_schema(EmbeddingDocument)["properties"]["dimension"]
    {'bsonType': ['int', 'long'], 'minimum': 1}
    """
    return {"bsonType": "object", **_object(document)}


def index_models(document: Any) -> list[IndexModel]:
    """Generate the indexes of a document class from its ``meta``."""
    models = []
    for entry in document._meta.get("indexes", []):
        spec = entry if isinstance(entry, dict) else {"fields": entry}
        fields = spec["fields"]
        names = (fields,) if isinstance(fields, str) else tuple(fields)
        keys = [(name.lstrip("-"), DESCENDING if name.startswith("-") else ASCENDING) for name in names]
        keys = [("_id" if name == "id" else name, direction) for name, direction in keys]
        label = NAME_PREFIX + "_".join(name for name, _ in keys)
        models.append(IndexModel(keys, name=label[:120], unique=bool(spec.get("unique", False))))
    return models


@lru_cache(maxsize=1)
def schema_hash() -> str:
    """Hash of every validator and index: differs when any document class changed."""
    return content_hash(
        [
            [document._meta["collection"], json_schema(document), [model.document for model in index_models(document)]]
            for document in DOCUMENTS
        ]
    )


def document_class(collection: str) -> Any:
    """Find the class of a collection by its name.

    Raises
    ------
    KeyError
        No class describes it.
    """
    for document in DOCUMENTS:
        if document._meta["collection"] == collection:
            return document
    raise KeyError(collection)


def apply_schema(database: Database[Any], collection: str, document: Any, *, indexes: bool = True) -> None:
    """Give one collection its validator and its indexes, making it if need be; ours that are no longer named go."""
    validator = {"$jsonSchema": json_schema(document)}
    try:
        database.create_collection(collection, validator=validator, validationLevel="strict", validationAction="error")
    except CollectionInvalid:
        database.command("collMod", collection, validator=validator, validationLevel="strict", validationAction="error")
    if not indexes:
        return
    models = index_models(document)
    wanted = {model.document["name"]: model for model in models}
    for name, described in database[collection].index_information().items():
        if not name.startswith(NAME_PREFIX):
            continue
        changed = name in wanted and [list(key) for key in wanted[name].document["key"].items()] != [
            list(key) for key in described["key"]
        ]
        if name not in wanted or changed:
            database[collection].drop_index(name)
    if models:
        database[collection].create_indexes(models)


def migrate(database: Database[Any], *, names: Iterable[str] | None = None) -> bool:
    """Bring validators and indexes of the database in step with the document classes.

    Parameters
    ----------
    database : pymongo.database.Database
    names : iterable of str, optional
        Only these collections.

    Returns
    -------
    bool
        Whether anything had to be done.

    Examples
    --------
    >>> from ionatlas import Atlas                      # doctest: +SKIP
    >>> migrate(Atlas().database)                       # doctest: +SKIP
    False
    """
    kept = database["meta"].find_one({"_id": "schema"})
    if names is None and kept is not None and kept.get("hash") == schema_hash():
        return False
    for document in DOCUMENTS:
        collection = document._meta["collection"]
        if names is not None and collection not in names:
            continue
        if collection in GENERATIONS:
            for generation in _generations(database, collection):
                apply_schema(database, generation, document)
            continue
        try:
            apply_schema(database, collection, document)
        except OperationFailure as error:
            if error.code != 48:  # NamespaceExists: another process made it in this moment
                raise
            apply_schema(database, collection, document)
    if names is None:
        database["meta"].replace_one(
            {"_id": "schema"}, {"_id": "schema", "hash": schema_hash(), "at": utc_now()}, upsert=True
        )
    return True


def _generations(database: Database[Any], collection: str) -> list[str]:
    return [name for name in database.list_collection_names() if name.startswith(f"{collection}_g")]
