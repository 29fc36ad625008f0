"""One hop of an ion as it was given: between which places, in which host, and how high the barrier is, if it was computed.

Energies are in eV. What the word "barrier" means differs from source to source; a record says which of
:data:`DEFINITIONS` its number follows, and nothing here converts one into another.
"""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from store.errors import InvalidCoordinates, InvalidLattice, SourceError, UnknownElement
from store.ingest.labels import SYMBOLS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from store.crystal import Crystal

FORWARD: Final = "forward"
REVERSE: Final = "reverse"
LARGER: Final = "larger of forward and reverse"
MAX_MIN: Final = "max-min"
UNSTATED: Final = "unstated"

DEFINITIONS: Final[dict[str, str]] = {
    FORWARD: "Highest energy on the path minus that of the initial end.",
    REVERSE: "Highest energy on the path minus that of the final end.",
    LARGER: "The larger of forward and reverse: highest energy minus that of the lower end.",
    MAX_MIN: "Highest minus lowest energy of all images, ends or not.",
    UNSTATED: "The source gives a number and does not say which of these it is.",
}
"""What "barrier" can mean."""

LIMITS: Final = ("dilute", "vacancy", "intermediate")
"""How many ions are there beside the moving one: none; all but one; some. A source may leave two of them open."""

_PER_EV: Final = {"ev": 1.0, "mev": 1e-3, "kj/mol": 1 / 96.48533212331, "kcal/mol": 4.184 / 96.48533212331}
"""eV in one of each; the Faraday constant is 96.48533212331 kJ/mol/eV (CODATA 2018), a calorie 4.184 J."""
_SHORTEST_HOP: Final = 1e-3
_NEAR: Final = 0.5
_MOST_IMAGES: Final = 200_000


@dataclass(frozen=True, eq=False)
class HopRecord:
    """One hop of an ion as it was given, with the barrier if one was computed.

    Attributes
    ----------
    working_ion : str
        Symbol of the moving element.
    host : Crystal
        All atoms but the moving ion, of the initial end; any cell or supercell.
    start, end : numpy.ndarray
        shape=(3,), fractional; ``end`` is unwrapped: ``end - start`` is the hop vector.
    id : str or None
        The source's own name of the hop.
    name : str or None
        Name of the system, as given.
    images : numpy.ndarray or None
        shape=(n, 3), fractional, unwrapped, of the moving ion from start to end, as given.
    images_kind : str or None
        "relaxed", "linear interpolation" ... as given.
    energies : numpy.ndarray or None
        shape=(n,), eV, of the images, where given.
    barrier : float or None
        eV; None for a hop to be predicted.
    barrier_definition : str or None
        One of :data:`DEFINITIONS`; None without a barrier.
    method : str or None
        "DFT-NEB", "DFT-CI-NEB", "ApproxNEB", "MLIP-NEB (CHGNet 0.4.2)" ...
    functional : str or None
        "GGA", "GGA+U", "SCAN", "LDA", "PBE" ... as given.
    charge_state : float or None
        Total charge of the cell, where known.
    limit : str or None
        One of :data:`LIMITS`, or "vacancy or intermediate"; where known.
    framework_formula : str or None
        Formula of the host without any working ion, as given.
    crystal_class, space_group : str or None
        As given.
    properties : dict
        All else that came along.
    licence : str or None
        Where the record says it.
    references : list of str
        Publications.
    warnings : list of str
        What was mended, converted or assumed.
    flags : list of str
        Quality flags, as given.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> host = Crystal.from_lists([[3, 0, 0], [0, 3, 0], [0, 0, 3]], ["O"], [[0, 0, 0]])
    >>> hop = HopRecord("Li", host, np.array([0.5, 0.5, 0.0]), np.array([0.5, 0.5, 1.0]), barrier=0.3)
    >>> hop.length
    3.0
    """

    working_ion: str
    host: Crystal
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    id: str | None = None
    name: str | None = None
    images: NDArray[np.float64] | None = None
    images_kind: str | None = None
    energies: NDArray[np.float64] | None = None
    barrier: float | None = None
    barrier_definition: str | None = None
    method: str | None = None
    functional: str | None = None
    charge_state: float | None = None
    limit: str | None = None
    framework_formula: str | None = None
    crystal_class: str | None = None
    space_group: str | None = None
    properties: dict[str, Any] = field(default_factory=dict)
    licence: str | None = None
    references: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)

    @property
    def length(self) -> float:
        """Distance of the two ends, Å."""
        return float(np.linalg.norm((self.end - self.start) @ self.host.lattice))

    def initial(self) -> Crystal:
        """Return the initial end: the host with the moving ion at the start, as the last site."""
        occupancies = self.host.occupancies
        return type(self.host)(
            self.host.lattice,
            np.vstack([self.host.frac_coords, self.start]),
            (*self.host.species, self.working_ion),
            None if occupancies is None else (*occupancies, {self.working_ion: 1.0}),
        )


def to_ev(value: float, unit: str) -> float:
    """Convert an energy of one hop to eV; molar units count per mole of hops.

    Parameters
    ----------
    value : float
        The energy.
    unit : str
        "eV", "meV", "kJ/mol" or "kcal/mol", in any case; "kJ mol-1" is understood.

    Raises
    ------
    SourceError
        Another unit, or no finite number.

    Examples
    --------
    >>> to_ev(300, "meV"), round(to_ev(96.485, "kJ/mol"), 4)
    (0.3, 1.0)
    """
    plain = re.sub(r"\s*[·*]?\s*mol\^?[-\u2212]1$", "/mol", unit.strip()).casefold()
    factor = _PER_EV.get(plain)
    if factor is None:
        raise SourceError(f"The unit {unit!r} of the energy is not known: eV, meV, kJ/mol or kcal/mol were expected.")
    return finite(value, "energy") * factor


def finite(value: object, what: str) -> float:
    """Return a finite number.

    Raises
    ------
    SourceError
        It is none.

    Examples
    --------
    >>> finite(1, "barrier")
    1.0
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300:
        raise SourceError(f"The {what} must be a finite number; {str(value)[:80]!r} was given.")
    return float(value)


_WORDS: Final = (
    (LARGER, r"(larger|largest|greater|higher|max(imum)?) of (the )?(forward and (the )?reverse|both directions)|max_?barrier"),
    (MAX_MIN, r"max(imum)?\W*(e(nergy)?\W+)?(-|\u2212|minus)\W*min|energy[ _]range|barrier[ _]energy[ _]range"),
    (FORWARD, r"max(imum)?\W*(e(nergy)?\W+)?(-|\u2212|minus)\W*(the )?(start|initial|first|reactant)|^forward$"),
    (REVERSE, r"max(imum)?\W*(e(nergy)?\W+)?(-|\u2212|minus)\W*(the )?(end|final|last|product)|^(reverse|backward)$"),
)  # fmt: skip


def definition_in(text: str | None) -> str | None:
    """Find the definition of the barrier that a text states, or None.

    Examples
    --------
    >>> definition_in("VASP NEB (spline maximum - start)"), definition_in("DFT-NEB (literature value)")
    ('forward', None)
    """
    words = (text or "").strip().casefold()
    if words in DEFINITIONS:
        return words
    return next((name for name, pattern in _WORDS if re.search(pattern, words)), None)


def shortest_image(
    lattice: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Move the end by lattice vectors to where it is nearest to the start, exactly, however skew the cell.

    Parameters
    ----------
    lattice : numpy.ndarray
        shape=(3, 3), rows in Å.
    start, end : numpy.ndarray
        shape=(3,), fractional.

    Returns
    -------
    numpy.ndarray
        shape=(3,), fractional. Of equally near images the one whose components come first is taken; an end that is the
        start itself moves to the nearest translate of the start.

    Raises
    ------
    InvalidLattice
        The cell is so flat that its images cannot be counted.

    Examples
    --------
    >>> shortest_image(np.eye(3) * 4.0, np.array([0.1, 0, 0]), np.array([0.9, 0, 0])).round(3).tolist()
    [-0.1, 0.0, 0.0]
    """
    basis = _reduced(lattice)
    step = (end - start) @ lattice @ np.linalg.inv(basis)
    step = step - np.round(step)
    same = bool(np.linalg.norm(step @ basis) < _SHORTEST_HOP)
    reach = float(np.linalg.norm(basis, axis=1).min() if same else np.linalg.norm(step @ basis)) * (1 + 1e-9)
    # A vector of this length has no larger fractional components than these.
    spans = reach * np.linalg.norm(np.linalg.inv(basis), axis=0)
    low, high = np.ceil(-spans - step - 1e-9), np.floor(spans - step + 1e-9)
    if not float(np.prod(high - low + 1)) <= _MOST_IMAGES:
        raise InvalidLattice("The cell is too flat to find the shortest periodic image of the hop.")
    shifts = np.array(list(itertools.product(*(np.arange(a, b + 1) for a, b in zip(low, high, strict=True)))))
    vectors = (step + shifts) @ basis
    lengths = np.linalg.norm(vectors, axis=1)
    if same:
        lengths[lengths < _SHORTEST_HOP] = np.inf
    nearest = start + vectors[int(np.argmax(lengths <= lengths.min() + 1e-6))] @ np.linalg.inv(lattice)
    moved: NDArray[np.float64] = end + np.round(nearest - end)  # whole translations, free of rounding
    return moved


def _reduced(lattice: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make a basis of the same lattice whose vectors are short, pair by pair (Gauss)."""
    basis = lattice.copy()
    for _ in range(100):
        before = basis.copy()
        for one, other in itertools.permutations(range(3), 2):
            basis[one] -= np.round(basis[one] @ basis[other] / (basis[other] @ basis[other])) * basis[other]
        if np.array_equal(before, basis):
            break
    return basis


def checked(hop: HopRecord) -> HopRecord:
    """Check a record and add what it has to be warned of.

    Parameters
    ----------
    hop : HopRecord
        As a reader makes it.

    Returns
    -------
    HopRecord
        The same with further warnings: a negative barrier, one that contradicts the energies, a moving ion that was left
        in the host, an end that is not free, images that do not begin and end at the ends.

    Raises
    ------
    UnknownElement
        The working ion is no element.
    InvalidCoordinates
        Places or images that are no finite numbers.
    SourceError
        No host atom; start and end are one place; barrier or energies are no finite numbers; an unknown definition.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> host = Crystal.from_lists([[3, 0, 0], [0, 3, 0], [0, 0, 3]], ["O"], [[0, 0, 0]])
    >>> ends = np.array([[0.5, 0.5, 0.5], [0.5, 0.5, 1.5]])
    >>> checked(HopRecord("Li", host, *ends, barrier=-0.1, barrier_definition="forward")).warnings
    ['negative_barrier: the barrier is -0.1 eV; it is kept as given.']
    """
    if hop.working_ion not in SYMBOLS:
        raise UnknownElement(f"The working ion {hop.working_ion!r} is no chemical element.")
    if hop.host.n_sites < 1:
        raise SourceError("The host has no atoms.")
    for what, place in (("start", hop.start), ("end", hop.end)):
        if place.shape != (3,) or not np.isfinite(place).all():
            raise InvalidCoordinates(f"The {what} of the hop must be three finite numbers: {place.tolist()}.")
    if hop.length < _SHORTEST_HOP:
        raise SourceError(
            "The hop ends where it starts: its end must be given unwrapped (end - start is the hop vector)."
        )
    warnings = [*_of_barrier(hop), *_of_images(hop), *_of_host(hop)]
    return replace(hop, warnings=list(dict.fromkeys([*hop.warnings, *warnings])))


def _of_barrier(hop: HopRecord) -> list[str]:
    if hop.charge_state is not None and not math.isfinite(hop.charge_state):
        raise SourceError(f"The charge state must be a finite number; it is {hop.charge_state}.")
    if hop.barrier is None:
        return []
    if not math.isfinite(hop.barrier):
        raise SourceError(f"The barrier must be a finite number; it is {hop.barrier}.")
    if hop.barrier_definition not in DEFINITIONS:
        raise SourceError(
            f"The definition {hop.barrier_definition!r} of the barrier is not known: {', '.join(DEFINITIONS)}."
        )
    found = []
    if hop.barrier < 0:
        found.append(f"negative_barrier: the barrier is {hop.barrier:g} eV; it is kept as given.")
    expected = barrier_of(hop.energies, hop.barrier_definition)
    if expected is not None and abs(expected - hop.barrier) > max(0.1, 0.1 * abs(expected)):
        found.append(
            f"barrier_contradicts_energies: {hop.barrier:g} eV is given, the energies of the images make "
            f"{expected:.3f} eV ({hop.barrier_definition})."
        )
    return found


def barrier_of(energies: NDArray[np.float64] | None, definition: str) -> float | None:
    """Barrier that the energies of images make by a definition; None where it cannot be told.

    Examples
    --------
    >>> profile = np.array([0.1, 0.5, 0.0])
    >>> [barrier_of(profile, name) for name in ("forward", "reverse", "max-min", "unstated")]
    [0.4, 0.5, 0.5, None]
    """
    if energies is None or not len(energies):
        return None
    top, first, last = float(energies.max()), float(energies[0]), float(energies[-1])
    floors = {FORWARD: first, REVERSE: last, LARGER: min(first, last), MAX_MIN: float(energies.min())}
    return None if definition not in floors else top - floors[definition]


def _of_images(hop: HopRecord) -> list[str]:
    if hop.energies is not None:
        if hop.energies.ndim != 1 or not np.isfinite(hop.energies).all():
            raise SourceError("The energies of the images must be a list of finite numbers.")
        if hop.images is not None and len(hop.energies) != len(hop.images):
            raise SourceError(f"There are {len(hop.images)} images and {len(hop.energies)} energies.")
    if hop.images is None:
        return []
    if hop.images.ndim != 2 or hop.images.shape[1] != 3 or not np.isfinite(hop.images).all() or len(hop.images) < 2:
        raise InvalidCoordinates("The images must be two or more rows of three finite numbers.")
    ends = np.stack([hop.images[0] - hop.start, hop.images[-1] - hop.end]) @ hop.host.lattice
    far = float(np.linalg.norm(ends, axis=1).max())
    if far > 0.05:
        return [f"images_off_ends: the images begin or end {far:.2f} Å away from the ends of the hop."]
    return []


def _of_host(hop: HopRecord) -> list[str]:
    found = []
    symbol, near = _nearest(hop, hop.start)
    if near < _NEAR:
        left = " was the moving ion left in?" if hop.working_ion in symbol else " the places may be wrong."
        name = "moving_ion_in_host" if hop.working_ion in symbol else "start_on_host_atom"
        found.append(f"{name}: the host holds {symbol} {near:.2f} Å from the start:{left}")
    symbol, near = _nearest(hop, hop.end)
    if near < _NEAR:
        found.append(f"end_on_host_atom: the host holds {symbol} {near:.2f} Å from the end, which is not free.")
    return found


def _nearest(hop: HopRecord, place: NDArray[np.float64]) -> tuple[str, float]:
    steps = hop.host.frac_coords - place
    distances = np.linalg.norm((steps - np.round(steps)) @ hop.host.lattice, axis=1)
    index = int(np.argmin(distances))
    return hop.host.species[index], float(distances[index])
