"""Topology on the real server: documents, their check against the channels, what makes one stale."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bson
import numpy as np
import pytest

from api.builds import explain_builds, run_builds
from api.lineage import trace
from api.service import Service
from api.work import build_options
from builders.channels.analysis import analyse as find_channels
from builders.engine.run import in_order
from builders.registry import BUILDERS, builder_class
from builders.topology.analysis import analyse
from builders.topology.builder import TopologyBuilder, _network
from builders.topology.document import SAME, Radii, compare, entropy, from_document, to_document
from store.crystal import Crystal
from store.ingest.ingest import ingest
from store.provenance import content_hash
from store.schema import migrate
from store.settings import Settings

from .channel_crystals import layered, olivine, record, rows

NAMES = ["structures", "channels", "topology", "candidates"]
PAIRS = {"layered/Li", "olivine/Li", "halite/Na", "mixed/Li", "mixed/Na"}


def build(database: Any, settings: Settings, names: list[str] | None = None, **options: Any) -> dict[str, int]:
    runs = run_builds(database, settings, names or NAMES, build_options(settings, workers=1, **options))
    assert [run.failed for run in runs] == [0] * len(runs), [run.reasons for run in runs]
    return {run.name: run.built for run in runs}


@pytest.fixture
def store(database: Any, settings: Settings, tmp_path: Path) -> Any:
    migrate(database)
    few = {key: each for key, each in rows().items() if key in ("layered", "olivine", "halite", "mixed", "iron")}
    file = tmp_path / "given.jsonl"
    file.write_text("".join(json.dumps(record(key, each)) + "\n" for key, each in few.items()))
    ingest(database, file, provider="test")
    return database


# ------------------------------------------------------------------------------------------------------------- documents


def test_layers_of_lithium_have_a_far_third_step() -> None:
    """LiCoO2: within a layer Li sites are a = 2.811 Å apart, and the layers c / 3 = 4.68 Å."""
    document = to_document("Li", analyse(Crystal.from_pymatgen(layered())))
    assert document["ion_r1"] == pytest.approx(2.811 / 2, abs=2e-3)
    assert document["ion_r2"] == pytest.approx(2.811 / 2, abs=2e-3)
    assert document["ion_r3"] == pytest.approx(np.hypot(14.05 / 3, 2.811 / np.sqrt(3)) / 2, abs=2e-3)
    assert document["ion_layers"] == pytest.approx(document["ion_r3"] - document["ion_r2"])
    rows_of_olivine = to_document("Li", analyse(Crystal.from_pymatgen(olivine())))
    assert rows_of_olivine["ion_r1"] == pytest.approx(6.0065 / 4, abs=2e-3)  # rows along b, a half apart
    assert rows_of_olivine["ion_r2"] > rows_of_olivine["ion_r1"] + 0.5


def test_the_check_tells_equal_joint_and_wrong_radii() -> None:
    crystal = Crystal.from_pymatgen(olivine())
    framework = analyse(crystal)["framework"]
    radii = find_channels(crystal, "Li").percolation.radii
    births = tuple(framework.essential[2][::-1])

    def never() -> Any:
        raise AssertionError("nothing to look into")

    same = compare(framework, radii, never)
    assert (same.agree, same.meet) == (True, True)
    assert same.difference <= SAME
    lower = (births[0], births[1] - 0.1, births[2] - 0.1)
    assert compare(framework, lower, lambda: Radii(births, lower))[1:] == (False, True)
    assert compare(framework, lower, lambda: Radii(lower, lower))[1:] == (False, False)  # the births are wrong
    assert compare(framework, lower, lambda: Radii(births, births))[1:] == (False, False)  # the channels are wrong
    higher = (births[0] + 0.1, births[1], births[2])
    assert compare(framework, higher, lambda: Radii(births, births))[1:] == (True, False)


def test_rods_that_never_meet_are_told() -> None:
    """Rods along a at z = 1/4 and along b at z = 3/4 between walls of atoms: two directions, no two-dimensional channel."""
    n, height = 6, 12.0
    ticks = np.arange(n) / n
    floor = [[x, y, z] for x in ticks for y in ticks for z in (0.0, 0.5)]
    along_a = [[x, y, 0.25] for x in ticks for y in ticks if abs(y - 0.5) > 0.3]
    along_b = [[x, y, 0.75] for x in ticks for y in ticks if abs(x - 0.5) > 0.3]
    places = np.array([*floor, *along_a, *along_b])
    crystal = Crystal.from_lists(np.diag([9.0, 9.0, height]), ["O"] * len(places), places)
    framework = analyse(crystal, None)["framework"]
    channels = find_channels(crystal, "Li")
    check = compare(framework, channels.percolation.radii, lambda: _network(crystal, "Li"))
    assert (check.agree, check.meet) == (True, False)
    assert check.difference > 0.1


def test_entropy_counts_bars_by_their_share() -> None:
    assert entropy(np.zeros(0)) == 0.0
    assert entropy(np.array([2.0])) == 0.0
    assert entropy(np.full(8, 0.3)) == pytest.approx(np.log(8))
    assert entropy(np.array([1.0, 3.0])) == pytest.approx(-(0.25 * np.log(0.25) + 0.75 * np.log(0.75)))


# --------------------------------------------------------------------------------------------------------------- builder


def test_topology_stands_between_channels_and_candidates() -> None:
    order = [builder.NAME for builder in in_order([builder_class(name) for name in BUILDERS])]
    assert order.index("channels") < order.index("topology") < order.index("candidates")


def test_a_document_holds_the_diagrams_of_the_primitive_cell(store: Any, settings: Settings) -> None:
    assert build(store, settings)["topology"] == 5
    assert set(store["topology"].distinct("_id")) == PAIRS
    document = store["topology"].find_one({"_id": "mixed/Na"})
    crystal = Crystal.from_document(store["structures"].find_one({"_id": "mixed"})["primitive"])
    found = analyse(crystal, "Na")
    again = from_document(document)
    assert list(again) == list(found) == [group["name"] for group in document["groups"]]
    for name, diagrams in found.items():
        for degree in range(3):
            assert again[name].finite[degree] == pytest.approx(diagrams.finite[degree], abs=1e-6)
            assert again[name].extensive[degree] == pytest.approx(diagrams.extensive[degree], abs=1e-6)
        assert again[name].betti == (1, 3, 3, 1)
    for group in document["groups"]:
        lengths = np.diff(found[group["name"]].extensive[2], axis=1).ravel()
        assert group["bars"][2] == len(lengths)
        assert group["persistence"][2] == pytest.approx(lengths.sum())
    assert max(len(bson.encode(each)) for each in store["topology"].find()) < 10_000


def test_every_document_is_checked_against_its_channels(store: Any, settings: Settings) -> None:
    build(store, settings)
    for document in store["topology"].find():
        channels = store["channels"].find_one({"_id": document["_id"]})
        apart = max(abs(document[f"framework_r{k}"] - channels[f"r{k}"]) for k in (1, 2, 3))
        assert document["channels_difference"] == pytest.approx(apart)
        assert apart <= SAME
        assert document["channels_agree"]


def test_candidates_copy_what_is_asked_for(store: Any, settings: Settings) -> None:
    build(store, settings)
    document = store["topology"].find_one({"_id": "layered/Li"})
    candidate = store["candidates"].find_one({"_id": "layered"})
    assert candidate["li_topology_ion_layers"] == document["ion_layers"] > 1.0
    assert candidate["li_topology_r2"] == document["framework_r2"]
    assert candidate["li_topology_void"] == document["framework_void"]
    assert candidate["li_topology_agrees"] is True
    assert "na_topology_r1" not in candidate
    service = Service(store, settings)
    found = service.query("li_topology_ion_layers > 1 AND li_topology_agrees = TRUE", fields="id")
    assert [row["id"] for row in found.rows] == ["layered"]
    (line,) = service.show("layered")["topology"]
    assert "arrays" not in line


def test_without_channels_there_is_no_check_and_new_channels_touch_just_theirs(store: Any, settings: Settings) -> None:
    build(store, settings, ["structures", "topology"])
    assert store["topology"].count_documents({"channels_agree": None, "channels_difference": None}) == 5
    assert build(store, settings, ["topology"]) == {"topology": 0}
    build(store, settings, ["channels"], ions=["Na"])
    (plan,) = explain_builds(store, settings, ["topology"])
    assert plan.stale == {"input channels": 2}
    before = {row["_id"]: row["stamp"]["made_at"] for row in store["topology"].find()}
    assert build(store, settings, ["topology"]) == {"topology": 2}
    after = {row["_id"]: row["stamp"]["made_at"] for row in store["topology"].find()}
    assert {key for key in before if before[key] != after[key]} == {"halite/Na", "mixed/Na"}
    assert set(store["topology"].distinct("_id", {"channels_agree": True})) == {"halite/Na", "mixed/Na"}
    store["channels"].delete_one({"_id": "mixed/Na"})
    assert build(store, settings, ["topology"]) == {"topology": 1}
    assert store["topology"].find_one({"_id": "mixed/Na"})["channels_agree"] is None


def test_wrong_channels_are_found_out(store: Any, settings: Settings) -> None:
    build(store, settings, ["structures", "channels"])
    store["channels"].update_one({"_id": "olivine/Li"}, {"$inc": {"r1": 0.01}, "$set": {"hash": content_hash("wrong")}})
    build(store, settings, ["topology"])
    document = store["topology"].find_one({"_id": "olivine/Li"})
    assert document["channels_agree"] is False
    assert document["channels_difference"] == pytest.approx(0.01, abs=SAME)


def test_a_choice_of_ions_leaves_the_others(store: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    build(store, settings, ["structures"])
    assert build(store, settings, ["topology"], ions=["Na"]) == {"topology": 2}
    monkeypatch.setenv("IONATLAS_CHANNEL_IONS", "Na")
    from store.settings import load_settings

    chosen = load_settings()
    assert build(store, chosen, ["topology"]) == {"topology": 0}
    (plan,) = explain_builds(store, chosen, ["topology"], build_options(chosen))
    assert plan.orphaned == 0
    assert plan.remarks == ["topology: made for Na; that of other ions is kept"]
    monkeypatch.delenv("IONATLAS_CHANNEL_IONS")
    assert build(store, load_settings(), ["topology"]) == {"topology": 3}
    assert build(store, settings, ["topology"], materials={"olivine"}) == {"topology": 0}


def test_a_gone_structure_takes_its_topology_along(store: Any, settings: Settings) -> None:
    build(store, settings)
    store["structures"].delete_one({"_id": "mixed"})
    build(store, settings, ["topology"], allow_orphans=True)
    assert set(store["topology"].distinct("material")) == {"layered", "olivine", "halite"}


def test_other_parameters_make_everything_stale() -> None:
    usual = TopologyBuilder()
    assert TopologyBuilder(params={"groups": ("all",)}).params_hash != usual.params_hash
    assert usual.settings.groups == ("all", "ion", "anions", "cations", "framework")  # type: ignore[attr-defined]


def test_why_leads_to_structure_and_channels(store: Any, settings: Settings) -> None:
    build(store, settings)
    lineage = trace(Service(store, settings), "layered", "li_topology_ion_layers")
    (step,) = lineage.steps
    (topology,) = step.inputs
    assert (topology.collection, topology.id, topology.state) == ("topology", "layered/Li", "fresh")
    assert [(each.collection, each.id) for each in topology.inputs] == [
        ("structures", "layered"),
        ("channels", "layered/Li"),
    ]
