"""Use-cases: materials by property, counts and histograms, completion of what is being typed."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, create_model

from api.usecases.asks import Ask, Duplicates, Fields, Filter, Limit, Sort
from api.usecases.registry import Answer, UseCase, register
from api.usecases.replies import Envelope, Reply, material_model
from store.errors import UsageError

if TYPE_CHECKING:
    from api.service import Service

MOST_IDS = 10_000
_Cursor = Annotated[
    str | None,
    Field(description="Where the page before ended: its `meta.next`. Not together with skip.", max_length=4000),
]
_Skip = Annotated[int, Field(description="Rows to leave out at the beginning; `after` is quicker.", ge=0, le=1_000_000)]


class QueryAsk(Ask):
    """Which materials, which columns, in which order."""

    filter: Filter = None
    fields: Fields = None
    sort: Sort = None
    limit: Limit = 20
    after: _Cursor = None
    skip: _Skip = 0
    count: Annotated[bool, Field(description="Count all matches, unless that takes over 2 s.")] = False
    include_duplicates: Duplicates = True


class QueryBody(QueryAsk):
    """The same for long filters and lists of ids."""

    ids: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=300)]] | None,
        Field(
            description="Ids, answered in this order; not together with a filter, an order or pages.",
            max_length=MOST_IDS,
        ),
    ] = None


_ROWS: Any = list[material_model()]  # type: ignore[misc]
MaterialsReply = create_model(
    "MaterialsReply",
    __base__=Envelope,
    __doc__="Rows of materials.",
    data=(_ROWS, ...),
)


def query(service: Service, ask: QueryAsk) -> Answer:
    """Find materials by their properties.

    Pages are walked with `links.next`: what is written in between moves no row from one page to another. Rows hold the columns
    asked for; a value that is unknown is null.
    """
    ids = getattr(ask, "ids", None)
    if ids is not None:
        if ask.filter or ask.sort or ask.after or ask.skip:
            raise UsageError("Ids are asked for alone.", mend="leave out filter, sort, after and skip")
        return Answer.of(service.get_many(ids, fields=ask.fields))
    return Answer.of(
        service.query(
            ask.filter,
            fields=ask.fields,
            sort=ask.sort,
            limit=ask.limit,
            skip=ask.skip,
            after=ask.after,
            count=ask.count,
            include_duplicates=ask.include_duplicates,
        )
    )


class AggregateAsk(Ask):
    """What to count, in which groups."""

    filter: Filter = None
    group_by: Annotated[
        str | None,
        Field(description="Field to group by, or two with a comma; each element of a list counts.", max_length=200),
    ] = None
    histogram: Annotated[str | None, Field(description="Numeric field to cut into bins.", max_length=100)] = None
    bins: Annotated[int | None, Field(description="How many bins of equal width.", ge=1, le=200)] = None
    value: Annotated[
        str | None,
        Field(description="Numeric field whose smallest, largest and mean value each bucket tells.", max_length=100),
    ] = None
    top: Annotated[int, Field(description="Most groups, the largest first.", ge=1, le=1000)] = 50
    include_duplicates: Duplicates = True


class Bucket(Reply):
    """Materials of one group or interval."""

    value: Any = Field(description="Value of the group; of several fields a list; null for an interval.")
    low: float | None = Field(description="Lower end of an interval, which belongs to it.")
    high: float | None = Field(description="Upper end, which belongs to the next interval; of the last one to itself.")
    count: int = Field(description="Materials.")
    known: int | None = Field(description="Of them, those that have the value asked for.")
    minimum: float | None = Field(description="Smallest of the value asked for.")
    maximum: float | None = Field(description="Largest of the value asked for.")
    mean: float | None = Field(description="Mean of the value asked for.")


class Aggregated(Reply):
    """Counts."""

    kind: str = Field(description="count, histogram or groups.")
    fields: list[str] = Field(description="Fields that were grouped by; meta.fields tells their units.")
    value: str | None = Field(description="Field of minimum, maximum and mean.")
    buckets: list[Bucket]
    total: int = Field(description="Materials that match the filter.")
    unknown: int = Field(description="Of them, those without the field.")
    groups: int = Field(description="Different groups in all.")


class AggregateReply(Envelope):
    """Counts, groups or a histogram."""

    data: Aggregated


def aggregate(service: Service, ask: AggregateAsk) -> Answer:
    """Count materials: all that match, by groups of a field, or in the intervals of a histogram."""
    by = [name.strip() for name in ask.group_by.split(",") if name.strip()] if ask.group_by else None
    found = service.aggregate(
        ask.filter,
        group_by=by,
        histogram=ask.histogram,
        bins=ask.bins,
        value=ask.value,
        top=ask.top,
        include_duplicates=ask.include_duplicates,
    )
    data = {
        "kind": found.kind,
        "fields": [each.name for each in found.fields],
        "value": found.value.name if found.value else None,
        "buckets": [asdict(each) for each in found.buckets],
        "total": found.total,
        "unknown": found.unknown,
        "groups": found.groups,
    }
    named = [*found.fields, *([found.value] if found.value else [])]
    return Answer(data, named, found.total, seconds=found.seconds)


class CompleteAsk(Ask):
    """The beginning of a filter."""

    text: Annotated[str, Field(description="What was typed so far.", max_length=8192)] = ""


class Suggestion(Reply):
    """One way to go on."""

    text: str = Field(description="What to write.")
    kind: str = Field(description="field, operator, value, unit or keyword.")
    detail: str = Field(description="What it means, with the unit of a field.")
    start: int = Field(description="Where in the text it begins; what stands from there on is replaced.")


class CompleteReply(Envelope):
    """How a filter may go on."""

    data: list[Suggestion]


def complete(service: Service, ask: CompleteAsk) -> Answer:
    """Suggest how a filter may go on behind its last word: fields, comparisons, values, units."""
    return Answer([asdict(each) for each in service.complete(ask.text)])


register(
    UseCase(
        "query",
        "Materials by property",
        QueryAsk,
        MaterialsReply,
        query,
        path="/materials",
        body=QueryBody,
        settled=True,
    )
)
register(
    UseCase(
        "aggregate", "Counts, groups, histograms", AggregateAsk, AggregateReply, aggregate, settled=True, heavy=True
    )
)
register(UseCase("complete", "How a filter may go on", CompleteAsk, CompleteReply, complete, settled=True))
