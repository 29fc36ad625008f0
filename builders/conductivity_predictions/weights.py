"""Which weights predict conductivities: those that ship with the package, or a folder of ``ionatlas train conductivity``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from builders.conductivity.model import ConductivityModel


def chosen_folder() -> Path | None:
    """Return the folder that the setting IONATLAS_CONDUCTIVITY_MODEL names; None for the weights of the package."""
    from store.settings import load_settings

    return load_settings().conductivity_model


def load(folder: Path | None = None) -> ConductivityModel:
    """Load a model: of a folder, else of the setting, else the shipped one.

    Raises
    ------
    UsageError
        The folder holds no model.
    """
    from builders.conductivity.model import load_model

    return load_model(chosen_folder() if folder is None else folder)


def identity() -> str:
    """Name and weights of the model that :func:`load` gives: ``conductivity-1:5b1c...``.

    Raises
    ------
    UsageError
        The folder holds no model.
    """
    from builders.conductivity.model import CARD, WEIGHTS
    from store.errors import UsageError

    folder = chosen_folder() or WEIGHTS
    found = _identity(folder / CARD)
    if found is None:
        raise UsageError(
            f"There is no model of conductivities in {folder}.",
            mend="ionatlas train conductivity, or unset IONATLAS_CONDUCTIVITY_MODEL",
        )
    return found


def barrier_identity() -> str:
    """The same of the shipped model of migration energies, whose barriers are among the descriptors."""
    from builders.migration.model import CARD, WEIGHTS

    return _identity(WEIGHTS / CARD) or ""


def _identity(card: Path) -> str | None:
    try:
        told = json.loads(card.read_text(encoding="utf-8"))
        return f"{told['id']}:{told['weights_hash']}"
    except (OSError, ValueError, LookupError, TypeError):
        return None
