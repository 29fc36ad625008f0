"""A trained model as arrays: scaled descriptors, portable members, intervals that widen with distance, and a domain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from store.errors import FeatureError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from builders.learning.conformal import Calibration
    from builders.learning.domain import Domain
    from builders.models.portable import Portable


class Predicted(NamedTuple):
    """Predictions for some rows, shape=(n,) each; in the unit of the model (eV, or log10 of S/cm).

    Attributes
    ----------
    value : numpy.ndarray
        Within what is possible.
    lower, upper : numpy.ndarray
        The 90 % interval (its level stands in the card).
    in_domain : numpy.ndarray
        bool; whether the row is like those the model was trained on.
    distance : numpy.ndarray
        Mean distance to the nearest training rows, in weighted standard deviations.
    reasons : list of str
        Why a row is outside; empty inside.
    """

    value: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    in_domain: NDArray[np.bool_]
    distance: NDArray[np.float64]
    reasons: list[str]


@dataclass(frozen=True, eq=False)
class PortableModel:
    """What all models that ship have; what one has beside it, and how its members make one number, its class says.

    Attributes
    ----------
    WHAT : str
        What is predicted, in the plural, for messages.
    ROWS : str
        What was learned from, in the plural.
    TRAIN : str
        The command that trains such a model.
    SETTING : str
        Attribute of :class:`store.settings.Settings` that names a folder with another model.
    FOLDER : pathlib.Path
        Folder of the weights that ship.
    SINGLE : frozenset of str
        Arrays of members that are written in single precision, because their numbers have no more than that.
    id : str
        Name and version.
    names : tuple of str
        Descriptors it was trained with.
    median, mean, scale : numpy.ndarray
        shape=(n_names,); gaps are filled with medians, then standard scores are formed.
    bound : float
        Standard scores end here.
    members : dict
        Name to portable model.
    domain : Domain
    calibration : Calibration
    floor : float
        Distance that is added to all: how difficult the nearest rows are.
    card : dict
        Data, protocol, scores, seed, licence, versions.
    """

    WHAT: ClassVar[str]
    ROWS: ClassVar[str]
    TRAIN: ClassVar[str]
    SETTING: ClassVar[str]
    FOLDER: ClassVar[Path]
    SINGLE: ClassVar[frozenset[str]] = frozenset()

    id: str
    names: tuple[str, ...]
    median: NDArray[np.float64]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    bound: float
    members: Mapping[str, Portable]
    domain: Domain
    calibration: Calibration
    floor: float
    card: dict[str, Any]

    # ------------------------------------------------------------------------------------- what its files hold beside

    def members_on_card(self) -> dict[str, Any]:
        """What the card says of each member, by name and in their order; JSON types only."""
        raise NotImplementedError

    def own_arrays(self) -> dict[str, NDArray[Any]]:
        """Arrays beside those that all models have."""
        return {}

    def own_card(self) -> dict[str, Any]:
        """What the card says beside what all cards say; JSON types only."""
        return {}

    @classmethod
    def fits(cls, descriptors: tuple[str, ...]) -> bool:
        """Whether a model that was trained with these descriptors can be used; one that uses some of them tells when asked."""
        return True

    @classmethod
    def own_parts(cls, about: Mapping[str, Any], arrays: Mapping[str, Any]) -> dict[str, Any]:
        """Read back :meth:`members_on_card`, :meth:`own_arrays` and :meth:`own_card`, as arguments of the class.

        Parameters
        ----------
        about : dict
            "model" of the card.
        arrays : mapping
            Of the weights.
        """
        raise NotImplementedError

    # ------------------------------------------------------------------------------------------------ how it predicts

    def _scores(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bounded standard scores, shape=(n, n_names), as :class:`builders.learning.scaling.BoundedScaler` makes them."""
        filled = np.where(np.isnan(features), self.median, features)
        return np.clip((filled - self.mean) / self.scale, -self.bound, self.bound)

    def _reasons(
        self,
        features: NDArray[np.float64],
        names: Sequence[str],
        distance: NDArray[np.float64],
        own: Iterable[Iterable[str]] | None = None,
    ) -> list[str]:
        """Why rows are outside the domain, as one text each.

        Parameters
        ----------
        features : numpy.ndarray
            shape=(n, n_names), the descriptors of the domain in their own units.
        names : sequence of str
            Of these descriptors.
        distance : numpy.ndarray
            shape=(n,).
        own : iterable of iterable of str, optional
            Reasons of the model itself for each row; they stand first.
        """
        excess = self.domain.excess(features)
        worst = excess.argmax(axis=1) if excess.size else np.zeros(len(features), dtype=int)
        found = [[] for _ in features] if own is None else [list(each) for each in own]
        for row, (reasons, far, column) in enumerate(zip(found, distance, worst, strict=True)):
            if excess[row, column] > self.domain.slack:
                low, high = self.domain.low[column], self.domain.high[column]
                reasons.append(f"{names[column]} {features[row, column]:.3g} is far outside {low:.3g} to {high:.3g}")
            if far > self.domain.limit:
                limit = self.domain.limit
                reasons.append(f"unlike all {self.ROWS} learned from (distance {far:.2f}, limit {limit:.2f})")
        return ["; ".join(reasons) for reasons in found]


def checked_features(features: NDArray[np.float64], n_rows: int, n_names: int) -> NDArray[np.float64]:
    """Return descriptors as numbers, shape=(n_rows, n_names).

    Raises
    ------
    FeatureError
        They have another shape.
    """
    found = np.asarray(features, dtype=np.float64)
    if found.shape != (n_rows, n_names):
        raise FeatureError(f"Descriptors must have the shape ({n_rows}, {n_names}); it was {found.shape}.")
    return found


def predicted(
    value: NDArray[np.float64],
    ends: tuple[NDArray[np.float64], NDArray[np.float64]],
    distance: NDArray[np.float64],
    reasons: list[str],
) -> Predicted:
    """Put a prediction together: rows without a reason against them are inside the domain."""
    return Predicted(value, *ends, np.array([not reason for reason in reasons], dtype=bool), distance, reasons)
