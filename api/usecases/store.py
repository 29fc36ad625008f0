"""Use-cases about the store itself: its fields, its state, everything as a file."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  (pydantic reads the annotations)
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from api.usecases.asks import Ask, Duplicates, Fields, Filter, Ion, NoAsk, Sort
from api.usecases.registry import Answer, UseCase, register
from api.usecases.replies import Envelope, Reply

if TYPE_CHECKING:
    from api.service import Service

MEDIA = {"jsonl": "application/x-ndjson", "csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}


class FieldsAsk(Ask):
    """Which fields."""

    ion: Ion = None


class FieldReply(Reply):
    """A field of materials."""

    name: str
    unit: str | None
    type: str
    meaning: str
    source: str = Field(description="collection.path that it is copied from.")
    ion: str | None = Field(description="The ion it tells of.")
    queryable: bool
    sortable: bool
    indexed: bool


class FieldsReply(Envelope):
    """The fields of materials."""

    data: list[FieldReply]


def fields(service: Service, ask: FieldsAsk) -> Answer:
    """List the fields of materials with unit, type and meaning: what filters, columns and orders may name."""
    from store.fields import candidate_fields

    names = ("name", "unit", "type", "meaning", "source", "queryable", "sortable", "indexed")
    rows = [
        {**{name: getattr(field, name) for name in names}, "ion": field.ion or None}
        for field in candidate_fields()
        if ask.ion is None or field.ion == ask.ion
    ]
    return Answer(rows, total=len(rows), more=False)


class CollectionState(Reply):
    """A collection."""

    name: str
    documents: int
    builder: str | None
    last_build: datetime | None
    last_state: str | None = Field(description="done, interrupted, running or broken.")
    failed: int = Field(description="Items that failed and were not mended since.")
    reasons: dict[str, int] = Field(description="The most common reasons of failure.")


class IndexState(Reply):
    """A vector index."""

    name: str
    vectors: int
    published_at: datetime | None
    state: str = Field(description="fresh, stale with the reason, or missing.")


class StoreState(Reply):
    """What is in the store."""

    database: str
    collections: list[CollectionState]
    indexes: list[IndexState]


class StatusReply(Envelope):
    """What is in the store."""

    data: StoreState


def status(service: Service, ask: NoAsk) -> Answer:
    """Tell what is in the store: collections, last builds, failures with their reasons, indexes."""
    from dataclasses import asdict

    told = asdict(service.status())
    del told["home"]  # a path of the server's machine
    return Answer(told)


class ManifestAsk(Ask):
    """What to export."""

    filter: Filter = None
    fields: Fields = None
    limit: Annotated[int | None, Field(description="Most rows; all without.", ge=1, le=100_000_000)] = None
    include_duplicates: Duplicates = True


class ExportAsk(ManifestAsk):
    """What to export, in which form."""

    sort: Sort = None
    format: Annotated[
        Literal["jsonl", "csv", "parquet"],
        Field(description="JSON Lines, CSV, or Parquet with units and licences inside."),
    ] = "jsonl"


def export(service: Service, ask: ExportAsk) -> Answer:
    """Stream all materials that match a filter as a file; /v1/export/manifest tells what it holds, with units and licences."""
    found = service.export(
        ask.filter,
        fields=ask.fields or "all",
        format=ask.format,
        sort=ask.sort,
        limit=ask.limit,
        include_duplicates=ask.include_duplicates,
    )
    return Answer(content=iter(found), media=MEDIA[ask.format], filename=f"materials.{ask.format}")


class ExportedField(Reply):
    """A column."""

    name: str
    unit: str | None
    type: str
    meaning: str


class Licence(Reply):
    """Whose records, under which licence."""

    provider: str | None
    licence: str | None
    rows: int


class Manifest(Reply):
    """What an export holds."""

    filter: str
    rows: int | None = Field(description="How many rows there will be.")
    made_by: str
    generation: str | None = Field(description="Generation of the data; another one may give other rows.")
    fields: list[ExportedField]
    licences: list[Licence] = Field(
        description="Of the records that match the filter; null where one of both is not known."
    )


class ManifestReply(Envelope):
    """What an export holds."""

    data: Manifest


def manifest(service: Service, ask: ManifestAsk) -> Answer:
    """Tell what an export will hold: columns with units and meanings, rows, and the licences of the records."""
    from store.generations import current_generation

    found = service.export(
        ask.filter, fields=ask.fields or "all", limit=ask.limit, include_duplicates=ask.include_duplicates
    )
    grouped = service.aggregate(
        ask.filter, group_by=["provider", "licence"], top=1000, include_duplicates=ask.include_duplicates
    )
    told = found.manifest
    licences: list[dict[str, Any]] = [
        {"provider": each.value[0], "licence": each.value[1], "rows": each.count} for each in grouped.buckets
    ]
    if grouped.unknown:
        licences.append({"provider": None, "licence": None, "rows": grouped.unknown})
    data = {
        "filter": told["filter"],
        "rows": found.total,
        "made_by": told["made_by"],
        "generation": service.call(lambda database: current_generation(database, "candidates")),
        "fields": [{key: each.get(key) for key in ("name", "unit", "type", "meaning")} for each in told["fields"]],
        "licences": licences,
    }
    return Answer(data, total=found.total)


register(UseCase("fields", "The fields of materials", FieldsAsk, FieldsReply, fields, tag="Store"))
register(UseCase("status", "What is in the store", NoAsk, StatusReply, status, tag="Store", heavy=True))
register(
    UseCase(
        "export",
        "Materials as a file",
        ExportAsk,
        Envelope,
        export,
        scope="export",
        formats={name: media.partition(";")[0] for name, media in MEDIA.items()},
        tag="Store",
    )
)
register(
    UseCase(
        "export-manifest",
        "What an export holds",
        ManifestAsk,
        ManifestReply,
        manifest,
        path="/export/manifest",
        scope="export",
        heavy=True,
        tag="Store",
    )
)
