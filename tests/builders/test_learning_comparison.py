"""Comparison of models: fair (nothing leaks), deterministic, complete."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin

from builders.learning.comparison import (
    QUICK,
    Effort,
    Line,
    Task,
    compare,
    halving_search,
    ranked,
    summarise,
    try_model,
)
from builders.learning.contenders import CONSTANT, Contender, contender, contenders
from builders.learning.splits import group_folds
from store.errors import MissingExtra, UsageError

SMALL = Effort(folds=3, inner_folds=2, candidates=6)
SEEN: list[tuple[frozenset[int], frozenset[int]]] = []


def noise(n: int = 120, per_group: int = 3, seed: int = 0) -> Task:
    """Column 0 tells the row's number, column 1 the target, the others nothing."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(n, 5))
    x[:, 0] = np.arange(n)
    y = 2.0 * x[:, 1] + 0.1 * generator.normal(size=n)
    return Task.of(x, y, np.arange(n) // per_group)


class Spy(RegressorMixin, BaseEstimator):
    """Notes which rows it is fitted on, and which it is asked about."""

    def __init__(self, shrink: float = 0.0) -> None:
        self.shrink = shrink

    def fit(self, X: Any, y: Any) -> Spy:
        self.rows_ = frozenset(np.asarray(X)[:, 0].astype(int).tolist())
        self.mean_ = float(np.mean(y)) * (1 - self.shrink)
        return self

    def predict(self, X: Any) -> Any:
        SEEN.append((self.rows_, frozenset(np.asarray(X)[:, 0].astype(int).tolist())))
        return np.full(len(X), self.mean_)


SPY = Contender("spy", lambda seed: Spy(), {"shrink": [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]})


def test_neither_search_nor_model_sees_a_row_of_a_group_that_is_kept_out() -> None:
    SEEN.clear()
    task = noise()
    folds = group_folds(task.groups, SMALL.folds, 0)
    trials, began = list(try_model(SPY, task, SMALL)), 0
    assert len(trials) == SMALL.folds
    # Rows on which a fitted model is asked, fold by fold: the last question of a fold is about the rows kept out.
    for fold, trial in zip(folds, trials, strict=True):
        kept_out = set(fold.test.tolist())
        assert set(trial.test.tolist()) == kept_out
        end = next(k for k in range(began, len(SEEN)) if SEEN[k][1] == frozenset(kept_out))
        assert end - began >= 12  # six settings on two folds inside
        for fitted, _ in SEEN[began : end + 1]:
            assert not fitted & kept_out
        for _, asked in SEEN[began:end]:
            assert not asked & kept_out
        groups_out = set(task.groups[list(kept_out)].tolist())
        assert not groups_out & set(task.groups[fold.train].tolist())
        began = end + 1
    assert began == len(SEEN)


def test_folds_inside_the_search_keep_groups_whole_too() -> None:
    SEEN.clear()
    task = noise()
    list(try_model(SPY, task, SMALL))
    asked_twice = 0
    for fitted, asked in SEEN:
        if not fitted & asked:  # a score on rows that were learnt from is none
            asked_twice += 1
            assert not set(task.groups[list(fitted)].tolist()) & set(task.groups[list(asked)].tolist())
    assert asked_twice >= 36


def test_every_row_is_predicted_once() -> None:
    task = noise()
    trials = list(try_model(contender("ridge"), task, SMALL))
    assert sorted(np.concatenate([trial.test for trial in trials]).tolist()) == list(range(len(task)))


def test_noise_is_not_predicted_better_than_by_a_constant() -> None:
    # A leak through search or scaling would show as skill.
    generator = np.random.default_rng(3)
    task = Task.of(generator.normal(size=(150, 30)), generator.normal(size=150), np.arange(150) // 2)
    lines = {
        line.name: line for line in compare([contender(CONSTANT), contender("lightgbm"), contender("svr")], task, SMALL)
    }
    constant = lines[CONSTANT].scores["mae"]
    assert constant is not None
    for name in ("lightgbm", "svr"):
        found = lines[name].scores["mae"]
        assert found is not None
        assert found > 0.95 * constant


def test_a_group_that_tells_its_target_is_of_no_use() -> None:
    # A column that names the group: with rows of one group on both sides it would tell the target.
    generator = np.random.default_rng(4)
    groups = np.arange(160) // 4
    y = generator.normal(size=40)[groups]
    task = Task.of(groups[:, None].astype(float), y, generator.permutation(40)[groups])
    line = compare([contender("knn")], task, SMALL)[0]
    assert line.scores["r2"] is not None
    assert line.scores["r2"] < 0.3


def test_the_same_seed_gives_the_same_table_and_another_seed_another_one() -> None:
    task = noise()
    models = [contender(name) for name in (CONSTANT, "ridge", "knn", "lightgbm", "gp")]
    one, two, other = (compare(models, task, SMALL, seed) for seed in (0, 0, 1))
    assert [_told(line) for line in one] == [_told(line) for line in two]
    assert [_told(line) for line in one] != [_told(line) for line in other]


def _told(line: Line) -> tuple[Any, ...]:
    return line.name, line.scores, line.spread, line.intervals, line.chosen


@pytest.mark.parametrize("name", list(contenders()))
def test_every_model_takes_gaps_and_learns_what_is_there(name: str) -> None:
    generator = np.random.default_rng(5)
    x = generator.normal(size=(120, 6))
    y = 3.0 * x[:, 0]
    x[generator.random(x.shape) < 0.03] = np.nan
    task = Task.of(x, y, np.arange(120))
    line = summarise(name, task, list(try_model(contender(name), task, QUICK)))
    assert line.error is None
    assert line.scores["mae"] is not None
    if name == CONSTANT:
        assert line.scores["spearman"] is None
        assert line.scores["mae"] == pytest.approx(np.abs(y - np.median(y)).mean(), rel=0.1)
    else:
        assert line.scores["mae"] < 0.75 * np.abs(y - np.median(y)).mean()
    low, high = line.intervals["mae"]
    assert low is not None
    assert high is not None
    assert low <= line.scores["mae"] <= high
    assert line.seconds > 0
    assert len(line.chosen) == QUICK.folds
    for chosen in line.chosen:
        assert set(chosen) == set(contenders()[name].space)
        assert all(chosen[key] in contenders()[name].space[key] for key in chosen)


def test_the_search_ends_on_all_rows_and_begins_on_fewer() -> None:
    task = noise(n=600)
    search = halving_search(contender("ridge").make(0), contender("ridge").space, len(task), Effort(candidates=7))
    search.fit(task.features, task.target, groups=task.groups)
    assert search.n_resources_[-1] > len(task) * 0.9
    assert search.n_resources_[0] < len(task) / 2
    assert search.n_candidates_[0] == 7


def test_few_rows_are_searched_in_one_round() -> None:
    task = noise(n=60)
    search = halving_search(contender("ridge").make(0), contender("ridge").space, len(task), QUICK)
    search.fit(task.features, task.target, groups=task.groups)
    assert search.n_resources_ == [60]


def test_failures_stand_last_with_their_reason() -> None:
    lines = [Line("a", error="no"), Line("b", {"mae": 2.0}), Line("c", {"mae": 1.0})]
    assert [line.name for line in ranked(lines)] == ["c", "b", "a"]


def test_a_model_that_predicts_nonsense_has_no_scores() -> None:
    task = noise(30)
    trials = list(try_model(contender(CONSTANT), task, SMALL))
    broken = [trial._replace(predicted=np.full(len(trial.test), np.nan)) for trial in trials]
    assert summarise("x", task, broken).error


@pytest.mark.parametrize(
    ("x", "y", "groups", "said"),
    [
        (np.zeros((5, 2)), np.arange(5.0), np.arange(5), "No feature differs"),
        (np.eye(5), np.array([0, 1, np.nan, 3, 4]), np.arange(5), "1 rows have no finite target"),
        (np.eye(5), np.arange(5.0), np.zeros(5), "4 groups"),
        (np.eye(5), np.arange(4.0), np.arange(5), "do not fit"),
    ],
)
def test_impossible_tasks_are_refused(x: Any, y: Any, groups: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Task.of(x, y, groups)


def test_columns_that_say_nothing_are_left_out() -> None:
    x = np.column_stack([np.zeros(8), np.arange(8.0), np.full(8, np.nan), [np.nan] * 4 + [1.0] * 4])
    assert Task.of(x, np.arange(8.0), np.arange(8)).features.shape == (8, 2)


def test_unknown_models_are_refused_with_the_choices() -> None:
    with pytest.raises(UsageError) as caught:
        contender("oracle")
    assert "lightgbm" in (caught.value.mend or "")


def test_flaml_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "flaml" else find(name, *rest))
    with pytest.raises(MissingExtra) as caught:
        contender("flaml")
    assert "ionatlas[automl]" in (caught.value.mend or "")
