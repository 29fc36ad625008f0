"""One generator makes the fields of every ion, lists show them once, and a mistyped one is told its nearest."""

from __future__ import annotations

import pytest

from store.documents import CandidateDocument, ChannelsDocument, PredictionsDocument
from store.fields import FIELDS, candidate_fields, nearest, shown_fields
from store.ion_fields import INDEXED_IONS, IONS, PATTERNS
from store.schema import index_models

MOST_INDEXES = 64
"""MongoDB's limit for one collection, the one on _id included."""


def test_every_ion_has_the_same_fields() -> None:
    by_ion = {ion: [field for field in candidate_fields() if field.ion == ion] for ion in IONS}
    patterns = {tuple(field.pattern for field in fields) for fields in by_ion.values()}
    assert len(patterns) == 1
    assert len(patterns.pop()) == len(PATTERNS)
    for ion, fields in by_ion.items():
        for field in fields:
            assert field.name.startswith(f"{ion.lower()}_")
            assert "{" not in field.meaning


def test_each_is_copied_from_a_field_of_the_documents_of_an_ion() -> None:
    documents = {"channels": ChannelsDocument, "predictions": PredictionsDocument}
    seen = set()
    for field in candidate_fields():
        if field.ion:
            collection, path = field.source.split(".", 1)
            seen.add(collection)
            first = path.split(".")[0]
            assert first in documents[collection]._fields
            assert FIELDS[first].unit == field.unit
    assert seen == set(documents)


def test_the_indexes_stay_within_what_mongodb_allows() -> None:
    names = [model.document["name"] for model in index_models(CandidateDocument)]
    assert len(names) + 1 <= MOST_INDEXES
    assert len(set(names)) == len(names)
    for ion in INDEXED_IONS:
        assert f"ionatlas_{ion.lower()}_channel_r2__id_energy_above_hull" in names
        assert f"ionatlas_{ion.lower()}_migration_energy__id_energy_above_hull" in names
    assert not any(name.startswith("ionatlas_cs_") for name in names)


def test_lists_show_what_every_ion_has_once() -> None:
    names = [name for name, _, _ in shown_fields()]
    assert len(names) == len(set(names)) < 75
    assert "<ion>_channel_r1" in names
    assert not any(name.startswith("li_") for name in names)
    assert [name for name, _, _ in shown_fields("K")] == [f"k_{pattern.suffix}" for pattern in PATTERNS]
    assert all("{" not in meaning for _, _, meaning in shown_fields())


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("li_channl_r2", "li_channel_r2"),
        ("Na_channel_r2", "na_channel_r2"),
        ("channel_r2", "li_channel_r2"),
        ("channel_dimension", "li_channel_dimension"),
        ("lichannel_r1", "li_channel_r1"),
        ("k_channel_dim", "k_channel_dimension"),
        ("mg_dimension", "mg_channel_dimension"),
        ("bottleneck", "li_path_r1"),
        ("barrier", "li_migration_energy"),
        ("na_migration_enrgy", "na_migration_energy"),
        ("migration_energy_2", "li_migration_energy_2"),
    ],
)
def test_nearest_names(typed: str, meant: str) -> None:
    assert nearest(typed, 1)[0].name == meant


def test_nearest_names_are_of_one_ion() -> None:
    for typed in ("channel_r1", "cs_channel_r9", "r_sd", "path"):
        ions = {field.ion for field in nearest(typed, 3) if field.ion}
        assert len(ions) == 1, typed
