"""The trained model: conductivity, interval and domain of compounds, from arrays that ship with the package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from builders.conductivity.features import NAMES
from builders.conductivity.features import has_structure as described
from builders.conductivity.members import BASE, blend, columns
from builders.conductivity.rows import strata
from builders.models.base import PortableModel, Predicted, checked_features, predicted
from builders.models.files import read_model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from builders.learning.conformal import Calibration

WEIGHTS: Final = Path(__file__).parent / "weights"
"""Folder of the weights that ship: ``weights.npz`` and ``card.json``."""
SMALLEST: Final = -20.0
"""log10 S/cm; nothing predicted is below."""
LARGEST: Final = 1.0
"""log10 S/cm; nothing predicted is above: no ion conducts better."""


@dataclass(frozen=True, eq=False)
class ConductivityModel(PortableModel):
    """A model of lithium-ion conductivities at room temperature: log10 of S/cm at 298 K, within [-20, 1].

    Its domain is of composition and cell; the member "sites" may be absent.

    Attributes
    ----------
    descriptors : dict
        Name of each member to its descriptors.
    """

    WHAT: ClassVar[str] = "conductivities"
    ROWS: ClassVar[str] = "compounds"
    TRAIN: ClassVar[str] = "ionatlas train conductivity"
    SETTING: ClassVar[str] = "conductivity_model"
    FOLDER: ClassVar[Path] = WEIGHTS
    SINGLE: ClassVar[frozenset[str]] = frozenset({"threshold", "value", "points"})

    descriptors: Mapping[str, tuple[str, ...]]

    def members_on_card(self) -> dict[str, Any]:
        """Their descriptors."""
        return {name: list(names) for name, names in self.descriptors.items()}

    @classmethod
    def fits(cls, descriptors: tuple[str, ...]) -> bool:
        """Whether they are those of this version."""
        return descriptors == NAMES

    @classmethod
    def own_parts(cls, about: Mapping[str, Any], arrays: Mapping[str, Any]) -> dict[str, Any]:
        """Descriptors of the members."""
        return {"descriptors": {name: tuple(names) for name, names in about["members"].items()}}

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
        features = checked_features(features, len(has_structure), len(NAMES))
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
        ends = interval(value, distance + self.floor, self.calibration, strata(features, structure))
        return predicted(value, ends, distance, self._reasons(features[:, base], BASE, distance))

    def _places(self, name: str) -> NDArray[np.int64]:
        return columns(self.descriptors[name])

    def _scores(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        return single(super()._scores(features))


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


def load_model(path: Path | None = None) -> ConductivityModel:
    """Read a model.

    Parameters
    ----------
    path : pathlib.Path, optional
        Folder that :func:`builders.models.files.save_model` wrote; by default the one that ships.

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
    return read_model(ConductivityModel, path)
