"""Which structure a host is made from: the same framework in any cell, of any size; polymorphs and alloys are others."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from builders.barriers.link import (
    ALIKE,
    SAME_LENGTH,
    SAME_SIZE,
    difference,
    fingerprint,
    link,
    same_hop,
    without,
)
from builders.channels.analysis import analyse
from builders.channels.model import Channels
from store.crystal import Crystal
from store.hops import HopRecord

from .barrier_hops import rebased, supercell
from .channel_crystals import layered, olivine, random_crystal


def made(group: str, lattice: Any, species: list[str], places: list[list[float]]) -> Crystal:
    return Crystal.from_pymatgen(Structure.from_spacegroup(group, lattice, species, places))


def frameworks() -> dict[str, Crystal]:
    """Seven hosts of two formulas; every name tells the structure type."""
    return dict(_frameworks())


@lru_cache(maxsize=1)
def _frameworks() -> dict[str, Crystal]:
    cubic = Lattice.cubic(4.6)
    return {
        "rock salt": made("Fm-3m", cubic, ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
        "zinc blende": made("F-43m", cubic, ["Mg", "O"], [[0, 0, 0], [0.25, 0.25, 0.25]]),
        "caesium chloride": made("Pm-3m", Lattice.cubic(2.9), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
        "wurtzite": made(
            "P6_3mc", Lattice.hexagonal(3.25, 5.2), ["Mg", "O"], [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.382]]
        ),
        "rutile": made("P4_2/mnm", Lattice.tetragonal(4.59, 2.96), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]),
        "anatase": made("I4_1/amd", Lattice.tetragonal(3.78, 9.51), ["Ti", "O"], [[0, 0, 0], [0, 0, 0.208]]),
        "layers": made("R-3m", Lattice.hexagonal(2.95, 17.0), ["Ti", "O"], [[0, 0, 0], [0, 0, 0.2275]]),
    }


def shaken(crystal: Crystal, by: float, seed: int = 0) -> Crystal:
    """Atoms moved by so many Å, as relaxation around a vacancy moves them."""
    moves = np.random.default_rng(seed).normal(0.0, by / 3**0.5, crystal.frac_coords.shape)
    return replace(crystal, frac_coords=crystal.frac_coords + moves @ np.linalg.inv(crystal.lattice))


def apart(one: Crystal, other: Crystal) -> float:
    return difference(fingerprint(one), fingerprint(other))


# --------------------------------------------------------------------------------------------------------- fingerprints


@given(st.integers(0, 2**32 - 1), st.tuples(*[st.integers(1, 2)] * 3), st.floats(0.7, 1.4))
@settings(max_examples=12, deadline=None)
def test_neither_cell_nor_size_changes_a_fingerprint(seed: int, copies: tuple[int, int, int], scale: float) -> None:
    crystal = random_crystal(seed, 9)
    rng = np.random.default_rng(seed)
    matrix = np.eye(3)[rng.permutation(3)] @ np.array(
        [[1, rng.integers(-1, 2), 0], [0, 1, rng.integers(-1, 2)], [0, 0, 1]]
    )
    another = rebased(HopRecord("Li", crystal, np.zeros(3), np.ones(3)), matrix).host
    another = supercell(another, copies)
    order = rng.permutation(another.n_sites)
    another = Crystal.from_lists(
        another.lattice * scale, [another.species[k] for k in order], another.frac_coords[order] + rng.random(3)
    )
    assert apart(crystal, another) < 1e-4
    assert fingerprint(another).colours == pytest.approx(fingerprint(crystal).colours, abs=1e-3)


STACKED = {"zinc blende", "wurtzite"}
"""Two stackings of the same layers: every atom has the same nearest twelve neighbours, and thresholds do not tell them apart."""


def test_structure_types_are_told_apart() -> None:
    hosts = frameworks()
    for name, crystal in hosts.items():
        assert apart(crystal, crystal) == 0.0
        for other, another in hosts.items():
            if name != other and {name, other} != STACKED:
                assert min(apart(crystal, another), apart(another, crystal)) > 2 * ALIKE, (name, other)


def test_two_stackings_of_the_same_layers_are_the_nearest_pair() -> None:
    hosts = frameworks()
    blende = {name: apart(hosts["zinc blende"], crystal) for name, crystal in hosts.items() if name != "zinc blende"}
    assert min(blende, key=lambda name: blende[name]) == "wurtzite"
    assert blende["wurtzite"] > ALIKE / 3


def test_elements_on_each_others_places_are_another_crystal() -> None:
    places = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]]
    one = made("Pm-3m", Lattice.cubic(3.9), ["Sr", "Ti", "O"], places)
    other = made("Pm-3m", Lattice.cubic(3.9), ["Ti", "Sr", "O"], places)
    assert apart(one, other) == float("inf")
    fluorite = made("Fm-3m", Lattice.cubic(5.46), ["Ca", "F"], [[0, 0, 0], [0.25] * 3])
    inverse = made("Fm-3m", Lattice.cubic(5.46), ["F", "Ca"], [[0, 0, 0], [0.25] * 3])
    assert apart(fluorite, inverse) > ALIKE


@pytest.mark.parametrize("name", ["olivine", "layered", "rutile", "anatase"])
def test_a_framework_that_relaxed_is_still_itself(name: str) -> None:
    crystals = {
        "olivine": Crystal.from_pymatgen(olivine()),
        "layered": Crystal.from_pymatgen(layered()),
        **frameworks(),
    }
    crystal = without(crystals[name], "Li")
    relaxed = shaken(supercell(crystal, (2, 2, 2)), 0.05)
    assert 0 < apart(crystal, relaxed) <= ALIKE
    assert apart(crystal, shaken(supercell(crystal, (2, 2, 2)), 0.6)) > ALIKE


def test_what_is_left_of_a_crystal_without_an_ion() -> None:
    crystal = Crystal.from_pymatgen(olivine())
    left = without(crystal, "Li")
    assert left.amounts() == {"Fe": 4, "P": 4, "O": 16}
    assert without(left, "Li") is left
    shared = Crystal.from_sites(
        4 * np.eye(3), [{"Li": 0.5, "Fe": 0.5}, {"Mn": 0.5, "Fe": 0.5}, {"O": 1.0}], np.eye(3) / 2
    )
    kept = without(shared, "Li")
    assert kept.occupancies == ({"Mn": 0.5, "Fe": 0.5}, {"O": 1.0})
    assert kept.frac_coords.tolist() == (np.eye(3) / 2)[1:].tolist()


# --------------------------------------------------------------------------------------------------------------- links


def named(crystals: dict[str, Crystal]) -> list[tuple[str, Crystal, Channels | None]]:
    return [(name, crystal, None) for name, crystal in crystals.items()]


@pytest.mark.parametrize("name", sorted(frameworks()))
def test_the_right_structure_is_picked_out(name: str) -> None:
    hosts = frameworks()
    host = shaken(supercell(hosts[name], (2, 2, 2)), 0.03, seed=1)
    found = link(host, 3.0, 1.7, named(hosts))
    assert found[0].material == name
    assert {each.material for each in found} <= ({name} if name not in STACKED else STACKED)
    assert found[0].difference < ALIKE
    assert found[0].hop is None


def test_the_likest_comes_first_and_equals_by_name() -> None:
    rutile = frameworks()["rutile"]
    candidates = {"b": rutile, "near": shaken(rutile, 0.03), "a": supercell(rutile, (1, 1, 2))}
    found = link(supercell(rutile, (2, 2, 2)), 3.0, 1.7, named(candidates))
    assert [each.material for each in found] == ["a", "b", "near"]
    assert found[0].difference == pytest.approx(0.0, abs=1e-6)


def test_nothing_to_link_to() -> None:
    hosts = frameworks()
    assert link(hosts["rutile"], 3.0, 1.7, []) == []
    del hosts["rutile"]
    assert link(frameworks()["rutile"], 3.0, 1.7, named(hosts)) == []


@pytest.fixture(scope="module")
def channels() -> Channels:
    return analyse(Crystal.from_pymatgen(olivine()), "Li")


def test_each_hop_of_the_channels_is_found_by_its_own_sizes(channels: Channels) -> None:
    for number, hop in enumerate(channels.hops):
        assert same_hop(hop.p_length, hop.r_bottleneck, channels) == number
        # Relaxation makes it a little longer and wider.
        assert same_hop(1.02 * hop.p_length, hop.r_bottleneck + 0.05, channels) == number
    framework = without(Crystal.from_pymatgen(olivine()), "Li")
    first = channels.hops[0]
    (found,) = link(framework, first.p_length, first.r_bottleneck, [("olivine", framework, channels)])
    assert (found.material, found.hop) == ("olivine", 0)


def test_a_hop_of_other_sizes_is_none_of_them(channels: Channels) -> None:
    first = channels.hops[0]
    for side in (-1, 1):
        assert same_hop(first.p_length / (1 + 1.01 * side * SAME_LENGTH), first.r_bottleneck, channels) is None
        assert same_hop(first.p_length / (1 + 0.99 * side * SAME_LENGTH), first.r_bottleneck, channels) == 0
    assert same_hop(first.p_length, first.r_bottleneck + 1.01 * SAME_SIZE, channels) is None
    assert same_hop(first.p_length, first.r_bottleneck - 0.99 * SAME_SIZE, channels) == 0
    assert same_hop(1.0, 1.0, replace(channels, hops=())) is None


def test_of_hops_as_long_the_one_as_wide_is_taken(channels: Channels) -> None:
    first = channels.hops[0]
    narrow = replace(first, r_bottleneck=first.r_bottleneck - 0.1)
    pair = replace(channels, hops=(first, narrow))
    assert same_hop(first.p_length, first.r_bottleneck - 0.02, pair) == 0
    assert same_hop(first.p_length, first.r_bottleneck - 0.08, pair) == 1
    twins = replace(channels, hops=(first, first))
    assert same_hop(first.p_length, first.r_bottleneck, twins) == 0
