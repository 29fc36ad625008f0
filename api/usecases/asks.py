"""Parts of what use-cases are asked with: names, types, bounds and meanings, once."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

_PRINTABLE = r"^[^\x00-\x1f\x7f]+$"


class Ask(BaseModel):
    """What a use-case is asked with; anything not named here is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


Filter = Annotated[
    str | None,
    Field(
        description='Condition in the filter language, such as `elements HAS "Li" AND band_gap > 3`; `/v1/fields` lists the '
        "fields and their units. Without one: all materials.",
        max_length=8192,
    ),
]
Fields = Annotated[
    str | None,
    Field(
        description="Columns, with commas: `id,formula,band_gap`. `li_*` stands for all that begin so, `all` for all. "
        "Without: the usual ones and those that filter and order name.",
        max_length=8192,
    ),
]
Sort = Annotated[
    str | None,
    Field(
        description="Order, with commas, `-` before what descends: `energy_above_hull,-density`. Materials without the value "
        "come last.",
        max_length=500,
    ),
]
Limit = Annotated[int, Field(description="Most rows.", ge=1, le=1000)]
Duplicates = Annotated[
    bool, Field(description="Whether to take materials that repeat another one's crystal into account.")
]
MaterialId = Annotated[
    str, Field(description="Id of a material, such as `mp-19017`.", min_length=1, max_length=300, pattern=_PRINTABLE)
]
MaybeId = Annotated[
    str | None,
    Field(
        description="Id of a material of the store, such as `mp-19017`.",
        min_length=1,
        max_length=300,
        pattern=_PRINTABLE,
    ),
]
Ion = Annotated[
    str | None,
    Field(
        description="Element symbol of the ion; by default the only working ion of the crystal.",
        pattern=r"^[A-Z][a-z]?$",
    ),
]
Formula = Annotated[
    str, Field(description="Chemical formula, such as `LiNiPO4`.", min_length=1, max_length=200, pattern=_PRINTABLE)
]
Elements = Annotated[
    str | None,
    Field(
        description="Element symbols with commas: `Li,P,S`.", pattern=r"^[A-Z][a-z]?(,[A-Z][a-z]?)*$", max_length=400
    ),
]
Cell = Annotated[
    Literal["standard", "primitive", "given"],
    Field(description="Standardised conventional cell, standardised primitive cell, or the record as given."),
]


class NoAsk(Ask):
    """Nothing is asked with."""


class IdAsk(Ask):
    """One material."""

    id: MaterialId
