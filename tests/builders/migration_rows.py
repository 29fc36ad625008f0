"""Made-up hops to learn from, a small model of them, and hops that the model that ships knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from builders.barriers.describe import NAMES
from builders.learning.stacked import StackedRegressor
from builders.migration import members, train
from builders.migration.model import MigrationModel
from builders.migration.train import TrainingRows


def made_rows(n: int = 120, n_groups: int = 24, seed: int = 0) -> TrainingRows:
    """Barriers that fall with the neck and rise with the bond-valence barrier; groups share an offset."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, len(NAMES)))
    features[rng.random(features.shape) < 0.02] = np.nan
    column = {name: NAMES.index(name) for name in ("neck", "bvse_barrier")}
    features[:, column["neck"]] = rng.uniform(1.4, 2.4, n)
    features[:, column["bvse_barrier"]] = rng.uniform(0.0, 10.0, n)
    group = rng.permutation(np.arange(n) % n_groups)
    barrier = 0.9 - 0.6 * (features[:, column["neck"]] - 1.9) + 0.04 * features[:, column["bvse_barrier"]]
    barrier = np.maximum(barrier + rng.normal(0.0, 0.1, n_groups)[group] + rng.normal(0.0, 0.05, n), 0.01)
    ions = np.where(rng.random(n) < 0.7, "Li", np.where(rng.random(n) < 0.8, "Na", "Mg"))
    return TrainingRows(
        features,
        barrier,
        ions.tolist(),
        [f"F{k}" for k in group],
        [f"C{k % 6}" for k in group],
        [f"h{k}" for k in range(n)],
    )


def small_stack(names: Any = members.USED, seed: int = 0, pull: float = 1.0) -> StackedRegressor:
    stack = _whole(names, seed, pull)
    (_, boosting), (_, trees), *_ = stack.members
    boosting.set_params(n_estimators=12)
    trees.regressor.set_params(n_estimators=6)
    return stack


_whole = members.make_stack


@contextmanager
def smaller() -> Iterator[None]:
    """Training takes a second instead of a minute."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "make_stack", small_stack)
        patch.setattr(train, "REPEATS", 2)
        yield


def typical(model: MigrationModel, n: int = 1) -> np.ndarray:
    """A hop in the middle of all that was learned from."""
    row = np.full(len(NAMES), np.nan)
    row[[NAMES.index(name) for name in model.names]] = model.median
    return np.repeat(row[None], n, axis=0)


def known(model: MigrationModel) -> np.ndarray:
    """The hops that were learned from, as far as their bounded scores tell."""
    weights = np.sqrt(model.domain.weights)
    scores = model.domain.points / np.where(weights > 0, weights, 1.0)
    rows = np.full((len(scores), len(NAMES)), np.nan)
    rows[:, [NAMES.index(name) for name in model.names]] = scores * model.scale + model.mean
    return rows
