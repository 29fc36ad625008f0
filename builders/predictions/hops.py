"""Barriers of many hops at once: descriptors hop by hop, the model once for all of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np

from builders.predictions.energies import HopBarriers
from store.errors import IonatlasError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from builders.barriers.environment import HopEnvironment
    from builders.channels.model import Channels


class Predicted(Protocol):
    """What a model says of n hops (:class:`builders.migration.model.Predicted`)."""

    @property
    def value(self) -> NDArray[np.float64]:
        """shape=(n,), eV."""

    @property
    def lower(self) -> NDArray[np.float64]:
        """shape=(n,), eV."""

    @property
    def upper(self) -> NDArray[np.float64]:
        """shape=(n,), eV."""

    @property
    def in_domain(self) -> NDArray[np.bool_]:
        """shape=(n,)."""

    @property
    def distance(self) -> NDArray[np.float64]:
        """shape=(n,)."""

    @property
    def reasons(self) -> Sequence[str]:
        """Empty in the domain."""


class Model(Protocol):
    """What predicts barriers (:class:`builders.migration.model.MigrationModel`)."""

    @property
    def id(self) -> str:
        """Name with version."""

    def predict(self, features: NDArray[np.float64], ions: Sequence[str]) -> Predicted:
        """Predict the barriers of hops, shape=(n, n_features), of their ions."""


def describe_hop(make: Callable[[], HopEnvironment]) -> NDArray[np.float64] | IonatlasError:
    """Describe a hop, or say why it cannot be described.

    Parameters
    ----------
    make : callable
        Makes the hop's surroundings.

    Returns
    -------
    numpy.ndarray or IonatlasError
        shape=(n_features,), float64.

    Examples
    --------
    >>> from store.errors import FeatureError
    >>> def impossible():
    ...     raise FeatureError("No atoms are near.")
    >>> describe_hop(impossible)
    FeatureError('No atoms are near.')
    """
    from builders.barriers.describe import describe

    try:
        return describe(make(), study=False)
    except IonatlasError as error:
        return error
    except (ArithmeticError, LookupError, ValueError, np.linalg.LinAlgError) as error:
        # A geometry nobody thought of: one hop without a prediction, not a crystal or file without any.
        from store.errors import FeatureError

        return FeatureError(f"The hop could not be described: {type(error).__name__}: {error}")


def describe_hops(channels: Channels) -> list[NDArray[np.float64] | IonatlasError]:
    """Describe every hop of a crystal, one of each symmetry class."""
    from builders.barriers.environment import environments, of_hop

    numbers = range(len(channels.hops))
    try:
        around = environments(channels) if channels.hops else []
    except IonatlasError:  # of one hop or of all: one by one each tells its own reason
        return [describe_hop(partial(of_hop, channels, number)) for number in numbers]
    return [describe_hop(partial(around.__getitem__, number)) for number in numbers]


def predict(model: Model, described: Sequence[NDArray[np.float64] | IonatlasError], ions: Sequence[str]) -> HopBarriers:
    """Predict the barriers of described hops in one call.

    Parameters
    ----------
    model : Model
    described : sequence
        Descriptors of each hop, or why there are none.
    ions : sequence of str
        The ion of each.

    Returns
    -------
    HopBarriers
        nan, out of the domain and with the reason where a hop was not described or the model gave no finite number.
    """
    count = len(described)
    numbers = np.full((4, count), np.nan)
    in_domain = np.zeros(count, dtype=bool)
    reasons = [str(each.message) if isinstance(each, IonatlasError) else "" for each in described]
    places = [place for place, each in enumerate(described) if not isinstance(each, IonatlasError)]
    if places:
        rows = np.array([described[place] for place in places], dtype=np.float64)
        told = model.predict(rows, [ions[place] for place in places])
        numbers[:, places] = told.value, told.lower, told.upper, told.distance
        in_domain[places] = told.in_domain
        for place, reason in zip(places, told.reasons, strict=True):
            reasons[place] = reason
            if not np.isfinite(numbers[:3, place]).all():
                numbers[:, place], in_domain[place] = np.nan, False
                reasons[place] = "The model gives no number" + (f": {reason}" if reason else ".")
    return HopBarriers(numbers[0], numbers[1], numbers[2], in_domain, numbers[3], tuple(reasons))


def predict_crystals(model: Model, crystals: Sequence[Channels]) -> list[HopBarriers]:
    """Predict every hop of several crystals.

    Returns
    -------
    list of HopBarriers
        For each crystal, rows as in its ``hops``.
    """
    described = [describe_hops(channels) for channels in crystals]
    ions = [channels.ion for channels, rows in zip(crystals, described, strict=True) for _ in rows]
    together = predict(model, [each for rows in described for each in rows], ions)
    found, place = [], 0
    for rows in described:
        part = slice(place, place + len(rows))
        found.append(
            HopBarriers(
                together.value[part],
                together.lower[part],
                together.upper[part],
                together.in_domain[part],
                together.distance[part],
                together.reasons[part],
            )
        )
        place += len(rows)
    return found
