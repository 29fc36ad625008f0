"""The guard: keys, scopes, limits, headers, hosts, logs; what strangers try."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.keys import create_key, revoke_key
from api.rest.options import ServeOptions
from store.errors import UsageError

BuiltStore = Any
Open = Any


@pytest.fixture(scope="module")
def served(built: BuiltStore) -> Iterator[Open]:
    """Applications on the built store, with options."""
    from api.rest.app import create_app

    made = []

    def opened(**options: Any) -> TestClient:
        app = create_app(built.settings, ServeOptions(**options))
        made.append(app)
        return TestClient(app)

    yield opened
    for app in made:
        app.state.sandbox.close()


@pytest.fixture(scope="module")
def plain(served: Open) -> TestClient:
    return served()


@pytest.fixture(scope="module")
def locked(served: Open) -> TestClient:
    return served(anonymous="none")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


class TestKeysOverHttp:
    def test_without_a_key_nothing_but_health_and_reference(self, locked: TestClient) -> None:
        reply = locked.get("/v1/materials")
        assert reply.status_code == 401
        assert "Bearer" in reply.headers["www-authenticate"]
        assert reply.headers["content-type"] == "application/problem+json"
        assert [locked.get(path).status_code for path in ("/healthz", "/openapi.json", "/docs")] == [200] * 3

    @pytest.mark.parametrize(
        "path",
        [
            "/v1/materials",
            "/v1/status",
            "/v1/export",
            "/",
            "/v1",
            "/v1/materials/t-1",
            "/optimade/v1/info",
            "//v1/materials",
        ],
    )
    def test_every_door_is_locked(self, locked: TestClient, path: str) -> None:
        assert locked.get(path).status_code == 401

    def test_a_key_opens_in_three_ways(self, locked: TestClient, built: BuiltStore) -> None:
        _, token = create_key(built.database, "Ann", ["read"])
        basic = base64.b64encode(f"ann:{token}".encode()).decode()
        for headers in (bearer(token), {"X-API-Key": token}, {"Authorization": f"Basic {basic}"}):
            assert locked.get("/v1/materials?limit=1", headers=headers).status_code == 200
        assert locked.get(f"/v1/materials?api_key={token}").status_code == 401, "never in an address"

    def test_scopes(self, locked: TestClient, built: BuiltStore) -> None:
        _, read = create_key(built.database, "Ann", ["read"])
        _, export = create_key(built.database, "Bob", ["export"])
        for token, path, status in (
            (read, "/v1/export?limit=1", 403),
            (read, "/v1/channels?id=t-1", 403),
            (read, "/v1/predict-structure?formula=KBr", 403),
            (export, "/v1/export?limit=1", 200),
            (export, "/v1/materials", 403),
        ):
            assert locked.get(path, headers=bearer(token)).status_code == status, path

    def test_a_wrong_key_is_refused_where_none_is_needed(self, plain: TestClient, built: BuiltStore) -> None:
        key, token = create_key(built.database, "Ann")
        revoke_key(built.database, key.id)
        for wrong in (token, "x", "", "ia_" + "0" * 12 + "_" + "A" * 43, "\xff"):
            assert plain.get("/v1/fields", headers={"X-API-Key": wrong.encode("latin-1")}).status_code == 401
        for header in ("Basic !!!", "Basic", "Bearer", "Digest x", "x"):
            assert plain.get("/v1/fields", headers={"Authorization": header}).status_code == 401, header

    def test_reading_without_a_key_and_no_more(self, served: Open) -> None:
        client = served(host="0.0.0.0", anonymous="read")
        assert client.get("/v1/materials?limit=1").status_code == 200
        assert client.get("/v1/export").status_code == 401
        assert client.get("/v1/channels?id=t-1").status_code == 401
        assert client.post("/v1/channels", files={"file": ("a.cif", b"x")}).status_code == 401


class TestLimits:
    def test_an_address_is_stopped_and_told_when_to_come_back(self, served: Open) -> None:
        client = served(rate_limit="3/minute", compute_limit="2/minute")
        replies = [client.get("/v1/fields?ion=Li") for _ in range(5)]
        assert [reply.status_code for reply in replies] == [200, 200, 200, 429, 429]
        assert replies[0].headers["ratelimit-limit"] == "3"
        assert replies[0].headers["ratelimit-remaining"] == "2"
        assert 1 <= int(replies[-1].headers["retry-after"]) <= 60
        assert replies[-1].headers["content-type"] == "application/problem+json"
        assert [client.get("/v1/channels?id=none").status_code for _ in range(3)] == [404, 404, 429]
        assert client.get("/healthz").status_code == 200

    def test_a_key_may_ask_more_and_an_admin_what_he_likes(self, served: Open, built: BuiltStore) -> None:
        client = served(rate_limit="1/minute")
        _, token = create_key(built.database, "Ann", ["read"])
        _, admin = create_key(built.database, "Bob", ["admin"])
        assert [client.get("/v1/fields?ion=Li", headers=bearer(token)).status_code for _ in range(12)].count(200) == 10
        assert [client.get("/v1/fields?ion=Li", headers=bearer(admin)).status_code for _ in range(12)].count(200) == 12
        assert client.get("/v1/fields?ion=Li", headers={"X-Forwarded-For": "1.2.3.4"}).status_code == 200
        assert client.get("/v1/fields?ion=Li", headers={"X-Forwarded-For": "5.6.7.8"}).status_code == 429, (
            "no proxy is trusted"
        )

    def test_a_limit_that_cannot_be_read(self, built: BuiltStore) -> None:
        with pytest.raises(UsageError, match="many"):
            ServeOptions.from_settings(built.settings.model_copy(update={"rate_limit": "many"}))

    def test_what_is_unset_depends_on_who_can_reach_the_server(self, built: BuiltStore) -> None:
        inside = ServeOptions.from_settings(built.settings)
        assert (inside.anonymous, inside.rate_limit, inside.compute_limit) == ("all", None, None)
        outside = ServeOptions.from_settings(built.settings.model_copy(update={"serve_host": "0.0.0.0"}))
        assert (outside.anonymous, outside.rate_limit, outside.compute_limit) == ("read", "600/minute", "30/minute")

    def test_bodies_are_bounded_with_and_without_a_length(self, plain: TestClient) -> None:
        def endless() -> Iterator[bytes]:
            for _ in range(100):
                yield b"x" * 100_000

        kind = {"Content-Type": "application/json"}
        assert plain.post("/v1/materials", content=b"x" * 3_000_000, headers=kind).status_code == 413
        assert plain.post("/v1/materials", content=endless(), headers=kind).status_code == 413
        assert plain.get("/v1/materials?filter=" + "x" * 20_000).status_code == 414


class TestHeaders:
    @pytest.mark.parametrize(
        "path", ["/v1/materials?limit=1", "/v1/nothing", "/nothing", "/docs", "/healthz", "/v1/materials?x=1"]
    )
    def test_every_answer_has_them(self, plain: TestClient, path: str) -> None:
        headers = plain.get(path).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe-eval" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert len(headers["x-request-id"]) == 12
        assert "server" not in headers

    def test_tls_is_kept_where_it_is(self, served: Open) -> None:
        client = served(public_url="https://atlas.example.org")
        reply = client.get("/v1/materials?limit=1")
        assert "strict-transport-security" in reply.headers
        assert reply.json()["links"]["next"].startswith("https://atlas.example.org/v1/materials?")

    def test_other_names_are_refused_on_loopback(self, plain: TestClient, served: Open) -> None:
        assert plain.get("/healthz", headers={"Host": "evil.example"}).status_code == 400
        assert plain.get("/healthz", headers={"Host": "localhost:8000"}).status_code == 200
        assert plain.get("/healthz", headers={"Host": "[::1]:8000"}).status_code == 200
        assert served(host="0.0.0.0").get("/healthz", headers={"Host": "any.example"}).status_code == 200

    def test_forms_of_other_sites_are_refused(self, plain: TestClient) -> None:
        headers = {"Sec-Fetch-Site": "cross-site"}
        assert plain.post("/v1/channels", files={"file": ("a", b"x")}, headers=headers).status_code == 403

    def test_links_of_answers_are_not_made_of_the_host(self, plain: TestClient) -> None:
        reply = plain.get("/v1/materials?limit=1", headers={"Host": "localhost", "X-Forwarded-Host": "evil.example"})
        assert reply.json()["links"]["next"].startswith("/v1/materials?")


class TestWhatStrangersTry:
    @pytest.mark.parametrize(
        "path",
        [
            "/static/../../../etc/passwd",
            "/static/%2e%2e/%2e%2e/etc/passwd",
            "/../etc/passwd",
            "/v1/materials/..%2f..%2fetc%2fpasswd/structure",
            "/static/..%2f..%2fpyproject.toml",
        ],
    )
    def test_no_file_of_the_machine(self, plain: TestClient, path: str) -> None:
        reply = plain.get(path)
        assert reply.status_code in (400, 404, 405)
        assert "root:" not in reply.text
        assert "[project]" not in reply.text

    def test_no_file_through_a_question(self, plain: TestClient, built: BuiltStore) -> None:
        for name in (str(built.file), "/etc/passwd", "./pyproject.toml", "pyproject.toml"):
            for path, query in (
                ("/v1/similar", {"to": name}),
                ("/v1/similar", {"to": name, "by": "structure"}),
                ("/v1/channels", {"id": name, "ion": "Li"}),
                ("/v1/inverse", {"id": name}),
                ("/v1/predict/conductivity", {"id": name}),
                ("/v1/predict-structure", {"formula": name}),
                ("/v1/materials", {"filter": f'SIMILAR TO "{name}" BY structure'}),
            ):
                reply = plain.get(path, params=query)
                assert reply.status_code in (400, 404), (path, name, reply.status_code, reply.text[:200])

    @pytest.mark.parametrize("text", ['{"$ne": null}', "$where", '"; db.dropDatabase(); "', "id[$ne]=1", '{"$gt": ""}'])
    def test_no_operator_of_mongodb(self, plain: TestClient, text: str) -> None:
        for path, query in (
            ("/v1/materials", {"filter": text}),
            ("/v1/materials", {"fields": text}),
            ("/v1/materials", {"sort": text}),
            ("/v1/materials", {"after": text}),
            ("/v1/aggregate", {"group_by": text}),
            ("/v1/aggregate", {"histogram": text}),
        ):
            assert plain.get(path, params=query).status_code == 400, (path, query)
        assert plain.get("/v1/materials", params={"filter": f"id = {text!r}"}).status_code == 400
        for body in ({"ids": [{"$ne": 1}]}, {"filter": {"$ne": 1}}, {"ids": {"$gt": ""}}, {"sort": ["$x"]}):
            assert plain.post("/v1/materials", json=body).status_code == 400
        assert plain.post("/v1/materials", json={"ids": ["$where", "a.b"]}).json()["data"] == []

    def test_no_header_of_theirs(self, plain: TestClient) -> None:
        for path in (
            "/v1/materials/a%0d%0aSet-Cookie:%20x=1",
            "/v1/export?format=csv%0d%0aX-Evil:1",
            "/v1/materials?limit=1%0d%0aX-Evil:1",
        ):
            reply = plain.get(path)
            assert reply.status_code in (400, 404)
            assert "x-evil" not in reply.headers
            assert "set-cookie" not in reply.headers

    def test_nothing_can_be_written(self, plain: TestClient) -> None:
        for method in ("PUT", "PATCH", "DELETE"):
            for path in ("/v1/materials", "/v1/materials/t-1", "/v1/status"):
                assert plain.request(method, path).status_code == 405


class TestLogs:
    def test_no_secret_in_any_line(
        self, locked: TestClient, built: BuiltStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        _, token = create_key(built.database, "Ann", ["read"])
        caplog.set_level(logging.DEBUG)
        locked.get(f"/v1/materials?filter={token}&key={token}", headers=bearer(token))
        locked.get("/v1/materials", headers={"X-API-Key": token + "x"})
        locked.get("/v1/materials/%0aforged%20line", headers=bearer(token))
        written = "\n".join(
            record.getMessage() for record in caplog.records if record.name.startswith(("ionatlas", "api", "uvicorn"))
        )
        assert "/v1/materials" in written
        assert token.rsplit("_", 1)[1] not in written
        assert "filter=" not in written
        assert "\nforged" not in written

    def test_a_fault_tells_its_number_and_nothing_of_us(
        self, served: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        client = served()

        def broken(*_: Any) -> None:
            raise ZeroDivisionError("of /home/ann/secret")

        monkeypatch.setattr(client.app.state.service, "status", broken)  # type: ignore[attr-defined]
        reply = client.get("/v1/status")
        assert reply.status_code == 500
        assert reply.headers["content-type"] == "application/problem+json"
        assert "secret" not in reply.text
        assert reply.headers["x-request-id"] in reply.json()["detail"]
        assert any(record.exc_info for record in caplog.records)


class TestDatabaseAway:
    def test_a_database_that_is_away_is_503(self, served: Open, monkeypatch: pytest.MonkeyPatch) -> None:
        from pymongo.errors import AutoReconnect

        client = served()

        class Gone:
            name = "gone"

            def __getitem__(self, _: str) -> Any:
                raise AutoReconnect("connection closed")

            command = list_collections = __getitem__

        import api.rest.service as module

        monkeypatch.setattr(module, "_WAIT", 0.2)
        monkeypatch.setattr("store.connection.connect", lambda *_, **__: Gone())
        client.app.state.service.database = Gone()  # type: ignore[attr-defined]
        reply = client.get("/v1/materials")
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "5")
        assert client.get("/healthz").status_code == 503

    def test_a_query_that_takes_too_long_is_504(self, served: Open) -> None:
        from pymongo.errors import ExecutionTimeout

        client = served()

        class Slow:
            name = "slow"

            def __getitem__(self, _: str) -> Any:
                raise ExecutionTimeout("operation exceeded time limit", 50)

            list_collections = __getitem__

        client.app.state.service.database = Slow()  # type: ignore[attr-defined]
        reply = client.get("/v1/materials?filter=band_gap%3E1")
        assert (reply.status_code, reply.json()["error"]) == (504, "DatabaseError")
        assert "narrow" in reply.json()["mend"]
