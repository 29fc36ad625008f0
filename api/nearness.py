"""``SIMILAR TO`` in a filter: rows in the order of their distance that also match the rest of the filter, exactly.

Two ways lead to the same answer. The nearest few hundred of the whole index are looked up, and those that match are kept: for
most filters that is enough, and nobody asks how many materials match in all. Where it is not, all that match are read, and
the index is searched among them. Either way distances are exact and ties stand in the order of ids, so that the answer is
that of comparing with every material.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from api.any_ion import query_of
from api.finding import (
    Question,
    check_page,
    choose_fields,
    conjunction,
    count,
    matching_ids,
    milliseconds,
    page,
    parse_sort,
    row_of,
    rows_by_id,
    trimmed,
)
from api.paging import digest, read_cursor, write_cursor
from api.results import QueryResult
from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from api.filters import CompiledFilter, SimilarTo
    from api.service import Service
    from indexes.similarity import SimilarityIndex
    from store.fields import Field

Near = tuple[float, str]

_FIRST: Final = 512
"""Nearest of the whole index that are looked up first."""

_WIDEST: Final = 8192
"""So many at most; then all that match are read."""

_MOST_MISSING: Final = 10_000


@dataclass(frozen=True)
class _Asked:
    """A similarity, ready to be searched for."""

    service: Service
    similar: SimilarTo
    index: SimilarityIndex
    vector: NDArray[np.float32]
    itself: str | None
    wanted: dict[str, Any]

    def nearest(self, k: int, allowed: Collection[str] | None = None) -> list[Near]:
        """The nearest k, without the material itself; beyond ``WITHIN`` too."""
        found = self.index.search(self.vector, k + 1, allowed_ids=allowed)
        pairs = zip(found.distances[0].tolist(), found.ids[0].tolist(), strict=True)
        return [(distance, id) for distance, id in pairs if id != self.itself]

    def reaches(self, distance: float) -> bool:
        """Whether a distance lies within what was asked for."""
        return self.similar.within is None or distance <= self.similar.within


def query_similar(service: Service, question: Question, compiled: CompiledFilter) -> QueryResult:
    """Answer a question that holds a similarity."""
    started = time.perf_counter()
    assert compiled.similar is not None
    by_distance = question.sort is None or question.sort.strip() in ("", "distance", "+distance")
    order = [] if by_distance else parse_sort(_without_distance(question.sort))
    chosen = choose_fields(question.fields, [*compiled.fields, *(field.name for field, _ in order)])
    check_page(question)
    wanted = conjunction(query_of(service, compiled), question.include_duplicates)
    asked = _prepare(service, compiled.similar, wanted)
    if by_distance:
        rows, distances, more, cursor = _by_distance(asked, question, chosen)
    else:
        rows, distances, more, cursor = _by_another_order(asked, question, order, chosen)
    rows, chosen = trimmed(question, compiled, rows, chosen)
    complete = not more and question.after is None and not question.skip
    total = len(rows) if complete else (_count(asked) if question.count else None)
    shown = columns(compiled.similar.by, chosen)
    rows = [{"id": id, "distance": distance} | row for (id, distance), row in zip(distances, rows, strict=True)]
    ordered = [{field.name: row[field.name] for field in shown} for row in rows]
    from api.likeness import staleness_note

    note = staleness_note(service, compiled.similar.by)
    return QueryResult(ordered, shown, total, more, time.perf_counter() - started, note, cursor)


def within_ids(service: Service, similar: SimilarTo) -> list[str]:
    """Return the ids within the distance that was asked for.

    Raises
    ------
    UsageError
        None was named: then no material is left out, and there is nothing to count.
    """
    if similar.within is None:
        raise UsageError(
            "SIMILAR TO without WITHIN puts materials into an order and leaves none out: there is nothing to count.",
            mend=f"SIMILAR TO {similar.asked} BY {similar.by} WITHIN 0.3",
        )
    return [id for _, id in _within(_prepare(service, similar, {}))]


def _prepare(service: Service, similar: SimilarTo, wanted: dict[str, Any]) -> _Asked:
    from api.likeness import vector_of

    index = service.index(similar.by)
    vector, itself = vector_of(service, similar.by, similar.asked, files=False)
    return _Asked(service, similar, index, vector, itself, wanted)


# ------------------------------------------------------------------------------------------------------- by distance


def _by_distance(
    asked: _Asked, question: Question, chosen: Sequence[Field]
) -> tuple[list[dict[str, Any]], list[tuple[str, float]], bool, str | None]:
    name = digest("similar", question.filter or "", question.include_duplicates)
    behind: Near | None = None
    place = seen = 0
    if question.after is not None:
        distance, place, seen, id = read_cursor(question.after, name, 4)
        behind = _checked(distance, place, seen, id)
    most = None if question.limit is None else question.limit + 1 + question.skip
    found, end = _search(asked, behind, most, max(0, place), max(0, seen))
    found = found[question.skip :]
    more = question.limit is not None and len(found) > question.limit
    found = found[: question.limit] if more else found
    known = rows_by_id(asked.service, [id for _, id in found], chosen)
    found = [each for each in found if each[1] in known]  # what went away just now
    cursor = None
    if more and found:
        cursor = write_cursor(name, [found[-1][0], end, seen + question.skip + len(found), found[-1][1]])
    rows = [known[id] for _, id in found]
    return rows, [(id, distance) for distance, id in found], more, cursor


def _checked(distance: Any, place: Any, seen: Any, id: Any) -> Near:
    if not isinstance(distance, float | int) or not isinstance(place, int) or not isinstance(seen, int):
        raise UsageError("The cursor cannot be read.", mend="leave it away to begin at the first page")
    return float(distance), str(id)


def _search(asked: _Asked, behind: Near | None, most: int | None, place: int, seen: int) -> tuple[list[Near], int]:
    """Find the nearest that match, behind a place; also how deep in the index they were found."""
    width = place + _FIRST
    if most is not None and most <= width <= _WIDEST:
        found, width, done = _looked_up(asked, behind, most, width)
        if done:
            return found, width
    return _among_all(asked, behind, most, seen), _WIDEST


def _looked_up(asked: _Asked, behind: Near | None, most: int, width: int) -> tuple[list[Near], int, bool]:
    """Look the nearest of the whole index up, more of them as far as that promises to be enough."""
    matching: list[Near] = []
    checked = 0
    while True:
        nearest = asked.nearest(width)
        fresh = [each for each in nearest[checked:] if (behind is None or each > behind) and asked.reaches(each[0])]
        checked = len(nearest)
        matching += _matching(asked, fresh)
        ended = len(nearest) < width or not asked.reaches(nearest[-1][0])
        if ended or len(matching) >= most:
            return matching[:most], width, True
        # As many match further out, or so; if that leads too far, it is better to read all that match.
        promised = int(1.5 * width * most / max(len(matching), 0.5))
        if promised > _WIDEST:
            return [], width, False
        width = max(2 * width, promised)


def _matching(asked: _Asked, near: list[Near]) -> list[Near]:
    """Keep what matches the rest of the filter."""
    if not near:
        return []
    wanted = conjunction(asked.wanted, True, {"_id": {"$in": [id for _, id in near]}})

    def read(database: Any) -> set[str]:
        found = database["candidates"].find(wanted, {"_id": 1}, max_time_ms=milliseconds(), batch_size=20_000)
        return {row["_id"] for row in found}

    there = asked.service.call(read)
    return [each for each in near if each[1] in there]


def _among_all(asked: _Asked, behind: Near | None, most: int | None, seen: int) -> list[Near]:
    """Search among all that match."""
    allowed = matching_ids(asked.service, asked.wanted)
    k = len(allowed) if most is None else seen + most
    while True:
        nearest = asked.nearest(max(1, k), allowed)
        found = [each for each in nearest if (behind is None or each > behind) and asked.reaches(each[0])]
        if most is None or len(found) >= most or len(nearest) < k or not asked.reaches(nearest[-1][0]):
            return found if most is None else found[:most]
        k *= 4


# -------------------------------------------------------------------------------------------------- by another order


def _by_another_order(
    asked: _Asked, question: Question, order: list[tuple[Field, int]], chosen: Sequence[Field]
) -> tuple[list[dict[str, Any]], list[tuple[str, float]], bool, str | None]:
    wanted = conjunction(asked.wanted, True, _restriction(asked))
    documents, more, cursor = page(asked.service, question, wanted, order, chosen)
    ids = [document["_id"] for document in documents]
    there = {id: distance for distance, id in asked.nearest(len(ids), ids)} if ids else {}
    kept = [document for document in documents if document["_id"] in there]
    rows = [row_of(document, chosen) for document in kept]
    return rows, [(document["_id"], there[document["_id"]]) for document in kept], more, cursor


def _restriction(asked: _Asked) -> dict[str, Any]:
    """What a similarity alone leaves: what lies within its distance, or everything that has a vector."""
    if asked.similar.within is not None:
        return {"_id": {"$in": [id for _, id in _within(asked)]}}
    left_out = [*_without_vector(asked), *([asked.itself] if asked.itself is not None else [])]
    return {"_id": {"$nin": left_out[:_MOST_MISSING]}} if left_out else {}


def _within(asked: _Asked) -> list[Near]:
    similar, made = asked.similar, asked.index.manifest.created_at

    def find() -> list[Near]:
        k = 2 * _FIRST
        while True:
            nearest = asked.nearest(k)
            if len(nearest) < k or not asked.reaches(nearest[-1][0]):
                return [each for each in nearest if asked.reaches(each[0])]
            k *= 8

    question = ("within", similar.by, similar.asked, similar.within, made)
    return asked.service.kept_rows.answer(asked.service, question, find)


def _without_vector(asked: _Asked) -> list[str]:
    """Materials that the index does not hold; looked for once a state of the candidates."""
    manifest = asked.index.manifest

    def find() -> list[str]:
        held = {id for _, id in asked.nearest(len(asked.index))}
        return sorted(matching_ids(asked.service, {}) - held - {asked.itself or ""})

    return asked.service.kept.answer(asked.service, ("no vector", asked.similar.by, manifest.created_at), find)


def _count(asked: _Asked) -> int | None:
    wanted = conjunction(asked.wanted, True, _restriction(asked))
    return count(asked.service, wanted)


def _without_distance(sort: str | None) -> str | None:
    names = [part.strip().lstrip("+-") for part in (sort or "").split(",")]
    if "distance" in names:
        raise UsageError(
            "The order by distance goes from the nearest on and stands alone.",
            mend="leave the order away, or name fields",
        )
    return sort


def columns(by: str, chosen: Sequence[Field]) -> list[Field]:
    """Put id and distance before the chosen fields."""
    from api.likeness import distance_field

    return [choose_fields("id")[0], distance_field(by), *(field for field in chosen if field.name != "id")]
