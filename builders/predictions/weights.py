"""Which weights predict: those that ship with the package, or a folder of ``ionatlas train``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from builders.predictions.hops import Model


def chosen_folder() -> Path | None:
    """Return the folder that the setting IONATLAS_MIGRATION_MODEL names; None for the weights of the package."""
    from store.settings import load_settings

    return load_settings().migration_model


def load(folder: Path | None = None) -> Model:
    """Load a model: of a folder, else of the setting, else the shipped one.

    Raises
    ------
    UsageError
        The folder holds no model.
    """
    from builders.migration.model import load_model

    return load_model(chosen_folder() if folder is None else folder)


def identity() -> str:
    """Name and weights of the model that :func:`load` gives: ``migration-energy-1:5b1c...``.

    Raises
    ------
    UsageError
        The folder holds no model.
    """
    from builders.migration.model import CARD, WEIGHTS
    from store.errors import UsageError

    folder = chosen_folder() or WEIGHTS
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        return f"{card['id']}:{card['weights_hash']}"
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UsageError(
            f"There is no model of migration energies in {folder}: {type(error).__name__}.",
            mend="ionatlas train migration-energy, or unset IONATLAS_MIGRATION_MODEL",
        ) from error
