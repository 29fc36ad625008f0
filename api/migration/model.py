"""Which model predicts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from store.errors import UsageError

if TYPE_CHECKING:
    from builders.predictions.hops import Model


def get_model(given: str | Path | Model | None) -> Model:
    """Load the model of a folder, the default one, or return the model itself.

    Raises
    ------
    UsageError
        There is no such folder, or no model in it.
    """
    if given is not None and not isinstance(given, str | Path):
        return given
    from builders.predictions.weights import load

    return load(checked_folder(given))


def checked_folder(given: str | Path | None) -> Path | None:
    """Return the folder of a model; None for the default.

    Raises
    ------
    UsageError
        There is no such folder.

    Examples
    --------
    >>> checked_folder(None) is None
    True
    """
    if given is None:
        return None
    folder = Path(given)
    if not folder.is_dir():
        raise UsageError(f"There is no folder {str(given)!r} with a model.", mend="ionatlas train migration-energy")
    return folder
