"""The model that ships: never a negative barrier, honest about what it does not know, complete card, refuses damaged files."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from builders.barriers.describe import NAMES, STUDY
from builders.learning.conformal import OTHERS, Calibration
from builders.migration.members import TRENDS, USED
from builders.migration.model import WEIGHTS, MigrationModel, interval, load_model
from builders.migration.train import MODEL
from builders.models.base import Predicted
from builders.models.files import ARRAYS, CARD
from builders.models.portable import Forest, Kernel
from builders.models.scale import to_log
from store.errors import FeatureError

from .migration_rows import known, typical

IONS = ["Li", "Na", "K", "Mg", "Ca", "Al", "Ag", "Xx", ""]


@pytest.fixture(scope="module")
def model() -> MigrationModel:
    return load_model()


def assert_sound(found: Predicted, n: int) -> None:
    assert all(len(each) == n for each in found)
    for each in (found.value, found.lower, found.upper, found.distance):
        assert np.isfinite(each).all()
        assert (each >= 0).all()
    assert (found.lower <= found.value).all()
    assert (found.value <= found.upper).all()
    assert [not reason for reason in found.reasons] == found.in_domain.tolist()


# ------------------------------------------------------------------------------------------- never below zero, whatever


@given(
    arrays(np.float64, (3, len(NAMES)), elements=st.floats(width=64), fill=st.floats(width=64)),
    st.lists(st.sampled_from(IONS), min_size=3, max_size=3),
)
@settings(max_examples=80, deadline=None)
def test_whatever_is_given_no_barrier_is_negative(features: np.ndarray, ions: list[str]) -> None:
    """Gaps, infinities, denormal and the largest numbers among them."""
    assert_sound(load_model().predict(features, ions), 3)


@given(
    st.lists(
        st.tuples(
            st.integers(0, len(NAMES) - 1),
            st.one_of(st.floats(-50, 50), st.sampled_from([np.nan, np.inf, -np.inf, 1e308, -1e308, 1e15, 0.0, -0.0])),
        ),
        max_size=25,
    ),
    st.sampled_from(IONS),
)
@settings(max_examples=120, deadline=None)
def test_a_usual_hop_with_odd_descriptors_has_no_negative_barrier(changes: list[tuple[int, float]], ion: str) -> None:
    model = load_model()
    row = typical(model)
    for column, value in changes:
        row[0, column] = value
    assert_sound(model.predict(row, [ion]), 1)


def test_extremes_of_every_descriptor_make_no_negative_barrier(model: MigrationModel) -> None:
    rows = typical(model, 2 * len(NAMES))
    for column in range(len(NAMES)):
        rows[2 * column, column], rows[2 * column + 1, column] = 1e9, -1e9
    assert_sound(model.predict(rows, ["Li"] * len(rows)), len(rows))
    low = np.full((1, len(NAMES)), -1e9)
    assert_sound(model.predict(np.concatenate([low, -low]), ["Li", "Mg"]), 2)


@pytest.mark.parametrize("mean", [-0.5, -5.0, -1e6])
def test_members_that_fall_below_zero_are_held_there(model: MigrationModel, mean: float) -> None:
    """A process that is not taught logarithms goes where its data lead it."""
    process = model.members["process"]
    assert isinstance(process, Kernel)
    assert not process.log
    low = replace(
        model, members={**model.members, "process": replace(process, mean=mean)}, weights=np.array([0, 0, 0, 1.0])
    )
    rows = known(model)
    found = low.predict(rows, ["Li"] * len(rows))
    assert_sound(found, len(rows))
    assert (found.value == 0.0).mean() > 0.1
    zero = found.value == 0.0
    assert (found.upper[zero] > 0).all()


# ------------------------------------------------------------------------------------------------------- the prediction


def test_the_value_is_the_weighted_mean_of_the_members(model: MigrationModel) -> None:
    rows = known(model)[::40]
    found = model.predict(rows, ["Li"] * len(rows))
    used = rows[:, [NAMES.index(name) for name in model.names]]
    scores = np.clip((used - model.mean) / model.scale, -model.bound, model.bound)
    each = np.array([member.predict(scores) for member in model.members.values()])
    assert model.weights.sum() == pytest.approx(1.0)
    assert (model.weights >= 0).all()
    assert found.value == pytest.approx(np.maximum(model.weights @ each, 0.0), abs=1e-9)
    assert len(model.members) == 4


def test_gaps_count_as_the_median(model: MigrationModel) -> None:
    whole, gap = typical(model), typical(model)
    column = NAMES.index("neck")
    gap[0, column] = np.nan
    assert model.predict(gap, ["Li"]).value == pytest.approx(model.predict(whole, ["Li"]).value)


def test_only_the_used_descriptors_matter(model: MigrationModel) -> None:
    rows = typical(model, 2)
    unused = [number for number, name in enumerate(NAMES) if name not in model.names]
    assert set(STUDY) - {"p_length"} <= {NAMES[number] for number in unused}
    rows[1, unused] = 99.0
    found = model.predict(rows, ["Li", "Li"])
    assert found.value[0] == found.value[1]
    assert found.upper[0] == found.upper[1]
    assert found.reasons[0] == found.reasons[1]


def test_a_prediction_does_not_depend_on_its_neighbours(model: MigrationModel) -> None:
    rows = known(model)[:60]
    ions = [("Li", "Na", "Ca")[k % 3] for k in range(60)]
    whole = model.predict(rows, ions)
    order = np.random.default_rng(0).permutation(60)
    turned = model.predict(rows[order], [ions[k] for k in order])
    one = model.predict(rows[7:8], ions[7:8])
    for name in ("value", "lower", "upper", "distance"):
        values = getattr(whole, name)
        assert getattr(turned, name) == pytest.approx(values[order], abs=1e-6)
        assert getattr(one, name) == pytest.approx(values[7:8], abs=1e-6)


def test_nothing_is_predicted_of_nothing(model: MigrationModel) -> None:
    found = model.predict(np.zeros((0, len(NAMES))), [])
    assert [len(each) for each in found] == [0] * 6


@pytest.mark.parametrize("shape", [(1, len(NAMES) - 1), (len(NAMES),), (2, len(NAMES))])
def test_descriptors_of_another_shape_are_refused(model: MigrationModel, shape: tuple[int, ...]) -> None:
    with pytest.raises(FeatureError, match=str(len(NAMES))):
        model.predict(np.zeros(shape), ["Li"])


def test_trends_that_physics_gives_hold(model: MigrationModel) -> None:
    """Of the boosted member, which is told them: wherever the other descriptors stand."""
    boosting = model.members["boosting"]
    assert isinstance(boosting, Forest)
    rng = np.random.default_rng(0)
    assert set(TRENDS) <= set(model.names)
    moved = 0.0
    for name, trend in TRENDS.items():
        column = model.names.index(name)
        for row in np.clip(rng.normal(size=(12, len(model.names))), -4, 4):
            line = np.repeat(row[None], 81, axis=0)
            line[:, column] = np.linspace(-4, 4, 81)
            steps = trend * np.diff(boosting.predict(line))
            assert (steps >= -1e-12).all(), name
            moved = max(moved, float(steps.max()))
    assert moved > 0.005


# ------------------------------------------------------------------------------------------------------------ intervals


def test_an_interval_holds_its_value_and_ends_at_zero() -> None:
    calibration = Calibration(0.9, {OTHERS: (-1.0, 0.5), "Na": (-9.0, 9.0), "K": (0.2, 0.4)}, {})
    value, difficulty = np.array([0.85, 0.85, 0.02, 0.85]), np.array([0.2, 0.2, 1.0, 1.0])
    lower, upper = interval(value, difficulty, calibration, ["Li", "Na", "Li", "K"])
    centre = to_log(value)
    assert lower[0] == pytest.approx(np.exp(centre[0] - 0.2) - 0.15)
    assert upper[0] == pytest.approx(np.exp(centre[0] + 0.1) - 0.15)
    assert upper[1] - lower[1] > upper[0] - lower[0]
    assert lower[2] == 0.0
    assert lower[3] == value[3]  # quantiles that leave the value out: the interval is drawn to it
    assert (lower <= value).all()
    assert (value <= upper).all()


def test_farther_hops_have_wider_intervals(model: MigrationModel) -> None:
    rows = known(model)
    found = model.predict(rows, ["Li"] * len(rows))
    width = np.log(found.upper + 0.15) - np.log(found.lower + 0.15)
    inside = (found.lower > 0) & (found.upper < 100)
    order = np.argsort(found.distance[inside])
    assert (np.diff(width[inside][order]) >= -1e-9).all()
    quantiles = np.array(model.calibration.of(["Li"]))[0]
    expected = (quantiles[1] - quantiles[0]) * (found.distance + model.floor)
    assert width[inside] == pytest.approx(expected[inside])


# --------------------------------------------------------------------------------------------------------------- domain


def test_what_was_learned_from_is_inside(model: MigrationModel) -> None:
    rows = known(model)
    found = model.predict(rows, ["Li"] * len(rows))
    assert found.in_domain.mean() > 0.9
    assert found.value.mean() == pytest.approx(0.8, abs=0.2)


def test_an_unknown_ion_is_outside_with_a_reason(model: MigrationModel) -> None:
    row = known(model)[10:11]
    assert model.predict(row, ["Li"]).reasons == [""]
    for ion in ("Ag", "Xx", ""):
        found = model.predict(row, [ion])
        assert not found.in_domain[0]
        assert found.reasons[0] == f"no hop of {ion} was there to learn from"
    assert {"Li", "Na", "K", "Mg", "Ca", "Zn"} <= set(model.ions)


@pytest.mark.parametrize("value", [50.0, -50.0, 1e300, np.inf, -np.inf])
def test_a_descriptor_far_outside_its_range_is_named(model: MigrationModel, value: float) -> None:
    row = known(model)[10:11]
    row[0, NAMES.index("neck")] = value
    found = model.predict(row, ["Li"])
    assert not found.in_domain[0]
    assert found.reasons[0].startswith("neck ")
    assert "far outside" in found.reasons[0]


def test_a_hop_of_which_little_is_known_is_outside(model: MigrationModel) -> None:
    row = known(model)[10:11]
    columns = [NAMES.index(name) for name in model.names]
    row[0, columns[: len(columns) // 3]] = np.nan
    found = model.predict(row, ["Li"])
    assert "most descriptors are unknown" in found.reasons[0]


def test_a_hop_unlike_all_others_is_outside(model: MigrationModel) -> None:
    """Every descriptor in its range, and no hop near."""
    rng = np.random.default_rng(0)
    rows = typical(model, 20)
    columns = [NAMES.index(name) for name in model.names]
    rows[:, columns] = model.mean + model.scale * rng.choice([-2.0, 2.0], (20, len(columns)))
    rows[:, columns] = np.clip(rows[:, columns], model.domain.low, model.domain.high)
    found = model.predict(rows, ["Li"] * 20)
    assert not found.in_domain.any()
    for distance, reason in zip(found.distance, found.reasons, strict=True):
        assert distance > model.domain.limit
        assert f"distance {distance:.2f}" in reason


# ----------------------------------------------------------------------------------------------------- what ships, card


def test_the_shipped_model_uses_what_this_version_describes(model: MigrationModel) -> None:
    assert model.id == MODEL == "migration-energy-1"
    assert model.names == USED
    assert set(USED) <= set(NAMES)
    assert set(USED).isdisjoint({*STUDY, "r_bottleneck"} - {"p_length"})
    assert len(model.median) == len(model.mean) == len(model.scale) == model.domain.points.shape[1] == len(USED)
    for name, trend in TRENDS.items():
        assert name in USED
        assert trend in (-1, 1)
    assert (model.domain.limit, model.domain.slack) == pytest.approx((model.card["model"]["domain"]["limit"], 0.25))
    assert (WEIGHTS / ARRAYS).stat().st_size < 5_000_000


def test_the_card_tells_everything(model: MigrationModel) -> None:
    card = json.loads((WEIGHTS / CARD).read_text(encoding="utf-8"))
    assert card == model.card
    json.dumps(card, allow_nan=False)
    assert {"what", "data", "seed", "scores", "packages", "id", "weights_hash", "model"} <= set(card)
    data = card["data"]
    assert {"name", "licence", "references", "hops", "frameworks", "ions", "barrier_range", "barrier_median"} <= set(
        data
    )
    assert sum(data["ions"].values()) == data["hops"] == len(model.domain.points)
    assert set(data["ions"]) == set(model.ions)
    assert data["barrier_range"][0] >= 0
    assert set(card["scores"]) == {"grouped by framework", "random", "crystal class left out"}
    assert set(card["packages"]) == {"python", "numpy", "scipy", "scikit-learn", "lightgbm"}
    for name, scores in card["scores"].items():
        assert scores["mae"] < scores["constant"]["mae"], name
        assert scores["r2"] > 0 >= scores["constant"]["r2"], name
        assert scores["mae_out_of_domain"] > scores["mae_in_domain"], name
        assert 0.5 < scores["in_domain_share"] < 1.0
        assert scores["mae"] >= scores["median_error"]
    grouped = card["scores"]["grouped by framework"]
    assert grouped["mae"] <= 0.32
    assert grouped["mae_out_of_domain"] >= 1.5 * grouped["mae_in_domain"]
    assert 0.87 <= grouped["coverage"] <= 0.93
    for ion, (share, count) in grouped["coverage_by_ion"].items():
        assert count == data["ions"][ion] >= 50
        assert 0.8 <= share <= 1.0
    assert card["model"]["interval"]["level"] == model.calibration.level == 0.9
    assert card["scores"]["random"]["mae"] <= grouped["mae"] <= card["scores"]["crystal class left out"]["mae"]


def test_a_prediction_needs_neither_scikit_learn_nor_lightgbm() -> None:
    code = (
        "import sys, numpy as np\n"
        "from builders.migration.model import load_model, NAMES\n"
        "found = load_model().predict(np.ones((2, len(NAMES))), ['Li', 'Na'])\n"
        "assert found.value.shape == (2,)\n"
        "print([name for name in ('sklearn', 'lightgbm', 'scipy', 'pymatgen') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert ran.stdout.strip() == "[]", ran.stdout + ran.stderr
