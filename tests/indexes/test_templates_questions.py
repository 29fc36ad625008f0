"""Questions for the ranker: from a library to proposals and truths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from builders.templates.ranker import load_ranker
from indexes.templates.entries import entry_of
from indexes.templates.library import TemplateLibrary
from indexes.templates.questions import proposals_of, questions, stable_formulas
from indexes.templates.retrieve import retrieve

from .template_crystals import caesium_chloride, rock_salt


def _library() -> TemplateLibrary:
    crystals = {
        "NaCl": (rock_salt("Na", "Cl", 5.64), 0.0),
        "NaCl-high": (caesium_chloride("Na", "Cl", 3.4), 0.12),
        "KCl": (rock_salt("K", "Cl", 6.3), 0.0),
        "KBr": (rock_salt("K", "Br", 6.6), 0.03),
        "CsCl": (caesium_chloride("Cs", "Cl", 4.12), 0.0),
    }
    return TemplateLibrary.from_entries(
        [replace(entry_of(name, crystal), energy_above_hull=hull) for name, (crystal, hull) in crystals.items()]
    )


def test_one_stable_structure_a_formula() -> None:
    library = _library()
    assert sorted(library.ids[k] for k in stable_formulas(library)) == ["CsCl", "KCl", "NaCl"]
    assert sorted(library.ids[k] for k in stable_formulas(library, 0.05)) == ["CsCl", "KBr", "KCl", "NaCl"]


def test_proposals_stand_in_the_order_of_the_querys_species() -> None:
    library = _library()
    found = retrieve(library, "RbI", top=10)
    proposals = proposals_of(library, found)
    assert proposals.numbers.tolist() == [53, 37]
    assert len(proposals) == len(found)
    for row in range(len(found)):
        pairs = found.pairs(library, row)
        assert [
            library.query(int(found.templates[row])).elements.index(pairs[e]) for e in ("I", "Rb")
        ] == found.mapping[row].tolist()


def test_a_question_has_no_template_of_its_own_formula() -> None:
    library = _library()
    for question in questions(library, stable_formulas(library)):
        numbers = set(np.asarray(question.proposals.numbers).tolist())
        assert all(set(row) != numbers for row in np.asarray(question.proposals.replaced).tolist())


def test_the_right_arrangement_of_a_question_is_found() -> None:
    library = _library()
    asked = {question.formula: question for question in questions(library, stable_formulas(library))}
    salt = asked["KCl"]
    group = np.asarray(salt.proposals.space_group)[salt.arrangements.first]
    assert (salt.answer[group == 225] > 0.9).all()
    assert (salt.answer[group == 221] < 0.1).all()


def test_the_ranker_gives_potassium_iodide_the_rock_salt_arrangement() -> None:
    library = _library()
    found = retrieve(library, "KI", top=10)
    first = load_ranker().rank(proposals_of(library, found)).proposal[0]
    assert library.space_group(int(found.templates[first])) == 225
