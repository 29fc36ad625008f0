"""What stays and what travels: ion sites, disorder, coincident sites, cations and anions."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.channels.framework import (
    FLAG_ALTERNATIVE,
    FLAG_COINCIDENT,
    FLAG_DISORDERED,
    FLAG_MIXED,
    FLAG_OVERLAP,
    FLAG_PARTIAL_IONS,
    FLAG_SPLIT_IONS,
    Framework,
    split,
)
from builders.structures.validation import validate
from store.crystal import Crystal
from store.errors import EmptyFramework, UnknownElement

ROCK_SALT = [
    [0, 0, 0],
    [0, 0.5, 0.5],
    [0.5, 0, 0.5],
    [0.5, 0.5, 0],
    [0.5, 0.5, 0.5],
    [0.5, 0, 0],
    [0, 0.5, 0],
    [0, 0, 0.5],
]


Atom = tuple[str | Mapping[str, float], Sequence[float]]


def box(edge: float, *atoms: Atom) -> Crystal:
    """A cubic cell; an atom is a symbol or ``{symbol: occupancy}`` with Cartesian coordinates in Å."""
    sites = [{kind: 1.0} if isinstance(kind, str) else kind for kind, _ in atoms]
    return Crystal.from_sites(np.eye(3) * edge, sites, np.array([place for _, place in atoms]) / edge)


def codes(framework: Framework) -> list[str]:
    return [flag.code for flag in framework.flags]


def reason(framework: Framework, code: str) -> str:
    return next(flag.reason for flag in framework.flags if flag.code == code)


def cation_symbols(framework: Framework) -> set[str]:
    return {symbol for symbol, cation in zip(framework.crystal.species, framework.cations, strict=True) if cation}


def _olivine() -> Crystal:
    """LiFePO4, the cell and coordinates of the published study."""
    positions = {
        "Li": [[0, 0, 0]],
        "Fe": [[0.28222, 0.25, 0.97472]],
        "P": [[0.09486, 0.25, 0.41820]],
        "O": [[0.09678, 0.25, 0.74279], [0.45710, 0.25, 0.20602], [0.16558, 0.04646, 0.28478]],
    }
    operations = [
        (np.diag(signs), np.array(shift))
        for signs, shift in (
            ((1, 1, 1), (0, 0, 0)),
            ((-1, -1, 1), (0.5, 0, 0.5)),
            ((-1, 1, -1), (0, 0.5, 0)),
            ((1, -1, -1), (0.5, 0.5, 0.5)),
        )
    ]
    operations += [(-rotation, -shift) for rotation, shift in operations]
    species, places = [], []
    for symbol, sites in positions.items():
        found: list[np.ndarray] = []
        for site in np.array(sites):
            for rotation, shift in operations:
                place = (rotation @ site + shift) % 1.0
                if all(np.abs((place - other + 0.5) % 1.0 - 0.5).max() > 1e-3 for other in found):
                    found.append(place)
        species += [symbol] * len(found)
        places += found
    return Crystal.from_lists(np.diag([10.329, 6.0065, 4.6908]), species, places)


@pytest.fixture
def olivine() -> Crystal:
    return _olivine()


def test_lithium_iron_phosphate_keeps_its_cations_and_its_oxygen_surrounds_the_ion(olivine: Crystal) -> None:
    parts = split(olivine, "Li")
    assert olivine.amounts() == {"Li": 4, "Fe": 4, "P": 4, "O": 16}
    assert parts.crystal.amounts() == {"Fe": 4, "P": 4, "O": 16}
    assert np.array_equal(parts.kept, np.arange(4, 28))
    assert np.array_equal(parts.site_indices, np.arange(4))
    assert np.array_equal(parts.sites, olivine.frac_coords[:4])
    assert parts.occupancies.tolist() == [1.0] * 4
    assert cation_symbols(parts) == {"Fe", "P"}
    assert int(parts.cations.sum()) == 8
    assert parts.anion == "O"
    assert parts.flags == ()
    assert np.array_equal(parts.crystal.lattice, olivine.lattice)


def test_another_mobile_ion_is_framework() -> None:
    parts = split(Crystal.from_lists(np.eye(3) * 5, ["Li"] * 2 + ["Na"] * 2 + ["Cl"] * 4, ROCK_SALT), "Li")
    assert parts.crystal.amounts() == {"Na": 2, "Cl": 4}
    assert cation_symbols(parts) == {"Na"}


def test_a_host_without_the_ion_is_all_framework_and_its_most_abundant_anion_is_named(olivine: Crystal) -> None:
    parts = split(olivine, "Na")
    assert parts.crystal.n_sites == olivine.n_sites
    assert parts.sites.shape == (0, 3)
    assert parts.occupancies.shape == (0,)
    assert parts.anion == "O"
    assert parts.flags == ()


def test_of_two_anions_the_one_around_the_ion_is_named_not_the_more_abundant_one() -> None:
    crystal = box(
        9.0,
        ("Li", [1, 1, 1]),
        *(("S", [1 + x, 1 + y, 1 + z]) for x, y, z in ((2.5, 0, 0), (0, 2.5, 0), (0, 0, 2.5))),
        *(("Zr", [6, 6, z]) for z in (2.0, 6.0)),
        *(("O", [6 + x, 6 + y, 6]) for x, y in ((2, 0), (-2, 0), (0, 2), (0, -2))),
    )
    assert split(crystal, "Li").anion == "S"
    assert split(crystal, "Na").anion == "O"


def test_an_ion_far_from_every_anion_still_finds_the_nearest() -> None:
    crystal = box(14.0, ("Cs", [0, 0, 0]), ("I", [5.5, 0, 0]), ("Cl", [0, 6.9, 0]), ("Cl", [0, 0, 6.9]))
    assert split(crystal, "Cs").anion == "I"


@pytest.mark.parametrize(
    ("formers", "cations"),
    [
        ([("P", [0, 0, 0]), ("O", [1.54, 0, 0])], {"P"}),  # phosphate
        ([("P", [0, 0, 0]), ("S", [2.05, 0, 0])], {"P"}),  # thiophosphate
        ([("C", [0, 0, 0]), ("O", [1.29, 0, 0])], {"C"}),  # carbonate
        ([("C", [0, 0, 0]), ("N", [1.16, 0, 0])], {"C"}),  # cyanide
        ([("H", [0, 0, 0]), ("O", [0.97, 0, 0])], {"H"}),  # hydroxide
        ([("I", [0, 0, 0]), ("O", [1.82, 0, 0])], {"I"}),  # iodate
        ([("S", [0, 0, 0]), ("O", [3.2, 0, 0])], set()),  # oxide sulfide
        ([("As", [0, 0, 0]), ("O", [3.5, 0, 0])], set()),  # oxide arsenide
        ([("S", [0, 0, 0]), ("S", [2.1, 0, 0])], set()),  # disulfide
        ([("N", [0, 0, 0]), ("N", [1.18, 0, 0])], set()),  # azide
        ([("B", [0, 0, 0]), ("H", [1.2, 0, 0])], {"B"}),  # boranate
        ([("Sn", [0, 0, 0]), ("Se", [2.6, 0, 0])], {"Sn"}),  # selenostannate
        ([("Sn", [0, 0, 0]), ("Al", [2.8, 0, 0])], {"Al"}),  # no anion but tin
    ],
)
def test_an_anion_former_bonded_to_a_more_electronegative_one_is_a_cation(
    formers: list[Atom], cations: set[str]
) -> None:
    parts = split(box(8.0, ("Li", [4, 4, 4]), ("La", [0, 4, 4]), *formers), "Li")
    assert cation_symbols(parts) == cations | {"La"}


def test_one_element_can_be_anion_and_cation_in_one_crystal() -> None:
    sulfate_and_sulfide = box(9.0, ("Li", [4, 4, 4]), ("S", [0, 0, 0]), ("O", [1.48, 0, 0]), ("S", [4, 4, 6.5]))
    assert split(sulfate_and_sulfide, "Li").cations.tolist() == [True, False, False]


def test_a_metal_has_neither_anions_nor_cations() -> None:
    parts = split(box(4.0, ("Li", [0, 0, 0]), ("Ag", [2, 2, 2])), "Li")
    assert parts.anion is None
    assert parts.cations.tolist() == [False]


def test_aluminium_is_the_anion_where_nothing_else_can_be() -> None:
    assert split(box(4.0, ("Li", [0, 0, 0]), ("Al", [2, 2, 2])), "Li").anion == "Al"


def test_taking_everything_out_is_refused() -> None:
    with pytest.raises(EmptyFramework, match="Nothing is left of the crystal when Li is taken out"):
        split(box(3.4, ("Li", [0, 0, 0])), "Li")


def test_an_ion_that_is_no_element_is_refused() -> None:
    with pytest.raises(UnknownElement, match=r"'Li\+' is no element symbol"):
        split(box(4.0, ("Li", [0, 0, 0]), ("F", [2, 2, 2])), "Li+")


def perovskite(site: dict[str, float], *, extra: tuple[str, list[float]] | None = None) -> Crystal:
    atoms: list[Atom] = [
        (site, [0, 0, 0]),
        ("Ti", [1.95, 1.95, 1.95]),
        ("O", [1.95, 1.95, 0]),
        ("O", [1.95, 0, 1.95]),
        ("O", [0, 1.95, 1.95]),
    ]
    return box(3.9, *atoms, *([extra] if extra else []))


def test_a_site_half_of_whose_atoms_are_the_ions_is_its_site() -> None:
    parts = split(perovskite({"Li": 0.5, "La": 0.5}), "Li")
    assert parts.site_indices.tolist() == [0]
    assert parts.occupancies.tolist() == [0.5]
    assert parts.crystal.amounts() == {"Ti": 1, "O": 3}
    assert codes(parts) == [FLAG_MIXED, FLAG_PARTIAL_IONS]
    assert "Li is 0.50 of them" in reason(parts, FLAG_MIXED)
    assert "1 of 1 ion sites" in reason(parts, FLAG_PARTIAL_IONS)


def test_vacancies_do_not_count_when_shares_are_compared() -> None:
    assert split(perovskite({"Li": 0.3, "La": 0.2}), "Li").site_indices.tolist() == [0]


def test_a_minority_of_the_ion_is_its_site_when_it_has_no_other() -> None:
    parts = split(perovskite({"Li": 0.34, "La": 0.55}), "Li")
    assert parts.site_indices.tolist() == [0]
    assert parts.occupancies.tolist() == [0.34]
    assert "taken as ion sites" in reason(parts, FLAG_MIXED)


def test_a_minority_of_the_ion_does_not_open_a_site_when_it_has_others() -> None:
    parts = split(perovskite({"Li": 0.34, "La": 0.55}, extra=("Li", [1.95, 1.95, 0.9])), "Li")
    assert parts.site_indices.tolist() == [5]
    assert codes(parts)[:1] == [FLAG_MIXED]
    assert "taken as framework" in reason(parts, FLAG_MIXED)
    assert reason(parts, FLAG_DISORDERED).startswith("1 of 5 framework sites")
    assert parts.crystal.occupancies is not None
    assert parts.crystal.occupancies[0] == {"Li": 0.34, "La": 0.55}


def test_a_trace_of_the_ion_opens_no_site_at_all() -> None:
    parts = split(perovskite({"Li": 0.02, "La": 0.98}), "Li")
    assert len(parts.sites) == 0
    assert parts.crystal.n_sites == 5


def test_partly_empty_and_shared_framework_sites_stay_and_are_flagged() -> None:
    crystal = box(
        4.2, ("Li", [0, 0, 0]), ({"Mn": 0.4, "Ni": 0.4}, [2.1, 2.1, 0]), ("O", [2.1, 0, 0]), ("O", [0, 2.1, 0])
    )
    parts = split(crystal, "Li")
    assert codes(parts) == [FLAG_DISORDERED]
    assert reason(parts, FLAG_DISORDERED).startswith(
        "1 of 3 framework sites are shared or partly empty (occupancy 0.80)"
    )
    assert parts.cations.tolist() == [True, False, False]


def test_a_partly_occupied_ion_site_keeps_its_occupancy() -> None:
    parts = split(box(4.2, ({"Na": 0.7}, [0, 0, 0]), ("Cl", [2.1, 0, 0])), "Na")
    assert parts.occupancies.tolist() == [0.7]
    assert codes(parts) == [FLAG_PARTIAL_IONS]
    assert parts.crystal.is_ordered


def test_of_coincident_framework_sites_the_fullest_stays() -> None:
    crystal = box(
        5.0, ("Li", [0, 0, 0]), ({"O": 0.3}, [2.5, 2.5, 2.3]), ({"O": 0.7}, [2.5, 2.5, 2.5]), ("Zr", [0, 2.5, 2.5])
    )
    parts = split(crystal, "Li")
    assert parts.kept.tolist() == [2, 3]
    assert codes(parts) == [FLAG_COINCIDENT, FLAG_DISORDERED]
    assert "sites 2 and 3, 0.200 Å" in reason(parts, FLAG_COINCIDENT)


def test_a_row_of_coincident_sites_leaves_points_that_are_apart() -> None:
    atoms: list[Atom] = [({"O": 0.2}, [2.5, 2.5, 1.0 + 0.3 * step]) for step in range(5)]
    parts = split(box(5.0, ("Li", [0, 0, 0]), ("Zr", [0, 2.5, 2.5]), *atoms), "Li")
    heights = np.sort(parts.crystal.frac_coords[1:, 2] * 5.0)
    assert np.diff(heights).min() > 0.4
    assert len(heights) >= 2


def test_coincidence_is_seen_across_the_cell_border() -> None:
    crystal = box(5.0, ("Li", [2.5, 2.5, 2.5]), ("O", [0.05, 0, 0]), ("O", [4.9, 0, 0]), ("Zr", [0, 2.5, 2.5]))
    assert split(crystal, "Li").kept.tolist() == [1, 3]


def test_alternative_positions_without_hydrogen_are_flagged_and_stay() -> None:
    atoms: list[Atom] = [({"O": 0.5}, [2.5, 2.5, 2.5]), ({"O": 0.5}, [2.5, 2.5, 3.4])]
    parts = split(box(6.0, ("Li", [0, 0, 0]), ("Zr", [0, 3.0, 3.0]), *atoms), "Li")
    assert parts.kept.tolist() == [1, 2, 3]
    assert codes(parts) == [FLAG_ALTERNATIVE, FLAG_DISORDERED]


def test_half_a_hydrogen_on_an_oxygen_is_no_alternative() -> None:
    parts = split(box(6.0, ("Li", [0, 0, 0]), ("O", [3, 3, 3]), ({"H": 0.5}, [3, 3, 3.97])), "Li")
    assert codes(parts) == [FLAG_DISORDERED]
    assert parts.cations.tolist() == [False, True]


def test_split_ion_sites_stay_and_are_flagged() -> None:
    atoms: list[Atom] = [({"Li": 0.5}, [0, 0, 0.2]), ({"Li": 0.5}, [0, 0, -0.2])]
    parts = split(box(5.0, *atoms, ("O", [2.5, 0, 0])), "Li")
    assert parts.site_indices.tolist() == [0, 1]
    assert codes(parts) == [FLAG_SPLIT_IONS, FLAG_PARTIAL_IONS]
    assert "0.400 Å" in reason(parts, FLAG_SPLIT_IONS)


@pytest.mark.parametrize(("lithium", "kept", "ions"), [(0.6, [2], [0]), (0.5, [2], [0]), (0.1, [1, 2], [])])
def test_an_ion_and_an_atom_in_one_place_leave_the_fuller_of_the_two(
    lithium: float, kept: list[int], ions: list[int]
) -> None:
    atoms: list[Atom] = [({"Li": lithium}, [0, 0, 0]), ({"Zn": 1.0 - lithium}, [0, 0, 0.25])]
    parts = split(box(5.0, *atoms, ("O", [2.0, 0, 0])), "Li")
    assert parts.kept.tolist() == kept
    assert parts.site_indices.tolist() == ions
    assert FLAG_MIXED in codes(parts)


def test_an_ion_site_beside_an_atom_that_excludes_it_is_flagged() -> None:
    atoms: list[Atom] = [({"Li": 0.5}, [0, 0, 0]), ({"Zn": 0.5}, [0, 0, 0.9])]
    parts = split(box(5.0, *atoms, ("O", [2.0, 0, 0])), "Li")
    assert codes(parts) == [FLAG_OVERLAP, FLAG_DISORDERED, FLAG_PARTIAL_IONS]
    assert parts.kept.tolist() == [1, 2]


def test_flags_tell_one_sentence_each() -> None:
    parts = split(perovskite({"Li": 0.5, "La": 0.5}), "Li")
    for flag in parts.flags:
        assert flag.reason.endswith(".")
        assert flag.reason[0].isupper() or flag.reason[0].isdigit()


@given(
    order=st.permutations(range(28)),
    shift=st.tuples(*[st.floats(-2, 2)] * 3),
    shear=st.integers(-3, 3),
)
@settings(max_examples=25, deadline=None)
def test_order_origin_and_cell_do_not_change_the_split(
    order: list[int], shift: tuple[float, float, float], shear: int
) -> None:
    crystal = _olivine()
    change = np.array([[1, shear, 0], [0, 1, 0], [0, 0, 1]])
    moved = Crystal(
        change @ crystal.lattice,
        ((crystal.frac_coords + shift) @ np.linalg.inv(change))[order],
        tuple(crystal.species[site] for site in order),
    )
    parts = split(moved, "Li")
    assert {moved.species[site] for site in parts.site_indices} == {"Li"}
    assert len(parts.sites) == 4
    assert parts.anion == "O"
    assert cation_symbols(parts) == {"Fe", "P"}
    assert int(parts.cations.sum()) == 8
    assert parts.flags == ()


@pytest.mark.data
def test_hardly_an_ordered_crystal_is_flagged_and_all_can_be_split(data_folder: Path) -> None:
    rows, flagged = 0, 0
    with gzip.open(data_folder / "structures" / "mp_stable52.jsonl.gz") as file:
        for line in file:
            structure = orjson.loads(line)["structure"]
            if "Li" in structure["species"] and len(set(structure["species"])) > 1:
                parts = split(validate(Crystal.from_document(structure)).crystal, "Li")
                assert len(parts.kept) + len(parts.site_indices) == len(structure["species"])
                rows += 1
                flagged += bool(parts.flags)
            if rows == 300:
                break
    assert rows == 300
    assert flagged / rows < 0.005
