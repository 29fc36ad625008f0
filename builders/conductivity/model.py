"""The trained model: conductivity, interval and domain of compounds, from arrays that ship with the package."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from builders.conductivity.features import NAMES
from builders.conductivity.members import BASE, blend, columns
from builders.conductivity.rows import strata
from builders.learning.conformal import Calibration
from builders.learning.domain import Domain
from builders.migration.portable import from_arrays, to_arrays
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
SMALLEST: Final = -20.0
"""log10 S/cm; nothing predicted is below."""
LARGEST: Final = 1.0
"""log10 S/cm; nothing predicted is above: no ion conducts better."""

_SINGLE: Final = ("threshold", "value", "points")
"""Arrays of members that are single-precision numbers already."""


class Predicted(NamedTuple):
    """Predictions for some compounds, shape=(n,) each.

    Attributes
    ----------
    value : numpy.ndarray
        log10 of S/cm at 298 K, within [-20, 1].
    lower, upper : numpy.ndarray
        log10 of S/cm; the 90 % interval (its level stands in the card).
    in_domain : numpy.ndarray
        bool; whether the compound is like those the model was trained on.
    distance : numpy.ndarray
        Mean distance to the nearest training rows, in weighted standard deviations.
    reasons : list of str
        Why a compound is outside; empty inside.
    """

    value: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    in_domain: NDArray[np.bool_]
    distance: NDArray[np.float64]
    reasons: list[str]


@dataclass(frozen=True, eq=False)
class ConductivityModel:
    """A model of lithium-ion conductivities at room temperature.

    Attributes
    ----------
    id : str
        Name and version.
    names : tuple of str
        Descriptors it was trained with, those of :data:`builders.conductivity.features.NAMES`.
    median, mean, scale : numpy.ndarray
        shape=(n_names,); gaps are filled with medians, then standard scores are formed.
    bound : float
        Standard scores end here.
    members : dict
        Name to portable model; "sites" may be absent.
    descriptors : dict
        Name of each member to its descriptors.
    domain : Domain
        Of composition and cell.
    calibration : Calibration
    floor : float
        Distance that is added to all: how difficult the nearest compounds are.
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
    descriptors: Mapping[str, tuple[str, ...]]
    domain: Domain
    calibration: Calibration
    floor: float
    card: dict[str, Any]

    def predict(self, features: NDArray[np.float64], has_structure: NDArray[np.bool_]) -> Predicted:
        """Predict the conductivities of compounds.

        Parameters
        ----------
        features : numpy.ndarray
            shape=(n, len(NAMES)), from :func:`builders.conductivity.features.describe`; gaps are nan.
        has_structure : numpy.ndarray
            shape=(n,), bool; whether a structure was given. One whose ion sites could not be described counts as none.

        Returns
        -------
        Predicted

        Raises
        ------
        FeatureError
            The rows do not have the columns of NAMES.

        Examples
        --------
        >>> from builders.conductivity.features import describe
        >>> row = describe({"Li": 7, "La": 3, "Zr": 2, "O": 12})
        >>> found = load_model().predict(row[None], np.array([False]))
        >>> bool(-6.0 < found.value[0] < -2.0), bool(found.lower[0] <= found.value[0] <= found.upper[0])
        (True, True)
        """
        from builders.conductivity.features import has_structure as described

        features = np.asarray(features, dtype=np.float64)
        if features.ndim != 2 or features.shape[1] != len(NAMES) or len(features) != len(has_structure):
            raise FeatureError(
                f"Descriptors must have the shape ({len(has_structure)}, {len(NAMES)}); it was {features.shape}."
            )
        features = np.where(np.isfinite(features), features, np.nan)
        structure = np.asarray(has_structure, dtype=np.bool_) & described(features)
        # Without a structure its descriptors are gaps, whatever stands there.
        features = np.where(structure[:, None] | np.isin(np.arange(len(NAMES)), columns(BASE)), features, np.nan)
        scores = self._scores(features)
        found = {name: model.predict(scores[:, self._places(name)]) for name, model in self.members.items()}
        sites = found.get("sites", 0.5 * (found["trees"] + found["process"]))
        value = bounded(blend(found["trees"], found["process"], sites, structure))
        base = columns(BASE)
        distance = self.domain.distance(scores[:, base])
        lower, upper = interval(value, distance + self.floor, self.calibration, strata(features, structure))
        reasons = self._reasons(features[:, base], distance)
        inside = np.array([not reason for reason in reasons], dtype=bool)
        return Predicted(value, lower, upper, inside, distance, reasons)

    def _places(self, name: str) -> NDArray[np.int64]:
        return columns(self.descriptors[name])

    def _scores(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        filled = np.where(np.isnan(features), self.median, features)
        return single(np.clip((filled - self.mean) / self.scale, -self.bound, self.bound))

    def _reasons(self, base: NDArray[np.float64], distance: NDArray[np.float64]) -> list[str]:
        excess = self.domain.excess(base)
        worst = excess.argmax(axis=1) if excess.size else np.zeros(len(base), dtype=int)
        found = []
        for row, (far, column) in enumerate(zip(distance, worst, strict=True)):
            reasons = []
            if excess[row, column] > self.domain.slack:
                low, high = self.domain.low[column], self.domain.high[column]
                reasons.append(f"{BASE[column]} {base[row, column]:.3g} is far outside {low:.3g} to {high:.3g}")
            if far > self.domain.limit:
                reasons.append(f"unlike all compounds learned from (distance {far:.2f}, limit {self.domain.limit:.2f})")
            found.append("; ".join(reasons))
        return found


def bounded(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keep log10 of conductivities within what is possible.

    Examples
    --------
    >>> bounded(np.array([-30.0, -3.0, 4.0])).tolist()
    [-20.0, -3.0, 1.0]
    """
    found: NDArray[np.float64] = np.clip(value, SMALLEST, LARGEST)
    return found


def single(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round standard scores to single precision, in which they are kept: what was learned from and what is asked are alike."""
    found: NDArray[np.float64] = scores.astype(np.float32).astype(np.float64)
    return found


def interval(
    value: NDArray[np.float64], difficulty: NDArray[np.float64], calibration: Calibration, names: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper ends of the intervals, log10 S/cm; they hold the value and stay within what is possible.

    Parameters
    ----------
    value, difficulty : numpy.ndarray
        shape=(n,).
    calibration : Calibration
    names : sequence of str
        shape=(n,), stratum of each row.
    """
    quantiles = calibration.of(names)
    lower, upper = value + quantiles[:, 0] * difficulty, value + quantiles[:, 1] * difficulty
    return bounded(np.minimum(lower, value)), bounded(np.maximum(upper, value))


def save_model(model: ConductivityModel, folder: Path) -> None:
    """Write a model: ``weights.npz`` and ``card.json``, each whole or not at all."""
    domain, calibration = model.domain, model.calibration
    arrays: dict[str, Any] = {
        "median": model.median,
        "mean": model.mean,
        "scale": model.scale,
        "domain.points": domain.points.astype(np.float32),
        "domain.weights": domain.weights,
        "domain.low": domain.low,
        "domain.high": domain.high,
    }
    for name, member in model.members.items():
        for key, value in to_arrays(name, member).items():
            arrays[key] = value.astype(np.float32) if key.rsplit(".", 1)[1] in _SINGLE else value
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    content = buffer.getvalue()
    card = {
        **model.card,
        "id": model.id,
        "weights_hash": content_hash(content),
        "model": {
            "descriptors": list(model.names),
            "members": {name: list(names) for name, names in model.descriptors.items()},
            "bound": model.bound,
            "floor": model.floor,
            "domain": {"limit": domain.limit, "slack": domain.slack, "k": domain.k},
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


def load_model(path: Path | None = None) -> ConductivityModel:
    """Read a model.

    Parameters
    ----------
    path : pathlib.Path, optional
        Folder that :func:`save_model` wrote; by default the one that ships.

    Returns
    -------
    ConductivityModel

    Raises
    ------
    UsageError
        There is no model in the folder, its files do not belong together, or it was trained with other descriptors.

    Examples
    --------
    >>> load_model().id
    'conductivity-1'
    """
    return _load((path or WEIGHTS).resolve())


@lru_cache(maxsize=4)
def _load(folder: Path) -> ConductivityModel:
    try:
        content, card = (folder / ARRAYS).read_bytes(), json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"There is no model of conductivities in {folder}: {type(error).__name__}.",
            mend="ionatlas train conductivity FILE --output FOLDER, or leave --model out",
        ) from error
    if card.get("weights_hash") != content_hash(content):
        raise UsageError(
            f"The weights in {folder} do not belong to the card beside them.", mend="ionatlas train conductivity"
        )
    about = card["model"]
    if tuple(about["descriptors"]) != NAMES:
        raise UsageError(
            f"The model in {folder} was trained with other descriptors than this version's.",
            mend="ionatlas train conductivity",
        )
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return ConductivityModel(
            id=card["id"],
            names=tuple(about["descriptors"]),
            median=arrays["median"],
            mean=arrays["mean"],
            scale=arrays["scale"],
            bound=about["bound"],
            members={name: from_arrays(name, arrays) for name in about["members"]},
            descriptors={name: tuple(names) for name, names in about["members"].items()},
            domain=Domain(
                points=arrays["domain.points"].astype(np.float64),
                weights=arrays["domain.weights"],
                low=arrays["domain.low"],
                high=arrays["domain.high"],
                **about["domain"],
            ),
            calibration=Calibration(
                about["interval"]["level"],
                {name: (pair[0], pair[1]) for name, pair in about["interval"]["quantiles"].items()},
                about["interval"]["counts"],
            ),
            floor=about["floor"],
            card=card,
        )


__all__ = ["WEIGHTS", "ConductivityModel", "Predicted", "interval", "load_model", "save_model"]
