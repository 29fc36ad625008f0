"""Which model predicts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from store.errors import UsageError

if TYPE_CHECKING:
    from builders.conductivity.model import ConductivityModel


def get_model(given: str | Path | ConductivityModel | None) -> ConductivityModel:
    """Load the model of a folder, the default one, or return the model itself.

    Raises
    ------
    UsageError
        There is no such folder, or no model in it.
    """
    if given is not None and not isinstance(given, str | Path):
        return given
    from builders.conductivity_predictions.weights import load

    if given is None:
        return load()
    folder = Path(given)
    if not folder.is_dir():
        raise UsageError(f"There is no folder {str(given)!r} with a model.", mend="ionatlas train conductivity FILE")
    return load(folder)
