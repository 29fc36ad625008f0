"""Exports: all rows of a query as a stream of bytes, and a manifest that tells what they are.

Rows are read in pages that go on behind the last row, so an export of any size needs the memory of one page, survives a lost
connection, and holds each material once even while the store is being rebuilt.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from api.exporting.formats import FORMATS, make_writer
from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from api.service import Service
    from store.fields import Field

PAGE: Final = 5_000
"""Rows read at once."""

_ORIGIN: Final = ("provider", "licence")


@dataclass(frozen=True)
class Wanted:
    """An export as it was asked for (see :meth:`api.service.Service.export`)."""

    filter: str | None = None
    fields: Sequence[str] | str | None = "all"
    format: str = "jsonl"
    sort: str | None = None
    limit: int | None = None
    include_duplicates: bool = True


class Export:
    """A stream of bytes with a manifest; iterate it once.

    Parameters
    ----------
    service : api.service.Service
    wanted : Wanted

    Attributes
    ----------
    fields : list of store.fields.Field
        The columns.
    total : int or None
        How many rows there will be, where it is known.
    rows, bytes : int
        How many were given so far.

    Raises
    ------
    FilterError, UnknownField, UsageError
        When it is made, so before the first byte.

    Examples
    --------
    >>> export = Atlas().service.export('elements HAS "Li"', format="csv")      # doctest: +SKIP
    >>> with open("lithium.csv", "wb") as file:                                 # doctest: +SKIP
    ...     file.writelines(export)
    >>> export.manifest["licences"]                                             # doctest: +SKIP
    [{'provider': 'mp', 'licence': 'CC-BY-4.0', 'rows': 20763}]
    """

    def __init__(self, service: Service, wanted: Wanted) -> None:
        from api.filters import compile_filter
        from api.finding import check_page, parse_sort

        if wanted.format not in FORMATS:
            raise UsageError(
                f"There is no format {wanted.format!r} of exports.", mend=f"give one of {', '.join(FORMATS)}"
            )
        self.service = service
        self.wanted = wanted
        self._compiled = compile_filter(wanted.filter, similar=True)
        question = self._question(PAGE if wanted.limit is None else wanted.limit)
        check_page(question)
        if self._compiled.similar is None or wanted.sort is not None:
            parse_sort(wanted.sort)
        self.fields = self._columns()
        self.total = self._count()
        self.rows = 0
        self.bytes = 0
        self._sums = hashlib.sha256()
        self._origins: Counter[tuple[str | None, str | None]] = Counter()
        self._started_at = datetime.now(UTC)
        self._seconds: float | None = None
        self._begun = False

    def __iter__(self) -> Iterator[bytes]:
        if self._begun:
            raise UsageError("An export is read once.", mend="make another one")
        self._begun = True
        started = time.perf_counter()
        writer = make_writer(self.wanted.format, self.fields)
        for rows in self._pages():
            yield from self._told(writer.rows([{field.name: row[field.name] for field in self.fields} for row in rows]))
            self.rows += len(rows)
            self._origins.update((row["provider"], row["licence"]) for row in rows)
        yield from self._told(writer.end({"licences": self._licences(), "filter": self.wanted.filter or ""}))
        self._seconds = time.perf_counter() - started

    @property
    def media_type(self) -> str:
        """MIME type of the bytes."""
        return FORMATS[self.wanted.format]

    @property
    def manifest(self) -> dict[str, Any]:
        """What the bytes are; ``sha256`` is None until all were read."""
        from importlib.metadata import version

        whole = self._seconds is not None
        return {
            "format": self.wanted.format,
            "filter": self.wanted.filter or "",
            "sort": self.wanted.sort,
            "limit": self.wanted.limit,
            "include_duplicates": self.wanted.include_duplicates,
            "created_at": self._started_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "seconds": None if self._seconds is None else round(self._seconds, 3),
            "made_by": f"ionatlas {version('ionatlas')}",
            "database": self.service.database.name,
            "rows": self.rows,
            "bytes": self.bytes,
            "sha256": self._sums.hexdigest() if whole else None,
            "licences": self._licences(),
            "fields": [_described(field) for field in self.fields],
        }

    # How it is read

    def _question(self, limit: int | None, after: str | None = None) -> Any:
        from api.finding import Question

        # The origin of each row comes along: the manifest tells the licences of what was given, and of nothing else.
        wanted = self.wanted
        names = [field.name for field in getattr(self, "fields", ()) if field.name not in ("distance", *_ORIGIN)]
        return Question(
            wanted.filter,
            [*names, *_ORIGIN],
            wanted.sort,
            limit,
            include_duplicates=wanted.include_duplicates,
            after=after,
        )

    def _pages(self) -> Iterator[list[dict[str, Any]]]:
        from api.finding import query

        left, after = self.wanted.limit, None
        while left is None or left > 0:
            # By similarity, a page far down costs as much as all: they are read at once.
            page = left if self._compiled.similar is not None else min(PAGE, PAGE if left is None else left)
            found = query(self.service, self._question(page, after))
            if found.rows:
                yield found.rows
            left = None if left is None else left - len(found.rows)
            after = found.next
            if after is None:
                return

    def _columns(self) -> list[Field]:
        from api.finding import choose_fields

        chosen = choose_fields(self.wanted.fields, self._compiled.fields)
        if self.wanted.fields == "all":
            ions = self._ions()
            chosen = [field for field in chosen if not field.ion or field.ion in ions]
        if self._compiled.similar is None:
            return chosen
        from api.nearness import columns

        return columns(self._compiled.similar.by, chosen)

    def _ions(self) -> set[str]:
        """Ions whose channels are known in some row: of the fields of all others there is nothing to give."""
        from api.aggregate import Asked, aggregate

        found = aggregate(self.service, Asked(self._without_similarity(), "working_ions"))
        return {str(bucket.value) for bucket in found.buckets}

    def _count(self) -> int | None:
        from api.aggregate import Asked, aggregate

        similar = self._compiled.similar
        if similar is not None and similar.within is None:
            return self.wanted.limit
        asked = Asked(self.wanted.filter, include_duplicates=self.wanted.include_duplicates)
        total = aggregate(self.service, asked).total
        return total if self.wanted.limit is None else min(total, self.wanted.limit)

    def _without_similarity(self) -> str | None:
        similar = self._compiled.similar
        return self.wanted.filter if similar is None or similar.within is not None else None

    def _told(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._sums.update(chunk)
            self.bytes += len(chunk)
            yield chunk

    def _licences(self) -> list[dict[str, Any]]:
        return [
            {"provider": provider, "licence": licence, "rows": rows}
            for (provider, licence), rows in self._origins.most_common()
        ]


def _described(field: Field) -> dict[str, Any]:
    return {name: getattr(field, name) for name in ("name", "unit", "type", "meaning", "source")}
