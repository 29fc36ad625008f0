"""MATCHES: random patterns against a slow twin that tries every assignment, and hostile text."""

from __future__ import annotations

import itertools
import random
import re
import time
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies
from pymongo.collection import Collection

from api.filters import compile_filter
from store.errors import FilterError

from .candidate_rows import ELEMENTS, composed

SYMBOLS = [*ELEMENTS, "C"]


def random_compositions(count: int) -> list[dict[str, Any]]:
    rng = random.Random(11)
    made = []
    for number in range(count):
        elements = rng.sample(SYMBOLS, rng.randint(1, 4))
        amounts = {element: float(rng.choice([1, 1, 1, 2, 3, 4])) for element in elements}
        made.append({"_id": f"m-{number}", "amounts": amounts, **composed(amounts)})
    return made


@pytest.fixture
def compositions(database: Any) -> tuple[Collection[Any], list[dict[str, Any]]]:
    documents = random_compositions(600)
    database["formulas"].insert_many(documents)
    return database["formulas"], documents


def found(collection: Collection[Any], text: str) -> set[str]:
    return {row["_id"] for row in collection.find(compile_filter(text).query, {"_id": 1})}


# ---------------------------------------------------------------------------------------------------------- the twin


def in_proportion(left: dict[str, Fraction], right: dict[str, Fraction]) -> bool:
    if left.keys() != right.keys():
        return False
    ratios = {left[name] / right[name] for name in left}
    return len(ratios) == 1


def twin(tokens: list[tuple[str, int]], amounts: dict[str, float]) -> bool:
    """Whether some assignment of elements to what is open gives the composition."""
    held = {element: Fraction(amount) for element, amount in amounts.items()}
    opened = [f"*{place}" if name == "*" else name for place, (name, _) in enumerate(tokens)]
    letters = [name for name in dict.fromkeys(opened) if name.startswith(("*", "?"))]
    named = {name for name in opened if name not in letters}
    for choice in itertools.permutations(sorted(set(held) - named), len(letters)):
        meaning = dict(zip(letters, choice, strict=True))
        total: dict[str, Fraction] = {}
        for name, (_, amount) in zip(opened, tokens, strict=True):
            element = meaning.get(name, name)
            total[element] = total.get(element, Fraction(0)) + amount
        if in_proportion(total, held):
            return True
    return False


def pattern_of(tokens: list[tuple[str, int]]) -> str:
    return "".join(f"{name.lstrip('?')}{amount if amount > 1 else ''}" for name, amount in tokens)


def tokens() -> strategies.SearchStrategy[list[tuple[str, int]]]:
    # ?M, ?X and ?A are letters that stand for any element; B and C beside A are left to the examples below.
    names = strategies.sampled_from(["*", "*", "?M", "?X", "?R", "Li", "O", "Fe", "S", "P", "C"])
    return strategies.lists(strategies.tuples(names, strategies.integers(1, 4)), min_size=1, max_size=4)


@settings(
    max_examples=250, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(pattern=tokens(), turned=strategies.booleans())
def test_a_formula_with_open_places_finds_what_the_twin_finds(compositions: Any, pattern: Any, turned: bool) -> None:
    collection, documents = compositions
    text = f'formula MATCHES "{pattern_of(pattern)}"'
    expected = {each["_id"] for each in documents if twin(pattern, each["amounts"])}
    if turned:
        assert found(collection, f"NOT {text}") == {each["_id"] for each in documents} - expected
    else:
        assert found(collection, text) == expected


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    named=strategies.lists(strategies.sampled_from(SYMBOLS), max_size=3, unique=True), stars=strategies.integers(0, 3)
)
def test_a_chemical_system_with_stars(compositions: Any, named: list[str], stars: int) -> None:
    collection, documents = compositions
    parts = [*named, *["*"] * stars]
    if len(parts) < 2:
        return
    random.Random(len(named)).shuffle(parts)
    expected = {
        each["_id"]
        for each in documents
        if set(named) <= set(each["elements"]) and len(each["elements"]) == len(named) + stars
    }
    for field in ("formula", "chemical_system"):
        assert found(collection, f'{field} MATCHES "{"-".join(parts)}"') == expected


@pytest.mark.parametrize(
    ("pattern", "amounts", "matches"),
    [
        ("ABO3", {"Sr": 1, "Ti": 1, "O": 3}, True),
        ("ABO3", {"Sr": 1, "Ti": 1, "F": 3}, False),
        ("ABX3", {"Sr": 1, "Ti": 1, "F": 3}, True),
        ("ABC3", {"Sr": 1, "Ti": 1, "F": 3}, True),
        ("A2BO4", {"Mg": 1, "Al": 2, "O": 4}, True),
        ("AO2", {"C": 1, "O": 2}, True),
        ("MBO3", {"Fe": 1, "B": 1, "O": 3}, True),
        ("MBO3", {"Fe": 1, "Ti": 1, "O": 3}, False),
        ("LiMO2", {"Li": 1, "Co": 1, "O": 2}, True),
        ("LiMPO4", {"Li": 1, "Fe": 1, "P": 1, "O": 4}, True),
        ("Li*O4", {"Li": 1, "Fe": 1, "P": 1, "O": 4}, False),
        ("Li**O4", {"Li": 1, "Fe": 1, "P": 1, "O": 4}, True),
        ("Li2*2O8", {"Li": 1, "Mn": 1, "O": 4}, True),
        ("Li0.5*O2", {"Li": 1, "Mn": 2, "O": 4}, True),
        ("FePO4Li", {"Li": 1, "Fe": 1, "P": 1, "O": 4}, True),
        ("A4BCD", {"Li": 1, "Fe": 1, "P": 1, "O": 4}, True),
        ("*", {"Fe": 2}, True),
        ("A", {"Fe": 2}, True),
        ("AB", {"Na": 4, "Cl": 4}, True),
        ("AA", {"Na": 4, "Cl": 4}, False),
        ("**", {"Na": 4, "Cl": 4}, True),
        ("O2", {"O": 2}, True),
        ("LiLiO", {"Li": 2, "O": 1}, True),
        ("S*", {"Si": 1, "O": 1}, False),
    ],
)
def test_what_a_pattern_means(database: Any, pattern: str, amounts: dict[str, float], matches: bool) -> None:
    database["one"].insert_one({"_id": "it", **composed({name: float(each) for name, each in amounts.items()})})
    assert bool(found(database["one"], f'formula MATCHES "{pattern}"')) is matches


@pytest.mark.parametrize(
    "pattern",
    ["", " ", "Xx2", "li-O", "Li-O-Li", "Li--O", "-", "Li-?", "Ca(OH)2", ".*", "^Li", "Li[0-9]", "$where", "a", "Li0", "Li1.2.3",
     "Li99999", "(a+)+$", "Li\\d", "*" * 101, "Ä", "Li O4", "Fe-M"],
)  # fmt: skip
def test_what_is_no_pattern_is_told_with_the_place(pattern: str) -> None:
    escaped = pattern.replace("\\", "\\\\")
    with pytest.raises(FilterError) as caught:
        compile_filter(f'formula MATCHES "{escaped}"')
    assert "^" in caught.value.message
    assert caught.value.mend


@settings(max_examples=300, deadline=None, derandomize=True)
@given(strategies.text("LiOFeAB*-.([)]+?^$|\\ 0123456789é{}", max_size=30))
def test_no_pattern_reaches_a_regular_expression(pattern: str) -> None:
    escaped = pattern.replace("\\", "\\\\")
    started = time.perf_counter()
    try:
        query = repr(compile_filter(f'formula MATCHES "{escaped}"').query)
    except FilterError:
        query = ""
    assert time.perf_counter() - started < 2
    for expression in re.findall(r"'\$regex': '([^']*)'", query):
        assert re.fullmatch(r"[A-Z][a-z]?\d*\(\?!\[a-z0-9\]\)", expression)


def test_a_field_that_holds_no_formula_and_an_index_for_each_pattern() -> None:
    with pytest.raises(FilterError, match="holds no formula"):
        compile_filter('density MATCHES "Li-*"')
    with pytest.raises(FilterError, match="text"):
        compile_filter("formula MATCHES 3")
    indexed = {"chemical_system", "chemical_formula_anonymous", "chemical_formula_reduced", "elements", "nelements"}
    for pattern in ("Li-*-O", "Li-O", "*-*", "Li*O4", "ABO3", "LiFePO4"):
        assert indexed & set(compile_filter(f'formula MATCHES "{pattern}"').query)
