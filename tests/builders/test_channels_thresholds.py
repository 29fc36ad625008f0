"""The table of thresholds: what it holds, what is estimated beyond it, and how it is made."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from builders.channels import derive_thresholds
from builders.channels.framework import split
from builders.channels.thresholds import (
    DATA,
    MEASURED,
    Threshold,
    _fit,
    provenance,
    read_table,
    threshold,
    thresholds,
    to_json,
)
from store.crystal import Crystal
from store.errors import FeatureError
from store.ion_fields import WORKING_IONS

FCC = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
HOLES = [[0.5, 0.5, 0.5], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]
EQUIVALENT = 0.5 * (3 / (4 * np.pi)) ** (1 / 3)  # R_sd / a of the octahedral void of an fcc packing


def rock_salt(edge: float, cation: str = "Li", anion: str = "O") -> dict[str, Any]:
    return {
        "lattice": (np.eye(3) * edge).tolist(),
        "species": [anion] * 4 + [cation] * 4,
        "frac_coords": FCC + HOLES,
    }


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    with gzip.open(path, "wb") as file:
        file.writelines(orjson.dumps(row) + b"\n" for row in rows)
    return path


def test_every_row_was_measured_on_enough_structures_and_is_in_order() -> None:
    rows = thresholds()
    assert len(rows) > 150
    assert [(row.ion, row.anion or "") for row in rows] == sorted((row.ion, row.anion or "") for row in rows)
    assert len({(row.ion, row.anion) for row in rows}) == len(rows)
    assert {row.ion for row in rows} == set(WORKING_IONS)
    for row in rows:
        assert row.source == MEASURED
        assert not row.estimated
        assert 30 <= row.n <= row.n_available
        assert row.n_sites >= row.n
        assert row.r_sd_p5 is not None
        assert row.r_sd_p25 is not None
        assert row.r_sd_p50 is not None
        assert row.r_sd <= row.r_sd_p5 <= row.r_sd_p25 <= row.r_sd_p50
        assert row.r_chan == pytest.approx(provenance()["factor"] * row.distance, abs=1.5e-3)


def test_every_working_ion_has_its_common_anions() -> None:
    for ion in WORKING_IONS:
        for anion in ("O", "S", "F"):
            assert threshold(ion, anion).source == MEASURED


# Full-structure Voronoi cells of 150 random oxides each, another sample and another program: mean R_sd, mean nearest M-O.
@pytest.mark.parametrize(
    ("ion", "mean", "distance"),
    [("Li", 1.385, 2.008), ("Na", 1.558, 2.380), ("K", 1.712, 2.729), ("Mg", 1.369, 2.081), ("Ca", 1.511, 2.388)],
)
def test_oxide_rows_agree_with_an_independent_measurement(ion: str, mean: float, distance: float) -> None:
    row = threshold(ion, "O")
    assert row.r_sd_mean == pytest.approx(mean, abs=0.05)
    assert row.distance == pytest.approx(distance, abs=0.05)


def test_the_lithium_site_of_lithium_cobalt_oxide_is_above_its_threshold() -> None:
    row = threshold("Li", "O")
    assert row.r_sd <= 1.2905  # its own Voronoi cell
    assert row.r_chan < 1.721  # the face of its octahedron: the crystal conducts


def test_larger_ions_and_anions_need_more_room() -> None:
    for quantity in ("r_sd", "r_chan"):
        by_ion = [getattr(threshold(ion, "O"), quantity) for ion in ("Al", "Li", "Na", "K", "Rb", "Cs")]
        by_anion = [getattr(threshold("Li", anion), quantity) for anion in ("F", "O", "S", "Se")]
        assert by_ion == sorted(by_ion)
        assert by_anion[1:] == sorted(by_anion)[1:]


def test_a_pair_without_a_row_is_a_sum_of_two_terms() -> None:
    missing = threshold("Li", "C")
    assert missing.source == "additive"
    assert missing.estimated
    assert missing.n == 0
    assert missing.r_sd_p50 is None
    assert 2.0 < missing.distance < 2.4  # Li-C of the carbides
    assert missing.r_chan == pytest.approx(provenance()["factor"] * missing.distance)


def test_sums_of_terms_meet_the_measured_distances_of_ions_and_anions() -> None:
    table = read_table(DATA.read_text(encoding="utf-8"))
    nonmetals = {"H", "N", "O", "F", "S", "Cl", "Se", "Br", "Te", "I"}
    fit = _fit()
    errors = [
        abs(float(fit.ions[ion][0] + fit.anions[anion][0]) - row.distance)
        for (ion, anion), row in table.rows.items()
        if anion in nonmetals
    ]
    assert len(errors) > 90
    assert np.mean(errors) < 0.08


@pytest.mark.parametrize(
    ("ion", "anion"), [("Y", "O"), ("F", None), ("O", None), ("Mn", "S"), ("Li", "Xe"), ("H", "O")]
)
def test_beyond_the_table_ionic_radii_give_a_guess(ion: str, anion: str | None) -> None:
    guess = threshold(ion, anion)
    assert guess.source == "ionic radii"
    assert 1.0 < guess.r_sd < guess.distance
    assert 1.8 < guess.distance < 3.0


def test_an_ion_without_any_radius_is_refused() -> None:
    with pytest.raises(FeatureError, match="no thresholds for 'He'"):
        threshold("He", "O")


def test_the_file_is_what_the_script_would_write_from_its_rows() -> None:
    text = DATA.read_text(encoding="utf-8")
    table = read_table(text)
    assert to_json(table.about, list(table.rows.values())) == text
    assert to_json(table.about, list(table.rows.values())[::-1]) == text


def test_the_file_says_where_it_is_from_and_names_no_place_or_time() -> None:
    about = provenance()
    assert about["data_licence"] == "CC-BY-4.0"
    assert {"source", "data_sha256", "selection", "seed", "script", "factor"} <= set(about)
    assert "date" not in about
    assert "/" not in about["data_file"]


def test_nine_of_ten_easy_hops_pass_the_factor() -> None:
    check = provenance()["factor_check"]
    assert check["n_easy"] > 200
    assert check["easy_that_pass"] > 0.85
    assert check["hard_that_pass"] < check["easy_that_pass"]
    assert check["ratio_of_easy_hops"]["p10"] == pytest.approx(provenance()["factor"], abs=0.01)


def test_the_ion_of_rock_salt_has_the_octahedral_void() -> None:
    found = derive_thresholds.measure(split(Crystal.from_document(rock_salt(4.2)), "Li"))
    assert found is not None
    assert found.r_sd == pytest.approx(EQUIVALENT * 4.2, abs=1e-6)
    assert found.nearest == pytest.approx(2.1)
    assert len(found.r_sd) == 4


def test_sites_among_two_anions_or_beside_a_nearer_cation_are_not_measured() -> None:
    mixed = rock_salt(4.2)
    mixed["species"][0] = "F"
    found = derive_thresholds.measure(split(Crystal.from_document(mixed), "Li"))
    assert found is not None
    assert len(found.r_sd) == 1  # the one lithium of four with no fluorine at its octahedron
    metal_bonded = Crystal.from_lists(np.eye(3) * 5.0, ["Al", "Ti", "C"], [[0, 0, 0], [0.5, 0, 0], [0.5, 0.5, 0]])
    assert derive_thresholds.measure(split(metal_bonded, "Al")) is None


def test_in_a_metal_any_atom_is_the_nearest() -> None:
    metal = Crystal.from_lists(np.eye(3) * 4.0, ["Li", "Ag"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    found = derive_thresholds.measure(split(metal, "Li"))
    assert found is not None
    assert found.nearest == pytest.approx([2.0 * np.sqrt(3)])


def test_a_file_of_structures_becomes_a_table(tmp_path: Path) -> None:
    edges = [4.0, 4.2, 4.4]
    rows = [{"structure": rock_salt(edge), "energy_above_hull": 0.0} for edge in edges]
    rows += [
        {"structure": rock_salt(9.0), "energy_above_hull": 0.3},  # far above the hull
        {"structure": rock_salt(9.0), "energy_above_hull": None},  # hull unknown
        {"structure": rock_salt(9.0)},
        {"structure": rock_salt(5.0, "Na", "F"), "energy_above_hull": 0.0},  # too few of its kind
    ]
    source, out = write_rows(tmp_path / "structures.jsonl.gz", rows), tmp_path / "table.json"
    (row,) = derive_thresholds.derive(source, least=3)
    assert (row.ion, row.anion, row.n, row.n_sites, row.n_available) == ("Li", "O", 3, 12, 3)
    assert row.distance == pytest.approx(2.1)
    assert row.r_sd_p50 == pytest.approx(EQUIVALENT * 4.2, abs=1e-6)
    assert row.r_sd_std == pytest.approx(np.std(np.array(edges) * EQUIVALENT), abs=1e-6)

    derive_thresholds.main([str(source), "--out", str(out), "--source", "three cells", "--licence", "none"])
    content = json.loads(out.read_text(encoding="utf-8"))
    assert content["rows"] == []
    assert content["about"]["source"] == "three cells"
    assert content["about"]["data_sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()


def test_the_sample_is_random_of_the_wanted_size_and_the_same_again(tmp_path: Path) -> None:
    rows = [{"structure": rock_salt(4.0 + number / 100), "energy_above_hull": 0.0} for number in range(20)]
    source = write_rows(tmp_path / "structures.jsonl.gz", rows)
    drawn, available = derive_thresholds.draw(source, sample=5, seed=1)
    assert available == {("Li", "O"): 20}
    assert len(drawn) == 5
    assert drawn == derive_thresholds.draw(source, sample=5, seed=1)[0]
    assert drawn != derive_thresholds.draw(source, sample=5, seed=2)[0]


def test_each_structure_counts_once_whatever_its_number_of_sites() -> None:
    many = derive_thresholds.Surroundings(np.full(9, 1.0), np.full(9, 2.0))
    one = derive_thresholds.Surroundings(np.array([2.0]), np.array([3.0]))
    row = derive_thresholds.summarise(("Li", "O"), [many, one], 2)
    assert row.r_sd_mean == pytest.approx(1.5)
    assert row.distance == pytest.approx(2.5)


def test_weighted_quantiles_of_equal_weights_are_the_plain_ones() -> None:
    values = np.random.default_rng(0).normal(size=501)
    found = derive_thresholds.weighted_quantiles(values, np.ones(501), (0.25, 0.5))
    assert found == pytest.approx(np.quantile(values, [0.25, 0.5], method="hazen"))


def test_the_widest_way_in_an_fcc_packing_leads_through_its_triangles() -> None:
    framework = Crystal.from_lists(np.eye(3) * 4.0, ["O"] * 4, FCC)
    start = np.array([0.5, 0.5, 0.5])
    for end in ([0.5, 0, 0], [0.5, 0.5, -0.5]):
        assert derive_thresholds.widest_way(framework, start, np.array(end)) == pytest.approx(
            4.0 / np.sqrt(6), abs=1e-4
        )


def test_hops_are_judged_with_each_host_counted_once(tmp_path: Path) -> None:
    host = Crystal.from_lists(np.eye(3) * 4.0, ["O"] * 4, FCC).to_document()
    hop = {
        "structure": host,
        "working_ion": "Li",
        "start_frac": [0.5, 0.5, 0.5],
        "end_frac": [0.5, 0, 0],
        "framework_formula": "O2",
        "barrier_eV": 0.3,
        "quality_flags": [],
    }
    wide = {**host, "lattice": (np.eye(3) * 5.0).tolist()}
    rows = [
        hop,
        {**hop, "quality_flags": ["doubtful"]},
        {**hop, "framework_formula": "O3", "structure": wide},
        {**hop, "barrier_eV": 1.0},
    ]
    table = [Threshold("Li", "O", 1.2, 1.66, 2.0)]
    hops = derive_thresholds.read_hops(write_rows(tmp_path / "hops.jsonl.gz", rows), table)
    assert hops.hosts == ["Li O2", "Li O3", "Li O2"]
    assert hops.ratios == pytest.approx([2.0 / np.sqrt(6), 2.5 / np.sqrt(6), 2.0 / np.sqrt(6)], abs=1e-4)
    check = derive_thresholds.check_factor(hops, "made up")
    assert (check["n_easy"], check["n_hard"], check["n_hosts"]) == (2, 1, 2)
    assert check["easy_that_pass"] == 0.5
    assert check["hard_that_pass"] == 0.0


@pytest.mark.data
def test_the_hops_at_hand_give_the_check_of_the_factor_again(data_folder: Path) -> None:
    barriers = data_folder / "ionic" / "barriers.jsonl.gz"
    check = derive_thresholds.check_factor(
        derive_thresholds.read_hops(barriers, list(thresholds())), provenance()["factor_check"]["source"]
    )
    assert check == provenance()["factor_check"]
