"""The remote client at a server that wants keys and counts requests, live."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from api.client import Atlas
from api.keys import create_key
from api.rest.app import create_app
from api.rest.options import ServeOptions
from store.connection import connect
from store.errors import ServerUnavailable, UsageError

from .optimade_store import served


@contextmanager
def server(settings: Any, **options: Any) -> Iterator[str]:
    app = create_app(settings, ServeOptions(**options))
    try:
        with served(app) as base:
            yield base
    finally:
        app.state.sandbox.close()


def test_a_server_that_wants_a_key(settings: Any, database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, reading = create_key(connect(settings), "reader", ["read"])
    _, every = create_key(connect(settings), "all", ["read", "compute", "export"])
    with server(settings, anonymous="none") as base:
        with pytest.raises(UsageError) as refused:
            Atlas(base).query()
        assert "key" in str(refused.value).lower()
        with pytest.raises(UsageError):
            Atlas(base, api_key=f"{reading}x").query()
        assert len(Atlas(base, api_key=reading).query()) == 0
        monkeypatch.setenv("IONATLAS_API_KEY", every)
        assert len(Atlas(base).query()) == 0
        assert b"".join(Atlas(base).export(format="csv", fields="id")) is not None  # type: ignore[arg-type]
        monkeypatch.delenv("IONATLAS_API_KEY")
        with pytest.raises(UsageError) as short:
            Atlas(base, api_key=reading).migration_energy("t-1", "Li")
        assert reading not in str(short.value)


def test_a_server_that_is_asked_too_often_is_waited_for(settings: Any, database: Any) -> None:
    with server(settings, rate_limit="3/2seconds") as base:
        atlas = Atlas(base)
        begun = time.monotonic()
        assert [len(atlas.query(limit=number)) for number in range(1, 6)] == [0] * 5
        assert time.monotonic() - begun > 0.5  # it waited as told, and lost nothing


def test_a_wait_that_is_too_long_is_told(settings: Any, database: Any) -> None:
    with server(settings, rate_limit="1/hour") as base:
        atlas = Atlas(base)
        atlas.query()
        begun = time.monotonic()
        with pytest.raises(ServerUnavailable, match="s of waiting"):
            atlas.query(limit=3)
        assert time.monotonic() - begun < 30
