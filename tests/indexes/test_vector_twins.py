"""The fast index and its plain twin give the same answers, to the last bit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from indexes import faiss_flat, projection
from indexes.faiss_flat import FaissFlat
from indexes.vector import METRICS, Metric, NumpyExact, VectorIndex
from store.errors import UnknownId, UsageError

Twin = type[FaissFlat] | type[NumpyExact]
TWINS: list[Twin] = [FaissFlat, NumpyExact]


@pytest.fixture(autouse=True, scope="module", params=["plain", "projected"])
def every_search_through_faiss(request: pytest.FixtureRequest) -> Iterator[None]:
    """Small indexes are scored directly; here FAISS is to answer, and a second look to be needed often.

    Once as small indexes are searched, and once through a projection, at once and on however poor axes.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(faiss_flat, "_FEW", 0)
        patch.setattr(faiss_flat, "_SPARE", 1)
        if request.param == "projected":
            patch.setattr(faiss_flat, "_BEFORE", 0)
            patch.setattr(projection, "ROWS", 2)
            patch.setattr(projection, "SHARE", 0.3)
            patch.setattr(projection, "_STEP", 1)
        yield


def assert_same(one: VectorIndex, two: VectorIndex, queries: object, k: int, allowed: set[str] | None = None) -> None:
    fast, plain = (index.search(queries, k, allowed_ids=allowed) for index in (one, two))  # type: ignore[arg-type]
    assert fast.ids.tolist() == plain.ids.tolist()
    assert fast.distances.tobytes() == plain.distances.tobytes()


def vectors_of(random: np.random.Generator, n: int, dimension: int, kind: str) -> np.ndarray:
    """Random vectors of several awkward kinds."""
    if kind == "grid":  # many exact ties
        return random.integers(1, 3, (n, dimension)).astype(np.float32)
    if kind == "far":  # far from the origin and near to each other: the expanded square would lose every digit
        return (1000 + random.integers(0, 3, (n, dimension)) * 1e-3).astype(np.float32)
    if kind == "tailed":  # like composition statistics: most small, some huge
        return (random.standard_t(1.5, (n, dimension)) * 3).astype(np.float32)
    return random.standard_normal((n, dimension)).astype(np.float32)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", ["grid", "far", "tailed", "normal"])
@pytest.mark.parametrize("dimension", [1, 3, 37, 290])
def test_twins_agree(metric: Metric, kind: str, dimension: int) -> None:
    random = np.random.default_rng(dimension)
    stored = vectors_of(random, 400, dimension, kind)
    stored[50:80] = stored[0]  # one composition, many polymorphs
    ids = [f"mp-{number}" for number in random.permutation(400)]
    fast, plain = FaissFlat(dimension, metric), NumpyExact(dimension, metric)
    for index in (fast, plain):
        index.add(ids, stored)
        index.remove(ids[100:150])
        index.update(ids[10:30], stored[200:220])
    queries = np.concatenate([stored[:30], vectors_of(random, 12, dimension, kind)])
    allowed = set(ids[::3]) | {"not there"}
    for k in (1, 5, 31, 350, 1000):
        assert_same(fast, plain, queries, k)
        assert_same(fast, plain, queries, k, allowed)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", ["grid", "far", "tailed", "normal"])
@pytest.mark.parametrize("dimension", [4, 24])
def test_twins_agree_on_many_vectors(metric: Metric, kind: str, dimension: int) -> None:
    """From some 10,000 vectors on FAISS takes other ways through a single query, with other rounding."""
    random = np.random.default_rng(dimension)
    stored = vectors_of(random, 25_000, dimension, kind)
    ids = [f"mp-{number}" for number in range(25_000)]
    fast, plain = FaissFlat(dimension, metric), NumpyExact(dimension, metric)
    for index in (fast, plain):
        index.add(ids, stored)
    queries = np.concatenate([stored[:2], vectors_of(random, 2, dimension, kind)])
    for query in queries:
        assert_same(fast, plain, query, 10)
    assert_same(fast, plain, queries, 100, set(ids[::2]))


class Twins(RuleBasedStateMachine):
    """Random adds, removes, updates and searches on both."""

    def __init__(self) -> None:
        super().__init__()
        self.fast, self.plain = FaissFlat(3), NumpyExact(3)
        self.random = np.random.default_rng(0)

    names = st.sets(st.sampled_from([f"m{number}" for number in range(25)]), min_size=1, max_size=8)

    @rule(names=names)
    def add(self, names: set[str]) -> None:
        new = sorted(names - set(self.plain.ids()))
        rows = self.random.integers(0, 3, (len(new), 3))
        for index in (self.fast, self.plain):
            index.add(new, rows)

    @precondition(lambda self: len(self.plain))
    @rule(names=names)
    def remove(self, names: set[str]) -> None:
        there = sorted(names & set(self.plain.ids()))
        for index in (self.fast, self.plain):
            index.remove(there)

    @precondition(lambda self: len(self.plain))
    @rule(names=names)
    def update(self, names: set[str]) -> None:
        there = sorted(names & set(self.plain.ids()))
        rows = self.random.integers(0, 3, (len(there), 3))
        for index in (self.fast, self.plain):
            index.update(there, rows)

    @rule(k=st.integers(1, 30), allowed=st.one_of(st.none(), names), n=st.integers(1, 25))
    def search(self, k: int, allowed: set[str] | None, n: int) -> None:
        assert_same(self.fast, self.plain, self.random.integers(0, 3, (n, 3)), k, allowed)

    @invariant()
    def same_contents(self) -> None:
        assert len(self.fast) == len(self.plain)
        assert self.fast.ids() == self.plain.ids()
        for name in self.plain.ids():
            assert name in self.fast
            assert self.fast.vector(name).tobytes() == self.plain.vector(name).tobytes()


def test_twins_agree_whatever_is_done_to_both() -> None:
    run_state_machine_as_test(Twins, settings=settings(max_examples=60, stateful_step_count=25, deadline=None))


@given(st.integers(0, 2**32 - 1), st.sampled_from(METRICS), st.integers(1, 40), st.integers(1, 60))
@settings(deadline=None)
def test_twins_agree_on_random_scales(seed: int, metric: Metric, dimension: int, k: int) -> None:
    random = np.random.default_rng(seed)
    scale = 10.0 ** random.uniform(-18, 14)
    stored = (random.standard_normal((60, dimension)) * scale).astype(np.float32)
    stored[::7] = stored[1] * np.float32(1 + 2.0**-20)
    fast, plain = FaissFlat(dimension, metric), NumpyExact(dimension, metric)
    for index in (fast, plain):
        index.add([str(number) for number in range(60)], stored)
    assert_same(fast, plain, stored[:25] * np.float32(1 + 2.0**-22), k)


def test_far_from_the_origin_faiss_alone_is_wrong_and_the_index_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    import faiss

    # The size of work from which FAISS expands the square differs between its releases; here it is to do so.
    monkeypatch.setattr(faiss.cvar, "distance_compute_blas_threshold", 20)
    random = np.random.default_rng(1)
    stored = (3000 + random.standard_normal((500, 290))).astype(np.float32)
    wide = stored.astype(np.float64)
    expected = np.sqrt(((wide[:50, None] - wide[None]) ** 2).sum(axis=2))
    alone = faiss.IndexFlatL2(290)
    alone.add(stored)
    _, nearest = alone.search(stored[:50], 5)
    assert (nearest != expected.argsort(axis=1)[:, :5]).any()
    index = FaissFlat(290)
    index.add([f"{number:03d}" for number in range(500)], stored)
    found = index.search(stored[:50], 5)
    assert (found.distances[:, 0] == 0).all()
    np.testing.assert_allclose(found.distances, np.sort(expected, axis=1)[:, :5], rtol=1e-12)
    assert found.ids.astype(int).tolist() == expected.argsort(axis=1)[:, :5].tolist()


@pytest.mark.parametrize("twin", TWINS)
def test_ties_come_in_the_order_of_ids(twin: Twin) -> None:
    index = twin(2)
    index.add(["d", "b", "c", "a", "e"], [[1, 0], [0, 1], [-1, 0], [0, -1], [0, 0]])
    assert index.search([0, 0], 3).ids.tolist() == [["e", "a", "b"]]
    index.remove(["a"])
    assert index.search([0, 0], 3).ids.tolist() == [["e", "b", "c"]]


@pytest.mark.parametrize("twin", TWINS)
def test_distances_are_what_they_are_called(twin: Twin) -> None:
    for metric, expected in (("l2", 5.0), ("cosine", 1 - 0.6), ("inner_product", -3.0)):
        index = twin(2, metric)  # type: ignore[arg-type]
        index.add(["a"], [[3, 4] if metric != "l2" else [4, 4]])
        assert index.search([[1, 0]], 1).distances[0, 0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("metric", METRICS)
def test_empty_and_small_indexes(twin: Twin, metric: Metric) -> None:
    index = twin(2, metric)
    assert index.search([[1, 2], [3, 4]], 3).ids.shape == (2, 0)
    assert len(index) == 0
    index.add([], np.empty((0, 2)))
    index.add(["a"], [[1, 0]])
    assert index.search([1, 0], 10).ids.tolist() == [["a"]]
    assert index.search(np.empty((0, 2)), 10).ids.shape == (0, 0) or index.search([], 10).ids.shape[0] == 0
    assert index.search([1, 0], 10, allowed_ids=[]).ids.shape == (1, 0)
    assert index.search([1, 0], 10, allowed_ids=["b"]).ids.shape == (1, 0)
    index.remove(["a"])
    index.remove([])
    assert index.search([1, 0], 1).distances.shape == (1, 0)
    index.add(["a", "b"], [[1, 0], [0, 1]])
    assert index.search([1, 0], 1).ids.tolist() == [["a"]]


@pytest.mark.parametrize("twin", TWINS)
def test_bad_input_is_refused_and_changes_nothing(twin: Twin) -> None:
    index = twin(2)
    index.add(["a", "b"], [[1, 0], [0, 1]])
    bad_queries: list[tuple[object, int, str]] = [
        ([1, 2, 3], 1, r"shape \(n, 2\); they have \(1, 3\)"),
        ([[[1, 2]]], 1, "shape"),
        ([float("nan"), 0], 1, "finite"),
        ([float("inf"), 0], 1, "finite"),
        ([1e20, 0], 1, "1e\\+15"),
        (["one", "two"], 1, "should be numbers"),
        ([1, 2], 0, "at least 1"),
    ]
    for queries, k, message in bad_queries:
        with pytest.raises(UsageError, match=message):
            index.search(queries, k)  # type: ignore[arg-type]
    bad_adds: list[tuple[list[str], object, str]] = [
        (["c"], [[1, float("nan")]], "row 0"),
        (["c", "d"], [[1, 0], [1, float("inf")]], "row 1"),
        (["c", "a"], [[1, 0], [1, 0]], "'a' already"),
        (["c", "c"], [[1, 0], [1, 0]], "'c' was given twice"),
        (["c"], [[1, 0], [1, 0]], "1 and 2"),
        (["c"], [[1, 0, 3]], "shape"),
    ]
    for ids, vectors, message in bad_adds:
        with pytest.raises(UsageError, match=message):
            index.add(ids, vectors)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="strings"):
        index.add("c", [[1, 0]])
    with pytest.raises(UnknownId, match="holds no 'c'"):
        index.remove(["a", "c"])
    with pytest.raises(UnknownId, match="holds no 'c'"):
        index.update(["a", "c"], [[5, 5], [5, 5]])
    with pytest.raises(UsageError, match="finite"):
        index.update(["a"], [[float("nan"), 5]])
    with pytest.raises(UnknownId):
        index.vector("c")
    assert index.ids() == ["a", "b"]
    assert index.vector("a").tolist() == [1, 0]


@pytest.mark.parametrize("twin", TWINS)
def test_directions_need_a_length(twin: Twin) -> None:
    index = twin(2, "cosine")
    with pytest.raises(UsageError, match="row 1 is all zeros"):
        index.add(["a", "b"], [[1, 0], [0, 0]])
    index.add(["a"], [[1, 0]])
    with pytest.raises(UsageError, match="all zeros"):
        index.search([0, 0], 1)


@pytest.mark.parametrize("twin", TWINS)
def test_unknown_metric_or_dimension(twin: Twin) -> None:
    with pytest.raises(UsageError, match="l2, cosine, inner_product"):
        twin(2, "manhattan")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="at least 1"):
        twin(0)


@pytest.mark.parametrize("twin", TWINS)
def test_stored_vectors_are_the_indexes_own(twin: Twin) -> None:
    given_rows = np.array([[1, 0]], dtype=np.float32)
    index = twin(2)
    index.add(["a"], given_rows)
    given_rows[:] = 9
    index.vector("a")[:] = 9
    assert index.vector("a").tolist() == [1, 0]


def test_searches_in_several_threads_agree() -> None:
    from concurrent.futures import ThreadPoolExecutor

    random = np.random.default_rng(3)
    stored = random.standard_normal((3000, 16)).astype(np.float32)
    index = FaissFlat(16, threads=2)
    index.add([f"{number:04d}" for number in range(3000)], stored)
    expected = index.search(stored[:64], 5)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: index.search(stored[:64], 5), range(16)):
            assert found.ids.tolist() == expected.ids.tolist()
            assert found.distances.tobytes() == expected.distances.tobytes()
