"""Names without an ion: true for one, false for none, unknown where nothing is known."""

from __future__ import annotations

from typing import Any

import pytest

from api.filters import compile_filter
from api.service import Service
from store.errors import FilterError

DOCUMENTS = [
    {
        "_id": "both",
        "working_ions": ["Li", "Na"],
        "li_migration_energy": 0.2,
        "na_migration_energy": 0.9,
        "li_channel_dimension": 3,
    },
    {"_id": "high", "working_ions": ["Li"], "li_migration_energy": 0.8},
    {"_id": "sodium", "working_ions": ["Na"], "na_migration_energy": 0.25, "li_migration_energy": None},
    {"_id": "none", "density": 3.0},
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("migration_energy < 300 meV", {"both", "sodium"}),
        ("0.3 eV > migration_energy", {"both", "sodium"}),
        ("NOT migration_energy < 300 meV", {"high"}),
        ("migration_energy > 0.7", {"both", "high"}),
        ("migration_energy IS KNOWN", {"both", "high", "sodium"}),
        ("migration_energy IS UNKNOWN", {"none"}),
        ("NOT migration_energy IS UNKNOWN", {"both", "high", "sodium"}),
        ("channel_dimension >= 2 AND migration_energy < 0.3", {"both"}),
        ("migration_energy < 0.3 OR density > 1", {"both", "sodium", "none"}),
    ],
)
def test_what_it_finds(database: Any, text: str, expected: set[str]) -> None:
    database["ions"].insert_many(DOCUMENTS)
    assert {row["_id"] for row in database["ions"].find(compile_filter(text).query)} == expected


def test_columns_of_ions_that_have_no_value_are_left_out(database: Any, settings: Any) -> None:
    database["candidates"].insert_many(DOCUMENTS)
    service = Service(database, settings)
    found = service.query("migration_energy < 300 meV")
    assert [field.name for field in found.fields if field.ion] == ["li_migration_energy", "na_migration_energy"]
    assert list(found.rows[0]) == [field.name for field in found.fields]
    assert [field.name for field in service.query("migration_energy < 0.3", fields="id").fields] == ["id"]


def test_units_and_slips_are_told_as_elsewhere() -> None:
    with pytest.raises(FilterError, match="GPa"):
        compile_filter("migration_energy < 3 GPa")
    with pytest.raises(FilterError, match="li_migration_energy"):
        compile_filter("migration_energi < 3")


def test_ions_that_no_material_was_analysed_for_are_not_asked_about(database: Any, settings: Any) -> None:
    from api.any_ion import query_of

    database["candidates"].insert_many(DOCUMENTS)
    service = Service(database, settings)
    query = query_of(service, compile_filter("migration_energy < 0.3 AND NOT channel_dimension IS KNOWN"))
    assert "li_migration_energy" in str(query)
    assert "rb_" not in str(query)
    for text, expected in [
        ("migration_energy < 300 meV", ["both", "sodium"]),
        ("NOT migration_energy < 300 meV", ["high"]),
        ("migration_energy IS UNKNOWN", ["none"]),
        ("conductivity IS KNOWN", []),
        ("NOT migration_energy < 0.1 OR (density > 1 AND name IS UNKNOWN)", ["both", "high", "none", "sodium"]),
    ]:
        assert [row["id"] for row in service.query(text, fields="id").rows] == expected, text
    assert service.aggregate("migration_energy < 0.3").total == 2
    database["candidates"].delete_many({"_id": {"$ne": "none"}})
    assert service.query("migration_energy < 300 meV", fields="id").rows == []
    assert service.query("migration_energy IS UNKNOWN", fields="id").total == 1
