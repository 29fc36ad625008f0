"""Other programs against our server: optimade's client and command, and our own ingestion, which gets the same crystals back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI

from api.optimade.app import optimade_app
from api.service import Service
from store.connection import connect
from store.ingest.optimade_client import fetch_optimade
from store.ingest.readers import read_record
from store.ingest.records import Record
from store.server import ServerInfo
from store.settings import Settings

from .optimade_store import make_store, served

pytest.importorskip("optimade.client", reason="the client of optimade is not installed")


@pytest.fixture(scope="module")
def store(server: ServerInfo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = make_store(server.uri, tmp_path_factory.mktemp("clients"))
    yield settings
    connect(settings).client.drop_database(settings.database)


@pytest.fixture(scope="module")
def address(store: Settings) -> Iterator[str]:
    app = FastAPI()
    app.mount("/optimade", optimade_app(Service(connect(store), store)))
    with served(app) as base:
        yield f"{base}/optimade"


def test_the_client_of_optimade_finds_and_counts(address: str, store: Settings) -> None:
    from optimade.client import OptimadeClient

    client = OptimadeClient(base_urls=[address], use_async=False, silent=True, max_results_per_provider=100)
    filter_ = 'elements HAS "Cl"'
    answers = client.get(filter_, response_fields=["nsites", "_ionatlas_band_gap"])["structures"][filter_][address]
    ids = {each["id"] for each in answers["data"]}
    assert ids == {row["_id"] for row in connect(store)["candidates"].find({"elements": "Cl"}, {"_id": 1})}
    assert client.count(filter_)["structures"][filter_][address] == len(ids)


def test_the_command_of_optimade_prints_what_it_finds(address: str) -> None:
    script = Path(sys.executable).parent / "optimade-get"
    command = [str(script), "--filter", 'id = "t-1"', "--silent", address]
    made = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    answers = json.loads(made.stdout)["structures"]['id = "t-1"'][address]
    assert [each["id"] for each in answers["data"]] == ["t-1"]


def records(address: str, **options: Any) -> dict[str, Record]:
    found = list(fetch_optimade(address, **options))
    assert all(isinstance(each, Record) for each in found), found
    return {str(each.id): each for each in found if isinstance(each, Record)}


def test_what_is_ingested_from_us_is_the_same_crystal(address: str, store: Settings) -> None:
    """Every material of the store, in pages of three: lattice, sites, occupancies, and the hash of its geometry."""
    from builders.structures.analysis import analyse

    found = records(address, page_limit=3)
    candidates = connect(store)["candidates"]
    rows = {row["_id"]: row for row in candidates.find({}, {"structure_hash": 1, "formula": 1, "nsites": 1})}
    assert {key.removeprefix("ionatlas-") for key in found} == set(rows)
    for key, row in rows.items():
        record = found[f"ionatlas-{key}"]
        crystal = read_record(record.format, record.content).crystal
        given = Service(connect(store), store).structure(key, "given")
        again, before = analyse(crystal).to_document(), analyse(given).to_document()
        assert again["structure_hash"] == before["structure_hash"] == row["structure_hash"], key
        assert (again["formula"], again["nsites"]) == (row["formula"], row["nsites"])
        assert crystal.is_ordered == given.is_ordered
        if key != "left":  # inverted on the way in
            np.testing.assert_allclose(crystal.lattice, given.lattice, atol=1e-9)
            shift = crystal.frac_coords - given.frac_coords
            np.testing.assert_allclose(shift - np.round(shift), 0.0, atol=1e-9)


def test_a_filter_a_limit_and_our_fields_go_through_ingestion(address: str) -> None:
    found = records(
        address, filter="_ionatlas_band_gap > 6", response_fields=["_ionatlas_band_gap", "_ionatlas_licence"]
    )
    assert set(found) == {"ionatlas-t-2", "ionatlas-t-3", "ionatlas-t-8"}
    read = read_record("optimade-json", found["ionatlas-t-3"].content)
    assert read.properties["_ionatlas_band_gap"] == 8.8
    assert found["ionatlas-t-3"].provider == "ionatlas"
    assert len(list(fetch_optimade(address, limit=2, page_limit=1))) == 2
