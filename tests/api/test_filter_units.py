"""Units in filters: values by hand, wrong units with the place and what fits."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
from hypothesis import given, settings, strategies

from api.filters import compile_filter
from api.units import convert, fitting
from store.errors import FilterError
from store.fields import FIELDS, candidate_fields


def value_in(text: str) -> Any:
    """The number that reaches the database."""
    (condition,) = compile_filter(text).query.values()
    (number,) = condition.values()
    return number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("band_gap >= 2 eV", 2),
        ("li_migration_energy < 300 meV", 0.3),
        ("band_gap < 3.0e-22 kJ", 3.0e-19 / 1.602176634e-19),
        ("band_gap > 1 hartree", 27.211386245981),
        ("band_gap > 1 Ry", 13.605693122990),
        ("band_gap > 96.48533212331 kJ/mol", 1.0),
        ("band_gap > 23.06054783 kcal/mol", 1.0),
        ("energy_above_hull < 50 meV/atom", 0.05),
        ("energy_above_hull < 50 meV", 0.05),
        ("formation_energy_per_atom < -96.48533212331 kJ/mol", -1.0),
        ("formation_energy_per_atom < -96.48533212331 kJ/mol/atom", -1.0),
        ("formation_energy_per_atom < -96.48533212331 kJ mol^-1", -1.0),
        ("density > 3000 kg/m^3", 3.0),
        ("density > 3000 kg/m³", 3.0),
        ("density > 3000 kg m^-3", 3.0),
        ("density > 3000 kg·m⁻³", 3.0),
        ("density > 3 g / cm^3", 3),
        ("density > 3 g/cm**3", 3),
        ("li_channel_r1 > 150 pm", 1.5),
        ("li_channel_r1 > 0.15 nm", 1.5),
        ("li_channel_r1 > 1.5 Å", 1.5),
        ("li_channel_r1 > 1.5 A", 1.5),
        ("li_channel_r1 > 1.5 angstrom", 1.5),
        ("li_channel_r1 > 1 bohr", 0.529177210903),
        ("volume_per_atom < 0.02 nm^3", 20.0),
        ("volume_per_atom < 20 Å^3/atom", 20.0),
        ("li_conductivity > 1e-4 S/cm", -4.0),
        ("li_conductivity > 0.1 mS/cm", -4.0),
        ("li_conductivity > 1 S/m", -2.0),
        ("li_conductivity > -4 log10(S/cm)", -4),
        ("band_gap > 1eV", 1),
        ("band_gap > 1.5E-1eV", 0.15),
        ("(band_gap > 1 eV)", 1),
        ("band_gap = -1 meV", -0.001),
    ],
)
def test_a_value_is_brought_to_the_fields_unit(text: str, number: float) -> None:
    assert value_in(text) == pytest.approx(number, rel=1e-9)


def test_decimal_steps_are_exact() -> None:
    for number in [*range(1, 200), 333, 999, 1001, 123457]:
        assert value_in(f"band_gap < {number} meV") == number / 1000
        assert value_in(f"density < {number} kg/m^3") == number / 1000


def test_a_unit_stands_on_either_side_and_in_any_condition() -> None:
    query = compile_filter("300 meV > li_migration_energy AND (NOT band_gap < 2 eV OR density >= 3 g/cm^3)").query
    assert query == {
        "$and": [
            {"li_migration_energy": {"$lt": 0.3}},
            {"$or": [{"band_gap": {"$gte": 2}}, {"density": {"$gte": 3}}]},
        ]
    }
    assert value_in("band_gap > 1e5") == 1e5  # no electron charge in it


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("band_gap > 1 GPa", "GPa", "meV"),
        ("band_gap > 1 eV/atom", "eV/atom", "kJ/mol"),
        ("density > 3 kg", "kg", "kg/m^3"),
        ("energy_above_hull < 1 K", "K", "meV/atom"),
        ("band_gap > 1 foo", "foo", "eV"),
        ("band_gap > 1 eVV", "eVV", "Nearest: eV"),
        ("density > 3 g/cc3", "g/cc3", "g/cm^3"),
        ("nelements > 3 eV", "eV", "no unit"),
        ('formula = 3 eV', "eV", "no unit"),
        ("elements HAS 3 eV", "eV", "no unit"),
        ("is_ordered = 1 eV", "eV", "no unit"),
        ("li_conductivity > 0 S/cm", "S/cm", "logarithm"),
        ("li_conductivity > -1 S/cm", "S/cm", "logarithm"),
        ("li_conductivity > 1 S", "S", "S/cm"),
        ("density > 3 kg/m^-3", "kg/m^-3", "kg/m^3"),
    ],
)  # fmt: skip
def test_a_wrong_unit_is_pointed_at_with_what_fits(text: str, place: str, said: str) -> None:
    with pytest.raises(FilterError) as caught:
        compile_filter(text)
    lines = caught.value.message.split("\n")
    row = next(number for number, line in enumerate(lines) if line.strip() and set(line.strip()) == {"^"})
    start = lines[row].index("^")
    assert lines[row - 1][start : start + lines[row].count("^")] == place
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["band_gap > 1 m^9^9^9^9", "band_gap > 1 eV^99", "band_gap > 1 " + "eV*" * 500 + "eV", "band_gap > 1e308 MeV",
     "band_gap > 1e400 meV", "band_gap > " + "9" * 500 + " eV", "band_gap > 1 __import__", "band_gap > 1 e**e",
     "band_gap > 1 (eV)", "band_gap > 1 eV)", "band_gap > 1 log10(log10(eV))", "band_gap > 99999999999999999999 eV"],
)  # fmt: skip
def test_hostile_units_are_harmless(text: str) -> None:
    started = time.perf_counter()
    with pytest.raises(FilterError):
        compile_filter(text)
    assert time.perf_counter() - started < 5


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    strategies.sampled_from(["band_gap", "density", "formula", "li_conductivity"]),
    strategies.text("eVkgJm/mol^*()-0123456789 ·²³⁻ÅµK°.%", max_size=14),
)
def test_any_text_behind_a_number_gives_a_query_or_a_filter_error(field: str, unit: str) -> None:
    try:
        compile_filter(f"{field} > 1 {unit}")
    except FilterError as error:
        assert "^" in error.message


def test_every_unit_of_the_registry_is_understood_and_so_is_all_that_is_said_to_fit() -> None:
    with_unit = [field for field in candidate_fields() if field.unit is not None]
    assert with_unit
    for field in with_unit:
        assert field.unit == fitting(field)[0]
        for unit in fitting(field):
            assert math.isfinite(convert(field, 1.0, unit)), (field.name, unit)


def test_the_next_unit_after_the_same_shape_of_filter() -> None:
    """Filters of one shape share a tree; values and errors are their own."""
    assert value_in("band_gap > 1 eV") == 1
    assert value_in("band_gap > 2 eV") == 2
    assert compile_filter('formula = "a" AND nelements = 3').query == {
        "$and": [{"formula": {"$eq": "a"}}, {"nelements": {"$eq": 3}}]
    }
    assert compile_filter('formula = "b\\"c" AND nelements = -7').query == {
        "$and": [{"formula": {"$eq": 'b"c'}}, {"nelements": {"$eq": -7}}]
    }
    with pytest.raises(FilterError) as caught:
        compile_filter('formula = "b\\"c" AND nelements = 99999999999999999999')
    assert "99999999999999999999" in caught.value.message
    assert FIELDS["nelements"].unit is None
