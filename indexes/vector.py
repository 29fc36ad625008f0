"""Vector indexes: string ids and float32 vectors in, exact nearest neighbours out.

Two implementations under one interface: :class:`FaissFlat`, which is fast, and :class:`NumpyExact`, its plain twin, which
is what it is checked against. Both are exact and give the same answer to the last bit:

* distances are computed in float64 from the stored float32 vectors, so that equal vectors are at distance exactly 0
  (FAISS finds the candidates in float32; they are ranked anew);
* equal distances are put in the order of ids, so that an answer does not depend on the history of the index.

========================  ===================================================
metric                    distance (smaller is nearer)
========================  ===================================================
``l2``                    Euclidean, sqrt(sum (x - y)^2)
``cosine``                1 - cos(x, y); vectors are normalised when they come in
``inner_product``         -sum x y
========================  ===================================================

Searches may run in several threads at once; a change (add, remove, update) must be alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol, get_args

import numpy as np

from store.errors import UnknownId, UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import ArrayLike, NDArray

Metric = Literal["l2", "cosine", "inner_product"]
METRICS: Final[tuple[str, ...]] = get_args(Metric)

LARGEST: Final = 1e15
"""Components beyond this are refused: their squares would leave the range of float32."""

_ROWS: Final = 2048  # rows converted to float64 at a time


class Neighbours(NamedTuple):
    """What a search finds, nearest first.

    Attributes
    ----------
    ids : numpy.ndarray
        shape=(n_queries, m), dtype object (str); m is k, or fewer where fewer vectors are there (or allowed).
    distances : numpy.ndarray
        shape=(n_queries, m), float64, ascending; in the unit of the vectors (``cosine``: none).
    """

    ids: NDArray[np.object_]
    distances: NDArray[np.float64]


class VectorIndex(Protocol):
    """What every vector index can do."""

    @property
    def metric(self) -> Metric:
        """Name of the metric."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""

    def __len__(self) -> int: ...

    def __contains__(self, identifier: object) -> bool: ...

    def ids(self) -> list[str]:
        """All ids, sorted."""

    def vector(self, identifier: str) -> NDArray[np.float32]:
        """Return a copy of the vector of one id (``cosine``: normalised). Raises UnknownId."""

    def add(self, ids: Sequence[str], vectors: ArrayLike) -> None:
        """Add new ids. Raises UsageError (and changes nothing) if one is there already or a vector is unfit."""

    def remove(self, ids: Sequence[str]) -> None:
        """Remove ids. Raises UnknownId (and changes nothing) if one is not there."""

    def update(self, ids: Sequence[str], vectors: ArrayLike) -> None:
        """Replace vectors of ids that are there. Raises UnknownId or UsageError (and changes nothing)."""

    def search(self, queries: ArrayLike, k: int, *, allowed_ids: Collection[str] | None = None) -> Neighbours:
        """Find the k nearest of each query.

        Parameters
        ----------
        queries : array_like
            shape=(n_queries, dimension) or (dimension,), converted to float32.
        k : int
            At least 1; fewer come back where fewer are there.
        allowed_ids : collection of str, optional
            Only these may be found; ids that the index does not hold are passed over.

        Raises
        ------
        UsageError
            Queries of the wrong dimension, NaN or infinity in them, or k below 1.
        """


# ------------------------------------------------------------------------------------------------ what both twins share


def check_metric(metric: str, dimension: int) -> None:
    """Raise UsageError unless metric and dimension make sense."""
    if metric not in METRICS:
        raise UsageError(f"The metric {metric!r} is not known; it is one of {', '.join(METRICS)}.")
    if dimension < 1:
        raise UsageError(f"The dimension of a vector index is at least 1; it was {dimension}.")


def prepare_vectors(
    vectors: ArrayLike, dimension: int, metric: Metric, *, what: str = "vectors"
) -> NDArray[np.float32]:
    """Check vectors and bring them to the form in which they are kept.

    Parameters
    ----------
    vectors : array_like
        shape=(n, dimension), or (dimension,) for one.
    dimension : int
    metric : str
        For ``cosine`` the vectors are normalised.
    what : str
        What they are called in messages.

    Returns
    -------
    numpy.ndarray
        shape=(n, dimension), float32, C order; the input itself where it has that form already.

    Raises
    ------
    UsageError
        Wrong shape, NaN or infinity, components beyond 1e15, or (``cosine``) a vector of zeros.

    Examples
    --------
    >>> prepare_vectors([0.0, 4.0], 2, "cosine").tolist()
    [[0.0, 1.0]]
    """
    try:
        array = np.asarray(vectors, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise UsageError(f"The {what} should be numbers, {dimension} in each: {error}.") from None
    if array.ndim == 1 and array.size:
        array = array[None, :]
    if array.size == 0 and array.ndim <= 2:
        array = array.reshape(0, dimension)
    if array.ndim != 2 or array.shape[1] != dimension:
        raise UsageError(f"The {what} should have the shape (n, {dimension}); they have {array.shape}.")
    # NaN makes either comparison false, so one pass finds all that is unfit.
    if array.size and not (array.min() >= -LARGEST and array.max() <= LARGEST):
        row = int(np.flatnonzero(~(np.abs(array) <= LARGEST).all(axis=1))[0])
        raise UsageError(f"The {what} should be finite and at most {LARGEST:g} in size; row {row} is not.")
    return _normalised(array, what) if metric == "cosine" else np.ascontiguousarray(array)


def _normalised(array: NDArray[np.float32], what: str) -> NDArray[np.float32]:
    norms = np.sqrt(np.einsum("ij,ij->i", array, array, dtype=np.float64))
    if not norms.all():
        raise UsageError(f"The {what} cannot be compared by angle: row {int(np.argmin(norms))} is all zeros.")
    return np.ascontiguousarray((array / norms[:, None]).astype(np.float32))


def check_ids(ids: Sequence[str], count: int) -> None:
    """Raise UsageError unless there are ``count`` ids, all different, all strings."""
    if isinstance(ids, str) or not all(isinstance(identifier, str) for identifier in ids):
        raise UsageError("Ids are a sequence of strings, one a vector.")
    if len(ids) != count:
        raise UsageError(f"There should be as many ids as vectors; there were {len(ids)} and {count}.")
    if len(set(ids)) != len(ids):
        seen: set[str] = set()
        twice = next(identifier for identifier in ids if identifier in seen or seen.add(identifier))  # type: ignore[func-returns-value]
        raise UsageError(f"The id {twice!r} was given twice.")


def check_k(k: int) -> None:
    """Raise UsageError unless k is at least 1."""
    if k < 1:
        raise UsageError(f"k, the number of neighbours, is at least 1; it was {k}.")


def exact_scores(rows: NDArray[np.float32], query: NDArray[np.float32], metric: Metric) -> NDArray[np.float64]:
    """Score stored rows against one query in float64: squared distance, or minus the inner product.

    Parameters
    ----------
    rows : numpy.ndarray
        shape=(n, d), float32.
    query : numpy.ndarray
        shape=(d,), float32.

    Returns
    -------
    numpy.ndarray
        shape=(n,), float64. A row's score does not depend on the rows beside it.
    """
    wide = query.astype(np.float64)
    scores = np.empty(len(rows))
    for begin in range(0, len(rows), _ROWS):
        part = rows[begin : begin + _ROWS].astype(np.float64)
        if metric == "inner_product":
            part *= wide
            scores[begin : begin + _ROWS] = -part.sum(axis=1)
        else:
            part -= wide
            scores[begin : begin + _ROWS] = np.einsum("ij,ij->i", part, part)
    return scores


def to_distances(scores: NDArray[np.float64], metric: Metric) -> NDArray[np.float64]:
    """Turn scores into distances (module docstring); for unit vectors 1 - cos is half the squared distance."""
    if metric == "l2":
        return np.sqrt(scores)
    return scores / 2 if metric == "cosine" else scores


def rank(
    ids: NDArray[np.object_], scores: NDArray[np.float64], width: int, metric: Metric
) -> tuple[NDArray[np.object_], NDArray[np.float64]]:
    """Take the ``width`` nearest, by distance and then by id.

    Examples
    --------
    >>> found = rank(np.array(["b", "c", "a"], dtype=object), np.array([1.0, 0.0, 1.0]), 2, "l2")
    >>> found[0].tolist(), found[1].tolist()
    (['c', 'a'], [0.0, 1.0])
    """
    distances = to_distances(scores, metric)
    if width < len(distances):
        limit = np.partition(distances, width - 1)[width - 1]
        near = np.flatnonzero(distances <= limit)
        ids, distances = ids[near], distances[near]
    order = np.lexsort((ids.astype(str), distances))[:width]
    return ids[order], distances[order]


def no_neighbours(n_queries: int) -> Neighbours:
    """Answer of an index that holds nothing that may be found."""
    return Neighbours(np.empty((n_queries, 0), dtype=object), np.empty((n_queries, 0)))


class NumpyExact:
    """The exact twin: plain NumPy, every distance of every query. See :class:`VectorIndex`.

    Parameters
    ----------
    dimension : int
    metric : {"l2", "cosine", "inner_product"}

    Examples
    --------
    >>> index = NumpyExact(2)
    >>> index.add(["a", "b", "c"], [[0, 0], [3, 4], [0, 1]])
    >>> found = index.search([0, 0], 2)
    >>> found.ids.tolist(), found.distances.tolist()
    ([['a', 'c']], [[0.0, 1.0]])
    """

    def __init__(self, dimension: int, metric: Metric = "l2") -> None:
        check_metric(metric, dimension)
        self._dimension = dimension
        self._metric: Metric = metric
        self._vectors: dict[str, NDArray[np.float32]] = {}

    @property
    def metric(self) -> Metric:
        """Name of the metric."""
        return self._metric

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._dimension

    def __len__(self) -> int:
        return len(self._vectors)

    def __contains__(self, identifier: object) -> bool:
        return identifier in self._vectors

    def ids(self) -> list[str]:
        """All ids, sorted."""
        return sorted(self._vectors)

    def vector(self, identifier: str) -> NDArray[np.float32]:
        """Return a copy of the vector of one id."""
        require_known([identifier], self._vectors)
        return self._vectors[identifier].copy()

    def add(self, ids: Sequence[str], vectors: ArrayLike) -> None:
        """Add new ids."""
        rows = prepare_vectors(vectors, self._dimension, self._metric)
        check_ids(ids, len(rows))
        require_new(ids, self._vectors)
        self._vectors.update((identifier, row.copy()) for identifier, row in zip(ids, rows, strict=True))

    def remove(self, ids: Sequence[str]) -> None:
        """Remove ids."""
        check_ids(ids, len(ids))
        require_known(ids, self._vectors)
        for identifier in ids:
            del self._vectors[identifier]

    def update(self, ids: Sequence[str], vectors: ArrayLike) -> None:
        """Replace vectors."""
        rows = prepare_vectors(vectors, self._dimension, self._metric)
        check_ids(ids, len(rows))
        require_known(ids, self._vectors)
        self._vectors.update((identifier, row.copy()) for identifier, row in zip(ids, rows, strict=True))

    def search(self, queries: ArrayLike, k: int, *, allowed_ids: Collection[str] | None = None) -> Neighbours:
        """Find the k nearest of each query (:meth:`VectorIndex.search`)."""
        check_k(k)
        wanted = prepare_vectors(queries, self._dimension, self._metric, what="queries")
        names = sorted(self._vectors if allowed_ids is None else set(allowed_ids) & set(self._vectors))
        if not names or not len(wanted):
            return no_neighbours(len(wanted))
        rows = np.stack([self._vectors[name] for name in names])
        ids = np.array(names, dtype=object)
        width = min(k, len(names))
        found = [rank(ids, exact_scores(rows, query, self._metric), width, self._metric) for query in wanted]
        return Neighbours(np.stack([pair[0] for pair in found]), np.stack([pair[1] for pair in found]))


def require_known(ids: Sequence[str], known: Collection[str]) -> None:
    """Raise UnknownId unless all ids are known."""
    for identifier in ids:
        if identifier not in known:
            raise UnknownId(f"The index of {len(known)} vectors holds no {identifier!r}.")


def require_new(ids: Sequence[str], known: Collection[str]) -> None:
    """Raise UsageError if an id is known already."""
    for identifier in ids:
        if identifier in known:
            raise UsageError(f"The index holds {identifier!r} already; to replace its vector, update it.")
