"""Ordinal regression: the study's equations worked by hand, its classifiers, and cumulative-link regression beside it."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import check_estimator

from builders.learning.boundary import Found, Grid, _calibrated, fit_sigmoid
from builders.learning.ordinal import (
    PUBLISHED_BOUNDARIES,
    OrdinalSVC,
    expectation,
    quantile_boundaries,
    range_middles,
    range_weights,
)
from builders.learning.splits import canonical_order, level_folds

SMALL = {"Cs": (1.0,), "degrees": (1, 2), "coef0s": (1.0,)}


def hops(n: int = 150, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Made-up hops: wider channels and shorter paths, lower barriers (eV), with noise."""
    generator = np.random.default_rng(seed)
    x = generator.normal([1.9, 3.6, 1.4], [0.2, 0.6, 0.1], size=(n, 3))
    return x, np.abs(0.7 - 1.2 * (x[:, 0] - 1.9) + 0.25 * (x[:, 1] - 3.6) + 0.15 * generator.normal(size=n))


# --- equations (1) and (2) -------------------------------------------------------------------------------------------


def test_equation_2_by_hand() -> None:
    # Boundaries 0.1, 0.2 and 0.4 eV cut four ranges: below 0.1, 0.1-0.2, 0.2-0.4, above.
    # (1) The classifiers say P(E < 0.1) = 0.2, P(E < 0.2) = 0.7, P(E < 0.4) = 0.9.
    below = np.array([[0.2, 0.7, 0.9]])
    # (2) Each range asks every classifier for the probability of the side on which the range lies:
    #   below 0.1:  below all three boundaries         0.2 + 0.7 + 0.9 = 1.8
    #   0.1-0.2:    above the first, below two         0.8 + 0.7 + 0.9 = 2.4
    #   0.2-0.4:    above two, below the last          0.8 + 0.3 + 0.9 = 2.0
    #   above 0.4:  above all three                    0.8 + 0.3 + 0.1 = 1.2
    # each divided by the 3 classifiers.
    assert range_weights(below)[0] == pytest.approx([1.8 / 3, 2.4 / 3, 2.0 / 3, 1.2 / 3])
    # The sum is 7.4/3, so the probabilities are 18/74, 24/74, 20/74 and 12/74; the most probable range is 0.1-0.2 eV, its
    # middle 0.15 eV.
    model = with_probabilities([0.2, 0.7, 0.9], boundaries=[0.1, 0.2, 0.4])
    assert model.predict_range_proba([[0.0]])[0] == pytest.approx([18 / 74, 24 / 74, 20 / 74, 12 / 74])
    assert model.predict_range([[0.0]]).tolist() == [1]
    assert model.predict([[0.0]]) == pytest.approx([0.15])
    # The expectation: the classifiers' cumulative values 0.2, 0.7, 0.9, 1 leave 0.2, 0.5, 0.2, 0.1 for the ranges with the
    # middles 0.05, 0.15, 0.30 and 0.50 (open ends as wide as their neighbours): 0.010 + 0.075 + 0.060 + 0.050 = 0.195 eV.
    assert model.middles_ == pytest.approx([0.05, 0.15, 0.30, 0.50])
    assert model.predict_expectation([[0.0]]) == pytest.approx([0.195])
    assert model.set_params(answer="expectation").predict([[0.0]]) == pytest.approx([0.195])


def test_classifiers_that_contradict_each_other_are_weighed_as_published() -> None:
    # P(E < 0.1) = 0.9 but P(E < 0.2) = 0.4: no cumulative distribution. (2) still ranks:
    #   below 0.1: (0.9 + 0.4)/2 = 0.65;  0.1-0.2: (0.1 + 0.4)/2 = 0.25;  above: (0.1 + 0.6)/2 = 0.35; sum 1.25.
    model = with_probabilities([0.9, 0.4], boundaries=[0.1, 0.2])
    assert model.predict_range_proba([[0.0]])[0] == pytest.approx([0.52, 0.20, 0.28])
    assert model.predict([[0.0]]) == pytest.approx([0.05])


def with_probabilities(below: list[float], boundaries: list[float]) -> OrdinalSVC:
    """A fitted model whose classifiers say exactly this, whatever they are asked: shares of rows, one row on one side of each.

    Every boundary has fewer rows on a side than folds, so the rule for such boundaries makes the probability the share.
    """
    rows = 100
    model = OrdinalSVC(boundaries=boundaries, folds=rows + 1).fit(np.zeros((rows, 1)), np.linspace(0, 1, rows))
    assert {each["rule"] for each in model.settings_} == {"constant"}
    model.classifiers_ = [_Says(p) for p in below]
    return model


class _Says:
    def __init__(self, p: float) -> None:
        self.p = p

    def below(self, z: np.ndarray) -> np.ndarray:
        return np.full(len(z), self.p)


PROBABILITIES = hnp.arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 15)), elements=st.floats(0, 1))


@given(PROBABILITIES)
def test_weights_are_those_of_two_plain_loops(below: np.ndarray) -> None:
    n, m = below.shape
    weights = range_weights(below)
    for row in range(n):
        for j in range(m + 1):
            agree = [below[row, k] if k >= j else 1 - below[row, k] for k in range(m)]
            assert weights[row, j] == pytest.approx(sum(agree) / m, abs=1e-12)


@given(PROBABILITIES)
def test_weights_can_always_be_made_to_sum_to_one(below: np.ndarray) -> None:
    weights = range_weights(below)
    assert (weights >= -1e-15).all()
    # The two outermost ranges ask opposite things of every classifier.
    assert weights[:, 0] + weights[:, -1] == pytest.approx(1.0)


@given(PROBABILITIES)
def test_the_expectation_stays_between_the_outer_middles(below: np.ndarray) -> None:
    middles = range_middles(np.arange(1, below.shape[1] + 1) / 10, np.array([0.5]))
    assert (expectation(below, middles) >= middles[0] - 1e-12).all()
    assert (expectation(below, middles) <= middles[-1] + 1e-12).all()


def test_certain_classifiers_give_their_range_and_its_middle() -> None:
    below = np.tri(4, 3, -1)[:, ::-1]  # rows: in the last range, ..., in the first
    assert range_weights(below).argmax(axis=1).tolist() == [3, 2, 1, 0]
    assert expectation(below, np.array([1.0, 2.0, 3.0, 4.0])).tolist() == [4.0, 3.0, 2.0, 1.0]


# --- boundaries and middles ------------------------------------------------------------------------------------------


def test_the_published_boundaries() -> None:
    assert len(PUBLISHED_BOUNDARIES) == 14
    middles = range_middles(np.array(PUBLISHED_BOUNDARIES), np.array([0.5]))
    assert middles == pytest.approx(np.arange(15) / 10 + 0.05)


def test_middles_without_neighbours_come_from_the_values() -> None:
    assert range_middles(np.array([0.5]), np.array([0.0, 1.0])).tolist() == [0.0, 1.0]
    assert range_middles(np.array([]), np.array([0.2, 0.4])).tolist() == pytest.approx([0.3])


@given(hnp.arrays(np.float64, st.integers(1, 60), elements=st.integers(-5, 5).map(float)))
def test_quantile_boundaries_cut_between_values(y: np.ndarray) -> None:
    boundaries = quantile_boundaries(y)
    assert len(boundaries) <= 14
    assert (np.diff(boundaries) > 0).all()
    assert not np.isin(boundaries, y).any()
    cut = np.searchsorted(boundaries, y)
    # No range is empty, and two values or more are always told apart.
    assert set(cut) == set(range(len(boundaries) + 1))
    assert (len(boundaries) == 0) == (len(np.unique(y)) == 1)


def test_quantile_boundaries_of_many_values_hold_equally_many() -> None:
    y = np.random.default_rng(0).normal(size=1500)
    assert np.bincount(np.searchsorted(quantile_boundaries(y), y)).tolist() == [100] * 15


def test_the_published_settings_are_in_the_grid() -> None:
    grid = {name: each.default for name, each in inspect.signature(OrdinalSVC).parameters.items()}
    # Table 4 of the study, boundaries 0.1 to 1.4 eV.
    assert {1.0, 2.0, 3.0, 8.0, 10.0} <= set(grid["Cs"])
    assert {1, 2, 3, 4} <= set(grid["degrees"])
    assert {1.0, 7.0} <= set(grid["coef0s"])
    assert grid["folds"] == 5


# --- the classifiers -------------------------------------------------------------------------------------------------


def test_a_classifier_is_the_calibrated_svc_of_scikit_learn() -> None:
    x, y = hops()
    model = OrdinalSVC(boundaries=[0.7], Cs=(2.0,), degrees=(2,), coef0s=(3.0,), tol=1e-6).fit(x, y)
    order = canonical_order(x, y)
    z, t = StandardScaler().fit_transform(x[order]), y[order] < 0.7
    machine = SVC(kernel="poly", gamma=1 / 3, C=2.0, degree=2, coef0=3.0, tol=1e-6)
    folds = level_folds(len(y), 5, 0)
    twin = CalibratedClassifierCV(machine, method="sigmoid", cv=folds, ensemble=False).fit(z, t)
    assert model.predict_below(x[order])[:, 0] == pytest.approx(twin.predict_proba(z)[:, 1], abs=1e-4)
    kept_out = [machine.fit(z[f.train], t[f.train]).score(z[f.test], t[f.test]) for f in folds]
    assert model.settings_[0]["accuracy"] == pytest.approx(np.mean(kept_out))


def test_every_boundary_chooses_for_itself_what_keeps_most_rows_right() -> None:
    x, y = hops(200)
    y = np.abs(y - 0.7)  # not a line: degree 2 is needed
    grid = {"Cs": (1.0, 3.0), "degrees": (1, 2), "coef0s": (1.0, 7.0)}
    model = OrdinalSVC(boundaries=[0.1, 0.2, 0.3], **grid).fit(x, y)
    for number, found in enumerate(model.settings_):
        tried = [
            OrdinalSVC(boundaries=[found["boundary"]], Cs=(c,), degrees=(d,), coef0s=(c0,)).fit(x, y).settings_[0]
            for d in (1, 2)
            for c0 in ((1.0,) if d == 1 else (1.0, 7.0))
            for c in (1.0, 3.0)
        ]
        best = max(each["accuracy"] for each in tried)
        assert found["accuracy"] == best
        # Of equal ones the first: lowest degree, coef0, C.
        first = next(each for each in tried if each["accuracy"] == best)
        assert [found[key] for key in ("degree", "coef0", "C")] == [first[key] for key in ("degree", "coef0", "C")]
        assert found["below"] == (y < model.boundaries_[number]).sum()
        assert found["below"] + found["above"] == 200
    # The choices are real ones.
    assert [each["degree"] for each in model.settings_] == [1, 2, 2]


def test_coef0_changes_nothing_at_degree_1() -> None:
    x, y = hops()
    low, high = (OrdinalSVC(degrees=(1,), Cs=(1.0,), coef0s=(c,), tol=1e-6).fit(x, y) for c in (1.0, 7.0))
    assert low.predict_below(x) == pytest.approx(high.predict_below(x), abs=1e-4)


@given(st.integers(0, 1000))
@settings(max_examples=20)
def test_the_sigmoid_is_at_its_optimum(seed: int) -> None:
    generator = np.random.default_rng(seed)
    t = np.arange(30) % 3 == 0
    decisions = 50 * (generator.normal(size=30) + t)
    slope, offset = fit_sigmoid(decisions, t.astype(int))
    p = expit(slope * decisions + offset)
    goal = np.where(t, 11 / 12, 1 / 22)
    assert (p - goal).sum() == pytest.approx(0, abs=1e-5)
    assert ((p - goal) * decisions).sum() == pytest.approx(0, abs=1e-3)


def test_separable_decisions_get_a_finite_slope() -> None:
    slope, offset = fit_sigmoid(np.array([-1e6] * 10 + [1e6] * 10), np.repeat([0, 1], 10))
    assert expit(slope * 1e6 + offset) == pytest.approx(11 / 12)


def test_boundaries_without_enough_rows_on_a_side_follow_the_stated_rule() -> None:
    x, y = hops()
    y = np.clip(y, 0.35, 1.25)
    y[:3] = 0.15  # three rows below 0.2 and 0.3: too few for five folds
    model = OrdinalSVC(**SMALL).fit(x, y)
    rules = {round(each["boundary"], 1): each["rule"] for each in model.settings_}
    assert [b for b, rule in rules.items() if rule == "constant"] == [0.1, 0.2, 0.3, 1.3, 1.4]
    below = model.predict_below(x)
    assert (below[:, 0] == 0).all()  # nothing below 0.1
    assert (below[:, 1] == 3 / 150).all()
    assert (below[:, [12, 13]] == 1).all()  # everything below 1.3
    assert model.settings_[1]["C"] is None
    assert model.settings_[1]["accuracy"] == 147 / 150
    assert ((model.predict(x) > 0.1) & (model.predict(x) < 1.3)).all()


def test_a_boundary_that_is_learnt_the_wrong_way_round_is_not_believed() -> None:
    t = np.arange(40) % 4 == 0
    z = np.random.default_rng(0).normal(size=(40, 2))
    grid = Grid((1.0,), (1,), (1.0,), 20_000, 1e-2)
    # Rows that were kept out and lie below got the lower decision values.
    backwards = _calibrated(z, t.astype(int), 0.5, Found(12, 1.0, 1, 1.0, np.where(t, -1.0, 1.0) + z[:, 0]), grid)
    assert backwards.setting["rule"] == "constant"
    assert (backwards.below(z) == 0.25).all()
    forwards = _calibrated(z, t.astype(int), 0.5, Found(28, 1.0, 1, 1.0, np.where(t, 1.0, -1.0) + z[:, 0]), grid)
    assert forwards.setting["rule"] == "tuned"
    assert len(np.unique(forwards.below(z))) > 1


@pytest.mark.parametrize("rows", [1, 2, 3, 6, 11])
@pytest.mark.parametrize("boundaries", [PUBLISHED_BOUNDARIES, None, (0.5,), ()])
def test_few_rows_never_crash(rows: int, boundaries: tuple[float, ...] | None) -> None:
    x, y = hops(rows)
    model = OrdinalSVC(boundaries, **SMALL).fit(x, y)
    p = model.predict_range_proba(x)
    assert p.shape == (rows, len(model.boundaries_) + 1)
    assert p.sum(axis=1) == pytest.approx(1.0)
    assert np.isfinite(model.predict(x)).all()


def test_equal_values_and_columns_that_do_not_vary() -> None:
    x, _ = hops(20)
    assert OrdinalSVC(boundaries=None).fit(x, np.full(20, 0.3)).predict(x) == pytest.approx(0.3)
    y = np.repeat([0.2, 0.8], 10)
    model = OrdinalSVC(boundaries=None, **SMALL).fit(np.ones((20, 2)), y)
    assert np.isin(model.predict(np.ones((3, 2))), [0.2, 0.8]).all()


def test_nothing_converges_and_nothing_breaks() -> None:
    x, y = hops()
    model = OrdinalSVC(boundaries=[0.6], max_steps=1).fit(x, y)
    assert model.settings_[0]["rule"] == "constant"
    assert model.predict_below(x)[:, 0] == pytest.approx((y < 0.6).mean())


# --- the estimator ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [
        OrdinalSVC(boundaries=None, Cs=(1.0,), degrees=(1, 2), coef0s=(1.0,)),
        OrdinalSVC(boundaries=None, Cs=(1.0,), degrees=(1,), answer="expectation"),
        OrdinalSVC(Cs=(1.0,), degrees=(1,)),
    ],
    ids=["quantiles", "expectation", "published boundaries"],
)
def test_the_estimator_keeps_the_contract_of_scikit_learn(model: OrdinalSVC) -> None:
    results = check_estimator(model, on_skip=None)
    assert len(results) > 40
    assert {each["check_name"] for each in results if each["status"] != "passed"} <= {"check_array_api_input"}


@given(seed=st.integers(0, 100), answer=st.sampled_from(["middle", "expectation"]))
@settings(max_examples=8, deadline=None)
def test_properties_of_predictions(seed: int, answer: str) -> None:
    x, y = hops(80, seed)
    model = OrdinalSVC(answer=answer, **SMALL).fit(x, y)
    far = np.random.default_rng(seed).normal(size=(50, 3)) * [5, 20, 3]  # nowhere near the training rows
    probabilities, found = model.predict_range_proba(far), model.predict(far)
    assert probabilities.sum(axis=1) == pytest.approx(1.0)
    assert (probabilities >= 0).all()
    assert (found >= 0.05 - 1e-12).all()
    assert (found <= 1.45 + 1e-12).all()
    if answer == "middle":
        assert np.isin(found, model.middles_).all()
        low, high = model.ranges_[model.predict_range(far)].T
        assert ((low < found) & (found < high)).all()


def test_the_order_of_rows_does_not_matter() -> None:
    x, y = hops()
    shuffled = np.random.default_rng(5).permutation(len(y))
    one, two = OrdinalSVC(**SMALL).fit(x, y), OrdinalSVC(**SMALL).fit(x[shuffled], y[shuffled])
    assert one.settings_ == two.settings_
    assert np.array_equal(one.predict_below(x), two.predict_below(x))


def test_the_seed_decides_and_units_of_inputs_do_not() -> None:
    x, y = hops()
    model = OrdinalSVC(**SMALL, random_state=3)
    one, two, other = model.fit(x, y), clone(model).fit(x, y), OrdinalSVC(**SMALL, random_state=4).fit(x, y)
    assert np.array_equal(one.predict_below(x), two.predict_below(x))
    assert not np.array_equal(one.predict_below(x), other.predict_below(x))
    scaled = OrdinalSVC(**SMALL, random_state=3).fit(x * [100, 0.1, 1] + 7, y)
    assert scaled.predict_below(x * [100, 0.1, 1] + 7) == pytest.approx(one.predict_below(x), abs=1e-3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"boundaries": [0.2, 0.1]},
        {"boundaries": [0.1, np.nan]},
        {"answer": "mode"},
        {"folds": 1},
        {"Cs": ()},
        {"degrees": (-1,)},
    ],
)
def test_wrong_parameters_are_refused_when_fitting(wrong: dict[str, object]) -> None:
    x, y = hops(20)
    with pytest.raises(ValueError, match=f"'{next(iter(wrong))}' of OrdinalSVC"):
        OrdinalSVC(**wrong).fit(x, y)


# --- beside cumulative-link regression ---------------------------------------------------------------------------------


class ProportionalOdds:
    """Plain cumulative-link regression, logit P(E < b_k) = theta_k - x . beta, by maximum likelihood."""

    def fit(self, x: np.ndarray, number: np.ndarray, m: int) -> ProportionalOdds:
        features = x.shape[1]

        def thresholds(values: np.ndarray) -> np.ndarray:
            return np.cumsum(np.concatenate([values[:1], np.exp(values[1:])]))

        def loss(at: np.ndarray) -> float:
            cumulative = expit(thresholds(at[features:]) - (x @ at[:features])[:, None])
            of_range = np.diff(cumulative, axis=1, prepend=0.0, append=1.0)
            return -float(np.log(np.maximum(of_range[np.arange(len(x)), number], 1e-300)).sum())

        start = np.concatenate([np.zeros(features), [-1.0], np.full(m - 1, -1.0)])
        found = minimize(loss, start, method="BFGS", options={"gtol": 1e-3})
        self.beta, self.theta = found.x[:features], thresholds(found.x[features:])
        return self

    def below(self, x: np.ndarray) -> np.ndarray:
        return expit(self.theta - (x @ self.beta)[:, None])


def test_it_keeps_up_with_cumulative_link_regression_on_ordinal_data() -> None:
    # Data made exactly as cumulative-link regression believes: a line and logistic noise. Nothing can be better there, so the
    # classifiers, which share no slope, must come close.
    generator = np.random.default_rng(11)
    x = generator.normal(size=(900, 3))
    y = 0.7 + x @ [0.25, -0.15, 0.1] + 0.06 * generator.logistic(size=900)
    train, test = slice(0, 500), slice(500, None)
    boundaries = np.arange(3, 12) / 10
    number = np.searchsorted(boundaries, y, side="right")

    plain = ProportionalOdds().fit(x[train], number[train], len(boundaries))
    # The fit itself is right: slopes of the latent line in units of the noise.
    assert plain.beta == pytest.approx(np.array([0.25, -0.15, 0.1]) / 0.06, rel=0.15)

    model = OrdinalSVC(boundaries, Cs=(1.0, 3.0), degrees=(1, 2), coef0s=(1.0,)).fit(x[train], y[train])
    ours, theirs = model.predict_below(x[test]), plain.below(x[test])
    assert np.abs(ours - theirs).mean() < 0.03
    # Each classifier stands alone, but on such data their probabilities rise with the boundary all but everywhere.
    assert (np.diff(theirs, axis=1) >= 0).all()
    assert (np.diff(ours, axis=1) < -0.02).mean() < 0.01

    middles = model.middles_
    likeliest = np.diff(theirs, axis=1, prepend=0.0, append=1.0).argmax(axis=1)
    correct = [(each == number[test]).mean() for each in (model.predict_range(x[test]), likeliest)]
    assert correct[0] > correct[1] - 0.04
    error = [np.abs(each - y[test]).mean() for each in (model.predict(x[test]), middles[likeliest])]
    assert error[0] < 1.08 * error[1]
    mean = [
        np.abs(each - y[test]).mean() for each in (model.predict_expectation(x[test]), expectation(theirs, middles))
    ]
    assert mean[0] < 1.08 * mean[1]
    # Both are far from knowing nothing.
    assert error[0] < 0.6 * np.abs(np.median(y[train]) - y[test]).mean()
