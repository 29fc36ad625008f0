"""Space groups, standardised cells and prototype labels of known structures, against the literature and pymatgen."""

from __future__ import annotations

import logging
import warnings

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from builders.structures.analysis import analyse
from builders.structures.neighbours import neighbourhood, points_of
from builders.structures.prototype import canonical_letters, prototype_labels
from builders.structures.symmetry import find_symmetry, group_type
from store.crystal import Crystal

# name: (symbol, lattice, species, coordinates, number, Pearson symbol, label, point group, system)
KNOWN = {
    "rock salt": (
        ("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
        (225, "cF8", "AB_cF8_225_a_b:Cl-Na", "m-3m", "cubic"),
    ),
    "diamond": (
        ("Fd-3m", Lattice.cubic(5.43), ["Si"], [[0, 0, 0]]),
        (227, "cF8", "A_cF8_227_a:Si", "m-3m", "cubic"),
    ),
    "rutile": (
        ("P4_2/mnm", Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]),
        (136, "tP6", "A2B_tP6_136_f_a:O-Ti", "4/mmm", "tetragonal"),
    ),
    "perovskite": (
        ("Pm-3m", Lattice.cubic(3.905), ["Sr", "Ti", "O"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]]),
        (221, "cP5", "A3BC_cP5_221_c_a_b:O-Sr-Ti", "m-3m", "cubic"),
    ),
    "spinel": (
        ("Fd-3m", Lattice.cubic(8.08), ["Mg", "Al", "O"], [[0, 0, 0], [0.625, 0.625, 0.625], [0.389, 0.389, 0.389]]),
        (227, "cF56", "A2BC4_cF56_227_c_b_e:Al-Mg-O", "m-3m", "cubic"),
    ),
    "quartz": (
        ("P3_221", Lattice.hexagonal(4.913, 5.405), ["Si", "O"], [[0.4697, 0, 2 / 3], [0.4135, 0.2669, 0.7858]]),
        (154, "hP9", "A2B_hP9_154_c_a:O-Si", "32", "trigonal"),
    ),
    "wurtzite": (
        ("P6_3mc", Lattice.hexagonal(3.25, 5.2), ["Zn", "O"], [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.382]]),
        (186, "hP4", "AB_hP4_186_b_b:O-Zn", "6mm", "hexagonal"),
    ),
    "corundum": (
        ("R-3c", Lattice.hexagonal(4.759, 12.99), ["Al", "O"], [[0, 0, 0.352], [0.306, 0, 0.25]]),
        (167, "hR30", "A2B3_hR30_167_c_e:Al-O", "-3m", "trigonal"),
    ),
    "olivine": (
        (
            "Pnma",
            Lattice.orthorhombic(10.33, 6.01, 4.69),
            ["Li", "Fe", "P", "O", "O", "O"],
            [
                [0, 0, 0],
                [0.282, 0.25, 0.975],
                [0.095, 0.25, 0.418],
                [0.097, 0.25, 0.743],
                [0.457, 0.25, 0.206],
                [0.166, 0.046, 0.285],
            ],
        ),
        (62, "oP28", "ABC4D_oP28_62_c_a_2cd_c:Fe-Li-O-P", "mmm", "orthorhombic"),
    ),
    "magnesium": (
        ("P6_3/mmc", Lattice.hexagonal(3.21, 5.21), ["Mg"], [[1 / 3, 2 / 3, 0.25]]),
        (194, "hP2", "A_hP2_194_c:Mg", "6/mmm", "hexagonal"),
    ),
    "fluorite": (
        ("Fm-3m", Lattice.cubic(5.463), ["Ca", "F"], [[0, 0, 0], [0.25, 0.25, 0.25]]),
        (225, "cF12", "AB2_cF12_225_a_c:Ca-F", "m-3m", "cubic"),
    ),
}


def structure(name: str) -> Structure:
    return Structure.from_spacegroup(*KNOWN[name][0])


@pytest.mark.parametrize("name", KNOWN)
def test_known_structures(name: str) -> None:
    number, pearson, label, point_group, system = KNOWN[name][1]
    found = analyse(Crystal.from_pymatgen(structure(name)))
    assert found.symmetry.number == number
    assert found.symmetry.pearson_symbol == pearson
    assert found.prototype == label
    assert found.flags == ()
    document = found.to_document()
    assert (document["point_group"], document["crystal_system"]) == (point_group, system)
    assert found.symmetry.symprec == 0.01


@pytest.mark.parametrize("name", KNOWN)
def test_agreement_with_pymatgen_and_spglib(name: str) -> None:
    given = structure(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen and spglib announce future changes
        from pymatgen.analysis.prototypes import get_protostructure_label, get_prototype_from_protostructure

        analyser = SpacegroupAnalyzer(given, symprec=0.01)
        expected = {
            "space_group_number": analyser.get_space_group_number(),
            "space_group_symbol": analyser.get_space_group_symbol(),
            "point_group": analyser.get_point_group_symbol(),
            "crystal_system": analyser.get_crystal_system(),
            "prototype": get_protostructure_label(given, "moyopy", symprec=0.01),
        }
        expected["anonymous_prototype"] = get_prototype_from_protostructure(str(expected["prototype"]))
        sizes = len(analyser.get_conventional_standard_structure()), len(analyser.get_primitive_standard_structure())
    found = analyse(Crystal.from_pymatgen(given))
    document = found.to_document()
    assert {name: document[name] for name in expected} == expected
    assert (found.symmetry.standard.n_sites, found.symmetry.primitive.n_sites) == sizes


@pytest.mark.parametrize("name", KNOWN)
def test_standard_and_primitive_cells_are_the_same_crystal(name: str) -> None:
    crystal = Crystal.from_pymatgen(structure(name))
    found = find_symmetry(crystal)
    expected = neighbourhood(points_of(crystal), 24).nearest.mean(axis=0)
    for cell in (found.standard, found.primitive):
        assert cell.volume > 0
        assert cell.frac_coords.min() >= 0
        assert cell.frac_coords.max() < 1
        assert neighbourhood(points_of(cell), 24).nearest.mean(axis=0) == pytest.approx(expected, abs=1e-3)
        assert find_symmetry(cell).number == found.number


def test_disordered_sites_keep_their_occupancies() -> None:
    """Halite with mixed cations is cubic by site labels; the occupancies reach both cells."""
    crystal = Crystal.from_lists(
        [[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]],
        ["K0.4Na0.6", "Cl"],
        [[0, 0, 0], [0.5, 0.5, 0.5]],
        [{"Na": 0.6, "K": 0.4}, {"Cl": 1.0}],
    )
    found = analyse(crystal)
    assert found.symmetry.number == 225
    assert found.prototype == "AB_cF8_225_a_b:Cl-K0.4Na0.6"
    assert found.anonymous_prototype == "AB_cF8_225_a_b"
    assert found.formulas.formula == "K2Na3Cl5"
    for cell, count in ((found.symmetry.standard, 8), (found.symmetry.primitive, 2)):
        assert cell.occupancies is not None
        assert cell.n_sites == count
        assert cell.amounts() == pytest.approx({"Na": 0.3 * count, "K": 0.2 * count, "Cl": 0.5 * count})
    assert not found.to_document()["is_ordered"]


def test_sites_with_different_occupancies_are_different_kinds() -> None:
    places = [[0, 0, 0], [0.5, 0.5, 0.5]]
    same = Crystal.from_lists(np.eye(3) * 3, ["a", "b"], places, [{"Fe": 0.5, "Al": 0.5}] * 2)
    ordered = Crystal.from_lists(np.eye(3) * 3, ["a", "b"], places, [{"Fe": 0.7, "Al": 0.3}, {"Fe": 0.3, "Al": 0.7}])
    assert analyse(same).symmetry.number == 229
    assert analyse(ordered).symmetry.number == 221


def test_a_failing_search_falls_back_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import moyopy

    real = moyopy.MoyoDataset
    crystal = Crystal.from_pymatgen(structure("rutile"))

    def stubborn(cell: object, *, symprec: float, angle_tolerance: float | None) -> object:
        if symprec > 0.005:
            raise ValueError("no luck at this tolerance")
        return real(cell, symprec=symprec, angle_tolerance=angle_tolerance)

    monkeypatch.setattr(moyopy, "MoyoDataset", stubborn)
    found = find_symmetry(crystal)
    assert (found.number, found.symprec, found.flags) == (136, 0.003, ("symmetry found at another tolerance",))

    def hopeless(cell: object, *, symprec: float, angle_tolerance: float | None) -> object:
        raise ValueError("never")

    monkeypatch.setattr(moyopy, "MoyoDataset", hopeless)
    analysis = analyse(crystal)
    assert analysis.symmetry.number == 1
    assert analysis.prototype == "A2B_aP6_1_4a_2a:O-Ti"
    assert "symmetry not found" in analysis.flags


def test_moyopy_is_silent(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    """An odd supercell, for which moyopy would warn on stderr through Python's logging."""
    rock_salt = structure("rock salt").make_supercell([1, 1, 2], in_place=False)
    with caplog.at_level(logging.DEBUG, logger="root"):
        assert analyse(Crystal.from_pymatgen(rock_salt)).symmetry.number == 225
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.name.startswith("moyo")] == []


def test_the_tolerance_is_obeyed() -> None:
    crystal = Crystal.from_lists([[4, 0, 0], [0, 4, 0], [0, 0, 4.03]], ["Po"], [[0, 0, 0]])
    assert find_symmetry(crystal, 0.005).number == 123
    assert find_symmetry(crystal, 0.05).number == 221
    assert find_symmetry(crystal, 0.05).symprec == 0.05
    assert find_symmetry(crystal, 0.05, angle_tolerance=5.0).number == 221


def test_no_tolerance_swallows_neighbours() -> None:
    """At a tolerance near the distances the search would never end."""
    crystal = Crystal.from_lists(np.eye(3) * 0.7, ["H"], [[0, 0, 0]])
    found = find_symmetry(crystal, 5.0, min_distance=0.7)
    assert found.symprec == pytest.approx(0.175)


def test_group_types() -> None:
    assert group_type(1) == ("P1", "1", "triclinic")
    assert group_type(14) == ("P2_1/c", "2/m", "monoclinic")
    assert group_type(166) == ("R-3m", "-3m", "trigonal")
    assert len({group_type(number).symbol for number in range(1, 231)}) == 230


def test_labels_do_not_depend_on_the_choice_of_origin() -> None:
    """Moved by half a cell diagonal, the perovskite's two cation sites swap their letters."""
    moved = structure("perovskite")
    moved.translate_sites(range(5), [0.5, 0.5, 0.5])
    crystal = Crystal.from_pymatgen(moved)
    assert prototype_labels(crystal.species, find_symmetry(crystal))[0] == KNOWN["perovskite"][1][2]


def test_anonymous_labels_do_not_depend_on_the_elements() -> None:
    labels = set()
    for cation, anion in (("Na", "Cl"), ("Mg", "O"), ("Pb", "Te")):
        lattice = [[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]]
        crystal = Crystal.from_lists(lattice, [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])
        labels.add(analyse(crystal).anonymous_prototype)
    assert labels == {"AB_cF8_225_a_b"}


def test_letters_of_equal_amounts_are_ordered_among_themselves_only() -> None:
    own, anonymous = canonical_letters(1, ((("a", 3),), (("a", 1),), (("a", 2),)), (3, 1, 2))
    assert (own, anonymous) == ("3a_a_2a", "a_2a_3a")
