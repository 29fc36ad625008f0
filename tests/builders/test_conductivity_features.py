"""Descriptors of ion conductors: ratios of compositions, cells in any setting, sites with vacancies, and what noise does."""

from __future__ import annotations

import json

import numpy as np
import pytest

from builders.conductivity.composition import COLUMNS, describe_composition
from builders.conductivity.features import FEATURES, NAMES, describe, describe_record, has_cell, has_structure
from builders.conductivity.lattice import cell_of, cell_of_row
from store.crystal import Crystal
from store.errors import FeatureError
from store.ingest.readers import read_conductivity

from .conductivity_rows import rock_salt, row_of

GARNET = {"Li": 7.0, "La": 3.0, "Zr": 2.0, "O": 12.0}


def value(row: np.ndarray, name: str) -> float:
    return float(row[NAMES.index(name)])


def supercell(crystal: Crystal, times: tuple[int, int, int]) -> Crystal:
    shifts = np.array(list(np.ndindex(times)))
    places = ((crystal.frac_coords[:, None] + shifts) / times).reshape(-1, 3)
    kinds = [symbol for symbol in crystal.species for _ in shifts]
    return Crystal.from_lists(crystal.lattice * np.array(times)[:, None], kinds, places)


class TestComposition:
    def test_a_multiple_and_another_order_are_the_same(self) -> None:
        other = {symbol: 8.0 * amount for symbol, amount in reversed(GARNET.items())}
        assert np.array_equal(describe_composition(GARNET), describe_composition(other), equal_nan=True)

    def test_known_ratios(self) -> None:
        row = describe({"Li": 6.0, "P": 1.0, "S": 5.0, "Cl": 1.0})
        assert value(row, "ions_per_anion") == pytest.approx(1.0)
        assert value(row, "anion_share_Cl") == pytest.approx(1 / 6, abs=1e-6)
        assert value(row, "ion_charge_share") == pytest.approx(6 / 11, abs=1e-6)
        assert value(row, "chemistry_cation_charge") == pytest.approx(5.0)

    def test_partial_amounts_are_described(self) -> None:
        row = describe_composition({"Li": 0.34, "La": 0.55, "Ti": 1.0, "O": 3.0})
        assert np.isfinite(row).all()

    @pytest.mark.parametrize(
        ("amounts", "why"),
        [
            ({"Na": 1.0, "Cl": 1.0}, "no Li"),
            ({}, "no Li"),
            ({"Li": 1.0, "Xx": 1.0}, "no chemical element"),
            ({"Li": -1.0}, "not negative"),
            ({"Li": float("nan")}, "not negative"),
        ],
    )
    def test_what_is_no_lithium_compound_is_refused(self, amounts: dict[str, float], why: str) -> None:
        with pytest.raises(FeatureError, match=why):
            describe_composition(amounts)

    def test_lithium_metal_has_gaps_and_no_error(self) -> None:
        row = describe_composition({"Li": 2.0})
        assert row[[each.name for each in COLUMNS].index("share_Li")] == 1.0
        assert np.isnan(row).any()


class TestCell:
    def test_primitive_conventional_and_supercell_have_one_cell(self) -> None:
        primitive = rock_salt()
        found = [
            describe({"Li": 1, "F": 1}, supercell(primitive, times)) for times in ((1, 1, 1), (2, 1, 1), (2, 2, 2))
        ]
        for name in (each.name for each in FEATURES if each.group == "lattice"):
            assert len({round(value(row, name), 3) for row in found}) == 1, name
        assert (value(found[0], "space_group"), value(found[0], "lattice_system")) == (225, 6)

    def test_noise_hides_the_space_group_and_not_the_lattice(self) -> None:
        exact = supercell(rock_salt(), (2, 2, 2))
        rng = np.random.default_rng(0)
        moved = exact.frac_coords + rng.normal(0, 0.1, exact.frac_coords.shape) @ np.linalg.inv(exact.lattice)
        noisy = Crystal(exact.lattice, moved, exact.species)
        row = describe({"Li": 1, "F": 1}, noisy)
        assert np.isnan(value(row, "space_group"))
        assert value(row, "lattice_system") == 6
        assert value(row, "volume_per_atom") == pytest.approx(8.0, abs=1e-3)

    def test_a_cell_that_is_given_is_believed(self) -> None:
        crystal = rock_salt()
        given = cell_of_row({"cell": [4, 4, 4, 90, 90, 90], "space_group_number": 216}, 8.0)
        assert given is not None
        assert value(describe({"Li": 1, "F": 1}, crystal, given), "space_group") == 216
        assert value(describe({"Li": 1, "F": 1}, crystal), "space_group") == 225

    def test_a_cell_alone_gives_the_same_as_the_structure(self) -> None:
        given = cell_of_row({"cell": [4, 4, 4, 90, 90, 90], "space_group_number": 225}, 8.0)
        one, two = describe({"Li": 1, "F": 1}, None, given), describe({"Li": 1, "F": 1}, rock_salt())
        for name in (each.name for each in FEATURES if each.group == "lattice"):
            assert value(one, name) == pytest.approx(value(two, name)), name

    @pytest.mark.parametrize(
        "cell", [None, [4, 4, 4], [4, 4, 4, 90, 90, "x"], [0, 4, 4, 90, 90, 90], [4, 4, 4, 1, 90, 90], True]
    )
    def test_an_impossible_cell_is_none(self, cell: object) -> None:
        assert cell_of_row({"cell": cell}, 8.0) is None

    def test_rhombohedral_and_hexagonal_are_told_apart(self) -> None:
        lattice = np.array([[2.8, 0, 0], [-1.4, 2.8 * np.sqrt(3) / 2, 0], [0, 0, 14.0]])
        third = [[0, 0, 0], [2 / 3, 1 / 3, 1 / 3], [1 / 3, 2 / 3, 2 / 3]]
        assert cell_of(Crystal.from_lists(lattice, ["Li"] * 3, third)).system == 4
        assert cell_of(Crystal.from_lists(lattice, ["Li"], [[0, 0, 0]])).system == 5


class TestSites:
    def test_vacancies_count(self) -> None:
        row = describe({"Li": 0.5, "F": 1.0}, rock_salt(occupancy=0.5))
        assert value(row, "site_occupancy") == pytest.approx(0.5)
        assert value(row, "partial_sites") == 1.0
        assert value(row, "contact_4") == pytest.approx(2.0)
        assert value(row, "channel_radius_1") == pytest.approx(4 / np.sqrt(6), abs=1e-3)

    def test_barriers_of_hops_are_predicted(self) -> None:
        row = describe({"Li": 1.0, "F": 1.0}, rock_salt())
        assert 0.0 < value(row, "barrier_min") <= value(row, "barrier_1") <= value(row, "barrier_3") < 5.0

    def test_a_structure_without_lithium_says_nothing_of_sites(self) -> None:
        row = describe({"Li": 1.0, "F": 1.0}, rock_salt(ion="Na"))[None]
        assert has_cell(row)[0]
        assert not has_structure(row)[0]

    def test_descriptors_change_little_by_noise(self) -> None:
        exact = supercell(rock_salt(), (2, 2, 2))
        rng = np.random.default_rng(1)
        moved = exact.frac_coords + rng.normal(0, 0.1, exact.frac_coords.shape) @ np.linalg.inv(exact.lattice)
        one, two = (describe({"Li": 1, "F": 1}, each) for each in (exact, Crystal(exact.lattice, moved, exact.species)))
        for name, allowed in (
            ("channel_radius_1", 0.25),
            ("contact_4", 0.2),
            ("site_density", 1e-6),
            ("void_size", 0.25),
        ):
            assert abs(value(one, name) - value(two, name)) < allowed, name


class TestRecord:
    def test_a_row_is_described_like_its_parts(self) -> None:
        record = read_conductivity("conductivity-json", json.dumps(row_of(rock_salt())).encode())
        assert np.array_equal(describe_record(record), describe({"Li": 1, "F": 1}, rock_salt()), equal_nan=True)

    def test_an_impossible_structure_leaves_the_composition(self) -> None:
        row = row_of(rock_salt())
        row["structure"]["lattice"] = [[0, 0, 0]] * 3
        described = describe_record(read_conductivity("conductivity-json", json.dumps(row).encode()))[None]
        assert not has_cell(described)[0]
        assert np.isfinite(described[0, :5]).all()

    def test_names_are_distinct_and_told(self) -> None:
        assert len(set(NAMES)) == len(NAMES)
        assert all(each.meaning.endswith(".") for each in FEATURES)
