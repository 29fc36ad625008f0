"""Small arrays that ship with this room (``data/*.npz``), read without trusting them."""

from __future__ import annotations

import io
import zipfile
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from store.errors import FeatureError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


def read_arrays(name: str, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, NDArray[Any]]:
    """Read named arrays of known shapes.

    Parameters
    ----------
    name : str
        File in ``builders/templates/data``.
    shapes : mapping
        Expected shape of each array.

    Returns
    -------
    dict
        float64.

    Raises
    ------
    FeatureError
        The file is absent, damaged, or holds other shapes or numbers that are not finite.
    """
    try:
        content = files("builders.templates").joinpath("data", name).read_bytes()
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            found = {key: np.asarray(archive[key], np.float64) for key in shapes}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise FeatureError(f"The weights {name} cannot be read: {error}.", mend="install ionatlas again") from error
    for key, shape in shapes.items():
        if found[key].shape != shape or not np.isfinite(found[key]).all():
            raise FeatureError(
                f"The weights {name} should hold finite numbers of shape {shape} as {key}; the shape is {found[key].shape}.",
                mend="install ionatlas again",
            )
    return found
