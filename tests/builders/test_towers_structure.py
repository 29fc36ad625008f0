"""What the structure tower sees of a crystal."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.embeddings.towers.structure import (
    N_PAIRS,
    N_TOKEN,
    N_WHOLE,
    PAIR_LENGTHS,
    TOKEN_LENGTHS,
    WHOLE_LENGTHS,
    StructureFeatures,
    described,
    structure_features,
)
from store.crystal import Crystal
from store.errors import StructureError


def perovskite(a: float = 3.905, symbols: tuple[str, str, str] = ("Sr", "Ti", "O")) -> Crystal:
    one, two, three = symbols
    sites = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    return Crystal.from_lists(np.eye(3) * a, [one, two, three, three, three], sites)


def same(one: StructureFeatures, two: StructureFeatures, tolerance: float = 1e-4) -> bool:
    return all(
        np.allclose(getattr(one, name), getattr(two, name), atol=tolerance) for name in ("tokens", "pairs", "whole")
    )


def test_perovskite_by_hand() -> None:
    found = structure_features(perovskite())
    assert found.elements == ("Sr", "Ti", "O")
    assert found.amounts == (1, 1, 3)
    assert found.space_group == 221
    assert (found.tokens.shape, found.pairs.shape, found.whole.shape) == ((3, N_TOKEN), (3, 3, N_PAIRS), (N_WHOLE,))
    strontium, titanium, oxygen = found.tokens
    assert strontium[:6] == pytest.approx([0.2, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert oxygen[:6] == pytest.approx([0.6, log(3), log(3), 0.0, log(3), log(3)])
    # Titanium has six oxygen atoms at a/2, and the next atoms are eight strontium atoms at a sqrt(3)/2.
    half = 3.905 / 2
    assert titanium[TOKEN_LENGTHS] == pytest.approx([half, half, half, half, half * 3**0.5, half * 3**0.5], abs=1e-4)
    assert found.pairs[1, 2, PAIR_LENGTHS] == pytest.approx([half] * 4, abs=1e-4)
    assert found.pairs[2, 1, PAIR_LENGTHS][:2] == pytest.approx([half, half], abs=1e-4)
    # Each shell at the shortest distance counts whole: exp(1 - 1) = 1 an atom.
    assert found.pairs[1, 2, 0] == pytest.approx(6.0, abs=1e-3)
    spacing = 3.905 / 5 ** (1 / 3)
    assert found.whole[WHOLE_LENGTHS] == pytest.approx([spacing], abs=1e-5)


def test_which_elements_there_are_does_not_matter() -> None:
    assert same(structure_features(perovskite()), structure_features(perovskite(symbols=("Ba", "Zr", "S"))))


@settings(max_examples=15, deadline=None)
@given(
    st.tuples(*[st.floats(0, 1, exclude_max=True)] * 3),
    st.permutations(range(5)),
    st.sampled_from([np.eye(3), np.diag([1, 1, 2]), np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1]])]),
)
def test_cell_origin_and_order_do_not_matter(shift: tuple[float, ...], order: list[int], cell: np.ndarray) -> None:
    given = perovskite()
    new = cell @ given.lattice
    images = np.array([[0, 0, n] for n in range(round(np.linalg.det(cell)))])
    positions = ((given.frac_coords[order] + shift)[None] + images[:, None]).reshape(-1, 3) @ given.lattice
    species = [given.species[place] for place in order] * len(images)
    other = Crystal.from_lists(new, species, positions @ np.linalg.inv(new))
    assert same(structure_features(given), structure_features(other))


def test_a_scaled_description_is_that_of_the_scaled_crystal() -> None:
    factor = 1.07
    assert same(structure_features(perovskite()).scaled(factor), structure_features(perovskite(3.905 * factor)))


def test_occupancies_that_are_full_describe_the_ordered_crystal() -> None:
    ordered = perovskite()
    half = [{symbol: 1.0} for symbol in ordered.species]
    # Two species on two sites, each half: the same amounts as the ordered crystal, other surroundings.
    mixed = [{"Sr": 0.5, "Ti": 0.5}, {"Sr": 0.5, "Ti": 0.5}, *half[2:]]
    disordered = Crystal.from_sites(ordered.lattice, mixed, ordered.frac_coords)
    found = structure_features(disordered)
    assert found.elements == ("Sr", "Ti", "O")
    assert found.amounts == (1, 1, 3)
    # By symmetry of the mixture, strontium and titanium are described alike.
    assert found.tokens[0] == pytest.approx(found.tokens[1], abs=1e-5)


@settings(max_examples=10, deadline=None)
@given(st.floats(1e-7, 1e-5))
def test_occupancies_change_the_description_without_a_jump(little: float) -> None:
    ordered = perovskite()
    sites = [{"Sr": 1.0}, {"Ti": 1.0 - little, "Zr": little}, *[{"O": 1.0}] * 3]
    found = structure_features(Crystal.from_sites(ordered.lattice, sites, ordered.frac_coords))
    exact = structure_features(ordered)
    titanium, oxygen = found.elements.index("Ti"), found.elements.index("O")
    assert found.tokens[titanium, TOKEN_LENGTHS] == pytest.approx(exact.tokens[1, TOKEN_LENGTHS], abs=1e-3)
    assert found.pairs[titanium, oxygen] == pytest.approx(exact.pairs[1, 2], abs=1e-2)


def test_an_impossible_crystal_is_refused() -> None:
    with pytest.raises(StructureError):
        structure_features(Crystal.from_lists(np.zeros((3, 3)), ["Na"], [[0, 0, 0]]))


def test_the_prototype_is_named() -> None:
    assert described(perovskite())[1] == "ABC3_cP5_221_a_b_c"
