"""The published protocol of dividing paths into training and test: nearby paths on both sides.

Osipov et al. (2023) put their channels into six subsets by their nearest neighbours in the descriptors and took four fifths of
each subset for training. So every test path has near neighbours, often of the same compound, in the training part: the
scores say how well the middle of known families is filled in, nothing about new ones. Use ``splits.group_folds`` for those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.cluster import KMeans
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state

from builders.learning.splits import Fold

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def subsets(X: ArrayLike, n_subsets: int = 6, random_state: int | np.random.RandomState | None = 0) -> NDArray[np.intp]:  # noqa: N803
    """Put rows into subsets by the nearest of the k-means centres of the standardised descriptors.

    The study says "six subsets by kNN" and no more; k-means centres and the assignment of each row to its nearest is our
    reading.

    Parameters
    ----------
    X : array-like
        shape=(n, features), finite.
    n_subsets : int
        Subsets; as many as there are different rows where these are fewer.
    random_state : int, RandomState or None

    Returns
    -------
    numpy.ndarray
        shape=(n,), number of the subset of each row, the largest subset first.

    Examples
    --------
    >>> subsets([[0.0], [9.0], [0.1], [0.2]], n_subsets=2)
    array([0, 1, 0, 0])
    """
    z = StandardScaler().fit_transform(np.asarray(X, dtype=np.float64))
    # Rounding first: k-means cannot tell apart what differs by noise of the last digits, and would warn.
    clusters = min(n_subsets, len(np.unique(z.round(9), axis=0)))
    label = KMeans(clusters, n_init=10, random_state=check_random_state(random_state)).fit(z).labels_
    rank = np.empty(clusters, dtype=np.intp)
    rank[np.argsort(-np.bincount(label, minlength=clusters), kind="stable")] = np.arange(clusters)
    found: NDArray[np.intp] = rank[label]
    return found


def published_split(
    X: ArrayLike,  # noqa: N803
    n_subsets: int = 6,
    test: float = 0.2,
    random_state: int | np.random.RandomState | None = 0,
) -> Fold:
    """Divide rows into training and test by the published protocol: subsets, then a share of each.

    Parameters
    ----------
    X : array-like
        shape=(n, features), the descriptors.
    n_subsets : int
        Published: 6.
    test : float
        Share of each subset that is kept out, between 0 and 1; published: 0.2. Rounded to whole rows, half up: a subset of one
        or two rows is learnt from.
    random_state : int, RandomState or None
        Seed of the centres and of the draw.

    Returns
    -------
    Fold
        ``(train, test)``, sorted numbers of rows.

    Examples
    --------
    >>> import numpy as np
    >>> train, test = published_split(np.random.default_rng(0).normal(size=(225, 6)))
    >>> len(train), len(test)
    (180, 45)
    """
    if not 0.0 < test < 1.0:
        raise ValueError(f"The share of the test must lie between 0 and 1; got {test!r}.")
    generator = check_random_state(random_state)
    label = subsets(X, n_subsets, generator)
    kept_out = [
        generator.permutation(rows)[: int(np.floor(test * len(rows) + 0.5))]
        for rows in (np.flatnonzero(label == each) for each in range(label.max() + 1))
    ]
    out = np.zeros(len(label), dtype=bool)
    out[np.concatenate(kept_out)] = True
    return Fold(np.flatnonzero(~out), np.flatnonzero(out))
