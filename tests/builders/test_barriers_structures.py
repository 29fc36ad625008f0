"""Hops and the structures they belong to, on the real server: links, what makes a hop stale, where a value comes from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from api.builds import explain_builds
from api.service import Service
from api.work import build_options
from builders.barriers.builder import MOST, BarrierBuilder, Host, _sort_in, host_of
from builders.barriers.describe import NAMES
from builders.channels.document import from_document
from builders.engine.run import in_order
from builders.registry import BUILDERS, builder_class
from store.crystal import Crystal
from store.hops import HopRecord
from store.schema import migrate
from store.settings import Settings

from .barrier_hops import hop_row, octahedral_hop, supercell
from .barrier_store import (
    NAMES_OF,
    build,
    cobaltate,
    documents,
    give,
    hops,
    layout,
    structure,
    triphylite,
    vacancy,
)
from .prediction_models import Here


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work is done in this process, without workers that take a second to start."""
    monkeypatch.setattr("builders.engine.run.LocalPool", Here)


@pytest.fixture
def store(database: Any, settings: Settings, tmp_path: Path) -> Any:
    migrate(database)
    give(database, tmp_path, hops())
    return database


# --------------------------------------------------------------------------------------------------------------- links


def test_a_structure_that_comes_later_is_linked_and_only_its_hop_is_made_again(
    store: Any, settings: Settings, tmp_path: Path
) -> None:
    build(store, settings)
    before = documents(store)
    give(store, tmp_path, [structure("lfp", triphylite())])
    assert build(store, settings) == {"structures": (1, 0), "channels": (1, 0), "barriers": (1, 0)}
    after = documents(store)
    for key in ("layers", "dilute"):
        assert after[key] == before[key]
    linked = after["olivine-b"]
    assert linked["material"] == "lfp"
    (link,) = linked["materials"]
    assert link["material"] == "lfp"
    assert 0 < link["difference"] < 0.015
    hop = from_document(store["channels"].find_one({"_id": "lfp/Li"})).hops[link["hop"]]
    assert hop.p_length == pytest.approx(3.003, abs=0.01)
    assert {name: linked[name] for name in ("barrier", "study", "formula")} == {
        name: before["olivine-b"][name] for name in ("barrier", "study", "formula")
    }
    assert build(store, settings) == {"structures": (0, 0), "channels": (0, 0), "barriers": (0, 0)}


def test_of_structures_of_one_formula_the_right_one_is_linked(store: Any, settings: Settings, tmp_path: Path) -> None:
    """CoO2 layers, the host without lithium, and rutile CoO2; and the same crystal twice."""
    layers = cobaltate()
    kept = [k for k, symbol in enumerate(layers.species) if symbol != "Li"]
    host = Crystal.from_lists(layers.lattice, [layers.species[k] for k in kept], layers.frac_coords[kept])
    places = [
        [0, 0, 0],
        [0.5, 0.5, 0.5],
        [0.305, 0.305, 0],
        [0.695, 0.695, 0],
        [0.195, 0.805, 0.5],
        [0.805, 0.195, 0.5],
    ]
    rutile = Crystal.from_lists(np.diag([4.4, 4.4, 2.9]), ["Co"] * 2 + ["O"] * 4, places)
    give(
        store,
        tmp_path,
        [
            structure("b", layers),
            structure("a", supercell(layers, (1, 2, 1))),
            structure("host", host),
            structure("rutile", rutile),
        ],
    )
    build(store, settings)
    found = documents(store)
    assert [each["material"] for each in found["layers"]["materials"]] == ["a", "b", "host"]
    assert found["layers"]["material"] == "a"
    assert found["layers"]["materials"][0]["hop"] is not None
    assert found["layers"]["materials"][2]["hop"] is None  # no channels are built for a host without the ion
    assert found["olivine-b"]["materials"] == []


def test_without_channels_a_structure_is_linked_and_no_hop(store: Any, settings: Settings, tmp_path: Path) -> None:
    give(store, tmp_path, [structure("lfp", triphylite())])
    assert build(store, settings, ["structures", "barriers"])["barriers"] == (3, 2)
    assert documents(store)["olivine-b"]["materials"][0]["hop"] is None
    # Channels that come later give the hop its number.
    assert build(store, settings)["barriers"] == (1, 0)
    assert documents(store)["olivine-b"]["materials"][0]["hop"] == 0


def test_a_structure_that_goes_takes_its_link_along(store: Any, settings: Settings, tmp_path: Path) -> None:
    give(store, tmp_path, [structure("lfp", triphylite())])
    build(store, settings)
    store["sources"].delete_one({"_id": "lfp"})
    assert build(store, settings, allow_orphans=True)["barriers"] == (1, 0)
    assert documents(store)["olivine-b"]["material"] is None


def test_a_hop_that_goes_takes_its_document_along(store: Any, settings: Settings) -> None:
    build(store, settings)
    store["sources"].delete_one({"_id": "layers"})
    build(store, settings, allow_orphans=True)
    assert set(documents(store)) == {"olivine-b", "dilute"}


def test_a_changed_hop_alone_is_made_again(store: Any, settings: Settings, tmp_path: Path) -> None:
    build(store, settings)
    before = documents(store)
    rows = {row["id"]: row for row in hops()}
    salt = octahedral_hop(4.1)
    give(store, tmp_path, [rows["dilute"] | {"barrier_eV": 0.6}, hop_row("long", salt, barrier_eV=0.5)])
    plan = {each.name: each.todo for each in explain_builds(store, settings, NAMES_OF, build_options(settings))}
    assert plan["barriers"] == 2
    assert build(store, settings)["barriers"] == (2, 0)
    after = documents(store)
    assert after["dilute"]["barrier"] == 0.6
    assert after["layers"] == before["layers"]
    assert set(after) == {"olivine-b", "layers", "dilute", "long"}
    assert store["build_state"].count_documents({"builder": "barriers", "key": "long"}) == 0


def test_other_descriptors_make_all_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    before = BarrierBuilder().params_hash
    monkeypatch.setattr("builders.barriers.features.NAMES", NAMES[:-1])
    assert BarrierBuilder().params_hash != before


def test_explain_knows_which_hops_a_new_structure_may_change(store: Any, settings: Settings, tmp_path: Path) -> None:
    build(store, settings)
    give(store, tmp_path, [structure("lfp", triphylite())])
    build(store, settings, ["structures"])
    plans = {plan.name: plan for plan in explain_builds(store, settings, NAMES_OF, build_options(settings))}
    assert plans["channels"].missing == 1
    assert plans["barriers"].stale == {"input structures": 1}
    build(store, settings, ["structures", "barriers"])
    # Channels about to be made may give the hop its number.
    plans = {plan.name: plan for plan in explain_builds(store, settings, NAMES_OF, build_options(settings))}
    assert (plans["channels"].missing, plans["barriers"].pending, plans["barriers"].stale) == (1, 1, {})
    # A changed crystal of that formula: which hops it changes is known before it is built.
    build(store, settings)
    crystal = triphylite()
    give(
        store,
        tmp_path,
        [structure("lfp", Crystal.from_lists(crystal.lattice * 1.02, crystal.species, crystal.frac_coords))],
    )
    plans = {plan.name: plan for plan in explain_builds(store, settings, NAMES_OF, build_options(settings))}
    assert (plans["barriers"].pending, plans["barriers"].missing, plans["barriers"].stale) == (1, 0, {})


def test_barriers_stand_after_structures_and_channels() -> None:
    order = [builder.NAME for builder in in_order([builder_class(name) for name in BUILDERS])]
    assert order.index("structures") < order.index("channels") < order.index("barriers")


# ------------------------------------------------------------------------------------------------------------- lineage


def test_a_value_is_traced_to_the_record_and_the_structure(store: Any, settings: Settings, tmp_path: Path) -> None:
    give(store, tmp_path, [structure("lfp", triphylite())])
    build(store, settings)
    service = Service(store, settings)
    (step,) = service.why("olivine-b", "r_bottleneck").steps
    assert (step.collection, step.id, step.builder, step.state) == ("barriers", "olivine-b", "barriers", "fresh")
    assert [(each.collection, each.id) for each in step.inputs] == [
        ("sources", "olivine-b"), ("structures", "lfp"), ("channels", "lfp/Li"),
    ]  # fmt: skip
    assert {each.state for each in step.inputs} == {"given", "fresh"}
    (step,) = service.why("dilute", "r_bottleneck").steps
    assert step.state == "fresh"
    assert [(each.collection, each.id) for each in step.inputs] == [("sources", "dilute")]
    give(store, tmp_path, [hops()[2] | {"barrier_eV": 0.9}])
    assert service.why("dilute", "barrier").steps[0].state.startswith("stale")


def test_a_structure_of_the_formula_that_is_no_match_leaves_the_hop_fresh(
    store: Any, settings: Settings, tmp_path: Path
) -> None:
    other = Crystal.from_lists(
        np.diag([4.2, 4.6, 5.1]), ["Fe", "P", "O", "O", "O", "O"],
        [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.18], [0.5, 0.15, 0.6], [0.2, 0.7, 0.6], [0.85, 0.7, 0.6]],
    )  # fmt: skip
    give(store, tmp_path, [structure("other", other), structure("lfp", triphylite()), structure("salt", cobaltate())])
    build(store, settings)
    assert store["structures"].count_documents({}) == 3
    assert [each["material"] for each in documents(store)["olivine-b"]["materials"]] == ["lfp"]
    step = Service(store, settings).why("olivine-b", "r_bottleneck").steps[0]
    assert step.state == "fresh"
    # Both were compared, the one it was linked to stands first.
    assert [each.id for each in step.inputs if each.collection == "structures"] == ["lfp", "other"]


# ------------------------------------------------------------------------------------------------- what is looked up


def looked_up(change: Callable[[dict[str, Any]], None] | None = None, **more: Any) -> Any:
    row = hop_row("x", octahedral_hop(), **more)
    if change is not None:
        change(row)
    content = json.dumps(row).encode()
    return host_of(content.hex(), "hop-json", content)


def test_a_hop_is_looked_up_by_its_ion_and_its_framework() -> None:
    record = vacancy(triphylite(), 3.003, (1, 2, 1))
    content = json.dumps(hop_row("x", record)).encode()
    host = host_of("olivine", "hop-json", content)
    assert host is not None
    assert (host.ion, dict(host.framework)) == ("Li", {"Fe": 1, "P": 1, "O": 4})
    assert host_of("broken", "hop-json", b"{}") is None
    found = looked_up()
    assert (found.ion, found.framework) == ("Li", (("F", 1),))


def test_a_disordered_host_is_looked_up_by_its_true_composition(
    database: Any, settings: Settings, tmp_path: Path
) -> None:
    """(Fe0.75Mn0.25)O in a cell of one formula unit: rounded it would be FeO, and linked to that."""

    def salt(metal: dict[str, float], lithium: bool) -> Crystal:
        sites: list[dict[str, float]] = [metal, {"O": 1.0}, {"O": 1.0}]
        places = [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.0]]
        if lithium:
            sites.append({"Li": 1.0})
            places.append([0.0, 0.5, 0.5])
        return Crystal.from_sites(np.diag([4.2, 4.1, 4.3]), sites, places)

    mixed = {"Fe": 0.75, "Mn": 0.25}
    host = salt(mixed, lithium=False)
    record = HopRecord("Li", host, np.array([0.0, 0.5, 0.5]), np.array([0.5, 0.0, 0.5]))
    migrate(database)
    give(
        database,
        tmp_path,
        [
            hop_row("alloyed", record, barrier_eV=0.4) | {"structure": layout(host)},
            structure("pure", salt({"Fe": 1.0}, lithium=True)),
            structure("mixed", salt(mixed, lithium=True)),
        ],
    )
    built = build(database, settings)
    assert built["structures"] == (2, 0)
    assert built["barriers"] == (1, 0)
    assert [each["material"] for each in documents(database)["alloyed"]["materials"]] == ["mixed"]


def test_only_so_many_structures_are_compared() -> None:
    """A formula with hundreds of polymorphs does not make a hop cost hundreds of comparisons."""
    host = Host("Li", (("O", 2), ("Ti", 1)))
    rows = [(f"m{number:04d}", "LiO4Ti2" if number % 2 else "O2Ti") for number in range(3 * MOST)]
    rows += [("other", "LiO2Zr"), ("metal", "Li"), ("more", "LiNaO2Ti")]
    found = _sort_in(iter(rows), {host})
    assert found == {host: [f"m{number:04d}" for number in range(MOST)]}
