"""The model that is explained, the holes behind its bars, and what layers are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders.explanation.claim import by_composition, controls, examine
from builders.explanation.features import COMPOSITION, CURVES, columns, describe, label
from builders.explanation.holes import find_holes
from builders.explanation.layers import association, layering, partial_rank_correlation
from builders.explanation.model import WEIGHTS, ExplainedModel, load_explained, save_explained
from builders.explanation.train import Measured, rank, train, unseen
from builders.topology.analysis import analyse
from builders.topology.groups import groups_of
from builders.topology.persistence import persistence
from store.crystal import Crystal
from store.errors import UsageError
from store.ingest.readers import read_record

CRYSTALS = Path(__file__).resolve().parents[1] / "crystals"
FILES = ("LiCoO2.cif", "LiFePO4.cif", "LiFePO4-relaxed.cif")


def crystal(name: str) -> Crystal:
    return read_record("cif", (CRYSTALS / name).read_bytes()).crystal


def supercell(given: Crystal, times: tuple[int, int, int]) -> Crystal:
    cells = np.array([[i, j, k] for i in range(times[0]) for j in range(times[1]) for k in range(times[2])])
    places = (given.frac_coords[:, None, :] + cells).reshape(-1, 3) / np.array(times)
    return Crystal(
        given.lattice * np.array(times)[:, None], places, tuple(np.repeat(given.species, len(cells)).tolist())
    )


def measured(n: int = 90, seed: int = 0) -> Measured:
    """Rows whose target the first lithium loops tell, and nothing else."""
    generator = np.random.default_rng(seed)
    features = np.zeros((n, len(columns()[0])))
    features[:, ::20] = generator.normal(size=features[:, ::20].shape)
    place = columns()[1].index("ion_h1")
    features[:, place : place + 51] = generator.normal(size=(n, 1))
    return Measured(
        features, 2.0 * features[:, place] + 0.1 * generator.normal(size=n), [f"g{k // 2}" for k in range(n)]
    )


# ------------------------------------------------------------------------------------------------------------- columns


def test_columns_are_those_of_the_curves_and_the_elements() -> None:
    names, labels = columns()
    assert len(names) == len(labels) == len(set(names))
    for name, its in zip(names, labels, strict=True):
        assert its == COMPOSITION or name.startswith(f"{its}_")
    assert list(dict.fromkeys(labels)) == [label(*curve) for curve in CURVES] + [COMPOSITION]


def test_a_row_is_the_same_for_a_supercell_and_for_a_formula_written_twice() -> None:
    one = crystal("LiFePO4.cif")
    two = supercell(one, (1, 2, 1))
    row = describe(one.amounts(), analyse(one))
    assert describe(two.amounts(), analyse(two)) == pytest.approx(row, abs=0.02)


# --------------------------------------------------------------------------------------------------------------- model


@pytest.mark.parametrize("name", FILES)
def test_what_is_added_sums_to_the_prediction(name: str) -> None:
    given = crystal(name)
    found = load_explained().explain(given.amounts(), analyse(given))
    total = found.expected + found.composition + sum(part.contribution for part in found.parts)
    assert total == pytest.approx(found.value, abs=1e-9)
    for part in found.parts:
        assert part.columns.sum() == pytest.approx(part.contribution, abs=1e-9)
        assert part.columns.shape == part.grid.shape == part.curve.shape == part.usual.shape
        assert np.isfinite(part.usual).all()


def test_a_crystal_without_a_group_still_has_an_exact_sum() -> None:
    salt = Crystal.from_lists([[0, 2, 2], [2, 0, 2], [2, 2, 0]], ["Li", "F"], [[0.5] * 3, [0] * 3])
    found = load_explained().explain(salt.amounts(), analyse(salt))
    missing = [part for part in found.parts if part.group == "cations"]
    assert len(missing) == 3
    assert all(np.isnan(part.curve).all() for part in missing)
    assert found.expected + found.composition + sum(p.contribution for p in found.parts) == pytest.approx(
        found.value, abs=1e-9
    )


def test_a_model_is_read_as_it_was_written(tmp_path: Path) -> None:
    given, shipped = crystal("LiCoO2.cif"), load_explained()
    save_explained(shipped, tmp_path / "copy")
    again = load_explained(tmp_path / "copy")
    assert (
        again.explain(given.amounts(), analyse(given)).value == shipped.explain(given.amounts(), analyse(given)).value
    )
    assert again.card["scores"] == shipped.card["scores"]
    assert sum(file.stat().st_size for file in WEIGHTS.iterdir()) < 600_000


def test_damaged_and_foreign_folders_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no model"):
        load_explained(tmp_path / "nothing")
    shutil.copytree(WEIGHTS, tmp_path / "damaged")
    trees = tmp_path / "damaged" / "trees.txt.gz"
    trees.write_bytes(trees.read_bytes()[:-9] + b"123456789")
    with pytest.raises(UsageError):
        load_explained(tmp_path / "damaged")
    shutil.copytree(WEIGHTS, tmp_path / "old")
    card = json.loads((tmp_path / "old" / "card.json").read_text())
    card["usual"] = card["usual"][:-1]
    (tmp_path / "old" / "card.json").write_text(json.dumps(card))
    with pytest.raises(UsageError, match="columns"):
        load_explained(tmp_path / "old")


def test_the_card_says_what_it_must() -> None:
    card = load_explained().card
    assert card["scores"]["curves and composition"]["mae"] < 0.6 * card["scores"]["constant"]["mae"]
    assert card["scores"]["curves alone"]["mae"] < 0.7 * card["scores"]["constant"]["mae"]
    names = [each["name"] for each in card["ranking"]]
    assert sorted(names) == sorted(set(columns()[1]))
    sizes = [each["importance"] for each in card["ranking"]]
    assert sizes == sorted(sizes, reverse=True)
    assert all(each["lower"] <= each["importance"] <= each["upper"] for each in card["ranking"])


@pytest.mark.data
@pytest.mark.slow
def test_training_again_gives_the_shipped_model(data_folder: Path) -> None:
    """Curves that changed since would make the shipped trees wrong without a sign."""
    from api.explain.ranking import train_explanation

    made, shipped = train_explanation(data_folder / "ionic" / "conductivity.jsonl.gz"), load_explained()
    assert made.card["ranking"] == shipped.card["ranking"]
    assert made.card["scores"] == shipped.card["scores"]
    given = crystal("LiFePO4.cif")
    one, two = (each.explain(given.amounts(), analyse(given)).value for each in (made, shipped))
    assert one == pytest.approx(two, abs=1e-6)


# -------------------------------------------------------------------------------------------------------------- ranking


def test_the_ranking_finds_the_curve_that_tells_the_target() -> None:
    rows = measured()
    seen = unseen(rows, seed=0, repeats=1)
    found = rank(rows, seen)
    assert found[0]["name"] == "ion_h1"
    assert found[0]["importance"] > 3 * found[1]["importance"]
    assert found[0]["direction"] > 0.8
    assert np.corrcoef(seen.value, rows.target)[0, 1] > 0.8


def test_rows_are_explained_by_models_that_did_not_see_their_composition() -> None:
    # A target that only the group tells: a model that had seen the group would know it.
    generator = np.random.default_rng(5)
    features = np.zeros((80, len(columns()[0])))
    groups = np.arange(80) // 4
    features[:, 0] = groups
    rows = Measured(features, generator.permutation(20)[groups].astype(float), [str(each) for each in groups])
    seen = unseen(rows, ["all_h0"], repeats=1)
    assert np.corrcoef(seen.value, rows.target)[0, 1] < 0.5


def test_training_is_deterministic_and_refuses_too_few() -> None:
    rows = measured(70)
    one, two = train(rows, seed=1), train(rows, seed=1)
    assert one.card == two.card
    assert isinstance(one, ExplainedModel)
    assert one.booster.model_to_string() == two.booster.model_to_string()
    with pytest.raises(UsageError, match="at least"):
        train(measured(20))


# ---------------------------------------------------------------------------------------------------------------- holes


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("group", ["all", "ion", "framework"])
def test_holes_are_the_bars_of_the_diagram_and_end_where_they_lie(name: str, group: str) -> None:
    given = crystal(name)
    points = given.frac_coords[groups_of(given, "Li")[group]]
    bars = persistence(points, given.lattice).extensive
    for degree, holes in enumerate(find_holes(points, given.lattice)):
        assert holes.bars == pytest.approx(bars[degree], abs=1e-6)
        corners = (points[holes.points] + holes.cells) @ given.lattice
        centres = holes.centres @ given.lattice
        if degree == 0:  # half the edge is the radius at which two balls meet
            assert np.linalg.norm(corners[:, 0] - corners[:, 1], axis=1) / 2 == pytest.approx(
                holes.bars[:, 1], abs=1e-5
            )
        elif degree == 2:  # the centre of a void is as far from its corners as the void is large
            away = np.linalg.norm(corners - centres[:, None], axis=2)
            assert away == pytest.approx(np.repeat(holes.bars[:, 1:], 4, axis=1), abs=1e-4)
        assert (holes.centres > -1e-4).all()
        assert (holes.centres < 1.0).all()


def test_no_atom_lies_in_a_void() -> None:
    given = crystal("LiFePO4.cif")
    points = given.frac_coords[groups_of(given, "Li")["framework"]]
    voids = find_holes(points, given.lattice)[2]
    cells = np.array([[i, j, k] for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)])
    every = ((points[:, None] + cells).reshape(-1, 3)) @ given.lattice
    nearest = np.linalg.norm(every[None] - (voids.centres @ given.lattice)[:, None], axis=2).min(axis=1)
    assert nearest == pytest.approx(voids.bars[:, 1], abs=1e-4)


# --------------------------------------------------------------------------------------------------------------- layers


def lattice_of(a: float, b: float, c: float) -> Any:
    return layering(persistence(np.zeros((1, 3)), np.diag([a, b, c])))


def test_layers_chains_and_networks_are_told_apart() -> None:
    cubic, layers, chains = lattice_of(3, 3, 3), lattice_of(3, 3, 6), lattice_of(3, 6, 6)
    assert cubic[:2] == pytest.approx((0.0, 0.0), abs=1e-3)
    assert layers[:2] == pytest.approx((1.0, 0.0), abs=1e-3)
    assert chains[:2] == pytest.approx((0.0, 1.0), abs=1e-3)


def test_layering_does_not_depend_on_the_cell() -> None:
    one = crystal("LiCoO2.cif")
    two = supercell(one, (2, 1, 1))
    turned = Crystal(
        np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1]]) @ one.lattice,
        one.frac_coords @ np.array([[1, -1, 0], [0, 1, 0], [0, 0, 1]]),
        one.species,
    )
    found = [layering(analyse(each, groups=("ion",))["ion"]) for each in (one, two, turned)]
    assert found[0].layers > 0.5  # 2.8 Å within, about 5 Å across
    assert found[0].step == pytest.approx(2.81, abs=0.03)
    for other in found[1:]:
        assert other == pytest.approx(found[0], abs=1e-3)


def test_partial_correlation_agrees_with_the_textbook() -> None:
    # One control: (r_xy - r_xz r_yz) / sqrt((1 - r_xz^2)(1 - r_yz^2)) of the ranks.
    from scipy.stats import spearmanr

    x, y, z = np.random.default_rng(0).normal(size=(3, 60)) + np.random.default_rng(1).normal(size=60)
    xy, xz, yz = (float(spearmanr(*pair).statistic) for pair in ((x, y), (x, z), (y, z)))
    wanted = (xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2))
    assert partial_rank_correlation(x, y, z[:, None]) == pytest.approx(wanted, abs=1e-12)
    assert partial_rank_correlation(x, y, np.zeros((60, 0))) == pytest.approx(xy, abs=1e-12)


def test_p_is_level_where_nothing_is_there() -> None:
    generator = np.random.default_rng(2)
    found = []
    for seed in range(60):
        z = generator.normal(size=40)
        x, y = z + generator.normal(size=40), z + generator.normal(size=40)
        found.append(association(x, y, z[:, None], 99, seed).p)
    assert 0.3 < float(np.mean(found)) < 0.7
    assert float(np.mean(np.array(found) <= 0.05)) <= 0.15


def test_controls_that_repeat_each_other_do_no_harm() -> None:
    x, y, z = np.random.default_rng(3).normal(size=(3, 30))
    one = partial_rank_correlation(x, y, z[:, None])
    assert partial_rank_correlation(x, y, np.column_stack([z, z, np.ones(30), 2 * z])) == pytest.approx(one, abs=1e-9)


def test_the_claim_is_found_where_it_was_put_in() -> None:
    """Compounds made so that layers raise the target, and with the sign turned."""
    generator = np.random.default_rng(4)
    rows = measured(80, seed=4)
    layers = np.repeat(generator.exponential(size=40), 2)
    layering_ = np.column_stack([layers, generator.random(80), generator.random(80)])
    for sign in (1.0, -1.0):
        made = Measured(rows.features, sign * layers + 0.2 * generator.normal(size=80), rows.groups)
        findings, differences = examine(made, layering_, generator.random((80, 2)), permutations=199)
        first = findings[0]
        assert first.what == "layers: conductivity, compounds alike"
        assert first.statement == 1
        assert sign * first.found.value > 0.7
        assert first.found.p < 0.02
        assert len(differences) == 2
        assert {each.statement for each in findings} == {1, 2, 3}


def test_rows_of_a_composition_are_averaged() -> None:
    assert by_composition(np.array([[1.0, 0.0], [3.0, 4.0], [5.0, 5.0]]), ["a", "a", "b"]).tolist() == [
        [2.0, 2.0],
        [5.0, 5.0],
    ]
    assert controls(crystal("LiCoO2.cif"))[4] == pytest.approx(0.5)
