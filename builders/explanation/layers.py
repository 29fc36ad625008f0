"""Layers of an ion as a number, and a test of whether they go with something.

Balls grow around the ion's sites. At the radii e1 <= e2 <= e3 (the essential births of degree 1) their union becomes endless
in one, two and three directions: half the longest step that a walk from site to site needs. Ions in layers meet inside the layer
long before they meet across: ``e3 / e2`` is large, and ``e2 / e1`` is near one. Ions in chains have a large ``e2 / e1``. Both
numbers are the same for every cell of the crystal and for every choice of axes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from builders.topology.persistence import Diagrams


class Layering(NamedTuple):
    """How the sites of an ion are connected.

    Attributes
    ----------
    layers : float
        log2 of e3 / e2: 0 where steps across are no longer than those within, 1 where they are twice as long.
    chains : float
        log2 of e2 / e1.
    step : float
        2 e1, Å: the longest step of an endless walk.
    """

    layers: float
    chains: float
    step: float


class Association(NamedTuple):
    """A partial rank correlation and how likely one so large is by chance.

    Attributes
    ----------
    value : float
        -1 to 1.
    p : float
        Two-sided, by permutation.
    lower, upper : float
        95 % bootstrap interval.
    n : int
    """

    value: float
    p: float
    lower: float
    upper: float
    n: int


def layering(diagrams: Diagrams) -> Layering:
    """Measure layers and chains from the diagrams of the ion's sites.

    Examples
    --------
    >>> from builders.topology.persistence import persistence
    >>> found = layering(persistence(np.zeros((1, 3)), np.diag([3.0, 3.0, 6.0])))
    >>> round(found.layers, 3), round(found.chains, 3) + 0.0, round(found.step, 3)
    (1.0, 0.0, 3.0)
    """
    first, second, third = (float(each) for each in np.sort(diagrams.essential[1]))
    return Layering(float(np.log2(third / second)), float(np.log2(second / first)), 2.0 * first)


def partial_rank_correlation(x: ArrayLike, y: ArrayLike, controls: ArrayLike) -> float:
    """Correlate ranks of x and y after what the ranks of the controls say of both is taken off.

    Parameters
    ----------
    x, y : array-like
        shape=(n,).
    controls : array-like
        shape=(n, n_controls); no columns allowed.

    Examples
    --------
    >>> z = np.arange(50.0)
    >>> noise = np.random.default_rng(0).normal(size=(2, 50))
    >>> x, y = z + noise[0], z + noise[1]
    >>> abs(partial_rank_correlation(x, y, z[:, None])) < 0.3 < partial_rank_correlation(x, y, np.zeros((50, 0)))
    True
    """
    design = _design(np.asarray(controls, dtype=np.float64))
    return _correlation(_residual(_ranks(x), design), _residual(_ranks(y), design))


def association(
    x: ArrayLike, y: ArrayLike, controls: ArrayLike, permutations: int = 5000, seed: int = 0
) -> Association:
    """Test a partial rank correlation by permuting residuals (Freedman and Lane, J. Bus. Econ. Stat. 1, 292, 1983).

    Rows must be exchangeable: one row a composition, not one a measurement.

    Parameters
    ----------
    x, y, controls
        See :func:`partial_rank_correlation`.
    permutations : int
    seed : int

    Returns
    -------
    Association

    Examples
    --------
    >>> generator = np.random.default_rng(1)
    >>> x, y, z = generator.normal(size=(3, 80))
    >>> association(x, x + y, z[:, None], 500).p < 0.01 < association(x, y, z[:, None], 500).p
    True
    """
    control = np.asarray(controls, dtype=np.float64)
    design = _design(control)
    one, other = _residual(_ranks(x), design), _residual(_ranks(y), design)
    value = _correlation(one, other)
    generator = np.random.default_rng(seed)
    larger = 0
    for _ in range(permutations):
        # The residual of a permuted residual: the design explains a little of any permutation.
        drawn = _residual(other[generator.permutation(len(other))], design)
        larger += abs(_correlation(one, drawn)) >= abs(value) - 1e-12
    resampled = []
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    for _ in range(min(permutations, 1000)):
        rows = generator.integers(0, len(a), len(a))
        resampled.append(partial_rank_correlation(a[rows], b[rows], control[rows]))
    low, high = np.nanquantile(resampled, (0.025, 0.975))
    return Association(value, (1 + larger) / (1 + permutations), float(low), float(high), len(a))


def _ranks(values: ArrayLike) -> NDArray[np.float64]:
    from scipy.stats import rankdata

    found: NDArray[np.float64] = rankdata(np.asarray(values, dtype=np.float64))
    return found


def _design(controls: NDArray[np.float64]) -> NDArray[np.float64]:
    columns = [np.ones(len(controls))]
    columns += [_ranks(column) for column in controls.T if column.min() < column.max()]
    matrix = np.column_stack(columns)
    basis, triangle = np.linalg.qr(matrix)
    kept: NDArray[np.float64] = basis[:, np.abs(np.diag(triangle)) > 1e-9 * np.abs(triangle).max()]
    return kept


def _residual(values: NDArray[np.float64], basis: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = values - basis @ (basis.T @ values)
    return found


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norm if norm > 1e-9 * len(a) else float("nan")
