"""Channels on the real server: which pairs are made, what a choice of ions costs, what makes a document stale."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import bson
import pytest

from api.builds import explain_builds, matching_materials, run_builds
from api.service import Service
from api.work import build_options
from builders.channels import analysis, framework, thresholds
from builders.channels.builder import ChannelBuilder, default_threshold
from builders.channels.document import from_document
from builders.channels.pairs import ANION_CHARGES, ION_CHARGES, is_analysed, read_ions
from builders.engine.run import Options, in_order
from builders.engine.work import WorkItem, process
from builders.registry import BUILDERS, builder_class
from store.crystal import Crystal
from store.errors import GeometryError, UsageError
from store.ingest.ingest import ingest
from store.ion_fields import WORKING_IONS
from store.provenance import content_hash
from store.schema import migrate
from store.server import ServerInfo
from store.settings import Settings

from .channel_crystals import layered, record, rock_salt, rows

NAMES = ["structures", "channels", "candidates"]


def give(database: Any, folder: Path, crystals: dict[str, Any]) -> None:
    file = folder / "given.jsonl"
    file.write_text("".join(json.dumps(record(key, crystal)) + "\n" for key, crystal in crystals.items()))
    ingest(database, file, provider="test")


def build(database: Any, settings: Settings, names: list[str] | None = None, **options: Any) -> dict[str, int]:
    given = build_options(settings, workers=1, **options)
    runs = run_builds(database, settings, names or NAMES, given)
    assert [run.failed for run in runs] == [0] * len(runs), [run.reasons for run in runs]
    return {run.name: run.built for run in runs}


def todo(database: Any, settings: Settings, **options: Any) -> dict[str, int]:
    plans = explain_builds(database, settings, NAMES, build_options(settings, workers=1, **options))
    return {plan.name: plan.todo for plan in plans}


def keys(database: Any) -> set[str]:
    return set(database["channels"].distinct("_id"))


def made_at(database: Any) -> dict[str, Any]:
    return {row["_id"]: row["stamp"]["made_at"] for row in database["channels"].find({}, {"stamp.made_at": 1})}


@pytest.fixture
def store(database: Any, settings: Settings, tmp_path: Path) -> Any:
    migrate(database)
    few = {key: crystal for key, crystal in rows().items() if key in ("layered", "host", "halite", "mixed")}
    give(database, tmp_path, few)
    return database


@pytest.fixture(scope="module")
def whole(server: ServerInfo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """All crystals with the channels of all working ions, and F on request; tests read it and leave it as it is."""
    from store.connection import connect

    folder = tmp_path_factory.mktemp("channels")
    settings = Settings(home=folder, mongodb_uri=server.uri, database=f"test_{uuid.uuid4().hex[:16]}")
    database = connect(settings)
    migrate(database)
    give(database, folder, rows())
    build(database, settings)
    fluorites = matching_materials(database, 'elements HAS "F"')
    build(database, settings, ions=["F"])
    build(database, settings, insert=["Li"], materials=matching_materials(database, 'id = "host"'))
    assert fluorites == {"fluorite"}
    yield Service(database, settings)
    connect(settings).client.drop_database(settings.database)


# ------------------------------------------------------------------------------------------------ which pairs there are


def test_each_working_ion_beside_an_anion_has_a_document(whole: Service) -> None:
    usual = {"olivine/Li", "layered/Li", "halite/Na", "mixed/Li", "mixed/Na", "fluorite/Ca"}
    asked = {"fluorite/F", "host/Li"}
    assert keys(whole.database) == usual | asked


def test_alloys_and_what_holds_no_ion_have_none(whole: Service) -> None:
    assert whole.database["channels"].count_documents({"material": {"$in": ["alloy", "iron"]}}) == 0
    assert "working_ions" in whole.database["candidates"].find_one({"_id": "iron"})
    assert whole.database["candidates"].find_one({"_id": "alloy"})["working_ions"] is None


def test_a_document_holds_the_analysis_of_the_primitive_cell(whole: Service) -> None:
    document = whole.database["channels"].find_one({"_id": "layered/Li"})
    primitive = whole.database["structures"].find_one({"_id": "layered"})["primitive"]
    found = analysis.analyse(Crystal.from_document(primitive), "Li")
    row = thresholds.threshold("Li", "O")
    assert (document["material"], document["ion"], document["anion"]) == ("layered", "Li", "O")
    assert [document["r1"], document["r2"], document["r3"]] == pytest.approx(found.percolation.radii, abs=1e-6)
    assert document["r1"] == pytest.approx(1.73, abs=0.01)
    assert document["r1"] == pytest.approx(document["r2"], abs=1e-4)
    assert document["r3"] < 1.4
    assert (document["threshold"], document["channel_dimension"]) == (row.r_chan, 2)
    again = from_document(document)
    assert again.framework.n_sites == 3
    assert len(again.passages.r_chan) == document["n_channels"]


def test_documents_are_small(whole: Service) -> None:
    sizes = {each["_id"]: len(bson.encode(each)) for each in whole.database["channels"].find()}
    assert max(sizes.values()) < 10_000, sizes


def test_a_host_without_the_ion_is_told_as_one(whole: Service) -> None:
    document = whole.database["channels"].find_one({"_id": "host/Li"})
    assert document["insertion"]
    assert document["channel_dimension"] == 2
    candidate = whole.database["candidates"].find_one({"_id": "host"})
    assert candidate["li_channel_insertion"]
    assert candidate["working_ions"] == ["Li"]


@pytest.mark.parametrize(
    ("formula", "ion", "analysed"),
    [
        ("FeLiO4P", "Li", True),
        ("FeO4P", "Li", True),
        ("LiMg2", "Li", False),
        ("Li3Sb", "Li", True),
        ("C6Li", "Li", True),
        ("LaMg6Sb", "Mg", False),
        ("LiMg6Sb", "Li", False),
        ("Cs11O3", "Cs", False),
        ("AsCa2", "Ca", True),
        ("Ag9GaSe6", "Ag", True),
        ("Al14Ca12O33", "Ca", True),
        ("HLi", "Li", True),
        ("Li", "Li", False),
        ("AlCu", "Cu", False),
        ("CaF2", "F", True),
        ("F", "F", False),
        ("MgO", "O", True),
    ],
)
def test_an_ion_is_analysed_where_an_anion_can_be(formula: str, ion: str, analysed: bool) -> None:
    assert is_analysed(formula, ion) is analysed


def test_the_lists_of_anions_and_charges_are_the_kernels_own() -> None:
    assert set(framework._ANION_FORMERS) == set(ANION_CHARGES)
    assert set(ION_CHARGES) == set(WORKING_IONS)


def test_the_parameters_are_the_kernels_own() -> None:
    options, given = analysis.Options(), ChannelBuilder().settings
    assert {each.name for each in fields(options)} == {each.name for each in fields(given)} - {"thresholds"}
    for each in fields(options):
        assert getattr(given, each.name) == getattr(options, each.name)


def test_another_table_of_thresholds_makes_documents_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = ChannelBuilder().params_hash
    other = tmp_path / "thresholds.json"
    other.write_bytes(thresholds.DATA.read_bytes() + b"\n")
    monkeypatch.setattr(thresholds, "DATA", other)
    assert ChannelBuilder().params_hash != before


def test_channels_stand_between_structures_and_candidates() -> None:
    order = [builder.NAME for builder in in_order([builder_class(name) for name in BUILDERS])]
    assert list(BUILDERS)[0] == "structures"
    assert list(BUILDERS)[-1] == "candidates"
    assert order.index("structures") < order.index("channels") < order.index("candidates")


# ----------------------------------------------------------------------------------------------------- the choice of ions


def test_a_choice_of_ions_removes_nothing_and_makes_nothing_again(store: Any, settings: Settings) -> None:
    assert build(store, settings, ions=["Li"])["channels"] == 2
    assert keys(store) == {"layered/Li", "mixed/Li"}
    lithium = made_at(store)
    assert build(store, settings, ["channels"], ions=["Na"]) == {"channels": 2}
    assert keys(store) == {"layered/Li", "mixed/Li", "halite/Na", "mixed/Na"}
    assert lithium.items() <= made_at(store).items()
    assert build(store, settings, ["channels"], ions=["Li"]) == {"channels": 0}
    assert build(store, settings, ["channels"]) == {"channels": 0}
    assert len(keys(store)) == 4


def test_the_setting_chooses_the_ions_and_keeps_what_is_there(
    store: Any, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = settings.model_copy(update={"channel_ions": "Li"})
    assert build(store, few)["channels"] == 2
    build(store, settings)
    assert len(keys(store)) == 4
    give(store, tmp_path, {"halite": rock_salt("Na", "Cl", 5.9)})
    # Sodium is not chosen any more, but its document must not tell of a crystal that is gone.
    assert build(store, few)["channels"] == 1
    assert len(keys(store)) == 4
    monkeypatch.setenv("IONATLAS_CHANNEL_IONS", "K, Cs")
    assert ChannelBuilder().roles()[0].ions == ("K", "Cs")


def test_the_choice_is_no_parameter() -> None:
    hashes = {ChannelBuilder(selection=chosen).params_hash for chosen in ({}, {"ions": ("Li",)}, {"insert": ("Li",)})}
    assert len(hashes) == 1


def test_explain_tells_the_choice_and_the_cost(store: Any, settings: Settings) -> None:
    build(store, settings, ["structures"])
    (plan,) = explain_builds(store, settings, ["channels"], build_options(settings, ions=["Na"]))
    assert plan.missing == 2
    assert plan.remarks == ["channels: only those of Na are looked at", "channels to make: Na 2"]
    (plan,) = explain_builds(store, settings.model_copy(update={"channel_ions": "Na"}), ["channels"], Options())
    assert plan.remarks == ["channels to make: Li 2, Na 2"]
    few = build_options(settings.model_copy(update={"channel_ions": "Na"}))
    (plan,) = explain_builds(store, settings, ["channels"], few)
    assert plan.remarks[0] == "channels: made for Na (IONATLAS_CHANNEL_IONS); those of other ions are kept"


def test_explain_tells_how_long_many_documents_take() -> None:
    from builders.engine.plan import Plan

    plan = Plan(inputs=dict.fromkeys((f"m{i}/{ion}" for i in range(20_000) for ion in ("Li", "Na")), "h"))
    (told,) = ChannelBuilder().remarks(plan)
    assert told.startswith("channels to make: Li 20,000, Na 20,000, about ")
    assert "min on one core; --ion Li" in told


@pytest.mark.parametrize("given", [["Xx"], ["Fe"], [""], "H"])
def test_an_ion_that_cannot_be_chosen_is_told(given: Any) -> None:
    with pytest.raises(UsageError, match="Li Na K"):
        read_ions(given)


def test_ions_are_inserted_into_named_hosts_only(settings: Settings) -> None:
    with pytest.raises(UsageError, match="hosts that are named"):
        build_options(settings, insert=["Li"])


# ------------------------------------------------------------------------------------------------- what makes one stale


def test_only_the_changed_crystal_is_made_again(store: Any, settings: Settings, tmp_path: Path) -> None:
    build(store, settings)
    before = made_at(store)
    give(store, tmp_path, {"mixed": rock_salt("Na", "Cl", 5.9), "halite": rock_salt("Na", "Cl", 5.7)})
    # As far as the old formulas tell, three pairs may change; one of them will be gone.
    assert todo(store, settings) == {"structures": 2, "channels": 3, "candidates": 2}
    built = build(store, settings, allow_orphans=True)  # one of four documents goes, more than a fifth
    assert built == {"structures": 2, "channels": 2, "candidates": 2}
    # The ion that is gone from the crystal took its document along.
    assert keys(store) == {"layered/Li", "halite/Na", "mixed/Na"}
    after = made_at(store)
    assert {key for key in after if after[key] == before[key]} == {"layered/Li"}
    assert store["candidates"].find_one({"_id": "mixed"})["working_ions"] == ["Na"]


def test_an_inserted_ion_stays_asked_for(store: Any, settings: Settings, tmp_path: Path) -> None:
    build(store, settings)
    hosts = matching_materials(store, 'id = "host"')
    assert todo(store, settings, insert=["Li"], materials=hosts)["channels"] == 1
    assert build(store, settings, insert=["Li"], materials=hosts) == {"structures": 0, "channels": 1, "candidates": 1}
    assert todo(store, settings) == {"structures": 0, "channels": 0, "candidates": 0}
    # The host's crystal changes: the analysis follows without being asked for again.
    give(store, tmp_path, {"host": layered(None, "Ni")})
    assert build(store, settings)["channels"] == 1
    assert store["channels"].find_one({"_id": "host/Li"})["insertion"]
    # Now it holds the ion itself.
    give(store, tmp_path, {"host": layered("Li", "Ni")})
    assert build(store, settings)["channels"] == 1
    assert not store["channels"].find_one({"_id": "host/Li"})["insertion"]
    # And lost it again: nobody asked for that host.
    give(store, tmp_path, {"host": layered(None, "Mn")})
    assert build(store, settings, allow_orphans=True)["channels"] == 0
    assert "host/Li" not in keys(store)


def test_a_removed_record_takes_its_channels_along(store: Any, settings: Settings) -> None:
    build(store, settings)
    build(store, settings, insert=["Li"], materials={"host"})
    store["sources"].delete_one({"_id": "host"})
    run_builds(store, settings, NAMES, Options(workers=1, allow_orphans=True))
    assert keys(store) == {"layered/Li", "mixed/Li", "halite/Na", "mixed/Na"}


def test_changed_channels_make_just_their_candidate_stale(store: Any, settings: Settings) -> None:
    build(store, settings)
    store["channels"].update_one({"_id": "mixed/Na"}, {"$set": {"r1": 9.0, "hash": content_hash("another")}})
    plan = explain_builds(store, settings, ["candidates"])[0]
    assert plan.stale == {"input channels": 1}
    assert build(store, settings, ["candidates"]) == {"candidates": 1}
    assert store["candidates"].find_one({"_id": "mixed"})["na_channel_r1"] == 9.0


def test_channels_about_to_be_made_leave_their_candidates_pending(store: Any, settings: Settings) -> None:
    build(store, settings, ions=["Li"])
    plans = {plan.name: plan for plan in explain_builds(store, settings, NAMES)}
    assert plans["channels"].missing == 2
    assert plans["candidates"].pending == 2  # halite and mixed hold Na


def test_a_failure_is_recorded_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise GeometryError("the volumes do not add up")

    monkeypatch.setattr(analysis, "analyse", broken)
    cell = bson.encode({"primitive": Crystal.from_pymatgen(layered()).to_document()})
    (outcome,) = process(ChannelBuilder(), [WorkItem("layered/Li", "structures=h", {"structures": cell})])
    assert outcome.document is None
    assert outcome.error is not None
    assert (outcome.error["type"], outcome.error["message"]) == ("GeometryError", "the volumes do not add up")


def test_an_ion_without_a_threshold_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_threshold("Li", "O") == thresholds.threshold("Li", "O")
    assert default_threshold("He", "O") is None


# ------------------------------------------------------------------------------------------------------- in candidates


def test_a_candidate_holds_the_fields_of_its_ions_and_of_no_others(whole: Service) -> None:
    candidate = whole.database["candidates"].find_one({"_id": "mixed"})
    assert candidate["working_ions"] == ["Li", "Na"]
    held = {name.split("_")[0] for name in candidate if name.startswith(("li_", "na_", "k_", "f_", "cs_"))}
    assert held == {"li", "na"}
    for ion in ("Li", "Na"):
        document = whole.database["channels"].find_one({"_id": f"mixed/{ion}"})
        for field, path in {
            "channel_r1": "r1",
            "channel_r2": "r2",
            "channel_r3": "r3",
            "channel_dimension": "channel_dimension",
            "channel_threshold": "threshold",
            "channel_hops": "n_hops",
            "path_r1": "path_r1",
            "path_r_chan1": "path_r_chan1",
            "r_sd_min": "r_sd_min",
            "r_sd_max": "r_sd_max",
            "channel_insertion": "insertion",
        }.items():
            assert candidate.get(f"{ion.lower()}_{field}") == document[path], field
        assert candidate[f"{ion.lower()}_channel_flags"] == [flag["code"] for flag in document["channel_flags"]]


def test_channels_are_asked_for_with_everything_else(whole: Service) -> None:
    documents = {row["material"]: row for row in whole.database["channels"].find({"ion": "Li", "insertion": False})}
    wide = {key for key, row in documents.items() if row["r2"] >= row["threshold"]}
    assert {"layered"} <= wide < set(documents) | {"none"}
    found = whole.query('elements HAS "Li" AND li_channel_dimension >= 2 AND li_channel_r2 > 1', sort="-li_channel_r2")
    assert [row["id"] for row in found.rows] == sorted(wide, key=lambda key: -documents[key]["r2"])
    low = documents["layered"]["r2"] - 0.001
    assert "layered" in [row["id"] for row in whole.query(f"li_channel_r2 > {low}").rows]
    assert "layered" not in [row["id"] for row in whole.query(f"li_channel_r2 > {low + 0.002}").rows]
    unknown = whole.query("li_channel_r1 IS UNKNOWN", fields="id")
    assert {row["id"] for row in unknown.rows} == {"alloy", "fluorite", "halite", "iron"}
    assert [row["id"] for row in whole.query("li_channel_insertion = TRUE").rows] == ["host"]


def test_all_columns_leave_out_ions_that_no_row_has(whole: Service) -> None:
    found = whole.query('id = "halite"', fields="all")
    names = [field.name for field in found.fields]
    assert "na_channel_r1" in names
    assert not any(name.startswith("li_") for name in names)
    assert list(found.rows[0]) == names
    assert [field.name for field in whole.query(None, fields="id,na_channel_r?").fields] == [
        "id", "na_channel_r1", "na_channel_r2", "na_channel_r3",
    ]  # fmt: skip


def test_a_value_is_traced_through_the_channels_of_its_ion(whole: Service) -> None:
    lineage = whole.why("mixed", "na_channel_r1")
    (candidate,) = lineage.steps
    (channels,) = candidate.inputs
    (structure,) = channels.inputs
    assert (candidate.collection, candidate.state) == ("candidates", "fresh")
    assert (channels.collection, channels.id, channels.state) == ("channels", "mixed/Na", "fresh")
    assert (structure.collection, structure.id) == ("structures", "mixed")
    assert structure.inputs[0].collection == "sources"
    for material, field in (("host", "li_channel_r1"), ("fluorite", "f_channel_r1")):
        (step,) = whole.why(material, field).steps[0].inputs
        assert step.state == "fresh"


def test_show_collects_the_channels_and_their_failures(whole: Service) -> None:
    found = whole.show("mixed")
    assert [document["_id"] for document in found["channels"]] == ["mixed/Li", "mixed/Na"]
    assert all("arrays" not in document for document in found["channels"])
