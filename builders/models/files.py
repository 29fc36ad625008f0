"""The two files of a trained model: its weights, and the card beside them that knows their hash.

Both are written whole or not at all, and read only if they belong together: a folder in which one was exchanged or damaged is
refused, since its card would promise what the weights do not keep.
"""

from __future__ import annotations

import io
import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from builders.learning.conformal import Calibration
from builders.learning.domain import Domain
from builders.models.portable import from_arrays, to_arrays
from store.errors import UsageError
from store.provenance import content_hash

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from builders.models.base import PortableModel

ARRAYS: Final = "weights.npz"
CARD: Final = "card.json"

AnyModel = TypeVar("AnyModel", bound="PortableModel")


def write_whole(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder, which is made if need be; each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        part = folder / f".{name}.part"
        part.write_bytes(data)
        part.replace(folder / name)


def read_together(folder: Path, weights: str, *, absent: str, foreign: str, mend: str) -> tuple[bytes, dict[str, Any]]:
    """Read weights and the card beside them.

    Parameters
    ----------
    folder : pathlib.Path
    weights : str
        Name of the file of the weights.
    absent, foreign : str
        Messages, where there are no such files, and where the card is of other weights.
    mend : str
        Command that makes a model.

    Raises
    ------
    UsageError
        With one of the messages.
    """
    try:
        content, card = (folder / weights).read_bytes(), json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{absent} in {folder}: {type(error).__name__}.", mend=f"{mend} --output FOLDER, or leave --model out"
        ) from error
    if not isinstance(card, dict) or card.get("weights_hash") != content_hash(content):
        raise UsageError(f"{foreign} in {folder} do not belong to the card beside them.", mend=mend)
    return content, card


def written(folder: Path, names: tuple[str, ...] = (ARRAYS, CARD)) -> tuple[tuple[int, int], ...]:
    """When files were written, and how large they are: a model that was trained again is read again."""
    try:
        found = [(folder / name).stat() for name in names]
    except OSError:
        return ()
    return tuple((each.st_mtime_ns, each.st_size) for each in found)


def save_model(model: PortableModel, folder: Path) -> None:
    """Write a model: ``weights.npz`` and ``card.json``."""
    domain, calibration = model.domain, model.calibration
    # The weights' hash, and with it every stamp that names the model, hangs on the order of the arrays.
    arrays: dict[str, Any] = {
        "median": model.median,
        "mean": model.mean,
        "scale": model.scale,
        **model.own_arrays(),
        # Single precision moves a distance by 1e-6: far less than it means.
        "domain.points": domain.points.astype(np.float32),
        "domain.weights": domain.weights,
        "domain.low": domain.low,
        "domain.high": domain.high,
    }
    for name, member in model.members.items():
        for key, value in to_arrays(name, member).items():
            arrays[key] = value.astype(np.float32) if key.rsplit(".", 1)[1] in model.SINGLE else value
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    content = buffer.getvalue()
    card = {
        **model.card,
        "id": model.id,
        "weights_hash": content_hash(content),
        "model": {
            "descriptors": list(model.names),
            "members": model.members_on_card(),
            "bound": model.bound,
            "floor": model.floor,
            **model.own_card(),
            "domain": {"limit": domain.limit, "slack": domain.slack, "k": domain.k},
            "interval": {
                "level": calibration.level,
                "quantiles": {name: list(pair) for name, pair in calibration.quantiles.items()},
                "counts": dict(calibration.counts),
            },
        },
    }
    write_whole(folder, {ARRAYS: content, CARD: (json.dumps(card, indent=1, ensure_ascii=False) + "\n").encode()})


def read_model(kind: type[AnyModel], path: Path | None = None) -> AnyModel:
    """Read a model; one that did not change on disk is read once.

    Parameters
    ----------
    kind : type of PortableModel
    path : pathlib.Path, optional
        Folder that :func:`save_model` wrote; by default the one that ships.

    Raises
    ------
    UsageError
        There is no such model in the folder, or its files do not belong together.
    """
    folder = (path or kind.FOLDER).resolve()
    found = _read(kind, folder, written(folder))  # type: ignore[arg-type]  # mypy holds no class of dataclasses hashable
    assert isinstance(found, kind)
    return found


@lru_cache(maxsize=8)
def _read(kind: type[PortableModel], folder: Path, written: tuple[tuple[int, int], ...]) -> PortableModel:
    content, card = read_together(
        folder, ARRAYS, absent=f"There is no model of {kind.WHAT}", foreign="The weights", mend=kind.TRAIN
    )
    try:
        if kind.fits(tuple(card["model"]["descriptors"])):
            return _made(kind, card, content)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"The card in {folder} is not one of a model of {kind.WHAT}: {type(error).__name__}: {error}.",
            mend=kind.TRAIN,
        ) from error
    raise UsageError(f"The model in {folder} was trained with other descriptors than this version's.", mend=kind.TRAIN)


def _made(kind: type[PortableModel], card: dict[str, Any], content: bytes) -> PortableModel:
    about = card["model"]
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return kind(
            id=card["id"],
            names=tuple(about["descriptors"]),
            median=arrays["median"],
            mean=arrays["mean"],
            scale=arrays["scale"],
            bound=about["bound"],
            members={name: from_arrays(name, arrays) for name in about["members"]},
            domain=Domain(
                points=arrays["domain.points"].astype(np.float64),
                weights=arrays["domain.weights"],
                low=arrays["domain.low"],
                high=arrays["domain.high"],
                **about["domain"],
            ),
            calibration=Calibration(
                about["interval"]["level"],
                {name: (pair[0], pair[1]) for name, pair in about["interval"]["quantiles"].items()},
                about["interval"]["counts"],
            ),
            floor=about["floor"],
            card=card,
            **kind.own_parts(about, arrays),
        )
