"""``ionatlas train migration-energy``: what is learnt from, where the model goes, what is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from api.cli.main import app
from api.migration import train as training
from builders.barriers.features import NAMES
from store.arrays import pack
from store.errors import UsageError
from store.settings import Settings


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["train", "migration-energy", *arguments])


def barrier(number: int, width: int, **changed: Any) -> dict[str, Any]:
    """A document of ``barriers`` as far as training reads it."""
    features = np.random.default_rng(number).normal(size=width)
    document = {
        "_id": f"hop-{number:03d}",
        "barrier": 0.1 + abs(float(features[0])),
        "barrier_definition": "max-min" if number % 2 else "unstated",
        "method": "DFT-NEB" if number % 3 else "DFT-CI-NEB",
        "flags": [],
        "features": pack({"features": features}),
        "working_ion": ("Li", "Na", "Mg")[number % 3],
        "framework_formula": f"FeO{number // 4}",
        "crystal_class": "OLIVINE" if number % 5 else None,
    }
    return {**document, **changed}


@pytest.fixture
def width() -> int:
    return len(NAMES)


@pytest.fixture
def store(database: Any, width: int) -> Any:
    documents = [barrier(number, width) for number in range(60)]
    documents += [
        barrier(60, width, flags=["host_sites_overlap"]),
        barrier(61, width, method="MLIP-NEB (CHGNet 0.4.2)"),
        barrier(62, width, method="ApproxNEB"),
        barrier(63, width, barrier=None),
        barrier(64, width, features=None),
        barrier(65, width, features=pack({"features": np.zeros(width - 1)})),
        barrier(66, width, features=b"IAA1 damaged"),
    ]
    database["barriers"].insert_many(documents)
    return database


def test_only_what_can_be_learnt_from_is(store: Any) -> None:
    rows, dropped, definitions = training.gather(store)
    assert list(rows.ids) == [f"hop-{number:03d}" for number in range(60)]
    assert dropped == {
        "flagged host_sites_overlap": 1,
        "not computed with DFT along images": 2,
        "without a barrier": 1,
        "not described": 3,
    }
    assert definitions == {"unstated": 30, "max-min": 30}
    assert rows.features.shape == (60, rows.features.shape[1])
    assert rows.features[7, 0] == pytest.approx(np.random.default_rng(7).normal())
    assert list(rows.groups)[:5] == ["FeO0"] * 4 + ["FeO1"]
    assert list(rows.classes)[:2] == ["unknown", "OLIVINE"]


def test_a_store_without_barriers_is_told(store: Any) -> None:
    store["barriers"].delete_many({"_id": {"$lt": "hop-060"}})
    with pytest.raises(UsageError, match=r"no barriers to train on \(1 flagged host_sites_overlap"):
        training.gather(store)


def test_the_command_writes_a_model_and_prints_its_scores(
    store: Any, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    scores = {"mae": 0.3123, "r2": 0.47, "coverage": 0.9, "constant": {"mae": 0.508}}

    def train(rows: Any, seed: int = 0, progress: Any = None, about: Any = None) -> dict[str, Any]:
        asked.append((len(rows), seed))
        progress(1, 1)
        return {"id": "mine-1", "scores": {"grouped by framework": scores}, "data": about}

    def save(model: Any, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "card.json").write_text(json.dumps(model))

    monkeypatch.setattr("builders.migration.train.train", train)
    monkeypatch.setattr("builders.models.files.save_model", save)
    for name, value in (
        ("HOME", settings.home),
        ("MONGODB_URI", settings.mongodb_uri),
        ("DATABASE", settings.database),
    ):
        monkeypatch.setenv(f"IONATLAS_{name}", str(value))
    result = run("--seed", "7")
    assert result.exit_code == 0, result.stderr
    assert asked == [(60, 7)]
    assert (settings.home / "models" / "migration-energy" / "card.json").exists()
    assert "mine-1: 60 barriers" in result.stdout
    assert "left out: 1 flagged host_sites_overlap" in result.stdout
    assert "what their sources mean by barrier: unstated 30, max-min 30" in result.stdout
    (grouped,) = [line for line in result.stdout.splitlines() if "grouped by framework" in line]
    assert "0.312" in grouped
    assert "0.508" in result.stdout
    assert "--model" in result.stderr
    (tmp_path / "file").write_text("")
    refused = run("--output", str(tmp_path / "file" / "model"))
    assert (refused.exit_code, "cannot be written" in refused.stderr) == (2, True)
    told = run("--output", str(tmp_path / "there"), "--json")
    assert json.loads(told.stdout)["id"] == "mine-1"
    assert (tmp_path / "there" / "card.json").exists()


def test_help_names_the_seed_and_the_folder() -> None:
    result = run("--help")
    assert result.exit_code == 0
    for word in ("--seed", "--output", "host_sites_overlap", "--model"):
        assert word in result.stdout
