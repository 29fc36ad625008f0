"""From a hop in its surroundings to its descriptors: one row of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from builders.barriers.chemistry import STATISTICS
from builders.barriers.features import FEATURES, NAMES, STUDY, Feature
from builders.barriers.profiles import describe_profiles
from builders.barriers.study import describe_study
from builders.barriers.ways import Way, find_way

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.barriers.environment import HopEnvironment

DECIMALS = 4
"""Decimals of the descriptors: 0.0001 Å means nothing in a crystal."""

_INDEX = {name: index for index, name in enumerate(NAMES)}


class Described(NamedTuple):
    """A hop's descriptors and its way.

    Attributes
    ----------
    features : numpy.ndarray
        shape=(len(NAMES),), float64; nan where unknown.
    way : Way
    """

    features: NDArray[np.float64]
    way: Way


def describe(environment: HopEnvironment, *, study: bool = True) -> NDArray[np.float64]:
    """Describe a hop.

    Parameters
    ----------
    environment : HopEnvironment
    study : bool
        Whether the descriptors of the study and the route of voids are wanted too. They take most of the time, and
        the model does without them.

    Returns
    -------
    numpy.ndarray
        shape=(len(NAMES),), float64, in the order and units of :data:`builders.barriers.features.FEATURES`; nan where
        something is unknown or was not wanted.

    Raises
    ------
    FeatureError, GeometryError
        The hop cannot be described.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> from store.hops import HopRecord
    >>> from builders.barriers.environment import of_record
    >>> rock_salt = Crystal.from_lists([[0, 2, 2], [2, 0, 2], [2, 2, 0]], ["F"], [[0, 0, 0]])
    >>> hop = HopRecord("Li", rock_salt, np.array([0.5, 0.5, 0.5]), np.array([0.5, 0.5, -0.5]))
    >>> found = dict(zip(NAMES, describe(of_record(hop))))
    >>> round(float(found["p_length"]), 3), round(float(found["neck"]), 2), float(found["saddle_anions"])
    (2.828, 1.56, 3.0)
    """
    return describe_with_way(environment, study=study).features


def describe_with_way(environment: HopEnvironment, *, study: bool = True) -> Described:
    """Describe a hop and keep the way that the description follows."""
    way = find_way(environment)
    found = describe_profiles(environment, way)
    found["p_length"] = environment.p_length
    found["volume_per_site"] = environment.volume_per_site
    if study:
        found |= describe_study(environment)
    row = np.full(len(NAMES), np.nan)
    row[[_INDEX[name] for name in found]] = list(found.values())
    row[_FIRST_STATISTIC : _FIRST_STATISTIC + len(STATISTICS)] = environment.chemistry.statistics
    # What symmetry makes zero is 1e-16 in one cell and 1e-15 in another, and trees would tell them apart.
    return Described(np.round(row, DECIMALS) + 0.0, way)


_FIRST_STATISTIC = _INDEX[STATISTICS[0]]

__all__ = ["FEATURES", "NAMES", "STUDY", "Described", "Feature", "describe", "describe_with_way"]
