"""What a calculation with an elastic band says: frozen arrays, and doubts with their numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np

from builders.channels.model import Flag

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.potential.endpoints import Endpoints

Stage = Literal["start", "end", "band", "climb"]

FLAG_INTERRUPTED: Final = "interrupted"
FLAG_NOT_CONVERGED: Final = "not converged"
FLAG_END_SLID: Final = "endpoint slid away"
FLAG_COLLAPSED: Final = "path collapsed"
FLAG_NO_SADDLE: Final = "no saddle between the ends"
FLAG_VALLEY: Final = "valley on the way"
FLAG_OTHERS_MOVED: Final = "other atoms moved"
USELESS: Final = frozenset({FLAG_INTERRUPTED, FLAG_NOT_CONVERGED, FLAG_COLLAPSED})
"""With one of these the barrier is none, and is not kept."""

SLID: Final = 1.0
"""Å; an end that relaxed by more is another place than the site of the hop."""
SAME: Final = 0.3
"""Å; two ends of which no atom is farther apart are one minimum."""
ELSEWHERE: Final = 1.0
"""Å; an atom beside the moving ion that is so far from its first place took another site."""
FLAT: Final = 0.005
"""eV; energies that differ by less are the same to a potential in single precision."""
VALLEY: Final = 0.05
"""eV; an image this far below both ends is a minimum between them."""


class Convergence(NamedTuple):
    """One iteration.

    Attributes
    ----------
    stage : str
        "start", "end": relaxation of the ends; "band": the elastic band; "climb": with the highest image climbing.
    iteration : int
        Within the stage, from 0.
    fmax : float
        eV/Å; largest force on an atom (in the band: across the path, on the climbing image all of it).
    energy : float
        eV; of an end, from its first geometry; of the band, its highest image above the start.
    """

    stage: Stage
    iteration: int
    fmax: float
    energy: float


@dataclass(frozen=True, eq=False)
class NebResult:
    """A path of least energy between two ends, or as far as it got.

    Attributes
    ----------
    positions : numpy.ndarray
        shape=(n_images + 2, n_atoms, 3), float64, Å; both ends included, the moving ion last, unwrapped.
    energies : numpy.ndarray
        shape=(n_images + 2,), float64, eV, the start's is 0; empty where the band was never reached.
    start_energy : float
        eV; of the start as the potential gives it. nan where the band was never reached.
    converged : bool
        Whether the ends and the climbing band reached ``fmax``.
    fmax : float
        eV/Å; what was asked for.
    history : tuple of Convergence
        Every iteration.
    calls : int
        Energies and forces that the potential was asked for.
    first_path : str
        How the first images were made.
    flags : tuple of Flag
        Doubts, with their numbers.
    """

    positions: NDArray[np.float64]
    energies: NDArray[np.float64]
    start_energy: float
    converged: bool
    fmax: float
    history: tuple[Convergence, ...]
    calls: int
    first_path: str
    flags: tuple[Flag, ...]

    @property
    def forward(self) -> float | None:
        """Barrier from the start, eV: the highest image above it."""
        return float(self.energies.max() - self.energies[0]) if len(self.energies) else None

    @property
    def reverse(self) -> float | None:
        """Barrier from the end, eV."""
        return float(self.energies.max() - self.energies[-1]) if len(self.energies) else None

    @property
    def usable(self) -> bool:
        """Whether the barrier is one: converged, and between two places."""
        return self.converged and not any(flag.code in USELESS for flag in self.flags)

    def iterations(self, *stages: Stage) -> int:
        """Steps taken in some stages, in all where none is named."""
        chosen = stages or ("start", "end", "band", "climb")
        return sum(each.stage in chosen and each.iteration > 0 for each in self.history)


def doubts(endpoints: Endpoints, positions: NDArray[np.float64], energies: NDArray[np.float64]) -> list[Flag]:
    """Look for signs that a path is not the one that was asked for.

    Parameters
    ----------
    endpoints : Endpoints
        The hop as it was asked for.
    positions : numpy.ndarray
        shape=(n, n_atoms, 3), Å; the path, or its two ends alone.
    energies : numpy.ndarray
        shape=(n,), eV; empty where there are none yet.

    Returns
    -------
    list of Flag

    Examples
    --------
    >>> from builders.channels.analysis import analyse
    >>> from builders.potential.endpoints import make_endpoints
    >>> from store.crystal import Crystal
    >>> salt = Crystal.from_lists([[0, 2, 2], [2, 0, 2], [2, 2, 0]], ["Li", "F"], [[0.5, 0.5, 0.5], [0, 0, 0]])
    >>> ends = make_endpoints(analyse(salt, "Li"), 0)
    >>> doubts(ends, np.stack([ends.start, ends.end]), np.zeros(0))
    []
    >>> [flag.code for flag in doubts(ends, np.stack([ends.start, ends.start]), np.zeros(0))]
    ['endpoint slid away', 'path collapsed']
    """
    flags = []
    for name, ideal, relaxed in (("start", endpoints.start, positions[0]), ("end", endpoints.end, positions[-1])):
        moved = float(np.linalg.norm(relaxed[-1] - ideal[-1]))
        if moved > SLID:
            flags.append(Flag(FLAG_END_SLID, f"At the {name} the ion relaxed {moved:.2f} Å away from its site."))
    apart = np.linalg.norm(positions[-1] - positions[0], axis=1)
    if apart.max() < SAME:
        reason = f"Both ends relaxed into one minimum: no atom differs by more than {apart.max():.2f} Å."
        flags.append(Flag(FLAG_COLLAPSED, reason))
    others = np.linalg.norm(positions[:, :-1] - endpoints.start[:-1], axis=2).max(axis=0, initial=0.0)
    if (others > ELSEWHERE).any():
        most = int(others.argmax())
        reason = (
            f"{int((others > ELSEWHERE).sum())} atoms beside the ion left their places (most: {endpoints.symbols[most]}, "
            f"{others[most]:.2f} Å): the ion does not move alone."
        )
        flags.append(Flag(FLAG_OTHERS_MOVED, reason))
    return flags + (_of_profile(energies) if len(energies) else [])


def _of_profile(energies: NDArray[np.float64]) -> list[Flag]:
    flags = []
    inner, ends = energies[1:-1], (float(energies[0]), float(energies[-1]))
    if inner.max() < max(ends) + FLAT:
        reason = f"No image is above both ends (highest {inner.max():.3f} eV, ends {ends[0]:.3f} and {ends[1]:.3f} eV)."
        flags.append(Flag(FLAG_NO_SADDLE, reason))
    if inner.min() < min(ends) - VALLEY:
        reason = (
            f"Image {int(inner.argmin()) + 1} lies {min(ends) - inner.min():.2f} eV below both ends: the path leads through a "
            "better place, and the barrier out of that place is higher."
        )
        flags.append(Flag(FLAG_VALLEY, reason))
    return flags
