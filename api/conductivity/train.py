"""Training anew: from a file of conductivities, or from those of the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from store.errors import IonatlasError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from api.service import Service
    from builders.conductivity.rows import Gathered
    from store.conductivities import ConductivityRecord
    from store.settings import Settings

STORE: Final = "conductivities of a store"


class Trained(NamedTuple):
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


def default_folder(settings: Settings) -> Path:
    """Where a trained model is written unless told otherwise: in the user's data folder.

    Examples
    --------
    >>> from store.settings import Settings
    >>> default_folder(Settings(home=Path("/data"))).as_posix()
    '/data/models/conductivity'
    """
    return settings.home / "models" / "conductivity"


def train_conductivity(
    source: str | Path | None,
    folder: Path,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    service: Callable[[], Service] | None = None,
) -> Trained:
    """Train the model of conductivities and write its weights and card.

    Parameters
    ----------
    source : str, pathlib.Path or None
        A file in the layout of ``conductivity.jsonl.gz``; None for the store's ``conductivities``.
    folder : pathlib.Path
        Made if need be; a model in it is replaced.
    seed : int
        The same seed and conductivities give the same weights.
    progress : callable, optional
        Called with steps done and their number.
    service : callable, optional
        Opens the store.

    Raises
    ------
    UsageError
        No such file, too few conductivities, or the folder cannot be written.

    Examples
    --------
    >>> train_conductivity("conductivity.jsonl.gz", Path("model")).card["scores"]         # doctest: +SKIP
    """
    import json

    from builders.conductivity.model import CARD, save_model
    from builders.conductivity.rows import gather
    from builders.conductivity.train import train

    unread: list[str] = []
    gathered = gather(_of_store(service) if source is None else read_file(Path(source), unread))
    dropped = {**gathered.dropped, **({"that cannot be read": len(unread)} if unread else {})}
    gathered = gathered._replace(dropped=dropped)
    about = {
        "source": STORE if source is None else Path(source).name,
        "left_out": dropped,
        "licences": gathered.licences,
    }
    made = train(gathered.rows, seed=seed, progress=progress, about=about)
    try:
        save_model(made, folder)
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be written: {error.strerror or error}.", mend="--output FOLDER that can be written"
        ) from None
    return Trained(folder, card, gathered)


def _of_store(service: Callable[[], Service] | None) -> Iterator[ConductivityRecord]:
    from api.compare.stored import stored_records

    return stored_records(service)


def read_file(path: Path, unread: list[str]) -> Iterator[ConductivityRecord]:
    """Read the conductivities of a file; those that cannot be read are listed with their errors.

    Raises
    ------
    UsageError
        There is no such file.
    """
    from api.conductivity.files import open_file
    from store.ingest.conductivity_readers import read_conductivity

    opened = open_file(path)
    if opened is None:
        raise UsageError(
            f"{str(path)!r} is no file of conductivities.", mend="ionatlas train conductivity conductivity.jsonl.gz"
        )
    for row in opened.rows:
        try:
            if row.error:
                unread.append(f"{row.id}: {row.error}")
                continue
            yield read_conductivity(row.format, row.content)
        except IonatlasError as error:
            unread.append(f"{row.id}: {error.message}")
