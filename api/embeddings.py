"""Training of what predicts structures: the towers, the metric of pairs, the ranker of templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from store.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    from pathlib import Path

PARTS: Final = ("towers", "pairs", "ranker")


def train_embeddings(
    structures: Path | None,
    folder: Path,
    *,
    only: str | None = None,
    exclude: Path | None = None,
    work: Path | None = None,
    device: str = "cpu",
) -> list[Path]:
    """Train the parts anew, one after the other, each into a folder of its own.

    Parameters
    ----------
    structures : pathlib.Path or None
        gzip'ed JSON Lines with ``formula`` and ``structure``; not needed for the ranker, which learns from the template
        library of the store.
    folder : pathlib.Path
        Where to: ``towers/``, ``pairs/``, ``ranker/``.
    only : {"towers", "pairs", "ranker"}, optional
    exclude : pathlib.Path, optional
        gzip'ed JSON Lines whose formulas nothing may learn from.
    work : pathlib.Path, optional
        Folder for checkpoints.
    device : str
        ``cpu`` or ``cuda``.

    Returns
    -------
    list of pathlib.Path
        The folders that were written.

    Raises
    ------
    UsageError
        An unknown part, or no such file.
    MissingExtra
        torch is not installed.
    SnapshotMissing
        The ranker is wanted, and the store has no template library.
    """
    parts = PARTS if only is None else (only,)
    if only is not None and only not in PARTS:
        raise UsageError(f"There is no part {only!r} to train.", mend=f"--only {', '.join(PARTS)}")
    _check(structures, exclude, parts)
    made = []
    for part in parts:
        target = folder / part
        checkpoints = None if work is None else work / part
        if checkpoints is not None:
            checkpoints.mkdir(parents=True, exist_ok=True)
        if part == "ranker":
            _ranker(target, exclude)
        else:
            assert structures is not None
            _network(part, structures, target, exclude, checkpoints, device)
        made.append(target)
    return made


def _check(structures: Path | None, exclude: Path | None, parts: tuple[str, ...]) -> None:
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise MissingExtra(
            "Networks are trained with torch, which is not installed.", mend='pip install "ionatlas[train]"'
        )
    if parts != ("ranker",) and structures is None:
        raise UsageError(
            "The networks learn from a file of structures, and none is named.",
            mend="ionatlas train embeddings STRUCTURES.jsonl.gz, or --only ranker",
        )
    for path in (structures, exclude):
        if path is not None and not path.is_file():
            raise UsageError(f"There is no file {str(path)!r}.", mend="check the path")
        if path is not None and path.suffix != ".gz":
            raise UsageError(f"{path.name} is not gzip'ed JSON Lines.", mend=f"gzip {path}")


def _network(part: str, structures: Path, target: Path, exclude: Path | None, work: Path | None, device: str) -> None:
    given = [str(structures)]
    given += ["--exclude", str(exclude)] if exclude else []
    given += ["--work", str(work)] if work else []
    if part == "towers":
        from builders.embeddings.towers.train import main

        main([*given, "--out", str(target), "--device", device, "--source", structures.name])
        return
    from builders.embeddings.pairs.train import main as train_pairs

    train_pairs([*given, "--output", str(target), "--source", structures.name])


def _ranker(target: Path, exclude: Path | None) -> None:
    from api.service import Service
    from builders.embeddings.towers.train import read_formulas
    from indexes.templates.train_ranker import train_from
    from store.connection import connect
    from store.settings import load_settings

    settings = load_settings()
    library = Service(connect(settings), settings).templates()
    train_from(library, target, [] if exclude is None else read_formulas(exclude))
