"""What questions answer: plain dataclasses, the same for Python, the command line and HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from store.fields import Field


@dataclass(frozen=True)
class QueryResult:
    """Answer to a query or a similarity search.

    Attributes
    ----------
    rows : list of dict
        One a material, values by field name; None where a material lacks the value.
    fields : list of store.fields.Field
        What the columns are, in order, with units.
    total : int or None
        How many materials match in all; None when that was not counted.
    more : bool
        Whether more materials match than there are rows.
    seconds : float
        Time taken, s.
    note : str or None
        What a reader of this answer should know (an empty store, an index behind its collection, ids that are not there).
    next : str or None
        Cursor of the next page, to be given as ``after`` with the same question; None where nothing follows.
    missing : list of str
        Ids that were asked for and are not there.
    """

    rows: list[dict[str, Any]]
    fields: list[Field]
    total: int | None
    more: bool
    seconds: float
    note: str | None = None
    next: str | None = None
    missing: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Bucket:
    """One group or one interval of an aggregation.

    Attributes
    ----------
    value : object
        Value of a group; a list of values where several fields group; None of an interval.
    low, high : float or None
        Ends of an interval: low belongs to it and high to the next one, but for the last interval, which has both.
    count : int
        Materials in it.
    known : int or None
        Of them, those that have the field that was summed up; None where none was named.
    minimum, maximum, mean : float or None
        Of that field.
    """

    count: int
    value: Any = None
    low: float | None = None
    high: float | None = None
    known: int | None = None
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None


@dataclass(frozen=True)
class Aggregation:
    """How the materials that match a filter spread over values.

    Attributes
    ----------
    kind : str
        ``count``, ``groups`` or ``histogram``.
    fields : list of store.fields.Field
        What they are grouped by, with units; empty for a count.
    value : store.fields.Field or None
        What is summed up in each bucket.
    buckets : list of Bucket
        Groups, the largest first, or intervals in order. Each item of a list (``elements``) counts in its own group. Of a
        count: one bucket with everything.
    total : int
        Materials that match the filter.
    unknown : int
        Of them, those without the field (where several group: without one of them).
    groups : int
        Different groups in all; more than there are buckets when only the largest were asked for.
    below, above : int
        Of a histogram with given edges: materials outside of them.
    seconds : float
    """

    kind: str
    fields: list[Field]
    value: Field | None
    buckets: list[Bucket]
    total: int
    unknown: int
    groups: int
    below: int
    above: int
    seconds: float


@dataclass(frozen=True)
class Step:
    """One document on the way of a value, with what made it.

    Attributes
    ----------
    collection, id : str
        The document.
    hash : str or None
        Hash of its content.
    builder, version : str, int, or None
        What made it; None for a record as it was given.
    params : dict or None
        The builder's parameters then; None when they are not known any more.
    made_at : datetime.datetime or None
    seconds : float or None
        Time the builder spent on it, s.
    packages : dict of str
        Versions of the packages that did the work.
    state : str
        ``given`` (a record), ``fresh``, or ``stale (cause)``: what ``ionatlas build`` would do now.
    inputs : list of Step
        What it was made from.
    more_inputs : int
        Further inputs that are not listed.
    origins : list of dict
        Of a record: where it was read (path or URL, member, line, time).
    sha256, format, licence : str or None
        Of a record.
    references : list of str
        Of a record: publications.
    """

    collection: str
    id: str
    hash: str | None
    state: str
    builder: str | None = None
    version: int | None = None
    params: dict[str, Any] | None = None
    made_at: datetime | None = None
    seconds: float | None = None
    packages: dict[str, str] = field(default_factory=dict)
    inputs: list[Step] = field(default_factory=list)
    more_inputs: int = 0
    origins: list[dict[str, Any]] = field(default_factory=list)
    sha256: str | None = None
    format: str | None = None
    licence: str | None = None
    references: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Lineage:
    """Where a value comes from.

    Attributes
    ----------
    id : str
        The material.
    field : store.fields.Field
        The field, with unit and meaning.
    value : object
        The value; None when it is unknown.
    copied_from : str
        ``collection.path`` of the document that it was copied from.
    steps : list of Step
        The document that holds the value; each step's inputs lead back to the given record.
    """

    id: str
    field: Field
    value: Any
    copied_from: str
    steps: list[Step]


@dataclass(frozen=True)
class CollectionStatus:
    """One collection of the store.

    Attributes
    ----------
    name : str
    documents : int
    builder : str or None
        What fills it; None for records as they were given.
    last_build : datetime.datetime or None
        When the builder last ended.
    last_state : str or None
        How it ended: ``done``, ``interrupted``, ``running`` or ``broken``.
    failed : int
        Items that failed and were not mended since.
    reasons : dict of str to int
        The most common reasons of failure.
    """

    name: str
    documents: int
    builder: str | None
    last_build: datetime | None
    last_state: str | None
    failed: int
    reasons: dict[str, int]


@dataclass(frozen=True)
class IndexStatus:
    """One vector index.

    Attributes
    ----------
    name : str
    vectors : int
    published_at : datetime.datetime or None
    state : str
        ``fresh``, ``stale: ...`` or ``missing``.
    """

    name: str
    vectors: int
    published_at: datetime | None
    state: str


@dataclass(frozen=True)
class StoreStatus:
    """What is in the store.

    Attributes
    ----------
    database, home : str
    collections : list of CollectionStatus
    indexes : list of IndexStatus
    """

    database: str
    home: str
    collections: list[CollectionStatus]
    indexes: list[IndexStatus]
