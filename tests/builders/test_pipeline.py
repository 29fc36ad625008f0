"""The whole way, on the real server: records in, everything derived, exactly what changed made again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from api.builds import PlanSummary, chosen, explain_builds, raise_for, run_builds
from builders.embeddings.builder import CompositionBuilder
from builders.engine.run import Options
from builders.structures.builder import StructureBuilder
from store.errors import ItemsFailed, UsageError
from store.ingest.ingest import ingest
from store.schema import migrate

CUBE = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
B1 = (
    [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]],
    [[0.5, 0.5, 0.5], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]],
)


def rock_salt(key: str, cation: str, anion: str, a: float, **more: Any) -> dict[str, Any]:
    return {
        "id": key,
        "structure": {
            "lattice": (a * np.array(CUBE)).tolist(),
            "species": [cation] * 4 + [anion] * 4,
            "frac_coords": [*B1[0], *B1[1]],
        },
        **more,
    }


def caesium_chloride(key: str, cation: str, anion: str, a: float) -> dict[str, Any]:
    sites = [[0, 0, 0], [0.5, 0.5, 0.5]]
    return {
        "id": key,
        "structure": {"lattice": (a * np.array(CUBE)).tolist(), "species": [cation, anion], "frac_coords": sites},
    }


ROWS = [
    rock_salt("s-1", "Na", "Cl", 5.64, band_gap=8.5, energy_above_hull=0.0, formation_energy_per_atom=-2.1),
    rock_salt("s-2", "Na", "Cl", 5.65),
    caesium_chloride("s-3", "Na", "Cl", 3.4),
    rock_salt("s-4", "Li", "F", 4.03, band_gap=13.0),
    rock_salt("s-5", "Mg", "O", 4.21),
    rock_salt("s-6", "K", "Br", 6.60),
]


def give(database: Any, folder: Path, *rows: dict[str, Any]) -> None:
    file = folder / "given.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ingest(database, file, provider="test")


def todo(plans: list[PlanSummary]) -> dict[str, int]:
    return {plan.name: plan.todo for plan in plans}


@pytest.fixture
def store(database: Any, settings: Any, tmp_path: Path) -> Any:
    migrate(database)
    give(database, tmp_path, *ROWS)
    summaries = run_builds(database, settings, options=Options(workers=1))
    raise_for(summaries)
    return database


def test_everything_is_derived(store: Any, settings: Any) -> None:
    candidate = store["candidates"].find_one({"_id": "s-1"})
    assert candidate["formula"] == "NaCl"
    assert candidate["space_group_number"] == 225
    assert candidate["crystal_system"] == "cubic"
    assert candidate["nsites_primitive"] == 2
    assert candidate["volume_per_atom"] == pytest.approx(5.64**3 / 8)
    assert candidate["density"] == pytest.approx(4 * 58.443 / 6.02214e23 / (5.64e-8) ** 3, rel=1e-3)
    assert candidate["min_distance"] == pytest.approx(2.82)
    assert (candidate["band_gap"], candidate["energy_above_hull"], candidate["provider"]) == (8.5, 0.0, "test")
    assert candidate["anonymous_prototype"] == store["candidates"].find_one({"_id": "s-5"})["anonymous_prototype"]
    assert store["embeddings"].count_documents({"model": "composition-statistics", "dimension": 290}) == 6


def test_duplicates_are_linked_and_polymorphs_are_not(store: Any) -> None:
    (document,) = store["duplicates"].find()
    assert document["members"] == ["s-1", "s-2", "s-3"]
    assert document["clusters"] == [{"representative": "s-1", "members": ["s-1", "s-2"]}]
    links = {each["_id"]: each["duplicate_of"] for each in store["candidates"].find({}, {"duplicate_of": 1})}
    assert links == {"s-1": None, "s-2": "s-1", "s-3": None, "s-4": None, "s-5": None, "s-6": None}


def test_a_second_build_finds_nothing(store: Any, settings: Any) -> None:
    assert set(todo(explain_builds(store, settings)).values()) == {0}
    assert [each.built for each in run_builds(store, settings, options=Options(workers=1))] == [0] * 18


def test_one_changed_source_makes_one_document_stale_in_each_derived_collection(
    store: Any, settings: Any, tmp_path: Path
) -> None:
    give(store, tmp_path, *ROWS[:-1], rock_salt("s-6", "K", "I", 7.06))
    assert todo(explain_builds(store, settings)) == {
        "structures": 1, "duplicates": 0, "composition": 1, "channels": 1, "barriers": 0, "predictions": 1, "candidates": 1,
        "topology": 1, "conductivities": 0, "conductivity_predictions": 0, "structure_distances": 1,
        "tower_compositions": 1, "tower_structures": 1, "index/composition": 1, "index/structure": 1, "index/learned": 1,
        "index/learned_composition": 1, "index/templates": 1,
    }  # fmt: skip
    built = {each.name: each.built for each in run_builds(store, settings, options=Options(workers=1))}
    # Another rock salt has the same arrangement: its fingerprint comes out the same, and the index has nothing to do.
    assert built == {
        "structures": 1, "duplicates": 0, "composition": 1, "channels": 1, "barriers": 0, "predictions": 1, "candidates": 1,
        "topology": 1, "conductivities": 0, "conductivity_predictions": 0, "structure_distances": 1,
        "tower_compositions": 1, "tower_structures": 1, "index/composition": 1, "index/structure": 0, "index/learned": 1,
        "index/learned_composition": 1, "index/templates": 1,
    }  # fmt: skip
    assert store["candidates"].find_one({"_id": "s-6"})["formula"] == "KI"
    assert store["source_history"].count_documents({"source": "s-6"}) == 1


def test_an_input_that_comes_out_the_same_leaves_the_rest_fresh(
    store: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StructureBuilder, "VERSION", 2)
    plans = {plan.name: plan for plan in explain_builds(store, settings)}
    assert plans["structures"].stale == {"version": 6}
    assert (plans["candidates"].stale, plans["candidates"].pending) == ({}, 6)
    built = {each.name: each.built for each in run_builds(store, settings, ["structures"], Options(workers=1))}
    # The worker processes have the class of version 1; what is compared is the stamp they were asked to write.
    assert built == {"structures": 6}


def test_a_changed_builder_makes_its_own_documents_stale_and_what_depends_on_them(
    store: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CompositionBuilder, "VERSION", 2)
    plans = {plan.name: plan for plan in explain_builds(store, settings)}
    assert plans["composition"].stale == {"version": 6}
    assert plans["index/composition"].pending == 6
    assert {plans[name].todo for name in ("structures", "duplicates", "candidates")} == {0}


def test_a_removed_source_removes_what_was_made_of_it(store: Any, settings: Any) -> None:
    store["sources"].delete_one({"_id": "s-6"})
    run_builds(store, settings, options=Options(workers=1))
    for name in ("structures", "candidates"):
        assert store[name].count_documents({}) == 5
    assert store["embeddings"].count_documents({}) == 4 * 5  # one a model


def test_an_element_without_features_fails_alone_and_stays_a_candidate(
    store: Any, settings: Any, tmp_path: Path
) -> None:
    give(store, tmp_path, *ROWS, rock_salt("s-7", "Cf", "O", 5.0))
    summaries = run_builds(store, settings, options=Options(workers=1))
    with pytest.raises(ItemsFailed, match="1 of composition"):
        raise_for(summaries)
    assert store["candidates"].count_documents({}) == 7
    assert "Cf" in store["build_state"].find_one({"builder": "composition"})["error"]["message"]


def test_readers_see_candidates_change_in_one_step(store: Any, settings: Any, tmp_path: Path) -> None:
    """A small change is one transaction in the present generation, not a copy of the collection."""
    before = next(store.list_collections(filter={"name": "candidates"}))["options"]["viewOn"]
    give(store, tmp_path, *ROWS[:-1], rock_salt("s-6", "K", "I", 7.06))
    run_builds(store, settings, options=Options(workers=1))
    assert next(store.list_collections(filter={"name": "candidates"}))["options"]["viewOn"] == before


def test_a_large_change_is_a_new_generation(
    store: Any, settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("builders.engine.targets.TRANSACTION_LIMIT", 2)
    give(store, tmp_path, *(rock_salt(row["id"], "K", "F", 5.3 + number / 100) for number, row in enumerate(ROWS)))
    run_builds(store, settings, options=Options(workers=1))
    assert next(store.list_collections(filter={"name": "candidates"}))["options"]["viewOn"] == "candidates_g000002"
    assert store["candidates"].distinct("formula") == ["KF"]


def test_names_that_cannot_be_built_are_told(store: Any) -> None:
    with pytest.raises(UsageError, match="index/composition"):
        chosen(["chanels"])


def test_a_build_of_what_matches_a_filter(store: Any, settings: Any) -> None:
    from api.builds import matching_materials

    wanted = matching_materials(store, 'elements HAS "Na"')
    assert wanted == {"s-1", "s-2", "s-3"}
    plans = explain_builds(store, settings, ["candidates"], Options(materials=wanted))
    assert plans[0].fresh == 3
