"""The trained model: barrier, interval and domain of hops, from arrays that ship with the package."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from builders.barriers.features import NAMES
from builders.learning.conformal import OTHERS, Calibration
from builders.learning.domain import Domain
from builders.migration.portable import from_arrays, to_arrays
from builders.migration.scale import from_log, to_log
from store.errors import FeatureError, UsageError
from store.provenance import content_hash

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from builders.migration.portable import Portable

WEIGHTS: Final = Path(__file__).parent / "weights"
"""Folder of the weights that ship: ``weights.npz`` and ``card.json``."""
ARRAYS: Final = "weights.npz"
CARD: Final = "card.json"


class Predicted(NamedTuple):
    """Predictions of some hops, shape=(n,) each.

    Attributes
    ----------
    value : numpy.ndarray
        eV; barrier, never negative.
    lower, upper : numpy.ndarray
        eV; the 90 % interval (its level stands in the card).
    in_domain : numpy.ndarray
        bool; whether the hop is like those the model was trained on.
    distance : numpy.ndarray
        Mean distance to the nearest training hops, in weighted standard deviations.
    reasons : list of str
        Why a hop is outside; empty inside.
    """

    value: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    in_domain: NDArray[np.bool_]
    distance: NDArray[np.float64]
    reasons: list[str]


@dataclass(frozen=True, eq=False)
class MigrationModel:
    """A model of migration barriers.

    Attributes
    ----------
    id : str
        Name and version.
    names : tuple of str
        Descriptors that are used, of :data:`builders.barriers.features.NAMES`.
    median, mean, scale : numpy.ndarray
        shape=(n_used,); gaps are filled with medians, then standard scores are formed.
    bound : float
        Standard scores end here.
    members : dict
        Name to portable model.
    weights : numpy.ndarray
        shape=(n_members,).
    domain : Domain
    calibration : Calibration
    floor : float
        Distance that is added to all: how difficult the nearest hops are.
    ions : tuple of str
        Ions there were in training.
    card : dict
        Data, protocol, scores, seed, licence, versions.
    """

    id: str
    names: tuple[str, ...]
    median: NDArray[np.float64]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    bound: float
    members: Mapping[str, Portable]
    weights: NDArray[np.float64]
    domain: Domain
    calibration: Calibration
    floor: float
    ions: tuple[str, ...]
    card: dict[str, Any]

    def predict(self, features: NDArray[np.float64], ions: Sequence[str]) -> Predicted:
        """Predict the barriers of hops.

        Parameters
        ----------
        features : numpy.ndarray
            shape=(n, len(NAMES)), from :func:`builders.barriers.describe.describe`; gaps are nan.
        ions : sequence of str
            shape=(n,), the working ion of each.

        Returns
        -------
        Predicted

        Raises
        ------
        FeatureError
            The rows do not have the columns of NAMES.

        Examples
        --------
        >>> model = load_model()
        >>> found = model.predict(np.full((1, len(NAMES)), np.nan), ["Li"])
        >>> bool(found.lower[0] >= 0.0), bool(found.lower[0] <= found.value[0] <= found.upper[0])
        (True, True)
        """
        features = np.asarray(features, dtype=np.float64)
        if features.ndim != 2 or features.shape[1] != len(NAMES) or len(features) != len(ions):
            raise FeatureError(f"Descriptors must have the shape ({len(ions)}, {len(NAMES)}); it was {features.shape}.")
        # Beyond all reason is as far outside as infinity, and stays a number in everything below.
        used = np.clip(features[:, _columns(self.names)], -_HUGE, _HUGE)
        scores = self._scores(used)
        value = np.zeros(len(used))
        for weight, member in zip(self.weights, self.members.values(), strict=True):
            value += weight * member.predict(scores)
        value = np.maximum(value, 0.0)
        distance = self.domain.distance(scores)
        lower, upper = interval(value, distance + self.floor, self.calibration, ions)
        reasons = self._reasons(used, distance, ions)
        inside = np.array([not reason for reason in reasons], dtype=bool)
        return Predicted(value, lower, upper, inside, distance, reasons)

    def _scores(self, used: NDArray[np.float64]) -> NDArray[np.float64]:
        filled = np.where(np.isnan(used), self.median, used)
        return np.clip((filled - self.mean) / self.scale, -self.bound, self.bound)

    def _reasons(self, used: NDArray[np.float64], distance: NDArray[np.float64], ions: Sequence[str]) -> list[str]:
        excess = self.domain.excess(used)
        worst = excess.argmax(axis=1) if excess.size else np.zeros(len(used), dtype=int)
        missing = np.isnan(used).mean(axis=1) > _MOST_MISSING
        found = []
        for row, (far, column, ion) in enumerate(zip(distance, worst, ions, strict=True)):
            reasons = []
            if ion not in self.ions:
                reasons.append(f"no hop of {ion} was there to learn from")
            if missing[row]:
                reasons.append("most descriptors are unknown")
            if excess[row, column] > self.domain.slack:
                low, high = self.domain.low[column], self.domain.high[column]
                reasons.append(f"{self.names[column]} {used[row, column]:.3g} is far outside {low:.3g} to {high:.3g}")
            if far > self.domain.limit:
                reasons.append(f"unlike all hops learned from (distance {far:.2f}, limit {self.domain.limit:.2f})")
            found.append("; ".join(reasons))
        return found


_MOST_MISSING = 0.25
_HUGE = 1e30


def interval(
    value: NDArray[np.float64], difficulty: NDArray[np.float64], calibration: Calibration, ions: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper ends of the intervals, eV; they hold the value and are never negative."""
    quantiles = calibration.of(ions)
    centre = to_log(value)
    lower = from_log(centre + quantiles[:, 0] * difficulty)
    upper = from_log(centre + quantiles[:, 1] * difficulty)
    return np.minimum(lower, value), np.maximum(upper, value)


@lru_cache(maxsize=32)
def _columns(names: tuple[str, ...]) -> NDArray[np.int64]:
    place = {name: index for index, name in enumerate(NAMES)}
    unknown = [name for name in names if name not in place]
    if unknown:
        raise UsageError(
            f"The model uses descriptors that this version does not know: {', '.join(unknown[:5])}.",
            mend="ionatlas train migration-energy",
        )
    return np.array([place[name] for name in names], dtype=np.int64)


def save_model(model: MigrationModel, folder: Path) -> None:
    """Write a model: ``weights.npz`` and ``card.json``, each whole or not at all."""
    arrays: dict[str, Any] = {
        "median": model.median,
        "mean": model.mean,
        "scale": model.scale,
        "weights": model.weights,
        # Single precision moves a distance by 1e-6: far less than it means.
        "domain.points": model.domain.points.astype(np.float32),
        "domain.weights": model.domain.weights,
        "domain.low": model.domain.low,
        "domain.high": model.domain.high,
    }
    for name, member in model.members.items():
        arrays |= to_arrays(name, member)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    content = buffer.getvalue()
    calibration = model.calibration
    card = {
        **model.card,
        "id": model.id,
        "weights_hash": content_hash(content),
        "model": {
            "descriptors": list(model.names),
            "members": dict(zip(model.members, model.weights.round(4).tolist(), strict=True)),
            "bound": model.bound,
            "floor": model.floor,
            "ions": list(model.ions),
            "domain": {"limit": model.domain.limit, "slack": model.domain.slack, "k": model.domain.k},
            "interval": {
                "level": calibration.level,
                "quantiles": {name: list(pair) for name, pair in calibration.quantiles.items()},
                "counts": dict(calibration.counts),
            },
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in ((ARRAYS, content), (CARD, (json.dumps(card, indent=1, ensure_ascii=False) + "\n").encode())):
        part = folder / f".{name}.part"
        part.write_bytes(data)
        part.replace(folder / name)


def load_model(path: Path | None = None) -> MigrationModel:
    """Read a model.

    Parameters
    ----------
    path : pathlib.Path, optional
        Folder that :func:`save_model` wrote; by default the one that ships.

    Returns
    -------
    MigrationModel

    Raises
    ------
    UsageError
        There is no model in the folder, or its files do not belong together.

    Examples
    --------
    >>> load_model().id
    'migration-energy-1'
    """
    folder = (path or WEIGHTS).resolve()
    return _load(folder, _written(folder))


def _written(folder: Path) -> tuple[tuple[int, int], ...]:
    """When the files were written, and how large they are: a model that was trained again is read again."""
    try:
        found = [(folder / name).stat() for name in (ARRAYS, CARD)]
    except OSError:
        return ()
    return tuple((each.st_mtime_ns, each.st_size) for each in found)


@lru_cache(maxsize=4)
def _load(folder: Path, written: tuple[tuple[int, int], ...]) -> MigrationModel:
    try:
        content, card = (folder / ARRAYS).read_bytes(), json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"There is no model of migration energies in {folder}: {type(error).__name__}.",
            mend="ionatlas train migration-energy --output FOLDER, or leave --model out",
        ) from error
    if not isinstance(card, dict) or card.get("weights_hash") != content_hash(content):
        raise UsageError(
            f"The weights in {folder} do not belong to the card beside them.", mend="ionatlas train migration-energy"
        )
    try:
        return _made(card, content)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"The card in {folder} is not one of a model of migration energies: {type(error).__name__}: {error}.",
            mend="ionatlas train migration-energy",
        ) from error


def _made(card: dict[str, Any], content: bytes) -> MigrationModel:
    about = card["model"]
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        members = {name: from_arrays(name, arrays) for name in about["members"]}
        domain = Domain(
            points=arrays["domain.points"].astype(np.float64),
            weights=arrays["domain.weights"],
            low=arrays["domain.low"],
            high=arrays["domain.high"],
            **about["domain"],
        )
        return MigrationModel(
            id=card["id"],
            names=tuple(about["descriptors"]),
            median=arrays["median"],
            mean=arrays["mean"],
            scale=arrays["scale"],
            bound=about["bound"],
            members=members,
            weights=arrays["weights"],
            domain=domain,
            calibration=Calibration(
                about["interval"]["level"],
                {name: (pair[0], pair[1]) for name, pair in about["interval"]["quantiles"].items()},
                about["interval"]["counts"],
            ),
            floor=about["floor"],
            ions=tuple(about["ions"]),
            card=card,
        )


__all__ = ["OTHERS", "WEIGHTS", "MigrationModel", "Predicted", "interval", "load_model", "save_model"]
