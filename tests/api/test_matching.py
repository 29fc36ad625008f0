"""What arrays say of a filter is what MongoDB says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies

from api.columns import _places, column_of, rows_of
from api.filters import compile_filter
from api.finding import matching_ids
from api.matching import rows_in_arrays
from store.fields import FIELDS

from .candidate_rows import ELEMENTS, SYSTEMS, filled

HELD = ("elements", "nelements", "band_gap", "energy_above_hull", "density", "crystal_system", "name", "experimental")
PARTS = [
    *(f'elements HAS "{each}"' for each in ELEMENTS[:4]),
    'elements HAS ALL "Li","O"',
    'elements HAS ANY "Fe","Mn"',
    'elements HAS "U"',
    *(f"band_gap {operator} {value}" for operator in ("<", "<=", ">", ">=", "=", "!=") for value in (0, 0.5, 1, 2.25)),
    "energy_above_hull < 0.05",
    "density >= 6000 kg/m^3",
    "nelements = 2",
    "nelements != 3",
    *(f'crystal_system = "{each}"' for each in SYSTEMS[:2]),
    'crystal_system != "cubic"',
    'name STARTS WITH "S"',
    'name ENDS WITH "nel"',
    'name CONTAINS "pin"',
    'name CONTAINS "."',
    'name = ""',
    'name != "spinel"',
    "name IS KNOWN",
    "band_gap IS UNKNOWN",
    "experimental = TRUE",
    "experimental != TRUE",
]
CONDITIONS = strategies.recursive(
    strategies.sampled_from(PARTS),
    lambda inner: strategies.one_of(
        inner.map(lambda each: f"NOT ({each})"),
        strategies.tuples(inner, strategies.sampled_from(["AND", "OR"]), inner).map(
            lambda each: "({} {} {})".format(*each)
        ),
    ),
    max_leaves=6,
)


@pytest.fixture
def service(database: Any, settings: Any) -> Any:
    made, _ = filled(database, settings, 400)
    for name in HELD:
        column_of(made, FIELDS[name])
    return made


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=CONDITIONS)
def test_the_same_materials_either_way(service: Any, text: str) -> None:
    query = compile_filter(text).query
    places = _places(service)
    told = rows_in_arrays(service, query, len(places))
    assert told is not None, text
    asked = sorted(places[id] for id in matching_ids(service, query))
    assert told.tolist() == asked, text


@pytest.mark.parametrize(
    "text",
    [
        "space_group_number = 62",  # no column is held
        'elements LENGTH 2 AND NOT elements HAS ONLY "Li"',
        'flags HAS "short"',  # an empty list is not a missing one
        'name > "m"',
    ],
)
def test_what_is_not_certain_is_left_to_mongodb(service: Any, text: str) -> None:
    query = compile_filter(text).query
    places = _places(service)
    assert rows_in_arrays(service, query, len(places)) is None
    assert rows_of(service, query).tolist() == sorted(places[id] for id in matching_ids(service, query))


def test_numbers_that_float64_does_not_tell_apart_are_left_to_mongodb(service: Any) -> None:
    assert rows_in_arrays(service, {"nelements": {"$gt": 2**53 + 1}}, 400) is None
