"""An analysis of channels becomes a small document and comes back as it was, as far as float32 goes."""

from __future__ import annotations

from typing import Any

import bson
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.channels.analysis import analyse
from builders.channels.document import from_document, to_document
from builders.channels.model import Channels
from builders.channels.percolation import percolate
from builders.channels.thresholds import threshold
from store.arrays import pack, unpack
from store.crystal import Crystal
from store.errors import ArraysDamaged
from store.provenance import reject_non_finite

from .channel_crystals import layered, olivine, random_crystal, rock_salt


def crystal(structure: Any) -> Crystal:
    return Crystal.from_pymatgen(structure)


def written(found: Channels) -> dict[str, Any]:
    document = to_document(found, threshold(found.ion, found.anion))
    reject_non_finite(document)
    return bson.decode(bson.encode(document))


def assert_same(again: Channels, found: Channels) -> None:
    assert (again.ion, again.anion, again.flags) == (found.ion, found.anion, found.flags)
    assert (again.percolation, again.hop_percolation) == (found.percolation, found.hop_percolation)
    assert again.certificate == found.certificate
    assert again.framework.species == found.framework.species
    assert again.framework.occupancies == found.framework.occupancies
    assert (again.framework.lattice == found.framework.lattice).all()
    for name in ("frac_coords", "r_void", "r_sd", "site_distance"):
        np.testing.assert_allclose(getattr(again.voids, name), getattr(found.voids, name), rtol=1e-6, atol=1e-7)
    for name in ("orbit", "n_members", "site"):
        np.testing.assert_array_equal(getattr(again.voids, name), getattr(found.voids, name))
    for name in ("r_chan", "r_open", "length"):
        np.testing.assert_allclose(getattr(again.passages, name), getattr(found.passages, name), rtol=1e-6, atol=1e-5)
    for name in ("voids", "offsets", "atoms", "atom_shifts", "inside", "blocked"):
        np.testing.assert_array_equal(getattr(again.passages, name), getattr(found.passages, name))
        assert getattr(again.passages, name).dtype.kind == getattr(found.passages, name).dtype.kind
    np.testing.assert_allclose(again.framework.frac_coords, found.framework.frac_coords, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(again.sites, found.sites, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(again.occupancies, found.occupancies, rtol=1e-6)
    for name in ("sites", "offsets", "of_hop"):
        np.testing.assert_array_equal(getattr(again.links, name), getattr(found.links, name))
    exact = ("start", "end", "offset", "multiplicity", "void", "route", "passages")
    rounded = ("p_length", "r_sd", "r_chan", "r_bottleneck", "route_length")
    assert [[getattr(hop, name) for name in exact] for hop in again.hops] == [
        [getattr(hop, name) for name in exact] for hop in found.hops
    ]
    for name in rounded:
        values = [[getattr(hop, name) for hop in hops] for hops in (again.hops, found.hops)]
        np.testing.assert_allclose(*values, rtol=1e-6)


@pytest.mark.parametrize(
    ("structure", "ion"),
    [
        (olivine(), "Li"),
        (layered(), "Li"),
        (layered(), "O"),
        (layered(None), "Li"),
        (rock_salt("Na", "Cl", 5.64), "Na"),
        (rock_salt("Na", "Cl", 5.64), "Li"),
    ],
    ids=["olivine", "layered", "anion", "host", "halite", "insertion"],
)
def test_known_crystals_come_back(structure: Any, ion: str) -> None:
    found = analyse(crystal(structure), ion)
    assert_same(from_document(written(found)), found)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_any_crystal_comes_back(seed: int) -> None:
    found = analyse(random_crystal(seed), "Li")
    assert_same(from_document(written(found)), found)


def test_a_disordered_framework_comes_back() -> None:
    sites = [{"Li": 0.5}, {"Fe": 0.6, "Mn": 0.4}, {"O": 1.0}, {"O": 0.9}]
    places = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0, 0.5, 0.5]]
    found = analyse(Crystal.from_sites(np.diag([4.0, 4.2, 4.4]), sites, places), "Li")
    document = written(found)
    assert document["cell"]["kinds"] == ["Fe0.6Mn0.4", "O", "O0.9"]
    assert {flag["code"] for flag in document["channel_flags"]} >= {"disordered framework"}
    assert_same(from_document(document), found)


def test_the_plain_fields_say_what_the_analysis_found() -> None:
    found = analyse(crystal(olivine()), "Li")
    row = threshold("Li", "O")
    document = written(found)
    assert (document["ion"], document["anion"], document["insertion"]) == ("Li", "O", False)
    assert tuple(document[f"r{k}"] for k in (1, 2, 3)) == found.percolation.radii
    assert document["r1"] == pytest.approx(1.878, abs=0.01)
    assert document["directions"][0] == [[0, 1, 0]]
    assert document["threshold"] == row.r_chan
    assert document["threshold_source"] == "measured"
    assert document["channel_dimension"] == sum(radius >= row.r_chan for radius in found.percolation.radii)
    assert document["n_voids"] == len(found.voids.r_void)
    assert document["n_channels"] == len(found.passages.r_chan)
    assert document["n_hops"] == len(found.hops)
    assert document["certificate"]["betti"] == [1, 3, 3, 1]
    held = found.voids.r_sd[found.voids.site >= 0]
    assert (document["r_sd_min"], document["r_sd_max"]) == (held.min(), held.max())


def test_the_path_along_b_of_olivine_has_its_bottleneck_and_its_smallest_channel() -> None:
    document = written(analyse(crystal(olivine()), "Li"))
    assert document["path_directions"][0] == [[0, 1, 0]]
    assert document["path_r1"] == pytest.approx(1.877, abs=0.01)
    assert document["path_r_chan1"] == pytest.approx(1.753, abs=0.01)
    assert document["path_r_chan1"] < document["path_r1"]


def test_a_host_tells_the_voids_that_are_large_enough() -> None:
    found = analyse(crystal(layered(None)), "Li")
    document = written(found)
    large = found.voids.r_sd[found.voids.r_sd >= threshold("Li", "O").r_sd]
    assert document["insertion"]
    assert 0 < len(large) < len(found.voids.r_sd)
    assert (document["r_sd_min"], document["r_sd_max"]) == (large.min(), large.max())


def test_without_a_threshold_there_is_no_dimension() -> None:
    document = to_document(analyse(crystal(layered()), "Li"))
    assert (document["threshold"], document["threshold_source"], document["channel_dimension"]) == (None, None, None)
    assert document["r1"] > 0


def test_the_same_analysis_gives_the_same_document() -> None:
    one, other = (to_document(analyse(crystal(olivine()), "Li")) for _ in range(2))
    assert one == other


def test_a_document_of_thirty_three_atoms_is_below_ten_kilobytes() -> None:
    sizes = [len(bson.encode(written(analyse(random_crystal(seed, 33), "Li")))) for seed in range(3)]
    assert max(sizes) < 10_000
    assert len(bson.encode(written(analyse(crystal(olivine()), "Li")))) < 5_000


@pytest.mark.parametrize(("structure", "ion"), [(olivine(), "Li"), (layered(), "Li"), (layered(None), "Li")])
def test_all_hops_of_the_cell_are_kept(structure: Any, ion: str) -> None:
    found = analyse(crystal(structure), ion)
    again = from_document(written(found))
    assert np.bincount(again.links.of_hop).tolist() == [hop.multiplicity for hop in found.hops]
    for number, hop in enumerate(found.hops):
        mine = again.links.of_hop == number
        one = [*zip(again.links.sites[mine].tolist(), again.links.offsets[mine].tolist(), strict=True)]
        there, back = ([hop.start, hop.end], list(hop.offset)), ([hop.end, hop.start], [-n for n in hop.offset])
        assert there in one or back in one
    widths = np.array([hop.r_bottleneck for hop in found.hops])[again.links.of_hop]
    over = percolate(again.links.sites, again.links.offsets, widths, again.n_places)
    assert over.radii == pytest.approx(again.hop_percolation.radii, abs=0.02)


def test_a_document_without_all_hops_is_told() -> None:
    document = written(analyse(crystal(layered()), "Li"))
    arrays = {name: array for name, array in unpack(document["arrays"]).items() if name != "links"}
    with pytest.raises(ArraysDamaged, match="ionatlas build channels"):
        from_document({**document, "arrays": pack(arrays)})


def test_damaged_arrays_are_told() -> None:
    document = written(analyse(crystal(layered()), "Li"))
    with pytest.raises(ArraysDamaged):
        from_document({**document, "arrays": document["arrays"][:-5]})
