"""Predictions of hops and crystals: what is recorded, what fails alone, what makes a document stale."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from api.builds import explain_builds, run_builds
from api.lineage import trace
from api.service import Service
from api.work import build_options
from builders.channels.analysis import analyse
from builders.engine.run import in_order
from builders.models import chosen
from builders.predictions import hops
from builders.predictions.builder import PredictionBuilder
from builders.predictions.document import to_document
from builders.registry import BUILDERS, builder_class
from store.crystal import Crystal
from store.errors import FeatureError
from store.ingest.ingest import ingest
from store.provenance import content_hash
from store.schema import migrate
from store.settings import Settings

from .channel_crystals import layered, olivine, record, rock_salt, rows
from .prediction_models import HandModel, Here

NAMES = ["structures", "channels", "predictions", "candidates"]


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> HandModel:
    """Hops described by their length alone, and the model that reads it."""
    model = HandModel()
    monkeypatch.setattr(hops, "describe_hops", lambda channels: [np.array([hop.p_length]) for hop in channels.hops])
    monkeypatch.setattr(chosen, "load", lambda kind, folder=None: model)
    monkeypatch.setattr(chosen, "identity", lambda kind: "hand-1:a")
    monkeypatch.setattr("builders.engine.builder._TOOLS", {})
    monkeypatch.setattr("builders.engine.work._BUILDERS", {})
    monkeypatch.setattr("builders.engine.run.LocalPool", Here)
    return model


def crystal(structure: Any) -> Crystal:
    return Crystal.from_pymatgen(structure)


def give(database: Any, folder: Path, crystals: dict[str, Any]) -> None:
    file = folder / "given.jsonl"
    file.write_text("".join(json.dumps(record(key, each)) + "\n" for key, each in crystals.items()))
    ingest(database, file, provider="test")


def build(database: Any, settings: Settings, names: list[str] | None = None, **options: Any) -> dict[str, int]:
    runs = run_builds(database, settings, names or NAMES, build_options(settings, workers=1, **options))
    assert [run.failed for run in runs] == [0] * len(runs), [run.reasons for run in runs]
    return {run.name: run.built for run in runs}


@pytest.fixture
def store(database: Any, settings: Settings, tmp_path: Path, hand: HandModel) -> Any:
    migrate(database)
    few = {key: each for key, each in rows().items() if key in ("layered", "olivine", "halite", "mixed")}
    give(database, tmp_path, few)
    return database


# -------------------------------------------------------------------------------------------------------------- kernels


def test_the_hops_of_all_crystals_are_predicted_in_one_call(hand: HandModel) -> None:
    crystals = [analyse(crystal(olivine()), "Li"), analyse(crystal(layered()), "Li")]
    found = hops.predict_crystals(hand, crystals)
    assert hand.calls == [sum(len(each.hops) for each in crystals)]
    for channels, barriers in zip(crystals, found, strict=True):
        lengths = [hop.p_length for hop in channels.hops]
        assert barriers.value.tolist() == pytest.approx([length / 10 for length in lengths])
        assert barriers.in_domain.tolist() == [length <= 4.0 for length in lengths]
        assert len(barriers.reasons) == len(lengths)


def test_a_hop_that_cannot_be_described_is_told_and_the_others_go_on(
    hand: HandModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    channels = analyse(crystal(olivine()), "Li")
    described: list[Any] = [np.array([hop.p_length]) for hop in channels.hops]
    described[0] = FeatureError("no data for the element")
    monkeypatch.setattr(hops, "describe_hops", lambda _: described)
    (barriers,) = hops.predict_crystals(hand, [channels])
    document = to_document(channels, barriers, "hand-1")
    assert document["n_predicted"] == document["n_hops"] - 1
    first, second = document["hops"][:2]
    assert (first["value"], first["lower"], first["in_domain"]) == (None, None, False)
    assert first["reason"] == "no data for the element"
    assert first["percolates"]
    assert second["value"] == pytest.approx(channels.hops[1].p_length / 10)


def test_a_model_that_gives_no_number_is_told(hand: HandModel) -> None:
    barriers = hops.predict(hand, [np.array([3.0]), np.array([np.nan])], ["Li", "Li"])
    assert barriers.reasons[0] == ""
    assert np.isnan(barriers.value[1])
    assert barriers.reasons[1]
    assert not barriers.in_domain[1]


def test_nothing_to_predict_asks_no_model(hand: HandModel) -> None:
    barriers = hops.predict(hand, [FeatureError("no")], ["Li"])
    assert barriers.reasons == ("no",)
    assert hops.predict_crystals(hand, []) == []
    assert hand.calls == []


@pytest.mark.parametrize("error", [ZeroDivisionError("by zero"), IndexError("out of bounds"), FeatureError("none")])
def test_what_goes_wrong_in_a_description_is_a_reason(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Any:
        raise error

    told = hops.describe_hop(broken)
    assert isinstance(told, FeatureError)
    assert str(error) in told.message


def test_the_migration_energy_of_olivine_is_that_of_its_shortest_hop(hand: HandModel) -> None:
    """Along b the hops of 3.00 Å make rows; between the rows of lithium they are 4.69 Å (c) and 5.67 Å."""
    channels = analyse(crystal(olivine()), "Li")
    (barriers,) = hops.predict_crystals(hand, [channels])
    document = to_document(channels, barriers, hand.id)
    assert document["migration_energy"] == pytest.approx(0.300, abs=0.001)
    assert document["migration_energy_directions"] == [[0, 1, 0]]
    assert document["migration_energy_lower"] == pytest.approx(0.200, abs=0.001)
    assert document["migration_energy_upper"] == pytest.approx(0.400, abs=0.001)
    assert document["migration_energy_in_domain"]
    assert document["migration_energy_2"] == pytest.approx(0.469, abs=0.001)
    assert not document["migration_energy_2_in_domain"]
    limiting = channels.hops[document["migration_energy_2_hop"]]
    assert limiting.p_length == pytest.approx(4.69, abs=0.01)


# -------------------------------------------------------------------------------------------------------------- builder


def test_predictions_stand_between_channels_and_candidates() -> None:
    order = [builder.NAME for builder in in_order([builder_class(name) for name in BUILDERS])]
    assert order.index("channels") < order.index("predictions") < order.index("candidates")


def test_each_document_of_channels_has_predictions_and_candidates_copy_them(store: Any, settings: Settings) -> None:
    assert build(store, settings)["predictions"] == 5
    assert set(store["predictions"].distinct("_id")) == set(store["channels"].distinct("_id"))
    document = store["predictions"].find_one({"_id": "olivine/Li"})
    assert (document["material"], document["ion"], document["model"]) == ("olivine", "Li", "hand-1")
    candidate = store["candidates"].find_one({"_id": "olivine"})
    for name in ("migration_energy", "migration_energy_lower", "migration_energy_upper", "migration_energy_2"):
        assert candidate[f"li_{name}"] == document[name]
    assert candidate["li_migration_energy_in_domain"] is True
    assert "na_migration_energy" not in candidate
    service = Service(store, settings)
    found = service.query("li_migration_energy < 0.31 AND li_migration_energy_in_domain = TRUE", fields="id")
    assert {row["id"] for row in found.rows} == {"olivine", "layered"}


def test_a_second_build_does_nothing_and_other_weights_do_everything_again(
    store: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(store, settings)
    assert build(store, settings) == {"structures": 0, "channels": 0, "predictions": 0, "candidates": 0}
    monkeypatch.setattr(chosen, "identity", lambda kind: "hand-1:b")
    (plan,) = explain_builds(store, settings, ["predictions"])
    assert plan.stale == {"parameters": 5}
    assert build(store, settings)["predictions"] == 5


def test_changed_channels_make_their_predictions_stale_and_gone_ones_remove_them(
    store: Any, settings: Settings
) -> None:
    build(store, settings)
    store["channels"].update_one({"_id": "mixed/Na"}, {"$set": {"hash": content_hash("another")}})
    (plan,) = explain_builds(store, settings, ["predictions"])
    assert plan.stale == {"input channels": 1}
    store["channels"].delete_one({"_id": "mixed/Na"})
    build(store, settings, ["predictions"], allow_orphans=True)
    assert store["predictions"].find_one({"_id": "mixed/Na"}) is None


def test_a_choice_of_ions_leaves_the_others(store: Any, settings: Settings) -> None:
    build(store, settings, ["structures", "channels"])
    assert build(store, settings, ["predictions"], ions=["Na"]) == {"predictions": 2}
    assert set(store["predictions"].distinct("_id")) == {"halite/Na", "mixed/Na"}
    assert build(store, settings, ["predictions"]) == {"predictions": 3}


def test_a_choice_of_materials_leaves_the_others(store: Any, settings: Settings) -> None:
    plans = explain_builds(store, settings, NAMES, build_options(settings, workers=1, ions=["Li"]))
    assert {plan.name: plan.pending for plan in plans}["predictions"] == 0  # no structures yet, no pairs known
    assert build(store, settings, materials={"olivine", "mixed"})["predictions"] == 3
    assert set(store["predictions"].distinct("_id")) == {"olivine/Li", "mixed/Li", "mixed/Na"}


def test_channels_about_to_be_made_leave_their_predictions_pending(store: Any, settings: Settings) -> None:
    build(store, settings, ["structures"])
    plans = {plan.name: plan for plan in explain_builds(store, settings, NAMES)}
    assert (plans["channels"].missing, plans["predictions"].pending) == (5, 5)


def test_the_model_is_a_parameter_and_the_choice_is_none(hand: HandModel) -> None:
    assert PredictionBuilder().params_hash == PredictionBuilder(selection={"ions": ("Li",)}).params_hash
    assert PredictionBuilder().params_hash != PredictionBuilder(params={"model": "another"}).params_hash


def test_channels_that_cannot_be_read_fail_alone(store: Any, settings: Settings) -> None:
    build(store, settings, ["structures", "channels"])
    store["channels"].update_one({"_id": "mixed/Na"}, {"$set": {"arrays": b"IAA1 damaged"}})
    (run,) = run_builds(store, settings, ["predictions"], build_options(settings, workers=1))
    assert (run.built, run.failed) == (4, 1)
    failure = store["build_state"].find_one({"_id": "predictions/mixed/Na"})
    assert failure["error"]["type"] == "ArraysDamaged"


def test_why_leads_from_the_candidate_to_the_model(store: Any, settings: Settings) -> None:
    build(store, settings)
    lineage = trace(Service(store, settings), "mixed", "na_migration_energy")
    (step,) = lineage.steps
    (predictions,) = step.inputs
    assert (predictions.collection, predictions.id, predictions.state) == ("predictions", "mixed/Na", "fresh")
    assert predictions.params == {"model": "hand-1:a"}
    assert [(each.collection, each.id) for each in predictions.inputs] == [("channels", "mixed/Na")]
    assert Service(store, settings).show("mixed")["predictions"][0]["_id"] == "mixed/Li"


def test_a_crystal_without_a_way_through_it_has_no_energy(hand: HandModel) -> None:
    far = rock_salt("Na", "Cl", 5.64)
    far.make_supercell(1)
    channels = analyse(crystal(far), "Na")
    none = hops.predict(hand, [FeatureError("no")] * len(channels.hops), ["Na"] * len(channels.hops))
    document = to_document(channels, none, "hand-1")
    assert document["migration_energy"] is None
    assert document["migration_energy_hop"] is None
    assert document["migration_energy_directions"] == []
