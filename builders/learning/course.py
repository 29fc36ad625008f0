"""The course of a training: when it is best, when it ends, and how it goes on after an interruption."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from store.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def need_torch() -> Any:
    """Import torch, which only training needs.

    Raises
    ------
    MissingExtra
        It is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtra(
            "Training the networks for pairs needs PyTorch, which is not installed.",
            mend="pip install 'ionatlas[train]'",
        ) from error
    return torch


@dataclass(eq=False)
class Course:
    """Keeps the best state seen, says when patience ends, and writes checkpoints.

    Parameters
    ----------
    patience : int
        Epochs without a better score after which training is over.
    checkpoint : Path, optional
        File; written after each epoch and read by :meth:`resume`.

    Attributes
    ----------
    best_score : float
    best_epoch : int
        -1 before the first.
    best_state : dict
        Copy of the parameters then.

    Examples
    --------
    >>> course = Course(patience=2)
    >>> [course.over(epoch, score) for epoch, score in enumerate([0.6, 0.8, 0.7, 0.8])], course.best_epoch
    ([False, False, False, True], 1)
    """

    patience: int
    checkpoint: Path | None = None
    best_score: float = -float("inf")
    best_epoch: int = -1
    best_state: dict[str, Any] = field(default_factory=dict)

    def over(self, epoch: int, score: float, state: Mapping[str, Any] | None = None) -> bool:
        """Note the score after an epoch; True when there was none better for ``patience`` epochs."""
        if score > self.best_score:
            self.best_score, self.best_epoch = score, epoch
            self.best_state = {name: value.detach().clone() for name, value in (state or {}).items()}
        return self.ended(epoch)

    def ended(self, epoch: int) -> bool:
        """Whether patience ends behind this epoch."""
        return epoch - self.best_epoch >= self.patience

    def epochs(self, begin: int, end: int) -> range:
        """Epochs that are left to run from ``begin`` (:meth:`resume`); none when training had ended before.

        Examples
        --------
        >>> Course(patience=2, best_epoch=3).epochs(5, 9), Course(patience=2, best_epoch=3).epochs(6, 9)
        (range(5, 9), range(6, 6))
        """
        return range(begin, begin if begin and self.ended(begin - 1) else end)

    def save(self, epoch: int, parts: Mapping[str, Any], *, more: Mapping[str, Any] | None = None) -> None:
        """Write all that is needed to go on behind this epoch; whole or not at all."""
        if self.checkpoint is None:
            return
        import torch

        buffer = io.BytesIO()
        torch.save(
            {
                "epoch": epoch,
                "parts": {name: part.state_dict() for name, part in parts.items()},
                "best": (self.best_score, self.best_epoch, self.best_state),
                "random": torch.get_rng_state(),
                "more": dict(more or {}),
            },
            buffer,
        )
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        part = self.checkpoint.with_suffix(".part")
        part.write_bytes(buffer.getvalue())
        part.replace(self.checkpoint)

    def resume(self, parts: Mapping[str, Any], expected: Mapping[str, Any] | None = None) -> int:
        """Load a checkpoint into networks and optimisers.

        Parameters
        ----------
        parts : mapping
            As for :meth:`save`.
        expected : mapping, optional
            What ``more`` must hold: a checkpoint of another training (other settings, other data) is left alone.

        Returns
        -------
        int
            The epoch to go on with; 0 where there is no checkpoint of this training.
        """
        if self.checkpoint is None or not self.checkpoint.exists():
            return 0
        import torch

        kept = torch.load(self.checkpoint, weights_only=True)
        if kept["more"] != dict(expected or {}):
            return 0
        for name, part in parts.items():
            part.load_state_dict(kept["parts"][name])
        self.best_score, self.best_epoch, self.best_state = kept["best"]
        torch.set_rng_state(kept["random"])
        return int(kept["epoch"]) + 1
