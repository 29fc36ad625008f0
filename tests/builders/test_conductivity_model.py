"""The model of conductivities: bounds, groups, intervals, domain, physical limits; that it learns, and what ships."""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from builders.conductivity.card import covered, spread_of_repeats
from builders.conductivity.features import NAMES, describe
from builders.conductivity.members import BASE, COMPOSITION, columns
from builders.conductivity.model import LARGEST, SMALLEST, WEIGHTS, load_model
from builders.conductivity.rows import TrainingRows, connected, gather
from builders.conductivity.train import as_less_known, fit, learn_limits, predict_unseen, train
from builders.learning.censored import bounded_scores, errors, expected_below
from builders.learning.splits import group_folds
from builders.models.files import save_model
from builders.models.training import Judged
from store.conductivities import ConductivityRecord
from store.errors import FeatureError, UsageError
from store.ingest.readers import read_conductivity

from .conductivity_rows import made_up, rock_salt

DATA = (
    Path(os.environ.get("IONATLAS_DATA", Path(__file__).parents[3] / "shared" / "data"))
    / "ionic"
    / "conductivity.jsonl.gz"
)


@pytest.fixture(scope="module")
def rows() -> TrainingRows:
    return made_up()


class TestBounds:
    def test_a_prediction_below_an_upper_bound_is_right(self) -> None:
        y, kind = np.array([-10.0, -10.0, -2.0, -2.0]), np.array([-1, -1, 1, 1])
        assert errors(y, np.array([-14.0, -9.0, -1.0, -3.0]), kind).tolist() == [0.0, -1.0, 0.0, 1.0]

    def test_the_expected_value_is_that_of_the_cut_distribution(self) -> None:
        rng = np.random.default_rng(0)
        drawn = rng.normal(-8.0, 2.0, 400_000)
        expected = expected_below(np.array([-9.5]), np.array([-8.0]), np.array([2.0]))[0]
        assert expected == pytest.approx(drawn[drawn < -9.5].mean(), abs=0.02)
        far = expected_below(np.array([-40.0]), np.array([0.0]), np.array([1.0]))[0]
        assert -40.1 < far < -40.0  # no overflow far out in the tail

    def test_learning_from_bounds_beats_taking_them_for_values(self) -> None:
        """Truth is known here: rows below -9 are learned from as bounds at -7, and asked for what they are."""
        truth = made_up(150, bounded=False)
        low = truth.value < -8.0
        shown = replace(truth, value=np.where(low, -7.0, truth.value), kind=np.where(low, -1, 0))
        naive = replace(shown, kind=np.zeros(len(truth), dtype=np.int64))
        folds = group_folds(truth.papers, 3, 0)
        missed = [np.abs(predict_unseen(each, folds).value - truth.value)[low].mean() for each in (shown, naive)]
        assert missed[0] < missed[1] - 0.1

    def test_intervals_that_reach_below_an_upper_bound_hold_it(self, rows: TrainingRows) -> None:
        some = rows.subset(np.arange(3))
        some = replace(some, value=np.full(3, -9.0), kind=np.array([-1, -1, 0]))
        judged = Judged(np.array([-12.0, -8.0, -12.0]), np.array([-10.0, -7.0, -10.0]), np.ones(3, dtype=bool))
        assert covered(some, judged).tolist() == [True, False, False]

    def test_the_benchmarks_rule(self, rows: TrainingRows) -> None:
        other = rows.benchmark()
        bounds = rows.kind == -1
        assert bounds.any()
        assert (other.value[bounds] == -15.0).all()
        assert not other.kind.any()
        assert (other.value[~bounds] == rows.value[~bounds]).all()


class TestRows:
    def records(self) -> list[ConductivityRecord]:
        def one(formula: dict[str, float], id_: str, **more: object) -> ConductivityRecord:
            given: dict[str, object] = {"log10_sigma": -3.0, "temperature": 300.0, "id": id_, **more}
            return ConductivityRecord(id_, formula, **given)  # type: ignore[arg-type]

        salt, oxide = {"Li": 3.0, "N": 1.0}, {"Li": 2.0, "O": 1.0}
        return [
            one(salt, "a", references=["10.1/X"]),
            one({"Li": 6.0, "N": 2.0}, "b", references=["10.1/y"]),
            one(oxide, "c", references=["10.1/Y"], log10_sigma=-9.0, censored="upper_bound"),
            one(oxide, "hot", temperature=500.0),
            one(oxide, "sodium", working_ion="Na"),
            one(oxide, "asked", log10_sigma=None),
            one({"Na": 1.0, "Cl": 1.0}, "no-lithium"),
            one(oxide, "copy", properties={"in_obelix": True}),
        ]

    def test_what_is_taken_and_what_is_not(self) -> None:
        found = gather(self.records())
        assert found.rows.ids == ["a", "b", "c"]
        assert found.rows.kind.tolist() == [0, 0, -1]
        assert sum(found.dropped.values()) == 5
        assert found.dropped["not at room temperature"] == 1

    def test_compositions_and_publications_hang_together(self) -> None:
        rows = gather(self.records()).rows
        assert rows.formulas[0] == rows.formulas[1] != rows.formulas[2]
        assert len(set(rows.papers.tolist())) == 1  # a and b by composition, b and c by publication

    def test_none_is_shared_with_nobody(self) -> None:
        assert len(set(connected([None, None, "x"]).tolist())) == 3

    def test_spread_of_repeats(self, rows: TrainingRows) -> None:
        some = replace(
            rows.subset(np.arange(4)), value=np.array([-3.0, -5.0, -9.0, -4.0]), kind=np.array([0, 0, -1, 0])
        )
        some = replace(some, formulas=np.array([0, 0, 0, 1]))
        assert spread_of_repeats(some) == {"compositions": 1, "median": 1.0, "mean": 1.0}


class TestLearning:
    def test_unseen_publications_are_predicted_better_than_by_a_constant(self, rows: TrainingRows) -> None:
        unseen = predict_unseen(rows, group_folds(rows.papers, 4, 0))
        found = bounded_scores(rows.value, unseen.value, rows.kind)
        constant = bounded_scores(rows.value, np.full(len(rows), np.median(rows.value)), rows.kind)
        assert found.mae < 0.5 * constant.mae
        assert found.r2 > 0.7

    def test_nothing_of_a_row_that_is_left_out_is_learned(self, rows: TrainingRows) -> None:
        (fold, *_) = group_folds(rows.papers, 4, 0)
        changed = rows.value.copy()
        changed[fold.test] += 5.0
        before, after = (predict_unseen(each, [fold]).value for each in (rows, replace(rows, value=changed)))
        assert np.array_equal(before[fold.test], after[fold.test])

    def test_the_same_seed_gives_the_same_model(self, rows: TrainingRows) -> None:
        asked = made_up(30, seed=1)
        one, two, other = (fit(rows, seed).predict(asked.features, asked.has_structure) for seed in (0, 0, 1))
        assert np.array_equal(one, two)
        assert not np.array_equal(one, other)

    def test_intervals_widen_where_less_is_known(self) -> None:
        rows = made_up(180)
        asked = as_less_known(rows)
        unseen = predict_unseen(rows, group_folds(rows.papers, 4, 0), asked=asked)
        quantiles = learn_limits(asked, unseen).calibration.quantiles
        widths = [
            quantiles[name][1] - quantiles[name][0]
            for name in ("structure", "cell", "composition")
            if name in quantiles
        ]
        assert len(widths) >= 2
        assert widths == sorted(widths)

    def test_too_little_is_refused(self, rows: TrainingRows) -> None:
        with pytest.raises(UsageError, match="at least 60"):
            train(rows.subset(np.arange(30)))

    def test_trained_saved_read(self, rows: TrainingRows, tmp_path: Path) -> None:
        steps: list[tuple[int, int]] = []
        made = train(rows.subset(np.arange(90)), progress=lambda *step: steps.append(step), about={"source": "made up"})
        assert steps[-1][0] == steps[-1][1] == len(steps)
        save_model(made, tmp_path)
        read = load_model(tmp_path)
        known = rows.has_structure
        one, two = made.predict(rows.features, known), read.predict(rows.features, known)
        assert np.array_equal(one.value, two.value)
        assert np.allclose(one.lower, two.lower, atol=1e-4)
        assert read.card["data"]["source"] == "made up"
        found = read.card["scores"]["publication left out"]
        assert found["mae"] < found["constant"]["mae"]
        assert 0.8 < found["coverage"] <= 1.0

    def test_weights_and_card_belong_together(self, tmp_path: Path) -> None:
        save_model(load_model(), tmp_path)
        with (tmp_path / "weights.npz").open("ab") as file:
            file.write(b"x")
        with pytest.raises(UsageError, match="do not belong"):
            load_model(tmp_path)
        with pytest.raises(UsageError, match="no model of conductivities"):
            load_model(tmp_path / "none")


class TestShipped:
    def test_portable_members_say_what_was_trained(self, rows: TrainingRows) -> None:
        fitted = fit(rows)
        from builders.conductivity.members import portable_process, portable_trees
        from builders.conductivity.model import single

        scores = single(fitted.scaler.transform(rows.features))
        base, places = fitted.members(rows.features), columns(BASE)
        assert np.allclose(portable_trees(fitted.trees).predict(scores[:, places]), base["trees"], atol=1e-5)
        assert np.allclose(portable_process(fitted.process).predict(scores[:, places]), base["process"], atol=1e-8)
        assert np.allclose(portable_trees(fitted.sites).predict(scores), base["sites"], atol=1e-5)

    def test_it_is_small_and_says_what_it_is(self) -> None:
        model = load_model()
        assert (WEIGHTS / "weights.npz").stat().st_size < 3e6
        assert model.card["data"]["rows"] == 860
        for scheme in ("publication left out", "composition left out"):
            found = model.card["scores"][scheme]
            assert found["mae"] < found["constant"]["mae"] - 0.4
            assert 0.87 < found["coverage"] < 0.95
        family = model.card["scores"]["family left out"]
        assert family["mae"] > family["constant"]["mae"]  # and the page says so
        assert "/" not in str(model.card["data"]["source"])

    def test_known_conductors_are_told_from_insulators(self) -> None:
        amounts = [
            {"Li": 6, "P": 1, "S": 5, "Cl": 1},
            {"Li": 10, "Ge": 1, "P": 2, "S": 12},
            {"Li": 2, "O": 1},
            {"Li": 1, "F": 1},
        ]
        told = load_model().predict(np.array([describe(each) for each in amounts]), np.zeros(4, dtype=bool))
        assert told.value[:2].min() > -4.5
        assert told.value[2:].max() < told.value[:2].min() - 1.0

    def test_predictions_stay_within_what_is_possible(self) -> None:
        rng = np.random.default_rng(0)
        wild = rng.normal(0, 1e3, (200, len(NAMES)))
        told = load_model().predict(wild, np.ones(200, dtype=bool))
        for each in (told.lower, told.value, told.upper):
            assert np.isfinite(each).all()
            assert each.min() >= SMALLEST
            assert each.max() <= LARGEST
        assert ((told.lower <= told.value) & (told.value <= told.upper)).all()
        assert not told.in_domain.any()
        assert all("far outside" in reason for reason in told.reasons)

    def test_a_row_does_not_depend_on_the_others(self) -> None:
        model, salts = load_model(), [{"Li": 3, "N": 1}, {"Li": 2, "O": 1}, {"Li": 1, "F": 1}]
        features = np.array([describe(each) for each in salts])
        together = model.predict(features, np.zeros(3, dtype=bool)).value
        alone = [model.predict(row[None], np.zeros(1, dtype=bool)).value[0] for row in features]
        assert np.allclose(together, alone, atol=1e-9)

    def test_without_the_structure_the_interval_is_wider(self) -> None:
        model = load_model()
        row = describe({"Li": 6, "P": 1, "S": 5, "Cl": 1}, rock_salt(5.0))
        bare = np.where(np.isin(np.arange(len(NAMES)), columns(COMPOSITION)), row, np.nan)
        told = model.predict(np.array([row, row, bare]), np.array([True, False, False]))
        widths = told.upper - told.lower
        assert widths[0] < widths[1] <= widths[2]
        assert np.ptp(told.distance) == pytest.approx(0.0, abs=1e-9)

    def test_wrong_shapes_are_refused(self) -> None:
        with pytest.raises(FeatureError, match="shape"):
            load_model().predict(np.zeros((2, 3)), np.zeros(2, dtype=bool))

    def test_nothing_known_is_no_crash(self) -> None:
        told = load_model().predict(np.full((1, len(NAMES)), np.nan), np.array([True]))
        assert np.isfinite(told.value).all()
        assert load_model().predict(np.zeros((0, len(NAMES))), np.zeros(0, dtype=bool)).reasons == []


@pytest.mark.data
@pytest.mark.skipif(not DATA.exists(), reason=f"needs {DATA.name}")
class TestOnTheDataSet:
    def test_every_row_is_read_and_those_without_lithium_or_symmetry_too(self) -> None:
        with gzip.open(DATA) as lines:
            records = [read_conductivity("conductivity-json", line.strip()) for line in lines]
        few = [record for record in records if record.crystal is not None][::12] + records[-40:]
        found = gather(few)
        assert "that cannot be described" not in found.dropped
        assert found.rows.has_structure.sum() >= 18

    def test_noise_of_a_tenth_of_an_angstrom_moves_predictions_less_than_the_label_noise(self) -> None:
        from builders.conductivity.features import describe_record, has_structure

        with gzip.open(DATA) as lines:
            rows = [row for row in map(json.loads, lines) if row["structure"]][5::25]
        rng, pairs = np.random.default_rng(0), []
        for row in rows:
            inverse = np.linalg.inv(np.array(row["structure"]["lattice"]))
            moved = json.loads(json.dumps(row))
            for site in moved["structure"]["sites"]:
                site["frac_coords"] = (np.array(site["frac_coords"]) + rng.normal(0, 0.1, 3) @ inverse).tolist()
            pairs.append(
                [
                    describe_record(read_conductivity("conductivity-json", json.dumps(each).encode()))
                    for each in (row, moved)
                ]
            )
        exact, noisy = (load_model().predict(x, has_structure(x)).value for x in np.array(pairs).transpose(1, 0, 2))
        assert np.abs(exact - noisy).mean() < 0.25
