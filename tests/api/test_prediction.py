"""Structure prediction and inverse retrieval as users ask for them: Python, command line, files, bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli.main import app
from api.inverse import inverse
from api.prediction import predict_structure
from api.prediction.formulas import read_formulas
from indexes.templates.library import TemplateLibrary
from store.crystal import Crystal
from store.errors import UnknownElement, UsageError

FCC = ((0.0, 0.5, 0.5), (0.5, 0.0, 0.5), (0.5, 0.5, 0.0))


def salt(cation: str, anion: str, a: float) -> Crystal:
    lattice = [[a * x for x in row] for row in FCC]
    return Crystal.from_lists(lattice, [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])


def caesium_chloride(cation: str, anion: str, a: float) -> Crystal:
    lattice = [[a, 0, 0], [0, a, 0], [0, 0, a]]
    return Crystal.from_lists(lattice, [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])


@pytest.fixture(scope="module")
def library() -> TemplateLibrary:
    crystals = {
        "nacl": salt("Na", "Cl", 5.64),
        "lif": salt("Li", "F", 4.03),
        "nabr": salt("Na", "Br", 5.97),
        "cscl": caesium_chloride("Cs", "Cl", 4.12),
        "csbr": caesium_chloride("Cs", "Br", 4.29),
    }
    return TemplateLibrary.from_entries([]).with_crystals(crystals)


def cif_file(folder: Path, name: str, crystal: Crystal) -> Path:
    path = folder / name
    crystal.to_pymatgen().to(str(path), fmt="cif")
    return path


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


# ------------------------------------------------------------------------------------------------------------- Python


def test_distinct_arrangements_come_back_with_templates_and_volumes(library: TemplateLibrary) -> None:
    found = predict_structure("KCl", templates=library)
    assert {each.space_group_symbol for each in found.candidates} == {"Fm-3m", "Pm-3m"}
    assert [each.rank for each in found.candidates] == [1, 2]
    for each in found.candidates:
        assert set(each.mapping) == {"K", "Cl"}
        assert 0.0 <= each.probability <= 1.0
        assert 25.0 < each.volume_per_atom < 45.0  # KCl: 31.2 A^3 an atom as rock salt


def test_own_formula_is_left_out_on_request(library: TemplateLibrary) -> None:
    with_own = predict_structure("NaCl", templates=library)
    without = predict_structure("NaCl", templates=library, exclude_formula=True)
    assert "nacl" in {each.template_id for each in with_own.candidates}
    assert "nacl" not in {each.template_id for each in without.candidates}
    assert without.n_templates == with_own.n_templates - 1


def test_formula_units_do_not_matter(library: TemplateLibrary) -> None:
    one, two = (predict_structure(formula, templates=library) for formula in ("KCl", "K2Cl2"))
    assert [each.probability for each in one.candidates] == [each.probability for each in two.candidates]


def test_a_stoichiometry_without_templates_says_so_and_names_near_ones(library: TemplateLibrary) -> None:
    found = predict_structure("K3Cl", templates=library)
    assert not [each for each in found.candidates if not each.derived]
    assert "1:3" in found.notes[0]
    assert "1:1" in found.notes[0]


def test_cif_is_read_back_as_the_same_crystal_with_its_origin(library: TemplateLibrary) -> None:
    from pymatgen.analysis.structure_matcher import StructureMatcher
    from pymatgen.core.structure import Structure

    found = predict_structure("KCl", templates=library)
    text = found.cif(1)
    assert f"_ionatlas_template_id             {found.candidates[0].template_id}" in text
    assert "_ionatlas_element_mapping" in text
    assert StructureMatcher().fit(Structure.from_str(text, fmt="cif"), found.structure(1))


def test_space_group_filter_keeps_the_probability(library: TemplateLibrary) -> None:
    every = predict_structure("KCl", templates=library)
    cubic = predict_structure("KCl", templates=library, space_group=221)
    (kept,) = cubic.candidates
    (same,) = [each for each in every.candidates if each.space_group_number == 221]
    assert (kept.rank, kept.probability) == (1, same.probability)


@pytest.mark.parametrize(
    ("formula", "told"),
    [("Xx2", "Xx"), ("Li0", "zero"), ("", "formula"), ("C301H100", "401 atoms"), ("LiNi(PO4", "LiNi(PO4")],
)
def test_impossible_formulas_are_explained(library: TemplateLibrary, formula: str, told: str) -> None:
    with pytest.raises(UsageError, match=told.replace("(", r"\(")) as caught:
        predict_structure(formula, templates=library)
    assert caught.value.mend


def test_forty_elements_are_refused(library: TemplateLibrary) -> None:
    from builders.embeddings.elements import element_table

    with pytest.raises(UsageError, match="40 elements"):
        predict_structure("".join(element_table().symbols[:40]), templates=library)


def test_no_candidate_of_that_rank(library: TemplateLibrary) -> None:
    with pytest.raises(UsageError, match="no candidate 7"):
        predict_structure("KCl", templates=library).structure(7)


def test_inverse_finds_what_has_the_structure(library: TemplateLibrary) -> None:
    from indexes.inverse.space import CompositionSpace

    found = inverse(salt("K", "Cl", 6.29), 5, space=CompositionSpace(library))
    assert {each.formula for each in found.candidates} == {"NaCl", "LiF", "NaBr", "CsCl", "CsBr"}
    assert all(each.known for each in found.candidates)


def test_inverse_makes_up_balanced_compositions(library: TemplateLibrary) -> None:
    from indexes.inverse.space import CompositionSpace

    found = inverse(
        salt("K", "Cl", 6.29),
        10,
        elements="Na,K,Rb,Cl,O",
        charge_balanced=True,
        new=True,
        space=CompositionSpace(library),
    )
    assert {each.formula for each in found.candidates} == {"KCl", "RbCl"}  # NaCl is known; K with O is not neutral
    assert found.notes


def test_inverse_with_an_unknown_element(library: TemplateLibrary) -> None:
    from indexes.inverse.space import CompositionSpace

    with pytest.raises((UsageError, UnknownElement), match="Qq"):
        inverse(salt("K", "Cl", 6.29), elements="Na,Qq", space=CompositionSpace(library))


# --------------------------------------------------------------------------------------------------------- files, shell


def test_formulas_from_tables_lines_and_json(tmp_path: Path) -> None:
    for name, text in {
        "a.csv": "name,formula\nx,LiNiPO4\ny,KCl\n",
        "b.txt": "# wanted\nLiNiPO4\n\nKCl\n",
        "c.jsonl": '{"formula": "LiNiPO4"}\n{"formula": "KCl"}\n',
        "d.tsv": "formula\tnote\nLiNiPO4\tx\nKCl\t\n",
    }.items():
        (tmp_path / name).write_text(text)
        assert read_formulas(tmp_path / name) == ["LiNiPO4", "KCl"], name


@pytest.mark.parametrize(
    ("text", "told"),
    [("a,b\n1,2\n", "none named formula"), ("", "no formulas"), ('{"x": 1}\n', "no formula"), ("{", "no JSON")],
)
def test_files_without_formulas_are_explained(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=told):
        read_formulas(path)


def test_command_writes_json_lines_and_cif_files(tmp_path: Path) -> None:
    template = cif_file(tmp_path, "nacl.cif", salt("Na", "Cl", 5.64))
    done = run(
        "predict-structure", "KCl", "--templates", str(template), "--only-templates", "--json", "-o", str(tmp_path / "out")
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    (row,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert (row["formula"], row["rank"], row["space_group"], row["mapping"]) == ("KCl", 1, 225, {"K": "Na", "Cl": "Cl"})
    assert (tmp_path / "out" / "KCl_1.cif").read_text() == row["cif"]


def test_many_formulas_go_on_after_one_that_cannot_be_read(tmp_path: Path) -> None:
    template = cif_file(tmp_path, "nacl.cif", salt("Na", "Cl", 5.64))
    wanted = tmp_path / "f.csv"
    wanted.write_text("formula\nKCl\nXx2\nRbBr\n")
    done = run("predict-structure", "--from", str(wanted), "--templates", str(template), "--only-templates", "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.exit_code == 5
    assert [row["formula"] for row in rows] == ["KCl", "Xx2", "RbBr"]
    assert "Xx" in rows[1]["error"]


def test_command_needs_one_formula_or_a_file() -> None:
    done = run("predict-structure")
    assert done.exit_code == 2
    assert "--from" in done.output


def test_a_disordered_template_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    good = cif_file(tmp_path, "nacl.cif", salt("Na", "Cl", 5.64))
    lattice = [[5.64 * x for x in row] for row in FCC]
    mixed = Crystal.from_sites(lattice, [{"Na": 0.5, "K": 0.5}, {"Cl": 1.0}], [[0, 0, 0], [0.5, 0.5, 0.5]])
    bad = cif_file(tmp_path, "mixed.cif", mixed)
    done = run("predict-structure", "RbCl", "--templates", str(good), "--templates", str(bad), "--only-templates")
    assert done.exit_code == 0, done.output
    assert "disordered" in done.stdout


# ---------------------------------------------------------------------------------------------------------- with a store


@pytest.mark.usefixtures("at_built")
class TestStore:
    def test_prediction_from_the_templates_of_the_store(self) -> None:
        done = run("predict-structure", "KCl", "--json")
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.exit_code == 0, done.output
        assert {row["space_group"] for row in rows} == {225, 221}
        assert all(row["template"].startswith("t-") for row in rows)

    def test_inverse_of_a_material(self) -> None:
        done = run("inverse", "t-1", "--json", "-k", "3")
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.exit_code == 0, done.output
        assert len(rows) == 3
        assert all(row["known"] for row in rows)

    def test_similar_by_structure_finds_other_rock_salts(self) -> None:
        done = run("similar", "t-1", "--by", "structure", "-k", "5", "--format", "json")
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.exit_code == 0, done.output
        near = {row["id"] for row in rows if row["distance"] < 1e-3}
        assert len(near) == 5
        assert near < {"t-2", "t-3", "t-4", "t-5", "t-6", "t-11"}  # rock salts; CsCl, fluorite and iron are far

    def test_similar_by_structure_takes_a_file_and_refuses_a_formula(self, tmp_path: Path) -> None:
        path = cif_file(tmp_path, "kcl.cif", salt("K", "Cl", 6.29))
        done = run("similar", str(path), "--by", "structure", "-k", "1", "--format", "json")
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["distance"] < 1e-3
        refused = run("similar", "KCl", "--by", "structure")
        assert refused.exit_code == 2
        assert "--by learned" in refused.output

    def test_similar_in_the_learned_space_takes_formulas(self) -> None:
        done = run("similar", "KCl", "--by", "learned", "-k", "3", "--format", "json")
        assert done.exit_code == 0, done.output
        assert len(done.stdout.splitlines()) == 3

    def test_unknown_index(self) -> None:
        done = run("similar", "t-1", "--by", "smell")
        assert done.exit_code == 2
        assert "composition" in done.output
