"""Formula fields: pymatgen's and OPTIMADE's conventions, whole numbers and fractions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Composition

from builders.structures.formulas import describe_composition, formula_units, optimade_anonymous, whole_numbers


@pytest.mark.parametrize(
    ("amounts", "formula", "reduced", "anonymous", "composition"),
    [
        ({"Li": 4, "Fe": 4, "P": 4, "O": 16}, "LiFePO4", "FeLiO4P", "A4BCD", {"Li": 1, "Fe": 1, "P": 1, "O": 4}),
        ({"O": 8}, "O2", "O", "A", {"O": 2}),
        ({"Li": 4, "O": 4}, "Li2O2", "LiO", "AB", {"Li": 2, "O": 2}),
        ({"Fe": 6, "O": 8}, "Fe3O4", "Fe3O4", "A4B3", {"Fe": 3, "O": 4}),
        ({"Ca": 2, "N": 4, "O": 12}, "Ca(NO3)2", "CaN2O6", "A6B2C", {"Ca": 1, "N": 2, "O": 6}),
        ({"Li": 1.5, "Co": 3, "O": 6}, "Li(CoO2)2", "Co2LiO4", "A4B2C", {"Li": 1, "Co": 2, "O": 4}),
        ({"Fe": 2.001, "S": 3}, "Fe2S3", "Fe2S3", "A3B2", {"Fe": 2, "S": 3}),
    ],
)
def test_formulas(
    amounts: dict[str, float], formula: str, reduced: str, anonymous: str, composition: dict[str, float]
) -> None:
    found = describe_composition(amounts)
    assert (found.formula, found.reduced, found.anonymous) == (formula, reduced, anonymous)
    assert found.composition == composition
    assert found.elements == tuple(sorted(amounts))
    assert found.chemical_system == "-".join(sorted(amounts))


ELEMENTS = ["H", "Li", "C", "N", "O", "F", "Na", "Si", "P", "S", "Cl", "Fe", "He", "La", "U"]


@given(st.dictionaries(st.sampled_from(ELEMENTS), st.integers(1, 40), min_size=1, max_size=6), st.integers(1, 5))
def test_whole_compositions_agree_with_pymatgen_and_do_not_depend_on_the_cell(amounts: dict[str, int], n: int) -> None:
    found = describe_composition({symbol: float(amount) for symbol, amount in amounts.items()})
    expected = Composition(amounts)
    assert found.formula == expected.reduced_formula
    assert Composition(found.formula).almost_equals(Composition(found.composition))
    assert found is describe_composition({symbol: float(amount * n) for symbol, amount in amounts.items()})


@given(
    st.dictionaries(st.sampled_from(ELEMENTS), st.floats(0.01, 8), min_size=2, max_size=5),
    st.integers(1, 7),
)
def test_fractional_compositions_do_not_depend_on_the_cell(amounts: dict[str, float], n: int) -> None:
    given_once = describe_composition(amounts, 1)
    many = describe_composition({symbol: amount * n for symbol, amount in amounts.items()}, n)
    assert given_once.formula == many.formula
    assert given_once.reduced == many.reduced
    total = sum(amounts.values())
    found = sum(given_once.composition.values())
    for symbol, amount in amounts.items():
        assert given_once.composition[symbol] / found == pytest.approx(amount / total, abs=2e-3)


def test_site_kinds_give_the_formula_unit() -> None:
    assert formula_units(["Al0.9Mg0.1"] * 16 + ["Zn"] * 8 + ["O"] * 32) == 8


def test_anonymous_names_go_on_after_z() -> None:
    assert optimade_anonymous(list(range(1, 29))).endswith("Z3Aa2Ba")


def test_whole_numbers_are_positive_and_close() -> None:
    assert whole_numbers([0.001, 0.999], 100, 1e-2) is None
    assert whole_numbers([0.333, 0.667], 100, 1e-3) == (1, 2)
