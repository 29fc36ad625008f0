"""One generator makes the fields of every ion, lists show them once, and a mistyped one is told its nearest."""

from __future__ import annotations

import pytest

from store.documents import (
    CandidateDocument,
    ChannelsDocument,
    ConductivityPredictionsDocument,
    PredictionsDocument,
    TopologyDocument,
)
from store.fields import FIELDS, candidate_fields, nearest, shown_fields
from store.ion_fields import INDEXED_IONS, IONS, PATTERNS
from store.schema import index_models

MOST_INDEXES = 64
"""MongoDB's limit for one collection, the one on _id included."""


def test_every_ion_has_the_same_fields() -> None:
    by_ion = {ion: [field for field in candidate_fields() if field.ion == ion] for ion in IONS}
    for ion, fields in by_ion.items():
        assert [field.pattern for field in fields] == [f"<ion>_{row.suffix}" for row in PATTERNS if ion in row.ions]
    shared = [row for row in PATTERNS if row.ions == IONS]
    assert {len(fields) for ion, fields in by_ion.items() if ion != "Li"} == {len(shared)}
    # What the lists show of all ions is shown by the first one's fields: it must have them all.
    assert len(by_ion[IONS[0]]) == len(PATTERNS)
    for ion, fields in by_ion.items():
        for field in fields:
            assert field.name.startswith(f"{ion.lower()}_")
            assert "{" not in field.meaning


def test_each_is_copied_from_a_field_of_the_documents_of_an_ion() -> None:
    documents = {
        "channels": ChannelsDocument,
        "predictions": PredictionsDocument,
        "topology": TopologyDocument,
        "conductivity_predictions": ConductivityPredictionsDocument,
    }
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
        assert f"ionatlas_{ion.lower()}_topology_ion_layers__id_energy_above_hull" in names
    assert "ionatlas_li_conductivity__id_energy_above_hull" in names
    assert "ionatlas_na_conductivity__id_energy_above_hull" not in names
    assert not any(name.startswith("ionatlas_cs_") for name in names)


def test_lists_show_what_every_ion_has_once() -> None:
    names = [name for name, _, _ in shown_fields()]
    assert len(names) == len(set(names)) < 80
    assert "<ion>_channel_r1" in names
    assert not any(name.startswith("li_") for name in names)
    assert [name for name, _, _ in shown_fields("K")] == [
        f"k_{pattern.suffix}" for pattern in PATTERNS if "K" in pattern.ions
    ]
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
        ("conductivity", "li_conductivity"),
        ("sigma", "li_conductivity"),
        ("na_topology_layers", "na_topology_ion_layers"),
        ("ion_layers", "li_topology_ion_layers"),
    ],
)
def test_nearest_names(typed: str, meant: str) -> None:
    assert nearest(typed, 1)[0].name == meant


def test_nearest_names_are_of_one_ion() -> None:
    for typed in ("channel_r1", "cs_channel_r9", "r_sd", "path"):
        ions = {field.ion for field in nearest(typed, 3) if field.ion}
        assert len(ions) == 1, typed
