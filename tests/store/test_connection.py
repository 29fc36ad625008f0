from __future__ import annotations


def test_database_is_empty_and_durable(database) -> None:
    assert database.list_collection_names() == []
    database["sources"].insert_one({"_id": 1})
    assert database.write_concern.document == {"w": "majority", "j": True}
