"""Models that were trained anew: where they are written, and what is told of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from store.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from builders.models.base import PortableModel
    from store.settings import Settings

Gathered = TypeVar("Gathered")


class Trained(NamedTuple, Generic[Gathered]):
    """A trained model.

    Attributes
    ----------
    folder : pathlib.Path
    card : dict
        Data, split, scores, seed.
    gathered : Gathered
        What was learned from and what was left out.
    """

    folder: Path
    card: dict[str, Any]
    gathered: Gathered


def default_folder(settings: Settings, name: str) -> Path:
    """Where a trained model is written unless told otherwise: in the user's data folder.

    Examples
    --------
    >>> from pathlib import Path
    >>> from store.settings import Settings
    >>> default_folder(Settings(home=Path("/data")), "conductivity").as_posix()
    '/data/models/conductivity'
    """
    return settings.home / "models" / name


def save_trained(model: PortableModel, folder: Path, gathered: Gathered) -> Trained[Gathered]:
    """Write weights and card; the folder is made if need be, and a model in it is replaced.

    Raises
    ------
    UsageError
        The folder cannot be written.
    """
    from builders.models.files import CARD, save_model

    try:
        save_model(model, folder)
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be written: {error.strerror or error}.", mend="--output FOLDER that can be written"
        ) from None
    return Trained(folder, card, gathered)
