"""The polynomial SVR: what it chooses, against scikit-learn's own search; few rows, order and seeds."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR
from sklearn.utils.estimator_checks import check_estimator

from builders.learning.splits import canonical_order, level_folds
from builders.learning.svr import PUBLISHED, PolynomialSVR

SMALL = {"Cs": (0.1, 1.0), "epsilons": (0.034,), "degrees": (1, 2)}


def hops(n: int = 100, seed: int = 0, noise: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    x = generator.normal([1.9, 3.6, 1.4], [0.2, 0.6, 0.1], size=(n, 3))
    return x, 0.7 - 1.2 * (x[:, 0] - 1.9) + 0.25 * (x[:, 1] - 3.6) ** 2 + noise * generator.normal(size=n)


def test_the_published_optimum_is_inside_the_grid() -> None:
    grid = {name: each.default for name, each in inspect.signature(PolynomialSVR).parameters.items()}
    assert PUBLISHED["C"] in grid["Cs"]
    assert PUBLISHED["epsilon"] in grid["epsilons"]
    assert PUBLISHED["degree"] in grid["degrees"]
    assert min(grid["Cs"]) < PUBLISHED["C"] < max(grid["Cs"])
    assert min(grid["epsilons"]) < PUBLISHED["epsilon"] < max(grid["epsilons"])
    assert grid["folds"] == 10


def test_it_chooses_what_the_search_of_scikit_learn_chooses() -> None:
    x, y = hops()
    grid = {"C": [0.1, 1.0], "epsilon": [0.034, 0.1], "degree": [1, 2]}
    model = PolynomialSVR(grid["C"], grid["epsilon"], grid["degree"]).fit(x, y)
    order = canonical_order(x, y)
    z, y = StandardScaler().fit_transform(x[order]), y[order]
    folds = [tuple(fold) for fold in level_folds(100, 10, 0)]
    twin = GridSearchCV(
        SVR(kernel="poly", gamma=1 / 3, coef0=1.0), grid, scoring="neg_mean_absolute_error", cv=folds
    ).fit(z, y)
    assert model.best_params_ == twin.best_params_
    assert model.best_score_ == pytest.approx(-twin.best_score_, rel=1e-3)
    assert model.predict(x[order]) == pytest.approx(twin.predict(z), abs=1e-6)


def test_a_parabola_is_found_by_a_higher_degree_and_a_line_by_degree_1() -> None:
    x, y = hops(noise=0.02)
    curved = PolynomialSVR().fit(x, y)
    assert curved.best_params_["degree"] >= 2
    assert curved.best_score_ < 0.5 * PolynomialSVR(degrees=(1,)).fit(x, y).best_score_
    generator = np.random.default_rng(1)
    line = 0.7 - 1.2 * (x[:, 0] - 1.9) + 0.05 * generator.normal(size=100)
    model = PolynomialSVR().fit(x, line)
    assert model.best_params_["degree"] == 1
    assert model.best_score_ < 0.06
    fresh, _ = hops(seed=7)
    assert np.abs(model.predict(fresh) - (0.7 - 1.2 * (fresh[:, 0] - 1.9))).max() < 0.06


def test_the_estimator_keeps_the_contract_of_scikit_learn() -> None:
    results = check_estimator(PolynomialSVR(**SMALL), on_skip=None)
    assert len(results) > 40
    assert {each["check_name"] for each in results if each["status"] != "passed"} <= {"check_array_api_input"}


@pytest.mark.parametrize("rows", [1, 2, 3, 9, 12])
def test_few_rows_never_crash(rows: int) -> None:
    x, y = hops(rows)
    model = PolynomialSVR().fit(x, y)
    assert np.isfinite(model.predict(x)).all()
    if rows == 1:
        assert model.best_params_ == {}
        assert model.predict([[0.0, 0.0, 0.0]]) == pytest.approx(y)
    else:
        assert model.best_params_["degree"] in {1, 2, 3}


def test_equal_targets_and_equal_columns() -> None:
    x, y = hops(20)
    assert PolynomialSVR().fit(x, np.full(20, 0.4)).predict(x) == pytest.approx(0.4, abs=0.11)
    assert np.isfinite(PolynomialSVR().fit(np.ones((20, 2)), y).predict(np.ones((1, 2)))).all()


def test_nothing_converges_and_nothing_breaks() -> None:
    x, y = hops()
    model = PolynomialSVR(max_steps=1).fit(x, y)
    assert np.isnan(model.best_score_)
    assert model.best_params_ == {"C": 0.01, "epsilon": 0.1, "degree": 1}


def test_order_of_rows_and_units_of_inputs_do_not_matter_but_the_seed_does() -> None:
    x, y = hops(60)
    shuffled = np.random.default_rng(3).permutation(60)
    one, two = PolynomialSVR(**SMALL).fit(x, y), PolynomialSVR(**SMALL).fit(x[shuffled], y[shuffled])
    assert np.array_equal(one.predict(x), two.predict(x))
    assert one.best_score_ == two.best_score_ != PolynomialSVR(**SMALL, random_state=9).fit(x, y).best_score_
    scaled = PolynomialSVR(**SMALL).fit(x * 1000 - 5, y)
    assert scaled.best_params_ == one.best_params_
    assert scaled.predict(x * 1000 - 5) == pytest.approx(one.predict(x), abs=1e-2)


@pytest.mark.parametrize("wrong", [{"Cs": ()}, {"epsilons": (-0.1,)}, {"degrees": (np.nan,)}, {"folds": 1}])
def test_wrong_parameters_are_refused_when_fitting(wrong: dict[str, object]) -> None:
    x, y = hops(20)
    with pytest.raises(ValueError, match=f"'{next(iter(wrong))}' of PolynomialSVR"):
        PolynomialSVR(**wrong).fit(x, y)
