"""Training anew: from a file of conductivities, or from those of the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from api.training import save_trained
from store.errors import IonatlasError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from api.service import Service
    from api.training import Trained
    from builders.conductivity.rows import Gathered
    from store.conductivities import ConductivityRecord

STORE: Final = "conductivities of a store"


def train_conductivity(
    source: str | Path | None,
    folder: Path,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    service: Callable[[], Service] | None = None,
) -> Trained[Gathered]:
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
    return save_trained(made, folder, gathered)


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
    from api.row_files import open_compounds
    from store.ingest.readers import read_conductivity

    opened = open_compounds(path)
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
