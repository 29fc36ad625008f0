"""The files of models: written whole, read back the same; damaged, foreign and outdated ones are refused or read again."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders.barriers.describe import NAMES
from builders.conductivity.model import ConductivityModel
from builders.migration.model import MigrationModel, load_model
from builders.models.base import PortableModel
from builders.models.files import ARRAYS, CARD, read_model, save_model
from store.errors import UsageError

from .migration_rows import known, typical

every_kind = pytest.mark.parametrize("kind", [MigrationModel, ConductivityModel], ids=lambda kind: kind.SETTING)
IONS = ["Li", "Na", "K", "Mg", "Ca", "Al", "Ag", "Xx", ""]


@pytest.fixture(scope="module")
def model() -> MigrationModel:
    return load_model()


def test_a_saved_model_comes_back(model: MigrationModel, tmp_path: Path) -> None:
    save_model(model, tmp_path / "deep" / "copy")
    again = load_model(tmp_path / "deep" / "copy")
    assert sorted(each.name for each in (tmp_path / "deep" / "copy").iterdir()) == [CARD, ARRAYS]
    rows = known(model)[::25]
    ions = [IONS[k % len(IONS)] for k in range(len(rows))]
    one, other = model.predict(rows, ions), again.predict(rows, ions)
    for name in ("value", "lower", "upper", "in_domain", "distance"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.reasons == other.reasons
    assert (again.id, again.names, again.ions, again.floor) == (model.id, model.names, model.ions, model.floor)
    assert again.card["weights_hash"] == model.card["weights_hash"]


def copied(folder: Path, kind: type[PortableModel] = MigrationModel) -> Path:
    shutil.copytree(kind.FOLDER, folder)
    return folder


def edited(folder: Path, change: Any) -> Path:
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    (folder / CARD).write_text(json.dumps(change(card)))
    return folder


@every_kind
def test_a_saved_model_has_the_bytes_of_the_one_that_ships(kind: type[PortableModel], tmp_path: Path) -> None:
    """Stamps of documents name the weights' hash: it must not change by reading and writing."""
    save_model(read_model(kind), tmp_path)
    for name in (ARRAYS, CARD):
        assert (tmp_path / name).read_bytes() == (kind.FOLDER / name).read_bytes()


@every_kind
def test_a_folder_without_a_model_is_told(kind: type[PortableModel], tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(UsageError, match=rf"There is no model of {kind.WHAT}[\s\S]*{kind.TRAIN}"):
            read_model(kind, folder)
    (copied(tmp_path / "half", kind) / CARD).unlink()
    with pytest.raises(UsageError, match="FileNotFoundError"):
        read_model(kind, tmp_path / "half")


@every_kind
@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_damaged_weights_are_refused(kind: type[PortableModel], damage: str, tmp_path: Path) -> None:
    folder = copied(tmp_path / "model", kind)
    content = (folder / ARRAYS).read_bytes()
    middle = len(content) // 2
    broken = {
        "cut": content[:-10],
        "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "empty": b"",
    }[damage]
    (folder / ARRAYS).write_bytes(broken)
    with pytest.raises(UsageError, match="do not belong to the card"):
        read_model(kind, folder)


@every_kind
@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"[]", b"{}", b"null", b'{"weights_hash": 3}'], ids=lambda each: repr(each)
)
def test_a_damaged_card_is_refused(kind: type[PortableModel], content: bytes, tmp_path: Path) -> None:
    folder = copied(tmp_path / "model", kind)
    (folder / CARD).write_bytes(content)
    with pytest.raises(UsageError):
        read_model(kind, folder)


@every_kind
@pytest.mark.parametrize(
    ("part", "value"), [("model", "gone"), ("model", None), ("model", 3), ("model", []), ("id", "gone")]
)
def test_a_card_that_lacks_a_part_is_refused(kind: type[PortableModel], part: str, value: Any, tmp_path: Path) -> None:
    def change(card: dict[str, Any]) -> dict[str, Any]:
        card[part] = value
        if value == "gone":
            del card[part]
        return card

    folder = edited(copied(tmp_path / "model", kind), change)
    with pytest.raises(UsageError, match="card"):
        read_model(kind, folder)


def test_a_card_of_another_model_is_refused(model: MigrationModel, tmp_path: Path) -> None:
    folder = copied(tmp_path / "model")
    save_model(replace(model, median=model.median + 1.0), tmp_path / "other")
    shutil.copy(tmp_path / "other" / CARD, folder / CARD)
    with pytest.raises(UsageError, match="do not belong to the card"):
        load_model(folder)


def test_a_model_of_other_descriptors_is_refused(tmp_path: Path) -> None:
    def change(card: dict[str, Any]) -> dict[str, Any]:
        card["model"]["descriptors"][3] = "colour"
        return card

    with pytest.raises(UsageError, match="other descriptors than this version's"):
        read_model(ConductivityModel, edited(copied(tmp_path / "other", ConductivityModel), change))
    foreign = load_model(edited(copied(tmp_path / "model"), change))
    with pytest.raises(UsageError, match=r"colour[\s\S]*ionatlas train migration-energy"):
        foreign.predict(np.zeros((1, len(NAMES))), ["Li"])


def test_a_model_that_was_trained_again_is_read_again(model: MigrationModel, tmp_path: Path) -> None:
    save_model(model, tmp_path)
    assert load_model(tmp_path) is load_model(tmp_path)
    before = load_model(tmp_path).predict(typical(model), ["Li"]).value
    save_model(replace(model, weights=np.array([1.0, 0.0, 0.0, 0.0])), tmp_path)
    assert load_model(tmp_path).weights.tolist() == [1.0, 0.0, 0.0, 0.0]
    assert load_model(tmp_path).predict(typical(model), ["Li"]).value != before


def test_a_model_of_conductivities_that_was_trained_again_is_read_again(tmp_path: Path) -> None:
    model = read_model(ConductivityModel)
    save_model(model, tmp_path)
    assert read_model(ConductivityModel, tmp_path).floor == model.floor
    save_model(replace(model, floor=2.0), tmp_path)
    assert read_model(ConductivityModel, tmp_path).floor == 2.0
