"""Servers that answer as a test says, and a clock that does not wait: for tests of the remote client."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.client import Atlas
from api.remote.server import ServerBackend
from api.remote.session import Patience, Session

ADDRESS = "https://atlas.test"
KEY = "ia_0123456789abcdef"
ROW = {
    "data": [{"id": "mp-1"}],
    "meta": {"fields": {"id": {"unit": None, "type": "string", "meaning": "Id."}}},
    "links": {},
}

Handler = Callable[[httpx.Request], httpx.Response]


class Clock:
    def __init__(self) -> None:
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


def patience(clock: Clock, **options: Any) -> Patience:
    return Patience(sleep=clock.sleep, random=lambda: 0.5, **options)


def session(handler: Handler, clock: Clock | None = None, **options: Any) -> Session:
    waits = options.pop("waits", {})
    return Session(
        ADDRESS, patience=patience(clock or Clock(), **waits), transport=httpx.MockTransport(handler), **options
    )


def atlas_of(handler: Handler, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Atlas:
    monkeypatch.delenv("IONATLAS_API_KEY", raising=False)
    atlas = Atlas(ADDRESS, **options)
    backend = atlas._backend
    assert isinstance(backend, ServerBackend)
    backend.session.transport = httpx.MockTransport(handler)
    backend.session.patience = patience(Clock())
    return atlas


def in_turn(*answers: httpx.Response | Exception) -> tuple[Handler, list[httpx.Request]]:
    left, seen = list(answers), []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return handle, seen


def problem(status: int, headers: dict[str, str] | None = None, **told: Any) -> httpx.Response:
    return httpx.Response(
        status, headers={"Content-Type": "application/problem+json", **(headers or {})}, content=json.dumps(told)
    )
