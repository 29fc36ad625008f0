"""Derived templates for a query: parents of other stoichiometries, ordered or merged."""

from __future__ import annotations

import numpy as np
import pytest

from builders.templates.query import read_query
from indexes.templates.derived import derive, derived_volume
from indexes.templates.library import TemplateLibrary

from .template_crystals import half_heusler, perovskite, rock_salt, templates


@pytest.fixture(scope="module")
def library() -> TemplateLibrary:
    return TemplateLibrary.from_entries([]).with_crystals(templates())


def test_a_double_perovskite_follows_from_a_perovskite(library: TemplateLibrary) -> None:
    perovskites = np.array([name != "Cs2AgBiBr6" for name in library.ids])
    found = derive(library, read_query("Cs2NaInBr6"), allowed=perovskites)
    rock_salt_order = [each for each in found if each.entry.space_group == 225 and each.kind == "ordered"]
    assert rock_salt_order
    entry = rock_salt_order[0].entry
    assert (entry.elements, entry.amounts, len(entry.species)) == (("In", "Na", "Cs", "Br"), (1, 1, 2, 6), 10)
    assert library.ids[rock_salt_order[0].parent] == "CsPbBr3"
    assert rock_salt_order[0].replaced == ("Pb", "Pb", "Cs", "Br")


def test_a_half_heusler_alloy_follows_from_fluorite(library: TemplateLibrary) -> None:
    found = derive(library, read_query("NiTiSn"))
    assert any(each.entry.space_group == 216 and library.ids[each.parent] == "CaF2" for each in found)


def test_fluorite_follows_from_a_half_heusler_alloy() -> None:
    library = TemplateLibrary.from_entries([]).with_crystals({"NiTiSn": half_heusler("Ti", "Ni", "Sn", 5.9)})
    found = derive(library, read_query("CaF2"))
    merged = [each for each in found if each.kind == "merged"]
    assert 225 in {each.entry.space_group for each in merged}
    assert all(each.entry.amounts == (1, 2) for each in merged)


def test_a_perovskite_follows_from_an_ordered_one(library: TemplateLibrary) -> None:
    only = np.array([name == "Cs2AgBiBr6" for name in library.ids])
    found = derive(library, read_query("CsPbBr3"), allowed=only)
    assert any((each.entry.space_group, each.replaced) == (221, ("Cs", "Ag+Bi", "Br")) for each in found)


def test_derived_templates_all_differ(library: TemplateLibrary) -> None:
    found = derive(library, read_query("Cs2NaInBr6"))
    for number, one in enumerate(found):
        for other in found[:number]:
            alike = one.entry.space_group == other.entry.space_group and len(one.entry.species) == len(
                other.entry.species
            )
            assert not (alike and np.abs(one.entry.rows - other.entry.rows).max() < 0.03)


def test_cheapest_come_first(library: TemplateLibrary) -> None:
    costs = [each.cost for each in derive(library, read_query("Cs2NaInBr6"))]
    assert costs == sorted(costs)


def test_a_query_that_nothing_leads_to_has_none(library: TemplateLibrary) -> None:
    assert derive(library, read_query("Li7La3Zr2O12")) == []


def test_the_volume_of_an_ordered_template_follows_both_elements() -> None:
    library = TemplateLibrary.from_entries([]).with_crystals({"CsPbBr3": perovskite("Cs", "Pb", "Br", 5.87)})
    small, large = (derive(library, read_query(f))[0] for f in ("Cs2LiInBr6", "Cs2KBiBr6"))
    assert derived_volume(library, small) < derived_volume(library, large)


def test_unary_parents_give_ordered_alloys() -> None:
    from store.crystal import Crystal

    iron = Crystal.from_lists(2.87 * np.eye(3), ["Fe", "Fe"], [[0, 0, 0], [0.5] * 3])
    library = TemplateLibrary.from_entries([]).with_crystals({"Fe": iron, "NaCl": rock_salt("Na", "Cl", 5.64)})
    found = derive(library, read_query("FeAl"))
    assert 221 in {each.entry.space_group for each in found}
