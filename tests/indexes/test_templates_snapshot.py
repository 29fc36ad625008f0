"""The template library of a store: built from `structures`, kept in step by content hash, published atomically."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from builders.structures.analysis import analyse
from indexes.templates.snapshot import OpenLibrary, TemplateStore
from indexes.templates.step import TemplateStep
from store.crystal import Crystal
from store.errors import SnapshotDamaged, SnapshotMissing

from .template_crystals import rock_salt, templates

if TYPE_CHECKING:
    from pymongo.database import Database


def document(name: str, crystal: Crystal, **more: Any) -> dict[str, Any]:
    """What the step reads of a `structures` document; its hash is that of its content."""
    import hashlib

    body = {**analyse(crystal).to_document(), **more}
    digest = hashlib.sha256(repr(sorted(body.items(), key=lambda item: item[0])).encode()).hexdigest()[:32]
    return {"_id": name, **body, "hash": digest}


def write(database: Database[Any], *documents: dict[str, Any]) -> None:
    """Write as the engine does: documents, and one more revision."""
    for each in documents:
        database["structures"].replace_one({"_id": each["_id"]}, each, upsert=True)
    _count(database)


def remove(database: Database[Any], name: str) -> None:
    database["structures"].delete_one({"_id": name})
    _count(database)


def _count(database: Database[Any]) -> None:
    database["meta"].update_one({"_id": "revision/structures"}, {"$inc": {"n": 1}}, upsert=True)


@pytest.fixture
def step(tmp_path: Path) -> TemplateStep:
    return TemplateStep(TemplateStore(tmp_path))


@pytest.fixture
def filled(database: Database[Any], step: TemplateStep) -> TemplateStep:
    write(database, *[document(name, crystal) for name, crystal in templates().items()])
    step.run(database)
    return step


def library(step: TemplateStep) -> Any:
    return step._templates.library(verify=True)


def test_every_ordered_structure_becomes_a_template(database: Database[Any], filled: TemplateStep) -> None:
    built = library(filled)
    assert set(built.ids) == set(templates())
    assert built.space_group(built.place("SrTiO3")) == 221
    assert built.prototype(built.place("NaCl")) == "AB_cF8_225_a_b"


def test_disordered_structures_are_no_templates(database: Database[Any], filled: TemplateStep) -> None:
    mixed = Crystal.from_sites([[4, 0, 0], [0, 4, 0], [0, 0, 4]], [{"Na": 0.5, "K": 0.5}], [[0, 0, 0]])
    write(database, document("mixed", mixed))
    run = filled.run(database)
    assert (run.missing, run.failed) == ([], {})
    assert "mixed" not in library(filled).ids


def test_what_is_known_of_a_structure_is_kept(database: Database[Any], step: TemplateStep) -> None:
    known = {
        "energy_above_hull": 0.012, "formation_energy_per_atom": -1.5, "created_at": "2018-08-03T00:00:00", "experimental": True,
    }  # fmt: skip
    write(database, document("NaCl", rock_salt("Na", "Cl", 5.64), **known))
    step.run(database)
    arrays = library(step).arrays
    assert float(arrays.energy_above_hull[0]) == pytest.approx(0.012)
    assert float(arrays.formation_energy[0]) == pytest.approx(-1.5)
    assert (int(arrays.created[0]), int(arrays.experimental[0])) == (20180803, 1)


def test_only_what_changed_is_made_again(
    database: Database[Any], filled: TemplateStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    import indexes.templates.step as module

    made: list[str] = []
    before = module.entry_of_document
    monkeypatch.setattr(module, "entry_of_document", lambda each: made.append(each["_id"]) or before(each))  # type: ignore[func-returns-value]
    write(database, document("NaCl", rock_salt("Na", "Cl", 5.70)), document("MgO", rock_salt("Mg", "O", 4.21)))
    remove(database, "CaF2")
    run = filled.run(database)
    assert sorted(made) == ["MgO", "NaCl"]
    assert (run.missing, run.stale, run.removed, run.fresh) == (["MgO"], ["NaCl"], ["CaF2"], 6)
    built = library(filled)
    assert set(built.ids) == {*templates(), "MgO"} - {"CaF2"}
    assert float(built.arrays.volume_per_atom[built.place("NaCl")]) == pytest.approx(5.70**3 / 8, rel=1e-5)


def test_an_incremental_library_is_the_one_made_anew(
    database: Database[Any], filled: TemplateStep, tmp_path: Path
) -> None:
    write(database, document("MgO", rock_salt("Mg", "O", 4.21)))
    filled.run(database)
    anew = TemplateStep(TemplateStore(tmp_path / "anew"))
    anew.run(database)
    one, other = library(filled), library(anew)
    for name in other.ids:
        a, b = one.place(name), other.place(name)
        assert one.crystal(a).species == other.crystal(b).species
        assert (one.rows(a) == other.rows(b)).all()
        assert one.ratio(a) == other.ratio(b)
        assert (one.arrays.hashes[a] == other.arrays.hashes[b]).all()


def test_a_second_run_makes_nothing(database: Database[Any], filled: TemplateStep) -> None:
    run = filled.run(database)
    assert (run.changes, run.fresh) == (0, len(templates()))


def test_staleness_is_seen_after_a_write(database: Database[Any], filled: TemplateStep) -> None:
    assert filled.staleness(database).fresh
    write(database, document("MgO", rock_salt("Mg", "O", 4.21)))
    assert filled.staleness(database).state == "stale"
    filled.run(database)
    assert filled.staleness(database).fresh


def test_a_store_without_a_library_says_so(database: Database[Any], step: TemplateStep) -> None:
    assert step.staleness(database).state == "missing"
    with pytest.raises(SnapshotMissing):
        step._templates.library()


def test_what_cannot_be_a_template_is_told_and_the_rest_is_built(database: Database[Any], step: TemplateStep) -> None:
    heavy = document("AmO", rock_salt("Na", "O", 5.0))
    heavy["primitive"]["species"] = ["Am", "O"]
    write(database, heavy, document("NaCl", rock_salt("Na", "Cl", 5.64)))
    run = step.run(database)
    assert list(run.failed) == ["AmO"]
    assert "Am" in run.failed["AmO"]
    assert library(step).ids == ["NaCl"]


def test_a_damaged_library_is_made_anew(database: Database[Any], filled: TemplateStep) -> None:
    store = filled._templates
    path = store.root / f"g{store.manifest().generation:08d}" / "rows.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(SnapshotDamaged):
        store.library(verify=True)
    run = filled.run(database)
    assert run.reason is not None
    assert set(library(filled).ids) == set(templates())


def test_two_generations_are_kept_and_no_more(database: Database[Any], filled: TemplateStep) -> None:
    for edge in (5.6, 5.7, 5.8):
        write(database, document("NaCl", rock_salt("Na", "Cl", edge)))
        filled.run(database)
    generations = sorted(path.name for path in filled._templates.root.glob("g*"))
    assert generations == ["g00000003", "g00000004"]


def test_readers_find_a_new_generation_by_themselves(database: Database[Any], filled: TemplateStep) -> None:
    opened = OpenLibrary(filled._templates)
    first = opened.current()
    assert opened.current() is first
    write(database, document("MgO", rock_salt("Mg", "O", 4.21)))
    filled.run(database)
    assert "MgO" in opened.current().ids
    assert "MgO" not in first.ids
