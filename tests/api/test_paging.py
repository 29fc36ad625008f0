"""Orders and pages: nulls last, every row once, whatever is written in between."""

from __future__ import annotations

import base64
import itertools
import json
import random
import threading
from typing import Any

import pytest

from api.paging import read_cursor, write_cursor
from api.service import Service
from store.errors import UnknownField, UsageError

from .candidate_rows import filled, random_candidate

ORDERS = [
    None,
    "id",
    "-id",
    "band_gap",
    "-band_gap",
    "name",
    "-name,band_gap",
    "name,-band_gap",
    "band_gap,name",
    "crystal_system,band_gap,-name",
    "-energy_above_hull,-band_gap,name,density",
    "space_group_number,id",
    "density,-id",
]


def in_order(documents: list[dict[str, Any]], sort: str | None) -> list[str]:
    """The slow twin: one stable sort a field, the last first; without a value, last."""
    keys = [(part.lstrip("-"), part.startswith("-")) for part in (sort or "").split(",") if part]
    names = [name for name, _ in keys]
    if "id" not in names:
        keys.append(("id", keys[-1][1] if keys else False))
    rows = list(documents)
    for name, descending in reversed(keys):
        column = "_id" if name == "id" else name
        known = [row for row in rows if row.get(column) is not None]
        known.sort(key=lambda row, c=column: row[c].encode() if isinstance(row[c], str) else row[c], reverse=descending)
        rows = known + [row for row in rows if row.get(column) is None]
    return [row["_id"] for row in rows]


def all_pages(service: Service, sort: str | None, limit: int, filter_text: str | None = None) -> list[str]:
    found: list[str] = []
    after = None
    for _ in range(1000):
        page = service.query(filter_text, fields="id", sort=sort, limit=limit, after=after)
        found += [row["id"] for row in page.rows]
        assert page.more == (page.next is not None)
        if page.next is None:
            return found
        assert len(page.rows) == limit
        after = page.next
    raise AssertionError("pages without end")


@pytest.fixture
def materials(database: Any, settings: Any) -> tuple[Service, list[dict[str, Any]]]:
    return filled(database, settings, 157)


@pytest.mark.parametrize("sort", ORDERS)
def test_any_order_has_the_unknown_last_and_pages_join_to_the_whole(materials: Any, sort: str | None) -> None:
    service, documents = materials
    expected = in_order(documents, sort)
    whole = service.query(None, fields="id", sort=sort, limit=None)
    assert [row["id"] for row in whole.rows] == expected
    assert whole.next is None
    for limit in (1, 7, 50, 156, 157, 400):
        assert all_pages(service, sort, limit) == expected, limit
    for skip in (0, 3, 60, 140, 157, 200):
        page = service.query(None, fields="id", sort=sort, limit=20, skip=skip)
        assert [row["id"] for row in page.rows] == expected[skip : skip + 20], skip


def test_pages_of_a_filter_and_after_skipped_rows(materials: Any) -> None:
    service, documents = materials
    kept = [each for each in documents if (each.get("band_gap") or 0) > 0.2]
    expected = in_order(kept, "-band_gap,name")
    assert all_pages(service, "-band_gap,name", 9, "band_gap > 0.2") == expected
    first = service.query("band_gap > 0.2", fields="id", sort="-band_gap,name", limit=5, skip=10)
    second = service.query("band_gap > 0.2", fields="id", sort="-band_gap,name", limit=5, after=first.next)
    assert [row["id"] for row in first.rows + second.rows] == expected[10:20]
    assert second.total is None
    assert service.query("band_gap > 0.2", limit=5, sort="-band_gap,name", after=first.next, count=True).total == len(
        kept
    )


def test_a_row_that_was_deleted_still_tells_where_the_next_page_begins(materials: Any) -> None:
    service, documents = materials
    expected = in_order(documents, "name,-band_gap")
    first = service.query(None, fields="id", sort="name,-band_gap", limit=40)
    service.database["candidates"].delete_many({"_id": {"$in": expected[20:45]}})
    second = service.query(None, fields="id", sort="name,-band_gap", limit=40, after=first.next)
    assert [row["id"] for row in second.rows] == expected[45:85]


@pytest.mark.parametrize("sort", [None, "-band_gap", "name,band_gap", "crystal_system,-name"])
def test_every_row_that_stays_is_met_once_while_others_come_and_go(
    database: Any, settings: Any, sort: str | None
) -> None:
    service, documents = filled(database, settings, 300, seed=8)
    staying = {each["_id"] for each in documents[::2]}
    ended = threading.Event()

    def write() -> None:
        rng = random.Random(3)
        going = [each["_id"] for each in documents[1::2]]
        for number in itertools.count(1000):
            if ended.is_set():
                return
            service.database["candidates"].insert_one(random_candidate(rng, number))
            if going:
                service.database["candidates"].delete_one({"_id": going.pop()})

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(3):
            found = all_pages(service, sort, 11)
            assert len(found) == len(set(found))
            assert staying <= set(found)
    finally:
        ended.set()
        writer.join()


def test_a_cursor_goes_with_its_question_only(materials: Any) -> None:
    service, _ = materials
    page = service.query("band_gap > 0.2", sort="-density", limit=5)
    for other in (
        {"filter": "band_gap > 0.3", "sort": "-density"},
        {"filter": "band_gap > 0.2", "sort": "density"},
        {"filter": "band_gap > 0.2", "sort": "-density", "include_duplicates": False},
    ):
        with pytest.raises(UsageError, match="another filter or order"):
            service.query(**other, limit=5, after=page.next)
    with pytest.raises(UsageError, match="both given"):
        service.query("band_gap > 0.2", sort="-density", limit=5, skip=5, after=page.next)


def forged(*held: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(held).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "????", "é", "A" * 30_000, forged(), forged(1), forged(2, "q", "a"), forged(1, "q", {"$gt": ""}),
     forged(1, "q", ["a"]), forged(1, "q", 5), forged(1, "q", "a", "b"), forged(1, "q", 10**30), "[" * 5000],
)  # fmt: skip
def test_a_broken_cursor_is_told(cursor: str) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_cursor(cursor, "q", 1)


def test_a_cursor_keeps_values_exactly() -> None:
    values = [0.1 + 0.2, -5, None, True, "Å\n", "mp-1"]
    assert read_cursor(write_cursor("q", values), "q", 6) == values


def test_an_unknown_order_is_told_with_near_names(materials: Any) -> None:
    service, _ = materials
    with pytest.raises(UnknownField, match="band_gap"):
        service.query(None, sort="bandgap")


class TestByIds:
    def test_one_row_with_all_fields_or_some(self, materials: Any) -> None:
        service, documents = materials
        row = service.get("m-00003")
        assert row["id"] == "m-00003"
        assert row["formula"] == documents[3]["formula"]
        assert set(service.get("m-00003", ["density"])) == {"density"}

    def test_rows_keep_the_order_of_the_ids_and_tell_what_is_missing(self, materials: Any) -> None:
        service, _ = materials
        found = service.get_many(["m-00009", "nope", "m-00002", "m-00009"], ["id", "density"])
        assert [row["id"] for row in found.rows] == ["m-00009", "m-00002", "m-00009"]
        assert found.missing == ["nope"]
        assert "nope" in (found.note or "")
        assert service.get_many([]).rows == []

    def test_ids_that_are_none(self, materials: Any) -> None:
        from store.errors import UnknownId

        service, _ = materials
        with pytest.raises(UnknownId):
            service.get("nope")
        with pytest.raises(UsageError):
            service.get_many("m-00001")
        with pytest.raises(UsageError, match="at most"):
            service.get_many(["m"] * 100_001)
