"""What the ion meets on its way: distances, contacts, coordination, bond valence and electrostatics, and their extremes.

Everything is symmetric in the two ends of the hop: its barrier forward and backward belong to one and the same way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from builders.barriers.landscape import COULOMB, SOFTNESS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from builders.barriers.environment import HopEnvironment
    from builders.barriers.ways import Way

FAR: Final = 9.0
"""Å; distance that stands for "none near"."""
SCREENING: Final = 3.0
"""Å; length over which charges are screened in the potential along the way."""
_LIMITS: Final = {"_valence_": 4.0, "_coulomb_": 30.0, "bvse_": 30.0}  # units of the ion's charge, eV, eV
_OF_ANIONS: Final = (
    "valence_min", "valence_max", "valence_ends", "valence_deviation", "valence_middle",
    "neighbours_min", "neighbours_max", "neighbours_ends", "neighbours_lost",
)  # fmt: skip
_EDGE: Final = 0.15  # Å; how sharply neighbours end
_SHELL: Final = 1.25  # neighbours lie within this many times the sum of the radii
_CLOSE: Final = 4.0  # Å; other ions so near to the middle of the hop are counted


def describe_profiles(environment: HopEnvironment, way: Way) -> dict[str, float]:
    """All descriptors that are read off the way and the straight line.

    Parameters
    ----------
    environment : HopEnvironment
    way : Way
        From :func:`builders.barriers.ways.find_way`.

    Returns
    -------
    dict
        Name to value, nan where nothing of the kind is there. Names are explained in
        :data:`builders.barriers.describe.FEATURES`.
    """
    sets = _Sets(environment)
    middle = np.linspace(-1.0, 1.0, len(way.points))[:, None] * environment.end
    line, path = _distances(middle, environment), _distances(way.points, environment)
    found = {
        "path_length": float(np.linalg.norm(np.diff(way.points, axis=0), axis=1).sum()),
        "path_aside": way.aside,
        "neck": way.neck,
        "neck_all": way.neck_all,
        "neck_contact": way.contact,
    }
    found["path_tortuosity"] = found["path_length"] / environment.p_length
    found |= _energies(way)
    found |= _nearest(line, sets, "line")
    found |= _nearest(path, sets, "path")
    found |= _contacts(line, sets)
    found |= _valence(path, sets, "path")
    found |= _valence(line, sets, "line")
    found |= _electrostatics(line, path, sets)
    found |= _saddle(path[int(way.energy.argmax())], sets, environment)
    found |= _ends(path[[0, -1]], sets)
    squares = (environment.positions[sets.ion] ** 2).sum(1)
    found["other_ions_near"] = float((squares < _CLOSE**2).sum())
    return {name: _bounded(name, value) for name, value in found.items()}


def _bounded(name: str, value: float) -> float:
    """Where a way must pass through an atom its numbers mean "closed": how far beyond all reason they are tells nothing."""
    for part, limit in _LIMITS.items():
        if part in name:
            return min(max(value, -limit), limit)
    return value


class _Sets:
    """Which atoms are what, and what they bring; everything by atom."""

    def __init__(self, environment: HopEnvironment) -> None:
        chemistry, kinds = environment.chemistry, environment.kinds
        self.ion = chemistry.is_ion[kinds]
        self.framework = ~self.ion
        self.anion = chemistry.is_anion[kinds]
        self.cation = self.framework & ~self.anion
        self.charge = chemistry.charge[kinds]
        self.reach = (chemistry.radius + chemistry.ion_radius)[kinds]
        self.r0 = chemistry.r0[kinds]
        self.electronegativity = chemistry.electronegativity[kinds]
        self.ion_charge = chemistry.ion_charge
        self.named = {"framework": self.framework, "anion": self.anion, "cation": self.cation, "ion": self.ion}


def _distances(points: NDArray[np.float64], environment: HopEnvironment) -> NDArray[np.float64]:
    atoms = environment.positions
    squares = (points * points).sum(1)[:, None] + (atoms * atoms).sum(1) - 2.0 * points @ atoms.T
    distances: NDArray[np.float64] = np.sqrt(np.maximum(squares, 1e-6))
    return distances


def _smallest(distances: NDArray[np.float64], chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    if not chosen.any():
        return np.full(len(distances), FAR)
    smallest: NDArray[np.float64] = np.minimum(distances[:, chosen].min(axis=1), FAR)
    return smallest


def _energies(way: Way) -> dict[str, float]:
    energy, straight = way.energy, way.straight
    ends = sorted((energy[0], energy[-1]))
    low = float(energy.min())
    return {
        "bvse_barrier": float(energy.max() - ends[0]),
        "bvse_barrier_back": float(energy.max() - ends[1]),
        "bvse_range": float(energy.max() - low),
        "bvse_mean": float(energy.mean() - low),
        "bvse_asymmetry": float(ends[1] - ends[0]),
        "bvse_straight": float(straight.max() - ends[0]),
        "bvse_end": float(np.mean(ends)),
    }


def _nearest(distances: NDArray[np.float64], sets: _Sets, where: str) -> dict[str, float]:
    found = {}
    for name, chosen in sets.named.items():
        nearest = _smallest(distances, chosen)
        found[f"{where}_{name}_min"] = float(nearest.min())
        found[f"{where}_{name}_middle"] = float(nearest[len(nearest) // 2])
        found[f"{where}_{name}_max"] = float(nearest.max())
    return found


def _contacts(distances: NDArray[np.float64], sets: _Sets) -> dict[str, float]:
    found = {}
    for name in ("anion", "cation"):
        chosen = sets.named[name]
        contact = _smallest(distances / sets.reach, chosen)
        found[f"contact_{name}_min"] = float(contact.min())
        found[f"contact_{name}_middle"] = float(contact[len(contact) // 2])
        found[f"contact_{name}_ends"] = float((contact[0] + contact[-1]) / 2)
    return found


def _valence(distances: NDArray[np.float64], sets: _Sets, where: str) -> dict[str, float]:
    """Bond-valence sum in units of the ion's charge, and the number of anions around it."""
    anions = sets.anion
    if not anions.any():
        return {f"{where}_{name}": float("nan") for name in _OF_ANIONS}
    near = distances[:, anions]
    valence = np.exp(np.minimum((sets.r0[anions] - near) / SOFTNESS, 5.0)).sum(axis=1) / abs(sets.ion_charge)
    count = (1.0 / (1.0 + np.exp(np.minimum((near - _SHELL * sets.reach[anions]) / _EDGE, 50.0)))).sum(axis=1)
    return {
        f"{where}_valence_min": float(valence.min()),
        f"{where}_valence_max": float(valence.max()),
        f"{where}_valence_ends": float((valence[0] + valence[-1]) / 2),
        f"{where}_valence_middle": float(valence[len(valence) // 2]),
        f"{where}_valence_deviation": float(np.abs(valence - 1.0).max()),
        f"{where}_neighbours_min": float(count.min()),
        f"{where}_neighbours_max": float(count.max()),
        f"{where}_neighbours_ends": float((count[0] + count[-1]) / 2),
        f"{where}_neighbours_lost": float((count[0] + count[-1]) / 2 - count.min()),
    }


def _electrostatics(line: NDArray[np.float64], path: NDArray[np.float64], sets: _Sets) -> dict[str, float]:
    """Screened Coulomb energy of the ion, eV, against the mean of its ends."""
    found = {}
    for where, distances in (("line", line), ("path", path)):
        pull = np.exp(distances * (-1.0 / SCREENING)) / np.maximum(distances, 0.5)
        pull *= COULOMB * sets.ion_charge
        whole = pull @ sets.charge
        others = pull @ np.where(sets.ion, sets.charge, 0.0)
        for name, profile in (("", whole), ("framework_", whole - others), ("ions_", others)):
            ends = (profile[0] + profile[-1]) / 2
            found[f"{where}_coulomb_{name}max"] = float(profile.max() - ends)
            found[f"{where}_coulomb_{name}middle"] = float(profile[len(profile) // 2] - ends)
        found[f"{where}_coulomb_ends"] = float((whole[0] + whole[-1]) / 2)
        found[f"{where}_coulomb_asymmetry"] = float(abs(whole[0] - whole[-1]))
    return found


def _saddle(distances: NDArray[np.float64], sets: _Sets, environment: HopEnvironment) -> dict[str, float]:
    """The atoms that form the highest place of the way."""
    framework = np.flatnonzero(sets.framework)
    order = framework[np.argsort(distances[framework])[:6]]
    near = np.concatenate([distances[order], np.full(6 - len(order), FAR)])
    three = order[:3]
    return {
        "saddle_distance_3": float(near[:3].mean()),
        "saddle_distance_4": float(near[3]),
        "saddle_distance_6": float(near.mean()),
        "saddle_anions": float(sets.anion[three].sum()),
        "saddle_electronegativity": float(np.nanmean(sets.electronegativity[three]))
        if np.isfinite(sets.electronegativity[three]).any()
        else float("nan"),
        "saddle_charge": float(sets.charge[three].mean()) if len(three) else float("nan"),
        "saddle_cation": float(_smallest(distances[None], sets.cation)[0]),
        "saddle_ion": float(_smallest(distances[None], sets.ion)[0]),
    }


def _ends(distances: NDArray[np.float64], sets: _Sets) -> dict[str, float]:
    """What surrounds the ion at its two ends: means and differences."""
    found = {}
    anions = np.sort(distances[:, sets.anion], axis=1)[:, :8]
    anions = np.pad(anions, ((0, 0), (0, 8 - anions.shape[1])), constant_values=FAR)
    cations, ions = _smallest(distances, sets.cation), _smallest(distances, sets.ion)
    # Field of the cations: how strongly the second shell pushes.
    close = sets.cation & (distances < 4.5)
    push = np.where(close, sets.charge / distances**2, 0.0).sum(axis=1)
    for name, pair in (
        ("end_anion_1", anions[:, 0]),
        ("end_anion_4", anions[:, :4].mean(axis=1)),
        ("end_anion_6", anions[:, :6].mean(axis=1)),
        ("end_anion_8", anions[:, 7]),
        ("end_cation", cations),
        ("end_ion", ions),
        ("end_cation_field", push),
    ):
        found[name] = float(pair.mean())
        found[f"{name}_difference"] = float(abs(pair[1] - pair[0]))
    return found
