"""The published study on hops with known answers: splits, scores, tables, the domain, the figures' numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from api.reproduce import osipov
from api.reproduce.crystals import measure
from api.reproduce.domain import Domain
from api.reproduce.figures import binned
from api.reproduce.fits import fit, fit_all, summary
from api.reproduce.hops import NEEDED
from api.reproduce.published import load, six
from api.reproduce.study import PRIMARY, Reproduction, conclude
from api.reproduce.tables import tables
from store.errors import UsageError

from .reproduce_hops import family_hops, linear_hops, make_hops, straight

CRYSTALS = Path(__file__).resolve().parent.parent / "crystals"


@pytest.fixture(scope="module")
def linear() -> Reproduction:
    hops, seeds = linear_hops(), range(2)
    return conclude(hops, load(), seeds, fit_all(hops, seeds), [])


@pytest.fixture(scope="module")
def families() -> Reproduction:
    hops, seeds = family_hops(), range(2)
    return conclude(hops, load(), seeds, fit_all(hops, seeds), [])


class TestPublished:
    def test_the_tables_are_whole(self) -> None:
        published = load()
        assert len(published.table2) == 8
        assert len(published.table3) == 24
        assert sum(count for _, count, _ in published.table3) == published.channels == 225
        assert [row.boundary for row in published.table4] == pytest.approx(np.arange(1, 15) / 10)
        assert "10.31857/S2686954323601033" in published.doi

    def test_error_measures_agree_with_each_other(self) -> None:
        """MAE is at most RMSE, and RMSE and R2 of both models give the same variance of the same barriers."""
        scores = load().table1
        for side in (0, 1):
            variances = []
            for model in ("svr", "ordinal"):
                mae, rmse, r2 = (scores[model][metric][side] for metric in ("mae", "rmse", "r2"))
                assert mae < rmse
                variances.append(rmse**2 / (1 - r2))
            assert variances[0] == pytest.approx(variances[1], rel=0.01)

    def test_the_rows_that_no_barrier_can_have(self) -> None:
        assert {row.compound for row in load().table2 if row.svr < 0} == {"Li2FeSiO4"}

    def test_the_descriptors_are_in_the_order_of_the_kernel(self) -> None:
        from builders.barriers.study import NAMES

        assert tuple(NAMES) == NEEDED
        row = load().table2[0]
        assert row.descriptors() == six(row.r_sd, row.r_chan, row.p_length)


class TestScores:
    def test_a_barrier_that_follows_from_the_descriptors_is_learnt(self, linear: Reproduction) -> None:
        for split in ("published", "framework"):
            scores = summary(linear.fits[split])
            assert scores["svr"]["r2"][1].mean > 0.97
            assert scores["svr"]["mae"][1].mean < 0.05
            # A tenth of an eV is as fine as ranges can say.
            assert scores["ordinal"]["mae"][1].mean < 0.5 * scores["constant"]["mae"][1].mean

    def test_only_the_published_split_flatters_families(self, families: Reproduction) -> None:
        same, grouped = (summary(families.fits[split]) for split in ("published", "framework"))
        for model in ("svr", "ordinal"):
            assert same[model]["mae"][1].mean < 0.6 * grouped[model]["mae"][1].mean
        assert grouped["svr"]["mae"][1].mean > 0.6 * grouped["constant"]["mae"][1].mean
        assert families.seen("published") > 0.8
        assert families.seen("framework") == 0.0

    def test_the_constant_is_the_median_of_what_was_learnt_from(self, linear: Reproduction) -> None:
        reference = linear.reference
        y = linear.hops.barrier
        expected = np.abs(y[reference.test] - np.median(y[reference.train])).mean()
        assert reference.scores["constant"]["mae"][1] == pytest.approx(expected)

    def test_splits_are_whole_and_apart(self, linear: Reproduction) -> None:
        for fits in linear.fits.values():
            for each in fits:
                assert sorted([*each.train, *each.test]) == list(range(len(linear.hops)))
                assert 0.1 < len(each.test) / len(linear.hops) < 0.3

    def test_a_seed_gives_the_same_and_another_one_something_else(self, linear: Reproduction) -> None:
        again = fit(linear.hops, "published", 0)
        assert again.scores == linear.reference.scores
        assert not np.array_equal(again.test, linear.fits["published"][1].test)

    def test_few_frameworks_leave_that_split_out(self) -> None:
        hops = linear_hops(n_frameworks=4, each=15)
        fits = fit_all(hops, range(1))
        assert fits["framework"] == []
        result = conclude(hops, load(), range(1), fits, [])
        assert any("too few frameworks" in note for note in result.notes())
        assert result.to_dict()["table1"]["svr"]["mae"]["framework"] is None
        assert tables(result)[0].rows[0][-1] == "–"

    def test_progress_is_told(self) -> None:
        told: list[tuple[str, int, int]] = []
        fit_all(linear_hops(n_frameworks=4, each=12), range(1), lambda *step: told.append(step))
        assert told == [("models fitted", 0, 1), ("models fitted", 1, 1)]

    def test_equal_barriers_of_equal_paths_are_no_reason_to_fail(self, tmp_path: Path) -> None:
        n = 48
        hops = make_hops(np.full(n, 1.4), np.full(n, 1.8), np.full(n, 3.0), np.full(n, 0.5), np.arange(n) // 6)
        result = conclude(hops, load(), range(1), fit_all(hops, range(1)), [])
        assert tables(result)[0].rows[0][4:6] == ("0.000", "0.000")
        assert tables(result)[0].rows[2][5] == "–"
        told = json.loads(json.dumps(result.to_dict(), allow_nan=False))
        assert told["table1"]["svr"]["r2"]["published"]["test"]["mean"] is None
        assert all(row["svr"] == pytest.approx(0.5) and not row["in_domain"] for row in told["table2"])
        assert len(result.figures(tmp_path)) == 2


class TestPredictions:
    def test_the_line_is_continued_to_the_published_paths(self, linear: Reproduction) -> None:
        """Where the paths lie inside, the SVR says what the made-up law says."""
        inside = [row for row in linear.table2 if row.judged.inside]
        assert len(inside) >= 3
        for row in inside:
            law = float(straight(*(np.array([value]) for value in (row.r_sd, row.r_chan, row.p_length)))[0])
            assert row.svr == pytest.approx(law, abs=0.1)
            low, *high = row.ordinal.strip("<>").split("-")
            assert float(low) - 0.15 <= law <= float(high[0] if high else low) + 0.15

    def test_both_silicate_paths_are_outside_and_not_below_zero(self, linear: Reproduction) -> None:
        silicate = [row for row in linear.table2 if row.published.compound == "Li2FeSiO4"]
        assert len(silicate) == 2
        for row in silicate:
            assert not row.judged.inside
            assert any("R_sd" in reason for reason in row.judged.reasons)
            # The law gives -0.9 eV there; a prediction never does.
            assert row.svr == 0.0
            assert row.clipped
        assert sum("out of domain" in note for note in linear.notes()) >= 2

    def test_nothing_below_zero_is_said_as_ours(self, linear: Reproduction) -> None:
        told = linear.to_dict()
        assert all(row["svr"] >= 0 and row["svr_over_seeds"][0] >= 0 for row in told["table2"])
        for model in ("svr", "ordinal"):
            for side in ("train", "test"):
                assert all(point["predicted"] >= 0 for point in told["figure4"][model][side])
        cells = [row[7] for row in tables(linear)[1].rows]
        assert not any(cell.startswith("-") for cell in cells)
        assert any(cell.startswith("0*") for cell in cells)

    def test_the_domain_contains_what_it_was_made_of_but_for_a_hundredth(self) -> None:
        hops = linear_hops()
        judged = Domain.of(hops.descriptors, PRIMARY).judge(hops.descriptors)
        assert np.mean([each.inside for each in judged]) >= 0.98

    def test_a_hole_in_the_middle_is_outside(self) -> None:
        """Ranges alone would let it pass: the distance does not."""
        angle = np.linspace(0, 2 * np.pi, 60)
        ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        (judged,) = Domain.of(ring, ("x", "y")).judge(np.zeros((1, 2)))
        assert not judged.inside
        assert "standard deviations" in judged.reasons[0]


class TestCrystals:
    def test_paths_measured_in_crystals_stand_below_the_published_ones(self) -> None:
        found = measure([CRYSTALS / "LiFePO4.cif", CRYSTALS / "LiCoO2.cif"], load().table2)
        assert [(row.published.compound, row.published.path) for row in found] == [
            ("LiFePO4", "1"),
            ("LiFePO4", "2"),
            ("LiCoO2", "ODH"),
        ]
        for row in found:
            assert row.p_length == pytest.approx(row.published.p_length, abs=0.01)
            assert row.r_sd == pytest.approx(row.published.r_sd, abs=0.02)
            assert row.r_chan == pytest.approx(row.published.r_chan, abs=0.02)
        hops = linear_hops(n_frameworks=4, each=12)
        result = conclude(hops, load(), range(1), fit_all(hops, range(1)), found)
        assert [row.origin for row in result.table2[:4]] == ["published", "LiFePO4.cif", "published", "LiFePO4.cif"]
        assert len(result.table2) == 11

    def test_another_compound_is_refused(self, tmp_path: Path) -> None:
        file = tmp_path / "LiF.cif"
        file.write_text((CRYSTALS / "LiCoO2.cif").read_text().replace("Co", "Ni"))
        with pytest.raises(UsageError, match="LiNiO2"):
            measure([file], load().table2)


class TestTables:
    def test_four_tables_as_wide_as_their_headings(self, linear: Reproduction) -> None:
        made = tables(linear)
        assert [table.title.split(":")[0] for table in made] == ["Table 1", "Table 2", "Table 4", "Table 5"]
        assert [len(table.rows) for table in made] == [9, 8, 14, 2]
        for table in made:
            assert {len(row) for row in table.rows} == {len(table.headings)}

    def test_the_published_numbers_stand_beside_ours(self, linear: Reproduction) -> None:
        first = tables(linear)[0].rows[0]
        assert first[:4] == ("SVR", "MAE [eV]", "0.142", "0.133")
        mean = summary(linear.fits["published"])["svr"]["mae"][1].mean
        assert first[5].startswith(f"{mean:.3f} ± ")

    def test_the_majority_is_counted_in_what_was_learnt_from(self, linear: Reproduction) -> None:
        learnt = linear.hops.barrier[linear.reference.train]
        for row in linear.table4:
            below = float((learnt < row.published.boundary).mean())
            assert row.majority == pytest.approx(max(below, 1 - below))
            if 5 <= below * len(learnt) <= len(learnt) - 5:  # one for each fold
                assert row.accuracy is not None
                assert row.accuracy >= row.majority - 0.1
        # Ranges that the barriers cross in a straight line are easy to part.
        middle = linear.table4[6]
        assert middle.accuracy is not None
        assert middle.accuracy > middle.majority + 0.1

    def test_why_the_numbers_differ_is_one_sentence(self, linear: Reproduction) -> None:
        assert linear.differs.count(".") == 1
        assert linear.differs.endswith("learnt from 90 other hops, in 15 frameworks.")
        assert "225 channels (188 of them" in linear.differs


class TestFigureNumbers:
    def test_bins_hold_every_hop_once(self) -> None:
        hops = linear_hops()
        bins = binned(hops.descriptors[:, 1], hops.barrier)
        assert sum(each.n for each in bins) == len(hops)
        assert all(each.low <= each.centre < each.high for each in bins)
        total = sum(each.n * each.mean for each in bins) / len(hops)
        assert total == pytest.approx(hops.barrier.mean())

    def test_mean_and_error_of_a_bin_worked_by_hand(self) -> None:
        sizes = np.array([1.0, 1.0, 1.0, 3.0])
        (first, last) = binned(sizes, np.array([0.1, 0.2, 0.6, 1.0]))
        assert first.mean == pytest.approx(0.3)
        assert first.error == pytest.approx(np.sqrt((0.04 + 0.01 + 0.09) / 2 / 3))
        assert (last.n, last.mean, last.error) == (1, 1.0, None)

    def test_one_size_for_all_is_one_bin(self) -> None:
        assert len(binned(np.full(9, 2.0), np.linspace(0.1, 0.9, 9))) == 1


class TestPictures:
    def pixels(self, file: Path) -> Any:
        from matplotlib.image import imread

        return imread(file)

    def test_two_pictures_that_are_not_blank(self, linear: Reproduction, tmp_path: Path) -> None:
        files = linear.figures(tmp_path)
        assert [file.name for file in files] == ["figure3.png", "figure4.png"]
        for file, size in zip(files, ((750, 1980), (900, 1710)), strict=True):
            image = self.pixels(file)
            assert image.shape[:2] == size
            # Points in blue, or red and blue, on white.
            red, green, blue = (image[..., number] for number in range(3))
            assert ((blue > red + 0.2) & (blue > green + 0.1)).sum() > 2000
            assert (image[..., :3].min(axis=2) > 0.99).mean() > 0.5
        assert ((red > blue + 0.3) & (red > green + 0.3)).sum() > 500

    def test_a_wild_prediction_is_drawn_at_the_end_of_the_axis(self, linear: Reproduction, tmp_path: Path) -> None:
        from dataclasses import replace

        from api.reproduce.figures import parity_figure

        reference = linear.reference
        train, test = reference.predicted["svr"]
        wild = replace(reference, predicted={**reference.predicted, "svr": (train, np.full_like(test, -50.0))})
        drawn = self.pixels(parity_figure(linear.hops, wild, tmp_path / "wild.png"))
        usual = self.pixels(parity_figure(linear.hops, reference, tmp_path / "usual.png"))
        assert drawn.shape == usual.shape
        # The right half, the ordinal regression, is the same; the left is not.
        half = drawn.shape[1] // 2
        assert np.array_equal(drawn[:, half + 60 :], usual[:, half + 60 :])
        assert not np.array_equal(drawn[:, :half], usual[:, :half])

    def test_a_hop_of_a_strange_cell_does_not_press_the_others_into_a_corner(self, tmp_path: Path) -> None:
        from api.reproduce.figures import dependence_figure

        usual = linear_hops()
        sizes = usual.descriptors[:, :3].copy()
        sizes[0, 1] = 60.0
        strange = make_hops(*sizes.T, usual.barrier, np.arange(len(usual)) // 6)
        image = self.pixels(dependence_figure(strange, tmp_path / "strange.png"))
        first = image[150:600, 120:660]
        blue = (first[..., 2] > first[..., 0] + 0.2).any(axis=0)
        assert np.ptp(np.flatnonzero(blue)) > 200


class TestDict:
    def test_json_has_everything(self, linear: Reproduction) -> None:
        told = json.loads(json.dumps(linear.to_dict(), allow_nan=False))
        assert set(told) == {
            "study", "units", "hops", "protocol", "differs", "notes", "table1", "table2", "table4", "table5", "figure3", "figure4",
        }  # fmt: skip
        assert told["hops"]["count"] == 90
        assert told["protocol"]["seeds"] == [0, 1]
        for model in ("svr", "ordinal", "constant"):
            for metric in ("mae", "rmse", "r2"):
                row = told["table1"][model][metric]
                assert set(row) == {"printed", "published", "framework"}
                assert set(row["framework"]["test"]) == {"mean", "spread"}
        assert told["table1"]["svr"]["mae"]["printed"] == {"train": 0.1421, "test": 0.1326}
        assert told["table1"]["constant"]["mae"]["printed"] is None
        assert {len(told[name]) for name in ("table2",)} == {8}
        assert told["table5"]["published"] == {"C": 0.1, "degree": 1, "epsilon": 0.034}
        assert set(told["table5"]["ours"]) == {"C", "degree", "epsilon"}
        assert set(told["figure3"]) == {"r_chan", "p_length", "r_sd"}
        points = told["figure4"]["ordinal"]
        assert len(points["train"]) + len(points["test"]) == 90


@pytest.mark.parametrize(("given", "words"), [({"seed": -1}, "seed"), ({"repeats": 0}, "between 1 and 1000")])
def test_impossible_numbers_are_refused(given: dict[str, int], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        osipov("hops.jsonl", **given)  # type: ignore[arg-type]
