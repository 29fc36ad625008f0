"""A store and the server of it: each question has the same answer through both, live over HTTP."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from api.client import Atlas
from api.rest.app import create_app
from store.errors import FilterError, IonatlasError, SnapshotMissing, UnknownField, UnknownId, UsageError

from .optimade_store import served


@pytest.fixture(scope="module")
def address(built: Any) -> Iterator[str]:
    app = create_app(built.settings)
    try:
        with served(app) as base:
            yield base
    finally:
        app.state.sandbox.close()


@pytest.fixture
def here(built: Any) -> Atlas:
    return Atlas(built.settings.mongodb_uri, database=built.settings.database, home=built.settings.home)


@pytest.fixture
def there(address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Atlas]:
    monkeypatch.delenv("IONATLAS_API_KEY", raising=False)
    with Atlas(address) as atlas:
        yield atlas


def same_frame(ours: pd.DataFrame, theirs: pd.DataFrame, *, leave: tuple[str, ...] = ()) -> None:
    pd.testing.assert_frame_equal(ours, theirs, check_exact=False, rtol=1e-12)
    for name, value in ours.attrs.items():
        if name not in leave:
            assert theirs.attrs[name] == value, name


QUERIES: list[dict[str, Any]] = [
    {},
    {"filter": 'elements HAS "Li"', "sort": "-band_gap"},
    {"filter": "band_gap > 3 AND NOT nelements > 2", "fields": "id,band_gap,elements,is_ordered"},
    {"fields": ["id", "nsites", "experimental"], "sort": "nsites,-id", "limit": 3},
    {"fields": "all", "limit": 4},
    {"filter": 'formula = "none such"'},
    {"limit": None, "include_duplicates": False},
    {"skip": 4, "limit": 2, "count": True},
    {"filter": "band_gap > 2000 meV", "count": True},
    {"filter": 'SIMILAR TO "t-1" BY composition', "limit": 3},
]


@pytest.mark.parametrize("asked", QUERIES, ids=str)
def test_queries(here: Atlas, there: Atlas, asked: dict[str, Any]) -> None:
    same_frame(here.query(**asked), there.query(**asked))


def test_pages_are_lazy_and_the_same(here: Atlas, there: Atlas) -> None:
    ours, theirs = list(here.pages(sort="-band_gap", size=4)), list(there.pages(sort="-band_gap", size=4))
    assert [len(page) for page in theirs] == [4, 4, 3]
    for one, other in zip(ours, theirs, strict=True):
        same_frame(one, other)
    first = next(iter(there.pages(size=2)))
    assert len(first) == 2
    assert list(there.query(after=first.attrs["next"], limit=2)["id"]) == list(here.query(skip=2, limit=2)["id"])
    assert [row["id"] for row in there.rows("nelements = 1")] == [row["id"] for row in here.rows("nelements = 1")]
    assert len(list(there.pages('formula = "none such"'))) == 1


def test_more_rows_than_a_page_are_put_together(here: Atlas, there: Atlas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.remote.server.LARGEST_PAGE", 3)
    same_frame(here.query(limit=None), there.query(limit=None), leave=("note",))
    same_frame(here.query(limit=7, sort="-density"), there.query(limit=7, sort="-density"))
    same_frame(here.query(fields="all", limit=None), there.query(fields="all", limit=None))


def test_one_and_some_materials(here: Atlas, there: Atlas) -> None:
    assert there.get("t-3") == here.get("t-3")
    assert (
        there.get("t-6", fields="band_gap,id")
        == here.get("t-6", fields="band_gap,id")
        == {"id": "t-6", "band_gap": None}
    )
    ids = ["t-5", "nothing", "t-1"]
    ours, theirs = here.get_many(ids, "id,density"), there.get_many(ids, "id,density")
    same_frame(ours, theirs, leave=("note",))
    assert list(theirs["id"]) == ["t-5", "t-1"]
    assert theirs.attrs["missing"] == ["nothing"]


AGGREGATES: list[dict[str, Any]] = [
    {},
    {"filter": 'elements HAS "O"'},
    {"group_by": "elements"},
    {"group_by": "crystal_system", "value": "band_gap"},
    {"group_by": ["crystal_system", "nelements"]},
    {"histogram": "band_gap", "bins": 4, "value": "density"},
    {"group_by": "elements", "top": 2},
]


@pytest.mark.parametrize("asked", AGGREGATES, ids=str)
def test_counts(here: Atlas, there: Atlas, asked: dict[str, Any]) -> None:
    same_frame(here.aggregate(**asked), there.aggregate(**asked))


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_exports(here: Atlas, there: Atlas, form: str, tmp_path: Path) -> None:
    names = "id,formula,band_gap,elements"
    ours = here.export("nelements = 2", to=tmp_path / f"ours.{form}", fields=names)
    theirs = there.export("nelements = 2", to=tmp_path / f"theirs.{form}", fields=names)
    assert isinstance(ours, Path)
    assert isinstance(theirs, Path)
    if form == "parquet":
        pd.testing.assert_frame_equal(pd.read_parquet(ours), pd.read_parquet(theirs))
    else:
        assert ours.read_bytes() == theirs.read_bytes()
    streamed = there.export("nelements = 2", fields=names, format="csv", limit=1)
    assert not isinstance(streamed, Path)
    assert len(b"".join(streamed).splitlines()) >= 2
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"ours.{form}", f"theirs.{form}"]


def test_a_failed_export_leaves_no_file(there: Atlas, tmp_path: Path) -> None:
    with pytest.raises(UnknownField):
        there.export("bandgap > 3", to=tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "asked", [{}, {"k": 3, "filter": 'elements HAS "Cl"'}, {"by": "structure", "fields": "id,density"}]
)
def test_what_is_similar(here: Atlas, there: Atlas, asked: dict[str, Any]) -> None:
    same_frame(here.similar("t-1", **asked), there.similar("t-1", **asked))
    if not asked:
        same_frame(here.similar("KCl"), there.similar("KCl"))


@pytest.mark.parametrize("kind", ["standard", "primitive", "given"])
def test_crystals(here: Atlas, there: Atlas, kind: Any) -> None:
    ours, theirs = here.structure("t-11", kind), there.structure("t-11", kind)
    np.testing.assert_allclose(ours.lattice.matrix, theirs.lattice.matrix, rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours.frac_coords, theirs.frac_coords, rtol=0, atol=1e-12)
    assert ours.composition == theirs.composition


def test_the_way_of_a_value(here: Atlas, there: Atlas) -> None:
    ours, theirs = here.why("t-1", "density"), there.why("t-1", "density")
    assert (theirs.id, theirs.field.label, theirs.value, theirs.copied_from) == (
        ours.id,
        ours.field.label,
        ours.value,
        ours.copied_from,
    )

    def flat(steps: Any) -> list[Any]:
        return [(s.collection, s.id, s.hash, s.state, s.builder, s.version, flat(s.inputs)) for s in steps]

    assert flat(theirs.steps) == flat(ours.steps)
    assert theirs.steps[0].made_at == ours.steps[0].made_at
    assert isinstance(theirs.steps[0].made_at, datetime)


def test_the_state_of_the_store(here: Atlas, there: Atlas, address: str) -> None:
    ours, theirs = here.status(), there.status()
    assert theirs.home == address
    assert [dataclasses.replace(each, last_build=None) for each in theirs.collections] == [
        dataclasses.replace(each, last_build=None) for each in ours.collections
    ]
    assert [(each.name, each.vectors, each.state) for each in theirs.indexes] == [
        (each.name, each.vectors, each.state) for each in ours.indexes
    ]


def test_fields(here: Atlas, there: Atlas) -> None:
    pd.testing.assert_frame_equal(here.fields(), there.fields())


def test_documents(here: Atlas, there: Atlas) -> None:
    ours, theirs = here.show("t-1"), there.show("t-1")
    assert set(theirs) == set(ours)
    assert theirs["candidate"]["formula"] == "NaCl"
    assert theirs["structure"]["stamp"]["made_at"] == ours["structure"]["stamp"]["made_at"]
    assert "path" not in json.dumps(theirs["source"]["origins"], default=str)


def test_channels_of_an_id_a_file_and_a_crystal(here: Atlas, there: Atlas, tmp_path: Path) -> None:
    structure = here.structure("t-3")
    file = tmp_path / "LiF.cif"
    structure.to(filename=str(file))
    for source in ("t-3", file, str(file), structure):
        ours, theirs = here.channels(source, "Li"), there.channels(source, "Li")
        assert (theirs.ion, theirs.formula) == (ours.ion, ours.formula) == ("Li", "LiF")
        assert [theirs.r1, theirs.r2, theirs.r3] == pytest.approx([ours.r1, ours.r2, ours.r3], abs=1e-6)
        assert theirs.dimension() == ours.dimension()
        assert theirs.dimension(0.5) == ours.dimension(0.5)
        assert theirs.threshold == ours.threshold
        assert list(theirs.hops.columns) == list(ours.hops.columns)
        assert len(theirs.voids) == len(ours.voids)
        assert theirs.hops.attrs["units"] == ours.hops.attrs["units"]
        assert theirs.flags == ours.flags
    assert there.channels("t-3", "Li").to_dict().keys() == here.channels("t-3", "Li").to_dict().keys()
    assert there.channels("t-3", "Li", threshold=1.0).threshold == 1.0


def test_migration_energies(here: Atlas, there: Atlas) -> None:
    ours, theirs = here.migration_energy("t-3", "Li"), there.migration_energy("t-3", "Li")
    assert (theirs.value, theirs.lower, theirs.upper) == pytest.approx((ours.value, ours.lower, ours.upper))
    assert (theirs.in_domain, theirs.model, theirs.failed) == (ours.in_domain, ours.model, ours.failed)
    assert [None if each is None else each.value for each in theirs.energies] == pytest.approx(
        [None if each is None else each.value for each in ours.energies]
    )
    assert list(theirs.hops.columns) == list(ours.hops.columns)
    np.testing.assert_allclose(theirs.hops["value"], ours.hops["value"].astype(float))
    rows = list(zip(theirs.rows(), ours.rows(), strict=True))
    for one, other in rows:
        assert one.keys() >= other.keys() - {"reason"}
    assert "eV" in repr(theirs)


def test_predicted_structures(here: Atlas, there: Atlas, tmp_path: Path) -> None:
    ours, theirs = here.predict_structure("KBr", 3), there.predict_structure("KBr", 3)
    assert (theirs.formula, theirs.n_templates, theirs.notes) == (ours.formula, ours.n_templates, ours.notes)
    assert [each.template_id for each in theirs.candidates] == [each.template_id for each in ours.candidates]
    assert [each.probability for each in theirs.candidates] == pytest.approx([e.probability for e in ours.candidates])
    assert theirs.cif(1) == ours.cif(1)
    assert theirs.structure(1).composition.reduced_formula == "KBr"
    assert len(theirs.write(tmp_path / "cifs")) == len(ours.candidates)
    with pytest.raises(UsageError, match="no candidate"):
        theirs.structure(99)
    assert there.predict_structure({"K": 1, "Br": 1}, 1).formula == "KBr"
    with pytest.raises(UsageError, match="energies"):
        there.predict_structure("KBr", energies=True)


def test_compositions_for_a_structure(here: Atlas, there: Atlas) -> None:
    for source in ("t-1", here.structure("t-1")):
        ours, theirs = here.inverse(source, 4), there.inverse(source, 4)
        assert theirs.n_known == ours.n_known
        assert [each.formula for each in theirs.candidates] == [each.formula for each in ours.candidates]
        assert [each.score for each in theirs.candidates] == pytest.approx([each.score for each in ours.candidates])
    ours, theirs = (atlas.inverse("t-1", 3, elements=["Na", "K", "Cl", "Br"], new=True) for atlas in (here, there))
    assert [each.formula for each in theirs.candidates] == [each.formula for each in ours.candidates]


WRONG: list[tuple[Any, type[IonatlasError]]] = [
    (lambda atlas: atlas.query("bandgap > 1"), UnknownField),
    (lambda atlas: atlas.query("band_gap >"), FilterError),
    (lambda atlas: atlas.query("band_gap > 3 kg"), FilterError),
    (lambda atlas: atlas.query(sort="nothing"), UnknownField),
    (lambda atlas: atlas.query(fields="nothing"), UnknownField),
    (lambda atlas: atlas.query(after="broken"), UsageError),
    (lambda atlas: atlas.query(limit=0), UsageError),
    (lambda atlas: atlas.get("nothing"), UnknownId),
    (lambda atlas: atlas.structure("nothing"), UnknownId),
    (lambda atlas: atlas.structure("a/b ?#"), UnknownId),
    (lambda atlas: atlas.structure("t-12"), UsageError),
    (lambda atlas: atlas.why("t-1", "nothing"), UnknownField),
    (lambda atlas: atlas.why("nothing", "density"), UnknownId),
    (lambda atlas: atlas.similar("neither id nor formula"), UnknownId),
    (lambda atlas: atlas.channels("t-1", "Xx"), UsageError),
    (lambda atlas: atlas.channels("nothing", "Li"), UnknownId),
    (lambda atlas: atlas.aggregate(group_by="density"), UsageError),
    (lambda atlas: atlas.predict_structure("Xx2"), UsageError),
]


@pytest.mark.parametrize(("ask", "kind"), WRONG, ids=range(len(WRONG)))
def test_errors_are_of_the_same_class_and_say_the_same(
    here: Atlas, there: Atlas, ask: Any, kind: type[IonatlasError]
) -> None:
    with pytest.raises(kind):
        ask(here)
    with pytest.raises(kind) as theirs:
        ask(there)
    assert isinstance(theirs.value, kind)
    assert theirs.value.message


def test_a_message_has_its_caret_and_what_mends_it(here: Atlas, there: Atlas) -> None:
    with pytest.raises(UnknownField) as ours:
        here.query("bandgap > 1")
    with pytest.raises(UnknownField) as theirs:
        there.query("bandgap > 1")
    assert "^^^^^^^" in str(theirs.value)
    assert "band_gap [eV]" in str(theirs.value)
    assert theirs.value.mend == ours.value.mend


def test_what_a_server_does_not_do(there: Atlas, tmp_path: Path) -> None:
    for ask in (
        lambda: there.barriers("Li"),
        lambda: there.ingest(tmp_path),
        lambda: there.build(),
        lambda: there.database,
        lambda: there.settings,
        lambda: there.service,
        lambda: there.aggregate(histogram="density", bins=[1.0, 2.0]),
    ):
        with pytest.raises(UsageError) as error:
            ask()
        assert error.value.mend
    file = tmp_path / "POSCAR"
    file.write_text("x")
    with pytest.raises(UsageError, match="file"):
        there.similar(str(file))


def test_long_filters_go_in_the_body(here: Atlas, there: Atlas) -> None:
    long = " OR ".join(f'id = "t-{number}"' for number in range(300))
    same_frame(here.query(long), there.query(long))


def test_nothing_is_asked_before_the_first_question(monkeypatch: pytest.MonkeyPatch) -> None:
    assert repr(Atlas("http://127.0.0.1:9/")) == "Atlas('http://127.0.0.1:9')"


def test_unknown_numbers_stay_unknown(there: Atlas) -> None:
    gaps = there.query("band_gap IS UNKNOWN", fields="band_gap")["band_gap"]
    assert all(math.isnan(gap) for gap in gaps)
    assert str(gaps.dtype) == "float64"


def test_a_missing_index_is_the_same_error(settings: Any, database: Any) -> None:
    app = create_app(settings)
    try:
        with served(app) as base, Atlas(base) as atlas, pytest.raises(SnapshotMissing):
            atlas.similar("NaCl")
    finally:
        app.state.sandbox.close()
