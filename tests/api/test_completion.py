"""Completion: what may follow, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies

from api.completion import MOST, complete
from api.filters import compile_filter
from store.errors import FilterError


def texts(text: str) -> list[str]:
    return [each.text for each in complete(text)]


@pytest.mark.parametrize(
    ("text", "expected", "unexpected"),
    [
        ("", ["elements", "band_gap"], ["AND", "="]),
        ("band_g", ["band_gap"], ["density"]),
        ("bandgap", ["band_gap"], []),
        ("band_gap ", [">", "IS KNOWN"], ["HAS", "CONTAINS", "MATCHES"]),
        ("band_gap >", [">="], ["<"]),
        ("band_gap > 1 ", ["eV", "meV", "AND", "OR"], ["kg/m^3"]),
        ("band_gap > 1 k", ["kJ/mol"], ["eV"]),
        ("nelements = 3 ", ["AND"], ["eV"]),
        ("elements ", ["HAS", "LENGTH"], [">", "CONTAINS"]),
        ("elements HAS ", ['"Li"', "ALL"], []),
        ('elements HAS "L', ['"Li"', '"La"'], ['"O"']),
        ('elements HAS ALL "Li","', ['"O"'], []),
        ('crystal_system = "c', ['"cubic"'], ['"trigonal"']),
        ("is_ordered = ", ["TRUE", "FALSE"], ["band_gap"]),
        ("is_ordered ", ["="], ["<"]),
        ("formula ", ["MATCHES", "CONTAINS"], ["HAS"]),
        ("band_gap IS ", ["KNOWN", "UNKNOWN"], []),
        ("NOT ", ["band_gap"], []),
        ("(band_gap > 1 AND d", ["density"], []),
        ("SIM", ["SIMILAR TO"], []),
        ("SIMILAR TO mp-1 ", ["BY", "WITHIN", "AND"], []),
        ("SIMILAR TO mp-1 BY ", ["structure", "composition"], ["band_gap"]),
        ("li_cond", ["li_conductivity"], []),
    ],
)
def test_what_follows(text: str, expected: list[str], unexpected: list[str]) -> None:
    found = texts(text)
    assert set(expected) <= set(found)
    assert not set(unexpected) & set(found)


def test_a_suggestion_says_what_it_means_and_where_it_goes() -> None:
    (found,) = complete("density > 1 AND band_g")
    assert (found.text, found.kind, found.start) == ("band_gap", "field", 16)
    assert "[eV]" in found.detail


@pytest.mark.parametrize("text", ["band_g", "density > 3 AND cryst", "elements H", 'elements HAS "F', "band_gap > 1 m"])
def test_what_is_taken_leads_on(text: str) -> None:
    for each in complete(text):
        taken = text[: each.start] + each.text
        try:
            compile_filter(taken)
        except FilterError as error:
            assert "ends too early" in error.message, taken


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    strategies.lists(
        strategies.sampled_from(
            ["band_gap", "elements", ">", "1", '"Li', '"', "AND", "(", ")", "HAS", "eV", "SIMILAR", "TO", "\\"]
        ),
        max_size=7,
    ).map(" ".join)
    | strategies.text(max_size=20)
)
def test_any_text_has_an_answer(text: str) -> None:
    found = complete(text)
    assert len(found) <= MOST
    assert all(0 <= each.start <= len(text) for each in found)


def test_too_long_a_text_has_none() -> None:
    assert complete("(" * 10_000) == []
