"""From a template to a crystal: volumes, clashes, cells, CIF files that other programs read."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from ase.io import read as read_with_ase
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure

from builders.templates.assemble import LARGEST_STRETCH, assemble
from builders.templates.cif import write_cif, xyz
from builders.templates.clashes import LEAST_CONTACT, LOOSE, closest_contact, covalent_radii
from builders.templates.query import read_query
from builders.templates.volumes import (
    VolumePair,
    anion_classes,
    composition_volume,
    exchange_volumes,
    fit,
    load_volume_model,
    mean_volume,
)
from store.crystal import Crystal

FCC = 0.5 * (np.ones((3, 3)) - np.eye(3))


def rock_salt(cation: str, anion: str, edge: float) -> Crystal:
    return Crystal.from_lists(edge * FCC, [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])


def quartz() -> Crystal:
    """Low quartz, P3_121 (152): a screw axis and a general position."""
    a, c, x, y, z, u = 4.9134, 5.4052, 0.4133, 0.2672, 0.1188 + 1 / 3, 0.4697
    lattice = [[a, 0, 0], [-a / 2, a * 3**0.5 / 2, 0], [0, 0, c]]
    silicon = [[u, 0, 1 / 3], [0, u, 2 / 3], [-u, -u, 0]]
    oxygen = [
        [x, y, z], [-y, x - y, z + 1 / 3], [y - x, -x, z + 2 / 3],
        [y, x, -z], [x - y, -y, 2 / 3 - z], [-x, y - x, 1 / 3 - z],
    ]  # fmt: skip
    return Crystal.from_lists(lattice, ["Si"] * 3 + ["O"] * 6, silicon + oxygen)


# --------------------------------------------------------------------------------------------------------------- volumes


def test_the_same_elements_keep_their_volume() -> None:
    found = exchange_volumes([3, 15, 8], [3, 1, 4], np.array([[3, 15, 8]]), np.array([11.0]))
    assert found == pytest.approx([11.0])


def test_there_and_back_again_is_the_same_volume() -> None:
    there = exchange_volumes([19, 35], [1, 1], np.array([[11, 17]]), np.array([22.4]))
    back = exchange_volumes([11, 17], [1, 1], np.array([[19, 35]]), there)
    assert back == pytest.approx([22.4])


@pytest.mark.parametrize(
    ("query", "template", "edges"),
    [
        # Rock-salt halides and oxides: cubic cell edges at room temperature, Å (Wyckoff, Crystal Structures, 1963).
        ((19, 17), (11, 17), (6.293, 5.640)),
        ((11, 35), (11, 17), (5.973, 5.640)),
        ((3, 9), (11, 9), (4.027, 4.620)),
        ((37, 53), (19, 53), (7.342, 7.066)),
        ((20, 8), (12, 8), (4.811, 4.211)),
        ((56, 8), (38, 8), (5.523, 5.160)),
    ],
)
def test_rock_salt_cells_are_foretold_from_each_other(
    query: tuple[int, int], template: tuple[int, int], edges: tuple[float, float]
) -> None:
    wanted, known = (edge**3 / 8 for edge in edges)
    (found,) = exchange_volumes(query, [1, 1], np.array([template]), np.array([known]))
    assert found == pytest.approx(wanted, rel=0.13)  # one step of the alkali metals is the hardest case


def test_larger_ions_make_larger_crystals() -> None:
    volumes = [composition_volume([alkali, 17], [1, 1]) for alkali in (3, 11, 19, 37, 55)]
    assert volumes == sorted(volumes)


def test_the_mean_volume_lies_between_and_follows_the_nearest() -> None:
    volumes = np.array([10.0, 12.0])
    assert mean_volume(volumes, np.array([1.0, 1.0])) == pytest.approx(120**0.5)
    assert mean_volume(volumes, np.array([0.0, 9.0])) == pytest.approx(10.0, rel=1e-3)


def test_the_main_anion_is_the_most_electronegative_abundant_one() -> None:
    # A trace of fluorine in an oxide leaves it an oxide.
    assert anion_classes(np.array([[9, 3, 8]]), [1, 6, 8]).tolist() == [1]
    assert anion_classes(np.array([[28, 22]]), [1, 1]).tolist() == [7]


def test_a_fit_finds_the_sizes_that_made_the_data() -> None:
    rng = np.random.default_rng(0)
    size = {29: 0.2, 30: 0.5, 31: -0.3, 32: 0.8}  # alloys: one class, so that the sizes are unique up to a constant
    numbers = np.array(list(size))
    pairs, compositions = [], []
    for _ in range(400):
        query, template = rng.choice(numbers, 2, replace=False), rng.choice(numbers, 2, replace=False)
        change = sum(size[int(q)] - size[int(t)] for q, t in zip(query, template, strict=True)) / 2
        volume = float(np.exp(2.5 + sum(size[int(q)] for q in query) / 2))
        pairs.append(
            VolumePair(query, np.array([1, 1]), 15 * np.exp(change), template[None], np.array([15.0]), np.array([1.0]))
        )
        compositions.append((query, np.array([1, 1]), volume))
    model = fit(pairs, compositions, (1e-6, 1e-6))
    (found,) = exchange_volumes([30, 31], [1, 1], np.array([[29, 32]]), np.array([15.0]), model)
    assert found == pytest.approx(15 * np.exp((0.5 - 0.3 - 0.2 - 0.8) / 2), rel=1e-3)
    assert composition_volume([29, 32], [1, 1], model) == pytest.approx(np.exp(3.0), rel=1e-3)


def test_the_shipped_model_is_finite_and_moderate() -> None:
    model = load_volume_model()
    assert np.abs(model.exchange).max() < 5
    assert 5 < np.exp(model.offset) < 40


@pytest.mark.data
def test_volumes_of_unseen_formulas_are_nearer_than_element_volumes_allow(data_folder: Path) -> None:
    """Rock salts and perovskites of the data whose formulas are kept for testing, from the others of the same type."""
    import gzip
    import hashlib

    import orjson

    by_type: dict[tuple[str, int], list[tuple[tuple[int, ...], tuple[int, ...], float, bool]]] = {}
    with gzip.open(data_folder / "structures" / "mp_stable52.jsonl.gz") as file:
        for line in file:
            record = orjson.loads(line)
            cell = record["structure"]
            if len(cell["species"]) not in (2, 5) or record["spacegroup"] not in (221, 225):
                continue
            try:
                query = read_query(record["formula"])
            except Exception:
                continue
            if query.amounts not in ((1, 1), (1, 1, 3)) or query.n_atoms != len(cell["species"]):
                continue
            volume = abs(float(np.linalg.det(np.array(cell["lattice"])))) / len(cell["species"])
            held = hashlib.sha256(query.formula.encode()).digest()[0] < 26
            kind = (str(query.amounts), record["spacegroup"])
            by_type.setdefault(kind, []).append((query.numbers, query.amounts, volume, held))
    errors = []
    for members in by_type.values():
        known = [each for each in members if not each[3]]
        for numbers, amounts, volume, held in members:
            if not held or len(known) < 5:
                continue
            replaced = np.array([each[0] for each in known])
            changed = (replaced != np.array(numbers)).sum(axis=1)
            near = np.flatnonzero(changed == changed.min())
            found = exchange_volumes(numbers, amounts, replaced[near], np.array([known[k][2] for k in near]))
            errors.append(abs(float(np.median(found)) - volume) / volume)
    assert len(errors) > 50
    # Element volumes, fitted by least squares, are off by 8 % in the median.
    assert float(np.median(errors)) < 0.03


# --------------------------------------------------------------------------------------------------------------- clashes


def test_radii_are_cordero_s() -> None:
    assert covalent_radii()[[3, 17, 92]].tolist() == [1.28, 1.02, 1.96]


def test_contact_of_rock_salt_is_its_half_edge() -> None:
    assert closest_contact(rock_salt("Na", "Cl", 5.64)) == pytest.approx(2.82 / (1.66 + 1.02))


@given(st.floats(0.5, 1.5))
@settings(deadline=None, max_examples=20)
def test_contacts_grow_with_the_cell_until_they_are_loose(factor: float) -> None:
    one, other = closest_contact(rock_salt("K", "F", 5.3)), closest_contact(rock_salt("K", "F", 5.3 * factor))
    assert other == pytest.approx(min(one * factor, LOOSE))


# -------------------------------------------------------------------------------------------------------------- assemble


def test_elements_stand_where_the_mapping_puts_them() -> None:
    query = read_query("SrTiO3")
    place = {name: k for k, name in enumerate(query.elements)}
    cubic = 3.9 * np.eye(3)
    frac = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    mapping = [0, 1, 2]
    mapping[place["Sr"]], mapping[place["Ti"]] = 1, 0
    made = assemble(query, mapping, cubic, frac, np.array([1, 0, 2, 2, 2]), 12.0)
    assert made is not None
    assert made.crystal.species == ("Sr", "Ti", "O", "O", "O")
    assert made.crystal.volume == pytest.approx(60.0)
    assert (made.crystal.frac_coords == frac).all()


def test_a_cell_that_is_too_small_is_stretched_until_atoms_just_touch() -> None:
    query = read_query("NaCl")
    tight = (LEAST_CONTACT * (1.66 + 1.02) * 2) ** 3 / 8
    made = assemble(query, [0, 1], 5.6 * FCC, np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array([1, 0]), 0.9 * tight)
    assert made is not None
    assert made.stretched
    assert made.volume_per_atom == pytest.approx(tight, rel=1e-3)
    assert closest_contact(made.crystal) >= LEAST_CONTACT


def test_atoms_on_top_of_each_other_give_no_crystal() -> None:
    query = read_query("NaCl")
    frac = np.array([[0, 0, 0], [0.1, 0, 0]])
    assert assemble(query, [0, 1], 4 * np.eye(3), frac, np.array([0, 1]), 32.0) is None
    assert LARGEST_STRETCH < 2


# ------------------------------------------------------------------------------------------------------------------ CIF

MATCHER = StructureMatcher(0.02, 0.02, 1, scale=False)


def parse(text: str) -> Structure:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Structure.from_str(text, fmt="cif")


@pytest.mark.parametrize("crystal", [rock_salt("Na", "Cl", 5.64), quartz()], ids=["rock salt", "quartz"])
def test_other_programs_read_the_crystal_that_was_written(crystal: Crystal) -> None:
    text = write_cif(crystal, {"template_id": "mp-1", "mapping": {"Na": "K"}, "score": 0.5})
    assert MATCHER.fit(parse(text), crystal.to_pymatgen())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        atoms = read_with_ase(io.StringIO(text), format="cif")
    assert atoms.get_volume() / len(atoms) == pytest.approx(abs(crystal.volume) / crystal.n_sites)


def test_one_atom_an_orbit_is_written_with_its_multiplicity() -> None:
    lines = write_cif(quartz()).splitlines()
    atoms = [line.split() for line in lines if line.startswith(("  Si", "  O"))]
    assert [(atom[1], atom[2]) for atom in atoms] == [("Si", "3"), ("O", "6")]
    assert "_space_group_IT_number            152" in lines


@pytest.mark.parametrize(
    "value", ["it's", 'a "b"', "two words", "_underscore", "a\nb", "#no comment", "loop_", "data_x", "?"]
)
def test_provenance_of_any_letters_leaves_the_file_readable(value: str) -> None:
    text = write_cif(rock_salt("Na", "Cl", 5.64), {"note": value, "none": None})
    assert len(parse(text)) == 8
    assert "_ionatlas_none" not in text


def test_operations_are_written_as_in_the_tables() -> None:
    assert xyz(np.array([[0, -1, 0], [1, -1, 0], [0, 0, 1]]), np.array([0, 0, 2 / 3])) == "-y,x-y,z+2/3"
    assert xyz(np.array([[-1, 0, 0], [0, 1, 0], [0, 0, -1]]), np.array([0.5, 0.25, 0.125])) == "-x+1/2,y+1/4,-z+1/8"


@pytest.mark.data
def test_files_of_real_crystals_are_read_back(data_folder: Path) -> None:
    import gzip

    import orjson

    read = 0
    with gzip.open(data_folder / "structures" / "mp_stable52.jsonl.gz") as file:
        for number, line in enumerate(file):
            if number % 900:
                continue
            cell = orjson.loads(line)["structure"]
            crystal = Crystal.from_lists(cell["lattice"], cell["species"], cell["frac_coords"])
            assert MATCHER.fit(parse(write_cif(crystal)), crystal.to_pymatgen()), orjson.loads(line)["id"]
            read += 1
    assert read > 30
