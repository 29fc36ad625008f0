"""The ion's energy around a hop, as bond valences tell it: cheap, transferable, and blind to what only electrons know.

For anions a Morse curve each, whose minimum lies where the bond valences of six neighbours make up the ion's charge; for
cations a screened Coulomb repulsion. After the bond-valence site energy of Adams and Rao (Phys. Status Solidi A 208,
1746, 2011), with the bond lengths of O'Keeffe and Brese for all pairs of elements, so that no pair is missing. Its values
order ways through a crystal; they are no barriers and are not used as such.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.barriers.environment import HopEnvironment

SOFTNESS: Final = 0.37
"""Å; the universal parameter b of bond valences, s = exp((R0 - d) / b)."""
NEIGHBOURS: Final = 6.0
"""Neighbours among which the ion's charge is shared where a bond is at its best."""
COULOMB: Final = 14.399645
"""e^2 / (4 pi epsilon_0), eV Å."""
SCREENING: Final = 1.2
"""Å; beyond it the repulsion of cations fades."""
STRENGTH: Final = 0.3
HIGHEST: Final = 60.0
"""eV; energies are cut off here."""


class Terms(NamedTuple):
    """Parameters of each atom around a hop, float32; shape=(n,) each.

    Attributes
    ----------
    best : numpy.ndarray
        Å; distance of the Morse minimum, for anions.
    depth : numpy.ndarray
        eV; depth of the minimum, zero for cations.
    repulsion : numpy.ndarray
        eV Å; strength of the repulsion, zero for anions.
    """

    best: NDArray[np.float32]
    depth: NDArray[np.float32]
    repulsion: NDArray[np.float32]


def terms_of(environment: HopEnvironment) -> Terms:
    """Parameters of the atoms around a hop."""
    chemistry, kinds = environment.chemistry, environment.kinds
    charge = abs(chemistry.ion_charge)
    best = chemistry.r0 + SOFTNESS * np.log(NEIGHBOURS / charge)
    depth = np.where(chemistry.is_anion, 0.5 * np.sqrt(charge * np.abs(chemistry.charge)), 0.0)
    same = np.maximum(chemistry.charge * np.sign(chemistry.ion_charge), 0.0)
    repulsion = np.where(chemistry.is_anion, 0.0, COULOMB * STRENGTH * charge * same)
    return Terms(best.astype(np.float32)[kinds], depth.astype(np.float32)[kinds], repulsion.astype(np.float32)[kinds])


def site_energy(distances: NDArray[np.float32], terms: Terms) -> NDArray[np.float32]:
    """Energy of the ion at some points, eV.

    Parameters
    ----------
    distances : numpy.ndarray
        shape=(n, m), float32, Å, from the atoms that the terms belong to, to the points. Rows of atoms, because sums
        over atoms are then sums of rows, several times as fast.
    terms : Terms
        Anions first.

    Returns
    -------
    numpy.ndarray
        shape=(m,), at most :data:`HIGHEST`.

    Examples
    --------
    >>> one_anion = Terms(*[np.array([value], dtype=np.float32) for value in (2.0, 0.5, 0.0)])
    >>> site_energy(np.array([[2.0, 9.0]], dtype=np.float32), one_anion).round(3).tolist()
    [-0.5, -0.0]
    """
    anions = int(np.count_nonzero(terms.depth))
    morse = (terms.best[:anions, None] - distances[:anions]) * np.float32(1 / SOFTNESS)
    np.exp(np.minimum(morse, np.float32(20.0), out=morse), out=morse)
    energy = terms.depth[:anions] @ (morse * (morse - np.float32(2.0)))
    if anions < len(distances):
        far = distances[anions:]
        energy = energy + terms.repulsion[anions:] @ (np.exp(far * np.float32(-1 / SCREENING)) / far)
    found: NDArray[np.float32] = np.minimum(energy, np.float32(HIGHEST))
    return found
