from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.embeddings import elements
from builders.embeddings.composition import (
    DIMENSION,
    STATISTICS,
    composition_statistics,
    embed,
    feature_names,
    load_scaler,
    model_identity,
    scaler_hash,
)
from builders.embeddings.elements import element_table
from builders.embeddings.fit_scaler import fit, main, read_compositions
from store.errors import FeatureError

SYMBOLS = element_table().symbols
compositions = st.dictionaries(
    st.sampled_from(SYMBOLS),
    st.one_of(st.integers(1, 40), st.floats(0.01, 40, allow_nan=False)),
    min_size=1,
    max_size=9,
)


def slow_statistics(composition: dict[str, float]) -> list[float]:
    """The definition, written out: one composition, one feature, one statistic at a time."""
    table = element_table()
    atoms = sum(composition.values())
    columns: dict[str, list[float]] = {statistic: [] for statistic in STATISTICS}
    for feature in range(len(table.names)):
        average = sum(
            amount / atoms * table.values[table.symbols.index(symbol), feature]
            for symbol, amount in composition.items()
        )
        variance = sum(
            amount / atoms * (table.values[table.symbols.index(symbol), feature] - average) ** 2
            for symbol, amount in composition.items()
        )
        values = [table.values[table.symbols.index(symbol), feature] for symbol in composition]
        columns["ave"].append(average)
        columns["sum"].append(average * atoms)
        columns["var"].append(variance)
        columns["max"].append(max(values))
        columns["min"].append(min(values))
    return [value for statistic in STATISTICS for value in columns[statistic]]


def test_the_table_is_xenonpys() -> None:
    table = element_table()
    assert table.values.shape == (94, 58)
    assert table.symbols[0] == "H"
    assert table.symbols[-1] == "Pu"
    assert table.values[:, table.names.index("atomic_number")].tolist() == list(range(1, 95))
    assert table.values[table.row["Fe"], table.names.index("atomic_weight")] == pytest.approx(55.845)
    assert table.row["D"] == table.row["T"] == table.row["H"]


def test_iron_oxide_by_hand() -> None:
    row = dict(zip(feature_names(), composition_statistics([{"Fe": 2, "O": 3}])[0], strict=True))
    assert row["ave:atomic_number"] == pytest.approx((2 * 26 + 3 * 8) / 5)
    assert row["sum:atomic_number"] == pytest.approx(2 * 26 + 3 * 8)
    assert row["var:atomic_number"] == pytest.approx(0.4 * (26 - 15.2) ** 2 + 0.6 * (8 - 15.2) ** 2)
    assert row["max:atomic_number"] == 26
    assert row["min:atomic_number"] == 8
    assert row["ave:atomic_weight"] == pytest.approx((2 * 55.845 + 3 * 15.999) / 5)
    assert row["ave:en_pauling"] == pytest.approx((2 * 1.83 + 3 * 3.44) / 5)
    assert row["max:en_pauling"] == pytest.approx(3.44)


def test_columns_stand_statistic_by_statistic() -> None:
    names = feature_names()
    assert len(names) == DIMENSION == 290
    assert len(set(names)) == 290
    assert [name.split(":")[0] for name in names[::58]] == ["ave", "sum", "var", "max", "min"]


@given(st.lists(compositions, min_size=1, max_size=20))
def test_fast_statistics_agree_with_the_slow_twin(batch: list[dict[str, float]]) -> None:
    expected = np.array([slow_statistics(composition) for composition in batch])
    np.testing.assert_allclose(composition_statistics(batch), expected, rtol=1e-9, atol=1e-9)


@given(st.lists(compositions, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_a_row_depends_on_its_composition_alone(batch: list[dict[str, float]], random: object) -> None:
    shuffled = []
    for composition in batch:
        items = list(composition.items())
        random.shuffle(items)  # type: ignore[attr-defined]
        shuffled.append(dict(items))
    together = embed(batch)
    assert together.dtype == np.float32
    alone = np.concatenate([embed([composition]) for composition in shuffled])
    assert together.tobytes() == alone.tobytes()


@given(st.dictionaries(st.sampled_from(SYMBOLS), st.integers(1, 40), min_size=1, max_size=6), st.integers(1, 30))
def test_formula_units_do_not_matter(composition: dict[str, int], times: int) -> None:
    multiple = {symbol: amount * times for symbol, amount in composition.items()}
    assert embed([composition]).tobytes() == embed([multiple]).tobytes()


def test_noise_in_summed_occupancies_does_not_matter() -> None:
    assert embed([{"Li": 0.1 + 0.2 + 0.7, "Cl": 1}]).tobytes() == embed([{"Li": 1, "Cl": 1}]).tobytes()


def test_amounts_of_a_disordered_formula_are_taken_as_given() -> None:
    row = dict(zip(feature_names(), composition_statistics([{"Li": 0.5, "Co": 1, "O": 2}])[0], strict=True))
    assert row["sum:atomic_number"] == pytest.approx(0.5 * 3 + 27 + 2 * 8)
    assert not (embed([{"Li": 0.5, "Co": 1, "O": 2}]) == embed([{"Li": 1, "Co": 2, "O": 4}])).all()


def test_an_element_has_no_variance_at_all() -> None:
    row = composition_statistics([{"Cu": 3}])[0]
    assert (row[2 * 58 : 3 * 58] == 0).all()


def test_deuterium_is_hydrogen() -> None:
    assert embed([{"D": 2, "O": 1}]).tobytes() == embed([{"H": 2, "O": 1}]).tobytes()
    assert embed([{"D": 1, "T": 1, "H": 2, "O": 2}]).tobytes() == embed([{"H": 2, "O": 1}]).tobytes()


def test_absent_elements_are_left_out() -> None:
    assert embed([{"Na": 1, "Cl": 1, "K": 0}]).tobytes() == embed([{"Na": 1, "Cl": 1}]).tobytes()


def test_nothing_in_gives_nothing_out() -> None:
    assert composition_statistics([]).shape == (0, 290)
    assert embed([]).shape == (0, 290)
    assert embed([]).dtype == np.float32


@pytest.mark.parametrize("symbol", ["Am", "Cm", "Lr", "Xx", "li"])
def test_an_element_without_features_is_named_with_the_range(symbol: str) -> None:
    with pytest.raises(FeatureError, match=f"'{symbol}'.*94 elements from H to Pu"):
        embed([{"Li": 1}, {symbol: 1, "O": 2}])


@pytest.mark.parametrize(
    ("composition", "message"),
    [
        ({}, "no atoms"),
        ({"Li": 0}, "no atoms"),
        ({"Li": -1, "O": 1}, "amount -1"),
        ({"Li": float("nan")}, "amount nan"),
        ({"Li": float("inf")}, "amount inf"),
        ({"Li": 1e12}, "amount"),
        ({"Li": "two"}, "should be a number"),
        ({"Li": None}, "should be a number"),
    ],
)
def test_impossible_amounts(composition: dict[str, float], message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        embed([{"Na": 1}, composition])


def test_the_package_of_the_table_is_not_imported() -> None:
    code = (
        "import sys; from builders.embeddings.composition import embed; embed([{'Li': 1}]);"
        "print([name for name in ('elementembeddings', 'pandas', 'numba', 'pymatgen', 'maggma') if name in sys.modules])"
    )
    root = Path(elements.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("content", ["", "element,a\nH,1\n", "element,a\nH,one\n", "\x00\x01"])
def test_a_damaged_table(content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "table.csv"
    broken.write_text(content)
    monkeypatch.setattr(elements, "_table_path", lambda: broken)
    with pytest.raises(FeatureError, match="pip install"):
        element_table.__wrapped__()


def test_an_absent_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elements, "_PACKAGE", "a_package_that_is_not_there")
    with pytest.raises(FeatureError, match=r"absent.*pip install"):
        element_table.__wrapped__()


def test_a_scaler_of_another_table_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from builders.embeddings import composition

    other = replace(element_table(), sha256="0" * 64)
    monkeypatch.setattr(composition, "element_table", lambda: other)
    with pytest.raises(FeatureError, match="another element table"):
        load_scaler.__wrapped__()


def test_the_card_describes_the_shipped_scaler() -> None:
    card = json.loads(files("builders.embeddings").joinpath("data", "composition_scaler.json").read_text())
    scaler = load_scaler()
    assert card["sha256"] == scaler.sha256 == scaler_hash(scaler.mean, scaler.std, element_table().sha256)
    assert card["element_table_sha256"] == element_table().sha256
    assert card["ddof"] == 1
    assert card["dimension"] == 290
    assert card["count"] > 30_000
    assert scaler.sha256[:16] in model_identity()
    assert np.isfinite(scaler.mean).all()
    assert (scaler.std > 0).all()


def test_embed_is_the_scaled_statistics() -> None:
    batch = [{"Li": 1, "Fe": 1, "P": 1, "O": 4}, {"Na": 1, "Cl": 1}]
    scaler = load_scaler()
    expected = (composition_statistics(batch) - scaler.mean) / scaler.std
    np.testing.assert_array_equal(embed(batch), expected.astype(np.float32))


def test_refitting_gives_the_same_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import gzip

    lines = [{"structure": {"species": species}} for species in (["Li", "Li", "O"], ["O", "Li", "Li"], ["Na", "Cl"])]
    source = tmp_path / "structures.jsonl.gz"
    source.write_bytes(gzip.compress("\n".join(json.dumps(line) for line in lines).encode()))
    for name in ("one", "two"):
        main([str(source), "--out", str(tmp_path / name), "--source", "three rows", "--licence", "none"])
    assert "2 compositions from 3 rows" in capsys.readouterr().out
    one, two = ((tmp_path / name / "composition_scaler.npz").read_bytes() for name in ("one", "two"))
    assert one == two
    card = json.loads((tmp_path / "one" / "composition_scaler.json").read_text())
    assert (card["count"], card["rows"], card["data"]) == (2, 3, "three rows")
    with np.load(tmp_path / "one" / "composition_scaler.npz") as stored:
        expected = composition_statistics([{"Li": 2, "O": 1}, {"Na": 1, "Cl": 1}])
        np.testing.assert_allclose(stored["mean"], expected.mean(axis=0))
        varied = np.ptp(expected, axis=0) > 0
        np.testing.assert_allclose(stored["std"][varied], expected.std(axis=0, ddof=1)[varied])
        assert (stored["std"][~varied] == 1).all()


@pytest.mark.data
def test_the_shipped_scaler_comes_from_the_stated_data(data_folder: Path) -> None:
    path = data_folder / "structures" / "mp_stable52.jsonl.gz"
    found, rows = read_compositions(path)
    assert rows == 30_886
    mean, std = fit(found)
    np.testing.assert_allclose(mean, load_scaler().mean, rtol=1e-9)
    np.testing.assert_allclose(std, load_scaler().std, rtol=1e-9)
    scaled = embed(found).astype(float)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(axis=0), 1, atol=1e-3)
    keys = Counter(row.tobytes() for row in embed(found))
    assert len(keys) == len(found), "different compositions get different vectors"
