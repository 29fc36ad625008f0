"""The towers that ship, their files, their builders, and what a score is worth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from builders.embeddings.towers import calibration
from builders.embeddings.towers.builder import TowerCompositionBuilder, TowerStructureBuilder
from builders.embeddings.towers.calibration import Pairs, expected_calibration_error, isotonic, scaled_sets
from builders.embeddings.towers.model import ARRAYS, CARD, identity, load_towers, save_towers
from builders.embeddings.towers.rows import held_out, load_rows, make_rows, save_rows, structure_sets
from builders.embeddings.towers.structure import described, structure_features
from builders.structures.analysis import analyse
from store.crystal import Crystal
from store.errors import BuildError, FeatureError, UsageError


def rock_salt(a: float, cation: str, anion: str) -> Crystal:
    h = a / 2
    return Crystal.from_lists([[0, h, h], [h, 0, h], [h, h, 0]], [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])


SALTS = {"NaCl": rock_salt(5.64, "Na", "Cl"), "KCl": rock_salt(6.29, "K", "Cl"), "MgO": rock_salt(4.21, "Mg", "O")}


def test_vectors_are_unit_vectors_of_one_space() -> None:
    towers = load_towers()
    u, v = towers.embed_compositions(list(SALTS)), towers.embed_structures(list(SALTS.values()))
    assert u.shape == v.shape == (3, towers.dimension)
    assert u.dtype == v.dtype == np.float32
    assert np.linalg.norm(u, axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    # Each salt's own cell is nearer to it than those of the others.
    assert (u @ v.T).argmax(axis=1).tolist() == [0, 1, 2]


def test_a_vector_does_not_depend_on_its_neighbours() -> None:
    towers = load_towers()
    together = towers.embed_compositions(["LiFePO4", "NaCl", "Cu", "BaTiO3"])
    alone = np.concatenate([towers.embed_compositions([each]) for each in ("LiFePO4", "NaCl", "Cu", "BaTiO3")])
    assert np.abs(together - alone).max() < 1e-5


def test_nothing_gives_nothing() -> None:
    towers = load_towers()
    assert towers.embed_compositions([]).shape == towers.embed_structures([]).shape == (0, towers.dimension)


def test_the_card_says_what_was_kept_out() -> None:
    card = load_towers().card
    assert card["data"]["kept_out"]["test"] == 3000
    assert card["data"]["kept_out"]["excluded"] > 80
    assert card["licence"]
    for way in card["retrieval"].values():  # of the formulas kept out
        assert way["R@10"] > 0.65
        assert way["chance R@10"] < 0.25
    for question in ("structure", "arrangement"):
        assert card["calibration"][f"{question} by score and relatives"]["first 10"]["ece"] < 0.03
    assert identity() == load_towers().identity


def test_damaged_or_foreign_weights_are_refused(tmp_path: Path) -> None:
    towers = load_towers()
    save_towers(towers, tmp_path)
    assert load_towers(tmp_path).identity.split(":")[0] == "towers-1"
    card = json.loads((tmp_path / CARD).read_text())
    (tmp_path / CARD).write_text(json.dumps({**card, "format": [0, 0, 0]}))
    with pytest.raises(UsageError, match="other features"):
        load_towers(tmp_path)
    (tmp_path / ARRAYS).write_bytes((tmp_path / ARRAYS).read_bytes()[:-1])
    with pytest.raises(UsageError, match="do not belong"):
        load_towers(tmp_path)
    with pytest.raises(UsageError, match="no towers"):
        load_towers(tmp_path / "nowhere")


def test_probabilities_rise_with_the_score() -> None:
    towers = load_towers()
    scores = np.linspace(-1, 1, 201)
    for kind in calibration.KINDS:
        found = towers.probability(scores, kind)
        assert (np.diff(found) >= 0).all()
        assert 0 < found[0] < found[-1] < 1


def test_structures_and_compositions_get_documents() -> None:
    documents = {name: analyse(crystal).to_document() for name, crystal in SALTS.items()}
    composed, structured = TowerCompositionBuilder(), TowerStructureBuilder()
    towers = load_towers()
    for builder, expected in (
        (composed, towers.embed_compositions(list(SALTS))),
        (structured, towers.embed_structures(list(SALTS.values()))),
    ):
        keys = [builder.PREFIX + name for name in documents]
        found = builder.compute_many(keys, [{"structures": each} for each in documents.values()])
        for name, made, vector in zip(documents, found, expected, strict=True):
            assert isinstance(made, dict)
            assert (made["model"], made["material"], made["dimension"]) == (builder.MODEL, name, towers.dimension)
            assert np.frombuffer(made["vector"], "<f4") == pytest.approx(vector, abs=1e-4)


def test_what_cannot_be_embedded_fails_alone() -> None:
    good = {"composition": {"Na": 1.0, "Cl": 1.0}}
    found = TowerCompositionBuilder().compute_many(
        ["a", "b"], [{"structures": {"composition": {"Cm": 1.0, "O": 2.0}}}, {"structures": good}]
    )
    assert isinstance(found[0], FeatureError)
    assert isinstance(found[1], dict)


def test_a_build_with_other_towers_is_stopped() -> None:
    with pytest.raises(BuildError, match="exchanged"):
        TowerStructureBuilder(params={"model": "towers-0:x"}).setup()


def test_rows_come_back_as_they_were_kept(tmp_path: Path) -> None:
    read = [described(each) for each in SALTS.values()]
    rows = make_rows(list(SALTS), [features for features, _ in read], [name for _, name in read])
    save_rows(rows, tmp_path)
    again = load_rows(tmp_path)
    assert again.ids == rows.ids
    assert again.compositions == rows.compositions
    assert again.prototypes == rows.prototypes == ("AB_cF8_225_a_b",) * 3
    assert np.array_equal(again.structures.groups[2].pairs, rows.structures.groups[2].pairs)  # type: ignore[arg-type]
    turned = make_rows(list(SALTS)[::-1], [f for f, _ in read][::-1], [name for _, name in read][::-1])
    names = [[each.compositions[n].formula for n in held_out(each, 2, seed=3)] for each in (rows, turned)]
    assert sorted(names[0]) == sorted(names[1])


def test_scaled_sets_are_sets_of_scaled_structures() -> None:
    features = [structure_features(each) for each in SALTS.values()]
    one = scaled_sets(structure_sets(features), 0.95).groups[2]
    two = structure_sets([each.scaled(0.95) for each in features]).groups[2]
    assert np.allclose(one.tokens, two.tokens)
    assert np.allclose(one.whole, two.whole)


def test_calibration_finds_the_frequency() -> None:
    random = np.random.default_rng(0)
    score = random.uniform(-1, 1, 20_000)
    truth = np.clip(0.5 * score, 0, 1) ** 2
    knots = isotonic(score, random.uniform(size=len(score)) < truth)
    found = np.interp(score, *knots)
    assert np.abs(found - truth).mean() < 0.01
    assert expected_calibration_error(found, random.uniform(size=len(score)) < truth) < 0.02
    assert expected_calibration_error(np.full(1000, 0.9), np.zeros(1000, dtype=bool)) == pytest.approx(0.9)


def test_the_first_of_each_query_are_its_best() -> None:
    pairs = Pairs(
        {"structure": np.array([0.1, 0.9, 0.5, 0.3, 0.2])},
        {"structure": np.array([True, False, True, False, True])},
        np.array([0, 0, 0, 1, 1]),
    )
    assert sorted(pairs.first("structure", 2).score["structure"].tolist()) == [0.2, 0.3, 0.5, 0.9]
    assert pairs.first("structure", 1).positive["structure"].tolist() == [False, False]
