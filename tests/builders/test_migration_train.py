"""Training: seeded, complete, and no framework on both sides; intervals and domain from hops that were not seen."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders.barriers.describe import NAMES
from builders.learning.conformal import OTHERS
from builders.learning.splits import group_folds, random_folds
from builders.migration import train as module
from builders.migration.card import scores_of
from builders.migration.members import TRENDS, USED, make_stack, to_portable
from builders.migration.model import MigrationModel, load_model
from builders.migration.train import fit, judge, learn_limits, predict_unseen, train, used
from builders.models.card import constant, mean_scores
from builders.models.files import ARRAYS, CARD, save_model
from builders.models.portable import Forest
from builders.models.scale import to_log
from builders.models.training import FEWEST, INSIDE, LEVEL, Unseen
from store.errors import UsageError

from .migration_rows import made_rows, small_stack, smaller


@pytest.fixture(scope="module")
def steps() -> list[tuple[int, int]]:
    return []


@pytest.fixture(scope="module")
def trained(steps: list[tuple[int, int]]) -> MigrationModel:
    with smaller():
        return train(made_rows(), seed=3, progress=lambda *each: steps.append(each), about={"name": "made up"})


# ------------------------------------------------------------------------------------------------------------- training


def test_one_seed_gives_the_same_bytes(trained: MigrationModel, tmp_path: Path) -> None:
    with smaller():
        again, other = train(made_rows(), seed=3, about={"name": "made up"}), train(made_rows(), seed=4)
    for name, model in (("one", trained), ("again", again), ("other", other)):
        save_model(model, tmp_path / name)
    for file in (ARRAYS, CARD):
        one, same, another = ((tmp_path / name / file).read_bytes() for name in ("one", "again", "other"))
        assert one == same, file
        assert one != another, file


def test_progress_is_told_to_the_end(trained: MigrationModel, steps: list[tuple[int, int]]) -> None:
    total = steps[0][1]
    assert steps == [(number, total) for number in range(1, total + 1)]


def test_what_was_trained_predicts_as_it_did_with_scikit_learn(trained: MigrationModel) -> None:
    rows, fresh = made_rows(), made_rows(seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "make_stack", small_stack)
        fitted = fit(rows, seed=3)
    found = trained.predict(fresh.features, fresh.ions)
    assert found.value == pytest.approx(fitted.predict(fresh.features), abs=1e-6)
    assert found.distance == pytest.approx(
        fitted.domain.distance(fitted.scaler.transform(used(fresh.features))), abs=1e-6
    )
    assert trained.names == USED
    assert trained.ions == ("Li", "Mg", "Na")


def test_what_was_trained_comes_back_from_its_files(trained: MigrationModel, tmp_path: Path) -> None:
    save_model(trained, tmp_path)
    rows = made_rows(seed=2)
    one, other = trained.predict(rows.features, rows.ions), load_model(tmp_path).predict(rows.features, rows.ions)
    for name in ("value", "lower", "upper"):
        # Distances are kept in single precision.
        assert getattr(other, name) == pytest.approx(getattr(one, name), abs=1e-4)
    assert load_model(tmp_path).card["data"]["name"] == "made up"


def test_the_model_has_learned_and_knows_its_intervals(trained: MigrationModel) -> None:
    fresh = made_rows(400, 80, seed=7)
    found = trained.predict(fresh.features, fresh.ions)
    error = np.abs(found.value - fresh.barrier).mean()
    assert error < 0.9 * np.abs(fresh.barrier - np.median(made_rows().barrier)).mean()
    assert ((fresh.barrier >= found.lower) & (fresh.barrier <= found.upper)).mean() == pytest.approx(LEVEL, abs=0.07)
    assert found.in_domain.mean() > 0.6


def test_trends_hold_in_what_was_trained(trained: MigrationModel) -> None:
    boosting = trained.members["boosting"]
    assert isinstance(boosting, Forest)
    moved = {}
    for name, trend in TRENDS.items():
        column = USED.index(name)
        lines = np.repeat(np.random.default_rng(1).normal(size=(30, 1, len(USED))), 41, axis=1)
        lines[:, :, column] = np.linspace(-4, 4, 41)
        values = trend * np.diff(boosting.predict(lines.reshape(-1, len(USED))).reshape(30, 41), axis=1)
        assert (values >= -1e-12).all(), name
        moved[name] = values.max()
    assert moved["neck"] > 0.01
    assert moved["bvse_barrier"] > 0.01


def test_the_card_is_complete(trained: MigrationModel) -> None:
    card, rows = trained.card, made_rows()
    json.dumps(card, allow_nan=False)
    assert card["data"]["hops"] == 120
    assert card["data"]["frameworks"] == 24
    assert card["data"]["ions"] == {ion: rows.ions.count(ion) for ion in ("Li", "Na", "Mg")}
    assert card["data"]["barrier_median"] == pytest.approx(float(np.median(rows.barrier)))
    assert card["seed"] == 3
    assert set(card["scores"]) == {"grouped by framework", "random", "crystal class left out"}
    assert [card["scores"][name]["repeats"] for name in card["scores"]] == [2, 1, 1]
    for scores in card["scores"].values():
        assert scores["mae"] < scores["constant"]["mae"]
        assert set(scores["coverage_by_ion"]) == {"Li"}  # no other ion has fifty hops
        assert set(scores["mae_by_ion"]) == {"Li", "Na", "Mg"}


def test_with_few_classes_none_is_left_out() -> None:
    rows = made_rows(60, 12)
    rows = replace(rows, classes=["one"] * 30 + ["two"] * 30)
    with smaller():
        card = train(rows).card
    assert set(card["scores"]) == {"grouped by framework", "random"}


@pytest.mark.parametrize(("n", "n_groups"), [(FEWEST - 1, 20), (FEWEST, FEWEST // 10 - 1), (0, 1)])
def test_too_little_to_learn_from_is_refused(n: int, n_groups: int) -> None:
    rows = made_rows(100, n_groups).subset(np.arange(n))
    with pytest.raises(UsageError, match=rf"there are {n} in[\s\S]*ionatlas ingest"):
        train(rows)


def test_the_shipped_members_are_four_with_the_trends_of_their_columns() -> None:
    stack = make_stack()
    boosting = dict(stack.members)["boosting"]
    assert [name for name, _ in stack.members] == ["boosting", "trees", "process_log", "process"]
    assert {USED[k]: trend for k, trend in enumerate(boosting.trends) if trend} == TRENDS
    rows = made_rows(70, 10)
    x = np.nan_to_num(used(rows.features))
    fitted = small_stack(seed=1).fit(x, rows.barrier, np.asarray(rows.groups))
    fresh = np.random.default_rng(0).normal(size=(50, len(USED)))
    each = fitted.predict_members(fresh)
    for row, model in zip(each, to_portable(fitted).values(), strict=True):
        assert model.predict(fresh) == pytest.approx(row, abs=1e-6)


# --------------------------------------------------------------------------------------------------------- no leakage


def test_no_framework_is_learned_from_and_predicted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = made_rows()
    learned: list[Any] = []

    class Told:
        def __init__(self, given: Any) -> None:
            self.rows = given
            self.scaler = self.domain = self

        def predict(self, features: np.ndarray) -> np.ndarray:
            learned.append((set(self.rows.groups), set(self.rows.ids), features))
            return np.zeros(len(features))

        def transform(self, features: np.ndarray) -> np.ndarray:
            return features

        def distance(self, features: np.ndarray) -> np.ndarray:
            return np.zeros(len(features))

        def excess(self, features: np.ndarray) -> np.ndarray:
            return np.zeros((len(features), 1))

    monkeypatch.setattr(module, "fit", lambda given, seed: Told(given))
    folds = group_folds(rows.groups, 5, 0)
    unseen = predict_unseen(rows, folds)
    assert len(learned) == 5
    for k, (groups, ids, features) in enumerate(learned):
        mine = np.flatnonzero(unseen.fold == k)
        assert not groups & {rows.groups[index] for index in mine}
        assert not ids & {rows.ids[index] for index in mine}
        assert len(ids) == len(rows) - len(mine)
        np.testing.assert_array_equal(features, rows.features[mine])


def noise_of_groups() -> Any:
    """Barriers that are random but for each framework, which its descriptors betray: nothing can be learned of new ones."""
    rng = np.random.default_rng(0)
    rows = made_rows(120, 24)
    groups = np.array([int(each[1:]) for each in rows.groups])
    betraying = rng.normal(size=(24, len(NAMES)))[groups] + 0.01 * rng.normal(size=(120, len(NAMES)))
    return replace(rows, features=betraying, barrier=rng.uniform(0.1, 2.0, 24)[groups])


def test_what_only_the_framework_knows_is_not_predicted_of_new_frameworks() -> None:
    rows = noise_of_groups()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "make_stack", small_stack)
        grouped = predict_unseen(rows, group_folds(rows.groups, 5, 0))
        random = predict_unseen(rows, random_folds(len(rows), 5, 0))
    scatter = np.abs(rows.barrier - np.median(rows.barrier)).mean()
    assert np.abs(random.value - rows.barrier).mean() < 0.5 * scatter
    assert np.abs(grouped.value - rows.barrier).mean() > 0.9 * scatter
    # And a new framework is farther from all others than another hop of a known one.
    assert np.median(grouped.distance) > 2 * np.median(random.distance)


# ------------------------------------------------------------------------------------------------- intervals and domain


def exchangeable(n: int = 1500, seed: int = 0) -> tuple[Any, Unseen]:
    """Predictions whose error grows with the distance, of hops each of which is a framework of its own."""
    rng = np.random.default_rng(seed)
    rows = made_rows(60, 6)
    ions = rng.choice(["Li", "Na", "Mg"], n, p=[0.6, 0.37, 0.03]).tolist()
    value = rng.uniform(0.3, 2.0, n)
    distance = rng.gamma(4.0, 0.1, n)
    sigma = (distance + float(np.median(distance))) * np.where(np.array(ions) == "Na", 0.6, 0.2)
    barrier = np.exp(to_log(value) + sigma * rng.normal(size=n)) - 0.15
    rows = replace(
        rows,
        features=np.zeros((n, len(NAMES))),
        barrier=np.maximum(barrier, 0.0),
        ions=ions,
        groups=[f"g{k}" for k in range(n)],
        classes=["c"] * n,
        ids=[f"h{k}" for k in range(n)],
    )
    return rows, Unseen(value, distance, np.zeros(n), np.arange(n) % 5)


def test_intervals_cover_what_they_promise_for_each_ion() -> None:
    rows, unseen = exchangeable()
    judged = judge(rows, unseen)
    covered = (rows.barrier >= judged.lower) & (rows.barrier <= judged.upper)
    assert covered.mean() == pytest.approx(LEVEL, abs=0.025)
    for ion in ("Li", "Na"):
        mine = np.array(rows.ions) == ion
        assert covered[mine].mean() == pytest.approx(LEVEL, abs=4 * (0.09 / mine.sum()) ** 0.5)
    assert judged.in_domain.mean() == pytest.approx(INSIDE, abs=0.01)


def test_no_hop_helps_to_make_its_own_interval() -> None:
    rows, unseen = exchangeable(300)
    judged = judge(rows, unseen)
    mine = unseen.fold == 2
    wild = replace(rows, barrier=np.where(mine, 50.0, rows.barrier))
    again = judge(wild, unseen)
    np.testing.assert_array_equal(again.lower[mine], judged.lower[mine])
    np.testing.assert_array_equal(again.upper[mine], judged.upper[mine])
    np.testing.assert_array_equal(again.in_domain[mine], judged.in_domain[mine])
    assert (again.upper[~mine] > judged.upper[~mine]).mean() > 0.9


def test_limits_come_from_the_distances_of_unseen_hops() -> None:
    rows, unseen = exchangeable()
    limits = learn_limits(rows, unseen)
    assert (unseen.distance <= limits.limit).mean() == pytest.approx(INSIDE, abs=2 / 1500)
    assert limits.floor == pytest.approx(np.median(unseen.distance))
    assert limits.calibration.level == LEVEL
    assert set(limits.calibration.quantiles) == {"Li", "Na", OTHERS}
    (low, high), (wide_low, wide_high) = (limits.calibration.quantiles[ion] for ion in ("Li", "Na"))
    assert wide_low < low < 0 < high < wide_high


def test_hops_that_are_there_several_times_count_once() -> None:
    """Three draws of the folds make three residuals of a hop, and no more of its ion."""
    rows, unseen = exchangeable(300)
    mg = rows.ions.count("Mg")
    assert 3 * mg < 50 < rows.ions.count("Na") < 150
    times = np.tile(np.arange(300), 3)
    limits = learn_limits(rows.subset(times), Unseen(*(each[times] for each in unseen)), 3)
    assert set(limits.calibration.quantiles) == {"Li", "Na", OTHERS}
    sodium, lithium = (np.flatnonzero(np.array(rows.ions) == ion) for ion in ("Na", "Li"))
    some = np.tile(np.concatenate([sodium[:30], lithium]), 3)
    limits = learn_limits(rows.subset(some), Unseen(*(each[some] for each in unseen)), 3)
    assert set(limits.calibration.quantiles) == {"Li", OTHERS}


def test_a_descriptor_beyond_its_range_is_outside_however_near_the_hop() -> None:
    rows, unseen = exchangeable(300)
    beyond = unseen._replace(excess=np.where(np.arange(300) < 30, 0.26, 0.24))
    judged = judge(rows, beyond)
    assert not judged.in_domain[:30].any()
    assert judged.in_domain[30:].mean() > 0.8


# ------------------------------------------------------------------------------------------------------------ the card


def test_scores_by_hand() -> None:
    rows, unseen = exchangeable(300)
    found = scores_of(rows, unseen)
    error = np.abs(unseen.value - rows.barrier)
    judged = judge(rows, unseen)
    assert found["mae"] == pytest.approx(error.mean(), abs=1e-3)
    assert found["accuracy"] == pytest.approx(((unseen.value < 0.65) == (rows.barrier < 0.65)).mean(), abs=1e-3)
    assert found["median_error"] == pytest.approx(np.median(error))
    assert found["mae_in_domain"] == pytest.approx(error[judged.in_domain].mean())
    assert found["mae_out_of_domain"] == pytest.approx(error[~judged.in_domain].mean())
    assert found["interval_width_median"] == pytest.approx(np.median(judged.upper - judged.lower))
    assert set(found["coverage_by_ion"]) == {"Li", "Na"}
    assert found["constant"]["mae"] == pytest.approx(
        np.abs(constant(rows.barrier, unseen.fold) - rows.barrier).mean(), abs=1e-3
    )


def test_the_constant_is_the_median_of_the_other_folds() -> None:
    rows, unseen = exchangeable(300)
    found = constant(rows.barrier, unseen.fold)
    for k in range(5):
        mine = unseen.fold == k
        assert (found[mine] == np.median(rows.barrier[~mine])).all()


def test_means_of_scores() -> None:
    one = {"mae": 0.2, "n": 3, "none": None, "by": {"Li": [0.5, 60]}, "name": "x"}
    other = {"mae": 0.4, "n": 3, "none": None, "by": {"Li": [0.7, 60]}, "name": "x"}
    assert mean_scores([one, other]) == {"mae": 0.3, "n": 3, "none": None, "by": {"Li": [0.6, 60]}, "name": "x"}
    # Draws of folds without a hop outside tell nothing of such; the others do.
    assert mean_scores([{"mae": 0.25}, {"mae": None}]) == {"mae": 0.25}
    assert mean_scores([{"mae": None}, {"mae": 0.25}]) == {"mae": 0.25}


def test_rows_can_be_chosen() -> None:
    rows = made_rows(30, 6)
    chosen = rows.subset(np.array([4, 2, 2]))
    assert chosen.ids == ["h4", "h2", "h2"]
    assert chosen.barrier.tolist() == rows.barrier[[4, 2, 2]].tolist()
    assert len(rows.subset(rows.barrier > 0.8)) == (rows.barrier > 0.8).sum()
    np.testing.assert_array_equal(used(rows.features), rows.features[:, [NAMES.index(name) for name in USED]])
