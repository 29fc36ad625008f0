"""What a hop's descriptors know about elements: charges, radii, bond valences, statistics of a composition."""

from __future__ import annotations

import json
from importlib.resources import files

import numpy as np
import pytest

from builders.barriers.chemistry import (
    MOBILE,
    STATISTICS,
    USUAL_CHARGE,
    Chemistry,
    bond_length,
    chemistry_of,
    crystal_radius,
)
from builders.barriers.derive_elements import derive
from builders.structures.elements import element_table


def sites(**amounts: int) -> list[str]:
    return [symbol for symbol, amount in amounts.items() for _ in range(amount)]


def charges(made: Chemistry) -> dict[str, float]:
    return dict(zip(made.symbols, made.charge.tolist(), strict=True))


def anions(made: Chemistry) -> set[str]:
    return {symbol for symbol, chosen in zip(made.symbols, made.is_anion, strict=True) if chosen}


def statistics(made: Chemistry) -> dict[str, float]:
    return dict(zip(STATISTICS, made.statistics.tolist(), strict=True))


# ------------------------------------------------------------------------------------------------------------- charges


@pytest.mark.parametrize(
    ("host", "ion", "expected", "negative"),
    [
        (sites(Fe=4, P=4, O=16, Li=3), "Li", {"Fe": 2, "P": 5, "O": -2, "Li": 1}, {"O"}),
        (sites(S=4, O=16, Li=7), "Li", {"S": 6, "O": -2, "Li": 1}, {"O"}),
        (sites(Zr=4, P=6, O=24, Na=1), "Na", {"Zr": 4, "P": 5, "O": -2, "Na": 1}, {"O"}),
        (sites(P=2, S=8, Li=5), "Li", {"P": 5, "S": -2, "Li": 1}, {"S"}),
        (sites(Cl=4, Na=3), "Na", {"Cl": -1, "Na": 1}, {"Cl"}),
        (sites(Mn=16, O=32), "Mg", {"Mn": 62 / 16, "O": -2}, {"O"}),
    ],
)
def test_oxidation_states_are_those_of_the_whole_compound(
    host: list[str], ion: str, expected: dict[str, float], negative: set[str]
) -> None:
    made = chemistry_of(host, ion)
    assert charges(made) == pytest.approx(expected)
    assert anions(made) == negative
    assert made.ion_charge == USUAL_CHARGE[ion]


@pytest.mark.parametrize(
    ("host", "ion", "expected"),
    [
        # One ion too many for a host that cannot be reduced: the cell is charged, the framework is what it was.
        (sites(Ca=4, F=8), "Mg", {"Ca": 2, "F": -1}),
        (sites(Al=16, O=24), "Ca", {"Al": 3, "O": -2}),
        (sites(Ca=32, F=64), "Na", {"Ca": 2, "F": -1}),
        # Neutral assignments with Ag at +2 exist; the ion keeps the charge with which it travels.
        (sites(Nb=2, S=4), "Ag", {"Nb": 4, "S": -2}),
        (sites(Ga=2, Se=3), "Ag", {"Ga": 3, "Se": -2}),
    ],
)
def test_a_dilute_ion_in_a_host_that_cannot_take_its_charge_leaves_the_host_alone(
    host: list[str], ion: str, expected: dict[str, float]
) -> None:
    made = chemistry_of(host, ion)
    assert charges(made) == pytest.approx(expected)
    assert made.ion_charge == USUAL_CHARGE[ion]
    assert statistics(made)["dilute"] == 1.0


def test_the_moving_ion_counts_where_charges_are_assigned() -> None:
    """FePO4 with and without lithium: the last ion reduces the iron."""
    full = charges(chemistry_of(sites(Fe=4, P=4, O=16, Li=3), "Li"))
    dilute = charges(chemistry_of(sites(Fe=4, P=4, O=16), "Li"))
    assert full["Fe"] == 2.0
    assert dilute["Fe"] == pytest.approx(3 - 1 / 4)


def test_an_anion_that_travels_meets_cations_as_its_counterparts() -> None:
    made = chemistry_of(sites(Ca=4, F=7), "F")
    assert made.ion_charge == -1.0
    assert charges(made) == {"Ca": 2.0, "F": -1.0}
    assert anions(made) == {"Ca"}
    assert made.is_ion.tolist() == [False, True]


@pytest.mark.parametrize(("host", "ion"), [(sites(Al=2, Cu=2), "Li"), (sites(Mg=3), "Li"), (sites(Fe=2, Ni=6), "Na")])
def test_an_alloy_has_no_anions(host: list[str], ion: str) -> None:
    made = chemistry_of(host, ion)
    assert anions(made) == set()
    assert (made.charge >= 0).all()
    told = statistics(made)
    # What is a mean over anions, or counted by them, is unknown: any number would depend on the cell.
    of_anions = {name for name in STATISTICS if name.startswith("anion_") or name.endswith("_per_anion")}
    assert {name for name in STATISTICS if np.isnan(told[name])} == of_anions | {"fluorine_share", "oxygen_share"}


def test_a_shared_site_counts_with_all_that_is_on_it() -> None:
    """Na2(Fe, Mn)O4 with the two on one site, of which the first stands for both: still three, not four or six."""
    amounts = {"Fe": 1.0, "Mn": 1.0, "O": 4.0, "Na": 2.0}
    made = chemistry_of(sites(Fe=2, O=4), "Na", amounts)
    assert made.symbols == ("Fe", "O")
    assert charges(made) == {"Fe": 3.0, "O": -2.0}
    # Partly empty sites: half of the sodium.
    amounts = {"Mn": 1.0, "O": 2.0, "Na": 0.5}
    assert charges(chemistry_of(sites(Mn=1, O=2), "Na", amounts)) == {"Mn": 3.5, "O": -2.0}


def test_graphite_takes_the_electron() -> None:
    made = chemistry_of(sites(C=6), "Li")
    assert anions(made) == {"C"}


def test_the_answer_does_not_depend_on_the_order_of_the_sites() -> None:
    host = sites(Fe=4, P=4, O=16, Li=3)
    one, other = chemistry_of(host, "Li"), chemistry_of(host[::-1], "Li")
    assert one.symbols == other.symbols == tuple(sorted({"Fe", "Li", "O", "P"}))
    np.testing.assert_array_equal(one.statistics, other.statistics)


# ----------------------------------------------------------------------------------------------------- radii and bonds


@pytest.mark.parametrize(
    ("symbol", "charge", "radius"),
    [
        ("Li", 1, 0.90), ("Na", 1, 1.16), ("K", 1, 1.52), ("Mg", 2, 0.86), ("Ca", 2, 1.14), ("O", -2, 1.26), ("S", -2, 1.70),
        ("F", -1, 1.19), ("Cl", -1, 1.67), ("P", 5, 0.52), ("Zr", 4, 0.86), ("Fe", 3.3, 0.785), ("Co", 4, 0.67),
        ("Co", 2.4, 0.885), ("V", 5, 0.68),
    ],
)  # fmt: skip
def test_crystal_radii_are_shannons(symbol: str, charge: float, radius: float) -> None:
    assert crystal_radius(symbol, charge) == pytest.approx(radius, abs=0.02)


def test_an_element_without_a_table_takes_middling_values() -> None:
    assert crystal_radius("He", 0.0) == 1.4
    unknown = [symbol for symbol in element_table() if symbol not in _tables()["bond_valence"]]
    assert unknown
    for symbol in unknown[:5]:
        assert 1.5 < bond_length("Li", symbol) < 3.0
        assert bond_length("Li", symbol) == bond_length(symbol, "Li")


def _tables() -> dict[str, dict[str, list[float]]]:
    text = files("builders.barriers").joinpath("data", "elements.json").read_text(encoding="utf-8")
    found: dict[str, dict[str, list[float]]] = json.loads(text)
    return found


@pytest.mark.parametrize("symbol", sorted(element_table()))
def test_every_element_can_be_host_and_ion(symbol: str) -> None:
    other = "O" if symbol != "O" else "Ca"
    made = chemistry_of([symbol, other, other], "Li" if symbol != "Li" else "Na")
    assert np.isfinite(made.charge).all()
    assert ((made.radius > 0) & (made.radius < 3)).all()
    assert ((made.r0 > 0.9) & (made.r0 < 3.5)).all()
    moving = chemistry_of([other, other], symbol)
    assert moving.ion_charge != 0
    assert 0 < moving.ion_radius < 3


# Brown and Altermatt (1985), Acta Cryst. B 41, 244, and Brese and O'Keeffe (1991): fitted for each pair of elements.
@pytest.mark.parametrize(
    ("first", "second", "published"),
    [("Li", "O", 1.466), ("Na", "O", 1.803), ("Mg", "O", 1.693), ("Ca", "O", 1.967), ("Zn", "O", 1.704), ("Li", "S", 1.94),
     ("Na", "Cl", 2.15), ("Ca", "F", 1.842), ("K", "O", 2.132)],
)  # fmt: skip
def test_bond_lengths_of_all_pairs_agree_with_those_fitted_to_one_pair(
    first: str, second: str, published: float
) -> None:
    assert bond_length(first, second) == pytest.approx(published, abs=0.13)


def test_the_table_is_what_its_script_writes() -> None:
    assert _tables() == json.loads(json.dumps(derive()))


# ---------------------------------------------------------------------------------------------------------- statistics


def test_statistics_of_a_fluoride_by_hand() -> None:
    """NaMnAlF6 with three of four sodium ions: what is counted, averaged and shared."""
    made = chemistry_of(sites(Na=3, Mn=4, Al=4, F=24), "Na")
    told = statistics(made)
    expected = {
        "ion_charge": 1.0,
        "ion_radius": 1.16,
        "ion_electronegativity": 0.93,
        "ion_period": 3.0,
        "ion_softness": 1.16**3,
        "ion_mass": 22.98977,
        "anion_electronegativity": 3.98,
        "anion_radius": 1.19,
        "anion_charge": -1.0,
        "anion_period": 2.0,
        "anion_polarisability": 1.19**3,
        "anion_electronegativity_spread": 0.0,
        "fluorine_share": 1.0,
        "oxygen_share": 0.0,
        "cation_electronegativity": (1.55 + 1.61) / 2,
        "cation_electronegativity_max": 1.61,
        "cation_electronegativity_min": 1.55,
        "cation_charge": 2.5,
        "cation_charge_max": 3.0,
        "cations_per_anion": 1 / 3,
        "transition_metal_share": 0.5,
        "p_block_share": 0.5,
        "n_elements": 3.0,
        "other_ions_per_anion": 3 / 24,
        "dilute": 0.0,
        "other_mobile_per_anion": 0.0,
    }
    radius = told.pop("cation_radius")
    assert radius == pytest.approx((crystal_radius("Mn", 2) + crystal_radius("Al", 3)) / 2)
    assert told == pytest.approx(expected, abs=1e-3)


def test_other_mobile_cations_are_counted_the_own_ion_not() -> None:
    told = statistics(chemistry_of(sites(Li=2, Na=4, K=2, O=8, Cr=4), "Li"))
    assert told["other_mobile_per_anion"] == pytest.approx(6 / 8)
    assert told["other_ions_per_anion"] == pytest.approx(2 / 8)
    assert {"Li", "Na", "K"} <= MOBILE


def test_several_anions_are_averaged_by_their_numbers() -> None:
    told = statistics(chemistry_of(sites(Li=5, P=2, O=7, F=1), "Li"))
    assert told["oxygen_share"] == pytest.approx(7 / 8)
    assert told["fluorine_share"] == pytest.approx(1 / 8)
    assert told["anion_electronegativity"] == pytest.approx((7 * 3.44 + 3.98) / 8, abs=0.01)
    assert told["anion_electronegativity_spread"] == pytest.approx(3.98 - 3.44, abs=0.01)


def test_a_framework_of_anions_alone_has_no_numbers_of_cations() -> None:
    told = statistics(chemistry_of(sites(F=4), "Li"))
    unknown = {name for name in STATISTICS if np.isnan(told[name])}
    assert unknown == {name for name in STATISTICS if name.startswith("cation_")}
    assert told["cations_per_anion"] == told["transition_metal_share"] == told["p_block_share"] == 0.0
