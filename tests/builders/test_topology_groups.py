"""Groups of sites: what is asked for, in ordered and disordered crystals."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import orjson
import pytest

from builders.channels.framework import split
from builders.structures.validation import validate
from builders.topology.analysis import analyse
from builders.topology.groups import groups_of
from store.crystal import Crystal
from store.errors import FeatureError, UnknownElement

from .channel_crystals import caesium_chloride, layered, olivine, random_crystal


def symbols(crystal: Crystal, ion: str | None) -> dict[str, list[str]]:
    return {name: sorted({crystal.species[i] for i in sites}) for name, sites in groups_of(crystal, ion).items()}


def test_olivine() -> None:
    crystal = Crystal.from_pymatgen(olivine())
    assert symbols(crystal, "Li") == {
        "all": ["Fe", "Li", "O", "P"],
        "ion": ["Li"],
        "anions": ["O"],
        "cations": ["Fe", "P"],
        "framework": ["Fe", "O", "P"],
        "El:Li": ["Li"],
        "El:Fe": ["Fe"],
        "El:P": ["P"],
        "El:O": ["O"],
    }
    assert {name: len(sites) for name, sites in groups_of(crystal, "Li").items()}["anions"] == 16


def test_without_the_ion_all_is_framework() -> None:
    host = Crystal.from_pymatgen(layered(None))
    for ion in ("Li", None):
        found = symbols(host, ion)
        assert "ion" not in found
        assert found["framework"] == ["Co", "O"]
        assert found["cations"] == ["Co"]
    # The cations of a crystal asked about without an ion are all of them.
    assert symbols(Crystal.from_pymatgen(layered()), None)["cations"] == ["Co", "Li"]


def test_metals_have_no_anions_and_no_cations() -> None:
    found = symbols(Crystal.from_pymatgen(caesium_chloride("Li", "Mg", 3.3)), "Li")
    assert found == {
        "all": ["Li", "Mg"], "ion": ["Li"], "framework": ["Mg"], "El:Li": ["Li"], "El:Mg": ["Mg"],
    }  # fmt: skip


def test_nothing_but_the_ion() -> None:
    lithium = Crystal.from_lists(3.5 * np.eye(3), ["Li", "Li"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert list(groups_of(lithium, "Li")) == ["all", "ion", "El:Li"]
    assert list(analyse(lithium)) == ["all", "ion"]


def test_disordered_sites_count_when_half_full() -> None:
    sites = [{"Li": 0.8}, {"Li": 0.3}, {"O": 1.0}, {"Fe": 0.6, "Mn": 0.4}, {"O": 0.4}]
    places = [[0, 0, 0], [0.5, 0, 0], [0.5, 0.5, 0], [0, 0.5, 0.5], [0.5, 0, 0.5]]
    crystal = Crystal.from_sites(6.0 * np.eye(3), sites, places)
    found = {name: indices.tolist() for name, indices in groups_of(crystal, "Li").items()}
    assert found["all"] == [0, 2, 3]
    assert found["ion"] == [0]
    assert found["framework"] == split(crystal, "Li").kept.tolist() == [2, 3, 4]  # as channels count them
    assert found["anions"] == [2]
    assert found["cations"] == [3]
    assert found["El:Fe"] == [3]
    assert found["El:Mn"] == [3]  # nowhere half full: where there is most of it


def test_ions_spread_thinly_are_where_most_of_them_are() -> None:
    sites = [{"Li": 0.33}, {"Li": 0.33}, {"Li": 0.1}, {"S": 1.0}]
    crystal = Crystal.from_sites(6.0 * np.eye(3), sites, [[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0.5, 0.5, 0.5]])
    assert groups_of(crystal, "Li")["ion"].tolist() == [0, 1]


def test_of_split_sites_the_fullest_counts() -> None:
    sites = [{"Li": 0.5}, {"Li": 0.6}, {"S": 1.0}]
    crystal = Crystal.from_sites(6.0 * np.eye(3), sites, [[0, 0, 0], [0.05, 0, 0], [0.5, 0.5, 0.5]])
    groups = groups_of(crystal, "Li")
    assert groups["ion"].tolist() == [1]
    assert groups["all"].tolist() == [1, 2]
    assert all(each.betti == (1, 3, 3, 1) for each in analyse(crystal).values())


def test_groups_of_the_same_atoms_are_analysed_once() -> None:
    crystal = random_crystal(4)
    found = analyse(crystal, "Li", ("framework", "ion", "El:Li", "El:O"))
    assert list(found) == ["framework", "ion", "El:Li", "El:O"]
    assert found["ion"] is found["El:Li"]
    assert found["ion"].n_points == crystal.species.count("Li")


def test_unknown_groups_and_ions_are_refused() -> None:
    crystal = random_crystal(4)
    with pytest.raises(FeatureError, match="'anion'"):
        analyse(crystal, "Li", ("anion",))
    assert "El:Na" not in analyse(crystal, "Li", ("El:Na", "all"))
    assert "ion" not in groups_of(crystal, "Na")
    with pytest.raises(UnknownElement):
        groups_of(crystal, "Xx")


@pytest.mark.data
@pytest.mark.slow
def test_conductors_with_partial_occupancy_have_all_their_groups(data_folder: Path) -> None:
    with gzip.open(data_folder / "ionic" / "conductivity.jsonl.gz") as file:
        rows = [orjson.loads(line) for line in file]
    rows = [row for row in rows if row.get("structure")]
    done = 0
    for row in rows[:: max(1, len(rows) // 60)]:
        given = row["structure"]
        sites = [site["species"] for site in given["sites"]]
        places = [site["frac_coords"] for site in given["sites"]]
        crystal = validate(Crystal.from_sites(given["lattice"], sites, places)).crystal
        found = analyse(crystal, "Li")
        held = crystal.amounts()
        assert ("ion" in found) == ("Li" in held)
        assert all(each.betti == (1, 3, 3, 1) for each in found.values())
        done += 1
    assert done >= 50
