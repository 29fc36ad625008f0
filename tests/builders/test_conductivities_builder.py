"""Conductivities on the real server: normalised, linked to structures and to each other; what makes one stale."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.builds import explain_builds, run_builds
from api.cli.main import app
from api.lineage import trace
from api.service import Service
from api.work import build_options
from builders.conductivities.document import Known, Repeat, read_crystal, spread, to_document
from builders.conductivities.lookup import SAME, compound, members_of, repeats
from builders.engine.run import in_order
from builders.registry import BUILDERS, builder_class
from store.conductivities import ConductivityRecord
from store.crystal import Crystal
from store.ingest.ingest import ingest
from store.provenance import content_hash
from store.schema import migrate
from store.settings import Settings

from .channel_crystals import layered, record, rows

NAMES = ["structures", "conductivities"]


def measured(key: str, formula: str, value: Any = -4.0, **more: Any) -> dict[str, Any]:
    """A row as conductivity.jsonl.gz has them."""
    return {"id": key, "source": "mine", "formula": formula, "working_ion": "Li", "log10_sigma": value, "temperature_K": 298.15, "structure": None, **more}  # fmt: skip


def sites(structure: Any, shift: float = 0.0) -> dict[str, Any]:
    """The structure of a row: lattice, and sites with occupancies."""
    crystal = Crystal.from_pymatgen(structure)
    places = [[x + shift, y, z] for x, y, z in crystal.frac_coords.tolist()]
    parts = [
        {"species": {symbol: 1.0}, "frac_coords": place} for symbol, place in zip(crystal.species, places, strict=True)
    ]
    return {"lattice": crystal.lattice.tolist(), "sites": parts}


def give(database: Any, folder: Path, *values: dict[str, Any]) -> None:
    file = folder / "given.jsonl"
    file.write_text("".join(json.dumps(each, separators=(",", ":")) + "\n" for each in values))
    ingest(database, file)


def build(
    database: Any, settings: Settings, names: list[str] | None = None, failed: int = 0, **options: Any
) -> dict[str, int]:
    runs = run_builds(database, settings, names or NAMES, build_options(settings, workers=1, **options))
    assert sum(run.failed for run in runs) == failed, [run.reasons for run in runs]
    return {run.name: run.built for run in runs}


def document(database: Any, key: str) -> dict[str, Any]:
    found = database["conductivities"].find_one({"_id": key})
    assert found is not None
    return dict(found)


@pytest.fixture
def store(database: Any, settings: Settings, tmp_path: Path) -> Any:
    migrate(database)
    few = {key: each for key, each in rows().items() if key in ("layered", "olivine", "halite")}
    give(
        database,
        tmp_path,
        *(record(key, each) for key, each in few.items()),
        measured("own", "LiCoO2", -6.0, structure=sites(layered(), 0.25), family="layered"),
        measured("formula", "Li2Co2O4", -7.0),
        measured("group", "LiFePO4", None, sigma_S_cm="<1E-10", space_group_number=62),
        measured("hot", "LiFePO4", -3.0, temperature_K=600.0),
        measured("alone", "Li6.4La3Zr1.4Ta0.6O12", -3.2),
    )
    return database


# --------------------------------------------------------------------------------------------------------------- kernels


def test_compositions_are_the_same_within_the_rounding_of_formulas() -> None:
    garnet = compound("Li", {"Li": 6.4, "La": 3, "Zr": 1.4, "Ta": 0.6, "O": 12})
    found = members_of([("a", "La15Li32O60Ta3Zr7"), ("b", "La3Li7O12Ta2Zr2"), ("c", "La3Li6O12Zr2")], [garnet])
    assert found == {garnet: ["a"]}
    near, far = ({"Li": 6.4 + extra, "La": 3, "Zr": 1.4, "Ta": 0.6, "O": 12} for extra in (0.005, 0.1))
    linked = repeats({"x": garnet, "y": compound("Li", near), "z": compound("Li", far), "n": compound("Na", near)})
    assert linked == {"x": ["y"], "y": ["x"], "z": [], "n": []}
    assert 0.005 / 23.4 < SAME < 0.1 / 23.4


def test_the_spread_leaves_out_bounds_and_other_temperatures() -> None:
    mine = ConductivityRecord("LiF", {"Li": 1, "F": 1}, log10_sigma=-5.0, temperature=300.0)
    others = [
        Repeat("a", -6.0, 305.0, None),
        Repeat("b", -9.0, 300.0, "upper_bound"),
        Repeat("c", -1.0, 311.0, None),
        Repeat("d", None, 300.0, None),
        Repeat("e", -2.0, None, None),
    ]
    assert spread(mine, others) == pytest.approx(statistics.stdev([-5.0, -6.0]))
    assert spread(mine, others[1:]) is None
    assert spread(ConductivityRecord("LiF", {"Li": 1}, log10_sigma=-5.0), others) is None


def test_links_are_ordered_by_what_they_have_in_common() -> None:
    mine = ConductivityRecord("LiCoO2", {"Li": 1, "Co": 1, "O": 2}, crystal=Crystal.from_pymatgen(layered()))
    own = to_document(mine)["structure_hash"]
    known = [Known("a", "0" * 32, 12), Known("b", "0" * 32, 166), Known("c", own, 166)]
    links = to_document(mine, known)["materials"]
    assert links == [
        {"material": "c", "by": "structure"},
        {"material": "b", "by": "space group"},
        {"material": "a", "by": "formula"},
    ]


def test_an_impossible_structure_is_told_and_the_measurement_stays() -> None:
    twice = Crystal.from_lists(
        [[4, 0, 0], [0, 4, 0], [0, 0, 4]], ["Li", "F", "F"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.5]]
    )
    made = to_document(ConductivityRecord("LiF2", {"Li": 1, "F": 2}, crystal=twice, log10_sigma=-3.0))
    assert made["structure"] is None
    assert made["log10_sigma"] == -3.0
    assert made["warnings"][0].startswith("structure_impossible: CoincidentAtoms")


# --------------------------------------------------------------------------------------------------------------- builder


def test_conductivities_come_after_structures() -> None:
    order = [builder.NAME for builder in in_order([builder_class(name) for name in BUILDERS])]
    assert order.index("structures") < order.index("conductivities")


def test_each_record_becomes_a_document_linked_to_structures_and_repeats(store: Any, settings: Settings) -> None:
    assert build(store, settings) == {"structures": 3, "conductivities": 5}
    own, formula = document(store, "own"), document(store, "formula")
    assert own["materials"] == [{"material": "layered", "by": "structure"}]
    assert formula["materials"] == [{"material": "layered", "by": "formula"}]
    assert own["structure_hash"] == store["structures"].find_one({"_id": "layered"})["structure_hash"]
    assert own["chemical_formula_reduced"] == formula["chemical_formula_reduced"] == "CoLiO2"
    assert (formula["formula"], formula["formula_given"]) == ("LiCoO2", "Li2Co2O4")
    assert (own["repeats"], formula["repeats"]) == (["formula"], ["own"])
    assert own["repeat_spread"] == pytest.approx(statistics.stdev([-6.0, -7.0]))
    assert (own["family"], own["provider"], own["is_ordered"]) == ("layered", "mine", True)
    crystal = read_crystal(own)
    assert crystal is not None
    assert crystal.n_sites == 12
    assert (crystal.frac_coords < 1).all()
    group, hot = document(store, "group"), document(store, "hot")
    assert group["materials"] == [{"material": "olivine", "by": "space group"}]
    assert (group["log10_sigma"], group["censored"]) == (-10.0, "upper_bound")
    assert (group["at_room_temperature"], hot["at_room_temperature"]) == (True, False)
    assert group["repeats"] == ["hot"]
    assert group["repeat_spread"] is None
    alone = document(store, "alone")
    assert (alone["materials"], alone["repeats"], alone["structure"], alone["material"]) == ([], [], None, None)
    assert store["structures"].count_documents({}) == 3


def test_nothing_new_builds_nothing_and_a_new_structure_just_its_records(
    store: Any, settings: Settings, tmp_path: Path
) -> None:
    build(store, settings)
    assert build(store, settings) == {"structures": 0, "conductivities": 0}
    give(store, tmp_path, record("second", layered()))
    assert build(store, settings, ["structures"]) == {"structures": 1}
    (plan,) = explain_builds(store, settings, ["conductivities"])
    assert plan.stale == {"input structures": 2}
    assert build(store, settings) == {"structures": 0, "conductivities": 2}
    assert [each["material"] for each in document(store, "own")["materials"]] == ["layered", "second"]
    store["structures"].delete_one({"_id": "second"})
    assert build(store, settings, ["conductivities"]) == {"conductivities": 2}
    assert [each["material"] for each in document(store, "own")["materials"]] == ["layered"]


def test_a_new_repeat_makes_just_its_kin_stale(store: Any, settings: Settings, tmp_path: Path) -> None:
    build(store, settings)
    give(store, tmp_path, measured("third", "CoLiO2", -8.0))
    (plan,) = explain_builds(store, settings, ["conductivities"])
    assert (plan.missing, plan.stale) == (1, {"input repeats": 2})
    build(store, settings)
    assert document(store, "own")["repeats"] == ["formula", "third"]
    assert document(store, "own")["repeat_spread"] == pytest.approx(statistics.stdev([-6.0, -7.0, -8.0]))


def test_a_record_that_cannot_be_read_fails_alone_and_is_mended(store: Any, settings: Settings, tmp_path: Path) -> None:
    give(store, tmp_path, measured("bad", "Li1-xCoO2"), measured("worse", "LiF", -1, sigma_S_cm=5.0))
    assert build(store, settings, failed=2)["conductivities"] == 5
    told = {row["key"]: row["error"]["message"] for row in store["build_state"].find({"builder": "conductivities"})}
    assert "cannot be read from '-x" in told["bad"]
    assert "two conductivities" in told["worse"]
    give(store, tmp_path, measured("bad", "Li0.5CoO2"), measured("worse", "LiF", -1, sigma_S_cm=0.1))
    assert build(store, settings)["conductivities"] == 2
    assert store["build_state"].count_documents({}) == 0


def test_a_gone_record_takes_its_document_and_its_link_along(store: Any, settings: Settings) -> None:
    build(store, settings)
    store["sources"].delete_one({"_id": "formula"})
    build(store, settings, ["conductivities"], allow_orphans=True)
    assert store["conductivities"].find_one({"_id": "formula"}) is None
    assert document(store, "own")["repeats"] == []


def test_only_what_belongs_to_some_structures(store: Any, settings: Settings) -> None:
    build(store, settings)
    store["conductivities"].update_many({}, {"$set": {"recipe": "0|x|y"}})
    assert build(store, settings, ["conductivities"], materials={"olivine", "own"}) == {"conductivities": 1}


def test_show_and_why_know_them(store: Any, settings: Settings) -> None:
    build(store, settings)
    service = Service(store, settings)
    assert [each["_id"] for each in service.show("layered")["conductivities"]] == ["formula", "own"]
    lines = CliRunner().invoke(app, ["show", "layered"]).stdout
    assert "log10(S/cm) -6.00 at 298 K (own, the same crystal)" in lines
    mine = CliRunner().invoke(app, ["show", "group"]).stdout
    assert "LiFePO4: log10(S/cm) below -10.00 at 298 K; others of this composition: 1; in the store: olivine" in mine
    (step,) = trace(service, "own", "log10_sigma").steps
    assert (step.collection, step.state) == ("conductivities", "fresh")
    assert [(each.collection, each.id) for each in step.inputs] == [
        ("sources", "own"),
        ("structures", "layered"),
        ("sources", "formula"),
    ]


def test_the_server_refuses_what_is_no_conductivity(store: Any, settings: Settings) -> None:
    from pymongo.errors import WriteError

    build(store, settings)
    for change in ({"censored": "about"}, {"temperature": -1.0}, {"materials": [{"material": "x", "by": "guess"}]}):
        with pytest.raises(WriteError, match="validation"):
            store["conductivities"].update_one({"_id": "own"}, {"$set": change})


@pytest.mark.data
def test_the_real_file(database: Any, settings: Settings, data_folder: Path) -> None:
    migrate(database)
    ingest(database, data_folder / "ionic" / "conductivity.jsonl.gz")
    assert build(database, settings) == {"structures": 0, "conductivities": 1298}
    found = list(database["conductivities"].find({}, {"structure": 0}))
    assert sum(each["censored"] == "upper_bound" for each in found) == 29
    assert database["conductivities"].count_documents({"structure": {"$ne": None}}) == 254
    assert not [warning for each in found for warning in each["warnings"] if warning.startswith("structure_impossible")]
    by_formula = defaultdict(list)
    for each in found:
        if each["_id"].startswith("obelix"):
            by_formula[each["chemical_formula_reduced"]].append(each["_id"])
    linked = {each["_id"]: set(each["repeats"]) for each in found}
    for keys in by_formula.values():  # records of one written formula are repeats; rounding may add some
        assert all(set(keys) - {key} <= linked[key] for key in keys)
    assert all(key in linked[other] for key, others in linked.items() for other in others)
    hashes = {content_hash(each["hash"]) for each in found}
    assert len(hashes) == len(found)
