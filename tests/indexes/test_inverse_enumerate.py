"""Compositions that elements can form."""

from __future__ import annotations

from itertools import permutations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.embeddings.towers.composition import composition_of
from builders.structures.elements import state_log_probabilities
from indexes.inverse.enumerate import RARE, count, enumerate_compositions, oxidation_states, read_ratio
from store.errors import UsageError

ELEMENTS = ("Li", "Na", "Mg", "Fe", "P", "O", "Cl")
ratios = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(read_ratio)


@settings(max_examples=40, deadline=None)
@given(st.sets(st.sampled_from(ELEMENTS), min_size=1), ratios)
def test_all_are_found_once(elements: set[str], ratio: tuple[int, ...]) -> None:
    found = enumerate_compositions(elements, ratio)
    slow = {frozenset(zip(chosen, ratio, strict=True)) for chosen in permutations(sorted(elements), len(ratio))}
    assert {frozenset(each.as_dict().items()) for each in found} == slow
    assert len(found) == len(slow) == count(len(elements), ratio)


@settings(max_examples=25, deadline=None)
@given(ratios)
def test_balanced_ones_are_neutral_and_none_is_missed(ratio: tuple[int, ...]) -> None:
    table = state_log_probabilities()
    found = set(enumerate_compositions(ELEMENTS, ratio, charge_balanced=True))
    for each in enumerate_compositions(ELEMENTS, ratio):
        states = oxidation_states(each)
        choices = [[q for q, log in table[symbol].items() if log > RARE] for symbol in each.elements]
        neutral = any(sum(q * n for q, n in zip(some, each.amounts, strict=True)) == 0 for some in product(*choices))
        assert (each in found) == (neutral and states is not None)
        if each in found:
            assert states is not None
            assert sum(states[symbol] * n for symbol, n in each.as_dict().items()) == 0


def test_olivines_of_lithium() -> None:
    found = enumerate_compositions(
        ["Mn", "Fe", "Co", "Ni", "P", "O"], (1, 1, 1, 4), charge_balanced=True, required=["Li"]
    )
    formulas = {each.formula for each in found}
    assert {"LiMnPO4", "LiFePO4", "LiCoPO4", "LiNiPO4"} <= formulas
    assert all("Li" in each.elements for each in found)


def test_what_must_be_there_is() -> None:
    found = enumerate_compositions(["Na", "K", "Cl", "Br"], (1, 1), required=["Na", "Cl"])
    assert [each.formula for each in found] == [composition_of("NaCl").formula]


@pytest.mark.parametrize("wrong", ["", "1:0", "1:x", "a", (1, -1), "1.5:1", "99999:1"])
def test_what_is_no_stoichiometry_is_refused(wrong: object) -> None:
    with pytest.raises(UsageError, match="stoichiometry"):
        read_ratio(wrong)  # type: ignore[arg-type]


def test_too_many_are_refused_before_they_are_made() -> None:
    from builders.embeddings.elements import element_table

    with pytest.raises(UsageError, match="fewer elements"):
        enumerate_compositions(element_table().symbols, (1, 1, 1, 1, 6))


def test_an_unknown_element_is_refused() -> None:
    with pytest.raises(UsageError, match="'Xx'"):
        enumerate_compositions(["Li", "Xx"], (1, 1))
