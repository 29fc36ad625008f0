"""CSPML's classifier of pairs, trained as published: early stopping on the accuracy of the validation pairs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from builders.learning.course import Course, need_torch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

_AT_ONCE = 8192


@dataclass(frozen=True)
class ClassifierSettings:
    """What the search of the 2024 version chose, and how it trains.

    ``layers`` dense layers of ``units``, ``dropout`` between them, Adam with ``rate``; at most ``epochs``, and ``patience`` of
    them without a better accuracy on the validation pairs.
    """

    layers: int = 3
    units: int = 400
    dropout: float = 0.2
    batch: int = 1024
    rate: float = 1e-3
    epochs: int = 1000
    patience: int = 50
    seed: int = 0


@dataclass(eq=False)
class PairClassifier:
    """A binary classifier of pairs of rows by the absolute difference of their features.

    Parameters
    ----------
    settings : ClassifierSettings
    checkpoint : Path, optional
        File; training goes on from it and writes it after each epoch.
    device : str
        ``cpu`` or ``cuda``.
    progress : callable, optional
        Called with a dict (epoch, accuracy, best) after each epoch.

    Attributes
    ----------
    weights_ : dict of str to numpy.ndarray
        Float32; ``dense.0.weight`` and so on, for :func:`builders.embeddings.pairs.network.difference_logit`.
    epochs_ : int
        Epochs run.
    best_epoch_ : int
    """

    settings: ClassifierSettings = field(default_factory=ClassifierSettings)
    checkpoint: Path | None = None
    device: str = "cpu"
    progress: Callable[[dict[str, Any]], None] | None = None
    weights_: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    epochs_: int = 0
    best_epoch_: int = -1

    def fit(self, x: NDArray[np.float32], train: Any, validation: Any) -> PairClassifier:
        """Train.

        Parameters
        ----------
        x : numpy.ndarray
            shape=(n, features), z-scored.
        train, validation : Pairs
            Rows of ``x`` and whether they are alike: ``first``, ``second``, ``alike``.

        Raises
        ------
        MissingExtra
            There is no torch.
        """
        torch = need_torch()
        from builders.learning.pair_modules import Difference

        told = self.settings
        torch.manual_seed(told.seed)
        rows = torch.from_numpy(np.ascontiguousarray(x)).to(self.device)
        wanted = torch.from_numpy(np.asarray(train.alike)).long().to(self.device)
        network = Difference(x.shape[1], told).to(self.device)
        optimiser = torch.optim.Adam(network.parameters(), lr=told.rate, eps=1e-7)
        course = Course(told.patience, self.checkpoint)
        parts = {"network": network, "optimiser": optimiser}
        kind = {**asdict(told), "pairs": len(train.alike), "alike": int(train.alike.sum())}
        for epoch in course.epochs(course.resume(parts, kind), told.epochs):
            network.train()
            order = np.random.default_rng([told.seed, epoch]).permutation(len(wanted))
            for part in np.array_split(order, max(1, round(len(order) / told.batch))):
                apart = (rows[train.first[part]] - rows[train.second[part]]).abs()
                loss = torch.nn.functional.cross_entropy(network(apart), wanted[part])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
            score = float(((_probabilities(network, rows, validation) > 0.5) == validation.alike).mean())
            over = course.over(epoch, score, network.state_dict())
            course.save(epoch, parts, more=kind)
            self.epochs_ = epoch + 1
            if self.progress is not None:
                self.progress({"epoch": epoch + 1, "accuracy": score, "best": course.best_score})
            if over:
                break
        self.best_epoch_ = course.best_epoch
        self.weights_ = {
            name: value.cpu().numpy().astype(np.float32) for name, value in course.best_state.items() if value.ndim
        }
        return self


def _probabilities(network: Any, rows: Any, pairs: Any) -> NDArray[np.float32]:
    import torch

    network.eval()
    found = []
    with torch.no_grad():
        for begin in range(0, len(pairs.alike), _AT_ONCE):
            part = slice(begin, begin + _AT_ONCE)
            apart = (rows[pairs.first[part]] - rows[pairs.second[part]]).abs()
            found.append(torch.softmax(network(apart), dim=1)[:, 1].cpu().numpy())
    return np.concatenate(found)
