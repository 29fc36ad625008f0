"""Invariants and structure hash: what must not change them, and what must."""

from __future__ import annotations

import gzip
import itertools
import os
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.structures.analysis import StructureAnalysis, analyse
from builders.structures.hashing import BIN_WIDTHS, LABEL_SYMPREC, NOISE_BOUND, structure_hash
from builders.structures.invariants import N_DISTANCES, SIZE, site_colours
from builders.structures.symmetry import find_symmetry
from store.crystal import Crystal

DATA = Path(os.environ.get("IONATLAS_DATA", Path(__file__).parents[3] / "shared" / "data"))
MP = DATA / "structures" / "mp.jsonl.gz"


def rutile() -> Crystal:
    u = 0.305
    oxygens = [[u, u, 0], [-u, -u, 0], [0.5 + u, 0.5 - u, 0.5], [0.5 - u, 0.5 + u, 0.5]]
    places = [[0, 0, 0], [0.5, 0.5, 0.5], *oxygens]
    return Crystal.from_lists(np.diag([4.594, 4.594, 2.959]), ["Ti"] * 2 + ["O"] * 4, places)


def triclinic() -> Crystal:
    """No symmetry, three elements, one site shared."""
    lattice = [[4.1, 0, 0], [0.7, 5.3, 0], [-0.4, 1.1, 6.2]]
    places = [[0.1, 0.2, 0.3], [0.55, 0.15, 0.8], [0.4, 0.7, 0.25], [0.9, 0.6, 0.75], [0.2, 0.85, 0.7]]
    sites = [{"Li": 1.0}, {"Fe": 0.6, "Mn": 0.4}, {"O": 1.0}, {"O": 1.0}, {"O": 0.5}]
    return Crystal.from_sites(lattice, sites, places)


def quartz(*, left: bool = False) -> Crystal:
    """Built from three SiO2 units along a threefold screw."""
    lattice = np.array([[4.913, 0, 0], [-4.913 / 2, 4.913 * 3**0.5 / 2, 0], [0, 0, 5.405]])
    turn = np.array([[0, -1, 0], [1, -1, 0], [0, 0, 1.0]])
    silicon, oxygen = np.array([0.4697, 0, 0]), np.array([0.4135, 0.2669, 0.1191])
    other = np.array([oxygen[0] - oxygen[1], -oxygen[1], -oxygen[2]])
    places, species = [], []
    for step in range(3):
        for symbol, place in (("Si", silicon), ("O", oxygen), ("O", other)):
            moved = np.linalg.matrix_power(turn, step) @ place + [0, 0, step / 3]
            places.append(moved * [1, 1, -1] if left else moved)
            species.append(symbol)
    return Crystal.from_lists(lattice, species, places)


CRYSTALS = {"rutile": rutile(), "triclinic": triclinic(), "quartz": quartz()}
FOUND = {}


def reference(name: str) -> StructureAnalysis:
    if name not in FOUND:
        FOUND[name] = analyse(CRYSTALS[name])
    return FOUND[name]


def rebuilt(crystal: Crystal, lattice: np.ndarray, places: np.ndarray, order: list[int]) -> Crystal:
    """Sites of ``crystal`` (tiled if there are more places) in another order and cell."""
    times = len(places) // crystal.n_sites
    species = [site for _ in range(times) for site in crystal.species]
    occupancies = None
    if crystal.occupancies is not None:
        sites = [site for _ in range(times) for site in crystal.occupancies]
        occupancies = [sites[number] for number in order]
    return Crystal.from_lists(lattice, [species[number] for number in order], places[order], occupancies)


def assert_same(changed: Crystal, name: str, tolerance: float = 1e-5) -> None:
    found, expected = analyse(changed), reference(name)
    assert found.hash.value == expected.hash.value
    assert found.invariants == pytest.approx(expected.invariants, abs=tolerance)
    assert found.formulas == expected.formulas
    assert found.min_distance == pytest.approx(expected.min_distance, abs=tolerance)
    assert found.anonymous_prototype == expected.anonymous_prototype


@st.composite
def unimodular(draw: st.DrawFn) -> np.ndarray:
    """Product of elementary steps: shears and swaps."""
    matrix = np.eye(3)
    for _ in range(draw(st.integers(0, 4))):
        row, other = draw(st.permutations([0, 1, 2]))[:2]
        step = np.eye(3)
        step[row, other] = draw(st.integers(-2, 2))
        matrix = step @ matrix
    return matrix[list(draw(st.permutations([0, 1, 2])))]


@given(st.sampled_from(sorted(CRYSTALS)), unimodular(), st.tuples(*[st.floats(0, 1)] * 3), st.randoms(), st.data())
@settings(max_examples=60, deadline=None)
def test_order_origin_cell_and_rotation_do_not_matter(
    name: str, matrix: np.ndarray, shift: tuple[float, ...], rng: random.Random, data: st.DataObject
) -> None:
    crystal = CRYSTALS[name]
    rotation, _ = np.linalg.qr(np.random.default_rng(data.draw(st.integers(0, 99))).normal(size=(3, 3)))
    order = list(range(crystal.n_sites))
    rng.shuffle(order)
    places = (crystal.frac_coords + shift) @ np.linalg.inv(matrix)
    assert_same(rebuilt(crystal, matrix @ crystal.lattice @ rotation, places, order), name)


@given(st.sampled_from(sorted(CRYSTALS)), st.sampled_from([(2, 1, 1), (1, 1, 3), (2, 2, 1), (1, 2, 3)]), st.randoms())
@settings(max_examples=20, deadline=None)
def test_supercells_do_not_matter(name: str, times: tuple[int, int, int], rng: random.Random) -> None:
    crystal = CRYSTALS[name]
    steps = np.array(list(itertools.product(*[range(n) for n in times])), dtype=float)
    places = ((crystal.frac_coords[None] + steps[:, None]) / times).reshape(-1, 3)
    order = list(range(len(places)))
    rng.shuffle(order)
    assert_same(rebuilt(crystal, np.diag(times) @ crystal.lattice, places, order), name)


@pytest.mark.parametrize("name", CRYSTALS)
def test_standard_and_primitive_cells_have_the_same_hash(name: str) -> None:
    found = reference(name)
    assert_same(found.symmetry.standard, name, 3e-3)
    assert_same(found.symmetry.primitive, name, 3e-3)


@given(st.sampled_from(sorted(CRYSTALS)), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_noise_below_a_thousandth_does_not_matter_away_from_a_boundary(name: str, seed: int) -> None:
    crystal, rng = CRYSTALS[name], np.random.default_rng(seed)
    assert reference(name).hash.margin > 2
    lattice = crystal.lattice + rng.uniform(-1e-3, 1e-3, (3, 3))
    noise = rng.uniform(-1e-3, 1e-3, crystal.frac_coords.shape) @ np.linalg.inv(lattice)
    places = crystal.frac_coords + noise
    found = analyse(rebuilt(crystal, lattice, places, list(range(crystal.n_sites))))
    assert found.hash.value == reference(name).hash.value
    assert found.invariants == pytest.approx(reference(name).invariants, abs=6e-3)


def test_mirror_images_have_one_hash() -> None:
    right, left = analyse(quartz()), analyse(quartz(left=True))
    assert {right.symmetry.number, left.symmetry.number} == {152, 154}
    assert right.hash.value == left.hash.value
    assert right.invariants == pytest.approx(left.invariants)


def test_scale_does_not_matter_to_the_hash() -> None:
    crystal = rutile()
    larger = Crystal(crystal.lattice * 1.07, crystal.frac_coords, crystal.species)
    assert analyse(larger).hash.value == reference("rutile").hash.value


def test_the_tolerance_of_the_analysis_does_not_matter_to_the_hash() -> None:
    for symprec in (1e-4, 0.3):
        assert analyse(rutile(), symprec=symprec).hash == reference("rutile").hash


def test_polymorphs_differ() -> None:
    def cubic(a: float, places: list[list[float]], species: list[str]) -> str:
        return analyse(Crystal.from_lists(np.eye(3) * a, species, places)).hash.value

    corners = [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    centres = [[0.5, 0.5, 0.5], [0, 0, 0.5], [0, 0.5, 0], [0.5, 0, 0]]
    quarters = [[0.25 + x, 0.25 + y, 0.25 + z] for x, y, z in corners]
    hashes = {
        cubic(5.6, corners + centres, ["Zn"] * 4 + ["S"] * 4),  # rock salt
        cubic(5.4, corners + quarters, ["Zn"] * 4 + ["S"] * 4),  # zinc blende
        cubic(3.3, [[0, 0, 0], [0.5, 0.5, 0.5]], ["Zn", "S"]),  # caesium chloride
        cubic(5.4, corners + quarters, ["S"] * 4 + ["Zn"] * 4),  # zinc blende again, the other way round
        cubic(5.6, corners + centres, ["Mg"] * 4 + ["S"] * 4),
    }
    assert len(hashes) == 4


def test_orderings_on_one_lattice_differ() -> None:
    """Two ways to place two Li and two Mg on the cations of one P1 cell: the label alone cannot tell them apart."""
    rng = np.random.default_rng(5)
    base = np.array([[x, y, z] for x in (0, 0.5) for y in (0, 0.5) for z in (0, 0.5)]) + rng.uniform(
        -0.04, 0.04, (8, 3)
    )
    lattice = np.array([[4.2, 0, 0], [0.3, 4.4, 0], [0.2, -0.3, 4.6]])
    hashes = set()
    for swap in (["Li", "Li", "Mg", "Mg"], ["Li", "Mg", "Mg", "Li"]):
        crystal = Crystal.from_lists(lattice, [swap[0], "O", "O", swap[1], "O", swap[2], swap[3], "O"], base)
        found = analyse(crystal)
        assert found.symmetry.number == 1
        hashes.add(found.hash.value)
    assert len(hashes) == 2


def test_rounded_occupancies_have_one_hash() -> None:
    values = set()
    for third in (0.33, 0.333, 0.3333333, 1 / 3, 0.334):
        crystal = Crystal.from_sites(np.eye(3) * 4, [{"Li": third}, {"O": 1.0}], [[0, 0, 0], [0.5, 0.5, 0.5]])
        values.add(analyse(crystal).hash.value)
    assert len(values) == 1


def test_large_cells_are_hashed_by_their_contents() -> None:
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.arange(13)] * 3), -1).reshape(-1, 3) / 13 + rng.uniform(-0.01, 0.01, (2197, 3))
    crystal = Crystal.from_lists(np.eye(3) * 39, ["Na"] * 1000 + ["Cl"] * 1197, grid)
    first = structure_hash(crystal, 5.01)
    assert first == structure_hash(rebuilt(crystal, crystal.lattice, grid, list(range(2196, -1, -1))), 5.01)
    assert first.value != structure_hash(crystal, 5.51).value


def test_margin_is_the_distance_to_the_boundary() -> None:
    crystal = find_symmetry(triclinic()).primitive
    assert find_symmetry(crystal, LABEL_SYMPREC).number == 1
    width = BIN_WIDTHS[0][1]
    above = structure_hash(crystal, width * 100 + 0.2 * NOISE_BOUND)
    middle = structure_hash(crystal, width * 100.5)
    assert above.margin == pytest.approx(0.2)
    assert middle.margin == pytest.approx(width / NOISE_BOUND / 2)
    assert above.value == middle.value
    assert structure_hash(crystal, width * 100 - 0.2 * NOISE_BOUND).value != above.value


def test_shape_of_the_invariants() -> None:
    vector = reference("rutile").invariants
    assert vector.shape == (SIZE,)
    assert vector.dtype == np.float32
    assert (np.diff(vector[:N_DISTANCES]) >= 0).all()
    assert len(reference("rutile").to_document()["invariants"]) == 4 * SIZE


def test_amd_of_the_cubic_lattices() -> None:
    """Primitive cubic: 6 at a, 12 at sqrt 2, 6 at sqrt 3. Face-centred: 12 at 1/sqrt 2, 6 at 1, 6 of 24 at sqrt 1.5."""
    simple = analyse(Crystal.from_lists(np.eye(3) * 3, ["Po"], [[0, 0, 0]])).invariants[:24]
    assert simple == pytest.approx(3 * np.repeat(np.sqrt([1, 2, 3]), [6, 12, 6]))
    faces = [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    closed = analyse(Crystal.from_lists(np.eye(3) * 4, ["Cu"] * 4, faces)).invariants[:24]
    assert closed == pytest.approx(4 * np.repeat(np.sqrt([0.5, 1, 1.5]), [12, 6, 6]))


def test_colours_have_mean_zero_and_variance_one() -> None:
    crystal = triclinic()
    assert crystal.occupancies is not None
    weights = np.array([sum(site.values()) for site in crystal.occupancies])
    colours = site_colours(crystal)
    assert weights @ colours == pytest.approx(0)
    assert (site_colours(rutile()) ** 2).mean() == pytest.approx(1)


@pytest.mark.data
@pytest.mark.skipif(not MP.exists(), reason=f"{MP} is absent")
def test_real_structures_keep_their_hash_when_rounded() -> None:
    import orjson

    rng = np.random.default_rng(11)
    with gzip.open(MP) as lines:
        rows = [orjson.loads(line)["structure"] for line in itertools.islice(lines, 0, 6000, 20)]
    flips = 0
    for row in rows:
        crystal = Crystal.from_lists(row["lattice"], row["species"], row["frac_coords"])
        before = analyse(crystal)
        lattice = crystal.lattice.round(3)
        places = (crystal.frac_coords @ crystal.lattice).round(3) @ np.linalg.inv(lattice)
        order = rng.permutation(crystal.n_sites).tolist()
        flips += analyse(rebuilt(crystal, lattice, places, order)).hash.value != before.hash.value
        moved = crystal.frac_coords + rng.uniform(size=3)
        assert analyse(rebuilt(crystal, crystal.lattice, moved, order)).hash.value == before.hash.value
    assert flips <= 3  # 0.1 % expected of 300
