"""Structure vectors on the real server, and the order parameters of CrystalNN."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from api.builds import run_builds
from api.work import build_options
from builders.embeddings.structure import order_parameters as crystal_nn
from builders.embeddings.structure.builder import OrderParameterBuilder, StructureFingerprintBuilder
from builders.embeddings.structure.fingerprint import fingerprint
from builders.embeddings.structure.order_parameters import order_parameters, site_statistics
from builders.engine.run import Options, RunSummary, Session, plan_builder, run_builder
from store.crystal import Crystal
from store.errors import FeatureError
from store.ingest.ingest import ingest
from store.schema import migrate
from store.settings import Settings

ROCK_SALT = {
    "lattice": [[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]],
    "species": ["Na", "Cl"],
    "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]],
}
CAESIUM_CHLORIDE = {
    "lattice": [[4.12, 0, 0], [0, 4.12, 0], [0, 0, 4.12]],
    "species": ["Cs", "Cl"],
    "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]],
}


def build(database: Any, builder: Any) -> RunSummary:
    with Session(database, Options(workers=1)) as session:
        return run_builder(builder, session)


@pytest.fixture
def structures(database: Any, settings: Settings, tmp_path: Path) -> Any:
    migrate(database)
    file = tmp_path / "given.jsonl"
    records = [
        {"id": name, "formula": "x", "structure": kept}
        for name, kept in (("salt", ROCK_SALT), ("cs", CAESIUM_CHLORIDE))
    ]
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    ingest(database, file, provider="test")
    run_builds(database, settings, ["structures"], build_options(settings, workers=1))
    return database


def test_the_vector_of_a_structure_is_stored_once(structures: Any) -> None:
    summary = build(structures, StructureFingerprintBuilder())
    assert (summary.built, summary.failed) == (2, 0), summary.reasons
    kept = structures["embeddings"].find_one({"model": "structure-distances", "material": "salt"})
    assert kept["_id"] == "structure-distances/salt"
    assert kept["dimension"] == 198
    expected = fingerprint(Crystal.from_document(ROCK_SALT)).vector()
    np.testing.assert_allclose(np.frombuffer(kept["vector"], "<f4"), expected, atol=1e-5)
    again = build(structures, StructureFingerprintBuilder())
    assert (again.built, again.unchanged) == (0, 2)


def test_a_new_version_of_the_model_makes_vectors_stale(structures: Any) -> None:
    build(structures, StructureFingerprintBuilder())
    other = StructureFingerprintBuilder(params={"model": "structure-distances/0"})
    with Session(structures, Options(workers=1)) as session:
        assert set(plan_builder(other, session).stale) == {"parameters"}


def test_order_parameters_are_a_model_of_their_own(structures: Any) -> None:
    build(structures, StructureFingerprintBuilder())
    summary = build(structures, OrderParameterBuilder())
    assert (summary.built, summary.failed) == (2, 0), summary.reasons
    assert structures["embeddings"].count_documents({}) == 4
    kept = structures["embeddings"].find_one({"_id": "crystalnn-order-parameters/salt"})
    assert kept["dimension"] == 244


def test_rock_salt_is_octahedral() -> None:
    values = order_parameters(Crystal.from_document(ROCK_SALT)).reshape(61, 4)
    assert values.shape == (61, 4)
    np.testing.assert_allclose(values[:, 1], 0, atol=1e-6)
    names = crystal_nn.names()
    assert values[names.index("wt CN_6"), 0] == pytest.approx(1, abs=1e-3)
    assert values[names.index("octahedral CN_6"), 0] == pytest.approx(1, abs=1e-2)


@pytest.mark.slow  # importing emmet-core takes most of it
def test_emmets_order_parameters_of_all_sites_are_the_same() -> None:
    featurizers = pytest.importorskip("emmet.core.featurization.featurizers")
    places = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    crystal = Crystal.from_lists(4 * np.diag([1, 1, 1.1]), ["Ba", "Ti", "O", "O", "O"], places)
    site = featurizers.CrystalNNFingerprint.from_preset("ops", distance_cutoffs=None, x_diff_weight=0)
    every = featurizers.SiteStatsFingerprint(site_featurizer=site, stats=list(crystal_nn.STATISTICS))
    expected = every.featurize(crystal.to_pymatgen())
    np.testing.assert_allclose(order_parameters(crystal), expected, atol=2e-3)


def test_statistics_count_the_sites_of_an_orbit() -> None:
    rng = np.random.default_rng(0)
    values, counts = rng.uniform(size=(3, 5)), np.array([4, 1, 2])
    every = np.repeat(values, counts, axis=0)
    expected = np.stack([every.mean(0), every.std(0), every.min(0), every.max(0)], axis=1).ravel()
    np.testing.assert_allclose(site_statistics(values, counts), expected, rtol=1e-5)


def test_partial_occupancy_is_refused() -> None:
    half = Crystal.from_sites(3 * np.eye(3), [{"Li": 0.5}], [[0, 0, 0]])
    with pytest.raises(FeatureError, match="partially occupied"):
        order_parameters(half)
