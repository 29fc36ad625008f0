"""SIMILAR TO as a condition: equal to brute force, with any filter, order and page; refused where it cannot stand."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from api import nearness
from api.service import Service
from indexes.registry import snapshot_store
from indexes.vector import NumpyExact
from store.errors import FilterError, UnknownId, UsageError

from .candidate_rows import filled

DIMENSION = 5
FILTERS = [
    "",
    "band_gap > 0.4 eV",
    'elements HAS "Li"',
    'NOT elements HAS "O"',
    "density < 1.6",
    "band_gap IS KNOWN AND density > 3000 kg/m^3",
    'crystal_system = "cubic" OR energy_above_hull < 10 meV',
    "density > 99",
    'formula MATCHES "*-*"',
]


class Twin:
    """A store with vectors, and brute force over them."""

    def __init__(self, service: Service, documents: list[dict[str, Any]], vectors: dict[str, Any]) -> None:
        self.service = service
        self.documents = documents
        self.vectors = vectors
        self.exact = NumpyExact(DIMENSION)
        self.exact.add(list(vectors), list(vectors.values()))

    def nearest(self, id: str, text: str, within: float = np.inf) -> list[tuple[str, float]]:
        matching = {row["id"] for row in self.service.query(text, fields="id", limit=None).rows}
        if not matching:
            return []
        found = self.exact.search(self.vectors[id], len(self.vectors), allowed_ids=matching)
        pairs = zip(found.ids[0].tolist(), found.distances[0].tolist(), strict=True)
        return [(each, distance) for each, distance in pairs if each != id and distance <= within]


@pytest.fixture
def twin(database: Any, settings: Any) -> Twin:
    service, documents = filled(database, settings, 400, seed=21)
    rng = np.random.default_rng(4)
    vectors = rng.integers(0, 4, (380, DIMENSION)).astype(np.float32)  # many are equally far, many the same
    ids = [each["_id"] for each in documents[:380]]  # the last have no vector
    snapshot_store("composition", settings).publish(ids, vectors, np.zeros((380, 16), dtype=np.uint8), model="m")
    return Twin(service, documents, dict(zip(ids, vectors, strict=True)))


@pytest.fixture(params=["as it is", "looks up little", "reads all that match", "looks up in many steps"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every way to the answer, in a store that is small."""
    first, widest = {"as it is": (512, 8192), "looks up little": (20, 200), "reads all that match": (1, 0)}.get(
        request.param, (8, 100_000)
    )
    monkeypatch.setattr(nearness, "_FIRST", first)
    monkeypatch.setattr(nearness, "_WIDEST", widest)
    return str(request.param)


def asked(id: str, text: str, within: str = "") -> str:
    return f'SIMILAR TO "{id}" BY composition{within}' + (f" AND ({text})" if text else "")


@pytest.mark.parametrize("text", FILTERS)
def test_rows_are_those_of_brute_force_on_every_page(twin: Twin, way: str, text: str) -> None:
    rng = random.Random(1)
    for id in rng.sample(sorted(twin.vectors), 3):
        expected = twin.nearest(id, text)
        for limit in (10, 70, None):
            found, after = [], None
            while True:
                page = twin.service.query(asked(id, text), fields="id", limit=limit, after=after)
                found += [(row["id"], row["distance"]) for row in page.rows]
                after = page.next
                assert page.more == (after is not None)
                if after is None or limit == 10:
                    break
            assert found == expected[: len(found)]
            assert len(found) == (min(10, len(expected)) if limit == 10 else len(expected))
        assert page.total == len(expected)


@pytest.mark.parametrize("text", FILTERS[:4])
@pytest.mark.parametrize("within", [0.0, 1.0, 2.3, 100.0])
def test_within_a_distance(twin: Twin, way: str, text: str, within: float) -> None:
    id = sorted(twin.vectors)[7]
    expected = twin.nearest(id, text, within)
    found = twin.service.query(asked(id, text, f" WITHIN {within}"), fields="id", limit=12, count=True)
    assert [(row["id"], row["distance"]) for row in found.rows] == expected[:12]
    assert found.total == len(expected)
    assert found.more == (len(expected) > 12)


@pytest.mark.parametrize("sort", ["-density", "band_gap,-name", "id"])
@pytest.mark.parametrize("within", ["", " WITHIN 2.3"])
def test_another_order_keeps_what_is_near(twin: Twin, way: str, sort: str, within: str) -> None:
    id, text = sorted(twin.vectors)[3], "band_gap > 0.4 eV"
    near = dict(twin.nearest(id, text, 2.3 if within else np.inf))
    order = [
        row["id"] for row in twin.service.query(text, fields="id", sort=sort, limit=None).rows if row["id"] in near
    ]
    found: list[tuple[str, float]] = []
    after = None
    while True:
        page = twin.service.query(asked(id, text, within), fields="id", sort=sort, limit=17, after=after)
        found += [(row["id"], row["distance"]) for row in page.rows]
        after = page.next
        if after is None:
            break
    assert [each for each, _ in found] == order
    assert dict(found) == near


def test_skipped_rows_and_each_crystal_once(twin: Twin) -> None:
    id = sorted(twin.vectors)[5]
    expected = twin.nearest(id, "")
    found = twin.service.query(asked(id, ""), fields="id", limit=5, skip=7)
    assert [row["id"] for row in found.rows] == [each for each, _ in expected[7:12]]
    following = twin.service.query(asked(id, ""), fields="id", limit=5, after=found.next)
    assert [row["id"] for row in following.rows] == [each for each, _ in expected[12:17]]
    twin.service.database["candidates"].update_one({"_id": expected[0][0]}, {"$set": {"duplicate_of": "m-00001"}})
    unique = twin.service.query(asked(id, ""), fields="id", limit=3, include_duplicates=False)
    assert [row["id"] for row in unique.rows] == [each for each, _ in expected[1:4]]


def test_a_cursor_goes_on_behind_a_row_that_went_away(twin: Twin, way: str) -> None:
    id = sorted(twin.vectors)[9]
    expected = [each for each, _ in twin.nearest(id, "")]
    first = twin.service.query(asked(id, ""), fields="id", limit=20)
    twin.service.database["candidates"].delete_many({"_id": {"$in": expected[10:24]}})
    second = twin.service.query(asked(id, ""), fields="id", limit=20, after=first.next)
    assert [row["id"] for row in second.rows] == expected[24:44]


def test_columns_tell_the_distance_and_what_the_filter_mentions(twin: Twin) -> None:
    found = twin.service.query(asked("m-00001", "nsites_primitive IS UNKNOWN"), limit=2)
    names = [field.name for field in found.fields]
    assert names[:2] == ["id", "distance"]
    assert "nsites_primitive" in names
    assert list(found.rows[0]) == names


def test_groups_of_what_is_near(twin: Twin) -> None:
    id, text = sorted(twin.vectors)[3], 'elements HAS "Li"'
    expected = twin.nearest(id, text, 2.3)
    assert twin.service.aggregate(asked(id, text, " WITHIN 2.3")).total == len(expected)
    grouped = twin.service.aggregate(asked(id, text, " WITHIN 2.3"), group_by="crystal_system")
    assert sum(bucket.count for bucket in grouped.buckets) == len(expected)
    with pytest.raises(UsageError, match="WITHIN"):
        twin.service.aggregate(asked(id, text), group_by="crystal_system")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("NOT SIMILAR TO mp-1 BY structure", "SIMILAR TO mp-1 BY structure"),
        ("NOT (density > 1 AND SIMILAR TO mp-1)", "SIMILAR TO mp-1"),
        ("density > 1 OR SIMILAR TO mp-1 BY structure", "SIMILAR TO mp-1 BY structure"),
        ("density > 1 AND (SIMILAR TO mp-1 OR density < 3)", "SIMILAR TO mp-1"),
        ("SIMILAR TO mp-1 AND SIMILAR TO mp-2", "SIMILAR TO mp-2"),
        ("SIMILAR TO mp-1 BY structur", "structur"),
        ("SIMILAR TO mp-1 BY Structure", "Structure"),
        ("SIMILAR TO mp-1 WITHIN 0.3 eV", "eV"),
        ("SIMILAR TO mp-1 WITHIN 1e999", "1e999"),
        ("SIMILAR mp-1", "mp"),
        ("SIMILAR TO", " "),
    ],
)
def test_where_it_cannot_stand_is_pointed_at(twin: Twin, text: str, place: str) -> None:
    with pytest.raises(FilterError) as caught:
        twin.service.query(text)
    lines = caught.value.message.split("\n")
    row = next(number for number, line in enumerate(lines) if line.strip() and set(line.strip()) == {"^"})
    start = lines[row].index("^")
    assert lines[row - 1][start : start + lines[row].count("^")].strip() == place.strip()


@pytest.mark.parametrize("after", ["x", "eyJh"])
def test_a_broken_cursor_and_an_order_that_is_none(twin: Twin, after: str) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        twin.service.query(asked("m-00001", ""), after=after)
    with pytest.raises(UsageError, match="nearest"):
        twin.service.query(asked("m-00001", ""), sort="-distance")
    with pytest.raises(UsageError, match="nearest"):
        twin.service.query(asked("m-00001", ""), sort="density,distance")
    assert twin.service.query(asked("m-00001", ""), sort="distance", limit=1).rows


def test_a_file_is_never_opened(twin: Twin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Filters come from strangers: what they name is an id or a formula."""
    (tmp_path / "m-00001").write_text("no crystal")
    (tmp_path / "LiCl.cif").write_text("no crystal")
    monkeypatch.chdir(tmp_path)
    assert twin.service.query('SIMILAR TO "m-00001" BY composition', limit=1).rows
    for path in ("LiCl.cif", str(tmp_path / "LiCl.cif"), "/etc/passwd", "../x"):
        with pytest.raises(UnknownId):
            twin.service.query(f'SIMILAR TO "{path}" BY composition')
        with pytest.raises(UnknownId):
            twin.service.similar(path, files=False)


class TestBuiltStore:
    """The indexes that a build makes."""

    @pytest.mark.parametrize("by", ["composition", "structure"])
    def test_it_is_the_search_with_a_filter(self, built: Any, by: str) -> None:
        service = Service(built.database, built.settings)
        alone = service.similar("t-1", 5, by=by, filter="band_gap > 2")
        joined = service.query(f"SIMILAR TO t-1 BY {by} AND band_gap > 2 eV", limit=5)
        pairs = [[(row["id"], row["distance"]) for row in found.rows] for found in (alone, joined)]
        assert pairs[0] == pairs[1]

    def test_a_formula_that_is_not_in_the_store(self, built: Any) -> None:
        service = Service(built.database, built.settings)
        found = service.query("SIMILAR TO KBr AND nelements = 2", limit=3)
        assert len(found.rows) == 3
        assert all(len(row["elements"]) == 2 for row in service.get_many([row["id"] for row in found.rows], "all").rows)
        with pytest.raises(UsageError, match="composition"):
            service.query("SIMILAR TO KBr BY structure")

    def test_other_commands_refuse_it(self, built: Any) -> None:
        service = Service(built.database, built.settings)
        with pytest.raises(FilterError, match="not taken here"):
            service.similar("t-1", filter="SIMILAR TO t-2")
