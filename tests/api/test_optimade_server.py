"""The OPTIMADE server: the validator, the known faults of the reference server, properties and filters."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from optimade.models import (
    EntryInfoResponse,
    ErrorResponse,
    InfoResponse,
    LinksResponse,
    ReferenceResponseMany,
    StructureResource,
    StructureResponseMany,
)

from api.optimade.app import optimade_app
from api.service import Service
from store.connection import connect
from store.fields import candidate_fields
from store.server import ServerInfo
from store.settings import Settings

from .optimade_store import ask, everything, found, make_store, served

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


# The validator


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_the_validator_passes_every_mandatory_and_optional_check(store: Settings, seed: int) -> None:
    import random

    from optimade.validator import ImplementationValidator

    app = FastAPI()
    app.mount("/optimade", optimade_app(Service(connect(store), store)))
    random.seed(seed)  # it picks an entry and fields at random
    with served(app) as address:
        validator = ImplementationValidator(base_url=f"{address}/optimade/v1", respond_json=True)
        with contextlib.redirect_stdout(io.StringIO()) as told:
            validator.validate_implementation()
    counts = json.loads(told.getvalue())
    assert counts["failure_messages"] == []
    assert counts["optional_failure_messages"] == []
    assert counts["internal_failure_messages"] == []
    assert counts["success_count"] >= 35
    assert counts["optional_success_count"] >= 7
    assert validator.valid is True


def test_the_unversioned_base_url_is_valid_as_well(store: Settings) -> None:
    from optimade.validator import ImplementationValidator

    app = FastAPI()
    app.mount("/optimade", optimade_app(Service(connect(store), store)))
    with served(app) as address:
        validator = ImplementationValidator(base_url=f"{address}/optimade", respond_json=True)
        with contextlib.redirect_stdout(io.StringIO()) as told:
            validator.validate_implementation()
    counts = json.loads(told.getvalue())
    assert counts["failure_messages"] == counts["optional_failure_messages"] == []


def test_it_passes_within_the_whole_application(store: Settings) -> None:
    from optimade.validator import ImplementationValidator

    from api.rest.app import create_app

    app = create_app(store)
    try:
        with served(app) as address:
            validator = ImplementationValidator(base_url=f"{address}/optimade/v1", respond_json=True)
            with contextlib.redirect_stdout(io.StringIO()) as told:
                validator.validate_implementation()
    finally:
        app.state.sandbox.close()
    counts = json.loads(told.getvalue())
    assert (
        counts["failure_messages"] == counts["optional_failure_messages"] == counts["internal_failure_messages"] == []
    )
    assert counts["success_count"] >= 35


def test_answers_fit_the_models_of_the_specification(client: TestClient) -> None:
    body = ask(client, page_limit=100).json()
    StructureResponseMany(**body)
    for entry in body["data"]:
        StructureResource(**entry)
    InfoResponse(**client.get("info").json())
    EntryInfoResponse(**client.get("info/structures").json())
    EntryInfoResponse(**client.get("info/references").json())
    LinksResponse(**client.get("links").json())
    ReferenceResponseMany(**client.get("references").json())
    ErrorResponse(**ask(client, "nonsense").json())


SPY = """
import sys
asked = []
class Spy:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("mongomock"):
            asked.append(name.partition(".")[0])
sys.meta_path.insert(0, Spy())
from fastapi.testclient import TestClient
from api.optimade.app import optimade_app
from api.service import Service
from store.connection import connect
from store.settings import load_settings
settings = load_settings()
client = TestClient(optimade_app(Service(connect(settings), settings)))
assert client.get("/v1/structures").json()["data"]
{more}
print("asked for:", sorted(set(asked)))
"""


@pytest.mark.parametrize(
    ("more", "told"),
    [("", "[]"), ("import mongomock", "['mongomock']")],
    ids=["ours", "an import that the spy must notice"],
)
def test_no_mock_of_a_database_is_asked_for(store: Settings, more: str, told: str) -> None:
    environment = {
        **os.environ,
        "IONATLAS_HOME": str(store.home),
        "IONATLAS_MONGODB_URI": store.mongodb_uri or "",
        "IONATLAS_DATABASE": store.database,
    }
    code = SPY.replace("{more}", f"try:\n    {more}\nexcept ImportError:\n    pass" if more else "")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.strip() == f"asked for: {told}", done.stderr


# Faults of the reference server


def test_a_dot_in_contains_is_a_dot(client: TestClient) -> None:
    assert found(client, 'chemical_formula_reduced CONTAINS "."') == set()
    assert found(client, 'id CONTAINS "."') == {"a(b.c/d+%é"}


@pytest.mark.parametrize("keyword", ["CONTAINS", "STARTS WITH", "ENDS WITH"])
@pytest.mark.parametrize("text", ["(", ")", "[", "*", "+", "\\\\", "^", "$", "?", "{", "|", ".*"])
def test_letters_of_patterns_stand_for_themselves(client: TestClient, keyword: str, text: str) -> None:
    hits = found(client, f'id {keyword} "{text}"')
    plain = text.replace("\\\\", "\\")
    test = {"CONTAINS": str.__contains__, "STARTS WITH": str.startswith, "ENDS WITH": str.endswith}[keyword]
    assert hits == {each for each in everything(client) if test(each, plain)}


@pytest.mark.parametrize("number", ["100000000000000000000", "9223372036854775808", "1e400", "1" + "0" * 300])
def test_numbers_beyond_any_are_compared_rightly(client: TestClient, number: str) -> None:
    assert found(client, f"nelements > {number}") == set()
    assert found(client, f"nelements = {number}") == set()
    assert found(client, f"nelements < {number}") == everything(client)
    assert found(client, f"nelements > -{number}") == everything(client)
    assert found(client, f"nelements != {number}") == everything(client)
    if "e" not in number:
        assert found(client, f"elements LENGTH < {number}") == everything(client)
        assert found(client, f"_ionatlas_flags LENGTH < {number}") == everything(client)
        assert found(client, f"_ionatlas_flags LENGTH > {number}") == set()


def test_a_power_is_no_number(client: TestClient) -> None:
    answer = ask(client, "nelements > 10^20")
    assert answer.status_code == 400
    assert "^" in answer.json()["errors"][0]["detail"]


@pytest.mark.parametrize("deep", [200, 5000])
def test_deep_brackets_are_refused(client: TestClient, deep: int) -> None:
    answer = client.get("structures", params={"filter": "(" * deep + "nelements=2" + ")" * deep})
    assert answer.status_code == 400
    ErrorResponse(**answer.json())


def test_moderate_brackets_are_read(client: TestClient) -> None:
    assert found(client, "(" * 20 + "nelements=2" + ")" * 20) == found(client, "nelements=2")


@pytest.mark.parametrize(
    "query",
    ["page_limit=-1", "page_limit=x", "page_offset=-1", "page_limit=1.5", "page_limit=", "page_limit=" + "9" * 5000],
)
def test_impossible_pages_are_refused(client: TestClient, query: str) -> None:
    answer = client.get(f"structures?{query}")
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["source"]["parameter"] == query.split("=")[0]


@pytest.mark.parametrize("query", ["page_offset=" + "1" + "0" * 20, "page_number=" + "1" + "0" * 20])
def test_pages_behind_the_last_are_empty(client: TestClient, query: str) -> None:
    body = client.get(f"structures?{query}").json()
    assert body["data"] == []
    assert body["meta"]["more_data_available"] is False
    assert body["meta"]["data_returned"] == len(everything(client))


def test_a_page_that_is_too_large_is_forbidden(client: TestClient) -> None:
    assert client.get("structures?page_limit=501").status_code == 403
    assert client.get("links?page_limit=501").status_code == 403
    assert client.get("structures?page_limit=100000000000000000000").status_code == 403


def test_no_entries_can_be_asked_for(client: TestClient) -> None:
    body = client.get("structures?page_limit=0").json()
    assert body["data"] == []
    assert body["meta"]["data_returned"] == len(everything(client))
    assert client.get(body["links"]["next"]).json()["data"]


# Properties, known and unknown


def test_properties_of_other_providers_are_unknown(client: TestClient) -> None:
    answer = ask(client, "_exmpl_colour = 2")
    assert answer.status_code == 200
    assert answer.json()["data"] == []
    assert "_exmpl_colour" in answer.json()["meta"]["warnings"][0]["detail"]
    assert found(client, "_exmpl_colour IS UNKNOWN") == everything(client)
    assert found(client, "NOT _exmpl_colour = 2 OR _exmpl_a.b HAS 3") == set()
    assert found(client, "_exmpl_colour = 2 OR nelements = 2") == found(client, "nelements = 2")


@pytest.mark.parametrize("name", ["nelement", "bandgap", "_ionatlas_bandgap", "_ionatlas_nsites", "filter"])
def test_properties_that_there_are_not_are_errors(client: TestClient, name: str) -> None:
    for answer in (
        ask(client, f"{name} = 2"),
        ask(client, f"2 = {name}"),
        ask(client, response_fields=name),
        ask(client, sort=name),
    ):
        assert answer.status_code == 400
        ErrorResponse(**answer.json())


def test_near_names_are_told(client: TestClient) -> None:
    assert "_ionatlas_band_gap" in ask(client, "_ionatlas_bandgap > 3").json()["errors"][0]["detail"]


def test_every_field_of_the_registry_is_described_with_its_unit(client: TestClient) -> None:
    described = client.get("info/structures").json()["data"]["properties"]
    same = {"id", "elements", "nelements", "nsites", "chemical_formula_reduced", "chemical_formula_anonymous"}
    for field in candidate_fields():
        if field.name in same:
            assert field.name in described
            continue
        about = described[f"_ionatlas_{field.name}"]
        assert field.meaning in about["description"]
        assert about["type"] == {"list of string": "list"}.get(field.type, field.type)
        assert about["sortable"] == field.sortable
        assert about.get("_ionatlas_unit") == field.unit
        if field.unit:
            assert field.unit in about["description"]


def test_our_fields_can_be_asked_for_sorted_by_and_shown(client: TestClient) -> None:
    assert found(client, "_ionatlas_band_gap > 6") == {"t-2", "t-3", "t-8"}
    assert found(client, '_ionatlas_crystal_system = "cubic" AND _ionatlas_is_ordered = FALSE') == {SHARED, EMPTY}
    body = ask(client, "_ionatlas_band_gap IS KNOWN", sort="-_ionatlas_band_gap", response_fields="_ionatlas_band_gap")
    gaps = [entry["attributes"]["_ionatlas_band_gap"] for entry in body.json()["data"]]
    assert gaps == sorted(gaps, reverse=True)
    assert set(body.json()["data"][0]["attributes"]) == {"_ionatlas_band_gap"}


def test_our_fields_come_only_when_asked_for(client: TestClient) -> None:
    attributes = ask(client, page_limit=1).json()["data"][0]["attributes"]
    assert not [name for name in attributes if name.startswith("_")]


def test_a_missing_value_matches_neither_a_condition_nor_its_opposite(client: TestClient) -> None:
    above, below = found(client, "_ionatlas_band_gap > 3"), found(client, "NOT _ionatlas_band_gap > 3")
    assert above & below == set()
    assert above | below == found(client, "_ionatlas_band_gap IS KNOWN") != everything(client)


@pytest.mark.parametrize(
    ("filter_", "hits"),
    [
        ("nperiodic_dimensions = 3", True),
        ("nperiodic_dimensions < 3", False),
        ("3 <= nperiodic_dimensions", True),
        ("dimension_types HAS 1", True),
        ("dimension_types HAS ALL 0,1", False),
        ("dimension_types HAS ONLY 1", True),
        ("dimension_types LENGTH 3", True),
        ('type = "structures"', True),
        ('type != "structures"', False),
        ('type STARTS WITH "struct"', True),
        ("immutable_id IS UNKNOWN", True),
        ('immutable_id = "x"', False),
        ('NOT immutable_id = "x"', False),
        ("chemical_formula_hill IS UNKNOWN", True),
        ("assemblies IS KNOWN", False),
        ("lattice_vectors LENGTH 3", True),
        ("lattice_vectors IS KNOWN", True),
        ("species IS KNOWN", True),
        ('last_modified > "2020-01-01T00:00:00Z"', True),
        ('"2020-01-01T00:00:00+02:00" > last_modified', False),
        ('last_modified < "9999-12-31T23:59:59Z"', True),
        ('last_modified >= "0001-01-01T00:00:00Z"', True),
        ("last_modified IS KNOWN", True),
        ("elements_ratios IS KNOWN", True),
        ('elements HAS "Xx"', False),
        ('NOT elements HAS "Xx"', True),
        ('elements HAS ALL "Na","Xx"', False),
    ],
)
def test_what_all_structures_have_alike(client: TestClient, filter_: str, hits: bool) -> None:
    assert found(client, filter_) == (everything(client) if hits else set())


def test_ratios_are_those_of_the_formula(client: TestClient) -> None:
    assert found(client, "elements_ratios HAS 0.6") == {"t-9"}
    assert found(client, "elements_ratios HAS ALL 0.2,0.6") == {"t-9"}
    assert found(client, "elements_ratios HAS ONLY 1") == found(client, "nelements = 1")
    assert found(client, "NOT elements_ratios HAS 0.5") == everything(client) - found(client, "elements_ratios HAS 0.5")
    assert found(client, "elements_ratios LENGTH 3") == found(client, "nelements = 3")


def test_features_tell_disorder_and_hydrogen_without_a_site(client: TestClient) -> None:
    assert found(client, 'structure_features HAS "disorder"') == {SHARED, EMPTY}
    assert found(client, 'structure_features HAS "implicit_atoms"') == {HYDROXIDE}
    assert found(client, 'structure_features HAS ANY "implicit_atoms","disorder"') == {SHARED, EMPTY, HYDROXIDE}
    assert found(client, 'structure_features HAS "assemblies"') == set()
    assert found(client, "structure_features LENGTH 0") == everything(client) - {SHARED, EMPTY, HYDROXIDE}
    assert found(client, 'NOT structure_features HAS "disorder"') == everything(client) - {SHARED, EMPTY}


def test_the_last_change_is_compared_in_whole_seconds(client: TestClient) -> None:
    told = ask(client, page_limit=1).json()["data"][0]
    moment = told["attributes"]["last_modified"]
    for operator in ("=", "<=", ">="):
        assert told["id"] in found(client, f'last_modified {operator} "{moment}"')
    for operator in ("!=", "<", ">"):
        assert told["id"] not in found(client, f'last_modified {operator} "{moment}"')
    parted = [found(client, f'last_modified {operator} "{moment}"') for operator in ("<", "=", ">")]
    assert set.union(*parted) == everything(client)
    assert sum(len(part) for part in parted) == len(everything(client))
    half = moment.replace("Z", ".5Z")
    assert found(client, f'last_modified = "{half}"') == set()
    assert told["id"] in found(client, f'last_modified < "{half}"')


@pytest.mark.parametrize("text", ["hello", "2020-01-01", "2020-13-01T00:00:00Z", "2020-01-01T00:00:00"])
def test_a_time_that_is_none_is_refused(client: TestClient, text: str) -> None:
    assert ask(client, f'last_modified > "{text}"').status_code == 400


@pytest.mark.parametrize(
    "filter_",
    [
        'nelements = "3"',
        "chemical_formula_reduced = 3",
        'nelements CONTAINS "3"',
        "nelements HAS 3",
        'elements = "Na"',
        "_ionatlas_band_gap = TRUE",
        "nsites > nelements",
        "1 = 1",
        'elements:elements_ratios HAS "Na":0.5',
        'elements HAS < "Na"',
        'elements HAS ANY > "Na", "Cl"',
        'species.name HAS "Na"',
        'species_at_sites HAS "Na"',
        "last_modified > 3",
        "structure_features HAS 3",
        'dimension_types HAS "1"',
    ],
)
def test_optional_features_and_other_types_are_told_as_the_specification_asks(client: TestClient, filter_: str) -> None:
    answer = ask(client, filter_)
    assert answer.status_code == 501
    ErrorResponse(**answer.json())
    assert answer.json()["errors"][0]["detail"]
