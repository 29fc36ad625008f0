"""Made filters: any text is answered rightly or refused, and never breaks the server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.optimade.app import optimade_app
from api.optimade.names import properties
from api.optimade.values import Test, examine
from api.service import Service
from store.connection import connect
from store.server import ServerInfo

from .optimade_store import make_store

EASY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def client(server: ServerInfo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    made = make_store(server.uri, tmp_path_factory.mktemp("filters"))
    yield TestClient(optimade_app(Service(connect(made), made)), base_url="http://x/v1/", raise_server_exceptions=False)
    connect(made).client.drop_database(made.database)


@pytest.fixture(scope="module")
def entries(client: TestClient) -> list[dict[str, Any]]:
    body = client.get("structures?page_limit=100&response_fields=" + ",".join(sorted(ASKED))).json()
    return [{"id": each["id"], "type": each["type"], **each["attributes"]} for each in body["data"]]


ASKED = {
    "nelements",
    "nsites",
    "elements",
    "elements_ratios",
    "chemical_formula_reduced",
    "chemical_formula_anonymous",
    "chemical_formula_descriptive",
    "nperiodic_dimensions",
    "dimension_types",
    "structure_features",
    "immutable_id",
    "_ionatlas_band_gap",
    "_ionatlas_is_ordered",
    "_ionatlas_flags",
    "_ionatlas_name",
    "_exmpl_colour",
}

names = st.sampled_from([*sorted(ASKED), "id", "type"])
texts = st.sampled_from(
    ["Na", "O", "Cl", "disorder", "implicit_atoms", "t-1", "AB", "ClNa", "(", ".", "", "structures", "a(b.c/d+%é"]
)
quoted = texts.map(lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')
numbers = st.one_of(st.integers(-3, 12).map(str), st.sampled_from(["0.5", "5.0", "1e30", "-0.25", str(10**25)]))
values = st.one_of(quoted, numbers)
operators = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
lists = st.lists(values, min_size=1, max_size=3).map(",".join)
conditions = st.one_of(
    st.tuples(names, operators, values).map(" ".join),
    st.tuples(values, operators, names).map(" ".join),
    st.tuples(names, st.sampled_from(["CONTAINS", "STARTS WITH", "STARTS", "ENDS WITH", "ENDS"]), quoted).map(" ".join),
    st.tuples(names, st.sampled_from(["HAS", "HAS ALL", "HAS ANY", "HAS ONLY"]), lists).map(" ".join),
    st.tuples(names, st.sampled_from(["HAS"]), values).map(" ".join),
    st.tuples(names, st.just("LENGTH"), operators, st.integers(-2, 9).map(str)).map(" ".join),
    st.tuples(names, st.sampled_from(["IS KNOWN", "IS UNKNOWN"])).map(" ".join),
    st.tuples(names, st.just("="), st.sampled_from(["TRUE", "FALSE"])).map(" ".join),
)
filters = st.recursive(
    conditions,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" AND ", " OR "]), inner).map("".join),
        inner.map(lambda text: f"NOT ({text})"),
        inner.map(lambda text: f"({text})"),
    ),
    max_leaves=5,
)


@EASY
@given(text=filters)
def test_filters_of_the_grammar_are_answered(client: TestClient, text: str) -> None:
    answer = client.get("structures", params={"filter": text, "page_limit": 100, "response_fields": "nsites"})
    # 501 is what the specification asks for where types do not match; everything else is an answer or a refusal.
    assert answer.status_code in (200, 400, 501), (text, answer.text)
    body = answer.json()
    assert ("errors" in body) == (answer.status_code != 200)
    if answer.status_code == 200:
        assert body["meta"]["data_returned"] == len(body["data"])


@EASY
@given(data=st.data())
def test_hits_are_those_that_plain_python_finds(
    client: TestClient, entries: list[dict[str, Any]], data: st.DataObject
) -> None:
    name = data.draw(names)
    test, text = data.draw(judged())
    answer = client.get(
        "structures", params={"filter": f"{name} {text}", "page_limit": 100, "response_fields": "nsites"}
    )
    opposite = client.get(
        "structures", params={"filter": f"NOT {name} {text}", "page_limit": 100, "response_fields": "nsites"}
    )
    if answer.status_code != 200:
        assert answer.status_code == opposite.status_code
        return
    judgements = {each["id"]: examine(name, each.get(name), test) for each in entries}
    assert {each["id"] for each in answer.json()["data"]} == {key for key, verdict in judgements.items() if verdict}
    assert {each["id"] for each in opposite.json()["data"]} == {
        key for key, verdict in judgements.items() if verdict is False
    }


@st.composite
def judged(draw: st.DrawFn) -> tuple[Test, str]:
    """A test of a value, and how a filter writes it."""
    plain = draw(st.one_of(texts, st.integers(-3, 12), st.sampled_from([0.5, 5.0, 0.25])))
    written = '"' + plain + '"' if isinstance(plain, str) else str(plain)
    kind = draw(st.sampled_from(["compare", "text", "has", "length", "known"]))
    if kind == "compare":
        operator = draw(operators)
        return Test("compare", operator, (plain,)), f"{operator} {written}"
    if kind == "text":
        keyword = draw(st.sampled_from(["CONTAINS", "STARTS", "ENDS"]))
        return Test("text", keyword, (plain,)), f"{keyword} {written}"
    if kind == "has":
        quantifier = draw(st.sampled_from(["ALL", "ANY", "ONLY"]))
        return Test("has", quantifier, (plain,)), f"HAS {quantifier} {written}"
    if kind == "length":
        operator, length = draw(operators), draw(st.integers(-2, 9))
        return Test("length", operator, (length,)), f"LENGTH {operator} {length}"
    word = draw(st.sampled_from(["KNOWN", "UNKNOWN"]))
    return Test("known", word), f"IS {word}"


@EASY
@given(text=st.text(max_size=60))
def test_any_text_is_answered_or_refused(client: TestClient, text: str) -> None:
    for address, params in (
        ("structures", {"filter": text}),
        ("links", {"filter": text}),
        ("references", {"filter": text}),
        ("structures", {"sort": text}),
        ("structures", {"response_fields": text}),
        ("structures", {"page_above": text}),
        ("structures", {"page_limit": text}),
        ("structures", {"page_number": text, "api_hint": text}),
    ):
        answer = client.get(address, params=params)
        assert answer.status_code in (200, 400, 403, 501, 553), (address, params, answer.text)


@EASY
@given(number=st.integers(), exponent=st.integers(-400, 400))
def test_any_number_is_compared(client: TestClient, number: int, exponent: int) -> None:
    for text in (f"nelements > {number}", f"_ionatlas_band_gap < {number}e{exponent}", f"elements LENGTH {number}"):
        assert client.get("structures", params={"filter": text, "response_fields": "nsites"}).status_code == 200


def test_every_property_can_be_asked_whether_it_is_known(client: TestClient) -> None:
    for name in properties():
        if (
            name.count("_") > 3
            and name.startswith("_ionatlas_")
            and not name.startswith(("_ionatlas_li_", "_ionatlas_b"))
        ):
            continue  # what every ion has is made by one rule
        answer = client.get("structures", params={"filter": f"{name} IS UNKNOWN", "response_fields": name})
        assert answer.status_code == 200, name
        assert all(each["attributes"].get(name) is None for each in answer.json()["data"] if name not in ("id", "type"))
