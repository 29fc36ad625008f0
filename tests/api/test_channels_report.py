"""The report on channels: the same answer from every kind of source, words and tables that say what the arrays hold."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from api.channels import channels
from api.channels.report import ChannelReport
from api.channels.source import read_source
from api.channels.tables import MEANINGS, UNITS, hop_table, void_table
from api.channels.words import along, direction, place, plane
from builders.channels.percolation import percolate
from store.crystal import Crystal
from store.errors import SourceError, StructureError, UsageError


def olivine(*, lithium: bool = True) -> Structure:
    """LiFePO4, or the empty host FePO4 in the same cell."""
    made = Structure.from_spacegroup(
        "Pnma",
        Lattice.orthorhombic(10.329, 6.0065, 4.6908),
        ["Li", "Fe", "P", "O", "O", "O"],
        [
            [0, 0, 0],
            [0.28222, 0.25, 0.97472],
            [0.09486, 0.25, 0.41820],
            [0.09678, 0.25, 0.74279],
            [0.45710, 0.25, 0.20602],
            [0.16558, 0.04646, 0.28478],
        ],
    )
    if not lithium:
        made.remove_species(["Li"])
    return made


def layered() -> Structure:
    return Structure.from_spacegroup(
        "R-3m", Lattice.hexagonal(2.811, 14.05), ["Li", "Co", "O"], [[0, 0, 0.5], [0, 0, 0], [0, 0, 0.26]]
    )


@cache
def lfp() -> ChannelReport:
    return channels(olivine(), "Li")


@cache
def lco() -> ChannelReport:
    return channels(layered())


# ------------------------------------------------------------------------------------------------------------- numbers


def test_lithium_iron_phosphate_conducts_along_b() -> None:
    report = lfp()
    assert (report.r1, report.r2, report.r3) == pytest.approx((1.877, 1.717, 1.664), abs=0.01)
    assert [report.dimension(radius) for radius in (1.9, 1.8, 1.7, 1.6)] == [0, 1, 2, 3]
    assert report.channels.percolation.directions[0] == ((0, 1, 0),)


def test_hops_hold_the_published_sizes_and_the_true_bottleneck() -> None:
    first, second = (report for _, report in lfp().hops.head(2).iterrows())
    assert (first.p_length, first.r_sd, first.r_chan) == pytest.approx((3.003, 1.385, 1.743), abs=0.011)
    assert (second.p_length, second.r_sd, second.r_chan) == pytest.approx((4.691, 1.231, 1.290), abs=0.011)
    assert (first.r_bottleneck, second.r_bottleneck) == pytest.approx((1.877, 1.717), abs=0.01)
    assert first.narrowest == second.narrowest == "O-O-O"
    assert first.directions == [[0, 1, 0]]
    assert second["rank"] == 2


def test_a_hop_is_open_when_its_bottleneck_reaches_the_threshold() -> None:
    report = channels(olivine(), "Li", threshold=1.8)
    assert report.hops["open"].tolist() == (report.hops["r_bottleneck"] >= 1.8).tolist()
    assert report.hops["open"].any()
    assert not report.hops["open"].all()


def test_columns_carry_units_and_meanings() -> None:
    report = lfp()
    assert report.hops.attrs["units"]["p_length"] == "Å"
    assert report.voids.attrs["units"]["r_sd"] == "Å"
    for frame in (report.hops, report.voids, report.passages):
        assert set(frame.columns) <= set(MEANINGS) | {"x", "y", "z"}
        sizes = {
            name for name in frame.columns if name.startswith(("r_", "p_")) or name.endswith(("length", "distance"))
        }
        assert sizes <= set(frame.attrs["units"])


def test_each_void_of_a_kind_is_counted() -> None:
    voids = lfp().voids
    kinds = voids.drop_duplicates("orbit")
    assert kinds["multiplicity"].sum() == len(voids)
    assert voids["site"].notna().sum() == 4
    assert (voids.loc[voids["site"].notna(), "site_distance"] < 0.5).all()


# -------------------------------------------------------------------------------------------------- roles of the channels


def carried(report: ChannelReport, roles: set[str]) -> Any:
    """Percolation of the channels with these roles alone."""
    passages = report.channels.passages
    chosen = np.array([role in roles for role in report.passages["role"]])
    widths = np.ones(int(chosen.sum()))
    return percolate(passages.voids[chosen], passages.offsets[chosen], widths, len(report.channels.voids.r_void))


def test_the_channels_named_1d_lead_through_along_b_and_have_no_dead_ends() -> None:
    report = lfp()
    found = carried(report, {"1D"})
    assert found.radii == (1.0, 0.0, 0.0)
    assert found.directions[0] == ((0, 1, 0),)
    passages = report.channels.passages
    chosen = (report.passages["role"] == "1D").to_numpy()
    ends = np.bincount(passages.voids[chosen].ravel())
    assert (ends[ends > 0] >= 2).all()
    assert passages.r_open[chosen].min() == pytest.approx(report.r1, abs=2e-3)


def test_those_named_1d_and_2d_lead_through_in_a_plane() -> None:
    found = carried(lfp(), {"1D", "2D"})
    assert found.radii == (1.0, 1.0, 0.0)
    assert found.directions[1] == ((0, 1, 0), (0, 0, 1))


def test_what_is_narrower_than_the_threshold_is_said_to_be() -> None:
    report = channels(olivine(), "Li", threshold=1.8)
    narrow = report.passages["role"] == "narrow"
    assert (report.passages.loc[narrow, "r_open"] < 1.8).all()
    assert (report.passages.loc[~narrow, "r_open"] >= 1.8 - 2e-3).all()
    assert {"1D", "narrow"} <= set(report.passages["role"]) <= {"1D", "network", "side", "narrow"}


def test_above_the_first_radius_nothing_leads_through() -> None:
    report = channels(olivine(), "Li", threshold=1.95)
    assert report.dimension() == 0
    assert "no percolation" in report.verdict()
    assert set(report.passages["role"]) <= {"side", "narrow"}
    assert not report.voids["on_network"].any()


# --------------------------------------------------------------------------------------------------------------- words


def test_the_headline_names_formula_radii_directions_dimension_and_threshold() -> None:
    what, radii, verdict = lfp().headline()
    assert what == "LiFePO4: channels for lithium (Li)"
    assert (
        radii == "percolation radii: r1 1.877 Å along [010], r2 1.717 Å in planes (100), r3 1.664 Å in all directions"
    )
    assert verdict.startswith(f"at {lfp().threshold:.3f} Å: ")
    assert f"Li-O, measured on {lfp().limits.n:,} structures" in verdict


def test_equal_radii_are_told_together() -> None:
    assert "r1 = r2 1.732 Å in planes (001), r3 1.315 Å in all directions" in lco().headline()[1]
    assert "2D in planes (001)" in channels(layered(), threshold=1.7).verdict()


def test_the_threshold_that_was_given_is_used_and_said() -> None:
    report = channels(olivine(), "Li", threshold=1.8)
    assert report.threshold == 1.8
    assert report.verdict() == "at 1.800 Å: 1D along [010] (threshold as given)"


def test_an_estimated_threshold_is_said_to_be_one() -> None:
    salt = Crystal.from_lists([[0, 3, 3], [3, 0, 3], [3, 3, 0]], ["Y", "O"], [[0.5, 0.5, 0.5], [0, 0, 0]])
    assert "estimated from ionic radii" in channels(salt, "Y").verdict()


@pytest.mark.parametrize("threshold", [0.0, -1.0, 12.0, float("nan")])
def test_an_impossible_threshold_is_refused(threshold: float) -> None:
    with pytest.raises(UsageError, match="between 0 and 10"):
        channels(olivine(), "Li", threshold=threshold)
    with pytest.raises(UsageError):
        lfp().dimension(threshold)


@pytest.mark.parametrize(
    ("basis", "words"),
    [
        ([(0, 2, 0)], "along [010]"),
        ([(1, -1, 0)], "along [1-10]"),
        ([(0, 1, 0), (0, 0, 1)], "in planes (100)"),
        ([(1, 1, 0), (0, 0, 1)], "in planes (1-10)"),
        ([(1, 0, 0), (0, 1, 0), (0, 0, 1)], "in all directions"),
        ([], ""),
    ],
)
def test_directions_are_written_as_crystallographers_do(basis: list[tuple[int, int, int]], words: str) -> None:
    assert along(basis) == words


def test_a_plane_holds_the_two_directions_that_name_it() -> None:
    random = np.random.default_rng(3)
    tried = 0
    for one, other in random.integers(-3, 4, size=(50, 2, 3)).tolist():
        if not np.cross(one, other).any():
            continue
        text = plane(one, other).strip("()")
        normal = [int(part) for part in (text.split() if " " in text else re.findall(r"-?\d", text))]
        assert len(normal) == 3
        assert np.gcd.reduce(normal) == 1
        assert np.dot(normal, one) == np.dot(normal, other) == 0
        tried += 1
    assert tried > 40


def test_cells_and_long_indices_are_written_out() -> None:
    assert place("Li2", (1, 0, -2)) == "Li2 +a-2c"
    assert direction((10, 0, -1)) == "[10 0 -1]"


def test_tables_for_people_say_what_the_frames_hold() -> None:
    report = lfp()
    headings, rows = hop_table(report)
    assert len(rows) == len(report.hops)
    assert all(len(row) == len(headings) for row in rows)
    assert rows[0][1:5] == [
        f"{report.hops.iloc[0][name]:.3f}" for name in ("p_length", "r_sd", "r_chan", "r_bottleneck")
    ]
    assert "percolates 1D along [010]" in rows[0]
    headings, rows = void_table(report)
    assert len(rows) == report.voids["orbit"].nunique()
    sizes = [float(row[1]) for row in rows]
    assert sizes == sorted(sizes, reverse=True)
    assert any("Li1 Li2 Li3 Li4" in row for row in rows)
    assert not any("-0.000" in cell for row in rows for cell in row)


# ---------------------------------------------------------------------------------------------------------------- JSON


def test_the_dictionary_is_json_and_holds_everything() -> None:
    report = lfp()
    told = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert told["units"] == UNITS
    assert (told["formula"], told["ion"], told["anion"], told["insertion"]) == ("LiFePO4", "Li", "O", False)
    assert told["directions"][0] == [[0, 1, 0]]
    assert told["dimension"] == report.dimension()
    assert told["threshold"]["r_chan"] == report.threshold
    assert [len(told[name]) for name in ("sites", "hops", "voids", "passages")] == [
        4,
        len(report.channels.hops),
        len(report.channels.voids.r_void),
        len(report.channels.passages.r_chan),
    ]
    assert told["hops"][0]["p_length"] == report.channels.hops[0].p_length
    assert {void["site"] for void in told["voids"]} == {None, "Li1", "Li2", "Li3", "Li4"}
    assert told["certificate"]["betti"] == [1, 3, 3, 1]
    assert told["r1"] >= told["r2"] >= told["r3"] > 0


def test_flags_come_with_reasons() -> None:
    disordered = olivine()
    disordered.replace_species({"Fe": {"Fe": 0.5, "Mn": 0.5}})
    report = channels(disordered, "Li")
    assert [flag["code"] for flag in report.to_dict()["flags"]] == [flag.code for flag in report.flags]
    assert any("framework" in flag.code and "4" in flag.reason for flag in report.flags)


# ----------------------------------------------------------------------------------------------------------- insertion


def test_a_host_without_the_ion_is_told_to_be_one_and_its_hops_lead_between_voids() -> None:
    report = channels(olivine(lithium=False), "Li")
    assert report.is_host
    assert "insertion: the crystal holds no Li" in report.headline()[0]
    assert report.r1 == pytest.approx(lfp().r1, abs=1e-4)
    assert len(report.hops) > 0
    assert report.hops["start"].str.startswith("void ").all()
    assert report.to_dict()["sites"] == []
    assert report.to_dict()["insertion"] is True


# ------------------------------------------------------------------------------------------------------ sources and ions


def same(one: ChannelReport, other: ChannelReport) -> None:
    assert (one.formula, one.ion) == (other.formula, other.ion)
    assert one.channels.percolation.directions == other.channels.percolation.directions
    assert one.channels.percolation.radii == pytest.approx(other.channels.percolation.radii, abs=1e-3)
    for name in ("p_length", "r_sd", "r_chan", "r_bottleneck"):
        assert one.hops[name].to_numpy() == pytest.approx(other.hops[name].to_numpy(), abs=2e-3)


@pytest.mark.parametrize("name", ["LFP.cif", "POSCAR", "LFP.json", "LFP.extxyz"])
def test_every_kind_of_file_gives_the_same_answer(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    if name.endswith("extxyz"):
        olivine().to_ase_atoms().write(file, format="extxyz")
    else:
        olivine().to(filename=str(file))
    report = channels(file)
    assert report.name == name
    same(report, lfp())


def test_a_structure_and_a_crystal_give_the_same_answer() -> None:
    report = channels(Crystal.from_pymatgen(olivine()))
    assert report.name == "LiFePO4"
    same(report, lfp())


def test_a_compressed_file_is_read(tmp_path: Path) -> None:
    import gzip

    file = tmp_path / "lfp.cif.gz"
    file.write_bytes(gzip.compress(olivine().to(fmt="cif").encode()))
    same(channels(str(file)), lfp())


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no file"):
        channels(str(tmp_path / "none.cif"))
    with pytest.raises(UsageError, match="There is no file"):
        channels("none.cif")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="folder"):
        channels(tmp_path)


def test_a_file_with_several_structures_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "two.cif"
    file.write_text(olivine().to(fmt="cif") + layered().to(fmt="cif").replace("data_", "data_2"))
    with pytest.raises(UsageError, match="more than one structure"):
        channels(file)


def test_a_file_without_a_structure_is_told(tmp_path: Path) -> None:
    file = tmp_path / "letter.cif"
    file.write_text("Dear editor, data follow.")
    with pytest.raises((SourceError, StructureError)):
        channels(file)


def test_an_impossible_crystal_is_told() -> None:
    flat = Crystal.from_lists([[3, 0, 0], [0, 3, 0], [3, 3, 0]], ["Li", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with pytest.raises(StructureError):
        channels(flat, "Li")


def test_something_else_is_refused() -> None:
    with pytest.raises(UsageError, match="int was given"):
        read_source(42)  # type: ignore[arg-type]


def test_the_only_working_ion_is_taken() -> None:
    assert lco().ion == "Li"


def test_of_several_ions_one_must_be_named() -> None:
    salt = Crystal.from_lists(
        [[4, 0, 0], [0, 4, 0], [0, 0, 4]], ["Li", "Na", "O"], [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0.5, 0.5]]
    )
    with pytest.raises(UsageError, match=r"several ions.*: Li, Na\.") as error:
        channels(salt)
    assert "--ion Li or --ion Na" in str(error.value.mend)
    assert channels(salt, "Na").ion == "Na"


def test_without_any_working_ion_the_way_to_insertion_is_told() -> None:
    with pytest.raises(UsageError, match="none of the usual ions") as error:
        channels(olivine(lithium=False))
    assert "--ion Li" in str(error.value.mend)


def test_a_charge_after_the_symbol_does_no_harm_and_another_word_is_refused() -> None:
    assert channels(olivine(), "Li+").ion == "Li"
    with pytest.raises(UsageError, match="no element 'lithium'"):
        channels(olivine(), "lithium")
