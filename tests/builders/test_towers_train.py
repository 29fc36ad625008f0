"""Training the towers from a file of structures, small; and what the relatives of a composition say."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from builders.embeddings.towers import train as module
from builders.embeddings.towers.model import load_towers
from builders.embeddings.towers.rows import FILE, Rows, read_rows
from builders.embeddings.towers.support import NEAREST, SCALES, Support, fit, relatives_of, support_features
from builders.embeddings.towers.train import Split, main, read_formulas, split, train
from builders.learning.two_towers import Settings
from store.errors import UsageError

CATIONS = ("Li", "Na", "K", "Rb", "Cs", "Cu", "Ag", "Tl", "Mg", "Ca", "Sr", "Ba")
ANIONS = ("F", "Cl", "Br", "I", "O", "S", "Se", "Te")
SMALL = Settings(width=8, hidden=8, head=16, dimension=8, kinds=4, layers=1, epochs=2, batch=16)


def lines() -> list[str]:
    """Salts of two kinds: the large cations have caesium chloride's."""
    found = []
    for number, cation in enumerate(CATIONS):
        for other, anion in enumerate(ANIONS):
            a = 4.0 + 0.1 * number + 0.2 * other
            body = number % 5 == 4
            lattice = (np.eye(3) * 0.6 * a if body else np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) * a / 2).tolist()
            structure = {"lattice": lattice, "species": [cation, anion], "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]]}
            found.append(json.dumps({"id": f"{cation}{anion}", "formula": f"{cation}{anion}", "structure": structure}))
    found.append(
        json.dumps(
            {"id": "bad", "structure": {"lattice": [[0, 0, 0]] * 3, "species": ["Na"], "frac_coords": [[0, 0, 0]]}}
        )
    )
    return found


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("towers") / "salts.jsonl.gz"
    with gzip.open(path, "wt") as out:
        out.write("\n".join(lines()) + "\n")
    return path


@pytest.fixture(scope="module")
def rows(file: Path) -> Rows:
    return read_rows(file)


def test_structures_are_described_and_impossible_ones_left_out(rows: Rows) -> None:
    assert len(rows.ids) == len(CATIONS) * len(ANIONS)
    assert len(rows.compositions) == len(rows.ids)
    assert set(rows.prototypes) == {"AB_cF8_225_a_b", "AB_cP2_221_a_b"}


def test_what_is_described_once_is_kept(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read_rows(file, tmp_path)
    assert (tmp_path / FILE).exists()
    monkeypatch.setattr("builders.embeddings.towers.rows._described", lambda *_: pytest.fail("described again"))
    assert read_rows(file, tmp_path).ids == first.ids


def test_kept_out_formulas_are_not_trained_on(rows: Rows) -> None:
    kept_out = split(rows, ["NaCl", "K2Cl2"], test=20, development=20)
    parts = [set(each.tolist()) for each in (kept_out.test, kept_out.development, kept_out.excluded)]
    assert [len(each) for each in parts] == [20, 20, 2]
    assert len(set.union(*parts)) == 42
    trained = {rows.compositions[rows.owner[place]].formula for place in kept_out.train(rows)}
    assert {"NaCl", "KCl"}.isdisjoint(trained)
    assert len(trained) == len(rows.compositions) - 42


def test_an_ensemble_is_trained_and_written(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")

    def smaller(rows: Rows, excluded: list[str]) -> Split:
        return split(rows, excluded, test=25, development=25)

    monkeypatch.setattr(module, "split", smaller)
    monkeypatch.setattr(module, "Settings", lambda epochs=2: SMALL)
    exclude = tmp_path / "exclude.jsonl.gz"
    with gzip.open(exclude, "wt") as out:
        out.write('{"formula": "NaCl"}\n')
    main([str(file), "--out", str(tmp_path / "made"), "--work", str(tmp_path / "work"), "--exclude", str(exclude)])
    towers = load_towers(tmp_path / "made")
    assert len(towers.left) == 2
    assert towers.dimension == 16
    assert towers.card["data"]["kept_out"] == {"test": 25, "development": 25, "excluded": 1}
    assert towers.card["calibration"]["structure by score and relatives"]["all"]["pairs"] > 100
    assert np.isfinite(towers.embed_compositions(["NaCl", "LiFePO4"])).all()
    assert (tmp_path / "work" / "member-1").is_dir()


def test_training_is_the_same_for_the_same_seed(rows: Rows) -> None:
    pytest.importorskip("torch")
    kept_out = split(rows, test=25, development=25)
    one, two = (train(rows, kept_out, settings=SMALL, seeds=(3,)) for _ in range(2))
    for name, value in one.left[0].items():
        assert np.array_equal(value, two.left[0][name]), name


def test_no_formulas_are_an_empty_list(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "none.gz", "wt"):
        pass
    assert read_formulas(tmp_path / "none.gz") == []
    with pytest.raises(UsageError):
        load_towers(tmp_path)


def slow_share(candidate: np.ndarray, known: np.ndarray, has: np.ndarray, own: int) -> float:
    likeness = [
        (float(candidate @ each), bool(flag)) for k, (each, flag) in enumerate(zip(known, has, strict=True)) if k != own
    ]
    nearest = sorted(likeness, reverse=True)[:NEAREST]
    weights = [np.exp((value - nearest[0][0]) / 0.1) for value, _ in nearest]
    return float(sum(w for w, (_, flag) in zip(weights, nearest, strict=True) if flag) / sum(weights))


def test_relatives_by_hand() -> None:
    random = np.random.default_rng(2)
    known = random.normal(size=(30, 6)).astype(np.float32)
    known /= np.linalg.norm(known, axis=1, keepdims=True)
    has = random.uniform(size=30) < 0.4
    own = np.array([3, -1, 7])
    candidates = np.stack([known[3], known[5] * 0.6 + known[6] * 0.8, known[7]])
    scores = random.uniform(-1, 1, (3, len(SCALES))).astype(np.float32)
    found = support_features(scores, relatives_of(candidates, known, own), has)
    for row in range(3):
        expected = slow_share(candidates[row], known, has, int(own[row]))
        assert found[row, 3] == pytest.approx(expected, abs=1e-4)
        others = [k for k in range(30) if k != own[row]]
        likeness = known[others] @ candidates[row]
        assert found[row, 4] == pytest.approx(likeness[has[others]].max(), abs=1e-5)
        assert found[row, 5] == pytest.approx(likeness[~has[others]].max(), abs=1e-5)
    assert found[:, 0] == pytest.approx(scores.max(axis=1))
    assert found[:, 1] == pytest.approx(scores[:, SCALES.index(1.0)])


def test_without_relatives_the_score_alone_speaks() -> None:
    nobody = np.zeros((0, 4), dtype=np.float32)
    relatives = relatives_of(np.eye(2, 4, dtype=np.float32), nobody)
    found = support_features(np.zeros((2, 9), np.float32), relatives, np.zeros(0, dtype=bool))
    assert found[0].tolist() == [0.0, 0.0, np.log(0.5), 0.0, -1.0, -1.0, 0.0]


def test_support_learns_the_frequency_and_comes_back() -> None:
    random = np.random.default_rng(0)
    features = random.uniform(0, 1, (4000, 7))
    truth = features[:, 3]
    support = fit(features, random.uniform(size=4000) < truth, np.repeat(np.arange(400), 10))
    again = Support.from_array(support.to_array())
    assert np.array_equal(again.probability(features), support.probability(features))
    assert np.abs(support.probability(features) - truth).mean() < 0.06
