"""Duplicates: what is linked, what is not, and that the order of the entries does not matter."""

from __future__ import annotations

import random

import numpy as np
import pytest

from builders.structures import duplicates
from builders.structures.analysis import analyse
from builders.structures.duplicates import Member, find_duplicates, natural_order
from store.crystal import Crystal


def member(name: str, crystal: Crystal) -> Member:
    found = analyse(crystal)
    return Member(name, found.symmetry.primitive, found.invariants, found.hash.value)


def zinc_sulphide(name: str, a: float, kind: str) -> Member:
    corners = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    shift = {"blende": 0.25, "halite": 0.5}[kind]
    places = np.concatenate([corners, corners + shift])
    return member(name, Crystal.from_lists(np.eye(3) * a, ["Zn"] * 4 + ["S"] * 4, places))


def distorted(name: str, seed: int, amplitude: float, base_seed: int = 0) -> Member:
    """A P1 crystal of eight atoms, its atoms moved a little."""
    base = np.array([[x, y, z] for x in (0, 0.5) for y in (0, 0.5) for z in (0, 0.5)])
    base = base + np.random.default_rng(base_seed).uniform(-0.06, 0.06, (8, 3))
    lattice = np.array([[4.2, 0, 0], [0.3, 4.4, 0], [0.2, -0.3, 4.6]])
    noise = np.random.default_rng(seed).uniform(-amplitude, amplitude, (8, 3)) @ np.linalg.inv(lattice)
    return member(name, Crystal.from_lists(lattice, ["Li", "O", "O", "Mg", "O", "Mg", "Li", "O"], base + noise))


def test_the_same_crystal_from_three_sources() -> None:
    entries = [
        zinc_sulphide("mp-10695", 5.45, "blende"),
        zinc_sulphide("cod-7", 5.41, "blende"),
        zinc_sulphide("mp-2", 5.1, "halite"),
        zinc_sulphide("mp-9", 5.4093, "blende"),
    ]
    assert find_duplicates(entries) == [("cod-7", "mp-9", "mp-10695")]


def test_nothing_to_link() -> None:
    assert find_duplicates([]) == []
    assert find_duplicates([zinc_sulphide("a", 5.4, "blende")]) == []
    assert find_duplicates([zinc_sulphide("a", 5.4, "blende"), zinc_sulphide("b", 5.1, "halite")]) == []


def test_noise_across_a_boundary_of_the_hash_loses_no_pair() -> None:
    """With hashes made to differ, the invariants alone propose the pair."""
    first, second = distorted("a", 1, 1e-3), distorted("b", 2, 1e-3)
    other = second._replace(structure_hash="0" * 32)
    assert find_duplicates([first, other]) == [("a", "b")]


def test_equal_hashes_propose_what_is_farther_apart() -> None:
    first, second = distorted("a", 1, 0.0), distorted("b", 2, 0.12)
    near = np.abs(first.invariants - second.invariants).max()
    assert near > duplicates.NEAR_DISTANCES * 2.2  # beyond the limit for pairs of different hashes
    assert find_duplicates([first, second._replace(structure_hash="other")]) == []
    assert find_duplicates([first, second._replace(structure_hash=first.structure_hash)]) == [("a", "b")]


def test_equal_hashes_alone_are_no_proof() -> None:
    one, two = zinc_sulphide("a", 5.4, "blende"), zinc_sulphide("b", 5.1, "halite")
    assert find_duplicates([one, two._replace(structure_hash=one.structure_hash)]) == []
    # Even with equal invariants, StructureMatcher has the last word.
    forged = two._replace(structure_hash=one.structure_hash, invariants=one.invariants)
    assert find_duplicates([one, forged]) == []


def test_the_order_of_the_entries_does_not_matter() -> None:
    entries = [distorted(f"e-{3 * kind + n}", 10 * kind + n, 5e-3, kind) for kind in range(3) for n in range(3)]
    expected = find_duplicates(entries)
    assert expected == [("e-0", "e-1", "e-2"), ("e-3", "e-4", "e-5"), ("e-6", "e-7", "e-8")]
    for seed in range(5):
        random.Random(seed).shuffle(entries)
        assert find_duplicates(entries) == expected


def test_work_is_bounded_for_a_crowded_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty crystals that all look alike and never match: a few trials each, and no more."""
    trials: list[tuple[int, int]] = []

    def refuse(self: object, one: int, other: int) -> bool:
        trials.append((one, other))
        return False

    monkeypatch.setattr(duplicates._Matcher, "same", refuse)
    base = distorted("x", 0, 0.0)
    assert find_duplicates([base._replace(id=f"x-{n}") for n in range(40)]) == []
    assert len(trials) == sum(min(number, duplicates.MAX_TRIALS) for number in range(1, 40))


def test_tolerances_are_passed_on() -> None:
    first, second = distorted("a", 1, 0.0), distorted("b", 2, 0.05)
    second = second._replace(structure_hash=first.structure_hash)
    assert find_duplicates([first, second]) == [("a", "b")]
    assert find_duplicates([first, second], stol=0.001) == []


def test_disordered_crystals_are_linked_when_their_occupancies_agree() -> None:
    def mixed(name: str, share: float, a: float) -> Member:
        sites = [{"Fe": share, "Al": 1 - share}, {"S": 1.0}]
        return member(name, Crystal.from_sites(np.eye(3) * a, sites, [[0, 0, 0], [0.5, 0.5, 0.5]]))

    assert find_duplicates([mixed("a", 0.5, 3.0), mixed("b", 0.5, 3.01), mixed("c", 0.8, 3.0)]) == [("a", "b")]


def test_natural_order() -> None:
    names = ["mp-10", "mp-9", "icsd-3", "9", "10", "mp-9a", "extxyz-0f3a", "mp-09"]
    assert sorted(names, key=natural_order) == ["9", "10", "extxyz-0f3a", "icsd-3", "mp-09", "mp-9", "mp-9a", "mp-10"]
