"""What the composition tower sees of a formula."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.embeddings.elements import element_table
from builders.embeddings.towers.composition import (
    N_TABLE,
    N_TOKEN,
    N_WHOLE,
    STATES,
    charge_note,
    composition_of,
    composition_sets,
    radii,
)
from store.errors import FeatureError

formulas = st.dictionaries(st.sampled_from(element_table().symbols), st.integers(1, 12), min_size=1, max_size=6)


@given(formulas, st.integers(1, 4))
def test_a_multiple_is_the_same_composition(amounts: dict[str, int], times: int) -> None:
    one = composition_of(amounts)
    assert one == composition_of({symbol: times * amount for symbol, amount in reversed(amounts.items())})
    assert list(one.amounts) == sorted(one.amounts)
    assert np.gcd.reduce(one.amounts) == 1


def test_formulas_and_fractions_are_read() -> None:
    assert composition_of("Fe2(SO4)3").as_dict() == {"Fe": 2, "S": 3, "O": 12}
    assert composition_of({"Li": 0.5, "Co": 1, "O": 2}).as_dict() == {"Li": 1, "Co": 2, "O": 4}
    assert composition_of("D2O").as_dict() == {"H": 2, "O": 1}


@pytest.mark.parametrize("wrong", ["Xx2", "", "Li0", {"Li": -1}, {"Cm": 1}, {"Li": float("nan")}, {"Li": 1e9}])
def test_what_is_no_composition_is_refused(wrong: object) -> None:
    with pytest.raises(FeatureError):
        composition_of(wrong)  # type: ignore[arg-type]


def test_tokens_say_amount_charge_and_radius() -> None:
    sets = composition_sets([composition_of("Li2O"), composition_of("NaCl"), composition_of("MgO")])
    group = sets.groups[2]
    assert group.tokens.shape == (3, 2, N_TOKEN)
    assert group.whole.shape == (3, N_WHOLE)
    oxygen, lithium = group.tokens[0]  # ascending amount
    assert lithium[N_TABLE : N_TABLE + 4] == pytest.approx([2 / 3, np.log(2), 1.0, 1.0])
    assert oxygen[N_TABLE + 2] == -2.0
    assert lithium[-1] == pytest.approx(0.9)  # Shannon: Li+ in octahedra has 0.90 Å (crystal radius)
    assert group.token_kind is not None
    assert group.token_kind[0].tolist() == [7, 2]


def test_sets_keep_their_numbers() -> None:
    sets = composition_sets([composition_of(each) for each in ("LiFePO4", "NaCl", "Cu", "KBr")])
    assert {k: members.tolist() for k, members in sets.members.items()} == {1: [2], 2: [1, 3], 4: [0]}
    again = sets.take(np.array([3, 0]))
    assert again.members[2].tolist() == [0]
    assert np.array_equal(again.groups[2].tokens[0], sets.groups[2].tokens[1])


def test_every_element_has_a_radius_in_every_state() -> None:
    found = radii()
    assert found.shape == (94, len(STATES))
    assert found.min() > -0.2  # Shannon's bare proton is at -0.18 and below
    assert found.max() < 3.5


def test_a_metal_has_no_charges() -> None:
    assert charge_note(composition_of("Ni3Al")) is None
