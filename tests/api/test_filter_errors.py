"""What is wrong with a filter is said with the place, what was expected, and what mends it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings, strategies

from api.filters import DEEPEST, LONGEST, compile_filter
from store.errors import FilterError, UnknownField


def complain(text: str) -> FilterError:
    with pytest.raises(FilterError) as caught:
        compile_filter(text)
    return caught.value


def under_the_caret(error: FilterError) -> str:
    """What the carets of the message stand under."""
    lines = error.message.split("\n")
    row = next(number for number, line in enumerate(lines) if line.strip() and set(line.strip()) == {"^"})
    start = lines[row].index("^")
    return lines[row - 1][start : start + lines[row].count("^")]


def test_an_unknown_field_is_shown_with_the_nearest_ones_and_their_units() -> None:
    error = complain('elements HAS "Li" AND bandgap > 3')
    assert isinstance(error, UnknownField)
    assert under_the_caret(error) == "bandgap"
    assert "band_gap [eV]" in error.message
    assert "energy_above_hull [eV/atom]" in complain("energy_above_hul < 0.1").message


@pytest.mark.parametrize(
    "text", ['composition HAS "Li"', "standard.lattice = 1", "invariants = 1", "_id = 1", "stamp IS KNOWN"]
)
def test_what_the_registry_does_not_let_through_is_no_field(text: str) -> None:
    assert isinstance(complain(text), UnknownField)


@pytest.mark.parametrize(
    ("text", "place", "word"),
    [
        ("band_gap >", " ", "a number"),
        ("band_gap", " ", "a comparison"),
        ("band_gap > 1 AND", " ", "a condition"),
        ("band_gap > 1 and density < 3", "and", "AND"),
        ("band_gap > 1 ANDD density < 3", "ANDD", "AND"),
        ("band_gap >> 1", ">>", "a number"),
        ("nelements == 3", "==", "a number"),
        ("formula = 'NaCl'", "'", "double quotes"),
        ("formula = NaCl", "NaCl", "double quotes"),
        ("crystal_system = cubic", "cubic", "quotes"),
        ('elements HAS "Li","O"', ",", "AND"),
        ("1 < band_gap < 3", "<", "AND"),
        ("band_gap > 1 eVV", "eVV", "eV"),
        ("band_gap > 1 eV density < 3", "eV", "AND"),
        ("nelements = 1 nelements = 2", "nelements", "AND"),
        ("(band_gap > 1", "(", "never closed"),
        ("band_gap > 1)", ")", "never opened"),
        ('formula = "NaCl', '"', "never closed"),
    ],
)
def test_a_slip_of_the_pen_is_pointed_at(text: str, place: str, word: str) -> None:
    error = complain(text)
    assert under_the_caret(error).strip() in (place, place.strip()), error.message
    assert word in str(error)


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("band_gap > 1 and density < 3", "capitals: AND"),
        ("formula = NaCl", '"NaCl"'),
        ("formula = 'NaCl'", "double quotes"),
        ("nelements == 3", "="),
        ('elements HAS "Li","O"', "HAS ALL"),
        ("1 < band_gap < 3", "AND"),
        ('elements HAS "li"', '"Li"'),
        ('crystal_system = "Cubic"', '"cubic"'),
        ("is_ordered = 1", "is_ordered = TRUE"),
        ('is_ordered = "true"', "is_ordered = TRUE"),
        ('band_gap > "3"', "without quotes"),
        ("formula = 3", '"3"'),
        ('elements = "Li"', 'elements HAS "Li"'),
        ('elements CONTAINS "Li"', 'elements HAS "Li"'),
        ('formula HAS "Li"', "formula ="),
        ("formula LENGTH 3", "formula ="),
        ("formula = name", "formula ="),
    ],
)
def test_the_message_says_what_to_write_instead(text: str, mend: str) -> None:
    assert mend in (complain(text).mend or "")


@pytest.mark.parametrize(
    "text",
    [
        "nelements > 100000000000000000000",
        "nelements > -9223372036854775809",
        "nelements > " + "9" * 5000,
        "density > 1e999",
        "density < -1e400",
        'formula = "' + "a" * 1001 + '"',
        'formula = "a\0b"',
        'formula = "\ud800"',
        "flags LENGTH 99999999999999999999",
        'elements:nelements HAS "Li":1',
        'flags HAS < "x"',
        'flags HAS ALL < "x"',
        '"a" = "b"',
        "1 = 1",
        "experimental > TRUE",
    ],
)
def test_what_mongodb_could_not_bear_is_refused(text: str) -> None:
    complain(text)


def test_int64_is_the_limit() -> None:
    assert compile_filter(f"nelements < {2**63 - 1}").query == {"nelements": {"$lt": 2**63 - 1}}


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5000 + "density=1" + ")" * 5000,
        "NOT (" * (DEEPEST + 1) + "density=1" + ")" * (DEEPEST + 1),
        "density=1 OR " * 5000 + "density=1",
        'formula = "' + "\t" * 40,
        'formula = "' + "\\" * 41,
        "(" * 3000,
    ],
)
def test_nothing_too_long_or_too_deep_gets_to_the_parser(text: str) -> None:
    started = time.perf_counter()
    complain(text)
    assert time.perf_counter() - started < 0.5


def test_the_longest_and_the_deepest_filters_still_work() -> None:
    deep = "NOT (" * DEEPEST + "density = 1" + ")" * DEEPEST
    assert compile_filter(deep).query == {"density": {"$eq": 1}}
    long = " OR ".join(f'id="mp-{number}"' for number in range(LONGEST))[:LONGEST].rsplit(" OR", 1)[0]
    assert len(compile_filter(long).query["$or"]) > 400


@pytest.mark.parametrize("text", ["", "   ", "\n", None])
def test_a_blank_filter_asks_for_everything(text: str | None) -> None:
    assert compile_filter(text).query == {}


def test_text_is_unescaped_as_the_grammar_says_and_escaped_as_a_pattern() -> None:
    assert compile_filter(r'formula = "a\"b\\c"').query == {"formula": {"$eq": 'a"b\\c'}}
    assert compile_filter(r'formula CONTAINS "Ac.O"').query == {"formula": {"$regex": r"Ac\.O"}}
    assert compile_filter('formula ENDS "("').query == {"formula": {"$regex": "\\(\\z"}}


def test_the_fields_that_a_filter_mentions_are_told_in_order() -> None:
    assert compile_filter("density > 1 AND band_gap > 2 OR density < 0.5").fields == ("density", "band_gap")


PIECES = [
    "band_gap", "elements", "bandgap", ">", "<=", "=", "1", "-2.5", '"Li"', "AND", "OR", "NOT", "(", ")", "HAS", "ALL", "ONLY",
    "LENGTH", "IS", "KNOWN", "CONTAINS", "STARTS", "WITH", ",", ":", "TRUE", ".", "'", '"', "\\", "$where", "é",
    "formula", "MATCHES", '"Li-*"', "SIMILAR", "TO", "BY", "WITHIN", "mp-1", "structure", "eV", "kg/m^3", "migration_energy",
]  # fmt: skip


@settings(max_examples=400, deadline=None, derandomize=True)
@given(strategies.lists(strategies.sampled_from(PIECES), max_size=9).map(" ".join) | strategies.text(max_size=30))
def test_any_text_gives_a_query_or_a_filter_error(text: str) -> None:
    said = None
    try:
        assert isinstance(compile_filter(text).query, dict)
    except FilterError as error:
        said = error
    if said is not None:
        assert "^" in said.message
        assert "Lark" not in str(said)
        assert "ESCAPED_STRING" not in str(said)
