"""The descriptors of a hop by name: unit, meaning, and what they tell of."""

from __future__ import annotations

from typing import Final

from builders.barriers.chemistry import STATISTICS
from builders.barriers.study import NAMES as STUDY
from builders.models.feature import Feature

_STUDY = (
    ("r_sd", "Å", "Radius of the sphere as large as the Voronoi cell of the path's void."),
    ("r_chan", "Å", "Smallest channel of the path's void: circumradius of the triangle of atoms that form it."),
    ("p_length", "Å", "Distance of the hop's two ends."),
    ("r_sd_plus_r_chan", "Å", "R_sd + r_chan."),
    ("p_over_r_sd", None, "P_length / R_sd."),
    ("p_over_r_chan", None, "P_length / r_chan."),
)
_GEOMETRY = (
    ("r_bottleneck", "Å", "Narrowest channel of the widest route of voids."),
    ("path_length", "Å", "Length of the way of lowest site energy."),
    ("path_aside", "Å", "How far that way leaves the straight line."),
    ("path_tortuosity", None, "Its length by that of the straight line."),
    ("neck", "Å", "Distance of the nearest framework atom in the narrowest place of the widest way."),
    ("neck_all", "Å", "The same with the other ions."),
    ("neck_contact", None, "The same in units of the sum of the crystal radii."),
    ("other_ions_near", None, "Other ions within 4 Å of the hop's middle."),
    ("volume_per_site", "Å^3", "Volume of the host by its framework sites."),
)
_ENERGY = (
    ("bvse_barrier", "eV", "Highest site energy on the way above that of the lower end."),
    ("bvse_barrier_back", "eV", "The same above the higher end."),
    ("bvse_range", "eV", "Highest above lowest site energy on the way."),
    ("bvse_mean", "eV", "Mean above lowest site energy on the way."),
    ("bvse_asymmetry", "eV", "Difference of the site energies of the ends."),
    ("bvse_straight", "eV", "Highest site energy on the straight line above that of the lower end of the hop."),
    ("bvse_end", "eV", "Mean site energy of the ends."),
)
_SADDLE = (
    ("saddle_distance_3", "Å", "Mean distance of the three nearest framework atoms at the highest place of the way."),
    ("saddle_distance_4", "Å", "Distance of the fourth there."),
    ("saddle_distance_6", "Å", "Mean distance of the six nearest there."),
    ("saddle_anions", None, "Anions among the three nearest there: the atoms that form the bottleneck."),
    ("saddle_electronegativity", None, "Mean electronegativity (Pauling) of the three."),
    ("saddle_charge", "e", "Mean oxidation state of the three."),
    ("saddle_cation", "Å", "Distance of the nearest framework cation there."),
    ("saddle_ion", "Å", "Distance of the nearest other ion there."),
)
_KINDS = {"framework": "framework atom", "anion": "anion", "cation": "framework cation", "ion": "other ion"}
_WHERE = {"line": "on the straight line", "path": "on the way of lowest site energy"}
_EXTREMES = {"min": "smallest", "middle": "in the middle", "max": "largest"}


def _along() -> list[Feature]:
    found = []
    for where, place in _WHERE.items():
        for kind, words in _KINDS.items():
            for extreme, which in _EXTREMES.items():
                meaning = f"Distance of the nearest {words} {place}: {which}."
                found.append(Feature(f"{where}_{kind}_{extreme}", "Å", meaning, "geometry"))
    for kind in ("anion", "cation"):
        for extreme, which in (("min", "smallest"), ("middle", "in the middle"), ("ends", "mean of the ends")):
            meaning = f"Distance of the nearest {_KINDS[kind]} by the sum of the crystal radii, straight line: {which}."
            found.append(Feature(f"contact_{kind}_{extreme}", None, meaning, "geometry"))
    for where, place in _WHERE.items():
        for name, which in (
            ("min", "smallest"),
            ("max", "largest"),
            ("ends", "mean of the ends"),
            ("middle", "in the middle"),
            ("deviation", "largest deviation from one"),
        ):
            meaning = f"Bond-valence sum by the ion's charge {place}: {which}."
            found.append(Feature(f"{where}_valence_{name}", None, meaning, "valence"))
        for name, which in (
            ("min", "smallest"),
            ("max", "largest"),
            ("ends", "mean of the ends"),
            ("lost", "mean of the ends less the smallest"),
        ):
            meaning = f"Coordination number by anions, counted smoothly, {place}: {which}."
            found.append(Feature(f"{where}_neighbours_{name}", None, meaning, "valence"))
    return found


def _electrostatics() -> list[Feature]:
    found = []
    for where, place in _WHERE.items():
        for name, words in (("", "all charges"), ("framework_", "the framework"), ("ions_", "the other ions")):
            for extreme, which in (("max", "highest"), ("middle", "in the middle")):
                meaning = f"Screened Coulomb energy with {words} {place}, above the mean of the ends: {which}."
                found.append(Feature(f"{where}_coulomb_{name}{extreme}", "eV", meaning, "electrostatics"))
        found.append(
            Feature(
                f"{where}_coulomb_ends", "eV", f"Screened Coulomb energy, mean of the ends ({where}).", "electrostatics"
            )
        )
        meaning = f"Difference of the screened Coulomb energies of the ends ({where})."
        found.append(Feature(f"{where}_coulomb_asymmetry", "eV", meaning, "electrostatics"))
    return found


def _ends() -> list[Feature]:
    kinds = (
        ("end_anion_1", "Å", "distance of the nearest anion"),
        ("end_anion_4", "Å", "mean distance of the four nearest anions"),
        ("end_anion_6", "Å", "mean distance of the six nearest anions"),
        ("end_anion_8", "Å", "distance of the eighth anion"),
        ("end_cation", "Å", "distance of the nearest framework cation"),
        ("end_ion", "Å", "distance of the nearest other ion"),
        ("end_cation_field", "e/Å^2", "sum of charge / distance^2 of the framework cations within 4.5 Å"),
    )
    found = []
    for name, unit, words in kinds:
        found.append(Feature(name, unit, f"At the ends: {words}; mean of both.", "ends"))
        found.append(Feature(f"{name}_difference", unit, f"At the ends: {words}; difference of both.", "ends"))
    return found


_CHEMISTRY = {
    "ion_charge": ("e", "Charge of the ion."),
    "ion_radius": ("Å", "Crystal radius of the ion."),
    "ion_electronegativity": (None, "Electronegativity of the ion (Pauling)."),
    "ion_mass": ("g/mol", "Mass of the ion."),
    "ion_period": (None, "Period of the ion's element."),
    "ion_softness": ("Å^3/e", "Radius^3 by charge of the ion: a stand-in for its polarisability."),
    "anion_electronegativity": (None, "Electronegativity of the anions: mean."),
    "anion_radius": ("Å", "Crystal radius of the anions: mean."),
    "anion_charge": ("e", "Charge of the anions: mean."),
    "anion_period": (None, "Period of the anions: mean."),
    "anion_polarisability": ("Å^3", "Radius^3 of the anions, a stand-in for their polarisability: mean."),
    "anion_electronegativity_spread": (None, "Electronegativity of the anions: largest less smallest."),
    "fluorine_share": (None, "Share of F among the anions."),
    "oxygen_share": (None, "Share of O among the anions."),
    "cation_electronegativity": (None, "Electronegativity of the framework cations: mean."),
    "cation_electronegativity_max": (None, "The same: largest."),
    "cation_electronegativity_min": (None, "The same: smallest."),
    "cation_charge": ("e", "Oxidation state of the framework cations: mean."),
    "cation_charge_max": ("e", "The same: largest."),
    "cation_radius": ("Å", "Crystal radius of the framework cations: mean."),
    "cations_per_anion": (None, "Framework cations by anions."),
    "transition_metal_share": (None, "Share of d and f elements among the framework cations."),
    "p_block_share": (None, "Share of p elements among the framework cations."),
    "n_elements": (None, "Elements of the framework."),
    "other_ions_per_anion": (None, "Other ions in the host by anions."),
    "dilute": (None, "1 where the host holds no other ion, else 0."),
    "other_mobile_per_anion": (None, "Framework cations that may be mobile themselves, by anions."),
}

FEATURES: Final = (
    *(Feature(name, unit, meaning, "study") for name, unit, meaning in _STUDY),
    *(Feature(name, unit, meaning, "geometry") for name, unit, meaning in _GEOMETRY),
    *_along(),
    *(Feature(name, unit, meaning, "energy") for name, unit, meaning in _ENERGY),
    *(Feature(name, unit, meaning, "geometry") for name, unit, meaning in _SADDLE),
    *_electrostatics(),
    *_ends(),
    *(Feature(name, *_CHEMISTRY[name], "chemistry") for name in STATISTICS),
)
"""All descriptors in their order; the study's six come first."""

NAMES: Final = tuple(feature.name for feature in FEATURES)
"""Their names, the order of every array of descriptors."""

__all__ = ["FEATURES", "NAMES", "STUDY", "Feature"]
