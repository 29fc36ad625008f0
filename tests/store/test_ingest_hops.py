"""What a hop is: checks, units, definitions of its barrier, the moving ion and its path, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.crystal import Crystal
from store.errors import InvalidCoordinates, InvalidLattice, SourceError, StructureError, UnknownElement, UnknownFormat
from store.hops import DEFINITIONS, HopRecord, barrier_of, checked, definition_in, shortest_image, to_ev
from store.ingest.hop_paths import path_of, take_ion
from store.ingest.kinds import FORMATS, HOP_FORMATS
from store.ingest.readers import read_hop

from .hop_examples import (
    CUBE,
    END,
    HOST,
    PROFILE,
    START,
    A,
    images,
    uniform,
    with_ion,
)


def hop(**changes: Any) -> HopRecord:
    host = Crystal.from_lists(HOST["lattice"], HOST["species"], HOST["frac_coords"])
    given: dict[str, Any] = {"working_ion": "Li", "host": host, "start": np.array(START), "end": np.array(END)}
    return HopRecord(**(given | changes))


# -------------------------------------------------------------------------------------------------------------- records


def test_hop_formats_are_not_formats_of_structures() -> None:
    assert set(HOP_FORMATS) == {"hop-csv", "hop-json", "litraj-neb", "mp-migration-graph", "mp-neb"}
    assert not set(HOP_FORMATS) & set(FORMATS)
    with pytest.raises(UnknownFormat, match="No hop reader"):
        read_hop("cif", b"data_x")


def test_the_initial_end_is_the_host_and_the_moving_ion() -> None:
    crystal = hop().initial()
    assert crystal.species == ("Co", "O", "O", "O", "Li")
    assert crystal.frac_coords[-1].tolist() == START
    shared = Crystal.from_sites(CUBE, [{"Co": 0.5, "Ni": 0.5}], [[0, 0, 0]])
    assert hop(host=shared).initial().occupancies == ({"Co": 0.5, "Ni": 0.5}, {"Li": 1.0})


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"working_ion": "Xx"}, UnknownElement, "no chemical element"),
        ({"end": np.array(START)}, SourceError, "ends where it starts"),
        ({"end": np.array([0.5, math.nan, 0.5])}, InvalidCoordinates, "three finite numbers"),
        ({"start": np.zeros(2)}, InvalidCoordinates, "three finite numbers"),
        ({"host": Crystal.from_lists(CUBE, [], [])}, SourceError, "no atoms"),
        ({"barrier": math.inf, "barrier_definition": "forward"}, SourceError, "finite"),
        ({"barrier": 0.5, "barrier_definition": None}, SourceError, "definition None"),
        ({"barrier": 0.5, "barrier_definition": "highest"}, SourceError, "definition 'highest'"),
        ({"charge_state": math.nan}, SourceError, "charge state"),
        ({"images": np.zeros((3, 2))}, InvalidCoordinates, "rows of three"),
        ({"images": np.array([START, END]), "energies": np.zeros(3)}, SourceError, "2 images and 3 energies"),
        ({"energies": np.array([0.0, math.nan])}, SourceError, "list of finite"),
    ],
)
def test_what_is_no_hop_is_refused(changes: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        checked(hop(**changes))


def test_odd_hops_are_kept_and_told() -> None:
    told = checked(hop(barrier=-0.2, barrier_definition="unstated", warnings=["before"])).warnings
    assert told[0] == "before"
    assert told[1].startswith("negative_barrier: the barrier is -0.2 eV")
    profile = np.array(PROFILE)
    told = checked(hop(barrier=0.9, barrier_definition="forward", energies=profile)).warnings
    assert told == [
        "barrier_contradicts_energies: 0.9 eV is given, the energies of the images make 0.500 eV (forward)."
    ]
    assert checked(hop(barrier=0.9, barrier_definition="unstated", energies=profile)).warnings == []
    away = checked(hop(images=np.array([START, [0.6, 0.5, 1.25]]))).warnings
    assert away == ["images_off_ends: the images begin or end 0.60 Å away from the ends of the hop."]
    left_in = checked(hop(host=with_ion(START))).warnings
    assert left_in == ["moving_ion_in_host: the host holds Li 0.00 Å from the start: was the moving ion left in?"]
    taken = checked(hop(host=with_ion(END))).warnings
    assert taken == ["end_on_host_atom: the host holds Li 0.00 Å from the end, which is not free."]
    (on_oxygen,) = checked(hop(start=np.array([0.5, 0.02, 1.0]))).warnings
    assert on_oxygen.startswith("start_on_host_atom: the host holds O 0.12 Å from the start")


def test_a_hop_by_a_lattice_vector_has_two_ends() -> None:
    record = checked(hop(end=np.array([0.5, 0.5, 1.75])))
    assert (record.length, record.warnings) == (pytest.approx(A), [])


# --------------------------------------------------------------------------------------------------- units, definitions


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.3, "eV", 0.3),
        (300.0, "meV", 0.3),
        (96.48533212331, "kJ/mol", 1.0),
        (23.060547830619, "kcal/mol", 1.0),
        (96.48533212331, " kJ mol-1 ", 1.0),
        (96.48533212331, "kJ·mol^-1", 1.0),
        (1.0, "ev", 1.0),
    ],
)
def test_units(value: float, unit: str, expected: float) -> None:
    assert to_ev(value, unit) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("unit", ["Ha", "kJ", "", "K", "eV/atom", "J/mol", "mEV2"])
def test_unknown_units_are_refused(unit: str) -> None:
    with pytest.raises(SourceError, match="is not known"):
        to_ev(1.0, unit)


def test_a_barrier_without_a_unit_is_refused_and_so_are_two_that_differ() -> None:
    with pytest.raises(SourceError, match="has no unit"):
        uniform(barrier_eV=None, barrier=0.5, units=None)
    with pytest.raises(SourceError, match="one of the two is wrong"):
        uniform(units="meV")
    with pytest.raises(SourceError, match="two barriers"):
        uniform(barrier=0.7)
    with pytest.raises(SourceError, match="is not known"):
        uniform(barrier_eV=None, barrier=0.5, units="Hartree")
    with pytest.raises(SourceError, match="finite number"):
        uniform(barrier_eV="0.5")
    with pytest.raises(SourceError, match="finite number"):
        uniform(barrier_eV=math.nan)
    assert uniform(barrier_eV=0.5, barrier=0.5).barrier == 0.5


def test_a_converted_barrier_is_told() -> None:
    record = uniform(barrier_eV=None, barrier=48.242666, units="kJ/mol")
    assert record.barrier == pytest.approx(0.5)
    assert record.warnings == ["The barrier was converted from 48.2427 kJ/mol."]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("forward", "forward"),
        ("Reverse", "reverse"),
        ("max-min", "max-min"),
        ("larger of forward and reverse", "larger of forward and reverse"),
        ("unstated", "unstated"),
        ("VASP NEB, Materials Project workflow (spline maximum - start)", "forward"),
        ("max(E) - min(E)", "max-min"),
        ("maximum energy minus the initial one", "forward"),
        ("E_max − E_final: maximum − final", "reverse"),
        ("energy_range", "max-min"),
        ("max_barrier", "larger of forward and reverse"),
        ("DFT-NEB, GGA (literature value)", None),
        ("", None),
        (None, None),
    ],
)
def test_definitions_are_found_in_what_is_said(text: str | None, expected: str | None) -> None:
    assert definition_in(text) == expected


def test_definitions_are_told_apart_by_energies() -> None:
    profile = np.array([0.1, 0.6, -0.05, 0.0])
    values = {name: barrier_of(profile, name) for name in DEFINITIONS}
    assert values == pytest.approx(
        {"forward": 0.5, "reverse": 0.6, "larger of forward and reverse": 0.6, "max-min": 0.65, "unstated": None}
    )
    assert barrier_of(None, "forward") is None


def test_the_definition_is_the_one_given_else_that_of_the_method_else_unstated() -> None:
    assert uniform().barrier_definition == "unstated"
    assert uniform(method="DFT-NEB (spline maximum - start)").barrier_definition == "forward"
    assert uniform(method="DFT-NEB (maximum - start)", barrier_definition="max-min").barrier_definition == "max-min"
    odd = uniform(barrier_definition="activation energy")
    assert odd.barrier_definition == "unstated"
    assert odd.properties["barrier_definition_reported"] == "activation energy"
    assert odd.warnings == ["The definition 'activation energy' of the barrier is not known; it counts as unstated."]
    assert uniform(barrier_eV=None).barrier_definition is None


# --------------------------------------------------------------------------------------------------- geometry of a path


def test_the_shortest_image_is_exact_in_skew_cells() -> None:
    generator = np.random.default_rng(4)
    for _ in range(60):
        lattice = np.eye(3) * 4.0
        for _ in range(3):  # shear: the same lattice in a skew basis
            first, second = generator.permutation(3)[:2]
            lattice[first] += generator.integers(-3, 4) * lattice[second]
        start, end = generator.random(3) * 3, generator.random(3) * 3
        found = shortest_image(lattice, start, end)
        shift = found - end
        assert np.allclose(shift, np.round(shift), atol=1e-9)
        cartesian = (end - start) @ lattice
        expected = np.linalg.norm(cartesian - 4.0 * np.round(cartesian / 4.0))
        assert np.linalg.norm((found - start) @ lattice) == pytest.approx(expected, abs=1e-9)


def test_the_shortest_image_of_the_start_itself_is_its_nearest_translate() -> None:
    lattice = np.diag([5.0, 3.0, 4.0])
    found = shortest_image(lattice, np.array([0.2, 0.2, 0.2]), np.array([0.2, 1.2, 0.2]))
    assert np.linalg.norm((found - 0.2) @ lattice) == pytest.approx(3.0)
    with pytest.raises(InvalidLattice, match="too flat"):
        shortest_image(np.array([[1e3, 0, 0], [0, 1e3, 0], [1e3, 1e3, 1e-6]]), np.zeros(3), np.array([0.4, 0.4, 0.4]))


def test_the_moving_atom_is_followed_through_the_wall_of_the_cell() -> None:
    notes: list[str] = []
    path = path_of(images(), notes)
    assert (path.ion, path.host.species, notes) == ("Li", ("Co", "O", "O", "O"), [])
    assert np.allclose(path.places, np.linspace(START, END, 5))


def test_paths_that_are_none_are_refused() -> None:
    first, *_, last = images()
    with pytest.raises(SourceError, match="two images"):
        path_of([first], [])
    with pytest.raises(SourceError, match="No atom moves"):
        path_of([first, first], [])
    with pytest.raises(SourceError, match="same atoms in the same order"):
        path_of([first, Crystal(last.lattice, last.frac_coords, last.species[::-1])], [])
    with pytest.raises(SourceError, match="no Na"):
        path_of([first, last], [], "Na")
    shared = Crystal.from_sites(CUBE, [{"Li": 0.5}], [[0, 0, 0]])
    with pytest.raises(SourceError, match="partly occupied"):
        path_of([shared, shared], [])


def test_a_second_atom_that_moves_and_a_cell_that_bends_are_told() -> None:
    first, last = with_ion(START), with_ion(END)
    moved = last.frac_coords.copy()
    moved[1] += [0.4, 0, 0]
    notes: list[str] = []
    path = path_of([first, Crystal(last.lattice * 1.001, moved, last.species)], notes)
    assert path.ion == "Li"
    assert [note.split(" ")[0] for note in notes] == ["The", "concerted_motion:"]
    assert path_of([first, Crystal(last.lattice, moved, last.species)], [], "Co").ion == "Co"


def test_the_moving_ion_is_taken_out_of_a_full_structure() -> None:
    notes: list[str] = []
    assert take_ion(with_ion(START), "Li", np.array(END) - [0, 0, 0.52], notes).species == ("Co", "O", "O", "O")
    assert notes == ["The Li atom that was taken out lies 0.12 Å from the start of the hop."]
    with pytest.raises(SourceError, match=r"within 1\.5 Å"):
        take_ion(with_ion(START), "Li", np.array([0.5, 0.5, 0.2]), [])
    with pytest.raises(SourceError, match="holds no Na"):
        take_ion(with_ion(START), "Na", np.array(START), [])
    notes.clear()
    shared = Crystal.from_sites(CUBE, [{"Li": 0.5, "Mg": 0.25}, {"O": 1.0}], [START, [0, 0, 0]])
    assert take_ion(shared, "Li", np.array(START), notes).occupancies == ({"Mg": 0.25}, {"O": 1.0})
    assert notes == ["The moving Li shares its site with Mg, which stays."]
    half = Crystal.from_sites(CUBE, [{"Li": 0.5}, {"O": 1.0}], [START, [0, 0, 0]])
    notes.clear()
    assert take_ion(half, "Li", np.array(START), notes).species == ("O",)
    assert "occupied by 0.5 only" in notes[0]


# ------------------------------------------------------------------------------------------------ whatever is given


@settings(max_examples=200, deadline=None)
@given(value=st.floats(), unit=st.text(max_size=10) | st.sampled_from(["eV", "meV", "kJ/mol", "kcal/mol", "kJ mol-1"]))
def test_energies_are_finite_or_refused(value: float, unit: str) -> None:
    try:
        assert np.isfinite(to_ev(value, unit))
    except SourceError as error:
        assert str(error)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_definitions_are_known_or_none(text: str) -> None:
    assert definition_in(text) in {*DEFINITIONS, None}


numbers = st.floats(-20, 20, allow_nan=False)


@settings(max_examples=150, deadline=None)
@given(st.lists(numbers, min_size=9, max_size=9), st.lists(numbers, min_size=6, max_size=6))
def test_the_shortest_image_is_an_image_and_no_longer_than_any_near_one(box: list[float], places: list[float]) -> None:
    lattice = np.array(box).reshape(3, 3)
    start, end = np.array(places[:3]), np.array(places[3:])
    if abs(np.linalg.det(lattice)) < 1.0:
        return
    try:
        found = shortest_image(lattice, start, end)
    except StructureError:
        return
    shift = found - end
    assert np.allclose(shift, np.round(shift), atol=1e-9)
    length = np.linalg.norm((found - start) @ lattice)
    around = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3), axis=-1).reshape(-1, 3)
    others = np.linalg.norm((end - start - np.round(end - start) + around) @ lattice, axis=1)
    assert length <= others[others > 1e-3].min() + 1e-5
