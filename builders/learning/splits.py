"""Ways to divide rows into folds: level with the target, at random, and whole groups at a time.

Rows of one framework resemble each other by all but noise. Folds that divide them measure how well a model remembers; folds
that keep them together (``group_folds`` by framework formula, or by crystal class to ask for transfer) measure what is known
about a crystal that nobody has calculated yet.

What is divided is divided in an order made from the rows themselves (``canonical_order``), so that no estimator here depends
on the order in which its rows were given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.utils import check_random_state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray


class Fold(NamedTuple):
    """Numbers of the rows to learn from and of the rows kept out."""

    train: NDArray[np.intp]
    test: NDArray[np.intp]


def canonical_order(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.intp]:
    """Order of rows that does not depend on how they were given: by target, then by the features from the first on.

    Parameters
    ----------
    x : numpy.ndarray
        shape=(n, features).
    y : numpy.ndarray
        shape=(n,).

    Returns
    -------
    numpy.ndarray
        shape=(n,), numbers of the rows.

    Examples
    --------
    >>> import numpy as np
    >>> canonical_order(np.array([[3.0], [1.0], [2.0]]), np.array([0.2, 0.2, 0.1]))
    array([2, 1, 0])
    """
    return np.lexsort((*x.T[::-1], y))


def level_folds(n: int, folds: int, random_state: int | np.random.RandomState | None = 0) -> list[Fold]:
    """Folds of rows that are sorted by their target: each fold takes one of every ``folds`` neighbours, drawn at random.

    So the folds are level at *every* boundary at once: the numbers of rows below it differ by at most one between folds.

    Parameters
    ----------
    n : int
        Rows, sorted by their target.
    folds : int
        At least 2; no more than there are rows are made.
    random_state : int, RandomState or None
        Seed of the draw.

    Returns
    -------
    list of Fold

    Examples
    --------
    >>> [len(fold.test) for fold in level_folds(11, 5)]
    [3, 2, 2, 2, 2]
    """
    folds = min(folds, n)
    if folds < 2:
        raise ValueError(f"At least 2 rows and 2 folds are needed to keep rows out; got {n} rows, {folds} folds.")
    generator = check_random_state(random_state)
    blocks = [generator.permutation(folds) for _ in range(n // folds)]
    # The last, short block goes to the first folds.
    number = np.concatenate([*blocks, generator.permutation(n % folds)])
    return [Fold(np.flatnonzero(number != each), np.flatnonzero(number == each)) for each in range(folds)]


def random_folds(n: int, folds: int = 5, seed: int = 0) -> list[Fold]:
    """Folds drawn at random, whatever the rows are.

    Examples
    --------
    >>> [len(fold.test) for fold in random_folds(12)]
    [3, 3, 2, 2, 2]
    """
    return group_folds(np.arange(n), folds, seed)


def group_folds(groups: ArrayLike, folds: int = 5, seed: int = 0) -> list[Fold]:
    """Folds that keep each group whole, of nearly equal numbers of rows.

    Groups are shuffled, then put into the fold with the fewest rows, the largest group first: unlike folds of equally many
    groups, one large family does not make one fold twice the size of the others.

    Parameters
    ----------
    groups : array-like
        shape=(n,), the group of each row (anything that can be compared for equality and sorted).
    folds : int
        At least 2; no more than there are groups are made.
    seed : int

    Returns
    -------
    list of Fold
        Every row is kept out exactly once, and never learnt from together with another row of its group.

    Examples
    --------
    >>> for fold in group_folds(["a", "b", "a", "c", "c", "a"], folds=3):
    ...     print(fold.test.tolist())
    [0, 2, 5]
    [3, 4]
    [1]
    """
    numbers = _numbered(groups)
    sizes = np.bincount(numbers)
    folds = min(folds, len(sizes))
    if folds < 2:
        raise ValueError(f"At least 2 groups and 2 folds are needed to keep groups out; got {len(sizes)} groups.")
    drawn = check_random_state(seed).permutation(len(sizes))
    fold_of = np.empty(len(sizes), dtype=np.intp)
    filled = np.zeros(folds, dtype=np.int64)
    for group in drawn[np.argsort(-sizes[drawn], kind="stable")]:
        fold_of[group] = least = int(filled.argmin())
        filled[least] += sizes[group]
    number = fold_of[numbers]
    return [Fold(np.flatnonzero(number != each), np.flatnonzero(number == each)) for each in range(folds)]


class GroupFolds:
    """``group_folds`` as a splitter of scikit-learn (for ``cross_val_predict`` and searches over grids).

    Parameters
    ----------
    n_splits : int
    seed : int

    Examples
    --------
    >>> import numpy as np
    >>> [test.tolist() for _, test in GroupFolds(2).split(np.zeros((4, 1)), groups=["a", "b", "b", "a"])]
    [[1, 2], [0, 3]]
    """

    def __init__(self, n_splits: int = 5, seed: int = 0) -> None:
        self.n_splits = n_splits
        self.seed = seed

    def split(self, X: Any, y: Any = None, groups: ArrayLike | None = None) -> Iterator[Fold]:  # noqa: N803
        """Yield ``(train, test)``; without ``groups`` each row is its own group."""
        yield from group_folds(np.arange(len(X)) if groups is None else groups, self.n_splits, self.seed)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: ArrayLike | None = None) -> int:  # noqa: N803
        """Count the folds, as ``split`` will make them of these groups."""
        return self.n_splits if groups is None else min(self.n_splits, int(_numbered(groups).max()) + 1)


def _numbered(groups: ArrayLike) -> NDArray[np.intp]:
    found: NDArray[np.intp] = np.unique(np.asarray(groups), return_inverse=True)[1].ravel()
    return found
