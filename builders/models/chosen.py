"""Which weights predict: those that ship with the package, or a folder of ``ionatlas train``; and how stamps name them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from builders.models.files import CARD, AnyModel, read_model
from store.errors import BuildError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from builders.models.base import PortableModel


def chosen_folder(kind: type[PortableModel]) -> Path | None:
    """Return the folder that the setting names, such as IONATLAS_MIGRATION_MODEL; None for the weights of the package."""
    from store.settings import load_settings

    found: Path | None = getattr(load_settings(), kind.SETTING)
    return found


def load(kind: type[AnyModel], folder: Path | None = None) -> AnyModel:
    """Load a model: of a folder, else of the setting, else the shipped one.

    Raises
    ------
    UsageError
        The folder holds no model.
    """
    return read_model(kind, chosen_folder(kind) if folder is None else folder)


def trained_folder(part: str, shipped: Path) -> Path:
    """Return the folder of a part of ``ionatlas train embeddings``: of the setting IONATLAS_EMBEDDINGS where it is there.

    Parameters
    ----------
    part : {"towers", "pairs", "ranker"}
    shipped : pathlib.Path
        The package's own.
    """
    from store.settings import load_settings

    chosen = load_settings().embeddings
    return chosen / part if chosen is not None and (chosen / part).is_dir() else shipped


def load_named(kind: type[AnyModel], named: str, builder: str) -> AnyModel:
    """Load the model whose identity is among a builder's parameters, once a process.

    Raises
    ------
    BuildError
        The model was exchanged since the build began.
    """
    now = identity(kind)
    if now != named:
        raise BuildError(
            f"The model was exchanged while predictions were made: {named} before, {now} now.",
            mend=f"ionatlas build {builder}",
        )
    return load(kind)


def identity(kind: type[PortableModel]) -> str:
    """Name and weights of the model that :func:`load` gives: ``migration-energy-1:5b1c...``.

    Raises
    ------
    UsageError
        The folder holds no model.
    """
    folder = chosen_folder(kind) or kind.FOLDER
    try:
        return _named(folder)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UsageError(
            f"There is no model of {kind.WHAT} in {folder}: {type(error).__name__}.",
            mend=f"{kind.TRAIN}, or unset IONATLAS_{kind.SETTING.upper()}",
        ) from error


def shipped_identity(kind: type[PortableModel]) -> str:
    """The same of the model that ships, whatever the setting; empty where its files are not to be read."""
    try:
        return _named(kind.FOLDER)
    except (OSError, ValueError, LookupError, TypeError):
        return ""


def _named(folder: Path) -> str:
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    return f"{card['id']}:{card['weights_hash']}"
