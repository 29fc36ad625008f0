"""Barriers on the real server: what a hop's document holds, and what becomes of hops that cannot be described."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bson
import numpy as np
import pytest

from builders.barriers.describe import NAMES, STUDY, describe
from builders.barriers.document import is_dft, read_features
from builders.barriers.environment import of_record
from store.arrays import unpack
from store.barrier_documents import BarriersDocument
from store.errors import SourceError
from store.ingest.readers import read_hop
from store.schema import json_schema, migrate
from store.settings import Settings

from .barrier_store import build, documents, give, hops
from .prediction_models import Here


@pytest.fixture(autouse=True)
def here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work is done in this process; the first test leaves it to a worker, as users do."""
    if request.node.name != "test_hops_become_documents_and_broken_ones_reasons":
        monkeypatch.setattr("builders.engine.run.LocalPool", Here)


@pytest.fixture
def store(database: Any, settings: Settings, tmp_path: Path) -> Any:
    migrate(database)
    give(database, tmp_path, hops())
    return database


# ------------------------------------------------------------------------------------------------------- the documents


def test_hops_become_documents_and_broken_ones_reasons(store: Any, settings: Settings) -> None:
    assert build(store, settings)["barriers"] == (3, 2)
    found = documents(store)
    assert set(found) == {"olivine-b", "layers", "dilute"}
    reasons = {row["key"]: row["error"] for row in store["build_state"].find({"builder": "barriers"})}
    assert {key: error["type"] for key, error in reasons.items()} == {"long": "FeatureError", "nowhere": "SourceError"}
    assert "Å long" in reasons["long"]["message"]
    assert "ends where it starts" in reasons["nowhere"]["message"]
    # Nothing changed: nothing is done, and what failed is left alone.
    assert build(store, settings)["barriers"] == (0, 0)
    assert build(store, settings, retry_failed=True)["barriers"] == (0, 2)


def test_a_document_says_what_was_given(store: Any, settings: Settings) -> None:
    build(store, settings)
    found = documents(store)
    olivine, layers, dilute = found["olivine-b"], found["layers"], found["dilute"]
    expected = {
        "name": "LiFePO4", "working_ion": "Li", "formula": "Li15Fe16(PO4)16", "framework_formula": "FePO4",
        "crystal_class": "OLIVINE", "space_group": "Pnma", "nsites": 16 * 7 - 1, "other_ions": 14, "barrier": 0.27,
        "barrier_definition": "forward", "method": "DFT-NEB", "functional": "GGA+U", "charge_state": None,
        "limit": "vacancy", "material": None, "materials": [], "images_kind": "relaxed", "dft": True, "flags": ["odd"],
        "properties": {"colour": "grey", "source": "ours"}, "provider": "ours", "licence": "CC0-1.0",
    }  # fmt: skip
    assert {name: olivine[name] for name in expected} == expected
    assert any("10.1234/olivine" in each for each in olivine["references"])
    assert len(set(olivine["references"])) == len(olivine["references"])
    assert (layers["barrier_definition"], layers["dft"]) == ("unstated", False)
    assert (layers["framework_formula"], layers["other_ions"]) == ("CoO2", 25)
    assert (dilute["barrier"], dilute["barrier_definition"], dilute["dft"]) == (None, None, False)
    assert (dilute["formula"], dilute["framework_formula"], dilute["nsites"]) == ("LiF4", "F2", 5)
    for document in found.values():
        assert len(bson.encode(document)) < 20_000
        assert document["stamp"]["builder"] == "barriers"


def test_a_document_holds_the_descriptors_and_the_way(store: Any, settings: Settings) -> None:
    build(store, settings)
    for row in store["sources"].find({"_id": {"$in": ["olivine-b", "layers", "dilute"]}}):
        record = read_hop(row["format"], row["content"])
        document = store["barriers"].find_one({"_id": row["_id"]})
        values = read_features(document)
        np.testing.assert_allclose(values, describe(of_record(record)), rtol=1e-6)
        value = dict(zip(NAMES, values, strict=True))
        assert document["study"] == pytest.approx({name: value[name] for name in STUDY})
        assert document["r_bottleneck"] == pytest.approx(value["r_bottleneck"])
        assert document["p_length"] == pytest.approx(record.length, abs=1e-4)
        route = unpack(document["route"])
        for places in (route["voids"], route["way"]):
            ends = (places[[0, -1]] - [record.start, record.end]) @ record.host.lattice
            assert np.linalg.norm(ends, axis=1).max() < 0.6  # the ends' voids; the way begins at the ends themselves
        assert np.linalg.norm((route["way"][[0, -1]] - [record.start, record.end]) @ record.host.lattice) < 1e-3
        assert len(route["r_chan"]) == len(route["r_open"]) == len(route["voids"]) - 1
        assert route["r_open"].min() == pytest.approx(document["r_bottleneck"], abs=1e-4)
        assert len(route["way_energy"]) == len(route["way"])
        host = unpack(document["host"])
        assert host["lattice"] == pytest.approx(record.host.lattice)
        assert host["frac_coords"] == pytest.approx(record.host.frac_coords)
        assert tuple(document["host_kinds"][kind] for kind in host["kinds"]) == record.host.species
        assert host["start"] == pytest.approx(record.start)
        assert host["end"] == pytest.approx(record.end)
        assert ("energies" in host) is (row["_id"] == "olivine-b")


def test_documents_keep_to_the_schema(store: Any, settings: Settings) -> None:
    """The server refuses what breaks it, and nothing that was built does."""
    build(store, settings)
    (info,) = store.list_collections(filter={"name": "barriers"})
    assert info["options"]["validator"] == {"$jsonSchema": json_schema(BarriersDocument)}
    assert store["barriers"].count_documents({"$jsonSchema": json_schema(BarriersDocument)}) == 3
    for change in ({"barrier_definition": "a guess"}, {"nsites": 0}, {"dft": None}, {"working_ion": 3}, {"more": 1}):
        with pytest.raises(Exception, match="failed validation"):
            store["barriers"].update_one({"_id": "dilute"}, {"$set": change})


def test_descriptors_of_another_version_are_refused(
    store: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(store, settings)
    document = documents(store)["dilute"]
    monkeypatch.setattr("builders.barriers.document.NAMES", NAMES[:-1])
    with pytest.raises(SourceError, match="ionatlas build barriers"):
        read_features(document)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("DFT-NEB", True),
        ("DFT-CI-NEB", True),
        ("VASP NEB", True),
        ("MLIP-NEB (CHGNet 0.4.2)", False),
        ("ApproxNEB", False),
        (None, False),
    ],
)
def test_only_what_density_functional_theory_computed_is_dft(method: str | None, expected: bool) -> None:
    assert is_dft(method) is expected
