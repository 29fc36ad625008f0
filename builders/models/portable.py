"""Trained models as plain arrays, evaluated with NumPy alone.

scikit-learn and LightGBM take seconds to import and promise nothing about reading each other's older files. Weights that
ship are arrays in one file, and a prediction needs neither package.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from builders.models.scale import from_log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_CHUNK = 512


@dataclass(frozen=True, eq=False)
class Forest:
    """Regression trees; nodes of all trees in one list.

    Attributes
    ----------
    feature : numpy.ndarray
        shape=(n_nodes,), int; -1 for a leaf.
    threshold : numpy.ndarray
        shape=(n_nodes,); rows with ``x[feature] <= threshold`` go left.
    left, right : numpy.ndarray
        shape=(n_nodes,), int.
    value : numpy.ndarray
        shape=(n_nodes,), of the leaves.
    roots : numpy.ndarray
        shape=(n_trees,), int.
    offset, factor : float
        The prediction is ``offset + factor * sum over trees``.
    single : bool
        Whether features are compared in single precision, as scikit-learn does.
    log : bool
        Whether the trees predict logarithms (:mod:`builders.models.scale`).
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: NDArray[np.float64]
    roots: NDArray[np.int64]
    offset: float
    factor: float
    single: bool
    log: bool

    def predict(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Predict from standard scores, shape=(n, n_features) to (n,), in the unit that was learned."""
        given = scores.astype(np.float32).astype(np.float64) if self.single else scores
        total = np.concatenate(
            [self._sum(given[k : k + _CHUNK]) for k in range(0, len(given), _CHUNK)] or [np.zeros(0)]
        )
        found = self.offset + self.factor * total
        return from_log(found) if self.log else found

    def _sum(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        n, n_trees = len(scores), len(self.roots)
        # One flat list of (row, tree) pairs that have not reached a leaf yet.
        at = np.tile(self.roots, n)
        going = np.arange(n * n_trees)
        flat, width = scores.ravel(), scores.shape[1]
        row = np.repeat(np.arange(n) * width, n_trees)
        while len(going):
            node = at[going]
            feature = self.feature[node]
            inner = feature >= 0
            going, node, feature = going[inner], node[inner], feature[inner]
            left = flat[row[going] + feature] <= self.threshold[node]
            at[going] = np.where(left, self.left[node], self.right[node])
        total: NDArray[np.float64] = self.value[at].reshape(n, n_trees).sum(axis=1)
        return total


@dataclass(frozen=True, eq=False)
class Kernel:
    """A Gaussian process's mean with a Matérn kernel of order 3/2.

    Attributes
    ----------
    points : numpy.ndarray
        shape=(n_train, n_features).
    alpha : numpy.ndarray
        shape=(n_train,).
    length, variance, mean, scale : float
    log : bool
    """

    points: NDArray[np.float64]
    alpha: NDArray[np.float64]
    length: float
    variance: float
    mean: float
    scale: float
    log: bool

    def predict(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Predict from standard scores, shape=(n, n_features) to (n,), in the unit that was learned."""
        squares = (scores * scores).sum(1)[:, None] + (self.points * self.points).sum(1) - 2.0 * scores @ self.points.T
        apart = np.sqrt(3.0 * np.maximum(squares, 0.0)) / self.length
        found = self.mean + self.scale * (self.variance * (1.0 + apart) * np.exp(-apart)) @ self.alpha
        return from_log(found) if self.log else found


Portable = Forest | Kernel


def to_arrays(name: str, model: Portable) -> dict[str, Any]:
    """Arrays of a model, by ``name.attribute``, in the smallest types that hold them."""
    found: dict[str, Any] = {f"{name}.kind": np.array(type(model).__name__)}
    for each in fields(model):
        value = np.asarray(getattr(model, each.name))
        if value.dtype.kind == "i":
            value = value.astype(np.int32)
        found[f"{name}.{each.name}"] = value
    return found


def from_arrays(name: str, arrays: Mapping[str, Any]) -> Portable:
    """Read back what :func:`to_arrays` wrote."""
    kind = {"Forest": Forest, "Kernel": Kernel}[str(arrays[f"{name}.kind"])]
    values: dict[str, Any] = {}
    for each in fields(kind):
        value = arrays[f"{name}.{each.name}"]
        if value.ndim == 0:
            values[each.name] = bool(value) if value.dtype.kind == "b" else float(value)
        else:
            values[each.name] = value.astype(np.int64) if value.dtype.kind == "i" else value.astype(np.float64)
    made: Portable = kind(**values)
    return made


def of_lightgbm(booster: Any, *, log: bool = False) -> Forest:
    """Convert a LightGBM regression model without categories; features must not be missing."""
    nodes = _Nodes()
    for tree in booster.dump_model()["tree_info"]:
        nodes.begin()
        _add_lightgbm(tree["tree_structure"], nodes)
    return nodes.forest(offset=0.0, factor=1.0, single=False, log=log)


def of_scikit_forest(forest: Any, *, log: bool = False) -> Forest:
    """Convert a forest of scikit-learn's regression trees."""
    nodes = _Nodes()
    for estimator in forest.estimators_:
        tree = estimator.tree_
        nodes.add(tree.feature, tree.threshold, tree.children_left, tree.children_right, tree.value[:, 0, 0])
    return nodes.forest(offset=0.0, factor=1.0 / len(forest.estimators_), single=True, log=log)


def of_gaussian_process(process: Any, *, log: bool = False) -> Kernel:
    """Convert scikit-learn's Gaussian process with the kernel constant * Matérn(3/2) + white noise."""
    matern = process.kernel_.k1
    if matern.k2.nu != 1.5:
        raise ValueError("Only Matérn kernels of order 3/2 are kept.")
    return Kernel(
        points=np.asarray(process.X_train_, dtype=np.float64),
        alpha=np.asarray(process.alpha_, dtype=np.float64).ravel(),
        length=float(matern.k2.length_scale),
        variance=float(matern.k1.constant_value),
        mean=float(np.ravel(process._y_train_mean)[0]),
        scale=float(np.ravel(process._y_train_std)[0]),
        log=log,
    )


class _Nodes:
    """Collects the nodes of trees."""

    def __init__(self) -> None:
        self._parts: dict[str, list[Any]] = {name: [] for name in ("feature", "threshold", "left", "right", "value")}
        self._roots: list[int] = []
        self.size = 0

    def begin(self) -> None:
        self._roots.append(self.size)

    def append(self, feature: int, threshold: float, value: float) -> int:
        for name, each in zip(self._parts, (feature, threshold, -1, -1, value), strict=True):
            self._parts[name].append(np.array([each]))
        self.size += 1
        return self.size - 1

    def join(self, node: int, left: int, right: int) -> None:
        self._parts["left"][node][0], self._parts["right"][node][0] = left, right

    def add(self, feature: Any, threshold: Any, left: Any, right: Any, value: Any) -> None:
        self.begin()
        leaf = np.asarray(left) < 0
        self._parts["feature"].append(np.where(leaf, -1, feature))
        self._parts["threshold"].append(np.where(leaf, 0.0, threshold))
        self._parts["left"].append(np.where(leaf, -1, left + self.size))
        self._parts["right"].append(np.where(leaf, -1, right + self.size))
        self._parts["value"].append(np.where(leaf, value, 0.0))
        self.size += len(feature)

    def forest(self, *, offset: float, factor: float, single: bool, log: bool) -> Forest:
        joined = {name: np.concatenate(parts) for name, parts in self._parts.items()}
        return Forest(**joined, roots=np.array(self._roots), offset=offset, factor=factor, single=single, log=log)


def _add_lightgbm(structure: Mapping[str, Any], nodes: _Nodes) -> int:
    if "leaf_value" in structure and "split_feature" not in structure:
        return nodes.append(-1, 0.0, float(structure["leaf_value"]))
    node = nodes.append(int(structure["split_feature"]), float(structure["threshold"]), 0.0)
    left = _add_lightgbm(structure["left_child"], nodes)
    right = _add_lightgbm(structure["right_child"], nodes)
    nodes.join(node, left, right)
    return node
