"""Heterogeneous metric learning: two networks that bring two kinds of things into one space, trained against each other.

Each left thing (a composition) belongs to some right things (its structures). The towers are trained so that in a batch
each finds its own among all others (symmetric InfoNCE with several positives: Oord et al. 2018, arXiv:1807.03748; Radford
et al. 2021, arXiv:2103.00020). Batches are drawn from one class of things (a stoichiometry), so that the others in it are
hard to tell apart; some batches are drawn from all, so that classes too find their places.

Only training needs torch; :mod:`builders.embeddings.towers.network` computes the same in NumPy.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from builders.embeddings.towers.sets import Group, Sets

CHECKPOINT: Final = "checkpoint.pt"


@dataclass(frozen=True)
class Settings:
    """How the towers are built and trained.

    Attributes
    ----------
    width, hidden, head, dimension : int
        Of a token, of what passes between two, of the head's layers, of the embedding.
    layers : int
    kinds : int
        Length of the learned embedding of a token's kind (element) and of a whole's kind (space group).
    epochs, batch : int
    rate, decay, dropout, smoothing : float
    mixed : float
        Share of the batches that are drawn from all classes.
    temperature : float
        First value; it is learned.
    seed : int
    """

    width: int = 128
    hidden: int = 96
    head: int = 384
    dimension: int = 128
    layers: int = 2
    kinds: int = 32
    epochs: int = 10
    batch: int = 512
    rate: float = 2e-3
    decay: float = 1e-2
    dropout: float = 0.1
    smoothing: float = 0.0
    mixed: float = 0.15
    temperature: float = 0.07
    seed: int = 0
    precision: str = "float32"


@dataclass(frozen=True, eq=False)
class Pairing:
    """What is trained on.

    Attributes
    ----------
    left, right : Sets
        Compositions and structures.
    owner : numpy.ndarray
        shape=(n_right,), int64; the left thing that each right thing belongs to.
    label : numpy.ndarray
        shape=(n_right,), int64; class of each right thing (its stoichiometry).
    train : numpy.ndarray
        Numbers of the right things to train on.
    """

    left: Sets
    right: Sets
    owner: NDArray[np.int64]
    label: NDArray[np.int64]
    train: NDArray[np.int64]


@dataclass(eq=False)
class TwoTowers:
    """Two towers and what they have learned.

    Parameters
    ----------
    settings : Settings
    checkpoint : Path, optional
        Folder; training goes on from what it holds, and writes to it after each epoch.
    device : str
        ``cpu`` or ``cuda``.
    progress : callable, optional
        Called with a dict after each epoch.

    Attributes
    ----------
    left_, right_ : dict of str to numpy.ndarray
        Arrays of the towers, for :func:`builders.embeddings.towers.network.embed_sets`.
    temperature_ : float
    """

    settings: Settings = field(default_factory=Settings)
    checkpoint: Path | None = None
    device: str = "cpu"
    progress: Callable[[dict[str, Any]], None] | None = None
    left_: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    right_: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    temperature_: float = 1.0

    def fit(self, data: Pairing) -> TwoTowers:
        """Train; returns itself.

        Raises
        ------
        MissingExtra
            There is no torch.
        UsageError
            The checkpoint was made with other settings.
        """
        from store.errors import MissingExtra

        try:
            import torch
        except ImportError as error:
            raise MissingExtra(
                "Training the towers needs PyTorch, which is not installed.", mend="pip install 'ionatlas[train]'"
            ) from error

        told = self.settings
        torch.manual_seed(told.seed)
        left, right = _tower(data.left, told).to(self.device), _tower(data.right, told).to(self.device)
        scale = torch.nn.Parameter(torch.tensor(-np.log(told.temperature), dtype=torch.float32, device=self.device))
        optimiser = _optimiser([left, right], scale, told)
        per_epoch = max(1, len(data.train) // told.batch)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, told.rate, total_steps=told.epochs * per_epoch + 1, pct_start=0.15
        )
        state = {"left": left, "right": right, "optimiser": optimiser, "schedule": schedule}
        begin = self._resume(state, scale)
        feeds = _Feed(data.left, self.device), _Feed(data.right, self.device)
        for epoch in range(begin, told.epochs):
            started, total = time.perf_counter(), []
            left.train()
            right.train()
            for chosen in batches(data, told, epoch):
                loss = _loss(left, right, scale, feeds, data.owner, chosen, told, self.device)
                optimiser.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_([*left.parameters(), *right.parameters()], 1.0)
                optimiser.step()
                schedule.step()
                total.append(float(loss.detach()))
            self._save(state, scale, epoch + 1)
            self._arrays(left, right, float(scale.detach()))
            if self.progress is not None:
                seconds = time.perf_counter() - started
                self.progress(
                    {"epoch": epoch + 1, "of": told.epochs, "loss": float(np.mean(total)), "seconds": seconds}
                )
        self._arrays(left, right, float(scale.detach()))
        return self

    def _arrays(self, left: Any, right: Any, scale: float) -> None:
        self.left_, self.right_ = (
            {name: value.detach().cpu().float().numpy().copy() for name, value in tower.state_dict().items()}
            for tower in (left, right)
        )
        self.temperature_ = float(np.exp(-scale))

    def _save(self, state: dict[str, Any], scale: Any, epoch: int) -> None:
        import torch

        if self.checkpoint is None:
            return
        self.checkpoint.mkdir(parents=True, exist_ok=True)
        held = {name: each.state_dict() for name, each in state.items()}
        partial = self.checkpoint / (CHECKPOINT + ".part")
        torch.save(
            {
                **held,
                "scale": scale.detach(),
                "epoch": epoch,
                "settings": asdict(self.settings),
                "random": torch.get_rng_state(),
            },
            partial,
        )
        partial.replace(self.checkpoint / CHECKPOINT)

    def _resume(self, state: dict[str, Any], scale: Any) -> int:
        import torch

        from store.errors import UsageError

        if self.checkpoint is None or not (self.checkpoint / CHECKPOINT).exists():
            return 0
        held = torch.load(self.checkpoint / CHECKPOINT, map_location=self.device, weights_only=True)
        if held["settings"] != asdict(self.settings):
            raise UsageError(
                f"The checkpoint in {self.checkpoint} was made with other settings.",
                mend="name another folder, or remove the checkpoint",
            )
        for name, each in state.items():
            each.load_state_dict(held[name])
        with torch.no_grad():
            scale.copy_(held["scale"])
        torch.set_rng_state(held["random"].cpu())
        return int(held["epoch"])


def batches(data: Pairing, settings: Settings, epoch: int) -> Iterator[NDArray[np.int64]]:
    """Divide the right things of an epoch into batches, the same for the same seed and epoch.

    Things of one class stand together, classes of the same number of species side by side, each in random order; a part
    of all is mixed without regard to classes.
    """
    random = np.random.default_rng((settings.seed, epoch))
    train = random.permutation(data.train)
    cut = int(settings.mixed * len(train))
    mixed, rest = train[:cut], train[cut:]
    size, _ = data.right.places()
    turn = random.permutation(int(data.label.max()) + 1)
    rest = rest[np.lexsort((turn[data.label[rest]], size[rest]))]
    # A large class may begin anywhere in a batch, so that its members meet others in each epoch.
    rest = np.roll(rest, int(random.integers(settings.batch)))
    pieces = [rest[i : i + settings.batch] for i in range(0, len(rest), settings.batch)]
    pieces += [mixed[i : i + settings.batch] for i in range(0, len(mixed), settings.batch)]
    full = [piece for piece in pieces if len(piece) == settings.batch] or pieces
    for place in random.permutation(len(full)):
        yield full[place]


class _Feed:
    """Sets as tensors, from which batches are taken."""

    def __init__(self, sets: Sets, device: str) -> None:
        import torch

        self.size, self.row = sets.places()

        def tensor(array: Any) -> Any:
            return None if array is None else torch.as_tensor(array, device=device)

        self.groups = {
            k: tuple(map(tensor, (g.tokens, g.weights, g.whole, g.pairs, g.token_kind, g.whole_kind)))
            for k, g in sets.groups.items()
        }

    def take(self, numbers: NDArray[np.int64]) -> tuple[list[tuple[Any, ...]], NDArray[np.int64]]:
        """Return the groups of some sets, and where each of these stands when the groups' answers are joined."""
        found, order = [], []
        for k in np.unique(self.size[numbers]):
            mine = np.flatnonzero(self.size[numbers] == k)
            rows = self.row[numbers[mine]]
            found.append(tuple(None if each is None else each[rows] for each in self.groups[int(k)]))
            order.append(mine)
        return found, np.argsort(np.concatenate(order))


def _loss(
    left: Any,
    right: Any,
    scale: Any,
    feeds: Any,
    owner: NDArray[np.int64],
    chosen: NDArray[np.int64],
    told: Settings,
    device: str,
) -> Any:
    import torch
    from torch.nn import functional

    wanted, place = np.unique(owner[chosen], return_inverse=True)
    with torch.autocast(device, torch.bfloat16, enabled=told.precision == "bfloat16"):
        u, v = _run(left, feeds[0], wanted), _run(right, feeds[1], chosen)
    logits = (v.float() @ u.float().T) * scale.clamp(max=np.log(100.0)).exp()  # (structures, compositions)
    target = torch.as_tensor(place, device=device)
    down = functional.cross_entropy(logits, target, label_smoothing=told.smoothing)
    own = functional.one_hot(target, len(wanted)).float()
    up = -(own / own.sum(0) * functional.log_softmax(logits, dim=0)).sum() / len(wanted)
    return (down + up) / 2


def _run(tower: Any, feed: _Feed, numbers: NDArray[np.int64]) -> Any:
    import torch

    groups, order = feed.take(numbers)
    return torch.cat([tower(*group) for group in groups])[order]


def _optimiser(towers: list[Any], scale: Any, told: Settings) -> Any:
    import torch

    decayed: list[Any] = []
    plain: list[Any] = [scale]
    for tower in towers:
        for name, parameter in tower.named_parameters():
            (decayed if parameter.ndim > 1 and "norm" not in name else plain).append(parameter)
    groups = [{"params": decayed, "weight_decay": told.decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=told.rate)


def _tower(sets: Sets, told: Settings) -> Any:
    from builders.learning.tower_network import Tower

    largest: Group = max(sets.groups.values(), key=len)
    tower = Tower(
        n_token=largest.tokens.shape[2],
        n_whole=largest.whole.shape[1],
        n_pairs=0 if largest.pairs is None else largest.pairs.shape[3],
        kinds=0 if largest.token_kind is None else 94,
        groups=0 if largest.whole_kind is None else 231,
        told=told,
    )
    tower.standardise(sets)
    return tower
