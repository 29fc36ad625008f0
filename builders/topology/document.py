"""Persistence diagrams of one ion in one structure as a document: what is asked for as plain numbers, the diagrams packed.

The essential classes of a periodic crystal have a plain meaning. Balls grow around the atoms of a group:

- ``ion_r1``, ``ion_r2``, ``ion_r3`` (H1 of the ion's sites, ascending): where balls around the ion's sites first make a row, a
  layer, a network without end: half the longest step on the easiest way in one, two, three directions. Layers of the ion have
  a small ``ion_r2`` and a large ``ion_r3``; ``ion_layers`` is the difference.
- ``framework_r1`` to ``framework_r3`` (H2 of the framework, descending): up to which radius what is left between the balls
  around the framework stays connected in one, two, three directions. By Alexander duality on the torus these are the
  percolation radii of the channels (:mod:`builders.channels.percolation`), found there by another way, all channels counted
  together (:mod:`builders.topology.duality`): r1 to r3 ask for one connected system, and are smaller where rods along a and
  rods along b never meet (``channels_meet``). ``channels_agree`` compares the two ways.
- ``framework_void`` (H3): where the last void closes, the radius of the largest one.

The packed arrays (:mod:`store.arrays`) are those of :mod:`builders.topology.arrays`; radii as float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from builders.topology.arrays import from_arrays, to_arrays
from store.arrays import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from builders.topology.persistence import Diagrams

SAME: Final = 2e-3
"""Å; percolation radii found both ways agree when they differ by no more."""


def to_document(ion: str, diagrams: Mapping[str, Diagrams], check: Check | None = None) -> dict[str, Any]:
    """Write the diagrams of a crystal as a document.

    Parameters
    ----------
    ion : str
        The working ion.
    diagrams : mapping
        From :func:`builders.topology.analysis.analyse`.
    check : Check, optional
        Comparison with the crystal's document in ``channels``, if there is one (:func:`compare`).

    Returns
    -------
    dict
        Fields of :class:`store.topology_documents.TopologyDocument` but ``material`` and those of the engine.

    Examples
    --------
    >>> from builders.topology.analysis import analyse
    >>> from store.crystal import Crystal
    >>> rock_salt = Crystal.from_lists([[0, 2, 2], [2, 0, 2], [2, 2, 0]], ["Li", "F"], [[0.5, 0.5, 0.5], [0, 0, 0]])
    >>> document = to_document("Li", analyse(rock_salt))
    >>> round(document["framework_r1"], 3), round(document["ion_r3"], 3), document["channels_agree"]
    (1.633, 1.414, None)
    """
    ions, framework = diagrams.get("ion"), diagrams.get("framework")
    steps: list[Any] = [None] * 3 if ions is None else ions.essential[1].tolist()
    radii: list[Any] = [None] * 3 if framework is None else framework.essential[2][::-1].tolist()
    return {
        "ion": ion,
        **{f"ion_r{k + 1}": steps[k] for k in range(3)},
        "ion_layers": None if ions is None else steps[2] - steps[1],
        **{f"framework_r{k + 1}": radii[k] for k in range(3)},
        "framework_void": None if framework is None else float(framework.essential[3][0]),
        "channels_difference": None if check is None else check.difference,
        "channels_meet": None if check is None else check.meet,
        "channels_agree": None if check is None else check.agree,
        "groups": [_summary(name, each) for name, each in diagrams.items()],
        "arrays": pack(to_arrays(diagrams)),
    }


def from_document(document: Mapping[str, Any]) -> dict[str, Diagrams]:
    """Read the diagrams of a document, each good to float32.

    Raises
    ------
    ArraysDamaged
        The packed arrays cannot be read.

    Examples
    --------
    >>> from builders.topology.persistence import persistence
    >>> made = to_document("Po", {"all": persistence(np.zeros((1, 3)), np.eye(3))})
    >>> from_document(made)["all"].essential[3].round(3).tolist()
    [0.866]
    """
    return from_arrays(unpack(document["arrays"]))


class Check(NamedTuple):
    """Percolation radii by homology and by the channels' network, compared.

    Attributes
    ----------
    difference : float
        Å; largest difference of the births from r1, r2, r3.
    meet : bool
        Whether one connected system of channels has these radii: no r1, r2, r3 is smaller than its birth.
    agree : bool
        Whether the births are r1, r2, r3, or else wholly explained by channels that do not meet, within :data:`SAME`.
    """

    difference: float
    meet: bool
    agree: bool


class Radii(NamedTuple):
    """Percolation radii from a network of channels, Å: all channels counted together, and of one connected system."""

    joint: Sequence[float]
    connected: Sequence[float]


def compare(framework: Diagrams, radii: Sequence[float], network: Callable[[], Radii]) -> Check:
    """Compare the essential H2 births of a framework with the percolation radii of its channels.

    Parameters
    ----------
    framework : Diagrams
    radii : sequence of float
        r1, r2, r3 of the channels, Å.
    network : callable
        Gives the radii of the framework's network, made anew; called only where the births are not r1, r2, r3. They explain
        the difference where the births are those of all channels together, and r1, r2, r3 those of one connected system.

    Examples
    --------
    >>> from builders.topology.persistence import persistence
    >>> cube = persistence(np.zeros((1, 3)), np.eye(3))
    >>> compare(cube, (0.7071, 0.7071, 0.7071), lambda: Radii((), ())).agree
    True
    >>> rods = (0.7071, 0.6071, 0.6071)
    >>> compare(cube, rods, lambda: Radii((0.7071, 0.7071, 0.7071), rods))[1:]
    (False, True)
    """
    births = framework.essential[2][::-1]
    apart = births - np.asarray(radii)
    largest = float(np.abs(apart).max())
    agree = largest <= SAME
    if not agree:
        found = network()
        agree = _same(births, found.joint) and _same(radii, found.connected)
    return Check(largest, float(apart.max()) <= SAME, agree)


def _same(one: Sequence[float] | NDArray[np.float64], other: Sequence[float]) -> bool:
    return float(np.abs(np.asarray(one) - np.asarray(other)).max()) <= SAME


def _summary(name: str, diagrams: Diagrams) -> dict[str, Any]:
    """Numbers of one group, those of bars by degree and as many as one cell has."""
    lengths = [bars[:, 1] - bars[:, 0] for bars in diagrams.extensive]
    return {
        "name": name,
        "n_points": diagrams.n_points,
        "bars": [len(each) for each in lengths],
        "persistence": [float(each.sum()) for each in lengths],
        "longest": [float(each.max(initial=0.0)) for each in lengths],
        "entropy": [entropy(each) for each in lengths],
        "essential": [births.tolist() for births in diagrams.essential],
    }


def entropy(lengths: NDArray[np.float64]) -> float:
    """Persistent entropy of bars: that of their shares in the total length; 0 for one bar or none.

    Parameters
    ----------
    lengths : numpy.ndarray
        shape=(n,), above zero.

    Returns
    -------
    float
        Natural logarithms.

    Examples
    --------
    >>> round(entropy(np.array([1.0, 1.0])), 4)
    0.6931
    """
    shares = lengths / lengths.sum() if len(lengths) else lengths
    return float(-(shares * np.log(shares)).sum()) + 0.0
