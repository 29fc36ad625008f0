"""Hops: the published descriptors, what must not change them, and their percolation against that of the whole network."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.channels.analysis import analyse
from builders.channels.model import Channels, Hop
from builders.channels.paths import find_hops, hop_network
from builders.channels.percolation import percolate
from store.crystal import Crystal

from .hop_checks import check_route

ONLY_IDENTITY = (np.eye(3, dtype=int)[None], np.zeros((1, 3)))


# --- crystals of the study --------------------------------------------------------------------------------------------
def crystal(space_group: str, cell: tuple[float, ...], sites: list[tuple[str, tuple[float, float, float]]]) -> Crystal:
    from pymatgen.core.lattice import Lattice
    from pymatgen.core.structure import Structure

    species, places = zip(*sites, strict=True)
    lattice = Lattice.from_parameters(*cell)
    return Crystal.from_pymatgen(Structure.from_spacegroup(space_group, lattice, species, places))


OLIVINE = crystal(
    "Pnma",
    (10.329, 6.0065, 4.6908, 90, 90, 90),
    [
        ("Li", (0, 0, 0)),
        ("Fe", (0.28222, 0.25, 0.97472)),
        ("P", (0.09486, 0.25, 0.41820)),
        ("O", (0.09678, 0.25, 0.74279)),
        ("O", (0.45710, 0.25, 0.20602)),
        ("O", (0.16558, 0.04646, 0.28478)),
    ],
)
LAYERED = crystal(
    "R-3m", (2.811, 2.811, 13.95, 90, 90, 120), [("Li", (0, 0, 0.5)), ("Co", (0, 0, 0)), ("O", (0, 0, 0.26))]
)
SPINEL = crystal(
    "Fd-3m", (8.24, 8.24, 8.24, 90, 90, 90), [("Li", (0, 0, 0)), ("Mn", (0.625,) * 3), ("O", (0.3883,) * 3)]
)


@pytest.fixture(scope="module")
def olivine() -> Channels:
    return analyse(OLIVINE, "Li")


@pytest.fixture(scope="module")
def layered() -> Channels:
    return analyse(LAYERED, "Li")


def hop_of(channels: Channels, p_length: float) -> Hop:
    (hop,) = [hop for hop in channels.hops if abs(hop.p_length - p_length) < 0.005]
    return hop


def summary(hops: tuple[Hop, ...], copies: int = 1) -> dict[tuple[float, ...], float]:
    """How many hops of a kind ``copies`` cells hold; a kind is what symmetry and the choice of the cell cannot change."""
    counts: dict[tuple[float, ...], float] = {}
    for hop in hops:
        sizes = (hop.p_length, hop.r_bottleneck, hop.r_sd, hop.r_chan, hop.route_length)
        kind = tuple(round(size, 2) for size in sizes)
        counts[kind] = counts.get(kind, 0) + hop.multiplicity / copies
    return counts


# Osipov et al. 2023, table 2; the textbook coordinates used here move R_sd by up to 0.007 and r_chan by up to 0.010 Å.
@pytest.mark.parametrize(
    ("p_length", "r_sd", "r_chan", "bottleneck", "multiplicity"),
    [(3.003, 1.385, 1.743, 1.877, 4), (4.691, 1.231, 1.290, 1.717, 4)],
)
def test_the_two_published_paths_of_lithium_iron_phosphate(
    olivine: Channels, p_length: float, r_sd: float, r_chan: float, bottleneck: float, multiplicity: int
) -> None:
    hop = hop_of(olivine, p_length)
    assert hop.r_sd == pytest.approx(r_sd, abs=0.01)
    assert hop.r_chan == pytest.approx(r_chan, abs=0.0105)
    assert hop.r_bottleneck == pytest.approx(bottleneck, abs=0.002)
    assert hop.multiplicity == multiplicity
    assert olivine.voids.site[hop.void] == -1  # a void between the sites


def test_the_path_of_lithium_cobalt_oxide_is_told_by_the_octahedron(layered: Channels) -> None:
    hop = hop_of(layered, 2.811)
    assert hop.r_sd == pytest.approx(1.286, abs=0.01)
    assert hop.r_chan == pytest.approx(1.721, abs=0.01)
    assert hop.r_bottleneck == pytest.approx(1.726, abs=0.002)
    assert hop.multiplicity == 9  # three sites, each with six neighbours
    assert layered.voids.site[hop.void] >= 0
    (middle, _) = hop.route[1]
    assert layered.voids.site[middle] == -1  # by way of the tetrahedron


def test_spinel_hops_lead_over_the_octahedron_between_two_tetrahedra() -> None:
    (hop, *_) = analyse(SPINEL, "Li").hops
    assert hop.p_length == pytest.approx(8.24 * 3**0.5 / 4, abs=1e-3)
    assert hop.multiplicity == 16
    assert len(hop.route) == 3


def test_only_the_hops_that_are_no_chain_of_others_are_told(olivine: Channels) -> None:
    assert [round(hop.p_length, 3) for hop in olivine.hops] == [3.003, 4.691, 5.672]
    assert [hop.multiplicity for hop in olivine.hops] == [4, 4, 8]


def test_hops_percolate_as_the_channels_do(olivine: Channels, layered: Channels) -> None:
    for channels in (olivine, layered):
        assert channels.hop_percolation.radii == pytest.approx(channels.percolation.radii, abs=1e-3)
        assert channels.hop_percolation.directions == channels.percolation.directions


def check_hops(channels: Channels) -> None:
    """Every route leads from site to site."""
    voids, lattice = channels.voids, channels.framework.lattice
    assert channels.hops
    for hop in channels.hops:
        check_route(hop, lattice, voids, channels.passages, set(np.flatnonzero(voids.site >= 0).tolist()))
        ends = np.array([channels.sites[hop.start], channels.sites[hop.end] + hop.offset]) @ lattice
        assert hop.p_length == pytest.approx(np.linalg.norm(ends[1] - ends[0]))
        for place, (void, cell) in zip(ends, (hop.route[0], hop.route[-1]), strict=True):
            assert np.linalg.norm((voids.frac_coords[void] + cell) @ lattice - place) < 0.3


def test_routes_lead_from_site_to_site_along_passages_and_meet_no_third_site(
    olivine: Channels, layered: Channels
) -> None:
    check_hops(olivine)
    check_hops(layered)


@pytest.mark.parametrize("name", ["olivine", "layered"])
@pytest.mark.parametrize(
    "change",
    [
        np.diag([1, 2, 1]),
        np.diag([1, 1, 2]),
        np.array([[1, 0, 0], [1, 1, 0], [0, -2, 1]]),
        np.array([[0, 0, 1], [-1, 0, 0], [0, 1, 0]]),
    ],
    ids=["two cells along b", "two cells along c", "a skewed cell", "left-handed, axes turned"],
)
def test_the_choice_of_the_cell_changes_no_hop(name: str, change: np.ndarray, request: pytest.FixtureRequest) -> None:
    given_crystal = {"olivine": OLIVINE, "layered": LAYERED}[name]
    structure = given_crystal.to_pymatgen()
    structure.make_supercell(change)
    changed = analyse(Crystal.from_pymatgen(structure), "Li")
    copies = abs(round(float(np.linalg.det(change))))
    assert summary(changed.hops, copies) == summary(request.getfixturevalue(name).hops)
    check_hops(changed)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=8, deadline=None)
def test_order_of_atoms_and_origin_change_no_hop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    order, shift = rng.permutation(OLIVINE.n_sites), rng.random(3)
    species = [OLIVINE.species[k] for k in order]
    moved = Crystal.from_lists(OLIVINE.lattice, species, OLIVINE.frac_coords[order] + shift)
    found = analyse(moved, "Li")
    assert [round(hop.r_bottleneck, 3) for hop in found.hops] == [1.877, 1.717, 1.664]
    assert [(round(hop.r_sd, 3), round(hop.r_chan, 3)) for hop in found.hops[:2]] == [(1.392, 1.753), (1.233, 1.291)]
    assert [hop.multiplicity for hop in found.hops] == [4, 4, 8]


def test_without_symmetry_the_same_hops_are_found_one_by_one(olivine: Channels) -> None:
    one_by_one, percolation = find_hops(
        olivine.framework.lattice, olivine.sites, olivine.voids, olivine.passages, *ONLY_IDENTITY
    )
    assert all(hop.multiplicity == 1 for hop in one_by_one)
    assert summary(one_by_one) == summary(olivine.hops)
    assert percolation.radii == pytest.approx(olivine.hop_percolation.radii, abs=1e-4)


def test_all_hops_of_the_cell_are_as_long_as_their_class(layered: Channels) -> None:
    channels = layered
    network = hop_network(channels.framework.lattice, channels.sites, channels.voids, channels.passages, *ONLY_IDENTITY)
    assert len(network.of_hop) == sum(hop.multiplicity for hop in channels.hops)
    start, end = network.sites.T
    apart = (channels.sites[end] + network.offsets - channels.sites[start]) @ channels.framework.lattice
    expected = np.array([hop.p_length for hop in network.hops])[network.of_hop]
    assert np.linalg.norm(apart, axis=1) == pytest.approx(expected)
    assert len({(*a.tolist(), *n.tolist()) for a, n in zip(network.sites, network.offsets, strict=True)}) == len(apart)


def test_the_cutoff_leaves_out_longer_hops(olivine: Channels) -> None:
    def lengths(cutoff: float) -> list[float]:
        hops, _ = find_hops(
            olivine.framework.lattice, olivine.sites, olivine.voids, olivine.passages, *ONLY_IDENTITY, cutoff=cutoff
        )
        return sorted({round(hop.p_length, 3) for hop in hops})

    assert lengths(5.0) == [3.003, 4.691]
    assert lengths(4.0) == [3.003]
    assert lengths(2.0) == []


def test_a_host_without_ions_has_hops_between_its_largest_voids() -> None:
    host = OLIVINE.to_pymatgen()
    host.remove_species(["Li"])
    found = analyse(Crystal.from_pymatgen(host), "Li")
    voids = found.voids
    ends = {void for hop in found.hops for void in (hop.start, hop.end)}
    first, second = found.passages.voids.T
    for one, other in ((first, second), (second, first)):
        for void in ends:
            assert (voids.r_void[other[one == void]] <= voids.r_void[void] + 2e-3).all()
    # The voids that lithium fills in LiFePO4 are among them.
    lithium = OLIVINE.frac_coords[[k for k, symbol in enumerate(OLIVINE.species) if symbol == "Li"]]
    for site in lithium:
        apart = voids.frac_coords - site
        apart -= np.rint(apart)
        assert int(np.linalg.norm(apart @ OLIVINE.lattice, axis=1).argmin()) in {*ends, *network_voids(found, None)}
    assert found.hop_percolation.radii[0] == pytest.approx(1.877, abs=2e-3)


def network_voids(found: Channels, r_sd: float | None) -> set[int]:
    network = hop_network(
        found.framework.lattice, np.zeros((0, 3)), found.voids, found.passages, *ONLY_IDENTITY, r_sd=r_sd
    )
    return set(network.sites.ravel().tolist())


def test_the_voids_of_a_host_may_be_chosen_by_their_size() -> None:
    host = LAYERED.to_pymatgen()
    host.remove_species(["Li"])
    found = analyse(Crystal.from_pymatgen(host), "Li")
    octahedra = set(np.flatnonzero(found.voids.r_sd > 1.27).tolist())
    with_tetrahedra = set(np.flatnonzero(found.voids.r_sd > 1.2).tolist())
    assert len(octahedra) == 3
    assert len(with_tetrahedra) == 9
    assert network_voids(found, 1.27) == octahedra
    assert network_voids(found, 1.2) == with_tetrahedra
    assert network_voids(found, 9.0) == set()


def test_percolation_of_all_channels_bounds_that_of_the_hops(olivine: Channels) -> None:
    passages = olivine.passages
    whole = percolate(passages.voids, passages.offsets, passages.r_open, len(olivine.voids.r_void))
    assert all(hop <= every + 1e-9 for hop, every in zip(olivine.hop_percolation.radii, whole.radii, strict=True))
