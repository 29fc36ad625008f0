"""The fast vector index: FAISS's exact flat index, its answers ranked anew in float64."""

from __future__ import annotations

import math
import threading
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from indexes.projection import make_projection
from indexes.vector import (
    Metric,
    Neighbours,
    check_ids,
    check_k,
    check_metric,
    exact_scores,
    no_neighbours,
    prepare_vectors,
    rank,
    require_known,
    require_new,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import ArrayLike, NDArray

    from indexes.projection import Projection

_SPARE: Final = 50  # candidates fetched beyond k, so that a second look is rarely needed
_FEW: Final = 1024  # so few vectors are scored directly
_BLOCK: Final = 256  # queries handed to FAISS at once
_UNIT: Final = 2.0**-24  # unit round-off of float32
_BEFORE: Final = 2  # queries answered before a projection is made: it costs as much as twenty


class FaissFlat:
    """Exact search on FAISS ``IndexFlat``. See :class:`indexes.vector.VectorIndex`.

    Ids map to slots, the rows of the FAISS index; a removed row is filled by the last one, so a change costs a row and
    not a copy of the index. FAISS ranks in float32. Its k best and a few more are scored in float64; where the error
    bound of the float32 sum cannot exclude that something left out belongs among the k (ties above all), every vector
    within that bound is fetched and scored. The result is exact, and equal to :class:`indexes.vector.NumpyExact`.

    From the third query on, distances are first bounded from below in a projection (:mod:`indexes.projection`), where the
    vectors allow it; that changes the time and not the answer.

    Parameters
    ----------
    dimension : int
    metric : {"l2", "cosine", "inner_product"}
    threads : int
        OpenMP threads of a search. Several threads serve several queries at once; one query uses one.

    Examples
    --------
    >>> index = FaissFlat(2)
    >>> index.add(["a", "b", "c"], [[0, 0], [3, 4], [0, 1]])
    >>> found = index.search([[0, 0]], 2, allowed_ids={"a", "b"})
    >>> found.ids.tolist(), found.distances.tolist()
    ([['a', 'b']], [[0.0, 5.0]])
    """

    def __init__(self, dimension: int, metric: Metric = "l2", *, threads: int = 1) -> None:
        import faiss

        check_metric(metric, dimension)
        self._faiss: Any = faiss
        self._dimension = dimension
        self._metric: Metric = metric
        self._threads = threads
        make = faiss.IndexFlatIP if metric == "inner_product" else faiss.IndexFlatL2
        self._index: Any = make(dimension)
        self._ids = np.empty(0, dtype=object)
        self._slot: dict[str, int] = {}
        self._largest_norm = 0.0
        self._answered = 0
        self._projection: Projection | None = None
        self._projecting = threading.Lock()

    @property
    def metric(self) -> Metric:
        """Name of the metric."""
        return self._metric

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._dimension

    def __len__(self) -> int:
        return len(self._slot)

    def __contains__(self, identifier: object) -> bool:
        return identifier in self._slot

    def ids(self) -> list[str]:
        """All ids, sorted."""
        return sorted(self._slot)

    def vector(self, identifier: str) -> NDArray[np.float32]:
        """Return a copy of the vector of one id."""
        require_known([identifier], self._slot)
        copy: NDArray[np.float32] = self._rows()[self._slot[identifier]].copy()
        return copy

    def add(self, ids: Sequence[str], vectors: ArrayLike) -> None:
        """Add new ids."""
        rows = prepare_vectors(vectors, self._dimension, self._metric)
        check_ids(ids, len(rows))
        require_new(ids, self._slot)
        if not len(rows):
            return
        first = len(self._slot)
        self._index.add(rows)
        self._slot.update(zip(ids, range(first, first + len(rows)), strict=True))
        self._ids = np.concatenate([self._ids, _objects(ids)])
        self._changed(rows)

    def remove(self, ids: Sequence[str]) -> None:
        """Remove ids."""
        check_ids(ids, len(ids))
        require_known(ids, self._slot)
        if not len(ids):
            return
        total = len(self._slot)
        left = total - len(ids)
        gone = {self._slot.pop(identifier) for identifier in ids}
        holes = sorted(slot for slot in gone if slot < left)
        movers = [slot for slot in range(left, total) if slot not in gone]
        if holes:
            rows = self._rows()
            rows[holes] = rows[movers]
            self._ids[holes] = self._ids[movers]
            self._slot.update(zip(self._ids[holes], holes, strict=True))
        # Only the tail goes, so FAISS has nothing to move.
        self._index.remove_ids(self._faiss.IDSelectorRange(left, total))
        self._ids = self._ids[:left].copy()
        self._changed(None)

    def update(self, ids: Sequence[str], vectors: ArrayLike) -> None:
        """Replace vectors."""
        rows = prepare_vectors(vectors, self._dimension, self._metric)
        check_ids(ids, len(rows))
        require_known(ids, self._slot)
        if not len(ids):
            return
        self._rows()[[self._slot[identifier] for identifier in ids]] = rows
        self._changed(rows)

    def prepare(self) -> None:
        """Make the projection now; else the third query does."""
        self._projected(_BEFORE + 1)

    def search(self, queries: ArrayLike, k: int, *, allowed_ids: Collection[str] | None = None) -> Neighbours:
        """Find the k nearest of each query (:meth:`indexes.vector.VectorIndex.search`)."""
        check_k(k)
        wanted = prepare_vectors(queries, self._dimension, self._metric, what="queries")
        allowed = None if allowed_ids is None else self._slots_of(allowed_ids)
        count = len(self._slot) if allowed is None else len(allowed)
        width = min(k, count)
        if width == 0 or not len(wanted):
            return no_neighbours(len(wanted))
        # OpenMP keeps the number of threads for each calling thread, so it is said in each call.
        self._faiss.omp_set_num_threads(self._threads)
        if count <= max(_FEW, 4 * width, width + _SPARE):
            slots = np.arange(count) if allowed is None else allowed
            found = [self._rank(slots, query, width) for query in wanted]
        else:
            found = self._search_faiss(wanted, width, self._parameters(allowed))
        return Neighbours(np.stack([pair[0] for pair in found]), np.stack([pair[1] for pair in found]))

    def _search_faiss(
        self, wanted: NDArray[np.float32], width: int, parameters: Any
    ) -> list[tuple[NDArray[np.object_], NDArray[np.float64]]]:
        projection = self._projected(len(wanted))
        if projection is not None:
            return [self._search_projected(projection, query, width, parameters) for query in wanted]
        found = []
        for begin in range(0, len(wanted), _BLOCK):
            block = wanted[begin : begin + _BLOCK]
            scores, slots = self._index.search(block, width + _SPARE, params=parameters)
            if self._metric == "inner_product":
                scores = -scores
            for query, near, farthest in zip(block, slots, scores[:, -1], strict=True):
                exact = exact_scores(self._rows()[near], query, self._metric)
                reach = self._reach(float(np.partition(exact, width - 1)[width - 1]), query)
                # What FAISS left out scores at least `farthest` in float32.
                candidates = near if farthest > reach else self._within(query, reach, parameters)
                found.append(self._rank(candidates, query, width))
        return found

    def _search_projected(
        self, projection: Projection, query: NDArray[np.float32], width: int, parameters: Any
    ) -> tuple[NDArray[np.object_], NDArray[np.float64]]:
        projected = projection.query(query)
        scores, slots = projection.index.search(projected, width + _SPARE, params=parameters)
        near = slots[0]
        exact = exact_scores(self._rows()[near], query, self._metric)
        # The k-th distance of some is an upper bound of the k-th of all; what the projection shows beyond it is out.
        reach = projection.reach(float(np.partition(exact, width - 1)[width - 1]), query, projected)
        if float(scores[0, -1]) <= reach:
            near = _in_range(projection.index, projected, reach, parameters)
        return self._rank(near, query, width)

    def _projected(self, queries: int) -> Projection | None:
        """Return the projection once it pays; the thread that makes it lets the others search without."""
        self._answered += queries
        if self._projection is None and self._answered > _BEFORE and self._projecting.acquire(blocking=False):
            # Released by no one: it is made (or found useless) once, until the vectors change.
            self._projection = make_projection(self._rows(), inner_product=self._metric == "inner_product")
        return self._projection

    def _reach(self, score: float, query: NDArray[np.float32]) -> float:
        """Largest float32 score that FAISS can give to a vector of at most this exact score.

        FAISS sums (x - y)^2, or, depending on release, processor and sizes, x^2 + y^2 - 2xy; that loses digits far from
        the origin. Either is a sum of about n rounded terms whose sizes add up to at most (|x| + |y|)^2, and a y within
        the distance r of x has |y| <= |x| + r.
        """
        relative = 1.01 * (self._dimension + 8) * _UNIT
        length = float(np.linalg.norm(query.astype(np.float64)))
        if self._metric == "inner_product":
            return score + relative * length * self._largest_norm + 1e-30
        return score + relative * (2 * length + math.sqrt(score)) ** 2 + 1e-30

    def _within(self, query: NDArray[np.float32], reach: float, parameters: Any) -> NDArray[np.int64]:
        sign = -1.0 if self._metric == "inner_product" else 1.0
        return _in_range(self._index, query[None, :], reach, parameters, sign)

    def _rank(
        self, slots: NDArray[np.int64], query: NDArray[np.float32], width: int
    ) -> tuple[NDArray[np.object_], NDArray[np.float64]]:
        scores = exact_scores(self._rows()[slots], query, self._metric)
        return rank(self._ids[slots], scores, width, self._metric)

    def _rows(self) -> Any:
        """View of the vectors inside FAISS, shape=(n, dimension), float32; valid until the next add or remove."""
        count = len(self._ids)
        return self._faiss.rev_swig_ptr(self._index.get_xb(), count * self._dimension).reshape(count, self._dimension)

    def _slots_of(self, allowed_ids: Collection[str]) -> NDArray[np.int64]:
        slots = np.fromiter(map(self._slot.get, allowed_ids, repeat(-1)), dtype=np.int64, count=len(allowed_ids))
        mask = np.zeros(len(self._slot), dtype=bool)
        mask[slots[slots >= 0]] = True
        return np.flatnonzero(mask)

    def _parameters(self, allowed: NDArray[np.int64] | None) -> Any:
        if allowed is None:
            return None
        mask = np.zeros(len(self._slot), dtype=bool)
        mask[allowed] = True
        bitmap = np.packbits(mask, bitorder="little")
        return self._faiss.SearchParameters(sel=self._faiss.IDSelectorBitmap(bitmap))

    def _changed(self, rows: NDArray[np.float32] | None) -> None:
        self._answered, self._projection, self._projecting = 0, None, threading.Lock()
        if rows is not None and self._metric == "inner_product":
            largest = float(np.einsum("ij,ij->i", rows, rows, dtype=np.float64).max())
            self._largest_norm = max(self._largest_norm, largest**0.5)


def _in_range(
    index: Any, query: NDArray[np.float32], reach: float, parameters: Any, sign: float = 1.0
) -> NDArray[np.int64]:
    """Slots of all rows that score at most `reach`."""
    radius = float(np.nextafter(np.float32(reach), np.float32(np.inf)))
    _, _, slots = index.range_search(query, sign * radius, params=parameters)
    return np.asarray(slots, dtype=np.int64)


def _objects(ids: Sequence[str]) -> NDArray[np.object_]:
    array = np.empty(len(ids), dtype=object)
    array[:] = list(ids)
    return array
