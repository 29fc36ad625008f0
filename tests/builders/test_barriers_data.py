"""The hops of the literature: every one is described, and the model that ships knows them."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from builders.barriers.describe import FEATURES, NAMES, describe
from builders.barriers.environment import of_record
from builders.barriers.study import describe_study
from builders.migration.members import USED
from builders.migration.model import load_model
from store.hops import HopRecord
from store.ingest.readers import read_hop

from .barrier_hops import reverse

pytestmark = pytest.mark.data


class Hops(NamedTuple):
    records: list[HopRecord]
    features: np.ndarray
    barrier: np.ndarray

    @property
    def ions(self) -> list[str]:
        return [record.working_ion for record in self.records]

    @property
    def sound(self) -> np.ndarray:
        """Those that the model was trained on."""
        return np.array(["host_sites_overlap" not in record.flags for record in self.records])


@pytest.fixture(scope="module")
def hops(data_folder: Path) -> Hops:
    file = data_folder / "ionic" / "barriers.jsonl.gz"
    if not file.is_file():
        pytest.skip(f"{file} is absent")
    with gzip.open(file) as stream:
        records = [read_hop("hop-json", line) for line in stream]
    features = np.array([describe(of_record(record), study=False) for record in records])
    return Hops(records, features, np.array([record.barrier for record in records]))


def test_every_hop_is_described(hops: Hops) -> None:
    assert hops.features.shape == (560, len(NAMES))
    used = hops.features[:, [NAMES.index(name) for name in USED]]
    known = np.isfinite(used)
    # What is told of cations is unknown in a framework of anions alone; nothing else is.
    gaps = {USED[k] for k in np.flatnonzero(~known.all(axis=0))}
    assert gaps <= {feature.name for feature in FEATURES if feature.name.startswith("cation_")}
    assert known.mean() > 0.99
    spread = np.nanstd(used, axis=0)
    assert (spread > 1e-6).all(), [USED[k] for k in np.flatnonzero(spread <= 1e-6)]


def test_lengths_are_those_of_the_records(hops: Hops) -> None:
    lengths = np.array([record.length for record in hops.records])
    assert hops.features[:, NAMES.index("p_length")] == pytest.approx(lengths, abs=1e-3)
    assert (hops.features[:, NAMES.index("path_length")] >= lengths - 1e-3).all()
    assert (hops.features[:, NAMES.index("neck")] + 1e-3 >= hops.features[:, NAMES.index("neck_all")]).all()
    dilute = [float(record.working_ion not in record.host.amounts()) for record in hops.records]
    assert hops.features[:, NAMES.index("dilute")].tolist() == dilute


def test_every_hop_has_the_studys_six(hops: Hops) -> None:
    for record in hops.records:
        six = describe_study(of_record(record))
        assert all(np.isfinite(value) and value > 0 for value in six.values()), record.id
        if "host_sites_overlap" not in record.flags:
            assert 0.5 < six["r_sd"] < 3.5, record.id


def test_predictions_are_near_what_was_learned_and_never_negative(hops: Hops) -> None:
    found = load_model().predict(hops.features, hops.ions)
    for each in (found.value, found.lower, found.upper):
        assert np.isfinite(each).all()
        assert (each >= 0).all()
    assert (found.lower <= found.value).all()
    assert (found.value <= found.upper).all()
    error = np.abs(found.value - hops.barrier)[hops.sound]
    truth = hops.barrier[hops.sound]
    constant = np.abs(truth - np.median(truth))
    assert error.mean() < 0.3 * constant.mean()
    assert np.corrcoef(found.value[hops.sound], truth)[0, 1] > 0.9
    assert found.in_domain[hops.sound].mean() > 0.9
    inside = (truth >= found.lower[hops.sound]) & (truth <= found.upper[hops.sound])
    assert inside.mean() > 0.95


def test_the_card_counts_these_hops(hops: Hops) -> None:
    data = load_model().card["data"]
    assert data["hops"] == hops.sound.sum() == 557
    truth = hops.barrier[hops.sound]
    assert data["barrier_range"] == pytest.approx([truth.min(), truth.max()])
    assert data["barrier_median"] == pytest.approx(np.median(truth))
    ions = [ion for ion, kept in zip(hops.ions, hops.sound, strict=True) if kept]
    assert data["ions"] == {ion: ions.count(ion) for ion in set(ions)}


def test_the_shipped_scaler_is_that_of_these_descriptors(hops: Hops) -> None:
    """Weights that were trained on other descriptors would be silently wrong."""
    model = load_model()
    used = hops.features[hops.sound][:, [NAMES.index(name) for name in USED]]
    for k, name in enumerate(USED):
        column = used[:, k][np.isfinite(used[:, k])]
        assert np.median(column) == pytest.approx(model.median[k], rel=1e-3, abs=1e-3 * model.scale[k]), name
        assert column.min() == pytest.approx(model.domain.low[k], rel=1e-3, abs=0.01 * model.scale[k]), name
        assert column.max() == pytest.approx(model.domain.high[k], rel=1e-3, abs=0.01 * model.scale[k]), name


def test_the_hop_back_is_predicted_alike(hops: Hops) -> None:
    """Where a way must pass through atoms, many are equally bad, and which is described may depend on the direction."""
    chosen = np.arange(0, len(hops.records), 4)
    back = np.array([describe(of_record(reverse(hops.records[k])), study=False) for k in chosen])
    model, ions = load_model(), [hops.ions[k] for k in chosen]
    apart = np.abs(model.predict(back, ions).value - model.predict(hops.features[chosen], ions).value)
    assert np.median(apart) < 1e-4
    assert (apart < 0.03).mean() > 0.95
    necks = [
        NAMES.index(name) for name in ("neck", "neck_all", "neck_contact", "line_framework_min", "line_coulomb_max")
    ]
    assert back[:, necks] == pytest.approx(hops.features[chosen][:, necks], abs=2e-3)
