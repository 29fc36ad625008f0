"""Predicted conductivities on the real server: which structures have one, what is recorded, what makes one stale."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from api.builds import explain_builds, run_builds
from api.lineage import trace
from api.service import Service
from api.work import build_options
from builders.conductivity.model import ConductivityModel
from builders.conductivity_predictions import builder as module
from builders.engine.run import in_order
from builders.migration.model import MigrationModel
from builders.models import chosen
from builders.registry import BUILDERS, builder_class
from store.errors import FeatureError, UsageError
from store.ingest.ingest import ingest
from store.provenance import content_hash
from store.schema import migrate
from store.settings import Settings

from .channel_crystals import record, rows
from .prediction_models import Here

NAMES = ["structures", "conductivity_predictions", "candidates"]
LITHIUM = {"layered/Li", "olivine/Li", "mixed/Li", "alloy/Li"}


class Told(NamedTuple):
    value: Any
    lower: Any
    upper: Any
    in_domain: Any
    distance: Any
    reasons: list[str]


class HandModel:
    """log10 sigma = - atoms in the primitive cell; sure within 2; cells of more than 20 atoms are unknown to it."""

    id = "hand-1"

    def __init__(self) -> None:
        self.calls: list[int] = []

    def predict(self, features: Any, has_structure: Any) -> Told:
        assert has_structure.tolist() == [True] * len(features)
        self.calls.append(len(features))
        size = features[:, 0]
        inside = size <= 20
        return Told(-size, -size - 2, -size + 2, inside, size / 10, ["" if each else "too large" for each in inside])


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> HandModel:
    model = HandModel()
    monkeypatch.setattr(module, "_describe", lambda structure: np.array([len(structure["primitive"]["species"]), 0.0]))
    monkeypatch.setattr(chosen, "load", lambda kind, folder=None: model)
    monkeypatch.setattr(chosen, "identity", lambda kind: "hand-1:a")
    monkeypatch.setattr("builders.engine.builder._TOOLS", {})
    monkeypatch.setattr("builders.engine.work._BUILDERS", {})
    monkeypatch.setattr("builders.engine.run.LocalPool", Here)
    return model


@pytest.fixture
def store(database: Any, settings: Settings, tmp_path: Path, hand: HandModel) -> Any:
    migrate(database)
    file = tmp_path / "given.jsonl"
    file.write_text("".join(json.dumps(record(key, each)) + "\n" for key, each in rows().items()))
    ingest(database, file, provider="test")
    return database


def build(database: Any, settings: Settings, names: list[str] | None = None, **options: Any) -> dict[str, int]:
    runs = run_builds(database, settings, names or NAMES, build_options(settings, workers=1, **options))
    assert [run.failed for run in runs] == [0] * len(runs), [run.reasons for run in runs]
    return {run.name: run.built for run in runs}


def test_predictions_stand_between_structures_and_candidates(hand: HandModel) -> None:
    order = [builder.NAME for builder in in_order([builder_class(name) for name in BUILDERS])]
    assert order.index("structures") < order.index("conductivity_predictions") < order.index("candidates")


def test_every_structure_that_holds_lithium_has_one_and_candidates_copy_it(store: Any, settings: Settings) -> None:
    assert build(store, settings)["conductivity_predictions"] == 4
    assert set(store["conductivity_predictions"].distinct("_id")) == LITHIUM
    layered = store["conductivity_predictions"].find_one({"_id": "layered/Li"})
    assert (layered["material"], layered["ion"], layered["model"]) == ("layered", "Li", "hand-1")
    candidate = store["candidates"].find_one({"_id": "layered"})
    told = [candidate[f"li_conductivity{end}"] for end in ("", "_lower", "_upper", "_in_domain")]
    assert told == [-4.0, -6.0, -2.0, True]
    assert "li_conductivity" not in store["candidates"].find_one({"_id": "halite"})
    found = Service(store, settings).query("li_conductivity > -5 AND li_conductivity_in_domain = TRUE", fields="id")
    assert {row["id"] for row in found.rows} == {"layered", "mixed"}


def test_what_the_model_does_not_know_is_told(store: Any, settings: Settings) -> None:
    build(store, settings)
    olivine = store["conductivity_predictions"].find_one({"_id": "olivine/Li"})
    assert (olivine["conductivity_in_domain"], olivine["conductivity_reason"]) == (False, "too large")
    assert olivine["conductivity_distance"] == pytest.approx(2.8)
    alloy = store["conductivity_predictions"].find_one({"_id": "alloy/Li"})  # small enough, and a metal
    assert alloy["conductivity_in_domain"] is False
    assert "not a salt of lithium" in alloy["conductivity_reason"]
    shown = Service(store, settings).show("olivine")["conductivity_predictions"]
    assert [each["_id"] for each in shown] == ["olivine/Li"]


def test_one_call_for_many_and_failures_alone(
    store: Any, settings: Settings, hand: HandModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(store, settings, ["structures"])
    describe = module._describe

    def fussy(structure: Any) -> Any:
        if "Fe" in structure["composition"]:
            raise FeatureError("no iron, please")
        return np.array([np.nan, 0.0]) if "Co" in structure["composition"] else describe(structure)

    monkeypatch.setattr(module, "_describe", fussy)
    (run,) = run_builds(store, settings, ["conductivity_predictions"], build_options(settings, workers=1))
    assert (run.built, run.failed) == (3, 1)
    assert hand.calls == [3]
    failure = store["build_state"].find_one({"_id": "conductivity_predictions/olivine/Li"})
    assert failure["error"]["message"] == "no iron, please"
    nothing = store["conductivity_predictions"].find_one({"_id": "layered/Li"})
    assert (nothing["conductivity"], nothing["conductivity_in_domain"]) == (None, False)
    assert nothing["conductivity_reason"]


def test_other_weights_make_all_stale_and_another_structure_just_its_own(
    store: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(store, settings)
    assert build(store, settings) == dict.fromkeys(NAMES, 0)
    store["structures"].update_one({"_id": "mixed"}, {"$set": {"hash": content_hash("another")}})
    (plan,) = explain_builds(store, settings, ["conductivity_predictions"])
    assert plan.stale == {"input structures": 1}
    monkeypatch.setattr(chosen, "identity", lambda kind: "hand-1:b")
    (plan,) = explain_builds(store, settings, ["conductivity_predictions"])
    assert plan.stale == {"parameters": 4}
    monkeypatch.setattr(chosen, "identity", lambda kind: "hand-1:a")
    monkeypatch.setattr(chosen, "shipped_identity", lambda kind: "another")
    (plan,) = explain_builds(store, settings, ["conductivity_predictions"])
    assert plan.stale == {"parameters": 4}


def test_a_folder_without_a_model_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("IONATLAS_CONDUCTIVITY_MODEL", str(tmp_path))
    with pytest.raises(UsageError, match="no model of conductivities") as told:
        builder_class("conductivity_predictions")()
    assert "ionatlas train conductivity" in str(told.value)


def test_choices(store: Any, settings: Settings) -> None:
    build(store, settings, ["structures"])
    assert build(store, settings, ["conductivity_predictions"], ions=["Na"]) == {"conductivity_predictions": 0}
    only = build(store, settings, ["conductivity_predictions"], materials={"olivine", "halite"})
    assert only == {"conductivity_predictions": 1}
    assert build(store, settings, ["conductivity_predictions"], ions=["Li"]) == {"conductivity_predictions": 3}


def test_the_shipped_model_predicts_what_it_predicts_by_itself(
    database: Any, settings: Settings, tmp_path: Path
) -> None:
    from builders.conductivity.features import describe
    from store.crystal import Crystal

    migrate(database)
    file = tmp_path / "given.jsonl"
    file.write_text("".join(json.dumps(record(key, rows()[key])) + "\n" for key in ("layered", "olivine", "halite")))
    ingest(database, file)
    build(database, settings, ["structures", "conductivity_predictions"])
    model = chosen.load(ConductivityModel)
    for document in database["conductivity_predictions"].find():
        structure = database["structures"].find_one({"_id": document["material"]})
        crystal = Crystal.from_document(structure["primitive"])
        told = model.predict(describe(structure["composition"], crystal)[None], np.array([True]))
        assert document["model"] == model.id
        for name, values in (("", told.value), ("_lower", told.lower), ("_upper", told.upper)):
            assert document[f"conductivity{name}"] == pytest.approx(float(values[0]), abs=1e-9)
        assert document["conductivity_in_domain"] == told.in_domain[0]
        assert document["conductivity_lower"] < document["conductivity"] < document["conductivity_upper"]
    assert database["conductivity_predictions"].count_documents({}) == 2


def test_why_leads_to_the_structure_and_the_model(store: Any, settings: Settings) -> None:
    build(store, settings)
    (step,) = trace(Service(store, settings), "layered", "li_conductivity").steps
    (prediction,) = step.inputs
    assert (prediction.collection, prediction.id, prediction.state) == (
        "conductivity_predictions",
        "layered/Li",
        "fresh",
    )
    assert prediction.params == {"model": "hand-1:a", "barriers": chosen.shipped_identity(MigrationModel)}
    assert chosen.shipped_identity(MigrationModel)
    assert [(each.collection, each.id) for each in prediction.inputs] == [("structures", "layered")]
