"""Which element a site label means: the AMCSD's traps above all."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.errors import UnknownElement
from store.ingest.labels import SYMBOLS, element_of_label, element_of_symbol, formula_elements


@pytest.mark.parametrize(
    ("label", "formula", "symbol", "hydrogens"),
    [
        ("Wat", "Ca S O6 H4", "O", 2),
        ("Wat1", "Ca W O6 H4", "O", 2),
        ("H2OA", "W O4 H2", "O", 2),
        ("OW1", "Na O2 H2", "O", 2),
        ("Ow", "", "O", 2),
        ("W1", "Ca W O4", "W", 0),
        ("W", "", "W", 0),
        ("WB", "Fe W O6", "W", 0),
        ("O-H", "Al O2 H", "O", 1),
        ("O-H3", "", "O", 1),
        ("OH1", "Al O2 H", "O", 1),
        ("D", "Al O2 D", "H", 0),
        ("D12", "", "H", 0),
        ("Dy1", "Dy2 O3", "Dy", 0),
        ("FeM1", "Fe Si O3", "Fe", 0),
        ("MgT", "Mg Al2 O4", "Mg", 0),
        ("Oab", "Si O2", "O", 0),
        ("Oint", "Si O2", "O", 0),
        ("Os1", "Os S2", "Os", 0),
        ("Os1", "Si O2", "O", 0),
        ("CO1", "Ca C O3", "C", 0),
        ("Co1", "Co O", "Co", 0),
        ("CaM2", "Ca Mg Si2 O6", "Ca", 0),
        ("KA", "K Al Si3 O8", "K", 0),
        ("NbII", "Nb O2", "Nb", 0),
        ("OII", "I2 O5", "O", 0),
        ("Pda", "Pd Te", "Pd", 0),
        ("CL1", "Na Cl", "Cl", 0),
        ("CL1", "", "Cl", 0),
        ("SI1", "Si O2", "Si", 0),
        ("NH4", "N H4 Cl", "N", 0),
        ("Hd", "Si O2 H", "H", 0),
    ],
)
def test_labels(label: str, formula: str, symbol: str, hydrogens: int) -> None:
    found = element_of_label(label, formula_elements(formula))
    assert (found.symbol, found.hidden_hydrogens) == (symbol, hydrogens)
    assert (found.note is not None) == (hydrogens > 0 or (label.startswith("D") and symbol == "H"))


@pytest.mark.parametrize("label", ["", "1", "?", "Xx1", "Q", "M1", "T1"])
def test_labels_that_name_no_element(label: str) -> None:
    with pytest.raises(UnknownElement):
        element_of_label(label)


def test_an_element_that_the_formula_lacks_is_noted() -> None:
    assert "does not name" in (element_of_label("Fe1", formula_elements("Mg O")).note or "")


@pytest.mark.parametrize(
    ("text", "symbol"),
    [("Fe3+", "Fe"), ("O2-", "O"), ("D", "H"), ("FE", "Fe"), ("cl", "Cl"), ("Si(IV)", "Si"), ("O-", "O")],
)
def test_type_symbols(text: str, symbol: str) -> None:
    assert element_of_symbol(text).symbol == symbol


@pytest.mark.parametrize("text", ["", "Xx", "Vac", "Ironic", "?", "J", "42"])
def test_type_symbols_that_are_none(text: str) -> None:
    with pytest.raises(UnknownElement):
        element_of_symbol(text)


def test_the_symbols_are_those_of_the_periodic_table() -> None:
    from pymatgen.core.periodic_table import Element

    assert {element.symbol for element in Element} - {"D", "T"} == SYMBOLS


@given(st.text(max_size=12), st.sets(st.sampled_from(sorted(SYMBOLS)), max_size=5))
def test_any_label_is_an_element_or_an_error(label: str, elements: set[str]) -> None:
    for read in (lambda: element_of_label(label, frozenset(elements)), lambda: element_of_symbol(label)):
        with contextlib.suppress(UnknownElement):
            assert read().symbol in SYMBOLS
