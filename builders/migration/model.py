"""The trained model: barrier, interval and domain of hops, from arrays that ship with the package."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from builders.barriers.features import NAMES
from builders.models.base import PortableModel, Predicted, checked_features, predicted
from builders.models.files import read_model
from builders.models.scale import from_log, to_log
from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from builders.learning.conformal import Calibration

WEIGHTS: Final = Path(__file__).parent / "weights"
"""Folder of the weights that ship: ``weights.npz`` and ``card.json``."""

_MOST_MISSING: Final = 0.25
_HUGE: Final = 1e30


@dataclass(frozen=True, eq=False)
class MigrationModel(PortableModel):
    """A model of migration barriers: eV, never negative.

    Attributes
    ----------
    weights : numpy.ndarray
        shape=(n_members,).
    ions : tuple of str
        Ions there were in training.
    """

    WHAT: ClassVar[str] = "migration energies"
    ROWS: ClassVar[str] = "hops"
    TRAIN: ClassVar[str] = "ionatlas train migration-energy"
    SETTING: ClassVar[str] = "migration_model"
    FOLDER: ClassVar[Path] = WEIGHTS

    weights: NDArray[np.float64]
    ions: tuple[str, ...]

    def members_on_card(self) -> dict[str, Any]:
        """Their weights."""
        return dict(zip(self.members, self.weights.round(4).tolist(), strict=True))

    def own_arrays(self) -> dict[str, NDArray[Any]]:
        """Weights of the members."""
        return {"weights": self.weights}

    def own_card(self) -> dict[str, Any]:
        """Ions."""
        return {"ions": list(self.ions)}

    @classmethod
    def own_parts(cls, about: Mapping[str, Any], arrays: Mapping[str, Any]) -> dict[str, Any]:
        """Weights and ions."""
        return {"weights": arrays["weights"], "ions": tuple(about["ions"])}

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
        features = checked_features(features, len(ions), len(NAMES))
        # Beyond all reason is as far outside as infinity, and stays a number in everything below.
        used = np.clip(features[:, _columns(self.names)], -_HUGE, _HUGE)
        scores = self._scores(used)
        value = np.zeros(len(used))
        for weight, member in zip(self.weights, self.members.values(), strict=True):
            value += weight * member.predict(scores)
        value = np.maximum(value, 0.0)
        distance = self.domain.distance(scores)
        ends = interval(value, distance + self.floor, self.calibration, ions)
        reasons = self._reasons(used, self.names, distance, self._unknown(used, ions))
        return predicted(value, ends, distance, reasons)

    def _unknown(self, used: NDArray[np.float64], ions: Sequence[str]) -> Iterator[list[str]]:
        """What is not known of each hop."""
        for ion, missing in zip(ions, np.isnan(used).mean(axis=1) > _MOST_MISSING, strict=True):
            reasons = [] if ion in self.ions else [f"no hop of {ion} was there to learn from"]
            yield [*reasons, "most descriptors are unknown"] if missing else reasons


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


def load_model(path: Path | None = None) -> MigrationModel:
    """Read a model.

    Parameters
    ----------
    path : pathlib.Path, optional
        Folder that :func:`builders.models.files.save_model` wrote; by default the one that ships.

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
    return read_model(MigrationModel, path)
