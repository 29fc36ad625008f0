"""Surroundings of a hop: the same from every cell that describes it, with all atoms but the ion that moves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.channels.source import read_file
from builders.barriers.describe import NAMES, describe
from builders.barriers.environment import LONGEST, REACH, HopEnvironment, elements_of, environments, of_hop, of_record
from builders.channels.analysis import analyse
from builders.channels.model import Channels
from store.crystal import Crystal
from store.errors import FeatureError
from store.hops import HopRecord

from .barrier_hops import (
    CRYSTALS,
    FCC,
    cubic,
    multiplied,
    octahedral_hop,
    random_host,
    rebased,
    reverse,
    supercell,
    turn,
    turned,
)

seeds = st.integers(0, 2**32 - 1)


def listed(environment: HopEnvironment, rotation: np.ndarray | None = None) -> list[tuple[float, str, np.ndarray]]:
    """Atoms, the nearest to the middle first."""
    places = environment.positions if rotation is None else environment.positions @ rotation
    symbols = [environment.chemistry.symbols[kind] for kind in environment.kinds]
    found = zip(np.linalg.norm(places, axis=1).tolist(), symbols, places, strict=True)
    return sorted(found, key=lambda atom: (round(atom[0], 5), *np.round(atom[2], 4)))


def assert_same(one: HopEnvironment, other: HopEnvironment, rotation: np.ndarray | None = None) -> None:
    """The same atoms at the same places; ``rotation`` leads from the first to the second."""
    end = other.end if rotation is None else other.end @ rotation
    assert one.end == pytest.approx(end, abs=1e-9)
    assert one.volume_per_site == pytest.approx(other.volume_per_site)
    assert len(one.positions) == len(other.positions)
    places = other.positions if rotation is None else other.positions @ rotation
    apart = np.linalg.norm(one.positions[:, None] - places[None], axis=2)
    match = apart.argmin(axis=1)
    assert sorted(match.tolist()) == list(range(len(match)))
    assert apart.min(axis=1).max() < 1e-8
    named = [np.array(each.chemistry.symbols)[each.kinds] for each in (one, other)]
    assert (named[0] == named[1][match]).all()


def looked_up(record: HopRecord) -> list[tuple[str, np.ndarray]]:
    """All atoms within reach, by trying many cells around the hop."""
    host = record.host
    ends = np.array([record.start, record.end]) @ host.lattice
    middle, radius = ends.mean(axis=0), np.linalg.norm(ends[1] - ends[0]) / 2 + REACH
    around = np.rint((record.start + record.end) / 2)
    found = []
    for shift in np.array(list(np.ndindex(11, 11, 11))) - 5 + around:
        for symbol, place in zip(host.species, (host.frac_coords + shift) @ host.lattice, strict=True):
            moving = symbol == record.working_ion and np.linalg.norm(ends - place, axis=1).min() < 0.3
            if np.linalg.norm(place - middle) < radius and not moving:
                found.append((symbol, place - middle))
    return found


# -------------------------------------------------------------------------------------------------- which atoms are there


@given(seeds)
@settings(max_examples=12, deadline=None)
def test_every_atom_within_reach_is_there_once(seed: int) -> None:
    record = random_host(seed, n=9)
    environment = of_record(record)
    expected = looked_up(record)
    assert len(expected) == len(environment.positions)
    expected_places = np.array([place for _, place in expected])
    apart = np.linalg.norm(environment.positions[:, None] - expected_places[None], axis=2)
    match = apart.argmin(axis=1)
    assert len(set(match.tolist())) == len(match)
    assert apart.min(axis=1).max() < 1e-8
    symbols = [environment.chemistry.symbols[kind] for kind in environment.kinds]
    assert symbols == [expected[k][0] for k in match]


@given(seeds, st.permutations(range(3)), st.integers(-2, 2), st.integers(-2, 2), st.integers(-1, 1))
@settings(max_examples=20, deadline=None)
def test_another_cell_of_the_same_crystal_has_the_same_surroundings(
    seed: int, order: list[int], n: int, m: int, k: int
) -> None:
    record = random_host(seed)
    matrix = np.eye(3)[list(order)] @ np.array([[1, n, m], [0, 1, k], [0, 0, 1]])
    assert_same(of_record(record), of_record(rebased(record, matrix)))


@given(seeds, st.tuples(*[st.integers(1, 3)] * 3))
@settings(max_examples=12, deadline=None)
def test_a_supercell_has_the_same_surroundings(seed: int, copies: tuple[int, int, int]) -> None:
    record = random_host(seed, n=8)
    assert_same(of_record(record), of_record(multiplied(record, copies)))


@given(seeds)
@settings(max_examples=12, deadline=None)
def test_origin_and_order_of_the_atoms_change_nothing(seed: int) -> None:
    record = random_host(seed)
    rng = np.random.default_rng(seed)
    order, shift = rng.permutation(record.host.n_sites), rng.normal(size=3)
    whole = rng.integers(-3, 4, (record.host.n_sites, 3))
    host = record.host
    moved = Crystal.from_lists(
        host.lattice, [host.species[k] for k in order], (host.frac_coords + whole + shift)[order]
    )
    cell = rng.integers(-3, 4, 3)
    there = HopRecord("Li", moved, record.start + shift + cell, record.end + shift + cell)
    assert_same(of_record(record), of_record(there))


@given(seeds)
@settings(max_examples=12, deadline=None)
def test_surroundings_turn_with_the_crystal(seed: int) -> None:
    record, rotation = random_host(seed), turn(seed)
    assert_same(of_record(record), of_record(turned(record, rotation)), rotation)


@given(seeds)
@settings(max_examples=12, deadline=None)
def test_the_hop_back_has_the_same_surroundings(seed: int) -> None:
    record = random_host(seed)
    there, back = of_record(record), of_record(reverse(record))
    assert back.end == pytest.approx(-there.end)
    assert_same(there, replace(back, end=-back.end))


def test_a_left_handed_cell_is_as_good() -> None:
    record = random_host(3)
    mirrored = rebased(record, [[0, 1, 0], [1, 0, 0], [0, 0, 1]])
    assert mirrored.host.volume < 0
    assert_same(of_record(record), of_record(mirrored))


# ------------------------------------------------------------------------------------------------- the ion that moves


def with_ions(*places: list[float], symbol: str = "Li") -> HopEnvironment:
    record = octahedral_hop(6.0)
    host = record.host
    made = Crystal.from_lists(
        host.lattice, [*host.species, *[symbol] * len(places)], [*host.frac_coords.tolist(), *places]
    )
    return of_record(HopRecord("Li", made, record.start, record.end))


def nearest(environment: HopEnvironment, symbol: str, place: np.ndarray) -> float:
    mine = environment.kinds == environment.chemistry.symbols.index(symbol)
    return float(np.linalg.norm(environment.positions[mine] - place, axis=1).min())


def test_the_moving_ion_is_absent_at_both_ends_and_its_images_are_there() -> None:
    environment = with_ions([0.5, 0.5, 0.5], [0.5, 0.0, 0.0])
    places = environment.positions[environment.kinds == environment.chemistry.symbols.index("Li")]
    for end in (-environment.end, environment.end):
        # Six images of its own a cell away, and three of the other end's: the fourth is that end.
        near = np.sort(np.linalg.norm(places - end, axis=1))[:9]
        assert near == pytest.approx([6.0 / 2**0.5] * 3 + [6.0] * 6)


@pytest.mark.parametrize(("away", "there"), [(0.29, False), (0.31, True)])
def test_only_an_ion_on_an_end_is_the_one_that_moves(away: float, there: bool) -> None:
    environment = with_ions([0.5 + away / 6.0, 0.5, 0.5])
    assert (nearest(environment, "Li", -environment.end) < 0.32) is there


def test_another_element_on_an_end_stays() -> None:
    environment = with_ions([0.5, 0.5, 0.5], symbol="Na")
    assert nearest(environment, "Na", -environment.end) == pytest.approx(0.0, abs=1e-9)


def test_other_ions_are_there() -> None:
    environment = with_ions([0.0, 0.5, 0.0])
    assert environment.chemistry.is_ion.tolist() == [False, True]
    assert (environment.kinds == 1).sum() == len(
        [place for symbol, place in looked_up(record_with_ion()) if symbol == "Li"]
    )


def record_with_ion() -> HopRecord:
    record = octahedral_hop(6.0)
    host = Crystal.from_lists(
        record.host.lattice, [*record.host.species, "Li"], [*record.host.frac_coords.tolist(), [0.0, 0.5, 0.0]]
    )
    return HopRecord("Li", host, record.start, record.end)


def test_a_host_without_ions_has_none() -> None:
    environment = of_record(octahedral_hop())
    assert environment.chemistry.symbols == ("F",)
    assert environment.ion == "Li"
    assert not environment.chemistry.is_ion.any()
    assert environment.volume_per_site == pytest.approx(16.0)


def test_a_hop_to_the_ions_own_image_is_one() -> None:
    host = cubic(["O", "Li"], [[0.5, 0.5, 0.5], [0.0, 0.0, 0.0]], 4.0)
    environment = of_record(HopRecord("Li", host, np.zeros(3), np.array([0.0, 0.0, 1.0])))
    assert environment.p_length == pytest.approx(4.0)
    assert nearest(environment, "Li", environment.end) == pytest.approx(4.0)


def test_of_a_shared_site_the_most_abundant_element_counts() -> None:
    crystal = Crystal.from_sites(
        4 * np.eye(3), [{"Fe": 0.3, "Mn": 0.7}, {"O": 1.0}, {"Co": 0.5, "Al": 0.5}], np.eye(3) / 2
    )
    assert elements_of(crystal) == ["Mn", "O", "Al"]
    environment = of_record(HopRecord("Li", crystal, np.array([0.25] * 3), np.array([0.25, 0.25, 1.25])))
    assert environment.chemistry.symbols == ("Al", "Mn", "O")


# -------------------------------------------------------------------------------------------------------------- errors


def lone(start: list[float], end: list[float], a: float = 4.0) -> HopRecord:
    return HopRecord("Li", cubic(["F"] * 4, FCC, a), np.array(start), np.array(end))


def test_a_hop_that_leads_nowhere_is_refused() -> None:
    with pytest.raises(FeatureError, match="leads nowhere"):
        of_record(lone([0.5, 0.5, 0.5], [0.5, 0.5, 0.5]))


def test_a_hop_that_is_too_long_is_refused() -> None:
    assert of_record(lone([0.5] * 3, [0.5, 0.5, 0.5 + (LONGEST - 0.01) / 4])).p_length < LONGEST
    with pytest.raises(FeatureError, match=r"15\.0 Å long"):
        of_record(lone([0.5] * 3, [0.5, 0.5, 0.5 + (LONGEST + 0.01) / 4]))


def test_a_host_of_the_ion_alone_is_refused() -> None:
    with pytest.raises(FeatureError, match="Nothing but Li"):
        of_record(HopRecord("Li", cubic(["Li"], [[0, 0, 0]], 3.4), np.array([0.5] * 3), np.array([0.5, 0.5, 1.5])))


@pytest.mark.parametrize("lattice", [np.diag([5.0, 5.0, 1e-4]), np.diag([0.2, 0.2, 0.2])])
def test_an_impossible_cell_is_refused_at_once(lattice: np.ndarray) -> None:
    host = Crystal.from_lists(lattice, ["O", "Ti"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with pytest.raises(FeatureError, match=r"thin|dense"):
        of_record(HopRecord("Li", host, np.zeros(3), np.array([3.0, 0, 0]) @ np.linalg.inv(lattice)))


# ------------------------------------------------------------------------------------- hops of an analysis of channels


@pytest.fixture(scope="module", params=["LiFePO4-relaxed", "LiCoO2"])
def compound(request: pytest.FixtureRequest) -> tuple[Crystal, Channels]:
    crystal = read_file(CRYSTALS / f"{request.param}.cif")
    return crystal, analyse(crystal, "Li")


def explicit(crystal: Crystal, channels: Channels, number: int, *, vacant: bool) -> HopRecord:
    """The hop in a supercell of the compound that lacks the ion; with ``vacant`` that at its end too."""
    copies = tuple(int(each) for each in np.ceil(15.0 / np.linalg.norm(crystal.lattice, axis=1)))
    host, hop = supercell(crystal, copies), channels.hops[number]  # type: ignore[arg-type]
    ends = np.array([channels.sites[hop.start], channels.sites[hop.end] + hop.offset]) / copies
    gone = ends if vacant else ends[:1]
    kept = []
    for k in range(host.n_sites):
        apart = gone - host.frac_coords[k]
        apart -= np.rint(apart)
        if host.species[k] != "Li" or np.linalg.norm(apart @ host.lattice, axis=1).min() > 0.01:
            kept.append(k)
    assert host.n_sites - len(kept) == len(gone)
    return HopRecord(
        "Li", Crystal.from_lists(host.lattice, [host.species[k] for k in kept], host.frac_coords[kept]), *ends
    )


def described(environment: HopEnvironment) -> dict[str, float]:
    return dict(zip(NAMES, describe(environment, study=False).tolist(), strict=True))


def test_hops_of_channels_are_those_of_a_supercell_that_lacks_the_ion(compound: tuple[Crystal, Channels]) -> None:
    crystal, channels = compound
    found = environments(channels)
    assert len(found) == len(channels.hops) > 0
    for number, environment in enumerate(found):
        record = of_record(explicit(crystal, channels, number, vacant=False))
        assert_same(environment, record)
        mine, other = described(environment), described(record)
        # One of many ions is gone from the supercell; of the compound all of them count.
        assert other.pop("other_ions_per_anion") < mine.pop("other_ions_per_anion")
        assert mine == pytest.approx(other, abs=2e-3, nan_ok=True)


def test_with_a_true_vacancy_at_the_end_the_geometry_is_the_same(compound: tuple[Crystal, Channels]) -> None:
    """The vacancy of the supercell oxidises its framework a little; all that does not know charges stays."""
    crystal, channels = compound
    record = of_record(explicit(crystal, channels, 0, vacant=True))
    assert_same(environments(channels)[0], record)
    mine, other = described(environments(channels)[0]), described(record)
    geometry = [
        name for name in NAMES if name.startswith(("neck", "line_anion", "line_cation", "contact", "end_anion"))
    ]
    assert len(geometry) > 20
    for name in geometry:
        assert mine[name] == pytest.approx(other[name], abs=1e-5), name
    for name in NAMES:
        if "coulomb" in name or name.startswith("bvse"):
            assert mine[name] == pytest.approx(other[name], rel=0.03, abs=0.15), name


def test_one_hop_of_an_analysis_is_that_of_all(compound: tuple[Crystal, Channels]) -> None:
    _, channels = compound
    for number, environment in enumerate(environments(channels)):
        assert_same(of_hop(channels, number), environment)


def test_a_host_for_insertion_holds_no_ions() -> None:
    crystal = read_file(CRYSTALS / "LiCoO2.cif")
    kept = [k for k, symbol in enumerate(crystal.species) if symbol != "Li"]
    host = Crystal.from_lists(crystal.lattice, [crystal.species[k] for k in kept], crystal.frac_coords[kept])
    channels = analyse(host, "Li")
    found = environments(channels)
    assert found
    voids = channels.voids.frac_coords
    for hop, environment in zip(channels.hops, found, strict=True):
        assert not environment.chemistry.is_ion.any()
        step = (voids[hop.end] + hop.offset - voids[hop.start]) @ host.lattice
        assert environment.end == pytest.approx(step / 2)
        # The void's own size: the nearest atom is that far from both ends.
        for place, void in ((-environment.end, hop.start), (environment.end, hop.end)):
            near = np.linalg.norm(environment.positions - place, axis=1).min()
            assert near == pytest.approx(channels.voids.r_void[void], abs=0.01)


@pytest.mark.parametrize(("share", "there"), [(0.49, False), (0.5, True), (1.0, True)])
def test_sites_that_are_less_than_half_full_count_as_empty(share: float, there: bool) -> None:
    places = [*FCC, *[[0.5 + x, y, z] for x, y, z in FCC]]
    channels = analyse(cubic(["Cl"] * 4 + ["Li"] * 4, places, 5.1), "Li")
    partly = replace(channels, occupancies=np.full(len(channels.occupancies), share))
    for environment in environments(partly):
        assert bool(environment.chemistry.is_ion.any()) is there
        if there:
            assert nearest(environment, "Li", environment.end) == pytest.approx(5.1 / 2**0.5, abs=1e-6)
