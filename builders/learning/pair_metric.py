"""Metric learning on sets: an encoder whose Euclidean distance says whether two sets (compositions) are alike.

Instead of single pairs, an epoch shows blocks of members of one class (a ratio) and compares all pairs of a block, so that
each embedding serves many pairs and an epoch costs seconds. Pairs are weighted as if each class gave as many unlike pairs as
alike ones (the protocol's balance), and classes by a power of how many pairs they have.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from builders.learning.course import Course, need_torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_AT_ONCE = 4096


@dataclass(frozen=True)
class MetricSettings:
    """How the encoder is built and trained.

    Attributes
    ----------
    width, heads, layers : int
        Of a token (an element of a set), heads and layers of attention.
    learned : int
        Length of the learned vector of a kind of token, beside the given one.
    hidden, dimension : int
        Of the head's layers, of the embedding.
    epochs, batch, block : int
        Sets in a step, members of a class that are compared with each other.
    rate, decay, dropout : float
        AdamW's rate (one cycle) and decay.
    flatness : float
        Power of the number of pairs by which classes count: 1 as many as there are, 0 all the same.
    largest : float
        Share of all sets beyond which further members of a class add no weight.
    patience : int
        Epochs without a better score of the validation after which training ends.
    seed : int
    """

    width: int = 96
    heads: int = 4
    layers: int = 1
    learned: int = 24
    hidden: int = 256
    dimension: int = 64
    epochs: int = 15
    batch: int = 256
    block: int = 64
    rate: float = 2e-3
    decay: float = 0.02
    dropout: float = 0.15
    flatness: float = 0.9
    largest: float = 0.01
    patience: int = 1000
    seed: int = 0


class Class(NamedTuple):
    """Sets of one ratio: ``rows``, ascending, shape=(n,), and which are alike, shape=(n, n) bool."""

    rows: NDArray[np.int64]
    alike: NDArray[np.bool_]


class Weight(NamedTuple):
    """Of one alike and of one unlike pair of a class."""

    alike: float
    unlike: float


class Fields(Protocol):
    """Inputs of the encoder, one row a set: :class:`builders.embeddings.pairs.compositions.Sets`."""

    def at(self, rows: NDArray[np.int64]) -> Any:
        """Some rows, as a tuple of arrays."""

    def __len__(self) -> int: ...


@dataclass(eq=False)
class SetMetric:
    """Learns the metric.

    Parameters
    ----------
    settings : MetricSettings
    vectors : numpy.ndarray
        shape=(kinds + 1, features), float32; given vector of each kind of token, the last one of no token.
    checkpoint : Path, optional
        File; training goes on from it and writes it after each epoch.
    device : str
        ``cpu`` or ``cuda``.
    progress : callable, optional
        Called with a dict (epoch, loss, score) after each epoch.

    Attributes
    ----------
    weights_ : dict of str to numpy.ndarray
        Float32, for :func:`builders.embeddings.pairs.network.encode`.
    best_epoch_ : int
    """

    settings: MetricSettings
    vectors: NDArray[np.float32]
    checkpoint: Path | None = None
    device: str = "cpu"
    progress: Callable[[dict[str, Any]], None] | None = None
    weights_: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    best_epoch_: int = -1

    def fit(self, sets: Any, classes: Mapping[str, Class], validate: Callable[..., float] | None = None) -> SetMetric:
        """Train.

        Parameters
        ----------
        sets : Sets
        classes : mapping
            Classes to learn from; those without an alike or without any pair teach nothing.
        validate : callable, optional
            Given the rows of all sets, shape=(n, dimension + 1), as :func:`builders.embeddings.pairs.network.encode` gives them,
            and the offset, a score to stop by (higher is better). Without it all epochs are run.

        Raises
        ------
        MissingExtra
            There is no torch.
        """
        torch = need_torch()
        from builders.learning.pair_modules import SetEncoder

        told = self.settings
        torch.manual_seed(told.seed)
        used = {name: each for name, each in classes.items() if each.alike.sum() > len(each.rows)}
        weights = class_weights(used, told)
        first = sets.at(np.zeros(1, dtype=np.int64))
        network = SetEncoder(torch.from_numpy(self.vectors), first.amounts.shape[2], first.statistics.shape[1], told)
        network = network.to(self.device)
        optimiser = torch.optim.AdamW(network.parameters(), lr=told.rate, weight_decay=told.decay)
        steps = [sum(1 for _ in batches(sets, used, told, epoch)) for epoch in range(told.epochs)]
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, told.rate, total_steps=sum(steps) + 1, pct_start=0.15)
        norm = sum(_total(each, weights[name]) for name, each in used.items()) / max(steps[0], 1)
        course = Course(told.patience, self.checkpoint)
        parts = {"network": network, "optimiser": optimiser, "schedule": schedule}
        kind = {**asdict(told), "classes": len(used), "rows": int(sum(len(each.rows) for each in used.values()))}
        for epoch in course.epochs(course.resume(parts, kind), told.epochs):
            network.train()
            losses = []
            for blocks in batches(sets, used, told, epoch):
                loss = _loss(network, sets, blocks, used, weights) / norm
                optimiser.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), 2.0)
                optimiser.step()
                schedule.step()
                losses.append(float(loss.detach()))
            score = float(epoch) if validate is None else validate(_embeddings(network, sets), network.offset.item())
            over = course.over(epoch, score, network.state_dict())
            course.save(epoch, parts, more=kind)
            if self.progress is not None:
                self.progress({"epoch": epoch + 1, "loss": float(np.mean(losses)), "score": score})
            if over:
                break
        self.best_epoch_ = course.best_epoch
        self.weights_ = {name: value.cpu().numpy().astype(np.float32) for name, value in course.best_state.items()}
        return self


def class_weights(classes: Mapping[str, Class], told: MetricSettings) -> dict[str, Weight]:
    """Weigh the pairs of each class.

    Examples
    --------
    >>> one = Class(np.arange(3), np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=bool))
    >>> class_weights({"1:2": one}, MetricSettings(flatness=1.0, largest=1.0))
    {'1:2': Weight(alike=1.0, unlike=0.5)}
    """
    total = sum(len(each.rows) for each in classes.values())
    found = {}
    for name, each in classes.items():
        n = len(each.rows)
        alike = (int(each.alike.sum()) - n) / 2
        unlike = n * (n - 1) / 2 - alike
        counted = alike * min(1.0, told.largest * total / n) ** 2
        weight = counted**told.flatness
        found[name] = Weight(weight / alike, weight / max(unlike, alike))
    return found


def _total(each: Class, weight: Weight) -> float:
    n = len(each.rows)
    alike = (int(each.alike.sum()) - n) / 2
    return alike * weight.alike + (n * (n - 1) / 2 - alike) * weight.unlike


def batches(
    sets: Any, classes: Mapping[str, Class], told: MetricSettings, epoch: int
) -> Iterator[list[tuple[str, NDArray[np.int64]]]]:
    """Draw the steps of an epoch: blocks of classes (name, places in its rows) of sets of equally many tokens."""
    generator = np.random.default_rng([told.seed, epoch])
    by_width: dict[int, list[tuple[str, NDArray[np.int64]]]] = {}
    for name, each in classes.items():
        places = generator.permutation(len(each.rows))
        for block in np.array_split(places, max(1, round(len(places) / told.block))):
            by_width.setdefault(name.count(":"), []).append((name, block))
    steps = []
    for blocks in by_width.values():
        step: list[tuple[str, NDArray[np.int64]]] = []
        for place in generator.permutation(len(blocks)):
            step.append(blocks[place])
            if sum(len(block) for _, block in step) >= told.batch:
                steps.append(step)
                step = []
        if step:
            steps.append(step)
    for place in generator.permutation(len(steps)):
        yield steps[place]


def _loss(
    network: Any,
    sets: Any,
    blocks: list[tuple[str, NDArray[np.int64]]],
    classes: Mapping[str, Class],
    weights: Mapping[str, Weight],
) -> Any:
    import torch

    rows = np.concatenate([classes[name].rows[places] for name, places in blocks])
    device = network.offset.device
    embedded, doubt = network(*(torch.from_numpy(part).to(device) for part in sets.at(rows)))
    total, begin = torch.zeros((), device=device), 0
    for name, places in blocks:
        n = len(places)
        mine = slice(begin, begin + n)
        begin += n
        if n < 2:
            continue
        wanted = torch.from_numpy(classes[name].alike[np.ix_(places, places)].astype(np.float32)).to(device)
        weight = weights[name].alike * wanted + weights[name].unlike * (1 - wanted)
        # A block shows (n / all)^2 of the pairs of its class, and there are all / n blocks.
        weight = weight * (1 - torch.eye(n, device=device)) * (len(classes[name].rows) / n / 2)
        logits = network.logits(embedded[mine], doubt[mine])
        each = torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
        total = total + (each * weight).sum()
    return total


def _embeddings(network: Any, sets: Any) -> NDArray[np.float32]:
    import torch

    network.eval()
    count = len(sets.elements)
    found = []
    with torch.no_grad():
        for begin in range(0, count, _AT_ONCE):
            rows = np.arange(begin, min(begin + _AT_ONCE, count))
            embedded, doubt = network(*(torch.from_numpy(part).to(network.offset.device) for part in sets.at(rows)))
            size = (network.scale.clamp_min(0) / network.out.out_features).sqrt()
            found.append(torch.cat([embedded * size, doubt.sqrt()[:, None]], dim=1).cpu().numpy())
    return np.concatenate(found)
