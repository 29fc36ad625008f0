"""Energies for ranking: the quick path is the potential's own answer, volumes and short relaxations go downhill."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.templates.energies import _bottom, load_energy_model
from store.crystal import Crystal
from store.errors import UsageError

FCC = 0.5 * (np.ones((3, 3)) - np.eye(3))


def rock_salt(edge: float) -> Crystal:
    return Crystal.from_lists(edge * FCC, ["Na", "Cl"], [[0, 0, 0], [0.5] * 3])


@given(st.floats(-5, 5), st.floats(0.1, 10), st.floats(0.95, 1.05))
def test_the_bottom_of_a_parabola_is_found_from_three_points(depth: float, width: float, place: float) -> None:
    scales = np.array([0.94, 1.0, 1.06])
    energy, best = _bottom(scales, depth + width * (scales - place) ** 2)
    assert energy == pytest.approx(depth, abs=1e-6)
    assert best == pytest.approx(place, abs=1e-4)


def test_a_slope_ends_at_its_lowest_point() -> None:
    energy, best = _bottom(np.array([0.9, 1.0, 1.1]), np.array([3.0, 2.0, 1.0]))
    assert (energy, best) == (1.0, 1.1)


def test_an_unknown_model_is_refused_with_those_that_are_there() -> None:
    with pytest.raises(UsageError) as error:
        load_energy_model("chgnet")
    assert "7net-0" in (error.value.mend or "")


@pytest.fixture(scope="module")
def potential() -> object:
    pytest.importorskip("sevenn")
    return load_energy_model("7net-0", threads=1)


def test_the_quick_energy_is_the_calculator_s(potential: object) -> None:
    from ase import Atoms

    from builders.templates.energies import single_points

    crystal = rock_salt(5.7)
    atoms = Atoms(list(crystal.species), cell=crystal.lattice, scaled_positions=crystal.frac_coords, pbc=True)
    atoms.calc = potential.calculator  # type: ignore[attr-defined]
    expected = atoms.get_potential_energy() / 2
    (found,) = single_points([crystal], potential)  # type: ignore[arg-type]
    assert found[0] == pytest.approx(expected, abs=1e-6)
    # The calculator still knows forces: the quick path took nothing from it.
    atoms.rattle(0.05, seed=0)
    assert np.abs(atoms.get_forces()).max() > 1e-3


def test_several_volumes_are_several_single_points(potential: object) -> None:
    from builders.templates.energies import least_energies, single_points

    scaled = [rock_salt(5.7 * factor ** (1 / 3)) for factor in (0.9, 1.0, 1.1)]
    together = single_points([rock_salt(5.7)], potential, scales=(0.9, 1.0, 1.1))  # type: ignore[arg-type]
    apart = single_points(scaled, potential)  # type: ignore[arg-type]
    assert together[0] == pytest.approx(apart[:, 0], abs=1e-5)
    energies, best = least_energies([rock_salt(5.5)], potential, scales=(0.94, 1.06, 1.18))  # type: ignore[arg-type]
    # PBE puts the edge of rock salt at 5.70 Å.
    assert 5.5 * best[0] ** (1 / 3) == pytest.approx(5.70, abs=0.06)
    assert energies[0] <= together.min() + 1e-3


def test_what_is_too_large_or_unknown_has_no_energy(potential: object) -> None:
    from builders.templates.energies import LARGEST, single_points

    many = LARGEST + 1
    frac = np.random.default_rng(0).random((many, 3))
    large = Crystal(30 * np.eye(3), frac, ("Na",) * many)
    assert np.isnan(single_points([large], potential)).all()  # type: ignore[arg-type]


def test_a_short_relaxation_goes_downhill_and_keeps_the_symmetry(potential: object) -> None:
    from builders.structures.symmetry import find_symmetry
    from builders.templates.energies import relax_briefly, single_points

    start = rock_salt(5.3)
    relaxed = relax_briefly(start, potential, steps=25)  # type: ignore[arg-type]
    (before,) = single_points([start], potential)  # type: ignore[arg-type]
    assert relaxed.energy < before[0] - 0.01
    assert relaxed.crystal.volume > start.volume
    assert find_symmetry(relaxed.crystal, 0.01).number == 225
    assert relaxed.crystal.species == start.species
