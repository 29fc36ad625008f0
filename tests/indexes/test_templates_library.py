"""The template library: what goes in comes out, from memory, from disk, joined and cut."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher

from indexes.templates.library import TemplateLibrary
from store.crystal import Crystal
from store.errors import FeatureError, SnapshotDamaged, SnapshotMissing, UnknownId

from .template_crystals import rock_salt, templates

MATCHER = StructureMatcher(0.01, 0.01, 1, scale=False)


@pytest.fixture(scope="module")
def library() -> TemplateLibrary:
    return TemplateLibrary.from_entries([]).with_crystals(templates())


def contents(library: TemplateLibrary) -> dict[str, tuple[object, ...]]:
    """Everything that is known of each template, by id."""
    found = {}
    for place, name in enumerate(library.ids):
        crystal = library.crystal(place)
        found[name] = (
            crystal.species,
            crystal.lattice.tolist(),
            crystal.frac_coords.tolist(),
            library.rows(place).tolist(),
            library.ratio(place),
            library.space_group(place),
            library.prototype(place),
            float(library.arrays.volume_per_atom[place]),
        )
    return found


def test_every_template_comes_back_as_it_went_in(library: TemplateLibrary) -> None:
    for name, crystal in templates().items():
        assert MATCHER.fit(library.crystal(library.place(name)).to_pymatgen(), crystal.to_pymatgen())


def test_space_groups_are_those_of_the_structure_types(library: TemplateLibrary) -> None:
    groups = {name: library.space_group(library.place(name)) for name in library.ids}
    assert groups == {
        "NaCl": 225, "KBr": 225, "CsCl": 221, "TlBr": 221, "SrTiO3": 221, "CsPbBr3": 221, "CaF2": 225, "Cs2AgBiBr6": 225,
    }  # fmt: skip


def test_classes_hold_the_elements_in_canonical_order(library: TemplateLibrary) -> None:
    assert library.ratios() == {(1, 1): 4, (1, 2): 1, (1, 1, 3): 2, (1, 1, 2, 6): 1}
    assert {tuple(row) for row in library.class_elements((1, 1, 3)).tolist()} == {(38, 22, 8), (55, 82, 35)}
    assert library.elements(library.place("SrTiO3")) == ("Sr", "Ti", "O")
    assert library.formula(library.place("CaF2")) == "CaF2"


def test_a_class_without_templates_is_empty(library: TemplateLibrary) -> None:
    assert library.class_elements((1, 7)).shape == (0, 2)


def test_rows_are_the_neighbour_distances_of_rock_salt(library: TemplateLibrary) -> None:
    # Six neighbours at a/2, twelve at a/sqrt(2); the volume per atom is a^3 / 8.
    rows = library.rows(library.place("NaCl"))
    assert rows[:, :6] == pytest.approx(1.0, abs=1e-6)
    assert rows[:, 6:18] == pytest.approx(2**0.5, abs=1e-6)


def test_a_saved_library_is_the_same_and_is_not_read_at_once(library: TemplateLibrary, tmp_path: Path) -> None:
    library.save(tmp_path / "there")
    loaded = TemplateLibrary.load(tmp_path / "there", verify=True)
    assert contents(loaded) == contents(library)
    assert isinstance(loaded.arrays.rows.base, np.memmap)


@pytest.mark.parametrize("name", ["rows.npy", "ids.json", "manifest.json", "shapes.json"])
def test_a_damaged_file_is_named(library: TemplateLibrary, tmp_path: Path, name: str) -> None:
    library.save(tmp_path)
    content = bytearray((tmp_path / name).read_bytes())
    content[len(content) // 2] ^= 0xFF
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SnapshotDamaged, match=name):
        TemplateLibrary.load(tmp_path, verify=True)


def test_a_truncated_file_is_found_without_reading_it(library: TemplateLibrary, tmp_path: Path) -> None:
    library.save(tmp_path)
    (tmp_path / "frac_coords.npy").write_bytes((tmp_path / "frac_coords.npy").read_bytes()[:-4])
    with pytest.raises(SnapshotDamaged, match=r"frac_coords\.npy"):
        TemplateLibrary.load(tmp_path)


def test_an_absent_library_says_so(tmp_path: Path) -> None:
    with pytest.raises(SnapshotMissing):
        TemplateLibrary.load(tmp_path / "nothing")


def test_joining_and_cutting_undo_each_other(library: TemplateLibrary) -> None:
    more = library.with_crystals({"MgO": rock_salt("Mg", "O", 4.21)})
    assert len(more) == len(library) + 1
    assert more.space_group(more.place("MgO")) == 225
    kept = np.array([name != "MgO" for name in more.ids])
    assert contents(more.subset(kept)) == contents(library)


def test_order_of_arrival_does_not_matter() -> None:
    given = templates()
    forward = TemplateLibrary.from_entries([]).with_crystals(given)
    backward = TemplateLibrary.from_entries([])
    for name in reversed(list(given)):
        backward = backward.with_crystals({name: given[name]})
    assert contents(forward) == contents(backward)


def test_given_without_names_they_are_numbered() -> None:
    library = TemplateLibrary.from_entries([]).with_crystals([rock_salt("Na", "Cl", 5.64)])
    assert library.ids == ["user-1"]


def test_disordered_crystals_are_refused() -> None:
    mixed = Crystal.from_sites([[4, 0, 0], [0, 4, 0], [0, 0, 4]], [{"Na": 0.5, "K": 0.5}], [[0, 0, 0]])
    with pytest.raises(FeatureError, match="disordered"):
        TemplateLibrary.from_entries([]).with_crystals({"mixed": mixed})


def test_an_unknown_id_is_refused(library: TemplateLibrary) -> None:
    with pytest.raises(UnknownId, match="mp-1"):
        library.place("mp-1")


def test_an_empty_library_is_a_library() -> None:
    empty = TemplateLibrary.from_entries([])
    assert len(empty) == 0
    assert empty.ratios() == {}
    assert len(pickle.dumps(empty.table)) > 0
