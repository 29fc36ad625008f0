"""Formulas as queries: one canonical form, clear refusals."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Composition

from builders.templates.query import MOST_ATOMS, Query, ratio_text, read_query
from store.errors import UsageError

ELEMENTS = ["Li", "Na", "Fe", "Ni", "P", "S", "O", "F", "Cs", "H"]


def test_species_stand_by_amount_then_symbol() -> None:
    assert read_query("LiNiPO4") == Query(("Li", "Ni", "P", "O"), (1, 1, 1, 4))
    assert read_query("Fe2O3").elements == ("Fe", "O")
    assert read_query("Na2O").elements == ("O", "Na")


def test_multiples_are_one_query() -> None:
    assert read_query("Li4O2") == read_query("Li2O") == read_query({"Li": 1.0, "O": 0.5})


def test_fractions_of_small_formulas_are_read() -> None:
    assert read_query("0.5Li2S-0.5GeS2").composition() == {"Ge": 1, "Li": 2, "S": 3}


def test_deuterium_is_hydrogen() -> None:
    assert read_query("D2O") == read_query("H2O")


def test_ratio_is_written_with_colons() -> None:
    assert ratio_text(read_query("LiNiPO4").ratio) == "1:1:1:4"


def test_numbers_are_atomic_numbers() -> None:
    assert read_query("NaCl").numbers == (17, 11)


@pytest.mark.parametrize(
    ("formula", "word"),
    [
        ("Xx2", "Xx"),
        ("Li0", "zero"),
        ("Li0Fe2O3", "zero for Li"),
        ("", "No formula"),
        ("Am2O3", "Am"),
        ("Li1.37Co0.91O2", "whole numbers"),
        ("Li7(", "brackets"),
        ("Si200O201", "401 atoms"),
        ("".join(f"{e}" for e in ["H", "Li", "Be", "B", "C", "N", "O", "F", "Na", "Mg", "Al"]), "11 elements"),
        ("mp-19017", "mp-19017"),
    ],
)
def test_impossible_formulas_are_refused_with_a_way_out(formula: str, word: str) -> None:
    with pytest.raises(UsageError) as error:
        read_query(formula)
    assert word in error.value.message
    assert error.value.mend


def test_forty_elements_are_refused() -> None:
    from builders.embeddings.elements import element_table

    with pytest.raises(UsageError, match="40 elements"):
        read_query("".join(element_table().symbols[:40]))


@pytest.mark.parametrize("amount", [0, -1, math.nan, math.inf, None, "many"])
def test_impossible_amounts_are_refused(amount: object) -> None:
    with pytest.raises(UsageError, match="Li"):
        read_query({"Li": amount, "O": 1})  # type: ignore[dict-item]


@given(
    st.dictionaries(st.sampled_from(ELEMENTS), st.integers(1, 12), min_size=1, max_size=5),
    st.integers(1, 4),
)
def test_a_query_has_the_fractions_that_pymatgen_reads_and_no_common_divisor(
    amounts: dict[str, int], multiple: int
) -> None:
    formula = "".join(f"{element}{amount * multiple}" for element, amount in amounts.items())
    read = read_query(formula)
    expected = Composition(formula).fractional_composition
    assert Composition(read.composition()).fractional_composition.almost_equals(expected)
    assert math.gcd(*read.amounts) == 1
    assert read.n_atoms <= MOST_ATOMS
    assert list(zip(read.amounts, read.elements, strict=True)) == sorted(zip(read.amounts, read.elements, strict=True))
