"""Which model answers: one that is given, that of a folder, or the default one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from store.errors import UsageError

if TYPE_CHECKING:
    from builders.models.base import PortableModel
    from builders.models.files import AnyModel


Given = TypeVar("Given")


def get_model(kind: type[AnyModel], given: str | Path | Given | None) -> AnyModel | Given:
    """Load the model of a folder, the default one, or return the model itself.

    Raises
    ------
    UsageError
        There is no such folder, or no model in it.
    """
    if given is not None and not isinstance(given, str | Path):
        return given
    from builders.models.chosen import load

    return load(kind, checked_folder(kind, given))


def checked_folder(kind: type[PortableModel], given: str | Path | None) -> Path | None:
    """Return the folder of a model; None for the default.

    Raises
    ------
    UsageError
        There is no such folder.

    Examples
    --------
    >>> from builders.migration.model import MigrationModel
    >>> checked_folder(MigrationModel, None) is None
    True
    """
    if given is None:
        return None
    folder = Path(given)
    if not folder.is_dir():
        raise UsageError(f"There is no folder {str(given)!r} with a model.", mend=kind.TRAIN)
    return folder
