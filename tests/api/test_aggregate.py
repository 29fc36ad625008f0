"""Aggregations: equal to pandas, in arrays and by MongoDB alone, and kept until the candidates change."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from api.aggregate import Asked, Plan
from api.cli.main import app
from api.counting import count_in_memory
from api.results import Aggregation
from api.service import Service
from api.standing import state_of
from store.errors import FilterError, UnknownField, UsageError

from .candidate_rows import filled

FILTERS = [
    None,
    "band_gap > 0.4",
    'elements HAS "Li"',
    "density > 99",
    "NOT density < 6 AND energy_above_hull IS KNOWN",
]


@pytest.fixture
def materials(database: Any, settings: Any) -> tuple[Service, pd.DataFrame]:
    service, documents = filled(database, settings, 400)
    frame = pd.DataFrame(documents)
    frame["band_gap"] = frame["band_gap"].astype(float)
    return service, frame


def kept(frame: pd.DataFrame, text: str | None) -> pd.DataFrame:
    masks = {
        None: frame["density"] > 0,
        "band_gap > 0.4": frame["band_gap"] > 0.4,
        'elements HAS "Li"': frame["elements"].map(lambda held: "Li" in held),
        "density > 99": frame["density"] > 99,
        "NOT density < 6 AND energy_above_hull IS KNOWN": (frame["density"] >= 6) & frame["energy_above_hull"].notna(),
    }
    return frame[masks[text]]


def both_ways(service: Service, **asked: Any) -> Aggregation:
    """In arrays and by MongoDB: one answer."""
    plan = Plan.of(service, Asked(**asked))
    fast, slow = count_in_memory(service, plan), service.call(plan.read)
    if fast is not None:
        alike(fast, slow)
    return slow


def alike(fast: Aggregation, slow: Aggregation) -> None:
    for name in ("kind", "fields", "value", "total", "unknown", "groups", "below", "above"):
        assert getattr(fast, name) == getattr(slow, name), name
    assert len(fast.buckets) == len(slow.buckets)
    for left, right in zip(fast.buckets, slow.buckets, strict=True):
        assert (left.value, left.low, left.high, left.count) == (right.value, right.low, right.high, right.count)
        assert (left.known, left.minimum, left.maximum) == (right.known, right.minimum, right.maximum)
        assert (left.mean is None) == (right.mean is None)
        assert left.mean is None or left.mean == pytest.approx(right.mean, rel=1e-12)


@pytest.mark.parametrize("text", FILTERS)
@pytest.mark.parametrize("field", ["crystal_system", "nelements", "is_ordered", "name", "provider", "experimental"])
def test_groups_are_those_of_pandas(materials: Any, text: str | None, field: str) -> None:
    service, frame = materials
    found = both_ways(service, filter=text, group_by=field, top=1000)
    rows = kept(frame, text)
    expected = rows[field].dropna().value_counts().to_dict()
    assert {bucket.value: bucket.count for bucket in found.buckets} == expected
    assert found.total == len(rows)
    assert found.unknown == int(rows[field].isna().sum())
    counts = [bucket.count for bucket in found.buckets]
    assert counts == sorted(counts, reverse=True)


@pytest.mark.parametrize("text", FILTERS)
def test_each_item_of_a_list_counts(materials: Any, text: str | None) -> None:
    service, frame = materials
    rows = kept(frame, text)
    found = both_ways(service, filter=text, group_by="elements", top=100)
    assert {each.value: each.count for each in found.buckets} == rows[
        "elements"
    ].explode().dropna().value_counts().to_dict()
    flags = both_ways(service, filter=text, group_by="flags")
    assert {each.value: each.count for each in flags.buckets} == rows[
        "flags"
    ].explode().dropna().value_counts().to_dict()
    assert flags.unknown == sum(1 for held in rows["flags"] if not isinstance(held, list) or not held)


@pytest.mark.parametrize("text", FILTERS)
def test_several_fields_and_a_summed_up_value(materials: Any, text: str | None) -> None:
    service, frame = materials
    rows = kept(frame, text)
    found = both_ways(service, filter=text, group_by="crystal_system,name", value="band_gap", top=1000)
    expected = rows.groupby(["crystal_system", "name"])["band_gap"].agg(["size", "count", "min", "max", "mean"])
    assert len(found.buckets) == len(expected)
    assert found.unknown == int(rows["name"].isna().sum())
    for bucket in found.buckets:
        size, known, low, high, mean = expected.loc[tuple(bucket.value)]
        assert (bucket.count, bucket.known) == (size, known)
        if known:
            assert (bucket.minimum, bucket.maximum) == (low, high)
            assert bucket.mean == pytest.approx(mean)
        else:
            assert bucket.minimum is bucket.maximum is bucket.mean is None
    pairs = service.aggregate(text, group_by=["elements", "crystal_system"], top=1000)
    exploded = rows.explode("elements").groupby(["elements", "crystal_system"]).size()
    assert {tuple(each.value): each.count for each in pairs.buckets} == exploded.to_dict()


@pytest.mark.parametrize("text", FILTERS)
@pytest.mark.parametrize("bins", [None, 1, 7, [0.0, 0.5, 1.0, 2.25], [2, 3]])
@pytest.mark.parametrize("field", ["band_gap", "space_group_number"])
def test_a_histogram_is_that_of_numpy(materials: Any, text: str | None, bins: Any, field: str) -> None:
    service, frame = materials
    found = both_ways(service, filter=text, histogram=field, bins=bins, value="density")
    rows = kept(frame, text)
    numbers = rows[field].dropna().astype(float)
    if not len(numbers) and not isinstance(bins, list):
        assert (found.buckets, found.unknown) == ([], len(rows))
        return
    counts, edges = np.histogram(numbers, bins=20 if bins is None else bins)
    assert [bucket.count for bucket in found.buckets] == counts.tolist()
    assert [bucket.low for bucket in found.buckets] + [found.buckets[-1].high] == pytest.approx(edges.tolist())
    assert found.below + found.above == len(numbers) - counts.sum()
    assert found.unknown == int(rows[field].isna().sum())
    assert found.total == sum(counts) + found.below + found.above + found.unknown


def test_the_largest_groups_are_shown_and_the_others_told(materials: Any) -> None:
    service, frame = materials
    found = both_ways(service, group_by="formula", top=3)
    assert len(found.buckets) == 3
    assert found.groups == frame["formula"].nunique()


def test_a_count_and_what_is_summed_up_over_everything(materials: Any) -> None:
    service, frame = materials
    assert service.aggregate("band_gap > 0.4").total == int((frame["band_gap"] > 0.4).sum())
    found = both_ways(service, filter="band_gap > 0.4", value="density")
    rows = frame[frame["band_gap"] > 0.4]
    assert found.buckets[0].mean == pytest.approx(rows["density"].mean())
    nothing = both_ways(service, filter="density > 99", value="band_gap")
    assert (nothing.total, nothing.buckets[0].count, nothing.buckets[0].mean) == (0, 0, None)


def test_an_answer_is_kept_until_the_candidates_change(materials: Any) -> None:
    service, _ = materials
    before = service.aggregate(group_by="crystal_system")
    assert service.aggregate(group_by="crystal_system").buckets == before.buckets
    service.database["candidates"].insert_one(
        {"_id": "new", "crystal_system": "cubic", "density": 1.0, "elements": ["H"]}
    )
    after = service.aggregate(group_by="crystal_system")
    assert after.total == before.total + 1
    service.database["candidates"].update_one({"_id": "new"}, {"$set": {"crystal_system": "tetragonal"}})
    service.database["meta"].update_one({"_id": "revision/candidates"}, {"$inc": {"count": 1}}, upsert=True)
    changed = {each.value: each.count for each in service.aggregate(group_by="crystal_system").buckets}
    assert changed["tetragonal"] == 1


def test_a_rebuild_aside_leaves_what_is_kept_until_the_switch(database: Any, settings: Any) -> None:
    documents = [{"_id": f"m-{number}", "crystal_system": "cubic"} for number in range(5)]
    database["candidates_g000001"].insert_many(documents)
    database.command("create", "candidates", viewOn="candidates_g000001", pipeline=[])
    service = Service(database, settings)
    states = [state_of(database)]
    assert service.aggregate(group_by="crystal_system").buckets[0].count == 5
    database["candidates_g000002"].insert_many([*documents, {"_id": "new", "crystal_system": "cubic"}])
    database["meta"].insert_one({"_id": "staging/candidates", "name": "candidates_g000002"})
    states.append(state_of(database))
    for _ in range(3):  # the engine counts its writes aside
        database["meta"].update_one({"_id": "revision/candidates"}, {"$inc": {"n": 1}}, upsert=True)
        assert state_of(database) == states[-1]
    assert service.aggregate(group_by="crystal_system").buckets[0].count == 5
    database.command("collMod", "candidates", viewOn="candidates_g000002", pipeline=[])
    database["meta"].delete_one({"_id": "staging/candidates"})
    states.append(state_of(database))
    assert len(set(states)) == 3
    assert service.aggregate(group_by="crystal_system").buckets[0].count == 6


def test_what_several_ask_at_once_is_looked_for_once(materials: Any) -> None:
    service, _ = materials
    looked, begun = [], threading.Event()

    def find() -> int:
        looked.append(1)
        begun.wait(0.3)
        return 7

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: service.kept.answer(service, "a question", find), range(8)))
    assert answers == [7] * 8
    assert len(looked) == 1
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: service.aggregate("band_gap > 0.4", group_by="elements").buckets, range(8)))
    assert all(each == found[0] for each in found)


def test_what_is_loaded_beforehand_is_there_at_once(materials: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    service, _ = materials
    service.warm()  # indexes that were not built are no fault
    monkeypatch.setattr("api.columns._packed", None)
    assert service.aggregate('elements HAS "Li"', group_by="crystal_system").total


def test_an_empty_store_counts_nothing(database: Any, settings: Any) -> None:
    service = Service(database, settings)
    assert service.aggregate(group_by="elements").buckets == []
    assert service.aggregate(histogram="band_gap").buckets == []
    assert service.aggregate().total == 0


@pytest.mark.parametrize(
    ("asked", "kind", "said"),
    [
        ({"group_by": "crystalsystem"}, UnknownField, "crystal_system"),
        ({"group_by": "band_gap"}, UsageError, "histogram"),
        ({"group_by": ""}, UsageError, "No field"),
        ({"group_by": ["id"] * 2 + ["name", "formula", "provider", "licence"]}, UsageError, "at most"),
        ({"histogram": "formula"}, UsageError, "no numbers"),
        ({"histogram": "elements"}, UsageError, "no numbers"),
        ({"histogram": "band_gap", "group_by": "name"}, UsageError, "both"),
        ({"bins": 5}, UsageError, "histogram"),
        ({"histogram": "band_gap", "bins": 0}, UsageError, "bins"),
        ({"histogram": "band_gap", "bins": 10**9}, UsageError, "bins"),
        ({"histogram": "band_gap", "bins": [1]}, UsageError, "edges"),
        ({"histogram": "band_gap", "bins": [2, 1]}, UsageError, "edges"),
        ({"histogram": "band_gap", "bins": [0, float("nan")]}, UsageError, "edges"),
        ({"histogram": "band_gap", "bins": "many"}, UsageError, "edges"),
        ({"group_by": "name", "value": "formula"}, UsageError, "no numbers"),
        ({"group_by": "name", "value": "composition"}, UnknownField, "composition"),
        ({"group_by": "name", "top": 0}, UsageError, "groups"),
        ({"filter": "bandgap > 1"}, UnknownField, "band_gap"),
        ({"filter": "band_gap > 1 K"}, FilterError, "meV"),
    ],
)
def test_what_cannot_be_counted_is_told(materials: Any, asked: dict[str, Any], kind: type, said: str) -> None:
    service, _ = materials
    with pytest.raises(kind) as caught:
        service.aggregate(**asked)
    assert said in str(caught.value)


class TestCommand:
    def run(self, *arguments: str) -> Any:
        return CliRunner().invoke(app, ["aggregate", *arguments])

    def test_a_table_with_bars(self, at_built: Any) -> None:
        done = self.run("", "--by", "crystal_system", "--value", "band_gap")
        assert done.exit_code == 0, done.output
        assert "cubic" in done.stdout
        assert "█" in done.stdout
        assert "band_gap [eV]" in done.stdout
        assert "11 materials match" in done.stderr

    def test_a_histogram_says_where_its_intervals_end(self, at_built: Any) -> None:
        done = self.run("band_gap > 1 eV", "--histogram", "band_gap", "--bins", "0,2,4,10")
        assert done.exit_code == 0, done.output
        assert "[0, 2)" in done.stdout
        assert "[4, 10]" in done.stdout

    def test_json_and_csv(self, at_built: Any) -> None:
        told = json.loads(self.run("", "--by", "crystal_system", "--json").stdout)
        assert told["buckets"][0] == {"crystal_system": "cubic", "count": 11}
        assert told["total"] == 11
        lines = self.run("", "--histogram", "band_gap", "--bins", "2", "--csv").stdout.splitlines()
        assert lines[0] == "low,high,count"
        assert len(lines) == 3

    def test_wrong_use_ends_with_2(self, at_built: Any) -> None:
        assert self.run("", "--by", "nothing").exit_code == 2
        assert self.run("", "--histogram", "band_gap", "--bins", "x").exit_code == 2
        assert self.run("", "--json", "--csv").exit_code == 2


def test_a_large_store_is_read_in_parts_and_a_larger_one_is_counted_by_mongodb(
    materials: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from api import columns, finding

    service, frame = materials
    asked = [{"group_by": "crystal_system"}, {"group_by": "elements"}, {"histogram": "band_gap", "value": "density"}]
    expected = [service.aggregate('elements HAS "Li"', **each) for each in asked]
    for module, name in ((finding, "_IDS_PACKED"), (columns, "_TEXTS_PACKED"), (columns, "_NUMBERS_PACKED")):
        monkeypatch.setattr(module, name, 10)
    fresh = Service(service.database, service.settings)
    assert finding.matching_ids(fresh, {}) == set(frame["_id"])
    for each, told in zip(asked, expected, strict=True):
        alike(fresh.aggregate('elements HAS "Li"', **each), told)
    monkeypatch.setattr(columns, "MOST", 10)
    slow = Service(service.database, service.settings)
    for each, told in zip(asked, expected, strict=True):
        alike(slow.aggregate('elements HAS "Li"', **each), told)


@pytest.mark.parametrize(
    "words", [["aggregate", 'elements HAS "Li"', "--by", "crystal_system"], ["export", "", "-o", "all.csv"]]
)
def test_commands_on_an_empty_store_say_that_it_is_empty(
    settings: Any, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from api.cli.main import app

    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0
    assert "The store is empty. To fill it: ionatlas ingest FILE" in done.output
