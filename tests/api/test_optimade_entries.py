"""Entries of the OPTIMADE server: crystals as they were given, pages and their order, parameters, licences, links."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from optimade.models import (
    ErrorResponse,
)

from api.optimade.app import optimade_app
from api.service import Service
from store.connection import connect
from store.server import ServerInfo
from store.settings import Settings

from .optimade_store import ask, everything, make_store

SHARED, EMPTY, HYDROXIDE = "cod-1000001", "cod-1000002", "cod-1000003"

# The models of optimade 1.5 read `model_fields` from instances, which pydantic gives up. The server does not use them.
pytestmark = pytest.mark.filterwarnings("ignore:Accessing the 'model_fields' attribute on the instance")


@pytest.fixture(scope="module")
def store(server: ServerInfo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = make_store(server.uri, tmp_path_factory.mktemp("optimade"))
    yield settings
    connect(settings).client.drop_database(settings.database)


@pytest.fixture
def client(store: Settings) -> TestClient:
    app = FastAPI()
    app.mount("/optimade", optimade_app(Service(connect(store), store)))
    return TestClient(app, base_url="http://atlas.test/optimade/v1/", raise_server_exceptions=False)


# Crystals


def entry(client: TestClient, id_: str) -> dict[str, Any]:
    answer = client.get(f"structures/{quote(id_, safe='')}")
    assert answer.status_code == 200
    data: dict[str, Any] = answer.json()["data"]
    return data


def test_the_cell_is_that_of_the_record(client: TestClient) -> None:
    told = entry(client, "t-11")["attributes"]
    assert told["nsites"] == 8 == len(told["cartesian_site_positions"]) == len(told["species_at_sites"])
    np.testing.assert_allclose(told["lattice_vectors"], np.eye(3) * 5.64)
    np.testing.assert_allclose(told["cartesian_site_positions"][4], [2.82] * 3)
    assert told["species_at_sites"][0] == "Na"
    assert told["elements_ratios"] == [0.5, 0.5]
    assert told["chemical_formula_descriptive"] == "NaCl"
    assert told["chemical_formula_reduced"] == "ClNa"
    assert told["structure_features"] == []


def test_a_shared_site_is_one_species_with_several_symbols(client: TestClient) -> None:
    told = entry(client, SHARED)["attributes"]
    assert told["nsites"] == 8
    species = {each["name"]: each for each in told["species"]}
    mixed = species[told["species_at_sites"][0]]
    assert dict(zip(mixed["chemical_symbols"], mixed["concentration"], strict=True)) == {"Fe": 0.6, "Mg": 0.4}
    assert told["structure_features"] == ["disorder"]


def test_what_is_missing_on_a_site_is_a_vacancy(client: TestClient) -> None:
    told = entry(client, EMPTY)["attributes"]
    half = next(each for each in told["species"] if "Li" in each["chemical_symbols"])
    assert half["chemical_symbols"] == ["Li", "vacancy"]
    assert half["concentration"] == [0.5, 0.5]


def test_a_left_handed_cell_and_deuterium_are_served_as_they_were_analysed(client: TestClient) -> None:
    left = entry(client, "left")["attributes"]
    assert np.linalg.det(left["lattice_vectors"]) > 0
    heavy = entry(client, "heavy")["attributes"]
    assert heavy["elements"] == ["H", "Pd"]
    assert set(heavy["species_at_sites"]) == {"H", "Pd"}


def test_an_id_with_every_letter_is_found(client: TestClient) -> None:
    assert entry(client, "a(b.c/d+%é")["id"] == "a(b.c/d+%é"


def test_an_id_that_there_is_not_gives_null(client: TestClient) -> None:
    answer = client.get("structures/nothing")
    assert (answer.status_code, answer.json()["data"]) == (200, None)
    assert answer.json()["meta"]["data_returned"] == 0
    assert client.get("structures/" + quote("\x00", safe="")).status_code == 200


def test_a_record_that_changed_since_has_no_cell(client: TestClient, store: Settings) -> None:
    sources = connect(store)["sources"]
    kept = sources.find_one({"_id": "t-4"})
    assert kept is not None
    try:
        sources.update_one({"_id": "t-4"}, {"$set": {"content": b"{"}})
        told = entry(client, "t-4")["attributes"]
        assert told["nsites"] == 2
        assert told["cartesian_site_positions"] is told["species"] is None
    finally:
        sources.replace_one({"_id": "t-4"}, kept)


# Pages, fields, orders, versions


@pytest.mark.parametrize(
    "start",
    [
        "page_limit=3",
        "page_limit=3&page_offset=1",
        "page_limit=3&page_number=1",
        "page_limit=3&sort=-nsites",
        "page_limit=2&sort=_ionatlas_band_gap,-nsites",
        "page_limit=4&sort=-_ionatlas_band_gap",
        "page_limit=3&sort=last_modified",
        "page_limit=3&sort=-id",
    ],
)
def test_next_links_lead_through_everything_once(client: TestClient, start: str) -> None:
    seen: list[str] = []
    address: str | None = f"structures?{start}&filter=nelements>0"
    while address is not None:
        body = client.get(address).json()
        seen += [each["id"] for each in body["data"]]
        assert body["meta"]["more_data_available"] == (body["links"]["next"] is not None)
        address = body["links"]["next"]
        assert address is None or address.startswith("http://atlas.test/optimade/v1/structures?")
    left_out = 1 if "offset" in start else 0
    assert len(seen) == len(set(seen)) == len(everything(client)) - left_out


def test_page_above_is_an_id(client: TestClient) -> None:
    ids = sorted(everything(client))
    body = ask(client, page_above=ids[3], page_limit=2).json()
    assert [each["id"] for each in body["data"]] == ids[4:6]
    assert ask(client, page_above="x", sort="nsites").status_code == 400


def test_entries_are_sorted(client: TestClient) -> None:
    rows = ask(client, sort="-nsites,id", page_limit=100, response_fields="nsites").json()["data"]
    assert [(-each["attributes"]["nsites"], each["id"]) for each in rows] == sorted(
        (-each["attributes"]["nsites"], each["id"]) for each in rows
    )
    assert ask(client, sort="last_modified").status_code == 200
    assert ask(client, sort="elements").status_code == 400
    assert ask(client, sort="last_modified,nsites").status_code == 400
    assert ask(client, sort="_exmpl_a").json()["meta"]["warnings"]


@pytest.mark.parametrize("sign", ["", "-"])
def test_what_has_no_value_comes_last(client: TestClient, sign: str) -> None:
    gaps: list[float | None] = []
    address: str | None = f"structures?sort={sign}_ionatlas_band_gap&page_limit=4&response_fields=_ionatlas_band_gap"
    while address is not None:
        body = client.get(address).json()
        gaps += [each["attributes"]["_ionatlas_band_gap"] for each in body["data"]]
        address = body["links"]["next"]
        assert address is None or "page_cursor=" in address
    known = [gap for gap in gaps if gap is not None]
    assert known == sorted(known, reverse=bool(sign))
    assert gaps == known + [None] * (len(gaps) - len(known))


def test_a_cursor_goes_with_its_question_and_may_be_broken(client: TestClient) -> None:
    following = ask(client, sort="nsites", page_limit=3).json()["links"]["next"]
    assert client.get(following).status_code == 200
    assert client.get(following.replace("sort=nsites", "sort=-nsites")).status_code == 400
    assert client.get(following + "x").status_code == 400
    assert client.get("structures?page_cursor=3").status_code == 400
    warned = client.get(following + "&page_offset=3").json()["meta"]["warnings"]
    assert "page_offset" in warned[0]["detail"]


def test_response_fields_are_obeyed(client: TestClient) -> None:
    body = ask(client, response_fields="nsites,elements,_exmpl_a").json()
    assert all(set(each["attributes"]) == {"nsites", "elements", "_exmpl_a"} for each in body["data"])
    assert body["data"][0]["attributes"]["_exmpl_a"] is None
    single = client.get("structures/t-1?response_fields=nsites").json()["data"]
    assert single == {"type": "structures", "id": "t-1", "attributes": {"nsites": 2}}


def test_parameters_that_there_are_not(client: TestClient) -> None:
    assert client.get("structures?filtre=nelements=2").status_code == 400
    assert client.get("structures?_ionatlas_x=2").status_code == 400
    assert client.get("structures?_exmpl_x=2").json()["meta"]["warnings"]
    assert client.get("structures/t-1?whatever=2").status_code == 200
    assert client.get("structures?response_format=xml").status_code == 400
    assert client.get("structures?include=structures").status_code == 400
    assert client.get("structures?include=references").status_code == 200
    assert client.get("structures?email_address=nobody").status_code == 400
    assert client.get("structures?email_address=someone@gmail.com").status_code == 200


@pytest.mark.parametrize("version", ["", "v1/", "v1.2/", "v1.2.0/"])
def test_every_version_of_the_base_url_answers(client: TestClient, version: str) -> None:
    answer = client.get(f"http://atlas.test/optimade/{version}structures?filter=nelements=3")
    assert [each["id"] for each in answer.json()["data"]] == [SHARED, "t-9"]
    assert answer.json()["meta"]["query"]["representation"] == "/structures?filter=nelements=3"


def test_other_versions_are_told_apart(client: TestClient) -> None:
    for path in ("v2/info", "v123123/info", "v1.1/structures", "v0/"):
        assert client.get(f"http://atlas.test/optimade/{path}").status_code == 553
    assert client.get("http://atlas.test/optimade/versions").text == "version\n1"
    assert client.get("versions").status_code == 404
    assert client.get("info?api_hint=v2").status_code == 553
    assert client.get("info?api_hint=v1.1").status_code == 200
    assert client.get("info?api_hint=x").json()["meta"]["warnings"]
    assert client.get("nothing").status_code == 404
    assert client.post("structures").status_code == 405


@pytest.mark.parametrize(
    ("licences", "link", "listed"),
    [
        (["CC-BY-4.0"], "https://spdx.org/licenses/CC-BY-4.0", ["CC-BY-4.0"]),
        (["https://example.org/terms"], "https://example.org/terms", None),
        (["CC-BY-4.0", "CC0-1.0"], None, None),
        (["CC-BY-4.0", None], None, None),
        (["ask the authors"], None, None),
        ([], None, None),
    ],
)
def test_a_licence_is_promised_where_all_records_have_it(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, licences: list[str | None], link: str | None, listed: Any
) -> None:
    monkeypatch.setattr("api.optimade.collection.StructureCollection.licences", lambda _: licences)
    told = client.get("info").json()["data"]["attributes"]
    assert (told["license"], told["available_licenses"]) == (link, listed)


def test_each_record_tells_its_licence(client: TestClient) -> None:
    assert (
        entry_with(client, SHARED, "_ionatlas_licence") != entry_with(client, "t-1", "_ionatlas_licence") == "CC-BY-4.0"
    )


def entry_with(client: TestClient, id_: str, name: str) -> Any:
    return client.get(f"structures/{id_}?response_fields={name}").json()["data"]["attributes"][name]


def test_behind_a_proxy_addresses_are_those_of_the_outside(store: Settings) -> None:
    outside = store.model_copy(update={"public_url": "https://atlas.example.org/"})
    app = FastAPI()
    app.mount("/optimade", optimade_app(Service(connect(store), outside)))
    client = TestClient(app, base_url="http://10.0.0.3/optimade/v1/")
    following = client.get("structures?page_limit=1").json()["links"]["next"]
    assert following.startswith("https://atlas.example.org/optimade/v1/structures?page_limit=1&page_above=")
    versions = client.get("info").json()["data"]["attributes"]["available_api_versions"]
    assert versions[0]["url"] == "https://atlas.example.org/optimade/v1"


def test_links_can_be_asked_like_any_entries(client: TestClient) -> None:
    assert len(client.get("links").json()["data"]) == 2
    body = client.get("links", params={"filter": 'link_type = "root" AND NOT name CONTAINS "OPTIMADE"'}).json()
    assert [each["id"] for each in body["data"]] == ["root"]
    assert body["data"][0]["attributes"]["base_url"] == "http://atlas.test/optimade"
    assert (body["meta"]["data_returned"], body["meta"]["data_available"]) == (1, 2)
    assert client.get("links?filter=crazyfield=2").status_code == 400
    assert client.get("links?filter=_exmpl_a=2").json()["data"] == []
    first = client.get("links?page_limit=1").json()
    assert client.get(first["links"]["next"]).json()["data"][0]["id"] == "optimade"
    assert client.get('references?filter=doi="x"').json()["data"] == []
    assert client.get("references/x").json()["data"] is None


def test_scripts_of_other_sites_may_read(client: TestClient) -> None:
    answer = client.get("info", headers={"Origin": "https://elsewhere.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["content-type"] == "application/vnd.api+json"


def test_warnings_of_one_request_are_not_in_the_next_answer(client: TestClient) -> None:
    assert "warnings" in ask(client, "_exmpl_a = 1").json()["meta"]
    assert "warnings" not in ask(client, "nelements = 1").json()["meta"]


def test_settings_of_the_reference_server_change_nothing(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTIMADE_PAGE_LIMIT", "3")
    monkeypatch.setenv("OPTIMADE_DEBUG", "true")
    client = TestClient(optimade_app(Service(connect(store), store)))
    assert len(client.get("/v1/structures").json()["data"]) > 3


def test_a_server_that_is_gone_is_said_plainly(store: Settings) -> None:
    class Gone:
        def call(self, _: Any) -> Any:
            from store.errors import ServerUnavailable

            raise ServerUnavailable("Nobody answers at the address.", mend="ionatlas db start")

    client = TestClient(optimade_app(Gone()))  # type: ignore[arg-type]
    answer = client.get("/v1/structures")
    assert answer.status_code == 503
    assert "ionatlas db" not in answer.text
    ErrorResponse(**answer.json())
