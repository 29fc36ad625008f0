"""The remote client alone: waiting and asking again, keys, redirects, newer and stranger servers."""

from __future__ import annotations

import logging
import warnings
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx
import pytest

from api.client import Atlas
from api.remote.server import ServerBackend
from api.remote.session import OpenKey, Patience, Session, checked_address
from store.errors import (
    DatabaseError,
    FilterError,
    IonatlasError,
    ServerUnavailable,
    SnapshotMissing,
    UnknownId,
    UsageError,
)

from .remote_answers import ADDRESS, KEY, ROW, Clock, atlas_of, in_turn, problem, session

# Asking again


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_server_is_asked_again(status: int) -> None:
    clock = Clock()
    handler, seen = in_turn(
        problem(status, detail="busy"), problem(status, detail="busy"), httpx.Response(200, json=ROW)
    )
    assert session(handler, clock).get("/v1/materials") == ROW
    assert len(seen) == 3
    assert clock.waits == [0.5, 1.0]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 500, 501])
def test_what_asking_again_does_not_help_is_asked_once(status: int) -> None:
    handler, seen = in_turn(problem(status, detail="no"))
    with pytest.raises(IonatlasError):
        session(handler).get("/v1/materials")
    assert len(seen) == 1


def test_retry_after_is_respected_with_a_little_more() -> None:
    clock = Clock()
    later = format_datetime(datetime.now(tz=UTC) + timedelta(seconds=20), usegmt=True)
    handler, _ = in_turn(
        problem(429, {"Retry-After": "8"}, detail="slow down"),
        problem(503, {"Retry-After": later}, detail="busy"),
        problem(503, {"Retry-After": "soon"}, detail="busy"),
        httpx.Response(200, json=ROW),
    )
    session(handler, clock).get("/v1/materials")
    assert clock.waits[0] == pytest.approx(8.4)
    assert 15 < clock.waits[1] < 22
    assert clock.waits[2] == pytest.approx(2.0)


def test_a_wait_beyond_the_bound_ends_it_at_once() -> None:
    clock = Clock()
    handler, seen = in_turn(problem(429, {"Retry-After": "3600"}, detail="Too many requests."))
    with pytest.raises(ServerUnavailable, match="3600 s"):
        session(handler, clock).get("/v1/materials")
    assert (len(seen), clock.waits) == (1, [])


def test_it_gives_up_after_some_attempts_and_says_why() -> None:
    clock = Clock()
    handler, seen = in_turn(httpx.ConnectError("Connection refused"))
    with pytest.raises(ServerUnavailable, match=r"atlas\.test cannot be reached .*Connection refused") as error:
        session(handler, clock, waits={"attempts": 3}).get("/v1/materials")
    assert len(seen) == 3
    assert error.value.mend
    assert len(clock.waits) == 2


def test_a_question_that_takes_too_long_is_not_asked_again() -> None:
    handler, seen = in_turn(httpx.ReadTimeout("slow"))
    with pytest.raises(ServerUnavailable, match="in time"):
        session(handler).get("/v1/materials")
    assert len(seen) == 1


def test_waits_grow_and_are_bounded() -> None:
    rule = Patience(longest_wait=5.0, random=lambda: 1.0)
    waits = [rule.pause(attempt, None) for attempt in range(1, 8)]
    assert waits == sorted(waits, key=lambda wait: wait or 0.0)
    assert waits[-1] == 5.0
    assert Patience(random=lambda: 0.0).pause(3, None) != Patience(random=lambda: 1.0).pause(3, None)


def test_uploads_are_asked_again_whole() -> None:
    bodies = []

    def handle(request: httpx.Request) -> httpx.Response:
        bodies.append(request.read())
        return httpx.Response(200, json=ROW) if len(bodies) == 2 else problem(503, detail="busy")

    session(handle).post("/v1/channels", file=("a.cif", b"data_a"), form={"ion": "Li", "threshold": None})
    assert len(bodies) == 2
    assert all(b"data_a" in body and b'name="ion"' in body and b"threshold" not in body for body in bodies)


# Keys


def test_the_key_is_sent_as_a_bearer() -> None:
    handler, seen = in_turn(httpx.Response(200, json=ROW))
    session(handler, api_key=KEY).get("/v1/materials")
    assert seen[0].headers["authorization"] == f"Bearer {KEY}"


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IONATLAS_API_KEY", KEY)
    assert ServerBackend(ADDRESS).session.api_key == KEY
    assert ServerBackend(ADDRESS, api_key="ia_other").session.api_key == "ia_other"
    monkeypatch.setenv("IONATLAS_API_KEY", "")
    assert ServerBackend(ADDRESS).session.api_key is None


@pytest.mark.parametrize(
    "target",
    [
        "https://elsewhere.test/v1/materials",
        "http://atlas.test/v1/materials",
        "https://atlas.test:8443/v1/materials",
        "//elsewhere.test/v1/materials",
        "https://atlas.test.elsewhere.test/",
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_key_is_never_sent_to_another_host(target: str, status: int) -> None:
    handler, seen = in_turn(httpx.Response(status, headers={"Location": target}), httpx.Response(200, json=ROW))
    session(handler, api_key=KEY).get("/v1/materials")
    assert "authorization" in seen[0].headers
    assert "authorization" not in seen[1].headers
    assert KEY not in str(seen[1].url)
    assert KEY not in str(seen[1].headers)


def test_the_key_stays_with_redirects_to_the_same_host() -> None:
    handler, seen = in_turn(
        httpx.Response(308, headers={"Location": "/v2/materials?limit=1"}), httpx.Response(200, json=ROW)
    )
    session(handler, api_key=KEY).get("/v1/materials", {"limit": 3})
    assert str(seen[1].url) == "https://atlas.test/v2/materials?limit=1"
    assert seen[1].headers["authorization"] == f"Bearer {KEY}"


def test_back_again_from_another_host_the_key_is_sent_to_ours_alone() -> None:
    handler, seen = in_turn(
        httpx.Response(302, headers={"Location": "https://elsewhere.test/"}),
        httpx.Response(302, headers={"Location": "https://atlas.test/v1/materials"}),
        httpx.Response(200, json=ROW),
    )
    session(handler, api_key=KEY).get("/v1/materials")
    assert ["authorization" in request.headers for request in seen] == [True, False, True]


def test_redirects_without_end_or_elsewhere_are_refused() -> None:
    handler, seen = in_turn(httpx.Response(302, headers={"Location": "/v1/materials"}))
    with pytest.raises(UsageError, match="without end"):
        session(handler).get("/v1/materials")
    assert len(seen) <= 6
    for target in ("file:///etc/passwd", "ftp://elsewhere.test/", "https://atlas.test@elsewhere.test/"):
        handler, _ = in_turn(httpx.Response(302, headers={"Location": target}))
        with pytest.raises(UsageError, match="no web address"):
            session(handler).get("/v1/materials")
    handler, seen = in_turn(httpx.Response(307, headers={"Location": "https://elsewhere.test/"}))
    with pytest.raises(UsageError, match="no file is sent"):
        session(handler).post("/v1/channels", file=("a.cif", b"secret"))
    assert len(seen) == 1


def test_the_key_stands_in_no_message(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    told = [
        problem(401, detail="Wrong key."),
        problem(500, detail="no"),
        httpx.ConnectError("no"),
        httpx.Response(200, text="<html>"),
    ]
    for answer in told:
        handler, _ = in_turn(answer)
        atlas = atlas_of(handler, monkeypatch, api_key=KEY, cache=tmp_path)
        with pytest.raises(IonatlasError) as error:
            atlas.query()
        texts = [str(error.value), repr(error.value), repr(atlas), repr(atlas._backend), str(vars(error.value))]
        assert isinstance(atlas._backend, ServerBackend)
        texts += [repr(atlas._backend.session), str(atlas._backend.session)]
        assert not [text for text in texts if KEY in text]
    assert KEY not in caplog.text
    assert not [path for path in tmp_path.rglob("*") if KEY in path.name or KEY.encode() in path.read_bytes()]


def test_a_key_over_an_open_connection_is_warned_of() -> None:
    with pytest.warns(OpenKey, match="unencrypted"):
        Session("http://atlas.test", api_key=KEY)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Session("http://127.0.0.1:8000", api_key=KEY)
        Session("http://atlas.test")


@pytest.mark.parametrize("key", ["", "a b", "ä", "a\nHost: x"])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(UsageError, match="API key") as error:
        Session(ADDRESS, api_key=key)
    assert not key or key not in str(error.value)


@pytest.mark.parametrize(
    "text", ["https://", "https://host:port", "ftp://host", "https://ann:secret@host", "https://host/?a=1", "host", ""]
)
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as error:
        checked_address(text)
    assert "secret" not in str(error.value)


def test_addresses_may_have_a_path() -> None:
    handler, seen = in_turn(httpx.Response(200, json=ROW))
    Session("https://host.test/atlas/", transport=httpx.MockTransport(handler)).get("/v1/materials", {"limit": 3})
    assert str(seen[0].url) == "https://host.test/atlas/v1/materials?limit=3"


def test_options_of_one_kind_of_store_are_not_those_of_the_other(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="database"):
        Atlas(ADDRESS, database="x")
    with pytest.raises(UsageError, match="api_key"):
        Atlas(api_key=KEY)
    with pytest.raises(UsageError, match="cache"):
        Atlas("mongodb://127.0.0.1:1/", cache=tmp_path)


# Errors


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (problem(404, detail="There is no material 'x'.", error="UnknownId", mend="look"), UnknownId, "'x'"),
        (problem(400, detail="Bad.", error="FilterError", where="a >\n  ^"), FilterError, "^"),
        (problem(400, detail="Bad.", type="/docs#FilterError"), FilterError, "Bad"),
        (problem(400, detail="Bad.", error="ErrorOfTheFuture"), UsageError, "Bad"),
        (problem(400, detail="Bad.", error="__class__"), UsageError, "Bad"),
        (problem(400, detail="Bad.", error="annotations"), UsageError, "Bad"),
        (problem(409, detail="Not built."), SnapshotMissing, "Not built"),
        (problem(500, detail="Fault."), DatabaseError, "Fault"),
        (problem(418, title="Teapot"), UsageError, "Teapot"),
        (httpx.Response(404, text="<html>not here</html>"), UsageError, "older"),
        (httpx.Response(500, text="oops"), DatabaseError, "500"),
        (httpx.Response(200, text="<html>"), UsageError, "ionatlas server"),
        (httpx.Response(200, json=[1, 2]), UsageError, "ionatlas server"),
        (httpx.Response(200, json={"data": 3, "meta": {}}), UsageError, "ionatlas server"),
        (problem(401, detail="A key is wanted."), UsageError, "A key is wanted"),
        (problem(403, detail="This key may not compute."), UsageError, "may not compute"),
        (httpx.Response(401, text=""), UsageError, "API key"),
        (httpx.Response(400, headers={"Content-Type": "application/json"}, text="{"), UsageError, "400"),
        (httpx.Response(400, json={"detail": {"a": 1}, "mend": 3, "where": []}), UsageError, "400"),
    ],
)
def test_problems_become_errors_of_the_tree(
    answer: httpx.Response, kind: type[IonatlasError], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler, _ = in_turn(answer)
    with pytest.raises(kind) as error:
        atlas_of(handler, monkeypatch).query()
    assert type(error.value) is kind
    assert says in str(error.value)


def test_what_mends_it_comes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    handler, _ = in_turn(problem(404, detail="No.", error="UnknownId", mend="ask for another"))
    with pytest.raises(UnknownId) as error:
        atlas_of(handler, monkeypatch).get("x")
    assert error.value.mend == "ask for another"
    handler, _ = in_turn(httpx.Response(401, text=""))
    with pytest.raises(UsageError) as error2:
        atlas_of(handler, monkeypatch).get("x")
    assert "api_key" in str(error2.value.mend)


# Newer servers


def test_what_a_newer_server_adds_is_kept_or_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {
        "data": [{"id": "mp-1", "glow": {"a": 1}, "hidden": 2}],
        "meta": {
            "fields": {
                "id": {"unit": None},
                "glow": {"unit": "cd", "type": "tensor of colour", "meaning": "Glow.", "x": 1},
            },
            "total": 1,
            "more": False,
            "weather": "fine",
        },
        "links": {"next": None, "previous": None},
        "extra": [1],
    }
    handler, _ = in_turn(httpx.Response(200, json=told))
    table = atlas_of(handler, monkeypatch).query()
    assert table.iloc[0].to_dict() == {"id": "mp-1", "glow": {"a": 1}}
    assert table.attrs["units"] == {"glow": "cd"}
    assert table.attrs["meanings"]["glow"] == "Glow."


def test_answers_without_most_parts_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    handler, _ = in_turn(httpx.Response(200, json={"data": [{"id": "a"}, {"b": 2}], "meta": {}}))
    table = atlas_of(handler, monkeypatch).query()
    assert list(table.columns) == ["id", "b"]
    status = {
        "data": {"database": "x", "collections": [{"name": "c", "documents": 3, "new": 1}], "later": 1},
        "meta": {},
    }
    handler, _ = in_turn(httpx.Response(200, json=status))
    found = atlas_of(handler, monkeypatch).status()
    assert (found.collections[0].documents, found.collections[0].reasons, found.indexes) == (3, {}, [])
    step = {"collection": "c", "id": "i", "state": "fresh", "hash": None, "made_at": "2026-05-31T12:00:00Z", "mood": 1}
    lineage = {"data": {"id": "i", "field": "density", "value": 3, "copied_from": "c.d", "steps": [step]}, "meta": {}}
    handler, _ = in_turn(httpx.Response(200, json=lineage))
    way = atlas_of(handler, monkeypatch).why("i", "density")
    assert (way.field.unit, way.steps[0].made_at) == ("g/cm^3", datetime(2026, 5, 31, 12, tzinfo=UTC))
    handler, _ = in_turn(
        httpx.Response(200, json={"data": [{"name": "glow", "type": "tensor"}, {"odd": 1}], "meta": {}})
    )
    assert list(atlas_of(handler, monkeypatch).fields().index) == ["glow"]


def test_ids_are_written_into_addresses_safely(monkeypatch: pytest.MonkeyPatch) -> None:
    handler, seen = in_turn(httpx.Response(200, json={"data": {"id": "x"}, "meta": {}}))
    atlas = atlas_of(handler, monkeypatch)
    for id_ in ("a/b", "../v1/status", "a?b=c#d", "é (x)"):
        atlas.get(id_)
        assert seen[-1].url.raw_path.startswith(b"/v1/materials/")
        assert b"/" not in seen[-1].url.raw_path.removeprefix(b"/v1/materials/")
        assert b"?" not in seen[-1].url.raw_path


def test_no_page_is_asked_for_before_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    def page(number: int) -> httpx.Response:
        told = {
            **ROW,
            "data": [{"id": f"mp-{number}"}],
            "meta": {**ROW["meta"], "next": f"c{number}" if number < 3 else None},
        }
        return httpx.Response(200, json=told)

    handler, seen = in_turn(page(1), page(2), page(3))
    pages = atlas_of(handler, monkeypatch).pages(size=1)
    assert seen == []
    assert next(pages)["id"][0] == "mp-1"
    assert len(seen) == 1
    assert [frame["id"][0] for frame in pages] == ["mp-2", "mp-3"]
    assert [dict(request.url.params).get("after") for request in seen] == [None, "c1", "c2"]
