"""Retrieval: the right class, without what is excluded, cheapest first; against a plain loop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from builders.templates.query import read_query
from indexes.templates.arrays import Entry
from indexes.templates.library import TemplateLibrary
from indexes.templates.retrieve import base_distance, retrieve
from store.errors import UsageError

from .template_crystals import perovskite, templates

SYMBOLS = ["Li", "Na", "K", "Mg", "Ca", "Ti", "Zr", "Fe", "Ni", "O", "S", "F", "Cl"]


@pytest.fixture(scope="module")
def library() -> TemplateLibrary:
    return TemplateLibrary.from_entries([]).with_crystals(templates())


@pytest.fixture(scope="module")
def random_library() -> TemplateLibrary:
    """400 made-up ternary templates of two classes: only elements matter here."""
    rng = np.random.default_rng(0)
    entries = []
    for number in range(400):
        amounts = (1, 1, 3) if number % 2 else (1, 2, 2)
        picked = rng.choice(SYMBOLS, 3, replace=False).tolist()
        order = sorted(range(3), key=lambda k: (amounts[k], picked[k]))
        species = np.repeat(np.arange(3), amounts)
        elements = tuple(picked[k] for k in order)
        entries.append(
            Entry(f"t{number}", elements, amounts, 1, 1, np.eye(3) * 5, rng.random((5, 3)), species, np.ones((3, 40)))
        )
    return TemplateLibrary.from_entries(entries)


def brute_force(library: TemplateLibrary, formula: str, top: int) -> list[tuple[str, float]]:
    """Ids and costs of the cheapest templates, one template and one permutation at a time."""
    import itertools

    query, distance = read_query(formula), base_distance()
    found = []
    for place, name in enumerate(library.ids):
        if library.ratio(place) != query.ratio:
            continue
        numbers = read_query(library.query(place).composition()).numbers
        costs = [
            sum(float(distance[query.numbers[i], numbers[j]]) for i, j in enumerate(p))
            for p in itertools.permutations(range(len(numbers)))
            if all(query.amounts[i] == query.amounts[j] for i, j in enumerate(p))
        ]
        found.append((name, min(costs)))
    return sorted(found, key=lambda each: each[1])[:top]


@pytest.mark.parametrize("formula", ["NaFeO3", "LiMg2F2", "KZrS3"])
def test_the_cheapest_templates_are_those_of_a_plain_loop(random_library: TemplateLibrary, formula: str) -> None:
    found = retrieve(random_library, formula, top=25, alternatives=1)
    expected = brute_force(random_library, formula, 25)
    assert found.base == pytest.approx([cost for _, cost in expected], rel=1e-5)
    assert (np.diff(found.base) >= 0).all()


def test_the_base_cost_is_the_sum_of_the_substitution_costs(random_library: TemplateLibrary) -> None:
    found = retrieve(random_library, "NaFeO3", top=25)
    substitution = found.costs[:, found.metrics.index("substitution")].sum(axis=1)
    assert substitution == pytest.approx(found.base, rel=1e-5)


def test_only_the_query_s_class_is_searched(library: TemplateLibrary) -> None:
    found = retrieve(library, "BaTiO3")
    assert {library.ids[place] for place in found.templates} == {"SrTiO3", "CsPbBr3"}
    assert found.n_class == 2


def test_elements_take_the_places_that_fit_them(library: TemplateLibrary) -> None:
    found = retrieve(library, "BaZrO3")
    row = next(k for k, place in enumerate(found.templates) if library.ids[place] == "SrTiO3")
    assert found.pairs(library, row) == {"Ba": "Sr", "Zr": "Ti", "O": "O"}
    assert found.elements(library)[row].tolist() == [38, 22, 8]


def test_rows_follow_the_mapping(library: TemplateLibrary) -> None:
    found = retrieve(library, "TiSrO3", alternatives=2)
    for row, place in enumerate(found.templates.tolist()):
        expected = library.rows(place)[found.mapping[row]]
        assert (found.rows(library)[row] == expected).all()


def test_alternatives_are_kept_where_they_cost_no_more_than_kept_templates(random_library: TemplateLibrary) -> None:
    found = retrieve(random_library, "NaFeO3", top=30, alternatives=2)
    best = found.base[found.alternative == 0]
    assert len(best) == 30
    assert (found.alternative == 1).any()
    assert found.base.max() <= best.max()


def test_own_formula_and_named_formulas_are_left_out(library: TemplateLibrary) -> None:
    assert retrieve(library, "NaCl").n_class == 4
    found = retrieve(library, "NaCl", exclude_own=True, exclude_formulas=["KBr", "SrTiO3"])
    assert {library.ids[place] for place in found.templates} == {"CsCl", "TlBr"}


def test_a_mask_leaves_templates_out(library: TemplateLibrary) -> None:
    allowed = np.array([name != "CsCl" for name in library.ids])
    found = retrieve(library, "CsCl", allowed=allowed)
    assert "CsCl" not in {library.ids[place] for place in found.templates}


def test_a_query_without_templates_finds_nothing(library: TemplateLibrary) -> None:
    found = retrieve(library, "Al2O3")
    assert len(found) == 0
    assert found.n_class == 0
    assert found.rows(library).shape == (0, 2, 40)


def test_a_formula_that_is_none_is_refused(library: TemplateLibrary) -> None:
    with pytest.raises(UsageError):
        retrieve(library, "Xx2")


def test_templates_given_by_the_user_take_part_at_once(library: TemplateLibrary) -> None:
    more = library.with_crystals({"mine": perovskite("Ba", "Zr", "O", 4.19)})
    found = retrieve(more, "BaZrO3")
    assert more.ids[int(found.templates[0])] == "mine"
    assert found.base[0] == 0


@pytest.mark.data
@pytest.mark.slow
def test_the_learned_distance_beats_a_published_one_on_formulas_it_never_saw(data_folder: Path) -> None:
    """Halides, oxides and alloys whose formulas are kept for testing: is the nearest template of the right space group?"""
    import gzip

    import orjson

    from builders.templates.elements import published_distances
    from indexes.templates.entries import entry_of
    from indexes.templates.fit import for_testing
    from store.crystal import Crystal

    crystals = {}
    with gzip.open(data_folder / "structures" / "mp_stable52.jsonl.gz") as file:
        for line in file:
            record = orjson.loads(line)
            cell = record["structure"]
            if len(cell["species"]) <= 10 and len(crystals) < 2500:
                crystals[record["id"]] = Crystal.from_lists(cell["lattice"], cell["species"], cell["frac_coords"])
    library = TemplateLibrary.from_entries([entry_of(name, crystal) for name, crystal in crystals.items()])
    kept = [place for place in range(len(library)) if for_testing(library.query(place))]
    published = published_distances()
    plain = published.of("xenonpy") + published.of("periodic")

    def right(distance: np.ndarray | None = None) -> int:
        groups = library.arrays.space_group
        found = [
            (place, retrieve(library, library.query(place), exclude_own=True, top=1, distance=distance))
            for place in kept
        ]
        return sum(len(r) > 0 and int(groups[r.templates[0]]) == int(groups[place]) for place, r in found)

    assert len(kept) > 150
    assert right() > 1.03 * right(plain)
