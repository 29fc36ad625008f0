"""Keys: what is kept of them, what they open, how long; the commands."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from api.keys import COLLECTION, Keyring, create_key, list_keys, revoke_key
from store.errors import UnknownId, UsageError
from store.provenance import utc_now


def ring(database: Any) -> Keyring:
    return Keyring(lambda operation: operation(database))


def test_the_store_keeps_a_hash_and_never_the_token(database: Any) -> None:
    key, token = create_key(database, "Ann", ["read"], 30)
    kept = json.dumps(list(database[COLLECTION].find()), default=str)
    assert token not in kept
    assert token.rsplit("_", 1)[-1] not in kept
    assert token.startswith(f"ia_{key.id}_")
    assert len(token.split("_", 2)[2]) == 43, "256 bits"
    assert create_key(database, "Ann", ["read"], 30)[1] != token


def test_a_token_opens_what_its_scopes_say(database: Any) -> None:
    _, token = create_key(database, "Ann", ["read", "export"])
    key = ring(database).check(token)
    assert key is not None
    assert [key.may(scope) for scope in ("read", "compute", "export", "admin")] == [True, False, True, False]
    _, admin = create_key(database, "Bob", ["admin"])
    found = ring(database).check(admin)
    assert found is not None
    assert found.may("compute")
    assert list_keys(database)[0].last_used_at is not None


@pytest.mark.parametrize(
    "broken", ["", "ia_", "x" * 60, "ia_000000000000_" + "A" * 43, "ia_{'$ne':1}_" + "A" * 43, "\x00", "\ud800"]
)
def test_what_is_no_token_opens_nothing(database: Any, broken: str) -> None:
    create_key(database, "Ann")
    assert ring(database).check(broken) is None


def test_a_secret_that_differs_in_a_letter_opens_nothing(database: Any) -> None:
    _, token = create_key(database, "Ann")
    other = token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]
    assert ring(database).check(other) is None
    assert ring(database).check(token) is not None


def test_expired_and_revoked_keys_open_nothing(database: Any) -> None:
    key, token = create_key(database, "Ann", ["read"], 1)
    database[COLLECTION].update_one({"_id": key.id}, {"$set": {"expires_at": utc_now() - timedelta(seconds=1)}})
    assert ring(database).check(token) is None
    key, token = create_key(database, "Bob", ["read"], None)
    assert key.expires_at is None
    assert ring(database).check(token) is not None
    revoke_key(database, key.id)
    assert ring(database).check(token) is None
    assert [each.state(utc_now()) for each in list_keys(database)] == ["expired", "revoked"]
    with pytest.raises(UnknownId):
        revoke_key(database, "none")


def test_a_revoked_key_is_remembered_for_some_seconds_only(database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from api import keys

    held = ring(database)
    key, token = create_key(database, "Ann")
    assert held.check(token) is not None
    revoke_key(database, key.id)
    assert held.check(token) is not None, "remembered"
    monkeypatch.setattr(keys, "_KNOWN_SECONDS", 0.0)
    assert held.check(token) is None


@pytest.mark.parametrize(
    ("name", "scopes", "days"),
    [("", ["read"], 1.0), ("a\nb", ["read"], 1.0), ("Ann", ["write"], 1.0), ("Ann", [], 1.0), ("Ann", ["read"], -1.0)],
)
def test_keys_that_make_no_sense_are_refused(database: Any, name: str, scopes: list[str], days: float) -> None:
    with pytest.raises(UsageError) as told:
        create_key(database, name, scopes, days)
    assert told.value.message


def test_the_commands(database: Any) -> None:
    from api.cli.main import app

    runner = CliRunner()
    made = runner.invoke(app, ["key", "create", "Ann, notebook", "--scope", "read, compute", "--days", "30"])
    assert made.exit_code == 0, made.output
    token = made.stdout.strip()
    key = ring(database).check(token)
    assert key is not None
    assert key.scopes == ("read", "compute")
    listed = runner.invoke(app, ["key", "list"])
    assert "Ann, notebook" in listed.stdout
    assert token not in listed.stdout
    assert json.loads(runner.invoke(app, ["key", "list", "--json"]).stdout)[0]["state"] == "valid"
    assert runner.invoke(app, ["key", "revoke", key.id]).exit_code == 0
    assert "revoked" in runner.invoke(app, ["key", "list"]).stdout
    assert runner.invoke(app, ["key", "revoke", "none"]).exit_code == 2
    assert runner.invoke(app, ["key", "create", "Ann", "--scope", "write"]).exit_code == 2
    assert (
        json.loads(runner.invoke(app, ["key", "create", "Bob", "--days", "0", "--json"]).stdout)["expires_at"] is None
    )
