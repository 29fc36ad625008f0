"""Use-case: what is like a material or a formula."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from api.usecases.asks import Ask, Fields, Filter
from api.usecases.query import MaterialsReply
from api.usecases.registry import Answer, UseCase, register

if TYPE_CHECKING:
    from api.service import Service


class SimilarAsk(Ask):
    """Like what, in which measure, how many."""

    to: Annotated[
        str,
        Field(
            description="Id of a material, or a formula, which need not be in the store.",
            min_length=1,
            max_length=300,
            pattern=r"^[^\x00-\x1f\x7f]+$",
        ),
    ]
    by: Annotated[
        Literal["composition", "structure", "learned", "learned_composition"],
        Field(description="Measure: of the elements, of the arrangement of atoms, or learned."),
    ] = "composition"
    k: Annotated[int, Field(description="How many.", ge=1, le=1000)] = 10
    filter: Filter = None
    fields: Fields = None


def similar(service: Service, ask: SimilarAsk) -> Answer:
    """Find the materials most like a material or a formula, nearest first.

    Rows have `distance`. With a filter only materials that match it are looked at, and none of these is missed.
    """
    if os.path.lexists(ask.to):  # the service reads files; a stranger may not name ours
        raise service.unknown_id(ask.to)
    return Answer.of(service.similar(ask.to, ask.k, by=ask.by, filter=ask.filter, fields=ask.fields, files=False))


register(UseCase("similar", "What is like a material or a formula", SimilarAsk, MaterialsReply, similar))
