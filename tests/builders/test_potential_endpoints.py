"""End structures of hops, and the first path between them; nothing here needs a potential."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from api.channels.source import read_file
from builders.channels.analysis import analyse
from builders.channels.model import Channels
from builders.potential.endpoints import FLAG_DRAINED, FLAG_SMALL_CELL, Endpoints, make_endpoints
from builders.potential.first_path import along, first_path
from store.crystal import Crystal
from store.errors import StructureError, UsageError

CRYSTALS = Path(__file__).resolve().parent.parent / "crystals"


@pytest.fixture(scope="module")
def phosphate() -> Channels:
    return analyse(read_file(CRYSTALS / "LiFePO4.cif"), "Li")


@pytest.fixture(scope="module")
def cobaltate() -> Channels:
    return analyse(read_file(CRYSTALS / "LiCoO2.cif"), "Li")


def distances(places: np.ndarray, others: np.ndarray, lattice: np.ndarray) -> np.ndarray:
    """Shortest periodic distances, by looking at all neighbouring cells."""
    shifts = np.array(np.meshgrid(*[[-1, 0, 1]] * 3)).reshape(3, -1).T @ lattice
    apart = ((others[None] - places[:, None]) @ np.linalg.inv(lattice)) % 1.0 @ lattice
    return np.linalg.norm(apart[:, :, None] + shifts, axis=3).min(axis=2)


def test_the_vacancy_limit_lacks_one_ion_at_the_end(phosphate: Channels) -> None:
    found = make_endpoints(phosphate, 0)
    assert Counter(found.symbols) == {"Li": 15, "Fe": 16, "P": 16, "O": 64}
    assert (found.limit, found.n_other_ions, found.symbols[-1], found.flags) == ("vacancy", 14, "Li", ())
    # With an ion at both ends the supercell is the crystal: every atom of it is there once.
    crystal = read_file(CRYSTALS / "LiFePO4.cif")
    whole = np.concatenate([(crystal.frac_coords + cell) @ crystal.lattice for cell in found.supercell.cells])
    atoms = np.concatenate([found.start, found.end[-1:]])
    matches = distances(whole, atoms, found.lattice) < 1e-4
    assert (matches.sum(axis=0) == 1).all()
    assert (matches.sum(axis=1) == 1).all()
    named = [*found.symbols, "Li"]
    species = list(crystal.species) * len(found.supercell.cells)
    assert [named[k] for k in matches.argmax(axis=1)] == species


def test_the_dilute_limit_has_one_ion_and_says_so(phosphate: Channels) -> None:
    found = make_endpoints(phosphate, 0, limit="dilute")
    assert Counter(found.symbols) == {"Li": 1, "Fe": 16, "P": 16, "O": 64}
    assert found.n_other_ions == 0
    assert [flag.code for flag in found.flags] == [FLAG_DRAINED]
    assert found.flags[0].reason.startswith("15 other Li")


@pytest.mark.parametrize("limit", ["vacancy", "dilute"])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_both_ends_are_the_same_atoms_in_the_same_order(phosphate: Channels, number: int, limit: str) -> None:
    found = make_endpoints(phosphate, number, limit=limit)  # type: ignore[arg-type]
    np.testing.assert_array_equal(found.start[:-1], found.end[:-1])
    assert found.start.shape == found.end.shape == (len(found.symbols), 3)
    assert found.hop_length == pytest.approx(phosphate.hops[number].p_length, abs=1e-6)
    for end in (found.start, found.end):
        apart = distances(end, end, found.lattice) + 10.0 * np.eye(len(end))
        assert apart.min() == pytest.approx(1.53, abs=0.05)  # P-O; no ion on top of another
    # Around both ends there is the same octahedron of oxygen.
    oxygen = np.array([symbol == "O" for symbol in found.symbols])
    shells = [np.sort(distances(end[-1:], end[oxygen], found.lattice)[0])[:6] for end in (found.start, found.end)]
    np.testing.assert_allclose(shells[0], shells[1], atol=1e-4)


def test_the_route_leads_from_end_to_end_through_the_voids(phosphate: Channels, cobaltate: Channels) -> None:
    for channels in (phosphate, cobaltate):
        for number, hop in enumerate(channels.hops):
            found = make_endpoints(channels, number)
            np.testing.assert_array_equal(found.route[0], found.start[-1])
            np.testing.assert_array_equal(found.route[-1], found.end[-1])
            length = np.linalg.norm(np.diff(found.route, axis=0), axis=1).sum()
            assert hop.p_length - 1e-6 <= length
            assert length == pytest.approx(hop.route_length, abs=0.6)  # ions sit off the centres of their voids


def test_another_cell_of_the_same_crystal_gives_the_same_hop(cobaltate: Channels) -> None:
    hexagonal = read_file(CRYSTALS / "LiCoO2.cif")
    vectors = np.array([[2, 1, 1], [-1, 1, 1], [-1, -2, 1]]) / 3
    lattice = vectors @ hexagonal.lattice
    primitive = Crystal.from_lists(lattice, ["Li", "Co", "O", "O"], [[0.5] * 3, [0] * 3, [0.26] * 3, [0.74] * 3])
    one, other = make_endpoints(cobaltate, 0), make_endpoints(analyse(primitive, "Li"), 0)
    assert one.hop_length == pytest.approx(other.hop_length, abs=1e-3)
    assert min(one.supercell.apart, other.supercell.apart) >= 8.0
    shells = [np.sort(distances(found.start[-1:], found.start[:-1], found.lattice)[0])[:20] for found in (one, other)]
    np.testing.assert_allclose(shells[0], shells[1], atol=2e-3)


def test_a_host_without_the_ion_is_dilute(phosphate: Channels) -> None:
    host = analyse(phosphate.framework, "Li")
    found = make_endpoints(host, 0)
    assert found.limit == "dilute"
    assert Counter(found.symbols)["Li"] == 1
    with pytest.raises(UsageError, match="holds no Li"):
        make_endpoints(host, 0, limit="vacancy")


def test_a_supercell_as_asked_for(phosphate: Channels) -> None:
    assert make_endpoints(phosphate, 0, repeats=(1, 1, 2)).supercell.label == "1x1x2"


def test_what_cannot_be_built_is_refused(phosphate: Channels, cobaltate: Channels) -> None:
    with pytest.raises(UsageError, match="no hop 9"):
        make_endpoints(phosphate, 9)
    with pytest.raises(UsageError, match="image of its own start"):
        make_endpoints(cobaltate, 0, repeats=(1, 1, 1))


def test_disorder_is_refused() -> None:
    sites = [{"Li": 1.0}, {"F": 0.9, "Cl": 0.1}]
    lattice, places = [[0, 2, 2], [2, 0, 2], [2, 2, 0]], [[0.5] * 3, [0] * 3]
    with pytest.raises(StructureError, match="disordered"):
        make_endpoints(analyse(Crystal.from_sites(lattice, sites, places), "Li"), 0)
    half = analyse(Crystal.from_sites(lattice, [{"Li": 0.5}, {"F": 1.0}], places), "Li")
    with pytest.raises(UsageError, match="partly empty"):
        make_endpoints(half, 0)
    assert make_endpoints(half, 0, limit="dilute").symbols.count("Li") == 1


def test_a_crystal_too_large_for_the_wanted_distance_is_flagged() -> None:
    rng = np.random.default_rng(0)
    lattice = np.diag([5.0, 20.0, 20.0])
    places = np.array([[x, y / 6, z / 6] for x in (0.0, 0.5) for y in range(6) for z in range(6)])
    species = ["O"] * 71 + ["Li"]
    crystal = Crystal.from_lists(lattice, species, places + rng.normal(0, 1e-3, places.shape))
    found = make_endpoints(analyse(crystal, "Li"), 0, limit="dilute", repeats=None)
    assert found.supercell.apart >= 8.0  # 2x1x1: 144 atoms
    centred = (places + np.array([0.25, 1 / 12, 1 / 12])) % 1.0
    more = Crystal.from_lists(lattice, species * 2, np.concatenate([places, centred]))
    flagged = make_endpoints(analyse(more, "Li"), 0, limit="dilute")
    assert FLAG_SMALL_CELL in [flag.code for flag in flagged.flags]


class TestFirstPath:
    @pytest.mark.parametrize("number", [0, 1, 2])
    def test_the_path_goes_round_the_atoms(self, phosphate: Channels, number: int) -> None:
        ends = make_endpoints(phosphate, number)
        path = first_path(ends, ends.start, ends.end, 7)
        straight = ends.start[-1] + np.linspace(0, 1, 9)[1:-1, None] * (ends.end[-1] - ends.start[-1])
        nearest = distances(straight, ends.start[:-1], ends.lattice).min()
        inner = distances(path.positions[1:-1, -1], ends.start[:-1], ends.lattice).min()
        assert path.closest == pytest.approx(inner, abs=1e-6)
        assert path.closest > nearest + 0.1
        assert path.closest > 0.95 * phosphate.hops[number].r_bottleneck

    def test_images_begin_and_end_at_relaxed_ends(self, phosphate: Channels) -> None:
        ends = make_endpoints(phosphate, 0)
        start, end = ends.start + 0.05, ends.end - 0.05
        path = first_path(ends, start, end, 3).positions
        assert path.shape == (5, len(ends.symbols), 3)
        np.testing.assert_allclose(path[0], start)
        np.testing.assert_allclose(path[-1], end)
        np.testing.assert_allclose(path[2, :-1], (start + end)[:-1] / 2)
        steps = np.linalg.norm(np.diff(path[:, -1], axis=0), axis=1)
        assert steps.max() < 1.3 * steps.min()

    def test_the_same_twice(self, phosphate: Channels) -> None:
        ends: Endpoints = make_endpoints(phosphate, 1)
        one, other = (first_path(ends, ends.start, ends.end, 5) for _ in range(2))
        np.testing.assert_array_equal(one.positions, other.positions)

    def test_points_along_a_line_with_corners(self) -> None:
        corners = np.array([[0.0, 0, 0], [3, 0, 0], [3, 1, 0]])
        np.testing.assert_allclose(along(corners, np.array([0.5, 0.75, 1])), [[2, 0, 0], [3, 0, 0], [3, 1, 0]])
