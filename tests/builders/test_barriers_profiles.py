"""Descriptors along a hop: by hand, against a slow twin that reads their definitions, bounded, complete, and symmetric."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import fmean

import numpy as np
import pytest

from builders.barriers.chemistry import STATISTICS
from builders.barriers.describe import FEATURES, NAMES, STUDY, describe, describe_with_way
from builders.barriers.environment import HopEnvironment, of_record
from builders.barriers.landscape import COULOMB, HIGHEST, SOFTNESS
from builders.barriers.profiles import FAR, SCREENING, describe_profiles
from builders.barriers.study import NAMES as STUDY_NAMES
from builders.barriers.ways import Way, find_way

from .barrier_hops import by_hand, octahedral_hop, random_host, reverse, turn, turned

SQUARE = [("O", (0.0, 2.0, 0.0)), ("O", (0.0, -2.0, 0.0)), ("O", (0.0, 0.0, 2.0)), ("O", (0.0, 0.0, -2.0))]
ROUNDED = 2e-4
"""Descriptors are told with so many decimals; what is made of several may be one more off."""
OF_STUDY = {*STUDY_NAMES, "r_bottleneck"} - {"p_length"}


def named(row: np.ndarray) -> dict[str, float]:
    return dict(zip(NAMES, row.tolist(), strict=True))


# ------------------------------------------------------------------------------------------------------- what there is


def test_every_descriptor_has_a_name_a_meaning_and_a_group() -> None:
    assert len(set(NAMES)) == len(NAMES) == len(FEATURES)
    assert tuple(feature.name for feature in FEATURES) == NAMES
    assert NAMES[:6] == STUDY == ("r_sd", "r_chan", "p_length", "r_sd_plus_r_chan", "p_over_r_sd", "p_over_r_chan")
    groups = {"study", "geometry", "valence", "energy", "electrostatics", "ends", "chemistry"}
    assert {feature.group for feature in FEATURES} == groups
    for feature in FEATURES:
        assert not feature.meaning[0].islower(), feature
        assert feature.meaning.endswith("."), feature
        assert feature.unit in {None, "Å", "Å^3", "eV", "e", "e/Å^2", "Å^3/e", "g/mol"}, feature
    assert len({(feature.meaning, feature.unit) for feature in FEATURES}) > 0.9 * len(FEATURES)
    assert [feature.name for feature in FEATURES if feature.group == "study"] == list(STUDY)
    assert [feature.name for feature in FEATURES if feature.group == "chemistry"] == list(STATISTICS)


def test_what_is_described_is_what_is_named() -> None:
    environment = of_record(random_host(0))
    found = describe_profiles(environment, find_way(environment))
    known = set(NAMES) - OF_STUDY - set(STATISTICS) - {"p_length", "volume_per_site"}
    assert set(found) == known


def test_without_the_study_only_its_own_descriptors_are_unknown() -> None:
    environment = of_record(random_host(1))
    quick, whole = named(describe(environment, study=False)), named(describe(environment))
    assert {name for name in NAMES if math.isnan(quick[name])} == OF_STUDY
    assert not [name for name in NAMES if math.isnan(whole[name])]
    for name in set(NAMES) - OF_STUDY:
        assert quick[name] == whole[name]
    assert whole["r_sd_plus_r_chan"] == pytest.approx(whole["r_sd"] + whole["r_chan"], abs=ROUNDED)
    assert whole["p_over_r_sd"] == pytest.approx(whole["p_length"] / whole["r_sd"], abs=ROUNDED)
    assert whole["p_over_r_chan"] == pytest.approx(whole["p_length"] / whole["r_chan"], abs=ROUNDED)


@pytest.mark.parametrize(
    ("symbols", "unknown"),
    [
        ({"Ti": "Ti", "O": "O", "Li": "Li"}, ()),
        ({"Ti": "F", "O": "F", "Li": "Li"}, ("cation_",)),
        ({"Ti": "Fe", "O": "Ni", "Li": "Li"}, ("anion_", "valence_", "neighbours_", "_share", "_per_anion")),
    ],
    ids=["oxide", "anions alone", "alloy"],
)
def test_only_what_is_not_there_is_unknown(symbols: dict[str, str], unknown: tuple[str, ...]) -> None:
    from store.crystal import Crystal
    from store.hops import HopRecord

    record = random_host(2)
    host = record.host
    made = Crystal.from_lists(host.lattice, [symbols[each] for each in host.species], host.frac_coords)
    found = named(describe(of_record(HopRecord("Li", made, record.start, record.end))))
    missing = {name for name in NAMES if math.isnan(found[name])}
    # Distances of what is not there are told as far, not as unknown.
    allowed = {
        feature.name
        for feature in FEATURES
        if feature.group in ("chemistry", "valence") and any(part in feature.name for part in unknown)
    }
    assert missing <= allowed, missing - allowed
    assert bool(missing) is bool(unknown)


# ------------------------------------------------------------------------------------------------------------- by hand


def test_a_square_of_anions_by_hand() -> None:
    """Li passes between four O at 2 Å; at the ends they are 2.5 Å away."""
    environment = by_hand(SQUARE, (1.5, 0.0, 0.0))
    found = describe_profiles(environment, find_way(environment))
    r0, reach = float(environment.chemistry.r0[0]), 1.26 + 0.90

    def valence(distance: float) -> float:
        return 4 * math.exp((r0 - distance) / SOFTNESS)

    def count(distance: float) -> float:
        return 4 / (1 + math.exp((distance - 1.25 * reach) / 0.15))

    def coulomb(distance: float) -> float:
        return -8 * COULOMB * math.exp(-distance / SCREENING) / distance

    expected = {
        "path_length": 3.0,
        "path_tortuosity": 1.0,
        "path_aside": 0.0,
        "neck": 2.0,
        "neck_all": 2.0,
        "neck_contact": 2.0 / reach,
        "contact_anion_min": 2.0 / reach,
        "contact_anion_middle": 2.0 / reach,
        "contact_anion_ends": 2.5 / reach,
        "contact_cation_min": FAR,
        "line_framework_min": 2.0,
        "line_anion_middle": 2.0,
        "line_anion_max": 2.5,
        "line_cation_min": FAR,
        "line_ion_max": FAR,
        "path_framework_max": 2.5,
        "line_valence_max": valence(2.0),
        "line_valence_middle": valence(2.0),
        "line_valence_min": valence(2.5),
        "line_valence_ends": valence(2.5),
        "line_valence_deviation": max(abs(valence(2.0) - 1), abs(valence(2.5) - 1)),
        "line_neighbours_max": count(2.0),
        "line_neighbours_ends": count(2.5),
        "line_neighbours_lost": 0.0,
        "line_coulomb_middle": coulomb(2.0) - coulomb(2.5),
        "line_coulomb_max": 0.0,
        "line_coulomb_framework_middle": coulomb(2.0) - coulomb(2.5),
        "line_coulomb_ions_max": 0.0,
        "line_coulomb_ends": coulomb(2.5),
        "line_coulomb_asymmetry": 0.0,
        "bvse_asymmetry": 0.0,
        "end_anion_1": 2.5,
        "end_anion_4": 2.5,
        "end_anion_6": (4 * 2.5 + 2 * FAR) / 6,
        "end_anion_8": FAR,
        "end_anion_1_difference": 0.0,
        "end_cation": FAR,
        "end_cation_field": 0.0,
        "saddle_anions": 3.0,
        "saddle_electronegativity": 3.44,
        "saddle_charge": -2.0,
        "other_ions_near": 0.0,
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=2e-5), name


def test_the_other_ions_of_a_hop_by_hand() -> None:
    """Two more Li beside the hop: one within 4 Å of its middle, one beyond; one Zr behind an end."""
    others = [("Li", (0.0, 3.0, 0.0)), ("Li", (0.0, 0.0, 4.5)), ("Zr", (3.5, 0.0, 0.0))]
    environment = by_hand([*SQUARE, *others], (1.5, 0.0, 0.0))
    charge = float(environment.chemistry.charge[environment.chemistry.symbols.index("Zr")])
    found = describe_profiles(environment, find_way(environment))
    assert found["other_ions_near"] == 1.0
    assert found["line_ion_min"] == found["line_ion_middle"] == pytest.approx(3.0)
    assert found["end_ion"] == pytest.approx(math.hypot(1.5, 3.0))
    assert found["end_ion_difference"] == pytest.approx(0.0, abs=1e-9)
    assert found["end_cation"] == pytest.approx((2.0 + 5.0) / 2)
    assert found["end_cation_difference"] == pytest.approx(3.0)
    assert found["end_cation_field"] == pytest.approx((charge / 4.0 + 0.0) / 2)  # the other end is beyond 4.5 Å
    assert found["end_cation_field_difference"] == pytest.approx(charge / 4.0)

    def push(distance: float) -> float:
        return COULOMB * math.exp(-distance / SCREENING) / distance

    middle = push(3.0) + push(4.5)
    ends = push(math.hypot(1.5, 3.0)) + push(math.hypot(1.5, 4.5))
    assert found["line_coulomb_ions_middle"] == pytest.approx(middle - ends)
    assert found["line_coulomb_ions_max"] == pytest.approx(middle - ends)
    assert found["line_cation_min"] == pytest.approx(2.0)


# ------------------------------------------------------------------------------------------------------- the slow twin


def twin(environment: HopEnvironment, way: Way) -> dict[str, float]:
    """The definitions, atom by atom and point by point."""
    chemistry = environment.chemistry
    atoms = list(zip(environment.positions.tolist(), environment.kinds.tolist(), strict=True))
    kinds: dict[str, Callable[[int], bool]] = {
        "framework": lambda kind: not chemistry.is_ion[kind],
        "anion": lambda kind: bool(chemistry.is_anion[kind]),
        "cation": lambda kind: not chemistry.is_ion[kind] and not chemistry.is_anion[kind],
        "ion": lambda kind: bool(chemistry.is_ion[kind]),
    }
    n = len(way.points)
    end = environment.end
    line = [end * (2 * k / (n - 1) - 1) for k in range(n)]
    found: dict[str, float] = {}
    for where, points in (("line", line), ("path", list(way.points))):
        apart = [[(math.dist(point, place), kind) for place, kind in atoms] for point in points]
        for name, chosen in kinds.items():
            near = [min([FAR, *[d for d, kind in row if chosen(kind)]]) for row in apart]
            found[f"{where}_{name}_min"], found[f"{where}_{name}_max"] = min(near), max(near)
            found[f"{where}_{name}_middle"] = near[n // 2]
            if where == "line" and name in ("anion", "cation"):
                contact = [
                    min([FAR, *[d / (chemistry.radius[k] + chemistry.ion_radius) for d, k in row if chosen(k)]])
                    for row in apart
                ]
                found[f"contact_{name}_min"], found[f"contact_{name}_middle"] = min(contact), contact[n // 2]
                found[f"contact_{name}_ends"] = (contact[0] + contact[-1]) / 2
        valence, count, coulomb = [], [], {"": [], "framework_": [], "ions_": []}  # type: ignore[var-annotated]
        for row in apart:
            bonds = [(d, k) for d, k in row if chemistry.is_anion[k]]
            valence.append(
                sum(min(math.exp((chemistry.r0[k] - d) / SOFTNESS), math.exp(5.0)) for d, k in bonds)
                / abs(chemistry.ion_charge)
            )
            edges = [(d - 1.25 * (chemistry.radius[k] + chemistry.ion_radius)) / 0.15 for d, k in bonds]
            count.append(sum(1 / (1 + math.exp(min(edge, 50.0))) for edge in edges))
            for name, chosen in (("", lambda _: True), ("framework_", kinds["framework"]), ("ions_", kinds["ion"])):
                coulomb[name].append(
                    sum(
                        COULOMB * chemistry.ion_charge * chemistry.charge[k] * math.exp(-d / SCREENING) / max(d, 0.5)
                        for d, k in row
                        if chosen(k)
                    )
                )
        found |= {
            f"{where}_valence_min": min(valence),
            f"{where}_valence_max": max(valence),
            f"{where}_valence_ends": (valence[0] + valence[-1]) / 2,
            f"{where}_valence_middle": valence[n // 2],
            f"{where}_valence_deviation": max(abs(each - 1) for each in valence),
            f"{where}_neighbours_min": min(count),
            f"{where}_neighbours_max": max(count),
            f"{where}_neighbours_ends": (count[0] + count[-1]) / 2,
            f"{where}_neighbours_lost": (count[0] + count[-1]) / 2 - min(count),
            f"{where}_coulomb_ends": (coulomb[""][0] + coulomb[""][-1]) / 2,
            f"{where}_coulomb_asymmetry": abs(coulomb[""][0] - coulomb[""][-1]),
        }
        for name, profile in coulomb.items():
            mean = (profile[0] + profile[-1]) / 2
            found[f"{where}_coulomb_{name}max"] = max(profile) - mean
            found[f"{where}_coulomb_{name}middle"] = profile[n // 2] - mean
    for name, value in found.items():
        limit = 4.0 if "_valence_" in name else 30.0 if "_coulomb_" in name else math.inf
        found[name] = max(-limit, min(limit, value))
    pairs = {}
    ends = [[(math.dist(point, place), kind) for place, kind in atoms] for point in (line[0], line[-1])]
    anions = [sorted(d for d, k in row if chemistry.is_anion[k]) + [FAR] * 8 for row in ends]
    for number in (1, 8):
        pairs[f"end_anion_{number}"] = [each[number - 1] for each in anions]
    for number in (4, 6):
        pairs[f"end_anion_{number}"] = [fmean(each[:number]) for each in anions]
    pairs["end_cation"] = [min([FAR, *[d for d, k in row if kinds["cation"](k)]]) for row in ends]
    pairs["end_ion"] = [min([FAR, *[d for d, k in row if kinds["ion"](k)]]) for row in ends]
    pairs["end_cation_field"] = [
        sum(chemistry.charge[k] / d**2 for d, k in row if kinds["cation"](k) and d < 4.5) for row in ends
    ]
    for name, pair in pairs.items():
        found[name], found[f"{name}_difference"] = fmean(pair), abs(pair[0] - pair[1])
    top = way.points[int(np.argmax(way.energy))]
    saddle = sorted((math.dist(top, place), kind) for place, kind in atoms if kinds["framework"](kind))
    found |= {
        "saddle_distance_3": fmean(d for d, _ in saddle[:3]),
        "saddle_distance_4": saddle[3][0],
        "saddle_distance_6": fmean(d for d, _ in saddle[:6]),
        "saddle_anions": float(sum(chemistry.is_anion[k] for _, k in saddle[:3])),
        "saddle_charge": fmean(chemistry.charge[k] for _, k in saddle[:3]),
        "saddle_electronegativity": fmean(chemistry.electronegativity[k] for _, k in saddle[:3]),
        "saddle_cation": min([FAR, *[d for d, k in saddle if kinds["cation"](k)]]),
        "saddle_ion": min([FAR, *[math.dist(top, place) for place, k in atoms if kinds["ion"](k)]]),
        "other_ions_near": float(sum(math.hypot(*place) < 4.0 for place, k in atoms if kinds["ion"](k))),
        "path_length": sum(math.dist(a, b) for a, b in zip(way.points[:-1], way.points[1:], strict=True)),
    }
    found["path_tortuosity"] = found["path_length"] / math.dist(line[0], line[-1])
    energy = way.energy.tolist()
    lower, higher = sorted((energy[0], energy[-1]))
    found |= {
        "bvse_barrier": max(energy) - lower,
        "bvse_barrier_back": max(energy) - higher,
        "bvse_range": max(energy) - min(energy),
        "bvse_mean": fmean(energy) - min(energy),
        "bvse_asymmetry": higher - lower,
        "bvse_straight": max(way.straight.tolist()) - lower,
        "bvse_end": (lower + higher) / 2,
    }
    return {name: max(-30.0, min(30.0, value)) if name.startswith("bvse") else value for name, value in found.items()}


@pytest.mark.parametrize(("seed", "ion"), [(0, "Li"), (1, "Li"), (2, "Mg"), (3, "Na")])
def test_descriptors_are_what_their_definitions_say(seed: int, ion: str) -> None:
    environment = of_record(random_host(seed, ion=ion, n_ions=3))
    way = find_way(environment)
    found, expected = describe_profiles(environment, way), twin(environment, way)
    assert set(expected) == set(found) - {"neck", "neck_all", "neck_contact", "path_aside"}
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-7, abs=1e-6), name


# ------------------------------------------------------------------------------------------- bounds, turned, reversed


@pytest.mark.parametrize("place", [(0.0, 0.0, 0.0), (0.7, 0.0, 0.0), (-1.5, 0.0, 0.0), (1.5, 0.001, 0.0)])
@pytest.mark.parametrize("symbol", ["O", "Ti", "Li"])
def test_a_hop_through_an_atom_has_bounded_numbers(symbol: str, place: tuple[float, float, float]) -> None:
    around = [("O", (x, y, z)) for x in (-3.0, 0.0, 3.0) for y in (-2.5, 2.5) for z in (-2.5, 2.5)]
    environment = by_hand([*around, ("Ti", (5.0, 5.0, 5.0)), (symbol, place)], (1.5, 0.0, 0.0))
    way = find_way(environment)
    found = describe_profiles(environment, way)
    assert way.energy.max() <= HIGHEST + 1e-3
    for name, value in found.items():
        assert math.isfinite(value), name
        if "_valence_" in name:
            assert abs(value) <= 4.0, name
        if "_coulomb_" in name or name.startswith("bvse"):
            assert abs(value) <= 30.0, name
        if name.startswith(("line_framework", "line_anion", "path_cation", "line_ion", "contact")):
            assert 0 <= value <= FAR, name


SMOOTH = {"rel": 2e-3, "abs": 0.02}
"""Energies in single precision, on the steep side of an atom."""


@pytest.mark.parametrize("seed", range(6))
def test_descriptors_do_not_turn_with_the_crystal(seed: int) -> None:
    record = random_host(seed)
    one, other = of_record(record), of_record(turned(record, turn(seed + 50)))
    assert named(describe(other)) == pytest.approx(named(describe(one)), **SMOOTH)


@pytest.mark.parametrize("seed", range(6))
def test_the_hop_back_has_the_same_descriptors(seed: int) -> None:
    record = random_host(seed)
    one, back = named(describe(of_record(record))), named(describe(of_record(reverse(record))))
    assert back == pytest.approx(one, **SMOOTH)


def test_the_way_that_is_described_is_returned() -> None:
    environment = of_record(octahedral_hop())
    row, way = describe_with_way(environment)
    assert named(row)["neck"] == pytest.approx(way.neck, abs=ROUNDED)
    assert named(row)["p_length"] == pytest.approx(np.linalg.norm(way.points[-1] - way.points[0]), abs=ROUNDED)
    assert named(row)["volume_per_site"] == pytest.approx(16.0, abs=ROUNDED)
    np.testing.assert_array_equal(row, describe(environment))
