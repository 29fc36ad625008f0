"""The service on a small built store: queries, pages, crystals, likeness, lineage, overview."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from api.service import Service
from store.errors import DatabaseError, SnapshotMissing, UnknownField, UnknownId, UsageError
from store.fields import candidate_fields
from store.settings import Settings

BuiltStore = Any  # of conftest.py, which is no module to import from


@pytest.fixture
def service(built: BuiltStore) -> Service:
    return Service(built.database, built.settings)


def ids(result: Any) -> list[str]:
    return [row["id"] for row in result.rows]


def test_a_query_answers_in_the_order_of_ids_with_units(service: Service) -> None:
    answer = service.query('elements HAS "Li" AND band_gap > 5')
    assert ids(answer) == ["t-2", "t-3"]
    assert (answer.total, answer.more) == (2, False)
    assert {field.name: field.unit for field in answer.fields}["band_gap"] == "eV"
    assert "elements" in answer.rows[0], "what the filter mentions is shown"


def test_columns_are_those_asked_for_in_their_order(service: Service) -> None:
    answer = service.query('id = "t-1"', fields="formula, id,elements")
    assert answer.rows == [{"formula": "NaCl", "id": "t-1", "elements": ["Cl", "Na"]}]
    everything = service.query('id = "t-1"', fields="all")
    assert list(everything.rows[0]) == [field.name for field in candidate_fields() if field.ion in ("", "Na")]


def test_orders_put_unknown_values_last_and_break_ties_by_id(service: Service) -> None:
    rising = service.query(sort="band_gap")
    gaps = [row["band_gap"] for row in rising.rows]
    known = [gap for gap in gaps if gap is not None]
    assert known == sorted(known)
    assert gaps[-1] is None
    assert ids(rising)[-1] == "t-6"
    falling = service.query(sort="-band_gap", fields="id,band_gap")
    assert falling.rows[0]["band_gap"] == 8.8
    assert falling.rows[-1]["band_gap"] is None
    ties = service.query("energy_above_hull = 0", sort="energy_above_hull")
    assert ids(ties) == sorted(ids(ties))


@pytest.mark.parametrize("sort", [None, "band_gap", "-band_gap", "energy_above_hull,-density", "-id"])
@pytest.mark.parametrize("size", [1, 3, 4, 11])
def test_pages_put_together_are_the_whole(service: Service, sort: str | None, size: int) -> None:
    whole = ids(service.query(sort=sort, limit=None))
    assert len(whole) == 11
    pages: list[str] = []
    while True:
        page = service.query(sort=sort, limit=size, skip=len(pages))
        pages += ids(page)
        if not page.more:
            break
    assert pages == whole


def test_a_count_is_told_when_it_is_asked_for(service: Service) -> None:
    assert service.query(limit=3).total is None
    assert service.query(limit=3, count=True).total == 11
    assert service.query(limit=3).more


def test_duplicates_can_be_left_out(service: Service) -> None:
    assert ids(service.query('formula = "NaCl"')) == ["t-1", "t-11"]
    assert ids(service.query('formula = "NaCl"', include_duplicates=False)) == ["t-1"]
    assert len(service.query(include_duplicates=False).rows) == 10


@pytest.mark.parametrize(
    "question",
    [{"sort": "bandgap"}, {"fields": "id,bandgap"}, {"fields": "composition"}, {"filter": "bandgap > 1"}],
)
def test_unknown_fields_are_named_with_near_ones(service: Service, question: dict[str, Any]) -> None:
    with pytest.raises(UnknownField, match=r"band_gap \[eV\]|Nearest"):
        service.query(**question)


@pytest.mark.parametrize(
    "question", [{"limit": 0}, {"limit": -1}, {"skip": -1}, {"skip": 10**20}, {"sort": "elements"}]
)
def test_impossible_pages_and_orders_are_usage_errors(service: Service, question: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        service.query(**question)


def test_a_query_that_takes_too_long_is_stopped(service: Service) -> None:
    slow = {"$where": "sleep(200) || true"}
    with pytest.raises(DatabaseError, match="longer than 30 s"):
        service.call(lambda database: list(database["structures"].find(slow).max_time_ms(50)))


def test_what_mongodb_refuses_is_put_into_words(service: Service) -> None:
    with pytest.raises(DatabaseError, match="refused"):
        service.call(lambda database: list(database["structures"].find({"$nonsense": 1})))


def test_an_empty_store_says_what_to_do(database: Any, settings: Settings) -> None:
    service = Service(database, settings)
    answer = service.query('elements HAS "Li"')
    assert answer.rows == []
    assert "ionatlas ingest" in (answer.note or "")
    assert service.stats() == {}
    assert all(each.documents == 0 for each in service.status().collections)
    with pytest.raises(SnapshotMissing):
        service.similar("LiCl")


# ------------------------------------------------------------------------------------------------------- one material


def test_show_collects_all_documents(service: Service) -> None:
    found = service.show("t-11")
    assert found["candidate"]["duplicate_of"] == "t-1"
    assert found["structure"]["space_group_number"] == 225
    assert "content" not in found["source"]
    assert found["source"]["size"] > 100
    assert found["source"]["origins"][0]["line"] == 11
    assert found["duplicates"]["clusters"][0]["members"] == ["t-1", "t-11"]
    assert found["embeddings"][0]["dimension"] == 290


def test_show_tells_why_there_is_no_structure(service: Service) -> None:
    found = service.show("t-12")
    assert found["candidate"] is None
    assert found["failures"][0]["error"]["type"] == "CoincidentAtoms"
    with pytest.raises(UsageError, match="CoincidentAtoms"):
        service.structure("t-12")


def test_crystals_come_standard_primitive_and_as_given(service: Service) -> None:
    standard, primitive, given = (service.structure("t-1", kind) for kind in ("standard", "primitive", "given"))
    assert (standard.n_sites, primitive.n_sites, given.n_sites) == (8, 2, 2)
    assert standard.volume == pytest.approx(5.64**3)
    np.testing.assert_allclose(given.lattice, [[0, 2.82, 2.82], [2.82, 0, 2.82], [2.82, 2.82, 0]])
    with pytest.raises(UsageError):
        service.structure("t-1", "odd")  # type: ignore[arg-type]


@pytest.mark.parametrize("ask", ["show", "structure"])
def test_an_unknown_id_is_told_with_near_ones(service: Service, ask: str) -> None:
    with pytest.raises(UnknownId, match=r"Near: t-1, t-10, t-11"):
        getattr(service, ask)("t-1x")
    with pytest.raises(UnknownId, match=r"t-2 \(LiCl\)"):
        getattr(service, ask)("ClLi")
    with pytest.raises(UnknownId):
        getattr(service, ask)("no such thing $^*( \n")


# ----------------------------------------------------------------------------------------------------------- likeness


def test_like_a_material_is_nearest_first_without_itself(service: Service) -> None:
    answer = service.similar("t-1", k=3)
    assert answer.rows[0]["id"] == "t-11"
    assert answer.rows[0]["distance"] == 0.0
    distances = [row["distance"] for row in answer.rows]
    assert distances == sorted(distances)
    assert "t-1" not in ids(answer)


def test_a_formula_is_embedded_like_a_material(service: Service) -> None:
    assert [row["distance"] for row in service.similar("NaCl", k=2).rows] == [0.0, 0.0]
    assert [row["distance"] for row in service.similar("Na2Cl2", k=2).rows] == [0.0, 0.0]
    assert len(service.similar("K3PS4", k=5).rows) == 5, "it need not be in the store"


@pytest.mark.parametrize(
    "filter_text", ['elements HAS "O"', 'band_gap > 5 AND NOT elements HAS "Na"', "band_gap > 100"]
)
def test_a_filter_on_likeness_is_exact(service: Service, filter_text: str) -> None:
    allowed = set(ids(service.query(filter_text, limit=None)))
    everything = [(row["id"], row["distance"]) for row in service.similar("t-4", k=11).rows]
    found = [(row["id"], row["distance"]) for row in service.similar("t-4", k=11, filter=filter_text).rows]
    assert found == [each for each in everything if each[0] in allowed]


def test_likeness_of_what_is_not_there(service: Service) -> None:
    with pytest.raises(UnknownId, match="Nor is it a formula"):
        service.similar("quartz")
    with pytest.raises(UsageError, match="not in the index"):
        service.similar("t-12")
    with pytest.raises(UsageError, match="There is no index"):
        service.similar("t-1", by="smell")
    with pytest.raises(UsageError):
        service.similar("t-1", k=0)


# ------------------------------------------------------------------------------------------------------------ lineage


def test_a_value_is_traced_to_the_line_of_its_file(service: Service, built: BuiltStore) -> None:
    lineage = service.why("t-3", "band_gap")
    assert (lineage.value, lineage.field.unit, lineage.copied_from) == (8.8, "eV", "structures.band_gap")
    candidate = lineage.steps[0]
    structure = candidate.inputs[0]
    source = structure.inputs[0]
    assert [step.collection for step in (candidate, structure, source)] == ["candidates", "structures", "sources"]
    assert [step.state for step in (candidate, structure, source)] == ["fresh", "fresh", "given"]
    assert structure.params is not None
    assert structure.params["symprec"] == 0.01
    assert source.origins[0]["path"] == str(built.file)
    assert source.origins[0]["line"] == 3
    assert source.sha256 is not None
    assert source.licence == "CC0-1.0"


def test_a_duplicate_is_traced_through_its_group(service: Service) -> None:
    lineage = service.why("t-11", "duplicate_of")
    assert lineage.value == "t-1"
    roles = {step.collection: step for step in lineage.steps[0].inputs}
    assert roles["duplicates"].state == "fresh"
    assert {step.id for step in roles["duplicates"].inputs} == {"t-1", "t-11"}


def test_lineage_tells_what_is_stale_and_why(
    service: Service, built: BuiltStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from builders.registry import builder_class

    monkeypatch.setattr(builder_class("structures"), "VERSION", 99)
    structure = service.why("t-3", "density").steps[0].inputs[0]
    assert structure.state == "stale (version)"
    monkeypatch.undo()
    built.database["sources"].update_one({"_id": "t-3"}, {"$set": {"hash": "0" * 32}})
    structure = service.why("t-3", "density").steps[0].inputs[0]
    assert structure.state == "stale (input sources)"
    original = structure.inputs[0]
    assert original.hash == "0" * 32
    from store.provenance import split_hashes

    stamp = built.database["structures"].find_one({"_id": "t-3"})["stamp"]
    built.database["sources"].update_one({"_id": "t-3"}, {"$set": {"hash": split_hashes(stamp["inputs"])["sources"]}})
    assert service.why("t-3", "density").steps[0].inputs[0].state == "fresh"


def test_fields_beyond_the_candidates_are_traced_too(service: Service) -> None:
    assert service.why("t-1", "hall_number").steps[0].collection == "structures"
    assert service.why("t-1", "dimension").value == 290
    assert service.why("t-1", "sha256").steps[0].state == "given"
    assert service.why("t-12", "density").value is None
    with pytest.raises(UnknownField, match=r"band_gap \[eV\]"):
        service.why("t-1", "bandgap")
    with pytest.raises(UnknownId):
        service.why("nothing", "density")


# ----------------------------------------------------------------------------------------------------------- overview


def test_status_tells_counts_builds_failures_and_indexes(service: Service) -> None:
    status = service.status()
    told = {each.name: each for each in status.collections}
    assert {name: each.documents for name, each in told.items()} == {
        "sources": 12,
        "structures": 11,
        "duplicates": 1,
        "embeddings": 11,
        "channels": 8,
        "barriers": 0,
        "predictions": 8,
        "topology": 8,
        "conductivities": 0,
        "conductivity_predictions": 2,
        "candidates": 11,
    }
    assert told["structures"].failed == 1
    assert next(iter(told["structures"].reasons)).startswith("CoincidentAtoms")
    assert told["candidates"].last_state == "done"
    names = ("composition", "structure", "learned", "learned_composition", "templates")
    assert [(index.name, index.vectors, index.state) for index in status.indexes] == [(n, 11, "fresh") for n in names]


def test_elements_are_counted(service: Service) -> None:
    counts = service.stats()
    assert (counts["Cl"], counts["O"], counts["Fe"]) == (4, 4, 1)
    assert "U" not in counts


def test_reading_changes_nothing(service: Service, built: BuiltStore) -> None:
    def everything() -> dict[str, int]:
        return {
            name: built.database[name].count_documents({}) for name in sorted(built.database.list_collection_names())
        }

    before = everything()
    service.query('elements HAS "Li"', sort="band_gap")
    service.similar("t-1")
    service.why("t-1", "density")
    service.status()
    assert everything() == before


def test_no_optimade_server_is_loaded_for_a_query() -> None:
    assert "optimade.server.main" not in sys.modules
