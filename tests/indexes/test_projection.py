"""The projection is a lower bound that pays where vectors differ in few directions, and stands aside elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from indexes import faiss_flat
from indexes.faiss_flat import FaissFlat
from indexes.projection import ROWS, SHARE, make_projection
from indexes.vector import METRICS, Metric, NumpyExact


def flat_rows(count: int = ROWS, dimension: int = 60, kept: int = 6) -> np.ndarray:
    """Vectors far from the origin that differ in few (oblique) directions, and a little in all."""
    random = np.random.default_rng(5)
    inner = random.standard_normal((count, kept)) @ random.standard_normal((kept, dimension))
    return (7.0 + inner + 0.05 * random.standard_normal((count, dimension))).astype(np.float32)


def test_no_row_is_nearer_in_space_than_in_the_projection() -> None:
    rows = flat_rows()
    made = make_projection(rows)
    assert made is not None
    assert made.index.d == 8
    for query in (rows[3], rows[7] + 1, np.zeros(60, np.float32), -50 * rows[11]):
        projected = made.query(query)
        scores, slots = made.index.search(projected, len(rows))
        exact = ((rows[slots[0]].astype(np.float64) - query.astype(np.float64)) ** 2).sum(axis=1)
        bounds = np.array([made.reach(score, query, projected) for score in exact])
        assert (scores[0] <= bounds).all()
    scores, slots = made.index.search(made.query(rows[3]), len(rows))
    exact = ((rows[slots[0]].astype(np.float64) - rows[3].astype(np.float64)) ** 2).sum(axis=1)
    assert np.median(scores[0, 1:] / exact[1:]) > SHARE - 0.1  # and a near bound, among the rows themselves


def test_it_stands_aside_where_it_would_not_pay() -> None:
    random = np.random.default_rng(6)
    assert make_projection(random.standard_normal((ROWS, 60), dtype=np.float32)) is None
    assert make_projection(flat_rows(ROWS - 1)) is None
    assert make_projection(np.ones((ROWS, 60), np.float32)) is None


def test_no_product_is_larger_in_space_than_in_the_projection() -> None:
    rows = flat_rows()
    rows *= np.linspace(0.5, 1.5, len(rows), dtype=np.float32)[:, None]
    made = make_projection(rows, inner_product=True)
    assert made is not None
    for query in (rows[3], -rows[7], rows[8] * 100, np.zeros(60, np.float32)):
        projected = made.query(query)
        scores, slots = made.index.search(projected, len(rows))
        exact = -(rows[slots[0]].astype(np.float64) @ query.astype(np.float64))
        bounds = np.array([made.reach(score, query, projected) for score in exact])
        assert (scores[0] <= bounds).all()


@pytest.mark.parametrize("metric", METRICS)
def test_answers_are_the_same_before_and_after_it_is_made_and_after_changes(metric: Metric) -> None:
    rows = flat_rows()
    ids = [f"mp-{number}" for number in range(len(rows))]
    fast, plain = FaissFlat(60, metric), NumpyExact(60, metric)
    for index in (fast, plain):
        index.add(ids, rows)
    allowed = set(ids[:9000])
    for step in range(3):
        for query in rows[:6] + np.float32(0.01 * step):
            for only in (None, allowed):
                one, two = (index.search(query, 12, allowed_ids=only) for index in (fast, plain))
                assert one.ids.tolist() == two.ids.tolist()
                assert one.distances.tobytes() == two.distances.tobytes()
        assert fast._projection is not None
        for index in (fast, plain):
            index.update(ids[:5], rows[100:105])
            index.remove([f"mp-{step}"])
            index.add([f"mp-{step}"], rows[50:51])
        assert fast._projection is None  # made anew from the rows as they are


def test_it_is_not_made_for_a_single_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command line asks once; a projection costs as much as twenty searches."""
    made: list[int] = []
    monkeypatch.setattr(faiss_flat, "make_projection", lambda rows, inner_product: made.append(len(rows)))
    index = FaissFlat(60)
    index.add([str(number) for number in range(ROWS)], flat_rows())
    index.search(np.ones(60), 3)
    assert made == []
    for _ in range(5):
        index.search(np.ones(60), 3)
    assert made == [ROWS]  # once, also when it was found useless


def test_it_can_be_made_before_the_first_question() -> None:
    index = FaissFlat(60)
    index.add([str(number) for number in range(ROWS)], flat_rows())
    index.prepare()
    assert index._projection is not None
