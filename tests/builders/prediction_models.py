"""A model whose answers can be worked out by hand: what predictions do with a model, whatever the model."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from builders.engine.work import BuilderSpec, Outcome, WorkItem, run_chunk


class Told(NamedTuple):
    value: Any
    lower: Any
    upper: Any
    in_domain: Any
    distance: Any
    reasons: list[str]


class HandModel:
    """Barrier = first descriptor / 10; sure within 0.1 eV; hops whose first descriptor is above ``limit`` are unknown to it."""

    id = "hand-1"

    def __init__(self, limit: float = 4.0) -> None:
        self.limit = limit
        self.calls: list[int] = []

    def predict(self, features: Any, ions: Sequence[str]) -> Told:
        assert features.shape[0] == len(ions)
        self.calls.append(len(ions))
        first = np.asarray(features)[:, 0]
        value = first / 10
        inside = first <= self.limit
        reasons = [
            "" if each else f"{one:.1f} is more than {self.limit}" for each, one in zip(inside, first, strict=True)
        ]
        return Told(value, np.maximum(value - 0.1, 0.0), value + 0.1, inside, first, reasons)


class Here:
    """An executor that works in this process, where a model of the test's own is at hand."""

    def __init__(self, workers: int, memory_bytes: int) -> None:
        self.workers = workers

    def submit(self, spec: BuilderSpec, items: Sequence[WorkItem], limit: float) -> Any:
        future: concurrent.futures.Future[list[Outcome]] = concurrent.futures.Future()
        try:
            future.set_result(run_chunk(spec, items))
        except Exception as error:
            future.set_exception(error)
        return future

    def check(self) -> None:
        """Nothing can break."""

    def close(self, *, at_once: bool) -> None:
        """Nothing is open."""
