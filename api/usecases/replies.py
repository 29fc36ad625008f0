"""Parts of what use-cases reply: the envelope, and rows of materials made from the registry of fields."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, create_model


class Reply(BaseModel):
    """Base of all replies and their parts."""

    model_config = ConfigDict(extra="forbid")


class FieldMeaning(Reply):
    """What a column is."""

    unit: str | None = Field(description="Unit of the numbers; null for what has none.")
    type: str = Field(description="OPTIMADE's name of the type.")
    meaning: str = Field(description="One sentence.")


class Meta(Reply):
    """About the answer."""

    version: str = Field(description="Version of ionatlas that answered.")
    fields: dict[str, FieldMeaning] = Field(default={}, description="What the columns of data are, with units.")
    total: int | None = Field(default=None, description="How many match in all; null where that was not counted.")
    more: bool | None = Field(default=None, description="Whether more match than there are rows.")
    next: str | None = Field(default=None, description="What to give as `after` for the next page.")
    seconds: float | None = Field(default=None, description="Time taken, s.")
    note: str | None = Field(default=None, description="What a reader of this answer should know.")


class Links(Reply):
    """Where to go on."""

    next: str | None = Field(description="Address of the next page; null on the last one, and after a POST.")


class Envelope(Reply):
    """What every reply holds beside its data."""

    meta: Meta
    links: Links


class Problem(Reply):
    """An error (RFC 9457)."""

    type: str = Field(description="Kind of error.")
    title: str = Field(description="The same in words.")
    status: int = Field(description="HTTP status.")
    detail: str = Field(description="What was wrong, what was expected, what was given.")
    mend: str | None = Field(default=None, description="What to do about it.")
    where: str | None = Field(default=None, description="The place in the filter, with carets below it.")
    parameter: str | None = Field(default=None, description="The parameter that is at fault.")
    error: str | None = Field(default=None, description="Name of the error's class in the Python package.")


_TYPES: Final[dict[str, Any]] = {
    "string": str,
    "integer": int,
    "float": float,
    "boolean": bool,
    "timestamp": datetime,
    "list of string": list[str],
    "dictionary": dict[str, Any],
}


@lru_cache(maxsize=1)
def material_model() -> type[BaseModel]:
    """Make the model of a material's row from the registry of fields: each nullable, since rows are sparse."""
    from store.fields import candidate_fields

    columns: dict[str, Any] = {}
    for field in candidate_fields():
        told = f"{field.meaning} Unit: {field.unit}." if field.unit else field.meaning
        columns[field.name] = (Annotated[_TYPES.get(field.type, Any) | None, Field(description=told)], None)
    columns["distance"] = (
        Annotated[float | None, Field(description="Of a search for what is similar: the distance, nearest first.")],
        None,
    )
    return create_model(
        "Material",
        __base__=Reply,
        __doc__="A material's values by field name: those columns that were asked for, null where a value is unknown.",
        **columns,
    )
